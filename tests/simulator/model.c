/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/json.h"
#include "journal/journal.h"
#include "world.h"

#define SEQUENCES_MAX 4096
#define KEYS_MAX      1024
#define ENTRIES_MAX   (1u << 20)
#define COMPILES_MAX  8 /* of one sequence */

/* What a policy sequence means. It may be compiled again, with more reasons known: the images
 * differ then. */
static struct {
	char revision[32];
	uint32_t crc32c[COMPILES_MAX];
	uint32_t compiles;
	bool explained;
} policies[SEQUENCES_MAX];

/* The records of one worker in one epoch. */
static struct key {
	uint64_t epoch;
	uint32_t worker;
	uint64_t committed;
	uint64_t journaled, newest; /* how many; the last one's sequence */
	bool region_lost;	    /* with the power: what is not in the journal will not come */
} keys[KEYS_MAX];
static uint32_t key_count;

/* Each record frame: what is durable is counted from it when the power fails. */
static struct {
	uint64_t index;
	uint32_t key;
} * entries;
static uint32_t entry_count;

static struct rg_journal_reader *reader;
static uint64_t announced, acknowledged;
static bool image_lost; /* nothing is in use until control announces, or announces again */

static struct key *find_key(uint64_t epoch, uint32_t worker)
{
	for (uint32_t i = key_count; i-- > 0;)
		if (keys[i].epoch == epoch && keys[i].worker == worker)
			return &keys[i];
	if (key_count == KEYS_MAX)
		fail("more than %d epochs", KEYS_MAX);
	keys[key_count] = (struct key){.epoch = epoch, .worker = worker};
	return &keys[key_count++];
}

/* ---- told ---- */

void model_compiled(uint64_t sequence, const char *revision, const void *image,
		    uint64_t image_bytes)
{
	uint32_t crc32c = rg_crc32c(0, image, image_bytes);

	if (!sequence || sequence >= SEQUENCES_MAX)
		fail("sequence %llu was given out", (unsigned long long)sequence);
	if (policies[sequence].compiles && strcmp(policies[sequence].revision, revision))
		fail("sequence %llu was revision %s and becomes %s", (unsigned long long)sequence,
		     policies[sequence].revision, revision);
	policies[sequence].crc32c[policies[sequence].compiles++ % COMPILES_MAX] = crc32c;
	snprintf(policies[sequence].revision, sizeof(policies[sequence].revision), "%s", revision);
}

void model_committed(uint64_t epoch, uint32_t worker, uint64_t sequence)
{
	find_key(epoch, worker)->committed = sequence;
}

void model_acknowledged(uint64_t sequence)
{
	if (sequence <= acknowledged)
		fail("push %llu is acknowledged after %llu", (unsigned long long)sequence,
		     (unsigned long long)acknowledged);
	acknowledged = sequence;
}

void model_power_lost(uint64_t durable_index)
{
	uint64_t durable[KEYS_MAX] = {0};

	for (uint32_t i = 0; i < entry_count && entries[i].index < durable_index; i++)
		durable[entries[i].key]++;
	for (uint32_t i = 0; i < key_count; i++) {
		if (keys[i].region_lost)
			continue;
		keys[i].region_lost = true;
		/* (G) for these from now on: at least what was durable */
		keys[i].committed = durable[i];
	}
	/* The journal is read again from its beginning. */
	rg_journal_reader_close(reader);
	reader = NULL;
	entry_count = 0;
	for (uint32_t i = 0; i < key_count; i++)
		keys[i].journaled = keys[i].newest = 0;
	for (uint32_t i = 0; i < SEQUENCES_MAX; i++)
		policies[i].explained = false;
	announced = 0;
	image_lost = true;
}

void model_image_lost(void)
{
	image_lost = true;
}

/* ---- the journal ---- */

static void read_record(const struct rg_journal_frame *frame)
{
	const struct rg_record *record = frame->payload;
	struct key *key;
	struct rg_error err;

	must(rg_record_check(frame->payload, frame->payload_bytes, &err), &err);
	key = find_key(record->epoch, record->worker);
	/* What was lost with the power may be followed by what was not. */
	if (record->sequence != key->newest + 1 &&
	    !(key->region_lost && record->sequence > key->newest))
		fail("frame %llu: worker %u has record %llu after %llu",
		     (unsigned long long)frame->index, record->worker,
		     (unsigned long long)record->sequence, (unsigned long long)key->newest);
	key->newest = record->sequence;
	key->journaled++;
	if (key->journaled > key->committed && !key->region_lost)
		fail("frame %llu: worker %u has committed %llu records, not %llu",
		     (unsigned long long)frame->index, record->worker,
		     (unsigned long long)key->committed, (unsigned long long)key->journaled);
	if (record->policy_sequence >= SEQUENCES_MAX ||
	    (record->policy_sequence && !policies[record->policy_sequence].explained))
		fail("frame %llu names policy %llu, which no frame before it explains",
		     (unsigned long long)frame->index, (unsigned long long)record->policy_sequence);
	if (entry_count == ENTRIES_MAX)
		fail("more than %u records", ENTRIES_MAX);
	entries[entry_count].index = frame->index;
	entries[entry_count++].key = (uint32_t)(key - keys);
}

static bool value_of(const struct rg_journal_frame *frame, const char *wanted, char *text,
		     size_t bytes)
{
	struct rg_json_reader json;

	rg_json_reader_init(&json, frame->payload, frame->payload_bytes);
	rg_json_next(&json);
	while (rg_json_next(&json) == RG_JSON_KEY) {
		bool found = rg_json_equals(&json, wanted);

		rg_json_next(&json);
		if (found && json.text_bytes < bytes) {
			memcpy(text, json.text, json.text_bytes);
			text[json.text_bytes] = '\0';
			return true;
		}
		rg_json_skip(&json);
	}
	return false;
}

static void read_policy(const struct rg_journal_frame *frame)
{
	char number[32] = "", revision[64] = "";
	uint64_t sequence;

	if (!value_of(frame, "sequence", number, sizeof(number)) ||
	    !value_of(frame, "revision", revision, sizeof(revision)))
		fail("frame %llu is no policy", (unsigned long long)frame->index);
	sequence = strtoull(number, NULL, 10);
	if (sequence >= SEQUENCES_MAX || !policies[sequence].compiles ||
	    strcmp(policies[sequence].revision, revision))
		fail("frame %llu says that policy %s is %s", (unsigned long long)frame->index,
		     number, revision);
	policies[sequence].explained = true;
}

/* The next frame; damage is passed over where the power has failed. */
static int next_frame(struct rg_journal_frame *frame)
{
	struct rg_error err;
	int rc = rg_journal_reader_next(reader, frame, &err);
	uint64_t lost;

	if (rc != RG_ECORRUPT || !world.power_losses)
		return rc == RG_EAGAIN ? rc : (must(rc, &err), rc);
	rc = rg_journal_reader_skip_damage(reader, &lost, &err);
	return rc ? rc : next_frame(frame);
}

void model_read_journal(void)
{
	struct rg_journal_frame frame;
	struct rg_error err;

	if (!entries)
		entries = malloc(ENTRIES_MAX * sizeof(*entries));
	if (!reader)
		must(rg_journal_reader_open(world.journal, NULL, &reader, &err), &err);
	while (!next_frame(&frame)) {
		if (frame.kind == RG_JOURNAL_RECORD)
			read_record(&frame);
		else if (frame.kind == RG_JOURNAL_POLICY)
			read_policy(&frame);
	}
}

uint64_t model_records(void)
{
	return entry_count;
}

/* ---- policies ---- */

void model_check_announcement(const struct rg_mailbox_request *request)
{
	struct rg_mailbox_announcement now = {0};

	if (rg_mailbox_read_request(request, &now) || !now.sequence || now.sequence == announced)
		return;
	if (now.sequence < announced || now.sequence >= SEQUENCES_MAX)
		fail("sequence %llu is announced after %llu", (unsigned long long)now.sequence,
		     (unsigned long long)announced);
	if (!policies[now.sequence].explained)
		fail("sequence %llu is announced and the journal does not explain it",
		     (unsigned long long)now.sequence);
	announced = now.sequence;
	trace("  announced %llu", (unsigned long long)announced);
}

void model_check_image(uint64_t sequence, const void *image, uint64_t image_bytes)
{
	uint32_t crc32c = rg_crc32c(0, image, image_bytes);

	if (sequence >= SEQUENCES_MAX || !policies[sequence].compiles)
		fail("a worker has policy %llu, which nobody compiled",
		     (unsigned long long)sequence);
	for (uint32_t i = 0; i < policies[sequence].compiles && i < COMPILES_MAX; i++)
		if (policies[sequence].crc32c[i] == crc32c)
			return;
	fail("a worker's image of policy %llu is not what was compiled",
	     (unsigned long long)sequence);
}

void model_check_active(uint64_t active_sequence)
{
	image_lost = image_lost && !active_sequence;
	if (active_sequence < acknowledged && !image_lost)
		fail("policy %llu is in use after %llu was acknowledged",
		     (unsigned long long)active_sequence, (unsigned long long)acknowledged);
}

/* ---- the end ---- */

static uint64_t ask_sqlite(const char *sql)
{
	sqlite3_stmt *row;
	sqlite3 *file;
	uint64_t number;

	if (sqlite3_open_v2(world.sqlite, &file, SQLITE_OPEN_READONLY, NULL) ||
	    sqlite3_prepare_v2(file, sql, -1, &row, NULL) || sqlite3_step(row) != SQLITE_ROW)
		fail("SQLite: %s", sqlite3_errmsg(file));
	number = (uint64_t)sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(file);
	return number;
}

static size_t count_files(const char *folder, const char *pattern)
{
	char path[PATH_BYTES + 32];
	glob_t found;
	size_t count;

	snprintf(path, sizeof(path), "%s/%s", folder, pattern);
	count = glob(path, 0, NULL, &found) ? 0 : found.gl_pathc;
	if (count)
		trace("  there is %s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return count;
}

static void check_records(void)
{
	uint64_t rows = ask_sqlite("SELECT count(*) FROM decisions");

	for (uint32_t i = 0; i < key_count; i++)
		if (keys[i].journaled < keys[i].committed)
			fail("worker %u committed %llu records in epoch %llu; the journal has %llu",
			     keys[i].worker, (unsigned long long)keys[i].committed,
			     (unsigned long long)keys[i].epoch,
			     (unsigned long long)keys[i].journaled);
	if (rows != entry_count)
		fail("the journal has %u records, SQLite %llu", entry_count,
		     (unsigned long long)rows);
	if (ask_sqlite("SELECT count(*) FROM (SELECT DISTINCT node, epoch, worker, sequence FROM "
		       "decisions)") != rows)
		fail("SQLite has a record twice");
}

static void check_journal(void)
{
	struct rg_journal_report report;
	struct rg_error err;
	int rc = rg_journal_verify(world.journal, NULL, &report, &err);

	if (rc && (rc != RG_ECORRUPT || !world.power_losses))
		fail("the journal is damaged: %s", err.text);
}

void model_check_end(uint64_t active, uint64_t stored)
{
	model_read_journal();
	check_records();
	check_journal();
	if (active != stored)
		fail("policy %llu is in use, the store says %llu", (unsigned long long)active,
		     (unsigned long long)stored);
	if (count_files(world.state, "*.new") || count_files(world.state, "policies/*.new") ||
	    count_files(world.state, "policies/*/*.new") || count_files(world.region, "*.tmp"))
		fail("a temporary file is left");
	if (count_files(world.region, "image-*") != 1 || count_files(world.region, "active-*") != 1)
		fail("not one image and one active image in %s", world.region);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_sqlite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "wire/decision.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define WAKE_MS	     100
#define BACKOFF_MS   1000
#define BUSY_MS	     5000
#define SEARCH_STEPS 20000 /* of SQLite's machine between two looks at other work */
#define CLIENT_BYTES (INET6_ADDRSTRLEN + 10)

/* Migration i brings a file of version i to version i + 1. Append; never change one that was
 * released. */
static const char *const migrations[] = {
	("CREATE TABLE decisions ("
	 " node INTEGER NOT NULL, epoch INTEGER NOT NULL, worker INTEGER NOT NULL, sequence "
	 "INTEGER "
	 "NOT NULL,"
	 " request_id INTEGER NOT NULL, receive_time_ns INTEGER NOT NULL, latency_ns INTEGER NOT "
	 "NULL,"
	 " client TEXT NOT NULL, template TEXT NOT NULL, schema_id INTEGER NOT NULL, template_id "
	 "INTEGER NOT NULL,"
	 " schema_version INTEGER NOT NULL, request BLOB NOT NULL,"
	 " policy_sequence INTEGER NOT NULL, revision TEXT, verdict TEXT NOT NULL, status TEXT NOT "
	 "NULL,"
	 " score_micro INTEGER NOT NULL, reasons TEXT NOT NULL, reasons_fired INTEGER NOT NULL,"
	 " flags INTEGER NOT NULL, UNIQUE (node, epoch, worker, sequence));"
	 "CREATE TABLE policies (sequence INTEGER PRIMARY KEY, bundle TEXT NOT NULL, revision TEXT "
	 "NOT NULL,"
	 " ns INTEGER NOT NULL);"
	 "CREATE TABLE reasons (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
	 "CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), frame INTEGER NOT NULL,"
	 " segment INTEGER NOT NULL, offset INTEGER NOT NULL, stored INTEGER NOT NULL);"
	 "INSERT INTO checkpoint VALUES (1, 0, 0, 0, 0);"), /* in parentheses: one text */
};
#define VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

enum statement { BEGIN, COMMIT, INSERT, CHECKPOINT, POLICY, REASON, STATEMENT_COUNT };
static const char *const texts[STATEMENT_COUNT] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[INSERT] = ("INSERT OR IGNORE INTO decisions VALUES "
		    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	[CHECKPOINT] = "UPDATE checkpoint SET frame = ?, segment = ?, offset = ?, stored = ?",
	[POLICY] = "INSERT OR REPLACE INTO policies VALUES (?,?,?,?)",
	[REASON] = "INSERT OR REPLACE INTO reasons VALUES (?,?)",
};

struct policy {
	uint64_t sequence;
	char *revision;
};

/* Revisions and reason names, as the file holds them. */
struct names {
	struct policy *policies;
	size_t policy_count;
	char **reasons; /* reasons[id], NULL where there is none */
	size_t reason_count;
};

struct rg_sink_sqlite {
	/* of whoever works: the thread, or a test that steps by hand */
	sqlite3 *file;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct rg_journal_reader *reader;
	struct rg_sink_sqlite_options options;
	char *path, *journal_directory;
	struct names names;
	struct rg_json_writer reasons;
	uint64_t stored; /* including the open transaction */
	bool in_transaction;

	sqlite3 *view; /* read-only, of whoever asks for decisions */

	pthread_mutex_t lock; /* the rest */
	pthread_cond_t woken;
	pthread_t thread;
	bool running, stopping, wake;
	struct timespec stop_at;
	bool limited;
	struct rg_journal_position limit;
	struct rg_sink_sqlite_statistics statistics;
};

static int fail(sqlite3 *file, const char *path, const char *what, struct rg_error *err)
{
	return rg_error_set(err, RG_EIO, "SQLite file %s: %s: %s", path, what,
			    file ? sqlite3_errmsg(file) : "out of memory");
}

/* ---- names ---- */

static void forget_names(struct names *names)
{
	for (size_t i = 0; i < names->policy_count; i++)
		free(names->policies[i].revision);
	for (size_t i = 0; i < names->reason_count; i++)
		free(names->reasons[i]);
	free(names->policies);
	free(names->reasons);
	memset(names, 0, sizeof(*names));
}

static bool learn_reason(struct names *names, size_t id, const char *name)
{
	char *copy;

	if (id >= names->reason_count) {
		char **grown = realloc(names->reasons, (id + 1) * sizeof(*grown));

		if (!grown)
			return false;
		memset(grown + names->reason_count, 0,
		       (id + 1 - names->reason_count) * sizeof(*grown));
		names->reasons = grown;
		names->reason_count = id + 1;
	}
	copy = strdup(name);
	if (!copy)
		return false;
	free(names->reasons[id]);
	names->reasons[id] = copy;
	return true;
}

static const char *revision_of(const struct names *names, uint64_t sequence)
{
	for (size_t i = names->policy_count; i-- > 0;) /* the newest is asked for most */
		if (names->policies[i].sequence == sequence)
			return names->policies[i].revision;
	return NULL;
}

static bool learn_policy(struct names *names, uint64_t sequence, const char *revision)
{
	struct policy *grown;

	if (revision_of(names, sequence))
		return true;
	grown = realloc(names->policies, (names->policy_count + 1) * sizeof(*grown));
	if (!grown)
		return false;
	names->policies = grown;
	grown[names->policy_count] = (struct policy){sequence, strdup(revision)};
	return grown[names->policy_count++].revision != NULL;
}

static int load_names(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	sqlite3_stmt *rows = NULL;
	bool ok = sqlite3_prepare_v2(sink->file,
				     "SELECT sequence, revision FROM policies ORDER BY sequence",
				     -1, &rows, NULL) == SQLITE_OK;

	while (ok && sqlite3_step(rows) == SQLITE_ROW)
		ok = learn_policy(&sink->names, (uint64_t)sqlite3_column_int64(rows, 0),
				  (const char *)sqlite3_column_text(rows, 1));
	sqlite3_finalize(rows);
	rows = NULL;
	ok = ok && sqlite3_prepare_v2(sink->file, "SELECT id, name FROM reasons", -1, &rows,
				      NULL) == SQLITE_OK;
	while (ok && sqlite3_step(rows) == SQLITE_ROW)
		ok = learn_reason(&sink->names, (size_t)sqlite3_column_int64(rows, 0),
				  (const char *)sqlite3_column_text(rows, 1));
	sqlite3_finalize(rows);
	return ok ? RG_OK : fail(sink->file, sink->path, "cannot read policies and reasons", err);
}

/* ---- opening ---- */

static int migrate(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	sqlite3_stmt *row = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(sink->file, "PRAGMA user_version", -1, &row, NULL) == SQLITE_OK &&
	    sqlite3_step(row) == SQLITE_ROW)
		version = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	if (version < 0)
		return fail(sink->file, sink->path, "cannot read its version", err);
	if (version > VERSION)
		return rg_error_set(
			err, RG_EVERSION,
			"SQLite file %s has version %d and this riskgate knows up to %d: use a "
			"newer riskgate or another file (sinks.sqlite.path)",
			sink->path, version, VERSION);
	for (; version < VERSION; version++) {
		char *text = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT",
					     migrations[version], version + 1);
		int result = text ? sqlite3_exec(sink->file, text, NULL, NULL, NULL) : SQLITE_NOMEM;

		sqlite3_free(text);
		if (result != SQLITE_OK)
			return fail(sink->file, sink->path, "cannot make its tables", err);
	}
	return RG_OK;
}

static int read_checkpoint(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	struct rg_journal_position *position = &sink->statistics.position;
	sqlite3_stmt *row = NULL;
	bool ok = sqlite3_prepare_v2(sink->file,
				     "SELECT frame, segment, offset, stored FROM checkpoint", -1,
				     &row, NULL) == SQLITE_OK &&
		  sqlite3_step(row) == SQLITE_ROW;

	if (ok) {
		position->index = (uint64_t)sqlite3_column_int64(row, 0);
		position->segment = (uint64_t)sqlite3_column_int64(row, 1);
		position->offset = (uint64_t)sqlite3_column_int64(row, 2);
		sink->stored = sink->statistics.stored = (uint64_t)sqlite3_column_int64(row, 3);
	}
	sqlite3_finalize(row);
	return ok ? RG_OK : fail(sink->file, sink->path, "cannot read the checkpoint", err);
}

static int open_file(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	int status;

	if (sqlite3_open_v2(sink->path, &sink->file,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return fail(sink->file, sink->path, "cannot open it (sinks.sqlite.path)", err);
	sqlite3_busy_timeout(sink->file, BUSY_MS);
	if (sqlite3_exec(sink->file,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
			 "PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -16384",
			 NULL, NULL, NULL))
		return fail(sink->file, sink->path, "cannot set it up", err);
	status = migrate(sink, err);
	if (!status)
		status = read_checkpoint(sink, err);
	if (!status)
		status = load_names(sink, err);
	for (int i = 0; !status && i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(sink->file, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &sink->statements[i], NULL))
			status = fail(sink->file, sink->path, texts[i], err);
	if (!status && sqlite3_open_v2(sink->path, &sink->view,
				       SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL))
		status = fail(sink->view, sink->path, "cannot open it for reading", err);
	if (!status)
		sqlite3_busy_timeout(sink->view, BUSY_MS);
	return status;
}

int rg_sink_sqlite_open(const struct rg_sink_sqlite_options *options, struct rg_sink_sqlite **out,
			struct rg_error *err)
{
	struct rg_sink_sqlite *sink = calloc(1, sizeof(*sink));
	pthread_condattr_t monotonic;
	int status;

	if (!sink)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	pthread_mutex_init(&sink->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&sink->woken, &monotonic);
	pthread_condattr_destroy(&monotonic);
	rg_json_writer_init(&sink->reasons, false);
	sink->options = *options;
	sink->path = strdup(options->path);
	sink->journal_directory = strdup(options->journal_directory);
	if (!sink->path || !sink->journal_directory)
		status = rg_error_set(err, RG_ENOMEM, "out of memory");
	else
		status = open_file(sink, err);
	if (status)
		rg_sink_sqlite_close(sink);
	else
		*out = sink;
	return status;
}

void rg_sink_sqlite_close(struct rg_sink_sqlite *sink)
{
	if (!sink)
		return;
	rg_sink_sqlite_stop(sink, 0);
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(sink->statements[i]);
	sqlite3_close(sink->view);
	sqlite3_close(sink->file);
	rg_journal_reader_close(sink->reader);
	rg_json_writer_free(&sink->reasons);
	forget_names(&sink->names);
	pthread_cond_destroy(&sink->woken);
	pthread_mutex_destroy(&sink->lock);
	free(sink->path);
	free(sink->journal_directory);
	free(sink);
}

/* ---- storing ---- */

/* Run a statement that gives no rows, and make it ready for the next time. */
static int run(struct rg_sink_sqlite *sink, enum statement which, struct rg_error *err)
{
	int result = sqlite3_step(sink->statements[which]);
	int status =
		result == SQLITE_DONE ? RG_OK : fail(sink->file, sink->path, texts[which], err);

	sqlite3_reset(sink->statements[which]);
	return status;
}

static const char *client_text(const struct rg_record *record, char text[static CLIENT_BYTES])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char address[INET6_ADDRSTRLEN];
	bool ipv4 = !memcmp(record->client_address, mapped, sizeof(mapped));

	inet_ntop(ipv4 ? AF_INET : AF_INET6, record->client_address + (ipv4 ? 12 : 0), address,
		  sizeof(address));
	snprintf(text, CLIENT_BYTES, ipv4 ? "%s:%u" : "[%s]:%u", address, record->client_port);
	return text;
}

static void write_reasons(struct rg_sink_sqlite *sink, const struct rg_record *record)
{
	struct rg_json_writer *writer = &sink->reasons;
	char unknown[24];

	rg_json_writer_reset(writer);
	rg_json_write_array_begin(writer);
	for (unsigned i = 0; i < record->reason_count && i < RG_RECORD_REASONS_MAX; i++) {
		uint16_t id = record->reasons[i];

		if (id < sink->names.reason_count && sink->names.reasons[id]) {
			rg_json_write_string(writer, sink->names.reasons[id]);
		} else if (id == UINT16_MAX) {
			rg_json_write_string(writer, "other");
		} else {
			snprintf(unknown, sizeof(unknown), "reason-%u", id);
			rg_json_write_string(writer, unknown);
		}
	}
	rg_json_write_array_end(writer);
}

static uint64_t request_id_of(const struct rg_record *record)
{
	uint64_t id = 0;

	if (record->request_bytes >= sizeof(id))
		memcpy(&id, rg_record_request(record), sizeof(id));
	return id;
}

static int store_record(struct rg_sink_sqlite *sink, const struct rg_record *record,
			struct rg_error *err)
{
	sqlite3_stmt *row = sink->statements[INSERT];
	const struct rg_template *template = rg_schema_template_by_id(
		sink->options.schema, record->schema_id, record->template_id);
	char client[CLIENT_BYTES];
	int column = 1, status;

	write_reasons(sink, record);
	sqlite3_bind_int64(row, column++, record->node);
	sqlite3_bind_int64(row, column++, (int64_t)record->epoch);
	sqlite3_bind_int64(row, column++, record->worker);
	sqlite3_bind_int64(row, column++, (int64_t)record->sequence);
	sqlite3_bind_int64(row, column++, (int64_t)request_id_of(record));
	sqlite3_bind_int64(row, column++, (int64_t)record->receive_time_ns);
	sqlite3_bind_int64(row, column++, record->latency_ns);
	sqlite3_bind_text(row, column++, client_text(record, client), -1, SQLITE_STATIC);
	sqlite3_bind_text(row, column++, template ? template->name : "", -1, SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, record->schema_id);
	sqlite3_bind_int64(row, column++, record->template_id);
	sqlite3_bind_int64(row, column++, record->schema_version);
	sqlite3_bind_blob(row, column++, rg_record_request(record), record->request_bytes,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, (int64_t)record->policy_sequence);
	sqlite3_bind_text(row, column++, revision_of(&sink->names, record->policy_sequence), -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(row, column++, rg_decision_verdict_name(record->verdict), -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(row, column++, rg_decision_status_name(record->status), -1,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, record->score_micro);
	sqlite3_bind_text(row, column++, sink->reasons.text, (int)sink->reasons.bytes,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, record->reasons_fired);
	sqlite3_bind_int64(row, column++, record->flags);
	status = run(sink, INSERT, err);
	if (!status)
		sink->stored += (uint64_t)sqlite3_changes(sink->file);
	return status;
}

/* {"sequence":N,"bundle":"...","revision":"...","ns":N,"reasons":["name of id 1",...]}; unknown
 * keys are passed over. */
struct policy_frame {
	int64_t sequence, ns;
	char *bundle, *revision;
};

static char *decode_string(const struct rg_json_reader *json)
{
	char *text = malloc(json->text_bytes * 3 + 1);

	if (text)
		text[rg_json_decode(json, text)] = '\0';
	return text;
}

static int store_reasons(struct rg_sink_sqlite *sink, struct rg_json_reader *json,
			 struct rg_error *err)
{
	size_t id = 0;

	while (rg_json_next(json) == RG_JSON_STRING) {
		char *name = decode_string(json);
		bool known = name && ++id < sink->names.reason_count && sink->names.reasons[id] &&
			     !strcmp(sink->names.reasons[id], name);
		int status = RG_OK;

		if (!name || (!known && !learn_reason(&sink->names, id, name)))
			status = rg_error_set(err, RG_ENOMEM, "out of memory");
		if (!status && !known) {
			sqlite3_bind_int64(sink->statements[REASON], 1, (int64_t)id);
			sqlite3_bind_text(sink->statements[REASON], 2, name, -1, SQLITE_TRANSIENT);
			status = run(sink, REASON, err);
		}
		free(name);
		if (status)
			return status;
	}
	return RG_OK;
}

static int store_policy(struct rg_sink_sqlite *sink, const char *text, size_t bytes,
			struct rg_error *err)
{
	struct policy_frame policy = {0};
	struct rg_json_reader json, key;
	enum rg_json_token token;
	int status = RG_OK;

	rg_json_reader_init(&json, text, bytes);
	token = rg_json_next(&json);
	while (!status && token == RG_JSON_OBJECT_BEGIN && rg_json_next(&json) == RG_JSON_KEY) {
		enum rg_json_token value;

		key = json;
		value = rg_json_next(&json);
		if (value == RG_JSON_NUMBER && rg_json_equals(&key, "sequence"))
			rg_json_int64(json.text, json.text_bytes, &policy.sequence);
		else if (value == RG_JSON_NUMBER && rg_json_equals(&key, "ns"))
			rg_json_int64(json.text, json.text_bytes, &policy.ns);
		else if (value == RG_JSON_STRING && rg_json_equals(&key, "bundle") &&
			 !policy.bundle)
			policy.bundle = decode_string(&json);
		else if (value == RG_JSON_STRING && rg_json_equals(&key, "revision") &&
			 !policy.revision)
			policy.revision = decode_string(&json);
		else if (value == RG_JSON_ARRAY_BEGIN && rg_json_equals(&key, "reasons"))
			status = store_reasons(sink, &json, err);
		else
			rg_json_skip(&json);
	}
	if (!status && policy.sequence > 0 && policy.bundle && policy.revision) {
		sqlite3_stmt *row = sink->statements[POLICY];

		if (!learn_policy(&sink->names, (uint64_t)policy.sequence, policy.revision))
			status = rg_error_set(err, RG_ENOMEM, "out of memory");
		sqlite3_bind_int64(row, 1, policy.sequence);
		sqlite3_bind_text(row, 2, policy.bundle, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(row, 3, policy.revision, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(row, 4, policy.ns);
		if (!status)
			status = run(sink, POLICY, err);
	}
	free(policy.bundle);
	free(policy.revision);
	return status;
}

static int store_frame(struct rg_sink_sqlite *sink, const struct rg_journal_frame *frame,
		       struct rg_error *err)
{
	if (frame->kind == RG_JOURNAL_RECORD &&
	    rg_record_check(frame->payload, frame->payload_bytes, NULL) == RG_OK)
		return store_record(sink, frame->payload, err);
	if (frame->kind == RG_JOURNAL_POLICY)
		return store_policy(sink, frame->payload, frame->payload_bytes, err);
	return RG_OK;
}

static int begin(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	int status = sink->in_transaction ? RG_OK : run(sink, BEGIN, err);

	sink->in_transaction |= !status;
	return status;
}

static int commit(struct rg_sink_sqlite *sink, const struct rg_journal_position *position,
		  struct rg_error *err)
{
	sqlite3_stmt *row = sink->statements[CHECKPOINT];
	int status = begin(sink, err);

	sqlite3_bind_int64(row, 1, (int64_t)position->index);
	sqlite3_bind_int64(row, 2, (int64_t)position->segment);
	sqlite3_bind_int64(row, 3, (int64_t)position->offset);
	sqlite3_bind_int64(row, 4, (int64_t)sink->stored);
	RG_FAILPOINT("sqlite.rows_written");
	if (!status)
		status = run(sink, CHECKPOINT, err);
	RG_FAILPOINT("sqlite.checkpoint_written");
	if (!status && RG_FAILPOINT_FAILS("sqlite.commit"))
		status = rg_error_set_errno(err, RG_EIO, errno, "SQLite file %s: commit",
					    sink->path);
	if (!status)
		status = run(sink, COMMIT, err);
	RG_FAILPOINT("sqlite.committed");
	if (!status)
		sink->in_transaction = false;
	return status;
}

/* Everything as the checkpoint has it; the reader is opened again at the next turn. */
static void roll_back(struct rg_sink_sqlite *sink)
{
	if (!sqlite3_get_autocommit(sink->file))
		sqlite3_exec(sink->file, "ROLLBACK", NULL, NULL, NULL);
	RG_FAILPOINT("sqlite.rolled_back");
	sink->in_transaction = false;
	sink->stored = sink->statistics.stored;
	rg_journal_reader_close(sink->reader);
	sink->reader = NULL;
	forget_names(&sink->names); /* what the rolled back transaction taught is not in the file */
	load_names(sink, NULL);
}

/* Read up to a batch of frames into the transaction. Returns RG_OK or why it failed; *frames: how
 * many were read. */
static int read_batch(struct rg_sink_sqlite *sink, uint32_t *frames, uint64_t *lost,
		      struct rg_error *err)
{
	struct rg_journal_frame frame;
	uint32_t records = 0;
	int status = RG_OK;

	*frames = 0;
	*lost = 0;
	while (!status && records < sink->options.batch) {
		int got = rg_journal_reader_next(sink->reader, &frame, err);

		if (got == RG_EAGAIN)
			break;
		if (got == RG_ECORRUPT || got == RG_ENOENT) {
			uint64_t passed = 0;

			got = rg_journal_reader_skip_damage(sink->reader, &passed, err);
			if (got == RG_EAGAIN)
				break;
			*lost += passed;
			(*frames)++;
			status = got;
			continue;
		}
		status = got ? got : begin(sink, err);
		if (!status)
			status = store_frame(sink, &frame, err);
		records += frame.kind == RG_JOURNAL_RECORD;
		(*frames)++;
	}
	return status;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The checkpoint lies beyond the journal's end: it speaks of another journal (its folder was changed
 * or emptied). Nothing of this one would be stored until it is as long: begin at its first frame.
 * The key makes harmless what is stored already. */
static void begin_again(struct rg_sink_sqlite *sink, struct rg_journal_position *position,
			const struct rg_journal_position *end)
{
	rg_log(RG_LOG_WARNING,
	       "sink=sqlite path=%s: its checkpoint is frame %llu, the journal in %s ends at frame "
	       "%llu: another journal; storing it from its beginning",
	       sink->path, (unsigned long long)position->index, sink->journal_directory,
	       (unsigned long long)end->index);
	rg_journal_reader_close(sink->reader);
	sink->reader = NULL;
	*position = (struct rg_journal_position){0};
}

int rg_sink_sqlite_work(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	uint64_t began_ns = monotonic_ns(), before = sink->stored, lost = 0, took_ns;
	struct rg_journal_position position, limit;
	uint32_t frames = 0;
	bool limited;
	int status = RG_OK;

	pthread_mutex_lock(&sink->lock);
	limited = sink->limited;
	limit = sink->limit;
	position = sink->statistics.position;
	pthread_mutex_unlock(&sink->lock);
	if (limited && limit.index && position.index > limit.index)
		begin_again(sink, &position, &limit);
	if (!sink->reader)
		status = rg_journal_reader_open(sink->journal_directory, &position, &sink->reader,
						err);
	if (!status) {
		rg_journal_reader_limit(sink->reader, limited ? &limit : NULL);
		status = read_batch(sink, &frames, &lost, err);
	}
	if (!status && frames) {
		rg_journal_reader_position(sink->reader, &position);
		status = commit(sink, &position, err);
	}
	took_ns = monotonic_ns() - began_ns;
	pthread_mutex_lock(&sink->lock);
	if (status) {
		sink->statistics.failures++;
		if (err)
			memcpy(sink->statistics.last_error, err->text, sizeof(err->text));
	} else if (frames) {
		sink->statistics.position = position;
		sink->statistics.stored = sink->stored;
		sink->statistics.passed_over += lost;
		sink->statistics.last_error[0] = '\0';
		if (took_ns > sink->statistics.transaction_ns_max)
			sink->statistics.transaction_ns_max = took_ns;
	}
	pthread_mutex_unlock(&sink->lock);
	if (status) {
		roll_back(sink);
		return status;
	}
	return (int)(sink->stored - before);
}

/* ---- thread ---- */

static struct timespec after_ms(uint32_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

static bool is_past(const struct timespec *at)
{
	return (uint64_t)at->tv_sec * 1000000000u + (uint64_t)at->tv_nsec <= monotonic_ns();
}

/* Wait to be woken, or for ms. False: stop now. */
static bool pause_thread(struct rg_sink_sqlite *sink, bool idle, uint32_t ms)
{
	struct timespec until = after_ms(ms);
	bool go_on, woken;

	pthread_mutex_lock(&sink->lock);
	while (!sink->wake && !sink->stopping &&
	       pthread_cond_timedwait(&sink->woken, &sink->lock, &until) != ETIMEDOUT)
		;
	woken = sink->wake; /* something came since the last look: one more is due, also when
			       stopping */
	sink->wake = false;
	go_on = !sink->stopping || ((!idle || woken) && !is_past(&sink->stop_at));
	pthread_mutex_unlock(&sink->lock);
	return go_on;
}

static void *thread_main(void *context)
{
	struct rg_sink_sqlite *sink = context;
	struct rg_error err;
	int stored;

	do
		stored = rg_sink_sqlite_work(sink, &err);
	while (stored > 0 ? pause_thread(sink, false, 0)
			  : pause_thread(sink, stored == 0, stored ? BACKOFF_MS : WAKE_MS));
	return NULL;
}

int rg_sink_sqlite_start(struct rg_sink_sqlite *sink, struct rg_error *err)
{
	int errnum;

	sink->stopping = false;
	errnum = pthread_create(&sink->thread, NULL, thread_main, sink);
	if (errnum)
		return rg_error_set_errno(err, RG_EIO, errnum,
					  "cannot start the SQLite sink's thread");
	sink->running = true;
	return RG_OK;
}

void rg_sink_sqlite_wake(struct rg_sink_sqlite *sink)
{
	pthread_mutex_lock(&sink->lock);
	sink->wake = true;
	pthread_cond_signal(&sink->woken);
	pthread_mutex_unlock(&sink->lock);
}

void rg_sink_sqlite_limit(struct rg_sink_sqlite *sink, const struct rg_journal_position *limit)
{
	pthread_mutex_lock(&sink->lock);
	sink->limited = limit != NULL;
	if (limit)
		sink->limit = *limit;
	pthread_mutex_unlock(&sink->lock);
}

void rg_sink_sqlite_stop(struct rg_sink_sqlite *sink, uint32_t drain_ms)
{
	if (!sink->running)
		return;
	pthread_mutex_lock(&sink->lock);
	sink->stopping = sink->wake = true;
	sink->stop_at = after_ms(drain_ms);
	pthread_cond_signal(&sink->woken);
	pthread_mutex_unlock(&sink->lock);
	pthread_join(sink->thread, NULL);
	sink->running = false;
}

void rg_sink_sqlite_statistics(struct rg_sink_sqlite *sink,
			       struct rg_sink_sqlite_statistics *statistics)
{
	pthread_mutex_lock(&sink->lock);
	*statistics = sink->statistics;
	pthread_mutex_unlock(&sink->lock);
}

/* ---- showing ---- */

/* Columns of the query, in order. */
enum column {
	NODE,
	EPOCH,
	WORKER,
	SEQUENCE,
	REQUEST_ID,
	RECEIVE_TIME,
	LATENCY,
	CLIENT,
	TEMPLATE,
	SCHEMA_ID,
	TEMPLATE_ID,
	SCHEMA_VERSION,
	REQUEST,
	POLICY_SEQUENCE,
	REVISION,
	VERDICT,
	STATUS,
	SCORE,
	REASONS,
	REASONS_FIRED,
	FLAGS
};

static void write_time(struct rg_json_writer *writer, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000u);
	char day[32], text[64];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%09uZ", day, (unsigned)(ns % 1000000000u));
	rg_json_write_string(writer, text);
}

/* score_micro as a decimal, without trailing zeros. */
static void write_score(struct rg_json_writer *writer, int64_t micro)
{
	uint64_t magnitude = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;
	char text[40];
	int n = snprintf(text, sizeof(text), "%s%llu.%06llu", micro < 0 ? "-" : "",
			 (unsigned long long)(magnitude / 1000000),
			 (unsigned long long)(magnitude % 1000000));

	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	rg_json_write_raw(writer, text, (size_t)n);
}

/* The request by schema; null when this schema cannot read it. */
static void write_request(const struct rg_schema *schema, sqlite3_stmt *row,
			  struct rg_json_writer *writer)
{
	uint8_t message[RG_SBE_HEADER_BYTES + 65536];
	size_t bytes = (size_t)sqlite3_column_bytes(row, REQUEST);
	struct rg_json_writer request;

	rg_json_writer_init(&request, false);
	if (bytes <= 65535) {
		rg_sbe_header_write(
			message,
			(struct rg_sbe_header){
				.block_length = (uint16_t)bytes,
				.template_id = (uint16_t)sqlite3_column_int(row, TEMPLATE_ID),
				.schema_id = (uint16_t)sqlite3_column_int(row, SCHEMA_ID),
				.version = (uint16_t)sqlite3_column_int(row, SCHEMA_VERSION),
			});
		if (bytes)
			memcpy(message + RG_SBE_HEADER_BYTES, sqlite3_column_blob(row, REQUEST),
			       bytes);
	}
	if (bytes <= 65535 &&
	    !rg_sbe_to_json(schema, message, RG_SBE_HEADER_BYTES + bytes, &request, NULL) &&
	    !request.failed)
		rg_json_write_raw(writer, request.text, request.bytes);
	else
		rg_json_write_null(writer);
	rg_json_writer_free(&request);
}

static void write_number(struct rg_json_writer *writer, const char *key, sqlite3_stmt *row,
			 enum column column)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, (uint64_t)sqlite3_column_int64(row, column));
}

static void write_text(struct rg_json_writer *writer, const char *key, sqlite3_stmt *row,
		       enum column column)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer,
			     (const char *)sqlite3_column_text(row, column)); /* NULL: null */
}

static void write_decision(const struct rg_schema *schema, sqlite3_stmt *row,
			   struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	write_number(writer, "node", row, NODE);
	write_number(writer, "epoch", row, EPOCH);
	write_number(writer, "worker", row, WORKER);
	write_number(writer, "sequence", row, SEQUENCE);
	write_number(writer, "request_id", row, REQUEST_ID);
	write_number(writer, "receive_time_ns", row, RECEIVE_TIME);
	rg_json_write_key(writer, "receive_time");
	write_time(writer, (uint64_t)sqlite3_column_int64(row, RECEIVE_TIME));
	write_number(writer, "latency_ns", row, LATENCY);
	write_text(writer, "client", row, CLIENT);
	write_text(writer, "template", row, TEMPLATE);
	rg_json_write_key(writer, "request");
	write_request(schema, row, writer);
	write_number(writer, "policy_sequence", row, POLICY_SEQUENCE);
	write_text(writer, "revision", row, REVISION);
	write_text(writer, "verdict", row, VERDICT);
	write_text(writer, "status", row, STATUS);
	rg_json_write_key(writer, "score");
	write_score(writer, sqlite3_column_int64(row, SCORE));
	rg_json_write_key(writer, "reasons");
	rg_json_write_raw(writer, (const char *)sqlite3_column_text(row, REASONS),
			  (size_t)sqlite3_column_bytes(row, REASONS));
	write_number(writer, "reasons_fired", row, REASONS_FIRED);
	write_number(writer, "flags", row, FLAGS);
	rg_json_write_object_end(writer);
}

struct search {
	const struct rg_decision_filter *filter;
	uint64_t until_ns;
};

/* SQLite's progress handler. Not 0: enough. */
static int search_on(void *context)
{
	const struct search *search = context;

	if (search->filter->meanwhile)
		search->filter->meanwhile(search->filter->context);
	return monotonic_ns() >= search->until_ns;
}

int rg_sink_sqlite_decisions(struct rg_sink_sqlite *sink, const struct rg_decision_filter *filter,
			     struct rg_json_writer *writer, struct rg_error *err)
{
	static const char query[] =
		"SELECT * FROM decisions WHERE (?1 IS NULL OR verdict = ?1) AND (?2 IS NULL OR "
		"template = ?2)"
		" AND (?3 IS NULL OR revision = ?3) AND (?4 IS NULL OR request_id = ?4)"
		" AND (?5 IS NULL OR receive_time_ns < ?5) ORDER BY rowid DESC LIMIT ?6";
	struct search search = {filter, monotonic_ns() + RG_SINK_SEARCH_NS};
	sqlite3_stmt *row = NULL;
	int result;

	if (filter->limit < 1 || filter->limit > 10000)
		return rg_error_set(err, RG_EINVAL, "limit: %u is not from 1 to 10000",
				    filter->limit);
	if (filter->verdict && rg_decision_verdict_find(filter->verdict) <= 0)
		return rg_error_set(err, RG_EINVAL, "verdict: \"%s\" is not ALLOW, DENY or REVIEW",
				    filter->verdict);
	if (sqlite3_prepare_v2(sink->view, query, -1, &row, NULL))
		return fail(sink->view, sink->path, "cannot read decisions", err);
	sqlite3_bind_text(row, 1, filter->verdict, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 2, filter->template_name, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 3, filter->revision, -1, SQLITE_STATIC);
	if (filter->has_request_id)
		sqlite3_bind_int64(row, 4, (int64_t)filter->request_id);
	if (filter->before_ns)
		sqlite3_bind_int64(row, 5, (int64_t)filter->before_ns);
	sqlite3_bind_int64(row, 6, filter->limit);
	sqlite3_progress_handler(sink->view, SEARCH_STEPS, search_on, &search);
	rg_json_write_array_begin(writer);
	while ((result = sqlite3_step(row)) == SQLITE_ROW)
		write_decision(sink->options.schema, row, writer);
	rg_json_write_array_end(writer);
	sqlite3_finalize(row);
	sqlite3_progress_handler(sink->view, 0, NULL, NULL);
	if (result == SQLITE_INTERRUPT)
		return rg_error_set(err, RG_ELIMIT,
				    "too many decisions to look through in %llu s: ask for fewer "
				    "(limit), or ask the file itself: sqlite3 -readonly %s",
				    RG_SINK_SEARCH_NS / 1000000000u, sink->path);
	if (result != SQLITE_DONE)
		return fail(sink->view, sink->path, "cannot read decisions", err);
	return writer->failed ? rg_error_set(err, RG_ENOMEM, "out of memory") : RG_OK;
}

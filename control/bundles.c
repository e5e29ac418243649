/* SPDX-License-Identifier: Apache-2.0 */
#include "control/bundles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/json_member.h"
#include "base/log.h"
#include "bundle/members.h"
#include "control/folder_watch.h"
#include "control/sync.h"

#define STATE_BYTES_MAX (64 << 10)
#define NS_PER_S	1000000000ull

struct entry {
	const struct rg_config_bundle *bundle;
	struct rg_sync sync;
	struct rg_folder_watch *watch; /* NULL: a server */
	char folder[RG_POLICY_SET_PATH_BYTES];
	bool has_active;
	char type[16];	 /* of the last activation: "snapshot", "delta" */
	char sha256[65]; /* of its content; "": not known */
	uint64_t size;
	struct rg_bundle_age age; /* revisions[0]: the active one */
};

struct rg_bundles {
	struct rg_bundles_options options;
	struct entry *entries;
	uint32_t count, next; /* the next to look at, so that all have their turn */
	bool activating, begun;
	uint64_t now_ns, unix_ns, started_unix_ns;
	uint64_t refusals[RG_BUNDLES_CAUSES];
	struct rg_bundles_listener listener;
};

/* ---- on disk ---- */

static void entry_path(const struct entry *entry, const char *file,
		       char path[static RG_POLICY_SET_PATH_BYTES])
{
	snprintf(path, RG_POLICY_SET_PATH_BYTES, "%s/%s", entry->folder, file);
}

static int write_whole(const char *path, const char *text, size_t bytes, struct rg_error *err)
{
	char fresh[RG_POLICY_SET_PATH_BYTES + 8];
	FILE *file;
	bool ok;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	file = fopen(fresh, "we");
	ok = file && fwrite(text, 1, bytes, file) == bytes && !fflush(file) && !fsync(fileno(file));
	if (file && fclose(file))
		ok = false;
	RG_FAILPOINT("bundles.file_written");
	if (!ok || RG_FAILPOINT_FAILS("bundles.rename") || rename(fresh, path)) {
		rg_error_set_errno(err, RG_EIO, errno, "%s", path);
		unlink(fresh);
		return RG_EIO;
	}
	return RG_OK;
}

static void key_text(struct rg_json_writer *writer, const char *key, const char *text)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, text);
}

static void key_int(struct rg_json_writer *writer, const char *key, int64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_int(writer, value);
}

static int write_state(const struct entry *entry, struct rg_error *err)
{
	char path[RG_POLICY_SET_PATH_BYTES];
	struct rg_json_writer writer;
	int rc;

	entry_path(entry, "state.json", path);
	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	key_text(&writer, "etag", entry->sync.etag);
	key_text(&writer, "type", entry->type);
	key_int(&writer, "size", (int64_t)entry->size);
	key_int(&writer, "version", entry->age.version);
	key_int(&writer, "issued_at", entry->age.issued_at);
	key_int(&writer, "activated_ns", (int64_t)entry->sync.times.last_successful_activation);
	rg_json_write_key(&writer, "revisions");
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < entry->age.revision_count; i++)
		rg_json_write_string(&writer, entry->age.revisions[i]);
	rg_json_write_array_end(&writer);
	rg_json_write_object_end(&writer);
	rc = writer.failed ? rg_error_set(err, RG_ENOMEM, "out of memory")
			   : write_whole(path, writer.text, writer.bytes, err);
	rg_json_writer_free(&writer);
	return rc;
}

static bool read_string(struct rg_json_reader *reader, char *text, size_t bytes)
{
	char decoded[3 * RG_SYNC_ETAG_BYTES];
	size_t n;

	if (rg_json_next(reader) != RG_JSON_STRING || reader->text_bytes * 3 > sizeof(decoded))
		return false;
	n = rg_json_decode(reader, decoded);
	if (n >= bytes)
		return false;
	memcpy(text, decoded, n);
	text[n] = '\0';
	return true;
}

static bool read_int(struct rg_json_reader *reader, int64_t *value)
{
	return rg_json_next(reader) == RG_JSON_NUMBER &&
	       rg_json_int64(reader->text, reader->text_bytes, value);
}

static bool read_revisions(struct rg_json_reader *reader, struct rg_bundle_age *age)
{
	if (rg_json_next(reader) != RG_JSON_ARRAY_BEGIN)
		return false;
	while (age->revision_count < RG_BUNDLE_SET_HISTORY_MAX) {
		struct rg_json_reader before = *reader;

		if (rg_json_next(reader) == RG_JSON_ARRAY_END)
			return true;
		*reader = before;
		if (!read_string(reader, age->revisions[age->revision_count],
				 sizeof(age->revisions[0])))
			return false;
		age->revision_count++;
	}
	return rg_json_next(reader) == RG_JSON_ARRAY_END;
}

/* state.json into the entry; etag is given back. False: it cannot be used. */
static bool parse_state(struct entry *entry, const char *text, size_t bytes,
			char etag[static RG_SYNC_ETAG_BYTES], uint64_t *activated_ns)
{
	struct rg_json_reader reader;
	int64_t size = 0, activated = 0;
	bool ok = true;

	rg_json_reader_init(&reader, text, bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return false;
	while (ok && rg_json_next(&reader) == RG_JSON_KEY) {
		if (rg_json_equals(&reader, "etag"))
			ok = read_string(&reader, etag, RG_SYNC_ETAG_BYTES);
		else if (rg_json_equals(&reader, "type"))
			ok = read_string(&reader, entry->type, sizeof(entry->type));
		else if (rg_json_equals(&reader, "size"))
			ok = read_int(&reader, &size);
		else if (rg_json_equals(&reader, "version"))
			ok = read_int(&reader, &entry->age.version);
		else if (rg_json_equals(&reader, "issued_at"))
			ok = read_int(&reader, &entry->age.issued_at);
		else if (rg_json_equals(&reader, "activated_ns"))
			ok = read_int(&reader, &activated);
		else if (rg_json_equals(&reader, "revisions"))
			ok = read_revisions(&reader, &entry->age);
		else
			ok = false;
	}
	entry->size = (uint64_t)size;
	*activated_ns = (uint64_t)activated;
	return ok && !reader.error.status;
}

static void read_state(struct entry *entry, char etag[static RG_SYNC_ETAG_BYTES],
		       uint64_t *activated_ns)
{
	char path[RG_POLICY_SET_PATH_BYTES], *text;
	struct rg_error err;
	size_t bytes;

	entry_path(entry, "active.tar.gz", path);
	entry->has_active = !access(path, R_OK);
	entry_path(entry, "state.json", path);
	if (!entry->has_active ||
	    rg_member_read_file(AT_FDCWD, path, STATE_BYTES_MAX, &text, &bytes, &err))
		return;
	if (!parse_state(entry, text, bytes, etag, activated_ns)) {
		/* its content is good all the same: it is only downloaded once more */
		rg_log(RG_LOG_WARNING, "bundle=%s file=%s cannot be read", entry->bundle->name,
		       path);
		memset(&entry->age, 0, sizeof(entry->age));
		entry->age.version = -1;
		etag[0] = '\0';
	}
	free(text);
}

static int make_folder(const char *path, struct rg_error *err)
{
	if (mkdir(path, 0750) && errno != EEXIST)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	return RG_OK;
}

/* ---- opening ---- */

static bool has_changed(void *context, uint64_t now_ns)
{
	return rg_folder_watch_changed(context, now_ns);
}

static int open_entry(struct rg_bundles *bundles, uint32_t index, struct rg_error *err)
{
	const struct rg_config_opa_sections *config = bundles->options.config;
	struct entry *entry = &bundles->entries[index];
	char etag[RG_SYNC_ETAG_BYTES] = "", path[RG_POLICY_SET_PATH_BYTES];
	struct rg_sync_options options = {.bundle = &config->bundles[index],
					  .client = bundles->options.client,
					  .seed = bundles->options.seed + index,
					  .changed = has_changed};
	uint64_t activated_ns = 0;
	int rc;

	entry->bundle = options.bundle;
	entry->age.version = -1;
	snprintf(entry->folder, sizeof(entry->folder), "%s/bundles/%s",
		 bundles->options.state_directory, entry->bundle->name);
	rc = make_folder(entry->folder, err);
	if (rc)
		return rc;
	entry_path(entry, "active.tar.gz", path);
	if (!entry->bundle->persist)
		unlink(path);
	read_state(entry, etag, &activated_ns);
	if (entry->bundle->service) {
		options.service = rg_config_service_find(config, entry->bundle->service);
	} else {
		entry->watch = rg_folder_watch_new(entry->bundle->resource + strlen("file://"));
		if (!entry->watch)
			return rg_error_set(err, RG_ENOMEM, "out of memory");
		options.context = entry->watch;
	}
	rg_sync_init(&entry->sync, &options, etag);
	entry->sync.times.last_successful_activation = activated_ns;
	return RG_OK;
}

int rg_bundles_new(const struct rg_bundles_options *options, struct rg_bundles **out,
		   struct rg_error *err)
{
	uint32_t count = options->config->bundles_count;
	struct rg_bundles *bundles = calloc(1, sizeof(*bundles));
	char path[RG_POLICY_SET_PATH_BYTES];
	int rc = RG_OK;

	if (bundles)
		bundles->entries = calloc(count + 1, sizeof(*bundles->entries));
	if (!bundles || !bundles->entries) {
		free(bundles);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	bundles->options = *options;
	if (count > RG_BUNDLE_SET_MAX)
		rc = rg_error_set(err, RG_ELIMIT, "bundles: %u are more than %d", count,
				  RG_BUNDLE_SET_MAX);
	snprintf(path, sizeof(path), "%s/bundles", options->state_directory);
	if (!rc && count)
		rc = make_folder(path, err);
	for (uint32_t i = 0; !rc && i < count; i++) {
		bundles->count = i + 1;
		rc = open_entry(bundles, i, err);
	}
	if (rc)
		rg_bundles_delete(bundles);
	else
		*out = bundles;
	return rc;
}

void rg_bundles_delete(struct rg_bundles *bundles)
{
	if (!bundles)
		return;
	for (uint32_t i = 0; i < bundles->count; i++) {
		rg_sync_free(&bundles->entries[i].sync);
		rg_folder_watch_free(bundles->entries[i].watch);
	}
	free(bundles->entries);
	free(bundles);
}

void rg_bundles_listen(struct rg_bundles *bundles, const struct rg_bundles_listener *listener)
{
	bundles->listener = *listener;
}

static void note(const struct rg_bundles *bundles, const struct entry *entry, const char *text)
{
	char event[96];

	snprintf(event, sizeof(event), "bundle_failed bundle=%s", entry->bundle->name);
	bundles->options.note(bundles->options.context, event, text);
}

/* ---- activating ---- */

static struct entry *find(const struct rg_bundles *bundles, const char *name)
{
	for (uint32_t i = 0; i < bundles->count; i++) {
		if (!strcmp(bundles->entries[i].bundle->name, name))
			return &bundles->entries[i];
	}
	return NULL;
}

static bool is_complete(const struct rg_bundles *bundles)
{
	for (uint32_t i = 0; i < bundles->count; i++) {
		const struct entry *entry = &bundles->entries[i];

		if (!entry->has_active && entry->sync.state != RG_SYNC_READY)
			return false;
	}
	return true;
}

/* The next that has something new; NULL: none. */
static struct entry *next_ready(struct rg_bundles *bundles)
{
	for (uint32_t i = 0; i < bundles->count; i++) {
		struct entry *entry = &bundles->entries[(bundles->next + i) % bundles->count];

		if (entry->sync.state == RG_SYNC_READY) {
			bundles->next = (bundles->next + i + 1) % bundles->count;
			return entry;
		}
	}
	return NULL;
}

static void count_refusal(struct rg_bundles *bundles, const struct rg_error *err)
{
	enum rg_bundles_cause cause = RG_BUNDLES_OTHER;

	if (strstr(err->text, "signature"))
		cause = RG_BUNDLES_SIGNATURE;
	else if (err->status == RG_EVERSION)
		cause = RG_BUNDLES_OLDER;
	else if (err->status == RG_ECONFLICT)
		cause = RG_BUNDLES_ROOTS;
	else if (err->status == RG_ELIMIT)
		cause = RG_BUNDLES_LIMIT;
	else if (err->status == RG_EMISSING)
		cause = RG_BUNDLES_BUILTIN;
	bundles->refusals[cause]++;
}

static void keep_active(struct rg_bundles *bundles, struct entry *entry,
			const struct rg_bundle_found *found)
{
	char snapshot[RG_POLICY_SET_PATH_BYTES], active[RG_POLICY_SET_PATH_BYTES];
	bool is_same = !strcmp(entry->sha256, found->sha256); /* from a server without ETags */
	struct rg_bundle_age *age = &entry->age;
	struct rg_error err;

	entry_path(entry, "snapshot", snapshot);
	entry_path(entry, "active.tar.gz", active);
	RG_FAILPOINT("bundles.settled");
	if (rename(snapshot, active))
		note(bundles, entry, strerror(errno));
	else
		entry->has_active = true;
	RG_FAILPOINT("bundles.active_renamed");
	if (!age->revision_count || strcmp(age->revisions[0], found->revision)) {
		memmove(age->revisions[1], age->revisions[0],
			sizeof(age->revisions) - sizeof(age->revisions[0]));
		snprintf(age->revisions[0], sizeof(age->revisions[0]), "%s", found->revision);
		if (age->revision_count < RG_BUNDLE_SET_HISTORY_MAX)
			age->revision_count++;
	}
	age->version = found->version;
	age->issued_at = found->issued_at;
	entry->size = found->size;
	snprintf(entry->type, sizeof(entry->type), "%s", found->is_delta ? "delta" : "snapshot");
	rg_sync_activated(&entry->sync, bundles->now_ns, bundles->unix_ns);
	snprintf(entry->sha256, sizeof(entry->sha256), "%s", found->sha256);
	if (write_state(entry, &err))
		note(bundles, entry, err.text);
	if (is_same)
		return;
	rg_log(RG_LOG_INFO, "bundle_active bundle=%s revision=%s type=%s", entry->bundle->name,
	       found->revision, entry->type);
	if (bundles->listener.activated)
		bundles->listener.activated(bundles->listener.context, entry->bundle->name, active,
					    entry->sync.etag, found->revision);
}

void rg_bundles_settled(struct rg_bundles *bundles, struct rg_policy_set *set,
			const struct rg_error *err)
{
	bundles->activating = false;
	if (err)
		count_refusal(bundles, err);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct rg_policy_set_member *member = &set->members[i];
		struct entry *entry = find(bundles, member->bundle->name);
		char snapshot[RG_POLICY_SET_PATH_BYTES];

		if (!member->is_fresh)
			continue;
		if (!err) {
			keep_active(bundles, entry, &member->found);
			continue;
		}
		entry_path(entry, "snapshot", snapshot);
		unlink(snapshot);
		rg_sync_refused(&entry->sync, err, bundles->now_ns);
	}
	rg_policy_set_free(set);
}

/* Publish: `fresh` (NULL: nothing is new) and whatever else was never active. */
static void activate(struct rg_bundles *bundles, struct entry *fresh)
{
	struct rg_policy_set *set = rg_policy_set_new(bundles->options.config, bundles->count);
	char why[128];
	struct rg_error err;

	if (!set)
		return; /* once more in the next turn */
	for (uint32_t i = 0; i < bundles->count; i++) {
		struct entry *entry = &bundles->entries[i];
		struct rg_policy_set_member *member = &set->members[i];

		member->bundle = entry->bundle;
		member->has_active = entry->has_active;
		member->age = entry->age;
		member->is_fresh = entry == fresh || !entry->has_active;
		strcpy(member->folder, entry->folder);
		if (member->is_fresh)
			rg_sync_take(&entry->sync, &member->body, &member->body_bytes);
	}
	snprintf(why, sizeof(why), "bundle %s", fresh ? fresh->bundle->name : "on disk");
	bundles->activating = true;
	if (bundles->options.push(bundles->options.context, set, why, &err))
		rg_bundles_settled(bundles, set, &err);
}

uint32_t rg_bundles_do_work(struct rg_bundles *bundles, uint64_t now_ns, uint64_t unix_ns)
{
	struct entry *ready;
	uint32_t work = 0;

	bundles->now_ns = now_ns;
	bundles->unix_ns = unix_ns;
	if (!bundles->started_unix_ns)
		bundles->started_unix_ns = unix_ns;
	for (uint32_t i = 0; i < bundles->count; i++) {
		struct entry *entry = &bundles->entries[i];
		uint64_t failures = entry->sync.counters.failures;

		work += rg_sync_step(&entry->sync, now_ns, unix_ns);
		if (entry->sync.counters.failures != failures)
			note(bundles, entry, entry->sync.last_error.text);
	}
	if (bundles->activating || !bundles->count || !is_complete(bundles))
		return work;
	ready = next_ready(bundles);
	if (ready || (!bundles->begun && !bundles->options.has_policy(bundles->options.context))) {
		activate(bundles, ready);
		work++;
	}
	bundles->begun = true;
	return work;
}

int rg_bundles_trigger(struct rg_bundles *bundles, const char *name, struct rg_error *err)
{
	bool found = false;

	for (uint32_t i = 0; i < bundles->count; i++) {
		if (name && strcmp(bundles->entries[i].bundle->name, name))
			continue;
		rg_sync_trigger(&bundles->entries[i].sync);
		found = true;
	}
	return found ? RG_OK
		     : rg_error_set(err, RG_ENOENT,
				    "there is no bundle \"%s\" in the configuration",
				    name ? name : "");
}

int rg_bundles_offer(struct rg_bundles *bundles, const char *name, const void *bytes,
		     size_t byte_count, const char *etag, struct rg_error *err)
{
	struct entry *entry = find(bundles, name);
	char *copy = entry ? malloc(byte_count + 1) : NULL;

	if (!entry)
		return rg_error_set(err, RG_ENOENT,
				    "there is no bundle \"%s\" in the configuration", name);
	if (!copy)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	memcpy(copy, bytes, byte_count);
	if (rg_sync_offer(&entry->sync, copy, byte_count, etag, bundles->unix_ns))
		return rg_error_set(err, RG_EAGAIN, "bundle %s: another one is being activated",
				    name);
	return RG_OK;
}

/* ---- telling ---- */

/* OPA tells a time that has not been as the year 1. */
static void key_reported_time(struct rg_json_writer *writer, const char *key, uint64_t unix_ns)
{
	if (unix_ns)
		rg_json_member_time(writer, key, unix_ns);
	else
		key_text(writer, key, "0001-01-01T00:00:00Z");
}

/* What OPA tells of a bundle. */
static void write_reported(const struct entry *entry, struct rg_json_writer *writer,
			   void (*write_time)(struct rg_json_writer *writer, const char *key,
					      uint64_t unix_ns))
{
	const struct rg_sync *sync = &entry->sync;
	const struct rg_sync_times *times = &sync->times;

	key_text(writer, "name", entry->bundle->name);
	if (entry->age.revision_count)
		key_text(writer, "active_revision", entry->age.revisions[0]);
	if (entry->type[0])
		key_text(writer, "type", entry->type);
	if (entry->size)
		key_int(writer, "size", (int64_t)entry->size);
	write_time(writer, "last_request", times->last_request);
	write_time(writer, "last_successful_request", times->last_successful_request);
	write_time(writer, "last_successful_download", times->last_successful_download);
	write_time(writer, "last_successful_activation", times->last_successful_activation);
	if (sync->last_error.status) {
		key_text(writer, "code", "bundle_error");
		key_text(writer, "message", sync->last_error.text);
	}
	if (sync->last_error.status && sync->last_code)
		key_int(writer, "http_code", sync->last_code);
}

static void write_entry(const struct entry *entry, struct rg_json_writer *writer)
{
	const struct rg_sync *sync = &entry->sync;

	rg_json_write_object_begin(writer);
	write_reported(entry, writer, rg_json_member_time);
	key_text(writer, "etag", sync->etag);
	key_text(writer, "state", rg_sync_state_name(sync->state));
	if (sync->last_error.status)
		key_text(writer, "last_error", sync->last_error.text);
	key_int(writer, "requests", (int64_t)sync->counters.requests);
	key_int(writer, "failures", (int64_t)sync->counters.failures);
	key_int(writer, "activations", (int64_t)sync->counters.activations);
	key_int(writer, "refusals", (int64_t)sync->counters.refusals);
	rg_json_write_object_end(writer);
}

void rg_bundles_write_status(const struct rg_bundles *bundles, struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	for (uint32_t i = 0; i < bundles->count; i++) {
		rg_json_write_key(writer, bundles->entries[i].bundle->name);
		write_entry(&bundles->entries[i], writer);
	}
	rg_json_write_object_end(writer);
}

void rg_bundles_write_report(const struct rg_bundles *bundles, struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	for (uint32_t i = 0; i < bundles->count; i++) {
		rg_json_write_key(writer, bundles->entries[i].bundle->name);
		rg_json_write_object_begin(writer);
		write_reported(&bundles->entries[i], writer, key_reported_time);
		rg_json_write_object_end(writer);
	}
	rg_json_write_object_end(writer);
}

uint64_t rg_bundles_change(const struct rg_bundles *bundles)
{
	uint64_t change = 0;

	for (uint32_t i = 0; i < bundles->count; i++) {
		const struct rg_sync_counters *counters = &bundles->entries[i].sync.counters;

		change += counters->failures + counters->not_modified + counters->downloads +
			  counters->activations + counters->refusals;
	}
	return change;
}

void rg_bundles_count(const struct rg_bundles *bundles, uint32_t *count, uint32_t *active)
{
	*count = bundles->count;
	*active = 0;
	for (uint32_t i = 0; i < bundles->count; i++)
		*active += bundles->entries[i].has_active;
}

void rg_bundles_statistics(const struct rg_bundles *bundles, uint64_t unix_ns,
			   struct rg_bundles_statistics *statistics)
{
	memset(statistics, 0, sizeof(*statistics));
	memcpy(statistics->refusals, bundles->refusals, sizeof(bundles->refusals));
	for (uint32_t i = 0; i < bundles->count; i++) {
		const struct rg_sync *sync = &bundles->entries[i].sync;
		uint64_t since_ns = sync->times.last_successful_request, age_ns;

		statistics->requests += sync->counters.requests;
		statistics->failures += sync->counters.failures;
		statistics->not_modified += sync->counters.not_modified;
		statistics->activations += sync->counters.activations;
		if (bundles->entries[i].watch)
			continue; /* it is told when something changes */
		if (!since_ns)
			since_ns = bundles->started_unix_ns;
		age_ns = unix_ns > since_ns ? unix_ns - since_ns : 0;
		if (age_ns / NS_PER_S > statistics->stale_seconds)
			statistics->stale_seconds = age_ns / NS_PER_S;
	}
}

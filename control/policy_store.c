/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "bundle/members.h"

#define POLICIES_MAX	   100000
#define META_BYTES_MAX	   (1u << 16)
#define REASONS_BYTES_MAX  (64u << 20)
#define SEQUENCE_BYTES_MAX 64

struct rg_policy_store {
	char *state_directory;
	int directory; /* state_directory */
	int policies;  /* state_directory/policies */
	uint32_t keep;
	struct rg_policy_meta *metas; /* the newest first */
	uint32_t count, capacity;
	uint64_t sequence;
	struct rg_reason_list reasons;
	char damage[512];
};

const char *rg_policy_state_name(enum rg_policy_state state)
{
	static const char *const names[] = {"announced", "active", "replaced", "waiting"};

	return state <= RG_POLICY_WAITING ? names[state] : "unknown";
}

/* ---- files ---- */

static int write_all(int fd, const char *bytes, size_t count)
{
	size_t done = 0;

	while (done < count) {
		ssize_t n = write(fd, bytes + done, count - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* Write a file durably under its own name: for folders that are not visible yet. */
static int write_file(int directory, const char *name, const char *bytes, size_t count,
		      struct rg_error *err)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int failed;

	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "writing %s", name);
	failed = RG_FAILPOINT_FAILS("store.write") || write_all(fd, bytes, count) || fsync(fd)
			 ? errno
			 : 0;
	close(fd);
	return failed ? rg_error_set_errno(err, RG_EIO, failed, "writing %s", name) : RG_OK;
}

/* Replace a file atomically and durably. */
static int replace_file(int directory, const char *name, const char *bytes, size_t count,
			struct rg_error *err)
{
	char temporary[64];
	int rc;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	rc = write_file(directory, temporary, bytes, count, err);
	RG_FAILPOINT("store.file_written");
	if (!rc && (RG_FAILPOINT_FAILS("store.rename") ||
		    renameat(directory, temporary, directory, name) || fsync(directory)))
		rc = rg_error_set_errno(err, RG_EIO, errno, "writing %s", name);
	RG_FAILPOINT("store.file_renamed");
	if (rc)
		unlinkat(directory, temporary, 0);
	return rc;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static int make_folder(const char *path, struct rg_error *err)
{
	if (mkdir(path, 0750) && errno != EEXIST)
		return rg_error_set_errno(err, RG_EIO, errno, "making %s", path);
	return RG_OK;
}

void rg_policy_store_folder(const char *state_directory, uint64_t sequence, char *path,
			    size_t path_bytes)
{
	snprintf(path, path_bytes, "%s/policies/%llu", state_directory,
		 (unsigned long long)sequence);
}

void rg_policy_store_uploads(const char *state_directory, char *path, size_t path_bytes)
{
	snprintf(path, path_bytes, "%s/uploads", state_directory);
}

void rg_policy_store_path(const struct rg_policy_store *store, uint64_t sequence, char *path,
			  size_t path_bytes)
{
	rg_policy_store_folder(store->state_directory, sequence, path, path_bytes);
}

/* ---- meta.json ---- */

static void write_text(struct rg_json_writer *writer, const char *key, const char *value)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, value);
}

static void write_number(struct rg_json_writer *writer, const char *key, uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

void rg_policy_meta_write(const struct rg_policy_meta *meta, struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	write_number(writer, "sequence", meta->sequence);
	write_text(writer, "state", rg_policy_state_name(meta->state));
	write_text(writer, "bundle", meta->bundle);
	write_text(writer, "revision", meta->revision);
	write_text(writer, "sha256", meta->sha256);
	write_text(writer, "source", meta->source);
	write_text(writer, "why", meta->why);
	write_text(writer, "reason", meta->reason);
	write_text(writer, "user", meta->user);
	write_text(writer, "approved_by", meta->approved_by);
	write_number(writer, "uid", meta->uid);
	rg_json_write_key(writer, "signed");
	rg_json_write_bool(writer, meta->is_signed);
	if (meta->has_version)
		write_number(writer, "version", meta->version);
	write_number(writer, "rollback_of", meta->rollback_of);
	write_number(writer, "time_ns", meta->pushed_ns);
	write_number(writer, "activated_ns", meta->activated_ns);
	write_number(writer, "expires_ns", meta->expires_ns);
	write_number(writer, "image_bytes", meta->image_bytes);
	write_number(writer, "load_ns", meta->load_ns);
	write_number(writer, "compile_ns", meta->compile_ns);
	rg_json_write_object_end(writer);
}

/* Where a key's text value goes, or NULL. */
static char *text_of(struct rg_policy_meta *meta, const struct rg_json_reader *reader,
		     size_t *bytes)
{
	const struct {
		const char *key;
		char *text;
		size_t bytes;
	} texts[] = {{"bundle", meta->bundle, sizeof(meta->bundle)},
		     {"revision", meta->revision, sizeof(meta->revision)},
		     {"sha256", meta->sha256, sizeof(meta->sha256)},
		     {"source", meta->source, sizeof(meta->source)},
		     {"why", meta->why, sizeof(meta->why)},
		     {"reason", meta->reason, sizeof(meta->reason)},
		     {"user", meta->user, sizeof(meta->user)},
		     {"approved_by", meta->approved_by, sizeof(meta->approved_by)}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (rg_json_equals(reader, texts[i].key)) {
			*bytes = texts[i].bytes;
			return texts[i].text;
		}
	}
	return NULL;
}

static uint64_t *number_of(struct rg_policy_meta *meta, const struct rg_json_reader *reader)
{
	const struct {
		const char *key;
		uint64_t *number;
	} numbers[] = {{"sequence", &meta->sequence},	    {"rollback_of", &meta->rollback_of},
		       {"time_ns", &meta->pushed_ns},	    {"activated_ns", &meta->activated_ns},
		       {"image_bytes", &meta->image_bytes}, {"load_ns", &meta->load_ns},
		       {"compile_ns", &meta->compile_ns},   {"expires_ns", &meta->expires_ns}};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (rg_json_equals(reader, numbers[i].key))
			return numbers[i].number;
	}
	return NULL;
}

static int read_text(struct rg_json_reader *reader, char *text, size_t bytes, struct rg_error *err)
{
	if (rg_json_next(reader) != RG_JSON_STRING || reader->text_bytes * 3 + 1 > bytes * 3)
		return rg_error_set(err, RG_EINVAL, "a text is missing or too long");
	if (reader->text_bytes >= bytes)
		return rg_error_set(err, RG_ELIMIT, "a text is too long");
	if (reader->escaped) {
		char decoded[4096];
		size_t n;

		if (reader->text_bytes * 3 > sizeof(decoded))
			return rg_error_set(err, RG_ELIMIT, "a text is too long");
		n = rg_json_decode(reader, decoded);
		n = n < bytes ? n : bytes - 1;
		memcpy(text, decoded, n);
		text[n] = '\0';
		return RG_OK;
	}
	text[rg_json_decode(reader, text)] = '\0';
	return RG_OK;
}

static int read_number(struct rg_json_reader *reader, uint64_t *number, struct rg_error *err)
{
	int64_t value;

	if (rg_json_next(reader) != RG_JSON_NUMBER ||
	    !rg_json_int64(reader->text, reader->text_bytes, &value) || value < 0)
		return rg_error_set(err, RG_EINVAL, "a number is missing or out of range");
	*number = (uint64_t)value;
	return RG_OK;
}

static int read_state(struct rg_json_reader *reader, enum rg_policy_state *state,
		      struct rg_error *err)
{
	char name[32];
	int rc = read_text(reader, name, sizeof(name), err);

	if (rc)
		return rc;
	for (*state = RG_POLICY_ANNOUNCED; *state <= RG_POLICY_WAITING; ++*state) {
		if (!strcmp(name, rg_policy_state_name(*state)))
			return RG_OK;
	}
	return rg_error_set(err, RG_EINVAL, "unknown state \"%s\"", name);
}

static int read_key(struct rg_json_reader *reader, struct rg_policy_meta *meta,
		    struct rg_error *err)
{
	size_t bytes = 0;
	char *text = text_of(meta, reader, &bytes);
	uint64_t *number = number_of(meta, reader), uid = 0;
	int rc;

	if (text)
		return read_text(reader, text, bytes, err);
	if (number)
		return read_number(reader, number, err);
	if (rg_json_equals(reader, "state"))
		return read_state(reader, &meta->state, err);
	if (rg_json_equals(reader, "uid")) {
		rc = read_number(reader, &uid, err);
		meta->uid = (uint32_t)uid;
		return rc;
	}
	if (rg_json_equals(reader, "signed")) {
		meta->is_signed = rg_json_next(reader) == RG_JSON_TRUE;
		return RG_OK;
	}
	if (rg_json_equals(reader, "version")) {
		meta->has_version = true;
		return read_number(reader, &meta->version, err);
	}
	rg_json_next(reader); /* a later version's */
	return rg_json_skip(reader);
}

static int parse_meta(const char *json, size_t bytes, struct rg_policy_meta *meta,
		      struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;

	memset(meta, 0, sizeof(*meta));
	rg_json_reader_init(&reader, json, bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return rg_error_set(err, RG_EINVAL, "not an object");
	while ((token = rg_json_next(&reader)) == RG_JSON_KEY) {
		int rc = read_key(&reader, meta, err);

		if (rc)
			return rc;
	}
	if (token != RG_JSON_OBJECT_END)
		return rg_error_set(err, RG_EINVAL, "%s", reader.error.text);
	return RG_OK;
}

static int write_meta(int folder, const struct rg_policy_meta *meta, bool replace,
		      struct rg_error *err)
{
	struct rg_json_writer writer;
	int rc;

	rg_json_writer_init(&writer, true);
	rg_policy_meta_write(meta, &writer);
	if (writer.failed)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	else if (replace)
		rc = replace_file(folder, "meta.json", writer.text, writer.bytes, err);
	else
		rc = write_file(folder, "meta.json", writer.text, writer.bytes, err);
	rg_json_writer_free(&writer);
	return rc;
}

/* Write the meta of a stored policy anew. */
static int rewrite_meta(struct rg_policy_store *store, const struct rg_policy_meta *meta,
			struct rg_error *err)
{
	char name[32];
	int folder, rc;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)meta->sequence);
	folder = openat(store->policies, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "policy %s", name);
	rc = write_meta(folder, meta, true, err);
	close(folder);
	return rc ? rg_error_prefix(err, "policy %s", name) : RG_OK;
}

/* ---- the list ---- */

static int insert(struct rg_policy_store *store, const struct rg_policy_meta *meta,
		  struct rg_error *err)
{
	uint32_t at = 0;

	if (store->count == store->capacity) {
		uint32_t capacity = store->capacity ? store->capacity * 2 : 32;
		struct rg_policy_meta *grown =
			capacity > POLICIES_MAX
				? NULL
				: reallocarray(store->metas, capacity, sizeof(*grown));

		if (!grown)
			return rg_error_set(err, RG_ENOMEM, "too many stored policies");
		store->metas = grown;
		store->capacity = capacity;
	}
	while (at < store->count && store->metas[at].sequence > meta->sequence)
		at++;
	memmove(&store->metas[at + 1], &store->metas[at],
		(store->count - at) * sizeof(store->metas[0]));
	store->metas[at] = *meta;
	store->count++;
	return RG_OK;
}

static struct rg_policy_meta *find(const struct rg_policy_store *store, uint64_t sequence)
{
	for (uint32_t i = 0; i < store->count; i++) {
		if (store->metas[i].sequence == sequence)
			return &store->metas[i];
	}
	return NULL;
}

const char *rg_policy_store_damage(const struct rg_policy_store *store)
{
	return store->damage;
}

uint32_t rg_policy_store_count(const struct rg_policy_store *store)
{
	return store->count;
}

const struct rg_policy_meta *rg_policy_store_at(const struct rg_policy_store *store, uint32_t index)
{
	return index < store->count ? &store->metas[index] : NULL;
}

const struct rg_policy_meta *rg_policy_store_find(const struct rg_policy_store *store,
						  uint64_t sequence)
{
	return find(store, sequence);
}

/* By sequence, which only grows; not by time: the clock may have gone back. */
const struct rg_policy_meta *rg_policy_store_last_active(const struct rg_policy_store *store)
{
	const struct rg_policy_meta *last = NULL;

	for (uint32_t i = 0; i < store->count; i++) { /* the newest first */
		if (store->metas[i].state == RG_POLICY_ACTIVE)
			return &store->metas[i];
		if (store->metas[i].activated_ns && !last)
			last = &store->metas[i];
	}
	return last;
}

/* ---- opening ---- */

/* A name that is a sequence in canonical form, else 0. */
static uint64_t sequence_of(const char *name)
{
	char canonical[32], *end;
	unsigned long long sequence;

	errno = 0;
	sequence = strtoull(name, &end, 10);
	if (errno || *end || !sequence)
		return 0;
	snprintf(canonical, sizeof(canonical), "%llu", sequence);
	return strcmp(canonical, name) ? 0 : sequence;
}

static int load_policy(struct rg_policy_store *store, const char *name, uint64_t sequence,
		       struct rg_error *err)
{
	struct rg_policy_meta meta;
	char path[64], *json;
	size_t bytes;
	int rc;

	snprintf(path, sizeof(path), "%s/meta.json", name);
	rc = rg_member_read_file(store->policies, path, META_BYTES_MAX, &json, &bytes, err);
	if (rc)
		return rc;
	rc = parse_meta(json, bytes, &meta, err);
	free(json);
	if (!rc && meta.sequence != sequence)
		rc = rg_error_set(err, RG_ECORRUPT, "says sequence %llu",
				  (unsigned long long)meta.sequence);
	if (rc)
		return rg_error_prefix(err, "policies/%s/meta.json", name);
	return insert(store, &meta, err);
}

static int load_policies(struct rg_policy_store *store, struct rg_error *err)
{
	int fd = openat(store->policies, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = RG_OK;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!stream)
		return rg_error_set_errno(err, RG_EIO, errno, "%s/policies",
					  store->state_directory);
	while (!rc && (entry = readdir(stream))) {
		uint64_t sequence = sequence_of(entry->d_name);
		size_t length = strlen(entry->d_name);

		if (sequence) {
			/* its number is taken in any case; without a readable meta it is passed
			 * over, and the others serve */
			if (sequence > store->sequence)
				store->sequence = sequence;
			rc = load_policy(store, entry->d_name, sequence, err);
			if (rc && rc != RG_ENOMEM) {
				snprintf(store->damage, sizeof(store->damage), "%.500s", err->text);
				rc = RG_OK;
			}
		} else if (length > 4 && !strcmp(entry->d_name + length - 4, ".new")) {
			char path[4096];

			snprintf(path, sizeof(path), "%s/policies/%s", store->state_directory,
				 entry->d_name);
			remove_tree(path); /* a crash left it */
		}
	}
	closedir(stream);
	return rc;
}

static int load_reasons(struct rg_policy_store *store, struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	size_t bytes;
	char *json;
	int rc = rg_member_read_file(store->directory, "reasons.json", REASONS_BYTES_MAX, &json,
				     &bytes, err);

	if (rc == RG_ENOENT)
		return RG_OK;
	if (rc)
		return rc;
	rg_json_reader_init(&reader, json, bytes);
	rc = rg_json_next(&reader) == RG_JSON_ARRAY_BEGIN ? RG_OK : RG_ECORRUPT;
	while (!rc && (token = rg_json_next(&reader)) != RG_JSON_ARRAY_END) {
		char *name = token == RG_JSON_STRING ? malloc(reader.text_bytes * 3 + 1) : NULL;
		uint32_t before = store->reasons.count;

		if (!name || rg_reason_list_add(&store->reasons, name,
						rg_json_decode(&reader, name)) != before + 1)
			rc = RG_ECORRUPT;
		free(name);
	}
	free(json);
	if (rc)
		return rg_error_set(err, RG_ECORRUPT,
				    "%s/reasons.json is damaged (entry %u): restore it from a "
				    "backup; the ids of reasons in "
				    "records depend on it",
				    store->state_directory, store->reasons.count + 1);
	return RG_OK;
}

static int load_sequence(struct rg_policy_store *store, struct rg_error *err)
{
	size_t bytes;
	char *text;
	uint64_t sequence;
	int rc = rg_member_read_file(store->directory, "sequence", SEQUENCE_BYTES_MAX, &text,
				     &bytes, err);

	if (rc == RG_ENOENT)
		return RG_OK;
	if (rc)
		return rc;
	text[strcspn(text, "\n")] = '\0';
	sequence = sequence_of(text);
	free(text);
	if (!sequence)
		return rg_error_set(err, RG_ECORRUPT,
				    "%s/sequence holds no sequence number: write the highest one "
				    "ever used into it",
				    store->state_directory);
	if (sequence > store->sequence)
		store->sequence = sequence;
	return RG_OK;
}

static int open_folders(struct rg_policy_store *store, struct rg_error *err)
{
	char path[4096];
	int rc = make_folder(store->state_directory, err);

	if (rc)
		return rg_error_prefix(err, "control.state_directory");
	store->directory = open(store->state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->directory < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "control.state_directory %s",
					  store->state_directory);
	/* Two stores in one folder would give out the same sequences and reason ids. */
	if (flock(store->directory, LOCK_EX | LOCK_NB))
		return rg_error_set_errno(
			err, errno == EWOULDBLOCK ? RG_ECONFLICT : RG_EIO, errno,
			"control.state_directory %s: another riskgate-control uses "
			"it: stop that, or give this instance a folder of its own",
			store->state_directory);
	snprintf(path, sizeof(path), "%s/policies", store->state_directory);
	rc = make_folder(path, err);
	if (rc)
		return rc;
	store->policies = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->policies < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	return RG_OK;
}

int rg_policy_store_open(const char *state_directory, uint32_t keep, struct rg_policy_store **out,
			 struct rg_error *err)
{
	struct rg_policy_store *store = calloc(1, sizeof(*store));
	char uploads[4096];
	int rc = RG_OK;

	if (!store)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	store->directory = store->policies = -1;
	store->keep = keep ? keep : 1;
	store->state_directory = strdup(state_directory);
	if (!store->state_directory)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	if (!rc)
		rc = open_folders(store, err);
	if (!rc) {
		rg_policy_store_uploads(state_directory, uploads, sizeof(uploads));
		remove_tree(uploads);
		rc = load_policies(store, err);
	}
	if (!rc)
		rc = load_sequence(store, err);
	if (!rc)
		rc = load_reasons(store, err);
	if (rc)
		rg_policy_store_close(store);
	else
		*out = store;
	return rc;
}

void rg_policy_store_close(struct rg_policy_store *store)
{
	if (!store)
		return;
	if (store->policies >= 0)
		close(store->policies);
	if (store->directory >= 0)
		close(store->directory);
	rg_reason_list_free(&store->reasons);
	free(store->metas);
	free(store->state_directory);
	free(store);
}

/* ---- changing ---- */

uint64_t rg_policy_store_sequence(const struct rg_policy_store *store)
{
	return store->sequence;
}

int rg_policy_store_note_sequence(struct rg_policy_store *store, uint64_t sequence,
				  struct rg_error *err)
{
	char text[32];
	int rc;

	if (sequence <= store->sequence)
		return RG_OK;
	rc = replace_file(
		store->directory, "sequence", text,
		(size_t)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)sequence), err);
	if (!rc)
		store->sequence = sequence;
	return rc;
}

/* The manifest of a stored bundle: its revision stays what it was, also where it was made from the
 * content. */
static int write_manifest(int folder, const struct rg_bundle *bundle, struct rg_error *err)
{
	struct rg_json_writer writer;
	int rc;

	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	write_text(&writer, "revision", bundle->revision);
	rg_json_write_key(&writer, "roots");
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < bundle->root_count; i++)
		rg_json_write_string(&writer, bundle->roots[i]);
	rg_json_write_array_end(&writer);
	if (bundle->rego_version >= 0)
		write_number(&writer, "rego_version", (uint64_t)bundle->rego_version);
	if (bundle->metadata_json) {
		rg_json_write_key(&writer, "metadata");
		rg_json_write_raw(&writer, bundle->metadata_json, strlen(bundle->metadata_json));
	}
	rg_json_write_object_end(&writer);
	rc = writer.failed ? rg_error_set(err, RG_ENOMEM, "out of memory")
			   : write_file(folder, ".manifest", writer.text, writer.bytes, err);
	rg_json_writer_free(&writer);
	return rc;
}

/* The Rego files, each under its own name; its folders are made. */
static int write_sources(int folder, const struct rg_bundle *bundle, struct rg_error *err)
{
	char name[RG_BUNDLE_NAME_BYTES_MAX + 1];
	int rc = RG_OK;

	for (uint32_t i = 0; !rc && i < bundle->source_count; i++) {
		const struct rg_bundle_source *source = &bundle->sources[i];

		snprintf(name, sizeof(name), "%s", source->name);
		for (char *slash = name; !rc && (slash = strchr(slash, '/')); *slash++ = '/') {
			*slash = '\0';
			if (mkdirat(folder, name, 0750) && errno != EEXIST)
				rc = rg_error_set_errno(err, RG_EIO, errno, "making %s", name);
		}
		if (!rc)
			rc = write_file(folder, name, source->text, strlen(source->text), err);
	}
	return rc;
}

int rg_policy_store_write_bundle(const char *state_directory, uint64_t sequence,
				 const struct rg_bundle *bundle, struct rg_error *err)
{
	char path[4096];
	int folder, rc;

	snprintf(path, sizeof(path), "%s/policies/%llu.new", state_directory,
		 (unsigned long long)sequence);
	remove_tree(path);
	if (mkdir(path, 0750))
		return rg_error_set_errno(err, RG_EIO, errno, "making %s", path);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	RG_FAILPOINT("store.bundle_folder");
	rc = write_file(folder, "plan.json", bundle->plan_json, bundle->plan_bytes, err);
	if (!rc)
		rc = write_file(folder, "data.json", bundle->data_json, bundle->data_bytes, err);
	if (!rc)
		rc = write_manifest(folder, bundle, err);
	if (!rc)
		rc = write_sources(folder, bundle, err);
	RG_FAILPOINT("store.bundle_written");
	close(folder);
	if (rc) {
		remove_tree(path);
		return rg_error_prefix(err, "%s", path);
	}
	return RG_OK;
}

void rg_policy_store_discard_bundle(const char *state_directory, uint64_t sequence)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/policies/%llu.new", state_directory,
		 (unsigned long long)sequence);
	remove_tree(path);
}

static int add(struct rg_policy_store *store, const struct rg_policy_meta *meta,
	       enum rg_policy_state state, struct rg_error *err)
{
	struct rg_policy_meta copy = *meta;
	char temporary[40], name[32];
	int folder, rc;

	copy.state = state;
	copy.activated_ns = 0;
	if (find(store, meta->sequence))
		return rg_error_set(err, RG_ECONFLICT, "policy %llu is stored already",
				    (unsigned long long)meta->sequence);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)meta->sequence);
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	folder = openat(store->policies, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s/policies/%s",
					  store->state_directory, temporary);
	rc = write_meta(folder, &copy, false, err);
	if (!rc && fsync(folder))
		rc = rg_error_set_errno(err, RG_EIO, errno, "%s/policies/%s",
					store->state_directory, temporary);
	close(folder);
	RG_FAILPOINT("store.meta_written");
	if (!rc &&
	    (RG_FAILPOINT_FAILS("store.add") ||
	     renameat(store->policies, temporary, store->policies, name) || fsync(store->policies)))
		rc = rg_error_set_errno(err, RG_EIO, errno, "%s/policies/%s",
					store->state_directory, name);
	RG_FAILPOINT("store.added");
	return rc ? rc : insert(store, &copy, err);
}

int rg_policy_store_add(struct rg_policy_store *store, const struct rg_policy_meta *meta,
			struct rg_error *err)
{
	return add(store, meta, RG_POLICY_ANNOUNCED, err);
}

int rg_policy_store_add_waiting(struct rg_policy_store *store, const struct rg_policy_meta *meta,
				struct rg_error *err)
{
	return add(store, meta, RG_POLICY_WAITING, err);
}

int rg_policy_store_superseded(struct rg_policy_store *store, uint64_t sequence,
			       struct rg_error *err)
{
	struct rg_policy_meta *meta = find(store, sequence);

	if (!meta)
		return rg_error_set(err, RG_ENOENT, "there is no policy %llu",
				    (unsigned long long)sequence);
	meta->state = RG_POLICY_REPLACED;
	return rewrite_meta(store, meta, err);
}

int rg_policy_store_remove(struct rg_policy_store *store, uint64_t sequence, struct rg_error *err)
{
	struct rg_policy_meta *meta = find(store, sequence);
	char path[4096], temporary[4100];
	uint32_t index;

	if (!meta)
		return rg_error_set(err, RG_ENOENT, "there is no policy %llu",
				    (unsigned long long)sequence);
	/* First its name goes, at once: half of a policy is never seen under it. */
	rg_policy_store_path(store, sequence, path, sizeof(path));
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (rename(path, temporary) || fsync(store->policies))
		return rg_error_set_errno(err, RG_EIO, errno, "removing %s", path);
	RG_FAILPOINT("store.removing");
	remove_tree(temporary);
	index = (uint32_t)(meta - store->metas);
	memmove(meta, meta + 1, (store->count - index - 1) * sizeof(*meta));
	store->count--;
	return RG_OK;
}

/* Remove the oldest policies beyond `keep`, but not the one in use. */
static void prune(struct rg_policy_store *store, uint64_t in_use)
{
	uint32_t waiting = 0;

	for (uint32_t i = 0; i < store->count; i++)
		waiting += store->metas[i].state == RG_POLICY_WAITING;
	for (uint32_t i = store->count; i > 0 && store->count - waiting > store->keep; i--) {
		enum rg_policy_state state = store->metas[i - 1].state;
		uint64_t sequence = store->metas[i - 1].sequence;

		if (sequence != in_use && state != RG_POLICY_ANNOUNCED &&
		    state != RG_POLICY_WAITING)
			rg_policy_store_remove(store, sequence, NULL);
	}
}

int rg_policy_store_activated(struct rg_policy_store *store, uint64_t sequence, uint64_t now_ns,
			      struct rg_error *err)
{
	struct rg_policy_meta *meta = find(store, sequence);
	int rc;

	if (!meta)
		return rg_error_set(err, RG_ENOENT, "there is no policy %llu",
				    (unsigned long long)sequence);
	meta->state = RG_POLICY_ACTIVE;
	meta->activated_ns = now_ns;
	rc = rewrite_meta(store, meta, err);
	RG_FAILPOINT("store.activated");
	for (uint32_t i = 0; !rc && i < store->count; i++) {
		struct rg_policy_meta *other = &store->metas[i];

		if (other->sequence == sequence || other->state != RG_POLICY_ACTIVE)
			continue;
		other->state = RG_POLICY_REPLACED;
		rc = rewrite_meta(store, other, err);
	}
	prune(store, sequence);
	return rc;
}

/* ---- reasons ---- */

const struct rg_reason_list *rg_policy_store_reasons(const struct rg_policy_store *store)
{
	return &store->reasons;
}

int rg_reason_list_copy(const struct rg_reason_list *from, struct rg_reason_list *to,
			struct rg_error *err)
{
	memset(to, 0, sizeof(*to));
	for (uint32_t i = 0; i < from->count; i++) {
		if (rg_reason_list_add(to, from->names[i], strlen(from->names[i])) != i + 1) {
			rg_reason_list_free(to);
			return rg_error_set(err, RG_ENOMEM, "out of memory for reason names");
		}
	}
	return RG_OK;
}

int rg_policy_store_set_reasons(struct rg_policy_store *store, const struct rg_reason_list *reasons,
				struct rg_error *err)
{
	struct rg_json_writer writer;
	struct rg_reason_list copy;
	int rc;

	if (reasons->count < store->reasons.count)
		return rg_error_set(err, RG_ECONFLICT, "reason names may only be added");
	for (uint32_t i = 0; i < store->reasons.count; i++) {
		if (strcmp(reasons->names[i], store->reasons.names[i]))
			return rg_error_set(err, RG_ECONFLICT,
					    "reason %u would change from \"%s\" to \"%s\"", i + 1,
					    store->reasons.names[i], reasons->names[i]);
	}
	if (reasons->count == store->reasons.count)
		return RG_OK;
	rc = rg_reason_list_copy(reasons, &copy, err);
	if (rc)
		return rc;
	rg_json_writer_init(&writer, true);
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < reasons->count; i++)
		rg_json_write_string(&writer, reasons->names[i]);
	rg_json_write_array_end(&writer);
	rc = writer.failed ? rg_error_set(err, RG_ENOMEM, "out of memory for reason names")
			   : replace_file(store->directory, "reasons.json", writer.text,
					  writer.bytes, err);
	rg_json_writer_free(&writer);
	if (rc) {
		rg_reason_list_free(&copy);
		return rc;
	}
	RG_FAILPOINT("store.reasons_written");
	rg_reason_list_free(&store->reasons);
	store->reasons = copy;
	return RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_decision_log.h"

#include <errno.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/failpoint.h"
#include "base/log.h"

#define RESPONSE_BYTES_MAX (64u << 10)
#define UPLOAD_MS_MAX	   60000
#define POLICIES_MAX	   256 /* whose bundle is remembered */
#define RATIO_FIRST	   4   /* events compress better than that, mostly */
#define CODE_TOO_LARGE	   413

enum statement { CHECKPOINT, POLICY, REASON, STATEMENT_COUNT };
static const char *const texts[STATEMENT_COUNT] = {
	[CHECKPOINT] = ("UPDATE checkpoint SET frame = ?, segment = ?, offset = ?, stored = ?, "
			"refused = ?, dropped = ?"),
	[POLICY] = "INSERT OR REPLACE INTO policies VALUES (?,?,?)",
	[REASON] = "INSERT OR REPLACE INTO reasons VALUES (?,?)",
};
/* Step i brings a file of version i to version i + 1. Version 0 has had these tables, too. */
static const char *const migrations[] = {
	("CREATE TABLE IF NOT EXISTS policies (sequence INTEGER PRIMARY KEY, bundle TEXT NOT NULL,"
	 " revision TEXT NOT NULL);"
	 "CREATE TABLE IF NOT EXISTS reasons (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
	 "CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), frame "
	 "INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, stored INTEGER NOT "
	 "NULL);"
	 "INSERT OR IGNORE INTO checkpoint VALUES (1, 0, 0, 0, 0);"
	 "ALTER TABLE checkpoint ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE checkpoint ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0;"),
};
#define VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

struct bundle {
	uint64_t sequence;
	char *name;
};

/* An event of the batch. */
struct event {
	size_t end; /* in store->events; it begins where the one before it ends. Nothing there: it
		       is dropped */
	char id[RG_UUID_TEXT_BYTES];
};

struct store {
	const struct rg_config *config;
	const struct rg_config_decision_logs *logs;
	const struct rg_config_service *service; /* NULL: events go to standard output alone */
	struct rg_decision_mask *mask;
	struct rg_decision_event_context context;
	char *path, *resource;
	struct rg_http_client client;
	bool own_client;
	int done_fd, abandon_fd; /* eventfds */

	sqlite3 *file;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct bundle bundles[POLICIES_MAX]; /* a ring, newest before bundles_next */
	uint32_t bundles_next;

	struct rg_json_writer event;  /* the one being made */
	struct rg_json_writer events; /* of the batch, one behind the other */
	struct event *list;
	uint32_t count, room, dropped;
	uint64_t batch_index; /* of the checkpoint that the batch begins at, */
	uint32_t accepted;    /* and how many of its events were done with before it failed: */
	uint32_t refused;     /* accepted, or of these so many refused for good */
	double ratio;	      /* bytes of an event to bytes compressed, as seen last */
	uint64_t next_upload_ns;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int fail(struct store *store, const char *what, struct rg_error *err)
{
	return rg_error_set(err, RG_EIO, "%s: %s: %s", store->path, what,
			    store->file ? sqlite3_errmsg(store->file) : "out of memory");
}

/* ---- the checkpoint's file ---- */

static int run(struct store *store, const char *text, struct rg_error *err)
{
	return sqlite3_exec(store->file, text, NULL, NULL, NULL) ? fail(store, text, err) : RG_OK;
}

static int step(struct store *store, enum statement which, struct rg_error *err)
{
	sqlite3_stmt *statement = store->statements[which];
	int result = sqlite3_step(statement);

	sqlite3_reset(statement);
	return result == SQLITE_DONE ? RG_OK : fail(store, "cannot write", err);
}

static int migrate(struct store *store, struct rg_error *err)
{
	sqlite3_stmt *row = NULL;
	int version = -1, rc = RG_OK;

	if (!sqlite3_prepare_v2(store->file, "PRAGMA user_version", -1, &row, NULL) &&
	    sqlite3_step(row) == SQLITE_ROW)
		version = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	if (version < 0)
		return fail(store, "cannot read its version", err);
	if (version > VERSION)
		return rg_error_set(err, RG_EVERSION,
				    "%s has version %d and this riskgate knows up to %d: use a "
				    "newer riskgate",
				    store->path, version, VERSION);
	for (; !rc && version < VERSION; version++) {
		char *text = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT",
					     migrations[version], version + 1);

		rc = text ? run(store, text, err) : fail(store, "out of memory", err);
		sqlite3_free(text);
	}
	return rc;
}

static int open_file(struct store *store, struct rg_error *err)
{
	int rc;

	if (store->file)
		return RG_OK;
	if (sqlite3_open(store->path, &store->file)) {
		rc = fail(store, "cannot open", err);
		sqlite3_close(store->file);
		store->file = NULL;
		return rc;
	}
	sqlite3_busy_timeout(store->file, 5000);
	rc = run(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", err);
	if (!rc)
		rc = migrate(store, err);
	for (int i = 0; !rc && i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v2(store->file, texts[i], -1, &store->statements[i], NULL))
			rc = fail(store, "is not a checkpoint's file of this version", err);
	return rc;
}

static void remember_bundle(struct store *store, uint64_t sequence, const char *name)
{
	struct bundle *bundle = &store->bundles[store->bundles_next++ % POLICIES_MAX];

	free(bundle->name);
	*bundle = (struct bundle){sequence, strdup(name)};
}

static const char *find_bundle(const struct store *store, uint64_t sequence)
{
	for (uint32_t i = 1; i <= POLICIES_MAX && i <= store->bundles_next; i++) {
		const struct bundle *bundle =
			&store->bundles[(store->bundles_next - i) % POLICIES_MAX];

		if (bundle->sequence == sequence)
			return bundle->name;
	}
	return NULL;
}

static int read_names(struct store *store, struct rg_sink_names *names, struct rg_error *err)
{
	sqlite3_stmt *row = NULL;
	bool ok = true;

	if (sqlite3_prepare_v2(store->file, "SELECT * FROM policies ORDER BY sequence", -1, &row,
			       NULL))
		return fail(store, "cannot read policies", err);
	while (ok && sqlite3_step(row) == SQLITE_ROW) {
		uint64_t sequence = (uint64_t)sqlite3_column_int64(row, 0);

		remember_bundle(store, sequence, (const char *)sqlite3_column_text(row, 1));
		ok = rg_sink_learn_policy(names, sequence,
					  (const char *)sqlite3_column_text(row, 2));
	}
	sqlite3_finalize(row);
	if (sqlite3_prepare_v2(store->file, "SELECT * FROM reasons", -1, &row, NULL))
		return fail(store, "cannot read reasons", err);
	while (ok && sqlite3_step(row) == SQLITE_ROW)
		ok = rg_sink_learn_reason(names, (uint32_t)sqlite3_column_int64(row, 0),
					  (const char *)sqlite3_column_text(row, 1));
	sqlite3_finalize(row);
	return ok ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory");
}

static int open_store(void *context, struct rg_sink_checkpoint *checkpoint,
		      struct rg_sink_names *names, struct rg_error *err)
{
	struct store *store = context;
	sqlite3_stmt *row = NULL;
	int rc = open_file(store, err);

	if (rc)
		return rc;
	if (sqlite3_prepare_v2(
		    store->file,
		    "SELECT frame, segment, offset, stored, refused, dropped FROM checkpoint", -1,
		    &row, NULL) ||
	    sqlite3_step(row) != SQLITE_ROW) {
		sqlite3_finalize(row);
		return fail(store, "cannot read the checkpoint", err);
	}
	checkpoint->position = (struct rg_journal_position){(uint64_t)sqlite3_column_int64(row, 0),
							    (uint64_t)sqlite3_column_int64(row, 1),
							    (uint64_t)sqlite3_column_int64(row, 2)};
	checkpoint->stored = (uint64_t)sqlite3_column_int64(row, 3);
	checkpoint->refused = (uint64_t)sqlite3_column_int64(row, 4);
	checkpoint->dropped = (uint64_t)sqlite3_column_int64(row, 5);
	sqlite3_finalize(row);
	return read_names(store, names, err);
}

/* ---- a batch ---- */

/* Wait for one of the descriptors, or until `until_ns`. False: the store was abandoned. */
static bool wait_for(struct store *store, int fd, uint64_t until_ns)
{
	uint64_t now_ns = monotonic_ns();
	struct pollfd fds[2] = {{store->abandon_fd, POLLIN, 0}, {fd, POLLIN, 0}};
	uint64_t ms = until_ns > now_ns ? (until_ns - now_ns) / 1000000 + 1 : 0;

	if (poll(fds, fd < 0 ? 1 : 2, ms > UPLOAD_MS_MAX ? UPLOAD_MS_MAX : (int)ms) < 0 &&
	    errno != EINTR)
		return false;
	return !(fds[0].revents & POLLIN);
}

static int begin(void *context, struct rg_error *err)
{
	struct store *store = context;

	while (monotonic_ns() < store->next_upload_ns)
		if (!wait_for(store, -1, store->next_upload_ns))
			break; /* at the end what there is is sent at once */
	rg_json_writer_reset(&store->events);
	store->count = store->dropped = 0;
	return run(store, "BEGIN IMMEDIATE", err);
}

static int policy(void *context, const struct rg_sink_policy *policy, struct rg_error *err)
{
	struct store *store = context;
	sqlite3_stmt *statement = store->statements[POLICY];

	remember_bundle(store, policy->sequence, policy->bundle);
	sqlite3_bind_int64(statement, 1, (int64_t)policy->sequence);
	sqlite3_bind_text(statement, 2, policy->bundle, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 3, policy->revision, -1, SQLITE_STATIC);
	return step(store, POLICY, err);
}

static int reason(void *context, uint32_t id, const char *name, struct rg_error *err)
{
	struct store *store = context;
	sqlite3_stmt *statement = store->statements[REASON];

	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
	return step(store, REASON, err);
}

static int row(void *context, const struct rg_sink_row *row, struct rg_error *err)
{
	enum rg_decision_mask_outcome outcome = RG_DECISION_MASK_NONE;
	struct store *store = context;
	struct event *event;
	int rc = RG_OK;

	if (store->count == store->room) {
		uint32_t room = store->room ? store->room * 2 : 1024;
		struct event *grown = realloc(store->list, room * sizeof(*grown));

		if (!grown)
			return rg_error_set(err, RG_ENOMEM, "out of memory for decision logs");
		store->list = grown;
		store->room = room;
	}
	event = &store->list[store->count++];
	rg_decision_event_id(row->record, event->id);
	rg_json_writer_reset(&store->event);
	rg_decision_event_write(&store->context, row,
				find_bundle(store, row->record->policy_sequence), &store->event);
	if (store->mask && !store->event.failed)
		rc = rg_decision_mask_apply(store->mask, store->event.text, store->event.bytes,
					    &store->events, &outcome, err);
	else
		rg_json_write_raw(&store->events, store->event.text, store->event.bytes);
	store->events.comma = false; /* events are parted when they are sent */
	event->end = store->events.bytes;
	store->dropped += outcome == RG_DECISION_MASK_DROP;
	if (!rc && (store->event.failed || store->events.failed))
		rc = rg_error_set(err, RG_ENOMEM, "out of memory for decision logs");
	return rc;
}

/* ---- sending ---- */

static size_t begin_of(const struct store *store, uint32_t event)
{
	return event ? store->list[event - 1].end : 0;
}

/* Events first..end as a gzip JSON array; the caller frees it. NULL: out of memory. */
static uint8_t *compress_events(const struct store *store, uint32_t first, uint32_t end,
				size_t *bytes)
{
	uLong most = store->list[end - 1].end - begin_of(store, first) + (end - first) + 2;
	z_stream stream = {0};
	bool is_first = true;
	uint8_t *out;

	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	most = deflateBound(&stream, most);
	out = malloc(most);
	stream.next_out = out;
	stream.avail_out = (uInt)most;
	for (uint32_t i = first; out && i < end; i++) {
		if (store->list[i].end == begin_of(store, i))
			continue;
		stream.next_in = (uint8_t *)(is_first ? "[" : ",");
		stream.avail_in = 1;
		is_first = false;
		deflate(&stream, Z_NO_FLUSH);
		stream.next_in = (uint8_t *)store->events.text + begin_of(store, i);
		stream.avail_in = (uInt)(store->list[i].end - begin_of(store, i));
		deflate(&stream, Z_NO_FLUSH);
	}
	if (out) {
		stream.next_in = (uint8_t *)"]";
		stream.avail_in = 1;
		deflate(&stream, Z_FINISH);
	}
	*bytes = stream.total_out;
	deflateEnd(&stream);
	return out;
}

/* Send a body and wait for the answer's code. */
static int post(struct store *store, const uint8_t *body, size_t bytes, long *code,
		struct rg_error *err)
{
	static const char *const headers[] = {"Content-Type: application/json",
					      "Content-Encoding: gzip"};
	const struct rg_http_client_request request = {.service = store->service,
						       .method = "POST",
						       .path = store->resource,
						       .headers = headers,
						       .header_count = 2,
						       .body = body,
						       .body_bytes = bytes,
						       .response_bytes_max = RESPONSE_BYTES_MAX};
	const uint64_t until_ns = monotonic_ns() + UPLOAD_MS_MAX * 1000000ull;
	struct rg_http_client_response response;
	uint64_t ticket, done;
	int rc = store->client.submit(store->client.context, &request, &ticket, err);

	if (rc)
		return rc;
	while ((rc = store->client.take(store->client.context, ticket, &response)) == RG_EAGAIN) {
		if (!wait_for(store, store->done_fd, until_ns) || monotonic_ns() >= until_ns) {
			store->client.cancel(store->client.context, ticket);
			return rg_error_set(err, RG_EIO, "decision_logs: service %s: no answer",
					    store->service->name);
		}
		if (read(store->done_fd, &done, sizeof(done)) < 0 && errno != EAGAIN)
			return rg_error_set_errno(err, RG_EIO, errno, "eventfd");
	}
	if (rc)
		return rg_error_set(err, rc, "decision_logs: the request was lost");
	rc = response.status;
	*code = response.code;
	if (rc)
		*err = response.error;
	rg_http_client_response_free(&response);
	return rc ? rg_error_prefix(err, "decision_logs") : RG_OK;
}

static int refuse(struct store *store, long code, struct rg_error *err)
{
	char text[64];

	return rg_error_set(err, RG_EIO, "decision_logs: service %s answered %s",
			    store->service->name, rg_http_code_text(code, text));
}

/* How many of the events from `first` on will fit into a chunk, as far as can be told. */
static uint32_t plan_chunk(const struct store *store, uint32_t first)
{
	double most = (double)store->logs->reporting.upload_size_limit_bytes * store->ratio * 0.9;
	uint32_t end = first + 1;

	while (end < store->count && (double)(store->list[end].end - begin_of(store, first)) < most)
		end++;
	return end;
}

/* Send the events from `first` on, as many as fit into one chunk; *end is behind them. */
static int send_chunk(struct store *store, uint32_t first, uint32_t *end, struct rg_error *err)
{
	uint32_t planned = plan_chunk(store, first);

	for (;;) {
		size_t plain = store->list[planned - 1].end - begin_of(store, first), bytes;
		uint8_t *body;
		bool too_large;
		long code = 0;
		int rc;

		*end = planned;
		if (!plain)
			return RG_OK; /* all of them are dropped */
		body = compress_events(store, first, planned, &bytes);
		too_large = bytes > store->logs->reporting.upload_size_limit_bytes;
		if (!body)
			return rg_error_set(err, RG_ENOMEM, "out of memory for decision logs");
		store->ratio = bytes ? (double)plain / (double)bytes : RATIO_FIRST;
		if (too_large && planned - first > 1) {
			free(body);
			planned = first + (planned - first) / 2;
			continue;
		}
		rc = post(store, body, bytes, &code, err);
		free(body);
		if (rc)
			return rc;
		if (code >= 200 && code < 300)
			return RG_OK;
		if (code != CODE_TOO_LARGE)
			return refuse(store, code, err);
		if (planned - first == 1) {
			rg_log(RG_LOG_ERROR,
			       "decision_logs: decision_id=%s, an event of %zu bytes, is too large "
			       "for service %s: it is refused; fields can be left out "
			       "(decision_logs.erase)",
			       store->list[first].id, plain, store->service->name);
			store->refused++;
			return RG_OK;
		}
		planned = first + (planned - first) / 2;
	}
}

static int write_checkpoint(struct store *store, const struct rg_sink_checkpoint *checkpoint,
			    struct rg_error *err)
{
	sqlite3_stmt *statement = store->statements[CHECKPOINT];
	int rc;

	sqlite3_bind_int64(statement, 1, (int64_t)checkpoint->position.index);
	sqlite3_bind_int64(statement, 2, (int64_t)checkpoint->position.segment);
	sqlite3_bind_int64(statement, 3, (int64_t)checkpoint->position.offset);
	sqlite3_bind_int64(statement, 4, (int64_t)checkpoint->stored);
	sqlite3_bind_int64(statement, 5, (int64_t)checkpoint->refused);
	sqlite3_bind_int64(statement, 6, (int64_t)checkpoint->dropped);
	rc = step(store, CHECKPOINT, err);
	return rc ? rc : run(store, "COMMIT", err);
}

/* The next upload begins after a random time between the two delays, unless `immediate`, and not
 * before this one's events are allowed to have been sent. */
static void plan_upload(struct store *store)
{
	const uint64_t rate = store->logs->reporting.max_decisions_per_second;
	uint64_t low = store->logs->reporting.min_delay_ms,
		 spread = store->logs->reporting.max_delay_ms - low, delay_ns, paced_ns;

	delay_ns = (low + (spread ? (uint64_t)rand() % (spread + 1) : 0)) * 1000000;
	if (!strcmp(store->logs->reporting.trigger, "immediate"))
		delay_ns = 0;
	paced_ns = rate ? store->count * 1000000000ull / rate : 0;
	store->next_upload_ns = monotonic_ns() + (delay_ns > paced_ns ? delay_ns : paced_ns);
}

/* Each event on a line of its own. Who reads it knows one that comes twice by its decision_id. */
static void print_events(const struct store *store)
{
	for (uint32_t i = 0; i < store->count; i++) {
		size_t begin = begin_of(store, i), bytes = store->list[i].end - begin;

		if (bytes) {
			fwrite(store->events.text + begin, 1, bytes, stdout);
			putchar('\n');
		}
	}
	fflush(stdout);
}

static int commit(void *context, const struct rg_sink_checkpoint *before,
		  struct rg_sink_checkpoint *after, struct rg_error *err)
{
	struct store *store = context;
	int rc = RG_OK;

	if (store->batch_index != before->position.index)
		store->accepted = store->refused = 0;
	store->batch_index = before->position.index;
	while (!rc && store->service && store->accepted < store->count) {
		uint32_t end = store->accepted;

		rc = send_chunk(store, store->accepted, &end, err);
		if (!rc)
			store->accepted = end;
		RG_FAILPOINT("logs.answered");
	}
	if (rc)
		return rc;
	RG_FAILPOINT("logs.accepted");
	if (store->logs->console)
		print_events(store);
	after->stored += store->count - store->refused - store->dropped;
	after->refused += store->refused;
	after->dropped += store->dropped;
	rc = RG_FAILPOINT_FAILS("logs.checkpoint")
		     ? rg_error_set_errno(err, RG_EIO, errno, "%s: commit", store->path)
		     : write_checkpoint(store, after, err);
	RG_FAILPOINT("logs.committed");
	if (!rc && store->count)
		plan_upload(store);
	return rc;
}

static void roll_back(void *context)
{
	struct store *store = context;

	if (store->file && !sqlite3_get_autocommit(store->file))
		sqlite3_exec(store->file, "ROLLBACK", NULL, NULL, NULL);
}

static void abandon(void *context)
{
	struct store *store = context;
	const uint64_t one = 1;

	if (write(store->abandon_fd, &one, sizeof(one)) < 0)
		rg_log(RG_LOG_ERROR, "eventfd error=\"%s\"", strerror(errno));
}

static void close_store(void *context)
{
	struct store *store = context;

	if (!store)
		return;
	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->file);
	if (store->own_client)
		rg_http_client_delete(&store->client);
	if (store->own_client && store->done_fd >= 0)
		close(store->done_fd);
	if (store->abandon_fd >= 0)
		close(store->abandon_fd);
	for (uint32_t i = 0; i < POLICIES_MAX; i++)
		free(store->bundles[i].name);
	rg_json_writer_free(&store->event);
	rg_json_writer_free(&store->events);
	free(store->list);
	free(store->path);
	free(store->resource);
	free(store);
}

const struct rg_sink_driver rg_sink_decision_log_driver = {
	.name = "decision_logs",
	.open = open_store,
	.begin = begin,
	.policy = policy,
	.reason = reason,
	.row = row,
	.commit = commit,
	.roll_back = roll_back,
	.abandon = abandon,
	.close = close_store,
};

static int make_client(struct store *store, const struct rg_sink_decision_log_options *options,
		       struct rg_error *err)
{
	if (options->client) {
		store->client = *options->client;
		store->done_fd = options->done_fd;
		return RG_OK;
	}
	store->own_client = true;
	store->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->done_fd < 0)
		return rg_error_set_errno(err, RG_ENOMEM, errno, "eventfd");
	return rg_http_client_new(store->done_fd, &store->client, err);
}

int rg_sink_decision_log_new(const struct rg_sink_decision_log_options *options, void **out,
			     struct rg_error *err)
{
	const struct rg_config_decision_logs *logs = &options->config->opa.decision_logs;
	struct store *store = calloc(1, sizeof(*store));
	int rc = RG_OK;

	if (!store)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	store->config = options->config;
	store->logs = logs;
	if (logs->service)
		store->service = rg_config_service_find(&options->config->opa, logs->service);
	store->mask = options->mask;
	store->ratio = RATIO_FIRST;
	store->done_fd = -1;
	store->abandon_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	store->path = strdup(options->path);
	if (asprintf(&store->resource, "%s%s%s%s", logs->resource[0] == '/' ? "" : "/",
		     logs->resource, logs->partition_name ? "/" : "",
		     logs->partition_name ? logs->partition_name : "") < 0)
		store->resource = NULL;
	if (!store->path || !store->resource || store->abandon_fd < 0)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory or descriptors");
	if (!rc)
		rc = make_client(store, options, err);
	rg_decision_event_context_init(&store->context, options->config, options->schema);
	rg_json_writer_init(&store->event, false);
	rg_json_writer_init(&store->events, false);
	if (rc) {
		close_store(store);
		return rc;
	}
	if (logs->reporting.buffer_type || logs->reporting.buffer_size_limit_bytes ||
	    logs->reporting.buffer_size_limit_events)
		rg_log(RG_LOG_INFO,
		       "decision_logs: reporting.buffer_* have no effect: the journal is "
		       "the buffer, bounded by journal.max_bytes");
	*out = store;
	return RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_sqlite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "wire/decision.h"

#define BUSY_MS	     5000
#define CLIENT_BYTES (INET6_ADDRSTRLEN + 10)
#define EXPIRE_ROWS  5000 /* taken away in one transaction */
#define DAY_NS	     86400000000000ull

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

enum statement {
	BEGIN,
	COMMIT,
	INSERT,
	CHECKPOINT,
	POLICY,
	REASON,
	OLDEST,
	FIRST_KEPT,
	EXPIRE,
	STATEMENT_COUNT
};
static const char *const texts[STATEMENT_COUNT] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[INSERT] = ("INSERT OR IGNORE INTO decisions VALUES "
		    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
	[CHECKPOINT] = "UPDATE checkpoint SET frame = ?, segment = ?, offset = ?, stored = ?",
	[POLICY] = "INSERT OR REPLACE INTO policies VALUES (?,?,?,?)",
	[REASON] = "INSERT OR REPLACE INTO reasons VALUES (?,?)",
	[OLDEST] = ("SELECT rowid, (SELECT max(rowid) FROM decisions), receive_time_ns "
		    "FROM decisions ORDER BY rowid LIMIT 1"),
	[FIRST_KEPT] = ("SELECT rowid FROM decisions WHERE rowid < ?1 AND receive_time_ns >= ?2 "
			"ORDER BY rowid LIMIT 1"),
	[EXPIRE] = "DELETE FROM decisions WHERE rowid < ?1",
};

struct store {
	sqlite3 *file;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct rg_sink_sqlite_options options;
	char *path;
	struct rg_json_writer reasons;
	uint64_t added; /* rows, in the open transaction */
};

static int fail(struct store *store, const char *what, struct rg_error *err)
{
	return rg_error_set(err, RG_EIO, "SQLite file %s: %s: %s", store->path, what,
			    store->file ? sqlite3_errmsg(store->file) : "out of memory");
}

int rg_sink_sqlite_new(const struct rg_sink_sqlite_options *options, void **out,
		       struct rg_error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	char *path = strdup(options->path);

	if (!store || !path) {
		free(store);
		free(path);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	store->options = *options;
	store->path = path;
	rg_json_writer_init(&store->reasons, false);
	*out = store;
	return RG_OK;
}

/* ---- opening ---- */

static int load_names(struct store *store, struct rg_sink_names *names, struct rg_error *err)
{
	sqlite3_stmt *rows = NULL;
	bool ok = sqlite3_prepare_v2(store->file,
				     "SELECT sequence, revision FROM policies ORDER BY sequence",
				     -1, &rows, NULL) == SQLITE_OK;

	while (ok && sqlite3_step(rows) == SQLITE_ROW)
		ok = rg_sink_learn_policy(names, (uint64_t)sqlite3_column_int64(rows, 0),
					  (const char *)sqlite3_column_text(rows, 1));
	sqlite3_finalize(rows);
	rows = NULL;
	ok = ok && sqlite3_prepare_v2(store->file, "SELECT id, name FROM reasons", -1, &rows,
				      NULL) == SQLITE_OK;
	while (ok && sqlite3_step(rows) == SQLITE_ROW)
		ok = rg_sink_learn_reason(names, (uint32_t)sqlite3_column_int64(rows, 0),
					  (const char *)sqlite3_column_text(rows, 1));
	sqlite3_finalize(rows);
	return ok ? RG_OK : fail(store, "cannot read policies and reasons", err);
}

static int migrate(struct store *store, struct rg_error *err)
{
	sqlite3_stmt *row = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(store->file, "PRAGMA user_version", -1, &row, NULL) == SQLITE_OK &&
	    sqlite3_step(row) == SQLITE_ROW)
		version = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	if (version < 0)
		return fail(store, "cannot read its version", err);
	if (version > VERSION)
		return rg_error_set(
			err, RG_EVERSION,
			"SQLite file %s has version %d and this riskgate knows up to %d: use a "
			"newer riskgate or another file (sinks.sqlite.path)",
			store->path, version, VERSION);
	for (; version < VERSION; version++) {
		char *text = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT",
					     migrations[version], version + 1);
		int result =
			text ? sqlite3_exec(store->file, text, NULL, NULL, NULL) : SQLITE_NOMEM;

		sqlite3_free(text);
		if (result != SQLITE_OK)
			return fail(store, "cannot make its tables", err);
	}
	return RG_OK;
}

static int read_checkpoint(struct store *store, struct rg_sink_checkpoint *checkpoint,
			   struct rg_error *err)
{
	sqlite3_stmt *row = NULL;
	bool ok = sqlite3_prepare_v2(store->file,
				     "SELECT frame, segment, offset, stored FROM checkpoint", -1,
				     &row, NULL) == SQLITE_OK &&
		  sqlite3_step(row) == SQLITE_ROW;

	if (ok) {
		checkpoint->position.index = (uint64_t)sqlite3_column_int64(row, 0);
		checkpoint->position.segment = (uint64_t)sqlite3_column_int64(row, 1);
		checkpoint->position.offset = (uint64_t)sqlite3_column_int64(row, 2);
		checkpoint->stored = (uint64_t)sqlite3_column_int64(row, 3);
	}
	sqlite3_finalize(row);
	return ok ? RG_OK : fail(store, "cannot read the checkpoint", err);
}

static void close_file(struct store *store)
{
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	sqlite3_close(store->file);
	store->file = NULL;
}

static int open_file(struct store *store, struct rg_error *err)
{
	int status;

	if (sqlite3_open_v2(store->path, &store->file,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return fail(store, "cannot open it (sinks.sqlite.path)", err);
	sqlite3_busy_timeout(store->file, BUSY_MS);
	if (sqlite3_exec(store->file,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
			 "PRAGMA wal_autocheckpoint = 8192; PRAGMA cache_size = -16384",
			 NULL, NULL, NULL))
		return fail(store, "cannot set it up", err);
	status = migrate(store, err);
	for (int i = 0; !status && i < STATEMENT_COUNT; i++)
		if (sqlite3_prepare_v3(store->file, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &store->statements[i], NULL))
			status = fail(store, texts[i], err);
	return status;
}

static int sqlite_open(void *context, struct rg_sink_checkpoint *checkpoint,
		       struct rg_sink_names *names, struct rg_error *err)
{
	struct store *store = context;
	int status = RG_OK;

	if (!store->file) {
		status = open_file(store, err);
		if (status)
			close_file(store);
	}
	if (!status)
		status = read_checkpoint(store, checkpoint, err);
	if (!status)
		status = load_names(store, names, err);
	return status;
}

/* ---- storing ---- */

/* Run a statement that gives no rows, and make it ready for the next time. */
static int run(struct store *store, enum statement which, struct rg_error *err)
{
	int result = sqlite3_step(store->statements[which]);
	int status = result == SQLITE_DONE ? RG_OK : fail(store, texts[which], err);

	sqlite3_reset(store->statements[which]);
	return status;
}

static int sqlite_begin(void *context, struct rg_error *err)
{
	struct store *store = context;

	store->added = 0;
	return run(store, BEGIN, err);
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

static void write_reasons(struct rg_json_writer *writer, const struct rg_sink_row *row)
{
	rg_json_writer_reset(writer);
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < row->reason_count; i++)
		rg_json_write_string(writer, row->reasons[i]);
	rg_json_write_array_end(writer);
}

static int sqlite_row(void *context, const struct rg_sink_row *from, struct rg_error *err)
{
	struct store *store = context;
	const struct rg_record *record = from->record;
	sqlite3_stmt *row = store->statements[INSERT];
	char client[CLIENT_BYTES];
	int column = 1, status;

	write_reasons(&store->reasons, from);
	sqlite3_bind_int64(row, column++, record->node);
	sqlite3_bind_int64(row, column++, (int64_t)record->epoch);
	sqlite3_bind_int64(row, column++, record->worker);
	sqlite3_bind_int64(row, column++, (int64_t)record->sequence);
	sqlite3_bind_int64(row, column++, (int64_t)from->request_id);
	sqlite3_bind_int64(row, column++, (int64_t)record->receive_time_ns);
	sqlite3_bind_int64(row, column++, record->latency_ns);
	sqlite3_bind_text(row, column++, client_text(record, client), -1, SQLITE_STATIC);
	sqlite3_bind_text(row, column++, from->template ? from->template->name : "", -1,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, record->schema_id);
	sqlite3_bind_int64(row, column++, record->template_id);
	sqlite3_bind_int64(row, column++, record->schema_version);
	sqlite3_bind_blob(row, column++, rg_record_request(record), record->request_bytes,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, (int64_t)record->policy_sequence);
	sqlite3_bind_text(row, column++, from->revision, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, column++, rg_decision_verdict_name(record->verdict), -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(row, column++, rg_decision_status_name(record->status), -1,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, record->score_micro);
	sqlite3_bind_text(row, column++, store->reasons.text, (int)store->reasons.bytes,
			  SQLITE_STATIC);
	sqlite3_bind_int64(row, column++, record->reasons_fired);
	sqlite3_bind_int64(row, column++, record->flags);
	status = run(store, INSERT, err);
	if (!status)
		store->added += (uint64_t)sqlite3_changes(store->file);
	return status;
}

static int sqlite_policy(void *context, const struct rg_sink_policy *policy, struct rg_error *err)
{
	struct store *store = context;
	sqlite3_stmt *row = store->statements[POLICY];

	sqlite3_bind_int64(row, 1, (int64_t)policy->sequence);
	sqlite3_bind_text(row, 2, policy->bundle, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(row, 3, policy->revision, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(row, 4, (int64_t)policy->ns);
	return run(store, POLICY, err);
}

static int sqlite_reason(void *context, uint32_t id, const char *name, struct rg_error *err)
{
	struct store *store = context;

	sqlite3_bind_int64(store->statements[REASON], 1, id);
	sqlite3_bind_text(store->statements[REASON], 2, name, -1, SQLITE_TRANSIENT);
	return run(store, REASON, err);
}

static int sqlite_commit(void *context, const struct rg_sink_checkpoint *before,
			 struct rg_sink_checkpoint *after, struct rg_error *err)
{
	struct store *store = context;
	sqlite3_stmt *row = store->statements[CHECKPOINT];
	int status;

	after->stored = before->stored + store->added;
	sqlite3_bind_int64(row, 1, (int64_t)after->position.index);
	sqlite3_bind_int64(row, 2, (int64_t)after->position.segment);
	sqlite3_bind_int64(row, 3, (int64_t)after->position.offset);
	sqlite3_bind_int64(row, 4, (int64_t)after->stored);
	RG_FAILPOINT("sqlite.rows_written");
	status = run(store, CHECKPOINT, err);
	RG_FAILPOINT("sqlite.checkpoint_written");
	if (!status && RG_FAILPOINT_FAILS("sqlite.commit"))
		status = rg_error_set_errno(err, RG_EIO, errno, "SQLite file %s: commit",
					    store->path);
	if (!status)
		status = run(store, COMMIT, err);
	RG_FAILPOINT("sqlite.committed");
	return status;
}

static void sqlite_roll_back(void *context)
{
	struct store *store = context;

	if (store->file && !sqlite3_get_autocommit(store->file))
		sqlite3_exec(store->file, "ROLLBACK", NULL, NULL, NULL);
	RG_FAILPOINT("sqlite.rolled_back");
}

/* ---- retention ---- */

/* What the oldest row tells. rows 0: the table is empty. */
struct oldest {
	int64_t rowid, receive_time_ns;
	uint64_t rows;
};

static int read_oldest(struct store *store, struct oldest *oldest, struct rg_error *err)
{
	sqlite3_stmt *row = store->statements[OLDEST];
	int result = sqlite3_step(row);

	*oldest = (struct oldest){0};
	if (result == SQLITE_ROW) {
		oldest->rowid = sqlite3_column_int64(row, 0);
		/* only the oldest rows are ever taken away: rowids have no gaps */
		oldest->rows = (uint64_t)(sqlite3_column_int64(row, 1) - oldest->rowid + 1);
		oldest->receive_time_ns = sqlite3_column_int64(row, 2);
	}
	sqlite3_reset(row);
	return result == SQLITE_ROW || result == SQLITE_DONE ? RG_OK
							     : fail(store, texts[OLDEST], err);
}

static int64_t ask_pragma(struct store *store, const char *pragma)
{
	sqlite3_stmt *row = NULL;
	int64_t value = 0;

	if (sqlite3_prepare_v2(store->file, pragma, -1, &row, NULL) == SQLITE_OK &&
	    sqlite3_step(row) == SQLITE_ROW)
		value = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	return value;
}

static uint64_t bytes_in_use(struct store *store)
{
	return (uint64_t)(ask_pragma(store, "PRAGMA page_count") -
			  ask_pragma(store, "PRAGMA freelist_count")) *
	       (uint64_t)ask_pragma(store, "PRAGMA page_size");
}

/* The first of the EXPIRE_ROWS oldest rows that was not received before this time, or the one
 * behind them. */
static int64_t first_kept(struct store *store, const struct oldest *oldest, int64_t before_ns)
{
	sqlite3_stmt *row = store->statements[FIRST_KEPT];
	int64_t rowid = oldest->rowid + EXPIRE_ROWS;

	sqlite3_bind_int64(row, 1, rowid);
	sqlite3_bind_int64(row, 2, before_ns);
	if (sqlite3_step(row) == SQLITE_ROW)
		rowid = sqlite3_column_int64(row, 0);
	sqlite3_reset(row);
	return rowid;
}

/* Rows before this one are to go now; the oldest itself: none. */
static int64_t expire_before(struct store *store, const struct oldest *oldest, uint64_t now_ns)
{
	const struct rg_sink_sqlite_options *options = &store->options;
	uint64_t age_ns = options->retention_days * DAY_NS, excess;

	if (options->max_rows && oldest->rows > options->max_rows) {
		excess = oldest->rows - options->max_rows;
		return oldest->rowid + (int64_t)(excess < EXPIRE_ROWS ? excess : EXPIRE_ROWS);
	}
	if (options->max_bytes && oldest->rows && bytes_in_use(store) > options->max_bytes)
		return oldest->rowid + EXPIRE_ROWS;
	if (age_ns && oldest->rows && now_ns > age_ns)
		return first_kept(store, oldest, (int64_t)(now_ns - age_ns));
	return oldest->rowid;
}

static int sqlite_tidy(void *context, uint64_t now_unix_ns, struct rg_error *err)
{
	struct store *store = context;
	struct oldest oldest;
	int64_t before;
	int status = read_oldest(store, &oldest, err);

	if (status)
		return status;
	before = expire_before(store, &oldest, now_unix_ns);
	if (before == oldest.rowid)
		return 0;
	sqlite3_bind_int64(store->statements[EXPIRE], 1, before);
	status = run(store, EXPIRE, err);
	return status ? status : 1;
}

/* ---- ending ---- */

static void sqlite_close(void *context)
{
	struct store *store = context;

	close_file(store);
	rg_json_writer_free(&store->reasons);
	free(store->path);
	free(store);
}

const struct rg_sink_driver rg_sink_sqlite_driver = {
	.name = "sqlite",
	.open = sqlite_open,
	.begin = sqlite_begin,
	.policy = sqlite_policy,
	.reason = sqlite_reason,
	.row = sqlite_row,
	.commit = sqlite_commit,
	.roll_back = sqlite_roll_back,
	.tidy = sqlite_tidy,
	.close = sqlite_close,
};

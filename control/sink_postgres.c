/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "control/postgres_connection.h"
#include "control/postgres_migrations.h"
#include "control/postgres_row.h"

#define DAY_NS	    86400000000000ull
#define SEND_BYTES  65536 /* handed to libpq at once */
#define DAYS_KNOWN  16
#define NO_DAY	    UINT32_MAX

#define COPY(table) "COPY " table " (" RG_POSTGRES_ROW_COLUMNS ") FROM STDIN (FORMAT binary)"

struct store {
	struct rg_postgres *postgres;
	struct rg_postgres_rows rows;
	struct rg_sink_postgres_options options;
	char *instance, node[12], lane[12], lanes[12];
	bool copying;
	/* The key refused the batch: send it through a temporary table. */
	bool careful;
	uint64_t added;		   /* rows, in the open transaction */
	uint32_t days[DAYS_KNOWN]; /* since 1970: their partitions are there */
	uint32_t next_day;	   /* to be overwritten */
	uint64_t next_ahead_ns;	   /* unix: when to make partitions ahead */
};

static void postgres_close(void *context)
{
	struct store *store = context;

	rg_postgres_delete(store->postgres);
	rg_postgres_rows_free(&store->rows);
	free(store->instance);
	free(store);
}

int rg_sink_postgres_new(const struct rg_sink_postgres_options *options, void **out,
			 const char **place, struct rg_error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	char *instance = strdup(options->instance);
	int status;

	if (!store || !instance) {
		free(instance);
		free(store);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	store->options = *options;
	store->instance = instance;
	snprintf(store->node, sizeof(store->node), "%u", options->node);
	snprintf(store->lane, sizeof(store->lane), "%u", options->lane);
	snprintf(store->lanes, sizeof(store->lanes), "%u", options->lanes ? options->lanes : 1);
	status =
		rg_postgres_new(options->connection, options->password_file, &store->postgres, err);
	if (!status)
		status = rg_postgres_rows_init(&store->rows, options->schema,
					       options->requests_as_bytes, err);
	if (status) {
		postgres_close(store);
		return status;
	}
	*place = rg_postgres_place(store->postgres);
	*out = store;
	return RG_OK;
}

static void postgres_abandon(void *context)
{
	rg_postgres_abandon(((struct store *)context)->postgres);
}

/* ---- opening ---- */

static void forget_days(struct store *store)
{
	for (int i = 0; i < DAYS_KNOWN; i++)
		store->days[i] = NO_DAY;
}

static int read_checkpoint(struct store *store, struct rg_sink_checkpoint *checkpoint,
			   struct rg_error *err)
{
	const char *lane[] = {store->node, store->instance, store->lane, store->lanes};
	PGresult *row;
	int status = rg_postgres_query(store->postgres,
				       "SELECT frame, segment, position, stored FROM "
				       "riskgate.open_lane($1, $2, $3, $4)",
				       4, lane, &row, err);

	if (status)
		return status;
	checkpoint->position.index = strtoull(PQgetvalue(row, 0, 0), NULL, 10);
	checkpoint->position.segment = strtoull(PQgetvalue(row, 0, 1), NULL, 10);
	checkpoint->position.offset = strtoull(PQgetvalue(row, 0, 2), NULL, 10);
	checkpoint->stored = strtoull(PQgetvalue(row, 0, 3), NULL, 10);
	PQclear(row);
	return RG_OK;
}

static int read_names(struct store *store, struct rg_sink_names *names, struct rg_error *err)
{
	const char *key[] = {store->node, store->instance};
	PGresult *rows;
	bool ok = true;
	int status = rg_postgres_query(store->postgres,
				       "SELECT sequence, revision FROM riskgate.policies WHERE "
				       "node = $1 AND instance = $2 ORDER BY 1",
				       2, key, &rows, err);

	if (status)
		return status;
	for (int i = 0; ok && i < PQntuples(rows); i++)
		ok = rg_sink_learn_policy(names, strtoull(PQgetvalue(rows, i, 0), NULL, 10),
					  PQgetvalue(rows, i, 1));
	PQclear(rows);
	status = rg_postgres_query(
		store->postgres,
		"SELECT id, name FROM riskgate.reasons WHERE node = $1 AND instance = $2", 2, key,
		&rows, err);
	if (status)
		return status;
	for (int i = 0; ok && i < PQntuples(rows); i++)
		ok = rg_sink_learn_reason(names, (uint32_t)atoi(PQgetvalue(rows, i, 0)),
					  PQgetvalue(rows, i, 1));
	PQclear(rows);
	return ok ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory");
}

static int postgres_open(void *context, struct rg_sink_checkpoint *checkpoint,
			 struct rg_sink_names *names, struct rg_error *err)
{
	struct store *store = context;
	bool fresh;
	int status = rg_postgres_connect(store->postgres, &fresh, err);

	if (!status && fresh) {
		store->next_ahead_ns = 0;
		status = rg_postgres_migrate(store->postgres, err);
		if (!status)
			rg_log(RG_LOG_INFO, "sink=postgresql connected place=%s",
			       rg_postgres_place(store->postgres));
	}
	forget_days(store);
	if (!status)
		status = read_checkpoint(store, checkpoint, err);
	if (!status)
		status = read_names(store, names, err);
	return status;
}

/* ---- storing ---- */

static int begin_copy(struct store *store, struct rg_error *err)
{
	static const char through_temporary[] =
		"CREATE TEMPORARY TABLE IF NOT EXISTS riskgate_incoming (LIKE riskgate.decisions) "
		"ON COMMIT DROP; " COPY("riskgate_incoming");
	int status = rg_postgres_copy_begin(
		store->postgres, store->careful ? through_temporary : COPY("riskgate.decisions"),
		err);

	store->rows.bytes = 0;
	store->copying = !status;
	return status ? status : rg_postgres_rows_begin(&store->rows, err);
}

static int send_rows(struct store *store, struct rg_error *err)
{
	int status =
		rg_postgres_copy_put(store->postgres, store->rows.data, store->rows.bytes, err);

	store->rows.bytes = 0;
	return status;
}

/* From the temporary table, what is new. */
static int take_over(struct store *store, unsigned long long *rows, struct rg_error *err)
{
	PGresult *result;
	int status = rg_postgres_query(
		store->postgres,
		"INSERT INTO riskgate.decisions SELECT * FROM riskgate_incoming ON CONFLICT DO "
		"NOTHING",
		0, NULL, &result, err);

	if (status)
		return status;
	*rows = strtoull(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return rg_postgres_run(store->postgres, "TRUNCATE riskgate_incoming", err);
}

static int end_copy(struct store *store, struct rg_error *err)
{
	unsigned long long rows = 0;
	int status;

	if (!store->copying)
		return RG_OK;
	store->copying = false;
	status = rg_postgres_rows_end(&store->rows, err);
	if (!status)
		status = send_rows(store, err);
	if (!status)
		status = rg_postgres_copy_end(store->postgres, &rows, err);
	if (status == RG_ECONFLICT && !store->careful) {
		rg_log(RG_LOG_WARNING, "sink=postgresql: some of these records are there already: "
				       "only the new ones are stored");
		store->careful = true;
		status = RG_EAGAIN;
	}
	if (!status && store->careful)
		status = take_over(store, &rows, err);
	store->added += rows;
	return status;
}

static int make_day(struct store *store, uint32_t day, struct rg_error *err)
{
	time_t seconds = (time_t)day * 86400;
	char text[16];
	const char *values[] = {text};
	struct tm date;
	PGresult *result;
	int status;

	gmtime_r(&seconds, &date);
	strftime(text, sizeof(text), "%Y-%m-%d", &date);
	status = rg_postgres_query(store->postgres, "SELECT riskgate.ensure_day($1)", 1, values,
				   &result, err);
	if (!status)
		PQclear(result);
	return status;
}

/* The partition for a record of this day is there; if need be, within this transaction. */
static int need_day(struct store *store, uint32_t day, struct rg_error *err)
{
	int status;

	for (int i = 0; i < DAYS_KNOWN; i++)
		if (store->days[i] == day)
			return RG_OK;
	status = end_copy(store, err);
	if (!status)
		status = make_day(store, day, err);
	if (!status)
		store->days[store->next_day++ % DAYS_KNOWN] = day;
	return status;
}

static int postgres_begin(void *context, struct rg_error *err)
{
	struct store *store = context;

	store->added = 0;
	store->copying = false;
	return rg_postgres_run(store->postgres, "BEGIN", err);
}

static int postgres_row(void *context, const struct rg_sink_row *row, struct rg_error *err)
{
	struct store *store = context;
	int status = need_day(store, (uint32_t)(row->record->receive_time_ns / DAY_NS), err);

	if (!status && !store->copying)
		status = begin_copy(store, err);
	if (!status)
		status = rg_postgres_rows_add(&store->rows, row, err);
	if (!status && store->rows.bytes >= SEND_BYTES)
		status = send_rows(store, err);
	return status;
}

static int postgres_policy(void *context, const struct rg_sink_policy *policy, struct rg_error *err)
{
	struct store *store = context;
	char sequence[24], seconds[40];
	const char *values[] = {store->node,	store->instance,  sequence,
				policy->bundle, policy->revision, seconds};
	PGresult *result;
	int status = end_copy(store, err);

	snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long)policy->sequence);
	snprintf(seconds, sizeof(seconds), "%llu.%09llu",
		 (unsigned long long)(policy->ns / 1000000000u),
		 (unsigned long long)(policy->ns % 1000000000u));
	if (!status)
		status = rg_postgres_query(
			store->postgres,
			"INSERT INTO riskgate.policies VALUES ($1, $2, $3, $4, $5, "
			"to_timestamp($6::double precision)) ON CONFLICT (node, instance, "
			"sequence) DO UPDATE SET bundle = excluded.bundle, revision = "
			"excluded.revision, pushed = excluded.pushed",
			6, values, &result, err);
	if (!status)
		PQclear(result);
	return status;
}

static int postgres_reason(void *context, uint32_t id, const char *name, struct rg_error *err)
{
	struct store *store = context;
	char text[12];
	const char *values[] = {store->node, store->instance, text, name};
	PGresult *result;
	int status = end_copy(store, err);

	snprintf(text, sizeof(text), "%u", id);
	if (!status)
		status = rg_postgres_query(store->postgres,
					   "INSERT INTO riskgate.reasons VALUES ($1, $2, $3, $4) "
					   "ON CONFLICT (node, instance, id) DO UPDATE SET name = "
					   "excluded.name",
					   4, values, &result, err);
	if (!status)
		PQclear(result);
	return status;
}

static int move_checkpoint(struct store *store, const struct rg_sink_checkpoint *before,
			   const struct rg_sink_checkpoint *after, struct rg_error *err)
{
	const uint64_t numbers[5] = {before->position.index, after->position.index,
				     after->position.segment, after->position.offset,
				     after->stored};
	const char *values[9] = {store->node, store->instance, store->lane, store->lanes};
	char texts[5][24];
	PGresult *result;
	int status;

	for (int i = 0; i < 5; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%llu", (unsigned long long)numbers[i]);
		values[i + 4] = texts[i];
	}
	status = rg_postgres_query(store->postgres,
				   "SELECT riskgate.move_checkpoint($1, $2, $3, $4, $5, $6, $7, "
				   "$8, $9)",
				   9, values, &result, err);
	if (!status)
		PQclear(result);
	return status;
}

static int postgres_commit(void *context, const struct rg_sink_checkpoint *before,
			   struct rg_sink_checkpoint *after, struct rg_error *err)
{
	struct store *store = context;
	int status = end_copy(store, err);

	RG_FAILPOINT("postgres.rows_sent");
	after->stored = before->stored + store->added;
	if (!status)
		status = move_checkpoint(store, before, after, err);
	RG_FAILPOINT("postgres.checkpoint_moved");
	if (!status)
		status = rg_postgres_run(store->postgres, "COMMIT", err);
	RG_FAILPOINT("postgres.committed");
	if (!status)
		store->careful = false;
	return status;
}

/* In the middle of a COPY, or with answers under way, a connection is of no use any more; the server
 * rolls back what was not committed. */
static void postgres_roll_back(void *context)
{
	struct store *store = context;

	rg_postgres_disconnect(store->postgres);
	store->copying = false;
	RG_FAILPOINT("postgres.rolled_back");
}

/* ---- partitions and retention ---- */

static int make_days_ahead(struct store *store, uint64_t now_unix_ns, struct rg_error *err)
{
	uint32_t today = (uint32_t)(now_unix_ns / DAY_NS);
	int status = RG_OK;

	if (now_unix_ns < store->next_ahead_ns)
		return RG_OK;
	for (uint32_t i = 0; !status && i <= store->options.partitions_ahead; i++)
		status = make_day(store, today + i, err);
	if (!status)
		store->next_ahead_ns = (today + 1) * DAY_NS;
	return status;
}

static int drop_oldest_day(struct store *store, uint64_t now_unix_ns, struct rg_error *err)
{
	uint64_t age_ns = store->options.retention_days * DAY_NS;
	time_t seconds;
	char text[16];
	const char *values[] = {text};
	PGresult *result;
	struct tm date;
	int status;

	if (!age_ns || now_unix_ns < age_ns)
		return 0;
	seconds = (time_t)((now_unix_ns - age_ns) / 1000000000u);
	gmtime_r(&seconds, &date);
	strftime(text, sizeof(text), "%Y-%m-%d", &date);
	status = rg_postgres_query(store->postgres, "SELECT riskgate.drop_day_before($1)", 1,
				   values, &result, err);
	if (status)
		return status;
	status = !PQgetisnull(result, 0, 0);
	if (status)
		rg_log(RG_LOG_INFO, "sink=postgresql retention dropped=%s",
		       PQgetvalue(result, 0, 0));
	PQclear(result);
	return status;
}

static int postgres_tidy(void *context, uint64_t now_unix_ns, struct rg_error *err)
{
	struct store *store = context;
	int status = make_days_ahead(store, now_unix_ns, err);

	if (!status)
		status = drop_oldest_day(store, now_unix_ns, err);
	if (status > 0)
		forget_days(store);
	return status;
}

const struct rg_sink_driver rg_sink_postgres_driver = {
	.name = "postgresql",
	.open = postgres_open,
	.begin = postgres_begin,
	.policy = postgres_policy,
	.reason = postgres_reason,
	.row = postgres_row,
	.commit = postgres_commit,
	.roll_back = postgres_roll_back,
	.tidy = postgres_tidy,
	.abandon = postgres_abandon,
	.close = postgres_close,
};

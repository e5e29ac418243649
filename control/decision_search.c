/* SPDX-License-Identifier: Apache-2.0 */
#include "control/decision_search.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal/query.h"
#include "wire/decision.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define BUSY_MS	     5000
#define SEARCH_STEPS 20000 /* of SQLite's machine between two looks at other work */

struct rg_decision_search {
	sqlite3 *file;
	const struct rg_schema *schema;
	char *path;
};

static int fail(struct rg_decision_search *search, const char *what, struct rg_error *err)
{
	return rg_error_set(err, RG_EIO, "SQLite file %s: %s: %s", search->path, what,
			    search->file ? sqlite3_errmsg(search->file) : "out of memory");
}

int rg_decision_search_open(const char *path, const struct rg_schema *schema,
			    struct rg_decision_search **out, struct rg_error *err)
{
	struct rg_decision_search *search = calloc(1, sizeof(*search));
	char *copy = strdup(path);
	int status = RG_OK;

	if (!search || !copy) {
		free(search);
		free(copy);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	search->path = copy;
	search->schema = schema;
	if (sqlite3_open_v2(path, &search->file, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL))
		status = fail(search, "cannot open it for reading", err);
	if (status) {
		rg_decision_search_close(search);
		return status;
	}
	sqlite3_busy_timeout(search->file, BUSY_MS);
	*out = search;
	return RG_OK;
}

void rg_decision_search_close(struct rg_decision_search *search)
{
	if (!search)
		return;
	sqlite3_close(search->file);
	free(search->path);
	free(search);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

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

/* What was asked over HTTP, and the answer. */
static void write_query(sqlite3_stmt *row, struct rg_json_writer *writer)
{
	struct rg_journal_query query;

	if (!rg_journal_query_parse(sqlite3_column_blob(row, REQUEST),
				    (size_t)sqlite3_column_bytes(row, REQUEST), &query))
		return;
	rg_span_write(writer, "decision_id", query.decision_id);
	rg_span_write(writer, "path", query.path);
	rg_span_write(writer, "request", query.input);
	rg_span_write(writer, "result", query.result);
	rg_span_write(writer, "error", query.error);
	rg_span_write(writer, "requested_by", query.requested_by);
	rg_span_write(writer, "headers", query.headers);
	rg_span_write(writer, "erased", query.erased);
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
	rg_json_write_time(writer, (uint64_t)sqlite3_column_int64(row, RECEIVE_TIME));
	write_number(writer, "latency_ns", row, LATENCY);
	write_text(writer, "client", row, CLIENT);
	write_text(writer, "template", row, TEMPLATE);
	if (sqlite3_column_int(row, WORKER) == RG_WORKER_API) {
		write_query(row, writer);
	} else {
		rg_json_write_key(writer, "request");
		write_request(schema, row, writer);
	}
	write_number(writer, "policy_sequence", row, POLICY_SEQUENCE);
	write_text(writer, "revision", row, REVISION);
	write_text(writer, "verdict", row, VERDICT);
	write_text(writer, "status", row, STATUS);
	rg_json_write_key(writer, "score");
	rg_json_write_micro(writer, sqlite3_column_int64(row, SCORE));
	rg_json_write_key(writer, "reasons");
	rg_json_write_raw(writer, (const char *)sqlite3_column_text(row, REASONS),
			  (size_t)sqlite3_column_bytes(row, REASONS));
	write_number(writer, "reasons_fired", row, REASONS_FIRED);
	write_number(writer, "flags", row, FLAGS);
	rg_json_write_object_end(writer);
}

struct running {
	const struct rg_decision_filter *filter;
	uint64_t until_ns;
};

/* SQLite's progress handler. Not 0: enough. */
static int search_on(void *context)
{
	const struct running *running = context;

	if (running->filter->meanwhile)
		running->filter->meanwhile(running->filter->context);
	return monotonic_ns() >= running->until_ns;
}

int rg_decision_search_run(struct rg_decision_search *search,
			   const struct rg_decision_filter *filter, struct rg_json_writer *writer,
			   struct rg_error *err)
{
	static const char query[] =
		"SELECT * FROM decisions WHERE (?1 IS NULL OR verdict = ?1) AND (?2 IS NULL OR "
		"template = ?2)"
		" AND (?3 IS NULL OR revision = ?3) AND (?4 IS NULL OR request_id = ?4)"
		" AND (?5 IS NULL OR receive_time_ns < ?5) ORDER BY rowid DESC LIMIT ?6";
	struct running running = {filter, monotonic_ns() + RG_DECISION_SEARCH_NS};
	sqlite3_stmt *row = NULL;
	int result;

	if (filter->limit < 1 || filter->limit > 10000)
		return rg_error_set(err, RG_EINVAL, "limit: %u is not from 1 to 10000",
				    filter->limit);
	if (filter->verdict && rg_decision_verdict_find(filter->verdict) <= 0)
		return rg_error_set(err, RG_EINVAL, "verdict: \"%s\" is not ALLOW, DENY or REVIEW",
				    filter->verdict);
	if (sqlite3_prepare_v2(search->file, query, -1, &row, NULL))
		return fail(search, "cannot read decisions", err);
	sqlite3_bind_text(row, 1, filter->verdict, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 2, filter->template_name, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 3, filter->revision, -1, SQLITE_STATIC);
	if (filter->has_request_id)
		sqlite3_bind_int64(row, 4, (int64_t)filter->request_id);
	if (filter->before_ns)
		sqlite3_bind_int64(row, 5, (int64_t)filter->before_ns);
	sqlite3_bind_int64(row, 6, filter->limit);
	sqlite3_progress_handler(search->file, SEARCH_STEPS, search_on, &running);
	rg_json_write_array_begin(writer);
	while ((result = sqlite3_step(row)) == SQLITE_ROW)
		write_decision(search->schema, row, writer);
	rg_json_write_array_end(writer);
	sqlite3_finalize(row);
	sqlite3_progress_handler(search->file, 0, NULL, NULL);
	if (result == SQLITE_INTERRUPT)
		return rg_error_set(err, RG_ELIMIT,
				    "too many decisions to look through in %llu s: ask for fewer "
				    "(limit), or ask the file itself: sqlite3 -readonly %s",
				    RG_DECISION_SEARCH_NS / 1000000000u, search->path);
	if (result != SQLITE_DONE)
		return fail(search, "cannot read decisions", err);
	return writer->failed ? rg_error_set(err, RG_ENOMEM, "out of memory") : RG_OK;
}

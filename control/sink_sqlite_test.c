/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_sqlite.h"

#include <assert.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64], journal[96], file[96];
static struct rg_schema *schema;

static const char xml[] =
	"<?xml version=\"1.0\"?>"
	"<sbe:messageSchema xmlns:sbe=\"http://fixprotocol.io/2016/sbe\" package=\"t\" id=\"1\" "
	"version=\"1\""
	" byteOrder=\"littleEndian\"><types>"
	"<composite name=\"messageHeader\"><type name=\"blockLength\" primitiveType=\"uint16\"/>"
	"<type name=\"templateId\" primitiveType=\"uint16\"/><type name=\"schemaId\" "
	"primitiveType=\"uint16\"/>"
	"<type name=\"version\" primitiveType=\"uint16\"/></composite>"
	"<composite name=\"cents\"><type name=\"mantissa\" primitiveType=\"int64\"/>"
	"<type name=\"exponent\" primitiveType=\"int8\" "
	"presence=\"constant\">-2</type></composite></types>"
	"<sbe:message name=\"Payment\" id=\"1\"><field name=\"request_id\" id=\"1\" "
	"type=\"uint64\"/>"
	"<field name=\"amount\" id=\"2\" type=\"cents\"/></sbe:message></sbe:messageSchema>";

static void fresh_folder(void)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf %s && mkdir -p %s", folder, folder);
	assert(system(command) == 0);
}

static struct rg_journal_writer *open_journal(void)
{
	struct rg_journal_writer_options options = {.directory = journal,
						    .node = 7,
						    .segment_bytes = 1 << 16,
						    .sync_interval_ns = 1000000000,
						    .sync_bytes = 1 << 20};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;

	if (rg_journal_writer_open(&options, &writer, &recovery, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return writer;
}

static void flush(struct rg_journal_writer *writer)
{
	struct rg_error err;

	assert(rg_journal_writer_flush(writer, 1, &err) == RG_OK);
}

static void append(struct rg_journal_writer *writer, uint64_t sequence, uint64_t policy,
		   uint16_t reason)
{
	struct {
		struct rg_record record;
		uint64_t request_id;
		int64_t amount;
	} r = {.record = {.length = sizeof(r),
			  .kind = RG_RECORD_DECISION,
			  .version = RG_RECORD_VERSION,
			  .worker = (uint16_t)(sequence % 2),
			  .epoch = 5,
			  .sequence = sequence / 2 + 1,
			  .receive_time_ns = 1700000000000000000u + sequence,
			  .policy_sequence = policy,
			  .score_micro = -1500000,
			  .client_address = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 9},
			  .client_port = 4000,
			  .schema_id = 1,
			  .template_id = 1,
			  .schema_version = 1,
			  .block_length = 16,
			  .latency_ns = 1234,
			  .node = 7,
			  .verdict = sequence % 3 == 0 ? 2 : 1,
			  .reason_count = reason ? 1 : 0,
			  .reasons = {reason},
			  .reasons_fired = reason ? 1 : 0,
			  .request_bytes = 16},
	       .request_id = sequence,
	       .amount = (int64_t)sequence * 100 + 25};
	int status = rg_journal_writer_record(writer, &r.record, NULL);

	if (status == RG_EAGAIN) {
		flush(writer);
		status = rg_journal_writer_record(writer, &r.record, NULL);
	}
	assert(status == RG_OK || status == RG_ECONFLICT);
}

static void append_policy(struct rg_journal_writer *writer, const char *json)
{
	int status = rg_journal_writer_add(writer, RG_JOURNAL_POLICY, json, (uint32_t)strlen(json));

	if (status == RG_EAGAIN) {
		flush(writer);
		status = rg_journal_writer_add(writer, RG_JOURNAL_POLICY, json,
					       (uint32_t)strlen(json));
	}
	assert(status == RG_OK);
}

static struct rg_sink_sqlite *open_sink(uint32_t batch)
{
	struct rg_sink_sqlite_options options = {
		.path = file, .journal_directory = journal, .schema = schema, .batch = batch};
	struct rg_sink_sqlite *sink;
	struct rg_error err;

	if (rg_sink_sqlite_open(&options, &sink, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return sink;
}

static int64_t ask(const char *query)
{
	sqlite3_stmt *row;
	sqlite3 *database;
	int64_t value;

	assert(sqlite3_open_v2(file, &database, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
	sqlite3_busy_timeout(database, 5000);
	assert(sqlite3_prepare_v2(database, query, -1, &row, NULL) == SQLITE_OK);
	assert(sqlite3_step(row) == SQLITE_ROW);
	value = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(database);
	return value;
}

static void drain(struct rg_sink_sqlite *sink)
{
	struct rg_error err;
	int stored;

	while ((stored = rg_sink_sqlite_work(sink, &err)) > 0)
		;
	assert(stored == 0);
}

static void test_rows_and_names(void)
{
	struct rg_decision_filter filter = {.limit = 10};
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	struct rg_json_writer json;
	struct rg_error err;

	fresh_folder();
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5,"
			      "\"reasons\":[\"first\",\"sec\\\"ond\"],\"later\":{\"x\":[1]}}");
	append(writer, 0, 1, 2);
	append(writer, 1, 1, 9);
	append(writer, 2, 0, 65535);
	flush(writer);
	sink = open_sink(100);
	assert(rg_sink_sqlite_work(sink, &err) == 3);
	rg_json_writer_init(&json, false);
	assert(rg_sink_sqlite_decisions(sink, &filter, &json, &err) == RG_OK);
	assert(strstr(json.text,
		      "[{\"node\":7,\"epoch\":5,\"worker\":0,\"sequence\":2,\"request_id\":2,"));
	assert(strstr(json.text,
		      "\"receive_time\":\"2023-11-14T22:13:20.000000002Z\",\"latency_ns\":1234,"
		      "\"client\":\"10.0.0.9:4000\",\"template\":\"Payment\","
		      "\"request\":{\"request_id\":2,\"amount\":2.25},\"policy_sequence\":0,"
		      "\"revision\":null,\"verdict\":\"ALLOW\",\"status\":\"OK\",\"score\":-1.5,"
		      "\"reasons\":[\"other\"]"));
	assert(strstr(json.text,
		      "\"revision\":\"r-1\",\"verdict\":\"DENY\",\"status\":\"OK\",\"score\":-1.5,"
		      "\"reasons\":[\"sec\\\"ond\"]"));
	assert(strstr(json.text, "\"reasons\":[\"reason-9\"]"));
	rg_json_writer_free(&json);
	rg_sink_sqlite_close(sink);

	/* names are known again after a restart, from the file */
	append(writer, 3, 1, 1);
	append_policy(writer,
		      "{\"sequence\":2,\"bundle\":\"b\",\"revision\":\"r-2\",\"ns\":6,\"reasons\":"
		      "[\"first\",\"second\",\"third\"]}");
	append(writer, 4, 2, 3);
	flush(writer);
	sink = open_sink(100);
	drain(sink);
	assert(ask("SELECT count(*) FROM decisions WHERE reasons = '[\"first\"]' AND revision = "
		   "'r-1'") == 1);
	assert(ask("SELECT count(*) FROM decisions WHERE reasons = '[\"third\"]' AND revision = "
		   "'r-2'") == 1);

	filter = (struct rg_decision_filter){.limit = 10, .verdict = "DENY"};
	rg_json_writer_init(&json, false);
	assert(rg_sink_sqlite_decisions(sink, &filter, &json, &err) == RG_OK);
	assert(!strstr(json.text, "ALLOW") && strstr(json.text, "\"request_id\":3"));
	rg_json_writer_reset(&json);
	filter = (struct rg_decision_filter){.limit = 10, .has_request_id = true, .request_id = 4};
	assert(rg_sink_sqlite_decisions(sink, &filter, &json, &err) == RG_OK);
	assert(strstr(json.text, "\"request_id\":4,") && !strstr(json.text, "\"request_id\":3,"));
	rg_json_writer_free(&json);
	filter.limit = 0;
	assert(rg_sink_sqlite_decisions(sink, &filter, &json, &err) == RG_EINVAL);
	filter = (struct rg_decision_filter){.limit = 1, .verdict = "MAYBE"};
	assert(rg_sink_sqlite_decisions(sink, &filter, &json, &err) == RG_EINVAL);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
}

/* Closed and opened again after every batch, over several segments: each record once. */
static void test_restart(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	struct rg_error err;
	int stored;

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 3000; i++)
		append(writer, i, 1, 0);
	flush(writer);
	do {
		sink = open_sink(170);
		stored = rg_sink_sqlite_work(sink, &err);
		rg_sink_sqlite_close(sink);
	} while (stored > 0);
	assert(stored == 0);
	assert(ask("SELECT count(*) FROM decisions") == 3000);
	assert(ask("SELECT stored FROM checkpoint") == 3000);
	assert(ask("SELECT sum(request_id) FROM decisions") == 3000 * 2999 / 2);
	rg_journal_writer_close(writer);
}

static void test_limit(void)
{
	struct rg_journal_writer *writer;
	struct rg_journal_position limit;
	struct rg_sink_sqlite *sink;
	struct rg_error err;

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 10; i++)
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &limit);
	for (uint64_t i = 10; i < 20; i++)
		append(writer, i, 1, 0);
	flush(writer);
	sink = open_sink(100);
	rg_sink_sqlite_limit(sink, &limit);
	assert(rg_sink_sqlite_work(sink, &err) == 10 && rg_sink_sqlite_work(sink, &err) == 0);
	rg_sink_sqlite_limit(sink, NULL);
	assert(rg_sink_sqlite_work(sink, &err) == 10);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
}

/* The journal's folder was emptied, or another one is configured: its indexes begin at 0 again. */
static void test_another_journal(void)
{
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink_sqlite *sink;
	struct rg_error err;
	char command[300];

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 50; i++)
		append(writer, i, 1, 0);
	flush(writer);
	sink = open_sink(100);
	drain(sink);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
	snprintf(command, sizeof(command), "rm -rf %s", journal);
	assert(system(command) == 0);
	writer = open_journal();
	for (uint64_t i = 40; i < 70; i++) /* ten that are stored already, twenty new ones */
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &end);
	sink = open_sink(7);
	rg_sink_sqlite_limit(sink, &end);
	for (int turn = 0; turn < 20; turn++)
		assert(rg_sink_sqlite_work(sink, &err) >= 0);
	assert(ask("SELECT frame FROM checkpoint") == (int64_t)end.index);
	assert(ask("SELECT count(*) FROM decisions") == 70);
	assert(ask("SELECT stored FROM checkpoint") == 70);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
}

static void note_call(void *context)
{
	++*(uint64_t *)context;
}

/* A search through many rows lets its caller's other work go on. */
static void test_long_search(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	struct rg_json_writer json;
	struct rg_error err;
	uint64_t calls = 0;
	struct rg_decision_filter filter = {.limit = 1,
					    .has_request_id = true,
					    .request_id = UINT64_MAX,
					    .meanwhile = note_call,
					    .context = &calls};

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 20000; i++)
		append(writer, i, 1, 0);
	flush(writer);
	sink = open_sink(20000);
	drain(sink);
	rg_json_writer_init(&json, false);
	assert(rg_sink_sqlite_decisions(sink, &filter, &json, &err) == RG_OK);
	assert(json.bytes == 2 && !memcmp(json.text, "[]", 2));
	assert(calls >= 5);
	rg_json_writer_free(&json);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
}

/* Killed at random moments while the journal grows. */
static void test_kill(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	unsigned seed = (unsigned)time(NULL);
	uint64_t written = 0;

	printf("seed %u\n", seed);
	srand(seed);
	fresh_folder();
	writer = open_journal();
	for (int round = 0; round < 20; round++) {
		pid_t child;

		for (int i = rand() % 400; i >= 0; i--)
			append(writer, written++, 1, 0);
		flush(writer);
		child = fork();
		assert(child >= 0);
		if (!child) {
			sink = open_sink(1 + (uint32_t)rand() % 100);
			for (;;)
				rg_sink_sqlite_work(sink, NULL);
		}
		usleep((useconds_t)(rand() % 30000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	sink = open_sink(1000);
	drain(sink);
	rg_sink_sqlite_close(sink);
	assert(ask("SELECT count(*) FROM decisions") == (int64_t)written);
	assert(ask("SELECT count(DISTINCT request_id) FROM decisions") == (int64_t)written);
	assert(ask("SELECT stored FROM checkpoint") == (int64_t)written);
	rg_journal_writer_close(writer);
}

static void test_thread(void)
{
	struct rg_sink_sqlite_statistics statistics;
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	struct rg_error err;

	fresh_folder();
	writer = open_journal();
	sink = open_sink(50);
	assert(rg_sink_sqlite_start(sink, &err) == RG_OK);
	for (uint64_t i = 0; i < 500; i++) {
		append(writer, i, 1, 0);
		if (i % 50 == 49) {
			flush(writer);
			rg_sink_sqlite_wake(sink);
		}
	}
	rg_sink_sqlite_stop(sink, 20000);
	rg_sink_sqlite_statistics(sink, &statistics);
	assert(statistics.stored == 500 && !statistics.failures && !statistics.last_error[0]);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
}

/* Another process holds the file: reported, tried again, nothing lost. */
static void test_failure(void)
{
	struct rg_sink_sqlite_statistics statistics;
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	struct rg_error err;
	sqlite3 *other;

	fresh_folder();
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5,"
			      "\"reasons\":[\"x\"]}");
	append(writer, 0, 1, 1);
	flush(writer);
	sink = open_sink(50);
	assert(sqlite3_open(file, &other) == SQLITE_OK);
	assert(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
	assert(rg_sink_sqlite_work(sink, &err) == RG_EIO);
	assert(strstr(err.text, file) && strstr(err.text, "locked"));
	rg_sink_sqlite_statistics(sink, &statistics);
	assert(statistics.failures == 1 && strstr(statistics.last_error, "locked"));
	assert(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(other);
	assert(rg_sink_sqlite_work(sink, &err) == 1);
	rg_sink_sqlite_statistics(sink, &statistics);
	assert(!statistics.last_error[0]);
	assert(ask("SELECT count(*) FROM decisions WHERE reasons = '[\"x\"]' AND revision = "
		   "'r-1'") == 1);
	rg_sink_sqlite_close(sink);

	/* a file of a later riskgate */
	assert(sqlite3_open(file, &other) == SQLITE_OK);
	assert(sqlite3_exec(other, "PRAGMA user_version = 99", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(other);
	assert(rg_sink_sqlite_open(&(struct rg_sink_sqlite_options){.path = file,
								    .journal_directory = journal,
								    .schema = schema,
								    .batch = 1},
				   &sink, &err) == RG_EVERSION);
	assert(strstr(err.text, "sinks.sqlite.path"));
	rg_journal_writer_close(writer);
}

/* Rows a second, for whoever asks: sink_sqlite_test --speed */
static void measure(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink_sqlite *sink;
	struct timespec from, to;
	double seconds;

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 500000; i++)
		append(writer, i, 1, 1);
	flush(writer);
	sink = open_sink(20000);
	clock_gettime(CLOCK_MONOTONIC, &from);
	drain(sink);
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("%.0f rows a second\n", 500000 / seconds);
	rg_sink_sqlite_close(sink);
	rg_journal_writer_close(writer);
}

int main(int argc, char **argv)
{
	struct rg_error err;

	snprintf(folder, sizeof(folder), "/tmp/riskgate-sink-test-%d", getpid());
	snprintf(journal, sizeof(journal), "%s/journal", folder);
	snprintf(file, sizeof(file), "%s/decisions.sqlite", folder);
	if (rg_schema_load_memory(xml, sizeof(xml) - 1, "test", &schema, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	if (argc > 1 && !strcmp(argv[1], "--speed")) {
		measure();
	} else {
		test_rows_and_names();
		test_restart();
		test_limit();
		test_another_journal();
		test_long_search();
		test_kill();
		test_thread();
		test_failure();
	}
	rg_schema_free(schema);
	fresh_folder();
	rmdir(folder);
	return 0;
}

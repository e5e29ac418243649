/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sink_sqlite.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>

#include "control/decision_search.h"
#include "control/test_journal.h"

static char file[96];

static struct rg_sink *make_sink(uint32_t batch, const struct rg_sink_sqlite_options *bounds)
{
	struct rg_sink_options options = {
		.journal_directory = journal, .schema = schema, .batch = batch};
	struct rg_sink_sqlite_options store_options = *bounds;
	struct rg_sink *sink;
	struct rg_error err;
	void *store;

	store_options.path = file;
	assert(rg_sink_sqlite_new(&store_options, &store, &err) == RG_OK);
	assert(rg_sink_new(&options, &rg_sink_sqlite_driver, store, &sink, &err) == RG_OK);
	return sink;
}

static struct rg_sink *open_sink(uint32_t batch)
{
	struct rg_sink *sink = make_sink(batch, &(struct rg_sink_sqlite_options){0});
	struct rg_error err;

	if (rg_sink_open(sink, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return sink;
}

static struct rg_decision_search *open_search(void)
{
	struct rg_decision_search *search;
	struct rg_error err;

	assert(rg_decision_search_open(file, schema, &search, &err) == RG_OK);
	return search;
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

static void test_rows_and_names(void)
{
	struct rg_decision_filter filter = {.limit = 10};
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_decision_search *search;
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
	assert(rg_sink_work(sink, 1, &err) == 3);
	search = open_search();
	rg_json_writer_init(&json, false);
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_OK);
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
	rg_sink_close(sink);

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
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_OK);
	assert(!strstr(json.text, "ALLOW") && strstr(json.text, "\"request_id\":3"));
	rg_json_writer_reset(&json);
	filter = (struct rg_decision_filter){.limit = 10, .has_request_id = true, .request_id = 4};
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_OK);
	assert(strstr(json.text, "\"request_id\":4,") && !strstr(json.text, "\"request_id\":3,"));
	rg_json_writer_free(&json);
	filter.limit = 0;
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_EINVAL);
	filter = (struct rg_decision_filter){.limit = 1, .verdict = "MAYBE"};
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_EINVAL);
	rg_decision_search_close(search);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* A decision asked over HTTP is shown as it was asked and answered. */
static void test_query(void)
{
	struct rg_decision_filter filter = {.limit = 10};
	struct rg_journal_writer *writer;
	struct rg_decision_search *search;
	struct rg_json_writer json;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	writer = open_journal();
	append(writer, 0, 1, 0);
	append_query(writer, 1,
		     "{\"decision_id\":\"id-1\",\"path\":\"a/b\",\"requested_by\":\"till\","
		     "\"input\":{\"n\":1.50},\"result\":[true]}");
	flush(writer);
	sink = open_sink(100);
	assert(rg_sink_work(sink, 1, &err) == 2);
	search = open_search();
	rg_json_writer_init(&json, false);
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_OK);
	assert(strstr(json.text, "[{\"node\":7,\"epoch\":6,\"worker\":65535,\"sequence\":1,"));
	assert(strstr(json.text, "\"client\":\"10.0.0.8:5000\",\"template\":\"\",\"decision_id\":"
				 "\"id-1\",\"path\":\"a/b\",\"request\":{\"n\":1.50},\"result\":"
				 "[true],\"requested_by\":\"till\",\"policy_sequence\":1,"));
	assert(strstr(json.text, "\"verdict\":\"NONE\""));
	assert(strstr(json.text, "\"request\":{\"request_id\":0,"));
	rg_json_writer_free(&json);
	rg_decision_search_close(search);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Closed and opened again after every batch, over several segments: each record once. */
static void test_restart(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_error err;
	int stored;

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 3000; i++)
		append(writer, i, 1, 0);
	flush(writer);
	do {
		sink = open_sink(170);
		stored = rg_sink_work(sink, 1, &err);
		rg_sink_close(sink);
	} while (stored > 0);
	assert(stored == 0);
	assert(ask("SELECT count(*) FROM decisions") == 3000);
	assert(ask("SELECT stored FROM checkpoint") == 3000);
	assert(ask("SELECT sum(request_id) FROM decisions") == 3000 * 2999 / 2);
	rg_journal_writer_close(writer);
}

/* The journal's folder was emptied, or another one is configured: its indexes begin at 0 again. */
static void test_another_journal(void)
{
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink *sink;
	struct rg_error err;
	char command[300];

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 50; i++)
		append(writer, i, 1, 0);
	flush(writer);
	sink = open_sink(100);
	drain(sink);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
	snprintf(command, sizeof(command), "rm -rf %s", journal);
	assert(system(command) == 0);
	writer = open_journal();
	for (uint64_t i = 40; i < 70; i++) /* ten that are stored already, twenty new ones */
		append(writer, i, 1, 0);
	flush(writer);
	rg_journal_writer_end(writer, &end);
	sink = open_sink(7);
	rg_sink_follow(sink, &end, 1);
	for (int turn = 0; turn < 20; turn++)
		assert(rg_sink_work(sink, 1, &err) >= 0);
	assert(ask("SELECT frame FROM checkpoint") == (int64_t)end.index);
	assert(ask("SELECT count(*) FROM decisions") == 70);
	assert(ask("SELECT stored FROM checkpoint") == 70);
	rg_sink_close(sink);
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
	struct rg_sink *sink;
	struct rg_decision_search *search;
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
	search = open_search();
	rg_json_writer_init(&json, false);
	assert(rg_decision_search_run(search, &filter, &json, &err) == RG_OK);
	assert(json.bytes == 2 && !memcmp(json.text, "[]", 2));
	assert(calls >= 5);
	rg_json_writer_free(&json);
	rg_decision_search_close(search);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Killed at random moments while the journal grows. */
static void test_kill(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
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
				rg_sink_work(sink, 1, NULL);
		}
		usleep((useconds_t)(rand() % 30000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	sink = open_sink(1000);
	drain(sink);
	rg_sink_close(sink);
	assert(ask("SELECT count(*) FROM decisions") == (int64_t)written);
	assert(ask("SELECT count(DISTINCT request_id) FROM decisions") == (int64_t)written);
	assert(ask("SELECT stored FROM checkpoint") == (int64_t)written);
	rg_journal_writer_close(writer);
}

static void test_thread(void)
{
	struct rg_sink_statistics statistics;
	struct rg_journal_writer *writer;
	struct rg_journal_position end;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_folder();
	writer = open_journal();
	sink = open_sink(50);
	assert(rg_sink_start(sink, &err) == RG_OK);
	for (uint64_t i = 0; i < 500; i++) {
		append(writer, i, 1, 0);
		if (i % 50 == 49) {
			flush(writer);
			rg_journal_writer_end(writer, &end);
			rg_sink_follow(sink, &end, 1);
		}
	}
	rg_sink_stop(sink, 20000);
	rg_sink_statistics(sink, 1, &statistics);
	assert(statistics.stored == 500 && !statistics.failures && !statistics.last_error[0]);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Another process holds the file: reported, tried again, nothing lost. */
static void test_failure(void)
{
	struct rg_sink_statistics statistics;
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
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
	assert(rg_sink_work(sink, 1, &err) == RG_EIO);
	assert(strstr(err.text, file) && strstr(err.text, "locked"));
	rg_sink_statistics(sink, 1, &statistics);
	assert(statistics.failures == 1 && strstr(statistics.last_error, "locked"));
	assert(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(other);
	assert(rg_sink_work(sink, 1, &err) == 1);
	rg_sink_statistics(sink, 1, &statistics);
	assert(!statistics.last_error[0]);
	assert(ask("SELECT count(*) FROM decisions WHERE reasons = '[\"x\"]' AND revision = "
		   "'r-1'") == 1);
	rg_sink_close(sink);

	/* a file of a later riskgate */
	assert(sqlite3_open(file, &other) == SQLITE_OK);
	assert(sqlite3_exec(other, "PRAGMA user_version = 99", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(other);
	sink = make_sink(1, &(struct rg_sink_sqlite_options){0});
	assert(rg_sink_open(sink, &err) == RG_EVERSION);
	assert(strstr(err.text, "sinks.sqlite.path"));
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* The oldest rows go, by each of the three bounds; the checkpoint and what is new stay. */
static void test_retention(void)
{
	static const uint64_t day_ns = 86400000000000ull, first_ns = 1700000000000000000ull;
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_error err;
	int64_t bytes;

	fresh_folder();
	writer = open_journal();
	for (uint64_t i = 0; i < 30000; i++)
		append(writer, i, 1, 0);
	flush(writer);

	sink = make_sink(20000, &(struct rg_sink_sqlite_options){.max_rows = 17500});
	while (rg_sink_work(sink, first_ns, &err) > 0)
		;
	for (int turn = 0; turn < 3; turn++)
		assert(rg_sink_work(sink, first_ns, &err) == 0);
	assert(ask("SELECT count(*) FROM decisions") == 17500);
	assert(ask("SELECT min(request_id) FROM decisions") == 12500);
	assert(ask("SELECT stored FROM checkpoint") == 30000);
	rg_sink_close(sink);

	/* received before the first 20000 + 1 ns of a day ago */
	sink = make_sink(20000, &(struct rg_sink_sqlite_options){.retention_days = 1});
	for (int turn = 0; turn < 4; turn++)
		assert(rg_sink_work(sink, first_ns + day_ns + 20000, &err) == 0);
	assert(ask("SELECT min(request_id) FROM decisions") == 20000);
	assert(ask("SELECT count(*) FROM decisions") == 10000);
	rg_sink_close(sink);

	bytes = ask("SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, "
		    "pragma_freelist_count, pragma_page_size");
	sink = make_sink(20000,
			 &(struct rg_sink_sqlite_options){.max_bytes = (uint64_t)bytes - 4096});
	for (int turn = 0; turn < 3; turn++)
		assert(rg_sink_work(sink, first_ns, &err) == 0);
	assert(ask("SELECT count(*) FROM decisions") == 5000);

	/* what is taken away does not come back, and new records go on from the checkpoint */
	append(writer, 30000, 1, 0);
	flush(writer);
	assert(rg_sink_work(sink, first_ns, &err) == 1);
	assert(ask("SELECT max(request_id) FROM decisions") == 30000);
	assert(ask("SELECT stored FROM checkpoint") == 30001);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Rows a second, for whoever asks: sink_sqlite_test --speed */
static void measure(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
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
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

int main(int argc, char **argv)
{
	begin_test("sink-sqlite-test");
	snprintf(file, sizeof(file), "%s/decisions.sqlite", folder);
	if (argc > 1 && !strcmp(argv[1], "--speed")) {
		measure();
	} else {
		test_rows_and_names();
		test_query();
		test_restart();
		test_another_journal();
		test_long_search();
		test_kill();
		test_thread();
		test_failure();
		test_retention();
	}
	end_test();
	return 0;
}

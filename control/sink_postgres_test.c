/* SPDX-License-Identifier: Apache-2.0 */
/* The PostgreSQL store, on a cluster of its own: run through scripts/postgres.py, which starts it
 * and says where it is. */
#include "control/sink_postgres.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "control/postgres_connection.h"
#include "control/postgres_migrations.h"
#include "control/test_journal.h"

#define DAY_NS 86400000000000ull

static const char *connection;
static PGconn *asker;

/* The first value of the first row; until the next call. */
static const char *ask(const char *sql)
{
	static char value[4096];
	PGresult *result = PQexec(asker, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK &&
	    PQresultStatus(result) != PGRES_COMMAND_OK) {
		fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(asker));
		abort();
	}
	snprintf(value, sizeof(value), "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	return value;
}

static void expect(const char *sql, const char *wanted)
{
	const char *got = ask(sql);

	if (strcmp(got, wanted) != 0) {
		fprintf(stderr, "%s\ngot:  %s\nwant: %s\n", sql, got, wanted);
		abort();
	}
}

static void fresh_database(void)
{
	fresh_folder();
	ask("DROP SCHEMA IF EXISTS riskgate CASCADE");
}

static bool requests_as_bytes; /* of sinks that are made */

static struct rg_sink *make_lane(uint32_t lane, uint32_t lanes, uint32_t batch,
				 uint32_t retention_days)
{
	struct rg_sink_postgres_options store_options = {.connection = connection,
							 .password_file = "",
							 .node = 7,
							 .instance = "test",
							 .lane = lane,
							 .lanes = lanes,
							 .schema = schema,
							 .requests_as_bytes = requests_as_bytes,
							 .partitions_ahead = 1,
							 .retention_days = retention_days};
	struct rg_sink_options options = {.journal_directory = journal,
					  .schema = schema,
					  .batch = batch,
					  .lane = lane,
					  .lanes = lanes};
	struct rg_sink *sink;
	struct rg_error err;
	const char *place;
	void *store;

	assert(rg_sink_postgres_new(&store_options, &store, &place, &err) == RG_OK);
	assert(strstr(place, "127.0.0.1:") && strstr(place, "/postgres"));
	assert(rg_sink_new(&options, &rg_sink_postgres_driver, store, &sink, &err) == RG_OK);
	return sink;
}

static struct rg_sink *make_sink(uint32_t batch, uint32_t retention_days)
{
	return make_lane(0, 1, batch, retention_days);
}

static int work(struct rg_sink *sink)
{
	struct rg_error err;
	int stored = rg_sink_work(sink, 1700000000000000000u, &err);

	if (stored < 0)
		fprintf(stderr, "%s\n", err.text);
	return stored;
}

static void test_values(void)
{
	static const char row[] =
		"SELECT decisions::text FROM riskgate.decisions WHERE sequence = ";
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	char sql[200];

	fresh_database();
	writer = open_journal();
	append_policy(writer,
		      "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5000000000,"
		      "\"reasons\":[\"first\",\"sec\\\"ond\"],\"later\":{\"x\":[1]}}");
	append(writer, 0, 1, 2);
	append(writer, 3, 0, 0);
	flush(writer);
	sink = make_sink(100, 0);
	assert(work(sink) == 2);
	snprintf(sql, sizeof(sql), "%s1", row);
	expect(sql,
	       "(\"2023-11-14 22:13:20+00\",1700000000000000000,7,5,0,1,0,1234,10.0.0.9,4000,"
	       "Payment,1,1,r-1,DENY,OK,-1.5,\"{\"\"sec\\\\\"\"ond\"\"}\",1,0,\"{\"\"amount\"\": "
	       "0.25, \"\"request_id\"\": 0}\",,,,,,)");
	snprintf(sql, sizeof(sql), "%s2", row);
	expect(sql, "(\"2023-11-14 22:13:20+00\",1700000000000000003,7,5,1,2,3,1234,10.0.0.9,4000,"
		    "Payment,1,0,,DENY,OK,-1.5,{},0,0,\"{\"\"amount\"\": 3.25, \"\"request_id\"\": "
		    "3}\",,,,,,)");
	expect("SELECT bundle || ' ' || revision || ' ' || extract(epoch FROM pushed) FROM "
	       "riskgate.policies",
	       "b r-1 5.000000");
	expect("SELECT string_agg(name, ',' ORDER BY id) FROM riskgate.reasons", "first,sec\"ond");
	expect("SELECT count(*) FROM riskgate.decision_list WHERE request->>'amount' = '3.25'",
	       "1");
	expect("SELECT decisions FROM riskgate.reason_counts WHERE reason = 'sec\"ond'", "1");
	rg_sink_close(sink);

	/* names are known again from the database */
	append(writer, 4, 1, 1);
	flush(writer);
	sink = make_sink(100, 0);
	assert(work(sink) == 1);
	expect("SELECT revision || reasons[1] FROM riskgate.decisions WHERE request_id = 4",
	       "r-1first");
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Whole scores, scores below one, large ones, IPv6, a request this schema cannot read. */
static void test_odd_values(void)
{
	static const struct {
		int64_t micro;
		const char *text;
	} scores[] = {{0, "0"},
		      {1, "0.000001"},
		      {-999999, "-0.999999"},
		      {10000, "0.01"},
		      {100000000, "100"},
		      {12345678900000, "12345678.9"},
		      {INT64_MAX, "9223372036854.775807"},
		      {INT64_MIN, "-9223372036854.775808"}};
	struct rg_record_with_block {
		struct rg_record record;
		uint64_t request_id;
	} r = {.record = {.length = sizeof(r),
			  .kind = RG_RECORD_DECISION,
			  .version = RG_RECORD_VERSION,
			  .epoch = 1,
			  .client_address = {0xfd, 0x71, [15] = 9},
			  .schema_id = 99,
			  .template_id = 1,
			  .block_length = 8,
			  .node = 7,
			  .verdict = 3,
			  .request_bytes = 8},
	       .request_id = UINT64_MAX};
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	char sql[100];

	fresh_database();
	writer = open_journal();
	for (uint64_t i = 0; i < sizeof(scores) / sizeof(scores[0]); i++) {
		r.record.sequence = i + 1;
		r.record.receive_time_ns = 1700000000000000000u + i * DAY_NS; /* a day each */
		r.record.score_micro = scores[i].micro;
		assert(rg_journal_writer_record(writer, &r.record, NULL) == RG_OK);
	}
	flush(writer);
	sink = make_sink(100, 0);
	assert(work(sink) == sizeof(scores) / sizeof(scores[0]));
	for (uint64_t i = 0; i < sizeof(scores) / sizeof(scores[0]); i++) {
		snprintf(sql, sizeof(sql),
			 "SELECT score FROM riskgate.decisions WHERE sequence = %llu",
			 (unsigned long long)i + 1);
		expect(sql, scores[i].text);
	}
	expect("SELECT count(*) FROM riskgate.decisions WHERE request IS NULL AND request_bytes = "
	       "'\\xffffffffffffffff' AND client = 'fd71::9' AND template = ''",
	       "8");
	expect("SELECT max(request_id) FROM riskgate.decision_list", "18446744073709551615");
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* As the message came, where that is wanted; rows from before stay as they are. */
static void test_request_bytes(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;

	fresh_database();
	writer = open_journal();
	for (uint64_t i = 0; i < 2; i++) {
		append(writer, i, 0, 0);
		flush(writer);
		requests_as_bytes = i == 1;
		sink = make_sink(100, 0);
		assert(work(sink) == 1);
		rg_sink_close(sink);
	}
	requests_as_bytes = false;
	expect("SELECT request->>'amount' FROM riskgate.decisions WHERE request_id = 0 AND "
	       "request_bytes IS NULL",
	       "0.25");
	/* request_id 1, amount 125, as append() makes them */
	expect("SELECT encode(request_bytes, 'hex') || template FROM riskgate.decisions WHERE "
	       "request_id = 1 AND request IS NULL",
	       "01000000000000007d00000000000000Payment");
	rg_journal_writer_close(writer);
}

/* Decisions asked over HTTP: input and result are JSONB; what PostgreSQL refuses as such is kept as it
 * was recorded, and stops nothing. */
static void test_queries(void)
{
	static const char odd[] =
		"{\"decision_id\":\"id-%d\",\"path\":\"a/b\",\"input\":%s,\"result\":7}";
	static const char *const refused[] = {"{\"t\":\"\\u0000\"}", "{\"n\":1e131073}",
					      "[1e-99999]"};
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	char json[200];

	fresh_database();
	writer = open_journal();
	append(writer, 0, 1, 0);
	append_query(
		writer, 1,
		"{\"decision_id\":\"id-0\",\"path\":\"risk/deny\",\"requested_by\":\"till\","
		"\"input\":{\"n\":1.50,\"t\":\"\\u00e9\"},\"result\":[\"x\"],\"error\":\"e\"}");
	for (int i = 0; i < 3; i++) {
		snprintf(json, sizeof(json), odd, i + 1, refused[i]);
		append_query(writer, (uint64_t)i + 2, json);
	}
	append_query(writer, 5,
		     "{\"decision_id\":\"id-4\",\"path\":\"a/c\",\"erased\":[\"/input\"]}");
	append(writer, 1, 1, 0);
	flush(writer);
	sink = make_sink(100, 0);
	assert(work(sink) == 7);
	expect("SELECT concat_ws('|', path, request, result, error, requested_by, verdict, "
	       "template, "
	       "worker, client_port) FROM riskgate.decisions WHERE decision_id = 'id-0'",
	       "risk/deny|{\"n\": 1.50, \"t\": \"\xc3\xa9\"}|[\"x\"]|e|till|NONE||65535|5000");
	expect("SELECT count(*) FROM riskgate.decisions WHERE request IS NULL AND result = '7' AND "
	       "convert_from(request_bytes, 'UTF8') LIKE '{\"decision_id\":\"id-%'",
	       "3");
	expect("SELECT count(*) FROM riskgate.decisions WHERE path = 'a/c' AND request IS NULL AND "
	       "result IS NULL AND request_bytes IS NULL",
	       "1");
	expect("SELECT count(*) FROM riskgate.decision_list WHERE decision_id IS NULL AND path IS "
	       "NULL",
	       "2");
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Made anew after every batch, its connection ended by the server now and then. */
static void test_restart(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	int stored, turn = 0, broken = 0;

	fresh_database();
	writer = open_journal();
	for (uint64_t i = 0; i < 3000; i++)
		append(writer, i, 1, 0);
	flush(writer);
	do {
		sink = make_sink(170, 0);
		stored = work(sink);
		if (turn++ % 3 == 0) {
			ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
			    "application_name = 'riskgate'");
			broken += rg_sink_work(sink, 1, NULL) == RG_EIO;
		}
		rg_sink_close(sink);
	} while (stored > 0);
	assert(stored == 0 && turn > 10 && broken > 3);
	expect("SELECT count(*) FROM riskgate.decisions", "3000");
	expect("SELECT stored FROM riskgate.checkpoints", "3000");
	expect("SELECT sum(request_id) FROM riskgate.decisions", "4498500");
	rg_journal_writer_close(writer);
}

/* What is there already comes again: the journal's folder was emptied, or the checkpoint was
 * lost. */
static void test_known_records(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;

	fresh_database();
	writer = open_journal();
	for (uint64_t i = 0; i < 50; i++)
		append(writer, i, 1, 0);
	flush(writer);
	sink = make_sink(100, 0);
	drain(sink);
	ask("UPDATE riskgate.checkpoints SET frame = 0, segment = 0, position = 0");
	for (uint64_t i = 50; i < 70; i++)
		append(writer, i, 1, 0);
	flush(writer);
	/* it finds the checkpoint moved, and then rows that are there already */
	assert(work(sink) == RG_EIO);
	assert(work(sink) == 70);
	expect("SELECT count(*) FROM riskgate.decisions", "70");
	expect("SELECT stored FROM riskgate.checkpoints", "70");
	append(writer, 70, 1, 0);
	flush(writer);
	assert(work(sink) == 1);
	expect("SELECT count(*) FROM riskgate.decisions", "71");
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Several connections, and other numbers of them at each start, in the middle of the work: each
 * record once, and as many as are said to be stored. A sink of the number before still runs. */
static void test_lanes(void)
{
	static const uint32_t numbers[] = {1, 2, 4, 3, 1, 2};
	struct rg_sink *sinks[4], *old = NULL;
	struct rg_journal_position end;
	struct rg_journal_writer *writer;
	uint64_t written = 0;
	char count[24];

	fresh_database();
	writer = open_journal();
	for (size_t turn = 0; turn < sizeof(numbers) / sizeof(numbers[0]); turn++) {
		uint32_t lanes = numbers[turn];

		for (int i = 0; i < 6000; i++)
			append(writer, written++, 1, 0);
		flush(writer);
		for (uint32_t lane = 0; lane < lanes; lane++)
			sinks[lane] = make_lane(lane, lanes, 500, 0);
		for (uint32_t lane = 0; lane < lanes; lane++)
			for (uint32_t i = 0; i <= 2 * lane; i++) /* each gets another way */
				assert(work(sinks[lane]) >= 0);
		if (old) {
			rg_sink_work(old, 1, NULL); /* refused, or it takes the work over */
			rg_sink_close(old);
		}
		old = sinks[0];
		for (uint32_t lane = 1; lane < lanes; lane++)
			rg_sink_close(sinks[lane]);
	}
	rg_sink_close(old);
	for (uint32_t lane = 0; lane < 2; lane++) {
		sinks[lane] = make_lane(lane, 2, 1000, 0);
		drain(sinks[lane]);
	}
	snprintf(count, sizeof(count), "%llu", (unsigned long long)written);
	expect("SELECT count(*) FROM riskgate.decisions", count);
	expect("SELECT count(DISTINCT request_id) FROM riskgate.decisions", count);
	expect("SELECT stored FROM riskgate.progress", count);
	rg_journal_writer_end(writer, &end);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)end.index);
	expect("SELECT frame FROM riskgate.progress", count);
	expect("SELECT string_agg(lane || '/' || lanes, ' ' ORDER BY lane) FROM "
	       "riskgate.checkpoints",
	       "0/2 1/2");
	for (uint32_t lane = 0; lane < 2; lane++)
		rg_sink_close(sinks[lane]);
	rg_journal_writer_close(writer);
}

/* Partitions are made ahead and when they are needed, and dropped when they are old. */
static void test_partitions(void)
{
	static const char days[] =
		"SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM "
		"pg_inherits WHERE inhparent = 'riskgate.decisions'::regclass";
	static const uint64_t first_ns = 1700000000000000000u; /* 2023-11-14 */
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_error err;

	fresh_database();
	writer = open_journal();
	append(writer, 0, 1, 0);
	flush(writer);
	sink = make_sink(100, 30);
	assert(rg_sink_work(sink, first_ns, &err) == 1);
	expect(days, "riskgate.decisions_20231114 riskgate.decisions_20231115");
	append(writer, 2, 1, 0);
	flush(writer);
	assert(rg_sink_work(sink, first_ns + DAY_NS, &err) == 1);
	expect(days, "riskgate.decisions_20231114 riskgate.decisions_20231115 "
		     "riskgate.decisions_20231116");
	/* the day ended 30 days ago at the beginning of the 15th of December */
	assert(rg_sink_work(sink, first_ns + 30 * DAY_NS, &err) == 0);
	expect("SELECT count(*) FROM riskgate.decisions", "2");
	assert(rg_sink_work(sink, first_ns + 31 * DAY_NS, &err) == 0);
	expect(days, "riskgate.decisions_20231115 riskgate.decisions_20231116 "
		     "riskgate.decisions_20231214 riskgate.decisions_20231215 "
		     "riskgate.decisions_20231216");
	expect("SELECT count(*) FROM riskgate.decisions", "0");
	expect("SELECT stored FROM riskgate.checkpoints", "2");
	append(writer, 4, 1, 0); /* of a day whose partition was dropped */
	flush(writer);
	assert(rg_sink_work(sink, first_ns + 31 * DAY_NS, &err) == 1);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* From each earlier version to this one with rows in it; a later version is refused. */
static void test_migrations(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	struct rg_error err;

	for (int version = 0; version < RG_POSTGRES_VERSION; version++) {
		fresh_database();
		ask("CREATE SCHEMA riskgate; CREATE TABLE riskgate.migrations (version integer "
		    "PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())");
		if (!version)
			ask("DROP SCHEMA riskgate CASCADE");
		for (int i = 1; i <= version; i++) {
			char sql[100];

			ask(rg_postgres_migration(i));
			snprintf(sql, sizeof(sql), "INSERT INTO riskgate.migrations VALUES (%d)",
				 i);
			ask(sql);
		}
		if (version) {
			ask("SELECT riskgate.ensure_day('2023-11-14')");
			ask("INSERT INTO riskgate.decisions VALUES ('2023-11-14 23:00Z', 1, 1, 1, "
			    "1, "
			    "1, 999, 1, '::1', 1, '', 1, 1, '', 'DENY', 'OK', 1, '{}', 0, 0)");
		}
		writer = open_journal();
		append(writer, 0, 1, 0);
		flush(writer);
		sink = make_sink(10, 0);
		assert(work(sink) == 1);
		expect("SELECT count(*) FROM riskgate.decision_list", version ? "2" : "1");
		expect("SELECT max(version) FROM riskgate.migrations", "4");
		rg_sink_close(sink);
		rg_journal_writer_close(writer);
	}
	ask("INSERT INTO riskgate.migrations VALUES (99)");
	sink = make_sink(10, 0);
	assert(rg_sink_work(sink, 1, &err) == RG_EVERSION);
	assert(strstr(err.text, "version 99") && strstr(err.text, "newer riskgate"));
	rg_sink_close(sink);
}

/* Killed at random moments while the journal grows. */
static void test_kill(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	uint64_t written = 0;
	char count[24];

	fresh_database();
	writer = open_journal();
	for (int round = 0; round < 15; round++) {
		pid_t child;

		for (int i = rand() % 400; i >= 0; i--)
			append(writer, written++, 1, 0);
		flush(writer);
		child = fork();
		assert(child >= 0);
		if (!child) {
			sink = make_sink(1 + (uint32_t)rand() % 100, 0);
			for (;;)
				rg_sink_work(sink, 1700000000000000000u, NULL);
		}
		usleep((useconds_t)(20000 + rand() % 100000));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	sink = make_sink(1000, 0);
	/* a backend of a killed child may still hold the checkpoint's row for a moment */
	for (int i = 0; i < 50 && work(sink) != 0; i++)
		usleep(20000);
	drain(sink);
	rg_sink_close(sink);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)written);
	expect("SELECT count(*) FROM riskgate.decisions", count);
	expect("SELECT count(DISTINCT request_id) FROM riskgate.decisions", count);
	expect("SELECT stored FROM riskgate.checkpoints", count);
	rg_journal_writer_close(writer);
}

/* What is wrong is said with its place, and no password. */
static void test_errors(void)
{
	struct rg_sink_postgres_options options = {
		.connection = "host=127.0.0.1 port=1 dbname=d user=u password=geheim",
		.password_file = "",
		.instance = "test",
		.schema = schema};
	struct rg_postgres *postgres;
	struct rg_error err;
	const char *place;
	bool fresh;
	void *store;

	assert(rg_sink_postgres_new(&options, &store, &place, &err) == RG_OK);
	assert(!strcmp(place, "127.0.0.1:1/d"));
	assert(rg_sink_postgres_driver.open(store, &(struct rg_sink_checkpoint){0}, NULL, &err) ==
	       RG_EIO);
	assert(strstr(err.text, "127.0.0.1:1/d: cannot connect") && !strstr(err.text, "geheim"));
	rg_sink_postgres_driver.close(store);

	options.connection = "host=a,b port=6,7 dbname=x geheim";
	assert(rg_sink_postgres_new(&options, &store, &place, &err) == RG_EINVAL);
	assert(strstr(err.text, "connection") && !strstr(err.text, "geheim"));
	options.connection = "postgresql://u:geheim@a:6,b:7/x";
	assert(rg_sink_postgres_new(&options, &store, &place, &err) == RG_OK);
	assert(!strcmp(place, "a:6,b:7/x"));
	rg_sink_postgres_driver.close(store);

	assert(rg_postgres_new(connection, "/nonexistent", &postgres, &err) == RG_OK);
	assert(rg_postgres_connect(postgres, &fresh, &err) == RG_EIO);
	assert(strstr(err.text, "password_file") && strstr(err.text, "/nonexistent"));
	rg_postgres_delete(postgres);

	/* a server that is silent is given up when riskgate stops */
	assert(rg_postgres_new(connection, "", &postgres, &err) == RG_OK);
	assert(rg_postgres_connect(postgres, &fresh, &err) == RG_OK && fresh);
	assert(rg_postgres_connect(postgres, &fresh, &err) == RG_OK && !fresh);
	rg_postgres_abandon(postgres);
	assert(rg_postgres_run(postgres, "SELECT pg_sleep(600)", &err) == RG_EIO);
	assert(strstr(err.text, "given up"));
	rg_postgres_delete(postgres);
}

int main(void)
{
	unsigned seed = (unsigned)time(NULL);

	connection = getenv("RISKGATE_TEST_POSTGRES");
	if (!connection) {
		fprintf(stderr, "run me through scripts/postgres.py\n");
		return 1;
	}
	printf("seed %u\n", seed);
	srand(seed);
	rg_log_set_level(RG_LOG_ERROR);
	asker = PQconnectdb(connection);
	assert(PQstatus(asker) == CONNECTION_OK);
	ask("SET client_min_messages = warning; SET timezone = 'UTC'");
	begin_test("sink-postgres-test");
	test_values();
	test_odd_values();
	test_request_bytes();
	test_queries();
	test_restart();
	test_known_records();
	test_lanes();
	test_partitions();
	test_migrations();
	test_kill();
	test_errors();
	PQfinish(asker);
	end_test();
	return 0;
}

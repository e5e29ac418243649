/* SPDX-License-Identifier: Apache-2.0 */
/* The decision-log sink against a scripted service. */
#include "control/sink_decision_log.h"

#include <sqlite3.h>
#include <sys/eventfd.h>
#include <zlib.h>

#include "control/test_journal.h"

#define EVENTS_MAX 4096

static const char configuration[] = "node: 7\n"
				    "instance: test\n"
				    "templates:\n"
				    "  - template: Payment\n"
				    "    package: risk.payments\n"
				    "services:\n"
				    "  logs:\n"
				    "    url: http://127.0.0.1:1\n"
				    "labels:\n"
				    "  region: test-1\n"
				    "decision_logs:\n"
				    "  service: logs\n"
				    "  partition_name: desk\n"
				    "  reporting:\n"
				    "    min_delay_seconds: 0\n"
				    "    max_delay_seconds: 0\n"
				    "    upload_size_limit_bytes: 2000\n";

/* What the service does with the next requests. */
enum conduct { ACCEPT, REFUSE, UNREACHABLE, LOSE_ANSWER, TOO_LARGE, AT_RANDOM };

static struct service {
	enum conduct conduct;
	int done_fd;
	uint64_t tickets;
	struct rg_http_client_response response;
	uint32_t requests, largest, lost_answers;
	/* what was accepted */
	char ids[EVENTS_MAX][RG_UUID_TEXT_BYTES];
	uint32_t times[EVENTS_MAX], count, repeated;
	char *last; /* body of the last one that was accepted */
	/* a body that has this text is answered with 413; NULL: none */
	const char *too_large;
} service;

static char file[96];
static struct rg_config *config;

static char *inflate_body(const void *body, size_t bytes)
{
	z_stream stream = {0};
	const uInt room = 1 << 20;
	char *text = malloc(room);

	assert(text && inflateInit2(&stream, 15 + 16) == Z_OK);
	stream.next_in = (uint8_t *)body;
	stream.avail_in = (uInt)bytes;
	stream.next_out = (uint8_t *)text;
	stream.avail_out = room - 1;
	assert(inflate(&stream, Z_FINISH) == Z_STREAM_END && !stream.avail_in);
	text[stream.total_out] = '\0';
	inflateEnd(&stream);
	return text;
}

static void accept_event(const char *id)
{
	for (uint32_t i = 0; i < service.count; i++) {
		if (strncmp(service.ids[i], id, RG_UUID_TEXT_BYTES - 1))
			continue;
		service.times[i]++;
		service.repeated++;
		return;
	}
	assert(service.count < EVENTS_MAX);
	snprintf(service.ids[service.count], RG_UUID_TEXT_BYTES, "%s", id);
	service.times[service.count++] = 1;
}

static uint32_t accept_body(const struct rg_http_client_request *request)
{
	static const char key[] = "\"decision_id\":\"";
	struct rg_json_reader reader;
	uint32_t events = 0;

	free(service.last);
	service.last = inflate_body(request->body, request->body_bytes);
	rg_json_reader_init(&reader, service.last, strlen(service.last));
	assert(rg_json_next(&reader) == RG_JSON_ARRAY_BEGIN && !rg_json_skip(&reader) &&
	       rg_json_next(&reader) == RG_JSON_END);
	for (const char *at = service.last; (at = strstr(at, key)); events++) {
		at += strlen(key);
		accept_event(at);
	}
	return events;
}

static bool body_has(const struct rg_http_client_request *request, const char *text)
{
	char *body = inflate_body(request->body, request->body_bytes);
	bool found = strstr(body, text);

	free(body);
	return found;
}

static int submit(void *context, const struct rg_http_client_request *request, uint64_t *ticket,
		  struct rg_error *err)
{
	enum conduct conduct = service.conduct;
	const uint64_t one = 1;

	assert(!strcmp(request->method, "POST") && !strcmp(request->path, "/logs/desk"));
	assert(!strcmp(request->headers[1], "Content-Encoding: gzip"));
	service.requests++;
	service.response = (struct rg_http_client_response){.status = RG_OK, .code = 200};
	if (service.too_large && body_has(request, service.too_large)) {
		service.response.code = 413;
		conduct = REFUSE;
	}
	if (request->body_bytes > service.largest)
		service.largest = (uint32_t)request->body_bytes;
	if (conduct == AT_RANDOM)
		conduct = rand() % 3 ? ACCEPT : (enum conduct)(rand() % AT_RANDOM);
	if (conduct == REFUSE && service.response.code == 200)
		service.response.code = 500;
	if (conduct == TOO_LARGE && request->body_bytes > 600)
		service.response.code = 413;
	else if (conduct == ACCEPT || conduct == LOSE_ANSWER || conduct == TOO_LARGE)
		accept_body(request);
	if (conduct == UNREACHABLE || conduct == LOSE_ANSWER)
		service.response.status =
			rg_error_set(&service.response.error, RG_EIO, "the connection broke");
	service.lost_answers += conduct == LOSE_ANSWER;
	*ticket = ++service.tickets;
	assert(write(service.done_fd, &one, sizeof(one)) == sizeof(one));
	return RG_OK;
}

static int take(void *context, uint64_t ticket, struct rg_http_client_response *response)
{
	assert(ticket == service.tickets);
	*response = service.response;
	return RG_OK;
}

static void cancel(void *context, uint64_t ticket)
{
	assert(!"an answer is always there");
}

static struct rg_sink *open_sink(uint32_t batch)
{
	static const struct rg_http_client client = {NULL, submit, take, cancel};
	const struct rg_sink_options options = {
		.journal_directory = journal, .schema = schema, .batch = batch};
	const struct rg_sink_decision_log_options store_options = {.config = config,
								   .schema = schema,
								   .path = file,
								   .client = &client,
								   .done_fd = service.done_fd};
	struct rg_sink *sink;
	struct rg_error err;
	void *store;

	assert(rg_sink_decision_log_new(&store_options, &store, &err) == RG_OK);
	assert(rg_sink_new(&options, &rg_sink_decision_log_driver, store, &sink, &err) == RG_OK);
	return sink;
}

static void read_config(const char *more)
{
	char text[2048];
	struct rg_error err;

	rg_config_free(config);
	snprintf(text, sizeof(text), "%s%s", configuration, more);
	if (rg_config_parse(text, strlen(text), "/", &config, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

static void begin(void)
{
	int done_fd = service.done_fd;

	fresh_folder();
	free(service.last);
	unlink(file);
	memset(&service, 0, sizeof(service));
	service.done_fd = done_fd;
}

/* Step until nothing is left, through failures. */
static uint64_t send_all(struct rg_sink *sink)
{
	struct rg_error err;
	uint64_t failures = 0;
	int n;

	while ((n = rg_sink_work(sink, 1, &err)))
		failures += n < 0;
	return failures;
}

static void test_event(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;

	begin();
	read_config("  erase: [/input/amount, /input/none]\n");
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5,"
			      "\"reasons\":[\"first\",\"second\"]}");
	append(writer, 0, 1, 2);
	flush(writer);
	sink = open_sink(100);
	assert(!send_all(sink) && service.count == 1 && service.requests == 1);
	assert(strstr(service.last, "[{\"labels\":{\"id\":\""));
	assert(strstr(service.last,
		      "\"version\":\"" RG_VERSION "\",\"node\":\"7\",\"region\":\"test-1\"}"));
	assert(strstr(service.last, "\"bundles\":{\"b\":{\"revision\":\"r-1\"}}"));
	assert(strstr(service.last, "\"path\":\"risk/payments\""));
	assert(strstr(service.last, "\"input\":{\"request_id\":") &&
	       !strstr(service.last, "\"amount\""));
	assert(strstr(service.last, "\"erased\":[\"/input/amount\"]"));
	assert(strstr(service.last,
		      "\"result\":{\"verdict\":\"DENY\",\"status\":\"OK\",\"score\":-1.5,"
		      "\"reasons\":[\"second\"]}"));
	assert(strstr(service.last, "\"requested_by\":\"10.0.0.9:4000\","
				    "\"timestamp\":\"2023-11-14T22:13:20.0000000"));
	assert(strstr(service.last, "\"metrics\":{\"timer_server_handler_ns\":1234}}]"));
	rg_sink_close(sink);
	/* names and place are known after a restart, and the id is the same for ever */
	append(writer, 1, 1, 1);
	flush(writer);
	sink = open_sink(100);
	assert(!send_all(sink) && service.count == 2 && !service.repeated);
	assert(strstr(service.last, "\"reasons\":[\"first\"]") &&
	       strstr(service.last, "{\"b\":{\"revision\":\"r-1\"}}"));
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* A decision asked over HTTP has the id that its client was told, and input and result as they were. */
static void test_query_event(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;

	begin();
	read_config("  erase: [/input/card, /input/none]\n");
	writer = open_journal();
	append_policy(writer, "{\"sequence\":1,\"bundle\":\"b\",\"revision\":\"r-1\",\"ns\":5}");
	append_query(writer, 1,
		     "{\"decision_id\":\"0b7c0c2e-6f0b-4a43-9a52-000000000001\",\"path\":"
		     "\"risk/payments/deny\",\"requested_by\":\"till\",\"input\":{\"card\":\"4\","
		     "\"n\":1.50},\"result\":[\"x\"]}");
	flush(writer);
	sink = open_sink(100);
	assert(!send_all(sink) && service.count == 1);
	assert(strstr(
		service.last,
		"\"decision_id\":\"0b7c0c2e-6f0b-4a43-9a52-000000000001\",\"bundles\":{\"b\":"
		"{\"revision\":\"r-1\"}},\"path\":\"risk/payments/deny\",\"input\":{\"n\":1.50},"
		"\"erased\":[\"/input/card\"],\"result\":[\"x\"],\"custom\":{\"identity\":"
		"\"till\"},\"req_id\":1,\"requested_by\":\"10.0.0.8:5000\",\"timestamp\":"));
	/* undefined, with an input that was too long for the record; and an error */
	append_query(writer, 2,
		     "{\"decision_id\":\"0b7c0c2e-6f0b-4a43-9a52-000000000002\",\"path\":"
		     "\"a/b\",\"erased\":[\"/input\"]}");
	append_query(writer, 3,
		     "{\"decision_id\":\"0b7c0c2e-6f0b-4a43-9a52-000000000003\",\"path\":"
		     "\"a/c\",\"input\":{\"card\":1},\"error\":\"a.rego:3: it \\\"broke\\\"\"}");
	flush(writer);
	assert(!send_all(sink) && service.count == 3);
	assert(strstr(service.last, "\"path\":\"a/b\",\"erased\":[\"/input\"],\"req_id\":2,"));
	assert(strstr(service.last, "\"path\":\"a/c\",\"input\":{},\"erased\":[\"/input/card\"],"
				    "\"error\":{\"code\":"));
	assert(strstr(service.last, "\"message\":\"a.rego:3: it \\\"broke\\\"\"}"));
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* Chunks keep to their limit, and 413 makes them smaller. */
static void test_chunks(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink *sink;

	begin();
	read_config("");
	writer = open_journal();
	for (uint64_t i = 0; i < 500; i++)
		append(writer, i, 1, 1);
	flush(writer);
	sink = open_sink(200);
	drain(sink);
	assert(service.count == 500 && !service.repeated);
	assert(service.largest <= 2000 && service.requests > 10 && service.requests < 200);
	rg_sink_close(sink);
	for (uint64_t i = 500; i < 600; i++)
		append(writer, i, 1, 1);
	flush(writer);
	service.conduct = TOO_LARGE;
	sink = open_sink(200);
	drain(sink);
	assert(service.count == 600 && !service.repeated);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* A service that fails at random, and a sink that is started again: each event is there; twice only
 * when an answer was lost or the sink forgot what was accepted of a batch. */
static void test_failures(void)
{
	const unsigned seed = 20261128;
	struct rg_journal_writer *writer;
	struct rg_sink *sink;
	uint64_t failures = 0;

	printf("a service that fails at random, seed %u\n", seed);
	srand(seed);
	begin();
	read_config("");
	writer = open_journal();
	service.conduct = AT_RANDOM;
	for (uint64_t i = 0; i < 1000; i++) {
		append(writer, i, 1, 1);
		if (i % 100 != 99)
			continue;
		flush(writer);
		sink = open_sink(64);
		failures += send_all(sink);
		rg_sink_close(sink);
	}
	assert(failures > 10 && service.count == 1000);
	assert(service.lost_answers && service.repeated);
	for (uint32_t i = 0; i < service.count; i++)
		assert(service.times[i] >= 1);

	/* with answers that say the truth nothing is sent twice */
	begin();
	rg_journal_writer_close(writer);
	writer = open_journal();
	for (uint64_t i = 0; i < 300; i++)
		append(writer, i, 1, 1);
	flush(writer);
	sink = open_sink(300);
	for (int n = 0; service.count < 300; n++) {
		struct rg_error err;

		service.conduct = n % 2 ? ACCEPT : n % 4 ? REFUSE : UNREACHABLE;
		rg_sink_work(sink, 1, &err);
	}
	assert(!service.repeated);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* An event alone that is too large is refused: not stored, and counted; also over a restart. */
static void test_refused(void)
{
	struct rg_journal_writer *writer;
	struct rg_sink_statistics statistics;
	struct rg_sink *sink;

	begin();
	read_config("");
	writer = open_journal();
	for (uint64_t i = 0; i < 100; i++)
		append(writer, i, 1, 1);
	flush(writer);
	service.too_large = "\"req_id\":37,";
	sink = open_sink(64);
	drain(sink);
	rg_sink_statistics(sink, 1, &statistics);
	assert(service.count == 99 && !service.repeated);
	assert(statistics.stored == 99 && statistics.records == 99);
	assert(statistics.refused == 1 && statistics.records_refused == 1);
	rg_sink_close(sink);

	/* a service that takes nothing at all */
	for (uint64_t i = 100; i < 120; i++)
		append(writer, i, 1, 1);
	flush(writer);
	service.too_large = "[";
	sink = open_sink(64);
	drain(sink);
	rg_sink_statistics(sink, 1, &statistics);
	assert(service.count == 99);
	assert(statistics.stored == 99 && statistics.records == 0);
	assert(statistics.refused == 21 && statistics.records_refused == 20);
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

/* A checkpoint's file of the first version is taken over; one of a later riskgate is not. */
static void test_file_versions(void)
{
	static const char first[] = "CREATE TABLE policies (sequence INTEGER PRIMARY KEY, bundle "
				    "TEXT NOT NULL, revision"
				    " TEXT NOT NULL); CREATE TABLE reasons (id INTEGER PRIMARY "
				    "KEY, name TEXT NOT NULL);"
				    "CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = "
				    "1), frame INTEGER NOT"
				    " NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, "
				    "stored INTEGER NOT NULL);"
				    "INSERT INTO checkpoint VALUES (1, 0, 0, 0, 1000)";
	struct rg_journal_writer *writer;
	struct rg_sink_statistics statistics;
	struct rg_sink *sink;
	struct rg_error err;
	sqlite3 *old;

	begin();
	read_config("");
	assert(!sqlite3_open(file, &old) && !sqlite3_exec(old, first, NULL, NULL, NULL));
	writer = open_journal();
	append(writer, 0, 1, 1);
	flush(writer);
	sink = open_sink(64);
	drain(sink);
	rg_sink_statistics(sink, 1, &statistics);
	assert(statistics.stored == 1001 && service.count == 1 && !statistics.refused);
	rg_sink_close(sink);
	assert(!sqlite3_exec(old, "PRAGMA user_version = 99", NULL, NULL, NULL));
	sqlite3_close(old);
	sink = open_sink(64);
	assert(rg_sink_work(sink, 1, &err) == RG_EVERSION && strstr(err.text, "version 99"));
	rg_sink_close(sink);
	rg_journal_writer_close(writer);
}

int main(void)
{
	begin_test("decision-log");
	snprintf(file, sizeof(file), "%s/decision-logs.sqlite", folder);
	service.done_fd = eventfd(0, EFD_NONBLOCK);
	test_event();
	test_query_event();
	test_chunks();
	test_failures();
	test_refused();
	test_file_versions();
	free(service.last);
	rg_config_free(config);
	end_test();
	return 0;
}

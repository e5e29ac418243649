/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of status reports, stepped by hand against a scripted service. */
#include "control/status_report.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define S  (1000 * MS)

static struct script {
	bool under_way, answered, refuses;
	uint64_t ticket;
	char path[128], body[64];
	struct rg_http_client_response response;
	uint32_t submitted, cancelled;
} script;
static const char *says; /* the report */

static int submit(void *context, const struct rg_http_client_request *request, uint64_t *ticket,
		  struct rg_error *err)
{
	assert(!script.under_way && !strcmp(request->method, "POST") && !request->gzip);
	assert(request->header_count == 1 &&
	       !strcmp(request->headers[0], "Content-Type: application/json"));
	if (script.refuses)
		return rg_error_set(err, RG_ELIMIT, "too many requests");
	strcpy(script.path, request->path);
	assert(request->body_bytes < sizeof(script.body));
	memcpy(script.body, request->body, request->body_bytes);
	script.body[request->body_bytes] = '\0';
	script.under_way = true;
	script.answered = false;
	script.ticket = *ticket = ++script.submitted;
	return RG_OK;
}

static int take(void *context, uint64_t ticket, struct rg_http_client_response *response)
{
	assert(ticket == script.ticket && script.under_way);
	if (!script.answered)
		return RG_EAGAIN;
	*response = script.response;
	script.under_way = false;
	return RG_OK;
}

static void cancel(void *context, uint64_t ticket)
{
	assert(ticket == script.ticket && script.under_way);
	script.under_way = false;
	script.cancelled++;
}

static void answer(long code)
{
	assert(script.under_way);
	script.response = (struct rg_http_client_response){.status = RG_OK, .code = code};
	script.answered = true;
}

static void break_off(void)
{
	assert(script.under_way);
	script.response = (struct rg_http_client_response){0};
	script.response.status =
		rg_error_set(&script.response.error, RG_EIO, "the connection broke");
	script.answered = true;
}

static void write_report(void *context, struct rg_json_writer *writer)
{
	rg_json_write_string(writer, says);
}

static void begin(struct rg_status_report *report, const struct rg_config_status *config)
{
	static const struct rg_http_client client = {NULL, submit, take, cancel};
	static const struct rg_config_service service = {.name = "acme"};
	const struct rg_status_report_options options = {
		.config = config, .service = &service, .client = &client, .write = write_report};

	memset(&script, 0, sizeof(script));
	rg_status_report_init(report, &options);
}

static void test_changes(void)
{
	const struct rg_config_status config = {.period_ms = 60000};
	struct rg_status_report report;

	begin(&report, &config);
	says = "one";
	assert(rg_status_report_step(&report, 7, S) == 1);
	assert(script.under_way && !strcmp(script.path, "/status"));
	assert(!strcmp(script.body, "\"one\""));
	/* what changes meanwhile makes one report, of how it is then */
	says = "two";
	assert(!rg_status_report_step(&report, 8, S) && !rg_status_report_step(&report, 9, S));
	answer(204);
	says = "three";
	assert(rg_status_report_step(&report, 9, S) == 1 && report.state == RG_STATUS_QUIET);
	assert(rg_status_report_step(&report, 9, S) == 1 && !strcmp(script.body, "\"three\""));
	answer(200);
	rg_status_report_step(&report, 9, 2 * S);
	assert(report.sent == 2 && !report.failures);
	/* nothing new: after the period */
	assert(!rg_status_report_step(&report, 9, 61 * S) && script.submitted == 2);
	assert(rg_status_report_step(&report, 9, 62 * S) == 1 && script.submitted == 3);
	/* breaking off */
	rg_status_report_free(&report);
	assert(script.cancelled == 1);
}

static void test_failures(void)
{
	const struct rg_config_status config = {.period_ms = 1000,
						.partition_name = (char *)"desk"};
	static const uint64_t delays_ms[] = {100, 200, 400, 800, 1000, 1000};
	struct rg_status_report report;
	uint64_t now_ns = S;

	begin(&report, &config);
	rg_status_report_step(&report, 1, now_ns);
	assert(!strcmp(script.path, "/status/desk"));
	for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
		if (i % 2)
			answer(500);
		else
			break_off();
		assert(rg_status_report_step(&report, 1, now_ns) == 1);
		assert(report.state == RG_STATUS_WAITING && report.failures == i + 1);
		assert(strstr(report.last_error.text,
			      i % 2 ? "acme answered 500" : "connection broke"));
		/* a change does not hurry it */
		assert(!rg_status_report_step(&report, 2 + i, now_ns + (delays_ms[i] - 1) * MS));
		now_ns += delays_ms[i] * MS;
		assert(rg_status_report_step(&report, 2 + i, now_ns) == 1 && script.under_way);
	}
	answer(202);
	rg_status_report_step(&report, 7, now_ns);
	assert(report.state == RG_STATUS_QUIET && !report.last_error.status && report.sent == 1);
	/* the client has no room */
	script.refuses = true;
	rg_status_report_step(&report, 8, now_ns);
	assert(report.state == RG_STATUS_WAITING && !script.under_way);
	script.refuses = false;
	rg_status_report_step(&report, 8, now_ns + 100 * MS);
	answer(200);
	rg_status_report_step(&report, 8, now_ns + 100 * MS);
	assert(report.sent == 2);
	rg_status_report_free(&report);
	assert(!script.cancelled);
}

int main(void)
{
	test_changes();
	test_failures();
	return 0;
}

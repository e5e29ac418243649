/* SPDX-License-Identifier: Apache-2.0 */
#include "control/status_report.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define NS_PER_MS	   1000000ull
#define BACKOFF_NS_FIRST   (100 * NS_PER_MS)
#define BACKOFF_NS_MAX	   (60000 * NS_PER_MS)
#define RESPONSE_BYTES_MAX (64u << 10)

void rg_status_report_init(struct rg_status_report *report,
			   const struct rg_status_report_options *options)
{
	const char *partition = options->config->partition_name;

	memset(report, 0, sizeof(*report));
	report->options = *options;
	snprintf(report->path, sizeof(report->path), "/status%s%s", partition ? "/" : "",
		 partition ? partition : "");
}

void rg_status_report_free(struct rg_status_report *report)
{
	const struct rg_http_client *client = report->options.client;

	if (report->state == RG_STATUS_SENDING)
		client->cancel(client->context, report->ticket);
	memset(report, 0, sizeof(*report));
}

static uint64_t period_ns(const struct rg_status_report *report)
{
	return report->options.config->period_ms * NS_PER_MS;
}

static void succeed(struct rg_status_report *report, uint64_t now_ns)
{
	if (report->last_error.status)
		rg_log(RG_LOG_INFO, "status: reports arrive again");
	report->last_error.status = RG_OK;
	report->failures_in_a_row = 0;
	report->sent++;
	report->state = RG_STATUS_QUIET;
	report->due_ns = now_ns + period_ns(report);
}

static void fail(struct rg_status_report *report, const struct rg_error *err, uint64_t now_ns)
{
	uint64_t most_ns = period_ns(report) < BACKOFF_NS_MAX ? period_ns(report) : BACKOFF_NS_MAX;
	uint64_t delay_ns = BACKOFF_NS_FIRST;

	for (uint32_t i = 0; i < report->failures_in_a_row && delay_ns < most_ns; i++)
		delay_ns *= 2;
	/* once for each new reason: a service can be away for days */
	if (!report->last_error.status || strcmp(report->last_error.text, err->text) != 0)
		rg_log(RG_LOG_WARNING, "status: error=\"%s\"", err->text);
	report->last_error = *err;
	report->failures_in_a_row++;
	report->failures++;
	report->state = RG_STATUS_WAITING;
	report->due_ns = now_ns + (delay_ns < most_ns ? delay_ns : most_ns);
}

/* Hand the text to the client. */
static int submit(struct rg_status_report *report, const struct rg_json_writer *text,
		  struct rg_error *err)
{
	static const char *const headers[] = {"Content-Type: application/json"};
	const struct rg_http_client *client = report->options.client;
	const struct rg_http_client_request request = {.service = report->options.service,
						       .method = "POST",
						       .path = report->path,
						       .headers = headers,
						       .header_count = 1,
						       .body = text->text,
						       .body_bytes = text->bytes,
						       .response_bytes_max = RESPONSE_BYTES_MAX};

	return client->submit(client->context, &request, &report->ticket, err);
}

static void print(const struct rg_json_writer *text)
{
	fwrite(text->text, 1, text->bytes, stdout);
	putchar('\n');
	fflush(stdout);
}

static void send_report(struct rg_status_report *report, uint64_t change, uint64_t now_ns)
{
	struct rg_json_writer text;
	struct rg_error err;
	int rc = RG_OK;

	rg_json_writer_init(&text, false);
	report->options.write(report->options.context, &text);
	if (text.failed)
		rc = rg_error_set(&err, RG_ENOMEM, "out of memory for a status report");
	/* one that is tried again was printed */
	if (!rc && report->options.config->console && !(report->told_any && report->told == change))
		print(&text);
	report->told = change;
	report->told_any = true;
	if (!rc && report->options.service)
		rc = submit(report, &text, &err);
	rg_json_writer_free(&text);
	if (rc)
		fail(report, &err, now_ns);
	else if (report->options.service)
		report->state = RG_STATUS_SENDING;
	else
		succeed(report, now_ns);
}

static uint32_t take_answer(struct rg_status_report *report, uint64_t now_ns)
{
	const struct rg_http_client *client = report->options.client;
	struct rg_http_client_response response;
	struct rg_error err;
	char text[64];
	int rc = client->take(client->context, report->ticket, &response);

	if (rc == RG_EAGAIN)
		return 0;
	if (rc) {
		rg_error_set(&err, rc, "the request was lost");
		fail(report, &err, now_ns);
		return 1;
	}
	if (response.status) {
		fail(report, &response.error, now_ns);
	} else if (response.code < 200 || response.code > 299) {
		rg_error_set(&err, RG_EIO, "service %s answered %s", report->options.service->name,
			     rg_http_code_text(response.code, text));
		fail(report, &err, now_ns);
	} else {
		succeed(report, now_ns);
	}
	rg_http_client_response_free(&response);
	return 1;
}

uint32_t rg_status_report_step(struct rg_status_report *report, uint64_t change, uint64_t now_ns)
{
	bool is_due = now_ns >= report->due_ns;

	if (report->state == RG_STATUS_SENDING)
		return take_answer(report, now_ns);
	if (report->state == RG_STATUS_QUIET)
		is_due = is_due || !report->told_any || change != report->told;
	if (!is_due)
		return 0;
	send_report(report, change, now_ns);
	return 1;
}

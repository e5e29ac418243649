/* SPDX-License-Identifier: Apache-2.0 */
/* The API behind a played server (played_web.h): documents, batches, records, commands, pushes. */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/api/access.h"
#include "control/api/played_web.h"
#include "journal/journal.h"
#include "shm/record.h"

#define ALL (RG_PERMISSION_READ | RG_PERMISSION_DECIDE | RG_PERMISSION_ADMIN)

static void expect(const char *method, const char *uri, const char *body, unsigned status,
		   const char *text)
{
	const struct rg_played_answer *answer = rg_played(method, uri, body);

	if (answer->status == status && strstr(answer->text, text))
		return;
	fprintf(stderr, "%s %s %s: %u, not %u with %s: %s\n", method, uri, body ? body : "",
		answer->status, status, text, answer->text);
	abort();
}

static void get(const char *uri, unsigned status, const char *text)
{
	expect("GET", uri, NULL, status, text);
}

static void post(const char *uri, const char *body, unsigned status, const char *text)
{
	expect("POST", uri, body, status, text);
}

/* ---- documents ---- */

static void check_documents(void)
{
	get("/v1/data/payments/allow?input={\"amount\":5}", 200, "\"result\":false");
	get("/v1/data/payments/allow/x", 200, "{\"decision_id\":");
	assert(!strstr(rg_played("GET", "/v1/data/nowhere", NULL)->text, "result"));
	get("/v1/data/reference/payments/score/deny", 200, "\"result\":");
	get("/v1/data/reference/payments/restricted_mcc/0", 200, "\"result\":5933");
	assert(!strstr(
		rg_played("GET", "/v1/data/reference/payments/restricted_mcc/99", NULL)->text,
		"result"));
	assert(!strstr(
		rg_played("GET", "/v1/data/reference/payments/restricted_mcc/-1", NULL)->text,
		"result"));
	/* a package is its rules over the base document; all of data has both */
	get("/v1/data/payments", 200, "\"allow\":false");
	get("/v1/data", 200, "\"reference\":");
	get("/v1/data", 200, "\"payments\":");
	post("/v0/data/payments/allow", "{\"amount\":5}", 200, "false");
	post("/v0/data/nowhere", "{}", 404, "undefined_document");
	post("/", "{}", 404, "undefined_document");
	post("/v1/data/payments/allow", "", 200, "api_usage_warning");
	post("/v1/data/payments/allow", "{\"input\":", 400, "malformed input document");
	post("/v1/data/payments/allow", "[1]", 400, "invalid_parameter");
	post("/v1/data/payments/allow", "{\"input\":1} x", 400, "invalid_parameter");
	get("/v1/data/payments/allow?input=%7B", 400, "parameter contains malformed");
	get("/v1/data/%zz", 400, "escape");
	expect("PUT", "/v1/data/x", "1", 400, "owned by bundle \\\"payments-1\\\"");
	get("/v1/data/payments/allow?provenance", 200,
	    "\"bundles\":{\"payments-1\":{\"revision\":\"payments-1\"}}");
	get("/v1/data/payments/allow?metrics", 200, "timer_rego_query_eval_ns");
}

static void check_yaml(void)
{
	struct rg_played_request request = {.method = "POST",
					    .uri = "/v1/data/payments/allow",
					    .body = "input:\n  amount: 5\n",
					    .body_bytes = strlen("input:\n  amount: 5\n"),
					    .headers = {{"content-type", "application/x-yaml"}},
					    .header_count = 1,
					    .permissions = RG_PERMISSION_DECIDE};
	const struct rg_played_answer *answer = rg_played_ask(&request);

	assert(answer->status == 200 && !strstr(answer->text, "warning"));
	request.body = "input: [";
	request.body_bytes = strlen(request.body);
	assert(rg_played_ask(&request)->status == 400);
}

static void check_batch(void)
{
	const char *uri = "/v1/batch/data/payments/reasons";

	post(uri, "{\"inputs\":{\"a\":{\"amount\":5},\"b\\u00fc\":{}}}", 200, "\"b\\u00fc\":{");
	post(uri, "{\"inputs\":{}}", 200, "\"responses\":{}");
	post(uri, "{}", 200, "'inputs' key missing");
	post(uri, "", 200, "'inputs' key missing");
	post(uri, "{\"inputs\":[1]}", 400, "inputs must be an object");
	post(uri, "{\"inputs\":{\"a\":1", 400, "malformed");
	/* the input's own keys win over the common ones, at every depth */
	post("/v1/batch/data/payments/reasons",
	     "{\"inputs\":{\"a\":{\"currency\":\"EUR\"}},\"common_input\":{\"currency\":\"XXX\"}}",
	     200, "\"a\":{");
	assert(!strstr(rg_played("POST", uri,
				 "{\"inputs\":{\"a\":{\"currency\":\"EUR\"}},"
				 "\"common_input\":{\"currency\":\"XXX\"}}")
			       ->text,
		       "currency_not_accepted"));
	post(uri, "{\"inputs\":{\"a\":{}},\"common_input\":{\"currency\":\"XXX\"}}", 200,
	     "currency_not_accepted");
}

/* ---- permissions ---- */

static unsigned status_for(uint32_t permissions, const char *who, const char *method,
			   const char *uri)
{
	const struct rg_played_request request = {
		.method = method, .uri = uri, .permissions = permissions, .who = who};

	return rg_played_ask(&request)->status;
}

static void check_permissions(void)
{
	assert(status_for(0, "", "GET", "/health") == 200);
	assert(status_for(0, "", "GET", "/metrics") == 401);
	assert(status_for(0, "ann", "GET", "/metrics") == 403);
	assert(status_for(RG_PERMISSION_READ, "", "GET", "/metrics") == 200);
	assert(status_for(RG_PERMISSION_READ, "ann", "GET", "/v1/data") == 403);
	assert(status_for(RG_PERMISSION_DECIDE, "", "GET", "/v1/data") == 200);
	assert(status_for(RG_PERMISSION_READ | RG_PERMISSION_DECIDE, "ann", "GET", "/v1/config") ==
	       403);
	assert(status_for(ALL, "ann", "GET", "/v1/config") == 200);
	assert(status_for(ALL, "", "POST", "/health") == 405);
	assert(status_for(ALL, "", "HEAD", "/health") == 200);
	assert(status_for(0, "", "GET", "/nowhere") == 404);
	assert(status_for(0, "", "BREW", "/v1/data") == 405);
}

/* ---- records ---- */

/* The last record of the journal, copied; its document as text. */
static struct rg_record read_last(char *document, size_t room)
{
	struct rg_journal_reader *reader;
	struct rg_journal_frame frame;
	struct rg_record record = {0};
	struct rg_error err;
	char path[256];

	snprintf(path, sizeof(path), "%s/state/journal", rg_played_folder());
	assert(!rg_journal_reader_open(path, NULL, &reader, &err));
	while (!rg_journal_reader_next(reader, &frame, &err)) {
		if (frame.kind != RG_JOURNAL_RECORD)
			continue;
		memcpy(&record, frame.payload, sizeof(record));
		assert(record.request_bytes < room);
		memcpy(document, (const char *)frame.payload + sizeof(record),
		       record.request_bytes);
		document[record.request_bytes] = '\0';
	}
	rg_journal_reader_close(reader);
	return record;
}

static void check_records(void)
{
	static char document[1 << 17], body[1 << 17];
	char decision_id[64];
	struct rg_record first, record;

	post("/v1/data/payments/allow", "{\"input\":{\"amount\":5}}", 200, "decision_id");
	assert(sscanf(strstr(rg_played("POST", "/v1/data/payments/allow",
				       "{\"input\":{\"amount\":5}}")
				     ->text,
			     "decision_id"),
		      "decision_id\":\"%63[^\"]", decision_id) == 1);
	first = read_last(document, sizeof(document));
	assert(first.kind == RG_RECORD_QUERY && first.worker == RG_WORKER_API &&
	       first.policy_sequence == 1 && first.latency_ns > 0);
	assert(strstr(document, decision_id) && strstr(document, "payments/allow"));
	/* each is one more, also those of a batch */
	post("/v1/batch/data/payments/allow", "{\"inputs\":{\"a\":{},\"b\":{},\"c\":{}}}", 200,
	     "c");
	record = read_last(document, sizeof(document));
	assert(record.sequence == first.sequence + 3 && record.epoch == first.epoch);
	/* what is not decided is not recorded */
	post("/v1/data/payments/allow", "{", 400, "");
	assert(read_last(document, sizeof(document)).sequence == record.sequence);
	/* an input that is too long is left out, and that is said */
	strcpy(body, "{\"input\":{\"x\":\"");
	memset(body + strlen(body), 'a', 70000);
	strcat(body, "\"}}");
	post("/v1/data/payments/allow", body, 200, "decision_id");
	record = read_last(document, sizeof(document));
	assert(record.sequence == first.sequence + 4 && record.request_bytes < 1000);
	assert(strstr(document, "/input") && !strstr(document, "aaaa"));
	/* a verdict's record has who asked */
	assert(status_for(RG_PERMISSION_DECIDE, "gateway", "GET", "/v1/data/payments/allow") ==
	       200);
	read_last(document, sizeof(document));
	assert(strstr(document, "gateway"));
}

/* ---- commands ---- */

static void check_commands(void)
{
	get("/v1/riskgate/status", 200, "{\"ok\":true,\"version\":");
	get("/v1/riskgate/reasons", 200, "\"name\":\"blocked_card\"");
	get("/v1/riskgate/versions/1", 200, "\"revision\":\"payments-1\"");
	get("/v1/riskgate/versions/99", 404, "resource_not_found");
	get("/v1/riskgate/versions/many", 400, "unsigned integer");
	get("/v1/riskgate/versions/1/diff?from=1", 200, "\"identical\":true");
	get("/v1/riskgate/decisions?limit=1", 200, "\"decisions\":[");
	get("/v1/riskgate/decisions?limit=x", 400, "limit");
	get("/v1/riskgate/decisions?verdict=PERHAPS", 400, "PERHAPS");
	get("/v1/riskgate/decisions?verdict=a%00b", 422, "NUL");
	get("/v1/riskgate/decisions?command=policy.push", 400, "unknown parameter");
	get("/v1/riskgate/history?x", 400, "unknown parameter \\\"x\\\"");
	get("/v1/riskgate/journal?verify", 200, "\"verify\":{\"ok\":true,\"chained\":false}");
	assert(!strstr(rg_played("GET", "/v1/riskgate/journal?verify=false", NULL)->text,
		       "chained"));
	post("/v1/riskgate/versions/1/approve", NULL, 404, "waits for approval");
	/* a parameter cannot become another member of the command */
	get("/v1/riskgate/history?limit=1%22,%22command%22:%22status", 400, "limit");
}

static void check_verdicts(void)
{
	const char *uri = "/v1/riskgate/decide/PaymentAuthorization";
	char document[4096];

	post(uri, "{\"request_id\":7,\"amount\":5}", 200,
	     "\"reasons\":[\"currency_not_accepted\"]");
	assert(strstr(rg_played("POST", uri, "{\"request_id\":7,\"amount\":5}")->text,
		      "\"request_id\":7,\"verdict\":\"DENY\",\"status\":\"OK\""));
	read_last(document, sizeof(document));
	assert(strstr(document, "riskgate/decide/PaymentAuthorization") &&
	       strstr(document, "\"verdict\":\"DENY\""));
	post(uri, "{\"amount\":\"x\"}", 400, "amount");
	post(uri, NULL, 400, "malformed request");
	post("/v1/riskgate/decide/Nope", "{}", 404, "GET /v1/riskgate/templates");
	post("/v1/riskgate/decide/Decision", "{}", 404, "");
	post("/v1/riskgate/decide/a%00b", "{}", 404, "");
}

/* ---- policies ---- */

static int count_uploads(void)
{
	char path[256];
	struct dirent *entry;
	int count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/state/uploads", rg_played_folder());
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return count;
}

/* Push a file as `who`; 0: dry runs and refusals are the caller's. */
static const struct rg_played_answer *push(const char *uri, const char *path, const char *who)
{
	static char bytes[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t count = read(fd, bytes, sizeof(bytes));
	const struct rg_played_request request = {.method = "POST",
						  .uri = uri,
						  .body = bytes,
						  .body_bytes = (size_t)count,
						  .permissions = ALL,
						  .who = who};

	assert(fd >= 0 && count > 0);
	close(fd);
	return rg_played_ask(&request);
}

static void check_pushes(void)
{
	const struct rg_played_answer *answer;

	get("/v1/policies", 200, "\"id\":\"payments-1/payments.rego\"");
	get("/v1/policies/payments-1/payments.rego", 200, "package payments");
	get("/v1/policies/payments-1%2Fpayments.rego", 200, "package payments");
	get("/v1/policies/payments-1/payments.reg", 404, "resource_not_found");
	get("/v1/policies/payments-1", 404, "resource_not_found");
	get("/v1/policies/payments-1/payments.rego/x", 404, "resource_not_found");
	expect("DELETE", "/v1/policies/payments-1/payments.rego", NULL, 400, "owned by bundle");
	answer = push("/v1/riskgate/policy?name=other&dry_run", RG_BUNDLE, "ann");
	assert(answer->status == 200 && strstr(answer->text, "dry_run") && !count_uploads());
	answer = push("/v1/riskgate/policy?name=other&wait_ms=0&reason=why", RG_BUNDLE, "ann");
	assert(answer->status == 200 && strstr(answer->text, "\"sequence\":2"));
	assert(!count_uploads());
	get("/v1/riskgate/versions/2", 200, "\"reason\":\"why\",\"user\":\"ann\"");
	get("/v1/policies", 200, "\"id\":\"other/payments.rego\"");
	get("/v1/data?provenance", 200, "\"revision\":\"payments-1\"");
	post("/v1/riskgate/policy", "", 400, "empty");
	post("/v1/riskgate/policy?name=a/b", "x", 400, "name: write");
	post("/v1/riskgate/policy?name=.x", "x", 400, "name: write");
	post("/v1/riskgate/policy?name=%00", "x", 400, "name: write");
	post("/v1/riskgate/policy", "junk", 400, "neither a tar");
	assert(!count_uploads());
	post("/v1/riskgate/versions/1/rollback?wait_ms=0", NULL, 200, "\"rollback_of\":1");
}

int main(void)
{
	rg_log_set_level(RG_LOG_ERROR);
	rg_played_start(RG_SCHEMA, RG_BUNDLE, "");
	check_documents();
	check_yaml();
	check_batch();
	check_permissions();
	check_records();
	check_commands();
	check_verdicts();
	check_pushes();
	rg_played_stop();
	puts("api: ok");
	return 0;
}

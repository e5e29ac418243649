/* SPDX-License-Identifier: Apache-2.0 */
/* The sync machine, stepped by hand against a scripted server. */
#include "control/sync.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS    1000000ull
#define TYPE  "application/vnd.openpolicyagent.bundles"
#define START 1000000

/* One request at a time; its answer is what the test says. */
struct script {
	bool under_way, answered, refuses;
	uint64_t ticket, hold_ms, response_bytes_max;
	char path[256], headers[1024];
	struct rg_http_client_response response;
	uint32_t submitted, cancelled;
};

static int script_submit(void *context, const struct rg_http_client_request *request,
			 uint64_t *ticket, struct rg_error *err)
{
	struct script *script = context;

	assert(!script->under_way);
	if (script->refuses)
		return rg_error_set(err, RG_ELIMIT, "too many requests");
	script->headers[0] = '\0';
	for (uint32_t i = 0; i < request->header_count; i++) {
		strcat(script->headers, request->headers[i]);
		strcat(script->headers, "\n");
	}
	strcpy(script->path, request->path);
	script->hold_ms = request->hold_ms;
	script->response_bytes_max = request->response_bytes_max;
	script->under_way = true;
	script->answered = false;
	script->ticket = *ticket = ++script->submitted;
	return RG_OK;
}

static int script_take(void *context, uint64_t ticket, struct rg_http_client_response *response)
{
	struct script *script = context;

	assert(ticket == script->ticket && script->under_way);
	if (!script->answered)
		return RG_EAGAIN;
	*response = script->response;
	script->under_way = false;
	return RG_OK;
}

static void script_cancel(void *context, uint64_t ticket)
{
	struct script *script = context;

	assert(ticket == script->ticket && script->under_way);
	script->under_way = false;
	script->cancelled++;
}

struct fixture {
	struct script script;
	struct rg_http_client client;
	struct rg_config_service service;
	struct rg_config_bundle bundle;
	struct rg_sync sync;
	uint64_t now_ns;
	bool folder_changed;
};

static void open_fixture(struct fixture *f, const char *etag)
{
	struct rg_sync_options options;

	memset(f, 0, sizeof(*f));
	f->client = (struct rg_http_client){&f->script, script_submit, script_take, script_cancel};
	f->service = (struct rg_config_service){.name = "acme", .url = "http://acme"};
	f->bundle = (struct rg_config_bundle){.name = "payments",
					      .source = "bundle",
					      .trigger = "periodic",
					      .polling = {1000, 2000, 0},
					      .size_limit_bytes = 1234};
	options = (struct rg_sync_options){
		.bundle = &f->bundle, .service = &f->service, .client = &f->client, .seed = 7};
	f->now_ns = START;
	rg_sync_init(&f->sync, &options, etag);
}

static uint32_t step(struct fixture *f)
{
	return rg_sync_step(&f->sync, f->now_ns, f->now_ns + 1);
}

static void answer(struct fixture *f, long code, const char *etag, const char *type,
		   const char *body)
{
	struct rg_http_client_response *response = &f->script.response;

	assert(f->sync.state == RG_SYNC_ASKING && f->script.under_way);
	memset(response, 0, sizeof(*response));
	response->code = code;
	strcpy(response->etag, etag);
	strcpy(response->content_type, type);
	if (body) {
		response->body = strdup(body);
		response->body_bytes = strlen(body);
	}
	f->script.answered = true;
	assert(step(f) == 1);
}

static void break_connection(struct fixture *f, int status)
{
	memset(&f->script.response, 0, sizeof(f->script.response));
	f->script.response.status = status;
	rg_error_set(&f->script.response.error, status, "service acme: broken");
	f->script.answered = true;
	assert(step(f) == 1);
}

/* Wait until it asks; how long that took. */
static uint64_t until_asked(struct fixture *f)
{
	uint64_t begin_ns = f->now_ns;

	assert(f->sync.state == RG_SYNC_WAITING);
	if (f->sync.due_ns > f->now_ns) {
		f->now_ns = f->sync.due_ns - 1;
		assert(!step(f)); /* not before */
		f->now_ns++;
	}
	assert(step(f) == 1 && f->sync.state == RG_SYNC_ASKING);
	return f->now_ns - begin_ns;
}

static void take(struct fixture *f, const char *expected)
{
	size_t bytes;
	char *body;

	assert(f->sync.state == RG_SYNC_READY && !step(f));
	rg_sync_take(&f->sync, &body, &bytes);
	assert(f->sync.state == RG_SYNC_ACTIVATING && !step(f));
	assert(bytes == strlen(expected) && !memcmp(body, expected, bytes));
	free(body);
}

static void test_arrows(void)
{
	struct rg_error err;
	struct fixture f;
	uint64_t waited_ns;

	open_fixture(&f, "");
	assert(!until_asked(&f)); /* at once */
	assert(!strcmp(f.script.path, "/bundles/payments") && f.script.response_bytes_max == 1234);
	assert(!strcmp(f.script.headers, "Prefer: modes=snapshot,delta\n") && !f.script.hold_ms);
	assert(!step(&f)); /* no answer yet */
	answer(&f, 200, "\"1\"", "application/gzip", "one");
	take(&f, "one");
	rg_sync_activated(&f.sync, f.now_ns, f.now_ns + 1);
	assert(!strcmp(f.sync.etag, "\"1\"") && f.sync.counters.activations == 1);
	assert(f.sync.times.last_successful_activation == f.now_ns + 1);

	waited_ns = until_asked(&f); /* delay; the ETag is told */
	assert(waited_ns >= 1000 * MS && waited_ns <= 2000 * MS);
	assert(strstr(f.script.headers, "If-None-Match: \"1\"\n"));
	answer(&f, 304, "", "", NULL);
	assert(f.sync.counters.not_modified == 1 && f.sync.last_error.status == RG_OK);

	until_asked(&f); /* refused: the active one's ETag stays, backoff */
	answer(&f, 200, "\"2\"", "application/gzip", "two");
	take(&f, "two");
	rg_error_set(&err, RG_ECORRUPT, "forged");
	rg_sync_refused(&f.sync, &err, f.now_ns);
	assert(!strcmp(f.sync.etag, "\"1\"") && !strcmp(f.sync.last_error.text, "forged"));
	waited_ns = until_asked(&f);
	assert(waited_ns >= 80 * MS && waited_ns <= 120 * MS);
	assert(strstr(f.script.headers, "If-None-Match: \"1\"\n"));

	answer(&f, 500, "", "text/html", "oh"); /* failures in a row: 1.6 times longer each */
	assert(strstr(f.sync.last_error.text, "500 Internal Server Error") &&
	       f.sync.last_code == 500);
	waited_ns = until_asked(&f);
	assert(waited_ns >= 128 * MS && waited_ns <= 192 * MS);
	break_connection(&f, RG_EIO);
	assert(strstr(f.sync.last_error.text, "broken") && !f.sync.last_code);
	for (int i = 0; i < 20; i++) {
		until_asked(&f);
		break_connection(&f, RG_EAGAIN);
	}
	assert(until_asked(&f) <= 2000 * MS); /* at most max_delay */
	answer(&f, 304, "\"1b\"", "", NULL);  /* and all is well again */
	assert(!strcmp(f.sync.etag, "\"1b\"") && until_asked(&f) >= 1000 * MS);
	answer(&f, 200, "\"3\"", "", ""); /* empty */
	assert(strstr(f.sync.last_error.text, "empty"));

	rg_sync_trigger(&f.sync); /* does not wait for the backoff */
	assert(step(&f) == 1 && f.sync.state == RG_SYNC_ASKING);
	rg_sync_free(&f.sync);
	assert(f.script.cancelled == 1);
}

static void test_long_polling(void)
{
	struct fixture f;

	open_fixture(&f, "\"1\"");
	f.bundle.polling.long_polling_timeout_ms = 30000;
	until_asked(&f);
	assert(strstr(f.script.headers, "Prefer: modes=snapshot,delta;wait=30\n"));
	assert(!f.script.hold_ms); /* not known yet whether the server can */
	answer(&f, 304, "", TYPE, NULL);
	assert(!until_asked(&f) && f.script.hold_ms == 30000);
	answer(&f, 200, "\"2\"", TYPE, "two");
	take(&f, "two");
	rg_sync_activated(&f.sync, f.now_ns, f.now_ns);
	assert(!until_asked(&f) && f.script.hold_ms == 30000);
	answer(&f, 304, "", "application/gzip", NULL); /* it cannot any more */
	assert(until_asked(&f) >= 1000 * MS && !f.script.hold_ms);
	answer(&f, 304, "", TYPE, NULL);
	until_asked(&f);
	break_connection(&f, RG_EIO);
	assert(until_asked(&f) >= 80 * MS && !f.script.hold_ms);
	rg_sync_free(&f.sync);
}

static void test_manual_and_offer(void)
{
	struct fixture f;

	open_fixture(&f, "");
	f.bundle.trigger = (char *)"manual";
	f.sync.due_ns = UINT64_MAX;
	f.now_ns = UINT64_MAX - 1;
	assert(!step(&f));
	rg_sync_trigger(&f.sync);
	assert(step(&f) == 1);
	assert(rg_sync_offer(&f.sync, strdup("other"), 5, "\"9\"", 5) == RG_OK);
	assert(f.script.cancelled == 1); /* the request is of no interest any more */
	assert(rg_sync_offer(&f.sync, strdup("more"), 4, "\"10\"", 5) == RG_EAGAIN);
	take(&f, "other");
	rg_sync_activated(&f.sync, f.now_ns, f.now_ns);
	assert(!strcmp(f.sync.etag, "\"9\"") && !step(&f));
	rg_sync_free(&f.sync);
}

static void test_opa(void)
{
	struct fixture f;

	open_fixture(&f, "");
	f.bundle.source = (char *)"opa";
	until_asked(&f);
	assert(!strcmp(f.script.path, "/v1/policies") && !f.script.headers[0]);
	answer(&f, 200, "", "application/json", "{\"result\":[]}");
	assert(!strcmp(f.script.path, "/v1/data"));
	answer(&f, 200, "", "application/json", "{\"result\":{}}");
	take(&f, "{\"policies\":{\"result\":[]},\"data\":{\"result\":{}}}");
	rg_sync_activated(&f.sync, f.now_ns, f.now_ns);
	assert(!strncmp(f.sync.etag, "sha256:", 7));
	until_asked(&f); /* the same again is not modified */
	answer(&f, 200, "", "application/json", "{\"result\":[]}");
	answer(&f, 200, "", "application/json", "{\"result\":{}}");
	assert(f.sync.state == RG_SYNC_WAITING && f.sync.counters.not_modified == 1);
	until_asked(&f); /* half an answer is none */
	answer(&f, 200, "", "application/json", "{\"result\":[]}");
	break_connection(&f, RG_EIO);
	until_asked(&f);
	assert(!strcmp(f.script.path, "/v1/policies"));
	rg_sync_free(&f.sync);
}

static bool folder_changed(void *context, uint64_t now_ns)
{
	struct fixture *f = context;
	bool changed = f->folder_changed;

	f->folder_changed = false;
	return changed;
}

static void test_folder(void)
{
	struct rg_error err;
	struct fixture f;
	size_t bytes;
	char *body;

	open_fixture(&f, "");
	f.sync.options.service = NULL;
	f.sync.due_ns = UINT64_MAX;
	f.sync.options.changed = folder_changed;
	f.sync.options.context = &f;
	assert(!step(&f));
	f.folder_changed = true;
	assert(step(&f) == 1 && f.sync.state == RG_SYNC_READY);
	rg_sync_take(&f.sync, &body, &bytes);
	assert(!body);
	f.folder_changed = true; /* while it is activated: looked at afterwards */
	rg_error_set(&err, RG_EINVAL, "half written");
	rg_sync_refused(&f.sync, &err, f.now_ns);
	assert(step(&f) == 1 && f.sync.state == RG_SYNC_READY);
	rg_sync_take(&f.sync, &body, &bytes);
	rg_sync_refused(&f.sync, &err, f.now_ns); /* as it is: once more after the backoff */
	assert(!step(&f));
	f.now_ns = f.sync.due_ns;
	assert(step(&f) == 1 && f.sync.state == RG_SYNC_READY);
	rg_sync_take(&f.sync, &body, &bytes);
	rg_sync_activated(&f.sync, f.now_ns, f.now_ns);
	assert(!step(&f) && f.sync.last_error.status == RG_OK && f.sync.due_ns == UINT64_MAX);
	rg_sync_free(&f.sync);
}

/* Anything a server may do, in any order, against a plain model: the ETag that is asked with is
 * that of the last one activated, content comes only from a 200, and it always asks again within
 * max_delay. */
static void test_random(void)
{
	unsigned seed = (unsigned)time(NULL);
	char active[16] = "", etag[16];
	uint32_t activations = 0, refusals = 0;
	struct rg_error err;
	struct fixture f;
	size_t bytes;
	char *body;

	printf("random answers, seed %u\n", seed);
	open_fixture(&f, "");
	for (int i = 0; i < 20000; i++) {
		int what = rand_r(&seed) % 6;

		assert(until_asked(&f) <= 2000 * MS);
		assert(active[0] ? strstr(f.script.headers, active) != NULL
				 : !strstr(f.script.headers, "If-None-Match"));
		if (what == 0) {
			break_connection(&f, rand_r(&seed) % 2 ? RG_EIO : RG_ELIMIT);
			continue;
		}
		if (what == 1) {
			answer(&f, 503, "", "", NULL);
			continue;
		}
		if (what == 2) {
			answer(&f, 304, "", "", NULL);
			assert((f.sync.last_error.status == RG_OK) == (active[0] != '\0'));
			continue;
		}
		snprintf(etag, sizeof(etag), "\"%d\"", i);
		answer(&f, 200, etag, "application/gzip", "body");
		rg_sync_take(&f.sync, &body, &bytes);
		free(body);
		if (what == 3) {
			rg_error_set(&err, RG_ECORRUPT, "refused");
			rg_sync_refused(&f.sync, &err, f.now_ns);
			refusals++;
		} else {
			rg_sync_activated(&f.sync, f.now_ns, f.now_ns);
			strcpy(active, etag);
			activations++;
		}
	}
	assert(f.sync.counters.activations == activations && f.sync.counters.refusals == refusals);
	assert(f.sync.counters.requests == 20000);
	rg_sync_free(&f.sync);
}

int main(void)
{
	test_arrows();
	test_long_polling();
	test_manual_and_offer();
	test_opa();
	test_folder();
	test_random();
	return 0;
}

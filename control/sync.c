/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sync.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS	  1000000ull
#define BACKOFF_BASE_NS	  (100 * NS_PER_MS)
#define BACKOFF_FACTOR	  1.6
#define BACKOFF_JITTER	  0.2
#define LONG_POLLING_TYPE "application/vnd.openpolicyagent.bundles"
#define RESOURCE_BYTES	  1024
#define HEADER_BYTES	  (RG_SYNC_ETAG_BYTES + 32)

const char *rg_sync_state_name(enum rg_sync_state state)
{
	static const char *const names[] = {"waiting", "asking", "ready", "activating"};

	return names[state];
}

static bool is_opa(const struct rg_sync *sync)
{
	return !strcmp(sync->options.bundle->source, "opa");
}

static bool is_manual(const struct rg_sync *sync)
{
	return !strcmp(sync->options.bundle->trigger, "manual");
}

/* ---- delays ---- */

/* Uniform in [0, 1). */
static double next_random(struct rg_sync *sync)
{
	uint64_t x = sync->random += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

static void wait_for_next(struct rg_sync *sync, uint64_t now_ns)
{
	uint64_t low = sync->options.bundle->polling.min_delay_ms,
		 high = sync->options.bundle->polling.max_delay_ms;
	double delay_ms = (double)low + (double)(high - low) * next_random(sync);

	sync->state = RG_SYNC_WAITING;
	sync->failures_in_a_row = 0;
	sync->due_ns = is_manual(sync) || !sync->options.service ? UINT64_MAX
		       : sync->long_polling			 ? now_ns
					    : now_ns + (uint64_t)(delay_ms * (double)NS_PER_MS);
}

static void back_off(struct rg_sync *sync, uint64_t now_ns)
{
	double delay_ns = (double)BACKOFF_BASE_NS,
	       longest_ns = (double)(sync->options.bundle->polling.max_delay_ms * NS_PER_MS);

	for (uint32_t i = 0; i < sync->failures_in_a_row && delay_ns < longest_ns; i++)
		delay_ns *= BACKOFF_FACTOR;
	delay_ns *= 1 + BACKOFF_JITTER * (2 * next_random(sync) - 1);
	sync->failures_in_a_row++;
	sync->state = RG_SYNC_WAITING;
	sync->due_ns = is_manual(sync)
			       ? UINT64_MAX
			       : now_ns + (uint64_t)(delay_ns < longest_ns ? delay_ns : longest_ns);
}

/* ---- asking ---- */

static void forget_content(struct rg_sync *sync)
{
	free(sync->body);
	free(sync->policies);
	sync->body = sync->policies = NULL;
	sync->body_bytes = 0;
	sync->asks_data = false;
}

static void fail(struct rg_sync *sync, const struct rg_error *err, long code, uint64_t now_ns)
{
	sync->counters.failures++;
	sync->last_error = *err;
	sync->last_code = code;
	sync->long_polling = false;
	sync->ticket = 0;
	forget_content(sync);
	back_off(sync, now_ns);
}

static void resource_of(const struct rg_sync *sync, char path[static RESOURCE_BYTES])
{
	const struct rg_config_bundle *bundle = sync->options.bundle;

	if (is_opa(sync))
		snprintf(path, RESOURCE_BYTES, sync->asks_data ? "/v1/data" : "/v1/policies");
	else if (bundle->resource)
		snprintf(path, RESOURCE_BYTES, "/%s",
			 bundle->resource + strspn(bundle->resource, "/"));
	else
		snprintf(path, RESOURCE_BYTES, "/bundles/%s", bundle->name);
}

static void ask(struct rg_sync *sync, uint64_t now_ns)
{
	const struct rg_config_bundle *bundle = sync->options.bundle;
	char path[RESOURCE_BYTES], prefer[64], etag[HEADER_BYTES];
	const char *headers[2] = {prefer, etag};
	uint64_t hold_ms = sync->long_polling ? bundle->polling.long_polling_timeout_ms : 0;
	struct rg_http_client_request request = {.service = sync->options.service,
						 .method = "GET",
						 .path = path,
						 .headers = headers,
						 .hold_ms = (uint32_t)hold_ms,
						 .response_bytes_max = bundle->size_limit_bytes};
	struct rg_error err;

	resource_of(sync, path);
	snprintf(prefer, sizeof(prefer), "Prefer: modes=snapshot,delta");
	if (bundle->polling.long_polling_timeout_ms)
		snprintf(prefer, sizeof(prefer), "Prefer: modes=snapshot,delta;wait=%llu",
			 (unsigned long long)bundle->polling.long_polling_timeout_ms / 1000);
	snprintf(etag, sizeof(etag), "If-None-Match: %s", sync->etag);
	if (!is_opa(sync))
		request.header_count = sync->etag[0] ? 2 : 1;
	sync->counters.requests++;
	if (sync->options.client->submit(sync->options.client->context, &request, &sync->ticket,
					 &err))
		fail(sync, &err, 0, now_ns);
	else
		sync->state = RG_SYNC_ASKING;
}

static void not_modified(struct rg_sync *sync, uint64_t now_ns, uint64_t unix_ns)
{
	sync->counters.not_modified++;
	sync->times.last_successful_request = unix_ns;
	sync->last_error.status = RG_OK;
	sync->last_code = 0;
	wait_for_next(sync, now_ns);
}

static void downloaded(struct rg_sync *sync, uint64_t unix_ns)
{
	sync->counters.downloads++;
	sync->times.last_successful_request = sync->times.last_successful_download = unix_ns;
	sync->state = RG_SYNC_READY;
}

/* Both answers of an OPA as one content, with its SHA-256 as ETag. */
static int join_answers(struct rg_sync *sync, const struct rg_http_client_response *data,
			struct rg_error *err)
{
	unsigned char hash[32];
	int n = asprintf(&sync->body, "{\"policies\":%s,\"data\":%s}", sync->policies,
			 data->body ? data->body : "null");

	if (n < 0) {
		sync->body = NULL;
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	sync->body_bytes = (size_t)n;
	EVP_Digest(sync->body, sync->body_bytes, hash, NULL, EVP_sha256(), NULL);
	strcpy(sync->candidate_etag, "sha256:");
	for (int i = 0; i < 32; i++)
		sprintf(sync->candidate_etag + 7 + 2 * i, "%02x", hash[i]);
	return RG_OK;
}

/* 200 from an OPA: its policies, then its data. */
static void take_opa_answer(struct rg_sync *sync, struct rg_http_client_response *response,
			    uint64_t now_ns, uint64_t unix_ns)
{
	struct rg_error err;

	if (!sync->asks_data) {
		sync->policies = response->body;
		response->body = NULL;
		sync->asks_data = true;
		ask(sync, now_ns);
		return;
	}
	sync->asks_data = false;
	if (join_answers(sync, response, &err)) {
		fail(sync, &err, 0, now_ns);
		return;
	}
	free(sync->policies);
	sync->policies = NULL;
	if (strcmp(sync->candidate_etag, sync->etag)) {
		downloaded(sync, unix_ns);
		return;
	}
	forget_content(sync);
	not_modified(sync, now_ns, unix_ns);
}

static void take_answer(struct rg_sync *sync, struct rg_http_client_response *response,
			uint64_t now_ns, uint64_t unix_ns)
{
	struct rg_error err;
	char text[64];

	sync->ticket = 0;
	sync->long_polling = sync->options.bundle->polling.long_polling_timeout_ms &&
			     !strcmp(response->content_type, LONG_POLLING_TYPE);
	if (response->status) {
		fail(sync, &response->error, 0, now_ns);
	} else if (response->code == 304 && sync->etag[0] && !is_opa(sync)) {
		if (response->etag[0])
			strcpy(sync->etag, response->etag);
		not_modified(sync, now_ns, unix_ns);
	} else if (response->code != 200) {
		rg_error_set(&err, RG_EIO, "service %s: server replied with %s",
			     sync->options.service->name, rg_http_code_text(response->code, text));
		fail(sync, &err, response->code, now_ns);
	} else if (is_opa(sync)) {
		take_opa_answer(sync, response, now_ns, unix_ns);
	} else if (!response->body_bytes) {
		rg_error_set(&err, RG_EINVAL, "service %s: the answer is empty",
			     sync->options.service->name);
		fail(sync, &err, 0, now_ns);
	} else {
		strcpy(sync->candidate_etag, response->etag);
		sync->body = response->body;
		sync->body_bytes = response->body_bytes;
		response->body = NULL;
		downloaded(sync, unix_ns);
	}
	rg_http_client_response_free(response);
}

/* ---- turns ---- */

static uint32_t step_waiting(struct rg_sync *sync, uint64_t now_ns, uint64_t unix_ns)
{
	bool is_folder = !sync->options.service;

	if (is_folder && sync->options.changed(sync->options.context, now_ns))
		sync->triggered = true;
	if (!sync->triggered && now_ns < sync->due_ns)
		return 0;
	sync->triggered = false;
	sync->times.last_request = unix_ns;
	sync->candidate_etag[0] = '\0';
	if (is_folder)
		downloaded(sync, unix_ns);
	else
		ask(sync, now_ns);
	return 1;
}

uint32_t rg_sync_step(struct rg_sync *sync, uint64_t now_ns, uint64_t unix_ns)
{
	struct rg_http_client_response response;

	if (sync->state == RG_SYNC_WAITING)
		return step_waiting(sync, now_ns, unix_ns);
	if (sync->state != RG_SYNC_ASKING ||
	    sync->options.client->take(sync->options.client->context, sync->ticket, &response))
		return 0;
	take_answer(sync, &response, now_ns, unix_ns);
	return 1;
}

void rg_sync_init(struct rg_sync *sync, const struct rg_sync_options *options, const char *etag)
{
	memset(sync, 0, sizeof(*sync));
	sync->options = *options;
	sync->random = options->seed;
	sync->due_ns = is_manual(sync) || !options->service ? UINT64_MAX : 0;
	snprintf(sync->etag, sizeof(sync->etag), "%s", etag);
}

static void break_off(struct rg_sync *sync)
{
	if (sync->ticket)
		sync->options.client->cancel(sync->options.client->context, sync->ticket);
	sync->ticket = 0;
	forget_content(sync);
}

void rg_sync_free(struct rg_sync *sync)
{
	break_off(sync);
}

void rg_sync_trigger(struct rg_sync *sync)
{
	sync->triggered = true;
}

int rg_sync_offer(struct rg_sync *sync, char *body, size_t body_bytes, const char *etag,
		  uint64_t unix_ns)
{
	if (sync->state == RG_SYNC_READY || sync->state == RG_SYNC_ACTIVATING) {
		free(body);
		return RG_EAGAIN;
	}
	break_off(sync);
	sync->body = body;
	sync->body_bytes = body_bytes;
	snprintf(sync->candidate_etag, sizeof(sync->candidate_etag), "%s", etag);
	downloaded(sync, unix_ns);
	return RG_OK;
}

void rg_sync_take(struct rg_sync *sync, char **body, size_t *body_bytes)
{
	*body = sync->body;
	*body_bytes = sync->body_bytes;
	sync->body = NULL;
	sync->body_bytes = 0;
	sync->state = RG_SYNC_ACTIVATING;
}

void rg_sync_activated(struct rg_sync *sync, uint64_t now_ns, uint64_t unix_ns)
{
	strcpy(sync->etag, sync->candidate_etag);
	sync->counters.activations++;
	sync->times.last_successful_activation = unix_ns;
	sync->last_error.status = RG_OK;
	sync->last_code = 0;
	wait_for_next(sync, now_ns);
}

void rg_sync_refused(struct rg_sync *sync, const struct rg_error *err, uint64_t now_ns)
{
	sync->counters.refusals++;
	sync->last_error = *err;
	sync->last_code = 0;
	sync->candidate_etag[0] = '\0';
	sync->long_polling = false;
	back_off(sync, now_ns);
}

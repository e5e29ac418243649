/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/played_web.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "control/api/web.h"
#include "control/control.h"

#define TURNS_MAX 5000 /* of control, for one request: more than the longest wait has seconds */
#define TURN_NS	  1000000000ull
#define ALL	  (RG_PERMISSION_READ | RG_PERMISSION_DECIDE | RG_PERMISSION_ADMIN)

static struct {
	char folder[64];
	struct rg_config *config;
	struct rg_control *control;
	struct rg_control_clock clock;
	struct rg_web_options options; /* what the API gave the server */
	const struct rg_played_request *request;
	struct rg_played_answer answer;
	bool suspended;
} played;

/* ---- web.h, as the API sees it ---- */

uint64_t rg_web_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const char *rg_web_header(const struct rg_web_request *request, const char *name)
{
	for (uint32_t i = 0; i < played.request->header_count; i++) {
		if (!strcasecmp(played.request->headers[i].name, name))
			return played.request->headers[i].value;
	}
	return NULL;
}

void rg_web_suspend(struct rg_web_request *request, rg_web_function *then)
{
	request->then = then;
	played.suspended = true;
}

void rg_web_resume(struct rg_web_request *request)
{
	played.suspended = false;
}

int rg_web_address(const char *listen, bool *is_loopback, struct rg_error *err)
{
	*is_loopback = true;
	return RG_OK;
}

int rg_web_new(const struct rg_web_options *options, struct rg_web **web, struct rg_error *err)
{
	played.options = *options;
	*web = (struct rg_web *)&played;
	return RG_OK;
}

uint16_t rg_web_port(const struct rg_web *web)
{
	return 0;
}

uint32_t rg_web_connections(const struct rg_web *web)
{
	return 1;
}

void rg_web_sweep(struct rg_web *web, uint64_t now_ns)
{
}

void rg_web_delete(struct rg_web *web)
{
}

/* ---- control ---- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void step(void)
{
	played.clock.monotonic_ns += TURN_NS;
	played.clock.unix_ns += TURN_NS;
	rg_control_do_work(played.control, played.clock);
	while (rg_control_do_slow_work(played.control, RG_CONTROL_BUILD))
		;
	rg_control_do_slow_work(played.control, RG_CONTROL_SYNC);
	rg_control_do_slow_work(played.control, RG_CONTROL_STORE);
	if (played.suspended)
		usleep(10); /* a comparison has a thread of its own */
}

static void must(int rc, const struct rg_error *err)
{
	if (rc) {
		fprintf(stderr, "unexpected: %s\n", err->text);
		abort();
	}
}

struct rg_control *rg_played_start(const char *schema, const char *bundle, const char *more)
{
	char yaml[4096];
	struct rg_error err;
	struct timespec now;

	strcpy(played.folder, "/dev/shm/riskgate-played-XXXXXX");
	if (!mkdtemp(played.folder))
		abort();
	snprintf(yaml, sizeof(yaml),
		 "instance: played\nregion: {directory: %s/region, ring_bytes: 64KiB}\n"
		 "schema: %s\ntemplates: [{template: PaymentAuthorization, package: payments}]\n"
		 "control: {socket: %s/socket, state_directory: %s/state, bundle: \"%s\", "
		 "opa: /nonexistent/opa, keep_images: 3}\n"
		 "journal: {segment_bytes: 1MiB, retention_bytes: 4MiB, max_bytes: 8MiB}\n"
		 "api: {listen: \"127.0.0.1:1\", anonymous: admin, threads: 1, scratch_bytes: "
		 "8MiB}\n%s",
		 played.folder, schema, played.folder, played.folder, bundle, more);
	must(rg_config_parse(yaml, strlen(yaml), played.folder, &played.config, &err), &err);
	clock_gettime(CLOCK_REALTIME, &now);
	played.clock.unix_ns = (uint64_t)now.tv_sec * 1000000000u;
	played.clock.monotonic_ns = TURN_NS;
	must(rg_control_new_by_hand(played.config, NULL, played.clock, &played.control, &err),
	     &err);
	for (int turn = 0; rg_played("GET", "/health?bundles", NULL)->status != 200; turn++) {
		if (turn == TURNS_MAX)
			must(rg_error_set(&err, RG_EAGAIN, "%s is not in use", bundle), &err);
		step();
	}
	return played.control;
}

void rg_played_stop(void)
{
	rg_control_delete(played.control);
	rg_config_free(played.config);
	free(played.answer.text);
	nftw(played.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	memset(&played, 0, sizeof(played));
}

const char *rg_played_folder(void)
{
	return played.folder;
}

/* ---- asking ---- */

static bool take_body(struct rg_web_request *request, const struct rg_played_request *from)
{
	if (!from->body)
		return true;
	request->body = malloc(from->body_bytes + 1);
	if (!request->body)
		return false;
	memcpy(request->body, from->body, from->body_bytes);
	request->body[from->body_bytes] = '\0';
	request->body_bytes = from->body_bytes;
	return true;
}

static void run(struct rg_web_request *request)
{
	enum rg_web_result result;

	played.options.route(played.options.context, request);
	if (request->status)
		return;
	request->handle_ns = rg_web_now_ns();
	result = request->handle(request->context, request);
	while (result == RG_WEB_WAIT) {
		for (int turn = 0; played.suspended; turn++) {
			if (turn == TURNS_MAX)
				abort(); /* nobody would ever be answered */
			step();
		}
		result = request->then(request->context, request);
	}
}

const struct rg_played_answer *rg_played_ask(const struct rg_played_request *from)
{
	struct rg_web_request request = {.permissions = from->permissions,
					 .who = from->who ? from->who : "",
					 .begin_ns = rg_web_now_ns(),
					 .content_type = RG_WEB_JSON};
	struct rg_error err;

	played.request = from;
	free(played.answer.text);
	played.answer = (struct rg_played_answer){0};
	snprintf(request.method, sizeof(request.method), "%s", from->method);
	rg_json_writer_init(&request.answer, false);
	if (rg_target_parse(from->uri, &request.target, &err))
		rg_web_error(&request, 400, "invalid_parameter", "%s", err.text);
	else if (take_body(&request, from))
		run(&request);
	played.answer.status = request.status;
	request.answer.comma = false;
	rg_json_write_raw(&request.answer, "", 1); /* the NUL */
	played.answer.text = request.answer.text;
	played.answer.bytes = request.answer.bytes - 1;
	if (played.options.observe)
		played.options.observe(played.options.context, &request, rg_web_now_ns());
	if (request.free_state)
		request.free_state(request.state);
	rg_target_free(&request.target);
	free(request.body);
	return &played.answer;
}

const struct rg_played_answer *rg_played(const char *method, const char *uri, const char *body)
{
	const struct rg_played_request request = {.method = method,
						  .uri = uri,
						  .body = body,
						  .body_bytes = body ? strlen(body) : 0,
						  .permissions = ALL};

	return rg_played_ask(&request);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "control/api/internal.h"
#include "control/api/policy_texts.h"

#define LISTEN_RETRY_NS 1000000000ull
#define PEM_BYTES_MAX	(1 << 20)

/* ---- calls ---- */

struct rg_api_call *rg_api_call_of(const struct rg_web_request *request)
{
	return request->state;
}

static void free_call(void *state)
{
	struct rg_api_call *call = state;

	rg_json_writer_free(&call->answer);
	free(call->line);
	if (call->free_state)
		call->free_state(call->state);
	free(call);
}

enum rg_web_result rg_api_no_memory(struct rg_web_request *request)
{
	return rg_web_error(request, 500, "internal_error", "out of memory");
}

enum rg_web_result rg_api_queue(struct rg_api *api, struct rg_web_request *request,
				struct rg_api_call *call, rg_web_function *then)
{
	uint64_t one = 1;
	bool taken;

	call->request = request;
	rg_json_writer_init(&call->answer, false);
	if (request->free_state)
		request->free_state(request->state);
	request->state = call;
	request->free_state = free_call;
	pthread_mutex_lock(&api->lock);
	taken = !api->stopping && api->call_count < RG_API_CALLS_MAX;
	if (taken) {
		rg_web_suspend(request, then);
		call->ticket = RG_API_TICKET | api->next_ticket++;
		*api->queue_end = call;
		api->queue_end = &call->next;
		api->call_count++;
	}
	pthread_mutex_unlock(&api->lock);
	if (!taken)
		return rg_web_error(request, 503, "internal_error",
				    "too many requests wait, or riskgate-control stops");
	if (write(api->wake_fd, &one, sizeof(one)) < 0)
		return RG_WEB_WAIT; /* the loop looks now and then anyway */
	return RG_WEB_WAIT;
}

static bool run_command(struct rg_api *api, struct rg_api_call *call)
{
	const struct rg_server_request request = {.ticket = call->ticket,
						  .line = call->line,
						  .bytes = call->line_bytes,
						  .uid = (uid_t)-1,
						  .pid = getpid(),
						  .who = call->request->who};

	rg_commands_handle(api->control, &request);
	return false; /* through rg_api_answer(), perhaps already */
}

struct rg_api_call *rg_api_new_command(char *line, size_t line_bytes)
{
	struct rg_api_call *call = calloc(1, sizeof(*call));

	if (!call) {
		free(line);
		return NULL;
	}
	call->line = line;
	call->line_bytes = line_bytes;
	call->run = run_command;
	return call;
}

/* Take a call out of `running` and let its request go on. Loop only. */
static void finish_call(struct rg_api *api, struct rg_api_call *call)
{
	for (struct rg_api_call **at = &api->running; *at; at = &(*at)->next) {
		if (*at == call) {
			*at = call->next;
			break;
		}
	}
	pthread_mutex_lock(&api->lock);
	api->call_count--;
	pthread_mutex_unlock(&api->lock);
	rg_web_resume(call->request); /* the call is not ours any more */
}

uint64_t rg_api_policy_sequence(const struct rg_api *api)
{
	return rg_control_evaluated_sequence(api->control);
}

static void follow_policy(struct rg_api *api)
{
	uint64_t sequence = rg_api_policy_sequence(api);

	rg_engine_want(api->engine, sequence);
	atomic_store_explicit(&api->ready, sequence != 0, memory_order_relaxed);
}

void rg_api_answer(struct rg_api *api, uint64_t ticket, const char *json, size_t bytes)
{
	struct rg_api_call *call = api->running;

	while (call && call->ticket != ticket)
		call = call->next;
	if (!call)
		return;
	follow_policy(api); /* whoever pushed a policy is decided by it from now on */
	rg_json_write_raw(&call->answer, json, bytes);
	finish_call(api, call);
}

/* What the calls of this turn staged in the journal is written at once, then they are answered. */
static void finish_staged(struct rg_api *api)
{
	struct rg_control *control = api->control;
	struct rg_error err = {0};
	bool any = false;

	for (struct rg_api_call *call = api->running; call; call = call->next)
		any |= call->staged;
	if (!any)
		return;
	if (rg_journal_writer_flush(control->journal, control->now.monotonic_ns, &err))
		rg_control_note(control, "journal_write_failed", err.text);
	for (struct rg_api_call *call = api->running, *next; call; call = next) {
		next = call->next;
		if (!call->staged)
			continue;
		call->failed |= err.status != RG_OK;
		finish_call(api, call);
	}
}

static uint32_t run_calls(struct rg_api *api)
{
	struct rg_api_call *taken;
	uint32_t count = 0;

	pthread_mutex_lock(&api->lock);
	taken = api->queue;
	api->queue = NULL;
	api->queue_end = &api->queue;
	pthread_mutex_unlock(&api->lock);
	while (taken) {
		struct rg_api_call *call = taken;

		taken = call->next;
		call->next = api->running;
		api->running = call;
		count++;
		if (call->run(api, call))
			finish_call(api, call);
	}
	finish_staged(api);
	return count;
}

/* Everything that waits gets an answer; nothing waits any more afterwards. */
static void refuse_calls(struct rg_api *api)
{
	static const char text[] =
		"{\"ok\":false,\"error\":\"riskgate-control stops\",\"status\":\"io\"}";

	pthread_mutex_lock(&api->lock);
	api->stopping = true;
	while (api->queue) {
		struct rg_api_call *call = api->queue;

		api->queue = call->next;
		call->next = api->running;
		api->running = call;
	}
	api->queue_end = &api->queue;
	pthread_mutex_unlock(&api->lock);
	while (api->running) {
		struct rg_api_call *call = api->running;

		call->failed = true;
		rg_json_writer_reset(&call->answer);
		rg_json_write_raw(&call->answer, text, strlen(text));
		finish_call(api, call);
	}
}

/* ---- the server ---- */

static void observe(void *context, const struct rg_web_request *request, uint64_t now_ns)
{
	struct rg_api *api = context;

	rg_observed_add(&api->observed, rg_api_route_of(request), request->status,
			now_ns - request->begin_ns);
}

static int listen_now(struct rg_api *api, struct rg_error *err)
{
	int rc = rg_web_new(&api->options, &api->web, err);

	if (rc)
		return rc;
	rg_log(RG_LOG_INFO, "api listening address=%s port=%u tls=%s", api->options.listen,
	       rg_web_port(api->web), api->cert ? "yes" : "no");
	return RG_OK;
}

static void try_to_listen(struct rg_api *api, uint64_t now_ns)
{
	struct rg_error err;

	if (now_ns < api->next_try_ns)
		return;
	api->next_try_ns = now_ns + LISTEN_RETRY_NS;
	if (listen_now(api, &err) && !api->told) {
		api->told = true;
		rg_control_note(api->control, "api_address_in_use", err.text);
	}
}

uint32_t rg_api_do_work(struct rg_api *api)
{
	uint64_t now_ns;

	if (!api)
		return 0;
	now_ns = rg_web_now_ns();
	follow_policy(api);
	if (api->web)
		rg_web_sweep(api->web, now_ns);
	else
		try_to_listen(api, now_ns);
	return run_calls(api);
}

/* ---- life ---- */

static int read_pem(const char *key, const char *path, char **text, struct rg_error *err)
{
	struct stat status;
	ssize_t bytes = -1;
	int fd;

	if (!*path)
		return RG_OK;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) || status.st_size > PEM_BYTES_MAX) {
		rg_error_set_errno(err, RG_EIO, fd < 0 ? errno : EFBIG, "api.%s: %s", key, path);
	} else {
		*text = calloc(1, (size_t)status.st_size + 1);
		if (*text)
			bytes = read(fd, *text, (size_t)status.st_size);
		if (bytes != status.st_size)
			rg_error_set(err, RG_EIO, "api.%s: %s cannot be read", key, path);
	}
	if (fd >= 0)
		close(fd);
	return bytes >= 0 && bytes == status.st_size ? RG_OK : RG_EIO;
}

static int check_exposure(const struct rg_api *api, struct rg_error *err)
{
	bool is_loopback;
	int rc = rg_web_address(api->config->api.listen, &is_loopback, err);

	if (rc || is_loopback || api->config->api.allow_insecure)
		return rc;
	if (!api->cert)
		return rg_error_set(err, RG_EINVAL,
				    "api.listen: %s is no loopback address and there is no TLS: "
				    "set api.cert and api.private_key, or api.allow_insecure",
				    api->config->api.listen);
	if (api->options.anonymous)
		return rg_error_set(err, RG_EINVAL,
				    "api.anonymous: on %s everybody could %s: set it to none and "
				    "api.access_file, or set api.allow_insecure",
				    api->config->api.listen, api->config->api.anonymous);
	return RG_OK;
}

static int read_config(struct rg_api *api, struct rg_error *err)
{
	const struct rg_config *config = api->config;
	int rc = rg_permissions_parse(config->api.anonymous, &api->options.anonymous, err);

	if (rc)
		return rg_error_prefix(err, "api.anonymous");
	rc = rg_access_load(config->api.access_file, &api->access, err);
	if (rc)
		return rg_error_prefix(err, "api.access_file");
	if (!*config->api.cert != !*config->api.private_key)
		return rg_error_set(err, RG_EINVAL,
				    "api.cert and api.private_key: give both or neither");
	if (*config->api.client_ca && !*config->api.cert)
		return rg_error_set(err, RG_EINVAL,
				    "api.client_ca: client certificates need TLS: set api.cert and "
				    "api.private_key");
	if (rg_access_has_certificates(api->access) && !*config->api.client_ca)
		return rg_error_set(err, RG_EINVAL,
				    "api.access_file names certificates: set api.client_ca");
	rc = read_pem("cert", config->api.cert, &api->cert, err);
	if (!rc)
		rc = read_pem("private_key", config->api.private_key, &api->private_key, err);
	if (!rc)
		rc = read_pem("client_ca", config->api.client_ca, &api->client_ca, err);
	return rc ? rc : check_exposure(api, err);
}

int rg_api_new(struct rg_control *control, int wake_fd, struct rg_api **out, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	struct rg_api *api;
	int rc;

	*out = NULL;
	if (!*config->api.listen)
		return RG_OK;
	api = calloc(1, sizeof(*api));
	if (!api)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	api->control = control;
	api->config = config;
	api->schema = control->schema;
	api->wake_fd = wake_fd;
	api->started_unix_ns = control->started_unix_ns;
	api->queue_end = &api->queue;
	api->next_ticket = 1;
	pthread_mutex_init(&api->lock, NULL);
	rc = read_config(api, err);
	if (!rc)
		rc = rg_engine_new(control->region_directory, config->api.threads,
				   config->api.scratch_bytes, &api->engine, err);
	api->texts = rg_policy_texts_new(config->control.state_directory);
	if (!rc && !api->texts)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	rg_decision_event_context_init(&api->labels, config, api->schema);
	if (!rc) {
		api->options = (struct rg_web_options){
			.listen = config->api.listen,
			.cert = api->cert,
			.private_key = api->private_key,
			.client_ca = api->client_ca,
			.access = api->access,
			.anonymous = api->options.anonymous,
			.threads = config->api.threads,
			.connections_max = config->api.connections_max,
			.body_bytes_max = config->api.body_bytes_max,
			.timeout_ns = config->api.timeout_seconds * 1000000000ull,
			.route = rg_api_route,
			.observe = observe,
			.context = api};
		follow_policy(api);
		rc = listen_now(api, err);
		if (rc == RG_EAGAIN)
			rc = RG_OK; /* the address is in use: do_work() tries again */
	}
	if (rc)
		rg_api_delete(api);
	else
		*out = api;
	return rc;
}

void rg_api_delete(struct rg_api *api)
{
	if (!api)
		return;
	refuse_calls(api);
	rg_web_delete(api->web);
	rg_engine_delete(api->engine);
	rg_policy_texts_delete(api->texts);
	rg_access_free(api->access);
	if (api->private_key)
		explicit_bzero(api->private_key, strlen(api->private_key));
	free(api->cert);
	free(api->private_key);
	free(api->client_ca);
	pthread_mutex_destroy(&api->lock);
	free(api);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API's files share: the API's state, calls to control's loop, and the handlers that
 * routes.c names. Private to control/api.
 */
#ifndef RG_CONTROL_API_INTERNAL_H
#define RG_CONTROL_API_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "control/api/api.h"
#include "control/api/engine.h"
#include "control/api/web.h"
#include "control/api/observed.h"
#include "control/api/record.h"
#include "control/decision_event.h"
#include "control/state.h"

#define RG_API_CALLS_MAX 1024 /* that wait for the loop */

/* One suspended request that wants something of the loop. */
struct rg_api_call {
	struct rg_api_call *next;
	struct rg_web_request *request;
	uint64_t ticket; /* given when queued */
	/* in the loop: make `answer` now and return true, or later by rg_api_answer() */
	bool (*run)(struct rg_api *api, struct rg_api_call *call);
	char *line; /* a command's */
	size_t line_bytes;
	struct rg_json_writer answer;
	bool staged; /* its records are staged in the journal: answered when they are written */
	bool failed; /* they are not */
	/* a handler's own, freed by free_state */
	void *state;
	void (*free_state)(void *state);
};

struct rg_api {
	struct rg_control *control; /* the loop only */
	const struct rg_config *config;
	const struct rg_schema *schema; /* immutable */
	struct rg_access *access;
	char *cert, *private_key, *client_ca;
	struct rg_engine *engine;
	struct rg_web *web; /* NULL: the address is in use */
	struct rg_web_options options;
	uint64_t next_try_ns;
	bool told; /* that the address is in use */
	int wake_fd;
	uint64_t started_unix_ns;
	uint64_t records;   /* journaled in this epoch; the loop only */
	_Atomic bool ready; /* relaxed: the data plane or the store has a policy, for /health */
	struct rg_observed observed;
	struct rg_policy_texts *texts; /* of the policy in use */
	struct rg_decision_event_context labels;

	pthread_mutex_t lock; /* of the queue and what follows */
	struct rg_api_call *queue, **queue_end;
	struct rg_api_call *running; /* taken by the loop, not answered yet */
	uint32_t call_count;
	uint64_t next_ticket;
	bool stopping;
};

/* Suspend the request and queue a call: then() runs when it is answered, with request->state the
 * call. RG_WEB_WAIT, or RG_WEB_DONE with the answer 503 when too many wait. `call` is taken over:
 * malloc'ed, zeroed but for run, line and state. */
enum rg_web_result rg_api_queue(struct rg_api *api, struct rg_web_request *request,
				struct rg_api_call *call, rg_web_function *then);
/* A call for a command of commands.c; `line` is malloc'ed and taken over, also on failure. NULL:
 * out of memory. */
struct rg_api_call *rg_api_new_command(char *line, size_t line_bytes);
struct rg_api_call *rg_api_call_of(const struct rg_web_request *request);
/* Answer 500. */
enum rg_web_result rg_api_no_memory(struct rg_web_request *request);

/* The policy that the API decides with: the one in use; without a data plane what was announced
 * last, which one would take up. The loop only. */
uint64_t rg_api_policy_sequence(const struct rg_api *api);

/* routes.c: the handler and permission of a request. */
struct rg_api_method {
	const char *method;
	enum rg_permission permission; /* 0: open to everybody */
	rg_web_function *handle;
	const char *command;	/* of control (commands.c) that answers it, or NULL */
	const char *parameters; /* names with spaces between; a flag's has a '?'
				 * behind, one that is not the command's a '!' */
};
/* That of a request which was routed. */
const struct rg_api_method *rg_api_method_of(const struct rg_web_request *request);
/* The segment of the request's path that stands for "{name}" in its route. bytes 0: there is
 * none. */
struct rg_target_text rg_api_path_argument(const struct rg_web_request *request, const char **name,
					   size_t *name_bytes);
enum rg_web_result rg_api_get_index(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_route(void *context, struct rg_web_request *request);
/* For metrics: the number of the route a request took, and its name ("v1/data"). */
uint32_t rg_api_route_of(const struct rg_web_request *request);
/* NULL: there is no such route. */
const char *rg_api_route_name(uint32_t route);

/* metrics.c */
enum rg_web_result rg_api_get_metrics(void *context, struct rg_web_request *request);
/* record.c */
void rg_recording_free(void *recording);
/* data.c */
enum rg_web_result rg_api_data(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_data_v0(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_default_decision(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_batch(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_refuse_change(void *context, struct rg_web_request *request);
/* policies.c: OPA's policy API */
enum rg_web_result rg_api_get_policies(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_get_policy(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_delete_policy(void *context, struct rg_web_request *request);
/* settings.c: OPA's config and status API */
enum rg_web_result rg_api_get_config(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_get_status(void *context, struct rg_web_request *request);
/* command.c: control's commands */
enum rg_web_result rg_api_run_command(void *context, struct rg_web_request *request);
/* A call for the command of the request's route; path: its argument of that name, or NULL. NULL:
 * the answer says why not. */
struct rg_api_call *rg_api_command_call(struct rg_web_request *request, const char *path);
/* A then(): send what the command answered. */
enum rg_web_result rg_api_send_command(void *context, struct rg_web_request *request);
/* Has the query only parameters that the route knows? False: the answer says which it does not. */
bool rg_api_check_parameters(struct rg_web_request *request);
enum rg_web_result rg_api_get_journal(void *context, struct rg_web_request *request);
/* upload.c */
enum rg_web_result rg_api_push(void *context, struct rg_web_request *request);
/* template.c */
enum rg_web_result rg_api_get_templates(void *context, struct rg_web_request *request);
enum rg_web_result rg_api_decide(void *context, struct rg_web_request *request);
/* health.c */
enum rg_web_result rg_api_get_health(void *context, struct rg_web_request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP API of riskgate-control: OPA's REST API, metrics, and what riskctl shows.
 *
 *	 server threads (web.h)                         control's loop
 *	 route ─► permission ─► handler ─┬─ evaluates with an evaluator of its own (engine.h)
 *	                                 │
 *	                                 └─ call: suspended ──queue──► do_work(): run(), answered
 *	                                     then() ◄── resumed ─────────┘      now or later
 *
 * What needs control's state is a call. Most calls are commands, the same as on the unix socket
 * (commands.c), answered through rg_api_answer(); others run a function in the loop.
 *
 * The address may be in use at start: it is tried again once a second, and control runs meanwhile.
 * What is wrong in the configuration is an error of rg_api_new().
 *
 * Thread-safety: these functions belong to control's loop.
 */
#ifndef RG_CONTROL_API_API_H
#define RG_CONTROL_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rg_control;
struct rg_api;

/* Tickets of the API's calls have this bit, those of the unix socket never. */
#define RG_API_TICKET (1ull << 63)

/* wake_fd: an eventfd that the loop polls. Errors name the key in section `api`: RG_EINVAL also for
 * an address other than loopback that would be open to everybody. *api is NULL when api.listen is
 * "". */
int rg_api_new(struct rg_control *control, int wake_fd, struct rg_api **api, struct rg_error *err);
/* Run calls, follow the policy, sweep connections. Returns the work done. NULL is allowed. */
uint32_t rg_api_do_work(struct rg_api *api);
/* Answer a command's ticket with one JSON document. Unknown tickets are ignored. */
void rg_api_answer(struct rg_api *api, uint64_t ticket, const char *json, size_t bytes);
/* Answer what waits with an error, stop the server, free. NULL is allowed. */
void rg_api_delete(struct rg_api *api);

#endif

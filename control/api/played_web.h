/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and the fuzz target: control without threads, sockets or a data plane, and a played
 * HTTP server in front of its API.
 *
 *	ask() ─► route() ─► handle() ─┬─────────────────────────► answer
 *	                              └ suspended: control is stepped until it is resumed ─► then()
 *
 * played_web.c defines the functions of web.h that the API calls, so web.c is not linked. Time
 * passes a second a turn: whoever waits for a data plane has soon waited long enough.
 *
 * Thread-safety: one thread.
 */
#ifndef RG_CONTROL_API_PLAYED_WEB_H
#define RG_CONTROL_API_PLAYED_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rg_control;

#define RG_PLAYED_HEADERS_MAX 16

struct rg_played_header {
	const char *name, *value;
};

struct rg_played_request {
	const char *method, *uri;
	const char *body; /* NULL: none */
	size_t body_bytes;
	struct rg_played_header headers[RG_PLAYED_HEADERS_MAX];
	uint32_t header_count;
	uint32_t permissions; /* enum rg_permission */
	const char *who;      /* NULL: "" */
};

struct rg_played_answer {
	unsigned status; /* 0: none within many turns */
	char *text;	 /* NUL-terminated; freed by the next ask() */
	size_t bytes;
};

/* Start control with `bundle`, a path, in a new folder on /dev/shm, and step it until the API
 * decides with it; aborts when that fails. more: further lines of riskgate.yaml, or "". */
struct rg_control *rg_played_start(const char *schema, const char *bundle, const char *more);
void rg_played_stop(void);
/* The folder; state is in state/. */
const char *rg_played_folder(void);

const struct rg_played_answer *rg_played_ask(const struct rg_played_request *request);
/* The same for a client that may do all: method, URI and a body (NULL: none). */
const struct rg_played_answer *rg_played(const char *method, const char *uri, const char *body);

#endif

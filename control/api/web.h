/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server under the API: connections, TLS, bodies, answers. It knows no path.
 *
 * libmicrohttpd runs `threads` threads, each with an epoll loop. A request goes
 *
 *	        headers          body complete                  answer queued       sent
 *	RECEIVING ───► route() ───► handle() ─┬────────────────────► SENDING ───► RECEIVING
 *	                                      │ rg_web_suspend()       ▲        (next request)
 *	                                      └──► WAITING ──resume()───┘
 *	                                           then()
 *
 * A handler never waits: what needs control's loop suspends the request, and its thread serves
 * others. rg_web_resume(), from any thread, makes a server thread call request->then().
 *
 * BOUNDS. Connections, bytes of headers, bytes of a body (before and after inflating), and time: a
 * connection that is RECEIVING or SENDING for longer than timeout_ns is shut down, however slowly
 * bytes trickle (rg_web_sweep()).
 *
 * Thread-safety: new, sweep and delete belong to one thread; handlers run in the server's.
 */
#ifndef RG_CONTROL_API_WEB_H
#define RG_CONTROL_API_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "control/api/access.h"
#include "control/api/target.h"

#define RG_WEB_JSON    "application/json"
#define RG_WEB_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct rg_web;
struct rg_web_request;

enum rg_web_result {
	RG_WEB_DONE, /* request->answer is complete */
	RG_WEB_WAIT  /* it was suspended */
};
typedef enum rg_web_result rg_web_function(void *context, struct rg_web_request *request);

struct rg_web_request {
	struct rg_web *web;
	void *connection; /* struct MHD_Connection */
	char method[16];
	struct rg_target target;
	struct rg_error target_error; /* the target could not be parsed */
	uint32_t permissions;	      /* enum rg_permission bits of the client */
	const char *who;	      /* name of its identity; "" when anonymous */
	uint8_t client_address[16];   /* IPv6, or IPv4 mapped into it */
	uint16_t client_port;
	uint64_t begin_ns, handle_ns; /* CLOCK_MONOTONIC: headers read; body read */

	char *body; /* inflated, NUL-terminated; NULL without one */
	size_t body_bytes;

	/* the handlers' */
	rg_web_function *handle, *then;
	void *context;
	void *state;
	void (*free_state)(void *state);

	/* the answer */
	unsigned status;
	const char *content_type;
	const char *challenge; /* value of WWW-Authenticate, or NULL */
	const char *allow;     /* value of Allow, or NULL */
	bool is_last;	       /* the connection is closed behind it */
	struct rg_json_writer answer;

	/* web.c's own */
	char *uri;
	size_t body_capacity;
	uint8_t phase;
};

/* A header's value, or NULL. */
const char *rg_web_header(const struct rg_web_request *request, const char *name);
/* OPA's error body: {"code": code, "message": text}. Returns RG_WEB_DONE. */
enum rg_web_result rg_web_error(struct rg_web_request *request, unsigned status, const char *code,
				const char *format, ...) __attribute__((format(printf, 4, 5)));
/* From a handler: put the request aside until rg_web_resume(), then call then(). After this only
 * RG_WEB_WAIT may be returned. */
void rg_web_suspend(struct rg_web_request *request, rg_web_function *then);
void rg_web_resume(struct rg_web_request *request);

struct rg_web_options {
	const char *listen; /* numeric address and port: "127.0.0.1:9472", "[::1]:0" */
	const char *cert, *private_key, *client_ca; /* PEM texts; NULL: none */
	const struct rg_access *access;
	uint32_t anonymous; /* permissions without credentials */
	uint32_t threads, connections_max;
	uint64_t body_bytes_max, timeout_ns;
	/* called with the headers: sets request->handle and context, or makes the answer at once
	 * (RG_WEB_DONE with status set) */
	rg_web_function *route;
	/* called when an answer was made, with its status; for metrics */
	void (*observe)(void *context, const struct rg_web_request *request, uint64_t now_ns);
	void *context;
};

/* Is it a loopback address? RG_EINVAL: no numeric address and port. */
int rg_web_address(const char *listen, bool *is_loopback, struct rg_error *err);

/* Listen and serve. RG_EAGAIN: the address is in use; RG_EINVAL: the address, certificate or key;
 * RG_EIO. options are copied, what they point to must outlive the server. */
int rg_web_new(const struct rg_web_options *options, struct rg_web **web, struct rg_error *err);
/* The port that it listens on. */
uint16_t rg_web_port(const struct rg_web *web);
uint32_t rg_web_connections(const struct rg_web *web);
/* Shut down connections that take too long; cheap when called more than once a second. */
void rg_web_sweep(struct rg_web *web, uint64_t now_ns);
/* Stop. Every suspended request must have been resumed, and no more may be suspended. NULL is
 * allowed. */
void rg_web_delete(struct rg_web *web);

uint64_t rg_web_now_ns(void); /* CLOCK_MONOTONIC */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to the servers that the configuration calls `services`: bundles are fetched, decision logs
 * and status reports are sent through it.
 *
 *	            submit                 the answer is complete,
 *	 (nothing) ───────► UNDER WAY ───────────────────────────► DONE ──take──► (nothing)
 *	                       │           or an error, or a limit
 *	                       └──cancel──► (nothing)
 *
 * A request never waits in the caller: transfers run in a thread of their own (libcurl), and the
 * loop polls for the result; an eventfd tells it when to look. The interface is a table of
 * functions, so that a test can put a scripted server in the thread's place.
 *
 * What is bounded: requests under way, bytes of an answer (counted while they arrive and after
 * decompression), the time until the answer's headers (the service's
 * response_header_timeout_seconds), and its speed after that. TLS 1.2 or later; certificates are
 * checked unless the service says allow_insecure_tls. Redirects are followed, never from https to
 * http. Secrets are in no error text: errors name the service, not its URL.
 *
 * Source: OPA's configuration of services. Thread-safety: a client is used by one thread.
 */
#ifndef RG_CONTROL_HTTP_CLIENT_H
#define RG_CONTROL_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "config/opa_sections.h"

#define RG_HTTP_REQUESTS_MAX	   64
#define RG_HTTP_HEADER_VALUE_BYTES 512

struct rg_http_client_request {
	const struct rg_config_service *service; /* outlives the request */
	const char *method;			 /* "GET", "POST", "PUT" */
	const char *path;			 /* behind the service's url; begins with '/' */
	const char *const *headers;		 /* "Name: value" */
	uint32_t header_count;
	const void *body; /* copied; NULL: none */
	size_t body_bytes;
	bool gzip;		     /* compress the body and say so */
	uint64_t response_bytes_max; /* of the body, decompressed */
	uint32_t hold_ms; /* the server may hold back its answer that long: long polling */
};

struct rg_http_client_response {
	/* RG_OK: there is an answer, whatever its code. RG_EIO: no connection, or it broke;
	 * RG_EAGAIN: too slow; RG_ELIMIT: larger than response_bytes_max; RG_EINVAL: the request
	 * cannot be made (a credentials file). */
	int status;
	struct rg_error error;
	long code; /* 200, 304, ... */
	char etag[RG_HTTP_HEADER_VALUE_BYTES], content_type[RG_HTTP_HEADER_VALUE_BYTES];
	char *body; /* NUL-terminated; the taker frees it: rg_http_client_response_free() */
	size_t body_bytes;
};

struct rg_http_client {
	void *context;
	/* Begin. All of the request is copied but its service. RG_ELIMIT: RG_HTTP_REQUESTS_MAX are
	 * under way; RG_ENOMEM. */
	int (*submit)(void *context, const struct rg_http_client_request *request, uint64_t *ticket,
		      struct rg_error *err);
	/* The result; the ticket is done with. RG_EAGAIN: not yet; RG_ENOENT: no such ticket. */
	int (*take)(void *context, uint64_t ticket, struct rg_http_client_response *response);
	/* Forget a request, under way or done. */
	void (*cancel)(void *context, uint64_t ticket);
};

/* The real one. done_fd: an eventfd that is written when a request is done, or -1. RG_ENOMEM: no
 * memory or no thread. */
int rg_http_client_new(int done_fd, struct rg_http_client *client, struct rg_error *err);
/* Breaks off what is under way. A zeroed client is allowed. */
void rg_http_client_delete(struct rg_http_client *client);

void rg_http_client_response_free(struct rg_http_client_response *response);
/* "404 Not Found" */
const char *rg_http_code_text(long code, char text[static 64]);

#endif

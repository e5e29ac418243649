/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two stored policies, in a thread of its own: large data documents take their time, and
 * the loop goes on draining.
 *
 *	IDLE ──start──► RUNNING ──(its thread is done)──► DONE ──take──► IDLE
 *
 * Thread-safety: a struct rg_compare belongs to the loop.
 */
#ifndef RG_CONTROL_COMPARE_H
#define RG_CONTROL_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rg_compare;

struct rg_compare_request {
	uint64_t ticket;      /* of the client that asks; given back with the result */
	uint64_t from, to;    /* sequences; given back */
	char from_path[1024]; /* folders of the two bundles */
	char to_path[1024];
};

struct rg_compare_result {
	uint64_t ticket, from, to;
	int status;
	struct rg_error error;
	char *difference; /* JSON of bundle/diff.h; the taker frees it */
};

/* done_fd: an eventfd that is written when a comparison is done, or -1. NULL: out of memory. */
struct rg_compare *rg_compare_new(int done_fd);
void rg_compare_delete(struct rg_compare *compare); /* waits for a running one; NULL is allowed */

/* Start. The request is copied. RG_EAGAIN: one is running; RG_ENOMEM: no thread. */
int rg_compare_start(struct rg_compare *compare, const struct rg_compare_request *request,
		     struct rg_error *err);
/* Take the result of a finished one. RG_EAGAIN: it is not finished, or there is none. */
int rg_compare_take(struct rg_compare *compare, struct rg_compare_result *result);

#endif

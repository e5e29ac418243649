/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP server counts about its own requests: for each route how many, by status class, and
 * how long they took. Server threads add, the loop reads when metrics are asked for.
 *
 * Thread-safety: any thread; all relaxed, numbers of their own.
 */
#ifndef RG_CONTROL_API_OBSERVED_H
#define RG_CONTROL_API_OBSERVED_H

#include <stdatomic.h>
#include <stdint.h>

#define RG_OBSERVED_ROUTES_MAX 32
#define RG_OBSERVED_CLASSES    6 /* status / 100 */

/* Upper bounds of the buckets of every exported histogram, ns. */
#define RG_OBSERVED_BUCKETS 22
extern const uint64_t rg_observed_bounds_ns[RG_OBSERVED_BUCKETS];

struct rg_observed_route {
	_Atomic uint64_t requests[RG_OBSERVED_CLASSES];
	_Atomic uint64_t buckets[RG_OBSERVED_BUCKETS + 1], sum_ns;
};

struct rg_observed {
	struct rg_observed_route routes[RG_OBSERVED_ROUTES_MAX];
};

/* A request of route `route` (below RG_OBSERVED_ROUTES_MAX) was answered. */
void rg_observed_add(struct rg_observed *observed, uint32_t route, unsigned status,
		     uint64_t took_ns);

#endif

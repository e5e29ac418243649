/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/observed.h"

#define US 1000ull
#define MS 1000000ull

const uint64_t rg_observed_bounds_ns[RG_OBSERVED_BUCKETS] = {
	1 * US,	  2500,	    5 * US,    10 * US,	  25 * US,   50 * US,	100 * US, 250 * US,
	500 * US, 1 * MS,   2500 * US, 5 * MS,	  10 * MS,   25 * MS,	50 * MS,  100 * MS,
	250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS};

void rg_observed_add(struct rg_observed *observed, uint32_t route, unsigned status,
		     uint64_t took_ns)
{
	struct rg_observed_route *to = &observed->routes[route];
	uint32_t class = status / 100, bucket = 0;

	while (bucket < RG_OBSERVED_BUCKETS && took_ns > rg_observed_bounds_ns[bucket])
		bucket++;
	atomic_fetch_add_explicit(&to->requests[class < RG_OBSERVED_CLASSES ? class : 0], 1,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&to->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&to->sum_ns, took_ns, memory_order_relaxed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* dataplane/grace.h without RCU and without a thread: a grace period ends as early as RCU may let
 * it. */
#include "dataplane/grace.h"

#include "dataplane_side.h"
#include "world.h"

/* Where each worker was when the grace period began that is waited for. The publisher has one at a
 * time. */
static uint64_t bursts_at_begin[WORKERS];

int rg_grace_start(struct rg_grace *grace, struct rg_error *err)
{
	grace->requested = 0;
	return RG_OK;
}

uint64_t rg_grace_begin(struct rg_grace *grace)
{
	for (uint32_t w = 0; w < WORKERS; w++)
		bursts_at_begin[w] = dataplane_bursts(w);
	return ++grace->requested;
}

bool rg_grace_done(struct rg_grace *grace, uint64_t ticket)
{
	if (ticket != grace->requested)
		fail("the publisher asks for grace period %llu of %llu", (unsigned long long)ticket,
		     (unsigned long long)grace->requested);
	for (uint32_t w = 0; w < WORKERS; w++)
		if (!dataplane_left(w, bursts_at_begin[w]))
			return false;
	return true;
}

void rg_grace_stop(struct rg_grace *grace)
{
}

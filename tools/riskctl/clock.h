/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks a tool reads: what time it is, and how long something takes. */
#ifndef RG_TOOLS_RISKCTL_CLOCK_H
#define RG_TOOLS_RISKCTL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t rg_clock_read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Since 1970-01-01 UTC. */
static inline uint64_t rg_clock_unix_ns(void)
{
	return rg_clock_read_ns(CLOCK_REALTIME);
}

/* Since some moment; never goes back. */
static inline uint64_t rg_clock_monotonic_ns(void)
{
	return rg_clock_read_ns(CLOCK_MONOTONIC);
}

#endif

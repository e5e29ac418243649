/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passing a probe point costs, in this process:
 *
 *	build/bench/probe_hit					nobody is attached
 *	bpftrace -c build/bench/probe_hit \
 *		-e 'usdt:build/bench/probe_hit:riskgate:publish { @hits = count(); }'	somebody is
 *
 * Prints the median and the least of 31 rounds, in ns of CPU time a pass. The loop alone is taken off.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shm/probes.h"

#define ROUNDS		31
#define PASSES_OFF	1000000
#define PASSES_ATTACHED 10000

static int ascending(const void *a, const void *b)
{
	double first = *(const double *)a, second = *(const double *)b;

	return first < second ? -1 : first > second;
}

/* CPU time: what other programs took meanwhile is not in it. */
static uint64_t spent_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

static double pass(bool point, uint64_t passes)
{
	uint64_t began_ns = spent_ns();

	for (uint64_t i = 0; i < passes; i++) {
		if (point)
			rg_probe_publish(i, RG_PUBLISH_TAKEN, 0);
		__asm__ volatile("" : : : "memory");
	}
	return (double)(spent_ns() - began_ns) / (double)passes;
}

int main(void)
{
	bool attached = RG_PROBE_WANTED(publish);
	uint64_t passes = attached ? PASSES_ATTACHED : PASSES_OFF;
	double costs[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		costs[i] = pass(true, passes) - pass(false, passes);
	qsort(costs, ROUNDS, sizeof(costs[0]), ascending);
	printf("%s: median %.2f ns, least %.2f ns a pass\n", attached ? "attached" : "not attached",
	       costs[ROUNDS / 2], costs[0]);
	return 0;
}

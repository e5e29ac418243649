/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations in logarithmic-linear buckets: those below 16 ns one by one, then 16 of equal width for
 * each power of two, up to 2^34 ns (17 s), where the last one takes all that is longer. A bucket is
 * at most 1/16 of its lower end wide; a percentile is given as a bucket's middle, so it is wrong by
 * at most 1/32, 3.1 %. (The region's own histograms, shm/histogram.h, are finer and always on.)
 *
 * Filled in the kernel, one for each CPU, so that nothing is shared; added up by the reader. Which
 * bucket it is may have been found before, by the program that is traced: the BPF instruction set
 * has no way to count leading zeros, a processor has.
 */
#ifndef RG_SHM_PROBE_HISTOGRAM_H
#define RG_SHM_PROBE_HISTOGRAM_H

#include <stdint.h>

#define RG_PROBE_HISTOGRAM_SUB	   16 /* buckets of each power of two */
#define RG_PROBE_HISTOGRAM_SUB_LOG 4
#define RG_PROBE_HISTOGRAM_LOG_MAX 34
#define RG_PROBE_HISTOGRAM_BUCKETS                                                                 \
	((RG_PROBE_HISTOGRAM_LOG_MAX - RG_PROBE_HISTOGRAM_SUB_LOG + 1) * RG_PROBE_HISTOGRAM_SUB)

struct rg_probe_histogram {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint64_t buckets[RG_PROBE_HISTOGRAM_BUCKETS];
};

/* The lowest duration of a bucket; its middle is half a width above. */
static inline uint64_t rg_probe_histogram_low(uint32_t bucket)
{
	uint32_t power = bucket / RG_PROBE_HISTOGRAM_SUB, part = bucket % RG_PROBE_HISTOGRAM_SUB;

	return power ? (uint64_t)(RG_PROBE_HISTOGRAM_SUB + part) << (power - 1) : part;
}

/* The number of the highest bit that is set in n, which is not 0: without an instruction for it. */
static inline uint32_t rg_probe_log_by_halves(uint64_t n)
{
	uint32_t log = 0;

	for (uint32_t bits = 32; bits; bits /= 2)
		if (n >> bits) {
			n >>= bits;
			log += bits;
		}
	return log;
}

/* The bucket of a duration. */
static inline uint32_t rg_probe_histogram_bucket(uint64_t ns)
{
	uint32_t shift;

	if (ns >= 1ull << RG_PROBE_HISTOGRAM_LOG_MAX)
		return RG_PROBE_HISTOGRAM_BUCKETS - 1;
	if (ns < RG_PROBE_HISTOGRAM_SUB)
		return (uint32_t)ns;
#ifdef __bpf__
	shift = rg_probe_log_by_halves(ns) - RG_PROBE_HISTOGRAM_SUB_LOG;
#else
	shift = 63 - (uint32_t)__builtin_clzll(ns) - RG_PROBE_HISTOGRAM_SUB_LOG;
#endif
	return (shift + 1) * RG_PROBE_HISTOGRAM_SUB +
	       (uint32_t)(ns >> shift & (RG_PROBE_HISTOGRAM_SUB - 1));
}

#ifdef __bpf__
/* A function of its own: the verifier looks at it once, whatever calls it. */
__attribute__((noinline)) uint32_t rg_bucket(uint64_t ns)
{
	return rg_probe_histogram_bucket(ns);
}

/* By threads that may push each other aside in the middle of it. */
static inline void rg_probe_histogram_add(struct rg_probe_histogram *histogram, uint64_t ns)
{
	uint32_t bucket = rg_bucket(ns);

	if (bucket >= RG_PROBE_HISTOGRAM_BUCKETS)
		return;
	__sync_fetch_and_add(&histogram->buckets[bucket], 1);
	__sync_fetch_and_add(&histogram->count, 1);
	__sync_fetch_and_add(&histogram->sum_ns, ns);
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations in logarithmic-linear buckets: those below 16 ns one by one, then 16 of equal width for
 * each power of two, up to 2^34 ns (17 s), where the last one takes all that is longer. A bucket is
 * at most 1/16 of its lower end wide; a percentile is given as a bucket's middle, so it is wrong by
 * at most 1/32, 3.1 %. (The region's own histograms, shm/histogram.h, are finer and always on.)
 *
 * Filled in the kernel, one for each CPU, so that nothing is shared; added up by the reader.
 */
#ifndef RG_BPF_HISTOGRAM_H
#define RG_BPF_HISTOGRAM_H

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

/* The bucket of a duration. */
static inline uint32_t rg_probe_histogram_bucket(uint64_t ns)
{
	uint32_t log = 0, shift;
	uint64_t rest = ns;

	if (ns >= 1ull << RG_PROBE_HISTOGRAM_LOG_MAX)
		return RG_PROBE_HISTOGRAM_BUCKETS - 1;
	if (ns < RG_PROBE_HISTOGRAM_SUB)
		return (uint32_t)ns;
	/* the BPF instruction set has no way to count leading zeros */
	for (uint32_t bits = 32; bits; bits /= 2)
		if (rest >> bits) {
			rest >>= bits;
			log += bits;
		}
	shift = log - RG_PROBE_HISTOGRAM_SUB_LOG;
	return (shift + 1) * RG_PROBE_HISTOGRAM_SUB +
	       (uint32_t)(ns >> shift & (RG_PROBE_HISTOGRAM_SUB - 1));
}

#ifdef __bpf__
/* A function of its own: the verifier looks at it once, whatever calls it. */
__attribute__((noinline)) uint32_t rg_bucket(uint64_t ns)
{
	return rg_probe_histogram_bucket(ns);
}

/* By one thread of a CPU: a worker, which has its core to itself. */
static inline void rg_probe_histogram_add(struct rg_probe_histogram *histogram, uint64_t ns)
{
	uint32_t bucket = rg_bucket(ns);

	if (bucket >= RG_PROBE_HISTOGRAM_BUCKETS)
		return; /* it is not; the verifier does not know */
	histogram->buckets[bucket]++;
	histogram->count++;
	histogram->sum_ns += ns;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

/* By threads that may push each other aside in the middle of it. */
static inline void rg_probe_histogram_add_shared(struct rg_probe_histogram *histogram, uint64_t ns)
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram of nanoseconds: 0 ns to 68.7 s (2^36 - 1 ns), 128 buckets to each power of
 * two.
 *
 * Below 256 a bucket holds one value. From there each power of two [2^e, 2^(e+1)) is cut into 128
 * buckets of equal width 2^(e-7), so a bucket's width is at most 1/128 (0.79 %) of its lowest
 * value: that bounds the error of every percentile, which is reported as the highest value of its
 * bucket (never too low). Longer values go to the last bucket and are counted in `clipped`; the
 * maximum is kept exactly. The idea is HdrHistogram's (Gil Tene), the index arithmetic is in
 * rg_histogram_index().
 *
 * ORDERING. All relaxed: buckets are numbers of their own. A reader that merges while the writer
 * records may miss the last ones; it takes the number of values from the buckets it read, so that
 * percentiles are always consistent with themselves.
 *
 * Thread-safety: one writer; any number of readers.
 */
#ifndef RG_SHM_HISTOGRAM_H
#define RG_SHM_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/object.h"

#define RG_HISTOGRAM_VERSION	 1
#define RG_HISTOGRAM_LINEAR_BITS 7 /* 2^7 buckets to a power of two */
#define RG_HISTOGRAM_VALUE_BITS	 36
#define RG_HISTOGRAM_VALUE_MAX	 ((1ull << RG_HISTOGRAM_VALUE_BITS) - 1)
#define RG_HISTOGRAM_BUCKET_COUNT                                                                  \
	((RG_HISTOGRAM_VALUE_BITS - RG_HISTOGRAM_LINEAR_BITS + 1) << RG_HISTOGRAM_LINEAR_BITS)

struct rg_histogram {
	struct rg_object object; /* written once; read by every join */

	/* its writer: each value; tools: when asked. So for all below */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t sum_ns;
	_Atomic uint64_t max_ns;
	_Atomic uint64_t clipped;
	uint64_t reserved[13];
	_Atomic uint64_t buckets[RG_HISTOGRAM_BUCKET_COUNT];
};
static_assert(RG_HISTOGRAM_BUCKET_COUNT == 3840 && offsetof(struct rg_histogram, buckets) == 256 &&
		      sizeof(struct rg_histogram) == 256 + 3840 * 8,
	      "layout of the histogram: raise RG_HISTOGRAM_VERSION and RG_REGION_VERSION");

uint64_t rg_histogram_align(void);
uint64_t rg_histogram_footprint(void);
struct rg_histogram *rg_histogram_new(void *sh_histogram);
int rg_histogram_join(const void *sh_histogram, uint64_t mapped_bytes, struct rg_error *err);
void *rg_histogram_leave(struct rg_histogram *histogram);
void rg_histogram_delete(struct rg_histogram *histogram);

/* Bucket of value_ns, which must be at most RG_HISTOGRAM_VALUE_MAX. Pure; no division. */
static inline uint32_t rg_histogram_index(uint64_t value_ns)
{
	uint32_t shift;

	if (value_ns < 2u << RG_HISTOGRAM_LINEAR_BITS)
		return (uint32_t)value_ns;
	shift = 63u - (uint32_t)__builtin_clzll(value_ns) - RG_HISTOGRAM_LINEAR_BITS;
	return (shift << RG_HISTOGRAM_LINEAR_BITS) + (uint32_t)(value_ns >> shift);
}
/* Lowest and highest value of a bucket, index < RG_HISTOGRAM_BUCKET_COUNT. Pure. */
uint64_t rg_histogram_bucket_low(uint32_t index);
uint64_t rg_histogram_bucket_high(uint32_t index);

/* relaxed load and store, not a read-modify-write: there is one writer */
static inline void rg_histogram_add_relaxed(_Atomic uint64_t *to, uint64_t value)
{
	atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + value,
			      memory_order_relaxed);
}

/* Record `count` values of value_ns. The writer only; wait-free. */
static inline void rg_histogram_record_n(struct rg_histogram *histogram, uint64_t value_ns,
					 uint64_t count)
{
	uint64_t bounded = value_ns;

	if (value_ns > RG_HISTOGRAM_VALUE_MAX) {
		bounded = RG_HISTOGRAM_VALUE_MAX;
		rg_histogram_add_relaxed(&histogram->clipped, count);
	}
	if (value_ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed))
		atomic_store_explicit(&histogram->max_ns, value_ns, memory_order_relaxed);
	rg_histogram_add_relaxed(&histogram->sum_ns, value_ns * count);
	rg_histogram_add_relaxed(&histogram->buckets[rg_histogram_index(bounded)], count);
}
static inline void rg_histogram_record(struct rg_histogram *histogram, uint64_t value_ns)
{
	rg_histogram_record_n(histogram, value_ns, 1);
}

/* A reader's own copy: 31 KB. Zero it to begin with. */
struct rg_histogram_snapshot {
	uint64_t count, sum_ns, max_ns, clipped;
	uint64_t buckets[RG_HISTOGRAM_BUCKET_COUNT];
};
/* Add a histogram, or a snapshot, to `into`. Any thread, any mapping. */
void rg_histogram_merge(struct rg_histogram_snapshot *into, const struct rg_histogram *histogram);
void rg_histogram_merge_snapshot(struct rg_histogram_snapshot *into,
				 const struct rg_histogram_snapshot *from);
/* Take away `earlier`, a snapshot of the same histograms taken before: what is left happened in
 * between. max_ns is then the highest value of the highest bucket left. */
void rg_histogram_subtract(struct rg_histogram_snapshot *from,
			   const struct rg_histogram_snapshot *earlier);
/* The same recording into a snapshot, for tools that measure on their own. */
void rg_histogram_snapshot_record(struct rg_histogram_snapshot *snapshot, uint64_t value_ns);
/* The value that `percentile` (0..100) percent of the values do not exceed, at most 0.79 % too
 * high, never too low; 100 and anything in the last bucket: the exact maximum. 0 when empty. */
uint64_t rg_histogram_percentile(const struct rg_histogram_snapshot *snapshot, double percentile);
/* Mean in ns, 0 when empty. */
uint64_t rg_histogram_mean(const struct rg_histogram_snapshot *snapshot);

#endif

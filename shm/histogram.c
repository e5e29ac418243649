/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/histogram.h"

#include <string.h>

#define HISTOGRAM_MAGIC 0x54534948524b4752ull /* "RGKRHIST" */

static const struct rg_object_kind kind = {"histogram", HISTOGRAM_MAGIC, RG_HISTOGRAM_VERSION,
					   RG_SHM_LINE};

uint64_t rg_histogram_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_histogram_footprint(void)
{
	return sizeof(struct rg_histogram);
}

struct rg_histogram *rg_histogram_new(void *sh_histogram)
{
	struct rg_histogram *histogram = sh_histogram;

	if (!histogram || (uintptr_t)sh_histogram & (RG_SHM_LINE - 1))
		return NULL;
	memset(histogram, 0, sizeof(*histogram));
	rg_object_publish(&histogram->object, &kind, 0, sizeof(*histogram));
	return histogram;
}

int rg_histogram_join(const void *sh_histogram, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_histogram, mapped_bytes, &kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_histogram))
		status = rg_error_set(
			err, RG_ECORRUPT, "histogram: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_histogram));
	return status;
}

void *rg_histogram_leave(struct rg_histogram *histogram)
{
	return histogram;
}

void rg_histogram_delete(struct rg_histogram *histogram)
{
	rg_object_unpublish(&histogram->object);
}

uint64_t rg_histogram_bucket_low(uint32_t index)
{
	uint32_t group = index >> RG_HISTOGRAM_LINEAR_BITS;
	uint64_t within = index & ((1u << RG_HISTOGRAM_LINEAR_BITS) - 1);

	if (group < 2)
		return index;
	return (within | 1u << RG_HISTOGRAM_LINEAR_BITS) << (group - 1);
}

uint64_t rg_histogram_bucket_high(uint32_t index)
{
	uint32_t group = index >> RG_HISTOGRAM_LINEAR_BITS;

	return rg_histogram_bucket_low(index) + (group < 2 ? 0 : (1ull << (group - 1)) - 1);
}

void rg_histogram_merge(struct rg_histogram_snapshot *into, const struct rg_histogram *histogram)
{
	/* relaxed: see ORDERING in the header */
	uint64_t max_ns = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);

	for (uint32_t i = 0; i < RG_HISTOGRAM_BUCKET_COUNT; i++) {
		uint64_t count = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);

		into->buckets[i] += count;
		into->count += count;
	}
	into->sum_ns += atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
	into->clipped += atomic_load_explicit(&histogram->clipped, memory_order_relaxed);
	if (max_ns > into->max_ns)
		into->max_ns = max_ns;
}

void rg_histogram_merge_snapshot(struct rg_histogram_snapshot *into,
				 const struct rg_histogram_snapshot *from)
{
	for (uint32_t i = 0; i < RG_HISTOGRAM_BUCKET_COUNT; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	into->clipped += from->clipped;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

static uint64_t less(uint64_t value, uint64_t by)
{
	return value > by ? value - by : 0;
}

void rg_histogram_subtract(struct rg_histogram_snapshot *from,
			   const struct rg_histogram_snapshot *earlier)
{
	uint64_t highest = 0;

	from->count = 0;
	for (uint32_t i = 0; i < RG_HISTOGRAM_BUCKET_COUNT; i++) {
		from->buckets[i] = less(from->buckets[i], earlier->buckets[i]);
		from->count += from->buckets[i];
		if (from->buckets[i])
			highest = rg_histogram_bucket_high(i);
	}
	from->sum_ns = less(from->sum_ns, earlier->sum_ns);
	from->clipped = less(from->clipped, earlier->clipped);
	/* The maximum of all time is that of the interval only if its bucket is among those left.
	 */
	if (highest < from->max_ns)
		from->max_ns = highest;
}

void rg_histogram_snapshot_record(struct rg_histogram_snapshot *snapshot, uint64_t value_ns)
{
	uint64_t bounded = value_ns;

	if (value_ns > RG_HISTOGRAM_VALUE_MAX) {
		bounded = RG_HISTOGRAM_VALUE_MAX;
		snapshot->clipped++;
	}
	if (value_ns > snapshot->max_ns)
		snapshot->max_ns = value_ns;
	snapshot->sum_ns += value_ns;
	snapshot->count++;
	snapshot->buckets[rg_histogram_index(bounded)]++;
}

uint64_t rg_histogram_percentile(const struct rg_histogram_snapshot *snapshot, double percentile)
{
	double wanted = percentile / 100.0 * (double)snapshot->count;
	uint64_t rank = wanted <= 1 ? 1 : (uint64_t)wanted, seen = 0;

	if (!snapshot->count)
		return 0;
	if ((double)rank < wanted)
		rank++;
	for (uint32_t i = 0; i < RG_HISTOGRAM_BUCKET_COUNT - 1; i++) {
		seen += snapshot->buckets[i];
		if (seen >= rank) {
			uint64_t high = rg_histogram_bucket_high(i);

			return high < snapshot->max_ns ? high : snapshot->max_ns;
		}
	}
	return snapshot->max_ns;
}

uint64_t rg_histogram_mean(const struct rg_histogram_snapshot *snapshot)
{
	return snapshot->count ? snapshot->sum_ns / snapshot->count : 0;
}

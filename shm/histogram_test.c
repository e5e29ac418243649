/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/histogram.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shm/test_random.h"
#include "shm/test_ritual.h"

static void *make(void *sh_histogram)
{
	return rg_histogram_new(sh_histogram);
}

static void remove_histogram(void *histogram)
{
	rg_histogram_delete(histogram);
}

static struct rg_histogram *new_histogram(void)
{
	return rg_histogram_new(aligned_alloc(4096, rg_align_up(rg_histogram_footprint(), 4096)));
}

/* Every bucket: they follow each other without a gap, their ends map to themselves, and none is
 * wider than 1 % of what it holds. */
static void test_every_bucket(void)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < RG_HISTOGRAM_BUCKET_COUNT; i++) {
		uint64_t low = rg_histogram_bucket_low(i), high = rg_histogram_bucket_high(i);

		assert(low == next && high >= low);
		assert(rg_histogram_index(low) == i && rg_histogram_index(high) == i);
		/* Reported is `high` for a value of at least `low`: (high - low) / low <= 1 %. */
		assert((high - low) * 100 <= low);
		next = high + 1;
	}
	assert(next == RG_HISTOGRAM_VALUE_MAX + 1);
	assert(RG_HISTOGRAM_VALUE_MAX >= 60ull * 1000 * 1000 * 1000);
}

static void test_limits(void)
{
	struct rg_histogram *histogram = new_histogram();
	struct rg_histogram_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	assert(histogram && snapshot);
	rg_histogram_merge(snapshot, histogram);
	assert(!snapshot->count && !rg_histogram_percentile(snapshot, 50) &&
	       !rg_histogram_mean(snapshot));
	rg_histogram_record(histogram, 0);
	rg_histogram_record(histogram, RG_HISTOGRAM_VALUE_MAX);
	rg_histogram_record(histogram, RG_HISTOGRAM_VALUE_MAX + 1);
	rg_histogram_record(histogram, 1ull << 60);
	rg_histogram_record_n(histogram, 5, 10);
	rg_histogram_merge(snapshot, histogram);
	assert(snapshot->count == 14 && snapshot->clipped == 2 && snapshot->max_ns == 1ull << 60);
	assert(rg_histogram_percentile(snapshot, 0) == 0 &&
	       rg_histogram_percentile(snapshot, 50) == 5 &&
	       rg_histogram_percentile(snapshot, 100) == 1ull << 60);
	free(rg_histogram_leave(histogram));
	free(snapshot);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Percentiles of random values beside those of the sorted values themselves. */
static void test_model(void)
{
	enum { VALUES = 50000 };
	static const double percentiles[] = {0, 1, 50, 90, 99, 99.9, 99.99, 100};
	struct test_random random = test_random_start("histogram model");
	struct rg_histogram *histogram = new_histogram(), *second = new_histogram();
	struct rg_histogram_snapshot *snapshot = calloc(1, sizeof(*snapshot)),
				     *own = calloc(1, sizeof(*own)), *sum = calloc(1, sizeof(*sum));
	uint64_t *values = calloc(VALUES, sizeof(*values)), total = 0;

	assert(histogram && second && snapshot && own && sum && values);
	for (int i = 0; i < VALUES; i++) {
		values[i] = test_random_next(&random) >> (28 + test_random_below(&random, 36));
		total += values[i];
		rg_histogram_record(i & 1 ? histogram : second, values[i]);
		rg_histogram_snapshot_record(own, values[i]);
	}
	rg_histogram_merge(snapshot, histogram);
	rg_histogram_merge(snapshot, second);
	assert(!memcmp(snapshot, own, sizeof(*own)));
	rg_histogram_merge_snapshot(sum, own);
	assert(!memcmp(sum, own, sizeof(*own)));
	assert(snapshot->count == VALUES && snapshot->sum_ns == total &&
	       rg_histogram_mean(snapshot) == total / VALUES);
	qsort(values, VALUES, sizeof(*values), by_value);
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
		double rank = percentiles[i] / 100 * VALUES;
		uint64_t index = rank <= 1 ? 0 : (uint64_t)(rank - 1e-6);
		uint64_t exact = values[index],
			 got = rg_histogram_percentile(snapshot, percentiles[i]);

		assert(got >= exact && (got - exact) * 100 <= exact);
	}
	assert(rg_histogram_percentile(snapshot, 100) == values[VALUES - 1]);
	free(values);
	free(sum);
	free(own);
	free(snapshot);
	free(second);
	free(histogram);
}

static void test_subtract(void)
{
	struct rg_histogram *histogram = new_histogram();
	struct rg_histogram_snapshot *before = calloc(1, sizeof(*before)),
				     *after = calloc(1, sizeof(*after));

	assert(histogram && before && after);
	rg_histogram_record(histogram, 1000000);
	rg_histogram_merge(before, histogram);
	rg_histogram_record_n(histogram, 100, 3);
	rg_histogram_merge(after, histogram);
	rg_histogram_subtract(after, before);
	assert(after->count == 3 && after->sum_ns == 300 && after->max_ns == 100);
	assert(rg_histogram_percentile(after, 99) == 100);
	memset(after, 0, sizeof(*after));
	rg_histogram_record(histogram, 2000001);
	rg_histogram_merge(after, histogram);
	rg_histogram_subtract(after, before);
	assert(after->max_ns == 2000001); /* exact: its bucket is among those left */
	rg_histogram_subtract(after, after);
	assert(!after->count && !after->max_ns && !after->sum_ns);
	free(after);
	free(before);
	free(histogram);
}

int main(void)
{
	const struct test_ritual ritual = {rg_histogram_align(), rg_histogram_footprint(), make,
					   rg_histogram_join, remove_histogram};

	test_ritual(&ritual);
	test_every_bucket();
	test_limits();
	test_model();
	test_subtract();
	return 0;
}

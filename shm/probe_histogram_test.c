/* SPDX-License-Identifier: Apache-2.0 */
/* Every bucket begins where the one before ends, holds what it says, and is as fine as promised. */
#include "shm/probe_histogram.h"

#include <assert.h>
#include <stdio.h>

static uint64_t end_of(uint32_t bucket)
{
	return rg_probe_histogram_low(bucket + 1);
}

static void test_buckets_join(void)
{
	assert(rg_probe_histogram_low(0) == 0);
	for (uint32_t bucket = 0; bucket < RG_PROBE_HISTOGRAM_BUCKETS; bucket++) {
		uint64_t low = rg_probe_histogram_low(bucket), last = end_of(bucket) - 1;

		assert(low <= last);
		assert(rg_probe_histogram_bucket(low) == bucket);
		assert(rg_probe_histogram_bucket(last) == bucket);
	}
	assert(end_of(RG_PROBE_HISTOGRAM_BUCKETS - 1) == 1ull << RG_PROBE_HISTOGRAM_LOG_MAX);
}

static void test_error(void)
{
	for (uint32_t bucket = RG_PROBE_HISTOGRAM_SUB; bucket < RG_PROBE_HISTOGRAM_BUCKETS;
	     bucket++) {
		uint64_t low = rg_probe_histogram_low(bucket), width = end_of(bucket) - low;

		assert(width * RG_PROBE_HISTOGRAM_SUB <= low); /* its middle: half of that */
	}
}

static void test_beyond(void)
{
	assert(rg_probe_histogram_bucket(1ull << RG_PROBE_HISTOGRAM_LOG_MAX) ==
	       RG_PROBE_HISTOGRAM_BUCKETS - 1);
	assert(rg_probe_histogram_bucket(UINT64_MAX) == RG_PROBE_HISTOGRAM_BUCKETS - 1);
}

/* What the kernel side does instead of counting leading zeros. */
static void test_log_by_halves(void)
{
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint64_t least = 1ull << bit;

		assert(rg_probe_log_by_halves(least) == bit);
		assert(rg_probe_log_by_halves(least | (least - 1)) == bit);
		assert(rg_probe_log_by_halves(least | least >> 1) == bit);
	}
}

int main(void)
{
	test_buckets_join();
	test_error();
	test_beyond();
	test_log_by_halves();
	puts("probe_histogram: ok");
	return 0;
}

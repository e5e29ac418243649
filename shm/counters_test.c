/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/counters.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shm/test_random.h"
#include "shm/test_ritual.h"

static void *make_counters(void *sh_counters)
{
	return rg_counters_new(sh_counters, RG_METRIC_WORKER);
}

static void remove_counters(void *counters)
{
	rg_counters_delete(counters);
}

static void *make_catalogue(void *sh_catalogue)
{
	return rg_catalogue_new(sh_catalogue);
}

static void remove_catalogue(void *catalogue)
{
	rg_catalogue_delete(catalogue);
}

/* The table describes each value once: ids without gaps, names and labels that no other has, texts
 * that end. */
static void test_catalogue(void)
{
	struct rg_catalogue *catalogue =
		rg_catalogue_new(aligned_alloc(4096, rg_align_up(rg_catalogue_footprint(), 4096)));
	uint32_t values[RG_METRIC_GROUP_COUNT] = {0}, histograms[RG_METRIC_GROUP_COUNT] = {0};
	uint32_t count = rg_catalogue_count(catalogue);
	struct rg_metric metric, other;

	assert(catalogue->fingerprint == rg_catalogue_fingerprint());
	for (uint32_t i = 0; i < count; i++) {
		assert(rg_catalogue_read(catalogue, i, &metric) == RG_OK);
		assert(*metric.name && *metric.unit && metric.help[strlen(metric.help) - 1] == '.');
		assert(metric.group < RG_METRIC_GROUP_COUNT);
		assert(metric.id ==
		       (metric.type == RG_METRIC_HISTOGRAM ? histograms : values)[metric.group]++);
		for (uint32_t j = 0; j < i; j++) {
			assert(rg_catalogue_read(catalogue, j, &other) == RG_OK);
			assert(strcmp(metric.name, other.name) ||
			       strcmp(metric.label, other.label) || metric.group != other.group);
			/* metrics that share a name are one family */
			assert(strcmp(metric.name, other.name) || metric.type == other.type);
		}
	}
	assert(values[RG_METRIC_WORKER] == RG_WORKER_COUNTERS &&
	       values[RG_METRIC_PUBLISHER] == RG_PUBLISHER_COUNTERS &&
	       values[RG_METRIC_CONTROL] == RG_CONTROL_COUNTERS &&
	       histograms[RG_METRIC_WORKER] == RG_WORKER_HISTOGRAMS &&
	       histograms[RG_METRIC_PUBLISHER] == RG_PUBLISHER_HISTOGRAMS &&
	       histograms[RG_METRIC_CONTROL] == RG_CONTROL_HISTOGRAMS);
	assert(rg_catalogue_read(catalogue, count, &metric) == RG_EINVAL);
	catalogue->object.parameter = UINT32_MAX; /* a peer that lies about the count */
	assert(rg_catalogue_count(catalogue) == RG_METRICS_MAX);
	assert(rg_catalogue_read(catalogue, RG_METRICS_MAX, &metric) == RG_EINVAL);
	memset(&catalogue->metrics[0], 'x',
	       sizeof(metric)); /* and one that does not end its texts */
	assert(rg_catalogue_read(catalogue, 0, &metric) == RG_OK);
	assert(strlen(metric.help) == sizeof(metric.help) - 1);
	free(rg_catalogue_leave(catalogue));
}

static void test_block(void)
{
	struct rg_counters *counters = rg_counters_new(
		aligned_alloc(4096, rg_align_up(rg_counters_footprint(RG_METRIC_WORKER), 4096)),
		RG_METRIC_WORKER);
	struct test_random random = test_random_start("counters model");
	struct rg_counters_writer writer;
	uint64_t model[RG_WORKER_COUNTERS] = {0};
	struct rg_error err;

	assert(!rg_counters_footprint(RG_METRIC_GROUP_COUNT) &&
	       !rg_counters_new(counters, RG_METRIC_GROUP_COUNT));
	assert(rg_counters_count(counters) == RG_WORKER_COUNTERS);
	assert(rg_counters_writer_join(&writer, counters, RG_METRIC_PUBLISHER, &err) ==
	       RG_EVERSION);
	assert(rg_counters_writer_join(&writer, counters, RG_METRIC_GROUP_COUNT, &err) ==
	       RG_EINVAL);
	assert(rg_counters_writer_join(&writer, counters, RG_METRIC_WORKER, &err) == RG_OK);
	for (int i = 0; i < 20000; i++) {
		uint32_t id = (uint32_t)test_random_below(&random, RG_WORKER_COUNTERS);
		uint64_t by = test_random_below(&random, 1000);

		writer.values[id] += by;
		model[id] += by;
		if (test_random_below(&random, 10))
			continue;
		rg_counters_flush(&writer);
		for (uint32_t j = 0; j < RG_WORKER_COUNTERS; j++)
			assert(rg_counters_read(counters, j) == model[j]);
		if (test_random_below(&random, 10)) /* now and then the writer starts again */
			continue;
		assert(rg_counters_writer_join(&writer, counters, RG_METRIC_WORKER, &err) == RG_OK);
		model[RG_WORKER_RING_USED_BYTES] = model[RG_WORKER_RING_BYTES] = 0; /* gauges */
	}
	assert(!rg_counters_read(counters, RG_WORKER_COUNTERS) &&
	       !rg_counters_read(counters, UINT32_MAX));
	counters->object.parameter |= 0xffff; /* a peer that lies about the count */
	assert(rg_counters_count(counters) == RG_COUNTERS_MAX);
	assert(!rg_counters_read(counters, RG_COUNTERS_MAX));
	free(rg_counters_leave(counters));
}

int main(void)
{
	const struct test_ritual counters = {rg_counters_align(),
					     rg_counters_footprint(RG_METRIC_WORKER), make_counters,
					     rg_counters_join, remove_counters};
	const struct test_ritual catalogue = {rg_catalogue_align(), rg_catalogue_footprint(),
					      make_catalogue, rg_catalogue_join, remove_catalogue};

	test_ritual(&counters);
	test_ritual(&catalogue);
	test_catalogue();
	test_block();
	return 0;
}

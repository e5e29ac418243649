/* SPDX-License-Identifier: Apache-2.0 */
/* Differences and percentiles of figures, without a kernel. */
#include "tools/riskctl/figures.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct value {
	uint64_t count, longest;
};
#define MAXIMA 2u /* word 1: longest */

static struct rg_figures make(uint32_t count, const uint32_t *keys, const struct value *values)
{
	struct rg_figures figures = {.key_bytes = sizeof(*keys),
				     .value_bytes = sizeof(*values),
				     .count = count,
				     .keys = malloc(count * sizeof(*keys)),
				     .values = malloc(count * sizeof(*values))};

	assert(figures.keys && figures.values);
	memcpy(figures.keys, keys, count * sizeof(*keys));
	memcpy(figures.values, values, count * sizeof(*values));
	return figures;
}

static void test_difference(void)
{
	struct rg_figures before =
		make(3, (uint32_t[]){7, 8, 9}, (struct value[]){{10, 5}, {100, 50}, {3, 3}});
	struct rg_figures now =
		make(3, (uint32_t[]){9, 7, 11}, (struct value[]){{2, 2}, {14, 6}, {1, 1}});
	const struct value *value;

	rg_figures_subtract(&now, &before, MAXIMA);
	value = rg_figures_value(&now, 0);
	assert(value->count == 2 && value->longest == 2); /* 9 was begun anew */
	value = rg_figures_value(&now, 1);
	assert(value->count == 4 && value->longest == 6); /* a maximum has no difference */
	value = rg_figures_value(&now, 2);
	assert(value->count == 1 && *(const uint32_t *)rg_figures_key(&now, 2) == 11);
	rg_figures_free(&before);
	rg_figures_free(&now);
	assert(!now.keys && !now.count);
}

static void test_copy(void)
{
	struct rg_figures figures = make(1, (uint32_t[]){7}, (struct value[]){{10, 5}}), copy,
			  none = {0};
	struct rg_error err;

	assert(!rg_figures_copy(&figures, &copy, &err));
	rg_figures_subtract(&figures, &copy, MAXIMA);
	assert(((const struct value *)rg_figures_value(&figures, 0))->count == 0);
	assert(((const struct value *)rg_figures_value(&copy, 0))->count == 10);
	rg_figures_free(&figures);
	rg_figures_free(&copy);
	assert(!rg_figures_copy(&none, &copy, &err) && copy.count == 0);
	rg_figures_free(&copy);
}

static void add(struct rg_probe_histogram *histogram, uint64_t ns, uint64_t times)
{
	histogram->buckets[rg_probe_histogram_bucket(ns)] += times;
	histogram->count += times;
	histogram->sum_ns += times * ns;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

static void is_near(uint64_t found, uint64_t wanted)
{
	double error = (double)found / (double)wanted - 1;

	assert(error >= -1.0 / 32 && error <= 1.0 / 32);
}

static void test_percentiles(void)
{
	static struct rg_probe_histogram histogram;

	assert(rg_figures_percentile(&histogram, 50) == 0);
	add(&histogram, 1000, 900);
	add(&histogram, 70000, 99);
	add(&histogram, 5000000, 1);
	is_near(rg_figures_percentile(&histogram, 50), 1000);
	is_near(rg_figures_percentile(&histogram, 89.9), 1000);
	is_near(rg_figures_percentile(&histogram, 99), 70000);
	is_near(rg_figures_percentile(&histogram, 99.9), 5000000);
	assert(rg_figures_percentile(&histogram, 100) <= 5000000); /* no more than the longest */
}

int main(void)
{
	test_difference();
	test_copy();
	test_percentiles();
	puts("figures: ok");
	return 0;
}

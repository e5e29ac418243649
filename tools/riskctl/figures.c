/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/figures.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pinned.h"

static uint32_t words_of(const struct rg_figures *figures)
{
	return figures->value_bytes / sizeof(uint64_t);
}

static bool is_maximum(uint64_t maxima, uint32_t word)
{
	return word < 64 && maxima >> word & 1;
}

static void add_up(const struct rg_pinned_map *map, const uint8_t *values, uint64_t maxima,
		   uint64_t *sums, uint32_t words)
{
	memset(sums, 0, words * sizeof(*sums));
	for (uint32_t cpu = 0; cpu < map->cpus; cpu++) {
		const uint64_t *value = (const uint64_t *)(values + (size_t)cpu * map->stride);

		for (uint32_t i = 0; i < words; i++) {
			if (!is_maximum(maxima, i))
				sums[i] += value[i];
			else if (value[i] > sums[i])
				sums[i] = value[i];
		}
	}
}

static bool grow(struct rg_figures *figures, uint32_t *capacity)
{
	uint32_t more = *capacity ? 2 * *capacity : 64;
	uint8_t *keys = realloc(figures->keys, (size_t)more * figures->key_bytes);
	uint64_t *values;

	if (!keys)
		return false;
	figures->keys = keys;
	values = realloc(figures->values, (size_t)more * figures->value_bytes);
	if (!values)
		return false;
	figures->values = values;
	*capacity = more;
	return true;
}

static int read_all(const struct rg_pinned_map *map, uint64_t maxima, uint8_t *values,
		    struct rg_figures *figures, struct rg_error *err)
{
	const void *before = NULL;
	uint32_t capacity = 0;

	for (;;) {
		if (figures->count == capacity && !grow(figures, &capacity))
			return rg_error_set(err, RG_ENOMEM, "no memory");
		if (!rg_pinned_next(map, before,
				    figures->keys + (size_t)figures->count * figures->key_bytes))
			return RG_OK;
		before = figures->keys + (size_t)figures->count * figures->key_bytes;
		if (!rg_pinned_lookup(map, before, values))
			continue; /* it has gone meanwhile; the next one follows it all the same */
		add_up(map, values, maxima,
		       figures->values + (size_t)figures->count * words_of(figures),
		       words_of(figures));
		figures->count++;
		before = figures->keys + (size_t)(figures->count - 1) * figures->key_bytes;
	}
}

int rg_figures_read(const char *path, uint32_t key_bytes, uint32_t value_bytes, uint64_t maxima,
		    struct rg_figures *figures, struct rg_error *err)
{
	struct rg_pinned_map map;
	uint8_t *values;
	int rc = rg_pinned_open(path, key_bytes, value_bytes, &map, err);

	memset(figures, 0, sizeof(*figures));
	if (rc)
		return rc;
	figures->key_bytes = key_bytes;
	figures->value_bytes = value_bytes;
	values = malloc(rg_pinned_values_bytes(&map));
	rc = values ? read_all(&map, maxima, values, figures, err)
		    : rg_error_set(err, RG_ENOMEM, "no memory");
	free(values);
	rg_pinned_close(&map);
	if (rc)
		rg_figures_free(figures);
	return rc;
}

static const uint64_t *find(const struct rg_figures *figures, const void *key)
{
	for (uint32_t i = 0; i < figures->count; i++)
		if (!memcmp(rg_figures_key(figures, i), key, figures->key_bytes))
			return rg_figures_value(figures, i);
	return NULL;
}

/* Sums never fall: where one did, the element was made anew. */
static bool is_later(const uint64_t *now, const uint64_t *then, uint64_t maxima, uint32_t words)
{
	for (uint32_t i = 0; i < words; i++)
		if (!is_maximum(maxima, i) && now[i] < then[i])
			return false;
	return true;
}

void rg_figures_subtract(struct rg_figures *figures, const struct rg_figures *before,
			 uint64_t maxima)
{
	uint32_t words = words_of(figures);

	for (uint32_t i = 0; i < figures->count; i++) {
		uint64_t *value = figures->values + (size_t)i * words;
		const uint64_t *then = find(before, rg_figures_key(figures, i));

		if (!then || !is_later(value, then, maxima, words))
			continue;
		for (uint32_t word = 0; word < words; word++)
			if (!is_maximum(maxima, word))
				value[word] -= then[word];
	}
}

int rg_figures_copy(const struct rg_figures *figures, struct rg_figures *copy, struct rg_error *err)
{
	size_t keys_bytes = (size_t)figures->count * figures->key_bytes,
	       values_bytes = (size_t)figures->count * figures->value_bytes;

	*copy = *figures;
	copy->keys = malloc(keys_bytes + 1); /* an empty one is no lack of memory */
	copy->values = malloc(values_bytes + 1);
	if (!copy->keys || !copy->values) {
		rg_figures_free(copy);
		return rg_error_set(err, RG_ENOMEM, "no memory");
	}
	if (figures->count) {
		memcpy(copy->keys, figures->keys, keys_bytes);
		memcpy(copy->values, figures->values, values_bytes);
	}
	return RG_OK;
}

void rg_figures_free(struct rg_figures *figures)
{
	free(figures->keys);
	free(figures->values);
	memset(figures, 0, sizeof(*figures));
}

const void *rg_figures_key(const struct rg_figures *figures, uint32_t i)
{
	return figures->keys + (size_t)i * figures->key_bytes;
}

const void *rg_figures_value(const struct rg_figures *figures, uint32_t i)
{
	return figures->values + (size_t)i * words_of(figures);
}

uint64_t rg_figures_percentile(const struct rg_probe_histogram *histogram, double percentile)
{
	uint64_t wanted = (uint64_t)((double)histogram->count * percentile / 100), seen = 0;

	for (uint32_t i = 0; i < RG_PROBE_HISTOGRAM_BUCKETS; i++) {
		uint64_t low = rg_probe_histogram_low(i), middle;

		seen += histogram->buckets[i];
		if (seen <= wanted && seen < histogram->count)
			continue;
		if (!seen)
			break;
		middle = low + (rg_probe_histogram_low(i + 1) - low) / 2;
		return middle < histogram->max_ns ? middle : histogram->max_ns;
	}
	return 0;
}

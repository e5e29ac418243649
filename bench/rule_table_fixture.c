/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of 4 to 6 predicates over the 12 fields of a payment: ranges of amount, hour, velocities
 * and the device's age; equality, in and not-in of the others. Rules name any value; requests have
 * popular ones more often (Zipf).
 */
#include "bench/rule_table_fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile/rule_table_build.h"
#include "policy/eval/rule_table.h"

enum { COLUMNS = RULE_TABLE_COLUMNS, PREDICATES = 6, POINTS = 5, SEED = 20261128, CHECKED = 64 };

struct column {
	uint32_t values; /* of an ordered one: 0 .. values - 1 */
	int ordered;
};
static const struct column columns[COLUMNS] = {
	{1000000, 1}, /* amount */
	{20, 0},      /* currency */
	{200, 0},     /* country */
	{400, 0},     /* merchant category */
	{5, 0},	      /* channel */
	{6, 0},	      /* card type */
	{24, 1},      /* hour */
	{50, 1},      /* payments in the last hour */
	{400, 1},     /* and the last day */
	{10000, 0},   /* merchant */
	{200, 0},     /* country of the IP address */
	{1000, 1},    /* days the device is known */
};

/* For the plain loop: a rule's predicates side by side, points of "in" after each other. */
struct plain_predicate {
	uint16_t column, kind; /* 0: low..high; 1: in; 2: not in */
	uint32_t points, count;
	int64_t low, high;
};
struct plain_rule {
	uint32_t count;
	struct plain_predicate predicates[PREDICATES];
};

struct rule_table_fixture {
	uint64_t state;
	uint32_t rule_count;
	struct rg_rule *rules;
	struct rg_rule_predicate *predicates;
	struct rg_rule_interval *intervals;
	struct plain_rule *plain;
	int64_t *points;
	uint32_t point_count;
	struct rg_rule_table *table;
	rg_rule_table_matcher *matcher;
	uint32_t *results;
	uint32_t capacity;
	int64_t values[RULE_TABLE_REQUESTS][COLUMNS];
	int64_t bursts[RULE_TABLE_REQUESTS / RULE_TABLE_BURST][COLUMNS][RULE_TABLE_BURST];
	double *zipf[COLUMNS]; /* cumulated */
};

static uint64_t next(struct rule_table_fixture *fixture)
{
	fixture->state ^= fixture->state >> 12;
	fixture->state ^= fixture->state << 25;
	fixture->state ^= fixture->state >> 27;
	return fixture->state * 0x2545f4914f6cdd1dull;
}

static uint32_t below(struct rule_table_fixture *fixture, uint32_t bound)
{
	return (uint32_t)(next(fixture) >> 33) % bound;
}

static double unit(struct rule_table_fixture *fixture)
{
	return (double)(next(fixture) >> 11) * 0x1p-53;
}

/* ---- values ---- */

static int make_zipf(struct rule_table_fixture *fixture, uint32_t c)
{
	double sum = 0;

	fixture->zipf[c] = malloc(columns[c].values * sizeof(double));
	if (!fixture->zipf[c])
		return 0;
	for (uint32_t i = 0; i < columns[c].values; i++)
		fixture->zipf[c][i] = sum += 1 / pow(i + 1, 0.9);
	for (uint32_t i = 0; i < columns[c].values; i++)
		fixture->zipf[c][i] /= sum;
	return 1;
}

/* Numbers are as likely as each other; names are drawn by their popularity. */
static int64_t value(struct rule_table_fixture *fixture, uint32_t c)
{
	double u = unit(fixture);
	uint32_t low = 0, high = columns[c].values - 1;

	if (columns[c].ordered)
		return (int64_t)(u * columns[c].values);
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (fixture->zipf[c][middle] < u)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* One of 48 round ones, or any. */
static int64_t threshold(struct rule_table_fixture *fixture, uint32_t c, int random)
{
	return random ? below(fixture, columns[c].values)
		      : (int64_t)below(fixture, 48) * columns[c].values / 48;
}

/* ---- rules ---- */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void make_range(struct rule_table_fixture *fixture, uint32_t c, int random,
		       struct plain_predicate *plain)
{
	int64_t a = threshold(fixture, c, random), b = threshold(fixture, c, random);
	uint32_t kind = below(fixture, 10);

	if (kind < 8) { /* a band of at most an eighth of all values */
		plain->low = a;
		plain->high =
			random ? a + b / 8 : a + (1 + below(fixture, 6)) * columns[c].values / 48;
	} else {
		plain->low = kind < 9 ? a : RG_RULE_LOWEST;
		plain->high = kind < 9 ? INT64_MAX : a;
	}
}

static void make_points(struct rule_table_fixture *fixture, uint32_t c,
			struct plain_predicate *plain)
{
	uint32_t kind = below(fixture, 20), count, kept = 0;
	int64_t *points = fixture->points + fixture->point_count;

	count = kind < 12 ? 1 : kind < 18 ? 2 + below(fixture, POINTS - 1) : 1 + below(fixture, 4);
	plain->kind = kind < 18 ? 1 : 2;
	plain->points = fixture->point_count;
	for (uint32_t i = 0; i < count; i++)
		points[i] = below(fixture, columns[c].values);
	qsort(points, count, sizeof(*points), by_value);
	for (uint32_t i = 0; i < count; i++) {
		if (!kept || points[kept - 1] != points[i])
			points[kept++] = points[i];
	}
	plain->count = kept;
	fixture->point_count += kept;
}

/* The same predicate for the builder. */
static void describe(const struct rule_table_fixture *fixture, const struct plain_predicate *plain,
		     struct rg_rule_predicate *predicate, struct rg_rule_interval *out)
{
	const int64_t *points = fixture->points + plain->points;
	int64_t low = RG_RULE_LOWEST;
	uint32_t count = 0;

	if (!plain->kind)
		out[count++] = (struct rg_rule_interval){plain->low, plain->high};
	for (uint32_t i = 0; i < plain->count; i++) {
		if (plain->kind == 1)
			out[count++] = (struct rg_rule_interval){points[i], points[i]};
		else if (low < points[i])
			out[count++] = (struct rg_rule_interval){low, points[i] - 1};
		low = points[i] + 1;
	}
	if (plain->kind == 2)
		out[count++] = (struct rg_rule_interval){low, INT64_MAX};
	*predicate = (struct rg_rule_predicate){
		.column = plain->column, .interval_count = count, .intervals = out};
}

static void make_rule(struct rule_table_fixture *fixture, uint32_t number, int random)
{
	struct plain_rule *plain = &fixture->plain[number];
	struct rg_rule *rule = &fixture->rules[number];
	uint32_t used = 0;

	plain->count = 4 + below(fixture, 3);
	*rule = (struct rg_rule){number, plain->count, fixture->predicates + number * PREDICATES};
	for (uint32_t i = 0; i < plain->count; i++) {
		uint32_t at = number * PREDICATES + i, c;

		do
			c = below(fixture, COLUMNS);
		while (used >> c & 1);
		used |= 1u << c;
		plain->predicates[i].column = (uint16_t)c;
		if (columns[c].ordered)
			make_range(fixture, c, random, &plain->predicates[i]);
		else
			make_points(fixture, c, &plain->predicates[i]);
		describe(fixture, &plain->predicates[i], &fixture->predicates[at],
			 fixture->intervals + (size_t)at * (POINTS + 1));
	}
}

static const uint32_t inputs[COLUMNS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static struct rg_rules rules_of(const struct rule_table_fixture *fixture)
{
	return (struct rg_rules){
		COLUMNS, inputs, COLUMNS, fixture->rule_count, fixture->rule_count, fixture->rules};
}

static void make_requests(struct rule_table_fixture *fixture)
{
	for (uint32_t i = 0; i < RULE_TABLE_REQUESTS; i++) {
		for (uint32_t c = 0; c < COLUMNS; c++) {
			fixture->values[i][c] = value(fixture, c);
			fixture->bursts[i / RULE_TABLE_BURST][c][i % RULE_TABLE_BURST] =
				fixture->values[i][c];
		}
	}
}

static int agrees(struct rule_table_fixture *fixture)
{
	for (uint32_t i = 0; i < CHECKED; i++) {
		if (rule_table_fixture_match(fixture, i) !=
			    rule_table_fixture_match_plain(fixture, i) ||
		    rule_table_fixture_match(fixture, i) !=
			    rule_table_fixture_match_portable(fixture, i))
			return 0;
	}
	return 1;
}

struct rule_table_fixture *rule_table_fixture_new(uint32_t rules, int random_thresholds)
{
	struct rule_table_fixture *fixture = calloc(1, sizeof(*fixture));
	size_t predicates = (size_t)rules * PREDICATES;
	struct rg_rules description;

	if (!fixture)
		return NULL;
	fixture->state = SEED;
	fixture->matcher = rg_rule_table_matcher_of(rg_eval_widest_vectors(RG_EVAL_AVX512));
	fixture->rule_count = rules;
	fixture->capacity = rules;
	fixture->rules = calloc(rules, sizeof(*fixture->rules));
	fixture->plain = calloc(rules, sizeof(*fixture->plain));
	fixture->predicates = calloc(predicates, sizeof(*fixture->predicates));
	fixture->intervals = calloc(predicates * (POINTS + 1), sizeof(*fixture->intervals));
	fixture->points = calloc(predicates * POINTS, sizeof(*fixture->points));
	fixture->results = calloc((size_t)rules * RULE_TABLE_BURST, sizeof(*fixture->results));
	for (uint32_t c = 0; c < COLUMNS; c++) {
		if (!columns[c].ordered && !make_zipf(fixture, c))
			goto failed;
	}
	if (!fixture->rules || !fixture->plain || !fixture->predicates || !fixture->intervals ||
	    !fixture->points || !fixture->results)
		goto failed;
	for (uint32_t i = 0; i < rules; i++)
		make_rule(fixture, i, random_thresholds);
	make_requests(fixture);
	description = rules_of(fixture);
	if (!rg_rule_table_build(&description, &fixture->table, NULL) && agrees(fixture))
		return fixture;
failed:
	rule_table_fixture_free(fixture);
	return NULL;
}

void rule_table_fixture_free(struct rule_table_fixture *fixture)
{
	if (!fixture)
		return;
	for (uint32_t c = 0; c < COLUMNS; c++)
		free(fixture->zipf[c]);
	free(fixture->rules);
	free(fixture->plain);
	free(fixture->predicates);
	free(fixture->intervals);
	free(fixture->points);
	free(fixture->results);
	free(fixture->table);
	free(fixture);
}

uint64_t rule_table_fixture_build(struct rule_table_fixture *fixture)
{
	struct rg_rules description = rules_of(fixture);
	struct rg_rule_table *table;
	uint64_t bytes;

	if (rg_rule_table_build(&description, &table, NULL))
		return 0;
	bytes = table->bytes;
	free(table);
	return bytes;
}

uint64_t rule_table_fixture_bytes(const struct rule_table_fixture *fixture)
{
	return fixture->table->bytes;
}

uint32_t rule_table_fixture_match(struct rule_table_fixture *fixture, uint64_t index)
{
	return rg_rule_table_match(fixture->table, fixture->values[index % RULE_TABLE_REQUESTS],
				   fixture->results, fixture->capacity);
}

uint32_t rule_table_fixture_match_burst(struct rule_table_fixture *fixture, uint64_t index)
{
	uint32_t counts[RULE_TABLE_BURST] = {0}, sum = 0;

	fixture->matcher(fixture->table,
			 fixture->bursts[index / RULE_TABLE_BURST %
					 (RULE_TABLE_REQUESTS / RULE_TABLE_BURST)][0],
			 RULE_TABLE_BURST, UINT32_MAX, fixture->results, fixture->capacity, counts);
	for (uint32_t i = 0; i < RULE_TABLE_BURST; i++)
		sum += counts[i];
	return sum;
}

uint32_t rule_table_fixture_match_portable(struct rule_table_fixture *fixture, uint64_t index)
{
	uint32_t count = 0;

	rg_rule_table_match_plain(fixture->table, fixture->values[index % RULE_TABLE_REQUESTS], 1,
				  1, fixture->results, fixture->capacity, &count);
	return count;
}

static int holds(const struct rule_table_fixture *fixture, const struct plain_predicate *predicate,
		 int64_t v)
{
	const int64_t *points = fixture->points + predicate->points;
	uint32_t i = 0;

	if (!predicate->kind)
		return predicate->low <= v && v <= predicate->high;
	while (i < predicate->count && points[i] != v)
		i++;
	return (i < predicate->count) == (predicate->kind == 1);
}

uint32_t rule_table_fixture_match_plain(struct rule_table_fixture *fixture, uint64_t index)
{
	const int64_t *values = fixture->values[index % RULE_TABLE_REQUESTS];
	uint32_t count = 0;

	for (uint32_t i = 0; i < fixture->rule_count; i++) {
		const struct plain_rule *rule = &fixture->plain[i];
		uint32_t p = 0;

		while (p < rule->count &&
		       holds(fixture, &rule->predicates[p], values[rule->predicates[p].column]))
			p++;
		if (p == rule->count)
			fixture->results[count++] = i;
	}
	return count;
}

/* ---- for another classifier ---- */

void rule_table_fixture_intervals(const struct rule_table_fixture *fixture, uint32_t rule,
				  uint32_t column,
				  struct rule_table_interval out[RULE_TABLE_INTERVALS_MAX],
				  uint32_t *count)
{
	const struct rg_rule *of = &fixture->rules[rule];

	*count = 0;
	for (uint32_t p = 0; p < of->predicate_count; p++) {
		const struct rg_rule_predicate *predicate = &of->predicates[p];

		if (predicate->column != column)
			continue;
		for (uint32_t i = 0; i < predicate->interval_count; i++)
			out[(*count)++] = (struct rule_table_interval){
				predicate->intervals[i].low, predicate->intervals[i].high};
	}
}

const int64_t *rule_table_fixture_values(const struct rule_table_fixture *fixture, uint64_t index)
{
	return fixture->values[index % RULE_TABLE_REQUESTS];
}

uint32_t rule_table_fixture_first_match(struct rule_table_fixture *fixture, uint64_t index)
{
	uint32_t count = rule_table_fixture_match(fixture, index), first = UINT32_MAX;

	for (uint32_t i = 0; i < count; i++)
		if (fixture->results[i] < first)
			first = fixture->results[i];
	return first;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule tables: random rules of every kind beside their plain meaning, from none to 100,000, in
 * bursts and alone, by each kind of vectors; absent values; what the builder refuses; every damaged table is
 * refused or harmless (run this under ASan).
 */
#include "policy/eval/rule_table_model.h"

#define SEED	0x5eed7ab1e5eedull
#define MUTANTS 15000

static struct rg_rule_table *build(const struct rg_rules *rules)
{
	struct rg_rule_table *table;
	struct rg_error err = {0};
	int status = rg_rule_table_build(rules, &table, &err);

	if (status)
		fprintf(stderr, "%s\n", err.text);
	assert(!status);
	return table;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void assert_same(uint32_t *a, uint32_t a_count, uint32_t *b, uint32_t b_count)
{
	assert(a_count == b_count);
	qsort(a, a_count, sizeof(*a), by_number);
	qsort(b, b_count, sizeof(*b), by_number);
	assert(!a_count || !memcmp(a, b, a_count * sizeof(*a)));
}

/* Some requests of a burst, by each kind of vectors: what is found lies behind what is there, and
 * requests not asked for stay as they are. */
static void compare_burst(struct chance *chance, const struct model *model,
			  const struct rg_rule_table *table, uint32_t burst)
{
	uint32_t inputs = model->rules.input_count, capacity = model->rules.rule_count + 3;
	int64_t *values = malloc(inputs * burst * sizeof(*values));
	uint32_t *found = malloc((size_t)capacity * burst * sizeof(*found));
	uint32_t *wanted = malloc(capacity * sizeof(*wanted));
	uint32_t asked = (uint32_t)chance_next(chance) | (uint32_t)chance_next(chance);

	assert(values && found && wanted);
	for (uint32_t r = 0; r < burst; r++)
		model_request(chance, model, values + r, burst);
	asked = burst < 32 ? asked & ((1u << burst) - 1) : asked;
	for (int kind = 0; kind <= (int)rg_eval_widest_vectors(RG_EVAL_AVX512); kind++) {
		uint32_t counts[RG_RULE_BURST_MAX];

		for (uint32_t r = 0; r < burst; r++) {
			counts[r] = r % 3;
			memset(found + (size_t)r * capacity, 0xff, sizeof(*found) * 3);
		}
		rg_rule_table_matcher_of((enum rg_eval_vectors)kind)(table, values, burst, asked,
								     found, capacity, counts);
		for (uint32_t r = 0; r < burst; r++) {
			uint32_t *own = found + (size_t)r * capacity, there = r % 3;

			assert(own[0] == UINT32_MAX || !there);
			assert(own[1] == UINT32_MAX || there < 2);
			if (asked >> r & 1)
				assert_same(own + there, counts[r] - there, wanted,
					    model_match(&model->rules, values + r, burst, wanted));
			else
				assert(counts[r] == there && own[0] == UINT32_MAX);
		}
	}
	free(values);
	free(found);
	free(wanted);
}

/* One request, by each kind of vectors. */
static void compare_alone(struct chance *chance, const struct model *model,
			  const struct rg_rule_table *table)
{
	int64_t *values = malloc(model->rules.input_count * sizeof(*values));
	uint32_t room = model->rules.rule_count + 1;
	uint32_t *found = malloc(room * sizeof(*found)), *wanted = malloc(room * sizeof(*wanted));
	uint32_t wanted_count;

	assert(values && found && wanted);
	model_request(chance, model, values, 1);
	wanted_count = model_match(&model->rules, values, 1, wanted);
	for (int kind = 0; kind <= (int)rg_eval_widest_vectors(RG_EVAL_AVX512); kind++) {
		uint32_t count = 0;

		rg_rule_table_matcher_of((enum rg_eval_vectors)kind)(table, values, 1, 1, found,
								     room, &count);
		assert_same(found, count, wanted, wanted_count);
	}
	assert(rg_rule_table_match(table, values, found, 0) == wanted_count);
	free(values);
	free(found);
	free(wanted);
}

/* Bursts of requests, and some alone, beside the model. */
static void compare(struct chance *chance, const struct model *model, uint32_t bursts)
{
	struct rg_rule_table *table = build(&model->rules);
	uint32_t most = model->rules.rule_count > 50000 ? 4 : RG_RULE_BURST_MAX;

	for (uint32_t n = 0; n < bursts; n++) {
		compare_burst(chance, model, table, 1 + chance_below(chance, most));
		compare_alone(chance, model, table);
	}
	free(table);
}

static void test_random(struct chance *chance)
{
	static const struct {
		uint32_t columns, rules, most, bursts;
	} shapes[] = {
		{0, 0, 0, 2},	    {0, 3, 0, 2},      {1, 1, 1, 20},	 {1, 511, 1, 20},
		{2, 513, 2, 20},    {8, 10, 4, 40},    {8, 600, 3, 20},	 {12, 1000, 6, 20},
		{16, 3000, 3, 8},   {12, 10000, 6, 4}, {64, 5000, 8, 4}, {8, 100000, 3, 1},
		{12, 100000, 6, 1},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct model model;

		model_new(chance, &model, shapes[i].columns, shapes[i].rules, shapes[i].most);
		compare(chance, &model, shapes[i].bursts);
		model_free(&model);
	}
	for (uint32_t i = 0; i < 60; i++) {
		struct model model;

		model_new(chance, &model, 1 + chance_below(chance, 10), chance_below(chance, 700),
			  1 + chance_below(chance, MODEL_PREDICATES_MAX));
		compare(chance, &model, 2);
		model_free(&model);
	}
}

/* A column whose every value has rules, and rules that each ask for one value and a limit of its
 * own: one request looks at its own rows. */
static void test_accounts(void)
{
	enum { ROWS = 20000 };
	static struct rg_rule_interval intervals[ROWS][2];
	static struct rg_rule_predicate predicates[ROWS][2];
	static struct rg_rule list[ROWS];
	const uint32_t inputs[] = {0, 1};
	const struct rg_rules rules = {.column_count = 2,
				       .inputs = inputs,
				       .input_count = 2,
				       .result_count = ROWS,
				       .rule_count = ROWS,
				       .rules = list};
	struct rg_rule_table *table;

	for (uint32_t i = 0; i < ROWS; i++) {
		int64_t account = (int64_t)i * 1000003 - 7;

		intervals[i][0] = (struct rg_rule_interval){account, account};
		intervals[i][1] = (struct rg_rule_interval){i * 17, INT64_MAX};
		for (uint32_t p = 0; p < 2; p++)
			predicates[i][p] = (struct rg_rule_predicate){
				.column = p, .interval_count = 1, .intervals = &intervals[i][p]};
		list[i] = (struct rg_rule){i, 2, predicates[i]};
	}
	table = build(&rules);
	assert(table->regions.count == 1 && table->rest == ROWS);
	assert(table->bytes < 100 * ROWS);
	for (uint32_t i = 0; i < ROWS; i++) {
		int64_t values[2] = {(int64_t)i * 1000003 - 7, i * 17};
		uint32_t result = UINT32_MAX;

		assert(rg_rule_table_match(table, values, &result, 1) == 1 && result == i);
		values[1]--;
		assert(rg_rule_table_match(table, values, &result, 1) == 0);
		values[0]++;
		values[1] = INT64_MAX;
		assert(rg_rule_table_match(table, values, &result, 1) == 0);
	}
	free(table);
}

/* A threshold of its own in every rule: the bytes of a rule do not grow with their number. */
static void test_room(struct chance *chance)
{
	uint32_t bytes[2];

	for (uint32_t n = 0; n < 2; n++) {
		uint32_t count = n ? 32000 : 2000;
		struct rg_rule *list = calloc(count, sizeof(*list));
		struct rg_rule_predicate *predicates = calloc(count, sizeof(*predicates) * 2);
		struct rg_rule_interval *intervals = calloc(count, sizeof(*intervals) * 2);
		const uint32_t inputs[] = {0, 1};
		struct rg_rules rules = {2, inputs, 2, count, count, list};
		struct rg_rule_table *table;

		assert(list && predicates && intervals);
		for (uint32_t i = 0; i < count; i++) {
			for (uint32_t p = 0; p < 2; p++) {
				intervals[2 * i + p] = (struct rg_rule_interval){
					(int64_t)(chance_next(chance) >> 4), INT64_MAX};
				predicates[2 * i + p] = (struct rg_rule_predicate){
					p, false, 1, &intervals[2 * i + p]};
			}
			list[i] = (struct rg_rule){i, 2, &predicates[2 * i]};
		}
		table = build(&rules);
		bytes[n] = table->bytes / count;
		free(table);
		free(list);
		free(predicates);
		free(intervals);
	}
	printf("thresholds of their own: %u, %u bytes a rule\n", bytes[0], bytes[1]);
	assert(bytes[1] <= 120 && bytes[1] < bytes[0] + 5);
}

/* Capacity bounds what is written, not what is counted; the rest of the room stays as it was. */
static void test_capacity(void)
{
	struct rg_rule list[2000];
	const struct rg_rules rules = {0, NULL, 0, 2000, 2000, list};
	uint32_t results[8];
	struct rg_rule_table *table;

	for (uint32_t i = 0; i < 2000; i++)
		list[i] = (struct rg_rule){i, 0, NULL};
	table = build(&rules);
	memset(results, 0xff, sizeof(results));
	assert(rg_rule_table_match(table, NULL, results, 5) == 2000);
	assert(results[4] == 4 && results[5] == UINT32_MAX);
	free(table);
}

static void test_refused(void)
{
	const uint32_t inputs[65] = {1};
	const struct rg_rule_interval backwards = {2, 1}, absent = {INT64_MIN, 0};
	const struct rg_rule_interval touching[2] = {{1, 5}, {5, 9}};
	const struct {
		struct rg_rule_predicate predicate;
		uint32_t columns, inputs, result;
		int status;
	} cases[] = {
		{{0, false, 1, &backwards}, 1, 2, 0, RG_EINVAL},
		{{0, false, 1, &absent}, 1, 2, 0, RG_EINVAL},
		{{0, false, 2, touching}, 1, 2, 0, RG_EINVAL},
		{{1, false, 0, NULL}, 1, 2, 0, RG_EINVAL},
		{{0, false, 0, NULL}, 1, 1, 0, RG_EINVAL},
		{{0, false, 0, NULL}, 1, 2, 1, RG_EINVAL},
		{{0, false, 0, NULL}, 65, 2, 0, RG_ELIMIT},
		{{0, false, 0, NULL}, 1, 2, 0, RG_OK},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rg_rule rule = {cases[i].result, 1, &cases[i].predicate};
		const struct rg_rules rules = {
			cases[i].columns, inputs, cases[i].inputs, 1, 1, &rule};
		struct rg_rule_table *table = NULL;

		assert(rg_rule_table_build(&rules, &table, NULL) == cases[i].status);
		free(table);
	}
}

/* ---- damage ---- */

static void test_lengths(const struct rg_rule_table *table)
{
	uint8_t *copy = aligned_alloc(64, table->bytes + 64);

	memcpy(copy, table, table->bytes);
	assert(!rg_rule_table_verify(copy, table->bytes));
	for (uint32_t bytes = 0; bytes < table->bytes; bytes += 64)
		assert(rg_rule_table_verify(copy, bytes));
	assert(rg_rule_table_verify(copy, table->bytes + 64));
	assert(rg_rule_table_verify(copy + 8, table->bytes));
	free(copy);
}

static void test_damage(struct chance *chance, const struct model *model)
{
	struct rg_rule_table *table = build(&model->rules);
	uint32_t accepted = 0, before_lines = table->lines.offset;
	uint32_t *results = malloc(model->rules.rule_count * sizeof(*results));

	test_lengths(table);
	for (uint32_t i = 0; i < MUTANTS; i++) {
		uint8_t *copy = aligned_alloc(64, table->bytes);
		int64_t values[MODEL_COLUMNS_MAX + 3];

		memcpy(copy, table, table->bytes);
		for (uint32_t n = 1 + chance_below(chance, 3); n > 0; n--) {
			uint32_t at =
				chance_below(chance, chance_below(chance, 2) ? before_lines : 2048);

			copy[at] ^= (uint8_t)(1u << chance_below(chance, 8));
		}
		if (!rg_rule_table_verify(copy, table->bytes)) {
			const struct rg_rule_table *mutant = (const struct rg_rule_table *)copy;

			accepted++;
			assert(mutant->input_count <= MODEL_COLUMNS_MAX + 3 ||
			       mutant->input_count > model->rules.input_count);
			if (mutant->input_count == model->rules.input_count) {
				model_request(chance, model, values, 1);
				assert(rg_rule_table_match(mutant, values, results,
							   model->rules.rule_count) <=
				       mutant->row_count);
			}
		}
		free(copy);
	}
	assert(accepted > MUTANTS / 100 && accepted < MUTANTS);
	free(results);
	free(table);
}

int main(void)
{
	struct chance chance = {SEED};
	struct model model;

	printf("seed %llx, vectors %d\n", SEED, (int)rg_eval_widest_vectors(RG_EVAL_AVX512));
	test_refused();
	test_capacity();
	test_accounts();
	test_room(&chance);
	test_random(&chance);
	model_new(&chance, &model, 12, 700, 5);
	test_damage(&chance, &model);
	model_free(&model);
	model_new(&chance, &model, 4, 6000, 2); /* with regions and summaries */
	test_damage(&chance, &model);
	model_free(&model);
	return 0;
}

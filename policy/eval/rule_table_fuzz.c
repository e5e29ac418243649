/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: rule tables. The first bytes choose rules, which are built and held against their
 * plain meaning; the others are changes to the table (24-bit place, new value), after which it is
 * refused or harmless.
 */
#include "policy/eval/rule_table_model.h"

#define RULES_MAX 1500
#define REQUESTS  3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint32_t results[REQUESTS][RULES_MAX], wanted[RULES_MAX];

/* A burst with each kind of vectors, and a request alone. */
static void match(struct chance *chance, const struct model *model,
		  const struct rg_rule_table *table, bool is_whole)
{
	int64_t values[(MODEL_COLUMNS_MAX + 3) * REQUESTS];

	for (uint32_t r = 0; r < REQUESTS; r++)
		model_request(chance, model, values + r, REQUESTS);
	for (int kind = 0; kind <= (int)rg_eval_widest_vectors(RG_EVAL_AVX512); kind++) {
		rg_rule_table_matcher *matcher =
			rg_rule_table_matcher_of((enum rg_eval_vectors)kind);
		uint32_t counts[REQUESTS] = {0}, alone = 0;

		matcher(table, values, REQUESTS, (1u << REQUESTS) - 1, results[0], RULES_MAX,
			counts);
		for (uint32_t r = 0; r < REQUESTS; r++) {
			assert(counts[r] <= table->row_count);
			assert(!is_whole || counts[r] == model_match(&model->rules, values + r,
								     REQUESTS, wanted));
		}
		matcher(table, values, REQUESTS, 1, results[0], RULES_MAX, &alone);
		assert(alone == counts[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct chance chance = {1};
	struct rg_rule_table *table;
	struct model model;
	uint32_t table_bytes;

	if (bytes < 8)
		return 0;
	chance.state += (uint64_t)data[0] << 8 | data[1];
	model_new(&chance, &model, data[2] % MODEL_COLUMNS_MAX + 1,
		  ((uint32_t)data[3] << 8 | data[4]) % RULES_MAX,
		  data[5] % MODEL_PREDICATES_MAX + 1);
	assert(!rg_rule_table_build(&model.rules, &table, NULL));
	table_bytes = table->bytes; /* which may be damaged too */
	match(&chance, &model, table, true);
	for (data += 8, bytes -= 8; bytes >= 4; data += 4, bytes -= 4) {
		size_t at = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;

		if (at < table_bytes)
			((uint8_t *)table)[at] = data[3];
	}
	if (!rg_rule_table_verify(table, table_bytes) &&
	    table->input_count == model.rules.input_count)
		match(&chance, &model, table, false);
	free(table);
	model_free(&model);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: rule tables. The first bytes choose rules, which are built and held against their
 * plain meaning; the others are changes to the table (24-bit place, new value), after which it is
 * refused or harmless.
 */
#include "policy/eval/rule_table_model.h"

#define RULES_MAX 1500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint32_t results[RULES_MAX], wanted[RULES_MAX];

static void match(struct chance *chance, const struct model *model,
		  const struct rg_rule_table *table, bool is_whole)
{
	int64_t values[MODEL_COLUMNS_MAX + 3];

	for (uint32_t i = 0; i < 3; i++) {
		uint32_t count;

		model_request(chance, model, values, 1);
		count = rg_rule_table_match(table, values, results, RULES_MAX);
		assert(count <= table->row_count);
		assert(!is_whole || count == model_match(&model->rules, values, 1, wanted));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct chance chance = {1};
	struct rg_rule_table *table;
	struct model model;

	if (bytes < 8)
		return 0;
	chance.state += (uint64_t)data[0] << 8 | data[1];
	model_new(&chance, &model, data[2] % MODEL_COLUMNS_MAX + 1,
		  ((uint32_t)data[3] << 8 | data[4]) % RULES_MAX,
		  data[5] % MODEL_PREDICATES_MAX + 1);
	assert(!rg_rule_table_build(&model.rules, &table, NULL));
	match(&chance, &model, table, true);
	for (data += 8, bytes -= 8; bytes >= 4; data += 4, bytes -= 4) {
		size_t at = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;

		if (at < table->bytes)
			((uint8_t *)table)[at] = data[3];
	}
	if (!rg_rule_table_verify(table, (uint64_t)table->bytes) &&
	    table->input_count == model.rules.input_count)
		match(&chance, &model, table, false);
	free(table);
	model_free(&model);
	return 0;
}

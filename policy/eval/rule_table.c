/* SPDX-License-Identifier: Apache-2.0 */
/* Which way of matching is this machine's. The ways: rule_table_match.c. */
#include "policy/eval/rule_table.h"

rg_rule_table_matcher *rg_rule_table_matcher_of(enum rg_eval_vectors vectors)
{
	static rg_rule_table_matcher *const matchers[RG_EVAL_VECTORS] = {
		[RG_EVAL_PLAIN] = rg_rule_table_match_plain,
#ifdef __x86_64__
		[RG_EVAL_AVX2] = rg_rule_table_match_avx2,
		[RG_EVAL_AVX512] = rg_rule_table_match_avx512,
#endif
	};

	return matchers[vectors];
}

uint32_t rg_rule_table_match(const struct rg_rule_table *table, const int64_t *values,
			     uint32_t *results, uint32_t capacity)
{
	uint32_t count = 0;

	rg_rule_table_matcher_of(rg_eval_widest_vectors(RG_EVAL_AVX512))(table, values, 1, 1,
									 results, capacity, &count);
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to a rule table (image/rule_table.h). The description is neutral: integers and
 * intervals, no Rego.
 *
 * Thread-safety: a build keeps nothing outside its arguments.
 */
#ifndef RG_POLICY_COMPILE_RULE_TABLE_BUILD_H
#define RG_POLICY_COMPILE_RULE_TABLE_BUILD_H

#include <stdbool.h>

#include "base/error.h"
#include "policy/image/rule_table.h"

/* Both ends belong to it. RG_RULE_LOWEST <= low <= high. */
struct rg_rule_interval {
	int64_t low, high;
};

struct rg_rule_predicate {
	uint32_t column;
	bool holds_absent;
	uint32_t interval_count; /* ascending, disjoint; 0: no value holds */
	const struct rg_rule_interval *intervals;
};

/* A conjunction; several predicates on one column must all hold. Without predicates: always. */
struct rg_rule {
	uint32_t result;
	uint32_t predicate_count;
	const struct rg_rule_predicate *predicates;
};

struct rg_rules {
	uint32_t column_count;
	const uint32_t *inputs; /* of each column */
	uint32_t input_count, result_count;
	uint32_t rule_count;
	const struct rg_rule *rules;
};

/*
 * Build. *table is 64-aligned, (*table)->bytes long, and the caller's to free().
 * Errors: RG_EINVAL (a column, input, result or interval out of range), RG_ELIMIT (more columns,
 * rows or bytes than a table can have), RG_ENOMEM.
 */
int rg_rule_table_build(const struct rg_rules *rules, struct rg_rule_table **table,
			struct rg_error *err);

#endif

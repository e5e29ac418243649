/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching requests against a rule table (image/rule_table.h), in bursts: rule_table_match.c.
 *
 * Values lie as a burst's slots do: input i of request r is values[i x stride + r]; a single
 * request is a burst of one with stride 1. Nothing is allocated; some 20 KiB of stack are used.
 *
 * Thread-safety: any number of threads may match against one table.
 */
#ifndef RG_POLICY_EVAL_RULE_TABLE_H
#define RG_POLICY_EVAL_RULE_TABLE_H

#include <stddef.h>

#include "policy/eval/vectors.h"
#include "policy/image/rule_table.h"

/* Requests that one burst may hold. */
#define RG_RULE_BURST_MAX 32

/*
 * The results of all rows that match each request asked for: bit r of `asked` is request r, and
 * stride is more than the highest one. `table` is verified; values has input_count x stride entries.
 *
 * Results of request r, in no order that means something, go to results[r x capacity] behind the
 * counts[r] that are there already, which then counts them too: also those beyond `capacity`,
 * which are not written. One result may come several times.
 */
typedef void rg_rule_table_matcher(const struct rg_rule_table *table, const int64_t *values,
				   size_t stride, uint32_t asked, uint32_t *results,
				   uint32_t capacity, uint32_t *counts);
rg_rule_table_matcher rg_rule_table_match_plain, rg_rule_table_match_avx2,
	rg_rule_table_match_avx512;

/* The one for vectors that the machine has. */
rg_rule_table_matcher *rg_rule_table_matcher_of(enum rg_eval_vectors vectors);

/* One request, with the widest vectors. Returns how many rows match, which may be more than
 * capacity. */
uint32_t rg_rule_table_match(const struct rg_rule_table *table, const int64_t *values,
			     uint32_t *results, uint32_t capacity);

#endif

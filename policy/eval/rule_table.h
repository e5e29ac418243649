/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matching requests against a rule table (image/rule_table.h).
 *
 * Values lie as a burst's slots do: input i of request r is values[i x stride + r]; a single
 * request is a burst of one with stride 1. Nothing is allocated; a few kilobytes of stack are used.
 *
 * One source is compiled twice on x86: for the baseline and for AVX2, chosen by what the processor
 * says (rg_rule_table_uses_avx2()). Elsewhere the compiler's own vectors are used.
 *
 * Thread-safety: any number of threads may match against one table.
 */
#ifndef RG_POLICY_EVAL_RULE_TABLE_H
#define RG_POLICY_EVAL_RULE_TABLE_H

#include <stdbool.h>

#include "policy/image/rule_table.h"

/* Requests that one burst may hold. */
#define RG_RULE_BURST_MAX 32

/*
 * The results of all rows that match a request, in the table's order, at most `capacity` of them;
 * one result may come several times. `table` is verified; values has input_count entries. Returns
 * how many rows match, which may be more than capacity.
 */
uint32_t rg_rule_table_match(const struct rg_rule_table *table, const int64_t *values,
			     uint32_t *results, uint32_t capacity);

/*
 * The same for requests [0, count), count <= RG_RULE_BURST_MAX: those of request r at
 * results[r x capacity], their number in counts[r]. What a request needs of a table that caches may
 * not hold is asked for while the one before it is matched.
 */
void rg_rule_table_match_burst(const struct rg_rule_table *table, const int64_t *values,
			       size_t stride, uint32_t count, uint32_t *results, uint32_t capacity,
			       uint32_t *counts);

/* As rg_rule_table_match_burst(), compiled for the baseline: the twin that tests compare with. */
void rg_rule_table_match_portable(const struct rg_rule_table *table, const int64_t *values,
				  size_t stride, uint32_t count, uint32_t *results,
				  uint32_t capacity, uint32_t *counts);

bool rg_rule_table_uses_avx2(void);

#endif

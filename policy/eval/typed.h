/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the typed program of a template (image/typed.h). Private to eval/.
 *
 * Thread-safety: as the evaluator.
 */
#ifndef RG_POLICY_EVAL_TYPED_H
#define RG_POLICY_EVAL_TYPED_H

#include <stdbool.h>

#include "policy/eval/eval.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"

/* What a program computes with. Radii lie apart: most slots are integers. */
struct rg_typed_state {
	union {
		int64_t integer;
		double real;
	} slots[RG_TYPED_SLOTS_MAX];
	double radius[RG_TYPED_SLOTS_MAX];
	uint64_t sets[RG_TYPED_SETS_MAX][RG_TYPED_SET_WORDS];
	/* Of rule tables: inputs of the next one; results so far, all those of a set together. Those that
	 * no MATCH_INPUT has set are an earlier request's, and no column asks for them. */
	int64_t inputs[RG_RULE_COLUMNS_MAX];
	uint32_t matches[RG_TYPED_MATCHES_MAX];
	uint32_t match_count;
	struct rg_typed_matched {
		uint32_t first, count;
	} matched[RG_TYPED_SETS_MAX];
	uint32_t prepared; /* the program whose constants are in their slots, + 1; 0: none */
};

/* Requests of a burst: as many as mask words have bits. */
#define RG_TYPED_LANES 32

/* The same for a burst: a column of lanes for each slot, lanes for each text of a set. */
struct rg_typed_columns {
	union {
		int64_t integer[RG_TYPED_LANES];
		double real[RG_TYPED_LANES];
	} slots[RG_TYPED_SLOTS_MAX];
	double radius[RG_TYPED_SLOTS_MAX][RG_TYPED_LANES];
	uint32_t members[RG_TYPED_SETS_MAX][RG_TYPED_BITS_MAX];
	uint32_t waiting
		[RG_TYPED_CODE_MAX]; /* an instruction: lanes that jumped there; 0 between bursts */
	/* Of rule tables, as in struct rg_typed_state. */
	int64_t inputs[RG_RULE_COLUMNS_MAX][RG_TYPED_LANES];
	uint32_t matches[RG_TYPED_LANES][RG_TYPED_MATCHES_MAX];
	uint32_t match_count[RG_TYPED_LANES];
	struct rg_typed_matched matched[RG_TYPED_SETS_MAX][RG_TYPED_LANES];
	uint32_t prepared;	 /* the program whose constants are in their slots, + 1; 0: none */
	uint32_t prepared_lanes; /* for so many lanes */
} __attribute__((aligned(64)));

/* Decide the evaluator's request by program number `program`. False: it gave up, and *outcome
 * holds nothing of worth. */
bool rg_typed_decide(struct rg_eval *eval, uint32_t program, struct rg_outcome *outcome);

/* Decide up to RG_TYPED_LANES requests by a program. Returns a bit for each of which it gave up, and
 * whose outcome holds nothing of worth. typed_burst.c, compiled for each enum rg_eval_vectors. */
uint32_t rg_typed_burst_avx512(struct rg_eval *eval, uint32_t program,
			       const struct rg_decide_request *requests, uint32_t count);
uint32_t rg_typed_burst_avx2(struct rg_eval *eval, uint32_t program,
			     const struct rg_decide_request *requests, uint32_t count);
uint32_t rg_typed_burst_plain(struct rg_eval *eval, uint32_t program,
			      const struct rg_decide_request *requests, uint32_t count);
typedef uint32_t rg_typed_burst(struct rg_eval *eval, uint32_t program,
				const struct rg_decide_request *requests, uint32_t count);

/* Reason `id`, 0 for none, fired: count it, and list it if it is new and there is room. Those beyond the list
 * count each time. (decide.c) */
void rg_outcome_add_reason(struct rg_outcome *outcome, uint16_t id);

#endif

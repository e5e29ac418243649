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
#include "policy/image/typed.h"

/* What a program computes with. Radii lie apart: most slots are integers. */
struct rg_typed_state {
	union {
		int64_t integer;
		double real;
	} slots[RG_TYPED_SLOTS_MAX];
	double radius[RG_TYPED_SLOTS_MAX];
	uint64_t sets[RG_TYPED_SETS_MAX][RG_TYPED_SET_WORDS];
	uint32_t prepared; /* the program whose constants are in their slots, + 1; 0: none */
};

/* Decide the evaluator's request by program number `program`. False: it gave up, and *outcome
 * holds nothing of worth. */
bool rg_typed_decide(struct rg_eval *eval, uint32_t program, struct rg_outcome *outcome);

/* Reason `id` fired: count it, and list it if it is new and there is room. Those beyond the list
 * count each time. (decide.c) */
void rg_outcome_add_reason(struct rg_outcome *outcome, uint16_t id);

#endif

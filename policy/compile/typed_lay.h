/* SPDX-License-Identifier: Apache-2.0 */
/* A typed program between translation and image: typed_lay.c and its steps. Private to compile/. */
#ifndef RG_POLICY_COMPILE_TYPED_LAY_H
#define RG_POLICY_COMPILE_TYPED_LAY_H

#include "policy/compile/typed.h"

struct rg_typed_laying {
	struct rg_typed *t;
	struct rg_typed_program *program;
	struct rg_typed_instruction *code;
	uint32_t count;
	uint32_t constant_count; /* instructions in front that no request changes */
	bool *kept;		 /* an instruction; one more at the end */
	uint32_t *moved_to;	 /* an instruction: its number in the end */
};

static inline bool rg_typed_is_jump(const struct rg_typed_instruction *instruction)
{
	return rg_typed_shapes[instruction->op].target == 'J';
}

/* Is what a rule of the verdict comes to in a slot? */
static inline bool rg_typed_has_slot(const struct rg_typed_role *role)
{
	return role->kind == RG_TYPED_BOOLEAN || role->kind == RG_TYPED_NUMBER ||
	       role->kind == RG_TYPED_REAL_NUMBER;
}

/* The next instruction behind `at` that is kept; laying->count if none is. */
static inline uint32_t rg_typed_next_kept(const struct rg_typed_laying *laying, uint32_t at)
{
	do
		at++;
	while (at < laying->count && !laying->kept[at]);
	return at;
}

/* Bounds that guards name become ranks (typed_orders.c). */
void rg_typed_settle_orders(struct rg_typed_laying *laying);
/* Presence is asked of what is asked next. */
void rg_typed_ask_presence(struct rg_typed_laying *laying);
/* What many bodies add to a set comes out of a rule table. False when memory is out. */
bool rg_typed_make_tables(struct rg_typed_laying *laying);
/* Slots that only copy another one are that one. False when memory is out. */
bool rg_typed_join_copies(struct rg_typed_laying *laying);
/* What is computed to be moved is computed where it goes; what the front computes for few goes to
 * where they ask for it. False when memory is out. */
bool rg_typed_tidy(struct rg_typed_laying *laying);
/* Drop guards that cannot fail, or that the next one stands for, and what no way leads to. False
 * when memory is out. */
bool rg_typed_drop_known(struct rg_typed_laying *laying);

/* Give slots their places, and instructions their flags. False when there are more than an image
 * may have, or memory is out. */
bool rg_typed_place_slots(struct rg_typed_laying *laying);

#endif

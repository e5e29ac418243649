/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a field there? That may be asked of whatever was made of it and is undefined with it: of its
 * rank among bounds, of the hour. Where a rule asks for such a thing next, presence is asked of it
 * too: what a row of a rule table says of the field is then one column and not two.
 */
#include <string.h>

#include "policy/compile/typed_lay.h"

#define REACH 16 /* instructions behind a test */

struct presence {
	const struct rg_typed_laying *laying;
	/* a slot: the instruction of the front that writes it, or NULL */
	const struct rg_typed_instruction *maker[RG_TYPED_SLOTS_MADE_MAX];
};

static bool is_text(const struct rg_typed_instruction *maker)
{
	return maker->op == RG_TYPED_OP_FIELD_TEXT || maker->op == RG_TYPED_OP_FIELD_RANK ||
	       maker->op == RG_TYPED_OP_FIELD_ADDRESS;
}

/* Is the column read by a row that it has whenever there is one, as that of the days' names is? */
static bool is_total_column(const struct presence *presence,
			    const struct rg_typed_instruction *column)
{
	const struct rg_unit *unit = presence->laying->t->unit;
	const struct rg_typed_instruction *row = presence->maker[column->a], *rest;
	const struct rg_typed_table *table =
		RG_VECTOR_AT(unit->typed_tables, struct rg_typed_table, column->table);

	if (!row || row->op != RG_TYPED_OP_QUOTIENT)
		return false;
	rest = presence->maker[row->a];
	if (!rest || rest->op != RG_TYPED_OP_MODULO ||
	    (rest->number - 1) / row->number >= table->count)
		return false;
	for (uint32_t i = 0; i < table->count; i++) {
		if (*RG_VECTOR_AT(unit->typed_cells, int64_t, table->first + i) == RG_TYPED_ABSENT)
			return false;
	}
	return true;
}

/* Is `slot` undefined just where `other` is? */
static bool is_absent_with(const struct presence *presence, uint16_t slot, uint16_t other)
{
	const struct rg_typed_instruction *maker = presence->maker[slot],
					  *of = presence->maker[other];

	if (maker && of && is_text(maker) && is_text(of))
		return maker->a == of->a;
	while (maker && slot != other) {
		switch (maker->op) {
		case RG_TYPED_OP_MODULO:
		case RG_TYPED_OP_REMAINDER_NUMBER:
		case RG_TYPED_OP_QUOTIENT:
		case RG_TYPED_OP_LOCAL_TIME: break;
		case RG_TYPED_OP_COLUMN:
			if (is_total_column(presence, maker))
				break;
			return false;
		default: return false;
		}
		slot = maker->a;
		maker = presence->maker[slot];
	}
	return slot == other;
}

/* What is asked behind instruction `at` of that which is undefined with the slot; the slot: nothing
 * else. */
static uint16_t asked_behind(const struct presence *presence, uint16_t slot, uint32_t at)
{
	const struct rg_typed_laying *laying = presence->laying;

	for (uint32_t n = 0; n < REACH; n++) {
		const struct rg_typed_instruction *next;

		at = rg_typed_next_kept(laying, at);
		if (at >= laying->count)
			break;
		next = &laying->code[at];
		if (!rg_typed_is_jump(next) || rg_typed_shapes[next->op].a != 'S' ||
		    (next->a == slot && next->op == RG_TYPED_OP_IF_DEFINED))
			continue;
		if (next->a == slot || is_absent_with(presence, next->a, slot))
			return next->a;
	}
	return slot;
}

void rg_typed_ask_presence(struct rg_typed_laying *laying)
{
	struct presence presence = {.laying = laying};
	uint32_t front = laying->t->front.count;

	for (uint32_t i = laying->constant_count; i < front; i++)
		presence.maker[laying->code[i].dst] = &laying->code[i];
	for (uint32_t i = front; i < laying->count; i++) {
		struct rg_typed_instruction *guard = &laying->code[i];

		if (laying->kept[i] &&
		    (guard->op == RG_TYPED_OP_IF_DEFINED ||
		     guard->op == RG_TYPED_OP_IF_UNDEFINED) &&
		    presence.maker[guard->a])
			guard->a = asked_behind(&presence, guard->a, i);
	}
}

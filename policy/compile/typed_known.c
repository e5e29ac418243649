/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guards that cannot fail, and guards that the next one stands for.
 *
 * One way from front to back: all jumps go forward, so when an instruction is come to, all ways to
 * it have been seen. What is known there is what all of them know: for each slot whether it is
 * defined, and whether it is not negative.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed_lay.h"

#define WORDS (RG_TYPED_SLOTS_MADE_MAX / 64)

struct known {
	uint64_t defined[WORDS], whole[WORDS]; /* a bit a slot */
};

struct knowing {
	struct rg_typed_laying *laying;
	struct known *at; /* an instruction: before it */
	bool *seen;	  /* an instruction: some way to it */
	const struct rg_typed_instruction *
		*maker; /* a slot: the only instruction that writes it, or NULL */
};

static void learn(uint64_t *set, uint16_t slot, bool is)
{
	if (is)
		set[slot / 64] |= 1ull << slot % 64;
	else
		set[slot / 64] &= ~(1ull << slot % 64);
}

static bool knows(const uint64_t *set, uint16_t slot)
{
	return set[slot / 64] >> slot % 64 & 1;
}

/* Does the instruction make something undefined of an undefined a? */
static bool passes_undefined(uint32_t op)
{
	return op == RG_TYPED_OP_FIND || op == RG_TYPED_OP_COLUMN || op == RG_TYPED_OP_SCALE ||
	       op == RG_TYPED_OP_REAL || op == RG_TYPED_OP_ABSOLUTE || op == RG_TYPED_OP_BIT ||
	       op == RG_TYPED_OP_MODULO || op == RG_TYPED_OP_REMAINDER_NUMBER ||
	       op == RG_TYPED_OP_QUOTIENT || op == RG_TYPED_OP_LOCAL_TIME ||
	       op == RG_TYPED_OP_REAL_QUOTIENT;
}

/* The slot is defined, and so is what it was made of. */
static void learn_defined(const struct knowing *knowing, struct known *known, uint16_t slot)
{
	const struct rg_typed_instruction *maker = knowing->maker[slot];

	learn(known->defined, slot, true);
	while (maker && passes_undefined(maker->op)) {
		learn(known->defined, maker->a, true);
		maker = knowing->maker[maker->a];
	}
}

/* Does the guard fail where a is undefined? The undefined is less than all integers. */
static bool fails_undefined(const struct rg_typed_instruction *guard)
{
	switch (guard->op) {
	case RG_TYPED_OP_IF_DEFINED:
	case RG_TYPED_OP_IF_REAL_DEFINED:
	case RG_TYPED_OP_IF_IN_MASK:
	case RG_TYPED_OP_IF_BIT:
	case RG_TYPED_OP_IF_NO_BIT:
	case RG_TYPED_OP_IF_FOUND:
	case RG_TYPED_OP_IF_GT: return true;
	case RG_TYPED_OP_IF_EQ_NUMBER:
	case RG_TYPED_OP_IF_GE_NUMBER: return guard->number > RG_TYPED_ABSENT;
	case RG_TYPED_OP_IF_GT_NUMBER: return true;
	default: return false;
	}
}

/* Has each row something in the column? A row that is defined is one of them. */
static bool is_full_column(const struct rg_unit *unit, uint32_t number)
{
	const struct rg_typed_table *table =
		RG_VECTOR_AT(unit->typed_tables, struct rg_typed_table, number);

	for (uint32_t i = 0; i < table->count; i++) {
		if (*RG_VECTOR_AT(unit->typed_cells, int64_t, table->first + i) == RG_TYPED_ABSENT)
			return false;
	}
	return true;
}

/* What is known behind an instruction that wrote its slot. */
static void learn_written(const struct knowing *knowing, struct known *known,
			  const struct rg_typed_instruction *instruction)
{
	bool defined, whole = false;

	switch (instruction->op) {
	case RG_TYPED_OP_CONSTANT:
		defined = instruction->number != RG_TYPED_ABSENT;
		whole = instruction->number >= 0;
		break;
	case RG_TYPED_OP_MOVE:
	case RG_TYPED_OP_REAL_MOVE:
		defined = knows(known->defined, instruction->a);
		whole = knows(known->whole, instruction->a);
		break;
	case RG_TYPED_OP_MODULO: whole = defined = knows(known->defined, instruction->a); break;
	case RG_TYPED_OP_QUOTIENT:
		defined = knows(known->defined, instruction->a);
		whole = knows(known->whole, instruction->a);
		break;
	case RG_TYPED_OP_REAL:
	case RG_TYPED_OP_REAL_QUOTIENT:
	case RG_TYPED_OP_REMAINDER_NUMBER:
	case RG_TYPED_OP_LOCAL_TIME:
	case RG_TYPED_OP_SCALE:
	case RG_TYPED_OP_BIT:
	case RG_TYPED_OP_ABSOLUTE: defined = knows(known->defined, instruction->a); break;
	case RG_TYPED_OP_FIELD_U8:
	case RG_TYPED_OP_FIELD_U16:
	case RG_TYPED_OP_FIELD_U32:
		whole = defined = !instruction->b && !instruction->target;
		break;
	case RG_TYPED_OP_FIELD_I8:
	case RG_TYPED_OP_FIELD_I16:
	case RG_TYPED_OP_FIELD_I32:
	case RG_TYPED_OP_FIELD_64: defined = !instruction->b && !instruction->target; break;
	case RG_TYPED_OP_COLUMN:
		defined = knows(known->defined, instruction->a) &&
			  is_full_column(knowing->laying->t->unit, instruction->table);
		break;
	case RG_TYPED_OP_FIELD_NUMBER:
	case RG_TYPED_OP_FIELD_NAMED_U8:
	case RG_TYPED_OP_FIELD_NAMED:
	case RG_TYPED_OP_FIELD_TEXT:
	case RG_TYPED_OP_FIELD_RANK:
	case RG_TYPED_OP_FIELD_ADDRESS:
	case RG_TYPED_OP_FIND:
	case RG_TYPED_OP_COLUMN_TYPED:
	case RG_TYPED_OP_EVALUATE:
	case RG_TYPED_OP_MATCH_FIRST:
	case RG_TYPED_OP_MAXIMUM:
	case RG_TYPED_OP_MINIMUM:
	case RG_TYPED_OP_AGREE:
	case RG_TYPED_OP_MATCH_ONE:
	case RG_TYPED_OP_REAL_UNDEFINED: defined = false; break;
	default: defined = true;
	}
	learn(known->defined, instruction->dst, defined);
	learn(known->whole, instruction->dst, whole);
}

/* Another way to instruction `to`. */
static void arrive(struct knowing *knowing, uint32_t to, const struct known *known)
{
	struct known *there = &knowing->at[to];

	if (!knowing->seen[to]) {
		knowing->seen[to] = true;
		*there = *known;
		return;
	}
	for (int i = 0; i < WORDS; i++) {
		there->defined[i] &= known->defined[i];
		there->whole[i] &= known->whole[i];
	}
}

/* Can the instruction be left out, for what is known before it? */
static bool is_idle(const struct rg_typed_instruction *instruction, const struct known *known)
{
	if (instruction->op == RG_TYPED_OP_IF_DEFINED ||
	    instruction->op == RG_TYPED_OP_IF_REAL_DEFINED)
		return knows(known->defined, instruction->a);
	return instruction->op == RG_TYPED_OP_NON_NEGATIVE && knows(known->whole, instruction->a);
}

static void step(struct knowing *knowing, uint32_t at)
{
	struct rg_typed_instruction *instruction = &knowing->laying->code[at];
	struct known known = knowing->at[at];

	if (knowing->laying->kept[at] && is_idle(instruction, &known))
		knowing->laying->kept[at] = false;
	if (!knowing->laying->kept[at]) {
		arrive(knowing, at + 1, &known);
		return;
	}
	if (rg_typed_is_jump(instruction)) {
		struct known elsewhere = known;

		if (instruction->op == RG_TYPED_OP_IF_UNDEFINED ||
		    instruction->op == RG_TYPED_OP_IF_REAL_UNDEFINED)
			learn_defined(knowing, &elsewhere, instruction->a);
		arrive(knowing, instruction->target, &elsewhere);
	}
	if (fails_undefined(instruction))
		learn_defined(knowing, &known, instruction->a);
	if (instruction->op == RG_TYPED_OP_NON_NEGATIVE)
		learn(known.whole, instruction->a, true);
	if (rg_typed_shapes[instruction->op].dst == 'S')
		learn_written(knowing, &known, instruction);
	if (instruction->op != RG_TYPED_OP_JUMP && instruction->op != RG_TYPED_OP_END &&
	    instruction->op != RG_TYPED_OP_GIVE_UP)
		arrive(knowing, at + 1, &known);
}

static void find_makers(struct knowing *knowing)
{
	bool written[RG_TYPED_SLOTS_MADE_MAX] = {false};

	for (uint32_t i = 0; i < knowing->laying->count; i++) {
		const struct rg_typed_instruction *instruction = &knowing->laying->code[i];

		if (!knowing->laying->kept[i] || rg_typed_shapes[instruction->op].dst != 'S')
			continue;
		knowing->maker[instruction->dst] = written[instruction->dst] ? NULL : instruction;
		written[instruction->dst] = true;
	}
}

/* Writes a slot, whatever its operands hold, and does nothing else but perhaps give up where the
 * rules would have to be asked anyway. */
static bool is_total(uint32_t op)
{
	return passes_undefined(op) || op == RG_TYPED_OP_NON_NEGATIVE || op == RG_TYPED_OP_CONSTANT;
}

/* Is a slot undefined wherever `from` is? */
static bool follows(const struct knowing *knowing, uint16_t slot, uint16_t from)
{
	const struct rg_typed_instruction *maker = knowing->maker[slot];

	while (slot != from && maker && passes_undefined(maker->op)) {
		slot = maker->a;
		maker = knowing->maker[slot];
	}
	return slot == from;
}

/* Does the guard, at a place where `known` is, fail wherever slot `from` is undefined? */
static bool fails_without(const struct knowing *knowing, const struct rg_typed_instruction *guard,
			  const struct known *known, uint16_t from)
{
	if (fails_undefined(guard) && follows(knowing, guard->a, from))
		return true;
	switch (guard->op) {
	case RG_TYPED_OP_IF_LT: return follows(knowing, guard->b, from);
	case RG_TYPED_OP_IF_LE:
		return follows(knowing, guard->b, from) && knows(known->defined, guard->a);
	case RG_TYPED_OP_IF_GE:
		return follows(knowing, guard->a, from) && knows(known->defined, guard->b);
	case RG_TYPED_OP_IF_EQ:
		return (follows(knowing, guard->a, from) && knows(known->defined, guard->b)) ||
		       (follows(knowing, guard->b, from) && knows(known->defined, guard->a));
	default: return false;
	}
}

/* Does the next guard, for more of the same slot, fail wherever this one does? */
static bool asks_more(const struct rg_typed_instruction *guard,
		      const struct rg_typed_instruction *next)
{
	return guard->op == RG_TYPED_OP_IF_GE_NUMBER && next->op == RG_TYPED_OP_IF_GE_NUMBER &&
	       next->a == guard->a && next->number >= guard->number;
}

/* IF_DEFINED, or IF_GE_NUMBER, whose next guard fails to the same place where it would. */
static void drop_implied(struct knowing *knowing)
{
	struct rg_typed_laying *laying = knowing->laying;

	for (uint32_t i = laying->count; i-- > 0;) {
		const struct rg_typed_instruction *guard = &laying->code[i], *next;
		uint32_t j = i + 1;

		if (!laying->kept[i] || (guard->op != RG_TYPED_OP_IF_DEFINED &&
					 guard->op != RG_TYPED_OP_IF_REAL_DEFINED &&
					 guard->op != RG_TYPED_OP_IF_GE_NUMBER))
			continue;
		while (j < laying->count && (!laying->kept[j] || is_total(laying->code[j].op)))
			j++;
		next = &laying->code[j];
		if (j >= laying->count || next->target != guard->target ||
		    (guard->op == RG_TYPED_OP_IF_GE_NUMBER
			     ? !asks_more(guard, next)
			     : !fails_without(knowing, next, &knowing->at[j], guard->a)))
			continue;
		laying->kept[i] = false;
		/* What was known before `next` was so for this guard too. */
		memset(knowing->at[j].defined, 0, sizeof(knowing->at[j].defined));
	}
}

bool rg_typed_drop_known(struct rg_typed_laying *laying)
{
	struct knowing knowing = {.laying = laying};
	bool done = false;

	knowing.at = calloc(laying->count + 1, sizeof(*knowing.at));
	knowing.seen = calloc(laying->count + 1, sizeof(*knowing.seen));
	knowing.maker = calloc(RG_TYPED_SLOTS_MADE_MAX, sizeof(*knowing.maker));
	if (knowing.at && knowing.seen && knowing.maker) {
		find_makers(&knowing);
		knowing.seen[0] = true;
		for (uint32_t i = 0; i < laying->count; i++) {
			if (knowing.seen[i])
				step(&knowing, i);
			else
				laying->kept[i] = false;
		}
		drop_implied(&knowing);
		done = true;
	} else {
		rg_unit_no_memory(laying->t->unit);
	}
	free(knowing.at);
	free(knowing.seen);
	free(knowing.maker);
	return done;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots for a program that is laid: as few as will do, because a burst has a column for each.
 *
 * All jumps go forward, so a slot is of use from its first writer to its last reader in the order of
 * the instructions, for a request wherever it is: what it will still read lies ahead of it. Slots
 * that are never of use at the same instruction share a place.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed_lay.h"

struct use {
	uint32_t first, last; /* instructions; first > last: none */
	uint16_t place;
};

struct placing {
	struct rg_typed_laying *laying;
	struct use of[RG_TYPED_SLOTS_MADE_MAX];
	uint32_t busy_until[RG_TYPED_SLOTS_MADE_MAX]; /* a place: the last instruction of its use */
	uint32_t place_count;
};

static void use(struct placing *placing, uint16_t slot, uint32_t at)
{
	struct use *of = &placing->of[slot];

	if (at < of->first)
		of->first = at;
	if (at > of->last)
		of->last = at;
}

static void find_uses(struct placing *placing)
{
	const struct rg_typed_laying *laying = placing->laying;

	for (uint32_t slot = 0; slot < RG_TYPED_SLOTS_MADE_MAX; slot++)
		placing->of[slot] = (struct use){.first = UINT32_MAX};
	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[instruction->op];

		if (shape->dst == 'S')
			use(placing, instruction->dst, i);
		if (shape->dst == 'S' && i < laying->program->constant_count)
			use(placing, instruction->dst,
			    laying->count); /* kept for the next request */
		if (shape->a == 'S')
			use(placing, instruction->a, i);
		if (shape->b == 'S')
			use(placing, instruction->b, i);
	}
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		const struct rg_typed_role *is = &laying->program->roles[role];

		if (rg_typed_has_slot(is))
			use(placing, is->at, laying->count);
	}
}

/* A place that nobody uses at `at` any more. */
static uint16_t free_place(struct placing *placing, uint32_t at)
{
	for (uint32_t place = 0; place < placing->place_count; place++) {
		if (placing->busy_until[place] < at)
			return (uint16_t)place;
	}
	return (uint16_t)placing->place_count++;
}

static void give_places(struct placing *placing)
{
	const struct rg_typed_laying *laying = placing->laying;

	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];
		struct use *of = &placing->of[instruction->dst];

		if (rg_typed_shapes[instruction->op].dst != 'S' || of->first != i)
			continue;
		of->place = free_place(placing, i);
		placing->busy_until[of->place] = of->last;
	}
}

/* All writers of a slot but the first find something in it. */
static void mark_merges(const struct placing *placing)
{
	const struct rg_typed_laying *laying = placing->laying;

	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *instruction = &laying->code[i];

		if (rg_typed_shapes[instruction->op].dst == 'S' &&
		    placing->of[instruction->dst].first < i)
			instruction->flags |= RG_TYPED_MERGE;
		if (rg_typed_shapes[instruction->op].target == 'J')
			laying->code[instruction->target].flags |= RG_TYPED_TARGET;
	}
}

static void rename_slots(const struct placing *placing)
{
	const struct rg_typed_laying *laying = placing->laying;

	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *instruction = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[instruction->op];

		if (shape->dst == 'S')
			instruction->dst = placing->of[instruction->dst].place;
		if (shape->a == 'S')
			instruction->a = placing->of[instruction->a].place;
		if (shape->b == 'S')
			instruction->b = placing->of[instruction->b].place;
	}
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		struct rg_typed_role *is = &laying->program->roles[role];

		if (rg_typed_has_slot(is))
			is->at = placing->of[is->at].place;
	}
}

bool rg_typed_place_slots(struct rg_typed_laying *laying)
{
	struct placing *placing = calloc(1, sizeof(*placing));

	if (!placing) {
		rg_unit_no_memory(laying->t->unit);
		return false;
	}
	placing->laying = laying;
	find_uses(placing);
	give_places(placing);
	mark_merges(placing);
	rename_slots(placing);
	laying->program->slot_count = placing->place_count;
	free(placing);
	return laying->program->slot_count <= RG_TYPED_SLOTS_MAX;
}

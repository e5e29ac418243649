/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways through guards, beside a plain model: random guards one after the other on the slots of a small
 * front; each way says for which values control comes there, and every value is tried.
 *
 *	typed_ways_test [SEED]
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/compile/typed_ways.h"
#include "policy/testdata/requests.h"

#define ROUNDS	   4000
#define GUARDS_MAX 6
#define PLACES	   2 /* of the slot that is another one multiplied */

/* Slots of the front: two fields, a constant, the first field by 10^PLACES, what a column has for the
 * second one; and one that the body writes. */
enum { FIELD_A, FIELD_B, SEVEN, SCALED, COLUMN, IN_BODY, SLOTS };

static const int64_t cells[] = {RG_TYPED_ABSENT, 4, RG_TYPED_ABSENT, 9, 9};
#define CELLS (sizeof(cells) / sizeof(cells[0]))

static const int64_t values[] = {RG_TYPED_ABSENT,
				 RG_RULE_LOWEST,
				 -701,
				 -700,
				 -8,
				 -7,
				 -1,
				 0,
				 1,
				 2,
				 3,
				 4,
				 5,
				 6,
				 7,
				 8,
				 63,
				 64,
				 699,
				 700,
				 701,
				 INT64_MAX - 1,
				 INT64_MAX};
#define VALUES (sizeof(values) / sizeof(values[0]))

struct bench {
	struct rg_compile_options options;
	struct rg_error err;
	struct rg_unit unit;
	struct rg_typed typed;
	struct rg_typed_laying laying;
	struct rg_ways_pass pass;
	struct rg_typed_instruction code[SLOTS];
	bool kept[SLOTS + 1];
	struct chance chance;
};

static void prepare(struct bench *bench)
{
	bench->unit.options = &bench->options;
	bench->unit.err = &bench->err;
	bench->typed.unit = &bench->unit;
	bench->code[0] = (struct rg_typed_instruction){
		.op = RG_TYPED_OP_CONSTANT, .dst = SEVEN, .number = 7};
	bench->code[1] = (struct rg_typed_instruction){.op = RG_TYPED_OP_FIELD_64, .dst = FIELD_A};
	bench->code[2] = (struct rg_typed_instruction){.op = RG_TYPED_OP_FIELD_64, .dst = FIELD_B};
	bench->code[3] = (struct rg_typed_instruction){
		.op = RG_TYPED_OP_SCALE, .dst = SCALED, .a = FIELD_A, .number = PLACES};
	bench->code[4] =
		(struct rg_typed_instruction){.op = RG_TYPED_OP_COLUMN,
					      .dst = COLUMN,
					      .a = FIELD_B,
					      .table = rg_typed_column(&bench->unit, cells, CELLS)};
	bench->code[5] = (struct rg_typed_instruction){.op = RG_TYPED_OP_MOVE, .dst = IN_BODY};
	bench->typed.front.count = 5;
	for (int slot = 0; slot < SLOTS; slot++) {
		bench->typed.in_front[slot] = slot != IN_BODY;
		bench->kept[slot] = true;
	}
	bench->laying = (struct rg_typed_laying){.t = &bench->typed,
						 .code = bench->code,
						 .count = SLOTS,
						 .constant_count = 1,
						 .kept = bench->kept};
	rg_ways_begin(&bench->pass, &bench->laying);
	bench->pass.start = SLOTS;
}

static int64_t random_value(struct bench *bench)
{
	return values[chance_below(&bench->chance, VALUES)];
}

static struct rg_typed_instruction random_guard(struct bench *bench)
{
	static const uint8_t ops[] = {
		RG_TYPED_OP_IF_DEFINED,	    RG_TYPED_OP_IF_UNDEFINED, RG_TYPED_OP_IF_EQ_NUMBER,
		RG_TYPED_OP_IF_NE_NUMBER,   RG_TYPED_OP_IF_LT_NUMBER, RG_TYPED_OP_IF_LE_NUMBER,
		RG_TYPED_OP_IF_GT_NUMBER,   RG_TYPED_OP_IF_GE_NUMBER, RG_TYPED_OP_IF_IN_MASK,
		RG_TYPED_OP_IF_NOT_IN_MASK, RG_TYPED_OP_IF_EQ,	      RG_TYPED_OP_IF_LT,
		RG_TYPED_OP_IF_GE};
	static const uint16_t slots[] = {FIELD_A, FIELD_A, FIELD_B, SCALED, COLUMN, IN_BODY};
	struct rg_typed_instruction guard = {
		.op = ops[chance_below(&bench->chance, sizeof(ops))],
		.a = slots[chance_below(&bench->chance, sizeof(slots) / sizeof(slots[0]))],
		.b = SEVEN,
		.number = random_value(bench)};

	if (guard.number < RG_RULE_LOWEST ||
	    (guard.a == SCALED && (guard.number == RG_RULE_LOWEST || guard.number == INT64_MAX)))
		guard.number = 0;
	if (guard.op == RG_TYPED_OP_IF_IN_MASK || guard.op == RG_TYPED_OP_IF_NOT_IN_MASK)
		guard.number = (int64_t)chance_next(&bench->chance);
	return guard;
}

/* What the slots hold for these values of those that are not made of others. */
static void fill(int64_t a, int64_t b, int64_t body, __int128 *slots)
{
	slots[FIELD_A] = a;
	slots[FIELD_B] = b;
	slots[IN_BODY] = body;
	slots[SEVEN] = 7;
	slots[SCALED] = a == RG_TYPED_ABSENT ? RG_TYPED_ABSENT : (__int128)a * 100;
	slots[COLUMN] = b >= 0 && (uint64_t)b < CELLS ? cells[b] : RG_TYPED_ABSENT;
}

/* The guard's meaning, as typed.h has it, but that nothing overflows. */
static bool holds(const struct rg_typed_instruction *guard, const __int128 *slots)
{
	__int128 a = slots[guard->a], number = guard->number;
	bool is_absent = a == RG_TYPED_ABSENT, in_mask;

	if (guard->op >= RG_TYPED_OP_IF_EQ && guard->op <= RG_TYPED_OP_IF_GE)
		number = slots[guard->b];
	in_mask = a >= 0 && a < 64 && ((uint64_t)guard->number >> (int)a & 1);
	switch (guard->op) {
	case RG_TYPED_OP_IF_DEFINED: return !is_absent;
	case RG_TYPED_OP_IF_UNDEFINED: return is_absent;
	case RG_TYPED_OP_IF_IN_MASK: return in_mask;
	case RG_TYPED_OP_IF_NOT_IN_MASK: return !in_mask;
	case RG_TYPED_OP_IF_EQ:
	case RG_TYPED_OP_IF_EQ_NUMBER: return a == number;
	case RG_TYPED_OP_IF_NE_NUMBER: return a != number;
	case RG_TYPED_OP_IF_LT:
	case RG_TYPED_OP_IF_LT_NUMBER: return is_absent || a < number;
	case RG_TYPED_OP_IF_LE_NUMBER: return is_absent || a <= number;
	case RG_TYPED_OP_IF_GT_NUMBER: return !is_absent && a > number;
	default: return !is_absent && a >= number;
	}
}

static bool is_in(const struct rg_ways_pass *pass, struct rg_some some, __int128 value)
{
	if (value == RG_TYPED_ABSENT)
		return some.absent;
	for (uint32_t i = 0; i < some.count; i++) {
		const struct rg_rule_interval *interval =
			RG_VECTOR_AT(pass->intervals, struct rg_rule_interval, some.first + i);

		if (value >= interval->low && value <= interval->high)
			return true;
	}
	return false;
}

/* How many of the ways take these values. */
static uint32_t count_taking(const struct rg_ways_pass *pass, const struct rg_ways *ways,
			     const __int128 *slots)
{
	uint32_t count = 0;

	for (uint32_t n = 0; n < ways->count; n++) {
		const struct rg_way *way = &ways->ways[n];
		bool takes = true;

		for (uint32_t i = 0; i < way->count; i++)
			takes = takes && is_in(pass, way->known[i], slots[way->slots[i]]);
		count += takes;
	}
	return count;
}

/* Guards that all fail to the same place: at the end and there, each value has one way or none. */
static void round_of(struct bench *bench)
{
	struct rg_typed_instruction guards[GUARDS_MAX];
	uint32_t count = 1 + chance_below(&bench->chance, GUARDS_MAX), known = 0;
	struct rg_ways here = {.count = 1}, next, failed = {.count = 0};

	bench->pass.intervals.count = 0;
	for (; known < count; known++) {
		guards[known] = random_guard(bench);
		next.count = 0;
		for (uint32_t n = 0; n < here.count; n++) {
			bool parted = rg_ways_part(&bench->pass, &guards[known], &here.ways[n],
						   &next, &failed);

			assert(parted);
		}
		here = next;
	}
	for (uint32_t i = 0; i < 200; i++) {
		__int128 slots[SLOTS];
		bool all = true;

		fill(random_value(bench), random_value(bench), random_value(bench), slots);
		for (uint32_t n = 0; n < count; n++)
			all = all && holds(&guards[n], slots);
		assert(count_taking(&bench->pass, &here, slots) == all);
		assert(count_taking(&bench->pass, &failed, slots) == !all);
	}
}

/* What is written later is not to be asked for, nor what is no integer. */
static void test_refused(struct bench *bench)
{
	struct rg_typed_instruction guard = {.op = RG_TYPED_OP_IF_DEFINED, .a = IN_BODY};
	struct rg_ways next = {.count = 0}, elsewhere = {.count = 0};
	const struct rg_way way = {.count = 0};

	bench->pass.start = SLOTS - 1;
	assert(!rg_ways_part(&bench->pass, &guard, &way, &next, &elsewhere));
	bench->pass.start = SLOTS;
	assert(rg_ways_part(&bench->pass, &guard, &way, &next, &elsewhere));
	guard = (struct rg_typed_instruction){
		.op = RG_TYPED_OP_IF_REAL_LT, .a = FIELD_A, .b = FIELD_B};
	assert(!rg_ways_part(&bench->pass, &guard, &way, &next, &elsewhere));
	guard = (struct rg_typed_instruction){
		.op = RG_TYPED_OP_IF_LE_NUMBER, .a = SCALED, .number = INT64_MAX};
	assert(!rg_ways_part(&bench->pass, &guard, &way, &next, &elsewhere));
	guard = (struct rg_typed_instruction){/* b is no constant */
					      .op = RG_TYPED_OP_IF_LT,
					      .a = FIELD_A,
					      .b = FIELD_B};
	assert(!rg_ways_part(&bench->pass, &guard, &way, &next, &elsewhere));
}

int main(int argc, char **argv)
{
	static struct bench bench;
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261129;

	bench.chance.state = seed;
	prepare(&bench);
	test_refused(&bench);
	for (int i = 0; i < ROUNDS; i++)
		round_of(&bench);
	assert(!bench.unit.status);
	printf("%d runs of guards, seed %" PRIu64 "\n", ROUNDS, seed);
	rg_ways_end(&bench.pass);
	free(bench.unit.typed_tables.items);
	free(bench.unit.typed_cells.items);
	return 0;
}

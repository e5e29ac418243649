/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fewer instructions for the same: copies of slots, moves of what was just computed, and what the
 * front computes for few. See typed_lay.h.
 *
 * Rests on one property of typed programs: all jumps go forward. An instruction at p comes before
 * each use at u > p of its slot just if no jump from before p leads into (p, u].
 */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed_lay.h"

static bool writes_slot(const struct rg_typed_instruction *instruction)
{
	return rg_typed_shapes[instruction->op].dst == 'S';
}

static bool reads_slot(const struct rg_typed_instruction *instruction, uint16_t slot)
{
	const struct rg_typed_shape *shape = &rg_typed_shapes[instruction->op];

	return (shape->a == 'S' && instruction->a == slot) ||
	       (shape->b == 'S' && instruction->b == slot);
}

static bool role_reads(const struct rg_typed_laying *laying, uint16_t slot)
{
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		const struct rg_typed_role *is = &laying->program->roles[role];

		if (rg_typed_has_slot(is) && is->at == slot)
			return true;
	}
	return false;
}

/* How often each slot is written and read. */
struct uses {
	uint32_t writes[RG_TYPED_SLOTS_MADE_MAX], reads[RG_TYPED_SLOTS_MADE_MAX];
};

static void count_uses(const struct rg_typed_laying *laying, struct uses *uses)
{
	memset(uses, 0, sizeof(*uses));
	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[instruction->op];

		if (!laying->kept[i])
			continue;
		if (shape->dst == 'S')
			uses->writes[instruction->dst]++;
		if (shape->a == 'S')
			uses->reads[instruction->a]++;
		if (shape->b == 'S')
			uses->reads[instruction->b]++;
	}
	for (uint32_t slot = 0; slot < RG_TYPED_SLOTS_MADE_MAX; slot++)
		uses->reads[slot] += role_reads(laying, (uint16_t)slot);
}

static void mark_targets(const struct rg_typed_laying *laying, bool *is_target)
{
	memset(is_target, 0, (laying->count + 1) * sizeof(*is_target));
	for (uint32_t i = 0; i < laying->count; i++) {
		if (laying->kept[i] && rg_typed_is_jump(&laying->code[i]))
			is_target[laying->code[i].target] = true;
	}
}

/* Does a jump lead to a place in (from, to]? What is left out between two places leads on. */
static bool is_entered(const bool *is_target, uint32_t from, uint32_t to)
{
	for (uint32_t i = from + 1; i <= to; i++) {
		if (is_target[i])
			return true;
	}
	return false;
}

/* ---- copies ---- */

static void read_instead(struct rg_typed_laying *laying, uint16_t slot, uint16_t other)
{
	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *instruction = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[instruction->op];

		if (shape->a == 'S' && instruction->a == slot)
			instruction->a = other;
		if (shape->b == 'S' && instruction->b == slot)
			instruction->b = other;
	}
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		struct rg_typed_role *is = &laying->program->roles[role];

		if (rg_typed_has_slot(is) && is->at == slot)
			is->at = other;
	}
}

/*
 * A rule of one body that names something: its slot is undefined, and gets the other if that is
 * defined.
 *
 *	CONSTANT d undefined; IF_DEFINED s, over; MOVE d s; over:
 */
static bool is_copy(const struct rg_typed_laying *laying, const struct uses *uses, uint32_t at)
{
	const struct rg_typed_instruction *first = &laying->code[at], *guard, *move;
	uint32_t second = rg_typed_next_kept(laying, at),
		 third = rg_typed_next_kept(laying, second);
	bool is_real = first->op == RG_TYPED_OP_REAL_UNDEFINED;

	if (third >= laying->count ||
	    !(is_real || (first->op == RG_TYPED_OP_CONSTANT && first->number == RG_TYPED_ABSENT)))
		return false;
	guard = &laying->code[second];
	move = &laying->code[third];
	return guard->op == (is_real ? RG_TYPED_OP_IF_REAL_DEFINED : RG_TYPED_OP_IF_DEFINED) &&
	       move->op == (is_real ? RG_TYPED_OP_REAL_MOVE : RG_TYPED_OP_MOVE) &&
	       move->dst == first->dst && move->a == guard->a && guard->target > third &&
	       guard->target <= rg_typed_next_kept(laying, third) && uses->writes[move->dst] == 2 &&
	       uses->writes[move->a] == 1;
}

static void join_copies(struct rg_typed_laying *laying, const bool *is_target)
{
	struct uses uses;

	count_uses(laying, &uses);
	for (uint32_t i = 0; i < laying->count; i++) {
		uint32_t guard = rg_typed_next_kept(laying, i),
			 move = rg_typed_next_kept(laying, guard);

		if (!laying->kept[i] || !is_copy(laying, &uses, i) ||
		    is_entered(is_target, i, move))
			continue;
		read_instead(laying, laying->code[move].dst, laying->code[move].a);
		laying->kept[i] = laying->kept[guard] = laying->kept[move] = false;
	}
}

/* ---- moves ---- */

/* What is computed for a move alone is computed to where it moves. */
static void drop_moves(struct rg_typed_laying *laying, const bool *is_target)
{
	struct uses uses;

	count_uses(laying, &uses);
	for (uint32_t i = laying->constant_count; i < laying->count; i++) {
		struct rg_typed_instruction *maker = &laying->code[i];
		uint32_t at = rg_typed_next_kept(laying, i);
		const struct rg_typed_instruction *move = &laying->code[at];

		if (!laying->kept[i] || at >= laying->count || !writes_slot(maker) ||
		    (move->op != RG_TYPED_OP_MOVE && move->op != RG_TYPED_OP_REAL_MOVE) ||
		    move->a != maker->dst || uses.writes[maker->dst] != 1 ||
		    uses.reads[maker->dst] != 1 || is_entered(is_target, i, at))
			continue;
		maker->dst = move->dst;
		laying->kept[at] = false;
	}
}

/* ---- counts ---- */

/* How many members a set has, where only whether it has any is asked. */
static void ask_emptiness(struct rg_typed_laying *laying, const bool *is_target)
{
	struct uses uses;

	count_uses(laying, &uses);
	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *count = &laying->code[i];
		uint32_t at = rg_typed_next_kept(laying, i);
		struct rg_typed_instruction *guard = &laying->code[at];
		bool is_empty = guard->op == RG_TYPED_OP_IF_EQ_NUMBER;

		if (!laying->kept[i] || count->op != RG_TYPED_OP_SET_COUNT || at >= laying->count ||
		    guard->a != count->dst || guard->number != 0 ||
		    (!is_empty && guard->op != RG_TYPED_OP_IF_GT_NUMBER &&
		     guard->op != RG_TYPED_OP_IF_NE_NUMBER) ||
		    uses.reads[count->dst] != 1 || is_entered(is_target, i, at))
			continue;
		guard->op = is_empty ? RG_TYPED_OP_IF_EMPTY : RG_TYPED_OP_IF_NOT_EMPTY;
		guard->a = count->a;
		laying->kept[i] = false;
		if (i && laying->code[i - 1].op == RG_TYPED_OP_SET_DISTINCT && !is_target[i])
			laying->kept[i - 1] = false;
	}
}

/* ---- the front ---- */

/* The last place, no later than `first`, from which no use up to `last` can be come to around it. */
static uint32_t place_before(const struct rg_typed_laying *laying, uint32_t from, uint32_t first,
			     uint32_t last)
{
	uint32_t place = first;

	for (uint32_t i = first; i-- > from;) {
		const struct rg_typed_instruction *jump = &laying->code[i];

		if (laying->kept[i] && rg_typed_is_jump(jump) && jump->target > place &&
		    jump->target <= last)
			place = i;
	}
	return place;
}

/* The first and last kept instruction behind `at` that reads its slot. False: a role, or nobody. */
static bool find_uses(const struct rg_typed_laying *laying, uint32_t at, uint32_t *first,
		      uint32_t *last)
{
	uint16_t slot = laying->code[at].dst;
	bool found = false;

	if (role_reads(laying, slot))
		return false;
	for (uint32_t i = at + 1; i < laying->count; i++) {
		if (!laying->kept[i] || !reads_slot(&laying->code[i], slot))
			continue;
		if (!found)
			*first = i;
		*last = i;
		found = true;
	}
	return found;
}

static void move_back(struct rg_typed_laying *laying, uint32_t from, uint32_t to)
{
	struct rg_typed_instruction moved = laying->code[from];

	/* `to` is the instruction before which it goes: jumps to it now come to what was moved. */
	memmove(&laying->code[from], &laying->code[from + 1],
		(to - 1 - from) * sizeof(laying->code[0]));
	memmove(&laying->kept[from], &laying->kept[from + 1],
		(to - 1 - from) * sizeof(laying->kept[0]));
	laying->code[to - 1] = moved;
	laying->kept[to - 1] = true;
	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *jump = &laying->code[i];

		if (rg_typed_is_jump(jump) && jump->target > from && jump->target <= to)
			jump->target--;
	}
}

/* ---- the same value twice ---- */

/* Does the instruction make of its operands always the same, whoever asks for it? */
static bool is_pure(uint32_t op)
{
	switch (op) {
	case RG_TYPED_OP_COLUMN:
	case RG_TYPED_OP_FIND:
	case RG_TYPED_OP_BIT:
	case RG_TYPED_OP_REAL:
	case RG_TYPED_OP_REAL_ADD:
	case RG_TYPED_OP_REAL_SUBTRACT:
	case RG_TYPED_OP_REAL_MULTIPLY:
	case RG_TYPED_OP_REAL_ABSOLUTE: return true;
	default: return false;
	}
}

static bool same_value(const struct rg_typed_instruction *a, const struct rg_typed_instruction *b)
{
	return a->op == b->op && a->a == b->a && a->b == b->b && a->table == b->table &&
	       a->number == b->number;
}

/* Slots with one writer, and where it is. */
static void find_makers(const struct rg_typed_laying *laying, uint32_t *makers)
{
	for (uint32_t slot = 0; slot < RG_TYPED_SLOTS_MADE_MAX; slot++)
		makers[slot] = UINT32_MAX;
	for (uint32_t i = 0; i < laying->count; i++) {
		uint32_t *maker = &makers[laying->code[i].dst];

		if (laying->kept[i] && writes_slot(&laying->code[i]))
			*maker = *maker == UINT32_MAX ? i : laying->count;
	}
}

/* The instruction behind which the operands of a pure one have what they always will; laying->count
 * if there is none. */
static uint32_t operands_from(const struct rg_typed_laying *laying, uint32_t at,
			      const uint32_t *makers)
{
	const struct rg_typed_instruction *instruction = &laying->code[at];
	uint32_t a = makers[instruction->a],
		 b = rg_typed_shapes[instruction->op].b == 'S' ? makers[instruction->b] : a,
		 last = a > b ? a : b;

	return is_pure(instruction->op) && makers[instruction->dst] == at && last < at
		       ? last
		       : laying->count;
}

/* Move instruction `from` forward to where `to` is; jumps to there come to what it was. */
static void move_up(struct rg_typed_laying *laying, uint32_t from, uint32_t to)
{
	struct rg_typed_instruction moved = laying->code[from];

	memmove(&laying->code[to + 1], &laying->code[to], (from - to) * sizeof(laying->code[0]));
	memmove(&laying->kept[to + 1], &laying->kept[to], (from - to) * sizeof(laying->kept[0]));
	laying->code[to] = moved;
	laying->kept[to] = true;
	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *jump = &laying->code[i];

		if (rg_typed_is_jump(jump) && jump->target >= to && jump->target <= from)
			jump->target++;
	}
}

/*
 * What several rules compute of the same operands is computed once: where the first of them does if
 * all ways to the others lead by there, else behind what makes the operands. Returns how many have come to the front,
 * from where sink_front() takes them to the first that asks.
 */
static uint32_t share_values(struct rg_typed_laying *laying, uint32_t front)
{
	uint32_t makers[RG_TYPED_SLOTS_MADE_MAX], moved = 0;

	find_makers(laying, makers);
	for (uint32_t i = 0; i < laying->count; i++) {
		uint32_t last = i, from;

		if (!laying->kept[i] || operands_from(laying, i, makers) == laying->count)
			continue;
		from = operands_from(laying, i, makers);
		for (uint32_t j = i + 1; j < laying->count; j++) {
			if (!laying->kept[j] || !same_value(&laying->code[i], &laying->code[j]) ||
			    makers[laying->code[j].dst] != j)
				continue;
			read_instead(laying, laying->code[j].dst, laying->code[i].dst);
			laying->kept[j] = false;
			last = j;
		}
		if (last == i || place_before(laying, 0, i, last) == i)
			continue;
		if (from < laying->constant_count)
			from = laying->constant_count - 1;
		moved += from + 1 <= front + moved;
		move_up(laying, i, from + 1);
		find_makers(laying, makers);
	}
	return moved;
}

/* From the last of the front on: what few ask for goes to where they do. */
static void sink_front(struct rg_typed_laying *laying, uint32_t front)
{
	for (uint32_t i = front; i-- > laying->constant_count;) {
		uint32_t first = 0, last = 0, place;

		if (!laying->kept[i] || !find_uses(laying, i, &first, &last))
			continue;
		place = place_before(laying, i + 1, first, last);
		if (place > i + 1)
			move_back(laying, i, place);
	}
}

/* ---- two slots that are one ---- */

/* May control come by `move` without passing it, once something was written to its source? */
static bool is_bypassed(const struct rg_typed_laying *laying, uint32_t first, uint32_t move,
			bool *may_hold)
{
	uint16_t slot = laying->code[move].a;

	memset(may_hold, 0, (laying->count + 1) * sizeof(*may_hold));
	for (uint32_t i = first; i < move; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];
		bool holds = may_hold[i];

		if (!laying->kept[i]) {
			may_hold[i + 1] |= holds;
			continue;
		}
		if (rg_typed_is_jump(instruction)) { /* what jumps has not written */
			if (holds && instruction->target > move)
				return true;
			may_hold[instruction->target] |= holds;
		}
		if (instruction->op == RG_TYPED_OP_JUMP || instruction->op == RG_TYPED_OP_GIVE_UP)
			continue;
		may_hold[i + 1] |= holds || (writes_slot(instruction) && instruction->dst == slot);
	}
	return false;
}

static bool makes_undefined(const struct rg_typed_instruction *instruction)
{
	return instruction->op == RG_TYPED_OP_REAL_UNDEFINED ||
	       (instruction->op == RG_TYPED_OP_CONSTANT && instruction->number == RG_TYPED_ABSENT);
}

/* The first of the slot's writers that make something of it, and the one that makes it undefined;
 * false unless it begins undefined, once. */
static bool find_writers(const struct rg_typed_laying *laying, uint16_t slot, uint32_t *undefined,
			 uint32_t *first)
{
	*undefined = *first = UINT32_MAX;
	for (uint32_t i = 0; i < laying->count; i++) {
		if (!laying->kept[i] || !writes_slot(&laying->code[i]) ||
		    laying->code[i].dst != slot)
			continue;
		if (makes_undefined(&laying->code[i])) {
			if (*undefined != UINT32_MAX || *first != UINT32_MAX)
				return false;
			*undefined = i;
		} else if (*first == UINT32_MAX) {
			*first = i;
		}
	}
	return *undefined != UINT32_MAX && *first != UINT32_MAX;
}

/*
 * The value of a rule, and the register that it is gathered in:
 *
 *	undefined d; undefined s; ... s = ...; ... MOVE d s
 *
 * where all ways from a writer of s lead to the move, and nobody else writes d: d is s.
 */
static bool is_one_slot(const struct rg_typed_laying *laying, const struct uses *uses,
			const bool *is_target, uint32_t move, bool *may_hold)
{
	const struct rg_typed_instruction *of = &laying->code[move];
	uint32_t d_undefined, d_first, s_undefined, s_first;

	return (of->op == RG_TYPED_OP_MOVE || of->op == RG_TYPED_OP_REAL_MOVE) &&
	       uses->writes[of->dst] == 2 &&
	       find_writers(laying, of->dst, &d_undefined, &d_first) && d_first == move &&
	       find_writers(laying, of->a, &s_undefined, &s_first) && s_first < move &&
	       s_undefined < s_first &&
	       !is_entered(is_target, d_undefined < s_undefined ? d_undefined : s_undefined,
			   d_undefined < s_undefined ? s_undefined : d_undefined) &&
	       !is_bypassed(laying, s_first, move, may_hold);
}

static void write_instead(struct rg_typed_laying *laying, uint16_t slot, uint16_t other)
{
	for (uint32_t i = 0; i < laying->count; i++) {
		if (laying->kept[i] && writes_slot(&laying->code[i]) && laying->code[i].dst == slot)
			laying->code[i].dst = other;
	}
}

static bool join_gathered(struct rg_typed_laying *laying, const bool *is_target)
{
	bool *may_hold = calloc(laying->count + 1, sizeof(*may_hold));
	struct uses uses;

	if (!may_hold) {
		rg_unit_no_memory(laying->t->unit);
		return false;
	}
	for (uint32_t i = laying->constant_count; i < laying->count; i++) {
		uint32_t undefined, first;
		uint16_t d = laying->code[i].dst, s = laying->code[i].a;

		if (!laying->kept[i] || (laying->code[i].op != RG_TYPED_OP_MOVE &&
					 laying->code[i].op != RG_TYPED_OP_REAL_MOVE))
			continue;
		count_uses(laying, &uses);
		if (!is_one_slot(laying, &uses, is_target, i, may_hold) ||
		    !find_writers(laying, d, &undefined, &first))
			continue;
		laying->kept[undefined] = laying->kept[i] = false;
		read_instead(laying, d, s);
		write_instead(laying, d, s);
	}
	free(may_hold);
	return true;
}

static bool *targets_of(const struct rg_typed_laying *laying)
{
	bool *is_target = calloc(laying->count + 1, sizeof(*is_target));

	if (is_target)
		mark_targets(laying, is_target);
	else
		rg_unit_no_memory(laying->t->unit);
	return is_target;
}

bool rg_typed_join_copies(struct rg_typed_laying *laying)
{
	bool *is_target = targets_of(laying);

	bool done = is_target != NULL;

	if (done) {
		join_copies(laying, is_target);
		done = join_gathered(laying, is_target);
	}
	free(is_target);
	return done;
}

bool rg_typed_tidy(struct rg_typed_laying *laying)
{
	bool *is_target = targets_of(laying);
	uint32_t front = laying->t->front.count;

	if (is_target) {
		drop_moves(laying, is_target);
		ask_emptiness(laying, is_target);
		sink_front(laying, front + share_values(laying, front));
	}
	free(is_target);
	return is_target != NULL;
}

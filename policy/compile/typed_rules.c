/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule tables out of a typed program: what many bodies, or many turns of a loop over the policy's
 * data, do under guards on the request becomes rows of a table (image/rule_table.h), and one MATCH
 * takes the place of their instructions.
 *
 * A STRETCH is a piece of the program that control enters at its first instruction and leaves
 * behind its last one, with nothing in it but guards on slots that were settled before (typed_ways.h
 * follows them), jumps, and effects whose order does not matter: additions to a set, and of a
 * constant to a sum. Where a way comes to an effect, what is known there is a row. Stretches that lie
 * one behind the other are a RUN, into which nobody jumps but to its beginning. So the tables of all
 * their rows may be asked where the run begins.
 *
 *	sets	 deny contains r.reason if { some r in data.limits; ... }
 *	sums	 sum([r.score | some r in data.rules; ...]), count([...])
 *	extremes max([r.score | some r in data.rules; ...]), min([...])
 *	the one	 limit := r.max if { some r in data.limits; ... }, or the program gives up
 *
 * All jumps go forward. Where none from before leads beyond, control comes by whatever happened: a
 * CUT. Stretches between cuts that ask for slots of the front depend on nothing before them, so those
 * with the same effects may all run where the first of them stands, wherever they are.
 *
 * A CHAIN is a run whose stretches have, instead of effects, a way out: the first that holds writes
 * constants to some slots and jumps to the EXIT; otherwise the next one is asked.
 *
 *	deny if { ... }  deny if { ... }		the same constants: any row will do
 *	action := "x" if { ... } else := "y" if { ... }	the first row's
 *
 * In a chain of the same constants what is no stretch may stand between stretches, as long as it
 * leaves nothing behind: it is asked first, then the table of all stretches. It ends with the same
 * constants or gives up, and giving up is always right.
 *
 * Giving up for good (typed.h: a DOUBT) leads to the end of a rule; whoever asks for the rule then
 * gives up too, so what the rule's sets, sums and slots hold no longer matters. That jump makes no
 * stretch longer and no cut fewer.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed_ways.h"

/* Below, guards are faster. */
#define ROWS_MIN    64
#define STRETCH_MAX 256	  /* instructions */
#define EXITS_MAX   4	  /* tried for a chain that may begin somewhere */
#define TARGETS_MAX 2	  /* effects of a run */
#define OTHERS_MAX  256	  /* pieces of a chain that are no stretches */
#define VAIN_MAX    20000 /* places in a row at which no chain was found; then it is given up */
#define CHAIN_ROOM  64	  /* instructions that the table of a chain mostly is content with */

enum kind { KIND_SET, KIND_SUM, KIND_MOST, KIND_LEAST, KIND_ONE, KIND_CHAIN };

/* What rows are for: a set, a sum, the greatest or least of several numbers, or the one that all are;
 * or of a chain its ways out. */
struct effect {
	enum kind kind;
	uint16_t at; /* set, or slot that numbers are gathered in */
};

/* What becomes one or several tables: a run, or stretches between cuts. */
struct group {
	bool between_cuts;
	uint32_t begin, end; /* of a run or chain; begin: else the first stretch's */
	struct effect effects[TARGETS_MAX];
	uint32_t effect_count;
	uint32_t first_row, row_count; /* first_row: in the pass's list */
	/* Of a chain. Its ways out write to the same slots. */
	uint32_t exit, otherwise;	     /* instructions: where a way out leads, and no row */
	uint32_t first_action, action_count; /* in the pass's list, in their order */
	uint32_t write_count;
	uint32_t place_from; /* its instructions from here on are written over */
};

/* A row, in the pass's list. */
struct row {
	uint32_t group, effect;
	int64_t value;	       /* bit of a set, term of a sum, number of an action of the chain */
	uint32_t first, count; /* predicates */
};

struct predicate {
	uint16_t slot;
	struct rg_some known;
};

/* What a way out of a chain writes. */
struct action {
	struct rg_write writes[RG_WAY_WRITES_MAX];
};

struct uses {
	uint32_t first, last; /* instructions that read or write a slot */
	bool read_beyond;     /* by more than additions to itself */
};

struct pass {
	struct rg_ways_pass ways;
	struct rg_typed_laying *laying;
	struct rg_unit *unit;
	struct rg_vector groups;     /* struct group */
	struct rg_vector rows;	     /* struct row */
	struct rg_vector predicates; /* struct predicate */
	struct rg_vector actions;    /* struct action */
	uint32_t *group_of;	     /* an instruction: group + 1 that has made rows of it */
	uint32_t *earliest;	     /* an instruction: the first jump to it, UINT32_MAX: none */
	bool *is_cut;		     /* an instruction */
	bool *is_doubtful;	     /* an instruction: the jump of giving up for good */
	uint32_t vain;		     /* places at which no chain was found since the last one */
	uint32_t run;		     /* group + 1 of the run that the last stretch belongs to */
	struct rg_ways *at;	     /* an instruction of the stretch */
	struct uses uses[RG_TYPED_SLOTS_MADE_MAX];
	bool is_whole[RG_TYPED_SLOTS_MADE_MAX]; /* asked for by NON_NEGATIVE */
};

/* What pass lists held before a stretch that may turn out to be none. */
struct mark {
	uint32_t rows, predicates, actions;
};

static struct mark mark_of(const struct pass *pass)
{
	return (struct mark){pass->rows.count, pass->predicates.count, pass->actions.count};
}

static void go_back(struct pass *pass, struct mark mark)
{
	pass->rows.count = mark.rows;
	pass->predicates.count = mark.predicates;
	pass->actions.count = mark.actions;
}

/* ---- the program as it is ---- */

/* A jump that matters for what a stretch or a cut is. */
static bool is_jump(const struct pass *pass, uint32_t i)
{
	return pass->laying->kept[i] && rg_typed_is_jump(&pass->laying->code[i]) &&
	       !pass->is_doubtful[i];
}

static bool is_doubt(const struct rg_typed *t, const struct rg_typed_instruction *instruction)
{
	return instruction->op == RG_TYPED_OP_CONSTANT && instruction->number == -1 &&
	       t->is_doubt[instruction->dst];
}

static void find_doubts(struct pass *pass)
{
	const struct rg_typed_laying *laying = pass->laying;

	for (uint32_t i = laying->t->front.count + 1; i < laying->count; i++)
		pass->is_doubtful[i] = laying->code[i].op == RG_TYPED_OP_JUMP &&
				       is_doubt(laying->t, &laying->code[i - 1]);
}

static void find_jumps(struct pass *pass)
{
	const struct rg_typed_laying *laying = pass->laying;
	uint32_t reach = 0;

	for (uint32_t i = 0; i <= laying->count; i++)
		pass->earliest[i] = UINT32_MAX;
	for (uint32_t i = 0; i < laying->count; i++) {
		uint32_t to = laying->code[i].target;

		pass->is_cut[i] = reach <= i;
		if (!laying->kept[i] || !rg_typed_is_jump(&laying->code[i]))
			continue;
		if (pass->earliest[to] == UINT32_MAX)
			pass->earliest[to] = i;
		if (to > reach && !pass->is_doubtful[i])
			reach = to;
	}
}

/* Is a number added to those that a slot is the sum of, the greatest, and so on? KIND_CHAIN: no. */
static enum kind gathers(const struct rg_typed_instruction *instruction)
{
	if (instruction->a != instruction->dst)
		return KIND_CHAIN;
	switch (instruction->op) {
	case RG_TYPED_OP_ADD:
	case RG_TYPED_OP_ADD_NUMBER: return KIND_SUM;
	case RG_TYPED_OP_MAXIMUM_NUMBER: return KIND_MOST;
	case RG_TYPED_OP_MINIMUM_NUMBER: return KIND_LEAST;
	case RG_TYPED_OP_AGREE:
	case RG_TYPED_OP_AGREE_NUMBER: return KIND_ONE;
	default: return KIND_CHAIN;
	}
}

static void note_use(struct pass *pass, uint16_t slot, uint32_t at)
{
	struct uses *uses = &pass->uses[slot];

	if (at < uses->first)
		uses->first = at;
	if (at > uses->last)
		uses->last = at;
}

static void find_uses(struct pass *pass)
{
	const struct rg_typed_laying *laying = pass->laying;

	for (uint32_t slot = 0; slot < RG_TYPED_SLOTS_MADE_MAX; slot++)
		pass->uses[slot] = (struct uses){.first = UINT32_MAX};
	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *at = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[at->op];

		if (!laying->kept[i])
			continue;
		if (shape->dst == 'S')
			note_use(pass, at->dst, i);
		if (shape->a == 'S') {
			note_use(pass, at->a, i);
			pass->uses[at->a].read_beyond |= gathers(at) == KIND_CHAIN;
		}
		if (shape->b == 'S') {
			note_use(pass, at->b, i);
			pass->uses[at->b].read_beyond = true;
		}
	}
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		const struct rg_typed_role *is = &laying->program->roles[role];

		if (!rg_typed_has_slot(is))
			continue;
		note_use(pass, is->at, laying->count);
		pass->uses[is->at].read_beyond = true;
	}
}

/* ---- rows ---- */

static bool add_row(struct pass *pass, uint32_t group, uint32_t effect, int64_t value,
		    const struct rg_way *way)
{
	struct row *row = rg_vector_add(pass->unit, &pass->rows, sizeof(*row));

	if (!row)
		return false;
	*row = (struct row){group, effect, value, pass->predicates.count, way->count};
	for (uint32_t i = 0; i < way->count; i++) {
		struct predicate *predicate =
			rg_vector_add(pass->unit, &pass->predicates, sizeof(*predicate));

		if (!predicate)
			return false;
		*predicate = (struct predicate){way->slots[i], way->known[i]};
	}
	return true;
}

/* A stretch that is followed. exit: 0, or of a chain; otherwise: where ways go that find nothing. */
struct stretch {
	uint32_t from, to;
	uint32_t exit, otherwise;
	uint32_t group;
	struct effect effects[TARGETS_MAX];
	uint32_t effect_count;
};

/* Which of the stretch's effects this is; TARGETS_MAX: there are too many. */
static uint32_t effect_of(struct stretch *stretch, struct effect effect)
{
	uint32_t i = 0;

	while (i < stretch->effect_count &&
	       (stretch->effects[i].kind != effect.kind || stretch->effects[i].at != effect.at))
		i++;
	if (i == stretch->effect_count && i < TARGETS_MAX)
		stretch->effects[stretch->effect_count++] = effect;
	return i;
}

/* A row for each way that comes to an effect with a number. False: the stretch has too many. */
static bool add_rows(struct pass *pass, struct stretch *stretch, struct effect effect,
		     int64_t number, const struct rg_ways *here)
{
	uint32_t which = effect_of(stretch, effect);

	if (which == TARGETS_MAX)
		return false;
	for (uint32_t n = 0; n < here->count; n++) {
		if (!add_row(pass, stretch->group, which, number, &here->ways[n]))
			return false;
	}
	return true;
}

/* A number is gathered. False: that is no row. */
static bool add_term(struct pass *pass, struct stretch *stretch,
		     const struct rg_typed_instruction *add, const struct rg_ways *here)
{
	enum kind kind = gathers(add);

	if (kind == KIND_CHAIN || rg_typed_shapes[add->op].number != 'K')
		return false;
	return !pass->uses[add->dst].read_beyond ||
	       add_rows(pass, stretch, (struct effect){kind, add->dst}, add->number, here);
}

/* A constant is written, on the way out of a chain. */
static bool write_slot(struct pass *pass, const struct rg_typed_instruction *write,
		       struct rg_ways *here)
{
	int64_t number = write->number;

	if (write->op == RG_TYPED_OP_MOVE) {
		if (!pass->ways.is_constant[write->a])
			return false;
		number = pass->ways.constant[write->a];
	}
	for (uint32_t n = 0; n < here->count; n++) {
		struct rg_way *way = &here->ways[n];

		if (way->write_count == RG_WAY_WRITES_MAX)
			return false;
		way->writes[way->write_count++] = (struct rg_write){write->dst, number};
	}
	return true;
}

/* The chain's action that a way takes, the last one or a new one. False: it writes other slots. */
static bool action_of(struct pass *pass, struct group *chain, const struct rg_way *way,
		      uint32_t *number)
{
	struct action *last;
	bool same = true;

	if (chain->action_count) {
		if (way->write_count != chain->write_count)
			return false;
		last = RG_VECTOR_AT(pass->actions, struct action,
				    chain->first_action + chain->action_count - 1);
		for (uint32_t i = 0; i < way->write_count; i++) {
			if (way->writes[i].slot != last->writes[i].slot)
				return false;
			same = same && way->writes[i].number == last->writes[i].number;
		}
	}
	if (!chain->action_count || !same) {
		last = rg_vector_add(pass->unit, &pass->actions, sizeof(*last));
		if (!last)
			return false;
		memcpy(last->writes, way->writes, sizeof(way->writes));
		chain->write_count = way->write_count;
		chain->action_count++;
	}
	*number = chain->action_count - 1;
	return true;
}

/* A way leaves the stretch at instruction `to`. */
static bool leave(struct pass *pass, const struct stretch *stretch, uint32_t to,
		  const struct rg_way *way)
{
	uint32_t number;

	if (to == stretch->otherwise && !way->write_count)
		return true;
	if (!stretch->exit || to != stretch->exit)
		return false;
	return action_of(pass, RG_VECTOR_AT(pass->groups, struct group, stretch->group), way,
			 &number) &&
	       add_row(pass, stretch->group, 0, number, way);
}

static bool arrive(struct pass *pass, const struct stretch *stretch, uint32_t to,
		   const struct rg_ways *ways)
{
	for (uint32_t n = 0; n < ways->count; n++) {
		if (to < stretch->to ? !rg_ways_arrive(&pass->ways, &pass->at[to - stretch->from],
						       &ways->ways[n])
				     : !leave(pass, stretch, to, &ways->ways[n]))
			return false;
	}
	return true;
}

/* Take all ways here through a guard. */
static bool part(struct pass *pass, const struct stretch *stretch, uint32_t at,
		 const struct rg_ways *here)
{
	const struct rg_typed_instruction *guard = &pass->laying->code[at];

	for (uint32_t n = 0; n < here->count; n++) {
		struct rg_ways holds, fails;

		holds.count = fails.count = 0;
		if (!rg_ways_part(&pass->ways, guard, &here->ways[n], &holds, &fails) ||
		    !arrive(pass, stretch, at + 1, &holds) ||
		    !arrive(pass, stretch, guard->target, &fails))
			return false;
	}
	return true;
}

static bool step(struct pass *pass, struct stretch *stretch, uint32_t at)
{
	const struct rg_typed_instruction *instruction = &pass->laying->code[at];
	struct rg_ways *here = &pass->at[at - stretch->from];

	if (!here->count)
		return true;
	if (pass->laying->kept[at]) {
		switch (instruction->op) {
		case RG_TYPED_OP_JUMP:
			return (!pass->is_doubtful[at] || instruction->target == stretch->exit) &&
			       arrive(pass, stretch, instruction->target, here);
		case RG_TYPED_OP_NON_NEGATIVE: /* it may be asked for in vain */
			if (!rg_ways_may_ask(&pass->ways, instruction->a))
				return false;
			pass->is_whole[instruction->a] = true;
			break;
		case RG_TYPED_OP_SET_ADD:
			if (stretch->exit ||
			    !add_rows(pass, stretch, (struct effect){KIND_SET, instruction->dst},
				      instruction->number, here))
				return false;
			break;
		case RG_TYPED_OP_ADD_NUMBER:
		case RG_TYPED_OP_MAXIMUM_NUMBER:
		case RG_TYPED_OP_MINIMUM_NUMBER:
		case RG_TYPED_OP_AGREE_NUMBER:
			if (stretch->exit || !add_term(pass, stretch, instruction, here))
				return false;
			break;
		case RG_TYPED_OP_MOVE:
		case RG_TYPED_OP_CONSTANT:
			if (!stretch->exit || !write_slot(pass, instruction, here))
				return false;
			break;
		default: return rg_typed_is_jump(instruction) && part(pass, stretch, at, here);
		}
	}
	return arrive(pass, stretch, at + 1, here);
}

/* Follow all ways through the stretch. False if it is none; then what it added is to be dropped. */
static bool follow(struct pass *pass, struct stretch *stretch)
{
	for (uint32_t i = stretch->from; i < stretch->to; i++)
		pass->at[i - stretch->from].count = 0;
	pass->at[0].count = 1;
	pass->at[0].ways[0].count = pass->at[0].ways[0].write_count = 0;
	for (uint32_t i = stretch->from; i < stretch->to; i++) {
		if (!step(pass, stretch, i))
			return false;
	}
	return true;
}

/* ---- stretches ---- */

/* Does a jump from before `begin` lead behind `from`, at or before `last`? */
static bool is_entered(const struct pass *pass, uint32_t from, uint32_t last, uint32_t begin)
{
	for (uint32_t i = from + 1; i <= last; i++) {
		if (pass->earliest[i] < begin)
			return true;
	}
	return false;
}

/* The nearest instruction behind `from` that all ways come to which do not jump to `exit`, or, with
 * by_guards, are not sent there by a guard either. 0: it is too far. */
static uint32_t nearest_end(const struct pass *pass, uint32_t from, uint32_t exit, bool by_guards)
{
	const struct rg_typed_laying *laying = pass->laying;
	uint32_t reach = from;

	for (uint32_t i = from; i < laying->count && i - from < STRETCH_MAX; i++) {
		const struct rg_typed_instruction *jump = &laying->code[i];

		if (is_jump(pass, i) && jump->target > reach &&
		    (jump->target != exit || (jump->op != RG_TYPED_OP_JUMP && !by_guards)))
			reach = jump->target;
		if (reach <= i + 1)
			return i + 1;
	}
	return 0;
}

/* The end of a loop in a chain: what finds nothing there goes on behind the exit, to the one
 * instruction that is returned. 0: it does not. */
static uint32_t beyond_exit(const struct pass *pass, uint32_t from, uint32_t exit)
{
	uint32_t beyond = 0;

	if (exit - from > STRETCH_MAX)
		return 0;
	for (uint32_t i = from; i < exit; i++) {
		uint32_t to = pass->laying->code[i].target;

		if (!is_jump(pass, i) || to <= exit)
			continue;
		if (beyond && to != beyond)
			return 0;
		beyond = to;
	}
	return beyond;
}

/* The stretch's instructions are those of the group. */
static void take(struct pass *pass, const struct stretch *stretch)
{
	for (uint32_t i = stretch->from; i < stretch->to; i++)
		pass->group_of[i] = stretch->group + 1;
}

static struct group *new_group(struct pass *pass, uint32_t begin, uint32_t *number)
{
	struct group *group = rg_vector_add(pass->unit, &pass->groups, sizeof(*group));

	*number = pass->groups.count - 1;
	if (group)
		group->begin = group->end = begin;
	return group;
}

/* ---- runs ---- */

static bool has_effects(const struct group *group, const struct stretch *stretch)
{
	if (group->effect_count != stretch->effect_count)
		return false;
	for (uint32_t i = 0; i < group->effect_count; i++) {
		if (group->effects[i].kind != stretch->effects[i].kind ||
		    group->effects[i].at != stretch->effects[i].at)
			return false;
	}
	return true;
}

/* The run that a stretch at `at` may go on with, or NULL. */
static struct group *run_before(const struct pass *pass, uint32_t at)
{
	struct group *run;

	if (!pass->run)
		return NULL;
	run = RG_VECTOR_AT(pass->groups, struct group, pass->run - 1);
	return run->end == at && !is_entered(pass, at - 1, at, run->begin) ? run : NULL;
}

/* Forget a run that has ended and is too short, so that there are few groups. */
static void drop_short_run(struct pass *pass)
{
	const struct group *run;

	if (!pass->run)
		return;
	run = RG_VECTOR_AT(pass->groups, struct group, pass->run - 1);
	if (pass->run == pass->groups.count && run->row_count < ROWS_MIN &&
	    run->first_row + run->row_count == pass->rows.count) {
		for (uint32_t i = run->begin; i < run->end; i++)
			pass->group_of[i] = 0;
		pass->rows.count = run->first_row;
		pass->groups.count--;
	}
	pass->run = 0;
}

/* The group that a stretch's rows join. They are the pass's last ones, from first_row on. */
static struct group *group_for(struct pass *pass, const struct stretch *stretch, bool between_cuts,
			       uint32_t first_row, uint32_t *number)
{
	struct group *group = between_cuts ? NULL : run_before(pass, stretch->from);

	if (group && has_effects(group, stretch)) {
		*number = pass->run - 1;
		return group;
	}
	for (uint32_t i = 0; i < pass->groups.count && between_cuts; i++) {
		group = RG_VECTOR_AT(pass->groups, struct group, i);
		*number = i;
		if (group->between_cuts && has_effects(group, stretch))
			return group;
	}
	group = new_group(pass, stretch->from, number);
	if (group) {
		group->between_cuts = between_cuts;
		group->first_row = first_row;
		group->effect_count = stretch->effect_count;
		memcpy(group->effects, stretch->effects, sizeof(group->effects));
	}
	return group;
}

/* Does it end with a NON_NEGATIVE, which the instruction behind rests on? */
static bool ends_with_sign(const struct pass *pass, const struct stretch *stretch)
{
	uint32_t last = stretch->to - 1;

	while (last > stretch->from && !pass->laying->kept[last])
		last--;
	return pass->laying->code[last].op == RG_TYPED_OP_NON_NEGATIVE;
}

/* A stretch at `from` that only adds to sets and sums. Returns where it ends, 0 if there is none. */
static uint32_t find_effects(struct pass *pass, uint32_t from)
{
	struct stretch stretch = {.from = from, .to = nearest_end(pass, from, 0, false)};
	struct mark mark;
	struct group *group = run_before(pass, from);
	bool between_cuts;

	if (!group)
		drop_short_run(pass);
	mark = mark_of(pass);
	stretch.otherwise = stretch.to;
	pass->ways.start = group ? group->begin : from;
	pass->ways.asks_body = false;
	if (!stretch.to || is_entered(pass, from, stretch.to - 1, from) ||
	    !follow(pass, &stretch)) {
		go_back(pass, mark);
		return 0;
	}
	if (!stretch.effect_count && ends_with_sign(pass, &stretch)) {
		go_back(pass, mark);
		return 0;
	}
	if (!stretch.effect_count) { /* it does nothing, like a row of data that cannot hold */
		for (uint32_t i = from; i < stretch.to; i++)
			pass->laying->kept[i] = false;
		if (group)
			group->end = stretch.to;
		return stretch.to;
	}
	between_cuts = pass->is_cut[from] && !pass->ways.asks_body;
	group = group_for(pass, &stretch, between_cuts, mark.rows, &stretch.group);
	if (!group)
		return 0;
	for (uint32_t i = mark.rows; i < pass->rows.count; i++)
		RG_VECTOR_AT(pass->rows, struct row, i)->group = stretch.group;
	group->row_count += pass->rows.count - mark.rows;
	group->end = stretch.to;
	pass->run = between_cuts ? 0 : stretch.group + 1;
	take(pass, &stretch);
	return stretch.to;
}

/* ---- chains ---- */

/* Is the jump at `at` a way out with the chain's one action? */
static bool takes_action(const struct pass *pass, const struct group *chain, uint32_t from,
			 uint32_t at)
{
	const struct action *action =
		RG_VECTOR_AT(pass->actions, struct action, chain->first_action);

	for (uint32_t n = chain->write_count; n-- > 0;) {
		const struct rg_typed_instruction *write;

		do {
			if (at == from)
				return false;
			at--;
		} while (!pass->laying->kept[at]);
		write = &pass->laying->code[at];
		if (write->dst != action->writes[n].slot ||
		    (write->op == RG_TYPED_OP_CONSTANT
			     ? write->number != action->writes[n].number
			     : write->op != RG_TYPED_OP_MOVE || !pass->ways.is_constant[write->a] ||
				       pass->ways.constant[write->a] != action->writes[n].number))
			return false;
	}
	return true;
}

static bool is_chain_slot(const struct pass *pass, const struct group *chain, uint16_t slot)
{
	const struct action *action =
		RG_VECTOR_AT(pass->actions, struct action, chain->first_action);

	for (uint32_t n = 0; n < chain->write_count; n++) {
		if (action->writes[n].slot == slot)
			return true;
	}
	return false;
}

/* May [from, to), which is no stretch, stand in the chain: with its one action or none, and nothing
 * that it leaves behind? */
static bool may_stand(const struct pass *pass, const struct group *chain, uint32_t from,
		      uint32_t to)
{
	const struct rg_typed_laying *laying = pass->laying;

	for (uint32_t i = from; i < to; i++) {
		const struct rg_typed_instruction *at = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[at->op];

		if (!laying->kept[i])
			continue;
		if (shape->dst == 'T' || at->op == RG_TYPED_OP_LEAVE_ROLE ||
		    at->op == RG_TYPED_OP_END)
			return false;
		if (is_jump(pass, i) && at->target > to &&
		    (at->target != chain->exit || !takes_action(pass, chain, from, i)))
			return false;
		if (shape->dst == 'S' && !laying->t->is_doubt[at->dst] &&
		    !is_chain_slot(pass, chain, at->dst) &&
		    (pass->uses[at->dst].first < from || pass->uses[at->dst].last >= to))
			return false;
	}
	return true;
}

/* Of the chain: follow a stretch. */
static bool link(struct pass *pass, struct stretch *stretch)
{
	struct group *chain = RG_VECTOR_AT(pass->groups, struct group, stretch->group);
	struct mark mark = mark_of(pass);
	struct group before = *chain;

	pass->ways.start = chain->begin;
	if (!is_entered(pass, stretch->from, stretch->to - 1, chain->begin) &&
	    follow(pass, stretch))
		return true;
	go_back(pass, mark);
	*RG_VECTOR_AT(pass->groups, struct group, stretch->group) = before;
	return false;
}

/* Where a stretch of a chain that begins at stretch->from may end. The shapes are tried one after the
 * other: bodies that jump out; the last turn of a loop; bodies whose last guards lead out, as those of
 * `not` do. */
static bool bound(const struct pass *pass, uint32_t exit, int shape, struct stretch *stretch)
{
	switch (shape) {
	case 0: stretch->to = nearest_end(pass, stretch->from, exit, false); break;
	case 1:
		stretch->otherwise = beyond_exit(pass, stretch->from, exit);
		stretch->to = exit;
		return stretch->otherwise;
	default: stretch->to = nearest_end(pass, stretch->from, exit, true);
	}
	stretch->otherwise = stretch->to;
	return stretch->to && stretch->to <= exit;
}

/* The chain's stretches, each with the one action, and what may stand between them. Where no row
 * holds, control goes on behind the last stretches that lie together and have room for the table;
 * those behind stay what they are. Returns where that is. */
static uint32_t go_along(struct pass *pass, uint32_t number)
{
	struct group *chain = RG_VECTOR_AT(pass->groups, struct group, number);
	uint32_t together = chain->begin, at = chain->begin;
	uint32_t others = 0; /* that are no stretches */
	struct mark kept = mark_of(pass);

	chain->end = 0;
	while (at < chain->exit && !pass->unit->status) {
		struct stretch stretch = {.from = at, .exit = chain->exit, .group = number};
		uint32_t actions = chain->action_count;
		bool linked = false;

		if ((at > chain->begin && pass->earliest[at] < chain->begin) || others > OTHERS_MAX)
			break;
		for (int shape = 0; shape < 3 && !linked; shape++)
			linked = bound(pass, chain->exit, shape, &stretch) && link(pass, &stretch);
		if (!linked && !bound(pass, chain->exit, 0, &stretch))
			break;
		if (linked && !(others && chain->action_count > actions)) {
			take(pass, &stretch);
			if (stretch.to - together >= CHAIN_ROOM) {
				chain->place_from = together;
				chain->end = stretch.to;
				chain->otherwise = stretch.otherwise;
				kept = mark_of(pass);
			}
		} else if (chain->action_count == 1 && stretch.otherwise == stretch.to &&
			   !is_entered(pass, at, stretch.to - 1, chain->begin) &&
			   may_stand(pass, chain, at, stretch.to)) {
			others++;
			together = stretch.to;
		} else {
			break;
		}
		at = stretch.to;
	}
	for (uint32_t i = chain->end ? chain->end : chain->begin; i < at; i++)
		pass->group_of[i] = 0;
	go_back(pass, kept);
	return chain->end;
}

/* A chain at `from` that leads to `exit`. Returns where it ends, 0 if there is none of enough
 * rows. */
static uint32_t find_chain_to(struct pass *pass, uint32_t from, uint32_t exit)
{
	struct mark mark = mark_of(pass);
	uint32_t number, end;
	struct group *chain = new_group(pass, from, &number);

	if (!chain)
		return 0;
	chain->exit = exit;
	chain->first_action = pass->actions.count;
	chain->effects[0].kind = KIND_CHAIN;
	chain->effect_count = 1;
	pass->run = 0;
	end = go_along(pass, number);
	chain = RG_VECTOR_AT(pass->groups, struct group, number);
	chain->row_count = pass->rows.count - mark.rows;
	chain->action_count = pass->actions.count - mark.actions;
	if (end && chain->row_count >= ROWS_MIN)
		return end;
	for (uint32_t i = from; i < end; i++)
		pass->group_of[i] = 0;
	go_back(pass, mark);
	pass->groups.count--;
	return 0;
}

/* Jumps of the next instructions lead to the exits that a chain may have, the farthest first. One is
 * to give up for good. */
static uint32_t find_chain(struct pass *pass, uint32_t from)
{
	const struct rg_typed_laying *laying = pass->laying;
	uint32_t below = UINT32_MAX, end = 0;

	for (int tries = 0; tries < EXITS_MAX && !end && !pass->unit->status; tries++) {
		uint32_t exit = 0;

		for (uint32_t i = from; i < laying->count && i < from + STRETCH_MAX; i++) {
			uint32_t to = laying->code[i].target;

			if (laying->kept[i] && rg_typed_is_jump(&laying->code[i]) && to < below &&
			    to > exit)
				exit = to;
		}
		if (exit < from + ROWS_MIN)
			return 0;
		end = find_chain_to(pass, from, exit);
		below = exit;
	}
	return end;
}

static void find_rows(struct pass *pass)
{
	const struct rg_typed_laying *laying = pass->laying;
	uint32_t at = laying->t->front.count;

	while (at < laying->count && !pass->unit->status) {
		uint32_t end = 0;

		if (laying->kept[at])
			end = find_effects(pass, at);
		if (!end && laying->kept[at] && pass->vain < VAIN_MAX) {
			end = find_chain(pass, at);
			pass->vain = end ? 0 : pass->vain + 1;
		}
		at = end ? end : at + 1;
	}
}

/* ---- tables ---- */

/* May a set have members that only a table knows? It may be a result, be counted, and be added to
 * another one of which the same holds. */
static bool may_match(const struct pass *pass, uint16_t set, uint32_t seen)
{
	const struct rg_typed_laying *laying = pass->laying;

	for (uint32_t i = laying->t->front.count; i < laying->count; i++) {
		const struct rg_typed_instruction *at = &laying->code[i];

		if (!laying->kept[i] || rg_typed_shapes[at->op].a != 'T' || at->a != set)
			continue;
		if (at->op == RG_TYPED_OP_SET_UNITE
			    ? !(seen >> at->dst & 1) &&
				      !may_match(pass, at->dst, seen | 1u << at->dst)
			    : at->op != RG_TYPED_OP_SET_COUNT &&
				      at->op != RG_TYPED_OP_SET_DISTINCT &&
				      at->op != RG_TYPED_OP_IF_EMPTY &&
				      at->op != RG_TYPED_OP_IF_NOT_EMPTY)
			return false;
	}
	return true;
}

/* Is what the rows add to fit for that? Nobody looks at a set or number between additions. */
static bool is_fit(const struct pass *pass, const struct group *group, struct effect effect)
{
	const struct rg_typed_laying *laying = pass->laying;
	uint32_t last = 0;

	for (uint32_t i = laying->t->front.count; i < laying->count; i++) {
		if (pass->group_of[i] &&
		    RG_VECTOR_AT(pass->groups, struct group, pass->group_of[i] - 1) == group)
			last = i;
	}
	for (uint32_t i = laying->t->front.count; i < laying->count; i++) {
		const struct rg_typed_instruction *at = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[at->op];
		bool adds = gathers(at) != KIND_CHAIN;

		if (!laying->kept[i])
			continue;
		if (effect.kind == KIND_SET &&
		    ((at->op == RG_TYPED_OP_SET_UNITE && at->dst == effect.at) ||
		     (shape->a == 'T' && at->a == effect.at && i < last)))
			return false;
		if (effect.kind != KIND_SET && i < last &&
		    ((shape->a == 'S' && at->a == effect.at && !adds) ||
		     (shape->b == 'S' && at->b == effect.at) ||
		     (shape->dst == 'S' && at->dst == effect.at && !adds && i > group->begin)))
			return false;
	}
	return effect.kind != KIND_SET || may_match(pass, effect.at, 1u << effect.at);
}

/* The rows of an effect, over the slots they name. */
struct description {
	struct rg_rule *rules;
	struct rg_rule_predicate *predicates;
	uint32_t inputs[RG_RULE_COLUMNS_MAX]; /* a column: itself */
	uint16_t slots[RG_RULE_COLUMNS_MAX];  /* a column */
	struct rg_value terms;		      /* of numbers that are gathered: term -> result */
	struct rg_rules description;
};

static uint32_t column_of(struct description *to, uint16_t slot)
{
	uint32_t c = 0;

	while (c < to->description.column_count && to->slots[c] != slot)
		c++;
	if (c == RG_RULE_COLUMNS_MAX)
		return c;
	to->slots[c] = slot;
	to->inputs[c] = c;
	if (c == to->description.column_count)
		to->description.column_count++;
	return c;
}

/* The distinct terms of an effect, in the order of their results: ascending, or, that the least result
 * be that of the greatest term, descending. */
static void order_terms(struct pass *pass, uint32_t number, uint32_t effect, enum kind kind,
			struct description *to)
{
	struct rg_heap *heap = &pass->unit->heap;
	uint32_t count;

	to->terms = rg_object(heap, 0);
	for (uint32_t i = 0; i < pass->rows.count && kind != KIND_SET && kind != KIND_CHAIN; i++) {
		const struct row *row = RG_VECTOR_AT(pass->rows, struct row, i);

		if (row->group == number && row->effect == effect &&
		    !rg_object_insert(heap, to->terms, rg_int(row->value), rg_int(0)))
			rg_unit_no_memory(pass->unit);
	}
	count = rg_count(heap, to->terms);
	for (uint32_t i = 0; i < count; i++)
		rg_object_insert(heap, to->terms, rg_object_at(heap, to->terms, i).key,
				 rg_int(kind == KIND_MOST ? count - 1 - i : i));
}

/* What the table gives for a row. */
static uint32_t result_of(struct pass *pass, enum kind kind, const struct row *row,
			  const uint32_t *rank, struct description *to)
{
	struct rg_heap *heap = &pass->unit->heap;

	if (kind == KIND_CHAIN)
		return (uint32_t)row->value;
	if (kind == KIND_SET)
		return rank[row->value];
	return (uint32_t)rg_object_get(heap, to->terms, rg_int(row->value)).i;
}

static uint32_t count_results(const struct pass *pass, const struct group *group, enum kind kind,
			      const struct description *of)
{
	switch (kind) {
	case KIND_SET: return rg_count(&pass->unit->heap, pass->laying->t->bits);
	case KIND_SUM:
	case KIND_MOST:
	case KIND_LEAST:
	case KIND_ONE: return rg_count(&pass->unit->heap, of->terms);
	case KIND_CHAIN: return group->action_count;
	}
	return 0;
}

static bool describe_row(struct pass *pass, const struct row *row, struct rg_rule_predicate *to,
			 struct description *of)
{
	for (uint32_t n = 0; n < row->count; n++) {
		const struct predicate *predicate =
			RG_VECTOR_AT(pass->predicates, struct predicate, row->first + n);
		uint32_t column = column_of(of, predicate->slot);

		if (column == RG_RULE_COLUMNS_MAX)
			return false;
		to[n] = (struct rg_rule_predicate){
			.column = column,
			.holds_absent = predicate->known.absent,
			.interval_count = predicate->known.count,
			.intervals = predicate->known.count ? RG_VECTOR_AT(pass->ways.intervals,
									   struct rg_rule_interval,
									   predicate->known.first)
							    : NULL};
	}
	return true;
}

/* False if it has more columns than a table can have, or memory is out. */
static bool describe(struct pass *pass, uint32_t number, uint32_t effect, const uint32_t *rank,
		     struct description *to)
{
	const struct group *group = RG_VECTOR_AT(pass->groups, struct group, number);
	struct rg_rules *rules = &to->description;

	to->rules = calloc(group->row_count + 1, sizeof(*to->rules));
	to->predicates = calloc(pass->predicates.count + 1u, sizeof(*to->predicates));
	if (!to->rules || !to->predicates) {
		rg_unit_no_memory(pass->unit);
		return false;
	}
	order_terms(pass, number, effect, group->effects[effect].kind, to);
	for (uint32_t i = 0; i < pass->rows.count; i++) {
		const struct row *row = RG_VECTOR_AT(pass->rows, struct row, i);

		if (row->group != number || row->effect != effect)
			continue;
		to->rules[rules->rule_count++] = (struct rg_rule){
			result_of(pass, group->effects[effect].kind, row, rank, to), row->count,
			to->predicates + row->first};
		if (!describe_row(pass, row, to->predicates + row->first, to))
			return false;
	}
	rules->inputs = to->inputs;
	rules->input_count = RG_RULE_COLUMNS_MAX;
	rules->result_count = count_results(pass, group, group->effects[effect].kind, to);
	rules->rules = to->rules;
	return rules->rule_count >= ROWS_MIN && !pass->unit->status;
}

/* Put the table into the unit; returns its number among the typed tables. */
static uint32_t keep_table(struct pass *pass, const struct rg_rule_table *table)
{
	struct rg_vector *lines = &pass->unit->rule_tables;
	struct rg_typed_table *entry =
		rg_vector_add(pass->unit, &pass->unit->typed_tables, sizeof(*entry));

	if (!entry)
		return 0;
	*entry = (struct rg_typed_table){.kind = RG_TYPED_RULES,
					 .count = table->bytes /
						  (uint32_t)sizeof(struct rg_rule_line),
					 .first = lines->count};

	for (uint32_t at = 0; at < table->bytes; at += sizeof(struct rg_rule_line)) {
		void *line = rg_vector_add(pass->unit, lines, sizeof(struct rg_rule_line));

		if (!line)
			break;
		memcpy(line, (const uint8_t *)table + at, sizeof(struct rg_rule_line));
	}
	return pass->unit->typed_tables.count - 1;
}

/* ---- what takes the place of a group's instructions ---- */

struct script {
	struct rg_typed_instruction
		code[TARGETS_MAX * (2 * RG_RULE_COLUMNS_MAX + 2) + RG_WAY_WRITES_MAX + 2];
	uint32_t count;
};

static void say(struct script *script, struct rg_typed_instruction instruction)
{
	script->code[script->count++] = instruction;
}

/* The term of each result. */
static uint32_t terms_column(struct pass *pass, struct rg_value terms)
{
	struct rg_heap *heap = &pass->unit->heap;
	uint32_t count = rg_count(heap, terms), number = 0;
	int64_t *cells = calloc(count + 1u, sizeof(*cells));

	if (!cells) {
		rg_unit_no_memory(pass->unit);
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct rg_pair pair = rg_object_at(heap, terms, i);

		cells[pair.value.i] = pair.key.i;
	}
	number = rg_typed_column(pass->unit, cells, count);
	free(cells);
	return number;
}

static void say_write(struct pass *pass, const struct group *chain, uint32_t n, uint16_t action,
		      struct script *script)
{
	const struct action *actions =
		RG_VECTOR_AT(pass->actions, struct action, chain->first_action);
	struct rg_typed_instruction write = {.op = RG_TYPED_OP_CONSTANT,
					     .dst = actions->writes[n].slot,
					     .number = actions->writes[n].number};
	int64_t *cells = calloc(chain->action_count, sizeof(*cells));
	bool is_same = true;

	if (!cells) {
		rg_unit_no_memory(pass->unit);
		return;
	}
	for (uint32_t i = 0; i < chain->action_count; i++) {
		cells[i] = actions[i].writes[n].number;
		is_same = is_same && cells[i] == write.number;
	}
	if (!is_same)
		write = (struct rg_typed_instruction){
			.op = RG_TYPED_OP_COLUMN,
			.dst = write.dst,
			.a = action,
			.table = rg_typed_column(pass->unit, cells, chain->action_count)};
	say(script, write);
	free(cells);
}

/* Where in the policy the group's first row is. */
static uint32_t place_of(const struct pass *pass, const struct group *group)
{
	const struct rg_typed *t = pass->laying->t;

	return *RG_VECTOR_AT(t->places, uint32_t, group->begin - t->front.count);
}

/* That the slot, or what the front has made it of, fits: whatever the rows that asked for it. */
static void say_sign(const struct pass *pass, uint16_t slot, struct script *script)
{
	const struct rg_typed_instruction *maker = pass->ways.maker[slot];

	while (!pass->is_whole[slot] && maker && rg_typed_shapes[maker->op].a == 'S') {
		slot = maker->a;
		maker = pass->ways.maker[slot];
	}
	if (pass->is_whole[slot])
		say(script,
		    (struct rg_typed_instruction){.op = RG_TYPED_OP_NON_NEGATIVE, .a = slot});
}

static void say_match(struct pass *pass, const struct group *group, uint32_t effect,
		      const struct description *with, uint32_t table, struct script *script)
{
	struct rg_typed_instruction match = {.table = table,
					     .dst = group->effects[effect].at,
					     .target = place_of(pass, group)},
				    term;
	enum kind kind = group->effects[effect].kind;

	for (uint32_t i = 0; i < with->description.column_count; i++) {
		say_sign(pass, with->slots[i], script);
		say(script, (struct rg_typed_instruction){.op = RG_TYPED_OP_MATCH_INPUT,
							  .a = with->slots[i],
							  .number = i});
	}
	switch (kind) {
	case KIND_SET:
		match.op = RG_TYPED_OP_MATCH;
		say(script, match);
		break;
	case KIND_SUM:
		match.op = RG_TYPED_OP_MATCH_SUM;
		match.dst = rg_typed_slot(pass->laying->t);
		match.number = terms_column(pass, with->terms);
		say(script, match);
		say(script, (struct rg_typed_instruction){.op = RG_TYPED_OP_ADD,
							  .dst = group->effects[effect].at,
							  .a = group->effects[effect].at,
							  .b = match.dst});
		break;
	case KIND_MOST:
	case KIND_LEAST:
	case KIND_ONE:
		match.op = kind == KIND_ONE ? RG_TYPED_OP_MATCH_ONE : RG_TYPED_OP_MATCH_FIRST;
		match.dst = rg_typed_slot(pass->laying->t);
		say(script, match);
		term = (struct rg_typed_instruction){.op = RG_TYPED_OP_COLUMN,
						     .dst = rg_typed_slot(pass->laying->t),
						     .a = match.dst,
						     .table = terms_column(pass, with->terms)};
		say(script, term);
		say(script,
		    (struct rg_typed_instruction){.op = kind == KIND_MOST    ? RG_TYPED_OP_MAXIMUM
							: kind == KIND_LEAST ? RG_TYPED_OP_MINIMUM
									     : RG_TYPED_OP_AGREE,
						  .dst = group->effects[effect].at,
						  .a = group->effects[effect].at,
						  .b = term.dst});
		break;
	case KIND_CHAIN:
		match.op = RG_TYPED_OP_MATCH_FIRST;
		match.dst = rg_typed_slot(pass->laying->t);
		say(script, match);
		say(script, (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_DEFINED,
							  .a = match.dst,
							  .target = group->otherwise});
		for (uint32_t n = 0; n < group->write_count; n++)
			say_write(pass, group, n, match.dst, script);
		say(script,
		    (struct rg_typed_instruction){.op = RG_TYPED_OP_JUMP, .target = group->exit});
	}
}

/* Where `count` of the group's instructions lie together; UINT32_MAX: nowhere. */
static uint32_t room_for(const struct pass *pass, uint32_t number, uint32_t count)
{
	const struct group *group = RG_VECTOR_AT(pass->groups, struct group, number);
	uint32_t together = 0;

	for (uint32_t i = group->place_from; i < pass->laying->count; i++) {
		together = pass->group_of[i] == number + 1 ? together + 1 : 0;
		if (together == count)
			return i + 1 - count;
	}
	return UINT32_MAX;
}

/* Write the script over the group's instructions, from `place` on. */
static void replace(struct pass *pass, uint32_t number, const struct script *script, uint32_t place)
{
	struct rg_typed_laying *laying = pass->laying;

	for (uint32_t i = laying->t->front.count; i < laying->count; i++) {
		if (pass->group_of[i] != number + 1)
			continue;
		laying->kept[i] = i >= place && i - place < script->count;
		if (laying->kept[i])
			laying->code[i] = script->code[i - place];
	}
}

static bool make_table(struct pass *pass, uint32_t number, uint32_t effect, const uint32_t *rank,
		       struct script *script)
{
	const struct group *group = RG_VECTOR_AT(pass->groups, struct group, number);
	struct description description = {0};
	struct rg_rule_table *table = NULL;
	bool made = describe(pass, number, effect, rank, &description) &&
		    !rg_rule_table_build(&description.description, &table, NULL);

	if (made)
		say_match(pass, group, effect, &description, keep_table(pass, table), script);
	free(table);
	free(description.rules);
	free(description.predicates);
	return made;
}

static void make_tables(struct pass *pass, uint32_t number, const uint32_t *rank)
{
	const struct group *group = RG_VECTOR_AT(pass->groups, struct group, number);
	uint32_t tables = pass->unit->typed_tables.count, cells = pass->unit->typed_cells.count,
		 lines = pass->unit->rule_tables.count, place = UINT32_MAX;
	struct script script = {.count = 0};
	bool made = group->row_count >= ROWS_MIN;

	for (uint32_t i = 0; i < group->effect_count && made; i++)
		made = (group->effects[i].kind == KIND_CHAIN ||
			is_fit(pass, group, group->effects[i])) &&
		       make_table(pass, number, i, rank, &script);
	if (made)
		place = room_for(pass, number, script.count);
	if (place != UINT32_MAX) {
		replace(pass, number, &script, place);
		pass->laying->program->rule_count += group->row_count / group->effect_count;
		return;
	}
	pass->unit->typed_tables.count = tables;
	pass->unit->typed_cells.count = cells;
	pass->unit->rule_tables.count = lines;
}

/* Of a set there is one table: that of the group with most rows. */
static bool is_largest(const struct pass *pass, uint32_t number)
{
	const struct group *group = RG_VECTOR_AT(pass->groups, struct group, number);

	for (uint32_t i = 0; i < pass->groups.count; i++) {
		const struct group *other = RG_VECTOR_AT(pass->groups, struct group, i);

		for (uint32_t n = 0; n < group->effect_count * other->effect_count && i != number;
		     n++) {
			struct effect mine = group->effects[n % group->effect_count],
				      its = other->effects[n / group->effect_count];

			if (mine.kind == KIND_SET && its.kind == KIND_SET && mine.at == its.at &&
			    (other->row_count > group->row_count ||
			     (other->row_count == group->row_count && i < number)))
				return false;
		}
	}
	return true;
}

/* rank[bit as discovered]: its place in Rego's order. */
static uint32_t *rank_texts(struct rg_typed *t)
{
	uint32_t count = rg_count(&t->unit->heap, t->bits);
	uint32_t *rank = calloc(count + 1u, sizeof(*rank));

	for (uint32_t i = 0; rank && i < count; i++)
		rank[rg_object_at(&t->unit->heap, t->bits, i).value.i] = i;
	return rank;
}

bool rg_typed_make_tables(struct rg_typed_laying *laying)
{
	struct pass *pass = calloc(1, sizeof(*pass));
	uint32_t *rank = rank_texts(laying->t);

	if (!pass || !rank) {
		free(pass);
		free(rank);
		rg_unit_no_memory(laying->t->unit);
		return false;
	}
	pass->laying = laying;
	pass->unit = laying->t->unit;
	pass->group_of = calloc(laying->count + 1, sizeof(*pass->group_of));
	pass->earliest = calloc(laying->count + 1, sizeof(*pass->earliest));
	pass->is_cut = calloc(laying->count + 1, sizeof(*pass->is_cut));
	pass->is_doubtful = calloc(laying->count + 1, sizeof(*pass->is_doubtful));
	pass->at = calloc(STRETCH_MAX + 1, sizeof(*pass->at));
	rg_ways_begin(&pass->ways, laying);
	if (!pass->group_of || !pass->earliest || !pass->is_cut || !pass->is_doubtful ||
	    !pass->at) {
		rg_unit_no_memory(pass->unit);
	} else {
		find_doubts(pass);
		find_jumps(pass);
		find_uses(pass);
		find_rows(pass);
		for (uint32_t i = 0; i < pass->groups.count && !pass->unit->status; i++) {
			if (is_largest(pass, i))
				make_tables(pass, i, rank);
		}
	}
	rg_ways_end(&pass->ways);
	free(rank);
	free(pass->groups.items);
	free(pass->rows.items);
	free(pass->predicates.items);
	free(pass->actions.items);
	free(pass->group_of);
	free(pass->earliest);
	free(pass->is_cut);
	free(pass->is_doubtful);
	free(pass->at);
	free(pass);
	return !laying->t->unit->status;
}

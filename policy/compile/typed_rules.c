/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule tables out of a typed program: what many bodies add to a set under guards on the request
 * becomes rows of a table (image/rule_table.h), and one MATCH takes the place of their
 * instructions.
 *
 * All jumps go forward. Where none from before leads beyond, control comes by whatever happened: a
 * CUT. What lies between two cuts is a STRETCH: control enters at its first instruction and leaves
 * behind its last one. A stretch that holds nothing but guards on slots that the front writes, jumps
 * and additions to one set depends on nothing before it and may run anywhere; so all such stretches
 * of a set may run at once.
 *
 * A stretch is followed with what is known of each slot on each way through it: a set of integers,
 * absent among them. A guard is such a set, or its complement where it fails. Ways that meet and
 * differ in one slot are one. Where a way comes to an addition, what is known there is a row.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/rule_table_build.h"
#include "policy/compile/typed_lay.h"

/* Below, guards are faster. */
#define ROWS_MIN	64
#define STRETCH_MAX	256 /* instructions */
#define WAYS_MAX	16  /* that come to one instruction */
#define WAY_COLUMNS_MAX 24

/* Integers, as intervals in the pass's list, and whether absent is among them. */
struct some {
	uint32_t first, count;
	bool absent;
};

/* What is known on a way: of slots not named, nothing. */
struct way {
	uint32_t count;
	uint16_t slots[WAY_COLUMNS_MAX];
	struct some known[WAY_COLUMNS_MAX];
};

struct ways {
	uint32_t count;
	struct way ways[WAYS_MAX];
};

/* A row, in the pass's list. */
struct row {
	uint32_t set;
	int64_t bit;
	struct way way;
};

struct pass {
	struct rg_typed_laying *laying;
	struct rg_unit *unit;
	struct rg_vector intervals; /* struct rg_rule_interval */
	struct rg_vector rows;	    /* struct row */
	uint32_t *set_of;	    /* an instruction: set + 1 that its stretch adds rows to */
	struct ways *at;	    /* an instruction of the stretch; one more at the end */
	/* a slot of the front: the COLUMN that writes it, or NULL */
	const struct rg_typed_instruction *column[RG_TYPED_SLOTS_MADE_MAX];
	bool is_constant[RG_TYPED_SLOTS_MADE_MAX];
	int64_t constant[RG_TYPED_SLOTS_MADE_MAX];
	bool is_whole[RG_TYPED_SLOTS_MADE_MAX]; /* asked for by NON_NEGATIVE */
};

/* ---- sets of integers ---- */

static struct rg_rule_interval interval_at(const struct pass *pass, uint32_t i)
{
	return *RG_VECTOR_AT(pass->intervals, struct rg_rule_interval, i);
}

/* Add to the set made last. */
static void add_interval(struct pass *pass, struct some *some, int64_t low, int64_t high)
{
	struct rg_rule_interval *interval;

	if (low > high)
		return;
	if (some->count) {
		interval = RG_VECTOR_AT(pass->intervals, struct rg_rule_interval,
					some->first + some->count - 1);
		if (low <= interval->high || low - 1 == interval->high) {
			if (high > interval->high)
				interval->high = high;
			return;
		}
	}
	interval = rg_vector_add(pass->unit, &pass->intervals, sizeof(*interval));
	if (!interval)
		return;
	*interval = (struct rg_rule_interval){low, high};
	some->count++;
}

static struct some none(const struct pass *pass)
{
	return (struct some){.first = pass->intervals.count};
}

static struct some between(struct pass *pass, int64_t low, int64_t high)
{
	struct some some = none(pass);

	add_interval(pass, &some, low < RG_RULE_LOWEST ? RG_RULE_LOWEST : low, high);
	return some;
}

static struct some complement(struct pass *pass, struct some of)
{
	struct some some = none(pass);
	int64_t low = RG_RULE_LOWEST;

	some.absent = !of.absent;
	for (uint32_t i = 0; i < of.count; i++) {
		struct rg_rule_interval interval = interval_at(pass, of.first + i);

		if (low < interval.low)
			add_interval(pass, &some, low, interval.low - 1);
		if (interval.high == INT64_MAX)
			return some;
		low = interval.high + 1;
	}
	add_interval(pass, &some, low, INT64_MAX);
	return some;
}

static struct some intersection(struct pass *pass, struct some a, struct some b)
{
	struct some some = none(pass);

	some.absent = a.absent && b.absent;
	for (uint32_t i = 0, j = 0; i < a.count && j < b.count;) {
		struct rg_rule_interval x = interval_at(pass, a.first + i);
		struct rg_rule_interval y = interval_at(pass, b.first + j);

		add_interval(pass, &some, x.low > y.low ? x.low : y.low,
			     x.high < y.high ? x.high : y.high);
		i += x.high <= y.high;
		j += y.high <= x.high;
	}
	return some;
}

static struct some unified(struct pass *pass, struct some a, struct some b)
{
	struct some some = none(pass);
	uint32_t i = 0, j = 0;

	some.absent = a.absent || b.absent;
	while (i < a.count || j < b.count) {
		bool from_a =
			j == b.count || (i < a.count && interval_at(pass, a.first + i).low <=
								interval_at(pass, b.first + j).low);
		struct rg_rule_interval next =
			interval_at(pass, from_a ? a.first + i++ : b.first + j++);

		add_interval(pass, &some, next.low, next.high);
	}
	return some;
}

static bool is_same(const struct pass *pass, struct some a, struct some b)
{
	return a.absent == b.absent && a.count == b.count &&
	       (!a.count || !memcmp(RG_VECTOR_AT(pass->intervals, struct rg_rule_interval, a.first),
				    RG_VECTOR_AT(pass->intervals, struct rg_rule_interval, b.first),
				    a.count * sizeof(struct rg_rule_interval)));
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The keys of a map, of owner 0. */
static struct some keys_of(struct pass *pass, uint32_t number)
{
	const struct rg_typed_table *table =
		RG_VECTOR_AT(pass->unit->typed_tables, struct rg_typed_table, number);
	const struct rg_typed_map_slot *slots = (const struct rg_typed_map_slot *)RG_VECTOR_AT(
		pass->unit->typed_cells, int64_t, table->first);
	int64_t *keys = calloc(table->count, sizeof(*keys));
	struct some some = none(pass);
	uint32_t count = 0;

	if (!keys) {
		rg_unit_no_memory(pass->unit);
		return some;
	}
	for (uint32_t i = 0; i < table->count; i++) {
		if (slots[i].row && !slots[i].owner)
			keys[count++] = slots[i].key;
	}
	qsort(keys, count, sizeof(*keys), by_value);
	for (uint32_t i = 0; i < count; i++) {
		if (keys[i] == RG_TYPED_ABSENT)
			some.absent = true;
		else
			add_interval(pass, &some, keys[i], keys[i]);
	}
	free(keys);
	return some;
}

static struct some mask_of(struct pass *pass, int64_t mask)
{
	struct some some = none(pass);

	for (uint64_t rest = (uint64_t)mask; rest; rest &= rest - 1)
		add_interval(pass, &some, __builtin_ctzll(rest), __builtin_ctzll(rest));
	return some;
}

/* Rows of a column that hold something. */
static struct some rows_of(struct pass *pass, uint32_t number)
{
	const struct rg_typed_table *table =
		RG_VECTOR_AT(pass->unit->typed_tables, struct rg_typed_table, number);
	struct some some = none(pass);

	for (uint32_t i = 0; i < table->count; i++) {
		if (*RG_VECTOR_AT(pass->unit->typed_cells, int64_t, table->first + i) !=
		    RG_TYPED_ABSENT)
			add_interval(pass, &some, i, i);
	}
	return some;
}

/* a <op> number, where the undefined is less than all integers. `op` is one of those with a
 * number. */
static bool compared(struct pass *pass, uint32_t op, int64_t number, struct some *out)
{
	if (number < RG_RULE_LOWEST)
		return false;
	switch (op) {
	case RG_TYPED_OP_IF_EQ_NUMBER: *out = between(pass, number, number); return true;
	case RG_TYPED_OP_IF_NE_NUMBER:
		*out = complement(pass, between(pass, number, number));
		return true;
	case RG_TYPED_OP_IF_GE_NUMBER: *out = between(pass, number, INT64_MAX); return true;
	case RG_TYPED_OP_IF_LT_NUMBER:
		*out = complement(pass, between(pass, number, INT64_MAX));
		return true;
	case RG_TYPED_OP_IF_LE_NUMBER:
	case RG_TYPED_OP_IF_GT_NUMBER:
		*out = between(pass, RG_RULE_LOWEST, number);
		out->absent = true;
		if (op == RG_TYPED_OP_IF_GT_NUMBER)
			*out = complement(pass, *out);
		return true;
	default: return false;
	}
}

/* What slot a holds where the guard holds; false if that is no set of integers. */
static bool guarded(struct pass *pass, const struct rg_typed_instruction *guard, struct some *out)
{
	uint32_t op = guard->op;

	switch (op) {
	case RG_TYPED_OP_IF_DEFINED:
	case RG_TYPED_OP_IF_UNDEFINED:
		*out = between(pass, RG_RULE_LOWEST, INT64_MAX);
		if (op == RG_TYPED_OP_IF_UNDEFINED)
			*out = complement(pass, *out);
		return true;
	case RG_TYPED_OP_IF_IN_MASK: *out = mask_of(pass, guard->number); return true;
	case RG_TYPED_OP_IF_NOT_IN_MASK:
		*out = complement(pass, mask_of(pass, guard->number));
		return true;
	case RG_TYPED_OP_IF_FOUND: *out = keys_of(pass, guard->table); return true;
	case RG_TYPED_OP_IF_NOT_FOUND:
		*out = complement(pass, keys_of(pass, guard->table));
		return true;
	case RG_TYPED_OP_IF_EQ:
	case RG_TYPED_OP_IF_NE:
	case RG_TYPED_OP_IF_LT:
	case RG_TYPED_OP_IF_LE:
	case RG_TYPED_OP_IF_GT:
	case RG_TYPED_OP_IF_GE:
		return pass->is_constant[guard->b] &&
		       compared(pass, op - RG_TYPED_OP_IF_EQ + RG_TYPED_OP_IF_EQ_NUMBER,
				pass->constant[guard->b], out);
	default: return compared(pass, op, guard->number, out);
	}
}
static_assert(RG_TYPED_OP_IF_GE - RG_TYPED_OP_IF_EQ ==
		      RG_TYPED_OP_IF_GE_NUMBER - RG_TYPED_OP_IF_EQ_NUMBER,
	      "comparisons of slots and with numbers come in the same order");

/* ---- ways ---- */

/* The way where slot is also among `some`. False: nothing gets there, or there are too many
 * columns, which sets *full. */
static bool narrow(struct pass *pass, struct way *way, uint16_t slot, struct some some, bool *full)
{
	uint32_t i = 0;

	while (i < way->count && way->slots[i] != slot)
		i++;
	if (i < way->count) {
		some = intersection(pass, way->known[i], some);
	} else if (way->count == WAY_COLUMNS_MAX) {
		*full = true;
		return false;
	} else {
		way->count++;
	}
	way->slots[i] = slot;
	way->known[i] = some;
	return some.count || some.absent;
}

/* Make one of two ways that know different things of no more than one slot. */
static bool join(struct pass *pass, struct way *to, const struct way *from)
{
	uint32_t different = 0, where = 0;

	if (to->count != from->count)
		return false;
	for (uint32_t i = 0; i < to->count; i++) {
		if (to->slots[i] != from->slots[i])
			return false;
		if (!is_same(pass, to->known[i], from->known[i])) {
			different++;
			where = i;
		}
	}
	if (different > 1)
		return false;
	if (different)
		to->known[where] = unified(pass, to->known[where], from->known[where]);
	return true;
}

/* A way that comes to the instruction. False: there are too many. */
static bool arrive(struct pass *pass, struct ways *ways, const struct way *way)
{
	for (uint32_t i = 0; i < ways->count; i++) {
		if (join(pass, &ways->ways[i], way))
			return true;
	}
	if (ways->count == WAYS_MAX)
		return false;
	ways->ways[ways->count++] = *way;
	return true;
}

/* Take a way through a guard. Whether a column holds anything is a question of its row. */
static bool part(struct pass *pass, const struct rg_typed_instruction *guard, const struct way *way,
		 struct ways *next, struct ways *elsewhere)
{
	const struct rg_typed_instruction *column = pass->column[guard->a];
	struct way holds = *way, fails = *way;
	uint16_t slot = guard->a;
	bool full = false;
	struct some some;

	if (!pass->laying->t->in_front[slot])
		return false;
	if (column &&
	    (guard->op == RG_TYPED_OP_IF_DEFINED || guard->op == RG_TYPED_OP_IF_UNDEFINED)) {
		slot = column->a;
		some = rows_of(pass, column->table);
		if (guard->op == RG_TYPED_OP_IF_UNDEFINED)
			some = complement(pass, some);
	} else if (!guarded(pass, guard, &some)) {
		return false;
	}
	if (narrow(pass, &holds, slot, some, &full) && !arrive(pass, next, &holds))
		return false;
	if (!full && narrow(pass, &fails, slot, complement(pass, some), &full) &&
	    !arrive(pass, elsewhere, &fails))
		return false;
	return !full;
}

/* ---- stretches ---- */

static bool add_row(struct pass *pass, const struct rg_typed_instruction *add,
		    const struct way *way)
{
	struct row *row = rg_vector_add(pass->unit, &pass->rows, sizeof(*row));

	if (row)
		*row = (struct row){add->dst, add->number, *way};
	return row;
}

/* Follow all ways through the stretch [from, to). False if it is no stretch of rows; then the rows
 * that it added are to be dropped. */
static bool follow(struct pass *pass, uint32_t from, uint32_t to)
{
	const struct rg_typed_instruction *code = pass->laying->code;
	uint32_t set = 0;

	for (uint32_t i = from; i <= to; i++)
		pass->at[i - from].count = 0;
	pass->at[0].count = 1;
	pass->at[0].ways[0].count = 0;
	for (uint32_t i = from; i < to; i++) {
		struct ways *here = &pass->at[i - from], *next = here + 1;

		if (code[i].op == RG_TYPED_OP_NON_NEGATIVE) {
			if (!pass->laying->t->in_front[code[i].a])
				return false;
			pass->is_whole[code[i].a] = true; /* may be asked for in vain */
		} else if (code[i].op == RG_TYPED_OP_SET_ADD) {
			if (set && set != code[i].dst + 1u)
				return false;
			set = code[i].dst + 1u;
		} else if (!rg_typed_is_jump(&code[i]) && pass->laying->kept[i]) {
			return false;
		}
		for (uint32_t n = 0; n < here->count; n++) {
			const struct way *way = &here->ways[n];
			bool followed;

			if (!pass->laying->kept[i])
				followed = arrive(pass, next, way);
			else if (code[i].op == RG_TYPED_OP_JUMP)
				followed = arrive(pass, &pass->at[code[i].target - from], way);
			else if (rg_typed_is_jump(&code[i]))
				followed = part(pass, &code[i], way, next,
						&pass->at[code[i].target - from]);
			else
				followed = (code[i].op != RG_TYPED_OP_SET_ADD ||
					    add_row(pass, &code[i], way)) &&
					   arrive(pass, next, way);
			if (!followed)
				return false;
		}
	}
	for (uint32_t i = from; i < to && set; i++)
		pass->set_of[i] = set;
	return set;
}

/* Look at each stretch of the body. */
static void find_rows(struct pass *pass)
{
	const struct rg_typed_laying *laying = pass->laying;
	uint32_t from = laying->t->front.count, reach = from;

	for (uint32_t i = from; i < laying->count && !pass->unit->status; i++) {
		uint32_t rows = pass->rows.count;

		if (laying->kept[i] && rg_typed_is_jump(&laying->code[i]) &&
		    laying->code[i].target > reach)
			reach = laying->code[i].target;
		if (reach > i + 1)
			continue;
		if (i + 1 - from <= STRETCH_MAX && !follow(pass, from, i + 1))
			pass->rows.count = rows;
		from = i + 1;
	}
}

/* ---- tables ---- */

/* Is the set the result of rules of the verdict, and nothing else but counted? */
static bool is_result(const struct pass *pass, uint32_t set)
{
	const struct rg_typed_laying *laying = pass->laying;
	bool is_role = false;

	for (int role = 0; role < RG_ROLE_COUNT; role++)
		is_role |= laying->program->roles[role].kind == RG_TYPED_SET &&
			   laying->program->roles[role].at == set;
	for (uint32_t i = laying->t->front.count; i < laying->count && is_role; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];

		if (!laying->kept[i])
			continue;
		if (rg_typed_shapes[instruction->op].a == 'T' && instruction->a == set &&
		    instruction->op != RG_TYPED_OP_SET_COUNT)
			return false;
		if (instruction->op == RG_TYPED_OP_SET_UNITE && instruction->dst == set)
			return false;
	}
	return is_role;
}

/* The rules of a set, over the slots they name. */
struct description {
	struct rg_rule *rules;
	struct rg_rule_predicate *predicates;
	uint32_t inputs[RG_RULE_COLUMNS_MAX]; /* a column: itself */
	uint16_t slots[RG_RULE_COLUMNS_MAX];  /* a column */
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

/* False if it has more columns than a table can have, or memory is out. */
static bool describe(struct pass *pass, uint32_t set, const uint32_t *rank, struct description *to)
{
	struct rg_rules *rules = &to->description;
	uint32_t predicates = 0;

	to->rules = calloc(pass->rows.count + 1, sizeof(*to->rules));
	for (uint32_t i = 0; i < pass->rows.count; i++)
		predicates += RG_VECTOR_AT(pass->rows, struct row, i)->way.count;
	to->predicates = calloc(predicates + 1, sizeof(*to->predicates));
	if (!to->rules || !to->predicates) {
		rg_unit_no_memory(pass->unit);
		return false;
	}
	predicates = 0;
	for (uint32_t i = 0; i < pass->rows.count; i++) {
		const struct row *row = RG_VECTOR_AT(pass->rows, struct row, i);
		struct rg_rule *rule = &to->rules[rules->rule_count];

		if (row->set != set)
			continue;
		*rule = (struct rg_rule){rank[row->bit], row->way.count,
					 to->predicates + predicates};
		rules->rule_count++;
		for (uint32_t n = 0; n < row->way.count; n++) {
			struct some known = row->way.known[n];
			uint32_t column = column_of(to, row->way.slots[n]);

			if (column == RG_RULE_COLUMNS_MAX)
				return false;
			to->predicates[predicates++] = (struct rg_rule_predicate){
				.column = column,
				.holds_absent = known.absent,
				.interval_count = known.count,
				.intervals = RG_VECTOR_AT(pass->intervals, struct rg_rule_interval,
							  known.first)};
		}
	}
	rules->inputs = to->inputs;
	rules->input_count = RG_RULE_COLUMNS_MAX;
	rules->result_count = rg_count(&pass->unit->heap, pass->laying->t->bits);
	rules->rules = to->rules;
	return rules->rule_count >= ROWS_MIN;
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

/* Write the table's call over the instructions it stands for. */
static void replace(struct pass *pass, uint32_t set, const struct description *with, uint32_t table)
{
	struct rg_typed_laying *laying = pass->laying;
	uint32_t column = 0, whole = 0, columns = with->description.column_count;
	bool is_called = false;

	for (uint32_t i = laying->t->front.count; i < laying->count; i++) {
		struct rg_typed_instruction *instruction = &laying->code[i];

		if (pass->set_of[i] != set + 1)
			continue;
		while (whole < columns && !pass->is_whole[with->slots[whole]])
			whole++;
		laying->kept[i] = true;
		if (whole < columns) {
			*instruction = (struct rg_typed_instruction){.op = RG_TYPED_OP_NON_NEGATIVE,
								     .a = with->slots[whole++]};
		} else if (column < columns) {
			*instruction = (struct rg_typed_instruction){.op = RG_TYPED_OP_MATCH_INPUT,
								     .a = with->slots[column],
								     .number = column};
			column++;
		} else if (!is_called) {
			*instruction = (struct rg_typed_instruction){
				.op = RG_TYPED_OP_MATCH, .dst = (uint16_t)set, .table = table};
			is_called = true;
		} else {
			laying->kept[i] = false;
		}
	}
}

/* Instructions that a set's rows are made of. */
static uint32_t room_of(const struct pass *pass, uint32_t set)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < pass->laying->count; i++)
		count += pass->set_of[i] == set + 1;
	return count;
}

static void make_table(struct pass *pass, uint32_t set, const uint32_t *rank)
{
	struct description description = {0};
	struct rg_rule_table *table = NULL;

	if (is_result(pass, set) && describe(pass, set, rank, &description) &&
	    room_of(pass, set) > 2 * RG_RULE_COLUMNS_MAX &&
	    !rg_rule_table_build(&description.description, &table, NULL)) {
		replace(pass, set, &description, keep_table(pass, table));
		pass->laying->program->rule_count += description.description.rule_count;
	}
	free(table);
	free(description.rules);
	free(description.predicates);
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
	struct pass pass = {.laying = laying, .unit = laying->t->unit};
	uint32_t *rank = rank_texts(laying->t);

	pass.set_of = calloc(laying->count + 1, sizeof(*pass.set_of));
	pass.at = calloc(STRETCH_MAX + 1, sizeof(*pass.at));
	if (!rank || !pass.set_of || !pass.at) {
		rg_unit_no_memory(pass.unit);
	} else {
		for (uint32_t i = 0; i < laying->constant_count; i++) {
			uint16_t slot = laying->code[i].dst;

			pass.is_constant[slot] = laying->code[i].op == RG_TYPED_OP_CONSTANT;
			pass.constant[slot] = laying->code[i].number;
		}
		for (uint32_t i = laying->constant_count; i < laying->t->front.count; i++) {
			const struct rg_typed_instruction *made = &laying->code[i];

			if (made->op == RG_TYPED_OP_COLUMN && laying->t->in_front[made->a])
				pass.column[made->dst] = made;
		}
		find_rows(&pass);
		for (uint32_t set = 0; set < laying->t->set_count && !pass.unit->status; set++)
			make_table(&pass, set, rank);
	}
	free(rank);
	free(pass.set_of);
	free(pass.at);
	free(pass.intervals.items);
	free(pass.rows.items);
	return !pass.unit->status;
}

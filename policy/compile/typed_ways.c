/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of integers, guards as such sets, and ways through a typed program. See typed_ways.h. */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed_ways.h"

void rg_ways_begin(struct rg_ways_pass *pass, struct rg_typed_laying *laying)
{
	*pass = (struct rg_ways_pass){.laying = laying, .unit = laying->t->unit};
	for (uint32_t i = 0; i < laying->constant_count; i++) {
		uint16_t slot = laying->code[i].dst;

		pass->is_constant[slot] = laying->code[i].op == RG_TYPED_OP_CONSTANT;
		pass->constant[slot] = laying->code[i].number;
	}
	for (uint32_t i = laying->constant_count; i < laying->t->front.count; i++)
		pass->maker[laying->code[i].dst] = &laying->code[i];
	for (uint32_t i = laying->t->front.count; i < laying->count; i++) {
		if (laying->kept[i] && rg_typed_shapes[laying->code[i].op].dst == 'S')
			pass->last_write[laying->code[i].dst] = i;
	}
}

void rg_ways_end(struct rg_ways_pass *pass)
{
	free(pass->intervals.items);
}

/* ---- sets of integers ---- */

static struct rg_rule_interval interval_at(const struct rg_ways_pass *pass, uint32_t i)
{
	return *RG_VECTOR_AT(pass->intervals, struct rg_rule_interval, i);
}

/* Add to the set made last. */
static void add_interval(struct rg_ways_pass *pass, struct rg_some *some, int64_t low, int64_t high)
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

static struct rg_some none(const struct rg_ways_pass *pass)
{
	return (struct rg_some){.first = pass->intervals.count};
}

static struct rg_some between(struct rg_ways_pass *pass, int64_t low, int64_t high)
{
	struct rg_some some = none(pass);

	add_interval(pass, &some, low < RG_RULE_LOWEST ? RG_RULE_LOWEST : low, high);
	return some;
}

static struct rg_some complement(struct rg_ways_pass *pass, struct rg_some of)
{
	struct rg_some some = none(pass);
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

static struct rg_some intersection(struct rg_ways_pass *pass, struct rg_some a, struct rg_some b)
{
	struct rg_some some = none(pass);

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

static struct rg_some unified(struct rg_ways_pass *pass, struct rg_some a, struct rg_some b)
{
	struct rg_some some = none(pass);
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

static bool is_same(const struct rg_ways_pass *pass, struct rg_some a, struct rg_some b)
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
static struct rg_some keys_of(struct rg_ways_pass *pass, uint32_t number)
{
	const struct rg_typed_table *table =
		RG_VECTOR_AT(pass->unit->typed_tables, struct rg_typed_table, number);
	const struct rg_typed_map_slot *slots = (const struct rg_typed_map_slot *)RG_VECTOR_AT(
		pass->unit->typed_cells, int64_t, table->first);
	int64_t *keys = calloc(table->count, sizeof(*keys));
	struct rg_some some = none(pass);
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

static struct rg_some mask_of(struct rg_ways_pass *pass, int64_t mask)
{
	struct rg_some some = none(pass);

	for (uint64_t rest = (uint64_t)mask; rest; rest &= rest - 1)
		add_interval(pass, &some, __builtin_ctzll(rest), __builtin_ctzll(rest));
	return some;
}

static bool has(const struct rg_ways_pass *pass, struct rg_some some, int64_t number)
{
	if (number == RG_TYPED_ABSENT)
		return some.absent;
	for (uint32_t i = 0; i < some.count; i++) {
		struct rg_rule_interval interval = interval_at(pass, some.first + i);

		if (number >= interval.low && number <= interval.high)
			return true;
	}
	return false;
}

/* Rows for which a column has what is in the set. What is no row has nothing. */
static struct rg_some rows_with(struct rg_ways_pass *pass, struct rg_some cells, uint32_t number)
{
	const struct rg_typed_table *table =
		RG_VECTOR_AT(pass->unit->typed_tables, struct rg_typed_table, number);
	struct rg_some some = none(pass);

	some.absent = cells.absent;
	if (some.absent)
		add_interval(pass, &some, RG_RULE_LOWEST, -1);
	for (uint32_t i = 0; i < table->count; i++) {
		if (has(pass, cells,
			*RG_VECTOR_AT(pass->unit->typed_cells, int64_t, table->first + i)))
			add_interval(pass, &some, i, i);
	}
	if (some.absent)
		add_interval(pass, &some, table->count, INT64_MAX);
	return some;
}

/* The integers that are in the set when multiplied by 10^places: so a field that is compared at several
 * scales is one column. */
static struct rg_some unscaled(struct rg_ways_pass *pass, struct rg_some scaled, int64_t places)
{
	struct rg_some some = none(pass);
	int64_t by = 1;

	while (places--)
		by *= 10;
	some.absent = scaled.absent;
	for (uint32_t i = 0; i < scaled.count; i++) {
		struct rg_rule_interval interval = interval_at(pass, scaled.first + i);
		int64_t low = interval.low, high = interval.high;

		/* Division rounds towards zero; what is below or above all integers stays that. */
		if (low > RG_RULE_LOWEST)
			low = low / by + (low % by > 0);
		if (high < INT64_MAX)
			high = high / by - (high % by < 0);
		add_interval(pass, &some, low, high);
	}
	return some;
}

/* Is the guard's number the least or greatest that there is? Then what it says of numbers beyond is not
 * what unscaled() takes it for. */
static bool names_extreme(const struct rg_ways_pass *pass, const struct rg_typed_instruction *guard)
{
	int64_t number =
		rg_typed_shapes[guard->op].b == 'S' ? pass->constant[guard->b] : guard->number;

	return number <= RG_RULE_LOWEST || number == INT64_MAX;
}

/* a <op> number, where the undefined is less than all integers. `op` is one of those with a
 * number. */
static bool compared(struct rg_ways_pass *pass, uint32_t op, int64_t number, struct rg_some *out)
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
static bool guarded(struct rg_ways_pass *pass, const struct rg_typed_instruction *guard,
		    struct rg_some *out)
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
static bool narrow(struct rg_ways_pass *pass, struct rg_way *way, uint16_t slot,
		   struct rg_some some, bool *full)
{
	uint32_t i = 0;

	while (i < way->count && way->slots[i] != slot)
		i++;
	if (i < way->count) {
		some = intersection(pass, way->known[i], some);
	} else if (way->count == RG_WAY_COLUMNS_MAX) {
		*full = true;
		return false;
	} else {
		way->count++;
	}
	way->slots[i] = slot;
	way->known[i] = some;
	return some.count || some.absent;
}

static bool wrote_same(const struct rg_way *a, const struct rg_way *b)
{
	if (a->write_count != b->write_count)
		return false;
	for (uint32_t i = 0; i < a->write_count; i++) {
		if (a->writes[i].slot != b->writes[i].slot ||
		    a->writes[i].number != b->writes[i].number)
			return false;
	}
	return true;
}

/* Make one of two ways that know different things of no more than one slot. */
static bool join(struct rg_ways_pass *pass, struct rg_way *to, const struct rg_way *from)
{
	uint32_t different = 0, where = 0;

	if (to->count != from->count || !wrote_same(to, from))
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

bool rg_ways_may_ask(struct rg_ways_pass *pass, uint16_t slot)
{
	if (pass->laying->t->in_front[slot])
		return true;
	pass->asks_body = true;
	return pass->last_write[slot] && pass->last_write[slot] < pass->start;
}

bool rg_ways_arrive(struct rg_ways_pass *pass, struct rg_ways *ways, const struct rg_way *way)
{
	for (uint32_t i = 0; i < ways->count; i++) {
		if (join(pass, &ways->ways[i], way))
			return true;
	}
	if (ways->count == RG_WAYS_MAX)
		return false;
	ways->ways[ways->count++] = *way;
	return true;
}

/* Is what a column holds a question of its row? Whether it holds anything is; so is all of a short
 * one, as that of an enum's names, so that a field is one column however it is asked for. */
static bool asks_row(const struct rg_ways_pass *pass, const struct rg_typed_instruction *guard,
		     const struct rg_typed_instruction *column)
{
	return guard->op == RG_TYPED_OP_IF_DEFINED || guard->op == RG_TYPED_OP_IF_UNDEFINED ||
	       RG_VECTOR_AT(pass->unit->typed_tables, struct rg_typed_table, column->table)
			       ->count <= RG_TYPED_NAMES_MAX;
}

bool rg_ways_part(struct rg_ways_pass *pass, const struct rg_typed_instruction *guard,
		  const struct rg_way *way, struct rg_ways *next, struct rg_ways *elsewhere)
{
	const struct rg_typed_instruction *maker = pass->maker[guard->a];
	uint32_t made_by = maker ? maker->op : RG_TYPED_OP_COUNT;
	struct rg_way holds = *way, fails = *way;
	uint16_t slot = guard->a;
	bool full = false;
	struct rg_some some;

	if (!rg_ways_may_ask(pass, slot))
		return false;
	if (!guarded(pass, guard, &some))
		return false;
	if (made_by == RG_TYPED_OP_COLUMN && asks_row(pass, guard, maker)) {
		some = rows_with(pass, some, maker->table);
		slot = maker->a;
	} else if (made_by == RG_TYPED_OP_SCALE) {
		if (names_extreme(pass, guard))
			return false;
		some = unscaled(pass, some, maker->number);
		slot = maker->a;
	}
	if (narrow(pass, &holds, slot, some, &full) && !rg_ways_arrive(pass, next, &holds))
		return false;
	if (!full && narrow(pass, &fails, slot, complement(pass, some), &full) &&
	    !rg_ways_arrive(pass, elsewhere, &fails))
		return false;
	return !full;
}

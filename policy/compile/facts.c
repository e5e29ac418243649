/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about locals, and how they meet at labels. See lower.h. */
#include <string.h>

#include "policy/compile/lower.h"

/* Scratch a slot, valid while `stamp` is the lower's. */
struct rg_merge {
	uint32_t stamp;
	uint32_t seen; /* edges that brought a fact */
	struct rg_fact before, merged;
};

uint32_t rg_lower_slots(struct rg_lower *l, uint32_t count)
{
	uint32_t first = l->facts.count;

	for (uint32_t i = 0; i < count; i++) {
		struct rg_fact *fact = rg_vector_add(l->unit, &l->facts, sizeof(*fact));
		uint32_t *home = rg_vector_add(l->unit, &l->homes, sizeof(*home));
		struct rg_merge *mark = rg_vector_add(l->unit, &l->marks, sizeof(*mark));

		if (!fact || !home || !mark)
			break;
		fact->at_entry = true;
		*home = RG_NO_REGISTER;
	}
	return first;
}

static struct rg_fact *fact_at(const struct rg_lower *l, uint32_t slot)
{
	return RG_VECTOR_AT(l->facts, struct rg_fact, slot);
}

static struct rg_merge *mark_at(const struct rg_lower *l, uint32_t slot)
{
	return RG_VECTOR_AT(l->marks, struct rg_merge, slot);
}

struct rg_fact rg_lower_fact(const struct rg_lower *l, uint32_t slot)
{
	return *fact_at(l, slot);
}

void rg_lower_set_fact(struct rg_lower *l, uint32_t slot, struct rg_fact fact, bool on_trail)
{
	if (on_trail) {
		struct rg_change *change = rg_vector_add(l->unit, &l->trail, sizeof(*change));

		if (!change)
			return;
		*change = (struct rg_change){slot, *fact_at(l, slot)};
	}
	*fact_at(l, slot) = fact;
}

struct rg_label rg_lower_open(const struct rg_lower *l)
{
	return (struct rg_label){.trail = l->trail.count, .slots = l->facts.count};
}

/* The first time since `stamp` that the slot is met? */
static bool is_new(struct rg_lower *l, uint32_t slot, uint32_t stamp)
{
	struct rg_merge *mark = mark_at(l, slot);

	if (mark->stamp == stamp)
		return false;
	mark->stamp = stamp;
	return true;
}

/* How many slots below `slots` changed in [from, to) of the trail: each once, as edges name them. A
 * merge puts all of them on the trail again, so that a long chain of `else` has far more changes than
 * slots. */
static uint32_t count_changed(struct rg_lower *l, uint32_t from, uint32_t to, uint32_t slots)
{
	const struct rg_change *trail = l->trail.items;
	uint32_t count = 0;

	l->stamp++;
	for (uint32_t i = from; i < to; i++)
		count += trail[i].slot < slots && is_new(l, trail[i].slot, l->stamp);
	return count;
}

void rg_lower_edge(struct rg_lower *l, struct rg_label *label, uint32_t instruction)
{
	const struct rg_change *trail = l->trail.items;
	struct rg_edge *edge = rg_arena_alloc(&l->arena, sizeof(*edge));
	uint32_t room = count_changed(l, label->trail, l->trail.count, label->slots);

	if (!edge || !(edge->changes = rg_arena_array(&l->arena, room, sizeof(*edge->changes)))) {
		rg_unit_no_memory(l->unit);
		return;
	}
	edge->instruction = instruction;
	l->stamp++;
	for (uint32_t i = label->trail; i < l->trail.count; i++) {
		if (trail[i].slot < label->slots && is_new(l, trail[i].slot, l->stamp))
			edge->changes[edge->change_count++] =
				(struct rg_edge_change){trail[i].slot, *fact_at(l, trail[i].slot)};
	}
	edge->next = label->edges;
	label->edges = edge;
}

void rg_lower_jump(struct rg_lower *l, struct rg_label *label)
{
	if (!l->reachable)
		return;
	rg_lower_emit(l, RG_OP_JUMP);
	if (l->unit->status)
		return;
	rg_lower_edge(l, label, l->code.count - 1);
	l->reachable = false;
}

/* ---- merging ---- */

static bool same_fact(struct rg_fact a, struct rg_fact b)
{
	if (a.kind != b.kind)
		return false;
	if (a.kind == RG_FACT_UNDEFINED)
		return true;
	if (a.kind == RG_FACT_CONSTANT)
		return !memcmp(&a.value, &b.value, sizeof(a.value));
	return a.number == b.number;
}

/* Facts that disagree: the value is in the slot's home. */
static struct rg_fact merge_facts(struct rg_lower *l, uint32_t slot, struct rg_fact a,
				  struct rg_fact b)
{
	uint32_t home = *RG_VECTOR_AT(l->homes, uint32_t, slot);
	struct rg_fact merged;

	if (same_fact(a, b)) {
		a.maybe_undefined |= b.maybe_undefined;
		a.at_entry |= b.at_entry;
		a.from_data &= b.from_data;
		a.building = false;
		return a;
	}
	if (home == RG_NO_REGISTER) { /* a parameter that is assigned to: it is its own home */
		home = a.kind == RG_FACT_REGISTER ? a.number : b.number;
	}
	merged = rg_fact_register(home, false, !rg_fact_is_defined(a) || !rg_fact_is_defined(b));
	merged.shared = true;
	if ((a.kind == RG_FACT_UNDEFINED && a.at_entry) ||
	    (b.kind == RG_FACT_UNDEFINED && b.at_entry))
		*RG_VECTOR_AT(l->at_entry, bool, home) = true;
	return merged;
}

static void bring(struct rg_lower *l, uint32_t slot, struct rg_fact fact)
{
	struct rg_merge *mark = mark_at(l, slot);

	mark->merged = mark->seen ? merge_facts(l, slot, mark->merged, fact) : fact;
	mark->seen++;
}

/* Start a merge: note each slot that changed since the label was opened, with its fact at that
 * time. */
static void note_changed(struct rg_lower *l, const struct rg_label *label, uint32_t end)
{
	const struct rg_change *trail = l->trail.items;

	l->stamp++;
	for (uint32_t i = label->trail; i < end; i++) {
		struct rg_merge *mark = mark_at(l, trail[i].slot);

		if (trail[i].slot >= label->slots || mark->stamp == l->stamp)
			continue;
		mark->stamp = l->stamp;
		mark->seen = 0;
		mark->before = trail[i].before;
	}
}

static void merge_edge(struct rg_lower *l, const struct rg_edge *edge, uint32_t already)
{
	for (uint32_t i = 0; i < edge->change_count; i++) {
		if (mark_at(l, edge->changes[i].slot)->seen == already)
			bring(l, edge->changes[i].slot, edge->changes[i].fact);
	}
}

/* Slots that the edge did not change come with the fact from before. */
static void merge_rest(struct rg_lower *l, const struct rg_label *label, uint32_t end,
		       uint32_t already)
{
	const struct rg_change *trail = l->trail.items;

	for (uint32_t i = label->trail; i < end; i++) {
		struct rg_merge *mark = mark_at(l, trail[i].slot);

		if (trail[i].slot < label->slots && mark->seen == already)
			bring(l, trail[i].slot, mark->before);
	}
}

/* All facts of the straight line, which counts as one more edge. */
static void merge_line(struct rg_lower *l, const struct rg_label *label, uint32_t end)
{
	const struct rg_change *trail = l->trail.items;

	for (uint32_t i = label->trail; i < end; i++) {
		struct rg_merge *mark = mark_at(l, trail[i].slot);

		if (trail[i].slot < label->slots && !mark->seen)
			bring(l, trail[i].slot, *fact_at(l, trail[i].slot));
	}
}

/* If the code ends with a jump here, that jump is the straight line. */
static void absorb_jump(struct rg_lower *l, struct rg_label *label)
{
	struct rg_edge *edge = label->edges;
	const struct rg_instruction *last;

	if (l->reachable || !edge || !l->code.count || edge->instruction != l->code.count - 1)
		return;
	last = RG_VECTOR_AT(l->code, struct rg_instruction, l->code.count - 1);
	if (last->op != RG_OP_JUMP)
		return;
	label->edges = edge->next;
	l->code.count--;
	l->droppable.count--;
	/* The facts are still those of the jump: nothing was lowered after it. */
	for (uint32_t i = 0; i < edge->change_count; i++)
		rg_lower_set_fact(l, edge->changes[i].slot, edge->changes[i].fact, true);
	l->reachable = true;
}

void rg_lower_place(struct rg_lower *l, struct rg_label *label)
{
	uint32_t end, already = 0;

	if (l->failed_trial || l->unit->status)
		return;
	absorb_jump(l, label);
	if (!label->edges)
		return;
	end = l->trail.count;
	note_changed(l, label, end);
	if (l->reachable) {
		merge_line(l, label, end);
		already++;
	}
	for (const struct rg_edge *edge = label->edges; edge; edge = edge->next) {
		RG_VECTOR_AT(l->code, struct rg_instruction, edge->instruction)->target =
			l->code.count;
		merge_edge(l, edge, already);
		merge_rest(l, label, end, already);
		already++;
	}
	for (uint32_t i = label->trail; i < end; i++) {
		uint32_t slot = RG_VECTOR_AT(l->trail, struct rg_change, i)->slot;
		struct rg_merge *mark = mark_at(l, slot);

		if (slot >= label->slots || mark->stamp != l->stamp || !mark->seen)
			continue;
		mark->seen = 0;
		mark->stamp = 0;
		rg_lower_set_fact(l, slot, mark->merged, true);
	}
	label->edges = NULL;
	l->barrier = l->code.count;
	l->reachable = true;
}

/* ---- threading ---- */

static struct rg_fact fact_before(const struct rg_lower *l, const struct rg_label *label,
				  uint32_t slot)
{
	const struct rg_change *trail = l->trail.items;

	for (uint32_t i = label->trail; i < l->trail.count; i++) {
		if (trail[i].slot == slot)
			return trail[i].before;
	}
	return *fact_at(l, slot);
}

static struct rg_fact fact_on_edge(const struct rg_edge *edge, uint32_t slot, struct rg_fact before)
{
	for (uint32_t i = 0; i < edge->change_count; i++) {
		if (edge->changes[i].slot == slot)
			return edge->changes[i].fact;
	}
	return before;
}

/* Does the fact prove that the test fails? */
static bool proves(struct rg_fact fact, bool wanted)
{
	return wanted ? fact.kind == RG_FACT_UNDEFINED : rg_fact_is_defined(fact);
}

/* The edge leads to `to` now. What changed between the openings of the two labels belongs to its changes then; what changed in
 * calls that were inlined in between does not. */
static void move_edge(struct rg_lower *l, struct rg_edge *edge, const struct rg_label *from,
		      struct rg_label *to)
{
	const struct rg_change *trail = l->trail.items;
	uint32_t earlier = count_changed(l, to->trail, from->trail, to->slots), count = 0;
	struct rg_edge_change *changes =
		rg_arena_array(&l->arena, edge->change_count + earlier, sizeof(*changes));

	if (!changes) {
		rg_unit_no_memory(l->unit);
		return;
	}
	l->stamp++;
	for (uint32_t i = 0; i < edge->change_count; i++) {
		if (edge->changes[i].slot < to->slots && is_new(l, edge->changes[i].slot, l->stamp))
			changes[count++] = edge->changes[i];
	}
	for (uint32_t i = to->trail; i < from->trail; i++) {
		uint32_t slot = trail[i].slot;

		if (slot < to->slots && is_new(l, slot, l->stamp))
			changes[count++] = (struct rg_edge_change){
				slot, fact_on_edge(edge, slot, fact_before(l, from, slot))};
	}
	edge->changes = changes;
	edge->change_count = count;
	edge->next = to->edges;
	to->edges = edge;
}

void rg_lower_move_edges(struct rg_lower *l, struct rg_label *from, struct rg_label *to)
{
	while (from->edges && !l->unit->status) {
		struct rg_edge *edge = from->edges;

		from->edges = edge->next;
		move_edge(l, edge, from, to);
	}
}

void rg_lower_thread(struct rg_lower *l, struct rg_label *label, uint32_t slot, bool wanted,
		     struct rg_label *other)
{
	struct rg_fact before = fact_before(l, label, slot);
	struct rg_edge **link = &label->edges;

	absorb_jump(l, label);
	while (*link) {
		struct rg_edge *edge = *link;

		if (!proves(fact_on_edge(edge, slot, before), wanted)) {
			link = &edge->next;
			continue;
		}
		*link = edge->next;
		move_edge(l, edge, label, other);
	}
	if (l->reachable && proves(*fact_at(l, slot), wanted))
		rg_lower_jump(l, other);
}

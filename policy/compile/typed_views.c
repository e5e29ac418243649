/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that one rule finds and another goes over:
 *
 *	matching := [r | some r in data.limits; r.account == input.account_id]
 *	deny contains r.reason if { some r in matching; input.amount > r.max }
 *
 * No program has such arrays and objects. Where one is gone over, the code that makes it is translated once
 * more, and where it puts something in, a turn of the loop takes place instead. So the conditions of both
 * rules guard one effect, and many rows become those of a rule table.
 *
 * The code that makes it is the REGION: from its maker to behind what puts something in last, which all its
 * jumps stay in. It must rest on nothing that is computed before it, and do nothing else.
 */
#include "policy/compile/typed_views.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 8 /* until the types of homes stand still */

struct region {
	const struct rg_typed_source *source;
	uint32_t container; /* register */
	uint32_t from, to;
};

static bool puts_in(const struct rg_instruction *instruction, uint32_t container)
{
	return (instruction->op == RG_OP_ARRAY_APPEND || instruction->op == RG_OP_OBJECT_INSERT ||
		instruction->op == RG_OP_OBJECT_INSERT_ONCE) &&
	       instruction->dst == container;
}

/* From the maker to where all jumps from inside lead, and no loop goes on. */
static bool find_extent(struct region *region)
{
	const struct rg_instruction *code = region->source->code;
	uint32_t to = region->from;

	for (uint32_t i = region->from; i < region->source->count; i++) {
		if (puts_in(&code[i], region->container))
			to = i + 1;
	}
	for (uint32_t i = region->from; i < to && to < region->source->count; i++) {
		if (code[i].op != RG_OP_LOOP && code[i].target != RG_NO_TARGET &&
		    code[i].target > to)
			to = code[i].target;
	}
	for (uint32_t i = to; i < region->source->count; i++) {
		if (code[i].op == RG_OP_LOOP && code[i].target < to)
			return false;
	}
	region->to = to;
	return to > region->from && to < region->source->count;
}

static bool is_written(const bool *written, uint32_t operand)
{
	return operand & RG_OPERAND_CONSTANT || written[operand];
}

/* Does the instruction ask only for what the region has computed, and change only what it has made? */
static bool is_closed(const struct region *region, const struct rg_instruction *instruction,
		      const bool *written)
{
	const struct rg_op_shape *shape = &rg_op_shapes[instruction->op];

	if (instruction->op == RG_OP_RETURN || instruction->op == RG_OP_RETURN_UNDEFINED ||
	    instruction->op == RG_OP_ASSIGN_ONCE ||
	    ((shape->a == 'O' || shape->a == 'R') && !is_written(written, instruction->a)) ||
	    (shape->b == 'O' && !is_written(written, instruction->b)) ||
	    (shape->dst == 'E' && !written[instruction->dst]))
		return false;
	for (uint32_t i = 0; i < rg_operand_count(instruction); i++) {
		if (!is_written(written, region->source->operands[instruction->c + i]))
			return false;
	}
	return true;
}

static bool find_region(const struct rg_typed_context *c, struct rg_typed_fact fact,
			struct region *region)
{
	const struct rg_typed_container *container = rg_typed_container_of(c, fact);
	bool *written, is = true;

	*region =
		(struct region){.source = container->source,
				.container = container->maker->dst,
				.from = (uint32_t)(container->maker - container->source->code) + 1};
	if (container->maker->op == RG_OP_CLONE || !find_extent(region))
		return false;
	written = calloc(region->source->register_count + 1, sizeof(*written));
	if (!written) {
		rg_unit_no_memory(c->typed->unit);
		return false;
	}
	written[region->container] = true;
	for (uint32_t i = region->from; i < region->to && is; i++) {
		const struct rg_instruction *instruction = &region->source->code[i];

		is = is_closed(region, instruction, written);
		if (rg_op_shapes[instruction->op].dst == 'R')
			written[instruction->dst] = true;
		if (instruction->op == RG_OP_NEXT)
			written[instruction->b] = true;
	}
	free(written);
	return is;
}

bool rg_typed_is_view(const struct rg_typed_context *c, struct rg_typed_fact fact)
{
	struct region region;

	for (const struct rg_typed_context *around = c; around; around = around->caller) {
		if (around->viewer && around->viewer->fact.number == fact.number)
			return false; /* it is being gone over */
	}
	return (fact.kind == RG_TYPED_IS_ARRAY || fact.kind == RG_TYPED_IS_OBJECT) &&
	       find_region(c, fact, &region);
}

static void translate_region(struct rg_typed_context *p, const struct region *region)
{
	p->stamp = ++p->typed->stamps;
	p->reachable = true;
	p->types_changed = false;
	p->waiting = p->left_label = 0;
	p->fixups.count = p->pending.count = p->free_fixups = 0;
	p->label_count = region->source->count + 2;
	rg_typed_write(p, region->container, (struct rg_typed_fact){.kind = RG_TYPED_IS_UNTYPED});
	rg_typed_range(p, region->from, region->to);
	rg_typed_place(p, region->to);
}

void rg_typed_over_view(struct rg_typed_context *c, const struct rg_typed_viewer *viewer)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_context p = {.typed = t, .caller = c};
	const struct rg_typed_mark mark = rg_typed_mark(t);
	uint32_t attempts = 0, place = t->place;
	struct region region;

	if (!find_region(c, viewer->fact, &region))
		return;
	p.source = region.source;
	if (rg_typed_make_room(&p)) {
		do { /* to see the types of homes */
			rg_typed_take_back(&p, &mark);
			p.viewer = &(struct rg_typed_viewer){.fact = viewer->fact,
							     .container = region.container};
			translate_region(&p, &region);
		} while (p.types_changed && ++attempts < ATTEMPTS_MAX && !t->full &&
			 !t->unit->status);
		rg_typed_take_back(&p, &mark);
		p.viewer = &(struct rg_typed_viewer){.fact = viewer->fact,
						     .container = region.container,
						     .context = c,
						     .turn = viewer->turn,
						     .of = viewer->of};
		translate_region(&p, &region);
		t->full |= p.types_changed;
		c->reachable = p.reachable;
	}
	c->stamp = ++t->stamps;
	t->place = place;
	rg_typed_free_room(&p);
}

bool rg_typed_view_put(struct rg_typed_context *p)
{
	const struct rg_instruction *instruction = p->instruction;
	const struct rg_typed_viewer *viewer = p->viewer;
	struct rg_typed_fact key = {.kind = RG_TYPED_IS_UNTYPED}, value;
	struct rg_typed_context *c;

	if (!viewer || instruction->dst != viewer->container)
		return false;
	if (!rg_typed_required(p, instruction->a, &value))
		return true;
	if (instruction->op != RG_OP_ARRAY_APPEND) {
		key = value;
		if (!rg_typed_required(p, instruction->b, &value))
			return true;
	}
	c = viewer->context;
	if (!c) /* only types are of interest */
		return true;
	c->reachable = true;
	c->stamp = ++c->typed->stamps;
	viewer->turn(c, viewer->of, key, value);
	c->stamp = ++c->typed->stamps;
	p->reachable = c->reachable;
	return true;
}

/* ---- looking up ---- */

/* What is looked for, and how what is found is kept. */
struct search {
	struct rg_typed_fact key;
	struct rg_typed_fact
		type;	       /* of the slot that what is found goes to; NOTHING: it is known */
	uint32_t found;	       /* label */
	struct rg_value value; /* that was found under a known key */
	bool failed;
};

/* The type that holds all that the object may have. False: there is none. */
static bool type_of_values(struct rg_typed *t, struct rg_value object, struct rg_typed_fact *type)
{
	struct rg_heap *heap = &t->unit->heap;
	int64_t mantissa;
	uint8_t scale;

	*type = (struct rg_typed_fact){0};
	for (uint32_t i = 0; i < rg_count(heap, object); i++) {
		struct rg_value v = rg_object_at(heap, object, i).value;
		enum rg_typed_kind kind = v.type == RG_NUMBER	 ? RG_TYPED_IS_INTEGER
					  : v.type == RG_STRING	 ? RG_TYPED_IS_TEXT
					  : v.type == RG_BOOLEAN ? RG_TYPED_IS_TRUTH
								 : RG_TYPED_IS_NOTHING;

		if (kind == RG_TYPED_IS_NOTHING || (i && type->kind != kind) ||
		    rg_typed_is_made(heap, v) ||
		    (kind == RG_TYPED_IS_INTEGER && !rg_typed_decimal(t, v, &mantissa, &scale)))
			return false;
		type->kind = (uint8_t)kind;
		if (kind == RG_TYPED_IS_INTEGER && scale > type->scale)
			type->scale = scale;
	}
	return type->kind != RG_TYPED_IS_NOTHING;
}

static void turn_of_search(struct rg_typed_context *c, const void *of, struct rg_typed_fact key,
			   struct rg_typed_fact value)
{
	struct search *search = (struct search *)(uintptr_t)of;
	struct rg_heap *heap = &c->typed->unit->heap;
	uint32_t other = rg_typed_label(c);
	int64_t number = 0;

	if (key.kind != RG_TYPED_IS_KNOWN || value.kind != RG_TYPED_IS_KNOWN) {
		search->failed = true;
		return;
	}
	if (search->key.kind == RG_TYPED_IS_KNOWN) {
		if (!rg_equal(heap, search->key.value, key.value))
			return;
		search->value = value.value;
		rg_typed_jump(c, search->found);
		return;
	}
	if (!rg_typed_number_of(c, search->type, value.value, &number)) {
		search->failed = true;
		return;
	}
	rg_typed_compare(c, RG_EQ, search->key, key, other);
	if (c->reachable) {
		rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT,
								      .dst = search->type.slot,
								      .number = number});
		rg_typed_jump(c, search->found);
	}
	rg_typed_place(c, other);
}

bool rg_typed_dot_of_view(struct rg_typed_context *c, struct rg_typed_fact from,
			  struct rg_typed_fact key)
{
	struct search search = {.key = key, .found = rg_typed_label(c)};
	bool is_known = key.kind == RG_TYPED_IS_KNOWN;

	if (from.kind != RG_TYPED_IS_OBJECT || rg_typed_type(&key) == RG_UNDEFINED ||
	    (c->instruction->aux && rg_typed_type(&key) == RG_NUMBER) ||
	    key.kind == RG_TYPED_IS_MADE || !rg_typed_is_view(c, from))
		return false;
	if (!is_known) {
		if (!type_of_values(c->typed, rg_typed_container_of(c, from)->value, &search.type))
			return false;
		search.type.slot = rg_typed_slot(c->typed);
	}
	rg_typed_over_view(
		c, &(struct rg_typed_viewer){.fact = from, .turn = turn_of_search, .of = &search});
	if (search.failed)
		c->typed->full = true;
	if (c->reachable)
		rg_typed_jump(c, c->instruction->target);
	rg_typed_place(c, search.found);
	if (c->reachable)
		rg_typed_write(c, c->instruction->dst,
			       is_known ? rg_typed_constant(search.value) : search.type);
	return true;
}

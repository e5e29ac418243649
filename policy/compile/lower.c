/* SPDX-License-Identifier: Apache-2.0 */
/* The statements. See lower.h. */
#include "policy/compile/lower.h"

#include <stdlib.h>
#include <string.h>

#include "policy/compile/fields.h"
#include "policy/eval/data_path.h"
#include "policy/eval/number.h"

/* Rules that refer to rules are tried for constants this deep. */
#define TRIAL_DEPTH 64

/* ---- locals ---- */

static uint32_t slot_of(const struct rg_lower *l, uint32_t local)
{
	return l->context->slots + local;
}

static uint8_t flags_of(const struct rg_lower *l, uint32_t local)
{
	return l->context->locals[local];
}

/* Does the current statement's assignment to `local` escape? */
static bool escapes(const struct rg_lower *l, uint32_t local)
{
	const struct rg_plan_statement *statement = l->statement;

	if (statement->type == RG_STATEMENT_SCAN)
		return statement->assignment &
		       (local == statement->key ? RG_KEY_ESCAPES : RG_VALUE_ESCAPES);
	return statement->assignment & RG_TARGET_ESCAPES;
}

static uint32_t home_of(struct rg_lower *l, uint32_t local)
{
	uint32_t slot = slot_of(l, local);
	uint32_t home = *RG_VECTOR_AT(l->homes, uint32_t, slot);

	if (home == RG_NO_REGISTER) {
		home = rg_lower_register(l, true);
		*RG_VECTOR_AT(l->homes, uint32_t, slot) = home;
	}
	return home;
}

static struct rg_fact home_fact(struct rg_lower *l, uint32_t local, bool maybe_undefined)
{
	struct rg_fact fact = rg_fact_register(
		home_of(l, local), !(flags_of(l, local) & RG_LOCAL_STORED_TWICE), maybe_undefined);

	fact.shared = true;
	return fact;
}

/* The local keeps its value, but more is known of it. */
static void refine(struct rg_lower *l, uint32_t local, struct rg_fact fact)
{
	rg_lower_set_fact(l, slot_of(l, local), fact, fact.shared);
}

static struct rg_value string_value(struct rg_unit *unit, uint32_t index)
{
	const struct rg_plan_text *text = &unit->plan->strings[index];

	if (!rg_is_defined(unit->strings[index])) {
		unit->strings[index] = rg_string(&unit->heap, text->text, text->bytes);
		if (unit->heap.exhausted)
			rg_unit_no_memory(unit);
	}
	return unit->strings[index];
}

struct rg_fact rg_lower_use(struct rg_lower *l, struct rg_plan_operand operand)
{
	struct rg_fact fact;

	if (operand.kind == RG_PLAN_BOOLEAN)
		return rg_fact_constant(rg_boolean(operand.value));
	if (operand.kind == RG_PLAN_STRING)
		return rg_fact_constant(string_value(l->unit, operand.value));
	fact = rg_lower_fact(l, slot_of(l, operand.value));
	if (fact.building) { /* seen from now on: what changes it later changes a copy, so that no constant holds itself */
		fact.building = false;
		rg_lower_set_fact(l, slot_of(l, operand.value), fact, false);
	}
	return fact;
}

uint32_t rg_lower_target(struct rg_lower *l, uint32_t local)
{
	return escapes(l, local) ? home_of(l, local) : rg_lower_register(l, false);
}

void rg_lower_assigned(struct rg_lower *l, uint32_t local, uint32_t register_number)
{
	struct rg_fact fact = escapes(l, local) ? home_fact(l, local, false)
						: rg_fact_register(register_number, true, false);

	rg_lower_set_fact(l, slot_of(l, local), fact, escapes(l, local));
}

/* Store the fact in a register. */
static void store(struct rg_lower *l, uint32_t to, struct rg_fact fact)
{
	struct rg_instruction *instruction;
	uint32_t operand;

	if (fact.kind == RG_FACT_REGISTER && fact.number == to)
		return;
	if (fact.kind == RG_FACT_UNDEFINED) {
		rg_lower_emit_droppable(l, RG_OP_RESET)->dst = to;
		return;
	}
	operand = rg_lower_operand(l, fact);
	instruction = rg_lower_emit_droppable(l, RG_OP_MOVE);
	instruction->dst = to;
	instruction->a = operand;
}

void rg_lower_assign(struct rg_lower *l, uint32_t local, struct rg_fact fact)
{
	uint32_t to;

	fact.building = false;
	fact.at_entry = false;
	fact.from_data = false;
	fact.shared = escapes(l, local);
	if (!l->reachable)
		return;
	if (!fact.shared) {
		if (fact.kind == RG_FACT_REGISTER && !fact.stable) {
			to = rg_lower_register(l, false);
			store(l, to, fact);
			fact.number = to;
			fact.stable = true;
		}
		rg_lower_set_fact(l, slot_of(l, local), fact, false);
		return;
	}
	store(l, home_of(l, local), fact);
	if (fact.kind == RG_FACT_REGISTER || fact.kind == RG_FACT_TEST)
		fact = home_fact(l, local, fact.kind == RG_FACT_REGISTER && fact.maybe_undefined);
	rg_lower_set_fact(l, slot_of(l, local), fact, true);
}

/* ---- values ---- */

/* data.x[2] finds the key "2": OPA reads base documents by paths of strings. obj := data.x; obj[2] does not.
 * Source: OPA v1/storage/path.go, NewPathForRef. */
static struct rg_value dot_constant(struct rg_heap *heap, struct rg_fact source,
				    struct rg_value key)
{
	struct rg_value found = rg_dot(heap, source.value, key);

	if (rg_is_defined(found) || !source.from_data || source.value.type != RG_OBJECT)
		return found;
	return rg_dot_number_text(heap, source.value, key);
}

static void mark_from_data(struct rg_lower *l, uint32_t local)
{
	struct rg_fact fact = rg_lower_fact(l, slot_of(l, local));

	fact.from_data = true;
	refine(l, local, fact);
}

static void lower_dot(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact source = rg_lower_use(l, statement->a), key = rg_lower_use(l, statement->b);
	struct rg_instruction *instruction;
	const struct rg_image_node *node;
	struct rg_value found;
	uint32_t child, a, b, to;

	if (!rg_lower_require(l, &source) || !rg_lower_require(l, &key))
		return;
	if (source.kind == RG_FACT_CONSTANT && key.kind == RG_FACT_CONSTANT) {
		found = dot_constant(&l->unit->heap, source, key.value);
		if (!rg_is_defined(found)) {
			rg_lower_fail(l);
			return;
		}
		rg_lower_assign(l, statement->target, rg_fact_constant(found));
		if (source.from_data)
			mark_from_data(l, statement->target);
		return;
	}
	if (source.kind == RG_FACT_NODE && key.kind == RG_FACT_CONSTANT) {
		node = rg_field_child(l->unit, source.number, key.value, &child);
		if (!node) {
			rg_lower_fail(l);
		} else if (node->field == RG_IMAGE_NO_FIELD) {
			rg_lower_assign(l, statement->target,
					(struct rg_fact){.kind = RG_FACT_NODE, .number = child});
		} else {
			child = node->field;
			rg_field_require(l, child);
			rg_lower_assign(l, statement->target,
					(struct rg_fact){.kind = RG_FACT_FIELD, .number = child});
		}
		return;
	}
	a = rg_lower_operand(l, source);
	b = rg_lower_operand(l, key);
	to = rg_lower_target(l, statement->target);
	instruction = rg_lower_emit(l, RG_OP_DOT);
	instruction->dst = to;
	instruction->a = a;
	instruction->b = b;
	instruction->aux = source.from_data;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, statement->target, to);
	if (source.from_data)
		mark_from_data(l, statement->target);
}

static void lower_length(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact source = rg_lower_use(l, statement->a);
	struct rg_instruction *instruction;
	uint32_t a, to;

	if (!rg_lower_require(l, &source))
		return;
	if (source.kind == RG_FACT_CONSTANT && source.value.type >= RG_ARRAY) {
		rg_lower_assign(l, statement->target,
				rg_fact_constant(rg_int(rg_count(&l->unit->heap, source.value))));
		return;
	}
	a = rg_lower_operand(l, source);
	to = rg_lower_target(l, statement->target);
	instruction = rg_lower_emit(l, RG_OP_LENGTH);
	instruction->dst = to;
	instruction->a = a;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, statement->target, to);
}

/* Does the statement give a single-valued rule its value? */
static bool gives_value(const struct rg_lower *l, const struct rg_plan_statement *statement)
{
	return l->context->shape.is_single_valued &&
	       statement->type == RG_STATEMENT_ASSIGN_VAR_ONCE &&
	       statement->target == l->context->shape.value;
}

static void lower_assign_once(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact source = rg_lower_use(l, statement->a);
	struct rg_fact old = rg_lower_fact(l, slot_of(l, statement->target));
	struct rg_instruction *instruction;
	uint32_t operand, to;

	if (!rg_lower_require(l, &source))
		return;
	if (gives_value(l, statement)) { /* nothing else that this body does can matter */
		rg_lower_assign(l, statement->target, source);
		rg_lower_mark_done(l, statement);
		rg_lower_jump(l, l->labels[l->context->body_label]);
		return;
	}
	if (old.kind == RG_FACT_UNDEFINED) {
		rg_lower_assign(l, statement->target, source);
		return;
	}
	if (old.kind == RG_FACT_CONSTANT && source.kind == RG_FACT_CONSTANT &&
	    rg_equal(&l->unit->heap, old.value, source.value))
		return;
	if (escapes(l, statement->target)) {
		to = home_of(l, statement->target);
	} else {
		to = rg_lower_register(l, true);
		store(l, to, old);
	}
	operand = rg_lower_operand(l, source);
	instruction = rg_lower_emit(l, RG_OP_ASSIGN_ONCE);
	instruction->dst = to;
	instruction->a = operand;
	instruction->aux = l->context->is_user_function;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, statement->target, to);
}

static void lower_merge(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact a = rg_lower_use(l, statement->a), b = rg_lower_use(l, statement->b);
	struct rg_instruction *instruction;
	uint32_t a_operand, b_operand, to;

	if (!rg_lower_require(l, &a) || !rg_lower_require(l, &b))
		return;
	a_operand = rg_lower_operand(l, a);
	b_operand = rg_lower_operand(l, b);
	to = rg_lower_target(l, statement->target);
	instruction = rg_lower_emit(l, RG_OP_OBJECT_MERGE);
	instruction->dst = to;
	instruction->a = a_operand;
	instruction->b = b_operand;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, statement->target, to);
}

/* ---- containers under construction ---- */

static const enum rg_op make_ops[] = {
	[RG_ARRAY] = RG_OP_MAKE_ARRAY, [RG_OBJECT] = RG_OP_MAKE_OBJECT, [RG_SET] = RG_OP_MAKE_SET};

/* As long as everything that goes into it is constant, and it grows in the block that made it, a container is
 * built by the compiler. */
static void lower_make(struct rg_lower *l, const struct rg_plan_statement *statement,
		       enum rg_value_type type, int64_t capacity)
{
	struct rg_instruction *instruction;
	struct rg_fact fact = {.kind = RG_FACT_CONSTANT, .building = true, .block = l->block};
	struct rg_heap *heap = &l->unit->heap;
	uint32_t to;

	if (!(statement->assignment & (RG_BUILT_ELSEWHERE | RG_TARGET_ESCAPES))) {
		fact.value = type == RG_ARRAY	 ? rg_array(heap, 0)
			     : type == RG_OBJECT ? rg_object(heap, 0)
						 : rg_set(heap, 0);
		if (heap->exhausted)
			rg_unit_no_memory(l->unit);
		rg_lower_set_fact(l, slot_of(l, statement->target), fact, false);
		return;
	}
	to = rg_lower_target(l, statement->target);
	instruction = rg_lower_emit_droppable(l, make_ops[type]);
	instruction->dst = to;
	instruction->aux = (uint16_t)(capacity < 0 ? 0 : capacity > 1024 ? 1024 : capacity);
	rg_lower_assigned(l, statement->target, to);
}

static bool insert_now(struct rg_heap *heap, const struct rg_plan_statement *statement,
		       struct rg_value container, struct rg_fact value, struct rg_fact key)
{
	struct rg_value old;

	if (value.kind != RG_FACT_CONSTANT)
		return false;
	switch (statement->type) {
	case RG_STATEMENT_ARRAY_APPEND:
		return container.type == RG_ARRAY && rg_array_append(heap, container, value.value);
	case RG_STATEMENT_SET_ADD:
		return container.type == RG_SET && rg_set_add(heap, container, value.value);
	default:
		if (container.type != RG_OBJECT || key.kind != RG_FACT_CONSTANT)
			return false;
		old = rg_object_get(heap, container, key.value);
		if (statement->type == RG_STATEMENT_OBJECT_INSERT_ONCE && rg_is_defined(old))
			return rg_equal(heap, old, value.value);
		return rg_object_insert(heap, container, key.value, value.value);
	}
}

/* The register of the container that a statement changes, or RG_NO_REGISTER if there is none. */
static uint32_t container_register(struct rg_lower *l, uint32_t local)
{
	struct rg_fact fact = rg_lower_fact(l, slot_of(l, local));
	struct rg_instruction *instruction;
	uint32_t to, operand;

	if (fact.kind == RG_FACT_REGISTER)
		return fact.number;
	if (fact.kind != RG_FACT_CONSTANT || fact.value.type < RG_ARRAY)
		return RG_NO_REGISTER;
	to = fact.shared ? home_of(l, local) : rg_lower_register(l, false);
	if (rg_count(&l->unit->heap, fact.value)) {
		operand = rg_lower_operand(l, fact);
		instruction = rg_lower_emit_droppable(l, RG_OP_CLONE);
		instruction->a = operand;
	} else {
		instruction = rg_lower_emit_droppable(l, make_ops[fact.value.type]);
	}
	instruction->dst = to;
	refine(l, local,
	       fact.shared ? home_fact(l, local, false) : rg_fact_register(to, true, false));
	return to;
}

static void lower_insert(struct rg_lower *l, const struct rg_plan_statement *statement,
			 enum rg_op op)
{
	bool keyed = op == RG_OP_OBJECT_INSERT || op == RG_OP_OBJECT_INSERT_ONCE;
	struct rg_fact value = rg_lower_use(l, statement->a), key = {0}, container;
	struct rg_instruction *instruction;
	uint32_t a, b = 0, to;

	if (!rg_lower_require(l, &value))
		return;
	if (keyed) {
		key = rg_lower_use(l, statement->b);
		if (!rg_lower_require(l, &key))
			return;
	}
	container = rg_lower_fact(l, slot_of(l, statement->target));
	if (container.kind == RG_FACT_CONSTANT && container.building &&
	    container.block == l->block &&
	    insert_now(&l->unit->heap, statement, container.value, value, key))
		return;
	if (l->unit->heap.exhausted) {
		rg_unit_no_memory(l->unit);
		return;
	}
	/* In the image keys come first: a = key, b = value for objects. */
	a = rg_lower_operand(l, keyed ? key : value);
	if (keyed)
		b = rg_lower_operand(l, value);
	to = container_register(l, statement->target);
	if (to == RG_NO_REGISTER) {
		rg_lower_fail(l);
		return;
	}
	instruction = rg_lower_emit(l, op);
	instruction->dst = to;
	instruction->a = a;
	instruction->b = b;
	rg_lower_or_fail(l);
}

/* ---- guards ---- */

static void lower_type_test(struct rg_lower *l, const struct rg_plan_statement *statement,
			    enum rg_value_type type)
{
	struct rg_fact source = rg_lower_use(l, statement->a);
	enum rg_value_type known;
	struct rg_instruction *instruction;
	uint32_t operand;

	if (source.kind == RG_FACT_UNDEFINED) {
		rg_lower_fail(l);
		return;
	}
	known = rg_lower_type(l, source);
	if (known == type)
		return;
	if (known != RG_UNDEFINED) {
		rg_lower_fail(l);
		return;
	}
	operand = rg_lower_operand(l, source);
	instruction = rg_lower_emit(l, RG_OP_BRANCH_TYPE);
	instruction->a = operand;
	instruction->aux = (uint16_t)type;
	rg_lower_or_fail(l);
}

static void lower_equal(struct rg_lower *l, const struct rg_plan_statement *statement, bool wanted)
{
	struct rg_test test = {RG_EQ, rg_lower_use(l, statement->a), rg_lower_use(l, statement->b)};

	if (!rg_lower_require(l, &test.a) || !rg_lower_require(l, &test.b))
		return;
	rg_lower_branch(l, &test, wanted);
}

static void lower_defined(struct rg_lower *l, const struct rg_plan_statement *statement,
			  bool wanted)
{
	struct rg_fact source = rg_lower_use(l, statement->a);

	if (source.kind == RG_FACT_UNDEFINED || rg_fact_is_defined(source)) {
		if (rg_fact_is_defined(source) != wanted)
			rg_lower_fail(l);
		return;
	}
	rg_lower_emit(l, wanted ? RG_OP_BRANCH_DEFINED : RG_OP_BRANCH_UNDEFINED)->a = source.number;
	rg_lower_or_fail(l);
	if (wanted)
		source.maybe_undefined = false;
	else
		source = (struct rg_fact){.kind = RG_FACT_UNDEFINED, .shared = source.shared};
	refine(l, statement->a.value, source);
}

/* ---- nested blocks ---- */

static void push(struct rg_lower *l, struct rg_label *label)
{
	l->labels[l->label_count++] = label;
}

static void lower_statement(struct rg_lower *l, const struct rg_plan_statement *statement);

/* The statements of one block whose end label the caller has pushed. */
static void lower_statements(struct rg_lower *l, const struct rg_plan_block *block)
{
	uint32_t outer = l->block;

	l->block = ++l->block_count;
	for (uint32_t i = 0; i < block->count && l->reachable && !l->unit->status; i++) {
		rg_lower_mark_begin(l, &block->statements[i]);
		lower_statement(l, &block->statements[i]);
		rg_lower_mark_done(l, &block->statements[i]);
	}
	l->block = outer;
}

/* What a block begins with, if it looks at a local before all else: then edges that know the
 * answer need not ask. */
struct question {
	bool asked, wanted; /* wanted: goes on if the local is defined */
	uint32_t local;
	struct rg_label *otherwise; /* where to; NULL: the block's end */
};

static struct question leading_question(const struct rg_lower *l, const struct rg_plan_block *block)
{
	const struct rg_plan_statement *first = block->count ? &block->statements[0] : NULL;

	if (first &&
	    (first->type == RG_STATEMENT_IS_DEFINED || first->type == RG_STATEMENT_IS_UNDEFINED))
		return (struct question){.asked = true,
					 .wanted = first->type == RG_STATEMENT_IS_DEFINED,
					 .local = first->a.value};
	/* Returning an undefined local from an inlined function leaves the caller's block. */
	if (first && first->type == RG_STATEMENT_RETURN_LOCAL && first->a.kind == RG_PLAN_LOCAL &&
	    l->context->undefined && l->context->return_count == 1)
		return (struct question){.asked = true,
					 .wanted = true,
					 .local = first->a.value,
					 .otherwise = l->context->undefined};
	return (struct question){.asked = false};
}

/* Once a body of a single-valued rule holds, the rest of the bodies is of no interest. */
static void leave_early(struct rg_lower *l, struct rg_label *tail)
{
	const struct rg_rule_shape *shape = &l->context->shape;

	if (l->reachable && rg_fact_is_defined(rg_lower_fact(l, slot_of(l, shape->result))))
		rg_lower_jump(l, tail);
}

/* tail: the label in front of block number tail_block, opened before the first block; NULL if
 * there is none. */
static void lower_list(struct rg_lower *l, const struct rg_plan_block *blocks, uint32_t count,
		       struct rg_label *tail, uint32_t tail_block)
{
	struct rg_label ends[2]; /* of this block and of the next */

	ends[0] = rg_lower_open(l);
	for (uint32_t i = 0; i < count && !l->unit->status; i++) {
		struct rg_label *end = &ends[i & 1], *next = &ends[(i + 1) & 1];
		struct question question = {.asked = false};

		if (tail && i + 1 == tail_block) { /* this block's end is the tail */
			rg_lower_move_edges(l, end, tail);
			*end = *tail;
		}
		push(l, end);
		lower_statements(l, &blocks[i]);
		l->label_count--;
		if (tail && i + 1 < tail_block)
			leave_early(l, tail);
		if (i + 1 < count)
			question = leading_question(l, &blocks[i + 1]);
		*next = *end; /* the next block's end sees what this one's saw: edges may go to either */
		next->edges = NULL;
		if (question.asked)
			rg_lower_thread(l, end, slot_of(l, question.local), question.wanted,
					question.otherwise ? question.otherwise : next);
		rg_lower_place(l, end);
		if (!next->edges) {
			*next = rg_lower_open(l);
		} else if (!l->reachable) { /* only edges that pass the next block by */
			if (tail && i + 2 == tail_block) { /* and its end is the tail */
				rg_lower_move_edges(l, next, tail);
				*next = *tail;
			}
			rg_lower_place(l, next);
			i++;
			ends[(i + 1) & 1] = rg_lower_open(l);
		}
	}
}

static void lower_blocks(struct rg_lower *l, const struct rg_plan_block *blocks, uint32_t count)
{
	lower_list(l, blocks, count, NULL, 0);
}

/* { IsDefined t; AssignVarOnce t -> R } */
static bool is_handover(const struct rg_plan_block *block, uint32_t result, uint32_t *value)
{
	const struct rg_plan_statement *s = block->statements;

	if (block->count != 2 || s[0].type != RG_STATEMENT_IS_DEFINED ||
	    s[1].type != RG_STATEMENT_ASSIGN_VAR_ONCE || s[1].target != result ||
	    s[1].a.kind != RG_PLAN_LOCAL || s[0].a.value != s[1].a.value)
		return false;
	*value = s[0].a.value;
	return true;
}

/* Are all values that a body gives to local t the same constant? found: one of them. */
static bool gives_only(const struct rg_plan_block *block, uint32_t value,
		       struct rg_plan_operand *constant, bool *found)
{
	for (uint32_t i = 0; i < block->count; i++) {
		const struct rg_plan_statement *s = &block->statements[i];

		for (uint32_t j = 0; j < s->block_count; j++) {
			if (!gives_only(&s->blocks[j], value, constant, found))
				return false;
		}
		if (s->target != value || s->type == RG_STATEMENT_RESET_LOCAL ||
		    !(s->type == RG_STATEMENT_ASSIGN_VAR_ONCE || s->assignment))
			continue;
		if (s->type != RG_STATEMENT_ASSIGN_VAR_ONCE || s->a.kind == RG_PLAN_LOCAL ||
		    (*found && (s->a.kind != constant->kind || s->a.value != constant->value)))
			return false;
		*constant = s->a;
		*found = true;
	}
	return true;
}

static struct rg_rule_shape shape_of(const struct rg_plan_block *blocks, uint32_t count)
{
	struct rg_rule_shape shape = {.is_single_valued = false};
	const struct rg_plan_statement *last;
	struct rg_plan_operand constant = {0};
	uint32_t value = 0, bodies = count;
	bool found = false;

	if (count < 3 || blocks[count - 1].count != 1)
		return shape;
	last = &blocks[count - 1].statements[0];
	if (last->type != RG_STATEMENT_RETURN_LOCAL || last->a.kind != RG_PLAN_LOCAL)
		return shape;
	shape.result = last->a.value;
	bodies = count - 1;
	if (blocks[bodies - 1].count &&
	    blocks[bodies - 1].statements[0].type == RG_STATEMENT_IS_UNDEFINED &&
	    blocks[bodies - 1].statements[0].a.value == shape.result)
		bodies--;
	if (!bodies || bodies % 2)
		return shape;
	for (uint32_t i = 0; i < bodies; i += 2) {
		if (!is_handover(&blocks[i + 1], shape.result, &value) ||
		    (i && value != shape.value) || value == shape.result ||
		    !gives_only(&blocks[i], value, &constant, &found))
			return shape;
		shape.value = value;
	}
	shape.tail = bodies;
	shape.is_single_valued = found;
	return shape;
}

void rg_lower_body(struct rg_lower *l, const struct rg_plan_block *blocks, uint32_t count)
{
	struct rg_label tail = rg_lower_open(l);

	l->context->body_label = l->label_count;
	l->context->shape = shape_of(blocks, count);
	if (l->context->shape.is_single_valued)
		lower_list(l, blocks, count, &tail, l->context->shape.tail);
	else
		lower_list(l, blocks, count, NULL, 0);
}

static void lower_break(struct rg_lower *l, uint32_t index)
{
	rg_lower_jump(l, l->labels[l->label_count - 1 - index]);
}

/* The body's end is where `not` succeeds; a body that runs to its end makes it undefined. */
static void lower_not(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_label succeeded = rg_lower_open(l);

	push(l, &succeeded);
	lower_statements(l, statement->blocks);
	l->label_count--;
	rg_lower_fail(l);
	rg_lower_place(l, &succeeded);
}

static void forget(struct rg_lower *l, uint32_t local)
{
	struct rg_fact fact = rg_lower_fact(l, slot_of(l, local));

	if (fact.kind == RG_FACT_UNDEFINED && fact.at_entry) {
		uint32_t home = home_of(l, local); /* may move at_entry */

		*RG_VECTOR_AT(l->at_entry, bool, home) = true;
	}
	fact = home_fact(l, local, true);
	fact.stable = false;
	rg_lower_set_fact(l, slot_of(l, local), fact, true);
}

/* Locals that are carried from turn to turn are in their homes when a turn begins. */
static void forget_assigned(struct rg_lower *l, const struct rg_plan_block *block)
{
	for (uint32_t i = 0; i < block->count; i++) {
		const struct rg_plan_statement *statement = &block->statements[i];

		if (statement->assignment & RG_KEY_ESCAPES)
			forget(l, statement->key);
		if (statement->assignment & RG_VALUE_ESCAPES)
			forget(l, statement->value_local);
		if ((statement->assignment & RG_TARGET_ESCAPES) && !gives_value(l, statement))
			forget(l, statement->target);
		for (uint32_t j = 0; j < statement->block_count; j++)
			forget_assigned(l, &statement->blocks[j]);
	}
}

static void lower_scan(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact source = rg_lower_use(l, statement->a);
	struct rg_label done, turn_end;
	struct rg_instruction *instruction;
	enum rg_value_type known;
	uint32_t iterator, operand, head, key, value;

	if (!rg_lower_require(l, &source))
		return;
	known = rg_lower_type(l, source);
	if (known != RG_UNDEFINED && known < RG_ARRAY) {
		rg_lower_fail(l);
		return;
	}
	if (source.kind == RG_FACT_CONSTANT && !rg_count(&l->unit->heap, source.value))
		return;
	operand = rg_lower_operand(l, source);
	iterator = rg_lower_register(l, true);
	instruction = rg_lower_emit(l, RG_OP_SCAN);
	instruction->dst = iterator;
	instruction->a = operand;
	rg_lower_or_fail(l);
	done = rg_lower_open(l);
	forget_assigned(l, statement->blocks);
	l->barrier = head = l->code.count;
	key = rg_lower_target(l, statement->key);
	value = rg_lower_target(l, statement->value_local);
	instruction = rg_lower_emit(l, RG_OP_NEXT);
	instruction->dst = key;
	instruction->a = iterator;
	instruction->b = value;
	rg_lower_edge(l, &done, l->code.count - 1);
	rg_lower_assigned(l, statement->key, key);
	rg_lower_assigned(l, statement->value_local, value);
	rg_lower_mark_item(l, statement);
	turn_end = rg_lower_open(l);
	push(l, &turn_end);
	l->loop_depth++;
	lower_statements(l, statement->blocks);
	l->label_count--;
	rg_lower_place(l, &turn_end);
	if (l->reachable)
		rg_lower_emit(l, RG_OP_LOOP)->target = head;
	l->loop_depth--;
	l->reachable = false;
	rg_lower_place(l, &done);
}

/* The overridden local has another fact while the body runs; leaving the body, on whatever way,
 * brings the old one back. */
static void lower_with(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	uint32_t slot = slot_of(l, statement->target), first, operand, base, to;
	struct rg_fact before = rg_lower_fact(l, slot), value = rg_lower_use(l, statement->a);
	struct rg_instruction *instruction;

	if (statement->path_count) {
		if (!rg_lower_require(l, &value))
			return;
		operand = rg_lower_operand(l, value);
		base = rg_lower_operand(l, before);
		first = l->operands.count;
		for (uint32_t i = 0; i < statement->path_count; i++) {
			uint32_t *segment = rg_vector_add(l->unit, &l->operands, sizeof(*segment));

			if (!segment)
				return;
			*segment =
				rg_unit_constant(l->unit,
						 string_value(l->unit, statement->path[i].value)) |
				RG_OPERAND_CONSTANT;
		}
		to = rg_lower_register(l, false);
		instruction = rg_lower_emit(l, RG_OP_WITH);
		instruction->dst = to;
		instruction->a = base;
		instruction->b = operand;
		instruction->aux = (uint16_t)statement->path_count;
		instruction->c = first;
		rg_lower_or_fail(l);
		value = rg_fact_register(to, true, false);
	} else if (value.kind == RG_FACT_REGISTER && !value.stable) {
		to = rg_lower_register(l, false);
		store(l, to, value);
		value = rg_fact_register(to, true, value.maybe_undefined);
	}
	rg_lower_set_fact(l, slot, value, false);
	push(l, l->labels[l->label_count - 1]); /* an undefined body makes With undefined */
	lower_statements(l, statement->blocks);
	l->label_count--;
	rg_lower_set_fact(l, slot, before, false);
}

static void lower_block_statement(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	lower_blocks(l, statement->blocks, statement->block_count);
}

static void lower_result(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact fact = rg_lower_use(l, statement->a);
	struct rg_instruction *instruction;
	uint32_t operand;

	if (!rg_lower_require(l, &fact))
		return;
	operand = rg_lower_operand(l, fact);
	instruction = rg_lower_emit(l, RG_OP_SET_ADD);
	instruction->dst = l->result_set;
	instruction->a = operand;
	rg_lower_or_fail(l);
}

static struct rg_value number_value(struct rg_lower *l, uint32_t index)
{
	const struct rg_plan_text *text = rg_unit_string(l->unit, index);
	struct rg_value v = rg_number_from_text(&l->unit->heap, text->text, text->bytes);

	if (l->unit->heap.exhausted)
		rg_unit_no_memory(l->unit);
	return v;
}

static void lower_statement(struct rg_lower *l, const struct rg_plan_statement *s)
{
	l->statement = s;
	l->place = RG_NO_PLACE;
	switch (s->type) {
	case RG_STATEMENT_ARRAY_APPEND: lower_insert(l, s, RG_OP_ARRAY_APPEND); break;
	case RG_STATEMENT_ASSIGN_INT:
	case RG_STATEMENT_MAKE_NUMBER_INT:
		rg_lower_assign(l, s->target, rg_fact_constant(rg_int(s->number)));
		break;
	case RG_STATEMENT_ASSIGN_VAR: rg_lower_assign(l, s->target, rg_lower_use(l, s->a)); break;
	case RG_STATEMENT_ASSIGN_VAR_ONCE: lower_assign_once(l, s); break;
	case RG_STATEMENT_BLOCK: lower_block_statement(l, s); break;
	case RG_STATEMENT_BREAK: lower_break(l, (uint32_t)s->number); break;
	case RG_STATEMENT_CALL: rg_lower_call(l, s); break;
	case RG_STATEMENT_CALL_DYNAMIC: rg_lower_call_dynamic(l, s); break;
	case RG_STATEMENT_DOT: lower_dot(l, s); break;
	case RG_STATEMENT_EQUAL: lower_equal(l, s, true); break;
	case RG_STATEMENT_IS_ARRAY: lower_type_test(l, s, RG_ARRAY); break;
	case RG_STATEMENT_IS_DEFINED: lower_defined(l, s, true); break;
	case RG_STATEMENT_IS_OBJECT: lower_type_test(l, s, RG_OBJECT); break;
	case RG_STATEMENT_IS_SET: lower_type_test(l, s, RG_SET); break;
	case RG_STATEMENT_IS_UNDEFINED: lower_defined(l, s, false); break;
	case RG_STATEMENT_LEN: lower_length(l, s); break;
	case RG_STATEMENT_MAKE_ARRAY: lower_make(l, s, RG_ARRAY, s->number); break;
	case RG_STATEMENT_MAKE_NULL:
		rg_lower_assign(l, s->target, rg_fact_constant(rg_null()));
		break;
	case RG_STATEMENT_MAKE_NUMBER_REF:
		rg_lower_assign(l, s->target,
				rg_fact_constant(number_value(l, (uint32_t)s->number)));
		break;
	case RG_STATEMENT_MAKE_OBJECT: lower_make(l, s, RG_OBJECT, 0); break;
	case RG_STATEMENT_MAKE_SET: lower_make(l, s, RG_SET, 0); break;
	case RG_STATEMENT_NOT_EQUAL: lower_equal(l, s, false); break;
	case RG_STATEMENT_NOT: lower_not(l, s); break;
	case RG_STATEMENT_OBJECT_INSERT: lower_insert(l, s, RG_OP_OBJECT_INSERT); break;
	case RG_STATEMENT_OBJECT_INSERT_ONCE: lower_insert(l, s, RG_OP_OBJECT_INSERT_ONCE); break;
	case RG_STATEMENT_OBJECT_MERGE: lower_merge(l, s); break;
	case RG_STATEMENT_RESET_LOCAL: rg_lower_assign(l, s->target, (struct rg_fact){0}); break;
	case RG_STATEMENT_RESULT_SET_ADD: lower_result(l, s); break;
	case RG_STATEMENT_RETURN_LOCAL: rg_lower_return(l, rg_lower_use(l, s->a)); break;
	case RG_STATEMENT_SCAN: lower_scan(l, s); break;
	case RG_STATEMENT_SET_ADD: lower_insert(l, s, RG_OP_SET_ADD); break;
	case RG_STATEMENT_WITH: lower_with(l, s); break;
	default: break; /* Nop */
	}
}

/* ---- functions ---- */

const uint8_t *rg_lower_locals(struct rg_unit *unit, struct rg_variant variant)
{
	const struct rg_plan *plan = unit->plan;
	struct rg_function_facts *facts = variant.is_entry ? &unit->entries[variant.source]
							   : &unit->functions[variant.source];
	uint32_t frame_size = variant.is_entry ? plan->entries[variant.source].frame_size
					       : plan->functions[variant.source].frame_size;
	struct rg_plan_block *blocks = variant.is_entry ? plan->entries[variant.source].blocks
							: plan->functions[variant.source].blocks;
	uint32_t count = variant.is_entry ? plan->entries[variant.source].block_count
					  : plan->functions[variant.source].block_count;

	if (facts->locals)
		return facts->locals;
	facts->locals = rg_arena_alloc(&unit->plan->arena, frame_size);
	if (!facts->locals) {
		rg_unit_no_memory(unit);
		return NULL;
	}
	if (rg_locals_scan(unit, blocks, count, frame_size, facts->locals)) {
		rg_error_prefix(unit->err, "plan.json: %s",
				variant.is_entry ? plan->entries[variant.source].name.text
						 : plan->functions[variant.source].name.text);
		facts->locals = NULL;
	}
	return facts->locals;
}

/* A parameter that is passed at run time. */
static void pass_param(struct rg_lower *l, uint32_t local, bool maybe_undefined)
{
	uint32_t slot = slot_of(l, local), number = rg_lower_register(l, true);

	l->param_count++;
	*RG_VECTOR_AT(l->homes, uint32_t, slot) = number;
	rg_lower_set_fact(l, slot,
			  rg_fact_register(number, !(flags_of(l, local) & RG_LOCAL_ASSIGNED),
					   maybe_undefined),
			  false);
}

static void bind_params(struct rg_lower *l, const uint32_t *params, uint32_t count)
{
	if (l->variant.template != RG_NO_TEMPLATE)
		rg_lower_set_fact(
			l, slot_of(l, params[0]),
			(struct rg_fact){.kind = RG_FACT_NODE, .number = l->variant.template},
			false);
	else
		pass_param(l, params[0], true);
	if (l->variant.data_is_value)
		pass_param(l, params[1], true);
	else
		rg_lower_set_fact(l, slot_of(l, params[1]),
				  (struct rg_fact){.kind = RG_FACT_CONSTANT,
						   .from_data = true,
						   .value = l->unit->data},
				  false);
	for (uint32_t i = 2; i < count; i++)
		pass_param(l, params[i], true);
}

/* Jump targets are patched when labels are placed; what is left open at the end of a function
 * returns undefined. */
static void finish(struct rg_lower *l)
{
	if (!l->reachable || l->unit->status)
		return;
	l->statement = NULL;
	l->place = RG_NO_PLACE;
	if (l->variant.is_entry) {
		rg_lower_emit(l, RG_OP_RETURN)->a = l->result_set;
	} else {
		rg_lower_mark_return(l, (struct rg_fact){0});
		rg_lower_emit(l, RG_OP_RETURN_UNDEFINED);
	}
}

static int lower_variant(struct rg_lower *l, struct rg_unit *unit, struct rg_variant variant,
			 bool trial)
{
	static const uint32_t entry_params[2] = {0, 1};
	const struct rg_plan_function *function =
		variant.is_entry ? NULL : &unit->plan->functions[variant.source];
	const struct rg_plan_entry *entry =
		variant.is_entry ? &unit->plan->entries[variant.source] : NULL;
	struct rg_context context = {.source = variant.is_entry ? UINT32_MAX : variant.source};

	l->unit = unit;
	l->variant = variant;
	l->trial = trial;
	l->reachable = true;
	l->place = RG_NO_PLACE;
	context.locals = rg_lower_locals(unit, variant);
	if (!context.locals)
		return unit->status;
	l->context = &context;
	context.slots =
		rg_lower_slots(l, variant.is_entry ? entry->frame_size : function->frame_size);
	if (unit->status)
		return unit->status;
	if (variant.is_entry) {
		bind_params(l, entry_params, 2);
		rg_lower_mark_enter(l);
		l->result_set = rg_lower_register(l, true);
		rg_lower_emit(l, RG_OP_MAKE_SET)->dst = l->result_set;
		rg_lower_body(l, entry->blocks, entry->block_count);
	} else {
		context.is_user_function = function->param_count > 2;
		bind_params(l, function->params, function->param_count);
		rg_lower_mark_enter(l);
		rg_lower_body(l, function->blocks, function->block_count);
	}
	finish(l);
	if (trial && !unit->status && !l->failed_trial && context.has_result &&
	    context.result.kind == RG_FACT_CONSTANT)
		unit->functions[variant.source].constant = context.result.value;
	l->context = NULL;
	return unit->status;
}

int rg_lower_function(struct rg_lower *l, struct rg_unit *unit, struct rg_variant variant)
{
	return lower_variant(l, unit, variant, false);
}

void rg_lower_free(struct rg_lower *l)
{
	struct rg_vector *vectors[] = {&l->code,     &l->droppable, &l->operands, &l->tests,
				       &l->at_entry, &l->is_home,   &l->facts,	  &l->homes,
				       &l->marks,    &l->trail};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		free(vectors[i]->items);
	rg_arena_free(&l->arena);
}

struct rg_value rg_lower_constant(struct rg_unit *unit, uint32_t source)
{
	struct rg_function_facts *facts = &unit->functions[source];
	struct rg_lower *l;

	if (unit->options->marks || facts->constant_tried ||
	    unit->plan->functions[source].param_count != 2 || unit->trial_depth >= TRIAL_DEPTH)
		return facts->constant;
	facts->constant_tried = true; /* a recursive plan finds it not constant */
	l = calloc(1, sizeof(*l));
	if (!l) {
		rg_unit_no_memory(unit);
		return rg_undefined;
	}
	unit->trial_depth++;
	lower_variant(l, unit, (struct rg_variant){.source = source, .template = RG_NO_TEMPLATE},
		      true);
	unit->trial_depth--;
	rg_lower_free(l);
	free(l);
	return facts->constant;
}

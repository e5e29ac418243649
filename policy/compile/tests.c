/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparisons: known at compile time, as typed instructions on fields of the request, or general.
 */
#include "policy/compile/lower.h"

#include "policy/compile/fields.h"

enum rg_value_type rg_lower_type(const struct rg_lower *l, struct rg_fact fact)
{
	switch (fact.kind) {
	case RG_FACT_CONSTANT: return fact.value.type;
	case RG_FACT_FIELD: return rg_field_value_type(l->unit, fact.number);
	case RG_FACT_NODE: return RG_OBJECT;
	case RG_FACT_TEST: return RG_BOOLEAN;
	default: return RG_UNDEFINED;
	}
}

static bool holds(uint32_t op, int order)
{
	switch (op) {
	case RG_EQ: return order == 0;
	case RG_NE: return order != 0;
	case RG_LT: return order < 0;
	case RG_LE: return order <= 0;
	case RG_GT: return order > 0;
	default: return order >= 0;
	}
}

static uint32_t negated(uint32_t op)
{
	static const uint8_t opposite[RG_COMPARISON_COUNT] = {RG_NE, RG_EQ, RG_GE,
							      RG_GT, RG_LE, RG_LT};

	return opposite[op];
}

static uint32_t swapped(uint32_t op)
{
	static const uint8_t mirror[RG_COMPARISON_COUNT] = {RG_EQ, RG_NE, RG_GT,
							    RG_GE, RG_LT, RG_LE};

	return mirror[op];
}

/* Membership in a constant. Source: OPA v1/topdown/sets.go, internal.member_2. */
static int member_known(struct rg_lower *l, struct rg_value element, struct rg_value collection)
{
	struct rg_heap *heap = &l->unit->heap;
	uint32_t count;

	if (collection.type == RG_SET)
		return rg_set_has(heap, collection, element);
	if (collection.type != RG_ARRAY && collection.type != RG_OBJECT)
		return 0;
	count = rg_count(heap, collection);
	for (uint32_t i = 0; i < count; i++) {
		struct rg_value item = collection.type == RG_ARRAY
					       ? rg_array_at(heap, collection, i)
					       : rg_object_at(heap, collection, i).value;

		if (rg_equal(heap, item, element))
			return 1;
	}
	return 0;
}

int rg_lower_test_known(struct rg_lower *l, const struct rg_test *test)
{
	enum rg_value_type a = rg_lower_type(l, test->a), b = rg_lower_type(l, test->b);

	if (test->op == RG_TEST_MEMBER) {
		if (test->a.kind == RG_FACT_CONSTANT && test->b.kind == RG_FACT_CONSTANT)
			return member_known(l, test->a.value, test->b.value);
		return -1;
	}
	if (test->a.kind == RG_FACT_CONSTANT && test->b.kind == RG_FACT_CONSTANT)
		return holds(test->op, rg_compare(&l->unit->heap, test->a.value, test->b.value));
	if (test->a.kind == RG_FACT_FIELD && test->b.kind == RG_FACT_FIELD &&
	    test->a.number == test->b.number)
		return holds(test->op, 0);
	if (a == RG_UNDEFINED || b == RG_UNDEFINED || a == b)
		return -1;
	return holds(test->op, a < b ? -1 : 1); /* different types: the order of types decides */
}

static void emit_general(struct rg_lower *l, const struct rg_test *test, bool wanted)
{
	struct rg_instruction *instruction;
	uint32_t a = rg_lower_operand(l, test->a), b = rg_lower_operand(l, test->b);

	if (test->op == RG_TEST_MEMBER) {
		instruction = rg_lower_emit(l, RG_OP_BRANCH_MEMBER);
		instruction->aux = wanted;
	} else {
		instruction = rg_lower_emit(l, RG_OP_BRANCH_COMPARE);
		instruction->aux = (uint16_t)(wanted ? test->op : negated(test->op));
	}
	instruction->a = a;
	instruction->b = b;
	rg_lower_or_fail(l);
}

/* x == true, x != false of a boolean not yet computed: that boolean's own test. */
static bool branch_on_boolean(struct rg_lower *l, struct rg_fact boolean, struct rg_fact other,
			      uint32_t op, bool wanted)
{
	bool sense;

	if (boolean.kind != RG_FACT_TEST || other.kind != RG_FACT_CONSTANT ||
	    other.value.type != RG_BOOLEAN || (op != RG_EQ && op != RG_NE))
		return false;
	sense = other.value.i != 0;
	if (op == RG_NE)
		sense = !sense;
	struct rg_test inner = *RG_VECTOR_AT(l->tests, struct rg_test, boolean.number);

	rg_lower_branch(l, &inner, sense == wanted);
	return true;
}

/* x != false of a value in a register. */
static bool branch_on_register(struct rg_lower *l, const struct rg_test *test, bool wanted)
{
	uint32_t op = wanted ? test->op : negated(test->op);

	if (op != RG_NE || test->a.kind != RG_FACT_REGISTER || test->b.kind != RG_FACT_CONSTANT ||
	    !rg_is_false(test->b.value))
		return false;
	rg_lower_emit(l, RG_OP_BRANCH_TRUE)->a = test->a.number;
	rg_lower_or_fail(l);
	return true;
}

void rg_lower_branch(struct rg_lower *l, const struct rg_test *test, bool wanted)
{
	struct rg_test turned;
	int known;

	if (!l->reachable)
		return;
	known = rg_lower_test_known(l, test);
	if (known >= 0) {
		if (known != wanted)
			rg_lower_fail(l);
		return;
	}
	if (test->op != RG_TEST_MEMBER) {
		if (branch_on_boolean(l, test->a, test->b, test->op, wanted) ||
		    branch_on_boolean(l, test->b, test->a, test->op, wanted) ||
		    branch_on_register(l, test, wanted))
			return;
		turned = (struct rg_test){wanted ? test->op : negated(test->op), test->a, test->b};
		if (rg_field_branch(l, &turned))
			return;
		turned = (struct rg_test){swapped(turned.op), test->b, test->a};
		if (rg_field_branch(l, &turned))
			return;
	} else if (rg_field_branch_member(l, test, wanted)) {
		return;
	}
	emit_general(l, test, wanted);
}

struct rg_fact rg_lower_test_value(struct rg_lower *l, const struct rg_test *test)
{
	int known = rg_lower_test_known(l, test);
	struct rg_test copy = *test;
	struct rg_instruction *instruction;
	struct rg_label otherwise;
	uint32_t to = rg_lower_register(l, true), a, b;

	if (known < 0 && copy.op != RG_TEST_MEMBER) {
		a = rg_lower_operand(l, copy.a);
		b = rg_lower_operand(l, copy.b);
		instruction = rg_lower_emit(l, RG_OP_COMPARE);
		instruction->aux = (uint16_t)copy.op;
		instruction->dst = to;
		instruction->a = a;
		instruction->b = b;
		rg_lower_or_fail(l);
		return rg_fact_register(to, true, false);
	}
	/* to = false; if it holds, to = true */
	instruction = rg_lower_emit_droppable(l, RG_OP_MOVE);
	instruction->dst = to;
	instruction->a = rg_unit_constant(l->unit, rg_boolean(known > 0)) | RG_OPERAND_CONSTANT;
	if (known < 0) {
		otherwise = rg_lower_open(l);
		l->labels[l->label_count++] = &otherwise;
		rg_lower_branch(l, &copy, true);
		instruction = rg_lower_emit_droppable(l, RG_OP_MOVE);
		instruction->dst = to;
		instruction->a = rg_unit_constant(l->unit, rg_boolean(true)) | RG_OPERAND_CONSTANT;
		l->label_count--;
		rg_lower_place(l, &otherwise);
	}
	return rg_fact_register(to, true, false);
}

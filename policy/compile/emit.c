/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions over virtual registers. See lower.h. */
#include "policy/compile/fields.h"

uint32_t rg_lower_register(struct rg_lower *l, bool is_home)
{
	bool *home = rg_vector_add(l->unit, &l->is_home, sizeof(*home));

	rg_vector_add(l->unit, &l->at_entry, sizeof(bool));
	if (home)
		*home = is_home;
	return l->register_count++;
}

/* Where instructions go after an error: the unit's status is set, nobody will run them. */
static struct rg_instruction nowhere;

static struct rg_instruction *emit(struct rg_lower *l, enum rg_op op, bool droppable)
{
	struct rg_instruction *instruction;
	bool *flag;

	if (l->trial && !droppable && op != RG_OP_JUMP && op != RG_OP_RETURN) {
		l->failed_trial = true;
		l->reachable = false;
	}
	instruction = rg_vector_add(l->unit, &l->code, sizeof(*instruction));
	flag = rg_vector_add(l->unit, &l->droppable, sizeof(*flag));
	if (!instruction || !flag)
		return &nowhere;
	*flag = droppable;
	instruction->op = (uint16_t)op;
	instruction->target = RG_NO_TARGET;
	if (l->place == RG_NO_PLACE)
		l->place = rg_unit_place(l->unit, l->statement);
	instruction->place = l->place;
	return instruction;
}

struct rg_instruction *rg_lower_emit(struct rg_lower *l, enum rg_op op)
{
	return emit(l, op, false);
}

struct rg_instruction *rg_lower_emit_droppable(struct rg_lower *l, enum rg_op op)
{
	return emit(l, op, true);
}

void rg_lower_or_fail(struct rg_lower *l)
{
	if (l->code.count)
		rg_lower_edge(l, l->labels[l->label_count - 1], l->code.count - 1);
}

void rg_lower_fail(struct rg_lower *l)
{
	rg_lower_jump(l, l->labels[l->label_count - 1]);
}

uint32_t rg_lower_operand(struct rg_lower *l, struct rg_fact fact)
{
	struct rg_instruction *instruction;
	uint32_t to;

	switch (fact.kind) {
	case RG_FACT_CONSTANT: return rg_unit_constant(l->unit, fact.value) | RG_OPERAND_CONSTANT;
	case RG_FACT_REGISTER: return fact.number;
	case RG_FACT_UNDEFINED:
		to = rg_lower_register(l, false);
		instruction = rg_lower_emit_droppable(l, RG_OP_RESET);
		instruction->dst = to;
		return to;
	case RG_FACT_FIELD:
		to = rg_lower_register(l, false);
		instruction = emit(l, RG_OP_FIELD_LOAD, !rg_field_fuse(l, fact.number));
		break;
	case RG_FACT_NODE:
		to = rg_lower_register(l, false);
		instruction = rg_lower_emit_droppable(l, RG_OP_INPUT);
		break;
	default:
		return rg_lower_test_value(l, RG_VECTOR_AT(l->tests, struct rg_test, fact.number))
			.number;
	}
	instruction->dst = to;
	instruction->a = fact.number;
	rg_lower_or_fail(l);
	return to;
}

bool rg_lower_require(struct rg_lower *l, struct rg_fact *fact)
{
	if (!l->reachable)
		return false;
	if (fact->kind == RG_FACT_UNDEFINED) {
		rg_lower_fail(l);
		return false;
	}
	if (!rg_fact_is_defined(*fact)) {
		rg_lower_emit(l, RG_OP_BRANCH_DEFINED)->a = fact->number;
		rg_lower_or_fail(l);
		fact->maybe_undefined = false;
	}
	return l->reachable;
}

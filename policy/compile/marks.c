/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that tell what they do. With rg_compile_options.marks each statement of the plan is framed
 * by MARK instructions, so that a watcher sees it begin, hold and what it came to. A statement that
 * began and did not hold was undefined. The code between the marks is what it is without them, but
 * that rules stay functions of their own and are not computed ahead: what is watched is the
 * evaluator and the compiler that decide, not a second interpreter.
 */
#include "policy/compile/lower.h"

static bool marks(const struct rg_lower *l)
{
	return l->unit->options->marks && l->reachable && !l->unit->status;
}

static void mark(struct rg_lower *l, enum rg_mark_phase phase, uint32_t number,
		 struct rg_fact value, struct rg_fact key)
{
	uint32_t a = rg_lower_operand(l, value), b = rg_lower_operand(l, key);
	struct rg_instruction *instruction = rg_lower_emit(l, RG_OP_MARK);

	instruction->aux = (uint16_t)phase;
	instruction->a = a;
	instruction->b = b;
	instruction->number = number;
}

static struct rg_fact nothing(void)
{
	return rg_fact_constant(rg_null());
}

void rg_lower_mark_enter(struct rg_lower *l)
{
	if (marks(l))
		mark(l, l->variant.is_entry ? RG_MARK_RUN : RG_MARK_ENTER, l->variant.source,
		     nothing(), nothing());
}

void rg_lower_mark_return(struct rg_lower *l, struct rg_fact fact)
{
	if (marks(l))
		mark(l, RG_MARK_RETURN, l->variant.source, fact, nothing());
}

void rg_lower_mark_begin(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	if (!marks(l) || !rg_statement_can_fail(statement))
		return;
	l->statement = statement;
	l->place = RG_NO_PLACE;
	mark(l, RG_MARK_BEGIN, statement->id, nothing(), nothing());
}

static struct rg_fact local_fact(struct rg_lower *l, uint32_t local)
{
	return rg_lower_use(l, (struct rg_plan_operand){RG_PLAN_LOCAL, local});
}

void rg_lower_mark_done(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct rg_fact value = nothing(), key = nothing();

	if (!marks(l))
		return;
	switch (statement->type) {
	case RG_STATEMENT_ARRAY_APPEND:
	case RG_STATEMENT_SET_ADD: value = rg_lower_use(l, statement->a); break;
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
		value = rg_lower_use(l, statement->a);
		key = rg_lower_use(l, statement->b);
		break;
	case RG_STATEMENT_ASSIGN_INT:
	case RG_STATEMENT_ASSIGN_VAR:
	case RG_STATEMENT_ASSIGN_VAR_ONCE:
	case RG_STATEMENT_CALL:
	case RG_STATEMENT_CALL_DYNAMIC:
	case RG_STATEMENT_DOT:
	case RG_STATEMENT_LEN:
	case RG_STATEMENT_MAKE_NULL:
	case RG_STATEMENT_MAKE_NUMBER_INT:
	case RG_STATEMENT_MAKE_NUMBER_REF:
	case RG_STATEMENT_OBJECT_MERGE: value = local_fact(l, statement->target); break;
	case RG_STATEMENT_MAKE_ARRAY: /* what is in them comes later */
	case RG_STATEMENT_MAKE_OBJECT:
	case RG_STATEMENT_MAKE_SET: break;
	default:
		if (!rg_statement_can_fail(statement))
			return;
	}
	l->statement = statement;
	l->place = RG_NO_PLACE;
	mark(l, RG_MARK_DONE, statement->id, value, key);
}

void rg_lower_mark_item(struct rg_lower *l, const struct rg_plan_statement *scan)
{
	if (marks(l))
		mark(l, RG_MARK_ITEM, scan->id, local_fact(l, scan->value_local),
		     local_fact(l, scan->key));
}

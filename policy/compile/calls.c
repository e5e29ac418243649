/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: of plan functions (folded, inlined or called), of built-ins, by computed path. See
 * lower.h. */
#include <string.h>

#include "policy/compile/lower.h"
#include "policy/eval/value_text.h"

/* Functions of at most so many statements are inlined wherever they are called, larger ones
 * where they are called alone. */
#define INLINE_RULE	8
#define INLINE_FUNCTION 32
#define INLINE_DEPTH	24
#define INLINE_CODE_MAX                                                                            \
	400000u		   /* instructions of one function beyond which nothing more is inlined */
#define LABELS_RESERVE 600 /* that an inlined function may need: RG_PLAN_NESTING_MAX and some */

static bool is_base_data(const struct rg_lower *l, struct rg_fact fact)
{
	return fact.kind == RG_FACT_CONSTANT && fact.value.type == RG_OBJECT &&
	       fact.value.offset == l->unit->data.offset;
}

/* ---- arguments ---- */

/* Append the facts as operands of the call to come; returns the first one's number. */
static uint32_t add_operands(struct rg_lower *l, const uint32_t *operands, uint32_t count)
{
	uint32_t first = l->operands.count;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t *operand = rg_vector_add(l->unit, &l->operands, sizeof(*operand));

		if (operand)
			*operand = operands[i];
	}
	return first;
}

/* ---- results ---- */

void rg_lower_return(struct rg_lower *l, struct rg_fact fact)
{
	struct rg_context *context = l->context;
	struct rg_instruction *instruction;
	uint32_t operand;

	if (!context->caller) {
		rg_lower_mark_return(l, fact);
		if (fact.kind == RG_FACT_UNDEFINED) {
			rg_lower_emit(l, RG_OP_RETURN_UNDEFINED);
		} else {
			operand = rg_lower_operand(l, fact);
			rg_lower_emit(l, RG_OP_RETURN)->a = operand;
			context->result = fact;
			context->has_result = true;
		}
		l->reachable = false;
		return;
	}
	if (context->return_count == 1) {
		context->result = fact;
		context->has_result = true;
	} else {
		operand = rg_lower_operand(l, fact);
		instruction = rg_lower_emit_droppable(l, RG_OP_MOVE);
		instruction->dst = context->return_register;
		instruction->a = operand;
		context->result = rg_fact_register(context->return_register, true, true);
		context->has_result = true;
	}
	rg_lower_jump(l, &context->returned);
}

/* ---- inlining ---- */

static uint32_t count_returns(const struct rg_plan_block *blocks, uint32_t count)
{
	uint32_t returns = 0;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			const struct rg_plan_statement *statement = &blocks[i].statements[j];

			returns += statement->type == RG_STATEMENT_RETURN_LOCAL;
			returns += count_returns(statement->blocks, statement->block_count);
		}
	}
	return returns;
}

static bool may_inline(const struct rg_lower *l, uint32_t callee)
{
	const struct rg_plan_function *function = &l->unit->plan->functions[callee];
	const struct rg_function_facts *facts = &l->unit->functions[callee];

	if (l->unit->options->marks || facts->is_role || l->context->depth >= INLINE_DEPTH ||
	    l->code.count > INLINE_CODE_MAX ||
	    l->label_count + LABELS_RESERVE > sizeof(l->labels) / sizeof(l->labels[0]))
		return false;
	for (const struct rg_context *at = l->context; at; at = at->caller) {
		if (at->source == callee)
			return false;
	}
	if (function->param_count > 2)
		return facts->statement_count <= INLINE_FUNCTION || facts->call_sites == 1;
	/* A called rule's result is kept; inlined in a loop it would be computed anew in each
	 * turn. */
	return !l->loop_depth && (facts->statement_count <= INLINE_RULE || facts->call_sites == 1);
}

/* Locals of a function inlined into a loop start undefined in every turn. */
static void reset_homes(struct rg_lower *l, const struct rg_context *inlined, uint32_t frame_size)
{
	for (uint32_t i = 0; i < frame_size && l->loop_depth; i++) {
		uint32_t slot = inlined->slots + i;
		struct rg_fact fact = rg_lower_fact(l, slot);
		struct rg_instruction *instruction;
		uint32_t home;

		if (!(inlined->locals[i] & RG_LOCAL_STORED) || fact.kind != RG_FACT_UNDEFINED)
			continue;
		home = rg_lower_register(l, true);
		*RG_VECTOR_AT(l->homes, uint32_t, slot) = home;
		instruction = rg_lower_emit_droppable(l, RG_OP_RESET);
		instruction->dst = home;
		fact.at_entry = false;
		rg_lower_set_fact(l, slot, fact, false);
	}
}

static struct rg_fact inline_call(struct rg_lower *l, uint32_t callee, const struct rg_fact *args)
{
	const struct rg_plan_function *function = &l->unit->plan->functions[callee];
	const struct rg_plan_statement *statement = l->statement;
	struct rg_context context = {
		.caller = l->context,
		.source = callee,
		.locals = rg_lower_locals(l->unit, (struct rg_variant){.source = callee}),
		.depth = l->context->depth + 1,
		.is_user_function = function->param_count > 2,
		.return_count = count_returns(function->blocks, function->block_count),
		.undefined = l->labels[l->label_count - 1],
	};

	if (!context.locals)
		return (struct rg_fact){0};
	context.returned = rg_lower_open(l);
	context.slots = rg_lower_slots(l, function->frame_size);
	if (context.return_count > 1)
		context.return_register = rg_lower_register(l, true);
	for (uint32_t i = 0; i < function->param_count && !l->unit->status; i++) {
		struct rg_fact arg = args[i];

		arg.from_data &= i == 1;
		rg_lower_set_fact(l, context.slots + function->params[i], arg, false);
	}
	l->context = &context;
	reset_homes(l, &context, function->frame_size);
	rg_lower_body(l, function->blocks, function->block_count);
	l->context = context.caller;
	l->statement = statement;
	l->place = RG_NO_PLACE;
	if (l->reachable) /* it ended without a return: the call is undefined */
		rg_lower_fail(l);
	rg_lower_place(l, &context.returned);
	return context.has_result ? context.result : (struct rg_fact){0};
}

/* ---- calls ---- */

struct call {
	uint32_t callee;
	struct rg_fact args[RG_PLAN_ARGS_MAX];
	uint32_t arg_count;
};

static void emit_call(struct rg_lower *l, const struct call *call, uint32_t result_local)
{
	struct rg_variant variant = {.source = call->callee, .template = RG_NO_TEMPLATE};
	struct rg_instruction *instruction;
	uint32_t operands[RG_PLAN_ARGS_MAX], count = 0, first, function, to;

	if (call->args[0].kind == RG_FACT_NODE)
		variant.template = call->args[0].number;
	else
		operands[count++] = rg_lower_operand(l, call->args[0]);
	variant.data_is_value = !is_base_data(l, call->args[1]);
	if (variant.data_is_value)
		operands[count++] = rg_lower_operand(l, call->args[1]);
	for (uint32_t i = 2; i < call->arg_count; i++)
		operands[count++] = rg_lower_operand(l, call->args[i]);
	function = rg_unit_variant(l->unit, variant);
	RG_VECTOR_AT(l->unit->variants, struct rg_variant, function)->called = true;
	first = add_operands(l, operands, count);
	to = rg_lower_target(l, result_local);
	instruction = rg_lower_emit(l, RG_OP_CALL);
	instruction->dst = to;
	instruction->a = function;
	instruction->aux = (uint16_t)count;
	instruction->c = first;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, result_local, to);
}

static void call_function(struct rg_lower *l, struct call *call, uint32_t result_local)
{
	struct rg_fact result;

	/* Composites of input are passed as values: only the whole of it stays a request. */
	if (call->args[0].kind == RG_FACT_NODE && call->args[0].number != l->variant.template)
		call->args[0] = rg_fact_register(rg_lower_operand(l, call->args[0]), true, false);
	if (call->arg_count == 2 && is_base_data(l, call->args[1])) {
		struct rg_value constant = rg_lower_constant(l->unit, call->callee);

		if (rg_is_defined(constant)) {
			rg_lower_assign(l, result_local, rg_fact_constant(constant));
			return;
		}
	}
	if (!may_inline(l, call->callee)) {
		emit_call(l, call, result_local);
		return;
	}
	result = inline_call(l, call->callee, call->args);
	if (rg_lower_require(l, &result))
		rg_lower_assign(l, result_local, result);
}

/* ---- built-ins ---- */

static const struct {
	const char *name;
	uint32_t op;
} test_builtins[] = {
	{"equal", RG_EQ},
	{"neq", RG_NE},
	{"lt", RG_LT},
	{"lte", RG_LE},
	{"gt", RG_GT},
	{"gte", RG_GE},
	{"internal.member_2", RG_TEST_MEMBER},
};

static bool is_test(const char *name, uint32_t *op)
{
	for (uint32_t i = 0; i < sizeof(test_builtins) / sizeof(test_builtins[0]); i++) {
		if (!strcmp(test_builtins[i].name, name)) {
			*op = test_builtins[i].op;
			return true;
		}
	}
	return false;
}

/* Tests stay facts as long as their operands cannot change. */
static void call_test(struct rg_lower *l, uint32_t op, struct rg_fact *args, uint32_t result_local)
{
	struct rg_test test = {op, args[0], args[1]}, *added;
	struct rg_fact fact = {.kind = RG_FACT_TEST, .number = l->tests.count};
	int known = rg_lower_test_known(l, &test);

	if (known >= 0) {
		rg_lower_assign(l, result_local, rg_fact_constant(rg_boolean(known)));
		return;
	}
	if ((test.a.kind == RG_FACT_REGISTER && !test.a.stable) ||
	    (test.b.kind == RG_FACT_REGISTER && !test.b.stable)) {
		fact = rg_lower_test_value(l, &test);
	} else {
		added = rg_vector_add(l->unit, &l->tests, sizeof(*added));
		if (!added)
			return;
		*added = test;
	}
	rg_lower_assign(l, result_local, fact);
}

/* Texts of an image are valid UTF-8; hex.decode and its like can make others. */
static bool fits_image(struct rg_heap *heap, struct rg_value v)
{
	const char *at, *end;
	uint32_t rune, count;

	if (v.type < RG_STRING)
		return true;
	if (v.type == RG_STRING) {
		at = rg_text(heap, v);
		for (end = at + v.length; at < end;) {
			uint32_t bytes = rg_rune(at, end, &rune);

			if (rune == RG_RUNE_ERROR && bytes == 1)
				return false;
			at += bytes;
		}
		return true;
	}
	count = rg_count(heap, v);
	for (uint32_t i = 0; i < count; i++) {
		struct rg_pair pair = rg_pair_at(heap, v, i);

		if (!fits_image(heap, pair.key) || !fits_image(heap, pair.value))
			return false;
	}
	return true;
}

bool rg_unit_run_builtin(struct rg_unit *unit, const struct rg_builtin *builtin,
			 const struct rg_value *args, struct rg_value *result)
{
	struct rg_builtin_call call = {
		.heap = &unit->heap, .name = builtin->name, .budget = RG_BUDGET_DEFAULT};

	*result = rg_undefined;
	if (builtin->flags & (RG_BUILTIN_NONDETERMINISTIC | RG_BUILTIN_VOID) ||
	    builtin->run(&call, args, result) != RG_BUILTIN_OK || !rg_is_defined(*result))
		return false;
	if (unit->heap.exhausted) {
		rg_unit_no_memory(unit);
		return false;
	}
	return fits_image(&unit->heap, *result);
}

static bool fold_builtin(struct rg_lower *l, const struct rg_builtin *builtin,
			 const struct rg_fact *args, uint32_t result_local)
{
	struct rg_value values[RG_BUILTIN_ARGS_MAX], result;

	for (uint32_t i = 0; i < builtin->arg_count; i++) {
		if (args[i].kind != RG_FACT_CONSTANT)
			return false;
		values[i] = args[i].value;
	}
	if (!rg_unit_run_builtin(l->unit, builtin, values, &result))
		return false;
	rg_lower_assign(l, result_local, rg_fact_constant(result));
	return true;
}

static void call_builtin(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	const struct rg_builtin *builtin =
		rg_builtin_find(statement->name.text, statement->name.bytes);
	struct rg_instruction *instruction;
	struct rg_fact args[RG_BUILTIN_ARGS_MAX];
	uint32_t operands[RG_BUILTIN_ARGS_MAX], first, to, op;

	if (!builtin || statement->arg_count != builtin->arg_count) {
		rg_unit_fail(l->unit, RG_EINVAL, "built-in %s is called with %u arguments",
			     statement->name.text, statement->arg_count);
		return;
	}
	for (uint32_t i = 0; i < builtin->arg_count; i++) {
		args[i] = rg_lower_use(l, statement->args[i]);
		if (!rg_lower_require(l, &args[i]))
			return;
	}
	if (is_test(builtin->name, &op)) {
		call_test(l, op, args, statement->target);
		return;
	}
	if (fold_builtin(l, builtin, args, statement->target))
		return;
	for (uint32_t i = 0; i < builtin->arg_count; i++)
		operands[i] = rg_lower_operand(l, args[i]);
	first = add_operands(l, operands, builtin->arg_count);
	to = rg_lower_target(l, statement->target);
	instruction = rg_lower_emit(l, RG_OP_BUILTIN);
	instruction->dst = to;
	instruction->a = rg_unit_builtin(l->unit, builtin);
	instruction->aux = builtin->arg_count;
	instruction->c = first;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, statement->target, to);
}

void rg_lower_call(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	struct call call;

	if (statement->callee_kind == RG_PLAN_CALL_BUILTIN) {
		call_builtin(l, statement);
		return;
	}
	call.callee = statement->callee;
	call.arg_count = statement->arg_count;
	for (uint32_t i = 0; i < call.arg_count; i++)
		call.args[i] = rg_lower_use(l, statement->args[i]);
	call_function(l, &call, statement->target);
}

/* ---- calls by path ---- */

/* Could a function be meant by the call, going by number of segments, arguments and constant
 * segments? */
static bool may_be_called(struct rg_lower *l, const struct rg_plan_function *function,
			  const struct rg_plan_statement *statement, const struct rg_fact *path)
{
	if (function->path_count != statement->path_count ||
	    function->param_count != statement->arg_count)
		return false;
	for (uint32_t i = 0; i < statement->path_count; i++) {
		if (path[i].kind != RG_FACT_CONSTANT)
			continue;
		if (path[i].value.type != RG_STRING ||
		    path[i].value.length != function->path[i].bytes ||
		    memcmp(rg_text(&l->unit->heap, path[i].value), function->path[i].text,
			   function->path[i].bytes))
			return false;
	}
	return true;
}

static void enter_path(struct rg_lower *l, struct rg_value table,
		       const struct rg_plan_function *function, uint32_t number)
{
	struct rg_heap *heap = &l->unit->heap;
	struct rg_value path = rg_array(heap, function->path_count);

	for (uint32_t i = 0; i < function->path_count; i++)
		rg_array_append(heap, path,
				rg_string(heap, function->path[i].text, function->path[i].bytes));
	rg_object_insert(heap, table, path, rg_int(number));
	if (heap->exhausted)
		rg_unit_no_memory(l->unit);
}

void rg_lower_call_dynamic(struct rg_lower *l, const struct rg_plan_statement *statement)
{
	const struct rg_plan *plan = l->unit->plan;
	struct call call;
	struct rg_fact path[64];
	struct rg_instruction *instruction;
	struct rg_value table;
	uint32_t operands[64 + RG_PLAN_ARGS_MAX], count = 0, found = 0, first, function, to;
	bool constant_path = true;

	if (statement->path_count > 64) {
		rg_unit_fail(l->unit, RG_ELIMIT,
			     "CallDynamic with a path of %u segments; the limit is 64",
			     statement->path_count);
		return;
	}
	for (uint32_t i = 0; i < statement->path_count; i++) {
		path[i] = rg_lower_use(l, statement->path[i]);
		if (!rg_lower_require(l, &path[i]))
			return;
		constant_path &= path[i].kind == RG_FACT_CONSTANT;
	}
	call.arg_count = statement->arg_count;
	for (uint32_t i = 0; i < call.arg_count; i++)
		call.args[i] = rg_lower_use(l, statement->args[i]);
	table = rg_object(&l->unit->heap, 0);
	for (uint32_t i = 0; i < plan->function_count; i++) {
		struct rg_variant variant = {.source = i, .template = RG_NO_TEMPLATE};

		if (!may_be_called(l, &plan->functions[i], statement, path))
			continue;
		call.callee = i;
		if (found++ == 0 && constant_path)
			break;
		if (call.args[0].kind == RG_FACT_NODE && call.args[0].number == l->variant.template)
			variant.template = call.args[0].number;
		variant.data_is_value = !is_base_data(l, call.args[1]);
		function = rg_unit_variant(l->unit, variant);
		RG_VECTOR_AT(l->unit->variants, struct rg_variant, function)->called = true;
		enter_path(l, table, &plan->functions[i], function);
	}
	if (!found) {
		rg_lower_fail(l);
		return;
	}
	if (constant_path) {
		call_function(l, &call, statement->target);
		return;
	}
	for (uint32_t i = 0; i < statement->path_count; i++)
		operands[count++] = rg_lower_operand(l, path[i]);
	for (uint32_t i = 0; i < call.arg_count; i++) {
		if (i == 0 && call.args[0].kind == RG_FACT_NODE &&
		    call.args[0].number == l->variant.template)
			continue;
		if (i == 1 && is_base_data(l, call.args[1]))
			continue;
		operands[count++] = rg_lower_operand(l, call.args[i]);
	}
	first = add_operands(l, operands, count);
	to = rg_lower_target(l, statement->target);
	instruction = rg_lower_emit(l, RG_OP_CALL_DYNAMIC);
	instruction->dst = to;
	instruction->a = rg_unit_constant(l->unit, table);
	instruction->b = statement->path_count;
	instruction->aux = (uint16_t)(count - statement->path_count);
	instruction->c = first;
	rg_lower_or_fail(l);
	rg_lower_assigned(l, statement->target, to);
}

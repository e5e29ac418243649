/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/reason_flow.h"

#include <stdlib.h>
#include <string.h>

#include "policy/plan/check.h"

enum { RESULT = 1, ELEMENT = 2, INSIDE = 4 };

#define DATA_DEPTH   4	  /* of collections in base data that reasons are taken from */
#define DATA_STRINGS 4096 /* of one of them */

/* What was wanted of a local before that changed. */
struct change {
	uint32_t local;
	uint8_t before;
};

struct text {
	const char *text;
	size_t bytes;
};

/* One function while it is gone over. */
struct visit {
	struct rg_reason_flow *flow;
	const struct rg_plan_function *function;
	uint32_t number;
	uint8_t *wanted;	  /* by local, at this point of the text */
	struct rg_vector changes; /* struct change, since the function's end */
	uint32_t *seen, stamp;	  /* by local: the last time it was brought back */
	uint32_t begun[RG_PLAN_NESTING_MAX +
		       2]; /* length of `changes` at the end of each open block */
	uint32_t depth;
	uint32_t loop_depth;
	bool grew;		 /* something new was wanted */
	struct rg_vector *taken; /* struct text, the last one first; NULL: nothing is taken yet */
	struct rg_value *data_read; /* with taken: by statement id, the base data that it reads */
};

int rg_reason_flow_init(struct rg_reason_flow *flow, struct rg_unit *unit)
{
	struct rg_arena *arena = &unit->plan->arena;
	uint32_t functions = unit->plan->function_count + 1;

	*flow = (struct rg_reason_flow){
		.unit = unit,
		.functions = rg_arena_array(arena, functions, sizeof(*flow->functions)),
		.queue = rg_arena_array(arena, functions, sizeof(*flow->queue))};
	return flow->functions && flow->queue ? RG_OK : rg_unit_no_memory(unit);
}

/* ---- functions ---- */

static void enqueue(struct rg_reason_flow *flow, uint32_t function)
{
	if (flow->functions[function].queued)
		return;
	flow->functions[function].queued = true;
	flow->queue[flow->queue_count++] = function;
}

static void want_result(struct rg_reason_flow *flow, uint32_t function, uint8_t as)
{
	struct rg_reason_function *of = &flow->functions[function];

	if (!of->arguments) {
		of->arguments =
			rg_arena_array(&flow->unit->plan->arena,
				       flow->unit->plan->functions[function].param_count, 1);
		if (!of->arguments) {
			rg_unit_no_memory(flow->unit);
			return;
		}
	}
	if ((of->result & as) == as)
		return;
	of->result |= as;
	enqueue(flow, function);
}

void rg_reason_flow_from(struct rg_reason_flow *flow, uint32_t function)
{
	want_result(flow, function, RESULT);
}

/* What is wanted of its parameters when the function begins is wanted of its callers. */
static void want_arguments(struct visit *visit)
{
	struct rg_reason_flow *flow = visit->flow;
	struct rg_reason_function *of = &flow->functions[visit->number];
	bool more = false;

	flow->input_is_wanted |= visit->wanted[visit->function->params[0]] != 0;
	for (uint32_t i = 2; i < visit->function->param_count; i++) {
		uint8_t wanted = visit->wanted[visit->function->params[i]];

		more |= (of->arguments[i] & wanted) != wanted;
		of->arguments[i] |= wanted;
	}
	for (uint32_t i = 0; more && i < flow->unit->plan->function_count; i++) {
		if (flow->functions[i].arguments)
			enqueue(flow, i);
	}
}

/* ---- locals ---- */

static void take(struct visit *visit, const char *text, size_t bytes)
{
	struct text *taken = rg_vector_add(visit->flow->unit, visit->taken, sizeof(*taken));

	if (taken)
		*taken = (struct text){text, bytes};
}

static void set_wanted(struct visit *visit, uint32_t local, uint8_t wanted)
{
	struct change *change;

	if (visit->wanted[local] == wanted)
		return;
	change = rg_vector_add(visit->flow->unit, &visit->changes, sizeof(*change));
	if (change)
		*change = (struct change){local, visit->wanted[local]};
	visit->wanted[local] = wanted;
}

static void want(struct visit *visit, struct rg_plan_operand operand, uint8_t as)
{
	const struct rg_plan *plan = visit->flow->unit->plan;

	if (!as)
		return;
	if (operand.kind == RG_PLAN_LOCAL) {
		as |= visit->wanted[operand.value];
		visit->grew |= visit->wanted[operand.value] != as;
		set_wanted(visit, operand.value, as);
	} else if (operand.kind == RG_PLAN_STRING && visit->taken) {
		take(visit, plan->strings[operand.value].text, plan->strings[operand.value].bytes);
	}
}

/* Returns what was wanted of the local that is assigned here; before, it is not. */
static uint8_t end(struct visit *visit, uint32_t local)
{
	uint8_t wanted = visit->wanted[local];

	if (!visit->loop_depth)
		set_wanted(visit, local, 0);
	return wanted;
}

/* From here control may go to the end of a block, which began (the text is gone over backward)
 * with change `first`: what is wanted there is wanted here. */
static void bring_back(struct visit *visit, uint32_t first)
{
	visit->stamp++;
	for (uint32_t i = first; i < visit->changes.count; i++) {
		struct change change = *RG_VECTOR_AT(visit->changes, struct change, i);

		if (visit->seen[change.local] == visit->stamp)
			continue;
		visit->seen[change.local] = visit->stamp;
		visit->wanted[change.local] |= change.before;
	}
}

/* ---- base data ---- */

static void take_strings(struct visit *visit, struct rg_value v, uint32_t depth, uint32_t *left)
{
	struct rg_heap *heap = &visit->flow->unit->heap;
	uint32_t count = v.type >= RG_ARRAY && depth ? rg_count(heap, v) : 0;

	if (v.type == RG_STRING && *left) {
		(*left)--;
		take(visit, rg_text(heap, v), v.length);
	}
	for (uint32_t i = count; i-- > 0 && *left;)
		take_strings(visit,
			     v.type == RG_OBJECT ? rg_object_at(heap, v, i).value
						 : rg_array_at(heap, v, i),
			     depth - 1, left);
}

/* Something is taken out of what the statement reads: if that is base data, every string in it
 * may be meant. */
static void take_from_data(struct visit *visit, const struct rg_plan_statement *statement)
{
	uint32_t left = DATA_STRINGS;

	if (visit->taken && rg_is_defined(visit->data_read[statement->id]))
		take_strings(visit, visit->data_read[statement->id], DATA_DEPTH, &left);
}

/* Follow paths into base data as far as they are constant, in the order of the text. values: by
 * local. */
static void read_data(struct visit *visit, const struct rg_plan_block *blocks, uint32_t count,
		      struct rg_value *values)
{
	struct rg_unit *unit = visit->flow->unit;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			const struct rg_plan_statement *s = &blocks[i].statements[j];
			struct rg_value source =
				s->a.kind == RG_PLAN_LOCAL ? values[s->a.value] : rg_undefined;

			visit->data_read[s->id] = source;
			if (s->type == RG_STATEMENT_DOT) {
				const struct rg_plan_text *key =
					s->b.kind == RG_PLAN_STRING
						? &unit->plan->strings[s->b.value]
						: NULL;

				values[s->target] =
					key && source.type == RG_OBJECT
						? rg_object_get_text(&unit->heap, source, key->text,
								     key->bytes)
						: rg_undefined;
				if (key) /* one value is read, and goes on as one */
					visit->data_read[s->id] =
						values[s->target].type == RG_STRING
							? values[s->target]
							: rg_undefined;
			} else if (s->type == RG_STATEMENT_SCAN) {
				values[s->key] = values[s->value_local] = rg_undefined;
			} else {
				values[s->target] = s->type == RG_STATEMENT_ASSIGN_VAR ? source
						    : s->target == visit->function->params[1]
							    ? values[s->target]
							    : rg_undefined;
			}
			read_data(visit, s->blocks, s->block_count, values);
		}
	}
}

/* ---- statements ---- */

static bool is_text(const struct rg_unit *unit, struct rg_plan_operand operand, const char *text)
{
	return operand.kind == RG_PLAN_STRING &&
	       !strcmp(unit->plan->strings[operand.value].text, text);
}

static void go_over_insert(struct visit *visit, const struct rg_plan_statement *statement,
			   uint8_t wanted)
{
	const struct rg_unit *unit = visit->flow->unit;

	if (wanted & INSIDE)
		want(visit, statement->a, RESULT | ELEMENT | INSIDE);
	else if ((wanted & ELEMENT) &&
		 (is_text(unit, statement->b, "code") || is_text(unit, statement->b, "id") ||
		  is_text(unit, statement->b, "reason")))
		want(visit, statement->a, ELEMENT);
	if (wanted & RESULT)
		want(visit, statement->b, ELEMENT);
}

/* Does the built-in put its result together, so that no constant among its arguments is the
 * reason? */
static bool makes_text(const struct rg_plan_statement *call)
{
	return !strcmp(call->name.text, "sprintf") || !strcmp(call->name.text, "concat");
}

static void go_over_call(struct visit *visit, const struct rg_plan_statement *statement,
			 uint8_t wanted)
{
	struct rg_reason_flow *flow = visit->flow;
	const uint8_t *arguments;

	if (statement->callee_kind == RG_PLAN_CALL_BUILTIN) {
		if (!wanted || makes_text(statement))
			return;
		for (uint32_t i = 0; i < statement->arg_count; i++)
			want(visit, statement->args[i], wanted | RESULT | INSIDE);
		return;
	}
	if (wanted)
		want_result(flow, statement->callee, wanted);
	arguments = flow->functions[statement->callee].arguments;
	for (uint32_t i = 2; i < statement->arg_count && arguments; i++)
		want(visit, statement->args[i], arguments[i]);
}

static void go_over(struct visit *visit, const struct rg_plan_statement *statement)
{
	struct rg_reason_flow *flow = visit->flow;
	uint8_t wanted;

	switch ((enum rg_statement_type)statement->type) {
	case RG_STATEMENT_ASSIGN_VAR:
		want(visit, statement->a, end(visit, statement->target));
		break;
	case RG_STATEMENT_ASSIGN_VAR_ONCE:
		want(visit, statement->a, visit->wanted[statement->target]);
		break;
	case RG_STATEMENT_DOT:
		if (end(visit, statement->target)) {
			take_from_data(visit, statement);
			want(visit, statement->a, INSIDE);
		}
		break;
	case RG_STATEMENT_SCAN:
		wanted = end(visit, statement->key);
		if (end(visit, statement->value_local)) {
			take_from_data(visit, statement);
			want(visit, statement->a, RESULT | INSIDE);
		} else if (wanted) {
			want(visit, statement->a, RESULT);
		}
		break;
	case RG_STATEMENT_ARRAY_APPEND:
	case RG_STATEMENT_SET_ADD:
		wanted = visit->wanted[statement->target];
		if (wanted & INSIDE)
			want(visit, statement->a, RESULT | ELEMENT | INSIDE);
		else if (wanted & RESULT)
			want(visit, statement->a, ELEMENT);
		break;
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
		go_over_insert(visit, statement, visit->wanted[statement->target]);
		break;
	case RG_STATEMENT_OBJECT_MERGE:
		wanted = end(visit, statement->target);
		want(visit, statement->a, wanted);
		want(visit, statement->b, wanted);
		break;
	case RG_STATEMENT_CALL:
		go_over_call(visit, statement, end(visit, statement->target));
		break;
	case RG_STATEMENT_CALL_DYNAMIC: /* which rule is meant is known at run time */
		wanted = end(visit, statement->target);
		for (uint32_t i = 0; wanted && i < flow->unit->plan->function_count; i++)
			want_result(flow, i, wanted);
		break;
	case RG_STATEMENT_ASSIGN_INT:
	case RG_STATEMENT_LEN:
	case RG_STATEMENT_MAKE_ARRAY:
	case RG_STATEMENT_MAKE_NULL:
	case RG_STATEMENT_MAKE_NUMBER_INT:
	case RG_STATEMENT_MAKE_NUMBER_REF:
	case RG_STATEMENT_MAKE_OBJECT:
	case RG_STATEMENT_MAKE_SET:
	case RG_STATEMENT_RESET_LOCAL: end(visit, statement->target); break;
	case RG_STATEMENT_BREAK:
		bring_back(visit, visit->begun[visit->depth - 1 - (uint32_t)statement->number]);
		break;
	case RG_STATEMENT_RETURN_LOCAL:
		want(visit, statement->a, flow->functions[visit->number].result);
		break;
	default: break;
	}
}

static void go_over_blocks(struct visit *visit, const struct rg_plan_block *blocks, uint32_t count);

/* Turns of an outermost loop hand on to each other: until nothing more is wanted. */
static void go_over_loop(struct visit *visit, const struct rg_plan_statement *scan)
{
	visit->loop_depth++;
	do {
		visit->grew = false;
		go_over_blocks(visit, scan->blocks, scan->block_count);
	} while (visit->grew && visit->loop_depth == 1);
	visit->loop_depth--;
}

static void go_over_blocks(struct visit *visit, const struct rg_plan_block *blocks, uint32_t count)
{
	while (count-- > 0 && !visit->flow->unit->status) {
		visit->begun[visit->depth++] = visit->changes.count;
		for (uint32_t j = blocks[count].count; j-- > 0;) {
			const struct rg_plan_statement *statement = &blocks[count].statements[j];

			if (statement->type == RG_STATEMENT_SCAN)
				go_over_loop(visit, statement);
			else
				go_over_blocks(visit, statement->blocks, statement->block_count);
			go_over(visit, statement);
		}
		bring_back(visit, visit->begun[--visit->depth]); /* it may be left anywhere */
	}
}

static void go_over_function(struct rg_reason_flow *flow, uint32_t number, struct rg_vector *taken,
			     struct rg_value *data_read)
{
	const struct rg_plan_function *function = &flow->unit->plan->functions[number];
	struct visit visit = {.flow = flow,
			      .function = function,
			      .number = number,
			      .wanted = calloc(function->frame_size + 1, 1),
			      .seen = calloc(function->frame_size + 1, sizeof(uint32_t)),
			      .taken = taken,
			      .data_read = data_read};
	struct rg_value *values = taken ? calloc(function->frame_size + 1, sizeof(*values)) : NULL;

	if (!visit.wanted || !visit.seen || (taken && !values)) {
		rg_unit_no_memory(flow->unit);
	} else {
		if (taken) {
			values[function->params[1]] = flow->unit->data;
			read_data(&visit, function->blocks, function->block_count, values);
		}
		go_over_blocks(&visit, function->blocks, function->block_count);
		want_arguments(&visit);
	}
	free(visit.wanted);
	free(visit.seen);
	free(visit.changes.items);
	free(values);
}

void rg_reason_flow_follow(struct rg_reason_flow *flow,
			   void (*take_name)(struct rg_unit *unit, const char *text, size_t bytes))
{
	struct rg_unit *unit = flow->unit;
	const struct rg_plan *plan = unit->plan;
	struct rg_vector taken = {0};
	struct rg_value *data_read;

	while (flow->queue_count && !unit->status) {
		uint32_t number = flow->queue[--flow->queue_count];

		flow->functions[number].queued = false;
		go_over_function(flow, number, NULL, NULL);
	}
	data_read = calloc(plan->statement_count + 1, sizeof(*data_read));
	if (!data_read)
		rg_unit_no_memory(unit);
	for (uint32_t i = plan->function_count; i-- > 0 && !unit->status;) {
		if (flow->functions[i].arguments)
			go_over_function(flow, i, &taken, data_read);
	}
	for (uint32_t i = taken.count; i-- > 0 && !unit->status;) {
		const struct text *text = RG_VECTOR_AT(taken, struct text, i);

		take_name(unit, text->text, text->bytes);
	}
	free(taken.items);
	free(data_read);
}

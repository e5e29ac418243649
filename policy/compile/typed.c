/* SPDX-License-Identifier: Apache-2.0 */
/* Functions to typed instructions, and the typed program of a template. See typed.h. */
#include "policy/compile/typed_left.h"
#include "policy/compile/typed_made.h"
#include "policy/compile/typed_views.h"

#include <stdlib.h>
#include <string.h>

#include "policy/compile/lower.h"

#define SOURCE_MAX   (1u << 22) /* instructions of one function */
#define DEPTH_MAX    16		/* calls with arguments, one in another */
#define ATTEMPTS_MAX 8		/* until the types of homes stand still */
#define RETRIES_MAX  16		/* of a program, each without one of such loops */

/* ---- sources ---- */

static bool keeps(const struct rg_unit *unit, struct rg_variant variant, uint32_t count)
{
	return variant.template != RG_NO_TEMPLATE && !variant.is_entry && !variant.data_is_value &&
	       !unit->options->marks && count <= SOURCE_MAX;
}

void rg_typed_keep(struct rg_lower *l, uint32_t number, const struct rg_instruction *code,
		   uint32_t count)
{
	struct rg_unit *unit = l->unit;
	struct rg_typed_source *source;

	do {
		source = rg_vector_add(unit, &unit->typed_sources, sizeof(*source));
		if (!source)
			return;
	} while (unit->typed_sources.count <= number);
	if (!keeps(unit, l->variant, count))
		return;
	source->code = calloc(count + 1, sizeof(*code));
	source->operands = calloc(l->operands.count + 1, sizeof(*source->operands));
	source->at_entry = calloc(l->register_count + 1, sizeof(*source->at_entry));
	if (!source->code || !source->operands || !source->at_entry) {
		rg_unit_no_memory(unit);
		return;
	}
	memcpy(source->code, code, count * sizeof(*code));
	if (l->operands.count)
		memcpy(source->operands, l->operands.items,
		       l->operands.count * sizeof(*source->operands));
	if (l->register_count)
		memcpy(source->at_entry, l->at_entry.items,
		       l->register_count * sizeof(*source->at_entry));
	source->count = count;
	source->register_count = l->register_count;
	source->param_count = l->param_count;
}

void rg_typed_free_sources(struct rg_unit *unit)
{
	for (uint32_t i = 0; i < unit->typed_sources.count; i++) {
		struct rg_typed_source *source =
			RG_VECTOR_AT(unit->typed_sources, struct rg_typed_source, i);

		free(source->code);
		free(source->operands);
		free(source->at_entry);
	}
	free(unit->typed_sources.items);
}

static const struct rg_typed_source *source_of(const struct rg_typed *t, uint32_t function)
{
	const struct rg_typed_source *source;

	if (function >= t->unit->typed_sources.count)
		return NULL;
	source = RG_VECTOR_AT(t->unit->typed_sources, struct rg_typed_source, function);
	return source->code ? source : NULL;
}

/* ---- guards ---- */

static void branch_defined(struct rg_typed_context *c, bool wanted)
{
	struct rg_typed_fact fact = rg_typed_operand(c, c->instruction->a);
	bool is_real = fact.kind == RG_TYPED_IS_BALL;

	if (fact.kind != RG_TYPED_IS_NOTHING && fact.maybe_undefined) {
		rg_typed_guard(c,
			       (struct rg_typed_instruction){
				       .op = wanted ? (is_real ? RG_TYPED_OP_IF_REAL_DEFINED
							       : RG_TYPED_OP_IF_DEFINED)
						    : (is_real ? RG_TYPED_OP_IF_REAL_UNDEFINED
							       : RG_TYPED_OP_IF_UNDEFINED),
				       .a = fact.slot},
			       c->instruction->target);
	} else if ((fact.kind != RG_TYPED_IS_NOTHING) != wanted) {
		rg_typed_jump(c, c->instruction->target);
	}
}

/* Everything but false and the undefined. */
static void branch_true(struct rg_typed_context *c)
{
	struct rg_typed_fact fact = rg_typed_operand(c, c->instruction->a);
	enum rg_value_type type;

	if (fact.kind == RG_TYPED_IS_TRUTH || fact.kind == RG_TYPED_IS_WITHIN ||
	    fact.kind == RG_TYPED_IS_MASKED) { /* the undefined is not true */
		rg_typed_ask(c, &fact, true, c->instruction->target);
		return;
	}
	if (!rg_typed_require(c, &fact, c->instruction->target))
		return;
	type = rg_typed_type(&fact);
	if (type == RG_UNDEFINED)
		rg_typed_give_up(c, "a value may be of several types");
	else if (fact.kind == RG_TYPED_IS_KNOWN && rg_is_false(fact.value))
		rg_typed_jump(c, c->instruction->target);
}

static void branch_compare(struct rg_typed_context *c)
{
	struct rg_typed_fact a, b;

	if (rg_typed_required(c, c->instruction->a, &a) &&
	    rg_typed_required(c, c->instruction->b, &b))
		rg_typed_compare(c, (enum rg_comparison)c->instruction->aux, a, b,
				 c->instruction->target);
}

static void branch_type(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;
	enum rg_value_type type;

	if (!rg_typed_required(c, c->instruction->a, &fact))
		return;
	type = rg_typed_type(&fact);
	if (type == RG_UNDEFINED)
		rg_typed_give_up(c, "a value may be of several types");
	else if (type != c->instruction->aux)
		rg_typed_jump(c, c->instruction->target);
}

static void branch_member(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	struct rg_typed_fact element, collection;
	uint64_t bit;

	if (!rg_typed_required(c, instruction->a, &element) ||
	    !rg_typed_required(c, instruction->b, &collection))
		return;
	if (element.kind == RG_TYPED_IS_KNOWN && collection.kind == RG_TYPED_IS_BITS) {
		bit = rg_typed_bit_of_name(c, collection.number, element.value);
		if (bit < 64)
			rg_typed_test_bit(c, collection.slot, bit, instruction->aux,
					  instruction->target);
		else if (instruction->aux)
			rg_typed_jump(c, instruction->target);
		return;
	}
	if (collection.kind == RG_TYPED_IS_KNOWN &&
	    (collection.value.type < RG_ARRAY || element.kind == RG_TYPED_IS_KNOWN)) {
		if (rg_is_member(&c->typed->unit->heap, element.value, collection.value) !=
		    instruction->aux)
			rg_typed_jump(c, instruction->target);
		return;
	}
	if (collection.kind != RG_TYPED_IS_KNOWN ||
	    !rg_typed_member(c, element, collection.value, instruction->aux, instruction->target))
		rg_typed_give_up(c, "membership in what is no constant");
}

/* ---- values ---- */

static void compare_value(struct rg_typed_context *c)
{
	struct rg_typed_fact a, b, truth = {.kind = RG_TYPED_IS_TRUTH};
	uint32_t no, stamp = c->stamp;

	if (!rg_typed_required(c, c->instruction->a, &a) ||
	    !rg_typed_required(c, c->instruction->b, &b))
		return;
	no = rg_typed_label(c);
	truth.slot = rg_typed_slot(c->typed);
	rg_typed_emit(c->typed,
		      (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT, .dst = truth.slot});
	rg_typed_compare(c, (enum rg_comparison)c->instruction->aux, a, b, no);
	if (c->reachable)
		rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT,
								      .dst = truth.slot,
								      .number = 1});
	rg_typed_place(c, no);
	c->stamp = stamp; /* on both ways the same is known */
	if (c->reachable)
		rg_typed_write(c, c->instruction->dst, truth);
}

/* Something out of an array or object that parts of the request are in. False: it is no such thing. */
static bool dot_of_made(struct rg_typed_context *c, struct rg_typed_fact from,
			struct rg_typed_fact key)
{
	struct rg_value value, found;
	struct rg_typed_fact fact;

	if ((from.kind != RG_TYPED_IS_MADE && from.kind != RG_TYPED_IS_ARRAY &&
	     from.kind != RG_TYPED_IS_OBJECT) ||
	    key.kind != RG_TYPED_IS_KNOWN ||
	    (c->instruction->aux && key.value.type == RG_NUMBER &&
	     from.kind != RG_TYPED_IS_ARRAY) ||
	    !rg_typed_made_value(c, from, &value) || value.type < RG_ARRAY)
		return false;
	found = rg_dot(&c->typed->unit->heap, value, key.value);
	if (!rg_is_defined(found)) {
		rg_typed_jump(c, c->instruction->target);
		return true;
	}
	fact = rg_typed_made_fact(c->typed, found);
	if (fact.kind == RG_TYPED_IS_UNTYPED)
		return false;
	rg_typed_write(c, c->instruction->dst, fact);
	return true;
}

static void dot(struct rg_typed_context *c)
{
	struct rg_typed_fact from, key, result = {0};

	if (!rg_typed_required(c, c->instruction->a, &from) ||
	    !rg_typed_required(c, c->instruction->b, &key))
		return;
	if (from.kind == RG_TYPED_IS_NODE && key.kind == RG_TYPED_IS_KNOWN) {
		rg_typed_dot_of_node(c, from.number, key.value);
		return;
	}
	if (from.kind == RG_TYPED_IS_CLOCK && key.kind == RG_TYPED_IS_KNOWN) {
		if (rg_typed_clock_part(c->typed, from, key.value, &result))
			rg_typed_write(c, c->instruction->dst, result);
		else
			rg_typed_jump(c, c->instruction->target);
		return;
	}
	if (dot_of_made(c, from, key) || rg_typed_dot_of_view(c, from, key))
		return;
	if (!rg_typed_dot(c, from, key, c->instruction->aux, c->instruction->target, &result))
		rg_typed_give_up(c,
				 "a look-up in what is no constant, or by a key of no simple type");
	else if (c->reachable)
		rg_typed_write(c, c->instruction->dst, result);
}

/* format_int(x, 10) of a whole number. */
static bool format_int(struct rg_typed_context *c, const struct rg_typed_fact *args)
{
	struct rg_typed_fact digits = args[0];

	if (args[0].kind != RG_TYPED_IS_INTEGER || args[0].scale ||
	    args[1].kind != RG_TYPED_IS_KNOWN ||
	    !rg_equal(&c->typed->unit->heap, args[1].value, rg_int(10)))
		return false;
	digits.kind = RG_TYPED_IS_DIGITS;
	digits.origin = RG_TYPED_COMPUTED;
	rg_typed_write(c, c->instruction->dst, digits);
	return true;
}

static bool run_builtin(struct rg_typed_context *c, const char *name,
			const struct rg_typed_fact *args, uint32_t count)
{
	struct rg_typed_fact result;

	if (count == 1 && rg_typed_gather(c, name, args[0]))
		return true;
	if (count == 2 && !strcmp(name, "or"))
		return rg_typed_set_union(c, args);
	if (count == 2 && !strcmp(name, "format_int"))
		return format_int(c, args);
	if (!(count == 2 && rg_typed_make_text(c, name, args, &result)) &&
	    !rg_typed_condition(c, name, args, count, c->instruction->target, &result) &&
	    !rg_typed_time(c, name, args, count, &result) &&
	    !rg_typed_arithmetic(c, name, args, count, c->instruction->target, &result))
		return false;
	if (result.kind == RG_TYPED_IS_NOTHING)
		rg_typed_jump(c, c->instruction->target);
	else
		rg_typed_write(c, c->instruction->dst, result);
	return true;
}

/* A pure built-in of one enum field and constants. */
static bool of_enum(struct rg_typed_context *c, struct rg_value name,
		    const struct rg_typed_fact *args, uint32_t count)
{
	const struct rg_builtin *builtin =
		rg_builtin_find(rg_text(&c->typed->unit->heap, name), name.length);
	uint32_t which = 0, constants = 0;
	struct rg_typed_fact result;

	for (uint32_t i = 0; i < count; i++) {
		constants += args[i].kind == RG_TYPED_IS_KNOWN;
		if (args[i].kind == RG_TYPED_IS_NAMED)
			which = i;
	}
	if (!count || constants != count - 1 || args[which].kind != RG_TYPED_IS_NAMED || !builtin ||
	    builtin->arg_count != count ||
	    !rg_typed_each_name(c, builtin, args, which, c->instruction->target, &result))
		return false;
	if (c->reachable)
		rg_typed_write(c, c->instruction->dst, result);
	return true;
}

/* A pure built-in of constants. False: one is not, or it has no result. */
static bool fold(struct rg_typed_context *c, struct rg_value name, const struct rg_typed_fact *args,
		 uint32_t count)
{
	const struct rg_builtin *builtin =
		rg_builtin_find(rg_text(&c->typed->unit->heap, name), name.length);
	struct rg_value values[RG_BUILTIN_ARGS_MAX], result;

	if (!builtin || builtin->arg_count != count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (args[i].kind != RG_TYPED_IS_KNOWN)
			return false;
		values[i] = args[i].value;
	}
	if (!rg_unit_run_builtin(c->typed->unit, builtin, values, &result))
		return false;
	rg_typed_write(c, c->instruction->dst, rg_typed_constant(result));
	return true;
}

static void builtin(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	const struct rg_image_builtin *import =
		RG_VECTOR_AT(c->typed->unit->builtins, struct rg_image_builtin, instruction->a);
	struct rg_value name = rg_typed_constant_of(c, import->name);
	struct rg_typed_fact args[RG_BUILTIN_ARGS_MAX];
	char text[32];

	for (uint32_t i = 0; i < instruction->aux && i < RG_BUILTIN_ARGS_MAX; i++) {
		if (!rg_typed_required(c, c->source->operands[instruction->c + i], &args[i]))
			return;
	}
	if (instruction->aux <= RG_BUILTIN_ARGS_MAX &&
	    (fold(c, name, args, instruction->aux) || of_enum(c, name, args, instruction->aux)))
		return;
	if (instruction->aux <= 2 && name.length < sizeof(text)) {
		memcpy(text, rg_text(&c->typed->unit->heap, name), name.length);
		text[name.length] = '\0';
		if (run_builtin(c, text, args, instruction->aux))
			return;
	}
	rg_typed_give_up(
		c,
		"a built-in of the request that is no arithmetic, prefix, network or time of day");
}

/* ---- calls ---- */

static struct rg_typed_fact translate_function(struct rg_typed *t, uint32_t function,
					       const struct rg_typed_fact *args,
					       struct rg_typed_context *caller);

/* The caller gives up if the rule, computed before, did. */
static void inherit_doubt(struct rg_typed_context *c, uint32_t function)
{
	uint32_t sure, stamp = c->stamp;

	if (!c->typed->doubts[function])
		return;
	sure = rg_typed_label(c);
	rg_typed_guard(
		c,
		(struct rg_typed_instruction){.op = RG_TYPED_OP_IF_NE_NUMBER,
					      .a = (uint16_t)(c->typed->doubts[function] - 1)},
		sure);
	rg_typed_give_up(c, "a rule that cannot be typed throughout");
	rg_typed_place(c, sure);
	c->stamp = stamp;
}

static void call(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	struct rg_typed *t = c->typed;
	struct rg_typed_fact args[16], result;

	if (!source_of(t, instruction->a) || instruction->aux > sizeof(args) / sizeof(args[0]) ||
	    t->depth == DEPTH_MAX) {
		rg_typed_give_up(c, "a call of a function that is large or takes a container");
		return;
	}
	for (uint32_t i = 0; i < instruction->aux; i++)
		args[i] = rg_typed_operand(c, c->source->operands[instruction->c + i]);
	if (instruction->aux) {
		result = translate_function(t, instruction->a, args, c);
	} else {
		result = t->results[instruction->a];
		result.origin = RG_TYPED_OF_RULE;
		result.origin_number = instruction->a;
		inherit_doubt(c, instruction->a);
	}
	c->instruction = instruction;
	if (result.kind == RG_TYPED_IS_UNTYPED)
		rg_typed_give_up(c, "a rule whose values are of different types");
	else if (rg_typed_require(c, &result, instruction->target))
		rg_typed_write(c, instruction->dst, result);
}

/* ---- functions ---- */

static void give_back(struct rg_typed_context *c, struct rg_typed_fact fact)
{
	uint32_t result = c->source->register_count;
	struct rg_value value;

	/* Whoever is given a container may be anywhere. */
	if ((fact.kind == RG_TYPED_IS_ARRAY || fact.kind == RG_TYPED_IS_OBJECT) &&
	    rg_typed_made_value(c, fact, &value))
		fact = rg_typed_made_fact(c->typed, value);
	if (rg_typed_is_home(c, result))
		rg_typed_write_home(c, result, fact);
	else
		c->facts[result] = fact; /* nothing is written after it */
	if (c->reachable)
		rg_typed_jump(c, c->source->count);
}

static void translate(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;

	switch ((enum rg_op)instruction->op) {
	case RG_OP_JUMP: rg_typed_jump(c, instruction->target); return;
	case RG_OP_RETURN: give_back(c, rg_typed_operand(c, instruction->a)); return;
	case RG_OP_RETURN_UNDEFINED: give_back(c, (struct rg_typed_fact){0}); return;
	case RG_OP_BRANCH_DEFINED: branch_defined(c, true); return;
	case RG_OP_BRANCH_UNDEFINED: branch_defined(c, false); return;
	case RG_OP_BRANCH_TRUE: branch_true(c); return;
	case RG_OP_BRANCH_COMPARE: branch_compare(c); return;
	case RG_OP_BRANCH_TYPE: branch_type(c); return;
	case RG_OP_BRANCH_MEMBER: branch_member(c); return;
	case RG_OP_RESET: rg_typed_write(c, instruction->dst, (struct rg_typed_fact){0}); return;
	case RG_OP_MOVE:
		rg_typed_write(c, instruction->dst, rg_typed_operand(c, instruction->a));
		return;
	case RG_OP_DOT: dot(c); return;
	case RG_OP_COMPARE: compare_value(c); return;
	case RG_OP_CALL: call(c); return;
	case RG_OP_BUILTIN: builtin(c); return;
	case RG_OP_ASSIGN_ONCE: rg_typed_assign_once(c); return;
	case RG_OP_FIELD_PRESENT:
	case RG_OP_FIELD_LOAD:
	case RG_OP_FIELD_COMPARE:
	case RG_OP_FIELD_COMPARE_FIELD:
	case RG_OP_FIELD_TEXT:
	case RG_OP_FIELD_MASK:
	case RG_OP_FIELD_BIT:
	case RG_OP_FIELD_MEMBER: rg_typed_field(c); return;
	case RG_OP_MAKE_SET:
	case RG_OP_MAKE_ARRAY:
	case RG_OP_MAKE_OBJECT:
	case RG_OP_CLONE:
	case RG_OP_SET_ADD:
	case RG_OP_ARRAY_APPEND:
	case RG_OP_OBJECT_INSERT:
	case RG_OP_OBJECT_INSERT_ONCE:
	case RG_OP_OBJECT_MERGE:
	case RG_OP_LENGTH: rg_typed_container(c); return;
	case RG_OP_INPUT:
		rg_typed_write(
			c, instruction->dst,
			(struct rg_typed_fact){.kind = RG_TYPED_IS_NODE, .number = instruction->a});
		return;
	case RG_OP_WITH: rg_typed_give_up(c, "with"); return;
	case RG_OP_CALL_DYNAMIC: rg_typed_give_up(c, "a rule is called by a computed path"); return;
	case RG_OP_SCAN: /* rg_typed_loop() */
	case RG_OP_NEXT:
	case RG_OP_LOOP:
	case RG_OP_MARK:
	case RG_OP_COUNT: rg_typed_give_up(c, "an instruction out of place"); return;
	}
}

/* The instruction, and where control goes on if it is left. */
static void translate_one(struct rg_typed_context *c)
{
	bool reachable;

	c->left_label = 0;
	translate(c);
	if (!c->left_label)
		return;
	reachable = c->reachable;
	rg_typed_place(c, c->left_label);
	if (!reachable)
		c->stamp = c->left_stamp; /* on the only way what was known still is */
	c->left_label = 0;
}

void rg_typed_range(struct rg_typed_context *c, uint32_t from, uint32_t to)
{
	for (uint32_t at = from; at < to && !c->typed->full && !c->typed->unit->status;) {
		rg_typed_may_wait(c, at);
		rg_typed_place(c, at);
		c->instruction = &c->source->code[at];
		c->typed->place = c->instruction->place;
		if (c->reachable && c->instruction->op == RG_OP_SCAN) {
			at = rg_typed_loop(c, at);
			continue;
		}
		if (c->reachable)
			translate_one(c);
		at++;
	}
	rg_typed_ask_waiting(c);
}

static void count_writes(struct rg_typed_context *c)
{
	const struct rg_typed_source *source = c->source;

	for (uint32_t i = 0; i < source->register_count; i++)
		c->writes[i] = (i < source->param_count) + (source->at_entry[i] ? 2u : 0u);
	c->writes[source->register_count] = 0;
	for (uint32_t i = 0; i < source->count; i++) {
		const struct rg_instruction *instruction = &source->code[i];

		if (rg_op_shapes[instruction->op].dst == 'R' ||
		    instruction->op == RG_OP_ASSIGN_ONCE)
			c->writes[instruction->dst]++;
		if (instruction->op == RG_OP_NEXT)
			c->writes[instruction->b]++;
		if (instruction->op == RG_OP_RETURN || instruction->op == RG_OP_RETURN_UNDEFINED)
			c->writes[source->register_count]++;
	}
}

static void begin(struct rg_typed_context *c, const struct rg_typed_fact *args)
{
	const struct rg_typed_source *source = c->source;

	c->doubtful = source->count + 1;
	c->label_count = source->count + 2;
	c->stamp = ++c->typed->stamps;
	c->reachable = true;
	c->is_doubtful = false;
	c->types_changed = false;
	c->waiting = c->left_label = 0;
	c->fixups.count = c->pending.count = c->free_fixups = 0;
	c->instruction = NULL;
	if (!c->caller)
		rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT,
								      .dst = c->doubt});
	for (uint32_t i = 0; i < source->register_count; i++) {
		if (rg_typed_is_home(c, i) && source->at_entry[i])
			rg_typed_make_undefined(c, i);
		if (i < source->param_count)
			rg_typed_write(c, i, args[i]);
	}
}

static struct rg_typed_fact result_of(struct rg_typed_context *c)
{
	uint32_t result = c->source->register_count;
	struct rg_typed_fact fact = rg_typed_read(c, result);

	fact.is_volatile = false; /* nobody writes it any more */
	return fact;
}

/* Once, with the types that homes have so far. */
static struct rg_typed_fact attempt(struct rg_typed_context *c, const struct rg_typed_fact *args)
{
	bool returns;

	begin(c, args);
	rg_typed_range(c, 0, c->source->count);
	c->reachable = false;
	rg_typed_place(c, c->source->count);
	returns = c->reachable;
	rg_typed_place(c, c->doubtful);
	return returns ? result_of(c) : (struct rg_typed_fact){.kind = RG_TYPED_IS_UNTYPED};
}

bool rg_typed_make_room(struct rg_typed_context *c)
{
	size_t registers = c->source->register_count + 1;

	c->facts = calloc(registers, sizeof(*c->facts));
	c->homes = calloc(registers, sizeof(*c->homes));
	c->writes = calloc(registers, sizeof(*c->writes));
	if (!c->facts || !c->homes || !c->writes) {
		rg_unit_no_memory(c->typed->unit);
		return false;
	}
	if (!c->caller) {
		c->doubt = rg_typed_slot(c->typed);
		c->typed->is_doubt[c->doubt] = true;
	}
	count_writes(c);
	for (uint32_t i = 0; i < registers; i++) {
		if (rg_typed_is_home(c, i))
			c->homes[i].type.slot = rg_typed_slot(c->typed);
	}
	return true;
}

void rg_typed_free_room(struct rg_typed_context *c)
{
	free(c->facts);
	free(c->homes);
	free(c->writes);
	free(c->fixups.items);
	free(c->pending.items);
}

static struct rg_typed_fact translate_function(struct rg_typed *t, uint32_t function,
					       const struct rg_typed_fact *args,
					       struct rg_typed_context *caller)
{
	struct rg_typed_context c = {
		.typed = t, .caller = caller, .source = source_of(t, function)};
	struct rg_typed_fact result = {.kind = RG_TYPED_IS_UNTYPED};
	const struct rg_typed_mark mark = rg_typed_mark(t);
	const char *untyped = t->untyped; /* an attempt before the last one counts for nothing */
	uint32_t untyped_place = t->untyped_place, containers = t->containers.count, attempts = 0;

	t->depth++;
	if (rg_typed_make_room(&c)) {
		do {
			rg_typed_take_back(&c, &mark);
			t->containers.count = containers;
			t->untyped = untyped;
			t->untyped_place = untyped_place;
			result = attempt(&c, args);
		} while (c.types_changed && ++attempts < ATTEMPTS_MAX && !t->full &&
			 !t->unit->status);
		t->full = t->full || c.types_changed;
	}
	if (c.is_doubtful)
		t->doubts[function] = (uint16_t)(c.doubt + 1);
	t->depth--;
	rg_typed_free_room(&c);
	return result;
}

/* Translate a function without parameters, those that it calls first: their results are there
 * when it begins. */
static void translate_rule(struct rg_typed *t, uint32_t function)
{
	const struct rg_typed_source *source = source_of(t, function);

	if (!source || t->is_translated[function])
		return;
	t->is_translated[function] = true;
	for (uint32_t i = 0; i < source->count; i++) {
		if (source->code[i].op == RG_OP_CALL)
			translate_rule(t, source->code[i].a);
	}
	if (!source->param_count)
		t->results[function] = translate_function(t, function, NULL, NULL);
}

/* ---- programs ---- */

static void begin_program(struct rg_typed *t, struct rg_unit *unit, const struct rg_vector *refused)
{
	*t = (struct rg_typed){.unit = unit,
			       .refused = refused,
			       .first_table = unit->typed_tables.count,
			       .first_cell = unit->typed_cells.count};
	t->texts = rg_object(&unit->heap, 0);
	t->bits = rg_object(&unit->heap, 0);
	t->made_values = rg_object(&unit->heap, 0);
	t->results = calloc(unit->variants.count + 1u, sizeof(*t->results));
	t->doubts = calloc(unit->variants.count + 1u, sizeof(*t->doubts));
	t->is_translated = calloc(unit->variants.count + 1u, sizeof(*t->is_translated));
	if (!t->results || !t->doubts || !t->is_translated)
		rg_unit_no_memory(unit);
}

static void end_program(struct rg_typed *t)
{
	for (uint32_t i = 0; i < t->made.count; i++) {
		struct rg_typed_choice *choice =
			*RG_VECTOR_AT(t->made, struct rg_typed_choice *, i);

		free(choice->values);
		free(choice);
	}
	free(t->made.items);
	free(t->front.items);
	free(t->places.items);
	free(t->body.items);
	free(t->containers.items);
	rg_typed_forget_pieces(t, 0);
	free(t->pieces.items);
	free(t->unknowns.items);
	free(t->stable.items);
	free(t->real_sums.items);
	free(t->spare.items);
	free(t->sums.items);
	free(t->lookups.items);
	free(t->named.items);
	free(t->orders.items);
	rg_typed_free_listed(t);
	free(t->zones.items);
	free(t->columns.items);
	free(t->unrolled.items);
	free(t->results);
	free(t->doubts);
	free(t->is_translated);
}

/* What a rule of the verdict is in the program; false if it is something that only the rules can
 * make a verdict of. */
static bool role_of(struct rg_typed *t, enum rg_role role, struct rg_typed_fact fact,
		    struct rg_typed_role *out)
{
	int64_t mantissa;
	uint8_t scale = 0;

	*out = (struct rg_typed_role){0};
	if (fact.kind == RG_TYPED_IS_NOTHING)
		return true;
	if (role == RG_ROLE_SCORE) {
		if (fact.kind == RG_TYPED_IS_KNOWN &&
		    rg_typed_decimal(t, fact.value, &mantissa, &scale))
			*out = (struct rg_typed_role){RG_TYPED_NUMBER, scale,
						      rg_typed_number(t, mantissa)};
		else if (fact.kind == RG_TYPED_IS_INTEGER)
			*out = (struct rg_typed_role){RG_TYPED_NUMBER, fact.scale,
						      rg_typed_integer(t, &fact, fact.scale)};
		else if (fact.kind == RG_TYPED_IS_BALL || fact.kind == RG_TYPED_IS_QUOTIENT)
			*out = (struct rg_typed_role){RG_TYPED_REAL_NUMBER, 0,
						      rg_typed_ball(t, &fact)};
		return out->kind != RG_TYPED_NO_RESULT;
	}
	if (fact.kind == RG_TYPED_IS_SET && !fact.maybe_undefined && role != RG_ROLE_ALLOW)
		*out = (struct rg_typed_role){RG_TYPED_SET, 0, (uint16_t)fact.number};
	else if (fact.kind == RG_TYPED_IS_TRUTH && role != RG_ROLE_REASONS)
		*out = (struct rg_typed_role){RG_TYPED_BOOLEAN, 0, fact.slot};
	else if (fact.kind == RG_TYPED_IS_KNOWN && fact.value.type == RG_BOOLEAN &&
		 role != RG_ROLE_REASONS)
		*out = (struct rg_typed_role){RG_TYPED_BOOLEAN, 0,
					      rg_typed_number(t, fact.value.i)};
	return out->kind != RG_TYPED_NO_RESULT;
}

/* A role whose rule gave up is left to the rules. */
static void check_doubt(struct rg_typed *t, uint32_t function, int role)
{
	if (t->doubts[function])
		rg_typed_emit(
			t, (struct rg_typed_instruction){.op = RG_TYPED_OP_LEAVE_ROLE,
							 .a = (uint16_t)(t->doubts[function] - 1),
							 .number = role});
}

/* Does code call the function? */
static bool is_called(const struct rg_typed *t, uint32_t function)
{
	for (uint32_t i = 0; i < t->unit->typed_sources.count; i++) {
		const struct rg_typed_source *source = source_of(t, i);

		for (uint32_t j = 0; source && j < source->count; j++) {
			if (source->code[j].op == RG_OP_CALL && source->code[j].a == function)
				return true;
		}
	}
	return false;
}

/* False: there is no role that the program knows something of. */
static bool translate_roles(struct rg_typed *t, const struct rg_image_binding *binding,
			    struct rg_typed_program *program)
{
	bool knows = false;

	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		uint32_t function = binding->specialised[role];
		struct rg_typed_fact fact = {0};

		if (function == RG_IMAGE_NO_FUNCTION)
			continue;
		t->role = (uint32_t)role;
		t->role_source = NULL;
		if ((role == RG_ROLE_REVIEW || role == RG_ROLE_ALLOW) && !is_called(t, function))
			t->role_source = source_of(t, function);
		translate_rule(t, function);
		fact = t->results[function];
		if (!source_of(t, function))
			fact.kind = RG_TYPED_IS_UNTYPED;
		if (role_of(t, (enum rg_role)role, fact, &program->roles[role])) {
			check_doubt(t, function, role);
			knows = true;
			continue;
		}
		program->roles[role] = (struct rg_typed_role){.kind = RG_TYPED_BY_RULES};
		program->left |= 1u << role;
		if (!t->untyped)
			t->untyped = "a rule of the verdict is neither a partial set of "
				     "texts, nor a boolean, nor a number";
	}
	rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_END});
	return knows && !t->full && !t->unit->status;
}

/* The loop of very many turns that a program that was not made is put down to: the last one that
 * was not done, else the one of which most was left. NULL: there was none. */
static const struct rg_typed_unrolled *largest_unrolled(const struct rg_typed *t)
{
	const struct rg_typed_unrolled *largest = NULL;

	for (uint32_t i = 0; i < t->unrolled.count; i++) {
		const struct rg_typed_unrolled *one =
			RG_VECTOR_AT(t->unrolled, struct rg_typed_unrolled, i);

		if (!largest || !one->end || (largest->end && one->left > largest->left))
			largest = one;
	}
	return largest;
}

/* False: not made, but it may be without the loop that was added to those refused. */
static bool try_program(struct rg_unit *unit, struct rg_image_binding *binding,
			struct rg_vector *refused)
{
	uint32_t tables = unit->typed_tables.count, cells = unit->typed_cells.count;
	uint32_t rules = unit->rule_tables.count;
	struct rg_typed_program program = {0};
	const struct rg_typed_unrolled *largest = NULL;
	struct rg_typed_unrolled *added;
	struct rg_typed t;

	begin_program(&t, unit, refused);
	t.program = &program;
	if (!unit->status && translate_roles(&t, binding, &program) && rg_typed_lay(&t, &program)) {
		binding->typed = unit->typed_programs.count;
	} else {
		if (!t.untyped)
			t.untyped = "the program would be too large";
		unit->typed_tables.count = tables;
		unit->typed_cells.count = cells;
		unit->rule_tables.count = rules;
		if (refused->count < RETRIES_MAX && t.full)
			largest = largest_unrolled(&t);
	}
	if (largest) {
		added = rg_vector_add(unit, refused, sizeof(*added));
		if (added)
			*added = *largest;
	} else if (t.untyped) {
		binding->untyped = rg_unit_text(unit, t.untyped, strlen(t.untyped)) + 1;
		binding->untyped_place = t.untyped_place;
	}
	end_program(&t);
	return !largest || unit->status;
}

static void make_program(struct rg_unit *unit, struct rg_image_binding *binding)
{
	struct rg_vector refused = {0};

	while (!try_program(unit, binding, &refused))
		;
	free(refused.items);
}

int rg_typed_compile(struct rg_unit *unit)
{
	uint64_t work = unit->heap.work;

	unit->heap.work = UINT64_MAX;
	for (uint32_t i = 0; i < unit->bindings.count && !unit->status && !unit->options->marks;
	     i++)
		make_program(unit, RG_VECTOR_AT(unit->bindings, struct rg_image_binding, i));
	unit->heap.work = work;
	return unit->status;
}

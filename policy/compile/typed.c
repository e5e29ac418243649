/* SPDX-License-Identifier: Apache-2.0 */
/* Functions to typed instructions, and the typed program of a template. See typed.h. */
#include "policy/compile/typed.h"

#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "policy/compile/fields.h"

#define SOURCE_MAX   (1u << 22) /* instructions of one function */
#define DEPTH_MAX    16		/* calls with arguments, one in another */
#define ATTEMPTS_MAX 8		/* until the types of homes stand still */
#define UNROLLED_MAX 256	/* turns of one loop that need not become rows of a table */
#define ROWS_MAX     (1u << 20) /* turns of one that must */
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

static const struct rg_image_field *field_of(const struct rg_typed_context *c, uint32_t number)
{
	return RG_VECTOR_AT(c->typed->unit->fields, struct rg_image_field, number);
}

static struct rg_value constant_of(const struct rg_typed_context *c, uint32_t number)
{
	return RG_VECTOR_AT(c->typed->unit->constants, struct rg_constant, number)->value;
}

/* ---- homes: registers written at several places ---- */

static bool is_home(const struct rg_typed_context *c, uint32_t number)
{
	return c->writes[number] > 1;
}

static struct rg_typed_fact known_fact(struct rg_value value)
{
	return (struct rg_typed_fact){.kind = RG_TYPED_IS_KNOWN, .value = value};
}

/* The type of a slot that is to hold the fact. */
static struct rg_typed_fact type_of(struct rg_typed_context *c, struct rg_typed_fact fact)
{
	struct rg_typed_fact type = {.kind = fact.kind};
	int64_t mantissa;

	switch ((enum rg_typed_kind)fact.kind) {
	case RG_TYPED_IS_KNOWN:
		type.kind = RG_TYPED_IS_UNTYPED;
		if (fact.value.type == RG_BOOLEAN)
			type.kind = RG_TYPED_IS_TRUTH;
		else if (fact.value.type == RG_STRING)
			type.kind = RG_TYPED_IS_TEXT;
		else if (rg_typed_decimal(c->typed, fact.value, &mantissa, &type.scale))
			type.kind = RG_TYPED_IS_INTEGER;
		break;
	case RG_TYPED_IS_ARRAY:
	case RG_TYPED_IS_OBJECT:
	case RG_TYPED_IS_NODE: type.kind = RG_TYPED_IS_UNTYPED; break;
	case RG_TYPED_IS_NAMED: type.kind = RG_TYPED_IS_TEXT; break;
	case RG_TYPED_IS_INTEGER: type.scale = fact.scale; break;
	case RG_TYPED_IS_CHARS:
	case RG_TYPED_IS_BITS:
	case RG_TYPED_IS_SET: type.number = fact.number; break;
	case RG_TYPED_IS_CHOICE: type.choice = fact.choice; break;
	default: break;
	}
	return type;
}

static struct rg_typed_fact joined(struct rg_typed_fact a, struct rg_typed_fact b)
{
	bool numbers = (a.kind == RG_TYPED_IS_INTEGER || a.kind == RG_TYPED_IS_BALL) &&
		       (b.kind == RG_TYPED_IS_INTEGER || b.kind == RG_TYPED_IS_BALL);

	if (a.kind == RG_TYPED_IS_NOTHING)
		return b;
	if (b.kind == RG_TYPED_IS_NOTHING)
		return a;
	if (numbers && a.kind == b.kind)
		return a.scale > b.scale ? a : b;
	if (numbers)
		return (struct rg_typed_fact){.kind = RG_TYPED_IS_BALL};
	if (a.kind == b.kind && a.number == b.number && a.choice == b.choice)
		return a;
	return (struct rg_typed_fact){.kind = RG_TYPED_IS_UNTYPED};
}

static bool same_type(struct rg_typed_fact a, struct rg_typed_fact b)
{
	return a.kind == b.kind && a.scale == b.scale && a.number == b.number &&
	       a.choice == b.choice;
}

static void make_undefined(struct rg_typed_context *c, uint32_t number)
{
	struct rg_typed_home *home = &c->homes[number];

	rg_typed_emit(c->typed,
		      home->type.kind == RG_TYPED_IS_BALL
			      ? (struct rg_typed_instruction){.op = RG_TYPED_OP_REAL_UNDEFINED,
							      .dst = home->type.slot}
			      : (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT,
							      .dst = home->type.slot,
							      .number = RG_TYPED_ABSENT});
	home->known = (struct rg_typed_fact){0};
	home->known_stamp = c->stamp;
}

/* The fact as it lies in a slot of the type. False if it cannot. */
static bool slot_for(struct rg_typed_context *c, struct rg_typed_fact type,
		     struct rg_typed_fact fact, uint16_t *slot)
{
	struct rg_typed *t = c->typed;

	switch ((enum rg_typed_kind)type.kind) {
	case RG_TYPED_IS_INTEGER: *slot = rg_typed_integer(t, &fact, type.scale); return true;
	case RG_TYPED_IS_BALL: *slot = rg_typed_ball(t, &fact); return true;
	case RG_TYPED_IS_TRUTH:
		*slot = fact.kind == RG_TYPED_IS_KNOWN ? rg_typed_number(t, fact.value.i)
						       : fact.slot;
		return true;
	case RG_TYPED_IS_TEXT:
		if (fact.kind == RG_TYPED_IS_NAMED)
			fact = rg_typed_named_text(t, &fact);
		*slot = fact.kind == RG_TYPED_IS_KNOWN
				? rg_typed_number(t, rg_typed_text(t, fact.value))
				: fact.slot;
		return true;
	case RG_TYPED_IS_CHARS:
	case RG_TYPED_IS_DIGITS:
	case RG_TYPED_IS_BITS:
	case RG_TYPED_IS_CHOICE: *slot = fact.slot; return true;
	case RG_TYPED_IS_SET:
		*slot = fact.maybe_undefined ? fact.slot : rg_typed_number(t, 0);
		return true;
	default: return false;
	}
}

static uint8_t move_of(struct rg_typed_fact fact)
{
	return fact.kind == RG_TYPED_IS_BALL ? RG_TYPED_OP_REAL_MOVE : RG_TYPED_OP_MOVE;
}

static void write_home(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact)
{
	struct rg_typed_home *home = &c->homes[number];
	struct rg_typed_fact type = joined(home->type, type_of(c, fact));
	uint16_t slot = 0;

	type.slot = home->type.slot;
	if (!same_type(type, home->type)) {
		c->types_changed = true;
		home->type = type;
	}
	if (fact.kind == RG_TYPED_IS_NOTHING) {
		make_undefined(c, number);
		return;
	}
	if (!slot_for(c, type, fact, &slot)) {
		rg_typed_give_up(c, "a rule's values are of different types");
		return;
	}
	rg_typed_emit(c->typed, (struct rg_typed_instruction){
					.op = move_of(type), .dst = type.slot, .a = slot});
	home->known = fact;
	home->known_stamp = fact.is_volatile ? 0 : c->stamp;
}

static struct rg_typed_fact read_register(const struct rg_typed_context *c, uint32_t number)
{
	const struct rg_typed_home *home = &c->homes[number];
	struct rg_typed_fact fact;

	if (!is_home(c, number))
		return c->facts[number];
	if (home->known_stamp == c->stamp)
		return home->known;
	fact = home->type;
	fact.maybe_undefined = fact.is_volatile = true;
	return fact;
}

static void write_register(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact)
{
	if (is_home(c, number)) {
		write_home(c, number, fact);
		return;
	}
	if (fact.is_volatile && fact.kind != RG_TYPED_IS_UNTYPED) {
		fact.slot = rg_typed_value(c->typed, (struct rg_typed_instruction){
							     .op = move_of(fact), .a = fact.slot});
		fact.is_volatile = false;
	}
	c->facts[number] = fact;
}

static struct rg_typed_container *container_of(const struct rg_typed_context *c,
					       struct rg_typed_fact fact)
{
	return RG_VECTOR_AT(c->typed->containers, struct rg_typed_container, fact.number);
}

static struct rg_typed_fact operand(const struct rg_typed_context *c, uint32_t number)
{
	struct rg_typed_container *container;
	struct rg_typed_fact fact;

	if (number & RG_OPERAND_CONSTANT)
		return known_fact(constant_of(c, number & ~RG_OPERAND_CONSTANT));
	fact = read_register(c, number);
	if (fact.kind == RG_TYPED_IS_ARRAY || fact.kind == RG_TYPED_IS_OBJECT) {
		container = container_of(c, fact);
		if (container->is_known && container->stamp == c->stamp) {
			container->is_used = true;
			return known_fact(container->value);
		}
	}
	return fact;
}

/* An operand that has to be defined, else control goes to the instruction's target. False if it
 * never is. */
static bool required(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact *fact)
{
	*fact = operand(c, number);
	return rg_typed_require(c, fact, c->instruction->target);
}

/* ---- fields ---- */

static bool names_fit(const struct rg_typed_context *c, const struct rg_image_field *field)
{
	if (field->names_count > RG_TYPED_NAMES_MAX)
		return false;
	for (uint32_t i = 0; i < field->names_count; i++) {
		if (RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				 field->names_first + i)
				    ->value -
			    field->names_base >=
		    RG_TYPED_NAMES_MAX)
			return false;
	}
	return true;
}

/* 0 or 1 for a boolean's value, whichever of them its schema calls true. */
static struct rg_typed_fact boolean_field(struct rg_typed_context *c,
					  const struct rg_image_field *field, uint16_t slot)
{
	int64_t cells[2] = {RG_TYPED_ABSENT, RG_TYPED_ABSENT};

	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *name =
			RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				     field->names_first + i);

		if (name->value - field->names_base < 2)
			cells[name->value - field->names_base] = rg_string_is(
				&c->typed->unit->heap, constant_of(c, name->name), "true");
	}
	if (cells[0] == 0 && cells[1] == 1)
		return (struct rg_typed_fact){.kind = RG_TYPED_IS_TRUTH, .slot = slot};
	return (struct rg_typed_fact){
		.kind = RG_TYPED_IS_TRUTH,
		.slot = rg_typed_value(
			c->typed, (struct rg_typed_instruction){
					  .op = RG_TYPED_OP_COLUMN,
					  .a = slot,
					  .table = rg_typed_column(c->typed->unit, cells, 2)})};
}

/* The load of a number of the field's width, with what it needs of the field. */
static struct rg_typed_instruction load_number(const struct rg_image_field *field, uint32_t number)
{
	struct rg_typed_instruction load = {.a = (uint16_t)number, .b = field->optional};

	if (field->constant)
		return (struct rg_typed_instruction){.op = RG_TYPED_OP_FIELD_NUMBER,
						     .a = (uint16_t)number};
	switch (field->bytes) {
	case 1: load.op = field->is_signed ? RG_TYPED_OP_FIELD_I8 : RG_TYPED_OP_FIELD_U8; break;
	case 2: load.op = field->is_signed ? RG_TYPED_OP_FIELD_I16 : RG_TYPED_OP_FIELD_U16; break;
	case 4: load.op = field->is_signed ? RG_TYPED_OP_FIELD_I32 : RG_TYPED_OP_FIELD_U32; break;
	default: load.op = RG_TYPED_OP_FIELD_64;
	}
	load.target = field->extent;
	load.table = field->offset;
	load.number = rg_field_extend(field->null_value, field->bytes, field->is_signed);
	return load;
}

/* The load of an enum: which values have names, null not among them. */
static struct rg_typed_instruction load_named(const struct rg_typed_context *c,
					      const struct rg_image_field *field, uint32_t number)
{
	struct rg_typed_instruction load = {.op = RG_TYPED_OP_FIELD_NAMED_U8,
					    .a = (uint16_t)number,
					    .b = (uint16_t)field->names_base};
	uint64_t named = 0;

	if (field->constant || field->bytes != 1)
		return (struct rg_typed_instruction){.op = RG_TYPED_OP_FIELD_NAMED,
						     .a = (uint16_t)number};
	for (uint32_t i = 0; i < field->names_count; i++) {
		uint64_t value = RG_VECTOR_AT(c->typed->unit->field_names,
					      struct rg_image_field_name, field->names_first + i)
					 ->value;

		if (!field->optional || value != field->null_value)
			named |= 1ull << (value - field->names_base);
	}
	load.target = field->extent;
	load.table = field->offset;
	load.number = (int64_t)named;
	return load;
}

/* The field as a fact that may be undefined. False if such a field has no type. */
static bool field_fact(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact *fact)
{
	const struct rg_image_field *field = field_of(c, number);
	struct rg_typed_instruction load = load_number(field, number);

	*fact = (struct rg_typed_fact){.number = number, .maybe_undefined = true};
	if (number > UINT16_MAX)
		return false;
	switch (field->kind) {
	case RG_FIELD_INT:
	case RG_FIELD_DECIMAL:
		if (field->exponent > 0 || field->exponent < -RG_TYPED_SCALE_MAX)
			return false;
		fact->kind = RG_TYPED_IS_INTEGER;
		fact->scale = field->kind == RG_FIELD_DECIMAL ? (uint8_t)-field->exponent : 0;
		fact->is_unsigned = !field->is_signed && field->bytes == 8;
		break;
	case RG_FIELD_SET: fact->kind = RG_TYPED_IS_BITS; break;
	case RG_FIELD_CHARS:
		load = (struct rg_typed_instruction){.op = RG_TYPED_OP_FIELD_TEXT,
						     .a = (uint16_t)number};
		fact->kind = RG_TYPED_IS_CHARS;
		break;
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL:
		if (!names_fit(c, field))
			return false;
		load = load_named(c, field, number);
		fact->kind = RG_TYPED_IS_NAMED;
		break;
	default: return false;
	}
	fact->slot = rg_typed_value(c->typed, load);
	return true;
}

/* A field that is present, else control goes to the instruction's target. */
static bool present_field(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact *fact)
{
	if (!field_fact(c, number, fact)) {
		rg_typed_give_up(
			c, "a field is a float, has a variable exponent, or names too far apart");
		return false;
	}
	return rg_typed_require(c, fact, c->instruction->target);
}

static void field_present(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;

	if (!field_fact(c, c->instruction->a, &fact)) {
		rg_typed_give_up(
			c, "a field is a float, has a variable exponent, or names too far apart");
		return;
	}
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = c->instruction->aux
								   ? RG_TYPED_OP_IF_DEFINED
								   : RG_TYPED_OP_IF_UNDEFINED,
						     .a = fact.slot},
		       c->instruction->target);
}

static void load_field(struct rg_typed_context *c, uint32_t number)
{
	struct rg_typed_fact fact;

	if (!present_field(c, number, &fact))
		return;
	if (field_of(c, number)->kind == RG_FIELD_BOOL)
		fact = boolean_field(c, field_of(c, number), fact.slot);
	write_register(c, c->instruction->dst, fact);
}

/* `number` is at the field's own scale. */
static void field_compare(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	struct rg_typed_fact fact;

	if (!field_fact(c, instruction->a, &fact)) {
		rg_typed_give_up(c, "a field has an exponent beyond 18 places");
		return;
	}
	if (fact.is_unsigned && instruction->number < 0) {
		rg_typed_give_up(c, "a field is compared with a number beyond 63 bits");
		return;
	}
	/* The undefined is less than all numbers: what asks for more need not look. */
	if (instruction->aux != RG_GT && instruction->aux != RG_GE && instruction->aux != RG_EQ &&
	    !rg_typed_require(c, &fact, instruction->target))
		return;
	rg_typed_guard(c,
		       (struct rg_typed_instruction){
			       .op = (uint8_t)(RG_TYPED_OP_IF_EQ_NUMBER + instruction->aux),
			       .a = rg_typed_integer(c->typed, &fact, fact.scale),
			       .number = instruction->number},
		       instruction->target);
}

static void field_compare_field(struct rg_typed_context *c)
{
	struct rg_typed_fact a, b;

	if (present_field(c, c->instruction->a, &a) && present_field(c, c->instruction->b, &b))
		rg_typed_compare(c, (enum rg_comparison)c->instruction->aux, a, b,
				 c->instruction->target);
}

static void field_text(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;

	if (present_field(c, c->instruction->a, &fact))
		rg_typed_compare(c, (enum rg_comparison)c->instruction->aux, fact,
				 known_fact(constant_of(c, c->instruction->b)),
				 c->instruction->target);
}

static void field_mask(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;

	if (!field_fact(c, c->instruction->a, &fact)) {
		rg_typed_give_up(c, "the names of an enum are too far apart");
		return;
	}
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_IN_MASK,
						     .a = fact.slot,
						     .number = c->instruction->number},
		       c->instruction->target);
}

static void test_bit(struct rg_typed_context *c, uint16_t slot, uint64_t bit, bool wanted,
		     uint32_t label)
{
	if (c->typed->is_sparing) { /* as a number, so that it can be a column of a rule table */
		rg_typed_guard(c,
			       (struct rg_typed_instruction){
				       .op = RG_TYPED_OP_IF_EQ_NUMBER,
				       .a = rg_typed_value(c->typed,
							   (struct rg_typed_instruction){
								   .op = RG_TYPED_OP_BIT,
								   .a = slot,
								   .number = (int64_t)bit}),
				       .number = wanted},
			       label);
		return;
	}
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = wanted ? RG_TYPED_OP_IF_BIT
								  : RG_TYPED_OP_IF_NO_BIT,
						     .a = slot,
						     .number = (int64_t)bit},
		       label);
}

static void field_bit(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;

	if (field_fact(c, c->instruction->a, &fact))
		test_bit(c, fact.slot, c->instruction->b, c->instruction->aux,
			 c->instruction->target);
	else
		rg_typed_give_up(c, "a set of names cannot be loaded");
}

static void field_member(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;

	if (present_field(c, c->instruction->a, &fact) &&
	    !rg_typed_member(c, fact, constant_of(c, c->instruction->b), c->instruction->aux,
			     c->instruction->target))
		rg_typed_give_up(c, "membership of a value that is no number or text");
}

/* ---- guards ---- */

static void branch_defined(struct rg_typed_context *c, bool wanted)
{
	struct rg_typed_fact fact = operand(c, c->instruction->a);
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
	struct rg_typed_fact fact = operand(c, c->instruction->a);
	enum rg_value_type type;

	if (fact.kind == RG_TYPED_IS_TRUTH) { /* the undefined is not 1 */
		rg_typed_guard(c,
			       (struct rg_typed_instruction){
				       .op = RG_TYPED_OP_IF_EQ_NUMBER, .a = fact.slot, .number = 1},
			       c->instruction->target);
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

	if (required(c, c->instruction->a, &a) && required(c, c->instruction->b, &b))
		rg_typed_compare(c, (enum rg_comparison)c->instruction->aux, a, b,
				 c->instruction->target);
}

static void branch_type(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;
	enum rg_value_type type;

	if (!required(c, c->instruction->a, &fact))
		return;
	type = rg_typed_type(&fact);
	if (type == RG_UNDEFINED)
		rg_typed_give_up(c, "a value may be of several types");
	else if (type != c->instruction->aux)
		rg_typed_jump(c, c->instruction->target);
}

/* Which bit of a set field stands for a name; 64 if none does. */
static uint64_t bit_of_name(const struct rg_typed_context *c, uint32_t field_number,
			    struct rg_value name)
{
	const struct rg_image_field *field = field_of(c, field_number);

	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *one =
			RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				     field->names_first + i);

		if (rg_equal(&c->typed->unit->heap, constant_of(c, one->name), name))
			return one->value;
	}
	return 64;
}

static void branch_member(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	struct rg_typed_fact element, collection;
	uint64_t bit;

	if (!required(c, instruction->a, &element) || !required(c, instruction->b, &collection))
		return;
	if (element.kind == RG_TYPED_IS_KNOWN && collection.kind == RG_TYPED_IS_BITS) {
		bit = bit_of_name(c, collection.number, element.value);
		if (bit < 64)
			test_bit(c, collection.slot, bit, instruction->aux, instruction->target);
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

	if (!required(c, c->instruction->a, &a) || !required(c, c->instruction->b, &b))
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
		write_register(c, c->instruction->dst, truth);
}

/* A field, or a composite, of input by a name that is known here: input[r.field]. */
static void dot_of_node(struct rg_typed_context *c, uint32_t node, struct rg_value name)
{
	struct rg_typed_fact fact = {.kind = RG_TYPED_IS_NODE};
	const struct rg_image_node *child =
		rg_field_child(c->typed->unit, node, name, &fact.number);

	if (!child)
		rg_typed_jump(c, c->instruction->target);
	else if (child->field == RG_IMAGE_NO_FIELD)
		write_register(c, c->instruction->dst, fact);
	else
		load_field(c, child->field);
}

static void dot(struct rg_typed_context *c)
{
	struct rg_typed_fact from, key, result = {0};

	if (!required(c, c->instruction->a, &from) || !required(c, c->instruction->b, &key))
		return;
	if (from.kind == RG_TYPED_IS_NODE && key.kind == RG_TYPED_IS_KNOWN) {
		dot_of_node(c, from.number, key.value);
		return;
	}
	if (!rg_typed_dot(c, from, key, c->instruction->aux, c->instruction->target, &result))
		rg_typed_give_up(c,
				 "a look-up in what is no constant, or by a key of no simple type");
	else if (c->reachable)
		write_register(c, c->instruction->dst, result);
}

static void count_set(struct rg_typed_context *c, struct rg_typed_fact set)
{
	struct rg_typed_fact count = {.kind = RG_TYPED_IS_INTEGER, .slot = rg_typed_slot(c->typed)};

	rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_COUNT,
							      .dst = count.slot,
							      .a = (uint16_t)set.number});
	write_register(c, c->instruction->dst, count);
}

/* What is kept of an array, as a fact; false if it is not kept. */
static bool gathered(const struct rg_typed_context *c, struct rg_typed_fact array,
		     enum rg_typed_gathered what, struct rg_typed_fact *fact)
{
	const struct rg_typed_container *container;
	bool is_extreme = what == RG_TYPED_MOST || what == RG_TYPED_LEAST;
	uint16_t slot;

	if (array.kind != RG_TYPED_IS_ARRAY)
		return false;
	container = container_of(c, array);
	*fact = (struct rg_typed_fact){.kind = RG_TYPED_IS_INTEGER,
				       .scale = is_extreme ? RG_TYPED_GATHERED_SCALE : 0,
				       .maybe_undefined = is_extreme,
				       .slot = container->slots[what]};
	if (what == RG_TYPED_REAL_SUM && container->keeps[what]) {
		slot = rg_typed_slot(c->typed);
		rg_typed_emit(c->typed,
			      (struct rg_typed_instruction){.op = RG_TYPED_OP_REAL_SUM,
							    .dst = slot,
							    .a = fact->slot,
							    .number = RG_TYPED_GATHERED_SCALE});
		*fact = (struct rg_typed_fact){.kind = RG_TYPED_IS_BALL, .slot = slot};
	}
	return container->keeps[what];
}

static void count_or_give_up(struct rg_typed_context *c, struct rg_typed_fact fact)
{
	struct rg_typed_fact count;

	if (fact.kind == RG_TYPED_IS_SET)
		count_set(c, fact);
	else if (fact.kind == RG_TYPED_IS_KNOWN && fact.value.type >= RG_ARRAY)
		write_register(c, c->instruction->dst,
			       known_fact(rg_int(rg_count(&c->typed->unit->heap, fact.value))));
	else if (gathered(c, fact, RG_TYPED_COUNT, &count))
		write_register(c, c->instruction->dst, count);
	else
		rg_typed_give_up(c, "the length of what is no partial set");
}

static uint32_t new_set(struct rg_typed *t)
{
	if (t->set_count == RG_TYPED_SETS_MAX) {
		t->full = true;
		return 0;
	}
	memset(t->may_hold[t->set_count], 0, sizeof(t->may_hold[0]));
	t->is_large[t->set_count] = false;
	return t->set_count++;
}

static void make_set(struct rg_typed_context *c)
{
	write_register(
		c, c->instruction->dst,
		(struct rg_typed_fact){.kind = RG_TYPED_IS_SET, .number = new_set(c->typed)});
}

static struct rg_typed_container *new_container(struct rg_typed_context *c, enum rg_typed_kind kind,
						struct rg_value value)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_container *container =
		rg_vector_add(t->unit, &t->containers, sizeof(*container));

	if (!container || t->unit->heap.exhausted) {
		rg_unit_no_memory(t->unit);
		return NULL;
	}
	*container = (struct rg_typed_container){
		.maker = c->instruction, .value = value, .stamp = c->stamp, .is_known = true};
	write_register(
		c, c->instruction->dst,
		(struct rg_typed_fact){.kind = (uint8_t)kind, .number = t->containers.count - 1});
	return RG_VECTOR_AT(t->containers, struct rg_typed_container, t->containers.count - 1);
}

static const char *const gathering_builtins[RG_TYPED_GATHERED_COUNT] = {"sum", "count", "max",
									"min", "sum"};

/* Is some term of the array that the instruction makes not whole? */
static bool is_real_sum(const struct rg_typed *t, const struct rg_instruction *maker)
{
	for (uint32_t i = 0; i < t->real_sums.count; i++) {
		if (*RG_VECTOR_AT(t->real_sums, const struct rg_instruction *, i) == maker)
			return true;
	}
	return false;
}

/* Which of an array's sum and so on is somebody going to ask for? */
static void ask_for(const struct rg_typed_context *c, uint32_t array, bool *keeps)
{
	for (uint32_t i = 0; i < c->source->count; i++) {
		const struct rg_instruction *at = &c->source->code[i];
		struct rg_value name;

		if (at->op == RG_OP_LENGTH && at->a == array)
			keeps[RG_TYPED_COUNT] = true;
		if (at->op != RG_OP_BUILTIN || at->aux != 1 || c->source->operands[at->c] != array)
			continue;
		name = constant_of(
			c, RG_VECTOR_AT(c->typed->unit->builtins, struct rg_image_builtin, at->a)
				   ->name);
		for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++)
			keeps[what] |=
				rg_string_is(&c->typed->unit->heap, name, gathering_builtins[what]);
	}
}

static void make_array(struct rg_typed_context *c)
{
	struct rg_typed_container *array =
		new_container(c, RG_TYPED_IS_ARRAY, rg_array(&c->typed->unit->heap, 0));

	if (!array)
		return;
	ask_for(c, c->instruction->dst, array->keeps);
	array->keeps[is_real_sum(c->typed, c->instruction) ? RG_TYPED_SUM : RG_TYPED_REAL_SUM] =
		false;
	for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++) {
		if (!array->keeps[what])
			continue;
		array->slots[what] = rg_typed_slot(c->typed);
		rg_typed_emit(c->typed,
			      (struct rg_typed_instruction){
				      .op = RG_TYPED_OP_CONSTANT,
				      .dst = array->slots[what],
				      .number = what == RG_TYPED_MOST || what == RG_TYPED_LEAST
							? RG_TYPED_ABSENT
							: 0});
	}
}

static void make_object(struct rg_typed_context *c)
{
	new_container(c, RG_TYPED_IS_OBJECT, rg_object(&c->typed->unit->heap, 0));
}

/* An array or object whose first part is constant. */
static void clone(struct rg_typed_context *c)
{
	struct rg_typed_fact from;

	if (!required(c, c->instruction->a, &from))
		return;
	if (from.kind == RG_TYPED_IS_KNOWN &&
	    (from.value.type == RG_ARRAY || from.value.type == RG_OBJECT))
		new_container(c,
			      from.value.type == RG_ARRAY ? RG_TYPED_IS_ARRAY : RG_TYPED_IS_OBJECT,
			      rg_clone(&c->typed->unit->heap, from.value));
	else
		rg_typed_give_up(c, "a container is copied and changed");
}

/* May a constant be put into the container, so that it stays one? */
static bool stays_known(const struct rg_typed_context *c,
			const struct rg_typed_container *container)
{
	return container->is_known && !container->is_used && container->stamp == c->stamp;
}

static void object_insert(struct rg_typed_context *c)
{
	struct rg_typed_fact key, value, object = read_register(c, c->instruction->dst);
	struct rg_heap *heap = &c->typed->unit->heap;
	struct rg_typed_container *container;
	struct rg_value old;

	if (!required(c, c->instruction->a, &key) || !required(c, c->instruction->b, &value))
		return;
	if (object.kind != RG_TYPED_IS_OBJECT || key.kind != RG_TYPED_IS_KNOWN ||
	    value.kind != RG_TYPED_IS_KNOWN || !stays_known(c, container_of(c, object))) {
		rg_typed_give_up(c, "objects are made");
		return;
	}
	container = container_of(c, object);
	old = rg_object_get(heap, container->value, key.value);
	if (c->instruction->op == RG_OP_OBJECT_INSERT_ONCE && rg_is_defined(old) &&
	    !rg_equal(heap, old, value.value)) {
		rg_typed_give_up(c, "a key of an object gets two values");
		return;
	}
	if (!rg_object_insert(heap, container->value, key.value, value.value))
		rg_unit_no_memory(c->typed->unit);
}

/* to gets the members of `from` too. */
static void unite(struct rg_typed *t, uint32_t to, uint32_t from)
{
	rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_UNITE,
						       .dst = (uint16_t)to,
						       .a = (uint16_t)from});
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++)
		t->may_hold[to][i] |= t->may_hold[from][i];
	t->is_large[to] |= t->is_large[from];
}

static bool set_union(struct rg_typed_context *c, const struct rg_typed_fact *args)
{
	struct rg_typed_fact result = {.kind = RG_TYPED_IS_SET};

	if (args[0].kind != RG_TYPED_IS_SET || args[1].kind != RG_TYPED_IS_SET)
		return false;
	result.number = new_set(c->typed);
	unite(c->typed, result.number, args[0].number);
	unite(c->typed, result.number, args[1].number);
	write_register(c, c->instruction->dst, result);
	return true;
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
	write_register(c, c->instruction->dst, digits);
	return true;
}

static bool run_builtin(struct rg_typed_context *c, const char *name,
			const struct rg_typed_fact *args, uint32_t count)
{
	struct rg_typed_fact result;

	if (count == 1 && !strcmp(name, "count") &&
	    (args[0].kind == RG_TYPED_IS_SET || args[0].kind == RG_TYPED_IS_ARRAY)) {
		count_or_give_up(c, args[0]);
		return true;
	}
	for (int what = 0; what < RG_TYPED_GATHERED_COUNT && count == 1; what++) {
		if (strcmp(name, gathering_builtins[what]) != 0 ||
		    !gathered(c, args[0], (enum rg_typed_gathered)what, &result))
			continue;
		if (rg_typed_require(c, &result, c->instruction->target))
			write_register(c, c->instruction->dst, result);
		return true;
	}
	if (count == 2 && !strcmp(name, "or"))
		return set_union(c, args);
	if (count == 2 && !strcmp(name, "format_int"))
		return format_int(c, args);
	if (!rg_typed_arithmetic(c, name, args, count, c->instruction->target, &result))
		return false;
	write_register(c, c->instruction->dst, result);
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
	write_register(c, c->instruction->dst, known_fact(result));
	return true;
}

static void builtin(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	const struct rg_image_builtin *import =
		RG_VECTOR_AT(c->typed->unit->builtins, struct rg_image_builtin, instruction->a);
	struct rg_value name = constant_of(c, import->name);
	struct rg_typed_fact args[RG_BUILTIN_ARGS_MAX];
	char text[32];

	for (uint32_t i = 0; i < instruction->aux && i < RG_BUILTIN_ARGS_MAX; i++) {
		if (!required(c, c->source->operands[instruction->c + i], &args[i]))
			return;
	}
	if (instruction->aux <= RG_BUILTIN_ARGS_MAX && fold(c, name, args, instruction->aux))
		return;
	if (instruction->aux <= 2 && name.length < sizeof(text)) {
		memcpy(text, rg_text(&c->typed->unit->heap, name), name.length);
		text[name.length] = '\0';
		if (run_builtin(c, text, args, instruction->aux))
			return;
	}
	rg_typed_give_up(c, "a built-in that is no arithmetic on numbers of the request");
}

/* ---- effects ---- */

/* A known value as it lies in a slot of the type. False if it has no such number. */
static bool number_of(struct rg_typed_context *c, struct rg_typed_fact type, struct rg_value value,
		      int64_t *number)
{
	uint8_t scale;

	switch ((enum rg_typed_kind)type.kind) {
	case RG_TYPED_IS_TRUTH: *number = value.i; return value.type == RG_BOOLEAN;
	case RG_TYPED_IS_TEXT:
		if (value.type != RG_STRING)
			return false;
		*number = rg_typed_text(c->typed, value);
		return true;
	case RG_TYPED_IS_INTEGER:
		if (!rg_typed_decimal(c->typed, value, number, &scale) || scale > type.scale)
			return false;
		for (; scale < type.scale; scale++) {
			if (__builtin_mul_overflow(*number, 10, number))
				return false;
		}
		return *number > RG_TYPED_UNTYPED;
	default: return false;
	}
}

/* The register keeps the value that it has or gets this one; if they differ the program gives up. False:
 * that is to be done step by step. */
static bool agree(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact)
{
	struct rg_typed_home *home = &c->homes[number];
	struct rg_typed_fact type = joined(home->type, type_of(c, fact));
	struct rg_typed_instruction agree = {
		.op = RG_TYPED_OP_AGREE_NUMBER, .dst = home->type.slot, .a = home->type.slot};

	type.slot = home->type.slot;
	if (type.kind != RG_TYPED_IS_INTEGER && type.kind != RG_TYPED_IS_TRUTH &&
	    type.kind != RG_TYPED_IS_TEXT)
		return false;
	if (fact.kind != RG_TYPED_IS_KNOWN || !number_of(c, type, fact.value, &agree.number)) {
		agree.op = RG_TYPED_OP_AGREE;
		agree.number = 0;
		if (!slot_for(c, type, fact, &agree.b))
			return false;
	}
	if (!same_type(type, home->type)) {
		c->types_changed = true;
		home->type = type;
	}
	rg_typed_emit(c->typed, agree);
	home->known_stamp = 0;
	return true;
}

static void assign_once(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	struct rg_typed_fact fact, old = read_register(c, instruction->dst);
	uint32_t defined, conflict, done;

	if (!required(c, instruction->a, &fact))
		return;
	if (old.kind == RG_TYPED_IS_NOTHING) {
		write_home(c, instruction->dst, fact);
		return;
	}
	if (agree(c, instruction->dst, fact))
		return;
	defined = rg_typed_label(c);
	conflict = rg_typed_label(c);
	done = rg_typed_label(c);
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = old.kind == RG_TYPED_IS_BALL
								   ? RG_TYPED_OP_IF_REAL_UNDEFINED
								   : RG_TYPED_OP_IF_UNDEFINED,
						     .a = c->homes[instruction->dst].type.slot},
		       defined);
	write_home(c, instruction->dst, fact);
	if (c->reachable)
		rg_typed_jump(c, done);
	rg_typed_place(c, defined);
	old.maybe_undefined = false;
	rg_typed_compare(c, RG_EQ, old, fact, conflict);
	if (c->reachable)
		rg_typed_jump(c, done);
	rg_typed_place(c, conflict);
	if (c->reachable) /* so rare that it does not matter who asks for the rule */
		rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_GIVE_UP});
	c->reachable = false;
	rg_typed_place(c, done);
}

/* The bit of a constant in partial sets, or -1. */
static int64_t bit_of(struct rg_typed *t, struct rg_value text)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value bit = rg_object_get(heap, t->bits, text);

	if (rg_is_defined(bit))
		return bit.i;
	if (rg_count(heap, t->bits) == RG_TYPED_TEXTS_MAX)
		return -1;
	bit = rg_int(rg_count(heap, t->bits));
	if (!rg_object_insert(heap, t->bits, text, bit))
		rg_unit_no_memory(t->unit);
	return bit.i;
}

static void set_add(struct rg_typed_context *c)
{
	struct rg_typed_fact element, set = read_register(c, c->instruction->dst);
	int64_t bit = -1;

	if (!required(c, c->instruction->a, &element))
		return;
	if (element.kind == RG_TYPED_IS_KNOWN && set.kind == RG_TYPED_IS_SET)
		bit = bit_of(c->typed, element.value);
	if (bit < 0) {
		rg_typed_give_up(c, "a set gets what is no constant");
		return;
	}
	rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_ADD,
							      .dst = (uint16_t)set.number,
							      .number = bit});
	if (bit < RG_TYPED_BITS_MAX)
		c->typed->may_hold[set.number][bit / 64] |= 1ull << bit % 64;
	else
		c->typed->is_large[set.number] = true;
}

static void add_to(struct rg_typed *t, uint16_t slot, uint16_t term)
{
	rg_typed_emit(t, (struct rg_typed_instruction){
				 .op = RG_TYPED_OP_ADD, .dst = slot, .a = slot, .b = term});
}

/* What the element is for what is gathered: the instruction's term. False: it is none. Of an extreme
 * it must be a constant, as those of rows are. */
static bool term_of(struct rg_typed_context *c, enum rg_typed_gathered what,
		    struct rg_typed_fact element, struct rg_typed_instruction *add)
{
	static const uint8_t ops[RG_TYPED_GATHERED_COUNT] = {
		RG_TYPED_OP_ADD_NUMBER, RG_TYPED_OP_ADD_NUMBER, RG_TYPED_OP_MAXIMUM_NUMBER,
		RG_TYPED_OP_MINIMUM_NUMBER, RG_TYPED_OP_ADD_NUMBER};
	struct rg_typed_fact type = {.kind = RG_TYPED_IS_INTEGER,
				     .scale = what >= RG_TYPED_MOST ? RG_TYPED_GATHERED_SCALE : 0};

	add->op = ops[what];
	if (what == RG_TYPED_COUNT) {
		add->number = 1;
		return true;
	}
	if (element.kind == RG_TYPED_IS_KNOWN)
		return number_of(c, type, element.value, &add->number) &&
		       (what != RG_TYPED_REAL_SUM || add->number >= 0);
	if (element.kind != RG_TYPED_IS_INTEGER || element.scale || what != RG_TYPED_SUM)
		return false;
	add->op = RG_TYPED_OP_ADD;
	add->b = rg_typed_integer(c->typed, &element, 0);
	return true;
}

/* Begin again, and keep the sum of what that instruction makes as one of reals. */
static void sum_reals(struct rg_typed_context *c, const struct rg_instruction *maker)
{
	const struct rg_instruction **added =
		rg_vector_add(c->typed->unit, &c->typed->real_sums, sizeof(*added));

	if (added)
		*added = maker;
	c->types_changed = true;
}

static void array_append(struct rg_typed_context *c)
{
	struct rg_typed_fact element, array = read_register(c, c->instruction->dst);
	struct rg_typed_container *container;

	if (!required(c, c->instruction->a, &element))
		return;
	if (array.kind != RG_TYPED_IS_ARRAY) {
		rg_typed_give_up(c, "an array that is kept");
		return;
	}
	container = container_of(c, array);
	if (element.kind == RG_TYPED_IS_KNOWN && stays_known(c, container)) {
		if (!rg_array_append(&c->typed->unit->heap, container->value, element.value))
			rg_unit_no_memory(c->typed->unit);
	} else {
		container->is_known = false;
	}
	for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++) {
		struct rg_typed_instruction add = {0};

		if (!container->keeps[what])
			continue;
		container->keeps[what] = term_of(c, (enum rg_typed_gathered)what, element, &add);
		if (what == RG_TYPED_SUM && !container->keeps[what] &&
		    term_of(c, RG_TYPED_REAL_SUM, element, &add))
			sum_reals(c, container->maker);
		add.dst = add.a = container->slots[what];
		if (container->keeps[what])
			rg_typed_emit(c->typed, add);
	}
}

/* ---- loops ---- */

static void translate_range(struct rg_typed_context *c, uint32_t from, uint32_t to);

/* A loop of the source: NEXT at `head`, LOOP at `end`. */
struct loop {
	const struct rg_instruction *next;
	uint32_t head, end;
	struct rg_typed_fact over;
};

static bool find_end(const struct rg_typed_context *c, struct loop *loop)
{
	for (uint32_t i = loop->head + 1; i < c->source->count; i++) {
		if (c->source->code[i].op == RG_OP_LOOP && c->source->code[i].target == loop->head)
			loop->end = i;
	}
	return loop->end;
}

static void turn(struct rg_typed_context *c, const struct loop *loop, struct rg_typed_fact key,
		 struct rg_typed_fact value)
{
	c->instruction = loop->next;
	write_register(c, loop->next->dst, key);
	write_register(c, loop->next->b, value);
	translate_range(c, loop->head + 1, loop->end);
	rg_typed_place(c, loop->end);
	c->reachable =
		true; /* LOOP goes on to the next turn or to the end, from wherever it is come to */
}

static void over_constant(struct rg_typed_context *c, const struct loop *loop)
{
	struct rg_heap *heap = &c->typed->unit->heap;
	struct rg_value container = loop->over.value;
	uint32_t used = c->typed->spare_used;
	bool was_sparing = c->typed->is_sparing;

	c->typed->is_sparing |= rg_count(heap, container) > UNROLLED_MAX;
	for (uint32_t i = 0; i < rg_count(heap, container) && !c->typed->full; i++) {
		struct rg_pair pair;

		if (container.type == RG_OBJECT) {
			pair = rg_object_at(heap, container, i);
		} else if (container.type == RG_SET) {
			pair.key = pair.value = rg_set_at(heap, container, i);
		} else {
			pair.key = rg_int(i);
			pair.value = rg_array_at(heap, container, i);
		}
		turn(c, loop, known_fact(pair.key), known_fact(pair.value));
		c->typed->spare_used = used; /* nothing of a turn is of use in the next one */
	}
	c->typed->is_sparing = was_sparing;
	if (!was_sparing)
		c->typed->spare.count = 0;
}

static void over_bits(struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_image_field *field = field_of(c, loop->over.number);

	for (uint32_t i = 0; i < field->names_count && !c->typed->full; i++) {
		const struct rg_image_field_name *name =
			RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				     field->names_first + i);

		test_bit(c, loop->over.slot, name->value, true, loop->end);
		turn(c, loop, (struct rg_typed_fact){.kind = RG_TYPED_IS_UNTYPED},
		     known_fact(constant_of(c, name->name)));
	}
}

static struct rg_value text_of_bit(struct rg_typed *t, uint32_t bit)
{
	struct rg_heap *heap = &t->unit->heap;

	for (uint32_t i = 0; i < rg_count(heap, t->bits); i++) {
		struct rg_pair pair = rg_object_at(heap, t->bits, i);

		if (pair.value.i == bit)
			return pair.key;
	}
	return rg_undefined;
}

/* The loop copies one set into another: { s | some s in set }. */
static bool is_copy(const struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_instruction *add = &c->source->code[loop->head + 1];

	return loop->end == loop->head + 2 && add->op == RG_OP_SET_ADD &&
	       (add->a == loop->next->b || add->a == loop->next->dst) &&
	       read_register(c, add->dst).kind == RG_TYPED_IS_SET;
}

/* The loop adds up what a constant object holds for each member: sum([weights[s] | some s in
 * set]). */
static bool is_sum(const struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_instruction *look_up = &c->source->code[loop->head + 1], *add = look_up + 1;

	return loop->end == loop->head + 3 && look_up->op == RG_OP_DOT &&
	       add->op == RG_OP_ARRAY_APPEND && (look_up->a & RG_OPERAND_CONSTANT) &&
	       look_up->b == loop->next->b && add->a == look_up->dst &&
	       read_register(c, add->dst).kind == RG_TYPED_IS_ARRAY;
}

static void sum_members(struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_instruction *look_up = &c->source->code[loop->head + 1];
	struct rg_typed_container *array = container_of(c, read_register(c, look_up[1].dst));
	struct rg_typed *t = c->typed;
	struct rg_typed_sum *sum = rg_vector_add(t->unit, &t->sums, sizeof(*sum));
	uint16_t slot = rg_typed_slot(t);

	for (uint32_t i = 0; sum && i < RG_TYPED_BITS_MAX; i++) {
		struct rg_value text = text_of_bit(t, i), term;
		uint8_t scale;

		sum->terms[i] = text.type == RG_STRING || !rg_is_defined(text) ? RG_TYPED_ABSENT
									       : RG_TYPED_UNTYPED;
		if (text.type != RG_STRING)
			continue;
		term = rg_dot(&t->unit->heap, constant_of(c, look_up->a & ~RG_OPERAND_CONSTANT),
			      text);
		if (rg_is_defined(term) &&
		    (!rg_typed_decimal(t, term, &sum->terms[i], &scale) || scale))
			sum->terms[i] = RG_TYPED_UNTYPED;
	}
	rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_SUM,
						       .dst = slot,
						       .a = (uint16_t)loop->over.number,
						       .table = t->sums.count - 1});
	if (array->keeps[RG_TYPED_SUM])
		add_to(t, array->slots[RG_TYPED_SUM], slot);
	array->keeps[RG_TYPED_COUNT] = array->keeps[RG_TYPED_MOST] = array->keeps[RG_TYPED_LEAST] =
		array->keeps[RG_TYPED_REAL_SUM] = array->is_known = false;
}

static void over_set(struct rg_typed_context *c, const struct loop *loop)
{
	struct rg_typed *t = c->typed;
	uint64_t may_hold[RG_TYPED_SET_WORDS];

	if (is_copy(c, loop)) {
		unite(t, read_register(c, c->source->code[loop->head + 1].dst).number,
		      loop->over.number);
		return;
	}
	if (t->is_large[loop->over.number]) {
		rg_typed_give_up(c, "a rule that goes over a set of very many texts");
		return;
	}
	if (is_sum(c, loop)) {
		sum_members(c, loop);
		return;
	}
	memcpy(may_hold, t->may_hold[loop->over.number], sizeof(may_hold));
	for (uint32_t bit = 0; bit < RG_TYPED_BITS_MAX && !t->full; bit++) {
		struct rg_typed_fact text;

		if (!(may_hold[bit / 64] >> bit % 64 & 1))
			continue;
		text = known_fact(text_of_bit(t, bit));
		rg_typed_guard(c,
			       (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_MEMBER,
							     .a = (uint16_t)loop->over.number,
							     .number = bit},
			       loop->end);
		turn(c, loop, text, text);
	}
}

static uint32_t turns_of(const struct rg_typed_context *c, struct rg_typed_fact over)
{
	if (over.kind == RG_TYPED_IS_KNOWN && over.value.type >= RG_ARRAY)
		return rg_count(&c->typed->unit->heap, over.value);
	return over.kind == RG_TYPED_IS_BITS || over.kind == RG_TYPED_IS_SET ? 0 : UINT32_MAX;
}

/* May the loop be unrolled? */
static bool may_unroll(const struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_vector *refused = c->typed->refused;
	uint32_t turns = turns_of(c, loop->over);

	for (uint32_t i = 0; i < refused->count; i++) {
		const struct rg_typed_unrolled *one =
			RG_VECTOR_AT(*refused, struct rg_typed_unrolled, i);

		if (one->source == c->source && one->head == loop->head && turns > UNROLLED_MAX)
			return false;
	}
	return turns <= ROWS_MAX;
}

/* The body's instructions from here on are those of a loop of very many turns. */
static void begin_unrolled(struct rg_typed_context *c, const struct loop *loop, uint32_t *number)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_unrolled *unrolled;

	*number = t->unrolled.count;
	if (turns_of(c, loop->over) <= UNROLLED_MAX)
		return;
	unrolled = rg_vector_add(t->unit, &t->unrolled, sizeof(*unrolled));
	if (unrolled)
		*unrolled = (struct rg_typed_unrolled){
			.source = c->source, .head = loop->head, .first = t->body.count};
}

static void end_unrolled(struct rg_typed *t, uint32_t number)
{
	/* When the program is full it may have happened in the loop, and is put down to it. */
	if (number < t->unrolled.count && !t->full)
		RG_VECTOR_AT(t->unrolled, struct rg_typed_unrolled, number)->end = t->body.count;
}

/* Of what follows `body`, which is translated again. */
static void forget_unrolled(struct rg_typed *t, uint32_t body)
{
	while (t->unrolled.count &&
	       RG_VECTOR_AT(t->unrolled, struct rg_typed_unrolled, t->unrolled.count - 1)->first >=
		       body)
		t->unrolled.count--;
}

/* SCAN at `at`, followed by NEXT. Returns the instruction behind the loop. */
static uint32_t translate_loop(struct rg_typed_context *c, uint32_t at)
{
	struct loop loop = {.next = &c->source->code[at + 1], .head = at + 1};
	uint32_t exit, unrolled;

	if (!required(c, c->instruction->a, &loop.over))
		return at + 1;
	if (loop.over.kind == RG_TYPED_IS_KNOWN && loop.over.value.type < RG_ARRAY) {
		rg_typed_jump(c, c->instruction->target);
		return at + 1;
	}
	if (loop.next->op != RG_OP_NEXT || !find_end(c, &loop) || !may_unroll(c, &loop)) {
		rg_typed_give_up(c,
				 "a loop over what is no short constant, set field or partial set");
		return at + 1;
	}
	exit = loop.next->target;
	begin_unrolled(c, &loop, &unrolled);
	if (loop.over.kind == RG_TYPED_IS_KNOWN)
		over_constant(c, &loop);
	else if (loop.over.kind == RG_TYPED_IS_BITS)
		over_bits(c, &loop);
	else
		over_set(c, &loop);
	end_unrolled(c->typed, unrolled);
	rg_typed_jump(c, exit);
	return loop.end + 1;
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
		args[i] = operand(c, c->source->operands[instruction->c + i]);
	if (instruction->aux) {
		result = translate_function(t, instruction->a, args, c);
	} else {
		result = t->results[instruction->a];
		inherit_doubt(c, instruction->a);
	}
	c->instruction = instruction;
	if (result.kind == RG_TYPED_IS_UNTYPED)
		rg_typed_give_up(c, "a rule whose values are of different types");
	else if (rg_typed_require(c, &result, instruction->target))
		write_register(c, instruction->dst, result);
}

/* ---- functions ---- */

static void give_back(struct rg_typed_context *c, struct rg_typed_fact fact)
{
	uint32_t result = c->source->register_count;

	if (is_home(c, result))
		write_home(c, result, fact);
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
	case RG_OP_RETURN: give_back(c, operand(c, instruction->a)); return;
	case RG_OP_RETURN_UNDEFINED: give_back(c, (struct rg_typed_fact){0}); return;
	case RG_OP_BRANCH_DEFINED: branch_defined(c, true); return;
	case RG_OP_BRANCH_UNDEFINED: branch_defined(c, false); return;
	case RG_OP_BRANCH_TRUE: branch_true(c); return;
	case RG_OP_BRANCH_COMPARE: branch_compare(c); return;
	case RG_OP_BRANCH_TYPE: branch_type(c); return;
	case RG_OP_BRANCH_MEMBER: branch_member(c); return;
	case RG_OP_RESET: write_register(c, instruction->dst, (struct rg_typed_fact){0}); return;
	case RG_OP_MOVE: write_register(c, instruction->dst, operand(c, instruction->a)); return;
	case RG_OP_DOT: dot(c); return;
	case RG_OP_LENGTH: count_or_give_up(c, operand(c, instruction->a)); return;
	case RG_OP_COMPARE: compare_value(c); return;
	case RG_OP_MAKE_SET: make_set(c); return;
	case RG_OP_MAKE_ARRAY: make_array(c); return;
	case RG_OP_CALL: call(c); return;
	case RG_OP_BUILTIN: builtin(c); return;
	case RG_OP_ASSIGN_ONCE: assign_once(c); return;
	case RG_OP_SET_ADD: set_add(c); return;
	case RG_OP_ARRAY_APPEND: array_append(c); return;
	case RG_OP_FIELD_PRESENT: field_present(c); return;
	case RG_OP_FIELD_LOAD: load_field(c, instruction->a); return;
	case RG_OP_FIELD_COMPARE: field_compare(c); return;
	case RG_OP_FIELD_COMPARE_FIELD: field_compare_field(c); return;
	case RG_OP_FIELD_TEXT: field_text(c); return;
	case RG_OP_FIELD_MASK: field_mask(c); return;
	case RG_OP_FIELD_BIT: field_bit(c); return;
	case RG_OP_FIELD_MEMBER: field_member(c); return;
	case RG_OP_MAKE_OBJECT: make_object(c); return;
	case RG_OP_OBJECT_INSERT:
	case RG_OP_OBJECT_INSERT_ONCE: object_insert(c); return;
	case RG_OP_CLONE: clone(c); return;
	case RG_OP_OBJECT_MERGE: rg_typed_give_up(c, "objects are made"); return;
	case RG_OP_INPUT:
		write_register(
			c, instruction->dst,
			(struct rg_typed_fact){.kind = RG_TYPED_IS_NODE, .number = instruction->a});
		return;
	case RG_OP_WITH: rg_typed_give_up(c, "with"); return;
	case RG_OP_CALL_DYNAMIC: rg_typed_give_up(c, "a rule is called by a computed path"); return;
	case RG_OP_SCAN: /* translate_loop() */
	case RG_OP_NEXT:
	case RG_OP_LOOP:
	case RG_OP_MARK:
	case RG_OP_COUNT: rg_typed_give_up(c, "an instruction out of place"); return;
	}
}

static void translate_range(struct rg_typed_context *c, uint32_t from, uint32_t to)
{
	for (uint32_t at = from; at < to && !c->typed->full && !c->typed->unit->status;) {
		rg_typed_place(c, at);
		c->instruction = &c->source->code[at];
		c->typed->place = c->instruction->place;
		if (c->reachable && c->instruction->op == RG_OP_SCAN) {
			at = translate_loop(c, at);
			continue;
		}
		if (c->reachable)
			translate(c);
		at++;
	}
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
	c->stamp++;
	c->reachable = true;
	c->is_doubtful = false;
	c->types_changed = false;
	c->fixups.count = c->pending.count = c->free_fixups = 0;
	c->instruction = NULL;
	if (!c->caller)
		rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT,
								      .dst = c->doubt});
	for (uint32_t i = 0; i < source->register_count; i++) {
		if (is_home(c, i) && source->at_entry[i])
			make_undefined(c, i);
		if (i < source->param_count)
			write_register(c, i, args[i]);
	}
}

static struct rg_typed_fact result_of(struct rg_typed_context *c)
{
	uint32_t result = c->source->register_count;
	struct rg_typed_fact fact = read_register(c, result);

	fact.is_volatile = false; /* nobody writes it any more */
	return fact;
}

/* Once, with the types that homes have so far. */
static struct rg_typed_fact attempt(struct rg_typed_context *c, const struct rg_typed_fact *args)
{
	bool returns;

	begin(c, args);
	translate_range(c, 0, c->source->count);
	c->reachable = false;
	rg_typed_place(c, c->source->count);
	returns = c->reachable;
	rg_typed_place(c, c->doubtful);
	return returns ? result_of(c) : (struct rg_typed_fact){.kind = RG_TYPED_IS_UNTYPED};
}

static bool make_room(struct rg_typed_context *c)
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
		if (is_home(c, i))
			c->homes[i].type.slot = rg_typed_slot(c->typed);
	}
	return true;
}

static struct rg_typed_fact translate_function(struct rg_typed *t, uint32_t function,
					       const struct rg_typed_fact *args,
					       struct rg_typed_context *caller)
{
	struct rg_typed_context c = {
		.typed = t, .caller = caller, .source = source_of(t, function)};
	struct rg_typed_fact result = {.kind = RG_TYPED_IS_UNTYPED};
	uint32_t body = t->body.count, sets = t->set_count, attempts = 0;
	const char *untyped = t->untyped; /* an attempt before the last one counts for nothing */
	uint32_t untyped_place = t->untyped_place;

	t->depth++;
	if (make_room(&c)) {
		do {
			t->body.count = body;
			t->set_count = sets;
			forget_unrolled(t, body);
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
	free(c.facts);
	free(c.homes);
	free(c.writes);
	free(c.fixups.items);
	free(c.pending.items);
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
	free(t->real_sums.items);
	free(t->spare.items);
	free(t->sums.items);
	free(t->lookups.items);
	free(t->named.items);
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
		else if (fact.kind == RG_TYPED_IS_BALL)
			*out = (struct rg_typed_role){RG_TYPED_REAL_NUMBER, 0, fact.slot};
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

/* Give up for good if the rule, a part of the verdict, gave up. */
static void check_doubt(struct rg_typed *t, uint32_t function)
{
	if (t->doubts[function])
		rg_typed_emit(
			t, (struct rg_typed_instruction){.op = RG_TYPED_OP_NON_NEGATIVE,
							 .a = (uint16_t)(t->doubts[function] - 1)});
}

static bool translate_roles(struct rg_typed *t, const struct rg_image_binding *binding,
			    struct rg_typed_role *roles)
{
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		uint32_t function = binding->specialised[role];
		struct rg_typed_fact fact = {0};

		if (function != RG_IMAGE_NO_FUNCTION) {
			translate_rule(t, function);
			fact = t->results[function];
			check_doubt(t, function);
			if (!source_of(t, function))
				fact.kind = RG_TYPED_IS_UNTYPED;
		}
		if (!role_of(t, (enum rg_role)role, fact, &roles[role])) {
			if (!t->untyped)
				t->untyped = "a rule of the verdict is neither a partial set of "
					     "texts, nor a boolean, nor a number";
			return false;
		}
	}
	rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_END});
	return !t->full && !t->unit->status;
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
	if (!unit->status && translate_roles(&t, binding, program.roles) &&
	    rg_typed_lay(&t, &program)) {
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

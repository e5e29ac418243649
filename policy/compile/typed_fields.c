/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of the request: loads, comparisons, names. See typed.h. */
#include "policy/compile/typed.h"

#include "base/field.h"
#include "policy/compile/fields.h"

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
				&c->typed->unit->heap, rg_typed_constant_of(c, name->name), "true");
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
	const struct rg_image_field *field = rg_typed_field_of(c, number);
	struct rg_typed_instruction load = load_number(field, number);

	*fact = (struct rg_typed_fact){.number = number,
				       .maybe_undefined = true,
				       .origin = RG_TYPED_OF_FIELD,
				       .origin_number = number};
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
	if (rg_typed_field_of(c, number)->kind == RG_FIELD_BOOL)
		fact = boolean_field(c, rg_typed_field_of(c, number), fact.slot);
	fact.origin = RG_TYPED_OF_FIELD;
	fact.origin_number = number;
	rg_typed_write(c, c->instruction->dst, fact);
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
	/* What is known of slots ends there: more would be nothing. */
	if (fact.is_unsigned && (instruction->number < 0 || instruction->number == INT64_MAX)) {
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
				 rg_typed_constant(rg_typed_constant_of(c, c->instruction->b)),
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

void rg_typed_test_bit(struct rg_typed_context *c, uint16_t slot, uint64_t bit, bool wanted,
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
		rg_typed_test_bit(c, fact.slot, c->instruction->b, c->instruction->aux,
				  c->instruction->target);
	else
		rg_typed_give_up(c, "a set of names cannot be loaded");
}

static void field_member(struct rg_typed_context *c)
{
	struct rg_typed_fact fact;

	if (present_field(c, c->instruction->a, &fact) &&
	    !rg_typed_member(c, fact, rg_typed_constant_of(c, c->instruction->b),
			     c->instruction->aux, c->instruction->target))
		rg_typed_give_up(c, "membership of a value that is no number or text");
}

uint64_t rg_typed_bit_of_name(const struct rg_typed_context *c, uint32_t field_number,
			      struct rg_value name)
{
	const struct rg_image_field *field = rg_typed_field_of(c, field_number);

	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *one =
			RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				     field->names_first + i);

		if (rg_equal(&c->typed->unit->heap, rg_typed_constant_of(c, one->name), name))
			return one->value;
	}
	return 64;
}

void rg_typed_dot_of_node(struct rg_typed_context *c, uint32_t node, struct rg_value name)
{
	struct rg_typed_fact fact = {.kind = RG_TYPED_IS_NODE};
	const struct rg_image_node *child =
		rg_field_child(c->typed->unit, node, name, &fact.number);

	if (!child)
		rg_typed_jump(c, c->instruction->target);
	else if (child->field == RG_IMAGE_NO_FIELD)
		rg_typed_write(c, c->instruction->dst, fact);
	else
		load_field(c, child->field);
}

void rg_typed_field(struct rg_typed_context *c)
{
	switch ((enum rg_op)c->instruction->op) {
	case RG_OP_FIELD_PRESENT: field_present(c); return;
	case RG_OP_FIELD_LOAD: load_field(c, c->instruction->a); return;
	case RG_OP_FIELD_COMPARE: field_compare(c); return;
	case RG_OP_FIELD_COMPARE_FIELD: field_compare_field(c); return;
	case RG_OP_FIELD_TEXT: field_text(c); return;
	case RG_OP_FIELD_MASK: field_mask(c); return;
	case RG_OP_FIELD_BIT: field_bit(c); return;
	default: field_member(c); return;
	}
}

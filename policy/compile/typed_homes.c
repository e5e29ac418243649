/* SPDX-License-Identifier: Apache-2.0 */
/* Registers: what is known of them, and the slots of those written at several places. See
 * typed.h. */
#include "policy/compile/typed.h"

const struct rg_image_field *rg_typed_field_of(const struct rg_typed_context *c, uint32_t number)
{
	return RG_VECTOR_AT(c->typed->unit->fields, struct rg_image_field, number);
}

struct rg_value rg_typed_constant_of(const struct rg_typed_context *c, uint32_t number)
{
	return RG_VECTOR_AT(c->typed->unit->constants, struct rg_constant, number)->value;
}

/* ---- homes: registers written at several places ---- */

bool rg_typed_is_home(const struct rg_typed_context *c, uint32_t number)
{
	return c->writes[number] > 1;
}

struct rg_typed_fact rg_typed_constant(struct rg_value value)
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
	case RG_TYPED_IS_OBJECT: type.number = fact.number; break;
	case RG_TYPED_IS_NODE: type.kind = RG_TYPED_IS_UNTYPED; break;
	case RG_TYPED_IS_NAMED: type.kind = RG_TYPED_IS_TEXT; break;
	case RG_TYPED_IS_QUOTIENT: type.kind = RG_TYPED_IS_BALL; break;
	case RG_TYPED_IS_WITHIN:
	case RG_TYPED_IS_MASKED: type.kind = RG_TYPED_IS_TRUTH; break;
	case RG_TYPED_IS_INTEGER: type.scale = fact.scale; break;
	case RG_TYPED_IS_CHARS:
	case RG_TYPED_IS_BITS:
	case RG_TYPED_IS_LEFT:
	case RG_TYPED_IS_SET: type.number = fact.number; break;
	case RG_TYPED_IS_MADE:
		type.number = fact.number;
		type.value = fact.value;
		break;
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

void rg_typed_make_undefined(struct rg_typed_context *c, uint32_t number)
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
	case RG_TYPED_IS_TRUTH: *slot = rg_typed_truth(c, &fact); return true;
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
	case RG_TYPED_IS_CLOCK:
	case RG_TYPED_IS_CHOICE: *slot = fact.slot; return true;
	case RG_TYPED_IS_SET:
	case RG_TYPED_IS_ARRAY:
	case RG_TYPED_IS_OBJECT:
	case RG_TYPED_IS_MADE:
	case RG_TYPED_IS_LEFT:
		*slot = fact.maybe_undefined ? fact.slot : rg_typed_number(t, 0);
		return true;
	default: return false;
	}
}

static uint8_t move_of(struct rg_typed_fact fact)
{
	return fact.kind == RG_TYPED_IS_BALL ? RG_TYPED_OP_REAL_MOVE : RG_TYPED_OP_MOVE;
}

void rg_typed_write_home(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact)
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
		rg_typed_make_undefined(c, number);
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

struct rg_typed_fact rg_typed_read(const struct rg_typed_context *c, uint32_t number)
{
	const struct rg_typed_home *home = &c->homes[number];
	struct rg_typed_fact fact;

	if (!rg_typed_is_home(c, number))
		return c->facts[number];
	if (home->known_stamp == c->stamp)
		return home->known;
	fact = home->type;
	fact.maybe_undefined = fact.is_volatile = true;
	return fact;
}

uint16_t rg_typed_copy(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	return rg_typed_value(t,
			      (struct rg_typed_instruction){.op = move_of(*fact), .a = fact->slot});
}

void rg_typed_write(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact fact)
{
	if (rg_typed_is_home(c, number)) {
		rg_typed_write_home(c, number, fact);
		return;
	}
	if (fact.is_volatile && fact.kind != RG_TYPED_IS_UNTYPED) {
		fact.slot = rg_typed_copy(c->typed, &fact);
		fact.is_volatile = false;
	}
	c->facts[number] = fact;
}

struct rg_typed_container *rg_typed_container_of(const struct rg_typed_context *c,
						 struct rg_typed_fact fact)
{
	return RG_VECTOR_AT(c->typed->containers, struct rg_typed_container, fact.number);
}

struct rg_typed_fact rg_typed_operand(const struct rg_typed_context *c, uint32_t number)
{
	struct rg_typed_container *container;
	struct rg_typed_fact fact;

	if (number & RG_OPERAND_CONSTANT)
		return rg_typed_constant(rg_typed_constant_of(c, number & ~RG_OPERAND_CONSTANT));
	fact = rg_typed_read(c, number);
	if (fact.kind == RG_TYPED_IS_ARRAY || fact.kind == RG_TYPED_IS_OBJECT) {
		container = rg_typed_container_of(c, fact);
		if (container->is_known && !container->is_made && container->stamp == c->stamp) {
			container->is_used = true;
			return rg_typed_constant(container->value);
		}
	}
	return fact;
}

bool rg_typed_required(struct rg_typed_context *c, uint32_t number, struct rg_typed_fact *fact)
{
	*fact = rg_typed_operand(c, number);
	return rg_typed_require(c, fact, c->instruction->target);
}

/* ---- values that have to agree ---- */

bool rg_typed_number_of(struct rg_typed_context *c, struct rg_typed_fact type,
			struct rg_value value, int64_t *number)
{
	switch ((enum rg_typed_kind)type.kind) {
	case RG_TYPED_IS_TRUTH: *number = value.i; return value.type == RG_BOOLEAN;
	case RG_TYPED_IS_TEXT:
		if (value.type != RG_STRING)
			return false;
		*number = rg_typed_text(c->typed, value);
		return true;
	case RG_TYPED_IS_INTEGER: return rg_typed_at_scale(c->typed, value, type.scale, number);
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
	if (fact.kind != RG_TYPED_IS_KNOWN ||
	    !rg_typed_number_of(c, type, fact.value, &agree.number)) {
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

void rg_typed_assign_once(struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	struct rg_typed_fact fact, old = rg_typed_read(c, instruction->dst);
	uint32_t defined, conflict, done;

	if (!rg_typed_required(c, instruction->a, &fact))
		return;
	if (old.kind == RG_TYPED_IS_NOTHING) {
		rg_typed_write_home(c, instruction->dst, fact);
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
	rg_typed_write_home(c, instruction->dst, fact);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Emitting typed instructions; numbers, and comparisons of what has a type. See typed.h. */
#include <string.h>

#include "base/field.h"
#include "policy/compile/typed_left.h"
#include "policy/compile/typed_made.h"
#include "policy/eval/number.h"

#define INSTRUCTIONS_MAX (1u << 24) /* before those of rule tables fall away */

/* ---- emitting ---- */

static uint16_t new_slot(struct rg_typed *t)
{
	if (t->slot_count == RG_TYPED_SLOTS_MADE_MAX) {
		t->full = true;
		return 0;
	}
	return (uint16_t)t->slot_count++;
}

uint16_t rg_typed_slot(struct rg_typed *t)
{
	uint16_t *added;

	if (!t->is_sparing)
		return new_slot(t);
	if (t->spare_used == t->spare.count) {
		added = rg_vector_add(t->unit, &t->spare, sizeof(*added));
		if (!added)
			return 0;
		*added = new_slot(t);
	}
	return *RG_VECTOR_AT(t->spare, uint16_t, t->spare_used++);
}

static void append(struct rg_typed *t, struct rg_vector *to,
		   struct rg_typed_instruction instruction)
{
	struct rg_typed_instruction *added;

	if (to->count == INSTRUCTIONS_MAX) {
		t->full = true;
		return;
	}
	added = rg_vector_add(t->unit, to, sizeof(*added));
	if (added)
		*added = instruction;
}

uint32_t rg_typed_emit(struct rg_typed *t, struct rg_typed_instruction instruction)
{
	uint32_t *place;

	append(t, &t->body, instruction);
	t->places.count = t->body.count - 1; /* what was taken back of the body has none */
	place = rg_vector_add(t->unit, &t->places, sizeof(*place));
	if (place)
		*place = t->place;
	return t->body.count - 1;
}

static bool operand_is_in_front(const struct rg_typed *t, char shape, uint16_t operand)
{
	return shape == 'S' ? t->in_front[operand] : shape != 'T';
}

static bool same_value(const struct rg_typed_instruction *a, const struct rg_typed_instruction *b)
{
	return a->op == b->op && a->a == b->a && a->b == b->b && a->table == b->table &&
	       a->number == b->number;
}

uint16_t rg_typed_value(struct rg_typed *t, struct rg_typed_instruction instruction)
{
	const struct rg_typed_shape *shape = &rg_typed_shapes[instruction.op];

	if (!operand_is_in_front(t, shape->a, instruction.a) ||
	    !operand_is_in_front(t, shape->b, instruction.b)) {
		instruction.dst = rg_typed_slot(t);
		rg_typed_emit(t, instruction);
		return instruction.dst;
	}
	for (uint32_t i = 0; i < t->front.count; i++) {
		const struct rg_typed_instruction *made =
			RG_VECTOR_AT(t->front, struct rg_typed_instruction, i);

		if (same_value(made, &instruction))
			return made->dst;
	}
	instruction.dst = new_slot(t);
	t->in_front[instruction.dst] = true;
	append(t, &t->front, instruction);
	return instruction.dst;
}

uint16_t rg_typed_number(struct rg_typed *t, int64_t number)
{
	return rg_typed_value(
		t, (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT, .number = number});
}

/* ---- labels ---- */

/* Where the fixups of a label begin, or NULL when memory is out. */
static uint32_t *pending_of(struct rg_typed_context *c, uint32_t label)
{
	while (c->pending.count <= label) {
		if (!rg_vector_add(c->typed->unit, &c->pending, sizeof(uint32_t)))
			return NULL;
	}
	return RG_VECTOR_AT(c->pending, uint32_t, label);
}

void rg_typed_guard(struct rg_typed_context *c, struct rg_typed_instruction instruction,
		    uint32_t label)
{
	uint32_t *pending = pending_of(c, label), number = c->free_fixups;
	struct rg_typed_fixup *fixup;

	if (!pending)
		return;
	if (number) {
		fixup = RG_VECTOR_AT(c->fixups, struct rg_typed_fixup, number - 1);
		c->free_fixups = fixup->next;
	} else {
		fixup = rg_vector_add(c->typed->unit, &c->fixups, sizeof(*fixup));
		number = c->fixups.count;
	}
	if (!fixup)
		return;
	*fixup = (struct rg_typed_fixup){rg_typed_emit(c->typed, instruction), *pending};
	*pending = number;
}

void rg_typed_jump(struct rg_typed_context *c, uint32_t label)
{
	rg_typed_guard(c, (struct rg_typed_instruction){.op = RG_TYPED_OP_JUMP}, label);
	c->reachable = false;
}

uint32_t rg_typed_label(struct rg_typed_context *c)
{
	return c->label_count++;
}

void rg_typed_place(struct rg_typed_context *c, uint32_t label)
{
	uint32_t *pending =
		label < c->pending.count ? RG_VECTOR_AT(c->pending, uint32_t, label) : NULL;

	if (!pending || !*pending)
		return;
	while (*pending) {
		uint32_t number = *pending;
		struct rg_typed_fixup *fixup =
			RG_VECTOR_AT(c->fixups, struct rg_typed_fixup, number - 1);

		if (fixup->instruction < c->typed->body.count)
			RG_VECTOR_AT(c->typed->body, struct rg_typed_instruction,
				     fixup->instruction)
				->target = c->typed->body.count;
		*pending = fixup->next;
		fixup->next = c->free_fixups;
		c->free_fixups = number;
	}
	c->reachable = true;
	c->stamp = ++c->typed->stamps;
}

static struct rg_typed_context *rule_of(struct rg_typed_context *c)
{
	while (c->caller)
		c = c->caller;
	return c;
}

struct rg_typed_mark rg_typed_mark(const struct rg_typed *t)
{
	return (struct rg_typed_mark){t->body.count, t->set_count, t->unknowns.count,
				      t->pieces.count};
}

void rg_typed_take_back(struct rg_typed_context *c, const struct rg_typed_mark *mark)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_context *rule = rule_of(c);
	uint32_t *pending = rule->doubtful < rule->pending.count
				    ? RG_VECTOR_AT(rule->pending, uint32_t, rule->doubtful)
				    : NULL;

	while (pending && *pending) { /* the last is first */
		uint32_t number = *pending;
		struct rg_typed_fixup *fixup =
			RG_VECTOR_AT(rule->fixups, struct rg_typed_fixup, number - 1);

		if (fixup->instruction < mark->body)
			break;
		*pending = fixup->next;
		fixup->next = rule->free_fixups;
		rule->free_fixups = number;
	}
	t->body.count = mark->body;
	t->set_count = mark->sets;
	rg_typed_forget_unrolled(t, mark->body);
	rg_typed_forget_unknowns(t, mark->unknowns);
	rg_typed_forget_pieces(t, mark->pieces);
}

bool rg_typed_is_awaited(const struct rg_typed_context *c, uint32_t label)
{
	return label < c->pending.count && *RG_VECTOR_AT(c->pending, uint32_t, label);
}

void rg_typed_give_up(struct rg_typed_context *c, const char *why)
{
	if (rg_typed_leave(c)) {
		c->reachable = false;
		return;
	}
	rg_typed_ask_waiting(c);

	if (!c->typed->untyped) {
		c->typed->untyped = why;
		c->typed->untyped_place = c->instruction ? c->instruction->place : 0;
	}
	rg_typed_doubt(c);
}

void rg_typed_doubt(struct rg_typed_context *c)
{
	struct rg_typed_context *rule = rule_of(c);

	rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT,
							      .dst = rule->doubt,
							      .number = -1});
	/* Whether the rule goes on where it calls this function is another matter. */
	rg_typed_guard(rule, (struct rg_typed_instruction){.op = RG_TYPED_OP_JUMP}, rule->doubtful);
	rule->is_doubtful = true;
	c->reachable = false;
}

bool rg_typed_require(struct rg_typed_context *c, struct rg_typed_fact *fact, uint32_t label)
{
	if (fact->kind == RG_TYPED_IS_NOTHING) {
		rg_typed_jump(c, label);
		return false;
	}
	if (fact->maybe_undefined)
		rg_typed_guard(
			c,
			(struct rg_typed_instruction){.op = fact->kind == RG_TYPED_IS_BALL
								    ? RG_TYPED_OP_IF_REAL_DEFINED
								    : RG_TYPED_OP_IF_DEFINED,
						      .a = fact->slot},
			label);
	fact->maybe_undefined = false;
	return true;
}

/* ---- numbers ---- */

bool rg_typed_decimal(struct rg_typed *t, struct rg_value v, int64_t *mantissa, uint8_t *scale)
{
	*scale = 0;
	if (v.type != RG_NUMBER)
		return false;
	if (v.form == RG_NUMBER_DECIMAL) {
		*mantissa = v.i;
		*scale = (uint8_t)-v.exponent;
		return v.i > RG_TYPED_UNTYPED;
	}
	return rg_number_to_int64(&t->unit->heap, v, mantissa) && *mantissa > RG_TYPED_UNTYPED;
}

bool rg_typed_at_scale(struct rg_typed *t, struct rg_value v, uint8_t scale, int64_t *mantissa)
{
	uint8_t own;

	if (!rg_typed_decimal(t, v, mantissa, &own) || own > scale)
		return false;
	for (; own < scale; own++) {
		if (__builtin_mul_overflow(*mantissa, 10, mantissa))
			return false;
	}
	return *mantissa > RG_TYPED_UNTYPED;
}

bool rg_typed_is_number(const struct rg_typed_fact *fact)
{
	return fact->kind == RG_TYPED_IS_INTEGER || fact->kind == RG_TYPED_IS_BALL ||
	       fact->kind == RG_TYPED_IS_QUOTIENT ||
	       (fact->kind == RG_TYPED_IS_KNOWN && fact->value.type == RG_NUMBER);
}

/* The scale of a fact that is an exact number; false for balls, and constants that have none. */
static bool scale_of(struct rg_typed *t, const struct rg_typed_fact *fact, uint8_t *scale)
{
	int64_t mantissa;

	*scale = fact->scale;
	return fact->kind == RG_TYPED_IS_INTEGER ||
	       (fact->kind == RG_TYPED_IS_KNOWN &&
		rg_typed_decimal(t, fact->value, &mantissa, scale));
}

static int64_t power_of_10(unsigned n)
{
	int64_t power = 1;

	while (n--)
		power *= 10;
	return power;
}

/* The slot of an exact number at its own scale; one of 64 bits without sign must fit. */
static uint16_t own_integer(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	int64_t mantissa = 0;
	uint8_t scale;

	if (fact->kind == RG_TYPED_IS_KNOWN) {
		rg_typed_decimal(t, fact->value, &mantissa, &scale);
		return rg_typed_number(t, mantissa);
	}
	if (fact->is_unsigned)
		rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_NON_NEGATIVE,
							       .a = fact->slot});
	return fact->slot;
}

uint16_t rg_typed_integer(struct rg_typed *t, const struct rg_typed_fact *fact, uint8_t scale)
{
	int64_t mantissa;
	uint8_t own;
	uint16_t slot;

	if (!scale_of(t, fact, &own))
		own = scale;
	if (fact->kind == RG_TYPED_IS_KNOWN && rg_typed_decimal(t, fact->value, &mantissa, &own) &&
	    !__builtin_mul_overflow(mantissa, power_of_10((unsigned)(scale - own)), &mantissa) &&
	    mantissa > RG_TYPED_UNTYPED)
		return rg_typed_number(t, mantissa);
	slot = own_integer(t, fact);
	if (own == scale)
		return slot;
	return rg_typed_value(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_SCALE,
							       .a = slot,
							       .number = (int64_t)scale - own});
}

uint16_t rg_typed_ball(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	uint8_t scale;

	if (fact->kind == RG_TYPED_IS_QUOTIENT)
		return rg_typed_value(t,
				      (struct rg_typed_instruction){.op = RG_TYPED_OP_REAL_QUOTIENT,
								    .a = fact->slot,
								    .number = fact->value.i});
	if (fact->kind == RG_TYPED_IS_BALL || !scale_of(t, fact, &scale))
		return fact->slot;
	return rg_typed_value(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_REAL,
							       .a = own_integer(t, fact),
							       .number = scale});
}

/* ---- types ---- */

static enum rg_value_type choice_type(const struct rg_typed_choice *choice)
{
	enum rg_value_type type = RG_UNDEFINED;

	for (uint32_t i = 0; i < choice->count; i++) {
		enum rg_value_type one = (enum rg_value_type)choice->values[i].type;

		if (one == RG_UNDEFINED)
			continue;
		if (type != RG_UNDEFINED && type != one)
			return RG_UNDEFINED;
		type = one;
	}
	return type;
}

enum rg_value_type rg_typed_type(const struct rg_typed_fact *fact)
{
	switch ((enum rg_typed_kind)fact->kind) {
	case RG_TYPED_IS_KNOWN:
	case RG_TYPED_IS_MADE: return (enum rg_value_type)fact->value.type;
	case RG_TYPED_IS_INTEGER:
	case RG_TYPED_IS_QUOTIENT:
	case RG_TYPED_IS_BALL: return RG_NUMBER;
	case RG_TYPED_IS_TRUTH:
	case RG_TYPED_IS_WITHIN:
	case RG_TYPED_IS_MASKED: return RG_BOOLEAN;
	case RG_TYPED_IS_TEXT:
	case RG_TYPED_IS_CHARS:
	case RG_TYPED_IS_NAMED:
	case RG_TYPED_IS_DIGITS: return RG_STRING;
	case RG_TYPED_IS_BITS:
	case RG_TYPED_IS_CLOCK:
	case RG_TYPED_IS_ARRAY: return RG_ARRAY;
	case RG_TYPED_IS_OBJECT:
	case RG_TYPED_IS_NODE: return RG_OBJECT;
	case RG_TYPED_IS_SET: return RG_SET;
	case RG_TYPED_IS_CHOICE: return choice_type(fact->choice);
	case RG_TYPED_IS_NOTHING:
	case RG_TYPED_IS_LEFT:
	case RG_TYPED_IS_UNTYPED: break;
	}
	return RG_UNDEFINED;
}

/* Number of the column that gives the ids of an enum field's names. */
static uint32_t named_column(struct rg_typed *t, uint32_t number)
{
	const struct rg_image_field *field =
		RG_VECTOR_AT(t->unit->fields, struct rg_image_field, number);
	int64_t ids[RG_TYPED_NAMES_MAX];
	struct rg_typed_named *named;

	for (uint32_t i = 0; i < t->named.count; i++) {
		named = RG_VECTOR_AT(t->named, struct rg_typed_named, i);
		if (named->field == number)
			return named->table;
	}
	for (int i = 0; i < RG_TYPED_NAMES_MAX; i++)
		ids[i] = RG_TYPED_ABSENT;
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *name = RG_VECTOR_AT(
			t->unit->field_names, struct rg_image_field_name, field->names_first + i);

		ids[name->value - field->names_base] = rg_typed_text(
			t, RG_VECTOR_AT(t->unit->constants, struct rg_constant, name->name)->value);
	}
	named = rg_vector_add(t->unit, &t->named, sizeof(*named));
	if (!named)
		return 0;
	*named = (struct rg_typed_named){number, rg_typed_column(t->unit, ids, RG_TYPED_NAMES_MAX)};
	return named->table;
}

struct rg_typed_fact rg_typed_named_text(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	return (struct rg_typed_fact){
		.kind = RG_TYPED_IS_TEXT,
		.slot = rg_typed_value(
			t, (struct rg_typed_instruction){.op = RG_TYPED_OP_COLUMN,
							 .a = fact->slot,
							 .table = named_column(t, fact->number)})};
}

/* ---- comparisons ---- */

static bool holds(enum rg_comparison op, int order)
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

static void go_if(struct rg_typed_context *c, bool outcome, uint32_t label)
{
	if (!outcome)
		rg_typed_jump(c, label);
}

/* The comparison with operands exchanged. */
static enum rg_comparison mirrored(enum rg_comparison op)
{
	switch (op) {
	case RG_LT: return RG_GT;
	case RG_LE: return RG_GE;
	case RG_GT: return RG_LT;
	case RG_GE: return RG_LE;
	default: return op;
	}
}

static void compare_number(struct rg_typed_context *c, enum rg_comparison op, uint16_t slot,
			   int64_t number, uint32_t label)
{
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = (uint8_t)(RG_TYPED_OP_IF_EQ_NUMBER + op),
						     .a = slot,
						     .number = number},
		       label);
}

static void compare_slots(struct rg_typed_context *c, enum rg_typed_op first, enum rg_comparison op,
			  uint16_t a, uint16_t b, uint32_t label)
{
	rg_typed_guard(c,
		       (struct rg_typed_instruction){
			       .op = (uint8_t)((uint32_t)first + (uint32_t)op), .a = a, .b = b},
		       label);
}

/* The integer to compare a quotient's numerator with instead of the whole number that the quotient
 * is compared with. OPA rounds quotients of integers to 64 bits, which makes none of them a whole
 * number that is not. */
static bool numerator_for(struct rg_typed *t, const struct rg_typed_fact *quotient,
			  const struct rg_typed_fact *whole, int64_t *numerator)
{
	uint8_t scale;

	return quotient->kind == RG_TYPED_IS_QUOTIENT && whole->kind == RG_TYPED_IS_KNOWN &&
	       rg_typed_decimal(t, whole->value, numerator, &scale) && !scale &&
	       !__builtin_mul_overflow(*numerator, quotient->value.i, numerator) &&
	       *numerator > RG_TYPED_UNTYPED;
}

/* An exact number with one that has its place among those of 64 bits. */
static void compare_long(struct rg_typed_context *c, enum rg_comparison op,
			 const struct rg_typed_fact *a, uint8_t scale, int64_t number,
			 uint32_t label)
{
	if (a->is_unsigned && number == INT64_MAX)
		rg_typed_give_up(c, "a field is compared with a number beyond 63 bits");
	else
		compare_number(c, op, rg_typed_integer(c->typed, a, scale), number, label);
}

static void compare_numbers(struct rg_typed_context *c, enum rg_comparison op,
			    struct rg_typed_fact a, struct rg_typed_fact b, uint32_t label)
{
	struct rg_typed *t = c->typed;
	uint8_t a_scale, b_scale, scale;
	int64_t number, mantissa;

	if (numerator_for(t, &a, &b, &mantissa)) {
		compare_number(c, op, a.slot, mantissa, label);
		return;
	}
	if (!scale_of(t, &a, &a_scale) || !scale_of(t, &b, &b_scale)) {
		if ((a.kind == RG_TYPED_IS_KNOWN && !scale_of(t, &a, &a_scale)) ||
		    (b.kind == RG_TYPED_IS_KNOWN && !scale_of(t, &b, &b_scale))) {
			rg_typed_give_up(c, "a number of the policy is too long");
			return;
		}
		compare_slots(c, RG_TYPED_OP_IF_REAL_EQ, op, rg_typed_ball(t, &a),
			      rg_typed_ball(t, &b), label);
		return;
	}
	scale = a_scale > b_scale ? a_scale : b_scale;
	if (b.kind == RG_TYPED_IS_KNOWN && rg_typed_decimal(t, b.value, &number, &b_scale)) {
		bool beyond = __builtin_mul_overflow(
			number, power_of_10((unsigned)(scale - b_scale)), &mantissa);

		/* What lies beyond all that a slot at a's own scale may hold is on one side of it. */
		if (beyond) {
			rg_typed_integer(t, &a, scale);
			go_if(c, holds(op, number > 0 ? -1 : 1), label);
		} else {
			compare_long(c, op, &a, scale, mantissa, label);
		}
	} else {
		compare_slots(c, RG_TYPED_OP_IF_EQ, op, rg_typed_integer(t, &a, scale),
			      rg_typed_integer(t, &b, scale), label);
	}
}

/* Bits of the values of an enum field whose names compare so with this one. */
static uint64_t mask_of(struct rg_typed *t, enum rg_comparison op, uint32_t number,
			struct rg_value name)
{
	const struct rg_image_field *field =
		RG_VECTOR_AT(t->unit->fields, struct rg_image_field, number);
	uint64_t mask = 0;

	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_image_field_name *one = RG_VECTOR_AT(
			t->unit->field_names, struct rg_image_field_name, field->names_first + i);

		if (holds(op,
			  rg_compare(&t->unit->heap,
				     RG_VECTOR_AT(t->unit->constants, struct rg_constant, one->name)
					     ->value,
				     name)))
			mask |= 1ull << (one->value - field->names_base);
	}
	return mask;
}

static void compare_texts(struct rg_typed_context *c, enum rg_comparison op, struct rg_typed_fact a,
			  struct rg_typed_fact b, uint32_t label)
{
	struct rg_typed *t = c->typed;

	if (a.kind == RG_TYPED_IS_NAMED && b.kind == RG_TYPED_IS_KNOWN) {
		rg_typed_guard(c,
			       (struct rg_typed_instruction){
				       .op = RG_TYPED_OP_IF_IN_MASK,
				       .a = a.slot,
				       .number = (int64_t)mask_of(t, op, a.number, b.value)},
			       label);
		return;
	}
	if (op != RG_EQ && op != RG_NE && a.kind == RG_TYPED_IS_CHARS &&
	    b.kind == RG_TYPED_IS_KNOWN && rg_typed_compare_order(c, op, a, b.value, label))
		return;
	if ((op != RG_EQ && op != RG_NE) || a.kind == RG_TYPED_IS_DIGITS ||
	    b.kind == RG_TYPED_IS_DIGITS) {
		rg_typed_give_up(c, "texts of the request are put in order, or a number's digits "
				    "compared");
		return;
	}
	if (a.kind == RG_TYPED_IS_CHARS && b.kind == RG_TYPED_IS_CHARS) {
		rg_typed_guard(
			c,
			(struct rg_typed_instruction){.op = op == RG_EQ ? RG_TYPED_OP_IF_SAME_TEXT
									: RG_TYPED_OP_IF_OTHER_TEXT,
						      .a = (uint16_t)a.number,
						      .b = (uint16_t)b.number},
			label);
		return;
	}
	if (a.kind == RG_TYPED_IS_NAMED)
		a = rg_typed_named_text(t, &a);
	if (b.kind == RG_TYPED_IS_NAMED)
		b = rg_typed_named_text(t, &b);
	if (b.kind == RG_TYPED_IS_KNOWN)
		compare_number(c, op, a.slot, rg_typed_text(t, b.value), label);
	else
		compare_slots(c, RG_TYPED_OP_IF_EQ, op, a.slot, b.slot, label);
}

static bool is_truth(const struct rg_typed_fact *fact)
{
	return fact->kind == RG_TYPED_IS_TRUTH || fact->kind == RG_TYPED_IS_WITHIN ||
	       fact->kind == RG_TYPED_IS_MASKED;
}

/* false < true */
static void compare_truth(struct rg_typed_context *c, enum rg_comparison op,
			  const struct rg_typed_fact *truth, int64_t with, uint32_t label)
{
	bool if_false = holds(op, (int)-with), if_true = holds(op, 1 - (int)with);

	if (if_false != if_true)
		rg_typed_ask(c, truth, if_true, label);
	else
		go_if(c, if_true, label);
}

void rg_typed_compare(struct rg_typed_context *c, enum rg_comparison op, struct rg_typed_fact a,
		      struct rg_typed_fact b, uint32_t label)
{
	enum rg_value_type a_type = rg_typed_type(&a), b_type = rg_typed_type(&b);

	if (a.kind == RG_TYPED_IS_KNOWN && b.kind == RG_TYPED_IS_KNOWN) {
		go_if(c, holds(op, rg_compare(&c->typed->unit->heap, a.value, b.value)), label);
		return;
	}
	if (a_type == RG_UNDEFINED || b_type == RG_UNDEFINED) {
		rg_typed_give_up(c, "values of several types are compared");
		return;
	}
	if (a_type != b_type) { /* types have an order too */
		go_if(c, holds(op, (int)a_type - (int)b_type), label);
		return;
	}
	if (a.kind == RG_TYPED_IS_MADE || b.kind == RG_TYPED_IS_MADE) {
		rg_typed_give_up(c, "what is made of the request is compared");
		return;
	}
	if (a.kind == RG_TYPED_IS_KNOWN) {
		rg_typed_compare(c, mirrored(op), b, a, label);
		return;
	}
	if (a_type == RG_NUMBER && a.kind != RG_TYPED_IS_CHOICE && b.kind != RG_TYPED_IS_CHOICE)
		compare_numbers(c, op, a, b, label);
	else if (a_type == RG_STRING)
		compare_texts(c, op, a, b, label);
	else if (is_truth(&a) && b.kind == RG_TYPED_IS_KNOWN)
		compare_truth(c, op, &a, b.value.i, label);
	else if (is_truth(&a) && is_truth(&b))
		compare_slots(c, RG_TYPED_OP_IF_EQ, op, rg_typed_truth(c, &a),
			      rg_typed_truth(c, &b), label);
	else
		rg_typed_give_up(c, "containers are compared");
}

/* ---- arithmetic ---- */

static struct rg_typed_fact integer_of(uint16_t slot)
{
	return (struct rg_typed_fact){.kind = RG_TYPED_IS_INTEGER, .slot = slot};
}

static bool is_whole(struct rg_typed *t, const struct rg_typed_fact *fact)
{
	uint8_t scale;

	return scale_of(t, fact, &scale) && !scale;
}

/* Of a whole number by one above 0 that is known. False: it is none. */
static bool by_constant(struct rg_typed *t, const char *name, const struct rg_typed_fact *args,
			struct rg_typed_fact *result)
{
	struct rg_typed_instruction remainder = {.op = RG_TYPED_OP_REMAINDER_NUMBER};
	uint8_t scale;

	if (args[0].kind != RG_TYPED_IS_INTEGER || args[0].scale ||
	    args[1].kind != RG_TYPED_IS_KNOWN ||
	    !rg_typed_decimal(t, args[1].value, &remainder.number, &scale) || scale ||
	    remainder.number <= 0)
		return false;
	remainder.a = rg_typed_integer(t, &args[0], 0);
	if (!strcmp(name, "div"))
		*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_QUOTIENT,
						 .slot = remainder.a,
						 .value = rg_int(remainder.number)};
	else if (!strcmp(name, "rem"))
		*result = integer_of(rg_typed_value(t, remainder));
	else
		return false;
	return true;
}

/* Whole numbers are computed exactly, as OPA does; everything else in balls. */
static bool binary(struct rg_typed_context *c, const char *name, const struct rg_typed_fact *args,
		   uint32_t label, struct rg_typed_fact *result)
{
	static const struct {
		const char *name;
		uint8_t whole, real;
	} ops[] = {{"plus", RG_TYPED_OP_ADD, RG_TYPED_OP_REAL_ADD},
		   {"minus", RG_TYPED_OP_SUBTRACT, RG_TYPED_OP_REAL_SUBTRACT},
		   {"mul", RG_TYPED_OP_MULTIPLY, RG_TYPED_OP_REAL_MULTIPLY},
		   {"div", RG_TYPED_OP_GIVE_UP, RG_TYPED_OP_REAL_DIVIDE},
		   {"rem", RG_TYPED_OP_REMAINDER, RG_TYPED_OP_GIVE_UP}};
	struct rg_typed *t = c->typed;
	bool whole = is_whole(t, &args[0]) && is_whole(t, &args[1]);
	struct rg_typed_instruction instruction = {0};
	size_t i = 0;

	while (i < sizeof(ops) / sizeof(ops[0]) && strcmp(ops[i].name, name) != 0)
		i++;
	if (i == sizeof(ops) / sizeof(ops[0]))
		return false;
	if (by_constant(t, name, args, result))
		return true;
	if (ops[i].whole == RG_TYPED_OP_GIVE_UP)
		whole = false;
	else if (!whole && ops[i].real == RG_TYPED_OP_GIVE_UP)
		return false;
	instruction.op = whole ? ops[i].whole : ops[i].real;
	instruction.a = whole ? rg_typed_integer(t, &args[0], 0) : rg_typed_ball(t, &args[0]);
	instruction.b = whole ? rg_typed_integer(t, &args[1], 0) : rg_typed_ball(t, &args[1]);
	instruction.dst = rg_typed_slot(t);
	if (rg_typed_shapes[instruction.op].target == 'J')
		rg_typed_guard(c, instruction, label);
	else
		rg_typed_emit(t, instruction);
	*result = whole ? integer_of(instruction.dst)
			: (struct rg_typed_fact){.kind = RG_TYPED_IS_BALL, .slot = instruction.dst};
	return true;
}

static bool unary(struct rg_typed *t, const char *name, const struct rg_typed_fact *arg,
		  struct rg_typed_fact *result)
{
	static const struct {
		const char *name;
		uint8_t op;
	} ops[] = {{"round", RG_TYPED_OP_ROUND},
		   {"floor", RG_TYPED_OP_FLOOR},
		   {"ceil", RG_TYPED_OP_CEILING}};
	struct rg_typed_instruction instruction = {.dst = 0};
	uint8_t scale;

	if (!strcmp(name, "abs")) {
		*result = *arg;
		result->is_unsigned = false;
		result->origin = RG_TYPED_COMPUTED;
		if (scale_of(t, arg, &scale))
			result->slot =
				rg_typed_value(t, (struct rg_typed_instruction){
							  .op = RG_TYPED_OP_ABSOLUTE,
							  .a = rg_typed_integer(t, arg, scale)});
		else
			*result = (struct rg_typed_fact){
				.kind = RG_TYPED_IS_BALL,
				.slot = rg_typed_value(t, (struct rg_typed_instruction){
								  .op = RG_TYPED_OP_REAL_ABSOLUTE,
								  .a = rg_typed_ball(t, arg)})};
		return true;
	}
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i].name, name) != 0)
			continue;
		if (is_whole(t, arg)) {
			*result = *arg;
			return true;
		}
		if (arg->kind == RG_TYPED_IS_QUOTIENT && ops[i].op == RG_TYPED_OP_FLOOR) {
			*result = integer_of(rg_typed_value(
				t, (struct rg_typed_instruction){.op = RG_TYPED_OP_QUOTIENT,
								 .a = arg->slot,
								 .number = arg->value.i}));
			return true;
		}
		instruction.op = ops[i].op;
		instruction.a = rg_typed_ball(t, arg);
		instruction.dst = rg_typed_slot(t);
		rg_typed_emit(t, instruction);
		*result = integer_of(instruction.dst);
		return true;
	}
	return false;
}

bool rg_typed_arithmetic(struct rg_typed_context *c, const char *name,
			 const struct rg_typed_fact *args, uint32_t count, uint32_t label,
			 struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	uint8_t scale;

	for (uint32_t i = 0; i < count; i++) {
		if (!rg_typed_is_number(&args[i]) ||
		    (args[i].kind == RG_TYPED_IS_KNOWN && !scale_of(t, &args[i], &scale)))
			return false;
	}
	if (count == 2)
		return binary(c, name, args, label, result);
	return count == 1 && args[0].kind != RG_TYPED_IS_KNOWN && unary(t, name, args, result);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to the rules, a piece at a time: conditions that cannot be typed, such as
 * startswith(input.merchant.name, "X"), within rules that can.
 *
 * A PIECE is code for the general evaluator that computes one thing from the request: the loads, rules and
 * built-ins that it rests on, and nothing of what else its rule does. It becomes a function of the image that an EVALUATE of
 * the program asks for, by requests that come so far. A register whose value only a piece can tell is LEFT: its
 * fact names the piece, and pieces that need it begin with its code. Whether it is defined has been asked
 * where it was computed, unless the next instruction, which alone reads it, fails to the same place.
 *
 * Conditions WAIT. One that is left fails to the same place as those behind it in its body, so it is asked
 * after all those that can be typed, and together with others that wait. Before anything else happens, and wherever
 * ways meet, it is asked at last.
 *
 * A piece of `review` is not asked if something was denied, one of `allow` if something was denied or
 * reviewed: the role is in doubt then, and nobody asks for it.
 */
#include "policy/compile/typed_left.h"

#include <stdlib.h>
#include <string.h>

#include "policy/compile/allocate.h"
#include "policy/compile/typed_made.h"

#define PIECES_MAX 64		    /* of a program */
#define CODE_MAX   512		    /* instructions of a piece */
#define TO_END	   (UINT32_MAX - 1) /* target: undefined */

static struct rg_typed_piece *piece_at(struct rg_typed *t, uint32_t number)
{
	return RG_VECTOR_AT(t->pieces, struct rg_typed_piece, number);
}

/* ---- code ---- */

static struct rg_instruction *add_instruction(struct rg_typed *t, struct rg_typed_piece *piece,
					      enum rg_op op)
{
	struct rg_instruction *added = NULL;

	if (piece->code.count < CODE_MAX)
		added = rg_vector_add(t->unit, &piece->code, sizeof(*added));
	if (added)
		*added = (struct rg_instruction){
			.op = (uint16_t)op, .target = TO_END, .place = t->place};
	return added;
}

static bool add_operand(struct rg_typed *t, struct rg_typed_piece *piece, uint32_t operand)
{
	uint32_t *added = rg_vector_add(t->unit, &piece->operands, sizeof(*added));

	if (added)
		*added = operand;
	return added != NULL;
}

/* Registers and operands of code that is put behind other code. */
static uint32_t moved(uint32_t operand, uint32_t by)
{
	return operand & RG_OPERAND_CONSTANT ? operand : operand + by;
}

/* The code of another piece, again. False: it is too long. */
static bool add_piece(struct rg_typed *t, struct rg_typed_piece *to, uint32_t number,
		      uint32_t *result)
{
	uint32_t registers = to->register_count, operands = to->operands.count;
	const struct rg_typed_piece *from = piece_at(t, number);

	for (uint32_t i = 0; i < from->operands.count; i++) {
		if (!add_operand(t, to,
				 moved(*RG_VECTOR_AT(from->operands, uint32_t, i), registers)))
			return false;
	}
	for (uint32_t i = 0; i < from->code.count; i++) {
		const struct rg_instruction *one =
			RG_VECTOR_AT(from->code, struct rg_instruction, i);
		const struct rg_op_shape *shape = &rg_op_shapes[one->op];
		struct rg_instruction *added = add_instruction(t, to, (enum rg_op)one->op);

		if (!added)
			return false;
		*added = *one;
		if (shape->dst == 'R' || shape->dst == 'E')
			added->dst += registers;
		if (shape->a == 'O' || shape->a == 'R')
			added->a = moved(one->a, registers);
		if (shape->b == 'O')
			added->b = moved(one->b, registers);
		if (rg_operand_count(one))
			added->c += operands;
	}
	to->register_count += from->register_count;
	*result = moved(from->result, registers);
	return true;
}

/* ---- what instructions ask for ---- */

static bool add_value(struct rg_typed *t, struct rg_typed_piece *piece, struct rg_value v,
		      uint32_t *operand);

/* An instruction that loads something into a register of its own. */
static bool add_load(struct rg_typed *t, struct rg_typed_piece *piece, enum rg_op op, uint32_t of,
		     uint32_t *operand)
{
	struct rg_instruction *load = add_instruction(t, piece, op);

	if (!load)
		return false;
	load->a = of;
	load->dst = *operand = piece->register_count++;
	return true;
}

static bool add_fact(struct rg_typed *t, struct rg_typed_piece *piece,
		     const struct rg_typed_fact *fact, uint32_t *operand)
{
	if (fact->kind == RG_TYPED_IS_KNOWN) {
		*operand = rg_unit_constant(t->unit, fact->value) | RG_OPERAND_CONSTANT;
		return true;
	}
	if (fact->kind == RG_TYPED_IS_LEFT)
		return add_piece(t, piece, fact->number, operand);
	if (fact->kind == RG_TYPED_IS_NODE)
		return add_load(t, piece, RG_OP_INPUT, fact->number, operand);
	if (fact->kind == RG_TYPED_IS_MADE)
		return add_value(t, piece, fact->value, operand);
	switch ((enum rg_typed_origin)fact->origin) {
	case RG_TYPED_OF_FIELD:
		return add_load(t, piece, RG_OP_FIELD_LOAD, fact->origin_number, operand);
	case RG_TYPED_OF_RULE: return add_load(t, piece, RG_OP_CALL, fact->origin_number, operand);
	case RG_TYPED_COMPUTED: break;
	}
	return false;
}

/* A value, made or not. */
static bool add_value(struct rg_typed *t, struct rg_typed_piece *piece, struct rg_value v,
		      uint32_t *operand)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_typed_fact fact = rg_typed_made_fact(t, v);
	struct rg_instruction *added;
	uint32_t value;

	if (fact.kind != RG_TYPED_IS_MADE)
		return add_fact(t, piece, &fact, operand);
	if (v.type != RG_ARRAY && v.type != RG_OBJECT)
		return false;
	added = add_instruction(t, piece,
				v.type == RG_ARRAY ? RG_OP_MAKE_ARRAY : RG_OP_MAKE_OBJECT);
	if (!added)
		return false;
	added->dst = *operand = piece->register_count++;
	added->target = RG_NO_TARGET;
	for (uint32_t i = 0; i < rg_count(heap, v); i++) {
		struct rg_pair pair = v.type == RG_ARRAY
					      ? (struct rg_pair){rg_null(), rg_array_at(heap, v, i)}
					      : rg_object_at(heap, v, i);

		if (!add_value(t, piece, pair.value, &value))
			return false;
		added = add_instruction(
			t, piece, v.type == RG_ARRAY ? RG_OP_ARRAY_APPEND : RG_OP_OBJECT_INSERT);
		if (!added)
			return false;
		added->dst = *operand;
		added->a = value;
		if (v.type == RG_OBJECT) {
			added->b = value;
			added->a = rg_unit_constant(t->unit, pair.key) | RG_OPERAND_CONSTANT;
		}
	}
	return true;
}

static bool add_read(struct rg_typed_context *c, struct rg_typed_piece *piece, uint32_t number,
		     uint32_t *operand)
{
	struct rg_typed_fact fact = rg_typed_operand(c, number);
	struct rg_value value;

	if (fact.kind == RG_TYPED_IS_ARRAY || fact.kind == RG_TYPED_IS_OBJECT)
		return rg_typed_made_value(c, fact, &value) &&
		       add_value(c->typed, piece, value, operand);
	return add_fact(c->typed, piece, &fact, operand);
}

/* The context's instruction, with all that it reads. */
static bool add_own(struct rg_typed_context *c, struct rg_typed_piece *piece)
{
	const struct rg_instruction *instruction = c->instruction;
	const struct rg_op_shape *shape = &rg_op_shapes[instruction->op];
	struct rg_instruction own = *instruction, *added;
	uint32_t count = rg_operand_count(instruction), operands[16];

	if (count > sizeof(operands) / sizeof(operands[0]) ||
	    ((shape->a == 'O' || shape->a == 'R') && !add_read(c, piece, instruction->a, &own.a)) ||
	    (shape->b == 'O' && !add_read(c, piece, instruction->b, &own.b)))
		return false;
	/* Registers are read where there is one: a constant is moved into it. */
	if (shape->a == 'R' && own.a & RG_OPERAND_CONSTANT) {
		added = add_instruction(c->typed, piece, RG_OP_MOVE);
		if (!added)
			return false;
		added->target = RG_NO_TARGET;
		added->a = own.a;
		added->dst = own.a = piece->register_count++;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!add_read(c, piece, c->source->operands[instruction->c + i], &operands[i]))
			return false;
	}
	if (count)
		own.c = piece->operands.count;
	for (uint32_t i = 0; i < count; i++) {
		if (!add_operand(c->typed, piece, operands[i]))
			return false;
	}
	own.target = TO_END;
	if (shape->dst == 'R')
		own.dst = piece->result = piece->register_count++;
	added = add_instruction(c->typed, piece, (enum rg_op)own.op);
	if (added)
		*added = own;
	return added != NULL;
}

static uint32_t new_piece(struct rg_typed *t)
{
	struct rg_typed_piece *added;

	if (t->pieces.count >= PIECES_MAX)
		return UINT32_MAX;
	added = rg_vector_add(t->unit, &t->pieces, sizeof(*added));
	if (!added)
		return UINT32_MAX;
	*added = (struct rg_typed_piece){.place = t->place,
					 .result = rg_unit_constant(t->unit, rg_boolean(true)) |
						   RG_OPERAND_CONSTANT};
	return t->pieces.count - 1;
}

static void forget_piece(struct rg_typed *t)
{
	struct rg_typed_piece *piece = piece_at(t, --t->pieces.count);

	free(piece->code.items);
	free(piece->operands.items);
}

void rg_typed_forget_pieces(struct rg_typed *t, uint32_t count)
{
	while (t->pieces.count > count)
		forget_piece(t);
}

/* ---- asking ---- */

/* The outermost function around the context. */
static struct rg_typed_context *rule_of(struct rg_typed_context *c)
{
	while (c->caller)
		c = c->caller;
	return c;
}

/* Whether a role before the one that is translated has fired: go to label if so. */
static void unless_fired(struct rg_typed_context *c, const struct rg_typed_role *role,
			 uint32_t label)
{
	if (role->kind == RG_TYPED_SET)
		rg_typed_guard(
			c, (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_EMPTY, .a = role->at},
			label);
	else if (role->kind == RG_TYPED_BOOLEAN)
		rg_typed_guard(c,
			       (struct rg_typed_instruction){
				       .op = RG_TYPED_OP_IF_NE_NUMBER, .a = role->at, .number = 1},
			       label);
}

static uint16_t evaluate(struct rg_typed_context *c, uint32_t piece)
{
	struct rg_typed *t = c->typed;
	uint16_t slot = rg_typed_slot(t);
	uint32_t settled = 0, asked, stamp = c->stamp;

	if (t->role_source && t->role_source == rule_of(c)->source) {
		settled = rg_typed_label(c);
		for (uint32_t role = 0; role < t->role; role++)
			unless_fired(c, &t->program->roles[role], settled);
	}
	rg_typed_emit(t, (struct rg_typed_instruction){
				 .op = RG_TYPED_OP_EVALUATE, .dst = slot, .table = piece});
	if (!settled)
		return slot;
	asked = rg_typed_label(c);
	rg_typed_jump(c, asked);
	rg_typed_place(c, settled);
	if (c->reachable)
		rg_typed_doubt(c);
	rg_typed_place(c, asked);
	c->stamp = stamp;
	return slot;
}

/* Ask for a piece; go to label if it is undefined. */
static uint16_t ask(struct rg_typed_context *c, uint32_t piece, uint32_t label)
{
	uint16_t slot = evaluate(c, piece);

	rg_typed_guard(c, (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_DEFINED, .a = slot},
		       label);
	return slot;
}

void rg_typed_ask_waiting(struct rg_typed_context *c)
{
	uint32_t piece = c->waiting - 1, label = c->waiting_target;

	if (!c->waiting)
		return;
	c->waiting = 0;
	if (c->reachable)
		ask(c, piece, label);
}

/* Does the instruction do nothing but go on or fail, by a value? */
static bool is_test(enum rg_op op)
{
	switch (op) {
	case RG_OP_BRANCH_TRUE:
	case RG_OP_BRANCH_COMPARE:
	case RG_OP_BRANCH_TYPE:
	case RG_OP_BRANCH_MEMBER:
	case RG_OP_FIELD_PRESENT:
	case RG_OP_FIELD_COMPARE:
	case RG_OP_FIELD_COMPARE_FIELD:
	case RG_OP_FIELD_TEXT:
	case RG_OP_FIELD_MASK:
	case RG_OP_FIELD_BIT:
	case RG_OP_FIELD_MEMBER: return true;
	default: return false;
	}
}

/* Instructions that change nothing but registers written once, and fail to the same place. */
static bool may_go_before(const struct rg_typed_context *c,
			  const struct rg_instruction *instruction)
{
	if (is_test((enum rg_op)instruction->op))
		return instruction->target == c->waiting_target;
	switch ((enum rg_op)instruction->op) {
	case RG_OP_BRANCH_DEFINED:
	case RG_OP_BRANCH_UNDEFINED: return instruction->target == c->waiting_target;
	case RG_OP_FIELD_LOAD:
	case RG_OP_DOT:
	case RG_OP_BUILTIN:
	case RG_OP_LENGTH:
		return instruction->target == c->waiting_target &&
		       !rg_typed_is_home(c, instruction->dst);
	default: return false;
	}
}

void rg_typed_may_wait(struct rg_typed_context *c, uint32_t at)
{
	if (c->waiting && (rg_typed_is_awaited(c, at) || !may_go_before(c, &c->source->code[at])))
		rg_typed_ask_waiting(c);
}

/* Is the register that the instruction writes read by the next one alone, which is a condition or value
 * again and fails to the same place? */
static bool is_for_next(const struct rg_typed_context *c)
{
	const struct rg_instruction *next = c->instruction + 1;
	uint32_t reads = 0, number = c->instruction->dst;

	if (next >= c->source->code + c->source->count || next->target != c->instruction->target ||
	    rg_typed_is_home(c, number))
		return false;
	switch ((enum rg_op)next->op) {
	case RG_OP_BRANCH_TRUE:
	case RG_OP_BRANCH_COMPARE:
	case RG_OP_BRANCH_TYPE:
	case RG_OP_BRANCH_MEMBER:
	case RG_OP_DOT:
	case RG_OP_LENGTH:
	case RG_OP_BUILTIN: break;
	default: return false;
	}
	for (uint32_t i = 0; i < c->source->count; i++) {
		const struct rg_instruction *one = &c->source->code[i];
		const struct rg_op_shape *shape = &rg_op_shapes[one->op];
		uint32_t own = 0;

		own += (shape->a == 'O' || shape->a == 'R') && one->a == number;
		own += shape->b == 'O' && one->b == number;
		own += shape->dst == 'E' && one->dst == number;
		for (uint32_t j = 0; j < rg_operand_count(one); j++)
			own += c->source->operands[one->c + j] == number;
		if (own && one != next)
			return false;
		reads += own;
	}
	return reads;
}

static bool gives_truth(const struct rg_typed_context *c)
{
	const struct rg_instruction *instruction = c->instruction;
	const struct rg_builtin *builtin;
	struct rg_value name;

	if (instruction->op == RG_OP_COMPARE)
		return true;
	if (instruction->op != RG_OP_BUILTIN)
		return false;
	name = rg_typed_constant_of(
		c, RG_VECTOR_AT(c->typed->unit->builtins, struct rg_image_builtin, instruction->a)
			   ->name);
	builtin = rg_builtin_find(rg_text(&c->typed->unit->heap, name), name.length);
	return builtin && strstr(builtin->signature, "\"result\":{\"type\":\"boolean\"}");
}

/* A condition that is left: with those that wait, if there are some for the same place. */
static bool leave_condition(struct rg_typed_context *c)
{
	struct rg_typed *t = c->typed;
	uint32_t piece, result;

	if (c->waiting && c->waiting_target != c->instruction->target)
		rg_typed_ask_waiting(c);
	piece = new_piece(t);
	if (piece == UINT32_MAX)
		return false;
	if ((c->waiting && !add_piece(t, piece_at(t, piece), c->waiting - 1, &result)) ||
	    !add_own(c, piece_at(t, piece))) {
		forget_piece(t);
		return false;
	}
	c->waiting = piece + 1;
	c->waiting_target = c->instruction->target;
	return true;
}

static bool leave_value(struct rg_typed_context *c)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_fact fact = {.kind = RG_TYPED_IS_LEFT};

	fact.number = new_piece(t);
	if (fact.number == UINT32_MAX)
		return false;
	if (!add_own(c, piece_at(t, fact.number))) {
		forget_piece(t);
		return false;
	}
	if (!is_for_next(c)) {
		rg_typed_ask_waiting(c);
		fact.slot = ask(c, fact.number, c->instruction->target);
		if (gives_truth(c))
			fact.kind = RG_TYPED_IS_TRUTH;
	}
	rg_typed_write(c, c->instruction->dst, fact);
	return true;
}

bool rg_typed_leave(struct rg_typed_context *c)
{
	bool left = false;
	enum rg_op op;

	if (!c->instruction || c->typed->is_sparing || c->typed->full || !c->reachable)
		return false;
	op = (enum rg_op)c->instruction->op;
	if (is_test(op))
		left = leave_condition(c);
	switch (op) {
	case RG_OP_FIELD_LOAD:
	case RG_OP_DOT:
	case RG_OP_LENGTH:
	case RG_OP_COMPARE:
	case RG_OP_BUILTIN: left = leave_value(c); break;
	case RG_OP_CALL: left = c->instruction->aux && leave_value(c); break;
	default: break;
	}
	if (!left || !c->reachable)
		return left;
	c->left_label = rg_typed_label(c);
	c->left_stamp = c->stamp;
	rg_typed_jump(c, c->left_label);
	return true;
}

/* ---- functions ---- */

static bool lower_piece(struct rg_typed *t, const struct rg_typed_piece *piece, struct rg_lower *l)
{
	uint32_t end = piece->code.count + 1;
	struct rg_instruction *code;
	bool added = true;

	l->unit = t->unit;
	l->variant.template = RG_NO_TEMPLATE;
	l->register_count = piece->register_count;
	for (uint32_t i = 0; i < end + 1 && added; i++)
		added = rg_vector_add(t->unit, &l->code, sizeof(*code)) &&
			rg_vector_add(t->unit, &l->droppable, sizeof(bool));
	for (uint32_t i = 0; i < piece->operands.count && added; i++) {
		uint32_t *operand = rg_vector_add(t->unit, &l->operands, sizeof(*operand));

		added = operand != NULL;
		if (added)
			*operand = *RG_VECTOR_AT(piece->operands, uint32_t, i);
	}
	for (uint32_t i = 0; i < piece->register_count && added; i++)
		added = rg_vector_add(t->unit, &l->at_entry, sizeof(bool)) &&
			rg_vector_add(t->unit, &l->is_home, sizeof(bool));
	if (!added)
		return false;
	code = l->code.items;
	memcpy(code, piece->code.items, piece->code.count * sizeof(*code));
	for (uint32_t i = 0; i < piece->code.count; i++) {
		if (code[i].target == TO_END)
			code[i].target = end;
	}
	code[end - 1] = (struct rg_instruction){.op = RG_OP_RETURN,
						.a = piece->result,
						.target = RG_NO_TARGET,
						.place = piece->place};
	code[end] = (struct rg_instruction){
		.op = RG_OP_RETURN_UNDEFINED, .target = RG_NO_TARGET, .place = piece->place};
	return true;
}

uint32_t rg_typed_piece_function(struct rg_typed *t, uint32_t number)
{
	struct rg_unit *unit = t->unit;
	const struct rg_typed_piece *piece = piece_at(t, number);
	struct rg_image_function *function =
		rg_vector_add(unit, &unit->image_functions, sizeof(*function));
	struct rg_lower *l = calloc(1, sizeof(*l));

	if (!function || !l) {
		free(l);
		rg_unit_no_memory(unit);
		return 0;
	}
	function->name = rg_unit_text(unit, "a piece of a rule", strlen("a piece of a rule"));
	function->place = piece->place;
	if (lower_piece(t, piece, l))
		rg_allocate_function(l, unit->image_functions.count - 1);
	rg_lower_free(l);
	free(l);
	return unit->image_functions.count - 1;
}

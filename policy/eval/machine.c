/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over instructions. What each does is in image/code.h. */
#include <stdio.h>
#include <string.h>

#include "policy/eval/container.h"
#include "policy/eval/data_path.h"
#include "policy/eval/machine.h"

#define REGISTERS_PER_STEP 16 /* cleared in the time of one instruction */

static_assert(RG_IMAGE_FRAME_MAX < RG_EVAL_REGISTERS, "the outermost function's frame always fits");

void rg_machine_begin(struct rg_eval *eval, int64_t now_ns, uint64_t seed, bool strict,
		      struct rg_error *err)
{
	uint64_t budget = rg_image_header(eval->image)->budget;

	eval->epoch++;
	eval->strict = strict;
	eval->err = err;
	eval->result = RG_EVAL_OK;
	eval->call.now_ns = now_ns;
	eval->call.seed = seed;
	eval->call.budget = budget;
	eval->call.want_error_text = err && strict;
	eval->heap.work = budget < UINT64_MAX / RG_EVAL_WORK_PER_BUDGET
				  ? budget * RG_EVAL_WORK_PER_BUDGET
				  : UINT64_MAX;
}

/* ---- errors ---- */

static const char *message_of(enum rg_eval_result result)
{
	switch (result) {
	case RG_EVAL_BUDGET: return "instruction budget used up";
	case RG_EVAL_MEMORY: return "memory for one evaluation used up";
	case RG_EVAL_DEPTH: return "calls are nested too deep";
	default: return "evaluation failed";
	}
}

/* End the evaluation. Always false. */
static __attribute__((cold, noinline)) bool stop(struct rg_eval *eval,
						 const struct rg_instruction *instruction,
						 enum rg_eval_result result, const char *message)
{
	const struct rg_image_place *place =
		(const struct rg_image_place *)rg_image_section(eval->image, RG_SECTION_PLACES) +
		instruction->place;
	struct rg_value file;

	eval->result = result;
	if (!eval->err)
		return false;
	file = eval->constants[place->file];
	rg_error_set(eval->err, RG_EINVAL, "%.*s:%u: %s: %s", (int)file.length,
		     rg_text(&eval->heap, file), place->row, rg_eval_result_code(result),
		     message ? message : message_of(result));
	return false;
}

/* ---- comparing ---- */

static bool compare_signed(uint32_t op, int64_t a, int64_t b)
{
	switch (op) {
	case RG_EQ: return a == b;
	case RG_NE: return a != b;
	case RG_LT: return a < b;
	case RG_LE: return a <= b;
	case RG_GT: return a > b;
	default: return a >= b;
	}
}

static bool compare(struct rg_eval *eval, uint32_t op, struct rg_value a, struct rg_value b)
{
	int order;

	/* Integers, and decimals of the same scale: their mantissas tell. */
	if (a.type == RG_NUMBER && b.type == RG_NUMBER && a.form == b.form &&
	    a.form != RG_NUMBER_TEXT && a.exponent == b.exponent)
		return compare_signed(op, a.i, b.i);
	if (op == RG_EQ || op == RG_NE)
		return rg_equal(&eval->heap, a, b) == (op == RG_EQ);
	order = rg_compare(&eval->heap, a, b);
	switch (op) {
	case RG_LT: return order < 0;
	case RG_LE: return order <= 0;
	case RG_GT: return order > 0;
	default: return order >= 0;
	}
}

static bool compare_unsigned(uint32_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case RG_EQ: return a == b;
	case RG_NE: return a != b;
	case RG_LT: return a < b;
	case RG_LE: return a <= b;
	case RG_GT: return a > b;
	default: return a >= b;
	}
}

static bool is_member(struct rg_eval *eval, struct rg_value element, struct rg_value collection)
{
	bool is_walked = collection.type == RG_ARRAY || collection.type == RG_OBJECT;

	if (is_walked && !rg_heap_charge(&eval->heap, rg_count(&eval->heap, collection)))
		return false;
	return rg_is_member(&eval->heap, element, collection);
}

/* ---- fields ---- */

static bool field_compare(const struct rg_eval *eval, const struct rg_instruction *instruction)
{
	const struct rg_image_field *field = &eval->fields[instruction->a];
	uint64_t raw;

	if (!rg_request_raw(eval, field, &raw))
		return false;
	if (!field->is_signed)
		return compare_unsigned(instruction->aux, raw, (uint64_t)instruction->number);
	return compare_signed(instruction->aux, rg_field_extend(raw, field->bytes, true),
			      instruction->number);
}

static bool field_compare_field(const struct rg_eval *eval,
				const struct rg_instruction *instruction)
{
	const struct rg_image_field *a = &eval->fields[instruction->a];
	const struct rg_image_field *b = &eval->fields[instruction->b];
	uint64_t x, y;

	if (!rg_request_raw(eval, a, &x) || !rg_request_raw(eval, b, &y))
		return false;
	if (!a->is_signed && !b->is_signed)
		return compare_unsigned(instruction->aux, x, y);
	return compare_signed(instruction->aux, rg_field_extend(x, a->bytes, a->is_signed),
			      rg_field_extend(y, b->bytes, b->is_signed));
}

static bool field_text(const struct rg_eval *eval, const struct rg_instruction *instruction)
{
	const struct rg_image_field *field = &eval->fields[instruction->a];
	struct rg_value text = eval->constants[instruction->b];
	const uint8_t *at;
	bool same;

	if (field->extent > eval->block_bytes)
		return false;
	at = eval->block + field->offset;
	if (field->optional && *at == (uint8_t)field->null_value)
		return false;
	same = !memcmp(at, rg_text(&eval->heap, text), text.length) &&
	       (text.length == field->length || !at[text.length]);
	return same == (instruction->aux == RG_EQ);
}

static bool field_mask(const struct rg_eval *eval, const struct rg_instruction *instruction)
{
	const struct rg_image_field *field = &eval->fields[instruction->a];
	uint64_t raw;

	if (!rg_request_raw(eval, field, &raw))
		return false;
	raw -= field->names_base;
	return raw < 64 && ((uint64_t)instruction->number >> raw & 1);
}

static bool field_bit(const struct rg_eval *eval, const struct rg_instruction *instruction)
{
	uint64_t raw;

	return rg_request_raw(eval, &eval->fields[instruction->a], &raw) &&
	       (raw >> instruction->b & 1) == instruction->aux;
}

static bool field_member(struct rg_eval *eval, const struct rg_instruction *instruction)
{
	struct rg_value v = rg_request_value(eval, &eval->fields[instruction->a]);

	return rg_is_defined(v) &&
	       rg_set_has(&eval->heap, eval->constants[instruction->b], v) == instruction->aux;
}

/* ---- containers ---- */

static bool is_growing(struct rg_value v, enum rg_value_type type)
{
	return v.type == type && v.space == RG_SPACE_SCRATCH;
}

/* Keys of both; a's value where both have one, unless both are objects, which are merged in
 * turn. */
static struct rg_value merge_objects(struct rg_heap *heap, struct rg_value a, struct rg_value b,
				     uint32_t depth)
{
	struct rg_value merged;
	uint32_t count = rg_count(heap, b);

	if (depth > RG_VALUE_DEPTH_MAX ||
	    !rg_heap_charge(heap, rg_count(heap, a) + (uint64_t)count)) {
		heap->exhausted = true;
		return rg_undefined;
	}
	merged = rg_clone(heap, a);
	for (uint32_t i = 0; i < count && !heap->exhausted; i++) {
		struct rg_pair pair = rg_object_at(heap, b, i);
		struct rg_value old = rg_object_get(heap, a, pair.key);

		if (!rg_is_defined(old))
			rg_object_insert(heap, merged, pair.key, pair.value);
		else if (old.type == RG_OBJECT && pair.value.type == RG_OBJECT)
			rg_object_insert(heap, merged, pair.key,
					 merge_objects(heap, old, pair.value, depth + 1));
	}
	return merged;
}

/* An object to change: a copy of v, or a new one where v is no object. */
static struct rg_value own_object(struct rg_heap *heap, struct rg_value v)
{
	if (v.type != RG_OBJECT)
		return rg_object(heap, 1);
	if (!rg_heap_charge(heap, rg_count(heap, v)))
		return rg_undefined;
	return rg_clone(heap, v);
}

static inline struct rg_value operand(const struct rg_eval *eval, const struct rg_value *registers,
				      uint32_t number)
{
	return number & RG_OPERAND_CONSTANT ? eval->constants[number & ~RG_OPERAND_CONSTANT]
					    : registers[number];
}

/* a with b at a path: the objects on the way are copied, missing ones made. Undefined when
 * memory is out. */
static struct rg_value override(struct rg_eval *eval, const struct rg_value *registers,
				const struct rg_instruction *instruction)
{
	struct rg_heap *heap = &eval->heap;
	const uint32_t *path = eval->operands + instruction->c;
	struct rg_value root = own_object(heap, operand(eval, registers, instruction->a)),
			at = root;

	for (uint32_t i = 0; i + 1 < instruction->aux && !heap->exhausted; i++) {
		struct rg_value key = operand(eval, registers, path[i]), child;

		if (!rg_is_defined(key))
			return rg_undefined;
		child = own_object(heap, rg_object_get(heap, at, key));
		if (!heap->exhausted)
			rg_object_insert(heap, at, key, child);
		at = child;
	}
	if (instruction->aux && !heap->exhausted) {
		struct rg_value key = operand(eval, registers, path[instruction->aux - 1]);

		if (!rg_is_defined(key))
			return rg_undefined;
		rg_object_insert(heap, at, key, operand(eval, registers, instruction->b));
	}
	return root;
}

static inline struct rg_value dot(struct rg_heap *heap, struct rg_value v, struct rg_value key,
				  bool from_data)
{
	struct rg_value found = rg_dot(heap, v, key);

	return from_data && !rg_is_defined(found) ? rg_dot_number_text(heap, v, key) : found;
}

/* Next item of the iterator into registers; false after the last. */
static bool next_item(struct rg_eval *eval, struct rg_value *registers,
		      const struct rg_instruction *instruction)
{
	struct rg_value collection = registers[instruction->a];
	struct rg_pair pair;
	uint32_t i = collection.length;

	collection.length = 0;
	if (collection.type < RG_ARRAY || i >= rg_count(&eval->heap, collection))
		return false;
	registers[instruction->a].length++;
	pair = rg_pair_at(&eval->heap, collection, i);
	registers[instruction->dst] = pair.key;
	registers[instruction->b] = pair.value;
	return true;
}

/* Runes of a string. */
static int64_t count_runes(const char *text, uint32_t bytes)
{
	int64_t runes = 0;

	for (uint32_t i = 0; i < bytes; i++)
		runes += (text[i] & 0xc0) != 0x80;
	return runes;
}

static struct rg_value length_of(struct rg_heap *heap, struct rg_value v)
{
	if (v.type >= RG_ARRAY)
		return rg_int(rg_count(heap, v));
	return v.type == RG_STRING && rg_heap_charge_text(heap, v)
		       ? rg_int(count_runes(rg_text(heap, v), v.length))
		       : rg_undefined;
}

/* ---- built-ins ---- */

/* Run a built-in. False on an error that ends the evaluation; else *result, undefined where the
 * call is. */
static bool run_builtin(struct rg_eval *eval, const struct rg_instruction *instruction,
			const struct rg_value *registers, struct rg_value *result)
{
	const struct rg_builtin *builtin = eval->builtins[instruction->a];
	struct rg_value args[RG_BUILTIN_ARGS_MAX];
	enum rg_builtin_result status;

	*result = rg_undefined;
	for (uint32_t i = 0; i < instruction->aux; i++) {
		args[i] = operand(eval, registers, eval->operands[instruction->c + i]);
		if (!rg_is_defined(args[i]))
			return true;
		if (!rg_heap_charge_text(&eval->heap, args[i]))
			return stop(eval, instruction, RG_EVAL_MEMORY, NULL);
	}
	eval->call.name = builtin->name;
	status = builtin->run(&eval->call, args, result);
	if (status == RG_BUILTIN_OK && !eval->heap.exhausted) {
		if (builtin->flags & RG_BUILTIN_VOID)
			*result = rg_boolean(true);
		return true;
	}
	*result = rg_undefined;
	if (status == RG_BUILTIN_MEMORY || eval->heap.exhausted)
		return stop(eval, instruction, RG_EVAL_MEMORY, NULL);
	if (!eval->call.budget)
		return stop(eval, instruction, RG_EVAL_BUDGET, NULL);
	if (!eval->strict)
		return true;
	return stop(eval, instruction,
		    status == RG_BUILTIN_TYPE_ERROR ? RG_EVAL_TYPE : RG_EVAL_BUILTIN,
		    eval->call.error.text);
}

/* ---- watching ---- */

static __attribute__((cold, noinline)) void tell(struct rg_eval *eval,
						 const struct rg_instruction *instruction,
						 struct rg_value value, struct rg_value key)
{
	struct rg_mark mark = {.phase = (enum rg_mark_phase)instruction->aux,
			       .number = (uint32_t)instruction->number,
			       .value = value,
			       .key = key};

	if (eval->watcher)
		eval->watcher(eval->watcher_context, &mark);
}

/* ---- calls ---- */

static inline bool charge(struct rg_eval *eval, uint64_t cost)
{
	if (__builtin_expect(eval->call.budget <= cost, 0)) {
		eval->call.budget = 0;
		return false;
	}
	eval->call.budget -= cost;
	return true;
}

static inline bool same_bits(struct rg_value a, struct rg_value b)
{
	return !memcmp(&a, &b, sizeof(a));
}

static struct rg_memo *memo_of(struct rg_eval *eval, const struct rg_image_function *function)
{
	return &eval->memo[(size_t)(function - eval->functions) % RG_EVAL_MEMO_SLOTS];
}

static bool remembers(const struct rg_eval *eval, const struct rg_memo *memo,
		      const struct rg_image_function *function, const struct rg_value *args)
{
	if (memo->epoch != eval->epoch || memo->function != (uint32_t)(function - eval->functions))
		return false;
	for (uint32_t i = 0; i < function->param_count; i++) {
		if (!same_bits(memo->args[i], args[i]))
			return false;
	}
	return true;
}

static void remember(struct rg_eval *eval, const struct rg_image_function *function,
		     const struct rg_value *args, struct rg_value result)
{
	struct rg_memo *memo = memo_of(eval, function);

	memo->epoch = eval->epoch;
	memo->function = (uint32_t)(function - eval->functions);
	for (uint32_t i = 0; i < function->param_count; i++)
		memo->args[i] = args[i];
	memo->result = result;
}

/* Is there room for a call's registers behind those of the caller? */
static inline bool has_room(const struct rg_eval *eval, const struct rg_value *registers,
			    const struct rg_image_function *function)
{
	return function->frame_size <= (size_t)(eval->registers + RG_EVAL_REGISTERS - registers);
}

/* What a call costs: the code it may step over, and the frame to fill and clear. */
static inline uint64_t cost_of(const struct rg_image_function *function)
{
	return (uint64_t)function->code_count + function->frame_size / REGISTERS_PER_STEP;
}

/* All registers but the parameters are undefined. */
static inline void clear_frame(struct rg_value *registers, const struct rg_image_function *function)
{
	memset(registers + function->param_count, 0,
	       (function->frame_size - function->param_count) * sizeof(*registers));
}

/* The function that CALL_DYNAMIC means, or NULL: look the path up in the constant object. */
static const struct rg_image_function *find_dynamic(struct rg_eval *eval,
						    const struct rg_value *registers,
						    const struct rg_instruction *instruction)
{
	struct rg_value path = rg_array(&eval->heap, instruction->b), number;

	for (uint32_t i = 0; i < instruction->b && !eval->heap.exhausted; i++) {
		struct rg_value segment =
			operand(eval, registers, eval->operands[instruction->c + i]);

		if (!rg_is_defined(segment))
			return NULL;
		rg_array_append(&eval->heap, path, segment);
	}
	if (eval->heap.exhausted)
		return NULL;
	number = rg_object_get(&eval->heap, eval->constants[instruction->a], path);
	if (number.type != RG_NUMBER || number.form != RG_NUMBER_INT || number.i < 0 ||
	    number.i >= eval->function_count ||
	    eval->functions[number.i].param_count != instruction->aux)
		return NULL;
	return &eval->functions[number.i];
}

#define GO_OR_FAIL(condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			goto failed;                                                               \
	} while (0)
#define OPERAND(number) operand(eval, registers, number)
#define SET(v)		(registers[at->dst] = (v))

bool rg_machine_run(struct rg_eval *eval, uint32_t number, const struct rg_value *args,
		    struct rg_value *result)
{
	const struct rg_image_function *function = &eval->functions[number];
	struct rg_heap *heap = &eval->heap;
	const struct rg_instruction *code, *at;
	struct rg_value *registers = eval->registers, a, b;
	struct rg_frame *frame = eval->frames;
	uint32_t first;

	code = at = eval->code + function->code;
	if (function->memo && remembers(eval, memo_of(eval, function), function, args)) {
		*result = memo_of(eval, function)->result;
		return true;
	}
	for (uint32_t i = 0; i < function->param_count; i++)
		registers[i] = args[i];
	clear_frame(registers, function); /* RG_IMAGE_FRAME_MAX fits */
	*frame = (struct rg_frame){function, NULL, registers};
	if (!charge(eval, cost_of(function)))
		return stop(eval, at, RG_EVAL_BUDGET, NULL);
	for (;; at++) {
	again:
		switch ((enum rg_op)at->op) {
		case RG_OP_JUMP: goto failed;
		case RG_OP_RETURN: a = OPERAND(at->a); goto returned;
		case RG_OP_RETURN_UNDEFINED: a = rg_undefined; goto returned;

		case RG_OP_BRANCH_DEFINED: GO_OR_FAIL(rg_is_defined(registers[at->a])); continue;
		case RG_OP_BRANCH_UNDEFINED: GO_OR_FAIL(!rg_is_defined(registers[at->a])); continue;
		case RG_OP_BRANCH_TRUE:
			GO_OR_FAIL(rg_is_defined(registers[at->a]) &&
				   !rg_is_false(registers[at->a]));
			continue;
		case RG_OP_BRANCH_COMPARE:
			a = OPERAND(at->a);
			b = OPERAND(at->b);
			GO_OR_FAIL(rg_is_defined(a) && rg_is_defined(b) &&
				   compare(eval, at->aux, a, b));
			continue;
		case RG_OP_BRANCH_TYPE: GO_OR_FAIL(OPERAND(at->a).type == at->aux); continue;
		case RG_OP_BRANCH_MEMBER:
			a = OPERAND(at->a);
			b = OPERAND(at->b);
			GO_OR_FAIL(rg_is_defined(a) && rg_is_defined(b) &&
				   is_member(eval, a, b) == at->aux);
			continue;

		case RG_OP_RESET: SET(rg_undefined); continue;
		case RG_OP_MOVE: SET(OPERAND(at->a)); continue;
		case RG_OP_DOT:
			a = OPERAND(at->a);
			b = OPERAND(at->b);
			GO_OR_FAIL(rg_is_defined(a) && rg_is_defined(b));
			a = dot(heap, a, b, at->aux);
			GO_OR_FAIL(rg_is_defined(a));
			SET(a);
			continue;
		case RG_OP_LENGTH:
			a = length_of(heap, OPERAND(at->a));
			GO_OR_FAIL(rg_is_defined(a));
			SET(a);
			continue;
		case RG_OP_COMPARE:
			a = OPERAND(at->a);
			b = OPERAND(at->b);
			GO_OR_FAIL(rg_is_defined(a) && rg_is_defined(b));
			SET(rg_boolean(compare(eval, at->aux, a, b)));
			continue;
		case RG_OP_MAKE_ARRAY: SET(rg_array(heap, at->aux)); break;
		case RG_OP_MAKE_OBJECT: SET(rg_object(heap, at->aux)); break;
		case RG_OP_MAKE_SET: SET(rg_set(heap, at->aux)); break;
		case RG_OP_CLONE:
			a = OPERAND(at->a);
			if (a.type >= RG_ARRAY && rg_heap_charge(heap, rg_count(heap, a)))
				a = rg_clone(heap, a);
			SET(a);
			break;
		case RG_OP_OBJECT_MERGE:
			a = OPERAND(at->a);
			b = OPERAND(at->b);
			GO_OR_FAIL(a.type == RG_OBJECT && b.type == RG_OBJECT);
			SET(merge_objects(heap, a, b, 0));
			break;
		case RG_OP_WITH:
			GO_OR_FAIL(rg_is_defined(OPERAND(at->b)));
			a = override(eval, registers, at);
			GO_OR_FAIL(rg_is_defined(a) || heap->exhausted);
			SET(a);
			break;

		case RG_OP_CALL:
			function = &eval->functions[at->a];
			first = at->c;
			goto call;
		case RG_OP_CALL_DYNAMIC:
			function = find_dynamic(eval, registers, at);
			if (heap->exhausted)
				return stop(eval, at, RG_EVAL_MEMORY, NULL);
			GO_OR_FAIL(function);
			first = at->c + at->b;
			goto call;
		case RG_OP_BUILTIN:
			if (!run_builtin(eval, at, registers, &a))
				return false;
			GO_OR_FAIL(rg_is_defined(a));
			SET(a);
			continue;

		case RG_OP_SCAN:
			a = OPERAND(at->a);
			GO_OR_FAIL(a.type >= RG_ARRAY);
			a.length = 0;
			SET(a);
			continue;
		case RG_OP_NEXT: GO_OR_FAIL(next_item(eval, registers, at)); break;
		case RG_OP_LOOP:
			if (!charge(eval, at->c))
				return stop(eval, at, RG_EVAL_BUDGET, NULL);
			goto failed;

		case RG_OP_ASSIGN_ONCE:
			a = OPERAND(at->a);
			GO_OR_FAIL(rg_is_defined(a));
			b = registers[at->dst];
			if (!rg_is_defined(b)) {
				SET(a);
				continue;
			}
			if (!rg_equal(heap, a, b))
				return stop(eval, at,
					    heap->exhausted ? RG_EVAL_MEMORY : RG_EVAL_CONFLICT,
					    heap->exhausted ? NULL
					    : at->aux	    ? "functions must not produce multiple "
							      "outputs for same inputs"
						      : "complete rules must not produce multiple "
							"outputs");
			break;
		case RG_OP_ARRAY_APPEND:
			a = OPERAND(at->a);
			GO_OR_FAIL(rg_is_defined(a) && is_growing(registers[at->dst], RG_ARRAY));
			rg_array_append(heap, registers[at->dst], a);
			break;
		case RG_OP_SET_ADD:
			a = OPERAND(at->a);
			GO_OR_FAIL(rg_is_defined(a) && is_growing(registers[at->dst], RG_SET));
			rg_set_add(heap, registers[at->dst], a);
			break;
		case RG_OP_OBJECT_INSERT:
		case RG_OP_OBJECT_INSERT_ONCE:
			a = OPERAND(at->a);
			b = OPERAND(at->b);
			GO_OR_FAIL(rg_is_defined(a) && rg_is_defined(b) &&
				   is_growing(registers[at->dst], RG_OBJECT));
			if (at->op == RG_OP_OBJECT_INSERT_ONCE) {
				struct rg_value old = rg_object_get(heap, registers[at->dst], a);

				if (rg_is_defined(old) && !rg_equal(heap, old, b) &&
				    !heap->exhausted)
					return stop(eval, at, RG_EVAL_CONFLICT,
						    "object keys must be unique");
			}
			rg_object_insert(heap, registers[at->dst], a, b);
			break;

		case RG_OP_FIELD_PRESENT:
			GO_OR_FAIL(rg_request_present(eval, &eval->fields[at->a]) == at->aux);
			continue;
		case RG_OP_FIELD_LOAD:
			a = rg_request_value(eval, &eval->fields[at->a]);
			GO_OR_FAIL(rg_is_defined(a) || heap->exhausted);
			SET(a);
			break;
		case RG_OP_FIELD_COMPARE: GO_OR_FAIL(field_compare(eval, at)); continue;
		case RG_OP_FIELD_COMPARE_FIELD: GO_OR_FAIL(field_compare_field(eval, at)); continue;
		case RG_OP_FIELD_TEXT: GO_OR_FAIL(field_text(eval, at)); continue;
		case RG_OP_FIELD_MASK: GO_OR_FAIL(field_mask(eval, at)); continue;
		case RG_OP_FIELD_BIT: GO_OR_FAIL(field_bit(eval, at)); continue;
		case RG_OP_FIELD_MEMBER: GO_OR_FAIL(field_member(eval, at)); continue;
		case RG_OP_INPUT:
			a = rg_request_node(eval, at->a);
			GO_OR_FAIL(rg_is_defined(a) || heap->exhausted);
			SET(a);
			break;
		case RG_OP_MARK: tell(eval, at, OPERAND(at->a), OPERAND(at->b)); continue;
		case RG_OP_COUNT: __builtin_unreachable();
		}
		/* what may have used up memory comes here */
		if (__builtin_expect(heap->exhausted, 0))
			return stop(eval, at, RG_EVAL_MEMORY, NULL);
		continue;

	failed:
		at = code + at->target;
		goto again;

	call : {
		struct rg_value *callee = registers + frame->function->frame_size;

		if (frame + 1 == eval->frames + RG_EVAL_CALLS_MAX ||
		    !has_room(eval, callee, function))
			return stop(eval, at, RG_EVAL_DEPTH, NULL);
		for (uint32_t i = 0; i < at->aux; i++)
			callee[i] = OPERAND(eval->operands[first + i]);
		if (function->memo && remembers(eval, memo_of(eval, function), function, callee)) {
			a = memo_of(eval, function)->result;
			GO_OR_FAIL(rg_is_defined(a));
			SET(a);
			continue;
		}
		if (!charge(eval, cost_of(function)))
			return stop(eval, at, RG_EVAL_BUDGET, NULL);
		clear_frame(callee, function);
		*++frame = (struct rg_frame){function, at, callee};
		registers = callee;
		code = at = eval->code + function->code;
		goto again;
	}

	returned:
		if (__builtin_expect(heap->exhausted, 0))
			return stop(eval, at, RG_EVAL_MEMORY, NULL);
		function = frame->function;
		if (function->memo)
			remember(eval, function, registers, a);
		if (!frame->call) {
			*result = a;
			return true;
		}
		at = frame->call;
		frame--;
		registers = frame->registers;
		code = eval->code + frame->function->code;
		GO_OR_FAIL(rg_is_defined(a));
		SET(a);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/image_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "policy/eval/number.h"
#include "tools/riskctl/plan_view.h"

#define PATH_BYTES 120

void rg_image_view_init(struct rg_image_view *view, const void *image, struct rg_heap *heap)
{
	*view = (struct rg_image_view){.image = image,
				       .heap = heap,
				       .functions = rg_image_section(image, RG_SECTION_FUNCTIONS),
				       .code = rg_image_section(image, RG_SECTION_CODE),
				       .function_count =
					       rg_image_count(image, RG_SECTION_FUNCTIONS)};
}

static struct rg_value constant_at(const struct rg_image_view *view, uint32_t number)
{
	return ((const struct rg_value *)rg_image_section(view->image,
							  RG_SECTION_CONSTANTS))[number];
}

const char *rg_image_view_text(const struct rg_image_view *view, uint32_t constant, char *out,
			       size_t bytes)
{
	struct rg_value text = constant_at(view, constant);

	snprintf(out, bytes, "%.*s", (int)text.length, rg_text(view->heap, text));
	return out;
}

const struct rg_image_place *rg_image_view_place(const struct rg_image_view *view,
						 const struct rg_instruction *instruction)
{
	return (const struct rg_image_place *)rg_image_section(view->image, RG_SECTION_PLACES) +
	       instruction->place;
}

/* ---- kinds ---- */

enum rg_step_kind rg_step_kind_of(const struct rg_instruction *instruction)
{
	switch ((enum rg_op)instruction->op) {
	case RG_OP_FIELD_PRESENT:
	case RG_OP_FIELD_COMPARE:
	case RG_OP_FIELD_COMPARE_FIELD:
	case RG_OP_FIELD_TEXT:
	case RG_OP_FIELD_MASK:
	case RG_OP_FIELD_BIT:
	case RG_OP_FIELD_MEMBER: return RG_STEP_TYPED;
	case RG_OP_CALL: return RG_STEP_CALL;
	case RG_OP_JUMP:
	case RG_OP_RETURN:
	case RG_OP_RETURN_UNDEFINED:
	case RG_OP_RESET:
	case RG_OP_MOVE:
	case RG_OP_LOOP:
	case RG_OP_NEXT:
	case RG_OP_MAKE_ARRAY:
	case RG_OP_MAKE_OBJECT:
	case RG_OP_MAKE_SET:
	case RG_OP_CLONE:
	case RG_OP_ASSIGN_ONCE:
	case RG_OP_ARRAY_APPEND:
	case RG_OP_OBJECT_INSERT:
	case RG_OP_OBJECT_INSERT_ONCE:
	case RG_OP_SET_ADD:
	case RG_OP_BRANCH_DEFINED:
	case RG_OP_BRANCH_UNDEFINED:
	case RG_OP_MARK: return RG_STEP_PLAIN;
	default: return RG_STEP_GENERAL;
	}
}

/* ---- words ---- */

static const struct rg_image_field *field_at(const struct rg_image_view *view, uint32_t number)
{
	return (const struct rg_image_field *)rg_image_section(view->image, RG_SECTION_FIELDS) +
	       number;
}

static const char *field_path(const struct rg_image_view *view, uint32_t number, char *out)
{
	char path[PATH_BYTES];

	snprintf(out, PATH_BYTES, "input.%s",
		 rg_image_view_text(view, field_at(view, number)->path, path, sizeof(path)));
	return out;
}

static const char *sign_of(uint32_t comparison)
{
	static const char *const signs[RG_COMPARISON_COUNT] = {"==", "!=", "<", "<=", ">", ">="};

	return comparison < RG_COMPARISON_COUNT ? signs[comparison] : "?";
}

/* A number in the field's units as the decimal that Rego writes. */
static const char *field_number(const struct rg_image_view *view,
				const struct rg_image_field *field, int64_t number, char *out)
{
	struct rg_value value =
		field->kind == RG_FIELD_DECIMAL
			? rg_number_from_decimal(view->heap, number, field->exponent)
		: field->is_signed ? rg_int(number)
				   : rg_number_from_uint(view->heap, (uint64_t)number);

	return rg_value_brief(view->heap, value, out);
}

/* "input.user.risk_level in {high, medium}" */
static void mask_text(const struct rg_image_view *view, const struct rg_instruction *instruction,
		      char *out)
{
	const struct rg_image_field *field = field_at(view, instruction->a);
	const struct rg_image_field_name *names =
		(const struct rg_image_field_name *)rg_image_section(view->image,
								     RG_SECTION_FIELD_NAMES) +
		field->names_first;
	char path[PATH_BYTES], name[64];
	size_t used = (size_t)snprintf(out, RG_STEP_TEXT_BYTES, "%s is",
				       field_path(view, instruction->a, path));
	bool any = false;

	for (uint32_t i = 0; i < field->names_count && used < RG_STEP_TEXT_BYTES; i++) {
		if (!((uint64_t)instruction->number >> (names[i].value - field->names_base) & 1))
			continue;
		used += (size_t)snprintf(
			out + used, RG_STEP_TEXT_BYTES - used, "%s %s", any ? " or" : "",
			rg_image_view_text(view, names[i].name, name, sizeof(name)));
		any = true;
	}
}

static void bit_text(const struct rg_image_view *view, const struct rg_instruction *instruction,
		     char *out)
{
	const struct rg_image_field *field = field_at(view, instruction->a);
	const struct rg_image_field_name *names =
		(const struct rg_image_field_name *)rg_image_section(view->image,
								     RG_SECTION_FIELD_NAMES) +
		field->names_first;
	char path[PATH_BYTES], name[64] = "?";

	for (uint32_t i = 0; i < field->names_count; i++)
		if (names[i].value == instruction->b)
			rg_image_view_text(view, names[i].name, name, sizeof(name));
	snprintf(out, RG_STEP_TEXT_BYTES, "%s%s in %s", instruction->aux ? "" : "not ", name,
		 field_path(view, instruction->a, path));
}

static void builtin_text(const struct rg_image_view *view, const struct rg_instruction *instruction,
			 char *out)
{
	const struct rg_image_builtin *imports = rg_image_section(view->image, RG_SECTION_BUILTINS);
	char name[64];

	snprintf(out, RG_STEP_TEXT_BYTES, "calls built-in %s",
		 rg_image_view_text(view, imports[instruction->a].name, name, sizeof(name)));
}

static void call_text(const struct rg_image_view *view, const struct rg_instruction *instruction,
		      char *out)
{
	char name[RG_RULE_NAME_BYTES], *plain = name;

	rg_image_view_text(view, view->functions[instruction->a].name, name, sizeof(name));
	if (name[0] == 'g' && strchr(name, '.'))
		plain = strchr(name, '.') + 1;
	plain[strcspn(plain, "#")] = '\0';
	snprintf(out, RG_STEP_TEXT_BYTES, "asks %s", plain);
}

const char *rg_step_text(const struct rg_image_view *view, const struct rg_instruction *instruction,
			 char *out)
{
	char a[PATH_BYTES], b[PATH_BYTES], value[RG_BRIEF_BYTES];
	const char *text = rg_op_shapes[instruction->op].name;

	switch ((enum rg_op)instruction->op) {
	case RG_OP_FIELD_PRESENT:
		snprintf(out, RG_STEP_TEXT_BYTES, "%s is %s", field_path(view, instruction->a, a),
			 instruction->aux ? "present" : "absent");
		return out;
	case RG_OP_FIELD_COMPARE:
		snprintf(out, RG_STEP_TEXT_BYTES, "%s %s %s", field_path(view, instruction->a, a),
			 sign_of(instruction->aux),
			 field_number(view, field_at(view, instruction->a), instruction->number,
				      value));
		return out;
	case RG_OP_FIELD_COMPARE_FIELD:
		snprintf(out, RG_STEP_TEXT_BYTES, "%s %s %s", field_path(view, instruction->a, a),
			 sign_of(instruction->aux), field_path(view, instruction->b, b));
		return out;
	case RG_OP_FIELD_TEXT:
		snprintf(out, RG_STEP_TEXT_BYTES, "%s %s %s", field_path(view, instruction->a, a),
			 sign_of(instruction->aux),
			 rg_value_brief(view->heap, constant_at(view, instruction->b), value));
		return out;
	case RG_OP_FIELD_MEMBER:
		snprintf(out, RG_STEP_TEXT_BYTES, "%s%s in %s", instruction->aux ? "" : "not ",
			 field_path(view, instruction->a, a),
			 rg_value_brief(view->heap, constant_at(view, instruction->b), value));
		return out;
	case RG_OP_FIELD_MASK: mask_text(view, instruction, out); return out;
	case RG_OP_FIELD_BIT: bit_text(view, instruction, out); return out;
	case RG_OP_FIELD_LOAD:
		snprintf(out, RG_STEP_TEXT_BYTES, "takes %s as a value",
			 field_path(view, instruction->a, a));
		return out;
	case RG_OP_BUILTIN: builtin_text(view, instruction, out); return out;
	case RG_OP_CALL: call_text(view, instruction, out); return out;
	case RG_OP_CALL_DYNAMIC: text = "asks a rule whose name is known at run time"; break;
	case RG_OP_DOT: text = "looks a key up"; break;
	case RG_OP_SCAN: text = "goes over a collection"; break;
	case RG_OP_INPUT: text = "takes input, or an object of it, as a value"; break;
	case RG_OP_WITH: text = "replaces a part of input or data"; break;
	case RG_OP_BRANCH_COMPARE:
	case RG_OP_COMPARE: text = "compares values"; break;
	case RG_OP_BRANCH_MEMBER: text = "looks for a value in a collection"; break;
	case RG_OP_BRANCH_TRUE: text = "tests a value"; break;
	case RG_OP_BRANCH_TYPE: text = "asks for a value's type"; break;
	case RG_OP_LENGTH: text = "counts a value"; break;
	case RG_OP_OBJECT_MERGE: text = "merges objects"; break;
	default: break;
	}
	snprintf(out, RG_STEP_TEXT_BYTES, "%s", text);
	return out;
}

/* ---- costs ---- */

struct costing {
	const struct rg_image_view *view;
	struct rg_function_cost *costs;
	uint8_t *state; /* by function: 0 unknown, 1 being counted, 2 counted */
	struct rg_function_cost
		*from; /* by instruction of the image: from there to its function's end */
};

static void count_function(struct costing *costing, uint32_t number);

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static struct rg_function_cost longer(struct rg_function_cost a, struct rg_function_cost b)
{
	return a.steps >= b.steps ? a : b;
}

/* How often a loop over a constant turns; 0 when only the request knows. */
static uint64_t turns_of(const struct rg_image_view *view, const struct rg_image_function *function,
			 uint32_t next)
{
	const struct rg_instruction *code = view->code + function->code;

	for (uint32_t i = next; i-- > 0;) {
		if (code[i].op != RG_OP_SCAN || code[i].dst != code[next].a)
			continue;
		if (!(code[i].a & RG_OPERAND_CONSTANT))
			return 0;
		return rg_count(view->heap, constant_at(view, code[i].a & ~RG_OPERAND_CONSTANT));
	}
	return 0;
}

/* Cost of the loop at NEXT: its turns, then what comes behind it. A turn that leaves the loop
 * early counts what is behind it too, so the sum is a bound. */
static struct rg_function_cost cost_of_loop(struct costing *costing,
					    const struct rg_image_function *function, uint32_t next,
					    struct rg_function_cost turn,
					    struct rg_function_cost behind)
{
	uint64_t turns = turns_of(costing->view, function, next), steps;

	if (!turns)
		behind.open_loops += 1 + turn.open_loops;
	else
		behind.open_loops += turn.open_loops;
	if (__builtin_mul_overflow(add(turn.steps, 1), turns ? turns : 1, &steps))
		steps = UINT64_MAX;
	behind.steps = add(behind.steps, steps);
	behind.builtins += turn.builtins;
	return behind;
}

static struct rg_function_cost cost_of_callee(struct costing *costing, uint32_t callee)
{
	if (costing->state[callee] == 0)
		count_function(costing, callee);
	return costing->costs[callee]; /* of one being counted: nothing; Rego has no recursion */
}

static struct rg_function_cost cost_from(struct costing *costing,
					 const struct rg_image_function *function, uint32_t at)
{
	const struct rg_instruction *instruction = &costing->view->code[function->code + at];
	struct rg_function_cost *from = costing->from + function->code;
	struct rg_function_cost cost = {0}, callee;

	if (instruction->op == RG_OP_LOOP || instruction->op == RG_OP_RETURN ||
	    instruction->op == RG_OP_RETURN_UNDEFINED)
		return (struct rg_function_cost){.steps = 1};
	if (instruction->op == RG_OP_NEXT)
		return cost_of_loop(costing, function, at, from[at + 1], from[instruction->target]);
	if (instruction->op != RG_OP_JUMP)
		cost = from[at + 1];
	if (instruction->target != RG_NO_TARGET)
		cost = longer(cost, from[instruction->target]);
	cost.steps = add(cost.steps, 1);
	cost.builtins += instruction->op == RG_OP_BUILTIN;
	if (instruction->op == RG_OP_CALL) {
		callee = cost_of_callee(costing, instruction->a);
		cost.steps = add(cost.steps, callee.steps);
		cost.open_loops += callee.open_loops;
		cost.builtins += callee.builtins;
	}
	return cost;
}

static void count_function(struct costing *costing, uint32_t number)
{
	const struct rg_image_function *function = &costing->view->functions[number];

	costing->state[number] = 1;
	for (uint32_t at = function->code_count; at-- > 0;)
		costing->from[function->code + at] = cost_from(costing, function, at);
	costing->costs[number] = costing->from[function->code];
	costing->costs[number].instructions = function->code_count;
	costing->state[number] = 2;
}

int rg_image_view_costs(const struct rg_image_view *view, struct rg_function_cost *costs,
			struct rg_error *err)
{
	struct costing costing = {.view = view, .costs = costs};
	uint32_t instructions = rg_image_count(view->image, RG_SECTION_CODE);

	costing.state = calloc(view->function_count + 1, sizeof(*costing.state));
	costing.from = calloc(instructions + 1, sizeof(*costing.from));
	if (!costing.state || !costing.from) {
		free(costing.state);
		free(costing.from);
		return rg_error_set(err, RG_ENOMEM, "no memory to count %u instructions",
				    instructions);
	}
	memset(costs, 0, view->function_count * sizeof(*costs));
	for (uint32_t i = 0; i < view->function_count; i++)
		if (!costing.state[i])
			count_function(&costing, i);
	free(costing.state);
	free(costing.from);
	return RG_OK;
}

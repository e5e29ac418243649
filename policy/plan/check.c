/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/plan/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Names to indices; functions shadow built-ins of the same name. Open addressing, at most half
 * full. */
struct names {
	uint32_t *slots; /* index + 1; functions first, then built-ins offset by function_count */
	uint32_t mask;
};

struct check {
	struct rg_plan *plan;
	struct rg_error *err;
	struct names names;
	const struct rg_plan_text *owner; /* name of the function or plan */
	const struct rg_plan_statement *statement;
	uint32_t frame_size;
	bool is_entry;
};

static int fail(struct check *check, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct check *check, int status, const char *format, ...)
{
	const struct rg_plan_statement *statement = check->statement;
	const struct rg_plan *plan = check->plan;
	va_list args;

	va_start(args, format);
	rg_error_vset(check->err, status, format, args);
	va_end(args);
	if (statement) {
		rg_error_prefix(check->err, "%s", rg_statement_name(statement->type));
		if (statement->file < plan->file_count)
			rg_error_prefix(check->err, "%s:%u:%u", plan->files[statement->file].text,
					statement->row, statement->col);
	}
	if (check->owner)
		rg_error_prefix(check->err, "%s %s", check->is_entry ? "plan" : "function",
				check->owner->text);
	rg_error_prefix(check->err, "plan.json");
	return status;
}

/* ---- names ---- */

static uint32_t hash_text(struct rg_plan_text text)
{
	uint32_t hash = 2166136261u;

	for (uint32_t i = 0; i < text.bytes; i++)
		hash = (hash ^ (uint8_t)text.text[i]) * 16777619u;
	return hash;
}

static struct rg_plan_text name_of(const struct rg_plan *plan, uint32_t item)
{
	return item < plan->function_count ? plan->functions[item].name
					   : plan->builtins[item - plan->function_count].name;
}

/* The slot that holds name, or the empty one where it would go. */
static uint32_t *slot_of(const struct check *check, struct rg_plan_text name)
{
	uint32_t at = hash_text(name) & check->names.mask;

	for (;; at = (at + 1) & check->names.mask) {
		uint32_t *slot = &check->names.slots[at];
		struct rg_plan_text other;

		if (!*slot)
			return slot;
		other = name_of(check->plan, *slot - 1);
		if (other.bytes == name.bytes && !memcmp(other.text, name.text, name.bytes))
			return slot;
	}
}

static int enter_names(struct check *check)
{
	const struct rg_plan *plan = check->plan;
	uint32_t count = plan->function_count + plan->builtin_count, slots = 16;

	while (slots < 2 * count)
		slots *= 2;
	check->names.mask = slots - 1;
	check->names.slots = calloc(slots, sizeof(*check->names.slots));
	if (!check->names.slots)
		return fail(check, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < count; i++) {
		struct rg_plan_text name = name_of(plan, i);
		uint32_t *slot;

		if (!name.bytes)
			return fail(check, RG_EINVAL, "%s %u has no name",
				    i < plan->function_count ? "function" : "built-in", i);
		slot = slot_of(check, name);
		if (*slot && i < plan->function_count)
			return fail(check, RG_EINVAL, "two functions are named %s", name.text);
		if (!*slot)
			*slot = i + 1;
	}
	return RG_OK;
}

static int resolve_call(struct check *check, struct rg_plan_statement *statement)
{
	const struct rg_plan *plan = check->plan;
	uint32_t item = *slot_of(check, statement->name);

	if (!item)
		return fail(check, RG_EINVAL,
			    "calls %s, which is neither a function of the plan nor in its "
			    "builtin_funcs",
			    statement->name.text);
	item--;
	if (item >= plan->function_count) {
		statement->callee_kind = RG_PLAN_CALL_BUILTIN;
		statement->callee = item - plan->function_count;
		return RG_OK;
	}
	statement->callee_kind = RG_PLAN_CALL_FUNCTION;
	statement->callee = item;
	if (plan->functions[item].param_count != statement->arg_count)
		return fail(check, RG_EINVAL, "calls %s with %u arguments, it takes %u",
			    statement->name.text, statement->arg_count,
			    plan->functions[item].param_count);
	return RG_OK;
}

/* ---- statements ---- */

static int check_local(struct check *check, uint32_t local)
{
	if (local >= RG_PLAN_LOCALS_MAX)
		return fail(check, RG_ELIMIT, "local %u is beyond the limit of %u", local,
			    RG_PLAN_LOCALS_MAX);
	if (local >= check->frame_size)
		check->frame_size = local + 1;
	return RG_OK;
}

static int check_string(struct check *check, int64_t index)
{
	if (index < 0 || index >= check->plan->string_count)
		return fail(check, RG_EINVAL, "string index %lld, but there are %u strings",
			    (long long)index, check->plan->string_count);
	return RG_OK;
}

static int check_operand(struct check *check, struct rg_plan_operand operand)
{
	if (operand.kind == RG_PLAN_LOCAL)
		return check_local(check, operand.value);
	if (operand.kind == RG_PLAN_STRING)
		return check_string(check, operand.value);
	return RG_OK;
}

static int check_operands(struct check *check, const struct rg_plan_operand *operands,
			  uint32_t count)
{
	int status = RG_OK;

	if (count > RG_PLAN_ARGS_MAX)
		return fail(check, RG_ELIMIT, "%u operands; the limit is %u", count,
			    RG_PLAN_ARGS_MAX);
	for (uint32_t i = 0; i < count && !status; i++)
		status = check_operand(check, operands[i]);
	return status;
}

/* Literals are checked as JSON numbers once, here. */
static int check_number_text(struct check *check, uint32_t index)
{
	const struct rg_plan_text *text = &check->plan->strings[index];
	struct rg_json_reader reader;

	rg_json_reader_init(&reader, text->text, text->bytes);
	if (rg_json_next(&reader) != RG_JSON_NUMBER || rg_json_next(&reader) != RG_JSON_END)
		return fail(check, RG_EINVAL, "\"%s\" is no number", text->text);
	return RG_OK;
}

static int check_block(struct check *check, struct rg_plan_block *block, uint32_t depth);

/* The checks that depend on the type, beyond those of the operands. */
static int check_special(struct check *check, struct rg_plan_statement *statement, uint32_t depth)
{
	int status;

	switch (statement->type) {
	case RG_STATEMENT_BREAK:
		if (statement->number < 0 || statement->number >= depth)
			return fail(check, RG_EINVAL,
				    "break %lld leaves the function: it is nested %u blocks deep",
				    (long long)statement->number, depth);
		return RG_OK;
	case RG_STATEMENT_MAKE_NUMBER_REF:
		status = check_string(check, statement->number);
		return status ? status : check_number_text(check, (uint32_t)statement->number);
	case RG_STATEMENT_SCAN:
		status = check_local(check, statement->key);
		return status ? status : check_local(check, statement->value_local);
	case RG_STATEMENT_CALL: return resolve_call(check, statement);
	case RG_STATEMENT_WITH:
		for (uint32_t i = 0; i < statement->path_count; i++) {
			if (statement->path[i].kind != RG_PLAN_STRING)
				return fail(check, RG_EINVAL, "path must hold string indices");
		}
		return RG_OK;
	case RG_STATEMENT_RESULT_SET_ADD:
		if (!check->is_entry)
			return fail(check, RG_EINVAL, "outside a plan");
		return RG_OK;
	case RG_STATEMENT_RETURN_LOCAL:
		if (check->is_entry)
			return fail(check, RG_EINVAL, "outside a function");
		return RG_OK;
	case RG_STATEMENT_IS_DEFINED:
	case RG_STATEMENT_IS_UNDEFINED:
		if (statement->a.kind != RG_PLAN_LOCAL)
			return fail(check, RG_EINVAL, "\"source\" must be a local");
		return RG_OK;
	default: return RG_OK;
	}
}

static int check_statement(struct check *check, struct rg_plan_statement *statement, uint32_t depth)
{
	int status = check_operand(check, statement->a);

	if (!status)
		status = check_operand(check, statement->b);
	if (!status)
		status = check_local(check, statement->target);
	if (!status)
		status = check_operands(check, statement->args, statement->arg_count);
	if (!status)
		status = check_operands(check, statement->path, statement->path_count);
	if (!status)
		status = check_special(check, statement, depth);
	for (uint32_t i = 0; i < statement->block_count && !status; i++)
		status = check_block(check, &statement->blocks[i], depth + 1);
	return status;
}

static int check_block(struct check *check, struct rg_plan_block *block, uint32_t depth)
{
	int status = RG_OK;

	if (depth > RG_PLAN_NESTING_MAX)
		return fail(check, RG_ELIMIT, "blocks nested more than %u deep",
			    RG_PLAN_NESTING_MAX);
	for (uint32_t i = 0; i < block->count && !status; i++) {
		check->statement = &block->statements[i];
		block->statements[i].id = check->plan->statement_count++;
		block->statements[i].leads = i == 0;
		status = check_statement(check, &block->statements[i], depth);
	}
	return status;
}

static int check_blocks(struct check *check, struct rg_plan_block *blocks, uint32_t count)
{
	int status = RG_OK;

	for (uint32_t i = 0; i < count && !status; i++)
		status = check_block(check, &blocks[i], 1);
	check->statement = NULL;
	return status;
}

static int check_function(struct check *check, struct rg_plan_function *function)
{
	int status;

	check->owner = &function->name;
	check->is_entry = false;
	check->frame_size = 2;
	if (function->param_count < 2 || function->param_count > RG_PLAN_ARGS_MAX)
		return fail(check, RG_EINVAL, "has %u parameters: input and data come first",
			    function->param_count);
	for (uint32_t i = 0; i < function->param_count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (function->params[i] == function->params[j])
				return fail(check, RG_EINVAL, "parameter local %u occurs twice",
					    function->params[i]);
		}
		if ((status = check_local(check, function->params[i])))
			return status;
	}
	status = check_blocks(check, function->blocks, function->block_count);
	function->frame_size = check->frame_size;
	return status;
}

static int check_entry(struct check *check, struct rg_plan_entry *entry)
{
	int status;

	check->owner = &entry->name;
	check->is_entry = true;
	check->frame_size = 2;
	status = check_blocks(check, entry->blocks, entry->block_count);
	entry->frame_size = check->frame_size;
	return status;
}

int rg_plan_check(struct rg_plan *plan, struct rg_error *err)
{
	struct check check = {.plan = plan, .err = err};
	int status = RG_OK;

	if (plan->string_count > INT32_MAX || plan->function_count > INT32_MAX / 4)
		return fail(&check, RG_ELIMIT, "too many strings or functions");
	for (uint32_t i = 0; i < plan->entry_count; i++) {
		if (!plan->entries[i].name.text)
			return fail(&check, RG_EINVAL, "plan %u has no name", i);
	}
	for (uint32_t i = 0; i < plan->function_count; i++) {
		if (!plan->functions[i].name.text)
			return fail(&check, RG_EINVAL, "function %u has no name", i);
	}
	for (uint32_t i = 0; i < plan->builtin_count; i++) {
		if (!plan->builtins[i].name.text)
			return fail(&check, RG_EINVAL, "built-in %u has no name", i);
	}
	status = enter_names(&check);
	for (uint32_t i = 0; i < plan->function_count && !status; i++)
		status = check_function(&check, &plan->functions[i]);
	for (uint32_t i = 0; i < plan->entry_count && !status; i++)
		status = check_entry(&check, &plan->entries[i]);
	free(check.names.slots);
	return status;
}

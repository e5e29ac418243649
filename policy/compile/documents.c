/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/documents.h"

#include <string.h>

enum local { LOCAL_INPUT, LOCAL_DATA, LOCAL_VALUE, LOCAL_BINDINGS, LOCAL_COUNT };

/* A rule as it is in the base document's world: "g0" is the generation without `with` on rules. */
static bool is_rule(const struct rg_plan_function *function)
{
	return function->param_count == 2 && function->path_count >= 2 &&
	       function->path[0].bytes == 2 && !memcmp(function->path[0].text, "g0", 2);
}

/* The number of the string "result", which is added when the plan has none. */
static bool find_result(struct rg_plan *plan, uint32_t *number)
{
	static const char result[] = "result";
	struct rg_plan_text *strings;

	for (uint32_t i = 0; i < plan->string_count; i++) {
		if (plan->strings[i].bytes == sizeof(result) - 1 &&
		    !memcmp(plan->strings[i].text, result, sizeof(result) - 1)) {
			*number = i;
			return true;
		}
	}
	strings = rg_arena_array(&plan->arena, plan->string_count + 1u, sizeof(*strings));
	if (!strings)
		return false;
	if (plan->string_count)
		memcpy(strings, plan->strings, plan->string_count * sizeof(*strings));
	strings[plan->string_count] = (struct rg_plan_text){result, sizeof(result) - 1};
	*number = plan->string_count++;
	plan->strings = strings;
	return true;
}

/* "/payments/deny" of ("g0", "payments", "deny"). */
static bool make_name(struct rg_plan *plan, const struct rg_plan_function *function,
		      struct rg_plan_text *name)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t room = 2;
	char *text;
	uint32_t n = 0;

	for (uint32_t i = 1; i < function->path_count; i++)
		room += 1 + 3 * (size_t)function->path[i].bytes;
	text = rg_arena_alloc(&plan->arena, room);
	if (!text)
		return false;
	for (uint32_t i = 1; i < function->path_count; i++) {
		text[n++] = '/';
		for (uint32_t j = 0; j < function->path[i].bytes; j++) {
			uint8_t c = (uint8_t)function->path[i].text[j];

			if (c > ' ' && c < 0x7f && c != '/' && c != '%' && c != '?') {
				text[n++] = (char)c;
				continue;
			}
			text[n++] = '%';
			text[n++] = hex[c >> 4];
			text[n++] = hex[c & 15];
		}
	}
	*name = (struct rg_plan_text){text, n};
	return true;
}

static struct rg_plan_operand local(uint32_t number)
{
	return (struct rg_plan_operand){RG_PLAN_LOCAL, number};
}

/* What `opa build` makes of the query `result = data.<rule>`: call, bind, add to the result set.
 * function NULL: the base document. */
static bool fill_entry(struct rg_plan *plan, struct rg_plan_entry *entry,
		       const struct rg_plan_function *function, uint32_t result)
{
	struct rg_plan_statement *statements = rg_arena_array(&plan->arena, 4, sizeof(*statements));
	struct rg_plan_operand *args = rg_arena_array(&plan->arena, 2, sizeof(*args));
	uint32_t count = 0;

	entry->blocks = rg_arena_array(&plan->arena, 1, sizeof(*entry->blocks));
	if (!statements || !args || !entry->blocks)
		return false;
	args[0] = local(LOCAL_INPUT);
	args[1] = local(LOCAL_DATA);
	if (function)
		statements[count++] =
			(struct rg_plan_statement){.type = RG_STATEMENT_CALL,
						   .callee_kind = RG_PLAN_CALL_FUNCTION,
						   .callee = (uint32_t)(function - plan->functions),
						   .name = function->name,
						   .args = args,
						   .arg_count = 2,
						   .target = LOCAL_VALUE};
	else
		statements[count++] = (struct rg_plan_statement){.type = RG_STATEMENT_ASSIGN_VAR,
								 .a = local(LOCAL_DATA),
								 .target = LOCAL_VALUE};
	statements[count++] = (struct rg_plan_statement){.type = RG_STATEMENT_MAKE_OBJECT,
							 .target = LOCAL_BINDINGS};
	statements[count++] = (struct rg_plan_statement){.type = RG_STATEMENT_OBJECT_INSERT,
							 .b = {RG_PLAN_STRING, result},
							 .a = local(LOCAL_VALUE),
							 .target = LOCAL_BINDINGS};
	statements[count++] = (struct rg_plan_statement){.type = RG_STATEMENT_RESULT_SET_ADD,
							 .a = local(LOCAL_BINDINGS)};
	statements[0].leads = true;
	for (uint32_t i = 0; i < count; i++) {
		statements[i].file = RG_PLAN_NO_FILE;
		statements[i].id = plan->statement_count++;
	}
	entry->blocks[0] = (struct rg_plan_block){statements, count};
	entry->block_count = 1;
	entry->frame_size = LOCAL_COUNT;
	return true;
}

int rg_documents_add(struct rg_plan *plan, struct rg_error *err)
{
	uint32_t count = plan->entry_count + 1, result;
	struct rg_plan_entry *entries;

	for (uint32_t i = 0; i < plan->function_count; i++)
		count += is_rule(&plan->functions[i]);
	entries = rg_arena_array(&plan->arena, count, sizeof(*entries));
	if (!entries || !find_result(plan, &result))
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	if (plan->entry_count)
		memcpy(entries, plan->entries, plan->entry_count * sizeof(*entries));
	plan->entries = entries;
	entries[plan->entry_count].name = (struct rg_plan_text){"/", 1};
	if (!fill_entry(plan, &entries[plan->entry_count++], NULL, result))
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < plan->function_count; i++) {
		const struct rg_plan_function *function = &plan->functions[i];

		if (!is_rule(function))
			continue;
		if (!make_name(plan, function, &entries[plan->entry_count].name) ||
		    !fill_entry(plan, &entries[plan->entry_count++], function, result))
			return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	return RG_OK;
}

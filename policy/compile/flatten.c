/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/flatten.h"

#include <string.h>

static bool is_break_1(const struct rg_plan_statement *statement)
{
	return statement->type == RG_STATEMENT_BREAK && statement->number == 1;
}

static bool is_simple(const struct rg_plan_statement *statement)
{
	return !statement->block_count && statement->type != RG_STATEMENT_BREAK &&
	       statement->type != RG_STATEMENT_RETURN_LOCAL;
}

/* The block whose statements, but for the last, may stand in place of the statement; NULL if the
 * pattern is another. */
static const struct rg_plan_block *straight_line(const struct rg_plan_statement *statement)
{
	const struct rg_plan_block *outer, *inner;

	if (statement->type != RG_STATEMENT_BLOCK || statement->block_count != 1)
		return NULL;
	outer = &statement->blocks[0];
	if (outer->count != 2 || outer->statements[0].type != RG_STATEMENT_BLOCK ||
	    outer->statements[0].block_count != 1 || !is_break_1(&outer->statements[1]))
		return NULL;
	inner = &outer->statements[0].blocks[0];
	if (!inner->count || !is_break_1(&inner->statements[inner->count - 1]))
		return NULL;
	for (uint32_t i = 0; i + 1 < inner->count; i++) {
		if (!is_simple(&inner->statements[i]))
			return NULL;
	}
	return inner;
}

static bool flatten_blocks(struct rg_plan *plan, struct rg_plan_block *blocks, uint32_t count);

static bool flatten_block(struct rg_plan *plan, struct rg_plan_block *block)
{
	struct rg_plan_statement *statements;
	uint32_t count = 0;

	for (uint32_t i = 0; i < block->count; i++) {
		struct rg_plan_statement *statement = &block->statements[i];
		const struct rg_plan_block *line;

		if (!flatten_blocks(plan, statement->blocks, statement->block_count))
			return false;
		line = straight_line(statement);
		count += line ? line->count - 1 : 1;
	}
	statements = rg_arena_array(&plan->arena, count, sizeof(*statements));
	if (!statements)
		return false;
	count = 0;
	for (uint32_t i = 0; i < block->count; i++) {
		const struct rg_plan_block *line = straight_line(&block->statements[i]);

		if (!line) {
			statements[count++] = block->statements[i];
			continue;
		}
		memcpy(statements + count, line->statements,
		       (line->count - 1) * sizeof(*statements));
		count += line->count - 1;
	}
	block->statements = statements;
	block->count = count;
	return true;
}

static bool flatten_blocks(struct rg_plan *plan, struct rg_plan_block *blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!flatten_block(plan, &blocks[i]))
			return false;
	}
	return true;
}

int rg_flatten(struct rg_plan *plan, struct rg_error *err)
{
	bool done = true;

	for (uint32_t i = 0; i < plan->function_count && done; i++)
		done = flatten_blocks(plan, plan->functions[i].blocks,
				      plan->functions[i].block_count);
	for (uint32_t i = 0; i < plan->entry_count && done; i++)
		done = flatten_blocks(plan, plan->entries[i].blocks, plan->entries[i].block_count);
	return done ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory while compiling");
}

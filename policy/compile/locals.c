/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/locals.h"

#include <stdlib.h>

/* Where a local was assigned last, in text order, and where a loop may carry it around. */
struct use {
	uint32_t assigned_at;	 /* position; 0: at entry */
	uint32_t assigned_block; /* 0: the function itself */
	uint32_t carried_loop;	 /* begin of the outermost open loop that read it before assigning it; 0: none */
};

struct scan {
	struct use *uses;
	uint8_t *flags;
	bool *open;		 /* by block number */
	uint32_t *loops;	 /* begins of the open loops, outermost first */
	uint32_t loop_count, block, block_count, position;
};

static bool loop_is_open(const struct scan *scan, uint32_t begin)
{
	for (uint32_t i = 0; i < scan->loop_count; i++) {
		if (scan->loops[i] == begin)
			return true;
	}
	return false;
}

static void read_local(struct scan *scan, uint32_t local)
{
	struct use *use = &scan->uses[local];

	if (!scan->open[use->assigned_block])
		scan->flags[local] |= RG_LOCAL_ESCAPING;
	if (use->carried_loop && loop_is_open(scan, use->carried_loop))
		return;
	for (uint32_t i = 0; i < scan->loop_count; i++) {
		if (scan->loops[i] > use->assigned_at) {
			use->carried_loop = scan->loops[i];
			break;
		}
	}
}

static void read_operand(struct scan *scan, struct rg_plan_operand operand)
{
	if (operand.kind == RG_PLAN_LOCAL)
		read_local(scan, operand.value);
}

static void assign(struct scan *scan, uint32_t local)
{
	struct use *use = &scan->uses[local];

	if (use->carried_loop && loop_is_open(scan, use->carried_loop))
		scan->flags[local] |= RG_LOCAL_ESCAPING;
	if (scan->flags[local] & RG_LOCAL_ASSIGNED)
		scan->flags[local] |= RG_LOCAL_ASSIGNED_TWICE;
	scan->flags[local] |= RG_LOCAL_ASSIGNED;
	use->assigned_at = scan->position;
	use->assigned_block = scan->block;
}

/* A container changed in place: the local is read, and the place matters. */
static void grow(struct scan *scan, uint32_t local)
{
	read_local(scan, local);
	if (scan->uses[local].assigned_block != scan->block)
		scan->flags[local] |= RG_LOCAL_BUILT_ELSEWHERE;
}

static void scan_block(struct scan *scan, const struct rg_plan_block *block,
		       const struct rg_plan_statement *loop);

static void scan_operands(struct scan *scan, const struct rg_plan_statement *statement)
{
	switch (statement->type) {
	case RG_STATEMENT_CALL:
	case RG_STATEMENT_CALL_DYNAMIC:
		for (uint32_t i = 0; i < statement->arg_count; i++)
			read_operand(scan, statement->args[i]);
		for (uint32_t i = 0; i < statement->path_count; i++)
			read_operand(scan, statement->path[i]);
		return;
	case RG_STATEMENT_DOT:
	case RG_STATEMENT_EQUAL:
	case RG_STATEMENT_NOT_EQUAL:
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
	case RG_STATEMENT_OBJECT_MERGE:
		read_operand(scan, statement->a);
		read_operand(scan, statement->b);
		return;
	case RG_STATEMENT_ARRAY_APPEND:
	case RG_STATEMENT_ASSIGN_VAR:
	case RG_STATEMENT_ASSIGN_VAR_ONCE:
	case RG_STATEMENT_IS_ARRAY:
	case RG_STATEMENT_IS_DEFINED:
	case RG_STATEMENT_IS_OBJECT:
	case RG_STATEMENT_IS_SET:
	case RG_STATEMENT_IS_UNDEFINED:
	case RG_STATEMENT_LEN:
	case RG_STATEMENT_RESULT_SET_ADD:
	case RG_STATEMENT_RETURN_LOCAL:
	case RG_STATEMENT_SCAN:
	case RG_STATEMENT_SET_ADD:
	case RG_STATEMENT_WITH:
		read_operand(scan, statement->a);
		return;
	default:
		return;
	}
}

static void scan_target(struct scan *scan, const struct rg_plan_statement *statement)
{
	switch (statement->type) {
	case RG_STATEMENT_ARRAY_APPEND:
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
	case RG_STATEMENT_SET_ADD:
		grow(scan, statement->target);
		return;
	case RG_STATEMENT_WITH:
		read_local(scan, statement->target);
		scan->flags[statement->target] |= RG_LOCAL_OVERRIDDEN;
		return;
	case RG_STATEMENT_ASSIGN_VAR_ONCE:
		read_local(scan, statement->target);
		assign(scan, statement->target);
		return;
	case RG_STATEMENT_ASSIGN_INT:
	case RG_STATEMENT_ASSIGN_VAR:
	case RG_STATEMENT_CALL:
	case RG_STATEMENT_CALL_DYNAMIC:
	case RG_STATEMENT_DOT:
	case RG_STATEMENT_LEN:
	case RG_STATEMENT_MAKE_ARRAY:
	case RG_STATEMENT_MAKE_NULL:
	case RG_STATEMENT_MAKE_NUMBER_INT:
	case RG_STATEMENT_MAKE_NUMBER_REF:
	case RG_STATEMENT_MAKE_OBJECT:
	case RG_STATEMENT_MAKE_SET:
	case RG_STATEMENT_OBJECT_MERGE:
	case RG_STATEMENT_RESET_LOCAL:
		assign(scan, statement->target);
		return;
	default:
		return;
	}
}

static void scan_statement(struct scan *scan, const struct rg_plan_statement *statement)
{
	scan->position++;
	scan_operands(scan, statement);
	scan_target(scan, statement);
	if (statement->type == RG_STATEMENT_SCAN) {
		scan->loops[scan->loop_count++] = scan->position;
		scan_block(scan, statement->blocks, statement);
		scan->loop_count--;
		return;
	}
	for (uint32_t i = 0; i < statement->block_count; i++)
		scan_block(scan, &statement->blocks[i], NULL);
}

static void scan_block(struct scan *scan, const struct rg_plan_block *block,
		       const struct rg_plan_statement *loop)
{
	uint32_t outer = scan->block;

	scan->block = scan->block_count++;
	scan->open[scan->block] = true;
	if (loop) {
		scan->position++;
		assign(scan, loop->key);
		assign(scan, loop->value_local);
	}
	for (uint32_t i = 0; i < block->count; i++)
		scan_statement(scan, &block->statements[i]);
	scan->open[scan->block] = false;
	scan->block = outer;
}

static uint32_t count_blocks(const struct rg_plan_block *blocks, uint32_t block_count)
{
	uint32_t count = block_count;

	for (uint32_t i = 0; i < block_count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++)
			count += count_blocks(blocks[i].statements[j].blocks,
					      blocks[i].statements[j].block_count);
	}
	return count;
}

int rg_locals_scan(struct rg_unit *unit, const struct rg_plan_block *blocks, uint32_t block_count,
		   uint32_t frame_size, uint8_t *flags)
{
	struct rg_arena arena = {0};
	struct scan scan = {.flags = flags, .block_count = 1};
	uint32_t blocks_in_all = count_blocks(blocks, block_count) + 1;

	scan.uses = rg_arena_array(&arena, frame_size, sizeof(*scan.uses));
	scan.open = rg_arena_array(&arena, blocks_in_all, sizeof(*scan.open));
	scan.loops = rg_arena_array(&arena, blocks_in_all, sizeof(*scan.loops));
	if (!scan.uses || !scan.open || !scan.loops) {
		rg_arena_free(&arena);
		return rg_unit_no_memory(unit);
	}
	scan.open[0] = true;
	for (uint32_t i = 0; i < block_count; i++)
		scan_block(&scan, &blocks[i], NULL);
	rg_arena_free(&arena);
	for (uint32_t i = 0; i < frame_size; i++) {
		if ((flags[i] & RG_LOCAL_OVERRIDDEN) && (flags[i] & RG_LOCAL_ASSIGNED))
			return rg_unit_fail(unit, RG_EINVAL,
					    "local %u is both assigned and overridden by With", i);
	}
	return RG_OK;
}

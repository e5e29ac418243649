/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/locals.h"

#include <stdlib.h>

/* One assignment in the text. Statement 0 of a local is its state at entry. */
struct assignment {
	struct assignment *before;	     /* the previous one to the same local */
	struct rg_plan_statement *statement; /* NULL: at entry */
	uint8_t bit;			     /* RG_*_ESCAPES: which of the statement's locals */
	uint32_t position, block;
};

struct use {
	struct assignment *last; /* NULL: only the state at entry */
	uint32_t
		carried_loop; /* begin of the outermost open loop that read it before assigning it; 0: none */
};

struct scan {
	struct rg_unit *unit;
	struct rg_arena arena;
	struct use *uses;
	uint8_t *flags;
	bool *open;	 /* by block number */
	uint32_t *loops; /* begins of the open loops, outermost first */
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

static void mark_escaping(struct scan *scan, uint32_t local, struct assignment *assignment)
{
	if (assignment->statement->assignment & assignment->bit)
		return;
	assignment->statement->assignment |= assignment->bit;
	scan->flags[local] |=
		scan->flags[local] & RG_LOCAL_STORED ? RG_LOCAL_STORED_TWICE : RG_LOCAL_STORED;
}

/* All assignments that may be the last at this point: back to one that there is no way around. */
static void mark_reaching(struct scan *scan, uint32_t local)
{
	for (struct assignment *at = scan->uses[local].last; at; at = at->before) {
		mark_escaping(scan, local, at);
		if (scan->open[at->block])
			break;
	}
}

static void read_local(struct scan *scan, uint32_t local)
{
	struct use *use = &scan->uses[local];
	uint32_t assigned_at = use->last ? use->last->position : 0;

	if (use->last && !scan->open[use->last->block])
		mark_reaching(scan, local);
	if (use->carried_loop && loop_is_open(scan, use->carried_loop))
		return;
	use->carried_loop = 0;
	for (uint32_t i = 0; i < scan->loop_count; i++) {
		if (scan->loops[i] > assigned_at) {
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

static void assign(struct scan *scan, uint32_t local, struct rg_plan_statement *statement,
		   uint8_t bit)
{
	struct use *use = &scan->uses[local];
	struct assignment *assignment = rg_arena_alloc(&scan->arena, sizeof(*assignment));

	if (!assignment) {
		rg_unit_no_memory(scan->unit);
		return;
	}
	*assignment = (struct assignment){use->last, statement, bit, scan->position, scan->block};
	if (use->carried_loop && loop_is_open(scan, use->carried_loop)) {
		mark_reaching(scan, local);
		mark_escaping(scan, local, assignment);
	}
	use->last = assignment;
	scan->flags[local] |= RG_LOCAL_ASSIGNED;
}

/* A container changed in place: the local is read, and the place matters. */
static void grow(struct scan *scan, uint32_t local)
{
	struct assignment *last = scan->uses[local].last;

	read_local(scan, local);
	for (; last && last->block != scan->block; last = last->before) {
		last->statement->assignment |= RG_BUILT_ELSEWHERE;
		if (scan->open[last->block])
			break;
	}
}

static void scan_block(struct scan *scan, struct rg_plan_block *block,
		       struct rg_plan_statement *loop);

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
	case RG_STATEMENT_WITH: read_operand(scan, statement->a); return;
	default: return;
	}
}

static void scan_target(struct scan *scan, struct rg_plan_statement *statement)
{
	switch (statement->type) {
	case RG_STATEMENT_ARRAY_APPEND:
	case RG_STATEMENT_OBJECT_INSERT:
	case RG_STATEMENT_OBJECT_INSERT_ONCE:
	case RG_STATEMENT_SET_ADD: grow(scan, statement->target); return;
	case RG_STATEMENT_WITH:
		read_local(scan, statement->target);
		scan->flags[statement->target] |= RG_LOCAL_OVERRIDDEN;
		return;
	case RG_STATEMENT_ASSIGN_VAR_ONCE:
		read_local(scan, statement->target);
		assign(scan, statement->target, statement, RG_TARGET_ESCAPES);
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
		assign(scan, statement->target, statement, RG_TARGET_ESCAPES);
		return;
	default: return;
	}
}

static void scan_statement(struct scan *scan, struct rg_plan_statement *statement)
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

static void scan_block(struct scan *scan, struct rg_plan_block *block,
		       struct rg_plan_statement *loop)
{
	uint32_t outer = scan->block;

	scan->block = scan->block_count++;
	scan->open[scan->block] = true;
	if (loop) {
		scan->position++;
		assign(scan, loop->key, loop, RG_KEY_ESCAPES);
		assign(scan, loop->value_local, loop, RG_VALUE_ESCAPES);
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

int rg_locals_scan(struct rg_unit *unit, struct rg_plan_block *blocks, uint32_t block_count,
		   uint32_t frame_size, uint8_t *flags)
{
	struct scan scan = {.unit = unit, .flags = flags, .block_count = 1};
	uint32_t blocks_in_all = count_blocks(blocks, block_count) + 1;

	scan.uses = rg_arena_array(&scan.arena, frame_size, sizeof(*scan.uses));
	scan.open = rg_arena_array(&scan.arena, blocks_in_all, sizeof(*scan.open));
	scan.loops = rg_arena_array(&scan.arena, blocks_in_all, sizeof(*scan.loops));
	if (!scan.uses || !scan.open || !scan.loops) {
		rg_arena_free(&scan.arena);
		return rg_unit_no_memory(unit);
	}
	scan.open[0] = true;
	for (uint32_t i = 0; i < block_count; i++)
		scan_block(&scan, &blocks[i], NULL);
	rg_arena_free(&scan.arena);
	for (uint32_t i = 0; i < frame_size && !unit->status; i++) {
		if ((flags[i] & RG_LOCAL_OVERRIDDEN) && (flags[i] & RG_LOCAL_ASSIGNED))
			rg_unit_fail(unit, RG_EINVAL,
				     "local %u is both assigned and overridden by With", i);
	}
	return unit->status;
}

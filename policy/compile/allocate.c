/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A register's life is the run of instructions from its first to its last occurrence. All jumps but
 * LOOP go forward, so nothing outside that run can read it. A life that enters a loop from before
 * lasts to the loop's end; the life of a home
 * (which a loop may carry from turn to turn) that occurs in a loop covers the whole loop. A
 * register that must be undefined when the function begins lives from the beginning.
 */
#include "policy/compile/allocate.h"

#include <stdlib.h>

#include "policy/compile/typed.h"

#define DROPPED UINT32_MAX

struct life {
	uint32_t first,
		last; /* instruction numbers; first is UINT32_MAX for a register that does not occur */
};

struct allocation {
	struct rg_lower *l;
	struct rg_instruction *code;
	uint32_t count;
	uint32_t *reads;    /* a register */
	uint32_t *moved_to; /* an instruction: its number after dropping, or DROPPED */
	uint32_t *loop_end; /* an instruction: of a loop's NEXT, the number of its LOOP; else 0 */
	struct life *lives; /* a register */
	uint32_t *frame;    /* a register: its place */
	uint32_t frame_size;
	uint32_t *
		open_loops; /* while lives are found: heads of the loops around the instruction, outermost first */
	uint32_t open_count;
};

typedef void (*visit_register)(struct allocation *a, uint32_t *number, uint32_t at, bool is_read);

static void visit_operand(struct allocation *a, uint32_t *operand, uint32_t at,
			  visit_register visit)
{
	if (!(*operand & RG_OPERAND_CONSTANT))
		visit(a, operand, at, true);
}

/* Every register that instruction `at` names, reads first. */
static void visit_instruction(struct allocation *a, uint32_t at, visit_register visit)
{
	struct rg_instruction *instruction = &a->code[at];
	const struct rg_op_shape *shape = &rg_op_shapes[instruction->op];
	uint32_t count = rg_operand_count(instruction);

	if (shape->a == 'O' || shape->a == 'R')
		visit_operand(a, &instruction->a, at, visit);
	if (shape->b == 'O')
		visit_operand(a, &instruction->b, at, visit);
	for (uint32_t i = 0; i < count; i++)
		visit_operand(a, RG_VECTOR_AT(a->l->operands, uint32_t, instruction->c + i), at,
			      visit);
	if (shape->b == 'W')
		visit(a, &instruction->b, at, false);
	if (shape->dst != '-')
		visit(a, &instruction->dst, at, shape->dst == 'E');
	if (instruction->op == RG_OP_NEXT) /* it moves the iterator on */
		visit(a, &instruction->a, at, true);
}

/* ---- dropping ---- */

static void count_read(struct allocation *a, uint32_t *number, uint32_t at, bool is_read)
{
	if (is_read)
		a->reads[*number]++;
}

static void uncount_read(struct allocation *a, uint32_t *number, uint32_t at, bool is_read)
{
	if (is_read)
		a->reads[*number]--;
}

/* Backward, so that dropping a move may make what it moved droppable. */
static void drop_unread(struct allocation *a)
{
	const bool *droppable = a->l->droppable.items;

	for (uint32_t i = 0; i < a->count; i++)
		visit_instruction(a, i, count_read);
	for (uint32_t i = a->count; i-- > 0;) {
		if (!droppable[i] || a->reads[a->code[i].dst])
			continue;
		visit_instruction(a, i, uncount_read);
		a->moved_to[i] = DROPPED;
	}
}

/* A jump to a jump goes where that one goes. Chains are followed from their end: jumps go
 * forward. */
static void shorten_jumps(struct allocation *a)
{
	for (uint32_t i = a->count; i-- > 0;) {
		struct rg_instruction *instruction = &a->code[i];
		uint32_t to = instruction->target;

		if (to == RG_NO_TARGET || a->moved_to[i] == DROPPED ||
		    instruction->op == RG_OP_LOOP)
			continue;
		while (to < a->count &&
		       (a->moved_to[to] == DROPPED || a->code[to].op == RG_OP_JUMP))
			to = a->moved_to[to] == DROPPED ? to + 1 : a->code[to].target;
		instruction->target = to;
	}
}

/* A jump to the next instruction that stays is nothing. */
static void drop_idle_jumps(struct allocation *a)
{
	for (uint32_t i = a->count; i-- > 0;) {
		uint32_t next = i + 1;

		if (a->moved_to[i] == DROPPED || a->code[i].op != RG_OP_JUMP)
			continue;
		while (next < a->count && a->moved_to[next] == DROPPED)
			next++;
		if (a->code[i].target == next)
			a->moved_to[i] = DROPPED;
	}
}

/* Instructions that no way leads to: after shortening, jumps that were jumped to. */
static void drop_unreachable(struct allocation *a, bool *reached)
{
	reached[0] = true;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct rg_instruction *instruction = &a->code[i];
		bool stays = a->moved_to[i] != DROPPED, ends;

		if (!reached[i]) {
			a->moved_to[i] = DROPPED;
			continue;
		}
		ends = stays && (instruction->op == RG_OP_JUMP || instruction->op == RG_OP_LOOP ||
				 instruction->op == RG_OP_RETURN ||
				 instruction->op == RG_OP_RETURN_UNDEFINED);
		if (stays && instruction->target != RG_NO_TARGET && instruction->target < a->count)
			reached[instruction->target] = true;
		if (!ends && i + 1 < a->count)
			reached[i + 1] = true;
	}
}

static void compact(struct allocation *a)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t to = kept;

		if (a->moved_to[i] != DROPPED)
			a->code[kept++] = a->code[i];
		a->moved_to[i] = to;
	}
	for (uint32_t i = 0; i < kept; i++) {
		if (a->code[i].target != RG_NO_TARGET)
			a->code[i].target = a->moved_to[a->code[i].target];
	}
	a->count = kept;
}

/* ---- lives ---- */

static void live_at(struct allocation *a, uint32_t *number, uint32_t at, bool is_read)
{
	struct life *life = &a->lives[*number];

	if (life->first == UINT32_MAX)
		life->first = at;
	if (at > life->last)
		life->last = at;
}

static bool is_home(const struct allocation *a, uint32_t number)
{
	return *RG_VECTOR_AT(a->l->is_home, bool, number);
}

static void live_in_loops(struct allocation *a, uint32_t *number, uint32_t at, bool is_read)
{
	struct life *life = &a->lives[*number];

	for (uint32_t i = 0; i < a->open_count; i++) {
		uint32_t head = a->open_loops[i], end = a->loop_end[head];

		if (is_home(a, *number) || life->first < head) {
			if (life->first > head)
				life->first = head;
			if (life->last < end)
				life->last = end;
			return; /* the outermost loop covers the inner ones */
		}
	}
}

static int find_lives(struct allocation *a)
{
	a->open_loops = calloc(a->count + 1, sizeof(*a->open_loops));
	if (!a->open_loops)
		return rg_unit_no_memory(a->l->unit);
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->code[i].op == RG_OP_LOOP)
			a->loop_end[a->code[i].target] = i;
		visit_instruction(a, i, live_at);
	}
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->loop_end[i])
			a->open_loops[a->open_count++] = i;
		visit_instruction(a, i, live_in_loops);
		while (a->open_count && a->loop_end[a->open_loops[a->open_count - 1]] == i)
			a->open_count--;
	}
	free(a->open_loops);
	return RG_OK;
}

/* ---- places in the frame ---- */

/* Registers by first occurrence, as a linked list an instruction; places come back by last
 * occurrence. */
static int assign_frame(struct allocation *a)
{
	uint32_t registers = a->l->register_count, free_count = 0;
	uint32_t *starts = malloc((a->count + 1) * sizeof(*starts));
	uint32_t *ends = malloc((a->count + 1) * sizeof(*ends));
	uint32_t *next_start = malloc((registers + 1) * sizeof(*next_start));
	uint32_t *next_end = malloc((registers + 1) * sizeof(*next_end));
	uint32_t *spare = malloc((registers + 1) * sizeof(*spare));

	if (!starts || !ends || !next_start || !next_end || !spare) {
		rg_unit_no_memory(a->l->unit);
		goto cleanup;
	}
	for (uint32_t i = 0; i <= a->count; i++)
		starts[i] = ends[i] = UINT32_MAX;
	for (uint32_t i = registers; i-- > a->l->param_count;) {
		struct life *life = &a->lives[i];

		if (life->first == UINT32_MAX)
			continue;
		if (*RG_VECTOR_AT(a->l->at_entry, bool, i))
			life->first = 0;
		next_start[i] = starts[life->first];
		starts[life->first] = i;
		next_end[i] = ends[life->last];
		ends[life->last] = i;
	}
	a->frame_size = a->l->param_count;
	for (uint32_t i = 0; i < a->l->param_count; i++)
		a->frame[i] = i;
	for (uint32_t i = 0; i < a->count; i++) {
		for (uint32_t r = starts[i]; r != UINT32_MAX; r = next_start[r])
			a->frame[r] = free_count ? spare[--free_count] : a->frame_size++;
		for (uint32_t r = ends[i]; r != UINT32_MAX; r = next_end[r])
			spare[free_count++] = a->frame[r];
	}
	if (a->frame_size > RG_IMAGE_FRAME_MAX)
		rg_unit_fail(a->l->unit, RG_ELIMIT,
			     "a function needs %u registers; the limit is %u", a->frame_size,
			     RG_IMAGE_FRAME_MAX);
cleanup:
	free(starts);
	free(ends);
	free(next_start);
	free(next_end);
	free(spare);
	return a->l->unit->status;
}

/* Operand lists belong to one instruction each, so every one is rewritten once; NEXT's iterator
 * is visited twice. */
static void place_register(struct allocation *a, uint32_t *number, uint32_t at, bool is_read)
{
	*number = a->frame[*number];
}

static void place_instruction(struct allocation *a, uint32_t at)
{
	struct rg_instruction *instruction = &a->code[at];

	if (instruction->op == RG_OP_NEXT) {
		instruction->a = a->frame[instruction->a];
		instruction->b = a->frame[instruction->b];
		instruction->dst = a->frame[instruction->dst];
		return;
	}
	visit_instruction(a, at, place_register);
}

/* ---- the function ---- */

static void append(struct allocation *a, uint32_t number)
{
	struct rg_unit *unit = a->l->unit;
	struct rg_image_function *function =
		RG_VECTOR_AT(unit->image_functions, struct rg_image_function, number);

	function->code = unit->instructions.count;
	function->code_count = a->count;
	function->frame_size = a->frame_size;
	function->param_count = (uint16_t)a->l->param_count;
	for (uint32_t i = 0; i < a->count; i++) {
		struct rg_instruction *to = rg_vector_add(unit, &unit->instructions, sizeof(*to));
		uint32_t operands = rg_operand_count(&a->code[i]), first = unit->operands.count;

		if (!to)
			return;
		*to = a->code[i];
		if (to->op == RG_OP_LOOP)
			to->c = i - to->target + 1;
		for (uint32_t j = 0; j < operands; j++) {
			uint32_t *operand = rg_vector_add(unit, &unit->operands, sizeof(*operand));

			if (!operand)
				return;
			*operand = *RG_VECTOR_AT(a->l->operands, uint32_t, to->c + j);
		}
		if (operands || rg_op_shapes[to->op].cd == 'G' || rg_op_shapes[to->op].cd == 'P')
			to->c = first;
	}
}

int rg_allocate_function(struct rg_lower *l, uint32_t number)
{
	struct allocation a = {.l = l, .code = l->code.items, .count = l->code.count};
	uint32_t registers = l->register_count;
	bool *reached;

	a.reads = calloc(registers + 1, sizeof(*a.reads));
	a.moved_to = calloc(a.count + 1, sizeof(*a.moved_to));
	a.loop_end = calloc(a.count + 1, sizeof(*a.loop_end));
	a.lives = calloc(registers + 1, sizeof(*a.lives));
	a.frame = calloc(registers + 1, sizeof(*a.frame));
	reached = calloc(a.count + 1, sizeof(*reached));
	if (!a.reads || !a.moved_to || !a.loop_end || !a.lives || !a.frame || !reached) {
		rg_unit_no_memory(l->unit);
		goto cleanup;
	}
	for (uint32_t i = 0; i < registers; i++)
		a.lives[i].first = UINT32_MAX;
	drop_unread(&a);
	shorten_jumps(&a);
	drop_unreachable(&a, reached);
	drop_idle_jumps(&a);
	compact(&a);
	rg_typed_keep(l, number, a.code, a.count);
	if (find_lives(&a) || assign_frame(&a))
		goto cleanup;
	for (uint32_t i = 0; i < a.count; i++)
		place_instruction(&a, i);
	append(&a, number);
cleanup:
	free(a.reads);
	free(a.moved_to);
	free(a.loop_end);
	free(a.lives);
	free(a.frame);
	free(reached);
	return l->unit->status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps to a typed program: what nobody reads falls away, jumps are shortened, bits get
 * their order. See typed.h. */
#include <stdlib.h>
#include <string.h>

#include "policy/compile/typed_lay.h"
#include "policy/compile/typed_left.h"
#include "policy/compile/typed_made.h"
#include "policy/eval/eval.h"

#define APART_MAX      32u	  /* texts of which each is compared with each */
#define ALIKE_WORK_MAX (1u << 24) /* comparisons to find texts that may be equal */

/* Does it depend on nothing, or on constants alone, and never give up? It is done once for many requests. */
static bool is_constant(const struct rg_typed_instruction *instruction, const bool *constant)
{
	if (instruction->op == RG_TYPED_OP_CONSTANT)
		return true;
	return instruction->op == RG_TYPED_OP_REAL && constant[instruction->a];
}

/* The front, with what no request changes first. */
static void gather_front(struct rg_typed_laying *laying)
{
	const struct rg_vector *front = &laying->t->front;
	bool constant[RG_TYPED_SLOTS_MADE_MAX] = {false};
	uint32_t at = 0;

	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < front->count; i++) {
			const struct rg_typed_instruction *instruction =
				RG_VECTOR_AT(*front, struct rg_typed_instruction, i);

			constant[instruction->dst] = is_constant(instruction, constant);
			if (constant[instruction->dst] == !turn)
				laying->code[at++] = *instruction;
		}
		if (!turn)
			laying->constant_count = at;
	}
}

/* Does the instruction load a field, and say how far the block must reach for it? */
static bool loads_extent(const struct rg_typed_instruction *instruction)
{
	return rg_typed_shapes[instruction->op].target == 'E';
}

/* Up to where each request has a block: no load there need ask. */
static void settle_block(struct rg_typed_laying *laying)
{
	const struct rg_vector *fields = &laying->t->unit->fields;
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *load = &laying->code[i];

		if (loads_extent(load) &&
		    !RG_VECTOR_AT(*fields, struct rg_image_field, load->a)->since_version &&
		    load->target > bytes)
			bytes = load->target;
	}
	for (uint32_t i = 0; i < laying->count; i++) {
		if (loads_extent(&laying->code[i]) && laying->code[i].target <= bytes)
			laying->code[i].target = 0;
	}
	laying->program->block_bytes = bytes;
}

/* Front and body, one behind the other. */
static bool gather(struct rg_typed_laying *laying)
{
	struct rg_typed *t = laying->t;
	uint32_t front = t->front.count;

	laying->count = front + t->body.count;
	laying->code = calloc(laying->count + 1, sizeof(*laying->code));
	laying->kept = calloc(laying->count + 1, sizeof(*laying->kept));
	laying->moved_to = calloc(laying->count + 1, sizeof(*laying->moved_to));
	if (!laying->code || !laying->kept || !laying->moved_to) {
		rg_unit_no_memory(t->unit);
		return false;
	}
	gather_front(laying);
	memcpy(laying->code + front, t->body.items, t->body.count * sizeof(*laying->code));
	for (uint32_t i = front; i < laying->count; i++) {
		if (rg_typed_is_jump(&laying->code[i]))
			laying->code[i].target += front;
	}
	settle_block(laying);
	return true;
}

/* From the end: jumps to jumps go on at once. */
static void shorten_jumps(struct rg_typed_laying *laying)
{
	for (uint32_t i = laying->count; i-- > 0;) {
		struct rg_typed_instruction *instruction = &laying->code[i];

		if (rg_typed_is_jump(instruction) &&
		    laying->code[instruction->target].op == RG_TYPED_OP_JUMP)
			instruction->target = laying->code[instruction->target].target;
	}
}

/* What control can come to. False if that is not the end. */
static bool keep_reachable(struct rg_typed_laying *laying)
{
	laying->kept[0] = true;
	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];

		if (!laying->kept[i])
			continue;
		if (rg_typed_is_jump(instruction))
			laying->kept[instruction->target] = true;
		if (instruction->op != RG_TYPED_OP_JUMP && instruction->op != RG_TYPED_OP_GIVE_UP &&
		    instruction->op != RG_TYPED_OP_END)
			laying->kept[i + 1] = true;
	}
	return laying->kept[laying->count - 1];
}

/* Has it no effect but the slot it writes? Arithmetic gives up where a slot cannot hold what there is; these two where there
 * is something else, whoever asks for it. */
static bool only_writes(const struct rg_typed_instruction *instruction)
{
	return rg_typed_shapes[instruction->op].dst == 'S' && !rg_typed_is_jump(instruction) &&
	       instruction->op != RG_TYPED_OP_COLUMN_TYPED &&
	       instruction->op != RG_TYPED_OP_SET_SUM;
}

static void count_reads(const struct rg_typed_instruction *instruction, uint32_t *reads,
			uint32_t by)
{
	const struct rg_typed_shape *shape = &rg_typed_shapes[instruction->op];

	if (shape->a == 'S')
		reads[instruction->a] += by;
	if (shape->b == 'S')
		reads[instruction->b] += by;
}

/* Slots are read behind where they are written, so one way back finds all that nobody reads. */
static void drop_unread(struct rg_typed_laying *laying)
{
	uint32_t reads[RG_TYPED_SLOTS_MADE_MAX] = {0};

	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		if (rg_typed_has_slot(&laying->program->roles[role]))
			reads[laying->program->roles[role].at]++;
	}
	for (uint32_t i = 0; i < laying->count; i++) {
		if (laying->kept[i])
			count_reads(&laying->code[i], reads, 1);
	}
	for (uint32_t i = laying->count; i-- > 0;) {
		if (!laying->kept[i] || !only_writes(&laying->code[i]) ||
		    reads[laying->code[i].dst])
			continue;
		laying->kept[i] = false;
		count_reads(&laying->code[i], reads, UINT32_MAX);
	}
}

/* The guard that holds just where this one does not, and is as certain; RG_TYPED_OP_COUNT if
 * there is none. */
static uint8_t opposite(uint8_t op)
{
	static const uint8_t pairs[][2] = {
		{RG_TYPED_OP_IF_DEFINED, RG_TYPED_OP_IF_UNDEFINED},
		{RG_TYPED_OP_IF_REAL_DEFINED, RG_TYPED_OP_IF_REAL_UNDEFINED},
		{RG_TYPED_OP_IF_EQ, RG_TYPED_OP_IF_NE},
		{RG_TYPED_OP_IF_LT, RG_TYPED_OP_IF_GE},
		{RG_TYPED_OP_IF_LE, RG_TYPED_OP_IF_GT},
		{RG_TYPED_OP_IF_EQ_NUMBER, RG_TYPED_OP_IF_NE_NUMBER},
		{RG_TYPED_OP_IF_LT_NUMBER, RG_TYPED_OP_IF_GE_NUMBER},
		{RG_TYPED_OP_IF_LE_NUMBER, RG_TYPED_OP_IF_GT_NUMBER},
		{RG_TYPED_OP_IF_REAL_EQ, RG_TYPED_OP_IF_REAL_NE},
		{RG_TYPED_OP_IF_REAL_LT, RG_TYPED_OP_IF_REAL_GE},
		{RG_TYPED_OP_IF_REAL_LE, RG_TYPED_OP_IF_REAL_GT},
		{RG_TYPED_OP_IF_IN_MASK, RG_TYPED_OP_IF_NOT_IN_MASK},
		{RG_TYPED_OP_IF_FOUND, RG_TYPED_OP_IF_NOT_FOUND},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (pairs[i][0] == op)
			return pairs[i][1];
		if (pairs[i][1] == op)
			return pairs[i][0];
	}
	return RG_TYPED_OP_COUNT;
}

/* Does some jump lead to the instruction, or to what falls away before it? */
static bool is_jumped_to(const struct rg_typed_laying *laying, const bool *is_target, uint32_t at)
{
	do {
		if (is_target[at])
			return true;
	} while (at-- > 0 && !laying->kept[at]);
	return false;
}

/* A guard over a jump that nobody else comes to is the opposite guard. False when memory is out. */
static bool turn_guards(struct rg_typed_laying *laying)
{
	bool *is_target = calloc(laying->count + 1, sizeof(*is_target));

	if (!is_target) {
		rg_unit_no_memory(laying->t->unit);
		return false;
	}
	for (uint32_t i = 0; i < laying->count; i++) {
		if (laying->kept[i] && rg_typed_is_jump(&laying->code[i]))
			is_target[laying->code[i].target] = true;
	}
	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *guard = &laying->code[i];
		uint32_t jump = rg_typed_next_kept(laying, i);

		if (!laying->kept[i] || !rg_typed_is_jump(guard) ||
		    opposite(guard->op) == RG_TYPED_OP_COUNT || jump >= laying->count ||
		    laying->code[jump].op != RG_TYPED_OP_JUMP || guard->target <= jump ||
		    guard->target > rg_typed_next_kept(laying, jump) ||
		    is_jumped_to(laying, is_target, jump))
			continue;
		guard->op = opposite(guard->op);
		guard->target = laying->code[jump].target;
		laying->kept[jump] = false;
	}
	free(is_target);
	return true;
}

/* A jump, or a guard, over nothing. */
static void drop_idle_jumps(struct rg_typed_laying *laying)
{
	for (uint32_t i = laying->count; i-- > 0;) {
		if (laying->kept[i] && rg_typed_is_jump(&laying->code[i]) &&
		    rg_typed_shapes[laying->code[i].op].dst == '-' &&
		    laying->code[i].target <= rg_typed_next_kept(laying, i))
			laying->kept[i] = false;
	}
}

static void compact(struct rg_typed_laying *laying)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < laying->count; i++) {
		laying->moved_to[i] = kept;
		if (i == laying->constant_count)
			laying->program->constant_count = kept;
		if (laying->kept[i])
			laying->code[kept++] = laying->code[i];
	}
	for (uint32_t i = 0; i < kept; i++) {
		if (rg_typed_is_jump(&laying->code[i]))
			laying->code[i].target = laying->moved_to[laying->code[i].target];
	}
	laying->count = kept;
}

/* Only what is kept so far, from now on: the later steps take time and room by instruction. */
static void gather_kept(struct rg_typed_laying *laying)
{
	compact(laying);
	laying->constant_count = laying->program->constant_count;
	for (uint32_t i = 0; i < laying->count; i++)
		laying->kept[i] = true;
	laying->kept[laying->count] = false;
}

/* ---- bits in Rego's order ---- */

/* Where the texts of sets stand. */
struct texts {
	uint32_t count, bit_count;
	int64_t *bit;	  /* a text as discovered: its bit, or -1: only tables add it */
	int64_t *rank;	  /* a bit: its place in Rego's order */
	int64_t *reasons; /* a place in Rego's order */
	int64_t *bit_reasons;
	int64_t *alike, *bit_alike; /* as image/typed.h says of `alike` */
	bool has_alike;
};

/* Mark the texts that instructions name: bit 0. False: there are sums, which may ask for all. */
static bool mark_named(const struct rg_typed_laying *laying, int64_t *bit)
{
	bool has_sums = false;

	for (uint32_t i = 0; i < laying->count; i++) {
		const struct rg_typed_instruction *instruction = &laying->code[i];

		if (instruction->op == RG_TYPED_OP_SET_ADD ||
		    instruction->op == RG_TYPED_OP_IF_MEMBER)
			bit[instruction->number] = 0;
		has_sums |= instruction->op == RG_TYPED_OP_SET_SUM;
	}
	return !has_sums;
}

/* The id of the reason that a member is, as decide.c finds it; 0: it is none. */
static int64_t reason_of(const struct rg_unit *unit, struct rg_heap *heap, struct rg_value member)
{
	struct rg_value text = rg_eval_reason_text(heap, member), id;

	if (!rg_is_defined(text))
		return 0;
	id = rg_object_get(heap, unit->reasons, text);
	return rg_is_defined(id) ? id.i : RG_REASON_OTHER;
}

/* A text that is made and may be any of several reasons. */
static bool is_doubtful_reason(const struct rg_unit *unit, struct rg_heap *heap,
			       struct rg_value member)
{
	struct rg_value text = rg_eval_reason_text(heap, member);

	return rg_is_defined(text) && rg_typed_is_made(heap, text) &&
	       !rg_typed_is_no_name(heap, unit->reasons, text);
}

static bool are_near(struct rg_typed *t, uint32_t a, uint32_t b)
{
	struct rg_heap *heap = &t->unit->heap;

	return rg_typed_are_near(heap, rg_object_at(heap, t->bits, a).key,
				 rg_object_at(heap, t->bits, b).key);
}

/* Are the texts first .. last all apart, and in this order but for reasons without a name? */
static bool are_apart(struct rg_typed *t, const struct texts *texts, uint32_t first, uint32_t last)
{
	struct rg_heap *heap = &t->unit->heap;

	if (last - first >= APART_MAX)
		return false;
	for (uint32_t i = first; i <= last; i++) {
		for (uint32_t j = first; j < i; j++) {
			bool in_order = texts->reasons[i] != RG_REASON_OTHER ||
					texts->reasons[j] != RG_REASON_OTHER;

			if (!rg_typed_are_apart(heap, rg_object_at(heap, t->bits, j).key,
						rg_object_at(heap, t->bits, i).key, in_order))
				return false;
		}
	}
	return true;
}

/* What the made text i may be equal to lies around it in Rego's order. Adds to *work what it took. */
static void find_alike(struct rg_typed *t, struct texts *texts, uint32_t i, int64_t *groups,
		       uint64_t *work)
{
	uint32_t first = i, last = i;
	int64_t group = 0;

	while (first && are_near(t, first - 1, i))
		first--;
	while (last + 1 < texts->count && are_near(t, i, last + 1))
		last++;
	*work += last - first;
	if (first == last || are_apart(t, texts, first, last))
		return;
	for (uint32_t j = first; j <= last && !group; j++)
		group = texts->alike[j] >> 1;
	if (!group)
		group = ++*groups;
	for (uint32_t j = first; j <= last; j++)
		texts->alike[j] = 2 * group | (texts->alike[j] & 1);
}

static void find_all_alike(struct rg_typed *t, struct texts *texts)
{
	struct rg_heap *heap = &t->unit->heap;
	int64_t groups = 0;
	uint64_t work = 0;

	for (uint32_t i = 0; i < texts->count && t->unknowns.count; i++) {
		struct rg_value text = rg_object_at(heap, t->bits, i).key;

		if (!rg_typed_is_made(heap, text))
			continue;
		find_alike(t, texts, i, &groups, &work);
		texts->alike[i] |= is_doubtful_reason(t->unit, heap, text);
		texts->has_alike |= texts->alike[i] > 0;
		t->full |= work > ALIKE_WORK_MAX;
		if (t->full)
			return;
	}
}

/* Bits for all texts if they suffice, else for those that instructions name. */
static bool order_texts(const struct rg_typed_laying *laying, struct texts *texts)
{
	struct rg_typed *t = laying->t;
	struct rg_heap *heap = &t->unit->heap;

	texts->count = rg_count(heap, t->bits);
	texts->bit = calloc(texts->count + 1u, sizeof(*texts->bit));
	texts->rank = calloc(texts->count + 1u, sizeof(*texts->rank));
	texts->reasons = calloc(texts->count + 1u, sizeof(*texts->reasons));
	texts->bit_reasons = calloc(texts->count + 1u, sizeof(*texts->bit_reasons));
	texts->alike = calloc(texts->count + 1u, sizeof(*texts->alike));
	texts->bit_alike = calloc(texts->count + 1u, sizeof(*texts->bit_alike));
	if (!texts->bit || !texts->rank || !texts->reasons || !texts->bit_reasons ||
	    !texts->alike || !texts->bit_alike) {
		rg_unit_no_memory(t->unit);
		return false;
	}
	if (texts->count > RG_TYPED_BITS_MAX) {
		for (uint32_t i = 0; i < texts->count; i++)
			texts->bit[i] = -1;
		t->full |= !mark_named(laying, texts->bit);
	}
	for (uint32_t i = 0; i < texts->count; i++)
		texts->reasons[i] = reason_of(t->unit, heap, rg_object_at(heap, t->bits, i).key);
	find_all_alike(t, texts);
	for (uint32_t i = 0; i < texts->count; i++) {
		struct rg_pair text = rg_object_at(heap, t->bits, i);

		if (texts->bit[text.value.i] < 0)
			continue;
		texts->bit[text.value.i] = texts->bit_count;
		texts->rank[texts->bit_count] = i;
		texts->bit_alike[texts->bit_count] = texts->alike[i];
		texts->bit_reasons[texts->bit_count++] = texts->reasons[i];
	}
	t->full |= texts->bit_count > RG_TYPED_BITS_MAX;
	return !t->full;
}

static uint32_t sum_column(struct rg_typed *t, uint32_t number, const struct texts *texts)
{
	const struct rg_typed_sum *sum = RG_VECTOR_AT(t->sums, struct rg_typed_sum, number);
	int64_t cells[RG_TYPED_BITS_MAX];

	for (uint32_t i = 0; i < texts->count; i++)
		cells[texts->bit[i]] = sum->terms[i];
	return rg_typed_column(t->unit, cells, texts->count);
}

static void name_texts(struct rg_typed_laying *laying, const struct texts *texts)
{
	struct rg_typed *t = laying->t;
	struct rg_typed_program *program = laying->program;
	uint32_t dictionary = 0;
	bool has_dictionary = false;

	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *instruction = &laying->code[i];

		if (instruction->op == RG_TYPED_OP_SET_ADD ||
		    instruction->op == RG_TYPED_OP_IF_MEMBER) {
			instruction->number = texts->bit[instruction->number];
		} else if (instruction->op == RG_TYPED_OP_SET_SUM) {
			instruction->table = sum_column(t, instruction->table, texts);
		} else if (instruction->op == RG_TYPED_OP_FIELD_TEXT) {
			if (!has_dictionary)
				dictionary = rg_typed_dictionary(t);
			has_dictionary = true;
			instruction->table = dictionary;
		}
	}
	program->reasons = rg_typed_column(t->unit, texts->bit_reasons, texts->bit_count);
	program->ranks = program->ranked_reasons = program->reasons;
	if (texts->has_alike)
		program->alike = rg_typed_column(t->unit, texts->bit_alike, texts->bit_count) + 1;
	if (texts->has_alike && program->rule_count)
		program->ranked_alike = rg_typed_column(t->unit, texts->alike, texts->count) + 1;
	if (program->rule_count) {
		program->ranks = rg_typed_column(t->unit, texts->rank, texts->bit_count);
		program->ranked_reasons = rg_typed_column(t->unit, texts->reasons, texts->count);
	}
}

static void settle(struct rg_typed_laying *laying)
{
	struct texts texts = {0};

	if (order_texts(laying, &texts))
		name_texts(laying, &texts);
	free(texts.bit);
	free(texts.rank);
	free(texts.reasons);
	free(texts.bit_reasons);
	free(texts.alike);
	free(texts.bit_alike);
}

/* ---- tables that nobody asks any more ---- */

/* Call `visit` for each table number of the program. */
static void for_tables(struct rg_typed_laying *laying, uint32_t *numbers,
		       void (*visit)(uint32_t *number, uint32_t *numbers))
{
	struct rg_typed_program *program = laying->program;
	uint32_t *own[] = {&program->reasons, &program->ranks, &program->ranked_reasons},
		 *alike[] = {&program->alike, &program->ranked_alike};

	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *at = &laying->code[i];
		const struct rg_typed_shape *shape = &rg_typed_shapes[at->op];
		uint32_t terms = (uint32_t)at->number;

		if (strchr("MCDOR", shape->table))
			visit(&at->table, numbers);
		if (shape->number == 'C') {
			visit(&terms, numbers);
			at->number = terms;
		}
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		visit(own[i], numbers);
	for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++) {
		uint32_t number = *alike[i] - 1;

		if (!*alike[i])
			continue;
		visit(&number, numbers);
		*alike[i] = number + 1;
	}
}

static void note_used(uint32_t *number, uint32_t *numbers)
{
	numbers[*number] = 1;
}

static void renumber(uint32_t *number, uint32_t *numbers)
{
	*number = numbers[*number];
}

/* What rules were looked up in before they became rows of rule tables: their lists are columns there.
 * Rule tables themselves are all asked. */
static void drop_tables(struct rg_typed_laying *laying)
{
	struct rg_unit *unit = laying->t->unit;
	uint32_t kept = laying->t->first_table, count = unit->typed_tables.count;
	uint32_t cells = laying->t->first_cell;
	uint32_t *numbers = calloc(count + 1u, sizeof(*numbers));

	if (!numbers) {
		rg_unit_no_memory(unit);
		return;
	}
	for_tables(laying, numbers, note_used);
	for (uint32_t i = kept; i < count; i++) {
		struct rg_typed_table table =
			*RG_VECTOR_AT(unit->typed_tables, struct rg_typed_table, i);
		uint64_t size = rg_typed_table_cells(&table);

		if (!numbers[i] && table.kind != RG_TYPED_RULES)
			continue;
		if (table.kind != RG_TYPED_RULES) {
			if (size)
				memmove(RG_VECTOR_AT(unit->typed_cells, int64_t, cells),
					RG_VECTOR_AT(unit->typed_cells, int64_t, table.first),
					size * sizeof(int64_t));
			table.first = cells;
			cells += (uint32_t)size;
		}
		numbers[i] = kept;
		*RG_VECTOR_AT(unit->typed_tables, struct rg_typed_table, kept++) = table;
	}
	for_tables(laying, numbers, renumber);
	unit->typed_tables.count = kept;
	unit->typed_cells.count = cells;
	free(numbers);
}

static void append(struct rg_typed_laying *laying)
{
	struct rg_unit *unit = laying->t->unit;
	struct rg_typed_program *program = laying->program, *added;

	program->code = unit->typed_code.count;
	program->code_count = laying->count;
	program->set_count = laying->t->set_count;
	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *to =
			rg_vector_add(unit, &unit->typed_code, sizeof(*to));

		if (laying->code[i].op == RG_TYPED_OP_EVALUATE)
			laying->code[i].table =
				rg_typed_piece_function(laying->t, laying->code[i].table);

		if (to)
			*to = laying->code[i];
	}
	added = rg_vector_add(unit, &unit->typed_programs, sizeof(*added));
	if (added)
		*added = *program;
}

/* What is left of loops of very many turns. */
static void measure_unrolled(const struct rg_typed_laying *laying)
{
	const struct rg_typed *t = laying->t;

	for (uint32_t i = 0; i < t->unrolled.count; i++) {
		struct rg_typed_unrolled *one =
			RG_VECTOR_AT(t->unrolled, struct rg_typed_unrolled, i);

		one->left = 0;
		for (uint32_t at = one->first; at < one->end; at++)
			one->left += laying->kept[t->front.count + at];
	}
}

bool rg_typed_lay(struct rg_typed *t, struct rg_typed_program *program)
{
	struct rg_typed_laying laying = {.t = t, .program = program};
	bool laid = gather(&laying);

	if (laid) {
		shorten_jumps(&laying);
		laid = keep_reachable(&laying);
	}
	if (laid) {
		rg_typed_settle_orders(&laying);
		rg_typed_ask_presence(&laying);
		laid = !t->unit->status && rg_typed_make_tables(&laying);
	}
	if (laid) {
		measure_unrolled(&laying);
		gather_kept(&laying);
		t->full |= laying.count > RG_TYPED_CODE_MAX;
		laid = !t->full && rg_typed_drop_known(&laying);
	}
	if (laid) {
		drop_idle_jumps(&laying);
		drop_unread(&laying);
		laid = rg_typed_join_copies(&laying) && rg_typed_drop_known(&laying);
	}
	if (laid) {
		drop_idle_jumps(&laying);
		laid = turn_guards(&laying);
	}
	if (laid) {
		drop_unread(&laying);
		laid = rg_typed_tidy(&laying);
	}
	if (laid) {
		compact(&laying);
		settle(&laying);
		t->full |= !rg_typed_place_slots(&laying);
		laid = !t->full && !t->unit->status;
	}
	if (laid) {
		drop_tables(&laying);
		append(&laying);
	}
	free(laying.code);
	free(laying.kept);
	free(laying.moved_to);
	return laid;
}

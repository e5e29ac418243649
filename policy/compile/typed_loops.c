/* SPDX-License-Identifier: Apache-2.0 */
/* Loops, unrolled: over constants, set fields and partial sets. See typed.h. */
#include "policy/compile/typed_views.h"

#include <string.h>

#define UNROLLED_MAX 256	/* turns of one loop that need not become rows of a table */
#define ROWS_MAX     (1u << 20) /* turns of one that must */

/* A loop of the source: NEXT at `head`, LOOP at `end`. */
struct loop {
	const struct rg_instruction *next;
	uint32_t head, end;
	struct rg_typed_fact over;
};

static bool find_end(const struct rg_typed_context *c, struct loop *loop)
{
	for (uint32_t i = loop->head + 1; i < c->source->count; i++) {
		if (c->source->code[i].op == RG_OP_LOOP && c->source->code[i].target == loop->head)
			loop->end = i;
	}
	return loop->end;
}

static void turn(struct rg_typed_context *c, const struct loop *loop, struct rg_typed_fact key,
		 struct rg_typed_fact value)
{
	c->instruction = loop->next;
	rg_typed_write(c, loop->next->dst, key);
	rg_typed_write(c, loop->next->b, value);
	rg_typed_range(c, loop->head + 1, loop->end);
	rg_typed_place(c, loop->end);
	c->reachable =
		true; /* LOOP goes on to the next turn or to the end, from wherever it is come to */
}

static void over_constant(struct rg_typed_context *c, const struct loop *loop)
{
	struct rg_heap *heap = &c->typed->unit->heap;
	struct rg_value container = loop->over.value;
	uint32_t used = c->typed->spare_used;
	bool was_sparing = c->typed->is_sparing;

	c->typed->is_sparing |= rg_count(heap, container) > UNROLLED_MAX;
	for (uint32_t i = 0; i < rg_count(heap, container) && !c->typed->full; i++) {
		struct rg_pair pair = rg_pair_at(heap, container, i);

		turn(c, loop, rg_typed_constant(pair.key), rg_typed_constant(pair.value));
		c->typed->spare_used = used; /* nothing of a turn is of use in the next one */
	}
	c->typed->is_sparing = was_sparing;
	if (!was_sparing)
		c->typed->spare.count = 0;
}

static void over_bits(struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_image_field *field = rg_typed_field_of(c, loop->over.number);

	for (uint32_t i = 0; i < field->names_count && !c->typed->full; i++) {
		const struct rg_image_field_name *name =
			RG_VECTOR_AT(c->typed->unit->field_names, struct rg_image_field_name,
				     field->names_first + i);

		rg_typed_test_bit(c, loop->over.slot, name->value, true, loop->end);
		turn(c, loop, (struct rg_typed_fact){.kind = RG_TYPED_IS_UNTYPED},
		     rg_typed_constant(rg_typed_constant_of(c, name->name)));
	}
}

/* The loop copies one set into another: { s | some s in set }. */
static bool is_copy(const struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_instruction *add = &c->source->code[loop->head + 1];

	return loop->end == loop->head + 2 && add->op == RG_OP_SET_ADD &&
	       (add->a == loop->next->b || add->a == loop->next->dst) &&
	       rg_typed_read(c, add->dst).kind == RG_TYPED_IS_SET;
}

/* The loop adds up what a constant object holds for each member: sum([weights[s] | some s in
 * set]). */
static bool is_sum(const struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_instruction *look_up = &c->source->code[loop->head + 1], *add = look_up + 1;

	return loop->end == loop->head + 3 && look_up->op == RG_OP_DOT &&
	       add->op == RG_OP_ARRAY_APPEND && (look_up->a & RG_OPERAND_CONSTANT) &&
	       look_up->b == loop->next->b && add->a == look_up->dst &&
	       rg_typed_read(c, add->dst).kind == RG_TYPED_IS_ARRAY;
}

static void sum_members(struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_instruction *look_up = &c->source->code[loop->head + 1];
	struct rg_typed_container *array =
		rg_typed_container_of(c, rg_typed_read(c, look_up[1].dst));
	struct rg_typed *t = c->typed;
	struct rg_typed_sum *sum = rg_vector_add(t->unit, &t->sums, sizeof(*sum));
	uint16_t slot = rg_typed_slot(t);

	for (uint32_t i = 0; sum && i < RG_TYPED_BITS_MAX; i++) {
		struct rg_value text = rg_typed_text_of_bit(t, i), term;
		uint8_t scale;

		sum->terms[i] = text.type == RG_STRING || !rg_is_defined(text) ? RG_TYPED_ABSENT
									       : RG_TYPED_UNTYPED;
		if (text.type != RG_STRING)
			continue;
		if (rg_typed_is_made(&t->unit->heap, text)) {
			sum->terms[i] = RG_TYPED_UNTYPED;
			continue;
		}
		term = rg_dot(&t->unit->heap,
			      rg_typed_constant_of(c, look_up->a & ~RG_OPERAND_CONSTANT), text);
		if (rg_is_defined(term) &&
		    (!rg_typed_decimal(t, term, &sum->terms[i], &scale) || scale))
			sum->terms[i] = RG_TYPED_UNTYPED;
	}
	rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_SUM,
						       .dst = slot,
						       .a = (uint16_t)loop->over.number,
						       .table = t->sums.count - 1});
	if (array->keeps[RG_TYPED_SUM])
		rg_typed_add_to(t, array->slots[RG_TYPED_SUM], slot);
	array->keeps[RG_TYPED_COUNT] = array->keeps[RG_TYPED_MOST] = array->keeps[RG_TYPED_LEAST] =
		array->keeps[RG_TYPED_REAL_SUM] = array->is_known = false;
}

static void over_set(struct rg_typed_context *c, const struct loop *loop)
{
	struct rg_typed *t = c->typed;
	uint64_t may_hold[RG_TYPED_SET_WORDS];

	if (is_copy(c, loop)) {
		rg_typed_unite(t, rg_typed_read(c, c->source->code[loop->head + 1].dst).number,
			       loop->over.number);
		return;
	}
	if (t->is_large[loop->over.number]) {
		rg_typed_give_up(c, "a rule that goes over a set of very many texts");
		return;
	}
	if (is_sum(c, loop)) {
		sum_members(c, loop);
		return;
	}
	rg_typed_be_distinct(t, loop->over.number);
	memcpy(may_hold, t->may_hold[loop->over.number], sizeof(may_hold));
	for (uint32_t bit = 0; bit < RG_TYPED_BITS_MAX && !t->full; bit++) {
		struct rg_typed_fact text;

		if (!(may_hold[bit / 64] >> bit % 64 & 1))
			continue;
		text = rg_typed_made_fact(t, rg_typed_text_of_bit(t, bit));
		rg_typed_guard(c,
			       (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_MEMBER,
							     .a = (uint16_t)loop->over.number,
							     .number = bit},
			       loop->end);
		turn(c, loop, text, text);
	}
}

/* An array or object that parts of the request are in. */
static void over_made(struct rg_typed_context *c, const struct loop *loop, struct rg_value made)
{
	struct rg_typed *t = c->typed;
	struct rg_heap *heap = &t->unit->heap;

	for (uint32_t i = 0; i < rg_count(heap, made) && !t->full; i++) {
		struct rg_pair pair =
			made.type == RG_OBJECT
				? rg_object_at(heap, made, i)
				: (struct rg_pair){rg_int(i), rg_array_at(heap, made, i)};

		turn(c, loop, rg_typed_constant(pair.key), rg_typed_made_fact(t, pair.value));
	}
}

static void turn_of_view(struct rg_typed_context *c, const void *of, struct rg_typed_fact key,
			 struct rg_typed_fact value)
{
	turn(c, of, key, value);
}

static uint32_t turns_of(const struct rg_typed_context *c, struct rg_typed_fact over)
{
	if (over.kind == RG_TYPED_IS_KNOWN && over.value.type >= RG_ARRAY)
		return rg_count(&c->typed->unit->heap, over.value);
	return over.kind == RG_TYPED_IS_BITS || over.kind == RG_TYPED_IS_SET ? 0 : UINT32_MAX;
}

/* May the loop be unrolled? */
static bool may_unroll(const struct rg_typed_context *c, const struct loop *loop)
{
	const struct rg_vector *refused = c->typed->refused;
	uint32_t turns = turns_of(c, loop->over);

	for (uint32_t i = 0; i < refused->count; i++) {
		const struct rg_typed_unrolled *one =
			RG_VECTOR_AT(*refused, struct rg_typed_unrolled, i);

		if (one->source == c->source && one->head == loop->head && turns > UNROLLED_MAX)
			return false;
	}
	return turns <= ROWS_MAX;
}

/* The body's instructions from here on are those of a loop of very many turns. */
static void begin_unrolled(struct rg_typed_context *c, const struct loop *loop, uint32_t *number)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_unrolled *unrolled;

	*number = t->unrolled.count;
	if (turns_of(c, loop->over) <= UNROLLED_MAX)
		return;
	unrolled = rg_vector_add(t->unit, &t->unrolled, sizeof(*unrolled));
	if (unrolled)
		*unrolled = (struct rg_typed_unrolled){
			.source = c->source, .head = loop->head, .first = t->body.count};
}

static void end_unrolled(struct rg_typed *t, uint32_t number)
{
	/* When the program is full it may have happened in the loop, and is put down to it. */
	if (number < t->unrolled.count && !t->full)
		RG_VECTOR_AT(t->unrolled, struct rg_typed_unrolled, number)->end = t->body.count;
}

void rg_typed_forget_unrolled(struct rg_typed *t, uint32_t body)
{
	while (t->unrolled.count &&
	       RG_VECTOR_AT(t->unrolled, struct rg_typed_unrolled, t->unrolled.count - 1)->first >=
		       body)
		t->unrolled.count--;
}

uint32_t rg_typed_loop(struct rg_typed_context *c, uint32_t at)
{
	struct loop loop = {.next = &c->source->code[at + 1], .head = at + 1};
	struct rg_value made = {0};
	uint32_t exit, unrolled;
	bool is_view;

	if (!rg_typed_required(c, c->instruction->a, &loop.over))
		return at + 1;
	if (loop.over.kind == RG_TYPED_IS_ARRAY || loop.over.kind == RG_TYPED_IS_OBJECT ||
	    loop.over.kind == RG_TYPED_IS_MADE)
		rg_typed_made_value(c, loop.over, &made);
	if (loop.over.kind == RG_TYPED_IS_KNOWN && loop.over.value.type < RG_ARRAY) {
		rg_typed_jump(c, c->instruction->target);
		return at + 1;
	}
	is_view = made.type < RG_ARRAY && rg_typed_is_view(c, loop.over);
	if (loop.next->op != RG_OP_NEXT || !find_end(c, &loop) ||
	    (made.type < RG_ARRAY && !is_view && !may_unroll(c, &loop))) {
		rg_typed_give_up(c,
				 "a loop over what is no short constant, set field or partial set");
		return at + 1;
	}
	exit = loop.next->target;
	begin_unrolled(c, &loop, &unrolled);
	if (is_view)
		rg_typed_over_view(c, &(struct rg_typed_viewer){.fact = loop.over,
								.turn = turn_of_view,
								.of = &loop});
	else if (made.type >= RG_ARRAY)
		over_made(c, &loop, made);
	else if (loop.over.kind == RG_TYPED_IS_KNOWN)
		over_constant(c, &loop);
	else if (loop.over.kind == RG_TYPED_IS_BITS)
		over_bits(c, &loop);
	else
		over_set(c, &loop);
	end_unrolled(c->typed, unrolled);
	rg_typed_jump(c, exit);
	return loop.end + 1;
}

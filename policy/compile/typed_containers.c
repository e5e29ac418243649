/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy makes: partial sets, arrays of which something is gathered, constants in the making.
 * See typed.h. */
#include "policy/compile/typed_made.h"
#include "policy/compile/typed_views.h"

#include <string.h>

static const char *const gathering_builtins[RG_TYPED_GATHERED_COUNT] = {"sum", "count", "max",
									"min", "sum"};

static void count_set(struct rg_typed_context *c, struct rg_typed_fact set)
{
	struct rg_typed_fact count = {.kind = RG_TYPED_IS_INTEGER, .slot = rg_typed_slot(c->typed)};

	rg_typed_be_distinct(c->typed, set.number);
	rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_COUNT,
							      .dst = count.slot,
							      .a = (uint16_t)set.number});
	rg_typed_write(c, c->instruction->dst, count);
}

/* What is kept of an array, as a fact; false if it is not kept. */
static bool gathered(const struct rg_typed_context *c, struct rg_typed_fact array,
		     enum rg_typed_gathered what, struct rg_typed_fact *fact)
{
	const struct rg_typed_container *container;
	bool is_extreme = what == RG_TYPED_MOST || what == RG_TYPED_LEAST;
	uint16_t slot;

	if (array.kind != RG_TYPED_IS_ARRAY)
		return false;
	container = rg_typed_container_of(c, array);
	*fact = (struct rg_typed_fact){.kind = RG_TYPED_IS_INTEGER,
				       .scale = is_extreme ? RG_TYPED_GATHERED_SCALE : 0,
				       .maybe_undefined = is_extreme,
				       .slot = container->slots[what]};
	if (what == RG_TYPED_REAL_SUM && container->keeps[what]) {
		slot = rg_typed_slot(c->typed);
		rg_typed_emit(c->typed,
			      (struct rg_typed_instruction){.op = RG_TYPED_OP_REAL_SUM,
							    .dst = slot,
							    .a = fact->slot,
							    .number = RG_TYPED_GATHERED_SCALE});
		*fact = (struct rg_typed_fact){.kind = RG_TYPED_IS_BALL, .slot = slot};
	}
	return container->keeps[what];
}

static void count_or_give_up(struct rg_typed_context *c, struct rg_typed_fact fact)
{
	struct rg_typed_fact count;

	if (fact.kind == RG_TYPED_IS_SET)
		count_set(c, fact);
	else if (fact.kind == RG_TYPED_IS_KNOWN && fact.value.type >= RG_ARRAY)
		rg_typed_write(
			c, c->instruction->dst,
			rg_typed_constant(rg_int(rg_count(&c->typed->unit->heap, fact.value))));
	else if (fact.kind == RG_TYPED_IS_CLOCK)
		rg_typed_write(c, c->instruction->dst, rg_typed_constant(rg_int(3)));
	else if (gathered(c, fact, RG_TYPED_COUNT, &count))
		rg_typed_write(c, c->instruction->dst, count);
	else
		rg_typed_give_up(c, "the length of what is no partial set");
}

bool rg_typed_gather(struct rg_typed_context *c, const char *name, struct rg_typed_fact over)
{
	struct rg_typed_fact result;

	if (!strcmp(name, "count") &&
	    (over.kind == RG_TYPED_IS_SET || over.kind == RG_TYPED_IS_ARRAY)) {
		count_or_give_up(c, over);
		return true;
	}
	for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++) {
		if (strcmp(name, gathering_builtins[what]) != 0 ||
		    !gathered(c, over, (enum rg_typed_gathered)what, &result))
			continue;
		if (rg_typed_require(c, &result, c->instruction->target))
			rg_typed_write(c, c->instruction->dst, result);
		return true;
	}
	return false;
}

static uint32_t new_set(struct rg_typed *t)
{
	if (t->set_count == RG_TYPED_SETS_MAX) {
		t->full = true;
		return 0;
	}
	memset(t->may_hold[t->set_count], 0, sizeof(t->may_hold[0]));
	t->is_large[t->set_count] = t->holds_made[t->set_count] = false;
	return t->set_count++;
}

static void make_set(struct rg_typed_context *c)
{
	rg_typed_write(
		c, c->instruction->dst,
		(struct rg_typed_fact){.kind = RG_TYPED_IS_SET, .number = new_set(c->typed)});
}

static struct rg_typed_container *new_container(struct rg_typed_context *c, enum rg_typed_kind kind,
						struct rg_value value)
{
	struct rg_typed *t = c->typed;
	struct rg_typed_container *container =
		rg_vector_add(t->unit, &t->containers, sizeof(*container));

	if (!container || t->unit->heap.exhausted) {
		rg_unit_no_memory(t->unit);
		return NULL;
	}
	*container = (struct rg_typed_container){.maker = c->instruction,
						 .source = c->source,
						 .value = value,
						 .stamp = c->stamp,
						 .is_known = true};
	rg_typed_write(
		c, c->instruction->dst,
		(struct rg_typed_fact){.kind = (uint8_t)kind, .number = t->containers.count - 1});
	return RG_VECTOR_AT(t->containers, struct rg_typed_container, t->containers.count - 1);
}

/* Is some term of the array that the instruction makes not whole? */
static bool is_real_sum(const struct rg_typed *t, const struct rg_instruction *maker)
{
	for (uint32_t i = 0; i < t->real_sums.count; i++) {
		if (*RG_VECTOR_AT(t->real_sums, const struct rg_instruction *, i) == maker)
			return true;
	}
	return false;
}

/* Which of an array's sum and so on is somebody going to ask for? */
static void ask_for(const struct rg_typed_context *c, uint32_t array, bool *keeps)
{
	for (uint32_t i = 0; i < c->source->count; i++) {
		const struct rg_instruction *at = &c->source->code[i];
		struct rg_value name;

		if ((at->op == RG_OP_LENGTH || at->op == RG_OP_RETURN || at->op == RG_OP_MOVE ||
		     at->op == RG_OP_ASSIGN_ONCE) &&
		    at->a == array) /* or whoever is given it */
			keeps[RG_TYPED_COUNT] = true;
		if (at->op != RG_OP_BUILTIN || at->aux != 1 || c->source->operands[at->c] != array)
			continue;
		name = rg_typed_constant_of(
			c, RG_VECTOR_AT(c->typed->unit->builtins, struct rg_image_builtin, at->a)
				   ->name);
		for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++)
			keeps[what] |=
				rg_string_is(&c->typed->unit->heap, name, gathering_builtins[what]);
	}
}

static void make_array(struct rg_typed_context *c)
{
	struct rg_typed_container *array =
		new_container(c, RG_TYPED_IS_ARRAY, rg_array(&c->typed->unit->heap, 0));

	if (!array)
		return;
	ask_for(c, c->instruction->dst, array->keeps);
	array->keeps[is_real_sum(c->typed, c->instruction) ? RG_TYPED_SUM : RG_TYPED_REAL_SUM] =
		false;
	for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++) {
		if (!array->keeps[what])
			continue;
		array->slots[what] = rg_typed_slot(c->typed);
		rg_typed_emit(c->typed,
			      (struct rg_typed_instruction){
				      .op = RG_TYPED_OP_CONSTANT,
				      .dst = array->slots[what],
				      .number = what == RG_TYPED_MOST || what == RG_TYPED_LEAST
							? RG_TYPED_ABSENT
							: 0});
	}
}

static void make_object(struct rg_typed_context *c)
{
	new_container(c, RG_TYPED_IS_OBJECT, rg_object(&c->typed->unit->heap, 0));
}

/* An array or object whose first part is constant. */
static void clone(struct rg_typed_context *c)
{
	struct rg_typed_fact from;

	if (!rg_typed_required(c, c->instruction->a, &from))
		return;
	if (from.kind == RG_TYPED_IS_KNOWN &&
	    (from.value.type == RG_ARRAY || from.value.type == RG_OBJECT))
		new_container(c,
			      from.value.type == RG_ARRAY ? RG_TYPED_IS_ARRAY : RG_TYPED_IS_OBJECT,
			      rg_clone(&c->typed->unit->heap, from.value));
	else
		rg_typed_give_up(c, "a container is copied and changed");
}

/* May a constant be put into the container, so that it stays one? */
static bool stays_known(const struct rg_typed_context *c,
			const struct rg_typed_container *container)
{
	return container->is_known && !container->is_used && container->stamp == c->stamp;
}

static void object_insert(struct rg_typed_context *c)
{
	struct rg_typed_fact key, value, object = rg_typed_read(c, c->instruction->dst);
	struct rg_heap *heap = &c->typed->unit->heap;
	struct rg_typed_container *container;
	struct rg_value old, part;

	if (!rg_typed_required(c, c->instruction->a, &key) ||
	    !rg_typed_required(c, c->instruction->b, &value))
		return;
	if (object.kind != RG_TYPED_IS_OBJECT || key.kind != RG_TYPED_IS_KNOWN ||
	    rg_typed_container_of(c, object)->is_used || !rg_typed_made_value(c, value, &part)) {
		rg_typed_give_up(c, "objects are made");
		return;
	}
	container = rg_typed_container_of(c, object);
	/* What may be in it is kept all the same: no key gets two values, whatever comes of conditions. */
	container->is_known = stays_known(c, container);
	container->is_made |= value.kind != RG_TYPED_IS_KNOWN;
	old = rg_object_get(heap, container->value, key.value);
	if ((c->instruction->op == RG_OP_OBJECT_INSERT_ONCE || !container->is_known) &&
	    rg_is_defined(old) && !rg_equal(heap, old, part)) {
		rg_typed_give_up(c, "a key of an object gets two values");
		return;
	}
	if (!rg_object_insert(heap, container->value, key.value, part))
		rg_unit_no_memory(c->typed->unit);
}

void rg_typed_unite(struct rg_typed *t, uint32_t to, uint32_t from)
{
	rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_UNITE,
						       .dst = (uint16_t)to,
						       .a = (uint16_t)from});
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++)
		t->may_hold[to][i] |= t->may_hold[from][i];
	t->is_large[to] |= t->is_large[from];
	t->holds_made[to] |= t->holds_made[from];
}

void rg_typed_be_distinct(struct rg_typed *t, uint32_t set)
{
	if (t->holds_made[set])
		rg_typed_emit(t, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_DISTINCT,
							       .a = (uint16_t)set});
}

bool rg_typed_set_union(struct rg_typed_context *c, const struct rg_typed_fact *args)
{
	struct rg_typed_fact result = {.kind = RG_TYPED_IS_SET};

	if (args[0].kind != RG_TYPED_IS_SET || args[1].kind != RG_TYPED_IS_SET)
		return false;
	result.number = new_set(c->typed);
	rg_typed_unite(c->typed, result.number, args[0].number);
	rg_typed_unite(c->typed, result.number, args[1].number);
	rg_typed_write(c, c->instruction->dst, result);
	return true;
}

/* The bit of a constant in partial sets, or -1. */
static int64_t bit_of(struct rg_typed *t, struct rg_value text)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value bit = rg_object_get(heap, t->bits, text);

	if (rg_is_defined(bit))
		return bit.i;
	if (rg_count(heap, t->bits) == RG_TYPED_TEXTS_MAX)
		return -1;
	bit = rg_int(rg_count(heap, t->bits));
	if (!rg_object_insert(heap, t->bits, text, bit))
		rg_unit_no_memory(t->unit);
	return bit.i;
}

struct rg_value rg_typed_text_of_bit(struct rg_typed *t, uint32_t bit)
{
	struct rg_heap *heap = &t->unit->heap;

	for (uint32_t i = 0; i < rg_count(heap, t->bits); i++) {
		struct rg_pair pair = rg_object_at(heap, t->bits, i);

		if (pair.value.i == bit)
			return pair.key;
	}
	return rg_undefined;
}

static void set_add(struct rg_typed_context *c)
{
	struct rg_typed_fact element, set = rg_typed_read(c, c->instruction->dst);
	struct rg_value value;
	int64_t bit = -1;

	if (!rg_typed_required(c, c->instruction->a, &element))
		return;
	if (set.kind == RG_TYPED_IS_SET && rg_typed_made_value(c, element, &value))
		bit = bit_of(c->typed, value);
	if (bit < 0) {
		rg_typed_give_up(c, "a set gets what is no constant");
		return;
	}
	c->typed->holds_made[set.number] |= element.kind != RG_TYPED_IS_KNOWN;
	rg_typed_emit(c->typed, (struct rg_typed_instruction){.op = RG_TYPED_OP_SET_ADD,
							      .dst = (uint16_t)set.number,
							      .number = bit});
	if (bit < RG_TYPED_BITS_MAX)
		c->typed->may_hold[set.number][bit / 64] |= 1ull << bit % 64;
	else
		c->typed->is_large[set.number] = true;
}

void rg_typed_add_to(struct rg_typed *t, uint16_t slot, uint16_t term)
{
	rg_typed_emit(t, (struct rg_typed_instruction){
				 .op = RG_TYPED_OP_ADD, .dst = slot, .a = slot, .b = term});
}

/* What the element is for what is gathered: the instruction's term. False: it is none. Of an extreme
 * it must be a constant, as those of rows are. */
static bool term_of(struct rg_typed_context *c, enum rg_typed_gathered what,
		    struct rg_typed_fact element, struct rg_typed_instruction *add)
{
	static const uint8_t ops[RG_TYPED_GATHERED_COUNT] = {
		RG_TYPED_OP_ADD_NUMBER, RG_TYPED_OP_ADD_NUMBER, RG_TYPED_OP_MAXIMUM_NUMBER,
		RG_TYPED_OP_MINIMUM_NUMBER, RG_TYPED_OP_ADD_NUMBER};
	struct rg_typed_fact type = {.kind = RG_TYPED_IS_INTEGER,
				     .scale = what >= RG_TYPED_MOST ? RG_TYPED_GATHERED_SCALE : 0};

	add->op = ops[what];
	if (what == RG_TYPED_COUNT) {
		add->number = 1;
		return true;
	}
	if (element.kind == RG_TYPED_IS_KNOWN)
		return rg_typed_number_of(c, type, element.value, &add->number) &&
		       (what != RG_TYPED_REAL_SUM || add->number >= 0);
	if (element.kind != RG_TYPED_IS_INTEGER || element.scale || what != RG_TYPED_SUM)
		return false;
	add->op = RG_TYPED_OP_ADD;
	add->b = rg_typed_integer(c->typed, &element, 0);
	return true;
}

/* Begin again, and keep the sum of what that instruction makes as one of reals. */
static void sum_reals(struct rg_typed_context *c, const struct rg_instruction *maker)
{
	const struct rg_instruction **added =
		rg_vector_add(c->typed->unit, &c->typed->real_sums, sizeof(*added));

	if (added)
		*added = maker;
	c->types_changed = true;
}

static void array_append(struct rg_typed_context *c)
{
	struct rg_typed_fact element, array = rg_typed_read(c, c->instruction->dst);
	struct rg_typed_container *container;
	struct rg_value value;

	if (!rg_typed_required(c, c->instruction->a, &element))
		return;
	if (array.kind != RG_TYPED_IS_ARRAY) {
		rg_typed_give_up(c, "an array that is kept");
		return;
	}
	container = rg_typed_container_of(c, array);
	if (stays_known(c, container) && rg_typed_made_value(c, element, &value)) {
		container = rg_typed_container_of(c, array);
		container->is_made |= element.kind != RG_TYPED_IS_KNOWN;
		if (!rg_array_append(&c->typed->unit->heap, container->value, value))
			rg_unit_no_memory(c->typed->unit);
	} else {
		container->is_known = false;
	}
	for (int what = 0; what < RG_TYPED_GATHERED_COUNT; what++) {
		struct rg_typed_instruction add = {0};

		if (!container->keeps[what])
			continue;
		container->keeps[what] = term_of(c, (enum rg_typed_gathered)what, element, &add);
		if (what == RG_TYPED_SUM && !container->keeps[what] &&
		    term_of(c, RG_TYPED_REAL_SUM, element, &add))
			sum_reals(c, container->maker);
		add.dst = add.a = container->slots[what];
		if (container->keeps[what])
			rg_typed_emit(c->typed, add);
	}
}

void rg_typed_container(struct rg_typed_context *c)
{
	switch ((enum rg_op)c->instruction->op) {
	case RG_OP_MAKE_SET: make_set(c); return;
	case RG_OP_MAKE_ARRAY: make_array(c); return;
	case RG_OP_MAKE_OBJECT: make_object(c); return;
	case RG_OP_CLONE: clone(c); return;
	case RG_OP_SET_ADD: set_add(c); return;
	case RG_OP_ARRAY_APPEND:
		if (!rg_typed_view_put(c))
			array_append(c);
		return;
	case RG_OP_OBJECT_INSERT:
	case RG_OP_OBJECT_INSERT_ONCE:
		if (!rg_typed_view_put(c))
			object_insert(c);
		return;
	case RG_OP_LENGTH: count_or_give_up(c, rg_typed_operand(c, c->instruction->a)); return;
	default: rg_typed_give_up(c, "objects are made"); return;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions that are intervals of a field's rank: prefixes, the order of texts, networks. See
 * image/typed.h on orders.
 *
 * Where a condition is met its bounds are only numbered, from 1 on, for others may follow that lie
 * between. Guards on ranks name bounds: IF_GE_NUMBER b: the field is at least bound b. When the
 * program is laid down the bounds that guards still name are put in order, and guards get the ranks.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/builtin/address.h"
#include "policy/compile/typed_lay.h"

/* ---- bounds ---- */

/* Number of the order that the field has by the instruction `op`. */
static uint32_t order_of(struct rg_typed *t, enum rg_typed_op op, uint32_t field)
{
	struct rg_typed_order *order;
	uint32_t i = 0;

	for (; i < t->orders.count; i++) {
		order = RG_VECTOR_AT(t->orders, struct rg_typed_order, i);
		if (order->op == op && order->field == field)
			return i;
	}
	order = rg_vector_add(t->unit, &t->orders, sizeof(*order));
	if (!order)
		return 0;
	*order = (struct rg_typed_order){.op = (uint8_t)op, .field = field};
	order->bounds = rg_object(&t->unit->heap, 0);
	order->slot = rg_typed_value(
		t,
		(struct rg_typed_instruction){.op = (uint8_t)op, .a = (uint16_t)field, .table = i});
	return i;
}

static struct rg_typed_order *order_at(struct rg_typed *t, uint32_t number)
{
	return RG_VECTOR_AT(t->orders, struct rg_typed_order, number);
}

/* Number of a bound. */
static uint32_t bound(struct rg_typed *t, uint32_t order, const void *bytes, uint32_t length)
{
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value bounds = order_at(t, order)->bounds, key = rg_string(heap, bytes, length),
			number;

	if (!rg_is_defined(key)) {
		rg_unit_no_memory(t->unit);
		return 0;
	}
	number = rg_object_get(heap, bounds, key);
	if (rg_is_defined(number))
		return (uint32_t)number.i;
	number = rg_int(rg_count(heap, bounds) + 1);
	if (!rg_object_insert(heap, bounds, key, number))
		rg_unit_no_memory(t->unit);
	return (uint32_t)number.i;
}

/* The bound that all texts are below which begin with this one; 0: there is none. */
static uint32_t bound_behind(struct rg_typed *t, uint32_t order, const char *prefix,
			     uint32_t length)
{
	char behind[RG_TYPED_TEXT_MAX];

	memcpy(behind, prefix, length);
	while (length && (uint8_t)behind[length - 1] == UINT8_MAX)
		length--;
	if (!length)
		return 0;
	behind[length - 1]++;
	return bound(t, order, behind, length);
}

static uint32_t bound_of_words(struct rg_typed *t, uint32_t order, const uint64_t *words)
{
	uint64_t bytes[RG_ADDRESS_WORDS];

	for (int i = 0; i < RG_ADDRESS_WORDS; i++)
		bytes[i] = __builtin_bswap64(words[i]);
	return bound(t, order, bytes, sizeof(bytes));
}

/* ---- conditions ---- */

static struct rg_typed_fact within(struct rg_typed *t, uint32_t order, uint32_t low, uint32_t high)
{
	return (struct rg_typed_fact){.kind = RG_TYPED_IS_WITHIN,
				      .slot = order_at(t, order)->slot,
				      .number = low,
				      .high = high};
}

enum fit { FITS, NEVER, TOO_LONG };

/* May a text of the field begin with the prefix, which is not empty? */
static enum fit fit_of(const struct rg_typed_context *c, struct rg_typed_fact chars,
		       struct rg_value prefix)
{
	if (prefix.length > rg_typed_field_of(c, chars.number)->length ||
	    memchr(rg_text(&c->typed->unit->heap, prefix), 0, prefix.length))
		return NEVER;
	return prefix.length > RG_TYPED_TEXT_MAX ? TOO_LONG : FITS;
}

/* startswith(field, prefix) */
static bool starts_with(struct rg_typed_context *c, const struct rg_typed_fact *args,
			struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_value prefix = args[1].value;
	const char *text;
	uint32_t order;

	if (args[0].kind != RG_TYPED_IS_CHARS || args[1].kind != RG_TYPED_IS_KNOWN)
		return false;
	if (prefix.type != RG_STRING) { /* an error */
		*result = (struct rg_typed_fact){0};
		return true;
	}
	text = rg_text(&t->unit->heap, prefix);
	if (!prefix.length || fit_of(c, args[0], prefix) == NEVER) {
		*result = rg_typed_constant(rg_boolean(!prefix.length));
		return true;
	}
	if (fit_of(c, args[0], prefix) == TOO_LONG)
		return false;
	order = order_of(t, RG_TYPED_OP_FIELD_RANK, args[0].number);
	*result = within(t, order, bound(t, order, text, prefix.length),
			 bound_behind(t, order, text, prefix.length));
	return true;
}

/* The column of a list of prefixes, none of which is empty, for a field. */
static struct rg_typed_listed *listed_of(struct rg_typed *t, uint32_t order, struct rg_value list)
{
	struct rg_typed_listed *listed;

	for (uint32_t i = 0; i < t->listed.count; i++) {
		listed = RG_VECTOR_AT(t->listed, struct rg_typed_listed, i);
		if (listed->order == order && listed->list.type == list.type &&
		    rg_equal(&t->unit->heap, listed->list, list))
			return listed;
	}
	listed = rg_vector_add(t->unit, &t->listed, sizeof(*listed));
	if (!listed)
		return NULL;
	*listed = (struct rg_typed_listed){.order = order, .list = list};
	/* No other column has this number before it is laid down. */
	listed->slot = rg_typed_value(
		t, (struct rg_typed_instruction){.op = RG_TYPED_OP_COLUMN,
						 .a = order_at(t, order)->slot,
						 .table = UINT32_MAX - t->listed.count});
	for (uint32_t i = 0; i < rg_count(&t->unit->heap, list); i++) {
		struct rg_value prefix = rg_set_at(&t->unit->heap, list, i);
		const char *text = rg_text(&t->unit->heap, prefix);
		uint32_t *bounds = rg_vector_add(t->unit, &listed->bounds, sizeof(*bounds));
		uint32_t *behind = rg_vector_add(t->unit, &listed->bounds, sizeof(*bounds));

		if (!bounds || !behind)
			break;
		bounds = RG_VECTOR_AT(listed->bounds, uint32_t, 2 * i);
		bounds[0] = bound(t, order, text, prefix.length);
		bounds[1] = bound_behind(t, order, text, prefix.length);
	}
	return listed;
}

/* strings.any_prefix_match(field, prefixes) */
static bool starts_with_any(struct rg_typed_context *c, const struct rg_typed_fact *args,
			    struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_heap *heap = &t->unit->heap;
	struct rg_value list = args[1].value, kept;
	struct rg_typed_listed *listed;
	bool always = false;

	if (args[0].kind != RG_TYPED_IS_CHARS || args[1].kind != RG_TYPED_IS_KNOWN)
		return false;
	if (list.type != RG_ARRAY && list.type != RG_SET)
		return starts_with(c, args, result);
	kept = rg_set(heap, rg_count(heap, list));
	*result = (struct rg_typed_fact){0};
	for (uint32_t i = 0; i < rg_count(heap, list); i++) {
		struct rg_value prefix = rg_pair_at(heap, list, i).value;

		if (prefix.type != RG_STRING) /* an error */
			return true;
		always |= !prefix.length;
		if (fit_of(c, args[0], prefix) == TOO_LONG)
			return false;
		if (fit_of(c, args[0], prefix) == FITS)
			rg_set_add(heap, kept, prefix);
	}
	if (always || !rg_count(heap, kept)) {
		*result = rg_typed_constant(rg_boolean(always));
		return true;
	}
	listed = listed_of(t, order_of(t, RG_TYPED_OP_FIELD_RANK, args[0].number), kept);
	if (listed)
		*result = (struct rg_typed_fact){.kind = RG_TYPED_IS_TRUTH, .slot = listed->slot};
	return listed;
}

/* net.cidr_contains(network, field). Goes to label where the field is no address. */
static bool contains(struct rg_typed_context *c, const struct rg_typed_fact *args, uint32_t label,
		     struct rg_typed_fact *result)
{
	struct rg_typed *t = c->typed;
	struct rg_value text = args[0].value;
	uint64_t words[RG_ADDRESS_WORDS];
	struct rg_network network;
	uint32_t order, low;

	if (args[0].kind != RG_TYPED_IS_KNOWN || args[1].kind != RG_TYPED_IS_CHARS)
		return false;
	*result = (struct rg_typed_fact){0};
	if (text.type != RG_STRING ||
	    !rg_network_parse(rg_text(&t->unit->heap, text), text.length, &network))
		return true;
	order = order_of(t, RG_TYPED_OP_FIELD_ADDRESS, args[1].number);
	rg_network_words(network, words);
	low = bound_of_words(t, order, words);
	*result = within(t, order, low,
			 rg_network_words_behind(network, words) ? bound_of_words(t, order, words)
								 : 0);
	rg_typed_guard(
		c, (struct rg_typed_instruction){.op = RG_TYPED_OP_IF_GE_NUMBER, .a = result->slot},
		label);
	return true;
}

bool rg_typed_condition(struct rg_typed_context *c, const char *name,
			const struct rg_typed_fact *args, uint32_t count, uint32_t label,
			struct rg_typed_fact *result)
{
	if (count != 2)
		return false;
	if (!strcmp(name, "startswith"))
		return starts_with(c, args, result);
	if (!strcmp(name, "strings.any_prefix_match"))
		return starts_with_any(c, args, result);
	return !strcmp(name, "net.cidr_contains") && contains(c, args, label, result);
}

bool rg_typed_compare_order(struct rg_typed_context *c, enum rg_comparison op,
			    struct rg_typed_fact chars, struct rg_value text, uint32_t label)
{
	struct rg_typed *t = c->typed;
	uint32_t order, at;
	const char *nul;
	char behind[RG_TYPED_TEXT_MAX];

	/* The least text of a field above this one goes on with 1. One that the policy has behind a NUL
	 * lies between the two. */
	nul = memchr(rg_text(&t->unit->heap, text), 0, text.length);
	if (nul)
		text.length = (uint32_t)(nul - rg_text(&t->unit->heap, text));
	if (text.length >= sizeof(behind))
		return false;
	memcpy(behind, rg_text(&t->unit->heap, text), text.length);
	behind[text.length] = 1;
	order = order_of(t, RG_TYPED_OP_FIELD_RANK, chars.number);
	at = bound(t, order, behind, text.length + (nul || op == RG_LE || op == RG_GT));
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = op == RG_LT || op == RG_LE
								   ? RG_TYPED_OP_IF_LT_NUMBER
								   : RG_TYPED_OP_IF_GE_NUMBER,
						     .a = order_at(t, order)->slot,
						     .number = at},
		       label);
	return true;
}

/* Go to label unless the rank, which is defined, is at least (or below) a bound. */
static void ask_bound(struct rg_typed_context *c, uint16_t slot, uint32_t number, bool at_least,
		      uint32_t label)
{
	rg_typed_guard(c,
		       (struct rg_typed_instruction){.op = at_least ? RG_TYPED_OP_IF_GE_NUMBER
								    : RG_TYPED_OP_IF_LT_NUMBER,
						     .a = slot,
						     .number = number},
		       label);
}

static void ask_within(struct rg_typed_context *c, const struct rg_typed_fact *fact, bool wanted,
		       uint32_t label)
{
	uint32_t out, stamp = c->stamp;

	if (wanted) {
		ask_bound(c, fact->slot, fact->number, true, label);
		if (fact->high)
			ask_bound(c, fact->slot, fact->high, false, label);
		return;
	}
	if (!fact->high) {
		ask_bound(c, fact->slot, fact->number, false, label);
		return;
	}
	out = rg_typed_label(c);
	ask_bound(c, fact->slot, fact->number, true, out);
	ask_bound(c, fact->slot, fact->high, true, label);
	rg_typed_place(c, out);
	c->stamp = stamp;
}

void rg_typed_ask(struct rg_typed_context *c, const struct rg_typed_fact *fact, bool wanted,
		  uint32_t label)
{
	struct rg_typed_instruction guard = {
		.op = RG_TYPED_OP_IF_EQ_NUMBER, .a = fact->slot, .number = wanted};

	if (fact->kind == RG_TYPED_IS_WITHIN) {
		ask_within(c, fact, wanted, label);
		return;
	}
	if (fact->kind == RG_TYPED_IS_MASKED) {
		guard.op = RG_TYPED_OP_IF_IN_MASK;
		guard.number = wanted ? fact->value.i : ~fact->value.i;
	}
	rg_typed_guard(c, guard, label);
}

uint16_t rg_typed_truth(struct rg_typed_context *c, const struct rg_typed_fact *fact)
{
	uint32_t no, stamp = c->stamp;
	uint16_t slot;

	if (fact->kind == RG_TYPED_IS_KNOWN)
		return rg_typed_number(c->typed, fact->value.i);
	if (fact->kind == RG_TYPED_IS_TRUTH)
		return fact->slot;
	no = rg_typed_label(c);
	slot = rg_typed_slot(c->typed);
	rg_typed_emit(c->typed,
		      (struct rg_typed_instruction){.op = RG_TYPED_OP_CONSTANT, .dst = slot});
	rg_typed_ask(c, fact, true, no);
	rg_typed_emit(c->typed, (struct rg_typed_instruction){
					.op = RG_TYPED_OP_CONSTANT, .dst = slot, .number = 1});
	rg_typed_place(c, no);
	c->stamp = stamp; /* on both ways the same is known */
	return slot;
}

/* ---- tables ---- */

/* Words of a bound. */
static uint64_t word_at(struct rg_typed_bound bound, uint32_t depth)
{
	uint64_t word = 0;

	if (8 * depth < bound.length)
		memcpy(&word, bound.bytes + 8 * (size_t)depth,
		       bound.length - 8 * depth < 8 ? bound.length - 8 * depth : 8);
	return __builtin_bswap64(word);
}

/* Does it go on with zeros alone? */
static bool ends_at(struct rg_typed_bound bound, uint32_t depth)
{
	for (uint32_t i = 8 * depth; i < bound.length; i++) {
		if (bound.bytes[i])
			return false;
	}
	return true;
}

/* A node to be laid down: bounds that have `depth` words in common. */
struct node {
	uint32_t first, end, depth;
};

/* Behind the bounds from `first` on that have its word. */
static uint32_t end_of_word(const struct rg_typed_bound *bounds, const struct node *node,
			    uint32_t first)
{
	uint64_t word = word_at(bounds[first], node->depth);
	uint32_t end = first + 1;

	while (end < node->end && word_at(bounds[end], node->depth) == word)
		end++;
	return end;
}

static uint32_t count_words(const struct rg_typed_bound *bounds, const struct node *node)
{
	uint32_t count = 0;

	for (uint32_t at = node->first; at < node->end; at = end_of_word(bounds, node, at))
		count++;
	return count;
}

/* Where the parts of a node's words begin. */
static void lay_starts(uint64_t *words, uint32_t count)
{
	uint64_t parts = rg_typed_node_parts(count), range;
	uint32_t *starts = (uint32_t *)(words + 2 * (uint64_t)count), at = 0;

	if (!parts)
		return;
	range = words[count - 1] - words[0];
	for (uint64_t i = 0; i <= parts; i++) {
		while (at < count &&
		       ((words[at] - words[0]) >> rg_typed_part_shift(range, parts)) < i)
			at++;
		starts[i] = i < parts ? at : count;
	}
}

/* A node's cells, from `to` on. Its children join the list; *named is where the next one will
 * be. */
static void lay_node(struct rg_unit *unit, const struct rg_typed_bound *bounds,
		     const uint32_t *numbers, struct node node, struct rg_vector *nodes,
		     uint64_t *named, uint64_t *to)
{
	uint32_t count = count_words(bounds, &node), i = 0;

	to[0] = (uint64_t)(numbers ? numbers[node.first] : node.first) << 32 | count;
	for (uint32_t at = node.first, end; at < node.end; at = end, i++) {
		struct node child = {.depth = node.depth + 1}, *added;

		end = end_of_word(bounds, &node, at);
		child.first = at + ends_at(bounds[at], child.depth);
		child.end = end;
		to[1 + i] = word_at(bounds[at], node.depth);
		to[1 + count + i] = numbers ? numbers[end] : end;
		if (child.first == end)
			continue;
		added = rg_vector_add(unit, nodes, sizeof(*added));
		if (!added)
			return;
		*added = child;
		to[1 + count + i] |= *named << 32;
		*named += rg_typed_node_cells(count_words(bounds, &child));
	}
	lay_starts(to + 1, count);
}

uint32_t rg_typed_order_table(struct rg_unit *unit, const struct rg_typed_bound *bounds,
			      uint32_t count, const uint32_t *numbers)
{
	const struct node root = {.end = count};
	uint64_t named = rg_typed_node_cells(count_words(bounds, &root));
	struct rg_vector nodes = {0}, cells = {0};
	struct node *added = rg_vector_add(unit, &nodes, sizeof(*added));
	uint32_t number = 0;

	if (added)
		*added = root;
	for (uint32_t i = 0; i < nodes.count && !unit->status; i++) {
		struct node node = *RG_VECTOR_AT(nodes, struct node, i);
		uint32_t first = cells.count;
		uint64_t size = rg_typed_node_cells(count_words(bounds, &node));

		while (cells.count < first + size && rg_vector_add(unit, &cells, sizeof(uint64_t)))
			;
		if (!unit->status)
			lay_node(unit, bounds, numbers, node, &nodes, &named,
				 RG_VECTOR_AT(cells, uint64_t, first));
	}
	if (!unit->status) {
		int64_t *to = rg_typed_table(unit, RG_TYPED_ORDER, cells.count, &number);

		if (to)
			memcpy(to, cells.items, cells.count * sizeof(*to));
	}
	free(nodes.items);
	free(cells.items);
	return number;
}

/* ---- when the program is laid down ---- */

/* Does the instruction name a bound? */
static bool names_bound(const struct rg_typed_instruction *instruction)
{
	return (instruction->op == RG_TYPED_OP_IF_GE_NUMBER ||
		instruction->op == RG_TYPED_OP_IF_LT_NUMBER) &&
	       instruction->number > 0;
}

/* The order whose rank the instruction asks, + 1. */
static uint32_t order_asked(const struct rg_typed_laying *laying, const uint16_t *orders,
			    uint32_t i)
{
	return laying->kept[i] && rg_typed_is_jump(&laying->code[i]) &&
			       rg_typed_shapes[laying->code[i].op].a == 'S'
		       ? orders[laying->code[i].a]
		       : 0;
}

/* The bounds that columns of lists name, of an order. */
static void name_listed(struct rg_typed *t, uint32_t order, uint32_t *rank)
{
	for (uint32_t i = 0; i < t->listed.count; i++) {
		const struct rg_typed_listed *listed =
			RG_VECTOR_AT(t->listed, struct rg_typed_listed, i);

		for (uint32_t n = 0; listed->order == order && n < listed->bounds.count; n++)
			rank[*RG_VECTOR_AT(listed->bounds, uint32_t, n)] = 1;
	}
	rank[0] = 0;
}

/* A list's column: 1 for the ranks within any of its intervals. `ranks`: how many there are. */
static uint32_t lay_listed(struct rg_typed *t, const struct rg_typed_listed *listed,
			   const uint32_t *rank, uint32_t ranks)
{
	int64_t *cells = calloc(ranks, sizeof(*cells));
	uint32_t table = 0;

	if (!cells) {
		rg_unit_no_memory(t->unit);
		return 0;
	}
	for (uint32_t n = 0; n + 1 < listed->bounds.count; n += 2) {
		const uint32_t *bounds = RG_VECTOR_AT(listed->bounds, uint32_t, n);

		for (uint32_t i = rank[bounds[0]]; i < (bounds[1] ? rank[bounds[1]] : ranks); i++)
			cells[i] = 1;
	}
	table = rg_typed_column(t->unit, cells, ranks);
	free(cells);
	return table;
}

void rg_typed_free_listed(struct rg_typed *t)
{
	for (uint32_t i = 0; i < t->listed.count; i++)
		free(RG_VECTOR_AT(t->listed, struct rg_typed_listed, i)->bounds.items);
	free(t->listed.items);
}

/* rank[bound]: how many of those that are named are at most it; 0: nobody names it. *all: of them.
 * The order's table. */
static uint32_t rank_bounds(struct rg_typed *t, const struct rg_typed_order *order, uint32_t *rank,
			    uint32_t *all)
{
	struct rg_heap *heap = &t->unit->heap;
	uint32_t count = rg_count(heap, order->bounds), named = 0, table = 0;
	struct rg_typed_bound *bounds = calloc(count + 1u, sizeof(*bounds));

	if (!bounds) {
		rg_unit_no_memory(t->unit);
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct rg_pair pair = rg_object_at(heap, order->bounds, i);

		if (!rank[pair.value.i])
			continue;
		bounds[named++] = (struct rg_typed_bound){(const uint8_t *)rg_text(heap, pair.key),
							  pair.key.length};
		rank[pair.value.i] = named;
	}
	table = rg_typed_order_table(t->unit, bounds, named, NULL);
	*all = named;
	free(bounds);
	return table;
}

/* The front's column that gives the slot is this one. */
static void set_column(struct rg_typed_laying *laying, uint16_t slot, uint32_t table)
{
	for (uint32_t i = 0; i < laying->t->front.count; i++) {
		if (laying->code[i].op == RG_TYPED_OP_COLUMN && laying->code[i].dst == slot)
			laying->code[i].table = table;
	}
}

static void settle_order(struct rg_typed_laying *laying, const uint16_t *orders, uint32_t number)
{
	struct rg_typed *t = laying->t;
	const struct rg_typed_order *order = order_at(t, number);
	uint32_t *rank = calloc(rg_count(&t->unit->heap, order->bounds) + 1u, sizeof(*rank));
	uint32_t table, all = 0;

	if (!rank) {
		rg_unit_no_memory(t->unit);
		return;
	}
	name_listed(t, number, rank);
	for (uint32_t i = 0; i < laying->count; i++) {
		if (order_asked(laying, orders, i) == number + 1 && names_bound(&laying->code[i]))
			rank[laying->code[i].number] = 1;
	}
	table = rank_bounds(t, order, rank, &all);
	for (uint32_t i = 0; i < t->listed.count && !t->unit->status; i++) {
		struct rg_typed_listed *listed = RG_VECTOR_AT(t->listed, struct rg_typed_listed, i);

		if (listed->order == number)
			set_column(laying, listed->slot, lay_listed(t, listed, rank, all + 1));
	}
	for (uint32_t i = 0; i < laying->count; i++) {
		struct rg_typed_instruction *at = &laying->code[i];

		if (at->op == order->op && at->dst == order->slot)
			at->table = table;
		if (order_asked(laying, orders, i) == number + 1 && names_bound(at))
			at->number = rank[at->number];
	}
	free(rank);
}

void rg_typed_settle_orders(struct rg_typed_laying *laying)
{
	uint16_t orders[RG_TYPED_SLOTS_MADE_MAX] = {0}; /* a slot: its order, + 1 */

	for (uint32_t i = 0; i < laying->t->orders.count; i++)
		orders[order_at(laying->t, i)->slot] = (uint16_t)(i + 1);
	for (uint32_t i = 0; i < laying->t->orders.count && !laying->t->unit->status; i++)
		settle_order(laying, orders, i);
}

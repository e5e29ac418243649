/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays, objects and sets: see container.h for their layout and how they grow. */
#include "policy/eval/container.h"

#include <string.h>

#include "policy/eval/number.h"

#define FIRST_CAPACITY 4
#define PROBES_FREE    16

static struct rg_value container_new(struct rg_heap *heap, uint8_t type, uint32_t capacity)
{
	uint64_t item_bytes = rg_container_item_bytes(type), offset;
	struct rg_container *header =
		rg_heap_alloc(heap, sizeof(*header) + capacity * item_bytes, &offset);

	if (!header)
		return rg_undefined;
	*header = (struct rg_container){
		.capacity = capacity, .items = offset + sizeof(*header), .sorted = 1};
	return (struct rg_value){.type = type, .space = RG_SPACE_SCRATCH, .offset = offset};
}

struct rg_value rg_array(struct rg_heap *heap, uint32_t capacity)
{
	return container_new(heap, RG_ARRAY, capacity);
}

struct rg_value rg_object(struct rg_heap *heap, uint32_t capacity)
{
	return container_new(heap, RG_OBJECT, capacity);
}

struct rg_value rg_set(struct rg_heap *heap, uint32_t capacity)
{
	return container_new(heap, RG_SET, capacity);
}

uint32_t rg_count(const struct rg_heap *heap, struct rg_value v)
{
	return rg_container(heap, v)->count;
}

/* Key of item i: an item of any kind begins with it. */
static struct rg_value *key_at(const struct rg_heap *heap, struct rg_value v, uint32_t i)
{
	uint8_t *items = rg_at(heap, v.space, rg_container(heap, v)->items);

	return (struct rg_value *)(items + (size_t)i * rg_container_item_bytes(v.type));
}

/* ---- lookup ---- */

static bool is_text(const struct rg_heap *heap, const struct rg_value *v, const char *text,
		    size_t bytes)
{
	return v->type == RG_STRING && v->length == bytes &&
	       !memcmp(rg_text(heap, *v), text, bytes);
}

/* Keys of one hash make long probes, which must be paid for. */
static void charge_probes(struct rg_heap *heap, uint32_t probes)
{
	if (probes > PROBES_FREE)
		rg_heap_charge(heap, probes);
}

static uint32_t find_text(struct rg_heap *heap, struct rg_value v, const char *text, size_t bytes)
{
	const struct rg_container *header = rg_container(heap, v);
	const uint64_t *index;
	uint64_t hash;

	if (!header->index_slots) {
		for (uint32_t i = 0; i < header->count; i++) {
			if (is_text(heap, key_at(heap, v, i), text, bytes))
				return i;
		}
		return RG_CONTAINER_NONE;
	}
	index = rg_container_index(heap, v);
	hash = rg_hash_text(text, bytes);
	for (uint32_t at = (uint32_t)hash;; at++) {
		uint64_t slot = index[at & (header->index_slots - 1)];

		if (slot && (slot >> 32 != (uint32_t)hash ||
			     !is_text(heap, key_at(heap, v, (uint32_t)slot - 1), text, bytes)))
			continue;
		charge_probes(heap, at - (uint32_t)hash);
		return slot ? (uint32_t)slot - 1 : RG_CONTAINER_NONE;
	}
}

uint32_t rg_container_find(struct rg_heap *heap, struct rg_value v, struct rg_value key,
			   uint32_t depth)
{
	const struct rg_container *header = rg_container(heap, v);
	const uint64_t *index;
	uint64_t hash;

	if (key.type == RG_STRING)
		return rg_heap_charge_text(heap, key)
			       ? find_text(heap, v, rg_text(heap, key), key.length)
			       : RG_CONTAINER_NONE;
	if (!header->index_slots) {
		for (uint32_t i = 0; i < header->count; i++) {
			if (rg_equal_within(heap, *key_at(heap, v, i), key, depth))
				return i;
		}
		return RG_CONTAINER_NONE;
	}
	index = rg_container_index(heap, v);
	hash = rg_hash_within(heap, key, depth);
	for (uint32_t at = (uint32_t)hash;; at++) {
		uint64_t slot = index[at & (header->index_slots - 1)];

		if (slot &&
		    (slot >> 32 != (uint32_t)hash ||
		     !rg_equal_within(heap, *key_at(heap, v, (uint32_t)slot - 1), key, depth)))
			continue;
		charge_probes(heap, at - (uint32_t)hash);
		return slot ? (uint32_t)slot - 1 : RG_CONTAINER_NONE;
	}
}

/* ---- growth ---- */

static bool grow_items(struct rg_heap *heap, struct rg_value v)
{
	struct rg_container *header = rg_container(heap, v);
	uint64_t item_bytes = rg_container_item_bytes(v.type);
	uint32_t capacity = header->capacity ? header->capacity * 2 : FIRST_CAPACITY;
	uint64_t offset;
	void *items;

	if (header->count >= RG_CONTAINER_COUNT_MAX) {
		heap->exhausted = true;
		return false;
	}
	if (!rg_heap_extend(heap, header->items, header->capacity * item_bytes,
			    capacity * item_bytes)) {
		items = rg_heap_alloc(heap, capacity * item_bytes, &offset);
		if (!items)
			return false;
		if (header->count)
			memcpy(items, key_at(heap, v, 0), header->count * item_bytes);
		header->items = offset;
	}
	header->capacity = capacity;
	return true;
}

/* Enter all items anew into the index that is there. */
static void fill_index(struct rg_heap *heap, struct rg_value v)
{
	struct rg_container *header = rg_container(heap, v);
	uint64_t *index = rg_container_index(heap, v);

	memset(index, 0, header->index_slots * sizeof(*index));
	for (uint32_t i = 0; i < header->count; i++)
		charge_probes(heap, rg_container_enter(index, header->index_slots,
						       rg_hash(heap, *key_at(heap, v, i)), i));
}

/* Carry the slots of a smaller index over: they hold all the hash bits that a larger one asks
 * for. */
static void carry_index(const uint64_t *from, uint32_t from_slots, uint64_t *to, uint32_t to_slots)
{
	for (uint32_t i = 0; i < from_slots; i++) {
		if (from[i])
			rg_container_enter(to, to_slots, from[i] >> 32, (uint32_t)from[i] - 1);
	}
}

/* Make room in the index for one item more than there are. */
static bool grow_index(struct rg_heap *heap, struct rg_value v)
{
	struct rg_container *header = rg_container(heap, v);
	uint32_t slots = rg_container_slots(header->count + 1);
	uint64_t offset, *index;

	if (slots <= header->index_slots)
		return true;
	slots *= 2;
	index = rg_heap_alloc(heap, slots * sizeof(*index), &offset);
	if (!index)
		return false;
	memset(index, 0, slots * sizeof(*index));
	if (header->index_slots) {
		carry_index(rg_container_index(heap, v), header->index_slots, index, slots);
		header->index = offset;
		header->index_slots = slots;
	} else {
		header->index = offset;
		header->index_slots = slots;
		fill_index(heap, v);
	}
	return !heap->exhausted;
}

/* Is the new key known to come after all others, at no great cost? */
static bool stays_sorted(struct rg_heap *heap, struct rg_value v, struct rg_value key)
{
	const struct rg_container *header = rg_container(heap, v);
	struct rg_value *last;

	if (!header->count)
		return true;
	last = key_at(heap, v, header->count - 1);
	return header->sorted && last->type < RG_ARRAY && rg_compare(heap, *last, key) < 0;
}

/* Append an item whose key is not there yet; *item is its place, to be filled at once. */
static struct rg_value *append(struct rg_heap *heap, struct rg_value v, struct rg_value key)
{
	struct rg_container *header = rg_container(heap, v);
	struct rg_value *item;

	if (heap->exhausted || (header->count == header->capacity && !grow_items(heap, v)))
		return NULL;
	if (v.type != RG_ARRAY) {
		header->sorted = stays_sorted(heap, v, key);
		if (!grow_index(heap, v))
			return NULL;
		if (header->index_slots)
			rg_container_enter(rg_container_index(heap, v), header->index_slots,
					   rg_hash(heap, key), header->count);
	}
	item = key_at(heap, v, header->count++);
	*item = key;
	return item;
}

bool rg_array_append(struct rg_heap *heap, struct rg_value array, struct rg_value element)
{
	return rg_is_defined(element) && append(heap, array, element);
}

bool rg_object_insert(struct rg_heap *heap, struct rg_value object, struct rg_value key,
		      struct rg_value value)
{
	uint32_t found;
	struct rg_value *item;

	if (!rg_is_defined(key) || !rg_is_defined(value))
		return false;
	found = rg_container_find(heap, object, key, 0);
	item = found != RG_CONTAINER_NONE ? key_at(heap, object, found) : append(heap, object, key);
	if (!item || heap->exhausted)
		return false;
	((struct rg_pair *)item)->value = value;
	return true;
}

bool rg_set_add(struct rg_heap *heap, struct rg_value set, struct rg_value element)
{
	if (!rg_is_defined(element))
		return false;
	if (rg_container_find(heap, set, element, 0) != RG_CONTAINER_NONE)
		return true;
	return !heap->exhausted && append(heap, set, element);
}

/* ---- order ---- */

static void swap_items(uint8_t *a, uint8_t *b, uint32_t bytes)
{
	struct rg_pair keep;

	memcpy(&keep, a, bytes);
	memcpy(a, b, bytes);
	memcpy(b, &keep, bytes);
}

struct sorter {
	struct rg_heap *heap;
	uint8_t *items;
	uint32_t item_bytes, depth;
};

static int order(const struct sorter *s, uint32_t a, uint32_t b)
{
	return rg_compare_within(
		s->heap, *(struct rg_value *)(s->items + (size_t)a * s->item_bytes),
		*(struct rg_value *)(s->items + (size_t)b * s->item_bytes), s->depth + 1);
}

static void sift_down(const struct sorter *s, uint32_t root, uint32_t count)
{
	uint32_t child;

	while ((child = 2 * root + 1) < count) {
		if (child + 1 < count && order(s, child, child + 1) < 0)
			child++;
		if (order(s, root, child) >= 0)
			return;
		swap_items(s->items + (size_t)root * s->item_bytes,
			   s->items + (size_t)child * s->item_bytes, s->item_bytes);
		root = child;
	}
}

/* Heapsort: in place, no memory, n log n whatever the input, and harmless if a comparison gives
 * up half-way. */
static void sort_items(const struct sorter *s, uint32_t count)
{
	for (uint32_t root = count / 2; root-- > 0;)
		sift_down(s, root, count);
	for (uint32_t last = count; last-- > 1;) {
		swap_items(s->items, s->items + (size_t)last * s->item_bytes, s->item_bytes);
		sift_down(s, 0, last);
	}
}

static bool is_ascending(const struct sorter *s, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		if (order(s, i - 1, i) >= 0)
			return false;
	}
	return true;
}

void rg_container_sort_within(struct rg_heap *heap, struct rg_value v, uint32_t depth)
{
	struct rg_container *header = rg_container(heap, v);
	struct sorter sorter;
	uint32_t count = header->count, levels = 32 - (uint32_t)__builtin_clz(count | 1);

	if (v.type == RG_ARRAY || header->sorted || v.space != RG_SPACE_SCRATCH)
		return;
	if (depth >= RG_VALUE_DEPTH_MAX) {
		heap->exhausted = true;
		return;
	}
	if (!rg_heap_charge(heap, (uint64_t)count * levels))
		return;
	sorter = (struct sorter){heap, (uint8_t *)key_at(heap, v, 0),
				 rg_container_item_bytes(v.type), depth};
	if (!is_ascending(&sorter, count)) {
		sort_items(&sorter, count);
		if (header->index_slots)
			fill_index(heap, v);
	}
	header->sorted = !heap->exhausted;
}

void rg_array_sort(struct rg_heap *heap, struct rg_value array)
{
	uint32_t count = rg_count(heap, array), levels = 32 - (uint32_t)__builtin_clz(count | 1);
	struct sorter sorter = {heap, (uint8_t *)key_at(heap, array, 0), sizeof(struct rg_value),
				0};

	if (array.space != RG_SPACE_SCRATCH || !rg_heap_charge(heap, (uint64_t)count * levels))
		return;
	if (count > RG_CONTAINER_LINEAR_MAX) {
		sort_items(&sorter, count);
		return;
	}
	for (uint32_t i = 1; i < count; i++) { /* insertion: equal elements keep their order */
		for (uint32_t k = i; k > 0 && order(&sorter, k - 1, k) > 0; k--)
			swap_items(sorter.items + (k - 1) * sizeof(struct rg_value),
				   sorter.items + k * sizeof(struct rg_value),
				   sizeof(struct rg_value));
	}
}

void rg_container_sort(struct rg_heap *heap, struct rg_value v)
{
	rg_container_sort_within(heap, v, 0);
}

/* ---- access ---- */

struct rg_value rg_array_at(const struct rg_heap *heap, struct rg_value array, uint32_t i)
{
	return *key_at(heap, array, i);
}

struct rg_value rg_set_at(struct rg_heap *heap, struct rg_value set, uint32_t i)
{
	rg_container_sort(heap, set);
	return *key_at(heap, set, i);
}

struct rg_pair rg_object_at(struct rg_heap *heap, struct rg_value object, uint32_t i)
{
	rg_container_sort(heap, object);
	return rg_container_pairs(heap, object)[i];
}

struct rg_pair rg_pair_at(struct rg_heap *heap, struct rg_value container, uint32_t i)
{
	struct rg_pair pair;

	if (container.type == RG_OBJECT)
		return rg_object_at(heap, container, i);
	if (container.type == RG_ARRAY)
		return (struct rg_pair){rg_int(i), rg_array_at(heap, container, i)};
	pair.key = pair.value = rg_set_at(heap, container, i);
	return pair;
}

struct rg_value rg_object_get(struct rg_heap *heap, struct rg_value object, struct rg_value key)
{
	uint32_t found = rg_container_find(heap, object, key, 0);

	return found == RG_CONTAINER_NONE ? rg_undefined
					  : rg_container_pairs(heap, object)[found].value;
}

struct rg_value rg_object_get_text(struct rg_heap *heap, struct rg_value object, const char *key,
				   size_t bytes)
{
	uint32_t found = find_text(heap, object, key, bytes);

	return found == RG_CONTAINER_NONE ? rg_undefined
					  : rg_container_pairs(heap, object)[found].value;
}

bool rg_set_has(struct rg_heap *heap, struct rg_value set, struct rg_value element)
{
	return rg_container_find(heap, set, element, 0) != RG_CONTAINER_NONE;
}

bool rg_is_member(struct rg_heap *heap, struct rg_value element, struct rg_value collection)
{
	uint32_t count;

	if (collection.type == RG_SET)
		return rg_set_has(heap, collection, element);
	if (collection.type != RG_ARRAY && collection.type != RG_OBJECT)
		return false;
	count = rg_count(heap, collection);
	for (uint32_t i = 0; i < count; i++) {
		if (rg_equal(heap, element,
			     collection.type == RG_ARRAY
				     ? rg_container_values(heap, collection)[i]
				     : rg_container_pairs(heap, collection)[i].value))
			return true;
	}
	return false;
}

struct rg_value rg_dot(struct rg_heap *heap, struct rg_value v, struct rg_value key)
{
	int64_t i;

	switch (v.type) {
	case RG_OBJECT: return rg_object_get(heap, v, key);
	case RG_SET: return rg_set_has(heap, v, key) ? key : rg_undefined;
	case RG_ARRAY:
		if (key.type == RG_NUMBER && rg_heap_charge_text(heap, key) &&
		    rg_number_to_int64(heap, key, &i) && i >= 0 && i < rg_count(heap, v))
			return rg_array_at(heap, v, (uint32_t)i);
		return rg_undefined;
	default: return rg_undefined;
	}
}

struct rg_value rg_clone(struct rg_heap *heap, struct rg_value v)
{
	const struct rg_container *from = rg_container(heap, v);
	uint64_t item_bytes = rg_container_item_bytes(v.type), offset;
	struct rg_value clone = container_new(heap, v.type, from->count);
	struct rg_container *to;

	if (!rg_is_defined(clone))
		return clone;
	to = rg_container(heap, clone);
	if (from->index_slots) {
		void *index = rg_heap_alloc(heap, from->index_slots * sizeof(uint64_t), &offset);

		if (!index)
			return rg_undefined;
		memcpy(index, rg_container_index(heap, v), from->index_slots * sizeof(uint64_t));
		to->index = offset;
		to->index_slots = from->index_slots;
	}
	if (from->count)
		memcpy(key_at(heap, clone, 0), key_at(heap, v, 0), from->count * item_bytes);
	to->count = from->count;
	to->sorted = from->sorted;
	return clone;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How arrays, objects and sets lie in memory: the same in an image and in SCRATCH.
 *
 *	value (16 bytes)	header (32 bytes)	items			index
 *	.space, .offset ──────► count, capacity		item[0]			slot[0]
 *				items ────────────────► item[1]			slot[1]
 *				index ──────────────────────────────────────►	...
 *				index_slots, sorted	item[capacity - 1]	slot[index_slots - 1]
 *
 * All offsets of a header are into the space that the header itself lies in, and are multiples of
 * 8. What an item names may lie in any space (a SCRATCH array of IMAGE strings); in an IMAGE
 * everything lies in the IMAGE. An item is a struct rg_value in arrays and sets, a struct rg_pair
 * in objects.
 *
 * The items array is the truth. The index only speeds lookups by key up: up to
 * RG_CONTAINER_LINEAR_MAX items there is none and a lookup compares them one by one; beyond, it is
 * an open-addressing hash table with linear probing, whose slots are
 *
 *	0			empty
 *	hash << 32 | n + 1	item n, whose key has a hash with these low 32 bits
 *
 * a probe starts at slot (hash & (index_slots - 1)). At most half of the slots are in use, so that
 * every probe meets an empty slot. Arrays have no index.
 *
 * How a SCRATCH container grows. Elements are appended. When items are full, an array of twice the
 * capacity is taken from the heap (or the old one is extended if nothing lies behind it), the old
 * one is garbage until the heap is reset; likewise the index. The header never moves, so that all
 * values that name the container see the change. Objects and sets remember in `sorted` whether the
 * items are in Rego's total order; appending clears it (unless the new key is the greatest), and
 * the first ordered access
 * (rg_object_at, rg_set_at, rg_compare) sorts the items in place and rebuilds the index. So item
 * numbers are stable from one change or ordered access to the next, not longer. A policy that
 * changes what it iterates over, or puts a container into itself, cannot do harm: each step checks
 * its number against the count, and walks over values are bounded in depth (RG_VALUE_DEPTH_MAX) and
 * work (heap->work).
 *
 * What a verifier of an image must check for each value and header (all of it, once; nothing is
 * checked again later):
 *	- the value: type known; form, exponent and flags as value.h says for that type; for what has an
 *	  offset: space is IMAGE, and offset + length (texts) or offset + 32 (containers) is inside the
 *	  constants. TEXT numbers are valid JSON number text. Texts are valid UTF-8 if results are to be.
 *	- the header: 8-aligned; capacity == count; items 8-aligned and items + count * item size inside;
 *	  sorted == 1 for objects and sets, keys strictly ascending (rg_compare < 0), reserved zero;
 *	  index_slots == (objects and sets with count > RG_CONTAINER_LINEAR_MAX ? rg_container_slots(count) : 0),
 *	  index 8-aligned and inside, each slot 0 or with its low half <= count, exactly `count` slots in use.
 *	- values form no cycle: a container's offset is greater than those of the containers in it (the
 *	  serialiser writes inner ones first), and nesting is at most RG_VALUE_DEPTH_MAX.
 *
 * Thread-safety: IMAGE containers are immutable; SCRATCH containers belong to their heap's thread.
 */
#ifndef RG_POLICY_EVAL_CONTAINER_H
#define RG_POLICY_EVAL_CONTAINER_H

#include "policy/eval/value.h"

#define RG_CONTAINER_LINEAR_MAX 16
#define RG_CONTAINER_COUNT_MAX	(1u << 29)
#define RG_CONTAINER_NONE	UINT32_MAX

struct rg_container {
	uint32_t count;
	uint32_t capacity; /* items that there is room for */
	uint64_t items;	   /* offset of the items array; any value while capacity is 0 */
	uint64_t index;	   /* offset of uint64_t[index_slots]; any value while index_slots is 0 */
	uint32_t index_slots; /* 0: no index; else a power of two >= 2 * count */
	uint8_t sorted;	      /* objects and sets: items are in total order. Arrays: 1 */
	uint8_t reserved[3];
};
static_assert(sizeof(struct rg_container) == 32,
	      "headers are stored in images: raise RG_IMAGE_VERSION");
static_assert(sizeof(struct rg_pair) == 32, "pairs are stored in images: raise RG_IMAGE_VERSION");

static inline struct rg_container *rg_container(const struct rg_heap *heap, struct rg_value v)
{
	return rg_at(heap, v.space, v.offset);
}

/* Items of an array or set. */
static inline struct rg_value *rg_container_values(const struct rg_heap *heap, struct rg_value v)
{
	return rg_at(heap, v.space, rg_container(heap, v)->items);
}

/* Items of an object. */
static inline struct rg_pair *rg_container_pairs(const struct rg_heap *heap, struct rg_value v)
{
	return rg_at(heap, v.space, rg_container(heap, v)->items);
}

static inline uint64_t *rg_container_index(const struct rg_heap *heap, struct rg_value v)
{
	return rg_at(heap, v.space, rg_container(heap, v)->index);
}

static inline uint32_t rg_container_item_bytes(uint8_t type)
{
	return type == RG_OBJECT ? sizeof(struct rg_pair) : sizeof(struct rg_value);
}

/* Slots that the index of an image's object or set with `count` items has: the least power of two >= 2 * count,
 * or 0 for small ones. count <= RG_CONTAINER_COUNT_MAX. */
static inline uint32_t rg_container_slots(uint32_t count)
{
	uint32_t slots = 4 * RG_CONTAINER_LINEAR_MAX;

	if (count <= RG_CONTAINER_LINEAR_MAX)
		return 0;
	while (slots < 2 * count)
		slots *= 2;
	return slots;
}

/* Enter item number `item` whose key hashes to `hash` (rg_hash). The caller made the index zero and large enough.
 * Returns how many slots in use were met: keys of one hash make that many. */
static inline uint32_t rg_container_enter(uint64_t *index, uint32_t slots, uint64_t hash,
					  uint32_t item)
{
	uint32_t at = (uint32_t)hash & (slots - 1), met = 0;

	for (; index[at]; met++)
		at = (at + 1) & (slots - 1);
	index[at] = hash << 32 | (item + 1ull);
	return met;
}

/* Number of the item whose key (or member) equals key, or RG_CONTAINER_NONE. Objects and sets. */
uint32_t rg_container_find(struct rg_heap *heap, struct rg_value v, struct rg_value key,
			   uint32_t depth);

/* Put the items of an object or set in total order, if they are not yet. Does nothing to IMAGE
 * containers. */
void rg_container_sort(struct rg_heap *heap, struct rg_value v);

/* Put the elements of a SCRATCH array, which the caller owns, in total order; in short arrays
 * equal ones (1, 1.0) keep theirs. */
void rg_array_sort(struct rg_heap *heap, struct rg_value array);

/* The walks of value.h, as steps of an outer walk that has come `depth` levels down. */
int rg_compare_within(struct rg_heap *heap, struct rg_value a, struct rg_value b, uint32_t depth);
bool rg_equal_within(struct rg_heap *heap, struct rg_value a, struct rg_value b, uint32_t depth);
uint64_t rg_hash_within(struct rg_heap *heap, struct rg_value v, uint32_t depth);
void rg_container_sort_within(struct rg_heap *heap, struct rg_value v, uint32_t depth);
/* rg_hash() of a string of these bytes. */
uint64_t rg_hash_text(const char *text, size_t bytes);

#endif

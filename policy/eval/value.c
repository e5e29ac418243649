/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap, strings, total order, equality, hash and copies of Rego values. Containers:
 * container.c; numbers: number.c; JSON: value_json.c.
 */
#include "policy/eval/value.h"

#include <string.h>
#include <sys/mman.h>

#include "policy/eval/container.h"
#include "policy/eval/number.h"

/* ---- heap ---- */

void rg_heap_init(struct rg_heap *heap, void *scratch, uint64_t scratch_bytes)
{
	memset(heap, 0, sizeof(*heap));
	heap->space[RG_SPACE_SCRATCH] = scratch;
	heap->bytes[RG_SPACE_SCRATCH] = scratch_bytes & ~7ull;
	rg_heap_reset(heap);
}

int rg_heap_new(struct rg_heap *heap, uint64_t bytes, struct rg_error *err)
{
	void *scratch = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (scratch == MAP_FAILED)
		return rg_error_set(err, RG_ENOMEM,
				    "cannot reserve %llu bytes of address space for values",
				    (unsigned long long)bytes);
	rg_heap_init(heap, scratch, bytes);
	return RG_OK;
}

void rg_heap_free(struct rg_heap *heap)
{
	if (heap->space[RG_SPACE_SCRATCH])
		munmap(heap->space[RG_SPACE_SCRATCH], heap->bytes[RG_SPACE_SCRATCH]);
	memset(heap, 0, sizeof(*heap));
}

static uint64_t round8(uint64_t bytes)
{
	return (bytes + 7) & ~7ull;
}

void *rg_heap_alloc(struct rg_heap *heap, uint64_t bytes, uint64_t *offset)
{
	uint64_t room = heap->bytes[RG_SPACE_SCRATCH] - heap->used;

	if (heap->exhausted || bytes > room || round8(bytes) > room) {
		heap->exhausted = true;
		return NULL;
	}
	*offset = heap->used;
	heap->used += round8(bytes);
	return heap->space[RG_SPACE_SCRATCH] + *offset;
}

bool rg_heap_extend(struct rg_heap *heap, uint64_t offset, uint64_t old_bytes, uint64_t new_bytes)
{
	uint64_t capacity = heap->bytes[RG_SPACE_SCRATCH];

	if (offset + round8(old_bytes) != heap->used || new_bytes > capacity ||
	    round8(new_bytes) > capacity - offset)
		return false;
	heap->used = offset + round8(new_bytes);
	return true;
}

/* ---- strings ---- */

struct rg_value rg_string_alloc(struct rg_heap *heap, size_t bytes, char **text)
{
	uint64_t offset;

	if (bytes > UINT32_MAX) {
		heap->exhausted = true;
		return rg_undefined;
	}
	*text = rg_heap_alloc(heap, bytes, &offset);
	if (!*text)
		return rg_undefined;
	return (struct rg_value){.type = RG_STRING,
				 .space = RG_SPACE_SCRATCH,
				 .length = (uint32_t)bytes,
				 .offset = offset};
}

struct rg_value rg_string(struct rg_heap *heap, const char *text, size_t bytes)
{
	char *copy;
	struct rg_value v = rg_string_alloc(heap, bytes, &copy);

	if (rg_is_defined(v) && bytes)
		memcpy(copy, text, bytes);
	return v;
}

struct rg_value rg_string_c(struct rg_heap *heap, const char *text)
{
	return rg_string(heap, text, strlen(text));
}

struct rg_value rg_string_trim(struct rg_heap *heap, struct rg_value v, size_t bytes)
{
	if (v.offset + round8(v.length) == heap->used)
		heap->used = v.offset + round8(bytes);
	v.length = (uint32_t)bytes;
	return v;
}

bool rg_string_is(const struct rg_heap *heap, struct rg_value v, const char *text)
{
	size_t bytes = strlen(text);

	return v.type == RG_STRING && v.length == bytes && !memcmp(rg_text(heap, v), text, bytes);
}

/* ---- total order ---- */

static int compare_int(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_text(const struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	uint32_t common = a.length < b.length ? a.length : b.length;
	int order = common ? memcmp(rg_text(heap, a), rg_text(heap, b), common) : 0;

	return order ? order : compare_int(a.length, b.length);
}

static bool same_bits(struct rg_value a, struct rg_value b)
{
	return !memcmp(&a, &b, sizeof(a));
}

/* Charge a visit of both containers. False: too deep or too much work; `exhausted` is set. */
static bool enter(struct rg_heap *heap, uint32_t depth, uint64_t items)
{
	if (depth < RG_VALUE_DEPTH_MAX)
		return rg_heap_charge(heap, items + 1);
	heap->exhausted = true;
	return false;
}

static int compare_containers(struct rg_heap *heap, struct rg_value a, struct rg_value b,
			      uint32_t depth)
{
	uint32_t a_count = rg_count(heap, a), b_count = rg_count(heap, b);
	uint32_t common = a_count < b_count ? a_count : b_count;

	if (!enter(heap, depth, common))
		return 0;
	rg_container_sort_within(heap, a, depth);
	rg_container_sort_within(heap, b, depth);
	for (uint32_t i = 0; i < common && !heap->exhausted; i++) {
		int order;

		if (a.type == RG_OBJECT) {
			struct rg_pair *x = &rg_container_pairs(heap, a)[i],
				       *y = &rg_container_pairs(heap, b)[i];

			order = rg_compare_within(heap, x->key, y->key, depth + 1);
			if (!order)
				order = rg_compare_within(heap, x->value, y->value, depth + 1);
		} else {
			order = rg_compare_within(heap, rg_container_values(heap, a)[i],
						  rg_container_values(heap, b)[i], depth + 1);
		}
		if (order)
			return order;
	}
	return compare_int(a_count, b_count);
}

int rg_compare_within(struct rg_heap *heap, struct rg_value a, struct rg_value b, uint32_t depth)
{
	if (a.type != b.type)
		return compare_int(a.type, b.type);
	switch (a.type) {
	case RG_BOOLEAN: return compare_int(a.i, b.i);
	case RG_NUMBER:
		if (a.form == RG_NUMBER_INT && b.form == RG_NUMBER_INT)
			return compare_int(a.i, b.i);
		if (!rg_heap_charge_text(heap, a) || !rg_heap_charge_text(heap, b))
			return 0;
		return rg_number_compare(heap, a, b);
	case RG_STRING:
		return rg_heap_charge_text(heap, a.length < b.length ? a : b)
			       ? compare_text(heap, a, b)
			       : 0;
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: return same_bits(a, b) ? 0 : compare_containers(heap, a, b, depth);
	default: return 0;
	}
}

int rg_compare(struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	return rg_compare_within(heap, a, b, 0);
}

/* ---- equality ---- */

static bool equal_within(struct rg_heap *heap, struct rg_value a, struct rg_value b,
			 uint32_t depth);

/* Sets and objects: each item of a has its like in b, and there are as many. Needs no order. */
static bool equal_containers(struct rg_heap *heap, struct rg_value a, struct rg_value b,
			     uint32_t depth)
{
	uint32_t count = rg_count(heap, a);

	if (count != rg_count(heap, b) || !enter(heap, depth, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		bool equal;

		if (a.type == RG_ARRAY) {
			equal = equal_within(heap, rg_container_values(heap, a)[i],
					     rg_container_values(heap, b)[i], depth + 1);
		} else if (a.type == RG_SET) {
			equal = rg_container_find(heap, b, rg_container_values(heap, a)[i],
						  depth + 1) != RG_CONTAINER_NONE;
		} else {
			struct rg_pair pair = rg_container_pairs(heap, a)[i];
			uint32_t other = rg_container_find(heap, b, pair.key, depth + 1);

			equal = other != RG_CONTAINER_NONE &&
				equal_within(heap, pair.value,
					     rg_container_pairs(heap, b)[other].value, depth + 1);
		}
		if (!equal)
			return false;
	}
	return !heap->exhausted;
}

static bool equal_within(struct rg_heap *heap, struct rg_value a, struct rg_value b, uint32_t depth)
{
	if (same_bits(a, b))
		return true;
	if (a.type != b.type)
		return false;
	switch (a.type) {
	case RG_NUMBER:
		if (a.form != RG_NUMBER_TEXT && b.form != RG_NUMBER_TEXT)
			return false; /* each has one normal form */
		return rg_heap_charge_text(heap, a) && rg_heap_charge_text(heap, b) &&
		       !rg_number_compare(heap, a, b);
	case RG_STRING:
		return a.length == b.length && rg_heap_charge_text(heap, a) &&
		       !memcmp(rg_text(heap, a), rg_text(heap, b), a.length);
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: return equal_containers(heap, a, b, depth);
	default: return false; /* null, true and false are equal bit by bit or not at all */
	}
}

bool rg_equal_within(struct rg_heap *heap, struct rg_value a, struct rg_value b, uint32_t depth)
{
	return equal_within(heap, a, b, depth);
}

bool rg_equal(struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	return equal_within(heap, a, b, 0);
}

/* ---- hash ---- */

/* Multiply-and-fold mixing (the idea of wyhash): both halves of a 128-bit product. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product =
		(unsigned __int128)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xe7037ed1a0b428dbull);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t rg_hash_text(const char *text, size_t bytes)
{
	uint64_t hash = mix(RG_STRING, bytes), word;

	while (bytes >= 8) {
		memcpy(&word, text, 8);
		hash = mix(hash, word);
		text += 8;
		bytes -= 8;
	}
	word = 0;
	if (bytes)
		memcpy(&word, text, bytes);
	return mix(hash, word);
}

uint64_t rg_hash_within(struct rg_heap *heap, struct rg_value v, uint32_t depth)
{
	uint64_t hash;
	uint32_t count;

	if (!rg_heap_charge_text(heap, v))
		return 0;
	switch (v.type) {
	case RG_NUMBER: return mix(RG_NUMBER, rg_number_hash(heap, v));
	case RG_STRING: return rg_hash_text(rg_text(heap, v), v.length);
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: break;
	default: return mix(v.type, (uint64_t)v.i);
	}
	count = rg_count(heap, v);
	hash = mix(v.type, count);
	if (!enter(heap, depth, count))
		return hash;
	for (uint32_t i = 0; i < count; i++) {
		if (v.type == RG_ARRAY) {
			hash = mix(hash, rg_hash_within(heap, rg_container_values(heap, v)[i],
							depth + 1));
		} else if (v.type ==
			   RG_SET) { /* sums: the order of unsorted items must not matter */
			hash += rg_hash_within(heap, rg_container_values(heap, v)[i], depth + 1);
		} else {
			struct rg_pair *pair = &rg_container_pairs(heap, v)[i];

			hash += mix(rg_hash_within(heap, pair->key, depth + 1),
				    rg_hash_within(heap, pair->value, depth + 1));
		}
	}
	return mix(hash, count);
}

uint64_t rg_hash(struct rg_heap *heap, struct rg_value v)
{
	return rg_hash_within(heap, v, 0);
}

/* ---- copies ---- */

static struct rg_value copy_text(struct rg_heap *to, const struct rg_heap *from, struct rg_value v)
{
	struct rg_value copy = rg_string(to, rg_text(from, v), v.length);

	if (rg_is_defined(copy)) {
		copy.type = v.type;
		copy.form = v.form;
	}
	return copy;
}

static struct rg_value copy_within(struct rg_heap *to, struct rg_heap *from, struct rg_value v,
				   uint32_t depth)
{
	uint32_t count;
	struct rg_value copy;
	bool done = true;

	if (v.type == RG_STRING || (v.type == RG_NUMBER && v.form == RG_NUMBER_TEXT))
		return copy_text(to, from, v);
	if (v.type < RG_ARRAY)
		return v;
	count = rg_count(from, v);
	if (!enter(to, depth, count))
		return rg_undefined;
	rg_container_sort(from, v);
	copy = v.type == RG_ARRAY ? rg_array(to, count)
	       : v.type == RG_SET ? rg_set(to, count)
				  : rg_object(to, count);
	for (uint32_t i = 0; i < count && rg_is_defined(copy) && done; i++) {
		if (v.type == RG_ARRAY) {
			done = rg_array_append(
				to, copy,
				copy_within(to, from, rg_container_values(from, v)[i], depth + 1));
		} else if (v.type == RG_SET) {
			done = rg_set_add(
				to, copy,
				copy_within(to, from, rg_container_values(from, v)[i], depth + 1));
		} else {
			struct rg_pair pair = rg_container_pairs(from, v)[i];
			struct rg_value key = copy_within(to, from, pair.key, depth + 1);

			done = rg_object_insert(to, copy, key,
						copy_within(to, from, pair.value, depth + 1));
		}
	}
	return done && !to->exhausted ? copy : rg_undefined;
}

struct rg_value rg_copy(struct rg_heap *to, struct rg_heap *from, struct rg_value v)
{
	return copy_within(to, from, v, 0);
}

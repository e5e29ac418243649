/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rego values, and the heap they live in.
 *
 * A value is 16 bytes and holds no pointer: what does not fit is named by a space and an offset
 * into it. The same bits mean the same value in an image (built by the compiler, mapped read-only,
 * shared by all workers), in a worker's scratch and in a request. There are three spaces:
 *
 *	IMAGE	 the policy image: constants, strings, the data document. Read-only, verified.
 *	SCRATCH	 a bump arena of fixed capacity that belongs to one evaluation; reset in O(1).
 *	REQUEST	 the bytes of the request being decided: char[N] fields are used in place.
 *
 * Numbers. Rego numbers are arbitrary-precision decimals. Three forms, each number in exactly one
 * (rg_number_* normalise), so that equal integers of INT form are bitwise equal:
 *
 *	INT	 an integer that fits int64.
 *	DECIMAL	 i x 10^exponent, -18 <= exponent <= -1, mantissa fits int64, i % 10 != 0.
 *	TEXT	 anything else: JSON number text, kept digit for digit.
 *
 * A number written "1.0", "1.50" or "-0" is numerically 1, 1.5 or 0 and compares equal to it, but
 * prints as written: such spellings are TEXT form. Comparison, equality and hash always go by the
 * numeric value.
 *
 * Containers. Arrays, objects and sets are named by the offset of a header and have reference
 * semantics: while a container is being built (MakeObject, ObjectInsert, ...), every value that
 * names it sees the change. Nothing changes a container of the IMAGE. Objects and sets answer
 * lookups in O(1) and iterate in Rego's total order (sorted when first asked after a change). Their
 * layout is in container.h.
 *
 * Out of memory: the heap has a bound; when it is used up the heap's `exhausted` flag is set, the
 * operation returns undefined (or false), and the evaluator stops with RG_EVAL_MEMORY. Nothing
 * aborts. The same flag is set when a walk over values and their texts (compare, equal, hash, copy,
 * write) meets more than RG_VALUE_DEPTH_MAX levels or uses up heap->work: sharing can make a value
 * of a few hundred bytes that takes 2^40 steps to walk. Whoever gets a result from such a walk
 * checks `exhausted` before using it for good (the evaluator does so after each built-in and each
 * backward step).
 *
 * Total order (source: OPA v1/ast/compare.go): null < false < true < numbers < strings (bytewise) <
 * arrays (lexicographic, then length) < objects (sorted keys pairwise, then values) < sets (sorted
 * members).
 *
 * Thread-safety: a heap belongs to one thread. Image space may be shared by any number of heaps.
 */
#ifndef RG_POLICY_EVAL_VALUE_H
#define RG_POLICY_EVAL_VALUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

/* In the order of the total order. UNDEFINED is the absence of a value and never inside a
 * container. */
enum rg_value_type {
	RG_UNDEFINED = 0,
	RG_NULL = 1,
	RG_BOOLEAN = 2,
	RG_NUMBER = 3,
	RG_STRING = 4,
	RG_ARRAY = 5,
	RG_OBJECT = 6,
	RG_SET = 7
};

enum rg_number_form { RG_NUMBER_INT = 0, RG_NUMBER_DECIMAL = 1, RG_NUMBER_TEXT = 2 };

/* Levels of containers that a walk follows: above what JSON may have (RG_JSON_DEPTH_MAX). */
#define RG_VALUE_DEPTH_MAX 1024

/* Items that walks over values may visit between two resets of a heap, unless heap->work is set
 * otherwise. */
#define RG_HEAP_WORK_DEFAULT (1ull << 28)

enum rg_space {
	RG_SPACE_IMAGE = 0,
	RG_SPACE_SCRATCH = 1,
	RG_SPACE_REQUEST = 2,
	RG_SPACE_COUNT = 3
};

struct rg_value {
	uint8_t type;	 /* enum rg_value_type */
	uint8_t form;	 /* numbers: enum rg_number_form; else 0 */
	uint8_t space;	 /* enum rg_space, for what has an offset; else 0 */
	int8_t exponent; /* DECIMAL numbers; else 0 */
	uint32_t length; /* STRING and TEXT: bytes; else 0 (a container's count is in its header) */
	union {
		int64_t i;	 /* BOOLEAN 0/1, INT, DECIMAL mantissa */
		uint64_t offset; /* STRING, TEXT, ARRAY, OBJECT, SET: into the space */
	};
};
static_assert(sizeof(struct rg_value) == 16, "values are stored in images: raise RG_IMAGE_VERSION");

struct rg_pair {
	struct rg_value key, value;
};

struct rg_heap {
	uint8_t *space[RG_SPACE_COUNT]; /* base addresses; IMAGE and REQUEST are never written */
	uint64_t bytes[RG_SPACE_COUNT]; /* size of each space (SCRATCH: capacity) */
	uint64_t used;			/* of SCRATCH */
	uint64_t work;			/* items that walks over containers may still visit */
	bool exhausted;
};

static const struct rg_value rg_undefined = {0};

static inline struct rg_value rg_null(void)
{
	return (struct rg_value){.type = RG_NULL};
}

static inline struct rg_value rg_boolean(bool b)
{
	return (struct rg_value){.type = RG_BOOLEAN, .i = b};
}

static inline struct rg_value rg_int(int64_t i)
{
	return (struct rg_value){.type = RG_NUMBER, .form = RG_NUMBER_INT, .i = i};
}

static inline bool rg_is_defined(struct rg_value v)
{
	return v.type != RG_UNDEFINED;
}

static inline bool rg_is_false(struct rg_value v)
{
	return v.type == RG_BOOLEAN && v.i == 0;
}

/* Address of what v names. Valid until the heap is reset or, for SCRATCH, forever at the same address:
 * the arena never moves. */
static inline void *rg_at(const struct rg_heap *heap, uint8_t space, uint64_t offset)
{
	return heap->space[space] + offset;
}

/* ---- heap ---- */

/* Make a heap over bytes of caller memory (8-aligned; the worker carves it at boot). */
void rg_heap_init(struct rg_heap *heap, void *scratch, uint64_t scratch_bytes);
/* Make a heap that reserves `bytes` of address space and touches it only as used; for control and tools.
 * Free with rg_heap_free(). Returns RG_OK or RG_ENOMEM. */
int rg_heap_new(struct rg_heap *heap, uint64_t bytes, struct rg_error *err);
void rg_heap_free(struct rg_heap *heap);
/* Forget all of SCRATCH. O(1). */
static inline void rg_heap_reset(struct rg_heap *heap)
{
	heap->used = 0;
	heap->work = RG_HEAP_WORK_DEFAULT;
	heap->exhausted = false;
}
/* bytes of SCRATCH, 8-aligned, uninitialised; offset in *offset. NULL and `exhausted` when there
 * is no room. */
void *rg_heap_alloc(struct rg_heap *heap, uint64_t bytes, uint64_t *offset);
/* Make the block at `offset` larger, from old_bytes to new_bytes, if it is the last one and
 * there is room. */
bool rg_heap_extend(struct rg_heap *heap, uint64_t offset, uint64_t old_bytes, uint64_t new_bytes);
/* Charge `items` to heap->work. False, and `exhausted`, when there is less left. */
static inline bool rg_heap_charge(struct rg_heap *heap, uint64_t items)
{
	if (heap->work < items) {
		heap->work = 0;
		heap->exhausted = true;
		return false;
	}
	heap->work -= items;
	return true;
}

/* Charge a walk over v's text, if it has one: 64 bytes of a string, or 8 digits of a number, are
 * an item. Short texts are free. */
static inline bool rg_heap_charge_text(struct rg_heap *heap, struct rg_value v)
{
	uint64_t bytes = v.type == RG_NUMBER ? 8ull * v.length : v.length;

	return bytes < 64 || rg_heap_charge(heap, bytes / 64);
}

/* ---- strings ---- */

/* Copy bytes of UTF-8 text into SCRATCH. */
struct rg_value rg_string(struct rg_heap *heap, const char *text, size_t bytes);
struct rg_value rg_string_c(struct rg_heap *heap, const char *text);
/* A string of `bytes` uninitialised bytes, to be written through *text at once. */
struct rg_value rg_string_alloc(struct rg_heap *heap, size_t bytes, char **text);
/* Shorten the string that was allocated last. */
struct rg_value rg_string_trim(struct rg_heap *heap, struct rg_value v, size_t bytes);
/* A substring that shares v's bytes. */
static inline struct rg_value rg_string_slice(struct rg_value v, uint32_t from, uint32_t bytes)
{
	v.offset += from;
	v.length = bytes;
	return v;
}
static inline const char *rg_text(const struct rg_heap *heap, struct rg_value v)
{
	return (const char *)rg_at(heap, v.space,
				   v.offset); /* STRING or TEXT number; not terminated */
}
bool rg_string_is(const struct rg_heap *heap, struct rg_value v, const char *text);

/* ---- containers ---- */

struct rg_value rg_array(struct rg_heap *heap, uint32_t capacity);
struct rg_value rg_object(struct rg_heap *heap, uint32_t capacity);
struct rg_value rg_set(struct rg_heap *heap, uint32_t capacity);

/* Number of elements of an ARRAY, OBJECT or SET. */
uint32_t rg_count(const struct rg_heap *heap, struct rg_value v);

/* Append to an array under construction (SCRATCH). False when memory is used up. */
bool rg_array_append(struct rg_heap *heap, struct rg_value array, struct rg_value element);
/* Element i < rg_count(). */
struct rg_value rg_array_at(const struct rg_heap *heap, struct rg_value array, uint32_t i);

/* Insert or overwrite. False when memory is used up. */
bool rg_object_insert(struct rg_heap *heap, struct rg_value object, struct rg_value key,
		      struct rg_value value);
/* The value of key, or undefined. */
struct rg_value rg_object_get(struct rg_heap *heap, struct rg_value object, struct rg_value key);
struct rg_value rg_object_get_text(struct rg_heap *heap, struct rg_value object, const char *key,
				   size_t bytes);
/* Pair i < rg_count() in sorted key order. May sort a SCRATCH object first (hence no const). */
struct rg_pair rg_object_at(struct rg_heap *heap, struct rg_value object, uint32_t i);

/* Insert. False when memory is used up. */
bool rg_set_add(struct rg_heap *heap, struct rg_value set, struct rg_value element);
bool rg_set_has(struct rg_heap *heap, struct rg_value set, struct rg_value element);
/* Rego's `element in collection`: an element of an array or set, a value of an object; never of anything else. */
bool rg_is_member(struct rg_heap *heap, struct rg_value element, struct rg_value collection);
/* Member i < rg_count() in sorted order. May sort a SCRATCH set first. */
struct rg_value rg_set_at(struct rg_heap *heap, struct rg_value set, uint32_t i);
/* Any container's i-th key and value as Rego's `some key, value in` gives them: of an array position
 * and element, of a set twice the member. */
struct rg_pair rg_pair_at(struct rg_heap *heap, struct rg_value container, uint32_t i);

/* DotStmt: object lookup; array element by a non-negative integral number in range (1.0 works, 1.5 and -1 do
 * not); set member -> the key itself; anything else undefined. Source: OPA IR, DotStmt. */
struct rg_value rg_dot(struct rg_heap *heap, struct rg_value v, struct rg_value key);

/* ---- order, equality, hash ---- */

/* Total order: <0, 0, >0. Both defined. May sort containers. */
int rg_compare(struct rg_heap *heap, struct rg_value a, struct rg_value b);
/* rg_compare() == 0, faster. */
bool rg_equal(struct rg_heap *heap, struct rg_value a, struct rg_value b);
/* Equal values have equal hashes, whatever their form or space. Stable across processes: images
 * store it. */
uint64_t rg_hash(struct rg_heap *heap, struct rg_value v);

/* ---- copies ---- */

/* Deep copy of v (any space of `from`) into SCRATCH of `to`. Used by the compiler, the tools and
 * the HTTP API. */
struct rg_value rg_copy(struct rg_heap *to, struct rg_heap *from, struct rg_value v);
/* Shallow copy of a container into SCRATCH, to be changed (copy-on-write of `with`, ObjectMerge,
 * builtins). */
struct rg_value rg_clone(struct rg_heap *heap, struct rg_value v);

/* ---- JSON ---- */

/* Parse one JSON document into SCRATCH. Errors name line and column. Returns RG_OK, RG_EINVAL or
 * RG_ENOMEM. */
int rg_value_parse(struct rg_heap *heap, const char *json, size_t bytes, struct rg_value *out,
		   struct rg_error *err);
/* Read the value that starts at the reader's current token (already returned as `token`). */
int rg_value_read(struct rg_heap *heap, struct rg_json_reader *reader, enum rg_json_token token,
		  struct rg_value *out, struct rg_error *err);
/* Write v as JSON: keys sorted, sets as arrays in order, non-string keys as their JSON text,
 * numbers digit for digit. */
void rg_value_write(struct rg_heap *heap, struct rg_value v, struct rg_json_writer *writer);
/* As a string in SCRATCH, compact, as OPA's json.marshal prints it (HTML-safe escapes as Go's
 * encoder). */
struct rg_value rg_value_json(struct rg_heap *heap, struct rg_value v);

#endif

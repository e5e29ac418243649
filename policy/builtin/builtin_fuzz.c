/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any built-in, with any values. The first byte picks the function, the next two the
 * room in the heap and the budget, the rest is read as operands: a small language of values, of
 * which some are taken from the text. A call may give a result or any of its errors; the sanitizers
 * see whether it touches what it should not. A result is then walked as the evaluator and its
 * callers do: hashed, compared with its copy, printed.
 */
#include <stdint.h>
#include <string.h>

#include "policy/builtin/builtin.h"
#include "policy/eval/number.h"
#include "policy/eval/value_text.h"

#define HEAP_BYTES (4u << 20)

struct input {
	const uint8_t *at, *end;
};

static uint8_t next_byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static struct rg_value next_text(struct rg_heap *heap, struct input *in)
{
	static const char *const words[] = {"a",
					    "",
					    "2006-01-02T15:04:05Z07:00",
					    "America/New_York",
					    "10.0.0.0/8",
					    "::1/64",
					    "^(a|b)*$",
					    "*.{a,b}[!c]",
					    "%5.2f|%v|%-8s|%x|%[2]d",
					    "{\"a\":[1,2,{\"b\":null}]}",
					    "a: [1, &x b]\n",
					    "YWI=",
					    "op",
					    "path",
					    "/a/0",
					    "add",
					    "value",
					    "1h30m",
					    "10Mi",
					    "1.2.3-a.1",
					    "00000000-0000-1000-8000-325096b39f47",
					    "https://u@h:1/p?q#f",
					    "pretty",
					    "indent",
					    "é😀"};
	uint8_t kind = next_byte(in);
	size_t bytes;

	if (kind < 128)
		return rg_string_c(heap, words[kind % (sizeof(words) / sizeof(*words))]);
	bytes = kind - 128;
	if (bytes > (size_t)(in->end - in->at))
		bytes = (size_t)(in->end - in->at);
	in->at += bytes;
	return rg_string(heap, (const char *)in->at - bytes, bytes);
}

static struct rg_value next_number(struct rg_heap *heap, struct input *in)
{
	static const char *const numbers[] = {"0",
					      "1",
					      "-1",
					      "1.5",
					      "1.0",
					      "9223372036854775807",
					      "-9223372036854775808",
					      "28857836529306024611913",
					      "1e400",
					      "-1e-400",
					      "1e5000",
					      "1e1000000",
					      "0.1",
					      "1582977600123456789",
					      "3",
					      "255"};
	uint8_t kind = next_byte(in);

	if (kind < 128) {
		const char *text = numbers[kind % (sizeof(numbers) / sizeof(*numbers))];

		return rg_number_from_text(heap, text, strlen(text));
	}
	return rg_number_from_decimal(heap, (int8_t)next_byte(in) * (int64_t)next_byte(in),
				      (int8_t)(next_byte(in) / 8 - 16));
}

static struct rg_value next_value(struct rg_heap *heap, struct input *in, int depth)
{
	uint8_t kind = next_byte(in);
	struct rg_value v;

	switch (depth ? kind % 9 : kind % 5) {
	case 0: return rg_null();
	case 1: return rg_boolean(kind / 9 % 2);
	case 2: return next_number(heap, in);
	case 3:
	case 4: return next_text(heap, in);
	case 5:
	case 6:
		v = rg_array(heap, 0);
		for (int i = kind / 9 % 5; i > 0 && rg_is_defined(v); i--)
			rg_array_append(heap, v, next_value(heap, in, depth - 1));
		return v;
	case 7:
		v = rg_set(heap, 0);
		for (int i = kind / 9 % 5; i > 0 && rg_is_defined(v); i--)
			rg_set_add(heap, v, next_value(heap, in, depth - 1));
		return v;
	default:
		v = rg_object(heap, 0);
		for (int i = kind / 9 % 5; i > 0 && rg_is_defined(v); i--) {
			struct rg_value key = next_value(heap, in, kind % 2 ? 0 : depth - 1);

			rg_object_insert(heap, v, key, next_value(heap, in, depth - 1));
		}
		return v;
	}
}

/* A result must be a sound value. */
static void walk(struct rg_heap *heap, struct rg_value v)
{
	struct rg_value copy;

	heap->bytes[RG_SPACE_SCRATCH] = HEAP_BYTES;
	if (!rg_is_defined(v) || heap->exhausted)
		return;
	copy = rg_copy(heap, heap, v);
	if (rg_is_defined(copy) && !heap->exhausted) {
		assert(rg_equal(heap, v, copy) || heap->exhausted);
		assert(rg_hash(heap, v) == rg_hash(heap, copy) || heap->exhausted);
		assert(!rg_compare(heap, v, copy) || heap->exhausted);
	}
	rg_value_json(heap, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(64) uint8_t memory[HEAP_BYTES];
	struct input in = {data, data + size};
	struct rg_value args[RG_BUILTIN_ARGS_MAX], result = rg_undefined;
	struct rg_builtin_call call = {.now_ns = 1700000000123456789, .seed = 7};
	const struct rg_builtin *table, *builtin;
	uint32_t count, room, i;
	struct rg_heap heap;

	rg_heap_init(&heap, memory, sizeof(memory));
	heap.work = 1 << 20;
	table = rg_builtin_table(&count);
	builtin = &table[next_byte(&in) % count];
	room = next_byte(&in);
	call.budget = next_byte(&in) < 128 ? 100000 : next_byte(&in);
	for (i = 0; i < builtin->arg_count; i++) {
		args[i] = next_value(&heap, &in, 3);
		if (!rg_is_defined(args[i]) || heap.exhausted)
			return 0;
	}
	if (room >= 192) /* little memory left */
		heap.bytes[RG_SPACE_SCRATCH] = heap.used + (room - 192) * 32;
	call.heap = &heap;
	call.name = builtin->name;
	call.want_error_text = room % 2;
	if (builtin->run(&call, args, &result) == RG_BUILTIN_OK)
		walk(&heap, result);
	return 0;
}

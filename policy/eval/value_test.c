/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values: random operations on containers against a plain model, laws of order, equality and hash
 * over random values, JSON round trips, hostile shapes (cycles, sharing, depth), and exhaustion at
 * every allocation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/eval/container.h"
#include "policy/eval/number.h"
#include "policy/eval/value_text.h"

#define SEED 20261122

static uint64_t random_state = SEED;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((random_state >> 33) % limit);
}

static struct rg_value parse(struct rg_heap *heap, const char *json)
{
	struct rg_value v;
	struct rg_error err;

	assert(rg_value_parse(heap, json, strlen(json), &v, &err) == RG_OK);
	return v;
}

static bool prints(struct rg_heap *heap, struct rg_value v, const char *want)
{
	struct rg_value json = rg_value_json(heap, v);

	if (rg_string_is(heap, json, want))
		return true;
	printf("got %.*s, want %s\n", (int)json.length, rg_text(heap, json), want);
	return false;
}

/* Key number id, in one of several spellings that are equal. */
static struct rg_value key_of(struct rg_heap *heap, uint32_t id)
{
	char text[32];
	struct rg_value pair;

	switch (id % 5) {
	case 0:
		snprintf(text, sizeof(text), random_below(2) ? "%u" : "%u.0", id);
		return rg_number_from_text(heap, text, strlen(text));
	case 1: snprintf(text, sizeof(text), "key %u", id); return rg_string_c(heap, text);
	case 2:
		snprintf(text, sizeof(text), random_below(2) ? "%u.5" : "%u.50", id);
		return rg_number_from_text(heap, text, strlen(text));
	case 3:
		pair = rg_array(heap, 0);
		assert(rg_array_append(heap, pair, rg_string_c(heap, "id")) &&
		       rg_array_append(heap, pair, rg_int(id)));
		return pair;
	default:
		pair = rg_set(heap, 0);
		assert(rg_set_add(heap, pair, rg_int(random_below(2) ? id : 1)) &&
		       rg_set_add(heap, pair, rg_int(1)) && rg_set_add(heap, pair, rg_int(id)));
		return pair;
	}
}

static void check_order(struct rg_heap *heap, struct rg_value object, struct rg_value set)
{
	for (uint32_t i = 1; i < rg_count(heap, object); i++)
		assert(rg_compare(heap, rg_object_at(heap, object, i - 1).key,
				  rg_object_at(heap, object, i).key) < 0);
	for (uint32_t i = 1; i < rg_count(heap, set); i++)
		assert(rg_compare(heap, rg_set_at(heap, set, i - 1), rg_set_at(heap, set, i)) < 0);
}

/* Random inserts and lookups, and now and then an ordered access, against an array of "what id
 * maps to". */
static void test_model(uint32_t ids, uint32_t steps)
{
	struct rg_heap heap;
	struct rg_error err;
	struct rg_value object, set, copy;
	int64_t *model = calloc(ids, sizeof(*model));
	uint32_t count = 0;

	assert(model && rg_heap_new(&heap, 1ull << 30, &err) == RG_OK);
	object = rg_object(&heap, random_below(4));
	set = rg_set(&heap, random_below(4));
	for (uint32_t step = 1; step <= steps; step++) {
		uint32_t id = random_below(ids);
		struct rg_value key = key_of(&heap, id);

		if (random_below(3)) {
			count += !model[id];
			model[id] = step;
			assert(rg_object_insert(&heap, object, key, rg_int(step)));
			assert(rg_set_add(&heap, set, key));
		}
		assert(rg_count(&heap, object) == count && rg_count(&heap, set) == count);
		assert(rg_set_has(&heap, set, key) == (model[id] != 0));
		assert(rg_is_defined(rg_object_get(&heap, object, key)) == (model[id] != 0));
		assert(!model[id] || rg_object_get(&heap, object, key).i == model[id]);
		assert(rg_is_defined(rg_dot(&heap, set, key)) == (model[id] != 0));
		if (key.type == RG_STRING)
			assert(rg_is_defined(rg_object_get_text(&heap, object, rg_text(&heap, key),
								key.length)) == (model[id] != 0));
		if (!random_below(steps / 4))
			check_order(&heap, object, set);
	}
	check_order(&heap, object, set);
	for (uint32_t id = 0; id < ids; id++)
		assert(rg_set_has(&heap, set, key_of(&heap, id)) == (model[id] != 0));
	copy = rg_copy(&heap, &heap, object);
	assert(rg_equal(&heap, copy, object) && !rg_compare(&heap, copy, object) &&
	       rg_hash(&heap, copy) == rg_hash(&heap, object));
	copy = rg_clone(&heap, set);
	assert(rg_equal(&heap, copy, set) && rg_set_add(&heap, copy, rg_null()) &&
	       !rg_equal(&heap, copy, set));
	assert(!rg_set_has(&heap, set, rg_null()));
	rg_heap_free(&heap);
	free(model);
}

/* A random value; depth bounds its nesting. Small ranges, so that equal ones are frequent. */
static struct rg_value random_value(struct rg_heap *heap, int depth)
{
	static const char *const numbers[] = {
		"1", "1.0", "1e0", "10", "1e1", "0.1", "1.5", "-3", "28857836529306024611913",
		"0", "-0"};
	static const char *const strings[] = {
		"", "a", "b", "ab", "\303\251", "z", "aaaaaaaaaaaaaaaaaaaa"};
	uint32_t kind = random_below(depth ? 9 : 5),
		 count = random_below(random_below(20) ? 4 : 40);
	const char *text;
	struct rg_value v;

	switch (kind) {
	case 0: return rg_null();
	case 1: return rg_boolean(random_below(2));
	case 2:
		text = numbers[random_below(sizeof(numbers) / sizeof(*numbers))];
		return rg_number_from_text(heap, text, strlen(text));
	case 3: return rg_int(random_below(5));
	case 4: return rg_string_c(heap, strings[random_below(sizeof(strings) / sizeof(*strings))]);
	case 5:
	case 6:
		v = rg_array(heap, 0);
		while (count--)
			rg_array_append(heap, v, random_value(heap, depth - 1));
		return v;
	case 7:
		v = rg_set(heap, 0);
		while (count--)
			rg_set_add(heap, v, random_value(heap, depth - 1));
		return v;
	default:
		v = rg_object(heap, 0);
		while (count--) {
			struct rg_value key = random_value(heap, depth - 1);

			rg_object_insert(heap, v, key, random_value(heap, depth - 1));
		}
		return v;
	}
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void test_laws(void)
{
	enum { COUNT = 70 };
	struct rg_value v[COUNT];
	struct rg_heap heap;
	struct rg_error err;

	assert(rg_heap_new(&heap, 1ull << 30, &err) == RG_OK);
	for (int i = 0; i < COUNT; i++)
		v[i] = i % 3 ? random_value(&heap, i % 4)
			     : rg_copy(&heap, &heap, random_value(&heap, 2));
	for (int i = 0; i < COUNT; i++) {
		struct rg_value copy = rg_copy(&heap, &heap, v[i]);

		assert(rg_equal(&heap, v[i], copy) && !rg_compare(&heap, v[i], copy) &&
		       rg_hash(&heap, v[i]) == rg_hash(&heap, copy));
		for (int k = 0; k < COUNT; k++) {
			int order = sign(rg_compare(&heap, v[i], v[k]));

			assert(order == -sign(rg_compare(&heap, v[k], v[i])));
			assert((order == 0) == rg_equal(&heap, v[i], v[k]));
			if (!order)
				assert(rg_hash(&heap, v[i]) == rg_hash(&heap, v[k]));
			for (int m = 0; m < COUNT; m++) {
				if (order <= 0 && rg_compare(&heap, v[k], v[m]) <= 0)
					assert(rg_compare(&heap, v[i], v[m]) <= 0);
			}
		}
	}
	assert(!heap.exhausted);
	rg_heap_free(&heap);
}

static void test_order(void)
{
	/* Source: opa eval. */
	static const char *const ascending[] = {"null",	     "false",
						"true",	     "-1",
						"0",	     "1.5",
						"\"\"",	     "\"a\"",
						"\"b\"",     "[]",
						"[1]",	     "[1,2]",
						"[2]",	     "{}",
						"{\"a\":1}", "{\"a\":1,\"c\":0}",
						"{\"a\":2}", "{\"a\":2,\"b\":1}",
						"{\"b\":0}"};
	size_t n = sizeof(ascending) / sizeof(*ascending);
	struct rg_heap heap;
	struct rg_error err;

	assert(rg_heap_new(&heap, 1 << 24, &err) == RG_OK);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++)
			assert(sign(rg_compare(&heap, parse(&heap, ascending[i]),
					       parse(&heap, ascending[k]))) == (i > k) - (i < k));
	}
	rg_heap_free(&heap);
}

static void test_json(void)
{
	static const char *const same[] = {"null",
					   "true",
					   "[]",
					   "{}",
					   "[1,2.50,1e400,-0,\"x\"]",
					   "{\"a\":[{}],\"b\":{\"c\":null}}",
					   "\"\xc3\xa9\"",
					   "\"\\u003c\\n\\u0001\\\\\\\"\"",
					   "\"\\u2028\"",
					   "12345678901234567890.123456789012345678901234567890"};
	static const char *const bad[] = {"", "[1", "{\"a\"}", "tru", "1 2", "[1,]", "\"\n\""};
	struct rg_heap heap;
	struct rg_error err;
	struct rg_value v;
	struct rg_json_writer writer;
	char deep[2 * RG_JSON_DEPTH_MAX + 4];

	assert(rg_heap_new(&heap, 1 << 24, &err) == RG_OK);
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		assert(prints(&heap, parse(&heap, same[i]), same[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert(rg_value_parse(&heap, bad[i], strlen(bad[i]), &v, &err) == RG_EINVAL &&
		       strstr(err.text, "line 1"));
	}
	assert(prints(&heap, parse(&heap, "{\"b\":1,\"a\":2,\"b\":3}"), "{\"a\":2,\"b\":3}"));
	assert(prints(&heap, parse(&heap, "\"<\\ud83d\\ude00\\ud800>\""),
		      "\"\\u003c\xf0\x9f\x98\x80\xef\xbf\xbd\\u003e\""));
	v = rg_object(&heap, 0);
	assert(rg_object_insert(&heap, v, parse(&heap, "[1,\"x\"]"), rg_int(1)) &&
	       rg_object_insert(&heap, v, rg_int(7), rg_set(&heap, 0)));
	assert(prints(&heap, v, "{\"7\":[],\"[1,\\\"x\\\"]\":1}"));
	rg_json_writer_init(&writer, false);
	rg_value_write(&heap, v, &writer);
	assert(!writer.failed && writer.bytes == strlen("{\"7\":[],\"[1,\\\"x\\\"]\":1}"));
	rg_json_writer_free(&writer);
	memset(deep, '[', RG_JSON_DEPTH_MAX);
	memset(deep + RG_JSON_DEPTH_MAX, ']', RG_JSON_DEPTH_MAX);
	assert(rg_value_parse(&heap, deep, 2 * RG_JSON_DEPTH_MAX, &v, &err) == RG_OK);
	assert(rg_equal(&heap, v, rg_copy(&heap, &heap, v)) &&
	       rg_value_json(&heap, v).length == 2 * RG_JSON_DEPTH_MAX);
	rg_heap_free(&heap);
}

/* Shapes that only a hand-made plan can build: each walk ends, and says so. */
static void test_hostile(void)
{
	struct rg_heap heap;
	struct rg_error err;
	struct rg_value a, b, cycle, set;
	struct rg_json_writer writer;

	assert(rg_heap_new(&heap, 1 << 26, &err) == RG_OK);
	cycle = rg_array(&heap, 1);
	b = rg_array(&heap, 1);
	assert(rg_array_append(&heap, cycle, cycle) && rg_array_append(&heap, b, b));
	assert(!rg_equal(&heap, cycle, b) && heap.exhausted);
	rg_compare(&heap, cycle, b);
	rg_hash(&heap, cycle);
	assert(!rg_is_defined(rg_copy(&heap, &heap, cycle)) &&
	       !rg_is_defined(rg_value_json(&heap, cycle)));

	rg_heap_reset(&heap); /* 60 levels that share: 2^60 leaves */
	a = rg_array(&heap, 2);
	b = rg_array(&heap, 2);
	assert(rg_array_append(&heap, a, rg_int(1)) && rg_array_append(&heap, b, rg_int(1)));
	for (int level = 0; level < 60; level++) {
		struct rg_value x = rg_array(&heap, 2), y = rg_array(&heap, 2);

		assert(rg_array_append(&heap, x, a) && rg_array_append(&heap, x, a));
		assert(rg_array_append(&heap, y, b) && rg_array_append(&heap, y, b));
		a = x;
		b = y;
	}
	heap.work = 1 << 20;
	assert(!rg_equal(&heap, a, b) && heap.exhausted);
	heap.exhausted = false;
	heap.work = 1 << 20;
	assert(!rg_is_defined(rg_value_json(&heap, a)) && heap.exhausted);

	rg_heap_reset(&heap); /* a set that is its own member, in several */
	set = rg_set(&heap, 0);
	b = rg_set(&heap, 0);
	assert(rg_set_add(&heap, set, rg_int(2)) && rg_set_add(&heap, set, b));
	rg_set_add(&heap, set, set);
	rg_set_add(&heap, b, set);
	rg_set_add(&heap, b, rg_int(1));
	heap.exhausted = false;
	for (uint32_t i = 0; i < rg_count(&heap, set); i++)
		rg_set_at(&heap, set, i);
	rg_compare(&heap, set, b);

	rg_heap_reset(&heap); /* an object in one of its own keys */
	a = rg_object(&heap, 0);
	b = rg_array(&heap, 1);
	assert(rg_array_append(&heap, b, a) && rg_object_insert(&heap, a, b, rg_int(1)));
	assert(!rg_is_defined(rg_value_json(&heap, a)) && heap.exhausted);
	heap.exhausted = false;
	rg_json_writer_init(&writer, false);
	rg_value_write(&heap, a, &writer);
	assert(writer.failed);
	rg_json_writer_free(&writer);
	rg_heap_free(&heap);
}

/* Heaps of every size up to what the work needs: undefined or false and `exhausted`, never a
 * crash. */
static void test_exhaustion(void)
{
	static const char json[] =
		"{\"a\":[1,2,3,\"four\",{\"b\":1.25}],\"c\":{\"d\":\"\\u00e9\\n\"},\"e\":[[],{}],"
		"\"f\":{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,"
		"\"10\":1,\"11\":1,\"12\":1,"
		"\"13\":1,\"14\":1,\"15\":1,\"16\":1,\"17\":1,\"18\":28857836529306024611913}}";
	static uint64_t memory[32768 / 8];
	bool done = false;
	uint64_t bytes;

	for (bytes = 0; !done; bytes += 8) {
		struct rg_heap heap;
		struct rg_value v, copy, text;
		int status;

		assert(bytes <= sizeof(memory));
		rg_heap_init(&heap, memory, bytes);
		status = rg_value_parse(&heap, json, sizeof(json) - 1, &v, NULL);
		assert(status == RG_OK || status == RG_ENOMEM);
		if (status)
			continue;
		copy = rg_copy(&heap, &heap, v);
		text = rg_value_json(&heap, v);
		assert((rg_is_defined(copy) && rg_is_defined(text)) == !heap.exhausted);
		done = !heap.exhausted;
	}
	printf("needs %llu bytes\n", (unsigned long long)bytes);
}

static void test_builder(void)
{
	struct rg_heap heap;
	struct rg_error err;
	struct rg_builder b;
	struct rg_value v;
	uint32_t rune;

	assert(rg_heap_new(&heap, 1 << 20, &err) == RG_OK);
	rg_builder_init(&b, &heap);
	for (int i = 0; i < 1000; i++) {
		rg_builder_put_char(&b, 'x');
		if (i % 100 == 0)
			rg_string_c(&heap, "in between"); /* the block has to move */
	}
	v = rg_builder_finish(&b);
	assert(v.length == 1000 && rg_text(&heap, v)[0] == 'x' && rg_text(&heap, v)[999] == 'x');
	rg_builder_init(&b, &heap);
	rg_builder_put_rune(&b, 0x1f600);
	rg_builder_put_rune(&b, 0xd800);
	assert(rg_string_is(&heap, rg_builder_finish(&b), "\xf0\x9f\x98\x80\xef\xbf\xbd"));
	assert(rg_rune("\xed\xa0\x80", &"\xed\xa0\x80"[3], &rune) == 1 && rune == RG_RUNE_ERROR);
	assert(rg_rune("\xc0\x80", &"\xc0\x80"[2], &rune) == 1 && rune == RG_RUNE_ERROR);
	assert(rg_rune("\xe2\x82", &"\xe2\x82"[2], &rune) == 1 && rune == RG_RUNE_ERROR);
	assert(rg_rune_count("a\xc3\xa9\xf0\x9f\x98\x80\xff", 8) == 4);
	rg_builder_init(&b, &heap);
	rg_builder_repeat(&b, 'y', 2 << 20);
	assert(!rg_is_defined(rg_builder_finish(&b)) && heap.exhausted);
	rg_heap_free(&heap);
}

int main(void)
{
	printf("seed %d\n", SEED);
	for (int round = 0; round < 50; round++)
		test_model(1 + random_below(60), 200);
	test_model(20000, 60000);
	test_laws();
	test_order();
	test_json();
	test_hostile();
	test_exhaustion();
	test_builder();
	return 0;
}

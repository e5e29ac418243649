/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: order, lookup, well-formed signatures, and what rg_builtin_check() lets pass and
 * refuses. */
#include <stdio.h>
#include <string.h>

#include "policy/builtin/builtin.h"

static struct rg_heap heap;

static uint32_t argument_count(const struct rg_builtin *builtin)
{
	struct rg_value decl, args;
	struct rg_error err;

	rg_heap_reset(&heap);
	assert(rg_value_parse(&heap, builtin->signature, strlen(builtin->signature), &decl, &err) ==
	       RG_OK);
	assert(rg_string_is(&heap, rg_object_get_text(&heap, decl, "type", 4), "function"));
	assert(rg_is_defined(rg_object_get_text(&heap, decl, "result", 6)) ==
	       !(builtin->flags & RG_BUILTIN_VOID));
	args = rg_object_get_text(&heap, decl, "args", 4);
	return rg_is_defined(args) ? rg_count(&heap, args) : 0;
}

static void test_table(void)
{
	uint32_t count;
	const struct rg_builtin *table = rg_builtin_table(&count);
	struct rg_error err;

	assert(count > 150);
	for (uint32_t i = 0; i < count; i++) {
		const struct rg_builtin *b = &table[i];
		size_t bytes = strlen(b->name);
		char longer[128];

		assert(!i || strcmp(table[i - 1].name, b->name) < 0);
		assert(b->run && b->arg_count <= RG_BUILTIN_ARGS_MAX &&
		       b->arg_count == argument_count(b));
		assert(!b->infix == !(b->flags & RG_BUILTIN_INFIX));
		assert(rg_builtin_find(b->name, bytes) == b);
		snprintf(longer, sizeof(longer), "%sx", b->name);
		assert(rg_builtin_find(longer, bytes) == b && !rg_builtin_find(longer, bytes + 1));
		assert(rg_builtin_check(b, b->signature, strlen(b->signature), &err) == RG_OK);
	}
	assert(!rg_builtin_find("", 0) && !rg_builtin_find("object.ge", 9) &&
	       !rg_builtin_find("http.send", 9));
}

static int check(const char *name, const char *decl, struct rg_error *err)
{
	return rg_builtin_check(rg_builtin_find(name, strlen(name)), decl, strlen(decl), err);
}

static void test_check(void)
{
	struct rg_error err;

	/* Names, descriptions and the order in a union mean nothing; a result may be promised as
	 * any. */
	assert(!check("count",
		      "{\"type\":\"function\",\"args\":[{\"name\":\"c\",\"description\":\"d\","
		      "\"type\":\"any\",\"of\":[{\"type\":\"string\"},"
		      "{\"type\":\"set\",\"of\":{\"type\":\"any\"}},{\"dynamic\":{\"type\":\"any\"}"
		      ",\"type\":\"array\"},"
		      "{\"type\":\"object\",\"dynamic\":{\"key\":{\"type\":\"any\"},\"value\":{"
		      "\"type\":\"any\"}}}]}],"
		      "\"result\":{\"name\":\"n\",\"type\":\"number\"}}",
		      &err));
	assert(!check("object.union_n",
		      "{\"args\":[{\"dynamic\":{\"dynamic\":{\"key\":{\"type\":\"any\"},\"value\":{"
		      "\"type\":\"any\"}},\"type\":\"object\"},"
		      "\"type\":\"array\"}],\"result\":{\"type\":\"any\"},\"type\":\"function\"}",
		      &err));
	assert(!check("time.now_ns",
		      "{\"args\":null,\"result\":{\"type\":\"number\"},\"type\":\"function\"}",
		      &err));
	/* OPA's type checker writes a wider part of the result into some plans. */
	assert(check("urlquery.decode_object",
		     "{\"args\":[{\"type\":\"string\"}],\"result\":{\"dynamic\":{\"key\":{\"type\":"
		     "\"any\"},"
		     "\"value\":{\"type\":\"any\"}},\"type\":\"object\"},\"type\":\"function\"}",
		     &err) == RG_OK);
	/* Another number of arguments, another type, another result. */
	assert(check("startswith",
		     "{\"args\":[{\"type\":\"string\"}],\"result\":{\"type\":\"boolean\"},\"type\":"
		     "\"function\"}",
		     &err) == RG_EINVAL);
	assert(strstr(err.text, "startswith") && strstr(err.text, "arguments"));
	assert(check("lower",
		     "{\"args\":[{\"type\":\"number\"}],\"result\":{\"type\":\"string\"},\"type\":"
		     "\"function\"}",
		     &err) == RG_EINVAL);
	assert(check("lower",
		     "{\"args\":[{\"type\":\"string\"}],\"result\":{\"type\":\"number\"},\"type\":"
		     "\"function\"}",
		     &err) == RG_EINVAL);
	assert(strstr(err.text, "result"));
	assert(check("lower",
		     "{\"args\":[{\"type\":\"string\"}],\"variadic\":{\"type\":\"any\"},\"result\":"
		     "{\"type\":\"string\"},\"type\":\"function\"}",
		     &err) == RG_EINVAL);
	assert(check("lower", "[]", &err) == RG_EINVAL && check("lower", "{", &err) == RG_EINVAL);
}

int main(void)
{
	struct rg_error err;

	assert(rg_heap_new(&heap, 1 << 20, &err) == RG_OK);
	test_table();
	test_check();
	rg_heap_free(&heap);
	return 0;
}

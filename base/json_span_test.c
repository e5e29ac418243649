/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_span.h"

#include <assert.h>
#include <string.h>

static bool is(struct rg_span span, const char *text)
{
	return span.bytes == strlen(text) && !memcmp(span.text, text, span.bytes);
}

static bool find(const char *json, struct rg_span found[2], struct rg_error *err)
{
	static const char *const keys[] = {"a", "b"};

	return rg_span_find(json, strlen(json), keys, found, 2, err);
}

static void test_find(void)
{
	static const char *const malformed[] = {"",	    "[]",	   "1",		 "{\"a\":}",
						"{\"a\":1", "{\"a\":1} 2", "{\"a\":[1}", "{a:1}"};
	struct rg_span found[2];
	struct rg_error err = {0};

	assert(find(" { \"x\":[{\"a\":0}], \"a\" : {\"b\":[1, 2]} , \"b\":\"t\"}", found, &err));
	assert(is(found[0], "{\"b\":[1, 2]}") && is(found[1], "\"t\""));
	assert(find("{\"a\":1,\"\\u0061\":2}", found, &err)); /* the last one counts */
	assert(is(found[0], "2") && !found[1].bytes);
	assert(find("null", found, &err) && !found[0].bytes);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		err.status = RG_OK;
		assert(!find(malformed[i], found, &err) && err.status);
	}
}

static void test_text(void)
{
	char out[8];

	assert(!strcmp(rg_span_text((struct rg_span){"\"a\\u0041\"", 9}, out, sizeof(out)), "aA"));
	assert(!strcmp(rg_span_text((struct rg_span){"\"123456789\"", 11}, out, sizeof(out)),
		       "1234567"));
	assert(!strcmp(rg_span_text((struct rg_span){"\"123456\xc3\xa9\"", 10}, out, sizeof(out)),
		       "123456"));
	assert(!strcmp(rg_span_text((struct rg_span){"\"\"", 2}, out, sizeof(out)), ""));
	assert(!rg_span_text((struct rg_span){"12", 2}, out, sizeof(out)));
	assert(!rg_span_text((struct rg_span){0}, out, sizeof(out)));
}

int main(void)
{
	test_find();
	test_text();
	return 0;
}

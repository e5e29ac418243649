/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on events. What they do with a policy, beside OPA: tests/records/decision_logs.py */
#include "control/decision_mask.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char event[] = "{\"decision_id\":\"1\",\"erased\":[\"/input/"
			    "before\"],\"input\":{\"a\":{\"b\":[1,{\"c\":2},3]},"
			    "\"card\":\"4\",\"s p/ace\":1,\"x%2Fy\":2},\"result\":[\"r\",[5,6]]}";

static struct rg_heap heap;

/* The event under these rules, as text; "!" and the error when they are no rules. */
static const char *mask(const char *on, const char *rules)
{
	static char text[4096];
	struct rg_value value, list, masked;
	struct rg_json_writer writer;
	struct rg_error err;

	rg_heap_reset(&heap);
	assert(rg_value_parse(&heap, on, strlen(on), &value, &err) == RG_OK);
	assert(rg_value_parse(&heap, rules, strlen(rules), &list, &err) == RG_OK);
	if (rg_decision_mask_event(&heap, value, list, &masked, &err)) {
		snprintf(text, sizeof(text), "!%s", err.text);
		return text;
	}
	rg_json_writer_init(&writer, false);
	rg_value_write(&heap, masked, &writer);
	assert(!writer.failed && writer.bytes < sizeof(text));
	memcpy(text, writer.text, writer.bytes);
	text[writer.bytes] = '\0';
	rg_json_writer_free(&writer);
	return text;
}

static void expect(const char *on, const char *rules, const char *wanted)
{
	const char *got = mask(on, rules);

	if (!strcmp(got, wanted))
		return;
	fprintf(stderr, "%s\ngot:  %s\nwant: %s\n", rules, got, wanted);
	abort();
}

/* Of {"input": X}: what rules make of it. */
static void expect_input(const char *input, const char *rules, const char *wanted)
{
	char on[512];

	snprintf(on, sizeof(on), "{\"input\":%s}", input);
	expect(on, rules, wanted);
}

static void test_remove(void)
{
	expect(event, "[\"/input/card\"]",
	       "{\"decision_id\":\"1\",\"erased\":[\"/input/before\",\"/input/"
	       "card\"],\"input\":{\"a\":{\"b\":"
	       "[1,{\"c\":2},3]},\"s p/ace\":1,\"x%2Fy\":2},\"result\":[\"r\",[5,6]]}");
	expect(event, "[\"/input/a/b/1/c\",{\"op\":\"remove\",\"path\":\"/result\"}]",
	       "{\"decision_id\":\"1\",\"erased\":[\"/input/before\",\"/input/a/b/1/c\",\"/"
	       "result\"],\"input\":"
	       "{\"a\":{\"b\":[1,{},3]},\"card\":\"4\",\"s p/ace\":1,\"x%2Fy\":2}}");
	expect_input("{\"l\":[1,2,3]}", "[\"/input/l/0\"]",
		     "{\"erased\":[\"/input/l/0\"],\"input\":{\"l\":[2,3]}}");
	expect_input("[1,2]", "[\"/input/1\"]", "{\"erased\":[\"/input/1\"],\"input\":[1]}");
	expect_input("{\"s p/ace\":1,\"x%2Fy\":2}", "[\"/input/s%20p%2Face\"]",
		     "{\"erased\":[\"/input/s%2520p%252Face\"],\"input\":{\"x%2Fy\":2}}");
	expect_input("{\"x%2Fy\":2}", "[\"/input/x%2Fy\"]",
		     "{\"erased\":[\"/input/x%252Fy\"],\"input\":{}}");
	expect_input("{\"\":1}", "[\"/input/\"]", "{\"erased\":[\"/input/\"],\"input\":{}}");
	/* what names nothing does nothing */
	expect_input(
		"{\"a\":[1],\"t\":\"x\"}",
		"[\"/result\",\"/nd_builtin_cache\",\"/input/b\",\"/input/a/1\",\"/input/a/-1\",\"/"
		"input/a/x\","
		"\"/input/a/\",\"/input/t/0\",\"/input/b/c\",\"/input/a/99999999999999999999\"]",
		"{\"input\":{\"a\":[1],\"t\":\"x\"}}");
}

static void test_upsert(void)
{
	expect_input("{\"a\":1}",
		     "[{\"op\":\"upsert\",\"path\":\"/input/a\",\"value\":{\"x\":[null]}}]",
		     "{\"input\":{\"a\":{\"x\":[null]}},\"masked\":[\"/input/a\"]}");
	expect_input("{}", "[{\"op\":\"upsert\",\"path\":\"/input/a/b/c\",\"value\":\"**\"}]",
		     "{\"input\":{\"a\":{\"b\":{\"c\":\"**\"}}},\"masked\":[\"/input/a/b/c\"]}");
	expect_input("{\"l\":[1,2]}", "[{\"op\":\"upsert\",\"path\":\"/input/l/1\",\"value\":9}]",
		     "{\"input\":{\"l\":[1,9]},\"masked\":[\"/input/l/1\"]}");
	expect_input("7", "[{\"op\":\"upsert\",\"path\":\"/input\",\"value\":{}}]",
		     "{\"input\":{},\"masked\":[\"/input\"]}");
	expect_input("{\"a\":1}", "[{\"op\":\"upsert\",\"path\":\"/input/a\"}]",
		     "{\"input\":{\"a\":null},\"masked\":[\"/input/a\"]}");
	expect_input("{\"a\":1,\"l\":[0]}",
		     "[{\"op\":\"upsert\",\"path\":\"/input/a/b\",\"value\":1},"
		     "{\"op\":\"upsert\",\"path\":\"/input/l/1\",\"value\":1},"
		     "{\"op\":\"upsert\",\"path\":\"/result\",\"value\":1},"
		     "{\"op\":\"upsert\",\"path\":\"/result/x\",\"value\":1}]",
		     "{\"input\":{\"a\":1,\"l\":[0]}}");
	expect_input("[1]", "[{\"op\":\"upsert\",\"path\":\"/input/0\",\"value\":2}]",
		     "{\"input\":[1]}");
}

/* They are refused as a whole, before any is applied. */
static void test_bad_rules(void)
{
	static const char *const bad[][2] = {
		{"{\"/input/a\":1}", "!the decision is no set"},
		{"true", "!the decision is no set"},
		{"[\"/input/a\",7]", "!a rule is neither"},
		{"[\"/input/a\",\"\"]", "!a path must begin with '/'"},
		{"[\"input/a\"]", "!a path must begin with '/'"},
		{"[\"/labels/id\"]", "!a path must begin with /input"},
		{"[\"/inputs\"]", "!a path must begin with /input"},
		{"[\"/\"]", "!a path must begin with /input"},
		{"[\"/input/%zz\"]", "!a path is too long"},
		{"[\"/input/%\"]", "!a path is too long"},
		{"[{\"path\":\"/input/a\"}]", "!op must be"},
		{"[{\"op\":\"add\",\"path\":\"/input/a\"}]", "!op must be"},
		{"[{\"op\":\"remove\"}]", "!a rule is neither"},
		{"[{\"op\":\"remove\",\"path\":[]}]", "!a rule is neither"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *got = mask(event, bad[i][0]);

		if (!strncmp(got, bad[i][1], strlen(bad[i][1])))
			continue;
		fprintf(stderr, "%s\ngot:  %s\nwant: %s\n", bad[i][0], got, bad[i][1]);
		abort();
	}
}

/* A heap that is too small says so, whatever it has got to. */
static void test_memory(void)
{
	struct rg_value value, rules, masked;
	struct rg_error err;
	int ok = 0, refused = 0;

	for (uint64_t bytes = 1024; bytes <= 16384; bytes += 64) {
		static const char text[] =
			"[\"/input/card\",{\"op\":\"upsert\",\"path\":\"/input/n/e/w\"}]";
		struct rg_heap small;

		assert(rg_heap_new(&small, bytes, &err) == RG_OK);
		if (!rg_value_parse(&small, event, strlen(event), &value, &err) &&
		    !rg_value_parse(&small, text, strlen(text), &rules, &err)) {
			int rc = rg_decision_mask_event(&small, value, rules, &masked, &err);

			assert(rc == RG_OK || rc == RG_ENOMEM);
			ok += !rc;
			refused += rc != 0;
		}
		rg_heap_free(&small);
	}
	assert(ok && refused);
}

int main(void)
{
	struct rg_error err;

	assert(rg_heap_new(&heap, 1 << 20, &err) == RG_OK);
	test_remove();
	test_upsert();
	test_bad_rules();
	test_memory();
	rg_heap_free(&heap);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/documents.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY "\"blocks\":[{\"stmts\":[{\"type\":\"ReturnLocalStmt\",\"stmt\":{\"source\":%d}}]}]"

static struct rg_plan *load(const char *functions, const char *strings)
{
	char json[4096];
	struct rg_plan *plan;
	struct rg_error err;

	snprintf(json, sizeof(json),
		 "{\"static\":{\"strings\":[%s]},\"plans\":{\"plans\":[{\"name\":\"p/"
		 "q\",\"blocks\":null}]},"
		 "\"funcs\":{\"funcs\":[%s]}}",
		 strings, functions);
	if (rg_plan_load(json, strlen(json), &plan, &err)) {
		fprintf(stderr, "%s\n%s\n", err.text, json);
		abort();
	}
	return plan;
}

static bool is(struct rg_plan_text text, const char *wanted)
{
	return text.bytes == strlen(wanted) && !memcmp(text.text, wanted, text.bytes);
}

/* Add documents; the names behind the plan's own are those of `wanted`, in any order. */
static void check(const char *functions, const char *strings, const char *const *wanted,
		  uint32_t count)
{
	struct rg_plan *plan = load(functions, strings);
	uint32_t before = plan->entry_count;
	struct rg_error err;

	assert(before == 1 && !rg_documents_add(plan, &err));
	assert(plan->entry_count == before + count && is(plan->entries[0].name, "p/q"));
	for (uint32_t w = 0; w < count; w++) {
		uint32_t found = 0;

		for (uint32_t i = before; i < plan->entry_count; i++)
			found += is(plan->entries[i].name, wanted[w]);
		if (found != 1) {
			fprintf(stderr, "%s is there %u times\n", wanted[w], found);
			abort();
		}
	}
	for (uint32_t i = before; i < plan->entry_count; i++) {
		const struct rg_plan_entry *entry = &plan->entries[i];
		const struct rg_plan_block *block = &entry->blocks[0];
		uint32_t key = block->statements[2].b.value;

		assert(entry->block_count == 1 && block->count == 4);
		assert(block->statements[2].type == RG_STATEMENT_OBJECT_INSERT &&
		       key < plan->string_count && is(plan->strings[key], "result"));
		for (uint32_t j = 0; j < block->count; j++)
			assert(block->statements[j].id < plan->statement_count);
	}
	rg_plan_free(plan);
}

static const char *function(const char *name, const char *params, int result, const char *path)
{
	static char texts[8][512];
	static unsigned next;
	char *text = texts[next++ % 8];
	int n = snprintf(text, sizeof(texts[0]),
			 "{\"name\":\"%s\",\"params\":[%s],\"return\":%d,\"path\":[%s],", name,
			 params, result, path);

	n += snprintf(text + n, sizeof(texts[0]) - (size_t)n, BODY, result);
	snprintf(text + n, sizeof(texts[0]) - (size_t)n, "}");
	return text;
}

int main(void)
{
	char functions[4096];

	check("", "", (const char *const[]){"/"}, 1);
	/* with and without a string "result" of the plan's own */
	snprintf(functions, sizeof(functions), "%s,%s",
		 function("g0.data.a.x", "0,1", 2, "\"g0\",\"a\",\"x\""),
		 function("g0.data.a.y", "0,1", 2, "\"g0\",\"a\",\"y\""));
	check(functions, "", (const char *const[]){"/", "/a/x", "/a/y"}, 3);
	check(functions, "{\"value\":\"other\"},{\"value\":\"result\"}",
	      (const char *const[]){"/", "/a/x", "/a/y"}, 3);
	/* names that must be told apart */
	snprintf(functions, sizeof(functions), "%s,%s,%s",
		 function("f1", "0,1", 2, "\"g0\",\"a/b\",\"c\""),
		 function("f2", "0,1", 2, "\"g0\",\"a\",\"b/c\""),
		 function("f3", "0,1", 2, "\"g0\",\"a%2Fb\",\"c d?\\u00fc\""));
	check(functions, "",
	      (const char *const[]){"/", "/a%2Fb/c", "/a/b%2Fc", "/a%252Fb/c%20d%3F%C3%BC"}, 4);
	/* no documents: functions with arguments, rules under a `with`, what has no path */
	snprintf(functions, sizeof(functions), "%s,%s,%s",
		 function("f1", "0,1,2", 3, "\"g0\",\"a\",\"f\""),
		 function("f2", "0,1", 2, "\"g1\",\"a\",\"x\""), function("f3", "0,1", 2, ""));
	check(functions, "", (const char *const[]){"/"}, 1);
	puts("documents: ok");
	return 0;
}

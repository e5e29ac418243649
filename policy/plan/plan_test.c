/* SPDX-License-Identifier: Apache-2.0 */
/* Reading plans: what is tolerated, what is refused and how the error says where. */
#include "policy/plan/plan.h"

#include <assert.h>
#include <string.h>

#include "policy/testdata/requests.h"

static struct rg_error err;

static struct rg_plan *load(const char *json)
{
	struct rg_plan *plan;

	if (rg_plan_load(json, strlen(json), &plan, &err))
		return NULL;
	return plan;
}

/* A plan with one function of these statements. */
static struct rg_plan *load_statements(const char *statements)
{
	char json[4096];

	snprintf(json, sizeof(json),
		 "{\"static\":{\"strings\":[{\"value\":\"a\"},{\"value\":\"1.5\"}],\"files\":[{"
		 "\"value\":\"p.rego\"}],"
		 "\"builtin_funcs\":[{\"name\":\"plus\",\"decl\":{\"type\":\"function\"}}]},"
		 "\"plans\":{\"plans\":[{\"name\":\"p/q\",\"blocks\":null}]},"
		 "\"funcs\":{\"funcs\":[{\"name\":\"g0.f\",\"params\":[0,1],\"return\":2,\"path\":["
		 "\"g0\",\"f\"],"
		 "\"blocks\":[{\"stmts\":[%s]}]}]}}",
		 statements);
	return load(json);
}

static void accept(const char *statements)
{
	struct rg_plan *plan = load_statements(statements);

	if (!plan) {
		fprintf(stderr, "%s: %s\n", statements, err.text);
		abort();
	}
	rg_plan_free(plan);
}

/* Refused, and the error has all of the given texts. */
static void refuse(const char *statements, const char *text, const char *place)
{
	struct rg_plan *plan = load_statements(statements);

	assert(!plan && err.status);
	if (!strstr(err.text, text) || !strstr(err.text, place)) {
		fprintf(stderr, "error is: %s\nwant: %s ... %s\n", err.text, place, text);
		abort();
	}
}

static void test_fixture(const char *directory)
{
	size_t bytes;
	char *json = read_file(directory, "requests.plan.json", &bytes);
	struct rg_plan *plan;

	assert(!rg_plan_load(json, bytes, &plan, &err));
	assert(plan->entry_count == 5 && plan->file_count == 1);
	for (uint32_t i = 0; i < plan->entry_count; i++)
		assert(!strncmp(plan->entries[i].name.text, "requests/", 9));
	for (uint32_t i = 0; i < plan->function_count; i++) {
		assert(plan->functions[i].frame_size > 2 && plan->functions[i].param_count >= 2);
		assert(plan->functions[i].block_count);
	}
	rg_plan_free(plan);
	/* Every prefix is refused, none is read beyond its end. */
	for (size_t i = 0; i < bytes; i += i < 2000 ? 1 : 997) {
		char *cut = malloc(i + 1);

		memcpy(cut, json, i);
		if (!rg_plan_load(cut, i, &plan, &err)) { /* only the last newline may be missing */
			assert(i + 1 >= bytes);
			rg_plan_free(plan);
		}
		free(cut);
	}
	free(json);
}

static void test_tolerance(void)
{
	struct rg_plan *plan;

	accept("{\"stmt\":{\"target\":7,\"future\":{\"x\":[1,{}]}},\"type\":\"MakeNullStmt\","
	       "\"more\":1}");
	accept("{\"type\":\"MakeNumberRefStmt\",\"stmt\":{\"Index\":1,\"target\":3}}");
	accept("{\"type\":\"MakeNumberRefStmt\",\"stmt\":{\"index\":1,\"Index\":1,\"target\":3}}");
	accept("{\"type\":\"BlockStmt\",\"stmt\":{\"blocks\":null}}");
	accept("{\"type\":\"BlockStmt\",\"stmt\":{}}");
	accept("{\"type\":\"WithStmt\",\"stmt\":{\"local\":0,\"path\":null,\"value\":{\"type\":"
	       "\"bool\",\"value\":true},\"block\":{\"stmts\":null}}}");
	accept("{\"type\":\"CallStmt\",\"stmt\":{\"func\":\"plus\",\"args\":null,\"result\":3,"
	       "\"file\":9,\"row\":-1,\"col\":\"x\"}}");
	accept("{\"type\":\"ScanStmt\",\"stmt\":{\"source\":{\"type\":\"local\",\"value\":2},"
	       "\"key\":3,\"value\":4,\"block\":null}}");
	accept("{\"type\":\"NopStmt\",\"stmt\":{}}");
	plan = load("{}");
	assert(plan && !plan->function_count && !plan->entry_count);
	rg_plan_free(plan);
	plan = load("{\"static\":null,\"funcs\":null,\"plans\":{},\"unplanned_rules\":[{\"path\":"
		    "\"x\"}]}");
	assert(plan);
	rg_plan_free(plan);
	/* The highest local is found wherever it is. */
	plan = load_statements("{\"type\":\"NotStmt\",\"stmt\":{\"block\":{\"stmts\":[{\"type\":"
			       "\"IsDefinedStmt\",\"stmt\":{\"source\":742}}]}}}");
	assert(plan && plan->functions[0].frame_size == 743);
	rg_plan_free(plan);
}

static void test_refusals(void)
{
	refuse("{\"type\":\"JumpStmt\",\"stmt\":{}}", "unknown statement type", "function 0");
	refuse("{\"type\":\"MakeNullStmt\"}", "lacks", "line 1");
	refuse("{\"type\":\"MakeNullStmt\",\"stmt\":{}}", "MakeNullStmt lacks \"target\"",
	       "column");
	refuse("{\"type\":\"MakeNumberRefStmt\",\"stmt\":{\"target\":2}}", "lacks \"index\"",
	       "function 0");
	refuse("{\"type\":\"MakeNumberRefStmt\",\"stmt\":{\"target\":2,\"index\":0,\"file\":0,"
	       "\"row\":3,\"col\":4}}",
	       "\"a\" is no number", "function g0.f: p.rego:3:4: MakeNumberRefStmt");
	refuse("{\"type\":\"MakeNumberRefStmt\",\"stmt\":{\"target\":2,\"index\":2}}",
	       "there are 2 strings", "g0.f");
	refuse("{\"type\":\"DotStmt\",\"stmt\":{\"source\":{\"type\":\"string_index\",\"value\":9},"
	       "\"key\":{\"type\":\"bool\",\"value\":true},\"target\":2}}",
	       "string index 9", "DotStmt");
	refuse("{\"type\":\"MakeNullStmt\",\"stmt\":{\"target\":1000000}}", "beyond the limit",
	       "g0.f");
	refuse("{\"type\":\"MakeNullStmt\",\"stmt\":{\"target\":-1}}", "expected a number",
	       "function 0");
	refuse("{\"type\":\"BreakStmt\",\"stmt\":{\"index\":1}}", "leaves the function",
	       "BreakStmt");
	refuse("{\"type\":\"BlockStmt\",\"stmt\":{\"blocks\":[{\"stmts\":[{\"type\":\"BreakStmt\","
	       "\"stmt\":{\"index\":2}}]}]}}",
	       "nested 2 blocks deep", "BreakStmt");
	refuse("{\"type\":\"CallStmt\",\"stmt\":{\"func\":\"nope\",\"args\":[],\"result\":2}}",
	       "nope", "CallStmt");
	refuse("{\"type\":\"CallStmt\",\"stmt\":{\"func\":\"g0.f\",\"args\":[],\"result\":2}}",
	       "it takes 2", "CallStmt");
	refuse("{\"type\":\"ResultSetAddStmt\",\"stmt\":{\"value\":2}}", "outside a plan", "g0.f");
	refuse("{\"type\":\"EqualStmt\",\"stmt\":{\"a\":{\"type\":\"bool\",\"value\":1},\"b\":2}}",
	       "operand", "function 0");
	refuse("{\"type\":\"EqualStmt\",\"stmt\":{\"a\":{\"type\":\"float\",\"value\":1},\"b\":2}}",
	       "operand type", "function 0");
	refuse("{\"type\":\"MakeNullStmt\",\"stmt\":{\"target\":2}},", "line 1", "plan.json");
	assert(!load("[]") && !load("") && !load("{} {}") && !load("{\"plans\":{\"plans\":[{}]}}"));
	assert(!load("{\"funcs\":{\"funcs\":[{\"name\":\"f\",\"params\":[0,0]}]}}"));
	assert(!load("{\"funcs\":{\"funcs\":[{\"name\":\"f\",\"params\":[0,1]},{\"name\":\"f\","
		     "\"params\":[0,1]}]}}"));
	assert(strstr(err.text, "two functions"));
}

/* Deep nesting ends in an error, not on the stack. */
static void test_nesting(void)
{
	size_t used = 0, size = 1 << 16;
	char *json = malloc(size);

	for (int i = 0; i < 400; i++)
		used += (size_t)snprintf(
			json + used, size - used,
			"{\"type\":\"BlockStmt\",\"stmt\":{\"blocks\":[{\"stmts\":[");
	assert(!load(json));
	free(json);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	test_fixture(argv[1]);
	test_tolerance();
	test_refusals();
	test_nesting();
	return 0;
}

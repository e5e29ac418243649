/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluation of general plans: what each corner of the language gives (the expected values are
 * OPA's own), error texts, bounds, and plans that no Rego makes.
 */
#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "policy/testdata/requests.h"

#define SCRATCH_BYTES ((uint64_t)8 << 20)
#define INPUT	      "{\"list\":[1,2,3],\"zero\":0}"

static void *memory;
static struct rg_error err;

static struct rg_eval *bind(const void *image, size_t bytes)
{
	struct rg_eval *eval = rg_eval_new(memory, SCRATCH_BYTES);

	assert(eval && !rg_eval_bind(eval, image, bytes, &err));
	return eval;
}

/* The answer of an entrypoint as JSON, or the error's text. The caller frees it. */
static char *ask(struct rg_eval *eval, const char *entrypoint, const char *input, bool strict,
		 enum rg_eval_result *result)
{
	struct rg_query query = {.strict = strict, .now_ns = 1700000000000000000};
	struct rg_json_writer writer;
	struct rg_value results;
	int index = rg_eval_plan_find(eval, entrypoint);
	char *answer;

	assert(index >= 0);
	rg_heap_reset(rg_eval_heap(eval));
	if (input)
		assert(!rg_value_parse(rg_eval_heap(eval), input, strlen(input), &query.input,
				       &err));
	*result = rg_eval_run(eval, (uint32_t)index, &query, &results, &err);
	if (*result)
		return strdup(err.text);
	assert(results.type == RG_SET);
	rg_json_writer_init(&writer, false);
	rg_value_write(rg_eval_heap(eval), results, &writer);
	answer = strndup(writer.text, writer.bytes);
	rg_json_writer_free(&writer);
	return answer;
}

static void expect(struct rg_eval *eval, const char *rule, bool strict, const char *want)
{
	char entrypoint[64], wrapped[512];
	enum rg_eval_result result;
	char *got;

	snprintf(entrypoint, sizeof(entrypoint), "general/%s", rule);
	got = ask(eval, entrypoint, INPUT, strict, &result);
	if (!result && *want)
		snprintf(wrapped, sizeof(wrapped), "[{\"result\":%s}]", want);
	else
		snprintf(wrapped, sizeof(wrapped), "%s", *want ? want : "[]");
	if (strcmp(got, wrapped)) {
		fprintf(stderr, "%s\nwant %s\ngot  %s\n", rule, wrapped, got);
		abort();
	}
	free(got);
}

static const struct {
	const char *rule, *want; /* "": undefined */
} cases[] = {
	{"every_empty", "true"},
	{"every_set", "true"},
	{"every_fails", "\"yes\""},
	{"nested", "[3,9]"},
	{"negated", "true"},
	{"squares", "{\"1\":1,\"2\":4,\"3\":9}"},
	{"deep", "{\"er\":{\"a\":{\"list\":[1,2,3]},\"b\":{\"list\":[1,2,3]}}}"},
	{"table",
	 "{\"r\":{\"1\":true,\"2\":true,\"3\":true},\"s\":{\"1\":true,\"2\":true,\"3\":true}}"},
	{"classified", "[\"small\",\"large\",\"huge\"]"},
	{"picked", "[1,-5]"},
	{"limit", "10"},
	{"raised", "99"},
	{"other_input", "4"},
	{"deep_input", "7"},
	{"made_input", "{\"list\":[1,2,3],\"x\":{\"y\":1},\"zero\":0}"},
	{"restored", "[10,5,10]"},
	{"mocked", "11"},
	{"seen_by_rule", "true"},
	{"inverted", "{\"1\":\"a\",\"2\":\"b\"}"},
	{"by_any_key", "{\"[1]\":\"x\",\"[2]\":\"y\",\"null\":\"z\"}"},
	{"numbers", "[true,true,true,[1]]"},
	{"ordered", "true"},
	{"path_integer", "\"seven\""},
	{"variable_integer", "true"},
	{"dynamic", "[1,2]"},
	{"whole", "[\"one\",\"two\"]"},
	{"merged", "{\"a\":1}"},
	{"divided", ""},
	{"no_division", "\"none\""},
	{"mistyped", ""},
	{"dispatch", "{\"one\":{\"value\":1},\"two\":{\"value\":2}}"},
};

static void test_language(const char *directory)
{
	size_t bytes;
	void *image = compile_fixture(directory, "general", true, NULL, NULL, &bytes);
	struct rg_eval *eval = bind(image, bytes);

	assert(rg_eval_plan_count(eval) > 30 && rg_eval_plan_find(eval, "general/nothing") == -1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(eval, cases[i].rule, false, cases[i].want);
	/* Conflicts end the evaluation in every mode; errors of built-ins in strict mode only. */
	for (int strict = 0; strict < 2; strict++) {
		expect(eval, "conflict", strict,
		       "general.rego:109: eval_conflict_error: complete rules must not produce "
		       "multiple outputs");
		expect(eval, "function_conflict", strict,
		       "general.rego:113: eval_conflict_error: functions must not produce multiple "
		       "outputs for same inputs");
		expect(eval, "key_conflict", strict,
		       "general.rego:117: eval_conflict_error: object keys must be unique");
	}
	expect(eval, "divided", true, "general.rego:121: eval_builtin_error: div: divide by zero");
	expect(eval, "mistyped", true,
	       "general.rego:125: eval_type_error: upper: operand 1 must be string but got number");
	free(image);
}

/* No input is not null: what needs it is undefined. */
static void test_no_input(const char *directory)
{
	size_t bytes;
	void *image = compile_fixture(directory, "general", true, NULL, NULL, &bytes);
	struct rg_eval *eval = bind(image, bytes);
	enum rg_eval_result result;
	char *got = ask(eval, "general/every_fails", NULL, false, &result);

	assert(!result && !strcmp(got, "[{\"result\":\"yes\"}]"));
	free(got);
	got = ask(eval, "general/made_input", NULL, false, &result);
	assert(!result && !strcmp(got, "[{\"result\":{\"x\":{\"y\":1}}}]"));
	free(got);
	free(image);
}

/* ---- plans that no Rego makes ---- */

static void *compile_text(const char *functions, const char *blocks, uint64_t budget, size_t *bytes)
{
	struct rg_compile_options options = {.sequence = 1, .budget = budget};
	char json[8192];
	void *image;

	options.plan_bytes = (size_t)snprintf(
		json, sizeof(json),
		"{\"static\":{\"strings\":[{\"value\":\"a\"},{\"value\":\"b\"},{\"value\":\"1\"}]},"
		"\"plans\":{\"plans\":[{\"name\":\"p\",\"blocks\":[%s]}]},\"funcs\":{\"funcs\":[%s]"
		"}}",
		blocks, functions);
	options.plan_json = json;
	if (rg_compile(&options, &image, bytes, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return image;
}

static void expect_plan(const char *functions, const char *blocks, const char *want)
{
	enum rg_eval_result result;
	size_t bytes;
	void *image = compile_text(functions, blocks, 100000, &bytes);
	char *got = ask(bind(image, bytes), "p", INPUT, false, &result);

	if (strcmp(got, want)) {
		fprintf(stderr, "%s\nwant %s\ngot  %s\n", blocks, want, got);
		abort();
	}
	free(got);
	free(image);
}

#define LOCAL(n)	   "{\"type\":\"local\",\"value\":" #n "}"
#define STRING(n)	   "{\"type\":\"string_index\",\"value\":" #n "}"
#define STMT(type, fields) "{\"type\":\"" type "Stmt\",\"stmt\":{" fields "}}"
#define TRUE		   "{\"type\":\"bool\",\"value\":true}"
#define RESULT(n)                                                                                  \
	STMT("MakeObject", "\"target\":90")                                                        \
	"," STMT("ObjectInsert", "\"key\":" STRING(0) ",\"value\":" LOCAL(                         \
					 n) ",\"object\":90") "," STMT("ResultSetAdd",             \
								       "\"value\":90")
#define BLOCK(statements) "{\"stmts\":[" statements "]}"

static void test_breaks(void)
{
	/* Break 0 is undefined: the sibling runs. */
	expect_plan("",
		    BLOCK(STMT("Break", "\"index\":0") "," RESULT(0)) "," BLOCK(
			    STMT("AssignInt", "\"value\":1,\"target\":5") "," RESULT(5)),
		    "[{\"a\":1}]");
	/* Break 1 skips the siblings of a block statement and what follows it in its block. */
	expect_plan(
		"",
		BLOCK(STMT("AssignInt", "\"value\":1,\"target\":5") "," STMT(
			"Block",
			"\"blocks\":[" BLOCK(STMT("AssignInt", "\"value\":2,\"target\":5") "," STMT(
				"Break",
				"\"index\":1")) "," BLOCK(STMT("AssignInt",
							       "\"value\":3,\"target\":"
							       "5")) "]") "," STMT("Ass"
										   "ign"
										   "In"
										   "t",
										   "\"v"
										   "alu"
										   "e\""
										   ":4,"
										   "\"t"
										   "arg"
										   "et"
										   "\":"
										   "5")) "," BLOCK(RESULT(5)),
		"[{\"a\":2}]");
	/* Break 1 out of a loop ends it, break 0 goes on with the next. */
	expect_plan(
		"",
		BLOCK(STMT("Dot", "\"source\":" LOCAL(0) ",\"key\":" STRING(1) ",\"target\":3") "," RESULT(3)) "," BLOCK(
			STMT("MakeArray", "\"target\":4") "," STMT("ArrayAppend", "\"value\":" TRUE ",\"array\":4") "," STMT(
				"ArrayAppend",
				"\"value\":" STRING(
					0) ",\"array\":4") "," STMT("Block",
								    "\"blocks\":[" BLOCK(STMT(
									    "Scan",
									    "\"source\":4,\"key\":"
									    "5,\"value\":6,"
									    "\"block\":" BLOCK(STMT(
										    "AssignVar",
										    "\"source\""
										    ":" LOCAL(
											    6) ",\""
											       "tar"
											       "get"
											       "\":"
											       "7") "," STMT("Break",
													     "\"index\":"
													     "1")))) "]") "," RESULT(7)),
		"[{\"a\":true}]");
	/* Break out of a With brings the old value back. */
	expect_plan(
		"",
		BLOCK(STMT("Block",
			   "\"blocks\":[" BLOCK(STMT(
				   "With", "\"local\":0,\"path\":null,"
					   "\"value\":" STRING(0) ",\"block\":" BLOCK(STMT(
						   "Break", "\"index\":1")))) "]") "," RESULT(0)),
		"[{\"a\":{\"list\":[1,2,3],\"zero\":0}}]");
	expect_plan(
		"",
		BLOCK(STMT("Block",
			   "\"blocks\":[" BLOCK(STMT(
				   "With",
				   "\"local\":0,\"path\":null,"
				   "\"value\":" STRING(
					   0) ",\"bl"
					      "ock\""
					      ":" BLOCK(STMT(
						      "Break",
						      "\"index\":0")))) "]") "," STMT("Dot",
										      "\"source\""
										      ":" LOCAL(0) ",\"key\":" STRING(
											      1) ","
												 "\"target\":3")) "," BLOCK(RESULT(0)),
		"[{\"a\":{\"list\":[1,2,3],\"zero\":0}}]");
}

static void test_carried_locals(void)
{
	/* A local read in a later turn of a loop than the one that assigned it: counts by
	 * doubling an array. */
	expect_plan(
		"",
		BLOCK(STMT("MakeArray", "\"target\":4") "," STMT(
			"ArrayAppend",
			"\"value\""
			":" TRUE ",\"ar"
			"ray\""
			":4") "," STMT("ArrayAppend",
				       "\"value\":" STRING(
					       0) ",\"array\":4") "," STMT("MakeArray",
									   "\"target\":8") "," STMT("Scan",
												    "\"source\":4,\"key\":5,\"value\":6,"
												    "\"block\":" BLOCK(STMT(
													    "Block",
													    "\"blocks\":[" BLOCK(STMT(
														    "IsDefined",
														    "\"source\":"
														    "7") "," STMT("ArrayAppend",
																  "\"value\":" LOCAL(
																	  7) ",\"array\""
																	     ":8")) "]") "," STMT("AssignVar",
																				  "\"source\":" LOCAL(
																					  6) ",\"target\":7"))) "," RESULT(8)),
		"[{\"a\":[true]}]");
	/* A container put into itself holds what it was. */
	expect_plan("",
		    BLOCK(STMT("MakeArray", "\"target\":4") "," STMT(
			    "ArrayAppend",
			    "\"value\":" TRUE
			    ",\"array\":4") "," STMT("ArrayAppend",
						     "\"value\":" LOCAL(
							     4) ",\"array\":4") "," RESULT(4)),
		    "[{\"a\":[true,[true]]}]");
	/* After an empty loop its locals are as before. */
	expect_plan("",
		    BLOCK(STMT("MakeSet", "\"target\":4") "," STMT(
			    "AssignInt",
			    "\"value\":3,\"target\":7") "," STMT("Scan",
								 "\"source\":4,\"key\":5,\"value\":"
								 "6,\"block\":" BLOCK(STMT(
									 "AssignInt",
									 "\"value\":9,\"target\":"
									 "7"))) "," RESULT(7)),
		    "[{\"a\":3}]");
}

static void test_undefined(void)
{
	/* Assigning an undefined local succeeds and makes the target undefined. */
	expect_plan(
		"",
		BLOCK(STMT("AssignInt", "\"value\":3,\"target\":7") "," STMT(
			"AssignVar",
			"\"source\":" LOCAL(
				9) ",\"target\":7") "," STMT("IsUndefined",
							     "\"source\":7") "," STMT("AssignInt",
										      "\"value\":1,"
										      "\"target\":"
										      "7") "," RESULT(7)),
		"[{\"a\":1}]");
	expect_plan("", BLOCK(STMT("NotEqual", "\"a\":" LOCAL(9) ",\"b\":" TRUE) "," RESULT(0)),
		    "[]");
	expect_plan("", BLOCK(STMT("Len", "\"source\":" STRING(0) ",\"target\":3") "," RESULT(3)),
		    "[{\"a\":1}]");
	expect_plan("",
		    BLOCK(STMT("Scan", "\"source\":9,\"key\":5,\"value\":6,\"block\":" BLOCK(
					       "")) "," RESULT(0)),
		    "[]");
	/* A function that returns nothing is undefined, and so is one that is given nothing and
	 * needs it. */
	expect_plan(
		"{\"name\":\"f\",\"params\":[0,1],\"return\":2,\"blocks\":[]}",
		BLOCK(STMT("Call", "\"func\":\"f\",\"args\":[" LOCAL(0) "," LOCAL(
					   1) "],\"result\":3") "," RESULT(1)) "," BLOCK(RESULT(0)),
		"[{\"a\":{\"list\":[1,2,3],\"zero\":0}}]");
	expect_plan("{\"name\":\"f\",\"params\":[0,1,2],\"return\":3,\"blocks\":[" BLOCK(
			    STMT("IsUndefined", "\"source\":2") "," STMT(
				    "AssignInt",
				    "\"value\":5,\"target\":3") "," STMT("ReturnLocal",
									 "\"source\":3")) "]}",
		    BLOCK(STMT("Call", "\"func\":\"f\",\"args\":[" LOCAL(0) "," LOCAL(1) "," LOCAL(
					       9) "],\"result\":3") "," RESULT(3)),
		    "[{\"a\":5}]");
}

/* Recursion, endless work and endless memory each end with their own error. */
static void test_bounds(void)
{
	const char *recursive = "{\"name\":\"f\",\"params\":[0,1],\"return\":2,\"blocks\":[" BLOCK(
		STMT("Dot",
		     "\"source\":" LOCAL(0) ",\"key\":" STRING(
			     0) ",\"target\":4")) "," BLOCK(STMT("Call",
								 "\"func\":\"f\",\"args\":"
								 "[" LOCAL(0) "," LOCAL(
									 1) "],\"result\":"
									    "3") "," STMT("ReturnLo"
											  "cal",
											  "\"source"
											  "\":"
											  "3")) "]"
												"}";
	/* Each scan doubles the array that the next one goes over. */
	const char *exploding = BLOCK(STMT("MakeArray", "\"target\":4") "," STMT(
		"ArrayAppend",
		"\"value\":" TRUE
		",\"array\":4") "," STMT("Scan",
					 "\"source\":4,\"key\":5,\"value\":6,\"block\":" BLOCK(
						 STMT("ArrayAppend",
						      "\"value\":" LOCAL(0) ",\"array\":4"))));
	enum rg_eval_result result;
	size_t bytes;
	void *image;

	image = compile_text(recursive,
			     BLOCK(STMT("Call", "\"func\":\"f\",\"args\":[" LOCAL(0) "," LOCAL(
							1) "],\"result\":3")),
			     1000000, &bytes);
	free(ask(bind(image, bytes), "p", INPUT, false, &result));
	assert(result == RG_EVAL_DEPTH);
	free(image);
	image = compile_text("", exploding, 1000, &bytes);
	free(ask(bind(image, bytes), "p", INPUT, false, &result));
	assert(result == RG_EVAL_BUDGET);
	free(image);
	image = compile_text("", exploding, UINT64_MAX, &bytes);
	free(ask(bind(image, bytes), "p", INPUT, false, &result));
	assert(result == RG_EVAL_MEMORY);
	assert(strstr(err.text, "riskgate_memory_error"));
	free(image);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	memory = aligned_alloc(64, rg_eval_footprint(SCRATCH_BYTES));
	assert(memory);
	test_language(argv[1]);
	test_no_input(argv[1]);
	test_breaks();
	test_carried_locals();
	test_undefined();
	test_bounds();
	free(memory);
	return 0;
}

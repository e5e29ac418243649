/* SPDX-License-Identifier: Apache-2.0 */
/* What the compiler refuses, and how it says so; what it folds away; equal input gives equal
 * images. */
#include "policy/compile/compile.h"
#include "policy/eval/value.h"
#include "policy/image/code.h"
#include "policy/image/image.h"
#include "policy/testdata/requests.h"

static struct rg_error err;

static const char *const plan_with_builtin =
	"{\"static\":{\"strings\":[],\"files\":[{\"value\":\"p.rego\"}],\"builtin_funcs\":[{"
	"\"name\":\"%s\",\"decl\":%s}]},"
	"\"plans\":{\"plans\":[{\"name\":\"p\",\"blocks\":[{\"stmts\":[{\"type\":\"CallStmt\","
	"\"stmt\":{\"func\":\"%s\","
	"\"args\":[],\"result\":2,\"file\":0,\"row\":7,\"col\":3}}]}]}]}}";

static int compile(const char *plan, const char *data)
{
	struct rg_compile_options options = {
		.plan_json = plan, .plan_bytes = strlen(plan), .bundle = "b", .sequence = 1};
	size_t bytes;
	void *image;

	if (data) {
		options.data_json = data;
		options.data_bytes = strlen(data);
	}
	if (rg_compile(&options, &image, &bytes, &err)) {
		assert(!image);
		return err.status;
	}
	free(image);
	return RG_OK;
}

static void expect_error(int status, const char *text)
{
	if (err.status != status || !strstr(err.text, text)) {
		fprintf(stderr, "error is %d %s\nwant %d ... %s\n", err.status, err.text, status,
			text);
		abort();
	}
}

static void test_missing_builtins(void)
{
	char plan[1024];

	snprintf(plan, sizeof(plan), plan_with_builtin, "http.post", "{}", "http.post");
	assert(compile(plan, NULL) == RG_EMISSING);
	expect_error(RG_EMISSING,
		     "bundle b: built-ins that riskgate does not have: http.post (p.rego:7:3)");
	snprintf(plan, sizeof(plan), plan_with_builtin, "count",
		 "{\"args\":[{\"type\":\"number\"}],\"result\":{\"type\":\"number\"},\"type\":"
		 "\"function\"}",
		 "count");
	assert(compile(plan, NULL) == RG_EINVAL);
	expect_error(RG_EINVAL, "built-in count");
}

static void test_data(void)
{
	assert(compile("{}", NULL) == RG_OK);
	assert(compile("{}", "{\"a\":1}") == RG_OK);
	assert(compile("{}", "[1]") == RG_EINVAL);
	expect_error(RG_EINVAL, "data.json: must be an object");
	assert(compile("{}", "{\"a\":\n 1,}") == RG_EINVAL);
	expect_error(RG_EINVAL, "data.json: line 2");
	assert(compile("{", NULL) == RG_EINVAL);
	expect_error(RG_EINVAL, "plan.json: line 1");
}

static int compile_bound_plan(const char *plan, size_t plan_bytes, const char *template_name,
			      const char *package)
{
	const struct rg_binding binding = {template_name, package};
	struct rg_reason_list reasons = {0};
	struct rg_compile_options options = {.sequence = 1,
					     .fields = &request_table,
					     .bindings = &binding,
					     .binding_count = 1,
					     .reasons = &reasons,
					     .plan_json = plan,
					     .plan_bytes = plan_bytes};
	size_t bytes;
	void *image;
	int status = rg_compile(&options, &image, &bytes, &err);

	free(image);
	rg_reason_list_free(&reasons);
	return status;
}

static int compile_bound(const char *directory, const char *template_name, const char *package)
{
	size_t bytes;
	char *plan = read_file(directory, "verdict.plan.json", &bytes);
	int status = compile_bound_plan(plan, bytes, template_name, package);

	free(plan);
	return status;
}

static void test_bindings(const char *directory)
{
	assert(compile_bound(directory, "Payment", "risk_control") == RG_OK);
	assert(compile_bound(directory, "Refund", "risk_control") == RG_ENOENT);
	expect_error(RG_ENOENT, "no template Refund");
	assert(compile_bound(directory, "Payment", "risk.control") == RG_EINVAL);
	expect_error(RG_EINVAL,
		     "package risk.control, which has none of the rules deny, review and allow");
	expect_error(RG_EINVAL, "opa build -t plan -e risk/control/deny");
	assert(compile_bound(directory, "Payment", "risk") == RG_EINVAL);
}

/* Rules with a constant key in their head have paths of their own; see verdict.c. */
static void test_constant_keys(void)
{
	static const char format[] =
		"{\"static\":{\"strings\":[]},\"plans\":{\"plans\":[]},\"funcs\":{\"funcs\":["
		"{\"name\":\"g0.data.p.allow\",\"path\":[\"g0\",\"p\",\"allow\"],\"params\":[0,1],"
		"\"return\":2,"
		"\"blocks\":[{\"stmts\":[{\"type\":\"ReturnLocalStmt\",\"stmt\":{\"source\":2}}]}]}"
		","
		"{\"name\":\"g0.data.p.%s.P01\",\"path\":[\"g0\",\"p\",\"%s\",\"P01\"],\"params\":["
		"0,1],\"return\":2,"
		"\"blocks\":[{\"stmts\":[{\"type\":\"ReturnLocalStmt\",\"stmt\":{\"source\":2}}]}]}"
		"]}}";
	static const char *const refused[] = {"deny", "review", "reasons"};
	char plan[1024];

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(plan, sizeof(plan), format, refused[i], refused[i]);
		assert(compile_bound_plan(plan, strlen(plan), "Payment", "p") == RG_EINVAL);
		expect_error(RG_EINVAL, "is made of rules with constant keys");
		assert(strstr(err.text, refused[i]));
	}
	snprintf(plan, sizeof(plan), format, "denied", "denied");
	assert(compile_bound_plan(plan, strlen(plan), "Payment", "p") == RG_OK);
}

/* A path that is both a field and a composite cannot be an object. */
static void test_field_paths(const char *directory)
{
	static const struct rg_field fields[] = {{.path = "a", .kind = RG_FIELD_INT, .bytes = 1},
						 {.path = "a.b", .kind = RG_FIELD_INT, .bytes = 1}};
	static const struct rg_template templates[] = {{.name = "T", .fields_count = 2}};
	static const struct rg_field_table table = {
		.templates = templates, .fields = fields, .template_count = 1, .field_count = 2};
	const struct rg_binding binding = {"T", "risk_control"};
	struct rg_compile_options options = {
		.sequence = 1, .fields = &table, .bindings = &binding, .binding_count = 1};
	char *plan = read_file(directory, "verdict.plan.json", &options.plan_bytes);
	size_t bytes;
	void *image;

	options.plan_json = plan;
	assert(rg_compile(&options, &image, &bytes, &err) == RG_EINVAL);
	expect_error(RG_EINVAL, "both a value and a composite");
	free(plan);
}

static const struct rg_image_function *specialised_deny(const void *image)
{
	const struct rg_image_binding *binding = rg_image_section(image, RG_SECTION_BINDINGS);
	const struct rg_image_function *functions = rg_image_section(image, RG_SECTION_FUNCTIONS);

	return &functions[binding->specialised[RG_ROLE_DENY]];
}

/* The first policy's deny is two guards on fields and a constant: nothing of input is made. */
static void test_specialised_code(const char *directory)
{
	struct rg_reason_list reasons = {0};
	size_t bytes;
	void *image =
		compile_fixture(directory, "verdict", false, "risk_control", &reasons, &bytes);
	const struct rg_image_function *deny = specialised_deny(image);
	const struct rg_instruction *code =
		(const struct rg_instruction *)rg_image_section(image, RG_SECTION_CODE) +
		deny->code;

	assert(deny->param_count == 0 && deny->code_count <= 4);
	assert(code[0].op == RG_OP_FIELD_COMPARE && code[0].aux == RG_GT &&
	       code[0].number == 10000000);
	assert(code[1].op == RG_OP_FIELD_MASK && code[1].number == 1 << 2);
	free(image);
	rg_reason_list_free(&reasons);
}

/* Rules over base data alone are not in the code of those who use them. */
static void test_folding(const char *directory)
{
	size_t bytes;
	void *image = compile_fixture(directory, "requests", true, NULL, NULL, &bytes);
	const struct rg_value *constants = rg_image_section(image, RG_SECTION_CONSTANTS);
	const struct rg_image_function *functions = rg_image_section(image, RG_SECTION_FUNCTIONS);
	const char *heap = rg_image_section(image, RG_SECTION_HEAP);

	for (uint32_t i = 0; i < rg_image_count(image, RG_SECTION_FUNCTIONS); i++) {
		struct rg_value name = constants[functions[i].name];

		assert(!memmem(heap + name.offset, name.length, "high_countries", 14));
	}
	free(image);
}

static void test_equal_images(const char *directory)
{
	struct rg_reason_list reasons = {0};
	size_t first_bytes, second_bytes;
	void *first =
		compile_fixture(directory, "requests", true, "requests", &reasons, &first_bytes);
	void *second =
		compile_fixture(directory, "requests", true, "requests", &reasons, &second_bytes);

	assert(first_bytes == second_bytes && !memcmp(first, second, first_bytes));
	free(first);
	free(second);
	rg_reason_list_free(&reasons);
}

/* The list has every string that can become a reason, and no other. */
static void test_reason_names(const char *directory)
{
	static const char *const expected[] = {
		"object_code",	   "from_data_1", "from_data_2", "from_table_low",
		"from_table_high", "key_1",	  "key_2",	 "handed_on",
		"plain",	   "first",	  "else"};
	const uint32_t count = sizeof(expected) / sizeof(expected[0]);
	struct rg_reason_list list = {0};
	size_t bytes;

	free(compile_fixture(directory, "reasons", true, "reasons", &list, &bytes));
	for (uint32_t i = 0; i < list.count; i++) {
		bool wanted = false;

		for (uint32_t j = 0; j < count; j++)
			wanted |= !strcmp(list.names[i], expected[j]);
		if (!wanted)
			fprintf(stderr, "listed as a reason: %s\n", list.names[i]);
		assert(wanted);
	}
	assert(list.count == count); /* and none twice */
	rg_reason_list_free(&list);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	test_missing_builtins();
	test_data();
	test_bindings(argv[1]);
	test_constant_keys();
	test_field_paths(argv[1]);
	test_specialised_code(argv[1]);
	test_folding(argv[1]);
	test_equal_images(argv[1]);
	test_reason_names(argv[1]);
	return 0;
}

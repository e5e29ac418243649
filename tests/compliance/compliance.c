/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs OPA's compliance cases, with their plans, through the compiler, the verifier and the
 * evaluator:
 *
 *	compliance DIRECTORY [--skip-list FILE] [--only REGEX] [--quiet]
 *
 * DIRECTORY holds folders of files {"cases":[{note, plan, data, input, input_term, want_result,
 * want_error_code, want_error, strict_error, sort_bindings, ignore_generated_vars}, ...]}. Each
 * failing case is a line, and the last line is `N passed, N failed, N skipped`. Exit code: 0 all
 * passed, 1 some failed, 2 wrong use.
 *
 * A case that wants an error passes only with that code (or, where only a text is given, with a
 * message that contains it). A plan that is refused is never a pass. Lines of the skip list:
 *
 *	builtin PATTERN reason...	cases that call a built-in riskgate lacks, by its name
 *	case PATTERN reason...		cases by "FILE: NOTE"
 *
 * with * in PATTERN for any text and no spaces. Results are compared as OPA's own runner does: sets
 * are sorted arrays, keys are texts, numbers go by value, the order of the bindings does not count.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "policy/builtin/builtin.h"
#include "policy/compile/compile.h"
#include "policy/eval/container.h"
#include "policy/eval/eval.h"
#include "policy/eval/value_term.h"
#include "policy/image/image.h"

#define SCRATCH_BYTES (512ull << 20)
#define NOW_NS	      1700000000123456789
#define LINE_BYTES    1024

/* A part of the file's text: one JSON value. */
struct span {
	const char *at;
	size_t bytes;
};

struct test_case {
	char note[LINE_BYTES];
	struct span plan, data, input, input_term, want_result, want_error_code, want_error;
	bool strict, sort_bindings, ignore_generated;
};

struct skip {
	struct skip *next;
	bool by_builtin;
	char pattern[256];
};

struct runner {
	struct rg_eval *eval;
	struct rg_heap expected; /* what cases want, and the reading of plans */
	struct skip *skips;
	regex_t only;
	bool has_only, quiet;
	unsigned passed, failed, skipped;
	size_t root_bytes; /* of the directory's name */
};

enum outcome { PASSED, FAILED, SKIPPED };

/* ---- reading cases ---- */

static char *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	struct stat info;
	char *text = NULL;

	if (!file || fstat(fileno(file), &info))
		goto cleanup;
	text = malloc((size_t)info.st_size + 1);
	if (!text)
		goto cleanup;
	*bytes = fread(text, 1, (size_t)info.st_size, file);
	text[*bytes] = '\0';
cleanup:
	if (file)
		fclose(file);
	return text;
}

/* The next value: its span. False at the end of the container, or on malformed JSON. */
static bool next_value(struct rg_json_reader *reader, struct span *out)
{
	enum rg_json_token token = rg_json_next(reader);

	if (token == RG_JSON_ERROR || token == RG_JSON_ARRAY_END || token == RG_JSON_OBJECT_END)
		return false;
	out->at = reader->token_at;
	if (rg_json_skip(reader))
		return false;
	out->bytes = (size_t)(reader->at - out->at);
	return true;
}

/* The next key of an object. */
static bool next_key(struct rg_json_reader *reader)
{
	return rg_json_next(reader) == RG_JSON_KEY;
}

static bool is_true(struct span s)
{
	return s.bytes == 4 && !memcmp(s.at, "true", 4);
}

/* The text of a JSON string. */
static void decode(struct span s, char *out, size_t bytes)
{
	struct rg_json_reader reader;
	char *text = malloc(s.bytes * 3 + 1);
	size_t n = 0;

	if (text && s.at) {
		rg_json_reader_init(&reader, s.at, s.bytes);
		if (rg_json_next(&reader) == RG_JSON_STRING)
			n = rg_json_decode(&reader, text);
	}
	snprintf(out, bytes, "%.*s", (int)n, text ? text : "");
	free(text);
}

static bool read_case(struct span object, struct test_case *out)
{
	struct rg_json_reader reader;
	struct span value;

	*out = (struct test_case){0};
	rg_json_reader_init(&reader, object.at, object.bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return false;
	while (next_key(&reader)) {
		struct rg_json_reader key = reader;

		if (!next_value(&reader, &value))
			return false;
		if (rg_json_equals(&key, "note"))
			decode(value, out->note, sizeof(out->note));
		else if (rg_json_equals(&key, "plan"))
			out->plan = value;
		else if (rg_json_equals(&key, "data"))
			out->data = value;
		else if (rg_json_equals(&key, "input"))
			out->input = value;
		else if (rg_json_equals(&key, "input_term"))
			out->input_term = value;
		else if (rg_json_equals(&key, "want_result"))
			out->want_result = value;
		else if (rg_json_equals(&key, "want_error_code"))
			out->want_error_code = value;
		else if (rg_json_equals(&key, "want_error"))
			out->want_error = value;
		else if (rg_json_equals(&key, "strict_error"))
			out->strict = is_true(value);
		else if (rg_json_equals(&key, "sort_bindings"))
			out->sort_bindings = is_true(value);
		else if (rg_json_equals(&key, "ignore_generated_vars"))
			out->ignore_generated = is_true(value);
	}
	return out->plan.at != NULL;
}

/* ---- skipping ---- */

static bool is_skipped_case(const struct runner *runner, const char *name)
{
	for (const struct skip *skip = runner->skips; skip; skip = skip->next) {
		if (!skip->by_builtin && !fnmatch(skip->pattern, name, 0))
			return true;
	}
	return false;
}

static bool is_skipped_builtin(const struct runner *runner, const char *name)
{
	for (const struct skip *skip = runner->skips; skip; skip = skip->next) {
		if (skip->by_builtin && !fnmatch(skip->pattern, name, 0))
			return true;
	}
	return false;
}

/* Does the plan call a built-in that riskgate lacks and the skip list names? */
static bool lacks_skipped_builtin(struct runner *runner, const struct test_case *test)
{
	struct rg_heap *heap = &runner->expected;
	struct rg_value plan, list = rg_undefined;
	char name[256];

	rg_heap_reset(heap);
	if (rg_value_parse(heap, test->plan.at, test->plan.bytes, &plan, NULL) ||
	    plan.type != RG_OBJECT)
		return false;
	plan = rg_object_get_text(heap, plan, "static", 6);
	if (plan.type == RG_OBJECT)
		list = rg_object_get_text(heap, plan, "builtin_funcs", 13);
	for (uint32_t i = 0; list.type == RG_ARRAY && i < rg_count(heap, list); i++) {
		struct rg_value v = rg_object_get_text(heap, rg_array_at(heap, list, i), "name", 4);

		snprintf(name, sizeof(name), "%.*s", (int)v.length, rg_text(heap, v));
		if (!rg_builtin_find(name, strlen(name)) && is_skipped_builtin(runner, name))
			return true;
	}
	return false;
}

static bool load_skip_list(struct runner *runner, const char *path)
{
	char line[LINE_BYTES], kind[16], pattern[256];
	FILE *file = fopen(path, "r");
	unsigned number = 0;

	if (!file) {
		fprintf(stderr, "compliance: %s: %s\n", path, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), file)) {
		struct skip *skip;
		int reason = 0;

		number++;
		if (*line == '#' || *line == '\n')
			continue;
		if (sscanf(line, "%15s %255s %n", kind, pattern, &reason) < 2 || !reason ||
		    !line[reason] || (strcmp(kind, "builtin") && strcmp(kind, "case"))) {
			fprintf(stderr,
				"compliance: %s:%u: expected `builtin PATTERN reason` or `case "
				"PATTERN reason`\n",
				path, number);
			fclose(file);
			return false;
		}
		skip = calloc(1, sizeof(*skip));
		if (!skip)
			abort();
		skip->by_builtin = *kind == 'b';
		snprintf(skip->pattern, sizeof(skip->pattern), "%s", pattern);
		skip->next = runner->skips;
		runner->skips = skip;
	}
	fclose(file);
	return true;
}

/* ---- comparing ---- */

/* A binding object without generated variables and with its arrays sorted, as the case asks for. */
static struct rg_value normal_binding(struct rg_heap *heap, const struct test_case *test,
				      struct rg_value binding)
{
	struct rg_value normal;

	if (binding.type != RG_OBJECT)
		return binding;
	normal = rg_object(heap, 0);
	for (uint32_t i = 0; i < rg_count(heap, binding); i++) {
		struct rg_pair pair = rg_object_at(heap, binding, i);
		const char *name = rg_text(heap, pair.key);

		if (test->ignore_generated && pair.key.length > 7 && !memcmp(name, "__local", 7))
			continue;
		if (test->sort_bindings && pair.value.type == RG_ARRAY) {
			pair.value = rg_clone(heap, pair.value);
			rg_array_sort(heap, pair.value);
		}
		rg_object_insert(heap, normal, pair.key, pair.value);
	}
	return normal;
}

/* Bindings from JSON text, normalised and in order. */
static bool read_bindings(struct rg_heap *heap, const struct test_case *test, const char *json,
			  size_t bytes, struct rg_value *out)
{
	struct rg_value list;

	if (rg_value_parse(heap, json, bytes, &list, NULL) || list.type != RG_ARRAY)
		return false;
	*out = rg_array(heap, rg_count(heap, list));
	for (uint32_t i = 0; i < rg_count(heap, list); i++)
		rg_array_append(heap, *out, normal_binding(heap, test, rg_array_at(heap, list, i)));
	rg_array_sort(heap, *out);
	return true;
}

static enum outcome compare_results(struct runner *runner, const struct test_case *test,
				    struct rg_value results, char *why)
{
	struct rg_heap *from = rg_eval_heap(runner->eval), *heap = &runner->expected;
	struct rg_value json = rg_value_json(from, results), got, want;

	rg_heap_reset(heap);
	if (!rg_is_defined(json) ||
	    !read_bindings(heap, test, rg_text(from, json), json.length, &got)) {
		snprintf(why, LINE_BYTES, "the result cannot be printed");
		return FAILED;
	}
	if (!test->want_result.at) { /* only that it runs */
		return PASSED;
	}
	if (!read_bindings(heap, test, test->want_result.at, test->want_result.bytes, &want)) {
		snprintf(why, LINE_BYTES, "want_result is not a list of bindings");
		return FAILED;
	}
	if (rg_equal(heap, got, want))
		return PASSED;
	snprintf(why, LINE_BYTES, "got %.*s, want %.*s", json.length > 400 ? 400 : (int)json.length,
		 rg_text(from, json),
		 test->want_result.bytes > 400 ? 400 : (int)test->want_result.bytes,
		 test->want_result.at);
	return FAILED;
}

/* A wanted text may begin with "file.rego:ROW: " under another name of the module: leave that
 * out. */
static const char *without_place(const char *text)
{
	const char *colon = strstr(text, ".rego:"), *rest;

	if (!colon)
		return text;
	rest = colon + 6 + strspn(colon + 6, "0123456789");
	return rest[0] == ':' && rest[1] == ' ' ? rest + 2 : text;
}

static enum outcome compare_error(const struct test_case *test, enum rg_eval_result result,
				  const char *text, char *why)
{
	char want_code[128], want_text[LINE_BYTES];

	decode(test->want_error_code, want_code, sizeof(want_code));
	decode(test->want_error, want_text, sizeof(want_text));
	if (result == RG_EVAL_OK) {
		snprintf(why, LINE_BYTES, "no error, want %s %.300s", want_code, want_text);
		return FAILED;
	}
	if (*want_code ? !strcmp(rg_eval_result_code(result), want_code)
		       : strstr(text, without_place(want_text)) != NULL)
		return PASSED;
	snprintf(why, LINE_BYTES, "got %s %.300s, want %s %.300s", rg_eval_result_code(result),
		 text, want_code, want_text);
	return FAILED;
}

/* ---- running ---- */

static int read_input(struct runner *runner, const struct test_case *test, struct rg_value *out,
		      struct rg_error *err)
{
	struct rg_heap *heap = rg_eval_heap(runner->eval);
	size_t bytes = test->input_term.bytes * 3 + 1;
	char *text;
	int status;

	*out = rg_undefined;
	if (!test->input_term.at)
		return test->input.at
			       ? rg_value_parse(heap, test->input.at, test->input.bytes, out, err)
			       : RG_OK;
	text = malloc(bytes);
	if (!text)
		abort();
	decode(test->input_term, text, bytes);
	status = rg_term_parse(heap, text, strlen(text), out, err);
	free(text);
	return status;
}

static enum outcome run_image(struct runner *runner, const struct test_case *test,
			      const void *image, size_t bytes, char *why)
{
	struct rg_query query = {.strict = test->strict, .now_ns = NOW_NS, .seed = 42};
	struct rg_value results = rg_undefined;
	struct rg_error err = {0};
	enum rg_eval_result result;
	int plan, status;

	status = rg_image_verify(image, bytes, &err);
	if (!status)
		status = rg_eval_bind(runner->eval, image, bytes, &err);
	rg_heap_reset(rg_eval_heap(runner->eval));
	if (!status)
		status = read_input(runner, test, &query.input, &err);
	if (status) {
		snprintf(why, LINE_BYTES, "%.500s", err.text);
		return FAILED;
	}
	plan = rg_eval_plan_find(runner->eval, "eval");
	if (plan < 0) {
		snprintf(why, LINE_BYTES, "the image has no plan \"eval\"");
		return FAILED;
	}
	result = rg_eval_run(runner->eval, (uint32_t)plan, &query, &results, &err);
	if (test->want_error_code.at || test->want_error.at)
		return compare_error(test, result, err.text, why);
	if (result == RG_EVAL_OK)
		return compare_results(runner, test, results, why);
	snprintf(why, LINE_BYTES, "%s: %.500s", rg_eval_result_code(result), err.text);
	return FAILED;
}

static enum outcome run_case(struct runner *runner, const struct test_case *test, char *why)
{
	struct rg_compile_options options = {.plan_json = test->plan.at,
					     .plan_bytes = test->plan.bytes,
					     .data_json = test->data.at,
					     .data_bytes = test->data.bytes,
					     .bundle = "compliance",
					     .revision = "1",
					     .sequence = 1,
					     .budget = 100000000};
	struct rg_error err = {0};
	enum outcome outcome;
	size_t bytes;
	void *image;

	if (rg_compile(&options, &image, &bytes, &err)) {
		snprintf(why, LINE_BYTES, "refused: %.500s", err.text);
		return FAILED;
	}
	outcome = run_image(runner, test, image, bytes, why);
	free(image);
	return outcome;
}

static void report(struct runner *runner, enum outcome outcome, const char *name, const char *why)
{
	runner->passed += outcome == PASSED;
	runner->failed += outcome == FAILED;
	runner->skipped += outcome == SKIPPED;
	if (outcome == FAILED && !runner->quiet)
		printf("FAIL %s: %s\n", name, why);
}

static void run_file(struct runner *runner, const char *path)
{
	char name[2 * LINE_BYTES], why[LINE_BYTES];
	struct rg_json_reader reader;
	struct test_case test;
	struct span object;
	size_t bytes = 0;
	char *text = read_file(path, &bytes);

	if (!text) {
		report(runner, FAILED, path, strerror(errno));
		return;
	}
	rg_json_reader_init(&reader, text, bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN || !next_key(&reader) ||
	    !rg_json_equals(&reader, "cases") || rg_json_next(&reader) != RG_JSON_ARRAY_BEGIN) {
		report(runner, FAILED, path, "not a file of cases: expected {\"cases\":[...]}");
		free(text);
		return;
	}
	while (next_value(&reader, &object)) {
		enum outcome outcome = FAILED;

		*why = '\0';
		if (!read_case(object, &test)) {
			report(runner, FAILED, path, "a case without a plan");
			continue;
		}
		snprintf(name, sizeof(name), "%s: %s", path + runner->root_bytes, test.note);
		if (runner->has_only && regexec(&runner->only, name, 0, NULL, 0))
			continue;
		if (is_skipped_case(runner, name) || lacks_skipped_builtin(runner, &test))
			outcome = SKIPPED;
		else
			outcome = run_case(runner, &test, why);
		report(runner, outcome, name, why);
	}
	free(text);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t bytes = strlen(name), skip = strlen(suffix);

	return bytes >= skip && !strcmp(name + bytes - skip, suffix);
}

/* All *.json files below a directory, in the order of their names. */
static void run_directory(struct runner *runner, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	if (count < 0) {
		report(runner, FAILED, path, strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		char child[4096];
		struct stat info;

		snprintf(child, sizeof(child), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && !stat(child, &info)) {
			if (S_ISDIR(info.st_mode))
				run_directory(runner, child);
			else if (has_suffix(child, ".json"))
				run_file(runner, child);
		}
		free(entries[i]);
	}
	free(entries);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: compliance DIRECTORY [--skip-list FILE] [--only REGEX] [--quiet]\n");
	return 2;
}

static bool make_evaluator(struct runner *runner)
{
	uint64_t bytes = rg_eval_footprint(SCRATCH_BYTES);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct rg_error err;

	if (!bytes || memory == MAP_FAILED || rg_heap_new(&runner->expected, SCRATCH_BYTES, &err))
		return false;
	runner->eval = rg_eval_new(memory, SCRATCH_BYTES);
	return runner->eval != NULL;
}

int main(int argc, char **argv)
{
	static struct runner runner;
	const char *directory = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quiet")) {
			runner.quiet = true;
		} else if (!strcmp(argv[i], "--skip-list") && i + 1 < argc) {
			if (!load_skip_list(&runner, argv[++i]))
				return 2;
		} else if (!strcmp(argv[i], "--only") && i + 1 < argc) {
			if (regcomp(&runner.only, argv[++i], REG_EXTENDED | REG_NOSUB))
				return usage();
			runner.has_only = true;
		} else if (argv[i][0] == '-' || directory) {
			return usage();
		} else {
			directory = argv[i];
		}
	}
	if (!directory)
		return usage();
	if (!make_evaluator(&runner)) {
		fprintf(stderr, "compliance: no memory for the evaluator\n");
		return 1;
	}
	runner.root_bytes = strlen(directory) + !has_suffix(directory, "/");
	run_directory(&runner, directory);
	printf("%u passed, %u failed, %u skipped\n", runner.passed, runner.failed, runner.skipped);
	return runner.failed || !(runner.passed + runner.skipped); /* nothing to run is a mistake */
}

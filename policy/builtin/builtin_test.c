/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the calls listed in a family's *_test.txt: `name(terms) => term`, `=> undefined`, or `=>
 * error CODE text`. The answers are OPA's; scripts/builtin-answers writes them anew with `opa
 * eval`. Each call is repeated in heaps that are too small, and with no instruction budget: it must
 * give an error or the answer, and touch nothing outside.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/builtin/builtin.h"
#include "policy/eval/value_term.h"

#define HEAP_BYTES (64ull << 20)

static struct rg_heap heap;

struct test_call {
	const struct rg_builtin *builtin;
	struct rg_value args[RG_BUILTIN_ARGS_MAX];
	const char *want, *end; /* what stands behind => */
};

static bool parse_call(const char *line, struct test_call *call, struct rg_error *err)
{
	const char *at = strchr(line, '('), *end = line + strcspn(line, "\n");
	uint32_t count = 0;

	if (!at || !(call->builtin = rg_builtin_find(line, (size_t)(at - line))))
		return rg_error_set(err, RG_EINVAL, "no such built-in"), false;
	at++;
	while (*at != ')') {
		if (count == RG_BUILTIN_ARGS_MAX ||
		    rg_term_read(&heap, line, &at, end, &call->args[count++], err))
			return false;
		at += *at == ',';
	}
	if (count != call->builtin->arg_count)
		return rg_error_set(err, RG_EINVAL, "wrong number of arguments"), false;
	at = strstr(at, "=> ");
	if (!at)
		return rg_error_set(err, RG_EINVAL, "no =>"), false;
	call->want = at + 3;
	call->end = end;
	return true;
}

static struct rg_builtin_call context(void)
{
	return (struct rg_builtin_call){.heap = &heap,
					.now_ns = 1700000000000000000,
					.seed = 7,
					.budget = 10000000,
					.want_error_text = true};
}

static bool is_wanted_error(const struct test_call *test, enum rg_builtin_result got,
			    const char *text)
{
	static const char type_error[] = "error eval_type_error ",
			  error[] = "error eval_builtin_error ";
	const char *prefix = got == RG_BUILTIN_TYPE_ERROR ? type_error : error;
	size_t bytes = (size_t)(test->end - test->want), skip = strlen(prefix);

	return bytes >= skip && !memcmp(test->want, prefix, skip) && strlen(text) == bytes - skip &&
	       !memcmp(text, test->want + skip, bytes - skip);
}

static bool run(const struct test_call *test, const char *line)
{
	struct rg_builtin_call call = context();
	struct rg_value result = rg_undefined, want = rg_undefined, json;
	enum rg_builtin_result status;
	struct rg_error err = {0};

	call.name = test->builtin->name;
	status = test->builtin->run(&call, test->args, &result);
	if (status == RG_BUILTIN_TYPE_ERROR || status == RG_BUILTIN_ERROR) {
		if (is_wanted_error(test, status, call.error.text))
			return true;
		printf("%.*s\n    got error %s\n", (int)(test->end - line), line, call.error.text);
		return false;
	}
	if (strncmp(test->want, "undefined", 9) &&
	    rg_term_parse(&heap, test->want, (size_t)(test->end - test->want), &want, &err)) {
		printf("%.*s\n    %s\n", (int)(test->end - line), line, err.text);
		return false;
	}
	json = rg_value_json(&heap, result);
	if (status == RG_BUILTIN_OK && result.type == want.type && rg_equal(&heap, result, want)) {
		struct rg_value other = rg_value_json(&heap, want);

		if (json.length == other.length &&
		    !memcmp(rg_text(&heap, json), rg_text(&heap, other), json.length))
			return true; /* equal, and spelled alike */
	}
	printf("%.*s\n    got %s %.*s\n", (int)(test->end - line), line,
	       rg_is_defined(result) ? "" : "undefined,", (int)json.length, rg_text(&heap, json));
	return false;
}

/* The same call with little memory, then with little budget. */
static void run_starved(const struct test_call *test)
{
	uint64_t used = heap.used, full = heap.bytes[RG_SPACE_SCRATCH];
	struct rg_value result;

	for (uint64_t room = 0; room < 4096; room += room < 256 ? 8 : 256) {
		struct rg_builtin_call call = context();

		call.name = test->builtin->name;
		heap.bytes[RG_SPACE_SCRATCH] = used + room;
		if (test->builtin->run(&call, test->args, &result) == RG_BUILTIN_MEMORY)
			assert(heap.exhausted);
		heap.exhausted = false;
		heap.used = used;
	}
	heap.bytes[RG_SPACE_SCRATCH] = full;
	for (uint64_t budget = 0; budget < 20; budget++) {
		struct rg_builtin_call call = context();

		call.name = test->builtin->name;
		call.budget = budget;
		call.want_error_text = false;
		test->builtin->run(&call, test->args, &result);
		heap.used = used;
	}
}

int main(int argc, char **argv)
{
	static char line[1 << 16];
	int failed = 0, passed = 0;
	struct rg_error err;
	FILE *file;

	assert(argc == 2 && rg_heap_new(&heap, HEAP_BYTES, &err) == RG_OK);
	file = fopen(argv[1], "r");
	assert(file);
	while (fgets(line, sizeof(line), file)) {
		struct test_call call;

		if (*line == '#' || *line == '\n')
			continue;
		rg_heap_reset(&heap);
		if (!parse_call(line, &call, &err)) {
			printf("%s    %s\n", line, err.text);
			failed++;
			continue;
		}
		run_starved(&call);
		if (run(&call, line))
			passed++;
		else
			failed++;
	}
	fclose(file);
	printf("%d passed, %d failed\n", passed, failed);
	rg_heap_free(&heap);
	return failed || !passed;
}

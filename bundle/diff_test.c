/* SPDX-License-Identifier: Apache-2.0 */
/* Argument: the folder of the example policies. */
#include "bundle/diff.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/text_diff.h"

/* ---- texts ---- */

static char *diff_of(const char *from, const char *to, uint32_t added, uint32_t removed)
{
	struct rg_text_diff diff;
	struct rg_error err;

	assert(!rg_text_diff(from, to, &diff, &err));
	assert(diff.added_lines == added && diff.removed_lines == removed);
	assert(strlen(diff.text) == diff.bytes);
	return diff.text;
}

static void expect(const char *from, const char *to, uint32_t added, uint32_t removed,
		   const char *wanted)
{
	char *text = diff_of(from, to, added, removed);

	if (strcmp(text, wanted))
		fprintf(stderr, "got:\n%swanted:\n%s", text, wanted);
	assert(!strcmp(text, wanted));
	free(text);
}

static void test_texts(void)
{
	expect("", "", 0, 0, "");
	expect("a\nb\n", "a\nb", 0, 0, "");
	expect("", "a\n", 1, 0, "@@ -0,0 +1,1 @@\n+a\n");
	expect("a\n", "", 0, 1, "@@ -1,1 +0,0 @@\n-a\n");
	expect("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nV\n6\n7\n8\n9\n", 1, 1,
	       "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+V\n 6\n 7\n 8\n");
	/* near changes share a hunk, far ones do not */
	expect("1\n2\n3\n4\n5\n6\n7\n8\n", "X\n2\n3\n4\n5\n6\n7\nY\n", 2, 2,
	       "@@ -1,8 +1,8 @@\n-1\n+X\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+Y\n");
	expect("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "X\n2\n3\n4\n5\n6\n7\n8\nY\n", 2, 2,
	       "@@ -1,4 +1,4 @@\n-1\n+X\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+Y\n");
}

/* Apply hunks to `from`; the result must be `to`. */
static void apply(const char *from, const char *hunks, char *out)
{
	uint32_t line = 1;

	while (*hunks) {
		uint32_t first, count, other, other_count;

		assert(sscanf(hunks, "@@ -%u,%u +%u,%u @@", &first, &count, &other, &other_count) ==
		       4);
		hunks += strcspn(hunks, "\n") + 1;
		for (; line < first + !count; line++) {
			size_t bytes = strcspn(from, "\n") + 1;

			out = mempcpy(out, from, bytes);
			from += bytes;
		}
		for (; *hunks && *hunks != '@'; hunks += strcspn(hunks, "\n") + 1) {
			size_t bytes = strcspn(hunks + 1, "\n") + 1;

			if (*hunks != '+') {
				assert(!strncmp(from, hunks + 1, bytes));
				from += bytes;
				line++;
			}
			if (*hunks != '-')
				out = mempcpy(out, hunks + 1, bytes);
		}
	}
	strcpy(out, from);
}

/* The longest common subsequence, by the textbook's table. */
static uint32_t common_lines(const char *a, uint32_t n, const char *b, uint32_t m)
{
	uint32_t table[65][65] = {0};

	for (uint32_t i = 1; i <= n; i++) {
		for (uint32_t j = 1; j <= m; j++) {
			uint32_t best = table[i - 1][j] > table[i][j - 1] ? table[i - 1][j]
									  : table[i][j - 1];

			table[i][j] = a[2 * i - 2] == b[2 * j - 2] ? table[i - 1][j - 1] + 1 : best;
		}
	}
	return table[n][m];
}

static uint32_t random_text(char *text, uint32_t letters)
{
	uint32_t lines = (uint32_t)rand() % 60;

	for (uint32_t i = 0; i < lines; i++) {
		*text++ = (char)('a' + (uint32_t)rand() % letters);
		*text++ = '\n';
	}
	*text = '\0';
	return lines;
}

static void test_texts_random(unsigned seed)
{
	char a[128], b[128], result[512];

	printf("random texts, seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 5000; round++) {
		uint32_t letters = 2 + (uint32_t)rand() % 20;
		uint32_t n = random_text(a, letters), m = random_text(b, letters),
			 common = common_lines(a, n, b, m);
		char *hunks = diff_of(a, b, m - common, n - common); /* no script is shorter */

		apply(a, hunks, result);
		assert(!strcmp(result, b));
		free(hunks);
	}
}

/* More edits than are searched for: all of it removed and added, still right. */
static void test_texts_far_apart(void)
{
	size_t lines = 3000;
	char *a = malloc(lines * 8 + 1), *b = malloc(lines * 8 + 1),
	     *result = malloc(lines * 16 + 1), *hunks;

	assert(a && b && result);
	for (size_t i = 0; i < lines; i++) {
		sprintf(a + i * 8, "a%06zu\n", i);
		sprintf(b + i * 8, "b%06zu\n", i);
	}
	hunks = diff_of(a, b, (uint32_t)lines, (uint32_t)lines);
	apply(a, hunks, result);
	assert(!strcmp(result, b));
	free(hunks);
	free(a);
	free(b);
	free(result);
}

/* ---- bundles ---- */

static char *diff_bundles(const struct rg_bundle *from, const struct rg_bundle *to)
{
	struct rg_json_writer writer;
	struct rg_error err;

	rg_json_writer_init(&writer, false);
	if (rg_bundle_diff(from, to, &writer, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return writer.text;
}

static struct rg_bundle *load(const char *folder, const char *name)
{
	struct rg_bundle *bundle;
	struct rg_error err;
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (rg_bundle_load(path, NULL, &bundle, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return bundle;
}

static void want(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fprintf(stderr, "no %s in %s\n", wanted, text);
	assert(strstr(text, wanted));
}

static void test_examples(const char *examples)
{
	struct rg_bundle *one = load(examples, "payments/bundles/payments-1.tar.gz"),
			 *two = load(examples, "payments/bundles/payments-2.tar.gz");
	char *text = diff_bundles(one, one);

	want(text, "\"identical\":true");
	free(text);
	text = diff_bundles(one, two);
	want(text, "\"identical\":false");
	/* exactly the rule that revision-2.patch touches */
	want(text,
	     "\"rules\":{\"added\":[],\"removed\":[],\"changed\":[\"data.payments.signals\"]");
	want(text, "\"file\":\"payments.rego\",\"change\":\"changed\",\"added_lines\":6,"
		   "\"removed_lines\":0");
	want(text, "+signals contains \\\"night_remote\\\" if {\\n");
	want(text, "\"pointer\":\"/reference/payments/night/category/misc_net\","
		   "\"change\":\"changed\",\"old\":700,\"new\":500}");
	want(text, "\"added\":2,\"removed\":0,\"changed\":2,\"left_out\":0");
	free(text);
	text = diff_bundles(two, one);
	want(text, "\"added\":0,\"removed\":2,\"changed\":2");
	free(text);
	rg_bundle_free(one);
	rg_bundle_free(two);
}

#define PLAN "{\"static\":{},\"plans\":{\"plans\":[]},\"funcs\":{\"funcs\":[]}}"

static char *diff_data(const char *from, const char *to)
{
	struct rg_bundle a = {.plan_json = PLAN, .plan_bytes = strlen(PLAN)}, b = a;

	a.data_json = (char *)from;
	a.data_bytes = strlen(from);
	b.data_json = (char *)to;
	b.data_bytes = strlen(to);
	return diff_bundles(&a, &b);
}

static void expect_data(const char *from, const char *to, const char *values)
{
	char *text = diff_data(from, to), wanted[1024];

	snprintf(wanted, sizeof(wanted), "\"values\":[%s]", values);
	want(text, wanted);
	free(text);
}

static void test_data(void)
{
	char *text, large[3000];
	size_t used = 0;

	expect_data("{\"a\":1}", "{\"a\":1.0}", "");
	expect_data("{\"a\":0.1}", "{\"a\":0.10000000000000001}",
		    "{\"pointer\":\"/a\",\"change\":\"changed\",\"old\":0.1,"
		    "\"new\":0.10000000000000001}");
	expect_data("{\"a/b\":{\"c~\":[1,2,3]}}", "{\"a/b\":{\"c~\":[1,4]}}",
		    "{\"pointer\":\"/a~1b/c~0/1\",\"change\":\"changed\",\"old\":2,\"new\":4},"
		    "{\"pointer\":\"/a~1b/c~0/2\",\"change\":\"removed\",\"old\":3}");
	expect_data("{\"a\":{}}", "{\"a\":[]}",
		    "{\"pointer\":\"/a\",\"change\":\"changed\",\"old\":{},\"new\":[]}");
	expect_data("{}", "{\"a\":{\"b\":null}}",
		    "{\"pointer\":\"/a\",\"change\":\"added\",\"new\":{\"b\":null}}");
	/* bounded: values by size, then by number */
	memset(large, 'x', sizeof(large));
	snprintf(large, 300, "{\"a\":\"%0280d\"}", 0);
	text = diff_data("{}", large);
	want(text, "{\"pointer\":\"/a\",\"change\":\"added\",\"new_bytes\":282}");
	free(text);
	used = 1;
	large[0] = '[';
	for (int i = 0; i < 1000; i++)
		used += (size_t)sprintf(large + used, "%s7", i ? "," : "");
	strcpy(large + used, "]");
	{
		char both[3100], zeros[3100];

		snprintf(both, sizeof(both), "{\"a\":%s}", large);
		strcpy(zeros, both);
		for (char *at = zeros; (at = strchr(at, '7'));)
			*at = '0';
		text = diff_data(zeros, both);
	}
	want(text, "\"changed\":1000,\"left_out\":500");
	free(text);
}

static void test_bad(void)
{
	struct rg_bundle good = {.plan_json = PLAN,
				 .plan_bytes = strlen(PLAN),
				 .data_json = "{}",
				 .data_bytes = 2},
			 bad = good;
	struct rg_json_writer writer;
	struct rg_error err;

	rg_json_writer_init(&writer, false);
	bad.data_json = "{\"a\":";
	bad.data_bytes = 5;
	assert(rg_bundle_diff(&good, &bad, &writer, &err) == RG_EINVAL &&
	       strstr(err.text, "data: "));
	rg_json_writer_reset(&writer);
	bad = good;
	bad.plan_json = "{\"plans\":3}";
	bad.plan_bytes = strlen(bad.plan_json);
	assert(rg_bundle_diff(&bad, &good, &writer, &err) == RG_EINVAL);
	rg_json_writer_free(&writer);
}

int main(int argc, char **argv)
{
	assert(argc == 2);
	test_texts();
	test_texts_random(7);
	test_texts_far_apart();
	test_examples(argv[1]);
	test_data();
	test_bad();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tokens(const char *text, const char *want)
{
	static const char letters[] = ".!{}[]ksntf0"; /* in the order of enum rg_json_token */
	struct rg_json_reader reader;
	char got[64];
	size_t n = 0;

	rg_json_reader_init(&reader, text, strlen(text));
	for (;;) {
		enum rg_json_token token = rg_json_next(&reader);

		assert(n + 1 < sizeof(got));
		got[n++] = letters[token];
		if (token == RG_JSON_END || token == RG_JSON_ERROR)
			break;
	}
	got[n] = '\0';
	if (strcmp(got, want)) {
		fprintf(stderr, "%s: got %s, want %s (%s)\n", text, got, want, reader.error.text);
		abort();
	}
	assert(rg_json_next(&reader) == (got[n - 1] == '.' ? RG_JSON_END : RG_JSON_ERROR));
}

static void decoded(const char *text, const char *want, size_t want_bytes)
{
	struct rg_json_reader reader;
	char out[128];

	rg_json_reader_init(&reader, text, strlen(text));
	assert(rg_json_next(&reader) == RG_JSON_STRING);
	assert(rg_json_decode(&reader, out) == want_bytes);
	assert(!memcmp(out, want, want_bytes));
	assert(rg_json_next(&reader) == RG_JSON_END);
}

static void refused(const char *text, const char *want)
{
	struct rg_json_reader reader;
	enum rg_json_token token;

	rg_json_reader_init(&reader, text, strlen(text));
	do
		token = rg_json_next(&reader);
	while (token != RG_JSON_END && token != RG_JSON_ERROR);
	assert(token == RG_JSON_ERROR);
	if (strcmp(reader.error.text, want)) {
		fprintf(stderr, "%s: got \"%s\", want \"%s\"\n", text, reader.error.text, want);
		abort();
	}
}

static void test_depth(void)
{
	char text[2 * RG_JSON_DEPTH_MAX + 4];
	struct rg_json_reader reader;

	memset(text, '[', sizeof(text));
	rg_json_reader_init(&reader, text, sizeof(text));
	for (int i = 0; i < RG_JSON_DEPTH_MAX; i++)
		assert(rg_json_next(&reader) == RG_JSON_ARRAY_BEGIN);
	assert(rg_json_next(&reader) == RG_JSON_ERROR);
	assert(strstr(reader.error.text, "512 levels"));
}

static void test_skip(void)
{
	static const char text[] = "{\"a\":{\"b\":[1,2,{}]},\"c\":3}";
	struct rg_json_reader reader;

	rg_json_reader_init(&reader, text, strlen(text));
	assert(rg_json_next(&reader) == RG_JSON_OBJECT_BEGIN);
	assert(rg_json_next(&reader) == RG_JSON_KEY && rg_json_equals(&reader, "a"));
	assert(rg_json_next(&reader) == RG_JSON_OBJECT_BEGIN);
	assert(rg_json_skip(&reader) == RG_OK);
	assert(rg_json_next(&reader) == RG_JSON_KEY && rg_json_equals(&reader, "c"));
	assert(rg_json_next(&reader) == RG_JSON_NUMBER);
	assert(rg_json_skip(&reader) == RG_OK);
	assert(rg_json_next(&reader) == RG_JSON_OBJECT_END);
	assert(rg_json_next(&reader) == RG_JSON_END);
}

static void test_int64(void)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t value;
	} cases[] = {{"0", true, 0},
		     {"-0", true, 0},
		     {"9223372036854775807", true, INT64_MAX},
		     {"9223372036854775808", false, 0},
		     {"-9223372036854775808", true, INT64_MIN},
		     {"-9223372036854775809", false, 0},
		     {"99999999999999999999", false, 0},
		     {"1.0", false, 0},
		     {"1e3", false, 0},
		     {"-", false, 0},
		     {"", false, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;

		assert(rg_json_int64(cases[i].text, strlen(cases[i].text), &value) == cases[i].ok);
		assert(!cases[i].ok || value == cases[i].value);
	}
}

static void test_writer(void)
{
	struct rg_json_writer writer;

	for (int pretty = 0; pretty < 2; pretty++) {
		rg_json_writer_init(&writer, pretty);
		rg_json_write_object_begin(&writer);
		rg_json_write_key(&writer, "a");
		rg_json_write_array_begin(&writer);
		rg_json_write_int(&writer, -1);
		rg_json_write_string(&writer, "q\"\\\n\x01 ends: ");
		rg_json_write_array_end(&writer);
		rg_json_write_key(&writer, "b");
		rg_json_write_object_begin(&writer);
		rg_json_write_object_end(&writer);
		rg_json_write_key(&writer, "c");
		rg_json_write_double(&writer, 0.1);
		rg_json_write_object_end(&writer);
		assert(!writer.failed);
		assert(!strcmp(
			writer.text,
			pretty ? "{\n  \"a\": [\n    -1,\n    \"q\\\"\\\\\\n\\u0001 ends: \"\n  "
				 "],\n"
				 "  \"b\": {},\n  \"c\": 0.1\n}"
			       : "{\"a\":[-1,\"q\\\"\\\\\\n\\u0001 ends: \"],\"b\":{},\"c\":0.1}"));
		rg_json_writer_free(&writer);
	}
	rg_json_writer_init(&writer, false);
	rg_json_write_string(&writer, "ok \xc3\xa9 bad \xff\xc3");
	assert(!strcmp(writer.text, "\"ok \xc3\xa9 bad \xef\xbf\xbd\xef\xbf\xbd\""));
	rg_json_writer_free(&writer);
}

int main(void)
{
	tokens("{}", "{}.");
	tokens(" [ ] ", "[].");
	tokens("{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{knk[tf0s]}.");
	tokens("-1.5e+10", "n.");
	tokens("[1,]", "[n!");
	tokens("{,}", "{!");
	tokens("{\"a\" 1}", "{!");
	tokens("[1 2]", "[n!");
	tokens("1 2", "n!");
	tokens("01", "n!");
	tokens("+1", "!");
	tokens("1.", "!");
	tokens("nul", "!");
	tokens("", "!");
	tokens("[", "[!");
	tokens("[}", "[!");
	decoded("\"a\\u00e9\\n\\\"\"", "a\xc3\xa9\n\"", 5);
	decoded("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4);
	decoded("\"\\ud83d\"", "\xef\xbf\xbd", 3);
	decoded("\"\\ud83dx\"", "\xef\xbf\xbdx", 4);
	decoded("\"\xff\"", "\xef\xbf\xbd", 3);
	decoded("\"\\u0000\"", "\0", 1);
	refused("{\n  \"a\": tru\n}", "line 2 column 8: expected a value");
	refused("\"abc", "line 1 column 1: string without a closing quote");
	refused("\"a\tb\"", "line 1 column 3: control character in a string: write it as \\u00XX");
	refused("\"\\x\"", "line 1 column 2: unknown escape in a string");
	test_depth();
	test_skip();
	test_int64();
	test_writer();
	return 0;
}

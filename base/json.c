/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What may come next. A grammar state, not a place: one byte says which tokens are legal. */
enum state {
	WANT_VALUE,	   /* a value: at the start, after '[' ',' or ':' */
	WANT_VALUE_OR_END, /* just after '[' */
	WANT_KEY,	   /* after ',' in an object */
	WANT_KEY_OR_END,   /* just after '{' */
	WANT_COMMA_OR_END, /* after a value inside a container */
	WANT_NOTHING,	   /* after the outermost value */
	FAILED
};

void rg_json_reader_init(struct rg_json_reader *reader, const char *text, size_t bytes)
{
	memset(reader, 0, offsetof(struct rg_json_reader, error));
	reader->error.status = RG_OK;
	reader->error.text[0] = '\0';
	reader->begin = reader->at = reader->token_at = text;
	reader->end = text + bytes;
	reader->state = WANT_VALUE;
}

void rg_json_place(const struct rg_json_reader *reader, uint32_t *line, uint32_t *column)
{
	const char *start = reader->begin;

	*line = 1;
	for (const char *at = reader->begin; at < reader->token_at; at++) {
		if (*at == '\n') {
			(*line)++;
			start = at + 1;
		}
	}
	*column = (uint32_t)(reader->token_at - start) + 1;
}

static enum rg_json_token fail(struct rg_json_reader *reader, const char *at, const char *what)
{
	uint32_t line, column;

	reader->token_at = at;
	reader->text_bytes = 0; /* no token: whoever looks at it all the same sees an empty one */
	reader->state = FAILED;
	rg_json_place(reader, &line, &column);
	rg_error_set(&reader->error, RG_EINVAL, "line %u column %u: %s", line, column, what);
	return RG_JSON_ERROR;
}

static bool inside_object(const struct rg_json_reader *reader)
{
	uint32_t level = reader->depth - 1;

	return reader->stack[level / 8] >> (level % 8) & 1;
}

static enum rg_json_token begin(struct rg_json_reader *reader, bool object)
{
	uint32_t level = reader->depth;
	uint8_t bit = (uint8_t)(1u << (level % 8));

	if (level >= RG_JSON_DEPTH_MAX)
		return fail(reader, reader->token_at, "nested more than 512 levels deep");
	if (object)
		reader->stack[level / 8] |= bit;
	else
		reader->stack[level / 8] &= (uint8_t)~bit;
	reader->depth++;
	reader->at++;
	reader->state = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
	return object ? RG_JSON_OBJECT_BEGIN : RG_JSON_ARRAY_BEGIN;
}

static void value_done(struct rg_json_reader *reader)
{
	reader->state = reader->depth ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static enum rg_json_token end(struct rg_json_reader *reader, bool object)
{
	reader->at++;
	reader->depth--;
	value_done(reader);
	return object ? RG_JSON_OBJECT_END : RG_JSON_ARRAY_END;
}

/* Length of the valid UTF-8 sequence at `at`, or 0. Rejects overlong forms, surrogates and above
 * U+10FFFF. */
static size_t utf8_sequence(const unsigned char *at, const unsigned char *limit)
{
	size_t left = (size_t)(limit - at);

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2)
		return 0;
	if (at[0] < 0xe0)
		return left >= 2 && (at[1] & 0xc0) == 0x80 ? 2 : 0;
	if (at[0] < 0xf0) {
		if (left < 3 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80)
			return 0;
		if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f))
			return 0;
		return 3;
	}
	if (at[0] < 0xf5) {
		if (left < 4 || (at[1] & 0xc0) != 0x80 || (at[2] & 0xc0) != 0x80 ||
		    (at[3] & 0xc0) != 0x80)
			return 0;
		if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

static int hex4(const char *at)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static bool scan_string(struct rg_json_reader *reader)
{
	const char *at = reader->at + 1;

	reader->escaped = false;
	reader->text = at;
	while (at < reader->end) {
		unsigned char c = (unsigned char)*at;

		if (c == '"') {
			reader->text_bytes = (size_t)(at - reader->text);
			reader->at = at + 1;
			return true;
		}
		if (c == '\\') {
			reader->escaped = true;
			if (reader->end - at < 2)
				break;
			if (at[1] == 'u') {
				if (reader->end - at < 6 || hex4(at + 2) < 0) {
					fail(reader, at, "\\u needs four hexadecimal digits");
					return false;
				}
				at += 6;
			} else if (memchr("\"\\/bfnrt", at[1], 8)) {
				at += 2;
			} else {
				fail(reader, at, "unknown escape in a string");
				return false;
			}
			continue;
		}
		if (c < 0x20) {
			fail(reader, at, "control character in a string: write it as \\u00XX");
			return false;
		}
		if (c < 0x80) {
			at++;
		} else {
			size_t n = utf8_sequence((const unsigned char *)at,
						 (const unsigned char *)reader->end);

			if (!n) {
				reader->escaped = true;
				n = 1;
			}
			at += n;
		}
	}
	fail(reader, reader->token_at, "string without a closing quote");
	return false;
}

static bool digit_at(const char *at, const char *end)
{
	return at < end && *at >= '0' && *at <= '9';
}

static bool scan_number(struct rg_json_reader *reader)
{
	const char *at = reader->at, *limit = reader->end;

	if (*at == '-')
		at++;
	if (!digit_at(at, limit))
		goto bad;
	if (*at == '0')
		at++;
	else
		while (digit_at(at, limit))
			at++;
	if (at < limit && *at == '.') {
		at++;
		if (!digit_at(at, limit))
			goto bad;
		while (digit_at(at, limit))
			at++;
	}
	if (at < limit && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < limit && (*at == '+' || *at == '-'))
			at++;
		if (!digit_at(at, limit))
			goto bad;
		while (digit_at(at, limit))
			at++;
	}
	reader->text = reader->at;
	reader->text_bytes = (size_t)(at - reader->at);
	reader->at = at;
	return true;
bad:
	fail(reader, at, "malformed number");
	return false;
}

static bool scan_word(struct rg_json_reader *reader, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(reader->end - reader->at) < n || memcmp(reader->at, word, n)) {
		fail(reader, reader->at, "expected a value");
		return false;
	}
	reader->at += n;
	return true;
}

static void skip_space(struct rg_json_reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
					    *reader->at == '\t' || *reader->at == '\r'))
		reader->at++;
}

static enum rg_json_token read_value(struct rg_json_reader *reader)
{
	enum rg_json_token token;

	switch (*reader->at) {
	case '{': return begin(reader, true);
	case '[': return begin(reader, false);
	case '"':
		if (!scan_string(reader))
			return RG_JSON_ERROR;
		token = RG_JSON_STRING;
		break;
	case 't':
		if (!scan_word(reader, "true"))
			return RG_JSON_ERROR;
		token = RG_JSON_TRUE;
		break;
	case 'f':
		if (!scan_word(reader, "false"))
			return RG_JSON_ERROR;
		token = RG_JSON_FALSE;
		break;
	case 'n':
		if (!scan_word(reader, "null"))
			return RG_JSON_ERROR;
		token = RG_JSON_NULL;
		break;
	default:
		if (*reader->at != '-' && !digit_at(reader->at, reader->end))
			return fail(reader, reader->at, "expected a value");
		if (!scan_number(reader))
			return RG_JSON_ERROR;
		token = RG_JSON_NUMBER;
	}
	value_done(reader);
	return token;
}

enum rg_json_token rg_json_next(struct rg_json_reader *reader)
{
	if (reader->state == FAILED)
		return RG_JSON_ERROR;
	skip_space(reader);
	if (reader->state == WANT_COMMA_OR_END && reader->at < reader->end && *reader->at == ',') {
		reader->state = inside_object(reader) ? WANT_KEY : WANT_VALUE;
		reader->at++;
		skip_space(reader);
	}
	reader->token_at = reader->at;
	if (reader->at == reader->end) {
		if (reader->state == WANT_NOTHING)
			return RG_JSON_END;
		return fail(reader, reader->at, "the document ends too early");
	}
	switch ((enum state)reader->state) {
	case WANT_VALUE_OR_END:
		if (*reader->at == ']')
			return end(reader, false);
		return read_value(reader);
	case WANT_VALUE: return read_value(reader);
	case WANT_KEY_OR_END:
		if (*reader->at == '}')
			return end(reader, true);
		/* fall through */
	case WANT_KEY:
		if (*reader->at != '"')
			return fail(reader, reader->at, "expected a key in double quotes");
		if (!scan_string(reader))
			return RG_JSON_ERROR;
		skip_space(reader);
		if (reader->at == reader->end || *reader->at != ':')
			return fail(reader, reader->at, "expected ':' after a key");
		reader->at++;
		reader->state = WANT_VALUE;
		return RG_JSON_KEY;
	case WANT_COMMA_OR_END:
		if (*reader->at == (inside_object(reader) ? '}' : ']'))
			return end(reader, inside_object(reader));
		return fail(reader, reader->at,
			    inside_object(reader) ? "expected ',' or '}'" : "expected ',' or ']'");
	case WANT_NOTHING: return fail(reader, reader->at, "text after the document");
	case FAILED: break;
	}
	return RG_JSON_ERROR;
}

int rg_json_skip(struct rg_json_reader *reader)
{
	/* The first token was returned already: a container raised the depth, a scalar or an end
	 * did not. */
	bool opened = reader->state == WANT_KEY_OR_END || reader->state == WANT_VALUE_OR_END;
	uint32_t depth = reader->depth;

	if (reader->state == FAILED)
		return RG_EINVAL;
	if (!opened)
		return RG_OK;
	while (reader->depth >= depth) {
		if (rg_json_next(reader) == RG_JSON_ERROR)
			return RG_EINVAL;
	}
	return RG_OK;
}

static size_t put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Decode the escape at *at (which points at the backslash); advance *at past it. */
static uint32_t decode_escape(const char **at, const char *limit)
{
	char c = (*at)[1];
	uint32_t code;

	*at += 2;
	switch (c) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'u': break;
	default: return (unsigned char)c;
	}
	code = (uint32_t)hex4(*at);
	*at += 4;
	if (code >= 0xd800 && code < 0xdc00 && limit - *at >= 6 && (*at)[0] == '\\' &&
	    (*at)[1] == 'u') {
		uint32_t low = (uint32_t)hex4(*at + 2);

		if (low >= 0xdc00 && low < 0xe000) {
			*at += 6;
			return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
}

size_t rg_json_decode(const struct rg_json_reader *reader, char *out)
{
	const char *at = reader->text, *limit = at + reader->text_bytes;
	char *start = out;

	if (!reader->escaped) {
		memcpy(out, at, reader->text_bytes);
		return reader->text_bytes;
	}
	while (at < limit) {
		if (*at == '\\') {
			out += put_utf8(out, decode_escape(&at, limit));
		} else {
			size_t n = utf8_sequence((const unsigned char *)at,
						 (const unsigned char *)limit);

			if (n) {
				memcpy(out, at, n);
				out += n;
				at += n;
			} else {
				out += put_utf8(out, 0xfffd);
				at++;
			}
		}
	}
	return (size_t)(out - start);
}

bool rg_json_equals(const struct rg_json_reader *reader, const char *s)
{
	char decoded[1024];
	size_t n;

	if (!reader->escaped)
		return strlen(s) == reader->text_bytes &&
		       !memcmp(s, reader->text, reader->text_bytes);
	if (reader->text_bytes * 3 > sizeof(decoded))
		return false;
	n = rg_json_decode(reader, decoded);
	return strlen(s) == n && !memcmp(s, decoded, n);
}

bool rg_json_int64(const char *text, size_t bytes, int64_t *out)
{
	const char *at = text, *limit = text + bytes;
	bool negative = at < limit && *at == '-';
	uint64_t value = 0, bound = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;

	if (negative)
		at++;
	if (at == limit)
		return false;
	for (; at < limit; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (*at < '0' || *at > '9' || value > (bound - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

/* ---- writer ---- */

void rg_json_writer_init(struct rg_json_writer *writer, bool pretty)
{
	memset(writer, 0, sizeof(*writer));
	writer->pretty = pretty;
}

void rg_json_writer_reset(struct rg_json_writer *writer)
{
	writer->bytes = 0;
	writer->depth = 0;
	writer->comma = writer->after_key = writer->failed = false;
}

void rg_json_writer_free(struct rg_json_writer *writer)
{
	free(writer->text);
	memset(writer, 0, sizeof(*writer));
}

static void put(struct rg_json_writer *writer, const char *text, size_t bytes)
{
	if (writer->bytes + bytes + 1 > writer->capacity) {
		size_t capacity = writer->capacity ? writer->capacity * 2 : 256;
		char *grown;

		while (capacity < writer->bytes + bytes + 1)
			capacity *= 2;
		grown = writer->failed ? NULL : realloc(writer->text, capacity);
		if (!grown) {
			writer->failed = true;
			return;
		}
		writer->text = grown;
		writer->capacity = capacity;
	}
	memcpy(writer->text + writer->bytes, text, bytes);
	writer->bytes += bytes;
	writer->text[writer->bytes] = '\0';
}

static void new_line(struct rg_json_writer *writer)
{
	if (!writer->pretty)
		return;
	put(writer, "\n", 1);
	for (uint32_t i = 0; i < writer->depth; i++)
		put(writer, "  ", 2);
}

static void before_value(struct rg_json_writer *writer)
{
	if (writer->comma)
		put(writer, ",", 1);
	if (writer->depth && !writer->after_key)
		new_line(writer);
	writer->comma = true;
	writer->after_key = false;
}

static void open_container(struct rg_json_writer *writer, const char *c)
{
	before_value(writer);
	put(writer, c, 1);
	writer->depth++;
	writer->comma = false;
}

static void close_container(struct rg_json_writer *writer, const char *c)
{
	bool any = writer->comma;

	writer->depth--;
	if (any)
		new_line(writer);
	put(writer, c, 1);
	writer->comma = true;
}

void rg_json_write_object_begin(struct rg_json_writer *writer)
{
	open_container(writer, "{");
}

void rg_json_write_object_end(struct rg_json_writer *writer)
{
	close_container(writer, "}");
}

void rg_json_write_array_begin(struct rg_json_writer *writer)
{
	open_container(writer, "[");
}

void rg_json_write_array_end(struct rg_json_writer *writer)
{
	close_container(writer, "]");
}

static void put_quoted(struct rg_json_writer *writer, const char *s, size_t bytes)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	put(writer, "\"", 1);
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)s[i];
		char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		size_t n = 6;

		if (c >= 0x80) { /* a request's characters may be anything: JSON stays UTF-8 */
			n = utf8_sequence((const unsigned char *)s + i,
					  (const unsigned char *)s + bytes);
			if (!n) {
				put(writer, s + from, i - from);
				put(writer, "\xef\xbf\xbd", 3);
				from = i + 1;
			} else {
				i += n - 1;
			}
			continue;
		}
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(writer, s + from, i - from);
		from = i + 1;
		if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') {
			escape[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : (char)c;
			n = 2;
		}
		put(writer, escape, n);
	}
	put(writer, s + from, bytes - from);
	put(writer, "\"", 1);
}

void rg_json_write_key_n(struct rg_json_writer *writer, const char *key, size_t bytes)
{
	before_value(writer);
	put_quoted(writer, key, bytes);
	put(writer, ": ", writer->pretty ? 2 : 1);
	writer->comma = false;
	writer->after_key = true;
}

void rg_json_write_key(struct rg_json_writer *writer, const char *key)
{
	rg_json_write_key_n(writer, key, strlen(key));
}

void rg_json_write_string_n(struct rg_json_writer *writer, const char *s, size_t bytes)
{
	before_value(writer);
	put_quoted(writer, s, bytes);
}

void rg_json_write_string(struct rg_json_writer *writer, const char *s)
{
	if (s)
		rg_json_write_string_n(writer, s, strlen(s));
	else
		rg_json_write_null(writer);
}

void rg_json_write_raw(struct rg_json_writer *writer, const char *json, size_t bytes)
{
	before_value(writer);
	put(writer, json, bytes);
}

void rg_json_write_int(struct rg_json_writer *writer, int64_t value)
{
	char text[24];

	rg_json_write_raw(writer, text,
			  (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
}

void rg_json_write_uint(struct rg_json_writer *writer, uint64_t value)
{
	char text[24];

	rg_json_write_raw(writer, text,
			  (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)value));
}

size_t rg_json_micro(int64_t micro, char text[static RG_JSON_MICRO_BYTES])
{
	uint64_t magnitude = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;
	int n = snprintf(text, RG_JSON_MICRO_BYTES, "%s%llu.%06llu", micro < 0 ? "-" : "",
			 (unsigned long long)(magnitude / 1000000),
			 (unsigned long long)(magnitude % 1000000));

	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	text[n] = '\0';
	return (size_t)n;
}

void rg_json_write_micro(struct rg_json_writer *writer, int64_t micro)
{
	char text[RG_JSON_MICRO_BYTES];

	rg_json_write_raw(writer, text, rg_json_micro(micro, text));
}

void rg_json_write_time(struct rg_json_writer *writer, uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000u);
	char day[32], text[64];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%09uZ", day, (unsigned)(unix_ns % 1000000000u));
	rg_json_write_string(writer, text);
}

void rg_json_write_double(struct rg_json_writer *writer, double value)
{
	char text[40];
	int n = 0;

	if (!isfinite(value)) {
		rg_json_write_null(writer);
		return;
	}
	for (int precision = 6; precision <= 17; precision++) { /* the shortest that reads back */
		n = snprintf(text, sizeof(text), "%.*g", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	rg_json_write_raw(writer, text, (size_t)n);
}

void rg_json_write_bool(struct rg_json_writer *writer, bool value)
{
	rg_json_write_raw(writer, value ? "true" : "false", value ? 4 : 5);
}

void rg_json_write_null(struct rg_json_writer *writer)
{
	rg_json_write_raw(writer, "null", 4);
}

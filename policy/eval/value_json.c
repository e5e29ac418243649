/* SPDX-License-Identifier: Apache-2.0 */
/* Values from and to JSON. The reader and its limits are base/json.h's. */
#include <string.h>

#include "policy/eval/container.h"
#include "policy/eval/number.h"
#include "policy/eval/value_text.h"

/* ---- reading ---- */

static int out_of_memory(struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, "the document does not fit into the memory for values");
}

static struct rg_value read_string(struct rg_heap *heap, const struct rg_json_reader *reader)
{
	struct rg_value v;
	char *text;

	if (!reader->escaped)
		return rg_string(heap, reader->text, reader->text_bytes);
	v = rg_string_alloc(heap, reader->text_bytes * 3, &text);
	if (!rg_is_defined(v))
		return v;
	return rg_string_trim(heap, v, rg_json_decode(reader, text));
}

static int malformed(const struct rg_json_reader *reader, struct rg_error *err)
{
	return rg_error_set(err, RG_EINVAL, "%s", reader->error.text);
}

static int read_array(struct rg_heap *heap, struct rg_json_reader *reader, struct rg_value *out,
		      struct rg_error *err)
{
	struct rg_value array = rg_array(heap, 0), element;
	enum rg_json_token token;

	while ((token = rg_json_next(reader)) != RG_JSON_ARRAY_END) {
		int status = rg_value_read(heap, reader, token, &element, err);

		if (status)
			return status;
		if (!rg_is_defined(array) || !rg_array_append(heap, array, element))
			return out_of_memory(err);
	}
	*out = array;
	return rg_is_defined(array) ? RG_OK : out_of_memory(err);
}

static int read_object(struct rg_heap *heap, struct rg_json_reader *reader, struct rg_value *out,
		       struct rg_error *err)
{
	struct rg_value object = rg_object(heap, 0), key, value;
	enum rg_json_token token;

	while ((token = rg_json_next(reader)) != RG_JSON_OBJECT_END) {
		int status;

		if (token == RG_JSON_ERROR)
			return malformed(reader, err);
		key = read_string(heap, reader);
		status = rg_value_read(heap, reader, rg_json_next(reader), &value, err);
		if (status)
			return status;
		if (!rg_is_defined(object) || !rg_object_insert(heap, object, key, value))
			return out_of_memory(err);
	}
	*out = object;
	return rg_is_defined(object) ? RG_OK : out_of_memory(err);
}

int rg_value_read(struct rg_heap *heap, struct rg_json_reader *reader, enum rg_json_token token,
		  struct rg_value *out, struct rg_error *err)
{
	switch (token) {
	case RG_JSON_OBJECT_BEGIN: return read_object(heap, reader, out, err);
	case RG_JSON_ARRAY_BEGIN: return read_array(heap, reader, out, err);
	case RG_JSON_STRING: *out = read_string(heap, reader); break;
	case RG_JSON_NUMBER:
		*out = rg_number_from_text(heap, reader->text, reader->text_bytes);
		break;
	case RG_JSON_TRUE: *out = rg_boolean(true); break;
	case RG_JSON_FALSE: *out = rg_boolean(false); break;
	case RG_JSON_NULL: *out = rg_null(); break;
	default: return malformed(reader, err);
	}
	return rg_is_defined(*out) ? RG_OK : out_of_memory(err);
}

int rg_value_parse(struct rg_heap *heap, const char *json, size_t bytes, struct rg_value *out,
		   struct rg_error *err)
{
	struct rg_json_reader reader;
	int status;

	rg_json_reader_init(&reader, json, bytes);
	status = rg_value_read(heap, &reader, rg_json_next(&reader), out, err);
	if (!status && rg_json_next(&reader) != RG_JSON_END)
		return malformed(&reader, err);
	return status;
}

/* ---- writing ---- */

/* Is a walk allowed to go into v, `depth` levels down? */
static bool may_enter(struct rg_heap *heap, struct rg_value v, uint32_t depth)
{
	if (depth < RG_VALUE_DEPTH_MAX)
		return rg_heap_charge(heap, rg_count(heap, v) + 1ull);
	heap->exhausted = true;
	return false;
}

static void put_escape(struct rg_builder *builder, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	switch (c) {
	case '"': rg_builder_put(builder, "\\\"", 2); break;
	case '\\': rg_builder_put(builder, "\\\\", 2); break;
	case '\b': rg_builder_put(builder, "\\b", 2); break;
	case '\f': rg_builder_put(builder, "\\f", 2); break;
	case '\n': rg_builder_put(builder, "\\n", 2); break;
	case '\r': rg_builder_put(builder, "\\r", 2); break;
	case '\t': rg_builder_put(builder, "\\t", 2); break;
	default: rg_builder_put(builder, text, 6); break;
	}
}

void rg_builder_put_quoted(struct rg_builder *builder, const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes, *plain = text;

	rg_builder_put_char(builder, '"');
	while (at < end) {
		unsigned char c = (unsigned char)*at;
		uint32_t rune, n = rg_rune(at, end, &rune);
		bool separator = rune == 0x2028 || rune == 0x2029,
		     invalid = rune == RG_RUNE_ERROR && n == 1;

		if (separator || invalid || c < 0x20 || memchr("\"\\<>&", c, 5)) {
			rg_builder_put(builder, plain, (size_t)(at - plain));
			if (separator)
				rg_builder_put_c(builder, rune == 0x2028 ? "\\u2028" : "\\u2029");
			else if (invalid)
				rg_builder_put_c(builder, "\\ufffd");
			else
				put_escape(builder, c);
			plain = at + n;
		}
		at += n;
	}
	rg_builder_put(builder, plain, (size_t)(at - plain));
	rg_builder_put_char(builder, '"');
}

static void put_json(struct rg_builder *builder, struct rg_value v, uint32_t depth);

static struct rg_value json_within(struct rg_heap *heap, struct rg_value v, uint32_t depth)
{
	struct rg_builder builder;

	rg_builder_init(&builder, heap);
	put_json(&builder, v, depth);
	return rg_builder_finish(&builder);
}

/* JSON's keys are strings: an object with others becomes one with their JSON texts, in the order
 * of these. */
static struct rg_value with_text_keys(struct rg_heap *heap, struct rg_value v, uint32_t depth)
{
	uint32_t count = rg_count(heap, v);
	struct rg_value texts;

	if (v.type != RG_OBJECT || !count)
		return v;
	rg_container_sort(heap, v);
	if (rg_container_pairs(heap, v)[0].key.type == RG_STRING &&
	    rg_container_pairs(heap, v)[count - 1].key.type == RG_STRING)
		return v; /* strings stand together in the order of keys */
	texts = rg_object(heap, count);
	for (uint32_t i = 0; i < count && rg_is_defined(texts); i++) {
		struct rg_pair pair = rg_container_pairs(heap, v)[i];
		struct rg_value key = pair.key.type == RG_STRING
					      ? pair.key
					      : json_within(heap, pair.key, depth + 1);

		if (!rg_object_insert(heap, texts, key, pair.value))
			return rg_undefined;
	}
	return texts;
}

static void put_container(struct rg_builder *builder, struct rg_value v, uint32_t depth)
{
	struct rg_heap *heap = builder->heap;
	uint32_t count;

	if (!may_enter(heap, v, depth))
		return;
	v = with_text_keys(heap, v, depth);
	if (!rg_is_defined(v))
		return;
	rg_container_sort(heap, v);
	count = rg_count(heap, v);
	rg_builder_put_char(builder, v.type == RG_OBJECT ? '{' : '[');
	for (uint32_t i = 0; i < count && !heap->exhausted; i++) {
		if (i)
			rg_builder_put_char(builder, ',');
		if (v.type == RG_OBJECT) {
			struct rg_pair pair = rg_container_pairs(heap, v)[i];

			rg_builder_put_quoted(builder, rg_text(heap, pair.key), pair.key.length);
			rg_builder_put_char(builder, ':');
			put_json(builder, pair.value, depth + 1);
		} else {
			put_json(builder, rg_container_values(heap, v)[i], depth + 1);
		}
	}
	rg_builder_put_char(builder, v.type == RG_OBJECT ? '}' : ']');
}

static void put_json(struct rg_builder *builder, struct rg_value v, uint32_t depth)
{
	switch (v.type) {
	case RG_BOOLEAN: rg_builder_put_c(builder, v.i ? "true" : "false"); break;
	case RG_NUMBER: rg_builder_put_value(builder, v); break;
	case RG_STRING: rg_builder_put_quoted(builder, rg_text(builder->heap, v), v.length); break;
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: put_container(builder, v, depth); break;
	default: rg_builder_put_c(builder, "null"); break;
	}
}

void rg_builder_put_json(struct rg_builder *builder, struct rg_value v)
{
	put_json(builder, v, 0);
}

struct rg_value rg_value_json(struct rg_heap *heap, struct rg_value v)
{
	return json_within(heap, v, 0);
}

static void write_within(struct rg_heap *heap, struct rg_value v, struct rg_json_writer *writer,
			 uint32_t depth)
{
	char number[RG_NUMBER_TEXT_BYTES];
	uint32_t count;

	switch (v.type) {
	case RG_BOOLEAN: rg_json_write_bool(writer, v.i != 0); return;
	case RG_NUMBER:
		if (v.form == RG_NUMBER_TEXT)
			rg_json_write_raw(writer, rg_text(heap, v), v.length);
		else
			rg_json_write_raw(writer, number,
					  rg_number_text(heap, v, number, sizeof(number)));
		return;
	case RG_STRING: rg_json_write_string_n(writer, rg_text(heap, v), v.length); return;
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: break;
	default: rg_json_write_null(writer); return;
	}
	v = may_enter(heap, v, depth) ? with_text_keys(heap, v, depth) : rg_undefined;
	if (!rg_is_defined(v)) {
		writer->failed = true;
		return;
	}
	rg_container_sort(heap, v);
	count = rg_count(heap, v);
	if (v.type == RG_OBJECT)
		rg_json_write_object_begin(writer);
	else
		rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < count && !writer->failed; i++) {
		if (v.type == RG_OBJECT) {
			struct rg_pair pair = rg_container_pairs(heap, v)[i];

			rg_json_write_key_n(writer, rg_text(heap, pair.key), pair.key.length);
			write_within(heap, pair.value, writer, depth + 1);
		} else {
			write_within(heap, rg_container_values(heap, v)[i], writer, depth + 1);
		}
	}
	if (v.type == RG_OBJECT)
		rg_json_write_object_end(writer);
	else
		rg_json_write_array_end(writer);
}

void rg_value_write(struct rg_heap *heap, struct rg_value v, struct rg_json_writer *writer)
{
	write_within(heap, v, writer, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_span.h"

#include <stdlib.h>
#include <string.h>

static void read_members(struct rg_json_reader *reader, const char *const *keys,
			 struct rg_span *found, uint32_t count)
{
	while (rg_json_next(reader) == RG_JSON_KEY) {
		uint32_t key = 0;

		while (key < count && !rg_json_equals(reader, keys[key]))
			key++;
		if (rg_json_next(reader) == RG_JSON_ERROR)
			return;
		if (key < count)
			found[key].text = reader->token_at;
		if (rg_json_skip(reader))
			return;
		if (key < count)
			found[key].bytes = (size_t)(reader->at - found[key].text);
	}
}

bool rg_span_find(const char *json, size_t bytes, const char *const *keys, struct rg_span *found,
		  uint32_t count, struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;

	memset(found, 0, count * sizeof(*found));
	rg_json_reader_init(&reader, json, bytes);
	token = rg_json_next(&reader);
	if (token == RG_JSON_OBJECT_BEGIN)
		read_members(&reader, keys, found, count);
	else if (token != RG_JSON_NULL && token != RG_JSON_ERROR)
		return rg_error_set(err, RG_EINVAL, "json: it is no object") == RG_OK;
	if (!reader.error.status)
		rg_json_next(&reader); /* nothing may follow */
	if (reader.error.status)
		*err = reader.error;
	return !reader.error.status;
}

const char *rg_span_text(struct rg_span span, char *out, size_t room)
{
	struct rg_json_reader reader;
	char *decoded;
	size_t bytes;

	if (!span.bytes)
		return NULL;
	rg_json_reader_init(&reader, span.text, span.bytes);
	if (rg_json_next(&reader) != RG_JSON_STRING)
		return NULL;
	decoded = malloc(reader.text_bytes * 3 + 1);
	if (!decoded)
		return NULL;
	bytes = rg_json_decode(&reader, decoded);
	if (bytes >= room)
		for (bytes = room - 1; bytes && (decoded[bytes] & 0xc0) == 0x80;)
			bytes--; /* not in the middle of a character */
	memcpy(out, decoded, bytes);
	out[bytes] = '\0';
	free(decoded);
	return out;
}

void rg_span_write(struct rg_json_writer *writer, const char *key, struct rg_span span)
{
	if (!span.bytes)
		return;
	rg_json_write_key(writer, key);
	rg_json_write_raw(writer, span.text, span.bytes);
}

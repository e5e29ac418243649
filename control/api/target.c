/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/target.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode text[0..bytes) to *out, which moves on, with a NUL behind it. */
static int decode(const char *text, size_t bytes, bool in_query, char **out,
		  struct rg_target_text *decoded, struct rg_error *err)
{
	char *at = *out;

	for (size_t i = 0; i < bytes; i++) {
		int high, low;

		if (text[i] != '%') {
			*at++ = in_query && text[i] == '+' ? ' ' : text[i];
			continue;
		}
		high = i + 2 < bytes ? hex_digit(text[i + 1]) : -1;
		low = i + 2 < bytes ? hex_digit(text[i + 2]) : -1;
		if (high < 0 || low < 0)
			return rg_error_set(err, RG_EINVAL, "invalid URL escape in \"%.*s\"",
					    (int)(bytes < 200 ? bytes : 200), text);
		*at++ = (char)(high << 4 | low);
		i += 2;
	}
	decoded->text = *out;
	decoded->bytes = (uint32_t)(at - *out);
	*at++ = '\0';
	*out = at;
	return RG_OK;
}

static int parse_path(const char *path, size_t bytes, struct rg_target *target, char **out,
		      struct rg_error *err)
{
	for (size_t at = 0; at < bytes;) {
		const char *slash = memchr(path + at, '/', bytes - at);
		size_t length = slash ? (size_t)(slash - path) - at : bytes - at;

		if (length) {
			int rc;

			if (target->segment_count == RG_TARGET_SEGMENTS_MAX)
				return rg_error_set(err, RG_ELIMIT,
						    "the path has more than %d segments",
						    RG_TARGET_SEGMENTS_MAX);
			rc = decode(path + at, length, false, out,
				    &target->segments[target->segment_count++], err);
			if (rc)
				return rc;
		}
		at += length + 1;
	}
	return RG_OK;
}

static int parse_query(const char *query, struct rg_target *target, char **out,
		       struct rg_error *err)
{
	for (;;) {
		size_t length = strcspn(query, "&"), key = strcspn(query, "=&");
		uint32_t i = target->parameter_count;
		int rc = RG_OK;

		if (length && i == RG_TARGET_PARAMETERS_MAX)
			return rg_error_set(err, RG_ELIMIT, "the query has more than %d parameters",
					    RG_TARGET_PARAMETERS_MAX);
		if (length) {
			size_t from = key < length ? key + 1 : length;

			rc = decode(query, key, true, out, &target->keys[i], err);
			if (!rc)
				rc = decode(query + from, length - from, true, out,
					    &target->values[i], err);
			target->parameter_count++;
		}
		if (rc || !query[length])
			return rc;
		query += length + 1;
	}
}

int rg_target_parse(const char *uri, struct rg_target *target, struct rg_error *err)
{
	size_t bytes = strlen(uri), path = strcspn(uri, "?");
	char *out;
	int rc;

	memset(target, 0, sizeof(*target));
	if (bytes > RG_TARGET_BYTES_MAX)
		return rg_error_set(err, RG_ELIMIT, "the URL is longer than %u bytes",
				    RG_TARGET_BYTES_MAX);
	/* each text needs a NUL; there are no more texts than separators, and two */
	target->decoded = malloc(2 * bytes + 4);
	if (!target->decoded)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	out = target->decoded;
	rc = parse_path(uri, path, target, &out, err);
	if (!rc && uri[path])
		rc = parse_query(uri + path + 1, target, &out, err);
	if (rc)
		rg_target_free(target);
	return rc;
}

void rg_target_free(struct rg_target *target)
{
	free(target->decoded);
	memset(target, 0, sizeof(*target));
}

bool rg_target_text_is(struct rg_target_text text, const char *expected)
{
	return text.bytes == strlen(expected) && !memcmp(text.text, expected, text.bytes);
}

const struct rg_target_text *rg_target_parameter(const struct rg_target *target, const char *key)
{
	for (uint32_t i = 0; i < target->parameter_count; i++) {
		if (rg_target_text_is(target->keys[i], key))
			return &target->values[i];
	}
	return NULL;
}

bool rg_target_flag(const struct rg_target *target, const char *key)
{
	const struct rg_target_text *value = rg_target_parameter(target, key);

	return value && !rg_target_text_is(*value, "false");
}

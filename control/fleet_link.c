/* SPDX-License-Identifier: Apache-2.0 */
#include "control/fleet_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"

void rg_fleet_revision_write(const struct rg_fleet_revision *revision,
			     struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "number", revision->number);
	rg_json_member_uint(writer, "node", revision->node);
	rg_json_member_text(writer, "sha256", revision->sha256);
	rg_json_member_text(writer, "archive", revision->archive);
	rg_json_member_text(writer, "bundle", revision->bundle);
	rg_json_member_text(writer, "revision", revision->revision);
	rg_json_member_text(writer, "user", revision->user);
	rg_json_member_text(writer, "why", revision->why);
	rg_json_member_text(writer, "reason", revision->reason);
	rg_json_member_text(writer, "halted", revision->halted);
	rg_json_write_object_end(writer);
}

struct text_member {
	const char *key;
	char *text;
	size_t bytes;
};

static bool read_text(struct rg_json_reader *reader, const struct text_member *member)
{
	char *decoded;
	size_t bytes;

	if (rg_json_next(reader) != RG_JSON_STRING)
		return false;
	decoded = malloc(reader->text_bytes * 3 + 1);
	if (!decoded)
		return false;
	bytes = rg_json_decode(reader, decoded);
	if (bytes < member->bytes) {
		memcpy(member->text, decoded, bytes);
		member->text[bytes] = '\0';
	}
	free(decoded);
	return bytes < member->bytes;
}

static bool read_member(struct rg_json_reader *reader, struct rg_fleet_revision *revision)
{
	const struct text_member texts[] = {
		{"sha256", revision->sha256, sizeof(revision->sha256)},
		{"archive", revision->archive, sizeof(revision->archive)},
		{"bundle", revision->bundle, sizeof(revision->bundle)},
		{"revision", revision->revision, sizeof(revision->revision)},
		{"user", revision->user, sizeof(revision->user)},
		{"why", revision->why, sizeof(revision->why)},
		{"reason", revision->reason, sizeof(revision->reason)},
		{"halted", revision->halted, sizeof(revision->halted)}};
	bool is_number = rg_json_equals(reader, "number"), is_node = rg_json_equals(reader, "node");
	int64_t number;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (rg_json_equals(reader, texts[i].key))
			return read_text(reader, &texts[i]);
	}
	if (!is_number && !is_node) { /* a later version's */
		rg_json_next(reader);
		return !rg_json_skip(reader);
	}
	if (rg_json_next(reader) != RG_JSON_NUMBER ||
	    !rg_json_int64(reader->text, reader->text_bytes, &number) || number < 0)
		return false;
	if (is_number)
		revision->number = (uint64_t)number;
	else
		revision->node = (uint32_t)number;
	return true;
}

static bool is_digest(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

int rg_fleet_revision_read(const char *json, size_t bytes, struct rg_fleet_revision *revision,
			   struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token = RG_JSON_ERROR;
	bool good;

	memset(revision, 0, sizeof(*revision));
	rg_json_reader_init(&reader, json, bytes);
	good = rg_json_next(&reader) == RG_JSON_OBJECT_BEGIN;
	while (good && (token = rg_json_next(&reader)) == RG_JSON_KEY)
		good = read_member(&reader, revision);
	if (good && token == RG_JSON_OBJECT_END && revision->number &&
	    is_digest(revision->sha256) && is_digest(revision->archive))
		return RG_OK;
	return rg_error_set(err, RG_EINVAL, "is no revision of a fleet");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/delta.h"

#include <stdio.h>
#include <string.h>

#define PATH_BYTES_MAX 2048

struct change {
	enum rg_data_op op;
	bool has_op;
	char path[PATH_BYTES_MAX];
	const char *value;
	size_t value_bytes;
};

static int malformed(const struct rg_json_reader *reader, const char *what, struct rg_error *err)
{
	return rg_error_set(err, RG_EINVAL, "patch.json: %s",
			    reader->error.status ? reader->error.text : what);
}

/* Go to the elements of "data": the token behind its '['. RG_JSON_END: there is none. */
static enum rg_json_token open_changes(struct rg_json_reader *reader, const struct rg_member *patch)
{
	enum rg_json_token token;

	rg_json_reader_init(reader, patch->bytes, patch->size);
	if (rg_json_next(reader) != RG_JSON_OBJECT_BEGIN)
		return RG_JSON_ERROR;
	while ((token = rg_json_next(reader)) == RG_JSON_KEY) {
		bool here = rg_json_equals(reader, "data");

		token = rg_json_next(reader);
		if (here)
			return token == RG_JSON_ARRAY_BEGIN ? rg_json_next(reader)
			       : token == RG_JSON_NULL	    ? RG_JSON_END
							    : RG_JSON_ERROR;
		if (token == RG_JSON_ERROR || rg_json_skip(reader))
			return RG_JSON_ERROR;
	}
	return token == RG_JSON_OBJECT_END ? RG_JSON_END : RG_JSON_ERROR;
}

int rg_delta_is(const struct rg_member_list *list, bool *is, struct rg_error *err)
{
	const struct rg_member *patch = rg_member_list_find(list, RG_MEMBER_PATCH);
	struct rg_json_reader reader;
	enum rg_json_token token;

	*is = false;
	if (!patch)
		return RG_OK;
	token = open_changes(&reader, patch);
	*is = token == RG_JSON_OBJECT_BEGIN;
	if (!*is && token != RG_JSON_END && token != RG_JSON_ARRAY_END)
		return malformed(&reader, "must be {\"data\": [changes]}", err);
	return RG_OK;
}

static int read_op(struct rg_json_reader *reader, struct change *change, struct rg_error *err)
{
	static const char *const names[] = {"upsert", "remove", "replace"};

	if (rg_json_next(reader) == RG_JSON_STRING) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (rg_json_equals(reader, names[i])) {
				change->op = (enum rg_data_op)i;
				change->has_op = true;
				return RG_OK;
			}
		}
	}
	return malformed(reader, "op must be upsert, remove or replace", err);
}

static int read_change(struct rg_json_reader *reader, struct change *change, struct rg_error *err)
{
	int rc = RG_OK;

	memset(change, 0, sizeof(*change));
	while (!rc && rg_json_next(reader) == RG_JSON_KEY) {
		if (rg_json_equals(reader, "op")) {
			rc = read_op(reader, change, err);
		} else if (rg_json_equals(reader, "path")) {
			if (rg_json_next(reader) != RG_JSON_STRING ||
			    reader->text_bytes * 3 >= sizeof(change->path))
				return malformed(reader,
						 "path must be a string of at most 680 "
						 "bytes",
						 err);
			change->path[rg_json_decode(reader, change->path)] = '\0';
		} else {
			bool is_value = rg_json_equals(reader, "value");
			const char *start;

			rg_json_next(reader);
			start = reader->token_at;
			if (rg_json_skip(reader))
				break;
			if (is_value) {
				change->value = start;
				change->value_bytes = (size_t)(reader->at - start);
			}
		}
	}
	if (!rc && (reader->error.status || !change->has_op))
		rc = malformed(reader, "a change has no op", err);
	return rc;
}

static bool is_under(const char *path, char *const *roots, uint32_t root_count)
{
	path += strspn(path, "/");
	for (uint32_t i = 0; i < root_count; i++) {
		size_t n = strlen(roots[i]);

		if (!n || (!strncmp(path, roots[i], n) && (!path[n] || path[n] == '/')))
			return true;
	}
	return false;
}

int rg_delta_apply(const struct rg_member_list *delta, char *const *roots, uint32_t root_count,
		   struct rg_data_tree *tree, struct rg_error *err)
{
	const struct rg_member *patch = rg_member_list_find(delta, RG_MEMBER_PATCH);
	struct rg_json_reader reader;
	enum rg_json_token token = open_changes(&reader, patch);
	uint32_t number = 0;
	int rc = RG_OK;

	for (uint32_t i = 0; i < delta->count; i++) {
		enum rg_member_kind kind = delta->members[i].kind;

		if (kind != RG_MEMBER_PATCH && kind != RG_MEMBER_MANIFEST &&
		    kind != RG_MEMBER_SIGNATURES && kind != RG_MEMBER_IGNORED)
			return rg_error_set(err, RG_EINVAL,
					    "a delta bundle holds only patch.json and .manifest, "
					    "not %s",
					    delta->members[i].name);
	}
	for (; !rc && token == RG_JSON_OBJECT_BEGIN; token = rg_json_next(&reader)) {
		struct change change;

		number++;
		rc = read_change(&reader, &change, err);
		if (!rc && !is_under(change.path, roots, root_count))
			rc = rg_error_set(err, RG_ECONFLICT,
					  "\"%.200s\" is outside the manifest's roots",
					  change.path);
		if (!rc)
			rc = rg_data_tree_patch(tree, change.op, change.path, change.value,
						change.value_bytes, err);
		if (rc)
			return rg_error_prefix(err, "patch.json: change %u", number);
	}
	return token == RG_JSON_ARRAY_END ? RG_OK
					  : malformed(&reader, "a change must be an object", err);
}

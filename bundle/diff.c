/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "bundle/plan_rules.h"
#include "bundle/text_diff.h"
#include "policy/eval/value.h"

#define HEAP_BYTES    (8ull << 30) /* of address space; touched only as used */
#define POINTER_BYTES 4096

enum change { ADDED, REMOVED, CHANGED, CHANGES };
static const char *const change_names[CHANGES] = {"added", "removed", "changed"};

/* ---- rules ---- */

/* Rules of one path: a plan may have several functions of it. */
static uint32_t group_end(const struct rg_plan_rules *rules, uint32_t begin)
{
	uint32_t end = begin;

	while (end < rules->count && !strcmp(rules->rules[end].path, rules->rules[begin].path))
		end++;
	return end;
}

static bool same_group(const struct rg_plan_rule *a, uint32_t a_count, const struct rg_plan_rule *b,
		       uint32_t b_count)
{
	if (a_count != b_count)
		return false;
	for (uint32_t i = 0; i < a_count; i++) {
		if (memcmp(a[i].digest, b[i].digest, sizeof(a[i].digest)))
			return false;
	}
	return true;
}

/* Write the paths with that change; returns how many there are, also beyond those written. */
static uint32_t write_rules_of(const struct rg_plan_rules *from, const struct rg_plan_rules *to,
			       enum change wanted, struct rg_json_writer *writer)
{
	uint32_t a = 0, b = 0, count = 0;

	rg_json_write_key(writer, change_names[wanted]);
	rg_json_write_array_begin(writer);
	while (a < from->count || b < to->count) {
		int order = a == from->count ? 1
			    : b == to->count ? -1
					     : strcmp(from->rules[a].path, to->rules[b].path);
		uint32_t a_end = order <= 0 ? group_end(from, a) : a;
		uint32_t b_end = order >= 0 ? group_end(to, b) : b;
		enum change change = order < 0 ? REMOVED : order > 0 ? ADDED : CHANGED;
		bool is_same =
			!order && same_group(&from->rules[a], a_end - a, &to->rules[b], b_end - b);

		if (change == wanted && !is_same && count++ < RG_DIFF_RULES_MAX)
			rg_json_write_string(writer,
					     order > 0 ? to->rules[b].path : from->rules[a].path);
		a = a_end;
		b = b_end;
	}
	rg_json_write_array_end(writer);
	return count;
}

static int diff_rules(const struct rg_bundle *from, const struct rg_bundle *to,
		      struct rg_json_writer *writer, uint32_t *differences, struct rg_error *err)
{
	struct rg_plan_rules a = {0}, b = {0};
	uint32_t counts[CHANGES];
	int rc = rg_plan_rules_read(from->plan_json, from->plan_bytes, &a, err);

	if (!rc)
		rc = rg_plan_rules_read(to->plan_json, to->plan_bytes, &b, err);
	if (!rc) {
		rg_json_write_key(writer, "rules");
		rg_json_write_object_begin(writer);
		for (int change = 0; change < CHANGES; change++) {
			counts[change] = write_rules_of(&a, &b, (enum change)change, writer);
			*differences += counts[change];
		}
		rg_json_member_uint(writer, "added_count", counts[ADDED]);
		rg_json_member_uint(writer, "removed_count", counts[REMOVED]);
		rg_json_member_uint(writer, "changed_count", counts[CHANGED]);
		rg_json_write_object_end(writer);
	}
	rg_plan_rules_free(&a);
	rg_plan_rules_free(&b);
	return rc;
}

/* ---- sources ---- */

/* One file; `room` is how many bytes of diffs may still be written. */
static int diff_source(const char *name, const char *from, const char *to, size_t *room,
		       struct rg_json_writer *writer, struct rg_error *err)
{
	enum change change = !from ? ADDED : !to ? REMOVED : CHANGED;
	struct rg_text_diff diff;
	int rc = rg_text_diff(from ? from : "", to ? to : "", &diff, err);

	if (rc)
		return rg_error_prefix(err, "%s", name);
	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "file", name);
	rg_json_member_text(writer, "change", change_names[change]);
	rg_json_member_uint(writer, "added_lines", diff.added_lines);
	rg_json_member_uint(writer, "removed_lines", diff.removed_lines);
	if (diff.bytes <= *room) {
		rg_json_member_text(writer, "diff", diff.text);
		*room -= diff.bytes;
	} else {
		rg_json_member_uint(writer, "diff_bytes", diff.bytes);
	}
	rg_json_write_object_end(writer);
	free(diff.text);
	return RG_OK;
}

static int diff_sources(const struct rg_bundle *from, const struct rg_bundle *to,
			struct rg_json_writer *writer, uint32_t *differences, struct rg_error *err)
{
	size_t room = RG_DIFF_TEXT_BYTES_MAX;
	uint32_t a = 0, b = 0;
	int rc = RG_OK;

	rg_json_write_key(writer, "sources");
	rg_json_write_array_begin(writer);
	while (!rc && (a < from->source_count || b < to->source_count)) {
		int order = a == from->source_count ? 1
			    : b == to->source_count
				    ? -1
				    : strcmp(from->sources[a].name, to->sources[b].name);
		const char *old = order <= 0 ? from->sources[a].text : NULL;
		const char *new = order >= 0 ? to->sources[b].text : NULL;
		const char *name = old ? from->sources[a].name : to->sources[b].name;

		if (!old || !new || strcmp(old, new)) {
			rc = diff_source(name, old, new, &room, writer, err);
			++*differences;
		}
		a += old != NULL;
		b += new != NULL;
	}
	rg_json_write_array_end(writer);
	return rc;
}

/* ---- data ---- */

/* A walk over two data documents; what it finds is counted and, as long as there is room,
 * written. */
struct data_walk {
	struct rg_heap heap;
	struct rg_json_writer *writer, value; /* value: one value's text, to be measured */
	char pointer[POINTER_BYTES];
	size_t pointer_bytes;
	uint64_t counts[CHANGES], written;
};

/* Append "/key" with JSON pointer's escapes (RFC 6901). A pointer that does not fit ends in
 * "...". */
static void descend(struct data_walk *walk, const char *key, size_t bytes)
{
	char *at = walk->pointer + walk->pointer_bytes;
	const char *end = walk->pointer + POINTER_BYTES - 8;

	if (at < end)
		*at++ = '/';
	for (size_t i = 0; i < bytes && at < end; i++) {
		if (key[i] == '~' || key[i] == '/') {
			*at++ = '~';
			*at++ = key[i] == '~' ? '0' : '1';
		} else {
			*at++ = key[i];
		}
	}
	if (at >= end)
		at = stpcpy(walk->pointer + POINTER_BYTES - 8, "...");
	*at = '\0';
	walk->pointer_bytes = (size_t)(at - walk->pointer);
}

static void ascend(struct data_walk *walk, size_t pointer_bytes)
{
	walk->pointer_bytes = pointer_bytes;
	walk->pointer[pointer_bytes] = '\0';
}

static void write_value(struct data_walk *walk, const char *key, const char *size_key,
			struct rg_value value)
{
	if (!rg_is_defined(value))
		return;
	rg_json_writer_reset(&walk->value);
	rg_value_write(&walk->heap, value, &walk->value);
	walk->writer->failed |= walk->value.failed;
	if (walk->value.bytes > RG_DIFF_VALUE_BYTES_MAX) {
		rg_json_member_uint(walk->writer, size_key, walk->value.bytes);
		return;
	}
	rg_json_write_key(walk->writer, key);
	rg_json_write_raw(walk->writer, walk->value.text, walk->value.bytes);
}

static void found(struct data_walk *walk, struct rg_value old, struct rg_value new)
{
	enum change change = !rg_is_defined(old) ? ADDED : !rg_is_defined(new) ? REMOVED : CHANGED;

	walk->counts[change]++;
	if (walk->written == RG_DIFF_VALUES_MAX)
		return;
	walk->written++;
	rg_json_write_object_begin(walk->writer);
	rg_json_member_text(walk->writer, "pointer", walk->pointer);
	rg_json_member_text(walk->writer, "change", change_names[change]);
	write_value(walk, "old", "old_bytes", old);
	write_value(walk, "new", "new_bytes", new);
	rg_json_write_object_end(walk->writer);
}

static void diff_values(struct data_walk *walk, struct rg_value old, struct rg_value new);

/* Both objects' keys in order, side by side. */
static void diff_objects(struct data_walk *walk, struct rg_value old, struct rg_value new)
{
	uint32_t a = 0, b = 0, a_count = rg_count(&walk->heap, old),
		 b_count = rg_count(&walk->heap, new);
	size_t pointer_bytes = walk->pointer_bytes;

	while (a < a_count || b < b_count) {
		struct rg_pair left = {0}, right = {0};
		struct rg_value key;
		int order;

		if (a < a_count)
			left = rg_object_at(&walk->heap, old, a);
		if (b < b_count)
			right = rg_object_at(&walk->heap, new, b);
		order = a == a_count   ? 1
			: b == b_count ? -1
				       : rg_compare(&walk->heap, left.key, right.key);
		key = order <= 0 ? left.key : right.key; /* of JSON: a string */
		descend(walk, rg_text(&walk->heap, key), key.length);
		diff_values(walk, order <= 0 ? left.value : rg_undefined,
			    order >= 0 ? right.value : rg_undefined);
		ascend(walk, pointer_bytes);
		a += order <= 0;
		b += order >= 0;
	}
}

/* Element by element: what was put in front shows as changes of all. */
static void diff_arrays(struct data_walk *walk, struct rg_value old, struct rg_value new)
{
	uint32_t a_count = rg_count(&walk->heap, old), b_count = rg_count(&walk->heap, new);
	size_t pointer_bytes = walk->pointer_bytes;

	for (uint32_t i = 0; i < a_count || i < b_count; i++) {
		char index[16];

		descend(walk, index, (size_t)snprintf(index, sizeof(index), "%u", i));
		diff_values(walk, i < a_count ? rg_array_at(&walk->heap, old, i) : rg_undefined,
			    i < b_count ? rg_array_at(&walk->heap, new, i) : rg_undefined);
		ascend(walk, pointer_bytes);
	}
}

static void diff_values(struct data_walk *walk, struct rg_value old, struct rg_value new)
{
	walk->heap.work = RG_HEAP_WORK_DEFAULT;
	if (rg_is_defined(old) && rg_is_defined(new)) {
		if (old.type == RG_OBJECT && new.type == RG_OBJECT) {
			diff_objects(walk, old, new);
			return;
		}
		if (old.type == RG_ARRAY && new.type == RG_ARRAY) {
			diff_arrays(walk, old, new);
			return;
		}
		if (rg_equal(&walk->heap, old, new))
			return;
	}
	found(walk, old, new);
}

static int diff_data(const struct rg_bundle *from, const struct rg_bundle *to,
		     struct rg_json_writer *writer, uint32_t *differences, struct rg_error *err)
{
	struct data_walk *walk = calloc(1, sizeof(*walk));
	struct rg_value old, new;
	int rc = walk ? rg_heap_new(&walk->heap, HEAP_BYTES, err)
		      : rg_error_set(err, RG_ENOMEM, "out of memory for a diff");

	if (rc) {
		free(walk);
		return rc;
	}
	walk->writer = writer;
	rg_json_writer_init(&walk->value, false);
	rc = rg_value_parse(&walk->heap, from->data_json, from->data_bytes, &old, err);
	if (!rc)
		rc = rg_value_parse(&walk->heap, to->data_json, to->data_bytes, &new, err);
	if (!rc) {
		uint64_t all = 0;

		rg_json_write_key(writer, "data");
		rg_json_write_object_begin(writer);
		rg_json_write_key(writer, "values");
		rg_json_write_array_begin(writer);
		diff_values(walk, old, new);
		rg_json_write_array_end(writer);
		for (int change = 0; change < CHANGES; change++) {
			rg_json_member_uint(writer, change_names[change], walk->counts[change]);
			all += walk->counts[change];
		}
		rg_json_member_uint(writer, "left_out", all - walk->written);
		rg_json_write_object_end(writer);
		*differences += all > 0;
		if (walk->heap.exhausted)
			rc = rg_error_set(err, RG_ELIMIT,
					  "the data documents are too large to be compared");
	}
	rg_json_writer_free(&walk->value);
	rg_heap_free(&walk->heap);
	free(walk);
	return rc ? rg_error_prefix(err, "data") : RG_OK;
}

int rg_bundle_diff(const struct rg_bundle *from, const struct rg_bundle *to,
		   struct rg_json_writer *writer, struct rg_error *err)
{
	uint32_t differences = 0;
	int rc;

	rg_json_write_object_begin(writer);
	rc = diff_rules(from, to, writer, &differences, err);
	if (!rc)
		rc = diff_sources(from, to, writer, &differences, err);
	if (!rc)
		rc = diff_data(from, to, writer, &differences, err);
	if (rc)
		return rc;
	rg_json_write_key(writer, "identical");
	rg_json_write_bool(writer, !differences);
	rg_json_write_object_end(writer);
	if (writer->failed)
		return rg_error_set(err, RG_ENOMEM, "out of memory for a diff");
	return RG_OK;
}

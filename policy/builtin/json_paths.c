/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.filter, json.remove, json.patch: documents and paths into them. A path is an array of keys,
 * or text "a/b/0" with ~1 for / and ~0 for ~. Nothing is changed in place: each container on the
 * way is rebuilt. Source: OPA v1/topdown/json.go, internal/edittree.
 */
#include <string.h>

#include "policy/builtin/family.h"

/* One segment of a textual path. */
static struct rg_value unescape(struct rg_heap *heap, const char *at, const char *end)
{
	struct rg_builder builder;

	rg_builder_init(&builder, heap);
	while (at < end) {
		bool slash = end - at >= 2 && at[0] == '~' && at[1] == '1',
		     tilde = end - at >= 2 && at[0] == '~' && at[1] == '0';

		rg_builder_put_char(&builder, slash ? '/' : *at);
		at += slash || tilde ? 2 : 1;
	}
	return rg_builder_finish(&builder);
}

/* The path as an array of keys; undefined with *error. */
static struct rg_value read_path(struct rg_builtin_call *call, struct rg_value v,
				 enum rg_builtin_result *error)
{
	struct rg_heap *heap = call->heap;
	const char *at, *end;
	struct rg_value path;

	if (v.type == RG_ARRAY)
		return v;
	if (v.type != RG_STRING) {
		*error = rg_builtin_operand_text(call, 2,
						 "must be one of {set, array} containing string "
						 "paths or array of path segments but got %s",
						 rg_type_name(v));
		return rg_undefined;
	}
	*error = RG_BUILTIN_MEMORY;
	path = rg_array(heap, 0);
	at = rg_text(heap, v);
	end = at + v.length;
	if (at == end)
		return path;
	while (at < end && *at == '/')
		at++;
	while (rg_is_defined(path)) {
		const char *slash = memchr(at, '/', (size_t)(end - at));

		if (!rg_array_append(heap, path, unescape(heap, at, slash ? slash : end)))
			return rg_undefined;
		if (!slash)
			break;
		at = slash + 1;
	}
	return path;
}

/* ---- filter and remove: the paths as a tree of objects whose leaves are null ---- */

/* Enter a path into the tree. A path that goes on where another one ends adds nothing. */
static bool enter_path(struct rg_heap *heap, struct rg_value tree, struct rg_value path)
{
	uint32_t count = rg_count(heap, path);

	if (count > RG_VALUE_DEPTH_MAX) {
		heap->exhausted = true;
		return false;
	}
	for (uint32_t i = 0; i + 1 < count; i++) {
		struct rg_value key = rg_array_at(heap, path, i),
				child = rg_object_get(heap, tree, key);

		if (child.type == RG_NULL)
			return true;
		if (!rg_is_defined(child)) {
			child = rg_object(heap, 0);
			if (!rg_is_defined(child) || !rg_object_insert(heap, tree, key, child))
				return false;
		}
		tree = child;
	}
	return !count ||
	       rg_object_insert(heap, tree, rg_array_at(heap, path, count - 1), rg_null());
}

static struct rg_value path_tree(struct rg_builtin_call *call, struct rg_value paths,
				 enum rg_builtin_result *error)
{
	struct rg_value tree = rg_undefined;

	if (paths.type != RG_ARRAY && paths.type != RG_SET) {
		*error = rg_builtin_operand(call, 2, paths, "one of {set, array}");
		return rg_undefined;
	}
	tree = rg_object(call->heap, 0);
	for (uint32_t i = 0; i < rg_count(call->heap, paths) && rg_is_defined(tree); i++) {
		struct rg_value path = read_path(call, rg_list_at(call->heap, paths, i), error);

		if (!rg_is_defined(path))
			return rg_undefined;
		*error = RG_BUILTIN_MEMORY;
		if (!enter_path(call->heap, tree, path))
			return rg_undefined;
	}
	*error = RG_BUILTIN_MEMORY;
	return tree;
}

/* The part of the tree under element i of an array: its keys there are texts. */
static struct rg_value under_index(struct rg_heap *heap, struct rg_value tree, uint32_t i)
{
	char text[RG_NUMBER_TEXT_BYTES];

	return rg_object_get_text(heap, tree, text,
				  rg_number_text(heap, rg_int(i), text, sizeof(text)));
}

static struct rg_value empty_like(struct rg_heap *heap, struct rg_value v)
{
	return v.type == RG_ARRAY ? rg_array(heap, 0)
	       : v.type == RG_SET ? rg_set(heap, 0)
				  : rg_object(heap, 0);
}

/*
 * v with only what the tree names (keep), or without it. Undefined: v itself is to be left out, or
 * memory is used up. *good turns false when the budget is. Depth is bounded by the tree's.
 */
static struct rg_value select_paths(struct rg_builtin_call *call, struct rg_value v,
				    struct rg_value tree, bool keep, bool *good)
{
	struct rg_heap *heap = call->heap;
	struct rg_value chosen;
	uint32_t count;

	if (!rg_is_defined(tree))
		return keep ? rg_undefined : v;
	if (tree.type == RG_NULL)
		return keep ? v : rg_undefined;
	if (v.type < RG_ARRAY)
		return v;
	count = rg_count(heap, v);
	*good = *good && rg_builtin_charge(call, count + 1ull);
	chosen = empty_like(heap, v);
	for (uint32_t i = 0; i < count && rg_is_defined(chosen) && !heap->exhausted && *good; i++) {
		struct rg_value part;

		if (v.type == RG_OBJECT) {
			struct rg_pair pair = rg_object_at(heap, v, i);

			part = select_paths(call, pair.value, rg_object_get(heap, tree, pair.key),
					    keep, good);
			if (rg_is_defined(part))
				rg_object_insert(heap, chosen, pair.key, part);
		} else if (v.type == RG_SET) {
			struct rg_value member = rg_set_at(heap, v, i);

			part = select_paths(call, member, rg_object_get(heap, tree, member), keep,
					    good);
			if (rg_is_defined(part))
				rg_set_add(heap, chosen, part);
		} else {
			part = select_paths(call, rg_array_at(heap, v, i),
					    under_index(heap, tree, i), keep, good);
			if (rg_is_defined(part))
				rg_array_append(heap, chosen, part);
		}
	}
	return chosen;
}

static enum rg_builtin_result choose(struct rg_builtin_call *call, bool keep,
				     const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_value tree, chosen;
	bool good = true;

	RG_OPERAND(1, OBJECT, "object");
	tree = path_tree(call, args[1], &error);
	if (!rg_is_defined(tree))
		return error;
	chosen = select_paths(call, args[0], tree, keep, &good);
	return good ? rg_builtin_give(call, result, chosen) : RG_BUILTIN_ERROR;
}

static enum rg_builtin_result filter(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	return choose(call, true, args, result);
}

static enum rg_builtin_result remove_paths(struct rg_builtin_call *call,
					   const struct rg_value *args, struct rg_value *result)
{
	return choose(call, false, args, result);
}

/* ---- patch ---- */

enum edit { INSERT, DELETE };

/* An array index: an integral number, or its text without leading zeros, or "-" for the end.
 * False: *error. */
static bool read_index(struct rg_builtin_call *call, struct rg_value key, uint32_t count,
		       int64_t *index, enum rg_builtin_result *error)
{
	const char *text;

	if (key.type == RG_NUMBER && rg_number_to_int64(call->heap, key, index))
		return true;
	if (key.type != RG_STRING) {
		*error = rg_builtin_fail(call, "invalid type for indexing");
		return false;
	}
	text = rg_text(call->heap, key);
	if (key.length == 1 && *text == '-') {
		*index = count;
		return true;
	}
	if (key.length > 1 && *text == '0') {
		*error = rg_builtin_fail(call, "leading zeros are not allowed in JSON paths");
		return false;
	}
	if (!rg_json_int64(text, key.length, index)) {
		*error = rg_builtin_fail(call, "invalid string for indexing");
		return false;
	}
	return true;
}

/* The array without element `index`, or with value in front of it (value undefined: delete). */
static struct rg_value edit_array(struct rg_heap *heap, struct rg_value array, int64_t index,
				  struct rg_value value, bool replace)
{
	uint32_t count = rg_count(heap, array);
	struct rg_value edited = rg_array(heap, count + 1);

	for (int64_t i = 0; i <= count && rg_is_defined(edited); i++) {
		if (i == index && rg_is_defined(value))
			rg_array_append(heap, edited, value);
		if (i < count && (i != index || (rg_is_defined(value) && !replace)))
			rg_array_append(heap, edited, rg_array_at(heap, array, (uint32_t)i));
	}
	return edited;
}

static struct rg_value without_key(struct rg_heap *heap, struct rg_value v, struct rg_value key)
{
	struct rg_value rest = empty_like(heap, v);

	for (uint32_t i = 0; i < rg_count(heap, v) && rg_is_defined(rest); i++) {
		if (v.type == RG_OBJECT) {
			struct rg_pair pair = rg_object_at(heap, v, i);

			if (!rg_equal(heap, pair.key, key))
				rg_object_insert(heap, rest, pair.key, pair.value);
		} else if (!rg_equal(heap, rg_set_at(heap, v, i), key)) {
			rg_set_add(heap, rest, rg_set_at(heap, v, i));
		}
	}
	return rest;
}

/* The child of v at a key of a path; undefined with *error. */
static struct rg_value child_at(struct rg_builtin_call *call, struct rg_value v,
				struct rg_value key, enum rg_builtin_result *error)
{
	struct rg_value child = rg_undefined;
	int64_t index;

	*error = RG_BUILTIN_MEMORY;
	if (v.type == RG_ARRAY) {
		if (!read_index(call, key, rg_count(call->heap, v), &index, error))
			return rg_undefined;
		if (index >= 0 && index < rg_count(call->heap, v))
			child = rg_array_at(call->heap, v, (uint32_t)index);
	} else if (v.type >= RG_ARRAY) {
		child = rg_dot(call->heap, v, key);
	}
	if (!rg_is_defined(child))
		*error = rg_builtin_fail(call, "path does not exist in %s term", rg_type_name(v));
	return child;
}

static struct rg_value insert_child(struct rg_builtin_call *call, struct rg_value v,
				    struct rg_value key, struct rg_value value,
				    enum rg_builtin_result *error)
{
	struct rg_value edited = rg_undefined;
	int64_t index;

	*error = RG_BUILTIN_MEMORY;
	if (v.type == RG_OBJECT) {
		edited = rg_clone(call->heap, v);
		if (rg_is_defined(edited))
			rg_object_insert(call->heap, edited, key, value);
	} else if (v.type == RG_SET) {
		if (!rg_equal(call->heap, key, value)) {
			*error = rg_builtin_fail(call,
						 "set key does not equal value to be inserted");
			return rg_undefined;
		}
		edited = rg_clone(call->heap, v);
		if (rg_is_defined(edited))
			rg_set_add(call->heap, edited, value);
	} else if (v.type == RG_ARRAY) {
		if (!read_index(call, key, rg_count(call->heap, v), &index, error))
			return rg_undefined;
		if (index >= 0 && index <= rg_count(call->heap, v))
			edited = edit_array(call->heap, v, index, value, false);
		else
			*error = rg_builtin_fail(call, "index for array insertion out of bounds");
	} else {
		*error =
			rg_builtin_fail(call, "expected composite type, found %s", rg_type_name(v));
	}
	return edited;
}

static struct rg_value delete_child(struct rg_builtin_call *call, struct rg_value v,
				    struct rg_value key, enum rg_builtin_result *error)
{
	int64_t index;

	*error = RG_BUILTIN_MEMORY;
	if (v.type == RG_OBJECT || v.type == RG_SET) {
		if (rg_container_find(call->heap, v, key, 0) != RG_CONTAINER_NONE)
			return without_key(call->heap, v, key);
		*error = rg_builtin_fail(call, "cannot delete child key that does not exist");
	} else if (v.type == RG_ARRAY) {
		if (!read_index(call, key, rg_count(call->heap, v), &index, error))
			return rg_undefined;
		if (index >= 0 && index < rg_count(call->heap, v))
			return edit_array(call->heap, v, index, rg_undefined, false);
		*error = rg_builtin_fail(call, "index for array delete out of bounds");
	} else {
		*error =
			rg_builtin_fail(call, "expected composite type, found %s", rg_type_name(v));
	}
	return rg_undefined;
}

/* v with `child` in the place of what is at key. A set's member changes as such. */
static struct rg_value replace_child(struct rg_builtin_call *call, struct rg_value v,
				     struct rg_value key, struct rg_value child)
{
	struct rg_value edited;
	enum rg_builtin_result ignored;
	int64_t index = 0;

	if (v.type == RG_SET) {
		edited = without_key(call->heap, v, key);
		if (rg_is_defined(edited))
			rg_set_add(call->heap, edited, child);
		return edited;
	}
	if (v.type == RG_ARRAY) {
		read_index(call, key, rg_count(call->heap, v), &index, &ignored);
		return edit_array(call->heap, v, index, child, true);
	}
	edited = rg_clone(call->heap, v);
	if (rg_is_defined(edited))
		rg_object_insert(call->heap, edited, key, child);
	return edited;
}

/* v with the edit made at path[at..]. Undefined with *error. */
static struct rg_value edit_at(struct rg_builtin_call *call, struct rg_value v,
			       struct rg_value path, uint32_t at, enum edit edit,
			       struct rg_value value, enum rg_builtin_result *error)
{
	struct rg_value key = rg_array_at(call->heap, path, at), child;

	if (at >= RG_VALUE_DEPTH_MAX ||
	    !rg_builtin_charge(call, v.type >= RG_ARRAY ? rg_count(call->heap, v) + 1ull : 1)) {
		*error = RG_BUILTIN_ERROR;
		return rg_undefined;
	}
	if (at + 1 == rg_count(call->heap, path))
		return edit == INSERT ? insert_child(call, v, key, value, error)
				      : delete_child(call, v, key, error);
	child = child_at(call, v, key, error);
	if (rg_is_defined(child))
		child = edit_at(call, child, path, at + 1, edit, value, error);
	if (!rg_is_defined(child))
		return child;
	*error = RG_BUILTIN_MEMORY;
	return replace_child(call, v, key, child);
}

struct patch {
	struct rg_value op, path, from, value;
};

static struct rg_value attribute(struct rg_builtin_call *call, struct rg_value object,
				 const char *name, enum rg_builtin_result *error)
{
	struct rg_value v = rg_object_get_text(call->heap, object, name, strlen(name));

	if (!rg_is_defined(v))
		*error = rg_builtin_fail(call, "missing required attribute '%s'", name);
	return v;
}

static bool is_op(const struct rg_heap *heap, const struct patch *patch, const char *name)
{
	return rg_string_is(heap, patch->op, name);
}

static bool read_patch(struct rg_builtin_call *call, struct rg_value object, struct patch *patch,
		       enum rg_builtin_result *error)
{
	const struct rg_heap *heap = call->heap;
	bool two_paths, has_value;

	*patch = (struct patch){.op = attribute(call, object, "op", error)};
	if (!rg_is_defined(patch->op))
		return false;
	two_paths = is_op(heap, patch, "move") || is_op(heap, patch, "copy");
	has_value = is_op(heap, patch, "add") || is_op(heap, patch, "replace") ||
		    is_op(heap, patch, "test");
	if (!two_paths && !has_value && !is_op(heap, patch, "remove")) {
		*error = rg_builtin_fail(call, "unrecognized op");
		return false;
	}
	patch->path = attribute(call, object, "path", error);
	if (!rg_is_defined(patch->path))
		return false;
	patch->path = read_path(call, patch->path, error);
	if (!rg_is_defined(patch->path))
		return false;
	if (two_paths) {
		patch->from = attribute(call, object, "from", error);
		if (!rg_is_defined(patch->from))
			return false;
		patch->from = read_path(call, patch->from, error);
		return rg_is_defined(patch->from);
	}
	if (has_value)
		patch->value = attribute(call, object, "value", error);
	return !has_value || rg_is_defined(patch->value);
}

static struct rg_value value_at(struct rg_builtin_call *call, struct rg_value v,
				struct rg_value path, enum rg_builtin_result *error)
{
	for (uint32_t i = 0; i < rg_count(call->heap, path) && rg_is_defined(v); i++)
		v = child_at(call, v, rg_array_at(call->heap, path, i), error);
	return v;
}

/* Insert or delete at a path; the empty path is the document itself (deleted: null, until
 * something is put there). */
static bool edit_document(struct rg_builtin_call *call, struct rg_value *document,
			  struct rg_value path, enum edit edit, struct rg_value value,
			  enum rg_builtin_result *error)
{
	struct rg_value edited;

	if (!rg_count(call->heap, path)) {
		*document = edit == INSERT ? value : rg_null();
		return true;
	}
	edited = edit_at(call, *document, path, 0, edit, value, error);
	if (rg_is_defined(edited))
		*document = edited;
	return rg_is_defined(edited);
}

static bool apply(struct rg_builtin_call *call, const struct patch *patch,
		  struct rg_value *document, enum rg_builtin_result *error)
{
	struct rg_heap *heap = call->heap;
	struct rg_value value = patch->value;

	if (is_op(heap, patch, "test")) {
		value = value_at(call, *document, patch->path, error);
		if (rg_is_defined(value) && !rg_equal(heap, value, patch->value)) {
			*error = rg_builtin_fail(call, "the value found is not the patch value");
			return false;
		}
		return rg_is_defined(value);
	}
	if (is_op(heap, patch, "move") || is_op(heap, patch, "copy")) {
		value = value_at(call, *document, patch->from, error);
		if (!rg_is_defined(value))
			return false;
	}
	if (is_op(heap, patch, "move") &&
	    !edit_document(call, document, patch->from, DELETE, rg_undefined, error))
		return false;
	if ((is_op(heap, patch, "remove") || is_op(heap, patch, "replace")) &&
	    !edit_document(call, document, patch->path, DELETE, rg_undefined, error))
		return false;
	return is_op(heap, patch, "remove") ||
	       edit_document(call, document, patch->path, INSERT, value, error);
}

static enum rg_builtin_result patch_document(struct rg_builtin_call *call,
					     const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error = RG_BUILTIN_ERROR;
	struct rg_value document = args[0];
	struct patch patch;

	RG_OPERAND(2, ARRAY, "array");
	for (uint32_t i = 0; i < rg_count(call->heap, args[1]); i++) {
		struct rg_value object = rg_array_at(call->heap, args[1], i);

		if (object.type != RG_OBJECT)
			return rg_builtin_fail(call, "must be an array of JSON-Patch objects, but "
						     "at least one element is not an object");
		if (!read_patch(call, object, &patch, &error) ||
		    !apply(call, &patch, &document, &error))
			return call->heap->exhausted ? RG_BUILTIN_MEMORY : error;
	}
	return rg_builtin_give(call, result, document);
}

#define PATH	T_UNION(OF2(T_ARRAY(T_ANY), T_STRING))
#define PATHS	T_UNION(OF2(T_ARRAY(PATH), T_SET(PATH)))
#define PATCHES T_ARRAY(T_RECORD_AND(OF2(KEY("op", T_STRING), KEY("path", T_ANY)), T_ANY, T_ANY))

static const struct rg_builtin table[] = {
	{"json.filter", filter, 2, 0, NULL, FN2(T_ANY_OBJECT, PATHS, T_ANY_OBJECT)},
	{"json.remove", remove_paths, 2, 0, NULL, FN2(T_ANY_OBJECT, PATHS, T_ANY_OBJECT)},
	{"json.patch", patch_document, 2, 0, NULL, FN2(T_ANY, PATCHES, T_ANY)},
};
RG_BUILTIN_FAMILY(rg_builtin_json_paths, table);

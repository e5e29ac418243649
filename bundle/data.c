/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/data.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A node is an object (children) or a leaf (text). Node 0 is "none", node 1 the root. */
struct node {
	const char *key; /* decoded */
	size_t key_bytes;
	const char *text; /* a leaf's JSON; NULL: an object */
	size_t text_bytes;
	const char *file; /* that made it */
	uint32_t parent, first, last, next;
	bool replaced; /* a later duplicate key in the same document took its place */
};

struct rg_data_tree {
	struct node *nodes;
	uint32_t count, capacity;
	uint32_t *slots; /* open addressing over (parent, key): node numbers, 0 is free */
	uint32_t slot_count, slots_used;
	char **decoded; /* texts that the tree made: keys that had escapes, changed arrays */
	uint32_t decoded_count, decoded_capacity;
};

#define NONE		0u
#define ROOT		1u
#define PATCH_DEPTH_MAX 64

static uint64_t hash_key(uint32_t parent, const char *key, size_t bytes)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ parent; /* FNV-1a */

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)key[i]) * 0x100000001b3ull;
	return hash ^ hash >> 29;
}

/* The slot of (parent, key): its node's, or the free one where it belongs. */
static uint32_t *find_slot(const struct rg_data_tree *tree, uint32_t parent, const char *key,
			   size_t bytes)
{
	uint32_t at = (uint32_t)hash_key(parent, key, bytes) & (tree->slot_count - 1);

	for (;; at = (at + 1) & (tree->slot_count - 1)) {
		const struct node *node = &tree->nodes[tree->slots[at]];

		if (!tree->slots[at] || (node->parent == parent && node->key_bytes == bytes &&
					 !memcmp(node->key, key, bytes)))
			return &tree->slots[at];
	}
}

static bool grow_slots(struct rg_data_tree *tree)
{
	uint32_t old_count = tree->slot_count, *old = tree->slots;
	uint32_t *fresh = calloc((size_t)old_count * 2, sizeof(*fresh));

	if (!fresh)
		return false;
	tree->slots = fresh;
	tree->slot_count = old_count * 2;
	for (uint32_t i = 0; i < old_count; i++) {
		const struct node *node = &tree->nodes[old[i]];

		if (old[i])
			*find_slot(tree, node->parent, node->key, node->key_bytes) = old[i];
	}
	free(old);
	return true;
}

static uint32_t new_node(struct rg_data_tree *tree)
{
	if (tree->count == tree->capacity) {
		uint32_t capacity = tree->capacity * 2;
		struct node *grown = capacity > tree->capacity
					     ? reallocarray(tree->nodes, capacity, sizeof(*grown))
					     : NULL;

		if (!grown)
			return NONE;
		tree->nodes = grown;
		tree->capacity = capacity;
	}
	memset(&tree->nodes[tree->count], 0, sizeof(tree->nodes[0]));
	return tree->count++;
}

static void link_last(struct rg_data_tree *tree, uint32_t parent, uint32_t child)
{
	struct node *up = &tree->nodes[parent];

	tree->nodes[child].parent = parent;
	tree->nodes[child].next = NONE;
	if (up->last)
		tree->nodes[up->last].next = child;
	else
		up->first = child;
	up->last = child;
}

/* Put node under parent with its key; a node that is there already is taken out. False: out of
 * memory. */
static bool adopt(struct rg_data_tree *tree, uint32_t parent, uint32_t child)
{
	uint32_t *slot;

	if (tree->slots_used >= tree->slot_count / 2 && !grow_slots(tree))
		return false;
	slot = find_slot(tree, parent, tree->nodes[child].key, tree->nodes[child].key_bytes);
	if (*slot)
		tree->nodes[*slot].replaced = true;
	else
		tree->slots_used++;
	*slot = child;
	link_last(tree, parent, child);
	return true;
}

struct rg_data_tree *rg_data_tree_new(void)
{
	struct rg_data_tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return NULL;
	tree->capacity = 64;
	tree->slot_count = 128;
	tree->nodes = calloc(tree->capacity, sizeof(tree->nodes[0]));
	tree->slots = calloc(tree->slot_count, sizeof(tree->slots[0]));
	if (!tree->nodes || !tree->slots) {
		rg_data_tree_free(tree);
		return NULL;
	}
	tree->count = ROOT + 1;
	return tree;
}

void rg_data_tree_free(struct rg_data_tree *tree)
{
	if (!tree)
		return;
	for (uint32_t i = 0; i < tree->decoded_count; i++)
		free(tree->decoded[i]);
	free(tree->decoded);
	free(tree->nodes);
	free(tree->slots);
	free(tree);
}

static int out_of_memory(const char *file, struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, "%s: out of memory", file);
}

/* Take over a text that the tree frees. */
static bool keep_text(struct rg_data_tree *tree, char *text)
{
	if (tree->decoded_count == tree->decoded_capacity) {
		uint32_t capacity = tree->decoded_capacity ? tree->decoded_capacity * 2 : 16;
		char **grown = reallocarray(tree->decoded, capacity, sizeof(*grown));

		if (!grown)
			return false;
		tree->decoded = grown;
		tree->decoded_capacity = capacity;
	}
	tree->decoded[tree->decoded_count++] = text;
	return true;
}

/* The reader's last key, decoded; memory is the tree's or the document's. */
static const char *take_key(struct rg_data_tree *tree, const struct rg_json_reader *reader,
			    size_t *bytes)
{
	char *text;

	if (!reader->escaped) {
		*bytes = reader->text_bytes;
		return reader->text;
	}
	text = malloc(reader->text_bytes * 3 + 1);
	if (!text || !keep_text(tree, text)) {
		free(text);
		return NULL;
	}
	*bytes = rg_json_decode(reader, text);
	return text;
}

static int read_object(struct rg_data_tree *tree, uint32_t object, struct rg_json_reader *reader,
		       const char *file, struct rg_error *err)
{
	enum rg_json_token token;

	while ((token = rg_json_next(reader)) == RG_JSON_KEY) {
		size_t key_bytes;
		const char *key = take_key(tree, reader, &key_bytes), *start;
		uint32_t child = key ? new_node(tree) : NONE;
		int rc;

		if (!child)
			return out_of_memory(file, err);
		tree->nodes[child].key = key;
		tree->nodes[child].key_bytes = key_bytes;
		tree->nodes[child].file = file;
		if (!adopt(tree, object, child))
			return out_of_memory(file, err);
		token = rg_json_next(reader);
		start = reader->token_at;
		if (token == RG_JSON_OBJECT_BEGIN) {
			rc = read_object(tree, child, reader, file, err);
			if (rc)
				return rc;
			continue;
		}
		if (token == RG_JSON_ERROR || rg_json_skip(reader))
			break;
		tree->nodes[child].text = start;
		tree->nodes[child].text_bytes = (size_t)(reader->at - start);
	}
	if (reader->error.status)
		return rg_error_set(err, RG_EINVAL, "%s: %s", file, reader->error.text);
	return RG_OK;
}

/* The path of a node, "a/b/c", for messages. */
static void write_path(const struct rg_data_tree *tree, uint32_t node, char *out, size_t bytes)
{
	size_t used;

	out[0] = '\0';
	if (node > ROOT && tree->nodes[node].parent)
		write_path(tree, tree->nodes[node].parent, out, bytes);
	used = strlen(out);
	if (tree->nodes[node].key)
		snprintf(out + used, bytes - used, "%s%.*s", used ? "/" : "",
			 (int)tree->nodes[node].key_bytes, tree->nodes[node].key);
}

static int merge_objects(struct rg_data_tree *tree, uint32_t into, uint32_t from,
			 struct rg_error *err)
{
	for (uint32_t child = tree->nodes[from].first, next; child; child = next) {
		const struct node *node = &tree->nodes[child];
		uint32_t *slot = find_slot(tree, into, node->key, node->key_bytes), there = *slot;
		int rc;

		next = node->next;
		if (node->replaced)
			continue;
		if (!there) {
			if (!adopt(tree, into, child))
				return out_of_memory(node->file, err);
			continue;
		}
		if (node->text || tree->nodes[there].text) {
			char path[512];

			write_path(tree, there, path, sizeof(path));
			return rg_error_set(err, RG_ECONFLICT, "%s and %s both give data at \"%s\"",
					    tree->nodes[there].file, node->file, path);
		}
		rc = merge_objects(tree, there, child, err);
		if (rc)
			return rc;
	}
	return RG_OK;
}

/* Wrap `object` in the folders of its file's name. Returns the outermost object, NONE when out of
 * memory. */
static uint32_t mount(struct rg_data_tree *tree, uint32_t object, const char *file)
{
	const char *end = strrchr(file, '/');

	while (end && end > file) {
		const char *begin = end;
		uint32_t outer;

		while (begin > file && begin[-1] != '/')
			begin--;
		tree->nodes[object].key = begin;
		tree->nodes[object].key_bytes = (size_t)(end - begin);
		tree->nodes[object].file = file;
		outer = new_node(tree);
		if (!outer || !adopt(tree, outer, object))
			return NONE;
		object = outer;
		end = begin > file ? begin - 1 : NULL;
	}
	return object;
}

int rg_data_tree_merge(struct rg_data_tree *tree, const char *file, const char *json, size_t bytes,
		       struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	uint32_t document;
	int rc;

	rg_json_reader_init(&reader, json, bytes);
	token = rg_json_next(&reader);
	if (token == RG_JSON_ERROR)
		return rg_error_set(err, RG_EINVAL, "%s: %s", file, reader.error.text);
	if (token != RG_JSON_OBJECT_BEGIN)
		return rg_error_set(err, RG_EINVAL, "%s: a data document must be a JSON object",
				    file);
	document = new_node(tree);
	if (!document)
		return out_of_memory(file, err);
	rc = read_object(tree, document, &reader, file, err);
	if (rc)
		return rc;
	if (rg_json_next(&reader) != RG_JSON_END)
		return rg_error_set(err, RG_EINVAL, "%s: %s", file, reader.error.text);
	document = mount(tree, document, file);
	if (!document)
		return out_of_memory(file, err);
	return merge_objects(tree, ROOT, document, err);
}

/* Compare "a/b" (a node's path) with a root: 2 the path lies in the root, 1 the root lies below the
 * path, 0 apart. */
static int relation(const char *path, const char *root)
{
	size_t path_bytes = strlen(path), root_bytes = strlen(root);

	if (!root_bytes)
		return 2;
	if (path_bytes >= root_bytes)
		return !strncmp(path, root, root_bytes) &&
				       (path[root_bytes] == '/' || !path[root_bytes])
			       ? 2
			       : 0;
	return !strncmp(path, root, path_bytes) && (!path_bytes || root[path_bytes] == '/') ? 1 : 0;
}

static int check_node(const struct rg_data_tree *tree, uint32_t node, char *const *roots,
		      uint32_t root_count, struct rg_error *err)
{
	char path[512];
	int best = 0;

	write_path(tree, node, path, sizeof(path));
	for (uint32_t i = 0; i < root_count; i++) {
		int is = relation(path, roots[i]);

		best = is > best ? is : best;
	}
	if (best == 2)
		return RG_OK;
	if (!best || tree->nodes[node].text)
		return rg_error_set(err, RG_ECONFLICT,
				    "%s: data at \"%s\" is outside the manifest's roots",
				    tree->nodes[node].file ? tree->nodes[node].file : "data", path);
	for (uint32_t child = tree->nodes[node].first; child; child = tree->nodes[child].next) {
		if (tree->nodes[child].replaced)
			continue;
		if (check_node(tree, child, roots, root_count, err))
			return RG_ECONFLICT;
	}
	return RG_OK;
}

int rg_data_tree_check_roots(const struct rg_data_tree *tree, char *const *roots,
			     uint32_t root_count, struct rg_error *err)
{
	return check_node(tree, ROOT, roots, root_count, err);
}

/* ---- changes ---- */

struct segment {
	char text[256];
	size_t bytes;
};

struct change {
	enum rg_data_op op;
	const char *path; /* as written, for errors */
	struct segment segments[PATCH_DEPTH_MAX];
	uint32_t count;
	const char *value;
	size_t value_bytes;
};

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int bad_path(const struct change *change, int status, const char *what, struct rg_error *err)
{
	return rg_error_set(err, status, "\"%.200s\": %s", change->path, what);
}

static int split_path(struct change *change, struct rg_error *err)
{
	const char *at = change->path + strspn(change->path, "/");

	while (*at) {
		struct segment *segment = &change->segments[change->count];

		if (change->count == PATCH_DEPTH_MAX)
			return bad_path(change, RG_EINVAL, "the path has too many parts", err);
		for (segment->bytes = 0; *at && *at != '/'; at++) {
			char c = *at;

			if (c == '%') {
				if (hex_value(at[1]) < 0 || hex_value(at[2]) < 0)
					return bad_path(change, RG_EINVAL,
							"the path has a malformed %XX", err);
				c = (char)(hex_value(at[1]) << 4 | hex_value(at[2]));
				at += 2;
			}
			if (segment->bytes == sizeof(segment->text))
				return bad_path(change, RG_EINVAL, "a part of the path is too long",
						err);
			segment->text[segment->bytes++] = c;
		}
		change->count++;
		at += *at == '/';
	}
	return change->count ? RG_OK
			     : bad_path(change, RG_EINVAL,
					"the path is empty: a snapshot replaces all data", err);
}

/* An index into an array of `count` elements; "-" is behind the last. */
static bool read_index(const struct segment *segment, uint64_t count, uint64_t *index)
{
	*index = count;
	if (segment->bytes == 1 && segment->text[0] == '-')
		return true;
	if (!segment->bytes || segment->bytes > 9)
		return false;
	*index = 0;
	for (size_t i = 0; i < segment->bytes; i++) {
		if (segment->text[i] < '0' || segment->text[i] > '9')
			return false;
		*index = *index * 10 + (uint64_t)(segment->text[i] - '0');
	}
	return true;
}

static int change_text(const struct change *change, uint32_t depth, const char *text, size_t bytes,
		       struct rg_json_writer *writer, struct rg_error *err);

/* The value of an element or member that is there and that the path leads to. */
static int change_here(const struct change *change, uint32_t depth, const char *text, size_t bytes,
		       struct rg_json_writer *writer, struct rg_error *err)
{
	if (depth + 1 < change->count)
		return change_text(change, depth + 1, text, bytes, writer, err);
	rg_json_write_raw(writer, change->value, change->value_bytes);
	return RG_OK;
}

static int change_array(const struct change *change, uint32_t depth, struct rg_json_reader *reader,
			uint64_t count, struct rg_json_writer *writer, struct rg_error *err)
{
	bool last = depth + 1 == change->count, adds = last && change->op == RG_DATA_UPSERT;
	uint64_t index, i = 0;
	int rc = RG_OK;

	if (!read_index(&change->segments[depth], count, &index) || index > count ||
	    (index == count && !adds))
		return bad_path(change, RG_ENOENT, "there is no such element of the array", err);
	rg_json_write_array_begin(writer);
	while (!rc && rg_json_next(reader) != RG_JSON_ARRAY_END) {
		const char *start = reader->token_at;

		rg_json_skip(reader);
		if (i == index && adds)
			rg_json_write_raw(writer, change->value, change->value_bytes);
		if (i++ != index || adds)
			rg_json_write_raw(writer, start, (size_t)(reader->at - start));
		else if (!last || change->op != RG_DATA_REMOVE)
			rc = change_here(change, depth, start, (size_t)(reader->at - start), writer,
					 err);
	}
	if (index == count)
		rg_json_write_raw(writer, change->value, change->value_bytes);
	rg_json_write_array_end(writer);
	return rc;
}

/* The reader's last key. False: out of memory. */
static bool write_key(struct rg_json_writer *writer, const struct rg_json_reader *reader)
{
	char *key = malloc(reader->text_bytes * 3 + 1);

	if (key)
		rg_json_write_key_n(writer, key, rg_json_decode(reader, key));
	free(key);
	return key != NULL;
}

static int change_object(const struct change *change, uint32_t depth, struct rg_json_reader *reader,
			 struct rg_json_writer *writer, struct rg_error *err)
{
	const struct segment *segment = &change->segments[depth];
	bool last = depth + 1 == change->count, found = false;
	char key[sizeof(segment->text) + 1];
	int rc = RG_OK;

	memcpy(key, segment->text, segment->bytes);
	key[segment->bytes] = '\0';
	rg_json_write_object_begin(writer);
	while (!rc && rg_json_next(reader) == RG_JSON_KEY) {
		bool here = rg_json_equals(reader, key);
		const struct rg_json_reader key_reader = *reader;
		const char *start;

		rg_json_next(reader);
		start = reader->token_at;
		rg_json_skip(reader);
		found = found || here;
		if (here && last && change->op == RG_DATA_REMOVE)
			continue;
		if (here)
			rg_json_write_key_n(writer, segment->text, segment->bytes);
		else if (!write_key(writer, &key_reader))
			rc = out_of_memory(change->path, err);
		if (here)
			rc = change_here(change, depth, start, (size_t)(reader->at - start), writer,
					 err);
		else
			rg_json_write_raw(writer, start, (size_t)(reader->at - start));
	}
	if (!rc && !found && last && change->op == RG_DATA_UPSERT) {
		rg_json_write_key_n(writer, segment->text, segment->bytes);
		rg_json_write_raw(writer, change->value, change->value_bytes);
	} else if (!rc && !found) {
		rc = bad_path(change, RG_ENOENT, "there is no data at this path", err);
	}
	rg_json_write_object_end(writer);
	return rc;
}

/* Inside an array the tree has no nodes: the text is written anew. It was read before, so it is
 * well-formed. */
static int change_text(const struct change *change, uint32_t depth, const char *text, size_t bytes,
		       struct rg_json_writer *writer, struct rg_error *err)
{
	struct rg_json_reader reader, counting;
	enum rg_json_token token;
	uint64_t count = 0;

	rg_json_reader_init(&reader, text, bytes);
	token = rg_json_next(&reader);
	if (token == RG_JSON_OBJECT_BEGIN)
		return change_object(change, depth, &reader, writer, err);
	if (token != RG_JSON_ARRAY_BEGIN)
		return bad_path(change, RG_ENOENT, "the path leads through a scalar", err);
	counting = reader;
	while (rg_json_next(&counting) != RG_JSON_ARRAY_END && !rg_json_skip(&counting))
		count++;
	return change_array(change, depth, &reader, count, writer, err);
}

static int change_leaf(struct rg_data_tree *tree, uint32_t node, const struct change *change,
		       uint32_t depth, struct rg_error *err)
{
	struct rg_json_writer writer;
	int rc;

	rg_json_writer_init(&writer, false);
	rc = change_text(change, depth, tree->nodes[node].text, tree->nodes[node].text_bytes,
			 &writer, err);
	if (!rc && (writer.failed || !keep_text(tree, writer.text)))
		rc = out_of_memory(change->path, err);
	if (rc) {
		rg_json_writer_free(&writer);
		return rc;
	}
	tree->nodes[node].text = writer.text;
	tree->nodes[node].text_bytes = writer.bytes;
	return RG_OK;
}

static uint32_t child_of(const struct rg_data_tree *tree, uint32_t parent,
			 const struct segment *segment)
{
	uint32_t child = *find_slot(tree, parent, segment->text, segment->bytes);

	return child && !tree->nodes[child].replaced ? child : NONE;
}

/* A fresh node of that key under parent; NONE: out of memory. */
static uint32_t add_child(struct rg_data_tree *tree, uint32_t parent, const struct segment *segment,
			  const struct change *change)
{
	char *key = malloc(segment->bytes + 1);
	uint32_t child;

	if (!key || !keep_text(tree, key)) {
		free(key);
		return NONE;
	}
	memcpy(key, segment->text, segment->bytes);
	child = new_node(tree);
	if (!child)
		return NONE;
	tree->nodes[child].key = key;
	tree->nodes[child].key_bytes = segment->bytes;
	tree->nodes[child].file = "patch.json";
	return adopt(tree, parent, child) ? child : NONE;
}

static int set_value(struct rg_data_tree *tree, uint32_t node, const struct change *change,
		     struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	int rc = RG_OK;

	rg_json_reader_init(&reader, change->value, change->value_bytes);
	token = rg_json_next(&reader);
	if (token == RG_JSON_OBJECT_BEGIN) {
		rc = read_object(tree, node, &reader, "patch.json", err);
	} else if (token == RG_JSON_ERROR || rg_json_skip(&reader)) {
		rc = bad_path(change, RG_EINVAL, "has no value", err);
	} else {
		tree->nodes[node].text = change->value;
		tree->nodes[node].text_bytes = change->value_bytes;
	}
	return rc;
}

static int apply(struct rg_data_tree *tree, const struct change *change, struct rg_error *err)
{
	const struct segment *last = &change->segments[change->count - 1];
	uint32_t node = ROOT, child;

	for (uint32_t i = 0; i + 1 < change->count; i++) {
		child = child_of(tree, node, &change->segments[i]);
		if (!child && change->op != RG_DATA_UPSERT)
			return bad_path(change, RG_ENOENT, "there is no data at this path", err);
		if (!child)
			child = add_child(tree, node, &change->segments[i], change);
		if (!child)
			return out_of_memory(change->path, err);
		if (tree->nodes[child].text)
			return change_leaf(tree, child, change, i + 1, err);
		node = child;
	}
	child = child_of(tree, node, last);
	if (!child && change->op != RG_DATA_UPSERT)
		return bad_path(change, RG_ENOENT, "there is no data at this path", err);
	if (change->op == RG_DATA_REMOVE) {
		tree->nodes[child].replaced = true;
		return RG_OK;
	}
	child = add_child(tree, node, last, change);
	return child ? set_value(tree, child, change, err) : out_of_memory(change->path, err);
}

int rg_data_tree_patch(struct rg_data_tree *tree, enum rg_data_op op, const char *path,
		       const char *value, size_t value_bytes, struct rg_error *err)
{
	struct change *change = calloc(1, sizeof(*change));
	int rc;

	if (!change)
		return out_of_memory(path, err);
	change->op = op;
	change->path = path;
	change->value = value;
	change->value_bytes = value_bytes;
	rc = split_path(change, err);
	if (!rc && op != RG_DATA_REMOVE && !value_bytes)
		rc = bad_path(change, RG_EINVAL, "has no value", err);
	if (!rc)
		rc = apply(tree, change, err);
	free(change);
	return rc;
}

static void write_node(const struct rg_data_tree *tree, uint32_t node,
		       struct rg_json_writer *writer)
{
	const struct node *at = &tree->nodes[node];

	if (at->text) {
		rg_json_write_raw(writer, at->text, at->text_bytes);
		return;
	}
	rg_json_write_object_begin(writer);
	for (uint32_t child = at->first; child; child = tree->nodes[child].next) {
		if (tree->nodes[child].replaced)
			continue;
		rg_json_write_key_n(writer, tree->nodes[child].key, tree->nodes[child].key_bytes);
		write_node(tree, child, writer);
	}
	rg_json_write_object_end(writer);
}

void rg_data_tree_write(const struct rg_data_tree *tree, struct rg_json_writer *writer)
{
	write_node(tree, ROOT, writer);
}

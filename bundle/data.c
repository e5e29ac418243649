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
	char **decoded; /* keys that had escapes */
	uint32_t decoded_count, decoded_capacity;
};

#define NONE 0u
#define ROOT 1u

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

/* The reader's last key, decoded; memory is the tree's or the document's. */
static const char *take_key(struct rg_data_tree *tree, const struct rg_json_reader *reader,
			    size_t *bytes)
{
	char *text;

	if (!reader->escaped) {
		*bytes = reader->text_bytes;
		return reader->text;
	}
	if (tree->decoded_count == tree->decoded_capacity) {
		uint32_t capacity = tree->decoded_capacity ? tree->decoded_capacity * 2 : 16;
		char **grown = reallocarray(tree->decoded, capacity, sizeof(*grown));

		if (!grown)
			return NULL;
		tree->decoded = grown;
		tree->decoded_capacity = capacity;
	}
	text = malloc(reader->text_bytes * 3 + 1);
	if (!text)
		return NULL;
	*bytes = rg_json_decode(reader, text);
	tree->decoded[tree->decoded_count++] = text;
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

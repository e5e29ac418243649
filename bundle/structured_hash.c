/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/structured_hash.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The document is read into nodes once; each object's members are sorted when it is written. Node 0
 * is the root; 0 as a link is "none". */
struct node {
	char *key; /* decoded; NULL: an element of an array, or the root */
	size_t key_bytes;
	const char *text; /* a number, true, false or null as written; NULL: see `string` */
	char *string;	  /* decoded */
	size_t bytes;	  /* of text or string */
	uint32_t first, last, next, count;
	enum { SCALAR, ARRAY, OBJECT } kind;
};

struct tree {
	struct node *nodes;
	uint32_t count, capacity;
};

bool rg_structured_hash_applies(const char *name)
{
	static const char *const names[] = {"data.json", "data.yaml", "signatures.json",
					    ".manifest"};
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(base, names[i]))
			return true;
	}
	return false;
}

/* ---- reading ---- */

/* Index of a fresh node, UINT32_MAX: out of memory. */
static uint32_t new_node(struct tree *tree)
{
	if (tree->count == tree->capacity) {
		uint32_t capacity = tree->capacity ? tree->capacity * 2 : 64;
		struct node *grown = capacity > tree->capacity
					     ? reallocarray(tree->nodes, capacity, sizeof(*grown))
					     : NULL;

		if (!grown)
			return UINT32_MAX;
		tree->nodes = grown;
		tree->capacity = capacity;
	}
	memset(&tree->nodes[tree->count], 0, sizeof(tree->nodes[0]));
	return tree->count++;
}

static char *decode(const struct rg_json_reader *reader, size_t *bytes)
{
	char *text = malloc(reader->text_bytes * 3 + 1);

	if (text)
		*bytes = rg_json_decode(reader, text);
	return text;
}

/* Read the value whose first token is `token` into node. False: out of memory (or the reader has
 * an error). */
static bool read_value(struct tree *tree, uint32_t node, struct rg_json_reader *reader,
		       enum rg_json_token token)
{
	struct node *at = &tree->nodes[node];
	bool object = token == RG_JSON_OBJECT_BEGIN;

	if (token == RG_JSON_STRING) {
		at->string = decode(reader, &at->bytes);
		return at->string != NULL;
	}
	if (!object && token != RG_JSON_ARRAY_BEGIN) {
		at->text = reader->token_at;
		at->bytes = (size_t)(reader->at - reader->token_at);
		return token != RG_JSON_ERROR;
	}
	at->kind = object ? OBJECT : ARRAY;
	for (;;) {
		uint32_t child;

		token = rg_json_next(reader);
		if (token == RG_JSON_OBJECT_END || token == RG_JSON_ARRAY_END)
			return true;
		child = token == RG_JSON_ERROR ? UINT32_MAX : new_node(tree);
		if (child == UINT32_MAX)
			return false;
		at = &tree->nodes[node];
		if (at->last)
			tree->nodes[at->last].next = child;
		else
			at->first = child;
		at->last = child;
		at->count++;
		if (object) {
			tree->nodes[child].key = decode(reader, &tree->nodes[child].key_bytes);
			if (!tree->nodes[child].key)
				return false;
			token = rg_json_next(reader);
		}
		if (!read_value(tree, child, reader, token))
			return false;
	}
}

static void free_tree(struct tree *tree)
{
	for (uint32_t i = 0; i < tree->count; i++) {
		free(tree->nodes[i].key);
		free(tree->nodes[i].string);
	}
	free(tree->nodes);
}

/* ---- writing ---- */

static void put(struct rg_json_writer *writer, const char *text, size_t bytes)
{
	writer->comma = false; /* the writer's own commas are not wanted: this is its text alone */
	rg_json_write_raw(writer, text, bytes);
}

/* As Go's encoding/json with SetEscapeHTML(false). */
static void put_string(struct rg_json_writer *writer, const char *text, size_t bytes)
{
	static const char hex[] = "0123456789abcdef", plain[] = "\"\\\b\f\n\r\t",
			  letters[] = "\"\\bfnrt";

	put(writer, "\"", 1);
	for (size_t i = 0, from = 0; i <= bytes; i++) {
		unsigned char c = i < bytes ? (unsigned char)text[i] : 0;
		const char *found = i < bytes && c ? strchr(plain, c) : NULL;
		char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		size_t escape_bytes = 6, taken = 1;

		if (found) {
			escape[1] = letters[found - plain];
			escape_bytes = 2;
		} else if (i + 2 < bytes && !memcmp(text + i, "\xe2\x80\xa8", 3)) {
			memcpy(escape, "\\u2028", 6);
			taken = 3;
		} else if (i + 2 < bytes && !memcmp(text + i, "\xe2\x80\xa9", 3)) {
			memcpy(escape, "\\u2029", 6);
			taken = 3;
		} else if (i < bytes && c >= 0x20) {
			continue;
		}
		put(writer, text + from, i - from);
		if (i < bytes)
			put(writer, escape, escape_bytes);
		i += taken - 1;
		from = i + 1;
	}
	put(writer, "\"", 1);
}

struct member {
	const struct node *node;
	uint32_t order;
};

static int by_key(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	size_t n =
		x->node->key_bytes < y->node->key_bytes ? x->node->key_bytes : y->node->key_bytes;
	int is = memcmp(x->node->key, y->node->key, n);

	if (is)
		return is;
	if (x->node->key_bytes != y->node->key_bytes)
		return x->node->key_bytes < y->node->key_bytes ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static bool same_key(const struct member *a, const struct member *b)
{
	return a->node->key_bytes == b->node->key_bytes &&
	       !memcmp(a->node->key, b->node->key, a->node->key_bytes);
}

static bool write_node(const struct tree *tree, const struct node *node,
		       struct rg_json_writer *writer);

static bool write_object(const struct tree *tree, const struct node *node,
			 struct rg_json_writer *writer)
{
	struct member *members = calloc((size_t)node->count + 1, sizeof(*members));
	bool ok = members != NULL, any = false;
	uint32_t count = 0;

	for (uint32_t child = ok ? node->first : 0; child; child = tree->nodes[child].next) {
		members[count] = (struct member){&tree->nodes[child], count};
		count++;
	}
	if (ok)
		qsort(members, count, sizeof(*members), by_key);
	put(writer, "{", 1);
	for (uint32_t i = 0; ok && i < count; i++) {
		if (i + 1 < count && same_key(&members[i], &members[i + 1]))
			continue;
		if (any)
			put(writer, ",", 1);
		any = true;
		put_string(writer, members[i].node->key, members[i].node->key_bytes);
		put(writer, ":", 1);
		ok = write_node(tree, members[i].node, writer);
	}
	put(writer, "}", 1);
	free(members);
	return ok;
}

static bool write_node(const struct tree *tree, const struct node *node,
		       struct rg_json_writer *writer)
{
	bool ok = true;

	if (node->kind == OBJECT)
		return write_object(tree, node, writer);
	if (node->kind == SCALAR) {
		if (node->text)
			put(writer, node->text, node->bytes);
		else
			put_string(writer, node->string, node->bytes);
		return true;
	}
	put(writer, "[", 1);
	for (uint32_t child = node->first; ok && child; child = tree->nodes[child].next) {
		if (child != node->first)
			put(writer, ",", 1);
		ok = write_node(tree, &tree->nodes[child], writer);
	}
	put(writer, "]", 1);
	return ok;
}

int rg_structured_hash_text(const char *json, size_t bytes, struct rg_json_writer *writer,
			    struct rg_error *err)
{
	struct rg_json_reader reader;
	struct tree tree = {0};
	bool ok;

	rg_json_reader_init(&reader, json, bytes);
	ok = new_node(&tree) == 0 && read_value(&tree, 0, &reader, rg_json_next(&reader)) &&
	     rg_json_next(&reader) == RG_JSON_END && write_node(&tree, &tree.nodes[0], writer) &&
	     !writer->failed;
	free_tree(&tree);
	if (reader.error.status)
		return rg_error_set(err, RG_EINVAL, "%s", reader.error.text);
	return ok ? RG_OK : rg_error_set(err, RG_ENOMEM, "out of memory");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging a bundle's data documents into one.
 *
 * Each document is put at its folder (`a/b/data.json` is data.a.b). Objects that meet merge member
 * by member; anything else that meets is a conflict. Only objects become nodes; scalars and arrays
 * stay the text they were, so no digit of a number is touched. A key twice in one document: the
 * last wins, as in OPA.
 *
 * Source: OPA's bundle documentation ("data files").
 * Thread-safety: a tree belongs to one thread.
 */
#ifndef RG_BUNDLE_DATA_H
#define RG_BUNDLE_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

struct rg_data_tree;

struct rg_data_tree *rg_data_tree_new(void); /* NULL: out of memory */
void rg_data_tree_free(struct rg_data_tree *tree);

/* Merge one JSON document, mounted at the folder part of its file's name. The text and the name
 * must outlive the tree. RG_EINVAL: malformed JSON (line and column), or not an object at the root;
 * RG_ECONFLICT: names both files and the path. */
int rg_data_tree_merge(struct rg_data_tree *tree, const char *file, const char *json, size_t bytes,
		       struct rg_error *err);

/* Is everything in the tree below one of the roots ("a/b"; "" is everything)? RG_ECONFLICT names
 * the first path that is not. */
int rg_data_tree_check_roots(const struct rg_data_tree *tree, char *const *roots,
			     uint32_t root_count, struct rg_error *err);

/* One change, as of a delta bundle. */
enum rg_data_op {
	RG_DATA_UPSERT, /* set it; missing objects on the way are made; in an array: insert before an
			   index, "-" appends */
	RG_DATA_REMOVE, /* it must be there */
	RG_DATA_REPLACE /* it must be there */
};

/* Apply a change at a path such as "/a/b/0", whose parts may hold %XX. value: JSON text that
 * outlives the tree (ignored by REMOVE). After an error the tree is of no use any more.
 * RG_EINVAL: the path or value is malformed; RG_ENOENT: nothing is there; RG_ENOMEM. */
int rg_data_tree_patch(struct rg_data_tree *tree, enum rg_data_op op, const char *path,
		       const char *value, size_t value_bytes, struct rg_error *err);

/* Write the merged document. */
void rg_data_tree_write(const struct rg_data_tree *tree, struct rg_json_writer *writer);

#endif

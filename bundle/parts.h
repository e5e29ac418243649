/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps of loading a bundle that a set of bundles (bundle_set.c) needs one by one.
 *
 * Thread-safety: functions are independent.
 */
#ifndef RG_BUNDLE_PARTS_H
#define RG_BUNDLE_PARTS_H

#include "bundle/bundle.h"
#include "bundle/data.h"
#include "bundle/members.h"

/* The files at path: a folder's, an archive's, or a single file under the name it means. */
int rg_bundle_read_members(struct rg_member_list *list, const char *path, struct rg_error *err);
/* Verify the signature if `signing` is given, name, hash and read the manifest of a sorted list
 * into a bundle without plan and data. */
int rg_bundle_begin(const char *name, struct rg_member_list *list,
		    const struct rg_signature_policy *signing, struct rg_bundle **bundle,
		    struct rg_error *err);
/* Put the data documents of a list into the tree; YAML members become JSON in place. The members
 * must outlive the tree. */
int rg_bundle_merge_data(struct rg_member_list *list, struct rg_data_tree *tree,
			 struct rg_error *err);
/* A bundle from sorted members, building Rego where there is no plan. */
int rg_bundle_from_members(const char *name, struct rg_member_list *list,
			   const struct rg_bundle_options *options, struct rg_bundle **bundle,
			   struct rg_error *err);
/* Do two roots ("a/b") overlap, part by part? */
bool rg_bundle_roots_overlap(const char *a, const char *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delta bundles: patch.json, applied to the data of a snapshot.
 *
 *	{"data": [{"op": "upsert", "path": "/payments/blocked/42", "value": true}, ...]}
 *
 * Source: OPA's bundle documentation ("delta bundles"). Thread-safety: pure.
 */
#ifndef RG_BUNDLE_DELTA_H
#define RG_BUNDLE_DELTA_H

#include "bundle/data.h"
#include "bundle/members.h"

/* Is it a delta: a patch.json with changes? RG_EINVAL: it cannot be read. */
int rg_delta_is(const struct rg_member_list *list, bool *is, struct rg_error *err);

/* Apply the changes of `delta` to the tree, which is of no use after an error. A path must lie in
 * one of the roots. RG_EINVAL, RG_ENOENT, RG_ECONFLICT: the change's number and path. The list must
 * outlive the tree. */
int rg_delta_apply(const struct rg_member_list *delta, char *const *roots, uint32_t root_count,
		   struct rg_data_tree *tree, struct rg_error *err);

#endif

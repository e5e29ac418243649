/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the opa program: Rego sources in, a plan bundle out.
 *
 * The sources are written to a private folder (0700, removed afterwards), so that opa builds
 * exactly the bytes that were checked and hashed. Which rules a package defines is learnt from a
 * first build with the package itself as entrypoint (its functions carry their paths); the second
 * build plans the verdict rules that are there.
 *
 * Thread-safety: runs are independent; waits for the child, at most the timeout a run.
 */
#ifndef RG_BUNDLE_OPA_H
#define RG_BUNDLE_OPA_H

#include "bundle/members.h"

/* Build `sources` (sorted) into `built`, an empty list that takes the members of opa's output.
 * label is for errors. */
int rg_opa_build(const struct rg_member_list *sources, const char *label,
		 const struct rg_bundle_options *options, struct rg_member_list *built,
		 struct rg_error *err);

/* The package that a Rego module declares, as a slash path ("a/b"), found lexically: the first
 * statement. Returns false if there is none that is written in names and strings alone, or it does
 * not fit. */
bool rg_opa_package_of(const char *rego, char *path, size_t path_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two bundles, as people read policies: rules by their path, Rego files line
 * by line, data documents by JSON pointer.
 *
 *	{"identical":false,
 *	 "rules":{"added":["data.payments.night"],"removed":[],"changed":["data.payments.deny"],
 *		  "added_count":1,"removed_count":0,"changed_count":1},
 *	 "sources":[{"file":"payments.rego","change":"changed","added_lines":6,"removed_lines":0,
 *		     "diff":"@@ -113,4 ..."}],
 *	 "data":{"added":1,"removed":0,"changed":2,"left_out":0,
 *		 "values":[{"pointer":"/limits/night","change":"changed","old":300,"new":200}]}}
 *
 * Rules are compared in the plan, which is what runs: a rule has changed when its statements have,
 * wherever they stand in the file and however the planner numbered its locals. Values are compared
 * as Rego compares them: 1 and 1.0 are equal.
 *
 * The output is bounded: names of RG_DIFF_RULES_MAX rules of each kind, RG_DIFF_VALUES_MAX values,
 * RG_DIFF_TEXT_BYTES_MAX bytes of source diffs; the counts are always those of all.
 *
 * Thread-safety: pure.
 */
#ifndef RG_BUNDLE_DIFF_H
#define RG_BUNDLE_DIFF_H

#include "base/json.h"
#include "bundle/bundle.h"

#define RG_DIFF_RULES_MAX	500
#define RG_DIFF_VALUES_MAX	500
#define RG_DIFF_VALUE_BYTES_MAX 256 /* of one value; a longer one is told by its size */
#define RG_DIFF_TEXT_BYTES_MAX	(256u << 10)

/* Write the difference as one JSON object. Errors: RG_EINVAL (a plan or data that cannot be read,
 * naming which), RG_ELIMIT, RG_ENOMEM; the writer's text is then of no use. */
int rg_bundle_diff(const struct rg_bundle *from, const struct rg_bundle *to,
		   struct rg_json_writer *writer, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading base documents by path. OPA's store knows paths of strings only, so that data.limits[7]
 * finds the key "7"; a variable that holds data.limits does not. Source: OPA v1/storage/path.go,
 * NewPathForRef.
 */
#ifndef RG_POLICY_EVAL_DATA_PATH_H
#define RG_POLICY_EVAL_DATA_PATH_H

#include "policy/eval/value.h"

/* The member of object v whose key is the text of the integer `key`; undefined if v is no object, key is none, or
 * nothing is there. */
struct rg_value rg_dot_number_text(struct rg_heap *heap, struct rg_value v, struct rg_value key);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies and data of a running OPA, as a bundle's files.
 *
 * OPA answers GET /v1/policies with the text and syntax tree of each module, and GET /v1/data with
 * all of `data`: the documents it was given and the values of its rules, without a difference. The
 * syntax trees tell which are rules; their values are left out, so that what remains is what OPA
 * was given.
 *
 * What is read is a file with both answers: {"policies": <answer>, "data": <answer>}.
 *
 * Source: OPA's REST API. Thread-safety: pure.
 */
#ifndef RG_BUNDLE_OPA_ANSWER_H
#define RG_BUNDLE_OPA_ANSWER_H

#include "bundle/members.h"

/* Add policy-<n>.rego for each module, in order of their ids, and data.json. RG_EINVAL: the file is
 * not such an answer. */
int rg_opa_answer_read(struct rg_member_list *list, const char *path, struct rg_error *err);

#endif

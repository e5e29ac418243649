/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading Rego term text: JSON, and what it lacks: sets {1, 2} and set(), objects with any keys,
 * raw strings in backquotes. For tests and tools that take input beyond JSON.
 *
 * Thread-safety: as the heap.
 */
#ifndef RG_POLICY_EVAL_VALUE_TERM_H
#define RG_POLICY_EVAL_VALUE_TERM_H

#include "policy/eval/value.h"

/* Read one term into SCRATCH, and advance *at behind it and the white space that follows. Returns RG_OK,
 * RG_EINVAL (names the byte offset from `begin`) or RG_ENOMEM. Nested at most RG_JSON_DEPTH_MAX levels. */
int rg_term_read(struct rg_heap *heap, const char *begin, const char **at, const char *end,
		 struct rg_value *out, struct rg_error *err);
/* Read a text that is one term. */
int rg_term_parse(struct rg_heap *heap, const char *text, size_t bytes, struct rg_value *out,
		  struct rg_error *err);

#endif

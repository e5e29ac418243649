/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy says of decision logs: data.system.log.mask and data.system.log.drop, evaluated on
 * each event as `input`, by the policy in use, with the evaluator of all decisions.
 *
 *	event ──► drop is true ──────────────► nothing is sent
 *	      ──► mask, a set of rules ──────► the event without what they remove, with what they put in
 *	      ──► neither is defined ────────► the event as it is
 *	      ──► the mask cannot be told ───► the event without input and result
 *
 * A rule is a path, "/input/card/number", or {"op": "remove" | "upsert", "path": ..., "value": ...}. A
 * path begins with /input, /result or /nd_builtin_cache; a part of it is an object's key or a place in
 * an array. Rules are applied in Rego's order. What was removed is listed in the event's `erased`, what
 * was put in in `masked`; a path that names nothing does nothing. upsert makes the objects that are
 * missing on its way.
 *
 * Where it cannot be told what to mask (the evaluation fails, the decision is no set of rules, a rule
 * is none), nothing that could have been masked leaves: input and result are removed, the event is
 * sent, and it is counted. OPA throws such an event away. A drop that cannot be told is none. While the
 * image cannot be read at all, nothing is sent: rg_decision_mask_apply() fails, and its caller tries
 * again.
 *
 * Source: OPA's documentation, "Decision Logs", masking and dropping; v1/plugins/logs/mask.go. Two
 * differences: a key is also found percent-decoded, so that one with '/' can be named, and an element
 * of an array that is itself the whole input can be removed; OPA finds neither.
 *
 * Thread-safety: apply() belongs to one thread; want() and failures() any.
 */
#ifndef RG_CONTROL_DECISION_MASK_H
#define RG_CONTROL_DECISION_MASK_H

#include "base/json.h"
#include "policy/eval/value.h"

struct rg_decision_mask;

enum rg_decision_mask_outcome {
	RG_DECISION_MASK_NONE,	 /* the event is as it was */
	RG_DECISION_MASK_MASKED, /* rules, or a failure, changed it */
	RG_DECISION_MASK_DROP	 /* it is not to be sent */
};

/* mask and drop: paths of the decisions, "/system/log/mask". region_directory must outlive it. Errors:
 * RG_EINVAL (a path), RG_ENOMEM. */
int rg_decision_mask_new(const char *region_directory, uint64_t scratch_bytes, const char *mask,
			 const char *drop, struct rg_decision_mask **out, struct rg_error *err);
void rg_decision_mask_delete(struct rg_decision_mask *mask); /* NULL is allowed */

/* Evaluate with this policy from now on; 0: there is none, events stay as they are. */
void rg_decision_mask_want(struct rg_decision_mask *mask, uint64_t sequence);

/* Append the event, as it may be sent, to `out`; nothing when it is dropped. RG_ENOMEM, or why the
 * policy's image cannot be used: nothing was appended. */
int rg_decision_mask_apply(struct rg_decision_mask *mask, const char *event, size_t bytes,
			   struct rg_json_writer *out, enum rg_decision_mask_outcome *outcome,
			   struct rg_error *err);

/* Events whose mask or drop could not be told. */
uint64_t rg_decision_mask_failures(const struct rg_decision_mask *mask);

/* The rules alone, on an event in the heap; the event stays, *masked shares what is unchanged.
 * RG_EINVAL: what is wrong with the rules; RG_ENOMEM: the heap is used up. */
int rg_decision_mask_event(struct rg_heap *heap, struct rg_value event, struct rg_value rules,
			   struct rg_value *masked, struct rg_error *err);

#endif

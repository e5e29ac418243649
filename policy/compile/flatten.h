/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting a plan where OPA's planner writes a straight line as nested blocks. A path into data
 * that no rule can produce, data.limits.max, becomes
 *
 *	Block { Block { Dot; Dot; Break 1 }; Break 1 }
 *
 * The inner block either runs to its break and goes on behind the outer one, or fails and takes the
 * enclosing block with it: just what the statements would do if they stood alone. So they are made
 * to.
 *
 * Thread-safety: as the plan, which is changed in place.
 */
#ifndef RG_POLICY_COMPILE_FLATTEN_H
#define RG_POLICY_COMPILE_FLATTEN_H

#include "policy/plan/plan.h"

/* RG_OK or RG_ENOMEM. */
int rg_flatten(struct rg_plan *plan, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second step of reading a plan: resolve call names, check every index against its table, every
 * break against its nesting, and compute frame sizes. Called by rg_plan_load() alone.
 */
#ifndef RG_POLICY_PLAN_CHECK_H
#define RG_POLICY_PLAN_CHECK_H

#include "policy/plan/plan.h"

/* Levels of nested blocks in one function. OPA's own plans stay below 20; recursion over blocks
 * relies on the bound. */
#define RG_PLAN_NESTING_MAX 256

int rg_plan_check(struct rg_plan *plan, struct rg_error *err);

#endif

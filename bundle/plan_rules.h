/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a plan with a digest of what each does, to tell whether a rule differs between
 * plans.
 *
 * The digest covers a function's statements with every index replaced by what it names: strings by
 * their text, functions by their names, locals by the order in which they first occur. Places in
 * the Rego file are left out. So it is the same in two plans exactly if the rule was planned to the
 * same statements.
 *
 * Thread-safety: pure.
 */
#ifndef RG_BUNDLE_PLAN_RULES_H
#define RG_BUNDLE_PLAN_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rg_plan_rule {
	char *path; /* "data.payments.deny" */
	unsigned char digest[32];
};

struct rg_plan_rules {
	struct rg_plan_rule *rules; /* in order of path, then digest */
	uint32_t count;
};

/* Read the rules of a plan.json. Errors as rg_plan_load(). Free with rg_plan_rules_free(). */
int rg_plan_rules_read(const char *plan_json, size_t bytes, struct rg_plan_rules *rules,
		       struct rg_error *err);
void rg_plan_rules_free(struct rg_plan_rules *rules);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is legal in a policy and hardly meant: fields that the request schema lacks, names that an
 * enum lacks, lines that can never be true, reasons that cannot have an id, verdict rules of
 * packages that no template is bound to.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_POLICY_WARNINGS_H
#define RG_TOOLS_RISKCTL_POLICY_WARNINGS_H

#include "base/field.h"
#include "tools/riskctl/offline.h"
#include "tools/riskctl/plan_view.h"

struct rg_policy_warning {
	uint32_t file, row; /* file RG_PLAN_NO_FILE: of no line */
	char *text;
};

struct rg_policy_warnings {
	struct rg_policy_warning *items; /* in order of file and row */
	uint32_t count, capacity;
	bool no_memory;
};
void rg_policy_warnings_free(struct rg_policy_warnings *warnings);

/* Look for them. `marked` is the policy compiled with its bindings and marks, and bound. RG_OK
 * or RG_ENOMEM. */
int rg_policy_warnings_find(struct rg_policy_warnings *warnings, const struct rg_plan_view *view,
			    const struct rg_offline *marked, const struct rg_field_table *fields,
			    struct rg_error *err);

#endif

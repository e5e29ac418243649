/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as its author knows it: the plan's statements with their Rego places, the source lines,
 * and names for what the plan only numbers. What traces, coverage, checks and explanations are
 * written with.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_PLAN_VIEW_H
#define RG_TOOLS_RISKCTL_PLAN_VIEW_H

#include "bundle/bundle.h"
#include "policy/eval/value.h"
#include "policy/plan/plan.h"

#define RG_PLAN_VIEW_NONE   UINT32_MAX
#define RG_BRIEF_BYTES	    100 /* room for a value in a few words */
#define RG_RULE_NAME_BYTES  200
#define RG_LOCAL_NAME_BYTES 120

struct rg_statement_view {
	const struct rg_plan_statement *statement;
	uint32_t parent;   /* id of the statement whose block it stands in, or RG_PLAN_VIEW_NONE */
	uint32_t function; /* of the plan, or RG_PLAN_VIEW_NONE: in an entry */
};

/* Where the lines of a source begin. */
struct rg_source_lines {
	const char **starts; /* line n: starts[n - 1] */
	uint32_t count;
};

struct rg_plan_view {
	const struct rg_bundle *bundle;
	struct rg_plan *plan;
	struct rg_statement_view *statements; /* by id */
	uint32_t *head_rows; /* of each function: row of its first rule's head; 0 when unknown */
	uint32_t *head_files;
	char **names;		       /* by id: rg_plan_view_target() */
	struct rg_source_lines *lines; /* of each file of the plan; none: it has no source here */
};

/* Read the bundle's plan. Errors as rg_plan_load()'s. The bundle must outlive the view. */
int rg_plan_view_init(struct rg_plan_view *view, const struct rg_bundle *bundle,
		      struct rg_error *err);
void rg_plan_view_free(struct rg_plan_view *view);

/* A file's name as in the plan; "?" for RG_PLAN_NO_FILE. */
const char *rg_plan_view_file(const struct rg_plan_view *view, uint32_t file);
/* A source line without what it is indented by and without its end; *bytes is 0 when the bundle
 * has no such source. */
const char *rg_plan_view_line(const struct rg_plan_view *view, uint32_t file, uint32_t row,
			      size_t *bytes);
/* "data.payments.deny", into out[RG_RULE_NAME_BYTES]; returns out. */
const char *rg_plan_view_rule(const struct rg_plan_view *view, uint32_t function, char *out);

/* A value in a few words, as JSON cut short, into out[RG_BRIEF_BYTES]; returns out. */
const char *rg_value_brief(struct rg_heap *heap, struct rg_value value, char *out);

/* What statement `id` assigns, as a reader would write it: "input.amount", "data.limits.max",
 * "count(input.items)"; for a loop the item. "?" when the plan tells nothing. */
const char *rg_plan_view_target(const struct rg_plan_view *view, uint32_t id);
/* A parameter of a function: "input", "data", "argument 1"; "?" for other locals. Into
 * out[RG_LOCAL_NAME_BYTES]; returns out. */
const char *rg_plan_view_parameter(const struct rg_plan_view *view, uint32_t function,
				   uint32_t local, char *out);

#endif

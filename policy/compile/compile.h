/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plan to an image: the compiler's public face. Used by riskgate-control and riskctl;
 * allocates with malloc (control gives each compile its own jemalloc arena).
 *
 * Thread-safety: independent compiles may run in parallel.
 */
#ifndef RG_POLICY_COMPILE_COMPILE_H
#define RG_POLICY_COMPILE_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/field.h"

/* "Requests of this template are decided by this Rego package" (package without "data.":
 * "payments", "a.b"). */
struct rg_binding {
	const char *template_name;
	const char *package;
};

/* Reason names with stable ids 1..count; id 0 is "none", RG_REASON_OTHER a reason computed at run time whose text is
 * not a constant of the policy. A compile appends the new names it meets; control keeps the list for ever. */
#define RG_REASON_OTHER 65535
struct rg_reason_list {
	char **names; /* malloc'ed array of malloc'ed names; names[i] has id i + 1 */
	uint32_t count, capacity;
	uint32_t *slots; /* ids by the hash of their names, 2 x capacity of them, 0: free */
};
void rg_reason_list_free(struct rg_reason_list *list);
/* Append a copy of name. Returns its id, the existing one if it is there, or 0 when the list is
 * full or memory is out. */
uint16_t rg_reason_list_add(struct rg_reason_list *list, const char *name, size_t bytes);

enum rg_verdict {
	RG_VERDICT_NONE = 0,
	RG_VERDICT_ALLOW = 1,
	RG_VERDICT_DENY = 2,
	RG_VERDICT_REVIEW = 3
};

struct rg_compile_options {
	const char *plan_json; /* plan.json */
	size_t plan_bytes;
	const char *data_json; /* base document, an object; NULL for {} */
	size_t data_bytes;
	const char *bundle; /* name for messages and the image's label ("payments") */
	const char *revision;
	uint64_t sequence; /* policy sequence number, >= 1 */
	const struct rg_field_table
		*fields; /* NULL: a general image without templates (riskctl eval on JSON input) */
	const struct rg_binding *bindings;
	uint32_t binding_count;
	struct rg_reason_list *reasons; /* in and out; may be NULL without bindings */
	enum rg_verdict
		default_verdict; /* when no rule speaks: RG_VERDICT_REVIEW unless configured */
	enum rg_verdict
		failure_verdict; /* on an evaluation error: RG_VERDICT_DENY unless configured */
	uint64_t budget;	 /* instructions per request; 0: RG_BUDGET_DEFAULT */
	bool documents;		 /* entrypoints for the base document and every rule: documents.h */
	bool marks; /* for rg_eval_watch(): tell of each statement; nothing is inlined or computed ahead. Slow */
};
#define RG_BUDGET_DEFAULT 1000000

/* Compile. On success *image is a malloc'ed, verified image of *image_bytes. Errors: RG_EINVAL (plan or data
 * malformed, naming the place; a bound package without verdict rules), RG_ENOENT (no such
 * template), RG_EMISSING (built-ins riskgate lacks, each by name and source
 * place), RG_ELIMIT, RG_ENOMEM. */
int rg_compile(const struct rg_compile_options *options, void **image, size_t *image_bytes,
	       struct rg_error *err);

#endif

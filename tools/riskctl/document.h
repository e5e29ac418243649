/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON document to look things up in: what riskgate-control answers, printed in words. Values are
 * the policy engine's.
 *
 * Thread-safety: a document belongs to one thread.
 */
#ifndef RG_TOOLS_RISKCTL_DOCUMENT_H
#define RG_TOOLS_RISKCTL_DOCUMENT_H

#include "policy/eval/value.h"

struct rg_document {
	struct rg_heap heap;
	struct rg_value root;
};

/* Parse. Errors: RG_EINVAL with line and column, RG_ENOMEM. Free with rg_document_free() unless it
 * failed. */
int rg_document_parse(struct rg_document *document, const char *json, size_t bytes,
		      struct rg_error *err);
void rg_document_free(struct rg_document *document);

/* What lies at a dotted path below `from`; undefined if there is nothing. */
struct rg_value rg_document_get(struct rg_document *document, struct rg_value from,
				const char *path);
/* The same as text: strings as they are, everything else as JSON, "-" when absent or null. The text
 * lives as long as the document. */
const char *rg_document_text(struct rg_document *document, struct rg_value from, const char *path);
/* The same as a whole number: `fallback` when it is absent or no whole number. */
int64_t rg_document_number(struct rg_document *document, struct rg_value from, const char *path,
			   int64_t fallback);
/* Elements of an array at path; 0 when there is none. */
uint32_t rg_document_count(struct rg_document *document, struct rg_value from, const char *path);
struct rg_value rg_document_element(struct rg_document *document, struct rg_value from,
				    const char *path, uint32_t index);

/* Print an object's members below each other, `name  value`, indented by `indent` columns: objects
 * as a block of their own, an array's elements one after the other, long texts broken at 80
 * columns; numbers by the end of their name: _ns as a time or a duration, _bytes as a size. The
 * member called `leave_out` is not printed. */
void rg_document_print(struct rg_document *document, struct rg_value object, unsigned indent,
		       const char *leave_out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for decisions in the embedded store's file (sink_sqlite.h) with a read-only connection of
 * its own, beside the sink that writes it.
 *
 * Thread-safety: a search belongs to one thread.
 */
#ifndef RG_CONTROL_DECISION_SEARCH_H
#define RG_CONTROL_DECISION_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "wire/schema.h"

struct rg_decision_search;

#define RG_DECISION_SEARCH_NS 5000000000ull

/* Which decisions to show; a member that is 0 or NULL does not select. */
struct rg_decision_filter {
	uint32_t limit;	     /* 1..10000 */
	const char *verdict; /* "ALLOW", "DENY", "REVIEW" */
	const char *template_name;
	const char *revision;
	bool has_request_id;
	uint64_t request_id;
	uint64_t before_ns; /* received before */

	/* Called every few milliseconds while rows are looked through, so that the caller's other
	 * work goes on; NULL: nothing is. */
	void (*meanwhile)(void *context);
	void *context;
};

/* Open the file of a sink that was opened before. schema, to write requests as JSON, must outlive
 * the search. Errors: RG_EIO, RG_ENOMEM. */
int rg_decision_search_open(const char *path, const struct rg_schema *schema,
			    struct rg_decision_search **search, struct rg_error *err);
void rg_decision_search_close(struct rg_decision_search *search); /* NULL is allowed */

/* Write the newest decisions as a JSON array: newest first, each an object with node, epoch,
 * worker, sequence, request_id, receive_time_ns, receive_time (RFC 3339), latency_ns, client,
 * template, request (object by schema), policy_sequence, revision, verdict, status, score, reasons
 * (names), reasons_fired, flags. One that was asked over HTTP has no template and no verdict, and has
 * decision_id, path and, as there are, request (its input), result, error, requested_by, headers,
 * erased. Looks through rows for at most RG_DECISION_SEARCH_NS: RG_ELIMIT. */
int rg_decision_search_run(struct rg_decision_search *search,
			   const struct rg_decision_filter *filter, struct rg_json_writer *writer,
			   struct rg_error *err);

#endif

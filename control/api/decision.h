/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /v1/data and the batch of it share: inputs out of request bodies, one decision, its members
 * in an answer and its record. Private to control/api.
 */
#ifndef RG_CONTROL_API_DECISION_H
#define RG_CONTROL_API_DECISION_H

#include "base/json_span.h"
#include "control/api/question.h"
#include "control/api/record.h"

/* How a request wants its answers. */
struct rg_wishes {
	bool provenance, metrics, pretty, strict;
};
struct rg_wishes rg_wishes_read(const struct rg_target *target);

/* Make the body JSON if it is YAML. False: the answer says why not. */
bool rg_decision_read_body(struct rg_api *api, struct rg_web_request *request);
bool rg_decision_body_is_blank(const struct rg_web_request *request);

/* One decision made. */
struct rg_decided {
	struct rg_question question;
	struct rg_value value;
	uint64_t begin_ns, parsed_ns, done_ns; /* CLOCK_MONOTONIC */
	char decision_id[RG_DECISION_ID_BYTES];
};

/* Borrow an evaluator. False: the answer says why not. */
bool rg_decision_borrow(struct rg_api *api, struct rg_web_request *request, struct rg_loan *loan);
/* After rg_question_begin() and with the input in place: evaluate, and add the record. */
void rg_decision_make(struct rg_decided *decided, const struct rg_web_request *request,
		      struct rg_recording *recording);
/* Members of an answer: decision_id, provenance, result, metrics. */
void rg_decision_write(struct rg_json_writer *writer, const struct rg_web_request *request,
		       const struct rg_wishes *wishes, const struct rg_decided *decided);
void rg_decision_write_warning(struct rg_json_writer *writer, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decision as an event of OPA's decision log:
 *
 *	{"labels":{...},"decision_id":"...","bundles":{"NAME":{"revision":"..."}},"path":"pretrade",
 *	 "input":{...},"result":{"verdict":"DENY","status":"OK","score":7,"reasons":["..."]},
 *	 "requested_by":"10.0.0.1:40001","timestamp":"...","req_id":7,"erased":["/input/..."],
 *	 "metrics":{"timer_server_handler_ns":1800}}
 *
 * decision_id is a UUID of version 5 (RFC 9562) of the record's key (node, epoch, worker,
 * sequence), so an event that is sent twice is known by it. input is the request by the SBE schema,
 * without the fields that are erased; what this schema cannot read has no input. A decision that
 * failed has `error` with the status as code.
 *
 * A decision that was asked over HTTP has the decision_id that the client was told, the path it
 * asked for, and input and result as they were; req_id is its number since control started, and
 * custom.identity who asked, where the API knows it.
 *
 * Source: OPA's documentation, "Decision Logs". Thread-safety: functions are independent; what they
 * are given is only read.
 */
#ifndef RG_CONTROL_DECISION_EVENT_H
#define RG_CONTROL_DECISION_EVENT_H

#include "base/json.h"
#include "config/config.h"
#include "control/sink.h"

#define RG_UUID_TEXT_BYTES 37

/* What all events of one riskgate share. */
struct rg_decision_event_context {
	const struct rg_schema *schema;
	const struct rg_config *config; /* labels, templates, what is erased */
	char id[RG_UUID_TEXT_BYTES];	/* of this instance: label "id" */
};

void rg_decision_event_context_init(struct rg_decision_event_context *context,
				    const struct rg_config *config, const struct rg_schema *schema);

/* The id that the client was told, or the UUIDv5 of the record's key. */
void rg_decision_event_id(const struct rg_record *record, char text[RG_UUID_TEXT_BYTES]);

/* The labels object: the configuration's, and id, version, node. */
void rg_decision_event_labels(const struct rg_decision_event_context *context,
			      struct rg_json_writer *writer);

/* Write one event. bundle: of the record's policy; NULL: not known. Out of memory:
 * writer->failed. */
void rg_decision_event_write(const struct rg_decision_event_context *context,
			     const struct rg_sink_row *row, const char *bundle,
			     struct rg_json_writer *writer);

#endif

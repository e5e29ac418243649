/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink (sink.h) that sends each decision to a service that takes OPA's decision logs:
 * POST <service><resource>[/<partition_name>], a gzip JSON array of events (decision_event.h).
 *
 * The store of this sink is the service and a small SQLite file beside the journal, which holds the
 * checkpoint and the names that events need. A batch is cut into chunks of at most
 * upload_size_limit_bytes compressed. A chunk that is refused as too large (413) is halved. The
 * checkpoint moves when all chunks of the batch are accepted; what was accepted of a batch that
 * failed is remembered and not sent again, until control is restarted. So a service that is away
 * loses nothing, and an event that is sent twice (the answer got lost, or control was killed before
 * its checkpoint) has the same decision_id.
 *
 * One event alone that is refused as too large can never be delivered: it is not stored but
 * refused, which is counted (rg_sink_checkpoint) and logged by its decision_id. An event that the policy
 * drops (decision_mask.h) is counted, too; it keeps its place in the batch, so that a batch that is
 * tried again has the same places although another policy may drop others by then.
 *
 * With `console` each event is also a line on standard output, once its batch is accepted.
 */
#ifndef RG_CONTROL_SINK_DECISION_LOG_H
#define RG_CONTROL_SINK_DECISION_LOG_H

#include "control/decision_event.h"
#include "control/decision_mask.h"
#include "control/http_client.h"

extern const struct rg_sink_driver rg_sink_decision_log_driver;

struct rg_sink_decision_log_options {
	const struct rg_config *config; /* outlives the store */
	const struct rg_schema *schema; /* the same */
	const char *path;		/* of the checkpoint's file; its folder exists */
	struct rg_decision_mask *mask;	/* outlives the store; NULL: events are sent as they are */
	/* In the place of the real client, for tests; NULL: the real one. done_fd becomes readable
	 * when a request is done. */
	const struct rg_http_client *client;
	int done_fd;
};

/* Make a store for rg_sink_new(). Errors: RG_ENOMEM. */
int rg_sink_decision_log_new(const struct rg_sink_decision_log_options *options, void **store,
			     struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revisions and reason names, as a sink's store has them: what a row's policy sequence and reason
 * ids mean. Filled from the store when it is opened and by the journal's POLICY frames.
 *
 * Thread-safety: belongs to one thread.
 */
#ifndef RG_CONTROL_SINK_NAMES_H
#define RG_CONTROL_SINK_NAMES_H

#include "control/sink.h"

struct rg_sink_names {
	struct rg_sink_named_policy {
		uint64_t sequence;
		char *revision;
	} * policies;
	size_t policy_count;
	char **reasons; /* reasons[id], NULL where there is none */
	size_t reason_count;
};

/* NULL: not known. */
const char *rg_sink_names_revision(const struct rg_sink_names *names, uint64_t sequence);
const char *rg_sink_names_reason(const struct rg_sink_names *names, uint32_t id);

/* Take in one POLICY frame's JSON: {"sequence":N,"bundle":"...","revision":"...","ns":N,"reasons":
 * ["name of id 1",...]}; unknown keys are passed over. What is new goes to the driver too. Errors:
 * RG_ENOMEM, the driver's. */
int rg_sink_names_take(struct rg_sink_names *names, const char *json, size_t bytes,
		       const struct rg_sink_driver *driver, void *store, struct rg_error *err);

void rg_sink_names_forget(struct rg_sink_names *names);

#endif

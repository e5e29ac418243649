/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling a service how this riskgate is: POST <service>/status[/<partition_name>], in the form of OPA's
 * status reports (status_member.h writes them).
 *
 *	            something changed, or period_seconds are over
 *	   QUIET ──────────────────────────────────────────────────► SENDING
 *	     ▲                                                        │   │
 *	     │                      2xx                               │   │ no answer, another code
 *	     └────────────────────────────────────────────────────────┘   ▼
 *	                                     SENDING ◄─── backoff ─── WAITING
 *
 * A report is written when it is sent, so one that is tried again tells what is so by then, and what
 * changes while one is under way makes one more, not many. Nothing is kept for a service that is away:
 * what counts is the newest state. backoff: 0.1 s, doubled for each failure in a row, at most
 * period_seconds or a minute.
 *
 * The clock and the HTTP client are passed in, so a test steps the machine by hand.
 *
 * Source: OPA's documentation, "Status", and v1/plugins/status, which sends at each change and has no
 * period; like it, reports are not compressed. Thread-safety: belongs to one thread.
 */
#ifndef RG_CONTROL_STATUS_REPORT_H
#define RG_CONTROL_STATUS_REPORT_H

#include "base/json.h"
#include "control/http_client.h"

enum rg_status_report_state { RG_STATUS_QUIET = 0, RG_STATUS_SENDING, RG_STATUS_WAITING };

struct rg_status_report_options {
	const struct rg_config_status *config;
	const struct rg_config_service *service; /* NULL: to the console alone */
	const struct rg_http_client *client;	 /* outlives the machine */
	/* Write the report as it is now. Out of memory: writer->failed. */
	void (*write)(void *context, struct rg_json_writer *writer);
	void *context;
};

struct rg_status_report {
	struct rg_status_report_options options;
	char path[512]; /* "/status/partition" */
	enum rg_status_report_state state;
	bool told_any;
	uint64_t told; /* what `change` was when the last report was written */
	uint64_t ticket, due_ns;
	uint32_t failures_in_a_row;
	uint64_t sent, failures;    /* since start */
	struct rg_error last_error; /* status RG_OK: the last report arrived */
};

void rg_status_report_init(struct rg_status_report *report,
			   const struct rg_status_report_options *options);
/* Breaks off what is under way. A zeroed machine is allowed. */
void rg_status_report_free(struct rg_status_report *report);

/* A turn; never waits. change: another number than before when there is something to tell. Returns the
 * work done. */
uint32_t rg_status_report_step(struct rg_status_report *report, uint64_t change, uint64_t now_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this riskgate tells in its status reports, and when: joins the machine (status_report.h) to
 * control. A report has OPA's form:
 *
 *	{"labels":{"id":...,"version":...,...},
 *	 "bundles":{NAME:{"name":...,"active_revision":...,"last_request":...,"code":...,...}},
 *	 "decision_logs":{"code":...,"message":...},
 *	 "plugins":{"bundle":{"state":"OK"},"decision_logs":{"state":"OK"},"status":{"state":"OK"}}}
 *
 * It is sent when an attempt for a bundle has ended, well or not, when the log service goes away or
 * comes back, and once a period. Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_STATUS_MEMBER_H
#define RG_CONTROL_STATUS_MEMBER_H

#include "control/decision_event.h"
#include "control/status_report.h"

struct rg_control;

struct rg_status_member {
	bool enabled;
	struct rg_status_report report;
	struct rg_decision_event_context context; /* for the labels */
	uint64_t sent_counted, failures_counted;  /* what the region's counters hold already */
};

/* After the sinks and the policy sources are open. */
void rg_status_member_open(struct rg_control *control);
void rg_status_member_close(struct rg_control *control);
/* Returns the work done. */
uint32_t rg_status_member_do_work(struct rg_control *control);
/* Add what happened since the last call to the region's counters. */
void rg_status_member_count(struct rg_control *control);
/* A report with these labels, as GET /v1/status answers it too. */
void rg_status_member_report(const struct rg_control *control,
			     const struct rg_decision_event_context *labels,
			     struct rg_json_writer *writer);
/* The member "status_reports" of an answer's object; nothing when it is not configured. */
void rg_status_member_write(const struct rg_control *control, struct rg_json_writer *writer);

#endif

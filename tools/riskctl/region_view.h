/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the region from outside: what riskctl region and riskctl top both read. Both files are
 * mapped read-only, so it can be done to a running appliance, and to what a dead one left.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_REGION_VIEW_H
#define RG_TOOLS_RISKCTL_REGION_VIEW_H

#include "shm/region.h"
#include "tools/riskctl/cli.h"

/* One look. */
struct rg_region_view {
	const struct rg_region *region;
	const struct rg_region_dataplane *dataplane;
	const struct rg_region_control *control;
	uint64_t now_ns; /* unix */
};
/* Look at an open region now. */
void rg_region_view_look(struct rg_region_view *view, const struct rg_region *region);

/* The region's folder: `given`, or the configuration's when it is NULL. Errors: those of the
 * configuration and of rg_region_directory(). */
int rg_region_view_directory(struct rg_cli *cli, const char *given, char *directory, size_t bytes);

/* A counter or gauge over everybody who counts it: workers are summed. */
uint64_t rg_region_view_value(const struct rg_region_view *view, const struct rg_metric *metric);
/* A histogram, merged over workers. There is one snapshot (31 KB) for all calls. */
const struct rg_histogram_snapshot *rg_region_view_histogram(const struct rg_region_view *view,
							     const struct rg_metric *metric);

typedef void (*rg_metric_visitor)(const struct rg_region_view *view, const struct rg_metric *metric,
				  void *context);
/* Visit the metrics that the two files describe: the histograms, or all the others. */
void rg_region_view_visit(const struct rg_region_view *view, bool histograms,
			  rg_metric_visitor visit, void *context);

/* A worker's record ring and control's place in it. */
struct rg_ring_state {
	uint64_t capacity, used_bytes, messages, lost, cursor_errors;
	uint64_t consumed_messages, ring_errors, skipped_bytes;
	bool adopted; /* control reads this file's ring */
};
struct rg_ring_state rg_region_view_ring(const struct rg_region_view *view, uint32_t worker);

/* The error logs: 0 control's, 1 the publisher's, 2 + w that of worker w. NULL: it is not there. */
const struct rg_error_log *rg_region_view_errors(const struct rg_region_view *view, uint32_t which);
/* "control", "publisher", "worker 3": text[bytes], or a constant. */
const char *rg_region_view_errors_name(uint32_t which, char *text, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What riskctl top shows of the region: a reading, and what happened between two.
 *
 * Counters and histograms go on in the same file when a data plane starts anew, and begin at 0 in
 * another file (generation); what a worker tells of its time begins at 0 with each start (epoch). So
 * the difference is right across a restart, but for what was counted and lost between the last
 * flush and the death.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_TOP_SAMPLE_H
#define RG_TOOLS_RISKCTL_TOP_SAMPLE_H

#include "tools/riskctl/region_view.h"

struct rg_top_worker {
	uint32_t state; /* enum rg_worker_state */
	struct rg_worker_identity identity;
	struct rg_worker_progress progress;
	uint64_t counters[RG_WORKER_COUNTERS];
	struct rg_histogram_snapshot latency;
	struct rg_ring_state ring;
};

struct rg_top_process {
	bool joined, running;
	uint64_t pid, epoch, heartbeat_ns;
};

struct rg_top_sample {
	uint64_t unix_ns, monotonic_ns;
	struct rg_top_process dataplane, control;
	uint64_t generation; /* of the data plane's file */
	struct rg_publisher_status policy;
	uint64_t publisher[RG_PUBLISHER_COUNTERS];
	uint64_t control_counters[RG_CONTROL_COUNTERS];
	struct rg_histogram_snapshot latency, evaluate; /* of all workers */
	uint64_t counters[RG_WORKER_COUNTERS];		/* summed over workers */
	uint32_t worker_count;
	struct rg_top_worker workers[RG_WORKERS_MAX];
};

/* Read all of it. A region that is not there gives a sample in which nobody is joined. */
void rg_top_sample_read(struct rg_top_sample *sample, const struct rg_region *region);
/* sample -= earlier: counters, times and histograms become what happened in between; states, ring
 * fill and the policy stay. Gauges among the counters mean nothing then. */
void rg_top_sample_subtract(struct rg_top_sample *sample, const struct rg_top_sample *earlier);

#endif

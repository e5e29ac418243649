/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "outliers": bursts slower than a threshold, with what happened on their core. The maps'
 * contents. */
#ifndef RG_BPF_OUTLIERS_H
#define RG_BPF_OUTLIERS_H

#include "bpf/core.h"
#include "shm/probes.h"

#define RG_OUTLIER_TAKEOVERS 8
#define RG_OUTLIERS_RECENT   256
/* Remembered for each core: of a machine that starts programs all the time, those of a tenth of a
 * second. */
#define RG_CORE_TAKEOVERS 2048

/* map "recent": the last RG_OUTLIERS_RECENT. Number n, from 1, is in element
 * (n - 1) % RG_OUTLIERS_RECENT. */
struct rg_outlier {
	uint64_t number;	     /* written last; 0: none, or being written */
	uint64_t began_ns, ended_ns; /* CLOCK_MONOTONIC, right to about 2 us */
	struct rg_probe_burst burst;
	uint64_t policy_sequence;
	uint32_t worker, cpu;
	uint32_t takeover_count; /* that fell into it and cost it time, of the core's last
				    RG_CORE_TAKEOVERS */
	uint32_t instant_count;	 /* page faults and TLB shoot-downs that fell into it */
	uint32_t forgotten;	 /* 1: there were more of both, before those */
	uint32_t reserved;
	uint64_t worker_lost_ns;			    /* by all of them */
	struct rg_takeover takeovers[RG_OUTLIER_TAKEOVERS]; /* those that cost most */
};

/* map "counts", key 0: of all CPUs */
struct rg_outliers_counts {
	uint64_t recent;     /* number of the last one */
	uint64_t bursts;     /* looked at */
	uint64_t slow;	     /* of them: slower than the threshold */
	uint64_t suppressed; /* of those: not kept, over the limit of a second */
	uint64_t lost;	     /* bursts that could not be read */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "jitter": who took a worker's core, and for how long. The maps' contents. */
#ifndef RG_BPF_JITTER_H
#define RG_BPF_JITTER_H

#include "bpf/core.h"

/* map "culprits", one for each CPU: struct rg_culprit_key -> struct rg_culprit */
struct rg_culprit_key {
	enum rg_takeover_kind kind;
	char name[RG_TAKEOVER_NAME_BYTES];
};
struct rg_culprit {
	uint64_t count;
	uint64_t time_ns, max_ns;	      /* how long it had the CPU */
	uint64_t worker_lost_ns, lost_max_ns; /* of that: the worker could have run */
};

/* map "recent": the takeovers that cost a worker recent_ns or more, the last RG_JITTER_RECENT.
 * Number n, from 1, is in element (n - 1) % RG_JITTER_RECENT. */
struct rg_recent_takeover {
	uint64_t number; /* written last; 0: none, or being written */
	struct rg_takeover takeover;
};

/* map "counts", key 0: of all CPUs */
struct rg_jitter_counts {
	uint64_t recent; /* number of the last one */
	uint64_t lost;	 /* takeovers that are in no element: "culprits" was full */
};

#define RG_JITTER_CULPRITS 1024
#define RG_JITTER_RECENT   1024

#endif

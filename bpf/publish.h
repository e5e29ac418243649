/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "publish": the steps of each policy's publication, in control and in the data plane. The
 * maps' contents. */
#ifndef RG_BPF_PUBLISH_H
#define RG_BPF_PUBLISH_H

#include "shm/probes.h"

#define RG_PUBLISHES_KEPT 64

/* map "publishes": policy sequence (uint64_t) -> struct rg_publish; those touched last */
struct rg_publish {
	uint64_t sequence;
	uint64_t count;			       /* of steps that were reported */
	uint64_t at_ns[RG_PUBLISH_STEP_COUNT]; /* CLOCK_MONOTONIC, by enum rg_publish_step; 0: not
						       reached, or before the probe was there */
	uint64_t duration_ns[RG_PUBLISH_STEP_COUNT]; /* of those that say how long they took */
};

/* map "counts", key 0: of all CPUs */
struct rg_publish_counts {
	uint64_t steps;
	uint64_t lost; /* steps that could not be read or kept */
};

#endif

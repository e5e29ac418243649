/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "stages": what each stage of a burst costs, under each policy. The maps' contents. */
#ifndef RG_BPF_STAGES_H
#define RG_BPF_STAGES_H

#include "shm/probe_histogram.h"
#include "shm/probes.h"

/* map "stages", one for each CPU: struct rg_stages_key -> struct rg_probe_histogram */
struct rg_stages_key {
	uint64_t policy_sequence;
	enum rg_stage stage;
	uint32_t reserved;
};

/* map "counts", one for each CPU, key 0 */
struct rg_stages_counts {
	uint64_t batches, bursts, packets, requests;
	uint64_t lost; /* bursts that were handed over and are in no histogram */
};

#define RG_STAGES_POLICIES 16 /* kept: those used last */

#endif

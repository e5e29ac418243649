/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takeovers: times at which a worker's CPU did something else. Shared by the probes "jitter", which
 * adds them up by culprit, and "outliers", which looks up those that fell into a slow burst.
 */
#ifndef RG_BPF_CORE_H
#define RG_BPF_CORE_H

#include <stdint.h>

#define RG_CORE_WORKERS_MAX    64 /* RG_WORKERS_MAX of shm/worker.h, which BPF cannot read */

#define RG_TAKEOVER_NAME_BYTES 16

enum rg_takeover_kind {
	RG_TAKEOVER_TASK = 1,	/* another thread ran; name: its own */
	RG_TAKEOVER_IRQ,	/* a device's handler; name: the device's */
	RG_TAKEOVER_SOFTIRQ,	/* name: "net_rx", ... */
	RG_TAKEOVER_INTERRUPT,	/* the CPU's own timer, or another CPU's call; name: "local_timer",
				   "reschedule", "call_function", ... */
	RG_TAKEOVER_TLB_FLUSH,	/* another CPU had this one forget addresses: counted, no time */
	RG_TAKEOVER_PAGE_FAULT, /* of the worker: counted, no time */
	RG_TAKEOVER_KIND_COUNT
};

struct rg_takeover {
	uint64_t began_ns, ended_ns; /* CLOCK_MONOTONIC */
	uint64_t worker_lost_ns;     /* of that: the worker could have run */
	enum rg_takeover_kind kind;
	uint32_t cpu;
	char name[RG_TAKEOVER_NAME_BYTES];
};

/* Whom to watch; frozen before the program is loaded. */
struct rg_core_worker {
	uint32_t thread_id, cpu;
};
struct rg_core_config {
	uint32_t worker_count;
	uint32_t reserved;
	struct rg_core_worker workers[RG_CORE_WORKERS_MAX];
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's side of the probe point "bursts" (shm/probes.h): while somebody is attached, what each
 * burst cost is taken from the worker's own accounts (struct rg_worker_progress.ticks) and collected
 * until a batch is handed over.
 *
 * What a burst cost is what its states have grown by since the end of the burst before; between two
 * bursts only IDLE grows. So there is one call a burst, at its end, and nothing at its stages: a
 * stage that is added to the worker's states is seen without a new point.
 *
 * The accounts at the end of the burst before are known when that burst was seen too, or from the
 * last housekeeping: a burst that begins less than a millisecond after somebody attached may be left
 * out; from then on each burst is in exactly one batch.
 *
 * Thread-safety: the worker's own.
 */
#ifndef RG_DATAPLANE_WORKER_PROBE_H
#define RG_DATAPLANE_WORKER_PROBE_H

#include "policy/eval/eval.h"
#include "shm/probes.h"
#include "shm/worker.h"

struct rg_worker_loop;

struct rg_worker_probe {
	uint64_t ticks[RG_TICK_COUNT]; /* the worker's accounts after `burst_count` bursts */
	uint64_t burst_count;
	bool known; /* the two are set */
	struct rg_decide_listener listener;
	uint64_t began_tick;	/* when the batch's first burst ended: 0 on its clock */
	uint64_t decided_tick;	/* when the evaluator told of a step last */
	uint64_t slowest_ticks; /* of the burst's steps so far; the next two say which */
	uint64_t slowest_id;
	uint32_t slowest_together;
	struct rg_probe_bursts bursts; /* the batch that is being collected */
};

/* Part of a burst has been decided; `request_id`: of the first of `together` requests. What
 * loop->probe.listener calls, by way of the worker, who knows the requests' ids. */
void rg_worker_probe_decided(struct rg_worker_loop *loop, uint64_t request_id, uint32_t together);
/* A burst has ended, its last ticks are charged, and somebody is attached. request_id: of its first
 * request, or 0. */
void rg_worker_probe_burst(struct rg_worker_loop *loop, uint16_t packets, uint64_t request_id);
/* Housekeeping: hand over what is together; when nobody is attached, forget it. */
void rg_worker_probe_flush(struct rg_worker_loop *loop);

#endif

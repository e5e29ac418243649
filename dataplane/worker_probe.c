/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker_probe.h"

#include <string.h>

#include <rte_cycles.h>

#include "dataplane/worker.h"

static_assert((int)RG_STAGE_RX == RG_TICK_RX - 1 && (int)RG_STAGE_DECODE == RG_TICK_DECODE - 1 &&
		      (int)RG_STAGE_FEATURE == RG_TICK_FEATURE - 1 &&
		      (int)RG_STAGE_EVALUATE == RG_TICK_EVALUATE - 1 &&
		      (int)RG_STAGE_RECORD == RG_TICK_RECORD - 1 &&
		      (int)RG_STAGE_TX == RG_TICK_TX - 1 &&
		      (int)RG_STAGE_TOTAL == RG_TICK_COUNT - 1,
	      "stages are a worker's states from RX on: change enum rg_stage with enum "
	      "rg_worker_tick");

static uint32_t to_ns(const struct rg_worker_loop *loop, uint64_t ticks)
{
	uint64_t ns = rg_clock_scale(ticks, loop->clock.line.rate);

	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/* The time it takes is nobody's burst: it is charged to IDLE. */
static void hand_over(struct rg_worker_loop *loop)
{
	struct rg_probe_bursts *batch = &loop->probe.batch;
	uint64_t now;

	batch->worker = loop->config.index;
	batch->now_ns = rg_clock_scale(rte_rdtsc(), loop->clock.line.rate);
	rg_probe_hit_bursts(batch);
	batch->count = 0;
	now = rte_rdtsc();
	loop->progress.ticks[RG_TICK_IDLE] += now - loop->mark;
	loop->mark = now;
}

static void remember(struct rg_worker_loop *loop)
{
	struct rg_worker_probe *probe = &loop->probe;

	memcpy(probe->ticks, loop->progress.ticks, sizeof(probe->ticks));
	probe->burst_count = loop->counters.values[RG_WORKER_RX_BURSTS];
	probe->known = true;
}

static void add(struct rg_worker_loop *loop, uint16_t packets, uint64_t request_id)
{
	struct rg_worker_probe *probe = &loop->probe;
	struct rg_probe_burst *burst = &probe->batch.bursts[probe->batch.count++];
	uint64_t total = 0;

	for (int state = RG_TICK_RX; state < RG_TICK_COUNT; state++) {
		uint64_t ticks = loop->progress.ticks[state] - probe->ticks[state];

		burst->stage_ns[state - 1] = to_ns(loop, ticks);
		total += ticks;
	}
	burst->total_ns = to_ns(loop, total);
	burst->receive_ns = loop->receive_ns;
	burst->policy_sequence = loop->policy_sequence;
	burst->request_id = request_id;
	burst->ended_ns = rg_clock_scale(loop->mark, loop->clock.line.rate);
	burst->packets = packets;
	burst->requests = (uint16_t)loop->request_count;
	if (probe->batch.count == RG_PROBE_BURSTS)
		hand_over(loop);
}

__attribute__((cold)) void rg_worker_probe_burst(struct rg_worker_loop *loop, uint16_t packets,
						 uint64_t request_id)
{
	const struct rg_worker_probe *probe = &loop->probe;

	if (probe->known && probe->burst_count + 1 == loop->counters.values[RG_WORKER_RX_BURSTS])
		add(loop, packets, request_id);
	remember(loop);
}

void rg_worker_probe_flush(struct rg_worker_loop *loop)
{
	if (!RG_PROBE_WANTED(bursts)) {
		loop->probe.batch.count = 0;
		loop->probe.known = false;
		return;
	}
	if (loop->probe.batch.count)
		hand_over(loop);
	remember(loop);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker_probe.h"

#include <string.h>

#include <rte_cycles.h>

#include "dataplane/worker.h"
#include "shm/probe_histogram.h"

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

/* Of a moment in a batch. Not from the whole counter: the rate is known better each time the clock is
 * refreshed, and as much as that moves the counter of a machine that has run for long, it would move
 * one moment against another. */
static uint64_t since_began_ns(const struct rg_worker_loop *loop, uint64_t tick)
{
	return rg_clock_scale(tick - loop->probe.began_tick, loop->clock.line.rate);
}

/* Begin a new batch. */
static void empty(struct rg_probe_batch *batch)
{
	batch->count = batch->packets = batch->requests = 0;
	memset(batch->stages, 0, sizeof(batch->stages));
}

static void hand_over(struct rg_worker_loop *loop)
{
	struct rg_probe_batch *batch = &loop->probe.bursts.all;

	batch->now_ns = since_began_ns(loop, rte_rdtsc());
	batch->worker = loop->config.index;
	rg_probe_hit_bursts(&loop->probe.bursts);
	empty(batch);
}

/* The accounts as they are now belong to bursts that have ended. What the probe itself took is nobody's
 * burst: it is charged to IDLE. */
static void remember(struct rg_worker_loop *loop)
{
	struct rg_worker_probe *probe = &loop->probe;
	uint64_t now = rte_rdtsc();

	loop->progress.ticks[RG_TICK_IDLE] += now - loop->mark;
	loop->mark = now;
	memcpy(probe->ticks, loop->progress.ticks, sizeof(probe->ticks));
	probe->burst_count = loop->counters.values[RG_WORKER_RX_BURSTS];
	probe->known = true;
	probe->slowest_ticks = probe->slowest_id = probe->slowest_together = 0;
}

static void add_stage(struct rg_probe_batch *batch, enum rg_stage stage, uint32_t ns)
{
	struct rg_probe_stage *sums = &batch->stages[stage];

	batch->buckets[batch->count][stage] = (uint16_t)rg_probe_histogram_bucket(ns);
	sums->sum_ns += ns;
	sums->max_ns = ns > sums->max_ns ? ns : sums->max_ns;
}

static void add(struct rg_worker_loop *loop, uint16_t packets, uint64_t request_id)
{
	struct rg_worker_probe *probe = &loop->probe;
	struct rg_probe_batch *batch = &probe->bursts.all;
	struct rg_probe_burst *burst;
	uint64_t total = 0;

	if (batch->count == RG_PROBE_BURSTS ||
	    (batch->count && batch->policy_sequence != loop->policy_sequence))
		hand_over(loop);
	if (!batch->count)
		probe->began_tick = loop->mark;
	batch->policy_sequence = loop->policy_sequence;
	burst = &probe->bursts.each[batch->count];
	for (int state = RG_TICK_RX; state < RG_TICK_COUNT; state++) {
		uint64_t ticks = loop->progress.ticks[state] - probe->ticks[state];

		burst->stage_ns[state - 1] = to_ns(loop, ticks);
		add_stage(batch, (enum rg_stage)(state - 1), burst->stage_ns[state - 1]);
		total += ticks;
	}
	burst->total_ns = to_ns(loop, total);
	add_stage(batch, RG_STAGE_TOTAL, burst->total_ns);
	burst->receive_ns = loop->receive_ns;
	burst->request_id = request_id;
	burst->ended_ns = since_began_ns(loop, loop->mark);
	burst->slowest = (struct rg_probe_slowest){
		probe->slowest_id, to_ns(loop, probe->slowest_ticks), probe->slowest_together};
	burst->packets = packets;
	burst->requests = (uint16_t)loop->request_count;
	batch->packets += packets;
	batch->requests += loop->request_count;
	batch->count++;
}

__attribute__((cold)) void rg_worker_probe_decided(struct rg_worker_loop *loop, uint64_t request_id,
						   uint32_t together)
{
	struct rg_worker_probe *probe = &loop->probe;
	/* the first step of a burst began when its decoding was charged */
	uint64_t now = rte_rdtsc(), ticks = now - RTE_MAX(probe->decided_tick, loop->mark);

	probe->decided_tick = now;
	if (ticks < probe->slowest_ticks)
		return;
	probe->slowest_ticks = ticks;
	probe->slowest_id = request_id;
	probe->slowest_together = together;
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
	struct rg_worker_probe *probe = &loop->probe;

	if (!RG_PROBE_WANTED(bursts)) {
		if (probe->known)
			empty(&probe->bursts.all);
		probe->known = false;
		return;
	}
	if (probe->bursts.all.count)
		hand_over(loop);
	remember(loop);
}

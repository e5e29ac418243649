/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe "outliers", kernel side.
 *
 * Each worker's core remembers its last takeovers in a ring of its own. A batch of bursts arrives at
 * most a millisecond after its bursts, on the same core; for a burst above the threshold the ring is
 * searched for what overlaps it. The batch's own clock (the time stamp counter) is tied to the
 * kernel's at the hit: "now" on both is the same moment, but for the length of the trap.
 */
#include <stddef.h>

#include "bpf/core.bpf.h"
#include "bpf/outliers.h"

const volatile uint64_t threshold_ns;
const volatile uint64_t limit_per_s; /* of a CPU */

struct core_ring {
	uint64_t written;
	struct rg_takeover takeovers[RG_CORE_TAKEOVERS];
};
/* Of each worker; more than a per-CPU map takes. As many as there are workers when it is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RG_CORE_WORKERS_MAX);
	__type(key, uint32_t);
	__type(value, struct core_ring);
} scratch_rings SEC(".maps");

static struct core_ring *ring_of_cpu(void)
{
	int worker = worker_of_cpu();
	uint32_t key = (uint32_t)worker;

	return worker < 0 ? NULL : bpf_map_lookup_elem(&scratch_rings, &key);
}

RG_PER_CPU(struct rg_probe_batch, scratch_batches);
RG_PER_CPU(struct rg_probe_burst, scratch_bursts);

struct second {
	uint64_t second, kept;
};
RG_PER_CPU(struct second, scratch_seconds);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RG_OUTLIERS_RECENT);
	__type(key, uint32_t);
	__type(value, struct rg_outlier);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct rg_outliers_counts);
} counts SEC(".maps");

static void took_over(const struct rg_takeover *takeover)
{
	struct core_ring *ring = ring_of_cpu();
	uint64_t at;

	if (!ring || (!takeover->worker_lost_ns && takeover->kind < RG_TAKEOVER_TLB_FLUSH))
		return; /* it cost the worker nothing */
	at = __sync_fetch_and_add(&ring->written, 1) % RG_CORE_TAKEOVERS;
	ring->takeovers[at] = *takeover;
}

static bool may_be_kept(struct rg_outliers_counts *count)
{
	uint64_t now = bpf_ktime_get_ns() / 1000000000;
	struct second *second = rg_per_cpu(&scratch_seconds);

	if (!second)
		return false;
	if (second->second != now) {
		second->second = now;
		second->kept = 0;
	}
	if (second->kept++ < limit_per_s)
		return true;
	__sync_fetch_and_add(&count->suppressed, 1);
	return false;
}

struct search {
	struct core_ring *ring;
	struct rg_outlier *outlier;
};

/* The next free place, else that of the least loss if this one is larger, else none. */
static uint32_t place_for(const struct rg_outlier *outlier, uint64_t lost_ns)
{
	uint64_t least_ns = lost_ns;
	uint32_t place = RG_OUTLIER_TAKEOVERS;

	if (outlier->takeover_count < RG_OUTLIER_TAKEOVERS)
		return outlier->takeover_count;
	for (uint32_t i = 0; i < RG_OUTLIER_TAKEOVERS; i++) {
		if (outlier->takeovers[i].worker_lost_ns < least_ns) {
			least_ns = outlier->takeovers[i].worker_lost_ns;
			place = i;
		}
	}
	return place;
}

/* Is the takeover that many steps back in the burst? Then it is copied. They are in the order of their
 * ends: 1 when no earlier one can be. */
static long look_at(uint32_t back, struct search *search)
{
	struct rg_outlier *outlier = search->outlier;
	struct rg_takeover *takeover =
		&search->ring->takeovers[(search->ring->written - 1 - back) % RG_CORE_TAKEOVERS];
	uint32_t at;

	if (takeover->ended_ns < outlier->began_ns) { /* 0: there are no more */
		outlier->forgotten = 0;
		return 1;
	}
	if (takeover->began_ns > outlier->ended_ns)
		return 0;
	if (takeover->kind >= RG_TAKEOVER_TLB_FLUSH) {
		outlier->instant_count++;
		return 0;
	}
	outlier->worker_lost_ns += takeover->worker_lost_ns;
	at = place_for(outlier, takeover->worker_lost_ns);
	if (at < RG_OUTLIER_TAKEOVERS)
		outlier->takeovers[at] = *takeover;
	outlier->takeover_count++;
	return 0;
}

static void keep(struct rg_outliers_counts *count, const struct rg_probe_batch *batch,
		 const struct rg_probe_burst *burst, uint64_t now_ns)
{
	uint64_t number = __sync_fetch_and_add(&count->recent, 1) + 1;
	uint32_t at = (number - 1) % RG_OUTLIERS_RECENT;
	struct search search = {.ring = ring_of_cpu(),
				.outlier = bpf_map_lookup_elem(&recent, &at)};
	struct rg_outlier *outlier = search.outlier;

	if (!outlier || !search.ring)
		return;
	*(volatile uint64_t *)&outlier->number = 0;
	outlier->ended_ns = now_ns - (batch->now_ns - burst->ended_ns);
	outlier->began_ns = outlier->ended_ns - burst->total_ns;
	outlier->burst = *burst;
	outlier->policy_sequence = batch->policy_sequence;
	outlier->worker = batch->worker;
	outlier->cpu = bpf_get_smp_processor_id();
	outlier->takeover_count = outlier->instant_count = 0;
	outlier->forgotten = 1;
	__builtin_memset(outlier->takeovers, 0, sizeof(outlier->takeovers));
	outlier->worker_lost_ns = 0;
	bpf_loop(RG_CORE_TAKEOVERS, look_at, &search, 0);
	*(volatile uint64_t *)&outlier->number = number;
}

struct walk {
	const struct rg_probe_bursts *at; /* in the worker's memory */
	struct rg_probe_batch *batch;
	struct rg_outliers_counts *count;
	uint64_t now_ns;
};

static long look_at_burst(uint32_t i, struct walk *walk)
{
	struct rg_probe_burst *burst = rg_per_cpu(&scratch_bursts);

	if (i >= RG_PROBE_BURSTS || !burst)
		return 1;
	if (bpf_probe_read_user(burst, sizeof(*burst), &walk->at->each[i])) {
		__sync_fetch_and_add(&walk->count->lost, 1);
		return 0;
	}
	if (burst->total_ns < threshold_ns)
		return 0;
	__sync_fetch_and_add(&walk->count->slow, 1);
	if (may_be_kept(walk->count))
		keep(walk->count, walk->batch, burst, walk->now_ns);
	return 0;
}

/* Most batches have no slow burst: their maximum says so, and no burst is read. */
SEC("uprobe")
int bursts(struct pt_regs *registers)
{
	struct walk walk = {.at = (const void *)PT_REGS_PARM1(registers),
			    .batch = rg_per_cpu(&scratch_batches),
			    .count = rg_per_cpu(&counts),
			    .now_ns = bpf_ktime_get_ns()};

	if (!walk.batch || !walk.count)
		return 0;
	if (bpf_probe_read_user(walk.batch, offsetof(struct rg_probe_batch, buckets),
				&walk.at->all)) {
		__sync_fetch_and_add(&walk.count->lost, RG_PROBE_BURSTS);
		return 0;
	}
	__sync_fetch_and_add(&walk.count->bursts, walk.batch->count);
	if (walk.batch->stages[RG_STAGE_TOTAL].max_ns >= threshold_ns)
		bpf_loop(walk.batch->count, look_at_burst, &walk, 0);
	return 0;
}

RG_LICENSE;

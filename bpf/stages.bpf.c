/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "stages", kernel side: batches of bursts into histograms. See shm/probes.h. A worker has its
 * core to itself, so what is per CPU has one writer. */
#include "bpf/kernel.bpf.h"
#include "bpf/stages.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, RG_STAGES_POLICIES *RG_STAGE_COUNT);
	__type(key, struct rg_stages_key);
	__type(value, struct rg_probe_histogram);
} stages SEC(".maps");

RG_PER_CPU(struct rg_stages_counts, counts);
RG_PER_CPU(struct rg_probe_batch, scratch_batches);
RG_PER_CPU(struct rg_probe_histogram, scratch_zeros);

static struct rg_probe_histogram *histogram_of(const struct rg_stages_key *key)
{
	struct rg_probe_histogram *histogram = bpf_map_lookup_elem(&stages, key);
	void *zero;

	if (histogram)
		return histogram;
	zero = rg_per_cpu(&scratch_zeros);
	if (zero)
		bpf_map_update_elem(&stages, key, zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&stages, key);
}

/* One stage of all bursts of the batch. The verifier has to see the bounds of each bucket and of the
 * loop, though the worker keeps them. */
static void add_stage(const struct rg_probe_batch *batch, enum rg_stage stage,
		      struct rg_stages_counts *count)
{
	struct rg_stages_key key = {.policy_sequence = batch->policy_sequence, .stage = stage};
	struct rg_probe_histogram *histogram = histogram_of(&key);

	if (!histogram) {
		if (stage == RG_STAGE_TOTAL)
			count->lost += batch->count;
		return;
	}
	histogram->count += batch->count;
	histogram->sum_ns += batch->stages[stage].sum_ns;
	if (batch->stages[stage].max_ns > histogram->max_ns)
		histogram->max_ns = batch->stages[stage].max_ns;
	for (uint32_t i = 0; i < RG_PROBE_BURSTS && i < batch->count; i++) {
		uint16_t bucket = batch->buckets[i][stage];

		if (bucket < RG_PROBE_HISTOGRAM_BUCKETS)
			histogram->buckets[bucket]++;
	}
}

SEC("uprobe")
int bursts(struct pt_regs *registers)
{
	struct rg_stages_counts *count = rg_per_cpu(&counts);
	struct rg_probe_batch *batch = rg_per_cpu(&scratch_batches);

	if (!count || !batch)
		return 0;
	if (bpf_probe_read_user(batch, sizeof(*batch), (void *)PT_REGS_PARM1(registers))) {
		count->lost += RG_PROBE_BURSTS; /* at most: how many there were was not read */
		return 0;
	}
	for (enum rg_stage stage = RG_STAGE_RX; stage < RG_STAGE_COUNT; stage++)
		add_stage(batch, stage, count);
	count->batches++;
	count->bursts += batch->count;
	count->packets += batch->packets;
	count->requests += batch->requests;
	return 0;
}

RG_LICENSE;

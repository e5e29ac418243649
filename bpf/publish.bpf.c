/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "publish", kernel side: steps of two processes, put together by the policy's sequence. */
#include "bpf/kernel.bpf.h"
#include "bpf/publish.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RG_PUBLISHES_KEPT);
	__type(key, uint64_t);
	__type(value, struct rg_publish);
} publishes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct rg_publish_counts);
} counts SEC(".maps");

static struct rg_publish *publish_of(uint64_t sequence)
{
	struct rg_publish fresh = {.sequence = sequence}, *found;

	found = bpf_map_lookup_elem(&publishes, &sequence);
	if (found)
		return found;
	bpf_map_update_elem(&publishes, &sequence, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&publishes, &sequence);
}

SEC("uprobe")
int publish(struct pt_regs *registers)
{
	struct rg_publish_counts *count = rg_per_cpu(&counts);
	struct rg_probe_publish step = {0};
	struct rg_publish *found = NULL;
	uint32_t at;

	if (!count)
		return 0;
	if (!bpf_probe_read_user(&step, sizeof(step), (void *)PT_REGS_PARM1(registers)))
		found = publish_of(step.sequence);
	at = step.step;
	if (!found || at >= RG_PUBLISH_STEP_COUNT) {
		__sync_fetch_and_add(&count->lost, 1);
		return 0;
	}
	/* each step is reported by one thread: only the counts are shared */
	found->at_ns[at] = bpf_ktime_get_ns();
	found->duration_ns[at] = step.duration_ns;
	__sync_fetch_and_add(&found->count, 1);
	__sync_fetch_and_add(&count->steps, 1);
	return 0;
}

RG_LICENSE;

/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "jitter", kernel side: takeovers, added up by culprit; the long ones also kept. */
#include "bpf/core.bpf.h"
#include "bpf/jitter.h"

const volatile uint64_t recent_ns;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, RG_JITTER_CULPRITS);
	__type(key, struct rg_culprit_key);
	__type(value, struct rg_culprit);
} culprits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RG_JITTER_RECENT);
	__type(key, uint32_t);
	__type(value, struct rg_recent_takeover);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct rg_jitter_counts);
} counts SEC(".maps");

static struct rg_culprit *culprit_of(const struct rg_takeover *takeover)
{
	struct rg_culprit_key key = {.kind = takeover->kind};
	struct rg_culprit zero = {0}, *culprit;

	__builtin_memcpy(key.name, takeover->name, sizeof(key.name));
	culprit = bpf_map_lookup_elem(&culprits, &key);
	if (culprit)
		return culprit;
	bpf_map_update_elem(&culprits, &key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&culprits, &key);
}

static void keep(struct rg_jitter_counts *count, const struct rg_takeover *takeover)
{
	uint64_t number = __sync_fetch_and_add(&count->recent, 1) + 1;
	uint32_t at = (number - 1) % RG_JITTER_RECENT;
	struct rg_recent_takeover *element = bpf_map_lookup_elem(&recent, &at);

	if (!element)
		return;
	*(volatile uint64_t *)&element->number = 0;
	element->takeover = *takeover;
	*(volatile uint64_t *)&element->number = number;
}

static void took_over(const struct rg_takeover *takeover)
{
	uint64_t time_ns = takeover->ended_ns - takeover->began_ns;
	struct rg_jitter_counts *count = rg_per_cpu(&counts);
	struct rg_culprit *culprit = culprit_of(takeover);

	if (!count)
		return;
	if (takeover->worker_lost_ns && takeover->worker_lost_ns >= recent_ns)
		keep(count, takeover);
	if (!culprit) {
		__sync_fetch_and_add(&count->lost, 1);
		return;
	}
	culprit->count++;
	culprit->time_ns += time_ns;
	culprit->worker_lost_ns += takeover->worker_lost_ns;
	if (time_ns > culprit->max_ns)
		culprit->max_ns = time_ns;
	if (takeover->worker_lost_ns > culprit->lost_max_ns)
		culprit->lost_max_ns = takeover->worker_lost_ns;
}

RG_LICENSE;

/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "journal", kernel side: operations into histograms; the slow and the failed ones also kept. */
#include "bpf/journal.h"
#include "bpf/kernel.bpf.h"

const volatile uint64_t recent_ns;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, RG_JOURNAL_OPERATIONS);
	__type(key, struct rg_operation_key);
	__type(value, struct rg_operation);
} operations SEC(".maps");

RG_PER_CPU(struct rg_operation, scratch_zeros);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RG_JOURNAL_RECENT);
	__type(key, uint32_t);
	__type(value, struct rg_recent_operation);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct rg_journal_counts);
} counts SEC(".maps");

static struct rg_operation *operation_of(const struct rg_probe_io *io)
{
	struct rg_operation_key key = {.op = (enum rg_io_op)io->op};
	struct rg_operation *operation;
	void *zero;

	__builtin_memcpy(key.name, io->name, sizeof(key.name));
	operation = bpf_map_lookup_elem(&operations, &key);
	if (operation)
		return operation;
	zero = rg_per_cpu(&scratch_zeros);
	if (zero)
		bpf_map_update_elem(&operations, &key, zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&operations, &key);
}

static void keep(struct rg_journal_counts *count, const struct rg_probe_io *io)
{
	uint64_t number = __sync_fetch_and_add(&count->recent, 1) + 1;
	uint32_t at = (number - 1) % RG_JOURNAL_RECENT;
	struct rg_recent_operation *element = bpf_map_lookup_elem(&recent, &at);

	if (!element)
		return;
	*(volatile uint64_t *)&element->number = 0;
	element->ended_ns = bpf_ktime_get_ns();
	element->io = *io;
	*(volatile uint64_t *)&element->number = number;
}

SEC("uprobe")
int io(struct pt_regs *registers)
{
	struct rg_journal_counts *count = rg_per_cpu(&counts);
	struct rg_operation *operation = NULL;
	struct rg_probe_io io = {0};

	if (!count)
		return 0;
	if (!bpf_probe_read_user(&io, sizeof(io), (void *)PT_REGS_PARM1(registers)))
		operation = operation_of(&io);
	if (!operation) {
		__sync_fetch_and_add(&count->lost, 1);
		return 0;
	}
	rg_probe_histogram_add(&operation->time, io.duration_ns);
	__sync_fetch_and_add(&operation->amount, io.amount);
	__sync_fetch_and_add(&operation->failed, io.failed);
	__sync_fetch_and_add(&count->operations, 1);
	if (io.duration_ns >= recent_ns || io.failed)
		keep(count, &io);
	return 0;
}

RG_LICENSE;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What riskgate's BPF programs read of the kernel: the few members they use, by name. CO-RE finds
 * their offsets in the running kernel's own description, so these declarations need not be complete
 * or in order, and a build machine needs no vmlinux.h.
 */
#ifndef RG_BPF_KERNEL_BPF_H
#define RG_BPF_KERNEL_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/bpf.h>

#define __VMLINUX_H__ /* bpf_tracing.h: pt_regs has the kernel's names */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long di; /* x86-64: the first argument */
};
struct user_pt_regs {
	__u64 regs[31]; /* Arm: the first argument is regs[0] */
};
struct task_struct {
	int pid; /* of the thread; 0: the CPU is idle */
	int tgid;
	unsigned int __state; /* 0: it can run */
	char comm[16];
};
struct irqaction {
	const char *name;
};

#pragma clang attribute pop

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define RG_LICENSE char LICENSE[] SEC("license") = "Dual BSD/GPL"

/* A map of one element for each CPU: what a program needs and the 512 bytes of stack do not hold. */
#define RG_PER_CPU(value_type, name)                                                               \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, 1);                                                            \
		__type(key, uint32_t);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

/* Its element of this CPU; never NULL, but the verifier cannot know. */
static inline void *rg_per_cpu(void *map)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

#endif

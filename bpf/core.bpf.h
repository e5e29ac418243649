/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takeovers, kernel side: the tracepoints that begin and end them. Who includes this defines
 * took_over(), which is called on the CPU of the takeover when it has ended.
 *
 * Typed tracepoints (tp_btf), since they need neither tracefs nor more than CAP_PERFMON. All of them
 * fire on every CPU; the first thing each does is to ask whether this CPU is a worker's.
 *
 * WHEN DOES A WORKER LOSE TIME? An interrupt costs the worker what it took if the worker ran. Another
 * thread costs it the time from when the worker could run: it was pushed aside, or it slept and was
 * woken while the other ran. A thread that runs while the worker sleeps of its own will (with
 * dataplane.idle_sleep_us) is counted with its time, and with no loss.
 *
 * TIMES ARE INCLUSIVE: a timer interrupt that falls into a thread's run is in both, and a softirq that
 * ran at the end of an interrupt is not part of the interrupt.
 */
#ifndef RG_BPF_CORE_BPF_H
#define RG_BPF_CORE_BPF_H

#include "bpf/core.h"
#include "bpf/kernel.bpf.h"

const volatile struct rg_core_config core_config;

/* What is going on on one CPU. Written by that CPU, but waits_since_ns also by who wakes the worker. */
struct core_state {
	uint64_t task_began_ns; /* another thread runs since; 0: none */
	uint64_t
		waits_since_ns; /* the worker could run since, and does not; 0: it runs or sleeps */
	uint64_t irq_began_ns, softirq_began_ns, interrupt_began_ns;
	uint64_t reserved[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RG_CORE_WORKERS_MAX);
	__type(key, uint32_t);
	__type(value, struct core_state);
} scratch_cores SEC(".maps");

/* Names of what is no thread and no device: the softirqs in the kernel's order, then others. */
enum core_name {
	SOFTIRQ_OTHER = 10,
	LOCAL_TIMER,
	RESCHEDULE,
	IRQ_WORK,
	CALL_FUNCTION,
	CALL_FUNCTION_SINGLE,
	SHOOTDOWN,
	FAULT_USER,
	FAULT_KERNEL,
	CORE_NAMES
};
const char core_names[CORE_NAMES][RG_TAKEOVER_NAME_BYTES] = {
	"hi",	       "timer",	      "net_tx",		"net_rx",   "block",
	"irq_poll",    "tasklet",     "sched",		"hrtimer",  "rcu",
	"other",       "local_timer", "reschedule",	"irq_work", "call_function",
	"call_single", "shootdown",   "in the program", "in a call"};

static void took_over(const struct rg_takeover *takeover);

/* The number of the worker of this CPU; -1: it has none. */
static inline int worker_of_cpu(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();

	for (uint32_t i = 0; i < RG_CORE_WORKERS_MAX && i < core_config.worker_count; i++)
		if (core_config.workers[i].cpu == cpu)
			return (int)i;
	return -1;
}

static inline uint32_t thread_of(uint32_t worker)
{
	return worker < RG_CORE_WORKERS_MAX ? core_config.workers[worker].thread_id : 0;
}

static inline struct core_state *state_of(int worker)
{
	uint32_t key = (uint32_t)worker;

	return worker < 0 ? NULL : bpf_map_lookup_elem(&scratch_cores, &key);
}

static inline struct core_state *state_of_cpu(void)
{
	return state_of(worker_of_cpu());
}

static inline bool worker_runs(void)
{
	int worker = worker_of_cpu();

	return worker >= 0 && (uint32_t)bpf_get_current_pid_tgid() == thread_of((uint32_t)worker);
}

/* ---- other threads ---- */

static void end_of_task(struct core_state *state, struct task_struct *task, uint64_t now_ns)
{
	struct rg_takeover takeover = {.began_ns = state->task_began_ns,
				       .ended_ns = now_ns,
				       .kind = RG_TAKEOVER_TASK,
				       .cpu = bpf_get_smp_processor_id()};
	uint64_t waits_since = state->waits_since_ns;

	if (waits_since && waits_since < now_ns)
		takeover.worker_lost_ns =
			now_ns -
			(waits_since > takeover.began_ns ? waits_since : takeover.began_ns);
	bpf_core_read_str(takeover.name, sizeof(takeover.name), &task->comm);
	took_over(&takeover);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempted, struct task_struct *from, struct task_struct *to)
{
	int worker = worker_of_cpu();
	struct core_state *state = state_of(worker);
	uint64_t now_ns;
	int thread;

	if (!state)
		return 0;
	now_ns = bpf_ktime_get_ns();
	thread = (int)thread_of((uint32_t)worker);
	if (from->pid == thread)
		state->waits_since_ns = preempted || from->__state == 0 ? now_ns : 0;
	else if (from->pid && state->task_began_ns)
		end_of_task(state, from, now_ns);
	state->task_began_ns = to->pid && to->pid != thread ? now_ns : 0;
	if (to->pid == thread)
		state->waits_since_ns = 0;
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	for (uint32_t i = 0; i < RG_CORE_WORKERS_MAX && i < core_config.worker_count; i++) {
		struct core_state *state;

		if ((int)core_config.workers[i].thread_id != task->pid)
			continue;
		state = state_of((int)i);
		if (state)
			state->waits_since_ns = bpf_ktime_get_ns();
		break;
	}
	return 0;
}

/* ---- interrupts ---- */

static inline void end_of_interrupt(uint64_t *began_ns, enum rg_takeover_kind kind,
				    const char *name_in_kernel, enum core_name name)
{
	struct rg_takeover takeover = {.began_ns = *began_ns,
				       .ended_ns = bpf_ktime_get_ns(),
				       .kind = kind,
				       .cpu = bpf_get_smp_processor_id()};

	if (!takeover.began_ns) /* attached in the middle of it */
		return;
	*began_ns = 0;
	if (worker_runs())
		takeover.worker_lost_ns = takeover.ended_ns - takeover.began_ns;
	if (name_in_kernel)
		bpf_probe_read_kernel_str(takeover.name, sizeof(takeover.name), name_in_kernel);
	else
		__builtin_memcpy(takeover.name, core_names[name], sizeof(takeover.name));
	took_over(&takeover);
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(irq_handler_entry)
{
	struct core_state *state = state_of_cpu();

	if (state)
		state->irq_began_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(irq_handler_exit, int irq, struct irqaction *action)
{
	struct core_state *state = state_of_cpu();

	if (state)
		end_of_interrupt(&state->irq_began_ns, RG_TAKEOVER_IRQ, action->name,
				 SOFTIRQ_OTHER);
	return 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry)
{
	struct core_state *state = state_of_cpu();

	if (state)
		state->softirq_began_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
	struct core_state *state = state_of_cpu();

	if (state)
		end_of_interrupt(&state->softirq_began_ns, RG_TAKEOVER_SOFTIRQ, NULL,
				 vector < SOFTIRQ_OTHER ? vector : SOFTIRQ_OTHER);
	return 0;
}

/* The CPU's own vectors. They run with interrupts off, so one begins only when the last has ended. */
#define CPU_INTERRUPT(vector, name)                                                                \
	SEC("tp_btf/" #vector "_entry")                                                            \
	int BPF_PROG(vector##_entry)                                                               \
	{                                                                                          \
		struct core_state *state = state_of_cpu();                                         \
                                                                                                   \
		if (state)                                                                         \
			state->interrupt_began_ns = bpf_ktime_get_ns();                            \
		return 0;                                                                          \
	}                                                                                          \
                                                                                                   \
	SEC("tp_btf/" #vector "_exit")                                                             \
	int BPF_PROG(vector##_exit)                                                                \
	{                                                                                          \
		struct core_state *state = state_of_cpu();                                         \
                                                                                                   \
		if (state)                                                                         \
			end_of_interrupt(&state->interrupt_began_ns, RG_TAKEOVER_INTERRUPT, NULL,  \
					 name);                                                    \
		return 0;                                                                          \
	}

CPU_INTERRUPT(local_timer, LOCAL_TIMER)
CPU_INTERRUPT(reschedule, RESCHEDULE)
CPU_INTERRUPT(irq_work, IRQ_WORK)
CPU_INTERRUPT(call_function, CALL_FUNCTION)
CPU_INTERRUPT(call_function_single, CALL_FUNCTION_SINGLE)

/* ---- what has no duration ---- */

static void instant(enum rg_takeover_kind kind, enum core_name name)
{
	struct rg_takeover takeover = {.kind = kind, .cpu = bpf_get_smp_processor_id()};

	takeover.began_ns = takeover.ended_ns = bpf_ktime_get_ns();
	__builtin_memcpy(takeover.name, core_names[name], sizeof(takeover.name));
	took_over(&takeover);
}

#define TLB_REMOTE_SHOOTDOWN 1 /* enum tlb_flush_reason: another CPU asked for it */

SEC("tp_btf/tlb_flush")
int BPF_PROG(tlb_flush, int reason)
{
	if (reason == TLB_REMOTE_SHOOTDOWN && worker_runs())
		instant(RG_TAKEOVER_TLB_FLUSH, SHOOTDOWN);
	return 0;
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(page_fault_user)
{
	if (worker_runs())
		instant(RG_TAKEOVER_PAGE_FAULT, FAULT_USER);
	return 0;
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(page_fault_kernel)
{
	if (worker_runs())
		instant(RG_TAKEOVER_PAGE_FAULT, FAULT_KERNEL);
	return 0;
}

#endif

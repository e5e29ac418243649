/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what may interrupt a worker: interrupts, the kernel's own threads and timers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/riskctl/doctor.h"

/* ---- interrupts ---- */

struct interrupts {
	const struct rg_host *host;
	struct rg_changes *changes; /* move them; NULL: only look */
	struct rg_error *err;
	uint32_t count, refused;
	char text[240];
	int result;
};

/* Of these cores those that are no worker's; where none is left, all cores beside the workers'. May
 * be empty. */
static cpu_set_t beside_workers(const struct rg_host *host, const cpu_set_t *cpus)
{
	cpu_set_t rest = rg_cpus_without(cpus, &host->workers);

	return rg_cpus_any(&rest) ? rest : host->others;
}

static void first_name(void *context, const char *name)
{
	char *action = context;

	/* Its attributes are files of these names; an action is a folder. */
	if (!action[0] && !strstr(name, "affinity") && strcmp(name, "node") != 0 &&
	    strcmp(name, "spurious") != 0)
		snprintf(action, 40, "%s", name);
}

static void look_at_interrupt(void *context, const char *number)
{
	struct interrupts *interrupts = context;
	const struct rg_host *host = interrupts->host;
	char action[40] = "", path[96], list[RG_CPUS_TEXT_BYTES];
	cpu_set_t wanted, effective, hit, rest;
	size_t used = strlen(interrupts->text);

	if (number[0] < '0' || number[0] > '9')
		return;
	snprintf(path, sizeof(path), "/proc/irq/%.16s/smp_affinity_list", number);
	if (!rg_host_cpus(host, &wanted, "%s", path))
		return;
	/* Where it goes now, of all it may go to. A new list takes effect with the next interrupt:
	 * until then the old place is shown, and is none of it. */
	if (!rg_host_cpus(host, &effective, "/proc/irq/%s/effective_affinity_list", number) ||
	    !rg_cpus_any(&effective))
		effective = wanted;
	hit = rg_cpus_both(&effective, &wanted);
	hit = rg_cpus_both(&hit, &host->workers);
	if (!rg_cpus_any(&hit))
		return;
	rg_host_each(host, first_name, action, "/proc/irq/%s", number);
	if (!action[0])
		return; /* nobody has it */
	interrupts->count++;
	if (interrupts->changes) {
		rest = beside_workers(host, &wanted);
		rg_cpus_format(&rest, list, sizeof(list));
		if (rg_changes_set(interrupts->changes, path, list, interrupts->err)) {
			interrupts->refused++;
			interrupts->result = interrupts->err->status;
		}
	} else if (used < sizeof(interrupts->text)) {
		snprintf(interrupts->text + used, sizeof(interrupts->text) - used, "%s%s %s on %s",
			 used ? ", " : "", number, action,
			 rg_cpus_format(&hit, list, sizeof(list)));
	}
}

static void check_interrupts(const struct rg_host *host, struct rg_findings *findings)
{
	struct interrupts interrupts = {.host = host};
	char others[RG_CPUS_TEXT_BYTES];

	rg_host_each(host, look_at_interrupt, &interrupts, "/proc/irq");
	rg_cpus_format(&host->others, others, sizeof(others));
	if (!interrupts.count)
		rg_found(findings, RG_SEVERITY_OK, "none on the workers' cores");
	else
		rg_remedy(
			rg_found(findings, RG_SEVERITY_WARNING, "%u on workers' cores: %s",
				 interrupts.count, interrupts.text),
			"echo %s > /proc/irq/N/smp_affinity_list for each N; keep irqbalance away "
			"(IRQBALANCE_BANNED_CPULIST in /etc/default/irqbalance); those that refuse "
			"are managed by their driver: isolcpus=managed_irq at boot",
			others);
}

static int set_interrupts(struct rg_changes *changes, struct rg_error *err)
{
	struct interrupts interrupts = {.host = changes->host, .changes = changes, .err = err};

	if (!rg_cpus_any(&changes->host->others))
		return rg_error_set(err, RG_ELIMIT,
				    "there is no core beside the workers' for interrupts");
	rg_host_each(changes->host, look_at_interrupt, &interrupts, "/proc/irq");
	if (interrupts.refused)
		rg_error_prefix(err, "%u of %u interrupts cannot be moved", interrupts.refused,
				interrupts.count);
	return interrupts.result;
}

const struct rg_stage rg_stage_interrupts = {
	.name = "interrupts",
	.looks_at =
		"effective_affinity_list and smp_affinity_list of every interrupt that somebody "
		"has",
	.why = "A device's interrupt takes a worker's core for microseconds, and its softirqs for "
	       "much longer.",
	.check = check_interrupts,
	.init = set_interrupts,
	.sets = "smp_affinity_list without the workers' cores",
	.needs = RG_NEEDS_FILE,
};

/* ---- unbound work queues ---- */

#define WORK_QUEUES "/sys/devices/virtual/workqueue/cpumask"

/* A mask as the kernel writes it: groups of 32 bits in hexadecimal, the highest first. */
static bool parse_mask(const char *text, cpu_set_t *cpus)
{
	size_t digits = 0;

	CPU_ZERO(cpus);
	for (const char *at = text + strlen(text); at-- > text;) {
		char digit[2] = {*at, 0}, *end;
		unsigned long value = strtoul(digit, &end, 16);

		if (*at == ',')
			continue;
		if (*end || digits * 4 + 3 >= CPU_SETSIZE)
			return false;
		for (unsigned bit = 0; bit < 4; bit++)
			if (value >> bit & 1)
				CPU_SET(digits * 4 + bit, cpus);
		digits++;
	}
	return digits;
}

/* As many digits as `like` has, with its commas. */
static void format_mask(const cpu_set_t *cpus, const char *like, char *text, size_t bytes)
{
	size_t length = strlen(like), digit = 0;

	snprintf(text, bytes, "%s", like);
	for (size_t at = length < bytes ? length : bytes - 1; at-- > 0;) {
		unsigned value = 0;

		if (text[at] == ',')
			continue;
		for (unsigned bit = 0; bit < 4; bit++)
			if (CPU_ISSET(digit * 4 + bit, cpus))
				value |= 1u << bit;
		text[at] = "0123456789abcdef"[value];
		digit++;
	}
}

static void check_work_queues(const struct rg_host *host, struct rg_findings *findings)
{
	char text[RG_HOST_TEXT_BYTES], rest_text[RG_HOST_TEXT_BYTES], list[RG_CPUS_TEXT_BYTES];
	cpu_set_t cpus, hit, rest;

	if (!rg_host_read(host, text, WORK_QUEUES) || !parse_mask(text, &cpus)) {
		rg_found(findings, RG_SEVERITY_OK, "this kernel does not tell it");
		return;
	}
	hit = rg_cpus_both(&cpus, &host->workers);
	if (!rg_cpus_any(&hit)) {
		rg_found(findings, RG_SEVERITY_OK, "kept off the workers' cores");
		return;
	}
	rest = beside_workers(host, &cpus);
	format_mask(&rest, text, rest_text, sizeof(rest_text));
	rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "may run on workers' cores: %s",
			   rg_cpus_format(&hit, list, sizeof(list))),
		  "echo %.80s > " WORK_QUEUES, rest_text);
}

static int set_work_queues(struct rg_changes *changes, struct rg_error *err)
{
	const struct rg_host *host = changes->host;
	char text[RG_HOST_TEXT_BYTES], mask[RG_HOST_TEXT_BYTES];
	cpu_set_t cpus, rest;

	if (!rg_host_read(host, text, WORK_QUEUES) || !parse_mask(text, &cpus))
		return RG_OK;
	rest = beside_workers(host, &cpus);
	if (!rg_cpus_any(&rest))
		return rg_error_set(err, RG_ELIMIT,
				    "there is no core beside the workers' for work queues");
	format_mask(&rest, text, mask, sizeof(mask));
	return rg_changes_set(changes, WORK_QUEUES, mask, err);
}

const struct rg_stage rg_stage_work_queues = {
	.name = "work-queues",
	.looks_at = WORK_QUEUES,
	.why = "Unbound work of the kernel (writing back, releasing memory) runs as threads on any "
	       "of these cores.",
	.check = check_work_queues,
	.init = set_work_queues,
	.sets = "the mask without the workers' cores",
	.needs = RG_NEEDS_FILE,
};

/* ---- watchdog ---- */

#define WATCHDOG      "/proc/sys/kernel/watchdog"
#define WATCHDOG_CPUS "/proc/sys/kernel/watchdog_cpumask"

static void check_watchdog(const struct rg_host *host, struct rg_findings *findings)
{
	char list[RG_CPUS_TEXT_BYTES], rest_list[RG_CPUS_TEXT_BYTES];
	cpu_set_t cpus, hit;
	int64_t on;

	if (!rg_host_number(host, &on, WATCHDOG) || !on ||
	    !rg_host_cpus(host, &cpus, WATCHDOG_CPUS)) {
		rg_found(findings, RG_SEVERITY_OK, "off");
		return;
	}
	hit = rg_cpus_both(&cpus, &host->workers);
	if (!rg_cpus_any(&hit)) {
		rg_found(findings, RG_SEVERITY_OK, "kept off the workers' cores");
		return;
	}
	rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE, "watches workers' cores: %s",
			   rg_cpus_format(&hit, list, sizeof(list))),
		  "sysctl -w kernel.watchdog_cpumask=%s",
		  rg_cpus_format(&host->others, rest_list, sizeof(rest_list)));
}

static int set_watchdog(struct rg_changes *changes, struct rg_error *err)
{
	const struct rg_host *host = changes->host;
	cpu_set_t cpus, rest;
	char list[RG_CPUS_TEXT_BYTES];

	if (!rg_host_cpus(host, &cpus, WATCHDOG_CPUS))
		return RG_OK;
	rest = beside_workers(host, &cpus);
	if (!rg_cpus_any(&rest))
		return rg_error_set(err, RG_ELIMIT,
				    "there is no core beside the workers' for the watchdog");
	return rg_changes_set(changes, WATCHDOG_CPUS, rg_cpus_format(&rest, list, sizeof(list)),
			      err);
}

const struct rg_stage rg_stage_watchdog = {
	.name = "watchdog",
	.looks_at = WATCHDOG " and " WATCHDOG_CPUS,
	.why = "The lock-up detector wakes a thread on each core it watches every few seconds, and "
	       "uses a performance counter for non-maskable interrupts.",
	.check = check_watchdog,
	.init = set_watchdog,
	.sets = "watchdog_cpumask without the workers' cores",
	.needs = RG_NEEDS_SYSCTL,
};

/* ---- timers ---- */

#define TIMER_MIGRATION "/proc/sys/kernel/timer_migration"

static void check_timer_migration(const struct rg_host *host, struct rg_findings *findings)
{
	int64_t on;

	if (!rg_host_number(host, &on, TIMER_MIGRATION) || on)
		rg_found(findings, RG_SEVERITY_OK, "on");
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "off"),
			  "sysctl -w kernel.timer_migration=1");
}

static int set_timer_migration(struct rg_changes *changes, struct rg_error *err)
{
	return rg_changes_set(changes, TIMER_MIGRATION, "1", err);
}

const struct rg_stage rg_stage_timer_migration = {
	.name = "timer-migration",
	.looks_at = TIMER_MIGRATION,
	.why = "Off, timers fire on the core that set them, also those that others set on a "
	       "worker's core before it became one.",
	.check = check_timer_migration,
	.init = set_timer_migration,
	.sets = "1",
	.needs = RG_NEEDS_SYSCTL,
};

/* ---- real-time throttling ---- */

#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"
#define RT_PERIOD  "/proc/sys/kernel/sched_rt_period_us"

enum { POLICY_FIELD = 41, POLICY_FIFO = 1, POLICY_RR = 2 };

struct thread_search {
	const struct rg_host *host;
	bool real_time;
};

/* Field 41 of /proc/PID/task/TID/stat; the name in field 2 may hold blanks. */
static void look_at_thread(void *context, const char *thread)
{
	struct thread_search *search = context;
	char text[RG_HOST_TEXT_BYTES], *at, *save = NULL;
	int field = 3;

	if (!rg_host_read(search->host, text, "/proc/%s/task/%s/stat", search->host->process,
			  thread) ||
	    !(at = strrchr(text, ')')))
		return;
	for (at = strtok_r(at + 1, " ", &save); at && field < POLICY_FIELD; field++)
		at = strtok_r(NULL, " ", &save);
	if (at && (atoi(at) == POLICY_FIFO || atoi(at) == POLICY_RR))
		search->real_time = true;
}

static void check_rt_throttling(const struct rg_host *host, struct rg_findings *findings)
{
	struct thread_search search = {.host = host};
	int64_t runtime_us = -1, period_us = 1000000;

	rg_host_number(host, &runtime_us, RT_RUNTIME);
	rg_host_number(host, &period_us, RT_PERIOD);
	if (runtime_us < 0 || runtime_us >= period_us) {
		rg_found(findings, RG_SEVERITY_OK, "off");
		return;
	}
	rg_host_each(host, look_at_thread, &search, "/proc/%s/task", host->process);
	if (!search.real_time)
		rg_found(findings, RG_SEVERITY_OK,
			 "on (%" PRId64 " of %" PRId64 " us), and %s is not scheduled as real-time",
			 runtime_us, period_us, host->running ? "the data plane" : "this shell");
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "on, and the process is scheduled as real-time: a worker that "
				   "spins is stopped %" PRId64 " us of every %" PRId64,
				   period_us - runtime_us, period_us),
			  "sysctl -w kernel.sched_rt_runtime_us=-1; or run riskgate-dataplane "
			  "without chrt and CPUSchedulingPolicy=");
}

/* Throttling protects a machine from its real-time threads: off only when it hits workers. */
static int set_rt_throttling(struct rg_changes *changes, struct rg_error *err)
{
	struct thread_search search = {.host = changes->host};

	rg_host_each(changes->host, look_at_thread, &search, "/proc/%s/task",
		     changes->host->process);
	return search.real_time ? rg_changes_set(changes, RT_RUNTIME, "-1", err) : RG_OK;
}

const struct rg_stage rg_stage_rt_throttling = {
	.name = "rt-throttling",
	.looks_at = RT_RUNTIME " and the scheduling class of the data plane's threads",
	.why = "It stops a real-time thread that never sleeps, which a worker is when it runs "
	       "under SCHED_FIFO or SCHED_RR. Under the ordinary class it does not matter.",
	.check = check_rt_throttling,
	.init = set_rt_throttling,
	.sets = "-1, when the data plane is scheduled as real-time",
	.needs = RG_NEEDS_SYSCTL,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the workers' cores: that they are theirs alone, at full speed and always awake. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/riskctl/doctor.h"

#define CPU "/sys/devices/system/cpu"

/* ---- which ---- */

static void check_cores(const struct rg_host *host, struct rg_findings *findings)
{
	const struct rg_config *config = host->config;
	char workers[RG_CPUS_TEXT_BYTES], refused[RG_CPUS_TEXT_BYTES];
	cpu_set_t beyond = rg_cpus_without(&host->workers, &host->allowed);

	if (!host->cores.worker_count) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "%s", host->cores_error.text),
			  "change dataplane.workers or dataplane.cores");
		return;
	}
	rg_cpus_format(&host->workers, workers, sizeof(workers));
	if (host->running)
		rg_found(findings, RG_SEVERITY_OK, "workers run on %s", workers);
	else if (host->cores.shared)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "workers on %s; the main thread shares core %u with one of them",
				   workers, host->cores.main),
			  "give dataplane.cores one core more than dataplane.workers");
	else if (strcmp(config->dataplane.cores, "auto") != 0 && rg_cpus_any(&beyond))
		rg_remedy(
			rg_found(findings, RG_SEVERITY_ADVICE,
				 "workers on %s; a process started from here may not use %s",
				 workers, rg_cpus_format(&beyond, refused, sizeof(refused))),
			"in the unit of riskgate-dataplane: CPUAffinity=%u %s; by hand: taskset -c "
			"%u,%s riskgate-dataplane",
			host->cores.main, workers, host->cores.main, workers);
	else
		rg_found(findings, RG_SEVERITY_OK, "workers on %s, the main thread on %u", workers,
			 host->cores.main);
}

const struct rg_stage rg_stage_cores = {
	.name = "cores",
	.looks_at =
		"dataplane.workers and dataplane.cores against the cores there are; of a running "
		"data plane, where its workers are",
	.why = "Each worker needs a core, and the main thread one that no worker has.",
	.check = check_cores,
};

/* ---- isolation ---- */

/* The value of key=LIST on the kernel's command line; flags before the list ("managed_irq,") are
 * skipped. False: it is not there. */
static bool boot_cpus(const struct rg_host *host, const char *key, cpu_set_t *cpus)
{
	char line[4 * RG_HOST_TEXT_BYTES], *at, *save = NULL;
	size_t bytes = strlen(key);

	CPU_ZERO(cpus);
	if (!rg_host_long_line(host, line, sizeof(line), "", "/proc/cmdline"))
		return false;
	for (at = strtok_r(line, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
		if (strncmp(at, key, bytes) != 0 || at[bytes] != '=')
			continue;
		at += bytes + 1;
		while (*at && (*at < '0' || *at > '9') && strchr(at, ','))
			at = strchr(at, ',') + 1;
		if (strcmp(at, "all") == 0)
			*cpus = host->online;
		return strcmp(at, "all") == 0 || rg_cpus_parse(at, cpus);
	}
	return false;
}

/* One remedy for what only the boot can set. */
static void boot_remedy(const struct rg_host *host, struct rg_finding *finding)
{
	char workers[RG_CPUS_TEXT_BYTES], others[RG_CPUS_TEXT_BYTES];

	rg_cpus_format(&host->workers, workers, sizeof(workers));
	rg_cpus_format(&host->others, others, sizeof(others));
	rg_remedy(finding,
		  "kernel command line: isolcpus=managed_irq,domain,%s nohz_full=%s rcu_nocbs=%s "
		  "irqaffinity=%s",
		  workers, workers, workers, others);
}

/* "core 1 is", "cores 2-5 are", into text[bytes]; returns text. */
static const char *cores_are(const cpu_set_t *cpus, char *text, size_t bytes)
{
	bool one = CPU_COUNT(cpus) == 1;
	char list[RG_CPUS_TEXT_BYTES];

	snprintf(text, bytes, "%s %s %s", one ? "core" : "cores",
		 rg_cpus_format(cpus, list, sizeof(list)), one ? "is" : "are");
	return text;
}

/* Every worker's core is in `have`; else a warning. */
static void check_covered(const struct rg_host *host, const cpu_set_t *have, const char *quality,
			  struct rg_findings *findings)
{
	cpu_set_t missing = rg_cpus_without(&host->workers, have);
	char text[RG_CPUS_TEXT_BYTES + 16];

	if (!rg_cpus_any(&missing))
		rg_found(findings, RG_SEVERITY_OK, "%s %s",
			 cores_are(&host->workers, text, sizeof(text)), quality);
	else
		boot_remedy(host, rg_found(findings, RG_SEVERITY_WARNING, "%s not %s",
					   cores_are(&missing, text, sizeof(text)), quality));
}

static void check_isolation(const struct rg_host *host, struct rg_findings *findings)
{
	cpu_set_t isolated;

	rg_host_cpus(host, &isolated, CPU "/isolated");
	check_covered(host, &isolated, "isolated", findings);
}

const struct rg_stage rg_stage_isolation = {
	.name = "isolation",
	.looks_at = CPU "/isolated, which isolcpus= sets",
	.why = "Without it the scheduler puts other threads on a worker's core; each turn of "
	       "theirs "
	       "is a pause of all requests of that worker.",
	.check = check_isolation,
};

static void check_nohz_full(const struct rg_host *host, struct rg_findings *findings)
{
	cpu_set_t full;

	if (!rg_host_cpus(host, &full, CPU "/nohz_full"))
		CPU_ZERO(&full);
	check_covered(host, &full, "free of the timer tick", findings);
}

const struct rg_stage rg_stage_nohz_full = {
	.name = "nohz-full",
	.looks_at = CPU "/nohz_full",
	.why = "Without it the timer interrupts each core 100 to 1000 times a second, also when "
	       "nothing else runs there.",
	.check = check_nohz_full,
};

static void check_rcu_nocbs(const struct rg_host *host, struct rg_findings *findings)
{
	cpu_set_t offloaded, full;

	boot_cpus(host, "rcu_nocbs", &offloaded);
	rg_host_cpus(host, &full, CPU "/nohz_full"); /* which implies it */
	CPU_OR(&offloaded, &offloaded, &full);
	check_covered(host, &offloaded, "free of the kernel's RCU callbacks", findings);
}

const struct rg_stage rg_stage_rcu_nocbs = {
	.name = "rcu-nocbs",
	.looks_at = "rcu_nocbs= on the kernel's command line, which nohz_full= implies",
	.why = "Callbacks of the kernel's RCU run in softirqs of the core that made them, tens of "
	       "microseconds at a time.",
	.check = check_rcu_nocbs,
};

/* ---- siblings ---- */

static void check_smt(const struct rg_host *host, struct rg_findings *findings)
{
	cpu_set_t siblings, shared, busy;
	char list[RG_CPUS_TEXT_BYTES];
	uint32_t found = 0;

	CPU_ZERO(&busy);
	for (uint32_t w = 0; w < host->cores.worker_count; w++) {
		unsigned cpu = host->cores.worker[w];

		if (!rg_host_cpus(host, &siblings, CPU "/cpu%u/topology/thread_siblings_list", cpu))
			continue;
		CPU_CLR(cpu, &siblings);
		siblings = rg_cpus_both(&siblings, &host->online);
		shared = rg_cpus_both(&siblings, &host->workers);
		if (rg_cpus_any(&shared)) {
			rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
					   "workers on %u and %s share one physical core", cpu,
					   rg_cpus_format(&shared, list, sizeof(list))),
				  "name cores in dataplane.cores that are no siblings (lscpu -e)");
			found++;
		}
		CPU_OR(&busy, &busy, &siblings);
	}
	busy = rg_cpus_without(&busy, &host->workers);
	if (rg_cpus_any(&busy)) {
		rg_cpus_format(&busy, list, sizeof(list));
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "physical cores are shared between workers and %s: whatever "
				   "runs there slows "
				   "them",
				   list),
			  "for c in $(echo %s | tr , ' '); do echo 0 > " CPU
			  "/cpu$c/online; done; or nosmt on the kernel command line",
			  list);
	} else if (!found) {
		rg_found(findings, RG_SEVERITY_OK, "no worker shares a physical core");
	}
}

const struct rg_stage rg_stage_smt = {
	.name = "smt-siblings",
	.looks_at = "thread_siblings_list of the workers' cores",
	.why = "Two hardware threads of a core share its caches and execution units: the other one "
	       "takes up to half of a worker's speed, when it pleases.",
	.check = check_smt,
};

/* ---- frequency ---- */

#define GOVERNOR CPU "/cpu%u/cpufreq/scaling_governor"

static void check_governor(const struct rg_host *host, struct rg_findings *findings)
{
	char text[RG_HOST_TEXT_BYTES], other[RG_HOST_TEXT_BYTES] = "", list[RG_CPUS_TEXT_BYTES];
	cpu_set_t slow;
	uint32_t known = 0;

	CPU_ZERO(&slow);
	for (uint32_t w = 0; w < host->cores.worker_count; w++) {
		if (!rg_host_read(host, text, GOVERNOR, host->cores.worker[w]))
			continue;
		known++;
		if (strcmp(text, "performance") == 0)
			continue;
		CPU_SET(host->cores.worker[w], &slow);
		memcpy(other, text, sizeof(other));
	}
	rg_cpus_format(&slow, list, sizeof(list));
	if (!known)
		rg_found(findings, RG_SEVERITY_OK,
			 "the kernel does not set frequencies here: the firmware or the hypervisor "
			 "does");
	else if (!rg_cpus_any(&slow))
		rg_found(findings, RG_SEVERITY_OK, "performance");
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "%.40s, on workers' cores: %s",
				   other, list),
			  "cpupower -c %s frequency-set -g performance", list);
}

static int set_governor(struct rg_changes *changes, struct rg_error *err)
{
	const struct rg_host *host = changes->host;
	int result = RG_OK;
	char path[120];

	for (uint32_t w = 0; w < host->cores.worker_count; w++) {
		snprintf(path, sizeof(path), GOVERNOR, host->cores.worker[w]);
		if (rg_host_exists(host, "%s", path) &&
		    rg_changes_set(changes, path, "performance", err))
			result = err->status;
	}
	return result;
}

const struct rg_stage rg_stage_governor = {
	.name = "governor",
	.looks_at = "scaling_governor of the workers' cores",
	.why = "Other governors lower the frequency and raise it again when load comes: the first "
	       "requests after a quiet moment are the slow ones.",
	.check = check_governor,
	.init = set_governor,
	.sets = "performance, on the workers' cores",
	.needs = RG_NEEDS_FILE,
};

/* ---- sleep ---- */

/* Waking up may take as long as deciding a few requests, no longer. */
#define LATENCY_US_MAX 10

struct sleep_states {
	const struct rg_host *host;
	unsigned cpu;
	cpu_set_t *deep;	       /* cores with a state that is too deep */
	char name[RG_HOST_TEXT_BYTES]; /* of the deepest */
	int64_t latency_us;	       /* of it */
	struct rg_changes *changes;    /* disable them; NULL: only look */
	struct rg_error *err;
	int result;
};

static void look_at_state(void *context, const char *state)
{
	struct sleep_states *states = context;
	int64_t latency_us, disabled = 0;
	char path[160];

	if (strncmp(state, "state", 5) != 0 ||
	    !rg_host_number(states->host, &latency_us, CPU "/cpu%u/cpuidle/%s/latency", states->cpu,
			    state) ||
	    latency_us <= LATENCY_US_MAX)
		return;
	snprintf(path, sizeof(path), CPU "/cpu%u/cpuidle/%s/disable", states->cpu, state);
	rg_host_number(states->host, &disabled, "%s", path);
	if (disabled)
		return;
	if (states->changes) {
		if (rg_changes_set(states->changes, path, "1", states->err))
			states->result = states->err->status;
		return;
	}
	CPU_SET(states->cpu, states->deep);
	if (latency_us < states->latency_us)
		return;
	states->latency_us = latency_us;
	rg_host_read(states->host, states->name, CPU "/cpu%u/cpuidle/%s/name", states->cpu, state);
}

static void look_at_states(struct sleep_states *states)
{
	for (uint32_t w = 0; w < states->host->cores.worker_count; w++) {
		states->cpu = states->host->cores.worker[w];
		rg_host_each(states->host, look_at_state, states, CPU "/cpu%u/cpuidle",
			     states->cpu);
	}
}

/* What a process holds by having /dev/cpu_dma_latency open: four bytes, microseconds. */
static bool held_latency_us(const struct rg_host *host, int32_t *latency_us)
{
	char path[512];
	FILE *file = fopen(rg_host_path(host, path, sizeof(path), "/dev/cpu_dma_latency"), "re");
	bool known = file && fread(latency_us, sizeof(*latency_us), 1, file) == 1;

	if (file)
		fclose(file);
	return known;
}

static void check_c_states(const struct rg_host *host, struct rg_findings *findings)
{
	bool sleeps = host->config->dataplane.idle_sleep_us;
	char list[RG_CPUS_TEXT_BYTES];
	cpu_set_t deep;
	struct sleep_states states = {.host = host, .deep = &deep};
	int32_t held_us;

	CPU_ZERO(&deep);
	look_at_states(&states);
	if (!rg_cpus_any(&deep)) {
		rg_found(findings, RG_SEVERITY_OK, "none that takes more than %d us to wake from",
			 LATENCY_US_MAX);
		return;
	}
	rg_cpus_format(&deep, list, sizeof(list));
	if (held_latency_us(host, &held_us) && held_us >= 0 && held_us <= LATENCY_US_MAX) {
		rg_found(findings, RG_SEVERITY_OK,
			 "cores %s have %.40s (%" PRId64 " us), and a process holds "
			 "/dev/cpu_dma_latency at %d us",
			 list, states.name, states.latency_us, held_us);
		return;
	}
	rg_remedy(
		rg_found(findings, sleeps ? RG_SEVERITY_WARNING : RG_SEVERITY_ADVICE,
			 "cores %s may sleep in %.40s, %" PRId64 " us to wake from%s", list,
			 states.name, states.latency_us,
			 sleeps ? "; dataplane.idle_sleep_us lets them"
				: ", when no worker spins there"),
		"cpupower -c %s idle-set -D %d; for the whole machine hold it, as tuned does: exec "
		"3> /dev/cpu_dma_latency; printf '\\0\\0\\0\\0' >&3",
		list, LATENCY_US_MAX);
}

static int set_c_states(struct rg_changes *changes, struct rg_error *err)
{
	struct sleep_states states = {.host = changes->host, .changes = changes, .err = err};

	look_at_states(&states);
	return states.result;
}

const struct rg_stage rg_stage_c_states = {
	.name = "c-states",
	.looks_at =
		"latency and disable of each cpuidle state of the workers' cores, and what holds "
		"/dev/cpu_dma_latency",
	.why = "A worker that sleeps when idle (dataplane.idle_sleep_us), or a core that is taken "
	       "from a sleep, first has to wake: up to hundreds of microseconds.",
	.check = check_c_states,
	.init = set_c_states,
	.sets = "disable = 1 of states deeper than 10 us, on the workers' cores",
	.needs = RG_NEEDS_FILE,
};

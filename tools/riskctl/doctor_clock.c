/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of clocks: workers read the time stamp counter, records hold unix time. */
#include <inttypes.h>
#include <string.h>
#include <sys/timex.h>

#include "tools/riskctl/doctor.h"

#define NS_PER_MS 1000000

/* ---- the time stamp counter ---- */

static bool has_word(const char *text, const char *word)
{
	size_t bytes = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || at[-1] == ' ') && (at[bytes] == ' ' || !at[bytes]))
			return true;
	return false;
}

static void check_tsc(const struct rg_host *host, struct rg_findings *findings)
{
	static const char *const needed[] = {"constant_tsc", "nonstop_tsc"};
	char flags[4 * RG_HOST_TEXT_BYTES];

	if (!rg_host_long_line(host, flags, sizeof(flags), "flags", "/proc/cpuinfo")) {
		rg_found(findings, RG_SEVERITY_OK,
			 "not an x86 processor: its generic timer is of constant rate");
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (has_word(flags, needed[i]))
			continue;
		rg_remedy(
			rg_found(findings, RG_SEVERITY_WARNING,
				 "the processor does not promise it: /proc/cpuinfo lacks %s",
				 needed[i]),
			"in a virtual machine let the hypervisor pass it through (libvirt: <cpu "
			"mode='host-passthrough'><feature policy='require' name='invtsc'/></cpu>); "
			"else use another processor");
		return;
	}
	rg_found(findings, RG_SEVERITY_OK, "constant_tsc and nonstop_tsc");
}

const struct rg_stage rg_stage_tsc = {
	.name = "invariant-tsc",
	.looks_at = "constant_tsc and nonstop_tsc in /proc/cpuinfo",
	.why = "Workers take all times from the time stamp counter. Where its rate changes, or it "
	       "stops, latencies and receive times are wrong.",
	.check = check_tsc,
};

/* ---- clock source ---- */

#define CLOCK_SOURCE "/sys/devices/system/clocksource/clocksource0"

static void check_clock_source(const struct rg_host *host, struct rg_findings *findings)
{
	char now[RG_HOST_TEXT_BYTES], available[RG_HOST_TEXT_BYTES];

	if (!rg_host_read(host, now, CLOCK_SOURCE "/current_clocksource")) {
		rg_found(findings, RG_SEVERITY_ADVICE, "the kernel does not tell it");
		return;
	}
	if (strcmp(now, "tsc") == 0 || strcmp(now, "arch_sys_counter") == 0) {
		rg_found(findings, RG_SEVERITY_OK, "%s", now);
		return;
	}
	rg_host_read(host, available, CLOCK_SOURCE "/available_clocksource");
	if (has_word(available, "tsc"))
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "%s, and tsc is available", now),
			  "echo tsc > " CLOCK_SOURCE "/current_clocksource");
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "%s: the kernel does not trust the time stamp counter (dmesg "
				   "says why)",
				   now),
			  "kernel command line: clocksource=tsc tsc=reliable, if dmesg's reason is "
			  "known to be harmless");
}

const struct rg_stage rg_stage_clock_source = {
	.name = "clock-source",
	.looks_at = CLOCK_SOURCE "/current_clocksource",
	.why = "Reading the clock without the time stamp counter is a system call or an access to "
	       "the hypervisor or the chipset: riskgate-control, load generators and probes "
	       "measure that instead.",
	.check = check_clock_source,
};

/* ---- discipline ---- */

#define MAX_ERROR_NS (100 * (int64_t)NS_PER_MS)
#define OFFSET_NS    (1 * (int64_t)NS_PER_MS)
#define RATE_PPM     100.0

void rg_judge_clock(const struct rg_clock_discipline *clock, struct rg_findings *findings)
{
	static const char remedy[] = "run chrony or another NTP or PTP client, and look at what it "
				     "says (chronyc tracking)";
	int64_t offset_ns = clock->offset_ns < 0 ? -clock->offset_ns : clock->offset_ns;
	double rate_ppm = clock->rate_ppm < 0 ? -clock->rate_ppm : clock->rate_ppm;

	if (!clock->synchronized)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "nobody keeps the clock: the kernel's state is unsynchronized"),
			  "%s", remedy);
	else if (clock->max_error_ns > MAX_ERROR_NS || offset_ns > OFFSET_NS)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "kept, but not well: off by %" PRId64
				   " us, and perhaps by %" PRId64 " ms",
				   clock->offset_ns / 1000, clock->max_error_ns / NS_PER_MS),
			  "%s", remedy);
	else if (rate_ppm > RATE_PPM)
		rg_remedy(
			rg_found(findings, RG_SEVERITY_ADVICE,
				 "kept, %+.1f ppm beside the time stamp counter: the processor's "
				 "clock is poor",
				 clock->rate_ppm),
			"kernel command line: tsc=reliable is no help; let the hypervisor give the "
			"right frequency, or keep the clock with PTP");
	else
		rg_found(findings, RG_SEVERITY_OK,
			 "kept: off by %" PRId64 " us, at most by %" PRId64
			 " ms, %+.1f ppm beside the time stamp counter",
			 clock->offset_ns / 1000, clock->max_error_ns / NS_PER_MS, clock->rate_ppm);
}

static void check_clock_sync(const struct rg_host *host, struct rg_findings *findings)
{
	struct timex state = {.modes = 0};
	struct rg_clock_discipline clock;
	int answer;

	if (*host->root) {
		rg_found(findings, RG_SEVERITY_OK, "not looked at: no file tells it");
		return;
	}
	answer = adjtimex(&state);
	if (answer < 0) {
		rg_found(findings, RG_SEVERITY_ADVICE, "adjtimex is refused: not known");
		return;
	}
	clock = (struct rg_clock_discipline){
		.synchronized = answer != TIME_ERROR && !(state.status & STA_UNSYNC),
		.offset_ns = state.status & STA_NANO ? state.offset : state.offset * 1000,
		.max_error_ns = state.maxerror * 1000,
		.rate_ppm = (double)state.freq / 65536,
	};
	rg_judge_clock(&clock, findings);
}

const struct rg_stage rg_stage_clock_sync = {
	.name = "clock-sync",
	.looks_at =
		"the kernel's clock discipline (adjtimex): whether anybody keeps it, its offset, "
		"and how far CLOCK_REALTIME runs beside the time stamp counter",
	.why = "Receive times are unix time made from the time stamp counter. Records of several "
	       "machines are put in order by them, and age limits are judged by them.",
	.check = check_clock_sync,
};

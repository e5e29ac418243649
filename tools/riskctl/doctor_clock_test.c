/* SPDX-License-Identifier: Apache-2.0 */
/* What is found of the kernel's clock discipline, which no tree of files can play. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tools/riskctl/doctor.h"

#define NS_PER_MS 1000000

static void judge(struct rg_clock_discipline clock, enum rg_severity severity, const char *words)
{
	struct rg_findings findings = {.stage = &rg_stage_clock_sync};

	rg_judge_clock(&clock, &findings);
	assert(findings.count == 1 && findings.items[0].stage == &rg_stage_clock_sync);
	if (findings.items[0].severity != severity || !strstr(findings.items[0].text, words)) {
		fprintf(stderr, "%s: %s\n", rg_severity_name(findings.items[0].severity),
			findings.items[0].text);
		assert(!"another finding");
	}
	assert(!findings.items[0].remedy[0] == (severity == RG_SEVERITY_OK));
	rg_findings_free(&findings);
}

int main(void)
{
	judge((struct rg_clock_discipline){.synchronized = true,
					   .offset_ns = -12000,
					   .max_error_ns = 7 * NS_PER_MS,
					   .rate_ppm = -3.25},
	      RG_SEVERITY_OK, "off by -12 us, at most by 7 ms, -3.2 ppm");
	judge((struct rg_clock_discipline){.synchronized = false}, RG_SEVERITY_WARNING, "nobody");
	/* Kept, but far away: either way, and of what it says it may be. */
	judge((struct rg_clock_discipline){.synchronized = true, .offset_ns = -2 * NS_PER_MS},
	      RG_SEVERITY_WARNING, "off by -2000 us");
	judge((struct rg_clock_discipline){.synchronized = true, .offset_ns = 2 * NS_PER_MS},
	      RG_SEVERITY_WARNING, "off by 2000 us");
	judge((struct rg_clock_discipline){.synchronized = true, .max_error_ns = 101ll * NS_PER_MS},
	      RG_SEVERITY_WARNING, "perhaps by 101 ms");
	judge((struct rg_clock_discipline){.synchronized = true, .max_error_ns = 100ll * NS_PER_MS},
	      RG_SEVERITY_OK, "at most by 100 ms");
	judge((struct rg_clock_discipline){.synchronized = true, .rate_ppm = -250},
	      RG_SEVERITY_ADVICE, "-250.0 ppm");
	return 0;
}

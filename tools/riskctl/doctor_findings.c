/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of riskctl doctor found. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/riskctl/doctor.h"

const char *rg_severity_name(enum rg_severity severity)
{
	static const char *const names[] = {"ok", "advice", "warning", "error"};

	return names[severity];
}

void rg_findings_free(struct rg_findings *findings)
{
	free(findings->items);
	*findings = (struct rg_findings){0};
}

struct rg_finding *rg_found(struct rg_findings *findings, enum rg_severity severity,
			    const char *format, ...)
{
	static struct rg_finding nowhere; /* takes what there is no memory for */
	struct rg_finding *finding = &nowhere;
	va_list args;

	if (findings->count == findings->capacity) {
		uint32_t capacity = 2 * findings->capacity + 32;
		struct rg_finding *larger =
			realloc(findings->items, capacity * sizeof(*findings->items));

		if (larger) {
			findings->items = larger;
			findings->capacity = capacity;
		}
	}
	if (findings->count < findings->capacity)
		finding = &findings->items[findings->count++];
	else
		findings->no_memory = true;
	finding->stage = findings->stage;
	finding->severity = severity;
	finding->remedy[0] = '\0';
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	return finding;
}

void rg_remedy(struct rg_finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->remedy, sizeof(finding->remedy), format, args);
	va_end(args);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go's time layouts: "Mon Jan 2 15:04:05 MST 2006" written the way a time shall look. Source: Go
 * time/format.go.
 *
 * Thread-safety: pure functions.
 */
#ifndef RG_POLICY_BUILTIN_TIME_LAYOUT_H
#define RG_POLICY_BUILTIN_TIME_LAYOUT_H

#include "policy/builtin/zone.h"
#include "policy/eval/value_text.h"

/* A moment taken apart in some zone. */
struct rg_clock_time {
	int64_t year;
	int month, day, hour, minute, second, nanosecond;
	int weekday; /* 0: Sunday */
	struct rg_zone_offset zone;
};

void rg_clock_time_of(int64_t unix_ns, const struct rg_zone *zone, struct rg_clock_time *out);
/* The layout that a name like "RFC3339" stands for, or the text itself. */
const char *rg_time_layout_named(const char *layout, size_t bytes, size_t *out_bytes);
void rg_time_format(struct rg_builder *builder, const struct rg_clock_time *t, const char *layout,
		    size_t bytes);

/* Seconds since 1970 and nanoseconds of a text in some layout. False: `why` says what does not
 * fit. */
bool rg_time_parse(const char *layout, size_t layout_bytes, const char *text, size_t bytes,
		   int64_t *unix_s, int *nanosecond, char *why, size_t why_bytes);

#endif

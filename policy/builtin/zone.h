/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones, from tables that are part of the program (scripts/time-zones makes them from the
 * build machine's database): no file is read while a request waits.
 *
 * Thread-safety: pure functions over constant tables.
 */
#ifndef RG_POLICY_BUILTIN_ZONE_H
#define RG_POLICY_BUILTIN_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What holds in a zone at some moment: seconds east of UTC, and the abbreviation. */
struct rg_zone_offset {
	int32_t offset_s;
	const char *abbreviation;
};

struct rg_zone; /* NULL: UTC */

/* The zone of that name ("Europe/Berlin"); *found tells whether there is one. "", "UTC" and
 * "Local" are UTC. */
const struct rg_zone *rg_zone_find(const char *name, size_t bytes, bool *found);
/* What holds at unix_s seconds since 1970. Source: RFC 8536. */
struct rg_zone_offset rg_zone_at(const struct rg_zone *zone, int64_t unix_s);

/* The next second behind unix_s at which something else may hold; INT64_MAX: there is none. */
int64_t rg_zone_next(const struct rg_zone *zone, int64_t unix_s);

/* ---- the calendar (proleptic Gregorian) ---- */

/* Days since 1 January 1970 of a date; month and day may be out of range. */
int64_t rg_days_from_date(int64_t year, int64_t month, int64_t day);
/* The date of that day. */
void rg_date_from_days(int64_t days, int64_t *year, int *month, int *day);
/* Days of a month, 1..12. */
int rg_days_in_month(int64_t year, int month);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/builtin/zone.h"

#include <string.h>

struct zone_type {
	int32_t offset_s;
	char abbreviation[8];
};

/* A day like "the last Sunday of October" (month, week 1..5, day 0 = Sunday), and seconds after
 * its midnight. */
struct zone_date {
	int month, week, day, seconds;
};

/* What holds behind the last transition. */
struct zone_rule {
	struct zone_type standard, daylight;
	bool has_daylight;
	struct zone_date start, end;
};

struct rg_zone {
	uint32_t times_first, times_count, types_first;
	uint32_t first_type; /* before the first transition */
	int32_t rule;	     /* -1: none */
};

struct zone_name {
	const char *name;
	uint32_t zone;
};

#include "zone_tables.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))
#define DAY_S	     86400

const struct rg_zone *rg_zone_find(const char *name, size_t bytes, bool *found)
{
	size_t low = 0, high = COUNT(zone_names);

	*found = true;
	if (!bytes || (bytes == 3 && !memcmp(name, "UTC", 3)) ||
	    (bytes == 5 && !memcmp(name, "Local", 5)))
		return NULL;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strncmp(zone_names[middle].name, name, bytes);

		if (!order)
			order = zone_names[middle].name[bytes] != '\0';
		if (!order)
			return &zones[zone_names[middle].zone];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = false;
	return NULL;
}

/* ---- the calendar ---- */

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Source: H. Hinnant, "chrono-compatible low-level date algorithms": years begin in March, eras
 * have 400. */
int64_t rg_days_from_date(int64_t year, int64_t month, int64_t day)
{
	int64_t era, year_of_era, day_of_year;

	year += floor_divide(month - 1, 12);
	month = month - 1 - 12 * floor_divide(month - 1, 12) + 1;
	year -= month <= 2;
	era = floor_divide(year, 400);
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468 + day - 1;
}

void rg_date_from_days(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t era, day_of_era, year_of_era, day_of_year, shifted;

	days += 719468;
	era = floor_divide(days, 146097);
	day_of_era = days - era * 146097;
	year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	shifted = (5 * day_of_year + 2) / 153;
	*day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

int rg_days_in_month(int64_t year, int month)
{
	return (int)(rg_days_from_date(year, month + 1, 1) - rg_days_from_date(year, month, 1));
}

/* ---- offsets ---- */

/* The moment a rule's date names in a year, in local seconds since 1970. */
static int64_t rule_seconds(const struct zone_date *date, int64_t year)
{
	int64_t first = rg_days_from_date(year, date->month, 1), weekday = (first + 4) % 7, day;

	if (weekday < 0)
		weekday += 7;
	day = first + (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
	while (day >= first + rg_days_in_month(year, date->month))
		day -= 7;
	return day * DAY_S + date->seconds;
}

static const struct zone_type *rule_type(const struct zone_rule *rule, int64_t unix_s)
{
	int64_t year, start, end;
	int month, day;
	bool daylight;

	if (!rule->has_daylight)
		return &rule->standard;
	rg_date_from_days(floor_divide(unix_s + rule->standard.offset_s, DAY_S), &year, &month,
			  &day);
	start = rule_seconds(&rule->start, year) - rule->standard.offset_s;
	end = rule_seconds(&rule->end, year) - rule->daylight.offset_s;
	daylight = start < end ? unix_s >= start && unix_s < end : unix_s >= start || unix_s < end;
	return daylight ? &rule->daylight : &rule->standard;
}

/* Number of the zone's first transition behind unix_s. */
static uint32_t transition_behind(const struct rg_zone *zone, int64_t unix_s)
{
	const int64_t *times = zone_times + zone->times_first;
	uint32_t low = 0, high = zone->times_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (times[middle] <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct rg_zone_offset rg_zone_at(const struct rg_zone *zone, int64_t unix_s)
{
	const struct zone_type *type;
	uint32_t behind;

	if (!zone)
		return (struct rg_zone_offset){0, "UTC"};
	behind = transition_behind(zone, unix_s);
	if (behind == zone->times_count && zone->rule >= 0)
		type = rule_type(&zone_rules[zone->rule], unix_s);
	else
		type = &zone_types[zone->types_first +
				   (behind ? zone_time_types[zone->times_first + behind - 1]
					   : zone->first_type)];
	return (struct rg_zone_offset){type->offset_s, type->abbreviation};
}

/* The rule looks at the year by standard time: what it says may change there too. */
static int64_t rule_next(const struct zone_rule *rule, int64_t unix_s)
{
	int64_t next = INT64_MAX, year;
	int month, day;

	if (!rule->has_daylight)
		return next;
	rg_date_from_days(floor_divide(unix_s + rule->standard.offset_s, DAY_S), &year, &month,
			  &day);
	for (int64_t y = year - 1; y <= year + 2; y++) {
		const int64_t moments[] = {rule_seconds(&rule->start, y) - rule->standard.offset_s,
					   rule_seconds(&rule->end, y) - rule->daylight.offset_s,
					   rg_days_from_date(y, 1, 1) * DAY_S -
						   rule->standard.offset_s};

		for (size_t i = 0; i < COUNT(moments); i++) {
			if (moments[i] > unix_s && moments[i] < next)
				next = moments[i];
		}
	}
	return next;
}

int64_t rg_zone_next(const struct rg_zone *zone, int64_t unix_s)
{
	uint32_t behind;

	if (!zone)
		return INT64_MAX;
	behind = transition_behind(zone, unix_s);
	if (behind < zone->times_count)
		return zone_times[zone->times_first + behind];
	return zone->rule >= 0 ? rule_next(&zone_rules[zone->rule], unix_s) : INT64_MAX;
}

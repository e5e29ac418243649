/* SPDX-License-Identifier: Apache-2.0 */
/* time.*. Source: OPA v1/topdown/time.go; Go package time. */
#include <string.h>

#include "policy/builtin/family.h"
#include "policy/builtin/time_layout.h"

#define SECOND_NS 1000000000ll

static enum rg_builtin_result now_ns(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	return rg_builtin_give(call, result, rg_int(call->now_ns));
}

/* Seconds and nanoseconds as nanoseconds, if that fits: years 1677 to 2262. */
static enum rg_builtin_result give_moment(struct rg_builtin_call *call, int64_t unix_s,
					  int nanosecond, struct rg_value *result)
{
	__int128 ns = (__int128)unix_s * SECOND_NS + nanosecond;

	if (ns < INT64_MIN || ns > INT64_MAX)
		return rg_builtin_fail(call, "time outside of valid range");
	return rg_builtin_give(call, result, rg_int((int64_t)ns));
}

/* ---- operands: ns, or [ns, zone], or [ns, zone, layout] ---- */

struct moment {
	int64_t ns;
	const struct rg_zone *zone;
	struct rg_value layout; /* undefined: not given */
};

static bool string_at(struct rg_builtin_call *call, struct rg_value array, uint32_t i,
		      struct rg_value *out, enum rg_builtin_result *error)
{
	*out = rg_array_at(call->heap, array, i);
	if (out->type == RG_STRING)
		return true;
	*error = rg_builtin_operand(call, 1, *out, "string");
	return false;
}

static bool read_moment(struct rg_builtin_call *call, struct rg_value v, struct moment *out,
			enum rg_builtin_result *error)
{
	struct rg_value number = v, name;
	uint32_t count = v.type == RG_ARRAY ? rg_count(call->heap, v) : 0;
	bool found;

	*out = (struct moment){0};
	if (count)
		number = rg_array_at(call->heap, v, 0);
	if (v.type != RG_NUMBER && !count) {
		*error = rg_builtin_operand(call, 1, v,
					    "either number (ns) or [number (ns), string (tz)]");
		return false;
	}
	if (number.type != RG_NUMBER) {
		*error = rg_builtin_operand(call, 1, number, "number");
		return false;
	}
	if (count > 1) {
		if (!string_at(call, v, 1, &name, error))
			return false;
		out->zone = rg_zone_find(rg_text(call->heap, name), name.length, &found);
		if (!found) {
			*error = rg_builtin_fail(call, "unknown time zone %.*s", (int)name.length,
						 rg_text(call->heap, name));
			return false;
		}
	}
	if (count > 2 && !string_at(call, v, 2, &out->layout, error))
		return false;
	if (!rg_number_to_int64(call->heap, number, &out->ns)) {
		*error = rg_builtin_fail(call, "timestamp too big");
		return false;
	}
	return true;
}

static bool read_clock_time(struct rg_builtin_call *call, struct rg_value v,
			    struct rg_clock_time *out, enum rg_builtin_result *error)
{
	struct moment moment;

	if (!read_moment(call, v, &moment, error))
		return false;
	rg_clock_time_of(moment.ns, moment.zone, out);
	return true;
}

static enum rg_builtin_result give_numbers(struct rg_builtin_call *call, struct rg_value *result,
					   const int64_t *numbers, uint32_t count)
{
	struct rg_value array = rg_array(call->heap, count);

	for (uint32_t i = 0; i < count && rg_is_defined(array); i++)
		rg_array_append(call->heap, array, rg_int(numbers[i]));
	return rg_builtin_give(call, result, array);
}

/* ---- parts of a moment ---- */

static enum rg_builtin_result date(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_clock_time t;

	if (!read_clock_time(call, args[0], &t, &error))
		return error;
	return give_numbers(call, result, (int64_t[]){t.year, t.month, t.day}, 3);
}

static enum rg_builtin_result clock_of(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_clock_time t;

	if (!read_clock_time(call, args[0], &t, &error))
		return error;
	return give_numbers(call, result, (int64_t[]){t.hour, t.minute, t.second}, 3);
}

static enum rg_builtin_result weekday(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_builder builder;
	struct rg_clock_time t;

	if (!read_clock_time(call, args[0], &t, &error))
		return error;
	rg_builder_init(&builder, call->heap);
	rg_time_format(&builder, &t, "Monday", 6);
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static enum rg_builtin_result format(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	const char *layout = "RFC3339Nano";
	size_t bytes = strlen(layout);
	enum rg_builtin_result error;
	struct rg_builder builder;
	struct rg_clock_time t;
	struct moment moment;

	if (!read_moment(call, args[0], &moment, &error))
		return error;
	if (rg_is_defined(moment.layout) && moment.layout.length) {
		layout = rg_text(call->heap, moment.layout);
		bytes = moment.layout.length;
	}
	if (!rg_builtin_charge(call, bytes / 4))
		return RG_BUILTIN_ERROR;
	layout = rg_time_layout_named(layout, bytes, &bytes);
	rg_clock_time_of(moment.ns, moment.zone, &t);
	rg_builder_init(&builder, call->heap);
	rg_time_format(&builder, &t, layout, bytes);
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

/* ---- reckoning ---- */

/* Years, months and days beyond this are out of range whatever they are added to. */
#define CALENDAR_STEP_MAX 10000000

static enum rg_builtin_result add_date(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	int64_t step[3], local;
	enum rg_builtin_result error;
	struct rg_clock_time t;
	struct moment moment;

	if (!read_moment(call, args[0], &moment, &error))
		return error;
	for (int i = 0; i < 3; i++) {
		if (!rg_builtin_int(call, args, i + 2, &step[i], &error))
			return error;
		if (step[i] > CALENDAR_STEP_MAX || step[i] < -CALENDAR_STEP_MAX)
			return rg_builtin_fail(call, "time outside of valid range");
	}
	rg_clock_time_of(moment.ns, moment.zone, &t);
	local = rg_days_from_date(t.year + step[0], t.month + step[1], t.day + step[2]) * 86400 +
		t.hour * 3600 + t.minute * 60 + t.second;
	if (moment.zone) { /* the offset may be another one there: as Go's time.Date, guess and correct once */
		int64_t guess = local - rg_zone_at(moment.zone, local).offset_s;

		local -= rg_zone_at(moment.zone, guess).offset_s;
	}
	return give_moment(call, local, t.nanosecond, result);
}

/* Years, months, days, hours, minutes and seconds between two moments, on the calendar of the
 * first one's zone. */
static enum rg_builtin_result diff(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_clock_time from, to;
	struct moment a, b;
	int64_t d[6];

	if (!read_moment(call, args[0], &a, &error) || !read_moment(call, args[1], &b, &error))
		return error;
	rg_clock_time_of(a.ns < b.ns ? a.ns : b.ns, a.zone, &from);
	rg_clock_time_of(a.ns < b.ns ? b.ns : a.ns, a.zone, &to);
	d[0] = to.year - from.year;
	d[1] = to.month - from.month;
	d[2] = to.day - from.day;
	d[3] = to.hour - from.hour;
	d[4] = to.minute - from.minute;
	d[5] = to.second - from.second;
	if (d[5] < 0) {
		d[5] += 60;
		d[4]--;
	}
	if (d[4] < 0) {
		d[4] += 60;
		d[3]--;
	}
	if (d[3] < 0) {
		d[3] += 24;
		d[2]--;
	}
	if (d[2] < 0) {
		d[2] += rg_days_in_month(from.year, from.month);
		d[1]--;
	}
	if (d[1] < 0) {
		d[1] += 12;
		d[0]--;
	}
	return give_numbers(call, result, d, 6);
}

/* ---- texts ---- */

static enum rg_builtin_result parse_layout(struct rg_builtin_call *call, const char *layout,
					   size_t layout_bytes, struct rg_value text,
					   struct rg_value *result)
{
	int64_t unix_s;
	char why[512];
	int nanosecond;

	if (!rg_builtin_charge(call, layout_bytes / 4 + text.length / 4))
		return RG_BUILTIN_ERROR;
	if (!rg_time_parse(layout, layout_bytes, rg_text(call->heap, text), text.length, &unix_s,
			   &nanosecond, why, sizeof(why)))
		return rg_builtin_fail(call, "%s", why);
	return give_moment(call, unix_s, nanosecond, result);
}

static enum rg_builtin_result parse_ns(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	const char *layout;
	size_t bytes;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	layout = rg_time_layout_named(rg_text(call->heap, args[0]), args[0].length, &bytes);
	return parse_layout(call, layout, bytes, args[1], result);
}

static enum rg_builtin_result parse_rfc3339_ns(struct rg_builtin_call *call,
					       const struct rg_value *args, struct rg_value *result)
{
	static const char layout[] = "2006-01-02T15:04:05Z07:00";

	RG_OPERAND(1, STRING, "string");
	return parse_layout(call, layout, sizeof(layout) - 1, args[0], result);
}

/* The unit at *at: nanoseconds, and *at behind it; 0: there is none. */
static uint64_t duration_unit(const char **at, const char *end)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1},	      {"us", 1000},	 {"\302\265s", 1000}, {"\316\274s", 1000},
		     {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000}};
	const char *stop = *at;
	uint64_t found = 0;

	while (stop < end && *stop != '.' && (*stop < '0' || *stop > '9'))
		stop++;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		size_t bytes = strlen(units[i].name);

		if ((size_t)(stop - *at) == bytes && !memcmp(*at, units[i].name, bytes))
			found = units[i].ns;
	}
	*at = stop;
	return found;
}

/* One number with its unit, added to *total. Source: Go time.ParseDuration. */
static bool add_duration(const char **at, const char *end, uint64_t *total)
{
	uint64_t whole = 0, fraction = 0, unit;
	bool digits = false;
	double scale = 1;

	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
		digits = true;
		if (whole > ((uint64_t)1 << 63) / 10)
			return false;
		whole = whole * 10 + (uint64_t)(**at - '0');
		if (whole > (uint64_t)1 << 63)
			return false;
	}
	if (*at < end && **at == '.') {
		bool overflow = false;

		for ((*at)++; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
			digits = true;
			overflow = overflow || fraction > (((uint64_t)1 << 63) - 10) / 10;
			if (overflow)
				continue;
			fraction = fraction * 10 + (uint64_t)(**at - '0');
			scale *= 10;
		}
	}
	unit = digits ? duration_unit(at, end) : 0;
	if (!unit || whole > ((uint64_t)1 << 63) / unit)
		return false;
	whole *= unit;
	if (fraction)
		whole += (uint64_t)((double)fraction * ((double)unit / scale));
	*total += whole;
	return whole <= (uint64_t)1 << 63 && *total <= (uint64_t)1 << 63;
}

static enum rg_builtin_result parse_duration_ns(struct rg_builtin_call *call,
						const struct rg_value *args,
						struct rg_value *result)
{
	const char *at, *end;
	uint64_t total = 0;
	bool negative, good;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 4))
		return RG_BUILTIN_ERROR;
	at = rg_text(call->heap, args[0]);
	end = at + args[0].length;
	negative = at < end && *at == '-';
	at += at < end && (*at == '-' || *at == '+');
	if (end - at == 1 && *at == '0')
		return rg_builtin_give(call, result, rg_int(0));
	good = at < end;
	while (good && at < end)
		good = add_duration(&at, end, &total);
	if (!good || total > (uint64_t)INT64_MAX + negative)
		return rg_builtin_fail(call, "time: invalid duration \"%.*s\"", (int)args[0].length,
				       rg_text(call->heap, args[0]));
	return rg_builtin_give(call, result, rg_int((int64_t)(negative ? 0 - total : total)));
}

#define MOMENT T_UNION(OF2(T_TUPLE(OF2(T_NUMBER, T_STRING)), T_NUMBER))
#define MOMENT_AND_LAYOUT                                                                          \
	T_UNION(OF3(T_TUPLE(OF2(T_NUMBER, T_STRING)), T_TUPLE(OF3(T_NUMBER, T_STRING, T_STRING)),  \
		    T_NUMBER))
#define THREE T_TUPLE(OF3(T_NUMBER, T_NUMBER, T_NUMBER))
#define SIX   T_TUPLE(OF6(T_NUMBER, T_NUMBER, T_NUMBER, T_NUMBER, T_NUMBER, T_NUMBER))

static const struct rg_builtin table[] = {
	{"time.now_ns", now_ns, 0, RG_BUILTIN_NONDETERMINISTIC, NULL, FN0(T_NUMBER)},
	{"time.date", date, 1, 0, NULL, FN1(MOMENT, THREE)},
	{"time.clock", clock_of, 1, 0, NULL, FN1(MOMENT, THREE)},
	{"time.weekday", weekday, 1, 0, NULL, FN1(MOMENT, T_STRING)},
	{"time.format", format, 1, 0, NULL, FN1(MOMENT_AND_LAYOUT, T_STRING)},
	{"time.add_date", add_date, 4, 0, NULL,
	 FN4(T_NUMBER, T_NUMBER, T_NUMBER, T_NUMBER, T_NUMBER)},
	{"time.diff", diff, 2, 0, NULL, FN2(MOMENT, MOMENT, SIX)},
	{"time.parse_ns", parse_ns, 2, 0, NULL, FN2(T_STRING, T_STRING, T_NUMBER)},
	{"time.parse_rfc3339_ns", parse_rfc3339_ns, 1, 0, NULL, FN1(T_STRING, T_NUMBER)},
	{"time.parse_duration_ns", parse_duration_ns, 1, 0, NULL, FN1(T_STRING, T_NUMBER)},
};
RG_BUILTIN_FAMILY(rg_builtin_time, table);

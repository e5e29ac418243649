/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/builtin/time_layout.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const months[] = {"January",	  "February", "March",	  "April",
				     "May",	  "June",     "July",	  "August",
				     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
				       "Thursday", "Friday", "Saturday"};

/* ---- layouts ---- */

enum chunk {
	NONE,
	LONG_MONTH,
	MONTH,
	NUMBER_MONTH,
	ZERO_MONTH,
	LONG_WEEKDAY,
	WEEKDAY,
	DAY,
	PADDED_DAY,
	ZERO_DAY,
	PADDED_YEAR_DAY,
	ZERO_YEAR_DAY,
	HOUR,
	HOUR_12,
	ZERO_HOUR_12,
	MINUTE,
	ZERO_MINUTE,
	SECOND,
	ZERO_SECOND,
	LONG_YEAR,
	YEAR,
	UPPER_PM,
	LOWER_PM,
	ZONE_NAME,
	OFFSET,	    /* numeric: how in `offset` */
	FRACTION_0, /* .000: so many digits */
	FRACTION_9  /* .999: at most so many, without trailing zeros */
};

/* How an offset is written: "Z" for UTC or not, colons, minutes, seconds. */
struct offset_style {
	bool z, colon, minutes, seconds;
};

struct item {
	enum chunk chunk;
	struct offset_style offset;
	int digits;		      /* of a fraction */
	char separator;		      /* '.' or ',' */
	const char *prefix_end, *end; /* literal text before it; where it ends */
};

struct text {
	const char *at, *end;
};

static bool starts(const char *at, const char *end, const char *word)
{
	size_t bytes = strlen(word);

	return (size_t)(end - at) >= bytes && !memcmp(at, word, bytes);
}

static bool is_digit_at(const char *at, const char *end)
{
	return at < end && *at >= '0' && *at <= '9';
}

static bool is_lower_at(const char *at, const char *end)
{
	return at < end && *at >= 'a' && *at <= 'z';
}

static const struct {
	const char *text;
	struct offset_style style;
} offsets[] = {
	/* The longest first. */
	{"-07:00:00", {false, true, true, true}}, {"-070000", {false, false, true, true}},
	{"-07:00", {false, true, true, false}},	  {"-0700", {false, false, true, false}},
	{"-07", {false, false, false, false}},	  {"Z07:00:00", {true, true, true, true}},
	{"Z070000", {true, false, true, true}},	  {"Z07:00", {true, true, true, false}},
	{"Z0700", {true, false, true, false}},	  {"Z07", {true, false, false, false}},
};

static bool offset_at(const char *at, const char *end, struct item *item)
{
	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		if (starts(at, end, offsets[i].text)) {
			item->chunk = OFFSET;
			item->offset = offsets[i].style;
			item->end = at + strlen(offsets[i].text);
			return true;
		}
	}
	return false;
}

static bool fraction_at(const char *at, const char *end, struct item *item)
{
	const char *digit = at + 1;

	if (digit >= end || (*digit != '0' && *digit != '9'))
		return false;
	while (digit < end && *digit == at[1])
		digit++;
	if (is_digit_at(digit, end))
		return false;
	item->chunk = at[1] == '0' ? FRACTION_0 : FRACTION_9;
	item->digits = (int)(digit - at - 1);
	item->separator = *at;
	item->end = digit;
	return true;
}

static bool take(struct item *item, enum chunk chunk, const char *at, size_t bytes)
{
	item->chunk = chunk;
	item->end = at + bytes;
	return true;
}

/* Is there a chunk at this very place? */
static bool chunk_at(const char *at, const char *end, struct item *item)
{
	static const enum chunk zero[] = {ZERO_MONTH,  ZERO_DAY,    ZERO_HOUR_12,
					  ZERO_MINUTE, ZERO_SECOND, YEAR};

	switch (*at) {
	case 'J':
		if (starts(at, end, "January"))
			return take(item, LONG_MONTH, at, 7);
		return starts(at, end, "Jan") && !is_lower_at(at + 3, end) &&
		       take(item, MONTH, at, 3);
	case 'M':
		if (starts(at, end, "Monday"))
			return take(item, LONG_WEEKDAY, at, 6);
		if (starts(at, end, "Mon") && !is_lower_at(at + 3, end))
			return take(item, WEEKDAY, at, 3);
		return starts(at, end, "MST") && take(item, ZONE_NAME, at, 3);
	case '0':
		if (end - at >= 2 && at[1] >= '1' && at[1] <= '6')
			return take(item, zero[at[1] - '1'], at, 2);
		return starts(at, end, "002") && take(item, ZERO_YEAR_DAY, at, 3);
	case '1':
		return starts(at, end, "15") ? take(item, HOUR, at, 2)
					     : take(item, NUMBER_MONTH, at, 1);
	case '2':
		return starts(at, end, "2006") ? take(item, LONG_YEAR, at, 4)
					       : take(item, DAY, at, 1);
	case '_':
		if (starts(at, end, "_2006")) /* a literal '_', then the year */
			return false;
		if (starts(at, end, "_2"))
			return take(item, PADDED_DAY, at, 2);
		return starts(at, end, "__2") && take(item, PADDED_YEAR_DAY, at, 3);
	case '3': return take(item, HOUR_12, at, 1);
	case '4': return take(item, MINUTE, at, 1);
	case '5': return take(item, SECOND, at, 1);
	case 'P': return starts(at, end, "PM") && take(item, UPPER_PM, at, 2);
	case 'p': return starts(at, end, "pm") && take(item, LOWER_PM, at, 2);
	case '-':
	case 'Z': return offset_at(at, end, item);
	case '.':
	case ',': return fraction_at(at, end, item);
	default: return false;
	}
}

/* The next chunk of a layout and the literal text before it. */
static struct item next_item(const char *at, const char *end)
{
	struct item item = {.chunk = NONE, .prefix_end = end, .end = end};

	for (const char *c = at; c < end; c++) {
		if (chunk_at(c, end, &item)) {
			item.prefix_end = c;
			return item;
		}
	}
	return item;
}

const char *rg_time_layout_named(const char *layout, size_t bytes, size_t *out_bytes)
{
	static const char *const named[][2] = {
		{"ANSIC", "Mon Jan _2 15:04:05 2006"},
		{"UnixDate", "Mon Jan _2 15:04:05 MST 2006"},
		{"RubyDate", "Mon Jan 02 15:04:05 -0700 2006"},
		{"RFC822", "02 Jan 06 15:04 MST"},
		{"RFC822Z", "02 Jan 06 15:04 -0700"},
		{"RFC850", "Monday, 02-Jan-06 15:04:05 MST"},
		{"RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"},
		{"RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"},
		{"RFC3339", "2006-01-02T15:04:05Z07:00"},
		{"RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"},
	};

	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
		if (bytes == strlen(named[i][0]) && !memcmp(layout, named[i][0], bytes)) {
			*out_bytes = strlen(named[i][1]);
			return named[i][1];
		}
	}
	*out_bytes = bytes;
	return layout;
}

/* ---- formatting ---- */

void rg_clock_time_of(int64_t unix_ns, const struct rg_zone *zone, struct rg_clock_time *out)
{
	int64_t unix_s = unix_ns / 1000000000 - (unix_ns % 1000000000 < 0), local, days;

	out->zone = rg_zone_at(zone, unix_s);
	out->nanosecond = (int)((unix_ns % 1000000000 + 1000000000) % 1000000000);
	local = unix_s + out->zone.offset_s;
	days = local / 86400 - (local % 86400 < 0);
	rg_date_from_days(days, &out->year, &out->month, &out->day);
	local -= days * 86400;
	out->hour = (int)(local / 3600);
	out->minute = (int)(local / 60 % 60);
	out->second = (int)(local % 60);
	out->weekday = (int)((days % 7 + 11) % 7);
}

static void put_number(struct rg_builder *builder, int64_t n, int width, char pad)
{
	char text[32];

	rg_builder_put(builder, text,
		       (size_t)snprintf(text, sizeof(text), pad == '0' ? "%0*lld" : "%*lld", width,
					(long long)n));
}

static void put_offset(struct rg_builder *builder, int32_t offset_s, struct offset_style style)
{
	int32_t size = offset_s < 0 ? -offset_s : offset_s;

	if (style.z && !offset_s) {
		rg_builder_put_char(builder, 'Z');
		return;
	}
	rg_builder_put_char(builder, offset_s < 0 ? '-' : '+');
	put_number(builder, size / 3600, 2, '0');
	if (style.minutes) {
		if (style.colon)
			rg_builder_put_char(builder, ':');
		put_number(builder, size / 60 % 60, 2, '0');
	}
	if (style.seconds) {
		if (style.colon)
			rg_builder_put_char(builder, ':');
		put_number(builder, size % 60, 2, '0');
	}
}

static void put_fraction(struct rg_builder *builder, int nanosecond, const struct item *item)
{
	char digits[10];
	int count = item->digits > 9 ? 9 : item->digits;

	snprintf(digits, sizeof(digits), "%09d", nanosecond);
	while (item->chunk == FRACTION_9 && count && digits[count - 1] == '0')
		count--;
	if (item->chunk == FRACTION_9 && !count)
		return;
	rg_builder_put_char(builder, item->separator);
	rg_builder_put(builder, digits, (size_t)count);
}

static void put_chunk(struct rg_builder *builder, const struct rg_clock_time *t,
		      const struct item *item)
{
	int hour_12 = t->hour % 12 ? t->hour % 12 : 12;
	int64_t year_day =
		rg_days_from_date(t->year, t->month, t->day) - rg_days_from_date(t->year, 1, 1) + 1;

	switch (item->chunk) {
	case NONE: break;
	case LONG_MONTH: rg_builder_put_c(builder, months[t->month - 1]); break;
	case MONTH: rg_builder_put(builder, months[t->month - 1], 3); break;
	case NUMBER_MONTH: put_number(builder, t->month, 1, ' '); break;
	case ZERO_MONTH: put_number(builder, t->month, 2, '0'); break;
	case LONG_WEEKDAY: rg_builder_put_c(builder, weekdays[t->weekday]); break;
	case WEEKDAY: rg_builder_put(builder, weekdays[t->weekday], 3); break;
	case DAY: put_number(builder, t->day, 1, ' '); break;
	case PADDED_DAY: put_number(builder, t->day, 2, ' '); break;
	case ZERO_DAY: put_number(builder, t->day, 2, '0'); break;
	case PADDED_YEAR_DAY: put_number(builder, year_day, 3, ' '); break;
	case ZERO_YEAR_DAY: put_number(builder, year_day, 3, '0'); break;
	case HOUR: put_number(builder, t->hour, 2, '0'); break;
	case HOUR_12: put_number(builder, hour_12, 1, ' '); break;
	case ZERO_HOUR_12: put_number(builder, hour_12, 2, '0'); break;
	case MINUTE: put_number(builder, t->minute, 1, ' '); break;
	case ZERO_MINUTE: put_number(builder, t->minute, 2, '0'); break;
	case SECOND: put_number(builder, t->second, 1, ' '); break;
	case ZERO_SECOND: put_number(builder, t->second, 2, '0'); break;
	case LONG_YEAR: put_number(builder, t->year, 4, '0'); break;
	case YEAR: put_number(builder, t->year % 100, 2, '0'); break;
	case UPPER_PM: rg_builder_put_c(builder, t->hour >= 12 ? "PM" : "AM"); break;
	case LOWER_PM: rg_builder_put_c(builder, t->hour >= 12 ? "pm" : "am"); break;
	case ZONE_NAME: rg_builder_put_c(builder, t->zone.abbreviation); break;
	case OFFSET: put_offset(builder, t->zone.offset_s, item->offset); break;
	case FRACTION_0:
	case FRACTION_9: put_fraction(builder, t->nanosecond, item); break;
	}
}

void rg_time_format(struct rg_builder *builder, const struct rg_clock_time *t, const char *layout,
		    size_t bytes)
{
	const char *end = layout + bytes;

	while (layout < end) {
		struct item item = next_item(layout, end);

		rg_builder_put(builder, layout, (size_t)(item.prefix_end - layout));
		put_chunk(builder, t, &item);
		layout = item.end;
	}
}

/* ---- parsing ---- */

enum verdict { GOOD, BAD, OUT_OF_RANGE };

struct parsed {
	int64_t year;
	int month, day, year_day, hour, minute, second, nanosecond; /* -1: not given */
	bool pm, am, has_offset;
	int64_t offset_s;
	const char *range; /* what is out of range */
};

/* Literal text of a layout; a space stands for any number of them. */
static bool skip_literal(struct text *t, const char *at, const char *end)
{
	while (at < end) {
		if (*at == ' ') {
			if (t->at < t->end && *t->at != ' ')
				return false;
			while (at < end && *at == ' ')
				at++;
			while (t->at < t->end && *t->at == ' ')
				t->at++;
			continue;
		}
		if (t->at >= t->end || *t->at != *at)
			return false;
		t->at++;
		at++;
	}
	return true;
}

/* One or two digits; exactly two if fixed. */
static bool get_number(struct text *t, bool fixed, int *out)
{
	if (!is_digit_at(t->at, t->end))
		return false;
	if (!is_digit_at(t->at + 1, t->end)) {
		if (fixed)
			return false;
		*out = *t->at++ - '0';
		return true;
	}
	*out = (t->at[0] - '0') * 10 + (t->at[1] - '0');
	t->at += 2;
	return true;
}

static bool get_three(struct text *t, bool fixed, int *out)
{
	int i = 0;

	*out = 0;
	for (; i < 3 && is_digit_at(t->at, t->end); i++)
		*out = *out * 10 + (*t->at++ - '0');
	return i && (!fixed || i == 3);
}

/* Index of the name at the start of the text, whatever its case; -1: none. `length`: compare so
 * much, 0: all. */
static int lookup(struct text *t, const char *const *names, int count, size_t length)
{
	for (int i = 0; i < count; i++) {
		size_t bytes = length ? length : strlen(names[i]);

		if ((size_t)(t->end - t->at) >= bytes && !strncasecmp(t->at, names[i], bytes)) {
			t->at += bytes;
			return i;
		}
	}
	return -1;
}

/* '.' and digits, `bytes` of text in all. */
static bool get_fraction(struct text *t, size_t bytes, int *nanosecond)
{
	int value = 0, digits = 0;

	if (t->at >= t->end || (*t->at != '.' && *t->at != ','))
		return false;
	for (size_t i = 1; i < bytes; i++) {
		if (!is_digit_at(t->at + i, t->end))
			return false;
		if (digits < 9) {
			value = value * 10 + (t->at[i] - '0');
			digits++;
		}
	}
	for (; digits < 9; digits++)
		value *= 10;
	*nanosecond = value;
	t->at += bytes;
	return true;
}

static size_t digits_behind(const struct text *t)
{
	size_t n = 1;

	while (is_digit_at(t->at + n, t->end))
		n++;
	return n;
}

static bool is_fraction_next(const struct text *t)
{
	return t->end - t->at >= 2 && (*t->at == '.' || *t->at == ',') &&
	       is_digit_at(t->at + 1, t->end);
}

/* Two digits of an offset, up to and with `limit`. */
static enum verdict get_offset_part(struct text *t, bool colon, int limit, const char *name,
				    struct parsed *p, int *out)
{
	if (colon && (t->at >= t->end || *t->at++ != ':'))
		return BAD;
	if (!get_number(t, true, out))
		return BAD;
	if (*out <= limit)
		return GOOD;
	p->range = name;
	return OUT_OF_RANGE;
}

static enum verdict get_offset(struct text *t, struct offset_style style, struct parsed *p)
{
	int hour = 0, minute = 0, second = 0;
	enum verdict verdict;
	char sign;

	p->has_offset = true;
	if (style.z && t->at < t->end && *t->at == 'Z') {
		t->at++;
		return GOOD;
	}
	if (t->at >= t->end || (*t->at != '+' && *t->at != '-'))
		return BAD;
	sign = *t->at++;
	verdict = get_offset_part(t, false, 24, "time zone offset hour", p, &hour);
	if (verdict == GOOD && style.minutes)
		verdict =
			get_offset_part(t, style.colon, 60, "time zone offset minute", p, &minute);
	if (verdict == GOOD && style.seconds)
		verdict =
			get_offset_part(t, style.colon, 60, "time zone offset second", p, &second);
	p->offset_s = (hour * 60ll + minute) * 60 + second;
	if (sign == '-')
		p->offset_s = -p->offset_s;
	return verdict;
}

/* Bytes of "+5" or "-0700" at the start of the text, 0 if it is no offset of up to 23. */
static size_t signed_offset_bytes(struct text t)
{
	const char *at = t.at + 1;
	int64_t value = 0;

	if (t.at >= t.end || (*t.at != '+' && *t.at != '-'))
		return 0;
	for (; is_digit_at(at, t.end); at++) {
		if (value < 100)
			value = value * 10 + (*at - '0');
	}
	return at == t.at + 1 || value > 23 ? 0 : (size_t)(at - t.at);
}

/* Bytes of a zone's abbreviation, 0 if there is none. Source: Go time/format.go, parseTimeZone. */
static size_t zone_name_bytes(struct text t)
{
	size_t upper = 0;

	if (t.end - t.at < 3)
		return 0;
	if (starts(t.at, t.end, "ChST") || starts(t.at, t.end, "MeST"))
		return 4;
	if (starts(t.at, t.end, "GMT"))
		return 3 + signed_offset_bytes((struct text){t.at + 3, t.end});
	if (*t.at == '+' || *t.at == '-')
		return signed_offset_bytes(t);
	while (upper < 6 && t.at + upper < t.end && t.at[upper] >= 'A' && t.at[upper] <= 'Z')
		upper++;
	if (upper == 3 || (upper == 5 && t.at[4] == 'T') ||
	    (upper == 4 && (t.at[3] == 'T' || starts(t.at, t.end, "WITA"))))
		return upper;
	return 0;
}

/* An abbreviation says nothing of the offset: the time is taken as UTC, as Go does where it does
 * not know it. */
static enum verdict get_zone_name(struct text *t, struct parsed *p)
{
	size_t bytes = starts(t->at, t->end, "UTC") ? 3 : zone_name_bytes(*t);

	t->at += bytes;
	return bytes ? GOOD : BAD;
}

static enum verdict in_range(int value, int low, int high, const char *name, struct parsed *p)
{
	if (value >= low && value <= high)
		return GOOD;
	p->range = name;
	return OUT_OF_RANGE;
}

static enum verdict get_second(struct text *t, const struct item *item, const char *layout_end,
			       struct parsed *p)
{
	struct item next;

	if (!get_number(t, item->chunk == ZERO_SECOND, &p->second))
		return BAD;
	if (p->second > 59)
		return in_range(p->second, 0, 59, "second", p);
	if (is_fraction_next(t)) { /* digits the layout does not ask for */
		next = next_item(item->end, layout_end);
		if (next.chunk != FRACTION_0 && next.chunk != FRACTION_9)
			get_fraction(t, digits_behind(t), &p->nanosecond);
	}
	return GOOD;
}

static enum verdict get_year(struct text *t, bool full, struct parsed *p)
{
	int bytes = full ? 4 : 2;

	p->year = 0;
	for (int i = 0; i < bytes; i++) {
		if (!is_digit_at(t->at, t->end))
			return BAD;
		p->year = p->year * 10 + (*t->at++ - '0');
	}
	if (!full)
		p->year += p->year >= 69 ? 1900 : 2000;
	return GOOD;
}

static enum verdict get_meridiem(struct text *t, const char *pm, const char *am, struct parsed *p)
{
	p->pm = starts(t->at, t->end, pm);
	p->am = starts(t->at, t->end, am);
	t->at += p->pm || p->am ? 2 : 0;
	return p->pm || p->am ? GOOD : BAD;
}

static enum verdict get_chunk(struct text *t, const struct item *item, const char *layout_end,
			      struct parsed *p)
{
	enum chunk chunk = item->chunk;

	switch (chunk) {
	case NONE: return GOOD;
	case YEAR:
	case LONG_YEAR: return get_year(t, chunk == LONG_YEAR, p);
	case MONTH: return (p->month = lookup(t, months, 12, 3) + 1) ? GOOD : BAD;
	case LONG_MONTH: return (p->month = lookup(t, months, 12, 0) + 1) ? GOOD : BAD;
	case NUMBER_MONTH:
	case ZERO_MONTH:
		return get_number(t, chunk == ZERO_MONTH, &p->month)
			       ? in_range(p->month, 1, 12, "month", p)
			       : BAD;
	case WEEKDAY: return lookup(t, weekdays, 7, 3) >= 0 ? GOOD : BAD;
	case LONG_WEEKDAY: return lookup(t, weekdays, 7, 0) >= 0 ? GOOD : BAD;
	case PADDED_DAY: t->at += t->at < t->end && *t->at == ' '; /* fall through */
	case DAY:
	case ZERO_DAY: return get_number(t, chunk == ZERO_DAY, &p->day) ? GOOD : BAD;
	case PADDED_YEAR_DAY:
		for (int i = 0; i < 2; i++)
			t->at += t->at < t->end && *t->at == ' ';
		/* fall through */
	case ZERO_YEAR_DAY: return get_three(t, chunk == ZERO_YEAR_DAY, &p->year_day) ? GOOD : BAD;
	case HOUR:
		return get_number(t, false, &p->hour) ? in_range(p->hour, 0, 23, "hour", p) : BAD;
	case HOUR_12:
	case ZERO_HOUR_12:
		return get_number(t, chunk == ZERO_HOUR_12, &p->hour)
			       ? in_range(p->hour, 0, 12, "hour", p)
			       : BAD;
	case MINUTE:
	case ZERO_MINUTE:
		return get_number(t, chunk == ZERO_MINUTE, &p->minute)
			       ? in_range(p->minute, 0, 59, "minute", p)
			       : BAD;
	case SECOND:
	case ZERO_SECOND: return get_second(t, item, layout_end, p);
	case UPPER_PM: return get_meridiem(t, "PM", "AM", p);
	case LOWER_PM: return get_meridiem(t, "pm", "am", p);
	case ZONE_NAME: return get_zone_name(t, p);
	case OFFSET: return get_offset(t, item->offset, p);
	case FRACTION_0:
		return get_fraction(t, (size_t)item->digits + 1, &p->nanosecond) ? GOOD : BAD;
	case FRACTION_9:
		if (is_fraction_next(t))
			get_fraction(t, digits_behind(t), &p->nanosecond);
		return GOOD;
	}
	return BAD;
}

/* Fit the parts together; the day must exist. */
static enum verdict finish(struct parsed *p, int64_t *unix_s)
{
	int64_t days;

	if (p->pm && p->hour < 12)
		p->hour += 12;
	else if (p->am && p->hour == 12)
		p->hour = 0;
	if (p->year_day >= 0) {
		int64_t first = rg_days_from_date(p->year, 1, 1);
		int month, day;

		if (p->year_day < 1 || p->year_day > rg_days_from_date(p->year + 1, 1, 1) - first)
			return in_range(0, 1, 1, "day-of-year", p);
		rg_date_from_days(first + p->year_day - 1, &p->year, &month, &day);
		if ((p->month >= 0 && p->month != month) || (p->day >= 0 && p->day != day))
			return in_range(0, 1, 1,
					p->month >= 0 && p->month != month
						? "day-of-year does not match month"
						: "day-of-year does not match day",
					p);
		p->month = month;
		p->day = day;
	}
	p->month = p->month < 0 ? 1 : p->month;
	p->day = p->day < 0 ? 1 : p->day;
	if (p->day < 1 || p->day > rg_days_in_month(p->year, p->month))
		return in_range(0, 1, 1, "day", p);
	days = rg_days_from_date(p->year, p->month, p->day);
	*unix_s = days * 86400 + p->hour * 3600 + p->minute * 60 + p->second - p->offset_s;
	return GOOD;
}

bool rg_time_parse(const char *layout, size_t layout_bytes, const char *text, size_t bytes,
		   int64_t *unix_s, int *nanosecond, char *why, size_t why_bytes)
{
	const char *at = layout, *end = layout + layout_bytes;
	struct parsed p = {.month = -1, .day = -1, .year_day = -1};
	struct text t = {text, text + bytes};
	enum verdict verdict = GOOD;

	for (;;) {
		struct item item = next_item(at, end);
		const char *from = at;

		if (!skip_literal(&t, at, item.prefix_end)) {
			snprintf(why, why_bytes,
				 "parsing time \"%.*s\" as \"%.*s\": cannot parse \"%.*s\" as "
				 "\"%.*s\"",
				 (int)bytes, text, (int)layout_bytes, layout, (int)(t.end - t.at),
				 t.at, (int)(item.prefix_end - from), from);
			return false;
		}
		if (item.chunk == NONE)
			break;
		verdict = get_chunk(&t, &item, end, &p);
		if (verdict == BAD) {
			snprintf(why, why_bytes,
				 "parsing time \"%.*s\" as \"%.*s\": cannot parse \"%.*s\" as "
				 "\"%.*s\"",
				 (int)bytes, text, (int)layout_bytes, layout, (int)(t.end - t.at),
				 t.at, (int)(item.end - item.prefix_end), item.prefix_end);
			return false;
		}
		if (verdict != GOOD)
			break;
		at = item.end;
	}
	if (verdict == GOOD && t.at < t.end) {
		snprintf(why, why_bytes, "parsing time \"%.*s\": extra text: \"%.*s\"", (int)bytes,
			 text, (int)(t.end - t.at), t.at);
		return false;
	}
	if (verdict == GOOD)
		verdict = finish(&p, unix_s);
	if (verdict != GOOD) {
		snprintf(why, why_bytes, "parsing time \"%.*s\": %s out of range", (int)bytes, text,
			 p.range);
		return false;
	}
	*nanosecond = p.nanosecond;
	return true;
}

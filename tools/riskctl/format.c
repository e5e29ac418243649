/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "tools/riskctl/format.h"

#define NS_PER_S 1000000000ull

const char *rg_format_time(char *out, uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / NS_PER_S);
	struct tm tm;
	size_t used;

	if (!unix_ns)
		return "never";
	gmtime_r(&seconds, &tm);
	used = strftime(out, RG_FORMAT_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(out + used, RG_FORMAT_BYTES - used, ".%06u UTC",
		 (unsigned)(unix_ns % NS_PER_S / 1000));
	return out;
}

const char *rg_format_duration(char *out, uint64_t ns)
{
	static const struct {
		uint64_t from_ns, unit_ns;
		const char *unit;
		int digits;
	} steps[] = {
		{172800 * NS_PER_S, 86400 * NS_PER_S, "d", 0},
		{7200 * NS_PER_S, 3600 * NS_PER_S, "h", 0},
		{120 * NS_PER_S, 60 * NS_PER_S, "min", 0},
		{NS_PER_S, NS_PER_S, "s", 1},
		{1000000, 1000000, "ms", 1},
		{1000, 1000, "us", 1},
		{0, 1, "ns", 0},
	};
	uint32_t i = 0;

	while (ns < steps[i].from_ns)
		i++;
	snprintf(out, RG_FORMAT_BYTES, "%.*f %s", steps[i].digits,
		 (double)ns / (double)steps[i].unit_ns, steps[i].unit);
	return out;
}

const char *rg_format_age(char *out, uint64_t unix_ns, uint64_t now_ns)
{
	if (!unix_ns)
		return "never";
	rg_format_duration(out, now_ns > unix_ns ? now_ns - unix_ns : 0);
	strncat(out, " ago", RG_FORMAT_BYTES - strlen(out) - 1);
	return out;
}

const char *rg_format_bytes(char *out, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	uint32_t unit = 0;

	for (; value >= 1024; unit++)
		value /= 1024;
	snprintf(out, RG_FORMAT_BYTES, "%.*f %s", unit ? 1 : 0, value, units[unit]);
	return out;
}

const char *rg_format_count(char *out, uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *to = out;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

const char *rg_format_micro(char *out, int64_t micro)
{
	rg_json_micro(micro, out);
	return out;
}

#define LINE_COLUMNS 80

void rg_format_print_broken(const char *text, unsigned from)
{
	unsigned column = from;

	while (*text) {
		size_t word = strcspn(text + 1, " ") + 1;

		if (column > from && column + word > LINE_COLUMNS) {
			printf("\n%*s", (int)from, "");
			column = from;
			text += *text == ' ';
			continue;
		}
		printf("%.*s", (int)word, text);
		column += (unsigned)word;
		text += word;
	}
	putchar('\n');
}

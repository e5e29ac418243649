/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/builtin/unicode.h"

#include <stddef.h>

/* Each step-th rune of [first, last] maps to itself + delta. */
struct case_range {
	uint32_t first, last;
	uint32_t step;
	int32_t delta;
};

struct rune_range {
	uint32_t first, last;
};

#include "policy/builtin/unicode_tables.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static uint32_t map_case(const struct case_range *table, size_t count, uint32_t rune)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct case_range *range = &table[middle];

		if (rune > range->last)
			low = middle + 1;
		else if (rune < range->first)
			high = middle;
		else
			return (rune - range->first) % range->step
				       ? rune
				       : (uint32_t)((int32_t)rune + range->delta);
	}
	return rune;
}

uint32_t rg_rune_lower(uint32_t rune)
{
	if (rune < 0x80)
		return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
	return map_case(lower_ranges, COUNT(lower_ranges), rune);
}

uint32_t rg_rune_upper(uint32_t rune)
{
	if (rune < 0x80)
		return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
	return map_case(upper_ranges, COUNT(upper_ranges), rune);
}

bool rg_rune_is_printable(uint32_t rune)
{
	size_t low = 0, high = COUNT(printable_ranges);

	if (rune < 0x80)
		return rune >= 0x20 && rune < 0x7f;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (rune > printable_ranges[middle].last)
			low = middle + 1;
		else if (rune < printable_ranges[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

bool rg_rune_is_space(uint32_t rune)
{
	return (rune >= '\t' && rune <= '\r') || rune == ' ' || rune == 0x85 || rune == 0xa0 ||
	       rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 ||
	       rune == 0x2029 || rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

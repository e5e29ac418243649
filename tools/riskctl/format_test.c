/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "tools/riskctl/format.h"

#define IS(call, text) assert(strcmp((call), (text)) == 0)

int main(void)
{
	char out[RG_FORMAT_BYTES];

	IS(rg_format_time(out, 0), "never");
	IS(rg_format_time(out, 1767225602123456789), "2026-01-01 00:00:02.123456 UTC");

	IS(rg_format_duration(out, 0), "0 ns");
	IS(rg_format_duration(out, 999), "999 ns");
	IS(rg_format_duration(out, 1000), "1.0 us");
	IS(rg_format_duration(out, 1500000), "1.5 ms");
	IS(rg_format_duration(out, 119000000000), "119.0 s");
	IS(rg_format_duration(out, 120000000000), "2 min");
	IS(rg_format_duration(out, 7200000000000), "2 h");
	IS(rg_format_duration(out, 172800000000000), "2 d");
	assert(strlen(rg_format_duration(out, UINT64_MAX)) < RG_FORMAT_BYTES);

	IS(rg_format_age(out, 0, 5), "never");
	IS(rg_format_age(out, 1000, 3000), "2.0 us ago");
	IS(rg_format_age(out, 3000, 1000), "0 ns ago"); /* the clock went back */

	IS(rg_format_bytes(out, 1023), "1023 B");
	IS(rg_format_bytes(out, 1024), "1.0 KiB");
	IS(rg_format_bytes(out, 16777216), "16.0 MiB");
	assert(strlen(rg_format_bytes(out, UINT64_MAX)) < RG_FORMAT_BYTES);

	IS(rg_format_count(out, 0), "0");
	IS(rg_format_count(out, 999), "999");
	IS(rg_format_count(out, 1000), "1,000");
	IS(rg_format_count(out, UINT64_MAX), "18,446,744,073,709,551,615");

	IS(rg_format_micro(out, 0), "0");
	IS(rg_format_micro(out, 85000000), "85");
	IS(rg_format_micro(out, -500000), "-0.5");
	IS(rg_format_micro(out, 1), "0.000001");
	IS(rg_format_micro(out, INT64_MIN), "-9223372036854.775808");
	return 0;
}

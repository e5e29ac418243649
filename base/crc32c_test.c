/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <assert.h>
#include <string.h>

/* The way of this CPU and the one bit by bit agree at every length of a few streams, at every
 * alignment, and with any CRC to go on from. */
static void test_ways(void)
{
	static uint8_t data[8192 + 8];
	uint32_t state = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		state = state * 1664525u + 1013904223u;
		data[i] = (uint8_t)(state >> 24);
	}
	for (size_t bytes = 0; bytes <= 700; bytes++)
		for (size_t at = 0; at < 8; at++)
			assert(rg_crc32c(state, data + at, bytes) ==
			       rg_crc32c_portable(state, data + at, bytes));
	for (size_t bytes = 3000; bytes <= 8192; bytes += 37)
		assert(rg_crc32c(0, data + bytes % 8, bytes) ==
		       rg_crc32c_portable(0, data + bytes % 8, bytes));
}

int main(void)
{
	uint8_t zeros[32] = {0}, ones[32], up[32];

	memset(ones, 0xff, sizeof(ones));
	for (int i = 0; i < 32; i++)
		up[i] = (uint8_t)i;
	/* RFC 3720, appendix B.4 */
	assert(rg_crc32c(0, zeros, 32) == 0x8a9136aau);
	assert(rg_crc32c(0, ones, 32) == 0x62a8ab43u);
	assert(rg_crc32c(0, up, 32) == 0x46dd794eu);
	assert(rg_crc32c(0, "123456789", 9) == 0xe3069283u);
	/* in pieces of any size */
	for (size_t cut = 0; cut <= 32; cut++)
		assert(rg_crc32c(rg_crc32c(0, up, cut), up + cut, 32 - cut) == 0x46dd794eu);
	test_ways();
	return 0;
}

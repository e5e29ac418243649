/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <assert.h>
#include <string.h>

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
	return 0;
}

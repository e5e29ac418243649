/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* reflected 0x1edc6f41 */

static uint32_t crc_bitwise(uint32_t crc, const uint8_t *at, size_t bytes)
{
	while (bytes--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_cpu(uint32_t crc, const uint8_t *at,
							  size_t bytes)
{
	uint64_t wide = crc;

	for (; bytes >= 8; bytes -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t)wide;
	while (bytes--)
		crc = _mm_crc32_u8(crc, *at++);
	return crc;
}

static bool cpu_has_crc(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#elif defined(__ARM_FEATURE_CRC32)
static uint32_t crc_cpu(uint32_t crc, const uint8_t *at, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		crc = __crc32cd(crc, word);
	}
	while (bytes--)
		crc = __crc32cb(crc, *at++);
	return crc;
}

static bool cpu_has_crc(void)
{
	return true;
}
#else
static uint32_t crc_cpu(uint32_t crc, const uint8_t *at, size_t bytes)
{
	return crc_bitwise(crc, at, bytes);
}

static bool cpu_has_crc(void)
{
	return false;
}
#endif

uint32_t rg_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	if (cpu_has_crc())
		return ~crc_cpu(~crc, data, bytes);
	return ~crc_bitwise(~crc, data, bytes);
}

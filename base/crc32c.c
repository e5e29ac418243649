/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* reflected 0x1edc6f41 */

static uint32_t crc_bit(uint32_t crc)
{
	return crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
}

static uint32_t crc_bitwise(uint32_t crc, const uint8_t *at, size_t bytes)
{
	while (bytes--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc_bit(crc);
	}
	return crc;
}

#if defined(__x86_64__)
/*
 * The CRC instruction takes 8 bytes, answers after 3 cycles and can be begun in each: so a third of
 * the bytes each is taken in three streams, A B C, and one word F is left for the end:
 *
 *	A: words | B: words | C: words | F: 1 word
 *
 * A's CRC is what it adds to the end's once it is moved over the words behind it: multiplied by
 * x^(64 * words behind), modulo the polynomial. That is one carry-less multiplication by a constant
 * of a table, and the reduction of its product comes for nothing with F: the instruction reduces
 * F xor product. The constant's exponent is 33 less: 32 for what the instruction adds, one for the
 * bit that the product of reflected numbers is off by. (V. Gopal et al., "Fast CRC Computation for
 * iSCSI Polynomial Using CRC32 Instruction", Intel 2011.)
 */
#define STREAM_WORDS_MAX  128
#define STREAMS_BYTES_MIN 128 /* below that one stream is as fast */

static uint32_t moved[2 * STREAM_WORDS_MAX + 2]; /* [n]: x^(64 n - 33), n >= 1 */
static bool has_crc, has_streams;

/* Before main(), so that no thread meets half a table. */
__attribute__((constructor)) static void choose(void)
{
	uint32_t power = 1u << 31; /* x^0, reflected */

	__builtin_cpu_init();
	has_crc = __builtin_cpu_supports("sse4.2");
	has_streams = has_crc && __builtin_cpu_supports("pclmul");
	for (int bit = 0; bit < 64 - 33; bit++)
		power = crc_bit(power);
	for (size_t n = 1; n < sizeof(moved) / sizeof(moved[0]); n++) {
		moved[n] = power;
		for (int bit = 0; bit < 64; bit++)
			power = crc_bit(power);
	}
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

__attribute__((target("sse4.2"))) static uint32_t crc_cpu(uint32_t crc, const uint8_t *at,
							  size_t bytes)
{
	uint64_t wide = crc;

	for (; bytes >= 8; bytes -= 8, at += 8)
		wide = _mm_crc32_u64(wide, load64(at));
	crc = (uint32_t)wide;
	while (bytes--)
		crc = _mm_crc32_u8(crc, *at++);
	return crc;
}

/* crc moved over n words, not yet reduced. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t move(uint64_t crc, size_t n)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc),
					       _mm_cvtsi32_si128((int)moved[n]), 0);

	return (uint64_t)_mm_cvtsi128_si64(product);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc_streams(uint32_t crc,
								     const uint8_t *at,
								     size_t bytes)
{
	while (bytes >= STREAMS_BYTES_MIN) {
		size_t words = (bytes - 8) / 24;
		uint64_t a = crc, b = 0, c = 0;
		size_t stream;

		if (words > STREAM_WORDS_MAX)
			words = STREAM_WORDS_MAX;
		stream = words * 8;
		for (size_t i = 0; i < stream; i += 8) {
			a = _mm_crc32_u64(a, load64(at + i));
			b = _mm_crc32_u64(b, load64(at + stream + i));
			c = _mm_crc32_u64(c, load64(at + 2 * stream + i));
		}
		at += 3 * stream;
		crc = (uint32_t)_mm_crc32_u64(c, load64(at) ^ move(a, 2 * words + 1) ^
							 move(b, words + 1));
		at += 8;
		bytes -= 3 * stream + 8;
	}
	return crc_cpu(crc, at, bytes);
}

uint32_t rg_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	if (has_streams)
		return ~crc_streams(~crc, data, bytes);
	return ~(has_crc ? crc_cpu : crc_bitwise)(~crc, data, bytes);
}
#elif defined(__ARM_FEATURE_CRC32)
uint32_t rg_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *at = data;

	crc = ~crc;
	for (; bytes >= 8; bytes -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		crc = __crc32cd(crc, word);
	}
	while (bytes--)
		crc = __crc32cb(crc, *at++);
	return ~crc;
}
#else
uint32_t rg_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return rg_crc32c_portable(crc, data, bytes);
}
#endif

uint32_t rg_crc32c_portable(uint32_t crc, const void *data, size_t bytes)
{
	return ~crc_bitwise(~crc, data, bytes);
}

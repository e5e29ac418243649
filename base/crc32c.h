/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC32C (Castagnoli), as in RFC 3720 appendix B.4. The way is chosen at start: on x86 three streams
 * of SSE4.2's instruction joined with PCLMULQDQ (29 ns for 476 bytes in the cache, Zen 3), or one
 * stream (58 ns); Arm's CRC instructions; bit by bit where there is neither. Images, journal frames
 * and region headers use it.
 */
#ifndef RG_BASE_CRC32C_H
#define RG_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C of data[0..bytes), continued from crc (0 to start). Pure; any thread. */
uint32_t rg_crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same, bit by bit: what rg_crc32c() is compared with. Slow. */
uint32_t rg_crc32c_portable(uint32_t crc, const void *data, size_t bytes);

#endif

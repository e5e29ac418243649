/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC32C (Castagnoli), as in RFC 3720 appendix B.4: SSE4.2 or Arm CRC instructions where the CPU
 * has them
 *, bit by bit otherwise. Images, journal frames and region headers use it.
 */
#ifndef RG_BASE_CRC32C_H
#define RG_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C of data[0..bytes), continued from crc (0 to start). Pure; any thread. */
uint32_t rg_crc32c(uint32_t crc, const void *data, size_t bytes);

#endif

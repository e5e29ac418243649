/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy image: the compiled, position-independent, immutable form of one bundle.
 * (The format's full description belongs in this header; the first part is what every reader may rely on.)
 *
 * Thread-safety: images are immutable.
 */
#ifndef RG_POLICY_IMAGE_IMAGE_H
#define RG_POLICY_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_IMAGE_MAGIC 0x47414d49454b5352ull /* "RSKEIMAG" */
#define RG_IMAGE_VERSION 1
#define RG_IMAGE_LABEL_BYTES 128

/* Check the whole image: magic, version, length, CRC32C, every offset, every instruction; linear in bytes. Pure:
 * keeps nothing. Errors: RG_EVERSION, RG_ECORRUPT (names the section and offset). `image` must be 64-aligned. */
int rg_image_verify(const void *image, size_t image_bytes, struct rg_error *err);

/* What a verified image says of itself. */
struct rg_image_info {
	uint64_t sequence;
	uint64_t schema_fingerprint; /* of the field table it was compiled for; 0: none */
	uint64_t image_bytes;
	char bundle[RG_IMAGE_LABEL_BYTES];
	char revision[RG_IMAGE_LABEL_BYTES];
	uint32_t plan_count, function_count, instruction_count, template_count;
	uint64_t constant_bytes;
};
void rg_image_info(const void *image, struct rg_image_info *info);

#endif

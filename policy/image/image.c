/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image/image.h"

#include <string.h>

#include "base/crc32c.h"

uint32_t rg_image_checksum(const void *image, size_t image_bytes)
{
	static const uint8_t zero[sizeof(uint32_t)];
	const uint8_t *bytes = image;
	size_t at = offsetof(struct rg_image_header, crc32c);
	uint32_t crc = rg_crc32c(0, bytes, at);

	crc = rg_crc32c(crc, zero, sizeof(zero));
	at += sizeof(zero);
	return rg_crc32c(crc, bytes + at, image_bytes - at);
}

void rg_image_info(const void *image, struct rg_image_info *info)
{
	const struct rg_image_header *header = rg_image_header(image);

	memset(info, 0, sizeof(*info));
	info->sequence = header->sequence;
	info->schema_fingerprint = header->schema_fingerprint;
	info->image_bytes = header->image_bytes;
	memcpy(info->bundle, header->bundle, sizeof(info->bundle));
	memcpy(info->revision, header->revision, sizeof(info->revision));
	info->plan_count = rg_image_count(image, RG_SECTION_PLANS);
	info->function_count = rg_image_count(image, RG_SECTION_FUNCTIONS);
	info->instruction_count = rg_image_count(image, RG_SECTION_CODE);
	info->template_count = rg_image_count(image, RG_SECTION_BINDINGS);
	info->constant_bytes = header->sections[RG_SECTION_HEAP].bytes;
}

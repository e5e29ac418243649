/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: images made by hand, with what no compiler would write. A forge begins with the
 * constants that every image needs; add to it, then call forge_finish().
 */
#ifndef RG_POLICY_IMAGE_FORGE_H
#define RG_POLICY_IMAGE_FORGE_H

#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "policy/compile/compile.h"
#include "policy/eval/container.h"
#include "policy/eval/eval.h"
#include "policy/image/code.h"
#include "policy/image/image.h"

struct forge {
	uint8_t *part[RG_SECTION_COUNT];
	uint64_t bytes[RG_SECTION_COUNT], capacity[RG_SECTION_COUNT];
	uint32_t count[RG_SECTION_COUNT];
};

/* Constants of every forged image. */
enum { FORGE_OBJECT, FORGE_NAME, FORGE_CONSTANTS };

/* Add an entry; returns its number, or in HEAP its offset. */
static inline uint32_t forge_add(struct forge *forge, enum rg_image_section_id id,
				 const void *entry, uint64_t bytes)
{
	uint64_t at = forge->bytes[id];

	if (at + bytes > forge->capacity[id]) {
		forge->capacity[id] = 2 * (at + bytes);
		forge->part[id] = realloc(forge->part[id], forge->capacity[id]);
		assert(forge->part[id]);
	}
	if (bytes)
		memcpy(forge->part[id] + at, entry, bytes);
	forge->bytes[id] += bytes;
	return id == RG_SECTION_HEAP ? (uint32_t)at : forge->count[id]++;
}
#define FORGE_ADD(forge, id, ...) forge_add(forge, id, &(__VA_ARGS__), sizeof(__VA_ARGS__))

static inline uint32_t forge_constant(struct forge *forge, struct rg_value v)
{
	return FORGE_ADD(forge, RG_SECTION_CONSTANTS, v);
}

static inline struct rg_value forge_text(struct forge *forge, enum rg_value_type type,
					 const char *text, uint64_t bytes)
{
	static const uint8_t zero[8];
	struct rg_value v = {.type = (uint8_t)type, .length = (uint32_t)bytes};

	v.form = type == RG_NUMBER ? RG_NUMBER_TEXT : 0;
	v.offset = FORGE_ADD(forge, RG_SECTION_HEAP, bytes) + sizeof(bytes);
	forge_add(forge, RG_SECTION_HEAP, text, bytes);
	forge_add(forge, RG_SECTION_HEAP, zero, (8 - bytes % 8) % 8);
	return v;
}

/* A container of the items as they are; `index` is given if it needs one. */
static inline struct rg_value forge_container(struct forge *forge, enum rg_value_type type,
					      const void *items, uint32_t count,
					      const uint64_t *index, uint32_t slots)
{
	struct rg_container header = {
		.count = count, .capacity = count, .index_slots = slots, .sorted = 1};

	header.items = forge_add(forge, RG_SECTION_HEAP, items,
				 (uint64_t)count * rg_container_item_bytes((uint8_t)type));
	header.index = forge_add(forge, RG_SECTION_HEAP, index, slots * sizeof(*index));
	return (struct rg_value){.type = (uint8_t)type,
				 .offset = FORGE_ADD(forge, RG_SECTION_HEAP, header)};
}

static inline void forge_begin(struct forge *forge)
{
	memset(forge, 0, sizeof(*forge));
	forge_constant(forge, forge_container(forge, RG_OBJECT, "", 0, NULL, 0));
	forge_constant(forge, forge_text(forge, RG_STRING, "forged", 6));
	FORGE_ADD(forge, RG_SECTION_PLACES, (struct rg_image_place){.file = FORGE_NAME, .row = 1});
}

/* A function of these instructions, and a plan of it if it has one parameter. */
static inline uint32_t forge_function(struct forge *forge, const struct rg_instruction *code,
				      uint32_t count, uint16_t params, uint32_t frame)
{
	uint32_t number = forge->count[RG_SECTION_FUNCTIONS];

	FORGE_ADD(forge, RG_SECTION_FUNCTIONS,
		  (struct rg_image_function){.name = FORGE_NAME,
					     .code = forge->count[RG_SECTION_CODE],
					     .code_count = count,
					     .frame_size = frame,
					     .param_count = params});
	for (uint32_t i = 0; i < count; i++)
		FORGE_ADD(forge, RG_SECTION_CODE, code[i]);
	if (params == 1)
		FORGE_ADD(forge, RG_SECTION_PLANS, (struct rg_image_plan){FORGE_NAME, number});
	return number;
}

/* The image, in 64-aligned memory that the caller frees. Empties the forge. */
static inline void *forge_finish(struct forge *forge, uint64_t budget, size_t *bytes)
{
	struct rg_image_header header = {.magic = RG_IMAGE_MAGIC,
					 .version = RG_IMAGE_VERSION,
					 .budget = budget,
					 .default_verdict = RG_VERDICT_REVIEW,
					 .failure_verdict = RG_VERDICT_DENY,
					 .reasons = FORGE_OBJECT};
	uint64_t at = sizeof(header);
	uint8_t *image;

	for (int i = 0; i < RG_SECTION_COUNT; i++) {
		header.sections[i] =
			(struct rg_image_section){at, forge->bytes[i], forge->count[i], 0};
		at = (at + forge->bytes[i] + RG_IMAGE_ALIGNMENT - 1) &
		     ~(uint64_t)(RG_IMAGE_ALIGNMENT - 1);
	}
	header.image_bytes = *bytes = at;
	image = aligned_alloc(RG_IMAGE_ALIGNMENT, at);
	assert(image);
	memset(image, 0, at);
	memcpy(image, &header, sizeof(header));
	for (int i = 0; i < RG_SECTION_COUNT; i++) {
		if (forge->bytes[i])
			memcpy(image + header.sections[i].offset, forge->part[i], forge->bytes[i]);
		free(forge->part[i]);
	}
	((struct rg_image_header *)image)->crc32c = rg_image_checksum(image, at);
	return image;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/eval/value_text.h"

#include <string.h>

#include "policy/eval/container.h"
#include "policy/eval/number.h"

#define FIRST_CAPACITY 64

void rg_builder_init(struct rg_builder *builder, struct rg_heap *heap)
{
	*builder = (struct rg_builder){.heap = heap};
}

static bool grow(struct rg_builder *builder, uint64_t needed)
{
	struct rg_heap *heap = builder->heap;
	uint64_t capacity = builder->capacity ? builder->capacity * 2 : FIRST_CAPACITY, offset;
	char *text;

	while (capacity < needed)
		capacity *= 2;
	if (needed > UINT32_MAX) {
		heap->exhausted = true;
		return false;
	}
	if (builder->capacity &&
	    rg_heap_extend(heap, builder->offset, builder->capacity, capacity)) {
		builder->capacity = capacity;
		return true;
	}
	if (capacity > heap->bytes[RG_SPACE_SCRATCH] - heap->used)
		capacity = needed; /* the last bit of memory */
	text = rg_heap_alloc(heap, capacity, &offset);
	if (!text)
		return false;
	if (builder->bytes)
		memcpy(text, rg_at(heap, RG_SPACE_SCRATCH, builder->offset), builder->bytes);
	builder->offset = offset;
	builder->capacity = capacity;
	return true;
}

char *rg_builder_room(struct rg_builder *builder, uint64_t bytes)
{
	char *room;

	if (builder->failed)
		return NULL;
	if (bytes > UINT32_MAX || (builder->bytes + bytes > builder->capacity &&
				   !grow(builder, builder->bytes + bytes))) {
		builder->heap->exhausted = true;
		builder->failed = true;
		return NULL;
	}
	room = (char *)rg_at(builder->heap, RG_SPACE_SCRATCH, builder->offset) + builder->bytes;
	builder->bytes += bytes;
	return room;
}

void rg_builder_put(struct rg_builder *builder, const char *text, size_t bytes)
{
	char *room = bytes ? rg_builder_room(builder, bytes) : NULL;

	if (room)
		memcpy(room, text, bytes);
}

void rg_builder_put_c(struct rg_builder *builder, const char *text)
{
	rg_builder_put(builder, text, strlen(text));
}

void rg_builder_put_char(struct rg_builder *builder, char c)
{
	rg_builder_put(builder, &c, 1);
}

void rg_builder_repeat(struct rg_builder *builder, char c, uint64_t count)
{
	char *room = count ? rg_builder_room(builder, count) : NULL;

	if (room)
		memset(room, c, count);
}

void rg_builder_put_rune(struct rg_builder *builder, uint32_t rune)
{
	char bytes[4];

	rg_builder_put(builder, bytes, rg_rune_encode(rune, bytes));
}

void rg_builder_put_value(struct rg_builder *builder, struct rg_value v)
{
	char text[RG_NUMBER_TEXT_BYTES];

	if (v.type == RG_NUMBER && v.form != RG_NUMBER_TEXT)
		rg_builder_put(builder, text, rg_number_text(builder->heap, v, text, sizeof(text)));
	else
		rg_builder_put(builder, rg_text(builder->heap, v), v.length);
}

struct rg_value rg_builder_finish(struct rg_builder *builder)
{
	struct rg_value v = {.type = RG_STRING,
			     .space = RG_SPACE_SCRATCH,
			     .length = (uint32_t)builder->capacity,
			     .offset = builder->offset};

	if (builder->failed || builder->heap->exhausted)
		return rg_undefined;
	if (!builder->capacity)
		return rg_string(builder->heap, "", 0);
	return rg_string_trim(builder->heap, v, builder->bytes);
}

/* ---- UTF-8 ---- */

static bool is_continuation(const char *at, const char *end, int n)
{
	for (int i = 1; i <= n; i++) {
		if (at + i >= end || ((unsigned char)at[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

uint32_t rg_rune(const char *at, const char *end, uint32_t *rune)
{
	const unsigned char *u = (const unsigned char *)at;

	*rune = u[0];
	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xc2 && u[0] < 0xe0 && is_continuation(at, end, 1)) {
		*rune = (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
		return 2;
	}
	if (u[0] >= 0xe0 && u[0] < 0xf0 && is_continuation(at, end, 2)) {
		*rune = (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
		if (*rune >= 0x800 && (*rune < 0xd800 || *rune > 0xdfff))
			return 3;
	}
	if (u[0] >= 0xf0 && u[0] < 0xf5 && is_continuation(at, end, 3)) {
		*rune = (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 |
			(u[3] & 0x3fu);
		if (*rune >= 0x10000 && *rune <= 0x10ffff)
			return 4;
	}
	*rune = RG_RUNE_ERROR;
	return 1;
}

uint32_t rg_rune_encode(uint32_t rune, char *out)
{
	if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
		rune = RG_RUNE_ERROR;
	if (rune < 0x80) {
		out[0] = (char)rune;
		return 1;
	}
	if (rune < 0x800) {
		out[0] = (char)(0xc0 | rune >> 6);
		out[1] = (char)(0x80 | (rune & 0x3f));
		return 2;
	}
	if (rune < 0x10000) {
		out[0] = (char)(0xe0 | rune >> 12);
		out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
		out[2] = (char)(0x80 | (rune & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | rune >> 18);
	out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
	out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
	out[3] = (char)(0x80 | (rune & 0x3f));
	return 4;
}

uint64_t rg_rune_count(const char *text, size_t bytes)
{
	const char *end = text + bytes;
	uint64_t count = 0;
	uint32_t rune;

	while (text < end) {
		text += rg_rune(text, end, &rune);
		count++;
	}
	return count;
}

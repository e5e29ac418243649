/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building strings in SCRATCH piece by piece. A builder extends its block in place as long as
 * nothing else was allocated behind it, and moves to one of twice the size otherwise. When memory
 * is used up the heap's `exhausted` flag is set, further pieces are ignored, and finishing gives
 * undefined.
 *
 * Thread-safety: as the heap.
 */
#ifndef RG_POLICY_EVAL_VALUE_TEXT_H
#define RG_POLICY_EVAL_VALUE_TEXT_H

#include "policy/eval/value.h"

struct rg_builder {
	struct rg_heap *heap;
	uint64_t offset, bytes, capacity;
	bool failed;
};

void rg_builder_init(struct rg_builder *builder, struct rg_heap *heap);
/* Room for `bytes` more, to be written at once; NULL if there is none. */
char *rg_builder_room(struct rg_builder *builder, uint64_t bytes);
void rg_builder_put(struct rg_builder *builder, const char *text, size_t bytes);
void rg_builder_put_c(struct rg_builder *builder, const char *text);
void rg_builder_put_char(struct rg_builder *builder, char c);
void rg_builder_repeat(struct rg_builder *builder, char c, uint64_t count);
/* A code point as UTF-8; surrogates and what is above U+10FFFF become U+FFFD. */
void rg_builder_put_rune(struct rg_builder *builder, uint32_t rune);
/* The bytes of a STRING, the text of a NUMBER. */
void rg_builder_put_value(struct rg_builder *builder, struct rg_value v);
/* The string; undefined if memory ran out. */
struct rg_value rg_builder_finish(struct rg_builder *builder);

/* v as compact JSON, as OPA's json.marshal writes it. */
void rg_builder_put_json(struct rg_builder *builder, struct rg_value v);
/* A JSON string literal of these bytes, with Go's HTML-safe escapes. */
void rg_builder_put_quoted(struct rg_builder *builder, const char *text, size_t bytes);

/* ---- UTF-8 ---- */

#define RG_RUNE_ERROR 0xfffd
/* Decode the code point at `at` (at < end) into *rune and return its bytes (1..4). An invalid
 * byte is U+FFFD, 1. */
uint32_t rg_rune(const char *at, const char *end, uint32_t *rune);
/* Encode into out[4]; returns the bytes. */
uint32_t rg_rune_encode(uint32_t rune, char *out);
/* Code points of a text, invalid bytes counting one each. */
uint64_t rg_rune_count(const char *text, size_t bytes);

#endif

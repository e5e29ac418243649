/* SPDX-License-Identifier: Apache-2.0 */
/* Values as Rego text, for sprintf, template strings and messages. Source: OPA ast.Value.String,
 * Go strconv.Quote. */
#include <string.h>

#include "policy/builtin/family.h"
#include "policy/builtin/unicode.h"

static void put_hex(struct rg_builder *builder, const char *prefix, uint32_t value, unsigned digits)
{
	rg_builder_put_c(builder, prefix);
	while (digits--)
		rg_builder_put_char(builder, "0123456789abcdef"[value >> (4 * digits) & 15]);
}

static void put_escaped(struct rg_builder *builder, uint32_t rune)
{
	static const char codes[] = "\a\b\f\n\r\t\v\"\\", letters[] = "abfnrtv\"\\";
	const char *code = rune && rune < 0x80 ? strchr(codes, (int)rune) : NULL;

	if (code) {
		rg_builder_put_char(builder, '\\');
		rg_builder_put_char(builder, letters[code - codes]);
	} else if (rune < 0x80) {
		put_hex(builder, "\\x", rune, 2);
	} else if (rune < 0x10000) {
		put_hex(builder, "\\u", rune, 4);
	} else {
		put_hex(builder, "\\U", rune, 8);
	}
}

void rg_builder_put_go_quoted(struct rg_builder *builder, const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes;

	rg_builder_put_char(builder, '"');
	while (at < end) {
		uint32_t rune, n = rg_rune(at, end, &rune);

		if (rune == RG_RUNE_ERROR && n == 1)
			put_hex(builder, "\\x", (unsigned char)*at, 2);
		else if (rune == '"' || rune == '\\' || !rg_rune_is_printable(rune))
			put_escaped(builder, rune);
		else
			rg_builder_put(builder, at, n);
		at += n;
	}
	rg_builder_put_char(builder, '"');
}

static void put_term(struct rg_builder *builder, struct rg_value v, uint32_t depth);

static void put_items(struct rg_builder *builder, struct rg_value v, uint32_t depth)
{
	struct rg_heap *heap = builder->heap;
	uint32_t count = rg_count(heap, v);

	if (depth >= RG_VALUE_DEPTH_MAX)
		heap->exhausted = true;
	if (heap->exhausted || !rg_heap_charge(heap, count + 1ull))
		return;
	rg_container_sort(heap, v);
	for (uint32_t i = 0; i < count && !heap->exhausted; i++) {
		if (i)
			rg_builder_put_c(builder, ", ");
		if (v.type == RG_OBJECT) {
			struct rg_pair pair = rg_container_pairs(heap, v)[i];

			put_term(builder, pair.key, depth + 1);
			rg_builder_put_c(builder, ": ");
			put_term(builder, pair.value, depth + 1);
		} else {
			put_term(builder, rg_container_values(heap, v)[i], depth + 1);
		}
	}
}

static void put_term(struct rg_builder *builder, struct rg_value v, uint32_t depth)
{
	const struct rg_heap *heap = builder->heap;

	switch (v.type) {
	case RG_BOOLEAN: rg_builder_put_c(builder, v.i ? "true" : "false"); return;
	case RG_NUMBER: rg_builder_put_value(builder, v); return;
	case RG_STRING: rg_builder_put_go_quoted(builder, rg_text(heap, v), v.length); return;
	case RG_ARRAY:
	case RG_OBJECT:
	case RG_SET: break;
	default: rg_builder_put_c(builder, "null"); return;
	}
	if (v.type == RG_SET && !rg_count(heap, v)) {
		rg_builder_put_c(builder, "set()");
		return;
	}
	rg_builder_put_char(builder, v.type == RG_ARRAY ? '[' : '{');
	put_items(builder, v, depth);
	rg_builder_put_char(builder, v.type == RG_ARRAY ? ']' : '}');
}

void rg_builder_put_term(struct rg_builder *builder, struct rg_value v)
{
	put_term(builder, v, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex.globs_match: is there a text that both patterns match? Patterns have characters, '.', classes [a-z],
 * each with an optional * or +, and \ escapes. Source: github.com/yashtewari/glob-intersection, as used in
 * OPA v1/topdown/regex.go; here by walking the product of the two automata.
 */
#include <string.h>

#include "policy/builtin/family.h"

#define TOKENS_MAX 512

enum repeat { ONCE, ANY_TIMES, AT_LEAST_ONCE };

struct token {
	bool any;		/* '.' */
	uint8_t repeat;		/* enum repeat */
	const char *set;	/* a class, or the one character, still escaped */
	uint32_t bytes;
};

struct globs {
	struct token token[TOKENS_MAX];
	uint32_t count;
};

static bool fail(struct rg_builtin_call *call, struct rg_value v, size_t at, const char *what,
		 enum rg_builtin_result *error)
{
	*error = rg_builtin_fail(call, "input:%.*s, pos:%zu, %s: the input provided is invalid", (int)v.length,
				 rg_text(call->heap, v), at, what);
	return false;
}

static bool parse(struct rg_builtin_call *call, struct rg_value v, struct globs *out, enum rg_builtin_result *error)
{
	const char *begin = rg_text(call->heap, v), *at = begin, *end = begin + v.length;
	uint32_t rune;

	out->count = 0;
	while (at < end) {
		struct token token = {.set = at};

		if (*at == '*' || *at == '+')
			return fail(call, v, (size_t)(at - begin) + 1,
				    *at == '*' ? "flag '*' must be preceded by a non-flag"
					       : "flag '+' must be preceded by a non-flag", error);
		if (*at == ']')
			return fail(call, v, (size_t)(at - begin) + 1, "set-close ']' with no preceding '['", error);
		if (*at == '[') {
			const char *close = ++at;

			while (close < end && *close != ']')
				close += *close == '\\' && close + 1 < end ? 2 : 1;
			if (close >= end)
				return fail(call, v, (size_t)(at - begin), "found [ without matching ]", error);
			token.set = at;
			token.bytes = (uint32_t)(close - at);
			at = close + 1;
		} else {
			token.any = *at == '.';
			at += *at == '\\' && at + 1 < end;
			at += rg_rune(at, end, &rune);
			token.bytes = (uint32_t)(at - token.set);
		}
		if (at < end && (*at == '*' || *at == '+'))
			token.repeat = *at++ == '*' ? ANY_TIMES : AT_LEAST_ONCE;
		if (out->count == TOKENS_MAX)
			return fail(call, v, (size_t)(at - begin), "the pattern is too long", error);
		out->token[out->count++] = token;
	}
	return true;
}

/* The next range lo..hi of a class. */
static bool next_range(const char **at, const char *end, uint32_t *low, uint32_t *high)
{
	if (*at >= end)
		return false;
	*at += **at == '\\' && *at + 1 < end;
	*at += rg_rune(*at, end, low);
	*high = *low;
	if (end - *at >= 2 && **at == '-') {
		(*at)++;
		*at += **at == '\\' && *at + 1 < end;
		*at += rg_rune(*at, end, high);
	}
	return true;
}

/* Is there a character that both take? */
static bool overlap(const struct token *a, const struct token *b)
{
	const char *x = a->set, *y;
	uint32_t low, high, other_low, other_high;

	if (a->any || b->any)
		return true;
	while (next_range(&x, a->set + a->bytes, &low, &high)) {
		y = b->set;
		while (next_range(&y, b->set + b->bytes, &other_low, &other_high)) {
			if (low <= other_high && other_low <= high)
				return true;
		}
	}
	return false;
}

/*
 * reach[i][k]: some text takes the first pattern to its token i and the second to its token k. A token may be
 * passed over if it may occur no times, or has occurred: so a position is a token and whether it was seen.
 */
struct position {
	uint32_t token;
	bool seen;
};

static uint32_t number_of(const struct globs *b, struct position x, struct position y)
{
	uint32_t width = 2 * (b->count + 1);

	return (x.token * 2 + x.seen) * width + y.token * 2 + y.seen;
}

static bool may_leave(const struct globs *g, struct position p)
{
	return p.token < g->count && (p.seen || g->token[p.token].repeat == ANY_TIMES);
}

static bool may_take(const struct globs *g, struct position p)
{
	return p.token < g->count && (!p.seen || g->token[p.token].repeat != ONCE);
}

static enum rg_builtin_result intersect(struct rg_builtin_call *call, const struct globs *a, const struct globs *b,
					struct rg_value *result)
{
	uint32_t total = 4 * (a->count + 1) * (b->count + 1), depth = 0, words = total / 64 + 1;
	struct { struct position x, y; } *stack, here;
	uint64_t offset, *reached;
	bool found = false;

	if (!rg_builtin_charge(call, total))
		return RG_BUILTIN_ERROR;
	reached = rg_heap_alloc(call->heap, words * sizeof(*reached), &offset);
	stack = rg_heap_alloc(call->heap, (total + 1ull) * sizeof(*stack), &offset);
	if (!reached || !stack)
		return RG_BUILTIN_MEMORY;
	memset(reached, 0, words * sizeof(*reached));
	memset(&stack[depth++], 0, sizeof(*stack));
	reached[0] = 1;
	while (depth && !found) {
		here = stack[--depth];
		found = here.x.token == a->count && here.y.token == b->count;
		for (int step = 0; step < 3; step++) {
			struct position x = here.x, y = here.y;
			uint32_t number;

			if (step == 0) {
				if (!may_leave(a, x))
					continue;
				x = (struct position){x.token + 1, false};
			} else if (step == 1) {
				if (!may_leave(b, y))
					continue;
				y = (struct position){y.token + 1, false};
			} else {
				if (!may_take(a, x) || !may_take(b, y) || !overlap(&a->token[x.token], &b->token[y.token]))
					continue;
				x.seen = y.seen = true;
			}
			number = number_of(b, x, y);
			if (reached[number / 64] >> (number % 64) & 1)
				continue;
			reached[number / 64] |= 1ull << (number % 64);
			stack[depth].x = x;
			stack[depth++].y = y;
		}
	}
	return rg_builtin_give(call, result, rg_boolean(found));
}

static enum rg_builtin_result globs_match(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	enum rg_builtin_result error;
	struct globs *globs;
	uint64_t offset;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	globs = rg_heap_alloc(call->heap, 2 * sizeof(*globs), &offset);
	if (!globs)
		return RG_BUILTIN_MEMORY;
	if (!parse(call, args[0], &globs[0], &error) || !parse(call, args[1], &globs[1], &error))
		return error;
	return intersect(call, &globs[0], &globs[1], result);
}

static const struct rg_builtin table[] = {
	{"regex.globs_match", globs_match, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_regex_globs, table);

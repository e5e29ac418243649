/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex.globs_match: is there a text that both patterns match? Patterns have characters, '.',
 * classes [a-z], each with an optional * or +, and \ escapes.
 *
 * The answer is that of github.com/yashtewari/glob-intersection, which OPA uses
 * (v1/topdown/regex.go), also where that misses an intersection: a repeated token of one pattern
 * takes whole tokens of the other one, never parts of a repetition, and the empty text does not
 * count. It tries each point to stop at; the budget bounds that.
 */
#include <string.h>

#include "policy/builtin/family.h"

#define TOKENS_MAX 512

enum repeat { ONCE, ANY_TIMES, AT_LEAST_ONCE };

struct token {
	bool any;	 /* '.' */
	uint8_t repeat;	 /* enum repeat */
	const char *set; /* a class, or the one character, still escaped */
	uint32_t bytes;
};

struct globs {
	struct token token[TOKENS_MAX];
	uint32_t count;
};

static bool fail(struct rg_builtin_call *call, struct rg_value v, size_t at, const char *what,
		 enum rg_builtin_result *error)
{
	*error = rg_builtin_fail(call, "input:%.*s, pos:%zu, %s: the input provided is invalid",
				 (int)v.length, rg_text(call->heap, v), at, what);
	return false;
}

static bool parse(struct rg_builtin_call *call, struct rg_value v, struct globs *out,
		  enum rg_builtin_result *error)
{
	const char *begin = rg_text(call->heap, v), *at = begin, *end = begin + v.length;
	uint32_t rune;

	out->count = 0;
	while (at < end) {
		struct token token = {.set = at};

		if (*at == '*' || *at == '+')
			return fail(call, v, (size_t)(at - begin) + 1,
				    *at == '*' ? "flag '*' must be preceded by a non-flag"
					       : "flag '+' must be preceded by a non-flag",
				    error);
		if (*at == ']')
			return fail(call, v, (size_t)(at - begin) + 1,
				    "set-close ']' with no preceding '['", error);
		if (*at == '[') {
			const char *close = ++at;

			while (close < end && *close != ']')
				close += *close == '\\' && close + 1 < end ? 2 : 1;
			if (close >= end)
				return fail(call, v, (size_t)(at - begin),
					    "found [ without matching ]", error);
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
			return fail(call, v, (size_t)(at - begin), "the pattern is too long",
				    error);
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

/* A part of a pattern: tokens [from, until). */
struct part {
	const struct token *from, *until;
};

struct search {
	struct rg_builtin_call *call;
	bool failed; /* the budget is used up */
};

static bool intersect(struct search *s, struct part a, struct part b);

/* a begins with a repeated token: it takes tokens of b one by one until the rest of a fits the
 * rest of b. */
static bool intersect_repeated(struct search *s, struct part a, struct part b)
{
	const struct token *next = a.from + 1;

	for (; b.from < b.until && !s->failed; b.from++) {
		if (next < a.until && overlap(b.from, next) &&
		    intersect(s, (struct part){next, a.until}, b))
			return true;
		if (!overlap(b.from, a.from))
			return false;
	}
	return next == a.until && !s->failed;
}

static bool intersect(struct search *s, struct part a, struct part b)
{
	for (; a.from < a.until && b.from < b.until; a.from++, b.from++) {
		struct part repeated = a.from->repeat != ONCE ? a : b,
			    other = a.from->repeat != ONCE ? b : a;

		if (s->failed || !rg_builtin_charge(s->call, 4)) {
			s->failed = true;
			return false;
		}
		if (repeated.from->repeat == ANY_TIMES)
			return intersect_repeated(s, repeated, other);
		if (!overlap(a.from, b.from))
			return false;
		if (repeated.from->repeat == AT_LEAST_ONCE) {
			other.from++;
			return intersect_repeated(s, repeated, other);
		}
	}
	return a.from == a.until && b.from == b.until;
}

/* Both patterns without the plain tokens they begin and end with, but for one at each end.
 * False: those differ. */
static bool trim(struct part *a, struct part *b)
{
	struct part x = *a, y = *b;

	while (x.from < x.until && y.from < y.until && x.from->repeat == ONCE &&
	       y.from->repeat == ONCE) {
		if (!overlap(x.from++, y.from++))
			return false;
	}
	if (x.from > a->from) {
		x.from--;
		y.from--;
	}
	while (x.until > x.from && y.until > y.from && x.until[-1].repeat == ONCE &&
	       y.until[-1].repeat == ONCE) {
		if (!overlap(--x.until, --y.until))
			return false;
	}
	if (x.until < a->until) {
		x.until++;
		y.until++;
	}
	*a = x;
	*b = y;
	return true;
}

static enum rg_builtin_result globs_match(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	struct search search = {.call = call};
	enum rg_builtin_result error;
	struct globs *globs;
	struct part a, b;
	uint64_t offset;
	bool found;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	globs = rg_heap_alloc(call->heap, 2 * sizeof(*globs), &offset);
	if (!globs)
		return RG_BUILTIN_MEMORY;
	if (!parse(call, args[0], &globs[0], &error) || !parse(call, args[1], &globs[1], &error))
		return error;
	a = (struct part){globs[0].token, globs[0].token + globs[0].count};
	b = (struct part){globs[1].token, globs[1].token + globs[1].count};
	found = trim(&a, &b) && intersect(&search, a, b);
	return search.failed ? RG_BUILTIN_ERROR : rg_builtin_give(call, result, rg_boolean(found));
}

static const struct rg_builtin table[] = {
	{"regex.globs_match", globs_match, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_regex_globs, table);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob.match, glob.quote_meta: the patterns of github.com/gobwas/glob, which OPA uses: * and ? stop
 * at delimiters, ** does not, [abc] [a-z] [!abc] are any one of (or none of) these, {a,b} either, \
 * escapes.
 *
 * A pattern is compiled into a graph of states in SCRATCH and run over the text as a set of states
 * (Thompson): time is states x text, whatever the pattern. Source of the syntax: gobwas/glob
 * syntax/lexer, syntax/ast.
 */
#include <string.h>

#include "policy/builtin/family.h"

enum state_kind {
	RUNE,	  /* exactly `rune` */
	ANY,	  /* one code point that is no delimiter */
	ANYTHING, /* one code point */
	LIST,	  /* one of the code points at list[0..list_bytes), or none of them */
	RANGE,	  /* rune..high, or not */
	SPLIT,	  /* consumes nothing: goes on at next and at other */
	MATCH
};

struct state {
	uint8_t kind;
	bool negated;
	uint32_t rune, high;
	uint32_t next, other;
	const char *list;
	uint32_t list_bytes;
};

#define STATES_MAX 4096
#define DEPTH_MAX  64

struct compiler {
	struct rg_builtin_call *call;
	const char *begin, *at, *end;
	struct state *state;
	uint32_t count, capacity;
	uint32_t depth;
	enum rg_builtin_result error;
};

static bool fail(struct compiler *c, const char *what)
{
	c->error = rg_builtin_fail(c->call, "glob: syntax error at %zu: %s",
				   (size_t)(c->at - c->begin), what);
	return false;
}

static uint32_t add(struct compiler *c, struct state state)
{
	state.next = c->count + 1;
	c->state[c->count] = state;
	return c->count++;
}

/* Behind '[': a range lo-hi or a list, up to ']'. */
static bool compile_class(struct compiler *c)
{
	struct state state = {.kind = LIST};
	const char *look;
	uint32_t n;

	if (c->at < c->end && *c->at == '!') {
		state.negated = true;
		c->at++;
	}
	if (c->at >= c->end)
		return fail(c, "unexpected end of input");
	n = rg_rune(c->at, c->end, &state.rune);
	look = c->at + n;
	if (*c->at != ']' && look < c->end && *look == '-') {
		look++;
		if (look >= c->end)
			return fail(c, "unexpected end of input");
		if (*look != ']') { /* "[a-]" is a list */
			state.kind = RANGE;
			c->at = look + rg_rune(look, c->end, &state.high);
			if (c->at >= c->end || *c->at != ']')
				return fail(c, "expected close range character");
			c->at++;
			if (state.high < state.rune)
				return fail(c, "range hi character is less than lo");
			add(c, state);
			return true;
		}
	}
	state.list = c->at;
	while (c->at < c->end && *c->at != ']')
		c->at += *c->at == '\\' && c->at + 1 < c->end ? 2 : 1;
	if (c->at >= c->end)
		return fail(c, "unexpected end of input");
	state.list_bytes = (uint32_t)(c->at - state.list);
	c->at++;
	if (!state.list_bytes)
		return fail(c, "could not parse range");
	add(c, state);
	return true;
}

static bool compile_sequence(struct compiler *c);

/* Behind '{': alternatives. Each begins with a SPLIT that also leads to the next one, and ends
 * with a jump. */
static bool compile_alternatives(struct compiler *c)
{
	uint32_t jumps = UINT32_MAX; /* chain of the jumps to the end, through `other` */
	uint32_t split;

	if (++c->depth > DEPTH_MAX)
		return fail(c, "alternatives are nested too deep");
	do {
		uint32_t jump;

		split = add(c, (struct state){.kind = SPLIT});
		if (!compile_sequence(c))
			return false;
		if (c->at >= c->end)
			return fail(c, "unclosed `{`");
		jump = add(c, (struct state){.kind = SPLIT, .other = jumps});
		jumps = jump;
		c->state[split].other = *c->at == ',' ? c->count : split + 1;
	} while (*c->at++ == ',');
	while (jumps != UINT32_MAX) {
		uint32_t next = c->state[jumps].other;

		c->state[jumps].next = c->state[jumps].other = c->count;
		jumps = next;
	}
	c->depth--;
	return true;
}

static bool compile_one(struct compiler *c)
{
	uint32_t loop;
	struct state state = {.kind = RUNE};

	switch (*c->at) {
	case '[': c->at++; return compile_class(c);
	case '{': c->at++; return compile_alternatives(c);
	case '?':
		c->at++;
		add(c, (struct state){.kind = ANY});
		return true;
	case '*':
		c->at++;
		loop = add(c, (struct state){.kind = SPLIT});
		add(c, (struct state){.kind = c->at < c->end && *c->at == '*' ? ANYTHING : ANY});
		c->at += c->at < c->end && *c->at == '*';
		c->state[c->count - 1].next = loop;
		c->state[loop].other = c->count;
		return true;
	case '\\':
		c->at++;
		if (c->at >= c->end) /* a lone backslash at the end stands for nothing */
			return true;
	}
	c->at += rg_rune(c->at, c->end, &state.rune);
	add(c, state);
	return true;
}

/* Up to the end, or the ',' or '}' that ends an alternative. */
static bool compile_sequence(struct compiler *c)
{
	while (c->at < c->end && !(c->depth && (*c->at == ',' || *c->at == '}'))) {
		if (c->count + 8 + 2 * c->depth > c->capacity)
			return fail(c, "the pattern is too long");
		if (!compile_one(c))
			return false;
	}
	return true;
}

/* ---- running ---- */

struct run {
	const struct state *state;
	struct rg_heap *heap;
	struct rg_value delimiters; /* array of strings of one code point; undefined: none */
	uint64_t *now, *then;	    /* sets of states */
	uint32_t *stack;
	uint32_t words;
};

static bool is_in(const struct state *state, uint32_t rune)
{
	const char *at = state->list, *end = at + state->list_bytes;
	uint32_t other;

	while (at < end) {
		at += *at == '\\' && at + 1 < end;
		at += rg_rune(at, end, &other);
		if (other == rune)
			return true;
	}
	return false;
}

static bool is_delimiter(const struct run *run, uint32_t rune)
{
	for (uint32_t i = 0;
	     rg_is_defined(run->delimiters) && i < rg_count(run->heap, run->delimiters); i++) {
		struct rg_value v = rg_array_at(run->heap, run->delimiters, i);
		uint32_t other;

		rg_rune(rg_text(run->heap, v), rg_text(run->heap, v) + v.length, &other);
		if (other == rune)
			return true;
	}
	return false;
}

static bool takes(const struct run *run, const struct state *state, uint32_t rune, bool delimiter)
{
	switch ((enum state_kind)state->kind) {
	case RUNE: return state->rune == rune;
	case ANY: return !delimiter;
	case ANYTHING: return true;
	case LIST: return is_in(state, rune) != state->negated;
	case RANGE: return (rune >= state->rune && rune <= state->high) != state->negated;
	default: return false;
	}
}

/* Put a state, and what its SPLITs lead to, into a set. */
static void enter(const struct run *run, uint64_t *set, uint32_t start)
{
	uint32_t depth = 0;

	run->stack[depth++] = start;
	while (depth) {
		uint32_t s = run->stack[--depth];

		if (set[s / 64] >> (s % 64) & 1)
			continue;
		set[s / 64] |= 1ull << (s % 64);
		if (run->state[s].kind == SPLIT) {
			run->stack[depth++] = run->state[s].next;
			run->stack[depth++] = run->state[s].other;
		}
	}
}

static bool run_text(struct run *run, const char *at, const char *end, uint32_t match)
{
	enter(run, run->now, 0);
	while (at < end) {
		uint64_t *swap = run->now;
		uint32_t rune;
		bool delimiter;

		at += rg_rune(at, end, &rune);
		delimiter = is_delimiter(run, rune);
		memset(run->then, 0, run->words * sizeof(*run->then));
		for (uint32_t w = 0; w < run->words; w++) {
			for (uint64_t bits = run->now[w]; bits; bits &= bits - 1) {
				const struct state *state =
					&run->state[w * 64 + (uint32_t)__builtin_ctzll(bits)];

				if (takes(run, state, rune, delimiter))
					enter(run, run->then, state->next);
			}
		}
		run->now = run->then;
		run->then = swap;
	}
	return run->now[match / 64] >> (match % 64) & 1;
}

/* Delimiters: null for none, an array of single code points; the empty array means ".". */
static bool read_delimiters(struct rg_builtin_call *call, const struct rg_value *args,
			    struct rg_value *out, enum rg_builtin_result *error)
{
	*out = rg_undefined;
	if (args[1].type == RG_NULL)
		return true;
	if (args[1].type != RG_ARRAY) {
		*error = rg_builtin_operand(call, 2, args[1], "one of {array, null}");
		return false;
	}
	for (uint32_t i = 0; i < rg_count(call->heap, args[1]); i++) {
		struct rg_value v = rg_array_at(call->heap, args[1], i);

		if (v.type != RG_STRING || rg_rune_count(rg_text(call->heap, v), v.length) != 1) {
			*error = rg_builtin_element(call, 2, args[1], v,
						    v.type == RG_STRING ? "rune" : "string");
			return false;
		}
	}
	*out = args[1];
	if (!rg_count(call->heap, args[1])) {
		*out = rg_array(call->heap, 1);
		*error = RG_BUILTIN_MEMORY;
		return rg_is_defined(*out) &&
		       rg_array_append(call->heap, *out, rg_string_c(call->heap, "."));
	}
	return true;
}

static enum rg_builtin_result match(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	enum rg_builtin_result error;
	struct compiler c = {.call = call};
	struct run run = {.heap = heap};
	const char *text;
	uint64_t offset;
	bool found;

	RG_OPERAND(1, STRING, "string");
	if (!read_delimiters(call, args, &run.delimiters, &error))
		return error;
	RG_OPERAND(3, STRING, "string");
	c.begin = c.at = rg_text(heap, args[0]);
	c.end = c.at + args[0].length;
	c.capacity = (args[0].length >= STATES_MAX / 2 ? STATES_MAX : 2 * args[0].length) +
		     2 * DEPTH_MAX + 16;
	c.state = rg_heap_alloc(heap, c.capacity * sizeof(*c.state), &offset);
	if (!c.state)
		return RG_BUILTIN_MEMORY;
	if (!compile_sequence(&c))
		return c.error;
	add(&c, (struct state){.kind = MATCH});
	run.state = c.state;
	run.words = c.count / 64 + 1;
	if (!rg_builtin_charge(call, (args[2].length + 1ull) * c.count / 8 + c.count))
		return RG_BUILTIN_ERROR;
	run.now = rg_heap_alloc(heap, run.words * 2 * sizeof(*run.now), &offset);
	run.stack = rg_heap_alloc(heap, (2 * c.count + 2) * sizeof(*run.stack), &offset);
	if (heap->exhausted)
		return RG_BUILTIN_MEMORY;
	run.then = run.now + run.words;
	memset(run.now, 0, run.words * sizeof(*run.now));
	text = rg_text(heap, args[2]);
	found = run_text(&run, text, text + args[2].length, c.count - 1);
	return rg_builtin_give(call, result, rg_boolean(found));
}

static enum rg_builtin_result quote_meta(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_builder builder;

	RG_OPERAND(1, STRING, "string");
	rg_builder_init(&builder, call->heap);
	for (uint32_t i = 0; i < args[0].length; i++) {
		char c = rg_text(call->heap, args[0])[i];

		if (c && strchr("*?\\[]{}", c))
			rg_builder_put_char(&builder, '\\');
		rg_builder_put_char(&builder, c);
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static const struct rg_builtin table[] = {
	{"glob.match", match, 3, 0, NULL,
	 FN3(T_STRING, T_UNION(OF2(T_ARRAY(T_STRING), T_NULL)), T_STRING, T_BOOLEAN)},
	{"glob.quote_meta", quote_meta, 1, 0, NULL, FN1(T_STRING, T_STRING)},
};
RG_BUILTIN_FAMILY(rg_builtin_glob, table);

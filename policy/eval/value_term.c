/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/eval/value_term.h"

#include <string.h>

struct reader {
	struct rg_heap *heap;
	const char *begin, *at, *end;
	struct rg_error *err;
	uint32_t depth;
};

static int fail(const struct reader *r, const char *what)
{
	return rg_error_set(r->err, RG_EINVAL, "term, byte %zu: %s", (size_t)(r->at - r->begin),
			    what);
}

static int out_of_memory(const struct reader *r)
{
	return rg_error_set(r->err, RG_ENOMEM, "the term does not fit into the memory for values");
}

static void skip_space(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static bool take(struct reader *r, const char *token)
{
	size_t bytes = strlen(token);

	if ((size_t)(r->end - r->at) < bytes || memcmp(r->at, token, bytes))
		return false;
	r->at += bytes;
	skip_space(r);
	return true;
}

/* A string in double quotes, a number, true, false or null: as JSON has them. */
static int read_scalar(struct reader *r, struct rg_value *out)
{
	const char *end = r->at;
	int status;

	if (*r->at == '"') {
		for (end++; end < r->end && *end != '"'; end++)
			end += *end == '\\';
		end++;
	} else {
		while (end < r->end && !strchr(" \t\r\n,:]})", *end))
			end++;
	}
	if (end > r->end)
		return fail(r, "string without a closing quote");
	status = rg_value_parse(r->heap, r->at, (size_t)(end - r->at), out, r->err);
	if (status == RG_EINVAL)
		return fail(r, "expected a term");
	r->at = end;
	skip_space(r);
	return status;
}

static int read_raw_string(struct reader *r, struct rg_value *out)
{
	const char *start = ++r->at, *close = memchr(start, '`', (size_t)(r->end - start));

	if (!close)
		return fail(r, "raw string without a closing backquote");
	*out = rg_string(r->heap, start, (size_t)(close - start));
	r->at = close + 1;
	skip_space(r);
	return rg_is_defined(*out) ? RG_OK : out_of_memory(r);
}

static int read_term(struct reader *r, struct rg_value *out);

static int read_array(struct reader *r, struct rg_value *out)
{
	struct rg_value element;
	int status;

	*out = rg_array(r->heap, 0);
	if (!rg_is_defined(*out))
		return out_of_memory(r);
	while (!take(r, "]")) {
		status = read_term(r, &element);
		if (status)
			return status;
		if (!rg_array_append(r->heap, *out, element))
			return out_of_memory(r);
		if (!take(r, ",") && (r->at >= r->end || *r->at != ']'))
			return fail(r, "expected ',' or ']'");
	}
	return RG_OK;
}

/* Behind '{': a set, or an object if a ':' follows the first term. {} is an object. */
static int read_braces(struct reader *r, struct rg_value *out)
{
	struct rg_value key, value;
	int status;

	*out = rg_undefined;
	while (!take(r, "}")) {
		bool pair;

		status = read_term(r, &key);
		if (status)
			return status;
		pair = take(r, ":");
		if (!rg_is_defined(*out))
			*out = pair ? rg_object(r->heap, 0) : rg_set(r->heap, 0);
		if (!rg_is_defined(*out))
			return out_of_memory(r);
		if (pair != (out->type == RG_OBJECT))
			return fail(r, "sets and objects do not mix");
		if (pair) {
			status = read_term(r, &value);
			if (status)
				return status;
		}
		if (pair ? !rg_object_insert(r->heap, *out, key, value)
			 : !rg_set_add(r->heap, *out, key))
			return out_of_memory(r);
		if (!take(r, ",") && (r->at >= r->end || *r->at != '}'))
			return fail(r, "expected ',' or '}'");
	}
	if (!rg_is_defined(*out))
		*out = rg_object(r->heap, 0);
	return rg_is_defined(*out) ? RG_OK : out_of_memory(r);
}

static int read_term(struct reader *r, struct rg_value *out)
{
	int status;

	skip_space(r);
	if (r->at >= r->end)
		return fail(r, "the term ends too early");
	if (r->depth >= RG_JSON_DEPTH_MAX)
		return fail(r, "nested more than 512 levels deep");
	r->depth++;
	if (take(r, "["))
		status = read_array(r, out);
	else if (take(r, "{"))
		status = read_braces(r, out);
	else if (*r->at == '`')
		status = read_raw_string(r, out);
	else if (take(r, "set()"))
		status = rg_is_defined(*out = rg_set(r->heap, 0)) ? RG_OK : out_of_memory(r);
	else
		status = read_scalar(r, out);
	r->depth--;
	return status;
}

int rg_term_read(struct rg_heap *heap, const char *begin, const char **at, const char *end,
		 struct rg_value *out, struct rg_error *err)
{
	struct reader r = {.heap = heap, .begin = begin, .at = *at, .end = end, .err = err};
	int status = read_term(&r, out);

	*at = r.at;
	return status;
}

int rg_term_parse(struct rg_heap *heap, const char *text, size_t bytes, struct rg_value *out,
		  struct rg_error *err)
{
	struct reader r = {
		.heap = heap, .begin = text, .at = text, .end = text + bytes, .err = err};
	int status = read_term(&r, out);

	if (!status && r.at < r.end)
		return fail(&r, "text after the term");
	return status;
}

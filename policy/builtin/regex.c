/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regex.*: over RE2 (regex_re2.h), with Go's rules for repeated matches and templates.
 * Source: OPA v1/topdown/regex.go, regex_template.go; Go regexp.
 */
#include "policy/builtin/regex_re2.h"

#include <string.h>

#include "policy/builtin/family.h"

static struct rg_regex *compile_text(struct rg_builtin_call *call, const char *pattern,
				     size_t bytes, enum rg_builtin_result *error)
{
	char why[256];
	struct rg_regex *regex;

	*error = RG_BUILTIN_ERROR;
	if (!rg_builtin_charge(call, bytes + 16))
		return NULL;
	regex = rg_regex_compile(pattern, bytes, why, sizeof(why));
	if (!regex)
		*error = rg_builtin_fail(call, "%s", why);
	return regex;
}

static struct rg_regex *compile(struct rg_builtin_call *call, struct rg_value pattern,
				enum rg_builtin_result *error)
{
	return compile_text(call, rg_text(call->heap, pattern), pattern.length, error);
}

static struct rg_value span_text(struct rg_value text, struct rg_regex_span span)
{
	if (span.start < 0)
		return rg_string_slice(text, 0, 0);
	return rg_string_slice(text, (uint32_t)span.start, (uint32_t)(span.end - span.start));
}

/* ---- all matches, as Go finds them: an empty match right behind another match does not count
 * ---- */

struct matches {
	struct rg_builtin_call *call;
	struct rg_regex *regex;
	const char *text;
	uint32_t bytes;
	size_t from;
	int64_t last_end;
	bool done, failed;
};

static void matches_init(struct matches *m, struct rg_builtin_call *call, struct rg_regex *regex,
			 struct rg_value text)
{
	*m = (struct matches){.call = call,
			      .regex = regex,
			      .text = rg_text(call->heap, text),
			      .bytes = text.length,
			      .last_end = -1};
}

/* The next match into spans[0..count). False: there is none, or (failed) the budget is used up. */
static bool next_match(struct matches *m, struct rg_regex_span *spans, int count)
{
	while (!m->done) {
		bool accept = true;
		uint32_t rune;

		m->failed = !rg_builtin_charge(m->call, (m->bytes - m->from) / 16 + 1);
		if (m->failed ||
		    !rg_regex_match(m->regex, m->text, m->bytes, m->from, spans, count))
			break;
		if (spans[0].end == (int64_t)m->from) {
			accept = spans[0].start != m->last_end;
			if (m->from < m->bytes)
				m->from += rg_rune(m->text + m->from, m->text + m->bytes, &rune);
			else
				m->done = true;
		} else {
			m->from = (size_t)spans[0].end;
		}
		m->last_end = spans[0].end;
		if (accept)
			return true;
	}
	m->done = true;
	return false;
}

/* ---- questions ---- */

static enum rg_builtin_result is_valid(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	enum rg_builtin_result ignored;
	bool valid = args[0].type == RG_STRING && compile(call, args[0], &ignored);

	return rg_builtin_give(call, result, rg_boolean(valid));
}

static enum rg_builtin_result match(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_regex *regex;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	regex = compile(call, args[0], &error);
	if (!regex)
		return error;
	if (!rg_builtin_charge(call, args[1].length / 16))
		return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result,
			       rg_boolean(rg_regex_match(regex, rg_text(call->heap, args[1]),
							 args[1].length, 0, NULL, 0)));
}

/* ---- templates: text with regular expressions between two delimiters ---- */

static void put_quoted_meta(struct rg_builder *builder, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] && strchr("\\.+*?()|[]{}^$", text[i]))
			rg_builder_put_char(builder, '\\');
		rg_builder_put_char(builder, text[i]);
	}
}

/* The regular expression for a template. False: unbalanced delimiters. */
static bool build_template(struct rg_builder *builder, const char *text, size_t bytes, char open,
			   char close)
{
	size_t start = 0, raw = 0;
	int level = 0;

	rg_builder_put_char(builder, '^');
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == open && ++level == 1) {
			start = i;
		} else if (text[i] == close && text[i] != open) {
			if (--level < 0)
				return false;
			if (!level) {
				put_quoted_meta(builder, text + raw, start - raw);
				rg_builder_put_char(builder, '(');
				rg_builder_put(builder, text + start + 1, i - start - 1);
				rg_builder_put_char(builder, ')');
				raw = i + 1;
			}
		}
	}
	put_quoted_meta(builder, text + raw, bytes - raw);
	rg_builder_put_char(builder, '$');
	return !level;
}

static enum rg_builtin_result template_match(struct rg_builtin_call *call,
					     const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_builder builder;
	struct rg_regex *regex;
	struct rg_value pattern;
	const char *text;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	RG_OPERAND(3, STRING, "string");
	RG_OPERAND(4, STRING, "string");
	for (int i = 2; i < 4; i++) {
		if (args[i].length != 1)
			return rg_builtin_fail(
				call,
				"%s delimiter has to be exactly one character long but is %u long",
				i == 2 ? "start" : "end", args[2].length);
	}
	text = rg_text(call->heap, args[0]);
	rg_builder_init(&builder, call->heap);
	if (!build_template(&builder, text, args[0].length, *rg_text(call->heap, args[2]),
			    *rg_text(call->heap, args[3])))
		return rg_builtin_fail(call, "unbalanced braces in \"%.*s\"", (int)args[0].length,
				       text);
	pattern = rg_builder_finish(&builder);
	if (!rg_is_defined(pattern))
		return RG_BUILTIN_MEMORY;
	regex = compile(call, pattern, &error);
	if (!regex)
		return error;
	if (!rg_builtin_charge(call, args[1].length / 16))
		return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result,
			       rg_boolean(rg_regex_match(regex, rg_text(call->heap, args[1]),
							 args[1].length, 0, NULL, 0)));
}

/* ---- parts ---- */

static enum rg_builtin_result find_n(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_regex_span span;
	struct rg_regex *regex;
	struct rg_value found;
	struct matches m;
	int64_t n;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	if (!rg_builtin_int(call, args, 3, &n, &error))
		return error;
	regex = compile(call, args[0], &error);
	if (!regex)
		return error;
	found = rg_array(call->heap, 0);
	matches_init(&m, call, regex, args[1]);
	while (rg_is_defined(found) && n-- != 0 && next_match(&m, &span, 1))
		rg_array_append(call->heap, found, span_text(args[1], span));
	return m.failed ? RG_BUILTIN_ERROR : rg_builtin_give(call, result, found);
}

static enum rg_builtin_result find_all_submatch_n(struct rg_builtin_call *call,
						  const struct rg_value *args,
						  struct rg_value *result)
{
	struct rg_regex_span spans[RG_REGEX_GROUPS_MAX];
	enum rg_builtin_result error;
	struct rg_regex *regex;
	struct rg_value found;
	struct matches m;
	int64_t n;
	int count;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	if (!rg_builtin_int(call, args, 3, &n, &error))
		return error;
	regex = compile(call, args[0], &error);
	if (!regex)
		return error;
	count = rg_regex_group_count(regex) + 1;
	if (count > RG_REGEX_GROUPS_MAX)
		return rg_builtin_fail(call, "more than %d groups", RG_REGEX_GROUPS_MAX - 1);
	found = rg_array(call->heap, 0);
	matches_init(&m, call, regex, args[1]);
	while (rg_is_defined(found) && n-- != 0 && next_match(&m, spans, count)) {
		struct rg_value groups = rg_array(call->heap, (uint32_t)count);

		for (int i = 0; i < count && rg_is_defined(groups); i++)
			rg_array_append(call->heap, groups, span_text(args[1], spans[i]));
		rg_array_append(call->heap, found, groups);
	}
	return m.failed ? RG_BUILTIN_ERROR : rg_builtin_give(call, result, found);
}

static enum rg_builtin_result split(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	int64_t begin = 0, end = 0, length;
	enum rg_builtin_result error;
	struct rg_regex_span span;
	struct rg_regex *regex;
	struct rg_value parts;
	struct matches m;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	regex = compile(call, args[0], &error);
	if (!regex)
		return error;
	length = args[1].length;
	parts = rg_array(call->heap, 0);
	matches_init(&m, call, regex, args[1]);
	while ((length || !args[0].length) && rg_is_defined(parts) && next_match(&m, &span, 1)) {
		end = span.start;
		if (span.end)
			rg_array_append(call->heap, parts,
					span_text(args[1], (struct rg_regex_span){begin, end}));
		begin = span.end;
	}
	if (m.failed)
		return RG_BUILTIN_ERROR;
	if (rg_is_defined(parts) && (end != length || (!length && args[0].length)))
		rg_array_append(call->heap, parts,
				span_text(args[1], (struct rg_regex_span){begin, length}));
	return rg_builtin_give(call, result, parts);
}

/* ---- replace ---- */

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_';
}

/* Group that a template's name means: its number, or -1 for one there is not. */
static int group_of(const struct rg_regex *regex, const char *name, size_t bytes)
{
	int64_t number;

	if (rg_json_int64(name, bytes, &number) && !memchr(name, '-', bytes))
		return number <= rg_regex_group_count(regex) ? (int)number : -1;
	return rg_regex_group_by_name(regex, name, bytes);
}

/* $1, $name and ${name} in a template; $$ is a $. Source: Go regexp.Expand. */
static void put_expanded(struct rg_builder *builder, const struct rg_regex *regex,
			 struct rg_value template, struct rg_value text,
			 const struct rg_regex_span *spans, int count)
{
	const char *at = rg_text(builder->heap, template), *end = at + template.length;

	while (at < end) {
		const char *name = at + 1, *name_end;
		bool braced;
		int group;

		if (*at != '$' || name == end) {
			rg_builder_put_char(builder, *at++);
			continue;
		}
		if (*name == '$') {
			rg_builder_put_char(builder, '$');
			at += 2;
			continue;
		}
		braced = *name == '{';
		name += braced;
		for (name_end = name; name_end < end && is_word(*name_end); name_end++)
			;
		if (name_end == name || (braced && (name_end == end || *name_end != '}'))) {
			rg_builder_put_char(builder, *at++);
			continue;
		}
		group = group_of(regex, name, (size_t)(name_end - name));
		if (group >= 0 && group < count && spans[group].start >= 0)
			rg_builder_put_value(builder, span_text(text, spans[group]));
		at = name_end + braced;
	}
}

static enum rg_builtin_result replace(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct rg_regex_span spans[RG_REGEX_GROUPS_MAX];
	enum rg_builtin_result error;
	struct rg_builder builder;
	struct rg_regex *regex;
	struct matches m;
	int64_t copied = 0;
	int count;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	RG_OPERAND(3, STRING, "string");
	regex = compile(call, args[1], &error);
	if (!regex)
		return error;
	count = rg_regex_group_count(regex) + 1;
	if (count > RG_REGEX_GROUPS_MAX)
		return rg_builtin_fail(call, "more than %d groups", RG_REGEX_GROUPS_MAX - 1);
	rg_builder_init(&builder, call->heap);
	matches_init(&m, call, regex, args[0]);
	while (next_match(&m, spans, count) && !builder.failed) {
		rg_builder_put(&builder, m.text + copied, (size_t)(spans[0].start - copied));
		put_expanded(&builder, regex, args[2], args[0], spans, count);
		copied = spans[0].end;
	}
	if (m.failed)
		return RG_BUILTIN_ERROR;
	rg_builder_put(&builder, m.text + copied, (size_t)(m.bytes - copied));
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static const struct rg_builtin table[] = {
	{"regex.is_valid", is_valid, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
	{"regex.match", match, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"re_match", match, 2, RG_BUILTIN_DEPRECATED, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"regex.template_match", template_match, 4, 0, NULL,
	 FN4(T_STRING, T_STRING, T_STRING, T_STRING, T_BOOLEAN)},
	{"regex.find_n", find_n, 3, 0, NULL, FN3(T_STRING, T_STRING, T_NUMBER, T_ARRAY(T_STRING))},
	{"regex.find_all_string_submatch_n", find_all_submatch_n, 3, 0, NULL,
	 FN3(T_STRING, T_STRING, T_NUMBER, T_ARRAY(T_ARRAY(T_STRING)))},
	{"regex.split", split, 2, 0, NULL, FN2(T_STRING, T_STRING, T_ARRAY(T_STRING))},
	{"regex.replace", replace, 3, 0, NULL, FN3(T_STRING, T_STRING, T_STRING, T_STRING)},
};
RG_BUILTIN_FAMILY(rg_builtin_regex, table);

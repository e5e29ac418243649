/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings. Positions are counted in code points. Source: OPA v1/topdown/strings.go,
 * template_string.go and Go's package strings.
 */
#include <string.h>

#include "policy/builtin/family.h"
#include "policy/builtin/unicode.h"

#define STRING_OPERANDS_2                                                                          \
	do {                                                                                       \
		RG_OPERAND(1, STRING, "string");                                                   \
		RG_OPERAND(2, STRING, "string");                                                   \
	} while (0)

/* A view of a string's bytes. */
struct text {
	const char *at, *end;
};

static struct text text_of(const struct rg_heap *heap, struct rg_value v)
{
	const char *at = rg_text(heap, v);

	return (struct text){at, at + v.length};
}

static size_t bytes_of(struct text t)
{
	return (size_t)(t.end - t.at);
}

static const char *find(struct text in, struct text what)
{
	if (what.at == what.end)
		return in.at;
	return memmem(in.at, bytes_of(in), what.at, bytes_of(what));
}

static bool has_prefix(struct text t, struct text prefix)
{
	return bytes_of(t) >= bytes_of(prefix) && !memcmp(t.at, prefix.at, bytes_of(prefix));
}

static bool has_suffix(struct text t, struct text suffix)
{
	return bytes_of(t) >= bytes_of(suffix) &&
	       !memcmp(t.end - bytes_of(suffix), suffix.at, bytes_of(suffix));
}

/* The part [from, until) of string v, sharing its bytes. */
static struct rg_value part(const struct rg_heap *heap, struct rg_value v, const char *from,
			    const char *until)
{
	return rg_string_slice(v, (uint32_t)(from - rg_text(heap, v)), (uint32_t)(until - from));
}

/* ---- questions ---- */

static enum rg_builtin_result contains(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	STRING_OPERANDS_2;
	return rg_builtin_give(call, result,
			       rg_boolean(find(text_of(call->heap, args[0]),
					       text_of(call->heap, args[1])) != NULL));
}

static enum rg_builtin_result startswith(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	STRING_OPERANDS_2;
	return rg_builtin_give(
		call, result,
		rg_boolean(has_prefix(text_of(call->heap, args[0]), text_of(call->heap, args[1]))));
}

static enum rg_builtin_result endswith(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	STRING_OPERANDS_2;
	return rg_builtin_give(
		call, result,
		rg_boolean(has_suffix(text_of(call->heap, args[0]), text_of(call->heap, args[1]))));
}

/* How many strings an operand names: one, or a list's. The others are a type error. */
static bool string_or_list(struct rg_builtin_call *call, const struct rg_value *args, int operand,
			   uint32_t *count, enum rg_builtin_result *error)
{
	struct rg_value v = args[operand - 1];

	*count = 1;
	if (v.type == RG_STRING)
		return true;
	if (v.type != RG_ARRAY && v.type != RG_SET) {
		*error = rg_builtin_operand(call, operand, v, "one of {string, set, array}");
		return false;
	}
	*count = rg_count(call->heap, v);
	return rg_builtin_strings_only(call, v, operand, error);
}

static struct text nth_text(struct rg_heap *heap, struct rg_value v, uint32_t i)
{
	return text_of(heap, v.type == RG_STRING ? v : rg_list_at(heap, v, i));
}

static enum rg_builtin_result any_match(struct rg_builtin_call *call,
					bool (*matches)(struct text, struct text),
					const struct rg_value *args, struct rg_value *result)
{
	uint32_t strings, affixes;
	enum rg_builtin_result error;
	bool found = false;

	if (!string_or_list(call, args, 1, &strings, &error) ||
	    !string_or_list(call, args, 2, &affixes, &error))
		return error;
	if (!rg_builtin_charge(call, (uint64_t)strings * affixes))
		return RG_BUILTIN_ERROR;
	for (uint32_t i = 0; i < strings && !found; i++) {
		for (uint32_t k = 0; k < affixes && !found; k++)
			found = matches(nth_text(call->heap, args[0], i),
					nth_text(call->heap, args[1], k));
	}
	return rg_builtin_give(call, result, rg_boolean(found));
}

static enum rg_builtin_result any_prefix_match(struct rg_builtin_call *call,
					       const struct rg_value *args, struct rg_value *result)
{
	return any_match(call, has_prefix, args, result);
}

static enum rg_builtin_result any_suffix_match(struct rg_builtin_call *call,
					       const struct rg_value *args, struct rg_value *result)
{
	return any_match(call, has_suffix, args, result);
}

/* ---- positions ---- */

static enum rg_builtin_result indexof(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct text base;
	const char *at;

	STRING_OPERANDS_2;
	if (!args[1].length)
		return rg_builtin_fail(call, "empty search character");
	base = text_of(call->heap, args[0]);
	at = find(base, text_of(call->heap, args[1]));
	return rg_builtin_give(
		call, result,
		rg_int(at ? (int64_t)rg_rune_count(base.at, (size_t)(at - base.at)) : -1));
}

static enum rg_builtin_result indexof_n(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct rg_value indexes;
	struct text base, what;
	int64_t index = 0;
	const char *at;
	uint32_t rune;

	STRING_OPERANDS_2;
	if (!args[1].length)
		return rg_builtin_fail(call, "empty search character");
	indexes = rg_array(call->heap, 0);
	base = text_of(call->heap, args[0]);
	what = text_of(call->heap, args[1]);
	while (rg_is_defined(indexes) && (at = find(base, what))) {
		if (!rg_builtin_charge(call, 1))
			return RG_BUILTIN_ERROR;
		index += (int64_t)rg_rune_count(base.at, (size_t)(at - base.at));
		if (!rg_array_append(call->heap, indexes, rg_int(index)))
			break;
		base.at = at + rg_rune(at, base.end, &rune); /* occurrences may overlap */
		index++;
	}
	return rg_builtin_give(call, result, indexes);
}

static const char *skip_runes(struct text t, int64_t count)
{
	uint32_t rune;

	while (count-- > 0 && t.at < t.end)
		t.at += rg_rune(t.at, t.end, &rune);
	return t.at;
}

static enum rg_builtin_result substring(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	enum rg_builtin_result error;
	const char *from, *until;
	int64_t start, length;
	struct text base;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_int(call, args, 2, &start, &error) ||
	    !rg_builtin_int(call, args, 3, &length, &error))
		return error;
	if (start < 0)
		return rg_builtin_fail(call, "negative offset");
	base = text_of(call->heap, args[0]);
	from = skip_runes(base, start);
	until = length < 0 ? base.end : skip_runes((struct text){from, base.end}, length);
	return rg_builtin_give(call, result, part(call->heap, args[0], from, until));
}

/* Go's strings.Count: occurrences without overlap; of "", the gaps around and between code
 * points. */
static enum rg_builtin_result count(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct text base, what;
	const char *at;
	int64_t n = 0;

	STRING_OPERANDS_2;
	base = text_of(call->heap, args[0]);
	what = text_of(call->heap, args[1]);
	if (what.at == what.end)
		return rg_builtin_give(call, result,
				       rg_int((int64_t)rg_rune_count(base.at, bytes_of(base)) + 1));
	while ((at = find(base, what))) {
		base.at = at + bytes_of(what);
		n++;
	}
	return rg_builtin_give(call, result, rg_int(n));
}

/* ---- parts ---- */

static bool is_in(uint32_t rune, struct text set)
{
	uint32_t other;

	while (set.at < set.end) {
		set.at += rg_rune(set.at, set.end, &other);
		if (other == rune)
			return true;
	}
	return false;
}

static bool is_trimmed(uint32_t rune, const struct text *set)
{
	return set ? is_in(rune, *set) : rg_rune_is_space(rune);
}

/* Start of the last code point of t. */
static const char *last_rune(struct text t, uint32_t *rune)
{
	const char *at = t.end - 1;

	for (int back = 1; back < 4 && at > t.at && ((unsigned char)*at & 0xc0) == 0x80; back++)
		at--;
	if (at + rg_rune(at, t.end, rune) != t.end) { /* not one whole code point */
		at = t.end - 1;
		*rune = RG_RUNE_ERROR;
	}
	return at;
}

/* v without leading and trailing code points of the set (NULL: white space). */
static enum rg_builtin_result trim_runes(struct rg_builtin_call *call, struct rg_value v,
					 const struct text *set, bool left, bool right,
					 struct rg_value *result)
{
	struct text t = text_of(call->heap, v);
	uint32_t rune, bytes;

	if (!rg_builtin_charge(call, bytes_of(t) / 8 * (set ? bytes_of(*set) : 1)))
		return RG_BUILTIN_ERROR;
	while (left && t.at < t.end) {
		bytes = rg_rune(t.at, t.end, &rune);
		if (!is_trimmed(rune, set))
			break;
		t.at += bytes;
	}
	while (right && t.at < t.end) {
		const char *last = last_rune(t, &rune);

		if (!is_trimmed(rune, set))
			break;
		t.end = last;
	}
	return rg_builtin_give(call, result, part(call->heap, v, t.at, t.end));
}

static enum rg_builtin_result trim_cutset(struct rg_builtin_call *call, const struct rg_value *args,
					  bool left, bool right, struct rg_value *result)
{
	struct text set;

	STRING_OPERANDS_2;
	set = text_of(call->heap, args[1]);
	return trim_runes(call, args[0], &set, left, right, result);
}

static enum rg_builtin_result trim(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	return trim_cutset(call, args, true, true, result);
}

static enum rg_builtin_result trim_left(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	return trim_cutset(call, args, true, false, result);
}

static enum rg_builtin_result trim_right(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	return trim_cutset(call, args, false, true, result);
}

static enum rg_builtin_result trim_space(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	RG_OPERAND(1, STRING, "string");
	return trim_runes(call, args[0], NULL, true, true, result);
}

static enum rg_builtin_result trim_prefix(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	struct text t, prefix;

	STRING_OPERANDS_2;
	t = text_of(call->heap, args[0]);
	prefix = text_of(call->heap, args[1]);
	if (has_prefix(t, prefix))
		t.at += bytes_of(prefix);
	return rg_builtin_give(call, result, part(call->heap, args[0], t.at, t.end));
}

static enum rg_builtin_result trim_suffix(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	struct text t, suffix;

	STRING_OPERANDS_2;
	t = text_of(call->heap, args[0]);
	suffix = text_of(call->heap, args[1]);
	if (has_suffix(t, suffix))
		t.end -= bytes_of(suffix);
	return rg_builtin_give(call, result, part(call->heap, args[0], t.at, t.end));
}

/* v cut at each separator; with an empty one, after each code point. False: the budget is used
 * up. */
static bool split_into(struct rg_builtin_call *call, struct rg_value v, struct rg_value separator,
		       struct rg_value parts)
{
	struct text t = text_of(call->heap, v), mark = text_of(call->heap, separator);
	const char *at;
	uint32_t rune;

	while (rg_is_defined(parts) && !call->heap->exhausted) {
		if (!rg_builtin_charge(call, 1))
			return false;
		if (mark.at == mark.end) {
			if (t.at == t.end)
				break;
			at = t.at + rg_rune(t.at, t.end, &rune);
		} else {
			at = find(t, mark);
		}
		rg_array_append(call->heap, parts, part(call->heap, v, t.at, at ? at : t.end));
		if (!at)
			break;
		t.at = at + bytes_of(mark);
	}
	return true;
}

static enum rg_builtin_result split(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct rg_value parts;

	STRING_OPERANDS_2;
	parts = rg_array(call->heap, 0);
	if (!split_into(call, args[0], args[1], parts))
		return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result, parts);
}

/* The first n parts, or the last -n ones. */
static enum rg_builtin_result split_n(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_value parts, chosen;
	int64_t n, count, from, until;

	STRING_OPERANDS_2;
	if (!rg_builtin_int(call, args, 3, &n, &error))
		return error;
	parts = rg_array(call->heap, 0);
	if (!split_into(call, args[0], args[1], parts))
		return RG_BUILTIN_ERROR;
	if (call->heap->exhausted)
		return RG_BUILTIN_MEMORY;
	count = rg_count(call->heap, parts);
	from = n >= 0 || n < -count ? 0 : count + n;
	until = n < 0 || n > count ? count : n;
	chosen = rg_array(call->heap, (uint32_t)(until - from));
	for (int64_t i = from; i < until && rg_is_defined(chosen); i++)
		rg_array_append(call->heap, chosen, rg_array_at(call->heap, parts, (uint32_t)i));
	return rg_builtin_give(call, result, chosen);
}

/* ---- new strings ---- */

static enum rg_builtin_result concat(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	struct rg_builder builder;
	enum rg_builtin_result error;

	RG_OPERAND(1, STRING, "string");
	if (args[1].type != RG_ARRAY && args[1].type != RG_SET)
		return rg_builtin_operand(call, 2, args[1], "one of {set, array}");
	if (!rg_builtin_strings_only(call, args[1], 2, &error))
		return error;
	if (!rg_builtin_charge(call, rg_count(call->heap, args[1])))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&builder, call->heap);
	for (uint32_t i = 0; i < rg_count(call->heap, args[1]); i++) {
		if (i)
			rg_builder_put_value(&builder, args[0]);
		rg_builder_put_value(&builder, rg_list_at(call->heap, args[1], i));
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static enum rg_builtin_result map_runes(struct rg_builtin_call *call, uint32_t (*map)(uint32_t),
					const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder builder;
	struct text t;
	uint32_t rune;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 8))
		return RG_BUILTIN_ERROR;
	t = text_of(call->heap, args[0]);
	rg_builder_init(&builder, call->heap);
	while (t.at < t.end) {
		t.at += rg_rune(t.at, t.end, &rune);
		rg_builder_put_rune(&builder, map(rune));
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static enum rg_builtin_result lower(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	return map_runes(call, rg_rune_lower, args, result);
}

static enum rg_builtin_result upper(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	return map_runes(call, rg_rune_upper, args, result);
}

static enum rg_builtin_result reverse(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct rg_builder builder;
	struct text t;
	uint32_t rune;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 8))
		return RG_BUILTIN_ERROR;
	t = text_of(call->heap, args[0]);
	rg_builder_init(&builder, call->heap);
	while (t.at < t.end) {
		t.end = last_rune(t, &rune);
		rg_builder_put_rune(&builder, rune);
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

/*
 * One pass over the text; at each position the first pair whose old string is there is applied, and
 * the search goes on behind it. An empty old string matches at each position, but not twice at the
 * same. pairs is an array old, new, old, new, ... Source: Go strings.NewReplacer.
 */
static enum rg_builtin_result replace_all(struct rg_builtin_call *call, struct rg_value v,
					  struct rg_value pairs, struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct text t = text_of(heap, v);
	uint32_t count = rg_count(heap, pairs);
	bool after_empty = false;
	struct rg_builder builder;

	if (!rg_builtin_charge(call, (v.length + 1ull) * count / 8))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&builder, heap);
	while (!heap->exhausted) {
		uint32_t i = 0;
		struct rg_value old = rg_undefined;

		for (; i < count; i += 2) {
			old = rg_array_at(heap, pairs, i);
			if ((old.length || !after_empty) && has_prefix(t, text_of(heap, old)))
				break;
		}
		after_empty = i < count && !old.length;
		if (i < count) {
			rg_builder_put_value(&builder, rg_array_at(heap, pairs, i + 1));
			t.at += old.length;
			if (old.length || t.at < t.end)
				continue;
		}
		if (t.at >= t.end)
			break;
		rg_builder_put_char(&builder, *t.at++);
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static enum rg_builtin_result replace(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct rg_value pairs;

	STRING_OPERANDS_2;
	RG_OPERAND(3, STRING, "string");
	pairs = rg_array(call->heap, 2);
	if (!rg_is_defined(pairs) || !rg_array_append(call->heap, pairs, args[1]) ||
	    !rg_array_append(call->heap, pairs, args[2]))
		return RG_BUILTIN_MEMORY;
	return replace_all(call, args[0], pairs, result);
}

static enum rg_builtin_result replace_n(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct rg_value pairs;

	RG_OPERAND(1, OBJECT, "object");
	RG_OPERAND(2, STRING, "string");
	pairs = rg_array(call->heap, 2 * rg_count(call->heap, args[0]));
	for (uint32_t i = 0; i < rg_count(call->heap, args[0]); i++) {
		struct rg_pair pair = rg_object_at(call->heap, args[0], i);

		if (pair.key.type != RG_STRING)
			return rg_builtin_operand_text(call, 1,
						       "non-string key found in pattern object");
		if (pair.value.type != RG_STRING)
			return rg_builtin_operand_text(call, 1,
						       "non-string value found in pattern object");
		if (!rg_is_defined(pairs) || !rg_array_append(call->heap, pairs, pair.key) ||
		    !rg_array_append(call->heap, pairs, pair.value))
			return RG_BUILTIN_MEMORY;
	}
	if (!rg_is_defined(pairs))
		return RG_BUILTIN_MEMORY;
	return replace_all(call, args[1], pairs, result);
}

/* ---- templates and prints ---- */

/* Each part is a scalar, or a set: of the one value an expression had, or empty when it had
 * none. */
static enum rg_builtin_result template_string(struct rg_builtin_call *call,
					      const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder builder;

	RG_OPERAND(1, ARRAY, "array");
	rg_builder_init(&builder, call->heap);
	for (uint32_t i = 0; i < rg_count(call->heap, args[0]); i++) {
		struct rg_value v = rg_array_at(call->heap, args[0], i);

		if (v.type == RG_ARRAY || v.type == RG_OBJECT)
			return rg_builtin_fail(call, "illegal argument type: %s", rg_type_name(v));
		if (v.type == RG_SET) {
			if (rg_count(call->heap, v) > 1)
				return rg_builtin_fail(
					call, "template-strings must not produce multiple outputs");
			if (!rg_count(call->heap, v)) {
				rg_builder_put_c(&builder, "<undefined>");
				continue;
			}
			v = rg_set_at(call->heap, v, 0);
		}
		if (v.type == RG_STRING)
			rg_builder_put_value(&builder, v);
		else
			rg_builder_put_term(&builder, v);
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

/* print() and trace() say nothing: a decision has no console. */
static enum rg_builtin_result print(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	RG_OPERAND(1, ARRAY, "array");
	return rg_builtin_give(call, result, rg_boolean(true));
}

static enum rg_builtin_result trace(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	RG_OPERAND(1, STRING, "string");
	return rg_builtin_give(call, result, rg_boolean(true));
}

#define STRINGS		  T_UNION(OF2(T_ARRAY(T_STRING), T_SET(T_STRING)))
#define STRING_OR_STRINGS T_UNION(OF3(T_ARRAY(T_STRING), T_SET(T_STRING), T_STRING))

static const struct rg_builtin table[] = {
	{"contains", contains, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"startswith", startswith, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"endswith", endswith, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"strings.any_prefix_match", any_prefix_match, 2, 0, NULL,
	 FN2(STRING_OR_STRINGS, STRING_OR_STRINGS, T_BOOLEAN)},
	{"strings.any_suffix_match", any_suffix_match, 2, 0, NULL,
	 FN2(STRING_OR_STRINGS, STRING_OR_STRINGS, T_BOOLEAN)},
	{"indexof", indexof, 2, 0, NULL, FN2(T_STRING, T_STRING, T_NUMBER)},
	{"indexof_n", indexof_n, 2, 0, NULL, FN2(T_STRING, T_STRING, T_ARRAY(T_NUMBER))},
	{"substring", substring, 3, 0, NULL, FN3(T_STRING, T_NUMBER, T_NUMBER, T_STRING)},
	{"strings.count", count, 2, 0, NULL, FN2(T_STRING, T_STRING, T_NUMBER)},
	{"trim", trim, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"trim_left", trim_left, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"trim_right", trim_right, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"trim_space", trim_space, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"trim_prefix", trim_prefix, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"trim_suffix", trim_suffix, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"split", split, 2, 0, NULL, FN2(T_STRING, T_STRING, T_ARRAY(T_STRING))},
	{"strings.split_n", split_n, 3, 0, NULL,
	 FN3(T_STRING, T_STRING, T_NUMBER, T_ARRAY(T_STRING))},
	{"concat", concat, 2, 0, NULL, FN2(T_STRING, STRINGS, T_STRING)},
	{"lower", lower, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"upper", upper, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"strings.reverse", reverse, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"replace", replace, 3, 0, NULL, FN3(T_STRING, T_STRING, T_STRING, T_STRING)},
	{"strings.replace_n", replace_n, 2, 0, NULL,
	 FN2(T_OBJECT(T_STRING, T_STRING), T_STRING, T_STRING)},
	{"internal.template_string", template_string, 1, 0, NULL, FN1(T_ARRAY(T_ANY), T_STRING)},
	{"internal.print", print, 1, RG_BUILTIN_VOID, NULL, FN1_VOID(T_ARRAY(T_SET(T_ANY)))},
	{"trace", trace, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_strings, table);

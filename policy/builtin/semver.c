/* SPDX-License-Identifier: Apache-2.0 */
/* semver.*. Source: OPA v1/topdown/semver.go, internal/semver; semver.org. */
#include <string.h>

#include "policy/builtin/family.h"

struct text {
	const char *at, *end;
};

struct version {
	int64_t number[3];
	struct text pre_release;
};

/* Cut *t at the first separator: returns what is before it, *t becomes what is behind. */
static struct text cut(struct text *t, char separator)
{
	const char *found =
		t->at < t->end ? memchr(t->at, separator, (size_t)(t->end - t->at)) : NULL;
	struct text before = {t->at, found ? found : t->end};

	t->at = found ? found + 1 : t->end;
	return before;
}

static bool is_number(struct text t)
{
	for (const char *c = t.at; c < t.end; c++) {
		if (*c < '0' || *c > '9')
			return false;
	}
	return t.at < t.end;
}

static bool has_leading_zero(struct text t)
{
	return t.end - t.at > 1 && *t.at == '0';
}

/* One or more identifiers of letters, digits and '-', separated by dots; in a pre-release, numbers without leading
 * zeros. */
static bool is_identifiers(struct text t, bool pre_release)
{
	for (;;) {
		struct text identifier = cut(&t, '.');
		bool last = identifier.end == t.end;

		if (identifier.at == identifier.end ||
		    (pre_release && is_number(identifier) && has_leading_zero(identifier)))
			return false;
		for (const char *c = identifier.at; c < identifier.end; c++) {
			if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
			      (*c >= 'A' && *c <= 'Z') || *c == '-'))
				return false;
		}
		if (last)
			return true;
	}
}

/* The part behind a separator is there, perhaps empty. */
static bool is_cut(struct text before, struct text whole)
{
	return before.end < whole.end;
}

static bool parse(const struct rg_heap *heap, struct rg_value v, struct version *out)
{
	const char *text = rg_text(heap, v);
	struct text metadata = {text, text + v.length}, whole = metadata, core, part;

	if (metadata.at < metadata.end && *metadata.at == 'v')
		metadata.at++;
	out->pre_release = cut(&metadata, '+');
	if (is_cut(out->pre_release, whole) && !is_identifiers(metadata, false))
		return false;
	whole = out->pre_release;
	core = cut(&out->pre_release, '-');
	if (is_cut(core, whole) && !is_identifiers(out->pre_release, true))
		return false;
	for (int i = 0; i < 3; i++) {
		part = i < 2 ? cut(&core, '.') : core;
		if (!is_number(part) || has_leading_zero(part) ||
		    !rg_json_int64(part.at, (size_t)(part.end - part.at), &out->number[i]))
			return false;
	}
	return true;
}

static int compare_int(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* Two identifiers: numbers by value and before words, words by bytes. */
static int compare_identifiers(struct text a, struct text b)
{
	size_t a_bytes = (size_t)(a.end - a.at), b_bytes = (size_t)(b.end - b.at);
	bool a_number = is_number(a), b_number = is_number(b);
	int order;

	if (!a_bytes || !b_bytes)
		return (a_bytes > 0) - (b_bytes > 0);
	if (a_number != b_number)
		return a_number ? -1 : 1;
	if (a_number && a_bytes != b_bytes)
		return a_bytes < b_bytes ? -1 : 1;
	order = memcmp(a.at, b.at, a_bytes < b_bytes ? a_bytes : b_bytes);
	return order ? (order > 0) - (order < 0) : compare_int((int64_t)a_bytes, (int64_t)b_bytes);
}

static int compare_pre_release(struct text a, struct text b)
{
	bool a_empty = a.at == a.end, b_empty = b.at == b.end;

	if (a_empty || b_empty) /* without one is later */
		return a_empty - b_empty;
	for (;;) {
		int order = compare_identifiers(cut(&a, '.'), cut(&b, '.'));

		if (order)
			return order;
		if (a.at == a.end || b.at == b.end)
			return (a.at < a.end) - (b.at < b.end);
	}
}

static enum rg_builtin_result compare(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct version version[2];
	int order = 0;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	for (int i = 0; i < 2; i++) {
		if (!parse(call->heap, args[i], &version[i]))
			return rg_builtin_fail(
				call, "operand %d: string \"%.*s\" is not a valid SemVer", i + 1,
				(int)args[i].length, rg_text(call->heap, args[i]));
	}
	for (int i = 0; i < 3 && !order; i++)
		order = compare_int(version[0].number[i], version[1].number[i]);
	if (!order)
		order = compare_pre_release(version[0].pre_release, version[1].pre_release);
	return rg_builtin_give(call, result, rg_int(order));
}

static enum rg_builtin_result is_valid(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct version version;

	return rg_builtin_give(
		call, result,
		rg_boolean(args[0].type == RG_STRING && parse(call->heap, args[0], &version)));
}

static const struct rg_builtin table[] = {
	{"semver.compare", compare, 2, 0, NULL, FN2(T_STRING, T_STRING, T_NUMBER)},
	{"semver.is_valid", is_valid, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_semver, table);

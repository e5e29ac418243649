/* SPDX-License-Identifier: Apache-2.0 */
/* is_*, type_name, casts. Source: OPA v1/topdown/type.go, type_name.go, casts.go. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "policy/builtin/family.h"

#define IS(name, TYPE)                                                                             \
	static enum rg_builtin_result name(struct rg_builtin_call *call,                           \
					   const struct rg_value *args, struct rg_value *result)   \
	{                                                                                          \
		return rg_builtin_give(call, result, rg_boolean(args[0].type == (TYPE)));          \
	}
IS(is_null, RG_NULL)
IS(is_boolean, RG_BOOLEAN)
IS(is_number, RG_NUMBER)
IS(is_string, RG_STRING)
IS(is_array, RG_ARRAY)
IS(is_object, RG_OBJECT)
IS(is_set, RG_SET)

static enum rg_builtin_result type_name(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	return rg_builtin_give(call, result, rg_string_c(call->heap, rg_type_name(args[0])));
}

static bool is_word(const char *text, size_t bytes, const char *word)
{
	return bytes == strlen(word) && !strncasecmp(text, word, bytes);
}

static enum rg_builtin_result to_number(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct rg_value v = args[0];
	const char *text, *word;
	size_t bytes;

	if (v.type == RG_NULL || v.type == RG_BOOLEAN)
		return rg_builtin_give(call, result, rg_int(v.type == RG_BOOLEAN && v.i));
	if (v.type == RG_NUMBER)
		return rg_builtin_give(call, result, v);
	if (v.type != RG_STRING)
		return rg_builtin_operand(call, 1, v, "one of {null, boolean, number, string}");
	text = rg_text(call->heap, v);
	bytes = v.length;
	if (rg_number_is_text(text, bytes)) {
		v = rg_number_from_text(call->heap, text, bytes);
		if (rg_is_defined(v) && isinf(rg_number_to_double(call->heap, v)))
			return rg_builtin_fail(
				call, "strconv.ParseFloat: parsing \"%.*s\": value out of range",
				(int)bytes, text);
		return rg_builtin_give(call, result, v);
	}
	word = text;
	while (word < text + bytes && (*word == '+' || *word == '-'))
		word++;
	bytes -= (size_t)(word - text);
	if (is_word(word, bytes, "inf") || is_word(word, bytes, "infinity") ||
	    is_word(word, bytes, "nan"))
		return rg_builtin_operand(call, 1, v, "valid number string");
	/* Go's ParseFloat takes spellings that JSON does not have (+1, .5, 0x1p4); OPA's result
	 * is then no JSON. */
	return rg_builtin_fail(call, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
			       (int)v.length, text);
}

/* ---- casts of Rego v0 ---- */

static enum rg_builtin_result cast_array(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_value array;

	if (args[0].type == RG_ARRAY)
		return rg_builtin_give(call, result, args[0]);
	if (args[0].type != RG_SET)
		return rg_builtin_operand(call, 1, args[0], "one of {array, set}");
	array = rg_array(call->heap, rg_count(call->heap, args[0]));
	for (uint32_t i = 0; i < rg_count(call->heap, args[0]) && rg_is_defined(array); i++)
		rg_array_append(call->heap, array, rg_set_at(call->heap, args[0], i));
	return rg_builtin_give(call, result, array);
}

static enum rg_builtin_result cast_set(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_value set;

	if (args[0].type == RG_SET)
		return rg_builtin_give(call, result, args[0]);
	if (args[0].type != RG_ARRAY)
		return rg_builtin_operand(call, 1, args[0], "one of {array, set}");
	set = rg_set(call->heap, 0);
	for (uint32_t i = 0; i < rg_count(call->heap, args[0]) && rg_is_defined(set); i++)
		rg_set_add(call->heap, set, rg_array_at(call->heap, args[0], i));
	return rg_builtin_give(call, result, set);
}

#define CAST(name, TYPE, type_text)                                                                \
	static enum rg_builtin_result name(struct rg_builtin_call *call,                           \
					   const struct rg_value *args, struct rg_value *result)   \
	{                                                                                          \
		if (args[0].type != (TYPE))                                                        \
			return rg_builtin_operand(call, 1, args[0], type_text);                    \
		return rg_builtin_give(call, result, args[0]);                                     \
	}
CAST(cast_null, RG_NULL, "null")
CAST(cast_boolean, RG_BOOLEAN, "boolean")
CAST(cast_string, RG_STRING, "string")
CAST(cast_object, RG_OBJECT, "object")

static const struct rg_builtin table[] = {
	{"is_null", is_null, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"is_boolean", is_boolean, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"is_number", is_number, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"is_string", is_string, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"is_array", is_array, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"is_object", is_object, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"is_set", is_set, 1, 0, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"type_name", type_name, 1, 0, NULL, FN1(T_ANY, T_STRING)},
	{"to_number", to_number, 1, 0, NULL,
	 FN1(T_UNION(OF4(T_BOOLEAN, T_NULL, T_NUMBER, T_STRING)), T_NUMBER)},
	{"cast_array", cast_array, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_ANY, T_ARRAY(T_ANY))},
	{"cast_set", cast_set, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_ANY, T_SET(T_ANY))},
	{"cast_null", cast_null, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_ANY, T_NULL)},
	{"cast_boolean", cast_boolean, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_ANY, T_BOOLEAN)},
	{"cast_string", cast_string, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_ANY, T_STRING)},
	{"cast_object", cast_object, 1, RG_BUILTIN_DEPRECATED, NULL,
	 FN1(T_ANY, T_OBJECT(T_ANY, T_ANY))},
};
RG_BUILTIN_FAMILY(rg_builtin_types, table);

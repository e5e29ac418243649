/* SPDX-License-Identifier: Apache-2.0 */
/* array.*. Source: OPA v1/topdown/array.go. */
#include "policy/builtin/family.h"

/* Append elements [from, until) of an array to another one. */
static void append_range(struct rg_builtin_call *call, struct rg_value to, struct rg_value array,
			 int64_t from, int64_t until)
{
	for (int64_t i = from; i < until && rg_is_defined(to) && !call->heap->exhausted; i++)
		rg_array_append(call->heap, to, rg_array_at(call->heap, array, (uint32_t)i));
}

static enum rg_builtin_result concat_arrays(struct rg_builtin_call *call,
					    const struct rg_value *args, struct rg_value *result)
{
	uint32_t first, second;
	struct rg_value joined;

	RG_OPERAND(1, ARRAY, "array");
	RG_OPERAND(2, ARRAY, "array");
	first = rg_count(call->heap, args[0]);
	second = rg_count(call->heap, args[1]);
	if (!rg_builtin_charge(call, (uint64_t)first + second))
		return RG_BUILTIN_ERROR;
	joined = rg_array(call->heap, first + second);
	append_range(call, joined, args[0], 0, first);
	append_range(call, joined, args[1], 0, second);
	return rg_builtin_give(call, result, joined);
}

static enum rg_builtin_result slice(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_value part;
	int64_t from, until, count;

	RG_OPERAND(1, ARRAY, "array");
	if (!rg_builtin_int(call, args, 2, &from, &error) ||
	    !rg_builtin_int(call, args, 3, &until, &error))
		return error;
	count = rg_count(call->heap, args[0]);
	until = until < 0 ? 0 : until > count ? count : until;
	from = from < 0 ? 0 : from > until ? until : from;
	if (!rg_builtin_charge(call, (uint64_t)(until - from)))
		return RG_BUILTIN_ERROR;
	part = rg_array(call->heap, (uint32_t)(until - from));
	append_range(call, part, args[0], from, until);
	return rg_builtin_give(call, result, part);
}

static enum rg_builtin_result reverse(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct rg_value reversed;
	uint32_t count;

	RG_OPERAND(1, ARRAY, "array");
	count = rg_count(call->heap, args[0]);
	if (!rg_builtin_charge(call, count))
		return RG_BUILTIN_ERROR;
	reversed = rg_array(call->heap, count);
	while (count-- && rg_is_defined(reversed))
		rg_array_append(call->heap, reversed, rg_array_at(call->heap, args[0], count));
	return rg_builtin_give(call, result, reversed);
}

/* One level: elements that are arrays are replaced by their elements. */
static enum rg_builtin_result flatten(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct rg_value flat;
	uint32_t count;

	RG_OPERAND(1, ARRAY, "array");
	flat = rg_array(call->heap, 0);
	count = rg_count(call->heap, args[0]);
	for (uint32_t i = 0; i < count && rg_is_defined(flat); i++) {
		struct rg_value element = rg_array_at(call->heap, args[0], i);
		uint32_t inner = element.type == RG_ARRAY ? rg_count(call->heap, element) : 1;

		if (!rg_builtin_charge(call, inner + 1ull))
			return RG_BUILTIN_ERROR;
		if (element.type == RG_ARRAY)
			append_range(call, flat, element, 0, inner);
		else
			rg_array_append(call->heap, flat, element);
	}
	return rg_builtin_give(call, result, flat);
}

static const struct rg_builtin table[] = {
	{"array.concat", concat_arrays, 2, 0, NULL,
	 FN2(T_ARRAY(T_ANY), T_ARRAY(T_ANY), T_ARRAY(T_ANY))},
	{"array.slice", slice, 3, 0, NULL, FN3(T_ARRAY(T_ANY), T_NUMBER, T_NUMBER, T_ARRAY(T_ANY))},
	{"array.reverse", reverse, 1, 0, NULL, FN1(T_ARRAY(T_ANY), T_ARRAY(T_ANY))},
	{"array.flatten", flatten, 1, 0, NULL, FN1(T_ARRAY(T_ANY), T_ARRAY(T_ANY))},
};
RG_BUILTIN_FAMILY(rg_builtin_arrays, table);

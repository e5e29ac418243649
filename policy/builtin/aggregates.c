/* SPDX-License-Identifier: Apache-2.0 */
/* count, sum, product, min, max, sort, all, any. Source: OPA v1/topdown/aggregates.go. */
#include <string.h>

#include "policy/builtin/family.h"

#define LIST_NAME "one of {set, array}"

static bool is_list(struct rg_value v)
{
	return v.type == RG_ARRAY || v.type == RG_SET;
}

static enum rg_builtin_result count(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct rg_value v = args[0];

	if (v.type == RG_STRING)
		return rg_builtin_give(
			call, result,
			rg_int((int64_t)rg_rune_count(rg_text(call->heap, v), v.length)));
	if (v.type < RG_ARRAY)
		return rg_builtin_operand(call, 1, v, "one of {array, object, set, string}");
	return rg_builtin_give(call, result, rg_int(rg_count(call->heap, v)));
}

static enum rg_builtin_result accumulate(struct rg_builtin_call *call, enum rg_number_op op,
					 const struct rg_value *args, struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	const char *reason;
	struct rg_value *numbers, v;
	uint32_t n;

	if (!is_list(args[0]))
		return rg_builtin_operand(call, 1, args[0], LIST_NAME);
	rg_container_sort(heap, args[0]); /* the order of additions is part of the result */
	n = rg_count(heap, args[0]);
	numbers = rg_container_values(heap, args[0]);
	if (!rg_builtin_charge(call, n))
		return RG_BUILTIN_ERROR;
	for (uint32_t i = 0; i < n; i++) {
		if (numbers[i].type != RG_NUMBER)
			return rg_builtin_element(call, 1, args[0], numbers[i], "number");
	}
	v = rg_number_accumulate(heap, op, numbers, n, &reason);
	return rg_builtin_give_number(call, result, v, reason);
}

static enum rg_builtin_result sum(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	return accumulate(call, RG_NUMBER_ADD, args, result);
}

static enum rg_builtin_result product(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	return accumulate(call, RG_NUMBER_MUL, args, result);
}

/* The extreme of a list, the last one among equals; undefined for an empty one. */
static enum rg_builtin_result extreme(struct rg_builtin_call *call, int sign,
				      const struct rg_value *args, struct rg_value *result)
{
	struct rg_value best = rg_undefined;
	uint32_t n;

	if (!is_list(args[0]))
		return rg_builtin_operand(call, 1, args[0], LIST_NAME);
	n = rg_count(call->heap, args[0]);
	if (!rg_builtin_charge(call, n))
		return RG_BUILTIN_ERROR;
	for (uint32_t i = 0; i < n; i++) {
		struct rg_value v = rg_container_values(call->heap, args[0])[i];

		if (!rg_is_defined(best) || rg_compare(call->heap, v, best) * sign >= 0)
			best = v;
	}
	return rg_builtin_give(call, result, best);
}

static enum rg_builtin_result max_of(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	return extreme(call, 1, args, result);
}

static enum rg_builtin_result min_of(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	return extreme(call, -1, args, result);
}

static enum rg_builtin_result sort(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value sorted;
	uint32_t n;

	if (!is_list(args[0]))
		return rg_builtin_operand(call, 1, args[0], LIST_NAME);
	n = rg_count(heap, args[0]);
	sorted = rg_array(heap, n);
	if (!rg_is_defined(sorted))
		return RG_BUILTIN_MEMORY;
	rg_container_sort(heap, args[0]);
	if (n)
		memcpy(rg_container_values(heap, sorted), rg_container_values(heap, args[0]),
		       n * sizeof(struct rg_value));
	rg_container(heap, sorted)->count = n;
	if (args[0].type == RG_ARRAY)
		rg_array_sort(heap, sorted);
	return rg_builtin_give(call, result, sorted);
}

static bool is_true(struct rg_value v)
{
	return v.type == RG_BOOLEAN && v.i;
}

/* How many elements are true? */
static uint32_t count_true(struct rg_heap *heap, struct rg_value list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < rg_count(heap, list); i++)
		n += is_true(rg_container_values(heap, list)[i]);
	return n;
}

static enum rg_builtin_result all(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	if (!is_list(args[0]))
		return rg_builtin_operand(call, 1, args[0], "one of {array, set}");
	return rg_builtin_give(
		call, result,
		rg_boolean(count_true(call->heap, args[0]) == rg_count(call->heap, args[0])));
}

static enum rg_builtin_result any(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	if (!is_list(args[0]))
		return rg_builtin_operand(call, 1, args[0], "one of {array, set}");
	return rg_builtin_give(call, result, rg_boolean(count_true(call->heap, args[0]) > 0));
}

#define NUMBERS T_UNION(OF2(T_ARRAY(T_NUMBER), T_SET(T_NUMBER)))

static const struct rg_builtin table[] = {
	{"count", count, 1, 0, NULL,
	 FN1(T_UNION(OF4(T_ANY_OBJECT, T_ARRAY(T_ANY), T_SET(T_ANY), T_STRING)), T_NUMBER)},
	{"sum", sum, 1, 0, NULL, FN1(NUMBERS, T_NUMBER)},
	{"product", product, 1, 0, NULL, FN1(NUMBERS, T_NUMBER)},
	{"max", max_of, 1, 0, NULL, FN1(T_LIST, T_ANY)},
	{"min", min_of, 1, 0, NULL, FN1(T_LIST, T_ANY)},
	{"sort", sort, 1, 0, NULL, FN1(T_LIST, T_ARRAY(T_ANY))},
	{"all", all, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_LIST, T_BOOLEAN)},
	{"any", any, 1, RG_BUILTIN_DEPRECATED, NULL, FN1(T_LIST, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_aggregates, table);

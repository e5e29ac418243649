/* SPDX-License-Identifier: Apache-2.0 */
/* &, |, intersection, union. Source: OPA v1/topdown/binary.go, sets.go. */
#include "policy/builtin/family.h"

static void add_all(struct rg_heap *heap, struct rg_value to, struct rg_value set)
{
	rg_container_sort(heap, set);
	for (uint32_t i = 0; i < rg_count(heap, set) && rg_is_defined(to) && !heap->exhausted; i++)
		rg_set_add(heap, to, rg_container_values(heap, set)[i]);
}

static struct rg_value common(struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	struct rg_value both = rg_set(heap, 0);

	rg_container_sort(heap, a);
	for (uint32_t i = 0; i < rg_count(heap, a) && rg_is_defined(both) && !heap->exhausted;
	     i++) {
		struct rg_value member = rg_container_values(heap, a)[i];

		if (rg_set_has(heap, b, member))
			rg_set_add(heap, both, member);
	}
	return both;
}

static enum rg_builtin_result and (struct rg_builtin_call * call, const struct rg_value *args,
				   struct rg_value *result) {
	RG_OPERAND(1, SET, "set"); RG_OPERAND(2, SET, "set");
	if (!rg_builtin_charge(call, rg_count(call->heap, args[0]))) return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result, common(call->heap, args[0], args[1]));
}

static enum rg_builtin_result or (struct rg_builtin_call * call, const struct rg_value *args,
				  struct rg_value *result) {
	struct rg_value either;

	RG_OPERAND(1, SET, "set");
	RG_OPERAND(2, SET, "set");
	if (!rg_builtin_charge(call,
			       (uint64_t)rg_count(call->heap, args[0]) +
				       rg_count(call->heap, args[1]))) return RG_BUILTIN_ERROR;
	either = rg_set(call->heap, 0);
	add_all(call->heap, either, args[0]);
	add_all(call->heap, either, args[1]);
	return rg_builtin_give(call, result, either);
}

static enum rg_builtin_result intersection(struct rg_builtin_call *call,
					   const struct rg_value *args, struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value both = rg_undefined;

	RG_OPERAND(1, SET, "set");
	for (uint32_t i = 0; i < rg_count(heap, args[0]); i++) {
		struct rg_value set = rg_set_at(heap, args[0], i);

		if (set.type != RG_SET)
			return rg_builtin_operand(call, 1, set, "set");
		if (!rg_builtin_charge(call, rg_count(heap, set) + 1ull))
			return RG_BUILTIN_ERROR;
		both = i ? common(heap, both, set) : set;
		if (!rg_is_defined(both))
			return RG_BUILTIN_MEMORY;
	}
	return rg_builtin_give(call, result, rg_is_defined(both) ? both : rg_set(heap, 0));
}

static enum rg_builtin_result union_of(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value either;

	RG_OPERAND(1, SET, "set");
	either = rg_set(heap, 0);
	for (uint32_t i = 0; i < rg_count(heap, args[0]); i++) {
		struct rg_value set = rg_set_at(heap, args[0], i);

		if (set.type != RG_SET)
			return rg_builtin_operand(call, 1, set, "set");
		if (!rg_builtin_charge(call, rg_count(heap, set) + 1ull))
			return RG_BUILTIN_ERROR;
		add_all(heap, either, set);
	}
	return rg_builtin_give(call, result, either);
}

static const struct rg_builtin table[] = {
	{"and", and, 2, RG_BUILTIN_INFIX, "&", FN2(T_SET(T_ANY), T_SET(T_ANY), T_SET(T_ANY))},
	{"or", or, 2, RG_BUILTIN_INFIX, "|", FN2(T_SET(T_ANY), T_SET(T_ANY), T_SET(T_ANY))},
	{"intersection", intersection, 1, 0, NULL, FN1(T_SET(T_SET(T_ANY)), T_SET(T_ANY))},
	{"union", union_of, 1, 0, NULL, FN1(T_SET(T_SET(T_ANY)), T_SET(T_ANY))},
};
RG_BUILTIN_FAMILY(rg_builtin_sets, table);

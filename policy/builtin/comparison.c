/* SPDX-License-Identifier: Apache-2.0 */
/* equal, lt, ... and membership. Source: OPA v1/topdown/comparison.go, aggregates.go
 * (builtinMember). */
#include "policy/builtin/family.h"

static enum rg_builtin_result equal(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	return rg_builtin_give(call, result, rg_boolean(rg_equal(call->heap, args[0], args[1])));
}

static enum rg_builtin_result neq(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	return rg_builtin_give(call, result, rg_boolean(!rg_equal(call->heap, args[0], args[1])));
}

static enum rg_builtin_result lt(struct rg_builtin_call *call, const struct rg_value *args,
				 struct rg_value *result)
{
	return rg_builtin_give(call, result,
			       rg_boolean(rg_compare(call->heap, args[0], args[1]) < 0));
}

static enum rg_builtin_result lte(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	return rg_builtin_give(call, result,
			       rg_boolean(rg_compare(call->heap, args[0], args[1]) <= 0));
}

static enum rg_builtin_result gt(struct rg_builtin_call *call, const struct rg_value *args,
				 struct rg_value *result)
{
	return rg_builtin_give(call, result,
			       rg_boolean(rg_compare(call->heap, args[0], args[1]) > 0));
}

static enum rg_builtin_result gte(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	return rg_builtin_give(call, result,
			       rg_boolean(rg_compare(call->heap, args[0], args[1]) >= 0));
}

static enum rg_builtin_result member_2(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_value collection = args[1];
	bool is_walked = collection.type == RG_ARRAY || collection.type == RG_OBJECT;

	if (is_walked && !rg_builtin_charge(call, rg_count(call->heap, collection)))
		return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result,
			       rg_boolean(rg_is_member(call->heap, args[0], collection)));
}

static enum rg_builtin_result member_3(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_value found = rg_dot(call->heap, args[2], args[0]);

	return rg_builtin_give(
		call, result,
		rg_boolean(rg_is_defined(found) && rg_equal(call->heap, found, args[1])));
}

static const struct rg_builtin table[] = {
	{"equal", equal, 2, RG_BUILTIN_INFIX, "==", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"neq", neq, 2, RG_BUILTIN_INFIX, "!=", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"lt", lt, 2, RG_BUILTIN_INFIX, "<", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"lte", lte, 2, RG_BUILTIN_INFIX, "<=", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"gt", gt, 2, RG_BUILTIN_INFIX, ">", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"gte", gte, 2, RG_BUILTIN_INFIX, ">=", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"internal.member_2", member_2, 2, RG_BUILTIN_INFIX, "in", FN2(T_ANY, T_ANY, T_BOOLEAN)},
	{"internal.member_3", member_3, 3, RG_BUILTIN_INFIX, "in",
	 FN3(T_ANY, T_ANY, T_ANY, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_comparison, table);

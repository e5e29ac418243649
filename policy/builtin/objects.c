/* SPDX-License-Identifier: Apache-2.0 */
/* object.*. Source: OPA v1/topdown/object.go, subset.go. */
#include "policy/builtin/family.h"

static enum rg_builtin_result get(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	struct rg_value v = args[0];

	RG_OPERAND(1, OBJECT, "object");
	if (args[1].type != RG_ARRAY) {
		v = rg_object_get(call->heap, args[0], args[1]);
	} else {
		uint32_t count = rg_count(call->heap, args[1]);

		if (!rg_builtin_charge(call, count))
			return RG_BUILTIN_ERROR;
		for (uint32_t i = 0; i < count && rg_is_defined(v); i++)
			v = rg_dot(call->heap, v, rg_array_at(call->heap, args[1], i));
	}
	return rg_builtin_give(call, result, rg_is_defined(v) ? v : args[2]);
}

static enum rg_builtin_result keys(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	struct rg_value set;

	RG_OPERAND(1, OBJECT, "object");
	if (!rg_builtin_charge(call, rg_count(call->heap, args[0])))
		return RG_BUILTIN_ERROR;
	set = rg_set(call->heap, rg_count(call->heap, args[0]));
	for (uint32_t i = 0; i < rg_count(call->heap, args[0]) && rg_is_defined(set); i++)
		rg_set_add(call->heap, set, rg_object_at(call->heap, args[0], i).key);
	return rg_builtin_give(call, result, set);
}

/* ---- by a list of keys ---- */

/* The keys named by an array, a set or an object, as what answers "is it in there": a set or an
 * object. */
static bool key_set(struct rg_builtin_call *call, struct rg_value v, struct rg_value *out,
		    enum rg_builtin_result *error)
{
	if (v.type == RG_SET || v.type == RG_OBJECT) {
		*out = v;
		return true;
	}
	if (v.type != RG_ARRAY) {
		*error = rg_builtin_operand(call, 2, v, "one of {object, set, array}");
		return false;
	}
	*out = rg_set(call->heap, rg_count(call->heap, v));
	for (uint32_t i = 0; i < rg_count(call->heap, v) && rg_is_defined(*out); i++)
		rg_set_add(call->heap, *out, rg_array_at(call->heap, v, i));
	*error = RG_BUILTIN_MEMORY;
	return rg_is_defined(*out);
}

/* Those pairs of an object whose key is in the list, or is not. */
static enum rg_builtin_result choose(struct rg_builtin_call *call, bool keep,
				     const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_value list, chosen;
	uint32_t count;

	RG_OPERAND(1, OBJECT, "object");
	if (!key_set(call, args[1], &list, &error))
		return error;
	count = rg_count(call->heap, args[0]);
	if (!rg_builtin_charge(call, count))
		return RG_BUILTIN_ERROR;
	chosen = rg_object(call->heap, 0);
	for (uint32_t i = 0; i < count && rg_is_defined(chosen) && !call->heap->exhausted; i++) {
		struct rg_pair pair = rg_object_at(call->heap, args[0], i);

		if ((rg_container_find(call->heap, list, pair.key, 0) != RG_CONTAINER_NONE) == keep)
			rg_object_insert(call->heap, chosen, pair.key, pair.value);
	}
	return rg_builtin_give(call, result, chosen);
}

static enum rg_builtin_result filter(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	return choose(call, true, args, result);
}

static enum rg_builtin_result remove_keys(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	return choose(call, false, args, result);
}

/* ---- union ---- */

/* a with b's pairs on top: objects are merged recursively, else b wins. */
static struct rg_value merge(struct rg_builtin_call *call, struct rg_value a, struct rg_value b,
			     uint32_t depth)
{
	struct rg_heap *heap = call->heap;
	struct rg_value merged = rg_clone(heap, a);
	uint32_t count = rg_count(heap, b);

	if (depth >= RG_VALUE_DEPTH_MAX)
		heap->exhausted = true;
	if (!rg_builtin_charge(call, rg_count(heap, a) + (uint64_t)count + 1))
		return rg_undefined;
	for (uint32_t i = 0; i < count && rg_is_defined(merged) && !heap->exhausted; i++) {
		struct rg_pair pair = rg_object_at(heap, b, i);
		struct rg_value old = rg_object_get(heap, a, pair.key);

		if (rg_is_defined(old) && old.type == RG_OBJECT && pair.value.type == RG_OBJECT) {
			pair.value = merge(call, old, pair.value, depth + 1);
			if (!rg_is_defined(pair.value))
				return rg_undefined;
		}
		rg_object_insert(heap, merged, pair.key, pair.value);
	}
	return merged;
}

static enum rg_builtin_result give_merged(struct rg_builtin_call *call, struct rg_value *result,
					  struct rg_value v)
{
	if (!rg_is_defined(v) && !call->heap->exhausted)
		return RG_BUILTIN_ERROR; /* the budget; the text is set */
	return rg_builtin_give(call, result, v);
}

static enum rg_builtin_result union_two(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	RG_OPERAND(1, OBJECT, "object");
	RG_OPERAND(2, OBJECT, "object");
	return give_merged(call, result, merge(call, args[0], args[1], 0));
}

static enum rg_builtin_result union_n(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	struct rg_value merged = rg_object(call->heap, 0);

	RG_OPERAND(1, ARRAY, "array");
	for (uint32_t i = 0; i < rg_count(call->heap, args[0]); i++) {
		struct rg_value object = rg_array_at(call->heap, args[0], i);

		if (object.type != RG_OBJECT)
			return rg_builtin_element(call, 1, args[0], object, "object");
		if (rg_is_defined(merged))
			merged = merge(call, merged, object, 0);
	}
	return give_merged(call, result, merged);
}

/* ---- subset ---- */

static bool is_subset(struct rg_builtin_call *call, struct rg_value super, struct rg_value sub,
		      uint32_t depth);

static bool object_has_all(struct rg_builtin_call *call, struct rg_value super, struct rg_value sub,
			   uint32_t depth)
{
	for (uint32_t i = 0; i < rg_count(call->heap, sub); i++) {
		struct rg_pair pair = rg_container_pairs(call->heap, sub)[i];
		struct rg_value v = rg_object_get(call->heap, super, pair.key);

		if (!rg_is_defined(v))
			return false;
		if (rg_equal(call->heap, v, pair.value))
			continue;
		if (v.type != pair.value.type || v.type < RG_ARRAY ||
		    !is_subset(call, v, pair.value, depth + 1))
			return false;
	}
	return true;
}

/* Does sub occur in super as a run? The search moves on by one element after a mismatch, as in
 * OPA. */
static bool array_has_run(struct rg_builtin_call *call, struct rg_value super, struct rg_value sub)
{
	uint32_t super_count = rg_count(call->heap, super), sub_count = rg_count(call->heap, sub),
		 matched = 0;
	uint32_t from = 0;

	while (matched < sub_count) {
		if (from + matched >= super_count || !rg_builtin_charge(call, 1))
			return false;
		if (rg_equal(call->heap, rg_array_at(call->heap, super, from + matched),
			     rg_array_at(call->heap, sub, matched))) {
			matched++;
		} else {
			from++;
			matched = 0;
		}
	}
	return true;
}

/* Is each member of the set an element of the array? As in OPA, elements are counted, equal ones each for itself,
 * and the count is looked at after each element. */
static bool array_has_all(struct rg_builtin_call *call, struct rg_value super, struct rg_value sub)
{
	uint32_t unmatched = rg_count(call->heap, sub);

	for (uint32_t i = 0; i < rg_count(call->heap, super); i++) {
		unmatched -= rg_set_has(call->heap, sub, rg_array_at(call->heap, super, i));
		if (!unmatched)
			return true;
	}
	return false;
}

static bool set_has_all(struct rg_builtin_call *call, struct rg_value super, struct rg_value sub)
{
	for (uint32_t i = 0; i < rg_count(call->heap, sub); i++) {
		if (!rg_set_has(call->heap, super, rg_container_values(call->heap, sub)[i]))
			return false;
	}
	return true;
}

static bool is_subset(struct rg_builtin_call *call, struct rg_value super, struct rg_value sub,
		      uint32_t depth)
{
	if (depth >= RG_VALUE_DEPTH_MAX) {
		call->heap->exhausted = true;
		return false;
	}
	if (!rg_builtin_charge(call, rg_count(call->heap, sub) + 1ull))
		return false;
	if (super.type == RG_OBJECT)
		return object_has_all(call, super, sub, depth);
	if (super.type == RG_SET)
		return set_has_all(call, super, sub);
	return sub.type == RG_SET ? array_has_all(call, super, sub)
				  : array_has_run(call, super, sub);
}

static enum rg_builtin_result subset(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	uint64_t budget = call->budget;
	bool found;

	if (args[0].type < RG_ARRAY || (args[0].type != args[1].type &&
					!(args[0].type == RG_ARRAY && args[1].type == RG_SET))) {
		rg_builtin_fail(
			call,
			"both arguments object.subset must be of the same type or array and set");
		return RG_BUILTIN_TYPE_ERROR;
	}
	found = is_subset(call, args[0], args[1], 0);
	if (!found && budget && !call->budget)
		return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result, rg_boolean(found));
}

static const struct rg_builtin table[] = {
	{"object.get", get, 3, 0, NULL, FN3(T_ANY_OBJECT, T_ANY, T_ANY, T_ANY)},
	{"object.keys", keys, 1, 0, NULL, FN1(T_ANY_OBJECT, T_SET(T_ANY))},
	{"object.filter", filter, 2, 0, NULL, FN2(T_ANY_OBJECT, T_COLLECTION, T_ANY_OBJECT)},
	{"object.remove", remove_keys, 2, 0, NULL, FN2(T_ANY_OBJECT, T_COLLECTION, T_ANY_OBJECT)},
	{"object.union", union_two, 2, 0, NULL, FN2(T_ANY_OBJECT, T_ANY_OBJECT, T_ANY_OBJECT)},
	{"object.union_n", union_n, 1, 0, NULL, FN1(T_ARRAY(T_ANY_OBJECT), T_ANY_OBJECT)},
	{"object.subset", subset, 2, 0, NULL, FN2(T_COLLECTION, T_COLLECTION, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_objects, table);

/* SPDX-License-Identifier: Apache-2.0 */
/* walk, graph.reachable, graph.reachable_paths. Source: OPA v1/topdown/walk.go, reachable.go. */
#include "policy/builtin/family.h"

/* ---- walk ---- */

static struct rg_value with_key(struct rg_heap *heap, struct rg_value path, struct rg_value key)
{
	struct rg_value longer = rg_clone(heap, path);

	if (rg_is_defined(longer))
		rg_array_append(heap, longer, key);
	return longer;
}

/* Append [path, v] and the same for all that is in v. False: the budget is used up. */
static bool walk_into(struct rg_builtin_call *call, struct rg_value pairs, struct rg_value path,
		      struct rg_value v, uint32_t depth)
{
	struct rg_heap *heap = call->heap;
	struct rg_value pair = rg_array(heap, 2);
	uint32_t count = v.type >= RG_ARRAY ? rg_count(heap, v) : 0;

	if (depth >= RG_VALUE_DEPTH_MAX)
		heap->exhausted = true;
	if (!rg_is_defined(pair) || heap->exhausted)
		return true; /* the caller looks at `exhausted` */
	if (!rg_builtin_charge(call, depth + 1ull))
		return false;
	rg_array_append(heap, pair, path);
	rg_array_append(heap, pair, v);
	rg_array_append(heap, pairs, pair);
	for (uint32_t i = 0; i < count && !heap->exhausted; i++) {
		struct rg_value key, child;

		if (v.type == RG_OBJECT) {
			struct rg_pair item = rg_object_at(heap, v, i);

			key = item.key;
			child = item.value;
		} else {
			child = rg_list_at(heap, v, i);
			key = v.type == RG_ARRAY ? rg_int(i) : child;
		}
		if (!walk_into(call, pairs, with_key(heap, path, key), child, depth + 1))
			return false;
	}
	return true;
}

static enum rg_builtin_result walk(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	struct rg_value pairs = rg_array(call->heap, 0), path = rg_array(call->heap, 0);

	if (rg_is_defined(path) && !walk_into(call, pairs, path, args[0], 0))
		return RG_BUILTIN_ERROR;
	return rg_builtin_give(call, result, pairs);
}

/* ---- graphs ---- */

static bool is_list(struct rg_value v)
{
	return v.type == RG_ARRAY || v.type == RG_SET;
}

static uint32_t edge_count(struct rg_heap *heap, struct rg_value edges)
{
	return is_list(edges) ? rg_count(heap, edges) : 0;
}

static void append_all(struct rg_heap *heap, struct rg_value queue, struct rg_value nodes)
{
	for (uint32_t i = 0; i < edge_count(heap, nodes) && !heap->exhausted; i++)
		rg_array_append(heap, queue, rg_list_at(heap, nodes, i));
}

static enum rg_builtin_result reachable(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value queue, reached;

	RG_OPERAND(1, OBJECT, "object");
	if (!is_list(args[1]))
		return rg_builtin_operand(call, 2, args[1], "{array, set}");
	queue = rg_array(heap, 0);
	reached = rg_set(heap, 0);
	if (!rg_is_defined(reached))
		return RG_BUILTIN_MEMORY;
	append_all(heap, queue, args[1]);
	for (uint32_t next = 0; next < rg_count(heap, queue) && !heap->exhausted; next++) {
		struct rg_value node = rg_array_at(heap, queue, next),
				edges = rg_object_get(heap, args[0], node);

		if (!rg_builtin_charge(call, edge_count(heap, edges) + 1ull))
			return RG_BUILTIN_ERROR;
		if (!rg_is_defined(edges) || rg_set_has(heap, reached, node))
			continue;
		rg_set_add(heap, reached, node);
		append_all(heap, queue, edges);
	}
	return rg_builtin_give(call, result, reached);
}

/* Add each path that starts with `path` and goes on at `node`. False: the budget is used up. */
static bool follow(struct rg_builtin_call *call, struct rg_value graph, struct rg_value node,
		   struct rg_value path, struct rg_value paths, uint32_t depth)
{
	struct rg_heap *heap = call->heap;
	struct rg_value edges = rg_object_get(heap, graph, node);
	uint32_t count = edge_count(heap, edges);

	if (depth >= RG_VALUE_DEPTH_MAX)
		heap->exhausted = true;
	if (heap->exhausted || !rg_is_defined(path))
		return true;
	if (!rg_builtin_charge(call, depth + count + 1ull))
		return false;
	if (rg_is_defined(edges))
		path = with_key(heap, path, node);
	if (!rg_is_defined(edges) || !count) {
		rg_set_add(heap, paths, path);
		return true;
	}
	for (uint32_t i = 0; i < count && rg_is_defined(path); i++) {
		struct rg_value neighbour = rg_list_at(heap, edges, i);
		bool seen = false;

		for (uint32_t k = 0; k < rg_count(heap, path) && !seen; k++)
			seen = rg_equal(heap, rg_array_at(heap, path, k), neighbour);
		if (seen)
			rg_set_add(heap, paths, path);
		else if (!follow(call, graph, neighbour, path, paths, depth + 1))
			return false;
	}
	return true;
}

/* A start that names itself as a neighbour is followed once more, as in OPA: its own path begins
 * with it twice. */
static enum rg_builtin_result reachable_paths(struct rg_builtin_call *call,
					      const struct rg_value *args, struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value paths;

	RG_OPERAND(1, OBJECT, "object");
	if (!is_list(args[1]))
		return rg_builtin_operand(call, 2, args[1], "{array, set}");
	paths = rg_set(heap, 0);
	for (uint32_t i = 0; i < rg_count(heap, args[1]) && rg_is_defined(paths); i++) {
		struct rg_value node = rg_list_at(heap, args[1], i),
				edges = rg_object_get(heap, args[0], node), start;

		if (!rg_is_defined(edges))
			continue;
		start = rg_array(heap, 1);
		if (!rg_is_defined(start) || !rg_array_append(heap, start, node))
			return RG_BUILTIN_MEMORY;
		if (!edge_count(heap, edges))
			rg_set_add(heap, paths, start);
		for (uint32_t k = 0; k < edge_count(heap, edges); k++) {
			if (!follow(call, args[0], rg_list_at(heap, edges, k), start, paths, 0))
				return RG_BUILTIN_ERROR;
		}
	}
	return rg_builtin_give(call, result, paths);
}

#define GRAPH T_OBJECT(T_ANY, T_LIST)

static const struct rg_builtin table[] = {
	{"walk", walk, 1, RG_BUILTIN_RELATION, NULL,
	 FN1(T_ANY, T_TUPLE(OF2(T_ARRAY(T_ANY), T_ANY)))},
	{"graph.reachable", reachable, 2, 0, NULL, FN2(GRAPH, T_LIST, T_SET(T_ANY))},
	{"graph.reachable_paths", reachable_paths, 2, 0, NULL,
	 FN2(GRAPH, T_LIST, T_SET(T_ARRAY(T_ANY)))},
};
RG_BUILTIN_FAMILY(rg_builtin_graph, table);

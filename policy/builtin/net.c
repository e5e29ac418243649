/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.cidr_*. Source: OPA v1/topdown/cidr.go, internal/cidr/merge; Go net.IPNet.
 */
#include <stdio.h>
#include <string.h>

#include "policy/builtin/address.h"
#include "policy/builtin/family.h"

#define ADDRESS_TEXT_BYTES 64

/* Source: RFC 5952; the longest run of two or more zero groups, the first of equals, is "::". */
static size_t print_address(rg_address a, char *out)
{
	unsigned group[8], run = 0, run_start = 0;
	char *at = out;

	if (rg_address_is_v4(a))
		return (size_t)sprintf(out, "%u.%u.%u.%u", (unsigned)(a >> 24 & 255),
				       (unsigned)(a >> 16 & 255), (unsigned)(a >> 8 & 255),
				       (unsigned)(a & 255));
	for (unsigned i = 0; i < 8; i++)
		group[i] = (unsigned)(a >> (112 - 16 * i) & 0xffff);
	for (unsigned i = 0; i < 8; i++) {
		unsigned zeros = 0;

		while (i + zeros < 8 && !group[i + zeros])
			zeros++;
		if (zeros > run && zeros > 1) {
			run = zeros;
			run_start = i;
		}
	}
	for (unsigned i = 0; i < 8; i++) {
		if (run && i == run_start) {
			at += sprintf(at, "::");
			i += run - 1;
			continue;
		}
		at += sprintf(at, i && !(run && i == run_start + run) ? ":%x" : "%x", group[i]);
	}
	return (size_t)(at - out);
}

/* ---- operands ---- */

static bool network_operand(struct rg_builtin_call *call, struct rg_value v, struct rg_network *out,
			    enum rg_builtin_result *error)
{
	if (v.type != RG_STRING) {
		*error = rg_builtin_operand(call, 1, v, "string");
		return false;
	}
	if (rg_network_parse(rg_text(call->heap, v), v.length, out))
		return true;
	*error = rg_builtin_fail(call, "invalid CIDR address: %.*s", (int)v.length,
				 rg_text(call->heap, v));
	return false;
}

/* Does the network named by a contain the address or network named by b? False with *error when
 * they name none. */
static bool contains_operand(struct rg_builtin_call *call, struct rg_value a, struct rg_value b,
			     bool *result, enum rg_builtin_result *error)
{
	struct rg_network outer, inner;
	rg_address at;
	bool v4;

	if (!network_operand(call, a, &outer, error))
		return false;
	if (b.type != RG_STRING) {
		*error = rg_builtin_operand(call, 1, b, "string");
		return false;
	}
	if (rg_address_parse(rg_text(call->heap, b), b.length, &at, &v4)) {
		*result = rg_network_contains(outer, at);
		return true;
	}
	if (!rg_network_parse(rg_text(call->heap, b), b.length, &inner)) {
		*error = rg_builtin_fail(
			call, "not a valid textual representation of an IP address or CIDR: %.*s",
			(int)b.length, rg_text(call->heap, b));
		return false;
	}
	*result = rg_network_contains(outer, rg_network_first(inner)) &&
		  rg_network_contains(outer, rg_network_last(inner));
	return true;
}

static enum rg_builtin_result cidr_contains(struct rg_builtin_call *call,
					    const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error;
	bool found;

	if (!contains_operand(call, args[0], args[1], &found, &error))
		return error;
	return rg_builtin_give(call, result, rg_boolean(found));
}

static enum rg_builtin_result intersects(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_network a, b;

	if (!network_operand(call, args[0], &a, &error) ||
	    !network_operand(call, args[1], &b, &error))
		return error;
	return rg_builtin_give(call, result,
			       rg_boolean(rg_network_contains(a, rg_network_first(b)) ||
					  rg_network_contains(b, rg_network_first(a))));
}

static enum rg_builtin_result is_valid(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_network n;

	return rg_builtin_give(
		call, result,
		rg_boolean(args[0].type == RG_STRING &&
			   rg_network_parse(rg_text(call->heap, args[0]), args[0].length, &n)));
}

static enum rg_builtin_result expand(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	char text[ADDRESS_TEXT_BYTES];
	enum rg_builtin_result error;
	struct rg_value addresses;
	struct rg_network n;

	if (!network_operand(call, args[0], &n, &error))
		return error;
	addresses = rg_set(call->heap, 0);
	for (rg_address a = rg_network_first(n);; a++) {
		if (!rg_builtin_charge(call, 1))
			return RG_BUILTIN_ERROR;
		if (!rg_is_defined(addresses) ||
		    !rg_set_add(call->heap, addresses,
				rg_string(call->heap, text, print_address(a, text))))
			return RG_BUILTIN_MEMORY;
		if (a == rg_network_last(n))
			break;
	}
	return rg_builtin_give(call, result, addresses);
}

/* ---- matches ---- */

struct match_list {
	struct rg_value v;
	int operand;
};

static uint32_t match_count(struct rg_heap *heap, struct rg_value v)
{
	return v.type == RG_STRING ? 1 : v.type >= RG_ARRAY ? rg_count(heap, v) : 0;
}

/* Entry i of an operand: the CIDR, and what names it in the result: an index, a key, or itself. */
static bool match_entry(struct rg_builtin_call *call, const struct match_list *list, uint32_t i,
			struct rg_value *cidr, struct rg_value *name, enum rg_builtin_result *error)
{
	struct rg_value v = list->v;

	if (v.type == RG_OBJECT) {
		struct rg_pair pair = rg_object_at(call->heap, v, i);

		*name = pair.key;
		*cidr = pair.value;
	} else if (v.type == RG_STRING) {
		*name = *cidr = v;
	} else {
		*cidr = rg_list_at(call->heap, v, i);
		*name = v.type == RG_ARRAY ? rg_int(i) : *cidr;
	}
	if (cidr->type == RG_ARRAY && rg_count(call->heap, *cidr)) {
		*cidr = rg_array_at(call->heap, *cidr, 0);
		return true;
	}
	if (cidr->type == RG_STRING)
		return true;
	*error = rg_builtin_fail(call, "operand %d: element must be string or non-empty array",
				 list->operand);
	return false;
}

static enum rg_builtin_result contains_matches(struct rg_builtin_call *call,
					       const struct rg_value *args, struct rg_value *result)
{
	struct match_list nets = {args[0], 1}, inside = {args[1], 2};
	struct rg_value matches = rg_set(call->heap, 0), net, net_name, other, other_name;
	enum rg_builtin_result error;
	bool found;

	for (uint32_t i = 0; i < match_count(call->heap, args[0]); i++) {
		if (!match_entry(call, &nets, i, &net, &net_name, &error))
			return error;
		for (uint32_t k = 0; k < match_count(call->heap, args[1]); k++) {
			struct rg_value pair;

			if (!rg_builtin_charge(call, 1))
				return RG_BUILTIN_ERROR;
			if (!match_entry(call, &inside, k, &other, &other_name, &error) ||
			    !contains_operand(call, net, other, &found, &error))
				return error;
			if (!found)
				continue;
			pair = rg_array(call->heap, 2);
			if (!rg_is_defined(matches) || !rg_is_defined(pair) ||
			    !rg_array_append(call->heap, pair, net_name) ||
			    !rg_array_append(call->heap, pair, other_name) ||
			    !rg_set_add(call->heap, matches, pair))
				return RG_BUILTIN_MEMORY;
		}
	}
	return rg_builtin_give(call, result, matches);
}

/* ---- merge ---- */

struct range {
	rg_address first, last;
	struct rg_network network; /* as given, if `whole` */
	bool whole;
};

/* An element: a network, or an IPv4 address, which stands for the network of its class. */
static bool merge_element(struct rg_builtin_call *call, struct rg_value v, struct rg_network *out,
			  enum rg_builtin_result *error)
{
	const char *text;
	unsigned first;
	bool v4;

	if (v.type != RG_STRING) {
		*error = rg_builtin_fail(call, "element must be string");
		return false;
	}
	text = rg_text(call->heap, v);
	if (!rg_address_parse(text, v.length, &out->at, &v4)) {
		if (rg_network_parse(text, v.length, out))
			return true;
		*error = rg_builtin_fail(call, "invalid CIDR address: %.*s", (int)v.length, text);
		return false;
	}
	if (!rg_address_is_v4(out->at)) {
		*error = rg_builtin_fail(call, "IPv6 invalid: needs prefix length");
		return false;
	}
	first = (unsigned)(out->at >> 24 & 255);
	out->prefix = 96 + (first < 0x80 ? 8 : first < 0xc0 ? 16 : 24);
	return true;
}

static bool comes_before(const struct range *a, const struct range *b)
{
	return a->last != b->last ? a->last < b->last : a->first < b->first;
}

static void sift_down(struct range *ranges, uint32_t root, uint32_t count)
{
	uint32_t child;

	while ((child = 2 * root + 1) < count) {
		struct range keep = ranges[root];

		if (child + 1 < count && comes_before(&ranges[child], &ranges[child + 1]))
			child++;
		if (!comes_before(&keep, &ranges[child]))
			return;
		ranges[root] = ranges[child];
		ranges[child] = keep;
		root = child;
	}
}

static void sort_ranges(struct range *ranges, uint32_t count)
{
	for (uint32_t root = count / 2; root-- > 0;)
		sift_down(ranges, root, count);
	for (uint32_t last = count; last-- > 1;) {
		struct range keep = ranges[0];

		ranges[0] = ranges[last];
		ranges[last] = keep;
		sift_down(ranges, 0, last);
	}
}

static rg_address previous(rg_address a)
{
	return a == 0 || a == RG_ADDRESS_MAPPED ? a : a - 1;
}

/* Join neighbours and overlaps, from the highest range down; returns how many are left. */
static uint32_t join_ranges(struct range *ranges, uint32_t count)
{
	uint32_t low = count; /* ranges[low..count) are done */

	if (!count)
		return 0;
	for (uint32_t i = count; i-- > 0;) {
		if (low < count && previous(ranges[low].first) <= ranges[i].last) {
			if (ranges[i].first < ranges[low].first)
				ranges[low].first = ranges[i].first;
			ranges[low].whole = false;
		} else {
			ranges[--low] = ranges[i];
		}
	}
	memmove(ranges, ranges + low, (count - low) * sizeof(*ranges));
	return count - low;
}

static bool add_network(struct rg_heap *heap, struct rg_value set, struct rg_network n)
{
	char text[ADDRESS_TEXT_BYTES];
	size_t bytes = print_address(n.at, text);

	bytes += (size_t)sprintf(text + bytes, "/%u",
				 rg_address_is_v4(n.at) ? n.prefix - 96 : n.prefix);
	return rg_set_add(heap, set, rg_string(heap, text, bytes));
}

/* The fewest networks that make up a range. */
static bool add_range(struct rg_heap *heap, struct rg_value set, const struct range *range)
{
	rg_address at = range->first;

	for (;;) {
		unsigned prefix = 128;

		while (prefix > 0 && !(at & ((rg_address)1 << (128 - prefix))) &&
		       (at | ~rg_network_mask(prefix - 1)) <= range->last)
			prefix--;
		if (!add_network(heap, set, (struct rg_network){at, prefix}))
			return false;
		at |= ~rg_network_mask(prefix);
		if (at == range->last)
			return true;
		at++;
	}
}

static enum rg_builtin_result merge(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	enum rg_builtin_result error;
	struct rg_value merged;
	struct range *ranges;
	uint64_t offset;
	uint32_t count;

	if (args[0].type != RG_ARRAY && args[0].type != RG_SET)
		return rg_builtin_fail(call, "operand must be an array");
	count = rg_count(heap, args[0]);
	if (!rg_builtin_charge(call, 32ull * count))
		return RG_BUILTIN_ERROR;
	ranges = rg_heap_alloc(heap, count * sizeof(*ranges) + 16, &offset);
	if (!ranges)
		return RG_BUILTIN_MEMORY;
	ranges = (struct range *)(((uintptr_t)ranges + 15) &
				  ~(uintptr_t)15); /* 128-bit numbers want 16 */
	for (uint32_t i = 0; i < count; i++) {
		struct rg_network n;

		if (!merge_element(call, rg_list_at(heap, args[0], i), &n, &error))
			return error;
		ranges[i] = (struct range){rg_network_first(n), rg_network_last(n), n, true};
	}
	sort_ranges(ranges, count);
	count = join_ranges(ranges, count);
	merged = rg_set(heap, count);
	for (uint32_t i = 0; i < count && rg_is_defined(merged); i++) {
		if (ranges[i].whole ? !add_network(heap, merged, ranges[i].network)
				    : !add_range(heap, merged, &ranges[i]))
			return RG_BUILTIN_MEMORY;
	}
	return rg_builtin_give(call, result, merged);
}

#define MATCH	T_UNION(OF2(T_ARRAY(T_ANY), T_STRING))
#define MATCHES T_UNION(OF4(T_ARRAY(MATCH), T_OBJECT(T_STRING, MATCH), T_SET(MATCH), T_STRING))

static const struct rg_builtin table[] = {
	{"net.cidr_contains", cidr_contains, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"net.cidr_overlap", cidr_contains, 2, RG_BUILTIN_DEPRECATED, NULL,
	 FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"net.cidr_intersects", intersects, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
	{"net.cidr_is_valid", is_valid, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
	{"net.cidr_expand", expand, 1, 0, NULL, FN1(T_STRING, T_SET(T_STRING))},
	{"net.cidr_contains_matches", contains_matches, 2, 0, NULL,
	 FN2(MATCHES, MATCHES, T_SET(T_TUPLE(OF2(T_ANY, T_ANY))))},
	{"net.cidr_merge", merge, 1, 0, NULL,
	 FN1(T_UNION(OF2(T_ARRAY(T_UNION(T_STRING)), T_SET(T_STRING))), T_SET(T_STRING))},
};
RG_BUILTIN_FAMILY(rg_builtin_net, table);

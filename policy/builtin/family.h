/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the families of built-ins share: their tables, reading operands, and returning results.
 *
 * A built-in reads its operands first (RG_OPERAND returns the type error OPA gives), then computes,
 * then ends with rg_builtin_give() or one of its kin, which turn an exhausted heap into
 * RG_BUILTIN_MEMORY; so between, nobody needs to look at each allocation's result.
 */
#ifndef RG_POLICY_BUILTIN_FAMILY_H
#define RG_POLICY_BUILTIN_FAMILY_H

#include "policy/builtin/builtin.h"
#include "policy/builtin/signature.h"
#include "policy/eval/container.h"
#include "policy/eval/number.h"
#include "policy/eval/value_text.h"

struct rg_builtin_family {
	const struct rg_builtin *table;
	uint32_t count;
};
#define RG_BUILTIN_FAMILY(name, table)                                                             \
	const struct rg_builtin_family name = {table, sizeof(table) / sizeof(*(table))}

extern const struct rg_builtin_family rg_builtin_aggregates, rg_builtin_arithmetic,
	rg_builtin_arrays, rg_builtin_bits, rg_builtin_comparison, rg_builtin_crypto,
	rg_builtin_encoding, rg_builtin_glob, rg_builtin_graph, rg_builtin_json,
	rg_builtin_json_paths, rg_builtin_net, rg_builtin_objects, rg_builtin_regex,
	rg_builtin_regex_globs, rg_builtin_semver, rg_builtin_sets, rg_builtin_sprintf,
	rg_builtin_strings, rg_builtin_time, rg_builtin_types, rg_builtin_units, rg_builtin_uuid,
	rg_builtin_yaml;

/* Return from a built-in with a type error unless operand n (1-based) is of that type. */
#define RG_OPERAND(n, TYPE, name)                                                                  \
	do {                                                                                       \
		if (args[(n)-1].type != RG_##TYPE)                                                 \
			return rg_builtin_operand(call, (n), args[(n)-1], name);                   \
	} while (0)

/* "null", "boolean", ... Source: OPA ast.ValueName. */
const char *rg_type_name(struct rg_value v);

/* Type error with its own text: "NAME: operand N TEXT". */
enum rg_builtin_result rg_builtin_operand_text(struct rg_builtin_call *call, int operand,
					       const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "NAME: operand N must be array of strings but got array containing number". */
enum rg_builtin_result rg_builtin_element(struct rg_builtin_call *call, int operand,
					  struct rg_value container, struct rg_value element,
					  const char *want);
/* An integer operand that fits int64; else sets *result to the type error and returns false. */
bool rg_builtin_int(struct rg_builtin_call *call, const struct rg_value *args, int operand,
		    int64_t *out, enum rg_builtin_result *error);
/* An integer operand of any size (number_integer.h); same failure. */
struct rg_integer;
bool rg_builtin_integer(struct rg_builtin_call *call, const struct rg_value *args, int operand,
			struct rg_integer *out, enum rg_builtin_result *error);
/* Are all elements of an array or set strings? If not, *error is the type error. */
bool rg_builtin_strings_only(struct rg_builtin_call *call, struct rg_value list, int operand,
			     enum rg_builtin_result *error);

/* The result v, or memory. */
static inline enum rg_builtin_result rg_builtin_give(struct rg_builtin_call *call,
						     struct rg_value *result, struct rg_value v)
{
	*result = v;
	return call->heap->exhausted ? RG_BUILTIN_MEMORY : RG_BUILTIN_OK;
}
/* A number, or the reason why there is none (rg_number_arith). */
enum rg_builtin_result rg_builtin_give_number(struct rg_builtin_call *call, struct rg_value *result,
					      struct rg_value v, const char *reason);
/* Take `work` instructions from the budget. False: the budget is used up; return
 * RG_BUILTIN_ERROR. */
bool rg_builtin_charge(struct rg_builtin_call *call, uint64_t work);

/* Element i of an array, or member i of a set in order. */
static inline struct rg_value rg_list_at(struct rg_heap *heap, struct rg_value list, uint32_t i)
{
	return list.type == RG_ARRAY ? rg_array_at(heap, list, i) : rg_set_at(heap, list, i);
}

/* v as Rego text: strings quoted, {1, 2}, set(), {"a": 1}. Source: OPA ast.Value.String. */
void rg_builder_put_term(struct rg_builder *builder, struct rg_value v);
/* Go's strconv.Quote. */
void rg_builder_put_go_quoted(struct rg_builder *builder, const char *text, size_t bytes);

#endif

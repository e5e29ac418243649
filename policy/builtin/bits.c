/* SPDX-License-Identifier: Apache-2.0 */
/* bits.*: on integers of any size, in two's complement of endless width. Source: OPA
 * v1/topdown/binary.go (bits). */
#include "policy/builtin/family.h"
#include "policy/eval/number_integer.h"

static enum rg_builtin_result give(struct rg_builtin_call *call, struct rg_value *result,
				   const struct rg_integer *x)
{
	const char *reason;
	struct rg_value v = rg_integer_value(call->heap, x, &reason);

	return rg_builtin_give_number(call, result, v, reason);
}

static enum rg_builtin_result bitwise(struct rg_builtin_call *call, enum rg_integer_bits op,
				      const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_integer a, b;

	if (!rg_builtin_integer(call, args, 1, &a, &error) ||
	    !rg_builtin_integer(call, args, 2, &b, &error))
		return error;
	rg_integer_bitwise(&a, op, &a, &b);
	return give(call, result, &a);
}

static enum rg_builtin_result bits_and(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	return bitwise(call, RG_INTEGER_AND, args, result);
}

static enum rg_builtin_result bits_or(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	return bitwise(call, RG_INTEGER_OR, args, result);
}

static enum rg_builtin_result bits_xor(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	return bitwise(call, RG_INTEGER_XOR, args, result);
}

static enum rg_builtin_result bits_negate(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_integer a;

	if (!rg_builtin_integer(call, args, 1, &a, &error))
		return error;
	rg_integer_not(&a, &a);
	return give(call, result, &a);
}

static enum rg_builtin_result shift(struct rg_builtin_call *call, bool left,
				    const struct rg_value *args, struct rg_value *result)
{
	enum rg_builtin_result error;
	struct rg_integer a, by;
	uint64_t count;

	if (!rg_builtin_integer(call, args, 1, &a, &error) ||
	    !rg_builtin_integer(call, args, 2, &by, &error))
		return error;
	if (by.negative)
		return rg_builtin_operand_text(
			call, 2, "must be an unsigned integer number but got a negative integer");
	count = by.size > 1 ? UINT64_MAX : by.size ? by.limb[0] : 0;
	if (!left)
		rg_integer_shift_right(&a, &a, count);
	else if (!rg_integer_shift_left(&a, &a, count))
		return rg_builtin_fail(call, "%s", rg_number_too_big);
	return give(call, result, &a);
}

static enum rg_builtin_result bits_lsh(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	return shift(call, true, args, result);
}

static enum rg_builtin_result bits_rsh(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	return shift(call, false, args, result);
}

static const struct rg_builtin table[] = {
	{"bits.and", bits_and, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"bits.or", bits_or, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"bits.xor", bits_xor, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"bits.negate", bits_negate, 1, 0, NULL, FN1(T_NUMBER, T_NUMBER)},
	{"bits.lsh", bits_lsh, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"bits.rsh", bits_rsh, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
};
RG_BUILTIN_FAMILY(rg_builtin_bits, table);

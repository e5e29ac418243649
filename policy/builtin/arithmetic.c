/* SPDX-License-Identifier: Apache-2.0 */
/* plus, minus, ..., rounding, ranges, format_int, chance. Source: OPA v1/topdown/arithmetic.go,
 * numbers.go. */
#include "policy/builtin/family.h"
#include "policy/eval/number_real.h"

static enum rg_builtin_result binary(struct rg_builtin_call *call, enum rg_number_op op,
				     const struct rg_value *args, struct rg_value *result)
{
	const char *reason;
	struct rg_value v;

	RG_OPERAND(1, NUMBER, "number");
	RG_OPERAND(2, NUMBER, "number");
	v = rg_number_arith(call->heap, op, args[0], args[1], &reason);
	return rg_builtin_give_number(call, result, v, reason);
}

static enum rg_builtin_result plus(struct rg_builtin_call *call, const struct rg_value *args,
				   struct rg_value *result)
{
	return binary(call, RG_NUMBER_ADD, args, result);
}

static enum rg_builtin_result difference(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value rest = rg_set(heap, 0);

	for (uint32_t i = 0; i < rg_count(heap, args[0]) && rg_is_defined(rest); i++) {
		struct rg_value member = rg_set_at(heap, args[0], i);

		if (!rg_set_has(heap, args[1], member))
			rg_set_add(heap, rest, member);
	}
	return rg_builtin_give(call, result, rest);
}

static enum rg_builtin_result minus(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	if (args[0].type == RG_SET && args[1].type == RG_SET)
		return difference(call, args, result);
	if (args[0].type != RG_NUMBER && args[0].type != RG_SET)
		return rg_builtin_operand(call, 1, args[0], "one of {number, set}");
	if (args[0].type != args[1].type)
		return rg_builtin_operand(call, 2, args[1],
					  args[1].type == RG_NUMBER ? "set" : "number");
	return binary(call, RG_NUMBER_SUB, args, result);
}

static enum rg_builtin_result mul(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	return binary(call, RG_NUMBER_MUL, args, result);
}

static enum rg_builtin_result divide(struct rg_builtin_call *call, const struct rg_value *args,
				     struct rg_value *result)
{
	return binary(call, RG_NUMBER_DIV, args, result);
}

static enum rg_builtin_result rem(struct rg_builtin_call *call, const struct rg_value *args,
				  struct rg_value *result)
{
	return binary(call, RG_NUMBER_REM, args, result);
}

static enum rg_builtin_result unary(struct rg_builtin_call *call, enum rg_number_unary op,
				    const struct rg_value *args, struct rg_value *result)
{
	const char *reason;
	struct rg_value v;

	RG_OPERAND(1, NUMBER, "number");
	v = rg_number_unary(call->heap, op, args[0], &reason);
	return rg_builtin_give_number(call, result, v, reason);
}

static enum rg_builtin_result absolute(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	return unary(call, RG_NUMBER_ABS, args, result);
}

static enum rg_builtin_result round_half(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	return unary(call, RG_NUMBER_ROUND, args, result);
}

static enum rg_builtin_result ceiling(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	return unary(call, RG_NUMBER_CEIL, args, result);
}

static enum rg_builtin_result floor_of(struct rg_builtin_call *call, const struct rg_value *args,
				       struct rg_value *result)
{
	return unary(call, RG_NUMBER_FLOOR, args, result);
}

/* ---- ranges ---- */

static enum rg_builtin_result fill_range(struct rg_builtin_call *call, struct rg_integer *from,
					 const struct rg_integer *to, const struct rg_integer *step,
					 struct rg_value *result)
{
	bool up = rg_integer_compare(from, to) <= 0, fits = true;
	struct rg_value range = rg_array(call->heap, 0);
	const char *reason;

	while (fits &&
	       (up ? rg_integer_compare(from, to) <= 0 : rg_integer_compare(from, to) >= 0)) {
		if (!rg_builtin_charge(call, 1))
			return RG_BUILTIN_ERROR;
		if (!rg_is_defined(range) ||
		    !rg_array_append(call->heap, range,
				     rg_integer_value(call->heap, from, &reason)))
			return RG_BUILTIN_MEMORY;
		fits = up ? rg_integer_add(from, from, step) : rg_integer_sub(from, from, step);
	}
	return rg_builtin_give(call, result, range);
}

static enum rg_builtin_result range(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct rg_integer from, to, step;
	enum rg_builtin_result error;

	if (!rg_builtin_integer(call, args, 1, &from, &error) ||
	    !rg_builtin_integer(call, args, 2, &to, &error))
		return error;
	rg_integer_from_int64(&step, 1);
	return fill_range(call, &from, &to, &step, result);
}

static enum rg_builtin_result range_step(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_integer from, to, step;
	enum rg_builtin_result error;

	if (!rg_builtin_integer(call, args, 1, &from, &error) ||
	    !rg_builtin_integer(call, args, 2, &to, &error) ||
	    !rg_builtin_integer(call, args, 3, &step, &error))
		return error;
	if (step.negative || !step.size)
		return rg_builtin_fail(call, "numbers.range_step: step must be a positive integer");
	return fill_range(call, &from, &to, &step, result);
}

/* ---- text ---- */

/* Is the number written as an integer: no point, no exponent? */
static bool is_plain_integer(const struct rg_heap *heap, struct rg_value v)
{
	const char *text;

	if (v.form != RG_NUMBER_TEXT)
		return v.form == RG_NUMBER_INT;
	text = rg_text(heap, v);
	for (uint32_t i = *text == '-'; i < v.length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	return true;
}

/* Towards zero; what is not written as an integer passes through a real of 64 bits, as in OPA. */
static bool truncate_number(struct rg_heap *heap, struct rg_value v, struct rg_integer *out,
			    const char **reason)
{
	struct rg_real real;

	if (is_plain_integer(heap, v))
		return rg_integer_from(heap, v, out, reason);
	*reason = rg_number_too_big;
	return rg_real_from(heap, v, RG_REAL_BITS, &real) && rg_real_truncate(real, out);
}

static enum rg_builtin_result format_int(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_integer integer;
	const char *reason;
	struct rg_value v;
	int64_t base;

	RG_OPERAND(1, NUMBER, "number");
	RG_OPERAND(2, NUMBER, "number");
	base = args[1].form == RG_NUMBER_INT ? args[1].i : 0; /* 10.0 is not accepted */
	if (base != 2 && base != 8 && base != 10 && base != 16)
		return rg_builtin_operand_text(call, 2, "must be one of {2, 8, 10, 16}");
	if (!truncate_number(call->heap, args[0], &integer, &reason))
		return rg_builtin_fail(call, "%s", reason);
	v = rg_integer_text(call->heap, &integer, (int)base, &reason);
	return rg_builtin_give_number(call, result, v, reason);
}

/* ---- chance ---- */

/* A number below n that depends on the request's seed and the arguments alone, so that equal
 * calls agree. */
static enum rg_builtin_result rand_intn(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	enum rg_builtin_result error;
	unsigned __int128 scaled;
	uint64_t chance, limit;
	int64_t n;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_int(call, args, 2, &n, &error))
		return error;
	limit = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	chance = (rg_hash(call->heap, args[0]) ^ call->seed) + limit * 0x9e3779b97f4a7c15ull;
	chance = (chance ^ chance >> 30) * 0xbf58476d1ce4e5b9ull;
	chance = (chance ^ chance >> 27) * 0x94d049bb133111ebull;
	scaled = (unsigned __int128)(chance ^ chance >> 31) * limit;
	return rg_builtin_give(call, result, rg_int((int64_t)(scaled >> 64)));
}

static const struct rg_builtin table[] = {
	{"plus", plus, 2, RG_BUILTIN_INFIX, "+", FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"minus", minus, 2, RG_BUILTIN_INFIX, "-",
	 FN2(T_UNION(OF2(T_SET(T_ANY), T_NUMBER)), T_UNION(OF2(T_SET(T_ANY), T_NUMBER)),
	     T_UNION(OF2(T_SET(T_ANY), T_NUMBER)))},
	{"mul", mul, 2, RG_BUILTIN_INFIX, "*", FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"div", divide, 2, RG_BUILTIN_INFIX, "/", FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"rem", rem, 2, RG_BUILTIN_INFIX, "%", FN2(T_NUMBER, T_NUMBER, T_NUMBER)},
	{"abs", absolute, 1, 0, NULL, FN1(T_NUMBER, T_NUMBER)},
	{"round", round_half, 1, 0, NULL, FN1(T_NUMBER, T_NUMBER)},
	{"ceil", ceiling, 1, 0, NULL, FN1(T_NUMBER, T_NUMBER)},
	{"floor", floor_of, 1, 0, NULL, FN1(T_NUMBER, T_NUMBER)},
	{"numbers.range", range, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_ARRAY(T_NUMBER))},
	{"numbers.range_step", range_step, 3, 0, NULL,
	 FN3(T_NUMBER, T_NUMBER, T_NUMBER, T_ARRAY(T_NUMBER))},
	{"format_int", format_int, 2, 0, NULL, FN2(T_NUMBER, T_NUMBER, T_STRING)},
	{"rand.intn", rand_intn, 2, RG_BUILTIN_NONDETERMINISTIC, NULL,
	 FN2(T_STRING, T_NUMBER, T_NUMBER)},
	{"set_diff", minus, 2, RG_BUILTIN_DEPRECATED, NULL,
	 FN2(T_SET(T_ANY), T_SET(T_ANY), T_SET(T_ANY))},
};
RG_BUILTIN_FAMILY(rg_builtin_arithmetic, table);

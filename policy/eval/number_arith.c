/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic in the narrowest representation that is exact, as OPA's: int64, then integers of any
 * size, then reals. Sums of money (1.15 + 2.30) have a short cut: the exact decimal result is
 * computed with integers, and if it is what the reals would print, the reals' digit search is not
 * needed. It is, when the nearest real to that decimal is the result in reals: no two decimals of
 * up to 19 digits share a 64-bit real, so that decimal is the shortest one.
 *
 * Source: OPA v1/topdown/arithmetic.go, aggregates.go.
 */
#include <string.h>

#include "policy/eval/number_integer.h"
#include "policy/eval/number_real.h"

const char rg_number_too_big[] = "number has more than 4096 digits";
static_assert(RG_NUMBER_DIGITS_MAX == 4096, "the text above names it");

/* Reals beyond this are given up on before exponents could overflow. */
#define REAL_EXPONENT_MAX (1 << 24)

static struct rg_value fail(const char **reason, const char *text)
{
	*reason = text;
	return rg_undefined;
}

static bool arith_int64(enum rg_number_op op, int64_t a, int64_t b, int64_t *result)
{
	switch (op) {
	case RG_NUMBER_ADD: return !__builtin_add_overflow(a, b, result);
	case RG_NUMBER_SUB: return !__builtin_sub_overflow(a, b, result);
	case RG_NUMBER_MUL: return !__builtin_mul_overflow(a, b, result);
	case RG_NUMBER_DIV:
		/* 0 / -5 is -0 and INT64_MIN / -1 too large: both go on as reals. */
		if (!a || !b || b == -1 || a % b)
			return false;
		*result = a / b;
		return true;
	case RG_NUMBER_REM:
		if (!b)
			return false;
		*result = b == -1 ? 0 : a % b;
		return true;
	}
	return false;
}

static struct rg_value arith_integer(struct rg_heap *heap, enum rg_number_op op,
				     const struct rg_integer *a, const struct rg_integer *b,
				     const char **reason)
{
	struct rg_integer result;
	bool done = true;

	if (op == RG_NUMBER_ADD)
		done = rg_integer_add(&result, a, b);
	else if (op == RG_NUMBER_SUB)
		done = rg_integer_sub(&result, a, b);
	else if (op == RG_NUMBER_MUL)
		done = rg_integer_mul(&result, a, b);
	else if (!b->size)
		return fail(reason, "modulo by zero");
	else
		rg_integer_rem(&result, a, b);
	return done ? rg_integer_value(heap, &result, reason) : fail(reason, rg_number_too_big);
}

static struct rg_real arith_real(enum rg_number_op op, struct rg_real a, struct rg_real b)
{
	switch (op) {
	case RG_NUMBER_ADD: return rg_real_add(a, b, RG_REAL_BITS);
	case RG_NUMBER_SUB: return rg_real_sub(a, b, RG_REAL_BITS);
	case RG_NUMBER_MUL: return rg_real_mul(a, b, RG_REAL_BITS);
	default: return rg_real_div(a, b, RG_REAL_BITS);
	}
}

static const int64_t powers_of_10[] = {1ll,
				       10ll,
				       100ll,
				       1000ll,
				       10000ll,
				       100000ll,
				       1000000ll,
				       10000000ll,
				       100000000ll,
				       1000000000ll,
				       10000000000ll,
				       100000000000ll,
				       1000000000000ll,
				       10000000000000ll,
				       100000000000000ll,
				       1000000000000000ll,
				       10000000000000000ll,
				       100000000000000000ll,
				       1000000000000000000ll};

/* The exact result of +, -, * as a decimal, if mantissa and places fit. */
static bool arith_decimal(enum rg_number_op op, struct rg_value a, struct rg_value b,
			  int64_t *mantissa, int *exponent)
{
	int a_exponent = a.form == RG_NUMBER_DECIMAL ? a.exponent : 0;
	int b_exponent = b.form == RG_NUMBER_DECIMAL ? b.exponent : 0;
	int64_t x = a.i, y = b.i;

	if (op == RG_NUMBER_MUL) {
		*exponent = a_exponent + b_exponent;
		return !__builtin_mul_overflow(x, y, mantissa);
	}
	*exponent = a_exponent < b_exponent ? a_exponent : b_exponent;
	if (__builtin_mul_overflow(x, powers_of_10[a_exponent - *exponent], &x) ||
	    __builtin_mul_overflow(y, powers_of_10[b_exponent - *exponent], &y))
		return false;
	return op == RG_NUMBER_ADD ? !__builtin_add_overflow(x, y, mantissa)
				   : op == RG_NUMBER_SUB && !__builtin_sub_overflow(x, y, mantissa);
}

/* The result as a decimal, if the real `result` is the nearest one to it. */
static struct rg_value short_cut(enum rg_number_op op, struct rg_value a, struct rg_value b,
				 struct rg_real result)
{
	struct rg_value v;
	struct rg_real nearest;
	int64_t mantissa;
	int exponent;

	if (a.form == RG_NUMBER_TEXT || b.form == RG_NUMBER_TEXT || op == RG_NUMBER_DIV ||
	    !arith_decimal(op, a, b, &mantissa, &exponent) || !mantissa)
		return rg_undefined;
	while (exponent < 0 && mantissa % 10 == 0) {
		mantissa /= 10;
		exponent++;
	}
	/* What %g prints with an exponent is TEXT; so is what has more places than a DECIMAL. */
	if (exponent < -18 ||
	    (exponent && (mantissa >= 1000000 * powers_of_10[-exponent > 12 ? 12 : -exponent] ||
			  mantissa <= -1000000 * powers_of_10[-exponent > 12 ? 12 : -exponent])))
		return rg_undefined;
	v = (struct rg_value){.type = RG_NUMBER,
			      .form = exponent ? RG_NUMBER_DECIMAL : RG_NUMBER_INT,
			      .exponent = (int8_t)exponent,
			      .i = mantissa};
	if (exponent < -4) { /* smaller than 0.0001? */
		int64_t least = powers_of_10[-exponent - 4];

		if (mantissa < least && mantissa > -least)
			return rg_undefined;
	}
	if (!rg_real_from(NULL, v, RG_REAL_BITS, &nearest) || nearest.mantissa != result.mantissa ||
	    nearest.exponent != result.exponent || nearest.negative != result.negative)
		return rg_undefined;
	return v;
}

/* A DECIMAL, which is never integral, and another number that is not too long to read. */
static bool is_fraction(struct rg_value a, struct rg_value b)
{
	return a.form != RG_NUMBER_TEXT && b.form != RG_NUMBER_TEXT &&
	       (a.form == RG_NUMBER_DECIMAL || b.form == RG_NUMBER_DECIMAL);
}

struct rg_value rg_number_arith(struct rg_heap *heap, enum rg_number_op op, struct rg_value a,
				struct rg_value b, const char **reason)
{
	struct rg_real x, y, result;
	struct rg_value v;
	int64_t small;

	*reason = NULL;
	if (a.form == RG_NUMBER_INT && b.form == RG_NUMBER_INT && arith_int64(op, a.i, b.i, &small))
		return rg_int(small);
	if (op != RG_NUMBER_DIV && (!is_fraction(a, b) || op == RG_NUMBER_REM)) {
		struct rg_integer p, q;
		bool whole = rg_integer_from(heap, a, &p, reason) &&
			     rg_integer_from(heap, b, &q, reason);

		if (whole)
			return arith_integer(heap, op, &p, &q, reason);
		if (*reason)
			return rg_undefined;
		if (op == RG_NUMBER_REM)
			return fail(reason, "modulo on floating-point number");
	}
	if (!rg_real_from(heap, a, RG_REAL_BITS, &x) || !rg_real_from(heap, b, RG_REAL_BITS, &y))
		return fail(reason, rg_number_too_big);
	if (op == RG_NUMBER_DIV && !y.mantissa)
		return fail(reason, "divide by zero");
	result = arith_real(op, x, y);
	v = short_cut(op, a, b, result);
	return rg_is_defined(v) ? v : rg_real_value(heap, result, RG_REAL_BITS, reason);
}

/* ---- one operand ---- */

/* x as an integer; for ceiling and floor, x is not integral. */
static bool to_integer(enum rg_number_unary op, struct rg_real x, struct rg_integer *whole)
{
	static const struct rg_real half = {.mantissa = 1ull << 63, .exponent = -64};
	struct rg_integer one;

	rg_integer_from_int64(&one, 1);
	if (op == RG_NUMBER_ROUND)
		return rg_real_truncate(x.negative ? rg_real_sub(x, half, RG_REAL_BITS)
						   : rg_real_add(x, half, RG_REAL_BITS),
					whole);
	if (!rg_real_truncate(x, whole))
		return false;
	/* As in OPA, the sign looked at is that of the integer part, which is + for values
	 * between -1 and 0. */
	if (op == RG_NUMBER_CEIL)
		return whole->negative || rg_integer_add(whole, whole, &one);
	return !whole->negative || rg_integer_sub(whole, whole, &one);
}

struct rg_value rg_number_unary(struct rg_heap *heap, enum rg_number_unary op, struct rg_value v,
				const char **reason)
{
	struct rg_integer whole;
	struct rg_real x;

	*reason = NULL;
	if (v.form == RG_NUMBER_INT && (op != RG_NUMBER_ABS || v.i >= 0))
		return v;
	if (v.form == RG_NUMBER_INT && v.i != INT64_MIN)
		return rg_int(-v.i);
	if (!rg_real_from(heap, v, RG_REAL_BITS, &x))
		return fail(reason, rg_number_too_big);
	if (op == RG_NUMBER_ABS) {
		x.negative = false;
		return rg_real_value(heap, x, RG_REAL_BITS, reason);
	}
	/* Rounding adds a half even to what is integral: beyond 2^63 that may round up, as in
	 * OPA. */
	if (rg_real_is_integral(x) && op != RG_NUMBER_ROUND) {
		if (!rg_real_truncate(x, &whole))
			return fail(reason, rg_number_too_big);
	} else if (!to_integer(op, x, &whole)) {
		return fail(reason, rg_number_too_big);
	}
	return rg_integer_value(heap, &whole, reason);
}

/* ---- sums and products ---- */

static struct rg_value accumulate_reals(struct rg_heap *heap, enum rg_number_op op,
					const struct rg_value *numbers, uint32_t count,
					const char **reason)
{
	unsigned bits = op == RG_NUMBER_MUL ? RG_REAL_BITS_DOUBLE : RG_REAL_BITS;
	struct rg_real total = {0}, x;

	if (op == RG_NUMBER_MUL)
		total = (struct rg_real){.mantissa = 1ull << 63, .exponent = -63};
	for (uint32_t i = 0; i < count; i++) {
		if (!rg_real_from(heap, numbers[i], RG_REAL_BITS, &x))
			return fail(reason, rg_number_too_big);
		total = op == RG_NUMBER_MUL ? rg_real_mul(total, x, bits)
					    : rg_real_add(total, x, bits);
		if (total.exponent > REAL_EXPONENT_MAX || total.exponent < -REAL_EXPONENT_MAX)
			return fail(reason, rg_number_too_big);
	}
	return rg_real_value(heap, total, bits, reason);
}

struct rg_value rg_number_accumulate(struct rg_heap *heap, enum rg_number_op op,
				     const struct rg_value *numbers, uint32_t count,
				     const char **reason)
{
	struct rg_integer total, x;
	int64_t small = op == RG_NUMBER_MUL;
	uint32_t i = 0;

	*reason = NULL;
	while (i < count && numbers[i].form == RG_NUMBER_INT &&
	       arith_int64(op, small, numbers[i].i, &small))
		i++;
	if (i == count)
		return rg_int(small);
	/* The one that did not fit left `small` as it was only if it is not INT; so begin again,
	 * with room. */
	rg_integer_from_int64(&total, op == RG_NUMBER_MUL);
	for (i = 0; i < count; i++) {
		bool fits;

		if (!rg_integer_from(heap, numbers[i], &x, reason))
			return *reason ? rg_undefined
				       : accumulate_reals(heap, op, numbers, count, reason);
		fits = op == RG_NUMBER_MUL ? rg_integer_mul(&total, &total, &x)
					   : rg_integer_add(&total, &total, &x);
		if (!fits)
			return fail(reason, rg_number_too_big);
	}
	return rg_integer_value(heap, &total, reason);
}

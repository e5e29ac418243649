/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rego numbers: forms, exact comparison, and arithmetic as OPA does it (source: OPA
 * v1/topdown/arithmetic.go, aggregates.go, builtins/builtins.go):
 *
 *	- comparison is exact for any two spellings, whatever their exponents;
 *	- plus, minus, mul and rem of two integral numbers (1.0 and 1e3 are integral) are exact at any size;
 *	- everything else goes through binary floating point with a 64-bit mantissa, rounded to nearest
 *	  even (Go's big.Float made by SetString), and prints as the shortest decimal that reads back the
 *	  same at that precision; integral results print as plain digits;
 *	- a product with a non-integral factor is accumulated with a 53-bit mantissa (as in OPA).
 *
 * Arithmetic uses GMP's mpn layer on fixed-size stack buffers: no malloc, no global state
 * (number_integer.h, number_real.h). Each operation is linear to quadratic in the digits, which are
 * bounded.
 *
 * Thread-safety: as the heap.
 */
#ifndef RG_POLICY_EVAL_NUMBER_H
#define RG_POLICY_EVAL_NUMBER_H

#include "policy/eval/value.h"

/* Digits, and decimal places from the point, beyond which a number is refused by arithmetic with an error;
 * literals of any length can still be carried, compared and printed. */
#define RG_NUMBER_DIGITS_MAX 4096
/* The reason given then. */
extern const char rg_number_too_big[];

/* Bytes that rg_number_text() needs for an INT or DECIMAL. */
#define RG_NUMBER_TEXT_BYTES 24

enum rg_number_op { RG_NUMBER_ADD, RG_NUMBER_SUB, RG_NUMBER_MUL, RG_NUMBER_DIV, RG_NUMBER_REM };

enum rg_number_unary { RG_NUMBER_ABS, RG_NUMBER_ROUND, RG_NUMBER_CEIL, RG_NUMBER_FLOOR };

/* A number from JSON number text (validated by the caller's JSON reader): the normal form if it is spelled
 * canonically, else TEXT. */
struct rg_value rg_number_from_text(struct rg_heap *heap, const char *text, size_t bytes);
/* Is this text a JSON number, from its first to its last byte? */
bool rg_number_is_text(const char *text, size_t bytes);
/* mantissa x 10^exponent, -128 <= exponent <= 127, normalised. The wire's decimals. */
struct rg_value rg_number_from_decimal(struct rg_heap *heap, int64_t mantissa, int exponent);
struct rg_value rg_number_from_uint(struct rg_heap *heap, uint64_t value);
/* Shortest decimal that reads back as d (finite). */
struct rg_value rg_number_from_double(struct rg_heap *heap, double d);

/* Exact numeric comparison: <0, 0, >0. Exponents beyond 10^17 count as 10^17. */
int rg_number_compare(const struct rg_heap *heap, struct rg_value a, struct rg_value b);
uint64_t rg_number_hash(const struct rg_heap *heap, struct rg_value v);

/* True and *out if v is integral (also 1.0, 1e3) and fits. */
bool rg_number_to_int64(const struct rg_heap *heap, struct rg_value v, int64_t *out);
bool rg_number_is_integral(const struct rg_heap *heap, struct rg_value v);
double rg_number_to_double(const struct rg_heap *heap, struct rg_value v);
/* Round half to even to a mantissa at 10^exponent, saturating at int64. For scores. */
int64_t rg_number_to_scaled(const struct rg_heap *heap, struct rg_value v, int exponent);

/* a op b. On failure returns undefined and sets *reason to a constant text as OPA words it ("divide by zero",
 * "modulo by zero", "modulo on floating-point number", rg_number_too_big) or NULL when memory ran out. */
struct rg_value rg_number_arith(struct rg_heap *heap, enum rg_number_op op, struct rg_value a,
				struct rg_value b, const char **reason);
/* Absolute value, rounding half away from zero, upwards, downwards. Failure as rg_number_arith().
 * As in OPA, non-integral values between -1 and 0 have ceiling 1 and floor 0. */
struct rg_value rg_number_unary(struct rg_heap *heap, enum rg_number_unary op, struct rg_value v,
				const char **reason);
/* Sum (op RG_NUMBER_ADD) or product (RG_NUMBER_MUL) of count numbers. Failure as
 * rg_number_arith(). */
struct rg_value rg_number_accumulate(struct rg_heap *heap, enum rg_number_op op,
				     const struct rg_value *numbers, uint32_t count,
				     const char **reason);

/* The number's JSON text into out; returns its length (<= bytes) or the length needed. */
size_t rg_number_text(const struct rg_heap *heap, struct rg_value v, char *out, size_t bytes);

/*
 * The decimal digits of a number: value = (negative ? -1 : 1) x 0.d1 d2 ... dn x 10^magnitude, d1
 * and dn not 0; n = 0 for zero. The digits lie in the number's own text (with a '.' somewhere) or
 * in `buffer`.
 */
struct rg_digits {
	const char *at; /* d1 */
	uint32_t count; /* n */
	bool negative;
	int64_t magnitude;
	char buffer[20];
};
void rg_digits_of(const struct rg_heap *heap, struct rg_value v, struct rg_digits *out);
/* The next digit, 0..9; *at starts at digits->at. At most digits->count calls. */
static inline unsigned rg_digits_next(const char **at)
{
	if (**at == '.')
		(*at)++;
	return (unsigned)(*(*at)++ - '0');
}

#endif

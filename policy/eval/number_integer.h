/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole numbers of bounded size on the stack, over GMP's mpn layer: sign and magnitude, no
 * allocation. For exact arithmetic on integers and for the bits.* and format_int built-ins.
 *
 * Thread-safety: plain values.
 */
#ifndef RG_POLICY_EVAL_NUMBER_INTEGER_H
#define RG_POLICY_EVAL_NUMBER_INTEGER_H

#include <gmp.h>

#include "policy/eval/number.h"

static_assert(sizeof(mp_limb_t) == 8, "number arithmetic is written for 64-bit limbs");

/* Room for the product of two numbers of RG_NUMBER_DIGITS_MAX digits, and for the mantissa of the
 * smallest real (number_real.c). */
#define RG_INTEGER_LIMBS 512

struct rg_integer {
	bool negative; /* never set when size is 0 */
	uint32_t size; /* limbs in use; the highest one is not 0 */
	mp_limb_t limb[RG_INTEGER_LIMBS];
};

/* Read an integral number. False with *reason NULL if v is not integral, or rg_number_too_big. */
bool rg_integer_from(const struct rg_heap *heap, struct rg_value v, struct rg_integer *out,
		     const char **reason);
void rg_integer_from_int64(struct rg_integer *out, int64_t i);
/* The n digits d1..dn of a magnitude, n <= 2 * RG_NUMBER_DIGITS_MAX, then `zeros` zeros. */
void rg_integer_from_digits(struct rg_integer *out, const struct rg_digits *digits, uint32_t zeros);

/* As a number in its normal form; undefined with *reason when it has too many digits, or NULL
 * when memory is out. */
struct rg_value rg_integer_value(struct rg_heap *heap, const struct rg_integer *x,
				 const char **reason);
/* As text to base 2..36, lower case. Same failures. */
struct rg_value rg_integer_text(struct rg_heap *heap, const struct rg_integer *x, int base,
				const char **reason);

int rg_integer_compare(const struct rg_integer *a, const struct rg_integer *b);
/* r = a op b. r may be a or b. False: the result has too many digits. */
bool rg_integer_add(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b);
bool rg_integer_sub(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b);
bool rg_integer_mul(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b);
/* r = a - b * trunc(a / b); b is not 0. */
void rg_integer_rem(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b);

enum rg_integer_bits { RG_INTEGER_AND, RG_INTEGER_OR, RG_INTEGER_XOR };
/* Bitwise, as if in two's complement of endless width (Go's big.Int). r may be a or b. */
void rg_integer_bitwise(struct rg_integer *r, enum rg_integer_bits op, const struct rg_integer *a,
			const struct rg_integer *b);
/* r = -a - 1 */
void rg_integer_not(struct rg_integer *r, const struct rg_integer *a);
/* a x 2^shift; false if too large. */
bool rg_integer_shift_left(struct rg_integer *r, const struct rg_integer *a, uint64_t shift);
/* floor(a / 2^shift) */
void rg_integer_shift_right(struct rg_integer *r, const struct rg_integer *a, uint64_t shift);

#endif

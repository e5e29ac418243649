/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binary floating point with a 64-bit (or narrower) mantissa and round to nearest even: what Go's
 * math/big.Float is in OPA's arithmetic. Correctly rounded conversions from and to decimal.
 *
 * Thread-safety: plain values.
 */
#ifndef RG_POLICY_EVAL_NUMBER_REAL_H
#define RG_POLICY_EVAL_NUMBER_REAL_H

#include "policy/eval/number_integer.h"

/* Mantissa bits of big.Float.SetString, and of big.NewFloat. */
#define RG_REAL_BITS	    64
#define RG_REAL_BITS_DOUBLE 53

/* (negative ? -1 : 1) x mantissa x 2^exponent. The mantissa's top bit is set, or it is 0 (and
 * exponent too). */
struct rg_real {
	uint64_t mantissa;
	int32_t exponent;
	bool negative;
};

/* Nearest real of `bits` mantissa bits. False: the number has more digits or places than
 * RG_NUMBER_DIGITS_MAX. */
bool rg_real_from(const struct rg_heap *heap, struct rg_value v, unsigned bits,
		  struct rg_real *out);
/* Nearest real to magnitude x 2^exponent, a bit more if `sticky`. */
struct rg_real rg_real_round(const mp_limb_t *limb, uint32_t size, int32_t exponent, bool sticky,
			     unsigned bits);

/* a op b, rounded to `bits`. b is not 0 in a quotient. */
struct rg_real rg_real_add(struct rg_real a, struct rg_real b, unsigned bits);
struct rg_real rg_real_sub(struct rg_real a, struct rg_real b, unsigned bits);
struct rg_real rg_real_mul(struct rg_real a, struct rg_real b, unsigned bits);
struct rg_real rg_real_div(struct rg_real a, struct rg_real b, unsigned bits);

bool rg_real_is_integral(struct rg_real x);
/* The integer part (towards zero), exactly. False: too many digits. */
bool rg_real_truncate(struct rg_real x, struct rg_integer *out);

/* Shortest decimal that reads back as x at that precision: plain digits if integral, else as Go's %g.
 * Undefined with *reason rg_number_too_big, or NULL when memory is out. */
struct rg_value rg_real_value(struct rg_heap *heap, struct rg_real x, unsigned bits,
			      const char **reason);

#endif

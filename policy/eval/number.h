/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of Rego numbers, as OPA does it (source: OPA v1/topdown/arithmetic.go, builtins.go):
 * integers are exact at any size (GMP); a result that is not an exact integer is computed with a 64-bit
 * mantissa, round to nearest even (MPFR; Go's big.Float made by SetString), and printed as the shortest
 * decimal that reads back the same at that precision. Comparison is always exact.
 *
 * GMP and MPFR work in the heap's SCRATCH (or on the stack), never with malloc: see number.c.
 *
 * Thread-safety: as the heap.
 */
#ifndef RG_POLICY_EVAL_NUMBER_H
#define RG_POLICY_EVAL_NUMBER_H

#include "policy/eval/value.h"

/* Digits (and decimal exponent range) beyond which a number is refused by arithmetic with an error; literals
 * of any length can still be carried, compared and printed. */
#define RG_NUMBER_DIGITS_MAX 4096

enum rg_number_op { RG_NUMBER_ADD, RG_NUMBER_SUB, RG_NUMBER_MUL, RG_NUMBER_DIV, RG_NUMBER_REM };

/* A number from JSON number text (validated by the caller's JSON reader): the normal form if it is spelled
 * canonically, else TEXT. */
struct rg_value rg_number_from_text(struct rg_heap *heap, const char *text, size_t bytes);
/* mantissa x 10^exponent, -30 <= exponent <= 30, normalised. The wire's decimals. */
struct rg_value rg_number_from_decimal(struct rg_heap *heap, int64_t mantissa, int exponent);
struct rg_value rg_number_from_uint(struct rg_heap *heap, uint64_t value);
/* Shortest decimal that reads back as d (finite). */
struct rg_value rg_number_from_double(struct rg_heap *heap, double d);

/* Exact numeric comparison: <0, 0, >0. */
int rg_number_compare(const struct rg_heap *heap, struct rg_value a, struct rg_value b);
uint64_t rg_number_hash(const struct rg_heap *heap, struct rg_value v);

/* True and *out if v is integral (also 1.0, 1e3) and fits. */
bool rg_number_to_int64(const struct rg_heap *heap, struct rg_value v, int64_t *out);
bool rg_number_is_integral(const struct rg_heap *heap, struct rg_value v);
double rg_number_to_double(const struct rg_heap *heap, struct rg_value v);
/* Round half to even to a mantissa at 10^exponent, saturating at int64. For scores. */
int64_t rg_number_to_scaled(const struct rg_heap *heap, struct rg_value v, int exponent);

/* a op b. On failure returns undefined and sets *reason to a constant text as OPA words it ("divide by zero",
 * "modulo by zero", "modulo on floating-point number") or NULL when memory ran out. */
struct rg_value rg_number_arith(struct rg_heap *heap, enum rg_number_op op, struct rg_value a, struct rg_value b,
				const char **reason);

/* The number's JSON text into out; returns its length (<= bytes) or the length needed. */
size_t rg_number_text(const struct rg_heap *heap, struct rg_value v, char *out, size_t bytes);

#endif

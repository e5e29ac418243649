/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors over the requests of a burst, its LANES, for files that are compiled once for each enum
 * rg_eval_vectors: for AVX-512 they have eight lanes, for AVX2 and for any machine four; compilers
 * make what they can of them.
 */
#ifndef RG_POLICY_EVAL_LANES_H
#define RG_POLICY_EVAL_LANES_H

#include <stdint.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef __AVX512DQ__
#define WIDE 8
#else
#define WIDE 4
#endif

typedef int64_t integers __attribute__((vector_size(8 * WIDE)));
typedef uint64_t words __attribute__((vector_size(8 * WIDE)));
typedef double reals __attribute__((vector_size(8 * WIDE)));
typedef uint32_t lanes; /* a bit a lane */

static inline integers all_of(int64_t number)
{
	return (integers){0} + number;
}

#ifdef __AVX512DQ__
/* A mask as a number. gcc 12 joins a comparison with the widening of its mask, then keeps eight bits of
 * it on the stack and takes 32 back, of which 24 are whatever was there; it cannot look through this. */
#define NUMBER_OF_MASK(mask)                                                                       \
	({                                                                                         \
		__typeof__(mask) mask_ = (mask);                                                   \
		__asm__("" : "+k"(mask_));                                                         \
		(uint32_t) mask_;                                                                  \
	})
#endif

/* A bit for each lane whose condition, all ones or all zeros, holds. */
static inline lanes bits_of(integers condition)
{
#ifdef __AVX512DQ__
	return NUMBER_OF_MASK(_mm512_movepi64_mask((__m512i)condition));
#elif defined(__AVX2__)
	return (lanes)_mm256_movemask_pd((__m256d)condition);
#else
	return (lanes)((condition[0] & 1) | (condition[1] & 2) | (condition[2] & 4) |
		       (condition[3] & 8));
#endif
}

/* The lanes for which a comparison of integers, EQ to GE, holds. */
#ifdef __AVX512DQ__
#define COMPARE(name, a, b)                                                                        \
	NUMBER_OF_MASK(_mm512_cmp_epi64_mask((__m512i)(a), (__m512i)(b), COMPARE_##name))
#define COMPARE_EQ _MM_CMPINT_EQ
#define COMPARE_NE _MM_CMPINT_NE
#define COMPARE_LT _MM_CMPINT_LT
#define COMPARE_LE _MM_CMPINT_LE
#define COMPARE_GT _MM_CMPINT_NLE
#define COMPARE_GE _MM_CMPINT_NLT
#else
#define COMPARE(name, a, b) bits_of((a)COMPARE_##name(b))
#define COMPARE_EQ	    ==
#define COMPARE_NE	    !=
#define COMPARE_LT	    <
#define COMPARE_LE	    <=
#define COMPARE_GT	    >
#define COMPARE_GE	    >=
#endif

static inline integers choose(integers condition, integers a, integers b)
{
	return (condition & a) | (~condition & b);
}

#endif

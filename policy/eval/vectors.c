/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/eval/vectors.h"

enum rg_eval_vectors rg_eval_widest_vectors(enum rg_eval_vectors most)
{
#ifdef __x86_64__
	if (most == RG_EVAL_PLAIN || !__builtin_cpu_supports("avx2") ||
	    !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
		return RG_EVAL_PLAIN;
	if (most == RG_EVAL_AVX2 || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512vbmi") || !__builtin_cpu_supports("avx512vbmi2"))
		return RG_EVAL_AVX2;
	return RG_EVAL_AVX512;
#else
	return RG_EVAL_PLAIN;
#endif
}

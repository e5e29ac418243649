/* SPDX-License-Identifier: Apache-2.0 */
/* What bursts are decided and rule tables are matched with: sources that use lanes.h are compiled
 * for each. Pure, any thread. */
#ifndef RG_POLICY_EVAL_VECTORS_H
#define RG_POLICY_EVAL_VECTORS_H

enum rg_eval_vectors {
	RG_EVAL_PLAIN, /* what any machine has */
	RG_EVAL_AVX2,
	RG_EVAL_AVX512, /* of processors that do not slow down for it: Ice Lake, Zen 4 and later */
	RG_EVAL_VECTORS
};

/* The widest that the machine has, but no wider than `most`. */
enum rg_eval_vectors rg_eval_widest_vectors(enum rg_eval_vectors most);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image/code.h"

const struct rg_op_shape rg_op_shapes[RG_OP_COUNT] = {
#define X(name, dst, a, b, aux, cd, target) [RG_OP_##name] = {#name, dst, a, b, aux, cd, target},
	RG_INSTRUCTIONS(X)
#undef X
};

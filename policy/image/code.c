/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image/code.h"
#include "policy/image/typed.h"

const struct rg_op_shape rg_op_shapes[RG_OP_COUNT] = {
#define X(name, dst, a, b, aux, cd, target) [RG_OP_##name] = {#name, dst, a, b, aux, cd, target},
	RG_INSTRUCTIONS(X)
#undef X
};

const struct rg_typed_shape rg_typed_shapes[RG_TYPED_OP_COUNT] = {
#define X(name, dst, a, b, target, table, number)                                                  \
	[RG_TYPED_OP_##name] = {#name, dst, a, b, target, table, number},
	RG_TYPED_INSTRUCTIONS(X)
#undef X
};

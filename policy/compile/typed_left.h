/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of typed rules that are left to the general evaluator: see typed_left.c. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_TYPED_LEFT_H
#define RG_POLICY_COMPILE_TYPED_LEFT_H

#include "policy/compile/typed.h"

/* Leave the instruction being translated to the general evaluator. Control goes to left_label, where the next
 * instruction begins. False: it cannot be left. */
bool rg_typed_leave(struct rg_typed_context *c);
/* Before instruction `at`, of which no label is placed yet: ask for what waits, unless it may wait longer. */
void rg_typed_may_wait(struct rg_typed_context *c, uint32_t at);
void rg_typed_ask_waiting(struct rg_typed_context *c);
/* Forget pieces from number `count` on. */
void rg_typed_forget_pieces(struct rg_typed *t, uint32_t count);
/* The image's function that a piece becomes. */
uint32_t rg_typed_piece_function(struct rg_typed *t, uint32_t number);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values with parts of the request in them: typed_made.c says what they are. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_TYPED_MADE_H
#define RG_POLICY_COMPILE_TYPED_MADE_H

#include "policy/compile/typed.h"

/* Does the value, perhaps deep inside, hold something of the request? */
bool rg_typed_is_made(struct rg_heap *heap, struct rg_value v);
/* A fact as a value, made or not. False: it may be undefined, or there is no such value. */
bool rg_typed_made_value(struct rg_typed_context *c, struct rg_typed_fact fact,
			 struct rg_value *value);
/* A value, made or not, as a fact. UNTYPED: what it stood for is no more. */
struct rg_typed_fact rg_typed_made_fact(struct rg_typed *t, struct rg_value v);
/* Forget the numbers from `count` on: their values are made again. */
void rg_typed_forget_unknowns(struct rg_typed *t, uint32_t count);
/* sprintf or concat of two arguments, some of the request. False: it is neither, or cannot be made. */
bool rg_typed_make_text(struct rg_typed_context *c, const char *name,
			const struct rg_typed_fact *args, struct rg_typed_fact *result);

/* May two values that are not written the same be equal, or in either order, as far as what stands before their
 * first marks tells? */
bool rg_typed_are_near(struct rg_heap *heap, struct rg_value a, struct rg_value b);
/* Are they surely not equal, and in this order if that is asked for? */
bool rg_typed_are_apart(struct rg_heap *heap, struct rg_value a, struct rg_value b, bool in_order);
/* Is a made text none of the names, the keys of an object, whatever it stands for? */
bool rg_typed_is_no_name(struct rg_heap *heap, struct rg_value names, struct rg_value text);

#endif

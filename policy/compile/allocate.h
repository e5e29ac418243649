/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From virtual registers to frames: drop stores that nobody reads, shorten jumps to jumps, give
 * registers whose lives do not overlap the same place in the frame, and append the function to the
 * unit's code. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_ALLOCATE_H
#define RG_POLICY_COMPILE_ALLOCATE_H

#include "policy/compile/lower.h"

/* Finish l's function as image function `number` of the unit. RG_OK, RG_ELIMIT (frame too
 * large), RG_ENOMEM. */
int rg_allocate_function(struct rg_lower *l, uint32_t number);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the uses of a function's locals tell before it is lowered.
 *
 * Locals are plain variables, but most are assigned once and read in the block that assigned them. A local is
 * ESCAPING when some read may see another assignment than the one that precedes it in the text: it is read after the
 * block that assigned it has ended, or in a later turn of a loop. Every assignment to an escaping local is
 * stored in one register, its home; all other locals are names for values and cost nothing.
 *
 * Thread-safety: pure.
 */
#ifndef RG_POLICY_COMPILE_LOCALS_H
#define RG_POLICY_COMPILE_LOCALS_H

#include "policy/compile/unit.h"

enum rg_local_flags {
	RG_LOCAL_ESCAPING = 1,
	RG_LOCAL_ASSIGNED = 2,		/* somewhere, not counting parameters */
	RG_LOCAL_ASSIGNED_TWICE = 4,	/* in more than one place */
	RG_LOCAL_BUILT_ELSEWHERE = 8,	/* a container that grows in another block than the one that made it */
	RG_LOCAL_OVERRIDDEN = 16	/* target of a With */
};

/* flags[0..frame_size) of a function's or entry's locals. statement_count and calls by callee (function index) may be
 * NULL. RG_OK, or RG_EINVAL if a With overrides a local that is also assigned (no planner emits that), RG_ENOMEM. */
int rg_locals_scan(struct rg_unit *unit, const struct rg_plan_block *blocks, uint32_t block_count,
		   uint32_t frame_size, uint8_t *flags);

#endif

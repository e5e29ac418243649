/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the uses of a function's locals tell before it is lowered.
 *
 * Locals are plain variables, and planners use the same number for different things in different
 * blocks. So what counts is the single assignment. It ESCAPES when some read may see it where it is
 * not the assignment that certainly came last: after the block that made it has ended, or in a
 * later turn of a loop. Escaping assignments are stored in one register a local, its home; all
 * others are names for values and cost nothing.
 *
 * A read sees the last assignment before it in the text if that one's block is still open, since
 * there is no way around it. Else it may see any one back to the last whose block is open: all of
 * these escape.
 *
 * Thread-safety: as the plan.
 */
#ifndef RG_POLICY_COMPILE_LOCALS_H
#define RG_POLICY_COMPILE_LOCALS_H

#include "policy/compile/unit.h"

/* Of a statement: bits of rg_plan_statement.assignment. */
enum rg_assignment {
	RG_TARGET_ESCAPES = 1,
	RG_KEY_ESCAPES = 2,   /* Scan */
	RG_VALUE_ESCAPES = 4, /* Scan */
	RG_BUILT_ELSEWHERE =
		8 /* Make*: the container grows in another block than the one that made it */
};

/* Of a local. */
enum rg_local_flags {
	RG_LOCAL_STORED = 1,	   /* some assignment escapes */
	RG_LOCAL_STORED_TWICE = 2, /* more than one does */
	RG_LOCAL_ASSIGNED = 4,	   /* at all, not counting parameters */
	RG_LOCAL_OVERRIDDEN = 8	   /* target of a With */
};

/* Note `assignment` in the statements and flags[0..frame_size) of a function's or entry's locals. RG_OK, RG_ENOMEM, or
 * RG_EINVAL if a With overrides a local that is also assigned (no planner emits that). */
int rg_locals_scan(struct rg_unit *unit, struct rg_plan_block *blocks, uint32_t block_count,
		   uint32_t frame_size, uint8_t *flags);

#endif

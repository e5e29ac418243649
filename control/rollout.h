/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rolling a revision out: the nodes of a fleet activate one after another, each watches what its
 * decisions become, and the first that sees them go wrong stops all.
 *
 *	         want()             locked            activated()            the window is over,
 *	 IDLE ───────────► LOCKING ─────────► GRANTED ────────────► OBSERVING  decisions are well: release
 *	  ▲                 │  ▲ │ halted      │                      │   │  └──────────────────► IDLE
 *	  │ want(): a newer │  │ │             │ give_up():           │   │ decisions went wrong:
 *	  │ revision        │  └─┘ busy, away: │ release              │   │ halt in Redis, release,
 *	  │                 │     again later  ▼                      │   ▼ roll back
 *	  └── HALTED ◄──────┘                 IDLE                    │ HALTED
 *	                                                              │ the lease is lost:
 *	            GRANTED, the lease is lost: LOCKING                └─► OBSERVING without it
 *
 * The lock is a lease in Redis: SET NX PX with a fencing token that only grows, renewed at a third
 * of its time, released by comparison. A node counts its lease from the moment before it asked, on
 * its own monotonic clock, and takes it for lost a fifth early; so, as long as clocks run at the
 * same speed to within that, a node that believes it may activate is the only one. may_activate()
 * is asked in the turn in which the image is announced.
 *
 * Guarantees:
 *  (A) Two nodes are never GRANTED with a valid lease at once.
 *  (B) Once a revision is halted, no node is GRANTED for it any more: the lock's script looks at the
 *      mark in the same step in which it takes the lock.
 *  (C) A dead holder's lease runs out, and the next goes on. What a stale holder does is compared by
 *      token and changes nothing; only halting needs no lease: stopping is always safe.
 *
 * Decisions have gone wrong when, of at least min_decisions since the activation, more than
 * policy_error_percent have status POLICY_ERROR, or the share of DENY is more than
 * deny_rise_percent points above what it was in a window of the same length before. Fewer decisions
 * judge nothing.
 *
 * The clock is passed in; Redis is a struct rg_fleet_link. Thread-safety: belongs to control's
 * loop.
 */
#ifndef RG_CONTROL_ROLLOUT_H
#define RG_CONTROL_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "control/fleet_link.h"

struct rg_rollout_options {
	uint32_t node; /* this one, to be named when it halts */
	uint64_t lease_ns, observe_ns;
	uint32_t policy_error_percent, deny_rise_percent;
	uint64_t min_decisions;
};

/* What the workers have decided so far; counters that only grow, but for a data plane's restart. */
struct rg_rollout_sample {
	uint64_t decisions, denied, policy_errors;
};

enum rg_rollout_state {
	RG_ROLLOUT_IDLE,
	RG_ROLLOUT_LOCKING,
	RG_ROLLOUT_GRANTED,
	RG_ROLLOUT_OBSERVING,
	RG_ROLLOUT_HALTED
};
const char *rg_rollout_state_name(enum rg_rollout_state state); /* "idle", ... */

#define RG_ROLLOUT_SAMPLES 32 /* a window's length is known to a 31st of it */

struct rg_rollout {
	struct rg_rollout_options options;
	const struct rg_fleet_link *link;
	enum rg_rollout_state state;
	uint64_t number;   /* revision that it is about; 0: one that the fleet does not know yet */
	uint64_t token;	   /* of the lease that is or was held */
	uint64_t asked_ns; /* when the request under way was made; 0: none is */
	uint64_t leased_until_ns; /* 0: no lease */
	uint64_t next_ask_ns, observe_until_ns;
	struct rg_rollout_sample samples[RG_ROLLOUT_SAMPLES]; /* a ring, one a 31st of the window */
	uint64_t sampled, next_sample_ns;
	struct rg_rollout_sample at_activation, before; /* before: a window earlier */
	char why[256];					/* of the last halt, here or elsewhere */
};

void rg_rollout_init(struct rg_rollout *rollout, const struct rg_rollout_options *options,
		     const struct rg_fleet_link *link);

/* A policy is ready to be activated; number 0: one that was pushed here. Asked again while it waits:
 * changes nothing. RG_ECONFLICT: that revision is halted (rollout->why). */
int rg_rollout_want(struct rg_rollout *rollout, uint64_t number, uint64_t now_ns);
/* May it be announced in this turn? */
bool rg_rollout_may_activate(const struct rg_rollout *rollout, uint64_t now_ns);
/* It is active: watch it. */
void rg_rollout_activated(struct rg_rollout *rollout, uint64_t now_ns);
/* It was refused, or is not wanted any more. */
void rg_rollout_give_up(struct rg_rollout *rollout);

/* An answer of the link that is about the lock. */
void rg_rollout_event(struct rg_rollout *rollout, const struct rg_fleet_event *event,
		      uint64_t now_ns);

enum rg_rollout_verdict { RG_ROLLOUT_NOTHING, RG_ROLLOUT_WELL, RG_ROLLOUT_WRONG };
/* One turn. WELL: the window is over, tell the fleet of the revision; WRONG: the roll-out is halted,
 * roll back. Each is returned once an activation. */
enum rg_rollout_verdict rg_rollout_step(struct rg_rollout *rollout, uint64_t now_ns,
					const struct rg_rollout_sample *sample);

#endif

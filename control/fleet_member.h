/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node as a member of its fleet: what joins pushes (push.h) to the fleet's two state machines
 * (fleet.h, rollout.h) and those to Redis (fleet_redis.h).
 *
 *	 riskctl, bundle servers ──► pushes ──── turn? ────► rollout ──┐
 *	                              ▲  │ active, refused               ├─ link ─► Redis, in its thread
 *	                              │  └─────────────────► fleet ─────┘
 *	                              └── a revision of the fleet's; back to the one before
 *
 * Without `redis` all of it does nothing: a push has its turn at once.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_FLEET_MEMBER_H
#define RG_CONTROL_FLEET_MEMBER_H

#include "base/json.h"
#include "control/fleet.h"
#include "control/fleet_redis.h"
#include "control/push.h"
#include "control/rollout.h"

struct rg_fleet_member {
	struct rg_fleet_redis *redis; /* NULL: redis.enabled is not set */
	struct rg_fleet_link link;
	struct rg_fleet fleet;
	struct rg_rollout rollout;
	bool observes_own; /* what is observed is new to the fleet */
	struct rg_policy_meta observed;
	uint64_t back_to; /* sequence of the policy before the one observed; 0: none */
	char owner[96];	  /* of locks */
};

/* Read what is known and start the thread, if Redis is configured. Redis need not be there. */
int rg_fleet_member_open(struct rg_control *control, struct rg_error *err);
void rg_fleet_member_close(struct rg_control *control);
/* Step both machines. Returns the work done. */
uint32_t rg_fleet_member_do_work(struct rg_control *control);

/* May the push be announced in this turn? RG_EAGAIN: not yet, ask again. RG_ECONFLICT: its roll-out is
 * halted. */
int rg_fleet_member_turn(struct rg_control *control, const struct rg_push *push,
			 struct rg_error *err);
/* Why a turn does not come, in words. */
const char *rg_fleet_member_obstacle(const struct rg_control *control);
/* What became of a push. */
void rg_fleet_member_activated(struct rg_control *control, const struct rg_push *push);
void rg_fleet_member_refused(struct rg_control *control, const struct rg_push *push);

/* The member "fleet" of an answer's object; nothing without Redis. */
void rg_fleet_member_write_status(const struct rg_control *control, struct rg_json_writer *writer);

#endif

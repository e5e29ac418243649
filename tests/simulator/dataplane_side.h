/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane of the simulator: the real publisher and region, and workers that are models.
 *
 *	              burst: load the policy           reserve records          commit, quiescent state
 *	 worker  IDLE ──────────────────────► IN BURST ───────────────┐ ─────────────────────► IDLE
 *	                                          ▲ └─────────────────┘
 *	                                          └── held: stays here, with the policy in its hands
 *
 * Grace periods are a model too (grace_by_hand.c): they end as early as RCU may let them, when each
 * worker that was in a burst at the beginning has left it.
 */
#ifndef RG_SIMULATOR_DATAPLANE_SIDE_H
#define RG_SIMULATOR_DATAPLANE_SIDE_H

#include <stdbool.h>
#include <stdint.h>

bool dataplane_up(void);
void dataplane_start(void);
/* The publisher's turn. May die in it. */
void dataplane_step_publisher(void);
/* Begin, go on with or end a burst. */
void dataplane_step_worker(uint32_t worker);
/* A worker stops where it is, or goes on. */
void dataplane_hold(uint32_t worker, bool held);
/* kill -9 */
void dataplane_kill(void);
/* Flip a bit in an image file: of image-<N> (while announced and not copied), or of active-<N>
 * (while the data plane is down). */
void dataplane_damage_image(void);
/* The worker is in no burst. */
bool dataplane_idle(uint32_t worker);
/* What workers use; 0: nothing. */
uint64_t dataplane_active(void);

/* Has worker left the burst it was in, if it was in one, since `bursts` was read? For grace
 * periods. */
uint64_t dataplane_bursts(uint32_t worker);
bool dataplane_left(uint32_t worker, uint64_t bursts);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control of the simulator: the real one, by hand, with a compiler that may refuse; and a client of
 * its socket that pushes and rolls back.
 */
#ifndef RG_SIMULATOR_CONTROL_SIDE_H
#define RG_SIMULATOR_CONTROL_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/control.h"

bool control_up(void);
/* Start it. It may die in it, or fail because a call failed; then it is not up. */
void control_start(void);
/* One turn; a piece of slow work. May die in it. Returns the work done. */
uint32_t control_step(void);
bool control_step_slow(enum rg_control_slow_work work);
/* kill -9 */
void control_kill(void);
/* The power fails: control is gone, and of the journal what was not synced, or some of it. */
void control_lose_power(void);
/* What the store says is active. */
uint64_t control_stored_active(void);
const struct rg_mailbox_request *control_request(void);

/* Begin a push or a rollback, or look for the answer. */
void client_step(void);
/* Push until it is active; control and data plane are stepped meanwhile by `step`. */
void client_push_last(void (*step)(void));

#endif

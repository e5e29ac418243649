/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grace periods with a deadline.
 *
 * liburcu's synchronize_rcu() waits for as long as a reader takes. A thread of our own does that
 * waiting, so that the publisher can go on, watch its deadline and say which worker has not moved:
 *
 *	publisher			 helper thread
 *	ticket = rg_grace_begin() ────►  synchronize_rcu()
 *	rg_grace_done(ticket)? no …	 …
 *	rg_grace_done(ticket)? yes  ◄──── completed = ticket
 *
 * A grace period that begins while another is waited for gets one of its own afterwards, since it
 * must begin after the swap. Several that wait are served by one.
 *
 * Thread-safety: begin and done by one thread, the publisher.
 */
#ifndef RG_DATAPLANE_GRACE_H
#define RG_DATAPLANE_GRACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct rg_grace {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t requested, completed; /* tickets; under lock */
	bool stop;		       /* under lock */
};

/* Start the helper thread. RG_EIO when it cannot be created. */
int rg_grace_start(struct rg_grace *grace, struct rg_error *err);
/* Begin a grace period: after it no reader uses what was unpublished before this call. Returns its
 * ticket. */
uint64_t rg_grace_begin(struct rg_grace *grace);
/* Has the grace period of this ticket ended? */
bool rg_grace_done(struct rg_grace *grace, uint64_t ticket);
/* End the thread, after the grace period it may be waiting for: stop the readers first. */
void rg_grace_stop(struct rg_grace *grace);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate-control, as a set of state machines stepped by one loop.
 *
 *	                        do_work(now)
 *	      ┌─────────┬──────────┬────┴─────┬───────────┬─────────┐
 *	    drain     pushes     server    journal       sink   housekeeping
 *	  (drain.h)  (push.h)  (server.h)  (its sync)  (woken)  (heartbeat, counters)
 *
 * Nothing in a turn waits: building a policy, syncing the journal and storing in SQLite have
 * threads of their own. The clock is passed in. main() owns the loop, the signals and the poll.
 *
 * A simulator has no threads: it opens control by hand and decides itself when what waits gets on.
 *
 * Thread-safety: belongs to one thread.
 */
#ifndef RG_CONTROL_CONTROL_H
#define RG_CONTROL_CONTROL_H

#include <stdint.h>

#include "base/error.h"
#include "config/config.h"
#include "control/build.h"

struct rg_control;

/* The time of a turn. */
struct rg_control_clock {
	uint64_t monotonic_ns;
	uint64_t unix_ns;
};

/* Open everything: schema, region, store, journal, sink, socket. config must outlive it. compiler
 * NULL: the real one. Errors name the configuration key. */
int rg_control_new(const struct rg_config *config, const struct rg_compiler *compiler,
		   struct rg_control_clock now, struct rg_control **control, struct rg_error *err);

/* What has threads of its own, because it waits. */
enum rg_control_slow_work { RG_CONTROL_BUILD, RG_CONTROL_SYNC, RG_CONTROL_STORE };

/* As rg_control_new(), without those threads. */
int rg_control_new_by_hand(const struct rg_config *config, const struct rg_compiler *compiler,
			   struct rg_control_clock now, struct rg_control **control,
			   struct rg_error *err);
/* Do one piece of it: build the policy that was begun, carry out one sync of the journal, store one
 * batch in the sink. False: there is none, or it failed and is to be tried again. Only by hand. */
bool rg_control_do_slow_work(struct rg_control *control, enum rg_control_slow_work work);

/* One turn of all state machines. Returns the work done; 0: the loop may sleep on the descriptors
 * below, or a few ms (rings make no noise). */
uint32_t rg_control_do_work(struct rg_control *control, struct rg_control_clock now);

/* Descriptors that become readable when there is work: fds[0..count), count at most 2. */
uint32_t rg_control_fds(const struct rg_control *control, int fds[2]);

/* Take what the rings still hold (at most drain_ns of time per `clock`), make the journal durable,
 * let the sink catch up, say goodbye. */
void rg_control_stop(struct rg_control *control, struct rg_control_clock (*clock)(void),
		     uint64_t drain_ns);
/* Close without any of that. NULL is allowed. */
void rg_control_delete(struct rg_control *control);

/* The policy sequence that the data plane uses, as far as is known; 0: none. */
uint64_t rg_control_policy_sequence(const struct rg_control *control);

#endif

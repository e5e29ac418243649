/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load itself: when to send what, and what an answer means.
 *
 *	            duration over, count reached,
 *	            or rg_load_stop()                     all answered, or timeout over
 *	 SENDING ───────────────────────────► DRAINING ───────────────────────────────► DONE
 *
 * Open loop (rate_per_s > 0): datagram j is meant to be sent at begin + j x messages_per_datagram /
 * rate, whatever happened to those before. Latency counts from that intended time: if this program,
 * the device or riskgate stalls, every request that should have been sent meanwhile shows the wait.
 * (A generator that waits for answers before it goes on would hide it: G. Tene's "coordinated
 * omission".) What was due when sending ends and could not be handed to the device by the timeout
 * is counted as unsent.
 *
 * Closed loop (rate_per_s == 0): `window` requests are outstanding at any time; the intended time
 * is the send time. A request without an answer for timeout_ns is given up, so that a lost one does
 * not keep its place for ever.
 *
 * rg_load_step() does one round (receive a burst, account, send what is due) with the clock and
 * transport it was given, so a test steps it by hand with fakes.
 *
 * Thread-safety: a load belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_LOAD_H
#define RG_TOOLS_LOADGEN_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tools/loadgen/answer_log.h"
#include "tools/loadgen/outstanding.h"
#include "tools/loadgen/request_pool.h"
#include "tools/loadgen/tally.h"
#include "tools/loadgen/transport.h"

struct rg_load_options {
	double rate_per_s;		/* open loop: messages a second; else 0 */
	uint64_t window;		/* closed loop: messages outstanding; else 0 */
	uint32_t messages_per_datagram; /* 1.. */
	uint32_t burst; /* datagrams sent or received in a round, 1..RG_TRANSPORT_BURST_MAX */
	uint64_t message_limit; /* messages to send; 0: as many as the time allows */
	uint64_t duration_ns;	/* of sending, after the warm-up; 0: until message_limit */
	uint64_t warmup_ns;	/* sent first, not measured */
	uint64_t timeout_ns; /* how long to wait for the last answers; in a closed loop for each */
	uint64_t first_request_id;
};

enum rg_load_phase { RG_LOAD_SENDING, RG_LOAD_DRAINING, RG_LOAD_DONE };

/* Time in ns since any fixed point, below 2^62, never backwards. */
struct rg_load_clock {
	uint64_t (*now_ns)(void *context);
	void *context;
};

struct rg_load {
	struct rg_load_options options;
	struct rg_load_clock clock;
	struct rg_transport *transport;
	const struct rg_request_pool *pool;
	struct rg_answer_log *log; /* NULL: none */
	enum rg_load_phase phase;
	uint64_t pool_at;    /* next request of the pool */
	uint64_t begin_ns;   /* first intended time */
	uint64_t measure_ns; /* end of the warm-up */
	uint64_t end_ns;     /* of sending; UINT64_MAX: none */
	double datagram_interval_ns;
	uint64_t datagrams_sent;
	uint64_t drain_deadline_ns;
	uint64_t next_expiry_ns;
	uint64_t last_step_ns, last_send_ns;
	bool sent_last_step;
	struct rg_outstanding outstanding;
	struct rg_tally tally;
};

/* Start a load at the clock's present time. The pool must not be empty; transport, pool and log
 * must outlive it; the log may be NULL. Errors: RG_EINVAL (options that do not fit), RG_ENOMEM. */
int rg_load_init(struct rg_load *load, const struct rg_load_options *options,
		 struct rg_load_clock clock, struct rg_transport *transport,
		 const struct rg_request_pool *pool, struct rg_answer_log *log,
		 struct rg_error *err);
void rg_load_free(struct rg_load *load);
/* One round. Returns the number of datagrams sent and received: 0 means nothing to do now. */
uint32_t rg_load_step(struct rg_load *load);
/* When the next datagram is due by the schedule; UINT64_MAX in a closed loop and when sending is
 * over. */
uint64_t rg_load_next_due_ns(const struct rg_load *load);
/* Stop sending now and wait for the answers that are out. */
void rg_load_stop(struct rg_load *load);
/* Stop waiting as well: what is not answered is lost. Nothing to do when the load is done. */
void rg_load_finish(struct rg_load *load);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker does with turns of its loop that find nothing to do.
 *
 *	     1,000 empty turns   10,000 in all      a nap of the longest time    nothing came
 *	SPIN ───────────► PAUSE ───────────► NAP ─────────────────────► ARMED ──────────► SLEEP
 *	 ▲                                    │   if the driver of every        ◄──────────┤
 *	 │                                    │   queue has RX interrupts         100 ms   │
 *	 └──────────── a packet ──────────────┴──────────────────────────── an interrupt ──┘
 *
 * SPIN looks again at once. PAUSE tells the core that it waits, which saves power and leaves more
 * of the core to its sibling. NAP sleeps 1 µs, 2 µs, ... up to dataplane.idle_sleep_us: with drivers
 * that are only polled that is the longest a request waits to be seen. ARMED asks the NIC for
 * interrupts and lets the loop look once more, because what came before is not told; SLEEP waits
 * for one, or for 100 ms, so that the heartbeat goes on. With idle_sleep_us 0 a worker never leaves
 * PAUSE: it burns its core, as the lowest latency needs.
 *
 * A sleeping worker is offline for RCU: a new policy does not wait for it, and it takes that up
 * before it looks at a packet.
 *
 * Thread-safety: one thread, the worker's; rg_idle_listen() and rg_idle_leave() may be called by
 * the thread that makes and frees it.
 */
#ifndef RG_DATAPLANE_IDLE_H
#define RG_DATAPLANE_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/port.h"

enum rg_idle_state { RG_IDLE_SPIN, RG_IDLE_PAUSE, RG_IDLE_NAP, RG_IDLE_ARMED, RG_IDLE_SLEEP };

#define RG_IDLE_SPIN_TURNS  1000
#define RG_IDLE_PAUSE_TURNS 10000 /* with those that spun */
#define RG_IDLE_SLEEP_MS    100

struct rg_idle {
	uint64_t turns; /* empty ones, in a row */
	uint64_t longest_nap_ns;
	int epoll; /* -1: not all queues have interrupts */
	bool armed;
	const struct rg_port_queue *queues;
	uint32_t queue_count;
};

/* longest_nap_us: dataplane.idle_sleep_us. */
void rg_idle_init(struct rg_idle *idle, uint32_t longest_nap_us);
/* Sleep on the RX interrupts of these queues, which stay the caller's. The ports are started. False:
 * a driver has none, or nothing is to sleep; naps are all there is then. */
bool rg_idle_listen(struct rg_idle *idle, const struct rg_port_queue *queues, uint32_t count);
void rg_idle_leave(struct rg_idle *idle);

/* There was work. */
void rg_idle_disarm(struct rg_idle *idle);
static inline void rg_idle_work(struct rg_idle *idle)
{
	idle->turns = 0;
	if (idle->armed)
		rg_idle_disarm(idle);
}
/* There was none: spend the time that its state says. Returns that state. The thread is registered
 * with liburcu-qsbr and has just passed a quiescent state. */
enum rg_idle_state rg_idle_turn(struct rg_idle *idle);

#endif

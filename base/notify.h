/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd wants to hear of a service (sd_notify(3)'s protocol: datagrams of VARIABLE=value
 * lines to the socket named by $NOTIFY_SOCKET), without linking libsystemd. Nothing happens when
 * the variable is not set.
 *
 * Thread-safety: one thread.
 */
#ifndef RG_BASE_NOTIFY_H
#define RG_BASE_NOTIFY_H

#include <stdint.h>

struct rg_notify {
	int fd;		    /* -1: nobody listens */
	uint64_t period_ns; /* half of $WATCHDOG_USEC; 0: no watchdog */
	uint64_t next_ns;
};

/* Connect to $NOTIFY_SOCKET. Never fails: without one, or when it cannot be reached, the others do
 * nothing. */
void rg_notify_open(struct rg_notify *notify);
/* Send one state, e.g. "READY=1\nSTATUS=...". */
void rg_notify_send(struct rg_notify *notify, const char *state);
/* Send WATCHDOG=1 if half the watchdog's time has passed. monotonic_ns: any monotone clock. Call
 * while all is well. */
void rg_notify_watchdog(struct rg_notify *notify, uint64_t monotonic_ns);
void rg_notify_close(struct rg_notify *notify);

#endif

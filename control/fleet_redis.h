/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet's shared memory in Redis, in a thread of its own: struct rg_fleet_link over two
 * connections.
 *
 * Keys, F being the fleet's name:
 *
 *	riskgate:F:current		hash: number, meta (JSON of the revision), mac, archive, halted
 *	riskgate:F:bundle:<sha256>	the archive of a revision; a week after it was replaced it goes
 *	riskgate:F:lock			"<owner>:<token>" with a lease (SET NX PX)
 *	riskgate:F:token		the counter of fencing tokens
 *	riskgate:F:revisions		channel: a number, when current has changed
 *
 * Whatever compares and changes is a script, so it is one step to all. A message only makes the
 * thread read `current`; it also reads it after each connect and every RG_FLEET_REFRESH_MS, so what
 * was missed is healed.
 *
 * Trust: an archive is used only if its SHA-256 is the one that the revision names, and the
 * revision, number included, only if its mac is the HMAC-SHA256 of meta under the fleet's key. So
 * who can write to Redis but has no key can neither put in a policy nor bring an old one back; he
 * can withhold and halt. Without a key file Redis is trusted.
 *
 *	            connected, subscribed             an error of either connection
 *	 AWAY ◄────────────────────────────► SERVING ─────────────────────────────► AWAY
 *	  │ back-off: 100 ms, doubled up to 5 s
 *	  └─ requests are answered with RG_FLEET_AWAY
 *
 * Thread-safety: new, link's functions and delete belong to one thread.
 */
#ifndef RG_CONTROL_FLEET_REDIS_H
#define RG_CONTROL_FLEET_REDIS_H

#include "control/fleet_link.h"
#include "control/redis.h"

#define RG_FLEET_REFRESH_MS 2000

struct rg_fleet_redis_options {
	struct rg_redis_options redis; /* its texts must outlive the thread */
	const char *fleet;
	const char *owner;    /* of locks: unique among the nodes */
	const char *key_file; /* "": no key */
	uint64_t archive_bytes_max;
	int wake_fd; /* an eventfd that is written when there is an event */
};

struct rg_fleet_redis;

/* Read the key, start the thread. Redis need not be there. RG_EIO, RG_EINVAL (a key of less than 16
 * bytes), RG_ENOMEM. */
int rg_fleet_redis_new(const struct rg_fleet_redis_options *options, struct rg_fleet_redis **fleet,
		       struct rg_error *err);
/* Stop the thread, which may take as long as a command. NULL is allowed. */
void rg_fleet_redis_delete(struct rg_fleet_redis *fleet);
/* Its functions, to hand to the state machines. */
struct rg_fleet_link rg_fleet_redis_link(struct rg_fleet_redis *fleet);

#endif

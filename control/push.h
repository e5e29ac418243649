/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushes: how a policy gets from a path to the workers.
 *
 *	         a build is free       built          journaled
 *	 QUEUED ───────────► BUILDING ───────► ANNOUNCING ───────► WAITING
 *	                      │ │  ▲ in a roll-out:  │   ▲                │
 *	     needs approval:  │ │  └► HOLDING for   │   │                │
 *	     (stored, gone) ◄─┘ │      its turn      │   │                │
 *	                        │ refused        └───┘                ├─ ACTIVE: stored as active
 *	                        ▼            journal full:            ├─ REFUSED: out of the store
 *	                  (answered, gone)     once more              ├─ superseded by a newer one
 *	                                                              │      (answered, gone)
 *	                                                              └─ the client's time is up:
 *	                                                                 answered, still waited for
 *
 * One policy is built at a time; any number may wait for the data plane, which takes the
 * newest. Before an image is announced, its bundle is in the store, its reason names are
 * durable, and the journal has a POLICY frame that says what its sequence means: a record
 * never names a sequence that the journal does not explain.
 *
 * Every refusal is kept (last_error, a counter, the region's error log, the history), and the
 * policy in use stays. A dry run goes as far as a build and answers with what it found; it is no
 * push: it is not counted, and leaves nothing behind.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_PUSH_H
#define RG_CONTROL_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "control/build.h"
#include "control/policy_set.h"
#include "shm/mailbox.h"

struct rg_control;
struct rg_fleet_revision;

#define RG_PUSHES_MAX 16 /* queued, being built or waiting */

/* What somebody wants. */
struct rg_push_request {
	const char *path;	   /* of a bundle; NULL: stored policy `stored`, or a set */
	struct rg_policy_set *set; /* of configured bundles; taken over when it is queued */
	uint64_t stored;	   /* sequence in the store to publish again */
	bool same_sequence; /* publish the stored policy under its own sequence (nobody has seen it)
			     */
	bool v0, allow_older;
	bool dry_run; /* answer what would happen; nothing is kept */
	const char *why;
	const char *reason; /* the user's; NULL: it comes from no user */
	bool is_trusted; /* needs no second identity: it was in use, was approved, or is the operator's
			       own configuration */
	uint64_t
		approval_of; /* sequence of the one that waited and is approved with this; 0: none */
	const char *approved_by;	       /* by whom; NULL with 0 */
	const struct rg_fleet_revision *fleet; /* came from the fleet; NULL: did not */
	bool is_private;  /* neither offered to the fleet nor rolled out with it */
	uint64_t ticket;  /* of the client's request; 0: nobody waits */
	uint64_t wait_ns; /* how long the client waits for the data plane */
	uint32_t uid;
	const char *user; /* name of who wants it; NULL: that of uid */
};

/* How the last publish went. */
struct rg_publish_times {
	uint64_t sequence; /* 0: none yet */
	uint64_t load_ns, compile_ns, verify_ns, write_ns;
	uint64_t entered_ns[RG_MAILBOX_STATE_COUNT]; /* unix; from the mailbox */
};

enum rg_push_stage {
	RG_PUSH_FREE = 0,
	RG_PUSH_QUEUED,
	RG_PUSH_BUILDING,
	RG_PUSH_HOLDING, /* for its turn in the fleet's roll-out */
	RG_PUSH_ANNOUNCING,
	RG_PUSH_WAITING
};

struct rg_push {
	enum rg_push_stage stage;
	uint64_t order;			       /* of arrival */
	uint64_t ticket, wait_ns, deadline_ns; /* deadline: CLOCK_MONOTONIC, set when announced */
	bool v0, allow_older, dry_run, same_sequence, framed, stuck_reported;
	struct rg_policy_set *set; /* NULL: none, or told how it ended */
	uint64_t stored;	   /* sequence it was stored under; 0: from a path */
	bool needs_approval, is_private;
	uint64_t approval_of;
	bool is_of_fleet;
	uint64_t fleet_number;	/* of the fleet's revision; 0: it is new to the fleet */
	uint64_t hold_until_ns; /* monotonic; 0: does not hold yet */
	uint64_t before;	/* sequence that was in use when it was announced */
	struct rg_policy_meta meta;
	uint64_t image_crc32c;
	struct rg_publish_times times;
};

/* The policy that will be in use, as far as can be told before rg_push_begin(): the data plane's, else the
 * last active one, else what was announced. 0: none. */
uint64_t rg_push_expected(const struct rg_control *control);

/* Take a request in. RG_ELIMIT: too many at once; RG_ENOENT: no such stored policy; RG_EINVAL: a
 * user's request without the reason that control.require_reason demands. */
int rg_push_queue(struct rg_control *control, const struct rg_push_request *request,
		  struct rg_error *err);
/* At start: go on with what was announced, publish what was active, or push control.bundle. */
void rg_push_begin(struct rg_control *control);
/* The name of a user, or its number. */
void rg_push_name_user(uint32_t uid, char *name, size_t name_bytes);
/* Step all pushes. Returns the work done. */
uint32_t rg_push_do_work(struct rg_control *control);

#endif

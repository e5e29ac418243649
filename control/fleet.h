/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following the fleet: a revision that is pushed on one node becomes that of all.
 *
 *	             CURRENT: a newer revision               fetched
 *	 FOLLOWING ─────────────────────────────► FETCHING ───────────► PUSHING
 *	  ▲ ▲ │ a push of our own is active         │ away: again later    │ active, or refused:
 *	  │ │ ▼                                     │ bad: passed over     │ passed over
 *	  │ └OFFERING ◄── OLDER: with a larger      ▼                      │
 *	  │     │         number, once more     FOLLOWING ◄────────────────┘
 *	  └─────┘ offered
 *
 * What is known, the number and digest of the revision that this node has or has passed over, is
 * kept on disk. A revision that came from the fleet is never offered again as a new one (the loop
 * guard); but when Redis has lost what this node knows (a flush, a restart without a disk), the
 * node puts it back under its own number, and that its roll-out was halted is marked again by each
 * who knows. So Redis is a cache: it may lose everything at any moment.
 *
 * Messages may be missed. They only hurry: what counts is the CURRENT that the link reads after
 * each connect and now and then.
 *
 * The clock is passed in; Redis is a struct rg_fleet_link, pushes are the caller's. Thread-safety:
 * belongs to control's loop.
 */
#ifndef RG_CONTROL_FLEET_H
#define RG_CONTROL_FLEET_H

#include "control/fleet_link.h"

enum rg_fleet_state { RG_FLEET_FOLLOWING, RG_FLEET_OFFERING, RG_FLEET_FETCHING, RG_FLEET_PUSHING };
const char *rg_fleet_state_name(enum rg_fleet_state state); /* "following", ... */

struct rg_fleet_statistics {
	uint64_t offered, received, refused, restored, failures;
};

struct rg_fleet {
	const struct rg_fleet_link *link;
	const char *state_directory;
	enum rg_fleet_state state;
	bool reachable;
	struct rg_fleet_revision known;	  /* had here, or passed over; kept on disk */
	struct rg_fleet_revision current; /* of the fleet, as heard last */
	struct rg_fleet_revision wanted;  /* being offered, fetched or pushed */
	bool is_asked;			  /* the link has the request of `state` */
	bool has_own;			  /* a push of our own is active and not offered yet */
	struct rg_fleet_revision own;
	char own_path[1024]; /* folder of its bundle */
	uint64_t retry_ns;
	struct rg_fleet_statistics statistics;
	char last_error[512];
};

/* Read what is known from the disk. RG_ECORRUPT names the file. state_directory and link must outlive
 * the fleet. */
int rg_fleet_init(struct rg_fleet *fleet, const char *state_directory,
		  const struct rg_fleet_link *link, struct rg_error *err);

/* A push of our own is active; its bundle is in the folder. The fleet is to have it. */
void rg_fleet_pushed(struct rg_fleet *fleet, const struct rg_policy_meta *meta, uint32_t node,
		     const char *path);
/* What became of the revision that step() asked to push. Either way it is not pushed again. halted: ""
 * or why its roll-out was stopped. */
void rg_fleet_received(struct rg_fleet *fleet, bool is_active, const char *halted);

/* An event of the link that is not about the lock. */
void rg_fleet_event(struct rg_fleet *fleet, const struct rg_fleet_event *event, uint64_t now_ns);

/* The policy in use; "" for what is not known. */
struct rg_fleet_running {
	const char *sha256;
	const char *path; /* the folder of its bundle */
};

/* One turn. Returns true when fleet->wanted is to be pushed from the file rg_fleet_file();
 * rg_fleet_received() must follow. */
bool rg_fleet_step(struct rg_fleet *fleet, const struct rg_fleet_running *running, uint64_t now_ns);
/* The file that a fetched bundle is in. */
void rg_fleet_file(const struct rg_fleet *fleet, char *path, size_t path_bytes);

#endif

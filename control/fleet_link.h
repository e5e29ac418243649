/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node asks of what the fleet shares, and hears from it: the narrow interface between
 * control's state machines (fleet.h, rollout.h) and Redis (fleet_redis.h). Tests put a fake in its
 * place.
 *
 * Nothing here waits: submit() takes a request for later, poll() hands out what came of it. Each
 * OFFER, FETCH, LOCK and RENEW is answered by exactly one event, RG_FLEET_AWAY when Redis cannot be
 * reached; the others by none. Requests are served in their order.
 *
 * Thread-safety: submit() and poll() are called by one thread.
 */
#ifndef RG_CONTROL_FLEET_LINK_H
#define RG_CONTROL_FLEET_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "control/policy_store.h"

/* A revision of the fleet's policy. Of two, the one with the larger number is the newer. */
struct rg_fleet_revision {
	uint64_t number; /* 0: there is none */
	char sha256[65]; /* of the bundle's content: the same as in the pushing node's store */
	char bundle[RG_POLICY_TEXT_BYTES], revision[RG_POLICY_TEXT_BYTES];
	char user[64], why[RG_POLICY_TEXT_BYTES], reason[RG_POLICY_REASON_BYTES];
	uint32_t node;	  /* that pushed it */
	char archive[65]; /* SHA-256 of the archive under which Redis keeps it */
	char halted[256]; /* "", or who halted its roll-out and why */
};

enum rg_fleet_request_kind {
	RG_FLEET_OFFER, /* make revision current unless a newer one is; its bundle is the folder `path` */
	RG_FLEET_FETCH, /* bring the bundle of revision to the file `path` */
	RG_FLEET_LOCK,	/* unless revision.number is halted */
	RG_FLEET_RENEW, /* the lease of token */
	RG_FLEET_RELEASE,
	RG_FLEET_HALT /* mark revision.number as halted: revision.halted says why */
};

struct rg_fleet_request {
	enum rg_fleet_request_kind kind;
	struct rg_fleet_revision revision;
	char path[1024];
	uint64_t token, lease_ms;
};

enum rg_fleet_event_kind {
	RG_FLEET_AWAY, /* Redis cannot be reached, or refuses: text. Also said by itself, once */
	RG_FLEET_CURRENT, /* the fleet's revision; said by itself after connecting, when it changes, and
			     now and then */
	RG_FLEET_OFFERED, /* it is current */
	RG_FLEET_OLDER, /* it is not: a newer one is, or another with its number. A CURRENT follows */
	RG_FLEET_FETCHED, /* verified, at path */
	RG_FLEET_BAD, /* what Redis holds is not the bundle it says, or not made with our key: text */
	RG_FLEET_LOCKED, /* token; for revision.number */
	RG_FLEET_BUSY,	 /* another node holds the lock */
	RG_FLEET_RENEWED,
	RG_FLEET_LOST,	/* the lease is over */
	RG_FLEET_HALTED /* no lock: revision.number is halted, revision.halted says why */
};

struct rg_fleet_event {
	enum rg_fleet_event_kind kind;
	bool is_answer; /* to a request of the kind `request`; else it is said by itself */
	enum rg_fleet_request_kind request;
	struct rg_fleet_revision revision;
	uint64_t token;
	char text[512];
};

/* A revision as one JSON object, and back. RG_EINVAL: it is none. */
void rg_fleet_revision_write(const struct rg_fleet_revision *revision,
			     struct rg_json_writer *writer);
int rg_fleet_revision_read(const char *json, size_t bytes, struct rg_fleet_revision *revision,
			   struct rg_error *err);

struct rg_fleet_link {
	void *context;
	/* False: too much is under way; ask again in another turn. */
	bool (*submit)(void *context, const struct rg_fleet_request *request);
	/* The next event; false: none. */
	bool (*poll)(void *context, struct rg_fleet_event *event);
};

#endif

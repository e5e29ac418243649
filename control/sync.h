/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for one bundle, again and again.
 *
 *	              due, triggered or changed              an answer with content
 *	  WAITING ──────────────────────────────► ASKING ───────────────────────────► READY
 *	   ▲ ▲ ▲ ▲                                 │   │                                │ taken by the set
 *	   │ │ │ └─ not modified: delay ───────────┘   │                                ▼
 *	   │ │ └─── failed: backoff ───────────────────┘                            ACTIVATING
 *	   │ │                                                                       │     │
 *	   │ └───── activated: its ETag is the active one's; delay ──────────────────┘     │
 *	   └─────── refused: the ETag is the active one's again; backoff ──────────────────┘
 *
 * An answer may come from a bundle server (one request), a running OPA (its policies, then its
 * data), or a watched folder or file: no request, there is content when it changed, and again after
 * a refusal.
 *
 *	delay		uniform between polling.min_delay and max_delay; none with long polling, as
 *			long as the server's answers are of the type that means it can do it
 *	backoff		100 ms times 1.6 for each failure in a row, 20 % less or more, at most
 *			max_delay
 *
 * The clock and the HTTP client are passed in, so a test steps the machine by hand.
 *
 * Source: OPA's bundle documentation ("bundle service API") and v1/download. Thread-safety: belongs
 * to one thread.
 */
#ifndef RG_CONTROL_SYNC_H
#define RG_CONTROL_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/opa_sections.h"
#include "control/http_client.h"

#define RG_SYNC_ETAG_BYTES RG_HTTP_HEADER_VALUE_BYTES

enum rg_sync_state { RG_SYNC_WAITING = 0, RG_SYNC_ASKING, RG_SYNC_READY, RG_SYNC_ACTIVATING };
const char *rg_sync_state_name(enum rg_sync_state state); /* "waiting", ... */

struct rg_sync_options {
	const struct rg_config_bundle *bundle;
	const struct rg_config_service *service; /* NULL: a folder or file */
	const struct rg_http_client *client;
	uint64_t seed; /* of the delays */
	/* A folder or file: has it changed since the last call? true at first. */
	bool (*changed)(void *context, uint64_t now_ns);
	void *context;
};

/* When things happened; unix ns, 0: never. */
struct rg_sync_times {
	uint64_t last_request, last_successful_request, last_successful_download,
		last_successful_activation;
};

struct rg_sync_counters {
	uint64_t requests, failures, not_modified, downloads, activations, refusals;
};

struct rg_sync {
	struct rg_sync_options options;
	enum rg_sync_state state;
	uint64_t due_ns; /* CLOCK_MONOTONIC: when to ask again */
	uint64_t random;
	uint32_t failures_in_a_row;
	bool triggered, long_polling, asks_data;
	uint64_t ticket;
	char etag[RG_SYNC_ETAG_BYTES];		 /* of the active one; "": none */
	char candidate_etag[RG_SYNC_ETAG_BYTES]; /* of what is READY or ACTIVATING */
	char *body;				 /* what is READY; NULL: a folder or file */
	size_t body_bytes;
	char *policies; /* of an OPA, while its data is asked for */
	struct rg_sync_times times;
	struct rg_sync_counters counters;
	struct rg_error last_error; /* status RG_OK: the last attempt was good */
	long last_code;		    /* of HTTP, when that was the error; 0: it was not */
};

/* Start WAITING, due at once (trigger manual: when triggered). etag: of the active one, from disk;
 * "" for none. */
void rg_sync_init(struct rg_sync *sync, const struct rg_sync_options *options, const char *etag);
/* Break off and free. */
void rg_sync_free(struct rg_sync *sync);

/* A turn. unix_ns only marks times. Returns the work done. */
uint32_t rg_sync_step(struct rg_sync *sync, uint64_t now_ns, uint64_t unix_ns);
/* Ask as soon as possible. */
void rg_sync_trigger(struct rg_sync *sync);
/* Content from elsewhere (a cache that nodes share) as if it had been downloaded; takes body over.
 * RG_EAGAIN: a candidate is READY or ACTIVATING already; body is freed. */
int rg_sync_offer(struct rg_sync *sync, char *body, size_t body_bytes, const char *etag,
		  uint64_t unix_ns);

/* READY becomes ACTIVATING; the caller owns *body (NULL: read the folder or file). */
void rg_sync_take(struct rg_sync *sync, char **body, size_t *body_bytes);
/* What was taken is active. */
void rg_sync_activated(struct rg_sync *sync, uint64_t now_ns, uint64_t unix_ns);
/* What was taken was refused. */
void rg_sync_refused(struct rg_sync *sync, const struct rg_error *err, uint64_t now_ns);

#endif

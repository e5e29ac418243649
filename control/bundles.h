/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configured bundles: each is asked for by a machine of its own (sync.h); what is new is
 * activated, one after the other, always together with the active ones of all others.
 *
 *	sync 1 ──┐ READY
 *	sync 2 ──┼───────► a set: the new one and the last good of each other ─── push ──► policy
 *	sync 3 ──┘          │                                                       │
 *	                    │ a bundle has neither: wait until it was fetched       │
 *	                    ▼                                                       ▼
 *	                 (no policy without one of its parts)          settled: activated or refused
 *
 * A policy whose block list has not arrived would let through what it should stop, so nothing is
 * activated before every bundle is there. All or nothing: a set that is refused changes nothing,
 * and the error stands with the bundle that was new.
 *
 * The last good one of each is on disk with its ETag (policy_set.h): after a restart nothing is
 * downloaded that did not change, and with `persist` the server may be away.
 *
 * Other places may give and take: rg_bundles_offer() is a bundle's bytes from elsewhere, the
 * listener is told what became active.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_BUNDLES_H
#define RG_CONTROL_BUNDLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "config/opa_sections.h"
#include "control/http_client.h"
#include "control/policy_set.h"

struct rg_bundles;

struct rg_bundles_options {
	const struct rg_config_opa_sections *config;
	const char *state_directory;
	const struct rg_http_client *client;
	uint64_t seed;
	/* Publish a set; it is told to rg_bundles_settled() when that is decided. On an error the
	 * set stays the caller's. */
	int (*push)(void *context, struct rg_policy_set *set, const char *why,
		    struct rg_error *err);
	/* Is a policy in use or kept? If not, the bundles on disk become it at the start. */
	bool (*has_policy)(void *context);
	/* Something went wrong that an operator should see. */
	void (*note)(void *context, const char *event, const char *text);
	void *context;
};

/* Read what is on disk and begin. RG_EIO, RG_ENOMEM, RG_ELIMIT: more than RG_BUNDLE_SET_MAX. */
int rg_bundles_new(const struct rg_bundles_options *options, struct rg_bundles **bundles,
		   struct rg_error *err);
void rg_bundles_delete(struct rg_bundles *bundles); /* NULL is allowed */

uint32_t rg_bundles_do_work(struct rg_bundles *bundles, uint64_t now_ns, uint64_t unix_ns);

/* What was pushed is active (err NULL) or refused. Frees the set. */
void rg_bundles_settled(struct rg_bundles *bundles, struct rg_policy_set *set,
			const struct rg_error *err);

/* Ask now for a bundle, or for all (name NULL). RG_ENOENT. */
int rg_bundles_trigger(struct rg_bundles *bundles, const char *name, struct rg_error *err);

/* A bundle's archive from elsewhere, as if its server had sent it: it is verified like any other.
 * Copied. RG_ENOENT: no such bundle; RG_EAGAIN: one is being activated. */
int rg_bundles_offer(struct rg_bundles *bundles, const char *name, const void *bytes,
		     size_t byte_count, const char *etag, struct rg_error *err);

/* Tell of each bundle that became active: the archive is at path. */
struct rg_bundles_listener {
	void (*activated)(void *context, const char *name, const char *path, const char *etag,
			  const char *revision);
	void *context;
};
void rg_bundles_listen(struct rg_bundles *bundles, const struct rg_bundles_listener *listener);

/* {NAME: {active_revision, etag, state, last_request, ...}}, as OPA's status report has it. */
void rg_bundles_write_status(const struct rg_bundles *bundles, struct rg_json_writer *writer);

/* The same in OPA's form and nothing else: what a status report has. */
void rg_bundles_write_report(const struct rg_bundles *bundles, struct rg_json_writer *writer);
/* Another number when something of that changed: an attempt has ended. */
uint64_t rg_bundles_change(const struct rg_bundles *bundles);
/* How many are configured, and how many of them have something active. */
void rg_bundles_count(const struct rg_bundles *bundles, uint32_t *count, uint32_t *active);

/* What the bundles counted, all together. */
enum rg_bundles_cause {
	RG_BUNDLES_SIGNATURE = 0,
	RG_BUNDLES_OLDER,
	RG_BUNDLES_ROOTS,
	RG_BUNDLES_LIMIT,
	RG_BUNDLES_BUILTIN,
	RG_BUNDLES_OTHER,
	RG_BUNDLES_CAUSES
};
struct rg_bundles_statistics {
	uint64_t requests, failures, not_modified, activations, refusals[RG_BUNDLES_CAUSES];
	uint64_t
		stale_seconds; /* since the last good answer of the bundle that has waited longest */
};
void rg_bundles_statistics(const struct rg_bundles *bundles, uint64_t unix_ns,
			   struct rg_bundles_statistics *statistics);

#endif

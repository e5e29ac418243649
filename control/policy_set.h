/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configured bundles on their way to one policy: what the loop hands to the thread that builds,
 * and what comes back.
 *
 * Each bundle has a folder in control.state_directory:
 *
 *	<state>/bundles/<name>/active.tar.gz	the active one, as a snapshot
 *	                       state.json	its ETag, revision, age (bundles.h)
 *	                       candidate	what was downloaded, while it is built
 *	                       snapshot		the candidate as a snapshot, until it is active
 *
 * Thread-safety: a set belongs to one thread at a time.
 */
#ifndef RG_CONTROL_POLICY_SET_H
#define RG_CONTROL_POLICY_SET_H

#include <stdbool.h>

#include "bundle/bundle_set.h"
#include "config/opa_sections.h"

#define RG_POLICY_SET_PATH_BYTES 1024

struct rg_policy_set_member {
	const struct rg_config_bundle *bundle;
	char folder[RG_POLICY_SET_PATH_BYTES]; /* <state>/bundles/<name> */
	bool is_fresh;			       /* a candidate; else the active one */
	bool has_active;
	char *body; /* of the candidate; NULL: the folder or file of the resource */
	size_t body_bytes;
	struct rg_bundle_age age;
	struct rg_bundle_found found; /* when it was loaded */
};

struct rg_policy_set {
	const struct rg_config_opa_sections *config;
	struct rg_policy_set_member *members;
	uint32_t count;
};

/* A set of `count` members, to be filled in. NULL: out of memory. */
struct rg_policy_set *rg_policy_set_new(const struct rg_config_opa_sections *config,
					uint32_t count);
void rg_policy_set_free(struct rg_policy_set *set); /* NULL is allowed */

/* The path of a file in a member's folder. */
void rg_policy_set_path(const struct rg_policy_set_member *member, const char *file,
			char path[static RG_POLICY_SET_PATH_BYTES]);

/* Write the candidates down, verify them, load all as one bundle. Errors as
 * rg_bundle_set_load(). */
int rg_policy_set_load(struct rg_policy_set *set, const struct rg_bundle_options *options,
		       struct rg_bundle **bundle, struct rg_error *err);

#endif

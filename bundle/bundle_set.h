/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several bundles as one policy.
 *
 * Each bundle owns the parts of `data` that its manifest's roots name. Together they become one
 * bundle: their data merged, and
 *
 *	one of them has rules        its plan.json or Rego is used as it is
 *	several of them have rules   their Rego is built together by opa: rules of one may use
 *	                             functions of another
 *
 * Roots must not overlap, and what is outside a bundle's roots (data, packages) is refused by name:
 * a bundle cannot change what another one owns.
 *
 * A source that is a delta bundle (it has a patch.json) is applied to its base, the snapshot it was
 * made for: all of its changes or none. The result is a snapshot again.
 *
 * A source may be older than what its `age` says was active before: refused, unless allow_older.
 * What tells the age: metadata.riskgate_version of the manifest; else the time of the signature;
 * else a manifest's revision that was active earlier and was replaced.
 *
 * Source: OPA's bundle documentation. Thread-safety: functions are independent.
 */
#ifndef RG_BUNDLE_BUNDLE_SET_H
#define RG_BUNDLE_BUNDLE_SET_H

#include "bundle/bundle.h"
#include "bundle/signature.h"

#define RG_BUNDLE_SET_MAX	  32
#define RG_BUNDLE_SET_HISTORY_MAX 32

/* What is known of the one that is active. */
struct rg_bundle_age {
	int64_t version, issued_at; /* -1, 0: unknown */
	char revisions[RG_BUNDLE_SET_HISTORY_MAX]
		      [RG_BUNDLE_REVISION_BYTES_MAX + 1]; /* newest first */
	uint32_t revision_count;
};

/* One bundle of a set. */
struct rg_bundle_set_entry {
	const char *name;
	const char *path; /* an archive or folder; see is_opa_answer */
	const char *base; /* the active snapshot, for a delta; NULL: there is none */
	/* where to write a delta's result, a folder's or an OPA's content as a snapshot; NULL: not
	 * written */
	const char *snapshot;
	bool is_opa_answer; /* path is what a running OPA answered (opa_answer.h) */
	const struct rg_signature_policy *signing; /* NULL: not looked at */
	const struct rg_bundle_age *age;	   /* NULL: not checked */
	bool allow_older;
	uint64_t size_limit_bytes; /* of a file in it; 0: the default */
};

/* What was found in a source. */
struct rg_bundle_found {
	char revision[RG_BUNDLE_REVISION_BYTES_MAX + 1], sha256[65];
	int64_t version, issued_at;
	bool is_delta;
	uint64_t size;
};

/*
 * Load the set as one bundle. options: opa, packages, v0 and limits; its signing is not used. found
 * has `count` elements and may be NULL. Errors as rg_bundle_load() and rg_signature_verify(), and
 * RG_ECONFLICT (roots overlap, or something is outside of them), RG_EVERSION (older than the active
 * one), RG_ENOENT (a delta without its base); texts begin with the bundle's name.
 */
int rg_bundle_set_load(const struct rg_bundle_set_entry *sources, uint32_t count,
		       const struct rg_bundle_options *options, struct rg_bundle_found *found,
		       struct rg_bundle **bundle, struct rg_error *err);

#endif

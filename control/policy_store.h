/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies that control keeps on disk, the reason names and the sequence counter.
 *
 *	<state>/policies/<N>/	plan.json, data.json, .manifest and the Rego files under their own
 *				names: a bundle that rg_bundle_load() reads; meta.json: what it
 *				is, who pushed it, when, from where, why, and what became of it
 *	<state>/reasons.json	["name of id 1", "name of id 2", ...]: only ever grows
 *	<state>/uploads/	bundles that a push over HTTP brought, while they are built
 *	<state>/sequence	the highest sequence ever given out
 *
 * The life of a stored policy; all arrows are taken by control:
 *
 *	              add                 activated
 *	 (nothing) ────────► ANNOUNCED ─────────────► ACTIVE ──────────► REPLACED
 *	                         │                      ▲   another one is    │
 *	                         │ refused              │   activated         │
 *	                         ▼                      └─────────────────────┘
 *	                     (removed)                    activated again (after a restart)
 *
 *	              add_waiting               removed: approved (and published under a new
 *	 (nothing) ─────────────► WAITING ────► sequence), rejected or expired
 *
 * Every write is a temporary name, fsync, rename, fsync of the folder: after any crash a file
 * or policy is the old one or the new one. What a crash left under a temporary name is removed
 * when the store is opened.
 *
 * Thread-safety: a store belongs to one thread, except rg_policy_store_write_bundle() and
 * rg_policy_store_discard_bundle(), which any may call.
 */
#ifndef RG_CONTROL_POLICY_STORE_H
#define RG_CONTROL_POLICY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "bundle/bundle.h"
#include "policy/compile/compile.h"

enum rg_policy_state {
	RG_POLICY_ANNOUNCED = 0,
	RG_POLICY_ACTIVE,
	RG_POLICY_REPLACED,
	RG_POLICY_WAITING /* for a second identity to approve it; never published as it is */
};
const char *rg_policy_state_name(enum rg_policy_state state); /* "announced", ... */

#define RG_POLICY_TEXT_BYTES   256
#define RG_POLICY_REASON_BYTES 512

/* What is known of one stored policy: meta.json. */
struct rg_policy_meta {
	uint64_t sequence;
	enum rg_policy_state state;
	char bundle[RG_POLICY_TEXT_BYTES];
	char revision[RG_POLICY_TEXT_BYTES];
	char sha256[65];		     /* of the bundle's content as it was loaded */
	char source[1024];		     /* path it was loaded from */
	char why[RG_POLICY_TEXT_BYTES];	     /* "push", "rollback of 7", "control.bundle" */
	char reason[RG_POLICY_REASON_BYTES]; /* what the user gave as reason, or "" */
	char user[64];			     /* name of the peer, or its number */
	char approved_by[64];		     /* the second identity, or "" */
	uint32_t uid;
	bool is_signed;
	bool has_version; /* its manifest has metadata.riskgate_version: version */
	uint64_t version;
	uint64_t rollback_of;  /* 0: none */
	uint64_t pushed_ns;    /* unix */
	uint64_t activated_ns; /* unix, 0: not yet */
	uint64_t expires_ns;   /* unix; of one that is WAITING, else 0 */
	uint64_t image_bytes;
	uint64_t load_ns, compile_ns; /* how long it took */
};

struct rg_policy_store;

/* Open or create the store below state_directory (which is created, 0750). keep >= 1: policies
 * kept. err must not be NULL. RG_ECONFLICT: another store is open there. */
int rg_policy_store_open(const char *state_directory, uint32_t keep, struct rg_policy_store **store,
			 struct rg_error *err);
void rg_policy_store_close(struct rg_policy_store *store); /* NULL is allowed */

/* "" or what was found damaged at open and passed over: a policy whose meta.json cannot be read. (A
 * damaged list of reasons or sequence counter is an error of open: records depend on them.) */
const char *rg_policy_store_damage(const struct rg_policy_store *store);

/* Stored policies, the newest first: index 0..count-1. */
uint32_t rg_policy_store_count(const struct rg_policy_store *store);
const struct rg_policy_meta *rg_policy_store_at(const struct rg_policy_store *store,
						uint32_t index);
/* By sequence, or NULL. Valid until the store changes. */
const struct rg_policy_meta *rg_policy_store_find(const struct rg_policy_store *store,
						  uint64_t sequence);
/* The one that is active; if none is, the newest that was; or NULL. */
const struct rg_policy_meta *rg_policy_store_last_active(const struct rg_policy_store *store);

/* The folder of a policy's bundle, from the folder of the store. Pure. */
void rg_policy_store_folder(const char *state_directory, uint64_t sequence, char *path,
			    size_t path_bytes);
/* The folder for bundles on their way in; what is in it goes when the store is opened. Pure. */
void rg_policy_store_uploads(const char *state_directory, char *path, size_t path_bytes);
/* That of a policy of an open store. */
void rg_policy_store_path(const struct rg_policy_store *store, uint64_t sequence, char *path,
			  size_t path_bytes);

/* The highest sequence ever given out; note another one (durable before it returns; a lower one
 * changes nothing). */
uint64_t rg_policy_store_sequence(const struct rg_policy_store *store);
int rg_policy_store_note_sequence(struct rg_policy_store *store, uint64_t sequence,
				  struct rg_error *err);

/* Write a bundle's plan, data, manifest and Rego to <state>/policies/<sequence>.new. Any thread; one
 * at a time for a sequence. */
int rg_policy_store_write_bundle(const char *state_directory, uint64_t sequence,
				 const struct rg_bundle *bundle, struct rg_error *err);
/* Take a written bundle away again. Any thread. */
void rg_policy_store_discard_bundle(const char *state_directory, uint64_t sequence);
/* Take the written bundle in under meta->sequence, with its meta, in state ANNOUNCED. */
int rg_policy_store_add(struct rg_policy_store *store, const struct rg_policy_meta *meta,
			struct rg_error *err);
/* The same in state WAITING. Retention does not count it. */
int rg_policy_store_add_waiting(struct rg_policy_store *store, const struct rg_policy_meta *meta,
				struct rg_error *err);
/* It is current now: ACTIVE; the one that was, REPLACED. Removes policies beyond `keep`, never the
 * current one. */
int rg_policy_store_activated(struct rg_policy_store *store, uint64_t sequence, uint64_t now_ns,
			      struct rg_error *err);
/* A newer one was taken instead of it, before it was current: REPLACED. */
int rg_policy_store_superseded(struct rg_policy_store *store, uint64_t sequence,
			       struct rg_error *err);
/* It was refused: take it out. */
int rg_policy_store_remove(struct rg_policy_store *store, uint64_t sequence, struct rg_error *err);

/* Reason names in the order of their ids. */
const struct rg_reason_list *rg_policy_store_reasons(const struct rg_policy_store *store);
/* A longer list that begins with the present one becomes the list (copied, durable before it
 * returns). RG_ECONFLICT: it contradicts the present one. */
int rg_policy_store_set_reasons(struct rg_policy_store *store, const struct rg_reason_list *reasons,
				struct rg_error *err);
/* A copy of a list. RG_ENOMEM. */
int rg_reason_list_copy(const struct rg_reason_list *from, struct rg_reason_list *to,
			struct rg_error *err);

/* meta.json's object, for answers too. */
void rg_policy_meta_write(const struct rg_policy_meta *meta, struct rg_json_writer *writer);

#endif

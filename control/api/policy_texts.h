/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Rego of the policy in use, for OPA's policy API.
 *
 * The store has a folder for each policy with the Rego files of its bundle (policy_store.h). The
 * first who asks after a policy became current reads them; they are kept until another one is
 * current. A rollback is a policy of its own, so its files are those of what it went back to.
 *
 *	id	BUNDLE/PATH, as OPA names the modules of a bundle
 *	raw	the file
 *
 * Thread-safety: any thread; what rg_policy_texts_lock() returns holds until unlock().
 */
#ifndef RG_CONTROL_API_POLICY_TEXTS_H
#define RG_CONTROL_API_POLICY_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rg_policy_texts;

struct rg_policy_text {
	char *id;
	char *raw;
	size_t raw_bytes;
};

/* state_directory must outlive it. NULL: out of memory. */
struct rg_policy_texts *rg_policy_texts_new(const char *state_directory);
void rg_policy_texts_delete(struct rg_policy_texts *texts); /* NULL is allowed */

/* The texts of the stored policy `sequence`, in order of id; sequence 0: none. Errors: RG_ENOENT,
 * RG_EIO, RG_ENOMEM, RG_ELIMIT; then nothing is locked. */
int rg_policy_texts_lock(struct rg_policy_texts *texts, uint64_t sequence, const char *bundle,
			 const struct rg_policy_text **list, uint32_t *count, struct rg_error *err);
void rg_policy_texts_unlock(struct rg_policy_texts *texts);

#endif

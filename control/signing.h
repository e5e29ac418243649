/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration says about signatures, with the keys read from their files.
 *
 * Thread-safety: functions are independent.
 */
#ifndef RG_CONTROL_SIGNING_H
#define RG_CONTROL_SIGNING_H

#include "bundle/signature.h"
#include "config/opa_sections.h"

struct rg_signing {
	struct rg_signature_policy policy;
	struct rg_signature_key *keys;
	char **files; /* texts of the keys that are files; NULL: the configuration's own */
};

/* Read the keys now: a key file that was replaced counts from the next bundle on. RG_ENOENT, RG_EIO:
 * names the key. The configuration must outlive it. */
int rg_signing_open(const struct rg_config_opa_sections *config,
		    const struct rg_config_signing *wanted, struct rg_signing *signing,
		    struct rg_error *err);
void rg_signing_close(struct rg_signing *signing); /* a zeroed one is allowed */

#endif

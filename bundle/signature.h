/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundle signatures: `.signatures.json` holds one JWT that lists every file of the bundle with its
 * hash.
 *
 *	.signatures.json ─► JWT ─► header: alg, kid ─► the key ─► signature ─► payload ─► scope
 *	                                                                          │
 *	     every file of the bundle ◄──── name and hash, exactly the same set ──┘
 *
 * Nothing in the JWT chooses how it is checked: the algorithm is the one configured for the key,
 * and a JWT that says another is refused ("none" too, and HMAC keyed with a public key). The
 * payload is read only after its signature was found good.
 *
 * Algorithms: HS, RS, PS and ES with 256, 384 and 512 bits. Hashes of files: SHA-224, SHA-256,
 * SHA-384, SHA-512, SHA-512-224, SHA-512-256; MD5 and SHA-1, which OPA can also read, are refused:
 * a file can be made to match them.
 *
 * Source: OPA's bundle documentation ("signing"); RFC 7515, 7518, 7519.
 * Thread-safety: functions are independent.
 */
#ifndef RG_BUNDLE_SIGNATURE_H
#define RG_BUNDLE_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bundle/members.h"

struct rg_signature_key {
	const char *id;
	const char *key;       /* PEM public key or certificate; for HS...: the secret */
	const char *algorithm; /* "RS256", ... */
	const char *scope;     /* NULL: none */
};

/* What a bundle's signature must be. */
struct rg_signature_policy {
	const struct rg_signature_key *keys;
	uint32_t key_count;
	const char *keyid;		  /* NULL: the JWT's kid, else its payload's keyid */
	const char *scope;		  /* NULL: the key's; none there either: any */
	const char *const *exclude_files; /* globs; '*' does not cross a '/' */
	uint32_t exclude_count;
};

/* What a good signature says of itself. */
struct rg_signature_claims {
	char keyid[128];
	int64_t issued_at; /* "iat", seconds; 0: none */
};

/* Check the signature of a sorted list that was read with keep_ignored. Errors (RG_EINVAL for what
 * is malformed, RG_ECORRUPT for what does not match, RG_ENOENT for a missing key or signature) name
 * the file, key, scope or algorithm. claims may be NULL. */
int rg_signature_verify(const struct rg_member_list *list, const struct rg_signature_policy *policy,
			struct rg_signature_claims *claims, struct rg_error *err);

#endif

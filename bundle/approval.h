/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approvals: the signature by which the holder of a key agrees that a policy is put in use.
 *
 * What is signed is the text
 *
 *	riskgate approval\nsequence <N>\nsha256 <hex digest of the bundle>\n
 *
 * so an approval is good for one content under one sequence, once: it can be used neither for
 * another bundle nor for the same one pushed again. Keys are PEM files: Ed25519 (RFC 8032), or
 * P-256 with SHA-256 (ES256). Signatures are in base64.
 *
 * Thread-safety: pure, but for the key's file.
 */
#ifndef RG_BUNDLE_APPROVAL_H
#define RG_BUNDLE_APPROVAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_APPROVAL_SIGNATURE_BYTES 256 /* of its text, with the NUL */

/* Sign with the private key in the file. RG_EIO: the file cannot be read; RG_EINVAL: it holds no
 * private key of those kinds. */
int rg_approval_sign(const char *key_path, uint64_t sequence, const char *sha256,
		     char signature[static RG_APPROVAL_SIGNATURE_BYTES], struct rg_error *err);

/* Check a signature with the public key in the file. RG_EIO and RG_EINVAL as above; RG_ECONFLICT: it
 * is no signature of this policy by this key. */
int rg_approval_verify(const char *key_path, uint64_t sequence, const char *sha256,
		       const char *signature, struct rg_error *err);

#endif

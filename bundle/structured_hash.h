/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a JSON document that OPA hashes for a bundle's signature: no white space, keys in
 * order of their bytes, the last of equal keys, numbers as they were written, strings as Go's
 * encoder writes them without its HTML escapes.
 *
 *	{ "b": [1.50, "<é>"],  "a": null }   becomes   {"a":null,"b":[1.50,"<é>"]}
 *
 * Source: OPA's bundle documentation ("signature format") and v1/bundle/hash.go.
 * Thread-safety: pure.
 */
#ifndef RG_BUNDLE_STRUCTURED_HASH_H
#define RG_BUNDLE_STRUCTURED_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"

/* Is a file of this name hashed by its structure (else by its bytes)? */
bool rg_structured_hash_applies(const char *name);

/* Append the text of a document to the writer. RG_EINVAL: malformed, with line and column;
 * RG_ENOMEM. */
int rg_structured_hash_text(const char *json, size_t bytes, struct rg_json_writer *writer,
			    struct rg_error *err);

#endif

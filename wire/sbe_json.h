/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON to SBE and back, by schema: for riskctl, the load generator, journal printing and tests. Not
 * the hot path.
 *
 * The JSON is what Rego sees under `input`: nested objects for composites, numbers for integers and
 * decimals, names for enums, arrays of names for sets, true/false for boolean enums.
 *
 * Exactness: nothing is rounded, cut or guessed on the way in. A decimal with too many digits, a
 * number out of range, a string that is too long, an unknown key, enum name or bit name, a key
 * given twice: each is an error that names the field, its place in the text and the remedy. On the
 * way out decimals are printed digit for digit without trailing zeros.
 *
 *	missing or null		the null of an optional field, the empty set, else an error
 *	request_id missing	0: put one in with rg_sbe_set_request_id()
 *	constant field		may be missing; if given it must have that value
 *	char[N]			at most N bytes of UTF-8, no NUL; "" is an optional one's null
 *
 * Thread-safety: pure but for the buffers passed in; a schema may be shared.
 */
#ifndef RG_WIRE_SBE_JSON_H
#define RG_WIRE_SBE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "wire/schema.h"

/*
 * Encode the JSON object json[0..bytes) as a message of the template (header and block) into
 * out[0..out_bytes); *written gets its size. Errors: RG_ENOENT (no such template), RG_EINVAL
 * (malformed or unfitting JSON), RG_ELIMIT (out is too small: 8 + block_length bytes are needed).
 * On an error the contents of out are undefined.
 */
int rg_sbe_from_json(const struct rg_schema *schema, const char *template_name, const char *json,
		     size_t bytes, uint8_t *out, size_t out_bytes, size_t *written,
		     struct rg_error *err);

/*
 * Write the message (header and block) as one JSON object. Null, absent and unnamed enum values are
 * null; unnamed bits of sets are left out; floats that are not finite are null; bytes of char[N]
 * that are not UTF-8 become U+FFFD. Errors: RG_EINVAL (shorter than its header says), RG_ENOENT
 * (unknown schema id or template).
 */
int rg_sbe_to_json(const struct rg_schema *schema, const uint8_t *message, size_t bytes,
		   struct rg_json_writer *writer, struct rg_error *err);

/*
 * Write the value of one field, which lies inside the block, as rg_sbe_to_json() does.
 */
void rg_sbe_write_value(struct rg_json_writer *writer, const struct rg_field_table *table,
			const struct rg_field *field, const uint8_t *block);

#endif

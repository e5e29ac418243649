/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to JSON, quickly: for sinks that write a document for each of many records.
 *
 * The same JSON as rg_sbe_to_json() (wire/sbe_json.h) with one difference: what is null is left
 * out, and so is an object of which nothing is left. Rego does not see it either.
 *
 * What does not change from one message to the next is prepared for each template: the text before
 * each value ("\"amount\":"), the names of enums in quotes, the most bytes there can be. So a
 * message is written without a look at memory limits, without printf and without allocation, except
 * for what is rare: floats, exponents of their own, strings that need escapes.
 *
 * Thread-safety: immutable once made; any thread may write with it.
 */
#ifndef RG_WIRE_SBE_TEXT_H
#define RG_WIRE_SBE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/schema.h"

struct rg_sbe_text;

/* Prepare for all templates of the schema, which must outlive it. Errors: RG_ENOMEM. */
int rg_sbe_text_new(const struct rg_schema *schema, struct rg_sbe_text **text,
		    struct rg_error *err);
void rg_sbe_text_free(struct rg_sbe_text *text); /* NULL is allowed */

/* The most bytes that a message of this template (of the schema) takes. */
size_t rg_sbe_text_bytes_max(const struct rg_sbe_text *text, const struct rg_template *template);

/* Write block[0..block_bytes) of a sender with this schema version to out, which has room for
 * bytes_max() bytes. Returns the bytes written, without a terminator; 0: out of memory. */
size_t rg_sbe_text_write(const struct rg_sbe_text *text, const struct rg_template *template,
			 uint16_t schema_version, const uint8_t *block, uint32_t block_bytes,
			 char *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request schema: an SBE 1.0 XML file, read once at start and compiled into a field table.
 *
 * After loading, nothing of the XML is left: types, refs and composites are resolved into one flat,
 * offset-addressed row per value, so that decoding a request is bounds checks and loads.
 *
 *	<field name="user" type="User"/>  with  <composite name="User"> <ref name="risk_level" .../>
 *		-> one row with path "user.risk_level"
 *	composite of a mantissa and a constant int8 exponent  -> RG_FIELD_DECIMAL
 *	composite of a mantissa and an int8 exponent          -> RG_FIELD_DECIMAL_VAR
 *	enum with exactly the values false 0 and true 1       -> RG_FIELD_BOOL
 *
 * A message named "Decision" describes riskgate's answer: it must have template id 100 and the
 * layout of wire/decision.h, and is no request. Every other message is a request and starts with
 * request_id, a required uint64. riskgate's contract leaves out groups, variable data, arrays of
 * numbers, big-endian order and constants other than integers and enums; the loader refuses them,
 * and everything malformed, with file, line, element and remedy. Attributes without a meaning for
 * decoding (description, semanticType, characterEncoding, minValue, maxValue, epoch, timeUnit,
 * deprecated ...) are read over; unknown ones are refused.
 *
 * The file is read without network, DTD, external entities or entity expansion, and up to
 * RG_SCHEMA_FILE_BYTES_MAX.
 *
 * Thread-safety: loading is independent per call; a loaded schema is immutable and may be read by
 * any thread. Source: FIX Simple Binary Encoding 1.0, "Message schema"; docs/wire.md.
 */
#ifndef RG_WIRE_SCHEMA_H
#define RG_WIRE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/field.h"

#define RG_SCHEMA_FILE_BYTES_MAX  (1u << 20)
#define RG_SCHEMA_TEMPLATES_MAX	  256
#define RG_SCHEMA_FIELDS_MAX	  1024	/* of one message, composites taken apart */
#define RG_SCHEMA_NAMES_MAX	  65536 /* of all enums and sets */
#define RG_SCHEMA_BLOCK_BYTES_MAX 8192
#define RG_SCHEMA_DEPTH_MAX	  8 /* composites inside composites */

struct rg_schema;

/* Load a schema file. *schema is to be freed with rg_schema_free(). Errors: RG_EIO, RG_EINVAL,
 * RG_ELIMIT, RG_ENOMEM; the text is "file:line: <element name>: what is wrong: what to do". */
int rg_schema_load(const char *path, struct rg_schema **schema, struct rg_error *err);
/* The same from memory; `name` stands for the file in errors. */
int rg_schema_load_memory(const char *text, size_t bytes, const char *name,
			  struct rg_schema **schema, struct rg_error *err);
void rg_schema_free(struct rg_schema *schema);

/* All templates (also Decision) and their fields. Lives as long as the schema. */
const struct rg_field_table *rg_schema_fields(const struct rg_schema *schema);
uint16_t rg_schema_id(const struct rg_schema *schema);
uint16_t rg_schema_version(const struct rg_schema *schema);
const char *rg_schema_package(const struct rg_schema *schema);

/* NULL if there is none. */
const struct rg_template *rg_schema_template_by_name(const struct rg_schema *schema,
						     const char *name);
/* O(1). NULL for another schema id or an unknown template. */
const struct rg_template *rg_schema_template_by_id(const struct rg_schema *schema,
						   uint16_t schema_id, uint16_t template_id);
/* False for Decision. */
bool rg_schema_is_request(const struct rg_template *template);
/* The template's field of that path ("user.risk_level"), or NULL. O(fields). */
const struct rg_field *rg_schema_field(const struct rg_schema *schema,
				       const struct rg_template *template, const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema loader from the inside: what its files share. One pass over <types> collects
 * definitions by name; one pass over the messages places each field, following refs and composites
 * down to single values, and appends a row for each of them.
 *
 *	schema.c		the file as a whole; the finished schema
 *	schema_message.c	messages, fields and composites: where a value lies
 *	schema_type.c		numbers, texts, enums and sets: what a value is
 *	schema_attribute.c	attributes, and errors that name their place
 *	schema_xml.c		XML, safely
 *
 * Every function that returns int returns RG_OK or a negative enum rg_status with loader->err set.
 *
 * Thread-safety: a loader belongs to one thread.
 */
#ifndef RG_WIRE_SCHEMA_LOADER_H
#define RG_WIRE_SCHEMA_LOADER_H

#include "wire/schema.h"
#include "wire/schema_xml.h"

#define RG_LOADER_TYPES_MAX	   4096
#define RG_LOADER_ELEMENT_TEXT_MAX 64

struct rg_schema {
	char package[128];
	uint16_t id, version;
	struct rg_field_table table;
	struct rg_template *templates;
	struct rg_field *fields;
	struct rg_field_name *names;
	size_t templates_capacity, fields_capacity, names_capacity; /* while loading */
	uint16_t *by_id; /* template id -> index + 1, 0: none */
	uint32_t by_id_count;
};

/* An enum or set, parsed once and shared by all fields of that type. Found again by
 * xmlNode._private. */
struct rg_loader_coded {
	uint32_t names_first, names_count;
	uint64_t null_value;
	uint8_t bytes;
	bool optional; /* its encoding type has presence="optional" */
	bool is_boolean;
};

struct rg_loader {
	const char *file;
	struct rg_error *err;
	struct rg_schema *schema;
	xmlNode *types[RG_LOADER_TYPES_MAX];
	uint32_t type_count;
	struct rg_loader_coded *coded;
	size_t coded_count, coded_capacity;
	/* of the message being placed */
	const xmlNode *message;
	uint32_t message_fields_first;
	uint16_t last_since;
	/* composites being taken apart, outermost first */
	const xmlNode *open[RG_SCHEMA_DEPTH_MAX];
	uint32_t depth;
};

enum rg_loader_presence {
	RG_PRESENCE_UNSET,
	RG_PRESENCE_REQUIRED,
	RG_PRESENCE_OPTIONAL,
	RG_PRESENCE_CONSTANT
};

/* Where a value is being placed, and what its field says about it. */
struct rg_loader_place {
	const xmlNode *node; /* the <field> or composite member: for errors */
	const char *path;
	uint16_t id, since_version;
	enum rg_loader_presence presence; /* the field's own; UNSET: the type's counts */
	const char *value_ref;
	uint32_t offset;
};

struct rg_loader_primitive {
	const char *name;
	uint8_t kind, bytes;
	bool is_signed;
	uint64_t null_value; /* SBE's default */
};

/* ---- schema_attribute.c ---- */

/* Set the error to "file:line: <element name>: text". Returns status. */
int rg_loader_fail(const struct rg_loader *loader, const xmlNode *node, int status,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The element is known and all its attributes are. */
int rg_loader_check_attributes(const struct rg_loader *loader, const xmlNode *node);
/* A decimal integer in [min, max], optionally signed; no other characters. */
bool rg_loader_parse_integer(const char *text, int64_t min, uint64_t max, uint64_t *value);
/* An unsigned attribute; *present (may be NULL) tells whether it is there. A missing one leaves
 * *value alone. */
int rg_loader_number(const struct rg_loader *loader, const xmlNode *node, const char *name,
		     uint32_t max, uint32_t *value, bool *present);
int rg_loader_needed(const struct rg_loader *loader, const xmlNode *node, const char *name,
		     const char **text);
/* The attribute `name`, which becomes a key under `input`: letters, digits and _, no digit first.
 */
int rg_loader_identifier(const struct rg_loader *loader, const xmlNode *node, size_t max,
			 const char **name);
int rg_loader_presence(const struct rg_loader *loader, const xmlNode *node,
		       enum rg_loader_presence *presence);
/* sinceVersion of a field or member, at least `least`. */
int rg_loader_since(const struct rg_loader *loader, const xmlNode *node, uint16_t least,
		    uint16_t *since);

/* ---- schema_type.c ---- */

/* Make room for element `count` of an array. */
int rg_loader_grow(const struct rg_loader *loader, void **array, size_t *capacity, size_t count,
		   size_t element_bytes);
/* Append a row at `place`; the caller fills in what depends on the type. */
int rg_loader_append_field(struct rg_loader *loader, const struct rg_loader_place *place,
			   struct rg_field **field);
const struct rg_loader_primitive *rg_loader_primitive_find(const char *name);
const xmlNode *rg_loader_type_find(const struct rg_loader *loader, const char *name);
/* The primitive that a <type> element encodes, after checks that need no context. */
int rg_loader_type_primitive(const struct rg_loader *loader, const xmlNode *type,
			     const struct rg_loader_primitive **primitive, uint32_t *length);
int rg_loader_type_null_value(const struct rg_loader *loader, const xmlNode *type,
			      const struct rg_loader_primitive *primitive, uint64_t *raw);
/* A constant integer: the element's text. */
int rg_loader_type_constant(const struct rg_loader *loader, const xmlNode *type,
			    const struct rg_loader_primitive *primitive, uint64_t *raw);
/* Parse the enum or set `node`, once. */
int rg_loader_coded_get(struct rg_loader *loader, const xmlNode *node,
			struct rg_loader_coded *coded);
/* Place one number or char array; *bytes gets its size. `type` is its <type>, or NULL where a field
 * names a primitive itself. */
int rg_loader_place_scalar(struct rg_loader *loader, const struct rg_loader_place *place,
			   const xmlNode *type, const struct rg_loader_primitive *primitive,
			   uint32_t length, uint32_t *bytes);
int rg_loader_place_enum(struct rg_loader *loader, const struct rg_loader_place *place,
			 const xmlNode *type, uint32_t *bytes);
int rg_loader_place_set(struct rg_loader *loader, const struct rg_loader_place *place,
			const xmlNode *type, uint32_t *bytes);

/* ---- schema_message.c ---- */

int rg_loader_place_message(struct rg_loader *loader, const xmlNode *node);

#endif

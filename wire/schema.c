/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema loader. One pass over <types> collects definitions by name; one pass over the messages
 * places each field, following refs and composites down to single values, and appends a row for
 * each of them.
 */
#include "wire/schema.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/decision.h"
#include "wire/schema_xml.h"

#define TYPES_MAX	 4096
#define ENUM_VALUES_MAX	 4096
#define EXPONENT_MAX	 18 /* of a constant decimal exponent, either sign */
#define ELEMENT_TEXT_MAX 64

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
struct coded {
	uint32_t names_first, names_count;
	uint64_t null_value;
	uint8_t bytes;
	bool optional; /* its encoding type has presence="optional" */
	bool is_boolean;
};

struct loader {
	const char *file;
	struct rg_error *err;
	struct rg_schema *schema;
	xmlNode *types[TYPES_MAX];
	uint32_t type_count;
	struct coded *coded;
	size_t coded_count, coded_capacity;
	/* of the message being placed */
	const xmlNode *message;
	uint32_t message_fields_first;
	uint16_t last_since;
	/* composites being taken apart, outermost first */
	const xmlNode *open[RG_SCHEMA_DEPTH_MAX];
	uint32_t depth;
};

enum presence { PRESENCE_UNSET, PRESENCE_REQUIRED, PRESENCE_OPTIONAL, PRESENCE_CONSTANT };

/* Where a value is being placed, and what its field says about it. Passed down by value. */
struct place {
	const xmlNode *node; /* the <field> or composite member: for errors */
	const char *path;
	uint16_t id, since_version;
	enum presence presence; /* the field's own; UNSET: the type's counts */
	const char *value_ref;
	uint32_t offset;
};

struct primitive {
	const char *name;
	uint8_t kind, bytes;
	bool is_signed;
	uint64_t null_value; /* SBE's default */
};

static const struct primitive primitives[] = {
	{"char", RG_FIELD_CHARS, 1, false, 0},
	{"int8", RG_FIELD_INT, 1, true, 0x80},
	{"int16", RG_FIELD_INT, 2, true, 0x8000},
	{"int32", RG_FIELD_INT, 4, true, 0x80000000},
	{"int64", RG_FIELD_INT, 8, true, 0x8000000000000000},
	{"uint8", RG_FIELD_INT, 1, false, 0xff},
	{"uint16", RG_FIELD_INT, 2, false, 0xffff},
	{"uint32", RG_FIELD_INT, 4, false, 0xffffffff},
	{"uint64", RG_FIELD_INT, 8, false, 0xffffffffffffffff},
	{"float", RG_FIELD_FLOAT, 4, true, 0x7fc00000},
	{"double", RG_FIELD_FLOAT, 8, true, 0x7ff8000000000000},
};

/* ---- errors ---- */

static int fail(const struct loader *loader, const xmlNode *node, int status, const char *format,
		...) __attribute__((format(printf, 4, 5)));

/* "file:line: <element name>: text". Returns status. */
static int fail(const struct loader *loader, const xmlNode *node, int status, const char *format,
		...)
{
	const char *name = rg_schema_xml_attribute(node, "name");
	char text[RG_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return rg_error_set(loader->err, status, "%s:%ld: <%.40s%s%.64s>: %s", loader->file,
			    xmlGetLineNo((xmlNode *)node), rg_schema_xml_element(node),
			    name ? " " : "", name ? name : "", text);
}

/* ---- attributes ---- */

/* Each element's attributes. One that is not here is refused: a misspelt "presense" must not be
 * read over. */
static const struct {
	const char *element, *attributes;
} grammar[] = {
	{"messageSchema", " package id version semanticVersion description byteOrder headerType "},
	{"types", " "},
	{"message", " name id blockLength description semanticType sinceVersion deprecated "},
	{"field", " name id type offset presence valueRef description semanticType sinceVersion "
		  "deprecated epoch timeUnit "},
	{"type", " name primitiveType length presence valueRef nullValue minValue maxValue "
		 "characterEncoding offset "
		 "sinceVersion deprecated semanticType description epoch timeUnit "},
	{"composite", " name offset description semanticType sinceVersion deprecated "},
	{"ref", " name type offset description sinceVersion deprecated "},
	{"enum", " name encodingType offset description semanticType sinceVersion deprecated "},
	{"validValue", " name description sinceVersion deprecated "},
	{"set", " name encodingType offset description semanticType sinceVersion deprecated "},
	{"choice", " name description sinceVersion deprecated "},
};

static int check_attributes(const struct loader *loader, const xmlNode *node)
{
	const char *known = NULL;
	char wanted[48];

	for (size_t i = 0; i < sizeof(grammar) / sizeof(grammar[0]); i++) {
		if (rg_schema_xml_is(node, grammar[i].element))
			known = grammar[i].attributes;
	}
	if (!known)
		return fail(loader, node, RG_EINVAL,
			    "an element that riskgate does not know here: remove it");
	for (const xmlAttr *at = node->properties; at; at = at->next) {
		if (at->ns)
			continue;
		snprintf(wanted, sizeof(wanted), " %.40s ", (const char *)at->name);
		if (!strstr(known, wanted))
			return fail(loader, node, RG_EINVAL,
				    "unknown attribute '%.40s': known are%s",
				    (const char *)at->name, known);
	}
	return RG_OK;
}

/* A decimal integer in [min, max], optionally signed; no other characters. */
static bool parse_integer(const char *text, int64_t min, uint64_t max, uint64_t *value)
{
	bool negative = *text == '-';
	uint64_t bound = negative ? 0 - (uint64_t)min : max, number = 0;

	if (negative || *text == '+')
		text++;
	if (!*text || (negative && min >= 0))
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (!isdigit((unsigned char)*text) || digit > bound ||
		    number > (bound - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*value = negative ? 0 - number : number;
	return true;
}

/* An unsigned attribute; *present (may be NULL) tells whether it is there. A missing one leaves
 * *value alone. */
static int attribute_number(const struct loader *loader, const xmlNode *node, const char *name,
			    uint32_t max, uint32_t *value, bool *present)
{
	const char *text = rg_schema_xml_attribute(node, name);
	uint64_t number;

	if (present)
		*present = text != NULL;
	if (!text)
		return RG_OK;
	if (!parse_integer(text, 0, max, &number))
		return fail(loader, node, RG_EINVAL, "%s=\"%.40s\": give an integer from 0 to %u",
			    name, text, max);
	*value = (uint32_t)number;
	return RG_OK;
}

static int attribute_needed(const struct loader *loader, const xmlNode *node, const char *name,
			    const char **text)
{
	*text = rg_schema_xml_attribute(node, name);
	if (!*text || !**text)
		return fail(loader, node, RG_EINVAL, "the attribute '%s' is missing: add it", name);
	return RG_OK;
}

/* Names become keys under `input` and Rego references: letters, digits and _, not starting with a
 * digit. */
static int attribute_identifier(const struct loader *loader, const xmlNode *node, size_t max,
				const char **name)
{
	int status = attribute_needed(loader, node, "name", name);

	if (status)
		return status;
	if (strlen(*name) > max)
		return fail(loader, node, RG_ELIMIT,
			    "the name is longer than %zu characters: shorten it", max);
	for (const char *at = *name; *at; at++) {
		if (*at != '_' && !isalpha((unsigned char)*at) &&
		    (at == *name || !isdigit((unsigned char)*at)))
			return fail(loader, node, RG_EINVAL,
				    "'%s' is not an identifier: use letters, digits and _, and no "
				    "digit first",
				    *name);
	}
	return RG_OK;
}

static int attribute_presence(const struct loader *loader, const xmlNode *node,
			      enum presence *presence)
{
	const char *text = rg_schema_xml_attribute(node, "presence");

	if (!text)
		*presence = PRESENCE_UNSET;
	else if (!strcmp(text, "required"))
		*presence = PRESENCE_REQUIRED;
	else if (!strcmp(text, "optional"))
		*presence = PRESENCE_OPTIONAL;
	else if (!strcmp(text, "constant"))
		*presence = PRESENCE_CONSTANT;
	else
		return fail(loader, node, RG_EINVAL,
			    "presence=\"%.40s\": give required, optional or constant", text);
	return RG_OK;
}

/* sinceVersion of a field or member, at least `least`. */
static int attribute_since(const struct loader *loader, const xmlNode *node, uint16_t least,
			   uint16_t *since)
{
	uint32_t version = 0;
	int status = attribute_number(loader, node, "sinceVersion", UINT16_MAX, &version, NULL);

	if (status)
		return status;
	if (version > loader->schema->version)
		return fail(loader, node, RG_EINVAL,
			    "sinceVersion %u is newer than the schema's version %u: raise the "
			    "schema's version",
			    version, loader->schema->version);
	*since = version > least ? (uint16_t)version : least;
	return RG_OK;
}

/* ---- growing arrays ---- */

static int grow(const struct loader *loader, void **array, size_t *capacity, size_t count,
		size_t element_bytes)
{
	size_t larger = *capacity ? *capacity * 2 : 64;
	void *grown;

	if (count < *capacity)
		return RG_OK;
	grown = realloc(*array, larger * element_bytes);
	if (!grown)
		return rg_error_set(loader->err, RG_ENOMEM, "%s: no memory for the schema",
				    loader->file);
	*array = grown;
	*capacity = larger;
	return RG_OK;
}

static int append_name(const struct loader *loader, const xmlNode *node, const char *name,
		       uint64_t value)
{
	struct rg_schema *schema = loader->schema;
	struct rg_field_name *row;
	int status;

	if (schema->table.name_count >= RG_SCHEMA_NAMES_MAX)
		return fail(loader, node, RG_ELIMIT,
			    "more than %u enum values and set choices: remove what is not used",
			    RG_SCHEMA_NAMES_MAX);
	status = grow(loader, (void **)&schema->names, &schema->names_capacity,
		      schema->table.name_count, sizeof(*row));
	if (status)
		return status;
	row = &schema->names[schema->table.name_count++];
	memset(row, 0, sizeof(*row));
	row->value = value;
	memcpy(row->name, name, strlen(name) + 1);
	return RG_OK;
}

/* Append a row at `place`; the caller fills in what depends on the type. */
static int append_field(struct loader *loader, const struct place *place, struct rg_field **field)
{
	struct rg_schema *schema = loader->schema;
	uint32_t first = loader->message_fields_first;
	struct rg_field *row;
	int status;

	if (schema->table.field_count - first >= RG_SCHEMA_FIELDS_MAX)
		return fail(loader, place->node, RG_ELIMIT,
			    "the message has more than %u values: split it", RG_SCHEMA_FIELDS_MAX);
	if (strlen(place->path) >= sizeof(row->path))
		return fail(loader, place->node, RG_ELIMIT,
			    "the path '%s' is longer than %zu characters: shorten the names",
			    place->path, sizeof(row->path) - 1);
	for (uint32_t i = first; i < schema->table.field_count; i++) {
		if (!strcmp(schema->fields[i].path, place->path))
			return fail(loader, place->node, RG_EINVAL,
				    "the message has a field '%s' already: rename one",
				    place->path);
	}
	status = grow(loader, (void **)&schema->fields, &schema->fields_capacity,
		      schema->table.field_count, sizeof(*row));
	if (status)
		return status;
	row = &schema->fields[schema->table.field_count++];
	memset(row, 0, sizeof(*row));
	memcpy(row->path, place->path, strlen(place->path) + 1);
	row->id = place->id;
	row->since_version = place->since_version;
	row->offset = place->offset;
	*field = row;
	return RG_OK;
}

/* ---- types ---- */

static const struct primitive *primitive_find(const char *name)
{
	for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++) {
		if (!strcmp(primitives[i].name, name))
			return &primitives[i];
	}
	return NULL;
}

static const xmlNode *type_find(const struct loader *loader, const char *name)
{
	for (uint32_t i = 0; i < loader->type_count; i++) {
		if (!strcmp(rg_schema_xml_attribute(loader->types[i], "name"), name))
			return loader->types[i];
	}
	return NULL;
}

/* The primitive that a <type> element encodes, after checks that need no context. */
static int type_primitive(const struct loader *loader, const xmlNode *type,
			  const struct primitive **primitive, uint32_t *length)
{
	const char *name;
	int status = attribute_needed(loader, type, "primitiveType", &name);

	if (status)
		return status;
	*primitive = primitive_find(name);
	if (!*primitive)
		return fail(loader, type, RG_EINVAL,
			    "unknown primitiveType '%.40s': give char, int8 to int64, uint8 to "
			    "uint64, float or double",
			    name);
	*length = 1;
	status = attribute_number(loader, type, "length", UINT16_MAX, length, NULL);
	if (status)
		return status;
	if (*length == 0)
		return fail(loader, type, RG_EINVAL,
			    "length 0 means variable data, which requests do not have: give a "
			    "fixed length");
	if (*length > RG_SCHEMA_BLOCK_BYTES_MAX)
		return fail(loader, type, RG_ELIMIT, "longer than %u bytes: shorten it",
			    RG_SCHEMA_BLOCK_BYTES_MAX);
	if (*length > 1 && (*primitive)->kind != RG_FIELD_CHARS)
		return fail(
			loader, type, RG_EINVAL,
			"arrays of numbers have no meaning for policies: use one field for each");
	return RG_OK;
}

static uint64_t width_mask(uint8_t bytes)
{
	return bytes == 8 ? UINT64_MAX : (1ull << 8 * bytes) - 1;
}

/* An integer literal of a primitive's range, as raw bits. */
static bool parse_raw(const char *text, const struct primitive *primitive, uint64_t *raw)
{
	uint64_t mask = width_mask(primitive->bytes), value;
	bool ok = primitive->is_signed
			  ? parse_integer(text, -(int64_t)(mask >> 1) - 1, mask >> 1, &value)
			  : parse_integer(text, 0, mask, &value);

	if (ok)
		*raw = value & mask;
	return ok;
}

static int type_null_value(const struct loader *loader, const xmlNode *type,
			   const struct primitive *primitive, uint64_t *raw)
{
	const char *text = type ? rg_schema_xml_attribute(type, "nullValue") : NULL;

	*raw = primitive->null_value;
	if (!text)
		return RG_OK;
	if (primitive->kind == RG_FIELD_FLOAT)
		return strcmp(text, "NaN")
			       ? fail(loader, type, RG_EINVAL,
				      "nullValue=\"%.40s\": the null of floats is NaN", text)
			       : RG_OK;
	if (primitive->kind == RG_FIELD_CHARS)
		return *text && strcmp(text, "0") ? fail(loader, type, RG_EINVAL,
							 "nullValue=\"%.40s\": the null of "
							 "characters is the empty string, \"0\"",
							 text)
						  : RG_OK;
	if (!parse_raw(text, primitive, raw))
		return fail(loader, type, RG_EINVAL, "nullValue=\"%.40s\" does not fit %s", text,
			    primitive->name);
	return RG_OK;
}

/* A constant integer: the element's text. */
static int type_constant(const struct loader *loader, const xmlNode *type,
			 const struct primitive *primitive, uint64_t *raw)
{
	char text[ELEMENT_TEXT_MAX];

	if (rg_schema_xml_attribute(type, "valueRef"))
		return fail(loader, type, RG_EINVAL,
			    "valueRef on a <type>: give a field the enum as its type, "
			    "presence=\"constant\" and the valueRef");
	if (primitive->kind != RG_FIELD_INT)
		return fail(
			loader, type, RG_EINVAL,
			"constants are integers or enum values: use an enum for a constant text");
	if (!rg_schema_xml_text(type, text, sizeof(text)) || !parse_raw(text, primitive, raw))
		return fail(loader, type, RG_EINVAL,
			    "its constant is no %s: write it between <type> and </type>",
			    primitive->name);
	return RG_OK;
}

/* Place one number or char array. `type` is its <type>, or NULL where a field names a primitive
 * itself. */
static int place_scalar(struct loader *loader, const struct place *place, const xmlNode *type,
			const struct primitive *primitive, uint32_t length, uint32_t *bytes)
{
	enum presence presence = PRESENCE_UNSET;
	struct rg_field *field;
	int status = RG_OK;

	if (type)
		status = attribute_presence(loader, type, &presence);
	if (status)
		return status;
	if (presence != PRESENCE_CONSTANT && place->presence != PRESENCE_UNSET)
		presence = place->presence;
	if (presence == PRESENCE_CONSTANT && !type)
		return fail(
			loader, place->node, RG_EINVAL,
			"a constant needs a <type> that holds its value, or an enum and valueRef");
	status = append_field(loader, place, &field);
	if (status)
		return status;
	field->kind = primitive->kind;
	field->bytes = primitive->bytes;
	field->is_signed = primitive->is_signed;
	field->length = primitive->kind == RG_FIELD_CHARS ? (uint16_t)length : 0;
	field->optional = presence == PRESENCE_OPTIONAL;
	field->constant = presence == PRESENCE_CONSTANT;
	*bytes = field->constant ? 0 : primitive->bytes * length;
	if (field->constant)
		return type_constant(loader, type, primitive, &field->null_value);
	if (field->optional)
		return type_null_value(loader, type, primitive, &field->null_value);
	return RG_OK;
}

/* ---- enums and sets ---- */

static int compare_names(const void *a, const void *b)
{
	uint64_t left = ((const struct rg_field_name *)a)->value,
		 right = ((const struct rg_field_name *)b)->value;

	return left < right ? -1 : left > right;
}

/* The unsigned integer or char that encodes an enum or set. */
static int coded_encoding(const struct loader *loader, const xmlNode *node, bool is_set,
			  struct coded *coded, const struct primitive **primitive)
{
	const xmlNode *type = NULL;
	enum presence presence = PRESENCE_UNSET;
	uint32_t length = 1;
	const char *name;
	int status = attribute_needed(loader, node, "encodingType", &name);

	if (status)
		return status;
	type = type_find(loader, name);
	*primitive = type ? NULL : primitive_find(name);
	if (type && rg_schema_xml_is(type, "type")) {
		if ((status = check_attributes(loader, type)) ||
		    (status = type_primitive(loader, type, primitive, &length)) ||
		    (status = attribute_presence(loader, type, &presence)) ||
		    (status = type_null_value(loader, type, *primitive, &coded->null_value)))
			return status;
	} else if (*primitive) {
		coded->null_value = (*primitive)->null_value;
	}
	if (!*primitive || length != 1 || (*primitive)->is_signed ||
	    (is_set && (*primitive)->kind == RG_FIELD_CHARS) || presence == PRESENCE_CONSTANT)
		return fail(loader, node, RG_EINVAL,
			    "encodingType '%.40s': give %suint8, uint16, uint32 or uint64, or a "
			    "<type> of these",
			    name, is_set ? "" : "char, ");
	if (is_set && presence == PRESENCE_OPTIONAL)
		return fail(loader, node, RG_EINVAL,
			    "a set has no null value (the empty set says that nothing is set): "
			    "make its encodingType required");
	coded->bytes = (*primitive)->bytes;
	coded->optional = presence == PRESENCE_OPTIONAL;
	return RG_OK;
}

/* The value of a <validValue> or the bit of a <choice>. */
static int coded_value(const struct loader *loader, const xmlNode *node, bool is_set,
		       const struct coded *coded, const struct primitive *primitive,
		       uint64_t *value)
{
	char text[ELEMENT_TEXT_MAX];
	bool ok = rg_schema_xml_text(node, text, sizeof(text));

	if (is_set) {
		if (!ok || !parse_integer(text, 0, 8u * coded->bytes - 1, value))
			return fail(loader, node, RG_EINVAL,
				    "give the bit between the tags, from 0 to %u",
				    8u * coded->bytes - 1);
		return RG_OK;
	}
	if (primitive->kind == RG_FIELD_CHARS) {
		ok = ok && text[0] && !text[1];
		*value = (uint8_t)text[0];
	} else {
		ok = ok && parse_raw(text, primitive, value);
	}
	if (!ok)
		return fail(loader, node, RG_EINVAL, "give the value between the tags, one %s",
			    primitive->name);
	if (coded->optional && *value == coded->null_value)
		return fail(loader, node, RG_EINVAL,
			    "%s is the null value of the encoding type: choose another value",
			    text);
	return RG_OK;
}

static int coded_values(struct loader *loader, const xmlNode *node, bool is_set,
			struct coded *coded, const struct primitive *primitive)
{
	const char *element = is_set ? "choice" : "validValue";
	struct rg_schema *schema = loader->schema;
	uint16_t since;
	int status;

	coded->names_first = schema->table.name_count;
	for (const xmlNode *child = rg_schema_xml_first(node); child;
	     child = rg_schema_xml_next(child)) {
		const char *name;
		uint64_t value;

		if (!rg_schema_xml_is(child, element))
			return fail(loader, child, RG_EINVAL,
				    "only <%s> may stand in <%s>: remove it", element,
				    rg_schema_xml_element(node));
		if (coded->names_count >= ENUM_VALUES_MAX)
			return fail(loader, child, RG_ELIMIT,
				    "more than %u values: use an integer field", ENUM_VALUES_MAX);
		if ((status = check_attributes(loader, child)) ||
		    (status = attribute_since(loader, child, 0, &since)) ||
		    (status = attribute_identifier(loader, child, sizeof(schema->names->name) - 1,
						   &name)) ||
		    (status = coded_value(loader, child, is_set, coded, primitive, &value)))
			return status;
		for (uint32_t i = coded->names_first; i < schema->table.name_count; i++) {
			if (schema->names[i].value == value)
				return fail(loader, child, RG_EINVAL,
					    "'%s' has the same value: give each its own",
					    schema->names[i].name);
			if (!strcmp(schema->names[i].name, name))
				return fail(loader, child, RG_EINVAL,
					    "the name is there already: rename one");
		}
		status = append_name(loader, child, name, value);
		if (status)
			return status;
		coded->names_count++;
	}
	if (!coded->names_count)
		return fail(loader, node, RG_EINVAL, "it has no <%s>: add one", element);
	qsort(schema->names + coded->names_first, coded->names_count, sizeof(*schema->names),
	      compare_names);
	return RG_OK;
}

/* An enum with the two names false and true is JSON's boolean; any other numbering of them would be
 * a trap. */
static int coded_boolean(const struct loader *loader, const xmlNode *node, struct coded *coded)
{
	const struct rg_field_name *names = loader->schema->names + coded->names_first;
	bool is_false = !strcmp(names[0].name, "false"), is_true;

	if (coded->names_count != 2)
		return RG_OK;
	is_true = !strcmp(names[1].name, "true");
	if ((is_false && is_true) ||
	    (!strcmp(names[0].name, "true") && !strcmp(names[1].name, "false"))) {
		if (!is_false || names[0].value != 0 || names[1].value != 1 || coded->bytes != 1)
			return fail(
				loader, node, RG_EINVAL,
				"a boolean is a uint8 enum with false 0 and true 1: renumber it");
		coded->is_boolean = true;
	}
	return RG_OK;
}

/* Parse the enum or set `node`, once. */
static int coded_get(struct loader *loader, const xmlNode *node, struct coded *coded)
{
	bool is_set = rg_schema_xml_is(node, "set");
	uintptr_t number = (uintptr_t)node->_private;
	const struct primitive *primitive;
	int status;

	if (number) {
		*coded = loader->coded[number - 1];
		return RG_OK;
	}
	memset(coded, 0, sizeof(*coded));
	if ((status = check_attributes(loader, node)) ||
	    (status = coded_encoding(loader, node, is_set, coded, &primitive)) ||
	    (status = coded_values(loader, node, is_set, coded, primitive)) ||
	    (!is_set && (status = coded_boolean(loader, node, coded))) ||
	    (status = grow(loader, (void **)&loader->coded, &loader->coded_capacity,
			   loader->coded_count, sizeof(*coded))))
		return status;
	loader->coded[loader->coded_count++] = *coded;
	((xmlNode *)node)->_private = (void *)loader->coded_count;
	return RG_OK;
}

/* valueRef="Enum.value" of a constant enum field. */
static int coded_constant(const struct loader *loader, const struct place *place,
			  const xmlNode *type, const struct coded *coded, uint64_t *raw)
{
	const char *name = rg_schema_xml_attribute(type, "name");
	const char *dot = place->value_ref ? strchr(place->value_ref, '.') : NULL;

	if (!dot || (size_t)(dot - place->value_ref) != strlen(name) ||
	    strncmp(place->value_ref, name, strlen(name)))
		return fail(loader, place->node, RG_EINVAL,
			    "a constant enum needs valueRef=\"%.64s.<one of its values>\"", name);
	for (uint32_t i = 0; i < coded->names_count; i++) {
		const struct rg_field_name *value = &loader->schema->names[coded->names_first + i];

		if (!strcmp(value->name, dot + 1)) {
			*raw = value->value;
			return RG_OK;
		}
	}
	return fail(loader, place->node, RG_EINVAL,
		    "valueRef: the enum '%.64s' has no value '%.56s'", name, dot + 1);
}

static int place_enum(struct loader *loader, const struct place *place, const xmlNode *type,
		      uint32_t *bytes)
{
	struct rg_field *field;
	struct coded coded;
	int status;

	if ((status = coded_get(loader, type, &coded)) ||
	    (status = append_field(loader, place, &field)))
		return status;
	field->kind = coded.is_boolean ? RG_FIELD_BOOL : RG_FIELD_ENUM;
	field->bytes = coded.bytes;
	field->names_first = coded.names_first;
	field->names_count = coded.names_count;
	field->constant = place->presence == PRESENCE_CONSTANT;
	field->optional = place->presence == PRESENCE_OPTIONAL ||
			  (place->presence == PRESENCE_UNSET && coded.optional);
	*bytes = field->constant ? 0 : coded.bytes;
	if (field->constant)
		return coded_constant(loader, place, type, &coded, &field->null_value);
	if (!field->optional)
		return RG_OK;
	field->null_value = coded.null_value;
	for (uint32_t i = 0; i < coded.names_count; i++) {
		const struct rg_field_name *value = &loader->schema->names[coded.names_first + i];

		if (value->value == coded.null_value)
			return fail(loader, place->node, RG_EINVAL,
				    "it is optional, but its enum names the null value %llu "
				    "('%s'): use a wider or another encodingType",
				    (unsigned long long)coded.null_value, value->name);
	}
	return RG_OK;
}

static int place_set(struct loader *loader, const struct place *place, const xmlNode *type,
		     uint32_t *bytes)
{
	struct rg_field *field;
	struct coded coded;
	int status;

	if (place->presence == PRESENCE_OPTIONAL || place->presence == PRESENCE_CONSTANT)
		return fail(loader, place->node, RG_EINVAL,
			    "a set is always required (the empty set says that nothing is set): "
			    "remove presence");
	if ((status = coded_get(loader, type, &coded)) ||
	    (status = append_field(loader, place, &field)))
		return status;
	field->kind = RG_FIELD_SET;
	field->bytes = coded.bytes;
	field->names_first = coded.names_first;
	field->names_count = coded.names_count;
	*bytes = coded.bytes;
	return RG_OK;
}

/* ---- composites ---- */

static int place_type(struct loader *loader, const struct place *place, const xmlNode *type,
		      uint32_t *bytes);

/* What a composite's member is made of: itself, or what its <ref> names. */
static int member_type(const struct loader *loader, const xmlNode *member, const xmlNode **type)
{
	const char *name;
	int status = check_attributes(loader, member);

	*type = member;
	if (status || !rg_schema_xml_is(member, "ref"))
		return status;
	status = attribute_needed(loader, member, "type", &name);
	if (status)
		return status;
	*type = type_find(loader, name);
	if (!*type)
		return fail(loader, member, RG_ENOENT, "no type '%.64s' in <types>%s", name,
			    primitive_find(name) ? ": use <type primitiveType=...> for a primitive"
						 : ": define it or correct the name");
	return RG_OK;
}

/* The offset of the next member or field: where the last one ended, or further on as `offset` says.
 */
static int next_offset(const struct loader *loader, const xmlNode *node, uint32_t *offset)
{
	uint32_t wanted = *offset;
	int status = attribute_number(loader, node, "offset", UINT16_MAX, &wanted, NULL);

	if (status)
		return status;
	if (wanted < *offset)
		return fail(loader, node, RG_EINVAL,
			    "offset %u overlaps what lies before it, up to %u: give at least that",
			    wanted, *offset);
	*offset = wanted;
	return RG_OK;
}

/* True if the composite is a decimal: exactly the members mantissa and exponent, which are
 * returned. */
static bool decimal_members(const xmlNode *composite, const xmlNode **mantissa,
			    const xmlNode **exponent)
{
	const char *name;

	*mantissa = rg_schema_xml_first(composite);
	*exponent = *mantissa ? rg_schema_xml_next(*mantissa) : NULL;
	if (!*exponent || rg_schema_xml_next(*exponent))
		return false;
	name = rg_schema_xml_attribute(*mantissa, "name");
	if (!name || strcmp(name, "mantissa"))
		return false;
	name = rg_schema_xml_attribute(*exponent, "name");
	return name && !strcmp(name, "exponent");
}

static int place_decimal(struct loader *loader, const struct place *place, const xmlNode *mantissa,
			 const xmlNode *exponent, uint32_t *bytes)
{
	const struct primitive *mantissa_primitive, *exponent_primitive;
	enum presence mantissa_presence, exponent_presence;
	const xmlNode *mantissa_type, *exponent_type;
	uint32_t length, at = 0;
	struct rg_field *field;
	uint64_t raw = 0;
	int status;

	if ((status = member_type(loader, mantissa, &mantissa_type)) ||
	    (status = member_type(loader, exponent, &exponent_type)))
		return status;
	if (!rg_schema_xml_is(mantissa_type, "type") || !rg_schema_xml_is(exponent_type, "type"))
		return fail(loader, mantissa, RG_EINVAL,
			    "mantissa and exponent of a decimal are <type>s");
	if ((status = check_attributes(loader, mantissa_type)) ||
	    (status = check_attributes(loader, exponent_type)) ||
	    (status = type_primitive(loader, mantissa_type, &mantissa_primitive, &length)) ||
	    (status = type_primitive(loader, exponent_type, &exponent_primitive, &length)) ||
	    (status = attribute_presence(loader, mantissa_type, &mantissa_presence)) ||
	    (status = attribute_presence(loader, exponent_type, &exponent_presence)))
		return status;
	if (mantissa_primitive->kind != RG_FIELD_INT || mantissa_presence == PRESENCE_CONSTANT)
		return fail(loader, mantissa, RG_EINVAL,
			    "the mantissa of a decimal is an integer and not constant");
	if (exponent_primitive->bytes != 1 || !exponent_primitive->is_signed ||
	    exponent_presence == PRESENCE_OPTIONAL)
		return fail(loader, exponent, RG_EINVAL,
			    "the exponent of a decimal is an int8, required or constant");
	if (place->presence == PRESENCE_CONSTANT)
		return fail(loader, place->node, RG_EINVAL,
			    "a decimal cannot be constant: put the number into the policy's data");
	status = append_field(loader, place, &field);
	if (status)
		return status;
	field->bytes = mantissa_primitive->bytes;
	field->is_signed = mantissa_primitive->is_signed;
	field->optional =
		place->presence == PRESENCE_OPTIONAL ||
		(place->presence == PRESENCE_UNSET && mantissa_presence == PRESENCE_OPTIONAL);
	if (field->optional && (status = type_null_value(loader, mantissa_type, mantissa_primitive,
							 &field->null_value)))
		return status;
	if ((status = next_offset(loader, mantissa, &at)))
		return status;
	field->offset = place->offset + at;
	at += field->bytes;
	if (exponent_presence == PRESENCE_CONSTANT) {
		int64_t value;

		if ((status = type_constant(loader, exponent_type, exponent_primitive, &raw)))
			return status;
		value = rg_field_extend(raw, 1, true);
		if (value < -EXPONENT_MAX || value > EXPONENT_MAX)
			return fail(loader, exponent, RG_ELIMIT,
				    "exponent %lld: riskgate reads -%d to %d", (long long)value,
				    EXPONENT_MAX, EXPONENT_MAX);
		field->kind = RG_FIELD_DECIMAL;
		field->exponent = (int8_t)value;
	} else {
		if ((status = next_offset(loader, exponent, &at)))
			return status;
		field->kind = RG_FIELD_DECIMAL_VAR;
		field->exponent_offset = place->offset + at;
		at += 1;
	}
	*bytes = at;
	return RG_OK;
}

/* Place each member under its dotted path. */
static int place_members(struct loader *loader, const struct place *place, const xmlNode *composite,
			 uint32_t *bytes)
{
	char path[2 * sizeof(((struct rg_field *)0)->path)];
	uint32_t at = 0;
	int status;

	for (const xmlNode *member = rg_schema_xml_first(composite); member;
	     member = rg_schema_xml_next(member)) {
		struct place inner = {
			.node = member, .path = path, .id = place->id, .presence = PRESENCE_UNSET};
		const xmlNode *type;
		uint32_t member_bytes;
		const char *name;

		if ((status = member_type(loader, member, &type)) ||
		    (status = attribute_identifier(
			     loader, member, sizeof(((struct rg_field *)0)->path) - 1, &name)) ||
		    (status = attribute_since(loader, member, place->since_version,
					      &inner.since_version)) ||
		    (status = next_offset(loader, member, &at)))
			return status;
		for (const xmlNode *other = rg_schema_xml_first(composite); other != member;
		     other = rg_schema_xml_next(other)) {
			if (!strcmp(rg_schema_xml_attribute(other, "name"), name))
				return fail(loader, member, RG_EINVAL,
					    "the composite has this member already: rename one");
		}
		if (snprintf(path, sizeof(path), "%s.%s", place->path, name) >=
		    (int)sizeof(((struct rg_field *)0)->path))
			return fail(
				loader, member, RG_ELIMIT,
				"the path '%s' is longer than %zu characters: shorten the names",
				path, sizeof(((struct rg_field *)0)->path) - 1);
		inner.offset = place->offset + at;
		status = place_type(loader, &inner, type, &member_bytes);
		if (status)
			return status;
		at += member_bytes;
		if (at > RG_SCHEMA_BLOCK_BYTES_MAX)
			return fail(loader, member, RG_ELIMIT,
				    "the composite is longer than %u bytes",
				    RG_SCHEMA_BLOCK_BYTES_MAX);
	}
	if (!rg_schema_xml_first(composite))
		return fail(loader, composite, RG_EINVAL, "the composite has no members: add some");
	*bytes = at;
	return RG_OK;
}

static int place_composite(struct loader *loader, const struct place *place,
			   const xmlNode *composite, uint32_t *bytes)
{
	const xmlNode *mantissa, *exponent;
	int status;

	if (decimal_members(composite, &mantissa, &exponent))
		return place_decimal(loader, place, mantissa, exponent, bytes);
	if (place->presence == PRESENCE_OPTIONAL || place->presence == PRESENCE_CONSTANT)
		return fail(loader, place->node, RG_EINVAL,
			    "a composite has no presence of its own: give its members "
			    "presence=\"optional\"");
	for (uint32_t i = 0; i < loader->depth; i++) {
		if (loader->open[i] == composite)
			return fail(
				loader, place->node, RG_EINVAL,
				"the composite '%.64s' contains itself: break the cycle of refs",
				rg_schema_xml_attribute(composite, "name"));
	}
	if (loader->depth == RG_SCHEMA_DEPTH_MAX)
		return fail(loader, place->node, RG_ELIMIT,
			    "composites more than %d deep: flatten them", RG_SCHEMA_DEPTH_MAX);
	loader->open[loader->depth++] = composite;
	status = place_members(loader, place, composite, bytes);
	loader->depth--;
	return status;
}

/* Place a value of `type`, a <type>, <enum>, <set> or <composite>, at place->offset; *bytes gets
 * its size. */
static int place_type(struct loader *loader, const struct place *place, const xmlNode *type,
		      uint32_t *bytes)
{
	const struct primitive *primitive;
	uint32_t length;
	int status = check_attributes(loader, type);

	if (status)
		return status;
	if (rg_schema_xml_is(type, "enum"))
		return place_enum(loader, place, type, bytes);
	if (rg_schema_xml_is(type, "set"))
		return place_set(loader, place, type, bytes);
	if (rg_schema_xml_is(type, "composite"))
		return place_composite(loader, place, type, bytes);
	if (!rg_schema_xml_is(type, "type"))
		return fail(loader, type, RG_EINVAL,
			    "not a type: give <type>, <enum>, <set>, <composite> or <ref>");
	status = type_primitive(loader, type, &primitive, &length);
	return status ? status : place_scalar(loader, place, type, primitive, length, bytes);
}

/* ---- messages ---- */

/* New rows of one <field> must not be older than those before them: the extension rule cuts a block
 * at one offset. */
static int check_since(struct loader *loader, const xmlNode *node, uint32_t from)
{
	for (uint32_t i = from; i < loader->schema->table.field_count; i++) {
		const struct rg_field *field = &loader->schema->fields[i];

		if (field->constant)
			continue;
		if (field->since_version < loader->last_since)
			return fail(loader, node, RG_EINVAL,
				    "'%s' is of version %u but lies behind fields of version %u: "
				    "append new fields at the end",
				    field->path, field->since_version, loader->last_since);
		loader->last_since = field->since_version;
	}
	return RG_OK;
}

static int check_field_unique(const struct loader *loader, const xmlNode *node, const char *name,
			      uint32_t id)
{
	for (const xmlNode *other = rg_schema_xml_first(loader->message); other != node;
	     other = rg_schema_xml_next(other)) {
		const char *other_name = rg_schema_xml_attribute(other, "name"),
			   *other_id = rg_schema_xml_attribute(other, "id");
		uint64_t value;

		if (other_name && !strcmp(other_name, name))
			return fail(loader, node, RG_EINVAL,
				    "the message has a field of this name already: rename one");
		if (other_id && parse_integer(other_id, 0, UINT16_MAX, &value) && value == id)
			return fail(loader, node, RG_EINVAL,
				    "the message has a field with id %u already ('%.64s'): "
				    "renumber one",
				    id, other_name);
	}
	return RG_OK;
}

static int place_field(struct loader *loader, const xmlNode *node, uint32_t *offset)
{
	uint32_t from = loader->schema->table.field_count, id = 0, bytes;
	const struct primitive *primitive;
	struct place place = {.node = node};
	const char *type_name;
	const xmlNode *type;
	bool has_id;
	int status;

	if (rg_schema_xml_is(node, "group"))
		return fail(loader, node, RG_EINVAL,
			    "requests have no repeating groups: use numbered fields or separate "
			    "messages");
	if (rg_schema_xml_is(node, "data"))
		return fail(loader, node, RG_EINVAL,
			    "requests have no variable data: use a char type with a fixed length");
	if (!rg_schema_xml_is(node, "field"))
		return fail(loader, node, RG_EINVAL,
			    "only <field> may stand in a message: remove it");
	if (from - loader->message_fields_first >= RG_SCHEMA_FIELDS_MAX)
		return fail(loader, node, RG_ELIMIT,
			    "the message has more than %u values: split it", RG_SCHEMA_FIELDS_MAX);
	if ((status = check_attributes(loader, node)) ||
	    (status = attribute_identifier(loader, node, sizeof(((struct rg_field *)0)->path) - 1,
					   &place.path)) ||
	    (status = attribute_number(loader, node, "id", UINT16_MAX, &id, &has_id)) ||
	    (status = attribute_needed(loader, node, "type", &type_name)) ||
	    (status = attribute_presence(loader, node, &place.presence)) ||
	    (status = attribute_since(loader, node, 0, &place.since_version)) ||
	    (status = next_offset(loader, node, offset)))
		return status;
	if (!has_id)
		return fail(loader, node, RG_EINVAL,
			    "the attribute 'id' is missing: give each field its own number");
	status = check_field_unique(loader, node, place.path, id);
	if (status)
		return status;
	place.id = (uint16_t)id;
	place.offset = *offset;
	place.value_ref = rg_schema_xml_attribute(node, "valueRef");
	type = type_find(loader, type_name);
	primitive = type ? NULL : primitive_find(type_name);
	if (place.value_ref &&
	    (!type || !rg_schema_xml_is(type, "enum") || place.presence != PRESENCE_CONSTANT))
		return fail(
			loader, node, RG_EINVAL,
			"valueRef needs presence=\"constant\" and the enum as the field's type");
	if (type)
		status = place_type(loader, &place, type, &bytes);
	else if (primitive)
		status = place_scalar(loader, &place, NULL, primitive, 1, &bytes);
	else
		status = fail(loader, node, RG_ENOENT,
			      "no type '%.64s': define it in <types> or correct the name",
			      type_name);
	if (!status)
		status = check_since(loader, node, from);
	if (status)
		return status;
	*offset += bytes;
	if (*offset > RG_SCHEMA_BLOCK_BYTES_MAX)
		return fail(loader, node, RG_ELIMIT,
			    "the block grows beyond %u bytes: shorten the message",
			    RG_SCHEMA_BLOCK_BYTES_MAX);
	return RG_OK;
}

/* first: the message's first field, NULL if it has none. */
static int check_request(const struct loader *loader, const xmlNode *node,
			 const struct rg_template *template, const struct rg_field *first)
{
	if (template->template_id == RG_DECISION_TEMPLATE_ID)
		return fail(loader, node, RG_EINVAL,
			    "template id %d belongs to the message Decision: choose another",
			    RG_DECISION_TEMPLATE_ID);
	if (!first || strcmp(first->path, "request_id") || first->kind != RG_FIELD_INT ||
	    first->bytes != 8 || first->is_signed || first->optional || first->constant ||
	    first->offset || first->since_version)
		return fail(loader, node, RG_EINVAL,
			    "the first field of a request is its id: begin with <field "
			    "name=\"request_id\" id=\"...\" type=\"uint64\"/>");
	return RG_OK;
}

static int place_message(struct loader *loader, const xmlNode *node)
{
	struct rg_schema *schema = loader->schema;
	uint32_t id = 0, offset = 0, block_length = 0;
	const struct rg_field *fields;
	struct rg_template *template;
	const char *name;
	uint16_t since;
	bool has_id, has_length;
	int status;

	if ((status = check_attributes(loader, node)) ||
	    (status = attribute_identifier(loader, node, sizeof(template->name) - 1, &name)) ||
	    (status = attribute_number(loader, node, "id", UINT16_MAX, &id, &has_id)) ||
	    (status = attribute_number(loader, node, "blockLength", RG_SCHEMA_BLOCK_BYTES_MAX,
				       &block_length, &has_length)) ||
	    (status = attribute_since(loader, node, 0, &since)))
		return status;
	if (!has_id)
		return fail(loader, node, RG_EINVAL,
			    "the attribute 'id' is missing: give each message its own number");
	for (uint32_t i = 0; i < schema->table.template_count; i++) {
		if (schema->templates[i].template_id == id)
			return fail(loader, node, RG_EINVAL,
				    "message '%s' has id %u already: renumber one",
				    schema->templates[i].name, id);
		if (!strcmp(schema->templates[i].name, name))
			return fail(loader, node, RG_EINVAL,
				    "there is a message of this name already: rename one");
	}
	if (schema->table.template_count >= RG_SCHEMA_TEMPLATES_MAX)
		return fail(loader, node, RG_ELIMIT, "more than %u messages",
			    RG_SCHEMA_TEMPLATES_MAX);
	status = grow(loader, (void **)&schema->templates, &schema->templates_capacity,
		      schema->table.template_count, sizeof(*template));
	if (status)
		return status;
	loader->message = node;
	loader->message_fields_first = schema->table.field_count;
	loader->last_since = 0;
	for (const xmlNode *child = rg_schema_xml_first(node); child;
	     child = rg_schema_xml_next(child)) {
		status = place_field(loader, child, &offset);
		if (status)
			return status;
	}
	if (has_length && block_length < offset)
		return fail(loader, node, RG_EINVAL,
			    "blockLength %u is too short for its fields: give at least %u",
			    block_length, offset);
	template = &schema->templates[schema->table.template_count++];
	memset(template, 0, sizeof(*template));
	memcpy(template->name, name, strlen(name) + 1);
	template->template_id = (uint16_t)id;
	template->schema_id = schema->id;
	template->schema_version = schema->version;
	template->block_length = (uint16_t)(has_length ? block_length : offset);
	template->fields_first = loader->message_fields_first;
	template->fields_count = schema->table.field_count - loader->message_fields_first;
	fields = template->fields_count ? schema->fields + template->fields_first : NULL;
	if (rg_schema_is_request(template))
		return check_request(loader, node, template, fields);
	status = rg_decision_check_layout(fields, template, loader->err);
	return status ? fail(loader, node, status, "%s",
			     loader->err ? loader->err->text : "not the layout of a decision")
		      : RG_OK;
}

/* ---- the file ---- */

static int collect_types(struct loader *loader, const xmlNode *types)
{
	for (xmlNode *node = rg_schema_xml_first(types); node; node = rg_schema_xml_next(node)) {
		const char *name;
		int status;

		if ((status = check_attributes(loader, node)) ||
		    (status = attribute_identifier(loader, node, ELEMENT_TEXT_MAX - 1, &name)))
			return status;
		if (!rg_schema_xml_is(node, "type") && !rg_schema_xml_is(node, "composite") &&
		    !rg_schema_xml_is(node, "enum") && !rg_schema_xml_is(node, "set"))
			return fail(loader, node, RG_EINVAL,
				    "only <type>, <composite>, <enum> and <set> may stand in "
				    "<types>: remove it");
		if (type_find(loader, name))
			return fail(loader, node, RG_EINVAL,
				    "there is a type of this name already: rename one");
		if (loader->type_count == TYPES_MAX)
			return fail(loader, node, RG_ELIMIT, "more than %d types", TYPES_MAX);
		loader->types[loader->type_count++] = node;
	}
	return RG_OK;
}

/* Enums and sets are checked also where no message uses them yet. */
static int check_types(struct loader *loader)
{
	for (uint32_t i = 0; i < loader->type_count; i++) {
		struct coded coded;
		int status;

		if (!rg_schema_xml_is(loader->types[i], "enum") &&
		    !rg_schema_xml_is(loader->types[i], "set"))
			continue;
		status = coded_get(loader, loader->types[i], &coded);
		if (status)
			return status;
	}
	return RG_OK;
}

/* The header composite must be SBE 1.0's own: riskgate reads it before it knows anything else. */
static int check_header(const struct loader *loader, const xmlNode *root)
{
	static const char *const members[] = {"blockLength", "templateId", "schemaId", "version"};
	const char *name = rg_schema_xml_attribute(root, "headerType");
	const xmlNode *header = type_find(loader, name ? name : "messageHeader");
	const xmlNode *member = header ? rg_schema_xml_first(header) : NULL;
	bool ok = header && rg_schema_xml_is(header, "composite");
	size_t i;

	for (i = 0; ok && member && i < 4; i++, member = rg_schema_xml_next(member)) {
		const char *member_name = rg_schema_xml_attribute(member, "name");
		const xmlNode *type = member;
		const char *primitive;

		if (rg_schema_xml_is(member, "ref") && rg_schema_xml_attribute(member, "type"))
			type = type_find(loader, rg_schema_xml_attribute(member, "type"));
		primitive = type ? rg_schema_xml_attribute(type, "primitiveType") : NULL;
		ok = member_name && !strcmp(member_name, members[i]) && primitive &&
		     !strcmp(primitive, "uint16") && !rg_schema_xml_attribute(member, "offset");
	}
	if (!ok || i != 4 || member)
		return fail(loader, header ? header : root, RG_EINVAL,
			    "the composite '%.64s' must be SBE 1.0's header: blockLength, "
			    "templateId, schemaId, version, each uint16",
			    name ? name : "messageHeader");
	return RG_OK;
}

static int load_root(struct loader *loader, const xmlNode *root)
{
	const char *package = rg_schema_xml_attribute(root, "package"),
		   *order = rg_schema_xml_attribute(root, "byteOrder");
	struct rg_schema *schema = loader->schema;
	uint32_t id = 0, version = 0;
	bool has_id;
	int status;

	if (!rg_schema_xml_is(root, "messageSchema"))
		return fail(loader, root, RG_EINVAL,
			    "not an SBE schema: the outermost element must be <messageSchema>");
	if ((status = check_attributes(loader, root)) ||
	    (status = attribute_number(loader, root, "id", UINT16_MAX, &id, &has_id)) ||
	    (status = attribute_number(loader, root, "version", UINT16_MAX, &version, NULL)))
		return status;
	if (!has_id)
		return fail(loader, root, RG_EINVAL,
			    "the attribute 'id' is missing: give the schema a number");
	if (order && strcmp(order, "littleEndian"))
		return fail(loader, root, RG_EINVAL,
			    "byteOrder=\"%.40s\": riskgate reads littleEndian only", order);
	schema->id = (uint16_t)id;
	schema->version = (uint16_t)version;
	snprintf(schema->package, sizeof(schema->package), "%s", package ? package : "");

	for (const xmlNode *node = rg_schema_xml_first(root); node;
	     node = rg_schema_xml_next(node)) {
		if (rg_schema_xml_is(node, "types")) {
			if ((status = check_attributes(loader, node)) ||
			    (status = collect_types(loader, node)))
				return status;
		} else if (!rg_schema_xml_is(node, "message")) {
			return fail(loader, node, RG_EINVAL,
				    "only <types> and <message> may stand in a schema (includes "
				    "are not followed): remove it");
		}
	}
	if ((status = check_header(loader, root)) || (status = check_types(loader)))
		return status;
	for (const xmlNode *node = rg_schema_xml_first(root); node;
	     node = rg_schema_xml_next(node)) {
		if (rg_schema_xml_is(node, "message") && (status = place_message(loader, node)))
			return status;
	}
	if (!schema->table.template_count)
		return fail(loader, root, RG_EINVAL, "it has no <message>: add one");
	return RG_OK;
}

/* FNV-1a over a value's bytes, low byte first: the same on every machine and with every padding. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		hash = (hash ^ (value >> 8 * i & 0xff)) * 0x100000001b3;
	return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return mix(hash, 0);
}

static uint64_t mix_field(uint64_t hash, const struct rg_field *field,
			  const struct rg_field_name *names)
{
	hash = mix_text(hash, field->path);
	hash = mix(hash, field->since_version);
	hash = mix(hash, field->kind | field->bytes << 8 | field->is_signed << 16 |
				 field->optional << 17 | field->constant << 18);
	hash = mix(hash, (uint64_t)field->exponent);
	hash = mix(hash, field->length);
	hash = mix(hash, field->offset);
	hash = mix(hash, field->exponent_offset);
	hash = mix(hash, field->null_value);
	hash = mix(hash, field->names_count);
	for (uint32_t i = 0; i < field->names_count; i++) {
		hash = mix(hash, names[field->names_first + i].value);
		hash = mix_text(hash, names[field->names_first + i].name);
	}
	return hash;
}

static uint64_t fingerprint(const struct rg_field_table *table)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (uint32_t t = 0; t < table->template_count; t++) {
		const struct rg_template *template = &table->templates[t];

		hash = mix_text(hash, template->name);
		hash = mix(hash, template->template_id);
		hash = mix(hash, template->schema_id);
		hash = mix(hash, template->schema_version);
		hash = mix(hash, template->block_length);
		hash = mix(hash, template->fields_count);
		for (uint32_t i = 0; i < template->fields_count; i++)
			hash = mix_field(hash, &table->fields[template->fields_first + i],
					 table->names);
	}
	return hash;
}

static int index_templates(const struct loader *loader, struct rg_schema *schema)
{
	for (uint32_t i = 0; i < schema->table.template_count; i++) {
		if (schema->templates[i].template_id >= schema->by_id_count)
			schema->by_id_count = schema->templates[i].template_id + 1u;
	}
	schema->by_id = calloc(schema->by_id_count, sizeof(*schema->by_id));
	if (!schema->by_id)
		return rg_error_set(loader->err, RG_ENOMEM, "%s: no memory for the schema",
				    loader->file);
	for (uint32_t i = 0; i < schema->table.template_count; i++)
		schema->by_id[schema->templates[i].template_id] = (uint16_t)(i + 1);
	return RG_OK;
}

int rg_schema_load_memory(const char *text, size_t bytes, const char *name,
			  struct rg_schema **schema, struct rg_error *err)
{
	struct loader *loader = calloc(1, sizeof(*loader));
	struct rg_schema *loading = calloc(1, sizeof(*loading));
	struct rg_error here;
	xmlDoc *document = NULL;
	int status;

	*schema = NULL;
	if (!loader || !loading) {
		status = rg_error_set(err, RG_ENOMEM, "%s: no memory for the schema", name);
		goto cleanup;
	}
	loader->file = name;
	loader->err =
		err ? err : &here; /* place_message() puts a place in front of an error's text */
	loader->schema = loading;
	status = rg_schema_xml_parse(text, bytes, name, &document, loader->err);
	if (!status)
		status = load_root(loader, xmlDocGetRootElement(document));
	if (!status)
		status = index_templates(loader, loading);
	if (status)
		goto cleanup;
	loading->table.templates = loading->templates;
	loading->table.fields = loading->fields;
	loading->table.names = loading->names;
	loading->table.fingerprint = fingerprint(&loading->table);
	*schema = loading;
	loading = NULL;
cleanup:
	if (document)
		xmlFreeDoc(document);
	if (loader)
		free(loader->coded);
	free(loader);
	rg_schema_free(loading);
	return status;
}

int rg_schema_load(const char *path, struct rg_schema **schema, struct rg_error *err)
{
	size_t used = 0, capacity = RG_SCHEMA_FILE_BYTES_MAX + 1;
	char *text = malloc(capacity);
	int fd = -1, status;

	*schema = NULL;
	if (!text)
		return rg_error_set(err, RG_ENOMEM, "%s: no memory to read the schema", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		status = rg_error_set_errno(err, RG_EIO, errno, "cannot open the schema %s", path);
		goto cleanup;
	}
	while (used < capacity) {
		ssize_t got = read(fd, text + used, capacity - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			status = rg_error_set_errno(err, RG_EIO, errno, "cannot read the schema %s",
						    path);
			goto cleanup;
		}
		if (got == 0)
			break;
		used += (size_t)got;
	}
	status = rg_schema_load_memory(text, used, path, schema, err);
cleanup:
	if (fd >= 0)
		close(fd);
	free(text);
	return status;
}

void rg_schema_free(struct rg_schema *schema)
{
	if (!schema)
		return;
	free(schema->templates);
	free(schema->fields);
	free(schema->names);
	free(schema->by_id);
	free(schema);
}

/* ---- questions ---- */

const struct rg_field_table *rg_schema_fields(const struct rg_schema *schema)
{
	return &schema->table;
}

uint16_t rg_schema_id(const struct rg_schema *schema)
{
	return schema->id;
}

uint16_t rg_schema_version(const struct rg_schema *schema)
{
	return schema->version;
}

const char *rg_schema_package(const struct rg_schema *schema)
{
	return schema->package;
}

const struct rg_template *rg_schema_template_by_name(const struct rg_schema *schema,
						     const char *name)
{
	for (uint32_t i = 0; i < schema->table.template_count; i++) {
		if (!strcmp(schema->templates[i].name, name))
			return &schema->templates[i];
	}
	return NULL;
}

const struct rg_template *rg_schema_template_by_id(const struct rg_schema *schema,
						   uint16_t schema_id, uint16_t template_id)
{
	if (schema_id != schema->id || template_id >= schema->by_id_count ||
	    !schema->by_id[template_id])
		return NULL;
	return &schema->templates[schema->by_id[template_id] - 1];
}

bool rg_schema_is_request(const struct rg_template *template)
{
	return strcmp(template->name, "Decision") != 0;
}

const struct rg_field *rg_schema_field(const struct rg_schema *schema,
				       const struct rg_template *template, const char *path)
{
	for (uint32_t i = 0; i < template->fields_count; i++) {
		const struct rg_field *field = &schema->fields[template->fields_first + i];

		if (!strcmp(field->path, path))
			return field;
	}
	return NULL;
}

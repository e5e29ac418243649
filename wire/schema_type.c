/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/schema_loader.h"

#include <stdlib.h>
#include <string.h>

#define ENUM_VALUES_MAX 4096

static const struct rg_loader_primitive primitives[] = {
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
/* ---- growing arrays ---- */

int rg_loader_grow(const struct rg_loader *loader, void **array, size_t *capacity, size_t count,
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

static int append_name(const struct rg_loader *loader, const xmlNode *node, const char *name,
		       uint64_t value)
{
	struct rg_schema *schema = loader->schema;
	struct rg_field_name *row;
	int status;

	if (schema->table.name_count >= RG_SCHEMA_NAMES_MAX)
		return rg_loader_fail(
			loader, node, RG_ELIMIT,
			"more than %u enum values and set choices: remove what is not used",
			RG_SCHEMA_NAMES_MAX);
	status = rg_loader_grow(loader, (void **)&schema->names, &schema->names_capacity,
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
int rg_loader_append_field(struct rg_loader *loader, const struct rg_loader_place *place,
			   struct rg_field **field)
{
	struct rg_schema *schema = loader->schema;
	uint32_t first = loader->message_fields_first;
	struct rg_field *row;
	int status;

	if (schema->table.field_count - first >= RG_SCHEMA_FIELDS_MAX)
		return rg_loader_fail(loader, place->node, RG_ELIMIT,
				      "the message has more than %u values: split it",
				      RG_SCHEMA_FIELDS_MAX);
	if (strlen(place->path) >= sizeof(row->path))
		return rg_loader_fail(
			loader, place->node, RG_ELIMIT,
			"the path '%s' is longer than %zu characters: shorten the names",
			place->path, sizeof(row->path) - 1);
	for (uint32_t i = first; i < schema->table.field_count; i++) {
		if (!strcmp(schema->fields[i].path, place->path))
			return rg_loader_fail(loader, place->node, RG_EINVAL,
					      "the message has a field '%s' already: rename one",
					      place->path);
	}
	status = rg_loader_grow(loader, (void **)&schema->fields, &schema->fields_capacity,
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

const struct rg_loader_primitive *rg_loader_primitive_find(const char *name)
{
	for (size_t i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++) {
		if (!strcmp(primitives[i].name, name))
			return &primitives[i];
	}
	return NULL;
}

const xmlNode *rg_loader_type_find(const struct rg_loader *loader, const char *name)
{
	for (uint32_t i = 0; i < loader->type_count; i++) {
		if (!strcmp(rg_schema_xml_attribute(loader->types[i], "name"), name))
			return loader->types[i];
	}
	return NULL;
}

/* The primitive that a <type> element encodes, after checks that need no context. */
int rg_loader_type_primitive(const struct rg_loader *loader, const xmlNode *type,
			     const struct rg_loader_primitive **primitive, uint32_t *length)
{
	const char *name;
	int status = rg_loader_needed(loader, type, "primitiveType", &name);

	if (status)
		return status;
	*primitive = rg_loader_primitive_find(name);
	if (!*primitive)
		return rg_loader_fail(
			loader, type, RG_EINVAL,
			"unknown primitiveType '%.40s': give char, int8 to int64, uint8 to "
			"uint64, float or double",
			name);
	*length = 1;
	status = rg_loader_number(loader, type, "length", UINT16_MAX, length, NULL);
	if (status)
		return status;
	if (*length == 0)
		return rg_loader_fail(
			loader, type, RG_EINVAL,
			"length 0 means variable data, which requests do not have: give a "
			"fixed length");
	if (*length > RG_SCHEMA_BLOCK_BYTES_MAX)
		return rg_loader_fail(loader, type, RG_ELIMIT, "longer than %u bytes: shorten it",
				      RG_SCHEMA_BLOCK_BYTES_MAX);
	if (*length > 1 && (*primitive)->kind != RG_FIELD_CHARS)
		return rg_loader_fail(
			loader, type, RG_EINVAL,
			"arrays of numbers have no meaning for policies: use one field for each");
	return RG_OK;
}

static uint64_t width_mask(uint8_t bytes)
{
	return bytes == 8 ? UINT64_MAX : (1ull << 8 * bytes) - 1;
}

/* An integer literal of a primitive's range, as raw bits. */
static bool parse_raw(const char *text, const struct rg_loader_primitive *primitive, uint64_t *raw)
{
	uint64_t mask = width_mask(primitive->bytes), value;
	bool ok = primitive->is_signed ? rg_loader_parse_integer(text, -(int64_t)(mask >> 1) - 1,
								 mask >> 1, &value)
				       : rg_loader_parse_integer(text, 0, mask, &value);

	if (ok)
		*raw = value & mask;
	return ok;
}

int rg_loader_type_null_value(const struct rg_loader *loader, const xmlNode *type,
			      const struct rg_loader_primitive *primitive, uint64_t *raw)
{
	const char *text = type ? rg_schema_xml_attribute(type, "nullValue") : NULL;

	*raw = primitive->null_value;
	if (!text)
		return RG_OK;
	if (primitive->kind == RG_FIELD_FLOAT)
		return strcmp(text, "NaN")
			       ? rg_loader_fail(loader, type, RG_EINVAL,
						"nullValue=\"%.40s\": the null of floats is NaN",
						text)
			       : RG_OK;
	if (primitive->kind == RG_FIELD_CHARS)
		return *text && strcmp(text, "0")
			       ? rg_loader_fail(loader, type, RG_EINVAL,
						"nullValue=\"%.40s\": the null of "
						"characters is the empty string, \"0\"",
						text)
			       : RG_OK;
	if (!parse_raw(text, primitive, raw))
		return rg_loader_fail(loader, type, RG_EINVAL,
				      "nullValue=\"%.40s\" does not fit %s", text, primitive->name);
	return RG_OK;
}

/* A constant integer: the element's text. */
int rg_loader_type_constant(const struct rg_loader *loader, const xmlNode *type,
			    const struct rg_loader_primitive *primitive, uint64_t *raw)
{
	char text[RG_LOADER_ELEMENT_TEXT_MAX];

	if (rg_schema_xml_attribute(type, "valueRef"))
		return rg_loader_fail(loader, type, RG_EINVAL,
				      "valueRef on a <type>: give a field the enum as its type, "
				      "presence=\"constant\" and the valueRef");
	if (primitive->kind != RG_FIELD_INT)
		return rg_loader_fail(
			loader, type, RG_EINVAL,
			"constants are integers or enum values: use an enum for a constant text");
	if (!rg_schema_xml_text(type, text, sizeof(text)) || !parse_raw(text, primitive, raw))
		return rg_loader_fail(loader, type, RG_EINVAL,
				      "its constant is no %s: write it between <type> and </type>",
				      primitive->name);
	return RG_OK;
}

/* Place one number or char array. `type` is its <type>, or NULL where a field names a primitive
 * itself. */
int rg_loader_place_scalar(struct rg_loader *loader, const struct rg_loader_place *place,
			   const xmlNode *type, const struct rg_loader_primitive *primitive,
			   uint32_t length, uint32_t *bytes)
{
	enum rg_loader_presence presence = RG_PRESENCE_UNSET;
	struct rg_field *field;
	int status = RG_OK;

	if (type)
		status = rg_loader_presence(loader, type, &presence);
	if (status)
		return status;
	if (presence != RG_PRESENCE_CONSTANT && place->presence != RG_PRESENCE_UNSET)
		presence = place->presence;
	if (presence == RG_PRESENCE_CONSTANT && !type)
		return rg_loader_fail(
			loader, place->node, RG_EINVAL,
			"a constant needs a <type> that holds its value, or an enum and valueRef");
	status = rg_loader_append_field(loader, place, &field);
	if (status)
		return status;
	field->kind = primitive->kind;
	field->bytes = primitive->bytes;
	field->is_signed = primitive->is_signed;
	field->length = primitive->kind == RG_FIELD_CHARS ? (uint16_t)length : 0;
	field->optional = presence == RG_PRESENCE_OPTIONAL;
	field->constant = presence == RG_PRESENCE_CONSTANT;
	*bytes = field->constant ? 0 : primitive->bytes * length;
	if (field->constant)
		return rg_loader_type_constant(loader, type, primitive, &field->null_value);
	if (field->optional)
		return rg_loader_type_null_value(loader, type, primitive, &field->null_value);
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
static int coded_encoding(const struct rg_loader *loader, const xmlNode *node, bool is_set,
			  struct rg_loader_coded *coded,
			  const struct rg_loader_primitive **primitive)
{
	const xmlNode *type = NULL;
	enum rg_loader_presence presence = RG_PRESENCE_UNSET;
	uint32_t length = 1;
	const char *name;
	int status = rg_loader_needed(loader, node, "encodingType", &name);

	if (status)
		return status;
	type = rg_loader_type_find(loader, name);
	*primitive = type ? NULL : rg_loader_primitive_find(name);
	if (type && rg_schema_xml_is(type, "type")) {
		if ((status = rg_loader_check_attributes(loader, type)) ||
		    (status = rg_loader_type_primitive(loader, type, primitive, &length)) ||
		    (status = rg_loader_presence(loader, type, &presence)) ||
		    (status = rg_loader_type_null_value(loader, type, *primitive,
							&coded->null_value)))
			return status;
	} else if (*primitive) {
		coded->null_value = (*primitive)->null_value;
	}
	if (!*primitive || length != 1 || (*primitive)->is_signed ||
	    (is_set && (*primitive)->kind == RG_FIELD_CHARS) || presence == RG_PRESENCE_CONSTANT)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"encodingType '%.40s': give %suint8, uint16, uint32 or uint64, or a "
			"<type> of these",
			name, is_set ? "" : "char, ");
	if (is_set && presence == RG_PRESENCE_OPTIONAL)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"a set has no null value (the empty set says that nothing is set): "
			"make its encodingType required");
	coded->bytes = (*primitive)->bytes;
	coded->optional = presence == RG_PRESENCE_OPTIONAL;
	return RG_OK;
}

/* The value of a <validValue> or the bit of a <choice>. */
static int coded_value(const struct rg_loader *loader, const xmlNode *node, bool is_set,
		       const struct rg_loader_coded *coded,
		       const struct rg_loader_primitive *primitive, uint64_t *value)
{
	char text[RG_LOADER_ELEMENT_TEXT_MAX];
	bool ok = rg_schema_xml_text(node, text, sizeof(text));

	if (is_set) {
		if (!ok || !rg_loader_parse_integer(text, 0, 8u * coded->bytes - 1, value))
			return rg_loader_fail(loader, node, RG_EINVAL,
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
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "give the value between the tags, one %s", primitive->name);
	if (coded->optional && *value == coded->null_value)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"%s is the null value of the encoding type: choose another value", text);
	return RG_OK;
}

static int coded_values(struct rg_loader *loader, const xmlNode *node, bool is_set,
			struct rg_loader_coded *coded, const struct rg_loader_primitive *primitive)
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
			return rg_loader_fail(loader, child, RG_EINVAL,
					      "only <%s> may stand in <%s>: remove it", element,
					      rg_schema_xml_element(node));
		if (coded->names_count >= ENUM_VALUES_MAX)
			return rg_loader_fail(loader, child, RG_ELIMIT,
					      "more than %u values: use an integer field",
					      ENUM_VALUES_MAX);
		if ((status = rg_loader_check_attributes(loader, child)) ||
		    (status = rg_loader_since(loader, child, 0, &since)) ||
		    (status = rg_loader_identifier(loader, child, sizeof(schema->names->name) - 1,
						   &name)) ||
		    (status = coded_value(loader, child, is_set, coded, primitive, &value)))
			return status;
		for (uint32_t i = coded->names_first; i < schema->table.name_count; i++) {
			if (schema->names[i].value == value)
				return rg_loader_fail(loader, child, RG_EINVAL,
						      "'%s' has the same value: give each its own",
						      schema->names[i].name);
			if (!strcmp(schema->names[i].name, name))
				return rg_loader_fail(loader, child, RG_EINVAL,
						      "the name is there already: rename one");
		}
		status = append_name(loader, child, name, value);
		if (status)
			return status;
		coded->names_count++;
	}
	if (!coded->names_count)
		return rg_loader_fail(loader, node, RG_EINVAL, "it has no <%s>: add one", element);
	qsort(schema->names + coded->names_first, coded->names_count, sizeof(*schema->names),
	      compare_names);
	return RG_OK;
}

/* An enum with the two names false and true is JSON's boolean; any other numbering of them would be
 * a trap. */
static int coded_boolean(const struct rg_loader *loader, const xmlNode *node,
			 struct rg_loader_coded *coded)
{
	const struct rg_field_name *names = loader->schema->names + coded->names_first;
	bool is_false = !strcmp(names[0].name, "false"), is_true;

	if (coded->names_count != 2)
		return RG_OK;
	is_true = !strcmp(names[1].name, "true");
	if ((is_false && is_true) ||
	    (!strcmp(names[0].name, "true") && !strcmp(names[1].name, "false"))) {
		if (!is_false || names[0].value != 0 || names[1].value != 1 || coded->bytes != 1)
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"a boolean is a uint8 enum with false 0 and true 1: renumber it");
		coded->is_boolean = true;
	}
	return RG_OK;
}

/* Parse the enum or set `node`, once. */
int rg_loader_coded_get(struct rg_loader *loader, const xmlNode *node,
			struct rg_loader_coded *coded)
{
	bool is_set = rg_schema_xml_is(node, "set");
	uintptr_t number = (uintptr_t)node->_private;
	const struct rg_loader_primitive *primitive;
	int status;

	if (number) {
		*coded = loader->coded[number - 1];
		return RG_OK;
	}
	memset(coded, 0, sizeof(*coded));
	if ((status = rg_loader_check_attributes(loader, node)) ||
	    (status = coded_encoding(loader, node, is_set, coded, &primitive)) ||
	    (status = coded_values(loader, node, is_set, coded, primitive)) ||
	    (!is_set && (status = coded_boolean(loader, node, coded))) ||
	    (status = rg_loader_grow(loader, (void **)&loader->coded, &loader->coded_capacity,
				     loader->coded_count, sizeof(*coded))))
		return status;
	loader->coded[loader->coded_count++] = *coded;
	((xmlNode *)node)->_private = (void *)loader->coded_count;
	return RG_OK;
}

/* valueRef="Enum.value" of a constant enum field. */
static int coded_constant(const struct rg_loader *loader, const struct rg_loader_place *place,
			  const xmlNode *type, const struct rg_loader_coded *coded, uint64_t *raw)
{
	const char *name = rg_schema_xml_attribute(type, "name");
	const char *dot = place->value_ref ? strchr(place->value_ref, '.') : NULL;

	if (!dot || (size_t)(dot - place->value_ref) != strlen(name) ||
	    strncmp(place->value_ref, name, strlen(name)))
		return rg_loader_fail(
			loader, place->node, RG_EINVAL,
			"a constant enum needs valueRef=\"%.64s.<one of its values>\"", name);
	for (uint32_t i = 0; i < coded->names_count; i++) {
		const struct rg_field_name *value = &loader->schema->names[coded->names_first + i];

		if (!strcmp(value->name, dot + 1)) {
			*raw = value->value;
			return RG_OK;
		}
	}
	return rg_loader_fail(loader, place->node, RG_EINVAL,
			      "valueRef: the enum '%.64s' has no value '%.56s'", name, dot + 1);
}

int rg_loader_place_enum(struct rg_loader *loader, const struct rg_loader_place *place,
			 const xmlNode *type, uint32_t *bytes)
{
	struct rg_field *field;
	struct rg_loader_coded coded;
	int status;

	if ((status = rg_loader_coded_get(loader, type, &coded)) ||
	    (status = rg_loader_append_field(loader, place, &field)))
		return status;
	field->kind = coded.is_boolean ? RG_FIELD_BOOL : RG_FIELD_ENUM;
	field->bytes = coded.bytes;
	field->names_first = coded.names_first;
	field->names_count = coded.names_count;
	field->constant = place->presence == RG_PRESENCE_CONSTANT;
	field->optional = place->presence == RG_PRESENCE_OPTIONAL ||
			  (place->presence == RG_PRESENCE_UNSET && coded.optional);
	*bytes = field->constant ? 0 : coded.bytes;
	if (field->constant)
		return coded_constant(loader, place, type, &coded, &field->null_value);
	if (!field->optional)
		return RG_OK;
	field->null_value = coded.null_value;
	for (uint32_t i = 0; i < coded.names_count; i++) {
		const struct rg_field_name *value = &loader->schema->names[coded.names_first + i];

		if (value->value == coded.null_value)
			return rg_loader_fail(
				loader, place->node, RG_EINVAL,
				"it is optional, but its enum names the null value %llu "
				"('%s'): use a wider or another encodingType",
				(unsigned long long)coded.null_value, value->name);
	}
	return RG_OK;
}

int rg_loader_place_set(struct rg_loader *loader, const struct rg_loader_place *place,
			const xmlNode *type, uint32_t *bytes)
{
	struct rg_field *field;
	struct rg_loader_coded coded;
	int status;

	if (place->presence == RG_PRESENCE_OPTIONAL || place->presence == RG_PRESENCE_CONSTANT)
		return rg_loader_fail(
			loader, place->node, RG_EINVAL,
			"a set is always required (the empty set says that nothing is set): "
			"remove presence");
	if ((status = rg_loader_coded_get(loader, type, &coded)) ||
	    (status = rg_loader_append_field(loader, place, &field)))
		return status;
	field->kind = RG_FIELD_SET;
	field->bytes = coded.bytes;
	field->names_first = coded.names_first;
	field->names_count = coded.names_count;
	*bytes = coded.bytes;
	return RG_OK;
}

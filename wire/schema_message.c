/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/schema_loader.h"

#include <stdio.h>
#include <string.h>

#include "wire/decision.h"

#define EXPONENT_MAX 18 /* of a constant decimal exponent, either sign */

/* ---- composites ---- */

static int place_type(struct rg_loader *loader, const struct rg_loader_place *place,
		      const xmlNode *type, uint32_t *bytes);

/* What a composite's member is made of: itself, or what its <ref> names. */
static int member_type(const struct rg_loader *loader, const xmlNode *member, const xmlNode **type)
{
	const char *name;
	int status = rg_loader_check_attributes(loader, member);

	*type = member;
	if (status || !rg_schema_xml_is(member, "ref"))
		return status;
	status = rg_loader_needed(loader, member, "type", &name);
	if (status)
		return status;
	*type = rg_loader_type_find(loader, name);
	if (!*type)
		return rg_loader_fail(loader, member, RG_ENOENT, "no type '%.64s' in <types>%s",
				      name,
				      rg_loader_primitive_find(name)
					      ? ": use <type primitiveType=...> for a primitive"
					      : ": define it or correct the name");
	return RG_OK;
}

/* The offset of the next member or field: where the last one ended, or further on as `offset` says.
 */
static int next_offset(const struct rg_loader *loader, const xmlNode *node, uint32_t *offset)
{
	uint32_t wanted = *offset;
	int status = rg_loader_number(loader, node, "offset", UINT16_MAX, &wanted, NULL);

	if (status)
		return status;
	if (wanted < *offset)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
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

static int place_decimal(struct rg_loader *loader, const struct rg_loader_place *place,
			 const xmlNode *mantissa, const xmlNode *exponent, uint32_t *bytes)
{
	const struct rg_loader_primitive *mantissa_primitive, *exponent_primitive;
	enum rg_loader_presence mantissa_presence, exponent_presence;
	const xmlNode *mantissa_type, *exponent_type;
	uint32_t length, at = 0;
	struct rg_field *field;
	uint64_t raw = 0;
	int status;

	if ((status = member_type(loader, mantissa, &mantissa_type)) ||
	    (status = member_type(loader, exponent, &exponent_type)))
		return status;
	if (!rg_schema_xml_is(mantissa_type, "type") || !rg_schema_xml_is(exponent_type, "type"))
		return rg_loader_fail(loader, mantissa, RG_EINVAL,
				      "mantissa and exponent of a decimal are <type>s");
	if ((status = rg_loader_check_attributes(loader, mantissa_type)) ||
	    (status = rg_loader_check_attributes(loader, exponent_type)) ||
	    (status = rg_loader_type_primitive(loader, mantissa_type, &mantissa_primitive,
					       &length)) ||
	    (status = rg_loader_type_primitive(loader, exponent_type, &exponent_primitive,
					       &length)) ||
	    (status = rg_loader_presence(loader, mantissa_type, &mantissa_presence)) ||
	    (status = rg_loader_presence(loader, exponent_type, &exponent_presence)))
		return status;
	if (mantissa_primitive->kind != RG_FIELD_INT || mantissa_presence == RG_PRESENCE_CONSTANT)
		return rg_loader_fail(loader, mantissa, RG_EINVAL,
				      "the mantissa of a decimal is an integer and not constant");
	if (exponent_primitive->bytes != 1 || !exponent_primitive->is_signed ||
	    exponent_presence == RG_PRESENCE_OPTIONAL)
		return rg_loader_fail(loader, exponent, RG_EINVAL,
				      "the exponent of a decimal is an int8, required or constant");
	if (place->presence == RG_PRESENCE_CONSTANT)
		return rg_loader_fail(
			loader, place->node, RG_EINVAL,
			"a decimal cannot be constant: put the number into the policy's data");
	status = rg_loader_append_field(loader, place, &field);
	if (status)
		return status;
	field->bytes = mantissa_primitive->bytes;
	field->is_signed = mantissa_primitive->is_signed;
	field->optional =
		place->presence == RG_PRESENCE_OPTIONAL ||
		(place->presence == RG_PRESENCE_UNSET && mantissa_presence == RG_PRESENCE_OPTIONAL);
	if (field->optional &&
	    (status = rg_loader_type_null_value(loader, mantissa_type, mantissa_primitive,
						&field->null_value)))
		return status;
	if ((status = next_offset(loader, mantissa, &at)))
		return status;
	field->offset = place->offset + at;
	at += field->bytes;
	if (exponent_presence == RG_PRESENCE_CONSTANT) {
		int64_t value;

		if ((status = rg_loader_type_constant(loader, exponent_type, exponent_primitive,
						      &raw)))
			return status;
		value = rg_field_extend(raw, 1, true);
		if (value < -EXPONENT_MAX || value > EXPONENT_MAX)
			return rg_loader_fail(loader, exponent, RG_ELIMIT,
					      "exponent %lld: riskgate reads -%d to %d",
					      (long long)value, EXPONENT_MAX, EXPONENT_MAX);
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
static int place_members(struct rg_loader *loader, const struct rg_loader_place *place,
			 const xmlNode *composite, uint32_t *bytes)
{
	char path[2 * sizeof(((struct rg_field *)0)->path)];
	uint32_t at = 0;
	int status;

	for (const xmlNode *member = rg_schema_xml_first(composite); member;
	     member = rg_schema_xml_next(member)) {
		struct rg_loader_place inner = {.node = member,
						.path = path,
						.id = place->id,
						.presence = RG_PRESENCE_UNSET};
		const xmlNode *type;
		uint32_t member_bytes;
		const char *name;

		if ((status = member_type(loader, member, &type)) ||
		    (status = rg_loader_identifier(
			     loader, member, sizeof(((struct rg_field *)0)->path) - 1, &name)) ||
		    (status = rg_loader_since(loader, member, place->since_version,
					      &inner.since_version)) ||
		    (status = next_offset(loader, member, &at)))
			return status;
		for (const xmlNode *other = rg_schema_xml_first(composite); other != member;
		     other = rg_schema_xml_next(other)) {
			if (!strcmp(rg_schema_xml_attribute(other, "name"), name))
				return rg_loader_fail(
					loader, member, RG_EINVAL,
					"the composite has this member already: rename one");
		}
		if (snprintf(path, sizeof(path), "%s.%s", place->path, name) >=
		    (int)sizeof(((struct rg_field *)0)->path))
			return rg_loader_fail(
				loader, member, RG_ELIMIT,
				"the path '%s' is longer than %zu characters: shorten the names",
				path, sizeof(((struct rg_field *)0)->path) - 1);
		inner.offset = place->offset + at;
		status = place_type(loader, &inner, type, &member_bytes);
		if (status)
			return status;
		at += member_bytes;
		if (at > RG_SCHEMA_BLOCK_BYTES_MAX)
			return rg_loader_fail(loader, member, RG_ELIMIT,
					      "the composite is longer than %u bytes",
					      RG_SCHEMA_BLOCK_BYTES_MAX);
	}
	if (!rg_schema_xml_first(composite))
		return rg_loader_fail(loader, composite, RG_EINVAL,
				      "the composite has no members: add some");
	*bytes = at;
	return RG_OK;
}

static int place_composite(struct rg_loader *loader, const struct rg_loader_place *place,
			   const xmlNode *composite, uint32_t *bytes)
{
	const xmlNode *mantissa, *exponent;
	int status;

	if (decimal_members(composite, &mantissa, &exponent))
		return place_decimal(loader, place, mantissa, exponent, bytes);
	if (place->presence == RG_PRESENCE_OPTIONAL || place->presence == RG_PRESENCE_CONSTANT)
		return rg_loader_fail(loader, place->node, RG_EINVAL,
				      "a composite has no presence of its own: give its members "
				      "presence=\"optional\"");
	for (uint32_t i = 0; i < loader->depth; i++) {
		if (loader->open[i] == composite)
			return rg_loader_fail(
				loader, place->node, RG_EINVAL,
				"the composite '%.64s' contains itself: break the cycle of refs",
				rg_schema_xml_attribute(composite, "name"));
	}
	if (loader->depth == RG_SCHEMA_DEPTH_MAX)
		return rg_loader_fail(loader, place->node, RG_ELIMIT,
				      "composites more than %d deep: flatten them",
				      RG_SCHEMA_DEPTH_MAX);
	loader->open[loader->depth++] = composite;
	status = place_members(loader, place, composite, bytes);
	loader->depth--;
	return status;
}

/* Place a value of `type`, a <type>, <enum>, <set> or <composite>, at place->offset; *bytes gets
 * its size. */
static int place_type(struct rg_loader *loader, const struct rg_loader_place *place,
		      const xmlNode *type, uint32_t *bytes)
{
	const struct rg_loader_primitive *primitive;
	uint32_t length;
	int status = rg_loader_check_attributes(loader, type);

	if (status)
		return status;
	if (rg_schema_xml_is(type, "enum"))
		return rg_loader_place_enum(loader, place, type, bytes);
	if (rg_schema_xml_is(type, "set"))
		return rg_loader_place_set(loader, place, type, bytes);
	if (rg_schema_xml_is(type, "composite"))
		return place_composite(loader, place, type, bytes);
	if (!rg_schema_xml_is(type, "type"))
		return rg_loader_fail(
			loader, type, RG_EINVAL,
			"not a type: give <type>, <enum>, <set>, <composite> or <ref>");
	status = rg_loader_type_primitive(loader, type, &primitive, &length);
	return status ? status
		      : rg_loader_place_scalar(loader, place, type, primitive, length, bytes);
}

/* ---- messages ---- */

/* New rows of one <field> must not be older than those before them: the extension rule cuts a block
 * at one offset. */
static int check_since(struct rg_loader *loader, const xmlNode *node, uint32_t from)
{
	for (uint32_t i = from; i < loader->schema->table.field_count; i++) {
		const struct rg_field *field = &loader->schema->fields[i];

		if (field->constant)
			continue;
		if (field->since_version < loader->last_since)
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"'%s' is of version %u but lies behind fields of version %u: "
				"append new fields at the end",
				field->path, field->since_version, loader->last_since);
		loader->last_since = field->since_version;
	}
	return RG_OK;
}

static int check_field_unique(const struct rg_loader *loader, const xmlNode *node, const char *name,
			      uint32_t id)
{
	for (const xmlNode *other = rg_schema_xml_first(loader->message); other != node;
	     other = rg_schema_xml_next(other)) {
		const char *other_name = rg_schema_xml_attribute(other, "name"),
			   *other_id = rg_schema_xml_attribute(other, "id");
		uint64_t value;

		if (other_name && !strcmp(other_name, name))
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"the message has a field of this name already: rename one");
		if (other_id && rg_loader_parse_integer(other_id, 0, UINT16_MAX, &value) &&
		    value == id)
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"the message has a field with id %u already ('%.64s'): "
				"renumber one",
				id, other_name);
	}
	return RG_OK;
}

static int place_field(struct rg_loader *loader, const xmlNode *node, uint32_t *offset)
{
	uint32_t from = loader->schema->table.field_count, id = 0, bytes;
	const struct rg_loader_primitive *primitive;
	struct rg_loader_place place = {.node = node};
	const char *type_name;
	const xmlNode *type;
	bool has_id;
	int status;

	if (rg_schema_xml_is(node, "group"))
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"requests have no repeating groups: use numbered fields or separate "
			"messages");
	if (rg_schema_xml_is(node, "data"))
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"requests have no variable data: use a char type with a fixed length");
	if (!rg_schema_xml_is(node, "field"))
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "only <field> may stand in a message: remove it");
	if (from - loader->message_fields_first >= RG_SCHEMA_FIELDS_MAX)
		return rg_loader_fail(loader, node, RG_ELIMIT,
				      "the message has more than %u values: split it",
				      RG_SCHEMA_FIELDS_MAX);
	if ((status = rg_loader_check_attributes(loader, node)) ||
	    (status = rg_loader_identifier(loader, node, sizeof(((struct rg_field *)0)->path) - 1,
					   &place.path)) ||
	    (status = rg_loader_number(loader, node, "id", UINT16_MAX, &id, &has_id)) ||
	    (status = rg_loader_needed(loader, node, "type", &type_name)) ||
	    (status = rg_loader_presence(loader, node, &place.presence)) ||
	    (status = rg_loader_since(loader, node, 0, &place.since_version)) ||
	    (status = next_offset(loader, node, offset)))
		return status;
	if (!has_id)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"the attribute 'id' is missing: give each field its own number");
	status = check_field_unique(loader, node, place.path, id);
	if (status)
		return status;
	place.id = (uint16_t)id;
	place.offset = *offset;
	place.value_ref = rg_schema_xml_attribute(node, "valueRef");
	type = rg_loader_type_find(loader, type_name);
	primitive = type ? NULL : rg_loader_primitive_find(type_name);
	if (place.value_ref &&
	    (!type || !rg_schema_xml_is(type, "enum") || place.presence != RG_PRESENCE_CONSTANT))
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"valueRef needs presence=\"constant\" and the enum as the field's type");
	if (type)
		status = place_type(loader, &place, type, &bytes);
	else if (primitive)
		status = rg_loader_place_scalar(loader, &place, NULL, primitive, 1, &bytes);
	else
		status = rg_loader_fail(loader, node, RG_ENOENT,
					"no type '%.64s': define it in <types> or correct the name",
					type_name);
	if (!status)
		status = check_since(loader, node, from);
	if (status)
		return status;
	*offset += bytes;
	if (*offset > RG_SCHEMA_BLOCK_BYTES_MAX)
		return rg_loader_fail(loader, node, RG_ELIMIT,
				      "the block grows beyond %u bytes: shorten the message",
				      RG_SCHEMA_BLOCK_BYTES_MAX);
	return RG_OK;
}

/* first: the message's first field, NULL if it has none. */
static int check_request(const struct rg_loader *loader, const xmlNode *node,
			 const struct rg_template *template, const struct rg_field *first)
{
	if (template->template_id == RG_DECISION_TEMPLATE_ID)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"template id %d belongs to the message Decision: choose another",
			RG_DECISION_TEMPLATE_ID);
	if (!first || strcmp(first->path, "request_id") || first->kind != RG_FIELD_INT ||
	    first->bytes != 8 || first->is_signed || first->optional || first->constant ||
	    first->offset || first->since_version)
		return rg_loader_fail(loader, node, RG_EINVAL,
				      "the first field of a request is its id: begin with <field "
				      "name=\"request_id\" id=\"...\" type=\"uint64\"/>");
	return RG_OK;
}

int rg_loader_place_message(struct rg_loader *loader, const xmlNode *node)
{
	struct rg_schema *schema = loader->schema;
	uint32_t id = 0, offset = 0, block_length = 0;
	const struct rg_field *fields;
	struct rg_template *template;
	const char *name;
	uint16_t since;
	bool has_id, has_length;
	int status;

	if ((status = rg_loader_check_attributes(loader, node)) ||
	    (status = rg_loader_identifier(loader, node, sizeof(template->name) - 1, &name)) ||
	    (status = rg_loader_number(loader, node, "id", UINT16_MAX, &id, &has_id)) ||
	    (status = rg_loader_number(loader, node, "blockLength", RG_SCHEMA_BLOCK_BYTES_MAX,
				       &block_length, &has_length)) ||
	    (status = rg_loader_since(loader, node, 0, &since)))
		return status;
	if (!has_id)
		return rg_loader_fail(
			loader, node, RG_EINVAL,
			"the attribute 'id' is missing: give each message its own number");
	for (uint32_t i = 0; i < schema->table.template_count; i++) {
		if (schema->templates[i].template_id == id)
			return rg_loader_fail(loader, node, RG_EINVAL,
					      "message '%s' has id %u already: renumber one",
					      schema->templates[i].name, id);
		if (!strcmp(schema->templates[i].name, name))
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"there is a message of this name already: rename one");
	}
	if (schema->table.template_count >= RG_SCHEMA_TEMPLATES_MAX)
		return rg_loader_fail(loader, node, RG_ELIMIT, "more than %u messages",
				      RG_SCHEMA_TEMPLATES_MAX);
	status = rg_loader_grow(loader, (void **)&schema->templates, &schema->templates_capacity,
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
		return rg_loader_fail(
			loader, node, RG_EINVAL,
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
	return status ? rg_loader_fail(loader, node, status, "%s",
				       loader->err ? loader->err->text
						   : "not the layout of a decision")
		      : RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/schema_loader.h"

/* ---- the file ---- */

static int collect_types(struct rg_loader *loader, const xmlNode *types)
{
	for (xmlNode *node = rg_schema_xml_first(types); node; node = rg_schema_xml_next(node)) {
		const char *name;
		int status;

		if ((status = rg_loader_check_attributes(loader, node)) ||
		    (status = rg_loader_identifier(loader, node, RG_LOADER_ELEMENT_TEXT_MAX - 1,
						   &name)))
			return status;
		if (!rg_schema_xml_is(node, "type") && !rg_schema_xml_is(node, "composite") &&
		    !rg_schema_xml_is(node, "enum") && !rg_schema_xml_is(node, "set"))
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"only <type>, <composite>, <enum> and <set> may stand in "
				"<types>: remove it");
		if (rg_loader_type_find(loader, name))
			return rg_loader_fail(loader, node, RG_EINVAL,
					      "there is a type of this name already: rename one");
		if (loader->type_count == RG_LOADER_TYPES_MAX)
			return rg_loader_fail(loader, node, RG_ELIMIT, "more than %d types",
					      RG_LOADER_TYPES_MAX);
		loader->types[loader->type_count++] = node;
	}
	return RG_OK;
}

/* Enums and sets are checked also where no message uses them yet. */
static int check_types(struct rg_loader *loader)
{
	for (uint32_t i = 0; i < loader->type_count; i++) {
		struct rg_loader_coded coded;
		int status;

		if (!rg_schema_xml_is(loader->types[i], "enum") &&
		    !rg_schema_xml_is(loader->types[i], "set"))
			continue;
		status = rg_loader_coded_get(loader, loader->types[i], &coded);
		if (status)
			return status;
	}
	return RG_OK;
}

/* The header composite must be SBE 1.0's own: riskgate reads it before it knows anything else. */
static int check_header(const struct rg_loader *loader, const xmlNode *root)
{
	static const char *const members[] = {"blockLength", "templateId", "schemaId", "version"};
	const char *name = rg_schema_xml_attribute(root, "headerType");
	const xmlNode *header = rg_loader_type_find(loader, name ? name : "messageHeader");
	const xmlNode *member = header ? rg_schema_xml_first(header) : NULL;
	bool ok = header && rg_schema_xml_is(header, "composite");
	size_t i;

	for (i = 0; ok && member && i < 4; i++, member = rg_schema_xml_next(member)) {
		const char *member_name = rg_schema_xml_attribute(member, "name");
		const xmlNode *type = member;
		const char *primitive;

		if (rg_schema_xml_is(member, "ref") && rg_schema_xml_attribute(member, "type"))
			type = rg_loader_type_find(loader, rg_schema_xml_attribute(member, "type"));
		primitive = type ? rg_schema_xml_attribute(type, "primitiveType") : NULL;
		ok = member_name && !strcmp(member_name, members[i]) && primitive &&
		     !strcmp(primitive, "uint16") && !rg_schema_xml_attribute(member, "offset");
	}
	if (!ok || i != 4 || member)
		return rg_loader_fail(
			loader, header ? header : root, RG_EINVAL,
			"the composite '%.64s' must be SBE 1.0's header: blockLength, "
			"templateId, schemaId, version, each uint16",
			name ? name : "messageHeader");
	return RG_OK;
}

static int load_root(struct rg_loader *loader, const xmlNode *root)
{
	const char *package = rg_schema_xml_attribute(root, "package"),
		   *order = rg_schema_xml_attribute(root, "byteOrder");
	struct rg_schema *schema = loader->schema;
	uint32_t id = 0, version = 0;
	bool has_id;
	int status;

	if (!rg_schema_xml_is(root, "messageSchema"))
		return rg_loader_fail(
			loader, root, RG_EINVAL,
			"not an SBE schema: the outermost element must be <messageSchema>");
	if ((status = rg_loader_check_attributes(loader, root)) ||
	    (status = rg_loader_number(loader, root, "id", UINT16_MAX, &id, &has_id)) ||
	    (status = rg_loader_number(loader, root, "version", UINT16_MAX, &version, NULL)))
		return status;
	if (!has_id)
		return rg_loader_fail(loader, root, RG_EINVAL,
				      "the attribute 'id' is missing: give the schema a number");
	if (order && strcmp(order, "littleEndian"))
		return rg_loader_fail(loader, root, RG_EINVAL,
				      "byteOrder=\"%.40s\": riskgate reads littleEndian only",
				      order);
	schema->id = (uint16_t)id;
	schema->version = (uint16_t)version;
	snprintf(schema->package, sizeof(schema->package), "%s", package ? package : "");

	for (const xmlNode *node = rg_schema_xml_first(root); node;
	     node = rg_schema_xml_next(node)) {
		if (rg_schema_xml_is(node, "types")) {
			if ((status = rg_loader_check_attributes(loader, node)) ||
			    (status = collect_types(loader, node)))
				return status;
		} else if (!rg_schema_xml_is(node, "message")) {
			return rg_loader_fail(
				loader, node, RG_EINVAL,
				"only <types> and <message> may stand in a schema (includes "
				"are not followed): remove it");
		}
	}
	if ((status = check_header(loader, root)) || (status = check_types(loader)))
		return status;
	for (const xmlNode *node = rg_schema_xml_first(root); node;
	     node = rg_schema_xml_next(node)) {
		if (rg_schema_xml_is(node, "message") &&
		    (status = rg_loader_place_message(loader, node)))
			return status;
	}
	if (!schema->table.template_count)
		return rg_loader_fail(loader, root, RG_EINVAL, "it has no <message>: add one");
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

static int index_templates(const struct rg_loader *loader, struct rg_schema *schema)
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
	struct rg_loader *loader = calloc(1, sizeof(*loader));
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
	loader->err = err ? err : &here; /* rg_loader_place_message() puts a place in front of an
					    error's text */
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

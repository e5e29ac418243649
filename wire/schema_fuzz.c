/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a schema file. What loads must be a table that a decoder can trust. */
#include "wire/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_field(const struct rg_field_table *table, const struct rg_template *template,
			const struct rg_field *field)
{
	check(field->path[0] && memchr(field->path, 0, sizeof(field->path)) != NULL);
	check(field->bytes == 1 || field->bytes == 2 || field->bytes == 4 || field->bytes == 8);
	check(rg_field_extent(field) <= template->block_length);
	check((field->kind == RG_FIELD_CHARS) == (field->length > 0));
	check(field->names_count <= table->name_count &&
	      field->names_first <= table->name_count - field->names_count);
	for (uint32_t i = 0; field->kind == RG_FIELD_SET && i < field->names_count; i++)
		check(table->names[field->names_first + i].value < 8u * field->bytes);
	for (uint32_t i = 1; i < field->names_count; i++)
		check(table->names[field->names_first + i - 1].value <
		      table->names[field->names_first + i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rg_field_table *table;
	struct rg_schema *schema;
	struct rg_error err = {0};
	int status = rg_schema_load_memory((const char *)data, size, "fuzz.xml", &schema, &err);

	if (status) {
		check(!schema && err.status == status && err.text[0]);
		return 0;
	}
	table = rg_schema_fields(schema);
	check(table->template_count > 0);
	for (uint32_t t = 0; t < table->template_count; t++) {
		const struct rg_template *template = &table->templates[t];
		const struct rg_field *fields = &table->fields[template->fields_first];

		check(template->fields_count > 0 &&
		      template->fields_first + template->fields_count <= table->field_count);
		check(rg_schema_template_by_id(schema, template->schema_id,
					       template->template_id) == template);
		check(!strcmp(fields[0].path, "request_id") && fields[0].offset == 0 &&
		      fields[0].bytes == 8);
		for (uint32_t i = 0; i < template->fields_count; i++)
			check_field(table, template, &fields[i]);
	}
	rg_schema_free(schema);
	return 0;
}

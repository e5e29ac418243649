/* SPDX-License-Identifier: Apache-2.0 */
/* rg_sbe_text_write() against rg_sbe_to_json() without its nulls, on random messages of every
 * template of a schema. */
#include "wire/sbe_text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

static void append(char *out, size_t *bytes, const char *text, size_t count)
{
	memcpy(out + *bytes, text, count);
	*bytes += count;
}

/* Copy the members of an object whose '{' was read, without nulls and empty objects. */
static void copy_object(struct rg_json_reader *json, char *out, size_t *bytes)
{
	append(out, bytes, "{", 1);
	while (rg_json_next(json) == RG_JSON_KEY) {
		size_t before = *bytes;
		const char *key = json->token_at, *value;
		size_t key_bytes = json->text_bytes + 2;
		enum rg_json_token token = rg_json_next(json);

		if (token == RG_JSON_NULL)
			continue;
		if (out[*bytes - 1] != '{')
			append(out, bytes, ",", 1);
		append(out, bytes, key, key_bytes);
		append(out, bytes, ":", 1);
		value = json->token_at;
		if (token == RG_JSON_OBJECT_BEGIN) {
			copy_object(json, out, bytes);
			if (out[*bytes - 2] == '{')
				*bytes = before;
			continue;
		}
		rg_json_skip(json);
		append(out, bytes, value, (size_t)(json->at - value));
	}
	append(out, bytes, "}", 1);
}

/* Mostly small values, sometimes nulls, names and texts, sometimes anything. */
static void fill(const struct rg_field_table *table, const struct rg_template *template,
		 uint8_t *block)
{
	for (uint32_t i = 0; i < template->block_length; i++)
		block[i] = (uint8_t)(rand() % 4 ? 0 : rand());
	for (uint32_t i = 0; i < template->fields_count; i++) {
		const struct rg_field *field = &table->fields[template->fields_first + i];
		uint8_t *at = block + field->offset;
		int kind = rand() % 4;

		if (field->constant)
			continue;
		if (field->kind == RG_FIELD_CHARS) {
			for (uint32_t j = 0; kind && j < field->length; j++)
				at[j] = (uint8_t)(kind == 1 ? rand() : ' ' + rand() % 95);
		} else if (kind == 0) {
			memcpy(at, &field->null_value, field->bytes);
		} else if (kind == 1 && field->names_count) {
			memcpy(at,
			       &table->names[field->names_first +
					     (uint32_t)rand() % field->names_count]
					.value,
			       field->bytes);
		} else if (kind == 2) {
			for (uint32_t j = 0; j < field->bytes; j++)
				at[j] = (uint8_t)rand();
		}
	}
}

static void compare(const struct rg_schema *schema, const struct rg_sbe_text *text,
		    const struct rg_template *template)
{
	uint8_t message[RG_SBE_HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX];
	uint32_t bytes = rand() % 4 ? template->block_length
				    : 8 + (uint32_t)rand() % (template->block_length - 7u);
	uint16_t version = (uint16_t)(rand() % 3);
	size_t max = rg_sbe_text_bytes_max(text, template), wanted_bytes = 0, got_bytes;
	struct rg_sbe_header header = {(uint16_t)bytes, template->template_id, template->schema_id,
				       version};
	struct rg_json_writer json;
	struct rg_json_reader reader;
	char *wanted, *got = malloc(max); /* of that size: a sanitizer sees a byte too many */

	rg_sbe_header_write(message, header);
	fill(rg_schema_fields(schema), template, message + RG_SBE_HEADER_BYTES);
	rg_json_writer_init(&json, false);
	assert(rg_sbe_to_json(schema, message, RG_SBE_HEADER_BYTES + bytes, &json, NULL) == RG_OK);
	wanted = malloc(json.bytes + 1);
	assert(wanted && got);
	rg_json_reader_init(&reader, json.text, json.bytes);
	assert(rg_json_next(&reader) == RG_JSON_OBJECT_BEGIN);
	copy_object(&reader, wanted, &wanted_bytes);
	got_bytes = rg_sbe_text_write(text, template, version, message + RG_SBE_HEADER_BYTES, bytes,
				      got);
	if (got_bytes != wanted_bytes || memcmp(got, wanted, got_bytes) != 0) {
		fprintf(stderr, "%s\ngot:  %.*s\nwant: %.*s\n", template->name, (int)got_bytes, got,
			(int)wanted_bytes, wanted);
		abort();
	}
	assert(got_bytes <= max);
	rg_json_writer_free(&json);
	free(wanted);
	free(got);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* CPU time of both ways, for whoever asks: wire_sbe_text_test SCHEMA --speed */
static void measure(const struct rg_schema *schema, const struct rg_sbe_text *text)
{
	const struct rg_template *template =
		rg_schema_template_by_name(schema, "PaymentAuthorization");
	uint8_t message[RG_SBE_HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX];
	struct rg_sbe_header header = {template->block_length, template->template_id,
				       template->schema_id, template->schema_version};
	char *out = malloc(rg_sbe_text_bytes_max(text, template));
	struct rg_json_writer json;
	enum { ROUNDS = 200000 };
	double began, slow, fast;

	rg_sbe_header_write(message, header);
	fill(rg_schema_fields(schema), template, message + RG_SBE_HEADER_BYTES);
	rg_json_writer_init(&json, false);
	began = seconds();
	for (int i = 0; i < ROUNDS; i++) {
		rg_json_writer_reset(&json);
		rg_sbe_to_json(schema, message, RG_SBE_HEADER_BYTES + template->block_length, &json,
			       NULL);
	}
	slow = seconds() - began;
	began = seconds();
	for (int i = 0; i < ROUNDS; i++)
		rg_sbe_text_write(text, template, template->schema_version,
				  message + RG_SBE_HEADER_BYTES, template->block_length, out);
	fast = seconds() - began;
	printf("a message: rg_sbe_to_json %.2f us, rg_sbe_text_write %.2f us, %.1f times as fast\n",
	       slow * 1e6 / ROUNDS, fast * 1e6 / ROUNDS, slow / fast);
	rg_json_writer_free(&json);
	free(out);
}

int main(int argc, char **argv)
{
	unsigned seed = (unsigned)time(NULL);
	struct rg_schema *schema;
	struct rg_sbe_text *text;
	struct rg_error err;

	assert(argc > 1);
	printf("seed %u\n", seed);
	srand(seed);
	assert(rg_schema_load(argv[1], &schema, &err) == RG_OK);
	assert(rg_sbe_text_new(schema, &text, &err) == RG_OK);
	if (argc > 2 && !strcmp(argv[2], "--speed")) {
		measure(schema, text);
	} else {
		const struct rg_field_table *table = rg_schema_fields(schema);

		for (int round = 0; round < 3000; round++)
			for (uint32_t i = 0; i < table->template_count; i++)
				compare(schema, text, &table->templates[i]);
	}
	rg_sbe_text_free(text);
	rg_schema_free(schema);
	return 0;
}

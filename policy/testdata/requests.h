/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small request schema with every kind of field, made by hand, and requests for it: the same
 * values as an SBE block and as JSON. For tests and fuzz targets of the policy room.
 */
#ifndef RG_POLICY_TESTDATA_REQUESTS_H
#define RG_POLICY_TESTDATA_REQUESTS_H

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/field.h"
#include "policy/compile/compile.h"

enum { REQUEST_TEMPLATE = 7, REQUEST_SCHEMA = 3, REQUEST_BYTES = 128 };

static const struct rg_field_name request_names[] = {
	/* 0: country, chars as an enum is not needed; user.risk_level */
	{0, "low"},
	{1, "medium"},
	{2, "high"},
	/* 3: side, a char enum */
	{'B', "BUY"},
	{'S', "SELL"},
	{'X', "CROSS"},
	/* 6: wide: values too far apart for a mask */
	{1, "ONE"},
	{70, "SEVENTY"},
	{1000, "MANY"},
	/* 9: flags */
	{0, "online"},
	{1, "chip"},
	{5, "recurring"},
	/* 12: vip */
	{0, "false"},
	{1, "true"},
};

static const struct rg_field request_fields[] = {
	{.path = "request_id", .kind = RG_FIELD_INT, .bytes = 8, .offset = 0},
	{.path = "amount",
	 .kind = RG_FIELD_DECIMAL,
	 .bytes = 8,
	 .is_signed = true,
	 .exponent = -2,
	 .offset = 8,
	 .optional = true,
	 .null_value = 0x8000000000000000ull},
	{.path = "limit",
	 .kind = RG_FIELD_DECIMAL,
	 .bytes = 8,
	 .is_signed = true,
	 .exponent = -2,
	 .offset = 16},
	{.path = "delta",
	 .kind = RG_FIELD_INT,
	 .bytes = 2,
	 .is_signed = true,
	 .offset = 24,
	 .optional = true,
	 .null_value = 0x8000},
	{.path = "count",
	 .kind = RG_FIELD_INT,
	 .bytes = 4,
	 .offset = 28,
	 .optional = true,
	 .null_value = 0xffffffff},
	{.path = "big", .kind = RG_FIELD_INT, .bytes = 8, .offset = 32},
	{.path = "price",
	 .kind = RG_FIELD_DECIMAL_VAR,
	 .bytes = 8,
	 .is_signed = true,
	 .offset = 40,
	 .exponent_offset = 48},
	{.path = "ratio", .kind = RG_FIELD_FLOAT, .bytes = 8, .offset = 56},
	{.path = "country", .kind = RG_FIELD_CHARS, .length = 2, .offset = 64, .optional = true},
	{.path = "merchant", .kind = RG_FIELD_CHARS, .length = 12, .offset = 66, .optional = true},
	{.path = "account", .kind = RG_FIELD_CHARS, .length = 4, .offset = 78},
	{.path = "user.risk_level",
	 .kind = RG_FIELD_ENUM,
	 .bytes = 1,
	 .offset = 82,
	 .optional = true,
	 .null_value = 255,
	 .names_first = 0,
	 .names_count = 3},
	{.path = "user.age",
	 .kind = RG_FIELD_INT,
	 .bytes = 1,
	 .offset = 83,
	 .optional = true,
	 .null_value = 255},
	{.path = "side",
	 .kind = RG_FIELD_ENUM,
	 .bytes = 1,
	 .offset = 84,
	 .optional = true,
	 .null_value = 0,
	 .names_first = 3,
	 .names_count = 3},
	{.path = "wide",
	 .kind = RG_FIELD_ENUM,
	 .bytes = 2,
	 .offset = 86,
	 .names_first = 6,
	 .names_count = 3},
	{.path = "flags",
	 .kind = RG_FIELD_SET,
	 .bytes = 1,
	 .offset = 88,
	 .names_first = 9,
	 .names_count = 3},
	{.path = "vip",
	 .kind = RG_FIELD_BOOL,
	 .bytes = 1,
	 .offset = 89,
	 .optional = true,
	 .null_value = 255,
	 .names_first = 12,
	 .names_count = 2},
	{.path = "kind",
	 .kind = RG_FIELD_ENUM,
	 .bytes = 1,
	 .constant = true,
	 .null_value = 2,
	 .names_first = 0,
	 .names_count = 3},
};
enum { REQUEST_FIELDS = sizeof(request_fields) / sizeof(request_fields[0]) };

static const struct rg_template request_templates[] = {{.name = "Payment",
							.template_id = REQUEST_TEMPLATE,
							.schema_id = REQUEST_SCHEMA,
							.block_length = REQUEST_BYTES,
							.fields_count = REQUEST_FIELDS}};

static const struct rg_field_table request_table = {
	.templates = request_templates,
	.fields = request_fields,
	.names = request_names,
	.template_count = 1,
	.field_count = REQUEST_FIELDS,
	.name_count = sizeof(request_names) / sizeof(request_names[0]),
	.fingerprint = 0x5eed,
};

/* A request in both forms. */
struct request {
	uint8_t block[REQUEST_BYTES];
	uint32_t block_bytes;
	char json[4096];
};

/* xorshift64*: small, and the same everywhere. */
struct chance {
	uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
	chance->state ^= chance->state >> 12;
	chance->state ^= chance->state << 25;
	chance->state ^= chance->state >> 27;
	return chance->state * 0x2545f4914f6cdd1dull;
}

static inline uint32_t chance_below(struct chance *chance, uint32_t bound)
{
	return (uint32_t)(chance_next(chance) >> 33) % bound;
}

/* mantissa x 10^exponent as plain decimal text. */
static inline void decimal_text(char *out, size_t bytes, int64_t mantissa, int exponent)
{
	char digits[32];
	uint64_t magnitude = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
	int count;

	if (exponent > 0) {
		snprintf(out, bytes, "%" PRId64 "%.*s", mantissa, mantissa ? exponent : 0,
			 "0000000000");
		return;
	}
	count = snprintf(digits, sizeof(digits), "%0*" PRIu64, 1 - exponent, magnitude);
	snprintf(out, bytes, "%s%.*s%s%s", mantissa < 0 ? "-" : "", count + exponent, digits,
		 exponent ? "." : "", digits + count + exponent);
	if (exponent < 0) { /* spelled shortest, as a decoder writes it */
		size_t end = strlen(out);

		while (out[end - 1] == '0')
			end--;
		if (out[end - 1] == '.')
			end--;
		out[end] = '\0';
	}
}

static inline uint64_t random_integer(struct chance *chance, const struct rg_field *field)
{
	static const int64_t amounts[] = {0,	   1,		-1,	 100, 700, 1234567, 15000,
					  9999999, 9999999 + 1, 5000001, -50, 50,  2500001};
	static const uint64_t edges[] = {
		INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX, UINT64_MAX - 1, 7, 49, 50, 101};
	uint64_t mask = field->bytes == 8 ? UINT64_MAX : (1ull << 8 * field->bytes) - 1;

	switch (chance_below(chance, 4)) {
	case 0: return edges[chance_below(chance, 8)] & mask;
	case 1: return (uint64_t)amounts[chance_below(chance, 13)] & mask;
	case 2: return chance_below(chance, 120) & mask;
	default: return chance_next(chance) & mask;
	}
}

static inline bool random_number(struct chance *chance, const struct rg_field *field,
				 uint8_t *block, char *text, size_t text_bytes)
{
	uint64_t raw = random_integer(chance, field);
	int exponent = field->exponent;

	if (field->kind == RG_FIELD_DECIMAL_VAR) {
		raw = chance_below(chance, 3) ? 125 : chance_below(chance, 1000);
		exponent = -(int)chance_below(chance, 4);
		block[field->exponent_offset] = (uint8_t)(int8_t)exponent;
	}
	memcpy(block + field->offset, &raw, field->bytes);
	if (field->optional && raw == field->null_value)
		return false;
	if (!field->is_signed)
		snprintf(text, text_bytes, "%" PRIu64, raw);
	else
		decimal_text(text, text_bytes, rg_field_extend(raw, field->bytes, true), exponent);
	return true;
}

static inline bool random_chars(struct chance *chance, const struct rg_field *field, uint8_t *block,
				char *text, size_t text_bytes)
{
	static const char *const words[] = {"",	       "KP",	       "US", "UZ", "IR", "ACME",
					    "BADSHOP", "ACMEACMEACME", "A1", "A2", "B2", "C3",
					    "Z9",      "10.1.2.3",     "11.0.0.0", "10.0.0.0/8",
					    "::1",     "fe80::1"};
	const char *word = words[chance_below(chance, sizeof(words) / sizeof(words[0]))];

	memset(block + field->offset, 0, field->length);
	memcpy(block + field->offset, word, strnlen(word, field->length));
	snprintf(text, text_bytes, "\"%.*s\"", field->length, word);
	return !(field->optional && !*word);
}

/* The name of a raw enum value, or NULL: absent or unnamed. */
static inline const char *name_of(const struct rg_field *field, uint64_t raw)
{
	for (uint32_t i = 0; i < field->names_count; i++) {
		if (request_names[field->names_first + i].value == raw)
			return request_names[field->names_first + i].name;
	}
	return NULL;
}

/* A named value mostly, else null, or one that has no name. */
static inline bool random_named(struct chance *chance, const struct rg_field *field, uint8_t *block,
				char *text, size_t text_bytes)
{
	uint32_t pick = chance_below(chance, field->names_count + 2);
	uint64_t raw = 200;
	const char *name;

	if (pick < field->names_count)
		raw = request_names[field->names_first + pick].value;
	else if (pick == field->names_count)
		raw = field->null_value;
	if (field->constant)
		raw = field->null_value;
	else
		memcpy(block + field->offset, &raw, field->bytes);
	name = name_of(field, raw);
	if (!name || (field->optional && raw == field->null_value))
		return false;
	snprintf(text, text_bytes, field->kind == RG_FIELD_BOOL ? "%s" : "\"%s\"", name);
	return true;
}

static inline void random_set(struct chance *chance, const struct rg_field *field, uint8_t *block,
			      char *text, size_t text_bytes)
{
	uint8_t raw = (uint8_t)chance_next(chance);
	size_t used = 1;

	block[field->offset] = raw;
	snprintf(text, text_bytes, "[");
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_field_name *name = &request_names[field->names_first + i];

		if (raw >> name->value & 1)
			used += (size_t)snprintf(text + used, text_bytes - used, "%s\"%s\"",
						 used > 1 ? "," : "", name->name);
	}
	snprintf(text + used, text_bytes - used, "]");
}

static inline bool random_float(struct chance *chance, const struct rg_field *field, uint8_t *block,
				char *text, size_t text_bytes)
{
	static const char *const spelled[] = {"0.75", "0.5", "1", "0.1", "0.7499999999999999",
					      "-2.5"};
	uint32_t pick = chance_below(chance, 7);
	double value = pick < 6 ? strtod(spelled[pick], NULL) : strtod("nan", NULL);

	memcpy(block + field->offset, &value, sizeof(value));
	snprintf(text, text_bytes, "%s", pick < 6 ? spelled[pick] : "");
	return pick < 6;
}

/* One field's random value into the block, and its JSON text; false if it is absent. */
static inline bool random_field(struct chance *chance, const struct rg_field *field, uint8_t *block,
				char *text, size_t text_bytes)
{
	switch (field->kind) {
	case RG_FIELD_CHARS: return random_chars(chance, field, block, text, text_bytes);
	case RG_FIELD_FLOAT: return random_float(chance, field, block, text, text_bytes);
	case RG_FIELD_SET: random_set(chance, field, block, text, text_bytes); return true;
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL: return random_named(chance, field, block, text, text_bytes);
	default: return random_number(chance, field, block, text, text_bytes);
	}
}

/* A random request; one in four is from a sender that knows fewer fields. */
static inline void random_request(struct chance *chance, struct request *request)
{
	char user[512] = "";
	size_t used = 1;

	memset(request, 0, sizeof(*request));
	request->block_bytes =
		chance_below(chance, 4) ? REQUEST_BYTES : chance_below(chance, REQUEST_BYTES);
	request->json[0] = '{';
	for (uint32_t i = 0; i < REQUEST_FIELDS; i++) {
		const struct rg_field *field = &request_fields[i];
		char text[128];

		if (!random_field(chance, field, request->block, text, sizeof(text)) ||
		    rg_field_extent(field) > request->block_bytes)
			continue;
		if (!strncmp(field->path, "user.", 5)) {
			size_t at = strlen(user);

			snprintf(user + at, sizeof(user) - at, "%s\"%s\":%s", at ? "," : "",
				 field->path + 5, text);
			continue;
		}
		used += (size_t)snprintf(request->json + used, sizeof(request->json) - used,
					 "%s\"%s\":%s", used > 1 ? "," : "", field->path, text);
	}
	snprintf(request->json + used, sizeof(request->json) - used, "%s\"user\":{%s}}",
		 used > 1 ? "," : "", user);
}

/* A whole file, NUL-terminated; the caller frees it. */
static inline char *read_file(const char *directory, const char *name, size_t *bytes)
{
	char path[4096];
	FILE *file;
	char *text;
	long size;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	assert(file);
	assert(!fseek(file, 0, SEEK_END));
	size = ftell(file);
	rewind(file);
	text = malloc((size_t)size + 1);
	assert(text && fread(text, 1, (size_t)size, file) == (size_t)size);
	text[size] = '\0';
	fclose(file);
	*bytes = (size_t)size;
	return text;
}

/* Take a rule's path out of a plan, so that it is not found as a verdict rule any more. */
static inline void hide_rule(char *plan, const char *package, const char *rule)
{
	char path[256], *at;

	snprintf(path, sizeof(path), "\"path\":[\"g0\",\"%s\",\"%s\"]", package, rule);
	at = strstr(plan, path);
	assert(at);
	at[strlen(path) - 3] = '_';
}

/* Compile a fixture: NAME.plan.json and, if has_data, NAME.data.json, bound to the template if package is not NULL.
 * hide: a rule to take away, or NULL. */
static inline void *compile_without(const char *directory, const char *name, bool has_data,
				    const char *package, const char *hide[2], bool marks,
				    struct rg_reason_list *reasons, size_t *image_bytes)
{
	const struct rg_binding binding = {"Payment", package};
	struct rg_compile_options options = {
		.bundle = name, .revision = "r1", .sequence = 42, .marks = marks};
	char file[256], *plan, *data = NULL;
	struct rg_error err = {0};
	void *image;

	snprintf(file, sizeof(file), "%s.plan.json", name);
	plan = read_file(directory, file, &options.plan_bytes);
	options.plan_json = plan;
	for (int i = 0; i < 2 && hide && hide[i]; i++)
		hide_rule(plan, package, hide[i]);
	if (has_data) {
		snprintf(file, sizeof(file), "%s.data.json", name);
		data = read_file(directory, file, &options.data_bytes);
		options.data_json = data;
	}
	if (package) {
		options.fields = &request_table;
		options.bindings = &binding;
		options.binding_count = 1;
		options.reasons = reasons;
	}
	if (rg_compile(&options, &image, image_bytes, &err)) {
		fprintf(stderr, "%s: %s\n", name, err.text);
		abort();
	}
	free(plan);
	free(data);
	return image;
}

static inline void *compile_fixture(const char *directory, const char *name, bool has_data,
				    const char *package, struct rg_reason_list *reasons,
				    size_t *image_bytes)
{
	return compile_without(directory, name, has_data, package, NULL, false, reasons,
			       image_bytes);
}

#endif

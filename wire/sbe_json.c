/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sbe_json.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "wire/decision.h"
#include "wire/sbe.h"

#define PATH_BYTES	sizeof(((struct rg_field *)0)->path)
#define NUMBER_TEXT_MAX 400
#define PLAIN_ZEROS_MAX 40 /* a number with more zeros than this is printed with an exponent */

static void store_raw(uint8_t *at, uint64_t raw, uint8_t bytes)
{
	memcpy(at, &raw, bytes); /* little-endian: the low bytes come first */
}

static uint64_t width_mask(uint8_t bytes)
{
	return bytes == 8 ? UINT64_MAX : (1ull << 8 * bytes) - 1;
}

/* ---- decimal numbers ---- */

/* coefficient x 10^exponent; the coefficient has no trailing zeros, and zero has exponent 0. */
struct decimal {
	bool negative;
	bool too_long; /* more digits than the coefficient can hold */
	uint64_t coefficient;
	int64_t exponent;
};

/* Multiply by 10^count. False on overflow. */
static bool shift_up(uint64_t *value, uint64_t count)
{
	for (; count && *value; count--) {
		if (*value > UINT64_MAX / 10)
			return false;
		*value *= 10;
	}
	return true;
}

static void push_digit(struct decimal *number, unsigned digit, uint32_t *zeros)
{
	if (!digit) {
		(*zeros)++; /* perhaps trailing: wait */
		return;
	}
	if (!shift_up(&number->coefficient, *zeros + 1u) ||
	    number->coefficient > UINT64_MAX - digit)
		number->too_long = true;
	else
		number->coefficient += digit;
	*zeros = 0;
}

/* Take apart the text of a JSON number (which the reader has checked). Exponents beyond +-10^9 are
 * cut to that. */
static struct decimal decimal_parse(const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes;
	struct decimal number = {.negative = *text == '-'};
	int64_t written = 0, fraction = 0;
	bool in_fraction = false, minus = false;
	uint32_t zeros = 0;

	if (number.negative)
		at++;
	for (; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			in_fraction = true;
			continue;
		}
		fraction += in_fraction;
		push_digit(&number, (unsigned)(*at - '0'), &zeros);
	}
	if (at < end && (*++at == '-' || *at == '+'))
		minus = *at++ == '-';
	for (; at < end; at++)
		written = written < 1000000000 ? written * 10 + (*at - '0') : written;
	if (number.coefficient || number.too_long)
		number.exponent = (minus ? -written : written) - fraction + zeros;
	return number;
}

/* Digits of coefficient x 10^exponent, plainly where that is short, with an exponent else. Returns
 * the length. */
static size_t decimal_print(char *out, size_t out_bytes, bool negative, uint64_t coefficient,
			    int exponent)
{
	const char *sign = negative && coefficient ? "-" : "";
	char digits[24];
	int count;

	while (coefficient && coefficient % 10 == 0) {
		coefficient /= 10;
		exponent++;
	}
	if (!coefficient)
		exponent = 0;
	count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)coefficient);
	if (exponent > PLAIN_ZEROS_MAX || exponent < -PLAIN_ZEROS_MAX)
		return (size_t)snprintf(out, out_bytes, "%s%se%d", sign, digits, exponent);
	if (exponent >= 0)
		return (size_t)snprintf(out, out_bytes, "%s%s%.*s", sign, digits, exponent,
					"0000000000000000000000000000000000000000");
	if (-exponent < count)
		return (size_t)snprintf(out, out_bytes, "%s%.*s.%s", sign, count + exponent, digits,
					digits + count + exponent);
	return (size_t)snprintf(out, out_bytes, "%s0.%.*s%s", sign, -exponent - count,
				"0000000000000000000000000000000000000000", digits);
}

/* Print the raw value of an integer or mantissa times 10^exponent. */
static size_t decimal_print_raw(char *out, size_t out_bytes, const struct rg_field *field,
				uint64_t raw, int exponent)
{
	int64_t value = rg_field_extend(raw, field->bytes, field->is_signed);
	bool negative = field->is_signed && value < 0;

	return decimal_print(out, out_bytes, negative,
			     negative ? 0 - (uint64_t)value : (uint64_t)value, exponent);
}

/* ---- JSON to SBE ---- */

struct encoder {
	const struct rg_field_table *table;
	const struct rg_template *template;
	struct rg_json_reader reader;
	struct rg_error *err;
	uint8_t *block;
	uint8_t seen[RG_SCHEMA_FIELDS_MAX / 8];
	char path[PATH_BYTES]; /* of the object being read, with a dot behind it; "" at the top */
};

static const struct rg_field *field_at(const struct encoder *encoder, uint32_t i)
{
	return &encoder->table->fields[encoder->template->fields_first + i];
}

static int fail(struct encoder *encoder, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "line L column C: text" for the token just read. */
static int fail(struct encoder *encoder, int status, const char *format, ...)
{
	char text[RG_ERROR_TEXT_BYTES];
	uint32_t line, column;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rg_json_place(&encoder->reader, &line, &column);
	return rg_error_set(encoder->err, status, "line %u column %u: %s", line, column, text);
}

/* How much of the token's text to show ("%.*s"): it is not terminated, and may be long. */
static int shown(const struct encoder *encoder)
{
	return encoder->reader.text_bytes < 60 ? (int)encoder->reader.text_bytes : 60;
}

static int fail_type(struct encoder *encoder, const char *path, const char *wanted)
{
	return fail(encoder, RG_EINVAL, "field '%s': give %s", path, wanted);
}

static int fail_unknown_key(struct encoder *encoder, const char *key)
{
	struct rg_suggestion nearest = {.wanted = key};
	size_t prefix = strlen(encoder->path);

	if (strchr(key, '.'))
		return fail(encoder, RG_EINVAL,
			    "'%s%s' is a path: write nested objects, {\"user\": {\"id\": 1}}",
			    encoder->path, key);
	for (uint32_t i = 0; i < encoder->template->fields_count; i++) {
		const char *path = field_at(encoder, i)->path;

		if (!strncmp(path, encoder->path, prefix))
			rg_suggestion_offer_n(&nearest, path + prefix, strcspn(path + prefix, "."));
	}
	if (nearest.best[0])
		return fail(encoder, RG_EINVAL, "%s has no field '%s%s': did you mean '%s%s'?",
			    encoder->template->name, encoder->path, key, encoder->path,
			    nearest.best);
	return fail(encoder, RG_EINVAL,
		    "%s has no field '%s%s': remove it, or add it to the schema",
		    encoder->template->name, encoder->path, key);
}

static int fail_range(struct encoder *encoder, const struct rg_field *field, int exponent)
{
	uint64_t mask = width_mask(field->bytes);
	char least[64], most[64];

	decimal_print_raw(least, sizeof(least), field, field->is_signed ? (mask >> 1) + 1 : 0,
			  exponent);
	decimal_print_raw(most, sizeof(most), field, field->is_signed ? mask >> 1 : mask, exponent);
	return fail(encoder, RG_EINVAL, "field '%s': %.*s is out of range: give %s to %s",
		    field->path, shown(encoder), encoder->reader.text, least, most);
}

/* Store a mantissa of the given sign after range and null checks. */
static int encode_mantissa(struct encoder *encoder, const struct rg_field *field, bool negative,
			   uint64_t magnitude, int exponent)
{
	uint64_t mask = width_mask(field->bytes),
		 raw = (negative ? 0 - magnitude : magnitude) & mask;
	uint64_t bound = !field->is_signed ? (negative ? 0 : mask) : (mask >> 1) + negative;

	if (magnitude > bound)
		return fail_range(encoder, field, exponent);
	if (field->optional && raw == field->null_value)
		return fail(encoder, RG_EINVAL,
			    "field '%s': this number stands for null on the wire: leave the field "
			    "out or give null",
			    field->path);
	store_raw(encoder->block + field->offset, raw, field->bytes);
	return RG_OK;
}

/* An integer (exponent 0) or a decimal with a constant exponent: exactly, or not at all. */
static int encode_scaled(struct encoder *encoder, const struct rg_field *field, int exponent)
{
	struct decimal number = decimal_parse(encoder->reader.text, encoder->reader.text_bytes);
	uint64_t magnitude = number.coefficient;

	if (number.exponent < exponent && exponent == 0)
		return fail(encoder, RG_EINVAL,
			    "field '%s' is an integer: round %.*s yourself, riskgate does not",
			    field->path, shown(encoder), encoder->reader.text);
	if (number.exponent < exponent)
		return fail(encoder, RG_EINVAL,
			    "field '%s' holds %d decimals and %.*s has more: round it yourself "
			    "(riskgate does not), or give the schema's type a smaller exponent",
			    field->path, exponent < 0 ? -exponent : 0, shown(encoder),
			    encoder->reader.text);
	if (number.too_long || !shift_up(&magnitude, (uint64_t)(number.exponent - exponent)))
		return fail_range(encoder, field, exponent);
	return encode_mantissa(encoder, field, number.negative, magnitude, exponent);
}

/* A decimal that carries its exponent: an integer has exponent 0 if it fits, other numbers their
 * shortest form. */
static int encode_variable(struct encoder *encoder, const struct rg_field *field)
{
	struct decimal number = decimal_parse(encoder->reader.text, encoder->reader.text_bytes);
	uint64_t whole = number.coefficient;

	if (number.exponent > 0 && !number.too_long &&
	    shift_up(&whole, (uint64_t)number.exponent) &&
	    whole <= width_mask(field->bytes) >> field->is_signed) {
		number.coefficient = whole;
		number.exponent = 0;
	}
	if (number.exponent > INT8_MAX && !number.too_long &&
	    shift_up(&number.coefficient, (uint64_t)(number.exponent - INT8_MAX)))
		number.exponent = INT8_MAX;
	if (number.too_long || number.exponent > INT8_MAX || number.exponent < INT8_MIN)
		return fail(encoder, RG_EINVAL,
			    "field '%s': the number has more digits or a larger exponent than its "
			    "%u-byte mantissa and int8 exponent hold: round it yourself",
			    field->path, field->bytes);
	store_raw(encoder->block + field->exponent_offset, (uint64_t)number.exponent & 0xff, 1);
	return encode_mantissa(encoder, field, number.negative, number.coefficient,
			       (int)number.exponent);
}

static int encode_float(struct encoder *encoder, const struct rg_field *field)
{
	char text[NUMBER_TEXT_MAX];
	double value;
	float narrow;

	if (encoder->reader.text_bytes >= sizeof(text))
		return fail(encoder, RG_ELIMIT,
			    "field '%s': a number of more than %zu characters: shorten it",
			    field->path, sizeof(text) - 1);
	memcpy(text, encoder->reader.text, encoder->reader.text_bytes);
	text[encoder->reader.text_bytes] = '\0';
	value = strtod(text, NULL);
	narrow = (float)value;
	if (!isfinite(value) || (field->bytes == 4 && !isfinite(narrow)))
		return fail(encoder, RG_EINVAL,
			    "field '%s': %.40s is out of range of a %u-byte float", field->path,
			    text, field->bytes);
	if (field->bytes == 4)
		memcpy(encoder->block + field->offset, &narrow, sizeof(narrow));
	else
		memcpy(encoder->block + field->offset, &value, sizeof(value));
	return RG_OK;
}

static int encode_chars(struct encoder *encoder, const struct rg_field *field)
{
	size_t raw_bytes = encoder->reader.text_bytes, bytes;
	int status = RG_OK;
	char *text;

	/* An escape takes at most six characters for a byte. */
	text = raw_bytes <= 6u * field->length ? malloc(3 * raw_bytes + 1) : NULL;
	if (!text && raw_bytes <= 6u * field->length)
		return fail(encoder, RG_ENOMEM, "field '%s': no memory", field->path);
	bytes = text ? rg_json_decode(&encoder->reader, text) : raw_bytes;
	if (bytes > field->length)
		status = fail(encoder, RG_EINVAL,
			      "field '%s' holds %u bytes and the string has %zu: shorten it, or "
			      "lengthen the schema's type",
			      field->path, field->length, bytes);
	else if (memchr(text, 0, bytes))
		status = fail(
			encoder, RG_EINVAL,
			"field '%s': a string on the wire ends at its first NUL: remove \\u0000",
			field->path);
	else
		memcpy(encoder->block + field->offset, text,
		       bytes); /* the rest of the block is 0 */
	free(text);
	return status;
}

/* Value of the name in the last STRING token. Returns false after setting the error, which lists
 * what there is. */
static bool find_name(struct encoder *encoder, const struct rg_field *field, uint64_t *value)
{
	struct rg_suggestion nearest = {.wanted = ""};
	char list[512], given[64] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_field_name *name = &encoder->table->names[field->names_first + i];

		if (rg_json_equals(&encoder->reader, name->name)) {
			*value = name->value;
			return true;
		}
	}
	snprintf(given, sizeof(given), "%.*s", shown(encoder), encoder->reader.text);
	nearest.wanted = given;
	for (uint32_t i = 0; i < field->names_count && used < sizeof(list) - 64; i++) {
		const char *name = encoder->table->names[field->names_first + i].name;

		rg_suggestion_offer(&nearest, name);
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 name);
	}
	fail(encoder, RG_EINVAL, "field '%s' knows no '%s'%s%s%s: give one of %s%s", field->path,
	     given, nearest.best[0] ? " (did you mean '" : "", nearest.best,
	     nearest.best[0] ? "'?)" : "", list, used >= sizeof(list) - 64 ? ", ..." : "");
	return false;
}

static int encode_set(struct encoder *encoder, const struct rg_field *field)
{
	enum rg_json_token token;
	uint64_t bits = 0, bit;

	while ((token = rg_json_next(&encoder->reader)) != RG_JSON_ARRAY_END) {
		if (token == RG_JSON_ERROR)
			return rg_error_set(encoder->err, RG_EINVAL, "%s",
					    encoder->reader.error.text);
		if (token != RG_JSON_STRING)
			return fail_type(encoder, field->path, "an array of names, each a string");
		if (!find_name(encoder, field, &bit))
			return RG_EINVAL;
		bits |= 1ull << bit;
	}
	store_raw(encoder->block + field->offset, bits, field->bytes);
	return RG_OK;
}

/* What JSON may stand for a field of each kind. */
static enum rg_json_token wanted_token(const struct rg_field *field, const char **wanted)
{
	switch ((enum rg_field_kind)field->kind) {
	case RG_FIELD_CHARS: *wanted = "a string"; return RG_JSON_STRING;
	case RG_FIELD_ENUM: *wanted = "the name of a value, as a string"; return RG_JSON_STRING;
	case RG_FIELD_SET: *wanted = "an array of names"; return RG_JSON_ARRAY_BEGIN;
	case RG_FIELD_BOOL: *wanted = "true or false"; return RG_JSON_TRUE;
	case RG_FIELD_INT:
	case RG_FIELD_DECIMAL:
	case RG_FIELD_DECIMAL_VAR:
	case RG_FIELD_FLOAT: break;
	}
	*wanted = "a number";
	return RG_JSON_NUMBER;
}

static int encode_wire_value(struct encoder *encoder, const struct rg_field *field,
			     enum rg_json_token token)
{
	uint64_t value;

	switch ((enum rg_field_kind)field->kind) {
	case RG_FIELD_INT: return encode_scaled(encoder, field, 0);
	case RG_FIELD_DECIMAL: return encode_scaled(encoder, field, field->exponent);
	case RG_FIELD_DECIMAL_VAR: return encode_variable(encoder, field);
	case RG_FIELD_FLOAT: return encode_float(encoder, field);
	case RG_FIELD_CHARS: return encode_chars(encoder, field);
	case RG_FIELD_SET: return encode_set(encoder, field);
	case RG_FIELD_BOOL:
		store_raw(encoder->block + field->offset, token == RG_JSON_TRUE, field->bytes);
		return RG_OK;
	case RG_FIELD_ENUM:
		if (!find_name(encoder, field, &value))
			return RG_EINVAL;
		store_raw(encoder->block + field->offset, value, field->bytes);
		return RG_OK;
	}
	return fail(encoder, RG_EINVAL, "field '%s' has an unknown kind", field->path);
}

/* A constant may be given if it says the same: encode it into a scratch block and compare. */
static int encode_constant(struct encoder *encoder, const struct rg_field *field,
			   enum rg_json_token token)
{
	struct rg_field scratch = *field;
	uint8_t *block = encoder->block, value[8] = {0};
	int status;

	scratch.offset = 0;
	encoder->block = value;
	status = encode_wire_value(encoder, &scratch, token);
	encoder->block = block;
	if (!status && rg_field_load_raw(value, field->bytes) != field->null_value)
		status = fail(
			encoder, RG_EINVAL,
			"field '%s' is constant in the schema and has another value: remove it",
			field->path);
	return status;
}

static int encode_field(struct encoder *encoder, uint32_t index)
{
	const struct rg_field *field = field_at(encoder, index);
	enum rg_json_token token = rg_json_next(&encoder->reader), wanted;
	const char *text;

	if (token == RG_JSON_ERROR)
		return rg_error_set(encoder->err, RG_EINVAL, "%s", encoder->reader.error.text);
	if (encoder->seen[index / 8] >> (index % 8) & 1)
		return fail(encoder, RG_EINVAL, "field '%s' is given twice: remove one",
			    field->path);
	if (token == RG_JSON_NULL) {
		if (field->optional || field->kind == RG_FIELD_SET)
			return RG_OK; /* its null stands in the block already */
		return fail(encoder, RG_EINVAL,
			    "field '%s' is required and cannot be null: give a value", field->path);
	}
	encoder->seen[index / 8] |= (uint8_t)(1u << (index % 8));
	wanted = wanted_token(field, &text);
	if (token != wanted && !(wanted == RG_JSON_TRUE && token == RG_JSON_FALSE))
		return fail_type(encoder, field->path, text);
	return field->constant ? encode_constant(encoder, field, token)
			       : encode_wire_value(encoder, field, token);
}

static int encode_object(struct encoder *encoder);

/* The value of a key that names a composite. */
static int encode_composite(struct encoder *encoder, const char *path)
{
	enum rg_json_token token = rg_json_next(&encoder->reader);
	size_t outer = strlen(encoder->path);
	int status;

	if (token == RG_JSON_ERROR)
		return rg_error_set(encoder->err, RG_EINVAL, "%s", encoder->reader.error.text);
	if (token == RG_JSON_NULL)
		return RG_OK;
	if (token != RG_JSON_OBJECT_BEGIN)
		return fail_type(encoder, path, "an object");
	snprintf(encoder->path, sizeof(encoder->path), "%s.", path);
	status = encode_object(encoder);
	encoder->path[outer] = '\0';
	return status;
}

static int encode_member(struct encoder *encoder)
{
	char key[3 * PATH_BYTES + 1], path[2 * PATH_BYTES];
	size_t bytes;

	if (encoder->reader.text_bytes >= PATH_BYTES)
		return fail(encoder, RG_EINVAL, "%s has no field with a name this long: remove it",
			    encoder->template->name);
	bytes = rg_json_decode(&encoder->reader, key);
	key[bytes] = '\0';
	if (strlen(key) != bytes || bytes >= PATH_BYTES)
		return fail(encoder, RG_EINVAL, "%s has no field of this name: remove it",
			    encoder->template->name);
	snprintf(path, sizeof(path), "%s%s", encoder->path, key);
	for (uint32_t i = 0; i < encoder->template->fields_count && !strchr(key, '.'); i++) {
		const char *known = field_at(encoder, i)->path;
		size_t length = strlen(path);

		if (strncmp(known, path, length))
			continue;
		if (!known[length])
			return encode_field(encoder, i);
		if (known[length] == '.')
			return encode_composite(encoder, path);
	}
	return fail_unknown_key(encoder, key);
}

/* The members of an object whose '{' was just read, through its '}'. */
static int encode_object(struct encoder *encoder)
{
	enum rg_json_token token;

	while ((token = rg_json_next(&encoder->reader)) != RG_JSON_OBJECT_END) {
		int status;

		if (token == RG_JSON_ERROR)
			return rg_error_set(encoder->err, RG_EINVAL, "%s",
					    encoder->reader.error.text);
		status = encode_member(encoder);
		if (status)
			return status;
	}
	return RG_OK;
}

/* Every field starts as null; what the JSON gives overwrites it. */
static void encode_nulls(struct encoder *encoder)
{
	for (uint32_t i = 0; i < encoder->template->fields_count; i++) {
		const struct rg_field *field = field_at(encoder, i);

		if (field->optional && !field->constant && field->kind != RG_FIELD_CHARS)
			store_raw(encoder->block + field->offset, field->null_value, field->bytes);
	}
}

static int check_required(struct encoder *encoder)
{
	char list[512] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < encoder->template->fields_count; i++) {
		const struct rg_field *field = field_at(encoder, i);

		if (field->optional || field->constant || field->kind == RG_FIELD_SET ||
		    encoder->seen[i / 8] >> (i % 8) & 1 ||
		    (i == 0 && rg_schema_is_request(encoder->template)))
			continue;
		if (used < sizeof(list) - PATH_BYTES - 8)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used ? ", " : "", field->path);
	}
	return used ? rg_error_set(encoder->err, RG_EINVAL, "%s needs %s: add %s",
				   encoder->template->name, list,
				   strchr(list, ',') ? "these fields" : "this field")
		    : RG_OK;
}

int rg_sbe_from_json(const struct rg_schema *schema, const char *template_name, const char *json,
		     size_t bytes, uint8_t *out, size_t out_bytes, size_t *written,
		     struct rg_error *err)
{
	const struct rg_template *template = rg_schema_template_by_name(schema, template_name);
	struct encoder encoder = {
		.table = rg_schema_fields(schema), .template = template, .err = err};
	struct rg_sbe_header header;
	enum rg_json_token token;
	int status;

	if (!template)
		return rg_error_set(
			err, RG_ENOENT,
			"the schema has no message '%.64s': choose one of its templates",
			template_name);
	*written = RG_SBE_HEADER_BYTES + (size_t) template->block_length;
	if (out_bytes < *written)
		return rg_error_set(err, RG_ELIMIT, "%s takes %zu bytes and there is room for %zu",
				    template->name, *written, out_bytes);
	header = (struct rg_sbe_header){template->block_length, template->template_id,
					template->schema_id, template->schema_version};
	rg_sbe_header_write(out, header);
	encoder.block = out + RG_SBE_HEADER_BYTES;
	memset(encoder.block, 0, template->block_length);
	encode_nulls(&encoder);
	rg_json_reader_init(&encoder.reader, json, bytes);
	token = rg_json_next(&encoder.reader);
	if (token == RG_JSON_ERROR)
		return rg_error_set(err, RG_EINVAL, "%s", encoder.reader.error.text);
	if (token != RG_JSON_OBJECT_BEGIN)
		return fail(&encoder, RG_EINVAL, "a message is an object: {\"amount\": 1, ...}");
	status = encode_object(&encoder);
	if (!status && rg_json_next(&encoder.reader) != RG_JSON_END)
		status = rg_error_set(err, RG_EINVAL, "%s", encoder.reader.error.text);
	return status ? status : check_required(&encoder);
}

/* ---- SBE to JSON ---- */

static void write_float(struct rg_json_writer *writer, const uint8_t *at, uint8_t bytes)
{
	char text[40];
	double wide;
	float narrow;
	int n = 0;

	if (bytes == 8) {
		memcpy(&wide, at, sizeof(wide));
		rg_json_write_double(writer, wide);
		return;
	}
	memcpy(&narrow, at, sizeof(narrow));
	if (!isfinite(narrow)) {
		rg_json_write_null(writer);
		return;
	}
	for (int precision = 6; precision <= 9;
	     precision++) { /* the shortest that reads back as the same float */
		n = snprintf(text, sizeof(text), "%.*g", precision, (double)narrow);
		if (strtof(text, NULL) == narrow)
			break;
	}
	rg_json_write_raw(writer, text, (size_t)n);
}

static void write_enum(struct rg_json_writer *writer, const struct rg_field_table *table,
		       const struct rg_field *field, uint64_t raw)
{
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_field_name *name = &table->names[field->names_first + i];

		if (name->value == raw) {
			if (field->kind == RG_FIELD_BOOL)
				rg_json_write_bool(writer, raw);
			else
				rg_json_write_string(writer, name->name);
			return;
		}
	}
	rg_json_write_null(writer);
}

static void write_set(struct rg_json_writer *writer, const struct rg_field_table *table,
		      const struct rg_field *field, uint64_t raw)
{
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_field_name *name = &table->names[field->names_first + i];

		if (raw >> name->value & 1)
			rg_json_write_string(writer, name->name);
	}
	rg_json_write_array_end(writer);
}

static void write_number(struct rg_json_writer *writer, const struct rg_field *field, uint64_t raw,
			 int exponent)
{
	char text[NUMBER_TEXT_MAX];

	rg_json_write_raw(writer, text,
			  decimal_print_raw(text, sizeof(text), field, raw, exponent));
}

void rg_sbe_write_value(struct rg_json_writer *writer, const struct rg_field_table *table,
			const struct rg_field *field, const uint8_t *block)
{
	const uint8_t *at = block + field->offset;
	uint64_t raw = field->null_value;

	if (field->kind == RG_FIELD_CHARS) {
		size_t bytes = strnlen((const char *)at, field->length);

		if (!bytes && field->optional)
			rg_json_write_null(writer);
		else
			rg_json_write_string_n(writer, (const char *)at, bytes);
		return;
	}
	if (field->kind == RG_FIELD_FLOAT) {
		write_float(writer, at, field->bytes);
		return;
	}
	if (!field->constant)
		raw = rg_field_load_raw(at, field->bytes);
	if (field->optional && raw == field->null_value) {
		rg_json_write_null(writer);
		return;
	}
	switch ((enum rg_field_kind)field->kind) {
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL: write_enum(writer, table, field, raw); break;
	case RG_FIELD_SET: write_set(writer, table, field, raw); break;
	case RG_FIELD_DECIMAL: write_number(writer, field, raw, field->exponent); break;
	case RG_FIELD_DECIMAL_VAR:
		write_number(writer, field, raw, (int8_t)block[field->exponent_offset]);
		break;
	default: write_number(writer, field, raw, 0); break;
	}
}

/* Open and close objects so that `path` can be written: `open` is the path of the last field.
 * Returns the field's own name. */
static const char *move_to(struct rg_json_writer *writer, const char *open, const char *path)
{
	size_t common = 0;

	for (size_t i = 0; open[i] && open[i] == path[i]; i++) {
		if (open[i] == '.')
			common = i + 1;
	}
	for (const char *dot = strchr(open + common, '.'); dot; dot = strchr(dot + 1, '.'))
		rg_json_write_object_end(writer);
	path += common;
	for (const char *dot = strchr(path, '.'); dot; dot = strchr(path, '.')) {
		rg_json_write_key_n(writer, path, (size_t)(dot - path));
		rg_json_write_object_begin(writer);
		path = dot + 1;
	}
	return path;
}

int rg_sbe_to_json(const struct rg_schema *schema, const uint8_t *message, size_t bytes,
		   struct rg_json_writer *writer, struct rg_error *err)
{
	const struct rg_field_table *table = rg_schema_fields(schema);
	uint32_t cursor = 0, limit = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX, visible;
	const struct rg_template *template;
	struct rg_sbe_message sbe;
	enum rg_sbe_result result = rg_sbe_next(message, limit, &cursor, &sbe);
	const char *open = "";

	if (result == RG_SBE_END || result == RG_SBE_NO_HEADER)
		return rg_error_set(err, RG_EINVAL,
				    "%zu bytes are too few for a message header of %d", bytes,
				    RG_SBE_HEADER_BYTES);
	if (result == RG_SBE_TRUNCATED || sbe.block_bytes != sbe.header.block_length)
		return rg_error_set(err, RG_EINVAL,
				    "the header promises a block of %u bytes and only %u are there",
				    sbe.header.block_length, sbe.block_bytes);
	template = rg_schema_template_by_id(schema, sbe.header.schema_id, sbe.header.template_id);
	if (!template)
		return rg_error_set(err, RG_ENOENT,
				    "template %u of schema %u is not in the schema '%s' (id %u): "
				    "load the sender's schema",
				    sbe.header.template_id, sbe.header.schema_id,
				    rg_schema_package(schema), rg_schema_id(schema));
	visible = rg_sbe_visible_bytes(table, template, &sbe);
	rg_json_write_object_begin(writer);
	for (uint32_t i = 0; i < template->fields_count; i++) {
		const struct rg_field *field = &table->fields[template->fields_first + i];

		rg_json_write_key(writer, move_to(writer, open, field->path));
		open = field->path;
		if (rg_field_extent(field) > visible)
			rg_json_write_null(writer);
		else
			rg_sbe_write_value(writer, table, field, sbe.block);
	}
	move_to(writer, open, "");
	rg_json_write_object_end(writer);
	return writer->failed ? rg_error_set(err, RG_ENOMEM, "no memory for the JSON of a message")
			      : RG_OK;
}

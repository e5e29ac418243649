/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/encode.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 64
#define EXPONENT_LIMIT	 1000

/* A decimal number: (-1)^negative x magnitude x 10^exponent. */
struct decimal {
	bool negative;
	uint64_t magnitude;
	int exponent;
};

void rg_encode_raw(const struct rg_field *field, uint64_t raw, uint8_t *block)
{
	memcpy(block + field->offset, &raw, field->bytes); /* little-endian, as the wire is */
}

void rg_encode_range(const struct rg_field *field, int64_t *low, uint64_t *high)
{
	unsigned unused_bits = 64u - 8u * field->bytes;

	if (field->is_signed) {
		*low = INT64_MIN >> unused_bits;
		*high = (uint64_t)(INT64_MAX >> unused_bits);
	} else {
		*low = 0;
		*high = UINT64_MAX >> unused_bits;
	}
	if (!field->optional)
		return;
	if ((uint64_t)rg_field_extend(field->null_value, field->bytes, field->is_signed) ==
	    (uint64_t)*low)
		(*low)++;
	else if (field->null_value == *high)
		(*high)--;
}

static int refuse(const struct rg_field *field, int status, const char *text, size_t bytes,
		  const char *why, struct rg_error *err)
{
	return rg_error_set(err, status, "field %s: '%.*s' %s", field->path,
			    bytes > 80 ? 80 : (int)bytes, text, why);
}

/* Read digits with an optional point and exponent. Returns NULL or what is wrong. */
static const char *parse_decimal(const char *text, size_t bytes, struct decimal *out)
{
	size_t at = 0, digit_count = 0;
	bool point = false;

	memset(out, 0, sizeof(*out));
	if (at < bytes && (text[at] == '-' || text[at] == '+'))
		out->negative = text[at++] == '-';
	for (; at < bytes; at++) {
		unsigned digit = (unsigned char)text[at] - '0';

		if (text[at] == '.' && !point) {
			point = true;
			continue;
		}
		if (digit > 9)
			break;
		digit_count++;
		if (out->magnitude > (UINT64_MAX - digit) / 10)
			return "has more digits than 64 bits hold";
		out->magnitude = out->magnitude * 10 + digit;
		out->exponent -= point;
	}
	if (digit_count == 0)
		return "is not a number";
	if (at < bytes && (text[at] == 'e' || text[at] == 'E')) {
		char exponent[16];
		char *end;
		long value;

		if (bytes - at - 1 == 0 || bytes - at - 1 >= sizeof(exponent))
			return "has no valid exponent";
		memcpy(exponent, text + at + 1, bytes - at - 1);
		exponent[bytes - at - 1] = 0;
		value = strtol(exponent, &end, 10);
		if (*end || isspace((unsigned char)exponent[0]) || value > EXPONENT_LIMIT ||
		    value < -EXPONENT_LIMIT)
			return "has no valid exponent";
		out->exponent += (int)value;
		at = bytes;
	}
	return at == bytes ? NULL : "is not a number";
}

/* Bring a decimal to another exponent without losing a digit. Returns NULL or what is wrong. */
static const char *rescale(struct decimal *value, int exponent)
{
	if (value->magnitude == 0)
		value->exponent = exponent;
	for (; value->exponent < exponent; value->exponent++) {
		if (value->magnitude % 10 != 0)
			return exponent < 0 ? "has more decimals than the field keeps"
					    : "is not whole enough for the field";
		value->magnitude /= 10;
	}
	for (; value->exponent > exponent; value->exponent--) {
		if (value->magnitude > UINT64_MAX / 10)
			return "is too large for the field";
		value->magnitude *= 10;
	}
	return NULL;
}

static int encode_integer(const struct rg_field *field, const struct decimal *value,
			  const char *text, size_t bytes, uint8_t *block, struct rg_error *err)
{
	int64_t low;
	uint64_t high;

	rg_encode_range(field, &low, &high);
	if (value->negative ? value->magnitude > (uint64_t)0 - (uint64_t)low
			    : value->magnitude > high)
		return rg_error_set(
			err, RG_ELIMIT,
			"field %s: '%.*s' is out of range: as %u-byte integer it holds %lld..%llu",
			field->path, (int)bytes, text, field->bytes, (long long)low,
			(unsigned long long)high);
	rg_encode_raw(field, value->negative ? (uint64_t)0 - value->magnitude : value->magnitude,
		      block);
	return RG_OK;
}

static int encode_number(const struct rg_field *field, const char *text, size_t bytes,
			 uint8_t *block, struct rg_error *err)
{
	struct decimal value;
	const char *wrong = parse_decimal(text, bytes, &value);

	if (!wrong && field->kind == RG_FIELD_INT)
		wrong = rescale(&value, 0);
	else if (!wrong && field->kind == RG_FIELD_DECIMAL)
		wrong = rescale(&value, field->exponent);
	else if (!wrong && (value.exponent < INT8_MIN || value.exponent > INT8_MAX))
		wrong = rescale(&value, value.exponent < 0 ? INT8_MIN : INT8_MAX);
	if (wrong)
		return refuse(field, RG_EINVAL, text, bytes, wrong, err);
	if (field->kind == RG_FIELD_DECIMAL_VAR)
		block[field->exponent_offset] = (uint8_t)(int8_t)value.exponent;
	return encode_integer(field, &value, text, bytes, block, err);
}

static int encode_float(const struct rg_field *field, const char *text, size_t bytes,
			uint8_t *block, struct rg_error *err)
{
	char copy[NUMBER_BYTES_MAX];
	char *end;
	double value;

	if (bytes == 0 || bytes >= sizeof(copy) || isspace((unsigned char)text[0]))
		return refuse(field, RG_EINVAL, text, bytes, "is not a number", err);
	memcpy(copy, text, bytes);
	copy[bytes] = 0;
	value = strtod(copy, &end);
	if (*end || !isfinite(value))
		return refuse(field, RG_EINVAL, text, bytes, "is not a finite number", err);
	if (field->bytes == 4) {
		float narrow = (float)value;

		memcpy(block + field->offset, &narrow, 4);
	} else {
		memcpy(block + field->offset, &value, 8);
	}
	return RG_OK;
}

/* Look a name up. Returns false if the field has no such name. */
static bool find_name(const struct rg_field_table *table, const struct rg_field *field,
		      const char *text, size_t bytes, uint64_t *value)
{
	for (uint32_t i = 0; i < field->names_count; i++) {
		const struct rg_field_name *name = &table->names[field->names_first + i];

		if (strlen(name->name) == bytes && memcmp(name->name, text, bytes) == 0) {
			*value = name->value;
			return true;
		}
	}
	return false;
}

/* Say which names there are. */
static int refuse_name(const struct rg_field_table *table, const struct rg_field *field,
		       const char *text, size_t bytes, struct rg_error *err)
{
	char names[512];
	size_t used = 0;

	for (uint32_t i = 0; i < field->names_count && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 table->names[field->names_first + i].name);
	return rg_error_set(err, RG_EINVAL, "field %s: no name '%.*s': it has %s", field->path,
			    bytes > 80 ? 80 : (int)bytes, text, names);
}

static int encode_set(const struct rg_field_table *table, const struct rg_field *field,
		      const char *text, size_t bytes, uint8_t *block, struct rg_error *err)
{
	uint64_t bits = 0;

	for (size_t begin = 0; begin < bytes;) {
		const char *bar = memchr(text + begin, '|', bytes - begin);
		size_t end = bar ? (size_t)(bar - text) : bytes;
		uint64_t bit;

		if (!find_name(table, field, text + begin, end - begin, &bit))
			return refuse_name(table, field, text + begin, end - begin, err);
		bits |= 1ull << bit;
		begin = end + 1;
	}
	rg_encode_raw(field, bits, block);
	return RG_OK;
}

static int encode_bool(const struct rg_field *field, const char *text, size_t bytes, uint8_t *block,
		       struct rg_error *err)
{
	bool yes = (bytes == 4 && memcmp(text, "true", 4) == 0) || (bytes == 1 && text[0] == '1');
	bool no = (bytes == 5 && memcmp(text, "false", 5) == 0) || (bytes == 1 && text[0] == '0');

	if (!yes && !no)
		return refuse(field, RG_EINVAL, text, bytes, "is neither true nor false", err);
	rg_encode_raw(field, yes, block);
	return RG_OK;
}

int rg_encode_text(const struct rg_field_table *table, const struct rg_field *field,
		   const char *text, size_t bytes, uint8_t *block, struct rg_error *err)
{
	uint64_t value;

	if (field->constant)
		return rg_error_set(err, RG_EINVAL,
				    "field %s is a constant of the schema: leave it out",
				    field->path);
	switch (field->kind) {
	case RG_FIELD_INT:
	case RG_FIELD_DECIMAL:
	case RG_FIELD_DECIMAL_VAR: return encode_number(field, text, bytes, block, err);
	case RG_FIELD_FLOAT: return encode_float(field, text, bytes, block, err);
	case RG_FIELD_CHARS:
		if (bytes > field->length)
			return rg_error_set(err, RG_ELIMIT,
					    "field %s: '%.*s' has %zu bytes, the field holds %u",
					    field->path, bytes > 80 ? 80 : (int)bytes, text, bytes,
					    field->length);
		memset(block + field->offset, 0, field->length);
		memcpy(block + field->offset, text, bytes);
		return RG_OK;
	case RG_FIELD_ENUM:
		if (!find_name(table, field, text, bytes, &value))
			return refuse_name(table, field, text, bytes, err);
		rg_encode_raw(field, value, block);
		return RG_OK;
	case RG_FIELD_SET: return encode_set(table, field, text, bytes, block, err);
	default: return encode_bool(field, text, bytes, block, err);
	}
}

int rg_encode_null(const struct rg_field *field, uint8_t *block, struct rg_error *err)
{
	if (field->constant)
		return RG_OK;
	if (!field->optional && field->kind != RG_FIELD_SET)
		return rg_error_set(err, RG_EINVAL, "field %s is required and has no value",
				    field->path);
	if (field->kind == RG_FIELD_SET)
		rg_encode_raw(field, field->optional ? field->null_value : 0, block);
	else if (field->kind == RG_FIELD_CHARS)
		memset(block + field->offset, 0, field->length);
	else
		rg_encode_raw(field, field->null_value, block);
	if (field->kind == RG_FIELD_DECIMAL_VAR)
		block[field->exponent_offset] = 0;
	return RG_OK;
}

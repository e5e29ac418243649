/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of the request as values. Numbers and strings need no memory; sets and composites do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/eval/machine.h"
#include "policy/eval/number.h"

#define EXPONENT_MAX 30 /* rg_number_from_decimal */

static const struct rg_image_field_name *find_name(const struct rg_eval *eval,
						   const struct rg_image_field *field,
						   uint64_t value)
{
	uint32_t low = 0, high = field->names_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct rg_image_field_name *name = &eval->names[field->names_first + middle];

		if (name->value == value)
			return name;
		if (name->value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A mantissa beyond int64: as text, digit for digit. */
static struct rg_value large_decimal(struct rg_heap *heap, uint64_t mantissa, int exponent)
{
	char digits[24], text[96];
	int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)mantissa), bytes;

	if (exponent >= 0) {
		bytes = snprintf(text, sizeof(text), "%s%.*s", digits, exponent,
				 "000000000000000000000000000000");
	} else if (count > -exponent) {
		bytes = snprintf(text, sizeof(text), "%.*s.%s", count + exponent, digits,
				 digits + count + exponent);
	} else {
		bytes = snprintf(text, sizeof(text), "0.%.*s%s", -exponent - count,
				 "000000000000000000000000000000", digits);
	}
	if (exponent < 0) { /* as rg_number_from_decimal writes it: no zeros at the end */
		while (text[bytes - 1] == '0')
			bytes--;
		if (text[bytes - 1] == '.')
			bytes--;
	}
	return rg_number_from_text(heap, text, (size_t)bytes);
}

static struct rg_value decimal_value(struct rg_eval *eval, const struct rg_image_field *field,
				     uint64_t raw, int exponent)
{
	if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
		return rg_undefined;
	if (!field->is_signed && raw > INT64_MAX)
		return large_decimal(&eval->heap, raw, exponent);
	return rg_number_from_decimal(
		&eval->heap, rg_field_extend(raw, field->bytes, field->is_signed), exponent);
}

static struct rg_value integer_value(struct rg_eval *eval, const struct rg_image_field *field,
				     uint64_t raw)
{
	if (!field->is_signed && raw > INT64_MAX)
		return rg_number_from_uint(&eval->heap, raw);
	return rg_int(rg_field_extend(raw, field->bytes, field->is_signed));
}

static struct rg_value float_value(struct rg_eval *eval, const struct rg_image_field *field)
{
	const uint8_t *at;
	double value;

	if (field->extent > eval->block_bytes)
		return rg_undefined;
	at = eval->block + field->offset;
	if (field->bytes == 4) {
		float narrow;
		char text[32];

		memcpy(&narrow, at, sizeof(narrow));
		if (!isfinite(narrow))
			return rg_undefined;
		/* the shortest decimal that reads back as this binary32 */
		for (int digits = 6; digits <= 9; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, (double)narrow);
			if (strtof(text, NULL) == narrow)
				break;
		}
		value = strtod(text, NULL);
	} else {
		memcpy(&value, at, sizeof(value));
	}
	return isfinite(value) ? rg_number_from_double(&eval->heap, value) : rg_undefined;
}

/* NUL-padded characters, used in place. */
static struct rg_value chars_value(struct rg_eval *eval, const struct rg_image_field *field)
{
	const uint8_t *at;

	if (field->extent > eval->block_bytes)
		return rg_undefined;
	at = eval->block + field->offset;
	if (field->optional && *at == (uint8_t)field->null_value)
		return rg_undefined;
	return (struct rg_value){.type = RG_STRING,
				 .space = RG_SPACE_REQUEST,
				 .length = (uint32_t)strnlen((const char *)at, field->length),
				 .offset = field->offset};
}

static struct rg_value set_value(struct rg_eval *eval, const struct rg_image_field *field,
				 uint64_t raw)
{
	struct rg_value array = rg_array(&eval->heap, (uint32_t)__builtin_popcountll(raw));

	for (uint32_t i = 0; i < field->names_count && !eval->heap.exhausted; i++) {
		const struct rg_image_field_name *name = &eval->names[field->names_first + i];

		if (raw >> name->value & 1)
			rg_array_append(&eval->heap, array, eval->constants[name->name]);
	}
	return array;
}

/* The boolean that an enum value of the names false and true stands for. */
static struct rg_value boolean_value(const struct rg_eval *eval,
				     const struct rg_image_field_name *name)
{
	return name ? rg_boolean(rg_string_is(&eval->heap, eval->constants[name->name], "true"))
		    : rg_undefined;
}

struct rg_value rg_request_value(struct rg_eval *eval, const struct rg_image_field *field)
{
	const struct rg_image_field_name *name;
	uint64_t raw;
	int exponent = field->exponent;

	if (field->kind == RG_FIELD_CHARS)
		return chars_value(eval, field);
	if (field->kind == RG_FIELD_FLOAT)
		return float_value(eval, field);
	if (!rg_request_raw(eval, field, &raw))
		return rg_undefined;
	switch (field->kind) {
	case RG_FIELD_INT: return integer_value(eval, field, raw);
	case RG_FIELD_DECIMAL_VAR:
		exponent = (int8_t)eval->block[field->exponent_offset];
		/* fall through */
	case RG_FIELD_DECIMAL: return decimal_value(eval, field, raw, exponent);
	case RG_FIELD_SET: return set_value(eval, field, raw);
	case RG_FIELD_BOOL: return boolean_value(eval, find_name(eval, field, raw));
	default:
		name = find_name(eval, field, raw);
		return name ? eval->constants[name->name] : rg_undefined;
	}
}

bool rg_request_present(const struct rg_eval *eval, const struct rg_image_field *field)
{
	uint64_t raw;

	switch (field->kind) {
	case RG_FIELD_CHARS:
		return field->extent <= eval->block_bytes &&
		       !(field->optional &&
			 eval->block[field->offset] == (uint8_t)field->null_value);
	case RG_FIELD_ENUM:
	case RG_FIELD_BOOL: return rg_request_raw(eval, field, &raw) && find_name(eval, field, raw);
	case RG_FIELD_FLOAT:
		if (field->extent > eval->block_bytes)
			return false;
		if (field->bytes == 4) {
			float narrow;

			memcpy(&narrow, eval->block + field->offset, sizeof(narrow));
			return isfinite(narrow);
		}
		double wide;

		memcpy(&wide, eval->block + field->offset, sizeof(wide));
		return isfinite(wide);
	case RG_FIELD_DECIMAL_VAR:
		if (!rg_request_raw(eval, field, &raw))
			return false;
		int8_t exponent = (int8_t)eval->block[field->exponent_offset];

		return exponent >= -EXPONENT_MAX && exponent <= EXPONENT_MAX;
	default: return rg_request_raw(eval, field, &raw);
	}
}

/* Absent fields are left out; a composite is always there. */
static struct rg_value make_node(struct rg_eval *eval, uint32_t number, uint32_t depth)
{
	const struct rg_image_node *node = &eval->nodes[number];
	struct rg_value object;

	if (node->field != RG_IMAGE_NO_FIELD)
		return rg_request_value(eval, &eval->fields[node->field]);
	if (depth > RG_IMAGE_NODE_DEPTH_MAX || !rg_heap_charge(&eval->heap, node->children_count)) {
		eval->heap.exhausted = true;
		return rg_undefined;
	}
	object = rg_object(&eval->heap, node->children_count);
	for (uint32_t i = 0; i < node->children_count && !eval->heap.exhausted; i++) {
		struct rg_value child = make_node(eval, node->children_first + i, depth + 1);

		if (rg_is_defined(child))
			rg_object_insert(&eval->heap, object,
					 eval->constants[eval->nodes[node->children_first + i].key],
					 child);
	}
	return object;
}

struct rg_value rg_request_node(struct rg_eval *eval, uint32_t node)
{
	struct rg_value v;

	if (eval->input_epoch == eval->epoch && eval->input_node == node)
		return eval->input;
	v = make_node(eval, node, 0);
	if (!eval->heap.exhausted) {
		eval->input = v;
		eval->input_node = node;
		eval->input_epoch = eval->epoch;
	}
	return v;
}

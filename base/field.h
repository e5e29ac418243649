/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field table: what a request template looks like, in a form that both the wire (which makes it
 * from an SBE schema) and the policy compiler (which turns `input.amount` into a load) understand.
 *
 * A request is an SBE root block of little-endian, fixed-offset fields. A field's path under
 * `input` is its dotted name ("user.risk_level"). An absent field (null value, or beyond the
 * sender's blockLength) is undefined. Source: FIX SBE 1.0 and riskgate's wire contract
 * (docs/wire.md).
 *
 * Thread-safety: a table is immutable once built; any number of threads may read it.
 */
#ifndef RG_BASE_FIELD_H
#define RG_BASE_FIELD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum rg_field_kind {
	RG_FIELD_INT,	      /* a signed or unsigned integer of `bytes` bytes */
	RG_FIELD_DECIMAL,     /* integer mantissa x 10^exponent, exponent constant */
	RG_FIELD_DECIMAL_VAR, /* integer mantissa, int8 exponent at exponent_offset */
	RG_FIELD_FLOAT,	      /* IEEE binary32 or binary64 */
	RG_FIELD_CHARS,	      /* char[length], NUL-padded; a single char is length 1 */
	RG_FIELD_ENUM,	      /* integer or char of `bytes` bytes; a name for each valid value */
	RG_FIELD_SET,	      /* bit set of `bytes` bytes; a name for each bit */
	RG_FIELD_BOOL	      /* uint8 enum with exactly the names false/true: a JSON boolean */
};

/* One named value of an enum (value) or one named bit of a set (bit index). Sorted by value. */
struct rg_field_name {
	uint64_t value;
	char name[56];
};

struct rg_field {
	char path[96]; /* dotted path under input */
	uint16_t id;   /* SBE field id */
	uint16_t since_version;
	uint8_t kind;  /* enum rg_field_kind */
	uint8_t bytes; /* width of the integer, mantissa, float, enum or set: 1, 2, 4 or 8 */
	bool is_signed;
	bool optional; /* has a null value */
	bool constant; /* presence="constant": not on the wire, null_value holds an integer/enum value */
	int8_t exponent; /* RG_FIELD_DECIMAL */
	uint16_t
		length; /* RG_FIELD_CHARS: bytes; an optional one is null when its first byte is NUL */
	uint32_t offset;	  /* in the root block */
	uint32_t exponent_offset; /* RG_FIELD_DECIMAL_VAR */
	uint64_t null_value;	  /* raw bits as zero-extended integer; floats: NaN is null */
	uint32_t names_first, names_count; /* slice of the table's names (ENUM, SET) */
};

/* All fields of one template, in block order. fields[0] of a request is request_id (uint64). */
struct rg_template {
	char name[64];
	uint16_t template_id;
	uint16_t schema_id;
	uint16_t schema_version;
	uint16_t block_length;		     /* of this schema version */
	uint32_t fields_first, fields_count; /* slice of the table's fields */
};

struct rg_field_table {
	const struct rg_template *templates;
	const struct rg_field *fields;
	const struct rg_field_name *names;
	uint32_t template_count, field_count, name_count;
	uint64_t
		fingerprint; /* hash over everything a decoder depends on: image and data plane must agree */
};

/* Bytes of the block that a field needs to be present: 0 for constants. */
static inline uint32_t rg_field_extent(const struct rg_field *field)
{
	uint32_t end =
		field->offset + (field->kind == RG_FIELD_CHARS ? field->length : field->bytes);

	if (field->constant)
		return 0;
	if (field->kind == RG_FIELD_DECIMAL_VAR && field->exponent_offset + 1 > end)
		end = field->exponent_offset + 1;
	return end;
}

/* Zero-extended little-endian load of 1, 2, 4 or 8 bytes. Any alignment. */
static inline uint64_t rg_field_load_raw(const uint8_t *at, uint8_t bytes)
{
	uint64_t value = 0;

	switch (bytes) {
	case 1: return at[0];
	case 2: {
		uint16_t v;
		memcpy(&v, at, 2);
		return v;
	}
	case 4: {
		uint32_t v;
		memcpy(&v, at, 4);
		return v;
	}
	default: memcpy(&value, at, 8); return value;
	}
}

/* Sign- or zero-extend a raw value of `bytes` bytes. An unsigned value above INT64_MAX keeps its
 * bits. */
static inline int64_t rg_field_extend(uint64_t raw, uint8_t bytes, bool is_signed)
{
	unsigned shift = 64u - 8u * bytes;

	return is_signed ? (int64_t)(raw << shift) >> shift : (int64_t)raw;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to a field of an SBE block: how CSV cells, constants of a mapping and --set values become
 * bytes.
 *
 *	integer		"42", "-7", "1e6"; must be whole and in range
 *	decimal		"12.34", digit for digit; more decimals than the field keeps are an error
 *	float		as strtod(3) reads it
 *	char[N]		the bytes as they are, at most N
 *	enum		the name of a value
 *	set		names separated by '|'; "" for none
 *	boolean		"true", "false", "1", "0"
 *
 * Source of null values and offsets: base/field.h.
 * Thread-safety: functions without state.
 */
#ifndef RG_TOOLS_LOADGEN_ENCODE_H
#define RG_TOOLS_LOADGEN_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/field.h"

/* Write a value into the block. Returns RG_OK, or RG_EINVAL / RG_ELIMIT with a text that names the
 * field, the value and what would be right. */
int rg_encode_text(const struct rg_field_table *table, const struct rg_field *field,
		   const char *text, size_t bytes, uint8_t *block, struct rg_error *err);
/* Write "no value". RG_EINVAL if the field is required; a required set is then the empty set. A
 * constant field needs nothing. */
int rg_encode_null(const struct rg_field *field, uint8_t *block, struct rg_error *err);
/* Write a raw integer, mantissa, enum value or bit set, without a check. */
void rg_encode_raw(const struct rg_field *field, uint64_t raw, uint8_t *block);
/* The range an integer or mantissa of this field may have: its type's, without the null value where
 * that is at an end. */
void rg_encode_range(const struct rg_field *field, int64_t *low, uint64_t *high);

#endif

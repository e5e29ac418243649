/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of numbers: reading, normalising, printing, exact comparison, hash, conversions. See
 * number.h. */
#include "policy/eval/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_MAX 100000000000000000ll

/* Digits of a DECIMAL after the point. */
#define DECIMAL_PLACES_MAX 18

static uint64_t magnitude_of(int64_t i)
{
	return i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
}

/* Decimal text of u at the end of buffer[20]; returns where it starts. */
static char *print_uint(char *buffer, uint64_t u)
{
	char *at = buffer + 20;

	do {
		*--at = (char)('0' + u % 10);
	} while (u /= 10);
	return at;
}

/* ---- digits ---- */

static void digits_of_mantissa(int64_t mantissa, int exponent, struct rg_digits *out)
{
	uint64_t u = magnitude_of(mantissa);
	char *end = out->buffer + 20;

	*out = (struct rg_digits){.negative = mantissa < 0};
	if (!u)
		return;
	out->at = print_uint(out->buffer, u);
	out->magnitude = (end - out->at) + exponent;
	while (end[-1] == '0')
		end--;
	out->count = (uint32_t)(end - out->at);
}

/* The exponent part of number text, after 'e'. */
static int64_t parse_exponent(const char *at, const char *end)
{
	bool negative = at < end && *at == '-';
	int64_t exponent = 0;

	if (at < end && (*at == '-' || *at == '+'))
		at++;
	for (; at < end; at++) {
		if (exponent < EXPONENT_MAX)
			exponent = exponent * 10 + (*at - '0');
	}
	if (exponent > EXPONENT_MAX)
		exponent = EXPONENT_MAX;
	return negative ? -exponent : exponent;
}

static void digits_of_text(const char *text, size_t bytes, struct rg_digits *out)
{
	const char *at = text, *end = text + bytes;
	int64_t index = 0, first = -1, last = -1, point = -1, exponent = 0;

	*out = (struct rg_digits){.negative = bytes && *text == '-'};
	if (out->negative)
		at++;
	for (; at < end && *at != 'e' && *at != 'E'; at++) {
		if (*at == '.') {
			point = index;
			continue;
		}
		if (*at != '0') {
			if (first < 0) {
				first = index;
				out->at = at;
			}
			last = index;
		}
		index++;
	}
	if (at < end)
		exponent = parse_exponent(at + 1, end);
	if (first < 0)
		return;
	out->count = (uint32_t)(last - first + 1);
	out->magnitude = (point < 0 ? index : point) - first + exponent;
}

void rg_digits_of(const struct rg_heap *heap, struct rg_value v, struct rg_digits *out)
{
	if (v.form == RG_NUMBER_TEXT)
		digits_of_text(rg_text(heap, v), v.length, out);
	else
		digits_of_mantissa(v.i, v.form == RG_NUMBER_DECIMAL ? v.exponent : 0, out);
}

/* ---- making numbers ---- */

static struct rg_value text_number(struct rg_heap *heap, const char *text, size_t bytes)
{
	struct rg_value v = rg_string(heap, text, bytes);

	if (rg_is_defined(v)) {
		v.type = RG_NUMBER;
		v.form = RG_NUMBER_TEXT;
	}
	return v;
}

struct rg_value rg_number_from_text(struct rg_heap *heap, const char *text, size_t bytes)
{
	bool negative = bytes && text[0] == '-';
	size_t at = negative, places = 0;
	int64_t mantissa = 0;
	bool fraction = false;

	for (; at < bytes; at++) {
		int digit = text[at] - '0';

		if (text[at] == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (digit < 0 || digit > 9)
			goto text;
		if (__builtin_mul_overflow(mantissa, 10, &mantissa) ||
		    __builtin_add_overflow(mantissa, negative ? -digit : digit, &mantissa))
			goto text;
		places += fraction;
	}
	if (!fraction && (mantissa || !negative))
		return rg_int(mantissa);
	if (fraction && places <= DECIMAL_PLACES_MAX && mantissa % 10)
		return (struct rg_value){.type = RG_NUMBER,
					 .form = RG_NUMBER_DECIMAL,
					 .exponent = (int8_t) - (int)places,
					 .i = mantissa};
text:
	return text_number(heap, text, bytes);
}

static size_t skip_digits(const char *text, size_t at, size_t bytes)
{
	while (at < bytes && text[at] >= '0' && text[at] <= '9')
		at++;
	return at;
}

bool rg_number_is_text(const char *text, size_t bytes)
{
	size_t at = bytes && text[0] == '-', start = at;

	at = skip_digits(text, at, bytes);
	if (at == start || (text[start] == '0' && at > start + 1))
		return false;
	if (at < bytes && text[at] == '.') {
		start = at + 1;
		at = skip_digits(text, start, bytes);
		if (at == start)
			return false;
	}
	if (at < bytes && (text[at] == 'e' || text[at] == 'E')) {
		start = at + 1;
		if (start < bytes && (text[start] == '+' || text[start] == '-'))
			start++;
		at = skip_digits(text, start, bytes);
		if (at == start)
			return false;
	}
	return at == bytes;
}

struct rg_value rg_number_from_decimal(struct rg_heap *heap, int64_t mantissa, int exponent)
{
	char text[RG_NUMBER_TEXT_BYTES + 128], digits[20], *at;
	int64_t larger;
	int bytes;

	while (exponent < 0 && mantissa % 10 == 0 && mantissa) {
		mantissa /= 10;
		exponent++;
	}
	while (exponent > 0 && !__builtin_mul_overflow(mantissa, 10, &larger) && mantissa) {
		mantissa = larger;
		exponent--;
	}
	if (!mantissa || !exponent)
		return rg_int(mantissa);
	if (exponent < 0 && exponent >= -DECIMAL_PLACES_MAX)
		return (struct rg_value){.type = RG_NUMBER,
					 .form = RG_NUMBER_DECIMAL,
					 .exponent = (int8_t)exponent,
					 .i = mantissa};
	at = print_uint(digits, magnitude_of(mantissa));
	bytes = (int)(digits + 20 - at);
	if (exponent > 0) { /* plain digits */
		bytes = snprintf(text, sizeof(text), "%s%.*s%0*d", mantissa < 0 ? "-" : "", bytes,
				 at, exponent, 0);
	} else if (-exponent < bytes) {
		bytes = snprintf(text, sizeof(text), "%s%.*s.%.*s", mantissa < 0 ? "-" : "",
				 bytes + exponent, at, -exponent, at + bytes + exponent);
	} else {
		int zeros = -exponent - bytes;

		bytes = snprintf(text, sizeof(text), "%s0.%0*d%.*s", mantissa < 0 ? "-" : "", zeros,
				 0, bytes, at);
		if (!zeros) /* a width of 0 still prints one 0 */
			bytes = snprintf(text, sizeof(text), "%s0.%.*s", mantissa < 0 ? "-" : "",
					 (int)(digits + 20 - at), at);
	}
	return text_number(heap, text, (size_t)bytes);
}

struct rg_value rg_number_from_uint(struct rg_heap *heap, uint64_t value)
{
	char digits[20], *at;

	if (value <= INT64_MAX)
		return rg_int((int64_t)value);
	at = print_uint(digits, value);
	return text_number(heap, at, (size_t)(digits + 20 - at));
}

struct rg_value rg_number_from_double(struct rg_heap *heap, double d)
{
	char text[40], *e, *point;
	int bytes = 0, exponent = 0;

	if (d == 0)
		return rg_int(0);
	for (int precision = 0; precision < 17; precision++) {
		bytes = snprintf(text, sizeof(text), "%.*e", precision, d);
		if (strtod(text, NULL) == d)
			break;
	}
	e = strchr(text, 'e');
	if (!e)
		return rg_undefined; /* not finite */
	exponent = atoi(e + 1);
	point = strchr(text, '.');
	if (point) { /* d.ddd: make it an integer by moving the point to the end */
		exponent -= (int)(e - point) - 1;
		memmove(point, point + 1, (size_t)(text + bytes - point));
	}
	if (exponent >= -128 && exponent <= 127)
		return rg_number_from_decimal(heap, strtoll(text, NULL, 10), exponent);
	bytes = snprintf(text, sizeof(text), "%llde%d", strtoll(text, NULL, 10), exponent);
	return text_number(heap, text, (size_t)bytes);
}

/* ---- printing ---- */

size_t rg_number_text(const struct rg_heap *heap, struct rg_value v, char *out, size_t bytes)
{
	char text[RG_NUMBER_TEXT_BYTES], digits[20], *at = text, *digit;
	size_t count, places, needed;

	if (v.form == RG_NUMBER_TEXT) {
		if (v.length <= bytes)
			memcpy(out, rg_text(heap, v), v.length);
		return v.length;
	}
	digit = print_uint(digits, magnitude_of(v.i));
	count = (size_t)(digits + 20 - digit);
	places = v.form == RG_NUMBER_DECIMAL ? (size_t)-v.exponent : 0;
	if (v.i < 0)
		*at++ = '-';
	if (places >= count) { /* 0.00ddd */
		*at++ = '0';
		*at++ = '.';
		memset(at, '0', places - count);
		at += places - count;
		places = 0;
	}
	memcpy(at, digit, count - places);
	at += count - places;
	if (places) {
		*at++ = '.';
		memcpy(at, digit + count - places, places);
		at += places;
	}
	needed = (size_t)(at - text);
	if (needed <= bytes)
		memcpy(out, text, needed);
	return needed;
}

/* ---- comparison and hash ---- */

static int compare_magnitudes(const struct rg_digits *a, const struct rg_digits *b)
{
	const char *x = a->at, *y = b->at;
	uint32_t longer = a->count > b->count ? a->count : b->count;

	if (!a->count || !b->count)
		return (a->count > 0) - (b->count > 0);
	if (a->magnitude != b->magnitude)
		return a->magnitude < b->magnitude ? -1 : 1;
	for (uint32_t i = 0; i < longer; i++) {
		unsigned p = i < a->count ? rg_digits_next(&x) : 0,
			 q = i < b->count ? rg_digits_next(&y) : 0;

		if (p != q)
			return p < q ? -1 : 1;
	}
	return 0;
}

static __int128 at_exponent(struct rg_value v, int exponent)
{
	__int128 scaled = v.i;

	for (int i = v.form == RG_NUMBER_DECIMAL ? v.exponent : 0; i > exponent; i--)
		scaled *= 10;
	return scaled;
}

/* INT and DECIMAL: brought to the same exponent they are less than 2^63 x 10^18 < 2^123. */
static int compare_scaled(struct rg_value a, struct rg_value b)
{
	int exponent = 0;
	__int128 x, y;

	if (a.form == RG_NUMBER_DECIMAL)
		exponent = a.exponent;
	if (b.form == RG_NUMBER_DECIMAL && b.exponent < exponent)
		exponent = b.exponent;
	x = at_exponent(a, exponent);
	y = at_exponent(b, exponent);
	return (x > y) - (x < y);
}

int rg_number_compare(const struct rg_heap *heap, struct rg_value a, struct rg_value b)
{
	struct rg_digits x, y;
	int x_sign, y_sign;

	if (a.form == RG_NUMBER_INT && b.form == RG_NUMBER_INT)
		return (a.i > b.i) - (a.i < b.i);
	if (a.form != RG_NUMBER_TEXT && b.form != RG_NUMBER_TEXT)
		return compare_scaled(a, b);
	rg_digits_of(heap, a, &x);
	rg_digits_of(heap, b, &y);
	x_sign = x.count ? (x.negative ? -1 : 1) : 0;
	y_sign = y.count ? (y.negative ? -1 : 1) : 0;
	if (x_sign != y_sign)
		return x_sign < y_sign ? -1 : 1;
	return x_sign * compare_magnitudes(&x, &y);
}

/* A hash of sign, mantissa without trailing zeros (modulo 2^64) and its decimal exponent: the same for
 * each spelling of a value. */
uint64_t rg_number_hash(const struct rg_heap *heap, struct rg_value v)
{
	uint64_t mantissa = 0;
	int64_t exponent = 0;
	bool negative;

	if (v.form == RG_NUMBER_TEXT) {
		struct rg_digits digits;
		const char *at;

		rg_digits_of(heap, v, &digits);
		at = digits.at;
		for (uint32_t i = 0; i < digits.count; i++)
			mantissa = mantissa * 10 + rg_digits_next(&at);
		exponent = digits.count ? digits.magnitude - digits.count : 0;
		negative = digits.negative && digits.count;
	} else {
		mantissa = magnitude_of(v.i);
		negative = v.i < 0;
		exponent = v.exponent;
		while (mantissa && mantissa % 10 == 0) {
			mantissa /= 10;
			exponent++;
		}
	}
	return (negative ? ~mantissa : mantissa) ^ (uint64_t)exponent * 0xd6e8feb86659fd93ull;
}

/* ---- conversions ---- */

bool rg_number_is_integral(const struct rg_heap *heap, struct rg_value v)
{
	struct rg_digits digits;

	if (v.form != RG_NUMBER_TEXT)
		return v.form == RG_NUMBER_INT;
	rg_digits_of(heap, v, &digits);
	return !digits.count || digits.magnitude >= digits.count;
}

bool rg_number_to_int64(const struct rg_heap *heap, struct rg_value v, int64_t *out)
{
	struct rg_digits digits;
	int64_t value = 0;
	const char *at;

	if (v.form != RG_NUMBER_TEXT) {
		*out = v.i;
		return v.form == RG_NUMBER_INT;
	}
	rg_digits_of(heap, v, &digits);
	if (digits.count && (digits.magnitude < digits.count || digits.magnitude > 19))
		return false;
	at = digits.at;
	for (int64_t i = 0; i < (digits.count ? digits.magnitude : 0); i++) {
		int digit = i < digits.count ? (int)rg_digits_next(&at) : 0;

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digits.negative ? -digit : digit, &value))
			return false;
	}
	*out = value;
	return true;
}

double rg_number_to_double(const struct rg_heap *heap, struct rg_value v)
{
	char text[800], *to = text;
	struct rg_digits digits;
	const char *at;

	if (v.form == RG_NUMBER_INT)
		return (double)v.i;
	rg_digits_of(heap, v, &digits);
	if (!digits.count)
		return 0;
	/* 767 digits decide the rounding of any double; a longer tail only matters as being
	 * there. */
	if (digits.negative)
		*to++ = '-';
	*to++ = '.';
	at = digits.at;
	for (uint32_t i = 0; i < digits.count && i < 768; i++)
		*to++ = (char)('0' + rg_digits_next(&at));
	if (digits.count > 768)
		*to++ = '1';
	snprintf(to, sizeof(text) - (size_t)(to - text), "e%lld", (long long)digits.magnitude);
	return strtod(text, NULL);
}

int64_t rg_number_to_scaled(const struct rg_heap *heap, struct rg_value v, int exponent)
{
	struct rg_digits digits;
	const char *at;
	int64_t places, value = 0; /* places: digits that end up before the point */
	unsigned next;
	bool up;

	rg_digits_of(heap, v, &digits);
	places = digits.magnitude - exponent;
	if (!digits.count || places < 0)
		return 0;
	if (places > 19)
		return digits.negative ? INT64_MIN : INT64_MAX;
	at = digits.at;
	for (int64_t i = 0; i < places; i++) {
		int digit = i < digits.count ? (int)rg_digits_next(&at) : 0;

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digits.negative ? -digit : digit, &value))
			return digits.negative ? INT64_MIN : INT64_MAX;
	}
	if (places >= digits.count)
		return value;
	next = rg_digits_next(&at);
	up = next > 5 || (next == 5 && (digits.count > places + 1 || value % 2));
	if (up && value != INT64_MIN && value != INT64_MAX)
		value += digits.negative ? -1 : 1;
	return value;
}

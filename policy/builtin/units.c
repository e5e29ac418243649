/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.parse ("10Mi", "100m"), units.parse_bytes ("10MiB"). Source: OPA v1/topdown/parse_units.go,
 * parse_bytes.go: the first multiplies exact fractions, the second reals of 64 bits.
 */
#include <stdio.h>
#include <string.h>

#include "policy/builtin/family.h"
#include "policy/eval/number_real.h"

#define AMOUNT_BYTES	    4200
#define EXPONENT_DIGITS_MAX 6
/* Decimal places of a fraction that units.parse gives. */
#define PLACES 10

/* A quantity split up: the digits as JSON-like number text, and the unit. */
struct quantity {
	char number[AMOUNT_BYTES];
	size_t number_bytes;
	char unit[16];
	size_t unit_bytes;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Where the number ends: digits, points, signs, and an exponent if digits or a sign follow the 'e'. NULL: its
 * exponent is too large. */
static const char *number_end(const char *at, const char *end)
{
	for (; at < end; at++) {
		bool e = *at == 'e' || *at == 'E';
		const char *digits;

		if (!is_digit(*at) && *at != '.' && !e && *at != '+' && *at != '-')
			break;
		if (!e)
			continue;
		if (at + 1 == end || (!is_digit(at[1]) && at[1] != '+' && at[1] != '-'))
			break;
		if (!is_digit(at[1]))
			at++;
		for (digits = at + 1; digits < end && is_digit(*digits); digits++)
			;
		if (digits - at - 1 > EXPONENT_DIGITS_MAX)
			return NULL;
	}
	return at;
}

/* Without quotation marks; lower case if asked for. False with *error. */
static bool split(struct rg_builtin_call *call, struct rg_value v, bool lower_case,
		  struct quantity *out, enum rg_builtin_result *error)
{
	const char *text = rg_text(call->heap, v), *end;
	struct rg_builder builder;
	struct rg_value clean;

	rg_builder_init(&builder, call->heap);
	for (uint32_t i = 0; i < v.length; i++) {
		if (text[i] != '"')
			rg_builder_put_char(&builder, lower_case ? lower(text[i]) : text[i]);
	}
	clean = rg_builder_finish(&builder);
	*error = RG_BUILTIN_MEMORY;
	if (!rg_is_defined(clean))
		return false;
	text = rg_text(call->heap, clean);
	end = number_end(text, text + clean.length);
	if (memchr(text, ' ', clean.length))
		*error = rg_builtin_fail(call, "%s: spaces not allowed in resource strings",
					 call->name);
	else if (!end || (size_t)(end - text) >= sizeof(out->number))
		*error = rg_builtin_fail(call, "%s: exponent too large", call->name);
	else if (end == text)
		*error = rg_builtin_fail(call, "%s: no %samount provided", call->name,
					 lower_case ? "byte " : "");
	else
		*error = RG_BUILTIN_OK;
	if (*error != RG_BUILTIN_OK)
		return false;
	out->number_bytes = (size_t)(end - text);
	memcpy(out->number, text, out->number_bytes);
	out->unit_bytes = (size_t)(text + clean.length - end);
	if (out->unit_bytes >= sizeof(out->unit)) {
		*error = rg_builtin_fail(call, "%s: %sunit %.*s not recognized", call->name,
					 lower_case ? "byte " : "", (int)out->unit_bytes, end);
		return false;
	}
	memcpy(out->unit, end, out->unit_bytes);
	out->unit[out->unit_bytes] = '\0';
	return true;
}

/* Go's number text as JSON has it: no leading '+', digits on both sides of the point, no leading
 * zeros. */
static bool normalise_number(struct quantity *q)
{
	char text[AMOUNT_BYTES + 4], *to = text;
	const char *at = q->number, *end = at + q->number_bytes, *start;

	if (at < end && (*at == '+' || *at == '-')) {
		if (*at == '-')
			*to++ = '-';
		at++;
	}
	while (end - at > 1 && *at == '0' && is_digit(at[1]))
		at++;
	if (at < end && *at == '.')
		*to++ = '0';
	start = at;
	while (at < end && is_digit(*at))
		*to++ = *at++;
	if (at < end && *at == '.') {
		bool before = at > start;

		*to++ = *at++;
		if (at == end || !is_digit(*at)) {
			if (!before)
				return false;
			*to++ = '0';
		}
	}
	while (at < end)
		*to++ = *at++;
	q->number_bytes = (size_t)(to - text);
	if (q->number_bytes >= sizeof(q->number))
		return false;
	memcpy(q->number, text, q->number_bytes);
	return rg_number_is_text(q->number, q->number_bytes);
}

/* 1000^n or 1024^n for the n-th of the letters; 0: not among them. */
static uint64_t power(const char *letters, char letter, uint64_t base)
{
	const char *found = letter ? strchr(letters, letter) : NULL;
	uint64_t factor = base;

	if (!found)
		return 0;
	while (found-- > letters)
		factor *= base;
	return factor;
}

/* ---- bytes ---- */

static uint64_t byte_factor(const char *unit)
{
	if (!*unit)
		return 1;
	if (!unit[1] || !strcmp(unit + 1, "b"))
		return power("kmgtpe", *unit, 1000);
	return !strcmp(unit + 1, "i") || !strcmp(unit + 1, "ib") ? power("kmgtpe", *unit, 1024) : 0;
}

static enum rg_builtin_result parse_bytes(struct rg_builtin_call *call, const struct rg_value *args,
					  struct rg_value *result)
{
	struct rg_value number, factor;
	enum rg_builtin_result error;
	struct rg_integer integer;
	struct rg_real real, by;
	struct quantity q;
	const char *reason;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 8))
		return RG_BUILTIN_ERROR;
	if (!split(call, args[0], true, &q, &error))
		return error;
	if (!byte_factor(q.unit))
		return rg_builtin_fail(call, "%s: byte unit %s not recognized", call->name, q.unit);
	if (!normalise_number(&q))
		return rg_builtin_fail(call, "%s: could not parse byte amount to a number",
				       call->name);
	number = rg_number_from_text(call->heap, q.number, q.number_bytes);
	factor = rg_number_from_uint(call->heap, byte_factor(q.unit));
	if (!rg_is_defined(number) || !rg_is_defined(factor))
		return RG_BUILTIN_MEMORY;
	if (!rg_real_from(call->heap, number, RG_REAL_BITS, &real) ||
	    !rg_real_from(call->heap, factor, RG_REAL_BITS, &by) ||
	    !rg_real_truncate(rg_real_mul(real, by, RG_REAL_BITS), &integer))
		return rg_builtin_fail(call, "%s", rg_number_too_big);
	number = rg_integer_value(call->heap, &integer, &reason);
	return rg_builtin_give_number(call, result, number, reason);
}

/* ---- SI units ---- */

/*
 * The factor for "m": the double nearest to 0.001, as a fraction over 2^60, because OPA makes it
 * with SetFloat64.
 * 0.001 = 1152921504606847 x 2^-60, to the nearest double.
 */
#define MILLI_NUMERATOR 1152921504606847ull
#define MILLI_SHIFT	60

static uint64_t si_factor(const char *unit)
{
	char letter = lower(*unit);

	if (!*unit)
		return 1;
	if (!strcmp(unit + 1, "i"))
		return power("kmgtpe", letter, 1024);
	return unit[1] || *unit == 'm' ? 0 : power("kmgtpe", letter, 1000);
}

/* numerator / (10^places x 2^shift), rounded half away from zero to PLACES decimal places, or
 * exact if integral. */
static struct rg_value fraction_value(struct rg_heap *heap, struct rg_integer *numerator,
				      uint32_t places, unsigned shift, const char **reason)
{
	struct rg_integer denominator, twice, rest, one;
	struct rg_builder builder;
	struct rg_value digits, v;
	struct rg_digits ten = {.at = "1", .count = 1, .magnitude = 1};
	mp_limb_t quotient[RG_INTEGER_LIMBS];
	bool negative = numerator->negative;
	uint32_t zeros;

	*reason = rg_number_too_big;
	rg_integer_from_digits(&denominator, &ten, places);
	if (!rg_integer_shift_left(&denominator, &denominator, shift))
		return rg_undefined;
	rg_integer_rem(&rest, numerator, &denominator);
	if (rest.size) { /* scale by 10^PLACES first */
		rg_integer_from_digits(&twice, &ten, PLACES);
		if (!rg_integer_mul(numerator, numerator, &twice))
			return rg_undefined;
		rg_integer_rem(&twice, numerator, &denominator);
		twice.negative = false;
		if (!rg_integer_add(&twice, &twice, &twice))
			return rg_undefined;
	}
	numerator->negative = false;
	one = *numerator; /* the quotient */
	if (numerator->size >= denominator.size) {
		mp_limb_t remainder[RG_INTEGER_LIMBS];

		mpn_tdiv_qr(quotient, remainder, 0, numerator->limb, numerator->size,
			    denominator.limb, denominator.size);
		one.size = numerator->size - denominator.size + 1;
		memcpy(one.limb, quotient, one.size * sizeof(*quotient));
		while (one.size && !one.limb[one.size - 1])
			one.size--;
	} else {
		one.size = 0;
	}
	if (!rest.size) {
		one.negative = negative && one.size;
		return rg_integer_value(heap, &one, reason);
	}
	if (rg_integer_compare(&twice, &denominator) >= 0) {
		struct rg_integer unit;

		rg_integer_from_int64(&unit, 1);
		if (!rg_integer_add(&one, &one, &unit))
			return rg_undefined;
	}
	digits = rg_integer_text(heap, &one, 10, reason);
	if (!rg_is_defined(digits))
		return digits;
	rg_builder_init(&builder, heap);
	if (negative)
		rg_builder_put_char(&builder, '-');
	zeros = digits.length > PLACES ? 0 : PLACES + 1 - digits.length;
	if (zeros) { /* 0.00...digits */
		rg_builder_put_c(&builder, "0.");
		rg_builder_repeat(&builder, '0', zeros - 1);
		rg_builder_put_value(&builder, digits);
	} else {
		rg_builder_put(&builder, rg_text(heap, digits), digits.length - PLACES);
		rg_builder_put_char(&builder, '.');
		rg_builder_put(&builder, rg_text(heap, digits) + digits.length - PLACES, PLACES);
	}
	v = rg_builder_finish(&builder);
	*reason = NULL;
	return rg_is_defined(v) ? rg_number_from_text(heap, rg_text(heap, v), v.length) : v;
}

static enum rg_builtin_result parse(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	uint64_t factor;
	struct rg_integer amount, by;
	struct rg_digits digits;
	struct rg_value number, factor_value;
	enum rg_builtin_result error;
	struct quantity q;
	const char *reason;
	bool milli;

	RG_OPERAND(1, STRING, "string");
	if (!rg_builtin_charge(call, args[0].length / 8))
		return RG_BUILTIN_ERROR;
	if (!split(call, args[0], false, &q, &error))
		return error;
	for (size_t i = 1; i < q.unit_bytes; i++)
		q.unit[i] = lower(q.unit[i]);
	milli = !strcmp(q.unit, "m");
	factor = milli ? MILLI_NUMERATOR : si_factor(q.unit);
	if (!factor)
		return rg_builtin_fail(call, "%s: unit %s not recognized", call->name, q.unit);
	if (!normalise_number(&q))
		return rg_builtin_fail(call, "%s: could not parse amount to a number", call->name);
	number = rg_number_from_text(call->heap, q.number, q.number_bytes);
	factor_value = rg_number_from_uint(call->heap, factor);
	if (!rg_is_defined(number) || !rg_is_defined(factor_value))
		return RG_BUILTIN_MEMORY;
	rg_digits_of(call->heap, number, &digits);
	if (digits.magnitude > RG_NUMBER_DIGITS_MAX / 2 ||
	    digits.magnitude < -RG_NUMBER_DIGITS_MAX / 2 || digits.count > RG_NUMBER_DIGITS_MAX / 2)
		return rg_builtin_fail(call, "%s", rg_number_too_big);
	rg_integer_from_digits(
		&amount, &digits,
		digits.magnitude > digits.count ? (uint32_t)(digits.magnitude - digits.count) : 0);
	if (!rg_integer_from(call->heap, factor_value, &by, &reason) ||
	    !rg_integer_mul(&amount, &amount, &by))
		return rg_builtin_fail(call, "%s", rg_number_too_big);
	number = fraction_value(
		call->heap, &amount,
		digits.magnitude < digits.count ? (uint32_t)(digits.count - digits.magnitude) : 0,
		milli ? MILLI_SHIFT : 0, &reason);
	return rg_builtin_give_number(call, result, number, reason);
}

static const struct rg_builtin table[] = {
	{"units.parse", parse, 1, 0, NULL, FN1(T_STRING, T_NUMBER)},
	{"units.parse_bytes", parse_bytes, 1, 0, NULL, FN1(T_STRING, T_NUMBER)},
};
RG_BUILTIN_FAMILY(rg_builtin_units, table);

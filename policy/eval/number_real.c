/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decimal D x 10^E becomes D x 5^E x 2^E: for E >= 0 the product is exact and only rounded once;
 * for E < 0 the quotient D x 2^s / 5^-E is taken with enough bits and its remainder kept as a
 * sticky bit. Printing goes the other way round, over the exact decimal expansions of a real and of
 * the ends of the interval that rounds to it. (Go computes 5^n beyond 5^55 rounded to 128 bits, so
 * a result may differ in the last bit once in some 2^60 numbers; here it is always the nearest.)
 */
#include "policy/eval/number_real.h"

#include <stdio.h>
#include <string.h>

/* Digits and places of decimals that need no arrays: no real of 64 bits needs more than 21
 * digits, and 10^19 < 2^64. */
#define SMALL_DIGITS_MAX 38
#define SMALL_PLACES_MAX 19

/* Bits behind the binary point of the reals from 0.0001 on. */
#define SMALL_POINT_MAX 77

/* Exponents of ten met in conversions: twice the places of a number. */
#define POWER_MAX (2 * RG_NUMBER_DIGITS_MAX + 32)

/* Beyond this no real is printed: 2^13700 has more digits than RG_NUMBER_DIGITS_MAX. */
#define BINARY_EXPONENT_MAX 13700

static const uint64_t powers_of_10[SMALL_PLACES_MAX + 1] = {1,
							    10,
							    100,
							    1000,
							    10000,
							    100000,
							    1000000,
							    10000000,
							    100000000,
							    1000000000,
							    10000000000,
							    100000000000,
							    1000000000000,
							    10000000000000,
							    100000000000000,
							    1000000000000000,
							    10000000000000000,
							    100000000000000000,
							    1000000000000000000,
							    10000000000000000000ull};

struct rg_real rg_real_round(const mp_limb_t *limb, uint32_t size, int32_t exponent, bool sticky,
			     unsigned bits)
{
	struct rg_real real = {0};
	unsigned shift;
	uint64_t top, below, unit = 1ull << (64 - bits), rest;

	while (size && !limb[size - 1])
		size--;
	if (!size)
		return real;
	shift = (unsigned)__builtin_clzll(limb[size - 1]);
	top = limb[size - 1] << shift;
	below = size > 1 ? limb[size - 2] : 0;
	if (shift) {
		top |= below >> (64 - shift);
		below <<= shift;
		if (size > 2)
			below |= limb[size - 3] >> (64 - shift);
	}
	for (uint32_t i = 0; i + 2 < size && !sticky; i++)
		sticky = (i + 3 == size ? limb[i] << shift : limb[i]) != 0;
	real.exponent = exponent + (int32_t)(64 * (size - 1)) - (int32_t)shift;
	/* `rest` is what lies behind the kept bits, as a fraction of 2^64 of the last one kept. */
	rest = bits == 64 ? below : (top & (unit - 1)) << bits;
	sticky = sticky || (bits < 64 && below);
	top &= ~(unit - 1);
	if (rest > 1ull << 63 || (rest == 1ull << 63 && (sticky || (top & unit)))) {
		top += unit;
		if (!top) { /* carried out of the top */
			top = 1ull << 63;
			real.exponent++;
		}
	}
	real.mantissa = top;
	return real;
}

/* limb[] = 5^power; returns its size. */
static uint32_t power_of_5(mp_limb_t *limb, uint32_t power)
{
	mp_limb_t product[RG_INTEGER_LIMBS];
	uint32_t size = 1, bit = 32;

	limb[0] = 1;
	while (bit--) {
		if (size > 1 || limb[0] > 1) {
			mpn_sqr(product, limb, size);
			size *= 2;
			size -= !product[size - 1];
			memcpy(limb, product, size * sizeof(*limb));
		}
		if (power >> bit & 1) {
			mp_limb_t carry = mpn_mul_1(limb, limb, size, 5);

			if (carry)
				limb[size++] = carry;
		}
	}
	return size;
}

/* digits x 10^places (places may be negative) */
static struct rg_real from_decimal(const struct rg_integer *digits, int32_t places, unsigned bits)
{
	mp_limb_t power[RG_INTEGER_LIMBS], work[2 * RG_INTEGER_LIMBS],
		quotient[2 * RG_INTEGER_LIMBS];
	mp_limb_t rest[RG_INTEGER_LIMBS];
	uint32_t size, extra, total;
	bool sticky = false;

	if (!digits->size)
		return (struct rg_real){0};
	if (!places)
		return rg_real_round(digits->limb, digits->size, 0, false, bits);
	size = power_of_5(power, (uint32_t)(places < 0 ? -places : places));
	if (places > 0) {
		if (digits->size >= size)
			mpn_mul(work, digits->limb, digits->size, power, size);
		else
			mpn_mul(work, power, size, digits->limb, digits->size);
		return rg_real_round(work, digits->size + size, places, false, bits);
	}
	/* Two limbs more than the divisor has: the quotient then has at least 65 bits. */
	extra = digits->size >= size + 2 ? 0 : size + 2 - digits->size;
	total = digits->size + extra;
	memset(work, 0, extra * sizeof(*work));
	memcpy(work + extra, digits->limb, digits->size * sizeof(*work));
	mpn_tdiv_qr(quotient, rest, 0, work, total, power, size);
	for (uint32_t i = 0; i < size && !sticky; i++)
		sticky = rest[i] != 0;
	return rg_real_round(quotient, total - size + 1, places - (int32_t)(64 * extra), sticky,
			     bits);
}

/* digits x 10^-places, places <= SMALL_PLACES_MAX: as from_decimal(), with a divisor of one
 * limb. */
static struct rg_real from_small(unsigned __int128 digits, unsigned places, bool negative,
				 unsigned bits)
{
	/* Two limbs more than the divisor has: the quotient then has at least 65 bits. */
	mp_limb_t numerator[4] = {0, 0, (mp_limb_t)digits, (mp_limb_t)(digits >> 64)}, quotient[4],
		  rest;
	struct rg_real real;

	if (!places) {
		real = rg_real_round(numerator + 2, 2, 0, false, bits);
	} else {
		rest = mpn_divrem_1(quotient, 0, numerator, 4, powers_of_10[places]);
		real = rg_real_round(quotient, 4, -128, rest != 0, bits);
	}
	real.negative = negative;
	return real;
}

/* The digits as an integer. At most SMALL_DIGITS_MAX. */
static unsigned __int128 small_digits(const struct rg_digits *digits)
{
	unsigned __int128 value = 0;
	const char *at = digits->at;

	for (uint32_t i = 0; i < digits->count; i++)
		value = value * 10 + rg_digits_next(&at);
	return value;
}

bool rg_real_from(const struct rg_heap *heap, struct rg_value v, unsigned bits, struct rg_real *out)
{
	struct rg_digits digits;
	struct rg_integer integer;

	if (v.form != RG_NUMBER_TEXT) {
		*out = from_small(v.i < 0 ? 0 - (uint64_t)v.i : (uint64_t)v.i,
				  v.form == RG_NUMBER_DECIMAL ? (unsigned)-v.exponent : 0, v.i < 0,
				  bits);
		return true;
	}
	rg_digits_of(heap, v, &digits);
	*out = (struct rg_real){.negative = digits.negative};
	if (!digits.count)
		return true;
	if (digits.count <= SMALL_DIGITS_MAX && digits.magnitude <= digits.count &&
	    digits.count - digits.magnitude <= SMALL_PLACES_MAX) {
		*out = from_small(small_digits(&digits),
				  (unsigned)(digits.count - digits.magnitude), digits.negative,
				  bits);
		return true;
	}
	if (digits.count > RG_NUMBER_DIGITS_MAX || digits.magnitude > RG_NUMBER_DIGITS_MAX ||
	    digits.magnitude < -RG_NUMBER_DIGITS_MAX)
		return false;
	rg_integer_from_digits(&integer, &digits, 0);
	*out = from_decimal(&integer, (int32_t)(digits.magnitude - digits.count), bits);
	out->negative = digits.negative;
	return true;
}

/* ---- arithmetic ---- */

/* |a| + |b| or |a| - |b| for |a| >= |b|, both not 0. */
static struct rg_real combine(struct rg_real a, struct rg_real b, bool subtract, unsigned bits)
{
	mp_limb_t x[4] = {0, 0, a.mantissa, 0}, y[4] = {0, 0, b.mantissa, 0};
	uint32_t distance = (uint32_t)(a.exponent - b.exponent);
	struct rg_real sum;

	if (distance > 130) /* b only tips the balance, as any tiny value does */
		distance = 130;
	/* Shift b down by distance: the 128 bits below a's last one hold it, or enough of it to
	 * tip the balance. */
	if (distance / 64) {
		memmove(y, y + distance / 64, (4 - distance / 64) * sizeof(*y));
		memset(y + 4 - distance / 64, 0, distance / 64 * sizeof(*y));
	}
	if (distance % 64)
		mpn_rshift(y, y, 4, distance % 64);
	if (subtract)
		mpn_sub_n(x, x, y, 4);
	else
		mpn_add_n(x, x, y, 4);
	sum = rg_real_round(x, 4, a.exponent - 128, false, bits);
	sum.negative = a.negative;
	return sum;
}

static int compare_magnitude(struct rg_real a, struct rg_real b)
{
	if (a.exponent != b.exponent)
		return a.exponent < b.exponent ? -1 : 1;
	return (a.mantissa > b.mantissa) - (a.mantissa < b.mantissa);
}

static struct rg_real round_real(struct rg_real x, unsigned bits)
{
	mp_limb_t limb = x.mantissa;
	struct rg_real rounded = rg_real_round(&limb, 1, x.exponent, false, bits);

	rounded.negative = x.negative;
	return rounded;
}

struct rg_real rg_real_add(struct rg_real a, struct rg_real b, unsigned bits)
{
	int order;

	if (!a.mantissa && !b.mantissa)
		return (struct rg_real){.negative = a.negative && b.negative};
	if (!b.mantissa)
		return round_real(a, bits);
	if (!a.mantissa)
		return round_real(b, bits);
	order = compare_magnitude(a, b);
	if (!order && a.negative != b.negative)
		return (struct rg_real){0};
	return order >= 0 ? combine(a, b, a.negative != b.negative, bits)
			  : combine(b, a, a.negative != b.negative, bits);
}

struct rg_real rg_real_sub(struct rg_real a, struct rg_real b, unsigned bits)
{
	b.negative = !b.negative;
	return rg_real_add(a, b, bits);
}

struct rg_real rg_real_mul(struct rg_real a, struct rg_real b, unsigned bits)
{
	unsigned __int128 product = (unsigned __int128)a.mantissa * b.mantissa;
	mp_limb_t limb[2] = {(mp_limb_t)product, (mp_limb_t)(product >> 64)};
	struct rg_real real = rg_real_round(limb, 2, a.exponent + b.exponent, false, bits);

	real.negative = a.negative != b.negative;
	return real;
}

struct rg_real rg_real_div(struct rg_real a, struct rg_real b, unsigned bits)
{
	mp_limb_t numerator[3] = {0, 0, a.mantissa}, quotient[3];
	mp_limb_t rest = mpn_divrem_1(quotient, 0, numerator, 3, b.mantissa);
	struct rg_real real =
		rg_real_round(quotient, 3, a.exponent - b.exponent - 128, rest != 0, bits);

	real.negative = a.negative != b.negative;
	return real;
}

bool rg_real_is_integral(struct rg_real x)
{
	return !x.mantissa || x.exponent >= 0 ||
	       (x.exponent > -64 && !(x.mantissa << (64 + x.exponent)));
}

bool rg_real_truncate(struct rg_real x, struct rg_integer *out)
{
	rg_integer_from_int64(out, 0);
	if (!x.mantissa || x.exponent <= -64)
		return true;
	out->limb[0] = x.exponent < 0 ? x.mantissa >> -x.exponent : x.mantissa;
	out->size = 1;
	out->negative = x.negative;
	return x.exponent <= 0 || rg_integer_shift_left(out, out, (uint64_t)x.exponent);
}

/* ---- printing ---- */

/* A decimal expansion: 0.d1 d2 ... dn x 10^magnitude. */
struct decimal {
	unsigned char digit[3 * RG_NUMBER_DIGITS_MAX];
	uint32_t count;
	int32_t magnitude;
};

/* mantissa x 2^exponent, exactly: for exponent < 0 it is mantissa x 5^-exponent / 10^-exponent. */
static void expand(unsigned __int128 mantissa, int32_t exponent, struct decimal *out)
{
	mp_limb_t limb[RG_INTEGER_LIMBS + 4], power[RG_INTEGER_LIMBS], factor[2];
	uint32_t size, skip = 0;

	while (!(mantissa & 1)) {
		mantissa >>= 1;
		exponent++;
	}
	factor[0] = (mp_limb_t)mantissa;
	factor[1] = (mp_limb_t)(mantissa >> 64);
	if (exponent >= 0) {
		uint32_t whole = (uint32_t)exponent / 64;

		memset(limb, 0, whole * sizeof(*limb));
		memcpy(limb + whole, factor, sizeof(factor));
		size = whole + 3;
		limb[size - 1] = exponent % 64 ? mpn_lshift(limb + whole, limb + whole, 2,
							    (unsigned)exponent % 64)
					       : 0;
	} else {
		size = power_of_5(power, (uint32_t)-exponent);
		limb[size] = mpn_mul_1(limb, power, size, factor[0]);
		limb[size + 1] = factor[1] ? mpn_addmul_1(limb + 1, power, size, factor[1]) : 0;
		size += 2;
	}
	while (!limb[size - 1])
		size--;
	out->count = (uint32_t)mpn_get_str(out->digit, 10, limb, size);
	while (skip < out->count && !out->digit[skip])
		skip++;
	out->count -= skip;
	memmove(out->digit, out->digit + skip, out->count);
	out->magnitude = (int32_t)out->count + (exponent < 0 ? exponent : 0);
	while (out->count && !out->digit[out->count - 1])
		out->count--;
}

enum rounding { NEAREST, DOWN, UP };

/* Keep the first n digits of d, n <= d->count. */
static void round_decimal(struct decimal *d, uint32_t n, enum rounding rounding)
{
	bool up = rounding == UP;

	if (rounding == NEAREST && n < d->count)
		up = d->digit[n] > 5 ||
		     (d->digit[n] == 5 && (n + 1 < d->count || (n && d->digit[n - 1] % 2)));
	d->count = n;
	if (up) {
		while (d->count && d->digit[d->count - 1] == 9)
			d->count--;
		if (d->count) {
			d->digit[d->count - 1]++;
		} else {
			d->digit[0] = 1;
			d->count = 1;
			d->magnitude++;
		}
	}
	while (d->count && !d->digit[d->count - 1])
		d->count--;
}

/*
 * The fewest digits that lie within half a unit in the last place of x. As in Go, the interval is
 * the same on both sides at a power of two too, though the reals below it are denser. Source: Go
 * math/big, ftoa.go.
 */
static void shortest(struct rg_real x, unsigned bits, struct decimal *d)
{
	unsigned __int128 twice = (unsigned __int128)x.mantissa << 1,
			  half = 1ull << (RG_REAL_BITS - bits);
	bool inclusive = !(x.mantissa >> (RG_REAL_BITS - bits) & 1);
	struct decimal lower, upper;

	expand(twice, x.exponent - 1, d);
	expand(twice - half, x.exponent - 1, &lower);
	expand(twice + half, x.exponent - 1, &upper);
	for (uint32_t i = 0; i < d->count; i++) {
		unsigned below = i < lower.count ? lower.digit[i] : 0,
			 above = i < upper.count ? upper.digit[i] : 0;
		unsigned digit = d->digit[i];
		bool down = below != digit || (inclusive && i + 1 == lower.count);
		bool up = digit != above && (inclusive || digit + 1 < above || i + 1 < upper.count);

		if (down || up) {
			round_decimal(d, i + 1, down && up ? NEAREST : down ? DOWN : UP);
			return;
		}
	}
}

static char *put_digits(char *to, const struct decimal *d, int32_t from, int32_t until)
{
	for (int32_t i = from; i < until; i++)
		*to++ = (char)('0' + (i >= 0 && i < (int32_t)d->count ? d->digit[i] : 0));
	return to;
}

/* Go's 'f' for integers, else its 'g', both with as many digits as there are. */
static size_t print(const struct decimal *d, bool integral, bool negative, char *text)
{
	int32_t exponent = d->magnitude - 1, count = (int32_t)d->count;
	char *to = text;

	if (negative)
		*to++ = '-';
	if (integral) {
		to = put_digits(to, d, 0, d->magnitude);
	} else if (exponent < -4 || exponent >= 6) {
		to = put_digits(to, d, 0, 1);
		if (count > 1) {
			*to++ = '.';
			to = put_digits(to, d, 1, count);
		}
		to += sprintf(to, "e%c%02d", exponent < 0 ? '-' : '+',
			      exponent < 0 ? -exponent : exponent);
	} else {
		to = d->magnitude > 0 ? put_digits(to, d, 0, d->magnitude)
				      : put_digits(to, d, -1, 0);
		*to++ = '.';
		to = put_digits(to, d, d->magnitude, count);
	}
	return (size_t)(to - text);
}

/*
 * shortest() without expansions, for the reals that money and rates are. For n places, x is
 * mantissa x 10^n in units of 10^-n x 2^exponent, a product of 128 bits; its fraction says how far
 * the nearest integer is, and that integer is a decimal that reads back as x if it is less than
 * half a unit in the last place of x away: 10^n / 2 of these units. Up to -exponent places no
 * decimal lies exactly on the end of that interval, which has one place more.
 */
struct nearest {
	unsigned __int128 digits; /* x is about digits x 10^-n */
	bool reads_back;
	bool tie; /* so is (digits + 1) x 10^-n */
};

static struct nearest nearest_decimal(struct rg_real x, unsigned n)
{
	unsigned point = (unsigned)-x.exponent; /* bits behind the binary point */
	unsigned __int128 one = (unsigned __int128)1 << point,
			  scaled = (unsigned __int128)x.mantissa * powers_of_10[n];
	unsigned __int128 fraction = scaled & (one - 1);
	bool up = fraction > one - fraction;

	return (struct nearest){.digits = (scaled >> point) + up,
				.reads_back =
					2 * (up ? one - fraction : fraction) < powers_of_10[n],
				.tie = fraction == one - fraction};
}

/* The fewest places that read back (if some do, so do more), and the digits then. False if there are none or two decimals are
 * equally near. x is not integral, and -SMALL_POINT_MAX <= exponent < 0. */
static bool shortest_small(struct rg_real x, unsigned __int128 *digits, unsigned *places)
{
	unsigned least = 1,
		 most = -x.exponent < SMALL_PLACES_MAX ? (unsigned)-x.exponent : SMALL_PLACES_MAX;
	struct nearest nearest;

	while (least < most) {
		unsigned middle = (least + most) / 2;

		if (nearest_decimal(x, middle).reads_back)
			most = middle;
		else
			least = middle + 1;
	}
	nearest = nearest_decimal(x, least);
	*digits = nearest.digits;
	*places = least;
	return nearest.reads_back && !nearest.tie;
}

static void decimal_from(unsigned __int128 digits, unsigned places, struct decimal *out)
{
	unsigned char buffer[SMALL_DIGITS_MAX + 1];
	uint32_t at = sizeof(buffer);

	for (; digits > UINT64_MAX; digits /= 10)
		buffer[--at] = (unsigned char)(digits % 10);
	for (uint64_t rest = (uint64_t)digits; rest; rest /= 10)
		buffer[--at] = (unsigned char)(rest % 10);
	out->count = (uint32_t)sizeof(buffer) - at;
	out->magnitude = (int32_t)out->count - (int32_t)places;
	memcpy(out->digit, buffer + at, out->count);
}

/* The value of a real that is an INT or has few places; undefined for others. */
static struct rg_value small_value(struct rg_heap *heap, struct rg_real x)
{
	char text[2 * SMALL_DIGITS_MAX];
	struct decimal decimal;
	unsigned __int128 digits;
	unsigned places;

	if (x.exponent >= 0 || x.exponent < -SMALL_POINT_MAX)
		return rg_undefined;
	if (rg_real_is_integral(x)) {
		int64_t whole = (int64_t)(x.mantissa >> -x.exponent);

		return rg_int(x.negative ? -whole : whole);
	}
	if (!shortest_small(x, &digits, &places))
		return rg_undefined;
	if (places <= 12 && digits < (unsigned __int128)powers_of_10[6 + places] &&
	    (places <= 4 || digits >= powers_of_10[places - 4]))
		return (struct rg_value){.type = RG_NUMBER,
					 .form = RG_NUMBER_DECIMAL,
					 .exponent = (int8_t) - (int)places,
					 .i = x.negative ? -(int64_t)digits : (int64_t)digits};
	decimal_from(digits, places, &decimal);
	return rg_number_from_text(heap, text, print(&decimal, false, x.negative, text));
}

struct rg_value rg_real_value(struct rg_heap *heap, struct rg_real x, unsigned bits,
			      const char **reason)
{
	char text[RG_NUMBER_DIGITS_MAX + 128];
	struct decimal decimal;
	struct rg_value v;
	size_t bytes;

	*reason = NULL;
	if (!x.mantissa)
		return x.negative ? rg_number_from_text(heap, "-0", 2) : rg_int(0);
	v = bits == RG_REAL_BITS ? small_value(heap, x) : rg_undefined;
	if (rg_is_defined(v))
		return v;
	if (x.exponent > BINARY_EXPONENT_MAX || x.exponent < -BINARY_EXPONENT_MAX) {
		*reason = rg_number_too_big;
		return rg_undefined;
	}
	shortest(x, bits, &decimal);
	if (decimal.magnitude > RG_NUMBER_DIGITS_MAX || decimal.magnitude < -RG_NUMBER_DIGITS_MAX) {
		*reason = rg_number_too_big;
		return rg_undefined;
	}
	bytes = print(&decimal, rg_real_is_integral(x), x.negative, text);
	return rg_number_from_text(heap, text, bytes);
}

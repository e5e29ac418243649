/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/eval/number_integer.h"

#include <string.h>

/* Limbs that RG_NUMBER_DIGITS_MAX digits can need: log2(10) < 3.3220 bits a digit. */
#define LIMBS_MAX (RG_NUMBER_DIGITS_MAX * 3322 / 1000 / 64 + 1)
static_assert(2 * LIMBS_MAX + 1 <= RG_INTEGER_LIMBS, "a product must fit before it is refused");

static void normalise(struct rg_integer *x)
{
	while (x->size && !x->limb[x->size - 1])
		x->size--;
	if (!x->size)
		x->negative = false;
}

static void copy(struct rg_integer *to, const struct rg_integer *from)
{
	if (to == from)
		return;
	to->negative = from->negative;
	to->size = from->size;
	memcpy(to->limb, from->limb, from->size * sizeof(mp_limb_t));
}

void rg_integer_from_int64(struct rg_integer *out, int64_t i)
{
	out->negative = i < 0;
	out->limb[0] = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	out->size = i != 0;
}

void rg_integer_from_digits(struct rg_integer *out, const struct rg_digits *digits, uint32_t zeros)
{
	unsigned char decimal[3 * RG_NUMBER_DIGITS_MAX];
	const char *at = digits->at;

	assert(digits->count + zeros <= sizeof(decimal));
	out->negative = digits->negative && digits->count;
	out->size = 0;
	if (!digits->count)
		return;
	if (digits->count + zeros <= 19) {
		uint64_t u = 0;

		for (uint32_t i = 0; i < digits->count; i++)
			u = u * 10 + rg_digits_next(&at);
		while (zeros--)
			u *= 10;
		out->limb[0] = u;
		out->size = 1;
		return;
	}
	for (uint32_t i = 0; i < digits->count; i++)
		decimal[i] = (unsigned char)rg_digits_next(&at);
	memset(decimal + digits->count, 0, zeros);
	out->size = (uint32_t)mpn_set_str(out->limb, decimal, digits->count + zeros, 10);
}

bool rg_integer_from(const struct rg_heap *heap, struct rg_value v, struct rg_integer *out,
		     const char **reason)
{
	struct rg_digits digits;

	*reason = NULL;
	if (v.form == RG_NUMBER_INT) {
		rg_integer_from_int64(out, v.i);
		return true;
	}
	rg_digits_of(heap, v, &digits);
	if (digits.count && digits.magnitude < digits.count)
		return false;
	if (digits.magnitude > RG_NUMBER_DIGITS_MAX) {
		*reason = rg_number_too_big;
		return false;
	}
	rg_integer_from_digits(out, &digits,
			       digits.count ? (uint32_t)(digits.magnitude - digits.count) : 0);
	return true;
}

struct rg_value rg_integer_text(struct rg_heap *heap, const struct rg_integer *x, int base,
				const char **reason)
{
	mp_limb_t work[RG_INTEGER_LIMBS]; /* mpn_get_str destroys its operand */
	unsigned char *digit;
	struct rg_value v;
	size_t count, skip = 0;
	char *text;

	*reason = NULL;
	if (!x->size)
		return rg_string(heap, "0", 1);
	if (x->size > LIMBS_MAX) {
		*reason = rg_number_too_big;
		return rg_undefined;
	}
	memcpy(work, x->limb, x->size * sizeof(mp_limb_t));
	v = rg_string_alloc(heap, 2 + x->size * 64ull,
			    &text); /* base 2 is the longest; one more for a leading 0 */
	if (!rg_is_defined(v))
		return v;
	digit = (unsigned char *)text + 1;
	count = mpn_get_str(digit, base, work, x->size);
	while (skip + 1 < count && !digit[skip])
		skip++;
	for (size_t i = skip; i < count; i++)
		text[x->negative + i - skip] = "0123456789abcdefghijklmnopqrstuvwxyz"[digit[i]];
	if (x->negative)
		text[0] = '-';
	return rg_string_trim(heap, v, x->negative + count - skip);
}

struct rg_value rg_integer_value(struct rg_heap *heap, const struct rg_integer *x,
				 const char **reason)
{
	struct rg_value v;

	*reason = NULL;
	if (!x->size)
		return rg_int(0);
	if (x->size == 1 && x->limb[0] <= (uint64_t)INT64_MAX + x->negative)
		return rg_int((int64_t)(x->negative ? 0 - x->limb[0] : x->limb[0]));
	v = rg_integer_text(heap, x, 10, reason);
	if (!rg_is_defined(v))
		return v;
	if (v.length > RG_NUMBER_DIGITS_MAX + 1) {
		*reason = rg_number_too_big;
		return rg_undefined;
	}
	v.type = RG_NUMBER;
	v.form = RG_NUMBER_TEXT;
	return v;
}

static int compare_sizes(const struct rg_integer *a, const struct rg_integer *b)
{
	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return a->size ? mpn_cmp(a->limb, b->limb, a->size) : 0;
}

int rg_integer_compare(const struct rg_integer *a, const struct rg_integer *b)
{
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	return a->negative ? -compare_sizes(a, b) : compare_sizes(a, b);
}

/* |r| = |a| + |b|, or ||a| - |b|| with the sign of the larger one. */
static bool add_signed(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b,
		       bool b_negative)
{
	bool a_negative = a->negative;

	if (compare_sizes(a, b) < 0) {
		const struct rg_integer *swap = a;
		bool sign = a_negative;

		a = b;
		b = swap;
		a_negative = b_negative;
		b_negative = sign;
	}
	if (!b->size) {
		copy(r, a);
	} else if (a_negative == b_negative) {
		uint32_t size = a->size;
		mp_limb_t carry;

		if (size > LIMBS_MAX)
			return false;
		carry = mpn_add(r->limb, a->limb, size, b->limb, b->size);
		r->limb[size] = carry;
		r->size = size + 1;
	} else {
		uint32_t size = a->size;

		mpn_sub(r->limb, a->limb, size, b->limb, b->size);
		r->size = size;
	}
	r->negative = a_negative;
	normalise(r);
	return r->size <= LIMBS_MAX;
}

bool rg_integer_add(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b)
{
	return add_signed(r, a, b, b->negative);
}

bool rg_integer_sub(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b)
{
	return add_signed(r, a, b, !b->negative && b->size);
}

bool rg_integer_mul(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b)
{
	mp_limb_t product[RG_INTEGER_LIMBS];
	bool negative = a->negative != b->negative;
	uint32_t size = a->size + b->size;

	if (!a->size || !b->size) {
		r->size = 0;
		r->negative = false;
		return true;
	}
	if (a->size > LIMBS_MAX || b->size > LIMBS_MAX)
		return false;
	if (a->size >= b->size)
		mpn_mul(product, a->limb, a->size, b->limb, b->size);
	else
		mpn_mul(product, b->limb, b->size, a->limb, a->size);
	memcpy(r->limb, product, size * sizeof(mp_limb_t));
	r->size = size;
	r->negative = negative;
	normalise(r);
	return r->size <= LIMBS_MAX;
}

void rg_integer_rem(struct rg_integer *r, const struct rg_integer *a, const struct rg_integer *b)
{
	mp_limb_t quotient[RG_INTEGER_LIMBS], rest[RG_INTEGER_LIMBS];
	uint32_t size = b->size;
	bool negative = a->negative;

	if (compare_sizes(a, b) < 0) {
		copy(r, a);
		return;
	}
	mpn_tdiv_qr(quotient, rest, 0, a->limb, a->size, b->limb, size);
	memcpy(r->limb, rest, size * sizeof(mp_limb_t));
	r->size = size;
	r->negative = negative;
	normalise(r);
}

/* Two's complement of x in `size` limbs, size > x->size. */
static void to_twos_complement(mp_limb_t *out, const struct rg_integer *x, uint32_t size)
{
	memset(out, 0, size * sizeof(*out));
	memcpy(out, x->limb, x->size * sizeof(*out));
	if (x->negative)
		mpn_neg(out, out, size);
}

static void from_twos_complement(struct rg_integer *r, mp_limb_t *bits, uint32_t size)
{
	r->negative = bits[size - 1] >> 63;
	if (r->negative)
		mpn_neg(bits, bits, size);
	memcpy(r->limb, bits, size * sizeof(*bits));
	r->size = size;
	normalise(r);
}

void rg_integer_bitwise(struct rg_integer *r, enum rg_integer_bits op, const struct rg_integer *a,
			const struct rg_integer *b)
{
	mp_limb_t x[LIMBS_MAX + 2], y[LIMBS_MAX + 2];
	uint32_t size = (a->size > b->size ? a->size : b->size) + 1;

	assert(size <= LIMBS_MAX + 2);
	to_twos_complement(x, a, size);
	to_twos_complement(y, b, size);
	for (uint32_t i = 0; i < size; i++)
		x[i] = op == RG_INTEGER_AND  ? x[i] & y[i]
		       : op == RG_INTEGER_OR ? x[i] | y[i]
					     : x[i] ^ y[i];
	from_twos_complement(r, x, size);
}

void rg_integer_not(struct rg_integer *r, const struct rg_integer *a)
{
	mp_limb_t x[LIMBS_MAX + 2];
	uint32_t size = a->size + 1;

	assert(size <= LIMBS_MAX + 2);
	to_twos_complement(x, a, size);
	for (uint32_t i = 0; i < size; i++)
		x[i] = ~x[i];
	from_twos_complement(r, x, size);
}

bool rg_integer_shift_left(struct rg_integer *r, const struct rg_integer *a, uint64_t shift)
{
	uint32_t whole = (uint32_t)(shift / 64), bits = (uint32_t)(shift % 64), size = a->size;
	mp_limb_t carry = 0;

	if (!size) {
		copy(r, a);
		return true;
	}
	if (shift / 64 > LIMBS_MAX || size + whole > LIMBS_MAX)
		return false;
	if (bits)
		carry = mpn_lshift(r->limb + whole, a->limb, size, bits);
	else
		memmove(r->limb + whole, a->limb, size * sizeof(mp_limb_t));
	memset(r->limb, 0, whole * sizeof(mp_limb_t));
	r->limb[size + whole] = carry;
	r->size = size + whole + 1;
	r->negative = a->negative;
	normalise(r);
	return r->size <= LIMBS_MAX;
}

void rg_integer_shift_right(struct rg_integer *r, const struct rg_integer *a, uint64_t shift)
{
	mp_limb_t x[LIMBS_MAX + 2];
	uint32_t size = a->size + 1, whole = (uint32_t)(shift / 64), bits = (uint32_t)(shift % 64);

	assert(size <= LIMBS_MAX + 2);
	if (shift / 64 >= size) {
		rg_integer_from_int64(r, a->negative ? -1 : 0);
		return;
	}
	to_twos_complement(x, a, size);
	if (bits) { /* the sign fills from above */
		mp_limb_t fill = a->negative ? ~(mp_limb_t)0 << (64 - bits) : 0;

		mpn_rshift(x, x + whole, size - whole, bits);
		x[size - whole - 1] |= fill;
	} else {
		memmove(x, x + whole, (size - whole) * sizeof(mp_limb_t));
	}
	from_twos_complement(r, x, size - whole);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sprintf: the format language of Go's package fmt over the four kinds of arguments that OPA hands
 * to it: int64
 * (numbers spelled as such), big.Int (longer ones), float64 (all other numbers that a double can
 * hold) and string
 * (strings; and the Rego text of everything else). Wrong verbs and counts are spelled out in the
 * result as Go does
 * (%!d(string=a), %!s(MISSING), %!(EXTRA ...)); nothing is an error.
 *
 * Source: Go fmt/print.go, fmt/format.go, math/big/intconv.go; OPA v1/topdown/strings.go
 * (builtinSprintf).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/builtin/family.h"
#include "policy/builtin/unicode.h"
#include "policy/eval/number_integer.h"

enum argument_kind { INT64, BIG, FLOAT, TEXT };

struct argument {
	enum argument_kind kind;
	struct rg_value v; /* TEXT: a string; BIG, INT64: the number */
	double real;
};

struct format {
	struct rg_builder *out;
	const char *at, *end;
	struct rg_value list;
	uint32_t argument, argument_count;
	bool plus, minus, sharp, space, zero, sharp_v;
	bool has_width, has_precision;
	int width, precision;
	bool reordered, after_index, good_index;
};

/* Width and precision beyond this are refused, as in Go. */
#define NUMBER_MAX 1000000

/* ---- arguments ---- */

static bool is_plain_integer(struct rg_heap *heap, struct rg_value v)
{
	const char *text = rg_text(heap, v);

	for (uint32_t i = 0; i < v.length; i++) {
		if ((text[i] < '0' || text[i] > '9') && !(i == 0 && text[i] == '-'))
			return false;
	}
	return true;
}

static struct rg_value term_text(struct rg_heap *heap, struct rg_value v)
{
	struct rg_builder builder;

	rg_builder_init(&builder, heap);
	rg_builder_put_term(&builder, v);
	return rg_builder_finish(&builder);
}

static struct argument argument_of(struct rg_heap *heap, struct rg_value v)
{
	struct argument a = {.kind = TEXT, .v = v};

	if (v.type == RG_NUMBER) {
		a.kind = v.form == RG_NUMBER_INT ? INT64 : FLOAT;
		if (v.form == RG_NUMBER_TEXT && is_plain_integer(heap, v)) {
			int64_t small;

			a.kind = rg_number_to_int64(heap, v, &small) ? INT64 : BIG;
			if (a.kind == INT64)
				a.v = rg_int(small); /* -0 */
		}
		if (a.kind == FLOAT) {
			a.real = rg_number_to_double(heap, v);
			if (isinf(a.real))
				a.kind = TEXT;
		}
	}
	if (a.kind == TEXT && v.type != RG_STRING)
		a.v = term_text(heap, v);
	return a;
}

static const char *kind_name(enum argument_kind kind)
{
	static const char *const names[] = {"int64", "*big.Int", "float64", "string"};

	return names[kind];
}

/* ---- padding ---- */

static void pad(struct format *f, const char *text, size_t bytes)
{
	uint64_t runes = rg_rune_count(text, bytes);
	uint64_t missing =
		f->has_width && (uint64_t)f->width > runes ? (uint64_t)f->width - runes : 0;

	if (!f->minus)
		rg_builder_repeat(f->out, f->zero ? '0' : ' ', missing);
	rg_builder_put(f->out, text, bytes);
	if (f->minus)
		rg_builder_repeat(f->out, ' ', missing);
}

static void pad_value(struct format *f, struct rg_value text)
{
	if (rg_is_defined(text))
		pad(f, rg_text(f->out->heap, text), text.length);
}

/* ---- strings ---- */

static void put_string(struct format *f, const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes;
	uint32_t rune;

	if (f->has_precision) { /* so many runes at most */
		for (int n = 0; n < f->precision && at < end; n++)
			at += rg_rune(at, end, &rune);
		bytes = (size_t)(at - text);
	}
	pad(f, text, bytes);
}

static bool can_be_raw(const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes;

	while (at < end) {
		uint32_t rune, n = rg_rune(at, end, &rune);

		if ((rune == RG_RUNE_ERROR && n == 1) || rune == 0xfeff ||
		    (rune < ' ' && rune != '\t') || rune == '`' || rune == 0x7f)
			return false;
		at += n;
	}
	return true;
}

/* Each rune above ASCII as an escape: Go's strconv.QuoteToASCII. */
static void put_ascii_quoted(struct rg_builder *builder, struct rg_value quoted)
{
	const char *at = rg_text(builder->heap, quoted), *end = at + quoted.length;
	char escape[12];
	uint32_t rune;

	while (at < end) {
		at += rg_rune(at, end, &rune);
		if (rune < 0x80)
			rg_builder_put_char(builder, (char)rune);
		else
			rg_builder_put(builder, escape,
				       (size_t)snprintf(escape, sizeof(escape),
							rune < 0x10000 ? "\\u%04x" : "\\U%08x",
							rune));
	}
}

static void put_quoted(struct format *f, const char *text, size_t bytes)
{
	struct rg_builder builder;
	struct rg_value quoted;

	rg_builder_init(&builder, f->out->heap);
	if (f->sharp && can_be_raw(text, bytes)) {
		rg_builder_put_char(&builder, '`');
		rg_builder_put(&builder, text, bytes);
		rg_builder_put_char(&builder, '`');
	} else {
		rg_builder_put_go_quoted(&builder, text, bytes);
	}
	quoted = rg_builder_finish(&builder);
	if (f->plus && rg_is_defined(quoted)) {
		rg_builder_init(&builder, f->out->heap);
		put_ascii_quoted(&builder, quoted);
		quoted = rg_builder_finish(&builder);
	}
	pad_value(f, quoted);
}

static void put_hex_string(struct format *f, const char *text, size_t bytes, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef",
		   *prefix = upper ? "0X" : "0x";
	struct rg_builder builder;

	if (f->has_precision && bytes > (size_t)f->precision)
		bytes = (size_t)f->precision;
	rg_builder_init(&builder, f->out->heap);
	for (size_t i = 0; i < bytes; i++) {
		if (f->space && i)
			rg_builder_put_char(&builder, ' ');
		if (f->sharp && (f->space || !i))
			rg_builder_put_c(&builder, prefix);
		rg_builder_put_char(&builder, digits[(unsigned char)text[i] >> 4]);
		rg_builder_put_char(&builder, digits[(unsigned char)text[i] & 15]);
	}
	pad_value(f, rg_builder_finish(&builder));
}

/* ---- integers ---- */

/* Magnitude digits to a base, sign and prefix, with precision and zero padding. */
static void put_integer(struct format *f, struct rg_value number, int base, uint32_t verb)
{
	struct rg_heap *heap = f->out->heap;
	struct rg_integer integer;
	struct rg_builder builder;
	struct rg_value digits;
	const char *reason, *prefix = "";
	uint64_t zeros = 0, length;
	char sign;

	if (!rg_integer_from(heap, number, &integer,
			     &reason)) { /* more digits than arithmetic takes */
		pad(f, rg_text(heap, number), number.length);
		return;
	}
	sign = integer.negative ? '-' : f->plus ? '+' : f->space ? ' ' : '\0';
	integer.negative = false;
	if (f->has_precision && !f->precision && !integer.size) { /* nothing but padding */
		f->zero = false;
		pad(f, "", 0);
		return;
	}
	digits = rg_integer_text(heap, &integer, base, &reason);
	if (!rg_is_defined(digits))
		return;
	if (f->sharp)
		prefix = base == 2 ? "0b" : base == 16 ? (verb == 'X' ? "0X" : "0x") : "";
	if (verb == 'O')
		prefix = "0o";
	if (f->has_precision)
		zeros = (uint64_t)f->precision > digits.length
				? (uint64_t)f->precision - digits.length
				: 0;
	length = (sign != '\0') +
		 digits.length; /* as in Go, zeros to the width do not count the prefix */
	if (!f->has_precision && f->zero && !f->minus && f->has_width &&
	    (uint64_t)f->width > length)
		zeros = (uint64_t)f->width - length;
	if (f->sharp && base == 8 && !zeros && !rg_string_is(heap, digits, "0"))
		prefix = "0";
	rg_builder_init(&builder, heap);
	if (sign)
		rg_builder_put_char(&builder, sign);
	rg_builder_put_c(&builder, prefix);
	rg_builder_repeat(&builder, '0', zeros);
	for (uint32_t i = 0; i < digits.length; i++) {
		char digit = rg_text(heap, digits)[i];

		rg_builder_put_char(&builder,
				    verb == 'X' && digit >= 'a' ? (char)(digit - 32) : digit);
	}
	f->zero = false;
	pad_value(f, rg_builder_finish(&builder));
}

static uint32_t rune_of(int64_t i)
{
	return i < 0 || i > 0x10ffff ? RG_RUNE_ERROR : (uint32_t)i;
}

static void put_character(struct format *f, int64_t i)
{
	char text[4];

	pad(f, text, rg_rune_encode(rune_of(i), text));
}

static void put_quoted_character(struct format *f, int64_t i)
{
	uint32_t rune = rune_of(i);
	char text[4], quoted[16];
	struct rg_builder builder;
	struct rg_value v;

	rg_builder_init(&builder, f->out->heap);
	if (rune == '\'') {
		rg_builder_put_c(&builder, "'\\''");
	} else if (rune == '"') {
		rg_builder_put_c(&builder, "'\"'");
	} else if (f->plus && rune >= 0x80) {
		snprintf(quoted, sizeof(quoted), rune < 0x10000 ? "'\\u%04x'" : "'\\U%08x'", rune);
		rg_builder_put_c(&builder, quoted);
	} else {
		rg_builder_put_go_quoted(&builder, text, rg_rune_encode(rune, text));
	}
	v = rg_builder_finish(&builder);
	if (!rg_is_defined(v))
		return;
	((char *)rg_at(f->out->heap, v.space, v.offset))[0] = '\'';
	((char *)rg_at(f->out->heap, v.space, v.offset))[v.length - 1] = '\'';
	pad_value(f, v);
}

static void put_unicode(struct format *f, int64_t i)
{
	int precision = f->has_precision && f->precision > 4 ? f->precision : 4;
	struct rg_builder builder;
	char digits[20], rune[4];
	int count = snprintf(digits, sizeof(digits), "%llX", (unsigned long long)i);

	rg_builder_init(&builder, f->out->heap);
	rg_builder_put_c(&builder, "U+");
	rg_builder_repeat(&builder, '0', (uint64_t)(precision > count ? precision - count : 0));
	rg_builder_put(&builder, digits, (size_t)count);
	if (f->sharp && i >= 0 && i <= 0x10ffff && rg_rune_is_printable((uint32_t)i)) {
		rg_builder_put_c(&builder, " '");
		rg_builder_put(&builder, rune, rg_rune_encode((uint32_t)i, rune));
		rg_builder_put_char(&builder, '\'');
	}
	f->zero = false;
	pad_value(f, rg_builder_finish(&builder));
}

/* ---- floats ---- */

/* Digits beyond this are zeros: no double has more. */
#define PLACES_MAX  1100
#define FLOAT_BYTES (PLACES_MAX + 400)

/* Fewest digits that read back as the double, in Go's %g form. */
static void shortest(double d, char verb, char *out)
{
	char e[40];
	int precision = 0, exponent;

	for (; precision < 17; precision++) {
		snprintf(e, sizeof(e), "%.*e", precision, d);
		if (strtod(e, NULL) == d)
			break;
	}
	exponent = atoi(strchr(e, 'e') + 1);
	if (verb == 'e' || verb == 'E')
		snprintf(out, FLOAT_BYTES, verb == 'e' ? "%.*e" : "%.*E", precision, d);
	else if (exponent < -4 || exponent >= 6)
		snprintf(out, FLOAT_BYTES, verb == 'G' ? "%.*E" : "%.*e", precision, d);
	else
		snprintf(out, FLOAT_BYTES, "%.*f", precision > exponent ? precision - exponent : 0,
			 d);
}

/* Go's %x: 0x1.8p+00, always normalised, exponent of two digits at least. */
static void hexadecimal(double d, int precision, bool upper, char *out)
{
	int exponent = 0;
	char mantissa[64], *p;

	d = d == 0 ? d : ldexp(frexp(d, &exponent), 1);
	if (precision < 0)
		snprintf(mantissa, sizeof(mantissa), "%a", d);
	else
		snprintf(mantissa, sizeof(mantissa), "%.*a", precision > 30 ? 30 : precision, d);
	p = strchr(mantissa, 'p');
	exponent = d == 0 ? 0 : exponent - 1 + atoi(p + 1);
	*p = '\0';
	snprintf(out, FLOAT_BYTES, "%sp%c%02d", mantissa, exponent < 0 ? '-' : '+', abs(exponent));
	for (p = out; upper && *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
}

static void binary_exponent(double d, char *out)
{
	int exponent;
	double mantissa = frexp(d, &exponent);

	snprintf(out, FLOAT_BYTES, "%.0fp%+d", ldexp(mantissa, 53), d == 0 ? -1074 : exponent - 53);
}

/* The sharp flag: always a decimal point, and for %g the zeros that make up the precision. */
static void insert_point(char *number, uint32_t verb, int precision)
{
	int digits = verb == 'g' || verb == 'G' || verb == 'x' || verb == 'X'
			     ? (precision < 0 ? 6 : precision)
			     : 0;
	char tail[16] = "", *at = number + (*number == '-');
	bool point = false, nonzero = false;

	for (; *at; at++) {
		if (*at == '.') {
			point = true;
		} else if (*at == 'p' || *at == 'P' ||
			   ((*at == 'e' || *at == 'E') && verb != 'x' && verb != 'X')) {
			snprintf(tail, sizeof(tail), "%s", at);
			*at = '\0';
			break;
		} else {
			nonzero = nonzero || *at != '0';
			digits -= nonzero;
		}
	}
	if (!point) {
		if (!strcmp(number + (*number == '-'), "0"))
			digits--;
		*at++ = '.';
	}
	while (digits-- > 0 && at < number + FLOAT_BYTES)
		*at++ = '0';
	strcpy(at, tail);
}

static void put_float(struct format *f, double d, uint32_t verb, int precision)
{
	char number[FLOAT_BYTES + 32], *digits = number;
	uint64_t zeros = 0, bytes;
	char sign;

	if (f->has_precision)
		precision = f->precision;
	if (precision > PLACES_MAX) { /* nothing but zeros follow */
		zeros = verb == 'f' ? (uint64_t)(precision - PLACES_MAX) : 0;
		precision = PLACES_MAX;
	}
	switch (verb) {
	case 'b': binary_exponent(d, number); break;
	case 'x':
	case 'X': hexadecimal(d, precision, verb == 'X', number); break;
	case 'f': snprintf(number, FLOAT_BYTES, "%.*f", precision, d); break;
	case 'e': snprintf(number, FLOAT_BYTES, "%.*e", precision, d); break;
	case 'E': snprintf(number, FLOAT_BYTES, "%.*E", precision, d); break;
	default:
		if (precision < 0)
			shortest(d, (char)verb, number);
		else
			snprintf(number, FLOAT_BYTES, verb == 'G' ? "%.*G" : "%.*g", precision, d);
	}
	if (f->sharp && verb != 'b')
		insert_point(number, verb, precision);
	sign = *number == '-' ? '-' : f->plus ? '+' : f->space ? ' ' : '\0';
	digits += *number == '-';
	bytes = strlen(digits);
	if (sign) {
		if (f->zero && !f->minus && f->has_width &&
		    (uint64_t)f->width > bytes + zeros + 1) {
			rg_builder_put_char(f->out, sign);
			rg_builder_repeat(f->out, '0', (uint64_t)f->width - bytes - zeros - 1);
			rg_builder_put(f->out, digits, bytes);
			rg_builder_repeat(f->out, '0', zeros);
			return;
		}
		if (digits == number) {
			memmove(number + 1, number, bytes + 1);
			digits = number;
		} else {
			digits--;
		}
		*digits = sign;
		bytes++;
	}
	if (zeros) { /* wider than any field one would ask for */
		rg_builder_put(f->out, digits, bytes);
		rg_builder_repeat(f->out, '0', zeros);
		return;
	}
	pad(f, digits, bytes);
}

/* ---- one argument ---- */

static void put_verb(struct format *f, uint32_t verb)
{
	rg_builder_put_c(f->out, "%!");
	rg_builder_put_rune(f->out, verb);
}

static void put_argument(struct format *f, const struct argument *a, uint32_t verb);

static void bad_verb(struct format *f, const struct argument *a, uint32_t verb)
{
	put_verb(f, verb);
	rg_builder_put_char(f->out, '(');
	rg_builder_put_c(f->out, kind_name(a->kind));
	rg_builder_put_char(f->out, '=');
	put_argument(f, a, 'v');
	rg_builder_put_char(f->out, ')');
}

static void put_int_argument(struct format *f, const struct argument *a, uint32_t verb)
{
	switch (verb) {
	case 'v':
	case 'd': put_integer(f, a->v, 10, verb); break;
	case 'b': put_integer(f, a->v, 2, verb); break;
	case 'o':
	case 'O': put_integer(f, a->v, 8, verb); break;
	case 'x':
	case 'X': put_integer(f, a->v, 16, verb); break;
	case 'c': put_character(f, a->v.i); break;
	case 'q': put_quoted_character(f, a->v.i); break;
	case 'U': put_unicode(f, a->v.i); break;
	default: bad_verb(f, a, verb);
	}
}

static void put_big_argument(struct format *f, const struct argument *a, uint32_t verb)
{
	switch (verb) {
	case 'v':
	case 's':
	case 'd': put_integer(f, a->v, 10, verb); break;
	case 'b': put_integer(f, a->v, 2, verb); break;
	case 'o':
	case 'O': put_integer(f, a->v, 8, verb); break;
	case 'x':
	case 'X': put_integer(f, a->v, 16, verb); break;
	default:
		put_verb(f, verb);
		rg_builder_put_c(f->out, "(big.Int=");
		rg_builder_put_value(f->out, a->v);
		rg_builder_put_char(f->out, ')');
	}
}

static void put_float_argument(struct format *f, const struct argument *a, uint32_t verb)
{
	switch (verb) {
	case 'v': put_float(f, a->real, 'g', -1); break;
	case 'b':
	case 'g':
	case 'G':
	case 'x':
	case 'X': put_float(f, a->real, verb, -1); break;
	case 'f':
	case 'F': put_float(f, a->real, 'f', 6); break;
	case 'e':
	case 'E': put_float(f, a->real, verb, 6); break;
	default: bad_verb(f, a, verb);
	}
}

static void put_text_argument(struct format *f, const struct argument *a, uint32_t verb)
{
	const char *text = rg_text(f->out->heap, a->v);

	switch (verb) {
	case 'v':
		if (f->sharp_v)
			put_quoted(f, text, a->v.length);
		else
			put_string(f, text, a->v.length);
		break;
	case 's': put_string(f, text, a->v.length); break;
	case 'q': put_quoted(f, text, a->v.length); break;
	case 'x':
	case 'X': put_hex_string(f, text, a->v.length, verb == 'X'); break;
	default: bad_verb(f, a, verb);
	}
}

static void put_argument(struct format *f, const struct argument *a, uint32_t verb)
{
	if (f->out->heap->exhausted)
		return;
	if (verb == 'T') {
		put_string(f, kind_name(a->kind), strlen(kind_name(a->kind)));
		return;
	}
	switch (a->kind) {
	case INT64: put_int_argument(f, a, verb); break;
	case BIG: put_big_argument(f, a, verb); break;
	case FLOAT: put_float_argument(f, a, verb); break;
	case TEXT: put_text_argument(f, a, verb); break;
	}
}

/* ---- the format ---- */

/* A decimal number at f->at. False if there is none, or it is too large. */
static bool parse_number(struct format *f, int *out)
{
	const char *start = f->at;
	int n = 0;

	while (f->at < f->end && *f->at >= '0' && *f->at <= '9') {
		if (n > NUMBER_MAX)
			return false;
		n = n * 10 + (*f->at++ - '0');
	}
	*out = n;
	return f->at > start;
}

/* "[3]" before a verb, a width or a precision. */
static void parse_index(struct format *f)
{
	const char *close;
	int n;

	if (f->at >= f->end || *f->at != '[')
		return;
	f->reordered = true;
	close = memchr(f->at, ']', (size_t)(f->end - f->at));
	if (!close) {
		f->good_index = false;
		f->at++;
		return;
	}
	f->at++;
	if (!parse_number(f, &n) || f->at != close || n < 1 || (uint32_t)n > f->argument_count) {
		f->good_index = false;
		f->after_index = f->at == close;
		f->at = close + 1;
		return;
	}
	f->argument = (uint32_t)n - 1;
	f->after_index = true;
	f->at = close + 1;
}

/* The integer argument that a '*' asks for. */
static bool star_argument(struct format *f, int *out)
{
	int64_t i = 0;
	bool good = false;

	if (f->argument < f->argument_count) {
		struct rg_value v = rg_array_at(f->out->heap, f->list, f->argument++);

		good = v.type == RG_NUMBER && v.form == RG_NUMBER_INT && v.i <= NUMBER_MAX &&
		       v.i >= -NUMBER_MAX;
		i = good ? v.i : 0;
	}
	f->after_index = false;
	*out = (int)i;
	return good;
}

static void parse_flags(struct format *f)
{
	for (; f->at < f->end; f->at++) {
		switch (*f->at) {
		case '#': f->sharp = true; break;
		case '0': f->zero = true; break;
		case '+': f->plus = true; break;
		case '-': f->minus = true; break;
		case ' ': f->space = true; break;
		default: return;
		}
	}
}

static void parse_width(struct format *f)
{
	parse_index(f);
	if (f->at < f->end && *f->at == '*') {
		f->at++;
		f->has_width = star_argument(f, &f->width);
		if (!f->has_width)
			rg_builder_put_c(f->out, "%!(BADWIDTH)");
		if (f->width < 0) {
			f->width = -f->width;
			f->minus = true;
		}
		return;
	}
	f->has_width = parse_number(f, &f->width);
	if (f->after_index && f->has_width)
		f->good_index = false;
}

static void parse_precision(struct format *f)
{
	if (f->at >= f->end || *f->at != '.')
		return;
	f->at++;
	if (f->after_index)
		f->good_index = false;
	parse_index(f);
	if (f->at < f->end && *f->at == '*') {
		f->at++;
		f->has_precision = star_argument(f, &f->precision);
		if (f->precision < 0) {
			f->precision = 0;
			f->has_precision = false;
		}
		if (!f->has_precision)
			rg_builder_put_c(f->out, "%!(BADPREC)");
		return;
	}
	if (!parse_number(f, &f->precision))
		f->precision = 0;
	f->has_precision = true;
}

static void clear_flags(struct format *f)
{
	f->plus = f->minus = f->sharp = f->space = f->zero = f->sharp_v = false;
	f->has_width = f->has_precision = false;
	f->width = f->precision = 0;
}

/* What follows a '%'. */
static void put_directive(struct format *f)
{
	struct argument a;
	uint32_t verb;

	clear_flags(f);
	f->good_index = true;
	f->after_index = false;
	parse_flags(f);
	parse_width(f);
	parse_precision(f);
	if (!f->after_index)
		parse_index(f);
	if (f->minus)
		f->zero = false;
	if (f->at >= f->end) {
		rg_builder_put_c(f->out, "%!(NOVERB)");
		return;
	}
	f->at += rg_rune(f->at, f->end, &verb);
	if (verb == '%') {
		rg_builder_put_char(f->out, '%');
		return;
	}
	if (!f->good_index || f->argument >= f->argument_count) {
		put_verb(f, verb);
		rg_builder_put_c(f->out, f->good_index ? "(MISSING)" : "(BADINDEX)");
		return;
	}
	if (verb == 'v') {
		f->sharp_v = f->sharp;
		f->sharp = false;
		f->plus = false;
	}
	a = argument_of(f->out->heap, rg_array_at(f->out->heap, f->list, f->argument++));
	put_argument(f, &a, verb);
}

static void put_extra(struct format *f)
{
	const char *separator = "";

	clear_flags(f);
	rg_builder_put_c(f->out, "%!(EXTRA ");
	while (f->argument < f->argument_count && !f->out->heap->exhausted) {
		struct argument a = argument_of(f->out->heap,
						rg_array_at(f->out->heap, f->list, f->argument++));

		rg_builder_put_c(f->out, separator);
		rg_builder_put_c(f->out, kind_name(a.kind));
		rg_builder_put_char(f->out, '=');
		put_argument(f, &a, 'v');
		separator = ", ";
	}
	rg_builder_put_char(f->out, ')');
}

static enum rg_builtin_result sprintf_of(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_builder builder;
	struct format f = {.out = &builder};

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, ARRAY, "array");
	if (!rg_builtin_charge(call, args[0].length / 8 + rg_count(call->heap, args[1])))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&builder, call->heap);
	f.at = rg_text(call->heap, args[0]);
	f.end = f.at + args[0].length;
	f.list = args[1];
	f.argument_count = rg_count(call->heap, args[1]);
	while (f.at < f.end && !call->heap->exhausted) {
		const char *percent = memchr(f.at, '%', (size_t)(f.end - f.at)),
			   *until = percent ? percent : f.end;

		rg_builder_put(&builder, f.at, (size_t)(until - f.at));
		f.at = until;
		if (percent) {
			f.at++;
			put_directive(&f);
		}
	}
	if (!f.reordered && f.argument < f.argument_count)
		put_extra(&f);
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static const struct rg_builtin table[] = {
	{"sprintf", sprintf_of, 2, 0, NULL, FN2(T_STRING, T_ARRAY(T_ANY), T_STRING)},
};
RG_BUILTIN_FAMILY(rg_builtin_sprintf, table);

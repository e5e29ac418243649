/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers: OPA's own answers (number_test.json, made with `opa eval` 1.22.2 over random and chosen
 * operands: each pair with the results of all binary operations, null where OPA gives an error, and
 * the unary ones of its first number; each list with sum and product), random decimals against the
 * machine's 64-bit reals, spellings, conversions, bounds, exhaustion.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/eval/number.h"
#include "policy/eval/number_integer.h"

static struct rg_heap heap;

static struct rg_value number(const char *text)
{
	assert(rg_number_is_text(text, strlen(text)));
	return rg_number_from_text(&heap, text, strlen(text));
}

static const char *text_of(struct rg_value v)
{
	static char text[RG_NUMBER_DIGITS_MAX * 2];
	size_t bytes;

	if (v.type != RG_NUMBER)
		return "(none)";
	bytes = rg_number_text(&heap, v, text, sizeof(text) - 1);
	text[bytes] = '\0';
	return text;
}

static int expect(const char *what, struct rg_value a, struct rg_value b, struct rg_value got,
		  struct rg_value want)
{
	char got_text[RG_NUMBER_DIGITS_MAX], want_text[RG_NUMBER_DIGITS_MAX];

	if (want.type == RG_NULL && !rg_is_defined(got))
		return 0;
	snprintf(got_text, sizeof(got_text), "%s", text_of(got));
	snprintf(want_text, sizeof(want_text), "%s", text_of(want));
	if (want.type == RG_NUMBER && got.type == RG_NUMBER && !strcmp(got_text, want_text))
		return 0;
	printf("%s of %s", what, text_of(a));
	printf(" and %s: got %s, OPA says %s\n", text_of(b), got_text, want_text);
	return 1;
}

static struct rg_value at(struct rg_value array, uint32_t i)
{
	return rg_array_at(&heap, array, i);
}

static int compare_pair(struct rg_value row)
{
	static const char *const names[] = {"plus", "minus", "mul", "div", "rem"};
	static const char *const unary[] = {"abs", "round", "ceil", "floor"};
	struct rg_value a = at(row, 0), b = at(row, 1), results = at(row, 2);
	const char *reason;
	int wrong = 0, order = rg_number_compare(&heap, a, b);

	for (uint32_t op = 0; op < 5; op++)
		wrong += expect(names[op], a, b,
				rg_number_arith(&heap, (enum rg_number_op)op, a, b, &reason),
				at(results, op));
	for (uint32_t op = 0; op < 4; op++)
		wrong += expect(unary[op], a, rg_undefined,
				rg_number_unary(&heap, (enum rg_number_unary)op, a, &reason),
				at(at(row, 3), op));
	wrong += (order < 0) != (at(results, 5).i != 0);
	wrong += (order == 0) != (at(results, 6).i != 0);
	assert(rg_number_compare(&heap, b, a) == -order);
	if (!order)
		assert(rg_number_hash(&heap, a) == rg_number_hash(&heap, b));
	return wrong;
}

static void test_against_opa(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t capacity = 1 << 20, bytes;
	char *json = malloc(capacity);
	struct rg_error err;
	struct rg_value all, pairs, lists;
	int wrong = 0;

	assert(file && json);
	bytes = fread(json, 1, capacity, file);
	assert(bytes && bytes < capacity);
	fclose(file);
	assert(rg_value_parse(&heap, json, bytes, &all, &err) == RG_OK);
	free(json);
	pairs = rg_object_get_text(&heap, all, "pairs", 5);
	lists = rg_object_get_text(&heap, all, "lists", 5);
	assert(rg_count(&heap, pairs) > 1000 && rg_count(&heap, lists) > 100);
	for (uint32_t i = 0; i < rg_count(&heap, pairs); i++)
		wrong += compare_pair(at(pairs, i));
	for (uint32_t i = 0; i < rg_count(&heap, lists); i++) {
		struct rg_value row = at(lists, i), list = at(row, 0), numbers[8];
		uint32_t count = rg_count(&heap, list);
		const char *reason;

		for (uint32_t k = 0; k < count; k++)
			numbers[k] = at(list, k);
		wrong += expect("sum", numbers[0], numbers[count - 1],
				rg_number_accumulate(&heap, RG_NUMBER_ADD, numbers, count, &reason),
				at(at(row, 1), 0));
		wrong += expect("product", numbers[0], numbers[count - 1],
				rg_number_accumulate(&heap, RG_NUMBER_MUL, numbers, count, &reason),
				at(at(row, 1), 1));
	}
	printf("%d results differ from OPA's\n", wrong);
	assert(!wrong);
}

static void test_forms(void)
{
	static const struct {
		const char *text;
		enum rg_number_form form;
	} cases[] = {
		{"0", RG_NUMBER_INT},
		{"-0", RG_NUMBER_TEXT},
		{"-1", RG_NUMBER_INT},
		{"9223372036854775807", RG_NUMBER_INT},
		{"-9223372036854775808", RG_NUMBER_INT},
		{"9223372036854775808", RG_NUMBER_TEXT},
		{"0.5", RG_NUMBER_DECIMAL},
		{"-0.5", RG_NUMBER_DECIMAL},
		{"0.50", RG_NUMBER_TEXT},
		{"1.0", RG_NUMBER_TEXT},
		{"1e3", RG_NUMBER_TEXT},
		{"5e-1", RG_NUMBER_TEXT},
		{"0.000000000000000001", RG_NUMBER_DECIMAL},
		{"0.0000000000000000001", RG_NUMBER_TEXT},
		{"9.223372036854775807", RG_NUMBER_DECIMAL},
		{"9.223372036854775808", RG_NUMBER_TEXT},
		{"-9.223372036854775808", RG_NUMBER_DECIMAL},
		{"123456.789", RG_NUMBER_DECIMAL},
	};
	static const char *const bad[] = {"",	"-",  "01", "1.",  ".5",  "1e", "1e+",
					  "+1", "1x", " 1", "1_0", "0x1", "NaN"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rg_value v = number(cases[i].text);

		assert(v.form == cases[i].form);
		assert(!strcmp(text_of(v), cases[i].text));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert(!rg_number_is_text(bad[i], strlen(bad[i])));
}

static void test_compare(void)
{
	static const char *const ascending[] = {"-1e100000000000000000",
						"-1e1000001",
						"-1e1000000",
						"-28857836529306024611913",
						"-1.0000000000000000001",
						"-1",
						"-1e-1000000",
						"0",
						"1e-99999999999999999999",
						"1e-1000000",
						"0.1",
						"0.10000000000000000000000001",
						"1",
						"1.5",
						"28857836529306024611912",
						"28857836529306024611913",
						"28857836529306024611913.5",
						"1e1000000",
						"1e1000001"};
	static const char *const equal[][3] = {{"1", "1.0", "1e0"},
					       {"100", "1e2", "0.1E+3"},
					       {"0", "-0", "0.000e7"},
					       {"1.5", "1.50", "15e-1"},
					       {"1e1000000", "10e999999", "0.1e1000001"},
					       {"28857836529306024611913",
						"28857836529306024611913.0",
						"2885783652930602461191.3e1"}};
	size_t n = sizeof(ascending) / sizeof(*ascending);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++)
			assert(rg_number_compare(&heap, number(ascending[i]),
						 number(ascending[k])) == (i > k) - (i < k));
	}
	for (size_t i = 0; i < sizeof(equal) / sizeof(*equal); i++) {
		for (int k = 0; k < 9; k++) {
			struct rg_value a = number(equal[i][k / 3]), b = number(equal[i][k % 3]);

			assert(!rg_number_compare(&heap, a, b) && rg_equal(&heap, a, b) &&
			       rg_hash(&heap, a) == rg_hash(&heap, b));
		}
	}
}

static void test_conversions(void)
{
	static const struct {
		int64_t mantissa;
		int exponent;
		const char *text;
	} decimals[] = {{0, -5, "0"},
			{1500, -2, "15"},
			{1505, -2, "15.05"},
			{-5, -1, "-0.5"},
			{7, 3, "7000"},
			{1, 19, "10000000000000000000"},
			{-92, 18, "-92000000000000000000"},
			{1, -18, "0.000000000000000001"},
			{1, -19, "0.0000000000000000001"},
			{INT64_MIN, -19, "-0.9223372036854775808"},
			{INT64_MIN, -20, "-0.09223372036854775808"},
			{INT64_MAX, -1, "922337203685477580.7"}};
	static const struct {
		const char *text;
		int exponent;
		int64_t scaled;
	} scaled[] = {{"1", -6, 1000000},
		      {"0.0000005", -6, 0},
		      {"0.0000015", -6, 2},
		      {"0.00000050001", -6, 1},
		      {"-0.0000015", -6, -2},
		      {"-0.0000025", -6, -2},
		      {"1e30", -6, INT64_MAX},
		      {"-1e30", -6, INT64_MIN},
		      {"9223372036854.775807", -6, INT64_MAX},
		      {"123.456789", -2, 12346},
		      {"155", 1, 16},
		      {"145", 1, 14},
		      {"4", 1, 0},
		      {"5", 1, 0},
		      {"6", 1, 1},
		      {"0.4", 3, 0},
		      {"1e-400", -6, 0}};
	static const double doubles[] = {0,
					 1,
					 -1,
					 0.1,
					 1.0 / 3,
					 1e22,
					 1e300,
					 -1e-300,
					 123456.789,
					 5e-324,
					 1.7976931348623157e308};
	int64_t i;

	for (size_t k = 0; k < sizeof(decimals) / sizeof(*decimals); k++)
		assert(!strcmp(text_of(rg_number_from_decimal(&heap, decimals[k].mantissa,
							      decimals[k].exponent)),
			       decimals[k].text));
	for (size_t k = 0; k < sizeof(scaled) / sizeof(*scaled); k++)
		assert(rg_number_to_scaled(&heap, number(scaled[k].text), scaled[k].exponent) ==
		       scaled[k].scaled);
	for (size_t k = 0; k < sizeof(doubles) / sizeof(*doubles); k++)
		assert(rg_number_to_double(&heap, rg_number_from_double(&heap, doubles[k])) ==
		       doubles[k]);
	assert(!strcmp(text_of(rg_number_from_uint(&heap, UINT64_MAX)), "18446744073709551615"));
	assert(!strcmp(text_of(rg_number_from_double(&heap, 0.1)), "0.1"));
	assert(rg_number_to_int64(&heap, number("1e3"), &i) && i == 1000);
	assert(rg_number_to_int64(&heap, number("-9223372036854775808.0"), &i) && i == INT64_MIN);
	assert(!rg_number_to_int64(&heap, number("9223372036854775808"), &i));
	assert(!rg_number_to_int64(&heap, number("1.5"), &i) &&
	       !rg_number_to_int64(&heap, number("1e19"), &i));
	assert(rg_number_to_int64(&heap, number("-0.0"), &i) && i == 0);
	assert(rg_number_is_integral(&heap, number("1.50e1")) &&
	       !rg_number_is_integral(&heap, number("1.55e1")));
}

static void test_bits(void)
{
	static const struct {
		const char *a, *b;
		int64_t and_, or_, xor_;
	} cases[] = {{"12", "10", 8, 14, 6},
		     {"-12", "10", 0, -2, -2},
		     {"-12", "-10", -12, -10, 2},
		     {"0", "-1", 0, -1, -1}};
	const char *reason;
	struct rg_integer a, b, r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert(rg_integer_from(&heap, number(cases[i].a), &a, &reason) &&
		       rg_integer_from(&heap, number(cases[i].b), &b, &reason));
		rg_integer_bitwise(&r, RG_INTEGER_AND, &a, &b);
		assert(rg_integer_value(&heap, &r, &reason).i == cases[i].and_);
		rg_integer_bitwise(&r, RG_INTEGER_OR, &a, &b);
		assert(rg_integer_value(&heap, &r, &reason).i == cases[i].or_);
		rg_integer_bitwise(&r, RG_INTEGER_XOR, &a, &b);
		assert(rg_integer_value(&heap, &r, &reason).i == cases[i].xor_);
	}
	for (int64_t v = -5; v <= 5; v++) {
		for (uint64_t shift = 0; shift < 200; shift++) {
			rg_integer_from_int64(&a, v);
			assert(rg_integer_shift_left(&r, &a, shift));
			rg_integer_shift_right(&b, &r, shift);
			assert(!rg_integer_compare(&a, &b));
			rg_integer_shift_right(&b, &a, shift);
			assert(rg_integer_value(&heap, &b, &reason).i ==
			       (shift > 62 ? (v < 0 ? -1 : 0) : v >> shift));
		}
	}
	rg_integer_from_int64(&a, 1);
	assert(!rg_integer_shift_left(&r, &a, 100000) &&
	       !rg_integer_shift_left(&r, &a, UINT64_MAX));
}

/* Numbers at and beyond the bound on digits: an answer or an error, never a crash. */
static void test_bounds(void)
{
	static const char *const edges[] = {"1e4095",	   "9e4095",  "1e4096",	   "-1e5000",
					    "1e-4096",	   "1e-4097", "1.5e-4090", "-1e-100000000",
					    "1e100000000", "0.1",     "3",	   "-7e2000",
					    "1.3e-2000"};
	size_t n = sizeof(edges) / sizeof(*edges);
	const char *reason;

	for (size_t i = 0; i < n * n; i++) {
		struct rg_value a = number(edges[i / n]), b = number(edges[i % n]),
				list[2] = {a, b};

		for (int op = 0; op < 5; op++) {
			struct rg_value v =
				rg_number_arith(&heap, (enum rg_number_op)op, a, b, &reason);

			assert(rg_is_defined(v) || reason);
			assert(!rg_is_defined(v) ||
			       rg_number_is_text(text_of(v), strlen(text_of(v))));
		}
		for (int op = 0; op < 4; op++)
			assert(rg_is_defined(rg_number_unary(&heap, (enum rg_number_unary)op, a,
							     &reason)) ||
			       reason);
		assert(rg_is_defined(
			       rg_number_accumulate(&heap, RG_NUMBER_MUL, list, 2, &reason)) ||
		       reason);
	}
	assert(!strcmp(text_of(rg_number_arith(&heap, RG_NUMBER_SUB, number("1e4095"), number("1"),
					       &reason)) +
			       4090,
		       "99999"));
}

#if LDBL_MANT_DIG == 64
static uint64_t random_bits(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x9e3779b97f4a7c15ull;
}

/* A decimal of up to 18 digits, often one of money, sometimes spelled with an exponent. */
static void random_decimal(char *text, size_t bytes)
{
	unsigned long limit = random_bits() % 3 ? 100000 : 1 + random_bits() % 1000000000;
	unsigned long fraction = random_bits() % (random_bits() % 2 ? 100 : 1000000000);

	snprintf(text, bytes, random_bits() % 4 ? "%s%lu.%09lu" : "%s%lu.%lue%d",
		 random_bits() % 2 ? "-" : "", (unsigned long)random_bits() % limit, fraction,
		 (int)(random_bits() % 16) - 8);
}

/* The decimal with the fewest digits that the C library reads back as x. */
static struct rg_value shortest_of(long double x)
{
	char text[64];

	for (int digits = 1;; digits++) {
		snprintf(text, sizeof(text), "%.*Le", digits - 1, x);
		if (strtold(text, NULL) == x)
			return number(text);
	}
}

/* long double is a real of 64 bits too: the same sums, products and quotients, and the same
 * shortest decimals. */
static void test_against_long_double(void)
{
	static const enum rg_number_op ops[] = {RG_NUMBER_ADD, RG_NUMBER_SUB, RG_NUMBER_MUL,
						RG_NUMBER_DIV};
	const char *reason;

	for (uint32_t i = 0; i < 50000; i++) {
		char text[2][64];
		long double x, y, results[4];
		struct rg_value a, b;
		uint64_t used = heap.used;
		int exponent;

		random_decimal(text[0], sizeof(text[0]));
		random_decimal(text[1], sizeof(text[1]));
		a = rg_number_from_text(&heap, text[0], strlen(text[0]));
		b = rg_number_from_text(&heap, text[1], strlen(text[1]));
		x = strtold(text[0], NULL);
		y = strtold(text[1], NULL);
		assert((rg_number_compare(&heap, a, b) > 0) == (x > y) || x == y);
		results[0] = x + y, results[1] = x - y, results[2] = x * y, results[3] = x / y;
		for (int op = 0; op < 4; op++) {
			struct rg_value v;

			if (y == 0 || results[op] == 0 || rg_number_is_integral(&heap, a) ||
			    rg_number_is_integral(&heap, b))
				continue; /* integers are exact */
			/* Go does not look whether the reals below are denser, nor behind a
			 * short end of the interval. */
			if (fabsl(frexpl(results[op], &exponent)) == 0.5L || exponent > 60)
				continue;
			v = rg_number_arith(&heap, ops[op], a, b, &reason);
			if (rg_number_compare(&heap, v, shortest_of(results[op]))) {
				fprintf(stderr, "%s, %s, operation %d: %s, long double %.21Lg\n",
					text[0], text[1], op, text_of(v), results[op]);
				abort();
			}
		}
		heap.used = used;
	}
}
#endif

static void test_exhaustion(void)
{
	struct rg_value a = number("1e200"), b = number("3");
	uint64_t full = heap.bytes[RG_SPACE_SCRATCH], used = heap.used;
	const char *reason;

	heap.bytes[RG_SPACE_SCRATCH] = used + 8;
	assert(!rg_is_defined(rg_number_arith(&heap, RG_NUMBER_MUL, a, b, &reason)) && !reason &&
	       heap.exhausted);
	heap.bytes[RG_SPACE_SCRATCH] = full;
	heap.exhausted = false;
}

int main(int argc, char **argv)
{
	struct rg_error err;

	assert(argc == 2);
	assert(rg_heap_new(&heap, 1ull << 30, &err) == RG_OK);
	test_forms();
	test_compare();
	test_conversions();
	test_bits();
	test_bounds();
	test_exhaustion();
#if LDBL_MANT_DIG == 64
	test_against_long_double();
#endif
	test_against_opa(argv[1]);
	rg_heap_free(&heap);
	return 0;
}

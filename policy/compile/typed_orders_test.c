/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders beside plain models: ranks of random texts around random bounds, of addresses around
 * networks, local times around the changes of clocks; addresses as texts beside inet_pton(); quotients
 * and remainders beside 128-bit integers.
 *
 *	typed_orders_test [SEED]
 */
#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/builtin/time_layout.h"
#include "policy/compile/typed.h"
#include "policy/eval/typed_parts.h"
#include "policy/testdata/requests.h"

#define ROUNDS	   300
#define BOUNDS_MAX 200
#define TEXT_BYTES 40

struct bench {
	struct rg_compile_options options;
	struct rg_error err;
	struct rg_unit unit;
	struct chance chance;
	uint32_t asked;
};

/* A text as a field of TEXT_BYTES holds it. */
struct text {
	uint8_t bytes[TEXT_BYTES];
	uint32_t length;
};

static const int64_t *cells_of(struct bench *bench, uint32_t table)
{
	return RG_VECTOR_AT(
		bench->unit.typed_cells, int64_t,
		RG_VECTOR_AT(bench->unit.typed_tables, struct rg_typed_table, table)->first);
}

static int by_bytes(const void *a, const void *b)
{
	const struct text *x = a, *y = b;
	uint32_t common = x->length < y->length ? x->length : y->length;
	int order = memcmp(x->bytes, y->bytes, common);

	return order ? order : (int)x->length - (int)y->length;
}

static uint32_t distinct(struct text *texts, uint32_t count)
{
	uint32_t kept = 0;

	qsort(texts, count, sizeof(*texts), by_bytes);
	for (uint32_t i = 0; i < count; i++) {
		if (!kept || by_bytes(&texts[kept - 1], &texts[i]) != 0)
			texts[kept++] = texts[i];
	}
	return kept;
}

/* ---- texts ---- */

/* Of few characters, so that texts begin alike, and long enough for several words. */
static struct text random_text(struct chance *chance, uint32_t most)
{
	static const uint8_t characters[] = {1, 'a', 'a', 'a', 'a', 'b', 0x7f, 0xc3, 0xff};
	struct text text = {.length = chance_below(chance, most + 1)};

	for (uint32_t i = 0; i < text.length; i++)
		text.bytes[i] = characters[chance_below(chance, sizeof(characters))];
	return text;
}

/* A bound, or what begins with one, or a little less or more than it. */
static struct text text_near(struct chance *chance, const struct text *bounds, uint32_t count)
{
	struct text text = count ? bounds[chance_below(chance, count)] : (struct text){.length = 0};

	switch (chance_below(chance, 5)) {
	case 0: text.length = chance_below(chance, text.length + 1); break;
	case 1:
		if (text.length)
			text.bytes[text.length - 1] ^= 1;
		break;
	case 2:
		while (text.length < TEXT_BYTES && chance_below(chance, 4))
			text.bytes[text.length++] = (uint8_t)(1 + chance_below(chance, 255));
		break;
	case 3: text = random_text(chance, TEXT_BYTES); break;
	default: break;
	}
	/* What a field holds ends at the first NUL. */
	text.length = (uint32_t)strnlen((const char *)text.bytes, text.length);
	memset(text.bytes + text.length, 0, TEXT_BYTES - text.length);
	return text;
}

static void test_texts(struct bench *bench)
{
	struct text texts[BOUNDS_MAX];
	struct rg_typed_bound bounds[BOUNDS_MAX];
	uint32_t most = 1 + chance_below(&bench->chance, TEXT_BYTES), count;
	const int64_t *cells;

	count = chance_below(&bench->chance, BOUNDS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		texts[i] = random_text(&bench->chance, most - 1);
		texts[i].bytes[texts[i].length++] = 'c'; /* none is empty */
	}
	count = distinct(texts, count);
	for (uint32_t i = 0; i < count; i++)
		bounds[i] = (struct rg_typed_bound){texts[i].bytes, texts[i].length};
	cells = cells_of(bench, rg_typed_order_table(&bench->unit, bounds, count, NULL));
	for (int i = 0; i < 500; i++) {
		struct text text = text_near(&bench->chance, texts, count);
		uint32_t rank = 0;

		while (rank < count && by_bytes(&texts[rank], &text) <= 0)
			rank++;
		assert(rank_text(cells, text.bytes, TEXT_BYTES) == rank);
		if (text.length <= 16)
			assert(rank_text(cells, text.bytes, 16) == rank);
		bench->asked++;
	}
}

/* ---- addresses ---- */

static rg_address random_address(struct chance *chance)
{
	static const uint64_t high[] = {0, 0, 0x20010db8ull << 32, UINT64_MAX, 0xfffeull << 48};
	uint64_t low = chance_next(chance) >> chance_below(chance, 64);

	if (chance_below(chance, 2))
		return RG_ADDRESS_MAPPED | (uint32_t)(chance_below(chance, 3) ? low : ~low);
	return (rg_address)high[chance_below(chance, 5)] << 64 |
	       (chance_below(chance, 2) ? low : ~low);
}

static struct rg_network random_network(struct chance *chance)
{
	static const uint8_t lengths[] = {0, 1, 2, 8, 16, 24, 31, 32};
	struct rg_network network = {.at = random_address(chance)};
	unsigned length = lengths[chance_below(chance, sizeof(lengths))];

	network.prefix = rg_address_is_v4(network.at) ? 96 + length : 4 * length;
	network.at = rg_network_first(network);
	return network;
}

static void words_text(const uint64_t *words, struct text *text)
{
	text->length = 8 * RG_ADDRESS_WORDS;
	for (int i = 0; i < RG_ADDRESS_WORDS; i++) {
		uint64_t word = __builtin_bswap64(words[i]);

		memcpy(text->bytes + 8 * i, &word, sizeof(word));
	}
}

static uint32_t place_of(const struct text *texts, uint32_t count, const struct text *text)
{
	uint32_t i = 0;

	while (i < count && by_bytes(&texts[i], text) != 0)
		i++;
	assert(i < count);
	return i;
}

/* An address is in a network just if its rank is between those of the network's bounds. */
static void test_networks(struct bench *bench)
{
	enum { NETWORKS = 60 };
	struct text texts[2 * NETWORKS], low[NETWORKS], high[NETWORKS];
	struct rg_typed_bound bounds[2 * NETWORKS];
	struct rg_network networks[NETWORKS];
	bool has_end[NETWORKS];
	uint64_t words[RG_ADDRESS_WORDS];
	uint32_t count = 0;
	const int64_t *cells;

	for (int i = 0; i < NETWORKS; i++) {
		networks[i] = random_network(&bench->chance);
		rg_network_words(networks[i], words);
		words_text(words, &low[i]);
		texts[count++] = low[i];
		has_end[i] = rg_network_words_behind(networks[i], words);
		words_text(words, &high[i]);
		if (has_end[i])
			texts[count++] = high[i];
	}
	count = distinct(texts, count);
	for (uint32_t i = 0; i < count; i++)
		bounds[i] = (struct rg_typed_bound){texts[i].bytes, texts[i].length};
	cells = cells_of(bench, rg_typed_order_table(&bench->unit, bounds, count, NULL));
	for (int i = 0; i < 300; i++) {
		struct rg_network near = networks[chance_below(&bench->chance, NETWORKS)];
		rg_address address = random_address(&bench->chance);
		int64_t rank;

		switch (chance_below(&bench->chance, 5)) {
		case 0: address = rg_network_first(near); break;
		case 1: address = rg_network_last(near); break;
		case 2: address = rg_network_first(near) - 1; break;
		case 3: address = rg_network_last(near) + 1; break;
		default: break;
		}
		rank = rank_address(cells, address);
		for (int n = 0; n < NETWORKS; n++)
			assert((rank > place_of(texts, count, &low[n]) &&
				!(has_end[n] && rank > place_of(texts, count, &high[n]))) ==
			       rg_network_contains(networks[n], address));
		bench->asked++;
	}
}

/* Any text of few characters: a number of them are addresses. */
static void test_address_texts(struct bench *bench)
{
	static const char characters[] = "0123456789..:::abf/%x";
	static const char *const starts[] = {"", "10.1.2.", "255.255.255.", "::ffff:1.2.3.", "1::"};
	uint32_t accepted = 0;

	for (int i = 0; i < 200000; i++) {
		const char *start = starts[chance_below(&bench->chance, 5)];
		char text[64];
		uint8_t raw[16] = {0};
		size_t bytes = strlen(start), end = bytes + chance_below(&bench->chance, 9);
		rg_address address = 0, want = 0;
		bool v4, is_v4, is_v6;

		memcpy(text, start, bytes);
		while (bytes < end)
			text[bytes++] =
				characters[chance_below(&bench->chance, sizeof(characters) - 1)];
		text[bytes] = '\0';
		is_v4 = inet_pton(AF_INET, text, raw) == 1;
		is_v6 = !is_v4 && inet_pton(AF_INET6, text, raw) == 1;
		assert(rg_address_parse(text, bytes, &address, &v4) == (is_v4 || is_v6));
		if (!is_v4 && !is_v6)
			continue;
		accepted++;
		for (int n = 0; n < (is_v4 ? 4 : 16); n++)
			want = want << 8 | raw[n];
		assert(v4 == is_v4 && address == (is_v4 ? want | RG_ADDRESS_MAPPED : want));
	}
	assert(accepted > 1000);
}

/* ---- times ---- */

static void check_moment(const struct rg_eval *eval, const struct rg_zone *zone, int64_t ns)
{
	const struct rg_typed_table table = {.first = 0};
	struct rg_clock_time want;
	int64_t local;

	rg_clock_time_of(ns, zone, &want);
	assert(local_time(eval, &table, ns, &local));
	assert(quotient(modulo(local, 86400000000000), 3600000000000) == want.hour);
	assert(quotient(modulo(local, 3600000000000), 60000000000) == want.minute);
	assert(quotient(modulo(local, 60000000000), 1000000000) == want.second);
	/* 1970 began on a Thursday */
	assert((quotient(modulo(local, 604800000000000), 86400000000000) + 4) % 7 == want.weekday);
}

static void test_zone(struct bench *bench, const char *name)
{
	static struct rg_eval eval;
	bool found;
	const struct rg_zone *zone = rg_zone_find(name, strlen(name), &found);
	int64_t at = INT64_MIN / 1000000000 + 86400, next, changes = 0;

	assert(found && zone);
	eval.typed_cells = cells_of(bench, rg_typed_zone_table(&bench->unit, zone));
	for (; at < INT64_MAX / 1000000000 - 86400; at = next) {
		next = rg_zone_next(zone, at);
		if (next > INT64_MAX / 1000000000 - 86400)
			next = INT64_MAX / 1000000000 - 86400;
		assert(next > at);
		changes++;
		check_moment(&eval, zone, at * 1000000000);
		check_moment(&eval, zone, at * 1000000000 - 1);
		/* nothing changes in between */
		for (int i = 0; i < 5; i++) {
			int64_t within =
				at + (int64_t)(chance_next(&bench->chance) % (uint64_t)(next - at));

			assert(rg_zone_at(zone, within).offset_s == rg_zone_at(zone, at).offset_s);
			check_moment(&eval, zone,
				     within * 1000000000 +
					     (int64_t)chance_below(&bench->chance, 1000000000));
		}
	}
	assert(changes > 1);
	bench->asked++;
}

static int64_t random_integer_64(struct chance *chance)
{
	int64_t number = (int64_t)chance_next(chance) >> chance_below(chance, 64);

	return number == RG_TYPED_ABSENT ? 0 : number;
}

static void test_numbers(struct bench *bench)
{
	for (int i = 0; i < 200000; i++) {
		int64_t by = random_integer_64(&bench->chance) & INT64_MAX,
			a = random_integer_64(&bench->chance);
		__int128 floored;

		by += !by;
		floored = (__int128)a / by - ((__int128)a % by < 0);
		assert(modulo(a, by) == (int64_t)(a - floored * by));
		assert(quotient(a, by) == (a > -by && a < 0 ? 0 : (int64_t)floored));
	}
	assert(modulo(RG_TYPED_ABSENT, 7) == RG_TYPED_ABSENT);
	assert(quotient(RG_TYPED_ABSENT, 7) == RG_TYPED_ABSENT);
}

static void forget_tables(struct bench *bench)
{
	assert(!bench->unit.status);
	bench->unit.typed_tables.count = bench->unit.typed_cells.count = 0;
}

int main(int argc, char **argv)
{
	static const char *const zones[] = {
		"Europe/Berlin",    "America/New_York",	 "Asia/Kolkata",      "Australia/Lord_Howe",
		"Europe/Dublin",    "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia",
		"Antarctica/Troll", "America/Nuuk",	 "Asia/Gaza",	      "Pacific/Kiritimati"};
	static struct bench bench;
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261129;

	bench.chance.state = seed;
	bench.unit.options = &bench.options;
	bench.unit.err = &bench.err;
	for (int i = 0; i < ROUNDS; i++) {
		test_texts(&bench);
		forget_tables(&bench);
		test_networks(&bench);
		forget_tables(&bench);
	}
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		test_zone(&bench, zones[i]);
		forget_tables(&bench);
	}
	test_address_texts(&bench);
	test_numbers(&bench);
	printf("%" PRIu32 " ranks, seed %" PRIu64 "\n", bench.asked, seed);
	free(bench.unit.typed_tables.items);
	free(bench.unit.typed_cells.items);
	return 0;
}

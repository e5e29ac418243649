/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier: every flipped byte is found by the checksum; truncation, other versions and wrong
 * places are named; and with the checksum made right again, damaged images are either refused or
 * harmless (run this under ASan).
 */
#include "policy/image/mutate.h"
#include "policy/image/typed.h"

#define SEED	0xabcdef0123456789ull
#define MUTANTS 30000
#define ORDER_BYTES 512 /* of each order that are all changed; of the others one in 20 */

static struct rg_error err;

static int verify(const void *image, size_t bytes)
{
	return rg_image_verify(image, bytes, &err);
}

static void test_info(const void *image, size_t bytes)
{
	struct rg_image_info info;

	assert(!verify(image, bytes));
	rg_image_info(image, &info);
	assert(info.sequence == 42 && info.image_bytes == bytes &&
	       info.schema_fingerprint == 0x5eed);
	assert(!strcmp(info.bundle, "verdict") && !strcmp(info.revision, "r1"));
	assert(info.plan_count == 2 && info.template_count == 1 && info.instruction_count > 4);
}

static void test_every_byte(uint8_t *image, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		uint8_t before = image[i];

		image[i] ^= (uint8_t)(1u << i % 8);
		assert(verify(image, bytes));
		image[i] = before;
	}
	assert(!verify(image, bytes));
}

static void test_lengths(const uint8_t *image, size_t bytes)
{
	uint8_t *longer = aligned_alloc(64, bytes + 64);

	for (size_t i = 0; i < bytes; i += i < 1100 ? 1 : 37)
		assert(verify(image, i) == RG_ECORRUPT);
	memcpy(longer, image, bytes);
	memset(longer + bytes, 0, 64);
	assert(verify(longer, bytes + 64) == RG_ECORRUPT);
	free(longer);
}

static void test_named_errors(const uint8_t *image, size_t bytes)
{
	uint8_t *copy = aligned_alloc(64, bytes + 64);
	struct rg_image_header *header = (struct rg_image_header *)copy;

	memcpy(copy, image, bytes);
	header->version++;
	assert(verify(copy, bytes) == RG_EVERSION && strstr(err.text, "compile the bundle again"));
	memcpy(copy, image, bytes);
	header->magic++;
	assert(verify(copy, bytes) == RG_ECORRUPT && strstr(err.text, "magic"));
	memcpy(copy, image, bytes);
	copy[bytes - 1] ^= 1;
	assert(verify(copy, bytes) == RG_ECORRUPT && strstr(err.text, "checksum"));
	memcpy(copy, image, bytes);
	header->sections[RG_SECTION_CODE].offset += 64;
	header->crc32c = rg_image_checksum(copy, bytes);
	assert(verify(copy, bytes) == RG_ECORRUPT && strstr(err.text, "code"));
	memcpy(copy + 8, image, bytes);
	assert(verify(copy + 8, bytes) == RG_EINVAL);
	free(copy);
}

/* Change a few bytes of a real image, every other time of its typed programs, fix the checksum,
 * verify, run. */
static void test_mutants(const uint8_t *image, size_t bytes, uint32_t mutants)
{
	struct chance chance = {SEED};
	uint8_t *copy = aligned_alloc(64, bytes);
	void *memory = aligned_alloc(64, rg_eval_footprint(MUTANT_SCRATCH));
	uint32_t accepted = 0;

	for (uint32_t i = 0; i < mutants; i++) {
		struct request request;

		memcpy(copy, image, bytes);
		for (uint32_t change = 0; change <= i % 3; change++) {
			size_t at = mutation_place(image, bytes, i % 2, chance_next(&chance));

			if (at < 32) /* what run_mutant() makes right */
				at += 32;

			copy[at] = chance_below(&chance, 2)
					   ? (uint8_t)(copy[at] + chance_below(&chance, 5) - 2)
					   : (uint8_t)chance_next(&chance);
		}
		random_request(&chance, &request);
		accepted += run_mutant(copy, bytes, memory, &request);
	}
	printf("%u mutants of %zu bytes, seed %llx: %u accepted and run\n", mutants, bytes, SEED,
	       accepted);
	assert(accepted > 0 && accepted < mutants);
	free(copy);
	free(memory);
}

/* Change each byte of an image's orders. Those of words and numbers are accepted, and give wrong ranks
 * at worst. */
static void test_orders(const uint8_t *image, size_t bytes)
{
	const struct rg_typed_table *tables = rg_image_section(image, RG_SECTION_TYPED_TABLES);
	const uint8_t *cells = rg_image_section(image, RG_SECTION_TYPED_CELLS);
	struct chance chance = {SEED};
	uint8_t *copy = aligned_alloc(64, bytes);
	void *memory = aligned_alloc(64, rg_eval_footprint(MUTANT_SCRATCH));
	uint32_t changed = 0, accepted = 0, orders = 0;

	for (uint32_t i = 0; i < rg_image_count(image, RG_SECTION_TYPED_TABLES); i++) {
		orders += tables[i].kind == RG_TYPED_ORDER;
		for (uint64_t at = 0; tables[i].kind == RG_TYPED_ORDER && at < 8 * tables[i].count;
		     at++) {
			struct request request;

			if (at > ORDER_BYTES && chance_below(&chance, 20))
				continue;
			memcpy(copy, image, bytes);
			copy[cells + 8 * tables[i].first + at - image] ^=
				(uint8_t)(1u << chance_below(&chance, 8));
			random_request(&chance, &request);
			changed++;
			accepted += run_mutant(copy, bytes, memory, &request);
		}
	}
	printf("%u orders, %u bytes of them changed: %u accepted and run\n", orders, changed,
	       accepted);
	assert(orders > 2 && accepted > changed / 4 && accepted < changed);
	free(copy);
	free(memory);
}

int main(int argc, char **argv)
{
	struct rg_reason_list reasons = {0};
	size_t small_bytes, bytes, rows_bytes, derived_bytes;
	uint8_t *small, *image, *rows, *derived;

	assert(argc == 2);
	small = compile_fixture(argv[1], "verdict", false, "risk_control", &reasons, &small_bytes);
	image = compile_fixture(argv[1], "requests", true, "requests", &reasons, &bytes);
	rows = compile_fixture(argv[1], "rows", true, "rows", &reasons, &rows_bytes);
	derived = compile_fixture(argv[1], "derived", true, "derived", &reasons, &derived_bytes);
	test_info(small, small_bytes);
	test_every_byte(small, small_bytes);
	test_lengths(small, small_bytes);
	test_named_errors(small, small_bytes);
	test_mutants(small, small_bytes, MUTANTS);
	test_mutants(image, bytes, MUTANTS / 10);
	test_mutants(rows, rows_bytes, MUTANTS / 20);
	test_mutants(derived, derived_bytes, MUTANTS / 20);
	test_orders(derived, derived_bytes);
	free(derived);
	free(rows);
	free(small);
	free(image);
	rg_reason_list_free(&reasons);
	return 0;
}

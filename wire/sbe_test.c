/* SPDX-License-Identifier: Apache-2.0 */
/* Walking messages back to back, and the extension rule. */
#include "wire/sbe.h"

#include <stdio.h>
#include <stdlib.h>

static size_t put(uint8_t *at, uint16_t block_length, uint16_t version, uint64_t request_id)
{
	rg_sbe_header_write(at, (struct rg_sbe_header){block_length, 1, 1, version});
	memset(at + 8, 0xee, block_length);
	if (block_length >= 8)
		rg_sbe_set_request_id(at, request_id);
	return 8u + block_length;
}

static void test_walk(void)
{
	struct rg_sbe_message message;
	uint8_t datagram[256];
	uint32_t cursor = 0, bytes = 0;

	bytes += (uint32_t)put(datagram, 16, 1, 11);
	bytes += (uint32_t)put(datagram + bytes, 8, 1, 12);
	bytes += (uint32_t)put(datagram + bytes, 4, 1, 0); /* no room for an id */
	bytes += (uint32_t)put(datagram + bytes, 40, 1, 13);

	assert(rg_sbe_next(datagram, bytes, &cursor, &message) == RG_SBE_MESSAGE);
	assert(message.request_id == 11 && message.block == datagram + 8 &&
	       message.block_bytes == 16 && cursor == 24);
	assert(rg_sbe_next(datagram, bytes, &cursor, &message) == RG_SBE_MESSAGE &&
	       message.request_id == 12 && cursor == 40);
	assert(rg_sbe_next(datagram, bytes, &cursor, &message) == RG_SBE_NO_REQUEST_ID &&
	       message.header.block_length == 4 && cursor == 52);
	assert(rg_sbe_next(datagram, bytes, &cursor, &message) == RG_SBE_MESSAGE &&
	       message.request_id == 13 && cursor == bytes);
	assert(rg_sbe_next(datagram, bytes, &cursor, &message) == RG_SBE_END);
	assert(rg_sbe_next(datagram, 0, &(uint32_t){0}, &message) == RG_SBE_END);

	/* Cut the last message at every length. */
	for (uint32_t cut = 52; cut < bytes; cut++) {
		enum rg_sbe_result want = cut == 52  ? RG_SBE_END
					  : cut < 60 ? RG_SBE_NO_HEADER
					  : cut < 68 ? RG_SBE_NO_REQUEST_ID
						     : RG_SBE_TRUNCATED;

		cursor = 52;
		assert(rg_sbe_next(datagram, cut, &cursor, &message) == want);
		assert(cursor == cut);
		if (want == RG_SBE_TRUNCATED)
			assert(message.request_id == 13 && message.block_bytes == cut - 60 &&
			       message.header.block_length == 40);
	}
}

/* Random bytes: whatever they are, each message lies inside and the walk ends. */
static void test_random(void)
{
	unsigned seed = 20240611;

	printf("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		uint32_t bytes = (uint32_t)rand() % 300, cursor = 0, last = 0, calls = 0;
		uint8_t *datagram =
			malloc(bytes ? bytes : 1); /* exact, for the address sanitizer */
		struct rg_sbe_message message = {0};
		enum rg_sbe_result result;

		for (uint32_t i = 0; i < bytes; i++)
			datagram[i] = (uint8_t)(rand() % 8 ? rand() % 24 : rand());
		while ((result = rg_sbe_next(datagram, bytes, &cursor, &message)) != RG_SBE_END) {
			assert(++calls <= bytes / 8 + 1);
			assert(cursor > last && cursor <= bytes);
			if (result == RG_SBE_MESSAGE || result == RG_SBE_TRUNCATED) {
				assert(message.block >= datagram &&
				       message.block + message.block_bytes == datagram + cursor);
				assert(message.block_bytes >= 8);
				assert((message.block_bytes == message.header.block_length) ==
				       (result == RG_SBE_MESSAGE));
			}
			last = cursor;
		}
		free(datagram);
	}
}

static void test_visible(void)
{
	static const struct rg_field fields[] = {
		{.path = "request_id", .bytes = 8},
		{.path = "constant", .bytes = 8, .constant = true, .since_version = 1},
		{.path = "second", .bytes = 4, .offset = 8, .since_version = 2},
		{.path = "third", .bytes = 4, .offset = 12, .since_version = 3},
	};
	static const struct rg_template template = {
		.block_length = 20, .schema_version = 3, .fields_count = 4};
	static const struct rg_field_table table = {
		.templates = &template, .fields = fields, .template_count = 1, .field_count = 4};
	struct rg_sbe_message message = {.header = {.version = 3}, .block_bytes = 20};

	assert(rg_sbe_visible_bytes(&table, &template, &message) == 20);
	message.block_bytes = 64; /* a newer client's longer block */
	message.header.version = 9;
	assert(rg_sbe_visible_bytes(&table, &template, &message) == 20);
	message.block_bytes = 12;
	assert(rg_sbe_visible_bytes(&table, &template, &message) == 12);
	message.block_bytes = 20; /* older clients that pad their block */
	message.header.version = 2;
	assert(rg_sbe_visible_bytes(&table, &template, &message) == 12);
	message.header.version = 1;
	assert(rg_sbe_visible_bytes(&table, &template, &message) == 8);
	message.block_bytes = 8;
	message.header.version = 2;
	assert(rg_sbe_visible_bytes(&table, &template, &message) == 8);
}

int main(void)
{
	for (int i = 0; i < RG_SBE_RESULT_COUNT; i++)
		assert(strcmp(rg_sbe_result_name((enum rg_sbe_result)i), "unknown"));
	test_walk();
	test_random();
	test_visible();
	return 0;
}

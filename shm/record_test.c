/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "shm/test_random.h"

static uint8_t room[1024];

static struct rg_record *good(void)
{
	struct rg_record *record = (struct rg_record *)(void *)room;

	*record = (struct rg_record){.length = rg_record_bytes(10, 6),
				     .kind = RG_RECORD_DECISION,
				     .version = RG_RECORD_VERSION,
				     .epoch = 1,
				     .sequence = 1,
				     .verdict = 2,
				     .status = 6,
				     .reason_count = 8,
				     .reasons_fired = 9,
				     .request_bytes = 10,
				     .features_bytes = 6};
	return record;
}

static void test_lengths(void)
{
	assert(rg_record_bytes(0, 0) == sizeof(struct rg_record));
	assert(rg_record_bytes(65535, 0) && !rg_record_bytes(65536, 0));
	assert(rg_record_bytes(0, RG_RECORD_BYTES_MAX - 120) == RG_RECORD_BYTES_MAX);
	assert(!rg_record_bytes(0, RG_RECORD_BYTES_MAX - 119) && !rg_record_bytes(1, UINT32_MAX));
	assert(rg_record_request(good()) == room + sizeof(struct rg_record));
	assert(rg_record_features(good()) == room + sizeof(struct rg_record) + 10);
}

#define REFUSED(change, want, part)                                                                \
	do {                                                                                       \
		struct rg_record *record = good();                                                 \
		struct rg_error err;                                                               \
		uint32_t bytes = record->length;                                                   \
                                                                                                   \
		change;                                                                            \
		assert(rg_record_check(room, bytes, &err) == (want));                              \
		assert(strstr(err.text, part));                                                    \
	} while (0)

static void test_check(void)
{
	uint32_t all = good()->length;

	assert(rg_record_check(room, all, NULL) == RG_OK);
	assert(rg_record_check(NULL, all, NULL) == RG_ECORRUPT);
	for (uint32_t bytes = 0; bytes < all; bytes++)
		assert(rg_record_check(room, bytes, NULL) == RG_ECORRUPT);
	REFUSED(record->version = 2, RG_EVERSION, "version 2");
	REFUSED(record->kind = 0, RG_ECORRUPT, "kind 0");
	REFUSED(record->length++, RG_ECORRUPT, "length says 137 bytes, there are 136");
	REFUSED(record->request_bytes++, RG_ECORRUPT, "request_bytes 11");
	REFUSED(record->features_bytes = UINT32_MAX, RG_ECORRUPT, "features_bytes 4294967295");
	REFUSED(record->epoch = 0, RG_ECORRUPT, "epoch 0");
	REFUSED(record->sequence = 0, RG_ECORRUPT, "sequence 0");
	REFUSED(record->verdict = 4, RG_ECORRUPT, "verdict 4");
	REFUSED(record->status = 7, RG_ECORRUPT, "status 7");
	REFUSED(record->reason_count = 9, RG_ECORRUPT, "reason_count 9");
	REFUSED(record->reasons_fired = 7, RG_ECORRUPT, "7 fired");
}

/* Any bytes: an answer, and never a length beyond what there is. */
static void test_noise(void)
{
	struct test_random random = test_random_start("record noise");

	for (int i = 0; i < 100000; i++) {
		struct rg_record *record = good();
		uint32_t bytes = record->length;

		for (uint64_t flips = test_random_below(&random, 3) + 1; flips; flips--)
			room[test_random_below(&random, sizeof(*record))] ^=
				(uint8_t)(1u << test_random_below(&random, 8));
		if (rg_record_check(room, bytes, NULL) == RG_OK)
			assert(rg_record_features(record) + record->features_bytes == room + bytes);
	}
}

int main(void)
{
	test_lengths();
	test_check();
	test_noise();
	return 0;
}

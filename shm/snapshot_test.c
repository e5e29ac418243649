/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/snapshot.h"

#include <assert.h>
#include <pthread.h>

enum { WORDS = 9, WRITES = 300000 };

static _Atomic uint64_t version;
static _Atomic uint64_t words[WORDS];

static void test_sequential(void)
{
	uint64_t values[WORDS], got[WORDS];

	for (uint64_t round = 0; round < 100; round++) {
		for (int i = 0; i < WORDS; i++)
			values[i] = round * 1000 + (uint64_t)i;
		rg_snapshot_write(&version, words, values, WORDS);
		assert(atomic_load(&version) == 2 * (round + 1));
		assert(rg_snapshot_read(&version, words, got, WORDS));
		for (int i = 0; i < WORDS; i++)
			assert(got[i] == values[i]);
	}
}

/* A writer that died half-way: readers give up, the successor's write repairs. */
static void test_dead_writer(void)
{
	uint64_t values[WORDS] = {7}, got[WORDS];

	atomic_store(&version, 201);
	atomic_store(&words[0], 99);
	assert(!rg_snapshot_read(&version, words, got, WORDS));
	rg_snapshot_read_torn(words, got, WORDS);
	assert(got[0] == 99);
	rg_snapshot_write(&version, words, values, WORDS);
	assert(atomic_load(&version) == 202);
	assert(rg_snapshot_read(&version, words, got, WORDS) && got[0] == 7);
}

static void *write_many(void *unused)
{
	uint64_t values[WORDS];

	(void)unused;
	for (uint64_t round = 1; round <= WRITES; round++) {
		for (int i = 0; i < WORDS; i++)
			values[i] = round;
		rg_snapshot_write(&version, words, values, WORDS);
	}
	return NULL;
}

static void test_threads(void)
{
	uint64_t zero[WORDS] = {0}, got[WORDS] = {0}, last = 0;
	pthread_t thread;

	rg_snapshot_write(&version, words, zero, WORDS);
	assert(!pthread_create(&thread, NULL, write_many, NULL));
	while (last < WRITES) {
		if (!rg_snapshot_read(&version, words, got, WORDS))
			continue;
		for (int i = 1; i < WORDS; i++)
			assert(got[i] == got[0]);
		assert(got[0] >= last);
		last = got[0];
	}
	assert(!pthread_join(thread, NULL));
}

int main(void)
{
	test_sequential();
	test_dead_writer();
	test_threads();
	return 0;
}

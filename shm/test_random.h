/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers for tests: xorshift64* (Vigna), a fixed seed that is printed, RG_TEST_SEED in the
 * environment for another one.
 */
#ifndef RG_SHM_TEST_RANDOM_H
#define RG_SHM_TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct test_random {
	uint64_t state;
};

static inline struct test_random test_random_start(const char *what)
{
	const char *wanted = getenv("RG_TEST_SEED");
	uint64_t seed = wanted ? strtoull(wanted, NULL, 0) : 20261122;

	printf("%s: seed %llu\n", what, (unsigned long long)seed);
	return (struct test_random){seed * 0x9e3779b97f4a7c15ull | 1};
}

static inline uint64_t test_random_next(struct test_random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 0x2545f4914f6cdd1dull;
}

/* 0..below-1 */
static inline uint64_t test_random_below(struct test_random *random, uint64_t below)
{
	return (test_random_next(random) >> 11) % below;
}

#endif

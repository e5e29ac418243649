/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define HZ	 2445000000ull
#define START_NS 1700000000000000000ull
#define MS	 1000000ull
#define SECOND	 (1000 * MS)

static struct rg_clock clock_;
static struct rg_clock_reader reader;

static uint64_t ticks_of(uint64_t ns, uint64_t hz)
{
	return (uint64_t)((unsigned __int128)ns * hz / SECOND);
}

static void start(void)
{
	rg_clock_init(&clock_, 1000, START_NS, HZ);
	reader = (struct rg_clock_reader){0};
	assert(rg_clock_refresh(&reader, &clock_));
}

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The counter really runs at hz; real time does too, but is `offset_ns` off from `since` on. After
 * each update the reader may not go back. */
static void run(uint64_t hz, uint64_t seconds, int64_t offset_ns, uint64_t settled_ns)
{
	uint64_t last = reader.last_ns, ns = 0, wanted = 0;

	for (uint64_t t = 10 * MS; t <= seconds * SECOND; t += 10 * MS) {
		uint64_t tick = 1000 + ticks_of(t, hz);

		wanted = START_NS + t + (uint64_t)offset_ns;
		rg_clock_update(&clock_, tick, wanted);
		assert(rg_clock_refresh(&reader, &clock_));
		ns = rg_clock_ns(&reader, tick);
		assert(ns >= last);
		last = ns;
	}
	assert(difference(ns, wanted) <= settled_ns);
}

static void test_exact(void)
{
	start();
	assert(rg_clock_ns(&reader, 1000) == START_NS);
	assert(difference(rg_clock_ns(&reader, 1000 + HZ), START_NS + SECOND) <= 2);
	/* A tick before the snapshot (the worker read it before taking the snapshot over) does not
	 * go back. */
	assert(rg_clock_ns(&reader, 5) == reader.last_ns);
	/* A year without update does not overflow. */
	start();
	assert(difference(rg_clock_ns(&reader, 1000 + ticks_of(365 * 86400 * SECOND, HZ)),
			  START_NS + 365 * 86400 * SECOND) < 20 * MS);
}

static void test_learns_the_rate(void)
{
	start();
	run(HZ + HZ / 500, 60, 0, 2000); /* DPDK rounds the frequency to 10 MHz: 0.2 % off */
	start();
	run(HZ - HZ / 500, 60, 0, 2000);
}

static void test_set_clock(void)
{
	start();
	run(HZ, 20, (int64_t)(3600 * SECOND), 2000); /* an hour forward: jumps */
	assert(clock_.steps == 1);
	start();
	run(HZ, 20, -(int64_t)(2 * SECOND),
	    2000); /* back two seconds: runs at half speed for four */
	assert(clock_.steps == 0);
	start();
	run(HZ, 20, (int64_t)(100 * MS), 2000);
	assert(clock_.steps == 0);
}

static void test_random_walk(unsigned seed)
{
	uint64_t tick = 1000, real = START_NS, last = 0;

	srand(seed);
	start();
	for (int i = 0; i < 100000; i++) {
		uint64_t step = (uint64_t)(rand() % 1000000) + 1;

		tick += step;
		real += ticks_of(step, SECOND * SECOND / HZ) + (uint64_t)(rand() % 2001) - 1000;
		if (rand() % 5000 == 0)
			real += (uint64_t)(rand() % 2000) * MS - 1000 * MS;
		rg_clock_update(&clock_, tick, real);
		if (rand() % 3 == 0)
			rg_clock_refresh(&reader, &clock_);
		assert(rg_clock_ns(&reader, tick) >= last);
		last = reader.last_ns;
	}
}

static _Atomic bool stop;

static void *reader_thread(void *arg)
{
	struct rg_clock_reader mine = {0};
	uint64_t taken = 0;

	while (!atomic_load(&stop) || taken == 0) {
		if (!rg_clock_refresh(&mine, &clock_))
			continue;
		taken++;
		/* The writer keeps base_ns == START_NS + (base_tick - 1000) at 1 GHz: a torn
		 * snapshot would break it. */
		assert(mine.line.base_ns == START_NS + mine.line.base_tick - 1000);
	}
	return NULL;
}

static void test_no_torn_snapshot(void)
{
	pthread_t thread;

	rg_clock_init(&clock_, 1000, START_NS, SECOND);
	assert(pthread_create(&thread, NULL, reader_thread, NULL) == 0);
	for (uint64_t i = 1; i < 300000; i++)
		rg_clock_update(&clock_, 1000 + i * 1000, START_NS + i * 1000);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

int main(void)
{
	test_exact();
	test_learns_the_rate();
	test_set_clock();
	for (unsigned seed = 1; seed <= 5; seed++)
		test_random_walk(seed);
	test_no_torn_snapshot();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far apart two cores are: the time a cache line takes from one to the other and back.
 *
 *	usage: pingpong [CORE CORE [ROUNDS]]      cores 0 and 1, 200 rounds unless given
 *
 * Two threads pass a counter back and forth through one line each way; a round is a thousand
 * passes. On virtual machines this changes with where the host runs the two cores, by ten times and
 * more, and with it everything that goes from core to core: so no throughput between cores means
 * anything without this figure of the same minute. Prints one line of JSON; times in ns.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PASSES	   1000
#define ROUNDS_MAX 100000

/* Each line is written by one side and read by the other. Release and acquire: what a message
 * between cores needs. */
static struct {
	_Alignas(64) _Atomic uint64_t ping;
	_Alignas(64) _Atomic uint64_t pong;
} line;

static uint64_t rounds = 200;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int pin(long core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (core < 0 || core >= CPU_SETSIZE)
		return EINVAL;
	CPU_SET((int)core, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* The other side: send back what comes. */
static void *echo(void *core)
{
	if (pin(*(long *)core) != 0) {
		fprintf(stderr, "pingpong: cannot run on core %ld: see taskset(1)\n",
			*(long *)core);
		exit(1);
	}
	for (uint64_t i = 1; i <= rounds * PASSES; i++) {
		while (atomic_load_explicit(&line.ping, memory_order_acquire) != i)
			;
		atomic_store_explicit(&line.pong, i, memory_order_release);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* Mean time of a pass, one value a round. */
static void measure(uint64_t *round_ns)
{
	uint64_t i = 0;

	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t begin = now_ns();

		for (uint64_t end = i + PASSES; i < end;) {
			atomic_store_explicit(&line.ping, ++i, memory_order_release);
			while (atomic_load_explicit(&line.pong, memory_order_acquire) != i)
				;
		}
		round_ns[round] = (now_ns() - begin) / PASSES;
	}
	qsort(round_ns, rounds, sizeof(*round_ns), compare);
}

int main(int argc, char **argv)
{
	long first = argc > 2 ? strtol(argv[1], NULL, 10) : 0,
	     second = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
	uint64_t *round_ns;
	pthread_t thread;

	if (argc > 3)
		rounds = strtoull(argv[3], NULL, 10);
	if (argc == 2 || argc > 4 || rounds == 0 || rounds > ROUNDS_MAX || first == second) {
		fprintf(stderr,
			"usage: pingpong [CORE CORE [ROUNDS]]   two different cores, 1 to %d "
			"rounds\n",
			ROUNDS_MAX);
		return 2;
	}
	round_ns = calloc(rounds, sizeof(*round_ns));
	if (!round_ns || pin(first) != 0) {
		fprintf(stderr, "pingpong: cannot run on core %ld: see taskset(1)\n", first);
		return 1;
	}
	if (pthread_create(&thread, NULL, echo, &second) != 0) {
		fprintf(stderr, "pingpong: no thread: %s\n", strerror(errno));
		return 1;
	}
	measure(round_ns);
	pthread_join(thread, NULL);
	printf("{\"min\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p90\": %" PRIu64
	       ", \"max\": %" PRIu64 "}\n",
	       round_ns[0], round_ns[rounds / 2], round_ns[rounds * 9 / 10], round_ns[rounds - 1]);
	free(round_ns);
	return 0;
}

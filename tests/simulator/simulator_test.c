/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the simulator (world.h) on seeds, each in a process of its own.
 *
 *	simulator_test SCHEMA PLAN [--from SEED] [--seeds N] [--steps N] [--verbose]
 *
 * A seed that fails prints what was not true and the steps before it; --from SEED --seeds 1 runs it
 * again, the same.
 */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "control_side.h"
#include "dataplane_side.h"
#include "model.h"
#include "world.h"

#define SEEDS	      200
#define STEPS	      1500
#define TWICE	      5 /* seeds that are run a second time */
#define SETTLED_TURNS 50
#define SETTLE_MAX    20000
#define MS	      1000000ull

/* What a seed's process leaves for its parent. */
struct outcome {
	uint64_t hash, steps, records, crashes, errors, power_losses;
	double seconds;
};

static void lose_power(void)
{
	if (!control_up())
		return;
	control_lose_power();
	if (dataplane_up())
		dataplane_kill();
	remove_tree(world.region);
	assert(!mkdir(world.region, 0750));
}

/* Something happens to the machine. */
static void make_fault(void)
{
	switch (roll(16)) {
	case 0:
	case 1:
		if (control_up()) {
			note_fault(&world.crashes);
			control_kill();
		}
		break;
	case 2:
		if (dataplane_up()) {
			note_fault(&world.crashes);
			dataplane_kill();
		}
		break;
	case 3:
		if (roll(4) == 0)
			lose_power();
		break;
	case 4:
	case 5:
		world.disk_full_until_ns = world.monotonic_ns + roll(2000) * MS;
		trace("disk full");
		break;
	case 6:
	case 7:
		note_fault(&world.jumps);
		world.unix_ns += roll(2) ? roll(7200) * 1000 * MS : -(roll(7200) * 1000 * MS);
		trace("clock jumps");
		break;
	case 8:
	case 9: dataplane_damage_image(); break;
	case 10:
	case 11:
	case 12:
		if (dataplane_up()) {
			note_fault(&world.errors);
			dataplane_hold((uint32_t)roll(WORKERS), true);
		}
		break;
	default:
		for (uint32_t w = 0; w < WORKERS && dataplane_up(); w++)
			dataplane_hold(w, false);
	}
}

static void step_control(uint64_t choice)
{
	if (!control_up()) {
		if (roll(10) == 0)
			control_start();
	} else if (choice < 60) {
		control_step();
	} else {
		control_step_slow((enum rg_control_slow_work)roll(3));
	}
}

static void step_dataplane(uint64_t choice)
{
	if (!dataplane_up()) {
		if (roll(10) == 0)
			dataplane_start();
	} else if (choice < 25) {
		dataplane_step_publisher();
	} else {
		dataplane_step_worker((uint32_t)roll(WORKERS));
	}
}

static void check(void)
{
	if (dataplane_up())
		model_check_active(dataplane_active());
	if (!control_up())
		return;
	model_read_journal();
	model_check_announcement(control_request());
}

static void step(void)
{
	uint64_t choice = roll(100);

	world.step++;
	world_wait(roll(50) ? roll(2 * MS) : roll(1000 * MS));
	if (choice < 45)
		step_control(roll(100));
	else if (choice < 90)
		step_dataplane(roll(100));
	else if (choice < 97 && control_up())
		client_step();
	else if (roll(4) == 0)
		make_fault();
	check();
}

/* All of it once, without faults. */
static void calm_step(void)
{
	world.step++;
	world_wait(MS);
	if (!control_up())
		control_start();
	if (!dataplane_up())
		dataplane_start();
	control_step();
	for (int kind = 0; kind < 3; kind++)
		control_step_slow((enum rg_control_slow_work)kind);
	dataplane_step_publisher();
	for (uint32_t w = 0; w < WORKERS; w++)
		if (roll(4) == 0)
			dataplane_step_worker(w);
	check();
}

/* No faults any more: what is under way ends, a last push succeeds, the rings run empty. */
static void settle(void)
{
	uint64_t records, idle = 0;

	world.calm = true;
	calm_step();
	for (uint32_t w = 0; w < WORKERS; w++)
		dataplane_hold(w, false);
	for (int i = 0; i < 200; i++)
		calm_step();
	client_push_last(calm_step);
	for (uint32_t w = 0; w < WORKERS; w++)
		while (!dataplane_idle(w))
			dataplane_step_worker(w);
	records = model_records();
	for (int i = 0; idle < SETTLED_TURNS; i++) {
		bool worked;

		world.step++;
		world_wait(10 * MS);
		worked = control_step() > 0;
		for (int kind = 0; kind < 3; kind++)
			worked |= control_step_slow((enum rg_control_slow_work)kind);
		dataplane_step_publisher();
		check();
		worked |= model_records() != records;
		records = model_records();
		idle = worked ? 0 : idle + 1;
		if (i == SETTLE_MAX)
			fail("it does not come to rest");
	}
	model_check_end(dataplane_active(), control_stored_active());
}

static double seconds(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* A seed in this process. */
static void run(uint64_t seed, uint64_t steps, bool verbose, char **paths, struct outcome *outcome)
{
	double began = seconds();

	world_open(seed, verbose, paths[0], paths[1]);
	rg_log_set_level(RG_LOG_ERROR);
	while (world.step < steps)
		step();
	settle();
	world_close();
	*outcome =
		(struct outcome){world.hash,	   world.step,	 world.lines ? model_records() : 0,
				 world.crashes,	   world.errors, world.power_losses,
				 seconds() - began};
}

/* A seed in a child. False: it failed. */
static bool run_child(uint64_t seed, uint64_t steps, bool verbose, char **paths,
		      struct outcome *outcome)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	assert(child >= 0);
	if (!child) {
		run(seed, steps, verbose, paths, outcome);
		_exit(0);
	}
	assert(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status))
		fprintf(stderr, "seed %llu: signal %d\n", (unsigned long long)seed,
			WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static int run_seeds(uint64_t from, uint64_t count, uint64_t steps, bool verbose, char **paths)
{
	struct outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct outcome total = {0};
	int failed = 0;

	assert(outcome != MAP_FAILED);
	for (uint64_t seed = from; seed < from + count; seed++) {
		uint64_t hash;

		if (!run_child(seed, steps, verbose, paths, outcome)) {
			failed++;
			continue;
		}
		hash = outcome->hash;
		total.steps += outcome->steps;
		total.records += outcome->records;
		total.crashes += outcome->crashes;
		total.errors += outcome->errors;
		total.power_losses += outcome->power_losses;
		total.seconds += outcome->seconds;
		if (seed - from >= TWICE || verbose)
			continue;
		if (!run_child(seed, steps, false, paths, outcome) || outcome->hash != hash) {
			fprintf(stderr, "seed %llu is not the same twice\n",
				(unsigned long long)seed);
			failed++;
		}
	}
	printf("%llu seeds: %llu steps (%.0f a second), %llu records, %llu crashes, %llu other "
	       "faults, %llu power losses; %d seeds failed\n",
	       (unsigned long long)count, (unsigned long long)total.steps,
	       (double)total.steps / (total.seconds + 1e-9), (unsigned long long)total.records,
	       (unsigned long long)total.crashes, (unsigned long long)total.errors,
	       (unsigned long long)total.power_losses, failed);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"seeds", required_argument, NULL, 's'},
						{"steps", required_argument, NULL, 't'},
						{"verbose", no_argument, NULL, 'v'},
						{0}};
	uint64_t from = 1, seeds = SEEDS, steps = STEPS;
	bool verbose = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f': from = strtoull(optarg, NULL, 10); break;
		case 's': seeds = strtoull(optarg, NULL, 10); break;
		case 't': steps = strtoull(optarg, NULL, 10); break;
		case 'v': verbose = true; break;
		default: return 2;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: simulator_test SCHEMA PLAN [--from SEED] [--seeds N] "
				"[--steps N] [--verbose]\n");
		return 2;
	}
	return run_seeds(from, seeds, steps, verbose, argv + optind);
}

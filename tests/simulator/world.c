/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "power.h"

#define UNIX_BEGIN_NS	   1700000000000000000ull
#define MONOTONIC_BEGIN_NS 1000000000ull

struct world world;

/* ---- chance: splitmix64 ---- */

static uint64_t next(void)
{
	uint64_t z = world.chance += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t roll(uint64_t below)
{
	return next() % below;
}

bool happens(uint64_t ppm)
{
	return roll(1000000) < ppm;
}

void world_wait(uint64_t ns)
{
	world.monotonic_ns += ns;
	world.unix_ns += ns;
}

/* ---- trace ---- */

static void hash_line(const char *line)
{
	for (; *line; line++)
		world.hash = (world.hash ^ (uint8_t)*line) * 0x100000001b3ull;
}

void trace(const char *format, ...)
{
	char *line = world.trace[world.lines++ % TRACE_LINES];
	va_list args;
	int n = snprintf(line, TRACE_BYTES, "%6llu ", (unsigned long long)world.step);

	va_start(args, format);
	vsnprintf(line + n, TRACE_BYTES - (size_t)n, format, args);
	va_end(args);
	hash_line(line);
	if (world.verbose)
		fprintf(stderr, "%s\n", line);
}

static void print_trace(void)
{
	uint64_t from = world.lines > TRACE_LINES ? world.lines - TRACE_LINES : 0;

	for (uint64_t i = from; i < world.lines && !world.verbose; i++)
		fprintf(world.report, "%s\n", world.trace[i % TRACE_LINES]);
}

void fail(const char *format, ...)
{
	va_list args;

	print_trace();
	fprintf(world.report, "seed %llu, step %llu: ", (unsigned long long)world.seed,
		(unsigned long long)world.step);
	va_start(args, format);
	vfprintf(world.report, format, args);
	va_end(args);
	fprintf(world.report,
		"\nagain: simulator_test SCHEMA PLAN --from %llu --seeds 1 --verbose\n",
		(unsigned long long)world.seed);
	fflush(world.report);
	remove_tree(world.root);
	_exit(1);
}

void must(int rc, const struct rg_error *err)
{
	if (rc)
		fail("unexpected: %s", err->text);
}

/* A policy unmapped too early is a SIGSEGV. */
static void on_signal(int number)
{
	fail("signal %d", number);
}

/* ---- faults ---- */

void note_fault(uint64_t *counter)
{
	world.faults++;
	(*counter)++;
}

static bool needs_disk(const char *point)
{
	static const char *const points[] = {"journal.write", "journal.segment_write",
					     "store.write", "sqlite.commit", "image.room"};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		if (!strcmp(point, points[i]))
			return true;
	return false;
}

/* Every failpoint that a step passes. */
static bool at_failpoint(const struct rg_failpoint *point, void *context)
{
	if (world.actor == ACTOR_NOBODY || world.calm)
		return false;
	if (happens(world.crash_ppm)) {
		note_fault(&world.crashes);
		world.died_at = point->name;
		longjmp(world.death, 1);
	}
	if (!point->can_fail)
		return false;
	if (world.monotonic_ns < world.disk_full_until_ns && needs_disk(point->name)) {
		note_fault(&world.errors);
		trace("  %s: disk full", point->name);
		errno = ENOSPC;
		return true;
	}
	if (happens(world.error_ppm)) {
		note_fault(&world.errors);
		trace("  %s: fails", point->name);
		if (!strcmp(point->name, "journal.sync"))
			power_sync_failed(world.journal);
		errno = EIO;
		return true;
	}
	return false;
}

/* ---- the world ---- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folder(const char *path)
{
	if (mkdir(path, 0750))
		fail("mkdir %s: %s", path, strerror(errno));
}

void world_open(uint64_t seed, bool verbose, const char *schema_path, const char *plan_path)
{
	memset(&world, 0, sizeof(world));
	world.seed = world.chance = seed;
	world.hash = 0xcbf29ce484222325ull;
	world.monotonic_ns = MONOTONIC_BEGIN_NS;
	world.unix_ns = UNIX_BEGIN_NS;
	world.verbose = verbose;
	world.report = fdopen(dup(STDERR_FILENO), "w");
	if (!verbose && !freopen("/dev/null", "w", stderr))
		fail("/dev/null: %s", strerror(errno));
	world.schema_path = schema_path;
	world.plan_path = plan_path;
	/* Some runs are calm, some are terrible. */
	world.crash_ppm = roll(4) ? roll(2000) : 0;
	world.error_ppm = roll(4) ? roll(3000) : 0;
	snprintf(world.root, sizeof(world.root), "/dev/shm/riskgate-simulator-%d", (int)getpid());
	remove_tree(world.root);
	make_folder(world.root);
	snprintf(world.region, PATH_BYTES, "%.200s/region", world.root);
	snprintf(world.state, PATH_BYTES, "%.200s/state", world.root);
	snprintf(world.journal, PATH_BYTES, "%.200s/state/journal", world.root);
	snprintf(world.socket, PATH_BYTES, "%.200s/socket", world.root);
	snprintf(world.bundles, PATH_BYTES, "%.200s/bundles", world.root);
	snprintf(world.sqlite, PATH_BYTES, "%.200s/state/decisions.sqlite", world.root);
	make_folder(world.bundles);
	make_folder(world.region);
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	rg_failpoint_set_hook(at_failpoint, NULL);
}

void world_close(void)
{
	rg_failpoint_set_hook(NULL, NULL);
	remove_tree(world.root);
}

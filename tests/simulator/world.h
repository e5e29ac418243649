/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: control's state machines, the publisher and a model of workers and of a client in
 * one process, one thread and a time of its own, with faults, from a seed.
 *
 *	            seed ──► which step, how long, which fault
 *	              │
 *	   ┌──────────┼────────────┬───────────────┬───────────────┐
 *	 control    build       publisher       worker 0..n      client
 *	 (a turn)   sync         (a step)       (a burst)        (push, rollback)
 *	   │        store           │              │               │
 *	   └───────────┬────────────┴──────────────┴───────────────┘
 *	               ▼
 *	   after each step: what must always be true (model.h)
 *
 * Real: control, build, journal and its syncs, sink and SQLite, policy store, compiler, publisher,
 * rings, mailbox, files on tmpfs. Models: time, workers, grace periods, the client, the power.
 *
 * FAULTS. At each failpoint (base/failpoint.h) that a step passes: the process dies there (longjmp
 * out of it; what it had in memory is gone, what it wrote stays), or the call there fails. Between
 * steps: either process dies, the power fails (the region is gone, the journal keeps what was
 * synced and any part of the rest), the disk is full for a while, the clock jumps, an image file is
 * damaged, a worker stops in the middle of a burst. A write that was under way at a death may be
 * torn.
 *
 * A seed gives the same run each time: all chance comes from it, and nothing of the code that is
 * stepped looks at a clock, a thread or an address to decide. simulator_test.c runs some seeds
 * twice and compares the traces.
 *
 * Each seed runs in a process of its own, because a death in the middle of a function leaks what it
 * held.
 */
#ifndef RG_SIMULATOR_WORLD_H
#define RG_SIMULATOR_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define WORKERS	    2
#define TRACE_LINES 120
#define TRACE_BYTES 160
#define PATH_BYTES  256
#define NOBODY	    0
#define RING_BYTES  65536

enum actor { ACTOR_NOBODY, ACTOR_CONTROL, ACTOR_DATAPLANE };

struct world {
	uint64_t seed, chance; /* state of the generator */
	uint64_t step;
	uint64_t monotonic_ns, unix_ns;
	bool verbose;
	FILE *report; /* where a failure is told; stderr is only heard when verbose */

	/* folders and files */
	char root[PATH_BYTES], region[PATH_BYTES], state[PATH_BYTES], journal[PATH_BYTES];
	char socket[PATH_BYTES], bundles[PATH_BYTES], sqlite[PATH_BYTES];
	const char *schema_path, *plan_path;

	/* faults */
	bool calm;		       /* none are made any more */
	uint64_t crash_ppm, error_ppm; /* at each failpoint */
	uint64_t disk_full_until_ns;   /* monotonic */
	uint64_t faults;	       /* made so far, of any kind */
	uint64_t crashes, errors, power_losses, jumps;

	/* whose step it is, and where it goes when it dies */
	enum actor actor;
	jmp_buf death;
	const char *died_at;

	/* the last lines, and a hash of all */
	char trace[TRACE_LINES][TRACE_BYTES];
	uint64_t lines, hash;
};

/* The one world of this process. */
extern struct world world;

void world_open(uint64_t seed, bool verbose, const char *schema_path, const char *plan_path);
void world_close(void);

/* 0..below-1 */
uint64_t roll(uint64_t below);
/* True ppm times in a million. */
bool happens(uint64_t ppm);

/* Let time pass. */
void world_wait(uint64_t ns);

/* A line of the trace. */
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What must be true is not: print seed, step and the last lines, and end the process with 1. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void must(int rc, const struct rg_error *err);

/* A fault of this kind was made. */
void note_fault(uint64_t *counter);

void remove_tree(const char *path);

#endif

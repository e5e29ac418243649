/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix time for workers without a system call: time stamp counter ticks turned into nanoseconds.
 *
 * The main thread reads (ticks, CLOCK_REALTIME) pairs a few times a second and publishes a
 * snapshot: "at tick T it was N ns, and from there a tick is M / 2^32 ns". A worker copies the
 * snapshot in its housekeeping and converts with one multiplication.
 *
 *	ns(tick) = base_ns + ((tick - base_tick) x mult >> 32)
 *
 * A. The line that workers read never steps back. The new snapshot starts where the old line is at
 *    its base tick; when real time is ahead by more than STEP (someone set the clock) the line
 *    jumps forward, else its slope is bent so that it meets real time one period later, at no less
 *    than half speed.
 *
 * B. A worker never goes backwards even across the instant it takes a new snapshot over: it keeps
 *    the last value it gave out as a floor.
 *
 * Who writes: struct rg_clock's snapshot (shm/snapshot.h): the main thread. Who reads: workers,
 * about once a millisecond; one that cannot have a consistent copy keeps its old one until the next
 * time.
 */
#ifndef RG_DATAPLANE_CLOCK_H
#define RG_DATAPLANE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/snapshot.h"

/* Real time this far ahead of the line, or half of it behind, is not drift but a set clock. */
#define RG_CLOCK_STEP_NS 500000000ull

struct rg_clock_line {
	uint64_t base_tick, base_ns;
	uint64_t mult; /* slope of the line: ns a tick x 2^32 */
	uint64_t rate; /* the counter's measured rate, the same unit: for durations */
};

struct rg_clock {
	_Alignas(64) _Atomic uint64_t version;
	_Atomic uint64_t words[sizeof(struct rg_clock_line) / sizeof(uint64_t)];
	/* main thread only */
	_Alignas(64) struct rg_clock_line line;
	uint64_t rate_tick, rate_ns; /* the pair that the rate is measured from */
	uint64_t steps;		     /* times the line jumped */
};

/* One reader's view. */
struct rg_clock_reader {
	struct rg_clock_line line;
	uint64_t last_ns;
};

/* Start a clock from one pair of readings and the nominal frequency of the counter in Hz (> 0). */
void rg_clock_init(struct rg_clock *clock, uint64_t tick, uint64_t unix_ns, uint64_t tick_hz);
/* Give it another pair of readings, later than the last. Main thread only. */
void rg_clock_update(struct rg_clock *clock, uint64_t tick, uint64_t unix_ns);
/* Take over the current snapshot. False if no consistent copy could be had: the old one stays. */
bool rg_clock_refresh(struct rg_clock_reader *reader, struct rg_clock *clock);
/* Read (ticks, CLOCK_REALTIME) at as nearly the same instant as can be had. read_tick: the counter.
 */
void rg_clock_sample(uint64_t (*read_tick)(void), uint64_t *tick, uint64_t *unix_ns);

/* a x mult / 2^32 without overflow. */
static inline uint64_t rg_clock_scale(uint64_t ticks, uint64_t mult)
{
	return (uint64_t)(((unsigned __int128)ticks * mult) >> 32);
}

/* Unix ns at `tick`; never less than it gave before. */
static inline uint64_t rg_clock_ns(struct rg_clock_reader *reader, uint64_t tick)
{
	uint64_t ahead = tick > reader->line.base_tick ? tick - reader->line.base_tick : 0;
	uint64_t ns = reader->line.base_ns + rg_clock_scale(ahead, reader->line.mult);

	if (ns < reader->last_ns)
		ns = reader->last_ns;
	reader->last_ns = ns;
	return ns;
}

#endif

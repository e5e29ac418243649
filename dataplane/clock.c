/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/clock.h"

#include <time.h>

#define NS_A_SECOND    1000000000ull
#define LINE_WORDS     (sizeof(struct rg_clock_line) / sizeof(uint64_t))
#define SAMPLE_TRIES   5
#define RATE_WINDOW_NS NS_A_SECOND /* the rate is measured over at least this */
#define RATE_TOLERANCE                                                                             \
	100 /* a measured rate further than 1/100 from the known one is a set clock, not a rate */

static uint64_t rate(uint64_t ns, uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ns << 32) / ticks);
}

static void publish(struct rg_clock *clock)
{
	rg_snapshot_write(&clock->version, clock->words, (const uint64_t *)&clock->line,
			  LINE_WORDS);
}

bool rg_clock_refresh(struct rg_clock_reader *reader, struct rg_clock *clock)
{
	struct rg_clock_line line;

	if (!rg_snapshot_read(&clock->version, clock->words, (uint64_t *)&line, LINE_WORDS))
		return false;
	reader->line = line;
	return true;
}

void rg_clock_init(struct rg_clock *clock, uint64_t tick, uint64_t unix_ns, uint64_t tick_hz)
{
	uint64_t nominal = rate(NS_A_SECOND, tick_hz);

	clock->rate_tick = tick;
	clock->rate_ns = unix_ns;
	clock->line = (struct rg_clock_line){
		.base_tick = tick, .base_ns = unix_ns, .mult = nominal, .rate = nominal};
	clock->steps = 0;
	atomic_init(&clock->version, 0);
	for (unsigned i = 0; i < LINE_WORDS; i++)
		atomic_init(&clock->words[i], 0);
	publish(clock);
}

/* Measure the rate over a window without a step; a window with one is begun anew. */
static void measure_rate(struct rg_clock *clock, uint64_t tick, uint64_t unix_ns, bool stepped)
{
	uint64_t measured, tolerance = clock->line.rate / RATE_TOLERANCE;

	if (!stepped && unix_ns - clock->rate_ns < RATE_WINDOW_NS)
		return;
	if (!stepped) {
		measured = rate(unix_ns - clock->rate_ns, tick - clock->rate_tick);
		if (measured > clock->line.rate - tolerance &&
		    measured < clock->line.rate + tolerance)
			clock->line.rate =
				clock->line.rate / 2 +
				measured / 2; /* smoothed: one late sample bends it less */
	}
	clock->rate_tick = tick;
	clock->rate_ns = unix_ns;
}

void rg_clock_update(struct rg_clock *clock, uint64_t tick, uint64_t unix_ns)
{
	uint64_t elapsed, line_ns, mult;
	int64_t ahead_ns; /* of real time before the line */
	bool set;	  /* somebody set the clock */

	if (tick <= clock->line.base_tick)
		return;
	elapsed = tick - clock->line.base_tick;
	line_ns = clock->line.base_ns + rg_clock_scale(elapsed, clock->line.mult);
	ahead_ns = (int64_t)(unix_ns - line_ns);
	set = ahead_ns > (int64_t)RG_CLOCK_STEP_NS || ahead_ns < -(int64_t)RG_CLOCK_STEP_NS;
	measure_rate(clock, tick, unix_ns, set || unix_ns < clock->rate_ns);
	mult = clock->line.rate;
	if (ahead_ns > (int64_t)RG_CLOCK_STEP_NS) {
		clock->steps++;
		line_ns = unix_ns;
		ahead_ns = 0;
	}
	/* Meet real time after as long again, at 1/2 to 3/2 of the rate. */
	if (ahead_ns >= 0)
		mult += (uint64_t)ahead_ns < rg_clock_scale(elapsed, mult) / 2
				? rate((uint64_t)ahead_ns, elapsed)
				: mult / 2;
	else
		mult -= (uint64_t)-ahead_ns < rg_clock_scale(elapsed, mult) / 2
				? rate((uint64_t)-ahead_ns, elapsed)
				: mult / 2;
	clock->line.base_tick = tick;
	clock->line.base_ns = line_ns;
	clock->line.mult = mult;
	publish(clock);
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_A_SECOND + (uint64_t)now.tv_nsec;
}

void rg_clock_sample(uint64_t (*read_tick)(void), uint64_t *tick, uint64_t *unix_ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < SAMPLE_TRIES; i++) {
		uint64_t before = read_tick();
		uint64_t ns = realtime_ns();
		uint64_t after = read_tick();

		if (after - before >= best)
			continue;
		best = after - before;
		*tick = before + best / 2;
		*unix_ns = ns;
	}
}

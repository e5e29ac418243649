/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failpoints: named places at which a test may kill the process, make a call fail or slow it down.
 *
 *	write_at(...);
 *	RG_FAILPOINT("journal.written");			a place to die or to wait
 *	if (RG_FAILPOINT_FAILS("journal.sync") || fdatasync(fd))	... or a call that may fail
 *
 * Both are nothing (`false`) unless the file is compiled with RG_FAILPOINTS. Only the programs that
 * tests/faults builds for itself are: what is installed has no failpoint in it.
 *
 * Armed by the environment, read at the first point that is reached:
 *
 *	RISKGATE_FAILPOINTS="journal.written=kill@3,store.rename=error:28"
 *
 *	kill		SIGKILL to the own process, as the kernel or an operator would
 *	error[:ERRNO]	RG_FAILPOINT_FAILS is true with this errno (5, EIO); the site takes its own
 *			way of failing. A plain RG_FAILPOINT is not changed by it.
 *	delay:MS	wait so long
 *	@N		at the Nth time the point is reached, and only then; @N+ from then on.
 *			Without: @1
 *
 * What cannot be read there is logged as an error and arms nothing.
 *
 * A name is "<unit>.<what has just happened, or what is about to be called>" and is used at one
 * site. Names are listed by rg_failpoint_at(); docs/faults.md says what each is for.
 *
 * Thread-safety: points may be reached by any thread. The hook is set before there are threads.
 */
#ifndef RG_BASE_FAILPOINT_H
#define RG_BASE_FAILPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rg_failpoint {
	const char *name;
	bool can_fail; /* RG_FAILPOINT_FAILS: a call; else a place */
	uint64_t hits; /* times it was reached; atomic, relaxed: a count and nothing else */
};

/* The point was reached. True: the site must fail, errno says how. */
bool rg_failpoint_hit(struct rg_failpoint *point);

/* Point number index of this program, in no order; NULL: there are no more. */
const struct rg_failpoint *rg_failpoint_at(size_t index);

/* Ask hook instead of the environment at each point; NULL: the environment again. What it returns
 * is what rg_failpoint_hit() returns; it may also not return (longjmp): the simulator's crash. */
void rg_failpoint_set_hook(bool (*hook)(const struct rg_failpoint *point, void *context),
			   void *context);

#ifdef RG_FAILPOINTS
/* Each site has its point, and a pointer to it in a section of its own: the list. */
#define RG_FAILPOINT_AT_(point_name, point_can_fail)                                               \
	({                                                                                         \
		static struct rg_failpoint rg_point_ = {.name = (point_name),                      \
							.can_fail = (point_can_fail)};             \
		static struct rg_failpoint *const rg_listed_                                       \
			__attribute__((section("rg_failpoints"), used)) = &rg_point_;              \
		rg_failpoint_hit(rg_listed_);                                                      \
	})
#define RG_FAILPOINT_FAILS(point_name) RG_FAILPOINT_AT_(point_name, true)
#define RG_FAILPOINT(point_name)       ((void)RG_FAILPOINT_AT_(point_name, false))
#else
#define RG_FAILPOINT_FAILS(point_name) false
#define RG_FAILPOINT(point_name)       ((void)0)
#endif
#endif

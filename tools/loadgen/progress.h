/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The progress bar: one line on a terminal, drawn anew once a second.
 *
 * Thread-safety: belongs to the sending thread, which draws it between two rounds.
 */
#ifndef RG_TOOLS_LOADGEN_PROGRESS_H
#define RG_TOOLS_LOADGEN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/loadgen/load.h"

struct rg_progress {
	FILE *out;	  /* NULL: draw nothing */
	uint64_t next_ns; /* when to draw again */
	uint64_t drawn_ns, drawn_sent, drawn_answered;
	bool drawn;
};

/* Draw on out if it is a terminal and quiet is false. */
void rg_progress_init(struct rg_progress *progress, FILE *out, bool quiet, uint64_t now_ns);
/* Draw if a second has gone by. Cheap otherwise. */
void rg_progress_update(struct rg_progress *progress, const struct rg_load *load, uint64_t now_ns);
/* Take the line away. */
void rg_progress_finish(struct rg_progress *progress);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of a probe: a pinned map, read as a whole.
 *
 * Every value in such a map is an array of 64-bit words, one for each CPU. Words are sums, except
 * some that are maxima; a figure is the sum or the maximum over CPUs. What happened between two
 * readings is their difference; a maximum has none and stays what it is.
 *
 * Thread-safety: a struct rg_figures belongs to one thread.
 */
#ifndef RG_TOOLS_RISKCTL_FIGURES_H
#define RG_TOOLS_RISKCTL_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "shm/probe_histogram.h"

struct rg_figures {
	uint32_t key_bytes, value_bytes;
	uint32_t count;
	uint8_t *keys;	  /* count x key_bytes */
	uint64_t *values; /* count x value_bytes */
};

/* Read the map pinned at `path`. maxima: bit i says that word i is one (i < 64). Errors: those of
 * rg_pinned_open(). */
int rg_figures_read(const char *path, uint32_t key_bytes, uint32_t value_bytes, uint64_t maxima,
		    struct rg_figures *figures, struct rg_error *err);
/* figures -= before. An element that is not in `before`, or was begun anew, stays as it is. */
void rg_figures_subtract(struct rg_figures *figures, const struct rg_figures *before,
			 uint64_t maxima);
/* A copy of its own. Errors: RG_ENOMEM. */
int rg_figures_copy(const struct rg_figures *figures, struct rg_figures *copy,
		    struct rg_error *err);
void rg_figures_free(struct rg_figures *figures);

const void *rg_figures_key(const struct rg_figures *figures, uint32_t i);
const void *rg_figures_value(const struct rg_figures *figures, uint32_t i);

/* The middle of the bucket that holds this percentile (0..100), in ns, but no more than the longest
 * that was seen; 0 when nothing was counted. */
uint64_t rg_figures_percentile(const struct rg_probe_histogram *histogram, double percentile);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `riskctl top` share: an interval's readings, the figures made of them, and the
 * two ways to show them.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_TOP_H
#define RG_TOOLS_RISKCTL_TOP_H

#include "tools/riskctl/document.h"
#include "tools/riskctl/screen.h"
#include "tools/riskctl/top_sample.h"

struct rg_top {
	struct rg_cli *cli;
	const char *given; /* --directory */
	char directory[RG_REGION_PATH_BYTES];
	struct rg_region *region; /* NULL: there is none yet */
	struct rg_error absence;  /* why */
	struct rg_top_sample *before, *now, *shown;
	bool answered; /* control's status is in `status` */
	struct rg_document status;
	struct rg_error silence; /* else why not */
	double seconds;		 /* of the interval */
	struct rg_screen screen;
};

/* A page of lines on top->screen. */
void rg_top_show_page(struct rg_top *top);
/* A JSON object and a line end. Errors: RG_ENOMEM. */
int rg_top_print_json(struct rg_top *top);

/* ---- figures ---- */

/* So many a second, over the interval. */
uint64_t rg_top_rate(const struct rg_top *top, uint64_t count);
/* part / whole; 0 of nothing. */
double rg_top_share(uint64_t part, uint64_t whole);
/* All verdicts of a worker's counters. */
uint64_t rg_top_decisions(const uint64_t *counters);
/* Of all states of a worker. */
uint64_t rg_top_ticks(const struct rg_top_worker *worker);
/* Since the worker started; 0 when it is not known. */
uint64_t rg_top_longest_loop_ns(const struct rg_top_worker *worker);
/* Within the interval: its figures are those of two processes. */
bool rg_top_restarted(const struct rg_top_process *now, const struct rg_top_process *before);
/* How long ago a unix time was; 0: never, or in the future. */
uint64_t rg_top_age_ns(const struct rg_top *top, uint64_t unix_ns);
/* A number of control's status, by its dotted path; 0 when it does not answer. */
int64_t rg_top_of_control(struct rg_top *top, const char *path);
/* Frames written to the journal and not yet durable. */
uint64_t rg_top_journal_behind(struct rg_top *top);
/* Of the fullest ring, 0 to 1. */
double rg_top_ring_fill(const struct rg_top_sample *sample);

/* Why something was not decided, or not at all answered. */
enum rg_top_refusal {
	RG_TOP_REFUSAL_NONE,
	RG_TOP_REFUSAL_ANSWER,
	RG_TOP_REFUSAL_PACKET,
	RG_TOP_REFUSAL_MESSAGE
};
/* What a worker's counter (RG_WORKER_...) counts of it. */
enum rg_top_refusal rg_top_refusal_of(uint32_t counter);
/* no_policy of the label status="no_policy", into name[bytes]; returns name. */
const char *rg_top_refusal_name(uint32_t counter, char *name, size_t bytes);

#endif

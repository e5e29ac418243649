/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted while a load runs, and how it is written out at the end.
 *
 * Every request sent ends in exactly one of two ways: sent = answered + lost. Late and duplicate
 * answers are counted apart and change neither. Answers in the warm-up are counted like all others
 * but leave latency and throughput alone.
 *
 * Thread-safety: a tally belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_TALLY_H
#define RG_TOOLS_LOADGEN_TALLY_H

#include <stdint.h>
#include <stdio.h>

#include "shm/histogram.h"
#include "wire/decision.h"

#define RG_TALLY_VERDICTS  5				  /* NONE, ALLOW, DENY, REVIEW, UNKNOWN */
#define RG_TALLY_STATUSES  (RG_DECISION_STATUS_COUNT + 1) /* the last: unknown */
#define RG_TALLY_SEQUENCES 8192 /* a minute of 100 swaps a second, and more */

/* Decisions under one policy sequence. Times: this machine's clock when the answer was received. */
struct rg_tally_sequence {
	uint64_t sequence, decisions;
	uint64_t first_ns, last_ns;
};

struct rg_tally {
	uint64_t sent, answered, lost, late, duplicates;
	uint64_t unknown;    /* answers to what was never sent */
	uint64_t echoed;     /* answered by the request itself: the other side is an echo */
	uint64_t unreadable; /* datagrams or messages that are neither decision nor echo */
	uint64_t foreign;    /* frames that are no datagrams for us */
	uint64_t unsent;     /* due by the schedule, never accepted by the device */
	uint64_t measured;   /* answers after the warm-up */
	uint64_t measure_begin_ns, last_answer_ns;
	uint64_t verdicts[RG_TALLY_VERDICTS];
	uint64_t statuses[RG_TALLY_STATUSES];
	struct rg_tally_sequence sequences[RG_TALLY_SEQUENCES];
	uint32_t sequence_count;
	uint32_t last_sequence;	    /* index of the one counted last: mostly the next one, too */
	uint64_t sequences_dropped; /* decisions under more sequences than fit */
	uint64_t dropped_sequence;  /* the last of these: not looked for again with each answer */
	uint64_t busy_ns,
		total_ns; /* of the sending thread; nearly equal: it is the limit itself */
	struct rg_histogram_snapshot latency;
};

/* Count a decision that came first for its request. */
void rg_tally_decision(struct rg_tally *tally, const struct rg_decision_message *decision,
		       uint64_t now_ns);
/* Answers a second after the warm-up; 0 if there were none. */
double rg_tally_throughput(const struct rg_tally *tally);
/* Write the summary for people. */
void rg_tally_print(const struct rg_tally *tally, FILE *out);
/* Write the same as one JSON object. unix_offset_ns: what to add to this machine's clock to get
 * Unix time. Returns 0, or -1 when writing failed. */
int rg_tally_write_json(const struct rg_tally *tally, int64_t unix_offset_ns, FILE *out);

#endif

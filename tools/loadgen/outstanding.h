/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that were sent and not answered yet, and what became of the recent ones.
 *
 * Request ids are given out in sequence, so the table is an array indexed by the id modulo its
 * capacity (a power of two) and an entry is one word: the intended send time, or one of two marks.
 *
 *            send(id)              answer(id)
 *   (free) ───────────► time ns ───────────────► ANSWERED    a second answer is a duplicate
 *                          │
 *                          └── expire(id) ─────► EXPIRED     lost; an answer now is late
 *
 *   ids   0 ........ next-capacity ...... oldest ......... next
 *         forgotten  | answered or expired | any state      | not sent yet
 *
 * Every entry below `oldest` is settled. Sending id needs the entry of id - capacity: if that is
 * still outstanding it is expired first, so the capacity bounds how long an answer can be waited
 * for, and the loss is counted.
 *
 * Thread-safety: a table belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_OUTSTANDING_H
#define RG_TOOLS_LOADGEN_OUTSTANDING_H

#include <stdint.h>

#include "base/error.h"

enum rg_answer_match {
	RG_ANSWER_FIRST,     /* the answer awaited */
	RG_ANSWER_DUPLICATE, /* answered before */
	RG_ANSWER_LATE,	     /* given up before, or so old that it is forgotten */
	RG_ANSWER_UNKNOWN    /* never sent */
};

struct rg_outstanding {
	uint64_t *entries;
	uint64_t mask;
	uint64_t first;	  /* the first id given out */
	uint64_t next;	  /* the id that is given out next */
	uint64_t oldest;  /* every id below is settled */
	uint64_t waiting; /* outstanding now */
	uint64_t expired; /* given up so far; each is a loss */
};

/* Make a table for ids from first on. capacity: entries, rounded up to a power of two, 2..2^28. */
int rg_outstanding_init(struct rg_outstanding *table, uint64_t capacity, uint64_t first,
			struct rg_error *err);
void rg_outstanding_free(struct rg_outstanding *table);
/* Note that the next id is sent with this intended time (ns, below 2^62). Returns the id. */
uint64_t rg_outstanding_send(struct rg_outstanding *table, uint64_t intended_ns);
/* Settle an answer. *intended_ns is set for RG_ANSWER_FIRST. */
enum rg_answer_match rg_outstanding_answer(struct rg_outstanding *table, uint64_t id,
					   uint64_t *intended_ns);
/* Give up what was to be sent at or before this time. Looks no further than the first request
 * younger than that. */
void rg_outstanding_expire(struct rg_outstanding *table, uint64_t at_or_before_ns);

#endif

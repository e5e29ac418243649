/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drain: from the workers' rings to the journal.
 *
 *	           no data plane file            joined, no older file       records
 *	 ABSENT ◄─────────────────────┐   ┌───────────────────────────► DRAINING ◄──┐
 *	    │   joined                │   │                                 │      │
 *	    └──────────────────► LOOKING ─┤                                 └──────┘
 *	                          ▲       │  there is a dataplane.<epoch>
 *	                          │       └──────────► RETIRED: drain that one, remove it
 *	                          └──────────────────────┘
 *
 * One turn: take what the rings hold, up to a bound for each; check each record in a private
 * copy (the ring is its producer's memory); stage it in the journal unless it is there
 * already; write the batch; only then release the rings. So a record is in the ring or in the
 * journal at any moment, and control may be killed at any of them: what comes again is known
 * by its key. When the journal cannot be written nothing is released and the rings keep.
 *
 * The data plane may be absent, restart, come with another layout or die at any time.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_DRAIN_H
#define RG_CONTROL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/journal.h"
#include "shm/region.h"

struct rg_drain;

struct rg_drain_statistics {
	uint64_t records; /* taken from rings and journaled */
	uint64_t bytes;
	uint64_t repeated; /* known by their key */
	uint64_t missing;  /* gaps */
	uint64_t corrupt;
	uint64_t ring_errors, ring_skipped_bytes;
	uint64_t retired_files; /* drained and removed */
	uint64_t joins;
	bool joined, retired_open, journal_failing;
};

/* region: control's, open. journal: open. Both must outlive the drain. */
struct rg_drain *rg_drain_new(struct rg_region *region, struct rg_journal_writer *journal);
void rg_drain_delete(
	struct rg_drain *drain); /* NULL is allowed; releases nothing that is not journaled */

/* One turn. Returns the records taken; 0: there was nothing to do (or the journal cannot be written
 * now). unix_ns labels errors in the region's error log. */
uint32_t rg_drain_do_work(struct rg_drain *drain, uint64_t monotonic_ns, uint64_t unix_ns);

/* Bytes that the rings hold and nobody has taken; fill of ring w (0: no such ring). */
uint64_t rg_drain_backlog_bytes(const struct rg_drain *drain);
uint64_t rg_drain_ring_bytes(const struct rg_drain *drain, uint32_t worker);
void rg_drain_statistics(const struct rg_drain *drain, struct rg_drain_statistics *statistics);

#endif

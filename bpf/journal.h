/* SPDX-License-Identifier: Apache-2.0 */
/* Probe "journal": how long control's writes, syncs and sinks take. The maps' contents. */
#ifndef RG_BPF_JOURNAL_H
#define RG_BPF_JOURNAL_H

#include "shm/probe_histogram.h"
#include "shm/probes.h"

/* map "operations", one for each CPU: struct rg_operation_key -> struct rg_operation */
struct rg_operation_key {
	enum rg_io_op op;
	char name[RG_IO_NAME_BYTES];
};
struct rg_operation {
	uint64_t amount; /* bytes or records: see struct rg_probe_io */
	uint64_t failed;
	struct rg_probe_histogram time;
};

/* map "recent": the operations that took recent_ns or longer, or failed, the last
 * RG_JOURNAL_RECENT. Number n, from 1, is in element (n - 1) % RG_JOURNAL_RECENT. */
struct rg_recent_operation {
	uint64_t number;   /* written last; 0: none, or being written */
	uint64_t ended_ns; /* CLOCK_MONOTONIC */
	struct rg_probe_io io;
};

/* map "counts", key 0: of all CPUs */
struct rg_journal_counts {
	uint64_t operations;
	uint64_t recent; /* number of the last one */
	uint64_t lost;	 /* operations that could not be read or kept */
};

#define RG_JOURNAL_OPERATIONS 64
#define RG_JOURNAL_RECENT     256

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded store of a sink (sink.h): one SQLite file with every decision.
 *
 * The file is in WAL mode with synchronous=NORMAL: a power loss may take the last transactions,
 * whole, and the journal gives them again.
 *
 * The request is stored as the bytes that came (column `request`, with template, schema version and
 * block length beside it) and written as JSON when decisions are asked for (decision_search.h):
 * making JSON of every request costs more than storing it. request_id is stored as SQLite's signed
 * 64-bit integer with the same bits.
 *
 * Retention takes the oldest rows, a few thousand in a transaction of its own; the room they leave
 * is used again, so the file stops growing but does not shrink.
 */
#ifndef RG_CONTROL_SINK_SQLITE_H
#define RG_CONTROL_SINK_SQLITE_H

#include "control/sink.h"

struct rg_sink_sqlite_options {
	const char *path; /* of the SQLite file; its folder must exist */
	/* Bounds of what is kept; 0: none. */
	uint32_t retention_days; /* by receive time */
	uint64_t max_rows;
	uint64_t max_bytes; /* of pages in use */
};

extern const struct rg_sink_driver rg_sink_sqlite_driver;

/* Make a store for rg_sink_new(). The file is opened, made and brought to this version's form
 * (numbered migrations) by the driver's open. Errors: RG_ENOMEM. */
int rg_sink_sqlite_new(const struct rg_sink_sqlite_options *options, void **store,
		       struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PostgreSQL store of a sink (sink.h): table riskgate.decisions, partitioned by day.
 *
 * A batch is one transaction:
 *
 *	BEGIN; COPY riskgate.decisions FROM STDIN (FORMAT binary) ... ; move_checkpoint(); COMMIT
 *
 * move_checkpoint() refuses when the database's checkpoint is not the one that this batch began at.
 * So a batch is there whole, once, whatever happened on the way: an answer that got lost, a
 * promoted standby that had missed the last transactions, a second riskgate with the same node and
 * instance. The unique key of each partition is the second line: when it refuses a batch (records
 * of a journal that is read anew), the batch is sent again through a temporary table and only what
 * is new goes on.
 *
 * Each lane of a sink (sink.h) is a store of its own, with a connection and a checkpoint.
 * open_lane() gives a lane its checkpoint; where there are those of another number of lanes, it
 * makes them anew, all at the least place, and move_checkpoint() refuses lanes of the old number.
 *
 * Partitions are made ahead and, when a record needs one, at once; retention drops whole days. The
 * tables are made by numbered migrations (control/postgres/), one transaction each, under an
 * advisory lock; a database of a later riskgate is refused.
 */
#ifndef RG_CONTROL_SINK_POSTGRES_H
#define RG_CONTROL_SINK_POSTGRES_H

#include "control/sink.h"

struct rg_sink_postgres_options {
	const char *connection;	   /* conninfo or URI; several hosts are allowed */
	const char *password_file; /* "": none */
	uint32_t node;
	const char *instance;
	uint32_t lane, lanes;		/* which of how many (sink.h); 0, 0: it stores all */
	const struct rg_schema *schema; /* must outlive the store */
	bool requests_as_bytes;		/* not as JSONB */
	uint32_t partitions_ahead;	/* days */
	uint32_t retention_days;	/* 0: for ever */
};

extern const struct rg_sink_driver rg_sink_postgres_driver;

/* Make a store for rg_sink_new(). Nothing is connected yet. *place, which lives as long as the
 * store: where it stores, without secrets. Errors: RG_EINVAL (the connection string), RG_ENOMEM. */
int rg_sink_postgres_new(const struct rg_sink_postgres_options *options, void **store,
			 const char **place, struct rg_error *err);

#endif

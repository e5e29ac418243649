/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded sink: every record of the journal exactly once in one SQLite file.
 *
 * The sink has its own thread and its own journal reader, and shares nothing with the drain but the
 * journal: it learns revisions and reason names from the journal's POLICY frames. A batch of rows
 * and the position they reach are written in one transaction, so after any death it goes on where
 * it was; the key (node, epoch, worker, sequence) makes a repeated record harmless. It reads only
 * what it is told is durable in the journal (rg_sink_sqlite_limit), so its checkpoint never gets
 * ahead of what the journal has after a power loss. The file is in WAL mode with
 * synchronous=NORMAL: a power loss may take the last transactions, whole, and the journal gives
 * them again.
 *
 * The request is stored as the bytes that came (column `request`, with template, schema version and
 * block length beside it) and written as JSON when decisions are asked for: making JSON of every
 * request costs more than storing it. request_id is stored as SQLite's signed 64-bit integer with
 * the same bits.
 *
 * Thread-safety: as each function says.
 */
#ifndef RG_CONTROL_SINK_SQLITE_H
#define RG_CONTROL_SINK_SQLITE_H

#include <stdint.h>

#include "base/json.h"
#include "journal/journal.h"
#include "wire/schema.h"

struct rg_sink_sqlite;

struct rg_sink_sqlite_options {
	const char *path; /* of the SQLite file; its folder must exist */
	const char *journal_directory;
	const struct rg_schema *schema; /* to write requests as JSON; must outlive the sink */
	uint32_t batch;			/* records in one transaction at most, >= 1 */
};

struct rg_sink_sqlite_statistics {
	uint64_t stored;      /* records in the file */
	uint64_t failures;    /* transactions that failed and were tried again */
	uint64_t passed_over; /* journal frames lost to damage */
	uint64_t transaction_ns_max;
	struct rg_journal_position position;  /* of the checkpoint */
	char last_error[RG_ERROR_TEXT_BYTES]; /* "" when the last batch went well */
};

/* Open or create the file, bring its tables to this version's form (numbered migrations), read the
 * checkpoint. */
int rg_sink_sqlite_open(const struct rg_sink_sqlite_options *options, struct rg_sink_sqlite **sink,
			struct rg_error *err);

/* Read nothing at or beyond this place of the journal; without it there is no bound. Any thread. */
void rg_sink_sqlite_limit(struct rg_sink_sqlite *sink, const struct rg_journal_position *limit);

/* Store one batch of what the journal holds beyond the checkpoint. Returns the number of records
 * stored (0: nothing new), or a negative status (RG_EIO: try again later; nothing is lost). For
 * tests that step the sink by hand; not while the thread runs. */
int rg_sink_sqlite_work(struct rg_sink_sqlite *sink, struct rg_error *err);

/* Run work() in a thread of its own, woken by wake() and every 100 ms, until stop(), which stores
 * what the journal holds and joins the thread (waits at most drain_ms). start/stop belong to one
 * thread; wake and statistics may be called by any. */
int rg_sink_sqlite_start(struct rg_sink_sqlite *sink, struct rg_error *err);
void rg_sink_sqlite_wake(struct rg_sink_sqlite *sink);
void rg_sink_sqlite_stop(struct rg_sink_sqlite *sink, uint32_t drain_ms);
void rg_sink_sqlite_statistics(struct rg_sink_sqlite *sink,
			       struct rg_sink_sqlite_statistics *statistics);
void rg_sink_sqlite_close(struct rg_sink_sqlite *sink); /* NULL is allowed; stops first */

#define RG_SINK_SEARCH_NS 5000000000ull

/* Which decisions to show; a member that is 0 or NULL does not select. */
struct rg_decision_filter {
	uint32_t limit;	     /* 1..10000 */
	const char *verdict; /* "ALLOW", "DENY", "REVIEW" */
	const char *template_name;
	const char *revision;
	bool has_request_id;
	uint64_t request_id;
	uint64_t before_ns; /* received before */

	/* Called every few milliseconds while rows are looked through, so that the caller's other
	 * work goes on; NULL: nothing is. */
	void (*meanwhile)(void *context);
	void *context;
};

/* Write the newest decisions as a JSON array: newest first, each an object with node, epoch,
 * worker, sequence, request_id, receive_time_ns, receive_time (RFC 3339), latency_ns, client,
 * template, request (object by schema), policy_sequence, revision, verdict, status, score, reasons
 * (names), reasons_fired, flags. Looks through rows for at most RG_SINK_SEARCH_NS: RG_ELIMIT. Uses
 * a read-only connection of its own: any one thread beside the sink's. */
int rg_sink_sqlite_decisions(struct rg_sink_sqlite *sink, const struct rg_decision_filter *filter,
			     struct rg_json_writer *writer, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink: it follows the journal at its own speed and brings each record to a store exactly once.
 *
 * What all sinks share is here: the thread, the journal reader and its limit, batches, revision and
 * reason names, back-off, retention's turns, figures. What a store does is a driver (sink_sqlite.h,
 * sink_postgres.h): how a row is written, and how rows and checkpoint become one transaction.
 *
 *	             open: checkpoint and names from the store
 *	   ┌──────┐ ──────────────────────────────────────────► ┌───────────┐ work: begin, rows,
 *	   │ AWAY │                                             │ FOLLOWING │ commit(checkpoint)
 *	   └──────┘ ◄────────────────────────────────────────── └───────────┘ tidy when it is due
 *	     back-off       any failure: roll_back
 *
 *  (A) Exactly once. A batch of rows and the place they reach are one transaction of the store. The
 *      store's checkpoint is the truth: it is read again after every failure, so an answer that got
 *      lost on the way, a store that was restored or a standby that was behind when it was promoted
 *      all mean the same: go on from what the store says.
 *  (B) The key (node, epoch, worker, sequence) makes a record that comes twice harmless (a store
 *      that was filled from another journal); a driver passes over what it has.
 *  (C) Only what is durable in the journal is read (rg_sink_follow), so a checkpoint is never ahead
 *      of what the journal has after a power loss.
 *  (D) A store that is away or slow delays nobody: the sink waits and tries again, the journal
 *      keeps. rg_sink_keep() says from where the journal must be kept for this sink.
 *
 * Lanes: several sinks may share the work of one store, each with a checkpoint of its own. Lane n of
 * N stores the records of every N-th run of RG_SINK_LANE_FRAMES frames, and passes over the others,
 * which the other lanes store. Each lane is a sink for itself: (A) to (D) hold for each, and so for
 * all. It costs reading the journal N times, which is a hundredth of storing it. When N changes, the
 * driver lets all begin at the least checkpoint there is, and (B) passes over what faster lanes had
 * stored beyond it.
 *
 * Names: revisions and reason names come with the journal's POLICY frames. The driver keeps them in
 * its store and gives them back in open(), because the frame may be long gone when a row needs it.
 *
 * Thread-safety: as each function says. A driver is called by one thread at a time (the sink's, or
 * the test's that steps it), abandon() excepted.
 */
#ifndef RG_CONTROL_SINK_H
#define RG_CONTROL_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/journal.h"
#include "shm/record.h"
#include "wire/schema.h"

/* Frames in a row that one lane stores: as many as make a batch worth its transaction. */
#define RG_SINK_LANE_FRAMES 1024
#define RG_SINK_LANES_MAX   16

struct rg_sink;
struct rg_sink_names;

/* What a store remembers in the transaction of each batch. */
struct rg_sink_checkpoint {
	struct rg_journal_position position; /* everything before it is stored */
	/* What became of the records before it, since the store was made. */
	uint64_t stored;
	uint64_t refused; /* for good: the store can never take them */
	uint64_t dropped; /* not to be stored, as the policy says */
};

/* What a record's policy sequence means. */
struct rg_sink_policy {
	uint64_t sequence, ns; /* of the push: unix ns */
	const char *bundle, *revision;
};

/* One record with the names that belong to it. Pointers live until the call returns. */
struct rg_sink_row {
	const struct rg_record *record;
	const struct rg_template *template; /* NULL: not in this schema, or asked over HTTP */
	uint64_t request_id;
	const char *revision; /* NULL: not known */
	uint32_t reason_count;
	const char *reasons[RG_RECORD_REASONS_MAX];
};

/*
 * What a store does. Every function returns RG_OK or a negative status with err set; after a
 * failure roll_back() is called, and open() before anything else.
 */
struct rg_sink_driver {
	const char *name; /* "sqlite": in the log, in status and as a metric's label */

	/* Connect if there is no connection, make or migrate tables once, read the checkpoint and
	 * the names (rg_sink_learn_policy, rg_sink_learn_reason). */
	int (*open)(void *store, struct rg_sink_checkpoint *checkpoint, struct rg_sink_names *names,
		    struct rg_error *err);
	int (*begin)(void *store, struct rg_error *err);
	int (*policy)(void *store, const struct rg_sink_policy *policy, struct rg_error *err);
	int (*reason)(void *store, uint32_t id, const char *name, struct rg_error *err);
	int (*row)(void *store, const struct rg_sink_row *row, struct rg_error *err);
	/* Make the rows and the place durable together, if the store's checkpoint is still *before.
	 * Adds the rows that were new to after->stored, those that the store will never take to
	 * after->refused and those that are not to be stored to after->dropped. RG_EAGAIN: rolled back without a fault of the store's; the batch is to be
	 * written again at once. */
	int (*commit)(void *store, const struct rg_sink_checkpoint *before,
		      struct rg_sink_checkpoint *after, struct rg_error *err);
	void (*roll_back)(void *store);
	/* A bounded piece of housekeeping outside of transactions: retention, partitions. Returns 1:
	 * there is more to do, 0: nothing for now. NULL: none is needed. */
	int (*tidy)(void *store, uint64_t now_unix_ns, struct rg_error *err);
	/* Any thread: let the call that is under way, and those to come, fail soon. NULL: none
	 * takes long. */
	void (*abandon)(void *store);
	void (*close)(void *store);
};

struct rg_sink_options {
	const char *journal_directory;
	const struct rg_schema *schema; /* must outlive the sink */
	uint32_t batch;			/* records in one transaction at most, >= 1 */
	uint32_t lane, lanes;		/* which of how many; 0, 0: it stores all */
	/* Seconds for which the journal is kept behind the checkpoint: as much as a promoted standby
	 * may have missed. 0: none. */
	uint32_t keep_s;
};

struct rg_sink_statistics {
	const char *name;
	bool away;	  /* the last batch failed */
	uint64_t stored;  /* records in the store, as its checkpoint says */
	uint64_t refused; /* records that it will never take, as its checkpoint says */
	uint64_t records; /* stored since start */
	uint64_t dropped; /* records that the policy keeps from it, as its checkpoint says */
	uint64_t records_refused, records_dropped; /* since start */
	uint64_t batches;			   /* committed since start */
	uint64_t failures; /* transactions that failed and were tried again */
	uint64_t
		passed_over; /* journal frames lost to damage, or removed before they were stored */
	uint64_t lag_frames; /* of the journal, not in the store yet */
	double lag_s; /* for how long the oldest of them has been waiting, at most; by the wall
			 clock, as receive times are */
	double records_per_s; /* stored, over the last second or two of work */
	uint64_t transaction_ns_last, transaction_ns_max;
	struct rg_journal_position position;  /* of the checkpoint */
	char last_error[RG_ERROR_TEXT_BYTES]; /* "" when the last batch went well */
	uint64_t last_error_ns;		      /* unix; 0: never */
};

/* Make a sink; it owns the store from here on, also when this fails. The store is opened (driver's
 * open) at the first turn: one that is away is no reason not to start. Errors: RG_ENOMEM. */
int rg_sink_new(const struct rg_sink_options *options, const struct rg_sink_driver *driver,
		void *store, struct rg_sink **sink, struct rg_error *err);

/* The first connection, by hand: for stores that must be there at the start (an embedded file), so
 * that what is wrong with them ends the program's start. Not while the thread runs. */
int rg_sink_open(struct rg_sink *sink, struct rg_error *err);

/* Read nothing at or beyond this place of the journal, and look whether there is work. Without a
 * call there is no bound. Any thread. */
void rg_sink_follow(struct rg_sink *sink, const struct rg_journal_position *durable,
		    uint64_t now_unix_ns);

/* Store one batch of what the journal holds beyond the checkpoint. Returns the number of records
 * read (0: nothing new), or a negative status (try again later; nothing is lost). For tests that
 * step the sink by hand; not while the thread runs. */
int rg_sink_work(struct rg_sink *sink, uint64_t now_unix_ns, struct rg_error *err);

/* Run work() in a thread of its own, woken by follow() and every 100 ms, until stop(), which stores
 * what the journal holds unless the store is away, abandons it after drain_ms and joins the thread.
 * start and stop belong to one thread. */
int rg_sink_start(struct rg_sink *sink, struct rg_error *err);
void rg_sink_stop(struct rg_sink *sink, uint32_t drain_ms);

/* Any thread. */
void rg_sink_statistics(struct rg_sink *sink, uint64_t now_unix_ns,
			struct rg_sink_statistics *statistics);

/* From where the journal must be kept for this sink: the checkpoint, as it was options.keep_s ago.
 * False: not known yet (the store has not been reached since start): keep everything. Any thread. */
bool rg_sink_keep(struct rg_sink *sink, struct rg_journal_position *position);

void rg_sink_close(struct rg_sink *sink); /* NULL is allowed; stops first, closes the store */

/* ---- for drivers ---- */

/* What the store knows already. False: out of memory. */
bool rg_sink_learn_policy(struct rg_sink_names *names, uint64_t sequence, const char *revision);
bool rg_sink_learn_reason(struct rg_sink_names *names, uint32_t id, const char *name);

#endif

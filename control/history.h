/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of policies: what was pushed, refused, approved, put in use and rolled back, by whom,
 * when, from where and why.
 *
 *	<state>/history.jsonl	one event a line, a JSON object, the oldest first
 *
 * The file is only ever appended to, and each event is durable before append() returns. It knows
 * nothing of retention: events stay when the policies they tell of are gone. Each line holds `n`,
 * its number from 1, and `previous`, the SHA-256 of the line before it, so that a line that was
 * altered or taken out shows. What a crash left of an unfinished line is cut when the history is
 * opened.
 *
 * Thread-safety: a history belongs to one thread.
 */
#ifndef RG_CONTROL_HISTORY_H
#define RG_CONTROL_HISTORY_H

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "control/policy_store.h"

enum rg_history_event {
	RG_HISTORY_WAITING,  /* built, and held until it is approved */
	RG_HISTORY_APPROVED, /* a second identity agreed: it is published */
	RG_HISTORY_REJECTED, /* somebody disagreed: it is gone */
	RG_HISTORY_EXPIRED,  /* nobody agreed in time: it is gone */
	RG_HISTORY_ACTIVE,   /* workers decide with it */
	RG_HISTORY_REFUSED,  /* broken, unwanted or superseded: `text` says why */
	RG_HISTORY_HALTED    /* its roll-out was stopped: `text` says why */
};
const char *rg_history_event_name(enum rg_history_event event); /* "waiting", ... */

struct rg_history;

/* Open or create <state_directory>/history.jsonl. Errors: RG_EIO; RG_ECORRUPT: its last line is no
 * event (names the file and the remedy); RG_ENOMEM. */
int rg_history_open(const char *state_directory, struct rg_history **history, struct rg_error *err);
void rg_history_close(struct rg_history *history); /* NULL is allowed */

/* Append an event about a policy, at now_ns (unix), by `user` (of whom approves or rejects; else the
 * meta's) and make it durable. text may be "". RG_EIO: it is not in the history, and the next
 * append
 * starts where this one did. */
int rg_history_append(struct rg_history *history, enum rg_history_event event,
		      const struct rg_policy_meta *meta, const char *user, const char *text,
		      uint64_t now_ns, struct rg_error *err);

/* Events that are in it. */
uint64_t rg_history_count(const struct rg_history *history);

/* Write the newest `limit` events, the newest first, as an array. RG_EIO, RG_ENOMEM. */
int rg_history_write_newest(const struct rg_history *history, uint64_t limit,
			    struct rg_json_writer *writer, struct rg_error *err);

/* Check the chain of all lines. RG_ECORRUPT names the line. */
int rg_history_verify(const struct rg_history *history, struct rg_error *err);

#endif

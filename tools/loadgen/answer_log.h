/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --log-answers: one entry for each answered request, complete when the program ends.
 *
 * A file whose name ends in ".csv" gets a header line and one line an answer; any other gets the
 * binary form, little-endian: 8 bytes "RGALOG1\n", then struct rg_answer_entry after struct
 * rg_answer_entry. Entries are gathered in memory and written in large pieces, so that logging
 * costs tens of nanoseconds an answer; closing writes the rest and tells of any failure.
 *
 * Thread-safety: a log belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_ANSWER_LOG_H
#define RG_TOOLS_LOADGEN_ANSWER_LOG_H

#include <assert.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/decision.h"

#define RG_ANSWER_LOG_MAGIC "RGALOG1\n"

struct rg_answer_entry {
	uint64_t request_id, policy_sequence;
	int64_t score_micro;
	uint64_t receive_time_ns, send_time_ns; /* riskgate's */
	uint64_t latency_ns;			/* from the intended send time to here */
	uint8_t verdict, status;
	uint16_t flags;
	uint32_t reserved; /* 0 */
};
static_assert(sizeof(struct rg_answer_entry) == 56,
	      "readers of answer logs know this layout: change RG_ANSWER_LOG_MAGIC with it");

struct rg_answer_log;

/* Create the file (an existing one is replaced). Errors: RG_EIO, RG_ENOMEM. */
int rg_answer_log_open(const char *path, struct rg_answer_log **log, struct rg_error *err);
/* Note an answer. A failed write is remembered and told by close. */
void rg_answer_log_add(struct rg_answer_log *log, const struct rg_decision_message *decision,
		       uint64_t latency_ns);
/* Write what is left and close. Returns RG_OK, or RG_EIO if any entry could not be written. NULL is
 * fine. */
int rg_answer_log_close(struct rg_answer_log *log, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record of kind RG_RECORD_QUERY holds instead of a request: a decision asked over HTTP, as a
 * JSON object (shm/record.h). Its members are handed out where they stand in the record.
 *
 * Thread-safety: functions are independent.
 */
#ifndef RG_JOURNAL_QUERY_H
#define RG_JOURNAL_QUERY_H

#include "base/json_span.h"
#include "shm/record.h"

/* JSON values; bytes 0: the record has none. */
struct rg_journal_query {
	struct rg_span decision_id;  /* a string: the id the client was told */
	struct rg_span path;	     /* a string: "payments/deny" */
	struct rg_span input;	     /* any value */
	struct rg_span result;	     /* any value; none: undefined */
	struct rg_span error;	     /* a string */
	struct rg_span requested_by; /* a string: who asked, by the API's access file */
	struct rg_span headers;	     /* an object of arrays: those that decision logs show */
	struct rg_span erased;	     /* an array of JSON pointers: left out of this record */
};

/* False: it is no well-formed object. */
bool rg_journal_query_parse(const char *json, size_t bytes, struct rg_journal_query *query);
/* The object of a record. False: also when the record is of another kind. */
bool rg_journal_query_read(const struct rg_record *record, struct rg_journal_query *query);

#endif

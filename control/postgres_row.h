/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of riskgate.decisions in the binary format of COPY.
 *
 * Written by hand into one buffer: no text is made that the server would have to read again, but
 * for the request, whose binary form of JSONB is a version byte and JSON text.
 *
 * Source: PostgreSQL 15 documentation, "COPY", Binary Format; src/backend/utils/adt/ *_recv.
 *
 * Thread-safety: a buffer belongs to one thread.
 */
#ifndef RG_CONTROL_POSTGRES_ROW_H
#define RG_CONTROL_POSTGRES_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "control/sink.h"
#include "wire/sbe_text.h"

/* The columns that are written, in order: for COPY's statement. */
#define RG_POSTGRES_ROW_COLUMNS                                                                    \
	"receive_time, receive_time_ns, node, epoch, worker, sequence, request_id, latency_ns, "   \
	"client, client_port, template, schema_version, policy_sequence, revision, verdict, "      \
	"status, score, reasons, reasons_fired, flags, request, request_bytes, decision_id, "      \
	"path, "                                                                                   \
	"result, error, requested_by"

struct rg_postgres_rows {
	uint8_t *data;
	size_t bytes, capacity;
	struct rg_sbe_text *json; /* how requests are written */
	bool requests_as_bytes;	  /* as they came instead */
};

/* schema must outlive the rows. Errors: RG_ENOMEM. */
int rg_postgres_rows_init(struct rg_postgres_rows *rows, const struct rg_schema *schema,
			  bool requests_as_bytes, struct rg_error *err);
void rg_postgres_rows_free(struct rg_postgres_rows *rows);

/* What COPY's data begins and ends with. Errors: RG_ENOMEM. */
int rg_postgres_rows_begin(struct rg_postgres_rows *rows, struct rg_error *err);
int rg_postgres_rows_end(struct rg_postgres_rows *rows, struct rg_error *err);
/* Errors: RG_ENOMEM; the row is then not there. */
int rg_postgres_rows_add(struct rg_postgres_rows *rows, const struct rg_sink_row *row,
			 struct rg_error *err);

#endif

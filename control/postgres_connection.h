/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to PostgreSQL on which nothing waits for ever.
 *
 * libpq's own calls wait as long as the server lets them. These here send without blocking, look at
 * the socket in short steps and give up when the server has been silent for too long or when the
 * connection is abandoned. Connecting is bounded by connect_timeout (each host of the connection
 * string, one after another); silence on an established connection also by TCP keepalives.
 *
 * What the connection string does not say is filled in: connect_timeout=5,
 * target_session_attrs=read-write (of several hosts the primary is found, also after a promotion),
 * keepalives of half a minute, application_name=riskgate. A password never appears in an error.
 *
 * Thread-safety: belongs to one thread, but for abandon().
 */
#ifndef RG_CONTROL_POSTGRES_CONNECTION_H
#define RG_CONTROL_POSTGRES_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct rg_postgres;

/* connection: key=value pairs or a URI, as libpq reads them. password_file: read at each connect, a
 * line end is cut off; "" or NULL: none. Nothing is connected yet. Errors: RG_EINVAL (the
 * connection
 * string cannot be read), RG_ENOMEM. */
int rg_postgres_new(const char *connection, const char *password_file,
		    struct rg_postgres **postgres, struct rg_error *err);
void rg_postgres_delete(struct rg_postgres *postgres); /* NULL is allowed */

/* "host:port/database" of each host, for people. Lives as long as the connection. */
const char *rg_postgres_place(const struct rg_postgres *postgres);

/* Connect unless there is a usable connection. RG_EIO. *fresh: it was made now. */
int rg_postgres_connect(struct rg_postgres *postgres, bool *fresh, struct rg_error *err);
void rg_postgres_disconnect(struct rg_postgres *postgres);

/* Run one or several statements without parameters. Errors: RG_EIO; RG_ECONFLICT: a unique key was
 * violated. */
int rg_postgres_run(struct rg_postgres *postgres, const char *sql, struct rg_error *err);

/* Run one statement with text parameters; *result is to be freed with PQclear(). Errors as run. */
int rg_postgres_query(struct rg_postgres *postgres, const char *sql, int count,
		      const char *const *values, PGresult **result, struct rg_error *err);

/* The same without a bound on how long the server may take: for migrations. */
int rg_postgres_run_long(struct rg_postgres *postgres, const char *sql, struct rg_error *err);

/* COPY ... FROM STDIN: begin, the data in pieces, end. *rows: how many the server took. Errors are
 * told by end() at the latest, as run's. */
int rg_postgres_copy_begin(struct rg_postgres *postgres, const char *sql, struct rg_error *err);
int rg_postgres_copy_put(struct rg_postgres *postgres, const void *data, size_t bytes,
			 struct rg_error *err);
int rg_postgres_copy_end(struct rg_postgres *postgres, unsigned long long *rows,
			 struct rg_error *err);

/* Any thread: calls that wait, and those to come, fail within a moment. */
void rg_postgres_abandon(struct rg_postgres *postgres);

#endif

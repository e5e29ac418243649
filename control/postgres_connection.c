/* SPDX-License-Identifier: Apache-2.0 */
#include "control/postgres_connection.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SILENCE_MS     60000 /* of a server that owes an answer */
#define STEP_MS	       100   /* between two looks whether to give up */
#define PASSWORD_BYTES 1024
#define FOREVER	       UINT64_MAX

struct rg_postgres {
	PGconn *conn; /* NULL: not connected */
	char *connection, *password_file, *place;
	/* set by abandon() and only ever read for itself: relaxed */
	atomic_bool abandoned;
};

/* ---- describing ---- */

/* The n-th of a comma-separated list. */
static void list_item(const char *list, unsigned n, char *item, size_t bytes)
{
	size_t length;

	for (; n && strchr(list, ','); n--)
		list = strchr(list, ',') + 1;
	length = strcspn(list, ",");
	snprintf(item, bytes, "%.*s", (int)length, n ? "" : list);
}

static const char *option_value(const PQconninfoOption *options, const char *key)
{
	for (; options->keyword; options++)
		if (!strcmp(options->keyword, key))
			return options->val ? options->val : "";
	return "";
}

static char *describe(const PQconninfoOption *options)
{
	const char *hosts = option_value(options, "host"), *ports = option_value(options, "port");
	const char *database = option_value(options, "dbname"), *comma = hosts;
	bool one_port = !strchr(ports, ',');
	char *place = NULL;
	size_t bytes = 0;
	FILE *text = open_memstream(&place, &bytes);

	if (!text)
		return NULL;
	for (unsigned i = 0; comma; i++) {
		char host[256], port[16];

		list_item(hosts, i, host, sizeof(host));
		list_item(ports, one_port ? 0 : i, port, sizeof(port));
		fprintf(text, "%s%s:%s", i ? "," : "", host[0] ? host : "local",
			port[0] ? port : "5432");
		comma = strchr(comma, ',');
		comma = comma ? comma + 1 : NULL;
	}
	fprintf(text, "/%s", database);
	return fclose(text) ? NULL : place;
}

int rg_postgres_new(const char *connection, const char *password_file, struct rg_postgres **out,
		    struct rg_error *err)
{
	struct rg_postgres *postgres;
	PQconninfoOption *options = PQconninfoParse(connection, NULL);

	/* libpq's own words would repeat pieces of the string, and a password may be one */
	if (!options)
		return rg_error_set(err, RG_EINVAL,
				    "connection: it is neither key=value pairs nor a postgresql:// "
				    "URI that libpq can read");
	postgres = calloc(1, sizeof(*postgres));
	if (postgres) {
		postgres->connection = strdup(connection);
		postgres->password_file = strdup(password_file ? password_file : "");
		postgres->place = describe(options);
	}
	PQconninfoFree(options);
	if (!postgres || !postgres->connection || !postgres->password_file || !postgres->place) {
		rg_postgres_delete(postgres);
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	}
	*out = postgres;
	return RG_OK;
}

void rg_postgres_delete(struct rg_postgres *postgres)
{
	if (!postgres)
		return;
	PQfinish(postgres->conn);
	free(postgres->connection);
	free(postgres->password_file);
	free(postgres->place);
	free(postgres);
}

const char *rg_postgres_place(const struct rg_postgres *postgres)
{
	return postgres->place;
}

void rg_postgres_abandon(struct rg_postgres *postgres)
{
	atomic_store_explicit(&postgres->abandoned, true, memory_order_relaxed);
}

/* ---- errors ---- */

/* "PostgreSQL <place>: what: <the server's words, on one line>" */
static int fail(struct rg_postgres *postgres, int status, const char *what, const char *words,
		struct rg_error *err)
{
	rg_error_set(err, status, "PostgreSQL %s: %s: %s", postgres->place, what, words);
	if (err) {
		size_t length = strlen(err->text);

		while (length && err->text[length - 1] == '\n')
			err->text[--length] = '\0';
		for (char *at = err->text; *at; at++)
			if (*at == '\n' || *at == '\t')
				*at = ' ';
	}
	return status;
}

static int fail_result(struct rg_postgres *postgres, const PGresult *result, struct rg_error *err)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

	return fail(postgres, state && !strcmp(state, "23505") ? RG_ECONFLICT : RG_EIO, "refused",
		    result ? PQresultErrorMessage(result) : PQerrorMessage(postgres->conn), err);
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Wait for the socket a step long. RG_EIO: the time is over, or the connection is abandoned. */
static int wait_step(struct rg_postgres *postgres, short events, uint64_t until_ms,
		     struct rg_error *err)
{
	struct pollfd fd = {.fd = PQsocket(postgres->conn), .events = events};

	if (atomic_load_explicit(&postgres->abandoned, memory_order_relaxed))
		return fail(postgres, RG_EIO, "given up", "riskgate stops", err);
	if (now_ms() >= until_ms)
		return fail(postgres, RG_EIO, "given up", "the server is silent", err);
	if (poll(&fd, 1, STEP_MS) < 0 && errno != EINTR)
		return fail(postgres, RG_EIO, "poll", strerror(errno), err);
	if (fd.revents & ~POLLOUT && !PQconsumeInput(postgres->conn))
		return fail(postgres, RG_EIO, "connection lost", PQerrorMessage(postgres->conn),
			    err);
	return RG_OK;
}

static uint64_t silence_limit(void)
{
	return now_ms() + SILENCE_MS;
}

/* Send what libpq holds back. */
static int flush(struct rg_postgres *postgres, uint64_t until_ms, struct rg_error *err)
{
	int left;

	while ((left = PQflush(postgres->conn)) > 0) {
		int status = wait_step(postgres, POLLIN | POLLOUT, until_ms, err);

		if (status)
			return status;
	}
	return left < 0 ? fail(postgres, RG_EIO, "connection lost", PQerrorMessage(postgres->conn),
			       err)
			: RG_OK;
}

/* The next result of what was sent; *result NULL: that was all. */
static int next_result(struct rg_postgres *postgres, uint64_t until_ms, PGresult **result,
		       struct rg_error *err)
{
	*result = NULL;
	while (PQisBusy(postgres->conn)) {
		int status = wait_step(postgres, POLLIN, until_ms, err);

		if (status)
			return status;
	}
	*result = PQgetResult(postgres->conn);
	return RG_OK;
}

static bool is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN;
}

/* Take all results, up to a COPY that has begun; the last good one goes to *last (may be NULL). The
 * first error is the one that is told. */
static int finish(struct rg_postgres *postgres, uint64_t until_ms, PGresult **last,
		  struct rg_error *err)
{
	PGresult *result, *kept = NULL;
	int status = flush(postgres, until_ms, err), verdict = RG_OK;

	while (!status) {
		bool copying;

		status = next_result(postgres, until_ms, &result, err);
		if (status || !result)
			break;
		copying = PQresultStatus(result) == PGRES_COPY_IN;
		if (!is_good(result) && !verdict)
			verdict = fail_result(postgres, result, err);
		PQclear(kept);
		kept = result;
		if (copying)
			break;
	}
	if (!status)
		status = verdict;
	if (status || !last)
		PQclear(kept);
	else
		*last = kept;
	return status;
}

/* ---- connecting ---- */

static int read_password(struct rg_postgres *postgres, char password[static PASSWORD_BYTES],
			 struct rg_error *err)
{
	FILE *file;
	size_t bytes;

	password[0] = '\0';
	if (!postgres->password_file[0])
		return RG_OK;
	file = fopen(postgres->password_file, "re");
	if (!file)
		return rg_error_set_errno(err, RG_EIO, errno, "password_file: cannot read %s",
					  postgres->password_file);
	bytes = fread(password, 1, PASSWORD_BYTES - 1, file);
	fclose(file);
	password[bytes] = '\0';
	password[strcspn(password, "\r\n")] = '\0';
	return password[0] ? RG_OK
			   : rg_error_set(err, RG_EINVAL, "password_file: %s is empty",
					  postgres->password_file);
}

static void be_silent(void *context, const char *message)
{
	(void)context;
	(void)message; /* notices of the server, such as "already exists, skipping" */
}

int rg_postgres_connect(struct rg_postgres *postgres, bool *fresh, struct rg_error *err)
{
	/* before dbname: what the connection string may say otherwise; behind it: what it may
	 * not */
	const char *keys[] = {"connect_timeout",
			      "target_session_attrs",
			      "keepalives_idle",
			      "keepalives_interval",
			      "keepalives_count",
			      "tcp_user_timeout",
			      "application_name",
			      "dbname",
			      "client_encoding",
			      NULL,
			      NULL};
	const char *values[] = {"5",	    "read-write",	  "10",	  "5",	"4", "30000",
				"riskgate", postgres->connection, "UTF8", NULL, NULL};
	char password[PASSWORD_BYTES];
	int status;

	*fresh = false;
	if (postgres->conn && PQstatus(postgres->conn) == CONNECTION_OK)
		return RG_OK;
	rg_postgres_disconnect(postgres);
	if (atomic_load_explicit(&postgres->abandoned, memory_order_relaxed))
		return fail(postgres, RG_EIO, "given up", "riskgate stops", err);
	status = read_password(postgres, password, err);
	if (status)
		return status;
	if (password[0]) {
		keys[9] = "password";
		values[9] = password;
	}
	postgres->conn = PQconnectdbParams(keys, values, 1);
	explicit_bzero(password, sizeof(password));
	if (PQstatus(postgres->conn) != CONNECTION_OK || PQsetnonblocking(postgres->conn, 1)) {
		status = fail(postgres, RG_EIO, "cannot connect", PQerrorMessage(postgres->conn),
			      err);
		rg_postgres_disconnect(postgres);
		return status;
	}
	PQsetNoticeProcessor(postgres->conn, be_silent, NULL);
	*fresh = true;
	return RG_OK;
}

void rg_postgres_disconnect(struct rg_postgres *postgres)
{
	PQfinish(postgres->conn);
	postgres->conn = NULL;
}

/* ---- statements ---- */

static int run_until(struct rg_postgres *postgres, const char *sql, uint64_t until_ms,
		     struct rg_error *err)
{
	if (!PQsendQuery(postgres->conn, sql))
		return fail(postgres, RG_EIO, "connection lost", PQerrorMessage(postgres->conn),
			    err);
	return finish(postgres, until_ms, NULL, err);
}

int rg_postgres_run(struct rg_postgres *postgres, const char *sql, struct rg_error *err)
{
	return run_until(postgres, sql, silence_limit(), err);
}

int rg_postgres_run_long(struct rg_postgres *postgres, const char *sql, struct rg_error *err)
{
	return run_until(postgres, sql, FOREVER, err);
}

int rg_postgres_query(struct rg_postgres *postgres, const char *sql, int count,
		      const char *const *values, PGresult **result, struct rg_error *err)
{
	if (!PQsendQueryParams(postgres->conn, sql, count, NULL, values, NULL, NULL, 0))
		return fail(postgres, RG_EIO, "connection lost", PQerrorMessage(postgres->conn),
			    err);
	return finish(postgres, silence_limit(), result, err);
}

int rg_postgres_copy_begin(struct rg_postgres *postgres, const char *sql, struct rg_error *err)
{
	return rg_postgres_run(postgres, sql, err);
}

int rg_postgres_copy_put(struct rg_postgres *postgres, const void *data, size_t bytes,
			 struct rg_error *err)
{
	uint64_t until_ms = silence_limit();
	int taken;

	while (!(taken = PQputCopyData(postgres->conn, data, (int)bytes))) {
		int status = wait_step(postgres, POLLIN | POLLOUT, until_ms, err);

		if (status)
			return status;
	}
	if (taken < 0)
		return fail(postgres, RG_EIO, "connection lost", PQerrorMessage(postgres->conn),
			    err);
	/* what the socket does not take now must not pile up in memory */
	return flush(postgres, until_ms, err);
}

int rg_postgres_copy_end(struct rg_postgres *postgres, unsigned long long *rows,
			 struct rg_error *err)
{
	uint64_t until_ms = silence_limit();
	PGresult *result;
	int taken, status;

	while (!(taken = PQputCopyEnd(postgres->conn, NULL))) {
		status = wait_step(postgres, POLLIN | POLLOUT, until_ms, err);
		if (status)
			return status;
	}
	if (taken < 0)
		return fail(postgres, RG_EIO, "connection lost", PQerrorMessage(postgres->conn),
			    err);
	status = finish(postgres, until_ms, &result, err);
	if (status)
		return status;
	*rows = strtoull(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return RG_OK;
}

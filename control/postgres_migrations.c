/* SPDX-License-Identifier: Apache-2.0 */
#include "control/postgres_migrations.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define LOCK   "pg_advisory_lock(1919513451, 1)"
#define UNLOCK "pg_advisory_unlock(1919513451, 1)"

/* Made from control/postgres/ by the build. */
extern const char rg_postgres_0001[], rg_postgres_0002[], rg_postgres_0003[], rg_postgres_0004[];

static const char *const migrations[] = {rg_postgres_0001, rg_postgres_0002, rg_postgres_0003,
					 rg_postgres_0004};
static_assert(sizeof(migrations) / sizeof(migrations[0]) == RG_POSTGRES_VERSION,
	      "RG_POSTGRES_VERSION is the number of the newest file of control/postgres/");

const char *rg_postgres_migration(int version)
{
	return migrations[version - 1];
}

/* The database's version; 0: riskgate was never here. */
static int read_version(struct rg_postgres *postgres, int *version, struct rg_error *err)
{
	PGresult *result;
	int status =
		rg_postgres_query(postgres, "SELECT to_regclass('riskgate.migrations') IS NOT NULL",
				  0, NULL, &result, err);
	bool there;

	if (status)
		return status;
	there = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	*version = 0;
	if (!there)
		return RG_OK;
	status = rg_postgres_query(postgres,
				   "SELECT coalesce(max(version), 0) FROM riskgate.migrations", 0,
				   NULL, &result, err);
	if (status)
		return status;
	*version = atoi(PQgetvalue(result, 0, 0));
	PQclear(result);
	return RG_OK;
}

/* The place where versions are noted. A schema that the database's owner made for us is as good. */
static const char first[] =
	"DO $$ BEGIN IF to_regnamespace('riskgate') IS NULL THEN CREATE SCHEMA riskgate; END IF; "
	"END $$; CREATE TABLE riskgate.migrations (version integer PRIMARY KEY, applied "
	"timestamptz NOT NULL DEFAULT now());";

static int apply(struct rg_postgres *postgres, int version, struct rg_error *err)
{
	char *sql;
	int status;

	if (asprintf(&sql,
		     "BEGIN; %s %s INSERT INTO riskgate.migrations (version) VALUES (%d); "
		     "COMMIT",
		     version == 1 ? first : "", rg_postgres_migration(version), version) < 0)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	status = rg_postgres_run_long(postgres, sql, err);
	free(sql);
	if (status)
		return rg_error_prefix(err, "migration %d", version);
	rg_log(RG_LOG_INFO, "sink=postgresql migrated version=%d", version);
	return RG_OK;
}

static int bring_up(struct rg_postgres *postgres, struct rg_error *err)
{
	int version, status = read_version(postgres, &version, err);

	if (!status && version > RG_POSTGRES_VERSION)
		return rg_error_set(err, RG_EVERSION,
				    "PostgreSQL %s: its tables have version %d and this riskgate "
				    "knows up to %d: use a newer riskgate, or another database "
				    "(sinks.postgresql.connection)",
				    rg_postgres_place(postgres), version, RG_POSTGRES_VERSION);
	while (!status && version < RG_POSTGRES_VERSION)
		status = apply(postgres, ++version, err);
	return status;
}

int rg_postgres_migrate(struct rg_postgres *postgres, struct rg_error *err)
{
	int version, status = read_version(postgres, &version, err);

	if (!status && version == RG_POSTGRES_VERSION)
		return RG_OK;
	if (!status)
		status = rg_postgres_run_long(postgres, "SELECT " LOCK, err);
	if (!status)
		status = bring_up(postgres, err);
	/* after a failure the connection is closed, and the lock with it */
	return status ? status : rg_postgres_run(postgres, "SELECT " UNLOCK, err);
}

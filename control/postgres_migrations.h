/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings a database to this version's tables: control/postgres/0001_*.sql and those that follow,
 * one transaction each, together under one advisory lock, so that nodes that start at the same time
 * do not meet. Append a file; never change one that was released.
 *
 * Thread-safety: as the connection's.
 */
#ifndef RG_CONTROL_POSTGRES_MIGRATIONS_H
#define RG_CONTROL_POSTGRES_MIGRATIONS_H

#include "control/postgres_connection.h"

#define RG_POSTGRES_VERSION 4

/* The SQL that brings version - 1 to version, 1..RG_POSTGRES_VERSION. */
const char *rg_postgres_migration(int version);

/* Errors: RG_EVERSION: the database is newer than this riskgate; RG_EIO. */
int rg_postgres_migrate(struct rg_postgres *postgres, struct rg_error *err);

#endif

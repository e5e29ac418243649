/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that read a journal's folder share. */
#ifndef RG_TOOLS_RISKCTL_JOURNAL_H
#define RG_TOOLS_RISKCTL_JOURNAL_H

#include "shm/record.h"
#include "tools/riskctl/cli.h"

/* The folder, PATH_MAX bytes: the invocation's argument, or the configuration's. */
int rg_journal_folder(struct rg_cli *cli, const struct rg_invocation *invocation, char *directory);

/* Members of a record and of its request; schema NULL: the request in hexadecimal. */
void rg_journal_write_record(const struct rg_schema *schema, const struct rg_record *record,
			     struct rg_json_writer *writer);
/* "10.0.0.1:40001", into text, which is returned. */
const char *rg_journal_client(const struct rg_record *record, char *text, size_t bytes);
uint64_t rg_journal_request_id(const struct rg_record *record);

#endif

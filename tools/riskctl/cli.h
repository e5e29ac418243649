/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every riskctl command works with: the configuration, read when it is first asked for, and
 * the one way to print, in words or as JSON.
 *
 * Errors: a command fills cli->error and returns its status; main prints it, to standard error in
 * words and, with --json, also to standard output as {"ok":false,"status":...,"error":...}, so that
 * what --json prints is JSON in any case.
 */
#ifndef RG_TOOLS_RISKCTL_CLI_H
#define RG_TOOLS_RISKCTL_CLI_H

#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "config/config.h"
#include "tools/riskctl/command.h"
#include "wire/schema.h"

struct rg_cli {
	const char *config_path; /* of --config; NULL: the usual places */
	bool json;
	bool misused;  /* the error is the user's: exit status 2 */
	bool answered; /* the command has told of its error in JSON of its own */
	struct rg_config *config;
	struct rg_schema *schema;
	struct rg_error error;
};

void rg_cli_free(struct rg_cli *cli);

/* Load the configuration if it is not yet; cli->config is set on RG_OK. */
int rg_cli_config(struct rg_cli *cli);
/* Load the request schema: `path`, or the configuration's when NULL. cli->schema is set on RG_OK.
 */
int rg_cli_schema(struct rg_cli *cli, const char *path);

/* Wrong use: exit status 2 and a pointer to --help. Returns RG_EINVAL. */
int rg_cli_misused(struct rg_cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Send a request, one JSON object, to riskgate-control; *answer is its answer (malloc'ed,
 * NUL-terminated). See rg_control_call(). */
int rg_cli_control(struct rg_cli *cli, const char *request, uint64_t timeout_ms, char **answer,
		   size_t *answer_bytes);

/* Print a finished document and a line end to standard output, and free the writer. */
int rg_cli_print_json(struct rg_cli *cli, struct rg_json_writer *writer);
/* Print a JSON text that came from elsewhere, indented. */
int rg_cli_reprint_json(struct rg_cli *cli, const char *json, size_t bytes);

/* Read a whole file, or standard input for "-", up to 1 GiB. *text is malloc'ed and NUL-terminated.
 */
int rg_cli_read_file(const char *path, char **text, size_t *bytes, struct rg_error *err);

#endif

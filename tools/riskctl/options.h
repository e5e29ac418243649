/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: finding the command, reading its options, helping with what was misspelt.
 *
 * Options may stand before and after arguments; "--name=value" and "--name value" are the same;
 * "--" ends them.
 * --config, --json and --help belong to every command and may stand before its name too.
 */
#ifndef RG_TOOLS_RISKCTL_OPTIONS_H
#define RG_TOOLS_RISKCTL_OPTIONS_H

#include <stdio.h>

#include "tools/riskctl/cli.h"

enum rg_parse_result {
	RG_PARSE_RUN,  /* run invocation->command */
	RG_PARSE_HELP, /* --help: of invocation->command, or of riskctl when that is NULL */
	RG_PARSE_VERSION,
	RG_PARSE_WRONG /* cli->error says what; exit status 2 */
};

/* Read the command line into cli's global options and *invocation, whose texts point into argv. */
enum rg_parse_result rg_options_parse(struct rg_cli *cli, int argc, char **argv,
				      struct rg_invocation *invocation);

/* The command of that name, "policy push", or NULL. */
const struct rg_command *rg_options_find_command(const char *name);

/* Help of one command, or of all of riskctl for NULL. */
void rg_options_print_help(FILE *out, const struct rg_command *command);
/* All of it as Markdown: docs/riskctl.md. */
void rg_options_print_markdown(FILE *out);
/* A completion script for bash. */
void rg_options_print_completion(FILE *out);

/* The options of every command; a row without a name ends them. */
extern const struct rg_option rg_global_options[];

#endif

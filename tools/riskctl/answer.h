/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common shape of a command that asks riskgate-control one thing: send the request, print the
 * answer as it is with --json, else in words.
 */
#ifndef RG_TOOLS_RISKCTL_ANSWER_H
#define RG_TOOLS_RISKCTL_ANSWER_H

#include "tools/riskctl/cli.h"
#include "tools/riskctl/document.h"

/* Print an answer in words. */
typedef void (*rg_answer_print)(struct rg_document *answer);

/* Finish and free `request`, send it, print. Waits up to timeout_ms. */
int rg_answer_ask(struct rg_cli *cli, struct rg_json_writer *request, uint64_t timeout_ms,
		  rg_answer_print print);
/* Begin a request: {"command": command, ... up to the members that the caller writes. */
void rg_answer_request(struct rg_json_writer *request, const char *command);

/* The longest that control may take for what needs no waiting. */
#define RG_ANSWER_TIMEOUT_MS 10000

#endif

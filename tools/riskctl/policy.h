/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `riskctl policy` share. */
#ifndef RG_TOOLS_RISKCTL_POLICY_H
#define RG_TOOLS_RISKCTL_POLICY_H

#include "tools/riskctl/answer.h"

/* Read an argument that must be a policy's sequence number; wrong use otherwise. */
int rg_policy_read_sequence(struct rg_cli *cli, const char *text, uint64_t *sequence);

/* How long to wait for the answer of a push: its wait for the data plane, and the time to
 * compile. */
uint64_t rg_policy_timeout_ms(uint64_t wait_ms);
/* Print what became of a push. */
void rg_policy_print_outcome(struct rg_document *answer);

/* Print a difference (bundle/diff.h) in words: rules, data values, Rego line by line. */
void rg_policy_print_difference(struct rg_document *document, struct rg_value difference);

#endif

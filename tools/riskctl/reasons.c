/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl reasons: what the reason ids of decisions stand for. */
#include <stdio.h>

#include "tools/riskctl/answer.h"

static void print(struct rg_document *answer)
{
	uint32_t count = rg_document_count(answer, answer->root, "reasons");

	if (!count)
		puts("no reasons yet: no policy that gives any was pushed");
	for (uint32_t i = 0; i < count; i++) {
		struct rg_value reason = rg_document_element(answer, answer->root, "reasons", i);

		printf("%6s  %s\n", rg_document_text(answer, reason, "id"),
		       rg_document_text(answer, reason, "name"));
	}
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_json_writer request;

	rg_answer_request(&request, "reasons");
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, print);
}

const struct rg_command rg_command_reasons = {
	.name = "reasons",
	.arguments = "",
	.summary = "List reason ids and their names",
	.details = "A decision message carries ids. An id keeps its name, whatever the policy.\n"
		   "65535 is a reason that a policy made at run time.",
	.examples = "riskctl reasons\n"
		    "riskctl --json reasons",
	.run = run,
};

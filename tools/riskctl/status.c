/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl status: what riskgate-control knows of the appliance. */
#include <stdio.h>
#include <string.h>

#include "tools/riskctl/answer.h"
#include "tools/riskctl/format.h"

enum { OPTION_TIMEOUT };
static const struct rg_option options[] = {
	[OPTION_TIMEOUT] = {"timeout", 't', RG_OPTION_NUMBER, "MS", 1, 3600000, "5000",
			    "wait so long for an answer"},
	{NULL},
};

static const char *count(struct rg_document *document, const char *path, char *text)
{
	return rg_format_count(text,
			       (uint64_t)rg_document_number(document, document->root, path, 0));
}

static void print_policy(struct rg_document *document)
{
	struct rg_value root = document->root;
	int64_t sequence = rg_document_number(document, root, "policy.sequence", 0);
	const char *last_error = rg_document_text(document, root, "policy.last_error");
	int64_t age_s = rg_document_number(document, root, "policy.age_s", 0);
	char text[RG_FORMAT_BYTES];

	if (!sequence)
		puts("policy       none: requests are answered with NO_POLICY. `riskctl policy "
		     "push PATH`");
	else
		printf("policy       %s, revision %s, sequence %lld, %s old\n",
		       rg_document_text(document, root, "policy.bundle"),
		       rg_document_text(document, root, "policy.revision"), (long long)sequence,
		       rg_format_duration(text, (uint64_t)age_s * 1000000000));
	if (last_error[0] && strcmp(last_error, "-") != 0)
		printf("  last error %s\n", last_error);
}

static void print_list(struct rg_document *document, const char *path, const char *title,
		       const char *name_key)
{
	for (uint32_t i = 0; i < rg_document_count(document, document->root, path); i++) {
		struct rg_value element = rg_document_element(document, document->root, path, i);

		printf("%s %s\n", title, rg_document_text(document, element, name_key));
		rg_document_print(document, element, 2, name_key);
	}
}

static void print(struct rg_document *document)
{
	struct rg_value root = document->root;
	bool running = rg_document_get(document, root, "dataplane.running").i;
	char journaled[RG_FORMAT_BYTES], stored[RG_FORMAT_BYTES], lag[RG_FORMAT_BYTES];

	printf("control      running, pid %s, up %s\n", rg_document_text(document, root, "pid"),
	       rg_format_duration(lag, (uint64_t)rg_document_number(document, root, "uptime_s", 0) *
					       1000000000));
	if (running)
		printf("data plane   running, pid %s\n",
		       rg_document_text(document, root, "dataplane.pid"));
	else
		puts("data plane   not running");
	print_policy(document);
	printf("records      %s in the journal, %s stored, %s to go\n",
	       count(document, "records.journaled", journaled),
	       count(document, "records.stored", stored), count(document, "records.lag", lag));
	print_list(document, "workers", "worker", "worker");
	print_list(document, "sinks", "sink", "name");
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_json_writer request;

	rg_answer_request(&request, "status");
	return rg_answer_ask(cli, &request, invocation->options[OPTION_TIMEOUT].number, print);
}

const struct rg_command rg_command_status = {
	.name = "status",
	.arguments = "",
	.summary = "Show the policy in use, the workers, records and sinks",
	.details = "Asks riskgate-control. If that does not run, `riskctl region` shows what the\n"
		   "data plane does.",
	.examples = "riskctl status\n"
		    "riskctl --json status",
	.options = options,
	.run = run,
};

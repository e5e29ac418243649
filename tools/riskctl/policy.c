/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl policy: push a bundle, list, show and roll back policies. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/riskctl/answer.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/json_member.h"

#define OPTION_WAIT_ROW                                                                            \
	{                                                                                          \
		"wait", 'w', RG_OPTION_NUMBER, "MS", 0, 600000, "30000",                           \
			"wait so long until the data plane decides with it;\n0: do not wait"       \
	}

/* A wait of the data plane and the time to compile before it. */
static uint64_t answer_timeout_ms(uint64_t wait_ms)
{
	return wait_ms + 120000;
}

static void print_outcome(struct rg_document *answer)
{
	struct rg_value root = answer->root;

	printf("policy %s: %s, revision %s, %s\n", rg_document_text(answer, root, "sequence"),
	       rg_document_text(answer, root, "bundle"), rg_document_text(answer, root, "revision"),
	       rg_document_text(answer, root, "state"));
}

/* ---- push ---- */

enum { PUSH_WAIT, PUSH_ALLOW_OLDER };
static const struct rg_option push_options[] = {
	[PUSH_WAIT] = OPTION_WAIT_ROW,
	[PUSH_ALLOW_OLDER] = {"allow-older", 'o', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			      "also if its riskgate_version is below that of the\npolicy in use"},
	{NULL},
};

static int push(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	uint64_t wait_ms = invocation->options[PUSH_WAIT].number;
	struct rg_json_writer request;
	char path[PATH_MAX];

	/* control has another working directory */
	if (!realpath(invocation->arguments[0], path))
		return rg_error_set_errno(&cli->error, RG_ENOENT, errno, "%s",
					  invocation->arguments[0]);
	rg_answer_request(&request, "policy.push");
	rg_json_member_text(&request, "path", path);
	rg_json_member_uint(&request, "wait_ms", wait_ms);
	if (invocation->options[PUSH_ALLOW_OLDER].number)
		rg_json_member_bool(&request, "allow_older", true);
	return rg_answer_ask(cli, &request, answer_timeout_ms(wait_ms), print_outcome);
}

const struct rg_command rg_command_policy_push = {
	.name = "policy push",
	.arguments = "PATH",
	.arguments_min = 1,
	.arguments_max = 1,
	.summary = "Compile a bundle and make it the policy in use",
	.details =
		"PATH is a bundle (.tar.gz or folder), a plan.json, or a folder or file of Rego,\n"
		"which riskgate-control builds with opa first. It must be readable by\n"
		"riskgate-control. A policy that is refused changes nothing.",
	.examples = "riskctl policy push examples/policies/payments/bundles/payments-2.tar.gz\n"
		    "riskctl policy push --wait 0 /etc/riskgate/policy",
	.options = push_options,
	.run = push,
};

/* ---- sync ---- */

static void print_bundles(struct rg_document *answer)
{
	rg_document_print(answer, answer->root, 0, "ok");
}

static int sync_bundles(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_json_writer request;

	rg_answer_request(&request, "policy.sync");
	if (invocation->argument_count)
		rg_json_member_text(&request, "bundle", invocation->arguments[0]);
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, print_bundles);
}

const struct rg_command rg_command_policy_sync = {
	.name = "policy sync",
	.arguments = "[BUNDLE]",
	.arguments_max = 1,
	.summary = "Ask for the configured bundles now",
	.details = "Without BUNDLE: for all of them. Does not wait for the answers;\n"
		   "`riskctl --json status` shows what came of it, under \"bundles\".",
	.examples = "riskctl policy sync\n"
		    "riskctl policy sync payments",
	.run = sync_bundles,
};

/* ---- list ---- */

static void print_list(struct rg_document *answer)
{
	uint32_t count = rg_document_count(answer, answer->root, "policies");
	char time[RG_FORMAT_BYTES];

	if (!count) {
		puts("no policies yet: `riskctl policy push PATH`");
		return;
	}
	printf("%8s  %-16s %-20s %-10s %s\n", "SEQUENCE", "BUNDLE", "REVISION", "STATE", "PUSHED");
	for (uint32_t i = 0; i < count; i++) {
		struct rg_value policy = rg_document_element(answer, answer->root, "policies", i);

		printf("%8s  %-16.16s %-20.20s %-10.10s %.19s\n",
		       rg_document_text(answer, policy, "sequence"),
		       rg_document_text(answer, policy, "bundle"),
		       rg_document_text(answer, policy, "revision"),
		       rg_document_text(answer, policy, "state"),
		       rg_format_time(time,
				      (uint64_t)rg_document_number(answer, policy, "time_ns", 0)));
	}
}

static int list(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_json_writer request;

	rg_answer_request(&request, "policy.list");
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, print_list);
}

const struct rg_command rg_command_policy_list = {
	.name = "policy list",
	.arguments = "",
	.summary = "List the policies that are kept",
	.details = "The newest first; as many as control.keep_images says. Times are UTC.",
	.examples = "riskctl policy list",
	.run = list,
};

/* ---- show ---- */

static int read_sequence(struct rg_cli *cli, const char *text, uint64_t *sequence)
{
	char *end;

	errno = 0;
	*sequence = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return rg_cli_misused(
			cli,
			"\"%s\" is no policy sequence number: `riskctl policy list` shows them",
			text);
	return RG_OK;
}

static void print_policy(struct rg_document *answer)
{
	rg_document_print(answer, answer->root, 0, "ok");
}

static int show(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_json_writer request;
	uint64_t sequence = 0;

	if (invocation->argument_count && read_sequence(cli, invocation->arguments[0], &sequence))
		return RG_EINVAL;
	rg_answer_request(&request, "policy.show");
	if (sequence) {
		rg_json_member_uint(&request, "sequence", sequence);
	}
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, print_policy);
}

const struct rg_command rg_command_policy_show = {
	.name = "policy show",
	.arguments = "[SEQUENCE]",
	.arguments_max = 1,
	.summary = "Show one policy, the one in use without SEQUENCE",
	.details = "Bundle, revision, what it was compiled to and what became of it.",
	.examples = "riskctl policy show\n"
		    "riskctl policy show 3",
	.run = show,
};

/* ---- rollback ---- */

enum { ROLLBACK_WAIT };
static const struct rg_option rollback_options[] = {
	[ROLLBACK_WAIT] = OPTION_WAIT_ROW,
	{NULL},
};

static int rollback(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	uint64_t wait_ms = invocation->options[ROLLBACK_WAIT].number;
	struct rg_json_writer request;
	uint64_t sequence = 0;

	if (invocation->argument_count && read_sequence(cli, invocation->arguments[0], &sequence))
		return RG_EINVAL;
	rg_answer_request(&request, "policy.rollback");
	if (sequence) {
		rg_json_member_uint(&request, "sequence", sequence);
	}
	rg_json_member_uint(&request, "wait_ms", wait_ms);
	return rg_answer_ask(cli, &request, answer_timeout_ms(wait_ms), print_outcome);
}

const struct rg_command rg_command_policy_rollback = {
	.name = "policy rollback",
	.arguments = "[SEQUENCE]",
	.arguments_max = 1,
	.summary = "Make an earlier policy the one in use again",
	.details =
		"Without SEQUENCE: the one before the one in use. The old policy comes back under\n"
		"a new sequence number, so that records always tell which came when.",
	.examples = "riskctl policy rollback\n"
		    "riskctl policy rollback 3",
	.options = rollback_options,
	.run = rollback,
};

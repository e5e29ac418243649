/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl policy: push a bundle, list, show and roll back policies; their history. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_member.h"
#include "tools/riskctl/answer.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/policy.h"

#define OPTION_WAIT_ROW                                                                            \
	{                                                                                          \
		"wait", 'w', RG_OPTION_NUMBER, "MS", 0, 600000, "30000",                           \
			"wait so long until the data plane decides with it;\n0: do not wait"       \
	}

#define OPTION_REASON_ROW                                                                          \
	{                                                                                          \
		"reason", 'r', RG_OPTION_TEXT, "TEXT", 0, 0, NULL,                                 \
			"why; kept in the history of policies"                                     \
	}

static void add_reason(struct rg_json_writer *request, const struct rg_option_value *reason)
{
	if (reason->text)
		rg_json_member_text(request, "reason", reason->text);
}

uint64_t rg_policy_timeout_ms(uint64_t wait_ms)
{
	return wait_ms + 120000;
}

void rg_policy_print_outcome(struct rg_document *answer)
{
	struct rg_value root = answer->root;

	printf("policy %s: %s, revision %s, %s\n", rg_document_text(answer, root, "sequence"),
	       rg_document_text(answer, root, "bundle"), rg_document_text(answer, root, "revision"),
	       rg_document_text(answer, root, "state"));
	if (rg_is_defined(rg_document_get(answer, root, "text")))
		printf("  %s\n", rg_document_text(answer, root, "text"));
}

/* ---- push ---- */

enum { PUSH_WAIT, PUSH_REASON, PUSH_DRY_RUN, PUSH_ALLOW_OLDER };
static const struct rg_option push_options[] = {
	[PUSH_WAIT] = OPTION_WAIT_ROW,
	[PUSH_REASON] = OPTION_REASON_ROW,
	[PUSH_DRY_RUN] = {"dry-run", 'n', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			  "load, compile and verify it and tell what would\n"
			  "change; nothing is kept or published"},
	[PUSH_ALLOW_OLDER] = {"allow-older", 'o', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			      "also if its riskgate_version is below that of the\npolicy in use"},
	{NULL},
};

static void print_dry_run(struct rg_document *answer)
{
	struct rg_value root = answer->root;
	char bytes[RG_FORMAT_BYTES];

	printf("%s, revision %s: compiles to an image of %s, %s\n",
	       rg_document_text(answer, root, "bundle"), rg_document_text(answer, root, "revision"),
	       rg_format_bytes(bytes, (uint64_t)rg_document_number(answer, root, "image_bytes", 0)),
	       rg_document_get(answer, root, "signed").i ? "signed" : "not signed");
	if (rg_is_defined(rg_document_get(answer, root, "difference"))) {
		printf("against policy %s, which is in use:\n",
		       rg_document_text(answer, root, "compared_with"));
		rg_policy_print_difference(answer, rg_document_get(answer, root, "difference"));
	}
	puts("nothing was published");
}

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
	add_reason(&request, &invocation->options[PUSH_REASON]);
	if (invocation->options[PUSH_DRY_RUN].number) {
		rg_json_member_bool(&request, "dry_run", true);
		return rg_answer_ask(cli, &request, rg_policy_timeout_ms(0), print_dry_run);
	}
	return rg_answer_ask(cli, &request, rg_policy_timeout_ms(wait_ms), rg_policy_print_outcome);
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
		    "riskctl policy push --reason \"limits for May\" payments-3.tar.gz\n"
		    "riskctl policy push --dry-run payments-3.tar.gz\n"
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

int rg_policy_read_sequence(struct rg_cli *cli, const char *text, uint64_t *sequence)
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

	if (invocation->argument_count &&
	    rg_policy_read_sequence(cli, invocation->arguments[0], &sequence))
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

enum { ROLLBACK_WAIT, ROLLBACK_REASON };
static const struct rg_option rollback_options[] = {
	[ROLLBACK_WAIT] = OPTION_WAIT_ROW,
	[ROLLBACK_REASON] = OPTION_REASON_ROW,
	{NULL},
};

static int rollback(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	uint64_t wait_ms = invocation->options[ROLLBACK_WAIT].number;
	struct rg_json_writer request;
	uint64_t sequence = 0;

	if (invocation->argument_count &&
	    rg_policy_read_sequence(cli, invocation->arguments[0], &sequence))
		return RG_EINVAL;
	rg_answer_request(&request, "policy.rollback");
	if (sequence) {
		rg_json_member_uint(&request, "sequence", sequence);
	}
	rg_json_member_uint(&request, "wait_ms", wait_ms);
	add_reason(&request, &invocation->options[ROLLBACK_REASON]);
	return rg_answer_ask(cli, &request, rg_policy_timeout_ms(wait_ms), rg_policy_print_outcome);
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
		    "riskctl policy rollback 3 --reason \"denies too much\"",
	.options = rollback_options,
	.run = rollback,
};

/* ---- history ---- */

enum { HISTORY_LIMIT };
static const struct rg_option history_options[] = {
	[HISTORY_LIMIT] = {"limit", 'l', RG_OPTION_NUMBER, "N", 1, 100000, "20",
			   "the newest N events"},
	{NULL},
};

static void print_event(struct rg_document *answer, struct rg_value event)
{
	const char *reason = rg_document_text(answer, event, "reason"),
		   *text = rg_document_text(answer, event, "text");
	uint64_t time_ns = (uint64_t)rg_document_number(answer, event, "time_ns", 0);
	char time[RG_FORMAT_BYTES];

	printf("%.19s  %-8s  %8s  %-20.20s %-12.12s %s\n", rg_format_time(time, time_ns),
	       rg_document_text(answer, event, "event"),
	       rg_document_text(answer, event, "sequence"),
	       rg_document_text(answer, event, "revision"), rg_document_text(answer, event, "user"),
	       rg_document_text(answer, event, "why"));
	if (reason[0])
		printf("%21s%s\n", "reason: ", reason);
	if (text[0]) {
		printf("%21s", "");
		rg_format_print_broken(text, 21);
	}
}

static void print_history(struct rg_document *answer)
{
	uint32_t count = rg_document_count(answer, answer->root, "events");

	if (!count) {
		puts("nothing has happened to policies yet");
		return;
	}
	printf("%-19s  %-8s  %8s  %-20s %-12s %s\n", "TIME (UTC)", "EVENT", "SEQUENCE", "REVISION",
	       "USER", "WHY");
	for (uint32_t i = 0; i < count; i++)
		print_event(answer, rg_document_element(answer, answer->root, "events", i));
}

static int history(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	struct rg_json_writer request;

	rg_answer_request(&request, "policy.history");
	rg_json_member_uint(&request, "limit", invocation->options[HISTORY_LIMIT].number);
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, print_history);
}

const struct rg_command rg_command_policy_history = {
	.name = "policy history",
	.arguments = "",
	.summary = "Show what happened to policies, by whom and why",
	.details = "Each push, refusal, approval, activation and rollback, the newest first. The\n"
		   "history is only ever appended to, and outlives the policies it tells of.",
	.examples = "riskctl policy history\n"
		    "riskctl --json policy history --limit 1000",
	.options = history_options,
	.run = history,
};

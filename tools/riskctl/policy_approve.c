/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl policy approve, reject: the second identity's word. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json_member.h"
#include "bundle/approval.h"
#include "tools/riskctl/policy.h"

enum { APPROVE_KEY, APPROVE_AS, APPROVE_REASON, APPROVE_WAIT };
static const struct rg_option approve_options[] = {
	[APPROVE_KEY] = {"key", 'k', RG_OPTION_TEXT, "FILE", 0, 0, NULL,
			 "sign with this private key (PEM; Ed25519 or P-256)"},
	[APPROVE_AS] = {"as", 'a', RG_OPTION_TEXT, "NAME", 0, 0, NULL,
			"the key's name in four_eyes.approvers"},
	[APPROVE_REASON] = {"reason", 'r', RG_OPTION_TEXT, "TEXT", 0, 0, NULL,
			    "why; kept in the history of policies"},
	[APPROVE_WAIT] = {"wait", 'w', RG_OPTION_NUMBER, "MS", 0, 600000, "30000",
			  "wait so long until the data plane decides with it;\n0: do not wait"},
	{NULL},
};

/* Sign what control says waits under that sequence: its digest is what the key's holder agrees
 * to. */
static int sign(struct rg_cli *cli, uint64_t sequence, const char *key,
		char signature[static RG_APPROVAL_SIGNATURE_BYTES])
{
	struct rg_json_writer request;
	struct rg_document answer;
	char *text;
	size_t bytes;
	int status;

	rg_answer_request(&request, "policy.show");
	rg_json_member_uint(&request, "sequence", sequence);
	rg_json_write_object_end(&request);
	status = request.failed
			 ? rg_error_set(&cli->error, RG_ENOMEM, "no memory for the request")
			 : rg_cli_control(cli, request.text, RG_ANSWER_TIMEOUT_MS, &text, &bytes);
	rg_json_writer_free(&request);
	if (status)
		return status;
	status = rg_document_parse(&answer, text, bytes, &cli->error);
	free(text);
	if (status)
		return status;
	status = rg_approval_sign(key, sequence,
				  rg_document_text(&answer, answer.root, "policy.sha256"),
				  signature, &cli->error);
	rg_document_free(&answer);
	return status;
}

static int approve(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *options = invocation->options;
	char signature[RG_APPROVAL_SIGNATURE_BYTES];
	struct rg_json_writer request;
	uint64_t sequence;
	int status;

	if (rg_policy_read_sequence(cli, invocation->arguments[0], &sequence))
		return RG_EINVAL;
	if (!options[APPROVE_KEY].text != !options[APPROVE_AS].text)
		return rg_cli_misused(cli, "--key and --as go together");
	if (options[APPROVE_KEY].text) {
		status = sign(cli, sequence, options[APPROVE_KEY].text, signature);
		if (status)
			return status;
	}
	rg_answer_request(&request, "policy.approve");
	rg_json_member_uint(&request, "sequence", sequence);
	rg_json_member_uint(&request, "wait_ms", options[APPROVE_WAIT].number);
	if (options[APPROVE_REASON].text)
		rg_json_member_text(&request, "reason", options[APPROVE_REASON].text);
	if (options[APPROVE_KEY].text) {
		rg_json_member_text(&request, "approver", options[APPROVE_AS].text);
		rg_json_member_text(&request, "signature", signature);
	}
	return rg_answer_ask(cli, &request, rg_policy_timeout_ms(options[APPROVE_WAIT].number),
			     rg_policy_print_outcome);
}

const struct rg_command rg_command_policy_approve = {
	.name = "policy approve",
	.arguments = "SEQUENCE",
	.arguments_min = 1,
	.arguments_max = 1,
	.summary = "Agree to a policy that waits for a second identity",
	.details =
		"With four_eyes, a push waits until somebody else approves it: another user of\n"
		"the socket or, if four_eyes.approvers are configured, the holder of one of\n"
		"their keys. `riskctl policy diff` shows what it changes. It is published under\n"
		"a new sequence.",
	.examples = "riskctl policy approve 7\n"
		    "riskctl policy approve 7 --key ~/approver.key --as bob",
	.options = approve_options,
	.run = approve,
};

/* ---- reject ---- */

enum { REJECT_REASON };
static const struct rg_option reject_options[] = {
	[REJECT_REASON] = {"reason", 'r', RG_OPTION_TEXT, "TEXT", 0, 0, NULL,
			   "why; kept in the history of policies"},
	{NULL},
};

static int reject(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *reason = &invocation->options[REJECT_REASON];
	struct rg_json_writer request;
	uint64_t sequence;

	if (rg_policy_read_sequence(cli, invocation->arguments[0], &sequence))
		return RG_EINVAL;
	rg_answer_request(&request, "policy.reject");
	rg_json_member_uint(&request, "sequence", sequence);
	if (reason->text)
		rg_json_member_text(&request, "reason", reason->text);
	return rg_answer_ask(cli, &request, RG_ANSWER_TIMEOUT_MS, rg_policy_print_outcome);
}

const struct rg_command rg_command_policy_reject = {
	.name = "policy reject",
	.arguments = "SEQUENCE",
	.arguments_min = 1,
	.arguments_max = 1,
	.summary = "Take away a policy that waits for a second identity",
	.details = "Anybody who may use the socket may do so, also who pushed it.",
	.examples = "riskctl policy reject 7 --reason \"limits are too high\"",
	.options = reject_options,
	.run = reject,
};

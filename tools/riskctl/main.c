/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl: the table of its commands, and the way from a command line to an exit status. */
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/options.h"

const struct rg_command *const rg_commands[] = {
	&rg_command_status,
	&rg_command_top,
	&rg_command_region,
	&rg_command_policy_push,
	&rg_command_policy_sync,
	&rg_command_policy_list,
	&rg_command_policy_show,
	&rg_command_policy_rollback,
	&rg_command_policy_check,
	&rg_command_policy_explain,
	&rg_command_policy_diff,
	&rg_command_policy_history,
	&rg_command_policy_approve,
	&rg_command_policy_reject,
	&rg_command_score,
	&rg_command_eval,
	&rg_command_decisions,
	&rg_command_reasons,
	&rg_command_journal_verify,
	&rg_command_journal_head,
	&rg_command_journal_cat,
	&rg_command_journal_export,
	&rg_command_trace_stages,
	&rg_command_trace_jitter,
	&rg_command_trace_outliers,
	&rg_command_trace_publish,
	&rg_command_trace_journal,
	&rg_command_doctor,
	&rg_command_help,
	NULL,
};

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSED = 2 };

static int report(struct rg_cli *cli, const struct rg_command *command)
{
	fprintf(stderr, "riskctl: %s\n", cli->error.text);
	if (cli->misused)
		fprintf(stderr, "`riskctl %s%s--help` tells more.\n", command ? command->name : "",
			command ? " " : "");
	if (cli->json && !cli->answered) {
		struct rg_json_writer writer;

		rg_json_writer_init(&writer, true);
		rg_json_write_object_begin(&writer);
		rg_json_member_bool(&writer, "ok", false);
		rg_json_member_text(&writer, "status", rg_status_name(cli->error.status));
		rg_json_member_text(&writer, "error", cli->error.text);
		rg_json_write_object_end(&writer);
		rg_cli_print_json(cli, &writer);
	}
	return cli->misused ? EXIT_MISUSED : EXIT_FAILED;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	int status = invocation->command->run(cli, invocation);

	if (!status && (fflush(stdout) || ferror(stdout)))
		status = rg_error_set(&cli->error, RG_EIO, "cannot write to standard output");
	return status ? report(cli, invocation->command) : EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct rg_cli cli = {0};
	struct rg_invocation invocation;
	int exit_status = EXIT_DONE;

	switch (rg_options_parse(&cli, argc, argv, &invocation)) {
	case RG_PARSE_RUN: exit_status = run(&cli, &invocation); break;
	case RG_PARSE_HELP: rg_options_print_help(stdout, invocation.command); break;
	case RG_PARSE_VERSION: puts("riskctl " RG_VERSION); break;
	case RG_PARSE_WRONG: exit_status = report(&cli, invocation.command); break;
	}
	rg_cli_free(&cli);
	return exit_status;
}

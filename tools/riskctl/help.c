/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl help: the help texts, of one command, of all, or as docs/riskctl.md; and the
 * completion script. */
#include "tools/riskctl/options.h"

enum { OPTION_MARKDOWN, OPTION_COMPLETION };
static const struct rg_option options[] = {
	[OPTION_MARKDOWN] = {"markdown", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
			     "all of it as Markdown"},
	[OPTION_COMPLETION] = {"completion", 0, RG_OPTION_FLAG, NULL, 0, 0, NULL,
			       "a completion script for bash"},
	{NULL},
};

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_command *command = NULL;
	char name[80];

	if (invocation->options[OPTION_MARKDOWN].text) {
		rg_options_print_markdown(stdout);
		return RG_OK;
	}
	if (invocation->options[OPTION_COMPLETION].text) {
		rg_options_print_completion(stdout);
		return RG_OK;
	}
	if (invocation->argument_count) {
		const char *second = invocation->argument_count > 1 ? invocation->arguments[1] : "";

		snprintf(name, sizeof(name), "%s%s%s", invocation->arguments[0],
			 second[0] ? " " : "", second);
		command = rg_options_find_command(name);
		if (!command)
			return rg_cli_misused(cli, "there is no command \"%s\"", name);
	}
	rg_options_print_help(stdout, command);
	return RG_OK;
}

const struct rg_command rg_command_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.arguments_max = 2,
	.summary = "Print help",
	.details = "Without COMMAND: the list of commands.",
	.examples = "riskctl help policy push\n"
		    "source <(riskctl help --completion)",
	.options = options,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing the command line, and the help texts. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "tools/riskctl/options.h"

const struct rg_option rg_global_options[] = {
	{"config", 'c', RG_OPTION_TEXT, "FILE", 0, 0, NULL,
	 "the configuration; without it $RISKGATE_CONFIG, else\n/etc/riskgate/riskgate.yaml, else "
	 "the defaults"},
	{"json", 'j', RG_OPTION_FLAG, NULL, 0, 0, NULL, "print JSON"},
	{"help", 'h', RG_OPTION_FLAG, NULL, 0, 0, NULL, "print this help"},
	{NULL},
};
enum { GLOBAL_CONFIG, GLOBAL_JSON, GLOBAL_HELP, GLOBAL_COUNT };

#define WORD_BYTES_MAX 40

/* ---- suggestions ---- */

static void offer_options(struct rg_suggestion *suggestion, const struct rg_option *options)
{
	for (; options && options->name; options++)
		rg_suggestion_offer(suggestion, options->name);
}

/* ---- finding ---- */

const struct rg_command *rg_options_find_command(const char *name)
{
	for (uint32_t i = 0; rg_commands[i]; i++)
		if (strcmp(rg_commands[i]->name, name) == 0)
			return rg_commands[i];
	return NULL;
}

/* Is `word` the first word of a command of two ("policy")? */
static bool is_family(const char *word)
{
	size_t bytes = strlen(word);

	for (uint32_t i = 0; rg_commands[i]; i++)
		if (strncmp(rg_commands[i]->name, word, bytes) == 0 &&
		    rg_commands[i]->name[bytes] == ' ')
			return true;
	return false;
}

static int find_option(const struct rg_option *options, const char *name, size_t bytes)
{
	for (int i = 0; options && options[i].name; i++)
		if (strlen(options[i].name) == bytes && memcmp(options[i].name, name, bytes) == 0)
			return i;
	return -1;
}

static int find_letter(const struct rg_option *options, char letter)
{
	for (int i = 0; options && options[i].name; i++)
		if (options[i].letter == letter)
			return i;
	return -1;
}

/* ---- values ---- */

/* Which of "A|B|C" the text is, in whatever case: 1, 2, ...; 0: none. */
static uint64_t choice_index(const char *choices, const char *text)
{
	size_t bytes = strlen(text);
	uint64_t index = 1;

	for (const char *at = choices;; at++, index++) {
		size_t word = strcspn(at, "|");

		if (word == bytes && strncasecmp(at, text, bytes) == 0)
			return index;
		at += word;
		if (!*at)
			return 0;
	}
}

static int set_value(struct rg_cli *cli, const struct rg_option *option, const char *text,
		     struct rg_option_value *value)
{
	char *end;

	value->text = text;
	if (option->kind == RG_OPTION_CHOICE) {
		value->number = choice_index(option->argument, text);
		if (!value->number)
			return rg_cli_misused(cli, "--%s %s: must be one of %s", option->name, text,
					      option->argument);
	}
	if (option->kind != RG_OPTION_NUMBER)
		return RG_OK;
	errno = 0;
	value->number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || value->number < option->low ||
	    value->number > option->high)
		return rg_cli_misused(cli, "--%s %s: must be a whole number from %llu to %llu",
				      option->name, text, (unsigned long long)option->low,
				      (unsigned long long)option->high);
	return RG_OK;
}

static int set_fallbacks(struct rg_cli *cli, struct rg_invocation *invocation)
{
	const struct rg_option *options = invocation->command->options;

	for (int i = 0; options && options[i].name; i++) {
		if (!options[i].fallback || invocation->options[i].text)
			continue;
		int status =
			set_value(cli, &options[i], options[i].fallback, &invocation->options[i]);
		if (status)
			return status;
	}
	return RG_OK;
}

/* ---- parsing ---- */

struct parser {
	struct rg_cli *cli;
	struct rg_invocation *invocation;
	int argc, at;
	char **argv;
	char family[WORD_BYTES_MAX]; /* first word of a command of two; "" when none is pending */
	bool options_ended;
	struct rg_option_value globals[GLOBAL_COUNT];
};

static const struct rg_option *command_options(const struct parser *parser)
{
	return parser->invocation->command ? parser->invocation->command->options : NULL;
}

static int unknown_option(struct parser *parser, const char *name, size_t bytes)
{
	char word[WORD_BYTES_MAX];
	struct rg_suggestion suggestion = {.wanted = word};

	snprintf(word, sizeof(word), "%.*s", (int)bytes, name);
	offer_options(&suggestion, rg_global_options);
	offer_options(&suggestion, command_options(parser));
	if (suggestion.best[0])
		return rg_cli_misused(parser->cli, "unknown option --%s: did you mean --%s?", word,
				      suggestion.best);
	if (!parser->invocation->command)
		return rg_cli_misused(parser->cli,
				      "unknown option --%s; options of a command follow its name",
				      word);
	return rg_cli_misused(parser->cli, "%s has no option --%s",
			      parser->invocation->command->name, word);
}

/* Take the value of an option: what follows '=' or the next word. */
static int take_value(struct parser *parser, const struct rg_option *option, const char *attached,
		      struct rg_option_value *value)
{
	if (option->kind == RG_OPTION_FLAG) {
		if (attached)
			return rg_cli_misused(parser->cli, "--%s takes no value", option->name);
		value->text = "";
		value->number = 1;
		return RG_OK;
	}
	if (attached)
		return set_value(parser->cli, option, attached, value);
	if (parser->at >= parser->argc)
		return rg_cli_misused(parser->cli, "--%s needs a value: --%s %s", option->name,
				      option->name, option->argument);
	return set_value(parser->cli, option, parser->argv[parser->at++], value);
}

static int parse_long(struct parser *parser, const char *word)
{
	size_t bytes = strcspn(word, "=");
	const char *attached = word[bytes] ? word + bytes + 1 : NULL;
	int index = find_option(rg_global_options, word, bytes);

	if (index >= 0)
		return take_value(parser, &rg_global_options[index], attached,
				  &parser->globals[index]);
	index = find_option(command_options(parser), word, bytes);
	if (index < 0)
		return unknown_option(parser, word, bytes);
	return take_value(parser, &command_options(parser)[index], attached,
			  &parser->invocation->options[index]);
}

static int parse_short(struct parser *parser, const char *word)
{
	const char *attached = word[1] ? word + 1 : NULL;
	int index = find_letter(rg_global_options, word[0]);

	if (index >= 0)
		return take_value(parser, &rg_global_options[index], attached,
				  &parser->globals[index]);
	index = find_letter(command_options(parser), word[0]);
	if (index < 0)
		return rg_cli_misused(parser->cli, "unknown option -%c", word[0]);
	return take_value(parser, &command_options(parser)[index], attached,
			  &parser->invocation->options[index]);
}

static int unknown_command(struct parser *parser, const char *name)
{
	struct rg_suggestion suggestion = {.wanted = name};

	for (uint32_t i = 0; rg_commands[i]; i++)
		rg_suggestion_offer(&suggestion, rg_commands[i]->name);
	if (suggestion.best[0])
		return rg_cli_misused(parser->cli, "unknown command \"%s\": did you mean \"%s\"?",
				      name, suggestion.best);
	return rg_cli_misused(parser->cli, "unknown command \"%s\"", name);
}

static int parse_word(struct parser *parser, const char *word)
{
	struct rg_invocation *invocation = parser->invocation;
	char name[2 * WORD_BYTES_MAX];

	if (!invocation->command) {
		snprintf(name, sizeof(name), "%s%s%.*s", parser->family,
			 parser->family[0] ? " " : "", WORD_BYTES_MAX - 1, word);
		invocation->command = rg_options_find_command(name);
		if (invocation->command)
			return RG_OK;
		if (parser->family[0] || !is_family(word))
			return unknown_command(parser, name);
		snprintf(parser->family, sizeof(parser->family), "%s", word);
		return RG_OK;
	}
	if (invocation->argument_count >= invocation->command->arguments_max)
		return rg_cli_misused(parser->cli, "%s: unexpected argument \"%s\"",
				      invocation->command->name, word);
	invocation->arguments[invocation->argument_count++] = word;
	return RG_OK;
}

static int parse_next(struct parser *parser)
{
	const char *word = parser->argv[parser->at++];

	if (parser->options_ended || word[0] != '-' || !word[1])
		return parse_word(parser, word);
	if (strcmp(word, "--") == 0) {
		parser->options_ended = true;
		return RG_OK;
	}
	return word[1] == '-' ? parse_long(parser, word + 2) : parse_short(parser, word + 1);
}

static int require_command(struct parser *parser)
{
	const struct rg_command *command = parser->invocation->command;

	if (!command && parser->family[0])
		return rg_cli_misused(parser->cli, "%s what? `riskctl help` lists its commands",
				      parser->family);
	if (!command)
		return rg_cli_misused(parser->cli, "no command given");
	if (parser->invocation->argument_count < command->arguments_min)
		return rg_cli_misused(parser->cli, "%s: an argument is missing: %s", command->name,
				      command->arguments);
	return set_fallbacks(parser->cli, parser->invocation);
}

enum rg_parse_result rg_options_parse(struct rg_cli *cli, int argc, char **argv,
				      struct rg_invocation *invocation)
{
	struct parser parser = {
		.cli = cli, .invocation = invocation, .argc = argc, .argv = argv, .at = 1};
	int status = RG_OK;

	memset(invocation, 0, sizeof(*invocation));
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return RG_PARSE_VERSION;
	while (!status && parser.at < argc && !parser.globals[GLOBAL_HELP].text)
		status = parse_next(&parser);
	cli->config_path = parser.globals[GLOBAL_CONFIG].text;
	cli->json = parser.globals[GLOBAL_JSON].text != NULL;
	if (status)
		return RG_PARSE_WRONG;
	if (parser.globals[GLOBAL_HELP].text)
		return RG_PARSE_HELP;
	return require_command(&parser) ? RG_PARSE_WRONG : RG_PARSE_RUN;
}

/* ---- help ---- */

#define HELP_COLUMN 26

static void print_option(FILE *out, const struct rg_option *option)
{
	char left[80];
	int used = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
			    option->letter ? option->letter : ' ', option->letter ? "," : " ",
			    option->name, option->argument ? " " : "",
			    option->argument ? option->argument : "");

	fprintf(out, "%-*s", HELP_COLUMN, left);
	if (used >= HELP_COLUMN)
		fprintf(out, "\n%*s", HELP_COLUMN, "");
	for (const char *at = option->help; *at; at++) {
		fputc(*at, out);
		if (*at == '\n')
			fprintf(out, "%*s", HELP_COLUMN, "");
	}
	if (option->fallback)
		fprintf(out, " (%s)", option->fallback);
	fputc('\n', out);
}

static void print_options(FILE *out, const struct rg_option *options)
{
	for (; options && options->name; options++)
		print_option(out, options);
}

static void print_indented(FILE *out, const char *text, const char *indent)
{
	fputs(indent, out);
	for (; *text; text++) {
		fputc(*text, out);
		if (*text == '\n')
			fputs(indent, out);
	}
	fputc('\n', out);
}

static void print_usage(FILE *out, const struct rg_command *command)
{
	fprintf(out, "riskctl [--config FILE] [--json] %s%s%s%s\n", command->name,
		command->options && command->options->name ? " [OPTIONS]" : "",
		command->arguments[0] ? " " : "", command->arguments);
}

static void print_overview(FILE *out)
{
	fputs("riskctl: look at, feed and steer a riskgate appliance.\n\n"
	      "usage: riskctl [--config FILE] [--json] COMMAND ...\n\ncommands:\n",
	      out);
	for (uint32_t i = 0; rg_commands[i]; i++)
		fprintf(out, "  %-17s %s\n", rg_commands[i]->name, rg_commands[i]->summary);
	fputs("\noptions of every command:\n", out);
	print_options(out, rg_global_options);
	fputs("\n`riskctl COMMAND --help` says more. Exit status: 0 done, 1 failed, 2 wrong use.\n",
	      out);
}

void rg_options_print_help(FILE *out, const struct rg_command *command)
{
	if (!command) {
		print_overview(out);
		return;
	}
	fprintf(out, "riskctl %s: %s.\n\nusage: ", command->name, command->summary);
	print_usage(out, command);
	fprintf(out, "\n%s\n", command->details);
	if (command->options && command->options->name) {
		fputs("\noptions:\n", out);
		print_options(out, command->options);
	}
	fputs("\noptions of every command:\n", out);
	print_options(out, rg_global_options);
	fputs("\nexamples:\n", out);
	print_indented(out, command->examples, "  ");
}

void rg_options_print_markdown(FILE *out)
{
	fputs("<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
	      "<!-- Made by `riskctl help --markdown` from the help texts: change those. -->\n"
	      "# riskctl\n\nLook at, feed and steer a riskgate appliance.\n\n"
	      "    riskctl [--config FILE] [--json] COMMAND ...\n\n"
	      "Options of every command:\n\n```text\n",
	      out);
	print_options(out, rg_global_options);
	fputs("```\n\nExit status: 0 done, 1 failed, 2 wrong use. A failure is told on standard "
	      "error and, with "
	      "`--json`,\nalso as `{\"ok\":false,\"status\":...,\"error\":...}` on standard "
	      "output.\n",
	      out);
	for (uint32_t i = 0; rg_commands[i]; i++) {
		const struct rg_command *command = rg_commands[i];

		fprintf(out, "\n## %s\n\n%s.\n\n    ", command->name, command->summary);
		print_usage(out, command);
		fprintf(out, "\n%s\n", command->details);
		if (command->options && command->options->name) {
			fputs("\n```text\n", out);
			print_options(out, command->options);
			fputs("```\n", out);
		}
		fputs("\nExamples:\n\n", out);
		print_indented(out, command->examples, "    ");
	}
}

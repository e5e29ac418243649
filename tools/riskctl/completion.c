/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion for bash, made from the tables of commands and options: words of commands, options,
 * the words of a choice; files where a value is a path. `riskctl help --completion` prints it, the
 * build installs it.
 */
#include <string.h>

#include "tools/riskctl/options.h"

/* Functions of the script that depend on no table. _riskctl_command finds the command on the
 * line so far, as the parser does: options may stand before it. */
static const char head[] = "# Completion of riskctl for bash. Made by `riskctl help --completion`: "
			   "change the option tables.\n"
			   "\n"
			   "_riskctl_words() {\n"
			   "\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$2\")\n"
			   "}\n"
			   "\n"
			   "_riskctl_files() {\n"
			   "\tcompopt -o filenames\n"
			   "\tmapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n"
			   "}\n"
			   "\n"
			   "_riskctl_command() {\n"
			   "\tlocal word takes_value= name=\n"
			   "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
			   "\t\tif [[ $takes_value ]]; then\n"
			   "\t\t\ttakes_value=\n"
			   "\t\telif [[ $word == --config || $word == -c ]]; then\n"
			   "\t\t\ttakes_value=1\n"
			   "\t\telif [[ $word != -* ]]; then\n"
			   "\t\t\tname=${name:+$name }$word\n"
			   "\t\t\t[[ \" $_riskctl_families \" == *\" $name \"* ]] || break\n"
			   "\t\tfi\n"
			   "\tdone\n"
			   "\tprintf '%s' \"$name\"\n"
			   "}\n";

static const char tail[] =
	"\n"
	"_riskctl() {\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command\n"
	"\tcommand=$(_riskctl_command)\n"
	"\tif [[ $current == = ]]; then\n"
	"\t\tcurrent=\n"
	"\telif [[ $previous == = ]]; then\n"
	"\t\tprevious=${COMP_WORDS[COMP_CWORD-2]}\n"
	"\tfi\n"
	"\t_riskctl_value \"$command\" \"$previous\" \"$current\" && return\n"
	"\t_riskctl_word \"$command\" \"$current\"\n"
	"}\n"
	"\n"
	"complete -F _riskctl riskctl\n";

/* Is the value a path? Arguments are named for people; these are the names that paths have. */
static bool is_path(const char *argument)
{
	return strstr(argument, "FILE") || strstr(argument, "FOLDER") || strstr(argument, "PATH") ||
	       strstr(argument, "REQUEST");
}

/* The first word of a command of two; *bytes is 0 for a command of one. */
static void family_of(const struct rg_command *command, size_t *bytes)
{
	const char *space = strchr(command->name, ' ');

	*bytes = space ? (size_t)(space - command->name) : 0;
}

/* Is there an earlier command of the same family? */
static bool is_later_of_family(uint32_t index)
{
	size_t bytes;

	family_of(rg_commands[index], &bytes);
	for (uint32_t i = 0; bytes && i < index; i++)
		if (!strncmp(rg_commands[i]->name, rg_commands[index]->name, bytes + 1))
			return true;
	return false;
}

static void print_families(FILE *out)
{
	fputs("\n_riskctl_families='", out);
	for (uint32_t i = 0, printed = 0; rg_commands[i]; i++) {
		size_t bytes;

		family_of(rg_commands[i], &bytes);
		if (!bytes || is_later_of_family(i))
			continue;
		fprintf(out, "%s%.*s", printed++ ? " " : "", (int)bytes, rg_commands[i]->name);
	}
	fputs("'\n", out);
}

/* ---- values of options ---- */

static void print_value_case(FILE *out, const struct rg_option *option, const char *command)
{
	if (option->kind == RG_OPTION_FLAG)
		return;
	fprintf(out, "\t\"%s --%s\"", command, option->name);
	if (option->letter)
		fprintf(out, " | \"%s -%c\"", command, option->letter);
	if (option->kind == RG_OPTION_CHOICE) {
		fputs(") _riskctl_words \"", out);
		for (const char *at = option->argument; *at; at++)
			fputc(*at == '|' ? ' ' : *at, out);
		fputs("\" \"$3\" ;;\n", out);
	} else {
		fputs(is_path(option->argument) ? ") _riskctl_files \"$3\" ;;\n"
						: ") COMPREPLY=() ;;\n",
		      out);
	}
}

static void print_values(FILE *out)
{
	fputs("\n# _riskctl_value COMMAND OPTION CURRENT: the option's value; false if it takes "
	      "none\n"
	      "_riskctl_value() {\n\tcase $2 in\n\t--config | -c)\n\t\t_riskctl_files \"$3\"\n"
	      "\t\treturn\n\t\t;;\n\tesac\n\tcase \"$1 $2\" in\n",
	      out);
	for (uint32_t i = 0; rg_commands[i]; i++)
		for (const struct rg_option *option = rg_commands[i]->options;
		     option && option->name; option++)
			print_value_case(out, option, rg_commands[i]->name);
	fputs("\t*) return 1 ;;\n\tesac\n}\n", out);
}

/* ---- words ---- */

static void print_options_of(FILE *out, const struct rg_option *options)
{
	for (; options && options->name; options++)
		fprintf(out, " --%s", options->name);
}

/* First words of commands for "", second words for a family. */
static void print_names(FILE *out, const char *family, size_t family_bytes)
{
	fputs("\t\t_riskctl_words '", out);
	for (uint32_t i = 0; rg_commands[i]; i++) {
		const char *name = rg_commands[i]->name;

		if (family_bytes) {
			if (!strncmp(name, family, family_bytes) && name[family_bytes] == ' ')
				fprintf(out, "%s ", name + family_bytes + 1);
		} else if (!is_later_of_family(i)) {
			fprintf(out, "%.*s ", (int)strcspn(name, " "), name);
		}
	}
	print_options_of(out, rg_global_options);
	fputs("' \"$2\"\n\t\t;;\n", out);
}

static void print_words(FILE *out)
{
	fputs("\n# _riskctl_word COMMAND CURRENT: a word of the command, one of its options, or "
	      "its argument\n"
	      "_riskctl_word() {\n\tcase $1 in\n\t'')\n",
	      out);
	print_names(out, "", 0);
	for (uint32_t i = 0; rg_commands[i]; i++) {
		size_t bytes;

		family_of(rg_commands[i], &bytes);
		if (!bytes || is_later_of_family(i))
			continue;
		fprintf(out, "\t%.*s)\n", (int)bytes, rg_commands[i]->name);
		print_names(out, rg_commands[i]->name, bytes);
	}
	for (uint32_t i = 0; rg_commands[i]; i++) {
		fprintf(out, "\t'%s')\n\t\tif [[ $2 == -* ]]; then\n\t\t\t_riskctl_words '",
			rg_commands[i]->name);
		print_options_of(out, rg_commands[i]->options);
		print_options_of(out, rg_global_options);
		fprintf(out, "' \"$2\"\n\t\telse\n\t\t\t%s\n\t\tfi\n\t\t;;\n",
			is_path(rg_commands[i]->arguments) ? "_riskctl_files \"$2\""
							   : "COMPREPLY=()");
	}
	fputs("\tesac\n}\n", out);
}

void rg_options_print_completion(FILE *out)
{
	fputs(head, out);
	print_families(out);
	print_values(out);
	print_words(out);
	fputs(tail, out);
}

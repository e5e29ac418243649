/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a riskctl command is: a row of the table in main.c and a function in a file of its own.
 *
 * A command's options, arguments and examples stand once, in its row; parsing, --help, suggestions
 * for misspelt words and docs/riskctl.md are all made from it.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_COMMAND_H
#define RG_TOOLS_RISKCTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#define RG_OPTIONS_MAX 16

struct rg_cli;
struct rg_invocation;

enum rg_option_kind {
	RG_OPTION_FLAG, /* takes no value */
	RG_OPTION_TEXT,
	RG_OPTION_NUMBER, /* an unsigned integer, low..high */
	RG_OPTION_CHOICE  /* one of the words of `argument`, "A|B|C", in whatever case */
};

struct rg_option {
	const char *name;     /* without the dashes; NULL ends the list */
	char letter;	      /* short form, or 0 */
	uint8_t kind;	      /* enum rg_option_kind */
	const char *argument; /* name of the value in help texts; NULL for a flag */
	uint64_t low, high;   /* NUMBER */
	const char *fallback; /* the value when it is not given, as text; NULL: none */
	const char *help;     /* one line or more, without the default */
};

/* What was given for the option of the same index; text NULL: nothing, and there is no fallback. */
struct rg_option_value {
	const char *text;
	uint64_t
		number; /* NUMBER; 1 for a FLAG that was given; which of a CHOICE's words, from 1 */
};

struct rg_command {
	const char *name;      /* one or two words: "score", "policy push" */
	const char *arguments; /* for the usage line: "PATH"; "" for none */
	uint8_t arguments_min, arguments_max;
	const char *summary;  /* one line */
	const char *details;  /* paragraphs, lines of at most 76 columns */
	const char *examples; /* one command a line */
	const struct rg_option *options;
	/* Returns RG_OK or a negative enum rg_status with cli->error filled; rg_cli_misused() for
	 * wrong use. */
	int (*run)(struct rg_cli *cli, const struct rg_invocation *invocation);
};

struct rg_invocation {
	const struct rg_command *command;
	struct rg_option_value options[RG_OPTIONS_MAX];
	const char *arguments[4];
	uint32_t argument_count;
};

/* The commands, each in the file named after its first word. */
extern const struct rg_command rg_command_status;
extern const struct rg_command rg_command_top;
extern const struct rg_command rg_command_region;
extern const struct rg_command rg_command_policy_push;
extern const struct rg_command rg_command_policy_sync;
extern const struct rg_command rg_command_policy_list;
extern const struct rg_command rg_command_policy_show;
extern const struct rg_command rg_command_policy_rollback;
extern const struct rg_command rg_command_policy_check;
extern const struct rg_command rg_command_policy_explain;
extern const struct rg_command rg_command_policy_diff;
extern const struct rg_command rg_command_policy_history;
extern const struct rg_command rg_command_policy_approve;
extern const struct rg_command rg_command_policy_reject;
extern const struct rg_command rg_command_score;
extern const struct rg_command rg_command_eval;
extern const struct rg_command rg_command_decisions;
extern const struct rg_command rg_command_reasons;
extern const struct rg_command rg_command_journal_verify;
extern const struct rg_command rg_command_journal_head;
extern const struct rg_command rg_command_journal_cat;
extern const struct rg_command rg_command_journal_export;
extern const struct rg_command rg_command_trace_stages;
extern const struct rg_command rg_command_trace_jitter;
extern const struct rg_command rg_command_trace_outliers;
extern const struct rg_command rg_command_trace_publish;
extern const struct rg_command rg_command_trace_journal;
extern const struct rg_command rg_command_doctor;
extern const struct rg_command rg_command_help;

/* All of them, in the order of the help text; NULL ends the list. */
extern const struct rg_command *const rg_commands[];

#endif

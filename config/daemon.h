/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What riskgate-dataplane and riskgate-control do alike before they are themselves: the command
 * line, the configuration with what the command line overrides, and the signals that stop them.
 *
 * Thread-safety: for main(), before any thread is made.
 */
#ifndef RG_CONFIG_DAEMON_H
#define RG_CONFIG_DAEMON_H

#include <signal.h>

#include "config/config.h"

enum rg_exit_code { RG_EXIT_DONE = 0, RG_EXIT_FAILED = 1, RG_EXIT_USAGE = 2 };

/* A program, for --help and messages. */
struct rg_daemon {
	const char *name;
	const char *purpose;	       /* a line */
	const char *notes;	       /* how it runs and stops: lines */
	const char *config, *instance; /* as read; NULL: not given */
};

/* Read the command line into daemon, and set the log level. Returns -1 to go on, else the exit
 * code: --help and --version were answered, or what is wrong was said on standard error. */
int rg_daemon_read_options(struct rg_daemon *daemon, int argc, char **argv);
/* rg_config_load(), with the instance that the command line names. */
int rg_daemon_load_config(const struct rg_daemon *daemon, struct rg_config **config,
			  struct rg_error *err);
/* Block SIGTERM and SIGINT in all threads made from here on; SIGHUP and SIGPIPE are ignored. */
void rg_daemon_block_signals(sigset_t *stop_signals);

#endif

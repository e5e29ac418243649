/* SPDX-License-Identifier: Apache-2.0 */
#include "config/daemon.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void print_usage(const struct rg_daemon *daemon)
{
	printf("Usage: %s [OPTION]...\n"
	       "%s\n"
	       "\n"
	       "  -c, --config FILE     riskgate.yaml (default: $RISKGATE_CONFIG, else "
	       "/etc/riskgate/riskgate.yaml)\n"
	       "  -i, --instance NAME   instance to run as, instead of the file's\n"
	       "  -l, --log-level LEVEL error, warning, info (default) or debug\n"
	       "  -h, --help            print this and exit\n"
	       "  -V, --version         print the version and exit\n"
	       "\n"
	       "%s"
	       "Exit status: 0 stopped by a signal, 1 failed, 2 wrong use.\n"
	       "\n"
	       "Examples:\n"
	       "  %s --config /etc/riskgate/riskgate.yaml\n"
	       "  %s --config ./riskgate.yaml --instance test --log-level debug\n",
	       daemon->name, daemon->purpose, daemon->notes, daemon->name, daemon->name);
}

static int try_help(const struct rg_daemon *daemon)
{
	fprintf(stderr, "Try '%s --help'.\n", daemon->name);
	return RG_EXIT_USAGE;
}

int rg_daemon_read_options(struct rg_daemon *daemon, int argc, char **argv)
{
	static const struct option names[] = {
		{"config", required_argument, NULL, 'c'},
		{"instance", required_argument, NULL, 'i'},
		{"log-level", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	enum rg_log_level level;
	int option;

	while ((option = getopt_long(argc, argv, "c:i:l:hV", names, NULL)) != -1) {
		switch (option) {
		case 'c': daemon->config = optarg; break;
		case 'i': daemon->instance = optarg; break;
		case 'l':
			if (!rg_log_level_parse(optarg, &level)) {
				fprintf(stderr,
					"%s: --log-level: \"%s\" is none of error, warning, info, "
					"debug\n",
					daemon->name, optarg);
				return RG_EXIT_USAGE;
			}
			rg_log_set_level(level);
			break;
		case 'h': print_usage(daemon); return RG_EXIT_DONE;
		case 'V': printf("%s %s\n", daemon->name, RG_VERSION); return RG_EXIT_DONE;
		default: return try_help(daemon);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: \"%s\" is no option; there are no other arguments\n",
			daemon->name, argv[optind]);
		return try_help(daemon);
	}
	return -1;
}

int rg_daemon_load_config(const struct rg_daemon *daemon, struct rg_config **config,
			  struct rg_error *err)
{
	char *instance;
	int rc = rg_config_load(daemon->config, config, err);

	if (rc || !daemon->instance)
		return rc;
	instance = strdup(daemon->instance);
	if (!instance)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	free((*config)->instance);
	(*config)->instance = instance;
	return RG_OK;
}

void rg_daemon_block_signals(sigset_t *stop_signals)
{
	sigemptyset(stop_signals);
	sigaddset(stop_signals, SIGTERM);
	sigaddset(stop_signals, SIGINT);
	sigprocmask(SIG_BLOCK, stop_signals, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

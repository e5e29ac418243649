/* SPDX-License-Identifier: Apache-2.0 */
/* riskgate-dataplane: reads the command line and riskgate.yaml, starts the service, waits for a
 * signal. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "dataplane/service.h"

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	const char *config, *instance;
};

static const char usage[] =
	"Usage: riskgate-dataplane [OPTION]...\n"
	"Decide UDP/SBE requests with the policy that riskgate-control publishes.\n"
	"\n"
	"  -c, --config FILE     riskgate.yaml (default: $RISKGATE_CONFIG, else "
	"/etc/riskgate/riskgate.yaml)\n"
	"  -i, --instance NAME   instance to run as, instead of the file's\n"
	"  -l, --log-level LEVEL error, warning, info (default) or debug\n"
	"  -h, --help            print this and exit\n"
	"  -V, --version         print the version and exit\n"
	"\n"
	"It runs in the foreground and logs to standard error; SIGTERM or SIGINT stop it. The "
	"line\n"
	"\"riskgate-dataplane: ready ...\" says that its ports are up. Without a policy it answers "
	"NO_POLICY.\n"
	"Exit status: 0 stopped by a signal, 1 failed, 2 wrong use.\n"
	"\n"
	"Examples:\n"
	"  riskgate-dataplane --config /etc/riskgate/riskgate.yaml\n"
	"  riskgate-dataplane --config ./riskgate.yaml --instance test --log-level debug\n";

/* Read the command line. Returns -1 to go on, else the exit code. */
static int read_options(int argc, char **argv, struct options *options)
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
		case 'c': options->config = optarg; break;
		case 'i': options->instance = optarg; break;
		case 'l':
			if (!rg_log_level_parse(optarg, &level)) {
				fprintf(stderr,
					"riskgate-dataplane: --log-level: \"%s\" is none of error, "
					"warning, info, debug\n",
					optarg);
				return EXIT_USAGE;
			}
			rg_log_set_level(level);
			break;
		case 'h': fputs(usage, stdout); return EXIT_DONE;
		case 'V': puts("riskgate-dataplane " RG_VERSION); return EXIT_DONE;
		default: fputs("Try 'riskgate-dataplane --help'.\n", stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"riskgate-dataplane: \"%s\" is no option; there are no other "
			"arguments\nTry 'riskgate-dataplane --help'.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

static int load_config(const struct options *options, struct rg_config **config,
		       struct rg_error *err)
{
	char *instance;
	int rc = rg_config_load(options->config, config, err);

	if (rc != RG_OK || !options->instance)
		return rc;
	instance = strdup(options->instance);
	if (!instance)
		return rg_error_set(err, RG_ENOMEM, "no memory");
	free((*config)->instance);
	(*config)->instance = instance;
	return RG_OK;
}

/* Block the stop signals before any thread is made: only rg_service_run() takes them. */
static void prepare_signals(sigset_t *stop_signals)
{
	sigemptyset(stop_signals);
	sigaddset(stop_signals, SIGTERM);
	sigaddset(stop_signals, SIGINT);
	sigprocmask(SIG_BLOCK, stop_signals, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct rg_config *config = NULL;
	struct rg_service *service;
	struct rg_error err;
	sigset_t stop_signals;
	int rc = read_options(argc, argv, &options);

	if (rc >= 0)
		return rc;
	rg_log_set_program("riskgate-dataplane");
	prepare_signals(&stop_signals);
	rc = load_config(&options, &config, &err);
	if (rc == RG_OK)
		rc = rg_service_start(config, &service, &err);
	if (rc == RG_OK) {
		rg_log(RG_LOG_INFO, "stopping signal=%s",
		       strsignal(rg_service_run(service, &stop_signals)));
		rc = rg_service_stop(service, &err);
	}
	if (rc != RG_OK) {
		rg_log(RG_LOG_ERROR, "%s", err.text);
		return EXIT_FAILED; /* the configuration is not freed: a worker may still use it */
	}
	rg_config_free(config);
	rg_log(RG_LOG_INFO, "stopped");
	return EXIT_DONE;
}

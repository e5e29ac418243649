/* SPDX-License-Identifier: Apache-2.0 */
/* riskgate-dataplane: reads the command line and riskgate.yaml, starts the service, waits for a
 * signal. */
#include <string.h>

#include "base/log.h"
#include "config/daemon.h"
#include "dataplane/service.h"

int main(int argc, char **argv)
{
	struct rg_daemon daemon = {
		.name = "riskgate-dataplane",
		.purpose =
			"Decide UDP/SBE requests with the policy that riskgate-control publishes.",
		.notes = "It runs in the foreground and logs to standard error; SIGTERM or SIGINT "
			 "stop "
			 "it. The line\n"
			 "\"riskgate-dataplane: ready ...\" says that its ports are up. Without a "
			 "policy it answers NO_POLICY.\n"};
	struct rg_config *config = NULL;
	struct rg_service *service;
	struct rg_error err;
	sigset_t stop_signals;
	int rc = rg_daemon_read_options(&daemon, argc, argv);

	if (rc >= 0)
		return rc;
	rg_log_set_program(daemon.name);
	/* Before any thread is made: only rg_service_run() takes them. */
	rg_daemon_block_signals(&stop_signals);
	rc = rg_daemon_load_config(&daemon, &config, &err);
	if (rc == RG_OK)
		rc = rg_service_start(config, &service, &err);
	if (rc == RG_OK) {
		rg_log(RG_LOG_INFO, "stopping signal=%s",
		       strsignal(rg_service_run(service, &stop_signals)));
		rc = rg_service_stop(service, &err);
	}
	if (rc != RG_OK) {
		rg_log(RG_LOG_ERROR, "%s", err.text);
		return RG_EXIT_FAILED; /* the configuration is not freed: a worker may still use it */
	}
	rg_config_free(config);
	rg_log(RG_LOG_INFO, "stopped");
	return RG_EXIT_DONE;
}

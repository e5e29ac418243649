/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate-dataplane put together: region, policy, DPDK, ports, workers, and the
 * main thread's loop.
 *
 *	start	region (refused if another process has it), policy from active-<sequence>, DPDK,
 *		ports, workers, ready
 *	run	publisher, clock, links, control's file, counters, watchdog; sleeps publish_poll_ms
 *		between turns
 *	stop	workers finish their burst, ports, DPDK, memif sockets, region marked stopped
 *
 * Thread-safety: one service a process, used by the main thread.
 */
#ifndef RG_DATAPLANE_SERVICE_H
#define RG_DATAPLANE_SERVICE_H

#include <signal.h>

#include "base/error.h"
#include "config/config.h"

struct rg_service;

/* Start everything; on RG_OK workers are deciding and the "ready" line is written. Errors name key,
 * value and remedy; then everything begun is undone. The configuration must outlive the service. */
int rg_service_start(const struct rg_config *config, struct rg_service **service,
		     struct rg_error *err);
/* Turn the main thread's loop until a signal of `stop_signals` (blocked in all threads) arrives;
 * returns it. */
int rg_service_run(struct rg_service *service, const sigset_t *stop_signals);
/* Stop everything and free it. RG_EAGAIN: a worker did not stop in time (named): the process can
 * only exit. */
int rg_service_stop(struct rg_service *service, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which core each thread gets: dataplane.cores and dataplane.workers of riskgate.yaml against the
 * cores this process may use.
 */
#ifndef RG_CONFIG_CORES_H
#define RG_CONFIG_CORES_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "shm/worker.h" /* RG_WORKERS_MAX */

struct rg_cores {
	uint32_t main; /* main thread and publisher */
	uint32_t worker[RG_WORKERS_MAX];
	uint32_t worker_count;
	bool shared; /* the main thread shares a worker's core */
};

/* Read a core's number, below CPU_SETSIZE. Returns what follows it; NULL: there is none. Pure. */
const char *rg_core_read(const char *text, uint32_t *core);

/* Choose. setting: "auto" (the highest cores are workers', the lowest the main thread's) or a list
 * such as "2,4-7": with more cores than workers the first is the main thread's; with exactly as
 * many the main thread takes the lowest allowed core outside the list, or shares the first one.
 * workers: 1..RG_WORKERS_MAX. allowed: sched_getaffinity(). Errors: RG_EINVAL, naming key, value
 * and remedy. Pure. */
int rg_cores_choose(const char *setting, uint32_t workers, const cpu_set_t *allowed,
		    struct rg_cores *cores, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate.yaml's dataplane section as the argument vector of DPDK's environment abstraction layer
 * (EAL).
 */
#ifndef RG_DATAPLANE_EAL_ARGUMENTS_H
#define RG_DATAPLANE_EAL_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"
#include "config/cores.h"

struct rg_eal_arguments {
	char **values; /* malloc'ed strings, NULL-terminated; EAL may reorder them, so free only
			  through _free() */
	int count;
	char **owned; /* the same strings in the order they were made */
};

/* Build the vector. lcore 0 is the main thread, lcore 1 + i worker i. huge_pages: use them (the
 * caller has looked whether there are any). Errors: RG_EINVAL for a device string that is neither
 * PCI nor "net_*", RG_ENOMEM. */
int rg_eal_arguments_build(const struct rg_config *config, const struct rg_cores *cores,
			   bool huge_pages, struct rg_eal_arguments *arguments,
			   struct rg_error *err);
void rg_eal_arguments_free(struct rg_eal_arguments *arguments);

#endif

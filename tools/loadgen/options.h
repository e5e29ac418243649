/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of riskgate-loadgen.
 *
 * Thread-safety: main thread.
 */
#ifndef RG_TOOLS_LOADGEN_OPTIONS_H
#define RG_TOOLS_LOADGEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tools/loadgen/load.h"
#include "tools/loadgen/transport.h"

#define RG_OPTIONS_LIST_MAX 64

struct rg_options {
	/* where to */
	struct rg_transport_dpdk_options dpdk; /* dpdk.device NULL: kernel socket */
	struct rg_transport_endpoint endpoint;
	const char *eal_arguments[RG_OPTIONS_LIST_MAX];
	int core; /* -1: wherever the system puts us (kernel socket only) */
	/* what */
	const char *config, *schema; /* schema NULL: the one that config names */
	const char *csv, *map;
	bool once;
	const char *template;
	bool generate;
	uint64_t seed, generated_count;
	const char *settings[RG_OPTIONS_LIST_MAX];
	uint32_t setting_count;
	/* how */
	struct rg_load_options load;
	bool yield;
	/* results */
	const char *json, *log_answers;
	bool quiet, require_all;
	bool help, version; /* asked for: nothing else is checked */
};

/* Read the command line. The strings stay in argv. RG_EINVAL names the option and the remedy. */
int rg_options_parse(int argc, char **argv, struct rg_options *options, struct rg_error *err);
/* The help text. */
const char *rg_options_help(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading, attaching and pinning a probe.
 *
 * A probe is a triple: x.bpf.c runs in the kernel, x.h says what its maps hold, x.c opens it with its
 * configuration. The configuration is frozen when it is loaded: it lies in read-only data, which the
 * verifier takes for constants, so what is switched off costs nothing. To change it, or when the
 * traced process is another one, the programs are loaded again; the maps stay, with what they hold.
 *
 *	/sys/fs/bpf/riskgate/<instance>/<probe>/
 *		<map>			its figures (x.h); they outlive riskgate-probe until --reset
 *		prog_<program>		what runs
 *		link_<program>[_<side>]	that it runs: while this file is there, also without
 *					riskgate-probe
 *
 * CAPABILITIES. CAP_BPF (maps, programs), CAP_PERFMON (uprobes and tracepoints, reading the traced
 * process's and the kernel's memory), and the right to write in the folder. No others: typed
 * tracepoints need no tracefs, and the place of a uprobe is found in the program's file.
 *
 * Thread-safety: one thread.
 */
#ifndef RG_BPF_ATTACH_H
#define RG_BPF_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "bpf/core.h"

struct bpf_object;

enum rg_probe_side { RG_SIDE_DATAPLANE = 0, RG_SIDE_CONTROL, RG_SIDE_COUNT };

/* What is looked at. */
struct rg_probe_target {
	struct {
		int pid;	   /* 0: not running */
		char program[512]; /* its file */
	} sides[RG_SIDE_COUNT];
	struct rg_core_config core; /* the workers */
	uint64_t slow_burst_ns;	    /* outliers: from here on a burst is one */
	uint64_t outliers_per_s;    /* outliers: kept of each core in a second */
	uint64_t slow_takeover_ns;  /* jitter: from here on a loss is kept by itself */
	uint64_t slow_io_ns;	    /* journal: from here on an operation is kept by itself */
};

struct rg_probe {
	const char *name;
	const char *about;	   /* a line for --help */
	const char *point;	   /* the probe point of its uprobe; NULL: it has none */
	bool sides[RG_SIDE_COUNT]; /* whose processes it needs */
	bool any_side;		   /* ... one of them is enough */
	/* Make the skeleton, with its configuration set. NULL: errno says why not. */
	void *(*open)(const struct rg_probe_target *target, struct bpf_object **object);
	void (*destroy)(void *skeleton);
};

extern const struct rg_probe rg_probe_stages, rg_probe_jitter, rg_probe_outliers,
	rg_probe_publishes, rg_probe_journal;
/* All of them; NULL ends the list. */
extern const struct rg_probe *const rg_probes[];

/* Can it be attached now? False: a process that it needs does not run. */
bool rg_probe_possible(const struct rg_probe *probe, const struct rg_probe_target *target);

struct rg_attached; /* a probe that runs */

/* Load the probe, attach it, and pin it in `folder`, where maps of the same layout are used on.
 * *skipped: tracepoints that this kernel has not; each is logged. Errors: RG_EIO, RG_ENOENT,
 * RG_ECORRUPT, RG_EVERSION (pinned maps of another layout: remove them). */
int rg_probe_attach(const struct rg_probe *probe, const struct rg_probe_target *target,
		    const char *folder, struct rg_attached **attached, uint32_t *skipped,
		    struct rg_error *err);
/* It ends here, and its links and programs are unpinned; the maps stay. A process that ends without
 * this leaves it running, by its pins. NULL is allowed. */
void rg_probe_detach(struct rg_attached *attached);
/* Remove what is pinned in `folder`: links and programs, and with `maps` everything. What is not
 * there is no error. */
int rg_probe_unpin(const char *folder, bool maps, struct rg_error *err);

#endif

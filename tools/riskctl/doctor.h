/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl doctor: the checks of the host.
 *
 * A check is a stage with up to three parts, after the habit of Firedancer's `configure`:
 *
 *	check   looks, and says what it finds
 *	init    sets what can be set while the machine runs (--fix); what it writes goes through
 *	        rg_changes_set(), which writes down what was there before
 *	fini    is the same for all: what was written down is put back (--undo)
 *
 * After init the check is made again: only a check that passes is a fix.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_DOCTOR_H
#define RG_TOOLS_RISKCTL_DOCTOR_H

#include "tools/riskctl/host.h"

enum rg_severity {
	RG_SEVERITY_OK = 0,
	RG_SEVERITY_ADVICE,  /* could be better; or has to be known */
	RG_SEVERITY_WARNING, /* riskgate runs, and its promises about time do not hold */
	RG_SEVERITY_ERROR,   /* riskgate-dataplane does not start, or not with this port */
	RG_SEVERITY_COUNT
};
/* "ok", "advice", "warning", "error" */
const char *rg_severity_name(enum rg_severity severity);

#define RG_FINDING_TEXT_BYTES	400
#define RG_FINDING_REMEDY_BYTES 700

struct rg_stage;
struct rg_finding {
	const struct rg_stage *stage;
	enum rg_severity severity;
	char text[RG_FINDING_TEXT_BYTES];     /* what was found */
	char remedy[RG_FINDING_REMEDY_BYTES]; /* what to do: a command where there is one; "" */
};
struct rg_findings {
	const struct rg_stage *stage; /* that adds now */
	struct rg_finding *items;
	uint32_t count, capacity;
	bool no_memory;
};
void rg_findings_free(struct rg_findings *findings);
/* Add what was found. The returned one takes a remedy; it lives until the next is added. */
struct rg_finding *rg_found(struct rg_findings *findings, enum rg_severity severity,
			    const char *format, ...) __attribute__((format(printf, 3, 4)));
void rg_remedy(struct rg_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- changes: what --fix set, kept in a file until --undo ---- */

/* Not in the programs' own run folder: whoever can write it says what --undo writes as root. */
#define RG_CHANGES_DIRECTORY "/run/riskgate-doctor"
#define RG_CHANGES_FILE	     RG_CHANGES_DIRECTORY "/changes.json"

struct rg_change {
	char *path;	      /* without the root */
	char *before, *after; /* settings, as rg_host_setting() reads them */
};
struct rg_changes {
	const struct rg_host *host;
	int lock; /* of the folder; -1 */
	struct rg_change *items;
	uint32_t count, capacity;
	uint32_t first; /* of this run: those before were set by another one */
};
/* Read what was written down; those of another boot are forgotten, for the machine has forgotten
 * them too. The file is locked until rg_changes_close(). Errors: RG_EIO (no permission: it names
 * what is needed), RG_EAGAIN (another doctor is at work), RG_ECONFLICT (others may write the
 * folder), RG_ECORRUPT (no such file, or one that names files outside /proc and /sys), RG_ENOMEM. */
int rg_changes_open(struct rg_changes *changes, const struct rg_host *host, struct rg_error *err);
void rg_changes_close(struct rg_changes *changes);
/* Set a file below the host's root, after writing down what it was. The first value wins when a
 * file is set again. Errors: RG_EIO (cannot be read, written, or does not keep the value; then
 * nothing is written down that did not change), RG_ENOMEM. */
int rg_changes_set(struct rg_changes *changes, const char *path, const char *value,
		   struct rg_error *err);
/* What an undo met that is worth telling. */
typedef void (*rg_undo_teller)(void *context, const struct rg_change *change, const char *what);
/* Put everything back, last first; what is back is forgotten. `tell` is called for each. RG_EIO:
 * some could not be put back, and are still written down. */
int rg_changes_undo(struct rg_changes *changes, rg_undo_teller tell, void *context,
		    struct rg_error *err);

/* ---- stages ---- */

struct rg_stage {
	const char *name;
	const char *looks_at; /* what is looked at, for the list of checks */
	const char *why;      /* it matters; a sentence or two */
	void (*check)(const struct rg_host *host, struct rg_findings *findings);
	/* NULL: nothing can be set while the machine runs. An error leaves the rest to do. */
	int (*init)(struct rg_changes *changes, struct rg_error *err);
	const char *sets;  /* what init writes; NULL without init */
	const char *needs; /* the capability that init needs, and why; NULL without init */
};

/* The capability with which init may write, and why it is that one. */
#define RG_NEEDS_FILE	"CAP_DAC_OVERRIDE, or root: only the files' owner, root, may write them"
#define RG_NEEDS_SYSCTL "root: /proc/sys asks who the user is, not for capabilities"

/* All, in the order of the report; NULL ends the list. */
extern const struct rg_stage *const rg_stages[];

extern const struct rg_stage rg_stage_huge_pages;
extern const struct rg_stage rg_stage_hugetlbfs;
extern const struct rg_stage rg_stage_transparent_huge_pages;
extern const struct rg_stage rg_stage_swap;
extern const struct rg_stage rg_stage_numa_balancing;
extern const struct rg_stage rg_stage_cores;
extern const struct rg_stage rg_stage_isolation;
extern const struct rg_stage rg_stage_nohz_full;
extern const struct rg_stage rg_stage_rcu_nocbs;
extern const struct rg_stage rg_stage_smt;
extern const struct rg_stage rg_stage_numa;
extern const struct rg_stage rg_stage_governor;
extern const struct rg_stage rg_stage_c_states;
extern const struct rg_stage rg_stage_interrupts;
extern const struct rg_stage rg_stage_work_queues;
extern const struct rg_stage rg_stage_watchdog;
extern const struct rg_stage rg_stage_timer_migration;
extern const struct rg_stage rg_stage_rt_throttling;
extern const struct rg_stage rg_stage_tsc;
extern const struct rg_stage rg_stage_clock_source;
extern const struct rg_stage rg_stage_clock_sync;
extern const struct rg_stage rg_stage_ports;
extern const struct rg_stage rg_stage_capabilities;
extern const struct rg_stage rg_stage_limits;
extern const struct rg_stage rg_stage_bpf;

/* What the kernel's clock discipline says, for rg_judge_clock(). */
struct rg_clock_discipline {
	bool synchronized;
	int64_t offset_ns, max_error_ns; /* of CLOCK_REALTIME from true time, as it believes */
	double rate_ppm;		 /* by which it runs it faster than its clock source */
};
/* What rg_stage_clock_sync finds of it. Pure. */
void rg_judge_clock(const struct rg_clock_discipline *clock, struct rg_findings *findings);

#endif

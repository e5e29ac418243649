/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine as riskctl doctor sees it: files of /proc, /sys and /dev below a root, and what of
 * them riskgate's configuration is about: the workers' cores and the process that owns them.
 *
 * With a root other than "/", a tree with copies of those files, what has no file (the kernel's
 * clock discipline) is not known.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_HOST_H
#define RG_TOOLS_RISKCTL_HOST_H

#include <sched.h>

#include "config/cores.h"
#include "tools/riskctl/cli.h"

#define RG_HOST_TEXT_BYTES 1024
#define RG_CPUS_TEXT_BYTES 128 /* of a list of CPUs, for people */

struct rg_host {
	const char *root; /* "": the running machine */
	const struct rg_config *config;
	bool running;	       /* the instance's data plane, on this machine */
	char process[24];      /* of /proc: its pid, or "self" */
	uint32_t idle_workers; /* running, and these many of its workers have no queue */
	cpu_set_t online;
	cpu_set_t allowed;     /* to this process, riskctl */
	struct rg_cores cores; /* worker_count 0: could not be chosen, cores_error says why */
	struct rg_error cores_error;
	cpu_set_t workers; /* their CPUs */
	cpu_set_t others;  /* online, and no worker's */
};

/* Look at the machine whose files are below `root` ("/" or a folder). Errors: RG_ENOENT: there is
 * no such folder, or no /proc and /sys below it. */
int rg_host_open(struct rg_host *host, const char *root, const struct rg_config *config,
		 struct rg_error *err);

/* The path of a file of the machine: root and `format`, into path[bytes]; returns path. */
const char *rg_host_path(const struct rg_host *host, char *path, size_t bytes, const char *format,
			 ...) __attribute__((format(printf, 4, 5)));
/* A file's text without the blanks at its end, into text[RG_HOST_TEXT_BYTES], cut there. False: it
 * is not there or cannot be read (text is ""; errno says why). */
bool rg_host_read(const struct rg_host *host, char *text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same of a file that holds a setting: of "always [madvise] never", "madvise". */
bool rg_host_setting(const struct rg_host *host, char *text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A file that begins with a number, decimal; false: it does not, or is not there. */
bool rg_host_number(const struct rg_host *host, int64_t *number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool rg_host_exists(const struct rg_host *host, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The last part of what a symbolic link says; false: it is none. */
bool rg_host_link(const struct rg_host *host, char *name, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Call visit(context, name) for each name in a folder, in order: numbers as numbers. */
void rg_host_each(const struct rg_host *host, void (*visit)(void *context, const char *name),
		  void *context, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The line of a file such as /proc/PID/status that begins with `key`: what follows it and its
 * blanks, into text[RG_HOST_TEXT_BYTES]. False: there is none. */
bool rg_host_line(const struct rg_host *host, char *text, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same into text[bytes]. */
bool rg_host_long_line(const struct rg_host *host, char *text, size_t bytes, const char *key,
		       const char *path);
/* Is a file system of this type mounted? At `where`, or anywhere when it is NULL; `found`[bytes] is
 * the first place (may be NULL). */
bool rg_host_mounted(const struct rg_host *host, const char *type, const char *where, char *found,
		     size_t bytes);
/* Does the process have the capability, a bit of CapEff (linux/capability.h)? */
bool rg_host_capable(const struct rg_host *host, unsigned capability);
/* A soft limit of the process, by its name in /proc/PID/limits; UINT64_MAX: unlimited. */
bool rg_host_limit(const struct rg_host *host, const char *name, uint64_t *limit);

/* ---- lists of CPUs: "0-3,8" ---- */

/* False: the text is no such list. "" is the empty set. */
bool rg_cpus_parse(const char *text, cpu_set_t *cpus);
/* A list in a file; false: it is not there, or no list. */
bool rg_host_cpus(const struct rg_host *host, cpu_set_t *cpus, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* As text, into text[bytes] (cut there); returns text. "none" for the empty set. */
const char *rg_cpus_format(const cpu_set_t *cpus, char *text, size_t bytes);
/* a without b. */
cpu_set_t rg_cpus_without(const cpu_set_t *a, const cpu_set_t *b);
cpu_set_t rg_cpus_both(const cpu_set_t *a, const cpu_set_t *b);
static inline bool rg_cpus_any(const cpu_set_t *cpus)
{
	return CPU_COUNT(cpus) > 0;
}
/* The NUMA node of a CPU; 0 where the kernel tells of none. */
unsigned rg_host_node_of(const struct rg_host *host, unsigned cpu);

#endif

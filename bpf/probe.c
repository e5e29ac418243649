/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate-probe: attaches probes to the processes of an instance, and again when a process is
 * another one.
 *
 * Who the processes are stands in the region, and is looked up five times a second. A probe is
 * attached when the processes it needs run, and taken away when one of them ends.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/log.h"
#include "bpf/attach.h"
#include "bpf/pinned.h"
#include "config/config.h"
#include "shm/region.h"

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define PROBES_MAX     8
#define LOOK_PERIOD_NS 200000000
#define REOPEN_LOOKS   5  /* a file may have been replaced by another one */
#define RETRY_LOOKS    25 /* a probe that could not be attached is tried again after so many */
#define NS_PER_US      1000ull
#define SLOW_US_MAX    60000000ull
#define OUTLIERS_MAX   100000ull

struct options {
	const char *config, *instance, *bpffs;
	const char *programs[RG_SIDE_COUNT];
	bool once, reset, remove;
	uint64_t slow_burst_us, outliers_per_s, slow_takeover_us, slow_io_us;
	const struct rg_probe *probes[PROBES_MAX];
	uint32_t probe_count;
};

/* One probe that was asked for. */
struct slot {
	const struct rg_probe *probe;
	char folder[400];
	struct rg_attached *attached;
	struct rg_probe_target target; /* what it is attached to */
	uint32_t looks_to_wait;
};

struct daemon {
	struct options options;
	struct rg_config *config;
	const char *instance;
	struct rg_region *region; /* NULL: there is none yet */
	uint32_t looks;
	struct slot slots[PROBES_MAX];
};

static const char usage_head[] =
	"Usage: riskgate-probe [OPTION]... [PROBE]...\n"
	"Attach eBPF probes to a running instance; `riskctl trace PROBE` shows what they see.\n"
	"\n"
	"  -c, --config FILE     riskgate.yaml (default: $RISKGATE_CONFIG, else "
	"/etc/riskgate/riskgate.yaml)\n"
	"  -i, --instance NAME   the instance, instead of the file's\n"
	"  -1, --once            attach, leave the probes running, and exit\n"
	"  -r, --reset           forget the figures of an earlier run first\n"
	"  -R, --remove          end the probes, remove all of their pinned files, and exit\n"
	"      --slow-burst US   outliers: bursts from here on (default 100)\n"
	"      --outliers N      outliers: kept of each core in a second (default 100)\n"
	"      --slow-takeover US  jitter: losses from here on are kept by themselves (default "
	"100)\n"
	"      --slow-io US      journal: operations from here on are kept by themselves (default "
	"10000)\n"
	"      --dataplane FILE  the program of the data plane, where /proc does not tell\n"
	"      --control FILE    the program of control, where /proc does not tell\n"
	"      --bpffs DIR       where the BPF file system is (default " RG_PINNED_ROOT ")\n"
	"  -l, --log-level LEVEL error, warning, info (default) or debug\n"
	"  -h, --help            print this and exit\n"
	"  -V, --version         print the version and exit\n"
	"\n"
	"Probes, all of them where none is named:\n"
	"\n";
static const char usage_tail[] =
	"\n"
	"It runs in the foreground, attaches again when a process of the instance is another one, "
	"and\n"
	"ends the probes on SIGTERM or SIGINT; the figures stay until --reset or --remove.\n"
	"It needs CAP_BPF and CAP_PERFMON, and a BPF file system in which it may write.\n"
	"Exit status: 0 done, 1 failed, 2 wrong use.\n"
	"\n"
	"Examples:\n"
	"  riskgate-probe --config /etc/riskgate/riskgate.yaml\n"
	"  riskgate-probe --slow-burst 20 stages outliers\n"
	"  riskgate-probe --remove\n";

static void print_usage(void)
{
	fputs(usage_head, stdout);
	for (const struct rg_probe *const *probe = rg_probes; *probe; probe++)
		printf("  %-12s %s\n", (*probe)->name, (*probe)->about);
	fputs(usage_tail, stdout);
}

static bool read_number(const char *option, const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *number <= most)
		return true;
	fprintf(stderr, "riskgate-probe: --%s: \"%s\" is no number from 0 to %" PRIu64 "\n", option,
		text, most);
	return false;
}

static bool add_probe(struct options *options, const char *name)
{
	for (const struct rg_probe *const *probe = rg_probes; *probe; probe++) {
		if (strcmp((*probe)->name, name) != 0)
			continue;
		for (uint32_t i = 0; i < options->probe_count; i++)
			if (options->probes[i] == *probe)
				return true;
		options->probes[options->probe_count++] = *probe;
		return true;
	}
	fprintf(stderr, "riskgate-probe: there is no probe \"%s\"\n", name);
	return false;
}

enum {
	LONG_SLOW_BURST = 256,
	LONG_OUTLIERS,
	LONG_SLOW_TAKEOVER,
	LONG_SLOW_IO,
	LONG_DATAPLANE,
	LONG_CONTROL,
	LONG_BPFFS
};

/* Read one option. Returns -1 to go on, else the exit code. */
static int read_option(struct options *options, int option)
{
	enum rg_log_level level;
	bool good = true;

	switch (option) {
	case 'c': options->config = optarg; break;
	case 'i': options->instance = optarg; break;
	case '1': options->once = true; break;
	case 'r': options->reset = true; break;
	case 'R': options->remove = true; break;
	case LONG_DATAPLANE: options->programs[RG_SIDE_DATAPLANE] = optarg; break;
	case LONG_CONTROL: options->programs[RG_SIDE_CONTROL] = optarg; break;
	case LONG_BPFFS: options->bpffs = optarg; break;
	case LONG_SLOW_BURST:
		good = read_number("slow-burst", optarg, SLOW_US_MAX, &options->slow_burst_us);
		break;
	case LONG_OUTLIERS:
		good = read_number("outliers", optarg, OUTLIERS_MAX, &options->outliers_per_s);
		break;
	case LONG_SLOW_TAKEOVER:
		good = read_number("slow-takeover", optarg, SLOW_US_MAX,
				   &options->slow_takeover_us);
		break;
	case LONG_SLOW_IO:
		good = read_number("slow-io", optarg, SLOW_US_MAX, &options->slow_io_us);
		break;
	case 'l':
		good = rg_log_level_parse(optarg, &level);
		if (good)
			rg_log_set_level(level);
		else
			fprintf(stderr,
				"riskgate-probe: --log-level: \"%s\" is none of error, warning, "
				"info, debug\n",
				optarg);
		break;
	case 'h': print_usage(); return EXIT_DONE;
	case 'V': puts("riskgate-probe " RG_VERSION); return EXIT_DONE;
	default: good = false;
	}
	return good ? -1 : EXIT_USAGE;
}

static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"config", required_argument, NULL, 'c'},
		{"instance", required_argument, NULL, 'i'},
		{"once", no_argument, NULL, '1'},
		{"reset", no_argument, NULL, 'r'},
		{"remove", no_argument, NULL, 'R'},
		{"slow-burst", required_argument, NULL, LONG_SLOW_BURST},
		{"outliers", required_argument, NULL, LONG_OUTLIERS},
		{"slow-takeover", required_argument, NULL, LONG_SLOW_TAKEOVER},
		{"slow-io", required_argument, NULL, LONG_SLOW_IO},
		{"dataplane", required_argument, NULL, LONG_DATAPLANE},
		{"control", required_argument, NULL, LONG_CONTROL},
		{"bpffs", required_argument, NULL, LONG_BPFFS},
		{"log-level", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	int option, rc = -1;

	*options = (struct options){.bpffs = RG_PINNED_ROOT,
				    .slow_burst_us = 100,
				    .outliers_per_s = 100,
				    .slow_takeover_us = 100,
				    .slow_io_us = 10000};
	while (rc < 0 && (option = getopt_long(argc, argv, "c:i:1rRl:hV", names, NULL)) != -1)
		rc = read_option(options, option);
	for (int i = optind; rc < 0 && i < argc; i++)
		rc = add_probe(options, argv[i]) ? -1 : EXIT_USAGE;
	if (rc == EXIT_USAGE)
		fputs("Try 'riskgate-probe --help'.\n", stderr);
	if (!options->probe_count)
		while (rg_probes[options->probe_count]) {
			options->probes[options->probe_count] = rg_probes[options->probe_count];
			options->probe_count++;
		}
	return rc;
}

/* ---- who runs ---- */

/* The program's file: what was said, what the process runs, or what lies beside this program. */
static void find_program(const struct options *options, int side, int pid, char *path, size_t bytes)
{
	static const char *const names[RG_SIDE_COUNT] = {"riskgate-dataplane", "riskgate-control"};
	char own[400];
	ssize_t length;

	if (options->programs[side]) {
		snprintf(path, bytes, "%s", options->programs[side]);
		return;
	}
	snprintf(path, bytes, "/proc/%d/exe", pid);
	if (!access(path, R_OK))
		return;
	length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	own[length > 0 ? length : 0] = '\0';
	if (strrchr(own, '/'))
		*strrchr(own, '/') = '\0';
	snprintf(path, bytes, "%s/%s", own, names[side]);
}

/* The threads and cores of the workers. False: not all of them run yet. */
static bool find_workers(const struct rg_region_dataplane *dataplane, struct rg_core_config *core)
{
	for (uint32_t i = 0; i < dataplane->worker_count; i++) {
		const struct rg_worker *worker = dataplane->workers[i].status;
		struct rg_worker_identity identity;

		if (rg_worker_state(worker) != RG_WORKER_RUNNING ||
		    rg_worker_read_identity(worker, &identity))
			return false;
		if (identity.cpu == UINT64_MAX)
			continue; /* bound to no core: nobody can take it */
		core->workers[core->worker_count++] = (struct rg_core_worker){
			.thread_id = (uint32_t)identity.thread_id, .cpu = (uint32_t)identity.cpu};
	}
	return true;
}

/* The process of that role; 0: it does not run. A lock can be there before its owner's number is. */
static int find_process(const struct rg_region *region, enum rg_region_role role)
{
	int pid = rg_region_running(region, role) ? (int)rg_region_pid(region, role) : 0;

	return pid && (!kill(pid, 0) || errno == EPERM) ? pid : 0;
}

/* Map the region, and again while somebody does not run: it may come back with another file. It is
 * large: while all run, nothing is mapped. */
static bool open_region(struct daemon *daemon)
{
	bool all_run = daemon->region && find_process(daemon->region, RG_REGION_DATAPLANE) &&
		       find_process(daemon->region, RG_REGION_CONTROL);
	char directory[RG_REGION_PATH_BYTES];

	if (all_run || (daemon->region && ++daemon->looks % REOPEN_LOOKS))
		return true;
	rg_region_close(daemon->region);
	daemon->region = NULL;
	return !rg_region_directory(daemon->config->region.directory, daemon->instance, 0,
				    directory, sizeof(directory), NULL) &&
	       !rg_region_open_readonly(directory, &daemon->region, NULL);
}

/* Look into the region. What is not there is not running. */
static void look(struct daemon *daemon, struct rg_probe_target *target)
{
	static const enum rg_region_role roles[RG_SIDE_COUNT] = {RG_REGION_DATAPLANE,
								 RG_REGION_CONTROL};
	const struct options *options = &daemon->options;

	memset(target, 0, sizeof(*target));
	target->slow_burst_ns = options->slow_burst_us * NS_PER_US;
	target->outliers_per_s = options->outliers_per_s;
	target->slow_takeover_ns = options->slow_takeover_us * NS_PER_US;
	target->slow_io_ns = options->slow_io_us * NS_PER_US;
	if (!open_region(daemon))
		return;
	for (int side = 0; side < RG_SIDE_COUNT; side++) {
		int pid = find_process(daemon->region, roles[side]);

		if (side == RG_SIDE_DATAPLANE && pid &&
		    !find_workers(rg_region_dataplane(daemon->region), &target->core))
			pid = 0;
		target->sides[side].pid = pid;
		if (pid)
			find_program(options, side, pid, target->sides[side].program,
				     sizeof(target->sides[side].program));
	}
	if (!target->sides[RG_SIDE_DATAPLANE].pid)
		memset(&target->core, 0, sizeof(target->core));
}

/* What looks at the workers' cores shall not take them. If there are no others, it has to. */
static void keep_off(const struct rg_core_config *core)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (uint32_t i = 0; i < core->worker_count; i++)
		CPU_CLR(core->workers[i].cpu, &allowed);
	if (CPU_COUNT(&allowed))
		sched_setaffinity(0, sizeof(allowed), &allowed);
}

/* Are the processes that the probe needs the same ones? */
static bool is_same(const struct rg_probe *probe, const struct rg_probe_target *a,
		    const struct rg_probe_target *b)
{
	for (int side = 0; side < RG_SIDE_COUNT; side++)
		if (probe->sides[side] && a->sides[side].pid != b->sides[side].pid)
			return false;
	return !probe->sides[RG_SIDE_DATAPLANE] || !memcmp(&a->core, &b->core, sizeof(a->core));
}

/* ---- attaching ---- */

/* Returns RG_OK also when it has to wait for a process. */
static int look_after(struct slot *slot, const struct rg_probe_target *target, struct rg_error *err)
{
	uint32_t skipped = 0;
	int rc;

	if (slot->attached && is_same(slot->probe, &slot->target, target))
		return RG_OK;
	if (slot->attached) {
		rg_probe_detach(slot->attached);
		slot->attached = NULL;
		rg_log(RG_LOG_INFO, "detached probe=%s: its process has ended", slot->probe->name);
	}
	if (slot->looks_to_wait && slot->looks_to_wait--)
		return RG_OK;
	if (!rg_probe_possible(slot->probe, target))
		return RG_OK;
	rc = rg_probe_attach(slot->probe, target, slot->folder, &slot->attached, &skipped, err);
	if (rc) {
		slot->looks_to_wait = RETRY_LOOKS;
		return rc;
	}
	slot->target = *target;
	rg_log(RG_LOG_INFO, "attached probe=%s dataplane=%d control=%d workers=%u skipped=%u",
	       slot->probe->name, target->sides[RG_SIDE_DATAPLANE].pid,
	       target->sides[RG_SIDE_CONTROL].pid, target->core.worker_count, skipped);
	return RG_OK;
}

/* All of them once. The first error; with --once a process that does not run is one too. */
static int look_after_all(struct daemon *daemon, struct rg_error *err)
{
	struct rg_probe_target target;
	int rc = RG_OK;

	look(daemon, &target);
	keep_off(&target.core);
	for (uint32_t i = 0; i < daemon->options.probe_count; i++) {
		struct rg_error failure;
		int failed = look_after(&daemon->slots[i], &target, &failure);

		if (!failed && daemon->options.once && !daemon->slots[i].attached)
			failed = rg_error_set(&failure, RG_EAGAIN,
					      "probe %s: the process it is for does not run",
					      daemon->slots[i].probe->name);
		if (failed && daemon->options.once == false)
			rg_log(RG_LOG_ERROR, "%s", failure.text);
		if (failed && !rc) {
			rc = failed;
			*err = failure;
		}
	}
	return rc;
}

static int for_each_folder(struct daemon *daemon, bool maps, struct rg_error *err)
{
	int rc = RG_OK;

	for (uint32_t i = 0; !rc && i < daemon->options.probe_count; i++)
		rc = rg_probe_unpin(daemon->slots[i].folder, maps, err);
	return rc;
}

/* Until a signal. A probe that could not be attached at the start is an error: its reason is there
 * and will stay; later, a process may just have died. */
static int run(struct daemon *daemon, const sigset_t *signals, struct rg_error *err)
{
	const struct timespec period = {.tv_nsec = LOOK_PERIOD_NS};
	struct rg_error failure;
	int rc = look_after_all(daemon, err);

	if (rc || daemon->options.once)
		return rc; /* what is attached runs on, by its pins */
	rg_log(RG_LOG_INFO, "ready instance=%s probes=%u", daemon->instance,
	       daemon->options.probe_count);
	while (sigtimedwait(signals, NULL, &period) < 0)
		look_after_all(daemon, &failure);
	return RG_OK;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = '\0';
	rg_log(level == LIBBPF_WARN ? RG_LOG_INFO : RG_LOG_DEBUG, "%s", line);
	return 0;
}

static int start(struct daemon *daemon, struct rg_error *err)
{
	const struct options *options = &daemon->options;
	int rc = rg_config_load(options->config, &daemon->config, err);

	if (rc)
		return rc;
	daemon->instance = options->instance ? options->instance : daemon->config->instance;
	for (uint32_t i = 0; i < options->probe_count; i++) {
		daemon->slots[i].probe = options->probes[i];
		rg_pinned_path(daemon->slots[i].folder, sizeof(daemon->slots[i].folder),
			       options->bpffs, daemon->instance, options->probes[i]->name, NULL);
	}
	return RG_OK;
}

int main(int argc, char **argv)
{
	static struct daemon daemon;
	struct rg_error err;
	sigset_t signals;
	int rc = read_options(argc, argv, &daemon.options);

	if (rc >= 0)
		return rc;
	rg_log_set_program("riskgate-probe");
	libbpf_set_print(quiet);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	rc = start(&daemon, &err);
	if (!rc && (daemon.options.remove || daemon.options.reset))
		rc = for_each_folder(&daemon, true, &err);
	if (!rc && !daemon.options.remove)
		rc = run(&daemon, &signals, &err);
	if (!daemon.options.once)
		for (uint32_t i = 0; i < daemon.options.probe_count; i++)
			rg_probe_detach(daemon.slots[i].attached);
	rg_region_close(daemon.region);
	rg_config_free(daemon.config);
	if (rc) {
		rg_log(RG_LOG_ERROR, "%s", err.text);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

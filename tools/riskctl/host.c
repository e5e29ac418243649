/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the machine. */
#include "tools/riskctl/host.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/cores.h"
#include "shm/region.h"

#define PATH_BYTES 600

static const char *vpath(const struct rg_host *host, char *path, size_t bytes, const char *format,
			 va_list args)
{
	size_t used = (size_t)snprintf(path, bytes, "%s", host->root);

	if (used < bytes)
		vsnprintf(path + used, bytes - used, format, args);
	return path;
}

/* The path that the caller's `format, ...` names. */
#define MAKE_PATH(host, path, format)                                                              \
	do {                                                                                       \
		va_list args_;                                                                     \
		va_start(args_, format);                                                           \
		vpath(host, path, sizeof(path), format, args_);                                    \
		va_end(args_);                                                                     \
	} while (0)

const char *rg_host_path(const struct rg_host *host, char *path, size_t bytes, const char *format,
			 ...)
{
	va_list args;

	va_start(args, format);
	vpath(host, path, bytes, format, args);
	va_end(args);
	return path;
}

static bool read_path(const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = -1;

	text[0] = '\0';
	if (fd < 0)
		return false;
	while (used < RG_HOST_TEXT_BYTES - 1) {
		n = read(fd, text + used, RG_HOST_TEXT_BYTES - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	while (used && isspace((unsigned char)text[used - 1]))
		used--;
	text[used] = '\0';
	return n >= 0;
}

bool rg_host_read(const struct rg_host *host, char *text, const char *format, ...)
{
	char path[PATH_BYTES];

	MAKE_PATH(host, path, format);
	return read_path(path, text);
}

bool rg_host_setting(const struct rg_host *host, char *text, const char *format, ...)
{
	char path[PATH_BYTES], *chosen;

	MAKE_PATH(host, path, format);
	if (!read_path(path, text))
		return false;
	chosen = strchr(text, '[');
	if (chosen) {
		chosen[strcspn(chosen, "]")] = '\0';
		memmove(text, chosen + 1, strlen(chosen + 1) + 1);
	}
	return true;
}

bool rg_host_number(const struct rg_host *host, int64_t *number, const char *format, ...)
{
	char path[PATH_BYTES], text[RG_HOST_TEXT_BYTES], *end;

	MAKE_PATH(host, path, format);
	if (!read_path(path, text))
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return end != text && !errno;
}

bool rg_host_exists(const struct rg_host *host, const char *format, ...)
{
	char path[PATH_BYTES];

	MAKE_PATH(host, path, format);
	return access(path, F_OK) == 0;
}

bool rg_host_link(const struct rg_host *host, char *name, size_t bytes, const char *format, ...)
{
	char path[PATH_BYTES], target[PATH_BYTES];
	const char *last;
	ssize_t length;

	MAKE_PATH(host, path, format);
	length = readlink(path, target, sizeof(target) - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	last = strrchr(target, '/');
	snprintf(name, bytes, "%s", last ? last + 1 : target);
	return true;
}

static int by_number_and_name(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

void rg_host_each(const struct rg_host *host, void (*visit)(void *context, const char *name),
		  void *context, const char *format, ...)
{
	char path[PATH_BYTES];
	struct dirent **entries;
	int count;

	MAKE_PATH(host, path, format);
	count = scandir(path, &entries, NULL, by_number_and_name);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.')
			visit(context, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static bool find_line(const char *path, const char *key, char *text, size_t bytes)
{
	FILE *file = fopen(path, "re");
	size_t capacity = 0, key_bytes = strlen(key);
	bool found = false;
	char *line = NULL;

	text[0] = '\0';
	while (file && !found && getline(&line, &capacity, file) > 0) {
		if (strncmp(line, key, key_bytes) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(text, bytes, "%s", line + key_bytes + strspn(line + key_bytes, " \t:"));
		found = true;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

bool rg_host_line(const struct rg_host *host, char *text, const char *key, const char *format, ...)
{
	char path[PATH_BYTES];

	MAKE_PATH(host, path, format);
	return find_line(path, key, text, RG_HOST_TEXT_BYTES);
}

bool rg_host_long_line(const struct rg_host *host, char *text, size_t bytes, const char *key,
		       const char *path)
{
	char full[PATH_BYTES];

	return find_line(rg_host_path(host, full, sizeof(full), "%s", path), key, text, bytes);
}

bool rg_host_mounted(const struct rg_host *host, const char *type, const char *where, char *found,
		     size_t bytes)
{
	char path[PATH_BYTES], line[2 * RG_HOST_TEXT_BYTES], place[512], kind[64];
	FILE *file = fopen(rg_host_path(host, path, sizeof(path), "/proc/mounts"), "re");
	bool is = false;

	while (file && !is && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %511s %63s", place, kind) != 2 || strcmp(kind, type) != 0 ||
		    (where && strcmp(where, place) != 0))
			continue;
		if (found)
			snprintf(found, bytes, "%s", place);
		is = true;
	}
	if (file)
		fclose(file);
	return is;
}

bool rg_host_capable(const struct rg_host *host, unsigned capability)
{
	char text[RG_HOST_TEXT_BYTES];

	return rg_host_line(host, text, "CapEff:", "/proc/%s/status", host->process) &&
	       strtoull(text, NULL, 16) >> capability & 1;
}

bool rg_host_limit(const struct rg_host *host, const char *name, uint64_t *limit)
{
	char text[RG_HOST_TEXT_BYTES], *end;

	if (!rg_host_line(host, text, name, "/proc/%s/limits", host->process))
		return false;
	*limit = strtoull(text, &end, 10);
	if (end == text)
		*limit = UINT64_MAX;
	return end != text || strncmp(text, "unlimited", 9) == 0;
}

/* ---- lists of CPUs ---- */

bool rg_cpus_parse(const char *text, cpu_set_t *cpus)
{
	const char *at = text;
	unsigned first, last;

	CPU_ZERO(cpus);
	while (*at) {
		at = rg_core_read(at, &first);
		last = first;
		if (at && *at == '-')
			at = rg_core_read(at + 1, &last);
		if (!at || (*at && *at != ','))
			return false;
		for (unsigned cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, cpus);
		at += *at == ',';
	}
	return true;
}

bool rg_host_cpus(const struct rg_host *host, cpu_set_t *cpus, const char *format, ...)
{
	char path[PATH_BYTES], text[RG_HOST_TEXT_BYTES];

	MAKE_PATH(host, path, format);
	CPU_ZERO(cpus);
	return read_path(path, text) && rg_cpus_parse(text, cpus);
}

const char *rg_cpus_format(const cpu_set_t *cpus, char *text, size_t bytes)
{
	size_t used = 0;

	snprintf(text, bytes, "none");
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && used < bytes; cpu++) {
		unsigned last = cpu;

		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		used += (size_t)snprintf(text + used, bytes - used, last > cpu ? "%s%u-%u" : "%s%u",
					 used ? "," : "", cpu, last);
		cpu = last;
	}
	return text;
}

cpu_set_t rg_cpus_without(const cpu_set_t *a, const cpu_set_t *b)
{
	cpu_set_t left = *a;

	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, b))
			CPU_CLR(cpu, &left);
	return left;
}

cpu_set_t rg_cpus_both(const cpu_set_t *a, const cpu_set_t *b)
{
	cpu_set_t both;

	CPU_AND(&both, a, b);
	return both;
}

struct node_search {
	const struct rg_host *host;
	unsigned cpu, node;
};

static void look_for_node(void *context, const char *name)
{
	struct node_search *search = context;
	cpu_set_t cpus;
	unsigned node;

	if (sscanf(name, "node%u", &node) == 1 &&
	    rg_host_cpus(search->host, &cpus, "/sys/devices/system/node/%s/cpulist", name) &&
	    CPU_ISSET(search->cpu, &cpus))
		search->node = node;
}

unsigned rg_host_node_of(const struct rg_host *host, unsigned cpu)
{
	struct node_search search = {.host = host, .cpu = cpu};

	rg_host_each(host, look_for_node, &search, "/sys/devices/system/node");
	return search.node;
}

/* ---- the data plane and its cores ---- */

/* A running data plane tells its cores itself, and its limits and capabilities count. */
static void find_dataplane(struct rg_host *host)
{
	const struct rg_config *config = host->config;
	const char *directory = config->region.directory;
	char found[RG_REGION_PATH_BYTES], comm[RG_HOST_TEXT_BYTES];
	const struct rg_region_dataplane *dataplane;
	struct rg_region *region = NULL;

	if (strcmp(directory, "auto") == 0) {
		if (rg_region_directory(directory, config->instance, 0, found, sizeof(found), NULL))
			return;
		directory = found;
	}
	if (rg_region_open_readonly(directory, &region, NULL))
		return;
	dataplane = rg_region_dataplane(region);
	host->running = dataplane->header && rg_region_running(region, RG_REGION_DATAPLANE);
	if (host->running) {
		host->cores.worker_count = dataplane->worker_count;
		for (uint32_t w = 0; w < dataplane->worker_count; w++) {
			struct rg_worker_identity identity = {0};

			rg_worker_read_identity(dataplane->workers[w].status, &identity);
			host->idle_workers += identity.started_ns && !identity.queues[0];
			host->cores.worker[w] =
				identity.cpu == UINT64_MAX ? 0 : (uint32_t)identity.cpu;
		}
		snprintf(host->process, sizeof(host->process), "%llu",
			 (unsigned long long)rg_region_pid(region, RG_REGION_DATAPLANE));
		/* The number is of the data plane's pid namespace: it may be another process here. */
		if (!rg_host_read(host, comm, "/proc/%s/comm", host->process) ||
		    strncmp(comm, "riskgate-datapl", 15) != 0)
			snprintf(host->process, sizeof(host->process), "self");
	}
	rg_region_close(region);
}

/* As riskgate-dataplane will choose. A list may name cores that this process may not use: isolated
 * ones are in nobody's affinity until a service's CPUAffinity= puts them there. */
static void choose_cores(struct rg_host *host)
{
	const char *setting = host->config->dataplane.cores;
	bool automatic = strcmp(setting, "auto") == 0;

	if (rg_cores_choose(setting, host->config->dataplane.workers,
			    automatic ? &host->allowed : &host->online, &host->cores,
			    &host->cores_error))
		host->cores.worker_count = 0;
}

int rg_host_open(struct rg_host *host, const char *root, const struct rg_config *config,
		 struct rg_error *err)
{
	char text[RG_HOST_TEXT_BYTES];
	struct stat st;

	*host = (struct rg_host){
		.root = strcmp(root, "/") == 0 ? "" : root, .config = config, .process = "self"};
	if (stat(root, &st) || !S_ISDIR(st.st_mode) || !rg_host_exists(host, "/proc") ||
	    !rg_host_exists(host, "/sys"))
		return rg_error_set(err, RG_ENOENT,
				    "%s: there is no folder with proc and sys in it", root);
	if (!rg_host_cpus(host, &host->online, "/sys/devices/system/cpu/online"))
		CPU_SET(0, &host->online);
	if (!rg_host_line(host, text, "Cpus_allowed_list:", "/proc/self/status") ||
	    !rg_cpus_parse(text, &host->allowed))
		host->allowed = host->online;
	if (!*host->root)
		find_dataplane(host);
	if (!host->running)
		choose_cores(host);
	for (uint32_t w = 0; w < host->cores.worker_count; w++)
		CPU_SET(host->cores.worker[w], &host->workers);
	host->others = rg_cpus_without(&host->online, &host->workers);
	return RG_OK;
}

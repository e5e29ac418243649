/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of memory: huge pages, what the kernel does with memory behind the data plane's back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/region.h"
#include "tools/riskctl/doctor.h"

#define NODES_MAX 64
#define GIB	  ((uint64_t)1 << 30)

/* ---- huge pages ---- */

struct page_sum {
	const struct rg_host *host;
	const char *folder; /* of the page sizes */
	uint64_t total_bytes, free_bytes;
	char text[160]; /* "160 of 320 pages of 2 MiB free" */
};

static void add_size(void *context, const char *name)
{
	struct page_sum *sum = context;
	int64_t total = 0, free_pages = 0, promised = 0;
	unsigned long kib;
	size_t used = strlen(sum->text);

	if (sscanf(name, "hugepages-%lukB", &kib) != 1)
		return;
	rg_host_number(sum->host, &total, "%s/%s/nr_hugepages", sum->folder, name);
	rg_host_number(sum->host, &free_pages, "%s/%s/free_hugepages", sum->folder, name);
	/* Promised to programs that have mapped and not touched them: of which node is not said. */
	rg_host_number(sum->host, &promised, "/sys/kernel/mm/hugepages/%s/resv_hugepages", name);
	free_pages = free_pages > promised ? free_pages - promised : 0;
	sum->total_bytes += (uint64_t)total * kib * 1024;
	sum->free_bytes += (uint64_t)free_pages * kib * 1024;
	if (total)
		snprintf(sum->text + used, sizeof(sum->text) - used,
			 "%s%" PRId64 " of %" PRId64 " pages of %lu MiB free", used ? ", " : "",
			 free_pages, total, kib / 1024);
}

/* Folder of a node's page sizes, or the machine's where it has no nodes. */
static const char *node_folder(const struct rg_host *host, unsigned node, char *folder,
			       size_t bytes)
{
	snprintf(folder, bytes, "/sys/devices/system/node/node%u/hugepages", node);
	if (!rg_host_exists(host, "%s", folder))
		snprintf(folder, bytes, "/sys/kernel/mm/hugepages");
	return folder;
}

static void worker_nodes(const struct rg_host *host, bool nodes[NODES_MAX], unsigned *count)
{
	memset(nodes, 0, NODES_MAX * sizeof(nodes[0]));
	*count = 0;
	for (uint32_t w = 0; w < host->cores.worker_count; w++) {
		unsigned node = rg_host_node_of(host, host->cores.worker[w]);

		if (node < NODES_MAX && !nodes[node]) {
			nodes[node] = true;
			++*count;
		}
	}
	if (!*count) {
		nodes[0] = true;
		*count = 1;
	}
}

/* Packet buffers, and the region where it goes to huge pages. */
static uint64_t needed_bytes(const struct rg_host *host)
{
	const struct rg_config *config = host->config;
	struct rg_region_config wanted = {.worker_count = config->dataplane.workers,
					  .ring_bytes = config->region.ring_bytes,
					  .instance = config->instance};
	uint64_t bytes =
		config->dataplane.huge_pages ? (uint64_t)config->dataplane.memory_mib << 20 : 0;

	if (strcmp(config->region.directory, "auto") == 0 &&
	    rg_host_mounted(host, "hugetlbfs", NULL, NULL, 0))
		bytes += rg_region_needed_bytes(&wanted);
	return bytes;
}

/* Of the kernel's default size, from which both DPDK and hugetlbfs take them. */
static uint64_t default_page_bytes(const struct rg_host *host)
{
	char text[RG_HOST_TEXT_BYTES];

	return rg_host_line(host, text, "Hugepagesize:", "/proc/meminfo")
		       ? strtoull(text, NULL, 10) * 1024
		       : 0;
}

static uint64_t pages_short(const struct rg_host *host, const struct page_sum *sum, uint64_t needed)
{
	uint64_t have = host->running ? sum->total_bytes : sum->free_bytes,
		 page = default_page_bytes(host);

	return have >= needed || !page ? 0 : (needed - have + page - 1) / page;
}

static void check_node(const struct rg_host *host, unsigned node, uint64_t needed,
		       struct rg_findings *findings)
{
	char folder[96];
	struct page_sum sum = {.host = host,
			       .folder = node_folder(host, node, folder, sizeof(folder))};
	uint64_t missing;
	int64_t total = 0;
	unsigned long kib = (unsigned long)(default_page_bytes(host) / 1024);

	rg_host_each(host, add_size, &sum, "%s", folder);
	missing = pages_short(host, &sum, needed);
	if (!missing && needed >= GIB && kib * 1024 < GIB) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "node %u: %s; %" PRIu64
				   " MiB are needed, enough for pages of 1 GiB",
				   node, sum.text, needed >> 20),
			  "kernel command line: default_hugepagesz=1G hugepagesz=1G "
			  "hugepages=%" PRIu64,
			  (needed + GIB - 1) / GIB);
		return;
	}
	if (!missing) {
		rg_found(findings, RG_SEVERITY_OK, "node %u: %s; %" PRIu64 " MiB are needed", node,
			 sum.text[0] ? sum.text : "none", needed >> 20);
		return;
	}
	rg_host_number(host, &total, "%s/hugepages-%lukB/nr_hugepages", folder, kib);
	rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
			   "node %u: %s, and %" PRIu64
			   " MiB are needed: riskgate-dataplane runs on "
			   "ordinary memory",
			   node, sum.text[0] ? sum.text : "no huge pages", needed >> 20),
		  "echo %" PRIu64 " > %s/hugepages-%lukB/nr_hugepages", (uint64_t)total + missing,
		  folder, kib);
}

static void check_huge_pages(const struct rg_host *host, struct rg_findings *findings)
{
	uint64_t needed = needed_bytes(host);
	bool nodes[NODES_MAX];
	unsigned count;

	if (!host->config->dataplane.huge_pages) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "not used: dataplane.huge_pages is false"),
			  "set dataplane.huge_pages: true in the configuration");
		return;
	}
	if (!default_page_bytes(host)) {
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "this kernel has no huge pages: riskgate-dataplane runs on "
				   "ordinary memory"),
			  "use a kernel with CONFIG_HUGETLBFS");
		return;
	}
	worker_nodes(host, nodes, &count);
	for (unsigned node = 0; node < NODES_MAX; node++)
		if (nodes[node])
			check_node(host, node, needed / count, findings);
}

static int set_huge_pages(struct rg_changes *changes, struct rg_error *err)
{
	const struct rg_host *host = changes->host;
	unsigned long kib = (unsigned long)(default_page_bytes(host) / 1024);
	bool nodes[NODES_MAX];
	unsigned count;
	int result = RG_OK;

	if (!kib || !host->config->dataplane.huge_pages)
		return RG_OK;
	worker_nodes(host, nodes, &count);
	for (unsigned node = 0; node < NODES_MAX; node++) {
		char folder[96], path[160], value[24];
		struct page_sum sum = {.host = host,
				       .folder = node_folder(host, node, folder, sizeof(folder))};
		uint64_t missing;
		int64_t total = 0;

		if (!nodes[node])
			continue;
		rg_host_each(host, add_size, &sum, "%s", folder);
		missing = pages_short(host, &sum, needed_bytes(host) / count);
		snprintf(path, sizeof(path), "%s/hugepages-%lukB/nr_hugepages", folder, kib);
		rg_host_number(host, &total, "%s", path);
		snprintf(value, sizeof(value), "%" PRIu64, (uint64_t)total + missing);
		if (missing && rg_changes_set(changes, path, value, err))
			result = err->status;
	}
	return result;
}

const struct rg_stage rg_stage_huge_pages = {
	.name = "huge-pages",
	.looks_at = "free pages of each size on the NUMA nodes of the workers' cores, against "
		    "dataplane.memory_mib and the region",
	.why = "Packet buffers and the region on ordinary pages cost a TLB miss every few "
	       "accesses; "
	       "without enough huge pages riskgate-dataplane falls back to ordinary memory.",
	.check = check_huge_pages,
	.init = set_huge_pages,
	.sets = "nr_hugepages of each node that lacks some",
	.needs = RG_NEEDS_FILE,
};

/* ---- hugetlbfs ---- */

static void check_hugetlbfs(const struct rg_host *host, struct rg_findings *findings)
{
	const char *directory = host->config->region.directory;
	char place[512];
	bool mounted = rg_host_mounted(host, "hugetlbfs", NULL, place, sizeof(place));

	if (strcmp(directory, "auto") != 0 &&
	    (!mounted || strncmp(directory, place, strlen(place)))) {
		rg_found(findings, RG_SEVERITY_OK,
			 "not needed: region.directory is %s, on ordinary memory", directory);
		return;
	}
	if (mounted) {
		rg_found(findings, RG_SEVERITY_OK, "mounted on %s", place);
		return;
	}
	rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
			   "not mounted: the region goes to /dev/shm, on ordinary memory"),
		  "mkdir -p /dev/hugepages && mount -t hugetlbfs -o mode=1770 none /dev/hugepages");
}

const struct rg_stage rg_stage_hugetlbfs = {
	.name = "hugetlbfs",
	.looks_at = "a mounted hugetlbfs, in which the region can be",
	.why = "Record rings, counters and policy images are read and written by workers: on huge "
	       "pages they take a handful of TLB entries.",
	.check = check_hugetlbfs,
};

/* ---- transparent huge pages ---- */

#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

static void check_thp(const struct rg_host *host, struct rg_findings *findings)
{
	char text[RG_HOST_TEXT_BYTES];

	if (!rg_host_setting(host, text, THP))
		rg_found(findings, RG_SEVERITY_OK, "this kernel has none");
	else if (strcmp(text, "always") != 0)
		rg_found(findings, RG_SEVERITY_OK, "%s", text);
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "always"), "echo madvise > " THP);
}

static int set_thp(struct rg_changes *changes, struct rg_error *err)
{
	return rg_changes_set(changes, THP, "madvise", err);
}

const struct rg_stage rg_stage_transparent_huge_pages = {
	.name = "transparent-huge-pages",
	.looks_at = THP,
	.why = "Set to \"always\", the kernel moves memory around to make huge pages, and each "
	       "move "
	       "interrupts every core that uses it (TLB shoot-down).",
	.check = check_thp,
	.init = set_thp,
	.sets = "madvise",
	.needs = RG_NEEDS_FILE,
};

/* ---- swap ---- */

static void check_swap(const struct rg_host *host, struct rg_findings *findings)
{
	char text[RG_HOST_TEXT_BYTES], *line;

	if (!rg_host_read(host, text, "/proc/swaps") || !(line = strchr(text, '\n'))) {
		rg_found(findings, RG_SEVERITY_OK, "none");
		return;
	}
	line++;
	rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE, "in use: %.*s",
			   (int)strcspn(line, " \t\n"), line),
		  "swapoff -a, and take it out of /etc/fstab; or MemorySwapMax=0 in the units");
}

const struct rg_stage rg_stage_swap = {
	.name = "swap",
	.looks_at = "/proc/swaps",
	.why = "A page of riskgate-control, or of a data plane on ordinary memory, that has to be "
	       "read back from a disk takes milliseconds.",
	.check = check_swap,
};

/* ---- NUMA balancing ---- */

#define NUMA_BALANCING "/proc/sys/kernel/numa_balancing"

static void check_numa_balancing(const struct rg_host *host, struct rg_findings *findings)
{
	int64_t mode;

	if (!rg_host_number(host, &mode, NUMA_BALANCING) || mode == 0)
		rg_found(findings, RG_SEVERITY_OK, "off");
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "on (%" PRId64 ")", mode),
			  "sysctl -w kernel.numa_balancing=0");
}

static int set_numa_balancing(struct rg_changes *changes, struct rg_error *err)
{
	return rg_changes_set(changes, NUMA_BALANCING, "0", err);
}

const struct rg_stage rg_stage_numa_balancing = {
	.name = "numa-balancing",
	.looks_at = NUMA_BALANCING,
	.why = "It takes pages away from a process on purpose, to see who touches them: each is a "
	       "page fault of a worker.",
	.check = check_numa_balancing,
	.init = set_numa_balancing,
	.sets = "0",
	.needs = RG_NEEDS_SYSCTL,
};

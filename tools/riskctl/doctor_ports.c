/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the configured ports, and of what the process may do with them. */
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/device.h"
#include "tools/riskctl/doctor.h"

#define NAME_BYTES 128
#define PCI	   "/sys/bus/pci/devices/"

static const struct rg_config_port *port_of(const struct rg_host *host, uint32_t index)
{
	return &host->config->dataplane.ports[index];
}

/* "net_af_xdp" of "net_af_xdp0,iface=eth1". */
static bool is_kind(const char *device, const char *kind)
{
	size_t bytes = strlen(kind);

	return strncmp(device, kind, bytes) == 0 && device[bytes] >= '0' && device[bytes] <= '9';
}

static bool is_any(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* ---- ports ---- */

/* Drivers that DPDK works beside (bifurcated), and those through which it owns the device. */
static const char *const bifurcated[] = {"mlx4_core", "mlx5_core", "mana", NULL};
static const char *const userspace[] = {"vfio-pci", NULL};
static const char *const unsafe[] = {"uio_pci_generic", "igb_uio", NULL};

/* Drivers of other devices of an IOMMU group that vfio lets be: they let no device write anywhere. */
static const char *const harmless[] = {"vfio-pci", "pci-stub", "pcieport", NULL};

struct group {
	const struct rg_host *host;
	const char *device; /* itself */
	char others[RG_HOST_TEXT_BYTES];
	size_t used;
};

/* Note a device of the group that the kernel uses. */
static void look_at_member(void *context, const char *name)
{
	struct group *group = context;
	char driver[NAME_BYTES];

	if (strcmp(name, group->device) == 0 || group->used >= sizeof(group->others) ||
	    !rg_host_link(group->host, driver, sizeof(driver), PCI "%s/driver", name) ||
	    is_any(driver, harmless))
		return;
	group->used +=
		(size_t)snprintf(group->others + group->used, sizeof(group->others) - group->used,
				 "%s%s (%s)", group->used ? ", " : "", name, driver);
}

/* A device that vfio-pci has: will it give it away? */
static void check_vfio(const struct rg_host *host, const char *name, struct rg_findings *findings)
{
	struct group group = {.host = host, .device = name};
	char number[NAME_BYTES];

	if (!rg_host_link(host, number, sizeof(number), PCI "%s/iommu_group", name)) {
		rg_remedy(
			rg_found(findings, RG_SEVERITY_WARNING,
				 "%s: vfio-pci, but the device is in no IOMMU group: it opens only "
				 "in vfio's unsafe mode",
				 name),
			"kernel command line: intel_iommu=on iommu=pt (AMD: iommu=pt); else echo 1 "
			"> "
			"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
		return;
	}
	rg_host_each(host, look_at_member, &group, "/sys/kernel/iommu_groups/%s/devices", number);
	if (group.used)
		rg_remedy(
			rg_found(findings, RG_SEVERITY_ERROR,
				 "%s: vfio-pci, but the kernel uses %s of the same IOMMU group %s: "
				 "vfio gives away all of a group or none",
				 name, group.others, number),
			"dpdk-devbind.py --bind=vfio-pci for those too; or another slot, or the "
			"firmware's ACS, for a group of its own");
	else if (!rg_host_exists(host, "/dev/vfio/%s", number))
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR,
				   "%s: vfio-pci, but /dev/vfio/%s is not there", name, number),
			  "modprobe vfio-pci; in a container: --device /dev/vfio/vfio --device "
			  "/dev/vfio/%s",
			  number);
	else
		rg_found(findings, RG_SEVERITY_OK, "%s: vfio-pci, IOMMU group %s", name, number);
}

static void check_pci(const struct rg_host *host, const char *device, struct rg_findings *findings)
{
	char name[NAME_BYTES], driver[NAME_BYTES];

	rg_device_name(device, name, sizeof(name));
	if (!rg_host_exists(host, PCI "%s", name)) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "%s: there is no such PCI device",
				   name),
			  "lspci -D -d ::0200 lists the network devices; of SR-IOV the virtual "
			  "functions are made with echo N > " PCI "PF/sriov_numvfs");
		return;
	}
	if (!rg_host_link(host, driver, sizeof(driver), PCI "%s/driver", name))
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "%s: no driver has it", name),
			  "modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s", name);
	else if (is_any(driver, bifurcated))
		rg_found(findings, RG_SEVERITY_OK, "%s: %s, which DPDK works beside", name, driver);
	else if (is_any(driver, unsafe))
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "%s: %s: nothing keeps the device from writing to any memory",
				   name, driver),
			  "modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s", name);
	else if (!is_any(driver, userspace))
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR,
				   "%s: the kernel's driver %s has it: DPDK cannot take it", name,
				   driver),
			  "modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s", name);
	else
		check_vfio(host, name, findings);
}

static void count_queue(void *context, const char *name)
{
	*(uint32_t *)context += strncmp(name, "rx-", 3) == 0;
}

/* An AF_XDP or AF_PACKET port is on a kernel interface. */
static void check_interface(const struct rg_host *host, const char *device, bool xdp,
			    struct rg_findings *findings)
{
	char interface[NAME_BYTES] = "", state[RG_HOST_TEXT_BYTES], driver[NAME_BYTES];
	uint32_t queues = 0, workers = host->config->dataplane.workers;

	rg_device_argument(device, "iface", interface, sizeof(interface));
	if (!interface[0] || !rg_host_exists(host, "/sys/class/net/%s", interface)) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "%s: there is no interface \"%s\"",
				   device, interface),
			  "ip link shows the interfaces; name one with iface=");
		return;
	}
	if (!rg_host_link(host, driver, sizeof(driver), "/sys/class/net/%s/device/driver",
			  interface))
		snprintf(driver, sizeof(driver), "virtual");
	rg_host_read(host, state, "/sys/class/net/%s/operstate", interface);
	rg_host_each(host, count_queue, &queues, "/sys/class/net/%s/queues", interface);
	if (strcmp(state, "down") == 0 || strcmp(state, "lowerlayerdown") == 0)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "%s: %s is down", device,
				   interface),
			  "ip link set %s up", interface);
	else if (!xdp)
		rg_remedy(
			rg_found(findings, RG_SEVERITY_ADVICE,
				 "%s: on %s (%s): each packet is copied by the kernel, twice",
				 device, interface, driver),
			"for production a device of DPDK's own (vfio-pci), or net_af_xdp0,iface=%s",
			interface);
	else if (queues < workers)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "%s: %s (%s) has %u queues for %u workers: some have none",
				   device, interface, driver, queues, workers),
			  "ethtool -L %s combined %u; or fewer dataplane.workers", interface,
			  workers);
	else if (queues > workers)
		rg_remedy(
			rg_found(findings, RG_SEVERITY_WARNING,
				 "%s: %s (%s) has %u queues for %u workers: packets of the others "
				 "go "
				 "to the kernel",
				 device, interface, driver, queues, workers),
			"ethtool -L %s combined %u; or steer the requests: ethtool -N %s flow-type "
			"udp4 dst-port %u action Q",
			interface, workers, interface, host->config->dataplane.udp_port);
	else
		rg_found(findings, RG_SEVERITY_OK, "%s: on %s (%s), %u queues for %u workers",
			 device, interface, driver, queues, workers);
}

static void check_port(const struct rg_host *host, uint32_t index, struct rg_findings *findings)
{
	const struct rg_config_port *port = port_of(host, index);
	const char *device = port->device;
	uint32_t workers = host->config->dataplane.workers;

	if (rg_device_is_pci(device))
		check_pci(host, device, findings);
	else if (is_kind(device, "net_af_xdp"))
		check_interface(host, device, true, findings);
	else if (is_kind(device, "net_af_packet"))
		check_interface(host, device, false, findings);
	else if (is_kind(device, "net_tap") && !rg_host_exists(host, "/dev/net/tun"))
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "%s: /dev/net/tun is not there",
				   device),
			  "modprobe tun; in a container: --device /dev/net/tun");
	else if (is_kind(device, "net_tap"))
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "%s: a kernel interface, for trying things out: each packet is "
				   "copied through it",
				   device),
			  "for production a device of DPDK's own (vfio-pci), or AF_XDP");
	else if (is_kind(device, "net_memif"))
		rg_found(findings, RG_SEVERITY_OK, "%s: shared memory, for a peer on this machine",
			 device);
	else if (strncmp(device, "net_", 4) == 0)
		rg_found(findings, RG_SEVERITY_OK, "%s: no host setting of it is known", device);
	else
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR,
				   "%s: neither a PCI address nor a DPDK virtual device", device),
			  "dataplane.ports[%u].device: such as 0000:01:00.1 or "
			  "net_af_xdp0,iface=eth1",
			  index);
	if (port->queues && port->queues < workers && host->config->dataplane.ports_count == 1)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "%s: dataplane.ports[%u].queues is %u for %u workers: some have "
				   "nothing to do",
				   device, index, port->queues, workers),
			  "set it to 0, one for each worker");
}

static void check_ports(const struct rg_host *host, struct rg_findings *findings)
{
	if (!host->config->dataplane.ports_count)
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "none is configured"),
			  "name one in dataplane.ports");
	for (uint32_t i = 0; i < host->config->dataplane.ports_count; i++)
		check_port(host, i, findings);
	if (host->idle_workers)
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "%u of the %u workers that run have no queue",
				   host->idle_workers, host->cores.worker_count),
			  "fewer dataplane.workers, or ports with more queues");
}

const struct rg_stage rg_stage_ports = {
	.name = "ports",
	.looks_at =
		"each device of dataplane.ports: that it is there, its driver, with vfio-pci its "
		"IOMMU group, and its queues against dataplane.workers",
	.why = "DPDK needs a device that the kernel gave up (vfio-pci) or shares (mlx5, AF_XDP); a "
	       "worker without a queue has nothing to do, and a queue without a worker loses what "
	       "comes to it.",
	.check = check_ports,
};

/* ---- NUMA ---- */

static void check_numa(const struct rg_host *host, struct rg_findings *findings)
{
	unsigned first = 0;
	uint32_t found = 0;

	for (uint32_t w = 0; w < host->cores.worker_count; w++) {
		unsigned node = rg_host_node_of(host, host->cores.worker[w]);

		if (w && node != first && !found++)
			rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
					   "workers on %u and %u are on the nodes %u and %u",
					   host->cores.worker[0], host->cores.worker[w], first,
					   node),
				  "name cores of one node in dataplane.cores (lscpu)");
		if (!w)
			first = node;
	}
	for (uint32_t i = 0; i < host->config->dataplane.ports_count; i++) {
		const char *device = port_of(host, i)->device;
		char name[NAME_BYTES];
		int64_t node = -1;

		if (rg_device_is_pci(device) && rg_device_name(device, name, sizeof(name)))
			rg_host_number(host, &node, PCI "%s/numa_node", name);
		else if (rg_device_argument(device, "iface", name, sizeof(name)))
			rg_host_number(host, &node, "/sys/class/net/%s/device/numa_node", name);
		if (node < 0 || node == first || !host->cores.worker_count)
			continue;
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING,
				   "%s is on node %" PRId64 ", the first worker on node %u", name,
				   node, first),
			  "name cores of node %" PRId64
			  " in dataplane.cores: cat /sys/devices/system/node/node%" PRId64
			  "/cpulist",
			  node, node);
		found++;
	}
	if (!found)
		rg_found(findings, RG_SEVERITY_OK, "workers and ports are on node %u", first);
}

const struct rg_stage rg_stage_numa = {
	.name = "numa",
	.looks_at = "the NUMA nodes of the workers' cores and of the ports",
	.why = "A packet, or a cache line of the region, that has to come from the other node "
	       "takes "
	       "about twice as long.",
	.check = check_numa,
};

/* ---- capabilities ---- */

struct wanted_capability {
	const char *kind; /* of device; NULL: PCI */
	unsigned capability;
	const char *name, *why;
};
static const struct wanted_capability wanted_capabilities[] = {
	{"net_af_packet", CAP_NET_RAW, "CAP_NET_RAW", "to open packet sockets"},
	{"net_af_xdp", CAP_NET_RAW, "CAP_NET_RAW", "to open XDP sockets"},
	{"net_af_xdp", CAP_NET_ADMIN, "CAP_NET_ADMIN", "to attach the XDP program"},
	{"net_af_xdp", CAP_BPF, "CAP_BPF", "to load the XDP program"},
	{"net_tap", CAP_NET_ADMIN, "CAP_NET_ADMIN", "to make the interface"},
};

static const char *whose(const struct rg_host *host)
{
	return host->running ? "the data plane" : "a process started from here";
}

static void check_capabilities(const struct rg_host *host, struct rg_findings *findings)
{
	uint32_t missing = 0, looked = 0;

	for (size_t i = 0; i < sizeof(wanted_capabilities) / sizeof(wanted_capabilities[0]); i++) {
		const struct wanted_capability *wanted = &wanted_capabilities[i];
		bool needed = false;

		for (uint32_t p = 0; p < host->config->dataplane.ports_count; p++)
			needed |= is_kind(port_of(host, p)->device, wanted->kind);
		looked += needed;
		if (!needed || rg_host_capable(host, wanted->capability))
			continue;
		missing++;
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR, "%s lacks %s, %s", whose(host),
				   wanted->name, wanted->why),
			  "in the unit of riskgate-dataplane: AmbientCapabilities=%s; by hand: as "
			  "root",
			  wanted->name);
	}
	if (!missing)
		rg_found(findings, RG_SEVERITY_OK, "%s",
			 looked ? "all that the ports need" : "the ports need none");
}

const struct rg_stage rg_stage_capabilities = {
	.name = "capabilities",
	.looks_at =
		"CapEff of the data plane, or of riskctl when it does not run, against what the "
		"ports need",
	.why = "Without them the port does not open and riskgate-dataplane does not start. Devices "
	       "of "
	       "vfio-pci need none, only access to /dev/vfio.",
	.check = check_capabilities,
};

/* ---- limits ---- */

static bool has_device_memory(const struct rg_host *host)
{
	for (uint32_t i = 0; i < host->config->dataplane.ports_count; i++)
		if (rg_device_is_pci(port_of(host, i)->device) ||
		    is_kind(port_of(host, i)->device, "net_af_xdp"))
			return true;
	return false;
}

#define FILES_MIN 1024

static void check_limits(const struct rg_host *host, struct rg_findings *findings)
{
	uint64_t locked, files, core, needed = (uint64_t)host->config->dataplane.memory_mib << 20;
	uint32_t found = 0;

	if (has_device_memory(host) && rg_host_limit(host, "Max locked memory", &locked) &&
	    locked < needed && !rg_host_capable(host, CAP_IPC_LOCK)) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ERROR,
				   "%s may lock %" PRIu64 " KiB; the ports' memory is %" PRIu64
				   " MiB",
				   whose(host), locked >> 10, needed >> 20),
			  "in the unit of riskgate-dataplane: LimitMEMLOCK=infinity; by hand: "
			  "ulimit -l "
			  "unlimited");
		found++;
	}
	if (rg_host_limit(host, "Max open files", &files) && files < FILES_MIN) {
		rg_remedy(rg_found(findings, RG_SEVERITY_WARNING, "%s may open %" PRIu64 " files",
				   whose(host), files),
			  "in the units: LimitNOFILE=65536; by hand: ulimit -n 65536");
		found++;
	}
	if (rg_host_limit(host, "Max core file size", &core) && !core) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE, "no core file after a crash"),
			  "in the units: LimitCORE=infinity; by hand: ulimit -c unlimited");
		found++;
	}
	if (!found)
		rg_found(findings, RG_SEVERITY_OK, "enough");
}

const struct rg_stage rg_stage_limits = {
	.name = "limits",
	.looks_at =
		"/proc/PID/limits of the data plane, or of riskctl when it does not run: locked "
		"memory, open files, core files",
	.why = "Memory that a device writes to is locked; connections, segments and images are "
	       "open "
	       "files; a core file is what a crash is understood from.",
	.check = check_limits,
};

/* ---- BPF ---- */

static void check_bpf(const struct rg_host *host, struct rg_findings *findings)
{
	uint32_t found = 0;

	if (!rg_host_exists(host, "/sys/kernel/btf/vmlinux")) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "the kernel has no type information: no probe loads"),
			  "use a kernel with CONFIG_DEBUG_INFO_BTF");
		found++;
	}
	if (!rg_host_mounted(host, "bpf", NULL, NULL, 0)) {
		rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
				   "no BPF file system is mounted: no probe can keep its figures"),
			  "mount -t bpf bpf /sys/fs/bpf");
		found++;
	}
	if (!rg_host_capable(host, CAP_BPF) || !rg_host_capable(host, CAP_PERFMON)) {
		if (strcmp(host->process, "self") == 0) {
			rg_remedy(rg_found(findings, RG_SEVERITY_ADVICE,
					   "this user has not CAP_BPF and CAP_PERFMON, which "
					   "riskgate-probe needs"),
				  "run riskgate-probe as root, or in a unit with "
				  "AmbientCapabilities=CAP_BPF CAP_PERFMON");
			found++;
		}
	}
	if (!found)
		rg_found(findings, RG_SEVERITY_OK,
			 "type information, file system and capabilities");
}

const struct rg_stage rg_stage_bpf = {
	.name = "bpf",
	.looks_at = "/sys/kernel/btf/vmlinux, a mounted BPF file system, CAP_BPF and CAP_PERFMON",
	.why = "riskgate-probe shows with them who takes a worker's core and which stage is slow. "
	       "Nothing else needs them.",
	.check = check_bpf,
};

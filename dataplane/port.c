/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/log.h"
#include "config/device.h"

#define DESCRIPTORS    1024 /* of each queue, if the device can */
#define POOL_CACHE     256  /* packet buffers each worker keeps at hand */
#define FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + 4 * RG_FRAME_VLANS_MAX)
#define LINK_POLL_MS   20

/* ---- addresses ---- */

static bool has_ipv4(const struct rg_frame_host *host, uint32_t address)
{
	for (unsigned i = 0; i < host->ipv4_count; i++)
		if (host->ipv4[i] == address)
			return true;
	return false;
}

static bool has_ipv6(const struct rg_frame_host *host, const uint8_t *address)
{
	for (unsigned i = 0; i < host->ipv6_count; i++)
		if (memcmp(host->ipv6[i], address, 16) == 0)
			return true;
	return false;
}

static bool read_prefix(const char *text, unsigned max)
{
	char *end;
	unsigned long prefix = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && *end == '\0' && prefix >= 1 && prefix <= max;
}

int rg_port_add_address(struct rg_frame_host *host, const char *text, const char *key,
			struct rg_error *err)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct in6_addr ipv6;
	struct in_addr ipv4;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return rg_error_set(err, RG_EINVAL,
				    "%s: \"%s\" is no address with prefix length, such as "
				    "\"10.71.0.1/24\" or \"fd71::1/64\"",
				    key, text);
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_pton(AF_INET, address, &ipv4) == 1 && read_prefix(slash + 1, 32)) {
		uint32_t first = ntohl(ipv4.s_addr) >> 24;

		if (first == 0 || first == 127 || first >= 224)
			return rg_error_set(err, RG_EINVAL, "%s: \"%s\" is not a host's address",
					    key, text);
		if (has_ipv4(host, ipv4.s_addr))
			return rg_error_set(err, RG_EINVAL, "%s: \"%s\" is there twice", key, text);
		if (host->ipv4_count == RG_FRAME_ADDRESSES_MAX)
			return rg_error_set(err, RG_ELIMIT,
					    "%s: more than %d IPv4 addresses on a port", key,
					    RG_FRAME_ADDRESSES_MAX);
		host->ipv4[host->ipv4_count++] = ipv4.s_addr;
		return RG_OK;
	}
	if (inet_pton(AF_INET6, address, &ipv6) == 1 && read_prefix(slash + 1, 128)) {
		if (IN6_IS_ADDR_UNSPECIFIED(&ipv6) || IN6_IS_ADDR_LOOPBACK(&ipv6) ||
		    IN6_IS_ADDR_MULTICAST(&ipv6))
			return rg_error_set(err, RG_EINVAL, "%s: \"%s\" is not a host's address",
					    key, text);
		if (has_ipv6(host, ipv6.s6_addr))
			return rg_error_set(err, RG_EINVAL, "%s: \"%s\" is there twice", key, text);
		if (host->ipv6_count == RG_FRAME_ADDRESSES_MAX)
			return rg_error_set(err, RG_ELIMIT,
					    "%s: more than %d IPv6 addresses on a port", key,
					    RG_FRAME_ADDRESSES_MAX);
		memcpy(host->ipv6[host->ipv6_count++], ipv6.s6_addr, 16);
		return RG_OK;
	}
	return rg_error_set(err, RG_EINVAL,
			    "%s: \"%s\" is no address with prefix length, such as \"10.71.0.1/24\" "
			    "or \"fd71::1/64\"",
			    key, text);
}

static int read_addresses(struct rg_port *port, const struct rg_config_port *config, uint32_t index,
			  struct rg_error *err)
{
	char key[64];
	int rc;

	if (config->addresses_count == 0)
		return rg_error_set(err, RG_EINVAL,
				    "dataplane.ports[%u].addresses: empty: nobody could reach port "
				    "\"%s\"; give at least one",
				    index, config->device);
	for (uint32_t i = 0; i < config->addresses_count; i++) {
		snprintf(key, sizeof(key), "dataplane.ports[%u].addresses[%u]", index, i);
		rc = rg_port_add_address(&port->host, config->addresses[i], key, err);
		if (rc != RG_OK)
			return rc;
	}
	return RG_OK;
}

/* ---- which device, how many queues ---- */

/* DPDK's name of the device: the device string without its arguments, a PCI address with its
 * domain. */
static int read_name(struct rg_ports *ports, uint32_t index, const char *device,
		     struct rg_error *err)
{
	struct rg_port *port = &ports->port[index];

	if (!rg_device_name(device, port->name, sizeof(port->name)))
		return rg_error_set(err, RG_EINVAL,
				    "dataplane.ports[%u].device: the name in \"%s\" is too long",
				    index, device);
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(ports->port[i].name, port->name) == 0)
			return rg_error_set(err, RG_EINVAL,
					    "dataplane.ports[%u].device: \"%s\" is the device of "
					    "dataplane.ports[%u] too; give it another number",
					    index, port->name, i);
	if (rte_eth_dev_get_port_by_name(port->name, &port->id) != 0)
		return rg_error_set(
			err, RG_ENOENT,
			"dataplane.ports[%u].device: DPDK made no port of \"%s\"; look at DPDK's "
			"messages above (--log-level debug for more): does the interface or socket "
			"folder exist, is the PCI device bound to vfio-pci, may this user open it?",
			index, device);
	return RG_OK;
}

static int choose_queues(struct rg_port *port, const struct rg_config *config, uint32_t index,
			 const struct rte_eth_dev_info *info, struct rg_error *err)
{
	uint16_t most = RTE_MIN(info->max_rx_queues, info->max_tx_queues);
	uint16_t wanted = config->dataplane.ports[index].queues;

	if (wanted > most)
		return rg_error_set(
			err, RG_EINVAL,
			"dataplane.ports[%u].queues: %u, but %s has at most %u; lower it", index,
			wanted, port->name, most);
	if (wanted > config->dataplane.workers)
		return rg_error_set(
			err, RG_EINVAL,
			"dataplane.ports[%u].queues: %u, but there are %u workers "
			"(dataplane.workers) to serve them; lower the one or raise the other",
			index, wanted, config->dataplane.workers);
	port->queue_count =
		wanted ? wanted : (uint16_t)RTE_MIN((uint32_t)most, config->dataplane.workers);
	if (port->queue_count < config->dataplane.workers)
		rg_log(RG_LOG_INFO,
		       "port=%s queues=%u workers=%u: served by fewer workers than there are",
		       port->name, port->queue_count, config->dataplane.workers);
	return RG_OK;
}

uint32_t rg_ports_worker_of(const struct rg_ports *ports, uint32_t port, uint16_t queue,
			    uint32_t worker_count)
{
	uint32_t before = queue;

	for (uint32_t i = 0; i < port; i++)
		before += ports->port[i].queue_count;
	return before % worker_count;
}

/* ---- configuring ---- */

/* A key whose 16-bit pattern repeats gives both directions of a flow the same hash (Woo and Park
 * 2012); 52 bytes are the longest in use. */
static uint8_t symmetric_key[52];

static int configure(struct rg_port *port, const struct rg_config_port *config, uint32_t index,
		     const struct rte_eth_dev_info *info, bool interrupts, struct rg_error *err)
{
	uint64_t rx_wanted = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	uint64_t tx_wanted = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	uint64_t hashes = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	struct rte_eth_conf conf = {
		.rxmode = {.offloads = info->rx_offload_capa & rx_wanted},
		.txmode = {.offloads = info->tx_offload_capa & tx_wanted},
		.intr_conf = {.rxq = interrupts},
	};
	bool own_mtu;
	int rc;

	if (config->mtu && (config->mtu < info->min_mtu || config->mtu > info->max_mtu))
		return rg_error_set(err, RG_EINVAL,
				    "dataplane.ports[%u].mtu: %u, but %s takes %u to %u", index,
				    config->mtu, port->name, info->min_mtu, info->max_mtu);
	/* A driver without a link of its own (memif) has no MTU to set, and says that its frames are of
	 * 1518 bytes: they are as long as its buffers (bsize=). */
	own_mtu = config->mtu && rte_eth_dev_set_mtu(port->id, config->mtu) == -ENOTSUP;
	conf.rxmode.mtu = own_mtu ? 0 : config->mtu;
	if (port->queue_count > 1 && hashes) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = hashes;
		if (info->hash_key_size && info->hash_key_size <= sizeof(symmetric_key)) {
			for (unsigned i = 0; i < sizeof(symmetric_key); i++)
				symmetric_key[i] = i & 1 ? 0x5a : 0x6d;
			conf.rx_adv_conf.rss_conf.rss_key = symmetric_key;
			conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		}
	}
	rc = rte_eth_dev_configure(port->id, port->queue_count, port->queue_count, &conf);
	if (rc != 0)
		return rg_error_set_errno(
			err, RG_EIO, -rc,
			"dataplane.ports[%u]: DPDK cannot configure %s with %u queues", index,
			port->name, port->queue_count);
	if (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) {
		port->tx_offload |= RG_FRAME_TX_IP;
		port->tx_mbuf_flags[0] |= RTE_MBUF_F_TX_IP_CKSUM;
	}
	if (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) {
		port->tx_offload |= RG_FRAME_TX_L4;
		port->tx_mbuf_flags[0] |= RTE_MBUF_F_TX_UDP_CKSUM;
		port->tx_mbuf_flags[1] |= RTE_MBUF_F_TX_UDP_CKSUM;
	}
	port->tx_mbuf_flags[0] |= RTE_MBUF_F_TX_IPV4;
	port->tx_mbuf_flags[1] |= RTE_MBUF_F_TX_IPV6;
	if (config->mtu && !own_mtu && (rc = rte_eth_dev_set_mtu(port->id, config->mtu)) != 0)
		return rg_error_set_errno(err, RG_EIO, -rc,
					  "dataplane.ports[%u].mtu: %s refuses %u", index,
					  port->name, config->mtu);
	rc = rte_eth_dev_get_mtu(port->id, &port->mtu);
	if (rc != 0)
		return rg_error_set_errno(err, RG_EIO, -rc,
					  "dataplane.ports[%u]: %s does not tell its MTU", index,
					  port->name);
	if (own_mtu)
		port->mtu = config->mtu;
	return RG_OK;
}

/* ---- packet buffers ---- */

static struct rte_mempool *pool_of(const struct rg_ports *ports, int socket)
{
	char name[32];

	snprintf(name, sizeof(name), "packets-%d", socket);
	return rte_mempool_lookup(name);
}

/* One pool for each NUMA node that has a port, large enough for all its queues, with buffers for
 * the largest frame. */
static int make_pool(struct rg_ports *ports, const struct rg_config *config, int socket,
		     struct rg_error *err)
{
	uint32_t needed = POOL_CACHE * 3 / 2 * (config->dataplane.workers + 1), frame = 0, room;
	char name[32];

	for (uint32_t i = 0; i < ports->count; i++) {
		const struct rg_port *port = &ports->port[i];

		if (port->socket != socket)
			continue;
		needed += port->queue_count * (2 * DESCRIPTORS + 2u * config->dataplane.burst);
		frame = RTE_MAX(frame, (uint32_t)port->mtu + FRAME_OVERHEAD);
	}
	if (config->dataplane.mbufs < needed)
		return rg_error_set(err, RG_EINVAL,
				    "dataplane.mbufs: %u are too few for the ports, workers and "
				    "queues of NUMA node %d; raise it to %u or more",
				    config->dataplane.mbufs, socket, needed);
	room = RTE_MAX((uint32_t)RTE_MBUF_DEFAULT_DATAROOM, frame) + RTE_PKTMBUF_HEADROOM;
	if (room > UINT16_MAX)
		room = UINT16_MAX; /* longer frames come in segments and are counted as such */
	snprintf(name, sizeof(name), "packets-%d", socket);
	ports->pool[ports->pool_count] = rte_pktmbuf_pool_create(
		name, config->dataplane.mbufs, POOL_CACHE, 0, (uint16_t)room, socket);
	if (!ports->pool[ports->pool_count])
		return rg_error_set_errno(
			err, RG_ENOMEM, rte_errno,
			"dataplane.memory_mib: %u are too few for %u packet buffers of %u bytes "
			"(dataplane.mbufs); raise it or lower dataplane.mbufs",
			config->dataplane.memory_mib, config->dataplane.mbufs, room);
	ports->pool_count++;
	return RG_OK;
}

static int make_pools(struct rg_ports *ports, const struct rg_config *config, struct rg_error *err)
{
	int rc = RG_OK;

	for (uint32_t i = 0; i < ports->count && rc == RG_OK; i++)
		if (!pool_of(ports, ports->port[i].socket))
			rc = make_pool(ports, config, ports->port[i].socket, err);
	return rc;
}

/* ---- starting ---- */

static int start_queues(const struct rg_ports *ports, struct rg_port *port,
			const struct rg_config *config, uint32_t index, struct rg_error *err)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);

	for (uint16_t queue = 0; queue < port->queue_count && rc == 0; queue++) {
		rc = rte_eth_rx_queue_setup(port->id, queue, rx, (unsigned)port->socket, NULL,
					    pool_of(ports, port->socket));
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(port->id, queue, tx, (unsigned)port->socket,
						    NULL);
	}
	if (rc == 0)
		rc = rte_eth_dev_start(port->id);
	if (rc != 0)
		return rg_error_set_errno(err, RG_EIO, -rc,
					  "dataplane.ports[%u]: DPDK cannot start %s with %u "
					  "queues of %u and %u descriptors%s",
					  index, port->name, port->queue_count, rx, tx,
					  config->dataplane.idle_sleep_us
						  ? " and receive interrupts, which "
						    "dataplane.idle_sleep_us 0 does without"
						  : "");
	port->started = true;
	return RG_OK;
}

/* Neighbour solicitations go to a group: the NIC must let groups in, or everything. */
static void listen_to_groups(const struct rg_port *port)
{
	if (port->host.ipv6_count == 0 || rte_eth_allmulticast_enable(port->id) == 0 ||
	    rte_eth_promiscuous_enable(port->id) == 0)
		return;
	rg_log(RG_LOG_INFO,
	       "port=%s takes neither all multicast nor everything: IPv6 neighbours find it only "
	       "if its driver lets their requests in",
	       port->name);
}

/* DPDK gives the kernel's end of a tap the same MAC as ours: as if two hosts had one. The kernel
 * sends us whatever its end sends, so we can take a neighbouring one. (With remote= the MAC is
 * another interface's, and it must stay.) */
static void leave_kernel_its_mac(struct rg_port *port, const char *device)
{
	if (strncmp(device, "net_tap", strlen("net_tap")) == 0 && !strstr(device, ",remote="))
		port->host.mac[5] ^= 1;
}

static int start_port(struct rg_ports *ports, const struct rg_config *config, uint32_t index,
		      struct rg_error *err)
{
	struct rg_port *port = &ports->port[index];
	struct rte_ether_addr mac;
	int rc = start_queues(ports, port, config, index, err);

	if (rc != RG_OK)
		return rc;
	listen_to_groups(port);
	rc = rte_eth_macaddr_get(port->id, &mac);
	if (rc != 0)
		return rg_error_set_errno(err, RG_EIO, -rc,
					  "dataplane.ports[%u]: %s does not tell its MAC address",
					  index, port->name);
	memcpy(port->host.mac, mac.addr_bytes, sizeof(port->host.mac));
	leave_kernel_its_mac(port, config->dataplane.ports[index].device);
	memcpy(mac.addr_bytes, port->host.mac, sizeof(port->host.mac));
	rg_log(RG_LOG_INFO,
	       "port=%s mac=" RTE_ETHER_ADDR_PRT_FMT " queues=%u mtu=%u numa=%d checksums=%s",
	       port->name, RTE_ETHER_ADDR_BYTES(&mac), port->queue_count, port->mtu, port->socket,
	       port->tx_offload ? "nic" : "software");
	return RG_OK;
}

static int prepare_port(struct rg_ports *ports, const struct rg_config *config, uint32_t index,
			struct rg_error *err)
{
	const struct rg_config_port *section = &config->dataplane.ports[index];
	struct rg_port *port = &ports->port[index];
	struct rte_eth_dev_info info;
	int rc;

	port->host.udp_port = config->dataplane.udp_port;
	port->host.udp_port_count = 1;
	rc = read_addresses(port, section, index, err);
	if (rc == RG_OK)
		rc = read_name(ports, index, section->device, err);
	if (rc != RG_OK)
		return rc;
	rc = rte_eth_dev_info_get(port->id, &info);
	if (rc != 0)
		return rg_error_set_errno(err, RG_EIO, -rc,
					  "dataplane.ports[%u]: %s does not tell what it can do",
					  index, port->name);
	port->socket = RTE_MAX(rte_eth_dev_socket_id(port->id), 0);
	rc = choose_queues(port, config, index, &info, err);
	return rc == RG_OK ? configure(port, section, index, &info,
				       config->dataplane.idle_sleep_us != 0, err)
			   : rc;
}

int rg_ports_start(struct rg_ports *ports, const struct rg_config *config, struct rg_error *err)
{
	int rc = RG_OK;

	memset(ports, 0, sizeof(*ports));
	if (config->dataplane.ports_count == 0)
		return rg_error_set(
			err, RG_EINVAL,
			"dataplane.ports: empty: there is nothing to receive requests from");
	if (config->dataplane.ports_count > RG_PORTS_MAX)
		return rg_error_set(err, RG_ELIMIT, "dataplane.ports: %u ports, at most %d",
				    config->dataplane.ports_count, RG_PORTS_MAX);
	for (uint32_t i = 0; i < config->dataplane.ports_count && rc == RG_OK; i++) {
		rc = prepare_port(ports, config, i, err);
		ports->count = i + 1;
	}
	if (rc == RG_OK)
		rc = make_pools(ports, config, err);
	for (uint32_t i = 0; i < ports->count && rc == RG_OK; i++)
		rc = start_port(ports, config, i, err);
	if (rc != RG_OK)
		rg_ports_stop(ports);
	return rc;
}

void rg_ports_stop(struct rg_ports *ports)
{
	for (uint32_t i = 0; i < ports->count; i++) {
		if (!ports->port[i].started)
			continue;
		rte_eth_dev_stop(ports->port[i].id);
		rte_eth_dev_close(ports->port[i].id);
	}
	for (uint32_t i = 0; i < ports->pool_count; i++)
		rte_mempool_free(ports->pool[i]);
	memset(ports, 0, sizeof(*ports));
}

/* ---- looking after them ---- */

static bool is_memif(const struct rg_port *port)
{
	return strncmp(port->name, "net_memif", strlen("net_memif")) == 0;
}

static bool link_is_up(const struct rg_port *port)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

bool rg_ports_wait_links(struct rg_ports *ports, uint32_t timeout_ms)
{
	bool all = true;

	for (uint32_t i = 0; i < ports->count; i++) {
		struct rg_port *port = &ports->port[i];

		port->link_up = link_is_up(port);
		for (; !port->link_up && !is_memif(port) && timeout_ms > 0;
		     timeout_ms -= RTE_MIN(timeout_ms, (uint32_t)LINK_POLL_MS)) {
			rte_delay_us_sleep(LINK_POLL_MS * 1000);
			port->link_up = link_is_up(port);
		}
		if (port->link_up || is_memif(port))
			continue;
		all = false;
		rg_log(RG_LOG_WARNING,
		       "port=%s link=down: it receives nothing until the link is up (ip link set "
		       "... up, the cable, the peer)",
		       port->name);
	}
	return all;
}

void rg_ports_watch(struct rg_ports *ports, struct rg_ports_totals *totals)
{
	uint64_t changes = totals->link_changes;

	*totals = (struct rg_ports_totals){.link_changes = changes};
	for (uint32_t i = 0; i < ports->count; i++) {
		struct rg_port *port = &ports->port[i];
		struct rte_eth_stats stats;
		bool up = link_is_up(port);

		if (up != port->link_up) {
			port->link_up = up;
			totals->link_changes++;
			rg_log(RG_LOG_INFO, "port=%s link=%s", port->name, up ? "up" : "down");
		}
		if (rte_eth_stats_get(port->id, &stats) != 0)
			continue;
		totals->missed += stats.imissed;
		totals->errors += stats.ierrors;
		totals->no_buffer += stats.rx_nombuf;
	}
}

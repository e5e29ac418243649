/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DPDK port as transport: requests are written straight into packet buffers behind the room for
 * their headers.
 *
 * The link address of the target is asked for (ARP, neighbour discovery) unless it is given.
 *
 * When the link is lost (the server of a memif went away) the device takes nothing and the load's
 * schedule waits; ten times a second the port is started anew until the other side is back, and its
 * link address is asked for again: a new process has a new one.
 */
#include "tools/loadgen/transport.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "tools/loadgen/neighbour.h"
#include "wire/frame.h"

#define EAL_ARGUMENTS_MAX 64
#define RING_DESCRIPTORS  1024
#define MBUFS_PER_QUEUE	  4096
#define MBUF_CACHE	  256
#define RESOLVE_TRIES	  50
#define RESOLVE_WAIT_US	  20000
#define LINK_POLL_MS	  10
#define LINK_MEND_MS	  100 /* from the start of a port to its link */
#define MENDS_PER_SECOND  10

struct dpdk_transport {
	struct rg_transport transport;
	uint16_t port;
	uint16_t queue_count, send_queue, receive_queue;
	uint32_t header_bytes;
	bool started; /* false while the port waits for its other side to come back */
	bool link_lost;
	bool mac_given;		   /* by the user: never ask */
	uint64_t next_mend_cycles; /* when a lost link is tried again */
	uint32_t flow_count, flow_at;
	uint16_t first_source_port;
	struct rg_frame_flow flow;
	struct rg_frame_host host; /* what is for us */
	struct rte_mempool *pool;
	struct rte_mbuf *reserved[RG_TRANSPORT_BURST_MAX];
	uint32_t reserved_count;
	struct rte_mbuf *received[RG_TRANSPORT_BURST_MAX];
	uint32_t received_count;
};

/* ---- the link and who is on it ---- */

static bool is_link_up(uint16_t port)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/* Send one question; its buffer is the device's from then on. */
static void send_question(struct dpdk_transport *dpdk)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dpdk->pool);

	if (!mbuf)
		return;
	mbuf->data_len = (uint16_t)rg_neighbour_ask(rte_pktmbuf_mtod(mbuf, uint8_t *), &dpdk->flow);
	mbuf->pkt_len = mbuf->data_len;
	if (rte_eth_tx_burst(dpdk->port, 0, &mbuf, 1) != 1)
		rte_pktmbuf_free(mbuf);
}

/* Read what has arrived on every queue; true when the answer was among it. */
static bool read_answers(struct dpdk_transport *dpdk)
{
	struct rte_mbuf *mbufs[RG_TRANSPORT_BURST_MAX];
	bool found = false;

	for (uint16_t q = 0; q < dpdk->queue_count; q++) {
		uint16_t count = rte_eth_rx_burst(dpdk->port, q, mbufs, RG_TRANSPORT_BURST_MAX);

		for (uint16_t i = 0; i < count; i++)
			found |= rg_neighbour_answer(rte_pktmbuf_mtod(mbufs[i], uint8_t *),
						     mbufs[i]->data_len, &dpdk->flow,
						     dpdk->flow.destination_mac);
		rte_pktmbuf_free_bulk(mbufs, count);
	}
	return found;
}

/* Ask for the target's link address. False if nobody answered. */
static bool resolve_target(struct dpdk_transport *dpdk)
{
	for (int i = 0; !dpdk->mac_given && i < RESOLVE_TRIES; i++) {
		send_question(dpdk);
		usleep(RESOLVE_WAIT_US);
		if (read_answers(dpdk))
			return true;
	}
	return dpdk->mac_given;
}

/*
 * The device took nothing: if its link is gone, try to get it back. Nothing can be sent or received
 * meanwhile anyway. The first try comes a tenth of a second after the loss is seen: DPDK's
 * interrupt thread takes the connection apart just then, and a stop of the port would do the same
 * at the same time.
 */
static void mend_link(struct dpdk_transport *dpdk)
{
	uint64_t now = rte_get_timer_cycles();
	bool seen_before = dpdk->link_lost;

	if (now < dpdk->next_mend_cycles)
		return;
	dpdk->link_lost = !dpdk->started || !is_link_up(dpdk->port);
	dpdk->next_mend_cycles = dpdk->link_lost ? now + rte_get_timer_hz() / MENDS_PER_SECOND : 0;
	if (!dpdk->link_lost || !seen_before)
		return;
	if (dpdk->started)
		rte_eth_dev_stop(dpdk->port);
	dpdk->started = rte_eth_dev_start(dpdk->port) == 0;
	if (!dpdk->started)
		return;
	for (int waited_ms = 0; waited_ms < LINK_MEND_MS && !is_link_up(dpdk->port); waited_ms++)
		usleep(1000);
	if (is_link_up(dpdk->port))
		resolve_target(dpdk);
}

/* ---- the narrow interface ---- */

static uint32_t dpdk_reserve(struct rg_transport *transport, struct rg_datagram *datagrams,
			     uint32_t count)
{
	struct dpdk_transport *dpdk = (struct dpdk_transport *)transport;

	while (dpdk->reserved_count < count) {
		uint32_t missing = count - dpdk->reserved_count;

		if (rte_pktmbuf_alloc_bulk(dpdk->pool, dpdk->reserved + dpdk->reserved_count,
					   missing) != 0)
			break;
		dpdk->reserved_count = count;
	}
	if (count > dpdk->reserved_count)
		count = dpdk->reserved_count;
	for (uint32_t i = 0; i < count; i++)
		datagrams[i].payload =
			rte_pktmbuf_mtod_offset(dpdk->reserved[i], uint8_t *, dpdk->header_bytes);
	return count;
}

/* Put headers in front of a payload. */
static void finish_frame(struct dpdk_transport *dpdk, struct rte_mbuf *mbuf, uint16_t payload_bytes)
{
	uint32_t bytes;

	dpdk->flow.source_port = (uint16_t)(dpdk->first_source_port + dpdk->flow_at);
	if (++dpdk->flow_at == dpdk->flow_count)
		dpdk->flow_at = 0;
	bytes = rg_frame_build_udp(rte_pktmbuf_mtod(mbuf, uint8_t *),
				   rte_pktmbuf_tailroom(mbuf) + mbuf->data_len, &dpdk->flow,
				   payload_bytes, 0);
	mbuf->data_len = (uint16_t)bytes;
	mbuf->pkt_len = bytes;
}

static uint32_t dpdk_send(struct rg_transport *transport, const struct rg_datagram *datagrams,
			  uint32_t count)
{
	struct dpdk_transport *dpdk = (struct dpdk_transport *)transport;
	uint32_t sent = 0;

	for (uint32_t i = 0; i < count; i++)
		finish_frame(dpdk, dpdk->reserved[i], datagrams[i].bytes);
	if (dpdk->started)
		sent = rte_eth_tx_burst(dpdk->port, dpdk->send_queue, dpdk->reserved,
					(uint16_t)count);
	if (++dpdk->send_queue == dpdk->queue_count)
		dpdk->send_queue = 0;
	if (sent < count)
		transport->send_refused_count++;
	if (!sent)
		mend_link(dpdk);
	/* Buffers that were not taken serve the next reservation. */
	dpdk->reserved_count -= sent;
	memmove(dpdk->reserved, dpdk->reserved + sent,
		dpdk->reserved_count * sizeof(dpdk->reserved[0]));
	return sent;
}

static uint32_t dpdk_receive(struct rg_transport *transport, struct rg_datagram *datagrams,
			     uint32_t count)
{
	struct dpdk_transport *dpdk = (struct dpdk_transport *)transport;
	uint32_t found = 0;

	if (dpdk->received_count)
		rte_pktmbuf_free_bulk(dpdk->received, dpdk->received_count);
	dpdk->received_count = 0;
	if (dpdk->started)
		dpdk->received_count = rte_eth_rx_burst(dpdk->port, dpdk->receive_queue,
							dpdk->received, (uint16_t)count);
	if (++dpdk->receive_queue == dpdk->queue_count)
		dpdk->receive_queue = 0;
	for (uint32_t i = 0; i < dpdk->received_count; i++) {
		const struct rte_mbuf *mbuf = dpdk->received[i];
		uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
		struct rg_frame parsed;
		enum rg_frame_kind kind =
			mbuf->nb_segs == 1
				? rg_frame_parse(frame, mbuf->data_len, &dpdk->host, 0, &parsed)
				: RG_FRAME_TOO_DEEP;

		if (kind != RG_FRAME_UDP4 && kind != RG_FRAME_UDP6) {
			transport->foreign_count++;
			continue;
		}
		datagrams[found].payload = frame + parsed.payload;
		datagrams[found++].bytes = parsed.payload_bytes;
	}
	return found;
}

static void dpdk_close(struct rg_transport *transport)
{
	struct dpdk_transport *dpdk = (struct dpdk_transport *)transport;

	rte_pktmbuf_free_bulk(dpdk->received, dpdk->received_count);
	rte_pktmbuf_free_bulk(dpdk->reserved, dpdk->reserved_count);
	if (dpdk->started)
		rte_eth_dev_stop(dpdk->port);
	rte_eth_dev_close(dpdk->port);
	rte_mempool_free(dpdk->pool);
	rte_eal_cleanup();
	free(dpdk);
}

static const struct rg_transport_ops dpdk_ops = {
	.reserve = dpdk_reserve,
	.send = dpdk_send,
	.receive = dpdk_receive,
	.close = dpdk_close,
};

/* ---- opening ---- */

/* EAL's arguments; it may reorder argv but does not write into the strings. */
static int start_eal(const struct rg_transport_dpdk_options *options, struct rg_error *err)
{
	bool virtual_device = strncmp(options->device, "net_", 4) == 0 ||
			      strncmp(options->device, "eth_", 4) == 0;
	char lcores[32], memory[32], prefix[64];
	const char *argv[EAL_ARGUMENTS_MAX];
	int argc = 0;

	if (options->eal_argument_count > EAL_ARGUMENTS_MAX / 2)
		return rg_error_set(err, RG_ELIMIT, "more than %d --eal arguments",
				    EAL_ARGUMENTS_MAX / 2);
	snprintf(lcores, sizeof(lcores), "0@%u", options->core);
	snprintf(memory, sizeof(memory), "%u", options->memory_mib);
	snprintf(prefix, sizeof(prefix), "riskgate-loadgen-%d", (int)getpid());
	argv[argc++] = options->program;
	argv[argc++] = "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = "-m";
	argv[argc++] = memory;
	argv[argc++] = "--file-prefix";
	argv[argc++] = options->file_prefix ? options->file_prefix : prefix;
	argv[argc++] = "--log-level=error";
	argv[argc++] = "--log-level=pmd.net.memif:alert"; /* a server that is not there yet is told
							     of once, by us */
	argv[argc++] = "--no-telemetry";
	if (options->huge_pages) {
		argv[argc++] = "--in-memory";
	} else {
		argv[argc++] = "--no-huge";
		argv[argc++] = "--no-shconf";
	}
	if (virtual_device)
		argv[argc++] = "--no-pci";
	argv[argc++] = virtual_device ? "--vdev" : "-a";
	argv[argc++] = options->device;
	for (uint32_t i = 0; i < options->eal_argument_count; i++)
		argv[argc++] = options->eal_arguments[i];
	argv[argc] = NULL;
	if (rte_eal_init(argc, (char **)argv) < 0)
		return rg_error_set(err, RG_EIO,
				    "DPDK does not start (%s): see its messages above; without "
				    "huge pages use --no-huge, "
				    "without root a memif device",
				    rte_strerror(rte_errno));
	return RG_OK;
}

/* Configure and start the one port there is. */
static int start_port(struct dpdk_transport *dpdk, const struct rg_transport_dpdk_options *options,
		      struct rg_error *err)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int code;

	dpdk->port = (uint16_t)rte_eth_find_next(0);
	if (dpdk->port >= RTE_MAX_ETHPORTS)
		return rg_error_set(err, RG_EIO, "device '%s' gave no port: check its arguments",
				    options->device);
	code = rte_eth_dev_info_get(dpdk->port, &info);
	if (code == 0 && (options->queue_count > info.max_rx_queues ||
			  options->queue_count > info.max_tx_queues))
		return rg_error_set(err, RG_EINVAL, "--queues %u: the device has %u",
				    options->queue_count,
				    info.max_rx_queues < info.max_tx_queues ? info.max_rx_queues
									    : info.max_tx_queues);
	dpdk->queue_count = options->queue_count;
	dpdk->pool = rte_pktmbuf_pool_create(
		"loadgen", MBUFS_PER_QUEUE * (1u + options->queue_count) - 1, MBUF_CACHE, 0,
		(uint16_t)RTE_MAX((uint32_t)RTE_MBUF_DEFAULT_BUF_SIZE,
				  RTE_PKTMBUF_HEADROOM + RTE_ETHER_HDR_LEN + options->mtu),
		(int)rte_socket_id());
	if (!dpdk->pool)
		return rg_error_set(err, RG_ENOMEM,
				    "no memory for packet buffers (%s): raise --memory",
				    rte_strerror(rte_errno));
	if (code == 0)
		code = rte_eth_dev_configure(dpdk->port, dpdk->queue_count, dpdk->queue_count,
					     &conf);
	for (uint16_t q = 0; code == 0 && q < dpdk->queue_count; q++) {
		code = rte_eth_rx_queue_setup(dpdk->port, q, RING_DESCRIPTORS, rte_socket_id(),
					      NULL, dpdk->pool);
		if (code == 0)
			code = rte_eth_tx_queue_setup(dpdk->port, q, RING_DESCRIPTORS,
						      rte_socket_id(), NULL);
	}
	if (code != 0)
		return rg_error_set(err, RG_EIO, "device '%s' cannot be set up: %s",
				    options->device, rte_strerror(-code));
	return RG_OK;
}

/* Start the port and wait for the other side. A memif client does not even start before its server
 * listens: try again. */
static int start_link(struct dpdk_transport *dpdk, const struct rg_transport_dpdk_options *options,
		      struct rg_error *err)
{
	for (uint32_t waited_ms = 0;; waited_ms += LINK_POLL_MS) {
		if (!dpdk->started)
			dpdk->started = rte_eth_dev_start(dpdk->port) == 0;
		if (dpdk->started && is_link_up(dpdk->port))
			break;
		if (waited_ms >= options->link_timeout_ms)
			return rg_error_set(err, RG_EAGAIN,
					    "device '%s': no link after %u ms: is the other side "
					    "running, on the same socket?",
					    options->device, options->link_timeout_ms);
		usleep(LINK_POLL_MS * 1000);
	}
	rte_eth_promiscuous_enable(
		dpdk->port); /* our link address is made up; a device that cannot does not filter */
	return RG_OK;
}

/* One side of a flow from "10.71.0.1:9471" or "[fd71::1]:9471". */
static int parse_side(const char *text, const char *option, uint8_t address[16],
		      uint8_t *ip_version, uint16_t *port, struct rg_error *err)
{
	char host[128];
	int status = rg_transport_split_address(text, host, sizeof(host), port, err);

	if (status != RG_OK)
		return rg_error_prefix(err, "%s", option);
	if (inet_pton(AF_INET, host, address) == 1)
		*ip_version = 4;
	else if (inet_pton(AF_INET6, host, address) == 1)
		*ip_version = 6;
	else
		return rg_error_set(
			err, RG_EINVAL,
			"%s: '%s' is no IPv4 or IPv6 address (names need a kernel socket)", option,
			host);
	return RG_OK;
}

/* Fill flow and host from the endpoint. */
static int make_flow(struct dpdk_transport *dpdk, const struct rg_transport_endpoint *endpoint,
		     struct rg_error *err)
{
	static const uint8_t unknown_mac[6];
	struct rg_frame_flow *flow = &dpdk->flow;
	const char *source = endpoint->source;
	uint8_t source_version;
	int status;

	status = parse_side(endpoint->target, "--target", flow->destination, &flow->ip_version,
			    &flow->destination_port, err);
	if (status != RG_OK)
		return status;
	if (!source[0])
		source = flow->ip_version == 4 ? "10.71.0.2:40000" : "[fd71::2]:40000";
	status = parse_side(source, "--source", flow->source, &source_version, &flow->source_port,
			    err);
	if (status != RG_OK)
		return status;
	if (source_version != flow->ip_version)
		return rg_error_set(err, RG_EINVAL,
				    "--source and --target must both be IPv4 or both IPv6");
	dpdk->flow_count = endpoint->flow_count;
	dpdk->first_source_port = flow->source_port;
	if (dpdk->flow_count == 0 || flow->source_port + dpdk->flow_count > 65536)
		return rg_error_set(err, RG_EINVAL,
				    "--flows %u: source ports from %u on end at 65535",
				    dpdk->flow_count, flow->source_port);
	if ((uint16_t)(flow->destination_port - flow->source_port) < dpdk->flow_count)
		return rg_error_set(err, RG_EINVAL,
				    "the target's port %u lies in the range of source ports: give "
				    "another --source",
				    flow->destination_port);
	memcpy(flow->source_mac, endpoint->source_mac, 6);
	memcpy(flow->destination_mac, endpoint->target_mac, 6);
	dpdk->mac_given = memcmp(endpoint->target_mac, unknown_mac, 6) != 0;
	memcpy(dpdk->host.mac, flow->source_mac, 6);
	dpdk->host.udp_port = dpdk->first_source_port;
	dpdk->host.udp_port_count = (uint16_t)dpdk->flow_count;
	if (flow->ip_version == 4) {
		dpdk->host.ipv4_count = 1;
		memcpy(&dpdk->host.ipv4[0], flow->source, 4);
	} else {
		dpdk->host.ipv6_count = 1;
		memcpy(dpdk->host.ipv6[0], flow->source, 16);
	}
	dpdk->header_bytes = rg_frame_udp_header_bytes(flow);
	return RG_OK;
}

int rg_transport_open_dpdk(const struct rg_transport_dpdk_options *options,
			   const struct rg_transport_endpoint *endpoint,
			   struct rg_transport **transport, struct rg_error *err)
{
	struct dpdk_transport *dpdk = calloc(1, sizeof(*dpdk));
	int status;

	if (!dpdk)
		return rg_error_set(err, RG_ENOMEM, "no memory for the port");
	dpdk->transport.ops = &dpdk_ops;
	dpdk->transport.payload_bytes = options->mtu - RG_TRANSPORT_HEADER_BYTES;
	status = make_flow(dpdk, endpoint, err);
	if (status == RG_OK)
		status = start_eal(options, err);
	if (status != RG_OK) {
		free(dpdk);
		return status;
	}
	status = start_port(dpdk, options, err);
	if (status == RG_OK)
		status = start_link(dpdk, options, err);
	if (status == RG_OK && !resolve_target(dpdk))
		status = rg_error_set(err, RG_EAGAIN,
				      "%s does not answer %s: is it one of the addresses of this "
				      "port in riskgate.yaml? "
				      "A link address can be given with --target-mac",
				      endpoint->target,
				      dpdk->flow.ip_version == 4 ? "ARP"
								 : "neighbour solicitations");
	if (status != RG_OK) {
		if (dpdk->port < RTE_MAX_ETHPORTS)
			dpdk_close(&dpdk->transport);
		else
			free(dpdk);
		return status;
	}
	*transport = &dpdk->transport;
	return RG_OK;
}

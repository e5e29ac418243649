/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the load generator sends datagrams and hears answers: a DPDK port or a kernel UDP socket.
 *
 * Sending is two steps, so that a request is written once, straight into the packet buffer:
 * reserve() hands out room, the caller writes, send() sends. What send() does not take is given
 * back and must be reserved again. Received payloads stay readable until the next call of
 * receive().
 *
 * Thread-safety: a transport belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_TRANSPORT_H
#define RG_TOOLS_LOADGEN_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_TRANSPORT_BURST_MAX	  64
#define RG_TRANSPORT_HEADER_BYTES 100 /* IPv6, VLAN, UDP and more, beside the payload in an MTU */
#define RG_TRANSPORT_PAYLOAD_BYTES                                                                 \
	(1500 - RG_TRANSPORT_HEADER_BYTES) /* in a datagram of the usual MTU */

struct rg_datagram {
	uint8_t *payload;
	uint16_t bytes; /* when sending: set by the caller after it wrote the payload */
};

struct rg_transport;

/* The narrow interface. A test implements it with two arrays and a clock of its own. */
struct rg_transport_ops {
	/* Make room for up to count <= RG_TRANSPORT_BURST_MAX datagrams of payload_bytes. Returns how many there are; 0 when the transport has none
	 * now. */
	uint32_t (*reserve)(struct rg_transport *transport, struct rg_datagram *datagrams,
			    uint32_t count);
	/* Send the first count of the reserved datagrams. Returns how many were taken; the rest are
	 * forgotten. */
	uint32_t (*send)(struct rg_transport *transport, const struct rg_datagram *datagrams,
			 uint32_t count);
	/* Hand out up to count datagrams that arrived. Never waits. */
	uint32_t (*receive)(struct rg_transport *transport, struct rg_datagram *datagrams,
			    uint32_t count);
	void (*close)(struct rg_transport *transport);
};

/* Embedded first in each implementation. Counters are the implementation's, the reader is the same
 * thread. */
struct rg_transport {
	const struct rg_transport_ops *ops;
	uint32_t payload_bytes;	     /* most that one datagram may hold */
	uint64_t foreign_count;	     /* frames that arrived but are no datagram for us */
	uint64_t send_refused_count; /* times the device or socket took less than was offered */
};

/* Where requests go and what they claim to come from. The kernel transport uses target only. */
struct rg_transport_endpoint {
	char target[128]; /* "10.71.0.1:9471", "[fd71::1]:9471" or a host name (kernel transport) */
	char source[128]; /* the same for the sender; "": chosen */
	uint8_t target_mac[6]; /* DPDK only; all zero: ask for it */
	uint8_t source_mac[6];
	uint32_t flow_count; /* consecutive source ports used in turn, so that RSS spreads; at least
				1 */
};

struct rg_transport_dpdk_options {
	const char *program;	 /* argv[0] */
	const char *device;	 /* "net_memif0,role=client,socket=/run/riskgate/memif.sock" */
	const char *file_prefix; /* NULL: one of this process */
	const char *const *eal_arguments;
	uint32_t eal_argument_count;
	uint32_t core; /* CPU that sends and receives */
	uint32_t memory_mib;
	uint32_t mtu; /* longest IP packet, 1280..9600 */
	bool huge_pages;
	uint16_t queue_count;
	uint32_t link_timeout_ms; /* wait so long for the other side of a memif, vhost or virtio
				     device */
};

/* Open a DPDK port. Errors: RG_EINVAL (arguments, addresses), RG_EIO (EAL or the device refuses),
 * RG_EAGAIN (no link in time: the other side is not there). EAL can be initialised once in a
 * process. */
int rg_transport_open_dpdk(const struct rg_transport_dpdk_options *options,
			   const struct rg_transport_endpoint *endpoint,
			   struct rg_transport **transport, struct rg_error *err);
/* Open a connected, non-blocking kernel UDP socket. Errors: RG_EINVAL (address), RG_EIO. */
int rg_transport_open_udp(const struct rg_transport_endpoint *endpoint,
			  struct rg_transport **transport, struct rg_error *err);

/* Split "10.1.2.3:9471", "[fd00::1]:9471" or "host:9471" into host and port. Returns RG_OK or
 * RG_EINVAL with a remedy. */
int rg_transport_split_address(const char *text, char *host, size_t host_bytes, uint16_t *port,
			       struct rg_error *err);

static inline void rg_transport_close(struct rg_transport *transport)
{
	if (transport)
		transport->ops->close(transport);
}

#endif

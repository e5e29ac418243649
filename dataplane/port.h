/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports: DPDK devices as riskgate.yaml's dataplane.ports describes them, configured, started
 * and cut into queues for the workers.
 *
 * A queue (a receive and a transmit queue of the same number) belongs to one worker for ever. A
 * port gets one queue for each worker, or as many as configured, or as many as the device has;
 * queue q of port p goes to worker (queues of the ports before + q) mod workers, so that several
 * ports with one queue spread over the workers too. With more than one queue the NIC spreads
 * clients by RSS over addresses and UDP ports; answers leave by the queue their requests came from.
 *
 * memif: a port comes up without its peer, and again each time the peer comes back; until then it
 * receives nothing and drops what is sent.
 *
 * Thread-safety: main thread, before workers start and after they stopped. rg_ports_watch() also
 * while they run. Workers read struct rg_port, which is constant while they run.
 */
#ifndef RG_DATAPLANE_PORT_H
#define RG_DATAPLANE_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"
#include "wire/frame.h"

#define RG_PORTS_MAX 16

struct rte_mempool;

/* What a worker needs of a port; read on each burst. */
struct rg_port {
	_Alignas(64) struct rg_frame_host host; /* MAC, addresses and UDP port we answer for */
	uint16_t id;				/* of DPDK */
	uint16_t queue_count;
	uint16_t mtu;		   /* largest IP packet that may leave */
	unsigned tx_offload;	   /* RG_FRAME_TX_*: checksums that the NIC fills in */
	uint64_t tx_mbuf_flags[2]; /* mbuf flags that ask for it: in IPv4, in IPv6 */
	/* main thread */
	int socket; /* NUMA node; 0 when unknown */
	bool link_up, started;
	char name[64];
};

/* A queue that a worker serves. */
struct rg_port_queue {
	const struct rg_port *port;
	uint16_t queue;
};

struct rg_ports {
	struct rg_port port[RG_PORTS_MAX];
	uint32_t count;
	struct rte_mempool *pool[RG_PORTS_MAX]; /* of each NUMA node that is used */
	uint32_t pool_count;
};

/* The counters of all ports, summed (struct rte_eth_stats). */
struct rg_ports_totals {
	uint64_t missed, errors, no_buffer, link_changes;
};

/* Parse "10.71.0.1/24" or "fd71::1/64" into host. key: for messages
 * ("dataplane.ports[0].addresses[1]"). Errors: RG_EINVAL, RG_ELIMIT. */
int rg_port_add_address(struct rg_frame_host *host, const char *text, const char *key,
			struct rg_error *err);

/* Worker that serves queue `queue` of port `port`. Pure. */
uint32_t rg_ports_worker_of(const struct rg_ports *ports, uint32_t port, uint16_t queue,
			    uint32_t worker_count);

/* Configure and start every port of the configuration; EAL is initialised. Each error names key,
 * value and remedy; what was started is stopped again. */
int rg_ports_start(struct rg_ports *ports, const struct rg_config *config, struct rg_error *err);
/* Wait at most timeout_ms for the links of ports that have one (memif has none before its peer
 * comes). False: one is still down; it is logged. */
bool rg_ports_wait_links(struct rg_ports *ports, uint32_t timeout_ms);
/* Look at links and counters: log changes, add them up. A few times a second. */
void rg_ports_watch(struct rg_ports *ports, struct rg_ports_totals *totals);
/* Stop and close all. Workers have stopped. */
void rg_ports_stop(struct rg_ports *ports);

#endif

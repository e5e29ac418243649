/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/worker_fixture.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "bench/policy_fixture.h"
#include "dataplane/worker.h"

#define MTU	      1500
#define POOL	      4095
#define POOL_CACHE    256
#define SLOTS	      1024 /* of each ring of buffers, as net_memif has by default */
#define SLOT_BYTES    2048
#define SCRATCH_BYTES (1u << 20)
#define CLIENT_PORT   40000
#define SERVER_PORT   9471

struct worker_fixture {
	struct policy_fixture *policies;
	char directory[64];
	struct rg_region *region;
	struct rg_policy_publisher publisher;
	struct rg_policy policy;
	struct rg_clock clock;
	struct rg_port port;
	struct rg_worker_loop *loop;
	uint32_t messages;

	uint8_t *in, *out; /* SLOTS x SLOT_BYTES */
	uint16_t *in_bytes, *out_bytes;
	uint64_t taken, put;
	uint64_t requests;
};

static struct rte_mempool *pool;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "worker_bench: %s\n", what);
	exit(1);
}

static void must_ok(int status, const struct rg_error *err)
{
	must(status == RG_OK, err->text);
}

static void start_dpdk(void)
{
	char prefix[64], *arguments[] = {"worker_bench",
					 "--no-huge",
					 "-m",
					 "64",
					 "--no-pci",
					 "--no-shconf",
					 "--no-telemetry",
					 "--log-level=error",
					 "--lcores=0@0",
					 prefix};

	if (pool)
		return;
	snprintf(prefix, sizeof(prefix), "--file-prefix=worker-bench-%d", (int)getpid());
	must(rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), arguments) >= 0,
	     "DPDK does not start");
	pool = rte_pktmbuf_pool_create("packets", POOL, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	must(pool, "no memory for packets");
}

/* ---- frames ---- */

static void make_port(struct rg_port *port)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct rg_error err;

	*port = (struct rg_port){.mtu = MTU, .queue_count = 1, .name = "bench"};
	memcpy(port->host.mac, mac, sizeof(mac));
	port->host.udp_port = SERVER_PORT;
	port->host.udp_port_count = 1;
	must_ok(rg_port_add_address(&port->host, "10.71.0.1/24", "bench", &err), &err);
}

/* The datagrams of the whole ring, the requests of the policy in turn. */
static void make_frames(struct worker_fixture *fixture)
{
	struct rg_frame_flow flow = {.ip_version = 4,
				     .source_mac = {2, 0, 0, 0, 0, 2},
				     .source = {10, 71, 0, 2},
				     .destination = {10, 71, 0, 1},
				     .source_port = CLIENT_PORT,
				     .destination_port = SERVER_PORT};
	uint32_t begin = rg_frame_udp_header_bytes(&flow), bytes;
	uint64_t index = 0;

	memcpy(flow.destination_mac, fixture->port.host.mac, 6);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		uint8_t *frame = fixture->in + slot * SLOT_BYTES;
		uint32_t end = begin;

		for (uint32_t i = 0; i < fixture->messages; i++) {
			const uint8_t *message =
				policy_fixture_message(fixture->policies, index++, &bytes);

			must(end + bytes <= 14 + MTU, "so many requests exceed the MTU");
			memcpy(frame + end, message, bytes);
			end += bytes;
		}
		fixture->in_bytes[slot] =
			(uint16_t)rg_frame_build_udp(frame, SLOT_BYTES, &flow, end - begin, 0);
	}
}

static void receive(struct worker_fixture *fixture, struct rte_mbuf **mbufs)
{
	must(rte_pktmbuf_alloc_bulk(pool, mbufs, WORKER_FIXTURE_BURST) == 0, "packets are lost");
	for (uint32_t i = 0; i < WORKER_FIXTURE_BURST; i++, fixture->taken++) {
		uint32_t slot = fixture->taken % SLOTS;

		mbufs[i]->data_len = fixture->in_bytes[slot];
		mbufs[i]->pkt_len = fixture->in_bytes[slot];
		memcpy(rte_pktmbuf_mtod(mbufs[i], void *), fixture->in + slot * SLOT_BYTES,
		       fixture->in_bytes[slot]);
	}
}

static void transmit(struct worker_fixture *fixture, struct rte_mbuf **mbufs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, fixture->put++) {
		uint32_t slot = fixture->put % SLOTS;

		fixture->out_bytes[slot] = mbufs[i]->data_len;
		memcpy(fixture->out + slot * SLOT_BYTES, rte_pktmbuf_mtod(mbufs[i], void *),
		       mbufs[i]->data_len);
	}
	rte_pktmbuf_free_bulk(mbufs, count);
}

/* ---- the worker ---- */

static uint64_t read_tick(void)
{
	return rte_rdtsc();
}

static void make_region(struct worker_fixture *fixture, uint64_t ring_bytes)
{
	struct rg_region_config config = {
		.worker_count = 1, .ring_bytes = ring_bytes, .instance = "bench", .node = 1};
	struct rg_error err;

	strcpy(fixture->directory, "/dev/shm/riskgate-worker-bench-XXXXXX");
	must(mkdtemp(fixture->directory), "no folder in /dev/shm");
	must_ok(rg_region_create_dataplane(fixture->directory, &config, 1700000000000000000ull,
					   &fixture->region, &err),
		&err);
}

static void make_loop(struct worker_fixture *fixture)
{
	struct rg_worker_config config = {
		.node = 1,
		.epoch = rg_region_epoch(fixture->region, RG_REGION_DATAPLANE),
		.burst = WORKER_FIXTURE_BURST,
		.failure_verdict = RG_VERDICT_DENY,
		.recorder_full_verdict = RG_VERDICT_DENY,
		.scratch_bytes = SCRATCH_BYTES,
		.schema = policy_fixture_schema(fixture->policies),
		.publisher = &fixture->publisher,
		.clock = &fixture->clock,
		.shared = &rg_region_dataplane(fixture->region)->workers[0],
		.queues = {{.port = &fixture->port}},
		.queue_count = 1,
		.socket = SOCKET_ID_ANY,
	};
	struct rg_error err;

	must_ok(rg_worker_loop_new(&config, &fixture->loop, &err), &err);
	must_ok(rg_region_producer(fixture->region, 0, &fixture->loop->ring, &err), &err);
	fixture->policy =
		(struct rg_policy){.image = policy_fixture_image(fixture->policies),
				   .image_bytes = policy_fixture_image_bytes(fixture->policies),
				   .sequence = 1,
				   .generation = 1};
	atomic_store(&fixture->publisher.current, &fixture->policy);
	rg_worker_loop_use_policy(fixture->loop);
	must(fixture->loop->policy_sequence == 1, "the worker does not take the policy");
}

static void *must_allocate(uint64_t bytes)
{
	void *memory = aligned_alloc(RG_SHM_LINE, bytes);

	must(memory, "no memory");
	memset(memory, 0, bytes);
	return memory;
}

struct worker_fixture *worker_fixture_new(const char *root, const char *folder,
					  const char *template_name, const char *package,
					  uint32_t messages, uint64_t ring_bytes)
{
	struct worker_fixture *fixture = must_allocate(rg_align_up(sizeof(*fixture), RG_SHM_LINE));
	uint64_t tick, real;

	start_dpdk();
	fixture->policies = policy_fixture_new(root, folder, template_name, package);
	fixture->messages = messages;
	fixture->in = must_allocate((uint64_t)SLOTS * SLOT_BYTES);
	fixture->out = must_allocate((uint64_t)SLOTS * SLOT_BYTES);
	fixture->in_bytes = must_allocate(SLOTS * sizeof(uint16_t));
	fixture->out_bytes = must_allocate(SLOTS * sizeof(uint16_t));
	rg_clock_sample(read_tick, &tick, &real);
	rg_clock_init(&fixture->clock, tick, real, rte_get_tsc_hz());
	make_port(&fixture->port);
	make_frames(fixture);
	make_region(fixture, ring_bytes);
	make_loop(fixture);
	return fixture;
}

void worker_fixture_free(struct worker_fixture *fixture)
{
	rg_worker_loop_free(fixture->loop);
	rg_region_delete(fixture->region);
	rmdir(fixture->directory);
	policy_fixture_free(fixture->policies);
	free(fixture->in);
	free(fixture->out);
	free(fixture->in_bytes);
	free(fixture->out_bytes);
	free(fixture);
}

uint32_t worker_fixture_decide(struct worker_fixture *fixture)
{
	struct rg_worker_loop *loop = fixture->loop;
	uint64_t now = rte_rdtsc();
	uint32_t answers;

	loop->mark = now;
	receive(fixture, loop->received);
	now = rte_rdtsc();
	loop->progress.ticks[RG_TICK_RX] += now - loop->mark;
	loop->mark = now;
	answers = rg_worker_loop_burst(loop, &fixture->port, loop->received, WORKER_FIXTURE_BURST);
	transmit(fixture, loop->answers, answers);
	now = rte_rdtsc();
	loop->progress.ticks[RG_TICK_TX] += now - loop->mark;
	loop->mark = now;
	if (RG_PROBE_WANTED(bursts))
		rg_worker_probe_burst(loop, WORKER_FIXTURE_BURST, 0);
	loop->ring.consumed = loop->ring.published;
	fixture->requests += (uint64_t)WORKER_FIXTURE_BURST * fixture->messages;
	return answers;
}

uint32_t worker_fixture_decide_observed(struct worker_fixture *fixture)
{
	uint32_t answers;

	riskgate_bursts_semaphore = 1;
	answers = worker_fixture_decide(fixture);
	riskgate_bursts_semaphore = 0;
	return answers;
}

uint32_t worker_fixture_reflect(struct worker_fixture *fixture)
{
	struct rte_mbuf *mbufs[WORKER_FIXTURE_BURST];

	receive(fixture, mbufs);
	for (uint32_t i = 0; i < WORKER_FIXTURE_BURST; i++) {
		struct rte_ether_hdr *header = rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *);
		struct rte_ether_addr source = header->src_addr;

		header->src_addr = header->dst_addr;
		header->dst_addr = source;
	}
	transmit(fixture, mbufs, WORKER_FIXTURE_BURST);
	return WORKER_FIXTURE_BURST;
}

const char *worker_fixture_state(unsigned index)
{
	return index < RG_TICK_COUNT ? rg_worker_tick_name(index) : NULL;
}

double worker_fixture_state_ns(const struct worker_fixture *fixture, unsigned index)
{
	return (double)fixture->loop->progress.ticks[index] / (double)rte_get_tsc_hz() * 1e9 /
	       (double)fixture->requests;
}

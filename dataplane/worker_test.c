/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker stepped by hand: frames in, answers, records and counters out. DPDK runs on ordinary
 * memory without devices; the policy is fake_policy.c; region, ring, schema and frames are the real
 * ones.
 */
#include "dataplane/worker.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <urcu/urcu-qsbr.h>

#include "dataplane/fake_policy.h"
#include "shm/probe_histogram.h"
#include "shm/record.h"
#include "wire/decision.h"

#define BURST	    32
#define MTU	    1500
#define RING_BYTES  (64u << 10)
#define POOL	    1023
#define CLIENT_PORT 40000
#define SERVER_PORT 9471
#define EPOCH_NS    1700000000000000000ull
#define UNBOUND	    2 /* template NewOrder: known to the schema, not bound by the fake policy */
#define BOUND	    1 /* PaymentAuthorization */
#define BLOCK	    288
#define ANSWERS_MAX (MTU / RG_DECISION_BYTES)

static char directory[] = "/dev/shm/riskgate-worker-test-XXXXXX";
static struct rg_schema *schema;
static struct rte_mempool *pool;
static struct rg_region *region, *control;
static struct rg_ring_consumer consumer;
static struct rg_policy_publisher publisher;
static struct rg_policy policy;
static struct fake_image image;
static struct rg_clock clock_;
static struct rg_port port;
static struct rg_frame_host client;
static struct rg_worker_loop *loop;
static uint64_t expected_sequence; /* of the next record */
static uint64_t epoch;

/* ---- setting up ---- */

static uint64_t read_tick(void)
{
	return rte_rdtsc();
}

static void open_region(void)
{
	struct rg_region_config config = {
		.worker_count = 1, .ring_bytes = RING_BYTES, .instance = "test", .node = 42};
	struct rg_error err;

	assert(mkdtemp(directory));
	assert(rg_region_create_dataplane(directory, &config, EPOCH_NS, &region, &err) == RG_OK);
	epoch = rg_region_epoch(region, RG_REGION_DATAPLANE);
}

static void open_control(void)
{
	struct rg_error err;

	assert(rg_region_create_control(directory, "test", 42, EPOCH_NS, &control, &err) == RG_OK);
	assert(rg_region_join_dataplane(control, NULL, &err) == RG_OK);
	assert(rg_region_consumer(control, 0, &consumer, &err) == RG_OK);
	assert(rg_region_join_control(region, NULL, &err) == RG_OK);
}

static void make_hosts(void)
{
	static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1}, client_mac[6] = {2, 0, 0, 0, 0, 2};
	struct rg_error err;

	port = (struct rg_port){.mtu = MTU, .queue_count = 1, .name = "test"};
	memcpy(port.host.mac, server_mac, 6);
	port.host.udp_port = SERVER_PORT;
	port.host.udp_port_count = 1;
	assert(rg_port_add_address(&port.host, "10.71.0.1/24", "test", &err) == RG_OK);
	assert(rg_port_add_address(&port.host, "fd71::1/64", "test", &err) == RG_OK);
	memcpy(client.mac, client_mac, 6);
	client.udp_port = CLIENT_PORT;
	client.udp_port_count = 1;
	assert(rg_port_add_address(&client, "10.71.0.2/24", "test", &err) == RG_OK);
	assert(rg_port_add_address(&client, "fd71::2/64", "test", &err) == RG_OK);
}

static void make_loop(uint8_t recorder_full_verdict)
{
	struct rg_worker_config config = {
		.node = 42,
		.epoch = epoch,
		.burst = BURST,
		.failure_verdict = RG_VERDICT_DENY,
		.recorder_full_verdict = recorder_full_verdict,
		.scratch_bytes = 4096,
		.schema = schema,
		.publisher = &publisher,
		.clock = &clock_,
		.shared = &rg_region_dataplane(region)->workers[0],
		.queues = {{.port = &port}},
		.queue_count = 1,
	};
	uint64_t sequence = loop ? loop->sequence : 0;
	struct rg_error err;

	if (loop)
		rg_worker_loop_flush(loop); /* counters go on, as after a restart */
	rg_worker_loop_free(loop);
	assert(rg_worker_loop_new(&config, &loop, &err) == RG_OK);
	assert(rg_region_producer(region, 0, &loop->ring, &err) == RG_OK);
	loop->sequence = sequence;
}

static void make_current(uint64_t sequence)
{
	image = fake_image(sequence, rg_schema_fields(schema)->fingerprint, BOUND);
	policy = (struct rg_policy){.image = &image,
				    .image_bytes = sizeof(image),
				    .sequence = sequence,
				    .generation = ++publisher.generation};
	atomic_store(&publisher.current, &policy);
	rg_worker_loop_use_policy(loop);
}

/* ---- frames ---- */

static uint8_t payload[65536];
static uint32_t payload_bytes;

/* Append a message: a header as said, then a block of `present` bytes with the request id first. */
static void append(uint16_t template_id, uint16_t schema_id, uint16_t block_length,
		   uint32_t present, uint64_t request_id)
{
	struct rg_sbe_header header = {block_length, template_id, schema_id,
				       rg_schema_version(schema)};

	rg_sbe_header_write(payload + payload_bytes, header);
	memset(payload + payload_bytes + 8, 0x5a, present);
	memcpy(payload + payload_bytes + 8, &request_id, present < 8 ? present : 8);
	payload_bytes += 8 + present;
}

static void append_request(uint64_t request_id)
{
	append(BOUND, rg_schema_id(schema), BLOCK, BLOCK, request_id);
}

static struct rte_mbuf *mbuf_of(const uint8_t *frame, uint32_t bytes)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	char *at;

	assert(mbuf);
	at = rte_pktmbuf_append(mbuf, (uint16_t)bytes);
	assert(at);
	memcpy(at, frame, bytes);
	return mbuf;
}

/* A datagram of the payload from the client; the payload is empty again. */
static struct rte_mbuf *datagram(uint8_t ip_version)
{
	static uint8_t frame[65536];
	struct rg_frame_flow flow = {.ip_version = ip_version,
				     .source_port = CLIENT_PORT,
				     .destination_port = SERVER_PORT};
	uint32_t bytes;

	memcpy(flow.source_mac, client.mac, 6);
	memcpy(flow.destination_mac, port.host.mac, 6);
	memcpy(flow.source, ip_version == 4 ? (void *)client.ipv4 : (void *)client.ipv6[0],
	       ip_version == 4 ? 4 : 16);
	memcpy(flow.destination,
	       ip_version == 4 ? (void *)port.host.ipv4 : (void *)port.host.ipv6[0],
	       ip_version == 4 ? 4 : 16);
	memcpy(frame + rg_frame_udp_header_bytes(&flow), payload, payload_bytes);
	bytes = rg_frame_build_udp(frame, sizeof(frame), &flow, payload_bytes, 0);
	assert(bytes);
	payload_bytes = 0;
	return mbuf_of(frame, bytes);
}

static uint64_t packets_in, packets_out;

static uint32_t burst(struct rte_mbuf **mbufs, uint32_t count)
{
	uint32_t answers;

	loop->mark = rte_rdtsc(); /* as after a receive burst */
	answers = rg_worker_loop_burst(loop, &port, mbufs, count);
	packets_in += count;
	packets_out += answers;
	return answers;
}

static uint32_t burst_one(struct rte_mbuf *mbuf)
{
	return burst(&mbuf, 1);
}

/* The decisions in answer number `index`, which must be a good frame to the client. Frees it. */
static uint32_t read_answer(uint32_t index, struct rg_decision_message *decisions)
{
	struct rte_mbuf *mbuf = loop->answers[index];
	const uint8_t *at = rte_pktmbuf_mtod(mbuf, uint8_t *);
	struct rg_frame frame;
	uint32_t count = 0, cursor = 0, used;
	enum rg_frame_kind kind = rg_frame_parse(at, mbuf->data_len, &client, 0, &frame);

	assert(kind == RG_FRAME_UDP4 || kind == RG_FRAME_UDP6);
	assert(mbuf->pkt_len == mbuf->data_len && mbuf->data_len <= 14 + MTU);
	assert(frame.source_port == SERVER_PORT);
	while (cursor < frame.payload_bytes) {
		used = rg_decision_decode(at + frame.payload + cursor, frame.payload_bytes - cursor,
					  &decisions[count++]);
		assert(used);
		cursor += used;
	}
	rte_pktmbuf_free(mbuf);
	return count;
}

/* ---- records and counters ---- */

static uint64_t counter(enum rg_worker_counter which)
{
	return loop->counters.values[which];
}

/* The next record in the ring, checked; its request's bytes follow it in the buffer. */
static const struct rg_record *next_record(void)
{
	static _Alignas(8) uint8_t copy[RG_RECORD_BYTES_MAX];
	const struct rg_record *record = (const struct rg_record *)copy;
	uint32_t bytes;
	const uint8_t *at = rg_ring_peek(&consumer, &bytes);
	struct rg_error err;

	assert(at && bytes <= sizeof(copy));
	memcpy(copy, at, bytes);
	assert(rg_record_check(record, bytes, &err) == RG_OK);
	rg_ring_advance(&consumer);
	rg_ring_release(&consumer);
	assert(record->sequence == ++expected_sequence);
	assert(record->epoch == epoch && record->node == 42 && record->worker == 0);
	return record;
}

static void expect_no_record(void)
{
	uint32_t bytes;

	assert(rg_ring_peek(&consumer, &bytes) == NULL);
}

static uint64_t counters_sum(enum rg_worker_counter first, enum rg_worker_counter last)
{
	uint64_t sum = 0;

	for (unsigned i = first; i <= last; i++)
		sum += counter((enum rg_worker_counter)i);
	return sum;
}

/* Every packet and every message is accounted for. Of packets, those answered, those dropped for
 * their frame, and those without a message to answer, which are at most as many as messages
 * dropped. */
static void expect_balance(void)
{
	uint64_t dropped = counters_sum(RG_WORKER_DROP_ETHERNET, RG_WORKER_DROP_NO_BUFFER);
	uint64_t messages_dropped = counters_sum(RG_WORKER_BAD_SHORT, RG_WORKER_BAD_OVERSIZE);
	uint64_t verdicts = counters_sum(RG_WORKER_DECISIONS_ALLOW, RG_WORKER_DECISIONS_REVIEW);
	uint64_t statuses = counters_sum(RG_WORKER_STATUS_OK, RG_WORKER_STATUS_RECORDER_FULL);

	assert(counter(RG_WORKER_RX_PACKETS) == packets_in);
	assert(packets_out + dropped <= packets_in &&
	       packets_in <= packets_out + dropped + messages_dropped);
	assert(counter(RG_WORKER_REQUESTS) == statuses);
	assert(verdicts == statuses - 1); /* one heartbeat */
	assert(counter(RG_WORKER_RECORDS) + counter(RG_WORKER_RECORDER_FULL) == verdicts);
}

static void expect_no_leak(void)
{
	assert(rte_mempool_avail_count(pool) == POOL);
}

/* ---- tests ---- */

static void test_no_policy(void)
{
	struct rg_decision_message decision;
	const struct rg_record *record;

	append_request(11);
	assert(burst_one(datagram(4)) == 1);
	assert(read_answer(0, &decision) == 1);
	assert(decision.request_id == 11 && decision.status == RG_DECISION_NO_POLICY &&
	       decision.verdict == RG_VERDICT_DENY);
	assert(decision.policy_sequence == 0);
	record = next_record();
	assert(record->status == RG_DECISION_NO_POLICY && record->policy_sequence == 0 &&
	       record->request_bytes == BLOCK);
	assert(counter(RG_WORKER_STATUS_NO_POLICY) == 1);
	expect_no_record();
}

static void test_one_request(uint8_t ip_version)
{
	static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 71, 0, 2};
	struct rg_decision_message decision;
	const struct rg_record *record;
	uint64_t tick, before, after;

	rg_clock_sample(read_tick, &tick, &before);
	append_request(21); /* 21 % 5: DENY with eight reasons */
	assert(burst_one(datagram(ip_version)) == 1);
	assert(read_answer(0, &decision) == 1);
	rg_clock_sample(read_tick, &tick, &after);
	assert(decision.request_id == 21 && decision.status == RG_DECISION_OK &&
	       decision.verdict == RG_VERDICT_DENY);
	assert(decision.policy_sequence == 5 && decision.reasons_fired == 300 &&
	       decision.flags == 0);
	for (int i = 0; i < RG_REASONS_MAX; i++)
		assert(decision.reasons[i] == 1000 + i);
	assert(decision.receive_time_ns <= decision.send_time_ns);
	/* The line is not updated in this test: the nominal frequency may be off by a percent. */
	assert(decision.receive_time_ns + 1000000000 > before &&
	       decision.send_time_ns < after + 1000000000);
	assert(fake_last.block_bytes == BLOCK &&
	       fake_last.now_ns == (int64_t)decision.receive_time_ns && fake_last.sequence == 5);

	record = next_record();
	assert(record->verdict == RG_VERDICT_DENY && record->status == RG_DECISION_OK &&
	       record->policy_sequence == 5);
	assert(record->receive_time_ns == decision.receive_time_ns &&
	       record->seed == fake_last.seed && record->seed != 0);
	assert(record->client_port == CLIENT_PORT && record->schema_id == rg_schema_id(schema) &&
	       record->template_id == BOUND);
	assert(record->block_length == BLOCK && record->request_bytes == BLOCK &&
	       record->reason_count == 8 && record->reasons[7] == 1007);
	assert(!memcmp(record->client_address, ip_version == 4 ? mapped : client.ipv6[0], 16));
	assert(record->latency_ns <= decision.send_time_ns - decision.receive_time_ns + 1000);
	append_request(21);
	assert(!memcmp(rg_record_request(record), payload + 8, BLOCK));
	payload_bytes = 0;
	expect_no_record();
}

/* Several requests of each outcome in one datagram: as many answers, in their order. */
static void test_many_in_one(void)
{
	static const uint8_t verdicts[5] = {RG_VERDICT_ALLOW, RG_VERDICT_DENY, RG_VERDICT_REVIEW,
					    RG_VERDICT_DENY, RG_VERDICT_ALLOW};
	struct rg_decision_message decisions[ANSWERS_MAX];

	for (uint64_t id = 100; id < 105; id++)
		append_request(id);
	assert(burst_one(datagram(4)) == 1);
	assert(read_answer(0, decisions) == 5);
	for (unsigned i = 0; i < 5; i++) {
		const struct rg_record *record = next_record();

		assert(decisions[i].request_id == 100 + i && decisions[i].verdict == verdicts[i]);
		assert(decisions[i].status ==
		       (i == FAKE_BUDGET ? RG_DECISION_POLICY_ERROR : RG_DECISION_OK));
		assert(decisions[i].score_micro == (i == FAKE_ALLOW_SCORED ? -12345678 : 0));
		assert(record->eval_result == (i == FAKE_BUDGET ? RG_EVAL_BUDGET : RG_EVAL_OK) &&
		       record->verdict == verdicts[i]);
	}
	expect_no_record();
}

/* Small requests get larger answers: the frame grows to what the MTU allows, and what is beyond
 * that is counted. */
static void test_growing(void)
{
	struct rg_decision_message decisions[ANSWERS_MAX];
	uint64_t before = counter(RG_WORKER_BAD_OVERSIZE);
	uint32_t fit4 = (MTU - 28) / RG_DECISION_BYTES, fit6 = (MTU - 48) / RG_DECISION_BYTES;

	for (uint32_t i = 0; i < fit4 + 3; i++)
		append(BOUND, rg_schema_id(schema), 8, 8, 5000 + i);
	assert(burst_one(datagram(4)) == 1);
	assert(read_answer(0, decisions) == fit4);
	for (uint32_t i = 0; i < fit4; i++) {
		assert(decisions[i].request_id == 5000 + i);
		assert(next_record()->request_bytes == 8);
	}
	assert(counter(RG_WORKER_BAD_OVERSIZE) == before + 3);
	for (uint32_t i = 0; i < fit4; i++)
		append(BOUND, rg_schema_id(schema), 8, 8, 6000 + i);
	assert(burst_one(datagram(6)) == 1);
	assert(read_answer(0, decisions) == fit6);
	for (uint32_t i = 0; i < fit6; i++)
		next_record();
	expect_no_record();
}

static void expect_bad(uint64_t request_id)
{
	struct rg_decision_message decision;
	const struct rg_record *record;

	assert(burst_one(datagram(4)) == 1);
	assert(read_answer(0, &decision) == 1);
	assert(decision.request_id == request_id && decision.status == RG_DECISION_BAD_MESSAGE &&
	       decision.verdict == RG_VERDICT_DENY);
	record = next_record();
	assert(record->status == RG_DECISION_BAD_MESSAGE && record->seed == 0);
	expect_no_record();
}

static void expect_silence(enum rg_worker_counter cause)
{
	uint64_t before = counter(cause);

	assert(burst_one(datagram(4)) == 0);
	assert(counter(cause) == before + 1);
	expect_no_record();
}

static void test_bad_messages(void)
{
	uint16_t id = rg_schema_id(schema);

	append(BOUND, id, BLOCK, BLOCK - 1, 31); /* cut off */
	expect_bad(31);
	append(BOUND, id, 65535, 8, 32);
	expect_bad(32);
	append(99, id, 16, 16, 33); /* no such template */
	expect_bad(33);
	append(BOUND, (uint16_t)(id + 1), BLOCK, BLOCK, 34); /* no such schema */
	expect_bad(34);
	append(BOUND, id, 7, 7, 0); /* no room for a request id */
	expect_silence(RG_WORKER_BAD_LENGTH);
	append(BOUND, id, BLOCK, 3, 0);
	expect_silence(RG_WORKER_BAD_LENGTH);
	append(RG_DECISION_TEMPLATE_ID, id, 64, 64, 35); /* a decision is never answered */
	expect_silence(RG_WORKER_BAD_TEMPLATE);
	payload_bytes = 7; /* less than a header */
	expect_silence(RG_WORKER_BAD_SHORT);
	payload_bytes = 0; /* nothing at all */
	expect_silence(RG_WORKER_BAD_SHORT);
}

static void test_extension_rule(void)
{
	struct rg_decision_message decision;

	append(BOUND, rg_schema_id(schema), BLOCK + 40, BLOCK + 40, 40); /* a newer client */
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.status == RG_DECISION_OK && fake_last.block_bytes == BLOCK);
	assert(next_record()->request_bytes == BLOCK + 40);
	append(BOUND, rg_schema_id(schema), 8, 8, 45); /* an older one */
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.status == RG_DECISION_OK && fake_last.block_bytes == 8);
	next_record();
}

static void test_unbound_template(void)
{
	struct rg_decision_message decision;

	append(UNBOUND, rg_schema_id(schema), 16, 16, 50);
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.status == RG_DECISION_NO_POLICY && decision.policy_sequence == 0 &&
	       decision.verdict == RG_VERDICT_DENY);
	assert(next_record()->status == RG_DECISION_NO_POLICY);
}

static void test_heartbeat(void)
{
	const struct rg_template *heartbeat = rg_schema_template_by_name(schema, "Heartbeat");
	struct rg_decision_message decision;
	uint64_t calls = fake_last.calls;

	append(heartbeat->template_id, heartbeat->schema_id, heartbeat->block_length,
	       heartbeat->block_length, 60);
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.request_id == 60 && decision.status == RG_DECISION_OK &&
	       decision.verdict == RG_VERDICT_NONE);
	assert(decision.policy_sequence == 5 && fake_last.calls == calls);
	expect_no_record();
}

static void test_neighbours(void)
{
	static const uint8_t arp[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,	0,  0, 0, 0, 2, 8, 6, 0, 1, 8,	0,  6, 4,
		0,    1, /* who has */
		2,    0,    0,	  0,	0,    2,    10, 71, 0, 2, 0, 0, 0, 0, 0, 0, 10, 71, 0, 1};
	static uint8_t echo[42] = {2,	 0, 0,	0,  0, 1, 2, 0, 0,  0, 0, 2, 8,	 0,
				   0x45, 0, 0,	28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 71,
				   0,	 2, 10, 71, 0, 1, 8, 0, 0,  0, 0, 1, 0,	 1};
	uint16_t sum;
	const uint8_t *at;

	assert(burst_one(mbuf_of(arp, sizeof(arp))) == 1);
	at = rte_pktmbuf_mtod(loop->answers[0], uint8_t *);
	assert(!memcmp(at, client.mac, 6) && at[21] == 2 && !memcmp(at + 22, port.host.mac, 6));
	rte_pktmbuf_free(loop->answers[0]);
	assert(counter(RG_WORKER_ARP_ANSWERED) == 1);

	sum = (uint16_t)~rg_frame_fold(rg_frame_sum(0, echo + 14, 20));
	memcpy(echo + 24, &sum, 2);
	sum = (uint16_t)~rg_frame_fold(rg_frame_sum(0, echo + 34, 8));
	memcpy(echo + 36, &sum, 2);
	assert(burst_one(mbuf_of(echo, sizeof(echo))) == 1);
	at = rte_pktmbuf_mtod(loop->answers[0], uint8_t *);
	assert(at[34] == 0 && !memcmp(at, client.mac, 6));
	rte_pktmbuf_free(loop->answers[0]);
	assert(counter(RG_WORKER_ECHO_ANSWERED) == 1);
}

static void test_segmented(void)
{
	struct rte_mbuf *head, *tail = rte_pktmbuf_alloc(pool);

	append_request(1);
	head = datagram(4);
	assert(tail && rte_pktmbuf_append(tail, 10) && rte_pktmbuf_chain(head, tail) == 0);
	assert(burst_one(head) == 0);
	assert(counter(RG_WORKER_DROP_SEGMENTED) == 1);
}

/* Without a consumer the ring fills; requests are refused, not lost. When control drains it,
 * service is as before. */
static void test_full_ring(void)
{
	struct rg_decision_message decision;
	uint64_t accepted = 0, refused = 0, before = counter(RG_WORKER_RECORDS);

	while (refused < 3) {
		append_request(100); /* ALLOW */
		assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
		if (decision.status == RG_DECISION_RECORDER_FULL) {
			assert(decision.verdict == RG_VERDICT_REVIEW &&
			       decision.score_micro == 0); /* as configured */
			refused++;
		} else {
			assert(decision.status == RG_DECISION_OK &&
			       decision.verdict == RG_VERDICT_ALLOW && refused == 0);
			accepted++;
		}
	}
	assert(accepted > 100 && accepted <= RING_BYTES / (sizeof(struct rg_record) + BLOCK));
	assert(counter(RG_WORKER_RECORDS) == before + accepted &&
	       counter(RG_WORKER_RECORDER_FULL) == 3 && counter(RG_WORKER_RECORDS_LOST) == 0);
	for (uint64_t i = 0; i < accepted; i++)
		assert(next_record()->status == RG_DECISION_OK);
	expect_no_record();
	append_request(100);
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.status == RG_DECISION_OK);
	next_record(); /* no gap in the sequence: nothing was lost */
}

/* recorder_full_verdict NONE: answered as decided; the loss shows as a flag, a counter and a gap in
 * the sequence. */
static void test_full_ring_goes_on(void)
{
	struct rg_decision_message decision;
	uint64_t accepted = 0, lost = 0;

	make_loop(RG_VERDICT_NONE);
	rg_worker_loop_use_policy(loop);
	while (lost < 3) {
		append_request(100);
		assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
		assert(decision.status == RG_DECISION_OK && decision.verdict == RG_VERDICT_ALLOW);
		if (decision.flags & RG_DECISION_DEGRADED)
			lost++;
		else
			accepted++;
	}
	assert(counter(RG_WORKER_RECORDS_LOST) == 3);
	for (uint64_t i = 0; i < accepted; i++)
		next_record();
	expect_no_record();
	expected_sequence += 3;
	append_request(100);
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.flags == 0);
	next_record();
	make_loop(RG_VERDICT_REVIEW);
	rg_worker_loop_use_policy(loop);
}

static void test_policy_switch(void)
{
	struct rg_decision_message decision;
	uint64_t before = counter(RG_WORKER_POLICY_SWITCHES);

	make_current(9);
	append_request(100);
	assert(burst_one(datagram(4)) == 1 && read_answer(0, &decision) == 1);
	assert(decision.policy_sequence == 9 && fake_last.sequence == 9 &&
	       next_record()->policy_sequence == 9);
	rg_worker_loop_use_policy(loop);
	assert(counter(RG_WORKER_POLICY_SWITCHES) == before + 1);
	make_current(5);
}

/* A whole burst of mixed frames, in order. */
static void test_burst(void)
{
	struct rte_mbuf *mbufs[BURST];
	struct rg_decision_message decisions[ANSWERS_MAX];
	uint32_t answers, records = 0;

	for (uint32_t i = 0; i < BURST; i++) {
		for (uint32_t k = 0; k <= i % 3; k++, records++)
			append_request(1000 * i + 5 * k);
		mbufs[i] = datagram(i & 1 ? 4 : 6);
	}
	answers = burst(mbufs, BURST);
	assert(answers == BURST && counter(RG_WORKER_RX_BURSTS_FULL) >= 1);
	for (uint32_t i = 0; i < BURST; i++) {
		assert(loop->answers[i] == mbufs[i]); /* in place */
		assert(read_answer(i, decisions) == i % 3 + 1);
		for (uint32_t k = 0; k <= i % 3; k++)
			assert(decisions[k].request_id == 1000 * i + 5 * k);
	}
	while (records--)
		next_record();
	expect_no_record();
}

/* Random bytes, and good datagrams with random damage: nothing crashes, everything is accounted
 * for, every answer is well formed. */
static void test_junk(unsigned seed)
{
	struct rg_decision_message decisions[RG_ANSWERS_MAX];
	struct rte_mbuf *mbufs[BURST];

	srand(seed);
	printf("junk: seed %u\n", seed);
	for (int round = 0; round < 500; round++) {
		uint32_t answers;

		for (uint32_t i = 0; i < BURST; i++) {
			uint32_t bytes = (uint32_t)rand() % 700 + 1;
			uint8_t *at;

			append_request((uint64_t)rand());
			for (uint32_t k = 0; k < bytes; k++)
				payload[payload_bytes + k] = (uint8_t)rand();
			payload_bytes += bytes;
			mbufs[i] = datagram(rand() & 1 ? 4 : 6);
			at = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
			for (int k = rand() % 4; k > 0; k--)
				at[rand() % 60] = (uint8_t)rand();
			if (rand() % 10 == 0)
				rte_pktmbuf_trim(mbufs[i], (uint16_t)(rand() % mbufs[i]->data_len));
		}
		answers = burst(mbufs, BURST);
		for (uint32_t i = 0; i < answers; i++) {
			struct rg_frame frame;

			if (rg_frame_parse(rte_pktmbuf_mtod(loop->answers[i], uint8_t *),
					   loop->answers[i]->data_len, &client, 0,
					   &frame) <= RG_FRAME_UDP6)
				assert(read_answer(i, decisions) > 0);
			else
				rte_pktmbuf_free(
					loop->answers[i]); /* to an address that the damage made */
		}
		while (rg_ring_peek(&consumer, &(uint32_t){0}))
			next_record();
	}
}

/* A burst as poll_queue() ends it when somebody is attached. */
static void observed_burst(struct rte_mbuf **mbufs, uint32_t count, uint64_t request_id)
{
	struct rg_decision_message decisions[RG_ANSWERS_MAX];
	uint32_t answers = burst(mbufs, count);

	rg_worker_probe_burst(loop, (uint16_t)count, request_id);
	for (uint32_t i = 0; i < answers; i++)
		read_answer(i, decisions);
	while (rg_ring_peek(&consumer, &(uint32_t){0}))
		next_record();
}

/* What is said of all bursts of a batch is what is said of each. */
static void check_batch(void)
{
	const struct rg_probe_bursts *bursts = &loop->probe.bursts;
	const struct rg_probe_batch *all = &bursts->all;
	uint64_t packets = 0, requests = 0;

	for (unsigned stage = 0; stage < RG_STAGE_COUNT; stage++) {
		uint64_t sum = 0, max = 0;

		for (uint32_t i = 0; i < all->count; i++) {
			const struct rg_probe_burst *one = &bursts->each[i];
			uint64_t ns =
				stage == RG_STAGE_TOTAL ? one->total_ns : one->stage_ns[stage];

			assert(all->buckets[i][stage] == rg_probe_histogram_bucket(ns));
			sum += ns;
			max = RTE_MAX(max, ns);
		}
		assert(all->stages[stage].sum_ns == sum && all->stages[stage].max_ns == max);
	}
	for (uint32_t i = 0; i < all->count; i++) {
		packets += bursts->each[i].packets;
		requests += bursts->each[i].requests;
	}
	assert(all->packets == packets && all->requests == requests);
	/* the batch's clock begins with it, and not with the machine's counter */
	assert(all->count == 0 || bursts->each[0].ended_ns == 0);
	for (uint32_t i = 1; i < all->count; i++)
		assert(bursts->each[i].ended_ns > bursts->each[i - 1].ended_ns);
}

/* Somebody is attached: bursts are collected until a batch is full or the policy is another one, and
 * the slowest request of each is known. */
static void test_probe(void)
{
	const struct rg_probe_bursts *bursts = &loop->probe.bursts;
	struct rte_mbuf *mbufs[4];

	riskgate_bursts_semaphore = 1;
	rg_worker_probe_flush(loop); /* as housekeeping does: from here on accounts are known */
	for (uint64_t n = 1; n <= RG_PROBE_BURSTS + 3; n++) {
		uint32_t count = (uint32_t)n % 3 + 1;

		for (uint64_t i = 0; i < count; i++) {
			append_request(n * 100 + i);
			mbufs[i] = datagram(4);
		}
		observed_burst(mbufs, count, n * 100);
		assert(bursts->all.count == (n - 1) % RG_PROBE_BURSTS + 1);
		assert(bursts->each[bursts->all.count - 1].request_id == n * 100);
		check_batch();
	}
	fake_slow_id = 4005; /* in the middle of the burst, and of its datagram */
	for (uint64_t i = 0; i < 4; i++) {
		append_request(4001 + 3 * i);
		append_request(4002 + 3 * i);
		append_request(4003 + 3 * i);
		mbufs[i] = datagram(4);
	}
	observed_burst(mbufs, 4, 4001);
	fake_slow_id = 0;
	assert(bursts->all.count == 4 && bursts->each[3].requests == 12);
	assert(bursts->each[3].request_id == 4001 && bursts->each[3].slowest.request_id == 4005 &&
	       bursts->each[3].slowest.together == 1);
	assert(bursts->each[3].slowest.evaluate_ns >= FAKE_SLOW_NS / 2 &&
	       bursts->each[3].slowest.evaluate_ns <= bursts->each[3].stage_ns[RG_STAGE_EVALUATE]);
	check_batch();
	make_current(5); /* the same again is no other policy */
	append_request(5001);
	mbufs[0] = datagram(4);
	observed_burst(mbufs, 1, 5001);
	assert(bursts->all.count == 5 && bursts->each[4].slowest.request_id == 5001);
	make_current(6);
	mbufs[0] = mbuf_of((const uint8_t[64]){0}, 64); /* nothing to decide in it */
	observed_burst(mbufs, 1, 0);
	assert(bursts->all.count == 1 && bursts->all.policy_sequence == 6);
	assert(bursts->each[0].request_id == 0 && bursts->each[0].slowest.request_id == 0 &&
	       bursts->each[0].slowest.together == 0);
	check_batch();
	append_request(6001);
	mbufs[0] = datagram(4);
	observed_burst(mbufs, 1, 6001);
	loop->clock.line.rate *= 2; /* known better than before */
	rg_worker_probe_flush(loop);
	assert(bursts->all.now_ns > bursts->each[1].ended_ns && bursts->all.count == 0);
	assert(bursts->all.now_ns < rg_clock_scale(rte_rdtsc(), loop->clock.line.rate) / 2);
	rg_clock_refresh(&loop->clock, &clock_);
	riskgate_bursts_semaphore = 0;
	rg_worker_probe_flush(loop);
	assert(bursts->all.count == 0 && bursts->all.stages[RG_STAGE_TOTAL].sum_ns == 0 &&
	       !loop->probe.known);
	make_current(5);
}

/* One poll of a queue with so many requests in it. Returns how many of them were shed; the others must
 * have been decided. All are recorded, as they were answered. */
static uint32_t poll_of(struct rte_ring *rx, struct rte_ring *tx, uint32_t count)
{
	uint64_t before = counter(RG_WORKER_STATUS_OVERLOAD);
	struct rg_decision_message decision;
	uint32_t shed = 0;

	for (uint32_t i = 0; i < count; i++) {
		append_request(5 * i); /* ALLOW, when it is decided */
		assert(rte_ring_enqueue(rx, datagram(4)) == 0);
	}
	assert(rg_worker_loop_step(loop) == count);
	for (uint32_t i = 0; i < count; i++) {
		bool is_shed;

		assert(rte_ring_dequeue(tx, (void **)&loop->answers[0]) == 0);
		assert(read_answer(0, &decision) == 1 && decision.request_id == 5 * i);
		is_shed = decision.status == RG_DECISION_OVERLOAD;
		assert(is_shed || decision.status == RG_DECISION_OK);
		assert(decision.verdict == (is_shed ? RG_VERDICT_DENY : RG_VERDICT_ALLOW));
		assert(next_record()->status == decision.status);
		shed += is_shed;
	}
	assert(counter(RG_WORKER_STATUS_OVERLOAD) == before + shed);
	return shed;
}

/* Against the state machine of worker.h, with a bound that no test reaches of itself: what has passed
 * since the queue was full is set by hand. */
static void test_overload(struct rte_ring *rx, struct rte_ring *tx)
{
	uint64_t bound = 3600 * rte_get_tsc_hz();
	uint16_t burst_before = loop->config.burst;

	loop->config.burst = 8;
	assert(poll_of(rx, tx, 8) == 0 && loop->full_since[0] == 0); /* it is off */
	loop->overload_ticks = bound;
	assert(poll_of(rx, tx, 8) == 0 && loop->full_since[0] != 0);
	loop->full_since[0] -= bound / 2;
	assert(poll_of(rx, tx, 8) == 0);
	loop->full_since[0] -= bound / 2;
	assert(poll_of(rx, tx, 8) == 8 && poll_of(rx, tx, 8) == 8);
	assert(poll_of(rx, tx, 7) == 0 && loop->full_since[0] == 0); /* less than a burst */
	assert(poll_of(rx, tx, 8) == 0);
	loop->full_since[0] -= bound;
	assert(poll_of(rx, tx, 8) == 8);
	assert(poll_of(rx, tx, 0) == 0 && loop->full_since[0] == 0);
	assert(poll_of(rx, tx, 8) == 0);
	loop->full_since[0] -= bound; /* a flood that shedding does not end */
	assert(poll_of(rx, tx, 8) == 8);
	loop->full_since[0] -= bound;
	assert(poll_of(rx, tx, 8) == 0 && poll_of(rx, tx, 8) == 0);
	loop->full_since[0] -= bound;
	assert(poll_of(rx, tx, 8) == 8);
	loop->overload_ticks = 0;
	loop->shedding = false;
	loop->config.burst = burst_before;
}

/* Answers [first, end) of requests 5 x i lie in the transmit queue, and nothing behind them. */
static void take_answers(struct rte_ring *tx, uint64_t first, uint64_t end)
{
	struct rg_decision_message decision;

	for (uint64_t i = first; i < end; i++) {
		assert(rte_ring_dequeue(tx, (void **)&loop->answers[0]) == 0);
		assert(read_answer(0, &decision) == 1 && decision.request_id == i * 5);
	}
	assert(rte_ring_empty(tx));
}

static void send_requests(struct rte_ring *rx, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		append_request(i * 5);
		assert(rte_ring_enqueue(rx, datagram(4)) == 0);
	}
}

/* A transmit queue of 15 that is full: answers wait, and requests with them, as long as they may. */
static void test_wait(struct rte_ring *rx, struct rte_ring *tx)
{
	uint64_t dropped = counter(RG_WORKER_TX_DROPPED), sent = counter(RG_WORKER_TX_PACKETS),
		 bytes = counter(RG_WORKER_TX_BYTES), answer_bytes;

	loop->tx_wait_ticks = 3600 * rte_get_tsc_hz();
	send_requests(rx, 0, 20);
	assert(rg_worker_loop_step(loop) == 20 && loop->unsent[0].count == 5);
	send_requests(rx, 20, 23);
	assert(rg_worker_loop_step(loop) == 1 && rte_ring_count(rx) == 3);
	assert(rte_ring_dequeue(tx, (void **)&loop->answers[0]) == 0);
	rte_pktmbuf_free(loop->answers[0]);
	assert(rg_worker_loop_step(loop) == 1 && loop->unsent[0].count == 4); /* one had room */
	assert(rte_ring_count(rx) == 3);
	take_answers(tx, 1, 16);
	assert(rg_worker_loop_step(loop) == 3 && loop->unsent[0].count == 0);
	take_answers(tx, 16, 23);
	assert(counter(RG_WORKER_TX_DROPPED) == dropped);
	assert(counter(RG_WORKER_TX_PACKETS) == sent + 23);
	answer_bytes = (counter(RG_WORKER_TX_BYTES) - bytes) / 23;
	send_requests(rx, 0, 20);
	assert(rg_worker_loop_step(loop) == 20 && rg_worker_loop_step(loop) == 1);
	loop->unsent[0].since -= loop->tx_wait_ticks;
	send_requests(rx, 20, 21); /* whose answer has no room either */
	assert(rg_worker_loop_step(loop) == 1 && loop->unsent[0].count == 1);
	assert(counter(RG_WORKER_TX_DROPPED) == dropped + 5);
	take_answers(tx, 0, 15);
	assert(rg_worker_loop_step(loop) == 0);
	take_answers(tx, 20, 21);
	assert(counter(RG_WORKER_TX_PACKETS) == sent + 23 + 16);
	assert(counter(RG_WORKER_TX_BYTES) == bytes + (23 + 16) * answer_bytes);
	for (int i = 0; i < 23 + 21; i++)
		next_record();
	loop->tx_wait_ticks = 0;
}

/* The whole turn over a device: rings as NIC queues, and a transmit queue that is full. */
static void test_step(void)
{
	struct rte_ring *rx = rte_ring_create("rx", 64, 0, RING_F_SP_ENQ | RING_F_SC_DEQ),
			*tx = rte_ring_create("tx", 16, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	uint64_t dropped = counter(RG_WORKER_TX_DROPPED), sent = counter(RG_WORKER_TX_PACKETS),
		 passes, slow, slow_ticks;
	struct rte_eth_conf conf = {0};
	int id;

	assert(rx && tx);
	id = rte_eth_from_rings("worker_test", &rx, 1, &tx, 1, 0);
	assert(id >= 0);
	port.id = (uint16_t)id;
	assert(rte_eth_dev_configure(port.id, 1, 1, &conf) == 0);
	assert(rte_eth_rx_queue_setup(port.id, 0, 64, 0, NULL, pool) == 0 &&
	       rte_eth_tx_queue_setup(port.id, 0, 64, 0, NULL) == 0);
	assert(rte_eth_dev_start(port.id) == 0);
	urcu_qsbr_register_thread();
	passes = atomic_load(&loop->passes);
	send_requests(rx, 0, 20); /* the transmit ring holds 15 */
	assert(rg_worker_loop_step(loop) == 20);
	assert(rg_worker_loop_step(loop) == 0);
	assert(atomic_load(&loop->passes) == passes + 2);
	slow = counter(RG_WORKER_LOOPS_SLOW);
	loop->mark = rte_rdtsc() - loop->slow_loop_ticks; /* as if the core had been taken */
	assert(rg_worker_loop_step(loop) == 0 && counter(RG_WORKER_LOOPS_SLOW) == slow + 1);
	slow_ticks = loop->slow_loop_ticks;
	loop->slow_loop_ticks = 3600 * rte_get_tsc_hz(); /* also here the core may be taken */
	assert(rg_worker_loop_step(loop) == 0 && counter(RG_WORKER_LOOPS_SLOW) == slow + 1);
	/* A nap is no part of a loop. */
	loop->slow_loop_ticks = rte_get_tsc_hz() / 10;
	loop->idle.longest_nap_ns = 200000000;
	loop->idle.turns = RG_IDLE_PAUSE_TURNS + 200000;
	assert(rg_worker_loop_step(loop) == 0 && rg_worker_loop_step(loop) == 0);
	assert(counter(RG_WORKER_LOOPS_SLOW) == slow + 1);
	loop->idle.longest_nap_ns = 0;
	loop->slow_loop_ticks = slow_ticks;
	assert(counter(RG_WORKER_TX_PACKETS) == sent + 15 &&
	       counter(RG_WORKER_TX_DROPPED) == dropped + 5);
	take_answers(tx, 0, 15);
	for (int i = 0; i < 20; i++) /* decided and recorded, although five answers did not leave */
		next_record();
	test_wait(rx, tx);
	test_overload(rx, tx);
	urcu_qsbr_unregister_thread();
	rte_eth_dev_stop(port.id);
	rte_eth_dev_close(port.id);
	rte_ring_free(rx);
	rte_ring_free(tx);
}

/* What is counted locally arrives in the region, and every tick is charged to some state. */
static void test_flush(void)
{
	const struct rg_region_dataplane *shared = rg_region_dataplane(region);
	struct rg_worker_progress progress;
	struct rg_histogram_snapshot latency = {0};
	uint64_t ticks = 0;

	rg_worker_loop_flush(loop);
	for (int i = 0; i < RG_WORKER_COUNTERS; i++)
		assert(atomic_load(&shared->workers[0].counters->values[i]) ==
		       loop->counters.values[i]);
	assert(rg_worker_read_progress(shared->workers[0].status, &progress) == RG_OK);
	assert(progress.policy_sequence == 5);
	for (int i = 0; i < RG_TICK_COUNT; i++)
		ticks += progress.ticks[i];
	assert(ticks > 0 && progress.ticks[RG_TICK_EVALUATE] > 0 &&
	       progress.ticks[RG_TICK_RECORD] > 0 && progress.ticks[RG_TICK_DECODE] > 0);
	rg_histogram_merge(&latency, shared->workers[0].histograms[RG_WORKER_HISTOGRAM_LATENCY]);
	assert(latency.count == counter(RG_WORKER_REQUESTS));
}

static void start_dpdk(void)
{
	char prefix[64];
	char *arguments[] = {"worker_test",
			     "--no-huge",
			     "-m",
			     "128",
			     "--no-pci",
			     "--no-shconf",
			     "--no-telemetry",
			     "--log-level=error",
			     "--lcores=0@0",
			     prefix};

	snprintf(prefix, sizeof(prefix), "--file-prefix=worker-test-%d", (int)getpid());
	assert(rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), arguments) >= 0);
	pool = rte_pktmbuf_pool_create("packets", POOL, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	assert(pool);
}

int main(int argc, char **argv)
{
	struct rg_error err;
	uint64_t tick, real;

	assert(argc == 2);
	assert(rg_schema_load(argv[1], &schema, &err) == RG_OK);
	start_dpdk();
	rg_clock_sample(read_tick, &tick, &real);
	rg_clock_init(&clock_, tick, real, rte_get_tsc_hz());
	open_region();
	make_hosts();
	make_loop(RG_VERDICT_REVIEW);
	open_control();

	test_no_policy();
	make_current(5);
	test_one_request(4);
	test_one_request(6);
	test_many_in_one();
	test_growing();
	test_bad_messages();
	test_extension_rule();
	test_unbound_template();
	test_heartbeat();
	test_neighbours();
	test_segmented();
	test_full_ring();
	test_full_ring_goes_on();
	test_policy_switch();
	test_burst();
	test_junk(20261122);
	test_probe();
	expect_balance();
	test_step();
	test_flush();
	expect_no_leak();

	rg_worker_loop_free(loop);
	rg_region_delete(control);
	rg_region_delete(region);
	rmdir(directory);
	rg_schema_free(schema);
	return rte_eal_cleanup();
}

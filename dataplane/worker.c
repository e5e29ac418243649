/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <urcu/urcu-qsbr.h>

#include "shm/record.h"
#include "wire/decision.h"

#define PREFETCH_AHEAD	       4
#define HOUSEKEEPINGS_A_SECOND 1000
#define SLOW_LOOP_US	       1000u

/* One message of the burst. */
struct rg_request {
	const uint8_t *block; /* in the mbuf, until answers are encoded */
	uint64_t request_id;
	uint64_t seed;
	struct rg_sbe_header header;
	uint16_t block_bytes;	/* in the datagram */
	uint16_t visible_bytes; /* of them: what the schema lets us read */
	uint16_t flags;		/* enum rg_decision_flag */
	uint16_t packet;	/* index of its datagram */
	int16_t entry;		/* rg_eval_template(), until it is decided; else -1 */
	uint8_t status;		/* enum rg_decision_status */
	bool heartbeat;
	struct rg_outcome outcome;
};

/* One datagram of the burst that gets answers: requests[first..first + count). */
struct rg_packet {
	struct rte_mbuf *mbuf;
	struct rg_frame frame;
	uint32_t first, count;
};

/* Charge the time since the last charge to `state`. Returns the counter. */
static inline uint64_t charge(struct rg_worker_loop *loop, enum rg_worker_tick state)
{
	uint64_t now = rte_rdtsc();

	loop->progress.ticks[state] += now - loop->mark;
	loop->mark = now;
	return now;
}

static inline void count(struct rg_worker_loop *loop, enum rg_worker_counter counter, uint64_t by)
{
	loop->counters.values[counter] += by;
}

/* SplitMix64 (Steele, Lea, Flood 2014): a new seed for each decision. */
static inline uint64_t next_seed(struct rg_worker_loop *loop)
{
	uint64_t z = loop->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* ---- decode: from frames to requests ---- */

static const uint8_t drop_counters[RG_FRAME_KIND_COUNT] = {
	[RG_FRAME_FRAGMENT4] = RG_WORKER_DROP_FRAGMENT,
	[RG_FRAME_FRAGMENT6] = RG_WORKER_DROP_FRAGMENT,
	[RG_FRAME_OTHER_MAC] = RG_WORKER_DROP_NOT_OURS,
	[RG_FRAME_OTHER_ADDRESS] = RG_WORKER_DROP_NOT_OURS,
	[RG_FRAME_OTHER_PORT] = RG_WORKER_DROP_UDP_PORT,
	[RG_FRAME_OTHER_ETHERTYPE] = RG_WORKER_DROP_FOREIGN,
	[RG_FRAME_OTHER_PROTOCOL] = RG_WORKER_DROP_FOREIGN,
	[RG_FRAME_OTHER_ICMP] = RG_WORKER_DROP_FOREIGN,
	[RG_FRAME_OTHER_ARP] = RG_WORKER_DROP_FOREIGN,
	[RG_FRAME_BAD_SOURCE] = RG_WORKER_DROP_SOURCE,
	[RG_FRAME_BAD_LENGTH] = RG_WORKER_DROP_UDP_LENGTH,
	[RG_FRAME_BAD_HEADER] = RG_WORKER_DROP_IP_HEADER,
	[RG_FRAME_BAD_IP_CHECKSUM] = RG_WORKER_DROP_IPV4_CHECKSUM,
	[RG_FRAME_BAD_L4_CHECKSUM] = RG_WORKER_DROP_UDP_CHECKSUM,
	[RG_FRAME_TOO_DEEP] = RG_WORKER_DROP_ETHERNET,
};

static inline void drop(struct rg_worker_loop *loop, struct rte_mbuf *mbuf)
{
	loop->dropped[loop->dropped_count++] = mbuf;
}

static inline void answer(struct rg_worker_loop *loop, struct rte_mbuf *mbuf, uint32_t bytes)
{
	mbuf->data_len = (uint16_t)bytes;
	mbuf->pkt_len = bytes;
	mbuf->ol_flags = 0; /* those of its way in */
	loop->answers[loop->answer_count++] = mbuf;
	count(loop, RG_WORKER_TX_BYTES, bytes);
}

/* May this message be answered? If not, say why in the counters. */
static bool is_answerable(struct rg_worker_loop *loop, enum rg_sbe_result result,
			  const struct rg_sbe_message *message)
{
	if (unlikely(result == RG_SBE_NO_HEADER))
		count(loop, RG_WORKER_BAD_SHORT, 1);
	else if (unlikely(result == RG_SBE_NO_REQUEST_ID))
		count(loop, RG_WORKER_BAD_LENGTH, 1);
	else if (unlikely(message->header.template_id == RG_DECISION_TEMPLATE_ID))
		count(loop, RG_WORKER_BAD_TEMPLATE, 1);
	else
		return true;
	return false;
}

static void take_request(struct rg_worker_loop *loop, enum rg_sbe_result result,
			 const struct rg_sbe_message *message)
{
	struct rg_request *request = &loop->requests[loop->request_count++];
	const struct rg_template *template = rg_schema_template_by_id(
		loop->config.schema, message->header.schema_id, message->header.template_id);
	bool readable = template && result == RG_SBE_MESSAGE;

	request->block = message->block;
	request->request_id = message->request_id;
	request->seed = 0;
	request->header = message->header;
	request->block_bytes = (uint16_t)message->block_bytes;
	request->visible_bytes =
		readable ? (uint16_t)rg_sbe_visible_bytes(loop->fields, template, message) : 0;
	request->flags = 0;
	request->packet = (uint16_t)loop->packet_count;
	request->status = readable ? RG_DECISION_OK : RG_DECISION_BAD_MESSAGE;
	request->heartbeat = readable && message->header.template_id == loop->heartbeat_template;
	request->outcome = (struct rg_outcome){0};
	loop->records_ahead = rg_ring_prefetch(&loop->ring, loop->records_ahead,
					       rg_record_bytes(request->block_bytes, 0));
}

/* Decisions that fit into the answer to this datagram: its buffer and the port's MTU bound them. */
static uint32_t answers_that_fit(const struct rg_worker_loop *loop, const struct rg_port *port,
				 const struct rte_mbuf *mbuf, const struct rg_frame *frame)
{
	uint32_t room = mbuf->data_len + rte_pktmbuf_tailroom(mbuf);
	uint32_t end = RTE_MIN(room, (uint32_t)frame->l3 + port->mtu);
	uint32_t begin = rg_frame_reply_payload(frame);
	uint32_t fit = end > begin ? (end - begin) / RG_DECISION_BYTES : 0;

	return RTE_MIN(fit, loop->answers_max);
}

static void decode_datagram(struct rg_worker_loop *loop, const struct rg_port *port,
			    struct rte_mbuf *mbuf, const struct rg_frame *frame)
{
	const uint8_t *datagram = rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, frame->payload);
	uint32_t first = loop->request_count,
		 end = first + answers_that_fit(loop, port, mbuf, frame), cursor = 0;
	struct rg_sbe_message message;
	enum rg_sbe_result result;

	while ((result = rg_sbe_next(datagram, frame->payload_bytes, &cursor, &message)) !=
	       RG_SBE_END) {
		if (!is_answerable(loop, result, &message))
			continue;
		if (likely(loop->request_count < end))
			take_request(loop, result, &message);
		else
			count(loop, RG_WORKER_BAD_OVERSIZE, 1);
	}
	if (unlikely(loop->request_count == first)) {
		if (frame->payload_bytes == 0) /* else its messages were counted */
			count(loop, RG_WORKER_BAD_SHORT, 1);
		drop(loop, mbuf);
		return;
	}
	loop->packets[loop->packet_count++] = (struct rg_packet){
		.mbuf = mbuf,
		.frame = *frame,
		.first = first,
		.count = loop->request_count - first,
	};
}

/* Answer what a host must answer to be found; drop all else. */
static void decode_other(struct rg_worker_loop *loop, const struct rg_port *port,
			 struct rte_mbuf *mbuf, const struct rg_frame *frame)
{
	uint8_t *at = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint32_t bytes = 0, room = mbuf->data_len + rte_pktmbuf_tailroom(mbuf);
	enum rg_worker_counter counter = RG_WORKER_DROP_NO_BUFFER;

	switch (frame->kind) {
	case RG_FRAME_ARP_REQUEST:
		bytes = rg_frame_reply_arp(at, frame, &port->host);
		counter = RG_WORKER_ARP_ANSWERED;
		break;
	case RG_FRAME_ND_SOLICIT:
		bytes = rg_frame_reply_nd(at, frame, &port->host, room);
		counter = RG_WORKER_ND_ANSWERED;
		break;
	case RG_FRAME_ICMP4_ECHO:
	case RG_FRAME_ICMP6_ECHO:
		bytes = rg_frame_reply_echo(at, frame, &port->host);
		counter = RG_WORKER_ECHO_ANSWERED;
		break;
	default:
		count(loop, drop_counters[frame->kind], 1);
		drop(loop, mbuf);
		return;
	}
	count(loop, bytes ? counter : RG_WORKER_DROP_NO_BUFFER, 1);
	if (bytes)
		answer(loop, mbuf, bytes);
	else
		drop(loop, mbuf);
}

static inline unsigned receive_offload(const struct rte_mbuf *mbuf)
{
	unsigned flags = 0;

	if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		flags |= RG_FRAME_RX_IP_GOOD;
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= RG_FRAME_RX_L4_GOOD;
	return flags;
}

static void decode(struct rg_worker_loop *loop, const struct rg_port *port, struct rte_mbuf **mbufs,
		   uint32_t mbuf_count)
{
	uint64_t bytes = 0;

	loop->request_count = 0;
	loop->records_ahead = 0;
	loop->packet_count = 0;
	loop->answer_count = 0;
	loop->dropped_count = 0;
	for (uint32_t i = 0; i < RTE_MIN(mbuf_count, (uint32_t)PREFETCH_AHEAD); i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint32_t i = 0; i < mbuf_count; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		struct rg_frame frame;

		if (likely(i + PREFETCH_AHEAD < mbuf_count))
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		bytes += mbuf->pkt_len;
		if (unlikely(mbuf->nb_segs != 1)) {
			count(loop, RG_WORKER_DROP_SEGMENTED, 1);
			drop(loop, mbuf);
			continue;
		}
		rg_frame_parse(rte_pktmbuf_mtod(mbuf, uint8_t *), mbuf->data_len, &port->host,
			       receive_offload(mbuf), &frame);
		if (likely(frame.kind == RG_FRAME_UDP4 || frame.kind == RG_FRAME_UDP6))
			decode_datagram(loop, port, mbuf, &frame);
		else
			decode_other(loop, port, mbuf, &frame);
	}
	count(loop, RG_WORKER_RX_BURSTS, 1);
	count(loop, RG_WORKER_RX_BURSTS_FULL, mbuf_count == loop->config.burst);
	count(loop, RG_WORKER_RX_PACKETS, mbuf_count);
	count(loop, RG_WORKER_RX_BYTES, bytes);
	count(loop, RG_WORKER_REQUESTS, loop->request_count);
}

/* ---- evaluate: from requests to outcomes ---- */

void rg_worker_loop_use_policy(struct rg_worker_loop *loop)
{
	const struct rg_policy *policy = rg_policy_publisher_current(loop->config.publisher);
	uint64_t generation = policy ? policy->generation : 0;

	if (likely(generation == loop->policy_generation))
		return;
	loop->policy_generation = generation;
	loop->policy_sequence = 0;
	/* The publisher bound an evaluator of the same size to this image before it made it
	 * current: this cannot fail. If it did, NO_POLICY is the answer. */
	if (policy && rg_eval_bind(loop->eval, policy->image, policy->image_bytes, NULL) == RG_OK)
		loop->policy_sequence = policy->sequence;
	count(loop, RG_WORKER_POLICY_SWITCHES, 1);
}

static void refuse(const struct rg_worker_loop *loop, struct rg_request *request,
		   enum rg_decision_status status)
{
	request->status = (uint8_t)status;
	request->outcome.verdict = loop->config.failure_verdict;
}

/* Which policy decides each request: -1 if none has to or can. Returns how many there are to
 * decide. */
static uint32_t find_entries(struct rg_worker_loop *loop)
{
	uint32_t undecided = 0;

	for (uint32_t i = 0; i < loop->request_count; i++) {
		struct rg_request *request = &loop->requests[i];

		request->entry = -1;
		if (unlikely(request->heartbeat))
			continue;
		if (unlikely(request->status != RG_DECISION_OK)) {
			refuse(loop, request, RG_DECISION_BAD_MESSAGE);
			continue;
		}
		if (unlikely(loop->shedding)) {
			refuse(loop, request, RG_DECISION_OVERLOAD);
			continue;
		}
		if (likely(loop->policy_sequence))
			request->entry = (int16_t)rg_eval_template(
				loop->eval, request->header.schema_id, request->header.template_id);
		if (unlikely(request->entry < 0)) {
			refuse(loop, request, RG_DECISION_NO_POLICY);
			continue;
		}
		request->seed = next_seed(loop);
		undecided++;
	}
	return undecided;
}

/* The evaluator's word, for whoever is attached. */
static void decided(struct rg_decide_listener *listener, const struct rg_decide_request *requests,
		    uint32_t count)
{
	struct rg_worker_loop *loop = container_of(listener, struct rg_worker_loop, probe.listener);
	const struct rg_request *first =
		container_of(requests->outcome, struct rg_request, outcome);

	rg_worker_probe_decided(loop, first->request_id, count);
}

/* Decide requests from the first-th on that have its template, as many as go together. Returns how
 * many. */
static uint32_t decide_alike(struct rg_worker_loop *loop, uint32_t first)
{
	struct rg_decide_request alike[RG_DECIDE_TOGETHER];
	int16_t entry = loop->requests[first].entry;
	uint32_t alike_count = 0;

	for (uint32_t i = first; i < loop->request_count && alike_count < RG_DECIDE_TOGETHER; i++) {
		struct rg_request *request = &loop->requests[i];

		if (unlikely(request->entry != entry))
			continue;
		request->entry = -1;
		alike[alike_count++] = (struct rg_decide_request){
			request->block, request->visible_bytes, request->seed, &request->outcome};
	}
	if (RG_PROBE_WANTED(bursts))
		rg_decide_burst_told(loop->eval, entry, alike, alike_count,
				     (int64_t)loop->receive_ns, &loop->probe.listener);
	else
		rg_decide_burst(loop->eval, entry, alike, alike_count, (int64_t)loop->receive_ns);
	return alike_count;
}

static void evaluate(struct rg_worker_loop *loop)
{
	uint32_t undecided = find_entries(loop);

	for (uint32_t i = 0; undecided; i++) {
		if (loop->requests[i].entry >= 0)
			undecided -= decide_alike(loop, i);
	}
	for (uint32_t i = 0; i < loop->request_count; i++) {
		if (unlikely(loop->requests[i].outcome.result != RG_EVAL_OK))
			loop->requests[i].status = RG_DECISION_POLICY_ERROR;
	}
}

/* ---- record: from outcomes to the ring ---- */

static void client_address(const struct rg_packet *packet, uint8_t *address)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	const uint8_t *ip =
		rte_pktmbuf_mtod_offset(packet->mbuf, const uint8_t *, packet->frame.l3);

	if (packet->frame.ip_version == 4) {
		memcpy(address, mapped, sizeof(mapped)); /* RFC 4291 2.5.5.2 */
		memcpy(address + sizeof(mapped), ip + 12, 4);
	} else {
		memcpy(address, ip + 8, 16);
	}
}

/* Member by member, every one: a compound literal costs a `rep stos` to clear it first. */
static void write_record(const struct rg_worker_loop *loop, const struct rg_request *request,
			 uint32_t latency_ns, uint32_t bytes, struct rg_record *record)
{
	const struct rg_packet *packet = &loop->packets[request->packet];
	const struct rg_outcome *outcome = &request->outcome;

	static_assert(sizeof(record->reasons) == sizeof(outcome->reasons),
		      "a record holds every reason of an outcome");
	static_assert(sizeof(*record) == 120, "a new member of the record is to be written here");
	record->length = bytes;
	record->kind = RG_RECORD_DECISION;
	record->version = RG_RECORD_VERSION;
	record->worker = loop->config.index;
	record->epoch = loop->config.epoch;
	record->sequence = loop->sequence;
	record->receive_time_ns = loop->receive_ns;
	record->seed = request->seed;
	record->policy_sequence =
		request->status == RG_DECISION_NO_POLICY ? 0 : loop->policy_sequence;
	record->score_micro = outcome->score_micro;
	client_address(packet, record->client_address);
	record->client_port = packet->frame.source_port;
	record->schema_id = request->header.schema_id;
	record->template_id = request->header.template_id;
	record->schema_version = request->header.version;
	record->block_length = request->header.block_length;
	record->flags = request->flags;
	record->latency_ns = latency_ns;
	record->node = loop->config.node;
	record->verdict = outcome->verdict;
	record->status = request->status;
	record->eval_result = outcome->result;
	record->reason_count = outcome->reason_count;
	memcpy(record->reasons, outcome->reasons, sizeof(record->reasons));
	record->reasons_fired = outcome->reasons_fired;
	record->request_bytes = request->block_bytes;
	record->features_bytes = 0;
	memcpy(record + 1, request->block, request->block_bytes);
}

/* The ring has no room: refuse the request, or lose its record, as configured. */
static void recorder_full(struct rg_worker_loop *loop, struct rg_request *request)
{
	count(loop, RG_WORKER_RECORDER_FULL, 1);
	if (loop->config.recorder_full_verdict == RG_VERDICT_NONE) {
		request->flags |= RG_DECISION_DEGRADED;
		loop->sequence++; /* a gap: what is lost shows */
		count(loop, RG_WORKER_RECORDS_LOST, 1);
		return;
	}
	request->status = RG_DECISION_RECORDER_FULL;
	request->outcome = (struct rg_outcome){.verdict = loop->config.recorder_full_verdict};
}

static void record(struct rg_worker_loop *loop, uint32_t latency_ns)
{
	uint64_t written = 0, written_bytes = 0;

	for (uint32_t i = 0; i < loop->request_count; i++) {
		struct rg_request *request = &loop->requests[i];
		uint32_t bytes = rg_record_bytes(request->block_bytes, 0);
		uint8_t *at;

		if (unlikely(request->heartbeat))
			continue;
		at = rg_ring_reserve(&loop->ring, bytes);
		if (unlikely(!at)) {
			recorder_full(loop, request);
			continue;
		}
		loop->sequence++;
		write_record(loop, request, latency_ns, bytes, (struct rg_record *)at);
		written++;
		written_bytes += bytes;
	}
	rg_ring_commit(&loop->ring);
	count(loop, RG_WORKER_RECORDS, written);
	count(loop, RG_WORKER_RECORD_BYTES, written_bytes);
}

/* ---- encode: answers over the requests ---- */

static const uint8_t verdict_counters[] = {
	[RG_VERDICT_ALLOW] = RG_WORKER_DECISIONS_ALLOW,
	[RG_VERDICT_DENY] = RG_WORKER_DECISIONS_DENY,
	[RG_VERDICT_REVIEW] = RG_WORKER_DECISIONS_REVIEW,
};
static_assert(RG_WORKER_STATUS_RECORDER_FULL - RG_WORKER_STATUS_OK ==
		      RG_DECISION_RECORDER_FULL - RG_DECISION_OK,
	      "the status counters stand in the order of enum rg_decision_status");

/* In whole words from registers straight into the packet, summed on the way: what is stored piece by
 * piece and loaded again as a whole waits until those stores, and those of the records before them,
 * have left the core. Returns the rg_frame_sum() of the message. */
static inline uint64_t encode_decision(struct rg_worker_loop *loop,
				       const struct rg_request *request, uint8_t *out)
{
	const struct rg_outcome *outcome = &request->outcome;
	uint64_t words[RG_DECISION_BYTES / 8], sum = 0;

	static_assert(sizeof(loop->decision_header) == 8 && sizeof(outcome->reasons) == 16 &&
			      offsetof(struct rg_decision_message, reasons_fired) == 56,
		      "the words below are those of struct rg_decision_message");
	memcpy(&words[0], &loop->decision_header, 8);
	words[1] = request->request_id;
	words[2] = request->status == RG_DECISION_NO_POLICY ? 0 : loop->policy_sequence;
	words[3] = (uint64_t)outcome->score_micro;
	words[4] = loop->receive_ns;
	words[5] = loop->send_ns;
	memcpy(&words[6], outcome->reasons, 16);
	words[8] = outcome->reasons_fired | (uint64_t)request->flags << 16 |
		   (uint64_t)outcome->verdict << 32 | (uint64_t)request->status << 40;
	for (uint32_t i = 0; i < RG_DECISION_BYTES / 8; i++) {
		memcpy(out + 8 * i, &words[i], 8);
		sum += rg_frame_halves(words[i]);
	}
	if (likely(!request->heartbeat))
		count(loop, verdict_counters[outcome->verdict], 1);
	count(loop, RG_WORKER_STATUS_OK + request->status, 1);
	return sum;
}

static void encode(struct rg_worker_loop *loop, const struct rg_port *port)
{
	for (uint32_t p = 0; p < loop->packet_count; p++) {
		const struct rg_packet *packet = &loop->packets[p];
		struct rte_mbuf *mbuf = packet->mbuf;
		uint8_t *at = rte_pktmbuf_mtod(mbuf, uint8_t *);
		uint8_t *out = at + rg_frame_reply_payload(&packet->frame);
		uint64_t sum = 0;

		for (uint32_t i = 0; i < packet->count; i++)
			sum += encode_decision(loop, &loop->requests[packet->first + i],
					       out + i * RG_DECISION_BYTES);
		answer(loop, mbuf,
		       rg_frame_reply_udp(at, &packet->frame, &port->host,
					  packet->count * RG_DECISION_BYTES, sum,
					  port->tx_offload));
		if (port->tx_offload) { /* after answer(), which clears the flags */
			bool ipv6 = packet->frame.ip_version == 6;

			mbuf->l2_len = packet->frame.l3;
			mbuf->l3_len = ipv6 ? 40 : 20;
			mbuf->ol_flags = port->tx_mbuf_flags[ipv6];
		}
	}
}

/* ---- the burst and the loop ---- */

static inline uint64_t elapsed_ns(const struct rg_worker_loop *loop, uint64_t ticks)
{
	return rg_clock_scale(ticks, loop->clock.line.rate);
}

uint32_t rg_worker_loop_burst(struct rg_worker_loop *loop, const struct rg_port *port,
			      struct rte_mbuf **mbufs, uint32_t mbuf_count)
{
	uint64_t received = loop->mark, decoded, evaluated, latency_ns;

	loop->receive_ns = rg_clock_ns(&loop->clock, received);
	decode(loop, port, mbufs, mbuf_count);
	decoded = charge(loop, RG_TICK_DECODE);
	if (loop->request_count) {
		evaluate(loop);
		evaluated = charge(loop, RG_TICK_EVALUATE);
		rg_histogram_record_n(loop->config.shared->histograms[RG_WORKER_HISTOGRAM_EVALUATE],
				      elapsed_ns(loop, evaluated - decoded) / loop->request_count,
				      loop->request_count);
		latency_ns = elapsed_ns(loop, evaluated - received);
		record(loop, (uint32_t)RTE_MIN(latency_ns, (uint64_t)UINT32_MAX));
		loop->send_ns = rg_clock_ns(&loop->clock, charge(loop, RG_TICK_RECORD));
		encode(loop, port);
		latency_ns = elapsed_ns(loop, charge(loop, RG_TICK_TX) - received);
		rg_histogram_record_n(loop->config.shared->histograms[RG_WORKER_HISTOGRAM_LATENCY],
				      latency_ns, loop->request_count);
	}
	if (loop->dropped_count)
		rte_pktmbuf_free_bulk(loop->dropped, loop->dropped_count);
	return loop->answer_count;
}

/* Hand over what a queue has to send: see SENDING in worker.h. False: some of it has to wait. */
static bool send_answers(struct rg_worker_loop *loop, uint32_t index)
{
	const struct rg_port_queue *queue = &loop->config.queues[index];
	struct rg_worker_unsent *unsent = &loop->unsent[index];
	struct rte_mbuf **first = unsent->answers + unsent->first;
	uint16_t sent = rte_eth_tx_burst(queue->port->id, queue->queue, first, unsent->count);

	count(loop, RG_WORKER_TX_PACKETS, sent);
	unsent->first = (uint16_t)(unsent->first + sent);
	unsent->count = (uint16_t)(unsent->count - sent);
	if (sent)
		unsent->since = loop->mark;
	if (!unsent->count)
		return true;
	if (loop->mark - unsent->since < loop->tx_wait_ticks)
		return false;
	for (uint32_t i = 0; i < unsent->count; i++)
		loop->counters.values[RG_WORKER_TX_BYTES] -= first[sent + i]->pkt_len;
	count(loop, RG_WORKER_TX_DROPPED, unsent->count);
	rte_pktmbuf_free_bulk(first + sent, unsent->count);
	unsent->count = 0;
	return true;
}

/* The device took only answers[0..sent) of a burst: the others are the queue's to send. */
static void keep_unsent(struct rg_worker_loop *loop, uint32_t index, uint32_t sent,
			uint32_t answers)
{
	struct rg_worker_unsent *unsent = &loop->unsent[index];

	unsent->first = 0;
	unsent->count = (uint16_t)(answers - sent);
	unsent->since = loop->mark;
	memcpy(unsent->answers, loop->answers + sent, unsent->count * sizeof(unsent->answers[0]));
	send_answers(loop, index);
}

/* Is a queue overloaded, a poll of which brought so many packets? See worker.h. */
static bool is_overloaded(const struct rg_worker_loop *loop, uint64_t *full_since,
			  uint16_t received)
{
	if (received < loop->config.burst) {
		*full_since = 0;
		return false;
	}
	if (!*full_since || loop->mark - *full_since >= 2 * loop->overload_ticks)
		*full_since = loop->mark;
	return loop->mark - *full_since >= loop->overload_ticks;
}

static uint32_t poll_queue(struct rg_worker_loop *loop, uint32_t index)
{
	const struct rg_port_queue *queue = &loop->config.queues[index];
	uint32_t answers, sent;
	uint16_t received;

	if (unlikely(loop->unsent[index].count)) {
		bool is_done = send_answers(loop, index);

		charge(loop, RG_TICK_TX);
		if (!is_done)
			return 1;
	}
	received =
		rte_eth_rx_burst(queue->port->id, queue->queue, loop->received, loop->config.burst);
	charge(loop, received ? RG_TICK_RX : RG_TICK_IDLE);
	if (loop->overload_ticks)
		loop->shedding = is_overloaded(loop, &loop->full_since[index], received);
	if (!received)
		return 0;
	answers = rg_worker_loop_burst(loop, queue->port, loop->received, received);
	sent = rte_eth_tx_burst(queue->port->id, queue->queue, loop->answers, (uint16_t)answers);
	count(loop, RG_WORKER_TX_PACKETS, sent);
	if (unlikely(sent < answers))
		keep_unsent(loop, index, sent, answers);
	charge(loop, RG_TICK_TX);
	if (RG_PROBE_WANTED(bursts))
		rg_worker_probe_burst(loop, received,
				      loop->request_count ? loop->requests[0].request_id : 0);
	return received;
}

void rg_worker_loop_flush(struct rg_worker_loop *loop)
{
	loop->counters.values[RG_WORKER_RING_USED_BYTES] = rg_ring_used_bytes(&loop->ring);
	loop->counters.values[RG_WORKER_RING_BYTES] = loop->ring.capacity;
	loop->progress.heartbeat_ns = rg_clock_ns(&loop->clock, loop->mark);
	loop->progress.loops =
		atomic_load_explicit(&loop->passes, memory_order_relaxed); /* our own */
	loop->progress.policy_sequence = loop->policy_sequence;
	rg_counters_flush(&loop->counters);
	rg_worker_probe_flush(loop);
	rg_worker_set_progress(loop->config.shared->status, &loop->progress);
}

static void housekeeping(struct rg_worker_loop *loop)
{
	if (likely(loop->mark < loop->housekeeping_tick))
		return;
	loop->housekeeping_tick = loop->mark + loop->housekeeping_period;
	rg_clock_refresh(&loop->clock, loop->config.clock);
	rg_worker_loop_flush(loop);
}

static void idle(struct rg_worker_loop *loop, uint32_t work)
{
	enum rg_idle_state state;

	if (work) {
		rg_idle_work(&loop->idle);
		return;
	}
	loop->progress.loops_idle++;
	state = rg_idle_turn(&loop->idle);
	if (state == RG_IDLE_NAP || state == RG_IDLE_SLEEP) {
		count(loop, RG_WORKER_SLEEPS, 1);
		/* The next loop begins now: it was not long, and did not receive all the while. */
		charge(loop, RG_TICK_IDLE);
	}
}

uint32_t rg_worker_loop_step(struct rg_worker_loop *loop)
{
	uint64_t begun = loop->mark;
	uint32_t work = 0;

	rg_worker_loop_use_policy(loop);
	for (uint32_t i = 0; i < loop->config.queue_count; i++)
		work += poll_queue(loop, i);
	if (loop->mark - begun > loop->progress.longest_loop_ticks && work)
		loop->progress.longest_loop_ticks = loop->mark - begun;
	if (unlikely(loop->mark - begun >= loop->slow_loop_ticks))
		count(loop, RG_WORKER_LOOPS_SLOW, 1);
	housekeeping(loop);
	/* Relaxed: a number of its own; who reads it wants to see it move. */
	atomic_store_explicit(&loop->passes,
			      atomic_load_explicit(&loop->passes, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	urcu_qsbr_quiescent_state();
	idle(loop, work);
	return work;
}

/* ---- the thread ---- */

static void tell_identity(const struct rg_worker_loop *loop)
{
	struct rg_worker_identity identity = {
		.core = rte_lcore_id(),
		.cpu = UINT64_MAX,
		.thread_id = (uint64_t)gettid(),
		.tsc_hz = rte_get_tsc_hz(),
		.started_ns = loop->receive_ns,
	};
	size_t used = 0;

	if (rte_lcore_id() != LCORE_ID_ANY)
		identity.cpu = (uint64_t)rte_lcore_to_cpu_id((int)rte_lcore_id());
	for (uint32_t i = 0; i < loop->config.queue_count && used < sizeof(identity.queues); i++)
		used += (size_t)snprintf(identity.queues + used, sizeof(identity.queues) - used,
					 "%s%s:%u", i ? " " : "", loop->config.queues[i].port->name,
					 loop->config.queues[i].queue);
	rg_worker_set_identity(loop->config.shared->status, &identity);
}

int rg_worker_loop_run(void *arg)
{
	struct rg_worker_loop *loop = arg;

	rg_worker_set_state(loop->config.shared->status, RG_WORKER_STARTING);
	prctl(PR_SET_TIMERSLACK, 1); /* nanosleep() of 1 us shall not take 50 */
	urcu_qsbr_register_thread();
	rg_clock_refresh(&loop->clock, loop->config.clock);
	loop->mark = rte_rdtsc();
	loop->receive_ns = rg_clock_ns(&loop->clock, loop->mark);
	tell_identity(loop);
	rg_worker_set_state(loop->config.shared->status, RG_WORKER_RUNNING);
	/* Relaxed: nothing is handed over with it. */
	while (likely(!atomic_load_explicit(&loop->stop, memory_order_relaxed)))
		rg_worker_loop_step(loop);
	rg_worker_set_state(loop->config.shared->status, RG_WORKER_STOPPING);
	urcu_qsbr_unregister_thread();
	rg_worker_loop_flush(loop);
	rg_worker_set_state(loop->config.shared->status, RG_WORKER_STOPPED);
	return 0;
}

/* ---- carving ---- */

static void *carve(uint64_t bytes, int socket)
{
	return rte_zmalloc_socket("riskgate", bytes, RG_SHM_LINE, socket);
}

/* Decisions that can be in one datagram of these ports. */
static uint32_t answers_of_largest(const struct rg_worker_config *config)
{
	uint32_t most = 1;

	for (uint32_t i = 0; i < config->queue_count; i++)
		most = RTE_MAX(most, (uint32_t)config->queues[i].port->mtu / RG_DECISION_BYTES);
	return RTE_MIN(most, (uint32_t)RG_ANSWERS_MAX);
}

static int carve_all(struct rg_worker_loop *loop, struct rg_error *err)
{
	const struct rg_worker_config *config = &loop->config;
	uint64_t eval_bytes = rg_eval_footprint(config->scratch_bytes);

	if (eval_bytes == 0)
		return rg_error_set(err, RG_EINVAL,
				    "decision.scratch_bytes: %" PRIu64 " is out of range",
				    config->scratch_bytes);
	loop->requests =
		carve((uint64_t)config->burst * loop->answers_max * sizeof(*loop->requests),
		      config->socket);
	loop->packets = carve((uint64_t)config->burst * sizeof(*loop->packets), config->socket);
	loop->unsent = carve(config->queue_count * sizeof(*loop->unsent), config->socket);
	loop->eval_memory = carve(eval_bytes, config->socket);
	if (!loop->requests || !loop->packets || (!loop->unsent && config->queue_count) ||
	    !loop->eval_memory)
		return rg_error_set(err, RG_ENOMEM,
				    "dataplane.memory_mib: too little for worker %u, whose "
				    "evaluator needs %" PRIu64
				    " bytes; raise it, or lower decision.scratch_bytes, "
				    "dataplane.burst or dataplane.mbufs",
				    config->index, eval_bytes);
	loop->eval = rg_eval_new(loop->eval_memory, config->scratch_bytes);
	if (!loop->eval)
		return rg_error_set(err, RG_EINVAL,
				    "decision.scratch_bytes: %" PRIu64 " is out of range",
				    config->scratch_bytes);
	return RG_OK;
}

int rg_worker_loop_new(const struct rg_worker_config *config, struct rg_worker_loop **out,
		       struct rg_error *err)
{
	const struct rg_template *heartbeat =
		rg_schema_template_by_name(config->schema, "Heartbeat");
	struct rg_worker_loop *loop = carve(sizeof(*loop), config->socket);
	int rc;

	*out = NULL;
	if (!loop)
		return rg_error_set(err, RG_ENOMEM,
				    "dataplane.memory_mib: too little for worker %u; raise it",
				    config->index);
	loop->config = *config;
	loop->fields = rg_schema_fields(config->schema);
	loop->decision_header = (struct rg_sbe_header){
		.block_length = sizeof(struct rg_decision_message),
		.template_id = RG_DECISION_TEMPLATE_ID,
		.schema_id = rg_schema_id(config->schema),
		.version = rg_schema_version(config->schema),
	};
	loop->heartbeat_template = heartbeat
					   ? heartbeat->template_id
					   : RG_DECISION_TEMPLATE_ID; /* which is never a request */
	loop->answers_max = answers_of_largest(config);
	loop->probe.listener.decided = decided;
	rg_idle_init(&loop->idle, config->idle_sleep_us);
	loop->seed = config->epoch ^ (uint64_t)config->index << 48;
	loop->housekeeping_period = rte_get_tsc_hz() / HOUSEKEEPINGS_A_SECOND;
	loop->slow_loop_ticks = rte_get_tsc_hz() / 1000000 * SLOW_LOOP_US;
	loop->overload_ticks = rte_get_tsc_hz() / 1000000 * config->overload_after_us;
	loop->tx_wait_ticks = rte_get_tsc_hz() / 1000000 * config->tx_wait_us;
	loop->mark = rte_rdtsc();
	rg_clock_refresh(&loop->clock, config->clock);
	rc = carve_all(loop, err);
	if (rc == RG_OK)
		rc = rg_counters_writer_join(&loop->counters, config->shared->counters,
					     RG_METRIC_WORKER, err);
	if (rc != RG_OK) {
		rg_worker_loop_free(loop);
		return rc;
	}
	*out = loop;
	return RG_OK;
}

bool rg_worker_loop_listen(struct rg_worker_loop *loop)
{
	return rg_idle_listen(&loop->idle, loop->config.queues, loop->config.queue_count);
}

void rg_worker_loop_free(struct rg_worker_loop *loop)
{
	if (!loop)
		return;
	rg_idle_leave(&loop->idle);
	for (uint32_t i = 0; loop->unsent && i < loop->config.queue_count; i++)
		rte_pktmbuf_free_bulk(loop->unsent[i].answers + loop->unsent[i].first,
				      loop->unsent[i].count);
	rte_free(loop->requests);
	rte_free(loop->packets);
	rte_free(loop->unsent);
	rte_free(loop->eval_memory);
	rte_free(loop);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load stepped by hand, with a clock and a transport of its own: schedule, intended-time
 * latency, loss, duplicates, batches. The fake transport answers each datagram after a set delay,
 * unless told to stall, drop or refuse.
 */
#include "tools/loadgen/load.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/sbe.h"

#define QUEUE_MAX    (1u << 16)
#define TEMPLATE_ID  7
#define BLOCK_LENGTH 16
#define US	     1000ull
#define MS	     1000000ull
#define SECOND	     1000000000ull

/* One answer on its way. */
struct in_flight {
	uint64_t due_ns;
	uint16_t bytes;
	uint8_t payload[512];
};

static struct fake {
	struct rg_transport transport;
	uint64_t now_ns;
	uint64_t delay_ns;
	uint64_t stall_begin_ns, stall_end_ns; /* nothing is taken or delivered in between */
	uint64_t drop_every, duplicate_every;  /* 0: never; counted in messages */
	bool echo;
	uint64_t message_count;
	uint64_t sequence; /* of the policy, in answers */
	uint8_t buffers[RG_TRANSPORT_BURST_MAX][RG_TRANSPORT_PAYLOAD_BYTES];
	uint8_t delivered[RG_TRANSPORT_BURST_MAX][512];
	struct in_flight queue[QUEUE_MAX];
	uint64_t queue_begin, queue_end;
	uint64_t seen_first_id, seen_last_id, seen_ids;
} fake;

static uint64_t fake_now(void *context)
{
	assert(context == &fake);
	return fake.now_ns;
}

static bool is_stalled(void)
{
	return fake.now_ns >= fake.stall_begin_ns && fake.now_ns < fake.stall_end_ns;
}

static uint32_t fake_reserve(struct rg_transport *transport, struct rg_datagram *datagrams,
			     uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		datagrams[i].payload = fake.buffers[i];
	return count;
}

static void put_answer(const uint8_t *payload, uint16_t bytes)
{
	struct in_flight *entry = &fake.queue[fake.queue_end++ % QUEUE_MAX];

	assert(fake.queue_end - fake.queue_begin <= QUEUE_MAX && bytes <= sizeof(entry->payload));
	entry->due_ns = fake.now_ns + fake.delay_ns;
	entry->bytes = bytes;
	memcpy(entry->payload, payload, bytes);
}

static void answer_message(const struct rg_sbe_message *message, uint8_t *out, uint16_t *used)
{
	struct rg_decision_message decision = {
		.request_id = message->request_id,
		.policy_sequence = fake.sequence,
		.score_micro = -5,
		.receive_time_ns = fake.now_ns,
		.send_time_ns = fake.now_ns + 1,
		.verdict = (uint8_t)(1 + message->request_id % 3),
		.status = RG_DECISION_OK,
	};

	if (fake.seen_ids++ == 0)
		fake.seen_first_id = message->request_id;
	fake.seen_last_id = message->request_id;
	fake.message_count++;
	if (fake.drop_every && fake.message_count % fake.drop_every == 0)
		return;
	rg_decision_encode(out + *used, 1, 0, &decision);
	*used = (uint16_t)(*used + RG_DECISION_BYTES);
	if (fake.duplicate_every && fake.message_count % fake.duplicate_every == 0) {
		rg_decision_encode(out + *used, 1, 0, &decision);
		*used = (uint16_t)(*used + RG_DECISION_BYTES);
	}
}

static uint32_t fake_send(struct rg_transport *transport, const struct rg_datagram *datagrams,
			  uint32_t count)
{
	if (is_stalled())
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t answers[512];
		uint16_t used = 0;
		uint32_t cursor = 0;
		struct rg_sbe_message message = {0};

		while (rg_sbe_next(datagrams[i].payload, datagrams[i].bytes, &cursor, &message) !=
		       RG_SBE_END) {
			assert(message.header.template_id == TEMPLATE_ID &&
			       message.block_bytes == BLOCK_LENGTH);
			answer_message(&message, answers, &used);
		}
		if (fake.echo)
			put_answer(datagrams[i].payload, datagrams[i].bytes);
		else if (used)
			put_answer(answers, used);
	}
	return count;
}

static uint32_t fake_receive(struct rg_transport *transport, struct rg_datagram *datagrams,
			     uint32_t count)
{
	uint32_t found = 0;

	while (!is_stalled() && found < count && fake.queue_begin < fake.queue_end) {
		struct in_flight *entry = &fake.queue[fake.queue_begin % QUEUE_MAX];

		if (entry->due_ns > fake.now_ns)
			break;
		memcpy(fake.delivered[found], entry->payload, entry->bytes);
		datagrams[found].payload = fake.delivered[found];
		datagrams[found++].bytes = entry->bytes;
		fake.queue_begin++;
	}
	return found;
}

static void fake_close(struct rg_transport *transport)
{
}

static const struct rg_transport_ops fake_ops = {fake_reserve, fake_send, fake_receive, fake_close};
static const struct rg_template template = {
	.template_id = TEMPLATE_ID, .schema_id = 1, .block_length = BLOCK_LENGTH};
static uint8_t messages[3][RG_SBE_HEADER_BYTES + BLOCK_LENGTH];
static const struct rg_request_pool pool = {.template = &template,
					    .messages = messages[0],
					    .message_bytes = sizeof(messages[0]),
					    .count = 3};
static struct rg_load load;

static void reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.transport.ops = &fake_ops;
	fake.transport.payload_bytes = RG_TRANSPORT_PAYLOAD_BYTES;
	fake.now_ns = 5 * SECOND;
	fake.delay_ns = 20 * US;
	fake.sequence = 1;
	for (int i = 0; i < 3; i++)
		rg_sbe_header_write(messages[i],
				    (struct rg_sbe_header){BLOCK_LENGTH, TEMPLATE_ID, 1, 0});
}

static struct rg_load_options open_loop(double rate, uint64_t duration_ns)
{
	return (struct rg_load_options){.rate_per_s = rate,
					.duration_ns = duration_ns,
					.messages_per_datagram = 1,
					.burst = 32,
					.timeout_ns = SECOND,
					.first_request_id = 1};
}

/* Run to the end with rounds of step_ns. */
static void run(const struct rg_load_options *options, struct rg_answer_log *log, uint64_t step_ns)
{
	struct rg_error err;
	int status = rg_load_init(&load, options, (struct rg_load_clock){fake_now, &fake},
				  &fake.transport, &pool, log, &err);

	assert(status == RG_OK);
	for (uint64_t i = 0; load.phase != RG_LOAD_DONE; i++) {
		assert(i < 100000000);
		rg_load_step(&load);
		fake.now_ns += step_ns;
	}
	assert(load.tally.sent == load.tally.answered + load.tally.lost);
}

static uint64_t percentile(double p)
{
	return rg_histogram_percentile(&load.tally.latency, p);
}

static void test_schedule(void)
{
	struct rg_load_options options = open_loop(10000, SECOND);

	reset();
	run(&options, NULL, US);
	assert(load.tally.sent == 10000 && load.tally.answered == 10000 && load.tally.lost == 0);
	assert(fake.seen_first_id == 1 && fake.seen_last_id == 10000 && fake.seen_ids == 10000);
	/* Sent at its time to the step, answered 20 us later, seen within a step. */
	assert(percentile(50) >= 20 * US && percentile(100) <= 22 * US);
	assert(rg_tally_throughput(&load.tally) > 9900 && rg_tally_throughput(&load.tally) < 10100);
	assert(load.tally.verdicts[1] + load.tally.verdicts[2] + load.tally.verdicts[3] == 10000);
	assert(load.tally.statuses[RG_DECISION_OK] == 10000);
	assert(load.tally.sequence_count == 1 && load.tally.sequences[0].decisions == 10000);
	rg_load_free(&load);
}

/* A rate that is no divisor of a second, with odd steps: the number sent is exact, no request comes
 * early. */
static void test_schedule_is_exact(void)
{
	struct rg_load_options options = open_loop(3333.3, 3 * SECOND);

	reset();
	run(&options, NULL, 777);
	assert(load.tally.sent == 10000); /* intended at 0, 300.003 us, ... below 3 s */
	assert(percentile(100) <= 22 * US);
	rg_load_free(&load);
}

/* A stall of 100 ms in one second at 10,000/s: a tenth of all requests should have been sent
 * meanwhile, and waited. */
static void test_stall_is_not_hidden(void)
{
	struct rg_load_options options = open_loop(10000, SECOND);

	reset();
	fake.stall_begin_ns = fake.now_ns + 500 * MS;
	fake.stall_end_ns = fake.stall_begin_ns + 100 * MS;
	run(&options, NULL, US);
	assert(load.tally.sent == 10000 && load.tally.answered == 10000);
	assert(percentile(50) < 25 * US);
	assert(percentile(89) < 200 * US);
	/* The waits are spread evenly over 0 to 100 ms: of the 10 % that waited, half waited 50 ms
	 * or longer. */
	assert(percentile(95) > 45 * MS && percentile(95) < 55 * MS);
	assert(percentile(99) > 85 * MS && percentile(99) < 95 * MS);
	assert(percentile(100) > 99 * MS && percentile(100) < 102 * MS);
	rg_load_free(&load);
}

/* A closed loop shows the same stall in only as many requests as its window: this is why there is
 * an open loop. */
static void test_closed_loop(void)
{
	struct rg_load_options options = open_loop(0, SECOND);
	uint64_t sent;

	reset();
	options.window = 8;
	run(&options, NULL, US);
	sent = load.tally.sent;
	assert(load.tally.answered == sent);
	/* Eight every 20 to 22 us. */
	assert(sent > 8 * SECOND / (23 * US) && sent <= 8 * SECOND / (20 * US) + 8);
	assert(rg_load_next_due_ns(&load) == UINT64_MAX);
	rg_load_free(&load);

	reset();
	fake.stall_begin_ns = fake.now_ns + 500 * MS;
	fake.stall_end_ns = fake.stall_begin_ns + 100 * MS;
	run(&options, NULL, US);
	assert(percentile(99) < 25 * US && percentile(100) > 99 * MS);
	rg_load_free(&load);
}

static void test_loss_and_duplicates(void)
{
	struct rg_load_options options = open_loop(10000, SECOND);

	reset();
	fake.drop_every = 100;
	fake.duplicate_every = 7; /* and 14 of those fall on a dropped one */
	run(&options, NULL, US);
	assert(load.tally.lost == 100 && load.tally.answered == 9900);
	assert(load.tally.duplicates == 10000 / 7 - 10000 / 700);
	assert(load.tally.unknown == 0 && load.tally.late == 0 && load.tally.unreadable == 0);
	rg_load_free(&load);

	/* A closed loop goes on after losses: each place is free again after the timeout. */
	reset();
	options = open_loop(0, SECOND);
	options.window = 4;
	options.timeout_ns = 10 * MS;
	fake.drop_every = 50;
	run(&options, NULL, US);
	assert(load.tally.lost > 100 && load.tally.sent > 50 * load.tally.lost - 50);
	rg_load_free(&load);
}

/* Answers that come after they were given up are late, and the request stays lost. */
static void test_late(void)
{
	struct rg_load_options options = open_loop(0, 100 * MS);

	reset();
	options.window = 4;
	options.timeout_ns = 5 * MS;
	fake.delay_ns = 8 * MS;
	run(&options, NULL, 10 * US);
	assert(load.tally.answered == 0 && load.tally.lost == load.tally.sent);
	assert(load.tally.late > 0 && load.tally.late <= load.tally.sent);
	rg_load_free(&load);
}

static void test_batches_and_limit(void)
{
	struct rg_load_options options = open_loop(10000, 0);

	reset();
	options.messages_per_datagram = 4;
	options.message_limit = 1001;
	run(&options, NULL, US);
	assert(load.tally.sent == 1001 && load.tally.answered == 1001 &&
	       load.datagrams_sent == 251);
	assert(fake.seen_last_id == 1001);
	rg_load_free(&load);
}

static void test_warmup(void)
{
	struct rg_load_options options = open_loop(10000, SECOND);

	reset();
	options.warmup_ns = SECOND / 2;
	fake.stall_begin_ns = fake.now_ns + 100 * MS;
	fake.stall_end_ns = fake.now_ns + 200 * MS;
	run(&options, NULL, US);
	assert(load.tally.sent == 15000 && load.tally.answered == 15000 &&
	       load.tally.measured == 10000);
	assert(load.tally.latency.count == 10000 && percentile(100) < 25 * US);
	assert(rg_tally_throughput(&load.tally) > 9900 && rg_tally_throughput(&load.tally) < 10100);
	rg_load_free(&load);
}

/* The device takes nothing from the middle on: what was due is told. */
static void test_unsent(void)
{
	struct rg_load_options options = open_loop(1000, SECOND);

	reset();
	fake.stall_begin_ns = fake.now_ns + SECOND / 2;
	fake.stall_end_ns = UINT64_MAX;
	run(&options, NULL, 10 * US);
	assert(load.tally.sent + load.tally.unsent == 1000 && load.tally.sent == 500);
	rg_load_free(&load);
}

static void test_echo(void)
{
	struct rg_load_options options = open_loop(10000, SECOND / 10);

	reset();
	fake.echo = true;
	run(&options, NULL, US);
	assert(load.tally.echoed == 1000 && load.tally.answered == 1000 &&
	       load.tally.verdicts[1] == 0);
	assert(percentile(50) >= 20 * US);
	rg_load_free(&load);
}

static void test_unreadable(void)
{
	struct rg_load_options options = open_loop(1000, SECOND / 10);
	uint8_t garbage[40] = {0xff, 0xff, 1, 2, 3};

	reset();
	put_answer(garbage, sizeof(garbage)); /* a block longer than the datagram */
	put_answer(garbage, 3);		      /* no header */
	memset(garbage, 0, sizeof(garbage));
	garbage[0] = 32; /* a message of some other template */
	put_answer(garbage, sizeof(garbage));
	garbage[2] = RG_DECISION_TEMPLATE_ID; /* a decision that is too short */
	put_answer(garbage, sizeof(garbage));
	run(&options, NULL, US);
	assert(load.tally.unreadable == 4 && load.tally.answered == 100);
	rg_load_free(&load);
}

static void test_sequences(void)
{
	struct rg_load_options options = open_loop(10000, SECOND);
	struct rg_tally *tally = &load.tally;

	reset();
	assert(rg_load_init(&load, &options, (struct rg_load_clock){fake_now, &fake},
			    &fake.transport, &pool, NULL, NULL) == RG_OK);
	while (load.phase != RG_LOAD_DONE) {
		fake.sequence = fake.now_ns < load.begin_ns + 250 * MS ? 1 : 2;
		rg_load_step(&load);
		fake.now_ns += US;
	}
	assert(tally->sequence_count == 2 && tally->sequences[0].decisions == 2500 &&
	       tally->sequences[1].decisions == 7500);
	assert(tally->sequences[1].first_ns - load.begin_ns >= 250 * MS &&
	       tally->sequences[1].first_ns - load.begin_ns < 251 * MS);
	rg_load_free(&load);
}

/* More policies than are told of, each with a late answer under the one before. */
static void test_many_sequences(void)
{
	static struct rg_tally tally;
	struct rg_decision_message decision = {0};

	for (uint64_t i = 1; i <= RG_TALLY_SEQUENCES + 3; i++) {
		for (int answer = 0; answer < 3; answer++) {
			decision.policy_sequence = i - (answer == 1 && i > 1);
			rg_tally_decision(&tally, &decision, i * 10 + (uint64_t)answer);
		}
	}
	assert(tally.sequence_count == RG_TALLY_SEQUENCES);
	assert(tally.sequences[0].sequence == 1 && tally.sequences[0].decisions == 4);
	for (uint32_t i = 1; i < RG_TALLY_SEQUENCES; i++)
		assert(tally.sequences[i].sequence == i + 1 && tally.sequences[i].decisions == 3 &&
		       tally.sequences[i].first_ns == (i + 1) * 10 &&
		       tally.sequences[i].last_ns == (i + 2) * 10 + 1);
	assert(tally.sequences_dropped == 8);
}

static void test_stop(void)
{
	struct rg_load_options options = open_loop(1000, 3600 * SECOND);

	reset();
	assert(rg_load_init(&load, &options, (struct rg_load_clock){fake_now, &fake},
			    &fake.transport, &pool, NULL, NULL) == RG_OK);
	for (int i = 0; i < 2000; i++) {
		rg_load_step(&load);
		fake.now_ns += 100 * US;
	}
	assert(rg_load_next_due_ns(&load) == load.begin_ns + load.tally.sent * MS);
	fake.delay_ns = SECOND * 100;
	for (int i = 0; i < 100; i++) {
		rg_load_step(&load);
		fake.now_ns += 100 * US;
	}
	rg_load_stop(&load);
	assert(load.phase == RG_LOAD_DRAINING);
	rg_load_step(&load);
	assert(load.phase == RG_LOAD_DRAINING && load.outstanding.waiting == 10);
	rg_load_finish(&load);
	assert(load.phase == RG_LOAD_DONE && load.tally.lost == 10 && load.tally.sent == 210);
	rg_load_free(&load);
}

static void check_log(const char *path, bool csv)
{
	FILE *file = fopen(path, "r");
	char text[256];
	struct rg_answer_entry entry;
	int count = 0;

	assert(file);
	if (csv) {
		assert(fgets(text, sizeof(text), file) &&
		       strncmp(text, "request_id,verdict,status,policy_sequence", 41) == 0);
		assert(fgets(text, sizeof(text), file) &&
		       strncmp(text, "1,DENY,OK,1,-5,0,5000000000,5000000001,", 39) == 0);
		for (count = 1; fgets(text, sizeof(text), file);)
			count++;
	} else {
		assert(fread(text, 1, 8, file) == 8 && memcmp(text, RG_ANSWER_LOG_MAGIC, 8) == 0);
		while (fread(&entry, 1, sizeof(entry), file) == sizeof(entry)) {
			count++;
			assert(entry.request_id == (uint64_t)count &&
			       entry.verdict == 1 + count % 3);
			assert(entry.score_micro == -5 &&
			       entry.send_time_ns == entry.receive_time_ns + 1);
			assert(entry.latency_ns >= 20 * US && entry.latency_ns < 25 * US);
		}
	}
	assert(count == 50000);
	fclose(file);
}

static void test_answer_log(const char *name, bool csv)
{
	struct rg_load_options options = open_loop(50000, SECOND);
	struct rg_answer_log *log;
	struct rg_error err;
	char path[64];

	snprintf(path, sizeof(path), "/tmp/riskgate-%d-%s", (int)getpid(), name);
	reset();
	assert(rg_answer_log_open(path, &log, &err) == RG_OK);
	run(&options, log, US);
	assert(rg_answer_log_close(log, &err) == RG_OK);
	rg_load_free(&load);
	check_log(path, csv);
	unlink(path);
}

static void test_answer_log_failures(void)
{
	struct rg_answer_log *log;
	struct rg_error err;
	struct rg_decision_message decision = {.request_id = 1};

	assert(rg_answer_log_open("/nonexistent/log", &log, &err) == RG_EIO);
	assert(rg_answer_log_open("/dev/full", &log, &err) == RG_OK);
	rg_answer_log_add(log, &decision, 1);
	assert(rg_answer_log_close(log, &err) == RG_EIO && strstr(err.text, "/dev/full"));
	assert(rg_answer_log_close(NULL, &err) == RG_OK);
}

static void test_json(void)
{
	struct rg_load_options options = open_loop(10000, SECOND / 10);
	FILE *file = tmpfile();
	char text[8192];
	size_t bytes;

	reset();
	run(&options, NULL, US);
	assert(file && rg_tally_write_json(&load.tally, 1000, file) == 0);
	rewind(file);
	bytes = fread(text, 1, sizeof(text) - 1, file);
	text[bytes] = 0;
	fclose(file);
	assert(strstr(text, "\"sent\": 1000") && strstr(text, "\"lost\": 0") &&
	       strstr(text, "\"p9999\":") && strstr(text, "\"allow\": 333") &&
	       strstr(text, "\"recorder_full\": 0") && strstr(text, "\"sequence\": 1") &&
	       strstr(text, "\"begin_unix_ns\": 5000001000"));
	file = fopen("/dev/null", "w");
	rg_tally_print(&load.tally, file);
	fclose(file);
	rg_load_free(&load);
}

static void test_bad_options(void)
{
	static const struct rg_request_pool empty = {.template = &template, .message_bytes = 24};
	struct rg_load_options options = open_loop(1000, SECOND);
	struct rg_load_clock clock = {fake_now, &fake};
	struct rg_error err;

	assert(rg_load_init(&load, &options, clock, &fake.transport, &empty, NULL, &err) ==
	       RG_EINVAL);
	options.window = 5;
	assert(rg_load_init(&load, &options, clock, &fake.transport, &pool, NULL, &err) ==
	       RG_EINVAL);
	options.rate_per_s = 0;
	options.messages_per_datagram = 6;
	assert(rg_load_init(&load, &options, clock, &fake.transport, &pool, NULL, &err) ==
		       RG_EINVAL &&
	       strstr(err.text, "smaller than one datagram"));
	options.messages_per_datagram = 59;
	assert(rg_load_init(&load, &options, clock, &fake.transport, &pool, NULL, &err) ==
		       RG_EINVAL &&
	       strstr(err.text, "at most 58 do"));
	options = open_loop(1000, SECOND);
	options.burst = 65;
	assert(rg_load_init(&load, &options, clock, &fake.transport, &pool, NULL, &err) ==
	       RG_EINVAL);
}

int main(void)
{
	test_schedule();
	test_schedule_is_exact();
	test_stall_is_not_hidden();
	test_closed_loop();
	test_loss_and_duplicates();
	test_late();
	test_batches_and_limit();
	test_warmup();
	test_unsent();
	test_echo();
	test_unreadable();
	test_sequences();
	test_many_sequences();
	test_stop();
	test_answer_log("log.csv", true);
	test_answer_log("log.bin", false);
	test_answer_log_failures();
	test_json();
	test_bad_options();
	return 0;
}

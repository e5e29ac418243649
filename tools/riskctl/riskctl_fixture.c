/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Things for riskctl_test.py to look at:
 *
 *	riskctl_fixture journal FOLDER COUNT    a journal with COUNT records and one policy change
 *	riskctl_fixture region FOLDER [hold]    a region as a data plane and a control leave it
 * behind; hold: both stay there until standard input ends
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "shm/region.h"
#include "wire/decision.h"

#define NOW_NS	      1767225602123456789ull
#define SCHEMA_ID     1
#define TEMPLATE_ID   2 /* NewOrder */
#define REQUEST_BYTES 16

static void must(int status, const struct rg_error *err, const char *what)
{
	if (status == RG_OK)
		return;
	fprintf(stderr, "riskctl_fixture: %s: %s\n", what, err->text);
	exit(1);
}

/* Record number n: request id 1000 + n, every third one denied. */
static void make_record(uint64_t n, uint8_t *out)
{
	struct rg_record record = {
		.length = rg_record_bytes(REQUEST_BYTES, 0),
		.kind = RG_RECORD_DECISION,
		.version = RG_RECORD_VERSION,
		.epoch = NOW_NS,
		.sequence = n,
		.receive_time_ns = NOW_NS + n * 1000000,
		.policy_sequence = 1,
		.score_micro = (int64_t)n * 500000,
		.client_address =
			{[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 71, [14] = 0, [15] = 2},
		.client_port = 40000,
		.schema_id = SCHEMA_ID,
		.template_id = TEMPLATE_ID,
		.schema_version = 1,
		.block_length = REQUEST_BYTES,
		.latency_ns = 4200,
		.node = 7,
		.verdict = n % 3 == 0 ? 2 : 1,
		.status = RG_DECISION_OK,
		.reason_count = n % 3 == 0 ? 2 : 0,
		.reasons = {n % 3 == 0 ? 5 : 0, n % 3 == 0 ? 9 : 0},
		.reasons_fired = n % 3 == 0 ? 2 : 0,
		.request_bytes = REQUEST_BYTES,
	};
	uint64_t request[REQUEST_BYTES / 8] = {1000 + n, NOW_NS};

	memcpy(out, &record, sizeof(record));
	memcpy(out + sizeof(record), request, sizeof(request));
}

/* A decision asked over HTTP. */
static void make_query(uint8_t *out)
{
	static const char json[] =
		"{\"decision_id\":\"0b7c-1\",\"path\":\"pretrade/deny\",\"input\":{},"
		"\"result\":[\"x\"]}";
	struct rg_record record = {.length = rg_record_bytes(sizeof(json) - 1, 0),
				   .kind = RG_RECORD_QUERY,
				   .version = RG_RECORD_VERSION,
				   .worker = RG_WORKER_API,
				   .epoch = NOW_NS,
				   .sequence = 1,
				   .receive_time_ns = NOW_NS,
				   .policy_sequence = 1,
				   .node = 7,
				   .request_bytes = sizeof(json) - 1};

	memcpy(out, &record, sizeof(record));
	memcpy(out + sizeof(record), json, sizeof(json) - 1);
}

static int make_journal(const char *directory, uint64_t count)
{
	static const char policy[] =
		"{\"sequence\":1,\"bundle\":\"pretrade\",\"revision\":\"pretrade-1\","
		"\"reasons\":[\"r1\",\"r2\",\"r3\",\"r4\",\"price_band\"]}";
	struct rg_journal_writer_options options = {.directory = directory,
						    .node = 7,
						    .segment_bytes = 8192,
						    .chain = true,
						    .key = "fixture",
						    .key_bytes = 7};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err = {0};
	int status;
	_Alignas(struct rg_record) uint8_t record[256];

	must(rg_journal_writer_open(&options, &writer, &recovery, &err), &err, "open");
	must(rg_journal_writer_add(writer, RG_JOURNAL_POLICY, policy, sizeof(policy) - 1), &err,
	     "policy");
	for (uint64_t n = 1; n <= count; n++) {
		make_record(n, record);
		while ((status = rg_journal_writer_record(writer, (const struct rg_record *)record,
							  NULL)) == RG_EAGAIN)
			must(rg_journal_writer_flush(writer, n, &err), &err, "flush");
		must(status, &err, "record");
	}
	make_query(record);
	must(rg_journal_writer_record(writer, (const struct rg_record *)record, NULL), &err,
	     "query");
	must(rg_journal_writer_flush(writer, count, &err), &err, "flush");
	must(rg_journal_writer_sync(writer, &err), &err, "sync");
	rg_journal_writer_close(writer);
	return 0;
}

static void fill_worker(struct rg_region *region)
{
	const struct rg_region_worker *worker = &rg_region_dataplane(region)->workers[0];
	struct rg_worker_identity identity = {.core = 1,
					      .cpu = 1,
					      .tsc_hz = 1000000000,
					      .started_ns = NOW_NS,
					      .queues = "net_memif0:0"};
	struct rg_worker_progress progress = {
		.heartbeat_ns = NOW_NS,
		.loops = 1000,
		.loops_idle = 900,
		.longest_loop_ticks = 123000,
		.policy_sequence = 3,
		.ticks = {[RG_TICK_IDLE] = 75, [RG_TICK_EVALUATE] = 25}};
	struct rg_counters_writer counters;
	struct rg_ring_producer producer;
	struct rg_error err;
	uint8_t *message;

	rg_worker_set_state(worker->status, RG_WORKER_STARTING);
	rg_worker_set_identity(worker->status, &identity);
	rg_worker_set_state(worker->status, RG_WORKER_RUNNING);
	rg_worker_set_progress(worker->status, &progress);
	must(rg_counters_writer_join(&counters, worker->counters, RG_METRIC_WORKER, &err), &err,
	     "counters");
	counters.values[RG_WORKER_RECORDS] = 12345;
	rg_counters_flush(&counters);
	for (uint32_t i = 1; i <= 100; i++)
		rg_histogram_record(worker->histograms[RG_WORKER_HISTOGRAM_LATENCY], i * 1000);
	rg_error_log_add(worker->errors, NOW_NS, "a planted error");
	rg_error_log_add(worker->errors, NOW_NS + 1, "a planted error");
	must(rg_region_producer(region, 0, &producer, &err), &err, "producer");
	message = rg_ring_reserve(&producer, 200);
	must(message ? RG_OK : RG_EINVAL, &err, "reserve");
	memset(message, 0, 200);
	rg_ring_commit(&producer);
}

static int make_region(const char *directory, bool hold)
{
	struct rg_region_config config = {
		.worker_count = 2, .ring_bytes = 65536, .instance = "fixture", .node = 7};
	struct rg_publisher_status status = {.heartbeat_ns = NOW_NS,
					     .active_sequence = 3,
					     .active_since_ns = NOW_NS,
					     .active_bytes = 4096,
					     .bundle = "payments",
					     .revision = "payments-1"};
	struct rg_mailbox_announcement announcement = {
		.sequence = 3, .image_bytes = 4096, .crc32c = 1, .announced_ns = NOW_NS};
	struct rg_region *dataplane, *control;
	struct rg_ring_consumer consumer;
	struct rg_error err;

	must(rg_region_create_dataplane(directory, &config, NOW_NS, &dataplane, &err), &err,
	     "dataplane");
	must(rg_region_create_control(directory, "fixture", 7, NOW_NS, &control, &err), &err,
	     "control");
	must(rg_region_join_control(dataplane, NULL, &err), &err, "join control");
	must(rg_region_join_dataplane(control, NULL, &err), &err, "join dataplane");
	must(rg_region_consumer(control, 0, &consumer, &err), &err, "consumer");
	rg_publisher_write(rg_region_dataplane(dataplane)->publisher, &status);
	must(rg_mailbox_announce(rg_region_control(control)->request, &announcement, &err), &err,
	     "announce");
	fill_worker(dataplane);
	if (hold) {
		puts("ready");
		fflush(stdout);
		while (getchar() != EOF)
			;
	}
	rg_region_close(control);
	rg_region_close(dataplane);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "journal") == 0)
		return make_journal(argv[2], strtoull(argv[3], NULL, 10));
	if (argc >= 3 && strcmp(argv[1], "region") == 0)
		return make_region(argv[2], argc == 4);
	fprintf(stderr, "usage: riskctl_fixture journal FOLDER COUNT | region FOLDER [hold]\n");
	return 2;
}

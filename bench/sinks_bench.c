/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal of many records, and sinks that store it: what bench/records measures.
 *
 *	sinks_bench journal FOLDER SCHEMA TEMPLATE RECORDS REQUEST.json...	make it
 *	sinks_bench sqlite FOLDER SCHEMA FILE BATCH				store it
 *	sinks_bench postgresql FOLDER SCHEMA CONNECTION BATCH [CONNECTIONS [bytes]]
 *
 * Prints one JSON object: records, seconds, and CPU seconds of this process.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "control/sink_postgres.h"
#include "control/sink_sqlite.h"
#include "journal/journal.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define REQUESTS_MAX 16
#define BLOCK_MAX    4096
#define REASONS	     4

struct request {
	uint8_t message[RG_SBE_HEADER_BYTES + BLOCK_MAX];
	size_t bytes;
};

static int fail(const struct rg_error *err)
{
	fprintf(stderr, "sinks_bench: %s\n", err->text);
	return 1;
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void report(uint64_t records, uint64_t began_ns)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"records\": %llu, \"seconds\": %.3f, \"cpu_s\": %.3f}\n",
	       (unsigned long long)records, (double)(read_clock(CLOCK_MONOTONIC) - began_ns) / 1e9,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

/* ---- making a journal ---- */

static int read_request(const struct rg_schema *schema, const char *template, const char *path,
			struct request *request, struct rg_error *err)
{
	static char json[65536];
	FILE *file = fopen(path, "re");
	size_t bytes;

	if (!file)
		return rg_error_set(err, RG_EIO, "cannot read %s", path);
	bytes = fread(json, 1, sizeof(json), file);
	fclose(file);
	return rg_sbe_from_json(schema, template, json, bytes, request->message,
				sizeof(request->message), &request->bytes, err);
}

/* One decision a microsecond, two workers, one in four of them not allowed. */
static const struct rg_record *make_record(const struct request *request, uint64_t number,
					   uint64_t epoch_ns)
{
	static _Alignas(8) uint8_t bytes[sizeof(struct rg_record) + BLOCK_MAX];
	struct rg_record *record = (struct rg_record *)bytes;
	struct rg_sbe_header header = rg_sbe_header_read(request->message);
	uint8_t *block = bytes + sizeof(*record);

	*record = (struct rg_record){
		.length = rg_record_bytes(header.block_length, 0),
		.kind = RG_RECORD_DECISION,
		.version = RG_RECORD_VERSION,
		.worker = (uint16_t)(number % 2),
		.epoch = epoch_ns,
		.sequence = number / 2 + 1,
		.receive_time_ns = epoch_ns + number * 1000,
		.policy_sequence = 1,
		.score_micro = (int64_t)(number % 1000) * 10000,
		.client_address = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 9},
		.client_port = 4000,
		.schema_id = header.schema_id,
		.template_id = header.template_id,
		.schema_version = header.version,
		.block_length = header.block_length,
		.latency_ns = 3000,
		.verdict = number % 4 ? 1 : 2,
		.reason_count = number % 4 ? 0 : 2,
		.reasons = {number % 4 ? 0 : 1 + number % REASONS, number % 4 ? 0 : 1},
		.reasons_fired = number % 4 ? 0 : 2,
		.request_bytes = header.block_length};
	memcpy(block, request->message + RG_SBE_HEADER_BYTES, header.block_length);
	memcpy(block, &number, sizeof(number)); /* request_id */
	return record;
}

static int fill_journal(struct rg_journal_writer *writer, const struct request *requests,
			size_t request_count, uint64_t records, struct rg_error *err)
{
	static const char policy[] = "{\"sequence\":1,\"bundle\":\"bench\",\"revision\":\"r-1\","
				     "\"ns\":5,\"reasons\":[\"card_blocked\",\"amount_too_high\","
				     "\"velocity\",\"country\"]}";
	uint64_t epoch_ns = read_clock(CLOCK_REALTIME);
	int rc = rg_journal_writer_add(writer, RG_JOURNAL_POLICY, policy, sizeof(policy) - 1);

	for (uint64_t i = 0; !rc && i < records;) {
		rc = rg_journal_writer_record(
			writer, make_record(&requests[i % request_count], i, epoch_ns), NULL);
		if (rc == RG_EAGAIN)
			rc = rg_journal_writer_flush(writer, 1, err);
		else
			i++;
	}
	if (!rc)
		rc = rg_journal_writer_flush(writer, 1, err);
	return rc ? rc : rg_journal_writer_sync(writer, err);
}

static int make_journal(const char *folder, const struct rg_schema *schema, int argc, char **argv)
{
	static struct request requests[REQUESTS_MAX];
	struct rg_journal_writer_options options = {.directory = folder,
						    .segment_bytes = 256u << 20,
						    .sync_interval_ns = 1000000000,
						    .sync_bytes = 64u << 20};
	uint64_t records = strtoull(argv[1], NULL, 10), began_ns = read_clock(CLOCK_MONOTONIC);
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;
	size_t count = 0;
	int rc = RG_OK;

	for (int i = 2; !rc && i < argc && count < REQUESTS_MAX; i++)
		rc = read_request(schema, argv[0], argv[i], &requests[count++], &err);
	if (!rc)
		rc = rg_journal_writer_open(&options, &writer, &recovery, &err);
	if (rc)
		return fail(&err);
	rc = fill_journal(writer, requests, count, records, &err);
	rg_journal_writer_close(writer);
	if (rc)
		return fail(&err);
	report(records, began_ns);
	return 0;
}

/* ---- storing it ---- */

struct lane {
	struct rg_sink *sink;
	uint64_t records;
	pthread_t thread;
	int status;
};

/* All that the journal holds, as the sink's own thread would. */
static void *work(void *context)
{
	struct lane *lane = context;
	struct rg_error err;

	while ((lane->status = rg_sink_work(lane->sink, read_clock(CLOCK_REALTIME), &err)) > 0)
		lane->records += (uint64_t)lane->status;
	if (lane->status < 0)
		fail(&err);
	return NULL;
}

static bool requests_as_bytes;

/* The store of a lane. */
typedef int (*make_store)(uint32_t lane, uint32_t lanes, const struct rg_schema *schema,
			  const char *place, void **store, struct rg_error *err);

static int make_sqlite(uint32_t lane, uint32_t lanes, const struct rg_schema *schema,
		       const char *place, void **store, struct rg_error *err)
{
	struct rg_sink_sqlite_options options = {.path = place};

	(void)lane;
	(void)lanes;
	(void)schema;
	return rg_sink_sqlite_new(&options, store, err);
}

static int make_postgres(uint32_t lane, uint32_t lanes, const struct rg_schema *schema,
			 const char *place, void **store, struct rg_error *err)
{
	struct rg_sink_postgres_options options = {.connection = place,
						   .password_file = "",
						   .instance = "bench",
						   .lane = lane,
						   .lanes = lanes,
						   .schema = schema,
						   .requests_as_bytes = requests_as_bytes,
						   .partitions_ahead = 1};
	const char *where;

	return rg_sink_postgres_new(&options, store, &where, err);
}

static int store(const char *folder, const struct rg_schema *schema,
		 const struct rg_sink_driver *driver, make_store make, const char *place,
		 uint32_t batch, uint32_t lanes_count)
{
	struct lane lanes[RG_SINK_LANES_MAX] = {0};
	uint64_t records = 0, began_ns;
	struct rg_error err;
	int failed = 0;

	for (uint32_t i = 0; i < lanes_count; i++) {
		struct rg_sink_options options = {.journal_directory = folder,
						  .schema = schema,
						  .batch = batch,
						  .lane = i,
						  .lanes = lanes_count};
		void *store;

		if (make(i, lanes_count, schema, place, &store, &err) ||
		    rg_sink_new(&options, driver, store, &lanes[i].sink, &err) ||
		    rg_sink_open(lanes[i].sink, &err))
			return fail(&err);
	}
	began_ns = read_clock(CLOCK_MONOTONIC); /* tables are made */
	for (uint32_t i = 0; i < lanes_count; i++)
		if (pthread_create(&lanes[i].thread, NULL, work, &lanes[i]))
			return 1;
	for (uint32_t i = 0; i < lanes_count; i++) {
		pthread_join(lanes[i].thread, NULL);
		rg_sink_close(lanes[i].sink);
		records += lanes[i].records;
		failed |= lanes[i].status;
	}
	if (!failed)
		report(records, began_ns);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint32_t batch, lanes;
	struct rg_schema *schema;
	struct rg_error err;

	if (argc < 6) {
		fputs("sinks_bench: see bench/records\n", stderr);
		return 2;
	}
	if (rg_schema_load(argv[3], &schema, &err))
		return fail(&err);
	if (!strcmp(argv[1], "journal"))
		return make_journal(argv[2], schema, argc - 4, argv + 4);
	batch = (uint32_t)atoi(argv[5]);
	lanes = argc > 6 ? (uint32_t)atoi(argv[6]) : 1;
	requests_as_bytes = argc > 7 && !strcmp(argv[7], "bytes");
	if (!batch || !lanes || lanes > RG_SINK_LANES_MAX) {
		fputs("sinks_bench: BATCH is 1 or more, CONNECTIONS 1 to 16\n", stderr);
		return 2;
	}
	if (!strcmp(argv[1], "sqlite"))
		return store(argv[2], schema, &rg_sink_sqlite_driver, make_sqlite, argv[4], batch,
			     1);
	if (!strcmp(argv[1], "postgresql"))
		return store(argv[2], schema, &rg_sink_postgres_driver, make_postgres, argv[4],
			     batch, lanes);
	fprintf(stderr, "sinks_bench: \"%s\" is none of journal, sqlite, postgresql\n", argv[1]);
	return 2;
}

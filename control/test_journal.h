/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of sinks share: a small schema, and a journal in a temporary folder to follow. */
#ifndef RG_CONTROL_TEST_JOURNAL_H
#define RG_CONTROL_TEST_JOURNAL_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/sink.h"
#include "journal/journal.h"
#include "wire/schema.h"

static char folder[64], journal[96];
static struct rg_schema *schema;

static const char xml[] =
	"<?xml version=\"1.0\"?>"
	"<sbe:messageSchema xmlns:sbe=\"http://fixprotocol.io/2016/sbe\" package=\"t\" id=\"1\" "
	"version=\"1\""
	" byteOrder=\"littleEndian\"><types>"
	"<composite name=\"messageHeader\"><type name=\"blockLength\" primitiveType=\"uint16\"/>"
	"<type name=\"templateId\" primitiveType=\"uint16\"/><type name=\"schemaId\" "
	"primitiveType=\"uint16\"/>"
	"<type name=\"version\" primitiveType=\"uint16\"/></composite>"
	"<composite name=\"cents\"><type name=\"mantissa\" primitiveType=\"int64\"/>"
	"<type name=\"exponent\" primitiveType=\"int8\" "
	"presence=\"constant\">-2</type></composite></types>"
	"<sbe:message name=\"Payment\" id=\"1\"><field name=\"request_id\" id=\"1\" "
	"type=\"uint64\"/>"
	"<field name=\"amount\" id=\"2\" type=\"cents\"/></sbe:message></sbe:messageSchema>";

static void fresh_folder(void)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf %s && mkdir -p %s", folder, folder);
	assert(system(command) == 0);
}

static struct rg_journal_writer *open_journal(void)
{
	struct rg_journal_writer_options options = {.directory = journal,
						    .node = 7,
						    .segment_bytes = 1 << 16,
						    .sync_interval_ns = 1000000000,
						    .sync_bytes = 1 << 20};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;

	if (rg_journal_writer_open(&options, &writer, &recovery, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return writer;
}

static void flush(struct rg_journal_writer *writer)
{
	struct rg_error err;

	assert(rg_journal_writer_flush(writer, 1, &err) == RG_OK);
}

static void append(struct rg_journal_writer *writer, uint64_t sequence, uint64_t policy,
		   uint16_t reason)
{
	struct {
		struct rg_record record;
		uint64_t request_id;
		int64_t amount;
	} r = {.record = {.length = sizeof(r),
			  .kind = RG_RECORD_DECISION,
			  .version = RG_RECORD_VERSION,
			  .worker = (uint16_t)(sequence % 2),
			  .epoch = 5,
			  .sequence = sequence / 2 + 1,
			  .receive_time_ns = 1700000000000000000u + sequence,
			  .policy_sequence = policy,
			  .score_micro = -1500000,
			  .client_address = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 9},
			  .client_port = 4000,
			  .schema_id = 1,
			  .template_id = 1,
			  .schema_version = 1,
			  .block_length = 16,
			  .latency_ns = 1234,
			  .node = 7,
			  .verdict = sequence % 3 == 0 ? 2 : 1,
			  .reason_count = reason ? 1 : 0,
			  .reasons = {reason},
			  .reasons_fired = reason ? 1 : 0,
			  .request_bytes = 16},
	       .request_id = sequence,
	       .amount = (int64_t)sequence * 100 + 25};
	int status = rg_journal_writer_record(writer, &r.record, NULL);

	if (status == RG_EAGAIN) {
		flush(writer);
		status = rg_journal_writer_record(writer, &r.record, NULL);
	}
	assert(status == RG_OK || status == RG_ECONFLICT);
}

/* A decision asked over HTTP. */
static inline void append_query(struct rg_journal_writer *writer, uint64_t sequence,
				const char *json)
{
	uint64_t room[64 + sizeof(struct rg_record) / 8];
	struct rg_record *record = (struct rg_record *)room;
	size_t bytes = strlen(json);

	assert(bytes <= 512);
	*record = (struct rg_record){.length = rg_record_bytes((uint32_t)bytes, 0),
				     .kind = RG_RECORD_QUERY,
				     .version = RG_RECORD_VERSION,
				     .worker = RG_WORKER_API,
				     .epoch = 6,
				     .sequence = sequence,
				     .receive_time_ns = 1700000000000000000u + sequence,
				     .policy_sequence = 1,
				     .client_address = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 8},
				     .client_port = 5000,
				     .latency_ns = 77000,
				     .node = 7,
				     .request_bytes = (uint16_t)bytes};
	memcpy(record + 1, json, bytes);
	assert(rg_journal_writer_record(writer, record, NULL) == RG_OK);
}

static void append_policy(struct rg_journal_writer *writer, const char *json)
{
	int status = rg_journal_writer_add(writer, RG_JOURNAL_POLICY, json, (uint32_t)strlen(json));

	if (status == RG_EAGAIN) {
		flush(writer);
		status = rg_journal_writer_add(writer, RG_JOURNAL_POLICY, json,
					       (uint32_t)strlen(json));
	}
	assert(status == RG_OK);
}

/* Make the folder's name, and the schema. */
static void begin_test(const char *name)
{
	struct rg_error err;

	snprintf(folder, sizeof(folder), "/tmp/riskgate-%s-%d", name, getpid());
	snprintf(journal, sizeof(journal), "%s/journal", folder);
	if (rg_schema_load_memory(xml, sizeof(xml) - 1, "test", &schema, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
}

static void end_test(void)
{
	rg_schema_free(schema);
	fresh_folder();
	rmdir(folder);
}

/* Store all there is. */
static void drain(struct rg_sink *sink)
{
	struct rg_error err;
	int stored;

	while ((stored = rg_sink_work(sink, 1, &err)) > 0)
		;
	assert(stored == 0);
}

#endif

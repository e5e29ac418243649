/* SPDX-License-Identifier: Apache-2.0 */
#include "control/decision_event.h"

#include <arpa/inet.h>
#include <endian.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "journal/query.h"
#include "policy/eval/eval.h"
#include "wire/decision.h"
#include "wire/sbe_json.h"

/* The namespace of our UUIDs: made once, at random. */
static const uint8_t uuid_namespace[16] = {0x5d, 0x0c, 0x2f, 0x8e, 0x71, 0x4b, 0x4a, 0x63,
					   0x9e, 0x27, 0xc1, 0x3a, 0x86, 0xf4, 0x0b, 0xd2};

/* RFC 9562, 5.5. */
static void uuid_v5(const void *name, size_t bytes, char text[RG_UUID_TEXT_BYTES])
{
	uint8_t all[sizeof(uuid_namespace) + 256], digest[EVP_MAX_MD_SIZE];

	if (bytes > 256)
		bytes = 256;
	memcpy(all, uuid_namespace, sizeof(uuid_namespace));
	memcpy(all + sizeof(uuid_namespace), name, bytes);
	EVP_Digest(all, sizeof(uuid_namespace) + bytes, digest, NULL, EVP_sha1(), NULL);
	digest[6] = (digest[6] & 0x0f) | 0x50;
	digest[8] = (digest[8] & 0x3f) | 0x80;
	snprintf(text, RG_UUID_TEXT_BYTES,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", digest[0],
		 digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
		 digest[8], digest[9], digest[10], digest[11], digest[12], digest[13], digest[14],
		 digest[15]);
}

void rg_decision_event_context_init(struct rg_decision_event_context *context,
				    const struct rg_config *config, const struct rg_schema *schema)
{
	char name[64];
	int bytes = snprintf(name, sizeof(name), "instance %s of node %u", config->instance,
			     config->node);

	context->schema = schema;
	context->config = config;
	uuid_v5(name, (size_t)bytes, context->id);
}

void rg_decision_event_id(const struct rg_record *record, char text[RG_UUID_TEXT_BYTES])
{
	const uint64_t key[4] = {htole64(record->node), htole64(record->epoch),
				 htole64(record->worker), htole64(record->sequence)};
	struct rg_journal_query query;

	if (!rg_journal_query_read(record, &query) ||
	    !rg_span_text(query.decision_id, text, RG_UUID_TEXT_BYTES))
		uuid_v5(key, sizeof(key), text);
}

void rg_decision_event_labels(const struct rg_decision_event_context *context,
			      struct rg_json_writer *writer)
{
	const struct rg_config_opa_sections *opa = &context->config->opa;
	char node[16];

	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "id", context->id);
	rg_json_member_text(writer, "version", RG_VERSION);
	snprintf(node, sizeof(node), "%u", context->config->node);
	rg_json_member_text(writer, "node", node);
	for (uint32_t i = 0; i < opa->labels_count; i++)
		rg_json_member_text(writer, opa->labels[i].name, opa->labels[i].value);
	rg_json_write_object_end(writer);
}

/* ---- input ---- */

#define POINTER_BYTES 1024

/* Does the JSON pointer `path` stand in the list? */
static bool is_erased(const struct rg_config_decision_logs *logs, const char *path)
{
	for (uint32_t i = 0; i < logs->erase_count; i++)
		if (!strcmp(logs->erase[i], path))
			return true;
	return false;
}

struct copy {
	const struct rg_config_decision_logs *logs;
	struct rg_json_reader reader;
	struct rg_json_writer *writer;
	char path[POINTER_BYTES]; /* JSON pointer of the value that comes next */
	size_t path_bytes;
	bool erased[RG_CONFIG_ERASE_MAX]; /* by place in logs->erase */
};

static void copy_value(struct copy *copy, enum rg_json_token token);

/* A member: its key was read. */
static void copy_member(struct copy *copy)
{
	const size_t before = copy->path_bytes;
	const char *key = copy->reader.text;
	const size_t key_bytes = copy->reader.text_bytes;

	if (before + key_bytes + 2 < sizeof(copy->path)) {
		copy->path[copy->path_bytes++] = '/';
		memcpy(copy->path + copy->path_bytes, key, key_bytes);
		copy->path_bytes += key_bytes;
		copy->path[copy->path_bytes] = '\0';
	}
	if (is_erased(copy->logs, copy->path)) {
		for (uint32_t i = 0; i < copy->logs->erase_count; i++)
			if (!strcmp(copy->logs->erase[i], copy->path))
				copy->erased[i] = true;
		rg_json_next(&copy->reader);
		rg_json_skip(&copy->reader);
	} else {
		rg_json_write_key_n(copy->writer, key, key_bytes);
		copy_value(copy, rg_json_next(&copy->reader));
	}
	copy->path_bytes = before;
	copy->path[before] = '\0';
}

/* A value whose first token was read. A scalar and an array are copied as they stand. */
static void copy_value(struct copy *copy, enum rg_json_token token)
{
	const char *begin = copy->reader.token_at;

	if (token != RG_JSON_OBJECT_BEGIN) {
		rg_json_skip(&copy->reader);
		rg_json_write_raw(copy->writer, begin, (size_t)(copy->reader.at - begin));
		return;
	}
	rg_json_write_object_begin(copy->writer);
	while (rg_json_next(&copy->reader) == RG_JSON_KEY)
		copy_member(copy);
	rg_json_write_object_end(copy->writer);
}

/* An array's elements as elements of the one that is being written. */
static void write_elements(struct rg_json_writer *writer, struct rg_span array)
{
	struct rg_json_reader reader;

	if (!array.bytes)
		return;
	rg_json_reader_init(&reader, array.text, array.bytes);
	if (rg_json_next(&reader) != RG_JSON_ARRAY_BEGIN)
		return;
	while (rg_json_next(&reader) == RG_JSON_STRING)
		rg_json_write_raw(writer, reader.token_at, (size_t)(reader.at - reader.token_at));
}

/* The input without what is erased, and the list of that and of what was left out `before`. */
static void write_input(const struct rg_config_decision_logs *logs, struct rg_span input,
			struct rg_span before, struct rg_json_writer *writer)
{
	struct copy copy = {.logs = logs, .writer = writer, .path = "/input", .path_bytes = 6};
	bool any = before.bytes;

	if (input.bytes) {
		rg_json_write_key(writer, "input");
		rg_json_reader_init(&copy.reader, input.text, input.bytes);
		copy_value(&copy, rg_json_next(&copy.reader));
	}
	for (uint32_t i = 0; i < logs->erase_count; i++)
		any = any || copy.erased[i];
	if (!any)
		return;
	rg_json_write_key(writer, "erased");
	rg_json_write_array_begin(writer);
	write_elements(writer, before);
	for (uint32_t i = 0; i < logs->erase_count; i++)
		if (copy.erased[i])
			rg_json_write_string(writer, logs->erase[i]);
	rg_json_write_array_end(writer);
}

/* The request by the schema. */
static void write_request(const struct rg_decision_event_context *context,
			  const struct rg_record *record, struct rg_json_writer *writer)
{
	const struct rg_config_decision_logs *logs = &context->config->opa.decision_logs;
	uint8_t message[RG_SBE_HEADER_BYTES + UINT16_MAX];
	struct rg_json_writer request;

	rg_sbe_header_write(message, (struct rg_sbe_header){.block_length = record->request_bytes,
							    .template_id = record->template_id,
							    .schema_id = record->schema_id,
							    .version = record->schema_version});
	memcpy(message + RG_SBE_HEADER_BYTES, rg_record_request(record), record->request_bytes);
	rg_json_writer_init(&request, false);
	if (!rg_sbe_to_json(context->schema, message, RG_SBE_HEADER_BYTES + record->request_bytes,
			    &request, NULL) &&
	    !request.failed)
		write_input(logs, (struct rg_span){request.text, request.bytes},
			    (struct rg_span){0}, writer);
	writer->failed = writer->failed || request.failed;
	rg_json_writer_free(&request);
}

/* ---- the rest ---- */

static void write_bundles(const char *bundle, const char *revision, struct rg_json_writer *writer)
{
	if (!bundle || !revision)
		return;
	rg_json_write_key(writer, "bundles");
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, bundle);
	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "revision", revision);
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
}

/* The package that decides such requests, as a path: "a/b" for a.b. */
static void write_path(const struct rg_config *config, const struct rg_template *template,
		       struct rg_json_writer *writer)
{
	char path[264];

	for (uint32_t i = 0; template && i < config->templates_count; i++) {
		if (strcmp(config->templates[i].template_name, template->name))
			continue;
		snprintf(path, sizeof(path), "%s", config->templates[i].package);
		for (char *at = path; *at; at++)
			if (*at == '.')
				*at = '/';
		rg_json_member_text(writer, "path", path);
	}
}

static void write_result(const struct rg_sink_row *row, struct rg_json_writer *writer)
{
	rg_json_write_key(writer, "result");
	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "verdict", rg_decision_verdict_name(row->record->verdict));
	rg_json_member_text(writer, "status", rg_decision_status_name(row->record->status));
	rg_json_member_micro(writer, "score", row->record->score_micro);
	rg_json_write_key(writer, "reasons");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < row->reason_count; i++)
		rg_json_write_string(writer, row->reasons[i]);
	rg_json_write_array_end(writer);
	rg_json_write_object_end(writer);
}

static void write_error(const char *code, const char *message, struct rg_json_writer *writer)
{
	rg_json_member_object(writer, "error");
	rg_json_member_text(writer, "code", code);
	rg_json_member_text(writer, "message", message);
	rg_json_write_object_end(writer);
}

/* What a decision on the wire has and one asked over HTTP has not. */
static void write_decided(const struct rg_decision_event_context *context,
			  const struct rg_sink_row *row, struct rg_json_writer *writer)
{
	write_path(context->config, row->template, writer);
	write_request(context, row->record, writer);
	write_result(row, writer);
	if (row->record->status == RG_DECISION_POLICY_ERROR)
		write_error("policy_error", "the policy's evaluation failed or reached a bound",
			    writer);
	rg_json_member_uint(writer, "req_id", row->request_id);
}

static void write_asked(const struct rg_decision_event_context *context,
			const struct rg_record *record, const struct rg_journal_query *query,
			struct rg_json_writer *writer)
{
	char message[RG_ERROR_TEXT_BYTES];

	rg_span_write(writer, "path", query->path);
	write_input(&context->config->opa.decision_logs, query->input, query->erased, writer);
	rg_span_write(writer, "result", query->result);
	if (rg_span_text(query->error, message, sizeof(message)))
		write_error(rg_eval_result_code(record->eval_result), message, writer);
	if (query->requested_by.bytes) {
		rg_json_member_object(writer, "custom");
		rg_span_write(writer, "identity", query->requested_by);
		rg_json_write_object_end(writer);
	}
	if (query->headers.bytes) {
		rg_json_member_object(writer, "request_context");
		rg_json_member_object(writer, "http");
		rg_span_write(writer, "headers", query->headers);
		rg_json_write_object_end(writer);
		rg_json_write_object_end(writer);
	}
	rg_json_member_uint(writer, "req_id", record->sequence);
}

static void write_client(const struct rg_record *record, struct rg_json_writer *writer)
{
	char host[INET6_ADDRSTRLEN] = "", text[INET6_ADDRSTRLEN + 16];
	struct in6_addr address;
	bool is_ipv4;

	memcpy(&address, record->client_address, sizeof(address));
	is_ipv4 = IN6_IS_ADDR_V4MAPPED(&address);
	inet_ntop(is_ipv4 ? AF_INET : AF_INET6,
		  is_ipv4 ? (const void *)&address.s6_addr[12] : &address, host, sizeof(host));
	snprintf(text, sizeof(text), is_ipv4 ? "%s:%u" : "[%s]:%u", host, record->client_port);
	rg_json_member_text(writer, "requested_by", text);
}

void rg_decision_event_write(const struct rg_decision_event_context *context,
			     const struct rg_sink_row *row, const char *bundle,
			     struct rg_json_writer *writer)
{
	struct rg_journal_query query;
	char id[RG_UUID_TEXT_BYTES];

	rg_decision_event_id(row->record, id);
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, "labels");
	rg_decision_event_labels(context, writer);
	rg_json_member_text(writer, "decision_id", id);
	write_bundles(bundle, row->revision, writer);
	if (rg_journal_query_read(row->record, &query))
		write_asked(context, row->record, &query, writer);
	else
		write_decided(context, row, writer);
	write_client(row->record, writer);
	rg_json_write_key(writer, "timestamp");
	rg_json_write_time(writer, row->record->receive_time_ns);
	rg_json_member_object(writer, "metrics");
	rg_json_member_uint(writer, "timer_server_handler_ns", row->record->latency_ns);
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
}

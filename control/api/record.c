/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json_member.h"
#include "control/api/internal.h"
#include "shm/record.h"
#include "wire/decision.h"

void rg_decision_id_make(char id[RG_DECISION_ID_BYTES])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		memset(b, 0, sizeof(b)); /* cannot happen for so few bytes; an id is no secret */
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(id, RG_DECISION_ID_BYTES,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

/* ---- the document ---- */

static void write_path(struct rg_json_writer *writer, const struct rg_decision_note *note)
{
	struct rg_json_writer path;

	rg_json_writer_init(&path, false);
	for (uint32_t i = 0; i < note->path_count; i++) {
		path.comma = false;
		if (i)
			rg_json_write_raw(&path, "/", 1);
		path.comma = false;
		rg_json_write_raw(&path, note->path[i].text, note->path[i].bytes);
	}
	rg_json_write_key(writer, "path");
	rg_json_write_string_n(writer, path.text ? path.text : "", path.bytes);
	writer->failed |= path.failed;
	rg_json_writer_free(&path);
}

static void write_value(struct rg_json_writer *writer, const char *key,
			const struct rg_decision_note *note, struct rg_value value)
{
	if (!rg_is_defined(value))
		return;
	rg_json_write_key(writer, key);
	rg_value_write(note->heap, value, writer);
}

/* The headers that decision logs are to show, as OPA does: {"Name": ["value"]}. */
static void write_headers(struct rg_json_writer *writer, const struct rg_web_request *request)
{
	const struct rg_api *api = request->context;
	const struct rg_config_decision_logs *logs = &api->config->opa.decision_logs;
	bool any = false;

	for (uint32_t i = 0; i < logs->request_context.http.headers_count; i++) {
		const char *name = logs->request_context.http.headers[i];
		const char *value = rg_web_header(request, name);

		if (!value)
			continue;
		if (!any)
			rg_json_member_object(writer, "headers");
		any = true;
		rg_json_member_array(writer, name);
		rg_json_write_string(writer, value);
		rg_json_write_array_end(writer);
	}
	if (any)
		rg_json_write_object_end(writer);
}

static void write_document(struct rg_json_writer *writer, const struct rg_web_request *request,
			   const struct rg_decision_note *note, bool with_input, bool with_result)
{
	rg_json_writer_reset(writer);
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, "decision_id");
	rg_json_write_string(writer, note->decision_id);
	write_path(writer, note);
	if (*request->who) {
		rg_json_write_key(writer, "requested_by");
		rg_json_write_string(writer, request->who);
	}
	write_headers(writer, request);
	if (with_input)
		write_value(writer, "input", note, note->input);
	if (with_result)
		write_value(writer, "result", note, note->result);
	if (note->error) {
		rg_json_write_key(writer, "error");
		rg_json_write_string(writer, note->error);
	}
	if (!with_input || !with_result) {
		rg_json_write_key(writer, "erased");
		rg_json_write_array_begin(writer);
		if (!with_input)
			rg_json_write_string(writer, "/input");
		if (!with_result)
			rg_json_write_string(writer, "/result");
		rg_json_write_array_end(writer);
	}
	rg_json_write_object_end(writer);
}

static bool fits(const struct rg_json_writer *writer)
{
	return rg_record_bytes((uint32_t)writer->bytes, 0) && writer->bytes <= UINT16_MAX;
}

/* The longest document that fits: without the input, if need be also without the result. */
static void write_fitting(struct rg_json_writer *writer, const struct rg_web_request *request,
			  const struct rg_decision_note *note)
{
	write_document(writer, request, note, true, true);
	if (!fits(writer))
		write_document(writer, request, note, false, true);
	if (!fits(writer))
		write_document(writer, request, note, false, false);
}

/* Records are 8-aligned, one behind the other. */
static size_t stride(uint32_t length)
{
	return (length + 7u) & ~(size_t)7;
}

static uint8_t *reserve(struct rg_recording *recording, size_t bytes)
{
	size_t needed = recording->used + bytes, capacity = recording->capacity;
	uint8_t *grown;

	if (needed > capacity) {
		while (capacity < needed)
			capacity = capacity ? 2 * capacity : 1024;
		grown = realloc(recording->bytes, capacity);
		if (!grown)
			return NULL;
		recording->bytes = grown;
		recording->capacity = capacity;
	}
	grown = recording->bytes + recording->used;
	recording->used = needed;
	memset(grown, 0, bytes);
	return grown;
}

void rg_recording_add(struct rg_recording *recording, const struct rg_web_request *request,
		      const struct rg_decision_note *note)
{
	struct rg_record *record;
	struct rg_json_writer document;
	uint32_t length = 0;

	rg_json_writer_init(&document, false);
	write_fitting(&document, request, note);
	if (!document.failed && fits(&document))
		length = rg_record_bytes((uint32_t)document.bytes, 0);
	record = length ? (struct rg_record *)reserve(recording, stride(length)) : NULL;
	recording->failed |= !record;
	if (record) {
		*record = (struct rg_record){
			.length = length,
			.kind = RG_RECORD_QUERY,
			.version = RG_RECORD_VERSION,
			.worker = RG_WORKER_API,
			.receive_time_ns = note->receive_time_ns,
			.seed = note->seed,
			.policy_sequence = note->policy_sequence,
			.client_port = request->client_port,
			.latency_ns = note->latency_ns < UINT32_MAX ? (uint32_t)note->latency_ns
								    : UINT32_MAX,
			.status = note->eval_result ? RG_DECISION_POLICY_ERROR : RG_DECISION_OK,
			.eval_result = note->eval_result,
			.request_bytes = (uint16_t)document.bytes};
		memcpy(record->client_address, request->client_address,
		       sizeof(record->client_address));
		memcpy(record + 1, document.text, document.bytes);
	}
	rg_json_writer_free(&document);
}

void rg_recording_free(void *context)
{
	struct rg_recording *recording = context;

	if (recording)
		free(recording->bytes);
	free(recording);
}

/* ---- journaling ---- */

/* Journal one record under the next sequence. A record that was refused for want of room may be
 * tried again under the same one. */
static bool journal_record(struct rg_api *api, struct rg_record *record)
{
	struct rg_control *control = api->control;
	struct rg_error err;
	int rc;

	record->node = control->config->node;
	record->epoch = rg_region_epoch(control->region, RG_REGION_CONTROL);
	record->sequence = api->records + 1;
	rc = rg_journal_writer_record(control->journal, record, NULL);
	if (rc == RG_EAGAIN &&
	    !rg_journal_writer_flush(control->journal, control->now.monotonic_ns, &err))
		rc = rg_journal_writer_record(control->journal, record, NULL);
	if (!rc)
		api->records++;
	return !rc;
}

/* In the loop: stage them. rg_api_do_work() writes what all calls of its turn staged at once, and lets
 * them go. */
static bool stage_records(struct rg_api *api, struct rg_api_call *call)
{
	const struct rg_recording *recording = call->state;

	for (size_t at = 0; at < recording->used && !call->failed;) {
		struct rg_record *record = (struct rg_record *)(recording->bytes + at);

		call->failed = !journal_record(api, record);
		at += stride(record->length);
	}
	call->staged = true;
	return false;
}

static enum rg_web_result send_recorded(void *context, struct rg_web_request *request)
{
	const struct rg_api_call *call = rg_api_call_of(request);

	if (call->failed)
		return rg_web_error(
			request, 500, "internal_error",
			"the decision cannot be recorded: the journal cannot be written");
	return RG_WEB_DONE;
}

enum rg_web_result rg_api_record(struct rg_api *api, struct rg_web_request *request,
				 struct rg_recording *recording)
{
	struct rg_api_call *call = NULL;
	struct rg_recording *kept = NULL;

	if (!recording->failed) {
		call = calloc(1, sizeof(*call));
		kept = malloc(sizeof(*kept));
	}
	if (!call || !kept) {
		free(call);
		free(kept);
		free(recording->bytes);
		return rg_api_no_memory(request);
	}
	*kept = *recording;
	call->state = kept;
	call->free_state = rg_recording_free;
	call->run = stage_records;
	return rg_api_queue(api, request, call, send_recorded);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/batch/data/<path>: one rule, many inputs, in the shape of OPA Enterprise's batch API.
 *
 *	{"inputs": {"ID": INPUT, ...}, "common_input": {...}}
 *
 * common_input is merged under each input that is an object; the input's own keys win, at every
 * depth. The status is 200 when every evaluation went well, 500 when none did, else 207.
 */
#include <stdlib.h>
#include <string.h>

#include "control/api/decision.h"
#include "control/api/internal.h"

#define BATCH_INPUTS_MAX 10000u
#define MERGE_DEPTH_MAX	 64

/* What became of one input: its members in `members`, from..to. */
struct response {
	struct rg_span id; /* raw, between its quotes */
	size_t from, to;
	bool failed;
};

struct batch {
	struct rg_api *api;
	struct rg_web_request *request;
	struct rg_loan loan;
	struct rg_wishes wishes;
	struct rg_span inputs, common;
	struct rg_recording recording;
	struct response *responses;
	uint32_t count, failed_count;
	struct rg_json_writer members;
};

/* ---- inputs ---- */

/* `over` with what `under` has besides. */
static struct rg_value merge(struct rg_heap *heap, struct rg_value under, struct rg_value over,
			     uint32_t depth)
{
	struct rg_value merged;

	if (under.type != RG_OBJECT || over.type != RG_OBJECT || depth == MERGE_DEPTH_MAX)
		return over;
	merged = rg_clone(heap, under);
	for (uint32_t i = 0; i < rg_count(heap, over); i++) {
		struct rg_pair pair = rg_object_at(heap, over, i);
		struct rg_value below = rg_object_get(heap, under, pair.key);

		rg_object_insert(heap, merged, pair.key,
				 rg_is_defined(below) ? merge(heap, below, pair.value, depth + 1)
						      : pair.value);
	}
	return merged;
}

/* The input of one evaluation. False: the answer says why not. */
static bool parse_input(struct batch *batch, struct rg_question *question, struct rg_span text)
{
	struct rg_heap *heap = rg_eval_heap(batch->loan.eval);
	struct rg_value common = rg_undefined, own;
	struct rg_error err;
	int rc = rg_value_parse(heap, text.text, text.bytes, &own, &err);

	if (!rc && batch->common.bytes)
		rc = rg_value_parse(heap, batch->common.text, batch->common.bytes, &common, &err);
	if (rc) {
		rg_web_error(batch->request, rc == RG_ENOMEM ? 413 : 400, "invalid_parameter",
			     "body contains malformed input document: %s", err.text);
		return false;
	}
	question->query.input = merge(heap, common, own, 0);
	return true;
}

/* ---- evaluating ---- */

static bool evaluate(struct batch *batch, struct response *response, struct rg_span input)
{
	const struct rg_target *target = &batch->request->target;
	struct rg_decided decided = {.begin_ns = rg_web_now_ns()};
	struct rg_json_writer *members = &batch->members;

	rg_question_begin(&decided.question, &batch->loan, target->segments + 3,
			  target->segment_count - 3, batch->wishes.strict);
	if (!parse_input(batch, &decided.question, input))
		return false;
	rg_decision_make(&decided, batch->request, &batch->recording);
	response->failed = decided.question.result != RG_EVAL_OK;
	members->comma = false;
	response->from = members->bytes;
	if (response->failed) {
		rg_question_write_failure(members, &decided.question);
		rg_json_write_key(members, "decision_id");
		rg_json_write_string(members, decided.decision_id);
	} else {
		rg_decision_write(members, batch->request, &batch->wishes, &decided);
	}
	response->to = members->bytes;
	batch->failed_count += response->failed;
	return true;
}

/* Each member of the object `inputs`. False: the answer says why not. */
static bool evaluate_all(struct batch *batch)
{
	struct rg_json_reader reader;

	rg_json_reader_init(&reader, batch->inputs.text, batch->inputs.bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN) {
		rg_web_error(batch->request, 400, "invalid_parameter",
			     "body contains malformed input document: inputs must be an object");
		return false;
	}
	batch->responses = calloc(BATCH_INPUTS_MAX, sizeof(*batch->responses));
	if (!batch->responses) {
		rg_api_no_memory(batch->request);
		return false;
	}
	while (rg_json_next(&reader) == RG_JSON_KEY) {
		struct response *response = &batch->responses[batch->count];
		struct rg_span input;

		if (batch->count == BATCH_INPUTS_MAX) {
			rg_web_error(batch->request, 400, "invalid_parameter",
				     "there are more than %u inputs", BATCH_INPUTS_MAX);
			return false;
		}
		response->id = (struct rg_span){reader.text, reader.text_bytes};
		rg_json_next(&reader);
		input.text = reader.token_at;
		rg_json_skip(&reader);
		input.bytes = (size_t)(reader.at - input.text);
		if (!evaluate(batch, response, input))
			return false;
		batch->count++;
	}
	return true;
}

/* ---- the answer ---- */

/* Append text as it is: members that were written before. */
static void put(struct rg_json_writer *writer, const char *text, size_t bytes)
{
	writer->comma = false;
	rg_json_write_raw(writer, text, bytes);
}

static void write_response(struct batch *batch, const struct response *response)
{
	struct rg_json_writer *writer = &batch->request->answer;
	const char *status = response->failed ? "500" : "200";

	if (response != batch->responses)
		put(writer, ",", 1);
	put(writer, "\"", 1);
	put(writer, response->id.text, response->id.bytes);
	put(writer, "\":{", 3);
	put(writer, batch->members.text + response->from, response->to - response->from);
	if (batch->request->status == 207) {
		writer->comma = true;
		rg_json_write_key(writer, "http_status_code");
		rg_json_write_string(writer, status);
	}
	put(writer, "}", 1);
}

static void write_answer(struct batch *batch)
{
	struct rg_web_request *request = batch->request;
	struct rg_json_writer *writer = &request->answer;
	char id[RG_DECISION_ID_BYTES];

	request->status = !batch->failed_count			? 200
			  : batch->failed_count == batch->count ? 500
								: 207;
	rg_decision_id_make(id);
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, "batch_decision_id");
	rg_json_write_string(writer, id);
	if (batch->wishes.metrics) {
		rg_json_write_key(writer, "metrics");
		rg_json_write_object_begin(writer);
		rg_json_write_key(writer, "timer_server_handler_ns");
		rg_json_write_uint(writer, rg_web_now_ns() - request->handle_ns);
		rg_json_write_object_end(writer);
	}
	if (batch->inputs.bytes) {
		rg_json_write_key(writer, "responses");
		rg_json_write_object_begin(writer);
		for (uint32_t i = 0; i < batch->count; i++)
			write_response(batch, &batch->responses[i]);
		rg_json_write_object_end(writer);
	} else {
		rg_decision_write_warning(writer, "'inputs' key missing from the request");
	}
	rg_json_write_object_end(writer);
}

/* Where inputs and common_input are. False: the answer says why. */
static bool find_inputs(struct batch *batch)
{
	static const char *const keys[] = {"inputs", "common_input"};
	struct rg_web_request *request = batch->request;
	struct rg_span found[2] = {0};
	struct rg_error err;

	if (!rg_decision_read_body(batch->api, request))
		return false;
	if (!rg_decision_body_is_blank(request) &&
	    !rg_span_find(request->body, request->body_bytes, keys, found, 2, &err)) {
		rg_web_error(request, 400, "invalid_parameter",
			     "body contains malformed input document: %s", err.text);
		return false;
	}
	batch->inputs = found[0];
	batch->common = found[1];
	return true;
}

enum rg_web_result rg_api_batch(void *context, struct rg_web_request *request)
{
	struct batch batch = {
		.api = context, .request = request, .wishes = rg_wishes_read(&request->target)};
	bool done;

	if (!find_inputs(&batch) || !rg_decision_borrow(batch.api, request, &batch.loan))
		return RG_WEB_DONE;
	rg_json_writer_init(&batch.members, false);
	done = !batch.inputs.bytes || evaluate_all(&batch);
	rg_engine_return(batch.api->engine, &batch.loan);
	batch.recording.failed |= batch.members.failed;
	if (done)
		write_answer(&batch);
	rg_json_writer_free(&batch.members);
	free(batch.responses);
	if (done && batch.count)
		return rg_api_record(batch.api, request, &batch.recording);
	/* evaluations before a malformed input are not answered, and not recorded */
	free(batch.recording.bytes);
	return RG_WEB_DONE;
}

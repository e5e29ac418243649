/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/decision.h"

#include <stdlib.h>
#include <string.h>

#include "bundle/yaml_json.h"
#include "control/api/internal.h"

struct rg_wishes rg_wishes_read(const struct rg_target *target)
{
	return (struct rg_wishes){.provenance = rg_target_flag(target, "provenance"),
				  .metrics = rg_target_flag(target, "metrics") ||
					     rg_target_flag(target, "instrument"),
				  .pretty = rg_target_flag(target, "pretty"),
				  .strict = rg_target_flag(target, "strict-builtin-errors")};
}

/* ---- bodies ---- */

bool rg_decision_read_body(struct rg_api *api, struct rg_web_request *request)
{
	const char *kind = rg_web_header(request, "Content-Type");
	struct rg_json_writer json;
	struct rg_error err;

	if (!kind || !strstr(kind, "yaml") || rg_decision_body_is_blank(request))
		return true;
	rg_json_writer_init(&json, false);
	if (rg_yaml_to_json(request->body, request->body_bytes, api->config->api.body_bytes_max,
			    &json, &err) ||
	    json.failed) {
		rg_web_error(request, 400, "invalid_parameter",
			     "body contains malformed input document: %s",
			     json.failed ? "out of memory" : err.text);
		rg_json_writer_free(&json);
		return false;
	}
	free(request->body);
	request->body = json.text; /* moves */
	request->body_bytes = json.bytes;
	request->body_capacity = json.capacity;
	return true;
}

bool rg_decision_body_is_blank(const struct rg_web_request *request)
{
	for (size_t i = 0; i < request->body_bytes; i++) {
		if (!memchr(" \t\r\n", request->body[i], 4))
			return false;
	}
	return true;
}

/* ---- deciding ---- */

bool rg_decision_borrow(struct rg_api *api, struct rg_web_request *request, struct rg_loan *loan)
{
	struct rg_error err;
	int rc = rg_engine_lend(api->engine, loan, &err);

	if (!rc && loan->view->data_plan == RG_NO_PLAN) {
		rg_engine_return(api->engine, loan);
		rc = rg_error_set(&err, RG_EVERSION,
				  "the image in use has no documents: an older riskgate-control "
				  "made it; push the policy again");
	}
	if (rc)
		rg_web_error(request, 500, "internal_error", "%s", err.text);
	return !rc;
}

void rg_decision_make(struct rg_decided *decided, const struct rg_web_request *request,
		      struct rg_recording *recording)
{
	struct rg_question *question = &decided->question;
	struct rg_decision_note note;

	decided->parsed_ns = rg_web_now_ns();
	decided->value = rg_question_evaluate(question);
	decided->done_ns = rg_web_now_ns();
	rg_decision_id_make(decided->decision_id);
	note = (struct rg_decision_note){
		.decision_id = decided->decision_id,
		.receive_time_ns = (uint64_t)question->query.now_ns,
		.latency_ns = decided->done_ns - decided->begin_ns,
		.seed = question->query.seed,
		.policy_sequence = question->loan->view->sequence,
		.eval_result = (uint8_t)question->result,
		.path = question->path,
		.path_count = question->path_count,
		.heap = rg_eval_heap(question->loan->eval),
		.input = question->query.input,
		.result = decided->value,
		.error = question->result == RG_EVAL_OK ? NULL : question->error.text};
	rg_recording_add(recording, request, &note);
}

/* ---- answers ---- */

static void write_text(struct rg_json_writer *writer, const char *key, const char *text)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, text);
}

static void write_uint(struct rg_json_writer *writer, const char *key, uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

static void write_provenance(struct rg_json_writer *writer, const struct rg_view *view)
{
	rg_json_write_key(writer, "provenance");
	rg_json_write_object_begin(writer);
	write_text(writer, "version", RG_VERSION);
	write_text(writer, "build_commit", "");
	write_text(writer, "build_timestamp", "");
	write_text(writer, "build_hostname", "");
	rg_json_write_key(writer, "bundles");
	rg_json_write_object_begin(writer);
	rg_json_write_key(writer, view->info.bundle);
	rg_json_write_object_begin(writer);
	write_text(writer, "revision", view->info.revision);
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
}

/* OPA's names. A query is compiled when its policy is pushed: that timer is always 0. */
static void write_metrics(struct rg_json_writer *writer, const struct rg_web_request *request,
			  const struct rg_decided *decided)
{
	rg_json_write_key(writer, "metrics");
	rg_json_write_object_begin(writer);
	write_uint(writer, "counter_server_query_cache_hit", 1);
	write_uint(writer, "timer_rego_input_parse_ns", decided->parsed_ns - decided->begin_ns);
	write_uint(writer, "timer_rego_query_compile_ns", 0);
	write_uint(writer, "timer_rego_query_eval_ns", decided->done_ns - decided->parsed_ns);
	write_uint(writer, "timer_server_handler_ns", rg_web_now_ns() - request->handle_ns);
	rg_json_write_object_end(writer);
}

void rg_decision_write_warning(struct rg_json_writer *writer, const char *text)
{
	rg_json_write_key(writer, "warning");
	rg_json_write_object_begin(writer);
	write_text(writer, "code", "api_usage_warning");
	write_text(writer, "message", text);
	rg_json_write_object_end(writer);
}

void rg_decision_write(struct rg_json_writer *writer, const struct rg_web_request *request,
		       const struct rg_wishes *wishes, const struct rg_decided *decided)
{
	struct rg_loan *loan = decided->question.loan;

	write_text(writer, "decision_id", decided->decision_id);
	if (wishes->provenance)
		write_provenance(writer, loan->view);
	if (rg_is_defined(decided->value)) {
		rg_json_write_key(writer, "result");
		rg_value_write(rg_eval_heap(loan->eval), decided->value, writer);
	}
	if (wishes->metrics)
		write_metrics(writer, request, decided);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions over HTTP, as OPA gives them: /v1/data, /v0/data and /. Each is recorded before it is
 * answered. Documents are owned by the bundle: who wants to change them is refused as OPA does.
 *
 * Source: OPA's REST API documentation and v1/server.
 */
#include <stdlib.h>
#include <string.h>

#include "control/api/decision.h"
#include "control/api/internal.h"

enum form { FORM_V1, FORM_V0 };

/* Where the input of a request is. False: the answer says why. */
static bool find_input(struct rg_api *api, struct rg_web_request *request, enum form form,
		       struct rg_span *input)
{
	static const char *const keys[] = {"input"};
	const struct rg_target_text *parameter = rg_target_parameter(&request->target, "input");
	struct rg_error err;

	*input = (struct rg_span){0};
	if (strcmp(request->method, "POST")) {
		if (parameter)
			*input = (struct rg_span){parameter->text, parameter->bytes};
		return true;
	}
	if (!rg_decision_read_body(api, request))
		return false;
	if (rg_decision_body_is_blank(request))
		return true;
	if (form == FORM_V0) {
		*input = (struct rg_span){request->body, request->body_bytes};
		return true;
	}
	if (rg_span_find(request->body, request->body_bytes, keys, input, 1, &err)) {
		if (input->bytes == 4 && !memcmp(input->text, "null", 4))
			*input = (struct rg_span){0}; /* OPA's decoder knows no difference */
		return true;
	}
	rg_web_error(request, 400, "invalid_parameter",
		     "body contains malformed input document: %s", err.text);
	return false;
}

static bool parse_input(struct rg_web_request *request, struct rg_question *question,
			struct rg_span input)
{
	struct rg_error err;

	if (!input.bytes || !rg_value_parse(rg_eval_heap(question->loan->eval), input.text,
					    input.bytes, &question->query.input, &err))
		return true;
	rg_web_error(request, err.status == RG_ENOMEM ? 413 : 400, "invalid_parameter",
		     "%s contains malformed input document: %s",
		     strcmp(request->method, "POST") ? "parameter" : "body", err.text);
	return false;
}

static void write_undefined(struct rg_web_request *request, const struct rg_question *question)
{
	char path[512] = "data";
	size_t n = strlen(path);

	for (uint32_t i = 0; i < question->path_count && n < sizeof(path); i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, ".%s", question->path[i].text);
	rg_web_error(request, 404, "undefined_document", "document missing: %s", path);
}

static void write_failure(struct rg_web_request *request, const struct rg_question *question)
{
	struct rg_json_writer *writer = &request->answer;

	request->status = 500;
	rg_json_write_object_begin(writer);
	rg_question_write_failure(writer, question);
	rg_json_write_object_end(writer);
}

static void write_answer(struct rg_web_request *request, const struct rg_decided *decided,
			 enum form form, bool warn)
{
	struct rg_wishes wishes = rg_wishes_read(&request->target);
	struct rg_json_writer *writer = &request->answer;

	request->status = 200;
	writer->pretty = wishes.pretty;
	if (decided->question.result != RG_EVAL_OK) {
		write_failure(request, &decided->question);
	} else if (form == FORM_V1) {
		rg_json_write_object_begin(writer);
		rg_decision_write(writer, request, &wishes, decided);
		if (warn)
			rg_decision_write_warning(writer, "'input' key missing from the request");
		rg_json_write_object_end(writer);
	} else if (rg_is_defined(decided->value)) {
		rg_value_write(rg_eval_heap(decided->question.loan->eval), decided->value, writer);
	} else {
		write_undefined(request, &decided->question);
	}
}

static enum rg_web_result answer(struct rg_api *api, struct rg_web_request *request,
				 const struct rg_target_text *path, uint32_t path_count,
				 enum form form)
{
	struct rg_decided decided = {.begin_ns = rg_web_now_ns()};
	struct rg_recording recording = {0};
	struct rg_loan loan;
	struct rg_span input;
	bool parsed;

	if (!find_input(api, request, form, &input) || !rg_decision_borrow(api, request, &loan))
		return RG_WEB_DONE;
	rg_question_begin(&decided.question, &loan, path, path_count,
			  rg_target_flag(&request->target, "strict-builtin-errors"));
	parsed = parse_input(request, &decided.question, input);
	if (parsed) {
		rg_decision_make(&decided, request, &recording);
		write_answer(request, &decided, form,
			     !input.bytes && !strcmp(request->method, "POST"));
	}
	rg_engine_return(api->engine, &loan);
	return parsed ? rg_api_record(api, request, &recording) : RG_WEB_DONE;
}

enum rg_web_result rg_api_data(void *context, struct rg_web_request *request)
{
	return answer(context, request, request->target.segments + 2,
		      request->target.segment_count - 2, FORM_V1);
}

enum rg_web_result rg_api_data_v0(void *context, struct rg_web_request *request)
{
	return answer(context, request, request->target.segments + 2,
		      request->target.segment_count - 2, FORM_V0);
}

enum rg_web_result rg_api_default_decision(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	enum rg_web_result result;
	struct rg_target path;
	struct rg_error err;

	if (rg_target_parse(api->config->api.default_decision, &path, &err))
		return rg_web_error(request, 500, "internal_error", "api.default_decision: %s",
				    err.text);
	result = answer(api, request, path.segments, path.segment_count, FORM_V0);
	rg_target_free(&path);
	return result;
}

enum rg_web_result rg_api_refuse_change(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	struct rg_loan loan;
	struct rg_error err;
	char bundle[RG_IMAGE_LABEL_BYTES] = "";

	if (!rg_engine_lend(api->engine, &loan, &err)) {
		memcpy(bundle, loan.view->info.bundle, sizeof(bundle));
		rg_engine_return(api->engine, &loan);
	}
	return rg_web_error(request, 400, "invalid_parameter", "all paths owned by bundle \"%s\"",
			    bundle);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates over HTTP: what requests look like, and the verdict of one.
 *
 * A verdict is made as the data plane makes it: the JSON is encoded as the SBE message that a
 * client would send, and the image that the data plane uses decides it, typed program first. The
 * record is that of an API decision (record.h): its path is riskgate/decide/TEMPLATE.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/json_member.h"
#include "control/api/decision.h"
#include "control/api/internal.h"
#include "wire/decision.h"
#include "wire/sbe_json.h"

/* ---- what they look like ---- */

static const char *kind_name(const struct rg_field *field)
{
	static const char *const names[] = {[RG_FIELD_INT] = "integer",
					    [RG_FIELD_DECIMAL] = "decimal",
					    [RG_FIELD_DECIMAL_VAR] = "decimal",
					    [RG_FIELD_FLOAT] = "float",
					    [RG_FIELD_CHARS] = "string",
					    [RG_FIELD_ENUM] = "enum",
					    [RG_FIELD_SET] = "set",
					    [RG_FIELD_BOOL] = "boolean"};

	return names[field->kind];
}

static void write_names(struct rg_json_writer *writer, const struct rg_field_table *table,
			const struct rg_field *field)
{
	rg_json_member_array(writer, "names");
	for (uint32_t i = 0; i < field->names_count; i++)
		rg_json_write_string(writer, table->names[field->names_first + i].name);
	rg_json_write_array_end(writer);
}

static void write_field(struct rg_json_writer *writer, const struct rg_field_table *table,
			const struct rg_field *field)
{
	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "path", field->path);
	rg_json_member_uint(writer, "id", field->id);
	rg_json_member_text(writer, "type", kind_name(field));
	rg_json_member_uint(writer, "offset", field->offset);
	rg_json_member_uint(writer, "bytes",
			    field->kind == RG_FIELD_CHARS ? field->length : field->bytes);
	if (field->kind == RG_FIELD_INT || field->kind == RG_FIELD_DECIMAL ||
	    field->kind == RG_FIELD_DECIMAL_VAR)
		rg_json_member_bool(writer, "signed", field->is_signed);
	if (field->kind == RG_FIELD_DECIMAL) {
		rg_json_write_key(writer, "exponent");
		rg_json_write_int(writer, field->exponent);
	}
	if (field->kind == RG_FIELD_DECIMAL_VAR)
		rg_json_member_uint(writer, "exponent_offset", field->exponent_offset);
	rg_json_member_bool(writer, "optional", field->optional);
	rg_json_member_bool(writer, "constant", field->constant);
	rg_json_member_uint(writer, "since_version", field->since_version);
	if (field->kind == RG_FIELD_ENUM || field->kind == RG_FIELD_SET)
		write_names(writer, table, field);
	rg_json_write_object_end(writer);
}

static const char *package_of(const struct rg_config *config, const char *template_name)
{
	for (uint32_t i = 0; i < config->templates_count; i++) {
		if (!strcmp(config->templates[i].template_name, template_name))
			return config->templates[i].package;
	}
	return NULL;
}

static void write_template(struct rg_json_writer *writer, const struct rg_api *api,
			   const struct rg_template *template)
{
	const struct rg_field_table *table = rg_schema_fields(api->schema);

	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "name", template->name);
	rg_json_member_uint(writer, "template_id", template->template_id);
	rg_json_member_uint(writer, "block_length", template->block_length);
	rg_json_write_key(writer, "package");
	rg_json_write_string(writer, package_of(api->config, template->name)); /* NULL: null */
	rg_json_member_array(writer, "fields");
	for (uint32_t i = 0; i < template->fields_count; i++)
		write_field(writer, table, &table->fields[template->fields_first + i]);
	rg_json_write_array_end(writer);
	rg_json_write_object_end(writer);
}

enum rg_web_result rg_api_get_templates(void *context, struct rg_web_request *request)
{
	const struct rg_api *api = context;
	const struct rg_field_table *table = rg_schema_fields(api->schema);
	struct rg_json_writer *writer = &request->answer;

	request->status = 200;
	rg_json_write_object_begin(writer);
	rg_json_member_bool(writer, "ok", true);
	rg_json_member_object(writer, "schema");
	rg_json_member_uint(writer, "id", rg_schema_id(api->schema));
	rg_json_member_uint(writer, "version", rg_schema_version(api->schema));
	rg_json_member_text(writer, "package", rg_schema_package(api->schema));
	rg_json_write_object_end(writer);
	rg_json_member_array(writer, "templates");
	for (uint32_t i = 0; i < table->template_count; i++) {
		if (rg_schema_is_request(&table->templates[i]))
			write_template(writer, api, &table->templates[i]);
	}
	rg_json_write_array_end(writer);
	rg_json_write_object_end(writer);
	return RG_WEB_DONE;
}

/* ---- a verdict ---- */

struct verdict {
	struct rg_outcome outcome;
	uint8_t status; /* enum rg_decision_status */
	uint64_t receive_time_ns, seed, took_ns;
	uint64_t request_id;
};

static const struct rg_template *find_template(const struct rg_api *api,
					       struct rg_web_request *request)
{
	const char *name;
	size_t bytes;
	struct rg_target_text argument = rg_api_path_argument(request, &name, &bytes);
	const struct rg_template *template =
		strlen(argument.text) == argument.bytes
			? rg_schema_template_by_name(api->schema, argument.text)
			: NULL;

	if (template && rg_schema_is_request(template))
		return template;
	rg_web_error(request, 404, "resource_not_found",
		     "the schema has no template \"%s\": GET /v1/riskgate/templates lists them",
		     argument.text);
	return NULL;
}

static void decide(struct rg_api *api, struct rg_loan *loan, const uint8_t *message, size_t bytes,
		   struct verdict *verdict)
{
	struct rg_sbe_header header = rg_sbe_header_read(message);
	uint64_t begin_ns = rg_web_now_ns();
	int entry = rg_eval_template(loan->eval, header.schema_id, header.template_id);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	verdict->receive_time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	memcpy(&verdict->request_id, message + RG_SBE_HEADER_BYTES, sizeof(verdict->request_id));
	if (getrandom(&verdict->seed, sizeof(verdict->seed), 0) < 0)
		verdict->seed = verdict->receive_time_ns;
	if (entry < 0) { /* as the data plane answers it */
		verdict->status = RG_DECISION_NO_POLICY;
		verdict->outcome.verdict = (uint8_t)api->config->decision.failure_verdict;
		return;
	}
	rg_decide(loan->eval, entry, message + RG_SBE_HEADER_BYTES,
		  (uint32_t)(bytes - RG_SBE_HEADER_BYTES), (int64_t)verdict->receive_time_ns,
		  verdict->seed, &verdict->outcome);
	verdict->took_ns = rg_web_now_ns() - begin_ns;
	if (verdict->outcome.result != RG_EVAL_OK)
		verdict->status = RG_DECISION_POLICY_ERROR;
}

/* The members that the answer and the record share. */
static void write_verdict(struct rg_json_writer *writer, struct rg_eval *eval,
			  const struct verdict *verdict)
{
	const struct rg_outcome *outcome = &verdict->outcome;

	rg_json_member_text(writer, "verdict", rg_decision_verdict_name(outcome->verdict));
	rg_json_member_text(writer, "status", rg_decision_status_name(verdict->status));
	rg_json_member_micro(writer, "score", outcome->score_micro);
	rg_json_member_array(writer, "reasons");
	for (uint32_t i = 0; i < outcome->reason_count; i++) {
		uint32_t bytes;
		const char *name = rg_eval_reason(eval, outcome->reasons[i], &bytes);

		rg_json_write_string_n(writer, name, bytes);
	}
	rg_json_write_array_end(writer);
	rg_json_member_uint(writer, "reasons_fired", outcome->reasons_fired);
	if (outcome->result != RG_EVAL_OK)
		rg_json_member_text(writer, "error",
				    rg_eval_result_code((enum rg_eval_result)outcome->result));
}

/* Add the record. The decision is made: the heap holds what the record needs from now on. */
static void record(const struct rg_web_request *request, struct rg_loan *loan,
		   const struct verdict *verdict, const char *decision_id,
		   struct rg_recording *recording)
{
	struct rg_heap *heap = rg_eval_heap(loan->eval);
	struct rg_json_writer result;
	bool failed = verdict->outcome.result != RG_EVAL_OK;
	struct rg_decision_note note = {
		.decision_id = decision_id,
		.receive_time_ns = verdict->receive_time_ns,
		.latency_ns = verdict->took_ns,
		.seed = verdict->seed,
		.policy_sequence = loan->view->sequence,
		.eval_result = verdict->outcome.result,
		.path = request->target.segments + 1, /* riskgate/decide/TEMPLATE */
		.path_count = request->target.segment_count - 1,
		.heap = heap,
		.error = failed ? rg_eval_result_code((enum rg_eval_result)verdict->outcome.result)
				: NULL};
	struct rg_error err;

	rg_json_writer_init(&result, false);
	rg_json_write_object_begin(&result);
	write_verdict(&result, loan->eval, verdict);
	rg_json_write_object_end(&result);
	rg_heap_reset(heap);
	if (result.failed ||
	    rg_value_parse(heap, request->body, request->body_bytes, &note.input, &err) ||
	    rg_value_parse(heap, result.text, result.bytes, &note.result, &err))
		recording->failed = true;
	else
		rg_recording_add(recording, request, &note);
	rg_json_writer_free(&result);
}

static void write_answer(struct rg_web_request *request, const struct rg_template *template,
			 struct rg_loan *loan, const struct verdict *verdict,
			 const char *decision_id)
{
	struct rg_json_writer *writer = &request->answer;
	bool has_policy = verdict->status != RG_DECISION_NO_POLICY;

	request->status = 200;
	rg_json_write_object_begin(writer);
	rg_json_member_bool(writer, "ok", true);
	rg_json_member_text(writer, "decision_id", decision_id);
	rg_json_member_text(writer, "template", template->name);
	rg_json_member_uint(writer, "request_id", verdict->request_id);
	write_verdict(writer, loan->eval, verdict);
	rg_json_member_uint(writer, "policy_sequence", has_policy ? loan->view->sequence : 0);
	rg_json_member_text(writer, "revision", has_policy ? loan->view->info.revision : "");
	rg_json_member_uint(writer, "receive_time_ns", verdict->receive_time_ns);
	rg_json_member_uint(writer, "took_ns", verdict->took_ns);
	rg_json_write_object_end(writer);
}

enum rg_web_result rg_api_decide(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	const struct rg_template *template;
	uint8_t message[RG_SBE_HEADER_BYTES + RG_SCHEMA_BLOCK_BYTES_MAX];
	struct rg_recording recording = {0};
	char decision_id[RG_DECISION_ID_BYTES];
	struct verdict verdict = {0};
	struct rg_loan loan;
	struct rg_error err;
	size_t bytes;

	template = find_template(api, request);
	if (!template || !rg_decision_read_body(api, request))
		return RG_WEB_DONE;
	if (rg_sbe_from_json(api->schema, template->name, request->body ? request->body : "",
			     request->body_bytes, message, sizeof(message), &bytes, &err))
		return rg_web_error(request, 400, "invalid_parameter",
				    "body contains malformed request: %s", err.text);
	if (!rg_decision_borrow(api, request, &loan))
		return RG_WEB_DONE;
	decide(api, &loan, message, bytes, &verdict);
	rg_decision_id_make(decision_id);
	write_answer(request, template, &loan, &verdict, decision_id);
	record(request, &loan, &verdict, decision_id, &recording);
	rg_engine_return(api->engine, &loan);
	return rg_api_record(api, request, &recording);
}

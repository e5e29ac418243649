/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's commands over HTTP. A route names the command (routes.c); its arguments are what stands
 * in the path and the parameters of the query. What is answered is what the unix socket answers
 * (commands.c): {"ok":true, ...} as it is, a refusal as OPA's error body with a status that fits.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "bundle/members.h"
#include "control/api/decision.h"
#include "control/api/internal.h"
#include "journal/journal.h"

/* ---- arguments ---- */

/* The next of the route's parameters. False: that was the last. */
static bool next_parameter(const char **list, const char **name, size_t *bytes, char *mark)
{
	*list += strspn(*list, " ");
	if (!**list)
		return false;
	*name = *list;
	*bytes = strcspn(*list, " ?!");
	*list += *bytes;
	*mark = **list;
	*list += strcspn(*list, " ");
	return true;
}

static bool is_parameter(const char *list, struct rg_target_text key)
{
	const char *name;
	size_t bytes;
	char mark;

	while (next_parameter(&list, &name, &bytes, &mark)) {
		if (bytes == key.bytes && !memcmp(name, key.text, bytes))
			return true;
	}
	return false;
}

bool rg_api_check_parameters(struct rg_web_request *request)
{
	const char *list = rg_api_method_of(request)->parameters;

	for (uint32_t i = 0; i < request->target.parameter_count; i++) {
		if (is_parameter(list, request->target.keys[i]))
			continue;
		rg_web_error(request, 400, "invalid_parameter",
			     "unknown parameter \"%s\": GET /v1/riskgate lists those of each route",
			     request->target.keys[i].text);
		return false;
	}
	return true;
}

static void write_parameters(struct rg_json_writer *writer, const struct rg_web_request *request)
{
	const char *list = rg_api_method_of(request)->parameters, *name;
	char key[32], mark;
	size_t bytes;

	while (next_parameter(&list, &name, &bytes, &mark)) {
		const struct rg_target_text *value;

		snprintf(key, sizeof(key), "%.*s", (int)bytes, name);
		value = rg_target_parameter(&request->target, key);
		if (!value || mark == '!')
			continue;
		rg_json_write_key(writer, key);
		if (mark == '?')
			rg_json_write_bool(writer, rg_target_flag(&request->target, key));
		else
			rg_json_write_string_n(writer, value->text, value->bytes);
	}
}

struct rg_api_call *rg_api_command_call(struct rg_web_request *request, const char *path)
{
	struct rg_json_writer writer;
	struct rg_api_call *call = NULL;
	struct rg_target_text argument;
	const char *name = NULL;
	size_t bytes = 0;

	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	rg_json_member_text(&writer, "command", rg_api_method_of(request)->command);
	argument = rg_api_path_argument(request, &name, &bytes);
	if (name) {
		rg_json_write_key_n(&writer, name, bytes);
		rg_json_write_string_n(&writer, argument.text, argument.bytes);
	}
	write_parameters(&writer, request);
	if (path)
		rg_json_member_text(&writer, "path", path);
	rg_json_write_object_end(&writer);
	if (!writer.failed)
		call = rg_api_new_command(writer.text, writer.bytes);
	else
		rg_json_writer_free(&writer);
	if (!call)
		rg_api_no_memory(request);
	return call;
}

/* ---- answers ---- */

static const struct {
	const char *name; /* of an enum rg_status */
	unsigned status;
	const char *code;
} refusals[] = {
	{"invalid", 400, "invalid_parameter"},	       {"not_found", 404, "resource_not_found"},
	{"conflict", 409, "resource_conflict"},	       {"limit", 422, "invalid_parameter"},
	{"version", 422, "invalid_parameter"},	       {"corrupt", 422, "invalid_parameter"},
	{"missing_builtin", 422, "invalid_parameter"}, {"not_yet", 503, "internal_error"}};

static bool is_text(struct rg_span span, const char *text)
{
	return span.bytes == strlen(text) + 2 && !memcmp(span.text + 1, text, span.bytes - 2);
}

/* {"ok":false,"error":...,"status":...} as OPA's error body. */
static void write_refusal(struct rg_web_request *request, const struct rg_json_writer *answer)
{
	static const char *const keys[] = {"error", "status"};
	struct rg_json_writer *writer = &request->answer;
	const char *code = "internal_error";
	struct rg_span found[2];
	struct rg_error err;

	request->status = 500;
	if (!rg_span_find(answer->text, answer->bytes, keys, found, 2, &err) || !found[0].bytes) {
		rg_web_error(request, 500, code, "the command was not answered");
		return;
	}
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (!is_text(found[1], refusals[i].name))
			continue;
		request->status = refusals[i].status;
		code = refusals[i].code;
	}
	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "code", code);
	rg_json_write_key(writer, "message");
	rg_json_write_raw(writer, found[0].text, found[0].bytes);
	rg_json_write_object_end(writer);
}

enum rg_web_result rg_api_send_command(void *context, struct rg_web_request *request)
{
	static const char good[] = "{\"ok\":true";
	struct rg_api_call *call = rg_api_call_of(request);
	struct rg_json_writer *answer = &call->answer;

	if (call->failed)
		return rg_web_error(request, 503, "internal_error", "riskgate-control stops");
	if (answer->failed)
		return rg_api_no_memory(request);
	if (answer->bytes < strlen(good) || memcmp(answer->text, good, strlen(good))) {
		write_refusal(request, answer);
		return RG_WEB_DONE;
	}
	request->status = 200;
	rg_json_writer_free(&request->answer);
	request->answer = *answer; /* moves */
	rg_json_writer_init(answer, false);
	return RG_WEB_DONE;
}

enum rg_web_result rg_api_run_command(void *context, struct rg_web_request *request)
{
	struct rg_api_call *call = rg_api_command_call(request, NULL);

	return call ? rg_api_queue(context, request, call, rg_api_send_command) : RG_WEB_DONE;
}

/* ---- the journal ---- */

static int read_key(const struct rg_api *api, char **key, struct rg_journal_verify_options *options,
		    struct rg_error *err)
{
	const char *path = api->config->journal.chain_key;
	size_t bytes = 0;
	int rc = RG_OK;

	if (*path)
		rc = rg_member_read_file(AT_FDCWD, path, RG_JOURNAL_KEY_BYTES_MAX, key, &bytes,
					 err);
	options->key = *key;
	options->key_bytes = (uint32_t)bytes;
	return rc;
}

static void write_head(struct rg_json_writer *writer, const struct rg_journal_head *head)
{
	char link[2 * RG_JOURNAL_LINK_BYTES + 1];

	for (int i = 0; i < RG_JOURNAL_LINK_BYTES; i++)
		snprintf(link + 2 * i, 3, "%02x", head->link[i]);
	rg_json_member_object(writer, "head");
	rg_json_member_uint(writer, "index", head->index);
	rg_json_member_text(writer, "link", link);
	rg_json_write_object_end(writer);
}

/* Check the newest segment, in this thread: it is read while control writes on. */
static void write_verify(const struct rg_api *api, struct rg_json_writer *writer)
{
	struct rg_journal_verify_options options = {0};
	struct rg_journal_head head;
	struct rg_error err = {0};
	char *key = NULL;
	int rc = read_key(api, &key, &options, &err);

	if (!rc)
		rc = rg_journal_head(api->control->journal_directory, &options, &head, &err);
	free(key);
	rg_json_member_object(writer, "verify");
	rg_json_member_bool(writer, "ok", !rc || rc == RG_EAGAIN);
	rg_json_member_bool(writer, "chained", !rc);
	if (!rc)
		write_head(writer, &head);
	else if (rc != RG_EAGAIN) {
		rg_json_member_text(writer, "error", err.text);
		rg_json_member_text(writer, "status", rg_status_name(rc));
	}
	rg_json_write_object_end(writer);
}

static enum rg_web_result send_journal(void *context, struct rg_web_request *request)
{
	struct rg_json_writer *writer = &request->answer, answered;

	rg_api_send_command(context, request);
	if (request->status != 200 || !rg_target_flag(&request->target, "verify"))
		return RG_WEB_DONE;
	answered = *writer;
	rg_json_writer_init(writer, false);
	rg_json_write_object_begin(writer);
	rg_json_write_raw(writer, answered.text + 1, answered.bytes - 2); /* its members */
	rg_json_writer_free(&answered);
	write_verify(context, writer);
	rg_json_write_object_end(writer);
	return RG_WEB_DONE;
}

enum rg_web_result rg_api_get_journal(void *context, struct rg_web_request *request)
{
	struct rg_api_call *call = rg_api_command_call(request, NULL);

	return call ? rg_api_queue(context, request, call, send_journal) : RG_WEB_DONE;
}

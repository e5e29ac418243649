/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OPA's policy API, to read: the Rego of the policy in use. Policies belong to the bundle, so who
 * wants to change one is refused as OPA does. `ast` is left out: riskgate runs the plan and has no
 * parser of Rego.
 *
 * Source: OPA's REST API documentation and v1/server.
 */
#include <string.h>

#include "base/json_member.h"
#include "control/api/internal.h"
#include "control/api/policy_texts.h"

/* False: the answer says why not. */
static bool lock_texts(struct rg_api *api, struct rg_web_request *request,
		       const struct rg_policy_text **list, uint32_t *count)
{
	uint64_t sequence = 0;
	struct rg_loan loan;
	struct rg_error err;
	char bundle[RG_IMAGE_LABEL_BYTES] = "";
	int rc = rg_engine_lend(api->engine, &loan, &err);

	if (!rc) {
		sequence = loan.view->sequence;
		memcpy(bundle, loan.view->info.bundle, sizeof(bundle));
		rg_engine_return(api->engine, &loan);
	}
	if (!rc || rc == RG_ENOENT)
		rc = rg_policy_texts_lock(api->texts, sequence, bundle, list, count, &err);
	if (rc)
		rg_web_error(request, 500, "internal_error", "%s", err.text);
	return !rc;
}

static void write_text(struct rg_json_writer *writer, const struct rg_policy_text *text)
{
	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "id", text->id);
	rg_json_write_key(writer, "raw");
	rg_json_write_string_n(writer, text->raw, text->raw_bytes);
	rg_json_write_object_end(writer);
}

static void begin(struct rg_web_request *request)
{
	request->status = 200;
	request->answer.pretty = rg_target_flag(&request->target, "pretty");
	rg_json_write_object_begin(&request->answer);
	rg_json_write_key(&request->answer, "result");
}

enum rg_web_result rg_api_get_policies(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	const struct rg_policy_text *list;
	uint32_t count;

	if (!lock_texts(api, request, &list, &count))
		return RG_WEB_DONE;
	begin(request);
	rg_json_write_array_begin(&request->answer);
	for (uint32_t i = 0; i < count; i++)
		write_text(&request->answer, &list[i]);
	rg_json_write_array_end(&request->answer);
	rg_json_write_object_end(&request->answer);
	rg_policy_texts_unlock(api->texts);
	return RG_WEB_DONE;
}

/* Is what the path says behind /v1/policies/ this id? A slash may be written as such or "%2F". */
static bool is_asked_for(const struct rg_target *target, const char *id)
{
	for (uint32_t i = 2; i < target->segment_count; i++) {
		const struct rg_target_text *segment = &target->segments[i];

		if (i > 2 && *id++ != '/')
			return false;
		if (strlen(id) < segment->bytes || memcmp(id, segment->text, segment->bytes))
			return false;
		id += segment->bytes;
	}
	return !*id;
}

static enum rg_web_result not_found(struct rg_web_request *request)
{
	const struct rg_target *target = &request->target;
	char id[RG_ERROR_TEXT_BYTES] = "";
	size_t n = 0;

	for (uint32_t i = 2; i < target->segment_count && n < sizeof(id); i++)
		n += (size_t)snprintf(id + n, sizeof(id) - n, "%s%s", i > 2 ? "/" : "",
				      target->segments[i].text);
	return rg_web_error(request, 404, "resource_not_found",
			    "storage_not_found_error: policy id \"%s\"", id);
}

/* The policy that is asked for, locked, or NULL: the answer says why not. */
static const struct rg_policy_text *find(struct rg_api *api, struct rg_web_request *request)
{
	const struct rg_policy_text *list;
	uint32_t count;

	if (!lock_texts(api, request, &list, &count))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		if (is_asked_for(&request->target, list[i].id))
			return &list[i];
	}
	rg_policy_texts_unlock(api->texts);
	not_found(request);
	return NULL;
}

enum rg_web_result rg_api_get_policy(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;
	const struct rg_policy_text *text = find(api, request);

	if (!text)
		return RG_WEB_DONE;
	begin(request);
	write_text(&request->answer, text);
	rg_json_write_object_end(&request->answer);
	rg_policy_texts_unlock(api->texts);
	return RG_WEB_DONE;
}

enum rg_web_result rg_api_delete_policy(void *context, struct rg_web_request *request)
{
	struct rg_api *api = context;

	if (!find(api, request))
		return RG_WEB_DONE;
	rg_policy_texts_unlock(api->texts);
	return rg_api_refuse_change(context, request);
}

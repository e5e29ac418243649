/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler answers which method and path, and what permission it takes. docs/openapi.yaml
 * describes the same to clients. */
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "control/api/internal.h"

#define METHODS_MAX 5

/* A path's pattern is segments: "{x}" stands for one, a last "{x...}" for any number. The first
 * route that matches is taken. */
struct route {
	const char *path;
	const char *name; /* for metrics */
	struct rg_api_method methods[METHODS_MAX];
};

#define READ	      RG_PERMISSION_READ
#define DECIDE	      RG_PERMISSION_DECIDE
#define ADMIN	      RG_PERMISSION_ADMIN

#define DATA_FLAGS    "pretty? provenance? metrics? instrument? strict-builtin-errors?"
#define PUBLISH_WORDS "reason wait_ms"

static const struct route routes[] = {
	{"/health",
	 "health",
	 {{"GET", 0, rg_api_get_health, NULL, "bundles? plugins? exclude-plugin"}}},
	{"/", "default", {{"POST", DECIDE, rg_api_default_decision, NULL, "pretty?"}}},
	{"/v1/data/{path...}",
	 "v1/data",
	 {{"GET", DECIDE, rg_api_data, NULL, "input " DATA_FLAGS},
	  {"POST", DECIDE, rg_api_data, NULL, DATA_FLAGS},
	  {"PUT", DECIDE, rg_api_refuse_change, NULL, ""},
	  {"PATCH", DECIDE, rg_api_refuse_change, NULL, ""},
	  {"DELETE", DECIDE, rg_api_refuse_change, NULL, ""}}},
	{"/v0/data/{path...}", "v0/data", {{"POST", DECIDE, rg_api_data_v0, NULL, "pretty?"}}},
	{"/v1/batch/data/{path...}",
	 "v1/batch/data",
	 {{"POST", DECIDE, rg_api_batch, NULL, DATA_FLAGS}}},
	{"/metrics", "metrics", {{"GET", READ, rg_api_get_metrics, NULL, ""}}},
	{"/v1/policies", "v1/policies", {{"GET", READ, rg_api_get_policies, NULL, "pretty?"}}},
	{"/v1/policies/{id...}",
	 "v1/policies/id",
	 {{"GET", READ, rg_api_get_policy, NULL, "pretty?"},
	  {"PUT", ADMIN, rg_api_refuse_change, NULL, ""},
	  {"DELETE", ADMIN, rg_api_delete_policy, NULL, ""}}},
	{"/v1/config", "v1/config", {{"GET", ADMIN, rg_api_get_config, NULL, "pretty?"}}},
	{"/v1/status", "v1/status", {{"GET", READ, rg_api_get_status, NULL, ""}}},
	{"/v1/riskgate", "v1/riskgate", {{"GET", READ, rg_api_get_index, NULL, ""}}},
	{"/v1/riskgate/status",
	 "v1/riskgate/status",
	 {{"GET", READ, rg_api_run_command, "status", ""}}},
	{"/v1/riskgate/reasons",
	 "v1/riskgate/reasons",
	 {{"GET", READ, rg_api_run_command, "reasons", ""}}},
	{"/v1/riskgate/templates",
	 "v1/riskgate/templates",
	 {{"GET", READ, rg_api_get_templates, NULL, ""}}},
	{"/v1/riskgate/decide/{template}",
	 "v1/riskgate/decide",
	 {{"POST", DECIDE, rg_api_decide, NULL, ""}}},
	{"/v1/riskgate/decisions",
	 "v1/riskgate/decisions",
	 {{"GET", READ, rg_api_run_command, "decisions",
	   "limit verdict template revision request_id before"}}},
	{"/v1/riskgate/journal",
	 "v1/riskgate/journal",
	 {{"GET", READ, rg_api_get_journal, "journal", "verify!"}}},
	{"/v1/riskgate/history",
	 "v1/riskgate/history",
	 {{"GET", READ, rg_api_run_command, "policy.history", "limit"}}},
	{"/v1/riskgate/policy",
	 "v1/riskgate/policy",
	 {{"POST", ADMIN, rg_api_push, "policy.push",
	   "name! v0? dry_run? allow_older? " PUBLISH_WORDS}}},
	{"/v1/riskgate/sync",
	 "v1/riskgate/sync",
	 {{"POST", ADMIN, rg_api_run_command, "policy.sync", "bundle"}}},
	{"/v1/riskgate/versions",
	 "v1/riskgate/versions",
	 {{"GET", READ, rg_api_run_command, "policy.list", ""}}},
	{"/v1/riskgate/versions/{sequence}",
	 "v1/riskgate/versions/sequence",
	 {{"GET", READ, rg_api_run_command, "policy.show", ""}}},
	{"/v1/riskgate/versions/{sequence}/diff",
	 "v1/riskgate/versions/diff",
	 {{"GET", READ, rg_api_run_command, "policy.diff", "from"}}},
	{"/v1/riskgate/versions/{sequence}/rollback",
	 "v1/riskgate/versions/rollback",
	 {{"POST", ADMIN, rg_api_run_command, "policy.rollback", PUBLISH_WORDS}}},
	{"/v1/riskgate/versions/{sequence}/approve",
	 "v1/riskgate/versions/approve",
	 {{"POST", ADMIN, rg_api_run_command, "policy.approve",
	   "approver signature " PUBLISH_WORDS}}},
	{"/v1/riskgate/versions/{sequence}/reject",
	 "v1/riskgate/versions/reject",
	 {{"POST", ADMIN, rg_api_run_command, "policy.reject", "reason"}}},
};
#define ROUTE_COUNT   (sizeof(routes) / sizeof(routes[0]))
#define UNKNOWN_ROUTE ((uint32_t)ROUTE_COUNT)
static_assert(ROUTE_COUNT < RG_OBSERVED_ROUTES_MAX, "raise RG_OBSERVED_ROUTES_MAX");

const char *rg_api_route_name(uint32_t route)
{
	if (route < ROUTE_COUNT)
		return routes[route].name;
	return route == UNKNOWN_ROUTE ? "unknown" : NULL;
}

static bool is_rest(const char *segment, size_t length)
{
	return length > 5 && segment[0] == '{' && !strncmp(segment + length - 4, "...}", 4);
}

static bool matches(const char *path, const struct rg_target *target)
{
	path++;
	for (uint32_t i = 0;; i++) {
		size_t length = strcspn(path, "/");

		if (is_rest(path, length))
			return true;
		if (!length)
			return i == target->segment_count;
		if (i == target->segment_count)
			return false;
		if (*path != '{' && (target->segments[i].bytes != length ||
				     memcmp(target->segments[i].text, path, length)))
			return false;
		path += length + (path[length] == '/');
	}
}

uint32_t rg_api_route_of(const struct rg_web_request *request)
{
	uint32_t i = 0;

	while (i < ROUTE_COUNT && !matches(routes[i].path, &request->target))
		i++;
	return i;
}

static const struct rg_api_method *find_method(const struct route *route, const char *method)
{
	for (size_t i = 0; i < METHODS_MAX && route->methods[i].method; i++) {
		if (!strcmp(route->methods[i].method, method))
			return &route->methods[i];
	}
	return NULL;
}

static const char *method_of(const struct rg_web_request *request)
{
	return !strcmp(request->method, "HEAD") ? "GET" : request->method;
}

const struct rg_api_method *rg_api_method_of(const struct rg_web_request *request)
{
	return find_method(&routes[rg_api_route_of(request)], method_of(request));
}

struct rg_target_text rg_api_path_argument(const struct rg_web_request *request, const char **name,
					   size_t *name_bytes)
{
	const char *path = routes[rg_api_route_of(request)].path + 1;

	for (uint32_t i = 0; *path; i++) {
		size_t length = strcspn(path, "/");

		if (*path == '{') {
			*name = path + 1;
			*name_bytes = length - 2;
			return request->target.segments[i];
		}
		path += length + (path[length] == '/');
	}
	return (struct rg_target_text){0};
}

/* ---- the index ---- */

static void write_parameters(struct rg_json_writer *writer, const char *parameters)
{
	rg_json_write_key(writer, "parameters");
	rg_json_write_array_begin(writer);
	while (*parameters) {
		size_t length = strcspn(parameters, " ?!");

		rg_json_write_string_n(writer, parameters, length);
		parameters += length;
		parameters += strspn(parameters, " ?!");
	}
	rg_json_write_array_end(writer);
}

/* "/v1/data/{path...}" is written as OpenAPI has it, "/v1/data/{path}". */
static void write_path(struct rg_json_writer *writer, const char *path)
{
	size_t length = strlen(path);
	char text[128];

	if (length > 4 && !strcmp(path + length - 4, "...}"))
		snprintf(text, sizeof(text), "%.*s}", (int)(length - 4), path);
	else
		snprintf(text, sizeof(text), "%s", path);
	rg_json_member_text(writer, "path", text);
}

enum rg_web_result rg_api_get_index(void *context, struct rg_web_request *request)
{
	struct rg_json_writer *writer = &request->answer;

	request->status = 200;
	rg_json_write_object_begin(writer);
	rg_json_member_bool(writer, "ok", true);
	rg_json_member_text(writer, "version", RG_VERSION);
	rg_json_member_array(writer, "routes");
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		for (size_t m = 0; m < METHODS_MAX && routes[i].methods[m].method; m++) {
			const struct rg_api_method *method = &routes[i].methods[m];

			rg_json_write_object_begin(writer);
			rg_json_member_text(writer, "method", method->method);
			write_path(writer, routes[i].path);
			rg_json_member_text(writer, "permission",
					    rg_permission_name(method->permission));
			write_parameters(writer, method->parameters);
			rg_json_write_object_end(writer);
		}
	}
	rg_json_write_array_end(writer);
	rg_json_write_object_end(writer);
	return RG_WEB_DONE;
}

/* ---- routing ---- */

/* Go's server answers these in plain text, and so does OPA. */
static enum rg_web_result plain(struct rg_web_request *request, unsigned status, const char *text)
{
	request->status = status;
	request->content_type = "text/plain; charset=utf-8";
	rg_json_writer_reset(&request->answer);
	rg_json_write_raw(&request->answer, text, strlen(text));
	return RG_WEB_DONE;
}

static enum rg_web_result refuse_method(struct rg_web_request *request, const struct route *route)
{
	bool get = find_method(route, "GET"), post = find_method(route, "POST");

	request->allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
	return plain(request, 405, "Method Not Allowed\n");
}

/* OPA reads over parameters that it does not know. */
static bool is_ours(const struct route *route)
{
	return !strncmp(route->path, "/v1/riskgate", strlen("/v1/riskgate"));
}

enum rg_web_result rg_api_route(void *context, struct rg_web_request *request)
{
	uint32_t number = rg_api_route_of(request);
	const struct rg_api_method *method;

	if (number == UNKNOWN_ROUTE)
		return plain(request, 404, "404 page not found\n");
	method = find_method(&routes[number], method_of(request));
	if (!method)
		return refuse_method(request, &routes[number]);
	request->handle = method->handle;
	request->context = context;
	if ((request->permissions & method->permission) == method->permission) {
		if (is_ours(&routes[number]))
			rg_api_check_parameters(request);
		return RG_WEB_DONE;
	}
	if (!*request->who)
		request->challenge = "Bearer";
	return rg_web_error(request, *request->who ? 403 : 401, "unauthorized",
			    "request rejected by administrative policy");
}

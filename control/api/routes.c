/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler answers which method and path, and what permission it takes. docs/openapi.yaml
 * describes the same to clients. */
#include <stdio.h>
#include <string.h>

#include "control/api/internal.h"

#define METHODS_MAX 5

/* A path's pattern is segments; "*" stands for one, a last "**" for any number. */
struct route {
	const char *pattern;
	const char *name; /* for metrics */
	struct {
		const char *method;
		enum rg_permission permission;
		rg_web_function *handle;
	} methods[METHODS_MAX];
};

static const struct route routes[] = {
	{"health", "health", {{"GET", 0, rg_api_get_health}}},
	{"", "default", {{"POST", RG_PERMISSION_DECIDE, rg_api_default_decision}}},
	{"v1/data/**",
	 "v1/data",
	 {{"GET", RG_PERMISSION_DECIDE, rg_api_data},
	  {"POST", RG_PERMISSION_DECIDE, rg_api_data},
	  {"PUT", RG_PERMISSION_DECIDE, rg_api_refuse_change},
	  {"PATCH", RG_PERMISSION_DECIDE, rg_api_refuse_change},
	  {"DELETE", RG_PERMISSION_DECIDE, rg_api_refuse_change}}},
	{"v0/data/**", "v0/data", {{"POST", RG_PERMISSION_DECIDE, rg_api_data_v0}}},
	{"v1/batch/data/**", "v1/batch/data", {{"POST", RG_PERMISSION_DECIDE, rg_api_batch}}},
	{"metrics", "metrics", {{"GET", RG_PERMISSION_READ, rg_api_get_metrics}}},
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

static bool matches(const char *pattern, const struct rg_target *target)
{
	for (uint32_t i = 0;; i++) {
		size_t length = strcspn(pattern, "/");

		if (length == 2 && !strncmp(pattern, "**", 2))
			return true;
		if (!length)
			return i == target->segment_count;
		if (i == target->segment_count)
			return false;
		if (!(length == 1 && *pattern == '*') &&
		    (target->segments[i].bytes != length ||
		     memcmp(target->segments[i].text, pattern, length)))
			return false;
		pattern += length + (pattern[length] == '/');
	}
}

uint32_t rg_api_route_of(const struct rg_web_request *request)
{
	uint32_t i = 0;

	while (i < ROUTE_COUNT && !matches(routes[i].pattern, &request->target))
		i++;
	return i;
}

/* Go's server answers these in plain text, and so does OPA. */
static enum rg_web_result plain(struct rg_web_request *request, unsigned status, const char *text)
{
	request->status = status;
	request->content_type = "text/plain; charset=utf-8";
	rg_json_writer_reset(&request->answer);
	rg_json_write_raw(&request->answer, text, strlen(text));
	return RG_WEB_DONE;
}

static bool has_method(const struct route *route, const char *method)
{
	for (size_t i = 0; i < METHODS_MAX && route->methods[i].method; i++) {
		if (!strcmp(route->methods[i].method, method))
			return true;
	}
	return false;
}

static enum rg_web_result refuse_method(struct rg_web_request *request, const struct route *route)
{
	bool get = has_method(route, "GET"), post = has_method(route, "POST");

	request->allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
	return plain(request, 405, "Method Not Allowed\n");
}

enum rg_web_result rg_api_route(void *context, struct rg_web_request *request)
{
	const char *method = !strcmp(request->method, "HEAD") ? "GET" : request->method;
	uint32_t number = rg_api_route_of(request);
	const struct route *route = &routes[number];

	if (number == UNKNOWN_ROUTE)
		return plain(request, 404, "404 page not found\n");
	for (size_t i = 0; i < METHODS_MAX && route->methods[i].method; i++) {
		enum rg_permission needed = route->methods[i].permission;

		if (strcmp(route->methods[i].method, method))
			continue;
		request->handle = route->methods[i].handle;
		request->context = context;
		if ((request->permissions & needed) == needed)
			return RG_WEB_DONE;
		if (!*request->who)
			request->challenge = "Bearer";
		return rg_web_error(request, *request->who ? 403 : 401, "unauthorized",
				    "request rejected by administrative policy");
	}
	return refuse_method(request, route);
}

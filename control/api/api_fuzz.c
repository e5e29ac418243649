/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the HTTP API: path, query and body, from routing to the answer, with a policy in use
 * and a played server (played_web.h).
 *
 *	METHOD URI\n          any number of  Name: value\n          \n  body
 *
 * Every request gets an answer; an answer of type JSON is JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "control/api/access.h"
#include "control/api/played_web.h"

#define LINE_BYTES_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line of the text, NUL-terminated in place; NULL: there is none. */
static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

static void read_headers(char **at, struct rg_played_request *request)
{
	char *line;

	while ((line = next_line(at)) && *line) {
		char *colon = strchr(line, ':');

		if (!colon || request->header_count == RG_PLAYED_HEADERS_MAX)
			continue;
		*colon = '\0';
		request->headers[request->header_count++] =
			(struct rg_played_header){line, colon + 1 + strspn(colon + 1, " ")};
	}
}

static void check(const struct rg_played_answer *answer)
{
	struct rg_json_reader reader;
	enum rg_json_token token;

	if (answer->status < 200 || answer->status > 599)
		abort();
	if (answer->bytes && answer->text[0] != '{') /* a text, a bare value of /v0, metrics */
		return;
	rg_json_reader_init(&reader, answer->text, answer->bytes);
	while ((token = rg_json_next(&reader)) != RG_JSON_END) {
		if (token == RG_JSON_ERROR && answer->bytes) {
			fprintf(stderr, "no JSON: %.*s\n", (int)answer->bytes, answer->text);
			abort();
		}
		if (token == RG_JSON_ERROR)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct rg_played_request request = {
		.permissions = RG_PERMISSION_READ | RG_PERMISSION_DECIDE | RG_PERMISSION_ADMIN};
	char *text, *at, *line;

	if (!started) {
		rg_log_set_level(RG_LOG_ERROR);
		rg_played_start(RG_SCHEMA, RG_BUNDLE, "");
		atexit(rg_played_stop);
		started = true;
	}
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	at = text;
	line = next_line(&at);
	if (line && strchr(line, ' ') && strlen(line) < LINE_BYTES_MAX) {
		request.method = line;
		line = strchr(line, ' ');
		*line = '\0';
		request.uri = line + 1;
		read_headers(&at, &request);
		request.body = at;
		request.body_bytes = size - (size_t)(at - text);
		check(rg_played_ask(&request));
	}
	free(text);
	return 0;
}

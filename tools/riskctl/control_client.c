/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to riskgate-control. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/control_client.h"

static int connect_to(const char *path, int *fd, struct rg_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return rg_error_set(err, RG_EINVAL,
				    "control.socket: %s is longer than the %zu bytes a unix "
				    "socket's path may have",
				    path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "cannot make a unix socket");
	if (connect(*fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return RG_OK;
	if (errno == ENOENT || errno == ECONNREFUSED)
		return rg_error_set(err, RG_ENOENT,
				    "riskgate-control does not listen on %s: start it, or name the "
				    "configuration that "
				    "it uses with --config",
				    path);
	return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
}

static int send_line(int fd, const char *request, struct rg_error *err)
{
	size_t bytes = strlen(request), sent = 0;

	while (sent <= bytes) {
		const char *from = sent < bytes ? request + sent : "\n";
		ssize_t n = send(fd, from, sent < bytes ? bytes - sent : 1, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rg_error_set_errno(err, RG_EIO, errno,
						  "riskgate-control does not take the request");
		sent += (size_t)n;
	}
	return RG_OK;
}

struct line {
	char *text;
	size_t bytes, capacity;
};

static int grow(struct line *line, struct rg_error *err)
{
	size_t capacity = line->capacity ? line->capacity * 2 : 65536;
	char *text = capacity <= RG_CONTROL_ANSWER_BYTES_MAX ? realloc(line->text, capacity) : NULL;

	if (!text)
		return rg_error_set(
			err, RG_ELIMIT,
			"riskgate-control's answer is longer than %u bytes: ask for less",
			RG_CONTROL_ANSWER_BYTES_MAX);
	line->text = text;
	line->capacity = capacity;
	return RG_OK;
}

static int receive_line(int fd, uint64_t timeout_ms, struct line *line, struct rg_error *err)
{
	uint64_t deadline = rg_clock_monotonic_ns() / 1000000 + timeout_ms;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		uint64_t now = rg_clock_monotonic_ns() / 1000000;
		char *end;
		ssize_t n;

		if (now >= deadline)
			return rg_error_set(err, RG_EAGAIN,
					    "no answer from riskgate-control within %llu ms",
					    (unsigned long long)timeout_ms);
		if (poll(&ready, 1, (int)(deadline - now < 1000 ? deadline - now : 1000)) <= 0)
			continue;
		if (line->capacity - line->bytes < 2) {
			int status = grow(line, err);
			if (status)
				return status;
		}
		n = recv(fd, line->text + line->bytes, line->capacity - line->bytes - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return rg_error_set(
				err, RG_EIO,
				"riskgate-control closed the connection without an answer");
		end = memchr(line->text + line->bytes, '\n', (size_t)n);
		line->bytes += (size_t)n;
		if (end) {
			line->bytes = (size_t)(end - line->text);
			line->text[line->bytes] = '\0';
			return RG_OK;
		}
	}
}

/* The status whose name control answered. */
static int status_named(const struct rg_json_reader *reader)
{
	for (int status = RG_OK; status >= RG_ECONFLICT; status--)
		if (rg_json_equals(reader, rg_status_name(status)))
			return status;
	return RG_EINVAL;
}

static void copy_text(const struct rg_json_reader *reader, struct rg_error *error)
{
	char *text = malloc(reader->text_bytes * 3 + 1);

	if (!text)
		return;
	text[rg_json_decode(reader, text)] = '\0';
	snprintf(error->text, sizeof(error->text), "%s", text);
	free(text);
}

/* What the answer's "ok", "status" and "error" say. */
static int check_answer(const char *answer, size_t bytes, struct rg_error *err)
{
	struct rg_json_reader reader;
	struct rg_error said = {.status = RG_EINVAL};
	bool ok = false, has_ok = false;
	enum rg_json_token token;

	rg_json_reader_init(&reader, answer, bytes);
	if (rg_json_next(&reader) != RG_JSON_OBJECT_BEGIN)
		return rg_error_set(
			err, RG_EINVAL,
			"riskgate-control's answer is no JSON object: is it of the same version?");
	while ((token = rg_json_next(&reader)) == RG_JSON_KEY) {
		bool is_ok = rg_json_equals(&reader, "ok");
		bool is_status = rg_json_equals(&reader, "status"),
		     is_error = rg_json_equals(&reader, "error");

		token = rg_json_next(&reader);
		if (is_ok && (token == RG_JSON_TRUE || token == RG_JSON_FALSE)) {
			has_ok = true;
			ok = token == RG_JSON_TRUE;
		} else if (is_status && token == RG_JSON_STRING) {
			said.status = status_named(&reader);
		} else if (is_error && token == RG_JSON_STRING) {
			copy_text(&reader, &said);
		} else if (rg_json_skip(&reader)) {
			break;
		}
	}
	if (token != RG_JSON_OBJECT_END || !has_ok)
		return rg_error_set(err, RG_EINVAL, "riskgate-control's answer is malformed: %s",
				    has_ok ? reader.error.text : "it has no \"ok\"");
	if (ok)
		return RG_OK;
	return rg_error_set(err, said.status, "%s",
			    said.text[0] ? said.text
					 : "riskgate-control refused, without a reason");
}

int rg_control_call(const char *socket_path, const char *request, uint64_t timeout_ms,
		    char **answer, size_t *answer_bytes, struct rg_error *err)
{
	struct line line = {0};
	int fd = -1;
	int status = connect_to(socket_path, &fd, err);

	if (!status)
		status = send_line(fd, request, err);
	if (!status)
		status = receive_line(fd, timeout_ms, &line, err);
	if (!status)
		status = check_answer(line.text, line.bytes, err);
	if (fd >= 0)
		close(fd);
	if (status) {
		free(line.text);
		return status;
	}
	*answer = line.text;
	*answer_bytes = line.bytes;
	return RG_OK;
}

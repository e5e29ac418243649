/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against a scripted server on a socket of this process. */
#include "control/http_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define BODY_BYTES_MAX (1 << 20)

/* Answers one connection after the other with `answer`, and keeps what it was sent. */
struct server {
	int listener;
	pthread_t thread;
	pthread_mutex_t lock;
	char answer[8192];
	size_t answer_bytes;
	bool silent; /* accepts, reads, never answers */
	char seen[16384];
	size_t seen_bytes;
	uint16_t port;
};

static size_t content_length(const char *head)
{
	const char *line = strcasestr(head, "\r\ncontent-length:");

	return line ? strtoul(line + 17, NULL, 10) : 0;
}

static void serve(struct server *server, int connection)
{
	char seen[16384];
	size_t used = 0;
	const char *end = NULL;
	ssize_t n;

	do {
		n = read(connection, seen + used, sizeof(seen) - 1 - used);
		if (n > 0)
			used += (size_t)n;
		seen[used] = '\0';
		end = strstr(seen, "\r\n\r\n");
	} while (n > 0 && (!end || used < (size_t)(end + 4 - seen) + content_length(seen)));
	pthread_mutex_lock(&server->lock);
	memcpy(server->seen, seen, used + 1);
	server->seen_bytes = used;
	if (!server->silent &&
	    send(connection, server->answer, server->answer_bytes, MSG_NOSIGNAL) < 0)
		server->seen_bytes = used; /* the client broke off, as some tests want */
	pthread_mutex_unlock(&server->lock);
	if (server->silent)
		n = read(connection, seen, 1); /* until the client gives up */
	close(connection);
}

static void *server_thread(void *argument)
{
	struct server *server = argument;

	for (;;) {
		int connection = accept(server->listener, NULL, NULL);

		if (connection < 0)
			return NULL;
		serve(server, connection);
	}
}

static void server_open(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	memset(server, 0, sizeof(*server));
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert(server->listener >= 0);
	assert(!bind(server->listener, (struct sockaddr *)&address, sizeof(address)));
	assert(!listen(server->listener, 8));
	assert(!getsockname(server->listener, (struct sockaddr *)&address, &length));
	server->port = ntohs(address.sin_port);
	pthread_mutex_init(&server->lock, NULL);
	assert(!pthread_create(&server->thread, NULL, server_thread, server));
}

static void server_close(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
}

static void answer_with(struct server *server, const char *head, const void *body, size_t bytes)
{
	pthread_mutex_lock(&server->lock);
	server->answer_bytes = (size_t)snprintf(server->answer, sizeof(server->answer), "%s", head);
	assert(server->answer_bytes + bytes <= sizeof(server->answer));
	memcpy(server->answer + server->answer_bytes, body, bytes);
	server->answer_bytes += bytes;
	pthread_mutex_unlock(&server->lock);
}

struct fixture {
	struct server server;
	struct rg_http_client client;
	struct rg_config_service service;
	char url[64];
	int done_fd;
};

static void open_fixture(struct fixture *f)
{
	struct rg_error err;

	memset(f, 0, sizeof(*f));
	server_open(&f->server);
	f->done_fd = eventfd(0, EFD_NONBLOCK);
	assert(rg_http_client_new(f->done_fd, &f->client, &err) == RG_OK);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", f->server.port);
	f->service.name = "acme";
	f->service.url = f->url;
	f->service.response_header_timeout_ms = 60000;
}

static void close_fixture(struct fixture *f)
{
	rg_http_client_delete(&f->client);
	server_close(&f->server);
	close(f->done_fd);
}

/* Wait for the result; the eventfd must have announced it. */
static struct rg_http_client_response wait_for(struct fixture *f, uint64_t ticket)
{
	struct rg_http_client_response response;
	struct pollfd fd = {f->done_fd, POLLIN, 0};
	uint64_t count;

	while (f->client.take(f->client.context, ticket, &response) == RG_EAGAIN) {
		assert(poll(&fd, 1, 60000) == 1);
		assert(read(f->done_fd, &count, sizeof(count)) == sizeof(count));
	}
	return response;
}

static struct rg_http_client_request get(struct fixture *f)
{
	return (struct rg_http_client_request){.service = &f->service,
					       .method = "GET",
					       .path = "/bundles/a",
					       .response_bytes_max = 1000};
}

static struct rg_http_client_response fetch(struct fixture *f,
					    const struct rg_http_client_request *request)
{
	struct rg_error err;
	uint64_t ticket;

	assert(f->client.submit(f->client.context, request, &ticket, &err) == RG_OK);
	return wait_for(f, ticket);
}

static void test_answers(void)
{
	const char *headers[] = {"If-None-Match: \"5\"", "Prefer: modes=snapshot,delta"};
	struct rg_config_pair custom[] = {{"X-Desk", "7"}};
	struct rg_http_client_response response;
	struct rg_http_client_request request;
	struct fixture f;

	open_fixture(&f);
	request = get(&f);
	request.headers = headers;
	request.header_count = 2;
	f.service.headers = custom;
	f.service.headers_count = 1;
	answer_with(&f.server,
		    "HTTP/1.1 200 OK\r\nETag:  \"6\" \r\ncontent-type: application/gzip\r\n"
		    "Content-Length: 5\r\nConnection: close\r\n\r\n",
		    "hello", 5);
	response = fetch(&f, &request);
	assert(response.status == RG_OK && response.code == 200);
	assert(!strcmp(response.etag, "\"6\""));
	assert(!strcmp(response.content_type, "application/gzip"));
	assert(response.body_bytes == 5 && !strcmp(response.body, "hello"));
	rg_http_client_response_free(&response);
	assert(strstr(f.server.seen, "GET /bundles/a HTTP/1.1"));
	assert(strstr(f.server.seen, "User-Agent: riskgate/"));
	assert(strstr(f.server.seen, "If-None-Match: \"5\""));
	assert(strstr(f.server.seen, "X-Desk: 7"));
	assert(!strstr(f.server.seen, "Authorization"));

	answer_with(&f.server, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", "", 0);
	response = fetch(&f, &request);
	assert(response.status == RG_OK && response.code == 304 && !response.body_bytes);
	assert(!response.etag[0]);
	rg_http_client_response_free(&response);
	close_fixture(&f);
}

static void test_credentials(void)
{
	char path[] = "/tmp/riskgate-token-XXXXXX";
	struct rg_http_client_response response;
	struct rg_http_client_request request;
	struct fixture f;
	int fd = mkstemp(path);

	open_fixture(&f);
	request = get(&f);
	answer_with(&f.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		    "", 0);
	f.service.credentials.bearer.token = "t0ken";
	response = fetch(&f, &request);
	assert(response.code == 200 && strstr(f.server.seen, "Authorization: Bearer t0ken\r\n"));

	f.service.credentials.bearer.token = NULL;
	f.service.credentials.bearer.token_path = path;
	f.service.credentials.bearer.scheme = "Token";
	for (int i = 0; i < 2; i++) { /* read again for each request */
		char line[64], expected[96];

		snprintf(line, sizeof(line), "rotated-%d\n", i);
		assert(!ftruncate(fd, 0) && pwrite(fd, line, strlen(line), 0) > 0);
		response = fetch(&f, &request);
		snprintf(expected, sizeof(expected), "Authorization: Token rotated-%d\r\n", i);
		assert(response.code == 200 && strstr(f.server.seen, expected));
	}
	unlink(path);
	response = fetch(&f, &request);
	assert(response.status == RG_EINVAL && strstr(response.error.text, path));

	f.service.credentials.bearer.token_path = NULL;
	f.service.credentials.basic.username = "risk";
	f.service.credentials.basic.password = "gate";
	response = fetch(&f, &request);
	assert(strstr(f.server.seen, "Authorization: Basic cmlzazpnYXRl\r\n")); /* risk:gate */
	close(fd);
	close_fixture(&f);
}

static void test_body(void)
{
	const char *headers[] = {"Content-Type: application/json"};
	const char json[] = "[{\"decision_id\":\"1\"},{\"decision_id\":\"1\"}]";
	struct rg_http_client_response response;
	struct rg_http_client_request request;
	uint8_t plain[256];
	z_stream stream = {0};
	const char *body;
	struct fixture f;

	open_fixture(&f);
	request = get(&f);
	request.method = "POST";
	request.body = json;
	request.body_bytes = strlen(json);
	request.gzip = true;
	request.headers = headers;
	request.header_count = 1;
	answer_with(&f.server, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "", 0);
	response = fetch(&f, &request);
	assert(response.status == RG_OK && response.code == 204);
	assert(strstr(f.server.seen, "POST /bundles/a"));
	assert(strstr(f.server.seen, "Content-Encoding: gzip"));
	assert(strstr(f.server.seen, "Content-Type: application/json"));
	body = strstr(f.server.seen, "\r\n\r\n") + 4;
	assert(inflateInit2(&stream, 15 + 16) == Z_OK);
	stream.next_in = (uint8_t *)body;
	stream.avail_in = (uInt)(f.server.seen + f.server.seen_bytes - body);
	stream.next_out = plain;
	stream.avail_out = sizeof(plain);
	assert(inflate(&stream, Z_FINISH) == Z_STREAM_END);
	assert(stream.total_out == strlen(json) && !memcmp(plain, json, strlen(json)));
	inflateEnd(&stream);
	close_fixture(&f);
}

/* Too large as announced, as it comes, and after decompression. */
static void test_size_limit(void)
{
	struct rg_http_client_response response;
	struct rg_http_client_request request;
	uint8_t bomb[8000];
	char *zeros = calloc(1, BODY_BYTES_MAX);
	z_stream stream = {0};
	struct fixture f;

	open_fixture(&f);
	request = get(&f);
	answer_with(&f.server, "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", zeros, 1001);
	response = fetch(&f, &request);
	assert(response.status == RG_ELIMIT && strstr(response.error.text, "1000 bytes"));
	rg_http_client_response_free(&response);
	answer_with(&f.server, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", zeros, 1001);
	response = fetch(&f, &request);
	assert(response.status == RG_ELIMIT);
	rg_http_client_response_free(&response);
	answer_with(&f.server, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", zeros, 1000);
	response = fetch(&f, &request);
	assert(response.status == RG_OK && response.body_bytes == 1000);
	rg_http_client_response_free(&response);

	assert(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
	stream.next_in = (uint8_t *)zeros;
	stream.avail_in = BODY_BYTES_MAX;
	stream.next_out = bomb;
	stream.avail_out = sizeof(bomb);
	assert(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	request.response_bytes_max = BODY_BYTES_MAX / 2;
	answer_with(&f.server,
		    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n", bomb,
		    stream.total_out);
	response = fetch(&f, &request);
	assert(response.status == RG_ELIMIT);
	rg_http_client_response_free(&response);
	deflateEnd(&stream);
	free(zeros);
	close_fixture(&f);
}

static void test_failures(void)
{
	struct rg_http_client_response response;
	struct rg_http_client_request request;
	struct rg_error err;
	uint64_t ticket, tickets[RG_HTTP_REQUESTS_MAX];
	struct fixture f;
	uint16_t port;

	open_fixture(&f);
	request = get(&f);
	/* truncated */
	answer_with(&f.server, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", "short", 5);
	response = fetch(&f, &request);
	assert(response.status == RG_EIO && strstr(response.error.text, "service acme"));
	rg_http_client_response_free(&response);
	/* no answer in time */
	f.server.silent = true;
	f.service.response_header_timeout_ms = 100;
	response = fetch(&f, &request);
	assert(response.status == RG_EAGAIN);
	assert(strstr(response.error.text, "response_header_timeout_seconds"));
	/* cancelled while it waits */
	f.service.response_header_timeout_ms = 60000;
	assert(f.client.submit(f.client.context, &request, &ticket, &err) == RG_OK);
	f.client.cancel(f.client.context, ticket);
	assert(f.client.take(f.client.context, ticket, &response) == RG_ENOENT);
	/* too many, then deleted while they wait */
	for (int i = 0; i < RG_HTTP_REQUESTS_MAX; i++) {
		int rc = f.client.submit(f.client.context, &request, &tickets[i], &err);

		assert(rc == RG_OK || (i == RG_HTTP_REQUESTS_MAX - 1 && rc == RG_ELIMIT));
	}
	assert(f.client.submit(f.client.context, &request, &ticket, &err) == RG_ELIMIT);
	for (int i = 0; i < RG_HTTP_REQUESTS_MAX / 2; i++)
		f.client.cancel(f.client.context, tickets[i]);
	port = f.server.port;
	close_fixture(&f);

	open_fixture(&f);
	snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%u", port); /* nobody listens there */
	request = get(&f);
	response = fetch(&f, &request);
	assert(response.status == RG_EIO && strstr(response.error.text, "onnect"));
	close_fixture(&f);
}

int main(void)
{
	char text[64];

	test_answers();
	test_credentials();
	test_body();
	test_size_limit();
	test_failures();
	assert(!strcmp(rg_http_code_text(404, text), "404 Not Found"));
	assert(!strcmp(rg_http_code_text(499, text), "499"));
	return 0;
}

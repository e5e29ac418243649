/* SPDX-License-Identifier: Apache-2.0 */
#include "control/http_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define TOKEN_BYTES_MAX	      (64 << 10)
#define REDIRECTS_MAX	      5
#define SLOW_BYTES_PER_SECOND 1000 /* slower than this for SLOW_SECONDS is too slow */
#define SLOW_SECONDS	      30
#define IDLE_POLL_MS	      1000
#define BUSY_POLL_MS	      50
#define NS_PER_MS	      1000000ull

enum transfer_state { FREE = 0, QUEUED, RUNNING, DONE, CANCELLED };

struct http_thread;

struct transfer {
	struct http_thread *owner;
	enum transfer_state state; /* under the lock; RUNNING is left by the thread alone */
	uint64_t ticket;
	/* the request; the thread's while RUNNING */
	const struct rg_config_service *service;
	char method[8], *path, *body;
	size_t body_bytes;
	struct curl_slist *headers;
	bool gzip, header_seen, too_large;
	uint64_t response_bytes_max, hold_ms, header_deadline_ns;
	CURL *easy;
	char curl_error[CURL_ERROR_SIZE];
	struct rg_http_client_response response;
	size_t body_capacity;
};

struct http_thread {
	int done_fd;
	CURLM *multi;
	pthread_t thread;
	pthread_mutex_t lock;
	bool stop; /* under the lock */
	uint64_t tickets;
	struct transfer transfers[RG_HTTP_REQUESTS_MAX];
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rg_http_client_response_free(struct rg_http_client_response *response)
{
	free(response->body);
	response->body = NULL;
	response->body_bytes = 0;
}

const char *rg_http_code_text(long code, char text[static 64])
{
	static const struct {
		long code;
		const char *name;
	} names[] = {{200, "OK"},
		     {304, "Not Modified"},
		     {400, "Bad Request"},
		     {401, "Unauthorized"},
		     {403, "Forbidden"},
		     {404, "Not Found"},
		     {413, "Payload Too Large"},
		     {429, "Too Many Requests"},
		     {500, "Internal Server Error"},
		     {502, "Bad Gateway"},
		     {503, "Service Unavailable"},
		     {504, "Gateway Timeout"}};

	snprintf(text, 64, "%ld", code);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].code == code)
			snprintf(text, 64, "%ld %s", code, names[i].name);
	}
	return text;
}

/* ---- the request ---- */

static void clear(struct transfer *transfer)
{
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	free(transfer->path);
	free(transfer->body);
	rg_http_client_response_free(&transfer->response);
	memset(transfer, 0, sizeof(*transfer));
}

static int fail(struct transfer *transfer, int status, const char *what)
{
	return rg_error_set(&transfer->response.error, status, "service %s: %s %s: %s",
			    transfer->service->name, transfer->method, transfer->path, what);
}

static int add_header(struct transfer *transfer, const char *name, const char *value)
{
	struct curl_slist *grown = NULL;
	char *line;

	if (strpbrk(value, "\r\n"))
		return fail(transfer, RG_EINVAL, "a header's value has a line break");
	if (asprintf(&line, "%s: %s", name, value) >= 0) {
		grown = curl_slist_append(transfer->headers, line);
		free(line);
	}
	if (!grown)
		return fail(transfer, RG_ENOMEM, "out of memory");
	transfer->headers = grown;
	return RG_OK;
}

/* The token in a file, without the spaces around it. */
static int read_token(struct transfer *transfer, const char *path, char **token)
{
	char *text = malloc(TOKEN_BYTES_MAX), what[300];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 && text ? read(fd, text, TOKEN_BYTES_MAX - 1) : -1;

	if (fd >= 0)
		close(fd);
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	if (n <= 0) {
		free(text);
		snprintf(what, sizeof(what),
			 "credentials.bearer.token_path: %.200s cannot be read or is empty", path);
		return fail(transfer, RG_EINVAL, what);
	}
	text[n] = '\0';
	*token = text;
	return RG_OK;
}

static int add_bearer(struct transfer *transfer)
{
	const struct rg_config_service *service = transfer->service;
	const char *scheme = service->credentials.bearer.scheme;
	char *token = NULL, *value;
	int rc = RG_OK;

	if (service->credentials.bearer.token_path)
		rc = read_token(transfer, service->credentials.bearer.token_path, &token);
	if (rc)
		return rc;
	if (asprintf(&value, "%s %s", scheme ? scheme : "Bearer",
		     token ? token : service->credentials.bearer.token) < 0)
		value = NULL;
	free(token);
	rc = value ? add_header(transfer, "Authorization", value)
		   : fail(transfer, RG_ENOMEM, "out of memory");
	free(value);
	return rc;
}

static int set_credentials(struct transfer *transfer)
{
	const struct rg_config_service *service = transfer->service;
	CURL *easy = transfer->easy;
	int rc = RG_OK;

	for (uint32_t i = 0; !rc && i < service->headers_count; i++)
		rc = add_header(transfer, service->headers[i].name, service->headers[i].value);
	if (!rc && (service->credentials.bearer.token || service->credentials.bearer.token_path))
		rc = add_bearer(transfer);
	if (service->credentials.basic.username) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, service->credentials.basic.username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, service->credentials.basic.password);
	}
	if (service->credentials.client_tls.cert) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT, service->credentials.client_tls.cert);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, service->credentials.client_tls.private_key);
		if (service->credentials.client_tls.private_key_passphrase)
			curl_easy_setopt(easy, CURLOPT_KEYPASSWD,
					 service->credentials.client_tls.private_key_passphrase);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (service->tls.ca_cert)
		curl_easy_setopt(easy, CURLOPT_CAINFO, service->tls.ca_cert);
	if (service->allow_insecure_tls) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return rc;
}

static int compress_body(struct transfer *transfer)
{
	z_stream stream = {0};
	uint8_t *out;
	uLong bound;
	int result;

	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return fail(transfer, RG_ENOMEM, "out of memory");
	bound = deflateBound(&stream, transfer->body_bytes);
	out = malloc(bound);
	stream.next_in = (uint8_t *)transfer->body;
	stream.avail_in = (uInt)transfer->body_bytes;
	stream.next_out = out;
	stream.avail_out = (uInt)bound;
	result = out ? deflate(&stream, Z_FINISH) : Z_MEM_ERROR;
	deflateEnd(&stream);
	if (result != Z_STREAM_END) {
		free(out);
		return fail(transfer, RG_ENOMEM, "out of memory");
	}
	free(transfer->body);
	transfer->body = (char *)out;
	transfer->body_bytes = stream.total_out;
	return add_header(transfer, "Content-Encoding", "gzip");
}

static int set_body(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	int rc = RG_OK;

	if (!strcmp(transfer->method, "GET"))
		return RG_OK;
	if (transfer->gzip)
		rc = compress_body(transfer);
	if (!rc)
		rc = add_header(transfer, "Expect", ""); /* no 100-continue: one round trip less */
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, transfer->method);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_bytes);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body ? transfer->body : "");
	return rc;
}

/* ---- the answer ---- */

static void keep_value(const char *line, size_t bytes, const char *name,
		       char value[static RG_HTTP_HEADER_VALUE_BYTES])
{
	size_t length = strlen(name);

	if (bytes <= length || strncasecmp(line, name, length) || line[length] != ':')
		return;
	line += length + 1;
	bytes -= length + 1;
	while (bytes && isspace((unsigned char)*line)) {
		line++;
		bytes--;
	}
	while (bytes && isspace((unsigned char)line[bytes - 1]))
		bytes--;
	snprintf(value, RG_HTTP_HEADER_VALUE_BYTES, "%.*s", (int)bytes, line);
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t bytes = size * count;

	if (bytes >= 5 && !memcmp(line, "HTTP/", 5)) { /* another answer: of a redirect */
		transfer->response.etag[0] = transfer->response.content_type[0] = '\0';
		transfer->header_seen = false;
	}
	keep_value(line, bytes, "ETag", transfer->response.etag);
	keep_value(line, bytes, "Content-Type", transfer->response.content_type);
	if (bytes <= 2)
		transfer->header_seen = true;
	return bytes;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	struct rg_http_client_response *response = &transfer->response;
	size_t n = size * count;

	if (n > transfer->response_bytes_max - response->body_bytes) {
		transfer->too_large = true;
		return 0;
	}
	if (response->body_bytes + n + 1 > transfer->body_capacity) {
		size_t capacity = (response->body_bytes + n + 1) * 2;
		char *grown = realloc(response->body, capacity);

		if (!grown)
			return 0;
		response->body = grown;
		transfer->body_capacity = capacity;
	}
	memcpy(response->body + response->body_bytes, bytes, n);
	response->body_bytes += n;
	response->body[response->body_bytes] = '\0';
	return n;
}

/* ---- the thread ---- */

static void set_limits(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	uint64_t header_ms = transfer->service->response_header_timeout_ms + transfer->hold_ms;
	const char *protocols =
		strncmp(transfer->service->url, "https", 5) ? "http,https" : "https";

	transfer->header_deadline_ns = monotonic_ns() + header_ms * NS_PER_MS;
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)transfer->service->response_header_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_SECOND);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(SLOW_SECONDS + header_ms / 1000));
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->response_bytes_max);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

static int set_up(struct transfer *transfer)
{
	CURL *easy = transfer->easy = curl_easy_init();
	char *url;
	int rc;

	if (!easy || asprintf(&url, "%s%s", transfer->service->url, transfer->path) < 0)
		return fail(transfer, RG_ENOMEM, "out of memory");
	curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_error);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "riskgate/" RG_VERSION);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	set_limits(transfer);
	rc = set_credentials(transfer);
	if (!rc)
		rc = set_body(transfer);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	return rc;
}

static void set_done(struct transfer *transfer)
{
	struct http_thread *thread = transfer->owner;
	uint64_t one = 1;

	if (transfer->easy) {
		curl_multi_remove_handle(thread->multi, transfer->easy);
		curl_easy_cleanup(transfer->easy);
		transfer->easy = NULL;
	}
	transfer->response.status = transfer->response.error.status;
	pthread_mutex_lock(&thread->lock);
	if (transfer->state == CANCELLED)
		clear(transfer);
	else
		transfer->state = DONE;
	pthread_mutex_unlock(&thread->lock);
	if (thread->done_fd >= 0 && write(thread->done_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the loop looks anyway */
}

static void finish(struct transfer *transfer, CURLcode code)
{
	char what[CURL_ERROR_SIZE + 128];

	if (transfer->too_large || code == CURLE_FILESIZE_EXCEEDED) {
		snprintf(what, sizeof(what), "the answer is larger than %llu bytes",
			 (unsigned long long)transfer->response_bytes_max);
		fail(transfer, RG_ELIMIT, what);
	} else if (code != CURLE_OK) {
		fail(transfer, code == CURLE_OPERATION_TIMEDOUT ? RG_EAGAIN : RG_EIO,
		     transfer->curl_error[0] ? transfer->curl_error : curl_easy_strerror(code));
	} else {
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->response.code);
	}
	set_done(transfer);
}

/* Start what was submitted, break off what was cancelled or is too slow. Returns how many run. */
static uint32_t look_through(struct http_thread *thread, bool *stop)
{
	uint64_t now_ns = monotonic_ns();
	uint32_t running = 0;

	pthread_mutex_lock(&thread->lock);
	*stop = thread->stop;
	for (int i = 0; i < RG_HTTP_REQUESTS_MAX; i++) {
		struct transfer *transfer = &thread->transfers[i];
		enum transfer_state before = transfer->state;

		if (before == QUEUED)
			transfer->state = RUNNING;
		pthread_mutex_unlock(&thread->lock);
		if (before == QUEUED) {
			if (set_up(transfer) ||
			    curl_multi_add_handle(thread->multi, transfer->easy) != CURLM_OK)
				set_done(transfer);
		} else if (before == CANCELLED) {
			set_done(transfer);
		} else if (before == RUNNING && !transfer->header_seen &&
			   now_ns >= transfer->header_deadline_ns) {
			fail(transfer, RG_EAGAIN, "no answer in response_header_timeout_seconds");
			set_done(transfer);
		}
		pthread_mutex_lock(&thread->lock);
		running += transfer->state == RUNNING;
	}
	pthread_mutex_unlock(&thread->lock);
	return running;
}

static void *run(void *argument)
{
	struct http_thread *thread = argument;
	struct CURLMsg *message;
	bool stop;

	for (;;) {
		uint32_t running = look_through(thread, &stop);
		int alive, left;

		if (stop)
			return NULL;
		curl_multi_perform(thread->multi, &alive);
		while ((message = curl_multi_info_read(thread->multi, &left))) {
			struct transfer *transfer = NULL;

			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
					  (char **)&transfer);
			if (message->msg == CURLMSG_DONE)
				finish(transfer, message->data.result);
		}
		curl_multi_poll(thread->multi, NULL, 0, running ? BUSY_POLL_MS : IDLE_POLL_MS,
				NULL);
	}
}

/* ---- the loop's side ---- */

static struct transfer *find(struct http_thread *thread, uint64_t ticket)
{
	for (int i = 0; i < RG_HTTP_REQUESTS_MAX; i++) {
		struct transfer *transfer = &thread->transfers[i];

		if (ticket && transfer->ticket == ticket && transfer->state != FREE &&
		    transfer->state != CANCELLED)
			return transfer;
	}
	return NULL;
}

static bool copy_request(const struct rg_http_client_request *request, struct transfer *transfer)
{
	transfer->service = request->service;
	snprintf(transfer->method, sizeof(transfer->method), "%s", request->method);
	transfer->path = strdup(request->path);
	transfer->gzip = request->gzip && request->body_bytes;
	transfer->response_bytes_max = request->response_bytes_max;
	transfer->hold_ms = request->hold_ms;
	transfer->body_bytes = request->body_bytes;
	if (request->body) {
		transfer->body = malloc(request->body_bytes + 1);
		if (!transfer->body)
			return false;
		memcpy(transfer->body, request->body, request->body_bytes);
	}
	for (uint32_t i = 0; i < request->header_count; i++) {
		struct curl_slist *grown =
			curl_slist_append(transfer->headers, request->headers[i]);

		if (!grown)
			return false;
		transfer->headers = grown;
	}
	return transfer->path != NULL;
}

static int submit(void *context, const struct rg_http_client_request *request, uint64_t *ticket,
		  struct rg_error *err)
{
	struct http_thread *thread = context;
	struct transfer *transfer = NULL;
	int rc = RG_OK;

	pthread_mutex_lock(&thread->lock);
	for (int i = 0; !transfer && i < RG_HTTP_REQUESTS_MAX; i++) {
		if (thread->transfers[i].state == FREE)
			transfer = &thread->transfers[i];
	}
	if (!transfer) {
		rc = rg_error_set(err, RG_ELIMIT, "%d HTTP requests are under way",
				  RG_HTTP_REQUESTS_MAX);
	} else if (!copy_request(request, transfer)) {
		clear(transfer);
		rc = rg_error_set(err, RG_ENOMEM, "out of memory for an HTTP request");
	} else {
		transfer->owner = thread;
		transfer->ticket = *ticket = ++thread->tickets;
		transfer->state = QUEUED;
	}
	pthread_mutex_unlock(&thread->lock);
	if (!rc)
		curl_multi_wakeup(thread->multi);
	return rc;
}

static int take(void *context, uint64_t ticket, struct rg_http_client_response *response)
{
	struct http_thread *thread = context;
	struct transfer *transfer;
	int rc = RG_EAGAIN;

	pthread_mutex_lock(&thread->lock);
	transfer = find(thread, ticket);
	if (!transfer) {
		rc = RG_ENOENT;
	} else if (transfer->state == DONE) {
		*response = transfer->response;
		transfer->response.body = NULL;
		clear(transfer);
		rc = RG_OK;
	}
	pthread_mutex_unlock(&thread->lock);
	return rc;
}

static void cancel(void *context, uint64_t ticket)
{
	struct http_thread *thread = context;
	struct transfer *transfer;

	pthread_mutex_lock(&thread->lock);
	transfer = find(thread, ticket);
	if (transfer && transfer->state == RUNNING)
		transfer->state = CANCELLED; /* the thread lets go of it */
	else if (transfer)
		clear(transfer);
	pthread_mutex_unlock(&thread->lock);
	curl_multi_wakeup(thread->multi);
}

static int start(struct http_thread *thread)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	failed = pthread_create(&thread->thread, NULL, run, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

int rg_http_client_new(int done_fd, struct rg_http_client *client, struct rg_error *err)
{
	struct http_thread *thread = calloc(1, sizeof(*thread));

	if (!thread || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(thread);
		return rg_error_set(err, RG_ENOMEM, "out of memory for an HTTP client");
	}
	thread->done_fd = done_fd;
	pthread_mutex_init(&thread->lock, NULL);
	thread->multi = curl_multi_init();
	if (!thread->multi || start(thread)) {
		curl_multi_cleanup(thread->multi);
		free(thread);
		return rg_error_set(err, RG_ENOMEM, "no thread for the HTTP client");
	}
	*client = (struct rg_http_client){thread, submit, take, cancel};
	return RG_OK;
}

void rg_http_client_delete(struct rg_http_client *client)
{
	struct http_thread *thread = client->context;

	if (!thread)
		return;
	pthread_mutex_lock(&thread->lock);
	thread->stop = true;
	pthread_mutex_unlock(&thread->lock);
	curl_multi_wakeup(thread->multi);
	pthread_join(thread->thread, NULL);
	for (int i = 0; i < RG_HTTP_REQUESTS_MAX; i++) {
		if (thread->transfers[i].easy)
			curl_multi_remove_handle(thread->multi, thread->transfers[i].easy);
		clear(&thread->transfers[i]);
	}
	curl_multi_cleanup(thread->multi);
	pthread_mutex_destroy(&thread->lock);
	free(thread);
	memset(client, 0, sizeof(*client));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/api/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"

#define CONNECTION_BYTES (32u << 10) /* headers of a request, and MHD's buffers */
#define SWEEP_PERIOD_NS	 500000000ull
#define LISTEN_BACKLOG	 128

enum phase { RECEIVING = 0, READY, WAITING, RESUMED, SENDING, REFUSED };

/* A connection, for the sweep. */
struct connection {
	struct connection *next, *previous;
	int fd;
	bool limited;	   /* RECEIVING or SENDING */
	uint64_t since_ns; /* in this phase */
	/* Begun by its request line. MHD does not tell of the end of one whose headers it refused. */
	struct rg_web_request *begun;
};

struct rg_web {
	struct rg_web_options options;
	struct MHD_Daemon *daemon;
	uint16_t port;
	uint64_t next_sweep_ns;
	pthread_mutex_t lock; /* of the list and what is in it */
	struct connection connections;
	_Atomic uint32_t count; /* relaxed: a number for metrics */
};

uint64_t rg_web_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- answers ---- */

const char *rg_web_header(const struct rg_web_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* What the sweep sees of the request's connection from here on. */
static void set_limit(const struct rg_web_request *request, bool limited)
{
	struct connection *connection = connection_of(request->connection);

	if (!connection)
		return;
	pthread_mutex_lock(&request->web->lock);
	connection->limited = limited;
	connection->since_ns = rg_web_now_ns();
	pthread_mutex_unlock(&request->web->lock);
}

static enum MHD_Result send_answer(struct rg_web_request *request)
{
	static const char no_memory[] =
		"{\"code\":\"internal_error\",\"message\":\"out of memory\"}";
	struct rg_json_writer *answer = &request->answer;
	const struct rg_web_options *options = &request->web->options;
	struct MHD_Response *response;
	enum MHD_Result queued;

	if (answer->failed) {
		request->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		response = MHD_create_response_from_buffer(
			strlen(no_memory), (void *)(uintptr_t)no_memory, MHD_RESPMEM_PERSISTENT);
	} else {
		response = MHD_create_response_from_buffer(answer->bytes, answer->text,
							   MHD_RESPMEM_MUST_FREE);
		if (response) /* it owns the text now */
			rg_json_writer_init(answer, false);
	}
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", request->content_type);
	if (request->challenge)
		MHD_add_response_header(response, "WWW-Authenticate", request->challenge);
	if (request->is_last)
		MHD_add_response_header(response, "Connection", "close");
	if (request->allow)
		MHD_add_response_header(response, "Allow", request->allow);
	request->phase = SENDING;
	set_limit(request, true);
	queued = MHD_queue_response(request->connection, request->status, response);
	MHD_destroy_response(response);
	if (options->observe)
		options->observe(options->context, request, rg_web_now_ns());
	return queued;
}

/* ---- who is it ---- */

static void read_address(struct rg_web_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;

	if (address && address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

		memset(request->client_address + 10, 0xff, 2);
		memcpy(request->client_address + 12, &v4->sin_addr, 4);
		request->client_port = ntohs(v4->sin_port);
	} else if (address && address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

		memcpy(request->client_address, &v6->sin6_addr, 16);
		request->client_port = ntohs(v6->sin6_port);
	}
}

/* The common name of a client certificate that the CA vouches for; "" when there is none. */
static void read_common_name(const struct rg_web_request *request, char *name, size_t bytes)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	const gnutls_datum_t *peers;
	gnutls_x509_crt_t certificate;
	unsigned status = 0, count = 0;
	size_t size = bytes;

	name[0] = '\0';
	if (!info || !info->tls_session ||
	    gnutls_certificate_verify_peers2(info->tls_session, &status) || status)
		return;
	peers = gnutls_certificate_get_peers(info->tls_session, &count);
	if (!peers || !count || gnutls_x509_crt_init(&certificate))
		return;
	if (gnutls_x509_crt_import(certificate, peers, GNUTLS_X509_FMT_DER) ||
	    gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
					  &size))
		name[0] = '\0';
	gnutls_x509_crt_deinit(certificate);
}

/* Credentials that are given must be known: nobody falls back to anonymous with a wrong token. */
static bool identify(struct rg_web_request *request)
{
	const struct rg_web_options *options = &request->web->options;
	const char *header = rg_web_header(request, "Authorization");
	char common_name[256];

	request->who = "";
	request->permissions = options->anonymous;
	if (header && rg_access_has_tokens(options->access)) {
		if (strncasecmp(header, "Bearer ", 7))
			return false;
		header += 7 + strspn(header + 7, " ");
		request->permissions =
			rg_access_of_token(options->access, header, strlen(header), &request->who);
		return request->permissions != 0;
	}
	if (!options->client_ca)
		return true;
	read_common_name(request, common_name, sizeof(common_name));
	if (common_name[0])
		request->permissions |=
			rg_access_of_certificate(options->access, common_name, &request->who);
	return true;
}

/* ---- bodies ---- */

static bool append(struct rg_web_request *request, const char *bytes, size_t count)
{
	size_t needed = request->body_bytes + count + 1, capacity = request->body_capacity;
	char *grown;

	if (needed > capacity) {
		while (capacity < needed)
			capacity = capacity ? 2 * capacity : 1024;
		grown = realloc(request->body, capacity);
		if (!grown)
			return false;
		request->body = grown;
		request->body_capacity = capacity;
	}
	memcpy(request->body + request->body_bytes, bytes, count);
	request->body_bytes += count;
	request->body[request->body_bytes] = '\0';
	return true;
}

static void too_large(struct rg_web_request *request)
{
	rg_web_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "invalid_parameter",
		     "the request's body is larger than api.body_bytes_max, %llu bytes",
		     (unsigned long long)request->web->options.body_bytes_max);
}

/* A piece of the body. What is too much is read and dropped, so that the client reads why. */
static void take_body(struct rg_web_request *request, const char *bytes, size_t count)
{
	if (request->phase == REFUSED)
		return;
	if (request->body_bytes + count > request->web->options.body_bytes_max)
		too_large(request);
	else if (!append(request, bytes, count))
		rg_web_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal_error",
			     "out of memory");
	else
		return;
	request->phase = REFUSED;
}

/* Inflate the body in place of itself, up to the bound. False: the answer says why. */
static bool inflate_body(struct rg_web_request *request)
{
	char *compressed = request->body, piece[16384];
	z_stream stream = {.next_in = (Bytef *)compressed, .avail_in = (uInt)request->body_bytes};
	int rc;
	bool fits = true;

	if (inflateInit2(&stream, 15 + 16) != Z_OK) {
		rg_web_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal_error",
			     "out of memory");
		return false;
	}
	request->body = NULL;
	request->body_bytes = request->body_capacity = 0;
	do {
		stream.next_out = (Bytef *)piece;
		stream.avail_out = sizeof(piece);
		rc = inflate(&stream, Z_NO_FLUSH);
		fits = request->body_bytes + (sizeof(piece) - stream.avail_out) <=
		       request->web->options.body_bytes_max;
		if (fits && !append(request, piece, sizeof(piece) - stream.avail_out))
			rc = Z_MEM_ERROR;
	} while (rc == Z_OK && fits);
	inflateEnd(&stream);
	free(compressed);
	if (!fits)
		too_large(request);
	else if (rc != Z_STREAM_END)
		rg_web_error(request, MHD_HTTP_BAD_REQUEST, "invalid_parameter",
			     "could not read gzip'ed body");
	return fits && rc == Z_STREAM_END;
}

/* ---- a request's way ---- */

static enum MHD_Result finish(struct rg_web_request *request, enum rg_web_result result)
{
	return result == RG_WEB_WAIT ? MHD_YES : send_answer(request);
}

/* The headers are there. */
static enum MHD_Result begin(struct rg_web_request *request, struct MHD_Connection *connection,
			     const char *method)
{
	request->connection = connection;
	request->begin_ns = rg_web_now_ns();
	snprintf(request->method, sizeof(request->method), "%s", method);
	request->content_type = RG_WEB_JSON;
	read_address(request);
	if (!identify(request)) {
		request->challenge = "Bearer";
		rg_web_error(request, MHD_HTTP_UNAUTHORIZED, "unauthorized",
			     "request rejected by administrative policy");
		return send_answer(request);
	}
	if (rg_web_header(request, "Transfer-Encoding") &&
	    rg_web_header(request, "Content-Length")) { /* RFC 9112, 6.1: request smuggling */
		request->is_last = true;
		rg_web_error(request, MHD_HTTP_BAD_REQUEST, "invalid_parameter",
			     "a request has either Content-Length or Transfer-Encoding");
		return send_answer(request);
	}
	rg_target_parse(request->uri, &request->target, &request->target_error);
	if (request->target_error.status) {
		rg_web_error(request,
			     request->target_error.status == RG_ELIMIT ? MHD_HTTP_URI_TOO_LONG
								       : MHD_HTTP_BAD_REQUEST,
			     "invalid_parameter", "%s", request->target_error.text);
		return send_answer(request);
	}
	request->web->options.route(request->web->options.context, request);
	if (request->status)
		return send_answer(request);
	return MHD_YES;
}

static enum MHD_Result complete(struct rg_web_request *request)
{
	const char *encoding = rg_web_header(request, "Content-Encoding");

	set_limit(request, false);
	request->handle_ns = rg_web_now_ns();
	if (request->phase == REFUSED)
		return send_answer(request);
	request->phase = READY;
	if (encoding && !strcasecmp(encoding, "gzip") && request->body_bytes &&
	    !inflate_body(request))
		return send_answer(request);
	return finish(request, request->handle(request->context, request));
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload_data,
				  size_t *upload_data_size, void **con_cls)
{
	struct rg_web_request *request = *con_cls;

	if (!request)
		return MHD_NO; /* no memory for it: the connection is closed */
	if (!request->connection)
		return begin(request, connection, method);
	if (*upload_data_size) {
		take_body(request, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	if (request->phase == RESUMED)
		return finish(request, request->then(request->context, request));
	if (request->phase == WAITING || request->phase == SENDING)
		return MHD_YES;
	return complete(request);
}

void rg_web_suspend(struct rg_web_request *request, rg_web_function *then)
{
	request->then = then;
	request->phase = WAITING;
	MHD_suspend_connection(request->connection);
}

void rg_web_resume(struct rg_web_request *request)
{
	request->phase = RESUMED;
	MHD_resume_connection(request->connection);
}

static void free_request(struct rg_web_request *request)
{
	if (!request)
		return;
	if (request->free_state)
		request->free_state(request->state);
	rg_target_free(&request->target);
	rg_json_writer_free(&request->answer);
	free(request->body);
	free(request->uri);
	free(request);
}

/* The request line was read: the request begins its life here, with the URI as it came. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct connection *connection = connection_of(mhd);
	struct rg_web_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->web = cls;
	request->uri = strdup(uri);
	rg_json_writer_init(&request->answer, false);
	if (!request->uri || !connection) {
		free_request(request);
		return NULL;
	}
	free_request(connection->begun); /* refused, and nobody was told */
	connection->begun = request;
	return request;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode why)
{
	struct rg_web_request *request = *con_cls;

	if (!request)
		return;
	if (request->connection)
		set_limit(request, true); /* the next request has as long */
	connection_of(connection)->begun = NULL;
	free_request(request);
	*con_cls = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct rg_web *web = cls;
	struct connection *connection = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

		connection = calloc(1, sizeof(*connection));
		*socket_context = connection;
		if (!connection)
			return; /* MHD's own timeout is left to it */
		*connection = (struct connection){
			.fd = info->connect_fd, .limited = true, .since_ns = rg_web_now_ns()};
		pthread_mutex_lock(&web->lock);
		connection->next = web->connections.next;
		connection->previous = &web->connections;
		connection->next->previous = connection;
		web->connections.next = connection;
		pthread_mutex_unlock(&web->lock);
		atomic_fetch_add_explicit(&web->count, 1, memory_order_relaxed);
	} else if (connection) {
		pthread_mutex_lock(&web->lock);
		connection->next->previous = connection->previous;
		connection->previous->next = connection->next;
		pthread_mutex_unlock(&web->lock);
		atomic_fetch_sub_explicit(&web->count, 1, memory_order_relaxed);
		free_request(connection->begun);
		free(connection);
	}
}

void rg_web_sweep(struct rg_web *web, uint64_t now_ns)
{
	if (now_ns < web->next_sweep_ns)
		return;
	web->next_sweep_ns = now_ns + SWEEP_PERIOD_NS;
	pthread_mutex_lock(&web->lock);
	for (struct connection *at = web->connections.next; at != &web->connections;
	     at = at->next) {
		/* still open: it leaves the list before MHD closes it */
		if (at->limited && now_ns > at->since_ns + web->options.timeout_ns)
			shutdown(at->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&web->lock);
}

/* ---- life ---- */

static int parse_address(const char *listen, struct addrinfo **found, struct rg_error *err)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				       .ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(listen, ':');
	char host[64];
	size_t bytes = colon ? (size_t)(colon - listen) : 0;

	if (bytes >= 2 && listen[0] == '[' && listen[bytes - 1] == ']') {
		listen++;
		bytes -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)bytes, listen);
	if (!bytes || bytes >= sizeof(host) || getaddrinfo(host, colon + 1, &hints, found))
		return rg_error_set(err, RG_EINVAL,
				    "api.listen: write a numeric address and a port, such as "
				    "127.0.0.1:9472 or [::1]:9472");
	return RG_OK;
}

int rg_web_address(const char *listen, bool *is_loopback, struct rg_error *err)
{
	struct addrinfo *found;
	int rc = parse_address(listen, &found, err);

	if (rc)
		return rc;
	if (found->ai_family == AF_INET)
		*is_loopback =
			((const uint8_t *)&((struct sockaddr_in *)found->ai_addr)->sin_addr)[0] ==
			127;
	else
		*is_loopback =
			IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr);
	freeaddrinfo(found);
	return RG_OK;
}

static int open_socket(const char *text, int *out, uint16_t *port, struct rg_error *err)
{
	struct sockaddr_storage bound = {0};
	socklen_t bytes = sizeof(bound);
	struct addrinfo *address;
	int one = 1, fd, rc = parse_address(text, &address, err);

	if (rc)
		return rc;
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, address->ai_addr, address->ai_addrlen) ||
	    listen(fd, LISTEN_BACKLOG) || getsockname(fd, (struct sockaddr *)&bound, &bytes)) {
		rc = rg_error_set_errno(err, errno == EADDRINUSE ? RG_EAGAIN : RG_EIO, errno,
					"api.listen: %s", text);
		if (fd >= 0)
			close(fd);
	} else {
		*out = fd;
		*port = ntohs(bound.ss_family == AF_INET6
				      ? ((struct sockaddr_in6 *)&bound)->sin6_port
				      : ((struct sockaddr_in *)&bound)->sin_port);
	}
	freeaddrinfo(address);
	return rc;
}

/* The URI is taken raw (target.h): MHD must not decode it. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static struct MHD_Daemon *start(struct rg_web *web, int fd)
{
	const struct rg_web_options *options = &web->options;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			 (options->cert ? MHD_USE_TLS : 0);
	struct MHD_OptionItem more[8] = {
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_uri, web},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, web},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, web},
		{MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem tls[5] = {{MHD_OPTION_END, 0, NULL}};

	if (options->cert) {
		tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
						 (void *)(uintptr_t)options->cert};
		tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0,
						 (void *)(uintptr_t)options->private_key};
		tls[2] = (struct MHD_OptionItem){
			MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)(uintptr_t) "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
		tls[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
		if (options->client_ca) {
			tls[3] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0,
							 (void *)(uintptr_t)options->client_ca};
			tls[4] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
		}
	}
	return MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, web, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, options->threads > 1 ? options->threads : 0u,
		MHD_OPTION_CONNECTION_LIMIT,
		options->connections_max > options->threads ? options->connections_max
							    : options->threads,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(options->timeout_ns / 1000000000u),
		MHD_OPTION_ARRAY, more, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int rg_web_new(const struct rg_web_options *options, struct rg_web **out, struct rg_error *err)
{
	struct rg_web *web = calloc(1, sizeof(*web));
	int fd = -1, rc;

	if (!web)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	web->options = *options;
	web->connections.next = web->connections.previous = &web->connections;
	rc = open_socket(options->listen, &fd, &web->port, err);
	if (rc) {
		free(web);
		return rc;
	}
	pthread_mutex_init(&web->lock, NULL);
	web->daemon = start(web, fd);
	if (!web->daemon) {
		close(fd);
		pthread_mutex_destroy(&web->lock);
		free(web);
		return rg_error_set(err, RG_EINVAL, "api: the HTTP server cannot start%s",
				    options->cert ? ": is api.private_key the key of api.cert, "
						    "both in PEM?"
						  : "");
	}
	*out = web;
	return RG_OK;
}

uint16_t rg_web_port(const struct rg_web *web)
{
	return web->port;
}

uint32_t rg_web_connections(const struct rg_web *web)
{
	return atomic_load_explicit(&web->count, memory_order_relaxed);
}

void rg_web_delete(struct rg_web *web)
{
	if (!web)
		return;
	MHD_stop_daemon(web->daemon);
	pthread_mutex_destroy(&web->lock);
	free(web);
}

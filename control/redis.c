/* SPDX-License-Identifier: Apache-2.0 */
#include "control/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PASSWORD_BYTES 1024
#define READ_BYTES     65536

struct rg_redis {
	int fd;
	SSL_CTX *tls_context;
	SSL *tls;      /* NULL: plain */
	bool answered; /* anything */
	char why[160]; /* TLS broke: what the server's alert, or OpenSSL, says; else "" */
	redisReader *reader;
	uint32_t timeout_ms;
};

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int wait_for(const struct rg_redis *redis, short events, uint64_t deadline_ms,
		    struct rg_error *err)
{
	struct pollfd fd = {redis->fd, events, 0};

	for (;;) {
		uint64_t now_ms = monotonic_ms();
		int ready = now_ms < deadline_ms ? poll(&fd, 1, (int)(deadline_ms - now_ms)) : 0;

		if (ready > 0)
			return RG_OK;
		if (!ready)
			return rg_error_set(err, RG_EAGAIN, "no answer within %u ms",
					    redis->timeout_ms);
		if (errno != EINTR)
			return rg_error_set_errno(err, RG_EIO, errno, "poll");
	}
}

static int tls_error(struct rg_error *err, const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	return rg_error_set(err, RG_EIO, "%s: %s", what, text);
}

/* One attempt to read or write. The bytes moved; 0: *events says what to wait for; -1: broken. */
static ssize_t attempt(struct rg_redis *redis, bool writing, void *bytes, size_t count,
		       short *events)
{
	ssize_t n;

	*events = writing ? POLLOUT : POLLIN;
	if (redis->tls) {
		int reason;

		ERR_clear_error();
		n = writing ? SSL_write(redis->tls, bytes, (int)count)
			    : SSL_read(redis->tls, bytes, (int)count);
		if (n > 0)
			return n;
		reason = SSL_get_error(redis->tls, (int)n);
		*events = reason == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
		/* with TLS 1.3 a client's certificate is refused after the handshake */
		if (reason == SSL_ERROR_SSL)
			ERR_error_string_n(ERR_get_error(), redis->why, sizeof(redis->why));
		return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
	}
	n = writing ? send(redis->fd, bytes, count, MSG_NOSIGNAL)
		    : recv(redis->fd, bytes, count, 0);
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int broken(const struct rg_redis *redis, struct rg_error *err)
{
	if (redis->tls && !redis->answered && !redis->why[0]) /* its alert was lost on the way */
		return rg_error_set(
			err, RG_EIO,
			"the connection broke before an answer: does the server accept the "
			"certificate (redis.tls_cert)?");
	return rg_error_set(err, RG_EIO, "the connection broke%s%s", redis->why[0] ? ": TLS: " : "",
			    redis->why);
}

static int send_all(struct rg_redis *redis, char *bytes, size_t count, uint64_t deadline_ms,
		    struct rg_error *err)
{
	while (count) {
		short events;
		ssize_t n =
			attempt(redis, true, bytes, count < (1u << 30) ? count : 1u << 30, &events);

		if (n < 0)
			return broken(redis, err);
		bytes += n;
		count -= (size_t)n;
		if (!n && wait_for(redis, events, deadline_ms, err))
			return err->status;
	}
	return RG_OK;
}

/* Take what has come to the reader; *events: what to wait for before the next attempt, 0: none. */
static int receive(struct rg_redis *redis, short *events, struct rg_error *err)
{
	char bytes[READ_BYTES];
	ssize_t n = attempt(redis, false, bytes, sizeof(bytes), events);

	if (n < 0)
		return broken(redis, err);
	if (n > 0) {
		*events = 0;
		redis->answered = true;
		redisReaderFeed(redis->reader, bytes, (size_t)n);
	}
	return RG_OK;
}

/* A whole reply that has come, or NULL. */
static int next_reply(struct rg_redis *redis, redisReply **reply, struct rg_error *err)
{
	void *object = NULL;

	if (redisReaderGetReply(redis->reader, &object) != REDIS_OK)
		return rg_error_set(err, RG_EIO, "what came is no Redis: %s",
				    redis->reader->errstr);
	*reply = object;
	return RG_OK;
}

static int wait_for_reply(struct rg_redis *redis, redisReply **reply, uint64_t deadline_ms,
			  struct rg_error *err)
{
	short events;
	int rc = next_reply(redis, reply, err);

	while (!rc && !*reply) {
		rc = receive(redis, &events, err);
		if (!rc && events)
			rc = wait_for(redis, events, deadline_ms, err);
		if (!rc)
			rc = next_reply(redis, reply, err);
	}
	return rc;
}

int rg_redis_command(struct rg_redis *redis, int count, const char **words, const size_t *lengths,
		     redisReply **reply, struct rg_error *err)
{
	uint64_t deadline_ms = monotonic_ms() + redis->timeout_ms;
	char *bytes;
	int byte_count = (int)redisFormatCommandArgv(&bytes, count, words, lengths), rc;

	*reply = NULL;
	if (byte_count < 0)
		return rg_error_set(err, RG_ENOMEM, "out of memory for a Redis command");
	rc = send_all(redis, bytes, (size_t)byte_count, deadline_ms, err);
	redisFreeCommand(bytes);
	if (!rc)
		rc = wait_for_reply(redis, reply, deadline_ms, err);
	if (rc)
		return rg_error_prefix(err, "Redis: %s", words[0]);
	if ((*reply)->type == REDIS_REPLY_ERROR) {
		rc = rg_error_set(err, RG_EINVAL, "Redis: %s: %s", words[0], (*reply)->str);
		freeReplyObject(*reply);
		*reply = NULL;
	}
	return rc;
}

int rg_redis_message(struct rg_redis *redis, redisReply **message, struct rg_error *err)
{
	short events = 0;
	int rc = next_reply(redis, message, err);

	while (!rc && !*message && !events) {
		rc = receive(redis, &events, err);
		if (!rc)
			rc = next_reply(redis, message, err);
	}
	if (!rc && !*message)
		return RG_EAGAIN;
	return rc;
}

int rg_redis_fd(const struct rg_redis *redis)
{
	return redis->fd;
}

/* ---- connecting ---- */

static int finish_connect(struct rg_redis *redis, uint64_t deadline_ms, struct rg_error *err)
{
	socklen_t bytes = sizeof(int);
	int failed = 0, rc = wait_for(redis, POLLOUT, deadline_ms, err);

	if (!rc && (getsockopt(redis->fd, SOL_SOCKET, SO_ERROR, &failed, &bytes) || failed))
		rc = rg_error_set_errno(err, RG_EIO, failed, "cannot connect");
	return rc;
}

static int connect_to(struct rg_redis *redis, const struct sockaddr *address, socklen_t bytes,
		      uint64_t deadline_ms, struct rg_error *err)
{
	int on = 1, rc = RG_OK;

	redis->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (redis->fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "socket");
	if (address->sa_family != AF_UNIX)
		setsockopt(redis->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(redis->fd, address, bytes))
		rc = errno == EINPROGRESS
			     ? finish_connect(redis, deadline_ms, err)
			     : rg_error_set_errno(err, RG_EIO, errno, "cannot connect");
	if (rc) {
		close(redis->fd);
		redis->fd = -1;
	}
	return rc;
}

static int connect_unix(struct rg_redis *redis, const char *path, uint64_t deadline_ms,
			struct rg_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return rg_error_set(err, RG_ELIMIT, "the path is too long for a socket");
	strcpy(address.sun_path, path);
	return connect_to(redis, (struct sockaddr *)&address, sizeof(address), deadline_ms, err);
}

static int connect_tcp(struct rg_redis *redis, const struct rg_redis_options *options,
		       uint64_t deadline_ms, struct rg_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	char port[8];
	int failed, rc = RG_EIO;

	snprintf(port, sizeof(port), "%u", options->port);
	failed = getaddrinfo(options->host, port, &hints, &list);
	if (failed)
		return rg_error_set(err, RG_EIO, "%s", gai_strerror(failed));
	for (struct addrinfo *at = list; at && rc; at = at->ai_next)
		rc = connect_to(redis, at->ai_addr, at->ai_addrlen, deadline_ms, err);
	freeaddrinfo(list);
	return rc;
}

static int prepare_tls(struct rg_redis *redis, const struct rg_redis_options *options,
		       struct rg_error *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	redis->tls_context = context;
	if (!context)
		return tls_error(err, "TLS");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (options->tls_ca[0] ? !SSL_CTX_load_verify_locations(context, options->tls_ca, NULL)
			       : !SSL_CTX_set_default_verify_paths(context))
		return tls_error(err, "redis.tls_ca");
	if (options->tls_cert[0] &&
	    (!SSL_CTX_use_certificate_chain_file(context, options->tls_cert) ||
	     !SSL_CTX_use_PrivateKey_file(context, options->tls_key, SSL_FILETYPE_PEM)))
		return tls_error(err, "redis.tls_cert, redis.tls_key");
	redis->tls = SSL_new(context);
	if (!redis->tls || !SSL_set_fd(redis->tls, redis->fd) ||
	    !SSL_set_tlsext_host_name(redis->tls, options->host) ||
	    (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(redis->tls), options->host) &&
	     !SSL_set1_host(redis->tls, options->host)))
		return tls_error(err, "TLS");
	return RG_OK;
}

static int start_tls(struct rg_redis *redis, const struct rg_redis_options *options,
		     uint64_t deadline_ms, struct rg_error *err)
{
	int rc = prepare_tls(redis, options, err), done = 0;

	while (!rc && (done = SSL_connect(redis->tls)) != 1) {
		int reason = SSL_get_error(redis->tls, done);

		if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
			rc = wait_for(redis, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT,
				      deadline_ms, err);
		else
			rc = tls_error(err, "TLS handshake");
	}
	return rc;
}

static int read_password(const char *path, char password[static PASSWORD_BYTES],
			 struct rg_error *err)
{
	FILE *file = fopen(path, "re");
	bool read = file && fgets(password, PASSWORD_BYTES, file);

	if (!read)
		rg_error_set_errno(err, RG_EIO, file ? ENODATA : errno, "redis.password_file %s",
				   path);
	if (file)
		fclose(file);
	if (read)
		password[strcspn(password, "\r\n")] = '\0';
	return read ? RG_OK : RG_EIO;
}

static int log_in(struct rg_redis *redis, const struct rg_redis_options *options,
		  struct rg_error *err)
{
	char password[PASSWORD_BYTES], database[16];
	const char *auth[3] = {"AUTH", options->username, password};
	const char *select[2] = {"SELECT", database};
	redisReply *reply = NULL;
	int rc = RG_OK;

	if (options->password_file[0]) {
		rc = read_password(options->password_file, password, err);
		if (!options->username[0])
			auth[1] = password;
		if (!rc)
			rc = rg_redis_command(redis, options->username[0] ? 3 : 2, auth, NULL,
					      &reply, err);
		explicit_bzero(password, sizeof(password));
		freeReplyObject(reply);
	}
	if (rc || !options->database)
		return rc;
	snprintf(database, sizeof(database), "%u", options->database);
	rc = rg_redis_command(redis, 2, select, NULL, &reply, err);
	freeReplyObject(reply);
	return rc;
}

int rg_redis_connect(const struct rg_redis_options *options, struct rg_redis **out,
		     struct rg_error *err)
{
	struct rg_redis *redis = calloc(1, sizeof(*redis));
	uint64_t deadline_ms = monotonic_ms() + options->timeout_ms;
	int rc = RG_OK;

	if (!redis)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	redis->fd = -1;
	redis->timeout_ms = options->timeout_ms;
	redis->reader = redisReaderCreate();
	if (!redis->reader)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory");
	if (!rc)
		rc = options->host[0] == '/' ? connect_unix(redis, options->host, deadline_ms, err)
					     : connect_tcp(redis, options, deadline_ms, err);
	if (!rc && options->tls)
		rc = start_tls(redis, options, deadline_ms, err);
	if (!rc)
		rc = log_in(redis, options, err);
	if (rc) {
		rg_redis_close(redis);
		return rg_error_prefix(err, "Redis at %s:%u", options->host, options->port);
	}
	*out = redis;
	return RG_OK;
}

void rg_redis_close(struct rg_redis *redis)
{
	if (!redis)
		return;
	SSL_free(redis->tls);
	SSL_CTX_free(redis->tls_context);
	if (redis->fd >= 0)
		close(redis->fd);
	if (redis->reader)
		redisReaderFree(redis->reader);
	free(redis);
}

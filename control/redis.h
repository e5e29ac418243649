/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to a Redis server: commands and their replies, each bounded in time; TLS and
 * passwords. hiredis makes the commands and reads the replies; the transport is here, because the
 * hiredis of Debian 12 knows no TLS.
 *
 * After an error of the transport (RG_EIO, RG_EAGAIN) a connection is of no use but to be closed.
 *
 * Thread-safety: a connection belongs to one thread, which waits in these calls.
 */
#ifndef RG_CONTROL_REDIS_H
#define RG_CONTROL_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct rg_redis_options {
	const char *host; /* a name, an address, or the path of a unix socket */
	uint16_t port;
	const char *username;	   /* "": none */
	const char *password_file; /* "": none; its first line, read at each connect */
	uint32_t database;
	bool tls;
	const char *tls_ca;		/* "": the system's */
	const char *tls_cert, *tls_key; /* of the client; "": none */
	uint32_t timeout_ms;		/* of a connect and of each command */
};

struct rg_redis;

/* Connect, authenticate and select the database. Errors: RG_EIO (nobody there, TLS, password file),
 * RG_EAGAIN (in time), RG_EINVAL (the server refuses, with its words). */
int rg_redis_connect(const struct rg_redis_options *options, struct rg_redis **redis,
		     struct rg_error *err);
void rg_redis_close(struct rg_redis *redis); /* NULL is allowed */

/* Send a command of `count` words and wait for its reply (freeReplyObject()). lengths NULL: the words
 * are C strings. RG_EINVAL: the server answered with an error, which is the text. */
int rg_redis_command(struct rg_redis *redis, int count, const char **words, const size_t *lengths,
		     redisReply **reply, struct rg_error *err);

/* The next message that the server sends by itself, after a SUBSCRIBE. RG_EAGAIN: none now. */
int rg_redis_message(struct rg_redis *redis, redisReply **message, struct rg_error *err);
/* Readable when there may be a message. */
int rg_redis_fd(const struct rg_redis *redis);

#endif

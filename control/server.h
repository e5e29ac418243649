/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unix socket of riskctl: one JSON object a line, each way. A request may be answered at once
 * or later (a push waits for the data plane); answers of one client leave in the order of its
 * requests.
 *
 * Hostile and slow clients are bounded: connections, length of a line, bytes not yet taken by the
 * client, and idle time. Stepped by control's loop; never waits.
 *
 * Thread-safety: a server belongs to one thread.
 */
#ifndef RG_CONTROL_SERVER_H
#define RG_CONTROL_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define RG_SERVER_CLIENTS_MAX	 64
#define RG_SERVER_LINE_BYTES_MAX (1u << 20)
#define RG_SERVER_IDLE_NS	 (600ull * 1000000000)

struct rg_server;

/* One request line (without its newline). `ticket` names the request until it is answered. The
 * handler answers now or later by rg_server_answer(). */
struct rg_server_request {
	uint64_t ticket;
	const char *line;
	size_t bytes;
	uid_t uid; /* of the peer, from the kernel (SO_PEERCRED) */
	pid_t pid;
	/* The identity of a client of the HTTP API, "" when it has none; uid is then -1. NULL: uid is
	 * who it is. */
	const char *who;
};
typedef void (*rg_server_handler)(void *context, const struct rg_server_request *request);

/* Listen on path, mode 0660; a stale socket file (nobody listens) is replaced, a live one is
 * RG_ECONFLICT naming the key control.socket. */
int rg_server_new(const char *path, rg_server_handler handler, void *context,
		  struct rg_server **server, struct rg_error *err);
/* Remove the socket file, close all. NULL is allowed. */
void rg_server_delete(struct rg_server *server);
/* A file descriptor that becomes readable when do_work() has something to do (an epoll instance).
 */
int rg_server_fd(const struct rg_server *server);
/* Accept, read lines, call the handler, write answers. At most RG_SERVER_CLIENTS_MAX requests a
 * turn. Returns the work done. now_ns: CLOCK_MONOTONIC. */
int rg_server_do_work(struct rg_server *server, uint64_t now_ns);
/* Answer a request with one JSON document (no newline in it). Unknown tickets (the client went
 * away) are ignored. */
void rg_server_answer(struct rg_server *server, uint64_t ticket, const char *json, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES	 16384
#define OUTPUT_BYTES_MAX (64u << 20) /* answers a client has not taken; then it is dropped */
#define PENDING_MAX	 256	     /* requests of one client that wait for their answers */
#define EVENTS_MAX	 32
#define LISTENER	 UINT32_MAX
#define ACCEPT_PAUSE_NS	 (200ull * 1000000) /* without descriptors */

/* Answers leave in the order of requests: each request has a place in this queue from the start. */
struct pending {
	uint64_t ticket;
	char *answer; /* NULL until answered; with its newline */
	size_t bytes;
};

struct client {
	int fd;		  /* -1: free */
	uint64_t last_ns; /* of the last byte either way */
	uid_t uid;
	pid_t pid;
	bool closing;	   /* no more is read: answer what is there, then close */
	uint32_t interest; /* what epoll watches for */
	char *input;
	size_t input_bytes, input_capacity;
	char *output;
	size_t output_bytes, output_capacity;
	struct pending pending[PENDING_MAX];
	uint32_t pending_first, pending_count;
};

struct rg_server {
	int epoll_fd, listen_fd;
	rg_server_handler handler;
	void *context;
	uint64_t next_ticket;
	uint64_t now_ns;
	uint64_t resume_ns; /* when to listen again; 0: listening */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct client clients[RG_SERVER_CLIENTS_MAX];
};

static const char too_long[] =
	"{\"ok\":false,\"error\":\"request longer than 1 MiB\",\"status\":\"limit\"}";
/* ---- listening ---- */

/* Does somebody accept connections at address? */
static bool is_live(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool live = fd >= 0 && !connect(fd, (const struct sockaddr *)address, sizeof(*address));

	if (fd >= 0)
		close(fd);
	return live;
}

static int listen_at(struct rg_server *server, struct rg_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = server->path;
	struct stat at;

	strcpy(address.sun_path, path);
	if (!lstat(path, &at)) {
		if (!S_ISSOCK(at.st_mode))
			return rg_error_set(
				err, RG_ECONFLICT,
				"control.socket: %s is there and is not a socket: remove "
				"it or choose another path",
				path);
		if (is_live(&address))
			return rg_error_set(err, RG_ECONFLICT,
					    "control.socket: another process serves %s: stop it or "
					    "choose another path",
					    path);
		unlink(path);
	}
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listen_fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno,
					  "control.socket: cannot make a socket");
	if (bind(server->listen_fd, (const struct sockaddr *)&address, sizeof(address)))
		return rg_error_set_errno(err, RG_EIO, errno, "control.socket: cannot bind %s",
					  path);
	if (chmod(path, 0660) || listen(server->listen_fd, RG_SERVER_CLIENTS_MAX))
		return rg_error_set_errno(err, RG_EIO, errno, "control.socket: cannot listen at %s",
					  path);
	return RG_OK;
}

static int watch(struct rg_server *server, int operation, int fd, uint32_t events, uint32_t id)
{
	struct epoll_event event = {.events = events, .data.u32 = id};

	return epoll_ctl(server->epoll_fd, operation, fd, &event);
}

int rg_server_new(const char *path, rg_server_handler handler, void *context,
		  struct rg_server **out, struct rg_error *err)
{
	struct rg_server *server;
	int status;

	if (!path[0] || strlen(path) >= sizeof(server->path))
		return rg_error_set(err, RG_EINVAL,
				    "control.socket: \"%s\" must be a path of 1 to %zu bytes", path,
				    sizeof(server->path) - 1);
	server = calloc(1, sizeof(*server));
	if (!server)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	strcpy(server->path, path);
	server->handler = handler;
	server->context = context;
	server->next_ticket = 1;
	server->listen_fd = -1;
	for (uint32_t i = 0; i < RG_SERVER_CLIENTS_MAX; i++)
		server->clients[i].fd = -1;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll_fd < 0)
		status = rg_error_set_errno(err, RG_EIO, errno, "control.socket: epoll_create1");
	else
		status = listen_at(server, err);
	if (!status && watch(server, EPOLL_CTL_ADD, server->listen_fd, EPOLLIN, LISTENER))
		status = rg_error_set_errno(err, RG_EIO, errno, "control.socket: epoll_ctl");
	if (status) {
		if (server->listen_fd >= 0)
			close(server->listen_fd);
		if (server->epoll_fd >= 0)
			close(server->epoll_fd);
		free(server);
		return status;
	}
	*out = server;
	return RG_OK;
}

int rg_server_fd(const struct rg_server *server)
{
	return server->epoll_fd;
}

/* ---- clients ---- */

static void drop(struct client *client)
{
	for (uint32_t i = 0; i < client->pending_count; i++)
		free(client->pending[(client->pending_first + i) % PENDING_MAX].answer);
	free(client->input);
	free(client->output);
	close(client->fd); /* epoll forgets it */
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

void rg_server_delete(struct rg_server *server)
{
	if (!server)
		return;
	for (uint32_t i = 0; i < RG_SERVER_CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0)
			drop(&server->clients[i]);
	unlink(server->path);
	close(server->listen_fd);
	close(server->epoll_fd);
	free(server);
}

static struct client *free_client(struct rg_server *server)
{
	for (uint32_t i = 0; i < RG_SERVER_CLIENTS_MAX; i++)
		if (server->clients[i].fd < 0)
			return &server->clients[i];
	return NULL;
}

/* Out of descriptors or memory the listener stays readable, and a loop that goes on asking spins: leave it alone for a while.
 * Who connects meanwhile waits in the backlog. */
static void pause_listening(struct rg_server *server, bool pause)
{
	if (!watch(server, EPOLL_CTL_MOD, server->listen_fd, pause ? 0 : EPOLLIN, LISTENER))
		server->resume_ns = pause ? server->now_ns + ACCEPT_PAUSE_NS : 0;
}

static bool is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static int accept_clients(struct rg_server *server)
{
	int accepted = 0;

	for (; accepted < RG_SERVER_CLIENTS_MAX; accepted++) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct client *client = fd < 0 ? NULL : free_client(server);
		struct ucred peer = {.uid = (uid_t)-1};
		socklen_t bytes = sizeof(peer);

		if (fd < 0) {
			if (is_exhausted(errno))
				pause_listening(server, true);
			break;
		}
		if (!client || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) ||
		    watch(server, EPOLL_CTL_ADD, fd, EPOLLIN,
			  (uint32_t)(client - server->clients))) {
			close(fd);
			continue;
		}
		client->fd = fd;
		client->uid = peer.uid;
		client->pid = peer.pid;
		client->last_ns = server->now_ns;
		client->interest = EPOLLIN;
	}
	return accepted;
}

/* Room for `more` bytes behind `bytes`. */
static bool grow(char **text, size_t *capacity, size_t bytes, size_t more)
{
	size_t wanted = *capacity ? *capacity : READ_BYTES;
	char *grown;

	while (wanted < bytes + more)
		wanted *= 2;
	if (wanted == *capacity)
		return true;
	grown = realloc(*text, wanted);
	if (!grown)
		return false;
	*text = grown;
	*capacity = wanted;
	return true;
}

/* Take finished answers from the front of the queue into the output. */
static bool collect(struct client *client)
{
	while (client->pending_count && client->pending[client->pending_first].answer) {
		struct pending *first = &client->pending[client->pending_first];

		if (client->output_bytes + first->bytes > OUTPUT_BYTES_MAX ||
		    !grow(&client->output, &client->output_capacity, client->output_bytes,
			  first->bytes))
			return false;
		memcpy(client->output + client->output_bytes, first->answer, first->bytes);
		client->output_bytes += first->bytes;
		free(first->answer);
		client->pending_first = (client->pending_first + 1) % PENDING_MAX;
		client->pending_count--;
	}
	return true;
}

/* Write what can be written. False: the client is gone or too slow. */
static bool send_output(struct rg_server *server, struct client *client)
{
	size_t sent = 0;

	if (!collect(client))
		return false;
	while (sent < client->output_bytes) {
		ssize_t n = send(client->fd, client->output + sent, client->output_bytes - sent,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		sent += (size_t)n;
		client->last_ns = server->now_ns;
	}
	if (sent)
		memmove(client->output, client->output + sent, client->output_bytes - sent);
	client->output_bytes -= sent;
	return true;
}

/* Watch for what the client can make progress with, and nothing else: a level-triggered event that
 * leads nowhere is a busy loop. */
static bool update_interest(struct rg_server *server, struct client *client)
{
	bool answered = client->pending_count && client->pending[client->pending_first].answer;
	uint32_t wanted = 0;

	if (!client->closing && client->pending_count < PENDING_MAX &&
	    client->input_bytes <= RG_SERVER_LINE_BYTES_MAX)
		wanted |= EPOLLIN;
	if (client->output_bytes || answered)
		wanted |= EPOLLOUT;
	if (wanted == client->interest)
		return true;
	client->interest = wanted;
	return !watch(server, EPOLL_CTL_MOD, client->fd, wanted,
		      (uint32_t)(client - server->clients));
}

static bool set_answer(struct pending *pending, const char *json, size_t bytes)
{
	pending->answer = malloc(bytes + 1);
	if (!pending->answer)
		return false;
	memcpy(pending->answer, json, bytes);
	pending->answer[bytes] = '\n';
	pending->bytes = bytes + 1;
	return true;
}

/* Enter a request at the end of the client's queue, which has room. */
static struct pending *enqueue(struct rg_server *server, struct client *client)
{
	struct pending *pending =
		&client->pending[(client->pending_first + client->pending_count++) % PENDING_MAX];

	*pending = (struct pending){.ticket = server->next_ticket++};
	return pending;
}

/* Hand complete lines to the handler for as long as the queue has room. Returns how many. */
static int take_lines(struct rg_server *server, struct client *client)
{
	size_t from = 0;
	int requests = 0;

	while (client->pending_count < PENDING_MAX && from < client->input_bytes) {
		char *line = client->input + from;
		char *newline = memchr(line, '\n', client->input_bytes - from);

		if (!newline)
			break;
		from = (size_t)(newline + 1 - client->input);
		if (newline == line)
			continue;
		requests++;
		server->handler(server->context, &(struct rg_server_request){
							 .ticket = enqueue(server, client)->ticket,
							 .line = line,
							 .bytes = (size_t)(newline - line),
							 .uid = client->uid,
							 .pid = client->pid,
						 });
	}
	if (from)
		memmove(client->input, client->input + from, client->input_bytes - from);
	client->input_bytes -= from;
	return requests;
}

/* A line that will not end: say so and read no more. False: out of memory. */
static bool refuse_long_line(struct rg_server *server, struct client *client)
{
	if (client->input_bytes <= RG_SERVER_LINE_BYTES_MAX ||
	    client->pending_count == PENDING_MAX ||
	    memchr(client->input, '\n', client->input_bytes))
		return true;
	client->closing = true;
	client->input_bytes = 0;
	return set_answer(enqueue(server, client), too_long, strlen(too_long));
}

/* Read what is there. False: the client is gone. */
static bool receive(struct rg_server *server, struct client *client)
{
	while (!client->closing && client->input_bytes <= RG_SERVER_LINE_BYTES_MAX) {
		ssize_t n;

		if (!grow(&client->input, &client->input_capacity, client->input_bytes, READ_BYTES))
			return false;
		n = recv(client->fd, client->input + client->input_bytes, READ_BYTES, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		client->closing = n == 0; /* it may still take answers */
		client->input_bytes += (size_t)n;
		client->last_ns = server->now_ns;
	}
	return true;
}

/* Closing, and nothing is left that could still be answered. */
static bool is_finished(const struct client *client)
{
	return client->closing && !client->pending_count && !client->output_bytes &&
	       (!client->input_bytes || !memchr(client->input, '\n', client->input_bytes));
}

static int serve(struct rg_server *server, struct client *client, uint32_t events)
{
	bool alive = !(events & (EPOLLERR | EPOLLHUP)); /* HUP: it takes no answers either */
	int requests, total = 0;

	if (alive && events & EPOLLIN)
		alive = receive(server, client);
	do { /* each answer that leaves makes room for another line */
		requests = alive ? take_lines(server, client) : 0;
		total += requests;
		alive = alive && refuse_long_line(server, client) && send_output(server, client);
	} while (requests);
	if (!alive || is_finished(client) || !update_interest(server, client))
		drop(client);
	return total + 1;
}

static void drop_idle(struct rg_server *server)
{
	for (uint32_t i = 0; i < RG_SERVER_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->fd >= 0 && !client->pending_count &&
		    server->now_ns - client->last_ns > RG_SERVER_IDLE_NS)
			drop(client);
	}
}

int rg_server_do_work(struct rg_server *server, uint64_t now_ns)
{
	struct epoll_event events[EVENTS_MAX];
	int count, work = 0;

	server->now_ns = now_ns;
	count = epoll_wait(server->epoll_fd, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++) {
		uint32_t id = events[i].data.u32;

		if (id == LISTENER)
			work += accept_clients(server);
		else if (server->clients[id].fd >= 0)
			work += serve(server, &server->clients[id], events[i].events);
	}
	if (server->resume_ns && now_ns >= server->resume_ns)
		pause_listening(server, false);
	drop_idle(server);
	return work;
}

void rg_server_answer(struct rg_server *server, uint64_t ticket, const char *json, size_t bytes)
{
	for (uint32_t i = 0; i < RG_SERVER_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		for (uint32_t k = 0; client->fd >= 0 && k < client->pending_count; k++) {
			struct pending *pending =
				&client->pending[(client->pending_first + k) % PENDING_MAX];

			if (pending->ticket != ticket)
				continue;
			if (pending->answer || !set_answer(pending, json, bytes))
				return;
			/* It leaves at the next turn: a handler may answer while its lines are
			 * being taken. */
			update_interest(server, client);
			return;
		}
	}
}

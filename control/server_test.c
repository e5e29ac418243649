/* SPDX-License-Identifier: Apache-2.0 */
#include "control/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char path[64];
static uint64_t clock_ns;

/* What the handler does: "echo X" answers X now, "later X" keeps the ticket. */
struct played {
	struct rg_server *server;
	uint64_t kept[512];
	unsigned kept_count, requests;
	size_t longest;
};

static void handle(void *context, const struct rg_server_request *request)
{
	struct played *played = context;

	played->requests++;
	if (request->bytes > played->longest)
		played->longest = request->bytes;
	assert(request->uid == getuid() && request->pid == getpid());
	if (request->bytes > 5 && !memcmp(request->line, "echo ", 5))
		rg_server_answer(played->server, request->ticket, request->line + 5,
				 request->bytes - 5);
	else
		played->kept[played->kept_count++] = request->ticket;
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	assert(fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)));
	assert(!fcntl(fd, F_SETFL, O_NONBLOCK));
	return fd;
}

static void turn(struct played *played)
{
	for (int i = 0; i < 20; i++)
		rg_server_do_work(played->server, clock_ns);
}

static void say(struct played *played, int fd, const char *text, size_t bytes)
{
	while (bytes) {
		ssize_t n = send(fd, text, bytes, MSG_NOSIGNAL);

		assert(n > 0 || errno == EAGAIN);
		if (n > 0) {
			text += n;
			bytes -= (size_t)n;
		}
		rg_server_do_work(played->server, clock_ns);
	}
	turn(played);
}

static void say_text(struct played *played, int fd, const char *text)
{
	say(played, fd, text, strlen(text));
}

static void expect(struct played *played, int fd, const char *want)
{
	char got[4096];
	size_t n = 0;

	turn(played);
	for (;;) {
		ssize_t part = recv(fd, got + n, sizeof(got) - 1 - n, 0);

		if (part <= 0)
			break;
		n += (size_t)part;
	}
	got[n] = '\0';
	if (strcmp(got, want)) {
		fprintf(stderr, "got %s\nwant %s\n", got, want);
		abort();
	}
}

static bool closed_by_server(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) == 0;
}

static void open_server(struct played *played)
{
	struct rg_error err;

	*played = (struct played){0};
	assert(rg_server_new(path, handle, played, &played->server, &err) == RG_OK);
}

static void test_order(void)
{
	struct played played;
	int fd, other;

	open_server(&played);
	fd = dial();
	other = dial();
	say_text(&played, fd, "echo 1\n\necho 2\nlater\necho 3\nlater\nec");
	expect(&played, fd, "1\n2\n");
	assert(played.kept_count == 2);
	say_text(&played, other, "echo x\n");
	expect(&played, other, "x\n");
	rg_server_answer(played.server, played.kept[1], "5", 1);
	expect(&played, fd, "");
	say_text(&played, fd, "ho 6\n");
	rg_server_answer(played.server, played.kept[0], "4?", 2);
	rg_server_answer(played.server, played.kept[0], "twice", 5); /* ignored */
	expect(&played, fd, "4?\n3\n5\n6\n");
	rg_server_answer(played.server, 987654, "nobody", 6);
	close(fd);
	close(other);
	turn(&played);
	rg_server_delete(played.server);
	assert(access(path, F_OK));
}

static void test_client_gone(void)
{
	struct played played;
	int fd;

	open_server(&played);
	fd = dial();
	say_text(&played, fd, "later\n");
	close(fd);
	turn(&played);
	rg_server_answer(played.server, played.kept[0], "too late", 8);
	turn(&played);
	fd = dial(); /* shut for writing: still gets its answer, then the end */
	say_text(&played, fd, "later\necho 2\n");
	shutdown(fd, SHUT_WR);
	turn(&played);
	rg_server_answer(played.server, played.kept[1], "1", 1);
	expect(&played, fd, "1\n2\n");
	assert(closed_by_server(fd));
	close(fd);
	rg_server_delete(played.server);
}

static void test_bounds(void)
{
	static char line[RG_SERVER_LINE_BYTES_MAX + 100];
	struct played played;
	int fd, fds[RG_SERVER_CLIENTS_MAX + 1];

	open_server(&played);
	memset(line, 'x', sizeof(line));
	fd = dial();
	line[RG_SERVER_LINE_BYTES_MAX - 1] = '\n'; /* the longest line there may be */
	say(&played, fd, line, RG_SERVER_LINE_BYTES_MAX);
	assert(played.kept_count == 1 && played.longest == RG_SERVER_LINE_BYTES_MAX - 1);
	rg_server_answer(played.server, played.kept[0], "long", 4);
	expect(&played, fd, "long\n");
	line[RG_SERVER_LINE_BYTES_MAX - 1] = 'x';
	say(&played, fd, line, RG_SERVER_LINE_BYTES_MAX + 100);
	expect(&played, fd,
	       "{\"ok\":false,\"error\":\"request longer than 1 MiB\",\"status\":\"limit\"}\n");
	assert(closed_by_server(fd));
	close(fd);
	turn(&played);

	for (int i = 0; i <= RG_SERVER_CLIENTS_MAX; i++) {
		fds[i] = dial();
		turn(&played);
	}
	assert(closed_by_server(fds[RG_SERVER_CLIENTS_MAX]));
	say_text(&played, fds[3], "echo in\n");
	expect(&played, fds[3], "in\n");
	clock_ns += RG_SERVER_IDLE_NS;
	say_text(&played, fds[3], "later\n");
	clock_ns += 1; /* all but client 3 have been idle for too long */
	turn(&played);
	assert(closed_by_server(fds[0]) && !closed_by_server(fds[3]));
	for (int i = 0; i <= RG_SERVER_CLIENTS_MAX; i++)
		close(fds[i]);
	rg_server_delete(played.server);
}

/* More requests than may wait at once, in one write: none is lost, all in order. */
static void test_pipeline(void)
{
	struct played played;
	char text[4096], want[4096];
	size_t asked = 0, wanted = 0;
	int fd;

	open_server(&played);
	fd = dial();
	for (int i = 0; i < 400; i++) {
		asked += (size_t)snprintf(text + asked, sizeof(text) - asked, "echo %d\n", i);
		wanted += (size_t)snprintf(want + wanted, sizeof(want) - wanted, "%d\n", i);
	}
	assert(send(fd, text, asked, 0) == (ssize_t)asked);
	expect(&played, fd, want);
	assert(played.requests == 400);
	for (int i = 0; i < 300; i++)
		memcpy(text + 6 * i, "later\n", 6);
	say(&played, fd, text, 1800);
	assert(played.kept_count == 256); /* the rest stays in the socket or the buffer */
	for (unsigned i = 0; i < played.kept_count; i++) {
		rg_server_answer(played.server, played.kept[i], "k", 1);
		turn(&played);
	}
	assert(played.kept_count == 300);
	close(fd);
	rg_server_delete(played.server);
}

/* A client that asks and does not read: others are served, it is dropped when its answers pile up.
 */
static void test_slow_reader(void)
{
	static char big[1 << 20];
	struct played played;
	int fd, other;

	open_server(&played);
	memset(big, 'y', sizeof(big));
	fd = dial();
	other = dial();
	for (int i = 0; i < 100; i++) {
		played.kept_count = 0;
		if (send(fd, "later\n", 6, MSG_NOSIGNAL) != 6)
			break;
		turn(&played);
		if (!played.kept_count)
			break;
		rg_server_answer(played.server, played.kept[0], big, sizeof(big));
		turn(&played);
	}
	assert(send(fd, "later\n", 6, MSG_NOSIGNAL) < 0); /* it was dropped */
	say_text(&played, other, "echo fine\n");
	expect(&played, other, "fine\n");
	close(fd);
	close(other);
	rg_server_delete(played.server);
}

static void test_random_clients(void)
{
	struct played played;
	unsigned seed = 20261122;

	printf("seed %u\n", seed);
	srand(seed);
	open_server(&played);
	for (int round = 0; round < 300; round++) {
		char noise[512];
		int fd = dial();
		size_t n = (size_t)rand() % sizeof(noise);

		for (size_t i = 0; i < n; i++)
			noise[i] = (char)(rand() % 8 ? rand() % 256 : '\n');
		played.kept_count = 0;
		say(&played, fd, noise, n);
		for (unsigned i = 0; i < played.kept_count; i++)
			if (rand() % 2)
				rg_server_answer(played.server, played.kept[i], "{}", 2);
		if (rand() % 2)
			turn(&played);
		close(fd);
	}
	rg_server_delete(played.server);
}

static bool is_woken(const struct played *played)
{
	struct pollfd ready = {.fd = rg_server_fd(played->server), .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

/* Without a descriptor to accept with, the loop is not woken again and again; later the client
 * is served. */
static void test_no_descriptors(void)
{
	struct rlimit before, full;
	struct played played;
	int fd, last;

	open_server(&played);
	fd = dial();
	last = dup(fd); /* all descriptors below it are in use */
	assert(last > 0 && !getrlimit(RLIMIT_NOFILE, &before));
	close(last);
	full = before;
	full.rlim_cur = (rlim_t)last;
	assert(!setrlimit(RLIMIT_NOFILE, &full));
	assert(is_woken(&played));
	rg_server_do_work(played.server, clock_ns);
	assert(!is_woken(&played));
	clock_ns += 1000000000;
	rg_server_do_work(played.server, clock_ns); /* it tries again */
	assert(is_woken(&played));
	rg_server_do_work(played.server, clock_ns);
	assert(!is_woken(&played));
	assert(!setrlimit(RLIMIT_NOFILE, &before));
	clock_ns += 1000000000;
	say_text(&played, fd, "echo here\n");
	expect(&played, fd, "here\n");
	close(fd);
	rg_server_delete(played.server);
}

static void test_paths(void)
{
	struct rg_server *server, *second;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rg_error err;
	struct stat at;
	char longer[300];
	int fd;

	memset(longer, 'p', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert(rg_server_new(longer, handle, NULL, &server, &err) == RG_EINVAL);
	assert(rg_server_new("", handle, NULL, &server, &err) == RG_EINVAL);
	assert(rg_server_new("/nonexistent/x", handle, NULL, &server, &err) == RG_EIO);
	assert(rg_server_new(path, handle, NULL, &server, &err) == RG_OK);
	assert(!stat(path, &at) && (at.st_mode & 0777) == 0660);
	assert(rg_server_new(path, handle, NULL, &second, &err) == RG_ECONFLICT);
	assert(strstr(err.text, "control.socket"));
	rg_server_delete(server);
	/* a socket file that nobody listens at */
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert(!bind(fd, (struct sockaddr *)&address, sizeof(address)));
	close(fd);
	assert(rg_server_new(path, handle, NULL, &server, &err) == RG_OK);
	rg_server_delete(server);
	/* a file that is no socket is left alone */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert(fd >= 0 && !close(fd));
	assert(rg_server_new(path, handle, NULL, &server, &err) == RG_ECONFLICT);
	assert(!unlink(path));
}

int main(void)
{
	snprintf(path, sizeof(path), "/tmp/riskgate-server-test-%d", getpid());
	test_paths();
	test_order();
	test_client_gone();
	test_bounds();
	test_pipeline();
	test_slow_reader();
	test_random_clients();
	test_no_descriptors();
	return 0;
}

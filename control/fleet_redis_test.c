/* SPDX-License-Identifier: Apache-2.0 */
/* The link to Redis against a real redis-server, on a unix socket in a folder of its own. */
#include "control/fleet_redis.h"

#include <assert.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 30000 /* far beyond what a slow machine needs */

static char root[64], socket_path[96], bundle_path[96], fetched_path[96];
static pid_t server;

static void start_server(void)
{
	server = fork();
	assert(server >= 0);
	if (!server) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
		       "--save", "", "--dir", root, "--logfile", "redis.log", (char *)NULL);
		_exit(127);
	}
}

static void kill_server(void)
{
	int status;

	assert(!kill(server, SIGKILL) && waitpid(server, &status, 0) == server);
	unlink(socket_path);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert(file && fputs(text, file) >= 0 && !fclose(file));
}

/* ---- nodes ---- */

struct node {
	struct rg_fleet_redis *redis;
	struct rg_fleet_link link;
	struct rg_fleet_event event; /* the one waited for */
};

static void node_start(struct node *node, const char *owner, const char *key)
{
	struct rg_fleet_redis_options options = {.redis = {.host = socket_path,
							   .username = "",
							   .password_file = "",
							   .tls_ca = "",
							   .tls_cert = "",
							   .tls_key = "",
							   .timeout_ms = 5000},
						 .fleet = "test",
						 .owner = owner,
						 .key_file = "",
						 .archive_bytes_max = 1 << 20,
						 .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	char key_path[96];
	struct rg_error err;

	if (key[0]) {
		snprintf(key_path, sizeof(key_path), "%s/key", root);
		write_file(key_path, key);
		options.key_file = key_path;
	}
	assert(!rg_fleet_redis_new(&options, &node->redis, &err));
	node->link = rg_fleet_redis_link(node->redis);
}

/* Wait for an event of that kind; others are passed over. */
static const struct rg_fleet_event *expect(struct node *node, enum rg_fleet_event_kind kind)
{
	for (int waited = 0; waited < WAIT_MS; waited += 5) {
		while (node->link.poll(node->link.context, &node->event)) {
			if (node->event.kind == kind)
				return &node->event;
		}
		poll(NULL, 0, 5);
	}
	fprintf(stderr, "no event of kind %d\n", (int)kind);
	abort();
}

/* Wait until the node sees this number as current; what it saw before is passed over. */
static const struct rg_fleet_revision *expect_current(struct node *node, uint64_t number)
{
	while (expect(node, RG_FLEET_CURRENT)->revision.number != number)
		;
	return &node->event.revision;
}

static const struct rg_fleet_event *ask(struct node *node, const struct rg_fleet_request *request,
					enum rg_fleet_event_kind kind)
{
	assert(node->link.submit(node->link.context, request));
	return expect(node, kind);
}

static struct rg_fleet_request offer_of(uint64_t number, char letter)
{
	struct rg_fleet_request request = {.kind = RG_FLEET_OFFER, .revision.number = number};

	memset(request.revision.sha256, letter, 64);
	strcpy(request.revision.revision, "r\"1\"");
	strcpy(request.path, bundle_path);
	return request;
}

/* ---- tests ---- */

static void test_revisions(struct node *a, struct node *b)
{
	struct rg_fleet_request offer = offer_of(1, 'a'), fetch = {.kind = RG_FLEET_FETCH};
	struct stat status;

	expect_current(a, 0);
	ask(a, &offer, RG_FLEET_OFFERED);
	fetch.revision = *expect_current(b, 1); /* the message came */
	assert(!strcmp(fetch.revision.revision, "r\"1\""));
	strcpy(fetch.path, fetched_path);
	ask(b, &fetch, RG_FLEET_FETCHED);
	assert(!stat(fetched_path, &status) && status.st_size > 100);
	ask(b, &offer, RG_FLEET_OFFERED); /* put back: the same is no conflict */
	fetch.revision.archive[0] = fetch.revision.archive[0] == '0' ? '1' : '0';
	ask(b, &fetch, RG_FLEET_AWAY); /* there is no such archive */
	assert(strstr(b->event.text, "there is no"));
}

static void test_lock(struct node *a, struct node *b)
{
	struct rg_fleet_request request = {.kind = RG_FLEET_LOCK, .lease_ms = 60000};
	uint64_t token = ask(a, &request, RG_FLEET_LOCKED)->token;
	struct rg_fleet_request of_a = {.token = token, .lease_ms = 60000}, stale = of_a;

	ask(b, &request, RG_FLEET_BUSY);
	of_a.kind = RG_FLEET_RENEW;
	ask(a, &of_a, RG_FLEET_RENEWED);
	ask(b, &of_a, RG_FLEET_LOST); /* another's token is not one's own */
	of_a.lease_ms = 100;
	ask(a, &of_a, RG_FLEET_RENEWED);
	poll(NULL, 0, 300); /* a died: its lease runs out */
	request.token = 1000;
	assert(ask(b, &request, RG_FLEET_LOCKED)->token == 1001); /* above what was ever seen */
	stale.kind = RG_FLEET_RELEASE;
	assert(a->link.submit(a->link.context, &stale)); /* changes nothing */
	ask(a, &request, RG_FLEET_BUSY);
	request.kind = RG_FLEET_RELEASE;
	request.token = 1001;
	assert(b->link.submit(b->link.context, &request));
	request.kind = RG_FLEET_LOCK;
	for (int tries = 0;; tries++) { /* b's release may come after a's question */
		assert(a->link.submit(a->link.context, &request) && tries < 1000);
		while (!a->link.poll(a->link.context, &a->event) || !a->event.is_answer)
			poll(NULL, 0, 1);
		if (a->event.kind == RG_FLEET_LOCKED)
			break;
	}
	request.token = a->event.token;
	request.kind = RG_FLEET_RELEASE;
	assert(a->link.submit(a->link.context, &request));
}

static void test_halt(struct node *a, struct node *b)
{
	struct rg_fleet_request request = {.kind = RG_FLEET_HALT, .revision.number = 1};

	strcpy(request.revision.halted, "node 7: it went wrong");
	assert(a->link.submit(a->link.context, &request));
	while (strcmp(expect(b, RG_FLEET_CURRENT)->revision.halted, "node 7: it went wrong"))
		;
	request.kind = RG_FLEET_LOCK;
	request.lease_ms = 1000;
	assert(strstr(ask(b, &request, RG_FLEET_HALTED)->revision.halted, "node 7"));
}

static void test_other_key(void)
{
	struct node stranger;

	node_start(&stranger, "stranger", "another key of 16 bytes");
	assert(strstr(expect(&stranger, RG_FLEET_AWAY)->text, "redis.key_file"));
	rg_fleet_redis_delete(stranger.redis);
}

static void test_away(struct node *a)
{
	struct rg_fleet_request request = {.kind = RG_FLEET_LOCK, .lease_ms = 1000};

	kill_server();
	expect(a, RG_FLEET_AWAY);
	ask(a, &request, RG_FLEET_AWAY); /* answered, not kept */
	start_server();
	expect_current(a, 0); /* it has forgotten everything */
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

int main(void)
{
	struct node a, b;
	char path[128];

	snprintf(root, sizeof(root), "/tmp/riskgate-redis-test-XXXXXX");
	assert(mkdtemp(root));
	snprintf(socket_path, sizeof(socket_path), "%s/socket", root);
	snprintf(bundle_path, sizeof(bundle_path), "%s/bundle", root);
	snprintf(fetched_path, sizeof(fetched_path), "%s/fetched.tar.gz", root);
	mkdir(bundle_path, 0700);
	snprintf(path, sizeof(path), "%s/plan.json", bundle_path);
	write_file(path, "{\"plans\":{\"plans\":[]}}");
	start_server();
	node_start(&a, "a", "the fleet's own secret");
	node_start(&b, "b", "the fleet's own secret");
	test_revisions(&a, &b);
	test_lock(&a, &b);
	test_halt(&a, &b);
	test_other_key();
	test_away(&a);
	rg_fleet_redis_delete(a.redis);
	rg_fleet_redis_delete(b.redis);
	kill_server();
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet's two state machines against a fake Redis: every arrow by hand, then three nodes in
 * random interleavings, with answers that are late, a Redis that goes away or forgets everything,
 * leases that run out and nodes that die, against what the headers promise.
 */
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/fleet.h"
#include "control/rollout.h"

#define NODES	   3
#define ANSWERS	   16
#define DECISIONS  50 /* of a turn: enough to be judged */
#define MS	   1000000ull
#define LEASE_NS   (1000 * MS)
#define OBSERVE_NS (620 * MS)

static char root[64];
static uint64_t now_ns;

/* ---- a Redis ---- */

struct redis {
	struct rg_fleet_revision current;
	uint64_t token, locked_token, locked_until_ns;
	int owner; /* -1: nobody */
	bool away;
};

struct node {
	int index;
	struct redis *redis;
	struct rg_fleet_link link;
	struct rg_fleet fleet;
	struct rg_rollout rollout;
	struct {
		struct rg_fleet_event event;
		uint64_t at_ns;
	} answers[ANSWERS];
	uint32_t answer_count;
	uint64_t most_delay_ns;
	struct rg_fleet_revision told;
	bool has_told, told_away;

	char running[65], before[65];
	bool candidate, is_own; /* a push that waits for the lock */
	char candidate_sha[65];
	uint64_t candidate_number;
	struct rg_rollout_sample decided;
	bool bad; /* decisions under the policy that runs go wrong */
	uint64_t activated_at_ns;
};

static void deliver(struct node *node, const struct rg_fleet_event *event)
{
	assert(node->answer_count < ANSWERS);
	node->answers[node->answer_count].event = *event;
	node->answers[node->answer_count].at_ns =
		now_ns + (node->most_delay_ns ? (uint64_t)rand() % node->most_delay_ns : 0);
	node->answer_count++;
}

static bool is_locked(const struct redis *redis)
{
	return redis->owner >= 0 && now_ns < redis->locked_until_ns;
}

static void lock(struct node *node, const struct rg_fleet_request *request,
		 struct rg_fleet_event *event)
{
	struct redis *redis = node->redis;

	if (request->revision.number && request->revision.number == redis->current.number &&
	    redis->current.halted[0]) {
		event->kind = RG_FLEET_HALTED;
		strcpy(event->revision.halted, redis->current.halted);
	} else if (is_locked(redis)) {
		event->kind = RG_FLEET_BUSY;
	} else {
		redis->token =
			redis->token > request->token ? redis->token + 1 : request->token + 1;
		redis->owner = node->index;
		redis->locked_token = redis->token;
		redis->locked_until_ns = now_ns + request->lease_ms * MS;
		event->kind = RG_FLEET_LOCKED;
		event->token = redis->token;
	}
}

static bool holds(const struct node *node, const struct rg_fleet_request *request)
{
	return is_locked(node->redis) && node->redis->owner == node->index &&
	       node->redis->locked_token == request->token;
}

static bool submit(void *context, const struct rg_fleet_request *request)
{
	struct node *node = context;
	struct redis *redis = node->redis;
	struct rg_fleet_event event = {
		.is_answer = true, .request = request->kind, .revision = request->revision};

	if (node->answer_count > ANSWERS / 2)
		return false;
	if (redis->away) {
		event.kind = RG_FLEET_AWAY;
		if (request->kind != RG_FLEET_RELEASE && request->kind != RG_FLEET_HALT)
			deliver(node, &event);
		return true;
	}
	switch (request->kind) {
	case RG_FLEET_OFFER:
		memset(event.revision.archive, 'a', 64);
		event.kind = RG_FLEET_OFFERED;
		if (request->revision.number > redis->current.number)
			redis->current = event.revision;
		else if (request->revision.number < redis->current.number ||
			 strcmp(request->revision.sha256, redis->current.sha256))
			event.kind = RG_FLEET_OLDER;
		break;
	case RG_FLEET_FETCH: event.kind = RG_FLEET_FETCHED; break;
	case RG_FLEET_LOCK: lock(node, request, &event); break;
	case RG_FLEET_RENEW:
		event.kind = holds(node, request) ? RG_FLEET_RENEWED : RG_FLEET_LOST;
		if (holds(node, request))
			redis->locked_until_ns = now_ns + request->lease_ms * MS;
		break;
	case RG_FLEET_RELEASE:
		if (holds(node, request))
			redis->owner = -1;
		return true;
	case RG_FLEET_HALT:
		if (redis->current.number == request->revision.number)
			snprintf(redis->current.halted, sizeof(redis->current.halted), "node %d",
				 node->index);
		return true;
	}
	deliver(node, &event);
	return true;
}

/* Answers arrive in the order of their requests, when their time has come. */
static bool poll_event(void *context, struct rg_fleet_event *event)
{
	struct node *node = context;

	if (!node->answer_count || node->answers[0].at_ns > now_ns)
		return false;
	*event = node->answers[0].event;
	node->answer_count--;
	memmove(node->answers, node->answers + 1, node->answer_count * sizeof(node->answers[0]));
	return true;
}

/* What the link says by itself. */
static void tell(struct node *node)
{
	struct rg_fleet_event event = {.kind = RG_FLEET_CURRENT};

	if (node->answer_count > ANSWERS / 2)
		return;
	if (node->redis->away) {
		event.kind = RG_FLEET_AWAY;
		if (!node->told_away)
			deliver(node, &event);
		node->told_away = true;
		node->has_told = false;
	} else if (!node->has_told ||
		   memcmp(&node->told, &node->redis->current, sizeof(node->told))) {
		event.revision = node->told = node->redis->current;
		node->has_told = true;
		node->told_away = false;
		deliver(node, &event);
	}
}

/* ---- a node: what control does with the machines ---- */

static void node_init(struct node *node, int index, struct redis *redis)
{
	const struct rg_rollout_options options = {.lease_ns = LEASE_NS,
						   .observe_ns = OBSERVE_NS,
						   .policy_error_percent = 1,
						   .deny_rise_percent = 20,
						   .min_decisions = 10};
	static char folders[NODES][80];
	struct rg_error err;

	snprintf(folders[index], sizeof(folders[index]), "%s/%d", root, index);
	mkdir(folders[index], 0700);
	memset(node, 0, sizeof(*node));
	node->index = index;
	node->redis = redis;
	node->link = (struct rg_fleet_link){node, submit, poll_event};
	assert(!rg_fleet_init(&node->fleet, folders[index], &node->link, &err));
	rg_rollout_init(&node->rollout, &options, &node->link);
}

static void node_push(struct node *node, const char *sha)
{
	if (node->candidate)
		return;
	node->candidate = node->is_own = true;
	node->candidate_number = 0;
	strcpy(node->candidate_sha, sha);
}

static void finish_candidate(struct node *node, bool active)
{
	node->candidate = false;
	if (!node->is_own)
		rg_fleet_received(&node->fleet, active, active ? "" : node->rollout.why);
}

static void offer_running(struct node *node)
{
	struct rg_policy_meta meta = {0};

	strcpy(meta.sha256, node->running);
	rg_fleet_pushed(&node->fleet, &meta, (uint32_t)node->index, "/folder");
}

static void activate(struct node *node)
{
	strcpy(node->before, node->running);
	strcpy(node->running, node->candidate_sha);
	node->bad = node->running[0] == 'b';
	rg_rollout_activated(&node->rollout, now_ns);
	node->activated_at_ns = now_ns;
}

static void advance_candidate(struct node *node)
{
	if (!node->candidate)
		return;
	if (rg_rollout_want(&node->rollout, node->candidate_number, now_ns) ||
	    node->rollout.state == RG_ROLLOUT_HALTED) {
		finish_candidate(node, false);
		return;
	}
	if (!rg_rollout_may_activate(&node->rollout, now_ns))
		return;
	activate(node);
	finish_candidate(node, true);
}

static void node_step(struct node *node)
{
	struct rg_fleet_running running = {node->running, node->running[0] ? "/folder" : ""};
	struct rg_fleet_event event;

	tell(node);
	while (poll_event(node, &event)) {
		if (event.is_answer &&
		    (event.request == RG_FLEET_LOCK || event.request == RG_FLEET_RENEW))
			rg_rollout_event(&node->rollout, &event, now_ns);
		else
			rg_fleet_event(&node->fleet, &event, now_ns);
	}
	node->decided.decisions += DECISIONS;
	node->decided.policy_errors += node->bad ? DECISIONS : 0;
	switch (rg_rollout_step(&node->rollout, now_ns, &node->decided)) {
	case RG_ROLLOUT_WELL:
		if (node->is_own) /* the loop guard */
			offer_running(node);
		break;
	case RG_ROLLOUT_WRONG:
		strcpy(node->running, node->before);
		node->bad = false;
		break;
	case RG_ROLLOUT_NOTHING: break;
	}
	if (!node->candidate && node->rollout.state != RG_ROLLOUT_OBSERVING &&
	    rg_fleet_step(&node->fleet, &running, now_ns)) {
		node->candidate = true;
		node->is_own = false;
		node->candidate_number = node->fleet.wanted.number;
		strcpy(node->candidate_sha, node->fleet.wanted.sha256);
	}
	if (node->rollout.state != RG_ROLLOUT_OBSERVING)
		advance_candidate(node);
}

static const char *sha_of(char kind, unsigned n)
{
	static char sha[65];

	snprintf(sha, sizeof(sha), "%c%063u", kind, n);
	return sha;
}

static void fresh(void);

static void run(struct node *nodes, int count, uint64_t ns)
{
	for (uint64_t end_ns = now_ns + ns; now_ns < end_ns; now_ns += 10 * MS) {
		for (int i = 0; i < count; i++)
			node_step(&nodes[i]);
	}
}

/* ---- by hand ---- */

/* A push on one node reaches the others, one after another, and is offered once. */
static void test_roll_out(void)
{
	static struct node nodes[NODES];
	struct redis redis = {.owner = -1};

	fresh();
	for (int i = 0; i < NODES; i++)
		node_init(&nodes[i], i, &redis);
	run(nodes, NODES, 1000 * MS);
	node_push(&nodes[0], sha_of('a', 1));
	run(nodes, NODES, 100 * MS);
	assert(!strcmp(nodes[0].running, sha_of('a', 1)) && !nodes[1].running[0]);
	assert(nodes[0].rollout.state == RG_ROLLOUT_OBSERVING && !redis.current.number);
	run(nodes, NODES, 5000 * MS);
	for (int i = 0; i < NODES; i++) {
		assert(!strcmp(nodes[i].running, sha_of('a', 1)));
		assert(nodes[i].fleet.known.number == 1 &&
		       nodes[i].fleet.state == RG_FLEET_FOLLOWING);
		for (int j = 0; j < i; j++) { /* never within one another's window */
			uint64_t a = nodes[i].activated_at_ns, b = nodes[j].activated_at_ns;

			assert((a > b ? a - b : b - a) >= OBSERVE_NS);
		}
	}
	assert(nodes[0].fleet.statistics.offered == 1 && nodes[1].fleet.statistics.received == 1);
	assert(!nodes[1].fleet.statistics.offered && redis.current.number == 1);
}

/* The first node sees it go wrong: nobody else ever has it. */
static void test_halt_at_home(void)
{
	static struct node nodes[2];
	struct redis redis = {.owner = -1};

	fresh();
	for (int i = 0; i < 2; i++)
		node_init(&nodes[i], i, &redis);
	run(nodes, 2, 1000 * MS);
	node_push(&nodes[0], sha_of('a', 1));
	run(nodes, 2, 4000 * MS);
	node_push(&nodes[0], sha_of('b', 2));
	run(nodes, 2, 4000 * MS);
	assert(nodes[0].rollout.state == RG_ROLLOUT_HALTED &&
	       strstr(nodes[0].rollout.why, "POLICY_ERROR"));
	assert(!strcmp(nodes[0].running, sha_of('a', 1)) &&
	       !strcmp(nodes[1].running, sha_of('a', 1)));
	assert(redis.current.number == 1 && !is_locked(&redis));
	node_push(&nodes[0], sha_of('a', 3)); /* and then a good one */
	run(nodes, 2, 4000 * MS);
	assert(!strcmp(nodes[1].running, sha_of('a', 3)) && redis.current.number == 2);
}

/* It goes wrong on the second node: the third is told by the lock. */
static void test_halt_on_the_way(void)
{
	static struct node nodes[NODES];
	struct redis redis = {.owner = -1};

	fresh();
	for (int i = 0; i < NODES; i++)
		node_init(&nodes[i], i, &redis);
	run(nodes, NODES, 1000 * MS);
	node_push(&nodes[0], sha_of('a', 1));
	for (int i = 0; i < 1000 && !nodes[1].activated_at_ns && !nodes[2].activated_at_ns; i++)
		run(nodes, NODES, 10 * MS);
	{
		struct node *second = nodes[1].activated_at_ns ? &nodes[1] : &nodes[2],
			    *third = second == &nodes[1] ? &nodes[2] : &nodes[1];

		second->bad = true;
		run(nodes, NODES, 3000 * MS);
		assert(redis.current.halted[0] && !second->running[0] && !third->running[0]);
		assert(third->rollout.state == RG_ROLLOUT_HALTED || third->fleet.current.halted[0]);
		assert(!third->activated_at_ns);
	}
}

/* A holder that dies: its lease runs out and the next goes on; its token is fenced. */
static void test_dead_holder(void)
{
	static struct node nodes[2];
	struct redis redis = {.owner = -1};
	struct rg_fleet_request release = {.kind = RG_FLEET_RELEASE};

	fresh();
	for (int i = 0; i < 2; i++)
		node_init(&nodes[i], i, &redis);
	run(nodes, 2, 100 * MS);
	node_push(&nodes[0], sha_of('a', 1));
	run(nodes, 1, 50 * MS); /* node 0 is active and observes; then it is not stepped any more */
	assert(nodes[0].rollout.state == RG_ROLLOUT_OBSERVING && is_locked(&redis));
	release.token = nodes[0].rollout.token;
	node_push(&nodes[1], sha_of('a', 2));
	run(nodes + 1, 1, LEASE_NS - 100 * MS);
	assert(nodes[1].rollout.state == RG_ROLLOUT_LOCKING);
	run(nodes + 1, 1, 300 * MS);
	assert(nodes[1].rollout.state == RG_ROLLOUT_OBSERVING &&
	       nodes[1].rollout.token > release.token);
	assert(submit(&nodes[0], &release) && is_locked(&redis)); /* stale: changes nothing */
}

static void test_deny_rise(void)
{
	static struct node node;
	struct redis redis = {.owner = -1};

	fresh();
	node_init(&node, 0, &redis);
	for (int i = 0; i < 100; i++) { /* 20 % denied before */
		node.decided.denied += DECISIONS / 5;
		run(&node, 1, 10 * MS);
	}
	node_push(&node, sha_of('a', 1));
	run(&node, 1, 30 * MS);
	assert(node.rollout.state == RG_ROLLOUT_OBSERVING);
	for (int i = 0; i < 10; i++) { /* 30 %: less than 20 points more, which is allowed */
		node.decided.denied += DECISIONS * 3 / 10;
		run(&node, 1, 10 * MS);
	}
	assert(node.rollout.state == RG_ROLLOUT_OBSERVING);
	for (int i = 0; i < 20; i++) {
		node.decided.denied += DECISIONS;
		run(&node, 1, 10 * MS);
	}
	assert(node.rollout.state == RG_ROLLOUT_HALTED && strstr(node.rollout.why, "were DENY"));
}

/* Redis forgets everything: who has the revision puts it back under its number. */
static void test_flush(void)
{
	static struct node nodes[2];
	struct redis redis = {.owner = -1};

	fresh();
	for (int i = 0; i < 2; i++)
		node_init(&nodes[i], i, &redis);
	run(nodes, 2, 100 * MS);
	node_push(&nodes[0], sha_of('a', 1));
	run(nodes, 2, 4000 * MS);
	assert(redis.current.number == 1);
	memset(&redis, 0, sizeof(redis));
	redis.owner = -1;
	run(nodes, 2, 3000 * MS);
	assert(redis.current.number == 1 && !strcmp(redis.current.sha256, sha_of('a', 1)));
	assert(nodes[0].fleet.statistics.restored + nodes[1].fleet.statistics.restored >= 1);
	assert(nodes[1].fleet.statistics.received == 1); /* nothing was pushed again */
}

/* A newer revision is told of between an offer and its answer: the answer does not hide it. */
static void test_newer_before_the_answer(void)
{
	static struct node node;
	struct redis redis = {.owner = -1};
	struct rg_fleet_running running = {node.running, "/folder"};
	struct rg_fleet_event event = {.kind = RG_FLEET_CURRENT};

	fresh();
	node_init(&node, 0, &redis);
	strcpy(node.running, sha_of('a', 1));
	rg_fleet_event(&node.fleet, &event, now_ns);
	offer_running(&node);
	assert(!rg_fleet_step(&node.fleet, &running, now_ns));
	assert(node.fleet.state == RG_FLEET_OFFERING && poll_event(&node, &event));
	{
		struct rg_fleet_event newer = {.kind = RG_FLEET_CURRENT};

		newer.revision.number = 2;
		strcpy(newer.revision.sha256, sha_of('a', 2));
		rg_fleet_event(&node.fleet, &newer, now_ns);
	}
	rg_fleet_event(&node.fleet, &event, now_ns);
	assert(node.fleet.known.number == 1 && node.fleet.current.number == 2);
	assert(!rg_fleet_step(&node.fleet, &running, now_ns) &&
	       node.fleet.state == RG_FLEET_FETCHING);
}

/* What is known survives a restart; a damaged file is named. */
static void test_restart(void)
{
	static struct node node;
	struct redis redis = {.owner = -1};
	struct rg_error err;
	char path[96];
	FILE *file;

	fresh();
	node_init(&node, 0, &redis);
	node_push(&node, sha_of('a', 1));
	run(&node, 1, 3000 * MS);
	node_init(&node, 0, &redis);
	assert(node.fleet.known.number == 1 && !strcmp(node.fleet.known.sha256, sha_of('a', 1)));
	snprintf(path, sizeof(path), "%s/0/fleet.json", root);
	file = fopen(path, "w");
	fputs("{}", file);
	fclose(file);
	assert(rg_fleet_init(&node.fleet, node.fleet.state_directory, &node.link, &err) ==
		       RG_ECORRUPT &&
	       strstr(err.text, "fleet.json"));
}

/* ---- at random ---- */

static void check_locks(const struct node *nodes)
{
	int may = 0;

	for (int i = 0; i < NODES; i++)
		may += rg_rollout_may_activate(&nodes[i].rollout, now_ns);
	assert(may <= 1);
}

static void disturb(struct node *nodes, struct redis *redis, unsigned *revision)
{
	int node = rand() % NODES;

	switch (rand() % 200) {
	case 0: node_push(&nodes[node], sha_of('a', ++*revision)); break;
	case 1: node_push(&nodes[node], sha_of('b', ++*revision)); break;
	case 2: redis->away = true; break;
	case 3: /* forgets all but the lock: a lock must not outlive its holder's belief */
		memset(&redis->current, 0, sizeof(redis->current));
		break;
	case 4: now_ns += (uint64_t)rand() % (2 * LEASE_NS); break; /* all were stopped */
	default: break;
	}
	if (redis->away && rand() % 20 == 0)
		redis->away = false;
}

static void test_random(unsigned seed)
{
	static struct node nodes[NODES];
	struct redis redis = {.owner = -1};
	unsigned revision = 0;

	srand(seed);
	fresh();
	for (int i = 0; i < NODES; i++) {
		node_init(&nodes[i], i, &redis);
		nodes[i].most_delay_ns = (1 + (uint64_t)rand() % 400) * MS;
	}
	for (int step = 0; step < 3000; step++) {
		char before[NODES][65];
		bool halted = redis.current.halted[0];
		int index = rand() % NODES;

		disturb(nodes, &redis, &revision);
		for (int i = 0; i < NODES; i++)
			strcpy(before[i], nodes[i].running);
		node_step(&nodes[index]); /* some nodes are slow: others run meanwhile */
		check_locks(nodes);
		/* whoever begins with a revision from the fleet was granted it before it was
		 * halted */
		if (strcmp(before[index], nodes[index].running) && !halted &&
		    redis.current.halted[0])
			assert(nodes[index].rollout.state == RG_ROLLOUT_HALTED);
		now_ns += (uint64_t)rand() % (20 * MS);
	}
	/* left alone, all come to one revision that is well, or stay where a halt left them */
	redis.away = false;
	for (int i = 0; i < NODES; i++)
		nodes[i].most_delay_ns = 0;
	run(nodes, NODES, 30000 * MS);
	for (int i = 0; i < NODES; i++) {
		assert(nodes[i].running[0] != 'b' && !nodes[i].candidate);
		assert(redis.current.halted[0] || !redis.current.number ||
		       (nodes[i].fleet.known.number == redis.current.number &&
			!strcmp(nodes[i].running, redis.current.sha256)));
	}
	assert(!is_locked(&redis));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void fresh(void)
{
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	mkdir(root, 0700);
	now_ns = 1000000 * MS;
}

int main(int argc, char **argv)
{
	unsigned first = argc > 1 ? (unsigned)atoi(argv[1]) : 1, count = argc > 1 ? 1 : 150;

	snprintf(root, sizeof(root), "/dev/shm/riskgate-fleet-test-XXXXXX");
	assert(mkdtemp(root));
	test_roll_out();
	test_halt_at_home();
	test_halt_on_the_way();
	test_dead_holder();
	test_deny_rise();
	test_flush();
	test_newer_before_the_answer();
	test_restart();
	for (unsigned seed = first; seed < first + count; seed++) {
		printf("seed %u\n", seed);
		fflush(stdout);
		test_random(seed);
	}
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

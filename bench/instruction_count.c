/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bench/instructions counts: the same work each time, under valgrind --tool=callgrind
 * --instr-atstart=no.
 *
 *	instruction_count ROOT CORPUS	  ROOT: the project's folder; CORPUS: what bench/policy_corpus wrote
 *
 * Each kind of operation is done once over all requests, so that caches inside the evaluator are as
 * they will be, then once more while callgrind counts, which dumps the count under the operation's
 * name. Prints a line for each: its name and how many operations were counted. Without valgrind it
 * does the same work and nothing is counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

#include "bench/frame_fixture.h"
#include "bench/policy_fixture.h"
#include "bench/rule_table_fixture.h"
#include "bench/shm_fixture.h"
#include "bench/worker_fixture.h"

#define REQUESTS     1024
#define TABLE_RULES  1000
#define BLOCK_BYTES  288
#define RECORD_BYTES 448
#define RECORDS	     32 /* of one commit */
#define RING_BYTES   (1u << 20)

/* The index-th operation; the number of requests that it was for. */
typedef uint32_t operation(void *fixture, uint64_t index);

static void count(const char *name, operation *operate, void *fixture)
{
	uint32_t done = 0;

	for (uint64_t i = 0; i < REQUESTS;)
		i += operate(fixture, i);
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
	while (done < REQUESTS)
		done += operate(fixture, done);
	CALLGRIND_DUMP_STATS_AT(name);
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("%s %u\n", name, done);
}

static void fail(const char *what)
{
	fprintf(stderr, "instruction_count: %s\n", what);
	exit(1);
}

/* ---- decisions ---- */

static uint32_t decide(void *fixture, uint64_t index)
{
	policy_fixture_decide(fixture, index);
	return 1;
}

static uint32_t decide_burst(void *fixture, uint64_t index)
{
	policy_fixture_decide_burst(fixture, index);
	return POLICY_FIXTURE_BURST;
}

static uint32_t decode_decide(void *fixture, uint64_t index)
{
	policy_fixture_decode_decide(fixture, index);
	return 1;
}

/* A worker's burst: from the NIC's buffers into packets, decided, recorded, and the answers back. */
static uint32_t handle(void *fixture, uint64_t index)
{
	if (worker_fixture_decide(fixture) != WORKER_FIXTURE_BURST)
		fail("datagrams were not answered");
	return WORKER_FIXTURE_BURST;
}

static uint32_t handle_observed(void *fixture, uint64_t index)
{
	if (worker_fixture_decide_observed(fixture) != WORKER_FIXTURE_BURST)
		fail("datagrams were not answered");
	return WORKER_FIXTURE_BURST;
}

static void count_policy(const char *root, const char *corpus, const char *folder,
			 const char *template_name, const char *package)
{
	static const struct {
		const char *name;
		operation *operate;
	} ways[] = {{"single", decide}, {"burst", decide_burst}, {"decoded", decode_decide}};
	struct policy_fixture *fixture;
	struct worker_fixture *worker;
	char path[4096], name[64];

	snprintf(path, sizeof(path), "%s/%s", corpus, folder);
	fixture = policy_fixture_new(root, path, template_name, package);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		snprintf(name, sizeof(name), "decide/%s/%s", package, ways[i].name);
		count(name, ways[i].operate, fixture);
	}
	if (policy_fixture_failures(fixture))
		fail("evaluations failed");
	policy_fixture_free(fixture);
	worker = worker_fixture_new(root, path, template_name, package, 1, RING_BYTES);
	snprintf(name, sizeof(name), "worker/%s", package);
	count(name, handle, worker);
	snprintf(name, sizeof(name), "worker/%s/observed", package);
	count(name, handle_observed, worker);
	worker_fixture_free(worker);
}

/* ---- rule tables ---- */

static uint32_t match(void *fixture, uint64_t index)
{
	rule_table_fixture_match(fixture, index);
	return 1;
}

static uint32_t match_burst(void *fixture, uint64_t index)
{
	rule_table_fixture_match_burst(fixture, index);
	return RULE_TABLE_BURST;
}

static void count_rule_table(void)
{
	struct rule_table_fixture *fixture = rule_table_fixture_new(TABLE_RULES, 0);

	if (!fixture)
		fail("the table and the plain loop differ, or memory is out");
	count("rule_table/1000/match", match, fixture);
	count("rule_table/1000/burst", match_burst, fixture);
	rule_table_fixture_free(fixture);
}

/* ---- frames and records ---- */

static uint32_t parse(void *fixture, uint64_t index)
{
	if (!frame_fixture_parse(fixture, false))
		fail("a frame is not taken for a request");
	return 1;
}

static uint32_t round_trip(void *fixture, uint64_t index)
{
	if (!frame_fixture_round_trip(fixture))
		fail("a frame is not taken for a request");
	return 1;
}

static void count_frames(void)
{
	struct frame_fixture *fixture = frame_fixture_new(BLOCK_BYTES);

	if (!fixture)
		fail("no memory");
	count("frame/parse", parse, fixture);
	count("frame/round_trip", round_trip, fixture);
	frame_fixture_free(fixture);
}

static uint32_t put_and_take(void *fixture, uint64_t index)
{
	if (!shm_fixture_produce(fixture, RECORDS, RECORD_BYTES) ||
	    shm_fixture_consume(fixture) != RECORDS)
		fail("records are missing");
	return RECORDS;
}

static uint32_t put(void *fixture, uint64_t index)
{
	if (!shm_fixture_produce(fixture, RECORDS, RECORD_BYTES))
		fail("the ring is full");
	return RECORDS;
}

static void count_records(void)
{
	struct shm_fixture *fixture = shm_fixture_new();

	if (!fixture)
		fail("no memory");
	count("record/put_and_take", put_and_take, fixture);
	count("record/put", put, fixture);
	shm_fixture_free(fixture);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: instruction_count ROOT CORPUS\n", stderr);
		return 2;
	}
	count_policy(argv[1], argv[2], "risk_control", "PaymentAuthorization", "risk_control");
	count_policy(argv[1], argv[2], "payments", "PaymentAuthorization", "payments");
	count_policy(argv[1], argv[2], "pretrade_10k_accounts", "NewOrder", "pretrade");
	count_rule_table();
	count_frames();
	count_records();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/policy_store.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char state[96];

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void fresh(void)
{
	nftw(state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct rg_policy_store *open_store(uint32_t keep)
{
	struct rg_policy_store *store;
	struct rg_error err;

	if (rg_policy_store_open(state, keep, &store, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return store;
}

static void add(struct rg_policy_store *store, uint64_t sequence)
{
	struct rg_policy_meta meta = {.sequence = sequence,
				      .pushed_ns = sequence * 10,
				      .bundle = "pay",
				      .why = "push \"x\"\n"};
	char *roots[] = {"a/b", "c"}, plan[64];
	struct rg_bundle bundle = {.name = "pay",
				   .plan_json = plan,
				   .data_json = "{\"a\":{\"b\":1}}",
				   .data_bytes = 13,
				   .roots = roots,
				   .root_count = 2,
				   .rego_version = 1,
				   .metadata_json = "{\"x\":[1]}",
				   .revision = meta.revision};

	snprintf(plan, sizeof(plan), "{\"plan\":%llu}", (unsigned long long)sequence);
	bundle.plan_bytes = strlen(plan);
	snprintf(meta.revision, sizeof(meta.revision), "r%llu", (unsigned long long)sequence);
	assert(!rg_policy_store_write_bundle(state, sequence, &bundle, NULL));
	assert(!rg_policy_store_add(store, &meta, NULL));
}

static void test_life(void)
{
	struct rg_policy_store *store;
	const struct rg_policy_meta *meta;
	struct rg_bundle *bundle;
	struct rg_error err;
	char path[256];

	fresh();
	store = open_store(3);
	assert(!rg_policy_store_count(store) && !rg_policy_store_sequence(store) &&
	       !rg_policy_store_last_active(store));
	assert(!rg_policy_store_at(store, 0) && !rg_policy_store_find(store, 1));
	assert(!rg_policy_store_note_sequence(store, 5, &err) &&
	       rg_policy_store_sequence(store) == 5);
	assert(!rg_policy_store_note_sequence(store, 2, &err) &&
	       rg_policy_store_sequence(store) == 5);
	add(store, 5);
	assert(rg_policy_store_find(store, 5)->state == RG_POLICY_ANNOUNCED &&
	       !rg_policy_store_last_active(store));
	assert(!rg_policy_store_activated(store, 5, 1000, &err));
	add(store, 7);
	assert(!rg_policy_store_activated(store, 7, 2000, &err));
	add(store, 8);
	assert(!rg_policy_store_remove(store, 8, &err) &&
	       rg_policy_store_remove(store, 8, &err) == RG_ENOENT);
	assert(rg_policy_store_activated(store, 8, 1, &err) == RG_ENOENT &&
	       rg_policy_store_superseded(store, 8, &err) == RG_ENOENT);
	rg_policy_store_close(store);

	store = open_store(3); /* all of it is on disk */
	assert(rg_policy_store_count(store) == 2 && rg_policy_store_at(store, 0)->sequence == 7);
	assert(rg_policy_store_sequence(store) ==
	       7); /* a stored policy counts, whatever the file says */
	meta = rg_policy_store_find(store, 5);
	assert(meta->state == RG_POLICY_REPLACED && meta->activated_ns == 1000 &&
	       !strcmp(meta->why, "push \"x\"\n"));
	assert(rg_policy_store_last_active(store)->sequence == 7 &&
	       rg_policy_store_at(store, 0)->state == RG_POLICY_ACTIVE);
	rg_policy_store_path(store, 7, path, sizeof(path));
	assert(!rg_bundle_load(path, NULL, &bundle, &err));
	assert(!strcmp(bundle->plan_json, "{\"plan\":7}") && !strcmp(bundle->revision, "r7") &&
	       bundle->rego_version == 1);
	assert(bundle->root_count == 2 && !strcmp(bundle->roots[0], "a/b") &&
	       !strcmp(bundle->metadata_json, "{\"x\":[1]}"));
	rg_bundle_free(bundle);

	/* only `keep` stay, and always the one in use */
	for (uint64_t sequence = 10; sequence < 20; sequence++) {
		add(store, sequence);
		assert(!rg_policy_store_activated(store, sequence, sequence * 1000, &err));
		assert(rg_policy_store_count(store) <= 3);
	}
	assert(rg_policy_store_at(store, 0)->sequence == 19 &&
	       rg_policy_store_at(store, 2)->sequence == 17);
	assert(!rg_policy_store_activated(store, 17, 99000, &err)); /* an old one again */
	add(store, 20);
	assert(!rg_policy_store_superseded(store, 20, &err) &&
	       rg_policy_store_find(store, 20)->state == RG_POLICY_REPLACED);
	assert(rg_policy_store_last_active(store)->sequence == 17);
	/* the clock went back since */
	add(store, 21);
	assert(!rg_policy_store_activated(store, 21, 500, &err) &&
	       rg_policy_store_last_active(store)->sequence == 21);
	rg_policy_store_close(store);
	rg_policy_store_close(NULL);
}

static void test_reasons(void)
{
	struct rg_policy_store *store;
	struct rg_reason_list list = {0}, other = {0};
	struct rg_error err;
	FILE *file;
	char path[256];

	fresh();
	store = open_store(3);
	assert(rg_reason_list_add(&list, "one", 3) == 1 &&
	       rg_reason_list_add(&list, "two \"2\"\n", 8) == 2);
	assert(!rg_policy_store_set_reasons(store, &list, &err));
	rg_policy_store_close(store);
	store = open_store(3);
	assert(rg_policy_store_reasons(store)->count == 2 &&
	       !strcmp(rg_policy_store_reasons(store)->names[1], "two \"2\"\n"));
	assert(!rg_reason_list_copy(&list, &other, &err) &&
	       rg_reason_list_add(&other, "three", 5) == 3);
	assert(!rg_policy_store_set_reasons(store, &other, &err) &&
	       rg_policy_store_reasons(store)->count == 3);
	assert(rg_policy_store_set_reasons(store, &list, &err) == RG_ECONFLICT); /* never shorter */
	rg_reason_list_free(&other);
	assert(rg_reason_list_add(&other, "one", 3) && rg_reason_list_add(&other, "x", 1) &&
	       rg_reason_list_add(&other, "three", 5));
	assert(rg_policy_store_set_reasons(store, &other, &err) == RG_ECONFLICT &&
	       strstr(err.text, "reason 2 would change"));
	rg_reason_list_free(&other);
	rg_reason_list_free(&list);
	rg_policy_store_close(store);

	snprintf(path, sizeof(path), "%s/reasons.json", state);
	file = fopen(path, "w");
	fputs("[\"one\", \"one\"]", file);
	fclose(file);
	assert(rg_policy_store_open(state, 3, &store, &err) == RG_ECORRUPT &&
	       strstr(err.text, "reasons.json is damaged"));
}

/* Two stores in one folder would give out the same sequences. */
static void test_two_stores(void)
{
	struct rg_policy_store *store = open_store(3), *second;
	struct rg_error err;

	assert(rg_policy_store_open(state, 3, &second, &err) == RG_ECONFLICT &&
	       strstr(err.text, "another riskgate-control uses it"));
	rg_policy_store_close(store);
	rg_policy_store_close(open_store(3));
}

static void test_damage(void)
{
	struct rg_policy_store *store;
	struct rg_error err;
	char path[256];
	FILE *file;

	fresh();
	store = open_store(3);
	add(store, 3);
	rg_policy_store_close(store);
	/* what a crash leaves is taken away */
	snprintf(path, sizeof(path), "%s/policies/9.new", state);
	assert(!mkdir(path, 0700));
	snprintf(path, sizeof(path), "%s/policies/9.new/plan.json", state);
	file = fopen(path, "w");
	fclose(file);
	store = open_store(3);
	assert(rg_policy_store_count(store) == 1 && access(path, F_OK));
	rg_policy_store_close(store);
	snprintf(path, sizeof(path), "%s/policies/3/meta.json", state);
	file = fopen(path, "w");
	fputs("{\"sequence\": 4}", file);
	fclose(file);
	store = open_store(3);
	assert(!rg_policy_store_count(store) && rg_policy_store_sequence(store) == 3);
	assert(strstr(rg_policy_store_damage(store), "policies/3/meta.json: says sequence 4"));
	add(store, 4); /* the others serve */
	rg_policy_store_close(store);
	file = fopen(path, "w");
	fputs("{\"sequence\": 3, \"state\": \"odd\"}", file);
	fclose(file);
	store = open_store(3);
	assert(rg_policy_store_count(store) == 1 &&
	       strstr(rg_policy_store_damage(store), "unknown state"));
	rg_policy_store_close(store);
	snprintf(path, sizeof(path), "%s/sequence", state);
	fresh();
	rg_policy_store_close(open_store(3));
	file = fopen(path, "w");
	fputs("many\n", file);
	fclose(file);
	assert(rg_policy_store_open(state, 3, &store, &err) == RG_ECORRUPT &&
	       strstr(err.text, "/sequence holds no"));
}

/* Killed at random moments of adding and activating: the store opens, and each policy in it is
 * whole. */
static void test_kill(void)
{
	const unsigned seed = 99;
	uint64_t highest = 0;

	printf("kill -9 while storing, seed %u\n", seed);
	srand(seed);
	fresh();
	rg_policy_store_close(open_store(4));
	for (int round = 0; round < 30; round++) {
		struct rg_policy_store *store;
		struct rg_bundle *bundle;
		pid_t child = fork();
		char path[256];
		int status;

		assert(child >= 0);
		if (!child) {
			store = open_store(4);
			for (uint64_t sequence = rg_policy_store_sequence(store) + 1;; sequence++) {
				assert(!rg_policy_store_note_sequence(store, sequence, NULL));
				add(store, sequence);
				assert(!rg_policy_store_activated(store, sequence, sequence, NULL));
			}
		}
		usleep((useconds_t)(rand() % 8000));
		assert(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child &&
		       WIFSIGNALED(status));
		store = open_store(4);
		assert(rg_policy_store_sequence(store) >= highest);
		highest = rg_policy_store_sequence(store);
		for (uint32_t i = 0; i < rg_policy_store_count(store); i++) {
			const struct rg_policy_meta *meta = rg_policy_store_at(store, i);
			char wanted[64];

			rg_policy_store_path(store, meta->sequence, path, sizeof(path));
			assert(!rg_bundle_load(path, NULL, &bundle, NULL));
			snprintf(wanted, sizeof(wanted), "{\"plan\":%llu}",
				 (unsigned long long)meta->sequence);
			assert(!strcmp(bundle->plan_json, wanted));
			rg_bundle_free(bundle);
		}
		rg_policy_store_close(store);
	}
}

int main(void)
{
	char root[64];

	snprintf(root, sizeof(root), "/tmp/riskgate-store-test-XXXXXX");
	assert(mkdtemp(root));
	snprintf(state, sizeof(state), "%s/state", root);
	test_two_stores();
	test_life();
	test_reasons();
	test_damage();
	test_kill();
	nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

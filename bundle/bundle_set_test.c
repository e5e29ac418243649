/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of bundles, deltas, age, an OPA's answer. Argument: the real opa, for Rego of several. */
#include "bundle/bundle_set.h"

#include <assert.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bundle/delta.h"
#include "bundle/opa_answer.h"

#define PLAN "{\"static\":{},\"plans\":{\"plans\":[]},\"funcs\":{}}"

static char directory[64];

static const char *path_of(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

/* An archive of name, text, name, text, ..., NULL. */
static const char *archive(const char *file, ...)
{
	struct rg_member_list list;
	const char *path = path_of(file), *name;
	struct rg_error err;
	va_list args;

	rg_member_list_init(&list, NULL);
	va_start(args, file);
	while ((name = va_arg(args, const char *))) {
		const char *text = va_arg(args, const char *);
		char *copy = strdup(text);

		assert(!rg_member_list_add(&list, name, copy, strlen(text), &err));
	}
	va_end(args);
	assert(!rg_member_list_write_archive(&list, path, &err));
	rg_member_list_free(&list);
	return path;
}

static const struct rg_bundle_options options;

/* The data of the set. */
static struct rg_bundle *load(const struct rg_bundle_set_entry *sources, uint32_t count,
			      struct rg_bundle_found *found)
{
	struct rg_bundle *bundle;
	struct rg_error err;

	if (rg_bundle_set_load(sources, count, &options, found, &bundle, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return bundle;
}

static void refused(const struct rg_bundle_set_entry *sources, uint32_t count, int status,
		    const char *word, const char *other)
{
	struct rg_bundle *bundle;
	struct rg_error err;
	int rc = rg_bundle_set_load(sources, count, &options, NULL, &bundle, &err);

	if (rc != status || !strstr(err.text, word) || !strstr(err.text, other)) {
		fprintf(stderr, "got %d \"%s\", want %d \"%s\" \"%s\"\n", rc, rc ? err.text : "",
			status, word, other);
		abort();
	}
}

static void test_set(void)
{
	struct rg_bundle_set_entry sources[2] = {
		{.name = "rules",
		 .path = archive("rules.tar.gz", "plan.json", PLAN, "data.json",
				 "{\"payments\":{\"limit\":1.50}}", ".manifest",
				 "{\"revision\":\"3\",\"roots\":[\"payments\"]}", NULL)},
		{.name = "lists",
		 .path = archive("lists.tar.gz", "reference/data.json", "{\"blocked\":[\"x\"]}",
				 ".manifest", "{\"revision\":\"9\",\"roots\":[\"reference\"]}",
				 NULL)}};
	struct rg_bundle_found found[2];
	struct rg_bundle *bundle = load(sources, 2, found);

	assert(!strcmp(bundle->data_json,
		       "{\"payments\":{\"limit\":1.50},\"reference\":{\"blocked\":[\"x\"]}}"));
	assert(!strcmp(bundle->plan_json, PLAN) && !strcmp(bundle->name, "rules+lists"));
	assert(!strcmp(bundle->revision, "rules=3,lists=9") && bundle->root_count == 2);
	assert(!strcmp(found[1].revision, "9") && !found[1].is_delta);
	rg_bundle_free(bundle);
	bundle = load(sources, 1, NULL); /* alone it is itself */
	assert(!strcmp(bundle->revision, "3") && !strcmp(bundle->name, "rules"));
	rg_bundle_free(bundle);
	refused(&sources[1], 1, RG_EINVAL, "lists", "neither plan.json nor Rego");
	refused(sources, 0, RG_ELIMIT, "set", "0");

	sources[1].path = archive("overlap.tar.gz", "data.json", "{\"payments\":{\"x\":{}}}",
				  ".manifest", "{\"roots\":[\"payments/x\"]}", NULL);
	refused(sources, 2, RG_ECONFLICT, "rules (\"payments\")", "lists (\"payments/x\")");
	sources[1].path = archive("outside.tar.gz", "data.json", "{\"payments\":1}", ".manifest",
				  "{\"roots\":[\"reference\"]}", NULL);
	refused(sources, 2, RG_ECONFLICT, "bundle lists", "outside the manifest's roots");
	sources[1].path = archive("package.tar.gz", "x.rego", "package payments.evil\n",
				  ".manifest", "{\"roots\":[\"reference\"]}", NULL);
	refused(sources, 2, RG_ECONFLICT, "x.rego", "payments/evil");
	sources[1].path = archive("plan.tar.gz", "plan.json", PLAN, ".manifest",
				  "{\"roots\":[\"reference\"]}", NULL);
	refused(sources, 2, RG_EINVAL, "has a plan.json but no Rego", "rules");
	sources[1].path = path_of("nothing.tar.gz");
	refused(sources, 2, RG_ENOENT, "bundle lists", "nothing.tar.gz");
}

#define BASE                                                                                       \
	"{\"p\":{\"a\":{\"x\":1},\"list\":[1,{\"k\":2},3],\"gone\":true,\"e\\u00e9\":0},\"q\":1}"

static struct rg_bundle_set_entry delta_source(const char *patch)
{
	return (struct rg_bundle_set_entry){
		.name = "b",
		.base = archive("base.tar.gz", "plan.json", PLAN, "data.json", BASE, ".manifest",
				"{\"revision\":\"1\"}", NULL),
		.path = archive("delta.tar.gz", "patch.json", patch, ".manifest",
				"{\"revision\":\"2\"}", NULL),
		.snapshot = path_of("result.tar.gz")};
}

static void test_delta(void)
{
	static const struct {
		const char *op, *path, *value, *word;
	} bad[] = {{"remove", "/p/none", "1", "no data at this path"},
		   {"replace", "/p/none", "1", "no data at this path"},
		   {"remove", "/p/list/3", "1", "no such element"},
		   {"upsert", "/p/list/4", "1", "no such element"},
		   {"upsert", "/p/a/x/y", "1", "through a scalar"},
		   {"upsert", "/", "{}", "path is empty"},
		   {"upsert", "/p/%4", "1", "malformed %XX"},
		   {"add", "/p", "1", "op must be"}};
	struct rg_bundle_set_entry source =
		delta_source("{\"data\":["
			     "{\"op\":\"upsert\",\"path\":\"/p/new/deep\",\"value\":{\"n\":1.0}},"
			     "{\"op\":\"upsert\",\"path\":\"/p/a\",\"value\":[]},"
			     "{\"op\":\"upsert\",\"path\":\"/p/a/-\",\"value\":\"first\"},"
			     "{\"op\":\"remove\",\"path\":\"/p/gone\"},"
			     "{\"op\":\"upsert\",\"path\":\"/p/gone/again\",\"value\":null},"
			     "{\"op\":\"replace\",\"path\":\"/p/list/1/k\",\"value\":[2,2]},"
			     "{\"op\":\"upsert\",\"path\":\"/p/list/0\",\"value\":0},"
			     "{\"op\":\"remove\",\"path\":\"/p/list/1\"},"
			     "{\"path\":\"p/e%c3%a9%2fx\",\"op\":\"upsert\",\"value\":7}]}");
	struct rg_bundle_set_entry again = {.name = "b", .path = source.snapshot};
	struct rg_bundle_found found;
	struct rg_bundle *bundle = load(&source, 1, &found), *snapshot;

	assert(found.is_delta && !strcmp(found.revision, "2"));
	if (strcmp(bundle->data_json,
		   "{\"p\":{\"list\":[0,{\"k\":[2,2]},3],\"e\xc3\xa9\":0,\"new\":{\"deep\":{\"n\":"
		   "1.0}},"
		   "\"a\":[\"first\"],\"gone\":{\"again\":null},\"e\xc3\xa9/x\":7},\"q\":1}")) {
		fprintf(stderr, "%s\n", bundle->data_json);
		abort();
	}
	snapshot = load(&again, 1, NULL); /* what was written is the same */
	assert(!strcmp(snapshot->data_json, bundle->data_json));
	assert(!strcmp(snapshot->revision, "2") && !strcmp(snapshot->plan_json, PLAN));
	rg_bundle_free(snapshot);
	rg_bundle_free(bundle);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char patch[256];

		snprintf(
			patch, sizeof(patch),
			"{\"data\":[{\"op\":\"upsert\",\"path\":\"/q\",\"value\":2},{\"op\":\"%s\","
			"\"path\":\"%s\",\"value\":%s}]}",
			bad[i].op, bad[i].path, bad[i].value);
		source = delta_source(patch);
		unlink(source.snapshot);
		refused(&source, 1,
			!strncmp(bad[i].word, "no ", 3) || strstr(bad[i].word, "scalar")
				? RG_ENOENT
				: RG_EINVAL,
			bad[i].word, strstr(bad[i].word, "op must") ? "patch.json" : "change 2");
		assert(access(source.snapshot, F_OK)); /* nothing was kept of it */
	}
	source = delta_source("{\"data\":[{\"op\":\"upsert\",\"path\":\"/q\",\"value\":2}]}");
	source.base = NULL;
	refused(&source, 1, RG_ENOENT, "no active snapshot", "bundle b");
	source.base = archive("rooted.tar.gz", "plan.json", PLAN, "data.json", "{\"p\":{}}",
			      ".manifest", "{\"roots\":[\"p\"]}", NULL);
	refused(&source, 1, RG_ECONFLICT, "other roots", "bundle b");
	source.path =
		archive("nomanifest.tar.gz", "patch.json",
			"{\"data\":[{\"op\":\"upsert\",\"path\":\"/pq\",\"value\":2}]}", NULL);
	refused(&source, 1, RG_ECONFLICT, "\"/pq\" is outside", "change 1");
	source.path = archive("rego.tar.gz", "patch.json",
			      "{\"data\":[{\"op\":\"upsert\",\"path\":\"/p/q\",\"value\":2}]}",
			      "x.rego", "package p", NULL);
	refused(&source, 1, RG_EINVAL, "only patch.json", "x.rego");
	source.path = archive("empty.tar.gz", "patch.json", "{\"data\":[]}", NULL);
	refused(&source, 1, RG_EINVAL, "neither plan.json nor Rego", "b"); /* as OPA: a snapshot */
}

/* Random changes of an object of two levels, against an array of what should be there. */
static void test_delta_random(void)
{
	unsigned seed = (unsigned)time(NULL);
	int model[8][8] = {{0}}; /* 0: not there */
	struct rg_data_tree *tree = rg_data_tree_new();
	static char values[4096][16];
	struct rg_error err;

	printf("random deltas, seed %u\n", seed);
	assert(!rg_data_tree_merge(tree, "data.json", "{}", 2, &err));
	for (int i = 0; i < 4096; i++) {
		int a = rand_r(&seed) % 8, b = rand_r(&seed) % 8, value = i + 1;
		enum rg_data_op op = (enum rg_data_op)(rand_r(&seed) % 3);
		char path[16];
		int rc;

		snprintf(path, sizeof(path), "/%c/%c", 'a' + a, 'a' + b);
		snprintf(values[i], sizeof(values[i]), "%d", value);
		rc = rg_data_tree_patch(tree, op, path, values[i], strlen(values[i]), &err);
		assert(rc == (op != RG_DATA_UPSERT && !model[a][b] ? RG_ENOENT : RG_OK));
		if (!rc)
			model[a][b] = op == RG_DATA_REMOVE ? 0 : value;
	}
	for (int a = 0; a < 8; a++) {
		for (int b = 0; b < 8; b++) {
			char path[16];
			int rc;

			snprintf(path, sizeof(path), "/%c/%c", 'a' + a, 'a' + b);
			rc = rg_data_tree_patch(tree, RG_DATA_REMOVE, path, NULL, 0, &err);
			assert(rc == (model[a][b] ? RG_OK : RG_ENOENT));
		}
	}
	rg_data_tree_free(tree);
}

static void test_age(void)
{
	struct rg_bundle_age age = {.version = 5, .revision_count = 2};
	struct rg_bundle_set_entry source = {.name = "b", .age = &age};
	struct rg_bundle *bundle;
	char manifest[128];

	strcpy(age.revisions[0], "r2");
	strcpy(age.revisions[1], "r1");
	for (int version = 4; version <= 6; version++) {
		snprintf(manifest, sizeof(manifest),
			 "{\"revision\":\"r1\",\"metadata\":{\"riskgate_version\":%d}}", version);
		source.path = archive("age.tar.gz", "plan.json", PLAN, ".manifest", manifest, NULL);
		source.allow_older = false;
		if (version < 5)
			refused(&source, 1, RG_EVERSION, "riskgate_version 4", "allow_older");
		source.allow_older = version < 5;
		rg_bundle_free(load(&source, 1, NULL));
	}
	source.allow_older = false;
	source.path = archive("age.tar.gz", "plan.json", PLAN, ".manifest", "{\"revision\":\"r3\"}",
			      NULL);
	refused(&source, 1, RG_EVERSION, "no metadata.riskgate_version", "bundle b");
	age.version = -1;
	rg_bundle_free(load(&source, 1, NULL));
	source.path = archive("age.tar.gz", "plan.json", PLAN, ".manifest", "{\"revision\":\"r1\"}",
			      NULL);
	refused(&source, 1, RG_EVERSION, "\"r1\" was active before \"r2\"", "allow_older");
	source.path = archive("age.tar.gz", "plan.json", PLAN, ".manifest", "{\"revision\":\"r2\"}",
			      NULL);
	rg_bundle_free(load(&source, 1, NULL));			      /* the active one again */
	source.path = archive("age.tar.gz", "plan.json", PLAN, NULL); /* without a revision */
	bundle = load(&source, 1, NULL);
	strcpy(age.revisions[1], bundle->revision);
	rg_bundle_free(bundle);
	rg_bundle_free(load(&source, 1, NULL));
}

/* Rules' values are left out of an OPA's data. */
static void test_opa_answer(void)
{
	static const char text[] =
		"{\"policies\":{\"result\":[{\"id\":\"z\",\"raw\":\"package a.b\\n\",\"ast\":{"
		"\"package\":{\"path\":[{\"type\":\"var\",\"value\":\"data\"},{\"value\":\"a\"},"
		"{\"value\":\"b\"}]},\"rules\":[{\"head\":{\"name\":\"deny\",\"ref\":[{\"value\":"
		"\"deny\"},{\"value\":\"x\"}]}},{\"head\":{\"name\":\"f\"}}]}},{\"id\":\"a\","
		"\"raw\":\"package c\"}]},\"data\":{\"result\":{\"a\":{\"b\":{\"deny\":{\"x\":1},"
		"\"limit\":2}},\"c\":{\"f\":3}}}}";
	struct rg_member_list list;
	struct rg_error err;
	FILE *file = fopen(path_of("answer.json"), "w");

	assert(file && fputs(text, file) >= 0 && !fclose(file));
	rg_member_list_init(&list, NULL);
	assert(!rg_opa_answer_read(&list, path_of("answer.json"), &err));
	assert(list.count == 3 && !strcmp(list.members[0].bytes, "package c"));
	assert(!strcmp(list.members[2].bytes, "{\"a\":{\"b\":{\"limit\":2}},\"c\":{\"f\":3}}"));
	rg_member_list_free(&list);
	file = fopen(path_of("answer.json"), "w");
	assert(file && fputs("{\"policies\":{\"result\":[{}]}}", file) >= 0 && !fclose(file));
	rg_member_list_init(&list, NULL);
	assert(rg_opa_answer_read(&list, path_of("answer.json"), &err) == RG_EINVAL);
	assert(strstr(err.text, "no id"));
	rg_member_list_free(&list);
}

/* Rules of one bundle use a function of another. */
static void test_real_opa(const char *opa)
{
	const char *packages[] = {"payments"};
	const struct rg_bundle_options with_opa = {
		.opa = opa, .packages = packages, .package_count = 1};
	struct rg_bundle_set_entry sources[2] = {
		{.name = "rules",
		 .path = archive(
			 "r.tar.gz", "p.rego",
			 "package payments\n\nimport data.common\n\ndeny contains \"big\" if "
			 "common.big(input.amount)\n",
			 ".manifest", "{\"revision\":\"1\",\"roots\":[\"payments\"]}", NULL)},
		{.name = "library",
		 .path = archive("l.tar.gz", "p.rego",
				 "package common\n\nbig(x) if x > data.common.limit\n", "data.json",
				 "{\"common\":{\"limit\":5}}", ".manifest",
				 "{\"revision\":\"2\",\"roots\":[\"common\"]}", NULL)}};
	struct rg_bundle *bundle;
	struct rg_error err;

	if (rg_bundle_set_load(sources, 2, &with_opa, NULL, &bundle, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	assert(bundle->built && strstr(bundle->plan_json, "g0.data.common.big"));
	assert(!strcmp(bundle->revision, "rules=1,library=2"));
	rg_bundle_free(bundle);
	assert(rg_bundle_set_load(sources, 1, &with_opa, NULL, &bundle, &err) != RG_OK);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	strcpy(directory, "/tmp/riskgate-set-XXXXXX");
	assert(mkdtemp(directory));
	if (argc > 1) {
		test_real_opa(argv[1]);
	} else {
		test_set();
		test_delta();
		test_delta_random();
		test_age();
		test_opa_answer();
	}
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

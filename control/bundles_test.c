/* SPDX-License-Identifier: Apache-2.0 */
/* The set of bundles against scripted servers: what is activated with what, what a restart
 * knows. */
#include "control/bundles.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "bundle/members.h"

#define PLAN	"{\"static\":{},\"plans\":{\"plans\":[]},\"funcs\":{\"funcs\":[]}}"
#define BUNDLES 3
#define S	1000000000ull

static const char *const names[BUNDLES] = {"rules", "lists", "limits"};
static char directory[64];

/* A server for each bundle: it has a version (0: it is away) and answers at once. */
struct servers {
	int version[BUNDLES];
	struct {
		int bundle; /* -1: free */
		bool has_current;
	} requests[16];
};

static char *make_archive(int bundle, int version, size_t *bytes)
{
	char path[128], manifest[128], data[64], *text;
	struct rg_member_list list;
	struct rg_error err;

	snprintf(path, sizeof(path), "%s/made.tar.gz", directory);
	snprintf(manifest, sizeof(manifest), "{\"revision\":\"%d\",\"roots\":[\"%s\"]}", version,
		 names[bundle]);
	snprintf(data, sizeof(data), "{\"%s\":%d}", names[bundle], version);
	rg_member_list_init(&list, NULL);
	assert(!rg_member_list_add(&list, ".manifest", strdup(manifest), strlen(manifest), &err));
	assert(!rg_member_list_add(&list, "data.json", strdup(data), strlen(data), &err));
	if (bundle == 0)
		assert(!rg_member_list_add(&list, "plan.json", strdup(PLAN), strlen(PLAN), &err));
	assert(!rg_member_list_write_archive(&list, path, &err));
	rg_member_list_free(&list);
	assert(!rg_member_read_file(AT_FDCWD, path, 1 << 20, &text, bytes, &err));
	return text;
}

static int servers_submit(void *context, const struct rg_http_client_request *request,
			  uint64_t *ticket, struct rg_error *err)
{
	struct servers *servers = context;

	for (int i = 0; i < 16; i++) {
		char etag[64];

		if (servers->requests[i].bundle >= 0)
			continue;
		for (int b = 0; b < BUNDLES; b++) {
			if (!strcmp(request->path + strlen("/bundles/"), names[b]))
				servers->requests[i].bundle = b;
		}
		assert(servers->requests[i].bundle >= 0);
		snprintf(etag, sizeof(etag), "If-None-Match: \"%d\"",
			 servers->version[servers->requests[i].bundle]);
		servers->requests[i].has_current =
			request->header_count > 1 && !strcmp(request->headers[1], etag);
		*ticket = (uint64_t)i + 1;
		return RG_OK;
	}
	abort();
}

static int servers_take(void *context, uint64_t ticket, struct rg_http_client_response *response)
{
	struct servers *servers = context;
	int bundle = servers->requests[ticket - 1].bundle;

	memset(response, 0, sizeof(*response));
	servers->requests[ticket - 1].bundle = -1;
	if (!servers->version[bundle]) {
		response->status = rg_error_set(&response->error, RG_EIO, "the server is away");
	} else if (servers->requests[ticket - 1].has_current) {
		response->code = 304;
	} else {
		response->code = 200;
		snprintf(response->etag, sizeof(response->etag), "\"%d\"",
			 servers->version[bundle]);
		response->body =
			make_archive(bundle, servers->version[bundle], &response->body_bytes);
	}
	return RG_OK;
}

static void servers_cancel(void *context, uint64_t ticket)
{
	struct servers *servers = context;

	servers->requests[ticket - 1].bundle = -1;
}

struct fixture {
	struct servers servers;
	struct rg_http_client client;
	struct rg_config_service service;
	struct rg_config_bundle bundles[BUNDLES];
	struct rg_config_opa_sections config;
	struct rg_bundles *set;
	struct rg_policy_set *pushed; /* by the set, not yet settled */
	char why[128];
	bool has_policy;
	uint64_t now_ns;
	uint32_t told; /* times the listener was called */
};

static int take_push(void *context, struct rg_policy_set *set, const char *why,
		     struct rg_error *err)
{
	struct fixture *f = context;

	assert(!f->pushed); /* one at a time */
	f->pushed = set;
	snprintf(f->why, sizeof(f->why), "%s", why);
	return RG_OK;
}

static bool has_policy(void *context)
{
	struct fixture *f = context;

	return f->has_policy;
}

static void note(void *context, const char *event, const char *text)
{
	assert(strstr(event, "bundle=") && !strcmp(text, "the server is away"));
}

static void told(void *context, const char *name, const char *path, const char *etag,
		 const char *revision)
{
	struct fixture *f = context;

	assert(!access(path, R_OK) && etag[0] == '"' && revision[0]);
	f->told++;
}

static void start(struct fixture *f)
{
	const struct rg_bundles_listener listener = {told, f};
	const struct rg_bundles_options options = {.config = &f->config,
						   .state_directory = directory,
						   .client = &f->client,
						   .seed = 3,
						   .push = take_push,
						   .has_policy = has_policy,
						   .note = note,
						   .context = f};
	struct rg_error err;

	assert(!rg_bundles_new(&options, &f->set, &err));
	rg_bundles_listen(f->set, &listener);
}

static void open_fixture(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	for (int i = 0; i < 16; i++)
		f->servers.requests[i].bundle = -1;
	f->client =
		(struct rg_http_client){&f->servers, servers_submit, servers_take, servers_cancel};
	f->service = (struct rg_config_service){.name = (char *)"s", .url = (char *)"http://s"};
	for (int i = 0; i < BUNDLES; i++)
		f->bundles[i] = (struct rg_config_bundle){.name = (char *)names[i],
							  .service = (char *)"s",
							  .source = (char *)"bundle",
							  .trigger = (char *)"periodic",
							  .polling = {1000, 1000, 0},
							  .persist = true,
							  .size_limit_bytes = 1 << 20};
	f->config = (struct rg_config_opa_sections){.services = &f->service,
						    .services_count = 1,
						    .bundles = f->bundles,
						    .bundles_count = BUNDLES};
	f->now_ns = S;
	start(f);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void close_fixture(struct fixture *f)
{
	char path[128];

	rg_policy_set_free(f->pushed);
	rg_bundles_delete(f->set);
	snprintf(path, sizeof(path), "%s/bundles", directory);
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Turns for a while: every server is asked and its answer taken. */
static void turn(struct fixture *f)
{
	f->now_ns += 2 * S;
	for (int i = 0; i < 4; i++)
		rg_bundles_do_work(f->set, f->now_ns, f->now_ns);
}

/* Build what was pushed, as the thread would; its revision. */
static void build(struct fixture *f, char *revision)
{
	const struct rg_bundle_options options = {0};
	struct rg_bundle *bundle;
	struct rg_error err;

	if (rg_policy_set_load(f->pushed, &options, &bundle, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	strcpy(revision, bundle->revision);
	rg_bundle_free(bundle);
}

static void settle(struct fixture *f, bool good)
{
	struct rg_policy_set *set = f->pushed;
	struct rg_error err;

	f->pushed = NULL;
	rg_error_set(&err, RG_EMISSING, "a built-in is missing");
	rg_bundles_settled(f->set, set, good ? NULL : &err);
}

static void expect_push(struct fixture *f, const char *why, const char *expected)
{
	char revision[256];

	turn(f);
	assert(f->pushed && !strcmp(f->why, why));
	build(f, revision);
	if (strcmp(revision, expected)) {
		fprintf(stderr, "got %s, want %s\n", revision, expected);
		abort();
	}
}

static char *status_of(struct fixture *f)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	rg_bundles_write_status(f->set, &writer);
	assert(!writer.failed);
	return writer.text;
}

static void test_course(void)
{
	struct rg_bundles_statistics statistics;
	struct rg_error err;
	struct fixture f;
	char *status, *archive;
	size_t bytes;

	open_fixture(&f);
	f.servers.version[0] = f.servers.version[1] = 1;
	turn(&f);
	assert(!f.pushed); /* limits are missing */
	f.servers.version[2] = 1;
	expect_push(&f, "bundle rules", "rules=1,lists=1,limits=1");
	turn(&f);
	settle(&f, true);
	assert(f.told == 3);

	f.servers.version[1] = 2; /* one is new, two are: one after the other */
	f.servers.version[2] = 2;
	expect_push(&f, "bundle lists", "rules=1,lists=2,limits=1");
	settle(&f, true);
	expect_push(&f, "bundle limits", "rules=1,lists=2,limits=2");
	settle(&f, false); /* refused: it says so, and the last good stays in the next set */
	status = status_of(&f);
	assert(strstr(status, "\"last_error\":\"a built-in is missing\""));
	assert(strstr(status, "\"active_revision\":\"1\""));
	free(status);
	f.servers.version[2] = 1;
	f.servers.version[0] = 2;
	expect_push(&f, "bundle rules", "rules=2,lists=2,limits=1");
	settle(&f, true);
	rg_bundles_statistics(f.set, f.now_ns, &statistics);
	assert(statistics.activations == 5 && statistics.refusals[RG_BUNDLES_BUILTIN] == 1);

	/* a restart without servers: nothing is forgotten, and what changes builds on it */
	rg_bundles_delete(f.set);
	memset(f.servers.version, 0, sizeof(f.servers.version));
	f.has_policy = true;
	start(&f);
	turn(&f);
	assert(!f.pushed);
	status = status_of(&f);
	assert(strstr(status, "\"etag\":\"\\\"2\\\"\"") && strstr(status, "the server is away"));
	free(status);
	rg_bundles_statistics(f.set, f.now_ns + 100 * S, &statistics);
	assert(statistics.stale_seconds >= 100);
	f.servers.version[1] = 3;
	expect_push(&f, "bundle lists", "rules=2,lists=3,limits=1");
	settle(&f, true);

	/* the policy is lost: what is on disk becomes it */
	rg_bundles_delete(f.set);
	memset(f.servers.version, 0, sizeof(f.servers.version));
	f.has_policy = false;
	start(&f);
	expect_push(&f, "bundle on disk", "rules=2,lists=3,limits=1");
	settle(&f, true);

	/* from elsewhere */
	archive = make_archive(2, 7, &bytes);
	assert(rg_bundles_offer(f.set, "nothing", archive, bytes, "\"7\"", &err) == RG_ENOENT);
	assert(!rg_bundles_offer(f.set, "limits", archive, bytes, "\"7\"", &err));
	assert(rg_bundles_offer(f.set, "limits", archive, bytes, "\"7\"", &err) == RG_EAGAIN);
	free(archive);
	expect_push(&f, "bundle limits", "rules=2,lists=3,limits=7");
	settle(&f, true);
	assert(rg_bundles_trigger(f.set, "nothing", &err) == RG_ENOENT);
	assert(!rg_bundles_trigger(f.set, NULL, &err));
	close_fixture(&f);
}

/* Servers that go and come, builds that fail, restarts, against a model: the version of each that
 * was activated last. Versions only grow, so that none is refused for its age. */
static void test_random(void)
{
	unsigned seed = (unsigned)time(NULL);
	int active[BUNDLES] = {0}, next = 1;
	struct fixture f;

	printf("random bundles, seed %u\n", seed);
	open_fixture(&f);
	for (int i = 0; i < 300; i++) {
		int bundle = rand_r(&seed) % BUNDLES, found[BUNDLES];
		bool good = rand_r(&seed) % 3 > 0;
		char revision[256];

		switch (rand_r(&seed) % 4) {
		case 0: f.servers.version[bundle] = 0; break;
		case 1:
		case 2: f.servers.version[bundle] = next++; break;
		default:
			rg_policy_set_free(f.pushed);
			f.pushed = NULL;
			rg_bundles_delete(f.set);
			start(&f);
			f.has_policy = true;
		}
		turn(&f);
		if (!f.pushed)
			continue;
		build(&f, revision);
		assert(sscanf(revision, "rules=%d,lists=%d,limits=%d", &found[0], &found[1],
			      &found[2]) == 3);
		for (int b = 0; b < BUNDLES; b++) {
			if (f.pushed->members[b].is_fresh)
				assert(found[b] > active[b]);
			else
				assert(found[b] == active[b] && active[b]);
			if (good)
				active[b] = found[b];
		}
		settle(&f, good);
	}
	assert(active[0] && active[1] && active[2]);
	close_fixture(&f);
}

int main(void)
{
	rg_log_set_level(RG_LOG_ERROR);
	strcpy(directory, "/tmp/riskgate-bundles-XXXXXX");
	assert(mkdtemp(directory));
	test_course();
	test_random();
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

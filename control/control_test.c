/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskgate-control against a data plane that this test plays: publisher and worker of shm/, in the
 * same process for what is stepped by hand, in another for kill -9.
 *
 * Arguments: the stock schema, and the folder of the example policies.
 */
#include "control/control.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "journal/journal.h"
#include "policy/image/image.h"
#include "shm/image_file.h"
#include "shm/region.h"
#include "wire/sbe.h"
#include "wire/sbe_json.h"

#define DEADLINE_NS                                                                                \
	60000000000ull /* of anything waited for: far beyond what a slow machine needs */

static const char *schema_path, *examples_path;
static char root[64], region_directory[96], state_directory[96], socket_path[96],
	journal_directory[112];
static struct rg_config *config;
static struct rg_schema *schema;
static uint8_t request_message[1024];
static size_t request_bytes;

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct rg_control_clock clock_now(void)
{
	return (struct rg_control_clock){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_REALTIME)};
}

static void must(int rc, const struct rg_error *err)
{
	if (rc) {
		fprintf(stderr, "unexpected: %s\n", err->text);
		abort();
	}
}

static void configure(uint64_t ring_bytes, const char *bundle)
{
	char yaml[2048];
	struct rg_error err;

	rg_config_free(config);
	snprintf(yaml, sizeof(yaml),
		 "instance: test\nnode: 3\nregion: {directory: %s, ring_bytes: %llu}\nschema: %s\n"
		 "templates:\n  - {template: PaymentAuthorization, package: payments}\n"
		 "control: {socket: %s, state_directory: %s, bundle: \"%s\", opa: "
		 "/nonexistent/opa, keep_images: 5}\n"
		 "journal: {segment_bytes: 256KiB, sync_interval_ms: 5}\n"
		 "sinks:\n  sqlite: {enabled: true, batch: 500}\n",
		 region_directory, (unsigned long long)ring_bytes, schema_path, socket_path,
		 state_directory, bundle);
	must(rg_config_parse(yaml, strlen(yaml), root, &config, &err), &err);
}

/* Nothing left of the test before. */
static void fresh(uint64_t ring_bytes, const char *bundle)
{
	remove_tree(region_directory);
	remove_tree(state_directory);
	unlink(socket_path);
	configure(ring_bytes, bundle);
}

static const char *bundle_path(int revision)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/payments/bundles/payments-%d.tar.gz", examples_path,
		 revision);
	return path;
}

/* ---- the data plane that this test plays ---- */

struct dataplane {
	struct rg_region *region;
	struct rg_mailbox_publisher publisher;
	struct rg_ring_producer producers[2];
	uint32_t workers;
	uint64_t sequences[2];	    /* next of each worker */
	bool refuse, stuck, absent; /* what the publisher does with announcements */
	uint64_t refused;
};

static uint64_t newest_active(void)
{
	uint64_t newest = 0;
	uint32_t count;

	if (rg_image_file_list(region_directory, RG_IMAGE_FILE_ACTIVE, &newest, 1, &count, NULL) ||
	    !count)
		return 0;
	return newest;
}

static void dataplane_start(struct dataplane *dataplane, uint32_t workers, uint64_t ring_bytes)
{
	const struct rg_region_config wanted = {workers, ring_bytes, "test", 3};
	uint64_t loaded = newest_active();
	struct rg_error err;

	memset(dataplane, 0, sizeof(*dataplane));
	mkdir(region_directory, 0750);
	must(rg_region_create_dataplane(region_directory, &wanted, read_clock(CLOCK_REALTIME),
					&dataplane->region, &err),
	     &err);
	dataplane->workers = workers;
	rg_mailbox_restart(&dataplane->publisher, rg_region_dataplane(dataplane->region)->reply,
			   loaded, loaded ? 1 : 0, read_clock(CLOCK_REALTIME));
	for (uint32_t w = 0; w < workers; w++) {
		must(rg_region_producer(dataplane->region, w, &dataplane->producers[w], &err),
		     &err);
		dataplane->sequences[w] = 1;
	}
}

static void acknowledge(struct dataplane *dataplane, uint64_t sequence, enum rg_mailbox_state state,
			const char *text)
{
	struct rg_mailbox_step step = {.sequence = sequence,
				       .state = state,
				       .image_bytes = 1,
				       .text = text,
				       .now_ns = read_clock(CLOCK_REALTIME)};
	struct rg_error err;

	must(rg_mailbox_acknowledge(&dataplane->publisher, &step, &err), &err);
}

/* The publisher's turn: copy, verify, swap. */
static void dataplane_step(struct dataplane *dataplane)
{
	struct rg_mailbox_announcement announced;
	struct rg_image_file copy;
	struct rg_error err;

	if (dataplane->absent)
		return;
	rg_region_join_control(dataplane->region, NULL, &err);
	if (rg_mailbox_poll(&dataplane->publisher, rg_region_control(dataplane->region)->request,
			    &announced))
		return;
	acknowledge(dataplane, announced.sequence, RG_MAILBOX_COPYING, NULL);
	must(rg_image_file_copy(region_directory, announced.sequence, announced.image_bytes,
				(uint32_t)announced.crc32c, &copy, &err),
	     &err);
	acknowledge(dataplane, announced.sequence, RG_MAILBOX_VERIFYING, NULL);
	must(rg_image_verify(copy.map.at, copy.image_bytes, &err), &err);
	if (dataplane->refuse) {
		rg_image_file_discard(region_directory, &copy);
		acknowledge(dataplane, announced.sequence, RG_MAILBOX_REFUSED,
			    "it does not please");
		dataplane->refused++;
		return;
	}
	must(rg_image_file_activate(region_directory, &copy, &err), &err);
	acknowledge(dataplane, announced.sequence, RG_MAILBOX_SWAPPING, NULL);
	acknowledge(dataplane, announced.sequence, RG_MAILBOX_GRACE, NULL);
	if (dataplane->stuck)
		acknowledge(dataplane, announced.sequence, RG_MAILBOX_STUCK,
			    "worker 0 has not passed");
	else
		acknowledge(dataplane, announced.sequence, RG_MAILBOX_ACTIVE, NULL);
	rg_image_file_close(&copy);
}

/* One record of worker w into its ring. False: the ring is full. */
static bool record_one(struct dataplane *dataplane, uint32_t w, uint8_t verdict)
{
	uint32_t block_bytes = (uint32_t)request_bytes - RG_SBE_HEADER_BYTES;
	uint32_t bytes = rg_record_bytes(block_bytes, 0);
	struct rg_sbe_header header = rg_sbe_header_read(request_message);
	struct rg_record *record =
		(struct rg_record *)rg_ring_reserve(&dataplane->producers[w], bytes);

	if (!record)
		return false;
	memset(record, 0, sizeof(*record));
	record->length = bytes;
	record->kind = RG_RECORD_DECISION;
	record->version = RG_RECORD_VERSION;
	record->worker = (uint16_t)w;
	record->node = 3;
	record->epoch = rg_region_epoch(dataplane->region, RG_REGION_DATAPLANE);
	record->sequence = dataplane->sequences[w]++;
	record->receive_time_ns = read_clock(CLOCK_REALTIME);
	record->policy_sequence = dataplane->publisher.progress.active_sequence;
	record->schema_id = header.schema_id;
	record->template_id = header.template_id;
	record->schema_version = header.version;
	record->block_length = header.block_length;
	record->verdict = verdict;
	record->reason_count = verdict == 2 ? 1 : 0;
	record->reasons_fired = record->reason_count;
	record->reasons[0] = record->reason_count;
	record->request_bytes = (uint16_t)block_bytes;
	memcpy(record + 1, request_message + RG_SBE_HEADER_BYTES, block_bytes);
	rg_ring_commit(&dataplane->producers[w]);
	return true;
}

/* ---- asking control ---- */

struct client {
	int fd;
	char answer[1 << 18];
	size_t bytes;
};

static void client_connect(struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(client->fd >= 0 &&
	       !connect(client->fd, (struct sockaddr *)&address, sizeof(address)));
	assert(!fcntl(client->fd, F_SETFL, O_NONBLOCK));
}

static void client_send(struct client *client, const char *line)
{
	client->bytes = 0;
	assert(write(client->fd, line, strlen(line)) == (ssize_t)strlen(line) &&
	       write(client->fd, "\n", 1) == 1);
}

/* Has the whole answer come? */
static bool client_poll(struct client *client)
{
	ssize_t n = read(client->fd, client->answer + client->bytes,
			 sizeof(client->answer) - 1 - client->bytes);

	if (n > 0)
		client->bytes += (size_t)n;
	client->answer[client->bytes] = '\0';
	return client->bytes && client->answer[client->bytes - 1] == '\n';
}

/* Step everything until the answer is there. */
static const char *ask(struct rg_control *control, struct dataplane *dataplane,
		       struct client *client, const char *line)
{
	uint64_t begin_ns = read_clock(CLOCK_MONOTONIC);

	client_send(client, line);
	while (!client_poll(client)) {
		if (!rg_control_do_work(control, clock_now()))
			poll(NULL, 0, 1);
		if (dataplane)
			dataplane_step(dataplane);
		assert(read_clock(CLOCK_MONOTONIC) - begin_ns < DEADLINE_NS);
	}
	return client->answer;
}

static void want(const char *answer, const char *text)
{
	if (!strstr(answer, text))
		fprintf(stderr, "no %s in: %s\n", text, answer);
	assert(strstr(answer, text));
}

/* Ask for the status until it says `text`. */
static void wait_for_status(struct rg_control *control, struct dataplane *dataplane,
			    struct client *client, const char *text)
{
	uint64_t begin_ns = read_clock(CLOCK_MONOTONIC);

	while (!strstr(ask(control, dataplane, client, "{\"command\":\"status\"}"), text)) {
		if (read_clock(CLOCK_MONOTONIC) - begin_ns >= DEADLINE_NS)
			want(client->answer, text);
		poll(NULL, 0, 2);
	}
}

static struct rg_control *start_control(struct client *client)
{
	struct rg_control *control;
	struct rg_error err;

	must(rg_control_new(config, NULL, clock_now(), &control, &err), &err);
	client_connect(client);
	return control;
}

static void stop_control(struct rg_control *control, struct client *client)
{
	close(client->fd);
	rg_control_stop(control, clock_now, 1000000000);
	rg_control_delete(control);
}

static char *push_line(int revision, int wait_ms)
{
	static char line[1024];

	snprintf(line, sizeof(line), "{\"command\":\"policy.push\",\"path\":\"%s\",\"wait_ms\":%d}",
		 bundle_path(revision), wait_ms);
	return line;
}

/* ---- policies ---- */

static void test_push_and_rollback(void)
{
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;

	fresh(65536, "");
	dataplane_start(&dataplane, 1, 65536);
	control = start_control(&client);
	want(ask(control, &dataplane, &client, "{\"command\":\"status\"}"), "\"sequence\":0");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.show\"}"),
	     "\"status\":\"not_found\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\"}"),
	     "no earlier policy");
	want(ask(control, &dataplane, &client, push_line(1, 30000)), "\"ok\":true,\"sequence\":1,");
	want(client.answer, "\"revision\":\"payments-1\",\"state\":\"active\"");
	want(client.answer, "\"announce_to_active_ns\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"reasons\"}"),
	     "{\"id\":1,\"name\":\"");
	want(ask(control, &dataplane, &client, push_line(2, 30000)), "\"ok\":true,\"sequence\":2,");

	/* refusals: the policy in use stays, the error is kept */
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"policy.push\",\"path\":\"/nonexistent\"}"),
	     "\"ok\":false");
	want(client.answer, "\"status\":\"not_found\"");
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"policy.push\",\"path\":\"relative\"}"),
	     "absolute path");
	want(ask(control, &dataplane, &client, "{\"command\":\"status\"}"),
	     "\"last_error\":\"/nonexistent");
	want(client.answer, "\"sequence\":2,\"bundle\":\"payments-2\",\"revision\":\"payments-2\"");
	dataplane.refuse = true;
	want(ask(control, &dataplane, &client, push_line(1, 30000)),
	     "refused by the data plane: it does not please");
	dataplane.refuse = false;
	assert(dataplane.refused == 1);
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.list\"}"),
	     "\"current\":2,\"policies\":[{\"sequence\":2,\"state\":\"active\"");
	want(client.answer, "{\"sequence\":1,\"state\":\"replaced\"");
	assert(!strstr(client.answer, "\"sequence\":4"));

	/* a stuck worker is told at once; the push goes on */
	dataplane.stuck = true;
	want(ask(control, &dataplane, &client, push_line(1, 30000)),
	     "\"state\":\"stuck\",\"text\":\"worker 0 has not passed\"");
	dataplane.stuck = false;
	acknowledge(&dataplane, 5, RG_MAILBOX_ACTIVE, NULL);
	wait_for_status(control, &dataplane, &client, "\"sequence\":5,\"bundle\":\"payments-1\"");

	/* roll back: the earlier content under a new sequence */
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\"}"),
	     "\"sequence\":6,\"bundle\":\"payments-2\",\"revision\":\"payments-2\",\"state\":"
	     "\"active\"");
	want(client.answer, "\"rollback_of\":2");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\",\"sequence\":1}"),
	     "\"sequence\":7,\"bundle\":\"payments-1\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\",\"sequence\":99}"),
	     "no stored policy 99");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.show\",\"sequence\":7}"),
	     "\"why\":\"rollback to 1\"");

	/* no answer from the data plane in time: announced, and active as soon as it is back */
	dataplane.absent = true;
	want(ask(control, &dataplane, &client, push_line(2, 20)),
	     "\"sequence\":8,\"bundle\":\"payments-2\",\"revision\":\"payments-2\",\"state\":"
	     "\"announced\"");
	dataplane.absent = false;
	wait_for_status(control, &dataplane, &client, "\"sequence\":8,\"bundle\":\"payments-2\"");
	stop_control(control, &client);
	rg_region_close(dataplane.region);
}

/* What would change, what has changed, and what is known of it afterwards. */
static void test_versions(void)
{
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;
	char line[1024];

	fresh(65536, "");
	dataplane_start(&dataplane, 1, 65536);
	control = start_control(&client);
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.diff\"}"),
	     "no two policies to compare");
	want(ask(control, &dataplane, &client, push_line(1, 30000)), "\"sequence\":1,");

	/* a dry run tells what a push would do, and does none of it */
	snprintf(line, sizeof(line),
		 "{\"command\":\"policy.push\",\"path\":\"%s\",\"dry_run\":true}", bundle_path(2));
	want(ask(control, &dataplane, &client, line),
	     "\"state\":\"dry_run\",\"bundle\":\"payments-2\",\"revision\":\"payments-2\"");
	want(client.answer, "\"compared_with\":1,\"difference\":{\"rules\":{\"added\":[],"
			    "\"removed\":[],\"changed\":[\"data.payments.signals\"]");
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"policy.push\",\"path\":\"/nonexistent\",\"dry_run\":true}"),
	     "\"status\":\"not_found\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"status\"}"),
	     "\"accepted\":1,\"refused\":0,\"under_way\":0}");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.history\"}"),
	     "{\"ok\":true,\"count\":1,");
	snprintf(line, sizeof(line), "%s/policies/2.new", state_directory);
	assert(access(line, F_OK));

	/* a reason may be required of users */
	config->control.require_reason = true;
	want(ask(control, &dataplane, &client, push_line(2, 30000)), "a reason is required");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\",\"sequence\":1}"),
	     "a reason is required");
	snprintf(line, sizeof(line),
		 "{\"command\":\"policy.push\",\"path\":\"%s\",\"reason\":\"May \\\"limits\\\"\"}",
		 bundle_path(2));
	want(ask(control, &dataplane, &client, line), "\"sequence\":2,");
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"policy.rollback\",\"reason\":\"too strict\"}"),
	     "\"sequence\":3,\"bundle\":\"payments-1\"");

	/* the stored policies are compared with their Rego; a rollback differs in nothing */
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"policy.diff\",\"from\":1,\"sequence\":2}"),
	     "\"from\":{\"sequence\":1,\"bundle\":\"payments-1\",\"revision\":\"payments-1\"}");
	want(client.answer, "\"file\":\"payments.rego\",\"change\":\"changed\",\"added_lines\":6");
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"policy.diff\",\"from\":1,\"sequence\":3}"),
	     "\"identical\":true");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.diff\",\"from\":9}"),
	     "no stored policy 9");

	/* who, when, why; still there after a restart */
	stop_control(control, &client);
	control = start_control(&client);
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.history\",\"limit\":1}"),
	     "\"count\":3,\"events\":[{\"n\":3,");
	want(client.answer, "\"event\":\"active\",\"sequence\":3,");
	want(client.answer, "\"why\":\"rollback to 1\",\"reason\":\"too strict\"");
	assert(!strstr(client.answer, "\"n\":2,"));
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.show\",\"sequence\":2}"),
	     "\"reason\":\"May \\\"limits\\\"\"");
	stop_control(control, &client);
	rg_region_close(dataplane.region);
}

/* What waits for a second identity is published by nothing else: not a restart, not a rollback, not
 * who pushed it. */
static void test_four_eyes(void)
{
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;
	char path[128];

	fresh(65536, "");
	config->four_eyes.enabled = true;
	dataplane_start(&dataplane, 1, 65536);
	control = start_control(&client);
	want(ask(control, &dataplane, &client, push_line(1, 30000)),
	     "\"sequence\":1,\"bundle\":\"payments-1\",\"revision\":\"payments-1\",\"state\":"
	     "\"waiting\"");
	snprintf(path, sizeof(path), "%s/image-1", region_directory);
	assert(access(path, F_OK)); /* there is no image to announce */
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\",\"sequence\":1}"),
	     "waits for approval");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.approve\",\"sequence\":1}"),
	     "a second identity must approve it");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.approve\",\"sequence\":2}"),
	     "no policy 2 waits");
	stop_control(control, &client);
	control = start_control(&client);
	want(ask(control, &dataplane, &client, "{\"command\":\"status\"}"),
	     "\"policy\":{\"sequence\":0,");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.list\"}"),
	     "{\"sequence\":1,\"state\":\"waiting\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.reject\",\"sequence\":1}"),
	     "\"state\":\"rejected\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.list\"}"), "\"policies\":[]");

	/* nobody approves in time */
	config->four_eyes.expire_s = 1;
	want(ask(control, &dataplane, &client, push_line(2, 30000)), "\"state\":\"waiting\"");
	for (uint64_t begin_ns = read_clock(CLOCK_MONOTONIC);
	     !strstr(ask(control, &dataplane, &client, "{\"command\":\"policy.list\"}"),
		     "\"policies\":[]");
	     poll(NULL, 0, 20))
		assert(read_clock(CLOCK_MONOTONIC) - begin_ns < DEADLINE_NS);
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.history\"}"),
	     "\"event\":\"expired\",\"sequence\":2,");
	want(client.answer, "\"event\":\"rejected\",\"sequence\":1,");

	/* back to what was in use needs nobody, unless that is configured too */
	config->four_eyes.enabled = false;
	want(ask(control, &dataplane, &client, push_line(1, 30000)), "\"state\":\"active\"");
	want(ask(control, &dataplane, &client, push_line(2, 30000)), "\"state\":\"active\"");
	config->four_eyes.enabled = true;
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\"}"),
	     "\"bundle\":\"payments-1\",\"revision\":\"payments-1\",\"state\":\"active\"");
	config->four_eyes.rollbacks = true;
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.rollback\"}"),
	     "\"state\":\"waiting\"");
	stop_control(control, &client);
	rg_region_close(dataplane.region);
}

static void test_bad_commands(void)
{
	static const char *const bad[][2] = {
		{"{", "malformed JSON"},
		{"[]", "a command is a JSON object"},
		{"{}", "unknown command \\\"\\\""},
		{"{\"command\":\"x\"}", "unknown command"},
		{"{\"command\":7}", "must be a string"},
		{"{\"command\":\"status\"} x", "text after the document"},
		{"{\"command\":\"status\",\"colour\":1}", "unknown key"},
		{"{\"command\":\"policy.push\",\"v0\":{\"path\":\"/x\"}}", "true or false"},
		{"{\"command\":\"policy.push\",\"dry_run\":1}", "true or false"},
		{"{\"command\":\"policy.show\",\"sequence\":-1}", "unsigned integer"},
		{"{\"command\":\"policy.show\",\"sequence\":1.5}", "unsigned integer"},
		{"{\"command\":\"decisions\",\"verdict\":\"MAYBE\"}", "\"ok\":false"}};
	struct rg_control *control;
	struct client client;

	fresh(65536, "");
	control = start_control(&client);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		want(ask(control, NULL, &client, bad[i][0]), "\"ok\":false");
		want(client.answer, bad[i][1]);
	}
	want(ask(control, NULL, &client, "{\"command\":\"status\"}"), "\"ok\":true");
	want(ask(control, NULL, &client, "{\"command\":\"journal\"}"), "\"frames\":0");
	stop_control(control, &client);
}

/* control.bundle at the first start; after that, whoever restarts, the policy stays what it was. */
static void test_restarts(void)
{
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;

	fresh(65536, bundle_path(1));
	control = start_control(&client); /* the data plane is not there yet */
	wait_for_status(control, NULL, &client, "\"under_way\":1");
	dataplane_start(&dataplane, 1, 65536);
	wait_for_status(control, &dataplane, &client, "\"sequence\":1,\"bundle\":\"payments-1\"");
	want(client.answer, "\"under_way\":0");

	/* control restarts: nothing is published */
	stop_control(control, &client);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"sequence\":1,\"bundle\":\"payments-1\"");
	want(client.answer, "\"under_way\":0");
	want(ask(control, &dataplane, &client, push_line(2, 30000)), "\"sequence\":2,");
	stop_control(control, &client);

	/* the data plane restarts with the image it has */
	rg_region_close(dataplane.region);
	dataplane_start(&dataplane, 1, 65536);
	assert(dataplane.publisher.progress.active_sequence == 2);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"sequence\":2,\"bundle\":\"payments-2\"");

	/* announced while no data plane ran, then control restarts: it is still waited for */
	dataplane.absent = true;
	want(ask(control, &dataplane, &client, push_line(1, 1)), "\"sequence\":3,");
	stop_control(control, &client);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"under_way\":1");
	dataplane.absent = false;
	wait_for_status(control, &dataplane, &client, "\"sequence\":3,\"bundle\":\"payments-1\"");
	stop_control(control, &client);

	/* the machine restarts: the region is gone, the last policy is published again, under its
	 * own number */
	rg_region_close(dataplane.region);
	remove_tree(region_directory);
	dataplane_start(&dataplane, 1, 65536);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"sequence\":3,\"bundle\":\"payments-1\"");
	want(ask(control, &dataplane, &client, "{\"command\":\"policy.list\"}"),
	     "{\"sequence\":3,\"state\":\"active\"");
	/* and a new one gets a number that was never used */
	want(ask(control, &dataplane, &client, push_line(2, 30000)), "\"sequence\":4,");
	stop_control(control, &client);
	rg_region_close(dataplane.region);
}

/* ---- records ---- */

/* How many records the journal has of each worker in all epochs; each sequence exactly once and in
 * order. */
static uint64_t count_journal(void)
{
	struct {
		uint64_t epoch;
		uint16_t worker;
		uint64_t sequence;
	} seen[64] = {0};
	struct rg_journal_reader *reader;
	struct rg_journal_frame frame;
	struct rg_error err;
	uint64_t total = 0;
	int rc;

	must(rg_journal_reader_open(journal_directory, NULL, &reader, &err), &err);
	while (!(rc = rg_journal_reader_next(reader, &frame, &err))) {
		const struct rg_record *record = frame.payload;
		int at = 0;

		if (frame.kind != RG_JOURNAL_RECORD)
			continue;
		must(rg_record_check(frame.payload, frame.payload_bytes, &err), &err);
		while (seen[at].epoch &&
		       (seen[at].epoch != record->epoch || seen[at].worker != record->worker))
			at++;
		assert(at < 63);
		seen[at].epoch = record->epoch;
		seen[at].worker = record->worker;
		assert(record->sequence == ++seen[at].sequence);
		total++;
	}
	if (rc != RG_EAGAIN)
		must(rc, &err);
	rg_journal_reader_close(reader);
	return total;
}

static uint64_t count_sqlite(const char *sql)
{
	char path[128];
	sqlite3_stmt *statement;
	sqlite3 *database;
	uint64_t count;

	snprintf(path, sizeof(path), "%s/decisions.sqlite", state_directory);
	assert(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
	assert(sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
	       sqlite3_step(statement) == SQLITE_ROW);
	count = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(database);
	return count;
}

static void want_stored(uint64_t records)
{
	uint64_t journaled = count_journal(),
		 stored = count_sqlite("SELECT count(*) FROM decisions");

	if (journaled != records || stored != records)
		fprintf(stderr, "made %llu, journaled %llu, stored %llu\n",
			(unsigned long long)records, (unsigned long long)journaled,
			(unsigned long long)stored);
	assert(journaled == records && stored == records);
	assert(count_sqlite("SELECT count(*) FROM (SELECT DISTINCT node, epoch, worker, sequence "
			    "FROM decisions)") == records);
}

/* Make `count` records in turn over the workers; what does not fit waits for control. */
static void make_records(struct rg_control *control, struct dataplane *dataplane, uint64_t count)
{
	uint64_t begin_ns = read_clock(CLOCK_MONOTONIC);

	for (uint64_t made = 0; made < count;) {
		if (record_one(dataplane, (uint32_t)(made % dataplane->workers),
			       (uint8_t)(1 + made % 3)))
			made++;
		else
			rg_control_do_work(control, clock_now());
		if (made % 64 == 0)
			dataplane_step(dataplane); /* joins control's file: its cursors */
		assert(read_clock(CLOCK_MONOTONIC) - begin_ns < DEADLINE_NS);
	}
}

static void test_records(void)
{
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;
	uint64_t total = 0;
	int saved, log;
	char logged[20000];
	ssize_t bytes;

	fresh(65536, bundle_path(1));
	dataplane_start(&dataplane, 2, 65536);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"sequence\":1,");
	make_records(control, &dataplane, 3000);
	total += 3000;
	wait_for_status(control, &dataplane, &client,
			"\"journaled\":3000,\"stored\":3000,\"lag\":0");
	want(client.answer, "\"missing\":0,\"corrupt\":0");
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"decisions\",\"limit\":2,\"verdict\":\"DENY\"}"),
	     "\"revision\":\"payments-1\"");
	want(client.answer, "\"verdict\":\"DENY\"");
	want(client.answer, "\"template\":\"PaymentAuthorization\"");
	want(client.answer, "\"reasons\":[\"");
	want(client.answer, "\"request\":{\"request_id\":");
	want(ask(control, &dataplane, &client,
		 "{\"command\":\"decisions\",\"request_id\":4711,\"limit\":1}"),
	     "\"request_id\":4711");

	/* the data plane restarts: a new epoch, sequences from 1, what was in the rings is not lost
	 */
	assert(record_one(&dataplane, 0, 1));
	total++;
	rg_region_close(dataplane.region);
	dataplane_start(&dataplane, 2, 65536);
	make_records(control, &dataplane, 500);
	total += 500;
	wait_for_status(control, &dataplane, &client,
			"\"journaled\":3501,\"stored\":3501,\"lag\":0");

	/* one with another layout: the old file is drained first, then removed */
	assert(record_one(&dataplane, 0, 1) && record_one(&dataplane, 1, 1));
	total += 2;
	rg_region_close(dataplane.region);
	dataplane_start(&dataplane, 1, 131072);
	make_records(control, &dataplane, 700);
	total += 700;
	wait_for_status(control, &dataplane, &client,
			"\"journaled\":4203,\"stored\":4203,\"lag\":0");

	/* a gap and garbage are seen and counted */
	dataplane.sequences[0] += 10;
	assert(record_one(&dataplane, 0, 1));
	memset(rg_ring_reserve(&dataplane.producers[0], 200), 0xee, 200);
	rg_ring_commit(&dataplane.producers[0]);
	assert(record_one(&dataplane, 0, 1));
	wait_for_status(control, &dataplane, &client, "\"missing\":10,\"corrupt\":1");
	wait_for_status(control, &dataplane, &client, "\"stored\":4205,");
	total += 2;

	/* a gap before each record: all are counted, the log does not get a line for each */
	saved = dup(STDERR_FILENO);
	log = open(root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert(saved >= 0 && log >= 0 && dup2(log, STDERR_FILENO) >= 0);
	for (int i = 0; i < 200; i++) {
		dataplane.sequences[0]++;
		assert(record_one(&dataplane, 0, 1));
	}
	total += 200;
	wait_for_status(control, &dataplane, &client, "\"missing\":210,\"corrupt\":1");
	assert(dup2(saved, STDERR_FILENO) >= 0);
	bytes = pread(log, logged, sizeof(logged) - 1, 0);
	assert(bytes >= 0 && bytes < 10000);
	close(saved);
	close(log);
	stop_control(control, &client);
	assert(count_sqlite("SELECT count(*) FROM decisions") == total);
	rg_region_close(dataplane.region);
}

/* The journal's disk is full: records wait in the ring, then go on, none lost. */
static void test_disk_full(void)
{
	struct rlimit full = {2000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;
	uint64_t made = 0;
	char stored[64];

	fresh(65536, bundle_path(1));
	dataplane_start(&dataplane, 1, 65536);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"sequence\":1,");
	make_records(control, &dataplane, 10);
	wait_for_status(control, &dataplane, &client, "\"stored\":10,\"lag\":0");
	signal(SIGXFSZ, SIG_IGN);
	assert(!setrlimit(RLIMIT_FSIZE, &full));
	while (record_one(&dataplane, 0, 1))
		made++;
	for (int i = 0; i < 50; i++)
		rg_control_do_work(control, clock_now());
	assert(!record_one(&dataplane, 0, 1)); /* nothing was released */
	assert(!setrlimit(RLIMIT_FSIZE, &none));
	while (!record_one(&dataplane, 0, 1)) {
		rg_control_do_work(control, clock_now());
		poll(NULL, 0, 1);
	}
	made++;
	snprintf(stored, sizeof(stored), "\"stored\":%llu,\"lag\":0",
		 (unsigned long long)(10 + made));
	wait_for_status(control, &dataplane, &client, stored);
	stop_control(control, &client);
	want_stored(10 + made);
	rg_region_close(dataplane.region);
}

/* Bytes in the journal's last segment. */
static uint64_t segment_bytes(struct rg_control *control, struct dataplane *dataplane,
			      struct client *client)
{
	static const char key[] = "\"segment_bytes\":";
	const char *answer = ask(control, dataplane, client, "{\"command\":\"journal\"}");

	want(answer, key);
	return strtoull(strstr(answer, key) + strlen(key), NULL, 10);
}

/* The journal's disk is full, the others are not: a client that pushes is answered when its time is
 * up, and the policy comes when there is room. */
static void test_push_while_disk_full(void)
{
	struct rlimit full = {240 << 10, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	struct dataplane dataplane;
	struct rg_control *control;
	struct client client;

	fresh(65536, bundle_path(1));
	dataplane_start(&dataplane, 1, 65536);
	control = start_control(&client);
	wait_for_status(control, &dataplane, &client, "\"sequence\":1,");
	while (segment_bytes(control, &dataplane, &client) <= full.rlim_cur)
		make_records(control, &dataplane, 20);
	signal(SIGXFSZ, SIG_IGN);
	assert(!setrlimit(RLIMIT_FSIZE, &full));
	want(ask(control, &dataplane, &client, push_line(2, 100)), "\"state\":\"stored\"");
	assert(!setrlimit(RLIMIT_FSIZE, &none));
	wait_for_status(control, &dataplane, &client, "\"sequence\":2,");
	stop_control(control, &client);
	rg_region_close(dataplane.region);
}

/* ---- kill -9 ---- */

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number)
{
	stop_asked = number;
}

/* Control in a process of its own, as main() runs it. */
static pid_t fork_control(void)
{
	struct rg_control *control;
	struct rg_error err;
	pid_t child;

	signal(SIGTERM,
	       ask_to_stop); /* before the fork: the child must not be without it for a moment */
	child = fork();
	assert(child >= 0);
	if (child)
		return child;
	must(rg_control_new(config, NULL, clock_now(), &control, &err), &err);
	while (!stop_asked) {
		if (!rg_control_do_work(control, clock_now()))
			poll(NULL, 0, 1);
	}
	rg_control_stop(control, clock_now, 5000000000ull);
	rg_control_delete(control);
	_exit(0);
}

/* Control is killed at random moments while workers write records and policies are pushed at every
 * start; afterwards every record is in the journal and in SQLite exactly once, and the policy in
 * use is one of the store. */
static void test_kill(void)
{
	const unsigned seed = 31337;
	struct dataplane dataplane;
	uint64_t made = 0;
	int status;
	pid_t child;

	printf("kill -9 of control, seed %u\n", seed);
	srand(seed);
	fresh(1 << 20, bundle_path(1));
	dataplane_start(&dataplane, 2, 1 << 20);
	for (int round = 0; round < 20; round++) {
		uint64_t until_ns;

		child = fork_control();
		until_ns = read_clock(CLOCK_MONOTONIC) + (uint64_t)(rand() % 60000) * 1000;
		while (read_clock(CLOCK_MONOTONIC) < until_ns) {
			for (int i = 0; i < 50; i++)
				made += record_one(&dataplane, (uint32_t)(rand() % 2), 1);
			dataplane_step(&dataplane);
			poll(NULL, 0, 1);
		}
		assert(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child &&
		       WIFSIGNALED(status));
	}
	child = fork_control();
	while (dataplane.publisher.progress.active_sequence == 0) {
		dataplane_step(&dataplane);
		poll(NULL, 0, 1);
	}
	assert(!kill(child, SIGTERM) && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       !WEXITSTATUS(status));
	assert(made > 1000);
	want_stored(made);
	printf("%llu records\n", (unsigned long long)made);
	rg_region_close(dataplane.region);
}

static void make_request(void)
{
	static const char json[] = "{\"request_id\":4711,\"amount\":12.50}";
	struct rg_error err;

	must(rg_schema_load(schema_path, &schema, &err), &err);
	must(rg_sbe_from_json(schema, "PaymentAuthorization", json, strlen(json), request_message,
			      sizeof(request_message), &request_bytes, &err),
	     &err);
}

int main(int argc, char **argv)
{
	assert(argc == 3);
	schema_path = argv[1];
	examples_path = argv[2];
	snprintf(root, sizeof(root), "/dev/shm/riskgate-control-test-XXXXXX");
	assert(mkdtemp(root));
	snprintf(region_directory, sizeof(region_directory), "%s/region", root);
	snprintf(state_directory, sizeof(state_directory), "%s/state", root);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", root);
	snprintf(journal_directory, sizeof(journal_directory), "%s/journal", state_directory);
	rg_log_set_level(RG_LOG_WARNING);
	make_request();
	test_push_and_rollback();
	test_versions();
	test_four_eyes();
	test_bad_commands();
	test_restarts();
	test_records();
	test_disk_full();
	test_push_while_disk_full();
	test_kill();
	rg_config_free(config);
	rg_schema_free(schema);
	remove_tree(root);
	return 0;
}

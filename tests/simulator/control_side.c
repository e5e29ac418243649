/* SPDX-License-Identifier: Apache-2.0 */
#include "control_side.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/state.h"
#include "model.h"
#include "policy/image/image.h"
#include "power.h"
#include "world.h"

#define FDS_MAX		  512
#define ANSWER_BYTES	  65536
#define PUSH_STEPS_MAX	  20000
#define REFUSAL_PPM	  30000
#define BROKEN_BUNDLE_1IN 8

static struct rg_control *control;
static struct rg_config *config;
static char *plan;
static size_t plan_bytes;

static struct rg_control_clock now(void)
{
	return (struct rg_control_clock){world.monotonic_ns, world.unix_ns};
}

bool control_up(void)
{
	return control != NULL;
}

/* ---- the compiler ---- */

/* The real one; now and then it refuses, and each revision has a reason name of its own. */
static int compile(const struct rg_compile_options *options, void **image, size_t *image_bytes,
		   struct rg_error *err)
{
	int rc;

	if (!world.calm && happens(REFUSAL_PPM)) {
		note_fault(&world.errors);
		return rg_error_set(err, RG_EMISSING, "the compiler does not like it");
	}
	rc = rg_compile(options, image, image_bytes, err);
	if (rc)
		return rc;
	rg_reason_list_add(options->reasons, options->revision, strlen(options->revision));
	model_compiled(options->sequence, options->revision, *image, *image_bytes);
	return RG_OK;
}

static const struct rg_compiler compiler = {compile, rg_image_verify};

/* ---- configuration ---- */

static void read_plan(void)
{
	FILE *file = fopen(world.plan_path, "rb");

	plan = malloc(1 << 20);
	if (!file || !plan)
		fail("%s cannot be read", world.plan_path);
	plan_bytes = fread(plan, 1, 1 << 20, file);
	fclose(file);
}

static void configure(void)
{
	char yaml[2048];
	struct rg_error err;

	snprintf(yaml, sizeof(yaml),
		 "instance: simulator\nnode: 3\nregion: {directory: %s, ring_bytes: %d}\nschema: "
		 "%s\n"
		 "templates:\n  - {template: PaymentAuthorization, package: risk_control}\n"
		 "control: {socket: %s, state_directory: %s, opa: /nonexistent/opa, keep_images: "
		 "3}\n"
		 "journal: {segment_bytes: %lluKiB, sync_interval_ms: 5}\n"
		 "sinks:\n  sqlite: {enabled: true, batch: %llu}\n",
		 world.region, RING_BYTES, world.schema_path, world.socket, world.state,
		 (unsigned long long)(64 << roll(3)), (unsigned long long)(10 + roll(300)));
	must(rg_config_parse(yaml, strlen(yaml), world.root, &config, &err), &err);
	read_plan();
}

/* ---- life and death ---- */

static void mark_open(bool open[FDS_MAX])
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		open[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* The control file that a start which died had mapped: its lock lives as long as the mapping. The
 * data plane's own mapping of it is read-only. */
static void unmap_control_file(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[PATH_BYTES * 2], path[PATH_BYTES + 16];
	unsigned long begin, end;

	snprintf(path, sizeof(path), "%s/control", world.region);
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, path) && sscanf(line, "%lx-%lx rw-s", &begin, &end) == 2 &&
		    strstr(line, " rw-s "))
			munmap((void *)begin, end - begin);
	if (maps)
		fclose(maps);
}

/* What a start that died had opened: its locks go with it. */
static void close_unmarked(const bool open[FDS_MAX])
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (!open[fd])
			close(fd);
	unmap_control_file();
}

static void client_disconnect(void);

void control_start(void)
{
	static bool open[FDS_MAX];
	uint64_t faults = world.faults;
	struct rg_error err;
	int rc;

	if (!config)
		configure();
	trace("control starts");
	mark_open(open);
	world.actor = ACTOR_CONTROL;
	if (setjmp(world.death)) {
		world.actor = ACTOR_NOBODY;
		trace("  dies at %s", world.died_at);
		control = NULL;
		close_unmarked(open);
		return;
	}
	rc = rg_control_new_by_hand(config, &compiler, now(), &control, &err);
	world.actor = ACTOR_NOBODY;
	if (!rc)
		return;
	control = NULL;
	if (world.faults == faults)
		fail("control does not start: %s", err.text);
	trace("  it does not");
}

/* A write that was under way may have been torn: bytes behind the journal's end that are no frame,
 * or part of one. */
static void tear_journal(const struct rg_journal_position *end)
{
	char path[PATH_BYTES + 64];
	uint8_t bytes[256];
	size_t count = 1 + roll(sizeof(bytes));
	struct stat status;
	int fd;

	if (!end->index && !end->segment && !end->offset)
		return;
	snprintf(path, sizeof(path), "%s/journal-%020llu.rgj", world.journal,
		 (unsigned long long)end->segment);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return; /* between two segments */
	if (fstat(fd, &status) || (uint64_t)status.st_size != end->offset) {
		close(fd); /* it was done: nothing of it is torn */
		return;
	}
	/* of an old frame, or anything */
	if (roll(2) || pread(fd, bytes, count, 64) != (ssize_t)count)
		for (size_t i = 0; i < count; i++)
			bytes[i] = (uint8_t)roll(256);
	if (pwrite(fd, bytes, count, (off_t)end->offset) != (ssize_t)count)
		fail("%s: %s", path, strerror(errno));
	close(fd);
	trace("  %zu bytes torn at %llu of segment %llu", count, (unsigned long long)end->offset,
	      (unsigned long long)end->segment);
}

void control_kill(void)
{
	struct rg_journal_statistics journal;
	struct rg_journal_position end;
	bool was_writing;

	trace("control dies");
	model_read_journal(); /* while it is whole */
	rg_journal_writer_statistics(control->journal, &journal);
	rg_journal_writer_end(control->journal, &end);
	was_writing = journal.staged_bytes > 0;
	rg_control_delete(control);
	control = NULL;
	client_disconnect();
	if (was_writing && roll(2))
		tear_journal(&end);
}

/* ---- power ---- */

/* The farthest place that was durable: what was synced stays so, whoever dies. */
static struct rg_journal_position durable;

static void look_at_durable(void)
{
	struct rg_journal_position at;

	rg_journal_writer_durable(control->journal, &at);
	if (at.index > durable.index)
		durable = at;
}

void control_lose_power(void)
{
	model_read_journal();
	look_at_durable();
	rg_control_delete(control);
	control = NULL;
	client_disconnect();
	note_fault(&world.power_losses);
	trace("power lost: frames below %llu are durable", (unsigned long long)durable.index);
	power_fail(world.journal);
	model_power_lost(durable.index);
}

/* ---- steps ---- */

static bool died(void)
{
	world.actor = ACTOR_NOBODY;
	trace("  at %s", world.died_at);
	control_kill();
	return true;
}

uint32_t control_step(void)
{
	uint32_t work;

	world.actor = ACTOR_CONTROL;
	if (setjmp(world.death) && died())
		return 1;
	work = rg_control_do_work(control, now());
	world.actor = ACTOR_NOBODY;
	look_at_durable();
	return work;
}

bool control_step_slow(enum rg_control_slow_work kind)
{
	bool done;

	world.actor = ACTOR_CONTROL;
	if (setjmp(world.death) && died())
		return true;
	done = rg_control_do_slow_work(control, kind);
	world.actor = ACTOR_NOBODY;
	look_at_durable();
	return done;
}

uint64_t control_stored_active(void)
{
	const struct rg_policy_meta *meta = rg_policy_store_last_active(control->store);

	return meta && meta->state == RG_POLICY_ACTIVE ? meta->sequence : 0;
}

const struct rg_mailbox_request *control_request(void)
{
	return rg_region_control(control->region)->request;
}

/* ---- the client ---- */

static struct {
	int fd;		    /* 0: not connected */
	bool waiting, good; /* good: nothing about the push should be refused */
	uint64_t faults_before;
	char answer[ANSWER_BYTES];
	size_t bytes;
	uint64_t pushes;
} client;

static void client_disconnect(void)
{
	if (client.fd)
		close(client.fd);
	client.fd = 0;
	client.waiting = false;
}

static bool client_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (client.fd)
		return true;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", world.socket);
	client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(client.fd, (struct sockaddr *)&address, sizeof(address)))
		fail("connecting to control: %s", strerror(errno));
	return true;
}

static void write_file(const char *folder, const char *name, const char *bytes, size_t count)
{
	char path[PATH_BYTES * 2];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, count, file) != count || fclose(file))
		fail("%s cannot be written", path);
}

/* A folder with a revision of its own; a broken one ends in the middle of its plan. */
static void make_bundle(char *folder, size_t folder_bytes, bool broken)
{
	char manifest[128];
	int n = snprintf(manifest, sizeof(manifest), "{\"revision\":\"r%llu\",\"roots\":[\"\"]}",
			 (unsigned long long)++client.pushes);

	snprintf(folder, folder_bytes, "%s/%llu", world.bundles, (unsigned long long)client.pushes);
	if (mkdir(folder, 0750))
		fail("%s: %s", folder, strerror(errno));
	write_file(folder, "plan.json", plan, broken ? plan_bytes / 2 : plan_bytes);
	write_file(folder, ".manifest", manifest, (size_t)n);
}

static void client_send(const char *line)
{
	client.bytes = 0;
	client.waiting = true;
	client.faults_before = world.faults;
	if (write(client.fd, line, strlen(line)) != (ssize_t)strlen(line))
		fail("sending to control: %s", strerror(errno));
}

static void client_push(bool broken)
{
	char folder[PATH_BYTES + 32], line[PATH_BYTES + 128];

	make_bundle(folder, sizeof(folder), broken);
	client.good = !broken;
	snprintf(line, sizeof(line),
		 "{\"command\":\"policy.push\",\"path\":\"%s\",\"wait_ms\":5000}\n", folder);
	trace("client pushes r%llu%s", (unsigned long long)client.pushes, broken ? ", broken" : "");
	client_send(line);
}

static void client_roll_back(void)
{
	client.good = false; /* there may be nothing to go back to */
	trace("client rolls back");
	client_send("{\"command\":\"policy.rollback\",\"wait_ms\":5000}\n");
}

static void take_answer(void)
{
	const char *found = strstr(client.answer, "\"sequence\":");
	bool ok = !strncmp(client.answer, "{\"ok\":true", 10);
	bool active = ok && found && strstr(client.answer, "\"state\":\"active\"");
	uint64_t sequence = active ? strtoull(found + 11, NULL, 10) : 0;

	client.waiting = false;
	trace("  answer: %s, sequence %llu",
	      active ? "active"
	      : ok   ? "not yet"
		     : "refused",
	      (unsigned long long)sequence);
	/* What the state folder could not note is not promised to outlive a power loss. */
	if (active && !strstr(client.answer, "could not note"))
		model_acknowledged(sequence);
	if (!ok && client.good && client.faults_before == world.faults)
		fail("a good push was refused, and nothing had failed: %s", client.answer);
}

static void client_look(void)
{
	ssize_t n = read(client.fd, client.answer + client.bytes, ANSWER_BYTES - 1 - client.bytes);

	if (n <= 0)
		return;
	client.bytes += (size_t)n;
	client.answer[client.bytes] = '\0';
	if (client.answer[client.bytes - 1] == '\n') {
		client.answer[client.bytes - 1] = '\0';
		take_answer();
	}
}

void client_step(void)
{
	client_connect();
	if (client.waiting)
		client_look();
	else if (roll(5) == 0)
		client_roll_back();
	else
		client_push(roll(BROKEN_BUNDLE_1IN) == 0);
}

void client_push_last(void (*step)(void))
{
	client_connect();
	for (int i = 0; client.waiting && i < PUSH_STEPS_MAX; i++) {
		step();
		client_look();
	}
	if (client.waiting)
		fail("a push is not answered");
	client_push(false);
	for (int i = 0; client.waiting && i < PUSH_STEPS_MAX; i++) {
		step();
		client_look();
	}
	if (client.waiting || !strstr(client.answer, "\"state\":\"active\""))
		fail("the last push is not active: %s",
		     client.waiting ? "no answer" : client.answer);
}

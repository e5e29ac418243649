/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane_side.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/publisher.h"
#include "model.h"
#include "shm/image_file.h"
#include "shm/record.h"
#include "shm/region.h"
#include "wire/schema.h"
#include "world.h"

#define SCRATCH_BYTES	  65536
#define GRACE_DEADLINE_NS 1000000000ull
#define REQUEST_BYTES	  64
#define TEMPLATE_ID	  1

static struct rg_region *region;
static struct rg_policy_publisher *publisher;
static struct rg_counters_writer counters;
static struct rg_schema *schema;
static uint64_t next_request_id = 1;

static struct worker {
	struct rg_ring_producer ring;
	uint64_t sequence; /* of the last record reserved */
	_Atomic uint64_t passes;
	uint64_t bursts; /* even: idle; odd: in a burst */
	const struct rg_policy *policy;
	bool held;
} workers[WORKERS];

static uint64_t unix_ns(void)
{
	return world.unix_ns;
}

static uint64_t monotonic_ns(void)
{
	return world.monotonic_ns;
}

bool dataplane_up(void)
{
	return region != NULL;
}

/* ---- life and death ---- */

static void start_publisher(void)
{
	struct rg_policy_publisher_config config = {
		.directory = world.region,
		.shared = rg_region_dataplane(region),
		.counters = &counters,
		.schema_fingerprint = rg_schema_fields(schema)->fingerprint,
		.scratch_bytes = SCRATCH_BYTES,
		.grace_deadline_ns = GRACE_DEADLINE_NS,
		.unix_ns = unix_ns,
		.monotonic_ns = monotonic_ns,
		.worker_count = WORKERS,
	};
	struct rg_error err;

	for (uint32_t w = 0; w < WORKERS; w++)
		config.passes[w] = &workers[w].passes;
	/* always a new one: what one that died had is not used again */
	publisher = aligned_alloc(64, (sizeof(*publisher) + 63) & ~63ull);
	must(rg_policy_publisher_start(publisher, &config, &err), &err);
}

void dataplane_start(void)
{
	const struct rg_region_config wanted = {WORKERS, RING_BYTES, "simulator", 3};
	struct rg_error err;

	if (!schema)
		must(rg_schema_load(world.schema_path, &schema, &err), &err);
	must(rg_region_create_dataplane(world.region, &wanted, world.unix_ns, &region, &err), &err);
	must(rg_counters_writer_join(&counters, rg_region_dataplane(region)->counters,
				     RG_METRIC_PUBLISHER, &err),
	     &err);
	memset(workers, 0, sizeof(workers));
	start_publisher();
	for (uint32_t w = 0; w < WORKERS; w++)
		must(rg_region_producer(region, w, &workers[w].ring, &err), &err);
	trace("data plane starts with policy %llu", (unsigned long long)dataplane_active());
	model_check_active(dataplane_active());
}

/* What it had in memory is gone, and what it had reserved and not committed. */
void dataplane_kill(void)
{
	trace("data plane dies");
	rg_region_close(region);
	region = NULL;
	publisher = NULL;
}

uint64_t dataplane_active(void)
{
	const struct rg_policy *policy = publisher ? rg_policy_publisher_current(publisher) : NULL;

	return policy ? policy->sequence : 0;
}

/* False: it died in it. */
static bool step_publisher(void)
{
	world.actor = ACTOR_DATAPLANE;
	if (setjmp(world.death)) {
		world.actor = ACTOR_NOBODY;
		trace("  at %s", world.died_at);
		dataplane_kill();
		return false;
	}
	rg_policy_publisher_step(publisher, rg_region_control(region)->request);
	world.actor = ACTOR_NOBODY;
	return true;
}

void dataplane_step_publisher(void)
{
	uint64_t before = dataplane_active();
	struct rg_error err;

	if (roll(4) == 0)
		rg_region_join_control(region, NULL, &err); /* as often as the service does */
	if (!step_publisher())
		return;
	if (dataplane_active() != before)
		trace("  policy %llu is in use", (unsigned long long)dataplane_active());
	if (dataplane_active() < before)
		fail("policy %llu replaces %llu", (unsigned long long)dataplane_active(),
		     (unsigned long long)before);
	rg_policy_publisher_tell(publisher, rg_region_control(region)->header != NULL);
}

/* ---- workers ---- */

static bool reserve(uint32_t w)
{
	uint32_t bytes = rg_record_bytes(REQUEST_BYTES, 0);
	struct rg_record *record = (struct rg_record *)rg_ring_reserve(&workers[w].ring, bytes);

	if (!record)
		return false; /* full: the client is told, nothing is recorded */
	memset(record, 0, bytes);
	record->length = bytes;
	record->kind = RG_RECORD_DECISION;
	record->version = RG_RECORD_VERSION;
	record->worker = (uint16_t)w;
	record->node = 3;
	record->epoch = rg_region_epoch(region, RG_REGION_DATAPLANE);
	record->sequence = ++workers[w].sequence;
	record->receive_time_ns = world.unix_ns;
	record->policy_sequence = workers[w].policy ? workers[w].policy->sequence : 0;
	record->schema_id = 1;
	record->template_id = TEMPLATE_ID;
	record->block_length = REQUEST_BYTES;
	record->verdict = 1;
	record->request_bytes = REQUEST_BYTES;
	memcpy(record + 1, &next_request_id, sizeof(next_request_id));
	next_request_id++;
	return true;
}

static void commit(uint32_t w)
{
	rg_ring_commit(&workers[w].ring);
	model_committed(rg_region_epoch(region, RG_REGION_DATAPLANE), w, workers[w].sequence);
	workers[w].policy = NULL;
	workers[w].bursts++;
	atomic_fetch_add_explicit(&workers[w].passes, 1, memory_order_relaxed);
}

void dataplane_step_worker(uint32_t w)
{
	struct worker *worker = &workers[w];

	if (!(worker->bursts & 1)) {
		worker->policy = rg_policy_publisher_current(publisher);
		worker->bursts++;
	}
	if (worker->policy)
		model_check_image(worker->policy->sequence, worker->policy->image,
				  worker->policy->image_bytes);
	for (uint64_t n = roll(12); n > 0 && reserve(w); n--)
		;
	if (!worker->held && roll(3))
		commit(w);
}

void dataplane_hold(uint32_t worker, bool held)
{
	workers[worker].held = held;
	trace("worker %u %s", worker, held ? "is stuck" : "moves");
}

bool dataplane_idle(uint32_t worker)
{
	return !(workers[worker].bursts & 1);
}

uint64_t dataplane_bursts(uint32_t worker)
{
	return workers[worker].bursts;
}

bool dataplane_left(uint32_t worker, uint64_t bursts)
{
	return !(bursts & 1) || workers[worker].bursts > bursts;
}

/* ---- damage ---- */

static void flip_a_bit(const char *path)
{
	struct stat status;
	int fd;
	uint8_t byte;
	off_t at;

	chmod(path, 0640);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status))
		fail("%s cannot be damaged", path);
	at = (off_t)roll((uint64_t)status.st_size);
	if (pread(fd, &byte, 1, at) != 1)
		fail("%s cannot be read", path);
	byte ^= (uint8_t)(1u << roll(8));
	if (pwrite(fd, &byte, 1, at) != 1)
		fail("%s cannot be written", path);
	close(fd);
	trace("  bit flipped in %s at %lld", strrchr(path, '/') + 1, (long long)at);
}

void dataplane_damage_image(void)
{
	enum rg_image_file_kind kind = dataplane_up() ? RG_IMAGE_FILE_IMAGE : RG_IMAGE_FILE_ACTIVE;
	char path[PATH_BYTES + 64];
	uint64_t newest;
	uint32_t count;
	struct rg_error err;

	if (rg_image_file_list(world.region, kind, &newest, 1, &count, &err) || !count)
		return;
	must(rg_image_file_path(world.region, kind, newest, path, sizeof(path), &err), &err);
	note_fault(&world.errors);
	flip_a_bit(path);
	if (kind == RG_IMAGE_FILE_ACTIVE)
		model_image_lost();
}

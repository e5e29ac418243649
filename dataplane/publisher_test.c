/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher stepped by hand against a real region, with threads as workers. Images are
 * fake_policy.c's; clocks are the test's.
 */
#include "dataplane/publisher.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <urcu/urcu-qsbr.h>

#include "base/log.h"
#include "dataplane/fake_policy.h"

#define EPOCH_NS    1700000000000000000ull
#define FINGERPRINT 0x1234567890abcdefull
#define DEADLINE_NS 1000000000ull
#define WORKERS	    2
#define STEPS_MAX   50000000 /* bounded waiting: far more than any step needs */

static char directory[] = "/dev/shm/riskgate-publisher-test-XXXXXX";
static struct rg_region *region, *control;
static struct rg_policy_publisher *publisher;
static struct rg_counters_writer counters;
static uint64_t unix_time = EPOCH_NS, monotonic_time;

static struct worker {
	pthread_t thread;
	_Atomic uint64_t passes, seen; /* seen: sequence of the policy it last used */
	_Atomic uint64_t held;	       /* 1: it is stuck, as `hold` asked */
	_Atomic bool hold, stop;
} workers[WORKERS];

static uint64_t unix_ns(void)
{
	return unix_time += 1000;
}

static uint64_t monotonic_ns(void)
{
	return monotonic_time;
}

/* ---- workers ---- */

/* What every reader relies on: the image stays mapped and whole until the quiescent state. */
static void use(struct worker *worker)
{
	const struct rg_policy *policy = rg_policy_publisher_current(publisher);
	const volatile struct fake_image *image;

	if (!policy)
		return;
	image = policy->image;
	for (int i = 0; i < 20; i++)
		assert(image->magic == FAKE_MAGIC && image->sequence == policy->sequence);
	while (atomic_load(&worker->hold)) { /* stuck with the policy in its hands */
		atomic_store(&worker->held, 1);
		assert(image->magic == FAKE_MAGIC);
	}
	atomic_store(&worker->held, 0);
	assert(image->sequence == policy->sequence);
	atomic_store(&worker->seen, policy->sequence);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	urcu_qsbr_register_thread();
	while (!atomic_load(&worker->stop)) {
		use(worker);
		atomic_fetch_add(&worker->passes, 1);
		urcu_qsbr_quiescent_state();
	}
	urcu_qsbr_unregister_thread();
	return NULL;
}

static void start_workers(void)
{
	for (int i = 0; i < WORKERS; i++) {
		atomic_store(&workers[i].stop, false);
		assert(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
}

static void stop_workers(void)
{
	for (int i = 0; i < WORKERS; i++) {
		atomic_store(&workers[i].stop, true);
		pthread_join(workers[i].thread, NULL);
	}
}

/* ---- publisher ---- */

static void start_publisher(void)
{
	struct rg_policy_publisher_config config = {
		.directory = directory,
		.shared = rg_region_dataplane(region),
		.counters = &counters,
		.schema_fingerprint = FINGERPRINT,
		.scratch_bytes = 4096,
		.grace_deadline_ns = DEADLINE_NS,
		.unix_ns = unix_ns,
		.monotonic_ns = monotonic_ns,
		.worker_count = WORKERS,
		.passes = {&workers[0].passes, &workers[1].passes},
	};
	struct rg_error err;

	assert(rg_policy_publisher_start(publisher, &config, &err) == RG_OK);
}

static unsigned step(void)
{
	return rg_policy_publisher_step(publisher, rg_region_control(region)->request);
}

static struct rg_mailbox_progress result(uint64_t sequence)
{
	struct rg_mailbox_progress progress;

	assert(rg_mailbox_result(rg_region_dataplane(region)->reply, sequence, &progress) == RG_OK);
	return progress;
}

static void step_until(uint64_t sequence, enum rg_mailbox_state state)
{
	struct rg_mailbox_progress progress;

	for (int i = 0; i < STEPS_MAX; i++) {
		if (!step())
			sched_yield();
		if (rg_mailbox_result(rg_region_dataplane(region)->reply, sequence, &progress) ==
			    RG_OK &&
		    progress.state == state)
			return;
	}
	assert(!"the state is never reached");
}

/* ---- control ---- */

static uint64_t next_sequence(void)
{
	return rg_mailbox_next_sequence(rg_region_control(control)->request,
					rg_region_dataplane(region)->reply, 0);
}

static void announce(uint64_t sequence, uint32_t crc)
{
	struct rg_mailbox_announcement announcement = {.sequence = sequence,
						       .image_bytes = sizeof(struct fake_image),
						       .crc32c = crc,
						       .announced_ns = unix_ns()};
	struct rg_error err;

	assert(rg_mailbox_announce(rg_region_control(control)->request, &announcement, &err) ==
	       RG_OK);
}

static uint32_t write_image(const struct fake_image *image, enum rg_image_file_kind kind,
			    uint64_t sequence)
{
	struct rg_error err;
	uint32_t crc;

	assert(rg_image_file_write(directory, kind, sequence, image, sizeof(*image), &crc, &err) ==
	       RG_OK);
	return crc;
}

/* Announce this image under the next sequence. */
static uint64_t push(struct fake_image image)
{
	uint64_t sequence = next_sequence();

	if (image.sequence == 0)
		image.sequence = sequence;
	announce(sequence, write_image(&image, RG_IMAGE_FILE_IMAGE, sequence));
	return sequence;
}

static struct fake_image good(void)
{
	return fake_image(0, FINGERPRINT, 1);
}

static bool exists(enum rg_image_file_kind kind, uint64_t sequence)
{
	char path[256];
	struct rg_error err;

	assert(rg_image_file_path(directory, kind, sequence, path, sizeof(path), &err) == RG_OK);
	return access(path, F_OK) == 0;
}

/* Wait until *value is at least wanted. */
static void wait_for(const _Atomic uint64_t *value, uint64_t wanted)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		if (atomic_load(value) >= wanted)
			return;
		sched_yield();
	}
	assert(!"the value is never reached");
}

static void wait_until_seen(uint64_t sequence)
{
	for (int i = 0; i < WORKERS; i++) {
		wait_for(&workers[i].seen, sequence);
		assert(atomic_load(&workers[i].seen) == sequence);
	}
}

static uint64_t current_sequence(void)
{
	const struct rg_policy *policy = rg_policy_publisher_current(publisher);

	return policy ? policy->sequence : 0;
}

/* ---- tests ---- */

static void test_nothing_announced(void)
{
	assert(rg_policy_publisher_step(publisher, NULL) == 0); /* control's file is not there */
	assert(current_sequence() == 0);
}

static uint64_t test_publish(void)
{
	uint64_t first = push(good()), second;
	struct rg_mailbox_progress progress;

	assert(step() == 0 || current_sequence() == first);
	step_until(first, RG_MAILBOX_ACTIVE);
	wait_until_seen(first);
	assert(exists(RG_IMAGE_FILE_ACTIVE, first));
	second = push(good());
	step_until(second, RG_MAILBOX_ACTIVE);
	wait_until_seen(second);
	assert(!exists(RG_IMAGE_FILE_ACTIVE, first) && exists(RG_IMAGE_FILE_ACTIVE, second));
	progress = result(second);
	for (int state = RG_MAILBOX_COPYING; state <= RG_MAILBOX_ACTIVE; state++)
		assert(progress.entered_ns[state] >= EPOCH_NS);
	assert(progress.active_sequence == second);
	assert(counters.values[RG_PUBLISHER_PUBLISHES_ACTIVE] == 2 &&
	       counters.values[RG_PUBLISHER_ACTIVE_SEQUENCE] == second);
	return second;
}

static void expect_refused(uint64_t sequence, uint64_t running, const char *why)
{
	struct rg_mailbox_progress progress;

	step_until(sequence, RG_MAILBOX_REFUSED);
	progress = result(sequence);
	assert(strstr(progress.text, why));
	assert(progress.active_sequence == running && current_sequence() == running);
	assert(!exists(RG_IMAGE_FILE_ACTIVE, sequence) && exists(RG_IMAGE_FILE_ACTIVE, running));
	wait_until_seen(running);
}

/* Each way an image can be wrong: refused with a text, the running one stays. */
static void test_refusals(uint64_t running)
{
	struct fake_image image = good();
	uint64_t sequence;

	image.verify_fails = 1;
	expect_refused(push(image), running, "broken");
	image = good();
	image.bind_fails = 1;
	expect_refused(push(image), running, "needs what is not there");
	image = good();
	image.fingerprint++;
	expect_refused(push(image), running, "schema");
	image = good();
	image.sequence = 12345; /* of another file */
	expect_refused(push(image), running, "12345");
	sequence = next_sequence();
	announce(sequence, 0); /* there is no file */
	expect_refused(sequence, running, "image-");
	sequence = next_sequence();
	image = good();
	image.sequence = sequence;
	announce(sequence, write_image(&image, RG_IMAGE_FILE_IMAGE, sequence) ^ 1);
	expect_refused(sequence, running, "");
	assert(counters.values[RG_PUBLISHER_PUBLISHES_REFUSED] == 6);
}

static void test_newest_wins(void)
{
	uint64_t first = push(good()), second = push(good()), third = push(good());

	step_until(third, RG_MAILBOX_ACTIVE);
	assert(!exists(RG_IMAGE_FILE_ACTIVE, first) && !exists(RG_IMAGE_FILE_ACTIVE, second));
	wait_until_seen(third);
	for (int i = 0; i < 100; i++)
		assert(step() == 0); /* a taken announcement is not taken again */
}

/* A worker that does not move is named at the deadline; the old image stays for it; then everything
 * goes on. */
static void test_stuck_worker(void)
{
	uint64_t old = current_sequence(), sequence;
	struct rg_mailbox_progress progress;
	struct rg_publisher_status status;

	atomic_store(&workers[1].hold, true);
	wait_for(&workers[1].held, 1);
	sequence = push(good());
	step_until(sequence, RG_MAILBOX_GRACE);
	wait_for(&workers[0].passes, publisher->passes_at_swap[0] + 2);
	monotonic_time += DEADLINE_NS - 1;
	assert(step() == 0);
	monotonic_time += 1;
	assert(step() == 1);
	progress = result(sequence);
	assert(progress.state == RG_MAILBOX_STUCK && progress.stuck_worker == 1 &&
	       strstr(progress.text, "worker 1"));
	assert(current_sequence() == sequence && exists(RG_IMAGE_FILE_ACTIVE, old) &&
	       exists(RG_IMAGE_FILE_ACTIVE, sequence));
	rg_policy_publisher_tell(publisher, true);
	assert(rg_publisher_read(rg_region_dataplane(region)->publisher, &status) == RG_OK);
	assert(status.waiting_for == 1ull << 1 && status.control_joined == 1 &&
	       status.active_sequence == sequence);
	assert(!strcmp(status.bundle, "fake") && !strcmp(status.revision, "1"));
	push(good()); /* waits for its turn */
	assert(step() == 0);
	atomic_store(&workers[1].hold, false);
	step_until(next_sequence() - 1, RG_MAILBOX_ACTIVE);
	assert(!exists(RG_IMAGE_FILE_ACTIVE, old) &&
	       counters.values[RG_PUBLISHER_GRACE_STUCK] == 1);
	wait_until_seen(current_sequence());
}

/* Many publishes under readers that check what they read: an image unmapped too early is a crash.
 */
static void test_many(void)
{
	for (int i = 0; i < 300; i++)
		step_until(push(good()), RG_MAILBOX_ACTIVE);
	wait_until_seen(current_sequence());
}

static void restart(void)
{
	stop_workers();
	rg_policy_publisher_stop(publisher);
	start_publisher();
}

/* A restarted data plane goes on with the newest good image, and says which are not. */
static void test_restart(void)
{
	uint64_t sequence = current_sequence();
	struct fake_image broken = fake_image(sequence + 100, FINGERPRINT, 1);
	struct rg_error_entry entry;

	restart();
	assert(current_sequence() == sequence && result(sequence).state == RG_MAILBOX_ACTIVE);
	start_workers();
	wait_until_seen(sequence);

	broken.verify_fails = 1;
	write_image(&broken, RG_IMAGE_FILE_ACTIVE, sequence + 100);
	restart();
	assert(current_sequence() == sequence);
	assert(rg_error_log_read(rg_region_dataplane(region)->errors, 0, &entry) == RG_OK);
	start_workers();
	wait_until_seen(sequence);
}

int main(void)
{
	struct rg_region_config config = {
		.worker_count = WORKERS, .ring_bytes = 4096, .instance = "test"};
	struct rg_error err;
	uint64_t running;

	rg_log_set_level(RG_LOG_ERROR);
	assert(mkdtemp(directory));
	assert(rg_region_create_dataplane(directory, &config, EPOCH_NS, &region, &err) == RG_OK);
	assert(rg_counters_writer_join(&counters, rg_region_dataplane(region)->counters,
				       RG_METRIC_PUBLISHER, &err) == RG_OK);
	publisher = aligned_alloc(RG_SHM_LINE, rg_align_up(sizeof(*publisher), RG_SHM_LINE));
	assert(publisher);
	start_publisher();
	test_nothing_announced();
	assert(rg_region_create_control(directory, "test", 0, EPOCH_NS, &control, &err) == RG_OK);
	assert(rg_region_join_control(region, NULL, &err) == RG_OK);
	start_workers();

	running = test_publish();
	test_refusals(running);
	test_newest_wins();
	test_stuck_worker();
	test_many();
	test_restart();

	stop_workers();
	rg_policy_publisher_stop(publisher);
	free(publisher);
	assert(rg_image_file_remove_older(directory, RG_IMAGE_FILE_ACTIVE, UINT64_MAX, NULL,
					  &err) == RG_OK);
	assert(rg_image_file_remove_older(directory, RG_IMAGE_FILE_IMAGE, UINT64_MAX, NULL, &err) ==
	       RG_OK);
	rg_region_delete(control);
	rg_region_delete(region);
	rmdir(directory);
	return 0;
}

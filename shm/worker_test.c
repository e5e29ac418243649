/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shm/test_ritual.h"

static void *make_worker(void *sh_worker)
{
	return rg_worker_new(sh_worker, 3);
}

static void remove_worker(void *worker)
{
	rg_worker_delete(worker);
}

static void *make_publisher(void *sh_publisher)
{
	return rg_publisher_new(sh_publisher);
}

static void remove_publisher(void *publisher)
{
	rg_publisher_delete(publisher);
}

static struct rg_worker *new_worker(void)
{
	return rg_worker_new(aligned_alloc(4096, 4096), 3);
}

static void test_names(void)
{
	assert(!strcmp(rg_worker_state_name(RG_WORKER_RUNNING), "running"));
	assert(!strcmp(rg_worker_state_name(RG_WORKER_STATE_COUNT), "unknown"));
	assert(!strcmp(rg_worker_tick_name(RG_TICK_IDLE), "idle"));
	assert(!strcmp(rg_worker_tick_name(RG_TICK_TX), "tx"));
	assert(!strcmp(rg_worker_tick_name(RG_TICK_COUNT), "unknown"));
}

static void test_status(void)
{
	struct rg_worker *worker = new_worker();
	struct rg_worker_identity identity = {.core = 2, .thread_id = 4711, .tsc_hz = 2000000000},
				  got;
	struct rg_worker_progress progress = {.loops = 5, .ticks = {1, 2, 3, 4, 5, 6, 7}}, seen;

	assert(!rg_worker_footprint(RG_WORKERS_MAX) && !rg_worker_new(worker, RG_WORKERS_MAX));
	assert(worker->object.parameter == 3 && rg_worker_state(worker) == RG_WORKER_STOPPED);
	memset(identity.queues, 'q', sizeof(identity.queues)); /* not terminated by its writer */
	rg_worker_set_identity(worker, &identity);
	rg_worker_set_state(worker, RG_WORKER_RUNNING);
	rg_worker_set_progress(worker, &progress);
	assert(rg_worker_state(worker) == RG_WORKER_RUNNING);
	assert(rg_worker_read_identity(worker, &got) == RG_OK);
	assert(got.core == 2 && got.thread_id == 4711 &&
	       strlen(got.queues) == RG_WORKER_QUEUES_BYTES - 1);
	assert(rg_worker_read_progress(worker, &seen) == RG_OK);
	assert(!memcmp(&seen, &progress, sizeof(seen)));
	atomic_fetch_add(&worker->progress_version, 1); /* its writer dies while writing */
	assert(rg_worker_read_progress(worker, &seen) == RG_EAGAIN);
	rg_worker_set_progress(worker, &progress);
	assert(rg_worker_read_progress(worker, &seen) == RG_OK);
	free(rg_worker_leave(worker));
}

enum { UPDATES = 200000 };

static void *update(void *argument)
{
	struct rg_worker_progress progress = {0};

	for (uint64_t i = 1; i <= UPDATES; i++) {
		progress.loops = i;
		for (int tick = 0; tick < RG_TICK_COUNT; tick++)
			progress.ticks[tick] = i;
		rg_worker_set_progress(argument, &progress);
	}
	return NULL;
}

static void test_threads(void)
{
	struct rg_worker *worker = new_worker();
	struct rg_worker_progress progress = {0};
	pthread_t thread;

	assert(!pthread_create(&thread, NULL, update, worker));
	while (progress.loops < UPDATES) {
		if (rg_worker_read_progress(worker, &progress))
			continue;
		for (int tick = 0; tick < RG_TICK_COUNT; tick++)
			assert(progress.ticks[tick] == progress.loops);
	}
	assert(!pthread_join(thread, NULL));
	free(worker);
}

static void test_publisher(void)
{
	struct rg_publisher *publisher = rg_publisher_new(aligned_alloc(4096, 4096));
	struct rg_publisher_status status = {.active_sequence = 9, .bundle = "payments"}, got;

	memset(status.revision, 'r', sizeof(status.revision));
	rg_publisher_write(publisher, &status);
	assert(rg_publisher_read(publisher, &got) == RG_OK);
	assert(got.active_sequence == 9 && !strcmp(got.bundle, "payments") &&
	       strlen(got.revision) == RG_PUBLISHER_LABEL_BYTES - 1);
	atomic_fetch_add(&publisher->version, 1);
	assert(rg_publisher_read(publisher, &got) == RG_EAGAIN);
	free(rg_publisher_leave(publisher));
}

int main(void)
{
	const struct test_ritual worker = {rg_worker_align(), rg_worker_footprint(3), make_worker,
					   rg_worker_join, remove_worker};
	const struct test_ritual publisher = {rg_publisher_align(), rg_publisher_footprint(),
					      make_publisher, rg_publisher_join, remove_publisher};

	test_ritual(&worker);
	test_ritual(&publisher);
	test_names();
	test_status();
	test_threads();
	test_publisher();
	return 0;
}

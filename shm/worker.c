/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/worker.h"

#include <string.h>

#include "shm/snapshot.h"

#define WORKER_MAGIC	0x4b5257524b475252ull /* "RRGKRWRK" */
#define PUBLISHER_MAGIC 0x4c4255504b475252ull /* "RRGKPUBL" */
#define IDENTITY_WORDS	(sizeof(struct rg_worker_identity) / 8)
#define PROGRESS_WORDS	(sizeof(struct rg_worker_progress) / 8)
#define PUBLISHER_WORDS (sizeof(struct rg_publisher_status) / 8)

static const struct rg_object_kind worker_kind = {"worker status", WORKER_MAGIC, RG_WORKER_VERSION,
						  RG_SHM_LINE};
static const struct rg_object_kind publisher_kind = {"publisher status", PUBLISHER_MAGIC,
						     RG_PUBLISHER_VERSION, RG_SHM_LINE};

const char *rg_worker_state_name(uint32_t state)
{
	static const char *const names[RG_WORKER_STATE_COUNT] = {"stopped", "starting", "running",
								 "stopping"};

	return state < RG_WORKER_STATE_COUNT ? names[state] : "unknown";
}

const char *rg_worker_tick_name(uint32_t tick)
{
	static const char *const names[RG_TICK_COUNT] = {"idle",     "rx",     "decode", "feature",
							 "evaluate", "record", "tx"};

	return tick < RG_TICK_COUNT ? names[tick] : "unknown";
}

uint64_t rg_worker_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_worker_footprint(uint32_t index)
{
	return index < RG_WORKERS_MAX ? sizeof(struct rg_worker) : 0;
}

struct rg_worker *rg_worker_new(void *sh_worker, uint32_t index)
{
	struct rg_worker *worker = sh_worker;

	if (!worker || (uintptr_t)sh_worker & (RG_SHM_LINE - 1) || !rg_worker_footprint(index))
		return NULL;
	memset(worker, 0, sizeof(*worker));
	rg_object_publish(&worker->object, &worker_kind, index, sizeof(*worker));
	return worker;
}

int rg_worker_join(const void *sh_worker, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_worker, mapped_bytes, &worker_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_worker))
		status = rg_error_set(err, RG_ECORRUPT,
				      "worker status: %llu bytes are mapped, it has %zu",
				      (unsigned long long)mapped_bytes, sizeof(struct rg_worker));
	return status;
}

void *rg_worker_leave(struct rg_worker *worker)
{
	return worker;
}

void rg_worker_delete(struct rg_worker *worker)
{
	rg_object_unpublish(&worker->object);
}

void rg_worker_set_identity(struct rg_worker *worker, const struct rg_worker_identity *identity)
{
	uint64_t words[IDENTITY_WORDS];

	memcpy(words, identity, sizeof(words));
	rg_snapshot_write(&worker->identity_version, worker->identity, words, IDENTITY_WORDS);
}

void rg_worker_set_state(struct rg_worker *worker, enum rg_worker_state state)
{
	/* release: the identity comes before RUNNING; pairs with rg_worker_state() */
	atomic_store_explicit(&worker->state, state, memory_order_release);
}

void rg_worker_set_progress(struct rg_worker *worker, const struct rg_worker_progress *progress)
{
	uint64_t words[PROGRESS_WORDS];

	memcpy(words, progress, sizeof(words));
	rg_snapshot_write(&worker->progress_version, worker->progress, words, PROGRESS_WORDS);
}

uint32_t rg_worker_state(const struct rg_worker *worker)
{
	/* acquire: pairs with rg_worker_set_state() */
	return atomic_load_explicit(&worker->state, memory_order_acquire);
}

int rg_worker_read_identity(const struct rg_worker *worker, struct rg_worker_identity *identity)
{
	uint64_t words[IDENTITY_WORDS];

	if (!rg_snapshot_read(&worker->identity_version, worker->identity, words, IDENTITY_WORDS))
		return RG_EAGAIN;
	memcpy(identity, words, sizeof(words));
	identity->queues[sizeof(identity->queues) - 1] = '\0';
	return RG_OK;
}

int rg_worker_read_progress(const struct rg_worker *worker, struct rg_worker_progress *progress)
{
	uint64_t words[PROGRESS_WORDS];

	if (!rg_snapshot_read(&worker->progress_version, worker->progress, words, PROGRESS_WORDS))
		return RG_EAGAIN;
	memcpy(progress, words, sizeof(words));
	return RG_OK;
}

/* ---- publisher ---- */

uint64_t rg_publisher_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_publisher_footprint(void)
{
	return sizeof(struct rg_publisher);
}

struct rg_publisher *rg_publisher_new(void *sh_publisher)
{
	struct rg_publisher *publisher = sh_publisher;

	if (!publisher || (uintptr_t)sh_publisher & (RG_SHM_LINE - 1))
		return NULL;
	memset(publisher, 0, sizeof(*publisher));
	rg_object_publish(&publisher->object, &publisher_kind, 0, sizeof(*publisher));
	return publisher;
}

int rg_publisher_join(const void *sh_publisher, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_publisher, mapped_bytes, &publisher_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_publisher))
		status = rg_error_set(
			err, RG_ECORRUPT, "publisher status: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_publisher));
	return status;
}

void *rg_publisher_leave(struct rg_publisher *publisher)
{
	return publisher;
}

void rg_publisher_delete(struct rg_publisher *publisher)
{
	rg_object_unpublish(&publisher->object);
}

void rg_publisher_write(struct rg_publisher *publisher, const struct rg_publisher_status *status)
{
	uint64_t words[PUBLISHER_WORDS];

	memcpy(words, status, sizeof(words));
	rg_snapshot_write(&publisher->version, publisher->words, words, PUBLISHER_WORDS);
}

int rg_publisher_read(const struct rg_publisher *publisher, struct rg_publisher_status *status)
{
	uint64_t words[PUBLISHER_WORDS];

	if (!rg_snapshot_read(&publisher->version, publisher->words, words, PUBLISHER_WORDS))
		return RG_EAGAIN;
	memcpy(status, words, sizeof(words));
	status->bundle[sizeof(status->bundle) - 1] = '\0';
	status->revision[sizeof(status->revision) - 1] = '\0';
	return RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/region_layout.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REGION_MAGIC  0x4e4f4947455247ffull /* "\xffGREGION" */
#define SECTION_ALIGN 4096u		    /* a worker's part begins on a page of its own */

const struct rg_object_kind rg_region_kind = {"region", REGION_MAGIC, RG_REGION_VERSION,
					      SECTION_ALIGN};

int rg_region_check_instance(const char *instance, struct rg_error *err)
{
	size_t bytes = instance ? strlen(instance) : 0;

	if (!bytes || bytes >= RG_REGION_INSTANCE_BYTES || instance[0] == '.' ||
	    strspn(instance, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") !=
		    bytes)
		return rg_error_set(err, RG_EINVAL,
				    "instance \"%s\": use 1 to %d of A-Z a-z 0-9 _ . - and do not "
				    "start with a dot",
				    instance ? instance : "", RG_REGION_INSTANCE_BYTES - 1);
	return RG_OK;
}

/* ---- offsets ---- */

/* Hand out room in the order it is asked for. */
struct carve {
	uint64_t at;
};

static uint64_t carve(struct carve *carve, uint64_t align, uint64_t bytes)
{
	uint64_t offset = rg_align_up(carve->at, align);

	carve->at = offset + bytes;
	return offset;
}

static uint64_t carve_histograms(struct carve *at)
{
	return carve(at, rg_histogram_align(),
		     RG_HISTOGRAMS_MAX *
			     rg_align_up(rg_histogram_footprint(), rg_histogram_align()));
}

struct worker_offsets {
	uint64_t status, counters, histograms, errors, ring;
};

struct dataplane_offsets {
	uint64_t reply, publisher, catalogue, counters, histograms, errors;
	struct worker_offsets workers[RG_WORKERS_MAX];
	uint64_t bytes;
};

/* Offsets of the dataplane file. False: the parameters are out of range. */
static bool dataplane_offsets(uint32_t worker_count, uint64_t ring_bytes,
			      struct dataplane_offsets *to)
{
	struct carve at = {sizeof(struct rg_region_header)};
	uint64_t ring_footprint = rg_ring_footprint(ring_bytes);

	if (!worker_count || worker_count > RG_WORKERS_MAX || !ring_footprint)
		return false;
	to->reply = carve(&at, rg_mailbox_reply_align(), rg_mailbox_reply_footprint());
	to->publisher = carve(&at, rg_publisher_align(), rg_publisher_footprint());
	to->catalogue = carve(&at, rg_catalogue_align(), rg_catalogue_footprint());
	to->counters = carve(&at, rg_counters_align(), rg_counters_footprint(RG_METRIC_PUBLISHER));
	to->histograms = carve_histograms(&at);
	to->errors = carve(&at, rg_error_log_align(), rg_error_log_footprint());
	for (uint32_t i = 0; i < worker_count; i++) {
		struct worker_offsets *worker = &to->workers[i];

		worker->status = carve(&at, SECTION_ALIGN, rg_worker_footprint(i));
		worker->counters =
			carve(&at, rg_counters_align(), rg_counters_footprint(RG_METRIC_WORKER));
		worker->histograms = carve_histograms(&at);
		worker->errors = carve(&at, rg_error_log_align(), rg_error_log_footprint());
		worker->ring = carve(&at, SECTION_ALIGN, ring_footprint);
	}
	to->bytes = carve(&at, SECTION_ALIGN, 0);
	return true;
}

struct control_offsets {
	uint64_t request, cursors, catalogue, counters, histograms, errors, bytes;
};

static void control_offsets(struct control_offsets *to)
{
	struct carve at = {sizeof(struct rg_region_header)};

	/* Request and cursors first: their offsets are what another layout of the rest keeps. */
	to->request = carve(&at, rg_mailbox_request_align(), rg_mailbox_request_footprint());
	to->cursors =
		carve(&at, rg_ring_cursor_align(), RG_WORKERS_MAX * rg_ring_cursor_footprint());
	to->catalogue = carve(&at, rg_catalogue_align(), rg_catalogue_footprint());
	to->counters = carve(&at, rg_counters_align(), rg_counters_footprint(RG_METRIC_CONTROL));
	to->histograms = carve_histograms(&at);
	to->errors = carve(&at, rg_error_log_align(), rg_error_log_footprint());
	to->bytes = carve(&at, SECTION_ALIGN, 0);
}

uint64_t rg_region_dataplane_bytes(const struct rg_region_config *config)
{
	struct dataplane_offsets offsets;

	return dataplane_offsets(config->worker_count, config->ring_bytes, &offsets) ? offsets.bytes
										     : 0;
}

uint64_t rg_region_control_bytes(void)
{
	struct control_offsets offsets;

	control_offsets(&offsets);
	return offsets.bytes;
}

#define IMAGE_ROOM_BYTES (64ull << 20)

uint64_t rg_region_needed_bytes(const struct rg_region_config *config)
{
	return rg_region_dataplane_bytes(config) + rg_region_control_bytes() + IMAGE_ROOM_BYTES;
}

/* ---- new ---- */

static void new_histograms(uint8_t *at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rg_histogram_new(at + i * rg_histogram_footprint());
}

static void new_header(const struct rg_mapping *map, enum rg_region_role role, uint64_t bytes,
		       const struct rg_region_config *config, uint64_t epoch)
{
	struct rg_region_header *header = (struct rg_region_header *)(void *)map->at;

	header->generation = epoch;
	/* relaxed: published with everything else by the magic (a) */
	atomic_store_explicit(&header->epoch, epoch, memory_order_relaxed);
	atomic_store_explicit(&header->pid, (uint64_t)getpid(), memory_order_relaxed);
	atomic_store_explicit(&header->node, config->node, memory_order_relaxed);
	header->worker_count = config->worker_count;
	header->features = rg_mapping_huge_pages(map->fd) ? RG_REGION_FEATURE_HUGE_PAGES : 0;
	header->ring_bytes = config->ring_bytes;
	snprintf(header->instance, sizeof(header->instance), "%s", config->instance);
	rg_object_publish(&header->object, &rg_region_kind, role, bytes);
}

void rg_region_dataplane_new(struct rg_region_dataplane *view, const struct rg_mapping *map,
			     const struct rg_region_config *config, uint64_t epoch)
{
	struct dataplane_offsets to;
	int status;

	dataplane_offsets(config->worker_count, config->ring_bytes, &to);
	rg_mailbox_reply_new(map->at + to.reply);
	rg_publisher_new(map->at + to.publisher);
	rg_catalogue_new(map->at + to.catalogue);
	rg_counters_new(map->at + to.counters, RG_METRIC_PUBLISHER);
	new_histograms(map->at + to.histograms, RG_PUBLISHER_HISTOGRAMS);
	rg_error_log_new(map->at + to.errors);
	for (uint32_t i = 0; i < config->worker_count; i++) {
		const struct worker_offsets *worker = &to.workers[i];

		rg_worker_new(map->at + worker->status, i);
		rg_counters_new(map->at + worker->counters, RG_METRIC_WORKER);
		new_histograms(map->at + worker->histograms, RG_WORKER_HISTOGRAMS);
		rg_error_log_new(map->at + worker->errors);
		rg_ring_new(map->at + worker->ring, config->ring_bytes);
	}
	new_header(map, RG_REGION_DATAPLANE, to.bytes, config, epoch);
	status = rg_region_dataplane_join(view, map, config->instance, NULL);
	assert(!status); /* what was just made can be joined */
	(void)status;
}

void rg_region_control_new(struct rg_region_control *view, const struct rg_mapping *map,
			   const char *instance, uint32_t node, uint64_t epoch)
{
	struct rg_region_config config = {
		.worker_count = RG_WORKERS_MAX, .instance = instance, .node = node};
	struct control_offsets to;
	int status;

	control_offsets(&to);
	rg_mailbox_request_new(map->at + to.request);
	for (uint32_t i = 0; i < RG_WORKERS_MAX; i++)
		rg_ring_cursor_new(map->at + to.cursors + i * rg_ring_cursor_footprint());
	rg_catalogue_new(map->at + to.catalogue);
	rg_counters_new(map->at + to.counters, RG_METRIC_CONTROL);
	new_histograms(map->at + to.histograms, RG_CONTROL_HISTOGRAMS);
	rg_error_log_new(map->at + to.errors);
	new_header(map, RG_REGION_CONTROL, to.bytes, &config, epoch);
	status = rg_region_control_join(view, map, instance, NULL);
	assert(!status); /* what was just made can be joined */
	(void)status;
}

/* ---- join ---- */

static int join_header(const struct rg_mapping *map, enum rg_region_role role, const char *instance,
		       struct rg_error *err)
{
	const struct rg_region_header *header = (const struct rg_region_header *)(void *)map->at;
	char owner[RG_REGION_INSTANCE_BYTES];
	int status = rg_object_join(map->at, map->bytes, &rg_region_kind, err);

	if (status)
		return status;
	if (map->bytes < sizeof(*header))
		return rg_error_set(err, RG_ECORRUPT,
				    "region: %llu bytes are too few for its header",
				    (unsigned long long)map->bytes);
	if (header->object.parameter != role)
		return rg_error_set(err, RG_ECORRUPT, "region: this is the other side's file");
	memcpy(owner, header->instance, sizeof(owner));
	owner[sizeof(owner) - 1] = '\0';
	if (instance && strcmp(instance, owner))
		return rg_error_set(err, RG_ECONFLICT,
				    "region: it belongs to instance \"%s\", not \"%s\"", owner,
				    instance);
	if (!header->generation)
		return rg_error_set(err, RG_ECORRUPT, "region: its generation is 0");
	return RG_OK;
}

/* Room that is left in the mapping from `offset` on. */
static uint64_t left(const struct rg_mapping *map, uint64_t offset)
{
	return offset < map->bytes ? map->bytes - offset : 0;
}

/* Join one object: on success its address, else NULL with *status set (the first failure stays). */
typedef int (*join_function)(const void *sh_object, uint64_t mapped_bytes, struct rg_error *err);
static void *join_at(const struct rg_mapping *map, uint64_t offset, join_function join, int *status,
		     struct rg_error *err)
{
	if (!*status)
		*status = join(map->at + offset, left(map, offset), err);
	return *status ? NULL : map->at + offset;
}

/* Histograms that the writer does not have are not published: NULL. */
static void join_histograms(const struct rg_mapping *map, uint64_t offset,
			    struct rg_histogram *histograms[RG_HISTOGRAMS_MAX])
{
	for (uint32_t i = 0; i < RG_HISTOGRAMS_MAX; i++) {
		uint64_t at = offset + i * rg_histogram_footprint();

		histograms[i] = rg_histogram_join(map->at + at, left(map, at), NULL)
					? NULL
					: (struct rg_histogram *)(void *)(map->at + at);
	}
}

static void join_worker(const struct rg_mapping *map, const struct worker_offsets *at,
			uint64_t ring_bytes, struct rg_region_worker *worker, int *status,
			struct rg_error *err)
{
	worker->status = join_at(map, at->status, rg_worker_join, status, err);
	worker->counters = join_at(map, at->counters, rg_counters_join, status, err);
	join_histograms(map, at->histograms, worker->histograms);
	worker->errors = join_at(map, at->errors, rg_error_log_join, status, err);
	worker->ring = join_at(map, at->ring, rg_ring_join, status, err);
	if (!*status && rg_ring_capacity(worker->ring) != ring_bytes)
		*status = rg_error_set(err, RG_ECORRUPT,
				       "ring: it has %llu bytes, the header says %llu",
				       (unsigned long long)rg_ring_capacity(worker->ring),
				       (unsigned long long)ring_bytes);
}

int rg_region_dataplane_join(struct rg_region_dataplane *view, const struct rg_mapping *map,
			     const char *instance, struct rg_error *err)
{
	struct rg_region_header *header = (struct rg_region_header *)(void *)map->at;
	struct dataplane_offsets at;
	int status = join_header(map, RG_REGION_DATAPLANE, instance, err);

	memset(view, 0, sizeof(*view));
	view->map = RG_MAPPING_NONE;
	if (status)
		return status;
	/* Read once: the peer could change them after they were checked. */
	view->worker_count = header->worker_count;
	view->ring_bytes = header->ring_bytes;
	view->generation = header->generation;
	if (!dataplane_offsets(view->worker_count, view->ring_bytes, &at) || at.bytes > map->bytes)
		status = rg_error_set(err, RG_ECORRUPT,
				      "region: %u workers with rings of %llu bytes do not fit into "
				      "its %llu bytes",
				      view->worker_count, (unsigned long long)view->ring_bytes,
				      (unsigned long long)map->bytes);
	if (!status) {
		view->reply = join_at(map, at.reply, rg_mailbox_reply_join, &status, err);
		view->publisher = join_at(map, at.publisher, rg_publisher_join, &status, err);
		view->catalogue = join_at(map, at.catalogue, rg_catalogue_join, &status, err);
		view->counters = join_at(map, at.counters, rg_counters_join, &status, err);
		join_histograms(map, at.histograms, view->histograms);
		view->errors = join_at(map, at.errors, rg_error_log_join, &status, err);
	}
	for (uint32_t i = 0; !status && i < view->worker_count; i++) {
		join_worker(map, &at.workers[i], view->ring_bytes, &view->workers[i], &status, err);
		if (status)
			rg_error_prefix(err, "worker %u", i);
	}
	if (status) {
		memset(view, 0, sizeof(*view));
		view->map = RG_MAPPING_NONE;
		return status;
	}
	view->header = header;
	view->map = *map;
	return RG_OK;
}

int rg_region_control_join(struct rg_region_control *view, const struct rg_mapping *map,
			   const char *instance, struct rg_error *err)
{
	struct control_offsets at;
	int status = join_header(map, RG_REGION_CONTROL, instance, err);

	memset(view, 0, sizeof(*view));
	view->map = RG_MAPPING_NONE;
	if (status)
		return status;
	control_offsets(&at);
	if (at.bytes > map->bytes)
		return rg_error_set(err, RG_ECORRUPT, "region: %llu bytes, a control file has %llu",
				    (unsigned long long)map->bytes, (unsigned long long)at.bytes);
	view->request = join_at(map, at.request, rg_mailbox_request_join, &status, err);
	for (uint32_t i = 0; i < RG_WORKERS_MAX; i++)
		view->cursors[i] = join_at(map, at.cursors + i * rg_ring_cursor_footprint(),
					   rg_ring_cursor_join, &status, err);
	view->catalogue = join_at(map, at.catalogue, rg_catalogue_join, &status, err);
	view->counters = join_at(map, at.counters, rg_counters_join, &status, err);
	join_histograms(map, at.histograms, view->histograms);
	view->errors = join_at(map, at.errors, rg_error_log_join, &status, err);
	if (status) {
		memset(view, 0, sizeof(*view));
		view->map = RG_MAPPING_NONE;
		return status;
	}
	view->header = (struct rg_region_header *)(void *)map->at;
	view->map = *map;
	return RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/region.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/region_layout.h"

#define FILE_MODE 0640
#define CREATE_TRIES                                                                               \
	8 /* another process of the same role may rename or remove the file meanwhile */

static const char *const file_names[] = {
	[RG_REGION_DATAPLANE] = "dataplane", [RG_REGION_CONTROL] = "control"};

struct rg_region {
	enum rg_region_role role;
	char directory[RG_REGION_PATH_BYTES];
	char instance[RG_REGION_INSTANCE_BYTES];
	struct rg_region_dataplane dataplane;
	struct rg_region_control control;
	uint64_t peer_epoch;  /* as last seen by rg_region_join_* */
	char absence[2][256]; /* reader: why a file is not joined */

	struct rg_ring_producer
		*producers[RG_WORKERS_MAX]; /* the data plane: who gets new cursors */
};

static int make_path(const char *directory, const char *name, char path[RG_REGION_PATH_BYTES],
		     struct rg_error *err)
{
	int n = snprintf(path, RG_REGION_PATH_BYTES, "%s/%s", directory, name);

	if (n < 0 || n >= RG_REGION_PATH_BYTES)
		return rg_error_set(err, RG_ELIMIT, "%s: the directory's path is too long",
				    directory);
	return RG_OK;
}

static struct rg_region *new_region(enum rg_region_role role, const char *directory,
				    const char *instance, struct rg_error *err)
{
	struct rg_region *region = calloc(1, sizeof(*region));

	if (!region) {
		rg_error_set(err, RG_ENOMEM, "region: no memory");
		return NULL;
	}
	region->role = role;
	region->dataplane.map = region->control.map = RG_MAPPING_NONE;
	snprintf(region->instance, sizeof(region->instance), "%s", instance);
	snprintf(region->directory, sizeof(region->directory), "%s", directory);
	return region;
}

static struct rg_region_header *own_header(const struct rg_region *region)
{
	if (region->role == RG_REGION_DATAPLANE)
		return region->dataplane.header;
	return region->role == RG_REGION_CONTROL ? region->control.header : NULL;
}

static const struct rg_region_header *header_of(const struct rg_region *region,
						enum rg_region_role role)
{
	return role == RG_REGION_DATAPLANE ? region->dataplane.header : region->control.header;
}

/* ---- retired files ---- */

/* The least and the greatest epoch of the dataplane.<epoch> files; 0 and 0: there are none. */
static int retired_epochs(const char *directory, uint64_t *oldest, uint64_t *newest,
			  struct rg_error *err)
{
	static const char prefix[] = "dataplane.";
	DIR *dir = opendir(directory);
	struct dirent *entry;

	*oldest = *newest = 0;
	if (!dir)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno, "%s",
					  directory);
	while ((entry = readdir(dir))) {
		const char *digits = entry->d_name + sizeof(prefix) - 1;
		uint64_t epoch;
		char *end;

		if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) || *digits < '0' ||
		    *digits > '9')
			continue;
		epoch = strtoull(digits, &end, 10);
		if (*end || !epoch)
			continue;
		if (!*oldest || epoch < *oldest)
			*oldest = epoch;
		if (epoch > *newest)
			*newest = epoch;
	}
	closedir(dir);
	return RG_OK;
}

/* ---- locks ---- */

static struct flock whole_file(void)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static bool take_lock(int fd)
{
	struct flock lock = whole_file();

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

static bool is_locked(int fd)
{
	struct flock lock = whole_file();

	return fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

/* ---- what a file is ---- */

enum found {
	FOUND_EMPTY,	  /* just made, or its maker died before it had a size */
	FOUND_UNFINISHED, /* not published */
	FOUND_SAME,	  /* to be taken over */
	FOUND_OTHER,	  /* a region of another layout: to be renamed */
};

/* The part of the header that every version has. */
static const struct rg_region_header *frozen(const struct rg_mapping *map)
{
	return (const struct rg_region_header *)(const void *)map->at;
}

static bool rings_sound(const struct rg_region_dataplane *view, struct rg_error *err)
{
	for (uint32_t i = 0; i < view->worker_count; i++) {
		struct rg_ring_producer producer;

		if (rg_ring_producer_join(&producer, view->workers[i].ring, view->generation, NULL,
					  err))
			return false;
	}
	return true;
}

/* Look at an opened, locked file. config: NULL for control's. On FOUND_SAME the view has joined it,
 * otherwise *map is to be closed. A negative status: leave it alone. */
static int inspect(struct rg_region *region, int fd, const char *path,
		   const struct rg_region_config *config, struct rg_mapping *map,
		   struct rg_error *err)
{
	uint64_t magic;
	int status;

	status = rg_mapping_attach(fd, true, path, map, err);
	if (status == RG_EAGAIN)
		return FOUND_EMPTY;
	if (status)
		return status;
	if (map->bytes < offsetof(struct rg_region_header, node))
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: %" PRIu64
				    " bytes are too few for a region: move the file away",
				    path, map->bytes);
	/* acquire: pairs with rg_object_publish() of the predecessor */
	magic = atomic_load_explicit(&frozen(map)->object.magic, memory_order_acquire);
	if (!magic)
		return FOUND_UNFINISHED;
	if (magic != rg_region_kind.magic)
		return rg_error_set(err, RG_ECORRUPT, "%s: is not a region: move the file away",
				    path);
	if (region->role == RG_REGION_CONTROL)
		status = rg_region_control_join(&region->control, map, region->instance, err);
	else
		status = rg_region_dataplane_join(&region->dataplane, map, region->instance, err);
	if (status == RG_ECONFLICT)
		return rg_error_prefix(err, "%s", path);
	if (status)
		return FOUND_OTHER;
	if (config && (region->dataplane.worker_count != config->worker_count ||
		       region->dataplane.ring_bytes != config->ring_bytes ||
		       !rings_sound(&region->dataplane, err)))
		return FOUND_OTHER;
	return FOUND_SAME;
}

/* ---- taking over ---- */

/* A program with another metrics.def: describe its metrics and begin to count from 0. */
static void renew_metrics(struct rg_catalogue *catalogue, struct rg_counters *counters,
			  enum rg_metric_group group)
{
	if (catalogue->fingerprint == rg_catalogue_fingerprint())
		return;
	rg_catalogue_delete(catalogue);
	rg_counters_new(counters, group);
}

static void take_over_dataplane(struct rg_region_dataplane *view)
{
	bool renew = view->catalogue->fingerprint != rg_catalogue_fingerprint();

	renew_metrics(view->catalogue, view->counters, RG_METRIC_PUBLISHER);
	rg_error_log_repair(view->errors);
	for (uint32_t i = 0; i < view->worker_count; i++) {
		struct rg_region_worker *worker = &view->workers[i];

		renew_metrics(view->catalogue, worker->counters, RG_METRIC_WORKER);
		rg_error_log_repair(worker->errors);
		rg_worker_set_state(worker->status, RG_WORKER_STOPPED);
	}
	if (renew)
		rg_catalogue_new(view->catalogue);
}

static void take_over_control(struct rg_region_control *view)
{
	bool renew = view->catalogue->fingerprint != rg_catalogue_fingerprint();

	rg_mailbox_request_repair(view->request);
	rg_error_log_repair(view->errors);
	renew_metrics(view->catalogue, view->counters, RG_METRIC_CONTROL);
	if (renew)
		rg_catalogue_new(view->catalogue);
}

/* The own header of a new epoch (b). */
static void own(struct rg_region_header *header, uint32_t node, uint64_t now_ns, uint64_t epoch)
{
	/* relaxed: ordered by the release below */
	atomic_store_explicit(&header->pid, (uint64_t)getpid(), memory_order_relaxed);
	atomic_store_explicit(&header->node, node, memory_order_relaxed);
	atomic_store_explicit(&header->start_time_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&header->heartbeat_ns, now_ns, memory_order_relaxed);
	/* release: pairs with rg_region_epoch() */
	atomic_store_explicit(&header->epoch, epoch, memory_order_release);
}

/* ---- create ---- */

static uint64_t maximum(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Greatest epoch of this role that the peer's file remembers; 0: there is none that can be read. */
static uint64_t remembered_epoch(const struct rg_region *region)
{
	enum rg_region_role peer =
		region->role == RG_REGION_DATAPLANE ? RG_REGION_CONTROL : RG_REGION_DATAPLANE;
	char path[RG_REGION_PATH_BYTES];
	struct rg_mapping map;
	uint64_t epoch = 0;
	int fd;

	if (make_path(region->directory, file_names[peer], path, NULL))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	if (rg_mapping_attach(fd, false, path, &map, NULL)) {
		close(fd);
		return 0;
	}
	if (!rg_object_join(map.at, map.bytes, &rg_region_kind, NULL) &&
	    map.bytes >= sizeof(struct rg_region_header))
		/* relaxed: any value that was there once will do */
		epoch = atomic_load_explicit(&frozen(&map)->peer_epoch, memory_order_relaxed);
	rg_mapping_close(&map);
	return epoch;
}

/* Strictly greater than every epoch before. */
static int next_epoch(const struct rg_region *region, uint64_t former, uint64_t now_ns,
		      uint64_t *epoch, struct rg_error *err)
{
	uint64_t oldest, newest;
	int status = retired_epochs(region->directory, &oldest, &newest, err);

	if (status)
		return status;
	if (region->role != RG_REGION_DATAPLANE)
		newest = 0;
	*epoch = maximum(now_ns, 1 + maximum(former, maximum(newest, remembered_epoch(region))));
	return RG_OK;
}

static int rename_other(const struct rg_mapping *map, const char *path, struct rg_error *err)
{
	char retired[RG_REGION_PATH_BYTES + 32];
	/* relaxed: its owner is gone, we hold its lock */
	uint64_t epoch = atomic_load_explicit(&frozen(map)->epoch, memory_order_relaxed);

	snprintf(retired, sizeof(retired), "%s.%" PRIu64, path, epoch);
	if (rename(path, retired))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot rename to %s", path,
					  retired);
	return RG_OK;
}

static int busy(int fd, const char *path, struct rg_error *err)
{
	struct rg_mapping map;
	uint64_t pid = 0;

	if (!rg_mapping_attach(fd, false, path, &map, NULL)) {
		if (map.bytes >= sizeof(struct rg_region_header))
			/* relaxed: a number for people */
			pid = atomic_load_explicit(&frozen(&map)->pid, memory_order_relaxed);
		map.fd = -1; /* the caller closes it */
		rg_mapping_close(&map);
	}
	return rg_error_set(err, RG_ECONFLICT,
			    "%s: another process (pid %" PRIu64
			    ") has it: stop that first, or give this instance another name",
			    path, pid);
}

static int open_own(const char *path, struct rg_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

	if (fd >= 0)
		return fd;
	return rg_error_set_errno(
		err, RG_EIO, errno,
		"%s: cannot open or create (the directory must be writable for this user)", path);
}

/* Lay out and publish a new file. */
static int make_file(struct rg_region *region, int fd, const char *path,
		     const struct rg_region_config *config, uint32_t node, uint64_t now_ns,
		     uint64_t former_epoch, struct rg_error *err)
{
	uint64_t bytes = config ? rg_region_dataplane_bytes(config) : rg_region_control_bytes();
	struct rg_mapping map;
	uint64_t epoch;
	int status = next_epoch(region, former_epoch, now_ns, &epoch, err);

	if (status)
		return status;
	if (fchmod(fd, FILE_MODE))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: chmod", path);
	status = rg_mapping_allocate(fd, bytes, path, &map, err);
	if (status) {
		unlink(path);
		return status;
	}
	if (config)
		rg_region_dataplane_new(&region->dataplane, &map, config, epoch);
	else
		rg_region_control_new(&region->control, &map, region->instance, node, epoch);
	own(own_header(region), node, now_ns, epoch);
	return RG_OK;
}

static int take_over(struct rg_region *region, uint32_t node, uint64_t now_ns, struct rg_error *err)
{
	struct rg_region_header *header = own_header(region);
	uint64_t epoch;
	/* relaxed: its owner is gone, we hold its lock */
	int status = next_epoch(region, atomic_load_explicit(&header->epoch, memory_order_relaxed),
				now_ns, &epoch, err);

	if (status)
		return status;
	if (region->role == RG_REGION_DATAPLANE)
		take_over_dataplane(&region->dataplane);
	else
		take_over_control(&region->control);
	own(header, node, now_ns, epoch);
	return RG_OK;
}

/* One look at the file of the own role. RG_EAGAIN: it was moved out of the way, or somebody else
 * moved it: look again. *former is the epoch of a file that was renamed. */
static int create_once(struct rg_region *region, const char *path,
		       const struct rg_region_config *config, uint32_t node, uint64_t now_ns,
		       uint64_t *former, struct rg_error *err)
{
	struct rg_mapping map = RG_MAPPING_NONE;
	struct stat by_path, by_fd;
	int fd = open_own(path, err), found, status;

	if (fd < 0)
		return fd;
	if (!take_lock(fd)) {
		status = busy(fd, path, err);
		close(fd);
		return status;
	}
	if (stat(path, &by_path) || fstat(fd, &by_fd) || by_path.st_ino != by_fd.st_ino ||
	    by_path.st_dev != by_fd.st_dev) {
		close(fd);
		return RG_EAGAIN;
	}
	found = inspect(region, fd, path, config, &map, err);
	switch (found) {
	case FOUND_EMPTY:
		status = make_file(region, fd, path, config, node, now_ns, *former, err);
		break;
	case FOUND_SAME: status = take_over(region, node, now_ns, err); break;
	case FOUND_UNFINISHED:
		status = unlink(path)
				 ? rg_error_set_errno(err, RG_EIO, errno, "%s: cannot remove", path)
				 : RG_EAGAIN;
		break;
	case FOUND_OTHER:
		*former = atomic_load_explicit(&frozen(&map)->epoch, memory_order_relaxed);
		status = rename_other(&map, path, err);
		status = status ? status : RG_EAGAIN;
		break;
	default: status = found; break;
	}
	if (!status)
		return RG_OK;
	region->dataplane = (struct rg_region_dataplane){.map = RG_MAPPING_NONE};
	region->control = (struct rg_region_control){.map = RG_MAPPING_NONE};
	if (map.at)
		rg_mapping_close(&map);
	else
		close(fd);
	return status;
}

static int create(enum rg_region_role role, const char *directory,
		  const struct rg_region_config *config, const char *instance, uint32_t node,
		  uint64_t now_ns, struct rg_region **region, struct rg_error *err)
{
	char path[RG_REGION_PATH_BYTES];
	uint64_t former = 0;
	int status = rg_region_check_instance(instance, err);

	*region = NULL;
	if (!status)
		status = make_path(directory, file_names[role], path, err);
	if (status)
		return status;
	*region = new_region(role, directory, instance, err);
	if (!*region)
		return RG_ENOMEM;
	status = RG_EAGAIN;
	for (int tries = 0; status == RG_EAGAIN && tries < CREATE_TRIES; tries++)
		status = create_once(*region, path, config, node, now_ns, &former, err);
	if (status == RG_EAGAIN)
		status = rg_error_set(err, RG_ECONFLICT, "%s: other processes keep replacing it",
				      path);
	if (status) {
		free(*region);
		*region = NULL;
	}
	return status;
}

int rg_region_create_dataplane(const char *directory, const struct rg_region_config *config,
			       uint64_t now_ns, struct rg_region **region, struct rg_error *err)
{
	*region = NULL;
	if (!rg_region_dataplane_bytes(config))
		return rg_error_set(
			err, RG_EINVAL,
			"region: %u workers (1 to %d are possible) with rings of %" PRIu64
			" bytes (a power of two, %llu or more)",
			config->worker_count, RG_WORKERS_MAX, config->ring_bytes,
			RG_RING_BYTES_MIN);
	return create(RG_REGION_DATAPLANE, directory, config, config->instance, config->node,
		      now_ns, region, err);
}

int rg_region_create_control(const char *directory, const char *instance, uint32_t node,
			     uint64_t now_ns, struct rg_region **region, struct rg_error *err)
{
	return create(RG_REGION_CONTROL, directory, NULL, instance, node, now_ns, region, err);
}

/* ---- the peer ---- */

/* Open and map a file of the other side. On success *map is the caller's. */
static int map_peer(const char *path, struct rg_mapping *map, struct rg_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), status;

	*map = RG_MAPPING_NONE;
	if (fd < 0 && errno == ENOENT)
		return rg_error_set(err, RG_EAGAIN, "%s: is not there yet", path);
	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	status = rg_mapping_attach(fd, false, path, map, err);
	if (status)
		close(fd);
	return status;
}

/* The peer's next start takes a greater epoch than this. */
static void remember_peer_epoch(struct rg_region *region, uint64_t epoch)
{
	struct rg_region_header *header = own_header(region);

	/* relaxed: our own word. release: cursors are attached before; pairs with
	 * check_cursor_seen() */
	if (epoch > atomic_load_explicit(&header->peer_epoch, memory_order_relaxed))
		atomic_store_explicit(&header->peer_epoch, epoch, memory_order_release);
}

/* Is the epoch another one than last time? Remember it, for ourselves and for the peer's next
 * start. */
static bool note_peer_epoch(struct rg_region *region, enum rg_region_role peer)
{
	uint64_t epoch = rg_region_epoch(region, peer);
	bool changed = epoch != region->peer_epoch;

	region->peer_epoch = epoch;
	remember_peer_epoch(region, epoch);
	return changed;
}

static void attach_cursors(struct rg_region *region)
{
	for (uint32_t i = 0; i < RG_WORKERS_MAX; i++) {
		if (region->producers[i])
			rg_ring_producer_attach(region->producers[i], region->control.cursors[i]);
	}
}

int rg_region_join_control(struct rg_region *region, bool *changed, struct rg_error *err)
{
	char path[RG_REGION_PATH_BYTES];
	struct rg_region_control view;
	struct rg_mapping map, old;
	bool anew = false;
	int status = make_path(region->directory, file_names[RG_REGION_CONTROL], path, err);

	if (status)
		return status;
	if (!rg_mapping_current(&region->control.map, path)) {
		status = map_peer(path, &map, err);
		if (status)
			return status;
		status = rg_region_control_join(&view, &map, region->instance, err);
		if (status) {
			rg_mapping_close(&map);
			return rg_error_prefix(err, "%s", path);
		}
		old = region->control.map;
		region->control = view;
		attach_cursors(region); /* from here on no worker looks at the old one */
		rg_mapping_close(&old);
		anew = true;
	}
	anew |= note_peer_epoch(region, RG_REGION_CONTROL);
	if (changed)
		*changed = anew;
	return RG_OK;
}

int rg_region_join_dataplane(struct rg_region *region, bool *changed, struct rg_error *err)
{
	char path[RG_REGION_PATH_BYTES];
	struct rg_region_dataplane view;
	struct rg_mapping map;
	bool anew = false;
	int status = make_path(region->directory, file_names[RG_REGION_DATAPLANE], path, err);

	if (status)
		return status;
	if (!rg_mapping_current(&region->dataplane.map, path)) {
		status = map_peer(path, &map, err);
		if (status)
			return status;
		status = rg_region_dataplane_join(&view, &map, region->instance, err);
		if (status) {
			rg_mapping_close(&map);
			return rg_error_prefix(err, "%s", path);
		}
		rg_mapping_close(&region->dataplane.map);
		region->dataplane = view;
		anew = true;
	}
	anew |= note_peer_epoch(region, RG_REGION_DATAPLANE);
	if (changed)
		*changed = anew;
	return RG_OK;
}

bool rg_region_running(const struct rg_region *region, enum rg_region_role role)
{
	if (role == region->role)
		return true;
	return is_locked(role == RG_REGION_DATAPLANE ? region->dataplane.map.fd
						     : region->control.map.fd);
}

/* ---- tools ---- */

static void open_peer_of_reader(struct rg_region *region, enum rg_region_role role)
{
	char path[RG_REGION_PATH_BYTES];
	struct rg_mapping map = RG_MAPPING_NONE;
	struct rg_error err = {0};
	int status = make_path(region->directory, file_names[role], path, &err);

	if (!status)
		status = map_peer(path, &map, &err);
	if (!status && role == RG_REGION_DATAPLANE)
		status = rg_region_dataplane_join(&region->dataplane, &map, NULL, &err);
	else if (!status)
		status = rg_region_control_join(&region->control, &map, NULL, &err);
	region->absence[role][0] = '\0';
	if (!status)
		return;
	rg_mapping_close(&map);
	snprintf(region->absence[role], sizeof(region->absence[role]), "%s", err.text);
}

int rg_region_open_readonly(const char *directory, struct rg_region **region, struct rg_error *err)
{
	struct stat st;

	*region = NULL;
	if (stat(directory, &st) || !S_ISDIR(st.st_mode))
		return rg_error_set(err, RG_ENOENT,
				    "%s: no such directory: no riskgate has run here", directory);
	*region = new_region(RG_REGION_READER, directory, "", err);
	if (!*region)
		return RG_ENOMEM;
	open_peer_of_reader(*region, RG_REGION_DATAPLANE);
	open_peer_of_reader(*region, RG_REGION_CONTROL);
	return RG_OK;
}

void rg_region_refresh_readonly(struct rg_region *region)
{
	char path[RG_REGION_PATH_BYTES];

	for (enum rg_region_role role = RG_REGION_DATAPLANE; role <= RG_REGION_CONTROL; role++) {
		struct rg_mapping *map =
			role == RG_REGION_DATAPLANE ? &region->dataplane.map : &region->control.map;

		if (make_path(region->directory, file_names[role], path, NULL) ||
		    rg_mapping_current(map, path))
			continue;
		rg_mapping_close(map);
		if (role == RG_REGION_DATAPLANE)
			region->dataplane = (struct rg_region_dataplane){.map = RG_MAPPING_NONE};
		else
			region->control = (struct rg_region_control){.map = RG_MAPPING_NONE};
		open_peer_of_reader(region, role);
	}
}

const char *rg_region_absence(const struct rg_region *region, enum rg_region_role role)
{
	return role == RG_REGION_DATAPLANE || role == RG_REGION_CONTROL ? region->absence[role]
									: "";
}

/* ---- close ---- */

static void close_all(struct rg_region *region)
{
	rg_mapping_close(&region->dataplane.map);
	rg_mapping_close(&region->control.map);
	free(region);
}

void rg_region_close(struct rg_region *region)
{
	struct rg_region_header *header = region ? own_header(region) : NULL;

	if (!region)
		return;
	if (header)
		/* relaxed: a number for people; the lock is what counts */
		atomic_store_explicit(&header->pid, 0, memory_order_relaxed);
	close_all(region);
}

void rg_region_delete(struct rg_region *region)
{
	struct rg_region_header *header = own_header(region);
	char path[RG_REGION_PATH_BYTES];

	if (header) {
		rg_object_unpublish(&header->object);
		if (!make_path(region->directory, file_names[region->role], path, NULL))
			unlink(path);
	}
	close_all(region);
}

/* ---- what is in it ---- */

const struct rg_region_dataplane *rg_region_dataplane(const struct rg_region *region)
{
	return &region->dataplane;
}

const struct rg_region_control *rg_region_control(const struct rg_region *region)
{
	return &region->control;
}

const char *rg_region_directory_of(const struct rg_region *region)
{
	return region->directory;
}

uint64_t rg_region_epoch(const struct rg_region *region, enum rg_region_role role)
{
	const struct rg_region_header *header = header_of(region, role);

	/* acquire: (b), pairs with own() */
	return header ? atomic_load_explicit(&header->epoch, memory_order_acquire) : 0;
}

uint64_t rg_region_pid(const struct rg_region *region, enum rg_region_role role)
{
	const struct rg_region_header *header = header_of(region, role);

	/* relaxed: a number for people */
	return header ? atomic_load_explicit(&header->pid, memory_order_relaxed) : 0;
}

void rg_region_beat(struct rg_region *region, uint64_t now_ns)
{
	/* relaxed: a number of its own */
	atomic_store_explicit(&own_header(region)->heartbeat_ns, now_ns, memory_order_relaxed);
}

int rg_region_producer(struct rg_region *region, uint32_t worker, struct rg_ring_producer *producer,
		       struct rg_error *err)
{
	int status;

	if (region->role != RG_REGION_DATAPLANE || worker >= region->dataplane.worker_count)
		return rg_error_set(err, RG_EINVAL, "region: no ring for worker %u to write",
				    worker);
	status = rg_ring_producer_join(producer, region->dataplane.workers[worker].ring,
				       region->dataplane.generation,
				       region->control.cursors[worker], err);
	if (!status)
		region->producers[worker] = producer;
	return status;
}

static int check_no_retired(const struct rg_region *region, struct rg_error *err)
{
	uint64_t oldest, newest;
	int status = retired_epochs(region->directory, &oldest, &newest, err);

	if (!status && oldest)
		status = rg_error_set(err, RG_EAGAIN,
				      "%s/dataplane.%" PRIu64 ": has to be drained first",
				      region->directory, oldest);
	return status;
}

/* A new cursor begins at the ring's hint, which stands still only when the producer no longer sees
 * the cursor before it: when it has joined this control's file, or none ever, or is not running. */
static int check_cursor_seen(const struct rg_region *region, uint32_t worker, struct rg_error *err)
{
	const struct rg_ring_cursor *cursor = region->control.cursors[worker];
	/* relaxed: our own word */
	bool is_new = atomic_load_explicit(&cursor->generation, memory_order_relaxed) !=
		      region->dataplane.generation;
	/* acquire: the hints are final when this is seen; pairs with note_peer_epoch() */
	uint64_t seen =
		atomic_load_explicit(&region->dataplane.header->peer_epoch, memory_order_acquire);

	if (!is_new || !seen || seen == rg_region_epoch(region, RG_REGION_CONTROL) ||
	    !rg_region_running(region, RG_REGION_DATAPLANE))
		return RG_OK;
	return rg_error_set(err, RG_EAGAIN, "%s/control: the data plane has not joined it yet",
			    region->directory);
}

int rg_region_consumer(struct rg_region *region, uint32_t worker, struct rg_ring_consumer *consumer,
		       struct rg_error *err)
{
	int status;

	if (region->role != RG_REGION_CONTROL || worker >= region->dataplane.worker_count)
		return rg_error_set(err, RG_EINVAL, "region: no ring of worker %u to read", worker);
	/* The cursors are needed for the older file until it is drained. */
	status = check_no_retired(region, err);
	if (!status)
		status = check_cursor_seen(region, worker, err);
	if (status)
		return status;
	return rg_ring_consumer_join(consumer, region->dataplane.workers[worker].ring,
				     region->dataplane.ring_bytes, region->dataplane.generation,
				     region->control.cursors[worker], err);
}

/* ---- retired files ---- */

/* Nobody here can read the file: out of the way with it, or the present rings would fill behind
 * it. Nothing of it is lost. */
static void set_aside(const char *path, uint32_t version, struct rg_error *err)
{
	char aside[RG_REGION_PATH_BYTES + 32];

	snprintf(aside, sizeof(aside), "%s.version%u", path, version);
	if (rename(path, aside))
		rg_error_prefix(
			err,
			"cannot rename it to %s (%s): remove it, or drain it with the release "
			"that wrote it: until then nothing is recorded",
			aside, strerror(errno));
	else
		rg_error_prefix(
			err,
			"set aside as %s, with the records that were not stored: to store them "
			"stop riskgate, rename it back and run the release that wrote it; "
			"else remove it",
			aside);
}

int rg_region_open_retired(struct rg_region *region, struct rg_region_retired **retired,
			   struct rg_error *err)
{
	struct rg_region_retired *file;
	struct rg_mapping map = RG_MAPPING_NONE;
	uint64_t oldest, newest;
	uint32_t version = 0;
	int status;

	*retired = NULL;
	if (region->role != RG_REGION_CONTROL)
		return rg_error_set(err, RG_EINVAL, "region: only control drains retired files");
	status = retired_epochs(region->directory, &oldest, &newest, err);
	if (status)
		return status;
	if (!oldest)
		return rg_error_set(err, RG_ENOENT, "%s: no retired file", region->directory);
	file = calloc(1, sizeof(*file));
	if (!file)
		return rg_error_set(err, RG_ENOMEM, "region: no memory");
	snprintf(file->path, sizeof(file->path), "%.480s/dataplane.%" PRIu64, region->directory,
		 oldest);
	status = map_peer(file->path, &map, err);
	if (!status) {
		version = frozen(&map)->object.version;
		status = rg_region_dataplane_join(&file->dataplane, &map, region->instance, err);
		if (status) {
			rg_mapping_close(&map);
			rg_error_prefix(err, "%s", file->path);
		}
	}
	if (!status && region->dataplane.generation == file->dataplane.generation)
		status = rg_error_set(
			err, RG_EAGAIN,
			"%s: is still joined as the data plane's: join the new one first",
			file->path);
	if (status == RG_EVERSION)
		set_aside(file->path, version, err);
	if (!status) /* it may never have been joined, and will be gone when the next one is made */
		remember_peer_epoch(region, oldest);
	for (uint32_t i = 0; !status && i < file->dataplane.worker_count; i++)
		status = rg_ring_consumer_join(&file->consumers[i], file->dataplane.workers[i].ring,
					       file->dataplane.ring_bytes,
					       file->dataplane.generation,
					       region->control.cursors[i], err);
	if (status)
		rg_region_close_retired(file);
	else
		*retired = file;
	return status;
}

int rg_region_remove_retired(struct rg_region_retired *retired, struct rg_error *err)
{
	for (uint32_t i = 0; i < retired->dataplane.worker_count; i++) {
		const struct rg_ring_consumer *consumer = &retired->consumers[i];

		if (rg_ring_backlog_bytes(consumer) || consumer->released != consumer->position)
			return rg_error_set(err, RG_EAGAIN,
					    "%s: the ring of worker %u is not drained",
					    retired->path, i);
	}
	if (unlink(retired->path))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot remove", retired->path);
	rg_region_close_retired(retired);
	return RG_OK;
}

void rg_region_close_retired(struct rg_region_retired *retired)
{
	if (!retired)
		return;
	rg_mapping_close(&retired->dataplane.map);
	free(retired);
}

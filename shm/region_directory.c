/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a region lives. Both processes must come to the same place, whichever starts first and
 * however many huge pages are left by then: a directory that already holds a file of this instance
 * decides; otherwise the choice is tried for real under a lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/region_layout.h"

#define DIRECTORY_MODE 0750
#define CANDIDATES_MAX 16
#define TMPFS	       "/dev/shm"
#define MOUNTS	       "/proc/mounts"

struct candidates {
	char mounts
		[CANDIDATES_MAX]
		[RG_REGION_PATH_BYTES]; /* hugetlbfs mounts in the order of /proc/mounts, tmpfs last */
	uint32_t count;
};

static void add(struct candidates *to, const char *mount)
{
	if (to->count < CANDIDATES_MAX && strlen(mount) < RG_REGION_PATH_BYTES / 2)
		strcpy(to->mounts[to->count++], mount);
}

static void find_candidates(struct candidates *to)
{
	FILE *mounts = setmntent(MOUNTS, "re");
	struct mntent entry;
	char text[4096];

	to->count = 0;
	while (mounts && to->count < CANDIDATES_MAX - 1 &&
	       getmntent_r(mounts, &entry, text, sizeof(text))) {
		if (!strcmp(entry.mnt_type, "hugetlbfs"))
			add(to, entry.mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
	add(to, TMPFS);
}

static int directory_in(const char *mount, const char *instance, char *directory,
			size_t directory_bytes, struct rg_error *err)
{
	int n = snprintf(directory, directory_bytes, "%s/riskgate-%s", mount, instance);

	if (n < 0 || (size_t)n >= directory_bytes)
		return rg_error_set(err, RG_ELIMIT, "%s/riskgate-%s: the path is too long", mount,
				    instance);
	return RG_OK;
}

static bool holds_region(const char *directory)
{
	static const char *const names[] = {"dataplane", "control"};
	char path[RG_REGION_PATH_BYTES + 16];
	struct stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		if (!stat(path, &st))
			return true;
	}
	return false;
}

static int make_directory(const char *directory, struct rg_error *err)
{
	struct stat st;

	if (mkdir(directory, DIRECTORY_MODE) && errno != EEXIST)
		return rg_error_set_errno(
			err, RG_EIO, errno,
			"%s: cannot make the region's directory (region.directory)", directory);
	if (stat(directory, &st) || !S_ISDIR(st.st_mode))
		return rg_error_set(err, RG_EINVAL, "%s: is not a directory (region.directory)",
				    directory);
	return RG_OK;
}

/* Can needed_bytes really be had there? Allocates, maps and touches a file, and removes it. */
static int try_directory(const char *directory, uint64_t needed_bytes, struct rg_error *err)
{
	char path[RG_REGION_PATH_BYTES + 16];
	struct rg_mapping map;
	int fd, status = make_directory(directory, err);

	if (status)
		return status;
	snprintf(path, sizeof(path), "%s/trial", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot create", path);
	status = rg_mapping_allocate(fd, needed_bytes, path, &map, err);
	unlink(path);
	if (status)
		close(fd);
	else
		rg_mapping_close(&map);
	return status;
}

/* The first candidate that can hold the region. The lock on the mount point keeps a peer from
 * trying at the same time and both from failing. */
static int choose(const struct candidates *from, const char *instance, uint64_t needed_bytes,
		  char *directory, size_t directory_bytes, struct rg_error *err)
{
	int status = RG_ENOENT;

	for (uint32_t i = 0; status && i < from->count; i++) {
		bool is_new;
		int lock;

		status = directory_in(from->mounts[i], instance, directory, directory_bytes, err);
		if (status)
			continue;
		lock = open(from->mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (lock < 0 || flock(lock, LOCK_EX)) {
			status = rg_error_set_errno(err, RG_EIO, errno, "%s", from->mounts[i]);
			if (lock >= 0)
				close(lock);
			continue;
		}
		is_new = access(directory, F_OK) != 0;
		status = holds_region(directory) ? RG_OK
						 : try_directory(directory, needed_bytes, err);
		if (status && is_new)
			rmdir(directory);
		close(lock); /* gives the lock back */
	}
	return status;
}

int rg_region_directory(const char *configured, const char *instance, uint64_t needed_bytes,
			char *directory, size_t directory_bytes, struct rg_error *err)
{
	struct candidates candidates;
	int n, status = rg_region_check_instance(instance, err);

	if (status)
		return status;
	if (configured && *configured && strcmp(configured, "auto")) {
		n = snprintf(directory, directory_bytes, "%s", configured);
		if (n < 0 || (size_t)n >= directory_bytes)
			return rg_error_set(err, RG_ELIMIT,
					    "%s: the path is too long (region.directory)",
					    configured);
		return make_directory(directory, err);
	}
	find_candidates(&candidates);
	for (uint32_t i = 0; i < candidates.count; i++) {
		if (!directory_in(candidates.mounts[i], instance, directory, directory_bytes,
				  NULL) &&
		    holds_region(directory))
			return RG_OK;
	}
	return choose(&candidates, instance, needed_bytes, directory, directory_bytes, err);
}

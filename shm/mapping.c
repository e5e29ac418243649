/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SMALL_PAGE_BYTES 4096u

bool rg_mapping_huge_pages(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC;
}

uint64_t rg_mapping_file_bytes(int fd, uint64_t bytes)
{
	struct statfs fs;
	uint64_t page = SMALL_PAGE_BYTES;

	if (fstatfs(fd, &fs))
		return 0;
	if (fs.f_type == HUGETLBFS_MAGIC)
		page = (uint64_t)fs.f_bsize; /* its block is its page */
	if (bytes > UINT64_MAX - page)
		return 0;
	return (bytes + page - 1) / page * page;
}

/* Say that there was no room, and what to do about it. */
static int no_room(int fd, uint64_t bytes, int errnum, const char *path, struct rg_error *err)
{
	if (errnum == ENOSPC || errnum == ENOMEM || errnum == EDQUOT)
		return rg_error_set_errno(
			err, RG_ENOMEM, errnum, "%s: no room for %llu bytes: %s", path,
			(unsigned long long)bytes,
			rg_mapping_huge_pages(fd)
				? "raise vm.nr_hugepages or the size= of the mount, or set "
				  "region.directory to a tmpfs"
				: "make the tmpfs larger or region.ring_bytes smaller");
	return rg_error_set_errno(err, RG_EIO, errnum, "%s: cannot allocate %llu bytes", path,
				  (unsigned long long)bytes);
}

/* Have every page of the mapping in memory and in the page table, with an error instead of a
 * signal. */
static int populate(void *at, uint64_t bytes, bool writable)
{
#ifdef MADV_POPULATE_READ
	if (!madvise(at, bytes, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ))
		return 0;
	return errno == EINVAL ? 0 : errno; /* an older kernel: MAP_POPULATE has done it */
#else
	return 0;
#endif
}

static int map_file(int fd, uint64_t bytes, bool writable, const char *path, struct rg_mapping *map,
		    struct rg_error *err)
{
	struct stat st;
	int failed;
	void *at;

	if (fstat(fd, &st))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: fstat", path);
	at = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		  MAP_SHARED | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		return no_room(fd, bytes, errno, path, err);
	failed = populate(at, bytes, writable);
	if (failed) {
		munmap(at, bytes);
		return no_room(fd, bytes, failed, path, err);
	}
	*map = (struct rg_mapping){.at = at,
				   .bytes = bytes,
				   .fd = fd,
				   .writable = writable,
				   .device = st.st_dev,
				   .inode = st.st_ino};
	return RG_OK;
}

int rg_mapping_allocate(int fd, uint64_t bytes, const char *path, struct rg_mapping *map,
			struct rg_error *err)
{
	uint64_t file_bytes = rg_mapping_file_bytes(fd, bytes);

	*map = RG_MAPPING_NONE;
	if (!file_bytes || file_bytes > INT64_MAX)
		return rg_error_set(err, RG_EINVAL, "%s: cannot have %llu bytes", path,
				    (unsigned long long)bytes);
	if (fallocate(fd, 0, 0, (off_t)file_bytes))
		return no_room(fd, file_bytes, errno, path, err);
	return map_file(fd, file_bytes, true, path, map, err);
}

int rg_mapping_attach(int fd, bool writable, const char *path, struct rg_mapping *map,
		      struct rg_error *err)
{
	struct stat st;

	*map = RG_MAPPING_NONE;
	if (fstat(fd, &st))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: fstat", path);
	if (!S_ISREG(st.st_mode))
		return rg_error_set(err, RG_ECORRUPT, "%s: is not a regular file", path);
	if (st.st_size <= 0)
		return rg_error_set(err, RG_EAGAIN,
				    "%s: is empty: its writer has not got further yet", path);
	return map_file(fd, (uint64_t)st.st_size, writable, path, map, err);
}

int rg_mapping_seal(struct rg_mapping *map, const char *path, struct rg_error *err)
{
	if (mprotect(map->at, map->bytes, PROT_READ))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot make read-only", path);
	map->writable = false;
	return RG_OK;
}

void rg_mapping_close(struct rg_mapping *map)
{
	if (map->at)
		munmap(map->at, map->bytes);
	if (map->fd >= 0)
		close(map->fd);
	*map = RG_MAPPING_NONE;
}

bool rg_mapping_current(const struct rg_mapping *map, const char *path)
{
	struct stat st;

	return map->at && !stat(path, &st) && st.st_dev == map->device && st.st_ino == map->inode;
}

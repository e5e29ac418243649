/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world.h"

#define FILES_MAX 4096

/* How long each file was when it was synced last. */
static struct {
	ino_t inode;
	off_t bytes;
} files[FILES_MAX];
static uint32_t file_count;

static off_t *synced_bytes(ino_t inode)
{
	for (uint32_t i = file_count; i-- > 0;)
		if (files[i].inode == inode)
			return &files[i].bytes;
	if (file_count == FILES_MAX)
		fail("more than %d files were synced", FILES_MAX);
	files[file_count].inode = inode;
	files[file_count].bytes = 0;
	return &files[file_count++].bytes;
}

int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	struct stat status;

	if (fstat(fd, &status))
		return -1;
	*synced_bytes(status.st_ino) = status.st_size;
	return 0; /* on tmpfs there is nothing else to do */
}

/* Do this to each segment of the folder, in the order of their names. */
static void each_segment(const char *folder, void (*act)(const char *name, int fd))
{
	struct dirent **names;
	int count = scandir(folder, &names, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		char path[PATH_BYTES * 2];
		size_t length = strlen(names[i]->d_name);
		int fd;

		if (length > 4 && !strcmp(names[i]->d_name + length - 4, ".rgj")) {
			snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
			if (fd < 0)
				fail("%s: %s", path, strerror(errno));
			act(names[i]->d_name, fd);
			close(fd);
		}
		free(names[i]);
	}
	free(names);
}

static void cut(const char *name, int fd)
{
	struct stat status;
	off_t keep;

	if (fstat(fd, &status))
		fail("%s: %s", name, strerror(errno));
	keep = *synced_bytes(status.st_ino);
	if (keep >= status.st_size)
		return;
	keep += (off_t)roll((uint64_t)(status.st_size - keep + 1));
	if (ftruncate(fd, keep))
		fail("%s: %s", name, strerror(errno));
	*synced_bytes(status.st_ino) = keep; /* what is there after the start is on the disk */
	trace("  %s keeps %lld of %lld bytes", name, (long long)keep, (long long)status.st_size);
}

void power_fail(const char *folder)
{
	each_segment(folder, cut);
}

static void sync_it(const char *name, int fd)
{
	__wrap_fdatasync(fd);
}

void power_sync_failed(const char *folder)
{
	each_segment(folder, sync_it);
}

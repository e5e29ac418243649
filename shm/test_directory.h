/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory for a test's files, on tmpfs or on hugetlbfs: the argument of the test says which.
 * Where no hugetlbfs is mounted that we may write to, one is mounted in a mount namespace of our
 * own; where that cannot be, the test is skipped (exit status 77) and says what is missing.
 */
#ifndef RG_SHM_TEST_DIRECTORY_H
#define RG_SHM_TEST_DIRECTORY_H

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST_SKIPPED 77

struct test_directory {
	char mount[64]; /* what we mounted, or "" */
	char path[256];
};

static inline void test_skip(const char *why)
{
	printf("skipped: %s\n", why);
	exit(TEST_SKIPPED);
}

static inline long test_free_huge_pages(void)
{
	FILE *info = fopen("/proc/meminfo", "re");
	char line[128];
	long pages = 0, promised = 0;

	while (info && fgets(line, sizeof(line), info)) {
		sscanf(line, "HugePages_Free: %ld", &pages);
		sscanf(line, "HugePages_Rsvd: %ld", &promised);
	}
	if (info)
		fclose(info);
	return pages - promised;
}

/* The first mounted hugetlbfs of 2 MiB pages that we may write to. */
static inline bool test_find_hugetlbfs(char *mount_point, size_t bytes)
{
	FILE *mounts = setmntent("/proc/mounts", "re");
	struct mntent *entry;
	bool found = false;

	while (mounts && !found && (entry = getmntent(mounts))) {
		if (!strcmp(entry->mnt_type, "hugetlbfs") &&
		    !strstr(entry->mnt_opts, "pagesize=1024M") && !access(entry->mnt_dir, W_OK)) {
			snprintf(mount_point, bytes, "%s", entry->mnt_dir);
			found = true;
		}
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

static inline void test_mount_hugetlbfs(struct test_directory *directory)
{
	snprintf(directory->mount, sizeof(directory->mount), "/tmp/riskgate-huge-XXXXXX");
	assert(mkdtemp(directory->mount));
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", directory->mount, "hugetlbfs", 0, "pagesize=2M")) {
		rmdir(directory->mount);
		test_skip("no hugetlbfs is mounted and this user may not mount one: run as root, "
			  "or mount one writable");
	}
}

/* argv[1] is "tmpfs" (the default) or "hugetlbfs". pages_needed: free huge pages of 2 MiB the test
 * needs. */
static inline void test_directory_make(struct test_directory *directory, int argc, char **argv,
				       long pages_needed)
{
	char mount_point[128] = "/dev/shm", text[160];

	memset(directory, 0, sizeof(*directory));
	if (argc > 1 && !strcmp(argv[1], "hugetlbfs")) {
		if (test_free_huge_pages() < pages_needed) {
			snprintf(text, sizeof(text),
				 "%ld huge pages are free, %ld are needed: sysctl "
				 "vm.nr_hugepages=%ld",
				 test_free_huge_pages(), pages_needed, 2 * pages_needed);
			test_skip(text);
		}
		if (!test_find_hugetlbfs(mount_point, sizeof(mount_point))) {
			test_mount_hugetlbfs(directory);
			snprintf(mount_point, sizeof(mount_point), "%s", directory->mount);
		}
	}
	snprintf(directory->path, sizeof(directory->path), "%s/riskgate-test-XXXXXX", mount_point);
	assert(mkdtemp(directory->path));
}

/* Remove every file in it. */
static inline void test_directory_clear(const struct test_directory *directory)
{
	DIR *dir = opendir(directory->path);
	struct dirent *entry;

	assert(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			assert(!unlinkat(dirfd(dir), entry->d_name, 0));
	}
	closedir(dir);
}

static inline void test_directory_remove(const struct test_directory *directory)
{
	test_directory_clear(directory);
	assert(!rmdir(directory->path));
	if (*directory->mount)
		assert(!umount(directory->mount) && !rmdir(directory->mount));
}

static inline unsigned test_directory_files(const struct test_directory *directory)
{
	DIR *dir = opendir(directory->path);
	struct dirent *entry;
	unsigned count = 0;

	assert(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

#endif

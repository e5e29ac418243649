/* SPDX-License-Identifier: Apache-2.0 */
/* Watching a folder: with real files, and a clock that the test moves. */
#include "control/folder_watch.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS 1000000ull

static char directory[64];
static uint64_t now_ns = 1;

static const char *path_of(const char *name)
{
	static char paths[4][160];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert(file && fputs(text, file) >= 0 && !fclose(file));
}

/* How long until the change is told; UINT64_MAX: not within 5 s. */
static uint64_t until_changed(struct rg_folder_watch *watch)
{
	uint64_t begin_ns = now_ns;

	for (; now_ns < begin_ns + 5000 * MS; now_ns += 10 * MS) {
		if (rg_folder_watch_changed(watch, now_ns))
			return now_ns - begin_ns;
	}
	return UINT64_MAX;
}

/* Told once, 200 ms after it came to rest. */
static void expect_change(struct rg_folder_watch *watch)
{
	uint64_t after_ns = until_changed(watch);

	assert(after_ns >= 200 * MS && after_ns <= 400 * MS);
	assert(until_changed(watch) == UINT64_MAX);
}

static void test_folder(void)
{
	struct rg_folder_watch *watch = rg_folder_watch_new(path_of("policies"));
	uint64_t begin_ns;

	assert(until_changed(watch) == UINT64_MAX); /* it is not there */
	assert(!mkdir(path_of("policies"), 0755));
	expect_change(watch);
	write_file("policies/a.rego", "package a");
	expect_change(watch);
	assert(!mkdir(path_of("policies/below"), 0755));
	expect_change(watch);
	write_file("policies/below/data.json", "{}"); /* the new folder is watched as well */
	expect_change(watch);
	write_file("new", "package b");
	assert(!rename(path_of("new"), path_of("policies/a.rego")));
	expect_change(watch);
	assert(!unlink(path_of("policies/a.rego")));
	expect_change(watch);

	begin_ns = now_ns; /* one that does not come to rest is taken all the same */
	for (;;) {
		write_file("policies/busy", "x");
		if (rg_folder_watch_changed(watch, now_ns))
			break;
		now_ns += 60 * MS;
		assert(now_ns - begin_ns < 5000 * MS);
	}
	assert(now_ns - begin_ns >= 2000 * MS && now_ns - begin_ns <= 2200 * MS);
	rg_folder_watch_free(watch);
}

/* A ConfigMap: links to ..data, which is swapped. */
static void test_swap(void)
{
	struct rg_folder_watch *watch;

	assert(!mkdir(path_of("mount"), 0755) && !mkdir(path_of("mount/..1"), 0755));
	write_file("mount/..1/a.rego", "package a");
	assert(!symlink("..1", path_of("mount/..data")));
	assert(!symlink("..data/a.rego", path_of("mount/a.rego")));
	watch = rg_folder_watch_new(path_of("mount"));
	expect_change(watch);
	assert(!mkdir(path_of("mount/..2"), 0755));
	write_file("mount/..2/a.rego", "package b");
	assert(!symlink("..2", path_of("mount/..data_tmp")));
	assert(!rename(path_of("mount/..data_tmp"), path_of("mount/..data")));
	expect_change(watch);
	rg_folder_watch_free(watch);
}

static void test_file(void)
{
	struct rg_folder_watch *watch;

	assert(!mkdir(path_of("one"), 0755));
	write_file("one/bundle.tar.gz", "1");
	watch = rg_folder_watch_new(path_of("one/bundle.tar.gz"));
	expect_change(watch);
	write_file("other", "2");
	assert(!rename(path_of("other"), path_of("one/bundle.tar.gz")));
	expect_change(watch);
	rg_folder_watch_free(watch);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

int main(void)
{
	strcpy(directory, "/tmp/riskgate-watch-XXXXXX");
	assert(mkdtemp(directory));
	test_folder();
	test_swap();
	test_file();
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/image_file.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "shm/test_directory.h"

#define PAGES_NEEDED 8
#define BYTES	     100000u

static struct test_directory directory;
static uint8_t image[BYTES];

static void fill(uint8_t salt)
{
	for (uint32_t i = 0; i < BYTES; i++)
		image[i] = (uint8_t)(i * 7 + salt);
}

static uint32_t write_image(uint64_t sequence)
{
	uint32_t crc32c;

	assert(rg_image_file_write(directory.path, RG_IMAGE_FILE_IMAGE, sequence, image, BYTES,
				   &crc32c, NULL) == RG_OK);
	assert(crc32c == rg_crc32c(0, image, BYTES));
	return crc32c;
}

static void path_of(enum rg_image_file_kind kind, uint64_t sequence, char *path)
{
	assert(rg_image_file_path(directory.path, kind, sequence, path, 300, NULL) == RG_OK);
}

static void test_paths(void)
{
	char path[300];
	struct rg_error err;

	assert(rg_image_file_path("/d", RG_IMAGE_FILE_IMAGE, 7, path, sizeof(path), NULL) == RG_OK);
	assert(!strcmp(path, "/d/image-7"));
	assert(rg_image_file_path("/d", RG_IMAGE_FILE_ACTIVE, UINT64_MAX, path, sizeof(path),
				  NULL) == RG_OK);
	assert(!strcmp(path, "/d/active-18446744073709551615"));
	assert(rg_image_file_path("/d", RG_IMAGE_FILE_ACTIVE, 7, path, 8, &err) == RG_ELIMIT);
}

static void test_write_and_open(void)
{
	struct rg_image_file file;
	struct rg_error err;
	struct stat st;
	char path[300];

	assert(rg_image_file_open(directory.path, RG_IMAGE_FILE_IMAGE, 1, &file, &err) ==
	       RG_ENOENT);
	fill(1);
	write_image(1);
	path_of(RG_IMAGE_FILE_IMAGE, 1, path);
	assert(!stat(path, &st) && (st.st_mode & 0777) == 0640);
	assert(test_directory_files(&directory) == 1);
	assert(rg_image_file_open(directory.path, RG_IMAGE_FILE_IMAGE, 1, &file, &err) == RG_OK);
	assert(file.sequence == 1 && file.image_bytes == BYTES && !file.map.writable);
	assert(!memcmp(file.map.at, image, BYTES) && rg_image_file_check(&file, &err) == RG_OK);
	/* Replaced under our feet: what is mapped stays as it was. */
	fill(2);
	write_image(1);
	assert(rg_image_file_check(&file, &err) == RG_OK && memcmp(file.map.at, image, BYTES));
	rg_image_file_close(&file);
	rg_image_file_close(&file); /* twice is harmless */
	assert(rg_image_file_write(directory.path, RG_IMAGE_FILE_IMAGE, 2, image, 0, NULL, &err) ==
	       RG_EINVAL);
	assert(rg_image_file_write("/nonexistent", RG_IMAGE_FILE_IMAGE, 2, image, 1, NULL, &err) ==
	       RG_EIO);
	assert(test_directory_files(&directory) == 1);
	test_directory_clear(&directory);
}

/* Open the file for writing as its writer would, to damage it. */
static struct rg_mapping damage(uint64_t sequence)
{
	struct rg_mapping map;
	char path[300];
	int fd;

	path_of(RG_IMAGE_FILE_IMAGE, sequence, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert(fd >= 0 && rg_mapping_attach(fd, true, path, &map, NULL) == RG_OK);
	return map;
}

static void test_broken(void)
{
	struct rg_image_file file;
	struct rg_mapping map;
	struct rg_error err;
	uint32_t crc32c;

	fill(3);
	crc32c = write_image(3);
	map = damage(3);
	/* Each bit of the footer's used part. */
	for (uint64_t bit = 0; bit < 8 * 32; bit++) {
		uint8_t *at = map.at + map.bytes - sizeof(struct rg_image_footer) + bit / 8;
		int status;

		*at ^= (uint8_t)(1u << bit % 8);
		status = rg_image_file_open(directory.path, RG_IMAGE_FILE_IMAGE, 3, &file, &err);
		if (!status) {
			assert(rg_image_file_check(&file, &err) == RG_ECORRUPT);
			rg_image_file_close(&file);
		}
		assert(rg_image_file_copy(directory.path, 3, BYTES, crc32c, &file, &err) ||
		       bit / 8 >= 28);
		rg_image_file_discard(directory.path, &file);
		*at ^= (uint8_t)(1u << bit % 8);
	}
	/* Some bits of the image. */
	for (uint64_t bit = 0; bit < 8 * BYTES; bit += 4001) {
		map.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert(rg_image_file_copy(directory.path, 3, BYTES, crc32c, &file, &err) ==
		       RG_ECORRUPT);
		assert(strstr(err.text, "CRC32C"));
		map.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert(rg_image_file_copy(directory.path, 3, BYTES - 1, crc32c, &file, &err) ==
	       RG_ECORRUPT);
	assert(rg_image_file_copy(directory.path, 3, BYTES, crc32c + 1, &file, &err) ==
	       RG_ECORRUPT);
	assert(rg_image_file_copy(directory.path, 4, BYTES, crc32c, &file, &err) == RG_ENOENT);
	assert(test_directory_files(&directory) == 1); /* nothing was left behind */
	rg_mapping_close(&map);
	test_directory_clear(&directory);
}

static void test_copy(void)
{
	struct rg_image_file copy, again;
	struct rg_error err;
	uint32_t crc32c, removed;
	char path[300];
	int fd;

	fill(5);
	crc32c = write_image(5);
	path_of(RG_IMAGE_FILE_ACTIVE, 5, path);
	strcat(path, ".tmp"); /* of a publisher that died in the middle */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	assert(fd >= 0 && !close(fd));
	assert(rg_image_file_copy(directory.path, 5, BYTES, crc32c, &copy, &err) == RG_OK);
	assert(!memcmp(copy.map.at, image, BYTES) && copy.sequence == 5 && !copy.map.writable);
	assert(rg_image_file_open(directory.path, RG_IMAGE_FILE_ACTIVE, 5, &again, &err) ==
	       RG_ENOENT);
	assert(rg_image_file_activate(directory.path, &copy, &err) == RG_OK);
	assert(rg_image_file_open(directory.path, RG_IMAGE_FILE_ACTIVE, 5, &again, &err) == RG_OK);
	assert(rg_image_file_check(&again, &err) == RG_OK);
	rg_image_file_close(&again);
	/* Refused instead: nothing is left but what was active. */
	crc32c = write_image(6);
	assert(rg_image_file_copy(directory.path, 6, BYTES, crc32c, &again, &err) == RG_OK);
	rg_image_file_discard(directory.path, &again);
	assert(test_directory_files(&directory) == 3);
	/* Control cleans up; the copy stays usable whoever removes its file. */
	assert(rg_image_file_remove_older(directory.path, RG_IMAGE_FILE_IMAGE, 6, &removed, &err) ==
	       RG_OK);
	assert(removed == 1);
	assert(rg_image_file_remove_older(directory.path, RG_IMAGE_FILE_ACTIVE, 6, &removed,
					  &err) == RG_OK);
	assert(removed == 1 && rg_image_file_check(&copy, &err) == RG_OK);
	rg_image_file_close(&copy);
	test_directory_clear(&directory);
}

static void touch(const char *name)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory.path, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	assert(fd >= 0 && !close(fd));
}

static void test_list(void)
{
	static const char *const names[] = {
		"image-12", "image-3", "image-99999", "image-100", "image-7.tmp",
		"image-",   "image-x", "image-1x",    "active-55", "image-99999999999999999999",
		"dataplane"};
	uint64_t sequences[8];
	uint32_t count, removed;
	struct rg_error err;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		touch(names[i]);
	assert(rg_image_file_list(directory.path, RG_IMAGE_FILE_IMAGE, sequences, 8, &count,
				  &err) == RG_OK);
	assert(count == 4 && sequences[0] == 99999 && sequences[1] == 100 && sequences[2] == 12 &&
	       sequences[3] == 3);
	assert(rg_image_file_list(directory.path, RG_IMAGE_FILE_IMAGE, sequences, 2, &count,
				  &err) == RG_OK);
	assert(count == 2 && sequences[0] == 99999 && sequences[1] == 100);
	assert(rg_image_file_list(directory.path, RG_IMAGE_FILE_IMAGE, sequences, 0, &count,
				  &err) == RG_OK);
	assert(!count);
	assert(rg_image_file_list("/nonexistent", RG_IMAGE_FILE_IMAGE, sequences, 8, &count,
				  &err) == RG_ENOENT);
	assert(rg_image_file_remove_older(directory.path, RG_IMAGE_FILE_IMAGE, 100, &removed,
					  &err) == RG_OK);
	assert(removed == 3 &&
	       test_directory_files(&directory) == sizeof(names) / sizeof(names[0]) - 3);
	test_directory_clear(&directory);
}

int main(int argc, char **argv)
{
	test_directory_make(&directory, argc, argv, PAGES_NEEDED);
	test_paths();
	test_write_and_open();
	test_broken();
	test_copy();
	test_list();
	test_directory_remove(&directory);
	return 0;
}

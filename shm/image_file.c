/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/image_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/failpoint.h"

#define FOOTER_MAGIC 0x544f4f4649475252ull /* "RRGIFOOT" */
#define PATH_BYTES   512
#define FILE_MODE    0640

static const char *const prefixes[] = {
	[RG_IMAGE_FILE_IMAGE] = "image-", [RG_IMAGE_FILE_ACTIVE] = "active-"};
static const char temporary[] = ".tmp";

static int make_path(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
		     const char *suffix, char *path, size_t path_bytes, struct rg_error *err)
{
	int n = snprintf(path, path_bytes, "%s/%s%" PRIu64 "%s", directory, prefixes[kind],
			 sequence, suffix);

	if (n < 0 || (size_t)n >= path_bytes)
		return rg_error_set(err, RG_ELIMIT, "%s: the directory's path is too long",
				    directory);
	return RG_OK;
}

int rg_image_file_path(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
		       char *path, size_t path_bytes, struct rg_error *err)
{
	return make_path(directory, kind, sequence, "", path, path_bytes, err);
}

/* Make and map the temporary file of an image: its bytes are to be filled in, its footer is. */
static int create_temporary(const char *path, uint64_t sequence, uint64_t image_bytes,
			    struct rg_image_file *file, struct rg_error *err)
{
	int fd, status;

	*file = (struct rg_image_file){.map = RG_MAPPING_NONE};
	if (!image_bytes || image_bytes > RG_IMAGE_FILE_BYTES_MAX)
		return rg_error_set(err, RG_EINVAL,
				    "%s: an image of %" PRIu64 " bytes: 1 to %llu are possible",
				    path, image_bytes, RG_IMAGE_FILE_BYTES_MAX);
	if (RG_FAILPOINT_FAILS("image.room"))
		return rg_error_set_errno(err, RG_ENOMEM, errno, "%s", path);
	if (unlink(path) && errno != ENOENT) /* left by a writer that died */
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot remove", path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot create", path);
	status = fchmod(fd, FILE_MODE)
			 ? rg_error_set_errno(err, RG_EIO, errno, "%s: chmod", path)
			 : rg_mapping_allocate(fd, image_bytes + sizeof(struct rg_image_footer),
					       path, &file->map, err);
	if (status) {
		close(fd);
		unlink(path);
		return status;
	}
	file->sequence = sequence;
	file->image_bytes = image_bytes;
	return RG_OK;
}

static uint8_t *footer_at(const struct rg_mapping *map)
{
	return map->at + map->bytes - sizeof(struct rg_image_footer);
}

/* Take the CRC of the bytes that are now in the file, write the footer, make it read-only. */
static int finish_temporary(struct rg_image_file *file, const char *path, struct rg_error *err)
{
	struct rg_image_footer footer = {.magic = FOOTER_MAGIC,
					 .sequence = file->sequence,
					 .image_bytes = file->image_bytes,
					 .version = RG_IMAGE_FOOTER_VERSION};

	file->crc32c = footer.crc32c = rg_crc32c(0, file->map.at, file->image_bytes);
	memcpy(footer_at(&file->map), &footer, sizeof(footer));
	return rg_mapping_seal(&file->map, path, err);
}

int rg_image_file_write(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
			const void *image, uint64_t image_bytes, uint32_t *crc32c,
			struct rg_error *err)
{
	char path[PATH_BYTES], final[PATH_BYTES];
	struct rg_image_file file;
	int status;

	status = make_path(directory, kind, sequence, temporary, path, sizeof(path), err);
	if (status)
		return status;
	make_path(directory, kind, sequence, "", final, sizeof(final), err);
	status = create_temporary(path, sequence, image_bytes, &file, err);
	if (status)
		return status;
	memcpy(file.map.at, image, image_bytes);
	status = finish_temporary(&file, path, err);
	RG_FAILPOINT("image.written");
	if (!status && (RG_FAILPOINT_FAILS("image.rename") || rename(path, final)))
		status = rg_error_set_errno(err, RG_EIO, errno, "%s: cannot rename to %s", path,
					    final);
	if (status)
		unlink(path);
	else if (crc32c)
		*crc32c = file.crc32c;
	RG_FAILPOINT("image.renamed");
	rg_image_file_close(&file);
	return status;
}

/* Take what the footer says, if it can be true. */
static int read_footer(struct rg_image_file *file, uint64_t sequence, const char *path,
		       struct rg_error *err)
{
	struct rg_image_footer footer;

	if (file->map.bytes < sizeof(footer))
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: %" PRIu64 " bytes are too few for an image file", path,
				    file->map.bytes);
	memcpy(&footer, footer_at(&file->map), sizeof(footer));
	if (footer.magic != FOOTER_MAGIC)
		return rg_error_set(err, RG_ECORRUPT, "%s: the footer's magic is wrong", path);
	if (footer.version != RG_IMAGE_FOOTER_VERSION)
		return rg_error_set(err, RG_EVERSION,
				    "%s: footer version %u, this program knows %u", path,
				    footer.version, RG_IMAGE_FOOTER_VERSION);
	if (footer.sequence != sequence)
		return rg_error_set(err, RG_ECORRUPT, "%s: the footer names sequence %" PRIu64,
				    path, footer.sequence);
	if (!footer.image_bytes || footer.image_bytes > file->map.bytes - sizeof(footer))
		return rg_error_set(err, RG_ECORRUPT,
				    "%s: the footer says %" PRIu64
				    " bytes of image in a file of %" PRIu64,
				    path, footer.image_bytes, file->map.bytes);
	file->sequence = sequence;
	file->image_bytes = footer.image_bytes;
	file->crc32c = footer.crc32c;
	return RG_OK;
}

int rg_image_file_open(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
		       struct rg_image_file *file, struct rg_error *err)
{
	char path[PATH_BYTES];
	int fd, status;

	*file = (struct rg_image_file){.map = RG_MAPPING_NONE};
	status = make_path(directory, kind, sequence, "", path, sizeof(path), err);
	if (status)
		return status;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno, "%s",
					  path);
	status = rg_mapping_attach(fd, false, path, &file->map, err);
	if (status) {
		close(fd);
		return status == RG_EAGAIN ? rg_error_set(err, RG_ECORRUPT, "%s: is empty", path)
					   : status;
	}
	status = read_footer(file, sequence, path, err);
	if (status)
		rg_image_file_close(file);
	return status;
}

int rg_image_file_check(const struct rg_image_file *file, struct rg_error *err)
{
	uint32_t crc32c = rg_crc32c(0, file->map.at, file->image_bytes);

	if (crc32c != file->crc32c)
		return rg_error_set(err, RG_ECORRUPT,
				    "image %" PRIu64 ": CRC32C of its %" PRIu64
				    " bytes is %08x, should be %08x",
				    file->sequence, file->image_bytes, crc32c, file->crc32c);
	return RG_OK;
}

void rg_image_file_close(struct rg_image_file *file)
{
	rg_mapping_close(&file->map);
}

/* ---- publisher ---- */

static int copy_bytes(const struct rg_image_file *source, const char *path,
		      struct rg_image_file *copy, struct rg_error *err)
{
	int status = create_temporary(path, source->sequence, source->image_bytes, copy, err);

	if (status)
		return status;
	memcpy(copy->map.at, source->map.at, source->image_bytes);
	RG_FAILPOINT("active.copied");
	return finish_temporary(copy, path, err);
}

int rg_image_file_copy(const char *directory, uint64_t sequence, uint64_t image_bytes,
		       uint32_t crc32c, struct rg_image_file *copy, struct rg_error *err)
{
	struct rg_image_file source;
	char path[PATH_BYTES];
	int status;

	*copy = (struct rg_image_file){.map = RG_MAPPING_NONE};
	status = make_path(directory, RG_IMAGE_FILE_ACTIVE, sequence, temporary, path, sizeof(path),
			   err);
	if (status)
		return status;
	status = rg_image_file_open(directory, RG_IMAGE_FILE_IMAGE, sequence, &source, err);
	if (status)
		return status;
	if (source.image_bytes != image_bytes)
		status = rg_error_set(err, RG_ECORRUPT,
				      "image %" PRIu64 ": announced with %" PRIu64
				      " bytes, its file says %" PRIu64,
				      sequence, image_bytes, source.image_bytes);
	else
		status = copy_bytes(&source, path, copy, err);
	rg_image_file_close(&source);
	if (!status && copy->crc32c != crc32c)
		status = rg_error_set(err, RG_ECORRUPT,
				      "image %" PRIu64
				      ": CRC32C of the copy is %08x, announced was %08x",
				      sequence, copy->crc32c, crc32c);
	if (status)
		rg_image_file_discard(directory, copy);
	return status;
}

int rg_image_file_activate(const char *directory, const struct rg_image_file *copy,
			   struct rg_error *err)
{
	char path[PATH_BYTES], final[PATH_BYTES];
	int status;

	status = make_path(directory, RG_IMAGE_FILE_ACTIVE, copy->sequence, temporary, path,
			   sizeof(path), err);
	if (status)
		return status;
	make_path(directory, RG_IMAGE_FILE_ACTIVE, copy->sequence, "", final, sizeof(final), err);
	RG_FAILPOINT("active.verified");
	if (RG_FAILPOINT_FAILS("active.rename") || rename(path, final))
		return rg_error_set_errno(err, RG_EIO, errno, "%s: cannot rename to %s", path,
					  final);
	RG_FAILPOINT("active.renamed");
	return RG_OK;
}

void rg_image_file_discard(const char *directory, struct rg_image_file *copy)
{
	char path[PATH_BYTES];

	if (copy->map.at && !make_path(directory, RG_IMAGE_FILE_ACTIVE, copy->sequence, temporary,
				       path, sizeof(path), NULL))
		unlink(path);
	rg_image_file_close(copy);
}

/* ---- the directory ---- */

/* Is name one of the kind's files? Its sequence, and whether it is a temporary one. */
static bool parse_name(const char *name, enum rg_image_file_kind kind, uint64_t *sequence,
		       bool *is_temporary)
{
	size_t prefix = strlen(prefixes[kind]);
	char *end;

	if (strncmp(name, prefixes[kind], prefix) || name[prefix] < '0' || name[prefix] > '9')
		return false;
	errno = 0;
	*sequence = strtoull(name + prefix, &end, 10);
	*is_temporary = !strcmp(end, temporary);
	return !errno && (!*end || *is_temporary);
}

/* Put a sequence into the list, newest first; the oldest falls out when it is full. */
static void insert(uint64_t *sequences, uint32_t sequences_max, uint32_t *count, uint64_t sequence)
{
	uint32_t at = *count;

	if (at == sequences_max) {
		if (!at || sequences[at - 1] >= sequence)
			return;
		at--;
	} else {
		(*count)++;
	}
	for (; at && sequences[at - 1] < sequence; at--)
		sequences[at] = sequences[at - 1];
	sequences[at] = sequence;
}

int rg_image_file_list(const char *directory, enum rg_image_file_kind kind, uint64_t *sequences,
		       uint32_t sequences_max, uint32_t *count, struct rg_error *err)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	*count = 0;
	if (!dir)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno, "%s",
					  directory);
	while ((entry = readdir(dir))) {
		uint64_t sequence;
		bool is_temporary;

		if (parse_name(entry->d_name, kind, &sequence, &is_temporary) && !is_temporary)
			insert(sequences, sequences_max, count, sequence);
	}
	closedir(dir);
	return RG_OK;
}

int rg_image_file_remove_older(const char *directory, enum rg_image_file_kind kind,
			       uint64_t keep_from, uint32_t *removed, struct rg_error *err)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int status = RG_OK;

	if (removed)
		*removed = 0;
	if (!dir)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno, "%s",
					  directory);
	while ((entry = readdir(dir))) {
		uint64_t sequence;
		bool is_temporary;

		if (!parse_name(entry->d_name, kind, &sequence, &is_temporary) ||
		    (sequence >= keep_from && !is_temporary))
			continue;
		if (!unlinkat(dirfd(dir), entry->d_name, 0)) {
			if (removed)
				(*removed)++;
		} else if (errno != ENOENT) {
			status = rg_error_set_errno(err, RG_EIO, errno, "%s/%s: cannot remove",
						    directory, entry->d_name);
		}
	}
	closedir(dir);
	return status;
}

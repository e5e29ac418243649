/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy images as files in the region's directory.
 *
 *	image-<sequence>    written by control, read by the publisher
 *	active-<sequence>   the publisher's own copy, verified; read by whoever wants to
 *
 * A file appears under its name complete (temporary name, then rename) and is never changed
 * afterwards. hugetlbfs rounds sizes up, so the last 64 bytes of the file are a footer that says
 * how long the image is and which CRC32C its bytes have:
 *
 *	image bytes | zeros | struct rg_image_footer
 *
 * What is in an image is not known here: policy/image/image.h.
 *
 * Thread-safety: functions may run in parallel on different sequences; one writer a file.
 */
#ifndef RG_SHM_IMAGE_FILE_H
#define RG_SHM_IMAGE_FILE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "shm/mapping.h"

#define RG_IMAGE_FILE_BYTES_MAX (1ull << 40)

enum rg_image_file_kind {
	RG_IMAGE_FILE_IMAGE,  /* image-<sequence> */
	RG_IMAGE_FILE_ACTIVE, /* active-<sequence> */
};

struct rg_image_footer {
	uint64_t magic;
	uint64_t sequence;
	uint64_t image_bytes;
	uint32_t version;
	uint32_t crc32c; /* of the image's bytes */
	uint64_t reserved[4];
};
static_assert(sizeof(struct rg_image_footer) == 64,
	      "image files outlive a process: raise RG_IMAGE_FOOTER_VERSION");
#define RG_IMAGE_FOOTER_VERSION 1

/* An image file, mapped. */
struct rg_image_file {
	struct rg_mapping map;
	uint64_t sequence;
	uint64_t image_bytes; /* the image is map.at[0..image_bytes) */
	uint32_t crc32c;      /* as the footer says; rg_image_file_check() compares */
};

/* <directory>/image-<sequence> or active-<sequence>. RG_ELIMIT: does not fit. */
int rg_image_file_path(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
		       char *path, size_t path_bytes, struct rg_error *err);
/* Write image[0..image_bytes) as a file of this kind; *crc32c (may be NULL) is what to announce. An
 * existing file of that name is replaced. RG_ENOMEM: no room; then nothing is left behind. */
int rg_image_file_write(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
			const void *image, uint64_t image_bytes, uint32_t *crc32c,
			struct rg_error *err);
/* Map one read-only and populated. RG_ENOENT; RG_ECORRUPT: the footer is broken, or its lengths
 * contradict the file. */
int rg_image_file_open(const char *directory, enum rg_image_file_kind kind, uint64_t sequence,
		       struct rg_image_file *file, struct rg_error *err);
/* Are the bytes those whose CRC32C the footer has? Reads the whole image. RG_ECORRUPT. */
int rg_image_file_check(const struct rg_image_file *file, struct rg_error *err);
void rg_image_file_close(struct rg_image_file *file);

/* ---- publisher: image-<sequence> → active-<sequence>, in two steps with the verification in
 * between ---- */

/* Copy image-<sequence>, which must have image_bytes and crc32c, into active-<sequence>.tmp; *copy
 * is the copy, read-only from here on. The CRC is taken of the copy. RG_ENOENT, RG_ECORRUPT
 * (lengths or CRC differ from what was announced), RG_ENOMEM; then nothing is left behind. */
int rg_image_file_copy(const char *directory, uint64_t sequence, uint64_t image_bytes,
		       uint32_t crc32c, struct rg_image_file *copy, struct rg_error *err);
/* The copy is verified: rename it to active-<sequence>. */
int rg_image_file_activate(const char *directory, const struct rg_image_file *copy,
			   struct rg_error *err);
/* The copy is refused: unlink the temporary file and close. */
void rg_image_file_discard(const char *directory, struct rg_image_file *copy);

/* The sequences there are, newest first: at most sequences_max, *count the number stored. */
int rg_image_file_list(const char *directory, enum rg_image_file_kind kind, uint64_t *sequences,
		       uint32_t sequences_max, uint32_t *count, struct rg_error *err);
/* Unlink every file of the kind with a sequence below `keep_from`, and temporary files of the kind
 * that a dead writer left (only call as their writer). Mapped files stay usable. *removed (may be
 * NULL) counts. */
int rg_image_file_remove_older(const char *directory, enum rg_image_file_kind kind,
			       uint64_t keep_from, uint32_t *removed, struct rg_error *err);

#endif

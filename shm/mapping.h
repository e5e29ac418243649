/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file on tmpfs or hugetlbfs, mapped whole and touched whole.
 *
 * hugetlbfs wants sizes rounded up to its page size, has no write(2), and answers a page that is
 * not there with SIGBUS at the first touch. So a file is sized, its pages are allocated
 * (fallocate), then it is mapped and populated; each step can fail with a text instead of a signal.
 *
 * Thread-safety: a struct rg_mapping belongs to one thread.
 */
#ifndef RG_SHM_MAPPING_H
#define RG_SHM_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct rg_mapping {
	uint8_t *at;	/* NULL: not mapped */
	uint64_t bytes; /* length of the file and of the mapping */
	int fd;		/* -1: closed */
	bool writable;
	uint64_t device, inode; /* identity of the file */
};
#define RG_MAPPING_NONE ((struct rg_mapping){.fd = -1})

/* Is the open file on hugetlbfs? */
bool rg_mapping_huge_pages(int fd);
/* Size of a file of `bytes` in the filesystem that fd (or directory) is in: rounded up to its page
 * size. 0: fstatfs failed. */
uint64_t rg_mapping_file_bytes(int fd, uint64_t bytes);
/* Allocate every page of the open file fd up to `bytes` (rounded up), map it for writing, populate.
 * *map takes fd. On failure fd stays the caller's. RG_ENOMEM: no room (text says what to do);
 * RG_EIO. */
int rg_mapping_allocate(int fd, uint64_t bytes, const char *path, struct rg_mapping *map,
			struct rg_error *err);
/* Map the open file fd as long as it is. RG_EAGAIN: it is empty (its writer has not got there). */
int rg_mapping_attach(int fd, bool writable, const char *path, struct rg_mapping *map,
		      struct rg_error *err);
/* Give up writing: the pages become read-only. */
int rg_mapping_seal(struct rg_mapping *map, const char *path, struct rg_error *err);
/* Unmap and close. Harmless on RG_MAPPING_NONE and twice. */
void rg_mapping_close(struct rg_mapping *map);
/* Is path still the file that is mapped? One stat(2). */
bool rg_mapping_current(const struct rg_mapping *map, const char *path);

#endif

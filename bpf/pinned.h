/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what riskgate-probe has pinned. With plain system calls: whoever reads figures, such as
 * riskctl, needs no libbpf.
 *
 * A map is opened with the sizes that its reader was built with; one of other sizes is of another
 * version and is refused. Reading needs CAP_BPF and the right to read the pinned file.
 *
 * Thread-safety: a struct rg_pinned_map belongs to one thread.
 */
#ifndef RG_BPF_PINNED_H
#define RG_BPF_PINNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_PINNED_ROOT "/sys/fs/bpf"

struct rg_pinned_map {
	int fd;
	bool per_cpu;
	uint32_t cpus; /* values of an element: possible CPUs, or 1 */
	uint32_t key_bytes, value_bytes,
		stride; /* stride: from one CPU's value to the next one's */
};

/* <root>/riskgate/<instance>/<probe>, with /<map> unless map is NULL. */
void rg_pinned_path(char *path, size_t bytes, const char *root, const char *instance,
		    const char *probe, const char *map);

/* Errors: RG_ENOENT (not pinned), RG_EVERSION (other sizes), RG_EIO, among them the lack of a
 * capability, RG_ENOMEM. */
int rg_pinned_open(const char *path, uint32_t key_bytes, uint32_t value_bytes,
		   struct rg_pinned_map *map, struct rg_error *err);
void rg_pinned_close(struct rg_pinned_map *map);
/* Bytes of the buffer for an element's values. */
size_t rg_pinned_values_bytes(const struct rg_pinned_map *map);
/* The key after `key`, the first one for NULL. False: there is none. In a map that is being written
 * an element may be seen twice or not at all. */
bool rg_pinned_next(const struct rg_pinned_map *map, const void *key, void *next);
/* The element's values, one for each CPU, `stride` bytes apart. False: it is not there. */
bool rg_pinned_lookup(const struct rg_pinned_map *map, const void *key, void *values);

#endif

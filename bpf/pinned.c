/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/pinned.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static uint64_t address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

void rg_pinned_path(char *path, size_t bytes, const char *root, const char *instance,
		    const char *probe, const char *map)
{
	snprintf(path, bytes, "%s/riskgate/%s/%s%s%s", root, instance, probe, map ? "/" : "",
		 map ? map : "");
}

/* Possible CPUs: one more than the last number of "0-3,8-11". 0: not known. */
static uint32_t count_cpus(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "re");
	uint32_t first, last, most = 0;

	if (!file)
		return 0;
	while (fscanf(file, "%u", &first) == 1) {
		last = first;
		if (fscanf(file, "-%u", &last) == EOF || last + 1 > most)
			most = last + 1;
		if (fgetc(file) != ',')
			break;
	}
	fclose(file);
	return most;
}

static int check(const char *path, uint32_t key_bytes, uint32_t value_bytes,
		 struct rg_pinned_map *map, struct rg_error *err)
{
	struct bpf_map_info info = {0};
	union bpf_attr attributes = {0};

	attributes.info.bpf_fd = (uint32_t)map->fd;
	attributes.info.info_len = sizeof(info);
	attributes.info.info = address(&info);
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes))
		return rg_error_set_errno(err, RG_EIO, errno, "%s", path);
	if (info.key_size != key_bytes || info.value_size != value_bytes)
		return rg_error_set(err, RG_EVERSION,
				    "%s holds figures of another version of riskgate-probe: start "
				    "riskgate-probe of this version with --reset",
				    path);
	map->per_cpu = info.type == BPF_MAP_TYPE_PERCPU_HASH ||
		       info.type == BPF_MAP_TYPE_PERCPU_ARRAY ||
		       info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
	map->cpus = map->per_cpu ? count_cpus() : 1;
	if (!map->cpus)
		return rg_error_set(err, RG_EIO,
				    "/sys/devices/system/cpu/possible: cannot be read");
	map->key_bytes = key_bytes;
	map->value_bytes = value_bytes;
	map->stride = (value_bytes + 7) / 8 * 8;
	return RG_OK;
}

int rg_pinned_open(const char *path, uint32_t key_bytes, uint32_t value_bytes,
		   struct rg_pinned_map *map, struct rg_error *err)
{
	union bpf_attr attributes = {0};
	int rc;

	memset(map, 0, sizeof(*map));
	attributes.pathname = address(path);
	attributes.file_flags = BPF_F_RDONLY;
	map->fd = (int)bpf(BPF_OBJ_GET, &attributes);
	if (map->fd < 0)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno, "%s%s",
					  path,
					  errno == ENOENT  ? " (start riskgate-probe)"
					  : errno == EPERM ? " (reading it needs CAP_BPF)"
							   : "");
	rc = check(path, key_bytes, value_bytes, map, err);
	if (rc)
		rg_pinned_close(map);
	return rc;
}

void rg_pinned_close(struct rg_pinned_map *map)
{
	if (map->fd >= 0)
		close(map->fd);
	map->fd = -1;
}

size_t rg_pinned_values_bytes(const struct rg_pinned_map *map)
{
	return (size_t)map->stride * map->cpus;
}

bool rg_pinned_next(const struct rg_pinned_map *map, const void *key, void *next)
{
	union bpf_attr attributes = {0};

	attributes.map_fd = (uint32_t)map->fd;
	attributes.key = address(key);
	attributes.next_key = address(next);
	return !bpf(BPF_MAP_GET_NEXT_KEY, &attributes);
}

bool rg_pinned_lookup(const struct rg_pinned_map *map, const void *key, void *values)
{
	union bpf_attr attributes = {0};

	attributes.map_fd = (uint32_t)map->fd;
	attributes.key = address(key);
	attributes.value = address(values);
	return !bpf(BPF_MAP_LOOKUP_ELEM, &attributes);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config/cores.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct core_list {
	uint32_t core[CPU_SETSIZE];
	uint32_t count;
};

static bool contains(const struct core_list *list, uint32_t core)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->core[i] == core)
			return true;
	return false;
}

static void list_allowed(const cpu_set_t *allowed, struct core_list *list)
{
	list->count = 0;
	for (uint32_t core = 0; core < CPU_SETSIZE; core++)
		if (CPU_ISSET(core, allowed))
			list->core[list->count++] = core;
}

const char *rg_core_read(const char *text, uint32_t *core)
{
	char *end;
	unsigned long value;

	if (!isdigit((unsigned char)*text))
		return NULL;
	value = strtoul(text, &end, 10);
	if (value >= CPU_SETSIZE)
		return NULL;
	*core = (uint32_t)value;
	return end;
}

static int add_range(const char *setting, uint32_t first, uint32_t last, const cpu_set_t *allowed,
		     struct core_list *list, struct rg_error *err)
{
	for (uint32_t core = first; core <= last; core++) {
		if (contains(list, core))
			return rg_error_set(err, RG_EINVAL,
					    "dataplane.cores: \"%s\" names core %u twice", setting,
					    core);
		if (!CPU_ISSET(core, allowed))
			return rg_error_set(
				err, RG_EINVAL,
				"dataplane.cores: \"%s\": this process may not use core %u; name "
				"another, or widen its affinity (taskset, CPUAffinity=, cpuset)",
				setting, core);
		list->core[list->count++] = core;
	}
	return RG_OK;
}

static int parse_list(const char *setting, const cpu_set_t *allowed, struct core_list *list,
		      struct rg_error *err)
{
	const char *at = setting;
	uint32_t first, last;
	int rc;

	list->count = 0;
	while (at) {
		at = rg_core_read(at, &first);
		last = first;
		if (at && *at == '-')
			at = rg_core_read(at + 1, &last);
		if (!at || last < first || (*at != ',' && *at != '\0'))
			return rg_error_set(err, RG_EINVAL,
					    "dataplane.cores: \"%s\" is neither \"auto\" nor a "
					    "list of cores such as \"2,4-7\"",
					    setting);
		rc = add_range(setting, first, last, allowed, list, err);
		if (rc != RG_OK)
			return rc;
		at = *at == ',' ? at + 1 : NULL;
	}
	return RG_OK;
}

/* The main thread's core when the workers take all of theirs. */
static uint32_t core_beside(const struct core_list *workers, const struct core_list *allowed,
			    bool *shared)
{
	for (uint32_t i = 0; i < allowed->count; i++)
		if (!contains(workers, allowed->core[i]))
			return allowed->core[i];
	*shared = true;
	return workers->core[0];
}

int rg_cores_choose(const char *setting, uint32_t workers, const cpu_set_t *allowed,
		    struct rg_cores *cores, struct rg_error *err)
{
	bool automatic = strcmp(setting, "auto") == 0;
	struct core_list all, list;
	uint32_t first;
	int rc;

	*cores = (struct rg_cores){0};
	if (workers == 0 || workers > RG_WORKERS_MAX)
		return rg_error_set(err, RG_EINVAL, "dataplane.workers: %u is outside 1..%u",
				    workers, RG_WORKERS_MAX);
	list_allowed(allowed, &all);
	rc = automatic ? RG_OK : parse_list(setting, allowed, &list, err);
	if (rc != RG_OK)
		return rc;
	if (automatic)
		list = all;
	if (list.count < workers)
		return rg_error_set(
			err, RG_EINVAL,
			"dataplane.workers: %u workers need as many cores, but dataplane.cores "
			"\"%s\" gives %u; lower the one or widen the other",
			workers, setting, list.count);
	first = automatic ? list.count - workers : list.count > workers;
	memcpy(cores->worker, list.core + first, workers * sizeof(list.core[0]));
	cores->worker_count = workers;
	if (list.count > workers)
		cores->main = list.core[0];
	else
		cores->main = core_beside(&list, &all, &cores->shared);
	return RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/outliers.h"

#include "bpf/attach.h"
#include "outliers.skel.h"

static void *open_skeleton(const struct rg_probe_target *target, struct bpf_object **object)
{
	struct outliers_bpf *skeleton = outliers_bpf__open();

	if (!skeleton)
		return NULL;
	skeleton->rodata->core_config = target->core;
	skeleton->rodata->threshold_ns = target->slow_burst_ns;
	skeleton->rodata->limit_per_s = target->outliers_per_s;
	bpf_map__set_max_entries(skeleton->maps.scratch_rings,
				 target->core.worker_count ? target->core.worker_count : 1);
	*object = skeleton->obj;
	return skeleton;
}

static void destroy_skeleton(void *skeleton)
{
	outliers_bpf__destroy(skeleton);
}

const struct rg_probe rg_probe_outliers = {
	.name = "outliers",
	.about = "slow bursts, with their stages and what happened on their core",
	.point = "bursts",
	.sides = {[RG_SIDE_DATAPLANE] = true},
	.open = open_skeleton,
	.destroy = destroy_skeleton,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/stages.h"

#include "bpf/attach.h"
#include "stages.skel.h"

static void *open_skeleton(const struct rg_probe_target *target, struct bpf_object **object)
{
	struct stages_bpf *skeleton = stages_bpf__open();

	if (!skeleton)
		return NULL;
	*object = skeleton->obj;
	return skeleton;
}

static void destroy_skeleton(void *skeleton)
{
	stages_bpf__destroy(skeleton);
}

const struct rg_probe rg_probe_stages = {
	.name = "stages",
	.about = "what each stage of a burst costs, under each policy",
	.point = "bursts",
	.sides = {[RG_SIDE_DATAPLANE] = true},
	.open = open_skeleton,
	.destroy = destroy_skeleton,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/publish.h"

#include "bpf/attach.h"
#include "publish.skel.h"

static void *open_skeleton(const struct rg_probe_target *target, struct bpf_object **object)
{
	struct publish_bpf *skeleton = publish_bpf__open();

	if (!skeleton)
		return NULL;
	*object = skeleton->obj;
	return skeleton;
}

static void destroy_skeleton(void *skeleton)
{
	publish_bpf__destroy(skeleton);
}

const struct rg_probe rg_probe_publishes = {
	.name = "publish",
	.about = "each step of a policy's publication",
	.point = "publish",
	.sides = {[RG_SIDE_DATAPLANE] = true, [RG_SIDE_CONTROL] = true},
	.any_side = true,
	.open = open_skeleton,
	.destroy = destroy_skeleton,
};

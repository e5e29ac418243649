/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/jitter.h"

#include "bpf/attach.h"
#include "jitter.skel.h"

static void *open_skeleton(const struct rg_probe_target *target, struct bpf_object **object)
{
	struct jitter_bpf *skeleton = jitter_bpf__open();

	if (!skeleton)
		return NULL;
	skeleton->rodata->core_config = target->core;
	skeleton->rodata->recent_ns = target->slow_takeover_ns;
	*object = skeleton->obj;
	return skeleton;
}

static void destroy_skeleton(void *skeleton)
{
	jitter_bpf__destroy(skeleton);
}

const struct rg_probe rg_probe_jitter = {
	.name = "jitter",
	.about = "who took a worker's core, and for how long",
	.sides = {[RG_SIDE_DATAPLANE] = true},
	.open = open_skeleton,
	.destroy = destroy_skeleton,
};

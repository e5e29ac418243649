/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/journal.h"

#include "bpf/attach.h"
#include "journal.skel.h"

static void *open_skeleton(const struct rg_probe_target *target, struct bpf_object **object)
{
	struct journal_bpf *skeleton = journal_bpf__open();

	if (!skeleton)
		return NULL;
	skeleton->rodata->recent_ns = target->slow_io_ns;
	*object = skeleton->obj;
	return skeleton;
}

static void destroy_skeleton(void *skeleton)
{
	journal_bpf__destroy(skeleton);
}

const struct rg_probe rg_probe_journal = {
	.name = "journal",
	.about = "how long writes, syncs and sinks take",
	.point = "io",
	.sides = {[RG_SIDE_CONTROL] = true},
	.open = open_skeleton,
	.destroy = destroy_skeleton,
};

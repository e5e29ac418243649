/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of the region, and their differences. */
#include "tools/riskctl/top_sample.h"

#include <string.h>

#include "tools/riskctl/clock.h"

static struct rg_top_process read_process(const struct rg_region *region, enum rg_region_role role,
					  const struct rg_region_header *header)
{
	if (!header)
		return (struct rg_top_process){0};
	return (struct rg_top_process){
		.joined = true,
		.running = rg_region_running(region, role),
		.pid = rg_region_pid(region, role),
		.epoch = rg_region_epoch(region, role),
		/* relaxed: a number of its own, printed */
		.heartbeat_ns = atomic_load_explicit(&header->heartbeat_ns, memory_order_relaxed),
	};
}

static void read_counters(uint64_t *values, uint32_t count, const struct rg_counters *counters)
{
	for (uint32_t id = 0; id < count; id++)
		values[id] = rg_counters_read(counters, id);
}

static void read_worker(struct rg_top_sample *sample, const struct rg_region_view *view,
			uint32_t index)
{
	const struct rg_region_worker *shared = &view->dataplane->workers[index];
	struct rg_top_worker *worker = &sample->workers[index];

	worker->state = rg_worker_state(shared->status);
	rg_worker_read_identity(shared->status, &worker->identity);
	rg_worker_read_progress(shared->status, &worker->progress);
	read_counters(worker->counters, RG_WORKER_COUNTERS, shared->counters);
	for (uint32_t id = 0; id < RG_WORKER_COUNTERS; id++)
		sample->counters[id] += worker->counters[id];
	worker->ring = rg_region_view_ring(view, index);
	if (shared->histograms[RG_WORKER_HISTOGRAM_LATENCY])
		rg_histogram_merge(&worker->latency,
				   shared->histograms[RG_WORKER_HISTOGRAM_LATENCY]);
	rg_histogram_merge_snapshot(&sample->latency, &worker->latency);
	if (shared->histograms[RG_WORKER_HISTOGRAM_EVALUATE])
		rg_histogram_merge(&sample->evaluate,
				   shared->histograms[RG_WORKER_HISTOGRAM_EVALUATE]);
}

void rg_top_sample_read(struct rg_top_sample *sample, const struct rg_region *region)
{
	struct rg_region_view view;

	memset(sample, 0, sizeof(*sample));
	sample->monotonic_ns = rg_clock_monotonic_ns();
	sample->unix_ns = rg_clock_unix_ns();
	if (!region)
		return;
	rg_region_view_look(&view, region);
	sample->dataplane = read_process(region, RG_REGION_DATAPLANE, view.dataplane->header);
	sample->control = read_process(region, RG_REGION_CONTROL, view.control->header);
	if (view.control->counters)
		read_counters(sample->control_counters, RG_CONTROL_COUNTERS,
			      view.control->counters);
	if (!view.dataplane->header)
		return;
	sample->generation = view.dataplane->generation;
	if (rg_publisher_read(view.dataplane->publisher, &sample->policy))
		memset(&sample->policy, 0, sizeof(sample->policy));
	read_counters(sample->publisher, RG_PUBLISHER_COUNTERS, view.dataplane->counters);
	sample->worker_count = view.dataplane->worker_count;
	for (uint32_t w = 0; w < sample->worker_count; w++)
		read_worker(sample, &view, w);
}

/* What never falls: where it did, it was begun anew. */
static uint64_t difference(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static void subtract_all(uint64_t *now, const uint64_t *before, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		now[i] = difference(now[i], before[i]);
}

static void subtract_worker(struct rg_top_worker *now, const struct rg_top_worker *before,
			    bool same_process)
{
	subtract_all(now->counters, before->counters, RG_WORKER_COUNTERS);
	rg_histogram_subtract(&now->latency, &before->latency);
	now->ring.messages = difference(now->ring.messages, before->ring.messages);
	now->ring.lost = difference(now->ring.lost, before->ring.lost);
	if (!same_process)
		return;
	subtract_all(now->progress.ticks, before->progress.ticks, RG_TICK_COUNT);
	now->progress.loops = difference(now->progress.loops, before->progress.loops);
	now->progress.loops_idle =
		difference(now->progress.loops_idle, before->progress.loops_idle);
}

void rg_top_sample_subtract(struct rg_top_sample *sample, const struct rg_top_sample *earlier)
{
	bool same_process = sample->dataplane.epoch == earlier->dataplane.epoch;

	if (earlier->control.joined)
		subtract_all(sample->control_counters, earlier->control_counters,
			     RG_CONTROL_COUNTERS);
	if (!sample->dataplane.joined || sample->generation != earlier->generation)
		return; /* all of it happened since then */
	subtract_all(sample->publisher, earlier->publisher, RG_PUBLISHER_COUNTERS);
	subtract_all(sample->counters, earlier->counters, RG_WORKER_COUNTERS);
	rg_histogram_subtract(&sample->latency, &earlier->latency);
	rg_histogram_subtract(&sample->evaluate, &earlier->evaluate);
	for (uint32_t w = 0; w < sample->worker_count && w < earlier->worker_count; w++)
		subtract_worker(&sample->workers[w], &earlier->workers[w], same_process);
}

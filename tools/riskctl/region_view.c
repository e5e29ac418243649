/* SPDX-License-Identifier: Apache-2.0 */
/* The region from outside. */
#include "tools/riskctl/region_view.h"

#include <stdio.h>
#include <string.h>

#include "tools/riskctl/clock.h"

void rg_region_view_look(struct rg_region_view *view, const struct rg_region *region)
{
	*view = (struct rg_region_view){
		.region = region,
		.dataplane = rg_region_dataplane(region),
		.control = rg_region_control(region),
		.now_ns = rg_clock_unix_ns(),
	};
}

int rg_region_view_directory(struct rg_cli *cli, const char *given, char *directory, size_t bytes)
{
	int status = given ? RG_OK : rg_cli_config(cli);

	if (status)
		return status;
	if (!given && strcmp(cli->config->region.directory, "auto") != 0)
		given = cli->config->region.directory;
	if (!given)
		return rg_region_directory("auto", cli->config->instance, 0, directory, bytes,
					   &cli->error);
	snprintf(directory, bytes, "%s", given);
	return RG_OK;
}

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed); /* a number of its own, printed */
}

uint64_t rg_region_view_value(const struct rg_region_view *view, const struct rg_metric *metric)
{
	uint64_t sum = 0;

	if (metric->group == RG_METRIC_CONTROL)
		return rg_counters_read(view->control->counters, metric->id);
	if (metric->group == RG_METRIC_PUBLISHER)
		return rg_counters_read(view->dataplane->counters, metric->id);
	for (uint32_t w = 0; w < view->dataplane->worker_count; w++)
		sum += rg_counters_read(view->dataplane->workers[w].counters, metric->id);
	return sum;
}

static const struct rg_histogram *histogram_of(const struct rg_region_view *view,
					       const struct rg_metric *metric, uint32_t worker)
{
	if (metric->id >= (metric->group == RG_METRIC_CONTROL	  ? RG_CONTROL_HISTOGRAMS
			   : metric->group == RG_METRIC_PUBLISHER ? RG_PUBLISHER_HISTOGRAMS
								  : RG_WORKER_HISTOGRAMS))
		return NULL; /* of a later release */
	if (metric->group == RG_METRIC_CONTROL)
		return view->control->histograms[metric->id];
	if (metric->group == RG_METRIC_PUBLISHER)
		return view->dataplane->histograms[metric->id];
	return view->dataplane->workers[worker].histograms[metric->id];
}

const struct rg_histogram_snapshot *rg_region_view_histogram(const struct rg_region_view *view,
							     const struct rg_metric *metric)
{
	static struct rg_histogram_snapshot merged;
	uint32_t count = metric->group == RG_METRIC_WORKER ? view->dataplane->worker_count : 1;

	memset(&merged, 0, sizeof(merged));
	for (uint32_t w = 0; w < count; w++) {
		const struct rg_histogram *histogram = histogram_of(view, metric, w);

		if (histogram)
			rg_histogram_merge(&merged, histogram);
	}
	return &merged;
}

/* Metrics of the two catalogues that this file's writer keeps: the control file describes
 * control's, the other one the rest. */
static bool metric_belongs(const struct rg_metric *metric, enum rg_region_role role)
{
	return (metric->group == RG_METRIC_CONTROL) == (role == RG_REGION_CONTROL);
}

void rg_region_view_visit(const struct rg_region_view *view, bool histograms,
			  rg_metric_visitor visit, void *context)
{
	const struct rg_catalogue *catalogues[] = {
		[RG_REGION_DATAPLANE] = view->dataplane->catalogue,
		[RG_REGION_CONTROL] = view->control->catalogue,
	};

	for (uint32_t role = RG_REGION_DATAPLANE; role <= RG_REGION_CONTROL; role++) {
		for (uint32_t i = 0; catalogues[role] && i < rg_catalogue_count(catalogues[role]);
		     i++) {
			struct rg_metric metric;

			if (rg_catalogue_read(catalogues[role], i, &metric) == RG_OK &&
			    metric_belongs(&metric, role) &&
			    (metric.type == RG_METRIC_HISTOGRAM) == histograms)
				visit(view, &metric, context);
		}
	}
}

struct rg_ring_state rg_region_view_ring(const struct rg_region_view *view, uint32_t worker)
{
	const struct rg_ring *ring = view->dataplane->workers[worker].ring;
	const struct rg_ring_cursor *cursor =
		view->control->header ? view->control->cursors[worker] : NULL;
	struct rg_ring_state state = {
		.capacity = rg_ring_capacity(ring),
		.messages = load(&ring->messages),
		.lost = load(&ring->lost),
		.cursor_errors = load(&ring->cursor_errors),
	};
	uint64_t consumed = load(&ring->consumed_hint);

	if (cursor && load(&cursor->generation) == view->dataplane->generation) {
		state.adopted = true;
		consumed = load(&cursor->position);
		state.consumed_messages = load(&cursor->messages);
		state.ring_errors = load(&cursor->errors);
		state.skipped_bytes = load(&cursor->skipped_bytes);
	}
	state.used_bytes = load(&ring->position) - consumed;
	return state;
}

const struct rg_error_log *rg_region_view_errors(const struct rg_region_view *view, uint32_t which)
{
	if (which == 0)
		return view->control->errors;
	if (which == 1)
		return view->dataplane->errors;
	return view->dataplane->workers[which - 2].errors;
}

const char *rg_region_view_errors_name(uint32_t which, char *text, size_t bytes)
{
	if (which < 2)
		return which ? "publisher" : "control";
	snprintf(text, bytes, "worker %u", which - 2);
	return text;
}

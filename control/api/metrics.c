/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics, in Prometheus' text format: everything in the region by its own catalogues, and
 * what control works out (RG_EXPORTED in shm/metrics.def).
 *
 * Written in control's loop, where the region may be read; well below a millisecond for a worker.
 *
 * Source: Prometheus' exposition formats, and its conventions for names.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "control/api/internal.h"
#include "control/compile_arena.h"

#define NAME_BYTES 96

enum exported {
#define RG_EXPORTED(symbol, type, name, labels, unit, help) EXPORTED_##symbol,
#include "shm/metrics.def"
	EXPORTED_COUNT
};
static const struct {
	enum rg_metric_type type;
	const char *name, *unit, *help;
} exported[EXPORTED_COUNT] = {
#define RG_EXPORTED(symbol, type, name, labels, unit, help) {RG_METRIC_##type, name, unit, help},
#include "shm/metrics.def"
};

/* One page being written. */
struct page {
	struct rg_control *control;
	struct rg_json_writer *out;
	char name[NAME_BYTES]; /* of the metric whose header was written last */
};

static void put(struct page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct page *page, const char *format, ...)
{
	char line[1024];
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	page->out->comma = false; /* lines, not values of an array */
	rg_json_write_raw(page->out, line,
			  (size_t)bytes < sizeof(line) ? (size_t)bytes : sizeof(line) - 1);
}

/* The exported name: prefix, base unit, _total. scripts/metrics-page has the same rule. */
static void make_name(char *out, const char *name, enum rg_metric_type type, const char *unit)
{
	const char *base = !strcmp(unit, "ns") || !strcmp(unit, "seconds") ? "seconds"
			   : !strcmp(unit, "bytes")			   ? "bytes"
									   : "";
	bool has_unit = !*base || strstr(name, base);

	snprintf(out, NAME_BYTES, "riskgate_%s%s%s%s", name, has_unit ? "" : "_",
		 has_unit ? "" : base, type == RG_METRIC_COUNTER ? "_total" : "");
}

static void begin_metric(struct page *page, const char *name, enum rg_metric_type type,
			 const char *unit, const char *help)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	char full[NAME_BYTES];

	make_name(full, name, type, unit);
	if (!strcmp(full, page->name))
		return; /* the same with another label */
	memcpy(page->name, full, sizeof(full));
	put(page, "# HELP %s %s\n# TYPE %s %s\n", full, help, full, types[type]);
}

static void begin_exported(struct page *page, enum exported id)
{
	begin_metric(page, exported[id].name, exported[id].type, exported[id].unit,
		     exported[id].help);
}

/* labels: `worker="0",state="running"`, or "". */
static void sample(struct page *page, const char *labels, double value)
{
	put(page, *labels ? "%s{%s} %.17g\n" : "%s%s %.17g\n", page->name, labels, value);
}

static void sample_uint(struct page *page, const char *labels, uint64_t value)
{
	put(page, *labels ? "%s{%s} %" PRIu64 "\n" : "%s%s %" PRIu64 "\n", page->name, labels,
	    value);
}

static void only(struct page *page, enum exported id, double value)
{
	begin_exported(page, id);
	sample(page, "", value);
}

/* A label's value as the format wants it: backslash, quote and newline escaped. */
static const char *escape(const char *text, char *out, size_t bytes)
{
	size_t n = 0;

	for (; *text && n + 3 < bytes; text++) {
		if (*text == '\\' || *text == '"' || *text == '\n')
			out[n++] = '\\';
		out[n++] = *text == '\n' ? 'n' : *text;
	}
	out[n] = '\0';
	return out;
}

/* ---- histograms ---- */

static void end_histogram(struct page *page, const char *labels, uint64_t count, uint64_t sum_ns)
{
	const char *comma = *labels ? "," : "";

	put(page, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", page->name, labels, comma, count);
	put(page, *labels ? "%s_sum{%s} %.9g\n" : "%s_sum%s %.9g\n", page->name, labels,
	    (double)sum_ns / 1e9);
	put(page, *labels ? "%s_count{%s} %" PRIu64 "\n" : "%s_count%s %" PRIu64 "\n", page->name,
	    labels, count);
}

static void put_bucket(struct page *page, const char *labels, uint64_t bound_ns, uint64_t count)
{
	put(page, "%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", page->name, labels,
	    *labels ? "," : "", (double)bound_ns / 1e9, count);
}

/* The region's buckets, 0.79 % wide at most, summed up to the exported bounds. */
static void put_histogram(struct page *page, const char *labels,
			  const struct rg_histogram *histogram)
{
	struct rg_histogram_snapshot *snapshot = histogram ? calloc(1, sizeof(*snapshot)) : NULL;
	uint64_t count = 0;
	uint32_t at = 0;

	if (!snapshot)
		return;
	rg_histogram_merge(snapshot, histogram);
	for (uint32_t i = 0; i < RG_OBSERVED_BUCKETS; i++) {
		while (at < RG_HISTOGRAM_BUCKET_COUNT &&
		       rg_histogram_bucket_high(at) <= rg_observed_bounds_ns[i])
			count += snapshot->buckets[at++];
		put_bucket(page, labels, rg_observed_bounds_ns[i], count);
	}
	end_histogram(page, labels, snapshot->count, snapshot->sum_ns);
	free(snapshot);
}

/* ---- the region, by its catalogues ---- */

static void put_value(struct page *page, const struct rg_metric *metric, const char *labels,
		      const struct rg_counters *counters,
		      struct rg_histogram *const histograms[RG_HISTOGRAMS_MAX])
{
	if (metric->type == RG_METRIC_HISTOGRAM)
		put_histogram(page, labels,
			      metric->id < RG_HISTOGRAMS_MAX ? histograms[metric->id] : NULL);
	else
		sample_uint(page, labels, rg_counters_read(counters, metric->id));
}

static void put_worker_values(struct page *page, const struct rg_metric *metric)
{
	const struct rg_region_dataplane *dataplane = rg_region_dataplane(page->control->region);

	for (uint32_t w = 0; w < dataplane->worker_count; w++) {
		char labels[80];

		snprintf(labels, sizeof(labels), "worker=\"%u\"%s%s", w, *metric->label ? "," : "",
			 metric->label);
		put_value(page, metric, labels, dataplane->workers[w].counters,
			  dataplane->workers[w].histograms);
	}
}

static void put_metric(struct page *page, const struct rg_metric *metric)
{
	const struct rg_region_dataplane *dataplane = rg_region_dataplane(page->control->region);
	const struct rg_region_control *control = rg_region_control(page->control->region);

	begin_metric(page, metric->name, (enum rg_metric_type)metric->type, metric->unit,
		     metric->help);
	if (metric->group == RG_METRIC_WORKER)
		put_worker_values(page, metric);
	else if (metric->group == RG_METRIC_PUBLISHER)
		put_value(page, metric, metric->label, dataplane->counters, dataplane->histograms);
	else
		put_value(page, metric, metric->label, control->counters, control->histograms);
}

/* Those metrics of `catalogue` whose group has its bit in `groups`. Metrics that share a name may
 * stand apart in it, and must not on the page. */
static void put_catalogue(struct page *page, const struct rg_catalogue *catalogue, uint32_t groups)
{
	uint32_t count = catalogue ? rg_catalogue_count(catalogue) : 0;
	struct rg_metric *metrics = calloc(count + 1, sizeof(*metrics));

	for (uint32_t i = 0; metrics && i < count; i++) {
		if (rg_catalogue_read(catalogue, i, &metrics[i]) ||
		    metrics[i].type > RG_METRIC_HISTOGRAM ||
		    metrics[i].group >= RG_METRIC_GROUP_COUNT || !(groups & 1u << metrics[i].group))
			metrics[i].name[0] = '\0';
	}
	for (uint32_t i = 0; metrics && i < count; i++) {
		char name[sizeof(metrics[i].name)];

		memcpy(name, metrics[i].name, sizeof(name));
		for (uint32_t j = i; *name && j < count; j++) {
			if (strcmp(metrics[j].name, name))
				continue;
			put_metric(page, &metrics[j]);
			metrics[j].name[0] = '\0'; /* done */
		}
	}
	free(metrics);
}

/* ---- workers ---- */

struct worker_view {
	uint32_t state;
	struct rg_worker_identity identity;
	struct rg_worker_progress progress;
};

static double ticks_to_seconds(const struct worker_view *worker, uint64_t ticks)
{
	return worker->identity.tsc_hz ? (double)ticks / (double)worker->identity.tsc_hz : 0;
}

/* One exported metric for every worker. */
static void put_worker_metric(struct page *page, enum exported id, uint32_t index,
			      const struct worker_view *worker)
{
	const struct rg_worker_progress *progress = &worker->progress;
	uint64_t now_ns = page->control->now.unix_ns;
	char labels[80];

	snprintf(labels, sizeof(labels), "worker=\"%u\"", index);
	switch (id) {
	case EXPORTED_WORKER_STATE:
		for (uint32_t s = 0; s < RG_WORKER_STATE_COUNT; s++) {
			snprintf(labels, sizeof(labels), "worker=\"%u\",state=\"%s\"", index,
				 rg_worker_state_name(s));
			sample_uint(page, labels, s == worker->state);
		}
		break;
	case EXPORTED_WORKER_TIME:
		for (uint32_t t = 0; t < RG_TICK_COUNT; t++) {
			snprintf(labels, sizeof(labels), "worker=\"%u\",activity=\"%s\"", index,
				 rg_worker_tick_name(t));
			sample(page, labels, ticks_to_seconds(worker, progress->ticks[t]));
		}
		break;
	case EXPORTED_WORKER_HEARTBEAT_AGE:
		sample(page, labels,
		       now_ns > progress->heartbeat_ns
			       ? (double)(now_ns - progress->heartbeat_ns) / 1e9
			       : 0);
		break;
	case EXPORTED_WORKER_LOOPS: sample_uint(page, labels, progress->loops); break;
	case EXPORTED_WORKER_LOOPS_IDLE: sample_uint(page, labels, progress->loops_idle); break;
	default: sample(page, labels, ticks_to_seconds(worker, progress->longest_loop_ticks));
	}
}

static void put_workers(struct page *page)
{
	static const enum exported ids[] = {
		EXPORTED_WORKER_STATE, EXPORTED_WORKER_HEARTBEAT_AGE, EXPORTED_WORKER_TIME,
		EXPORTED_WORKER_LOOPS, EXPORTED_WORKER_LOOPS_IDLE,    EXPORTED_WORKER_LONGEST_LOOP};
	const struct rg_region_dataplane *dataplane = rg_region_dataplane(page->control->region);
	struct worker_view *workers = calloc(dataplane->worker_count + 1, sizeof(*workers));

	if (!workers || !dataplane->worker_count) {
		free(workers);
		return;
	}
	for (uint32_t w = 0; w < dataplane->worker_count; w++) {
		workers[w].state = rg_worker_state(dataplane->workers[w].status);
		rg_worker_read_identity(dataplane->workers[w].status, &workers[w].identity);
		rg_worker_read_progress(dataplane->workers[w].status, &workers[w].progress);
	}
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		begin_exported(page, ids[i]);
		for (uint32_t w = 0; w < dataplane->worker_count; w++)
			put_worker_metric(page, ids[i], w, &workers[w]);
	}
	free(workers);
}

/* ---- policy ---- */

static void put_policy(struct page *page)
{
	struct rg_control *control = page->control;
	const struct rg_policy_meta *meta =
		rg_policy_store_find(control->store, rg_control_policy_sequence(control));
	char labels[1280], bundle[400], revision[400];

	if (!meta)
		return;
	snprintf(labels, sizeof(labels), "bundle=\"%s\",revision=\"%s\",sequence=\"%" PRIu64 "\"",
		 escape(meta->bundle, bundle, sizeof(bundle)),
		 escape(meta->revision, revision, sizeof(revision)), meta->sequence);
	begin_exported(page, EXPORTED_POLICY_INFO);
	sample_uint(page, labels, 1);
	if (meta->activated_ns && control->now.unix_ns >= meta->activated_ns)
		only(page, EXPORTED_POLICY_AGE,
		     (double)(control->now.unix_ns - meta->activated_ns) / 1e9);
}

static void put_refusals(struct page *page)
{
	begin_exported(page, EXPORTED_PUSHES_REFUSED_BY);
	for (int status = -1; status >= RG_ECONFLICT; status--) {
		char labels[64];

		snprintf(labels, sizeof(labels), "cause=\"%s\"", rg_status_name(status));
		sample_uint(page, labels, page->control->refused_by[-status]);
	}
}

static void put_publish(struct page *page)
{
	const struct rg_publish_times *times = &page->control->last_publish;
	uint64_t announced = times->entered_ns[RG_MAILBOX_ANNOUNCED];
	uint64_t active = times->entered_ns[RG_MAILBOX_ACTIVE];

	if (!times->sequence)
		return;
	begin_exported(page, EXPORTED_PUBLISH_STEP);
	sample(page, "step=\"load\"", (double)times->load_ns / 1e9);
	sample(page, "step=\"compile\"", (double)times->compile_ns / 1e9);
	sample(page, "step=\"verify\"", (double)times->verify_ns / 1e9);
	sample(page, "step=\"write\"", (double)times->write_ns / 1e9);
	if (announced && active >= announced)
		sample(page, "step=\"activate\"", (double)(active - announced) / 1e9);
}

/* ---- control ---- */

static void put_journal_filesystem(struct page *page)
{
	struct statvfs filesystem;

	if (statvfs(page->control->journal_directory, &filesystem))
		return; /* absent rather than wrong: the journal's own errors are counted */
	only(page, EXPORTED_JOURNAL_FREE,
	     (double)filesystem.f_bavail * (double)filesystem.f_frsize);
	only(page, EXPORTED_JOURNAL_FILESYSTEM,
	     (double)filesystem.f_blocks * (double)filesystem.f_frsize);
}

static void put_journal(struct page *page)
{
	struct rg_control *control = page->control;
	struct rg_journal_statistics statistics;
	struct rg_journal_position end, durable;

	rg_journal_writer_statistics(control->journal, &statistics);
	rg_journal_writer_durable(control->journal, &durable);
	rg_journal_writer_end(control->journal, &end);
	only(page, EXPORTED_JOURNAL_LAG,
	     end.index > durable.index ? (double)(end.index - durable.index) : 0);
	only(page, EXPORTED_JOURNAL_STAGED, (double)statistics.staged_bytes);
	only(page, EXPORTED_JOURNAL_SYNC_LONGEST, (double)statistics.sync_ns_max / 1e9);
	put_journal_filesystem(page);
	only(page, EXPORTED_RING_BACKLOG, (double)rg_drain_backlog_bytes(control->drain));
}

static void put_process(struct page *page)
{
	struct rg_control *control = page->control;
	uint64_t allocated, resident;
	char labels[256];

	begin_exported(page, EXPORTED_BUILD_INFO);
	sample_uint(page, "version=\"" RG_VERSION "\"", 1);
	only(page, EXPORTED_START_TIME, (double)control->started_unix_ns / 1e9);
	begin_exported(page, EXPORTED_INSTANCE_INFO);
	snprintf(labels, sizeof(labels), "instance=\"%s\",node=\"%u\"", control->config->instance,
		 control->config->node);
	sample_uint(page, labels, 1);
	only(page, EXPORTED_DATAPLANE_UP,
	     rg_region_dataplane(control->region)->header &&
		     rg_region_running(control->region, RG_REGION_DATAPLANE));
	if (rg_allocator_statistics(&allocated, &resident)) {
		only(page, EXPORTED_MEMORY_ALLOCATED, (double)allocated);
		only(page, EXPORTED_MEMORY_RESIDENT, (double)resident);
	}
}

/* ---- the API's own requests ---- */

static void put_requests(struct page *page, const struct rg_observed *observed)
{
	static const char *const classes[RG_OBSERVED_CLASSES] = {"other", "1xx", "2xx",
								 "3xx",	  "4xx", "5xx"};
	const char *name;

	begin_exported(page, EXPORTED_HTTP_REQUESTS);
	for (uint32_t r = 0; (name = rg_api_route_name(r)); r++) {
		for (uint32_t c = 0; c < RG_OBSERVED_CLASSES; c++) {
			uint64_t count = atomic_load_explicit(&observed->routes[r].requests[c],
							      memory_order_relaxed);
			char labels[96];

			if (!count)
				continue;
			snprintf(labels, sizeof(labels), "handler=\"%s\",code=\"%s\"", name,
				 classes[c]);
			sample_uint(page, labels, count);
		}
	}
}

static void put_durations(struct page *page, const struct rg_observed *observed)
{
	const char *name;

	begin_exported(page, EXPORTED_HTTP_DURATION);
	for (uint32_t r = 0; (name = rg_api_route_name(r)); r++) {
		const struct rg_observed_route *route = &observed->routes[r];
		uint64_t count = 0;
		char labels[64];

		snprintf(labels, sizeof(labels), "handler=\"%s\"", name);
		for (uint32_t b = 0; b < RG_OBSERVED_BUCKETS; b++) {
			count += atomic_load_explicit(&route->buckets[b], memory_order_relaxed);
			put_bucket(page, labels, rg_observed_bounds_ns[b], count);
		}
		count += atomic_load_explicit(&route->buckets[RG_OBSERVED_BUCKETS],
					      memory_order_relaxed);
		end_histogram(page, labels, count,
			      atomic_load_explicit(&route->sum_ns, memory_order_relaxed));
	}
}

static bool write_page(struct rg_api *api, struct rg_api_call *call)
{
	struct rg_control *control = api->control;
	struct page page = {.control = control, .out = &call->answer};
	const struct rg_catalogue *dataplane = rg_region_dataplane(control->region)->catalogue;

	rg_counters_flush(&control->counters);
	put_process(&page);
	put_policy(&page);
	put_refusals(&page);
	put_publish(&page);
	put_workers(&page);
	put_catalogue(&page, dataplane, 1u << RG_METRIC_WORKER | 1u << RG_METRIC_PUBLISHER);
	put_catalogue(&page, rg_region_control(control->region)->catalogue,
		      1u << RG_METRIC_CONTROL);
	put_journal(&page);
	only(&page, EXPORTED_HTTP_CONNECTIONS, rg_web_connections(api->web));
	put_requests(&page, &api->observed);
	put_durations(&page, &api->observed);
	return true;
}

static enum rg_web_result send_page(void *context, struct rg_web_request *request)
{
	struct rg_api_call *call = rg_api_call_of(request);

	request->status = 200;
	request->content_type = RG_WEB_METRICS;
	rg_json_writer_free(&request->answer);
	request->answer = call->answer; /* moves */
	rg_json_writer_init(&call->answer, false);
	return RG_WEB_DONE;
}

enum rg_web_result rg_api_get_metrics(void *context, struct rg_web_request *request)
{
	struct rg_api_call *call = calloc(1, sizeof(*call));

	if (!call)
		return rg_api_no_memory(request);
	call->run = write_page;
	return rg_api_queue(context, request, call, send_page);
}

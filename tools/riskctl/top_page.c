/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl top as a page of lines: 80 columns and 24 rows are enough, more are used. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/riskctl/format.h"
#include "tools/riskctl/top.h"

#define NS_PER_S 1000000000ull

static const char *const refusal_groups[] = {
	[RG_TOP_REFUSAL_ANSWER] = "answered with",
	[RG_TOP_REFUSAL_PACKET] = "packets dropped",
	[RG_TOP_REFUSAL_MESSAGE] = "messages dropped",
};

static void show_head(struct rg_top *top)
{
	char left[64], right[64], when[RG_FORMAT_BYTES];
	unsigned columns = top->screen.columns;

	snprintf(left, sizeof(left), "riskgate %.40s",
		 top->cli->config ? top->cli->config->instance : "");
	rg_format_time(when, top->now->unix_ns);
	snprintf(right, sizeof(right), "%.19s UTC, of %.1f s%s", when, top->seconds,
		 top->screen.keys ? ", q: quit" : "");
	if (strlen(left) + strlen(right) < columns)
		rg_screen_line(&top->screen, "%-*s%s", (int)(columns - strlen(right)), left, right);
	else
		rg_screen_line(&top->screen, "%s", left);
}

static void show_processes(struct rg_top *top)
{
	const struct rg_top_process *dataplane = &top->now->dataplane,
				    *control = &top->now->control;
	char since[RG_FORMAT_BYTES], beat[RG_FORMAT_BYTES];

	if (!dataplane->joined)
		rg_screen_line(&top->screen, "data plane  AWAY: %s",
			       top->region ? rg_region_absence(top->region, RG_REGION_DATAPLANE)
					   : top->absence.text);
	else if (!dataplane->running)
		rg_screen_line(&top->screen,
			       "data plane  NOT RUNNING, last seen %s: nobody answers requests",
			       rg_format_age(beat, dataplane->heartbeat_ns, top->now->unix_ns));
	else
		rg_screen_line(
			&top->screen, "data plane  running, pid %" PRIu64 ", started %s%s",
			dataplane->pid, rg_format_age(since, dataplane->epoch, top->now->unix_ns),
			rg_top_restarted(dataplane, &top->before->dataplane) ? " (in this interval)"
									     : "");
	if (top->answered)
		rg_screen_line(&top->screen, "control     running, pid %s, started %s%s",
			       rg_document_text(&top->status, top->status.root, "pid"),
			       rg_format_age(since, control->epoch, top->now->unix_ns),
			       rg_top_restarted(control, &top->before->control)
				       ? " (in this interval)"
				       : "");
	else if (control->running)
		rg_screen_line(&top->screen, "control     SILENT, pid %" PRIu64 ": %s",
			       control->pid, top->silence.text);
	else if (control->joined)
		rg_screen_line(&top->screen,
			       "control     NOT RUNNING, last seen %s: records wait in the rings",
			       rg_format_age(beat, control->heartbeat_ns, top->now->unix_ns));
	else
		rg_screen_line(&top->screen, "control     AWAY: %s", top->silence.text);
}

static void show_policy(struct rg_top *top)
{
	const struct rg_publisher_status *policy = &top->now->policy;
	char age[RG_FORMAT_BYTES];
	const char *last_error = top->answered ? rg_document_text(&top->status, top->status.root,
								  "policy.last_error")
					       : "-";

	if (!top->now->dataplane.joined)
		return;
	if (!policy->active_sequence)
		rg_screen_line(&top->screen,
			       "policy      none: requests are answered with NO_POLICY");
	else
		rg_screen_line(
			&top->screen, "policy      %s, revision %s, sequence %" PRIu64 ", %s old",
			policy->bundle, policy->revision, policy->active_sequence,
			rg_format_duration(age, rg_top_age_ns(top, policy->active_since_ns)));
	if (last_error[0] && strcmp(last_error, "-") != 0)
		rg_screen_line(&top->screen, "  last error %s", last_error);
}

static void show_traffic(struct rg_top *top)
{
	const uint64_t *counters = top->shown->counters;
	uint64_t decisions = rg_top_decisions(counters);
	char requests[RG_FORMAT_BYTES], in[RG_FORMAT_BYTES], out[RG_FORMAT_BYTES],
		missed[RG_FORMAT_BYTES];

	rg_screen_line(
		&top->screen, "requests    %s/s; packets in %s/s, out %s/s, missed %s/s",
		rg_format_count(requests, rg_top_rate(top, counters[RG_WORKER_REQUESTS])),
		rg_format_count(in, rg_top_rate(top, counters[RG_WORKER_RX_PACKETS])),
		rg_format_count(out, rg_top_rate(top, counters[RG_WORKER_TX_PACKETS])),
		rg_format_count(
			missed,
			rg_top_rate(top,
				    top->shown->publisher[RG_PUBLISHER_PORT_MISSED] +
					    top->shown->publisher[RG_PUBLISHER_PORT_NO_BUFFER])));
	if (!decisions)
		rg_screen_line(&top->screen, "verdicts    none");
	else
		rg_screen_line(&top->screen,
			       "verdicts    ALLOW %.1f %%, DENY %.1f %%, REVIEW %.1f %%",
			       100 * rg_top_share(counters[RG_WORKER_DECISIONS_ALLOW], decisions),
			       100 * rg_top_share(counters[RG_WORKER_DECISIONS_DENY], decisions),
			       100 * rg_top_share(counters[RG_WORKER_DECISIONS_REVIEW], decisions));
}

static void show_histogram(struct rg_top *top, const char *name,
			   const struct rg_histogram_snapshot *histogram)
{
	static const double percentiles[] = {50, 99, 99.9, 100};
	char texts[4][RG_FORMAT_BYTES];

	if (!histogram->count) {
		rg_screen_line(&top->screen, "%-11s nothing measured", name);
		return;
	}
	for (int i = 0; i < 4; i++)
		rg_format_duration(texts[i], rg_histogram_percentile(histogram, percentiles[i]));
	rg_screen_line(&top->screen, "%-11s p50 %s, p99 %s, p99.9 %s, max %s", name, texts[0],
		       texts[1], texts[2], texts[3]);
}

/* A line for each kind of which there were any. */
static void show_refusals(struct rg_top *top)
{
	char line[RG_SCREEN_COLUMNS_MAX], name[40], text[RG_FORMAT_BYTES];
	int64_t pushes = rg_top_of_control(top, "policy.refused");
	const char *title = "refused";

	for (enum rg_top_refusal kind = RG_TOP_REFUSAL_ANSWER; kind <= RG_TOP_REFUSAL_MESSAGE;
	     kind++) {
		size_t used = 0;

		for (uint32_t i = 0; i < RG_WORKER_COUNTERS && used < sizeof(line); i++) {
			uint64_t count = top->shown->counters[i];

			if (rg_top_refusal_of(i) != kind || !count)
				continue;
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s %s/s",
						 used ? ", " : "",
						 rg_top_refusal_name(i, name, sizeof(name)),
						 rg_format_count(text, rg_top_rate(top, count)));
		}
		if (!used)
			continue;
		rg_screen_line(&top->screen, "%-11s %s %s", title, refusal_groups[kind], line);
		title = "";
	}
	if (pushes)
		rg_screen_line(&top->screen, "%-11s pushes %s since control started", title,
			       rg_format_count(text, (uint64_t)pushes));
	else if (title[0])
		rg_screen_line(&top->screen, "%-11s nothing", title);
}

static void show_records(struct rg_top *top)
{
	char written[RG_FORMAT_BYTES], behind[RG_FORMAT_BYTES], lag[RG_FORMAT_BYTES],
		lost[RG_FORMAT_BYTES];
	uint64_t records_lost = top->shown->counters[RG_WORKER_RECORDS_LOST];
	char line[RG_SCREEN_COLUMNS_MAX];
	size_t used = (size_t)snprintf(
		line, sizeof(line), "records     %s/s, ring %.1f %% full",
		rg_format_count(written, rg_top_rate(top, top->shown->counters[RG_WORKER_RECORDS])),
		100 * rg_top_ring_fill(top->now));

	if (records_lost)
		used += (size_t)snprintf(line + used, sizeof(line) - used, ", LOST %s/s",
					 rg_format_count(lost, rg_top_rate(top, records_lost)));
	if (top->answered)
		snprintf(line + used, sizeof(line) - used,
			 "; journal %s not durable, %s not in all sinks",
			 rg_format_count(behind, rg_top_journal_behind(top)),
			 rg_format_count(lag, (uint64_t)rg_top_of_control(top, "records.lag")));
	rg_screen_line(&top->screen, "%s", line);
}

static void show_sinks(struct rg_top *top)
{
	char lag[RG_FORMAT_BYTES], stored[RG_FORMAT_BYTES];

	for (uint32_t i = 0;
	     top->answered && i < rg_document_count(&top->status, top->status.root, "sinks"); i++) {
		struct rg_value sink =
			rg_document_element(&top->status, top->status.root, "sinks", i);

		rg_screen_line(
			&top->screen, "sink        %s %s, %s behind (%s s), %s/s",
			rg_document_text(&top->status, sink, "name"),
			rg_document_text(&top->status, sink, "state"),
			rg_format_count(lag,
					(uint64_t)rg_document_number(&top->status, sink, "lag", 0)),
			rg_document_text(&top->status, sink, "lag_s"),
			rg_format_count(stored, (uint64_t)rg_document_number(&top->status, sink,
									     "records_per_s", 0)));
	}
}

/* Columns from which more is told of a worker. */
#define WIDE_COLUMNS 120

/* Of each state: its heading and its column's width. Shares are in percent. */
static const struct {
	const char *name;
	int width;
} tick_columns[RG_TICK_COUNT] = {
	[RG_TICK_IDLE] = {"idle", 4},	  [RG_TICK_RX] = {"rx", 3},
	[RG_TICK_DECODE] = {"dec", 3},	  [RG_TICK_FEATURE] = {"feat", 4},
	[RG_TICK_EVALUATE] = {"eval", 4}, [RG_TICK_RECORD] = {"rec", 3},
	[RG_TICK_TX] = {"tx", 3},
};

static void show_worker_head(struct rg_top *top)
{
	char line[RG_SCREEN_COLUMNS_MAX];
	size_t used = (size_t)snprintf(line, sizeof(line), "%2s %3s %8s %8s %8s %8s", "w", "cpu",
				       "req/s", "p50", "p99", "p99.9");

	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %*s",
					 tick_columns[i].width, tick_columns[i].name);
	snprintf(line + used, sizeof(line) - used, " ring%s",
		 top->screen.columns >= WIDE_COLUMNS ? "   longest     loops/s  queues" : " %");
	rg_screen_line(&top->screen, "%s", line);
}

static const char *percentile_text(const struct rg_histogram_snapshot *histogram, double percentile,
				   char *text)
{
	return histogram->count
		       ? rg_format_duration(text, rg_histogram_percentile(histogram, percentile))
		       : "-";
}

static void show_worker(struct rg_top *top, uint32_t index)
{
	const struct rg_top_worker *worker = &top->shown->workers[index];
	char line[RG_SCREEN_COLUMNS_MAX], texts[4][RG_FORMAT_BYTES];
	uint64_t ticks = rg_top_ticks(worker);
	size_t used;

	if (worker->state != RG_WORKER_RUNNING || !top->now->dataplane.running) {
		rg_screen_line(
			&top->screen, "%2u %3" PRId64 " %s, last seen %s", index,
			(int64_t)worker->identity.cpu,
			top->now->dataplane.running ? rg_worker_state_name(worker->state) : "gone",
			rg_format_age(texts[0], worker->progress.heartbeat_ns, top->now->unix_ns));
		return;
	}
	used = (size_t)snprintf(line, sizeof(line), "%2u %3" PRId64 " %8" PRIu64 " %8s %8s %8s",
				index, (int64_t)worker->identity.cpu,
				rg_top_rate(top, worker->counters[RG_WORKER_REQUESTS]),
				percentile_text(&worker->latency, 50, texts[0]),
				percentile_text(&worker->latency, 99, texts[1]),
				percentile_text(&worker->latency, 99.9, texts[2]));
	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %*.0f",
					 tick_columns[i].width,
					 100 * rg_top_share(worker->progress.ticks[i], ticks));
	used += (size_t)snprintf(
		line + used, sizeof(line) - used, " %4.0f",
		100 * rg_top_share(worker->ring.used_bytes, worker->ring.capacity));
	if (top->screen.columns >= WIDE_COLUMNS)
		snprintf(line + used, sizeof(line) - used, " %9s %11s  %.*s",
			 rg_format_duration(texts[0], rg_top_longest_loop_ns(worker)),
			 rg_format_count(texts[1], rg_top_rate(top, worker->progress.loops)),
			 RG_WORKER_QUEUES_BYTES, worker->identity.queues);
	rg_screen_line(&top->screen, "%s", line);
}

static void show_workers(struct rg_top *top)
{
	uint32_t count = top->shown->worker_count;

	if (!count)
		return;
	rg_screen_line(&top->screen, "%s", "");
	show_worker_head(top);
	for (uint32_t w = 0; w < count; w++) {
		if (rg_screen_rows_left(&top->screen) == 1 && w + 1 < count) {
			rg_screen_line(&top->screen, "   %u more: make the terminal higher",
				       count - w);
			return;
		}
		show_worker(top, w);
	}
}

/* What the error logs say, where there is room: newest last seen within the hour. */
static void show_errors(struct rg_top *top)
{
	struct rg_region_view view;
	bool first = true;

	if (!top->region)
		return;
	rg_region_view_look(&view, top->region);
	for (uint32_t which = 0; which < 2 + view.dataplane->worker_count; which++) {
		const struct rg_error_log *log = rg_region_view_errors(&view, which);
		struct rg_error_entry entry;
		char name[24], age[RG_FORMAT_BYTES];
		int status = RG_OK;

		for (uint32_t i = 0; log && i < RG_ERROR_LOG_SLOTS && status != RG_ENOENT; i++) {
			status = rg_error_log_read(log, i, &entry);
			if (status || rg_top_age_ns(top, entry.last_ns) > 3600 * NS_PER_S)
				continue;
			if (first)
				rg_screen_line(&top->screen, "%s", "");
			first = false;
			rg_screen_line(&top->screen, "%s, %s, %" PRIu64 " times: %s",
				       rg_region_view_errors_name(which, name, sizeof(name)),
				       rg_format_age(age, entry.last_ns, top->now->unix_ns),
				       entry.count, entry.text);
		}
	}
}

void rg_top_show_page(struct rg_top *top)
{
	rg_screen_page(&top->screen);
	show_head(top);
	show_processes(top);
	show_policy(top);
	if (top->now->dataplane.joined) {
		show_traffic(top);
		show_histogram(top, "latency", &top->shown->latency);
		show_histogram(top, "evaluate", &top->shown->evaluate);
		show_refusals(top);
		show_records(top);
	}
	show_sinks(top);
	show_workers(top);
	show_errors(top);
	rg_screen_show(&top->screen);
}

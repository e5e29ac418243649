/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl top: what the appliance does just now. The data plane's part is read from the region, so
 * it needs nobody; journal and sinks are riskgate-control's, asked for as `riskctl status` does.
 * Whoever is away is said to be, and looked for again at the next interval.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/answer.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/screen.h"
#include "tools/riskctl/top_sample.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

enum { OPTION_INTERVAL, OPTION_COUNT, OPTION_ONCE, OPTION_DIRECTORY };
static const struct rg_option options[] = {
	[OPTION_INTERVAL] = {"interval", 'i', RG_OPTION_NUMBER, "MS", 100, 3600000, "1000",
			     "show what each interval of so many\nmilliseconds added"},
	[OPTION_COUNT] = {"count", 'n', RG_OPTION_NUMBER, "N", 0, UINT32_MAX, "0",
			  "end after so many intervals; 0: never"},
	[OPTION_ONCE] = {"once", '1', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			 "print one interval and end, also on a terminal"},
	[OPTION_DIRECTORY] = {"directory", 'd', RG_OPTION_TEXT, "FOLDER", 0, 0, NULL,
			      "the region's folder, not the configuration's"},
	{NULL},
};

/* Longest wait for control's answer; it is asked once an interval. */
#define ANSWER_TIMEOUT_MS 1000

struct top {
	struct rg_cli *cli;
	const char *given; /* --directory */
	char directory[RG_REGION_PATH_BYTES];
	struct rg_region *region; /* NULL: there is none yet */
	struct rg_error absence;  /* why */
	struct rg_top_sample *before, *now, *shown;
	bool answered; /* control's status is in `status` */
	struct rg_document status;
	struct rg_error silence; /* else why not */
	double seconds;		 /* of the interval */
	struct rg_screen screen;
};

/* ---- reading ---- */

/* The region may be made, or made anew, at any time. */
static void look_for_region(struct top *top)
{
	if (top->region) {
		rg_region_refresh_readonly(top->region);
		return;
	}
	if (rg_region_view_directory(top->cli, top->given, top->directory,
				     sizeof(top->directory)) ||
	    rg_region_open_readonly(top->directory, &top->region, &top->cli->error)) {
		top->absence = top->cli->error;
		top->region = NULL;
	}
}

static void forget_status(struct top *top)
{
	if (top->answered)
		rg_document_free(&top->status);
	top->answered = false;
}

static void ask_control(struct top *top, uint64_t interval_ms)
{
	uint64_t timeout_ms = interval_ms < ANSWER_TIMEOUT_MS ? interval_ms : ANSWER_TIMEOUT_MS;
	char *answer = NULL;
	size_t bytes;

	forget_status(top);
	top->answered = !rg_cli_control(top->cli, "{\"command\":\"status\"}", timeout_ms, &answer,
					&bytes) &&
			!rg_document_parse(&top->status, answer, bytes, &top->cli->error);
	if (!top->answered)
		top->silence = top->cli->error;
	free(answer);
}

/* `before` is what was read last, `now` becomes it; `shown` is their difference. */
static void take_interval(struct top *top, uint64_t interval_ms)
{
	struct rg_top_sample *oldest = top->before;

	look_for_region(top);
	top->before = top->now;
	top->now = oldest;
	rg_top_sample_read(top->now, top->region);
	memcpy(top->shown, top->now, sizeof(*top->shown));
	rg_top_sample_subtract(top->shown, top->before);
	top->seconds = (double)(top->now->monotonic_ns - top->before->monotonic_ns) / 1e9;
	ask_control(top, interval_ms);
}

/* ---- figures ---- */

static uint64_t rate(const struct top *top, uint64_t count)
{
	return top->seconds > 0 ? (uint64_t)((double)count / top->seconds + 0.5) : 0;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static uint64_t decisions_of(const uint64_t *counters)
{
	return counters[RG_WORKER_DECISIONS_ALLOW] + counters[RG_WORKER_DECISIONS_DENY] +
	       counters[RG_WORKER_DECISIONS_REVIEW];
}

static uint64_t ticks_of(const struct rg_top_worker *worker)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		sum += worker->progress.ticks[i];
	return sum;
}

static uint64_t longest_loop_ns(const struct rg_top_worker *worker)
{
	return worker->identity.tsc_hz ? (uint64_t)((double)worker->progress.longest_loop_ticks *
						    1e9 / (double)worker->identity.tsc_hz)
				       : 0;
}

/* Restarted within the interval: its figures are those of two processes. */
static bool restarted(const struct rg_top_process *now, const struct rg_top_process *before)
{
	return now->joined && before->joined && now->epoch != before->epoch;
}

static uint64_t age_ns(const struct top *top, uint64_t unix_ns)
{
	return unix_ns && top->now->unix_ns > unix_ns ? top->now->unix_ns - unix_ns : 0;
}

/* The worker's counters by name and label, as metrics.def has them. */
static const struct {
	const char *name, *label;
} worker_counters[] = {
#define RG_WORKER_COUNTER(symbol, name, label, unit, help) {name, label},
#define RG_WORKER_GAUGE(symbol, name, label, unit, help)   {name, label},
#include "shm/metrics.def"
};

/* Why something was not decided, or not at all answered. */
enum refusal_kind { REFUSAL_NONE, REFUSAL_ANSWER, REFUSAL_PACKET, REFUSAL_MESSAGE };
static const char *const refusal_groups[] = {
	[REFUSAL_ANSWER] = "answered with",
	[REFUSAL_PACKET] = "packets dropped",
	[REFUSAL_MESSAGE] = "messages dropped",
};

static enum refusal_kind refusal_kind(uint32_t counter)
{
	if (!strcmp(worker_counters[counter].name, "answers"))
		return counter == RG_WORKER_STATUS_OK ? REFUSAL_NONE : REFUSAL_ANSWER;
	if (!strcmp(worker_counters[counter].name, "dropped"))
		return REFUSAL_PACKET;
	return !strcmp(worker_counters[counter].name, "messages_dropped") ? REFUSAL_MESSAGE
									  : REFUSAL_NONE;
}

/* NO_POLICY of status="no_policy": the text between the quotes, into name[bytes]. */
static const char *refusal_name(uint32_t counter, char *name, size_t bytes)
{
	const char *from = strchr(worker_counters[counter].label, '"');

	snprintf(name, bytes, "%.*s", from ? (int)strcspn(from + 1, "\"") : 0,
		 from ? from + 1 : "");
	return name;
}

static int64_t of_control(struct top *top, const char *path)
{
	return top->answered ? rg_document_number(&top->status, top->status.root, path, 0) : 0;
}

static uint64_t journal_behind(struct top *top)
{
	int64_t behind =
		of_control(top, "journal.frames") - of_control(top, "journal.durable_frames");

	return behind > 0 ? (uint64_t)behind : 0;
}

/* Of the fullest ring. */
static double ring_fill(const struct rg_top_sample *sample)
{
	double fullest = 0;

	for (uint32_t w = 0; w < sample->worker_count; w++) {
		double fill =
			share(sample->workers[w].ring.used_bytes, sample->workers[w].ring.capacity);

		fullest = fill > fullest ? fill : fullest;
	}
	return fullest;
}

/* ---- as a page ---- */

static void show_head(struct top *top)
{
	char left[64], right[64], when[RG_FORMAT_BYTES];
	unsigned columns = top->screen.columns;

	snprintf(left, sizeof(left), "riskgate %.40s",
		 top->cli->config ? top->cli->config->instance : "");
	rg_format_time(when, top->now->unix_ns);
	snprintf(right, sizeof(right), "%.19s UTC, of %.1f s%s", when, top->seconds,
		 top->screen.keys ? ", q: quit" : "");
	rg_screen_line(&top->screen, "%-*s%s", (int)(columns - strlen(right)), left, right);
}

static void show_processes(struct top *top)
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
			restarted(dataplane, &top->before->dataplane) ? " (in this interval)" : "");
	if (top->answered)
		rg_screen_line(&top->screen, "control     running, pid %s, started %s%s",
			       rg_document_text(&top->status, top->status.root, "pid"),
			       rg_format_age(since, control->epoch, top->now->unix_ns),
			       restarted(control, &top->before->control) ? " (in this interval)"
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

static void show_policy(struct top *top)
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
		rg_screen_line(&top->screen,
			       "policy      %s, revision %s, sequence %" PRIu64 ", %s old",
			       policy->bundle, policy->revision, policy->active_sequence,
			       rg_format_duration(age, age_ns(top, policy->active_since_ns)));
	if (last_error[0] && strcmp(last_error, "-") != 0)
		rg_screen_line(&top->screen, "  last error %s", last_error);
}

static void show_traffic(struct top *top)
{
	const uint64_t *counters = top->shown->counters;
	uint64_t decisions = decisions_of(counters);
	char requests[RG_FORMAT_BYTES], in[RG_FORMAT_BYTES], out[RG_FORMAT_BYTES],
		missed[RG_FORMAT_BYTES];

	rg_screen_line(
		&top->screen, "requests    %s/s; packets in %s/s, out %s/s, missed %s/s",
		rg_format_count(requests, rate(top, counters[RG_WORKER_REQUESTS])),
		rg_format_count(in, rate(top, counters[RG_WORKER_RX_PACKETS])),
		rg_format_count(out, rate(top, counters[RG_WORKER_TX_PACKETS])),
		rg_format_count(
			missed,
			rate(top, top->shown->publisher[RG_PUBLISHER_PORT_MISSED] +
					  top->shown->publisher[RG_PUBLISHER_PORT_NO_BUFFER])));
	if (!decisions)
		rg_screen_line(&top->screen, "verdicts    none");
	else
		rg_screen_line(&top->screen,
			       "verdicts    ALLOW %.1f %%, DENY %.1f %%, REVIEW %.1f %%",
			       100 * share(counters[RG_WORKER_DECISIONS_ALLOW], decisions),
			       100 * share(counters[RG_WORKER_DECISIONS_DENY], decisions),
			       100 * share(counters[RG_WORKER_DECISIONS_REVIEW], decisions));
}

static void show_histogram(struct top *top, const char *name,
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
static void show_refusals(struct top *top)
{
	char line[RG_SCREEN_COLUMNS_MAX], name[40], text[RG_FORMAT_BYTES];
	int64_t pushes = of_control(top, "policy.refused");
	const char *title = "refused";

	for (enum refusal_kind kind = REFUSAL_ANSWER; kind <= REFUSAL_MESSAGE; kind++) {
		size_t used = 0;

		for (uint32_t i = 0; i < RG_WORKER_COUNTERS && used < sizeof(line); i++) {
			uint64_t count = top->shown->counters[i];

			if (refusal_kind(i) != kind || !count)
				continue;
			used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s %s/s",
						 used ? ", " : "",
						 refusal_name(i, name, sizeof(name)),
						 rg_format_count(text, rate(top, count)));
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

static void show_records(struct top *top)
{
	char written[RG_FORMAT_BYTES], behind[RG_FORMAT_BYTES], lag[RG_FORMAT_BYTES],
		lost[RG_FORMAT_BYTES];
	uint64_t records_lost = top->shown->counters[RG_WORKER_RECORDS_LOST];
	char line[RG_SCREEN_COLUMNS_MAX];
	size_t used = (size_t)snprintf(
		line, sizeof(line), "records     %s/s, ring %.1f %% full",
		rg_format_count(written, rate(top, top->shown->counters[RG_WORKER_RECORDS])),
		100 * ring_fill(top->now));

	if (records_lost)
		used += (size_t)snprintf(line + used, sizeof(line) - used, ", LOST %s/s",
					 rg_format_count(lost, rate(top, records_lost)));
	if (top->answered)
		snprintf(line + used, sizeof(line) - used,
			 "; journal %s not durable, %s not in all sinks",
			 rg_format_count(behind, journal_behind(top)),
			 rg_format_count(lag, (uint64_t)of_control(top, "records.lag")));
	rg_screen_line(&top->screen, "%s", line);
}

static void show_sinks(struct top *top)
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

static void show_worker_head(struct top *top)
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

static void show_worker(struct top *top, uint32_t index)
{
	const struct rg_top_worker *worker = &top->shown->workers[index];
	char line[RG_SCREEN_COLUMNS_MAX], texts[4][RG_FORMAT_BYTES];
	uint64_t ticks = ticks_of(worker);
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
				rate(top, worker->counters[RG_WORKER_REQUESTS]),
				percentile_text(&worker->latency, 50, texts[0]),
				percentile_text(&worker->latency, 99, texts[1]),
				percentile_text(&worker->latency, 99.9, texts[2]));
	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %*.0f",
					 tick_columns[i].width,
					 100 * share(worker->progress.ticks[i], ticks));
	used += (size_t)snprintf(line + used, sizeof(line) - used, " %4.0f",
				 100 * share(worker->ring.used_bytes, worker->ring.capacity));
	if (top->screen.columns >= WIDE_COLUMNS)
		snprintf(line + used, sizeof(line) - used, " %9s %11s  %.*s",
			 rg_format_duration(texts[0], longest_loop_ns(worker)),
			 rg_format_count(texts[1], rate(top, worker->progress.loops)),
			 RG_WORKER_QUEUES_BYTES, worker->identity.queues);
	rg_screen_line(&top->screen, "%s", line);
}

static void show_workers(struct top *top)
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
static void show_errors(struct top *top)
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
			if (status || age_ns(top, entry.last_ns) > 3600 * NS_PER_S)
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

static void show_page(struct top *top)
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

/* ---- as JSON ---- */

static void write_process(struct rg_json_writer *json, const char *name,
			  const struct rg_top_process *now, const struct rg_top_process *before)
{
	rg_json_member_object(json, name);
	rg_json_member_bool(json, "joined", now->joined);
	rg_json_member_bool(json, "running", now->running);
	if (now->joined) {
		rg_json_member_uint(json, "pid", now->pid);
		rg_json_member_uint(json, "epoch", now->epoch);
		rg_json_member_uint(json, "heartbeat_ns", now->heartbeat_ns);
	}
	rg_json_member_bool(json, "restarted", restarted(now, before));
}

static void write_double(struct rg_json_writer *json, const char *key, double value)
{
	rg_json_write_key(json, key);
	rg_json_write_double(json, value);
}

static void write_histogram(struct rg_json_writer *json, const char *name,
			    const struct rg_histogram_snapshot *histogram)
{
	rg_json_member_object(json, name);
	rg_json_member_uint(json, "count", histogram->count);
	rg_json_member_uint(json, "p50", rg_histogram_percentile(histogram, 50));
	rg_json_member_uint(json, "p99", rg_histogram_percentile(histogram, 99));
	rg_json_member_uint(json, "p999", rg_histogram_percentile(histogram, 99.9));
	rg_json_member_uint(json, "max", rg_histogram_percentile(histogram, 100));
	rg_json_write_object_end(json);
}

static void write_policy(const struct top *top, struct rg_json_writer *json)
{
	const struct rg_publisher_status *policy = &top->now->policy;

	rg_json_member_object(json, "policy");
	rg_json_member_uint(json, "sequence", policy->active_sequence);
	if (policy->active_sequence) {
		rg_json_member_text(json, "bundle", policy->bundle);
		rg_json_member_text(json, "revision", policy->revision);
		rg_json_member_uint(json, "age_ns", age_ns(top, policy->active_since_ns));
	}
	rg_json_write_object_end(json);
}

static void write_traffic(const struct top *top, struct rg_json_writer *json)
{
	const uint64_t *counters = top->shown->counters;
	uint64_t decisions = decisions_of(counters);

	rg_json_member_uint(json, "requests", counters[RG_WORKER_REQUESTS]);
	rg_json_member_uint(json, "requests_per_s", rate(top, counters[RG_WORKER_REQUESTS]));
	rg_json_member_uint(json, "rx_packets_per_s", rate(top, counters[RG_WORKER_RX_PACKETS]));
	rg_json_member_uint(json, "tx_packets_per_s", rate(top, counters[RG_WORKER_TX_PACKETS]));
	rg_json_member_uint(json, "rx_missed_per_s",
			    rate(top, top->shown->publisher[RG_PUBLISHER_PORT_MISSED] +
					      top->shown->publisher[RG_PUBLISHER_PORT_NO_BUFFER]));
	rg_json_member_object(json, "verdict_shares");
	write_double(json, "allow", share(counters[RG_WORKER_DECISIONS_ALLOW], decisions));
	write_double(json, "deny", share(counters[RG_WORKER_DECISIONS_DENY], decisions));
	write_double(json, "review", share(counters[RG_WORKER_DECISIONS_REVIEW], decisions));
	rg_json_write_object_end(json);
	write_histogram(json, "latency_ns", &top->shown->latency);
	write_histogram(json, "evaluate_ns", &top->shown->evaluate);
}

static void write_refusals(struct top *top, struct rg_json_writer *json)
{
	static const char *const members[] = {[REFUSAL_ANSWER] = "answers",
					      [REFUSAL_PACKET] = "packets",
					      [REFUSAL_MESSAGE] = "messages"};
	char name[40];

	rg_json_member_object(json, "refused");
	for (uint32_t kind = REFUSAL_ANSWER; kind <= REFUSAL_MESSAGE; kind++) {
		rg_json_member_object(json, members[kind]);
		for (uint32_t i = 0; i < RG_WORKER_COUNTERS; i++)
			if (refusal_kind(i) == kind && top->shown->counters[i])
				rg_json_member_uint(json, refusal_name(i, name, sizeof(name)),
						    top->shown->counters[i]);
		rg_json_write_object_end(json);
	}
	if (top->answered)
		rg_json_member_uint(json, "pushes", (uint64_t)of_control(top, "policy.refused"));
	rg_json_write_object_end(json);
}

static void write_ring(struct rg_json_writer *json, const struct rg_ring_state *ring)
{
	rg_json_member_object(json, "ring");
	rg_json_member_uint(json, "capacity_bytes", ring->capacity);
	rg_json_member_uint(json, "used_bytes", ring->used_bytes);
	write_double(json, "fill", share(ring->used_bytes, ring->capacity));
	rg_json_member_bool(json, "adopted", ring->adopted);
	rg_json_write_object_end(json);
}

static void write_worker(const struct top *top, uint32_t index, struct rg_json_writer *json)
{
	const struct rg_top_worker *worker = &top->shown->workers[index];
	uint64_t ticks = ticks_of(worker);

	rg_json_write_object_begin(json);
	rg_json_member_uint(json, "worker", index);
	rg_json_member_text(json, "state", rg_worker_state_name(worker->state));
	rg_json_write_key(json, "cpu");
	rg_json_write_int(json, (int64_t)worker->identity.cpu);
	rg_json_member_uint(json, "heartbeat_ns", worker->progress.heartbeat_ns);
	rg_json_member_uint(json, "policy_sequence", worker->progress.policy_sequence);
	rg_json_member_uint(json, "requests", worker->counters[RG_WORKER_REQUESTS]);
	rg_json_member_uint(json, "requests_per_s",
			    rate(top, worker->counters[RG_WORKER_REQUESTS]));
	rg_json_member_uint(json, "loops_per_s", rate(top, worker->progress.loops));
	rg_json_member_uint(json, "longest_loop_ns", longest_loop_ns(worker));
	write_histogram(json, "latency_ns", &worker->latency);
	rg_json_member_object(json, "time_shares");
	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		write_double(json, rg_worker_tick_name(i), share(worker->progress.ticks[i], ticks));
	rg_json_write_object_end(json);
	write_ring(json, &worker->ring);
	rg_json_write_object_end(json);
}

static void write_records(struct top *top, struct rg_json_writer *json)
{
	rg_json_member_object(json, "records");
	rg_json_member_uint(json, "written_per_s",
			    rate(top, top->shown->counters[RG_WORKER_RECORDS]));
	rg_json_member_uint(json, "lost", top->shown->counters[RG_WORKER_RECORDS_LOST]);
	write_double(json, "ring_fill", ring_fill(top->now));
	if (top->answered) {
		rg_json_member_uint(json, "journaled",
				    (uint64_t)of_control(top, "records.journaled"));
		rg_json_member_uint(json, "not_durable_frames", journal_behind(top));
		rg_json_member_uint(json, "staged_bytes",
				    (uint64_t)of_control(top, "journal.staged_bytes"));
		rg_json_member_uint(json, "lag", (uint64_t)of_control(top, "records.lag"));
	}
	rg_json_write_object_end(json);
}

static void write_sinks(struct top *top, struct rg_json_writer *json)
{
	static const char *const members[] = {"name", "state", "lag", "lag_s", "records_per_s"};

	rg_json_member_array(json, "sinks");
	for (uint32_t i = 0;
	     top->answered && i < rg_document_count(&top->status, top->status.root, "sinks"); i++) {
		struct rg_value sink =
			rg_document_element(&top->status, top->status.root, "sinks", i);

		rg_json_write_object_begin(json);
		for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
			const char *text = rg_document_text(&top->status, sink, members[m]);

			if (m < 2)
				rg_json_member_text(json, members[m], text);
			else if (strcmp(text, "-") != 0) {
				rg_json_write_key(json, members[m]);
				rg_json_write_raw(json, text, strlen(text));
			}
		}
		rg_json_write_object_end(json);
	}
	rg_json_write_array_end(json);
}

static int print_object(struct top *top)
{
	struct rg_json_writer json;

	rg_json_writer_init(&json, false);
	rg_json_write_object_begin(&json);
	rg_json_member_bool(&json, "ok", true);
	rg_json_member_uint(&json, "time_ns", top->now->unix_ns);
	rg_json_member_uint(&json, "interval_ns", (uint64_t)(top->seconds * 1e9));
	write_process(&json, "dataplane", &top->now->dataplane, &top->before->dataplane);
	if (!top->now->dataplane.joined)
		rg_json_member_text(&json, "absence",
				    top->region
					    ? rg_region_absence(top->region, RG_REGION_DATAPLANE)
					    : top->absence.text);
	rg_json_write_object_end(&json);
	write_process(&json, "control", &top->now->control, &top->before->control);
	rg_json_member_bool(&json, "answers", top->answered);
	if (!top->answered)
		rg_json_member_text(&json, "silence", top->silence.text);
	rg_json_write_object_end(&json);
	write_policy(top, &json);
	write_traffic(top, &json);
	write_refusals(top, &json);
	write_records(top, &json);
	write_sinks(top, &json);
	rg_json_member_array(&json, "workers");
	for (uint32_t w = 0; w < top->shown->worker_count; w++)
		write_worker(top, w, &json);
	rg_json_write_array_end(&json);
	rg_json_write_object_end(&json);
	return rg_cli_print_json(top->cli, &json);
}

/* ---- turns ---- */

static int show(struct top *top, uint64_t turn)
{
	int rc = RG_OK;

	if (top->cli->json) {
		rc = print_object(top);
	} else {
		if (turn && !top->screen.terminal)
			puts("");
		show_page(top);
	}
	if (fflush(stdout) || ferror(stdout))
		return rg_error_set(&top->cli->error, RG_EIO, "cannot write to standard output");
	return rc;
}

/* Who looks at a terminal wants to see something soon. */
#define FIRST_INTERVAL_MS 200

static int show_intervals(struct top *top, uint64_t interval_ms, uint64_t count)
{
	uint64_t next_ns = rg_clock_monotonic_ns();
	bool soon = top->screen.terminal && interval_ms > FIRST_INTERVAL_MS;
	int rc = RG_OK;

	look_for_region(top);
	rg_top_sample_read(top->now, top->region);
	for (uint64_t turn = 0; !rc && (!count || turn < count); turn++) {
		enum rg_screen_event event;
		uint64_t now_ns;

		next_ns += (soon && !turn ? FIRST_INTERVAL_MS : interval_ms) * NS_PER_MS;
		do {
			now_ns = rg_clock_monotonic_ns();
			event = rg_screen_wait(&top->screen,
					       next_ns > now_ns ? next_ns - now_ns : 0);
			if (event == RG_SCREEN_RESIZED && turn)
				show_page(top);
		} while (event == RG_SCREEN_RESIZED);
		if (event == RG_SCREEN_QUIT)
			break;
		now_ns = rg_clock_monotonic_ns();
		if (now_ns > next_ns + interval_ms * NS_PER_MS)
			next_ns =
				now_ns; /* stopped, or far too slow: intervals are not made up for */
		take_interval(top, interval_ms);
		rc = show(top, turn);
	}
	return rc;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	const struct rg_option_value *given = invocation->options;
	struct top top = {.cli = cli, .given = given[OPTION_DIRECTORY].text};
	struct rg_top_sample *samples = calloc(3, sizeof(*samples));
	bool once = given[OPTION_ONCE].text;
	int rc = rg_cli_config(cli);

	if (!rc && !samples)
		rc = rg_error_set(&cli->error, RG_ENOMEM, "no memory");
	if (!rc)
		rc = rg_screen_begin(&top.screen, once || cli->json, &cli->error);
	if (rc) {
		free(samples);
		return rc;
	}
	top.before = &samples[0];
	top.now = &samples[1];
	top.shown = &samples[2];
	rc = show_intervals(&top, given[OPTION_INTERVAL].number,
			    once ? 1 : given[OPTION_COUNT].number);
	rg_screen_end(&top.screen);
	forget_status(&top);
	rg_region_close(top.region);
	free(samples);
	return rc;
}

const struct rg_command rg_command_top = {
	.name = "top",
	.arguments = "",
	.summary = "Watch workers, rates, latencies and lags",
	.details =
		"Drawn in place on a terminal, printed block by block elsewhere; with --json one\n"
		"object a line. Figures are those of the last interval: rates, verdicts, what was\n"
		"refused and why, latency from the receive burst to the hand-over of the answer.\n"
		"Of each worker, the share of its time in each state, and how full its ring is.\n"
		"The data plane's figures come from its region, the journal's and the sinks' from\n"
		"riskgate-control. Who is away is said, and looked for again. Keys: q quits.",
	.examples = "riskctl top\n"
		    "riskctl top --interval 200\n"
		    "riskctl top --once\n"
		    "riskctl --json top --count 60 > minute.jsonl",
	.options = options,
	.run = run,
};

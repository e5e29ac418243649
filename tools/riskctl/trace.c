/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl trace: what the probes of riskgate-probe see, from their pinned maps (bpf/attach.h).
 *
 * Each command shows the sums since the probe was first attached, or, with --every, what each
 * interval added. Nothing is attached here and nothing is changed; any number may look.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_member.h"
#include "bpf/jitter.h"
#include "bpf/journal.h"
#include "bpf/outliers.h"
#include "bpf/pinned.h"
#include "bpf/publish.h"
#include "bpf/stages.h"
#include "shm/region.h"
#include "tools/riskctl/cli.h"
#include "tools/riskctl/clock.h"
#include "tools/riskctl/figures.h"
#include "tools/riskctl/format.h"

enum { OPTION_EVERY, OPTION_COUNT, OPTION_LAST, OPTION_BPFFS };
static const struct rg_option options[] = {
	[OPTION_EVERY] = {"every", 'e', RG_OPTION_NUMBER, "SECONDS", 0, 86400, "0",
			  "show what each interval added; 0: once, all since\n"
			  "the probe was first attached"},
	[OPTION_COUNT] = {"count", 'n', RG_OPTION_NUMBER, "N", 0, UINT32_MAX, "0",
			  "end after so many intervals; 0: never"},
	[OPTION_LAST] = {"last", 'l', RG_OPTION_NUMBER, "N", 0, 1024, "20",
			 "of what is kept one by one, the last N"},
	[OPTION_BPFFS] = {"bpffs", 'b', RG_OPTION_TEXT, "FOLDER", 0, 0, RG_PINNED_ROOT,
			  "where the BPF file system is"},
	{NULL},
};

#define MAPS_MAX 2 /* of a probe, whose differences are shown */

struct trace {
	struct rg_cli *cli;
	const struct view *view;
	const char *root, *instance;
	uint32_t last;
	uint64_t interval_ns;	     /* 0: all since it was attached */
	uint64_t unix_minus_mono_ns; /* a moment of CLOCK_MONOTONIC as unix time */
	struct rg_region *region;    /* NULL: there is none */
	uint64_t active_sequence;
	char active_revision[RG_PUBLISHER_LABEL_BYTES];
	struct rg_figures sums[MAPS_MAX]; /* of this turn, or what it added */
	uint64_t shown_number;		  /* of what is kept one by one: up to here it was shown */
	struct rg_json_writer *json;	  /* NULL: in words */
};

/* What a probe's maps are, and how they are shown. */
struct view {
	const char *probe;
	struct map {
		const char *name;
		uint32_t key_bytes, value_bytes;
		uint64_t maxima;
	} maps[MAPS_MAX]; /* the last one is "counts" */
	void (*show)(struct trace *trace);
	/* Show what is kept one by one; NULL: nothing is. */
	int (*show_recent)(struct trace *trace);
};

static const char *const stage_names[RG_STAGE_COUNT] = {"rx",	  "decode", "feature", "evaluate",
							"record", "tx",	    "total"};
static const char *const kind_names[RG_TAKEOVER_KIND_COUNT] = {
	"unknown", "thread", "irq", "softirq", "interrupt", "tlb_flush", "page_fault"};
static const char *const step_names[RG_PUBLISH_STEP_COUNT] = {
	"taken",     "loaded",	 "compiled", "checked", "written", "announced", "copying",
	"verifying", "swapping", "grace",    "stuck",	"active",  "settled",	"refused"};
static const char *const op_names[RG_IO_OP_COUNT] = {"write", "sync", "batch", "commit"};

/* A name that came from the kernel; `names` has `count` of them. */
static const char *name_in(const char *const *names, uint32_t count, uint32_t which)
{
	return which < count ? names[which] : "unknown";
}

static void map_path(const struct trace *trace, const char *map, char *path, size_t bytes)
{
	rg_pinned_path(path, bytes, trace->root, trace->instance, trace->view->probe, map);
}

/* Unix time of a moment of CLOCK_MONOTONIC. */
static uint64_t unix_of(const struct trace *trace, uint64_t monotonic_ns)
{
	return monotonic_ns + trace->unix_minus_mono_ns;
}

/* " (payments-2)" for the policy that is in use now, else "". */
static const char *revision_of(const struct trace *trace, uint64_t sequence, char *out,
			       size_t bytes)
{
	out[0] = '\0';
	if (sequence && sequence == trace->active_sequence)
		snprintf(out, bytes, " (%s)", trace->active_revision);
	return out;
}

/* ---- histograms: stages and journal ---- */

static const double percentiles[] = {50, 90, 99, 99.9};
static const char *const percentile_names[] = {"p50", "p90", "p99", "p999"};
#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static void print_histogram_head(const char *first)
{
	printf("%-20s %10s %8s %8s %8s %8s %8s\n", first, "count", "mean", "p50", "p99", "p99.9",
	       "max");
}

static void print_histogram(const char *name, const struct rg_probe_histogram *histogram)
{
	static const double shown[] = {50, 99, 99.9};
	char text[RG_FORMAT_BYTES];

	printf("%-20s %10s", name, rg_format_count(text, histogram->count));
	printf(" %8s", rg_format_duration(
			       text, histogram->count ? histogram->sum_ns / histogram->count : 0));
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		printf(" %8s",
		       rg_format_duration(text, rg_figures_percentile(histogram, shown[i])));
	printf(" %8s\n", rg_format_duration(text, histogram->max_ns));
}

static void write_histogram(struct rg_json_writer *json, const struct rg_probe_histogram *histogram)
{
	rg_json_member_uint(json, "count", histogram->count);
	rg_json_member_uint(json, "sum_ns", histogram->sum_ns);
	for (size_t i = 0; i < PERCENTILES; i++)
		rg_json_member_uint(json, percentile_names[i],
				    rg_figures_percentile(histogram, percentiles[i]));
	rg_json_member_uint(json, "max", histogram->max_ns);
}

/* ---- stages ---- */

static const struct rg_probe_histogram *find_stage(const struct rg_figures *figures,
						   uint64_t sequence, uint32_t stage)
{
	for (uint32_t i = 0; i < figures->count; i++) {
		const struct rg_stages_key *key = rg_figures_key(figures, i);

		if (key->policy_sequence == sequence && (uint32_t)key->stage == stage)
			return rg_figures_value(figures, i);
	}
	return NULL;
}

static void show_policy_stages(struct trace *trace, uint64_t sequence)
{
	char revision[RG_PUBLISHER_LABEL_BYTES + 4];

	if (!trace->json) {
		printf("policy %" PRIu64 "%s\n", sequence,
		       revision_of(trace, sequence, revision, sizeof(revision)));
		print_histogram_head("  a burst's");
	}
	for (uint32_t stage = 0; stage < RG_STAGE_COUNT; stage++) {
		const struct rg_probe_histogram *histogram =
			find_stage(&trace->sums[0], sequence, stage);
		char name[24];

		if (!histogram || !histogram->count)
			continue;
		snprintf(name, sizeof(name), "  %s", stage_names[stage]);
		if (!trace->json) {
			print_histogram(name, histogram);
			continue;
		}
		rg_json_write_object_begin(trace->json);
		rg_json_member_uint(trace->json, "policy_sequence", sequence);
		rg_json_member_text(trace->json, "stage", stage_names[stage]);
		write_histogram(trace->json, histogram);
		rg_json_write_object_end(trace->json);
	}
}

/* The least sequence above `above` that has bursts; 0 for above = UINT64_MAX: the least of all. */
static bool next_policy(const struct rg_figures *figures, bool first, uint64_t above,
			uint64_t *next)
{
	bool found = false;

	for (uint32_t i = 0; i < figures->count; i++) {
		const struct rg_stages_key *key = rg_figures_key(figures, i);
		const struct rg_probe_histogram *histogram = rg_figures_value(figures, i);

		if (key->stage != RG_STAGE_TOTAL || !histogram->count ||
		    (!first && key->policy_sequence <= above) ||
		    (found && key->policy_sequence >= *next))
			continue;
		*next = key->policy_sequence;
		found = true;
	}
	return found;
}

static void show_stages(struct trace *trace)
{
	const struct rg_stages_counts *counts =
		trace->sums[1].count ? rg_figures_value(&trace->sums[1], 0) : NULL;
	char bursts[RG_FORMAT_BYTES], requests[RG_FORMAT_BYTES], lost[RG_FORMAT_BYTES];
	uint64_t sequence = 0;

	if (trace->json)
		rg_json_member_array(trace->json, "stages");
	for (bool first = true; next_policy(&trace->sums[0], first, sequence, &sequence);
	     first = false)
		show_policy_stages(trace, sequence);
	if (trace->json)
		rg_json_write_array_end(trace->json);
	if (!counts)
		return;
	if (!trace->json) {
		printf("bursts %s, requests %s, lost bursts %s\n",
		       rg_format_count(bursts, counts->bursts),
		       rg_format_count(requests, counts->requests),
		       rg_format_count(lost, counts->lost));
		return;
	}
	rg_json_member_uint(trace->json, "batches", counts->batches);
	rg_json_member_uint(trace->json, "bursts", counts->bursts);
	rg_json_member_uint(trace->json, "packets", counts->packets);
	rg_json_member_uint(trace->json, "requests", counts->requests);
	rg_json_member_uint(trace->json, "lost", counts->lost);
}

/* ---- takeovers: jitter and outliers ---- */

static void write_takeover(const struct trace *trace, const struct rg_takeover *takeover)
{
	rg_json_write_object_begin(trace->json);
	rg_json_member_text(trace->json, "kind",
			    name_in(kind_names, RG_TAKEOVER_KIND_COUNT, takeover->kind));
	rg_json_write_key(trace->json, "name");
	rg_json_write_string_n(trace->json, takeover->name,
			       strnlen(takeover->name, sizeof(takeover->name)));
	rg_json_member_uint(trace->json, "cpu", takeover->cpu);
	rg_json_member_uint(trace->json, "began_ns", unix_of(trace, takeover->began_ns));
	rg_json_member_uint(trace->json, "time_ns", takeover->ended_ns - takeover->began_ns);
	rg_json_member_uint(trace->json, "worker_lost_ns", takeover->worker_lost_ns);
	rg_json_write_object_end(trace->json);
}

static int by_loss(const void *a, const void *b)
{
	const struct rg_culprit *first = *(const struct rg_culprit *const *)a,
				*second = *(const struct rg_culprit *const *)b;

	if (first->worker_lost_ns != second->worker_lost_ns)
		return first->worker_lost_ns < second->worker_lost_ns ? 1 : -1;
	return first->count < second->count ? 1 : first->count > second->count ? -1 : 0;
}

static void show_culprit(struct trace *trace, const struct rg_culprit_key *key,
			 const struct rg_culprit *culprit)
{
	char count[RG_FORMAT_BYTES], time[RG_FORMAT_BYTES], lost[RG_FORMAT_BYTES],
		longest[RG_FORMAT_BYTES];
	const char *kind = name_in(kind_names, RG_TAKEOVER_KIND_COUNT, key->kind);

	if (!trace->json) {
		printf("%-10s %-16.16s %12s %10s %12s %12s\n", kind, key->name,
		       rg_format_count(count, culprit->count),
		       rg_format_duration(time, culprit->time_ns),
		       rg_format_duration(lost, culprit->worker_lost_ns),
		       rg_format_duration(longest, culprit->lost_max_ns));
		return;
	}
	rg_json_write_object_begin(trace->json);
	rg_json_member_text(trace->json, "kind", kind);
	rg_json_write_key(trace->json, "name");
	rg_json_write_string_n(trace->json, key->name, strnlen(key->name, sizeof(key->name)));
	rg_json_member_uint(trace->json, "count", culprit->count);
	rg_json_member_uint(trace->json, "time_ns", culprit->time_ns);
	rg_json_member_uint(trace->json, "max_ns", culprit->max_ns);
	rg_json_member_uint(trace->json, "worker_lost_ns", culprit->worker_lost_ns);
	rg_json_member_uint(trace->json, "worker_lost_max_ns", culprit->lost_max_ns);
	rg_json_write_object_end(trace->json);
}

static void show_jitter(struct trace *trace)
{
	const struct rg_figures *sums = &trace->sums[0];
	const struct rg_culprit **order = calloc(sums->count + 1, sizeof(*order));
	uint32_t count = 0;

	for (uint32_t i = 0; order && i < sums->count; i++) {
		const struct rg_culprit *culprit = rg_figures_value(sums, i);

		if (culprit->count)
			order[count++] = culprit;
	}
	if (order)
		qsort(order, count, sizeof(*order), by_loss);
	if (trace->json)
		rg_json_member_array(trace->json, "culprits");
	else
		printf("%-10s %-16s %12s %10s %12s %12s\n", "kind", "name", "count", "had core",
		       "worker lost", "longest loss");
	for (uint32_t i = 0; i < count; i++) {
		size_t at = (size_t)((const uint8_t *)order[i] - (const uint8_t *)sums->values) /
			    sums->value_bytes;

		show_culprit(trace, rg_figures_key(sums, (uint32_t)at), order[i]);
	}
	if (trace->json)
		rg_json_write_array_end(trace->json);
	free(order);
}

/* ---- what is kept one by one ---- */

/* Elements of map "recent" with numbers above shown_number, the last `last` of them, in order. Each
 * begins with its number. The number of them, or a negative status. */
static int read_recent(struct trace *trace, uint32_t value_bytes, struct rg_figures *figures,
		       const void ***order)
{
	char path[RG_REGION_PATH_BYTES];
	uint64_t newest = 0;
	uint32_t count = 0, slots;
	int rc;

	map_path(trace, "recent", path, sizeof(path));
	rc = rg_figures_read(path, sizeof(uint32_t), value_bytes, 0, figures, &trace->cli->error);
	if (rc)
		return rc;
	slots = figures->count;
	*order = calloc(slots + 1, sizeof(**order));
	if (!*order) {
		rg_figures_free(figures);
		return rg_error_set(&trace->cli->error, RG_ENOMEM, "no memory");
	}
	for (uint32_t i = 0; i < slots; i++) {
		uint64_t number = *(const uint64_t *)rg_figures_value(figures, i);

		newest = number > newest ? number : newest;
	}
	for (uint64_t number = newest > trace->last ? newest - trace->last + 1 : 1;
	     slots && number <= newest; number++) {
		const uint64_t *element =
			rg_figures_value(figures, (uint32_t)((number - 1) % slots));

		if (*element == number && number > trace->shown_number)
			(*order)[count++] = element;
	}
	trace->shown_number = newest > trace->shown_number ? newest : trace->shown_number;
	return (int)count;
}

static void show_recent_takeover(struct trace *trace, const struct rg_recent_takeover *recent)
{
	const struct rg_takeover *takeover = &recent->takeover;
	char when[RG_FORMAT_BYTES], lost[RG_FORMAT_BYTES];

	if (trace->json) {
		write_takeover(trace, takeover);
		return;
	}
	printf("%s  cpu %u  %9s  %s %.16s\n",
	       rg_format_time(when, unix_of(trace, takeover->began_ns)), takeover->cpu,
	       rg_format_duration(lost, takeover->worker_lost_ns),
	       name_in(kind_names, RG_TAKEOVER_KIND_COUNT, takeover->kind), takeover->name);
}

static int show_recent_takeovers(struct trace *trace)
{
	struct rg_figures figures;
	const void **order;
	int count = read_recent(trace, sizeof(struct rg_recent_takeover), &figures, &order);

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++)
		show_recent_takeover(trace, order[i]);
	free(order);
	rg_figures_free(&figures);
	return RG_OK;
}

/* ---- outliers ---- */

static void write_outlier(struct trace *trace, const struct rg_outlier *outlier, uint32_t takeovers)
{
	const struct rg_probe_burst *burst = &outlier->burst;

	rg_json_write_object_begin(trace->json);
	rg_json_member_uint(trace->json, "number", outlier->number);
	rg_json_member_uint(trace->json, "receive_ns", burst->receive_ns);
	rg_json_member_uint(trace->json, "began_ns", unix_of(trace, outlier->began_ns));
	rg_json_member_uint(trace->json, "total_ns", burst->total_ns);
	rg_json_member_object(trace->json, "stages_ns");
	for (uint32_t stage = 0; stage < RG_STAGE_TOTAL; stage++)
		rg_json_member_uint(trace->json, stage_names[stage], burst->stage_ns[stage]);
	rg_json_write_object_end(trace->json);
	rg_json_member_uint(trace->json, "worker", outlier->worker);
	rg_json_member_uint(trace->json, "cpu", outlier->cpu);
	rg_json_member_uint(trace->json, "policy_sequence", outlier->policy_sequence);
	rg_json_member_uint(trace->json, "request_id", burst->request_id);
	rg_json_member_object(trace->json, "slowest");
	rg_json_member_uint(trace->json, "request_id", burst->slowest.request_id);
	rg_json_member_uint(trace->json, "evaluate_ns", burst->slowest.evaluate_ns);
	rg_json_member_uint(trace->json, "together", burst->slowest.together);
	rg_json_write_object_end(trace->json);
	rg_json_member_uint(trace->json, "requests", burst->requests);
	rg_json_member_uint(trace->json, "packets", burst->packets);
	rg_json_member_uint(trace->json, "worker_lost_ns", outlier->worker_lost_ns);
	rg_json_member_uint(trace->json, "takeover_count", outlier->takeover_count);
	rg_json_member_uint(trace->json, "instant_count", outlier->instant_count);
	rg_json_member_bool(trace->json, "takeovers_forgotten", outlier->forgotten);
	rg_json_member_array(trace->json, "takeovers");
	for (uint32_t i = 0; i < takeovers; i++)
		write_takeover(trace, &outlier->takeovers[i]);
	rg_json_write_array_end(trace->json);
	rg_json_write_object_end(trace->json);
}

/* "rx 1.2 us, evaluate 3.4 us": stages that took time. */
static void stages_in_words(const struct rg_probe_burst *burst, char *line, size_t bytes)
{
	char text[RG_FORMAT_BYTES];
	size_t used = 0;

	line[0] = '\0';
	for (uint32_t stage = 0; stage < RG_STAGE_TOTAL && used < bytes; stage++)
		if (burst->stage_ns[stage])
			used += (size_t)snprintf(line + used, bytes - used, "%s%s %s",
						 used ? ", " : "", stage_names[stage],
						 rg_format_duration(text, burst->stage_ns[stage]));
}

/* "the core was taken for 125.3 us: thread cc1 90.9 us, interrupt local_timer 34.4 us" */
static void takeovers_in_words(const struct rg_outlier *outlier, uint32_t takeovers, char *line,
			       size_t bytes)
{
	char text[RG_FORMAT_BYTES];
	size_t used = (size_t)snprintf(line, bytes, "the core was taken for %s",
				       rg_format_duration(text, outlier->worker_lost_ns));

	for (uint32_t i = 0; i < takeovers && used < bytes; i++) {
		const struct rg_takeover *takeover = &outlier->takeovers[i];

		used += (size_t)snprintf(
			line + used, bytes - used, "%s %s %.16s %s", i ? "," : ":",
			name_in(kind_names, RG_TAKEOVER_KIND_COUNT, takeover->kind), takeover->name,
			rg_format_duration(text, takeover->worker_lost_ns));
	}
	if (outlier->takeover_count > takeovers && used < bytes)
		used += (size_t)snprintf(line + used, bytes - used, ", and %u more",
					 outlier->takeover_count - takeovers);
	if (outlier->instant_count && used < bytes)
		used += (size_t)snprintf(line + used, bytes - used,
					 "; %u page faults and TLB shoot-downs",
					 outlier->instant_count);
	if (outlier->forgotten && used < bytes)
		snprintf(line + used, bytes - used, "; what was before those is forgotten");
}

/* Which request it is, and of a burst of several which one was the slowest. */
static void print_requests(const struct rg_probe_burst *burst)
{
	const struct rg_probe_slowest *slowest = &burst->slowest;
	char line[256], text[RG_FORMAT_BYTES];
	size_t used;

	if (burst->requests < 2)
		return;
	used = (size_t)snprintf(line, sizeof(line),
				"it is the first of %u, all with this receive time in the journal",
				burst->requests);
	if (slowest->together)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 "; slowest to evaluate: request %" PRIu64,
					 slowest->request_id);
	if (slowest->together > 1)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 " and %u others together", slowest->together - 1);
	if (slowest->together)
		snprintf(line + used, sizeof(line) - used, ", %s",
			 rg_format_duration(text, slowest->evaluate_ns));
	fputs("    ", stdout);
	rg_format_print_broken(line, 4);
}

static void print_outlier(struct trace *trace, const struct rg_outlier *outlier, uint32_t takeovers)
{
	char revision[RG_PUBLISHER_LABEL_BYTES + 4], when[RG_FORMAT_BYTES], text[RG_FORMAT_BYTES],
		line[1024];
	const struct rg_probe_burst *burst = &outlier->burst;

	printf("%s  %s, worker %u on CPU %u\n", rg_format_time(when, burst->receive_ns),
	       rg_format_duration(text, burst->total_ns), outlier->worker, outlier->cpu);
	printf("    request %" PRIu64 ", policy %" PRIu64 "%s\n", burst->request_id,
	       outlier->policy_sequence,
	       revision_of(trace, outlier->policy_sequence, revision, sizeof(revision)));
	print_requests(burst);
	stages_in_words(burst, line, sizeof(line));
	fputs("    ", stdout);
	rg_format_print_broken(line, 4);
	takeovers_in_words(outlier, takeovers, line, sizeof(line));
	fputs("    ", stdout);
	rg_format_print_broken(line, 4);
}

static int show_recent_outliers(struct trace *trace)
{
	struct rg_figures figures;
	const void **order;
	int count = read_recent(trace, sizeof(struct rg_outlier), &figures, &order);

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		const struct rg_outlier *outlier = order[i];
		uint32_t takeovers = outlier->takeover_count < RG_OUTLIER_TAKEOVERS
					     ? outlier->takeover_count
					     : RG_OUTLIER_TAKEOVERS;

		if (trace->json)
			write_outlier(trace, outlier, takeovers);
		else
			print_outlier(trace, outlier, takeovers);
	}
	free(order);
	rg_figures_free(&figures);
	return RG_OK;
}

static void show_outliers(struct trace *trace)
{
	const struct rg_outliers_counts *counts =
		trace->sums[1].count ? rg_figures_value(&trace->sums[1], 0) : NULL;
	char bursts[RG_FORMAT_BYTES], slow[RG_FORMAT_BYTES], suppressed[RG_FORMAT_BYTES],
		lost[RG_FORMAT_BYTES];

	if (!counts)
		return;
	if (trace->json) {
		rg_json_member_uint(trace->json, "bursts", counts->bursts);
		rg_json_member_uint(trace->json, "slow", counts->slow);
		rg_json_member_uint(trace->json, "suppressed", counts->suppressed);
		rg_json_member_uint(trace->json, "lost", counts->lost);
		return;
	}
	printf("bursts %s, slow %s, of them over the limit and not kept %s, lost bursts %s\n",
	       rg_format_count(bursts, counts->bursts), rg_format_count(slow, counts->slow),
	       rg_format_count(suppressed, counts->suppressed),
	       rg_format_count(lost, counts->lost));
}

/* ---- publish ---- */

static int by_sequence(const void *a, const void *b)
{
	uint64_t first = (*(const struct rg_publish *const *)a)->sequence,
		 second = (*(const struct rg_publish *const *)b)->sequence;

	return first < second ? -1 : first > second;
}

static const char *side_of(uint32_t step)
{
	return step >= RG_PUBLISH_COPYING && step <= RG_PUBLISH_ACTIVE ? "data plane"
	       : step == RG_PUBLISH_REFUSED			       ? ""
								       : "control";
}

static void show_step(struct trace *trace, const struct rg_publish *publish, uint32_t step,
		      uint64_t first_ns, uint64_t before_ns)
{
	char at[RG_FORMAT_BYTES], since[RG_FORMAT_BYTES], took[RG_FORMAT_BYTES];
	uint64_t at_ns = publish->at_ns[step], duration_ns = publish->duration_ns[step];

	if (!trace->json) {
		printf("  %-10s %-10s %10s %12s", side_of(step), step_names[step],
		       rg_format_duration(at, at_ns - first_ns),
		       rg_format_duration(since, at_ns - before_ns));
		if (duration_ns)
			printf(" %10s", rg_format_duration(took, duration_ns));
		puts("");
		return;
	}
	rg_json_write_object_begin(trace->json);
	rg_json_member_text(trace->json, "step", step_names[step]);
	rg_json_member_uint(trace->json, "at_ns", unix_of(trace, at_ns));
	rg_json_member_uint(trace->json, "since_before_ns", at_ns - before_ns);
	rg_json_member_uint(trace->json, "duration_ns", duration_ns);
	rg_json_write_object_end(trace->json);
}

/* The step that was reached next after `before_ns`; RG_PUBLISH_STEP_COUNT: none. Steps of the same
 * moment are in the order of the enumeration. */
static uint32_t next_step(const struct rg_publish *publish, const bool *shown)
{
	uint32_t next = RG_PUBLISH_STEP_COUNT;

	for (uint32_t step = 0; step < RG_PUBLISH_STEP_COUNT; step++)
		if (publish->at_ns[step] && !shown[step] &&
		    (next == RG_PUBLISH_STEP_COUNT || publish->at_ns[step] < publish->at_ns[next]))
			next = step;
	return next;
}

static void show_publish(struct trace *trace, const struct rg_publish *publish)
{
	char revision[RG_PUBLISHER_LABEL_BYTES + 4], when[RG_FORMAT_BYTES];
	bool shown[RG_PUBLISH_STEP_COUNT] = {false};
	uint64_t first_ns = 0, before_ns = 0;
	uint32_t step = next_step(publish, shown);

	if (step == RG_PUBLISH_STEP_COUNT)
		return;
	first_ns = before_ns = publish->at_ns[step];
	if (trace->json) {
		rg_json_write_object_begin(trace->json);
		rg_json_member_uint(trace->json, "policy_sequence", publish->sequence);
		rg_json_member_uint(trace->json, "steps_reported", publish->count);
		rg_json_member_array(trace->json, "steps");
	} else {
		printf("policy %" PRIu64 "%s, from %s\n", publish->sequence,
		       revision_of(trace, publish->sequence, revision, sizeof(revision)),
		       rg_format_time(when, unix_of(trace, first_ns)));
		printf("  %-10s %-10s %10s %12s %10s\n", "", "step", "at", "since before", "took");
	}
	for (; step != RG_PUBLISH_STEP_COUNT; step = next_step(publish, shown)) {
		show_step(trace, publish, step, first_ns, before_ns);
		before_ns = publish->at_ns[step];
		shown[step] = true;
	}
	if (trace->json) {
		rg_json_write_array_end(trace->json);
		rg_json_write_object_end(trace->json);
	}
}

/* Those that the interval added steps to; each with all of its steps. */
static int show_recent_publishes(struct trace *trace)
{
	char path[RG_REGION_PATH_BYTES];
	const struct rg_publish **order;
	struct rg_figures figures;
	uint32_t count = 0;
	uint64_t since_ns = trace->shown_number;
	int rc;

	map_path(trace, "publishes", path, sizeof(path));
	rc = rg_figures_read(path, sizeof(uint64_t), sizeof(struct rg_publish), 0, &figures,
			     &trace->cli->error);
	if (rc)
		return rc;
	order = calloc(figures.count + 1, sizeof(*order));
	for (uint32_t i = 0; order && i < figures.count; i++) {
		const struct rg_publish *publish = rg_figures_value(&figures, i);
		uint64_t newest_ns = 0;

		for (uint32_t step = 0; step < RG_PUBLISH_STEP_COUNT; step++)
			if (publish->at_ns[step] > newest_ns)
				newest_ns = publish->at_ns[step];
		if (newest_ns > since_ns)
			order[count++] = publish;
		if (newest_ns > trace->shown_number)
			trace->shown_number = newest_ns;
	}
	if (order)
		qsort(order, count, sizeof(*order), by_sequence);
	for (uint32_t i = count > trace->last ? count - trace->last : 0; i < count; i++)
		show_publish(trace, order[i]);
	free(order);
	rg_figures_free(&figures);
	return RG_OK;
}

static void show_publish_counts(struct trace *trace)
{
	const struct rg_publish_counts *counts =
		trace->sums[1].count ? rg_figures_value(&trace->sums[1], 0) : NULL;
	char steps[RG_FORMAT_BYTES], lost[RG_FORMAT_BYTES];

	if (!counts)
		return;
	if (trace->json) {
		rg_json_member_uint(trace->json, "steps", counts->steps);
		rg_json_member_uint(trace->json, "lost", counts->lost);
		return;
	}
	printf("steps %s, lost steps %s\n", rg_format_count(steps, counts->steps),
	       rg_format_count(lost, counts->lost));
}

/* ---- journal ---- */

static void show_operation(struct trace *trace, const struct rg_operation_key *key,
			   const struct rg_operation *operation)
{
	const char *op = name_in(op_names, RG_IO_OP_COUNT, key->op);
	char name[2 * RG_IO_NAME_BYTES];

	if (!trace->json) {
		snprintf(name, sizeof(name), "%.*s %s", RG_IO_NAME_BYTES, key->name, op);
		print_histogram(name, &operation->time);
		return;
	}
	rg_json_write_object_begin(trace->json);
	rg_json_write_key(trace->json, "name");
	rg_json_write_string_n(trace->json, key->name, strnlen(key->name, sizeof(key->name)));
	rg_json_member_text(trace->json, "operation", op);
	rg_json_member_uint(trace->json, key->op == RG_IO_WRITE ? "bytes" : "records",
			    operation->amount);
	rg_json_member_uint(trace->json, "failed", operation->failed);
	write_histogram(trace->json, &operation->time);
	rg_json_write_object_end(trace->json);
}

static void show_journal(struct trace *trace)
{
	const struct rg_journal_counts *counts =
		trace->sums[1].count ? rg_figures_value(&trace->sums[1], 0) : NULL;

	if (trace->json)
		rg_json_member_array(trace->json, "operations");
	else
		print_histogram_head("operation");
	for (uint32_t i = 0; i < trace->sums[0].count; i++) {
		const struct rg_operation *operation = rg_figures_value(&trace->sums[0], i);

		if (operation->time.count)
			show_operation(trace, rg_figures_key(&trace->sums[0], i), operation);
	}
	if (trace->json)
		rg_json_write_array_end(trace->json);
	if (trace->json && counts)
		rg_json_member_uint(trace->json, "lost", counts->lost);
}

static int show_recent_operations(struct trace *trace)
{
	struct rg_figures figures;
	const void **order;
	int count = read_recent(trace, sizeof(struct rg_recent_operation), &figures, &order);

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		const struct rg_recent_operation *recent = order[i];
		const struct rg_probe_io *io = &recent->io;
		const char *op = name_in(op_names, RG_IO_OP_COUNT, io->op);
		char when[RG_FORMAT_BYTES], took[RG_FORMAT_BYTES];

		if (!trace->json) {
			printf("%s  %.16s %s took %s%s\n",
			       rg_format_time(when,
					      unix_of(trace, recent->ended_ns - io->duration_ns)),
			       io->name, op, rg_format_duration(took, io->duration_ns),
			       io->failed ? ", failed" : "");
			continue;
		}
		rg_json_write_object_begin(trace->json);
		rg_json_write_key(trace->json, "name");
		rg_json_write_string_n(trace->json, io->name, strnlen(io->name, sizeof(io->name)));
		rg_json_member_text(trace->json, "operation", op);
		rg_json_member_uint(trace->json, "began_ns",
				    unix_of(trace, recent->ended_ns - io->duration_ns));
		rg_json_member_uint(trace->json, "duration_ns", io->duration_ns);
		rg_json_member_bool(trace->json, "failed", io->failed);
		rg_json_write_object_end(trace->json);
	}
	free(order);
	rg_figures_free(&figures);
	return RG_OK;
}

/* ---- turns ---- */

#define WORD(type, member) (1ull << (offsetof(type, member) / sizeof(uint64_t)))
#define NUMBER_KEY	   sizeof(uint32_t)

static const struct view stages_view = {
	.probe = "stages",
	.maps = {{"stages", sizeof(struct rg_stages_key), sizeof(struct rg_probe_histogram),
		  WORD(struct rg_probe_histogram, max_ns)},
		 {"counts", NUMBER_KEY, sizeof(struct rg_stages_counts), 0}},
	.show = show_stages,
};
static const struct view jitter_view = {
	.probe = "jitter",
	.maps = {{"culprits", sizeof(struct rg_culprit_key), sizeof(struct rg_culprit),
		  WORD(struct rg_culprit, max_ns) | WORD(struct rg_culprit, lost_max_ns)},
		 {"counts", NUMBER_KEY, sizeof(struct rg_jitter_counts), 0}},
	.show = show_jitter,
	.show_recent = show_recent_takeovers,
};
static const struct view outliers_view = {
	.probe = "outliers",
	.maps = {{NULL},
		 {"counts", NUMBER_KEY, sizeof(struct rg_outliers_counts),
		  WORD(struct rg_outliers_counts, recent)}},
	.show = show_outliers,
	.show_recent = show_recent_outliers,
};
static const struct view publish_view = {
	.probe = "publish",
	.maps = {{NULL}, {"counts", NUMBER_KEY, sizeof(struct rg_publish_counts), 0}},
	.show = show_publish_counts,
	.show_recent = show_recent_publishes,
};
static const struct view journal_view = {
	.probe = "journal",
	.maps = {{"operations", sizeof(struct rg_operation_key), sizeof(struct rg_operation),
		  WORD(struct rg_operation, time.max_ns)},
		 {"counts", NUMBER_KEY, sizeof(struct rg_journal_counts), 0}},
	.show = show_journal,
	.show_recent = show_recent_operations,
};

static int read_sums(const struct trace *trace, struct rg_figures *sums)
{
	memset(sums, 0, MAPS_MAX * sizeof(*sums));
	for (uint32_t i = 0; i < MAPS_MAX; i++) {
		const struct map *map = &trace->view->maps[i];
		char path[RG_REGION_PATH_BYTES];
		int rc;

		if (!map->name)
			continue;
		map_path(trace, map->name, path, sizeof(path));
		rc = rg_figures_read(path, map->key_bytes, map->value_bytes, map->maxima, &sums[i],
				     &trace->cli->error);
		if (rc)
			return rc;
	}
	return RG_OK;
}

static void free_sums(struct rg_figures *sums)
{
	for (uint32_t i = 0; i < MAPS_MAX; i++)
		rg_figures_free(&sums[i]);
}

static void subtract(const struct trace *trace, struct rg_figures *sums,
		     const struct rg_figures *before)
{
	for (uint32_t i = 0; i < MAPS_MAX; i++)
		if (trace->view->maps[i].name)
			rg_figures_subtract(&sums[i], &before[i], trace->view->maps[i].maxima);
}

/* What is kept up to now is not of the first interval. */
static int skip_recent(struct trace *trace)
{
	uint32_t last = trace->last;
	int rc;

	if (!trace->view->show_recent)
		return RG_OK;
	trace->last = 0;
	rc = trace->view->show_recent(trace);
	trace->last = last;
	return rc;
}

/* The name of the policy in use, for people; without a region it has none. */
static void find_active(struct trace *trace)
{
	const struct rg_publisher *publisher =
		trace->region ? rg_region_dataplane(trace->region)->publisher : NULL;
	struct rg_publisher_status status;

	trace->active_sequence = 0;
	if (!publisher || rg_publisher_read(publisher, &status))
		return;
	trace->active_sequence = status.active_sequence;
	memcpy(trace->active_revision, status.revision, sizeof(trace->active_revision));
}

static int show(struct trace *trace)
{
	struct rg_json_writer writer;
	int rc = RG_OK;

	find_active(trace);
	trace->unix_minus_mono_ns = rg_clock_unix_ns() - rg_clock_monotonic_ns();
	trace->json = trace->cli->json ? &writer : NULL;
	if (trace->json) {
		rg_json_writer_init(&writer, true);
		rg_json_write_object_begin(&writer);
		rg_json_member_bool(&writer, "ok", true);
		rg_json_member_text(&writer, "probe", trace->view->probe);
		rg_json_member_uint(&writer, "interval_ns", trace->interval_ns);
	}
	trace->view->show(trace);
	if (trace->json && trace->view->show_recent)
		rg_json_member_array(&writer, "recent");
	if (trace->view->show_recent)
		rc = trace->view->show_recent(trace);
	if (!trace->json)
		return rc;
	if (trace->view->show_recent)
		rg_json_write_array_end(&writer);
	rg_json_write_object_end(&writer);
	if (!rc)
		return rg_cli_print_json(trace->cli, &writer);
	rg_json_writer_free(&writer);
	return rc;
}

static int show_totals(struct trace *trace)
{
	int rc = read_sums(trace, trace->sums);

	if (!rc)
		rc = show(trace);
	free_sums(trace->sums);
	return rc;
}

/* `before` becomes what was read now. */
static int show_interval(struct trace *trace, struct rg_figures *before)
{
	struct rg_figures now[MAPS_MAX] = {{0}};
	int rc = read_sums(trace, trace->sums);

	for (uint32_t i = 0; !rc && i < MAPS_MAX; i++)
		rc = rg_figures_copy(&trace->sums[i], &now[i], &trace->cli->error);
	if (!rc) {
		subtract(trace, trace->sums, before);
		rc = show(trace);
	}
	free_sums(before);
	memcpy(before, now, sizeof(now));
	free_sums(trace->sums);
	return rc;
}

static int show_intervals(struct trace *trace, uint64_t seconds, uint64_t count)
{
	struct rg_figures before[MAPS_MAX];
	uint64_t next_ns = rg_clock_monotonic_ns();
	int rc = read_sums(trace, before);

	if (!rc)
		rc = skip_recent(trace);
	trace->interval_ns = seconds * 1000000000ull;
	for (uint64_t i = 0; !rc && (!count || i < count); i++) {
		uint64_t now_ns = rg_clock_monotonic_ns();

		next_ns += trace->interval_ns;
		if (next_ns > now_ns)
			usleep((useconds_t)((next_ns - now_ns) / 1000));
		if (i && !trace->cli->json)
			puts("");
		rc = show_interval(trace, before);
		fflush(stdout);
	}
	free_sums(before);
	return rc;
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation, const struct view *view)
{
	struct trace trace = {.cli = cli,
			      .view = view,
			      .root = invocation->options[OPTION_BPFFS].text,
			      .last = (uint32_t)invocation->options[OPTION_LAST].number};
	uint64_t every_s = invocation->options[OPTION_EVERY].number;
	char directory[RG_REGION_PATH_BYTES];
	int rc = rg_cli_config(cli);

	if (rc)
		return rc;
	trace.instance = cli->config->instance;
	if (!rg_region_directory(cli->config->region.directory, trace.instance, 0, directory,
				 sizeof(directory), NULL) &&
	    rg_region_open_readonly(directory, &trace.region, NULL))
		trace.region = NULL;
	rc = every_s ? show_intervals(&trace, every_s, invocation->options[OPTION_COUNT].number)
		     : show_totals(&trace);
	rg_region_close(trace.region);
	return rc;
}

#define COMMAND(probe, text, more)                                                                 \
	static int run_##probe(struct rg_cli *cli, const struct rg_invocation *invocation)         \
	{                                                                                          \
		return run(cli, invocation, &probe##_view);                                        \
	}                                                                                          \
	const struct rg_command rg_command_trace_##probe = {                                       \
		.name = "trace " #probe,                                                           \
		.arguments = "",                                                                   \
		.summary = text,                                                                   \
		.details = more,                                                                   \
		.examples = "riskctl trace " #probe "\n"                                           \
			    "riskctl trace " #probe " --every 1 --count 10\n"                      \
			    "riskctl --json trace " #probe,                                        \
		.options = options,                                                                \
		.run = run_##probe,                                                                \
	}

COMMAND(stages, "Show what each stage of a burst costs",
	"For each policy: a burst's time in rx, decode, feature, evaluate, record and\n"
	"tx, with percentiles that are right to 3.1 %. Needs `riskgate-probe stages`.");
COMMAND(jitter, "Show who took a worker's core",
	"Threads, interrupts and softirqs that ran on a worker's core, by name: how\n"
	"often, how long they had it, and how much of that the worker could have run;\n"
	"counts of TLB shoot-downs and page faults. Below: the long losses, with their\n"
	"time. \"Longest loss\" is since the probe was first attached, also with --every.\n"
	"Needs `riskgate-probe jitter`.");
COMMAND(outliers, "Show slow bursts and what happened on their core",
	"Each with its first request, the one that was slowest to evaluate, its stages,\n"
	"and who took its core meanwhile. All requests of a burst have its receive time\n"
	"in the journal. Needs `riskgate-probe outliers`; its --slow-burst says what is\n"
	"slow.");
COMMAND(publish, "Show the steps of each policy's publication",
	"In control and in the data plane: when each step was reached, and how long\n"
	"those took that say it. Needs `riskgate-probe publish`.");
COMMAND(journal, "Show how long writes, syncs and sinks take",
	"Writes and syncs of the journal; batches of each sink, and their commits,\n"
	"which are its round trips. Below: the slow and the failed ones, with their\n"
	"time. Needs `riskgate-probe journal`.");

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * riskctl region: the shared-memory region from outside. Both files are mapped read-only, so it can
 * look at a running appliance, and at what a dead one left.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/format.h"
#include "tools/riskctl/region_view.h"

enum { OPTION_DIRECTORY, OPTION_ALL };
static const struct rg_option options[] = {
	[OPTION_DIRECTORY] = {"directory", 'd', RG_OPTION_TEXT, "FOLDER", 0, 0, NULL,
			      "the region's folder, not the configuration's"},
	[OPTION_ALL] = {"all", 'a', RG_OPTION_FLAG, NULL, 0, 0, NULL,
			"print counters that are zero too"},
	{NULL},
};

static const double percentiles[] = {50, 90, 99, 99.9, 99.99};
static const char *const percentile_names[] = {"p50", "p90", "p99", "p999", "p9999"};
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

/* ---- in words ---- */

static void print_process(const struct rg_region_view *view, enum rg_region_role role,
			  const char *name, const struct rg_region_header *header)
{
	char since[RG_FORMAT_BYTES], beat[RG_FORMAT_BYTES], bytes[RG_FORMAT_BYTES];

	if (!header) {
		printf("%-12s %s\n", name, rg_region_absence(view->region, role));
		return;
	}
	if (rg_region_running(view->region, role))
		printf("%-12s running, pid %" PRIu64 ", started %s, heartbeat %s\n", name,
		       rg_region_pid(view->region, role),
		       rg_format_age(since, rg_region_epoch(view->region, role), view->now_ns),
		       rg_format_age(
			       beat,
			       atomic_load_explicit(&header->heartbeat_ns, memory_order_relaxed),
			       view->now_ns));
	else
		printf("%-12s not running, last heartbeat %s\n", name,
		       rg_format_age(
			       beat,
			       atomic_load_explicit(&header->heartbeat_ns, memory_order_relaxed),
			       view->now_ns));
	printf("%-12s instance %.64s, node %u, epoch %" PRIu64 "\n", "", header->instance,
	       header->node, rg_region_epoch(view->region, role));
	if (role == RG_REGION_DATAPLANE)
		printf("%-12s %u workers, rings of %s, %s pages\n", "", header->worker_count,
		       rg_format_bytes(bytes, header->ring_bytes),
		       header->features & RG_REGION_FEATURE_HUGE_PAGES ? "huge" : "ordinary");
}

static void print_policy(const struct rg_region_view *view)
{
	struct rg_publisher_status status;
	char since[RG_FORMAT_BYTES], bytes[RG_FORMAT_BYTES];

	if (!view->dataplane->publisher || rg_publisher_read(view->dataplane->publisher, &status))
		return;
	if (!status.active_sequence) {
		printf("%-12s none: requests are answered with NO_POLICY\n", "policy");
		return;
	}
	printf("%-12s %s, revision %s, sequence %" PRIu64 "\n", "policy", status.bundle,
	       status.revision, status.active_sequence);
	printf("%-12s in use since %s, image of %s\n", "",
	       rg_format_age(since, status.active_since_ns, view->now_ns),
	       rg_format_bytes(bytes, status.active_bytes));
}

static void print_mailbox(const struct rg_region_view *view)
{
	struct rg_mailbox_announcement announcement;
	struct rg_mailbox_progress progress;
	char age[RG_FORMAT_BYTES], took[RG_FORMAT_BYTES];

	if (rg_mailbox_read_request(view->control->request, &announcement) == RG_OK &&
	    announcement.sequence)
		printf("%-12s policy %" PRIu64 " announced %s\n", "mailbox", announcement.sequence,
		       rg_format_age(age, announcement.announced_ns, view->now_ns));
	if (rg_mailbox_read_reply(view->dataplane->reply, &progress) || !progress.sequence)
		return;
	printf("%-12s policy %" PRIu64 " is %s", "", progress.sequence,
	       rg_mailbox_state_name((enum rg_mailbox_state)progress.state));
	if (progress.state == RG_MAILBOX_ACTIVE && progress.entered_ns[RG_MAILBOX_COPYING])
		printf(", %s after the publisher took it",
		       rg_format_duration(took, progress.entered_ns[RG_MAILBOX_ACTIVE] -
							progress.entered_ns[RG_MAILBOX_COPYING]));
	printf("%s%s\n", progress.text[0] ? ": " : "", progress.text);
}

static void print_ticks(const struct rg_worker_progress *progress)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		sum += progress->ticks[i];
	if (!sum)
		return;
	printf("%-12s", "");
	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		printf(" %8s", rg_worker_tick_name(i));
	printf("\n%-12s", "");
	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		printf(" %7.2f%%", 100.0 * (double)progress->ticks[i] / (double)sum);
	putchar('\n');
}

static void print_ring(const struct rg_region_view *view, uint32_t worker)
{
	struct rg_ring_state ring = rg_region_view_ring(view, worker);
	char used[RG_FORMAT_BYTES], messages[RG_FORMAT_BYTES], lost[RG_FORMAT_BYTES];

	printf("%-12s ring %s used (%.1f%%), %s records, %s refused when full\n", "",
	       rg_format_bytes(used, ring.used_bytes),
	       100.0 * (double)ring.used_bytes / (double)ring.capacity,
	       rg_format_count(messages, ring.messages), rg_format_count(lost, ring.lost));
	if (!ring.adopted)
		printf("%-12s control does not read this ring\n", "");
	if (ring.cursor_errors || ring.ring_errors)
		printf("%-12s nonsense met: %" PRIu64 " times in the cursor, %" PRIu64
		       " times in the ring (%" PRIu64 " bytes skipped)\n",
		       "", ring.cursor_errors, ring.ring_errors, ring.skipped_bytes);
}

static void print_worker(const struct rg_region_view *view, uint32_t index)
{
	const struct rg_worker *worker = view->dataplane->workers[index].status;
	struct rg_worker_identity identity;
	struct rg_worker_progress progress;
	char name[16], beat[RG_FORMAT_BYTES], loops[RG_FORMAT_BYTES], longest[RG_FORMAT_BYTES];
	bool has_identity = rg_worker_read_identity(worker, &identity) == RG_OK;

	snprintf(name, sizeof(name), "worker %u", index);
	printf("%-12s %s", name, rg_worker_state_name(rg_worker_state(worker)));
	if (has_identity && identity.started_ns)
		printf(", lcore %" PRIu64 ", cpu %" PRId64 ", queues %.*s", identity.core,
		       (int64_t)identity.cpu, RG_WORKER_QUEUES_BYTES, identity.queues);
	putchar('\n');
	if (rg_worker_read_progress(worker, &progress) == RG_OK && progress.loops) {
		printf("%-12s policy %" PRIu64 ", heartbeat %s\n", "", progress.policy_sequence,
		       rg_format_age(beat, progress.heartbeat_ns, view->now_ns));
		printf("%-12s %s loops (%.1f%% idle)", "", rg_format_count(loops, progress.loops),
		       100.0 * (double)progress.loops_idle / (double)progress.loops);
		if (has_identity && identity.tsc_hz)
			printf(", longest %s",
			       rg_format_duration(longest,
						  (uint64_t)((double)progress.longest_loop_ticks *
							     1e9 / (double)identity.tsc_hz)));
		putchar('\n');
		print_ticks(&progress);
	}
	print_ring(view, index);
}

static void print_counter(const struct rg_region_view *view, const struct rg_metric *metric,
			  void *context)
{
	uint64_t value = rg_region_view_value(view, metric);
	char name[96], text[RG_FORMAT_BYTES];

	if (!value && !*(const bool *)context)
		return;
	snprintf(name, sizeof(name), "%s%s%s%s", metric->name, metric->label[0] ? "{" : "",
		 metric->label, metric->label[0] ? "}" : "");
	printf("  %-46s %18s %s\n", name, rg_format_count(text, value), metric->unit);
}

static void print_histogram(const struct rg_region_view *view, const struct rg_metric *metric,
			    void *context)
{
	const struct rg_histogram_snapshot *histogram = rg_region_view_histogram(view, metric);
	char count[RG_FORMAT_BYTES], text[RG_FORMAT_BYTES];

	if (!histogram->count && !*(const bool *)context)
		return;
	printf("  %-12s %11s", metric->name, rg_format_count(count, histogram->count));
	for (uint32_t i = 0; i < PERCENTILE_COUNT; i++)
		printf(" %8s", rg_format_duration(
				       text, rg_histogram_percentile(histogram, percentiles[i])));
	printf(" %8s\n", rg_format_duration(text, histogram->max_ns));
}

static void print_errors(const struct rg_region_view *view)
{
	for (uint32_t which = 0; which < 2 + view->dataplane->worker_count; which++) {
		const struct rg_error_log *log = rg_region_view_errors(view, which);
		struct rg_error_entry entry;
		char name[24], age[RG_FORMAT_BYTES];

		for (uint32_t i = 0; log && i < RG_ERROR_LOG_SLOTS; i++) {
			int status = rg_error_log_read(log, i, &entry);

			if (status == RG_ENOENT)
				break;
			if (status == RG_OK)
				printf("error in %s, %" PRIu64 " times, last %s:\n  %s\n",
				       rg_region_view_errors_name(which, name, sizeof(name)),
				       entry.count, rg_format_age(age, entry.last_ns, view->now_ns),
				       entry.text);
		}
	}
}

static void print_words(const struct rg_region_view *view, bool all)
{
	printf("%-12s %s\n", "region", rg_region_directory_of(view->region));
	print_process(view, RG_REGION_DATAPLANE, "data plane", view->dataplane->header);
	print_process(view, RG_REGION_CONTROL, "control", view->control->header);
	print_policy(view);
	print_mailbox(view);
	for (uint32_t w = 0; w < view->dataplane->worker_count; w++)
		print_worker(view, w);
	puts("counters, summed over workers");
	rg_region_view_visit(view, false, print_counter, &all);
	printf("%-14s %11s %8s %8s %8s %8s %8s %8s\n", "histograms", "count", "p50", "p90", "p99",
	       "p99.9", "p99.99", "max");
	rg_region_view_visit(view, true, print_histogram, &all);
	print_errors(view);
}

/* ---- as JSON ---- */

static void write_process(const struct rg_region_view *view, enum rg_region_role role,
			  const struct rg_region_header *header, struct rg_json_writer *writer)
{
	rg_json_write_object_begin(writer);
	rg_json_member_bool(writer, "joined", header != NULL);
	if (!header) {
		rg_json_member_text(writer, "absence", rg_region_absence(view->region, role));
		rg_json_write_object_end(writer);
		return;
	}
	rg_json_member_bool(writer, "running", rg_region_running(view->region, role));
	rg_json_member_uint(writer, "pid", rg_region_pid(view->region, role));
	rg_json_member_uint(writer, "epoch", rg_region_epoch(view->region, role));
	rg_json_member_uint(writer, "generation", header->generation);
	rg_json_member_uint(writer, "heartbeat_ns",
			    atomic_load_explicit(&header->heartbeat_ns, memory_order_relaxed));
	rg_json_write_key(writer, "instance");
	rg_json_write_string_n(writer, header->instance,
			       strnlen(header->instance, sizeof(header->instance)));
	rg_json_member_uint(writer, "node", header->node);
	rg_json_member_uint(writer, "worker_count", header->worker_count);
	rg_json_member_uint(writer, "ring_bytes", header->ring_bytes);
	rg_json_member_bool(writer, "huge_pages", header->features & RG_REGION_FEATURE_HUGE_PAGES);
	rg_json_write_object_end(writer);
}

static void write_policy(const struct rg_region_view *view, struct rg_json_writer *writer)
{
	struct rg_publisher_status status;

	if (!view->dataplane->publisher || rg_publisher_read(view->dataplane->publisher, &status)) {
		rg_json_write_null(writer);
		return;
	}
	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "sequence", status.active_sequence);
	rg_json_member_text(writer, "bundle", status.bundle);
	rg_json_member_text(writer, "revision", status.revision);
	rg_json_member_uint(writer, "image_bytes", status.active_bytes);
	rg_json_member_uint(writer, "active_since_ns", status.active_since_ns);
	rg_json_member_uint(writer, "grace_longest_ns", status.grace_longest_ns);
	rg_json_member_bool(writer, "control_joined", status.control_joined);
	rg_json_write_object_end(writer);
}

static void write_mailbox(const struct rg_region_view *view, struct rg_json_writer *writer)
{
	struct rg_mailbox_announcement announcement;
	struct rg_mailbox_progress progress;

	rg_json_write_object_begin(writer);
	if (rg_mailbox_read_request(view->control->request, &announcement) == RG_OK) {
		rg_json_member_uint(writer, "announced_sequence", announcement.sequence);
		rg_json_member_uint(writer, "announced_ns", announcement.announced_ns);
		rg_json_member_uint(writer, "image_bytes", announcement.image_bytes);
	}
	if (rg_mailbox_read_reply(view->dataplane->reply, &progress) == RG_OK) {
		rg_json_member_uint(writer, "sequence", progress.sequence);
		rg_json_member_text(writer, "state",
				    rg_mailbox_state_name((enum rg_mailbox_state)progress.state));
		rg_json_member_text(writer, "text", progress.text);
		rg_json_member_uint(writer, "active_sequence", progress.active_sequence);
		rg_json_member_uint(writer, "ignored", progress.ignored);
		rg_json_write_key(writer, "entered_ns");
		rg_json_write_object_begin(writer);
		for (uint32_t i = 0; i < RG_MAILBOX_STATE_COUNT; i++)
			if (progress.entered_ns[i])
				rg_json_member_uint(writer,
						    rg_mailbox_state_name((enum rg_mailbox_state)i),
						    progress.entered_ns[i]);
		rg_json_write_object_end(writer);
	}
	rg_json_write_object_end(writer);
}

static void write_ring(const struct rg_region_view *view, uint32_t worker,
		       struct rg_json_writer *writer)
{
	struct rg_ring_state ring = rg_region_view_ring(view, worker);

	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "capacity_bytes", ring.capacity);
	rg_json_member_uint(writer, "used_bytes", ring.used_bytes);
	rg_json_member_uint(writer, "records", ring.messages);
	rg_json_member_uint(writer, "refused", ring.lost);
	rg_json_member_bool(writer, "adopted", ring.adopted);
	rg_json_member_uint(writer, "consumed_records", ring.consumed_messages);
	rg_json_member_uint(writer, "cursor_errors", ring.cursor_errors);
	rg_json_member_uint(writer, "ring_errors", ring.ring_errors);
	rg_json_member_uint(writer, "skipped_bytes", ring.skipped_bytes);
	rg_json_write_object_end(writer);
}

static void write_worker(const struct rg_region_view *view, uint32_t index,
			 struct rg_json_writer *writer)
{
	const struct rg_worker *worker = view->dataplane->workers[index].status;
	struct rg_worker_identity identity;
	struct rg_worker_progress progress;

	rg_json_write_object_begin(writer);
	rg_json_member_uint(writer, "worker", index);
	rg_json_member_text(writer, "state", rg_worker_state_name(rg_worker_state(worker)));
	if (rg_worker_read_identity(worker, &identity) == RG_OK) {
		rg_json_member_uint(writer, "lcore", identity.core);
		rg_json_write_key(writer, "cpu");
		rg_json_write_int(writer, (int64_t)identity.cpu);
		rg_json_member_uint(writer, "thread_id", identity.thread_id);
		rg_json_member_uint(writer, "tsc_hz", identity.tsc_hz);
		rg_json_member_uint(writer, "started_ns", identity.started_ns);
		rg_json_write_key(writer, "queues");
		rg_json_write_string_n(writer, identity.queues,
				       strnlen(identity.queues, sizeof(identity.queues)));
	}
	if (rg_worker_read_progress(worker, &progress) == RG_OK) {
		rg_json_member_uint(writer, "heartbeat_ns", progress.heartbeat_ns);
		rg_json_member_uint(writer, "loops", progress.loops);
		rg_json_member_uint(writer, "loops_idle", progress.loops_idle);
		rg_json_member_uint(writer, "longest_loop_ticks", progress.longest_loop_ticks);
		rg_json_member_uint(writer, "policy_sequence", progress.policy_sequence);
		rg_json_write_key(writer, "ticks");
		rg_json_write_object_begin(writer);
		for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
			rg_json_member_uint(writer, rg_worker_tick_name(i), progress.ticks[i]);
		rg_json_write_object_end(writer);
	}
	rg_json_write_key(writer, "ring");
	write_ring(view, index, writer);
	rg_json_write_object_end(writer);
}

static void write_names(const struct rg_metric *metric, struct rg_json_writer *writer)
{
	static const char *const groups[] = {"worker", "publisher", "control"};

	rg_json_member_text(writer, "group",
			    metric->group < RG_METRIC_GROUP_COUNT ? groups[metric->group]
								  : "unknown");
	rg_json_member_text(writer, "name", metric->name);
	rg_json_member_text(writer, "label", metric->label);
	rg_json_member_text(writer, "unit", metric->unit);
}

static void write_counter(const struct rg_region_view *view, const struct rg_metric *metric,
			  void *context)
{
	struct rg_json_writer *writer = context;

	rg_json_write_object_begin(writer);
	write_names(metric, writer);
	rg_json_member_uint(writer, "value", rg_region_view_value(view, metric));
	rg_json_write_object_end(writer);
}

static void write_histogram(const struct rg_region_view *view, const struct rg_metric *metric,
			    void *context)
{
	const struct rg_histogram_snapshot *histogram = rg_region_view_histogram(view, metric);
	struct rg_json_writer *writer = context;

	rg_json_write_object_begin(writer);
	write_names(metric, writer);
	rg_json_member_uint(writer, "count", histogram->count);
	rg_json_member_uint(writer, "sum_ns", histogram->sum_ns);
	for (uint32_t i = 0; i < PERCENTILE_COUNT; i++)
		rg_json_member_uint(writer, percentile_names[i],
				    rg_histogram_percentile(histogram, percentiles[i]));
	rg_json_member_uint(writer, "max", histogram->max_ns);
	rg_json_write_object_end(writer);
}

static void write_errors(const struct rg_region_view *view, struct rg_json_writer *writer)
{
	for (uint32_t which = 0; which < 2 + view->dataplane->worker_count; which++) {
		const struct rg_error_log *log = rg_region_view_errors(view, which);
		struct rg_error_entry entry;
		char name[24];

		for (uint32_t i = 0; log && i < RG_ERROR_LOG_SLOTS; i++) {
			int status = rg_error_log_read(log, i, &entry);

			if (status == RG_ENOENT)
				break;
			if (status)
				continue;
			rg_json_write_object_begin(writer);
			rg_json_member_text(writer, "where",
					    rg_region_view_errors_name(which, name, sizeof(name)));
			rg_json_member_text(writer, "text", entry.text);
			rg_json_member_uint(writer, "count", entry.count);
			rg_json_member_uint(writer, "first_ns", entry.first_ns);
			rg_json_member_uint(writer, "last_ns", entry.last_ns);
			rg_json_write_object_end(writer);
		}
	}
}

static int print_json(struct rg_cli *cli, const struct rg_region_view *view)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, true);
	rg_json_write_object_begin(&writer);
	rg_json_member_bool(&writer, "ok", true);
	rg_json_member_text(&writer, "directory", rg_region_directory_of(view->region));
	rg_json_write_key(&writer, "dataplane");
	write_process(view, RG_REGION_DATAPLANE, view->dataplane->header, &writer);
	rg_json_write_key(&writer, "control");
	write_process(view, RG_REGION_CONTROL, view->control->header, &writer);
	rg_json_write_key(&writer, "policy");
	write_policy(view, &writer);
	rg_json_write_key(&writer, "mailbox");
	write_mailbox(view, &writer);
	rg_json_write_key(&writer, "workers");
	rg_json_write_array_begin(&writer);
	for (uint32_t w = 0; w < view->dataplane->worker_count; w++)
		write_worker(view, w, &writer);
	rg_json_write_array_end(&writer);
	rg_json_write_key(&writer, "counters");
	rg_json_write_array_begin(&writer);
	rg_region_view_visit(view, false, write_counter, &writer);
	rg_json_write_array_end(&writer);
	rg_json_write_key(&writer, "histograms");
	rg_json_write_array_begin(&writer);
	rg_region_view_visit(view, true, write_histogram, &writer);
	rg_json_write_array_end(&writer);
	rg_json_write_key(&writer, "errors");
	rg_json_write_array_begin(&writer);
	write_errors(view, &writer);
	rg_json_write_array_end(&writer);
	rg_json_write_object_end(&writer);
	return rg_cli_print_json(cli, &writer);
}

static int run(struct rg_cli *cli, const struct rg_invocation *invocation)
{
	char directory[RG_REGION_PATH_BYTES];
	struct rg_region *region;
	int status = rg_region_view_directory(cli, invocation->options[OPTION_DIRECTORY].text,
					      directory, sizeof(directory));
	struct rg_region_view view;

	if (!status)
		status = rg_region_open_readonly(directory, &region, &cli->error);
	if (status)
		return status;
	rg_region_view_look(&view, region);
	if (cli->json)
		status = print_json(cli, &view);
	else
		print_words(&view, invocation->options[OPTION_ALL].text);
	rg_region_close(region);
	return status;
}

const struct rg_command rg_command_region = {
	.name = "region",
	.arguments = "",
	.summary = "Print the shared-memory region from outside",
	.details =
		"Processes, policy, mailbox, workers with their rings, counters, histograms and\n"
		"error logs, read from the region's two files, which are mapped read-only. Works\n"
		"whether the data plane and control run or not.",
	.examples = "riskctl region\n"
		    "riskctl --json region --directory /dev/hugepages/riskgate-default",
	.options = options,
	.run = run,
};

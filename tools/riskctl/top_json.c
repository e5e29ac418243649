/* SPDX-License-Identifier: Apache-2.0 */
/* riskctl top as JSON: one object an interval, on a line of its own. */
#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/top.h"

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
	rg_json_member_bool(json, "restarted", rg_top_restarted(now, before));
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

static void write_policy(const struct rg_top *top, struct rg_json_writer *json)
{
	const struct rg_publisher_status *policy = &top->now->policy;

	rg_json_member_object(json, "policy");
	rg_json_member_uint(json, "sequence", policy->active_sequence);
	if (policy->active_sequence) {
		rg_json_member_text(json, "bundle", policy->bundle);
		rg_json_member_text(json, "revision", policy->revision);
		rg_json_member_uint(json, "age_ns", rg_top_age_ns(top, policy->active_since_ns));
	}
	rg_json_write_object_end(json);
}

static void write_traffic(const struct rg_top *top, struct rg_json_writer *json)
{
	const uint64_t *counters = top->shown->counters;
	uint64_t decisions = rg_top_decisions(counters);

	rg_json_member_uint(json, "requests", counters[RG_WORKER_REQUESTS]);
	rg_json_member_uint(json, "requests_per_s", rg_top_rate(top, counters[RG_WORKER_REQUESTS]));
	rg_json_member_uint(json, "rx_packets_per_s",
			    rg_top_rate(top, counters[RG_WORKER_RX_PACKETS]));
	rg_json_member_uint(json, "tx_packets_per_s",
			    rg_top_rate(top, counters[RG_WORKER_TX_PACKETS]));
	rg_json_member_uint(
		json, "rx_missed_per_s",
		rg_top_rate(top, top->shown->publisher[RG_PUBLISHER_PORT_MISSED] +
					 top->shown->publisher[RG_PUBLISHER_PORT_NO_BUFFER]));
	rg_json_member_object(json, "verdict_shares");
	write_double(json, "allow", rg_top_share(counters[RG_WORKER_DECISIONS_ALLOW], decisions));
	write_double(json, "deny", rg_top_share(counters[RG_WORKER_DECISIONS_DENY], decisions));
	write_double(json, "review", rg_top_share(counters[RG_WORKER_DECISIONS_REVIEW], decisions));
	rg_json_write_object_end(json);
	write_histogram(json, "latency_ns", &top->shown->latency);
	write_histogram(json, "evaluate_ns", &top->shown->evaluate);
}

static void write_refusals(struct rg_top *top, struct rg_json_writer *json)
{
	static const char *const members[] = {[RG_TOP_REFUSAL_ANSWER] = "answers",
					      [RG_TOP_REFUSAL_PACKET] = "packets",
					      [RG_TOP_REFUSAL_MESSAGE] = "messages"};
	char name[40];

	rg_json_member_object(json, "refused");
	for (uint32_t kind = RG_TOP_REFUSAL_ANSWER; kind <= RG_TOP_REFUSAL_MESSAGE; kind++) {
		rg_json_member_object(json, members[kind]);
		for (uint32_t i = 0; i < RG_WORKER_COUNTERS; i++)
			if (rg_top_refusal_of(i) == kind && top->shown->counters[i])
				rg_json_member_uint(json,
						    rg_top_refusal_name(i, name, sizeof(name)),
						    top->shown->counters[i]);
		rg_json_write_object_end(json);
	}
	if (top->answered)
		rg_json_member_uint(json, "pushes",
				    (uint64_t)rg_top_of_control(top, "policy.refused"));
	rg_json_write_object_end(json);
}

static void write_ring(struct rg_json_writer *json, const struct rg_ring_state *ring)
{
	rg_json_member_object(json, "ring");
	rg_json_member_uint(json, "capacity_bytes", ring->capacity);
	rg_json_member_uint(json, "used_bytes", ring->used_bytes);
	write_double(json, "fill", rg_top_share(ring->used_bytes, ring->capacity));
	rg_json_member_bool(json, "adopted", ring->adopted);
	rg_json_write_object_end(json);
}

static void write_worker(const struct rg_top *top, uint32_t index, struct rg_json_writer *json)
{
	const struct rg_top_worker *worker = &top->shown->workers[index];
	uint64_t ticks = rg_top_ticks(worker);

	rg_json_write_object_begin(json);
	rg_json_member_uint(json, "worker", index);
	rg_json_member_text(json, "state", rg_worker_state_name(worker->state));
	rg_json_write_key(json, "cpu");
	rg_json_write_int(json, (int64_t)worker->identity.cpu);
	rg_json_member_uint(json, "heartbeat_ns", worker->progress.heartbeat_ns);
	rg_json_member_uint(json, "policy_sequence", worker->progress.policy_sequence);
	rg_json_member_uint(json, "requests", worker->counters[RG_WORKER_REQUESTS]);
	rg_json_member_uint(json, "requests_per_s",
			    rg_top_rate(top, worker->counters[RG_WORKER_REQUESTS]));
	rg_json_member_uint(json, "loops_per_s", rg_top_rate(top, worker->progress.loops));
	rg_json_member_uint(json, "longest_loop_ns", rg_top_longest_loop_ns(worker));
	write_histogram(json, "latency_ns", &worker->latency);
	rg_json_member_object(json, "time_shares");
	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		write_double(json, rg_worker_tick_name(i),
			     rg_top_share(worker->progress.ticks[i], ticks));
	rg_json_write_object_end(json);
	write_ring(json, &worker->ring);
	rg_json_write_object_end(json);
}

static void write_records(struct rg_top *top, struct rg_json_writer *json)
{
	rg_json_member_object(json, "records");
	rg_json_member_uint(json, "written_per_s",
			    rg_top_rate(top, top->shown->counters[RG_WORKER_RECORDS]));
	rg_json_member_uint(json, "lost", top->shown->counters[RG_WORKER_RECORDS_LOST]);
	write_double(json, "ring_fill", rg_top_ring_fill(top->now));
	if (top->answered) {
		rg_json_member_uint(json, "journaled",
				    (uint64_t)rg_top_of_control(top, "records.journaled"));
		rg_json_member_uint(json, "not_durable_frames", rg_top_journal_behind(top));
		rg_json_member_uint(json, "staged_bytes",
				    (uint64_t)rg_top_of_control(top, "journal.staged_bytes"));
		rg_json_member_uint(json, "lag", (uint64_t)rg_top_of_control(top, "records.lag"));
	}
	rg_json_write_object_end(json);
}

static void write_sinks(struct rg_top *top, struct rg_json_writer *json)
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

int rg_top_print_json(struct rg_top *top)
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

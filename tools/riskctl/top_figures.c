/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of an interval. */
#include <stdio.h>
#include <string.h>

#include "tools/riskctl/top.h"

uint64_t rg_top_rate(const struct rg_top *top, uint64_t count)
{
	return top->seconds > 0 ? (uint64_t)((double)count / top->seconds + 0.5) : 0;
}

double rg_top_share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

uint64_t rg_top_decisions(const uint64_t *counters)
{
	return counters[RG_WORKER_DECISIONS_ALLOW] + counters[RG_WORKER_DECISIONS_DENY] +
	       counters[RG_WORKER_DECISIONS_REVIEW];
}

uint64_t rg_top_ticks(const struct rg_top_worker *worker)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < RG_TICK_COUNT; i++)
		sum += worker->progress.ticks[i];
	return sum;
}

uint64_t rg_top_longest_loop_ns(const struct rg_top_worker *worker)
{
	return worker->identity.tsc_hz ? (uint64_t)((double)worker->progress.longest_loop_ticks *
						    1e9 / (double)worker->identity.tsc_hz)
				       : 0;
}

bool rg_top_restarted(const struct rg_top_process *now, const struct rg_top_process *before)
{
	return now->joined && before->joined && now->epoch != before->epoch;
}

uint64_t rg_top_age_ns(const struct rg_top *top, uint64_t unix_ns)
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

enum rg_top_refusal rg_top_refusal_of(uint32_t counter)
{
	if (!strcmp(worker_counters[counter].name, "answers"))
		return counter == RG_WORKER_STATUS_OK ? RG_TOP_REFUSAL_NONE : RG_TOP_REFUSAL_ANSWER;
	if (!strcmp(worker_counters[counter].name, "dropped"))
		return RG_TOP_REFUSAL_PACKET;
	return !strcmp(worker_counters[counter].name, "messages_dropped") ? RG_TOP_REFUSAL_MESSAGE
									  : RG_TOP_REFUSAL_NONE;
}

const char *rg_top_refusal_name(uint32_t counter, char *name, size_t bytes)
{
	const char *from = strchr(worker_counters[counter].label, '"');

	snprintf(name, bytes, "%.*s", from ? (int)strcspn(from + 1, "\"") : 0,
		 from ? from + 1 : "");
	return name;
}

int64_t rg_top_of_control(struct rg_top *top, const char *path)
{
	return top->answered ? rg_document_number(&top->status, top->status.root, path, 0) : 0;
}

uint64_t rg_top_journal_behind(struct rg_top *top)
{
	int64_t behind = rg_top_of_control(top, "journal.frames") -
			 rg_top_of_control(top, "journal.durable_frames");

	return behind > 0 ? (uint64_t)behind : 0;
}

double rg_top_ring_fill(const struct rg_top_sample *sample)
{
	double fullest = 0;

	for (uint32_t w = 0; w < sample->worker_count; w++) {
		double fill = rg_top_share(sample->workers[w].ring.used_bytes,
					   sample->workers[w].ring.capacity);

		fullest = fill > fullest ? fill : fullest;
	}
	return fullest;
}

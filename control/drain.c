/* SPDX-License-Identifier: Apache-2.0 */
#include "control/drain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"

#define JOIN_PERIOD_NS	100000000ull  /* how often the data plane's file is looked for */
#define RETRY_PERIOD_NS 100000000ull  /* after a journal that could not be written */
#define LOG_PERIOD_NS	1000000000ull /* between lines of the log about the same kind of trouble */
#define PREFETCH_BYTES	512	      /* about a record */
#define RECORDS_A_TURN	4096	      /* of one ring, so that no ring waits long for its turn */

struct rg_drain {
	struct rg_region *region;
	struct rg_journal_writer *journal;
	struct rg_ring_consumer consumers[RG_WORKERS_MAX]; /* of the joined file's rings */
	uint64_t errors_seen[RG_WORKERS_MAX], skipped_seen[RG_WORKERS_MAX];
	uint32_t count; /* of consumers; 0: not joined, or a retired file comes first */
	struct rg_region_retired *retired;
	uint64_t next_join_ns, retry_ns;
	uint64_t unix_ns;
	uint64_t monotonic_ns;
	struct rg_drain_statistics statistics;
	char logged[32];       /* the event logged last, */
	uint64_t log_again_ns; /* which is not logged again before this */
};

struct rg_drain *rg_drain_new(struct rg_region *region, struct rg_journal_writer *journal)
{
	struct rg_drain *drain = calloc(1, sizeof(*drain));

	if (drain) {
		drain->region = region;
		drain->journal = journal;
	}
	return drain;
}

void rg_drain_delete(struct rg_drain *drain)
{
	if (!drain)
		return;
	if (drain->retired)
		rg_region_close_retired(drain->retired);
	free(drain);
}

/* May this event be logged now? Trouble can come with each record, and lines cost more than records:
 * a drain that writes them falls behind and makes more. Counters and error log have each one. */
static bool may_log(struct rg_drain *drain, const char *event)
{
	if (!strcmp(drain->logged, event) && drain->monotonic_ns < drain->log_again_ns)
		return false;
	snprintf(drain->logged, sizeof(drain->logged), "%s", event);
	drain->log_again_ns = drain->monotonic_ns + LOG_PERIOD_NS;
	return true;
}

/* To the log and to the region's error log. The text must not hold numbers that differ each time.
 */
static void report(struct rg_drain *drain, const char *event, const char *text)
{
	if (may_log(drain, event))
		rg_log(RG_LOG_ERROR, "%s %s", event, text);
	rg_error_log_addf(rg_region_control(drain->region)->errors, drain->unix_ns, "%s: %s", event,
			  text);
}

/* ---- from ring to journal ---- */

static void release(struct rg_ring_consumer *consumers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rg_ring_release(&consumers[i]);
}

/* Write what is staged, then give the rings back what is written. False: the journal cannot be
 * written now. */
static bool flush(struct rg_drain *drain)
{
	struct rg_error err;

	RG_FAILPOINT("drain.taken");
	if (rg_journal_writer_flush(drain->journal, drain->monotonic_ns, &err)) {
		if (!drain->statistics.journal_failing)
			report(drain, "journal_write_failed", err.text);
		drain->statistics.journal_failing = true;
		drain->retry_ns = drain->monotonic_ns + RETRY_PERIOD_NS;
		return false;
	}
	if (drain->statistics.journal_failing)
		rg_log(RG_LOG_INFO, "journal_written_again");
	drain->statistics.journal_failing = false;
	RG_FAILPOINT("drain.journaled");
	release(drain->consumers, drain->count);
	RG_FAILPOINT("drain.released");
	if (drain->retired)
		release(drain->retired->consumers, drain->retired->dataplane.worker_count);
	return true;
}

static void note_gap(struct rg_drain *drain, const struct rg_record *record, uint64_t gap)
{
	drain->statistics.missing += gap;
	if (may_log(drain, "records_missing"))
		rg_log(RG_LOG_ERROR,
		       "records_missing worker=%u epoch=%llu before_sequence=%llu count=%llu "
		       "total=%llu",
		       record->worker, (unsigned long long)record->epoch,
		       (unsigned long long)record->sequence, (unsigned long long)gap,
		       (unsigned long long)drain->statistics.missing);
	rg_error_log_addf(rg_region_control(drain->region)->errors, drain->unix_ns,
			  "records of worker %u are missing: its sequence has a gap",
			  record->worker);
}

/* Where the journal wants the next record. NULL: it cannot take one now. */
static struct rg_record *reserve(struct rg_drain *drain, uint32_t bytes)
{
	struct rg_record *place = rg_journal_writer_reserve(drain->journal, bytes);

	if (place || !flush(drain))
		return place;
	return rg_journal_writer_reserve(drain->journal, bytes); /* NULL: no new segment either */
}

/* Take one message. False: the journal cannot take it now; it stays where it is. */
static bool take(struct rg_drain *drain, const uint8_t *message, uint32_t bytes)
{
	struct rg_record *record;
	struct rg_error err;
	uint64_t gap = 0;

	if (bytes > RG_RECORD_BYTES_MAX) {
		drain->statistics.corrupt++;
		report(drain, "record_corrupt", "longer than a record can be");
		return true;
	}
	record = reserve(drain, bytes);
	if (!record)
		return false;
	/* The message after the next one is on its way from the worker's cache meanwhile. Beyond the
	 * ring's end nothing is read: a prefetch does not fault. */
	for (uint32_t at = 0; at < PREFETCH_BYTES; at += 64)
		__builtin_prefetch(message + 2 * PREFETCH_BYTES + at);
	memcpy(record, message, bytes); /* the one copy: what is checked is what is journaled */
	if (rg_record_check(record, bytes, &err)) {
		drain->statistics.corrupt++;
		report(drain, "record_corrupt", err.text);
		return true;
	}
	if (rg_journal_writer_put(drain->journal, &gap)) {
		drain->statistics.repeated++;
		return true;
	}
	drain->statistics.records++;
	drain->statistics.bytes += bytes;
	if (gap)
		note_gap(drain, record, gap);
	return true;
}

static void note_ring_errors(struct rg_drain *drain, uint32_t worker)
{
	const struct rg_ring_consumer *consumer = &drain->consumers[worker];

	if (consumer->errors == drain->errors_seen[worker])
		return;
	drain->statistics.ring_errors += consumer->errors - drain->errors_seen[worker];
	drain->statistics.ring_skipped_bytes +=
		consumer->skipped_bytes - drain->skipped_seen[worker];
	drain->errors_seen[worker] = consumer->errors;
	drain->skipped_seen[worker] = consumer->skipped_bytes;
	report(drain, "ring_error", rg_ring_error_name(consumer->last_error));
}

/* Take what the rings hold, up to a bound for each, round and round. */
static uint32_t drain_rings(struct rg_drain *drain, struct rg_ring_consumer *consumers,
			    uint32_t count)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *message;
		uint32_t bytes;

		for (uint32_t n = 0;
		     n < RECORDS_A_TURN && (message = rg_ring_peek(&consumers[i], &bytes)); n++) {
			if (!take(drain, message, bytes))
				return taken;
			rg_ring_advance(&consumers[i]);
			taken++;
		}
	}
	return taken;
}

/* ---- joining ---- */

/* A file of another layout that a data plane left behind comes first: its records are older. */
static void open_retired(struct rg_drain *drain)
{
	struct rg_error err;
	int rc = rg_region_open_retired(drain->region, &drain->retired, &err);

	if (!rc) {
		rg_log(RG_LOG_INFO, "draining_retired file=%s workers=%u", drain->retired->path,
		       drain->retired->dataplane.worker_count);
		return;
	}
	drain->retired = NULL;
	if (rc != RG_ENOENT)
		report(drain, "retired_file", err.text);
}

static void remove_retired(struct rg_drain *drain)
{
	struct rg_error err;
	int rc = rg_region_remove_retired(drain->retired, &err);

	if (rc == RG_EAGAIN)
		return; /* not empty yet */
	if (rc) {
		report(drain, "retired_file", err.text);
		rg_region_close_retired(drain->retired);
	} else {
		drain->statistics.retired_files++;
		rg_log(RG_LOG_INFO, "retired_drained");
	}
	drain->retired = NULL;
	drain->next_join_ns = 0;
}

static void attach(struct rg_drain *drain)
{
	uint32_t workers = rg_region_dataplane(drain->region)->worker_count;
	struct rg_error err;

	for (uint32_t w = 0; w < workers; w++) {
		int rc = rg_region_consumer(drain->region, w, &drain->consumers[w], &err);

		if (rc) {
			if (rc == RG_EAGAIN && !drain->retired)
				open_retired(drain);
			else if (rc != RG_EAGAIN)
				report(drain, "ring_join_failed", err.text);
			return; /* tried again with the next look */
		}
		drain->errors_seen[w] = drain->consumers[w].errors;
		drain->skipped_seen[w] = drain->consumers[w].skipped_bytes;
	}
	RG_FAILPOINT("drain.attached");
	drain->count = workers;
	drain->statistics.joins++;
	drain->statistics.joined = true;
	rg_log(RG_LOG_INFO, "dataplane_joined workers=%u epoch=%llu pid=%llu", workers,
	       (unsigned long long)rg_region_epoch(drain->region, RG_REGION_DATAPLANE),
	       (unsigned long long)rg_region_pid(drain->region, RG_REGION_DATAPLANE));
}

static void look_for_dataplane(struct rg_drain *drain)
{
	bool changed = false;
	struct rg_error err;
	int rc = rg_region_join_dataplane(drain->region, &changed, &err);

	if (rc && rc != RG_EAGAIN)
		report(drain, "dataplane_file", err.text);
	if (changed)
		drain->count = 0; /* the rings may lie elsewhere now */
	if (!rc && !drain->count && !drain->retired)
		attach(drain);
}

uint32_t rg_drain_do_work(struct rg_drain *drain, uint64_t monotonic_ns, uint64_t unix_ns)
{
	uint32_t taken = 0;

	drain->monotonic_ns = monotonic_ns;
	drain->unix_ns = unix_ns;
	if (monotonic_ns >= drain->next_join_ns) {
		drain->next_join_ns = monotonic_ns + JOIN_PERIOD_NS;
		look_for_dataplane(drain);
	}
	if (drain->statistics.journal_failing && (monotonic_ns < drain->retry_ns || !flush(drain)))
		return 0;
	if (drain->retired)
		taken = drain_rings(drain, drain->retired->consumers,
				    drain->retired->dataplane.worker_count);
	else
		taken = drain_rings(drain, drain->consumers, drain->count);
	for (uint32_t w = 0; w < drain->count; w++)
		note_ring_errors(drain, w);
	if (taken && !flush(drain))
		return 0;
	if (drain->retired && !taken && !drain->statistics.journal_failing)
		remove_retired(drain);
	return taken;
}

uint64_t rg_drain_ring_bytes(const struct rg_drain *drain, uint32_t worker)
{
	return worker < drain->count ? rg_ring_backlog_bytes(&drain->consumers[worker]) : 0;
}

uint64_t rg_drain_backlog_bytes(const struct rg_drain *drain)
{
	uint64_t total = 0;

	for (uint32_t w = 0; w < drain->count; w++)
		total += rg_ring_backlog_bytes(&drain->consumers[w]);
	return total;
}

void rg_drain_statistics(const struct rg_drain *drain, struct rg_drain_statistics *statistics)
{
	*statistics = drain->statistics;
	statistics->retired_open = drain->retired != NULL;
}

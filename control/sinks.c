/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sinks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/decision_mask.h"
#include "control/sink_decision_log.h"
#include "control/sink_postgres.h"
#include "control/sink_sqlite.h"
#include "shm/counters.h"

#define SINKS_MAX	   4
#define STOP_MS		   10000
#define DECISION_LOG_BATCH 2000 /* records, of some KB each as events */

/* Where a sink's figures are in the region. */
struct metrics {
	const char *name; /* of the driver */
	uint32_t records, batches, errors, passed_over, lag, lag_seconds, rate, away;
	uint32_t refused, dropped; /* NO_METRIC: its store takes every record */
};
#define NO_METRIC UINT32_MAX

#define METRICS(driver_name, symbol, refused_metric, dropped_metric)                               \
	{                                                                                          \
		driver_name, RG_CONTROL_##symbol##_RECORDS, RG_CONTROL_##symbol##_BATCHES,         \
			RG_CONTROL_##symbol##_ERRORS, RG_CONTROL_##symbol##_PASSED_OVER,           \
			RG_CONTROL_##symbol##_LAG_FRAMES, RG_CONTROL_##symbol##_LAG_SECONDS,       \
			RG_CONTROL_##symbol##_RATE, RG_CONTROL_##symbol##_AWAY, refused_metric,    \
			dropped_metric                                                             \
	}
static const struct metrics metrics[] = {
	METRICS("sqlite", SQLITE, NO_METRIC, NO_METRIC),
	METRICS("postgresql", POSTGRES, NO_METRIC, NO_METRIC),
	METRICS("decision_logs", LOGS, RG_CONTROL_LOGS_REFUSED, RG_CONTROL_LOGS_DROPPED),
};

struct entry {
	struct rg_sink *lanes[RG_SINK_LANES_MAX];
	uint32_t lanes_count;
	const char *place; /* where it stores, for people; without secrets */
	const struct metrics *metrics;
	struct rg_sink_statistics counted; /* what the region's counters hold already */
};

struct rg_sinks {
	struct entry entries[SINKS_MAX];
	uint32_t count;
	uint64_t durable_index; /* how far they were told to go */
	struct rg_decision_search *search;
	struct rg_decision_mask *mask; /* of decision logs; NULL: there are none */
	uint64_t masks_failed;	       /* what the region's counter holds already */
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* All lanes of all entries: for (struct walk at = {0}; next(sinks, &at);) ... at.sink */
struct walk {
	uint32_t entry, lane;
	struct rg_sink *sink;
};

static bool next(const struct rg_sinks *sinks, struct walk *at)
{
	if (at->sink && ++at->lane == sinks->entries[at->entry].lanes_count)
		*at = (struct walk){.entry = at->entry + 1};
	if (at->entry == sinks->count)
		return false;
	at->sink = sinks->entries[at->entry].lanes[at->lane];
	return true;
}

/* The figures of all lanes as one sink's. */
static void entry_statistics(const struct entry *entry, uint64_t now_unix_ns,
			     struct rg_sink_statistics *sum)
{
	struct rg_sink_statistics lane;

	rg_sink_statistics(entry->lanes[0], now_unix_ns, sum);
	for (uint32_t i = 1; i < entry->lanes_count; i++) {
		rg_sink_statistics(entry->lanes[i], now_unix_ns, &lane);
		sum->stored += lane.stored;
		sum->records += lane.records;
		sum->batches += lane.batches;
		sum->failures += lane.failures;
		sum->records_per_s += lane.records_per_s;
		sum->away |= lane.away;
		/* each passes over the same damage, and over what others store */
		if (lane.passed_over > sum->passed_over)
			sum->passed_over = lane.passed_over;
		if (lane.lag_frames > sum->lag_frames)
			sum->lag_frames = lane.lag_frames;
		if (lane.lag_s > sum->lag_s)
			sum->lag_s = lane.lag_s;
		if (rg_journal_position_compare(&lane.position, &sum->position) < 0)
			sum->position = lane.position;
		if (lane.transaction_ns_last > sum->transaction_ns_last)
			sum->transaction_ns_last = lane.transaction_ns_last;
		if (lane.transaction_ns_max > sum->transaction_ns_max)
			sum->transaction_ns_max = lane.transaction_ns_max;
		if (lane.last_error_ns > sum->last_error_ns) {
			sum->last_error_ns = lane.last_error_ns;
			memcpy(sum->last_error, lane.last_error, sizeof(lane.last_error));
		}
	}
}

static struct entry *add(struct rg_sinks *sinks, struct rg_sink *sink, const char *place)
{
	struct entry *entry = &sinks->entries[sinks->count++];

	entry->lanes[entry->lanes_count++] = sink;
	entry->place = place;
	rg_sink_statistics(sink, 0, &entry->counted);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		if (!strcmp(metrics[i].name, entry->counted.name))
			entry->metrics = &metrics[i];
	return entry;
}

static int add_sqlite(struct rg_sinks *sinks, const struct rg_config *config,
		      const char *journal_directory, const struct rg_schema *schema,
		      struct rg_error *err)
{
	struct rg_sink_options options = {.journal_directory = journal_directory,
					  .schema = schema,
					  .batch = config->sinks.sqlite.batch};
	struct rg_sink_sqlite_options store_options = {.path = config->sinks.sqlite.path,
						       .retention_days =
							       config->sinks.sqlite.retention_days,
						       .max_rows = config->sinks.sqlite.max_rows,
						       .max_bytes = config->sinks.sqlite.max_bytes};
	struct rg_sink *sink = NULL;
	void *store;
	int rc = rg_sink_sqlite_new(&store_options, &store, err);

	if (!rc)
		rc = rg_sink_new(&options, &rg_sink_sqlite_driver, store, &sink, err);
	if (!rc)
		rc = rg_sink_open(sink, err);
	if (!rc)
		rc = rg_decision_search_open(store_options.path, schema, &sinks->search, err);
	if (rc)
		rg_sink_close(sink);
	else
		add(sinks, sink, store_options.path);
	return rc ? rg_error_prefix(err, "sinks.sqlite") : RG_OK;
}

static int add_postgresql(struct rg_sinks *sinks, const struct rg_config *config,
			  const char *journal_directory, const struct rg_schema *schema,
			  struct rg_error *err)
{
	struct rg_sink_options options = {.journal_directory = journal_directory,
					  .schema = schema,
					  .batch = config->sinks.postgresql.batch,
					  .keep_s = config->sinks.postgresql.failover_window_s};
	struct rg_sink_postgres_options store_options = {
		.connection = config->sinks.postgresql.connection,
		.password_file = config->sinks.postgresql.password_file,
		.node = config->node,
		.instance = config->instance,
		.schema = schema,
		.requests_as_bytes = config->sinks.postgresql.request == RG_CONFIG_REQUEST_BYTES,
		.partitions_ahead = config->sinks.postgresql.partitions_ahead,
		.retention_days = config->sinks.postgresql.retention_days};
	struct entry *entry = NULL;

	options.lanes = store_options.lanes = config->sinks.postgresql.connections;
	for (uint32_t lane = 0; lane < options.lanes; lane++) {
		struct rg_sink *sink;
		const char *place;
		void *store;
		int rc;

		options.lane = store_options.lane = lane;
		rc = rg_sink_postgres_new(&store_options, &store, &place, err);
		if (!rc)
			rc = rg_sink_new(&options, &rg_sink_postgres_driver, store, &sink, err);
		if (rc)
			return rg_error_prefix(err, "sinks.postgresql");
		if (entry)
			entry->lanes[entry->lanes_count++] = sink;
		else
			entry = add(sinks, sink, place);
	}
	return RG_OK;
}

static int add_decision_logs(struct rg_sinks *sinks, const struct rg_config *config,
			     const char *journal_directory, const char *region_directory,
			     const struct rg_schema *schema, struct rg_error *err)
{
	const struct rg_config_decision_logs *logs = &config->opa.decision_logs;
	uint64_t rate = logs->reporting.max_decisions_per_second;
	struct rg_sink_options options = {
		.journal_directory = journal_directory,
		.schema = schema,
		.batch = rate && rate < DECISION_LOG_BATCH ? (uint32_t)rate : DECISION_LOG_BATCH};
	struct rg_sink_decision_log_options store_options = {.config = config, .schema = schema};
	struct rg_sink *sink;
	char path[1024];
	void *store;
	int rc;

	snprintf(path, sizeof(path), "%s/decision-logs.sqlite", config->control.state_directory);
	store_options.path = path;
	rc = rg_decision_mask_new(region_directory, config->api.scratch_bytes, logs->mask_decision,
				  logs->drop_decision, &sinks->mask, err);
	store_options.mask = sinks->mask;
	if (!rc)
		rc = rg_sink_decision_log_new(&store_options, &store, err);
	if (!rc)
		rc = rg_sink_new(&options, &rg_sink_decision_log_driver, store, &sink, err);
	if (rc)
		return rg_error_prefix(err, "decision_logs");
	add(sinks, sink, logs->service ? logs->service : "console");
	return RG_OK;
}

int rg_sinks_new(const struct rg_config *config, const char *journal_directory,
		 const char *region_directory, const struct rg_schema *schema,
		 struct rg_sinks **out, struct rg_error *err)
{
	struct rg_sinks *sinks = calloc(1, sizeof(*sinks));
	int rc = RG_OK;

	if (!sinks)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	if (config->sinks.sqlite.enabled)
		rc = add_sqlite(sinks, config, journal_directory, schema, err);
	if (!rc && config->sinks.postgresql.enabled)
		rc = add_postgresql(sinks, config, journal_directory, schema, err);
	if (!rc && config->opa.decision_logs.enabled)
		rc = add_decision_logs(sinks, config, journal_directory, region_directory, schema,
				       err);
	if (rc)
		rg_sinks_delete(sinks);
	else
		*out = sinks;
	return rc;
}

int rg_sinks_start(struct rg_sinks *sinks, struct rg_journal_writer *journal, uint64_t now_unix_ns,
		   bool threads, struct rg_error *err)
{
	struct rg_journal_position durable;

	rg_journal_writer_durable(journal, &durable);
	for (struct walk at = {0}; next(sinks, &at);) {
		int rc;

		rg_sink_follow(at.sink, &durable, now_unix_ns);
		rc = threads ? rg_sink_start(at.sink, err) : RG_OK;
		if (rc)
			return rc;
	}
	sinks->durable_index = durable.index;
	return RG_OK;
}

uint32_t rg_sinks_work(struct rg_sinks *sinks, uint64_t now_unix_ns)
{
	uint32_t records = 0;

	for (struct walk at = {0}; next(sinks, &at);) {
		int read = rg_sink_work(at.sink, now_unix_ns, NULL);

		records += read > 0 ? (uint32_t)read : 0;
	}
	return records;
}

void rg_sinks_follow(struct rg_sinks *sinks, struct rg_journal_writer *journal,
		     uint64_t now_unix_ns)
{
	struct rg_journal_position durable;

	rg_journal_writer_durable(journal, &durable);
	if (durable.index == sinks->durable_index)
		return;
	sinks->durable_index = durable.index;
	for (struct walk at = {0}; next(sinks, &at);)
		rg_sink_follow(at.sink, &durable, now_unix_ns);
}

void rg_sinks_stop(struct rg_sinks *sinks)
{
	uint64_t began_ns = monotonic_ns();

	/* they work at the same time, so they share the time */
	for (struct walk at = {0}; next(sinks, &at);) {
		uint64_t gone_ms = (monotonic_ns() - began_ns) / 1000000;

		rg_sink_stop(at.sink, gone_ms < STOP_MS ? (uint32_t)(STOP_MS - gone_ms) : 0);
	}
}

void rg_sinks_delete(struct rg_sinks *sinks)
{
	if (!sinks)
		return;
	for (struct walk at = {0}; next(sinks, &at);)
		rg_sink_close(at.sink);
	rg_decision_search_close(sinks->search);
	rg_decision_mask_delete(sinks->mask);
	free(sinks);
}

bool rg_sinks_keep(struct rg_sinks *sinks, struct rg_journal_position *position)
{
	struct rg_journal_position keep;

	*position = (struct rg_journal_position){.index = UINT64_MAX};
	for (struct walk at = {0}; next(sinks, &at);) {
		if (!rg_sink_keep(at.sink, &keep))
			return false;
		if (rg_journal_position_compare(&keep, position) < 0)
			*position = keep;
	}
	return true;
}

void rg_sinks_want_policy(struct rg_sinks *sinks, uint64_t sequence)
{
	if (sinks->mask && sequence)
		rg_decision_mask_want(sinks->mask, sequence);
}

struct rg_decision_search *rg_sinks_search(struct rg_sinks *sinks)
{
	return sinks->search;
}

/* ---- figures ---- */

bool rg_sinks_decision_logs(struct rg_sinks *sinks, uint64_t now_unix_ns,
			    struct rg_sink_statistics *statistics)
{
	for (uint32_t i = 0; i < sinks->count; i++) {
		entry_statistics(&sinks->entries[i], now_unix_ns, statistics);
		if (!strcmp(statistics->name, "decision_logs"))
			return true;
	}
	return false;
}

void rg_sinks_total(struct rg_sinks *sinks, uint64_t now_unix_ns, struct rg_sinks_total *total)
{
	struct rg_sink_statistics now;

	*total = (struct rg_sinks_total){0};
	for (uint32_t i = 0; i < sinks->count; i++) {
		entry_statistics(&sinks->entries[i], now_unix_ns, &now);
		if (!i || now.stored < total->stored)
			total->stored = now.stored;
		if (now.lag_frames > total->lag_frames)
			total->lag_frames = now.lag_frames;
	}
}

static void count_entry(struct entry *entry, uint64_t now_unix_ns, uint64_t *values)
{
	struct rg_sink_statistics now, *before = &entry->counted;
	const struct metrics *at = entry->metrics;

	entry_statistics(entry, now_unix_ns, &now);
	values[at->records] += now.records - before->records;
	values[at->batches] += now.batches - before->batches;
	values[at->errors] += now.failures - before->failures;
	values[at->passed_over] += now.passed_over - before->passed_over;
	if (at->refused != NO_METRIC)
		values[at->refused] += now.records_refused - before->records_refused;
	if (at->dropped != NO_METRIC)
		values[at->dropped] += now.records_dropped - before->records_dropped;
	values[at->lag] = now.lag_frames;
	values[at->lag_seconds] = (uint64_t)now.lag_s;
	values[at->rate] = (uint64_t)now.records_per_s;
	values[at->away] = now.away;
	*before = now;
}

void rg_sinks_count(struct rg_sinks *sinks, uint64_t now_unix_ns, uint64_t *values)
{
	for (uint32_t i = 0; i < sinks->count; i++)
		count_entry(&sinks->entries[i], now_unix_ns, values);
	if (sinks->mask) {
		uint64_t failed = rg_decision_mask_failures(sinks->mask);

		values[RG_CONTROL_MASKS_FAILED] += failed - sinks->masks_failed;
		sinks->masks_failed = failed;
	}
}

static void write_uint(struct rg_json_writer *writer, const char *key, uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

static void write_text(struct rg_json_writer *writer, const char *key, const char *value)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, value);
}

static void write_entry(const struct entry *entry, uint64_t now_unix_ns,
			struct rg_json_writer *writer)
{
	struct rg_sink_statistics now;

	entry_statistics(entry, now_unix_ns, &now);
	rg_json_write_object_begin(writer);
	write_text(writer, "name", now.name);
	write_text(writer, "place", entry->place);
	write_text(writer, "state", now.away ? "away" : now.lag_frames ? "following" : "ok");
	write_uint(writer, "stored", now.stored);
	write_uint(writer, "lag", now.lag_frames);
	rg_json_write_key(writer, "lag_s");
	rg_json_write_double(writer, (double)(uint64_t)(now.lag_s * 1000) / 1000);
	write_uint(writer, "records_per_s", (uint64_t)now.records_per_s);
	write_uint(writer, "failures", now.failures);
	write_uint(writer, "passed_over", now.passed_over);
	write_uint(writer, "refused", now.refused);
	write_uint(writer, "dropped", now.dropped);
	write_uint(writer, "transaction_ns_last", now.transaction_ns_last);
	write_uint(writer, "transaction_ns_max", now.transaction_ns_max);
	if (now.last_error_ns)
		write_uint(writer, "last_error_ns", now.last_error_ns);
	if (now.last_error[0])
		write_text(writer, "last_error", now.last_error);
	rg_json_write_object_end(writer);
}

void rg_sinks_write(struct rg_sinks *sinks, uint64_t now_unix_ns, struct rg_json_writer *writer)
{
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < sinks->count; i++)
		write_entry(&sinks->entries[i], now_unix_ns, writer);
	rg_json_write_array_end(writer);
}

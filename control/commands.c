/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the control socket: one JSON object a line in, one out. docs/riskctl.md says what
 * they mean to people.
 *
 *	status		everything that is known: policy, records, dataplane, workers, rings,
 *			sinks, journal, the last publish
 *	policy....	what is done with policies: policy_commands.c
 *	decisions	limit (20), verdict, template, revision, request_id, before (unix ns):
 *			newest first
 *	reasons		id and name of each
 *	journal		where it is and how far
 *
 * Answers are {"ok":true, ...} or {"ok":false,"error":text,"status":name of an enum rg_status}. An
 * unknown command or key is an error.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/commands.h"
#include "control/compile_arena.h"
#include "control/state.h"

#define DECISIONS_DEFAULT 20
#define DECISIONS_MAX	  10000

/* ---- reading ---- */

struct text_argument {
	const char *key;
	char *text;
	size_t bytes;
};

static int read_text(struct rg_json_reader *reader, const struct text_argument *argument,
		     struct rg_error *err)
{
	char *decoded;
	size_t n;

	if (rg_json_next(reader) != RG_JSON_STRING)
		return rg_error_set(err, RG_EINVAL, "\"%s\" must be a string", argument->key);
	decoded = malloc(reader->text_bytes * 3 + 1);
	if (!decoded)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	n = rg_json_decode(reader, decoded);
	if (n >= argument->bytes || memchr(decoded, 0, n)) {
		free(decoded);
		return rg_error_set(err, RG_ELIMIT, "\"%s\" is too long or holds a NUL",
				    argument->key);
	}
	memcpy(argument->text, decoded, n);
	argument->text[n] = '\0';
	free(decoded);
	return RG_OK;
}

/* An unsigned integer, as a number or as a string of digits. */
static int read_number(struct rg_json_reader *reader, const char *key, uint64_t *number,
		       struct rg_error *err)
{
	enum rg_json_token token = rg_json_next(reader);
	char text[24], *end;

	if ((token != RG_JSON_NUMBER && token != RG_JSON_STRING) || !reader->text_bytes ||
	    reader->text_bytes >= sizeof(text))
		return rg_error_set(err, RG_EINVAL, "\"%s\" must be an unsigned integer", key);
	memcpy(text, reader->text, reader->text_bytes);
	text[reader->text_bytes] = '\0';
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9')
		return rg_error_set(err, RG_EINVAL, "\"%s\" must be an unsigned integer, not %s",
				    key, text);
	return RG_OK;
}

static int read_argument(struct rg_json_reader *reader, struct rg_arguments *arguments,
			 struct rg_error *err)
{
	const struct text_argument texts[] = {
		{"command", arguments->command, sizeof(arguments->command)},
		{"path", arguments->path, sizeof(arguments->path)},
		{"verdict", arguments->verdict, sizeof(arguments->verdict)},
		{"template", arguments->template_name, sizeof(arguments->template_name)},
		{"revision", arguments->revision, sizeof(arguments->revision)},
		{"reason", arguments->reason, sizeof(arguments->reason)},
		{"approver", arguments->approver, sizeof(arguments->approver)},
		{"signature", arguments->signature, sizeof(arguments->signature)},
		{"bundle", arguments->bundle, sizeof(arguments->bundle)},
	};
	const struct {
		const char *key;
		uint64_t *number;
		bool *given;
	} numbers[] = {
		{"wait_ms", &arguments->wait_ms, &arguments->has_wait},
		{"sequence", &arguments->sequence, NULL},
		{"from", &arguments->from, NULL},
		{"limit", &arguments->limit, NULL},
		{"request_id", &arguments->request_id, &arguments->has_request_id},
		{"before", &arguments->before_ns, NULL},
	};

	const struct {
		const char *key;
		bool *flag;
	} flags[] = {{"v0", &arguments->v0},
		     {"allow_older", &arguments->allow_older},
		     {"dry_run", &arguments->dry_run}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (rg_json_equals(reader, texts[i].key))
			return read_text(reader, &texts[i], err);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!rg_json_equals(reader, numbers[i].key))
			continue;
		if (numbers[i].given)
			*numbers[i].given = true;
		return read_number(reader, numbers[i].key, numbers[i].number, err);
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		enum rg_json_token token;

		if (!rg_json_equals(reader, flags[i].key))
			continue;
		token = rg_json_next(reader);
		*flags[i].flag = token == RG_JSON_TRUE;
		if (token != RG_JSON_TRUE && token != RG_JSON_FALSE)
			return rg_error_set(err, RG_EINVAL, "\"%s\" must be true or false",
					    flags[i].key);
		return RG_OK;
	}
	return rg_error_set(err, RG_EINVAL, "unknown key \"%.*s\"",
			    (int)(reader->text_bytes > 64 ? 64 : reader->text_bytes), reader->text);
}

static int read_arguments(const char *line, size_t bytes, struct rg_arguments *arguments,
			  struct rg_error *err)
{
	struct rg_json_reader reader;
	enum rg_json_token token;
	int rc = RG_OK;

	memset(arguments, 0, sizeof(*arguments));
	rg_json_reader_init(&reader, line, bytes);
	token = rg_json_next(&reader);
	if (token == RG_JSON_ERROR)
		return rg_error_set(err, RG_EINVAL, "malformed JSON: %s", reader.error.text);
	if (token != RG_JSON_OBJECT_BEGIN)
		return rg_error_set(err, RG_EINVAL,
				    "a command is a JSON object: {\"command\": \"status\"}");
	while (!rc && (token = rg_json_next(&reader)) == RG_JSON_KEY)
		rc = read_argument(&reader, arguments, err);
	if (!reader.error.status && !rc)
		rg_json_next(&reader); /* nothing may follow */
	if (reader.error.status)
		return rg_error_set(err, RG_EINVAL, "malformed JSON: %s", reader.error.text);
	return rc;
}

/* ---- writing ---- */

static void key_uint(struct rg_json_writer *writer, const char *key, uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

static void key_text(struct rg_json_writer *writer, const char *key, const char *value)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, value);
}

static void key_bool(struct rg_json_writer *writer, const char *key, bool value)
{
	rg_json_write_key(writer, key);
	rg_json_write_bool(writer, value);
}

static void key_object(struct rg_json_writer *writer, const char *key)
{
	rg_json_write_key(writer, key);
	rg_json_write_object_begin(writer);
}

static void key_array(struct rg_json_writer *writer, const char *key)
{
	rg_json_write_key(writer, key);
	rg_json_write_array_begin(writer);
}

void rg_answer_begin(struct rg_json_writer *writer)
{
	rg_json_writer_init(writer, false);
	rg_json_write_object_begin(writer);
	key_bool(writer, "ok", true);
}

/* To the unix socket or to the HTTP API: the ticket tells. */
static void deliver(struct rg_control *control, uint64_t ticket,
		    const struct rg_json_writer *writer)
{
	if (ticket & RG_API_TICKET)
		rg_api_answer(control->api, ticket, writer->text, writer->bytes);
	else
		rg_server_answer(control->server, ticket, writer->text, writer->bytes);
}

void rg_answer_send(struct rg_control *control, uint64_t ticket, struct rg_json_writer *writer)
{
	struct rg_error err;

	rg_json_write_object_end(writer);
	if (writer->failed) {
		rg_error_set(&err, RG_ENOMEM, "out of memory for the answer");
		rg_commands_refuse(control, ticket, &err);
	} else {
		deliver(control, ticket, writer);
	}
	rg_json_writer_free(writer);
}

void rg_commands_refuse(struct rg_control *control, uint64_t ticket, const struct rg_error *err)
{
	struct rg_json_writer writer;

	control->counters.values[RG_CONTROL_COMMANDS_FAILED]++;
	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	key_bool(&writer, "ok", false);
	key_text(&writer, "error", err->text);
	key_text(&writer, "status", rg_status_name(err->status));
	rg_json_write_object_end(&writer);
	if (!writer.failed)
		deliver(control, ticket, &writer);
	rg_json_writer_free(&writer);
}

bool rg_request_is_anonymous(const struct rg_server_request *request)
{
	return request->who && !*request->who;
}

void rg_request_identity(const struct rg_server_request *request, char *name, size_t name_bytes)
{
	if (!request->who)
		rg_push_name_user(request->uid, name, name_bytes);
	else
		snprintf(name, name_bytes, "%s", *request->who ? request->who : "anonymous");
}

/* ---- status ---- */

void rg_answer_write_publish(struct rg_json_writer *writer, const struct rg_publish_times *times)
{
	const uint64_t *entered = times->entered_ns;
	uint64_t announced = entered[RG_MAILBOX_ANNOUNCED];

	rg_json_write_object_begin(writer);
	key_uint(writer, "sequence", times->sequence);
	rg_json_write_key(writer, "load_ms");
	rg_json_write_double(writer, (double)(times->load_ns / 1000) / 1e3);
	rg_json_write_key(writer, "compile_ms");
	rg_json_write_double(writer, (double)(times->compile_ns / 1000) / 1e3);
	rg_json_write_key(writer, "verify_ms");
	rg_json_write_double(writer, (double)(times->verify_ns / 1000) / 1e3);
	rg_json_write_key(writer, "write_ms");
	rg_json_write_double(writer, (double)(times->write_ns / 1000) / 1e3);
	if (entered[RG_MAILBOX_ACTIVE] >= announced && announced)
		key_uint(writer, "announce_to_active_ns", entered[RG_MAILBOX_ACTIVE] - announced);
	key_object(writer, "steps_ns");
	for (int state = RG_MAILBOX_COPYING; state < RG_MAILBOX_STATE_COUNT; state++) {
		if (entered[state] >= announced && announced)
			key_uint(writer, rg_mailbox_state_name((enum rg_mailbox_state)state),
				 entered[state] - announced);
	}
	rg_json_write_object_end(writer);
	rg_json_write_object_end(writer);
}

static void write_policy(struct rg_control *control, struct rg_json_writer *writer)
{
	struct rg_mailbox_progress progress = {0};
	bool joined = rg_control_progress(control, &progress);
	uint64_t sequence = rg_control_policy_sequence(control),
		 since_ns = progress.active_since_ns;
	const struct rg_policy_meta *meta = rg_policy_store_find(control->store, sequence);
	struct rg_publisher_status publisher = {0};
	uint32_t under_way = 0;

	if (joined && rg_region_dataplane(control->region)->publisher)
		rg_publisher_read(rg_region_dataplane(control->region)->publisher, &publisher);
	if (!since_ns && meta)
		since_ns = meta->activated_ns;
	for (int i = 0; i < RG_PUSHES_MAX; i++)
		under_way += control->pushes[i].stage != RG_PUSH_FREE;
	rg_json_write_object_begin(writer);
	key_uint(writer, "sequence", sequence);
	if (meta || publisher.bundle[0]) {
		key_text(writer, "bundle", meta ? meta->bundle : publisher.bundle);
		key_text(writer, "revision", meta ? meta->revision : publisher.revision);
	}
	if (sequence && since_ns && control->now.unix_ns >= since_ns)
		key_uint(writer, "age_s", (control->now.unix_ns - since_ns) / 1000000000u);
	if (joined)
		key_text(writer, "state",
			 rg_mailbox_state_name((enum rg_mailbox_state)progress.state));
	key_uint(writer, "accepted", control->pushes_accepted);
	key_uint(writer, "refused", control->pushes_refused);
	key_uint(writer, "under_way", under_way);
	if (control->last_error[0]) {
		key_text(writer, "last_error", control->last_error);
		key_uint(writer, "last_error_ns", control->last_error_ns);
	}
	rg_json_write_object_end(writer);
}

static void write_records(struct rg_control *control, struct rg_json_writer *writer)
{
	struct rg_journal_statistics journal;
	struct rg_drain_statistics drain;
	struct rg_sinks_total total;

	rg_journal_writer_statistics(control->journal, &journal);
	rg_drain_statistics(control->drain, &drain);
	rg_sinks_total(control->sinks, control->now.unix_ns, &total);
	rg_json_write_object_begin(writer);
	key_uint(writer, "journaled", journal.records);
	key_uint(writer, "stored", total.stored);
	key_uint(writer, "lag", total.lag_frames);
	key_uint(writer, "in_rings_bytes", rg_drain_backlog_bytes(control->drain));
	key_uint(writer, "repeated", drain.repeated);
	key_uint(writer, "missing", drain.missing);
	key_uint(writer, "corrupt", drain.corrupt);
	rg_json_write_object_end(writer);
}

static void write_dataplane(struct rg_control *control, struct rg_json_writer *writer)
{
	const struct rg_region *region = control->region;
	bool joined = rg_region_dataplane(region)->header != NULL;

	rg_json_write_object_begin(writer);
	key_bool(writer, "running", rg_region_running(region, RG_REGION_DATAPLANE));
	key_bool(writer, "joined", joined);
	key_uint(writer, "pid", rg_region_pid(region, RG_REGION_DATAPLANE));
	key_uint(writer, "epoch", rg_region_epoch(region, RG_REGION_DATAPLANE));
	key_uint(writer, "workers", rg_region_dataplane(region)->worker_count);
	key_text(writer, "region", control->region_directory);
	rg_json_write_object_end(writer);
}

static void write_latency(struct rg_json_writer *writer, const struct rg_histogram *histogram)
{
	struct rg_histogram_snapshot *snapshot = histogram ? calloc(1, sizeof(*snapshot)) : NULL;

	if (!snapshot)
		return;
	rg_histogram_merge(snapshot, histogram);
	key_object(writer, "latency_ns");
	key_uint(writer, "p50", rg_histogram_percentile(snapshot, 50));
	key_uint(writer, "p99", rg_histogram_percentile(snapshot, 99));
	key_uint(writer, "p999", rg_histogram_percentile(snapshot, 99.9));
	key_uint(writer, "max", rg_histogram_percentile(snapshot, 100));
	rg_json_write_object_end(writer);
	free(snapshot);
}

static void write_worker(struct rg_json_writer *writer, uint32_t index,
			 const struct rg_region_worker *worker)
{
	struct rg_worker_identity identity = {0};
	struct rg_worker_progress progress = {0};

	rg_worker_read_identity(worker->status, &identity);
	rg_worker_read_progress(worker->status, &progress);
	rg_json_write_object_begin(writer);
	key_uint(writer, "worker", index);
	key_text(writer, "state", rg_worker_state_name(rg_worker_state(worker->status)));
	key_uint(writer, "core", identity.cpu == UINT64_MAX ? identity.core : identity.cpu);
	key_text(writer, "queues", identity.queues);
	key_uint(writer, "policy_sequence", progress.policy_sequence);
	key_uint(writer, "heartbeat_ns", progress.heartbeat_ns);
	key_uint(writer, "requests", rg_counters_read(worker->counters, RG_WORKER_REQUESTS));
	key_uint(writer, "allow", rg_counters_read(worker->counters, RG_WORKER_DECISIONS_ALLOW));
	key_uint(writer, "deny", rg_counters_read(worker->counters, RG_WORKER_DECISIONS_DENY));
	key_uint(writer, "review", rg_counters_read(worker->counters, RG_WORKER_DECISIONS_REVIEW));
	key_uint(writer, "records", rg_counters_read(worker->counters, RG_WORKER_RECORDS));
	key_uint(writer, "recorder_full",
		 rg_counters_read(worker->counters, RG_WORKER_RECORDER_FULL));
	key_uint(writer, "records_lost",
		 rg_counters_read(worker->counters, RG_WORKER_RECORDS_LOST));
	write_latency(writer, worker->histograms[RG_WORKER_HISTOGRAM_LATENCY]);
	rg_json_write_object_end(writer);
}

static void write_workers(struct rg_control *control, struct rg_json_writer *writer)
{
	const struct rg_region_dataplane *dataplane = rg_region_dataplane(control->region);

	key_array(writer, "workers");
	for (uint32_t w = 0; w < dataplane->worker_count; w++)
		write_worker(writer, w, &dataplane->workers[w]);
	rg_json_write_array_end(writer);
	key_array(writer, "rings");
	for (uint32_t w = 0; w < dataplane->worker_count; w++) {
		uint64_t used = rg_drain_ring_bytes(control->drain, w);

		rg_json_write_object_begin(writer);
		key_uint(writer, "worker", w);
		key_uint(writer, "bytes", dataplane->ring_bytes);
		key_uint(writer, "used", used);
		rg_json_write_key(writer, "fill");
		rg_json_write_double(writer, dataplane->ring_bytes
						     ? (double)used / (double)dataplane->ring_bytes
						     : 0);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

static void write_journal(struct rg_control *control, struct rg_json_writer *writer)
{
	struct rg_journal_statistics statistics;
	struct rg_journal_position end, durable;

	rg_journal_writer_statistics(control->journal, &statistics);
	rg_journal_writer_end(control->journal, &end);
	rg_journal_writer_durable(control->journal, &durable);
	rg_json_write_object_begin(writer);
	key_text(writer, "directory", control->journal_directory);
	key_uint(writer, "records", statistics.records);
	key_uint(writer, "frames", end.index);
	key_uint(writer, "durable_frames", durable.index);
	key_uint(writer, "segment", end.segment);
	key_uint(writer, "segment_bytes", end.offset);
	key_uint(writer, "segments", statistics.segments);
	key_uint(writer, "disk_bytes", statistics.bytes);
	key_uint(writer, "segments_removed", statistics.segments_removed);
	key_uint(writer, "frames_abandoned", statistics.frames_abandoned);
	key_uint(writer, "bytes_written", statistics.bytes_written);
	key_uint(writer, "staged_bytes", statistics.staged_bytes);
	key_uint(writer, "syncs", statistics.syncs);
	key_uint(writer, "sync_ns_max", statistics.sync_ns_max);
	key_uint(writer, "sync_failures", statistics.sync_failures);
	key_uint(writer, "write_failures", statistics.write_failures);
	rg_json_write_object_end(writer);
}

static void answer_status(struct rg_control *control, const struct rg_server_request *request,
			  const struct rg_arguments *arguments)
{
	struct rg_json_writer writer;
	uint64_t allocated, resident;

	rg_answer_begin(&writer);
	key_text(&writer, "version", RG_VERSION);
	key_text(&writer, "instance", control->config->instance);
	key_uint(&writer, "node", control->config->node);
	key_uint(&writer, "pid", (uint64_t)getpid());
	key_uint(&writer, "uptime_s",
		 (control->now.monotonic_ns - control->started_monotonic_ns) / 1000000000u);
	rg_json_write_key(&writer, "policy");
	write_policy(control, &writer);
	rg_json_write_key(&writer, "bundles");
	rg_bundles_write_status(control->bundles, &writer);
	rg_status_member_write(control, &writer);
	rg_json_write_key(&writer, "records");
	write_records(control, &writer);
	rg_json_write_key(&writer, "dataplane");
	write_dataplane(control, &writer);
	write_workers(control, &writer);
	rg_json_write_key(&writer, "sinks");
	rg_sinks_write(control->sinks, control->now.unix_ns, &writer);
	rg_fleet_member_write_status(control, &writer);
	rg_json_write_key(&writer, "journal");
	write_journal(control, &writer);
	if (control->last_publish.sequence) {
		rg_json_write_key(&writer, "publish");
		rg_answer_write_publish(&writer, &control->last_publish);
	}
	if (rg_allocator_statistics(&allocated, &resident)) {
		key_object(&writer, "memory");
		key_uint(&writer, "allocated_bytes", allocated);
		key_uint(&writer, "resident_bytes", resident);
		rg_json_write_object_end(&writer);
	}
	rg_answer_send(control, request->ticket, &writer);
}

static void answer_journal(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	struct rg_json_writer writer;

	rg_answer_begin(&writer);
	rg_json_write_key(&writer, "journal");
	write_journal(control, &writer);
	rg_answer_send(control, request->ticket, &writer);
}

static void answer_reasons(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	const struct rg_reason_list *reasons = rg_policy_store_reasons(control->store);
	struct rg_json_writer writer;

	rg_answer_begin(&writer);
	key_array(&writer, "reasons");
	for (uint32_t i = 0; i < reasons->count; i++) {
		rg_json_write_object_begin(&writer);
		key_uint(&writer, "id", i + 1);
		key_text(&writer, "name", reasons->names[i]);
		rg_json_write_object_end(&writer);
	}
	rg_json_write_array_end(&writer);
	rg_answer_send(control, request->ticket, &writer);
}

/* ---- decisions ---- */

/* A search may look through millions of rows: the rings must not fill meanwhile. */
static void drain_meanwhile(void *context)
{
	struct rg_control *control = context;

	rg_drain_do_work(control->drain, control->now.monotonic_ns, control->now.unix_ns);
}

static void answer_decisions(struct rg_control *control, const struct rg_server_request *request,
			     const struct rg_arguments *arguments)
{
	struct rg_decision_filter filter = {
		.limit = DECISIONS_DEFAULT,
		.verdict = arguments->verdict[0] ? arguments->verdict : NULL,
		.template_name = arguments->template_name[0] ? arguments->template_name : NULL,
		.revision = arguments->revision[0] ? arguments->revision : NULL,
		.has_request_id = arguments->has_request_id,
		.request_id = arguments->request_id,
		.before_ns = arguments->before_ns,
		.meanwhile = drain_meanwhile,
		.context = control};
	struct rg_decision_search *search = rg_sinks_search(control->sinks);
	struct rg_json_writer writer;
	struct rg_error err;

	if (arguments->limit)
		filter.limit = arguments->limit < DECISIONS_MAX ? (uint32_t)arguments->limit
								: DECISIONS_MAX;
	if (!search) {
		rg_error_set(&err, RG_ENOENT,
			     "decisions are kept in no sink: set sinks.sqlite.enabled, or read the "
			     "journal");
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_answer_begin(&writer);
	rg_json_write_key(&writer, "decisions");
	if (rg_decision_search_run(search, &filter, &writer, &err)) {
		rg_json_writer_free(&writer);
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_answer_send(control, request->ticket, &writer);
}

void rg_commands_handle(void *context, const struct rg_server_request *request)
{
	static const struct {
		const char *name;
		void (*answer)(struct rg_control *control, const struct rg_server_request *request,
			       const struct rg_arguments *arguments);
	} commands[] = {
		{"status", answer_status},
		{"policy.push", rg_policy_answer_push},
		{"policy.sync", rg_policy_answer_sync},
		{"policy.list", rg_policy_answer_list},
		{"policy.show", rg_policy_answer_show},
		{"policy.rollback", rg_policy_answer_rollback},
		{"policy.diff", rg_policy_answer_diff},
		{"policy.history", rg_policy_answer_history},
		{"policy.approve", rg_policy_answer_approve},
		{"policy.reject", rg_policy_answer_reject},
		{"decisions", answer_decisions},
		{"reasons", answer_reasons},
		{"journal", answer_journal},
	};
	struct rg_control *control = context;
	struct rg_arguments arguments;
	struct rg_error err;

	control->counters.values[RG_CONTROL_COMMANDS]++;
	if (read_arguments(request->line, request->bytes, &arguments, &err)) {
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_log(RG_LOG_DEBUG, "command=%s uid=%u pid=%d who=%s", arguments.command, request->uid,
	       (int)request->pid, request->who ? request->who : "-");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(arguments.command, commands[i].name)) {
			commands[i].answer(control, request, &arguments);
			return;
		}
	}
	rg_error_set(&err, RG_ENOENT, "unknown command \"%s\"", arguments.command);
	rg_commands_refuse(control, request->ticket, &err);
}

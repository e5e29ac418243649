/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "control/approvals.h"
#include "control/commands.h"
#include "control/journal_keeper.h"
#include "control/policy_sources.h"
#include "control/state.h"
#include "policy/image/image.h"

#define BEAT_PERIOD_NS	200000000ull
#define COUNT_PERIOD_NS 50000000ull

static const struct rg_compiler real_compiler = {rg_compile, rg_image_verify};

void rg_control_note(struct rg_control *control, const char *event, const char *text)
{
	rg_log(RG_LOG_ERROR, "%s error=\"%s\"", event, text);
	rg_error_log_addf(rg_region_control(control->region)->errors, control->now.unix_ns,
			  "%s: %s", event, text);
}

bool rg_control_progress(const struct rg_control *control, struct rg_mailbox_progress *progress)
{
	const struct rg_mailbox_reply *reply = rg_region_dataplane(control->region)->reply;

	return reply && !rg_mailbox_read_reply(reply, progress);
}

uint64_t rg_control_policy_sequence(const struct rg_control *control)
{
	const struct rg_policy_meta *last = rg_policy_store_last_active(control->store);
	struct rg_mailbox_progress progress;

	if (rg_control_progress(control, &progress))
		return progress.active_sequence;
	return last ? last->sequence : 0;
}

uint64_t rg_control_evaluated_sequence(const struct rg_control *control)
{
	struct rg_mailbox_progress progress;

	return rg_control_progress(control, &progress)
		       ? progress.active_sequence
		       : control->counters.values[RG_CONTROL_POLICY_SEQUENCE];
}

/* ---- opening ---- */

static int open_schema(struct rg_control *control, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	int rc = rg_schema_load(config->schema, &control->schema, err);

	if (rc)
		return rg_error_prefix(err, "schema");
	control->bindings = calloc(config->templates_count + 1, sizeof(control->bindings[0]));
	if (!control->bindings)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	for (uint32_t i = 0; i < config->templates_count; i++) {
		const char *name = config->templates[i].template_name;
		const struct rg_template *template =
			rg_schema_template_by_name(control->schema, name);

		if (!template || !rg_schema_is_request(template))
			return rg_error_set(err, RG_EINVAL,
					    "templates: \"%s\" is no request of the schema %s",
					    name, config->schema);
		control->bindings[i] = (struct rg_binding){name, config->templates[i].package};
	}
	return RG_OK;
}

static int open_region(struct rg_control *control, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	const struct rg_region_config wanted = {config->dataplane.workers,
						config->region.ring_bytes, config->instance,
						config->node};
	uint64_t needed = rg_region_needed_bytes(&wanted);
	int rc = rg_region_directory(config->region.directory, config->instance, needed,
				     control->region_directory, sizeof(control->region_directory),
				     err);

	if (!rc)
		rc = rg_region_create_control(control->region_directory, config->instance,
					      config->node, control->now.unix_ns, &control->region,
					      err);
	if (rc)
		return rg_error_prefix(err, "region.directory: \"%s\" (instance \"%s\")",
				       config->region.directory, config->instance);
	rg_error_log_repair(rg_region_control(control->region)->errors);
	return rg_counters_writer_join(&control->counters,
				       rg_region_control(control->region)->counters,
				       RG_METRIC_CONTROL, err);
}

static int open_all(struct rg_control *control, struct rg_error *err)
{
	const struct rg_config *config = control->config;
	int rc = open_schema(control, err);

	if (!rc)
		rc = open_region(control, err);
	if (!rc)
		rc = rg_policy_store_open(config->control.state_directory,
					  config->control.keep_images, &control->store, err);
	if (!rc && rg_policy_store_damage(control->store)[0])
		rg_control_note(control, "policy_store_damaged",
				rg_policy_store_damage(control->store));
	if (!rc)
		rc = rg_history_open(config->control.state_directory, &control->history, err);
	if (!rc)
		rc = rg_journal_keeper_open(control, err);
	if (!rc)
		rc = rg_sinks_new(config, control->journal_directory, control->region_directory,
				  control->schema, &control->sinks, err);
	if (!rc)
		rg_sinks_want_policy(control->sinks, rg_push_expected(control));
	if (!rc)
		rc = rg_sinks_start(control->sinks, control->journal, control->now.unix_ns,
				    !control->by_hand, err);
	if (!rc) {
		control->build_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		control->build = rg_build_new(control->build_fd);
		control->drain = rg_drain_new(control->region, control->journal);
		control->compare = rg_compare_new(control->build_fd);
		if (control->build_fd < 0 || !control->build || !control->compare ||
		    !control->drain)
			rc = rg_error_set(err, RG_ENOMEM, "out of memory or descriptors");
		else if (control->by_hand)
			rg_build_by_hand(control->build);
	}
	if (!rc) /* what is there at the start is not counted as done now */
		rg_journal_writer_statistics(control->journal, &control->journal_counted);
	if (!rc)
		rc = rg_policy_sources_open(control, err);
	if (!rc)
		rg_status_member_open(control);
	if (!rc)
		rc = rg_fleet_member_open(control, err);
	if (!rc)
		rc = rg_server_new(config->control.socket, rg_commands_handle, control,
				   &control->server, err);
	if (!rc)
		rc = rg_api_new(control, control->build_fd, &control->api, err);
	return rc;
}

static int new (const struct rg_config *config, const struct rg_compiler *compiler, bool by_hand,
		struct rg_control_clock now, struct rg_control **out, struct rg_error *err)
{
	struct rg_control *control = calloc(1, sizeof(*control));
	int rc;

	if (!control)
		return rg_error_set(err, RG_ENOMEM, "out of memory");
	control->config = config;
	control->compiler = compiler ? *compiler : real_compiler;
	control->now = now;
	control->started_unix_ns = now.unix_ns;
	control->started_monotonic_ns = now.monotonic_ns;
	control->build_fd = -1;
	control->by_hand = by_hand;
	rc = open_all(control, err);
	if (rc)
		rg_control_delete(control);
	else
		*out = control;
	return rc;
}

int rg_control_new(const struct rg_config *config, const struct rg_compiler *compiler,
		   struct rg_control_clock now, struct rg_control **control, struct rg_error *err)
{
	return new (config, compiler, false, now, control, err);
}

int rg_control_new_by_hand(const struct rg_config *config, const struct rg_compiler *compiler,
			   struct rg_control_clock now, struct rg_control **control,
			   struct rg_error *err)
{
	return new (config, compiler, true, now, control, err);
}

bool rg_control_do_slow_work(struct rg_control *control, enum rg_control_slow_work work)
{
	switch (work) {
	case RG_CONTROL_BUILD: return rg_build_run_started(control->build);
	case RG_CONTROL_SYNC: return rg_journal_writer_sync_one(control->journal);
	case RG_CONTROL_STORE: return rg_sinks_work(control->sinks, control->now.unix_ns) > 0;
	}
	return false;
}

void rg_control_delete(struct rg_control *control)
{
	if (!control)
		return;
	rg_api_delete(control->api);
	rg_server_delete(control->server);
	rg_fleet_member_close(control);
	rg_build_delete(control->build);
	rg_status_member_close(control);
	rg_policy_sources_close(control);
	rg_compare_delete(control->compare);
	rg_drain_delete(control->drain);
	rg_sinks_delete(control->sinks);
	rg_journal_writer_close(control->journal);
	rg_history_close(control->history);
	rg_policy_store_close(control->store);
	rg_region_close(control->region);
	if (control->build_fd >= 0)
		close(control->build_fd);
	free(control->bindings);
	rg_schema_free(control->schema);
	free(control);
}

/* ---- turns ---- */

/* Counters that the state machines keep for themselves, into the region. */
static void count(struct rg_control *control)
{
	uint64_t *values = control->counters.values;
	struct rg_journal_statistics journal;
	struct rg_drain_statistics drain, *before = &control->drain_counted;
	struct rg_journal_statistics *journal_before = &control->journal_counted;

	rg_drain_statistics(control->drain, &drain);
	values[RG_CONTROL_RECORDS_DRAINED] += drain.records - before->records;
	values[RG_CONTROL_RECORD_BYTES_DRAINED] += drain.bytes - before->bytes;
	values[RG_CONTROL_RECORDS_REPEATED] += drain.repeated - before->repeated;
	values[RG_CONTROL_RECORDS_MISSING] += drain.missing - before->missing;
	values[RG_CONTROL_RECORDS_CORRUPT] += drain.corrupt - before->corrupt;
	values[RG_CONTROL_RING_ERRORS] += drain.ring_errors - before->ring_errors;
	values[RG_CONTROL_RING_SKIPPED_BYTES] +=
		drain.ring_skipped_bytes - before->ring_skipped_bytes;
	values[RG_CONTROL_DATAPLANE_JOINS] += drain.joins - before->joins;
	*before = drain;
	rg_journal_writer_statistics(control->journal, &journal);
	values[RG_CONTROL_JOURNAL_RECORDS] +=
		journal.records_written - journal_before->records_written;
	values[RG_CONTROL_JOURNAL_BYTES] += journal.bytes_written - journal_before->bytes_written;
	values[RG_CONTROL_JOURNAL_SYNCS] += journal.syncs - journal_before->syncs;
	values[RG_CONTROL_JOURNAL_ERRORS] += journal.sync_failures - journal_before->sync_failures +
					     journal.write_failures -
					     journal_before->write_failures;
	values[RG_CONTROL_JOURNAL_SEGMENTS_REMOVED] +=
		journal.segments_removed - journal_before->segments_removed;
	values[RG_CONTROL_JOURNAL_FRAMES_ABANDONED] +=
		journal.frames_abandoned - journal_before->frames_abandoned;
	values[RG_CONTROL_JOURNAL_SEGMENTS] = journal.segments;
	values[RG_CONTROL_JOURNAL_DISK_BYTES] = journal.bytes;
	*journal_before = journal;
	rg_sinks_count(control->sinks, control->now.unix_ns, values);
	rg_policy_sources_count(control);
	rg_status_member_count(control);
	rg_counters_flush(&control->counters);
}

static void sync_journal(struct rg_control *control)
{
	struct rg_error err;

	rg_journal_writer_step(control->journal, control->now.monotonic_ns, &err);
	if (err.status)
		rg_control_note(control, "journal_sync_failed", err.text);
	rg_sinks_want_policy(control->sinks, rg_control_evaluated_sequence(control));
	rg_sinks_follow(control->sinks, control->journal, control->now.unix_ns);
	rg_journal_keeper_do_work(control);
}

uint32_t rg_control_do_work(struct rg_control *control, struct rg_control_clock now)
{
	uint32_t taken, work;
	uint64_t done;

	control->now = now;
	taken = rg_drain_do_work(control->drain, now.monotonic_ns, now.unix_ns);
	sync_journal(control);
	if (!control->begun) { /* after the first look for the data plane */
		control->begun = true;
		rg_push_begin(control);
	}
	if (read(control->build_fd, &done, sizeof(done)) < 0 && errno != EAGAIN)
		rg_control_note(control, "eventfd", strerror(errno));
	work = taken + rg_policy_sources_do_work(control);
	work += rg_push_do_work(control);
	work += rg_policy_finish_diff(control);
	work += rg_fleet_member_do_work(control);
	work += rg_status_member_do_work(control);
	rg_approvals_expire(control);
	work += (uint32_t)rg_server_do_work(control->server, now.monotonic_ns);
	work += rg_api_do_work(control->api);
	if (now.monotonic_ns >= control->next_beat_ns) {
		control->next_beat_ns = now.monotonic_ns + BEAT_PERIOD_NS;
		rg_region_beat(control->region, now.unix_ns);
	}
	if (now.monotonic_ns >= control->next_count_ns) {
		control->next_count_ns = now.monotonic_ns + COUNT_PERIOD_NS;
		count(control);
	}
	return work;
}

uint32_t rg_control_fds(const struct rg_control *control, int fds[2])
{
	fds[0] = rg_server_fd(control->server);
	fds[1] = control->build_fd;
	return 2;
}

void rg_control_stop(struct rg_control *control, struct rg_control_clock (*clock)(void),
		     uint64_t drain_ns)
{
	uint64_t begin_ns = clock().monotonic_ns;
	struct rg_error err;

	for (;;) {
		control->now = clock();
		if (!rg_drain_do_work(control->drain, control->now.monotonic_ns,
				      control->now.unix_ns) ||
		    control->now.monotonic_ns - begin_ns >= drain_ns)
			break;
	}
	if (rg_journal_writer_flush(control->journal, control->now.monotonic_ns, &err) ||
	    rg_journal_writer_sync(control->journal, &err))
		rg_control_note(control, "journal_sync_failed", err.text);
	rg_sinks_follow(control->sinks, control->journal, control->now.unix_ns);
	rg_sinks_stop(control->sinks);
	count(control);
}

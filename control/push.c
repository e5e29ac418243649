/* SPDX-License-Identifier: Apache-2.0 */
#include "control/push.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "control/state.h"
#include "shm/image_file.h"
#include "shm/probes.h"

#define MARK_PERIOD_NS 1000000000ull

static const char *why_not(enum rg_mailbox_state state)
{
	return state == RG_MAILBOX_REFUSED ? "refused by the data plane"
					   : rg_mailbox_state_name(state);
}

/* ---- taking requests in ---- */

static struct rg_push *free_slot(struct rg_control *control)
{
	for (int i = 0; i < RG_PUSHES_MAX; i++) {
		if (control->pushes[i].stage == RG_PUSH_FREE)
			return &control->pushes[i];
	}
	return NULL;
}

void rg_push_name_user(uint32_t uid, char *name, size_t name_bytes)
{
	const struct passwd *entry = getpwuid(uid);

	if (entry)
		snprintf(name, name_bytes, "%s", entry->pw_name);
	else
		snprintf(name, name_bytes, "%u", uid);
}

/* Does it have to wait for a second identity? What was in use before needs none, unless that is
 * configured. */
static bool needs_approval(const struct rg_control *control, const struct rg_push_request *request)
{
	const struct rg_policy_meta *stored = rg_policy_store_find(control->store, request->stored);

	if (!control->config->four_eyes.enabled || request->is_trusted || request->dry_run)
		return false;
	if (!request->path && stored && stored->activated_ns)
		return request->reason && control->config->four_eyes.rollbacks;
	return request->reason || control->config->four_eyes.bundles;
}

/* What the fleet says of its revision. */
static void describe_fleet(const struct rg_fleet_revision *revision, struct rg_push *push)
{
	struct rg_policy_meta *meta = &push->meta;

	push->is_of_fleet = true;
	push->fleet_number = revision->number;
	snprintf(meta->bundle, sizeof(meta->bundle), "%s", revision->bundle);
	snprintf(meta->sha256, sizeof(meta->sha256), "%s", revision->sha256);
	snprintf(meta->user, sizeof(meta->user), "%s", revision->user);
	snprintf(meta->reason, sizeof(meta->reason), "%s", revision->reason);
}

/* Publish a stored policy again: the same content, name and revision. */
static int describe_stored(struct rg_control *control, const struct rg_push_request *request,
			   struct rg_push *push, struct rg_error *err)
{
	const struct rg_policy_meta *stored = rg_policy_store_find(control->store, request->stored);

	if (!stored)
		return rg_error_set(
			err, RG_ENOENT,
			"there is no stored policy %llu: `policy list` shows those kept",
			(unsigned long long)request->stored);
	if (stored->state == RG_POLICY_WAITING && request->approval_of != stored->sequence)
		return rg_error_set(
			err, RG_ECONFLICT, "policy %llu waits for approval: `policy approve %llu`",
			(unsigned long long)stored->sequence, (unsigned long long)stored->sequence);
	push->stored = stored->sequence;
	push->same_sequence = request->same_sequence;
	snprintf(push->meta.bundle, sizeof(push->meta.bundle), "%s", stored->bundle);
	snprintf(push->meta.sha256, sizeof(push->meta.sha256), "%s", stored->sha256);
	rg_policy_store_path(control->store, stored->sequence, push->meta.source,
			     sizeof(push->meta.source));
	if (request->approval_of) { /* it stays the first identity's push */
		push->meta.uid = stored->uid;
		strcpy(push->meta.user, stored->user);
		strcpy(push->meta.reason, stored->reason);
		strcpy(push->meta.source, stored->source);
		snprintf(push->meta.approved_by, sizeof(push->meta.approved_by), "%s",
			 request->approved_by);
	} else if (!request->same_sequence) {
		push->meta.rollback_of = stored->sequence;
	}
	return RG_OK;
}

int rg_push_queue(struct rg_control *control, const struct rg_push_request *request,
		  struct rg_error *err)
{
	struct rg_push *push = free_slot(control);
	int rc = RG_OK;

	if (control->config->control.require_reason && request->reason && !request->reason[0] &&
	    !request->dry_run)
		return rg_error_set(err, RG_EINVAL,
				    "a reason is required (control.require_reason): give --reason");
	if (!push)
		return rg_error_set(err, RG_ELIMIT, "%d pushes are under way: wait for them",
				    RG_PUSHES_MAX);
	memset(push, 0, sizeof(*push));
	push->order = ++control->pushes_taken;
	push->ticket = request->ticket;
	push->wait_ns = request->wait_ns;
	push->v0 = request->v0;
	push->meta.pushed_ns = control->now.unix_ns;
	push->dry_run = request->dry_run;
	snprintf(push->meta.why, sizeof(push->meta.why), "%s", request->why);
	push->allow_older = request->allow_older;
	snprintf(push->meta.reason, sizeof(push->meta.reason), "%s",
		 request->reason ? request->reason : "");
	if (!request->set) {
		push->meta.uid = request->uid;
		if (request->user)
			snprintf(push->meta.user, sizeof(push->meta.user), "%s", request->user);
		else
			rg_push_name_user(request->uid, push->meta.user, sizeof(push->meta.user));
	}
	push->needs_approval = needs_approval(control, request);
	push->approval_of = request->approval_of;
	push->is_private = request->is_private;
	if (request->fleet)
		describe_fleet(request->fleet, push);
	if (request->set)
		snprintf(push->meta.source, sizeof(push->meta.source), "%s", request->why);
	else if (!request->path)
		rc = describe_stored(control, request, push, err);
	else if (strlen(request->path) >= sizeof(push->meta.source))
		rc = rg_error_set(err, RG_ELIMIT, "the path has more than %zu bytes",
				  sizeof(push->meta.source) - 1);
	else
		strcpy(push->meta.source, request->path);
	if (rc)
		return rc;
	push->set = request->set;
	push->stage = RG_PUSH_QUEUED;
	rg_log(RG_LOG_INFO, "push source=%s why=\"%s\" user=%s", push->meta.source, push->meta.why,
	       push->meta.user);
	return RG_OK;
}

/* ---- ends ---- */

/* err NULL: it is active. */
static void finish(struct rg_control *control, struct rg_push *push, const struct rg_error *err)
{
	struct rg_policy_set *set = push->set;

	push->set = NULL;
	push->stage = RG_PUSH_FREE;
	if (set)
		rg_bundles_settled(control->bundles, set, err);
}

static void note_in_history(struct rg_control *control, const struct rg_push *push,
			    enum rg_history_event event, const char *text)
{
	struct rg_error err;

	if (rg_history_append(control->history, event, &push->meta, push->meta.user, text,
			      control->now.unix_ns, &err))
		rg_control_note(control, "policy_history", err.text);
}

static void refuse(struct rg_control *control, struct rg_push *push, const struct rg_error *err)
{
	if (push->dry_run) {
		if (push->ticket)
			rg_commands_refuse(control, push->ticket, err);
		finish(control, push, NULL);
		return;
	}
	rg_probe_publish(push->meta.sequence, RG_PUBLISH_REFUSED, 0);
	control->pushes_refused++;
	control->refused_by[err->status < 0 && err->status >= RG_ECONFLICT ? -err->status : 0]++;
	control->counters.values[RG_CONTROL_PUSHES_REFUSED]++;
	snprintf(control->last_error, sizeof(control->last_error), "%s", err->text);
	control->last_error_ns = control->now.unix_ns;
	rg_log(RG_LOG_ERROR, "push_refused sequence=%llu source=%s status=%s error=\"%s\"",
	       (unsigned long long)push->meta.sequence, push->meta.source,
	       rg_status_name(err->status), err->text);
	rg_error_log_addf(rg_region_control(control->region)->errors, control->now.unix_ns,
			  "push refused: %s", err->text);
	note_in_history(control, push, RG_HISTORY_REFUSED, err->text);
	rg_fleet_member_refused(control, push);
	if (push->ticket)
		rg_commands_refuse(control, push->ticket, err);
	finish(control, push, err);
}

/* The store remembers across a power loss what is in use. Where it cannot (no room), it is asked
 * again until it can. */
static bool mark_active(struct rg_control *control, uint64_t sequence, uint64_t since_ns)
{
	struct rg_error err;

	control->unmarked_sequence = 0;
	if (!rg_policy_store_activated(control->store, sequence, since_ns, &err))
		return true;
	rg_control_note(control, "policy_store", err.text);
	control->unmarked_sequence = sequence;
	control->unmarked_since_ns = since_ns;
	control->next_mark_ns = control->now.monotonic_ns + MARK_PERIOD_NS;
	return false;
}

static void mark_again(struct rg_control *control)
{
	if (control->unmarked_sequence && control->now.monotonic_ns >= control->next_mark_ns)
		mark_active(control, control->unmarked_sequence, control->unmarked_since_ns);
}

static void accept(struct rg_control *control, struct rg_push *push,
		   const struct rg_mailbox_progress *progress)
{
	static const char not_noted[] =
		"the state folder could not note that it is in use, and is asked again every "
		"second: after a power loss before that the policy before it would be used";
	uint64_t active_ns = progress->entered_ns[RG_MAILBOX_ACTIVE];
	const char *warning;

	memcpy(push->times.entered_ns, progress->entered_ns, sizeof(push->times.entered_ns));
	push->times.sequence = push->meta.sequence;
	control->last_publish = push->times;
	control->last_error[0] = '\0';
	control->pushes_accepted++;
	control->counters.values[RG_CONTROL_PUSHES]++;
	control->counters.values[RG_CONTROL_POLICY_SINCE_SECONDS] = active_ns / 1000000000u;
	RG_FAILPOINT("push.acknowledged");
	warning = mark_active(control, push->meta.sequence, active_ns) ? "" : not_noted;
	RG_FAILPOINT("push.activated");
	push->meta.activated_ns = active_ns;
	note_in_history(control, push, RG_HISTORY_ACTIVE, "");
	rg_fleet_member_activated(control, push);
	rg_log(RG_LOG_INFO,
	       "policy_active sequence=%llu bundle=%s revision=%s compile_us=%llu "
	       "announce_to_active_us=%llu",
	       (unsigned long long)push->meta.sequence, push->meta.bundle, push->meta.revision,
	       (unsigned long long)push->meta.compile_ns / 1000,
	       (unsigned long long)(active_ns - progress->entered_ns[RG_MAILBOX_ANNOUNCED]) / 1000);
	if (push->ticket)
		rg_commands_answer_push(control, push, "active", warning);
	rg_probe_publish(push->meta.sequence, RG_PUBLISH_SETTLED, 0);
	finish(control, push, NULL);
}

/* ---- building ---- */

/* The next sequence: above everything that the store, the mailbox or an image file knows. Durable
 * before it is used. */
static int take_sequence(struct rg_control *control, uint64_t *sequence, struct rg_error *err)
{
	uint64_t floor = rg_policy_store_sequence(control->store), newest;
	uint32_t count;

	for (int kind = 0; kind < 2; kind++) {
		if (!rg_image_file_list(control->region_directory,
					kind ? RG_IMAGE_FILE_ACTIVE : RG_IMAGE_FILE_IMAGE, &newest,
					1, &count, NULL) &&
		    count && newest > floor)
			floor = newest;
	}
	*sequence = rg_mailbox_next_sequence(rg_region_control(control->region)->request,
					     rg_region_dataplane(control->region)->reply, floor);
	return rg_policy_store_note_sequence(control->store, *sequence, err);
}

/* What the policy in use tells about what may follow it. */
static void describe_active(const struct rg_control *control, const struct rg_push *push,
			    struct rg_build_request *request)
{
	const struct rg_policy_meta *active =
		rg_policy_store_find(control->store, rg_control_policy_sequence(control));

	if (!active)
		return;
	strcpy(request->active_sha256, active->sha256);
	if (!push->stored && !push->allow_older && active->has_version) {
		strcpy(request->active_bundle, active->bundle);
		request->active_version = (int64_t)active->version;
	}
}

static void start_build(struct rg_control *control, struct rg_push *push)
{
	const struct rg_config *config = control->config;
	struct rg_build_request request = {.purpose = push->dry_run	     ? RG_BUILD_TRY
						      : push->needs_approval ? RG_BUILD_HOLD
									     : RG_BUILD_PUBLISH,
					   .v0 = push->v0,
					   .set = push->set,
					   .config = &config->opa,
					   .is_stored = push->same_sequence,
					   .is_kept = push->stored != 0,
					   .state_directory = config->control.state_directory,
					   .region_directory = control->region_directory,
					   .opa = config->control.opa,
					   .fields = rg_schema_fields(control->schema),
					   .bindings = control->bindings,
					   .binding_count = config->templates_count,
					   .default_verdict = config->decision.default_verdict,
					   .failure_verdict = config->decision.failure_verdict,
					   .budget = config->decision.instruction_budget,
					   .compiler = control->compiler};
	struct rg_error err;
	int rc = RG_OK;

	if (push->same_sequence)
		push->meta.sequence = push->stored;
	else if (push->dry_run) /* one that nobody will see */
		push->meta.sequence = rg_policy_store_sequence(control->store) + 1;
	else
		rc = take_sequence(control, &push->meta.sequence, &err);
	if (!rc)
		rc = rg_reason_list_copy(rg_policy_store_reasons(control->store), &request.reasons,
					 &err);
	if (!rc) {
		if (push->stored)
			rg_policy_store_path(control->store, push->stored, request.path,
					     sizeof(request.path));
		else
			snprintf(request.path, sizeof(request.path), "%s", push->meta.source);
		snprintf(request.bundle, sizeof(request.bundle), "%s", push->meta.bundle);
		request.sequence = push->meta.sequence;
		describe_active(control, push, &request);
		if (push->dry_run &&
		    rg_policy_store_find(control->store, rg_control_policy_sequence(control)))
			rg_policy_store_path(control->store, rg_control_policy_sequence(control),
					     request.compare_path, sizeof(request.compare_path));
		rg_probe_publish(request.sequence, RG_PUBLISH_TAKEN, 0);
		rc = rg_build_start(control->build, &request, &err);
	}
	if (rc)
		refuse(control, push, &err);
	else
		push->stage = RG_PUSH_BUILDING;
}

static void describe_built(struct rg_push *push, const struct rg_build_result *result)
{
	struct rg_policy_meta *meta = &push->meta;

	strcpy(meta->bundle, result->bundle);
	strcpy(meta->revision, result->revision);
	if (!meta->sha256[0]) /* what was stored keeps the digest of what it was loaded from */
		strcpy(meta->sha256, result->sha256);
	meta->is_signed = result->is_signed;
	meta->has_version = result->version >= 0;
	meta->version = meta->has_version ? (uint64_t)result->version : 0;
	meta->image_bytes = result->image_bytes;
	meta->load_ns = result->load_ns;
	meta->compile_ns = result->compile_ns;
	push->image_crc32c = result->image_crc32c;
	push->times = (struct rg_publish_times){.load_ns = result->load_ns,
						.compile_ns = result->compile_ns,
						.verify_ns = result->verify_ns,
						.write_ns = result->write_ns};
	rg_probe_publish(meta->sequence, RG_PUBLISH_LOADED, result->load_ns);
	rg_probe_publish(meta->sequence, RG_PUBLISH_COMPILED, result->compile_ns);
	rg_probe_publish(meta->sequence, RG_PUBLISH_CHECKED, result->verify_ns);
	rg_probe_publish(meta->sequence, RG_PUBLISH_WRITTEN, result->write_ns);
}

/* What was built, into the store. */
static int store_built(struct rg_control *control, struct rg_push *push,
		       const struct rg_build_result *result, struct rg_error *err)
{
	struct rg_policy_meta *meta = &push->meta;
	int rc = rg_policy_store_set_reasons(control->store, &result->reasons, err);

	if (!rc && push->needs_approval)
		rc = rg_policy_store_add_waiting(control->store, meta, err);
	else if (!rc && !push->same_sequence)
		rc = rg_policy_store_add(control->store, meta, err);
	if (rc && !push->same_sequence)
		rg_policy_store_discard_bundle(control->config->control.state_directory,
					       meta->sequence);
	return rc;
}

/* The set is what is in use already: a server without ETags, or a folder that was touched. */
static void settle_unchanged(struct rg_control *control, struct rg_push *push,
			     struct rg_build_result *result)
{
	rg_reason_list_free(&result->reasons);
	rg_log(RG_LOG_INFO, "policy_unchanged source=\"%s\" revision=%s", push->meta.source,
	       result->revision);
	finish(control, push, NULL);
}

/* It is in the store now, and waits there: no image of it is anywhere. */
static void leave_waiting(struct rg_control *control, struct rg_push *push)
{
	rg_log(RG_LOG_INFO, "policy_waiting sequence=%llu bundle=%s revision=%s user=%s",
	       (unsigned long long)push->meta.sequence, push->meta.bundle, push->meta.revision,
	       push->meta.user);
	note_in_history(control, push, RG_HISTORY_WAITING, "");
	if (push->ticket)
		rg_commands_answer_push(
			control, push, "waiting",
			"a second identity must approve it: `riskctl policy approve`");
	finish(control, push, NULL);
}

static uint32_t take_build(struct rg_control *control, struct rg_push *push)
{
	struct rg_build_result result;
	struct rg_error err;

	if (rg_build_take(control->build, &result))
		return 0;
	if (!result.status && result.unchanged) {
		settle_unchanged(control, push, &result);
		return 1;
	}
	if (result.is_signed && !result.is_verified && !push->set)
		rg_log(RG_LOG_WARNING, "bundle=%s has signatures; they are not verified",
		       result.bundle);
	if (result.arena_bytes_alive)
		rg_log(RG_LOG_INFO, "compile left bytes=%llu in its arena, which is kept",
		       (unsigned long long)result.arena_bytes_alive);
	control->counters
		.values[result.compiled ? RG_CONTROL_COMPILES : RG_CONTROL_COMPILES_FAILED]++;
	if (result.compiled)
		rg_histogram_record(rg_region_control(control->region)
					    ->histograms[RG_CONTROL_HISTOGRAM_COMPILE],
				    result.compile_ns);
	err = result.error;
	if (!result.status)
		describe_built(push, &result);
	if (push->needs_approval)
		push->meta.expires_ns =
			control->now.unix_ns + control->config->four_eyes.expire_s * 1000000000ull;
	if (!result.status && !push->dry_run)
		result.status = store_built(control, push, &result, &err);
	rg_reason_list_free(&result.reasons);
	if (result.status) {
		err.status = result.status;
		refuse(control, push, &err);
	} else if (push->dry_run) {
		rg_commands_answer_dry_run(control, push, result.difference);
		finish(control, push, NULL);
	} else if (push->needs_approval) {
		leave_waiting(control, push);
	} else {
		RG_FAILPOINT("push.stored");
		push->stage = RG_PUSH_HOLDING;
	}
	free(result.difference);
	return 1;
}

/* ---- holding ---- */

static void refuse_stored(struct rg_control *control, struct rg_push *push,
			  const struct rg_error *err)
{
	if (!push->same_sequence)
		rg_policy_store_remove(control->store, push->meta.sequence, NULL);
	refuse(control, push, err);
}

/* Wait for the fleet's lock, but not for ever. Alone, or without a roll-out, it is its turn at
 * once. */
static uint32_t hold(struct rg_control *control, struct rg_push *push)
{
	uint64_t now_ns = control->now.monotonic_ns;
	struct rg_error err;
	int rc = rg_fleet_member_turn(control, push, &err);

	if (!rc) {
		push->stage = RG_PUSH_ANNOUNCING;
		return 1;
	}
	if (!push->hold_until_ns) {
		push->hold_until_ns = now_ns + control->config->rollout.wait_s * 1000000000ull;
		push->deadline_ns = now_ns + push->wait_ns;
	}
	if (rc == RG_EAGAIN && now_ns >= push->hold_until_ns)
		rc = rg_error_set(&err, RG_EAGAIN,
				  "its turn in the roll-out did not come within %u s "
				  "(rollout.wait_s): %s",
				  control->config->rollout.wait_s,
				  rg_fleet_member_obstacle(control));
	else if (rc == RG_EAGAIN) {
		if (push->ticket && now_ns >= push->deadline_ns) {
			rg_commands_answer_push(control, push, "holding",
						"for its turn in the fleet's roll-out");
			push->ticket = 0;
		}
		return 0;
	}
	refuse_stored(control, push, &err);
	return 1;
}

/* ---- announcing ---- */

/* Stage the frame that explains the sequence. RG_EAGAIN: the journal has no room now. */
static int write_policy_frame(struct rg_control *control, const struct rg_policy_meta *meta,
			      struct rg_error *err)
{
	const struct rg_reason_list *reasons = rg_policy_store_reasons(control->store);
	struct rg_json_writer writer;
	int rc;

	rg_json_writer_init(&writer, false);
	rg_json_write_object_begin(&writer);
	rg_json_write_key(&writer, "sequence");
	rg_json_write_uint(&writer, meta->sequence);
	rg_json_write_key(&writer, "bundle");
	rg_json_write_string(&writer, meta->bundle);
	rg_json_write_key(&writer, "revision");
	rg_json_write_string(&writer, meta->revision);
	rg_json_write_key(&writer, "ns");
	rg_json_write_uint(&writer, control->now.unix_ns);
	rg_json_write_key(&writer, "reasons");
	rg_json_write_array_begin(&writer);
	for (uint32_t i = 0; i < reasons->count; i++)
		rg_json_write_string(&writer, reasons->names[i]);
	rg_json_write_array_end(&writer);
	rg_json_write_object_end(&writer);
	if (writer.failed || writer.bytes > RG_JOURNAL_PAYLOAD_BYTES_MAX)
		rc = rg_error_set(err, RG_ELIMIT, "%u reason names do not fit into a journal frame",
				  reasons->count);
	else
		rc = rg_journal_writer_add(control->journal, RG_JOURNAL_POLICY, writer.text,
					   (uint32_t)writer.bytes);
	rg_json_writer_free(&writer);
	return rc;
}

/* Journal the frame of push, with a flush before and behind it. RG_EAGAIN: later. */
static int journal_policy(struct rg_control *control, struct rg_push *push, struct rg_error *err)
{
	uint64_t now_ns = control->now.monotonic_ns;

	if (!push->framed) {
		int rc = write_policy_frame(control, &push->meta, err);

		if (rc == RG_EAGAIN && !rg_journal_writer_flush(control->journal, now_ns, err))
			rc = write_policy_frame(control, &push->meta, err);
		if (rc)
			return rc;
		push->framed = true;
		RG_FAILPOINT("push.framed");
	}
	return rg_journal_writer_flush(control->journal, now_ns, err) ? RG_EAGAIN : RG_OK;
}

/* The journal cannot be written now: the push waits for it, its client no longer than it said. */
static void wait_for_journal(struct rg_control *control, struct rg_push *push)
{
	if (!push->deadline_ns)
		push->deadline_ns = control->now.monotonic_ns + push->wait_ns;
	if (!push->ticket || control->now.monotonic_ns < push->deadline_ns)
		return;
	rg_commands_answer_push(control, push, "stored",
				"it is announced when the journal can be written again: look at "
				"the journal's disk");
	push->ticket = 0;
}

static uint32_t announce(struct rg_control *control, struct rg_push *push)
{
	const struct rg_mailbox_announcement announcement = {
		push->meta.sequence, push->meta.image_bytes, push->image_crc32c,
		control->now.unix_ns};
	struct rg_error err;
	int rc = journal_policy(control, push, &err);

	if (rc == RG_EAGAIN) {
		wait_for_journal(control, push);
		return 0; /* the drain reports a journal that cannot be written */
	}
	RG_FAILPOINT("push.journaled");
	push->before = rg_control_policy_sequence(control); /* the data plane may be quick */
	if (!rc)
		rc = rg_mailbox_announce(rg_region_control(control->region)->request, &announcement,
					 &err);
	if (rc) {
		err.status = rc;
		refuse_stored(control, push, &err);
		return 1;
	}
	RG_FAILPOINT("push.announced");
	rg_probe_publish(push->meta.sequence, RG_PUBLISH_ANNOUNCED, 0);
	control->counters.values[RG_CONTROL_ANNOUNCEMENTS]++;
	control->counters.values[RG_CONTROL_POLICY_SEQUENCE] = push->meta.sequence;
	rg_image_file_remove_older(control->region_directory, RG_IMAGE_FILE_IMAGE,
				   push->meta.sequence, NULL, NULL);
	push->deadline_ns = control->now.monotonic_ns + push->wait_ns;
	push->stage = RG_PUSH_WAITING;
	if (push->approval_of) /* from here on it has a sequence of its own */
		rg_policy_store_remove(control->store, push->approval_of, NULL);
	rg_log(RG_LOG_INFO, "policy_announced sequence=%llu bundle=%s revision=%s image_bytes=%llu",
	       (unsigned long long)push->meta.sequence, push->meta.bundle, push->meta.revision,
	       (unsigned long long)push->meta.image_bytes);
	return 1;
}

/* ---- waiting ---- */

static void supersede(struct rg_control *control, struct rg_push *push)
{
	struct rg_error err;

	if (rg_policy_store_superseded(control->store, push->meta.sequence, &err))
		rg_control_note(control, "policy_store", err.text);
	rg_error_set(&err, RG_ECONFLICT, "policy %llu was superseded by a newer one",
		     (unsigned long long)push->meta.sequence);
	refuse(control, push, &err);
}

static void refused_by_dataplane(struct rg_control *control, struct rg_push *push,
				 const struct rg_mailbox_progress *progress)
{
	struct rg_error err;

	/* one that was good before stays in the store */
	if (!push->same_sequence &&
	    rg_policy_store_remove(control->store, push->meta.sequence, &err))
		rg_control_note(control, "policy_store", err.text);
	rg_error_set(&err, RG_ECORRUPT, "%s: %s", why_not((enum rg_mailbox_state)progress->state),
		     progress->text);
	refuse(control, push, &err);
}

/* The client's time is up, or something is worth telling: answer, and go on waiting. */
static void answer_in_between(struct rg_control *control, struct rg_push *push,
			      const struct rg_mailbox_progress *progress)
{
	bool stuck = progress && progress->state == RG_MAILBOX_STUCK;
	const char *text = stuck      ? progress->text
			   : progress ? ""
				      : "the data plane has not taken it yet";

	if (stuck && !push->stuck_reported) {
		push->stuck_reported = true;
		rg_control_note(control, "policy_stuck", progress->text);
	}
	if (!push->ticket || (!stuck && control->now.monotonic_ns < push->deadline_ns))
		return;
	rg_commands_answer_push(
		control, push,
		progress ? rg_mailbox_state_name((enum rg_mailbox_state)progress->state)
			 : "announced",
		text);
	push->ticket = 0;
}

static uint32_t wait_for_result(struct rg_control *control, struct rg_push *push)
{
	struct rg_mailbox_progress progress;
	int rc = rg_mailbox_result(rg_region_dataplane(control->region)->reply, push->meta.sequence,
				   &progress);

	if (rc == RG_ECONFLICT) {
		supersede(control, push);
		return 1;
	}
	if (rc || !rg_mailbox_state_final((enum rg_mailbox_state)progress.state)) {
		answer_in_between(control, push, rc ? NULL : &progress);
		return 0;
	}
	if (progress.state == RG_MAILBOX_ACTIVE)
		accept(control, push, &progress);
	else
		refused_by_dataplane(control, push, &progress);
	return 1;
}

static struct rg_push *next_queued(struct rg_control *control)
{
	struct rg_push *next = NULL;

	for (int i = 0; i < RG_PUSHES_MAX; i++) {
		struct rg_push *push = &control->pushes[i];

		/* One at a time up to the announcement: sequences are announced in the order they
		 * were given out. */
		if (push->stage == RG_PUSH_BUILDING || push->stage == RG_PUSH_HOLDING ||
		    push->stage == RG_PUSH_ANNOUNCING)
			return NULL;
		if (push->stage == RG_PUSH_QUEUED && (!next || push->order < next->order))
			next = push;
	}
	return next;
}

uint32_t rg_push_do_work(struct rg_control *control)
{
	struct rg_push *next;
	uint32_t work = 0;

	for (int i = 0; i < RG_PUSHES_MAX; i++) {
		struct rg_push *push = &control->pushes[i];

		switch (push->stage) {
		case RG_PUSH_BUILDING: work += take_build(control, push); break;
		case RG_PUSH_HOLDING: work += hold(control, push); break;
		case RG_PUSH_ANNOUNCING: work += announce(control, push); break;
		case RG_PUSH_WAITING: work += wait_for_result(control, push); break;
		case RG_PUSH_FREE:
		case RG_PUSH_QUEUED: break;
		}
	}
	mark_again(control);
	next = next_queued(control);
	if (next && rg_build_idle(control->build)) {
		start_build(control, next);
		work++;
	}
	return work;
}

/* ---- start ---- */

/* Wait for a policy that an earlier control announced; the journal gets its frame again. */
static void resume(struct rg_control *control, const struct rg_policy_meta *meta)
{
	struct rg_push *push = free_slot(control);

	memset(push, 0, sizeof(*push));
	push->meta = *meta;
	push->stage = RG_PUSH_WAITING;
	control->counters.values[RG_CONTROL_POLICY_SEQUENCE] = meta->sequence;
	rg_log(RG_LOG_INFO, "waiting for sequence=%llu, announced before",
	       (unsigned long long)meta->sequence);
}

static bool image_is_there(const struct rg_control *control, uint64_t sequence)
{
	struct rg_image_file file;

	if (rg_image_file_open(control->region_directory, RG_IMAGE_FILE_IMAGE, sequence, &file,
			       NULL))
		return false;
	rg_image_file_close(&file);
	return true;
}

/* The journal explains the sequence that records will name from now on. */
static void explain(struct rg_control *control, const struct rg_policy_meta *meta)
{
	struct rg_error err;
	int rc = write_policy_frame(control, meta, &err);

	if (rc == RG_EAGAIN) { /* a full segment */
		rc = rg_journal_writer_flush(control->journal, control->now.monotonic_ns, &err);
		if (!rc)
			rc = write_policy_frame(control, meta, &err);
	}
	if (!rc)
		rc = rg_journal_writer_flush(control->journal, control->now.monotonic_ns, &err);
	if (rc)
		rg_control_note(control, "journal_policy", err.text);
}

static void republish(struct rg_control *control, const struct rg_policy_meta *meta, uint64_t seen)
{
	struct rg_push_request request = {.stored = meta->sequence,
					  .same_sequence = meta->sequence > seen,
					  .is_trusted = true,
					  .is_private = true,
					  .why = "restart",
					  .uid = meta->uid};
	struct rg_error err;

	if (rg_push_queue(control, &request, &err))
		rg_control_note(control, "restart", err.text);
}

static void push_configured(struct rg_control *control)
{
	struct rg_push_request request = {.path = control->config->control.bundle,
					  .is_trusted = true,
					  .is_private = true,
					  .why = "control.bundle"};
	struct rg_error err;

	if (request.path && *request.path && rg_push_queue(control, &request, &err))
		rg_control_note(control, "control.bundle", err.text);
}

/* What was stored but never announced, because an earlier control died in between, goes: nobody was
 * told that it is there. */
static void drop_unannounced(struct rg_control *control, uint64_t keep)
{
	struct rg_error err;

	for (uint32_t i = rg_policy_store_count(control->store); i > 0; i--) {
		const struct rg_policy_meta *meta = rg_policy_store_at(control->store, i - 1);

		if (meta->state == RG_POLICY_ANNOUNCED && meta->sequence != keep &&
		    rg_policy_store_remove(control->store, meta->sequence, &err))
			rg_control_note(control, "policy_store", err.text);
	}
}

/* Is the announcement of an earlier control still under way? */
static bool is_pending(const struct rg_control *control, uint64_t sequence,
		       const struct rg_mailbox_progress *progress)
{
	bool refused = progress->sequence == sequence && progress->state == RG_MAILBOX_REFUSED;

	return sequence > progress->active_sequence && !refused &&
	       image_is_there(control, sequence);
}

/* The data plane runs a policy that is ours: note it where a death in between may have left it
 * unnoted. */
static void adopt(struct rg_control *control, const struct rg_policy_meta *meta, uint64_t since_ns)
{
	explain(control, meta);
	control->counters.values[RG_CONTROL_POLICY_SEQUENCE] = meta->sequence;
	if (meta->state != RG_POLICY_ACTIVE)
		mark_active(control, meta->sequence, since_ns);
}

/* The newest that was on its way; what waits for approval is not. */
static const struct rg_policy_meta *newest_announced(const struct rg_control *control)
{
	for (uint32_t i = 0; i < rg_policy_store_count(control->store); i++) {
		const struct rg_policy_meta *meta = rg_policy_store_at(control->store, i);

		if (meta->state == RG_POLICY_ANNOUNCED)
			return meta;
	}
	return NULL;
}

uint64_t rg_push_expected(const struct rg_control *control)
{
	const struct rg_policy_meta *announced = newest_announced(control);
	uint64_t sequence = rg_control_policy_sequence(control);

	return sequence || !announced ? sequence : announced->sequence;
}

void rg_push_begin(struct rg_control *control)
{
	const struct rg_policy_meta *announced_meta, *active, *chosen = NULL;
	struct rg_mailbox_announcement announced = {0};
	struct rg_mailbox_progress progress = {0};
	uint64_t seen;

	rg_mailbox_read_request(rg_region_control(control->region)->request, &announced);
	rg_control_progress(control, &progress);
	seen = announced.sequence > progress.sequence ? announced.sequence : progress.sequence;
	seen = progress.active_sequence > seen ? progress.active_sequence : seen;
	active = rg_policy_store_find(control->store, progress.active_sequence);
	if (active)
		adopt(control, active, progress.active_since_ns);
	announced_meta = rg_policy_store_find(control->store, announced.sequence);
	if (announced_meta && is_pending(control, announced.sequence, &progress)) {
		chosen = announced_meta;
		explain(control, chosen);
		resume(control, chosen);
	} else if (!active) {
		chosen = rg_policy_store_last_active(control->store);
		if (!chosen)
			chosen = newest_announced(control);
		if (chosen)
			republish(control, chosen, seen);
		else
			push_configured(control);
	}
	drop_unannounced(control, chosen ? chosen->sequence : 0);
}

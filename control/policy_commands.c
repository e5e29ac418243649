/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the control socket that are about policies. docs/riskctl.md says what they mean
 * to people, docs/policy-lifecycle.md how they go together.
 *
 *	policy.push	path (absolute), wait_ms (30000), v0, reason, dry_run, allow_older: compile and publish;
 *			answered when the data plane has decided, or after wait_ms with the state it
 *			has then. dry_run: all but publishing, with the difference from what runs
 *	policy.rollback	sequence (the one before), wait_ms, reason: publish a stored policy again,
 *			under a new sequence
 *	policy.sync	bundle (all): ask the configured bundles' servers now
 *	policy.list	the stored ones, newest first
 *	policy.show	sequence (the one in use)
 *	policy.diff	from, sequence (the one before that in use, and that in use)
 *	policy.history	limit (20): events, the newest first
 *	policy.approve, policy.reject	approvals.c
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_member.h"
#include "control/commands.h"
#include "control/state.h"

#define WAIT_MS_DEFAULT 30000
#define WAIT_MS_MAX	600000
#define HISTORY_DEFAULT 20
#define HISTORY_MAX	100000

void rg_policy_queue_push(struct rg_control *control, const struct rg_server_request *request,
			  struct rg_push_request *push, const struct rg_arguments *arguments)
{
	uint64_t wait_ms = arguments->has_wait ? arguments->wait_ms : WAIT_MS_DEFAULT;
	struct rg_error err;
	char identity[64];

	if (rg_request_is_anonymous(request) && control->config->four_eyes.enabled &&
	    !push->is_trusted && !push->dry_run) {
		rg_error_set(&err, RG_EINVAL,
			     "four_eyes: who changes the policy over HTTP must have an identity: "
			     "use a token or certificate of api.access_file");
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_request_identity(request, identity, sizeof(identity));
	push->ticket = request->ticket;
	push->wait_ns = (wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX) * 1000000ull;
	push->uid = request->uid;
	push->user = identity;
	push->reason = arguments->reason;
	if (rg_push_queue(control, push, &err))
		rg_commands_refuse(control, request->ticket, &err);
}

void rg_policy_answer_push(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	struct rg_push_request push = {.path = arguments->path,
				       .v0 = arguments->v0,
				       .dry_run = arguments->dry_run,
				       .allow_older = arguments->allow_older,
				       .why = "push"};
	struct rg_error err;

	if (arguments->path[0] != '/') {
		rg_error_set(&err, RG_EINVAL,
			     "\"path\" must be an absolute path: control has a working folder of "
			     "its own");
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_policy_queue_push(control, request, &push, arguments);
}

/* The policy before the present one: the one activated last of those that were replaced. */
static uint64_t previous_policy(const struct rg_control *control)
{
	uint64_t current = rg_control_policy_sequence(control), previous = 0, newest_ns = 0;

	for (uint32_t i = 0; i < rg_policy_store_count(control->store); i++) {
		const struct rg_policy_meta *meta = rg_policy_store_at(control->store, i);

		if (meta->sequence != current && meta->activated_ns > newest_ns) {
			newest_ns = meta->activated_ns;
			previous = meta->sequence;
		}
	}
	return previous;
}

void rg_policy_answer_rollback(struct rg_control *control, const struct rg_server_request *request,
			       const struct rg_arguments *arguments)
{
	uint64_t sequence = arguments->sequence ? arguments->sequence : previous_policy(control);
	struct rg_push_request push = {.stored = sequence};
	struct rg_error err;
	char why[64];

	if (!sequence) {
		rg_error_set(&err, RG_ENOENT, "there is no earlier policy to go back to");
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	snprintf(why, sizeof(why), "rollback to %" PRIu64, sequence);
	push.why = why;
	rg_policy_queue_push(control, request, &push, arguments);
}

void rg_commands_answer_push(struct rg_control *control, const struct rg_push *push,
			     const char *state, const char *text)
{
	struct rg_json_writer writer;

	rg_answer_begin(&writer);
	rg_json_member_uint(&writer, "sequence", push->meta.sequence);
	rg_json_member_text(&writer, "bundle", push->meta.bundle);
	rg_json_member_text(&writer, "revision", push->meta.revision);
	rg_json_member_text(&writer, "state", state);
	if (text[0])
		rg_json_member_text(&writer, "text", text);
	if (push->meta.rollback_of)
		rg_json_member_uint(&writer, "rollback_of", push->meta.rollback_of);
	rg_json_member_uint(&writer, "image_bytes", push->meta.image_bytes);
	rg_json_write_key(&writer, "publish");
	rg_answer_write_publish(&writer, &push->times);
	rg_answer_send(control, push->ticket, &writer);
}

void rg_commands_answer_dry_run(struct rg_control *control, const struct rg_push *push,
				const char *difference)
{
	const struct rg_policy_meta *meta = &push->meta;
	struct rg_json_writer writer;

	rg_answer_begin(&writer);
	rg_json_member_text(&writer, "state", "dry_run");
	rg_json_member_text(&writer, "bundle", meta->bundle);
	rg_json_member_text(&writer, "revision", meta->revision);
	rg_json_member_text(&writer, "sha256", meta->sha256);
	rg_json_member_bool(&writer, "signed", meta->is_signed);
	rg_json_member_uint(&writer, "image_bytes", meta->image_bytes);
	rg_json_member_uint(&writer, "compared_with", rg_control_policy_sequence(control));
	if (difference) {
		rg_json_write_key(&writer, "difference");
		rg_json_write_raw(&writer, difference, strlen(difference));
	}
	rg_json_write_key(&writer, "publish");
	rg_answer_write_publish(&writer, &push->times);
	rg_answer_send(control, push->ticket, &writer);
}

void rg_policy_answer_sync(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	struct rg_json_writer writer;
	struct rg_error err;

	if (rg_bundles_trigger(control->bundles, arguments->bundle[0] ? arguments->bundle : NULL,
			       &err)) {
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_answer_begin(&writer);
	rg_json_write_key(&writer, "bundles");
	rg_bundles_write_status(control->bundles, &writer);
	rg_answer_send(control, request->ticket, &writer);
}

void rg_policy_answer_list(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	struct rg_json_writer writer;

	rg_answer_begin(&writer);
	rg_json_member_uint(&writer, "current", rg_control_policy_sequence(control));
	rg_json_member_array(&writer, "policies");
	for (uint32_t i = 0; i < rg_policy_store_count(control->store); i++)
		rg_policy_meta_write(rg_policy_store_at(control->store, i), &writer);
	rg_json_write_array_end(&writer);
	rg_answer_send(control, request->ticket, &writer);
}

void rg_policy_answer_show(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	uint64_t sequence =
		arguments->sequence ? arguments->sequence : rg_control_policy_sequence(control);
	const struct rg_policy_meta *meta = rg_policy_store_find(control->store, sequence);
	struct rg_json_writer writer;
	struct rg_error err;
	char path[RG_COMMAND_PATH_BYTES];

	if (!meta) {
		rg_error_set(&err, RG_ENOENT,
			     sequence ? "there is no stored policy %" PRIu64
				      : "no policy is in use (%" PRIu64 ")",
			     sequence);
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_policy_store_path(control->store, sequence, path, sizeof(path));
	rg_answer_begin(&writer);
	rg_json_write_key(&writer, "policy");
	rg_policy_meta_write(meta, &writer);
	rg_json_member_bool(&writer, "current", sequence == rg_control_policy_sequence(control));
	rg_json_member_text(&writer, "stored_in", path);
	rg_answer_send(control, request->ticket, &writer);
}

/* ---- differences ---- */

static int find_policy(const struct rg_control *control, uint64_t sequence, char *path,
		       size_t path_bytes, struct rg_error *err)
{
	if (!sequence)
		return rg_error_set(err, RG_ENOENT,
				    "there are no two policies to compare yet: name them");
	if (!rg_policy_store_find(control->store, sequence))
		return rg_error_set(err, RG_ENOENT,
				    "there is no stored policy %" PRIu64
				    ": `policy list` shows those kept",
				    sequence);
	rg_policy_store_path(control->store, sequence, path, path_bytes);
	return RG_OK;
}

void rg_policy_answer_diff(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments)
{
	uint64_t current = rg_control_policy_sequence(control);
	struct rg_compare_request compare = {
		.ticket = request->ticket,
		.from = arguments->from ? arguments->from : previous_policy(control),
		.to = arguments->sequence ? arguments->sequence : current};
	struct rg_error err;
	int rc = find_policy(control, compare.from, compare.from_path, sizeof(compare.from_path),
			     &err);

	if (!rc)
		rc = find_policy(control, compare.to, compare.to_path, sizeof(compare.to_path),
				 &err);
	if (!rc)
		rc = rg_compare_start(control->compare, &compare, &err);
	if (rc)
		rg_commands_refuse(control, request->ticket, &err);
}

static void write_revision(const struct rg_control *control, uint64_t sequence, const char *key,
			   struct rg_json_writer *writer)
{
	const struct rg_policy_meta *meta = rg_policy_store_find(control->store, sequence);

	rg_json_member_object(writer, key);
	rg_json_member_uint(writer, "sequence", sequence);
	if (meta) {
		rg_json_member_text(writer, "bundle", meta->bundle);
		rg_json_member_text(writer, "revision", meta->revision);
	}
	rg_json_write_object_end(writer);
}

uint32_t rg_policy_finish_diff(struct rg_control *control)
{
	struct rg_compare_result result;
	struct rg_json_writer writer;

	if (rg_compare_take(control->compare, &result))
		return 0;
	if (result.status) {
		rg_commands_refuse(control, result.ticket, &result.error);
		return 1;
	}
	rg_answer_begin(&writer);
	write_revision(control, result.from, "from", &writer);
	write_revision(control, result.to, "to", &writer);
	rg_json_write_key(&writer, "difference");
	rg_json_write_raw(&writer, result.difference, strlen(result.difference));
	free(result.difference);
	rg_answer_send(control, result.ticket, &writer);
	return 1;
}

/* ---- history ---- */

void rg_policy_answer_history(struct rg_control *control, const struct rg_server_request *request,
			      const struct rg_arguments *arguments)
{
	uint64_t limit = arguments->limit ? arguments->limit : HISTORY_DEFAULT;
	struct rg_json_writer writer;
	struct rg_error err;

	rg_answer_begin(&writer);
	rg_json_member_uint(&writer, "count", rg_history_count(control->history));
	rg_json_write_key(&writer, "events");
	if (rg_history_write_newest(control->history, limit < HISTORY_MAX ? limit : HISTORY_MAX,
				    &writer, &err)) {
		rg_json_writer_free(&writer);
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_answer_send(control, request->ticket, &writer);
}

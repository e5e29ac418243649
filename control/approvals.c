/* SPDX-License-Identifier: Apache-2.0 */
#include "control/approvals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json_member.h"
#include "base/log.h"
#include "control/commands.h"
#include "control/state.h"

#define EXPIRY_PERIOD_NS 1000000000ull

static bool is_under_way(const struct rg_control *control, uint64_t sequence)
{
	for (int i = 0; i < RG_PUSHES_MAX; i++) {
		if (control->pushes[i].stage != RG_PUSH_FREE &&
		    control->pushes[i].approval_of == sequence)
			return true;
	}
	return false;
}

static int find_waiting(const struct rg_control *control, uint64_t sequence,
			struct rg_policy_meta *waiting, struct rg_error *err)
{
	const struct rg_policy_meta *meta = rg_policy_store_find(control->store, sequence);

	if (!meta || meta->state != RG_POLICY_WAITING)
		return rg_error_set(err, RG_ENOENT,
				    "no policy %" PRIu64 " waits for approval: `policy list` shows "
				    "those that do",
				    sequence);
	if (is_under_way(control, sequence))
		return rg_error_set(err, RG_ECONFLICT, "policy %" PRIu64 " is approved already",
				    sequence);
	*waiting = *meta;
	return RG_OK;
}

static int not_twice(const char *user, struct rg_error *err)
{
	return rg_error_set(err, RG_ECONFLICT,
			    "%s pushed it: a second identity must approve it (four_eyes)", user);
}

/* The holder of one of the configured keys. */
static int check_signature(const struct rg_config *config, const struct rg_policy_meta *waiting,
			   const struct rg_arguments *arguments, struct rg_error *err)
{
	const struct rg_config_approver *approver = NULL;
	int rc;

	for (uint32_t i = 0; i < config->four_eyes.approvers_count; i++) {
		if (!strcmp(config->four_eyes.approvers[i].name, arguments->approver))
			approver = &config->four_eyes.approvers[i];
	}
	if (!approver)
		return rg_error_set(
			err, RG_EINVAL,
			"\"%s\" is none of four_eyes.approvers: approve with --key FILE "
			"--as NAME",
			arguments->approver);
	rc = rg_approval_verify(approver->key, waiting->sequence, waiting->sha256,
				arguments->signature, err);
	if (!rc && !strcmp(approver->user, waiting->user))
		rc = not_twice(waiting->user, err);
	return rc;
}

/* Who approves; its name in identity. */
static int identify(const struct rg_control *control, const struct rg_policy_meta *waiting,
		    const struct rg_server_request *request, const struct rg_arguments *arguments,
		    char identity[static 64], struct rg_error *err)
{
	if (control->config->four_eyes.approvers_count) {
		snprintf(identity, 64, "%s", arguments->approver);
		return check_signature(control->config, waiting, arguments, err);
	}
	rg_request_identity(request, identity, 64);
	if (rg_request_is_anonymous(request))
		return rg_error_set(err, RG_EINVAL,
				    "four_eyes: who approves over HTTP must have an identity: use "
				    "a token or certificate of api.access_file");
	/* an account and a token of one name are one person's */
	return !strcmp(identity, waiting->user) || (!request->who && request->uid == waiting->uid)
		       ? not_twice(waiting->user, err)
		       : RG_OK;
}

static void note(struct rg_control *control, enum rg_history_event event,
		 const struct rg_policy_meta *waiting, const char *identity, const char *text)
{
	struct rg_error err;

	rg_log(RG_LOG_INFO, "policy_%s sequence=%" PRIu64 " revision=%s by=%s",
	       rg_history_event_name(event), waiting->sequence, waiting->revision, identity);
	if (rg_history_append(control->history, event, waiting, identity, text,
			      control->now.unix_ns, &err))
		rg_control_note(control, "policy_history", err.text);
}

void rg_policy_answer_approve(struct rg_control *control, const struct rg_server_request *request,
			      const struct rg_arguments *arguments)
{
	struct rg_policy_meta waiting;
	char identity[64], why[96];
	struct rg_push_request push = {.stored = arguments->sequence,
				       .approval_of = arguments->sequence,
				       .approved_by = identity,
				       .is_trusted = true,
				       .why = why};
	struct rg_error err;
	int rc = find_waiting(control, arguments->sequence, &waiting, &err);

	if (!rc)
		rc = identify(control, &waiting, request, arguments, identity, &err);
	if (rc) {
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	note(control, RG_HISTORY_APPROVED, &waiting, identity, arguments->reason);
	snprintf(why, sizeof(why), "push %" PRIu64 " approved by %s", waiting.sequence, identity);
	rg_policy_queue_push(control, request, &push, arguments);
}

void rg_policy_answer_reject(struct rg_control *control, const struct rg_server_request *request,
			     const struct rg_arguments *arguments)
{
	struct rg_policy_meta waiting;
	struct rg_json_writer writer;
	struct rg_error err;
	char identity[64];
	int rc = find_waiting(control, arguments->sequence, &waiting, &err);

	if (!rc)
		rc = rg_policy_store_remove(control->store, waiting.sequence, &err);
	if (rc) {
		rg_commands_refuse(control, request->ticket, &err);
		return;
	}
	rg_request_identity(request, identity, sizeof(identity));
	note(control, RG_HISTORY_REJECTED, &waiting, identity, arguments->reason);
	rg_answer_begin(&writer);
	rg_json_member_uint(&writer, "sequence", waiting.sequence);
	rg_json_member_text(&writer, "bundle", waiting.bundle);
	rg_json_member_text(&writer, "revision", waiting.revision);
	rg_json_member_text(&writer, "state", "rejected");
	rg_answer_send(control, request->ticket, &writer);
}

void rg_approvals_expire(struct rg_control *control)
{
	if (control->now.monotonic_ns < control->next_expiry_ns)
		return;
	control->next_expiry_ns = control->now.monotonic_ns + EXPIRY_PERIOD_NS;
	for (uint32_t i = rg_policy_store_count(control->store); i > 0; i--) {
		struct rg_policy_meta meta = *rg_policy_store_at(control->store, i - 1);
		struct rg_error err;

		if (meta.state != RG_POLICY_WAITING || control->now.unix_ns < meta.expires_ns ||
		    is_under_way(control, meta.sequence))
			continue;
		if (rg_policy_store_remove(control->store, meta.sequence, &err))
			rg_control_note(control, "policy_store", err.text);
		else
			note(control, RG_HISTORY_EXPIRED, &meta, meta.user, "");
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files with the socket's commands share: the arguments of a command as they were read,
 * and the frame of an answer.
 *
 * A command is a function that answers request->ticket now, or leaves it to a state machine to do
 * so.
 *
 * Thread-safety: belongs to control's loop.
 */
#ifndef RG_CONTROL_COMMANDS_H
#define RG_CONTROL_COMMANDS_H

#include "bundle/approval.h"
#include "control/push.h"
#include "control/server.h"

#define RG_COMMAND_PATH_BYTES 1024

/* A command's arguments; what is not given is 0, "" or false. */
struct rg_arguments {
	char command[32], path[RG_COMMAND_PATH_BYTES], verdict[16], template_name[64],
		revision[RG_POLICY_TEXT_BYTES], bundle[RG_POLICY_TEXT_BYTES],
		reason[RG_POLICY_REASON_BYTES], approver[64],
		signature[RG_APPROVAL_SIGNATURE_BYTES];
	bool has_wait, has_request_id, v0, dry_run, allow_older;
	uint64_t wait_ms, sequence, from, limit, request_id, before_ns;
};

/* Begin {"ok":true, ... and finish, send and free it. */
void rg_answer_begin(struct rg_json_writer *writer);
void rg_answer_send(struct rg_control *control, uint64_t ticket, struct rg_json_writer *writer);
/* An object: steps of a publish in ns since the announcement, those that were entered. */
void rg_answer_write_publish(struct rg_json_writer *writer, const struct rg_publish_times *times);

/* Who asks: the account of the unix socket's peer, or the identity of the HTTP API's client. */
void rg_request_identity(const struct rg_server_request *request, char *name, size_t name_bytes);
/* Is it a client of the HTTP API that has no identity? */
bool rg_request_is_anonymous(const struct rg_server_request *request);

/* policy_commands.c */
void rg_policy_answer_push(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments);
void rg_policy_answer_rollback(struct rg_control *control, const struct rg_server_request *request,
			       const struct rg_arguments *arguments);
void rg_policy_answer_list(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments);
void rg_policy_answer_show(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments);
void rg_policy_answer_sync(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments);
void rg_policy_answer_diff(struct rg_control *control, const struct rg_server_request *request,
			   const struct rg_arguments *arguments);
void rg_policy_answer_history(struct rg_control *control, const struct rg_server_request *request,
			      const struct rg_arguments *arguments);
/* approvals.c */
void rg_policy_answer_approve(struct rg_control *control, const struct rg_server_request *request,
			      const struct rg_arguments *arguments);
void rg_policy_answer_reject(struct rg_control *control, const struct rg_server_request *request,
			     const struct rg_arguments *arguments);
/* Take a push of the socket in; answered when it is done. */
void rg_policy_queue_push(struct rg_control *control, const struct rg_server_request *request,
			  struct rg_push_request *push, const struct rg_arguments *arguments);
/* Answer a comparison that is done. Returns the work done. */
uint32_t rg_policy_finish_diff(struct rg_control *control);

#endif

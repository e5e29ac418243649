/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the decisions made over HTTP: RG_RECORD_QUERY of shm/record.h, with RG_WORKER_API as
 * their worker.
 *
 *	evaluated ─► rg_recording_add() ─► rg_api_record(): suspended ─► control's loop gives each its
 *	sequence and journals it ─► written ─► answered
 *
 * So nobody is answered for what is not in the journal; when it cannot be written, the answer is
 * 500.
 *
 * Thread-safety: a recording belongs to one thread.
 */
#ifndef RG_CONTROL_API_RECORD_H
#define RG_CONTROL_API_RECORD_H

#include "control/api/web.h"
#include "policy/eval/value.h"

struct rg_api;

#define RG_DECISION_ID_BYTES 37

/* One decision, while its values are in the evaluator's heap. */
struct rg_decision_note {
	const char *decision_id;
	uint64_t receive_time_ns, latency_ns, seed, policy_sequence;
	uint8_t eval_result;
	const struct rg_target_text *path;
	uint32_t path_count;
	struct rg_heap *heap;
	struct rg_value input, result; /* may be undefined */
	const char *error;	       /* of the evaluation, or NULL */
};

/* Records of one request, one behind the other. Zero-initialise to start. */
struct rg_recording {
	uint8_t *bytes;
	size_t used, capacity;
	bool failed; /* memory ran out: the request must not be answered as decided */
};

/* A new random decision id (RFC 9562 UUID, version 4). */
void rg_decision_id_make(char id[RG_DECISION_ID_BYTES]);
/* Add the record of a decision; an input or result that makes it too long is left out and named in
 * "erased", as in OPA's decision logs. */
void rg_recording_add(struct rg_recording *recording, const struct rg_web_request *request,
		      const struct rg_decision_note *note);
/* Journal them, then send request->answer. Takes the recording's memory over. */
enum rg_web_result rg_api_record(struct rg_api *api, struct rg_web_request *request,
				 struct rg_recording *recording);

#endif

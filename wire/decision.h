/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision: the one message riskgate sends.
 *
 * Its layout is fixed, whatever schema the requests follow, so that a client may decode it with a
 * struct. examples/schema/riskgate.xml describes the same bytes for SBE tools (decision_test.c
 * compares every offset), and the loader refuses a schema whose message Decision is laid out
 * otherwise.
 *
 * All integers are little-endian, as the machines riskgate runs on are.
 *
 * Thread-safety: everything here is pure; any thread.
 */
#ifndef RG_WIRE_DECISION_H
#define RG_WIRE_DECISION_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/field.h"
#include "wire/sbe.h"

/* Template id of the decision in every schema. A message with this id is never a request and is
 * never answered: two riskgates (or a reflected datagram) would otherwise answer each other for
 * ever. */
#define RG_DECISION_TEMPLATE_ID 100
#define RG_DECISION_REASONS	8

enum rg_decision_status {
	RG_DECISION_OK = 0,
	RG_DECISION_NO_POLICY = 1,     /* no policy is bound to the request's template */
	RG_DECISION_BAD_MESSAGE = 2,   /* unknown schema or template, or a block cut short */
	RG_DECISION_POLICY_ERROR = 3,  /* evaluation failed: the configured failure verdict */
	RG_DECISION_OVERLOAD = 4,      /* shed before evaluation (dataplane.overload_after_us) */
	RG_DECISION_UNAUTHORIZED = 5,  /* reserved */
	RG_DECISION_RECORDER_FULL = 6, /* no room for the record: the configured verdict */
	RG_DECISION_STATUS_COUNT
};

enum rg_decision_flag {
	RG_DECISION_DEGRADED = 1,	   /* decided without something the policy wanted */
	RG_DECISION_SHADOW_DIFFERENCE = 2, /* the shadow policy decided otherwise */
	RG_DECISION_DUPLICATE_REPLAY = 4,  /* given before, to an earlier copy of the request */
	RG_DECISION_CANARY = 8		   /* decided by the canary policy */
};

/* The root block. Verdicts are those of enum rg_verdict: ALLOW 1, DENY 2, REVIEW 3. */
struct rg_decision_message {
	uint64_t request_id;
	uint64_t policy_sequence; /* 0: no policy */
	int64_t score_micro;	  /* score x 10^6 */
	uint64_t receive_time_ns; /* since 1970-01-01 UTC */
	uint64_t send_time_ns;
	uint16_t reasons[RG_DECISION_REASONS]; /* ids, the primary one first; 0: none */
	uint16_t reasons_fired;		       /* in all, also those that did not fit */
	uint16_t flags;			       /* enum rg_decision_flag */
	uint8_t verdict;
	uint8_t status;	     /* enum rg_decision_status */
	uint8_t reserved[2]; /* 0 */
} __attribute__((packed));

#define RG_DECISION_FROZEN                                                                         \
	"the decision is a contract with clients: append fields, raise the schema's version, "     \
	"change riskgate.xml with it"
static_assert(offsetof(struct rg_decision_message, policy_sequence) == 8, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, score_micro) == 16, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, receive_time_ns) == 24, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, send_time_ns) == 32, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, reasons) == 40, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, reasons_fired) == 56, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, flags) == 58, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, verdict) == 60, RG_DECISION_FROZEN);
static_assert(offsetof(struct rg_decision_message, status) == 61, RG_DECISION_FROZEN);
static_assert(sizeof(struct rg_decision_message) == 64, RG_DECISION_FROZEN);

/* Bytes of an encoded decision with its header. */
#define RG_DECISION_BYTES                                                                          \
	((uint32_t)(sizeof(struct rg_sbe_header) + sizeof(struct rg_decision_message)))
static_assert(RG_DECISION_BYTES == 72 && RG_DECISION_BYTES <= 96, RG_DECISION_FROZEN);

/* Write header and decision to out[0..RG_DECISION_BYTES). schema_id and version are those of the
 * schema in use. */
static inline void rg_decision_encode(uint8_t *out, uint16_t schema_id, uint16_t version,
				      const struct rg_decision_message *decision)
{
	struct rg_sbe_header header = {
		.block_length = sizeof(*decision),
		.template_id = RG_DECISION_TEMPLATE_ID,
		.schema_id = schema_id,
		.version = version,
	};

	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), decision, sizeof(*decision));
}

/* Read the decision at message[0..bytes) (header and block). Returns the bytes it occupies, or 0 if
 * it is not one: too short, another template, or a block shorter than this version's. A longer
 * block is read up to what is known. */
static inline uint32_t rg_decision_decode(const uint8_t *message, uint32_t bytes,
					  struct rg_decision_message *decision)
{
	struct rg_sbe_header header;

	if (bytes < RG_DECISION_BYTES)
		return 0;
	memcpy(&header, message, sizeof(header));
	if (header.template_id != RG_DECISION_TEMPLATE_ID ||
	    header.block_length < sizeof(*decision) || header.block_length > bytes - sizeof(header))
		return 0;
	memcpy(decision, message + sizeof(header), sizeof(*decision));
	return (uint32_t)sizeof(header) + header.block_length;
}

/* "OK", "NO_POLICY", ... as in the schema; "UNKNOWN" for others. */
const char *rg_decision_status_name(uint8_t status);
/* "ALLOW", "DENY", "REVIEW"; "NONE" for 0 and "UNKNOWN" for others. */
const char *rg_decision_verdict_name(uint8_t verdict);
/* The status or verdict of that name, or -1. */
int rg_decision_status_find(const char *name);
int rg_decision_verdict_find(const char *name);

/* Whether a schema's message Decision has this layout: template id, and each field's path, offset,
 * kind, width and null value. fields[0..template->fields_count) are the template's. RG_OK, or
 * RG_EINVAL naming the first difference and the remedy. */
int rg_decision_check_layout(const struct rg_field *fields, const struct rg_template *template,
			     struct rg_error *err);

#endif

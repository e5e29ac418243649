/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record: one decision with all that was used to reach it, as it lies in the ring, in the journal
 * and in what replay reads. Little-endian, no padding holes, no pointers:
 *
 *	struct rg_record | request_bytes: the SBE root block as it came, or of a QUERY a JSON
 * object | features_bytes: feature values
 *
 * The key of a record is (node, epoch, worker, sequence). Sequence starts at 1 for each worker and
 * epoch and has no gaps: a gap is a loss, and a loss has a counter.
 */
#ifndef RG_SHM_RECORD_H
#define RG_SHM_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_RECORD_VERSION 1
/* The worker of decisions made by riskgate-control over HTTP; their epoch is control's. */
#define RG_WORKER_API	      UINT16_MAX
#define RG_RECORD_REASONS_MAX 8
/* No record is longer: an SBE block is at most 65535 bytes, and features are few. */
#define RG_RECORD_BYTES_MAX (128u * 1024)

enum rg_record_kind {
	RG_RECORD_DECISION = 1, /* a request that was answered */
	/* A rule that was asked for over HTTP, with a value of any kind as its result: no template, no
	 * verdict. The request's bytes are a JSON object: decision_id, path ("payments/deny"), and,
	 * as there are, input, result, error (a text), requested_by (an identity), headers (an
	 * object), erased (["/input"]: left out because the record would be too long). Read it with
	 * journal/query.h. */
	RG_RECORD_QUERY = 2,
};

struct rg_record {
	uint32_t length;	  /* of the whole record: sizeof(struct rg_record) + request_bytes +
				     features_bytes */
	uint8_t kind;		  /* enum rg_record_kind */
	uint8_t version;	  /* RG_RECORD_VERSION */
	uint16_t worker;	  /* 0-based */
	uint64_t epoch;		  /* start of the data plane that decided, unix ns */
	uint64_t sequence;	  /* 1, 2, 3, ... in this epoch and worker */
	uint64_t receive_time_ns; /* unix */
	uint64_t seed;		  /* the evaluator's seed for this request */
	uint64_t policy_sequence; /* 0: no policy (status NO_POLICY) */
	int64_t score_micro;
	uint8_t client_address[16]; /* IPv6, or IPv4 mapped into it (RFC 4291 2.5.5.2) */
	uint16_t client_port;	    /* host byte order */
	uint16_t schema_id;
	uint16_t template_id;
	uint16_t schema_version; /* of the sender */
	uint16_t block_length;	 /* as in the sender's SBE header */
	uint16_t flags;		 /* of the decision message */
	uint32_t latency_ns;	 /* receive to decision; saturates at 4.29 s */
	uint32_t node;
	uint8_t verdict;     /* as in the decision message: 1 ALLOW, 2 DENY, 3 REVIEW */
	uint8_t status;	     /* as in the decision message */
	uint8_t eval_result; /* enum rg_eval_result */
	uint8_t reason_count;
	uint16_t reasons[RG_RECORD_REASONS_MAX]; /* reasons[0..reason_count), primary first; the
						    rest 0 */
	uint16_t reasons_fired;
	uint16_t request_bytes;	 /* bytes of the root block that follow */
	uint32_t features_bytes; /* bytes of feature values that follow those */
};
static_assert(sizeof(struct rg_record) == 120 && offsetof(struct rg_record, epoch) == 8 &&
		      offsetof(struct rg_record, client_address) == 56 &&
		      offsetof(struct rg_record, node) == 88 &&
		      offsetof(struct rg_record, reasons) == 96 &&
		      offsetof(struct rg_record, features_bytes) == 116,
	      "the journal keeps records for years: add a field by raising RG_RECORD_VERSION and "
	      "teach readers both");

/* Bytes of a record with these parts; 0 if it would be longer than RG_RECORD_BYTES_MAX. Pure. */
static inline uint32_t rg_record_bytes(uint32_t request_bytes, uint32_t features_bytes)
{
	uint64_t bytes = (uint64_t)sizeof(struct rg_record) + request_bytes + features_bytes;

	return bytes <= RG_RECORD_BYTES_MAX && request_bytes <= UINT16_MAX ? (uint32_t)bytes : 0;
}
static inline const uint8_t *rg_record_request(const struct rg_record *record)
{
	return (const uint8_t *)(record + 1);
}
static inline const uint8_t *rg_record_features(const struct rg_record *record)
{
	return (const uint8_t *)(record + 1) + record->request_bytes;
}

/* Is data[0..bytes) one whole well-formed record? Checks kind, version, the three lengths against
 * each other and bytes, counts and enum ranges; the caller must own a private copy (a record still
 * in the ring can be changed by its producer). Returns RG_OK, RG_EVERSION or RG_ECORRUPT with the
 * field's name and value. Pure. */
int rg_record_check(const void *data, uint32_t bytes, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy of the tests' own in place of the policy room: an image says what each request gets, so
 * that each outcome, also those that no sane policy has, can be asked for. fake_policy.c defines
 * the functions of policy/eval/eval.h and policy/image/image.h that the data plane calls.
 */
#ifndef RG_DATAPLANE_FAKE_POLICY_H
#define RG_DATAPLANE_FAKE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_MAGIC 0x65646f6349656b61ull

struct fake_image {
	uint64_t magic;
	uint64_t sequence, fingerprint;
	uint32_t verify_fails, bind_fails; /* 1: as if */
	uint16_t template_id;		   /* the only one that is bound */
	uint8_t pad[64 - 34];
};
_Static_assert(sizeof(struct fake_image) == 64, "no holes");

/* What rg_decide() of the fake gives, by request_id % 5. */
enum fake_outcome {
	FAKE_ALLOW = 0,
	FAKE_DENY_ALL_REASONS = 1,
	FAKE_REVIEW = 2,
	FAKE_BUDGET = 3,
	FAKE_ALLOW_SCORED = 4
};

struct fake_image fake_image(uint64_t sequence, uint64_t fingerprint, uint16_t template_id);
/* Arguments of the last rg_decide(). */
extern struct fake_last {
	uint32_t block_bytes;
	int64_t now_ns;
	uint64_t seed;
	uint64_t sequence; /* of the image that decided */
	uint64_t calls;
} fake_last;
/* The request that takes FAKE_SLOW_NS of CPU time to decide; 0: none does. */
extern uint64_t fake_slow_id;
#define FAKE_SLOW_NS 50000000ull

#endif

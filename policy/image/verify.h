/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of rg_image_verify(): constants (verify_heap.c), typed programs (verify_typed.c) and
 * everything else (verify.c). Private to image/.
 *
 * Time is linear in the image: every container and text is looked at once, however often it is
 * named, and together they may not be larger than the heap they lie in, so that overlapping ones
 * cannot make work; comparing keys and hashing, and slices of operands and names, which may
 * overlap, are charged to heap.work and text_work.
 */
#ifndef RG_POLICY_IMAGE_VERIFY_H
#define RG_POLICY_IMAGE_VERIFY_H

#include <stdbool.h>

#include "policy/eval/value.h"
#include "policy/image/image.h"

struct rg_verify {
	const uint8_t *image;
	struct rg_error *err;
	const struct rg_value *constants;
	uint32_t constant_count;
	struct rg_heap heap; /* the image's, read-only */
	uint64_t heap_bytes;
	uint64_t looked_at; /* bytes of distinct containers and texts so far */
	uint64_t text_work; /* bytes of key texts that may still be compared or hashed */
	uint8_t *seen;	    /* a byte an 8-byte unit: what was found to begin there */
};

/* Set the error: section, entry or offset, and what is wrong. Returns RG_ECORRUPT. */
int rg_verify_fail(struct rg_verify *verify, const char *section, uint64_t at, const char *what);
/* All constants and what they name. RG_OK, RG_ECORRUPT, RG_ENOMEM. */
int rg_verify_constants(struct rg_verify *verify);
/* Typed programs and their tables. RG_OK, RG_ECORRUPT. */
int rg_verify_typed(struct rg_verify *verify);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled policy in words: what an instruction tests or does, whether that is done on the
 * request's bytes or on values, and how many steps a function may take. The one place that policy
 * check and policy explain learn about images from.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_IMAGE_VIEW_H
#define RG_TOOLS_RISKCTL_IMAGE_VIEW_H

#include "policy/eval/value.h"
#include "policy/image/code.h"
#include "policy/image/image.h"

#define RG_STEP_TEXT_BYTES 260

struct rg_image_view {
	const void *image;    /* verified */
	struct rg_heap *heap; /* of an evaluator that is bound to it */
	const struct rg_image_function *functions;
	const struct rg_instruction *code;
	uint32_t function_count;
};

void rg_image_view_init(struct rg_image_view *view, const void *image, struct rg_heap *heap);

/* How an instruction does its work. */
enum rg_step_kind {
	RG_STEP_PLAIN,	/* jumps, constants, results: of no interest */
	RG_STEP_TYPED,	/* a test of the request's bytes */
	RG_STEP_CALL,	/* another rule's function */
	RG_STEP_GENERAL /* works on values at run time */
};
enum rg_step_kind rg_step_kind_of(const struct rg_instruction *instruction);
/* "input.amount > 100000", "built-in sprintf", "goes over a collection", into
 * out[RG_STEP_TEXT_BYTES]; returns out. */
const char *rg_step_text(const struct rg_image_view *view, const struct rg_instruction *instruction,
			 char *out);

/* A constant string, NUL-terminated, into out[bytes]; returns out. */
const char *rg_image_view_text(const struct rg_image_view *view, uint32_t constant, char *out,
			       size_t bytes);
const struct rg_image_place *rg_image_view_place(const struct rg_image_view *view,
						 const struct rg_instruction *instruction);

/* What a function can cost. */
struct rg_function_cost {
	uint64_t steps;	       /* the longest way through it and all that it calls */
	uint32_t instructions; /* of its own */
	uint32_t
		open_loops; /* loops whose length only the request knows, one turn each in `steps` */
	uint32_t builtins;  /* calls of built-ins on the longest way, one step each in `steps` */
};
/* costs[function_count]. The longest way takes loops over constants as often as they turn. RG_OK
 * or RG_ENOMEM. */
int rg_image_view_costs(const struct rg_image_view *view, struct rg_function_cost *costs,
			struct rg_error *err);

#endif

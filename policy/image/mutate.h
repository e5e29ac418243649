/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and the fuzz target: take a damaged image through the verifier and, if that accepts it,
 * through everything the evaluator can do with it. Nothing may go wrong but results.
 */
#ifndef RG_POLICY_IMAGE_MUTATE_H
#define RG_POLICY_IMAGE_MUTATE_H

#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "policy/testdata/requests.h"

/* Small bounds, so that even a policy that loops as long as it may ends soon. */
#define MUTANT_BUDGET  2000
#define MUTANT_SCRATCH ((uint64_t)256 << 10)

static inline void run_plans(struct rg_eval *eval, const char *json)
{
	for (uint32_t i = 0; i < rg_eval_plan_count(eval); i++) {
		struct rg_query query = {.strict = i & 1};
		struct rg_json_writer writer;
		struct rg_value results;
		struct rg_error err;
		uint32_t bytes;

		rg_heap_reset(rg_eval_heap(eval));
		if (json &&
		    rg_value_parse(rg_eval_heap(eval), json, strlen(json), &query.input, &err))
			continue;
		(void)rg_eval_plan_name(eval, i, &bytes);
		if (rg_eval_run(eval, i, &query, &results, &err) || !rg_is_defined(results))
			continue;
		rg_json_writer_init(&writer, false);
		rg_value_write(rg_eval_heap(eval), results, &writer);
		rg_json_writer_free(&writer);
	}
}

/* Whole and cut, so that lanes go different ways; with each width of vectors. */
static inline void run_burst(struct rg_eval *eval, int binding, const uint8_t *block,
			     uint32_t block_bytes)
{
	struct rg_decide_request requests[5];
	struct rg_outcome outcomes[5];

	for (int vectors = 0; vectors < RG_EVAL_VECTORS; vectors++) {
		rg_eval_use_vectors(eval, (enum rg_eval_vectors)vectors);
		for (uint32_t i = 0; i < 5; i++)
			requests[i] = (struct rg_decide_request){
				block, block_bytes - block_bytes * (i & 1) / 2, 2, &outcomes[i]};
		rg_decide_burst(eval, binding, requests, 5, 1);
		for (uint32_t i = 0; i < 5; i++)
			assert(outcomes[i].reason_count <= RG_REASONS_MAX);
	}
}

static inline void run_decisions(struct rg_eval *eval, uint32_t bindings,
				 const struct request *request)
{
	for (uint32_t i = 0; i < bindings; i++) {
		uint8_t *block = malloc(request->block_bytes + 1);
		struct rg_query query = {0};
		struct rg_outcome outcome;
		struct rg_error err;

		memcpy(block, request->block, request->block_bytes);
		rg_decide(eval, (int)i, block, request->block_bytes, 1, 2, &outcome);
		assert(outcome.reason_count <= RG_REASONS_MAX);
		run_burst(eval, (int)i, block, request->block_bytes);
		free(block);
		rg_heap_reset(rg_eval_heap(eval));
		if (!rg_value_parse(rg_eval_heap(eval), request->json, strlen(request->json),
				    &query.input, &err))
			rg_decide_value(eval, (int)i, &query, &outcome, &err);
	}
}

/* Where a mutation is told to go: anywhere, or with `typed` into typed instructions, programs and
 * tables, which are a small part of an image. */
static inline size_t mutation_place(const void *image, size_t image_bytes, bool typed, size_t at)
{
	const struct rg_image_section
		*code = &rg_image_header(image)->sections[RG_SECTION_TYPED_CODE],
		*tables = &rg_image_header(image)->sections[RG_SECTION_TYPED_TABLES],
		*programs = &rg_image_header(image)->sections[RG_SECTION_TYPED_PROGRAMS];

	if (!typed || !code->bytes)
		return at % image_bytes;
	at %= code->bytes + tables->bytes + programs->bytes;
	if (at < code->bytes)
		return code->offset + at;
	at -= code->bytes;
	return at < tables->bytes ? tables->offset + at : programs->offset + at - tables->bytes;
}

/* Fix the header of a damaged image (in 64-aligned memory), and run it if it verifies. Returns
 * whether it did. */
static inline bool run_mutant(void *image, size_t bytes, void *memory,
			      const struct request *request)
{
	struct rg_image_header *header = image;
	struct rg_error err;
	struct rg_eval *eval;

	if (bytes < sizeof(*header))
		return false;
	header->magic = RG_IMAGE_MAGIC;
	header->version = RG_IMAGE_VERSION;
	header->image_bytes = bytes;
	if (!header->budget || header->budget > MUTANT_BUDGET)
		header->budget = MUTANT_BUDGET;
	header->crc32c = rg_image_checksum(image, bytes);
	if (rg_image_verify(image, bytes, &err))
		return false;
	eval = rg_eval_new(memory, MUTANT_SCRATCH);
	if (rg_eval_bind(eval, image, bytes, &err))
		return true;
	run_plans(eval, NULL);
	run_plans(eval, request->json);
	run_decisions(eval, rg_image_count(image, RG_SECTION_BINDINGS), request);
	return true;
}

#endif

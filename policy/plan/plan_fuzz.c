/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: plan.json. What the reader accepts is compiled (which verifies the image) and its
 * entrypoints are run.
 */
#include "policy/image/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static void *memory;
	const struct rg_binding binding = {"Payment", "requests"};
	struct rg_reason_list reasons = {0};
	struct rg_compile_options options = {
		.plan_json = (const char *)data,
		.plan_bytes = bytes,
		.data_json = "{\"limits\":{\"twice\":1},\"trusted\":[\"A1\"]}",
		.data_bytes = 39,
		.sequence = 1,
		.budget = MUTANT_BUDGET,
		.fields = &request_table,
		.bindings = &binding,
		.reasons = &reasons,
	};
	struct chance chance = {bytes + 1};
	struct request request;
	size_t image_bytes;
	void *image;

	if (!memory)
		memory = aligned_alloc(64, rg_eval_footprint(MUTANT_SCRATCH));
	random_request(&chance, &request);
	for (uint32_t bindings = 0; bindings < 2;
	     bindings++) { /* bound, if it has the rules, and unbound */
		options.binding_count = bindings;
		if (rg_compile(&options, &image, &image_bytes, NULL))
			continue;
		assert(run_mutant(image, image_bytes, memory, &request));
		free(image);
	}
	rg_reason_list_free(&reasons);
	return 0;
}

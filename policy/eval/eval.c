/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator's public face: memory, binding, queries. Verdicts are in decide.c. */
#include <string.h>

#include "policy/eval/machine.h"

#define SCRATCH_BYTES_MIN ((uint64_t)1 << 12)
#define SCRATCH_BYTES_MAX ((uint64_t)1 << 40)

const char *rg_eval_result_code(enum rg_eval_result result)
{
	switch (result) {
	case RG_EVAL_OK: return "ok";
	case RG_EVAL_CONFLICT: return "eval_conflict_error";
	case RG_EVAL_TYPE: return "eval_type_error";
	case RG_EVAL_BUILTIN: return "eval_builtin_error";
	case RG_EVAL_WITH: return "eval_with_merge_error";
	case RG_EVAL_BUDGET: return "riskgate_budget_error";
	case RG_EVAL_MEMORY: return "riskgate_memory_error";
	case RG_EVAL_DEPTH: return "riskgate_depth_error";
	}
	return "unknown";
}

/* ---- memory ---- */

static uint64_t state_bytes(void)
{
	return (sizeof(struct rg_eval) + 63) & ~(uint64_t)63;
}

uint64_t rg_eval_footprint(uint64_t scratch_bytes)
{
	if (scratch_bytes < SCRATCH_BYTES_MIN || scratch_bytes > SCRATCH_BYTES_MAX)
		return 0;
	return state_bytes() + ((scratch_bytes + 63) & ~(uint64_t)63);
}

struct rg_eval *rg_eval_new(void *mem, uint64_t scratch_bytes)
{
	struct rg_eval *eval = mem;

	if (!mem || (uintptr_t)mem % 64 || !rg_eval_footprint(scratch_bytes))
		return NULL;
	memset(eval, 0, sizeof(*eval));
	rg_heap_init(&eval->heap, (uint8_t *)mem + state_bytes(), scratch_bytes & ~(uint64_t)7);
	eval->call.heap = &eval->heap;
	eval->use_typed = true;
	rg_eval_use_vectors(eval, RG_EVAL_AVX512);
	return eval;
}

struct rg_heap *rg_eval_heap(struct rg_eval *eval)
{
	return &eval->heap;
}

void rg_eval_watch(struct rg_eval *eval, rg_eval_watcher *watcher, void *context)
{
	eval->watcher = watcher;
	eval->watcher_context = context;
}

struct rg_eval_counts rg_eval_counts(const struct rg_eval *eval)
{
	return eval->counts;
}

void rg_eval_use_typed(struct rg_eval *eval, bool use)
{
	eval->use_typed = use;
}

enum rg_eval_vectors rg_eval_use_vectors(struct rg_eval *eval, enum rg_eval_vectors most)
{
	static rg_typed_burst *const bursts[RG_EVAL_VECTORS] = {
		[RG_EVAL_PLAIN] = rg_typed_burst_plain,
#ifdef __x86_64__
		[RG_EVAL_AVX2] = rg_typed_burst_avx2,
		[RG_EVAL_AVX512] = rg_typed_burst_avx512,
#endif
	};
	enum rg_eval_vectors vectors = rg_eval_widest_vectors(most);

	eval->typed_burst = bursts[vectors];
	eval->match_rules = rg_rule_table_matcher_of(vectors);
	return vectors;
}

/* ---- binding ---- */

static int resolve_builtins(struct rg_eval *eval, struct rg_error *err)
{
	const struct rg_image_builtin *imports = rg_image_section(eval->image, RG_SECTION_BUILTINS);

	for (uint32_t i = 0; i < rg_image_count(eval->image, RG_SECTION_BUILTINS); i++) {
		struct rg_value name = eval->constants[imports[i].name];
		const struct rg_builtin *builtin =
			rg_builtin_find(rg_text(&eval->heap, name), name.length);

		if (!builtin || builtin->arg_count != imports[i].arg_count)
			return rg_error_set(err, RG_EVERSION,
					    "image needs built-in %.*s with %u arguments, which "
					    "this build lacks: "
					    "compile the bundle again",
					    (int)name.length, rg_text(&eval->heap, name),
					    imports[i].arg_count);
		eval->builtins[i] = builtin;
	}
	return RG_OK;
}

static uint32_t template_hash(uint16_t schema_id, uint16_t template_id)
{
	return ((uint32_t)schema_id * 31u + template_id * 0x9e37u) % RG_EVAL_TEMPLATE_SLOTS;
}

static void enter_templates(struct rg_eval *eval)
{
	memset(eval->template_slots, 0, sizeof(eval->template_slots));
	for (uint32_t i = 0; i < rg_image_count(eval->image, RG_SECTION_BINDINGS); i++) {
		uint32_t at =
			template_hash(eval->bindings[i].schema_id, eval->bindings[i].template_id);

		while (eval->template_slots[at])
			at = (at + 1) % RG_EVAL_TEMPLATE_SLOTS;
		eval->template_slots[at] = (uint8_t)(i + 1);
	}
}

int rg_eval_bind(struct rg_eval *eval, const void *image, uint64_t image_bytes,
		 struct rg_error *err)
{
	const struct rg_image_header *header = rg_image_header(image);
	const struct rg_image_section *heap;

	if (image_bytes < sizeof(*header) || header->magic != RG_IMAGE_MAGIC ||
	    header->version != RG_IMAGE_VERSION || header->image_bytes != image_bytes)
		return rg_error_set(err, RG_EVERSION, "not an image of version %d",
				    RG_IMAGE_VERSION);
	heap = &header->sections[RG_SECTION_HEAP];
	eval->image = image;
	/* The heap never writes to this space; the pointer has no const because one array names
	 * all spaces. */
	eval->heap.space[RG_SPACE_IMAGE] = (uint8_t *)(uintptr_t)image + heap->offset;
	eval->heap.bytes[RG_SPACE_IMAGE] = heap->bytes;
	eval->constants = rg_image_section(image, RG_SECTION_CONSTANTS);
	eval->code = rg_image_section(image, RG_SECTION_CODE);
	eval->operands = rg_image_section(image, RG_SECTION_OPERANDS);
	eval->functions = rg_image_section(image, RG_SECTION_FUNCTIONS);
	eval->fields = rg_image_section(image, RG_SECTION_FIELDS);
	eval->names = rg_image_section(image, RG_SECTION_FIELD_NAMES);
	eval->nodes = rg_image_section(image, RG_SECTION_NODES);
	eval->bindings = rg_image_section(image, RG_SECTION_BINDINGS);
	eval->typed_programs = rg_image_section(image, RG_SECTION_TYPED_PROGRAMS);
	eval->typed_code = rg_image_section(image, RG_SECTION_TYPED_CODE);
	eval->typed_tables = rg_image_section(image, RG_SECTION_TYPED_TABLES);
	eval->typed_cells = rg_image_section(image, RG_SECTION_TYPED_CELLS);
	eval->rule_tables = rg_image_section(image, RG_SECTION_RULE_TABLES);
	eval->function_count = rg_image_count(image, RG_SECTION_FUNCTIONS);
	eval->epoch++; /* the memo belongs to the image before */
	eval->typed_state.prepared = 0;
	eval->typed_columns.prepared = 0;
	enter_templates(eval);
	return resolve_builtins(eval, err);
}

int rg_eval_template(const struct rg_eval *eval, uint16_t schema_id, uint16_t template_id)
{
	uint32_t at = template_hash(schema_id, template_id);

	for (; eval->template_slots[at]; at = (at + 1) % RG_EVAL_TEMPLATE_SLOTS) {
		const struct rg_image_binding *binding =
			&eval->bindings[eval->template_slots[at] - 1];

		if (binding->schema_id == schema_id && binding->template_id == template_id)
			return eval->template_slots[at] - 1;
	}
	return -1;
}

/* ---- queries ---- */

static const struct rg_image_plan *plans_of(const struct rg_eval *eval)
{
	return rg_image_section(eval->image, RG_SECTION_PLANS);
}

uint32_t rg_eval_plan_count(const struct rg_eval *eval)
{
	return rg_image_count(eval->image, RG_SECTION_PLANS);
}

const char *rg_eval_plan_name(const struct rg_eval *eval, uint32_t index, uint32_t *bytes)
{
	struct rg_value name = eval->constants[plans_of(eval)[index].name];

	*bytes = name.length;
	return rg_text(&eval->heap, name);
}

int rg_eval_plan_find(const struct rg_eval *eval, const char *name)
{
	size_t wanted = strlen(name);

	for (uint32_t i = 0; i < rg_eval_plan_count(eval); i++) {
		uint32_t bytes;
		const char *text = rg_eval_plan_name(eval, i, &bytes);

		if (bytes == wanted && !memcmp(text, name, bytes))
			return (int)i;
	}
	return -1;
}

enum rg_eval_result rg_eval_run(struct rg_eval *eval, uint32_t index, const struct rg_query *query,
				struct rg_value *results, struct rg_error *err)
{
	eval->block_bytes = 0;
	rg_machine_begin(eval, query->now_ns, query->seed, query->strict, err);
	*results = rg_undefined;
	if (!rg_machine_run(eval, plans_of(eval)[index].function, &query->input, results))
		return eval->result;
	return RG_EVAL_OK;
}

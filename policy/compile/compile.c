/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile/allocate.h"
#include "policy/compile/documents.h"
#include "policy/compile/flatten.h"
#include "policy/compile/serialise.h"
#include "policy/compile/typed.h"
#include "policy/compile/verdict.h"

#define HEAP_BYTES_MIN ((uint64_t)1 << 30)
#define HEAP_PER_INPUT                                                                             \
	96 /* bytes of values that a byte of plan or data may become, with room to compute */

/* ---- what the plan needs ---- */

struct missing {
	struct rg_unit *unit;
	bool *is_missing; /* a built-in of the plan */
	char *text;	  /* of the error */
	size_t used;
	bool any;
};

static void append(struct missing *missing, const char *text)
{
	size_t bytes = strlen(text);

	if (missing->used + bytes + 1 > RG_ERROR_TEXT_BYTES)
		return;
	memcpy(missing->text + missing->used, text, bytes + 1);
	missing->used += bytes;
}

static void count_statements(struct rg_unit *unit, const struct rg_plan_block *blocks,
			     uint32_t count, struct rg_function_facts *owner)
{
	for (uint32_t i = 0; i < count; i++) {
		owner->statement_count += blocks[i].count;
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			const struct rg_plan_statement *statement = &blocks[i].statements[j];

			if (statement->type == RG_STATEMENT_CALL &&
			    statement->callee_kind == RG_PLAN_CALL_FUNCTION)
				unit->functions[statement->callee].call_sites++;
			count_statements(unit, statement->blocks, statement->block_count, owner);
		}
	}
}

/* Places where built-in `wanted` is called, into the error's text. */
static void find_places(struct missing *missing, const struct rg_plan_block *blocks, uint32_t count,
			uint32_t wanted, uint32_t *found)
{
	const struct rg_plan *plan = missing->unit->plan;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < blocks[i].count; j++) {
			const struct rg_plan_statement *statement = &blocks[i].statements[j];
			char place[256];

			if (statement->type == RG_STATEMENT_CALL &&
			    statement->callee_kind == RG_PLAN_CALL_BUILTIN &&
			    statement->callee == wanted) {
				snprintf(place, sizeof(place), "%s%s:%u:%u",
					 (*found)++ ? ", " : " (",
					 statement->file < plan->file_count
						 ? plan->files[statement->file].text
						 : "?",
					 statement->row, statement->col);
				append(missing, place);
			}
			find_places(missing, statement->blocks, statement->block_count, wanted,
				    found);
		}
	}
}

static void name_missing(struct missing *missing, uint32_t wanted)
{
	const struct rg_plan *plan = missing->unit->plan;
	uint32_t found = 0;

	append(missing, missing->any ? "; " : "built-ins that riskgate does not have: ");
	append(missing, plan->builtins[wanted].name.text);
	for (uint32_t i = 0; i < plan->function_count; i++)
		find_places(missing, plan->functions[i].blocks, plan->functions[i].block_count,
			    wanted, &found);
	for (uint32_t i = 0; i < plan->entry_count; i++)
		find_places(missing, plan->entries[i].blocks, plan->entries[i].block_count, wanted,
			    &found);
	if (found)
		append(missing, ")");
	missing->any = true;
}

static int check_builtins(struct rg_unit *unit)
{
	const struct rg_plan *plan = unit->plan;
	char text[RG_ERROR_TEXT_BYTES] = "";
	struct missing missing = {.unit = unit, .text = text};

	for (uint32_t i = 0; i < plan->builtin_count; i++) {
		if (!rg_builtin_find(plan->builtins[i].name.text, plan->builtins[i].name.bytes))
			name_missing(&missing, i);
	}
	if (missing.any)
		return rg_unit_fail(unit, RG_EMISSING, "%s", text);
	for (uint32_t i = 0; i < plan->builtin_count; i++) {
		const struct rg_plan_builtin *builtin = &plan->builtins[i];
		int status;

		if (!builtin->decl.bytes)
			continue;
		status = rg_builtin_check(rg_builtin_find(builtin->name.text, builtin->name.bytes),
					  builtin->decl.text, builtin->decl.bytes, unit->err);
		if (status) {
			unit->status = status;
			return rg_error_prefix(unit->err, "plan.json: built-in %s",
					       builtin->name.text);
		}
	}
	return RG_OK;
}

/* ---- steps ---- */

static int load_data(struct rg_unit *unit)
{
	const struct rg_compile_options *options = unit->options;
	int status;

	if (!options->data_json) {
		unit->data = rg_object(&unit->heap, 0);
		return RG_OK;
	}
	status = rg_value_parse(&unit->heap, options->data_json, options->data_bytes, &unit->data,
				unit->err);
	if (status) {
		unit->status = status;
		return rg_error_prefix(unit->err, "data.json");
	}
	if (unit->data.type != RG_OBJECT)
		return rg_unit_fail(unit, RG_EINVAL, "data.json: must be an object");
	return RG_OK;
}

static int prepare(struct rg_unit *unit)
{
	const struct rg_compile_options *options = unit->options;
	uint64_t input_bytes = options->plan_bytes + options->data_bytes;
	uint64_t heap_bytes = input_bytes * HEAP_PER_INPUT;
	struct rg_plan *plan;

	if (heap_bytes < HEAP_BYTES_MIN)
		heap_bytes = HEAP_BYTES_MIN;
	unit->status =
		rg_plan_load(options->plan_json, options->plan_bytes, &unit->plan, unit->err);
	if (unit->status)
		return unit->status;
	if (options->documents)
		unit->status = rg_documents_add(unit->plan, unit->err);
	if (unit->status)
		return unit->status;
	unit->status = rg_flatten(unit->plan, unit->err);
	if (unit->status)
		return unit->status;
	unit->status = rg_heap_new(&unit->heap, heap_bytes, unit->err);
	if (unit->status)
		return unit->status;
	unit->heap.work = UINT64_MAX;
	plan = unit->plan;
	unit->functions =
		rg_arena_array(&plan->arena, plan->function_count + 1, sizeof(*unit->functions));
	unit->entries = rg_arena_array(&plan->arena, plan->entry_count + 1, sizeof(*unit->entries));
	unit->strings =
		rg_arena_array(&plan->arena, plan->string_count + 1, sizeof(*unit->strings));
	unit->file_constants = rg_arena_array(&plan->arena, plan->file_count + 1, sizeof(uint32_t));
	if (!unit->functions || !unit->entries || !unit->strings || !unit->file_constants)
		return rg_unit_no_memory(unit);
	for (uint32_t i = 0; i < plan->function_count; i++)
		count_statements(unit, plan->functions[i].blocks, plan->functions[i].block_count,
				 &unit->functions[i]);
	for (uint32_t i = 0; i < plan->entry_count; i++)
		count_statements(unit, plan->entries[i].blocks, plan->entries[i].block_count,
				 &unit->entries[i]);
	if (check_builtins(unit))
		return unit->status;
	return load_data(unit);
}

static int enter_plans(struct rg_unit *unit)
{
	for (uint32_t i = 0; i < unit->plan->entry_count && !unit->status; i++) {
		struct rg_plan_text name = unit->plan->entries[i].name;
		struct rg_image_plan *plan = rg_vector_add(unit, &unit->plans, sizeof(*plan));

		if (!plan)
			break;
		plan->name = rg_unit_text(unit, name.text, name.bytes);
		plan->function = rg_unit_variant(
			unit, (struct rg_variant){
				      .source = i, .template = RG_NO_TEMPLATE, .is_entry = true});
	}
	return unit->status;
}

/* The name of a variant: for error texts, traces and explain. */
static uint32_t variant_name(struct rg_unit *unit, struct rg_variant variant)
{
	struct rg_plan_text name = variant.is_entry ? unit->plan->entries[variant.source].name
						    : unit->plan->functions[variant.source].name;
	struct rg_value template_name;
	char text[512];
	int bytes;

	if (variant.template == RG_NO_TEMPLATE)
		return rg_unit_text(unit, name.text, name.bytes);
	template_name =
		RG_VECTOR_AT(unit->constants, struct rg_constant,
			     RG_VECTOR_AT(unit->nodes, struct rg_image_node, variant.template)->key)
			->value;
	bytes = snprintf(text, sizeof(text), "%.*s#%.*s",
			 (int)(name.bytes < 256 ? name.bytes : 256), name.text,
			 (int)template_name.length, rg_text(&unit->heap, template_name));
	return rg_unit_text(unit, text,
			    (size_t)bytes < sizeof(text) ? (size_t)bytes : sizeof(text) - 1);
}

/* Rules that code calls keep their results; who calls them is known when all is compiled.
 * Verdict rules are called once. */
static void mark_memo(struct rg_unit *unit)
{
	for (uint32_t i = 0; i < unit->variants.count; i++) {
		const struct rg_variant *variant =
			RG_VECTOR_AT(unit->variants, struct rg_variant, i);
		struct rg_image_function *function =
			RG_VECTOR_AT(unit->image_functions, struct rg_image_function, i);

		function->memo = variant->called && !variant->is_entry &&
				 unit->plan->functions[variant->source].param_count == 2;
	}
}

static int compile_variant(struct rg_unit *unit, uint32_t number)
{
	struct rg_variant variant = *RG_VECTOR_AT(unit->variants, struct rg_variant, number);
	struct rg_image_function *function =
		rg_vector_add(unit, &unit->image_functions, sizeof(*function));
	struct rg_lower *lower = calloc(1, sizeof(*lower));

	if (!function || !lower) {
		free(lower);
		return rg_unit_no_memory(unit);
	}
	function->name = variant_name(unit, variant);
	function->place = rg_unit_place(unit, NULL);
	if (!rg_lower_function(lower, unit, variant))
		rg_allocate_function(lower, number);
	rg_lower_free(lower);
	free(lower);
	return unit->status;
}

static void free_unit(struct rg_unit *unit)
{
	struct rg_vector *vectors[] = {
		&unit->constants,	&unit->variants,   &unit->instructions, &unit->operands,
		&unit->image_functions, &unit->plans,	   &unit->builtins,	&unit->fields,
		&unit->field_names,	&unit->nodes,	   &unit->bindings,	&unit->places,
		&unit->typed_programs,	&unit->typed_code, &unit->typed_tables, &unit->typed_cells,
		&unit->rule_tables};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		free(vectors[i]->items);
	rg_typed_free_sources(unit);
	free(unit->constant_slots);
	free(unit->variant_slots);
	if (unit->plan)
		rg_heap_free(&unit->heap);
	rg_plan_free(unit->plan);
}

int rg_compile(const struct rg_compile_options *options, void **image, size_t *image_bytes,
	       struct rg_error *err)
{
	struct rg_unit unit = {.options = options, .err = err};
	void *made = NULL;

	*image = NULL;
	if (prepare(&unit))
		goto cleanup;
	if (enter_plans(&unit) || rg_verdict_bind(&unit))
		goto cleanup;
	for (uint32_t i = 0; i < unit.variants.count && !unit.status; i++)
		compile_variant(&unit, i); /* which may ask for more */
	if (!unit.status) {
		mark_memo(&unit);
		rg_typed_compile(&unit);
	}
	if (unit.status || rg_serialise(&unit, &made, image_bytes))
		goto cleanup;
	unit.status = rg_image_verify(made, *image_bytes, err);
	if (unit.status)
		goto cleanup;
	*image = made;
	made = NULL;
cleanup:
	free(made);
	free_unit(&unit);
	if (unit.status && options->bundle)
		rg_error_prefix(err, "bundle %s", options->bundle);
	return unit.status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One compile: the tables that grow while functions are lowered, and what is known about the plan
 * and the request templates. Private to compile/.
 *
 *	plan.json ──plan/──► struct rg_plan ──lower──► instructions over virtual registers
 *	    ──allocate──► instructions over frames ──serialise──► image ──verify──►
 *
 * Variants. One plan function may be compiled several times, by what its first two parameters are:
 * `input` is a value, or the untouched request of a template; `data` is the untouched base document
 * or a value. Only what is not known at compile time is passed in registers. Variants are made on
 * demand from a worklist.
 *
 * Errors set unit->status and unit->err once; later steps look at the status and stop early.
 */
#ifndef RG_POLICY_COMPILE_UNIT_H
#define RG_POLICY_COMPILE_UNIT_H

#include "policy/builtin/builtin.h"
#include "policy/compile/compile.h"
#include "policy/eval/value.h"
#include "policy/image/code.h"
#include "policy/image/image.h"
#include "policy/plan/plan.h"

#define RG_NO_TEMPLATE UINT32_MAX

/* A growing array: items of one size, doubled as needed. */
struct rg_vector {
	void *items;
	uint32_t count, capacity;
};
/* Room for one more item of `size` bytes, zeroed; NULL (and unit->status) when memory is out or
 * 2^31 items are reached. */
struct rg_unit;
void *rg_vector_add(struct rg_unit *unit, struct rg_vector *vector, size_t size);

#define RG_VECTOR_AT(vector, type, i) (&((type *)(vector).items)[i])

/* A plan function (or entry) with what its parameters are. */
struct rg_variant {
	uint32_t source; /* index of the plan function, or of the entry */
	uint32_t template; /* node of the template's root that `input` is, or RG_NO_TEMPLATE: a value */
	bool is_entry;
	bool data_is_value; /* `data` is passed in a register */
	bool called; /* by some function: worth remembering results. Not part of what a variant is */
};

/* What is known of a plan function before any of it is lowered. */
struct rg_function_facts {
	uint32_t statement_count; /* in all blocks */
	uint32_t call_sites;
	bool constant_tried;
	struct rg_value constant; /* the result if it depends on base data alone; else undefined */
	uint8_t *locals;	  /* enum rg_local_flags of each local; NULL: not looked at yet */
	bool is_role;		  /* makes a verdict: called once for all, never inlined */
};

/* Slot of the hash table that interns constants. */
struct rg_constant {
	struct rg_value value; /* in unit->heap */
	uint64_t hash;
};

struct rg_unit {
	const struct rg_compile_options *options;
	struct rg_error *err;
	int status;

	struct rg_plan *plan;
	struct rg_heap heap;	  /* compile-time values: SCRATCH only */
	struct rg_value data;	  /* the base document */
	struct rg_value *strings; /* the plan's strings as values; undefined until used */
	uint32_t *file_constants; /* constant + 1 of the plan's files */
	struct rg_function_facts *functions; /* one a plan function */
	struct rg_function_facts *entries;   /* one an entry */

	struct rg_vector constants; /* struct rg_constant */
	uint32_t *constant_slots;
	uint32_t constant_mask;

	struct rg_vector variants; /* struct rg_variant: function number = position */
	uint32_t *variant_slots;
	uint32_t variant_mask;

	struct rg_vector instructions;	  /* struct rg_instruction: finished code */
	struct rg_vector operands;	  /* uint32_t */
	struct rg_vector image_functions; /* struct rg_image_function, parallel to variants */
	struct rg_vector plans, builtins, fields, field_names, nodes, bindings, places;
	struct rg_vector typed_sources; /* struct rg_typed_source, parallel to variants */
	struct rg_vector typed_programs, typed_code, typed_tables, typed_cells;
	struct rg_vector rule_tables; /* struct rg_rule_line, without its alignment */
	uint32_t trial_depth;	      /* of rg_lower_constant() in itself */
	struct rg_value reasons;      /* object: reason text -> id */
};

/* Record an error once. Returns the status. */
int rg_unit_fail(struct rg_unit *unit, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Out of memory in general, or in unit->heap. */
int rg_unit_no_memory(struct rg_unit *unit);

/* Number of the constant v (in unit->heap): the same for the same spelling. */
uint32_t rg_unit_constant(struct rg_unit *unit, struct rg_value v);
uint32_t rg_unit_text(struct rg_unit *unit, const char *text, size_t bytes);
/* Number of a Rego place. */
uint32_t rg_unit_place(struct rg_unit *unit, const struct rg_plan_statement *statement);
/* Number of the image function for a variant, queueing it if it is new. */
uint32_t rg_unit_variant(struct rg_unit *unit, struct rg_variant variant);
/* Number of a built-in's import. */
uint32_t rg_unit_builtin(struct rg_unit *unit, const struct rg_builtin *builtin);

/* Run a pure built-in on constants. False: errors and what an image cannot hold are left to run time,
 * where strict mode may want them. (calls.c) */
bool rg_unit_run_builtin(struct rg_unit *unit, const struct rg_builtin *builtin,
			 const struct rg_value *args, struct rg_value *result);

static inline const struct rg_plan_text *rg_unit_string(const struct rg_unit *unit, uint32_t index)
{
	return &unit->plan->strings[index];
}

#endif

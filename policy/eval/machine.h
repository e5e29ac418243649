/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator's inside: what eval.c, machine.c, request.c and decide.c share. Private to eval/.
 *
 * Memory is one run of bytes given by the caller:
 *
 *	struct rg_eval	 tables of the bound image, frames of calls, memo, registers
 *	SCRATCH		 the heap
 *
 * The memo keeps results of rules for the same (input, data) within one evaluation. A slot belongs
 * to the function with its number modulo the table's size that wrote last; `epoch`, which no two
 * evaluations share, makes clearing unnecessary. Two values are the same argument when their 16
 * bytes are: containers are never changed once they are passed, so one container is one value.
 *
 * Bounds. Every forward step is bounded by the function's size. Calls and turns of loops are
 * charged to call.budget with the size of what they start, a call also with the frame it clears;
 * the heap bounds memory, heap.work the walks over values.
 */
#ifndef RG_POLICY_EVAL_MACHINE_H
#define RG_POLICY_EVAL_MACHINE_H

#include "base/field.h"
#include "policy/builtin/builtin.h"
#include "policy/eval/eval.h"
#include "policy/eval/rule_table.h"
#include "policy/eval/typed.h"
#include "policy/image/code.h"
#include "policy/image/image.h"

#define RG_EVAL_CALLS_MAX	512
#define RG_EVAL_REGISTERS	(1u << 17)
#define RG_EVAL_MEMO_SLOTS	4096
#define RG_EVAL_TEMPLATE_SLOTS	256 /* > 2 * RG_IMAGE_BINDINGS_MAX */
#define RG_EVAL_WORK_PER_BUDGET 16 /* steps of walks over values that a unit of budget stands for */

struct rg_frame {
	const struct rg_image_function *function;
	const struct rg_instruction *call; /* in the caller; NULL for the outermost */
	struct rg_value *registers;
};

struct rg_memo {
	uint64_t epoch;
	uint32_t function, reserved;
	struct rg_value args[2];
	struct rg_value result; /* may be undefined */
};

struct rg_eval {
	struct rg_heap heap;
	struct rg_builtin_call call; /* clock, seed, budget */

	/* of the bound image */
	const void *image;
	const struct rg_value *constants;
	const struct rg_instruction *code;
	const uint32_t *operands;
	const struct rg_image_function *functions;
	const struct rg_image_field *fields;
	const struct rg_image_field_name *names;
	const struct rg_image_node *nodes;
	const struct rg_image_binding *bindings;
	uint32_t function_count;
	const struct rg_typed_program *typed_programs;
	const struct rg_typed_instruction *typed_code;
	const struct rg_typed_table *typed_tables;
	const int64_t *typed_cells;
	const uint8_t *rule_tables;

	/* of the evaluation */
	const uint8_t *block; /* the request; block_bytes is 0 when there is none */
	uint32_t block_bytes;
	uint64_t epoch;
	struct rg_value
		input; /* node input_node as an object, as asked for last in evaluation input_epoch */
	uint64_t input_epoch;
	uint32_t input_node;
	bool strict;
	enum rg_eval_result result;
	struct rg_error *err;	  /* where an error's text goes; NULL on the hot path */
	rg_eval_watcher *watcher; /* of MARK instructions; NULL: nobody watches */
	void *watcher_context;
	struct rg_eval_counts counts;
	bool use_typed; /* ask typed programs first */
	struct rg_typed_state typed_state;
	rg_typed_burst *typed_burst; /* for this machine */
	rg_rule_table_matcher *match_rules;
	struct rg_typed_columns typed_columns;

	const struct rg_builtin *builtins[RG_IMAGE_BUILTINS_MAX];
	uint8_t template_slots[RG_EVAL_TEMPLATE_SLOTS]; /* binding + 1 */
	struct rg_frame frames[RG_EVAL_CALLS_MAX];
	struct rg_memo memo[RG_EVAL_MEMO_SLOTS];
	struct rg_value registers[RG_EVAL_REGISTERS];
};

/* ---- machine.c ---- */

/* Start an evaluation: epoch, budget, clock. The heap is the caller's affair. */
void rg_machine_begin(struct rg_eval *eval, int64_t now_ns, uint64_t seed, bool strict,
		      struct rg_error *err);
/* Run a function. args has its parameters. False on an error: eval->result. *result may be
 * undefined. */
bool rg_machine_run(struct rg_eval *eval, uint32_t function, const struct rg_value *args,
		    struct rg_value *result);

/* ---- request.c ---- */

/* The field as a value; undefined when absent. */
struct rg_value rg_request_value(struct rg_eval *eval, const struct rg_image_field *field);
/* A node of the input tree as a value: an object, or a field's value. */
struct rg_value rg_request_node(struct rg_eval *eval, uint32_t node);
bool rg_request_present(const struct rg_eval *eval, const struct rg_image_field *field);

/* The raw bits of an integer, mantissa, enum or set; false when absent. An unnamed enum value is
 * present here. */
static inline bool rg_request_raw(const struct rg_eval *eval, const struct rg_image_field *field,
				  uint64_t *raw)
{
	if (__builtin_expect(field->constant, 0)) {
		*raw = field->null_value;
		return true;
	}
	if (__builtin_expect(field->extent > eval->block_bytes, 0))
		return false;
	*raw = rg_field_load_raw(eval->block + field->offset, field->bytes);
	return !(field->optional && *raw == field->null_value);
}

#endif

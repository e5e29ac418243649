/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the statements of one plan function to instructions over virtual registers. Private to
 * compile/.
 *
 * One pass over the statements in their order, which is a topological order of the control flow but
 * for the backward jumps of loops. On the way the pass knows for each local a FACT: that it is
 * undefined, a constant, a field of the request, a part of `input`, the outcome of a comparison
 * that need not be computed yet, or that it is in a register. Most statements only make facts; code
 * appears where something must happen at run time.
 *
 * Blocks and breaks. Every place that an undefined statement or a break can lead to is a LABEL: the
 * end of a block, the next turn of a loop, the statement after a `not`. The labels of the open
 * blocks are a stack; break n goes to the label n below the top. A jump to a label is an EDGE and
 * remembers the facts that changed since the label was opened; when the label is placed, the facts
 * of all edges are merged: what all agree on stays known, the rest is in registers from then on.
 * That is sound because every local that outlives its block (locals.h: ESCAPING) is also stored in
 * its home register at each assignment. Stores that nobody reads are dropped later (allocate.h).
 *
 * When the block after a label begins with IsDefined or IsUndefined, each edge that knows the
 * answer is sent where the answer leads. So the usual pair of blocks of a rule, { body; t := true }
 * { IsDefined t; R := t }, has no test left. In the same way an undefined result of an inlined
 * function goes straight to the caller's next block. What is left of a rule is a run of guards that
 * all fail to the next rule, and then its effect.
 *
 * Calls of plan functions become constants if they depend on base data alone, are inlined if they
 * are small or called from one place, and are calls else. Comparisons of request fields with
 * constants become single instructions (tests.c).
 */
#ifndef RG_POLICY_COMPILE_LOWER_H
#define RG_POLICY_COMPILE_LOWER_H

#include "policy/compile/locals.h"
#include "policy/compile/unit.h"

#define RG_NO_REGISTER UINT32_MAX
#define RG_NO_PLACE    UINT32_MAX

enum rg_fact_kind {
	RG_FACT_UNDEFINED,
	RG_FACT_CONSTANT, /* value */
	RG_FACT_REGISTER, /* number */
	RG_FACT_FIELD,	  /* number; known to be present */
	RG_FACT_NODE,	  /* number: all of input, or a composite of it; always there */
	RG_FACT_TEST /* number: a boolean not yet computed; both operands are known to be defined */
};

struct rg_fact {
	uint8_t kind;	      /* enum rg_fact_kind */
	bool maybe_undefined; /* REGISTER */
	bool stable;	      /* REGISTER: not written again while a name for it can be read */
	bool at_entry;	      /* UNDEFINED because nothing was assigned yet: nothing stored it */
	bool shared; /* set by an escaping assignment: the home has it too, and it is on the trail */
	bool from_data; /* a path into data, not yet bound to a variable: see lower_dot() */
	bool building;	/* CONSTANT: a container still growing, owned by this local */
	uint32_t number;
	uint32_t block; /* building: in which block */
	struct rg_value value;
};

/* What tests compare, beyond enum rg_comparison. */
#define RG_TEST_MEMBER RG_COMPARISON_COUNT /* a in b */

struct rg_test {
	uint32_t op; /* enum rg_comparison or RG_TEST_MEMBER */
	struct rg_fact a, b;
};

struct rg_edge_change {
	uint32_t slot;
	struct rg_fact fact;
};

struct rg_edge {
	struct rg_edge *next;
	uint32_t instruction; /* whose target is to be set */
	uint32_t change_count;
	struct rg_edge_change *changes; /* a slot at most once */
};

struct rg_label {
	uint32_t trail; /* length of the trail when it was opened */
	uint32_t slots; /* slots at or above belong to calls inlined later: of no interest here */
	struct rg_edge *edges;
};

/* One entry of the trail: a slot's fact before a change. Only slots of escaping locals are on
 * it. */
struct rg_change {
	uint32_t slot;
	struct rg_fact before;
};

/*
 * A complete rule all of whose bodies give the same constant, as OPA plans it: { ...; t := c } {
 * IsDefined t; R := t } for each body, perhaps a default, then { Return R }. Once one body holds
 * the others cannot change the result, so control goes to the tail at once, also from within loops;
 * OPA's own evaluator leaves early in the same way (v1/topdown, early exit).
 */
struct rg_rule_shape {
	bool is_single_valued;
	uint32_t value, result; /* locals t and R */
	uint32_t tail;		/* first block behind the bodies */
};

/* A function being lowered: the outermost one, or one that is inlined into it. */
struct rg_context {
	struct rg_context *caller;
	uint32_t source; /* plan function; UINT32_MAX: an entry */
	const uint8_t *locals;
	uint32_t slots; /* of its locals: first slot */
	uint32_t depth;
	bool is_user_function;	  /* has arguments beyond input and data */
	struct rg_label returned; /* inlined: where ReturnLocal goes */
	uint32_t return_count;	  /* ReturnLocal statements in it */
	uint32_t return_register; /* several returns: where the result goes */
	struct rg_fact result;
	bool has_result;
	struct rg_label *undefined; /* inlined: where an undefined call leaves the caller */
	uint32_t body_label;	    /* index in labels of the end of the body being lowered */
	struct rg_rule_shape shape;
};

struct rg_lower {
	struct rg_unit *unit;
	struct rg_arena arena;
	struct rg_variant variant;
	struct rg_context *context;

	struct rg_vector
		code; /* struct rg_instruction: targets are instruction numbers, registers virtual */
	struct rg_vector
		droppable;	   /* bool, parallel: no effect but its register, and cannot jump */
	struct rg_vector operands; /* uint32_t: arguments of calls */
	struct rg_vector tests;	   /* struct rg_test */
	uint32_t register_count;
	struct rg_vector at_entry; /* bool a register: must be undefined when the function begins */
	struct rg_vector is_home;  /* bool a register: a home, may be carried around loops */

	struct rg_vector facts; /* struct rg_fact a slot */
	struct rg_vector homes; /* uint32_t a slot */
	struct rg_vector marks; /* struct rg_merge a slot */
	uint32_t stamp;
	struct rg_vector trail; /* struct rg_change */

	struct rg_label *labels[4096]; /* open blocks of all contexts, innermost last */
	uint32_t label_count;
	uint32_t block; /* number of the block being lowered */
	uint32_t block_count;
	uint32_t loop_depth;
	uint32_t
		barrier; /* instructions below this number may be targets' predecessors: not to be taken back */
	bool reachable;
	bool trial; /* only to see whether the result is constant: stop at the first real instruction */
	bool failed_trial;
	uint32_t param_count;
	uint32_t result_set; /* of an entry */
	const struct rg_plan_statement *statement;
	uint32_t place;
};

/* Lower a variant into l (zeroed by the caller; freed with rg_lower_free). */
int rg_lower_function(struct rg_lower *l, struct rg_unit *unit, struct rg_variant variant);
void rg_lower_free(struct rg_lower *l);
/* The result of plan function `source` if base data alone determine it, else undefined. */
struct rg_value rg_lower_constant(struct rg_unit *unit, uint32_t source);

/* ---- facts.c: facts, labels, trail ---- */

uint32_t rg_lower_slots(struct rg_lower *l, uint32_t count);
struct rg_fact rg_lower_fact(const struct rg_lower *l, uint32_t slot);
void rg_lower_set_fact(struct rg_lower *l, uint32_t slot, struct rg_fact fact, bool on_trail);
struct rg_label rg_lower_open(const struct rg_lower *l);
/* An edge from instruction to label, with the facts as they are now. */
void rg_lower_edge(struct rg_lower *l, struct rg_label *label, uint32_t instruction);
void rg_lower_jump(struct rg_lower *l, struct rg_label *label);
/* The label is here. */
void rg_lower_place(struct rg_lower *l, struct rg_label *label);
/* Before placing: edges that know whether `slot` is defined and for which that is not `wanted` go to `other`, which was not
 * opened after label. */
void rg_lower_thread(struct rg_lower *l, struct rg_label *label, uint32_t slot, bool wanted,
		     struct rg_label *other);
/* All edges of one label to another that was not opened after it. */
void rg_lower_move_edges(struct rg_lower *l, struct rg_label *from, struct rg_label *to);
static inline bool rg_fact_is_defined(struct rg_fact fact)
{
	return fact.kind != RG_FACT_UNDEFINED &&
	       !(fact.kind == RG_FACT_REGISTER && fact.maybe_undefined);
}
static inline struct rg_fact rg_fact_constant(struct rg_value v)
{
	return (struct rg_fact){.kind = RG_FACT_CONSTANT, .value = v};
}
static inline struct rg_fact rg_fact_register(uint32_t number, bool stable, bool maybe_undefined)
{
	return (struct rg_fact){.kind = RG_FACT_REGISTER,
				.number = number,
				.stable = stable,
				.maybe_undefined = maybe_undefined};
}

/* ---- emit.c: instructions ---- */

uint32_t rg_lower_register(struct rg_lower *l, bool is_home);
struct rg_instruction *rg_lower_emit(struct rg_lower *l, enum rg_op op);
/* As above, for an instruction that only writes its register. */
struct rg_instruction *rg_lower_emit_droppable(struct rg_lower *l, enum rg_op op);
/* Where the last instruction goes when it is undefined: the end of the current block. */
void rg_lower_or_fail(struct rg_lower *l);
/* The current block is undefined here. */
void rg_lower_fail(struct rg_lower *l);
/* The fact as an operand, emitting what it takes. Undefined facts become a register that is
 * undefined. */
uint32_t rg_lower_operand(struct rg_lower *l, struct rg_fact fact);
/* Stop the block unless fact is defined; false if it never is (the rest is unreachable). */
bool rg_lower_require(struct rg_lower *l, struct rg_fact *fact);

/* ---- tests.c: comparisons ---- */

/* Go on if the test comes out as `wanted`, else fail. Both operands are defined. */
void rg_lower_branch(struct rg_lower *l, const struct rg_test *test, bool wanted);
/* The outcome at compile time: 0, 1, or -1 if not known. */
int rg_lower_test_known(struct rg_lower *l, const struct rg_test *test);
/* Compute the test into a register. */
struct rg_fact rg_lower_test_value(struct rg_lower *l, const struct rg_test *test);
/* RG_UNDEFINED if the fact's type is not known at compile time. */
enum rg_value_type rg_lower_type(const struct rg_lower *l, struct rg_fact fact);

/* ---- calls.c ---- */

void rg_lower_call(struct rg_lower *l, const struct rg_plan_statement *statement);
void rg_lower_call_dynamic(struct rg_lower *l, const struct rg_plan_statement *statement);
void rg_lower_return(struct rg_lower *l, struct rg_fact fact);

/* ---- marks.c: MARK instructions, if the options ask for them; else nothing ---- */

void rg_lower_mark_enter(struct rg_lower *l);
void rg_lower_mark_return(struct rg_lower *l, struct rg_fact fact);
void rg_lower_mark_begin(struct rg_lower *l, const struct rg_plan_statement *statement);
/* It held; if control comes here. */
void rg_lower_mark_done(struct rg_lower *l, const struct rg_plan_statement *statement);
void rg_lower_mark_item(struct rg_lower *l, const struct rg_plan_statement *scan);

/* ---- lower.c, for calls.c ---- */

/* The blocks of the current context's function. */
void rg_lower_body(struct rg_lower *l, const struct rg_plan_block *blocks, uint32_t count);
struct rg_fact rg_lower_use(struct rg_lower *l, struct rg_plan_operand operand);
/* local := fact. */
void rg_lower_assign(struct rg_lower *l, uint32_t local, struct rg_fact fact);
/* The register that an instruction that assigns local writes; then say so with
 * rg_lower_assigned(). */
uint32_t rg_lower_target(struct rg_lower *l, uint32_t local);
void rg_lower_assigned(struct rg_lower *l, uint32_t local, uint32_t register_number);
/* What is known of a function's locals. */
const uint8_t *rg_lower_locals(struct rg_unit *unit, struct rg_variant variant);

#endif

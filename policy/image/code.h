/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction set of policy images.
 *
 * A function is a run of instructions over a frame of registers, each a struct rg_value, all
 * undefined at entry except the parameters (registers 0..params-1). Rego's blocks, breaks and
 * undefined statements have become jumps: an instruction that can be undefined names in `target`
 * where control goes then. All jumps go forward, except LOOP.
 *
 * Instructions fall into three groups that a later burst-wise evaluator treats apart:
 *
 *	guards	  decide where control goes and change nothing: BRANCH_*, FIELD_*, the targets of the others;
 *	values	  write one register and nothing else: MOVE, DOT, FIELD_LOAD, BUILTIN, CALL, ...;
 *	effects	  change a container that is being built, or a rule's result: SET_ADD, ARRAY_APPEND,
 *		  OBJECT_INSERT*, ASSIGN_ONCE.
 *
 * The guards on fields read the request's bytes directly, with the field's offset, width and null
 * value from the image's field table; an absent field jumps to `target` like any undefined. Numbers
 * are compared as scaled mantissas.
 *
 * Operands (members a, b and the entries of the OPERANDS section): a register number, or with
 * RG_OPERAND_CONSTANT set the number of a constant.
 *
 * What the verifier proves for each instruction is in the table RG_INSTRUCTIONS: the meaning of
 * each member.
 */
#ifndef RG_POLICY_IMAGE_CODE_H
#define RG_POLICY_IMAGE_CODE_H

#include <assert.h>
#include <stdint.h>

#define RG_OPERAND_CONSTANT 0x80000000u
#define RG_NO_TARGET	    UINT32_MAX

struct rg_instruction {
	uint16_t op;  /* enum rg_op */
	uint16_t aux; /* a count or a variant */
	uint32_t dst; /* register written, or container changed */
	uint32_t a, b;
	union {
		struct {
			uint32_t c, d;
		};
		int64_t number; /* FIELD_COMPARE, FIELD_MASK */
	};
	uint32_t
		target; /* instruction number in the function, or RG_NO_TARGET where the table says none */
	uint32_t place; /* index into PLACES */
};
static_assert(sizeof(struct rg_instruction) == 32,
	      "instructions are stored in images: raise RG_IMAGE_VERSION");

/* Comparisons. The value of `aux` in COMPARE, BRANCH_COMPARE, FIELD_COMPARE, FIELD_COMPARE_FIELD
 * and FIELD_TEXT. */
enum rg_comparison { RG_EQ, RG_NE, RG_LT, RG_LE, RG_GT, RG_GE, RG_COMPARISON_COUNT };

/*
 * What a MARK tells. The value of `aux`; `number` is the id of a statement of the plan, or of a
 * plan's function or entry.
 *	ENTER	  function `number` begins
 *	RETURN	  it returns a, which may be undefined
 *	RUN	  entry `number` begins
 *	BEGIN	  statement `number` begins
 *	DONE	  it held; a: what it assigned or put into a container, b: under which key
 *	ITEM	  the loop `number` begins a turn with value a under key b
 */
enum rg_mark_phase {
	RG_MARK_ENTER,
	RG_MARK_RETURN,
	RG_MARK_RUN,
	RG_MARK_BEGIN,
	RG_MARK_DONE,
	RG_MARK_ITEM,
	RG_MARK_PHASE_COUNT
};

/*
 * What each member of an instruction may hold:
 *	dst:	R register written, E register whose container or value is changed, - unused
 *	a, b:	O operand, R register read, W register written, C constant, F field, N node of the input tree, U function, B built-in
 *		import, - unused
 *	aux:	T value type, X comparison, E equality (EQ or NE), G argument count, S 0 or 1, M mark phase, * anything, - unused (0)
 *	cd:	G: c is the first of aux operands in OPERANDS, P: of b + aux operands, K: a number, L: c is the cost of a loop's turn,
 *		- unused (0)
 *	target:	J forward jump, Q forward jump or none, V backward jump to a NEXT, - none
 *
 * X(name, dst, a, b, aux, cd, target)
 */
#define RG_INSTRUCTIONS(X)                                                                                         \
	/* control */                                                                                              \
	X(JUMP, '-', '-', '-', '-', '-', 'J')                                                                      \
	X(RETURN, '-', 'O', '-', '-', '-', '-') /* a is the result */                                              \
	X(RETURN_UNDEFINED, '-', '-', '-', '-', '-', '-')                                                          \
	/* guards on values: go on if it holds, else to target */                                                  \
	X(BRANCH_DEFINED, '-', 'R', '-', '-', '-', 'J') /* a is defined */                                         \
	X(BRANCH_UNDEFINED, '-', 'R', '-', '-', '-', 'J')                                                          \
	X(BRANCH_TRUE, '-', 'R', '-', '-', '-', 'J')	/* a is defined and not false */                           \
	X(BRANCH_COMPARE, '-', 'O', 'O', 'X', '-', 'J') /* both defined, a <aux> b */                              \
	X(BRANCH_TYPE, '-', 'O', '-', 'T', '-', 'J')	/* a has type aux */                                       \
	X(BRANCH_MEMBER, '-', 'O', 'O', 'S', '-', 'J')	/* both defined; aux 1: a in b, 0: not */                  \
	/* values */                                                                                               \
	X(RESET, 'R', '-', '-', '-', '-', '-') /* dst becomes undefined */                                         \
	X(MOVE, 'R', 'O', '-', '-', '-', '-')  /* undefined is moved too */                                        \
	X(DOT, 'R', 'O', 'O', 'S', '-',                                                                            \
	  'J') /* dst = a[b]; aux 1: a number also finds its text as key */                                        \
	X(LENGTH, 'R', 'O', '-', '-', '-', 'J')                                                                    \
	X(COMPARE, 'R', 'O', 'O', 'X', '-', 'J')    /* dst = a <aux> b */                                          \
	X(MAKE_ARRAY, 'R', '-', '-', '*', '-', '-') /* aux: elements to make room for */                           \
	X(MAKE_OBJECT, 'R', '-', '-', '*', '-', '-')                                                               \
	X(MAKE_SET, 'R', '-', '-', '*', '-', '-')                                                                  \
	X(CLONE, 'R', 'O', '-', '-', '-', '-') /* dst = a copy of container a, to change */                        \
	X(OBJECT_MERGE, 'R', 'O', 'O', '-', '-', 'J')                                                              \
	X(WITH, 'R', 'O', 'O', 'G', 'G', 'J') /* dst = a with b at the path of aux operands */                     \
	X(CALL, 'R', 'U', '-', 'G', 'G', 'J') /* dst = a(aux operands) */                                          \
	X(CALL_DYNAMIC, 'R', 'C', '*', 'G', 'P',                                                                   \
	  'J') /* a: object from path array to function; b path operands, then aux arguments */                    \
	X(BUILTIN, 'R', 'B', '-', 'G', 'G', 'J')                                                                   \
	/* loops: SCAN starts over container a, NEXT fetches the next key and value or leaves, LOOP goes back.   \
	 * An iterator is the container's value with the number of the next item as its length. */ \
	X(SCAN, 'R', 'O', '-', '-', '-', 'J')                                                                      \
	X(NEXT, 'R', 'R', 'W', '-', '-',                                                                           \
	  'J') /* dst = key, b = value of iterator a; target: after the last */                                    \
	X(LOOP, '-', '-', '-', '-', 'L', 'V')                                                                      \
	/* effects */                                                                                              \
	X(ASSIGN_ONCE, 'E', 'O', '-', 'S', '-', 'J') /* aux 1: of a function, for the message */                   \
	X(ARRAY_APPEND, 'E', 'O', '-', '-', '-', 'J')                                                              \
	X(OBJECT_INSERT, 'E', 'O', 'O', '-', '-', 'J')                                                             \
	X(OBJECT_INSERT_ONCE, 'E', 'O', 'O', '-', '-', 'J')                                                        \
	X(SET_ADD, 'E', 'O', '-', '-', '-', 'J')                                                                   \
	/* fields of the request */                                                                                \
	X(FIELD_PRESENT, '-', 'F', '-', 'S', '-', 'J') /* aux 1: present, 0: absent */                             \
	X(FIELD_LOAD, 'R', 'F', '-', '-', '-', 'J')    /* dst = the field as a value */                            \
	X(FIELD_COMPARE, '-', 'F', '-', 'X', 'K', 'J') /* integer or mantissa <aux> number */                      \
	X(FIELD_COMPARE_FIELD, '-', 'F', 'F', 'X', '-',                                                            \
	  'J') /* of the same scale and signedness */                                                              \
	X(FIELD_TEXT, '-', 'F', 'C', 'E', '-',                                                                     \
	  'J') /* chars equal (or not) to string constant b */                                                     \
	X(FIELD_MASK, '-', 'F', '-', '-', 'K',                                                                     \
	  'J') /* enum, bool: bit <value - names_base> is set */                                                   \
	X(FIELD_BIT, '-', 'F', '*', 'S', '-', 'J')    /* set: bit b is aux */                                      \
	X(FIELD_MEMBER, '-', 'F', 'C', 'S', '-', 'J') /* field in set constant b: aux */                           \
	X(INPUT, 'R', 'N', '-', '-', '-',                                                                          \
	  'J') /* dst = composite (or all of input) as an object */                                                \
	/* watching; only in images compiled for it (rg_compile_options.marks) */                                  \
	X(MARK, '-', 'O', 'O', 'M', 'K',                                                                           \
	  '-') /* tell the watcher: aux at statement or function number, a, b */

enum rg_op {
#define X(name, dst, a, b, aux, cd, target) RG_OP_##name,
	RG_INSTRUCTIONS(X)
#undef X
		RG_OP_COUNT
};

/* The table's rows, for whoever goes over instructions without knowing them: verifier, register
 * allocation, listings. */
struct rg_op_shape {
	const char *name;
	char dst, a, b, aux, cd, target;
};
extern const struct rg_op_shape rg_op_shapes[RG_OP_COUNT];

/* How many OPERANDS an instruction names, starting at c. */
static inline uint32_t rg_operand_count(const struct rg_instruction *instruction)
{
	switch (rg_op_shapes[instruction->op].cd) {
	case 'G': return instruction->aux;
	case 'P': return instruction->b + instruction->aux;
	default: return 0;
	}
}

#endif

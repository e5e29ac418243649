/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OPA's intermediate representation (plan.json), read and checked.
 *
 * A plan is a list of functions (rules and user functions) and of entrypoints ("plans"), each a
 * list of blocks of statements over numbered locals. Local 0 is `input`, local 1 is `data`. The
 * reader keeps the plan's own structure; what it means is in compile/lower.h.
 *
 * The reader is tolerant where OPA's own output varies: null or absent arrays, unknown keys, any
 * order of keys, `index` beside the historic `Index`, absent locations. It is strict where a wrong
 * plan could mislead: unknown statement types, missing operands, indices out of range, calls of
 * nothing known, breaks that leave the function. Errors name the JSON line and column, the function
 * or plan, and the Rego place.
 *
 * Source: OPA v1/ir/{ir,marshal}.go and docs/docs/ir.md.
 *
 * Thread-safety: a loaded plan belongs to one thread: the compiler makes its notes in it.
 */
#ifndef RG_POLICY_PLAN_PLAN_H
#define RG_POLICY_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/plan/arena.h"

#define RG_PLAN_LOCALS_MAX 1000000u /* highest local number of a function + 1 */
#define RG_PLAN_ARGS_MAX   128u

/* The 34 statements. X(enum suffix, JSON name without "Stmt") */
#define RG_PLAN_STATEMENTS(X)                                                                      \
	X(ARRAY_APPEND, "ArrayAppend")                                                             \
	X(ASSIGN_INT, "AssignInt")                                                                 \
	X(ASSIGN_VAR, "AssignVar")                                                                 \
	X(ASSIGN_VAR_ONCE, "AssignVarOnce")                                                        \
	X(BLOCK, "Block")                                                                          \
	X(BREAK, "Break")                                                                          \
	X(CALL, "Call")                                                                            \
	X(CALL_DYNAMIC, "CallDynamic")                                                             \
	X(DOT, "Dot")                                                                              \
	X(EQUAL, "Equal")                                                                          \
	X(IS_ARRAY, "IsArray")                                                                     \
	X(IS_DEFINED, "IsDefined")                                                                 \
	X(IS_OBJECT, "IsObject")                                                                   \
	X(IS_SET, "IsSet")                                                                         \
	X(IS_UNDEFINED, "IsUndefined")                                                             \
	X(LEN, "Len")                                                                              \
	X(MAKE_ARRAY, "MakeArray")                                                                 \
	X(MAKE_NULL, "MakeNull")                                                                   \
	X(MAKE_NUMBER_INT, "MakeNumberInt")                                                        \
	X(MAKE_NUMBER_REF, "MakeNumberRef")                                                        \
	X(MAKE_OBJECT, "MakeObject")                                                               \
	X(MAKE_SET, "MakeSet")                                                                     \
	X(NOP, "Nop")                                                                              \
	X(NOT_EQUAL, "NotEqual")                                                                   \
	X(NOT, "Not")                                                                              \
	X(OBJECT_INSERT, "ObjectInsert")                                                           \
	X(OBJECT_INSERT_ONCE, "ObjectInsertOnce")                                                  \
	X(OBJECT_MERGE, "ObjectMerge")                                                             \
	X(RESET_LOCAL, "ResetLocal")                                                               \
	X(RESULT_SET_ADD, "ResultSetAdd")                                                          \
	X(RETURN_LOCAL, "ReturnLocal")                                                             \
	X(SCAN, "Scan")                                                                            \
	X(SET_ADD, "SetAdd")                                                                       \
	X(WITH, "With")

enum rg_statement_type {
#define X(name, json) RG_STATEMENT_##name,
	RG_PLAN_STATEMENTS(X)
#undef X
		RG_STATEMENT_COUNT
};

enum rg_plan_operand_kind { RG_PLAN_LOCAL, RG_PLAN_STRING, RG_PLAN_BOOLEAN };

struct rg_plan_operand {
	uint32_t kind;	/* enum rg_plan_operand_kind */
	uint32_t value; /* local number, string index, or 0/1 */
};

struct rg_plan_text {
	const char *text; /* UTF-8, NUL-terminated for messages; may hold NULs */
	uint32_t bytes;
};

struct rg_plan_block {
	struct rg_plan_statement *statements;
	uint32_t count;
};

enum rg_plan_callee { RG_PLAN_CALL_FUNCTION, RG_PLAN_CALL_BUILTIN };

/*
 * One statement. Which members count depends on the type:
 *
 *	a	value of ArrayAppend, SetAdd, ObjectInsert*, With; source of Dot, Assign*, Is*, Len, Scan, ReturnLocal,
 *		ResultSetAdd; a of Equal, NotEqual, ObjectMerge
 *	b	key of Dot, ObjectInsert*; b of Equal, NotEqual, ObjectMerge
 *	target	target or result; the container changed by ArrayAppend, SetAdd, ObjectInsert*; With's local
 *	key, value_local	Scan
 *	number	AssignInt, MakeNumberInt; capacity; break index; string index of MakeNumberRef
 *	args	Call, CallDynamic;	path	CallDynamic; With (string indices)
 *	callee_kind, callee	Call: index of a function or of a built-in
 */
struct rg_plan_statement {
	uint8_t type;	     /* enum rg_statement_type */
	uint8_t callee_kind; /* enum rg_plan_callee */
	uint8_t assignment; /* enum rg_assignment of compile/locals.h: noted there, of no interest here */
	bool leads;	    /* the first of its block */
	uint32_t id; /* 0, 1, ... in the order of the file, outer statements before inner ones */
	uint32_t file, row, col; /* file: index; RG_PLAN_NO_FILE when unknown */
	uint32_t target, key, value_local, callee;
	struct rg_plan_operand a, b;
	int64_t number;
	struct rg_plan_text name; /* Call */
	struct rg_plan_operand *args, *path;
	uint32_t arg_count, path_count;
	struct rg_plan_block *blocks; /* Block: all; Not, Scan, With: one */
	uint32_t block_count;
};
#define RG_PLAN_NO_FILE UINT32_MAX

struct rg_plan_function {
	struct rg_plan_text name;
	struct rg_plan_text *path; /* may be empty; used by CallDynamic and to find verdict rules */
	uint32_t path_count;
	uint32_t *params;
	uint32_t param_count;
	uint32_t result;     /* the return local as declared */
	uint32_t frame_size; /* locals 0..frame_size-1 occur */
	struct rg_plan_block *blocks;
	uint32_t block_count;
};

/* An entrypoint. Written as a function of input and data whose ResultSetAdd statements make the
 * answer. */
struct rg_plan_entry {
	struct rg_plan_text name;
	uint32_t frame_size;
	struct rg_plan_block *blocks;
	uint32_t block_count;
};

struct rg_plan_builtin {
	struct rg_plan_text name;
	struct rg_plan_text decl; /* raw JSON of "decl"; empty if absent */
};

struct rg_plan {
	struct rg_arena arena; /* everything below lives here */
	struct rg_plan_text *strings, *files;
	struct rg_plan_builtin *builtins;
	struct rg_plan_function *functions;
	struct rg_plan_entry *entries;
	uint32_t string_count, file_count, builtin_count, function_count, entry_count;
	uint32_t statement_count; /* ids are below it */
};

/* Read and check plan.json. On success *plan is to be freed with rg_plan_free(). Errors: RG_EINVAL (what and where),
 * RG_ELIMIT, RG_ENOMEM. `json` need not outlive the call. */
int rg_plan_load(const char *json, size_t bytes, struct rg_plan **plan, struct rg_error *err);
void rg_plan_free(struct rg_plan *plan);

/* Statement's name as in the plan ("AssignVarOnceStmt"). */
const char *rg_statement_name(enum rg_statement_type type);

/* Can the statement be undefined, for a reason that its author would look for on its line? The others make
 * constants, or hand on what was found. */
bool rg_statement_can_fail(const struct rg_plan_statement *statement);

#endif

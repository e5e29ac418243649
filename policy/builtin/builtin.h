/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of built-in functions: one file a family (aggregates.c, strings.c, ...), each with
 * one table of struct rg_builtin that registry.c joins. A built-in is a pure function of its
 * arguments and of what the call carries (clock, seed); all its results live in the heap's SCRATCH;
 * it never allocates elsewhere, calls the kernel or keeps state. Two families are the exception:
 * regex.* (RE2, behind a cache per thread, see regex_re2.h) and yaml.* (libyaml) use malloc. Each
 * table entry carries the signature in the notation of OPA's capabilities file, checked against the
 * plan's declaration when a policy is compiled.
 *
 * Thread-safety: the registry is constant; a call belongs to one thread.
 * Source of names, signatures and behaviour: OPA v1/ast/builtins.go and v1/topdown.
 */
#ifndef RG_POLICY_BUILTIN_BUILTIN_H
#define RG_POLICY_BUILTIN_BUILTIN_H

#include "policy/eval/value.h"

#define RG_BUILTIN_ARGS_MAX 8

enum rg_builtin_result {
	RG_BUILTIN_OK, /* *result is set; it may be undefined (a relation that does not hold) */
	RG_BUILTIN_TYPE_ERROR, /* eval_type_error: an operand has the wrong type; call->error says which */
	RG_BUILTIN_ERROR, /* eval_builtin_error: call->error says why ("div: divide by zero") */
	RG_BUILTIN_MEMORY /* the heap is used up */
};

/* What one evaluation hands to every built-in it calls. */
struct rg_builtin_call {
	struct rg_heap *heap;
	const char *name; /* of the built-in being called, for error texts */
	int64_t now_ns;	  /* taken once per request; on the record */
	uint64_t seed;	  /* chance is a function of this and the arguments; on the record */
	uint64_t
		budget; /* instructions left; long loops subtract their work and stop at 0 with RG_BUILTIN_ERROR */
	bool want_error_text; /* false on the hot path: skip formatting `error` */
	struct rg_error error;
};

typedef enum rg_builtin_result (*rg_builtin_fn)(struct rg_builtin_call *call,
						const struct rg_value *args,
						struct rg_value *result);

enum rg_builtin_flags {
	RG_BUILTIN_NONDETERMINISTIC = 1, /* clock or chance: never folded, value on the record */
	RG_BUILTIN_RELATION = 2,	 /* returns a collection that the plan scans (walk) */
	RG_BUILTIN_VOID = 4,		 /* no result (internal.print) */
	RG_BUILTIN_INFIX = 8,
	RG_BUILTIN_DEPRECATED = 16
};

struct rg_builtin {
	const char *name; /* "object.get" */
	rg_builtin_fn run;
	uint8_t arg_count; /* all arguments are defined when run is called */
	uint8_t flags;
	const char *infix; /* "+" or NULL */
	const char *
		signature; /* JSON of OPA's "decl" object, compact: {"args":[...],"result":{...},"type":"function"} */
};

/* All built-ins, sorted by name. Index = the id that an image refers to; RG_IMAGE_VERSION covers
 * renumbering. */
const struct rg_builtin *rg_builtin_table(uint32_t *count);
/* Find by name; NULL if riskgate does not have it. */
const struct rg_builtin *rg_builtin_find(const char *name, size_t bytes);
/* Compare a plan's declaration (JSON text of "decl") with ours. Returns RG_OK or RG_EINVAL naming the difference.
 * Descriptions and argument names do not count. */
int rg_builtin_check(const struct rg_builtin *builtin, const char *decl_json, size_t bytes,
		     struct rg_error *err);

/* Error helpers: format only if call->want_error_text. Return the matching enum. */
enum rg_builtin_result rg_builtin_fail(struct rg_builtin_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* "NAME: operand N must be WANT but got TYPE" (1-based operand). Source: OPA
 * v1/topdown/builtins/builtins.go. */
enum rg_builtin_result rg_builtin_operand(struct rg_builtin_call *call, int operand,
					  struct rg_value got, const char *want);

#endif

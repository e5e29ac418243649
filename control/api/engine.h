/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy that the API evaluates: the image that the data plane uses, and evaluators for it.
 *
 *	control's loop            server threads
 *	want(sequence) ────► lend() maps image-<sequence>, verifies it, makes it current; others go
 *	                            on with the one before meanwhile
 *	                     view: one mapped image, counted by who uses it; unmapped by the last
 *
 * There is an evaluator for each thread, so lend() never waits for one. Besides the image a view
 * holds the tree of its documents: which rule answers for which path (policy/compile/documents.h).
 *
 * Thread-safety: any thread; a lent evaluator belongs to its borrower.
 */
#ifndef RG_CONTROL_API_ENGINE_H
#define RG_CONTROL_API_ENGINE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "shm/image_file.h"

#define RG_NO_PLAN UINT32_MAX

/* A node of the tree of documents: a package, or a rule. */
struct rg_document {
	char *key;
	uint32_t key_bytes;
	uint32_t plan;		 /* that gives its value, or RG_NO_PLAN */
	uint32_t child, sibling; /* 0: none; the root is 0 */
};

struct rg_view {
	_Atomic uint32_t users; /* acquire-release: the last one frees */
	uint64_t sequence;
	uint64_t mapped_ns; /* unix */
	struct rg_image_file file;
	struct rg_image_info info;
	uint32_t data_plan; /* gives the base document; RG_NO_PLAN: the image has no documents */
	struct rg_document *documents;
	uint32_t document_count, document_capacity;
};

/* One borrowed evaluator, bound to view. */
struct rg_loan {
	struct rg_eval *eval;
	struct rg_view *view; /* NULL: there is no policy */
	uint32_t slot;
};

struct rg_engine;

/* evaluators: as many as borrow at once. region_directory must outlive the engine. RG_ENOMEM. */
int rg_engine_new(const char *region_directory, uint32_t evaluators, uint64_t scratch_bytes,
		  struct rg_engine **engine, struct rg_error *err);
void rg_engine_delete(struct rg_engine *engine); /* nothing is lent. NULL is allowed */

/* Evaluate with this sequence from now on; 0: no policy. */
void rg_engine_want(struct rg_engine *engine, uint64_t sequence);
/* Borrow an evaluator. RG_ENOENT: there is no policy; RG_EAGAIN: more borrow than there are;
 * else why the image cannot be used. */
int rg_engine_lend(struct rg_engine *engine, struct rg_loan *loan, struct rg_error *err);
void rg_engine_return(struct rg_engine *engine, struct rg_loan *loan);

/* The node for a path's next segment, or 0. */
uint32_t rg_view_child(const struct rg_view *view, uint32_t parent, const char *key,
		       uint32_t bytes);

#endif

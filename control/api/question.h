/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One evaluation of a document: a path, an input, a value.
 *
 * A path leads through the tree of packages and rules and through the base document at the same
 * time. What it ends at is
 *
 *	a rule, or inside its value	the rule's value, and what the rest of the path names in it
 *	a package			an object of its rules and packages over the base document's
 *	neither				the base document's value
 *
 * Thread-safety: a question belongs to the thread that borrowed the evaluator.
 */
#ifndef RG_CONTROL_API_QUESTION_H
#define RG_CONTROL_API_QUESTION_H

#include "base/json.h"
#include "control/api/engine.h"
#include "control/api/target.h"

struct rg_question {
	struct rg_loan *loan;
	const struct rg_target_text *path;
	uint32_t path_count;
	struct rg_query query; /* input: parsed into the evaluator's heap after begin() */
	enum rg_eval_result result;
	struct rg_error error; /* of result */
};

/* Begin with an empty heap, the present time and a random seed. */
void rg_question_begin(struct rg_question *question, struct rg_loan *loan,
		       const struct rg_target_text *path, uint32_t path_count, bool strict);
/* The value, in the evaluator's heap, or undefined. question->result tells of errors. */
struct rg_value rg_question_evaluate(struct rg_question *question);
/* The members of OPA's error body for question->result: code, message, errors. */
void rg_question_write_failure(struct rg_json_writer *writer, const struct rg_question *question);

#endif

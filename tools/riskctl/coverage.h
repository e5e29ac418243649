/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which lines and rules of a policy a set of inputs touches: reached, and ever true.
 *
 * Counted from the marks of an image compiled for watching. A line counts if the plan has a
 * statement of it: comments, heads of packages and rules that no entrypoint needs do not. A line is
 * REACHED when one of its statements began, and HELD when each of those that began also held once,
 * in whatever evaluation; statements under `not` and `with` do not count for that.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_COVERAGE_H
#define RG_TOOLS_RISKCTL_COVERAGE_H

#include "base/json.h"
#include "policy/eval/eval.h"
#include "tools/riskctl/plan_view.h"

struct rg_coverage;

/* NULL when memory is out. The view must outlive it. */
struct rg_coverage *rg_coverage_new(const struct rg_plan_view *view);
void rg_coverage_free(struct rg_coverage *coverage);

/* The watcher: rg_eval_watch(eval, rg_coverage_mark, coverage). */
void rg_coverage_mark(void *coverage, const struct rg_mark *mark);

void rg_coverage_print(const struct rg_coverage *coverage);
/* Members "percent", "files" and "rules" of the object that is being written. */
void rg_coverage_write(const struct rg_coverage *coverage, struct rg_json_writer *writer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An evaluation as a trace by source line: which rules were entered, which lines held, with which
 * values, which did not, and what each rule returned.
 *
 *	data.payments.is_night  (payments.rego:218)  undefined
 *	  -  218  is_night if minute_of_day >= reference.night.from_minute  720 >= 1320 is false
 *	    data.payments.minute_of_day  (payments.rego:223)  720
 *	      +  223  minute_of_day := input.local_minute  input.local_minute = 720
 *	  -  220  is_night if minute_of_day < reference.night.to_minute  720 < 240 is false
 *
 * It is made from the marks of an image compiled for watching (rg_eval_watch()). A statement that
 * began and did not hold was undefined; the statements of one line are one entry. Under `not`, and
 * in the turns of a loop, lines may be undefined while the line around them holds.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_EVAL_TRACE_H
#define RG_TOOLS_RISKCTL_EVAL_TRACE_H

#include "policy/eval/eval.h"
#include "tools/riskctl/plan_view.h"

/* Lines and rules beyond these are not kept; the trace says that it was cut. */
#define RG_TRACE_ENTRIES_MAX 100000u

struct rg_trace;

/* NULL when memory is out. The view and the evaluator must outlive it. */
struct rg_trace *rg_trace_new(const struct rg_plan_view *view, struct rg_eval *eval);
void rg_trace_free(struct rg_trace *trace);

/* The watcher: rg_eval_watch(eval, rg_trace_mark, trace). */
void rg_trace_mark(void *trace, const struct rg_mark *mark);

/* To standard output, with colours if it is a terminal and NO_COLOR is not set. */
void rg_trace_print(struct rg_trace *trace);
/* As the array that is the value of "trace". */
void rg_trace_write(struct rg_trace *trace, struct rg_json_writer *writer);

#endif

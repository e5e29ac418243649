/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running an image: one evaluator for the data plane, the HTTP API, riskctl eval and replay.
 *
 * An evaluator is carved from memory given at boot: frames, memo tables and SCRATCH. It never
 * allocates, locks, waits or calls the kernel. Binding it to an image costs nothing that grows with
 * the image; the image must have passed rg_image_verify() and must stay mapped while it is bound.
 *
 * Bounds: instruction budget, call depth and scratch memory; each gives its own error and none can
 * be exceeded by any verified image.
 *
 * Thread-safety: an evaluator belongs to one thread; an image may be shared by all.
 */
#ifndef RG_POLICY_EVAL_EVAL_H
#define RG_POLICY_EVAL_EVAL_H

#include "policy/compile/compile.h"
#include "policy/eval/value.h"
#include "policy/eval/vectors.h"
#include "policy/image/code.h"

#define RG_REASONS_MAX 8

enum rg_eval_result {
	RG_EVAL_OK = 0,
	RG_EVAL_CONFLICT, /* eval_conflict_error: a complete rule with two outputs, an object key with two values */
	RG_EVAL_TYPE,	 /* eval_type_error, strict mode only */
	RG_EVAL_BUILTIN, /* eval_builtin_error, strict mode only */
	RG_EVAL_WITH,	 /* eval_with_merge_error */
	RG_EVAL_BUDGET,	 /* instruction budget used up */
	RG_EVAL_MEMORY,	 /* scratch used up */
	RG_EVAL_DEPTH	 /* call depth */
};
/* "eval_conflict_error", ...; OPA's code where it has one, "riskgate_budget_error" etc. else. */
const char *rg_eval_result_code(enum rg_eval_result result);

struct rg_eval;

/* Bytes that an evaluator with scratch_bytes of SCRATCH needs (64-aligned); 0 if scratch_bytes
 * is out of range. */
uint64_t rg_eval_footprint(uint64_t scratch_bytes);
/* Make an evaluator in mem (64-aligned, footprint bytes). NULL on bad arguments. */
struct rg_eval *rg_eval_new(void *mem, uint64_t scratch_bytes);
/* Bind to a verified image. RG_EVERSION if the image needs something this build lacks. May be
 * called again. */
int rg_eval_bind(struct rg_eval *eval, const void *image, uint64_t image_bytes,
		 struct rg_error *err);
struct rg_heap *rg_eval_heap(struct rg_eval *eval);

/* ---- watching an evaluation ---- */

/* What an image compiled with rg_compile_options.marks tells while it runs. Values are in the evaluator's heap and hold until the
 * watcher returns. */
struct rg_mark {
	enum rg_mark_phase phase; /* image/code.h: what number, value and key are */
	uint32_t number;
	struct rg_value value, key;
};
typedef void rg_eval_watcher(void *context, const struct rg_mark *mark);
/* From now on tell `watcher` each mark that is passed; NULL: nobody. Images without marks tell
 * nothing and lose nothing. */
void rg_eval_watch(struct rg_eval *eval, rg_eval_watcher *watcher, void *context);

/* ---- deciding one request ---- */

/* What comes out; the caller turns it into the Decision message and the record. */
struct rg_outcome {
	uint8_t verdict; /* enum rg_verdict */
	uint8_t result;	 /* enum rg_eval_result; not OK: verdict is the image's failure verdict */
	uint8_t reason_count; /* reasons[0..reason_count) */
	uint8_t reserved;
	uint16_t reasons_fired;		  /* how many distinct reasons fired in all */
	uint16_t reasons[RG_REASONS_MAX]; /* primary one first; those beyond reason_count are 0 */
	int64_t score_micro; /* score x 10^6, half to even; 0 when the policy gives none */
};

/* Index of the template's entry in the image, or -1: no policy bound to it. O(1); the data plane
 * asks per message. */
int rg_eval_template(const struct rg_eval *eval, uint16_t schema_id, uint16_t template_id);

/* Decide one request: block[0..block_bytes) is the SBE root block, of any length; fields beyond it are undefined.
 * The block must stay in place until the call returns. now_ns is the receive time; seed is recorded. Resets the heap. */
void rg_decide(struct rg_eval *eval, int template_index, const uint8_t *block, uint32_t block_bytes,
	       int64_t now_ns, uint64_t seed, struct rg_outcome *outcome);

/* One of a burst: as rg_decide()'s parameters. */
struct rg_decide_request {
	const uint8_t *block;
	uint32_t block_bytes;
	uint64_t seed;
	struct rg_outcome *outcome;
};
/* Decide any number of requests of one template, received together: the same outcomes as one after the other, but what a typed
 * program can decide is decided for RG_DECIDE_TOGETHER of them at a time, column by column. Blocks
 * must stay in place
 * until the call returns. Resets the heap. */
#define RG_DECIDE_TOGETHER 32
void rg_decide_burst(struct rg_eval *eval, int template_index,
		     const struct rg_decide_request *requests, uint32_t count, int64_t now_ns);
/* The same, and tell the listener of each step when it is over: of requests[0..count) that the typed
 * program was busy with together, or of one request, which it, or the rules for it, decided or decided a
 * part of. With a clock in it, the listener knows which request took how long. */
struct rg_decide_listener {
	void (*decided)(struct rg_decide_listener *listener,
			const struct rg_decide_request *requests, uint32_t count);
	/* the evaluator's: those that are together now */
	const struct rg_decide_request *together;
	uint32_t together_count;
};
void rg_decide_burst_told(struct rg_eval *eval, int template_index,
			  const struct rg_decide_request *requests, uint32_t count, int64_t now_ns,
			  struct rg_decide_listener *listener);
/* Use the widest that the machine has, but no wider than `most`. An evaluator uses the widest from
 * the beginning: this is for tests, which compare. Returns it. */
enum rg_eval_vectors rg_eval_use_vectors(struct rg_eval *eval, enum rg_eval_vectors most);

/* The name of one of outcome->reasons, not terminated; "other" for one that was made at run time. */
const char *rg_eval_reason(struct rg_eval *eval, uint16_t id, uint32_t *bytes);
/* The text of the reason that a member of a set (or array, or key of an object) is: a string's own, or
 * an object's "code", "id" or "reason". Undefined: it is none. */
struct rg_value rg_eval_reason_text(struct rg_heap *heap, struct rg_value member);

/* How requests were decided since rg_eval_new(): by the typed program of their template, by the rules after that gave up,
 * by the rules alone because there is none. */
struct rg_eval_counts {
	uint64_t typed, given_up, untyped;
};
struct rg_eval_counts rg_eval_counts(const struct rg_eval *eval);
/* Whether requests are offered to typed programs first, as they are from the beginning. Without, all are decided by the rules: for tests,
 * which compare the two. */
void rg_eval_use_typed(struct rg_eval *eval, bool use);

/* ---- queries ---- */

struct rg_query {
	struct rg_value
		input; /* in the eval's heap (parse it there after rg_heap_reset); undefined for none */
	bool strict; /* built-in errors abort */
	int64_t now_ns;
	uint64_t seed;
};

/* Number and names of the image's plans (entrypoints), in the order of plan.json. */
uint32_t rg_eval_plan_count(const struct rg_eval *eval);
const char *rg_eval_plan_name(const struct rg_eval *eval, uint32_t index, uint32_t *bytes);
/* Index of an entrypoint by name ("payments/deny"), or -1. */
int rg_eval_plan_find(const struct rg_eval *eval, const char *name);

/* Run plan `index`. *results is the result set: a SET in the heap (empty: undefined). Does not reset the heap.
 * On error the text with source place is in *err. */
enum rg_eval_result rg_eval_run(struct rg_eval *eval, uint32_t index, const struct rg_query *query,
				struct rg_value *results, struct rg_error *err);

/* Verdict of JSON-shaped input for a template's package: the same rules, `input` given as a
 * value. */
void rg_decide_value(struct rg_eval *eval, int template_index, const struct rg_query *query,
		     struct rg_outcome *outcome, struct rg_error *err);

#endif

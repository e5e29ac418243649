/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the typed program of a template (image/typed.h). Private to eval/.
 *
 * Thread-safety: as the evaluator.
 */
#ifndef RG_POLICY_EVAL_TYPED_H
#define RG_POLICY_EVAL_TYPED_H

#include <stdbool.h>

#include "policy/eval/eval.h"
#include "policy/image/image.h"
#include "policy/image/rule_table.h"
#include "policy/image/typed.h"

struct rg_typed_asked;

/* What a program computes with. Radii lie apart: most slots are integers. */
struct rg_typed_state {
	union {
		int64_t integer;
		double real;
	} slots[RG_TYPED_SLOTS_MAX];
	double radius[RG_TYPED_SLOTS_MAX];
	uint64_t sets[RG_TYPED_SETS_MAX][RG_TYPED_SET_WORDS];
	/* Of rule tables: inputs of the next one; results so far, all those of a set together. Those that
	 * no MATCH_INPUT has set are an earlier request's, and no column asks for them. */
	int64_t inputs[RG_RULE_COLUMNS_MAX];
	uint32_t matches[RG_TYPED_MATCHES_MAX];
	uint32_t match_count;
	struct rg_typed_matched {
		uint32_t first, count;
	} matched[RG_TYPED_SETS_MAX];
	const struct rg_typed_asked *asked;
	uint64_t left;	   /* roles, a bit each, that LEAVE_ROLE leaves to the rules */
	uint64_t spent;	   /* of the budget, by what was left to the rules */
	uint32_t prepared; /* the program whose constants are in their slots, + 1; 0: none */
};

/* Requests of a burst: as many as mask words have bits. */
#define RG_TYPED_LANES 32

/* A lane's results: no multiple of 4 KiB apart from the next one's, for a cache has few places for
 * what is. */
#define RG_TYPED_MATCHES_ROOM (RG_TYPED_MATCHES_MAX + 16)

/* The same for a burst: a column of lanes for each slot, lanes for each text of a set. */
struct rg_typed_columns {
	union {
		int64_t integer[RG_TYPED_LANES];
		double real[RG_TYPED_LANES];
	} slots[RG_TYPED_SLOTS_MAX];
	double radius[RG_TYPED_SLOTS_MAX][RG_TYPED_LANES];
	uint32_t members[RG_TYPED_SETS_MAX][RG_TYPED_BITS_MAX];
	uint32_t waiting
		[RG_TYPED_CODE_MAX]; /* an instruction: lanes that jumped there; 0 between bursts */
	/* Of rule tables, as in struct rg_typed_state. */
	int64_t inputs[RG_RULE_COLUMNS_MAX][RG_TYPED_LANES];
	uint32_t matches[RG_TYPED_LANES][RG_TYPED_MATCHES_ROOM];
	uint32_t match_count[RG_TYPED_LANES];
	struct rg_typed_matched matched[RG_TYPED_SETS_MAX]
				       [RG_TYPED_LANES]; /* of lanes that have any */
	uint32_t left[RG_ROLE_COUNT]; /* a role: lanes that leave it to the rules */
	uint64_t spent[RG_TYPED_LANES];
	uint32_t prepared;	 /* the program whose constants are in their slots, + 1; 0: none */
	uint32_t prepared_lanes; /* for so many lanes */
} __attribute__((aligned(64)));

/* Requests of a binding. */
struct rg_typed_asked {
	const struct rg_image_binding *binding;
	const struct rg_decide_request *request;
	uint32_t count; /* of them, up to RG_TYPED_LANES */
	int64_t now_ns;
	struct rg_decide_listener *listener; /* NULL: nobody asks who takes how long */
};

/* Decide one request, the evaluator's, by the binding's program. False: it gave up, and the outcome
 * holds nothing of worth. */
bool rg_typed_decide(struct rg_eval *eval, const struct rg_typed_asked *asked);

/* Decide requests together by the binding's program. Returns a bit for each of which it gave up, and whose outcome
 * holds nothing of worth. typed_burst.c, compiled for each enum rg_eval_vectors. */
uint32_t rg_typed_burst_avx512(struct rg_eval *eval, const struct rg_typed_asked *asked);
uint32_t rg_typed_burst_avx2(struct rg_eval *eval, const struct rg_typed_asked *asked);
uint32_t rg_typed_burst_plain(struct rg_eval *eval, const struct rg_typed_asked *asked);
typedef uint32_t rg_typed_burst(struct rg_eval *eval, const struct rg_typed_asked *asked);

/*
 * What a program leaves to the rules of the (first) request asked about, alone: a function without parameters, or a
 * role with all that it makes of the outcome; *settles: the verdict. Each is an evaluation of its own. They share the
 * request's budget: *spent of it so far. False on an error: then the rules have to decide all. (decide.c)
 */
bool rg_decide_part(struct rg_eval *eval, const struct rg_typed_asked *asked, uint64_t *spent,
		    uint32_t function, struct rg_value *result);
bool rg_decide_role(struct rg_eval *eval, const struct rg_typed_asked *asked, uint64_t *spent,
		    enum rg_role role, bool *settles);

/* Reason `id`, 0 for none, fired: count it, and list it if it is new and there is room. Those beyond the list
 * count each time. (decide.c) */
void rg_outcome_add_reason(struct rg_outcome *outcome, uint16_t id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which strings of a policy can become reasons: those that can flow into what deny, review and
 * reasons return. Private to compile/.
 *
 * The search goes backward from the results, a function at a time, its last statement first. Of
 * each local it knows as what it is WANTED at that point of the text:
 *
 *	RESULT	  as what a rule returns: a reason, a set or array of them, or an object with such keys
 *	ELEMENT	  as one of these: a string, or an object whose "code", "id" or "reason" is one
 *	INSIDE	  as a collection, of whatever depth, whose members are taken out and become reasons
 *
 * A local's assignment hands on what is wanted of it and ends the wanting: bodies of a rule use the
 * same locals for different things. Control may have passed an assignment by, though, when its
 * block has ended or was broken out of; then it is wanted before it all the same. In loops nothing
 * ends, as a turn may read what the one before assigned. What is wanted of a function's result or
 * arguments is kept with the function, and whoever is concerned is gone over again until nothing
 * changes.
 *
 * It errs on the side of too many names: which key of a table is looked up, for instance, is not
 * asked. What a built-in makes (sprintf, concat) is no constant and has no name.
 */
#ifndef RG_POLICY_COMPILE_REASON_FLOW_H
#define RG_POLICY_COMPILE_REASON_FLOW_H

#include "policy/compile/unit.h"

/* What is wanted of one plan function. */
struct rg_reason_function {
	uint8_t *arguments; /* by parameter; NULL: the function is of no interest */
	uint8_t result;
	bool queued;
};

struct rg_reason_flow {
	struct rg_unit *unit;
	struct rg_reason_function *functions;
	uint32_t *queue;
	uint32_t queue_count;
	bool input_is_wanted; /* something of the request can become a reason */
};

/* All in the plan's arena. RG_OK, or RG_ENOMEM in unit->status. */
int rg_reason_flow_init(struct rg_reason_flow *flow, struct rg_unit *unit);
/* What the rule returns are reasons. */
void rg_reason_flow_from(struct rg_reason_flow *flow, uint32_t function);
/* Follow what is wanted, then call `take` for each string that can become a reason, in the
 * plan's order; some come more than once. Sets input_is_wanted. */
void rg_reason_flow_follow(struct rg_reason_flow *flow,
			   void (*take)(struct rg_unit *unit, const char *text, size_t bytes));

#endif

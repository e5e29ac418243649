/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules to a verdict: deny, else review, else allow, else the default; then score and reasons.
 * The reasons of the rule that decided come first, then those of `reasons`; within a set in Rego's
 * order.
 */
#include <string.h>

#include "policy/eval/machine.h"
#include "policy/eval/number.h"
#include "policy/eval/typed.h"

#define SCORE_EXPONENT (-6)
#define TOGETHER_MIN   3 /* fewer are faster one by one */

/* Where the rules' input comes from. */
struct decision {
	struct rg_eval *eval;
	const uint32_t *functions; /* by role */
	const struct rg_value *args;
	struct rg_outcome *outcome;
};

/* Run a role's rule; a role without one is undefined. False on an error. */
static bool run_role(struct decision *decision, enum rg_role role, struct rg_value *result)
{
	uint32_t function = decision->functions[role];

	*result = rg_undefined;
	if (function == RG_IMAGE_NO_FUNCTION)
		return true;
	return rg_machine_run(decision->eval, function, decision->args, result);
}

/* deny and review fire unless they are undefined, false, null or empty: what is odd errs on the
 * safe side. */
static bool fires(const struct rg_heap *heap, struct rg_value v)
{
	switch (v.type) {
	case RG_UNDEFINED:
	case RG_NULL: return false;
	case RG_BOOLEAN: return v.i;
	case RG_NUMBER: return true;
	case RG_STRING: return v.length;
	default: return rg_count(heap, v);
	}
}

/* ---- reasons ---- */

struct rg_value rg_eval_reason_text(struct rg_heap *heap, struct rg_value member)
{
	static const char *const keys[] = {"code", "id", "reason"};

	if (member.type == RG_STRING)
		return member;
	for (size_t i = 0; member.type == RG_OBJECT && i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct rg_value text = rg_object_get_text(heap, member, keys[i], strlen(keys[i]));

		if (text.type == RG_STRING)
			return text;
	}
	return rg_undefined;
}

const char *rg_eval_reason(struct rg_eval *eval, uint16_t id, uint32_t *bytes)
{
	struct rg_heap *heap = &eval->heap;
	struct rg_value ids = eval->constants[rg_image_header(eval->image)->reasons];

	for (uint32_t i = 0; i < rg_count(heap, ids); i++) {
		struct rg_pair pair = rg_object_at(heap, ids, i);

		if (pair.value.type == RG_NUMBER && pair.value.i == id) {
			*bytes = pair.key.length;
			return rg_text(heap, pair.key);
		}
	}
	*bytes = (uint32_t)strlen("other");
	return "other";
}

static uint16_t reason_id(struct decision *decision, struct rg_value text)
{
	struct rg_eval *eval = decision->eval;
	struct rg_value id = rg_object_get(
		&eval->heap, eval->constants[rg_image_header(eval->image)->reasons], text);

	if (id.type != RG_NUMBER || id.form != RG_NUMBER_INT || id.i < 1 || id.i >= RG_REASON_OTHER)
		return RG_REASON_OTHER;
	return (uint16_t)id.i;
}

void rg_outcome_add_reason(struct rg_outcome *outcome, uint16_t id)
{
	if (!id)
		return;
	for (uint32_t i = 0; i < outcome->reason_count && id != RG_REASON_OTHER; i++) {
		if (outcome->reasons[i] == id)
			return;
	}
	if (outcome->reasons_fired < UINT16_MAX)
		outcome->reasons_fired++;
	if (outcome->reason_count < RG_REASONS_MAX)
		outcome->reasons[outcome->reason_count++] = id;
}

static void add_reason(struct decision *decision, struct rg_value element)
{
	struct rg_value text = rg_eval_reason_text(&decision->eval->heap, element);

	if (rg_is_defined(text))
		rg_outcome_add_reason(decision->outcome, reason_id(decision, text));
}

/* Elements of a set or array, keys of an object, or the value itself. */
static void add_reasons(struct decision *decision, struct rg_value v)
{
	struct rg_heap *heap = &decision->eval->heap;
	uint32_t count;

	if (v.type < RG_ARRAY) {
		add_reason(decision, v);
		return;
	}
	count = rg_count(heap, v);
	if (!rg_heap_charge(heap, count))
		return;
	for (uint32_t i = 0; i < count; i++)
		add_reason(decision, v.type == RG_SET	  ? rg_set_at(heap, v, i)
				     : v.type == RG_ARRAY ? rg_array_at(heap, v, i)
							  : rg_object_at(heap, v, i).key);
}

/* ---- verdict ---- */

/* What a role's value makes of the outcome, if it is come to. Returns whether the role settles the
 * verdict. */
static bool apply_role(struct decision *decision, enum rg_role role, struct rg_value v)
{
	struct rg_eval *eval = decision->eval;
	struct rg_outcome *outcome = decision->outcome;

	switch (role) {
	case RG_ROLE_DENY:
	case RG_ROLE_REVIEW:
		if (!fires(&eval->heap, v))
			return false;
		outcome->verdict = role == RG_ROLE_DENY ? RG_VERDICT_DENY : RG_VERDICT_REVIEW;
		add_reasons(decision, v);
		return true;
	case RG_ROLE_ALLOW:
		outcome->verdict = v.type == RG_BOOLEAN && v.i
					   ? RG_VERDICT_ALLOW
					   : rg_image_header(eval->image)->default_verdict;
		return true;
	case RG_ROLE_SCORE:
		if (v.type == RG_NUMBER)
			outcome->score_micro = rg_number_to_scaled(&eval->heap, v, SCORE_EXPONENT);
		return false;
	case RG_ROLE_REASONS:
		if (rg_is_defined(v))
			add_reasons(decision, v);
		return false;
	case RG_ROLE_COUNT: break;
	}
	return false;
}

static bool decide(struct decision *decision)
{
	struct rg_eval *eval = decision->eval;
	bool settled = false;
	struct rg_value v;

	for (int role = RG_ROLE_DENY; role < RG_ROLE_COUNT; role++) {
		if (settled && role <= RG_ROLE_ALLOW)
			continue;
		if (!run_role(decision, (enum rg_role)role, &v))
			return false;
		settled |= apply_role(decision, (enum rg_role)role, v);
	}
	if (eval->heap.exhausted)
		eval->result = RG_EVAL_MEMORY;
	return !eval->heap.exhausted;
}

static void run_decision(struct decision *decision)
{
	struct rg_outcome *outcome = decision->outcome;

	memset(outcome, 0, sizeof(*outcome));
	if (decide(decision))
		return;
	memset(outcome, 0, sizeof(*outcome));
	outcome->verdict = rg_image_header(decision->eval->image)->failure_verdict;
	outcome->result = (uint8_t)decision->eval->result;
}

/* ---- who takes how long ---- */

static inline void tell(struct rg_decide_listener *listener,
			const struct rg_decide_request *requests, uint32_t count)
{
	if (listener)
		listener->decided(listener, requests, count);
}

/* What follows is work for all that are asked about, until it is told, or a part is for one of them alone. */
static inline void begin_together(const struct rg_typed_asked *asked)
{
	if (!asked->listener)
		return;
	asked->listener->together = asked->request;
	asked->listener->together_count = asked->count;
}

static inline void tell_of_together(struct rg_decide_listener *listener)
{
	if (listener)
		tell(listener, listener->together, listener->together_count);
}

/* ---- requests ---- */

/* Let rules look at the request, with nothing left of what others computed. */
static void begin_request(struct rg_eval *eval, const struct rg_decide_request *request,
			  int64_t now_ns)
{
	eval->block = request->block;
	eval->block_bytes = request->block_bytes;
	rg_heap_reset(&eval->heap);
	/* Never written; see rg_eval_bind(). */
	eval->heap.space[RG_SPACE_REQUEST] = (uint8_t *)(uintptr_t)request->block;
	eval->heap.bytes[RG_SPACE_REQUEST] = request->block_bytes;
	rg_machine_begin(eval, now_ns, request->seed, false, NULL);
}

static void decide_by_rules(struct rg_eval *eval, const struct rg_typed_asked *asked)
{
	struct decision decision = {eval, asked->binding->specialised, NULL,
				    asked->request->outcome};

	begin_request(eval, asked->request, asked->now_ns);
	run_decision(&decision);
}

bool rg_decide_part(struct rg_eval *eval, const struct rg_typed_asked *asked, uint64_t *spent,
		    uint32_t function, struct rg_value *result)
{
	uint64_t budget;
	bool done;

	tell_of_together(asked->listener);
	begin_request(eval, asked->request, asked->now_ns);
	budget = eval->call.budget;
	if (*spent >= budget)
		return false;
	eval->call.budget -= *spent;
	*result = rg_undefined;
	done = rg_machine_run(eval, function, NULL, result) && !eval->heap.exhausted;
	*spent = budget - eval->call.budget;
	tell(asked->listener, asked->request, 1);
	return done;
}

bool rg_decide_role(struct rg_eval *eval, const struct rg_typed_asked *asked, uint64_t *spent,
		    enum rg_role role, bool *settles)
{
	struct decision decision = {eval, asked->binding->specialised, NULL,
				    asked->request->outcome};
	struct rg_value v;

	if (!rg_decide_part(eval, asked, spent, asked->binding->specialised[role], &v))
		return false;
	*settles = apply_role(&decision, role, v);
	return !eval->heap.exhausted;
}

static void decide_one(struct rg_eval *eval, const struct rg_typed_asked *asked)
{
	eval->block = asked->request->block;
	eval->block_bytes = asked->request->block_bytes;
	if (asked->binding->typed && eval->use_typed) {
		if (rg_typed_decide(eval, asked)) {
			eval->counts.typed++;
			return;
		}
		eval->counts.given_up++;
	} else {
		eval->counts.untyped++;
	}
	decide_by_rules(eval, asked);
}

void rg_decide(struct rg_eval *eval, int template_index, const uint8_t *block, uint32_t block_bytes,
	       int64_t now_ns, uint64_t seed, struct rg_outcome *outcome)
{
	const struct rg_decide_request request = {block, block_bytes, seed, outcome};

	decide_one(eval, &(struct rg_typed_asked){&eval->bindings[template_index], &request, 1,
						  now_ns, NULL});
}

/* At most RG_DECIDE_TOGETHER. */
static void decide_together(struct rg_eval *eval, const struct rg_typed_asked *asked)
{
	uint32_t given_up;

	begin_together(asked);
	given_up = eval->typed_burst(eval, asked);

	eval->counts.typed += asked->count - (uint32_t)__builtin_popcount(given_up);
	eval->counts.given_up += (uint32_t)__builtin_popcount(given_up);
	tell_of_together(asked->listener);
	for (; given_up; given_up &= given_up - 1) {
		struct rg_typed_asked one = *asked;

		one.request += __builtin_ctz(given_up);
		decide_by_rules(eval, &one);
		tell(one.listener, one.request, 1);
	}
}

static void decide_burst(struct rg_eval *eval, int template_index,
			 const struct rg_decide_request *requests, uint32_t count, int64_t now_ns,
			 struct rg_decide_listener *listener)
{
	struct rg_typed_asked asked = {&eval->bindings[template_index], requests, 0, now_ns,
				       listener};

	static_assert(RG_DECIDE_TOGETHER == RG_TYPED_LANES,
		      "a burst of requests has a lane for each");
	while (count >= TOGETHER_MIN && asked.binding->typed && eval->use_typed) {
		asked.count = count < RG_DECIDE_TOGETHER ? count : RG_DECIDE_TOGETHER;
		decide_together(eval, &asked);
		asked.request += asked.count;
		count -= asked.count;
	}
	asked.count = 1;
	for (; count; count--, asked.request++) {
		begin_together(&asked);
		decide_one(eval, &asked);
		tell_of_together(listener);
	}
}

void rg_decide_burst(struct rg_eval *eval, int template_index,
		     const struct rg_decide_request *requests, uint32_t count, int64_t now_ns)
{
	decide_burst(eval, template_index, requests, count, now_ns, NULL);
}

void rg_decide_burst_told(struct rg_eval *eval, int template_index,
			  const struct rg_decide_request *requests, uint32_t count, int64_t now_ns,
			  struct rg_decide_listener *listener)
{
	decide_burst(eval, template_index, requests, count, now_ns, listener);
}

void rg_decide_value(struct rg_eval *eval, int template_index, const struct rg_query *query,
		     struct rg_outcome *outcome, struct rg_error *err)
{
	struct decision decision = {eval, eval->bindings[template_index].general, &query->input,
				    outcome};

	eval->block_bytes = 0;
	rg_machine_begin(eval, query->now_ns, query->seed, query->strict, err);
	run_decision(&decision);
}

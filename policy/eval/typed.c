/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over typed instructions, the arithmetic of balls, and the verdict. What each
 * instruction does is in image/typed.h. */
#include "policy/eval/typed.h"

#include "policy/eval/typed_parts.h"

/* ---- verdict ---- */

static const uint64_t *bits_of(const struct rg_typed_state *state, struct rg_typed_role role)
{
	return state->sets[role.at];
}

static inline bool has_members(const uint64_t *set)
{
	uint64_t any = 0;

	for (int i = 0; i < RG_TYPED_SET_WORDS; i++)
		any |= set[i];
	return any;
}

static bool fires(const struct rg_typed_state *state, struct rg_typed_role role)
{
	if (role.kind == RG_TYPED_BOOLEAN)
		return state->slots[role.at].integer == 1;
	return role.kind == RG_TYPED_SET &&
	       (has_members(bits_of(state, role)) || state->matched[role.at].count);
}

/* The members of a set that a rule table has added to. */
static uint32_t matched_ranks(const struct rg_eval *eval, const struct rg_typed_program *program,
			      uint32_t set, uint32_t *ranks)
{
	const struct rg_typed_state *state = &eval->typed_state;

	return ranks_of(eval, program, state->matches + state->matched[set].first,
			state->matched[set].count, state->sets[set], ranks);
}

static uint32_t count_matched(const struct rg_eval *eval, const struct rg_typed_program *program,
			      uint32_t set)
{
	uint32_t ranks[RANKS_MAX];

	return matched_ranks(eval, program, set, ranks);
}

static bool add_matched(const struct rg_eval *eval, const struct rg_typed_program *program,
			uint32_t set, struct rg_outcome *outcome)
{
	uint32_t ranks[RANKS_MAX], count = matched_ranks(eval, program, set, ranks);

	return add_ranked(eval, program, ranks, count, outcome);
}

/* False: some members may be the same. */
static bool is_distinct_set(const struct rg_eval *eval, const struct rg_typed_program *program,
			    uint32_t set)
{
	uint32_t ranks[RANKS_MAX];

	if (!program->alike)
		return true;
	if (eval->typed_state.matched[set].count)
		return are_distinct(eval, program, ranks, matched_ranks(eval, program, set, ranks));
	return has_distinct(eval, program, eval->typed_state.sets[set]);
}

/* False: what they come to is not certain. */
static bool add_reasons(const struct rg_eval *eval, const struct rg_typed_program *program,
			struct rg_typed_role role, struct rg_outcome *outcome)
{
	if (role.kind != RG_TYPED_SET)
		return true;
	if (eval->typed_state.matched[role.at].count)
		return add_matched(eval, program, role.at, outcome);
	return add_members(eval, program, bits_of(&eval->typed_state, role), outcome);
}

__attribute__((always_inline)) static inline bool set_score(const struct rg_typed_state *state,
							    struct rg_typed_role role,
							    struct rg_outcome *outcome)
{
	int64_t score = state->slots[role.at].integer;

	if (role.kind == RG_TYPED_NUMBER && score != RG_TYPED_ABSENT)
		outcome->score_micro = decimal_score(score, role.scale);
	else if (role.kind == RG_TYPED_REAL_NUMBER && state->radius[role.at] != -1)
		return ball_round(ball_multiply(ball_at(state, role.at), (ball){.v = 1e6}),
				  &outcome->score_micro);
	return true;
}

static bool give_reasons(void *of, enum rg_role role, struct rg_outcome *outcome)
{
	const struct rg_eval *eval = of;
	const struct rg_typed_program *program =
		&eval->typed_programs[eval->typed_state.asked->binding->typed - 1];

	return add_reasons(eval, program, program->roles[role], outcome);
}

static bool give_score(void *of, struct rg_outcome *outcome)
{
	const struct rg_eval *eval = of;
	const struct rg_typed_program *program =
		&eval->typed_programs[eval->typed_state.asked->binding->typed - 1];

	return set_score(&eval->typed_state, program->roles[RG_ROLE_SCORE], outcome);
}

/* Nothing is left to the rules. False: after all something is. */
static bool conclude_typed(const struct rg_eval *eval, const struct rg_typed_program *program,
			   struct rg_outcome *outcome)
{
	const struct rg_typed_state *state = &eval->typed_state;
	const struct rg_typed_role *roles = program->roles;
	bool certain = true;

	memset(outcome, 0, sizeof(*outcome));
	if (fires(state, roles[RG_ROLE_DENY])) {
		outcome->verdict = RG_VERDICT_DENY;
		certain = add_reasons(eval, program, roles[RG_ROLE_DENY], outcome);
	} else if (fires(state, roles[RG_ROLE_REVIEW])) {
		outcome->verdict = RG_VERDICT_REVIEW;
		certain = add_reasons(eval, program, roles[RG_ROLE_REVIEW], outcome);
	} else {
		outcome->verdict =
			roles[RG_ROLE_ALLOW].kind == RG_TYPED_BOOLEAN &&
					state->slots[roles[RG_ROLE_ALLOW].at].integer == 1
				? RG_VERDICT_ALLOW
				: rg_image_header(eval->image)->default_verdict;
	}
	return certain && add_reasons(eval, program, roles[RG_ROLE_REASONS], outcome) &&
	       set_score(state, roles[RG_ROLE_SCORE], outcome);
}

__attribute__((noinline, cold)) static bool conclude_by_rules(
	struct rg_eval *eval, const struct rg_typed_program *program,
	const struct rg_typed_asked *asked)
{
	struct rg_typed_state *state = &eval->typed_state;
	struct conclusion conclusion = {.eval = eval,
					.asked = asked,
					.spent = &state->spent,
					.left = state->left,
					.of = eval,
					.reasons = give_reasons,
					.score = give_score};

	for (int role = RG_ROLE_DENY; role <= RG_ROLE_ALLOW; role++)
		conclusion.fired |= (uint32_t)fires(state, program->roles[role]) << role;
	return conclude_request(&conclusion);
}

static bool conclude(struct rg_eval *eval, const struct rg_typed_program *program,
		     const struct rg_typed_asked *asked)
{
	return (!eval->typed_state.left &&
		conclude_typed(eval, program, asked->request->outcome)) ||
	       conclude_by_rules(eval, program, asked);
}

/* ---- the loop ---- */

#define A		(state->slots[at->a].integer)
#define B		(state->slots[at->b].integer)
#define DST		(state->slots[at->dst].integer)
#define REAL_A		ball_at(state, at->a)
#define REAL_B		ball_at(state, at->b)
#define SET_REAL(value) set_ball(state, at->dst, value)
#define TABLE		(&eval->typed_tables[at->table])
#define GO_ON                                                                                      \
	do {                                                                                       \
		at++;                                                                              \
		goto *labels[at->op];                                                              \
	} while (0)
#define GO_ON_IF(condition)                                                                        \
	do {                                                                                       \
		at = (condition) ? at + 1 : code + at->target;                                     \
		goto *labels[at->op];                                                              \
	} while (0)
#define GIVE_UP_UNLESS(condition)                                                                  \
	do {                                                                                       \
		if (__builtin_expect(!(condition), 0))                                             \
			return false;                                                              \
	} while (0)
/* Comparisons: of integers, with a number, of balls. */
#define COMPARISONS(name, compare)                                                                 \
	IF_##name : GO_ON_IF(A compare B);                                                         \
	IF_##name##_NUMBER : GO_ON_IF(A compare at->number);                                       \
	IF_REAL_##name : order = ball_compare(REAL_A, REAL_B);                                     \
	GIVE_UP_UNLESS(order != 2);                                                                \
	GO_ON_IF(order compare 0)

/* Loads of one width. */
#define LOADS(name, type)                                                                          \
	name:                                                                                      \
	value = RG_TYPED_ABSENT;                                                                   \
	if (at->target <= eval->block_bytes) {                                                     \
		type narrow;                                                                       \
                                                                                                   \
		memcpy(&narrow, eval->block + at->table, sizeof(narrow));                          \
		if (!at->b || narrow != at->number)                                                \
			value = narrow;                                                            \
	}                                                                                          \
	DST = value;                                                                               \
	GO_ON

/* The results of a table for the inputs are those of a set too. False: too many. */
static bool match(struct rg_eval *eval, const struct rg_typed_table *rules, uint32_t set)
{
	struct rg_typed_state *state = &eval->typed_state;
	struct rg_typed_matched *matched = &state->matched[set];
	uint32_t count;

	if (matched->count) /* one table a set */
		return false;
	count = state->match_count;
	eval->match_rules(rules_at(eval, rules), state->inputs, 1, 1, state->matches,
			  RG_TYPED_MATCHES_MAX, &count);
	if (count > RG_TYPED_MATCHES_MAX)
		return false;
	*matched = (struct rg_typed_matched){state->match_count, count - state->match_count};
	state->match_count = count;
	return true;
}

/* The results of a table for the inputs, of no set: they may be written over. False: too many. */
static bool match_apart(const struct rg_eval *eval, const struct rg_typed_table *rules,
			struct rg_typed_state *state, uint32_t *count)
{
	uint32_t end = state->match_count;

	eval->match_rules(rules_at(eval, rules), state->inputs, 1, 1, state->matches,
			  RG_TYPED_MATCHES_MAX, &end);
	*count = end - state->match_count;
	return end <= RG_TYPED_MATCHES_MAX;
}

/* EVALUATE. False: the program has to give up. */
__attribute__((noinline, cold)) static bool evaluate(struct rg_eval *eval,
						     const struct rg_typed_instruction *at)
{
	struct rg_typed_state *state = &eval->typed_state;

	return ask_rules(eval, state->asked, &state->spent, at->table,
			 &state->slots[at->dst].integer);
}

/* Run the program into the evaluator's typed state. False: it gave up. */
static bool run(struct rg_eval *eval, const struct rg_typed_program *program, int64_t now_ns)
{
	static const void *const labels[RG_TYPED_OP_COUNT] = {
#define X(name, dst, a, b, target, table, number) [RG_TYPED_OP_##name] = &&name,
		RG_TYPED_INSTRUCTIONS(X)
#undef X
	};
	const struct rg_typed_instruction *code = eval->typed_code + program->code, *at = code;
	struct rg_typed_state *state = &eval->typed_state;
	uint64_t(*sets)[RG_TYPED_SET_WORDS] = state->sets;
	uint32_t number = (uint32_t)(program - eval->typed_programs) + 1;
	int64_t sum, value;
	uint32_t count;
	int order;

	for (uint32_t i = 0; i < program->set_count; i++)
		memset(sets[i], 0, sizeof(sets[i]));
	memset(state->matched, 0, program->set_count * sizeof(state->matched[0]));
	state->match_count = 0;
	state->left = program->left;
	state->spent = 0;
	if (state->prepared == number)
		at += program->constant_count;
	state->prepared = 0; /* until the constants are in place */
	goto *labels[at->op];

END:
	state->prepared = number;
	return true;
GIVE_UP:
	return false;
LEAVE_ROLE:
	state->left |= (uint32_t)(A < 0) << at->number;
	GO_ON;
JUMP:
	GO_ON_IF(false);

FIELD_NUMBER:
	GIVE_UP_UNLESS(field_number(eval, &eval->fields[at->a], &DST));
	GO_ON;
FIELD_NAMED:
	DST = field_named(eval, &eval->fields[at->a]);
	GO_ON;
	LOADS(FIELD_U8, uint8_t);
	LOADS(FIELD_U16, uint16_t);
	LOADS(FIELD_U32, uint32_t);
	LOADS(FIELD_I8, int8_t);
	LOADS(FIELD_I16, int16_t);
	LOADS(FIELD_I32, int32_t);
FIELD_64:
	value = RG_TYPED_ABSENT;
	if (at->target <= eval->block_bytes) {
		memcpy(&value, eval->block + at->table, sizeof(value));
		if (at->b && value == at->number)
			value = RG_TYPED_ABSENT;
		else
			GIVE_UP_UNLESS(value != RG_TYPED_ABSENT);
	}
	DST = value;
	GO_ON;
FIELD_NAMED_U8:
	value = RG_TYPED_ABSENT;
	if (at->target <= eval->block_bytes) {
		uint64_t bit = (uint64_t)eval->block[at->table] - at->b;

		if (bit < 64 && ((uint64_t)at->number >> bit & 1))
			value = (int64_t)bit;
	}
	DST = value;
	GO_ON;
FIELD_TEXT:
	DST = field_text(eval, &eval->fields[at->a], TABLE);
	GO_ON;
FIELD_RANK:
	DST = field_rank(eval, &eval->fields[at->a], TABLE);
	GO_ON;
FIELD_ADDRESS:
	GIVE_UP_UNLESS(field_address(eval, &eval->fields[at->a], TABLE, &DST));
	GO_ON;
NOW:
	DST = now_ns;
	GO_ON;

CONSTANT:
	DST = at->number;
	GO_ON;
MOVE:
	DST = A;
	GO_ON;
FIND:
	DST = find(eval, TABLE, A, B);
	GO_ON;
COLUMN:
	DST = column(eval, TABLE, A);
	GO_ON;
COLUMN_TYPED:
	DST = column(eval, TABLE, A);
	GIVE_UP_UNLESS(DST != RG_TYPED_UNTYPED);
	GO_ON;
ADD:
	GIVE_UP_UNLESS(!__builtin_add_overflow(A, B, &DST) && DST != RG_TYPED_ABSENT);
	GO_ON;
SUBTRACT:
	GIVE_UP_UNLESS(!__builtin_sub_overflow(A, B, &DST) && DST != RG_TYPED_ABSENT);
	GO_ON;
MULTIPLY:
	GIVE_UP_UNLESS(!__builtin_mul_overflow(A, B, &DST) && DST != RG_TYPED_ABSENT);
	GO_ON;
SCALE:
	if (A == RG_TYPED_ABSENT)
		DST = RG_TYPED_ABSENT;
	else
		GIVE_UP_UNLESS(!__builtin_mul_overflow(A, rg_powers_of_10[at->number], &DST) &&
			       DST != RG_TYPED_ABSENT);
	GO_ON;
REMAINDER:
	if (B == 0)
		GO_ON_IF(false);
	DST = B == -1 ? 0 : A % B;
	GO_ON;
BIT:
	DST = A == RG_TYPED_ABSENT ? A : (int64_t)((uint64_t)A >> at->number & 1);
	GO_ON;
MAXIMUM: /* the undefined is less than all integers */
	DST = A > B ? A : B;
	GO_ON;
MINIMUM:
	DST = A == RG_TYPED_ABSENT || (B < A && B != RG_TYPED_ABSENT) ? B : A;
	GO_ON;
AGREE:
	GIVE_UP_UNLESS(A == B || A == RG_TYPED_ABSENT || B == RG_TYPED_ABSENT);
	DST = A == RG_TYPED_ABSENT ? B : A;
	GO_ON;
MODULO:
	DST = modulo(A, at->number);
	GO_ON;
REMAINDER_NUMBER:
	DST = A == RG_TYPED_ABSENT ? A : A % at->number;
	GO_ON;
QUOTIENT:
	DST = quotient(A, at->number);
	GO_ON;
LOCAL_TIME:
	GIVE_UP_UNLESS(local_time(eval, TABLE, A, &DST));
	GO_ON;
ADD_NUMBER:
	GIVE_UP_UNLESS(!__builtin_add_overflow(A, at->number, &value) && value != RG_TYPED_ABSENT);
	DST = value;
	GO_ON;
MAXIMUM_NUMBER:
	DST = A > at->number ? A : at->number;
	GO_ON;
MINIMUM_NUMBER:
	DST = A == RG_TYPED_ABSENT || at->number < A ? at->number : A;
	GO_ON;
AGREE_NUMBER:
	GIVE_UP_UNLESS(A == at->number || A == RG_TYPED_ABSENT);
	DST = at->number;
	GO_ON;
ABSOLUTE:
	DST = A < 0 && A != RG_TYPED_ABSENT ? -A : A;
	GO_ON;

EVALUATE:
	GIVE_UP_UNLESS(evaluate(eval, at));
	GO_ON;

REAL_UNDEFINED:
	SET_REAL(((ball){.r = -1}));
	GO_ON;
REAL:
	SET_REAL(ball_of(A, at->number));
	GO_ON;
REAL_SUM:
	SET_REAL(ball_of_sum(A, at->number));
	GO_ON;
REAL_QUOTIENT:
	SET_REAL(ball_quotient(A, at->number));
	GO_ON;
REAL_MOVE:
	SET_REAL(REAL_A);
	GO_ON;
REAL_ADD:
	SET_REAL(ball_add(REAL_A, REAL_B));
	GO_ON;
REAL_SUBTRACT:
	SET_REAL(ball_subtract(REAL_A, REAL_B));
	GO_ON;
REAL_MULTIPLY:
	SET_REAL(ball_multiply(REAL_A, REAL_B));
	GO_ON;
REAL_DIVIDE:
	if (REAL_B.r == 0 && REAL_B.v == 0)
		GO_ON_IF(false);
	GIVE_UP_UNLESS(fabs(REAL_B.v) > 2 * REAL_B.r);
	SET_REAL(ball_divide(REAL_A, REAL_B));
	GO_ON;
REAL_ABSOLUTE:
	SET_REAL(((ball){fabs(REAL_A.v), REAL_A.r}));
	GO_ON;
ROUND:
	GIVE_UP_UNLESS(ball_round(REAL_A, &DST));
	GO_ON;
FLOOR:
	GIVE_UP_UNLESS(ball_floor(REAL_A, false, &DST));
	GO_ON;
CEILING:
	GIVE_UP_UNLESS(ball_floor(REAL_A, true, &DST));
	GO_ON;

IF_DEFINED:
	GO_ON_IF(A != RG_TYPED_ABSENT);
IF_UNDEFINED:
	GO_ON_IF(A == RG_TYPED_ABSENT);
IF_REAL_DEFINED:
	GO_ON_IF(REAL_A.r != -1);
IF_REAL_UNDEFINED:
	GO_ON_IF(REAL_A.r == -1);
	COMPARISONS(EQ, ==);
	COMPARISONS(NE, !=);
	COMPARISONS(LT, <);
	COMPARISONS(LE, <=);
	COMPARISONS(GT, >);
	COMPARISONS(GE, >=);
IF_IN_MASK:
	GO_ON_IF((uint64_t)A < 64 && ((uint64_t)at->number >> A & 1));
IF_NOT_IN_MASK:
	GO_ON_IF(!((uint64_t)A < 64 && ((uint64_t)at->number >> A & 1)));
IF_BIT:
	GO_ON_IF(A != RG_TYPED_ABSENT && ((uint64_t)A >> at->number & 1));
IF_NO_BIT:
	GO_ON_IF(A != RG_TYPED_ABSENT && !((uint64_t)A >> at->number & 1));
IF_FOUND:
	GO_ON_IF(find(eval, TABLE, A, 0) >= 0);
IF_NOT_FOUND:
	GO_ON_IF(find(eval, TABLE, A, 0) < 0);
IF_SAME_TEXT:
	GO_ON_IF(same_text(eval, &eval->fields[at->a], &eval->fields[at->b]));
IF_OTHER_TEXT:
	GO_ON_IF(!same_text(eval, &eval->fields[at->a], &eval->fields[at->b]));
NON_NEGATIVE:
	GIVE_UP_UNLESS(A >= 0 || A == RG_TYPED_ABSENT);
	GO_ON;

SET_ADD:
	sets[at->dst][at->number / 64] |= 1ull << at->number % 64;
	GO_ON;
SET_UNITE:
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++)
		sets[at->dst][i] |= sets[at->a][i];
	GIVE_UP_UNLESS(!state->matched[at->a].count ||
		       unite_matched(state->matches, &state->match_count, &state->matched[at->dst],
				     &state->matched[at->a]));
	GO_ON;
SET_COUNT:
	sum = 0;
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		if (sets[at->a][i])
			sum += __builtin_popcountll(sets[at->a][i]);
	}
	if (state->matched[at->a].count)
		sum = count_matched(eval, program, at->a);
	DST = sum;
	GO_ON;
SET_SUM:
	sum = 0;
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		for (uint64_t rest = sets[at->a][i]; rest; rest &= rest - 1) {
			int64_t term = column(eval, TABLE, 64 * i + __builtin_ctzll(rest));

			if (term == RG_TYPED_ABSENT)
				continue;
			GIVE_UP_UNLESS(term != RG_TYPED_UNTYPED &&
				       !__builtin_add_overflow(sum, term, &sum) &&
				       sum != RG_TYPED_ABSENT);
		}
	}
	DST = sum;
	GO_ON;
SET_DISTINCT:
	GIVE_UP_UNLESS(is_distinct_set(eval, program, at->a));
	GO_ON;
IF_EMPTY:
	GO_ON_IF(!has_members(sets[at->a]) && !state->matched[at->a].count);
IF_NOT_EMPTY:
	GO_ON_IF(has_members(sets[at->a]) || state->matched[at->a].count);
MATCH_INPUT:
	state->inputs[at->number] = A;
	GO_ON;
MATCH:
	GIVE_UP_UNLESS(match(eval, TABLE, at->dst));
	GO_ON;
MATCH_FIRST:
	GIVE_UP_UNLESS(match_apart(eval, TABLE, state, &count));
	DST = least_result(state->matches + state->match_count, count);
	GO_ON;
MATCH_ONE:
	GIVE_UP_UNLESS(match_apart(eval, TABLE, state, &count) &&
		       one_result(state->matches + state->match_count, count, &DST));
	GO_ON;
MATCH_SUM:
	GIVE_UP_UNLESS(match_apart(eval, TABLE, state, &count) &&
		       sum_results(eval, &eval->typed_tables[at->number],
				   state->matches + state->match_count, count, &DST));
	GO_ON;
IF_MEMBER:
	GO_ON_IF(sets[at->a][at->number / 64] >> at->number % 64 & 1);
}

bool rg_typed_decide(struct rg_eval *eval, const struct rg_typed_asked *asked)
{
	const struct rg_typed_program *program = &eval->typed_programs[asked->binding->typed - 1];

	eval->typed_state.asked = asked;
	return eval->block_bytes >= program->block_bytes && run(eval, program, asked->now_ns) &&
	       conclude(eval, program, asked);
}

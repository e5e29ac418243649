/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over typed instructions, the arithmetic of balls, and the verdict. What each
 * instruction does is in image/typed.h. */
#include "policy/eval/typed.h"

#include <math.h>
#include <stdlib.h>

#include "policy/eval/machine.h"

#define SCORE_PLACES 6

static const int64_t powers_of_10[RG_TYPED_SCALE_MAX + 1] = {1,
							     10,
							     100,
							     1000,
							     10000,
							     100000,
							     1000000,
							     10000000,
							     100000000,
							     1000000000,
							     10000000000,
							     100000000000,
							     1000000000000,
							     10000000000000,
							     100000000000000,
							     1000000000000000,
							     10000000000000000,
							     100000000000000000,
							     1000000000000000000};

/* ---- fields ---- */

/* False for the one number that no slot can hold. */
static inline bool field_number(const struct rg_eval *eval, const struct rg_image_field *field,
				int64_t *out)
{
	uint64_t raw;

	if (!rg_request_raw(eval, field, &raw)) {
		*out = RG_TYPED_ABSENT;
		return true;
	}
	*out = rg_field_extend(raw, field->bytes, field->is_signed);
	return *out != RG_TYPED_ABSENT;
}

static inline int64_t field_named(const struct rg_eval *eval, const struct rg_image_field *field)
{
	const struct rg_image_field_name *names = eval->names + field->names_first;
	uint64_t raw;

	if (!rg_request_raw(eval, field, &raw))
		return RG_TYPED_ABSENT;
	/* Most enums have a name for each value from the first on. */
	if (raw - field->names_base < field->names_count &&
	    names[raw - field->names_base].value == raw)
		return (int64_t)(raw - field->names_base);
	for (uint32_t i = 0; i < field->names_count; i++) {
		if (names[i].value == raw)
			return (int64_t)(raw - field->names_base);
	}
	return RG_TYPED_ABSENT;
}

/* The characters of a field; false when absent. */
static inline bool field_chars(const struct rg_eval *eval, const struct rg_image_field *field,
			       const char **text, uint32_t *bytes)
{
	if (field->extent > eval->block_bytes)
		return false;
	*text = (const char *)eval->block + field->offset;
	if (field->optional && (uint8_t) * *text == (uint8_t)field->null_value)
		return false;
	*bytes = (uint32_t)strnlen(*text, field->length);
	return true;
}

/* Up to eight bytes as a word, zero behind them and from the first NUL on. */
static inline uint64_t text_word(const uint8_t *at, uint32_t bytes)
{
	uint64_t word = 0, zeros;

	switch (bytes) {
	case 2: word = rg_field_load_raw(at, 2); break;
	case 3: word = rg_field_load_raw(at, 2) | (uint64_t)at[2] << 16; break;
	case 4: word = rg_field_load_raw(at, 4); break;
	case 8: word = rg_field_load_raw(at, 8); break;
	default: memcpy(&word, at, bytes);
	}
	zeros = (word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull;
	return zeros ? word & ((zeros & -zeros) - 1) >> 7 : word;
}

static inline int64_t find_word(const struct rg_eval *eval, const struct rg_typed_text_slot *slots,
				uint32_t mask, uint64_t word)
{
	uint64_t hash = rg_typed_word_hash(word);

	for (uint32_t at = (uint32_t)hash & mask; slots[at].id; at = (at + 1) & mask) {
		if (slots[at].hash == hash &&
		    eval->constants[slots[at].text].length <= sizeof(word))
			return slots[at].id - 1;
	}
	return RG_TYPED_UNKNOWN;
}

static int64_t find_text(const struct rg_eval *eval, const struct rg_typed_text_slot *slots,
			 uint32_t mask, const char *text, uint32_t bytes)
{
	uint64_t hash = rg_typed_text_hash(text, bytes);

	for (uint32_t at = (uint32_t)hash & mask; slots[at].id; at = (at + 1) & mask) {
		struct rg_value known;

		if (slots[at].hash != hash)
			continue;
		known = eval->constants[slots[at].text];
		if (known.length == bytes && !memcmp(rg_text(&eval->heap, known), text, bytes))
			return slots[at].id - 1;
	}
	return RG_TYPED_UNKNOWN;
}

static inline int64_t field_text(const struct rg_eval *eval, const struct rg_image_field *field,
				 const struct rg_typed_table *table)
{
	const struct rg_typed_text_slot *slots =
		(const struct rg_typed_text_slot *)(eval->typed_cells + table->first);
	const uint8_t *at = eval->block + field->offset;
	const char *text;
	uint32_t bytes;

	if (field->length <= 8) {
		if (field->extent > eval->block_bytes ||
		    (field->optional && *at == (uint8_t)field->null_value))
			return RG_TYPED_ABSENT;
		return find_word(eval, slots, table->count - 1, text_word(at, field->length));
	}
	if (!field_chars(eval, field, &text, &bytes))
		return RG_TYPED_ABSENT;
	return find_text(eval, slots, table->count - 1, text, bytes);
}

/* Are two chars fields, both present, the same text? */
static bool same_text(const struct rg_eval *eval, const struct rg_image_field *a,
		      const struct rg_image_field *b)
{
	const char *x, *y;
	uint32_t x_bytes, y_bytes;

	return field_chars(eval, a, &x, &x_bytes) && field_chars(eval, b, &y, &y_bytes) &&
	       x_bytes == y_bytes && !memcmp(x, y, x_bytes);
}

/* ---- tables ---- */

static inline int64_t find(const struct rg_eval *eval, const struct rg_typed_table *table,
			   int64_t key, int64_t owner)
{
	const struct rg_typed_map_slot *slots =
		(const struct rg_typed_map_slot *)(eval->typed_cells + table->first);
	uint32_t at;

	if (owner < 0 || owner > UINT32_MAX)
		return RG_TYPED_ABSENT;
	for (at = rg_typed_map_hash(key, (uint32_t)owner) & (table->count - 1); slots[at].row;
	     at = (at + 1) & (table->count - 1)) {
		if (slots[at].key == key && slots[at].owner == owner)
			return slots[at].row - 1;
	}
	return RG_TYPED_ABSENT;
}

static inline int64_t column(const struct rg_eval *eval, const struct rg_typed_table *table,
			     int64_t row)
{
	return (uint64_t)row < table->count ? eval->typed_cells[table->first + (uint64_t)row]
					    : RG_TYPED_ABSENT;
}

/* ---- balls ---- */

typedef struct {
	double v, r;
} ball;

static inline ball ball_at(const struct rg_typed_state *state, uint32_t slot)
{
	return (ball){state->slots[slot].real, state->radius[slot]};
}

static inline void set_ball(struct rg_typed_state *state, uint32_t slot, ball value)
{
	state->slots[slot].real = value.v;
	state->radius[slot] = value.r;
}

/* The ball of a value computed with an error of at most `error` beyond RG_TYPED_REAL_UNIT of
 * `magnitude`. */
static inline ball ball_about(double v, double error, double magnitude)
{
	return (ball){.v = v,
		      .r = error * (1 + 0x1p-40) + magnitude * RG_TYPED_REAL_UNIT +
			   RG_TYPED_REAL_TINY};
}

static inline bool both_exact(ball a, ball b)
{
	return a.r == 0 && b.r == 0;
}

static inline bool is_exact(double v)
{
	return fabs(v) <= RG_TYPED_EXACT_MAX && v == (double)(int64_t)v;
}

/* A quotient that is integral, of a mantissa below 2^63, is exact just if it gives the mantissa
 * back, modulo 2^64. */
static inline ball ball_of(int64_t mantissa, int64_t scale)
{
	double v = (double)mantissa;

	if (mantissa == RG_TYPED_ABSENT)
		return (ball){.r = -1};
	if (scale)
		v /= (double)powers_of_10[scale];
	if (fabs(v) < RG_TYPED_EXACT_MAX &&
	    (uint64_t)(int64_t)v * (uint64_t)powers_of_10[scale] == (uint64_t)mantissa)
		return (ball){.v = (double)(int64_t)v};
	return ball_about(v, 0, fabs(v));
}

static inline ball ball_add(ball a, ball b)
{
	double v = a.v + b.v;

	if (both_exact(a, b) && is_exact(v))
		return (ball){.v = v};
	return ball_about(v, a.r + b.r, fabs(a.v) + fabs(b.v));
}

static inline ball ball_subtract(ball a, ball b)
{
	b.v = -b.v;
	return ball_add(a, b);
}

static inline ball ball_multiply(ball a, ball b)
{
	double v = a.v * b.v;

	if (both_exact(a, b) && is_exact(v))
		return (ball){.v = v};
	return ball_about(v, fabs(a.v) * b.r + fabs(b.v) * a.r + a.r * b.r, fabs(v));
}

/* b is not within its radius of 0. */
static inline ball ball_divide(ball a, ball b)
{
	double v = a.v / b.v;

	/* With both operands below 2^53 an integral v is the quotient just if v x b, which then
	 * is exact, is a. */
	if (both_exact(a, b) && is_exact(v) && v * b.v == a.v)
		return (ball){.v = v};
	return ball_about(v, (a.r + fabs(v) * b.r) / (fabs(b.v) - b.r), fabs(v));
}

/* -1, 0 or 1 as a is below, equal to or above b; 2 when the balls are not apart. */
static inline int ball_compare(ball a, ball b)
{
	double distance = a.v - b.v,
	       margin = (a.r + b.r) * (1 + 0x1p-40) + fabs(distance) * RG_TYPED_REAL_UNIT;

	if (both_exact(a, b))
		return (a.v > b.v) - (a.v < b.v);
	return distance > margin ? 1 : distance < -margin ? -1 : 2;
}

/* Integers next to a ball; false when a step lies in it. */
static bool ball_round(ball a, int64_t *out)
{
	double magnitude = fabs(a.v), whole = floor(magnitude), above = magnitude - whole;

	if (!(magnitude < RG_TYPED_EXACT_MAX / 2) || (a.r != 0 && !(fabs(above - 0.5) > a.r)))
		return false;
	whole += above >= 0.5;
	*out = (int64_t)(a.v < 0 ? -whole : whole);
	return true;
}

/* OPA gives 0 for the floor and 1 for the ceiling of what lies between -1 and 0: left to it. */
static bool ball_floor(ball a, bool ceiling, int64_t *out)
{
	double whole = floor(a.v), above = a.v - whole;

	if (!(fabs(a.v) < RG_TYPED_EXACT_MAX / 2))
		return false;
	if (a.r == 0) {
		*out = (int64_t)a.v;
		return true;
	}
	if (!(above > a.r && 1 - above > a.r) || whole == -1)
		return false;
	*out = (int64_t)whole + ceiling;
	return true;
}

/* ---- verdict ---- */

static const uint64_t *members(const struct rg_typed_state *state, struct rg_typed_role role)
{
	return state->sets[role.at];
}

static bool fires(const struct rg_typed_state *state, struct rg_typed_role role)
{
	uint64_t any = 0;

	if (role.kind == RG_TYPED_BOOLEAN)
		return state->slots[role.at].integer == 1;
	if (role.kind != RG_TYPED_SET)
		return false;
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++)
		any |= members(state, role)[i];
	return any;
}

static void add_reasons(const struct rg_eval *eval, const struct rg_typed_program *program,
			struct rg_typed_role role, struct rg_outcome *outcome)
{
	const struct rg_typed_table *ids = &eval->typed_tables[program->reasons];

	if (role.kind != RG_TYPED_SET)
		return;
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		for (uint64_t rest = members(&eval->typed_state, role)[i]; rest; rest &= rest - 1)
			rg_outcome_add_reason(
				outcome,
				(uint16_t)column(eval, ids, 64 * i + __builtin_ctzll(rest)));
	}
}

/* mantissa x 10^-scale in millionths, half to even, saturating. */
static int64_t decimal_score(int64_t mantissa, unsigned scale)
{
	int64_t unit, whole, rest;
	__int128 score;

	if (scale <= SCORE_PLACES) {
		score = (__int128)mantissa * powers_of_10[SCORE_PLACES - scale];
		return score > INT64_MAX   ? INT64_MAX
		       : score < INT64_MIN ? INT64_MIN
					   : (int64_t)score;
	}
	unit = powers_of_10[scale - SCORE_PLACES];
	whole = mantissa / unit;
	rest = llabs(mantissa % unit);
	if (rest > unit - rest || (rest == unit - rest && (whole & 1)))
		whole += mantissa < 0 ? -1 : 1;
	return whole;
}

static bool set_score(const struct rg_typed_state *state, struct rg_typed_role role,
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

static bool conclude(struct rg_eval *eval, const struct rg_typed_program *program,
		     struct rg_outcome *outcome)
{
	const struct rg_typed_state *state = &eval->typed_state;
	const struct rg_typed_role *roles = program->roles;

	memset(outcome, 0, sizeof(*outcome));
	if (fires(state, roles[RG_ROLE_DENY])) {
		outcome->verdict = RG_VERDICT_DENY;
		add_reasons(eval, program, roles[RG_ROLE_DENY], outcome);
	} else if (fires(state, roles[RG_ROLE_REVIEW])) {
		outcome->verdict = RG_VERDICT_REVIEW;
		add_reasons(eval, program, roles[RG_ROLE_REVIEW], outcome);
	} else {
		outcome->verdict =
			roles[RG_ROLE_ALLOW].kind == RG_TYPED_BOOLEAN &&
					state->slots[roles[RG_ROLE_ALLOW].at].integer == 1
				? RG_VERDICT_ALLOW
				: rg_image_header(eval->image)->default_verdict;
	}
	add_reasons(eval, program, roles[RG_ROLE_REASONS], outcome);
	return set_score(state, roles[RG_ROLE_SCORE], outcome);
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

/* Run the program into the evaluator's typed state. False: it gave up. */
static bool run(struct rg_eval *eval, const struct rg_typed_program *program)
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
	int order;

	for (uint32_t i = 0; i < program->set_count; i++)
		memset(sets[i], 0, sizeof(sets[i]));
	if (state->prepared == number)
		at += program->constant_count;
	state->prepared = 0; /* until the constants are in place */
	goto *labels[at->op];

END:
	state->prepared = number;
	return true;
GIVE_UP:
	return false;
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
		GIVE_UP_UNLESS(!__builtin_mul_overflow(A, powers_of_10[at->number], &DST) &&
			       DST != RG_TYPED_ABSENT);
	GO_ON;
REMAINDER:
	if (B == 0)
		GO_ON_IF(false);
	DST = B == -1 ? 0 : A % B;
	GO_ON;
ABSOLUTE:
	DST = A < 0 && A != RG_TYPED_ABSENT ? -A : A;
	GO_ON;

REAL_UNDEFINED:
	SET_REAL(((ball){.r = -1}));
	GO_ON;
REAL:
	SET_REAL(ball_of(A, at->number));
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
	GO_ON;
SET_COUNT:
	sum = 0;
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		if (sets[at->a][i])
			sum += __builtin_popcountll(sets[at->a][i]);
	}
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
IF_MEMBER:
	GO_ON_IF(sets[at->a][at->number / 64] >> at->number % 64 & 1);
}

bool rg_typed_decide(struct rg_eval *eval, uint32_t number, struct rg_outcome *outcome)
{
	const struct rg_typed_program *program = &eval->typed_programs[number];

	return eval->block_bytes >= program->block_bytes && run(eval, program) &&
	       conclude(eval, program, outcome);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two loops over typed instructions share, typed.c one request at a time and typed_burst.c
 * all of a burst together: fields, tables, the arithmetic of balls, scores. Private to those two.
 */
#ifndef RG_POLICY_EVAL_TYPED_PARTS_H
#define RG_POLICY_EVAL_TYPED_PARTS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/builtin/address.h"
#include "policy/eval/machine.h"
#include "policy/eval/rule_table.h"
#include "policy/eval/typed.h"

#define SCORE_PLACES 6

static const int64_t rg_powers_of_10[RG_TYPED_SCALE_MAX + 1] = {1,
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

/* A dictionary or map. */
struct slots_of {
	const void *slots;
	const uint32_t *multipliers;
	uint32_t count;
};

static inline struct slots_of slots_at(const struct rg_eval *eval,
				       const struct rg_typed_table *table)
{
	const int64_t *cells = eval->typed_cells + table->first;

	return (struct slots_of){cells, (const uint32_t *)(cells + 2 * (uint64_t)table->count),
				 table->count};
}

static inline const struct rg_typed_text_slot *text_slot(struct slots_of table, uint64_t hash)
{
	return (const struct rg_typed_text_slot *)table.slots +
	       rg_typed_slot_of(table.multipliers, table.count, hash);
}

static inline int64_t find_word(struct slots_of table, uint64_t word)
{
	uint64_t hash = rg_typed_word_hash(word);
	const struct rg_typed_text_slot *slot = text_slot(table, hash);
	bool is_it = (slot->hash == hash) & !(slot->text & RG_TYPED_LONG_TEXT);

	return is_it ? (int64_t)slot->id - 1 : RG_TYPED_UNKNOWN; /* an empty slot has id 0 */
}

static inline bool same_bytes(const char *a, const char *b, uint32_t bytes)
{
	uint64_t x, y;

	if (bytes < 8)
		return !memcmp(a, b, bytes);
	for (uint32_t at = 0;; at = bytes - at < 16 ? bytes - 8 : at + 8) {
		memcpy(&x, a + at, 8);
		memcpy(&y, b + at, 8);
		if (x != y || at == bytes - 8)
			return x == y;
	}
}

static inline int64_t find_text(const struct rg_eval *eval, struct slots_of table, const char *text,
				uint32_t bytes)
{
	uint64_t hash = rg_typed_text_hash(text, bytes);
	const struct rg_typed_text_slot *slot = text_slot(table, hash);
	struct rg_value known;

	if (slot->hash != hash || !slot->id)
		return RG_TYPED_UNKNOWN;
	known = eval->constants[slot->text & ~RG_TYPED_LONG_TEXT];
	return known.length == bytes && same_bytes(rg_text(&eval->heap, known), text, bytes)
		       ? (int64_t)slot->id - 1
		       : RG_TYPED_UNKNOWN;
}

/* A field longer than a word. What it holds is seldom longer than one. */
static inline int64_t find_chars(const struct rg_eval *eval, struct slots_of table,
				 const uint8_t *at, uint32_t length)
{
	uint64_t word = text_word(at, 8);

	if (!(word >> 56))
		return find_word(table, word);
	return find_text(eval, table, (const char *)at,
			 8 + (uint32_t)strnlen((const char *)at + 8, length - 8));
}

static inline int64_t field_text(const struct rg_eval *eval, const struct rg_image_field *field,
				 const struct rg_typed_table *table)
{
	const struct slots_of slots = slots_at(eval, table);
	const uint8_t *at = eval->block + field->offset;

	if (field->extent > eval->block_bytes ||
	    (field->optional && *at == (uint8_t)field->null_value))
		return RG_TYPED_ABSENT;
	if (field->length <= 8)
		return find_word(slots, text_word(at, field->length));
	return find_chars(eval, slots, at, field->length);
}

/* Are two chars fields, both present, the same text? */
static inline bool same_text(const struct rg_eval *eval, const struct rg_image_field *a,
			     const struct rg_image_field *b)
{
	const char *x, *y;
	uint32_t x_bytes, y_bytes;

	return field_chars(eval, a, &x, &x_bytes) && field_chars(eval, b, &y, &y_bytes) &&
	       x_bytes == y_bytes && same_bytes(x, y, x_bytes);
}

/* ---- tables ---- */

static inline int64_t find_key(struct slots_of table, int64_t key, int64_t owner)
{
	const struct rg_typed_map_slot *slot =
		(const struct rg_typed_map_slot *)table.slots +
		rg_typed_slot_of(table.multipliers, table.count,
				 rg_typed_map_hash(key, (uint32_t)owner));
	/* One that is no owner is none of 32 bits. */
	bool is_it = (slot->key == key) & (slot->owner == owner) & (slot->row != 0);

	return is_it ? (int64_t)slot->row - 1 : RG_TYPED_ABSENT;
}

static inline int64_t find(const struct rg_eval *eval, const struct rg_typed_table *table,
			   int64_t key, int64_t owner)
{
	return find_key(slots_at(eval, table), key, owner);
}

static inline int64_t column(const struct rg_eval *eval, const struct rg_typed_table *table,
			     int64_t row)
{
	return (uint64_t)row < table->count ? eval->typed_cells[table->first + (uint64_t)row]
					    : RG_TYPED_ABSENT;
}

/* ---- orders ---- */

/* One word down an order: the number that it gives, and whether the next word matters too. */
static inline bool order_step(const int64_t *cells, uint32_t *node, uint64_t word, uint32_t *number)
{
	const uint64_t *first = (const uint64_t *)cells + *node, *words = first + 1;
	uint32_t count = (uint32_t)*first, below = rg_typed_node_below(words, count, word);
	uint64_t link;

	if (!below) {
		*number = (uint32_t)(*first >> 32);
		return false;
	}
	link = words[count + below - 1];
	*number = (uint32_t)link;
	*node = (uint32_t)(link >> 32);
	return *node && words[below - 1] == word;
}

static inline int64_t rank_words(const int64_t *cells, const uint64_t *words, uint32_t count)
{
	uint32_t node = 0, number = 0;

	for (uint32_t i = 0; i < count && order_step(cells, &node, words[i], &number); i++)
		;
	return number;
}

/* Of a text of at most `bytes` bytes, which ends at the first NUL. */
static inline int64_t rank_text(const int64_t *cells, const uint8_t *at, uint32_t bytes)
{
	uint32_t node = 0, number = 0;

	for (uint32_t depth = 0; depth < RG_TYPED_ORDER_DEPTH; depth++) {
		uint32_t next = bytes < 8 ? bytes : 8;
		uint64_t word = __builtin_bswap64(text_word(at, next));

		if (!order_step(cells, &node, word, &number))
			break;
		bytes = word & 0xff ? bytes - next : 0;
		at += next;
	}
	return number;
}

static inline int64_t field_rank(const struct rg_eval *eval, const struct rg_image_field *field,
				 const struct rg_typed_table *table)
{
	const uint8_t *at = eval->block + field->offset;

	if (field->extent > eval->block_bytes ||
	    (field->optional && *at == (uint8_t)field->null_value))
		return RG_TYPED_ABSENT;
	return rank_text(eval->typed_cells + table->first, at, field->length);
}

static inline int64_t rank_address(const int64_t *cells, rg_address address)
{
	uint64_t words[RG_ADDRESS_WORDS];

	rg_address_words(address, rg_address_is_v4(address), words);
	return rank_words(cells, words, RG_ADDRESS_WORDS);
}

/* False: the field holds a network with a bound within. */
static inline bool field_address(const struct rg_eval *eval, const struct rg_image_field *field,
				 const struct rg_typed_table *table, int64_t *rank)
{
	const int64_t *cells = eval->typed_cells + table->first;
	struct rg_network network;
	rg_address address;
	const char *text;
	uint32_t bytes;
	bool v4;

	*rank = RG_TYPED_ABSENT;
	if (!field_chars(eval, field, &text, &bytes))
		return true;
	if (rg_address_parse(text, bytes, &address, &v4)) {
		*rank = rank_address(cells, address);
		return true;
	}
	*rank = RG_TYPED_UNKNOWN;
	if (!rg_network_parse(text, bytes, &network))
		return true;
	*rank = rank_address(cells, rg_network_first(network));
	return *rank == rank_address(cells, rg_network_last(network));
}

/* ---- times ---- */

static inline int64_t modulo(int64_t a, int64_t by)
{
	int64_t rest = a % by;

	return a == RG_TYPED_ABSENT ? a : rest < 0 ? rest + by : rest;
}

/* As OPA rounds down what it divides. */
static inline int64_t quotient(int64_t a, int64_t by)
{
	int64_t whole = a / by;

	return a == RG_TYPED_ABSENT ? a : whole - (whole < 0 && a % by != 0);
}

/* False on overflow. */
static inline bool local_time(const struct rg_eval *eval, const struct rg_typed_table *table,
			      int64_t ns, int64_t *local)
{
	const uint64_t word = (uint64_t)ns ^ 1ull << 63;
	int64_t offset_s = rank_words(eval->typed_cells + table->first, &word, 1) -
			   (int64_t)RG_TYPED_ZONE_BIAS;

	*local = ns;
	return ns == RG_TYPED_ABSENT ||
	       (!__builtin_add_overflow(ns, offset_s * 1000000000, local) &&
		*local != RG_TYPED_ABSENT);
}

/* ---- what rule tables add to sets ---- */

#define RANKS_MAX (RG_TYPED_MATCHES_MAX + RG_TYPED_BITS_MAX)

static inline void sift_down(uint32_t *ranks, uint32_t at, uint32_t count)
{
	for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
		uint32_t rank = ranks[at];

		child += child + 1 < count && ranks[child + 1] > ranks[child];
		if (ranks[child] <= rank)
			return;
		ranks[at] = ranks[child];
		ranks[child] = rank;
	}
}

#define RANKS_FEW 16

/* The place of each is how many are below it: no branch that depends on them. */
static inline void sort_few_ranks(uint32_t *ranks, uint32_t count)
{
	uint32_t unsorted[RANKS_FEW];

	memcpy(unsorted, ranks, count * sizeof(*ranks));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t below = 0;

		for (uint32_t j = 0; j < i; j++)
			below += unsorted[j] <= unsorted[i];
		for (uint32_t j = i + 1; j < count; j++)
			below += unsorted[j] < unsorted[i];
		ranks[below] = unsorted[i];
	}
}

/* In a time that no request can make quadratic. */
static inline void sort_ranks(uint32_t *ranks, uint32_t count)
{
	if (count <= RANKS_FEW) {
		sort_few_ranks(ranks, count);
		return;
	}
	for (uint32_t i = count / 2; i-- > 0;)
		sift_down(ranks, i, count);
	for (uint32_t i = count; i-- > 1;) {
		uint32_t last = ranks[i];

		ranks[i] = ranks[0];
		ranks[0] = last;
		sift_down(ranks, 0, i);
	}
}

/* The members of a set, results of a rule table and bits, as ranks that ascend. Returns how many:
 * at most RANKS_MAX. */
static inline uint32_t ranks_of(const struct rg_eval *eval, const struct rg_typed_program *program,
				const uint32_t *matches, uint32_t count, const uint64_t *bits,
				uint32_t *ranks)
{
	const struct rg_typed_table *of_bits = &eval->typed_tables[program->ranks];
	uint32_t kept = 0;

	memcpy(ranks, matches, count * sizeof(*ranks));
	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		for (uint64_t rest = bits[i]; rest; rest &= rest - 1)
			ranks[count++] =
				(uint32_t)column(eval, of_bits, 64 * i + __builtin_ctzll(rest));
	}
	sort_ranks(ranks, count);
	for (uint32_t i = 0; i < count; i++) {
		if (!kept || ranks[kept - 1] != ranks[i])
			ranks[kept++] = ranks[i];
	}
	return kept;
}

/* ---- members that may be the same ---- */

/* A way over a set's members in Rego's order, which those that are alike lie together in. */
struct members {
	const struct rg_eval *eval;
	const struct rg_typed_table *alike; /* by bit or by rank; NULL: none are */
	int64_t group;			    /* of the last member; 0: it is like no other */
	uint16_t reason;		    /* its */
	bool again; /* the same reason from members that may be the same: certain as long as all are listed */
};

static inline struct members members_of(const struct rg_eval *eval, uint32_t alike)
{
	return (struct members){.eval = eval,
				.alike = alike ? &eval->typed_tables[alike - 1] : NULL};
}

/* Is the next member, at that place in the column, surely another one than those before? */
static inline bool is_distinct(struct members *members, int64_t at)
{
	int64_t group = members->alike ? column(members->eval, members->alike, at) >> 1 : 0;
	bool is = !group || group != members->group;

	members->group = group;
	return is;
}

/* Is it certain what the next member, whose reason is given, makes of the outcome? */
static inline bool is_certain(struct members *members, int64_t at, uint16_t reason)
{
	bool is = !members->alike || !(column(members->eval, members->alike, at) & 1);

	if (!is_distinct(members, at)) {
		is &= reason == members->reason && reason != RG_REASON_OTHER;
		members->again = true;
	}
	members->reason = reason;
	return is;
}

/* Do ranks that ascend stand for members no two of which may be the same? */
static inline bool are_distinct(const struct rg_eval *eval, const struct rg_typed_program *program,
				const uint32_t *ranks, uint32_t count)
{
	struct members members = members_of(eval, program->ranked_alike);

	for (uint32_t i = 0; i < count; i++) {
		if (!is_distinct(&members, ranks[i]))
			return false;
	}
	return true;
}

static inline bool has_distinct(const struct rg_eval *eval, const struct rg_typed_program *program,
				const uint64_t *bits)
{
	struct members members = members_of(eval, program->alike);

	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		for (uint64_t rest = bits[i]; rest; rest &= rest - 1) {
			if (!is_distinct(&members, 64 * i + __builtin_ctzll(rest)))
				return false;
		}
	}
	return true;
}

/* False: what they come to is not certain. */
static inline bool add_members(const struct rg_eval *eval, const struct rg_typed_program *program,
			       const uint64_t *bits, struct rg_outcome *outcome)
{
	const struct rg_typed_table *ids = &eval->typed_tables[program->reasons];
	struct members members = members_of(eval, program->alike);

	for (int i = 0; i < RG_TYPED_SET_WORDS; i++) {
		for (uint64_t rest = bits[i]; rest; rest &= rest - 1) {
			int bit = 64 * i + __builtin_ctzll(rest);
			uint16_t reason = (uint16_t)column(eval, ids, bit);

			if (!is_certain(&members, bit, reason))
				return false;
			rg_outcome_add_reason(outcome, reason);
		}
	}
	return !members.again || outcome->reasons_fired <= RG_REASONS_MAX;
}

/* Likewise. */
static inline bool add_ranked(const struct rg_eval *eval, const struct rg_typed_program *program,
			      const uint32_t *ranks, uint32_t count, struct rg_outcome *outcome)
{
	const struct rg_typed_table *ids = &eval->typed_tables[program->ranked_reasons];
	struct members members = members_of(eval, program->ranked_alike);

	for (uint32_t i = 0; i < count; i++) {
		uint16_t reason = (uint16_t)column(eval, ids, ranks[i]);

		if (!is_certain(&members, ranks[i], reason))
			return false;
		rg_outcome_add_reason(outcome, reason);
	}
	return !members.again || outcome->reasons_fired <= RG_REASONS_MAX;
}

/* The results of `to` get those of `from` too. They lie together, behind all others. False: there is
 * no room. */
static inline bool unite_matched(uint32_t *matches, uint32_t *match_count,
				 struct rg_typed_matched *to, const struct rg_typed_matched *from)
{
	uint32_t first = *match_count, count = to->count + from->count;

	if (count > RG_TYPED_MATCHES_MAX - first)
		return false;
	memcpy(matches + first, matches + to->first, to->count * sizeof(*matches));
	memcpy(matches + first + to->count, matches + from->first, from->count * sizeof(*matches));
	*to = (struct rg_typed_matched){first, count};
	*match_count += count;
	return true;
}

static inline int64_t least_result(const uint32_t *results, uint32_t count)
{
	int64_t least = RG_TYPED_ABSENT;

	for (uint32_t i = 0; i < count; i++) {
		if (!i || results[i] < least)
			least = results[i];
	}
	return least;
}

/* The result that all are, or undefined. False if there are two. */
static inline bool one_result(const uint32_t *results, uint32_t count, int64_t *one)
{
	*one = count ? results[0] : RG_TYPED_ABSENT;
	for (uint32_t i = 1; i < count; i++) {
		if (results[i] != results[0])
			return false;
	}
	return true;
}

/* Of the terms that a column has for the results. False on overflow. */
static inline bool sum_results(const struct rg_eval *eval, const struct rg_typed_table *terms,
			       const uint32_t *results, uint32_t count, int64_t *sum)
{
	*sum = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (__builtin_add_overflow(*sum, column(eval, terms, results[i]), sum))
			return false;
	}
	return *sum != RG_TYPED_ABSENT;
}

static inline const struct rg_rule_table *rules_at(const struct rg_eval *eval,
						   const struct rg_typed_table *table)
{
	return (const struct rg_rule_table *)(const void *)(eval->rule_tables +
							    table->first *
								    sizeof(struct rg_rule_line));
}

/* ---- from roles to an outcome ---- */

/* A request that a program has come to its end for. */
struct conclusion {
	struct rg_eval *eval;
	const struct rg_typed_asked *asked;
	uint64_t *spent;
	uint64_t left;	/* roles that the rules have to be asked for, a bit each */
	uint32_t fired; /* of the others */
	/* What a role makes of the outcome; false: that is not certain. */
	void *of;
	bool (*reasons)(void *of, enum rg_role role, struct rg_outcome *outcome);
	bool (*score)(void *of, struct rg_outcome *outcome);
};

/* EVALUATE: what the function of the rules comes to. False on an error. */
static inline bool ask_rules(struct rg_eval *eval, const struct rg_typed_asked *asked,
			     uint64_t *spent, uint32_t function, int64_t *out)
{
	struct rg_value v;

	if (!rg_decide_part(eval, asked, spent, function, &v))
		return false;
	*out = rg_is_defined(v) ? !rg_is_false(v) : RG_TYPED_ABSENT;
	return true;
}

/* False: it is not certain. */
static inline bool conclude_role(const struct conclusion *conclusion, enum rg_role role,
				 struct rg_outcome *outcome, bool *settles)
{
	bool fired = conclusion->fired >> role & 1;

	if (conclusion->left >> role & 1)
		return false;
	if (role == RG_ROLE_SCORE)
		return conclusion->score(conclusion->of, outcome);
	if (role == RG_ROLE_REASONS)
		return conclusion->reasons(conclusion->of, role, outcome);
	*settles = fired || role == RG_ROLE_ALLOW;
	if (!*settles)
		return true;
	outcome->verdict = role == RG_ROLE_DENY	    ? RG_VERDICT_DENY
			   : role == RG_ROLE_REVIEW ? RG_VERDICT_REVIEW
			   : fired		    ? RG_VERDICT_ALLOW
				   : rg_image_header(conclusion->eval->image)->default_verdict;
	return role == RG_ROLE_ALLOW || conclusion->reasons(conclusion->of, role, outcome);
}

/* deny, else review, else allow; then score and reasons. False: the rules have to decide all. */
static inline bool conclude_request(const struct conclusion *conclusion)
{
	struct rg_outcome *outcome = conclusion->asked->request->outcome;
	bool settled = false, settles = false;

	memset(outcome, 0, sizeof(*outcome));
	for (int role = RG_ROLE_DENY; role < RG_ROLE_COUNT; role++) {
		uint16_t fired = outcome->reasons_fired;
		uint8_t count = outcome->reason_count;

		if ((settled && role <= RG_ROLE_ALLOW) ||
		    conclude_role(conclusion, (enum rg_role)role, outcome, &settles)) {
			settled |= settles;
			continue;
		}
		outcome->reasons_fired = fired; /* forget what it added */
		memset(outcome->reasons + count, 0,
		       (RG_REASONS_MAX - count) * sizeof(outcome->reasons[0]));
		outcome->reason_count = count;
		settles = false;
		if (!rg_decide_role(conclusion->eval, conclusion->asked, conclusion->spent,
				    (enum rg_role)role, &settles))
			return false;
		settled |= settles;
	}
	return true;
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
		v /= (double)rg_powers_of_10[scale];
	if (fabs(v) < RG_TYPED_EXACT_MAX &&
	    (uint64_t)(int64_t)v * (uint64_t)rg_powers_of_10[scale] == (uint64_t)mantissa)
		return (ball){.v = (double)(int64_t)v};
	return ball_about(v, 0, fabs(v));
}

/* Of a sum of numbers that are not negative, most of which may be no whole ones. */
static inline ball ball_of_sum(int64_t mantissa, int64_t scale)
{
	double v = (double)mantissa / (double)rg_powers_of_10[scale];

	return mantissa ? ball_about(v, 0, fabs(v)) : (ball){.v = 0};
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

/* Of an integer and a whole number that is not 0. */
static inline ball ball_quotient(int64_t a, int64_t by)
{
	return a == RG_TYPED_ABSENT ? (ball){.r = -1} : ball_divide(ball_of(a, 0), ball_of(by, 0));
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
static inline bool ball_round(ball a, int64_t *out)
{
	double magnitude = fabs(a.v), whole = floor(magnitude), above = magnitude - whole;

	if (!(magnitude < RG_TYPED_EXACT_MAX / 2) || (a.r != 0 && !(fabs(above - 0.5) > a.r)))
		return false;
	whole += above >= 0.5;
	*out = (int64_t)(a.v < 0 ? -whole : whole);
	return true;
}

/* OPA gives 0 for the floor and 1 for the ceiling of what lies between -1 and 0: left to it. */
static inline bool ball_floor(ball a, bool ceiling, int64_t *out)
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

/* ---- scores ---- */

/* mantissa x 10^-scale in millionths, half to even, saturating. */
static inline int64_t decimal_score(int64_t mantissa, unsigned scale)
{
	int64_t unit, whole, rest;
	__int128 score;

	if (scale <= SCORE_PLACES) {
		score = (__int128)mantissa * rg_powers_of_10[SCORE_PLACES - scale];
		return score > INT64_MAX   ? INT64_MAX
		       : score < INT64_MIN ? INT64_MIN
					   : (int64_t)score;
	}
	unit = rg_powers_of_10[scale - SCORE_PLACES];
	whole = mantissa / unit;
	rest = llabs(mantissa % unit);
	if (rest > unit - rest || (rest == unit - rest && (whole & 1)))
		whole += mantissa < 0 ? -1 : 1;
	return whole;
}

#endif

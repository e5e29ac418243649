/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst of requests under one typed program, column by column: each instruction is done for all
 * requests before the next. A request is a LANE; a slot is a column of lanes.
 *
 * Control. Jumps only go forward, so lanes never have to be brought together by more than waiting:
 *
 *	here		lanes that are at the instruction in hand
 *	waiting[i]	lanes that jumped to instruction i, which is ahead
 *
 *	guard at i	lanes that fail leave `here` for waiting[target]
 *	target of jumps	lanes that wait for it join `here`
 *	here is empty	what no lane is at is passed over, up to the next place where some wait
 *
 * So each instruction is come to at most once a burst, and mispredicted branches, of which a single
 * request costs its core dozens, are left at the few places where all lanes agree.
 *
 * What is written. An instruction computes all lanes, also those that are not here, unless it is
 * dear; garbage in lanes that wait is never looked at. But a slot with several writers keeps what
 * another of them wrote in lanes that are elsewhere: RG_TYPED_MERGE. Sets lie the other way round,
 * for each text the lanes that have it, so adding a text to a set is an OR of `here`.
 *
 * Certainty is each lane's own: one that gives up leaves `here` for good. Lanes that are not here
 * at END have given up, whatever a program does.
 *
 * This file is compiled for each width of enum rg_eval_vectors (lanes.h), as RG_TYPED_BURST. No
 * contraction of multiply and add: what a ball promises rests on each operation being
 * rounded.
 */
#include "policy/eval/typed_parts.h"
/* Behind the others: short names. */
#include "policy/eval/lanes.h"

#define LANES RG_TYPED_LANES
#define TEXTS (2 * WIDE)
typedef lanes lanes_of_texts __attribute__((vector_size(4 * TEXTS)));
static_assert(LANES == 8 * sizeof(lanes), "a lane is a bit");

#define WORD_BYTES   8
#define FEW	     LANES / 3
#define COMPARED_MAX 16 /* slots of a map that are compared all, and none hashed */

#define BIT(lane)    ((lanes)1 << (lane))

struct reals_about {
	reals v, r;
};

/* A burst on its way. */
struct burst {
	struct rg_eval *eval;
	struct rg_typed_columns *columns;
	const struct rg_typed_program *program;
	const struct rg_typed_asked *asked;
	const struct rg_decide_request *requests;
	/* Of all lanes of the groups; of one that has a request, if it has none or too short a block. */
	const uint8_t *blocks[LANES];
	uint32_t block_bytes[LANES];
	uint32_t least_bytes;			/* of those, at least WORD_BYTES */
	const uint8_t *longer_blocks[2][LANES]; /* for the field in hand, or two */
	uint32_t count;
	uint32_t groups;		  /* of WIDE lanes, that hold all requests */
	uint32_t bit_count;		  /* of sets */
	uint32_t bit_groups;		  /* of TEXTS bits, that hold them all */
	bool has_rules;			  /* a rule table has been asked */
	lanes matched[RG_TYPED_SETS_MAX]; /* that a rule table has added to a set of */
	bool has_spent;			  /* the rules have been asked */
	lanes here;
	lanes gave_up;
};

/* ---- vectors ---- */

static inline reals all_real(double number)
{
	return (reals){0} + number;
}

/* The condition for each lane of a group whose bit is set. */
static inline integers lanes_of(lanes bits)
{
#ifdef __AVX512DQ__
	return (integers)_mm512_movm_epi64((__mmask8)bits);
#else
	const integers each = {1, 2, 4, 8};

	return (all_of((int64_t)bits) & each) == each;
#endif
}

static inline reals choose_real(integers condition, reals a, reals b)
{
	return (reals)choose(condition, (integers)a, (integers)b);
}

/* The bit of a number in 0..63, else none. */
static inline words bit_of(integers number)
{
#ifdef __AVX512DQ__
	return (words)_mm512_sllv_epi64((__m512i)all_of(1), (__m512i)number);
#elif defined(__AVX2__)
	return (words)_mm256_sllv_epi64((__m256i)all_of(1), (__m256i)number);
#else
	const integers low = number & all_of(63);

	return (words)all_of(1) << (words)low & (words)(low == number);
#endif
}

/* Have the words a bit in common? */
static inline integers have_common(words a, words b)
{
	return (a & b) != (words){0};
}

static inline reals magnitude(reals v)
{
	return (reals)((integers)v & all_of(INT64_MAX));
}

/* What stands at each lane's index of an array of 64 bits. */
static inline words gather(const void *from, words index)
{
#ifdef __AVX512DQ__
	return (words)_mm512_i64gather_epi64((__m512i)index, from, 8);
#elif defined(__AVX2__)
	return (words)_mm256_i64gather_epi64(from, (__m256i)index, 8);
#else
	const uint64_t *at = from;

	return (words){at[index[0]], at[index[1]], at[index[2]], at[index[3]]};
#endif
}

/* The same where the index is below `end`, elsewhere the undefined. */
static inline words gather_below(const void *from, words index, uint32_t end)
{
	const integers absent = all_of(RG_TYPED_ABSENT);
#ifdef __AVX512DQ__
	__mmask8 is_below = _mm512_cmplt_epu64_mask((__m512i)index, (__m512i)all_of(end));

	return (words)_mm512_mask_i64gather_epi64((__m512i)absent, is_below, (__m512i)index, from,
						  8);
#else
	words is_below = (words)(index < (words)all_of(end));

	if (!end)
		return (words)absent;
	return (words)choose((integers)is_below, (integers)gather(from, index & is_below), absent);
#endif
}

/* And of 32. */
static inline words gather_half(const uint32_t *from, words index)
{
#ifdef __AVX512DQ__
	return (words)_mm512_cvtepu32_epi64(_mm512_i64gather_epi32((__m512i)index, from, 4));
#elif defined(__AVX2__)
	return (words)_mm256_cvtepu32_epi64(
		_mm256_i64gather_epi32((const int *)from, (__m256i)index, 4));
#else
	return (words){from[index[0]], from[index[1]], from[index[2]], from[index[3]]};
#endif
}

static inline integers *integers_at(const struct burst *burst, uint32_t slot)
{
	return (integers *)burst->columns->slots[slot].integer;
}

static inline reals *reals_at(const struct burst *burst, uint32_t slot)
{
	return (reals *)burst->columns->slots[slot].real;
}

static inline reals *radius_at(const struct burst *burst, uint32_t slot)
{
	return (reals *)burst->columns->radius[slot];
}

static inline struct reals_about about_at(const struct burst *burst, uint32_t slot, uint32_t group)
{
	return (struct reals_about){reals_at(burst, slot)[group], radius_at(burst, slot)[group]};
}

/* ---- writing ---- */

static inline void put(const struct burst *burst, const struct rg_typed_instruction *at,
		       uint32_t group, integers value)
{
	integers *to = integers_at(burst, at->dst) + group;

	*to = at->flags & RG_TYPED_MERGE ? choose(lanes_of(burst->here >> WIDE * group), value, *to)
					 : value;
}

static inline void put_about(const struct burst *burst, const struct rg_typed_instruction *at,
			     uint32_t group, struct reals_about value)
{
	reals *v = reals_at(burst, at->dst) + group, *r = radius_at(burst, at->dst) + group;

	if (at->flags & RG_TYPED_MERGE) {
		integers here = lanes_of(burst->here >> WIDE * group);

		value.v = choose_real(here, value.v, *v);
		value.r = choose_real(here, value.r, *r);
	}
	*v = value.v;
	*r = value.r;
}

/* ---- balls ---- */

static inline integers both_are_exact(struct reals_about a, struct reals_about b)
{
	const reals zero = {0};

	return (a.r == zero) & (b.r == zero);
}

/* A whole number of at most 2^51: adding 1.5 x 2^52 leaves no room for a fraction. */
static inline integers is_whole(reals v)
{
	const reals shift = all_real(0x1.8p52);

	return (magnitude(v) <= all_real(0x1p51)) & ((v + shift) - shift == v);
}

/* As ball_about(), with radius 0 where exact. */
static inline struct reals_about about(reals v, reals error, reals magnitudes, integers exact)
{
	reals r = error * all_real(1 + 0x1p-40) + magnitudes * all_real(RG_TYPED_REAL_UNIT) +
		  all_real(RG_TYPED_REAL_TINY);

	return (struct reals_about){v, (reals)((integers)r & ~exact)};
}

static inline struct reals_about about_sum(struct reals_about a, struct reals_about b)
{
	reals v = a.v + b.v;

	return about(v, a.r + b.r, magnitude(a.v) + magnitude(b.v),
		     both_are_exact(a, b) & is_whole(v));
}

static inline struct reals_about about_product(struct reals_about a, struct reals_about b)
{
	reals v = a.v * b.v;

	return about(v, magnitude(a.v) * b.r + magnitude(b.v) * a.r + a.r * b.r, magnitude(v),
		     both_are_exact(a, b) & is_whole(v));
}

/* Where b is apart from 0. */
static inline struct reals_about about_quotient(struct reals_about a, struct reals_about b)
{
	reals v = a.v / b.v;

	return about(v, (a.r + magnitude(v) * b.r) / (magnitude(b.v) - b.r), magnitude(v),
		     both_are_exact(a, b) & is_whole(v) & (v * b.v == a.v));
}

/* Numbers of at most 2^51 by the bits of 1.5 x 2^52 + number, for AVX2 has no conversion; others by
 * what it takes. */
static inline reals to_reals(integers number)
{
#if WIDE == 4
	const integers shift = (integers)all_real(0x1.8p52), limit = all_of(INT64_C(1) << 51);

	if (!bits_of((number > limit) | (number < -limit)))
		return (reals)(number + shift) - all_real(0x1.8p52);
#endif
	return __builtin_convertvector(number, reals);
}

/* What a real next to which lies a whole number of at most 2^51 is, and that number. */
static inline integers nearest(reals v, reals *whole)
{
	reals shifted = v + all_real(0x1.8p52);

	*whole = shifted - all_real(0x1.8p52);
	return (integers)shifted - (integers)all_real(0x1.8p52);
}

/* The greatest whole number that is not above v, which is at most 2^51. */
static inline integers floor_of(reals v, reals *whole)
{
	integers number = nearest(v, whole), above = *whole > v; /* -1 where it is */

	*whole += (reals)(above & (integers)all_real(-1));
	return number + above;
}

/* mantissa x 10^-scale. Exact where the quotient, whole and below 2^51, gives the mantissa back in
 * doubles below 2^53, which are exact too. */
static inline struct reals_about about_decimal(integers mantissa, int64_t scale)
{
	integers undefined = mantissa == all_of(RG_TYPED_ABSENT);
	reals whole = to_reals(mantissa & ~undefined), v = whole;
	integers exact = magnitude(whole) <= all_real(RG_TYPED_EXACT_MAX);
	struct reals_about out;

	if (scale) {
		const reals unit = all_real((double)rg_powers_of_10[scale]);

		v = whole / unit;
		exact &= v * unit == whole;
	}
	out = about(v, (reals){0}, magnitude(v), exact & is_whole(v));
	out.r = choose_real(undefined, all_real(-1), out.r);
	return out;
}

/* ---- fields ---- */

/* Let eval look at a lane's request. */
static inline struct rg_eval *look_at(const struct burst *burst, uint32_t lane)
{
	burst->eval->block = burst->blocks[lane];
	burst->eval->block_bytes = burst->block_bytes[lane];
	return burst->eval;
}

/* Each lane's own work, for some lanes, and for those that are here. */
#define EACH_OF(of, lane)                                                                          \
	for (lanes rest_ = (of), lane; rest_ && (lane = (lanes)__builtin_ctz(rest_), 1);           \
	     rest_ &= rest_ - 1)
#define EACH_LANE(burst, lane) EACH_OF((burst)->here, lane)

/* So few that each is better done alone, where vectors are not much faster. */
static inline bool are_few(lanes here)
{
	return __builtin_popcount(here) <= FEW;
}

/*
 * How a field of at most eight bytes is read in all lanes' blocks: a word in which it is, shifted to
 * its end and back. A vector is made of words that are loaded, not of the bytes' own loads, and
 * stored once.
 */
struct reading {
	const uint8_t *const *from; /* a lane */
	uint32_t at;
	int left, right;
	lanes beyond; /* blocks that end before the field: another's is read */
};

/* What reaches to `extent`, for lanes whose block does not another's. */
static lanes find_longer(struct burst *burst, uint32_t extent, const uint8_t **to)
{
	const uint8_t *longer = NULL;
	lanes beyond = 0;

	for (uint32_t lane = 0; lane < WIDE * burst->groups; lane++) {
		if (burst->block_bytes[lane] >= extent)
			longer = burst->blocks[lane];
		else
			beyond |= BIT(lane);
	}
	for (uint32_t lane = 0; longer && lane < WIDE * burst->groups; lane++)
		to[lane] = beyond & BIT(lane) ? longer : burst->blocks[lane];
	return longer ? beyond : ~(lanes)0;
}

static inline struct reading reading_of(struct burst *burst, uint32_t offset, uint32_t bytes,
					uint32_t extent, uint32_t which)
{
	struct reading reading = {.from = burst->blocks, .at = offset};
	uint32_t least = burst->least_bytes, before = 0;

	if (extent > least) {
		reading.beyond = find_longer(burst, extent, burst->longer_blocks[which]);
		if (reading.beyond == ~(lanes)0)
			return (struct reading){.from = burst->blocks, .beyond = ~(lanes)0};
		reading.from = burst->longer_blocks[which];
		least = extent;
	}
	if (offset + WORD_BYTES > least) {
		reading.at = least - WORD_BYTES;
		before = offset - reading.at;
	}
	reading.left = 8 * (int)(WORD_BYTES - bytes - before);
	reading.right = 8 * (int)(WORD_BYTES - bytes);
	return reading;
}

static inline words read_words(const struct reading *reading, uint32_t group)
{
	const uint8_t *const *from = reading->from + WIDE * group;
	const uint32_t at = reading->at;
#define WORD(lane) rg_field_load_raw(from[lane] + at, WORD_BYTES)
#if WIDE == 8
	const words word = {WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5), WORD(6), WORD(7)};
#else
	const words word = {WORD(0), WORD(1), WORD(2), WORD(3)};
#endif
#undef WORD

	return word << reading->left >> reading->right;
}

static inline void put_absent(const struct burst *burst, const struct rg_typed_instruction *at,
			      lanes absent)
{
	EACH_OF(absent & burst->here, lane)
	burst->columns->slots[at->dst].integer[lane] = RG_TYPED_ABSENT;
}

static inline void load_narrow(struct burst *burst, const struct rg_typed_instruction *at,
			       uint32_t bytes, bool is_signed)
{
	const struct reading reading = reading_of(burst, at->table, bytes, at->target, 0);
	const integers null = all_of(at->b ? at->number : RG_TYPED_ABSENT),
		       sign = all_of(is_signed ? INT64_C(1) << (8 * bytes - 1) : 0);

	for (uint32_t group = 0; group < burst->groups; group++) {
		integers value = ((integers)read_words(&reading, group) ^ sign) - sign;

		put(burst, at, group, choose(value == null, all_of(RG_TYPED_ABSENT), value));
	}
	put_absent(burst, at, reading.beyond);
}

/* INT64_MIN that is no null cannot be told from the undefined: those lanes are returned. */
static inline lanes load_64(struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct reading reading = reading_of(burst, at->table, WORD_BYTES, at->target, 0);
	const integers absent = all_of(RG_TYPED_ABSENT), null = at->b ? all_of(at->number) : absent;
	const bool is_certain = at->b && at->number == RG_TYPED_ABSENT;
	lanes doubtful = 0;

	for (uint32_t group = 0; group < burst->groups; group++) {
		integers value = (integers)read_words(&reading, group);

		doubtful |= bits_of(value == absent) << WIDE * group;
		put(burst, at, group, choose(value == null, absent, value));
	}
	put_absent(burst, at, reading.beyond);
	return is_certain ? 0 : doubtful & ~reading.beyond;
}

static inline void load_named_u8(struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct reading reading = reading_of(burst, at->table, 1, at->target, 0);
	const words named = (words)all_of(at->number);

	for (uint32_t group = 0; group < burst->groups; group++) {
		integers bit = (integers)read_words(&reading, group) - all_of(at->b);

		put(burst, at, group,
		    choose(have_common(bit_of(bit), named), bit, all_of(RG_TYPED_ABSENT)));
	}
	put_absent(burst, at, reading.beyond);
}

/* rg_typed_slot_of() */
static inline words slots_of(struct slots_of table, words hash)
{
	const words buckets = (words)all_of((int64_t)table.count / RG_TYPED_BUCKET_SLOTS - 1),
		    slots = (words)all_of((int64_t)table.count - 1);

	return (hash * gather_half(table.multipliers, hash >> 32 & buckets)) >> 32 & slots;
}

/* The word up to its first NUL. */
static inline words before_nul(words word)
{
	const words one = (words)all_of(1), low = (words)all_of(0x0101010101010101);
	words zeros = (word - low) & ~word & low << 7;

	return word & (words)choose((integers)zeros == all_of(0), all_of(-1),
				    (integers)(((zeros & -zeros) - one) >> 7));
}

/* Words that are full: there may be more of the text. */
static inline words full_words(words word)
{
	return (words)(word >> 56 != (words){0});
}

static inline words hash_words(words word)
{
	word *= (words)all_of((int64_t)RG_TYPED_KEY_FACTOR);
	return word ^ word >> 32;
}

/* A text field, word by word. */
struct text {
	const struct rg_image_field *field;
	struct reading first;
	words null; /* what the first byte of an absent one is */
};

static inline struct text text_of(struct burst *burst, const struct rg_image_field *field,
				  uint32_t which)
{
	uint32_t bytes = field->length < WORD_BYTES ? field->length : WORD_BYTES;

	return (struct text){field, reading_of(burst, field->offset, bytes, field->extent, which),
			     (words)all_of(field->optional ? (uint8_t)field->null_value : -1)};
}

/* The first word, and for which lanes the text is there. It is empty for others, so that nobody asks
 * for more of it. */
static inline words first_word(const struct text *text, uint32_t group, integers *is_there)
{
	words word = read_words(&text->first, group);

	*is_there = ((word & (words)all_of(UINT8_MAX)) != text->null) &
		    ~lanes_of(text->first.beyond >> WIDE * group);
	return before_nul(word) & (words)*is_there;
}

/* The word at byte `from`, of lanes whose word before it, which is given, was full. */
static inline words next_word(const struct text *text, uint32_t from, uint32_t group, words word)
{
	uint32_t left = text->field->length > from ? text->field->length - from : 0;
	struct reading next = text->first;

	if (!left)
		return (words){0};
	next.at += from;
	next.left = next.right = 0;
	if (left < WORD_BYTES) { /* the last of the field */
		next.at -= WORD_BYTES - left;
		next.right = 8 * (int)(WORD_BYTES - left);
	}
	return before_nul(read_words(&next, group)) & full_words(word);
}

/* Is the text of a lane the long one that a slot names, whose hash it has? */
static bool is_long_text(const struct burst *burst, const struct text *text, uint32_t lane,
			 uint64_t slot_text)
{
	const struct rg_eval *eval = burst->eval;
	struct rg_value known = eval->constants[(uint32_t)slot_text & ~RG_TYPED_LONG_TEXT];
	const char *at = (const char *)text->first.from[lane] + text->field->offset;

	return known.length <= text->field->length &&
	       same_bytes(rg_text(&eval->heap, known), at, known.length) &&
	       (known.length == text->field->length || !at[known.length]);
}

static void load_text(struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct slots_of table = slots_at(burst->eval, &burst->eval->typed_tables[at->table]);
	const struct text text = text_of(burst, &burst->eval->fields[at->a], 0);
	const words long_text = (words)all_of(RG_TYPED_LONG_TEXT);
	int64_t *to = burst->columns->slots[at->dst].integer;
	uint64_t slots[LANES] __attribute__((aligned(64)));

	if (are_few(burst->here)) {
		EACH_LANE (burst, lane)
			to[lane] = field_text(look_at(burst, lane), &burst->eval->fields[at->a],
					      &burst->eval->typed_tables[at->table]);
		return;
	}
	for (uint32_t group = 0; group < burst->groups; group++) {
		integers is_there, is_long = {0}, is_it;
		words word = first_word(&text, group, &is_there), hash = hash_words(word), slot,
		      rest;
		lanes doubtful;

		for (uint32_t from = WORD_BYTES;
		     from < text.field->length && bits_of((integers)full_words(word));
		     from += WORD_BYTES) {
			integers goes_on;

			word = next_word(&text, from, group, word);
			goes_on = (integers)(word != (words){0});
			hash = (words)choose(goes_on, (integers)hash_words(hash ^ word),
					     (integers)hash);
			is_long |= goes_on;
		}
		slot = slots_of(table, hash) << 1;
		rest = gather(table.slots, slot + 1);
		is_it = ((integers)gather(table.slots, slot) == (integers)hash) &
			(((rest & long_text) == long_text) == is_long);
		put(burst, at, group,
		    choose(is_there,
			   choose(is_it, (integers)(rest >> 32) - 1, all_of(RG_TYPED_UNKNOWN)),
			   all_of(RG_TYPED_ABSENT)));
		doubtful = bits_of(is_it & is_long & is_there) << WIDE * group & burst->here;
		((words *)slots)[group] = rest;
		EACH_OF(doubtful, lane)
		{
			if (!is_long_text(burst, &text, lane, slots[lane]))
				to[lane] = RG_TYPED_UNKNOWN;
		}
	}
}

/* Lanes whose two texts are there and the same. */
static lanes have_same_texts(struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct text a = text_of(burst, &burst->eval->fields[at->a], 0),
			  b = text_of(burst, &burst->eval->fields[at->b], 1);
	const uint32_t longer =
		a.field->length > b.field->length ? a.field->length : b.field->length;
	lanes same = 0;

	for (uint32_t group = 0; group < burst->groups; group++) {
		integers has_a, has_b, equal;
		words x = first_word(&a, group, &has_a), y = first_word(&b, group, &has_b);

		equal = has_a & has_b & (integers)(x == y);
		for (uint32_t from = WORD_BYTES;
		     from < longer && bits_of(equal & (integers)full_words(x));
		     from += WORD_BYTES) {
			x = next_word(&a, from, group, x);
			y = next_word(&b, from, group, y);
			equal &= (integers)(x == y);
		}
		same |= bits_of(equal) << WIDE * group;
	}
	return same;
}

/* ---- integers ----
 *
 * Numbers as they mostly are, all lanes together. A lane that is here with one that is not is left
 * over: it is done alone. Functions return the lanes that have to give up. */

static inline integers is_small(integers number, int64_t limit)
{
	return (number <= all_of(limit)) & (number >= all_of(-limit));
}

static lanes multiply(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct rg_typed_columns *columns = burst->columns;
	const integers *a = integers_at(burst, at->a), *b = integers_at(burst, at->b);
	int64_t *to = burst->columns->slots[at->dst].integer;
	int64_t products[LANES];
	lanes large = 0, doubtful = 0;

	for (uint32_t group = 0; group < burst->groups; group++)
		large |= bits_of(~(is_small(a[group], INT32_MAX) & is_small(b[group], INT32_MAX)))
			 << WIDE * group;
	large &= burst->here;
	EACH_OF(large, lane)
	doubtful |= (lanes)(__builtin_mul_overflow(columns->slots[at->a].integer[lane],
						   columns->slots[at->b].integer[lane],
						   &products[lane]) ||
			    products[lane] == RG_TYPED_ABSENT)
		    << lane;
	for (uint32_t group = 0; group < burst->groups; group++)
		put(burst, at, group, (integers)((words)a[group] * (words)b[group]));
	EACH_OF(large, lane)
	to[lane] = products[lane];
	return doubtful;
}

/* a x 10^number, of which none that fits is RG_TYPED_ABSENT. */
static lanes scale(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const integers *a = integers_at(burst, at->a), absent = all_of(RG_TYPED_ABSENT);
	const int64_t unit = rg_powers_of_10[at->number], limit = INT64_MAX / unit;
	lanes doubtful = 0;

	for (uint32_t group = 0; group < burst->groups; group++) {
		integers undefined = a[group] == absent;

		doubtful |= bits_of(~(undefined | is_small(a[group], limit))) << WIDE * group;
		put(burst, at, group,
		    choose(undefined, absent, (integers)((words)a[group] * (words)all_of(unit))));
	}
	return doubtful;
}

static lanes agree(const struct burst *burst, const struct rg_typed_instruction *at, integers a,
		   integers b, uint32_t group)
{
	const integers absent = all_of(RG_TYPED_ABSENT);

	put(burst, at, group, choose(a == absent, b, a));
	return bits_of((a != b) & (a != absent) & (b != absent)) << WIDE * group;
}

static lanes add(const struct burst *burst, const struct rg_typed_instruction *at, integers a,
		 integers b, uint32_t group)
{
	integers sum = (integers)((words)a + (words)b);

	put(burst, at, group, sum);
	return bits_of((((a ^ sum) & (b ^ sum)) < all_of(0)) | (sum == all_of(RG_TYPED_ABSENT)))
	       << WIDE * group;
}

static lanes subtract(const struct burst *burst, const struct rg_typed_instruction *at, integers a,
		      integers b, uint32_t group)
{
	integers difference = (integers)((words)a - (words)b);

	put(burst, at, group, difference);
	return bits_of((((a ^ b) & (a ^ difference)) < all_of(0)) |
		       (difference == all_of(RG_TYPED_ABSENT)))
	       << WIDE * group;
}

/* Of a lane, as typed.c has it. */
static int64_t divide_lane(const struct burst *burst, const struct rg_typed_instruction *at,
			   uint32_t lane)
{
	int64_t a = burst->columns->slots[at->a].integer[lane],
		b = burst->columns->slots[at->b].integer[lane];

	switch (at->op) {
	case RG_TYPED_OP_QUOTIENT: return quotient(a, at->number);
	case RG_TYPED_OP_MODULO: return modulo(a, at->number);
	case RG_TYPED_OP_REMAINDER_NUMBER: return a % at->number;
	default: return b == -1 ? 0 : a % b;
	}
}

/*
 * QUOTIENT, MODULO, REMAINDER, REMAINDER_NUMBER. A quotient of doubles that is at most 2^51 is off by
 * less than a half from that of the integers, so the nearest whole number by one at most: what is
 * then left over, which is exact, says by how much.
 */
static void divide(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const bool by_number = at->op != RG_TYPED_OP_REMAINDER;
	const integers absent = all_of(RG_TYPED_ABSENT), zero = {0};
	integers results[LANES / WIDE];
	lanes large = 0;

	for (uint32_t group = 0; group < burst->groups; group++) {
		integers a = integers_at(burst, at->a)[group], undefined = zero,
			 is_negative = a < zero, by = all_of(at->number), whole, rest, more;
		reals ratio, rounded;

		if (by_number) {
			undefined = a == absent;
		} else {
			by = integers_at(burst, at->b)[group];
			by = choose(by < zero, -by, by);
		}
		ratio = to_reals(a) / to_reals(by);
		whole = nearest(ratio, &rounded);
		rest = (integers)((words)a - (words)whole * (words)by);
		more = rest < zero;
		whole += more;
		rest += more & by;
		more = rest >= by;
		whole -= more;
		rest -= more & by;
		if (at->op == RG_TYPED_OP_QUOTIENT) /* between -1 and 0: 0 */
			rest = whole - (is_negative & (a > -by));
		else if (at->op != RG_TYPED_OP_MODULO)
			rest -= by & is_negative & (rest != zero);
		results[group] = choose(undefined, absent, rest);
		large |= bits_of(~(undefined |
				   ((magnitude(ratio) <= all_real(0x1p51)) & (by > zero))))
			 << WIDE * group;
	}
	EACH_OF(large & burst->here, lane)
	((int64_t *)results)[lane] = divide_lane(burst, at, lane);
	for (uint32_t group = 0; group < burst->groups; group++)
		put(burst, at, group, results[group]);
}

/* ---- reals to integers ---- */

static inline ball ball_of_lane(const struct burst *burst, uint32_t slot, uint32_t lane)
{
	return (ball){burst->columns->slots[slot].real[lane], burst->columns->radius[slot][lane]};
}

/* As ball_round(). */
static lanes round_reals(const struct burst *burst, const struct rg_typed_instruction *at)
{
	int64_t *to = burst->columns->slots[at->dst].integer;
	lanes certain = 0, large = 0;
	int64_t rounded[LANES];

	for (uint32_t group = 0; group < burst->groups; group++)
		large |= bits_of(~(magnitude(reals_at(burst, at->a)[group]) <= all_real(0x1p51)))
			 << WIDE * group;
	large &= burst->here;
	EACH_OF(large, lane)
	certain |= (lanes)ball_round(ball_of_lane(burst, at->a, lane), &rounded[lane]) << lane;
	for (uint32_t group = 0; group < burst->groups; group++) {
		const reals half = all_real(0.5);
		struct reals_about a = about_at(burst, at->a, group);
		reals whole, v = magnitude(a.v);
		integers number = floor_of(v, &whole);
		reals above = v - whole;

		number -= above >= half;
		certain |= bits_of((a.r == (reals){0}) | (magnitude(above - half) > a.r))
				   << WIDE * group &
			   ~large;
		put(burst, at, group, choose(a.v < (reals){0}, -number, number));
	}
	EACH_OF(large, lane)
	to[lane] = rounded[lane];
	return ~certain;
}

/* As ball_floor(). */
static lanes floor_reals(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const bool is_ceiling = at->op == RG_TYPED_OP_CEILING;
	int64_t *to = burst->columns->slots[at->dst].integer;
	lanes certain = 0, large = 0;
	int64_t floors[LANES];

	for (uint32_t group = 0; group < burst->groups; group++)
		large |= bits_of(~(magnitude(reals_at(burst, at->a)[group]) <= all_real(0x1p51)))
			 << WIDE * group;
	large &= burst->here;
	EACH_OF(large, lane)
	certain |= (lanes)ball_floor(ball_of_lane(burst, at->a, lane), is_ceiling, &floors[lane])
		   << lane;
	for (uint32_t group = 0; group < burst->groups; group++) {
		struct reals_about a = about_at(burst, at->a, group);
		integers exact = a.r == (reals){0}, number;
		reals whole, above;

		number = floor_of(a.v, &whole);
		above = a.v - whole;
		certain |= bits_of(exact | ((above > a.r) & (all_real(1) - above > a.r) &
					    (whole != all_real(-1))))
				   << WIDE * group &
			   ~large;
		put(burst, at, group, is_ceiling ? number + (~exact & all_of(1)) : number);
	}
	EACH_OF(large, lane)
	to[lane] = floors[lane];
	return ~certain;
}

/* ---- tables ---- */

static inline void look_up_rows(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct slots_of table = slots_at(burst->eval, &burst->eval->typed_tables[at->table]);
	const words *keys = (const words *)integers_at(burst, at->a),
		    *owners = (const words *)integers_at(burst, at->b);
	const words low = (words)all_of(UINT32_MAX);

	for (uint32_t group = 0; group < burst->groups; group++) {
		words key = keys[group], owner = owners[group];
		words hash = key * (words)all_of((int64_t)RG_TYPED_KEY_FACTOR) +
			     (owner & low) * (words)all_of((int64_t)RG_TYPED_OWNER_FACTOR);
		words slot = slots_of(table, hash) << 1, rest = gather(table.slots, slot + 1);
		integers is_it = (gather(table.slots, slot) == key) & ((rest & low) == owner),
			 row = (integers)(rest >> 32);

		put(burst, at, group,
		    choose(is_it & (row != all_of(0)), row - 1, all_of(RG_TYPED_ABSENT)));
	}
}

/* The lanes whose key, of owner 0, is in the map. */
static inline lanes are_found(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct rg_typed_table *table = &burst->eval->typed_tables[at->table];
	const struct rg_typed_map_slot *slots =
		(const struct rg_typed_map_slot *)(burst->eval->typed_cells + table->first);
	const integers *keys = integers_at(burst, at->a);
	integers found[LANES / WIDE] = {{0}};
	lanes all = 0;

	if (table->count > COMPARED_MAX) {
		EACH_LANE (burst, lane)
			all |= (lanes)(find(burst->eval, table,
					    burst->columns->slots[at->a].integer[lane], 0) >= 0)
			       << lane;
		return all;
	}
	for (uint32_t i = 0; i < table->count; i++) {
		if (!slots[i].row || slots[i].owner)
			continue;
		for (uint32_t group = 0; group < burst->groups; group++)
			found[group] |= keys[group] == all_of(slots[i].key);
	}
	for (uint32_t group = 0; group < burst->groups; group++)
		all |= bits_of(found[group]) << WIDE * group;
	return all;
}

/* Any lane's: a row out of range, as garbage may be, finds the undefined. */
static inline integers cells_of(const struct burst *burst, const struct rg_typed_instruction *at,
				uint32_t group)
{
	const struct rg_typed_table *table = &burst->eval->typed_tables[at->table];

	return (integers)gather_below(burst->eval->typed_cells + table->first,
				      (words)integers_at(burst, at->a)[group], table->count);
}

/* ---- sets ---- */

/* Bits that the program's sets may have. */
#define EACH_BIT(burst, bit) for (uint32_t bit = 0, end_ = (burst)->bit_count; bit < end_; bit++)

static inline lanes_of_texts *texts_at(const struct burst *burst, uint32_t set)
{
	return (lanes_of_texts *)burst->columns->members[set];
}

static lanes have_members(const struct burst *burst, uint32_t set)
{
	const lanes_of_texts *members = texts_at(burst, set);
	lanes_of_texts any = {0};
	lanes all = 0;

	for (uint32_t group = 0; group < burst->bit_groups; group++)
		any |= members[group];
	for (int i = 0; i < TEXTS; i++)
		all |= any[i];
	return all | burst->matched[set];
}

/* Bits of a group of texts that some of these lanes have. */
static inline uint32_t texts_of(lanes_of_texts members, lanes of)
{
	const lanes_of_texts theirs = members & of;
#ifdef __AVX512DQ__
	return NUMBER_OF_MASK(_mm512_test_epi32_mask((__m512i)theirs, (__m512i)theirs));
#elif defined(__AVX2__)
	return (uint32_t)_mm256_movemask_ps((__m256)(theirs != (lanes_of_texts){0}));
#else
	uint32_t texts = 0;

	for (uint32_t i = 0; i < TEXTS; i++)
		texts |= (uint32_t)(theirs[i] != 0) << i;
	return texts;
#endif
}

/* Each bit of the set that some of these lanes have. */
#define EACH_TEXT(burst, set, of, bit)                                                             \
	for (uint32_t group_ = 0; group_ < (burst)->bit_groups; group_++)                          \
		for (uint32_t texts_ = texts_of(texts_at(burst, set)[group_], of), bit;            \
		     texts_ && (bit = TEXTS * group_ + (uint32_t)__builtin_ctz(texts_), 1);        \
		     texts_ &= texts_ - 1)

/* Returns the lanes that have to give up. */
static lanes unite(struct burst *burst, const struct rg_typed_instruction *at)
{
	struct rg_typed_columns *columns = burst->columns;
	lanes_of_texts *to = texts_at(burst, at->dst);
	const lanes_of_texts *from = texts_at(burst, at->a);
	const lanes here = burst->here;
	lanes doubtful = 0;

	for (uint32_t group = 0; group < burst->bit_groups; group++)
		to[group] |= from[group] & here;
	for (lanes rest = burst->matched[at->a] & here; rest; rest &= rest - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rest);
		struct rg_typed_matched *united = &columns->matched[at->dst][lane];

		if (!(burst->matched[at->dst] >> lane & 1))
			*united = (struct rg_typed_matched){0};
		if (!unite_matched(columns->matches[lane], &columns->match_count[lane], united,
				   &columns->matched[at->a][lane]))
			doubtful |= (lanes)1 << lane;
	}
	burst->matched[at->dst] |= burst->matched[at->a] & here;
	return doubtful;
}

/* The members that a lane's set has bits for. */
static void bits_of_lane(const struct burst *burst, uint32_t set, uint32_t lane, uint64_t *bits)
{
	memset(bits, 0, RG_TYPED_SET_WORDS * sizeof(*bits));
	EACH_BIT (burst, bit)
		bits[bit / 64] |= (uint64_t)(burst->columns->members[set][bit] >> lane & 1)
				  << bit % 64;
}

/* The members of a lane's set that a rule table has added to. */
static uint32_t matched_ranks(const struct burst *burst, uint32_t set, uint32_t lane,
			      uint32_t *ranks)
{
	const struct rg_typed_matched *matched = &burst->columns->matched[set][lane];
	uint64_t bits[RG_TYPED_SET_WORDS];

	bits_of_lane(burst, set, lane, bits);
	return ranks_of(burst->eval, burst->program, burst->columns->matches[lane] + matched->first,
			matched->count, bits, ranks);
}

/* Ask a table for the lanes that are here: its results lie behind those that each lane has, up to
 * ends[lane]. Returns the lanes that have too many. */
static lanes match_lanes(const struct burst *burst, const struct rg_typed_instruction *at,
			 uint32_t *ends)
{
	struct rg_typed_columns *columns = burst->columns;
	lanes doubtful = 0;

	memcpy(ends, columns->match_count, sizeof(columns->match_count));
	burst->eval->match_rules(rules_at(burst->eval, &burst->eval->typed_tables[at->table]),
				 columns->inputs[0], LANES, burst->here, columns->matches[0],
				 RG_TYPED_MATCHES_ROOM, ends);
	for (uint32_t lane = 0; lane < LANES; lane++)
		doubtful |= (lanes)(ends[lane] > RG_TYPED_MATCHES_MAX) << lane;
	return doubtful & burst->here;
}

/* The results of a table are those of a set too, lane by lane. Returns the lanes that have too
 * many. */
static lanes match(struct burst *burst, const struct rg_typed_instruction *at)
{
	struct rg_typed_columns *columns = burst->columns;
	uint32_t ends[LANES];
	lanes doubtful = match_lanes(burst, at, ends) | (burst->matched[at->dst] & burst->here);

	EACH_LANE (burst, lane) {
		uint32_t first = columns->match_count[lane];

		if (doubtful >> lane & 1)
			continue;
		columns->matched[at->dst][lane] =
			(struct rg_typed_matched){first, ends[lane] - first};
		columns->match_count[lane] = ends[lane];
		burst->matched[at->dst] |= (lanes)(ends[lane] > first) << lane;
	}
	return doubtful;
}

/* MATCH_FIRST, MATCH_ONE, MATCH_SUM: what a lane's results come to. Returns the lanes that have to give up. */
static lanes match_apart(const struct burst *burst, const struct rg_typed_instruction *at)
{
	struct rg_typed_columns *columns = burst->columns;
	const struct rg_typed_table *tables = burst->eval->typed_tables;
	uint32_t ends[LANES];
	lanes doubtful = match_lanes(burst, at, ends);

	EACH_LANE (burst, lane) {
		const uint32_t *results = columns->matches[lane] + columns->match_count[lane];
		uint32_t count = ends[lane] - columns->match_count[lane];
		int64_t *to = &columns->slots[at->dst].integer[lane];
		bool certain = !(doubtful >> lane & 1);

		if (certain && at->op == RG_TYPED_OP_MATCH_FIRST)
			*to = least_result(results, count);
		else if (certain && at->op == RG_TYPED_OP_MATCH_ONE)
			certain = one_result(results, count, to);
		else if (certain)
			certain = sum_results(burst->eval, &tables[at->number], results, count, to);
		doubtful |= (lanes)!certain << lane;
	}
	return doubtful;
}

static void count_members(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const lanes matched = burst->matched[at->a] & burst->here;
	integers counts[LANES / WIDE] = {{0}};
	uint32_t ranks[RANKS_MAX];
	int64_t *to = burst->columns->slots[at->dst].integer;

	EACH_TEXT(burst, at->a, burst->here, bit)
	{
		for (uint32_t group = 0; group < burst->groups; group++)
			counts[group] -=
				lanes_of(burst->columns->members[at->a][bit] >> WIDE * group);
	}
	for (uint32_t group = 0; group < burst->groups; group++)
		put(burst, at, group, counts[group]);
	for (lanes rest = matched; rest; rest &= rest - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rest);

		to[lane] = matched_ranks(burst, at->a, lane, ranks);
	}
}

/* Returns the lanes that have to give up: also all, if the terms are so large that some sum might
 * not fit. */
static lanes sum_members(const struct burst *burst, const struct rg_typed_instruction *at)
{
	const struct rg_typed_table *table = &burst->eval->typed_tables[at->table];
	integers sums[LANES / WIDE] = {{0}};
	int64_t largest = 0;
	lanes doubtful = 0;

	EACH_TEXT(burst, at->a, burst->here, bit)
	{
		lanes of = burst->columns->members[at->a][bit];
		int64_t term = column(burst->eval, table, bit);

		if (term == RG_TYPED_UNTYPED)
			doubtful |= of;
		if (term == RG_TYPED_UNTYPED || term == RG_TYPED_ABSENT)
			continue;
		largest = llabs(term) > largest ? llabs(term) : largest;
		for (uint32_t group = 0; group < burst->groups; group++)
			sums[group] =
				(integers)((words)sums[group] +
					   (words)(lanes_of(of >> WIDE * group) & all_of(term)));
	}
	for (uint32_t group = 0; group < burst->groups; group++)
		put(burst, at, group, sums[group]);
	return largest > INT64_MAX / RG_TYPED_BITS_MAX ? burst->here : doubtful;
}

/* ---- what is left to the rules ---- */

/* Of no lane's budget anything is spent before the rules are asked for the first time. */
static void begin_spending(struct burst *burst)
{
	if (!burst->has_spent)
		memset(burst->columns->spent, 0, sizeof(burst->columns->spent));
	burst->has_spent = true;
}

/* EVALUATE. Returns the lanes that have to give up. */
__attribute__((noinline, cold)) static lanes ask_for_lanes(struct burst *burst,
							   const struct rg_typed_instruction *at)
{
	struct rg_typed_columns *columns = burst->columns;
	struct rg_typed_asked asked = *burst->asked;
	lanes doubtful = 0;

	begin_spending(burst);
	EACH_LANE (burst, lane) {
		asked.request = burst->asked->request + lane;
		if (!ask_rules(burst->eval, &asked, &columns->spent[lane], at->table,
			       &columns->slots[at->dst].integer[lane]))
			doubtful |= (lanes)1 << lane;
	}
	return doubtful;
}

/* ---- verdicts ---- */

/* Lanes whose rule fires. */
static lanes fires(const struct burst *burst, struct rg_typed_role role)
{
	lanes fired = 0;

	if (role.kind == RG_TYPED_BOOLEAN) {
		for (uint32_t group = 0; group < burst->groups; group++)
			fired |= bits_of(integers_at(burst, role.at)[group] == all_of(1))
				 << WIDE * group;
	} else if (role.kind == RG_TYPED_SET) {
		fired = have_members(burst, role.at);
	}
	return fired & burst->here;
}

/* Lanes that have members that may be the same as others, or whose reason is not certain. */
static lanes have_alike(const struct burst *burst, uint32_t set)
{
	const struct rg_eval *eval = burst->eval;
	lanes some = 0;

	if (!burst->program->alike)
		return 0;
	EACH_BIT (burst, bit) {
		if (column(eval, &eval->typed_tables[burst->program->alike - 1], bit) > 0)
			some |= burst->columns->members[set][bit];
	}
	return some;
}

/* Lanes with members that may be the same. */
static lanes lack_distinct(const struct burst *burst, uint32_t set)
{
	const lanes matched = burst->matched[set] & burst->here;
	lanes doubtful = 0;

	if (!burst->program->alike)
		return 0;
	for (lanes rest = (matched | have_alike(burst, set)) & burst->here; rest;
	     rest &= rest - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rest), ranks[RANKS_MAX];
		uint64_t bits[RG_TYPED_SET_WORDS];
		bool are;

		if (matched >> lane & 1) {
			are = are_distinct(burst->eval, burst->program, ranks,
					   matched_ranks(burst, set, lane, ranks));
		} else {
			bits_of_lane(burst, set, lane, bits);
			are = has_distinct(burst->eval, burst->program, bits);
		}
		doubtful |= (lanes)!are << lane;
	}
	return doubtful;
}

/* The members of a lane's set. False: what they come to is not certain. */
__attribute__((noinline)) static bool add_reasons_of_lane(const struct burst *burst,
							  struct rg_typed_role role, uint32_t lane,
							  struct rg_outcome *outcome)
{
	uint32_t ranks[RANKS_MAX];
	uint64_t bits[RG_TYPED_SET_WORDS];

	if (burst->matched[role.at] >> lane & 1)
		return add_ranked(burst->eval, burst->program, ranks,
				  matched_ranks(burst, role.at, lane, ranks), outcome);
	bits_of_lane(burst, role.at, lane, bits);
	return add_members(burst->eval, burst->program, bits, outcome);
}

/* Returns the lanes of which that is not certain. */
static lanes add_reasons(struct burst *burst, struct rg_typed_role role, lanes of)
{
	const struct rg_typed_table *ids = &burst->eval->typed_tables[burst->program->reasons];
	lanes doubtful = 0;

	if (role.kind != RG_TYPED_SET || !of)
		return 0;
	for (lanes rest = (burst->matched[role.at] | have_alike(burst, role.at)) & of; rest;
	     rest &= rest - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rest);

		if (!add_reasons_of_lane(burst, role, lane, burst->requests[lane].outcome))
			doubtful |= (lanes)1 << lane;
		of &= ~((lanes)1 << lane);
	}
	EACH_TEXT(burst, role.at, of, bit)
	{
		uint16_t id = (uint16_t)column(burst->eval, ids, bit);

		EACH_OF(burst->columns->members[role.at][bit] & of, lane)
		rg_outcome_add_reason(burst->requests[lane].outcome, id);
	}
	return doubtful;
}

/* False if the score is not certain. */
__attribute__((always_inline)) static inline bool set_score(const struct burst *burst,
							    uint32_t lane)
{
	struct rg_typed_role role = burst->program->roles[RG_ROLE_SCORE];
	const struct rg_typed_columns *columns = burst->columns;
	struct rg_outcome *outcome = burst->requests[lane].outcome;

	if (role.kind == RG_TYPED_NUMBER &&
	    columns->slots[role.at].integer[lane] != RG_TYPED_ABSENT)
		outcome->score_micro =
			decimal_score(columns->slots[role.at].integer[lane], role.scale);
	else if (role.kind == RG_TYPED_REAL_NUMBER && columns->radius[role.at][lane] != -1)
		return ball_round(ball_multiply((ball){columns->slots[role.at].real[lane],
						       columns->radius[role.at][lane]},
						(ball){.v = 1e6}),
				  &outcome->score_micro);
	return true;
}

/* A lane that something is left to the rules of. */
struct lane_of {
	struct burst *burst;
	uint32_t lane;
};

static bool give_reasons(void *of, enum rg_role role, struct rg_outcome *outcome)
{
	const struct lane_of *one = of;
	struct rg_typed_role is = one->burst->program->roles[role];

	return is.kind != RG_TYPED_SET || add_reasons_of_lane(one->burst, is, one->lane, outcome);
}

static bool give_score(void *of, struct rg_outcome *outcome)
{
	const struct lane_of *one = of;

	return set_score(one->burst, one->lane);
}

/* A lane on its own. fired: lanes, by role. */
__attribute__((noinline, cold)) static bool conclude_lane(struct burst *burst, uint32_t lane,
							  const lanes *fired)
{
	struct lane_of one = {burst, lane};
	struct rg_typed_asked asked = *burst->asked;
	struct conclusion conclusion = {.eval = burst->eval,
					.asked = &asked,
					.spent = &burst->columns->spent[lane],
					.left = burst->program->left,
					.of = &one,
					.reasons = give_reasons,
					.score = give_score};

	asked.request += lane;
	begin_spending(burst);
	for (int role = 0; role < RG_ROLE_COUNT; role++) {
		conclusion.left |= (burst->columns->left[role] >> lane & 1) << role;
		conclusion.fired |= (fired[role] >> lane & 1) << role;
	}
	return conclude_request(&conclusion);
}

static void conclude(struct burst *burst)
{
	const struct rg_typed_role *roles = burst->program->roles;
	uint8_t otherwise = rg_image_header(burst->eval->image)->default_verdict;
	lanes fired[RG_ROLE_COUNT] = {fires(burst, roles[RG_ROLE_DENY]),
				      fires(burst, roles[RG_ROLE_REVIEW]),
				      fires(burst, roles[RG_ROLE_ALLOW])},
	      denied = fired[RG_ROLE_DENY], reviewed = fired[RG_ROLE_REVIEW] & ~denied,
	      allowed = fired[RG_ROLE_ALLOW] & ~denied & ~reviewed,
	      alone = burst->program->left ? burst->here : 0, here;

	for (int role = 0; role < RG_ROLE_COUNT; role++)
		alone |= burst->columns->left[role] & burst->here;
	here = burst->here & ~alone;
	for (lanes rest = here; rest; rest &= rest - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rest);
		struct rg_outcome *outcome = burst->requests[lane].outcome;

		memset(outcome, 0, sizeof(*outcome));
		outcome->verdict = denied >> lane & 1	  ? RG_VERDICT_DENY
				   : reviewed >> lane & 1 ? RG_VERDICT_REVIEW
				   : allowed >> lane & 1  ? RG_VERDICT_ALLOW
							  : otherwise;
		if (!set_score(burst, lane))
			alone |= (lanes)1 << lane;
	}
	alone |= add_reasons(burst, roles[RG_ROLE_DENY], denied & here);
	alone |= add_reasons(burst, roles[RG_ROLE_REVIEW], reviewed & here);
	alone |= add_reasons(burst, roles[RG_ROLE_REASONS], here);
	for (; alone; alone &= alone - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(alone);

		if (!conclude_lane(burst, lane, fired))
			burst->gave_up |= (lanes)1 << lane;
	}
}

/* ---- the loop ---- */

/* The lanes whose blocks are long enough; for others, and those without a request, another's is
 * read. */
static void enter(struct burst *burst)
{
	const uint32_t bytes = burst->program->block_bytes,
		       enough = bytes < WORD_BYTES ? WORD_BYTES : bytes;
	uint32_t least = UINT32_MAX, any;

	for (uint32_t lane = 0; lane < burst->count; lane++) {
		uint32_t has = burst->requests[lane].block_bytes;

		burst->blocks[lane] = burst->requests[lane].block;
		burst->block_bytes[lane] = has;
		burst->here |= (lanes)(has >= enough) << lane;
		least = has < least ? has : least;
	}
	burst->least_bytes = least;
	if (!burst->here || (least >= enough && burst->count == WIDE * burst->groups))
		return;
	any = (uint32_t)__builtin_ctz(burst->here);
	for (uint32_t lane = 0; lane < WIDE * burst->groups; lane++) {
		if (!(burst->here & BIT(lane))) {
			burst->blocks[lane] = burst->blocks[any];
			burst->block_bytes[lane] = burst->block_bytes[any];
		}
		least = !lane || burst->block_bytes[lane] < least ? burst->block_bytes[lane]
								  : least;
	}
	burst->least_bytes = least;
}

/* In lanes: what each group says of its own, of those that nobody asked for too. */
#define OF_GROUP(number, ...)                                                                      \
	({                                                                                         \
		enum { group = (number) };                                                         \
		(lanes)(__VA_ARGS__) << WIDE * (number);                                           \
	})
#define OF_HALF(first, ...)                                                                        \
	(OF_GROUP((first), __VA_ARGS__) | OF_GROUP((first) + 1, __VA_ARGS__) |                     \
	 OF_GROUP((first) + 2, __VA_ARGS__) | OF_GROUP((first) + 3, __VA_ARGS__))
#if WIDE == 8
#define OF_GROUPS(...) OF_HALF(0, __VA_ARGS__)
#else
#define OF_GROUPS(...) (OF_HALF(0, __VA_ARGS__) | OF_HALF(4, __VA_ARGS__))
#endif
#define EACH_GROUP(...)                                                                            \
	do {                                                                                       \
		for (uint32_t group = 0; group < groups; group++)                                  \
			__VA_ARGS__;                                                               \
	} while (0)
#define EACH(...)                                                                                  \
	do {                                                                                       \
		EACH_LANE (&burst, lane)                                                           \
			__VA_ARGS__;                                                               \
	} while (0)
#define A	 (integers_at(&burst, at->a)[group])
#define B	 (integers_at(&burst, at->b)[group])
#define LANE_A	 (columns->slots[at->a].integer[lane])
#define LANE_DST (columns->slots[at->dst].integer[lane])
#define REAL_A	 about_at(&burst, at->a, group)
#define REAL_B	 about_at(&burst, at->b, group)
#define TABLE	 (&eval->typed_tables[at->table])

/* Comparisons: of integers, with a number, of balls. */
#define COMPARISONS(name, compare)                                                                 \
	case RG_TYPED_OP_IF_##name: holds = OF_GROUPS(COMPARE(name, A, B)); goto guard;            \
	case RG_TYPED_OP_IF_##name##_NUMBER: {                                                     \
		const integers limit = all_of(at->number);                                         \
                                                                                                   \
		holds = OF_GROUPS(COMPARE(name, A, limit));                                        \
		goto guard;                                                                        \
	}                                                                                          \
	case RG_TYPED_OP_IF_REAL_##name:                                                           \
		holds = 0;                                                                         \
		doubtful = 0;                                                                      \
		for (uint32_t group = 0; group < groups; group++) {                                \
			struct reals_about a = REAL_A, b = REAL_B;                                 \
			reals distance = a.v - b.v,                                                \
			      margin = (a.r + b.r) * all_real(1 + 0x1p-40) +                       \
				       magnitude(distance) * all_real(RG_TYPED_REAL_UNIT);         \
			integers exact = both_are_exact(a, b);                                     \
                                                                                                   \
			holds |= bits_of(distance compare(reals){0}) << WIDE * group;              \
			doubtful |= bits_of(~(exact | (magnitude(distance) > margin)))             \
				    << WIDE * group;                                               \
		}                                                                                  \
		burst.here &= ~doubtful;                                                           \
		goto guard

/* Run the program over burst->count requests. Lanes in burst.here have come to its end. */
lanes RG_TYPED_BURST(struct rg_eval *eval, const struct rg_typed_asked *asked)
{
	const uint32_t number = asked->binding->typed - 1, count = asked->count;
	const struct rg_typed_program *program = &eval->typed_programs[number];
	const struct rg_typed_instruction *code = eval->typed_code + program->code, *at = code;
	struct rg_typed_columns *columns = &eval->typed_columns;
	const uint32_t groups = (count + WIDE - 1) / WIDE;
	struct burst burst = {.eval = eval,
			      .columns = columns,
			      .program = program,
			      .asked = asked,
			      .requests = asked->request,
			      .count = count,
			      .groups = groups};
	const lanes all = count == LANES ? ~(lanes)0 : BIT(count) - 1;
	const integers absent = all_of(RG_TYPED_ABSENT);
	lanes holds, doubtful;

	burst.bit_count = eval->typed_tables[program->reasons].count;
	if (burst.bit_count > RG_TYPED_BITS_MAX)
		burst.bit_count = RG_TYPED_BITS_MAX;
	burst.bit_groups = (burst.bit_count + TEXTS - 1) / TEXTS;
	enter(&burst);
	if (!burst.here)
		return all;
	for (uint32_t i = 0; i < program->set_count; i++)
		for (uint32_t group = 0; group < burst.bit_groups; group++)
			texts_at(&burst, i)[group] = (lanes_of_texts){0};
	if (columns->prepared == number + 1 && columns->prepared_lanes >= groups * WIDE)
		at += program->constant_count;
	memset(columns->left, 0, sizeof(columns->left));
	columns->prepared = 0; /* until the constants are in place */
	columns->prepared_lanes = groups * WIDE;

	for (;; at++) {
		if (at->flags & RG_TYPED_TARGET) {
			burst.here |= columns->waiting[at - code];
			columns->waiting[at - code] = 0;
		}
		if (!burst.here) { /* nobody is here: on to where somebody waits */
			if (at->op == RG_TYPED_OP_END)
				goto end;
			continue;
		}
		switch ((enum rg_typed_op)at->op) {
		case RG_TYPED_OP_END: goto end;
		case RG_TYPED_OP_GIVE_UP: burst.here = 0; break;
		case RG_TYPED_OP_JUMP: holds = 0; goto guard;
		case RG_TYPED_OP_LEAVE_ROLE:
			columns->left[at->number] |=
				burst.here & OF_GROUPS(COMPARE(LT, A, all_of(0)));
			break;

		case RG_TYPED_OP_FIELD_NUMBER:
			EACH(if (!field_number(look_at(&burst, lane), &eval->fields[at->a],
					       &LANE_DST)) burst.here &= ~BIT(lane));
			break;
		case RG_TYPED_OP_FIELD_NAMED:
			EACH(LANE_DST = field_named(look_at(&burst, lane), &eval->fields[at->a]));
			break;
		case RG_TYPED_OP_FIELD_U8: load_narrow(&burst, at, 1, false); break;
		case RG_TYPED_OP_FIELD_U16: load_narrow(&burst, at, 2, false); break;
		case RG_TYPED_OP_FIELD_U32: load_narrow(&burst, at, 4, false); break;
		case RG_TYPED_OP_FIELD_I8: load_narrow(&burst, at, 1, true); break;
		case RG_TYPED_OP_FIELD_I16: load_narrow(&burst, at, 2, true); break;
		case RG_TYPED_OP_FIELD_I32: load_narrow(&burst, at, 4, true); break;
		case RG_TYPED_OP_FIELD_64: burst.here &= ~load_64(&burst, at); break;
		case RG_TYPED_OP_FIELD_NAMED_U8: load_named_u8(&burst, at); break;
		case RG_TYPED_OP_FIELD_TEXT: load_text(&burst, at); break;
		case RG_TYPED_OP_FIELD_RANK:
			EACH(LANE_DST = field_rank(look_at(&burst, lane), &eval->fields[at->a],
						   TABLE));
			break;
		case RG_TYPED_OP_FIELD_ADDRESS:
			EACH(if (!field_address(look_at(&burst, lane), &eval->fields[at->a], TABLE,
						&LANE_DST)) burst.here &= ~BIT(lane));
			break;
		case RG_TYPED_OP_NOW:
			EACH_GROUP(put(&burst, at, group, all_of(asked->now_ns)));
			break;

		case RG_TYPED_OP_CONSTANT:
			EACH_GROUP(put(&burst, at, group, all_of(at->number)));
			break;
		case RG_TYPED_OP_MOVE: EACH_GROUP(put(&burst, at, group, A)); break;
		case RG_TYPED_OP_FIND: look_up_rows(&burst, at); break;
		case RG_TYPED_OP_COLUMN:
			EACH_GROUP(put(&burst, at, group, cells_of(&burst, at, group)));
			break;
		case RG_TYPED_OP_COLUMN_TYPED:
			doubtful = 0;
			EACH_GROUP({
				integers cell = cells_of(&burst, at, group);

				doubtful |= bits_of(cell == all_of(RG_TYPED_UNTYPED))
					    << WIDE * group;
				put(&burst, at, group, cell);
			});
			burst.here &= ~doubtful;
			break;
		case RG_TYPED_OP_ADD:
			doubtful = 0;
			EACH_GROUP(doubtful |= add(&burst, at, A, B, group));
			burst.here &= ~doubtful;
			break;
		case RG_TYPED_OP_ADD_NUMBER:
			doubtful = 0;
			EACH_GROUP(doubtful |= add(&burst, at, A, all_of(at->number), group));
			burst.here &= ~doubtful;
			break;
		case RG_TYPED_OP_SUBTRACT:
			doubtful = 0;
			EACH_GROUP(doubtful |= subtract(&burst, at, A, B, group));
			burst.here &= ~doubtful;
			break;
		case RG_TYPED_OP_MULTIPLY: burst.here &= ~multiply(&burst, at); break;
		case RG_TYPED_OP_SCALE: burst.here &= ~scale(&burst, at); break;
		case RG_TYPED_OP_REMAINDER:
			holds = OF_GROUPS(COMPARE(NE, B, all_of(0)));
			doubtful = burst.here;
			burst.here &= holds; /* the others keep what their slot holds */
			divide(&burst, at);
			burst.here = doubtful;
			goto guard;
		case RG_TYPED_OP_BIT:
			EACH_GROUP(put(&burst, at, group,
				       choose(A == all_of(RG_TYPED_ABSENT), A,
					      (A >> at->number) & all_of(1))));
			break;
		case RG_TYPED_OP_MAXIMUM:
			EACH_GROUP(put(&burst, at, group, choose(A > B, A, B)));
			break;
		case RG_TYPED_OP_MINIMUM:
			EACH_GROUP(put(&burst, at, group,
				       choose((A == all_of(RG_TYPED_ABSENT)) |
						      ((B < A) & (B != all_of(RG_TYPED_ABSENT))),
					      B, A)));
			break;
		case RG_TYPED_OP_AGREE:
			doubtful = 0;
			EACH_GROUP(doubtful |= agree(&burst, at, A, B, group));
			burst.here &= ~doubtful;
			break;
		case RG_TYPED_OP_AGREE_NUMBER:
			burst.here &= OF_GROUPS(COMPARE(EQ, A, all_of(at->number)) |
						COMPARE(EQ, A, absent));
			EACH_GROUP(put(&burst, at, group, all_of(at->number)));
			break;
		case RG_TYPED_OP_QUOTIENT:
		case RG_TYPED_OP_MODULO:
		case RG_TYPED_OP_REMAINDER_NUMBER: divide(&burst, at); break;
		case RG_TYPED_OP_LOCAL_TIME:
			EACH(if (!local_time(eval, TABLE, LANE_A, &LANE_DST)) burst.here &=
			     ~BIT(lane));
			break;
		case RG_TYPED_OP_MAXIMUM_NUMBER:
			EACH_GROUP(put(&burst, at, group,
				       choose(A > all_of(at->number), A, all_of(at->number))));
			break;
		case RG_TYPED_OP_MINIMUM_NUMBER:
			EACH_GROUP(put(
				&burst, at, group,
				choose((A == all_of(RG_TYPED_ABSENT)) | (all_of(at->number) < A),
				       all_of(at->number), A)));
			break;
		case RG_TYPED_OP_ABSOLUTE:
			EACH_GROUP(put(
				&burst, at, group,
				choose((A < all_of(0)) & (A != all_of(RG_TYPED_ABSENT)), -A, A)));
			break;
		case RG_TYPED_OP_EVALUATE: burst.here &= ~ask_for_lanes(&burst, at); break;

		case RG_TYPED_OP_REAL_UNDEFINED:
			EACH_GROUP(put_about(&burst, at, group,
					     (struct reals_about){(reals){0}, all_real(-1)}));
			break;
		case RG_TYPED_OP_REAL:
			EACH_GROUP(put_about(&burst, at, group, about_decimal(A, at->number)));
			break;
		case RG_TYPED_OP_REAL_SUM:
			EACH({
				ball sum = ball_of_sum(LANE_A, at->number);

				columns->slots[at->dst].real[lane] = sum.v;
				columns->radius[at->dst][lane] = sum.r;
			});
			break;
		case RG_TYPED_OP_REAL_QUOTIENT:
			EACH_GROUP({
				struct reals_about part = about_quotient(
					about_decimal(A, 0), about_decimal(all_of(at->number), 0));

				part.r = choose_real(A == absent, all_real(-1), part.r);
				put_about(&burst, at, group, part);
			});
			break;
		case RG_TYPED_OP_REAL_MOVE: EACH_GROUP(put_about(&burst, at, group, REAL_A)); break;
		case RG_TYPED_OP_REAL_ADD:
			EACH_GROUP(put_about(&burst, at, group, about_sum(REAL_A, REAL_B)));
			break;
		case RG_TYPED_OP_REAL_SUBTRACT:
			EACH_GROUP({
				struct reals_about b = REAL_B;

				b.v = -b.v;
				put_about(&burst, at, group, about_sum(REAL_A, b));
			});
			break;
		case RG_TYPED_OP_REAL_MULTIPLY:
			EACH_GROUP(put_about(&burst, at, group, about_product(REAL_A, REAL_B)));
			break;
		case RG_TYPED_OP_REAL_DIVIDE: {
			lanes apart = 0, zero = 0;

			for (uint32_t group = 0; group < groups; group++) {
				struct reals_about b = REAL_B;

				zero |= bits_of((b.r == (reals){0}) & (b.v == (reals){0}))
					<< WIDE * group;
				apart |= bits_of(magnitude(b.v) > all_real(2) * b.r)
					 << WIDE * group;
			}
			burst.here &= zero | apart;
			/* Lanes with zero go elsewhere and keep what their slot holds. */
			doubtful = burst.here;
			burst.here &= ~zero;
			EACH_GROUP(put_about(&burst, at, group, about_quotient(REAL_A, REAL_B)));
			burst.here = doubtful;
			holds = ~zero;
			goto guard;
		}
		case RG_TYPED_OP_REAL_ABSOLUTE:
			EACH_GROUP({
				struct reals_about a = REAL_A;

				a.v = magnitude(a.v);
				put_about(&burst, at, group, a);
			});
			break;
		case RG_TYPED_OP_ROUND: burst.here &= ~round_reals(&burst, at); break;
		case RG_TYPED_OP_FLOOR:
		case RG_TYPED_OP_CEILING: burst.here &= ~floor_reals(&burst, at); break;

		case RG_TYPED_OP_IF_DEFINED: holds = OF_GROUPS(COMPARE(NE, A, absent)); goto guard;
		case RG_TYPED_OP_IF_UNDEFINED:
			holds = OF_GROUPS(COMPARE(EQ, A, absent));
			goto guard;
		case RG_TYPED_OP_IF_REAL_DEFINED:
			holds = OF_GROUPS(bits_of(REAL_A.r != all_real(-1)));
			goto guard;
		case RG_TYPED_OP_IF_REAL_UNDEFINED:
			holds = OF_GROUPS(bits_of(REAL_A.r == all_real(-1)));
			goto guard;
			COMPARISONS(EQ, ==);
			COMPARISONS(NE, !=);
			COMPARISONS(LT, <);
			COMPARISONS(LE, <=);
			COMPARISONS(GT, >);
			COMPARISONS(GE, >=);
		case RG_TYPED_OP_IF_IN_MASK:
		case RG_TYPED_OP_IF_NOT_IN_MASK: {
			const words mask = (words)all_of(at->number);

			holds = OF_GROUPS(bits_of(have_common(bit_of(A), mask)));
			if (at->op == RG_TYPED_OP_IF_NOT_IN_MASK)
				holds = ~holds;
			goto guard;
		}
		case RG_TYPED_OP_IF_BIT:
		case RG_TYPED_OP_IF_NO_BIT: {
			const integers bit = all_of((int64_t)(1ull << at->number)),
				       wanted = at->op == RG_TYPED_OP_IF_BIT ? bit : all_of(0);

			holds = OF_GROUPS(COMPARE(NE, A, absent) & COMPARE(EQ, A & bit, wanted));
			goto guard;
		}
		case RG_TYPED_OP_IF_FOUND:
		case RG_TYPED_OP_IF_NOT_FOUND:
			holds = are_found(&burst, at);
			if (at->op == RG_TYPED_OP_IF_NOT_FOUND)
				holds = ~holds;
			goto guard;
		case RG_TYPED_OP_IF_SAME_TEXT:
		case RG_TYPED_OP_IF_OTHER_TEXT:
			holds = have_same_texts(&burst, at);
			if (at->op == RG_TYPED_OP_IF_OTHER_TEXT)
				holds = ~holds;
			goto guard;
		case RG_TYPED_OP_NON_NEGATIVE:
			burst.here &= OF_GROUPS(COMPARE(GE, A, all_of(0)) | COMPARE(EQ, A, absent));
			break;

		case RG_TYPED_OP_SET_ADD:
			columns->members[at->dst][at->number] |= burst.here;
			break;
		case RG_TYPED_OP_SET_UNITE: burst.here &= ~unite(&burst, at); break;
		case RG_TYPED_OP_SET_COUNT: count_members(&burst, at); break;
		case RG_TYPED_OP_SET_SUM: burst.here &= ~sum_members(&burst, at); break;
		case RG_TYPED_OP_SET_DISTINCT: burst.here &= ~lack_distinct(&burst, at->a); break;
		case RG_TYPED_OP_IF_EMPTY: holds = ~have_members(&burst, at->a); goto guard;
		case RG_TYPED_OP_IF_NOT_EMPTY: holds = have_members(&burst, at->a); goto guard;
		case RG_TYPED_OP_MATCH_INPUT:
			memcpy(columns->inputs[at->number], columns->slots[at->a].integer,
			       count * sizeof(int64_t));
			break;
		case RG_TYPED_OP_MATCH:
		case RG_TYPED_OP_MATCH_FIRST:
		case RG_TYPED_OP_MATCH_ONE:
		case RG_TYPED_OP_MATCH_SUM:
			if (!burst.has_rules) {
				memset(columns->match_count, 0, sizeof(columns->match_count));
			}
			burst.has_rules = true;
			burst.here &= ~(at->op == RG_TYPED_OP_MATCH ? match(&burst, at)
								    : match_apart(&burst, at));
			break;
		case RG_TYPED_OP_IF_MEMBER: holds = columns->members[at->a][at->number]; goto guard;
		case RG_TYPED_OP_COUNT: __builtin_unreachable(); /* verified */
		}
		continue;
	guard:
		columns->waiting[at->target] |= burst.here & ~holds;
		burst.here &= holds;
	}
end:
	burst.here &= all;
	if (burst.here) /* it has come by the constants */
		columns->prepared = number + 1;
	burst.gave_up = all & ~burst.here;
	if (burst.gave_up) /* a program that loses lanes may have left them waiting */
		memset(columns->waiting, 0, program->code_count * sizeof(columns->waiting[0]));
	conclude(&burst);
	return burst.gave_up;
}

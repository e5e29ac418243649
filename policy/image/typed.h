/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The typed program of a template: its verdict in machine numbers.
 *
 * An image holds each rule as instructions over values (code.h). They can say all that Rego can,
 * and cost some forty machine instructions each. For a template whose rules are comparisons,
 * look-ups and arithmetic on the request's fields the compiler adds a second form, the typed
 * program, whose every operation is a few machine instructions on 64-bit slots. It is asked first.
 * The instructions over values stay the meaning:
 *
 *	request ──► typed program ──certain──────────► outcome
 *			  └───────not certain──► rules over values ──► outcome
 *
 * A program either comes to the outcome that the rules come to, to the last bit, or GIVES UP; then
 * the rules decide the whole request. It gives up where a comparison is too close to call (below),
 * where integers overflow, and where rules conflict. Where the compiler met something that it cannot type,
 * the program leaves a ROLE, one rule of the verdict, to the rules: they are asked for it alone, and only if the
 * verdict depends on it. So they are if a role's reasons or the score are not certain.
 *
 * Shape. One run of instructions; all jumps go forward, so it ends after at most `code_count`
 * steps. The image's instruction budget
 * (image.h) does not count them: a program's length bounds it, and the budget begins when the rules
 * have to decide. First come loads of all fields and what depends on them alone (FIELD_*, FIND,
 * COLUMN, QUOTIENT: total, without jumps), then one part for each rule that others name, computed
 * once, callees first, then the rules of the verdict. Guards jump and change nothing; effects set bits.
 * Nothing is allocated and no instruction depends on where a slot lies, so the same program may run
 * over columns of requests under lane masks: a forward jump then is "these lanes wait until there".
 *
 * Slots. They are written before they are read; constants only once, when a program is run after
 * another one. What a slot holds is fixed at compile time:
 *
 *	integer	  int64_t, alone or as the mantissa of a decimal whose scale only the compiler knows; booleans (0, 1); values of enums,
 *		  from names_base on; bits of sets; row numbers; ids of texts. RG_TYPED_ABSENT: undefined.
 *	real	  a ball: a double v and a radius r. r < 0: undefined.
 *
 * A program is asked about blocks of at least its block_bytes, which reach to the last field it
 * loads that all versions of the schema have: what such a field holds is defined unless it may be
 * null.
 *
 * Integers of 64 bits without sign keep their bits; NON_NEGATIVE gives up on those that an int64_t
 * cannot hold.
 *
 * Texts. A text of the policy that matters has an id, 0, 1, ... in one dictionary of the program. A
 * char[] field becomes the id of its bytes once, RG_TYPED_UNKNOWN if the policy does not know them.
 * Two unknown texts may differ: they are compared by bytes (SAME_TEXT).
 *
 * Tables. DICTIONARY: text -> id. MAP: (owner, key) -> row: the keys of all objects that an
 * expression may stand for, or the members of a set. COLUMN: row -> integer. What an object looked
 * up by a request's field holds is so reached by one probe and one load.
 *
 * No two keys of a DICTIONARY or MAP share a slot, so that a look-up is one comparison, without a
 * loop or a branch: the compiler tries, for the few keys of each BUCKET, multipliers of their
 * hashes until they all come to empty slots. Behind the slots stand the multipliers, one for each
 * RG_TYPED_BUCKET_SLOTS of them.
 *
 *	hash ──► bucket ──► multiplier;  hash x multiplier ──► slot ──► is it the key?
 *
 * Orders. Where a text begins with "AB", or is less than "M", or an address lies in 10.0.0.0/8,
 * a field is between two bounds in an order: of texts by their bytes; of IPv4 addresses and behind
 * them all others. A field becomes its rank once, the number of bounds that are at most it, and
 * each such condition is an interval of ranks. What the policy asks of one field in one way has one
 * ORDER: words -> number, a step function (RG_TYPED_ORDER_DEPTH). A field that holds no address has
 * RG_TYPED_UNKNOWN; one that holds a network has the rank that all of it has, or the program gives
 * up.
 *
 * Times. Hours, minutes and days of the week are QUOTIENTs of MODULOs of nanoseconds since 1970. In
 * a zone other than UTC LOCAL_TIME makes local ones first: it adds the seconds east of UTC that an
 * ORDER of the moments has at which clocks are changed. QUOTIENT is OPA's floor() of a division,
 * which is 0 between -1 and 0.
 *
 * Reals. OPA computes on non-integers in binary floating point of 64 bits, prints each result as
 * the shortest decimal and reads that again (eval/number_real.h). If o is OPA's number and (v, r)
 * the ball, then |o - v| <= r is kept by every operation: an operation on balls adds to what the
 * operands' radii make of it RG_TYPED_REAL_UNIT of the magnitudes involved, which is 4 times what
 * rounding the double, and 2^10 times what OPA's rounding and printing can add. A comparison is
 * made only if the balls are apart, a rounding only if no step lies within the ball; else the
 * program gives up. r == 0 is kept for integers of at most 2^53, on which both sides compute
 * exactly; so ties of whole numbers are decided here too. A sum of many, which OPA adds up in floats, is
 * exact if it is 0; up to 4,096 of them add less than RG_TYPED_REAL_UNIT of their sum. Infinities and NaN end up in comparisons
 * that are not certain.
 *
 * Sets. A partial set of constants, texts mostly, is a bit for each that any rule could add, in
 * Rego's order. RG_TYPED_SET_WORDS words a set.
 *
 * A member may also be a value with parts of the request in it, whose text nobody needs here: a reason with a
 * message, say. Members that may be equal, or in either order, are ALIKE; in Rego's order they lie together. The cells of the
 * column `alike` are 2 x the number of their group, from 1 on, + 1 if the member's reason is not certain. A
 * set with two of a group is a matter for the rules, unless they have one reason, which is then listed once.
 *
 * Rule tables (rule_table.h) stand for what many bodies, or a body over many rows of data, do:
 * MATCH_INPUTs and a MATCH. What they add to a set, one MATCH a set, is kept beside its bits, as
 * ranks among all constants: those that only tables add have no bit. MATCH_FIRST, MATCH_ONE and
 * MATCH_SUM make a number of the results.
 *
 * What the verifier proves is in RG_TYPED_INSTRUCTIONS, as in code.h. A row number is checked when
 * it is used: an undefined one is out of range and finds the undefined.
 */
#ifndef RG_POLICY_IMAGE_TYPED_H
#define RG_POLICY_IMAGE_TYPED_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define RG_TYPED_ABSENT INT64_MIN
#define RG_TYPED_UNTYPED                                                                           \
	(INT64_MIN + 1) /* in a COLUMN: a value that the column's type cannot hold */
#define RG_TYPED_UNKNOWN     (-1)
#define RG_TYPED_CODE_MAX    16384 /* instructions of a program */
#define RG_TYPED_SLOTS_MAX   512
#define RG_TYPED_SETS_MAX    16
#define RG_TYPED_SET_WORDS   4
#define RG_TYPED_BITS_MAX    (64 * RG_TYPED_SET_WORDS)
#define RG_TYPED_TEXTS_MAX   (1u << 20) /* with those that only rule tables add */
#define RG_TYPED_MATCHES_MAX 1024	/* results of rule tables for one request */
#define RG_TYPED_SCALE_MAX   18
#define RG_TYPED_EXACT_MAX   9007199254740992.0 /* 2^53 */
#define RG_TYPED_REAL_UNIT   0x1p-51
#define RG_TYPED_REAL_TINY   1e-290 /* covers underflow */

struct rg_typed_instruction {
	uint8_t op;    /* enum rg_typed_op */
	uint8_t flags; /* RG_TYPED_MERGE, RG_TYPED_TARGET */
	uint16_t dst, a, b;
	uint32_t target; /* instruction number in the program, or what the table below says */
	uint32_t table;	 /* number of a table, or 0 */
	int64_t number;
};
static_assert(sizeof(struct rg_typed_instruction) == 24,
	      "instructions are stored in images: raise RG_IMAGE_VERSION");

/* For a program that runs over many requests at once: other instructions write the same slot, and
 * requests that are elsewhere keep what those wrote; jumps lead here. Both must be so, or decisions
 * of a burst are given up or wrong; nothing else rests on them. */
#define RG_TYPED_MERGE	1
#define RG_TYPED_TARGET 2

/*
 * What each member may hold:
 *	dst, a, b: S slot, T set, F field of the image, N 0 or 1: the field is optional, H anything, - unused (0)
 *	target:	   J forward jump, W number of the place in the policy that its rows begin at, E the field's extent if beyond block_bytes, else 0,
 *		   - none (0)
 *	table:	   M map, C column, D dictionary, O order, R rule table, U function without parameters, L the field's offset, - none (0)
 *	number:	   I input of a rule table, C column, K anything, Q 1 or more, P scale 0..RG_TYPED_SCALE_MAX, B bit of a set (0..RG_TYPED_BITS_MAX - 1), O role, - 0
 *
 * X(name, dst, a, b, target, table, number)
 */
#define RG_TYPED_INSTRUCTIONS(X)                                                                                    \
	/* control */                                                                                               \
	X(END, '-', '-', '-', '-', '-', '-')                                                                        \
	X(GIVE_UP, '-', '-', '-', '-', '-', '-')                                                                    \
	X(LEAVE_ROLE, '-', 'S', '-', '-', '-', 'O') /* a role to the rules if a < 0 */                              \
	X(JUMP, '-', '-', '-', 'J', '-', '-')                                                                       \
	/* fields; undefined where absent */                                                                        \
	X(FIELD_NUMBER, 'S', 'F', '-', '-', '-', '-') /* integer, mantissa or set */                                \
	X(FIELD_NAMED, 'S', 'F', '-', '-', '-', '-')  /* enum or boolean: value - names_base */                     \
	/* the same for fields of one width, with what the field's entry says of them at hand */                    \
	X(FIELD_U8, 'S', 'F', 'N', 'E', 'L', 'K') /* b: may be null, which is number */                             \
	X(FIELD_U16, 'S', 'F', 'N', 'E', 'L', 'K')                                                                  \
	X(FIELD_U32, 'S', 'F', 'N', 'E', 'L', 'K')                                                                  \
	X(FIELD_I8, 'S', 'F', 'N', 'E', 'L', 'K')                                                                   \
	X(FIELD_I16, 'S', 'F', 'N', 'E', 'L', 'K')                                                                  \
	X(FIELD_I32, 'S', 'F', 'N', 'E', 'L', 'K')                                                                  \
	X(FIELD_64, 'S', 'F', 'N', 'E', 'L', 'K')                                                                   \
	X(FIELD_NAMED_U8, 'S', 'F', 'H', 'E', 'L',                                                                  \
	  'K') /* b: names_base; number: bits of the values that have names */                                      \
	X(FIELD_TEXT, 'S', 'F', '-', '-', 'D', '-')    /* chars: the id */                                          \
	X(FIELD_RANK, 'S', 'F', '-', '-', 'O', '-')    /* chars: the rank by their bytes */                         \
	X(FIELD_ADDRESS, 'S', 'F', '-', '-', 'O', '-') /* chars: the rank of the address */                         \
	X(NOW, 'S', '-', '-', '-', '-', '-')	       /* when the request came: ns since 1970 */                   \
	/* integers */                                                                                              \
	X(CONSTANT, 'S', '-', '-', '-', '-', 'K')                                                                   \
	X(MOVE, 'S', 'S', '-', '-', '-', '-')                                                                       \
	X(FIND, 'S', 'S', 'S', '-', 'M', '-')	/* row of key a of owner b, or undefined */                         \
	X(COLUMN, 'S', 'S', '-', '-', 'C', '-') /* of row a */                                                      \
	X(COLUMN_TYPED, 'S', 'S', '-', '-', 'C',                                                                    \
	  '-')				     /* as COLUMN; gives up on RG_TYPED_UNTYPED */                          \
	X(ADD, 'S', 'S', 'S', '-', '-', '-') /* these give up on overflow */                                        \
	X(SUBTRACT, 'S', 'S', 'S', '-', '-', '-')                                                                   \
	X(MULTIPLY, 'S', 'S', 'S', '-', '-', '-')                                                                   \
	X(SCALE, 'S', 'S', '-', '-', '-', 'P')	   /* a x 10^number */                                              \
	X(REMAINDER, 'S', 'S', 'S', 'J', '-', '-') /* to target if b is 0 */                                        \
	X(ABSOLUTE, 'S', 'S', '-', '-', '-', '-')                                                                   \
	X(BIT, 'S', 'S', '-', '-', '-',                                                                             \
	  'B') /* bit number, below 64, of a: 0 or 1, or undefined */                                               \
	X(MAXIMUM, 'S', 'S', 'S', '-', '-', '-') /* of those that are defined */                                    \
	X(AGREE, 'S', 'S', 'S', '-', '-',                                                                           \
	  '-') /* the one that is defined; gives up if they differ */                                               \
	X(ADD_NUMBER, 'S', 'S', '-', '-', '-', 'K')                                                                 \
	X(MAXIMUM_NUMBER, 'S', 'S', '-', '-', '-', 'K')                                                             \
	X(MINIMUM_NUMBER, 'S', 'S', '-', '-', '-', 'K')                                                             \
	X(AGREE_NUMBER, 'S', 'S', '-', '-', '-', 'K')                                                               \
	X(MINIMUM, 'S', 'S', 'S', '-', '-', '-')                                                                    \
	/* undefined of the undefined */                                                                            \
	X(MODULO, 'S', 'S', '-', '-', '-', 'Q')		  /* a - floor(a / number) x number */                      \
	X(REMAINDER_NUMBER, 'S', 'S', '-', '-', '-', 'Q') /* with the sign of a */                                  \
	X(QUOTIENT, 'S', 'S', '-', '-', '-', 'Q')	  /* floor(a / number), see Times */                        \
	X(LOCAL_TIME, 'S', 'S', '-', '-', 'O', '-')	  /* a in a zone; gives up on overflow */                   \
	/* reals */                                                                                                 \
	X(REAL_UNDEFINED, 'S', '-', '-', '-', '-', '-')                                                             \
	X(REAL, 'S', 'S', '-', '-', '-', 'P') /* a x 10^-number; undefined from undefined */                        \
	X(REAL_SUM, 'S', 'S', '-', '-', '-',                                                                        \
	  'P') /* as REAL, of a sum of numbers none of which is negative */                                         \
	X(REAL_QUOTIENT, 'S', 'S', '-', '-', '-', 'Q') /* a / number; undefined of undefined */                     \
	X(REAL_MOVE, 'S', 'S', '-', '-', '-', '-')                                                                  \
	X(REAL_ADD, 'S', 'S', 'S', '-', '-', '-')                                                                   \
	X(REAL_SUBTRACT, 'S', 'S', 'S', '-', '-', '-')                                                              \
	X(REAL_MULTIPLY, 'S', 'S', 'S', '-', '-', '-')                                                              \
	X(REAL_DIVIDE, 'S', 'S', 'S', 'J', '-', '-') /* to target if b is 0 */                                      \
	X(REAL_ABSOLUTE, 'S', 'S', '-', '-', '-', '-')                                                              \
	X(ROUND, 'S', 'S', '-', '-', '-', '-') /* to an integer, half away from zero */                             \
	X(FLOOR, 'S', 'S', '-', '-', '-', '-')                                                                      \
	X(CEILING, 'S', 'S', '-', '-', '-', '-')                                                                    \
	/* a function of the rules, without parameters: 0 if it is false, 1 if it is anything else, or undefined */ \
	X(EVALUATE, 'S', '-', '-', '-', 'U', '-')                                                                   \
	/* guards: go on if it holds, else to target. Comparisons do not look for undefined ones. */                \
	X(IF_DEFINED, '-', 'S', '-', 'J', '-', '-')                                                                 \
	X(IF_UNDEFINED, '-', 'S', '-', 'J', '-', '-')                                                               \
	X(IF_REAL_DEFINED, '-', 'S', '-', 'J', '-', '-')                                                            \
	X(IF_REAL_UNDEFINED, '-', 'S', '-', 'J', '-', '-')                                                          \
	X(IF_EQ, '-', 'S', 'S', 'J', '-', '-')                                                                      \
	X(IF_NE, '-', 'S', 'S', 'J', '-', '-')                                                                      \
	X(IF_LT, '-', 'S', 'S', 'J', '-', '-')                                                                      \
	X(IF_LE, '-', 'S', 'S', 'J', '-', '-')                                                                      \
	X(IF_GT, '-', 'S', 'S', 'J', '-', '-')                                                                      \
	X(IF_GE, '-', 'S', 'S', 'J', '-', '-')                                                                      \
	X(IF_EQ_NUMBER, '-', 'S', '-', 'J', '-', 'K')                                                               \
	X(IF_NE_NUMBER, '-', 'S', '-', 'J', '-', 'K')                                                               \
	X(IF_LT_NUMBER, '-', 'S', '-', 'J', '-', 'K')                                                               \
	X(IF_LE_NUMBER, '-', 'S', '-', 'J', '-', 'K')                                                               \
	X(IF_GT_NUMBER, '-', 'S', '-', 'J', '-', 'K')                                                               \
	X(IF_GE_NUMBER, '-', 'S', '-', 'J', '-', 'K')                                                               \
	X(IF_IN_MASK, '-', 'S', '-', 'J', '-', 'K')	/* bit a of number is set */                                \
	X(IF_NOT_IN_MASK, '-', 'S', '-', 'J', '-', 'K') /* it is not, or a is undefined */                          \
	X(IF_BIT, '-', 'S', '-', 'J', '-', 'B')		/* bit number, below 64, of a is set */                     \
	X(IF_NO_BIT, '-', 'S', '-', 'J', '-', 'B')	/* a is defined and its bit is not set */                   \
	X(IF_FOUND, '-', 'S', '-', 'J', 'M', '-')	/* key a, of owner 0, is in the map */                      \
	X(IF_NOT_FOUND, '-', 'S', '-', 'J', 'M', '-')                                                               \
	X(IF_SAME_TEXT, '-', 'F', 'F', 'J', '-', '-') /* two chars fields, both present */                          \
	X(IF_OTHER_TEXT, '-', 'F', 'F', 'J', '-', '-')                                                              \
	X(NON_NEGATIVE, '-', 'S', '-', '-', '-', '-') /* gives up if a < 0 and defined */                           \
	X(IF_REAL_EQ, '-', 'S', 'S', 'J', '-', '-')                                                                 \
	X(IF_REAL_NE, '-', 'S', 'S', 'J', '-', '-')                                                                 \
	X(IF_REAL_LT, '-', 'S', 'S', 'J', '-', '-')                                                                 \
	X(IF_REAL_LE, '-', 'S', 'S', 'J', '-', '-')                                                                 \
	X(IF_REAL_GT, '-', 'S', 'S', 'J', '-', '-')                                                                 \
	X(IF_REAL_GE, '-', 'S', 'S', 'J', '-', '-')                                                                 \
	/* sets; all are empty at the beginning */                                                                  \
	X(SET_ADD, 'T', '-', '-', '-', '-', 'B')                                                                    \
	X(SET_UNITE, 'T', 'T', '-', '-', '-', '-') /* dst gets a's members too */                                   \
	X(SET_COUNT, 'S', 'T', '-', '-', '-', '-')                                                                  \
	X(SET_DISTINCT, '-', 'T', '-', '-', '-',                                                                    \
	  '-') /* gives up if two members may be the same */                                                        \
	X(IF_EMPTY, '-', 'T', '-', 'J', '-', '-')                                                                   \
	X(IF_NOT_EMPTY, '-', 'T', '-', 'J', '-', '-')                                                               \
	X(SET_SUM, 'S', 'T', '-', '-', 'C',                                                                         \
	  '-') /* of the column's numbers at the members' bits */                                                   \
	X(IF_MEMBER, '-', 'T', '-', 'J', '-', 'B')                                                                  \
	/* rule tables: results join the set that dst is, as ranks among all texts */                               \
	X(MATCH_INPUT, '-', 'S', '-', '-', '-', 'I') /* a is input number of the next MATCH */                      \
	X(MATCH, 'T', '-', '-', 'W', 'R', '-')	     /* gives up on too many results */                             \
	X(MATCH_FIRST, 'S', '-', '-', 'W', 'R', '-') /* the least result, or undefined */                           \
	X(MATCH_ONE, 'S', '-', '-', 'W', 'R',                                                                       \
	  '-') /* the only result, or undefined; gives up on two */                                                 \
	X(MATCH_SUM, 'S', '-', '-', 'W', 'R', 'C') /* of the column's numbers at the results */

enum rg_typed_op {
#define X(name, dst, a, b, target, table, number) RG_TYPED_OP_##name,
	RG_TYPED_INSTRUCTIONS(X)
#undef X
		RG_TYPED_OP_COUNT
};

struct rg_typed_shape {
	const char *name;
	char dst, a, b, target, table, number;
};
extern const struct rg_typed_shape rg_typed_shapes[RG_TYPED_OP_COUNT];

enum rg_typed_table_kind {
	RG_TYPED_DICTIONARY,
	RG_TYPED_MAP,
	RG_TYPED_COLUMN,
	RG_TYPED_ORDER,
	RG_TYPED_RULES /* first, count: 64-byte lines of RULE_TABLES */
};

/* A slice of TYPED_CELLS. */
struct rg_typed_table {
	uint32_t kind; /* enum rg_typed_table_kind */
	uint32_t
		count; /* cells of a COLUMN or ORDER; slots of the others: a power of two, at least RG_TYPED_SLOTS_MIN */
	uint64_t first; /* first cell: an int64_t, or two of them for a slot */
};

#define RG_TYPED_BUCKET_SLOTS 4
#define RG_TYPED_SLOTS_MIN    8

/* Cells that a table has in TYPED_CELLS. */
static inline uint64_t rg_typed_table_cells(const struct rg_typed_table *table)
{
	switch (table->kind) {
	case RG_TYPED_COLUMN:
	case RG_TYPED_ORDER: return table->count;
	case RG_TYPED_RULES: return 0;
	default: /* a slot is two, two multipliers are one */
		return 2 * (uint64_t)table->count + table->count / RG_TYPED_BUCKET_SLOTS / 2;
	}
}

/* Slots; `row` and `id` are one more than what they say, 0: empty. */
struct rg_typed_map_slot {
	int64_t key;
	uint32_t owner, row;
};
struct rg_typed_text_slot {
	uint64_t hash; /* rg_typed_text_hash() */
	uint32_t text; /* constant: string, at most RG_TYPED_TEXT_MAX bytes; RG_TYPED_LONG_TEXT */
	uint32_t id;
};
#define RG_TYPED_TEXT_MAX 256

/*
 * An ORDER. What is put in order are runs of words, by the first word, then by the second, and so
 * on; a run that ends goes on with zeros. A text's words are its bytes, eight at a time, the first
 * one highest; an address has those of builtin/address.h; a number is one word, its sign bit turned
 * over.
 *
 * A node is for runs that begin alike:
 *
 *	base << 32 | word_count		the number that runs have whose word is below all words
 *	words[word_count]		ascending
 *	(child << 32 | number)[word_count]	the number of those that are at least the word; if it has
 *					a child, of those beyond the child's
 *	uint32_t starts[]		of a node of RG_TYPED_STARTS_MIN words and more
 *
 * child: the cell of the table where the node begins for the runs that have the word; 0: there is
 * none. The first node is the root; nodes follow each other in the order in which they are named.
 *
 * starts: the range from the first word to the last is cut into at least as many equal parts as
 * there are words, a power of two; starts[i] words lie below part i. So few words are left to
 * be looked at, one mostly. A last one has all words.
 */
#define RG_TYPED_STARTS_MIN  16
#define RG_TYPED_ORDER_DEPTH (RG_TYPED_TEXT_MAX / 8 + 2) /* words of a run that matter */
/* An ORDER of moments has seconds east of UTC for numbers, with this added. */
#define RG_TYPED_ZONE_BIAS (1u << 31)

/* Parts that the range of a node's words is cut into, 0: none. A power of two. */
static inline uint64_t rg_typed_node_parts(uint32_t word_count)
{
	return word_count < RG_TYPED_STARTS_MIN
		       ? 0
		       : UINT64_C(1) << (32 - __builtin_clz(word_count - 1));
}

/* A part is of 2^this numbers. `range`: from the first word to the last. */
static inline unsigned rg_typed_part_shift(uint64_t range, uint64_t parts)
{
	int shift = 64 - __builtin_clzll(range | 1) - __builtin_ctzll(parts);

	return shift > 0 ? (unsigned)shift : 0;
}

/* Cells of the node that begins with this one. */
static inline uint64_t rg_typed_node_cells(uint64_t first)
{
	uint64_t parts = rg_typed_node_parts((uint32_t)first);

	return 1 + 2 * (first & UINT32_MAX) + (parts ? parts / 2 + 1 : 0);
}

/* Of words, which ascend, those at most `word`. */
static inline uint32_t rg_typed_count_below(const uint64_t *words, uint32_t count, uint64_t word)
{
	const uint64_t *from = words;

	if (!count)
		return 0;
	while (count > 1) {
		uint32_t half = count / 2;

		from += half & -(uint32_t)(from[half] <= word);
		count -= half;
	}
	return (uint32_t)(from - words) + (*from <= word);
}

/* Of a node's words, those at most `word`. Whatever the words are, no more is read than the node. */
static inline uint32_t rg_typed_node_below(const uint64_t *words, uint32_t count, uint64_t word)
{
	const uint64_t parts = rg_typed_node_parts(count);
	const uint32_t *starts = (const uint32_t *)(words + 2 * (uint64_t)count);
	uint64_t range, part;

	if (!parts)
		return rg_typed_count_below(words, count, word);
	range = words[count - 1] - words[0];
	if (word < words[0] || word - words[0] >= range)
		return word < words[0] ? 0 : count;
	part = (word - words[0]) >> rg_typed_part_shift(range, parts);
	return starts[part] +
	       rg_typed_count_below(words + starts[part], starts[part + 1] - starts[part], word);
}
/* A flag: more than eight bytes. Of two shorter texts the hashes are different. */
#define RG_TYPED_LONG_TEXT (1u << 31)
/* Names of an enum that is loaded as a number. */
#define RG_TYPED_NAMES_MAX 64
static_assert(sizeof(struct rg_typed_map_slot) == 16 && sizeof(struct rg_typed_text_slot) == 16,
	      "tables are stored in images: raise RG_IMAGE_VERSION");

/* What a rule of the verdict is, and where. */
enum rg_typed_result {
	RG_TYPED_NO_RESULT,   /* no such rule, or it is never defined */
	RG_TYPED_BOOLEAN,     /* slot */
	RG_TYPED_SET,	      /* set */
	RG_TYPED_NUMBER,      /* slot: integer of that scale; scores only */
	RG_TYPED_REAL_NUMBER, /* slot; scores only */
	RG_TYPED_BY_RULES     /* the program does not know: the role's rule is asked */
};

struct rg_typed_role {
	uint8_t kind; /* enum rg_typed_result */
	uint8_t scale;
	uint16_t at; /* slot or set */
};

/* The program of a binding. */
struct rg_typed_program {
	uint32_t code, code_count; /* slice of TYPED_CODE; the last instruction is END */
	uint32_t
		constant_count; /* first instructions that give the same for all requests and write slots that no other writes */
	uint32_t slot_count, set_count;
	uint32_t block_bytes; /* shorter requests are left to the rules */
	uint32_t reasons;     /* COLUMN: id of the reason of each bit, 0: none */
	/* COLUMNs: rank of each bit among all texts in Rego's order, and the reason of each rank. */
	uint32_t ranks, ranked_reasons;
	/* COLUMNs + 1, 0: none, of the bits and of the ranks: what is made of the request and may be the same
	 * as others, below. */
	uint32_t alike, ranked_alike;
	uint32_t rule_count;	       /* bodies that have become rows of rule tables */
	uint32_t left;		       /* roles that are BY_RULES, a bit each */
	struct rg_typed_role roles[5]; /* by enum rg_role */
};
static_assert(sizeof(struct rg_typed_program) == 72,
	      "programs are stored in images: raise RG_IMAGE_VERSION");

#define RG_TYPED_KEY_FACTOR   0x9e3779b97f4a7c15ull
#define RG_TYPED_OWNER_FACTOR 0xd6e8feb86659fd93ull

/* The slot of a hash in a table of `count` slots. */
static inline uint32_t rg_typed_slot_of(const uint32_t *multipliers, uint32_t count, uint64_t hash)
{
	uint32_t bucket = (uint32_t)(hash >> 32) & (count / RG_TYPED_BUCKET_SLOTS - 1);

	return (uint32_t)(hash * multipliers[bucket] >> 32) & (count - 1);
}

/* No two keys of one owner have the same. */
static inline uint64_t rg_typed_map_hash(int64_t key, uint32_t owner)
{
	return (uint64_t)key * RG_TYPED_KEY_FACTOR + owner * RG_TYPED_OWNER_FACTOR;
}

/* Of a text of at most eight bytes, which is zero behind its last: no two such texts have the
 * same. */
static inline uint64_t rg_typed_word_hash(uint64_t word)
{
	word *= RG_TYPED_KEY_FACTOR;
	return word ^ word >> 32;
}

/* Of a text's bytes, eight at a time. Texts may not hold NUL: what a field holds ends there. */
static inline uint64_t rg_typed_text_hash(const void *text, uint32_t bytes)
{
	const uint8_t *at = text;
	uint64_t hash = 0, word;

	for (; bytes > 8; at += 8, bytes -= 8) {
		memcpy(&word, at, 8);
		hash = rg_typed_word_hash(hash ^ word);
	}
	word = 0;
	memcpy(&word, at, bytes);
	return rg_typed_word_hash(hash ^ word);
}

#endif

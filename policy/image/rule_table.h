/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule table: thousands of conjunctive rules, matched in some tens to hundreds of nanoseconds.
 *
 * A rule here is a ROW: predicates over COLUMNS, all of which must hold, and a RESULT, a number
 * that its owner gives meaning. A predicate is a set of 64-bit integers, written as intervals: x ==
 * 7 is [7, 7], x > 5 is [6, max], "in" is several points, "not in" the intervals between them, a
 * CIDR block or a prefix of a text read as a big-endian number is one interval, a time of day
 * around midnight two. It also says whether it holds where the value is absent: `not x == 7` does,
 * x != 7 does not. A row has at most one predicate a column; rows may share results. Matching gives
 * the results of all rows whose predicates all hold.
 *
 * Algorithm. Bitmap intersection (Lakshman and Stiliadis, SIGCOMM 1998) with an aggregate level
 * (Baboescu and Varghese, SIGCOMM 2001), made small by verifying what survives, and short by an
 * index over the rows' order:
 *
 *	value of a column ──BUCKET──► one of at most 254 intervals of the column, or "absent"
 *	                  ──KEY─────► the run of rows that ask for just this value
 *	the REST of the rows ──SUMMARIES──► blocks of 512 rows in which each column lets one through
 *	each run, each such block ──LINES──► AND of one 64-byte line a column: rows that may match
 *	each such row        ──CHECKS──► rows that do match ──► their results
 *
 * 1. Buckets. Cutting a column at each bound of each rule would need as many lines as there are
 *    bounds, each as long as the rules: N² bits where every rule has a threshold of its own. So a
 *    column is cut at no more places than the table can afford, closer where bounds are dense; a
 *    value that many rules name gets a bucket of its own. A line says which rows MAY hold in a
 *    bucket: those whose predicate meets it. The bucket is found without a branch that depends on
 *    the value: a CELL of the column's range says where to begin, and few cuts lie in a cell.
 * 2. Checks. What a row's lines do not say exactly is kept with the row and looked at when the row
 *    survives all columns. Predicates whose bounds are all cuts have no check. A row survives in
 *    vain only where a bound lies in the value's own bucket.
 * 3. Regions. Rows with an equality on a column of many values (an account, a merchant) form the
 *    REGION of that column, ordered by the value: the run that asks for the request's value is
 *    found by one look-up, and the region's other rows are not looked at. This predicate is in no
 *    line and no check: the run is its proof. A row that names several values is repeated for each
 *    if there is room. A row's HINTS, its two narrowest other predicates as buckets, turn most rows
 *    of a short run down before their lines are fetched. Rows without a key are the rest, behind
 *    the last region.
 * 4. Order. Within a run and in the rest rows lie together that have their narrowest predicates in
 *    common; so summaries are sparse, and a column that no row of a block asks for has no lines
 *    there.
 *
 * Guarantees.
 *	(a) The result is exact: lines and summaries never leave a matching row out, and checks let
 *	    no other through.
 *	(b) Time: one bucket a column, one look-up a region, then the blocks that have to be looked
 *	    at. Nothing depends on how many bounds a column has.
 *	(c) Results come in no order that means something: who needs one sorts them.
 *	(d) Room: a block has at most RG_RULE_LINES_BUDGET lines (more only if there are more than
 *	    some 30 columns): 60 bytes a row, whatever the predicates. Checks hold a bound at most
 *	    once a row, in 4 bytes if it fits. Repeated rows are at most a quarter of all.
 *
 * Layout. One run of bytes, 64-aligned, little-endian, without pointers; part of the image and of
 * its version:
 *
 *	header		struct rg_rule_table
 *	columns		struct rg_rule_column[]
 *	regions		struct rg_rule_region[], ascending in rows
 *	keys		struct rg_rule_key[]: the HASHED regions' tables, one after the other
 *	starts		uint32_t[]: first rows of the runs of DIRECT regions
 *	cuts		int64_t[]: of the columns, ascending within each
 *	cells		uint8_t[]: of the columns
 *	summaries	uint64_t[]: a bit a block; for each column and bucket summary_words
 *	blocks		struct rg_rule_block[]
 *	entries		struct rg_rule_entry[]: the blocks' columns
 *	rows		struct rg_rule_row[]
 *	checks		uint32_t[]: of the rows, in their order; word 0 is unused
 *	lines		struct rg_rule_line[]
 *
 * Each begins at the next multiple of 64 behind the one before.
 *
 * What rg_rule_table_verify() proves, in time linear in the bytes: every slice lies in the table
 * and none overlaps another; a bucket that a column can give has its summary, and its line in each
 * block that names the column; runs lie in their region, regions do not overlap and lie before the
 * rest, so that no row is visited twice and at most row_count results come out; hash tables have an
 * empty slot and short runs of used ones; checks are well-formed, end, and belong to one row each;
 * results and inputs are below their counts. It does not prove that lines say what the rules said,
 * and need not: a wrong bit gives a wrong match, never a read outside.
 *
 * Thread-safety: immutable.
 */
#ifndef RG_POLICY_IMAGE_RULE_TABLE_H
#define RG_POLICY_IMAGE_RULE_TABLE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define RG_RULE_ABSENT	     INT64_MIN /* the value of what is undefined: RG_TYPED_ABSENT */
#define RG_RULE_LOWEST	     (INT64_MIN + 1)
#define RG_RULE_COLUMNS_MAX  64
#define RG_RULE_REGIONS_MAX  8
#define RG_RULE_BUCKETS_MAX  255 /* with the one of absent values */
#define RG_RULE_STEPS_MAX    253
#define RG_RULE_BLOCK_ROWS   512
#define RG_RULE_ROWS_MAX     (1u << 22)
#define RG_RULE_LINES_BUDGET 480 /* lines that a block may have, over all columns */
#define RG_RULE_PROBE_MAX    128 /* slots in use that may lie in a row, as RG_TYPED_RUN_MAX */

/* `offset` is in bytes from the table's beginning. */
struct rg_rule_slice {
	uint32_t offset, count;
};

struct rg_rule_table {
	uint32_t bytes; /* of the whole table: a multiple of 64 */
	uint32_t input_count, result_count;
	uint32_t row_count;
	uint32_t rest;		/* first row of the rest */
	uint32_t summary_words; /* of one bucket; 0: there are no summaries */
	struct rg_rule_slice columns, regions, keys, starts, cuts, cells, summaries, blocks,
		entries, rows, checks, lines;
	uint8_t reserved[8];
};
static_assert(sizeof(struct rg_rule_table) == 128,
	      "rule tables are stored in images: raise RG_IMAGE_VERSION");

/*
 * The bucket of a value that is not absent: v is clamped to base .. base + range; cell (v - base)
 * >> shift says how many cuts are at or below the cell's beginning; of the next `steps` cuts those
 * at most v are added. Behind a column's cuts stand `steps` times INT64_MAX.
 */
struct rg_rule_column {
	uint32_t input;	       /* which of the caller's values */
	uint16_t bucket_count; /* cuts + 1, and the last one is that of absent values */
	uint8_t shift, steps;
	uint32_t cuts, cells; /* first ones */
	int64_t base;
	uint64_t range;
	uint32_t summary; /* first word of bucket 0 */
	uint32_t reserved;
};

/* Rows [first, first + count), found by a value of `column`. */
struct rg_rule_region {
	uint32_t column;
	uint32_t first, count;
	uint32_t keys, key_count; /* HASHED: slots, a power of two of them. DIRECT: key_count 0 */
	uint32_t starts,
		start_count; /* DIRECT: the run of base + i is starts[i] up to starts[i + 1] */
	uint32_t reserved;
	int64_t base;
};

/* A slot. */
struct rg_rule_key {
	int64_t value;
	uint32_t first, count; /* rows; count 0: an empty slot */
};

struct rg_rule_block {
	uint32_t first, count; /* entries */
};

struct rg_rule_entry {
	uint32_t column;
	uint32_t line; /* of the column's bucket 0 in this block */
};

struct rg_rule_line {
	uint64_t words[RG_RULE_BLOCK_ROWS / 64];
} __attribute__((aligned(64)));

/* A row holds only where the column's bucket is among these. */
struct rg_rule_hint {
	uint8_t column, low, high, reserved;
};

struct rg_rule_row {
	uint32_t result;
	uint32_t check; /* word of its first check; 0: none */
	struct rg_rule_hint hints[2];
};
static_assert(sizeof(struct rg_rule_column) == 40 && sizeof(struct rg_rule_region) == 40 &&
		      sizeof(struct rg_rule_key) == 16 && sizeof(struct rg_rule_row) == 16,
	      "rule tables are stored in images: raise RG_IMAGE_VERSION");

/*
 * A check: one word as below, then `count` operands, of one word each, or of two if WIDE, low half
 * first; with INTERVALS twice as many: lowest and highest value. They ascend. With FROM, the first
 * is the lowest value that holds.
 */
#define RG_RULE_CHECK_COLUMN	   0xffu
#define RG_RULE_CHECK_LAST	   0x100u /* of its row */
#define RG_RULE_CHECK_NEGATED	   0x200u /* holds where no operand has the value */
#define RG_RULE_CHECK_IF_ABSENT	   0x400u /* holds where the value is absent */
#define RG_RULE_CHECK_WIDE	   0x800u
#define RG_RULE_CHECK_INTERVALS	   0x1000u
#define RG_RULE_CHECK_FROM	   0x2000u
#define RG_RULE_CHECK_BITS	   0xffff3fffu /* all that may be set */
#define RG_RULE_CHECK_COUNT_SHIFT  16
#define RG_RULE_CHECK_OPERANDS_MAX 0xffffu

/* Words of a check, with its own. */
static inline uint32_t rg_rule_check_words(uint32_t check)
{
	uint32_t operands = check >> RG_RULE_CHECK_COUNT_SHIFT;

	return 1 +
	       (operands << !!(check & RG_RULE_CHECK_INTERVALS) << !!(check & RG_RULE_CHECK_WIDE));
}

static inline uint32_t rg_rule_key_hash(int64_t value)
{
	uint64_t hash = (uint64_t)value * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(hash >> 32);
}

/* Where a slice of a verified table begins. */
#define RG_RULE_AT(table, type, slice)                                                             \
	((const type *)(const void *)((const uint8_t *)(table) + (table)->slice.offset))

/*
 * Check a whole table: bytes[0, bytes), 64-aligned. NULL: it may be matched against; else what is
 * wrong, a constant text. Linear in bytes, pure.
 */
const char *rg_rule_table_verify(const void *table, uint64_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst of requests against a rule table, stage by stage: each stage is done for all requests
 * before the next.
 *
 *	BUCKETS	column by column, of all lanes
 *	RUNS	region by region, of all lanes: what each look-up found
 *	rows of short runs	their hints, then one word of their lines
 *	BLOCKS of long runs and of the rest	block by block, for the lanes whose summaries have it,
 *		TOGETHER lanes at a time, so that a block's lines are fetched once a burst
 *	PIECES	words of a block's rows that are left, with lane and first row
 *	ROWS	their checks, their results
 *
 * So what one lane waits for from memory, others wait for at the same time; what is decided by
 * branches, and differs from request to request, is appended to a list without one; and a request
 * for which nothing is left costs nothing behind the lines.
 *
 * A burst of one takes the same way. It is compiled apart, with loops over lanes gone.
 *
 * This file is compiled for each width of enum rg_eval_vectors (lanes.h), as RG_RULE_TABLE_MATCH.
 */
#include <stdbool.h>
#include <string.h>

#include "policy/eval/lanes.h"
#include "policy/eval/rule_table.h"

#define LANES RG_RULE_BURST_MAX
static_assert(LANES == 8 * sizeof(lanes), "a lane is a bit");

/* Runs of no more blocks go without summaries: they would cost more than the blocks. */
#define SUMMARY_BLOCKS_MIN 3
/* Longest run whose rows' hints are looked at. */
#define HINTED_ROWS_MAX 32
/* Lanes that a block is looked at for at once: their lines so far are in registers. */
#define TOGETHER      4

#define LINE_BYTES    (RG_RULE_BLOCK_ROWS / 8)
#define LINE_WORDS    (RG_RULE_BLOCK_ROWS / 64)
#define PARTS	      (LINE_BYTES / sizeof(part)) /* vectors of a line */
#define PIECES_MAX    256
#define SETTLED_MAX   64 /* rows that are fetched together */

#define ALWAYS_INLINE inline __attribute__((always_inline))
#ifdef __AVX2__
typedef words part __attribute__((may_alias));
#else /* wider ones than a register are none */
typedef uint64_t part __attribute__((vector_size(16), may_alias));
#endif
#define PART_WORDS (uint32_t)(sizeof(part) / sizeof(uint64_t))

struct run {
	uint32_t lane;
	uint32_t first, end; /* rows */
};

struct burst {
	const struct rg_rule_table *table;
	const struct rg_rule_column *columns;
	const int64_t *values; /* of a column's input: lanes one after the other */
	size_t stride;
	uint32_t *results;
	uint32_t capacity;
	uint32_t *counts;
	lanes asked;
	uint32_t count; /* lanes up to the last one asked */
	uint32_t run_count;
	uint32_t piece_count;
	/* By lane and column, the bucket: how far its line lies behind that of bucket 0. */
	uint16_t offsets[LANES][RG_RULE_COLUMNS_MAX] __attribute__((aligned(64)));
	struct run runs[LANES * RG_RULE_REGIONS_MAX];
	struct {
		uint64_t rows[PIECES_MAX]; /* a bit a row */
		uint32_t first[PIECES_MAX], lane[PIECES_MAX];
	} pieces;
};

#define EACH_LANE(of, lane)                                                                        \
	for (lanes rest_ = (of), lane; rest_ && (lane = (lanes)__builtin_ctz(rest_), 1);           \
	     rest_ &= rest_ - 1)

static ALWAYS_INLINE int64_t value_of(const struct burst *burst, uint32_t column, uint32_t lane)
{
	return burst->values[burst->columns[column].input * burst->stride + lane];
}

/* ---- buckets ---- */

static ALWAYS_INLINE integers smaller(integers a, integers b)
{
#ifdef __AVX512DQ__
	return (integers)_mm512_min_epi64((__m512i)a, (__m512i)b);
#else
	return choose(a < b, a, b);
#endif
}

static ALWAYS_INLINE integers larger(integers a, integers b)
{
#ifdef __AVX512DQ__
	return (integers)_mm512_max_epi64((__m512i)a, (__m512i)b);
#else
	return choose(a > b, a, b);
#endif
}

/* The bucket of a cell's value v, as its line's offset. */
static ALWAYS_INLINE uint16_t offset_of(const uint8_t *cell, const int64_t *cuts, int64_t v,
					uint32_t steps)
{
	uint32_t bucket = *cell;

	cuts += bucket;
#ifdef __AVX512DQ__
	for (; steps > 2; steps -= steps < 8 ? steps : 8, cuts += 8) {
		__mmask8 those = (__mmask8)_bzhi_u32(0xff, steps);

		bucket += (uint32_t)__builtin_popcount(NUMBER_OF_MASK(_mm512_mask_cmple_epi64_mask(
			those, _mm512_maskz_loadu_epi64(those, cuts), _mm512_set1_epi64(v))));
	}
#endif
	for (uint32_t i = 0; i < steps; i++)
		bucket += cuts[i] <= v;
	return (uint16_t)(bucket * LINE_BYTES);
}

/* Values of a group's lanes, of which so many are there. */
static ALWAYS_INLINE integers load_group(const int64_t *from, size_t count)
{
	integers values = {0};

	if (count >= WIDE)
		memcpy(&values, from, sizeof(values));
	else
		for (size_t i = 0; i < count; i++)
			values[i] = from[i];
	return values;
}

/* The bucket of one value: as below. */
static ALWAYS_INLINE void find_bucket(struct burst *burst, uint32_t number)
{
	const struct rg_rule_column *column = &burst->columns[number];
	const uint8_t *cells = RG_RULE_AT(burst->table, uint8_t, cells) + column->cells;
	const int64_t *cuts = RG_RULE_AT(burst->table, int64_t, cuts) + column->cuts;
	int64_t value = burst->values[column->input * burst->stride],
		last = (int64_t)((uint64_t)column->base + column->range),
		v = value < column->base ? column->base : value;
	uint16_t offset;

	v = v > last ? last : v;
	cells += ((uint64_t)v - (uint64_t)column->base) >> column->shift;
	offset = offset_of(cells, cuts, v, column->steps);
	burst->offsets[0][number] = value == RG_RULE_ABSENT
					    ? (uint16_t)((column->bucket_count - 1) * LINE_BYTES)
					    : offset;
}

/* The buckets of all lanes' values of a column, asked or not. */
static ALWAYS_INLINE void find_buckets(struct burst *burst, uint32_t number)
{
	const struct rg_rule_column *column = &burst->columns[number];
	const uint8_t *cells = RG_RULE_AT(burst->table, uint8_t, cells) + column->cells;
	const int64_t *cuts = RG_RULE_AT(burst->table, int64_t, cuts) + column->cuts,
		      *values = burst->values + column->input * burst->stride;
	const integers base = all_of(column->base),
		       last = all_of((int64_t)((uint64_t)column->base + column->range));
	const uint32_t count = burst->count, steps = column->steps;
	integers clamped[LANES / WIDE];
	words cell[LANES / WIDE];
	lanes absent = 0;

	for (uint32_t lane = 0; lane < count; lane += WIDE) {
		integers v = load_group(values + lane, burst->stride - lane);

		clamped[lane / WIDE] = smaller(larger(v, base), last);
		cell[lane / WIDE] = ((words)clamped[lane / WIDE] - (words)base) >> column->shift;
		absent |= COMPARE(EQ, v, all_of(RG_RULE_ABSENT)) << lane;
	}
#define EACH_OFFSET(steps)                                                                         \
	for (uint32_t lane = 0; lane < count; lane++)                                              \
	burst->offsets[lane][number] = offset_of(cells + ((const uint64_t *)cell)[lane], cuts,     \
						 ((const int64_t *)clamped)[lane], steps)
	if (!steps)
		EACH_OFFSET(0);
	else if (steps == 1)
		EACH_OFFSET(1);
	else
		EACH_OFFSET(steps);
	EACH_LANE (absent & burst->asked, lane)
		burst->offsets[lane][number] = (uint16_t)((column->bucket_count - 1) * LINE_BYTES);
}

static ALWAYS_INLINE void find_all_buckets(struct burst *burst, bool alone)
{
	if (!burst->table->columns.count) /* what hints name if there are no columns */
		EACH_LANE (burst->asked, lane)
			burst->offsets[lane][0] = 0;
	for (uint32_t c = 0; c < burst->table->columns.count; c++) {
		if (alone)
			find_bucket(burst, c);
		else
			find_buckets(burst, c);
	}
}

/* ---- runs ---- */

static ALWAYS_INLINE void add_run(struct burst *burst, uint32_t lane, uint32_t first, uint32_t end)
{
	const struct rg_rule_row *rows = RG_RULE_AT(burst->table, struct rg_rule_row, rows);

	__builtin_prefetch(&rows[first]);
	burst->runs[burst->run_count] = (struct run){lane, first, end};
	burst->run_count += first < end;
}

static ALWAYS_INLINE void find_direct(struct burst *burst, const struct rg_rule_region *region)
{
	const uint32_t *starts = RG_RULE_AT(burst->table, uint32_t, starts) + region->starts;

	EACH_LANE (burst->asked, lane) {
		uint64_t offset =
			(uint64_t)value_of(burst, region->column, lane) - (uint64_t)region->base;
		bool is_in = offset < region->start_count - 1u;

		offset = is_in ? offset : 0;
		add_run(burst, lane, starts[offset], starts[offset + is_in]);
	}
}

static ALWAYS_INLINE void find_hashed(struct burst *burst, const struct rg_rule_region *region)
{
	const struct rg_rule_key *keys =
		RG_RULE_AT(burst->table, struct rg_rule_key, keys) + region->keys;
	const uint32_t mask = region->key_count - 1;

	EACH_LANE (burst->asked, lane)
		__builtin_prefetch(
			&keys[rg_rule_key_hash(value_of(burst, region->column, lane)) & mask]);
	EACH_LANE (burst->asked, lane) {
		int64_t v = value_of(burst, region->column, lane);
		uint32_t at = rg_rule_key_hash(v) & mask;

		while (keys[at].value != v && keys[at].count)
			at = (at + 1) & mask;
		add_run(burst, lane, keys[at].first, keys[at].first + keys[at].count);
	}
}

static ALWAYS_INLINE void find_runs(struct burst *burst)
{
	const struct rg_rule_region *regions =
		RG_RULE_AT(burst->table, struct rg_rule_region, regions);

	for (uint32_t i = 0; i < burst->table->regions.count; i++) {
		if (regions[i].key_count)
			find_hashed(burst, &regions[i]);
		else
			find_direct(burst, &regions[i]);
	}
}

/* ---- checks ---- */

static ALWAYS_INLINE int64_t operand(const uint32_t *operands, uint32_t i, bool wide)
{
	int64_t v;

	if (!wide)
		return (int32_t)operands[i];
	memcpy(&v, operands + 2 * (size_t)i, sizeof(v));
	return v;
}

/* Is v one of the points, or in one of the intervals? They ascend. */
static ALWAYS_INLINE bool is_among(const uint32_t *operands, uint32_t count, uint32_t check,
				   int64_t v)
{
	bool wide = check & RG_RULE_CHECK_WIDE;
	int64_t low, high;
	uint32_t step = check & RG_RULE_CHECK_INTERVALS ? 2 : 1, first = 0;

	while (count > 1) { /* to the last one that begins at v or below */
		uint32_t half = count / 2;

		first += operand(operands, (first + half) * step, wide) <= v ? half : 0;
		count -= half;
	}
	low = operand(operands, first * step, wide);
	high = operand(operands, first * step + step - 1, wide);
	high = check & RG_RULE_CHECK_FROM ? INT64_MAX : high;
	return (low <= v) & (v <= high);
}

static bool checks_hold(const struct burst *burst, const uint32_t *at, uint32_t lane)
{
	for (;; at += rg_rule_check_words(*at)) {
		int64_t v = value_of(burst, *at & RG_RULE_CHECK_COLUMN, lane);
		bool holds = is_among(at + 1, *at >> RG_RULE_CHECK_COUNT_SHIFT, *at, v) !=
			     !!(*at & RG_RULE_CHECK_NEGATED);

		holds = v == RG_RULE_ABSENT ? !!(*at & RG_RULE_CHECK_IF_ABSENT) : holds;
		if (!holds || *at & RG_RULE_CHECK_LAST)
			return holds;
	}
}

/* Rows with their lanes: verify them and hand on the results of those that hold. */
static ALWAYS_INLINE void settle_rows(struct burst *burst, const uint32_t *rows, const uint32_t *of,
				      uint32_t count)
{
	const struct rg_rule_row *table_rows = RG_RULE_AT(burst->table, struct rg_rule_row, rows);
	const uint32_t *checks = RG_RULE_AT(burst->table, uint32_t, checks);

	for (uint32_t i = 0; i < count; i++)
		__builtin_prefetch(&checks[table_rows[rows[i]].check]);
	for (uint32_t i = 0; i < count; i++) {
		const struct rg_rule_row *row = &table_rows[rows[i]];
		uint32_t lane = of[i], at = burst->counts[lane];

		if (row->check && !checks_hold(burst, &checks[row->check], lane))
			continue;
		if (at < burst->capacity)
			burst->results[(size_t)lane * burst->capacity + at] = row->result;
		burst->counts[lane] = at + 1;
	}
}

static void settle(struct burst *burst)
{
	const struct rg_rule_row *table_rows = RG_RULE_AT(burst->table, struct rg_rule_row, rows);
	uint32_t rows[SETTLED_MAX], of[SETTLED_MAX], count = 0;

	for (uint32_t i = 0; i < burst->piece_count; i++) {
		for (uint64_t rest = burst->pieces.rows[i]; rest; rest &= rest - 1) {
			rows[count] = burst->pieces.first[i] + (uint32_t)__builtin_ctzll(rest);
			of[count] = burst->pieces.lane[i];
			__builtin_prefetch(&table_rows[rows[count]]);
			if (++count < SETTLED_MAX)
				continue;
			settle_rows(burst, rows, of, count);
			count = 0;
		}
	}
	settle_rows(burst, rows, of, count);
	burst->piece_count = 0;
}

/* ---- pieces ---- */

/* If none of the rows is left, what is written is written over. */
static ALWAYS_INLINE void add_piece(struct burst *burst, uint32_t lane, uint32_t first,
				    uint64_t rows)
{
	uint32_t at = burst->piece_count;

	burst->pieces.rows[at] = rows;
	burst->pieces.first[at] = first;
	burst->pieces.lane[at] = lane;
	burst->piece_count = at + (rows != 0);
}

/* What is left of a block whose first row is `first`. */
static ALWAYS_INLINE void add_pieces(struct burst *burst, uint32_t lane, uint32_t first,
				     const part *left)
{
#ifdef __AVX512DQ__
	const __m256i offsets = _mm256_setr_epi32(0, 64, 128, 192, 256, 320, 384, 448);
	__m512i line = (__m512i)left[0];
	__mmask8 some = _mm512_test_epi64_mask(line, line);
	uint32_t at = burst->piece_count;

	_mm512_storeu_si512(&burst->pieces.rows[at], _mm512_maskz_compress_epi64(some, line));
	_mm256_storeu_si256(
		(__m256i *)&burst->pieces.first[at],
		_mm256_maskz_compress_epi32(
			some, _mm256_add_epi32(offsets, _mm256_set1_epi32((int)first))));
	_mm256_storeu_si256((__m256i *)&burst->pieces.lane[at], _mm256_set1_epi32((int)lane));
	burst->piece_count = at + (uint32_t)__builtin_popcount(NUMBER_OF_MASK(some));
#else
	part any = left[0];
	uint64_t some = 0;

	for (uint32_t p = 1; p < PARTS; p++)
		any |= left[p];
	for (uint32_t i = 0; i < PART_WORDS; i++)
		some |= any[i];
	if (!some)
		return;
	for (uint32_t i = 0; i < LINE_WORDS; i++)
		add_piece(burst, lane, first + 64 * i, left[i / PART_WORDS][i % PART_WORDS]);
#endif
}

/* ---- short runs ---- */

/* A bit for each of count rows whose hints a lane's buckets meet. */
static ALWAYS_INLINE uint64_t hinted(const struct rg_rule_row *rows, uint32_t count,
				     const uint16_t *offsets)
{
	uint64_t hold = 0;

#ifdef __AVX512DQ__
	const __m512i *of_lane = (const __m512i *)offsets;
	const __m512i buckets = _mm512_inserti64x4(
		_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(of_lane[0], 6))),
		_mm512_cvtepi16_epi8(_mm512_srli_epi16(of_lane[1], 6)), 1);

	for (uint32_t i = 0; i < count; i += 4) {
		/* Of each byte, the bucket of the column it names; shifted to `low` and `high`. */
		__mmask8 those = (__mmask8)(count - i < 4 ? (1u << 2 * (count - i)) - 1 : 0xff);
		__m512i four = _mm512_maskz_loadu_epi64(those, rows + i);
		__m512i named = _mm512_permutexvar_epi8(four, buckets);
		uint64_t from = _mm512_cmpge_epu8_mask(_mm512_slli_epi32(named, 8), four);
		uint64_t to = _mm512_cmple_epu8_mask(_mm512_slli_epi32(named, 16), four);
		uint64_t all = from >> 9 & from >> 13 & to >> 10 & to >> 14;

		hold |= _pext_u64(all, 0x0001000100010001) << i;
	}
	return count < 64 ? hold & ((1ull << count) - 1) : hold;
#else
	for (uint32_t i = 0; i < count; i++) {
		const struct rg_rule_hint *a = &rows[i].hints[0], *b = &rows[i].hints[1];
		uint32_t of_a = offsets[a->column] / LINE_BYTES,
			 of_b = offsets[b->column] / LINE_BYTES;

		hold |= (uint64_t)((uint32_t)(of_a >= a->low) & (uint32_t)(of_a <= a->high) &
				   (uint32_t)(of_b >= b->low) & (uint32_t)(of_b <= b->high))
			<< i;
	}
	return hold;
#endif
}

/* The rows of a run within one word of a block, by their hints. */
static ALWAYS_INLINE void hint_run(struct burst *burst, struct run run)
{
	const struct rg_rule_row *rows = RG_RULE_AT(burst->table, struct rg_rule_row, rows);

	while (run.first < run.end) {
		uint32_t end = (run.first | 63u) + 1;

		end = end < run.end ? end : run.end;
		add_piece(burst, run.lane, run.first & ~63u,
			  hinted(&rows[run.first], end - run.first, burst->offsets[run.lane])
				  << run.first % 64);
		run.first = end;
	}
}

/* Of pieces from `first` on, which have passed the hints only, what the lines leave. */
static ALWAYS_INLINE void narrow(struct burst *burst, uint32_t first)
{
	const struct rg_rule_table *table = burst->table;
	const struct rg_rule_block *blocks = RG_RULE_AT(table, struct rg_rule_block, blocks);
	const struct rg_rule_entry *entries = RG_RULE_AT(table, struct rg_rule_entry, entries);
	const uint8_t *lines = RG_RULE_AT(table, uint8_t, lines);
	uint32_t end = burst->piece_count;

	burst->piece_count = first;
	for (uint32_t i = first; i < end; i++) {
		uint32_t row = burst->pieces.first[i], lane = burst->pieces.lane[i];
		const struct rg_rule_block *block = &blocks[row / RG_RULE_BLOCK_ROWS];
		const struct rg_rule_entry *entry = entries + block->first;
		const uint16_t *offsets = burst->offsets[lane];
		const uint8_t *word = lines + row / 8 % LINE_BYTES;
		uint64_t rows = burst->pieces.rows[i];

		for (const struct rg_rule_entry *last = entry + block->count; entry < last; entry++)
			rows &= *(const uint64_t *)(word + (size_t)entry->line * LINE_BYTES +
						    offsets[entry->column]);
		add_piece(burst, lane, row, rows);
	}
}

/* ---- blocks ---- */

/* Bits of [first, end) in the word whose bits begin at base. */
static ALWAYS_INLINE uint64_t bits_between(uint64_t first, uint64_t end, uint64_t base)
{
	uint64_t from = first > base ? first - base : 0;
	uint64_t to = end > base ? end - base : 0;
	uint64_t below_to = to >= 64 ? UINT64_MAX : (1ull << to) - 1;

	return from >= 64 ? 0 : below_to & UINT64_MAX << from;
}

/* Rows [first, end) of the part of a block that begins at `base`. */
static ALWAYS_INLINE part rows_between(uint32_t first, uint32_t end, uint32_t base)
{
	part within = ~(part){0};

	if (first <= base && end >= base + 64 * PART_WORDS)
		return within;
#ifdef __AVX512DQ__
	const __m512i bases = _mm512_add_epi64(
			      _mm512_setr_epi64(0, 64, 128, 192, 256, 320, 384, 448),
			      _mm512_set1_epi64(base)),
		      zero = _mm512_setzero_si512(), ones = _mm512_set1_epi64(-1);
	__m512i from = _mm512_max_epi64(_mm512_sub_epi64(_mm512_set1_epi64(first), bases), zero),
		to = _mm512_max_epi64(_mm512_sub_epi64(_mm512_set1_epi64(end), bases), zero);

	return (part)_mm512_andnot_si512(_mm512_sllv_epi64(ones, to),
					 _mm512_sllv_epi64(ones, from));
#else
	for (uint32_t i = 0; i < PART_WORDS; i++)
		within[i] = bits_between(first, end, base + 64 * i);
	return within;
#endif
}

/* Rows [first, end) of a block, for some lanes. */
static ALWAYS_INLINE void visit(struct burst *burst, uint32_t number, uint32_t first, uint32_t end,
				const uint32_t *of, const uint32_t count)
{
	const struct rg_rule_block *block =
		RG_RULE_AT(burst->table, struct rg_rule_block, blocks) + number;
	const struct rg_rule_entry *entry =
		RG_RULE_AT(burst->table, struct rg_rule_entry, entries) + block->first;
	const uint8_t *lines = RG_RULE_AT(burst->table, uint8_t, lines);
	uint32_t base = number * RG_RULE_BLOCK_ROWS;
	part left[TOGETHER][PARTS];
	const uint16_t *offsets[TOGETHER];

#pragma GCC unroll 4
	for (uint32_t i = 0; i < count; i++)
		offsets[i] = burst->offsets[of[i]];
#pragma GCC unroll 4
	for (uint32_t p = 0; p < PARTS; p++) {
		part within = rows_between(first, end, base + 64 * PART_WORDS * p);

#pragma GCC unroll 4
		for (uint32_t i = 0; i < count; i++)
			left[i][p] = within;
	}
	for (const struct rg_rule_entry *last = entry + block->count; entry < last; entry++) {
		const uint8_t *line = lines + (size_t)entry->line * LINE_BYTES;
		uint32_t column = entry->column;

#pragma GCC unroll 4
		for (uint32_t i = 0; i < count; i++) {
			const part *from = (const part *)(line + offsets[i][column]);

#pragma GCC unroll 4
			for (uint32_t p = 0; p < PARTS; p++)
				left[i][p] &= from[p];
		}
	}
#pragma GCC unroll 4
	for (uint32_t i = 0; i < count; i++)
		add_pieces(burst, of[i], base, left[i]);
}

/* The same for any lanes. */
static ALWAYS_INLINE void visit_lanes(struct burst *burst, uint32_t number, uint32_t first,
				      uint32_t end, lanes those, bool alone)
{
	while (those) {
		uint32_t of[TOGETHER];

		if (burst->piece_count > PIECES_MAX - TOGETHER * LINE_WORDS)
			settle(burst);
		if (alone || !(those & (those - 1))) {
			of[0] = (uint32_t)__builtin_ctz(those);
			visit(burst, number, first, end, of, 1);
			return;
		}
		if (__builtin_popcount(those) >= TOGETHER) {
#pragma GCC unroll 4
			for (uint32_t i = 0; i < TOGETHER; i++, those &= those - 1)
				of[i] = (uint32_t)__builtin_ctz(those);
			visit(burst, number, first, end, of, TOGETHER);
		} else {
#pragma GCC unroll 2
			for (uint32_t i = 0; i < 2; i++, those &= those - 1)
				of[i] = (uint32_t)__builtin_ctz(those);
			visit(burst, number, first, end, of, 2);
		}
	}
}

/* Blocks 64 x word ... that every column lets a row of a lane through in. */
static ALWAYS_INLINE uint64_t summary_of(const struct burst *burst, uint32_t lane, uint32_t word)
{
	const struct rg_rule_table *table = burst->table;
	const uint16_t *offsets = burst->offsets[lane];
	const uint64_t *summaries = RG_RULE_AT(table, uint64_t, summaries) + word;
	uint64_t all = UINT64_MAX;

	for (uint32_t i = 0; i < table->columns.count; i++)
		all &= summaries[burst->columns[i].summary +
				 offsets[i] / LINE_BYTES * table->summary_words];
	return all;
}

static ALWAYS_INLINE lanes having(const uint64_t *of_lanes, uint32_t bit, uint32_t count)
{
	lanes have = 0;

	for (uint32_t lane = 0; lane < count; lane += WIDE)
		have |= bits_of((((const integers *)of_lanes)[lane / WIDE] &
				 all_of((int64_t)(1ull << bit))) != all_of(0))
			<< lane;
	return have;
}

/* Rows [first, end) for some lanes, block by block. */
static ALWAYS_INLINE void visit_blocks(struct burst *burst, uint32_t first, uint32_t end,
				       lanes those, bool alone)
{
	uint32_t from = first / RG_RULE_BLOCK_ROWS, to = (end - 1) / RG_RULE_BLOCK_ROWS + 1;

	if (!burst->table->summary_words || to - from < SUMMARY_BLOCKS_MIN) {
		for (uint32_t number = from; number < to; number++)
			visit_lanes(burst, number, first, end, those, alone);
		return;
	}
	for (uint32_t word = from / 64; word <= (to - 1) / 64; word++) {
		uint64_t summaries[LANES] __attribute__((aligned(64))) = {0}, any = 0;

		EACH_LANE (those, lane) {
			summaries[lane] = summary_of(burst, lane, word);
			any |= summaries[lane];
		}
		for (any &= bits_between(from, to, 64 * (uint64_t)word); any; any &= any - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(any);

			visit_lanes(burst, 64 * word + bit, first, end,
				    alone ? those : having(summaries, bit, burst->count), alone);
		}
	}
}

/* ---- all of it ---- */

static ALWAYS_INLINE void match_runs(struct burst *burst, bool alone)
{
	uint32_t first = burst->piece_count;

	for (uint32_t i = 0; i < burst->run_count; i++) {
		struct run run = burst->runs[i];

		if (run.end - run.first <= HINTED_ROWS_MAX) {
			hint_run(burst, run);
			if (burst->piece_count < PIECES_MAX / 2)
				continue;
		}
		narrow(burst, first);
		if (run.end - run.first > HINTED_ROWS_MAX)
			visit_blocks(burst, run.first, run.end, (lanes)1 << run.lane, true);
		if (burst->piece_count >= PIECES_MAX / 2)
			settle(burst);
		first = burst->piece_count;
	}
	narrow(burst, first);
}

static ALWAYS_INLINE void match(struct burst *burst, bool alone)
{
	const struct rg_rule_table *table = burst->table;

	find_all_buckets(burst, alone);
	if (table->rest) {
		find_runs(burst);
		match_runs(burst, alone);
	}
	if (table->rest < table->row_count)
		visit_blocks(burst, table->rest, table->row_count, burst->asked, alone);
	if (burst->piece_count)
		settle(burst);
}

void RG_RULE_TABLE_MATCH(const struct rg_rule_table *table, const int64_t *values, size_t stride,
			 uint32_t asked, uint32_t *results, uint32_t capacity, uint32_t *counts)
{
	struct burst burst;

	burst.table = table;
	burst.columns = RG_RULE_AT(table, struct rg_rule_column, columns);
	burst.values = values;
	burst.stride = stride;
	burst.results = results;
	burst.capacity = capacity;
	burst.counts = counts;
	burst.asked = asked;
	burst.count = asked ? LANES - (uint32_t)__builtin_clz(asked) : 0;
	burst.run_count = burst.piece_count = 0;
	if (asked == 1)
		match(&burst, true);
	else if (asked)
		match(&burst, false);
}

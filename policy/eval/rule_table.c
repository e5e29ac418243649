/* SPDX-License-Identifier: Apache-2.0 */
/* Matching: buckets and runs of a request, then its blocks, then what survives. */
#include "policy/eval/rule_table.h"

#include <string.h>

/* Survivors are collected before they are verified, so that their rows are fetched together. */
#define SURVIVORS_MAX (2 * RG_RULE_BLOCK_ROWS + 64 * (RG_RULE_REGIONS_MAX + 1))
/* A run over fewer blocks goes without summaries: they would cost more than the blocks. */
#define SUMMARY_BLOCKS_MIN 3
/* Longest run whose rows' hints are looked at. */
#define HINTED_ROWS_MAX 32
/* From this size on a burst asks for its lines ahead. */
#define PREFETCH_BYTES (256u << 10)

#define ALWAYS_INLINE  inline __attribute__((always_inline))

/* Half a line. */
typedef uint64_t half_line __attribute__((vector_size(32), aligned(32), may_alias));

struct run {
	uint32_t first, end; /* rows */
};

/* A request on its way through the table. */
struct probe {
	int64_t values[RG_RULE_COLUMNS_MAX];
	uint32_t buckets[RG_RULE_COLUMNS_MAX];
	struct run runs[RG_RULE_REGIONS_MAX + 1];
	uint32_t run_count;
};

/* Where matches go. */
struct sink {
	uint32_t *results;
	uint32_t capacity, count;
	uint32_t survivor_count;
	uint32_t survivors[SURVIVORS_MAX]; /* rows */
};

/* ---- buckets and runs ---- */

static ALWAYS_INLINE uint32_t bucket_of(const struct rg_rule_table *table,
					const struct rg_rule_column *column, int64_t v)
{
	int64_t last = (int64_t)((uint64_t)column->base + column->range);
	int64_t clamped = v < column->base ? column->base : v > last ? last : v;
	uint64_t cell = ((uint64_t)clamped - (uint64_t)column->base) >> column->shift;
	uint32_t bucket = RG_RULE_AT(table, uint8_t, cells)[column->cells + cell];
	const int64_t *cuts = RG_RULE_AT(table, int64_t, cuts) + column->cuts + bucket;

	for (uint32_t i = 0; i < column->steps; i++)
		bucket += cuts[i] <= clamped;
	return v == RG_RULE_ABSENT ? column->bucket_count - 1u : bucket;
}

static ALWAYS_INLINE struct run run_of(const struct rg_rule_table *table,
				       const struct rg_rule_region *region, int64_t v)
{
	const struct rg_rule_key *keys = RG_RULE_AT(table, struct rg_rule_key, keys) + region->keys;
	const uint32_t *starts = RG_RULE_AT(table, uint32_t, starts) + region->starts;
	uint64_t offset = (uint64_t)v - (uint64_t)region->base;
	uint32_t mask = region->key_count - 1;

	if (!region->key_count)
		return offset < region->start_count - 1u
			       ? (struct run){starts[offset], starts[offset + 1]}
			       : (struct run){0};
	for (uint32_t at = rg_rule_key_hash(v) & mask; keys[at].count; at = (at + 1) & mask) {
		if (keys[at].value == v)
			return (struct run){keys[at].first, keys[at].first + keys[at].count};
	}
	return (struct run){0};
}

static ALWAYS_INLINE void prepare(const struct rg_rule_table *table, const int64_t *values,
				  size_t stride, struct probe *probe)
{
	const struct rg_rule_column *columns = RG_RULE_AT(table, struct rg_rule_column, columns);
	const struct rg_rule_region *regions = RG_RULE_AT(table, struct rg_rule_region, regions);

	for (uint32_t i = 0; i < table->columns.count; i++) {
		probe->values[i] = values[columns[i].input * stride];
		probe->buckets[i] = bucket_of(table, &columns[i], probe->values[i]);
	}
	probe->run_count = 0;
	for (uint32_t i = 0; i < table->regions.count; i++) {
		struct run run = run_of(table, &regions[i], probe->values[regions[i].column]);

		probe->runs[probe->run_count] = run;
		probe->run_count += run.first < run.end;
	}
	if (table->rest < table->row_count)
		probe->runs[probe->run_count++] = (struct run){table->rest, table->row_count};
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
	uint32_t step = check & RG_RULE_CHECK_INTERVALS ? 2 : 1, first = 0;

	while (count > 1) { /* to the last one that begins at v or below */
		uint32_t half = count / 2;

		first += operand(operands, (first + half) * step, wide) <= v ? half : 0;
		count -= half;
	}
	if (check & RG_RULE_CHECK_FROM)
		return operand(operands, 0, wide) <= v;
	if (step == 1)
		return operand(operands, first, wide) == v;
	return operand(operands, 2 * first, wide) <= v &&
	       v <= operand(operands, 2 * first + 1, wide);
}

static ALWAYS_INLINE bool checks_hold(const uint32_t *at, const struct probe *probe)
{
	for (;; at += rg_rule_check_words(*at)) {
		int64_t v = probe->values[*at & RG_RULE_CHECK_COLUMN];
		bool holds;

		if (v == RG_RULE_ABSENT)
			holds = *at & RG_RULE_CHECK_IF_ABSENT;
		else
			holds = is_among(at + 1, *at >> RG_RULE_CHECK_COUNT_SHIFT, *at, v) !=
				!!(*at & RG_RULE_CHECK_NEGATED);
		if (!holds || *at & RG_RULE_CHECK_LAST)
			return holds;
	}
}

static ALWAYS_INLINE void settle_row(const struct rg_rule_row *row, const uint32_t *checks,
				     const struct probe *probe, struct sink *sink)
{
	if (row->check && !checks_hold(&checks[row->check], probe))
		return;
	if (sink->count < sink->capacity)
		sink->results[sink->count] = row->result;
	sink->count++;
}

/* Verify what survived and hand on the results. */
static ALWAYS_INLINE void settle(const struct rg_rule_table *table, const struct probe *probe,
				 struct sink *sink)
{
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);
	const uint32_t *checks = RG_RULE_AT(table, uint32_t, checks);

	if (sink->survivor_count > 2) {
		for (uint32_t i = 0; i < sink->survivor_count; i++)
			__builtin_prefetch(&checks[rows[sink->survivors[i]].check]);
	}
	for (uint32_t i = 0; i < sink->survivor_count; i++)
		settle_row(&rows[sink->survivors[i]], checks, probe, sink);
	sink->survivor_count = 0;
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

/* Rows base .. base + 63 that are left. */
static ALWAYS_INLINE void survive(const struct rg_rule_table *table, uint32_t base, uint64_t left,
				  struct sink *sink)
{
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);

	for (; left; left &= left - 1) {
		uint32_t row = base + (uint32_t)__builtin_ctzll(left);

		__builtin_prefetch(&rows[row]);
		sink->survivors[sink->survivor_count++] = row;
	}
}

static ALWAYS_INLINE uint32_t hint_holds(struct rg_rule_hint hint, const struct probe *probe)
{
	uint32_t bucket = probe->buckets[hint.column];

	return (uint32_t)(bucket >= hint.low) & (uint32_t)(bucket <= hint.high);
}

/* Rows of a run within one word of a block. */
static ALWAYS_INLINE void match_word(const struct rg_rule_table *table, const struct probe *probe,
				     struct run run, struct sink *sink)
{
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);
	const struct rg_rule_block *block =
		RG_RULE_AT(table, struct rg_rule_block, blocks) + run.first / RG_RULE_BLOCK_ROWS;
	const struct rg_rule_entry *entry =
		RG_RULE_AT(table, struct rg_rule_entry, entries) + block->first;
	const struct rg_rule_line *lines = RG_RULE_AT(table, struct rg_rule_line, lines);
	uint32_t base = run.first & ~63u, word = run.first / 64 % (RG_RULE_BLOCK_ROWS / 64);
	uint64_t left = 0;

	for (uint32_t row = run.first; row < run.end; row++)
		left |= (uint64_t)(hint_holds(rows[row].hints[0], probe) &
				   hint_holds(rows[row].hints[1], probe))
			<< (row - base);
	if (!left)
		return;
	for (const struct rg_rule_entry *end = entry + block->count; entry < end; entry++)
		left &= lines[entry->line + probe->buckets[entry->column]].words[word];
	survive(table, base, left, sink);
}

static ALWAYS_INLINE void match_short(const struct rg_rule_table *table, const struct probe *probe,
				      struct run run, struct sink *sink)
{
	while (run.first < run.end) {
		uint32_t end = (run.first | 63u) + 1;

		end = end < run.end ? end : run.end;
		match_word(table, probe, (struct run){run.first, end}, sink);
		run.first = end;
	}
}

static ALWAYS_INLINE void match_block(const struct rg_rule_table *table, const struct probe *probe,
				      uint32_t number, struct run run, struct sink *sink)
{
	const struct rg_rule_block *block =
		RG_RULE_AT(table, struct rg_rule_block, blocks) + number;
	const struct rg_rule_entry *entry =
		RG_RULE_AT(table, struct rg_rule_entry, entries) + block->first;
	const struct rg_rule_line *lines = RG_RULE_AT(table, struct rg_rule_line, lines);
	uint32_t first_row = number * RG_RULE_BLOCK_ROWS;
	half_line low = ~(half_line){0}, high = ~(half_line){0}, any;
	struct rg_rule_line left;

	for (const struct rg_rule_entry *end = entry + block->count; entry < end; entry++) {
		const half_line *line =
			(const half_line *)&lines[entry->line + probe->buckets[entry->column]];

		low &= line[0];
		high &= line[1];
	}
	any = low | high;
	if (!(any[0] | any[1] | any[2] | any[3]))
		return;
	((half_line *)&left)[0] = low;
	((half_line *)&left)[1] = high;
	for (uint32_t word = 0; word < RG_RULE_BLOCK_ROWS / 64; word++) {
		uint32_t base = first_row + 64 * word;

		if (left.words[word])
			survive(table, base,
				left.words[word] & bits_between(run.first, run.end, base), sink);
	}
	if (sink->survivor_count > RG_RULE_BLOCK_ROWS) /* room for a block and a word of each run */
		settle(table, probe, sink);
}

/* Blocks 64 x word ... that every column lets a row through in. */
static ALWAYS_INLINE uint64_t summary_of(const struct rg_rule_table *table,
					 const struct probe *probe, uint32_t word)
{
	const struct rg_rule_column *columns = RG_RULE_AT(table, struct rg_rule_column, columns);
	const uint64_t *summaries = RG_RULE_AT(table, uint64_t, summaries) + word;
	uint64_t all = UINT64_MAX;

	for (uint32_t i = 0; i < table->columns.count; i++)
		all &= summaries[columns[i].summary + probe->buckets[i] * table->summary_words];
	return all;
}

/* Call `visit` for each block that a run may have matches in. */
#define FOR_BLOCKS(table, probe, run, visit)                                                       \
	do {                                                                                       \
		uint32_t from = (run).first / RG_RULE_BLOCK_ROWS,                                  \
			 to = ((run).end - 1) / RG_RULE_BLOCK_ROWS + 1;                            \
                                                                                                   \
		if (!(table)->summary_words || to - from < SUMMARY_BLOCKS_MIN) {                   \
			for (uint32_t number = from; number < to; number++)                        \
				visit;                                                             \
			break;                                                                     \
		}                                                                                  \
		for (uint32_t word = from / 64; word <= (to - 1) / 64; word++) {                   \
			for (uint64_t blocks = summary_of(table, probe, word) &                    \
					       bits_between(from, to, 64 * (uint64_t)word);        \
			     blocks; blocks &= blocks - 1) {                                       \
				uint32_t number = 64 * word + (uint32_t)__builtin_ctzll(blocks);   \
				visit;                                                             \
			}                                                                          \
		}                                                                                  \
	} while (0)

static ALWAYS_INLINE void prefetch_block(const struct rg_rule_table *table,
					 const struct probe *probe, uint32_t number)
{
	const struct rg_rule_block *block =
		RG_RULE_AT(table, struct rg_rule_block, blocks) + number;
	const struct rg_rule_entry *entry =
		RG_RULE_AT(table, struct rg_rule_entry, entries) + block->first;
	const struct rg_rule_line *lines = RG_RULE_AT(table, struct rg_rule_line, lines);

	for (const struct rg_rule_entry *end = entry + block->count; entry < end; entry++)
		__builtin_prefetch(&lines[entry->line + probe->buckets[entry->column]]);
}

static ALWAYS_INLINE void prefetch(const struct rg_rule_table *table, const struct probe *probe)
{
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);

	for (uint32_t i = 0; i < probe->run_count; i++) {
		struct run run = probe->runs[i];

		if (run.end - run.first > HINTED_ROWS_MAX)
			FOR_BLOCKS(table, probe, run, prefetch_block(table, probe, number));
		else
			for (uint32_t row = run.first; row < run.end; row += 4)
				__builtin_prefetch(&rows[row]);
	}
}

static ALWAYS_INLINE uint32_t match(const struct rg_rule_table *table, const struct probe *probe,
				    uint32_t *results, uint32_t capacity)
{
	struct sink sink;

	sink.results = results;
	sink.capacity = capacity;
	sink.count = sink.survivor_count = 0;
	for (uint32_t i = 0; i < probe->run_count; i++) {
		struct run run = probe->runs[i];

		if (run.end - run.first > HINTED_ROWS_MAX)
			FOR_BLOCKS(table, probe, run,
				   match_block(table, probe, number, run, &sink));
		else
			match_short(table, probe, run, &sink);
	}
	if (sink.survivor_count)
		settle(table, probe, &sink);
	return sink.count;
}

static ALWAYS_INLINE void match_all(const struct rg_rule_table *table, const int64_t *values,
				    size_t stride, uint32_t count, uint32_t *results,
				    uint32_t capacity, uint32_t *counts)
{
	bool ahead = table->bytes >= PREFETCH_BYTES && count > 1;
	struct probe probes[2];

	probes[0].buckets[0] = probes[1].buckets[0] =
		0; /* what hints name if there are no columns */
	if (count)
		prepare(table, values, stride, &probes[0]);
	for (uint32_t i = 0; i < count; i++) {
		if (i + 1 < count) {
			prepare(table, values + i + 1, stride, &probes[(i + 1) % 2]);
			if (ahead)
				prefetch(table, &probes[(i + 1) % 2]);
		}
		counts[i] = match(table, &probes[i % 2], results + (size_t)i * capacity, capacity);
	}
}

/* ---- twins ---- */

void rg_rule_table_match_portable(const struct rg_rule_table *table, const int64_t *values,
				  size_t stride, uint32_t count, uint32_t *results,
				  uint32_t capacity, uint32_t *counts)
{
	match_all(table, values, stride, count, results, capacity, counts);
}

#ifdef __x86_64__
__attribute__((target("avx2,bmi,bmi2"))) static void match_avx2(const struct rg_rule_table *table,
								const int64_t *values,
								size_t stride, uint32_t count,
								uint32_t *results,
								uint32_t capacity, uint32_t *counts)
{
	match_all(table, values, stride, count, results, capacity, counts);
}

bool rg_rule_table_uses_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2");
}
#else
#define match_avx2 rg_rule_table_match_portable

bool rg_rule_table_uses_avx2(void)
{
	return false;
}
#endif

void rg_rule_table_match_burst(const struct rg_rule_table *table, const int64_t *values,
			       size_t stride, uint32_t count, uint32_t *results, uint32_t capacity,
			       uint32_t *counts)
{
	if (rg_rule_table_uses_avx2())
		match_avx2(table, values, stride, count, results, capacity, counts);
	else
		rg_rule_table_match_portable(table, values, stride, count, results, capacity,
					     counts);
}

uint32_t rg_rule_table_match(const struct rg_rule_table *table, const int64_t *values,
			     uint32_t *results, uint32_t capacity)
{
	uint32_t count;

	rg_rule_table_match_burst(table, values, 1, 1, results, capacity, &count);
	return count;
}

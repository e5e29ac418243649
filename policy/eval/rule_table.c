/* SPDX-License-Identifier: Apache-2.0 */
/* Matching: buckets and runs of a request, then its blocks, then what survives. */
#include "policy/eval/rule_table.h"

#include <string.h>

/* Survivors are collected before they are verified, so that their rows are fetched together. */
#define SURVIVORS_MAX (2 * RG_RULE_BLOCK_ROWS)
/* A run over fewer blocks goes without summaries: they would cost more than the blocks. */
#define SUMMARY_BLOCKS_MIN 3
/* From this size on a burst asks for its lines ahead. */
#define PREFETCH_BYTES (256u << 10)

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Half a line. */
typedef uint64_t half_line __attribute__((vector_size(32), aligned(32), may_alias));

struct run {
	uint32_t first, end; /* rows */
};

/* A request on its way through the table. */
struct probe {
	int64_t values[RG_RULE_COLUMNS_MAX];
	uint32_t buckets[RG_RULE_COLUMNS_MAX];
	struct run runs[RG_RULE_REGIONS_MAX + 1]; /* of rows with lines */
	struct run lists[RG_RULE_REGIONS_MAX];
	uint32_t run_count, list_count;
};

/* Where matches go. */
struct sink {
	uint32_t *results;
	uint32_t capacity, count;
	uint32_t survivor_count;
	uint32_t survivors[SURVIVORS_MAX]; /* rows */
};

/* ---- buckets and runs ---- */

/* How many of ascending bounds are at most v, without branches that depend on v. */
static ALWAYS_INLINE uint32_t bounds_up_to(const int64_t *bounds, uint32_t count, int64_t v)
{
	const int64_t *at = bounds;

	if (!count)
		return 0;
	while (count > 1) {
		uint32_t half = count / 2;

		at += half & -(uint32_t)(at[half - 1] <= v); /* as a mask: no compiler branches */
		count -= half;
	}
	return (uint32_t)(at - bounds) + (*at <= v);
}

static ALWAYS_INLINE uint32_t bucket_of(const struct rg_rule_table *table,
					const struct rg_rule_column *column, int64_t v)
{
	int64_t last = column->base + (int64_t)column->count - 1;

	if (v == RG_RULE_ABSENT)
		return column->bucket_count - 1u;
	if (column->kind == RG_RULE_SEARCHED)
		return bounds_up_to(RG_RULE_AT(table, int64_t, bounds) + column->first,
				    column->count, v);
	v = v < column->base ? column->base : v;
	v = v > last ? last : v;
	return RG_RULE_AT(table, uint8_t,
			  buckets)[column->first + ((uint64_t)v - (uint64_t)column->base)];
}

static ALWAYS_INLINE struct run run_of(const struct rg_rule_table *table,
				       const struct rg_rule_region *region, int64_t v)
{
	const struct rg_rule_key *keys = RG_RULE_AT(table, struct rg_rule_key, keys) +
					 region->keys_first;
	uint32_t mask = region->keys_count - 1;

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
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);

	for (uint32_t i = 0; i < table->columns.count; i++) {
		probe->values[i] = values[columns[i].input * stride];
		probe->buckets[i] = bucket_of(table, &columns[i], probe->values[i]);
	}
	probe->run_count = probe->list_count = 0;
	for (uint32_t i = 0; i < table->regions.count; i++) {
		struct run run = run_of(table, &regions[i], probe->values[regions[i].column]);

		if (run.end > table->listed) {
			probe->runs[probe->run_count++] = run;
		} else if (run.end) {
			__builtin_prefetch(&rows[run.first]);
			probe->lists[probe->list_count++] = run;
		}
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

static ALWAYS_INLINE void settle_lists(const struct rg_rule_table *table,
				       const struct probe *probe, struct sink *sink)
{
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);
	const uint32_t *checks = RG_RULE_AT(table, uint32_t, checks);

	for (uint32_t i = 0; i < probe->list_count; i++)
		__builtin_prefetch(&checks[rows[probe->lists[i].first].check]);
	for (uint32_t i = 0; i < probe->list_count; i++) {
		for (uint32_t row = probe->lists[i].first; row < probe->lists[i].end; row++)
			settle_row(&rows[row], checks, probe, sink);
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

static ALWAYS_INLINE void match_block(const struct rg_rule_table *table, const struct probe *probe,
				      uint32_t number, struct run run, struct sink *sink)
{
	const struct rg_rule_block *block = RG_RULE_AT(table, struct rg_rule_block, blocks) + number;
	const struct rg_rule_entry *entry =
		RG_RULE_AT(table, struct rg_rule_entry, entries) + block->first;
	const struct rg_rule_line *lines = RG_RULE_AT(table, struct rg_rule_line, lines);
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);
	uint32_t first_row = table->listed + number * RG_RULE_BLOCK_ROWS;
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

		if (!left.words[word])
			continue;
		for (uint64_t rest = left.words[word] & bits_between(run.first, run.end, base);
		     rest; rest &= rest - 1) {
			uint32_t row = base + (uint32_t)__builtin_ctzll(rest);

			__builtin_prefetch(&rows[row]);
			sink->survivors[sink->survivor_count++] = row;
		}
	}
	if (sink->survivor_count > SURVIVORS_MAX - RG_RULE_BLOCK_ROWS)
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

/* Call `visit` for each block that a run of rows with lines may have matches in. */
#define FOR_BLOCKS(table, probe, run, visit)                                                       \
	do {                                                                                       \
		uint32_t from = ((run).first - (table)->listed) / RG_RULE_BLOCK_ROWS,              \
			 to = ((run).end - 1 - (table)->listed) / RG_RULE_BLOCK_ROWS + 1;          \
                                                                                                   \
		if (!(table)->summary_words || to - from < SUMMARY_BLOCKS_MIN) {                   \
			for (uint32_t number = from; number < to; number++)                        \
				visit;                                                             \
			break;                                                                     \
		}                                                                                  \
		for (uint32_t word = from / 64; word <= (to - 1) / 64; word++) {                   \
			for (uint64_t blocks = summary_of(table, probe, word) &                    \
					       bits_between(from, to, 64 * (uint64_t)word);                       \
			     blocks; blocks &= blocks - 1) {                                       \
				uint32_t number = 64 * word + (uint32_t)__builtin_ctzll(blocks);   \
				visit;                                                             \
			}                                                                          \
		}                                                                                  \
	} while (0)

static ALWAYS_INLINE void prefetch_block(const struct rg_rule_table *table,
					 const struct probe *probe, uint32_t number)
{
	const struct rg_rule_block *block = RG_RULE_AT(table, struct rg_rule_block, blocks) + number;
	const struct rg_rule_entry *entry =
		RG_RULE_AT(table, struct rg_rule_entry, entries) + block->first;
	const struct rg_rule_line *lines = RG_RULE_AT(table, struct rg_rule_line, lines);

	for (const struct rg_rule_entry *end = entry + block->count; entry < end; entry++)
		__builtin_prefetch(&lines[entry->line + probe->buckets[entry->column]]);
}

static ALWAYS_INLINE void prefetch(const struct rg_rule_table *table, const struct probe *probe)
{
	for (uint32_t i = 0; i < probe->run_count; i++)
		FOR_BLOCKS(table, probe, probe->runs[i], prefetch_block(table, probe, number));
}

static ALWAYS_INLINE uint32_t match(const struct rg_rule_table *table, const struct probe *probe,
				    uint32_t *results, uint32_t capacity)
{
	struct sink sink;

	sink.results = results;
	sink.capacity = capacity;
	sink.count = sink.survivor_count = 0;
	for (uint32_t i = 0; i < probe->run_count; i++)
		FOR_BLOCKS(table, probe, probe->runs[i],
			   match_block(table, probe, number, probe->runs[i], &sink));
	settle_lists(table, probe, &sink);
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
__attribute__((target("avx2,bmi,bmi2"))) static void
match_avx2(const struct rg_rule_table *table, const int64_t *values, size_t stride, uint32_t count,
	   uint32_t *results, uint32_t capacity, uint32_t *counts)
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

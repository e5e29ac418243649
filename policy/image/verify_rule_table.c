/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of rule tables. Slices follow each other in the order of the header, as do the parts of
 * columns, regions, blocks and rows within them, so that each byte is looked at once and
 * overlapping ones cannot make work.
 */
#include <stdbool.h>

#include "policy/image/rule_table.h"

#define ALIGNMENT 64u

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* The slice begins where the one before ended, and ends in the table. Moves *at behind it. */
static bool slice_is_next(const struct rg_rule_table *table, struct rg_rule_slice slice,
			  uint64_t item_bytes, uint64_t *at)
{
	if (slice.offset != aligned(*at))
		return false;
	*at = slice.offset + slice.count * item_bytes;
	return *at <= table->bytes;
}

static bool slices_are_valid(const struct rg_rule_table *table)
{
	uint64_t at = sizeof(*table);

	return slice_is_next(table, table->columns, sizeof(struct rg_rule_column), &at) &&
	       slice_is_next(table, table->regions, sizeof(struct rg_rule_region), &at) &&
	       slice_is_next(table, table->keys, sizeof(struct rg_rule_key), &at) &&
	       slice_is_next(table, table->starts, sizeof(uint32_t), &at) &&
	       slice_is_next(table, table->cuts, sizeof(int64_t), &at) &&
	       slice_is_next(table, table->cells, 1, &at) &&
	       slice_is_next(table, table->summaries, sizeof(uint64_t), &at) &&
	       slice_is_next(table, table->blocks, sizeof(struct rg_rule_block), &at) &&
	       slice_is_next(table, table->entries, sizeof(struct rg_rule_entry), &at) &&
	       slice_is_next(table, table->rows, sizeof(struct rg_rule_row), &at) &&
	       slice_is_next(table, table->checks, sizeof(uint32_t), &at) &&
	       slice_is_next(table, table->lines, sizeof(struct rg_rule_line), &at) &&
	       aligned(at) == table->bytes;
}

static bool header_is_valid(const struct rg_rule_table *table, uint64_t bytes)
{
	uint32_t blocks;

	if (bytes < sizeof(*table) || table->bytes != bytes || bytes % ALIGNMENT ||
	    table->row_count > RG_RULE_ROWS_MAX || table->rest > table->row_count ||
	    table->columns.count > RG_RULE_COLUMNS_MAX ||
	    table->regions.count > RG_RULE_REGIONS_MAX)
		return false;
	blocks = (table->row_count + RG_RULE_BLOCK_ROWS - 1) / RG_RULE_BLOCK_ROWS;
	for (uint32_t i = 0; i < sizeof(table->reserved); i++) {
		if (table->reserved[i])
			return false;
	}
	return table->rows.count == table->row_count && table->blocks.count == blocks &&
	       (!table->summary_words || table->summary_words == (blocks + 63) / 64) &&
	       slices_are_valid(table);
}

/* Whether a column's part of a slice follows on *next; moves that behind it. */
static bool part_is_next(uint32_t first, uint64_t count, uint64_t limit, uint64_t *next)
{
	if (first != *next || count > limit - *next)
		return false;
	*next += count;
	return true;
}

/* Cells lead to cuts of the column, and with all steps to no more than its buckets. */
static bool cells_are_valid(const struct rg_rule_table *table, const struct rg_rule_column *column)
{
	const uint8_t *cells = RG_RULE_AT(table, uint8_t, cells) + column->cells;
	const int64_t *cuts = RG_RULE_AT(table, int64_t, cuts) + column->cuts;
	uint32_t cut_count = column->bucket_count - 2u;

	for (uint64_t i = 0; i <= column->range >> column->shift; i++) {
		if (cells[i] > cut_count)
			return false;
	}
	for (uint32_t i = 0; i < column->steps; i++) {
		if (cuts[cut_count + i] != INT64_MAX)
			return false;
	}
	return true;
}

static bool columns_are_valid(const struct rg_rule_table *table)
{
	const struct rg_rule_column *columns = RG_RULE_AT(table, struct rg_rule_column, columns);
	uint64_t cuts = 0, cells = 0, summaries = 0;

	for (uint32_t i = 0; i < table->columns.count; i++) {
		const struct rg_rule_column *column = &columns[i];

		/* No value that the clamp can give is INT64_MAX, so that no step passes the end. */
		if (column->input >= table->input_count || column->reserved ||
		    column->bucket_count < 2 || column->bucket_count > RG_RULE_BUCKETS_MAX ||
		    column->shift > 63 || column->base < RG_RULE_LOWEST ||
		    column->range >= (uint64_t)INT64_MAX - (uint64_t)column->base ||
		    !part_is_next(column->cuts, column->bucket_count - 2u + column->steps,
				  table->cuts.count, &cuts) ||
		    column->range >> column->shift >= UINT32_MAX ||
		    !part_is_next(column->cells, (column->range >> column->shift) + 1,
				  table->cells.count, &cells) ||
		    !part_is_next(column->summary,
				  (uint64_t)column->bucket_count * table->summary_words,
				  table->summaries.count, &summaries) ||
		    !cells_are_valid(table, column))
			return false;
	}
	return cuts == table->cuts.count && cells == table->cells.count &&
	       summaries == table->summaries.count;
}

/* Slots as those of typed tables: one is empty, runs of used ones are short, the end goes on at
 * the beginning. */
static bool keys_are_valid(const struct rg_rule_region *region, const struct rg_rule_key *keys)
{
	uint32_t run = 0, first_run = UINT32_MAX;

	if (region->key_count & (region->key_count - 1) || region->start_count || region->base)
		return false;
	for (uint32_t i = 0; i < region->key_count; i++) {
		if (!keys[i].count) {
			if (first_run == UINT32_MAX)
				first_run = run;
			run = 0;
			continue;
		}
		if (++run > RG_RULE_PROBE_MAX || keys[i].first < region->first ||
		    keys[i].first - region->first >= region->count ||
		    keys[i].count > region->count - (keys[i].first - region->first))
			return false;
	}
	return first_run != UINT32_MAX && run + first_run <= RG_RULE_PROBE_MAX;
}

/* They ascend from the region's first row to its end. A value without a run has an empty one. */
static bool starts_are_valid(const struct rg_rule_region *region, const uint32_t *starts)
{
	if (region->start_count < 2 || region->base < RG_RULE_LOWEST ||
	    starts[0] != region->first ||
	    starts[region->start_count - 1] != region->first + region->count)
		return false;
	for (uint32_t i = 1; i < region->start_count; i++) {
		if (starts[i] < starts[i - 1])
			return false;
	}
	return true;
}

static bool regions_are_valid(const struct rg_rule_table *table)
{
	const struct rg_rule_region *regions = RG_RULE_AT(table, struct rg_rule_region, regions);
	const struct rg_rule_key *keys = RG_RULE_AT(table, struct rg_rule_key, keys);
	const uint32_t *starts = RG_RULE_AT(table, uint32_t, starts);
	uint64_t rows = 0, key = 0, start = 0;

	for (uint32_t i = 0; i < table->regions.count; i++) {
		const struct rg_rule_region *region = &regions[i];

		if (region->column >= table->columns.count || region->reserved ||
		    !part_is_next(region->first, region->count, table->rest, &rows) ||
		    !part_is_next(region->keys, region->key_count, table->keys.count, &key) ||
		    !part_is_next(region->starts, region->start_count, table->starts.count, &start))
			return false;
		if (region->key_count ? !keys_are_valid(region, keys + region->keys)
				      : !starts_are_valid(region, starts + region->starts))
			return false;
	}
	return rows == table->rest && key == table->keys.count && start == table->starts.count;
}

static bool blocks_are_valid(const struct rg_rule_table *table)
{
	const struct rg_rule_column *columns = RG_RULE_AT(table, struct rg_rule_column, columns);
	const struct rg_rule_block *blocks = RG_RULE_AT(table, struct rg_rule_block, blocks);
	const struct rg_rule_entry *entries = RG_RULE_AT(table, struct rg_rule_entry, entries);
	uint64_t next = 0, lines = 0;

	for (uint32_t i = 0; i < table->blocks.count; i++) {
		if (!part_is_next(blocks[i].first, blocks[i].count, table->entries.count, &next))
			return false;
	}
	for (uint32_t i = 0; i < table->entries.count; i++) {
		if (entries[i].column >= table->columns.count ||
		    !part_is_next(entries[i].line, columns[entries[i].column].bucket_count,
				  table->lines.count, &lines))
			return false;
	}
	return next == table->entries.count && lines == table->lines.count;
}

/* The checks that begin at *at, up to the last of a row. */
static bool checks_end(const struct rg_rule_table *table, uint32_t *at)
{
	const uint32_t *checks = RG_RULE_AT(table, uint32_t, checks);

	while (*at < table->checks.count) {
		uint32_t check = checks[*at], words = rg_rule_check_words(check);

		if (check & ~RG_RULE_CHECK_BITS || !(check >> RG_RULE_CHECK_COUNT_SHIFT) ||
		    (check & RG_RULE_CHECK_COLUMN) >= table->columns.count ||
		    words > table->checks.count - *at)
			return false;
		*at += words;
		if (check & RG_RULE_CHECK_LAST)
			return true;
	}
	return false;
}

/* Without columns there is one bucket that a hint may name: that of none. */
static bool hints_are_valid(const struct rg_rule_table *table, const struct rg_rule_row *row)
{
	uint32_t columns = table->columns.count ? table->columns.count : 1;

	return row->hints[0].column < columns && row->hints[1].column < columns;
}

static bool rows_are_valid(const struct rg_rule_table *table)
{
	const struct rg_rule_row *rows = RG_RULE_AT(table, struct rg_rule_row, rows);
	uint32_t next = 1;

	if (!table->checks.count)
		return false;
	for (uint32_t i = 0; i < table->row_count; i++) {
		if (rows[i].result >= table->result_count || !hints_are_valid(table, &rows[i]))
			return false;
		if (rows[i].check && (rows[i].check != next || !checks_end(table, &next)))
			return false;
	}
	return next == table->checks.count;
}

const char *rg_rule_table_verify(const void *bytes, uint64_t count)
{
	const struct rg_rule_table *table = bytes;

	if ((uintptr_t)table % ALIGNMENT || !header_is_valid(table, count))
		return "the header or a slice is out of range";
	if (!columns_are_valid(table))
		return "a column is malformed";
	if (!regions_are_valid(table))
		return "a region or its keys are malformed";
	if (!blocks_are_valid(table))
		return "a block or its lines are malformed";
	if (!rows_are_valid(table))
		return "a row or its checks are malformed";
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a rule table, step by step as rule_table.h tells its algorithm: normalise predicates,
 * choose regions, cut columns into buckets, put rows in order, draw lines, write checks.
 */
#include "policy/compile/rule_table_build.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
/* A region pays for its probe when it takes so many rows out of the rest. */
#define REGION_ROWS_MIN	  (2 * RG_RULE_BLOCK_ROWS)
#define REGION_VALUES_MIN 16
/* Most values of a key: the row is repeated for each. All repetitions add at most this share. */
#define KEY_POINTS_MAX 8
#define REPEATED_SHARE 4
/* A region is found by its values' offsets if no more than so many of a key's values are unused. */
#define STARTS_PER_KEY 4
/* Columns are cut at no fewer bounds, where they have them. */
#define CUTS_MIN 15
/* Cells of a column: as many as rows, between these. */
#define CELLS_MIN 1024
#define CELLS_MAX 4096
/* Below, all blocks are looked at. */
#define SUMMARY_BLOCKS_MIN 5
/* Narrowest predicates that a row's place in the order depends on. */
#define ORDER_KEYS 4

/* What a predicate has become: one a column and row. */
struct predicate {
	uint32_t column;
	bool holds_absent;
	bool is_key;	       /* the run stands for it */
	uint32_t first, count; /* intervals */
};

struct row {
	uint32_t result;
	uint32_t first, count; /* predicates */
	uint32_t key;	       /* predicate, or NONE; until its predicates are put in order */
	uint32_t region;       /* the rest is the last one */
	int64_t key_value;
	uint32_t order[ORDER_KEYS];
};

/* A bound, and how many predicates have it. */
struct bound {
	int64_t at;
	uint32_t weight;
};

struct column {
	struct bound *bounds; /* ascending, distinct */
	uint32_t bound_count;
	int64_t *cuts; /* those that buckets begin at */
	uint32_t cut_count;
	uint32_t buckets; /* with that of absent values */
	uint32_t points;  /* distinct ones that keys could name */
	int64_t base;	  /* as in struct rg_rule_column */
	uint64_t range;
	uint32_t shift, steps;
};

struct list {
	void *items;
	uint32_t count, capacity;
};

struct build {
	const struct rg_rules *rules;
	struct rg_error *err;
	struct row *rows;
	uint32_t row_count;
	struct list predicates; /* struct predicate */
	struct list intervals;	/* struct rg_rule_interval */
	struct column columns[RG_RULE_COLUMNS_MAX];
	struct rg_rule_region regions[RG_RULE_REGIONS_MAX];
	uint32_t region_count;
	uint32_t rest;
	uint64_t *named; /* a block: columns that its rows ask for */
	uint32_t block_count;
	uint64_t line_count, entry_count;
	struct rg_rule_table *table;
};

static int no_memory(struct build *build)
{
	return rg_error_set(build->err, RG_ENOMEM, "no memory for a rule table");
}

/* Room for one more item, or NULL. */
static void *list_add(struct list *list, size_t item_bytes)
{
	if (list->count == list->capacity) {
		uint32_t capacity = list->capacity ? 2 * list->capacity : 256;
		void *items = capacity > list->capacity
				      ? realloc(list->items, capacity * item_bytes)
				      : NULL;

		if (!items)
			return NULL;
		list->items = items;
		list->capacity = capacity;
	}
	return (uint8_t *)list->items + list->count++ * item_bytes;
}

static struct predicate *predicate_at(const struct build *build, uint32_t i)
{
	return (struct predicate *)build->predicates.items + i;
}

static const struct rg_rule_interval *intervals_of(const struct build *build,
						   const struct predicate *predicate)
{
	return (const struct rg_rule_interval *)build->intervals.items + predicate->first;
}

/* ---- predicates ---- */

static int check_predicate(struct build *build, const struct rg_rule_predicate *predicate)
{
	if (predicate->column >= build->rules->column_count)
		return rg_error_set(build->err, RG_EINVAL, "rule table: column %u of %u",
				    predicate->column, build->rules->column_count);
	for (uint32_t i = 0; i < predicate->interval_count; i++) {
		const struct rg_rule_interval *interval = &predicate->intervals[i];

		if (interval->low < RG_RULE_LOWEST || interval->low > interval->high ||
		    (i && interval->low <= interval[-1].high))
			return rg_error_set(build->err, RG_EINVAL,
					    "rule table: intervals do not ascend in column %u",
					    predicate->column);
	}
	return RG_OK;
}

/* Add an interval to the predicate whose intervals are added last; what touches becomes one. */
static bool add_interval(struct build *build, struct predicate *predicate, int64_t low,
			 int64_t high)
{
	struct rg_rule_interval *interval;

	if (predicate->count) {
		interval = (struct rg_rule_interval *)build->intervals.items + predicate->first +
			   predicate->count - 1;
		if (interval->high + 1 == low) { /* high < low: no overflow */
			interval->high = high;
			return true;
		}
	}
	interval = list_add(&build->intervals, sizeof(*interval));
	if (!interval)
		return false;
	*interval = (struct rg_rule_interval){low, high};
	predicate->count++;
	return true;
}

/* predicate := what it shares with `other`. The old intervals stay behind, unused. */
static bool intersect(struct build *build, struct predicate *predicate,
		      const struct rg_rule_predicate *other)
{
	struct predicate both = {.column = predicate->column,
				 .holds_absent = predicate->holds_absent && other->holds_absent,
				 .first = build->intervals.count};

	for (uint32_t i = 0, j = 0; i < predicate->count && j < other->interval_count;) {
		struct rg_rule_interval a = intervals_of(build, predicate)[i];
		struct rg_rule_interval b = other->intervals[j];
		int64_t low = a.low > b.low ? a.low : b.low;
		int64_t high = a.high < b.high ? a.high : b.high;

		if (low <= high && !add_interval(build, &both, low, high))
			return false;
		i += a.high <= b.high;
		j += b.high <= a.high;
	}
	*predicate = both;
	return true;
}

static bool never_holds(const struct predicate *predicate)
{
	return !predicate->count && !predicate->holds_absent;
}

static bool always_holds(const struct build *build, const struct predicate *predicate)
{
	const struct rg_rule_interval *all = intervals_of(build, predicate);

	return predicate->holds_absent && predicate->count == 1 && all->low == RG_RULE_LOWEST &&
	       all->high == INT64_MAX;
}

/* One predicate a column from those of a rule, in the columns' order of appearance. */
static int add_row(struct build *build, const struct rg_rule *rule)
{
	uint32_t of_column[RG_RULE_COLUMNS_MAX];
	struct row row = {.result = rule->result, .first = build->predicates.count, .key = NONE};
	uint32_t kept = row.first;

	if (rule->result >= build->rules->result_count)
		return rg_error_set(build->err, RG_EINVAL, "rule table: result %u of %u",
				    rule->result, build->rules->result_count);
	memset(of_column, 0xff, sizeof(of_column));
	for (uint32_t i = 0; i < rule->predicate_count; i++) {
		const struct rg_rule_predicate *from = &rule->predicates[i];
		struct predicate *predicate;
		int status = check_predicate(build, from);

		if (status)
			return status;
		if (of_column[from->column] != NONE) {
			if (!intersect(build, predicate_at(build, of_column[from->column]), from))
				return no_memory(build);
			continue;
		}
		of_column[from->column] = build->predicates.count;
		predicate = list_add(&build->predicates, sizeof(*predicate));
		if (!predicate)
			return no_memory(build);
		*predicate = (struct predicate){.column = from->column,
						.holds_absent = from->holds_absent,
						.first = build->intervals.count};
		for (uint32_t j = 0; j < from->interval_count; j++) {
			if (!add_interval(build, predicate, from->intervals[j].low,
					  from->intervals[j].high))
				return no_memory(build);
		}
	}
	for (uint32_t i = row.first; i < build->predicates.count; i++) {
		struct predicate predicate = *predicate_at(build, i);

		if (never_holds(&predicate)) {
			build->predicates.count = row.first;
			return RG_OK;
		}
		if (!always_holds(build, &predicate))
			*predicate_at(build, kept++) = predicate;
	}
	build->predicates.count = kept;
	row.count = kept - row.first;
	build->rows[build->row_count++] = row;
	return RG_OK;
}

static int add_rows(struct build *build)
{
	const struct rg_rules *rules = build->rules;

	if (rules->column_count > RG_RULE_COLUMNS_MAX || rules->rule_count > RG_RULE_ROWS_MAX)
		return rg_error_set(build->err, RG_ELIMIT,
				    "rule table: %u columns and %u rows; %u and %u can be",
				    rules->column_count, rules->rule_count, RG_RULE_COLUMNS_MAX,
				    RG_RULE_ROWS_MAX);
	for (uint32_t i = 0; i < rules->column_count; i++) {
		if (rules->inputs[i] >= rules->input_count)
			return rg_error_set(build->err, RG_EINVAL, "rule table: input %u of %u",
					    rules->inputs[i], rules->input_count);
	}
	build->rows = calloc(rules->rule_count + 1, sizeof(*build->rows));
	/* The first of each is not used: so no list is without memory. */
	if (!build->rows || !list_add(&build->intervals, sizeof(struct rg_rule_interval)) ||
	    !list_add(&build->predicates, sizeof(struct predicate)))
		return no_memory(build);
	memset(build->predicates.items, 0, sizeof(struct predicate));
	for (uint32_t i = 0; i < rules->rule_count; i++) {
		int status = add_row(build, &rules->rules[i]);

		if (status)
			return status;
	}
	return RG_OK;
}

/* ---- regions ---- */

/* How many values a predicate names, if that is all it does and they are few; else 0. */
static uint32_t points_of(const struct build *build, const struct predicate *predicate)
{
	const struct rg_rule_interval *intervals = intervals_of(build, predicate);
	uint64_t points = 0;

	if (predicate->holds_absent || predicate->count > KEY_POINTS_MAX)
		return 0;
	for (uint32_t i = 0; i < predicate->count; i++) {
		uint64_t more = (uint64_t)intervals[i].high - (uint64_t)intervals[i].low;

		if (more >= KEY_POINTS_MAX)
			return 0;
		points += more + 1;
	}
	return points <= KEY_POINTS_MAX ? (uint32_t)points : 0;
}

/* Point number n of a predicate that names points. */
static int64_t point_at(const struct build *build, const struct predicate *predicate, uint32_t n)
{
	const struct rg_rule_interval *interval = intervals_of(build, predicate);

	for (; n > (uint64_t)(interval->high - interval->low); interval++)
		n -= (uint32_t)(interval->high - interval->low) + 1;
	return interval->low + n;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Sort values; returns how many are distinct. */
static uint32_t sort_distinct(int64_t *values, uint32_t count)
{
	uint32_t distinct = 0;

	if (count)
		qsort(values, count, sizeof(*values), by_value);
	for (uint32_t i = 0; i < count; i++)
		distinct += !i || values[i] != values[i - 1];
	return distinct;
}

/* How many points the predicates of each column name. */
static int count_points(struct build *build)
{
	size_t room = (size_t)build->predicates.count * KEY_POINTS_MAX;
	int64_t *scratch = malloc((room + 1) * sizeof(*scratch));

	if (!scratch)
		return no_memory(build);
	for (uint32_t c = 0; c < build->rules->column_count; c++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < build->predicates.count; i++) {
			const struct predicate *predicate = predicate_at(build, i);

			if (predicate->column != c)
				continue;
			for (uint32_t n = 0; n < points_of(build, predicate); n++)
				scratch[count++] = point_at(build, predicate, n);
		}
		build->columns[c].points = sort_distinct(scratch, count);
	}
	free(scratch);
	return RG_OK;
}

/* The predicate that may be the key of a row without one: on `column`, naming `points` values. */
static uint32_t key_on(const struct build *build, const struct row *row, uint32_t column,
		       uint32_t points)
{
	if (row->key != NONE)
		return NONE;
	for (uint32_t i = row->first; i < row->first + row->count; i++) {
		const struct predicate *predicate = predicate_at(build, i);

		if (predicate->column == column && points_of(build, predicate) == points)
			return i;
	}
	return NONE;
}

/* Rows that could have such a key. */
static uint32_t count_keys(const struct build *build, uint32_t column, uint32_t points)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < build->row_count; i++)
		count += key_on(build, &build->rows[i], column, points) != NONE;
	return count;
}

static void take_keys(struct build *build, uint32_t region, uint32_t points)
{
	for (uint32_t i = 0; i < build->row_count; i++) {
		struct row *row = &build->rows[i];
		uint32_t key = key_on(build, row, build->regions[region].column, points);

		if (key == NONE)
			continue;
		row->key = key;
		row->region = region;
		predicate_at(build, key)->is_key = true;
	}
}

/* A row for each value of its key. */
static int repeat_rows(struct build *build, uint32_t count)
{
	struct row *rows = calloc(count + 1, sizeof(*rows));
	uint32_t at = 0;

	if (!rows)
		return no_memory(build);
	for (uint32_t i = 0; i < build->row_count; i++) {
		struct row *row = &build->rows[i];
		uint32_t points = 1;

		if (row->key == NONE)
			row->region = build->region_count;
		else
			points = points_of(build, predicate_at(build, row->key));
		for (uint32_t n = 0; n < points; n++) {
			rows[at] = *row;
			if (row->key != NONE)
				rows[at].key_value =
					point_at(build, predicate_at(build, row->key), n);
			at++;
		}
	}
	free(build->rows);
	build->rows = rows;
	build->row_count = at;
	return RG_OK;
}

/* Regions for the columns with most values, first of rows with equalities, then those that name few
 * values join them while there is room. */
static int choose_regions(struct build *build)
{
	uint32_t extra = build->row_count / REPEATED_SHARE, count = build->row_count;
	uint64_t tried = 0;
	int status = count_points(build);

	if (status)
		return status;
	for (uint32_t n = 0; n < build->rules->column_count; n++) {
		uint32_t best = NONE;

		for (uint32_t c = 0; c < build->rules->column_count; c++) {
			if (!(tried >> c & 1) &&
			    (best == NONE ||
			     build->columns[c].points > build->columns[best].points))
				best = c;
		}
		tried |= 1ull << best;
		if (build->region_count == RG_RULE_REGIONS_MAX ||
		    build->columns[best].points < REGION_VALUES_MIN ||
		    count_keys(build, best, 1) < REGION_ROWS_MIN)
			continue;
		build->regions[build->region_count] = (struct rg_rule_region){.column = best};
		take_keys(build, build->region_count++, 1);
	}
	for (uint32_t points = 2; points <= KEY_POINTS_MAX; points++) {
		for (uint32_t r = 0; r < build->region_count; r++) {
			uint32_t column = build->regions[r].column;
			uint64_t more = (uint64_t)count_keys(build, column, points) * (points - 1);

			if (more > extra ||
			    build->columns[column].points < points * REGION_VALUES_MIN)
				continue;
			take_keys(build, r, points);
			extra -= (uint32_t)more;
			count += (uint32_t)more;
		}
	}
	if (count > RG_RULE_ROWS_MAX)
		return rg_error_set(build->err, RG_ELIMIT, "rule table: %u rows; %u can be", count,
				    RG_RULE_ROWS_MAX);
	return repeat_rows(build, count);
}

/* ---- buckets ---- */

static int by_bound(const void *a, const void *b)
{
	return by_value(&((const struct bound *)a)->at, &((const struct bound *)b)->at);
}

static bool add_bound(struct list *list, int64_t at)
{
	struct bound *bound = list_add(list, sizeof(*bound));

	if (bound)
		*bound = (struct bound){at, 1};
	return bound;
}

static bool add_bounds(struct build *build, const struct predicate *predicate, struct list *list)
{
	const struct rg_rule_interval *interval = intervals_of(build, predicate);

	for (const struct rg_rule_interval *end = interval + predicate->count; interval < end;
	     interval++) {
		if ((interval->low != RG_RULE_LOWEST && !add_bound(list, interval->low)) ||
		    (interval->high != INT64_MAX && !add_bound(list, interval->high + 1)))
			return false;
	}
	return true;
}

/* All bounds of what is drawn: where a predicate begins or ceases to hold. */
static int collect_bounds(struct build *build, struct column *columns)
{
	struct list all[RG_RULE_COLUMNS_MAX] = {0};
	bool done = true;

	for (uint32_t i = 0; i < build->row_count; i++) {
		const struct row *row = &build->rows[i];

		for (uint32_t p = row->first; p < row->first + row->count && done; p++) {
			const struct predicate *predicate = predicate_at(build, p);

			if (!predicate->is_key)
				done = add_bounds(build, predicate, &all[predicate->column]);
		}
	}
	for (uint32_t c = 0; c < build->rules->column_count; c++) {
		struct bound *bounds = all[c].items;
		uint32_t kept = 0;

		columns[c].bounds = bounds;
		if (bounds)
			qsort(bounds, all[c].count, sizeof(*bounds), by_bound);
		for (uint32_t i = 0; i < all[c].count; i++) {
			if (kept && bounds[kept - 1].at == bounds[i].at)
				bounds[kept - 1].weight++;
			else
				bounds[kept++] = bounds[i];
		}
		columns[c].bound_count = kept;
	}
	return done ? RG_OK : no_memory(build);
}

/* Cut a column at no more than `most` bounds. Where not all can be cuts, those that more than their
 * share of predicates have are, so that the values between them have a bucket to themselves; the
 * others share what is left evenly. */
static void cut(struct column *column, uint32_t most)
{
	uint64_t total = 0, light = 0, sum = 0;
	uint32_t left = most;

	for (uint32_t i = 0; i < column->bound_count; i++)
		total += column->bounds[i].weight;
	for (uint32_t i = 0; i < column->bound_count; i++) {
		if (column->bounds[i].weight * (uint64_t)most > total)
			left--;
		else
			light += column->bounds[i].weight;
	}
	for (uint32_t i = 0; i < column->bound_count; i++) {
		uint64_t weight = column->bounds[i].weight;

		if (column->bound_count > most && weight * most <= total) {
			sum += weight * left;
			if (sum < light)
				continue;
			sum -= light;
		}
		if (column->bounds[i].at != INT64_MAX) /* the clamp ends below */
			column->cuts[column->cut_count++] = column->bounds[i].at;
	}
}

/* Most cuts a column such that a block's lines keep within the budget. */
static uint32_t cuts_that_fit(const struct build *build)
{
	uint32_t most = RG_RULE_BUCKETS_MAX - 2;

	for (; most > CUTS_MIN; most--) {
		uint64_t lines = 0;

		for (uint32_t c = 0; c < build->rules->column_count; c++) {
			uint32_t bounds = build->columns[c].bound_count;

			lines += 2 + (bounds < most ? bounds : most);
		}
		if (lines <= RG_RULE_LINES_BUDGET)
			break;
	}
	return most;
}

/* How many cuts are at most v: its bucket. */
static uint32_t bucket_of(const struct column *column, int64_t v)
{
	uint32_t low = 0, high = column->cut_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (column->cuts[middle] <= v)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Most cuts behind a cell's beginning and in it. */
static uint32_t steps_of(const struct column *column)
{
	uint32_t most = 0, first = 0;

	for (uint32_t i = 0; i < column->cut_count; i++) {
		uint64_t at = (uint64_t)column->cuts[i] - (uint64_t)column->base;
		uint64_t before = (uint64_t)column->cuts[first] - (uint64_t)column->base;

		if (before >> column->shift != at >> column->shift)
			first = i;
		most = i - first + 1 > most ? i - first + 1 : most;
	}
	return most;
}

/* Cells over all cuts, from the value below the first one. */
static void lay_cells(const struct build *build, struct column *column)
{
	uint32_t cells = build->row_count < CELLS_MIN ? CELLS_MIN : build->row_count;

	if (!column->cut_count)
		return;
	cells = cells > CELLS_MAX ? CELLS_MAX : cells;
	column->base = column->cuts[0] - 1;
	column->range = (uint64_t)column->cuts[column->cut_count - 1] - (uint64_t)column->base;
	while (column->range >> column->shift >= cells)
		column->shift++;
	if (column->shift)
		column->steps = steps_of(column);
}

static int cut_columns(struct build *build)
{
	int status = collect_bounds(build, build->columns);
	uint32_t most = cuts_that_fit(build);

	for (uint32_t c = 0; c < build->rules->column_count && !status; c++) {
		struct column *column = &build->columns[c];

		column->cuts = malloc((most + 1) * sizeof(*column->cuts));
		if (!column->cuts)
			return no_memory(build);
		cut(column, most);
		column->buckets = column->cut_count + 2;
		lay_cells(build, column);
	}
	return status;
}

static bool is_cut(const struct column *column, int64_t v)
{
	uint32_t bucket = bucket_of(column, v);

	return bucket && column->cuts[bucket - 1] == v;
}

/* Do the lines say all of it? */
static bool is_exact(const struct build *build, const struct predicate *predicate)
{
	const struct column *column = &build->columns[predicate->column];
	const struct rg_rule_interval *intervals = intervals_of(build, predicate);

	for (uint32_t i = 0; i < predicate->count; i++) {
		if ((intervals[i].low != RG_RULE_LOWEST && !is_cut(column, intervals[i].low)) ||
		    (intervals[i].high != INT64_MAX && !is_cut(column, intervals[i].high + 1)))
			return false;
	}
	return true;
}

/* ---- order ---- */

/* Buckets that a predicate holds in, of the column's; the first of them. */
static uint32_t width_of(const struct build *build, const struct predicate *predicate,
			 uint32_t *first)
{
	const struct column *column = &build->columns[predicate->column];
	const struct rg_rule_interval *intervals = intervals_of(build, predicate);
	uint32_t width = predicate->holds_absent, next = 0;

	*first = predicate->count ? bucket_of(column, intervals[0].low) : column->buckets - 1;
	for (uint32_t i = 0; i < predicate->count; i++) {
		uint32_t from = bucket_of(column, intervals[i].low);
		uint32_t to = bucket_of(column, intervals[i].high) + 1;

		from = from < next ? next : from;
		width += to - from;
		next = to;
	}
	return width;
}

/* A guess at the share of requests that a predicate lets through. */
static double share_of(const struct build *build, const struct predicate *predicate)
{
	uint32_t points = points_of(build, predicate), first;

	if (points)
		return (double)points / (build->columns[predicate->column].points + 1);
	return (double)width_of(build, predicate, &first) /
	       build->columns[predicate->column].buckets;
}

/* The row's predicates narrowest first, and so its place among those of its run. */
static void order_row(struct build *build, struct row *row)
{
	struct predicate *predicates = predicate_at(build, row->first);

	for (uint32_t i = 1; i < row->count; i++) {
		struct predicate predicate = predicates[i];
		double share = share_of(build, &predicate);
		uint32_t at = i;

		for (; at > 0 && share_of(build, &predicates[at - 1]) > share; at--)
			predicates[at] = predicates[at - 1];
		predicates[at] = predicate;
	}
	for (uint32_t i = 0, kept = 0; i < row->count && kept < ORDER_KEYS; i++) {
		uint32_t first;

		if (predicates[i].is_key)
			continue;
		(void)width_of(build, &predicates[i], &first);
		row->order[kept++] = (predicates[i].column + 1) << 16 | first;
	}
}

static int by_order(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->region != y->region)
		return x->region < y->region ? -1 : 1;
	if (x->key_value != y->key_value)
		return x->key_value < y->key_value ? -1 : 1;
	for (uint32_t i = 0; i < ORDER_KEYS; i++) {
		if (x->order[i] != y->order[i])
			return x->order[i] < y->order[i] ? -1 : 1;
	}
	return x->first < y->first ? -1 : x->first > y->first; /* as the rules stand */
}

/* Where the regions lie. Rows are in order. */
static void bound_regions(struct build *build)
{
	for (uint32_t i = 0; i < build->row_count; i++) {
		struct rg_rule_region *region = &build->regions[build->rows[i].region];

		if (build->rows[i].region == build->region_count)
			return;
		if (!region->count++)
			region->first = i;
		build->rest++;
	}
}

/* Rows in their order, and what that makes of the table's sizes. */
static int order_rows(struct build *build)
{
	for (uint32_t i = 0; i < build->row_count; i++)
		order_row(build, &build->rows[i]);
	if (build->row_count)
		qsort(build->rows, build->row_count, sizeof(*build->rows), by_order);
	bound_regions(build);
	build->block_count = (build->row_count + RG_RULE_BLOCK_ROWS - 1) / RG_RULE_BLOCK_ROWS;
	build->named = calloc(build->block_count + 1, sizeof(*build->named));
	if (!build->named)
		return no_memory(build);
	for (uint32_t i = 0; i < build->row_count; i++) {
		const struct row *row = &build->rows[i];

		for (uint32_t p = row->first; p < row->first + row->count; p++) {
			if (!predicate_at(build, p)->is_key)
				build->named[i / RG_RULE_BLOCK_ROWS] |=
					1ull << predicate_at(build, p)->column;
		}
	}
	for (uint32_t i = 0; i < build->block_count; i++) {
		for (uint64_t rest = build->named[i]; rest; rest &= rest - 1) {
			build->entry_count++;
			build->line_count += build->columns[__builtin_ctzll(rest)].buckets;
		}
	}
	return RG_OK;
}

/* ---- checks ---- */

/* A predicate as the shorter of "in these" and "not in those". Ascending operands. */
struct check {
	uint32_t word;
	uint32_t count;
	struct rg_rule_interval *intervals;
};

static bool is_narrow(int64_t v)
{
	return v == (int32_t)v;
}

/* The intervals between those of a predicate, into out, which has room for one more than they. */
static uint32_t complement(const struct rg_rule_interval *intervals, uint32_t count,
			   struct rg_rule_interval *out)
{
	uint32_t kept = 0;
	int64_t low = RG_RULE_LOWEST;

	for (uint32_t i = 0; i < count; i++) {
		if (low < intervals[i].low)
			out[kept++] = (struct rg_rule_interval){low, intervals[i].low - 1};
		if (intervals[i].high == INT64_MAX)
			return kept;
		low = intervals[i].high + 1;
	}
	out[kept++] = (struct rg_rule_interval){low, INT64_MAX};
	return kept;
}

static uint32_t check_word(const struct rg_rule_interval *intervals, uint32_t count)
{
	uint32_t word = count << RG_RULE_CHECK_COUNT_SHIFT;

	if (count == 1 && intervals->high == INT64_MAX)
		return word | RG_RULE_CHECK_FROM |
		       (is_narrow(intervals->low) ? 0 : RG_RULE_CHECK_WIDE);
	for (uint32_t i = 0; i < count; i++) {
		if (intervals[i].low != intervals[i].high)
			word |= RG_RULE_CHECK_INTERVALS;
		if (!is_narrow(intervals[i].low) || !is_narrow(intervals[i].high))
			word |= RG_RULE_CHECK_WIDE;
	}
	return word;
}

/* The result's intervals are the caller's to free; NULL: no memory, or too many of them. */
static struct check make_check(const struct build *build, const struct predicate *predicate)
{
	const struct rg_rule_interval *intervals = intervals_of(build, predicate);
	struct rg_rule_interval *other =
		malloc((predicate->count + 1) * sizeof(struct rg_rule_interval));
	struct check check = {.count = predicate->count, .intervals = other};
	uint32_t other_count, word;

	if (!other)
		return check;
	other_count = complement(intervals, predicate->count, other);
	word = check_word(other, other_count) | RG_RULE_CHECK_NEGATED;
	check.word = check_word(intervals, predicate->count);
	if (!predicate->count || predicate->count > RG_RULE_CHECK_OPERANDS_MAX ||
	    (other_count && other_count <= RG_RULE_CHECK_OPERANDS_MAX &&
	     rg_rule_check_words(word) < rg_rule_check_words(check.word))) {
		check.word = word;
		check.count = other_count;
	} else {
		memcpy(other, intervals, predicate->count * sizeof(*intervals));
	}
	if (check.count > RG_RULE_CHECK_OPERANDS_MAX) {
		free(other);
		check.intervals = NULL;
	}
	check.word |= predicate->column;
	if (predicate->holds_absent)
		check.word |= RG_RULE_CHECK_IF_ABSENT;
	return check;
}

static bool add_operand(struct list *checks, int64_t v, bool wide)
{
	uint32_t halves[2] = {(uint32_t)v, (uint32_t)((uint64_t)v >> 32)};

	for (uint32_t i = 0; i <= wide; i++) {
		uint32_t *word = list_add(checks, sizeof(*word));

		if (!word)
			return false;
		*word = halves[i];
	}
	return true;
}

static bool add_check(struct list *checks, const struct check *check)
{
	uint32_t *word = list_add(checks, sizeof(*word));
	bool wide = check->word & RG_RULE_CHECK_WIDE;

	if (!word)
		return false;
	*word = check->word;
	for (uint32_t i = 0; i < check->count; i++) {
		if (!add_operand(checks, check->intervals[i].low, wide) ||
		    (check->word & RG_RULE_CHECK_INTERVALS &&
		     !add_operand(checks, check->intervals[i].high, wide)))
			return false;
	}
	return true;
}

/* The checks of all rows, in their order; offsets[row]: where a row's begin, 0: it has none. */
static int make_checks(struct build *build, struct list *checks, uint32_t *offsets)
{
	if (!add_operand(checks, 0, false))
		return no_memory(build);
	for (uint32_t i = 0; i < build->row_count; i++) {
		const struct row *row = &build->rows[i];
		uint32_t last = 0;

		for (uint32_t p = row->first; p < row->first + row->count; p++) {
			const struct predicate *predicate = predicate_at(build, p);
			struct check check;
			bool added;

			if (predicate->is_key || is_exact(build, predicate))
				continue;
			check = make_check(build, predicate);
			if (!check.intervals)
				return rg_error_set(build->err, RG_ELIMIT,
						    "rule table: a predicate of %u intervals",
						    predicate->count);
			last = checks->count;
			offsets[i] = offsets[i] ? offsets[i] : last;
			added = add_check(checks, &check);
			free(check.intervals);
			if (!added)
				return no_memory(build);
		}
		if (last)
			((uint32_t *)checks->items)[last] |= RG_RULE_CHECK_LAST;
	}
	return RG_OK;
}

/* ---- laying down ---- */

static void *mutable_at(struct build *build, struct rg_rule_slice slice)
{
	return (uint8_t *)build->table + slice.offset;
}

/* The next slice; false when the table grows too large. */
static bool place(struct rg_rule_slice *slice, uint64_t count, size_t item_bytes, uint64_t *at)
{
	*at = (*at + 63) & ~63ull;
	slice->offset = (uint32_t)*at;
	slice->count = (uint32_t)count;
	*at += count * item_bytes;
	return *at <= UINT32_MAX - 63;
}

/* Slots for the keys of a region: at most two thirds used. */
static uint32_t slots_for(uint32_t keys)
{
	uint32_t slots = 4;

	while ((uint64_t)slots * 2 < (uint64_t)keys * 3)
		slots *= 2;
	return slots;
}

/* How a region's runs are found, and the room that takes. */
static void index_region(const struct build *build, struct rg_rule_region *region, uint64_t *keys,
			 uint64_t *starts)
{
	const struct row *rows = build->rows + region->first;
	uint64_t span = (uint64_t)rows[region->count - 1].key_value - (uint64_t)rows->key_value;
	uint32_t distinct = 1;

	for (uint32_t i = 1; i < region->count; i++)
		distinct += rows[i].key_value != rows[i - 1].key_value;
	region->keys = (uint32_t)*keys;
	region->starts = (uint32_t)*starts;
	if (span < (uint64_t)STARTS_PER_KEY * distinct) {
		region->base = rows->key_value;
		region->start_count = (uint32_t)span + 2;
		*starts += region->start_count;
	} else {
		region->key_count = slots_for(distinct);
		*keys += region->key_count;
	}
}

/* All sizes, and room for them. */
static int lay_out(struct build *build, uint32_t check_count)
{
	struct rg_rule_table header = {.input_count = build->rules->input_count,
				       .result_count = build->rules->result_count,
				       .row_count = build->row_count,
				       .rest = build->rest,
				       .summary_words = build->block_count >= SUMMARY_BLOCKS_MIN
								? (build->block_count + 63) / 64
								: 0};
	uint64_t at = sizeof(header), keys = 0, starts = 0, cuts = 0, cells = 0, buckets = 0;

	for (uint32_t i = 0; i < build->region_count; i++)
		index_region(build, &build->regions[i], &keys, &starts);
	for (uint32_t c = 0; c < build->rules->column_count; c++) {
		const struct column *column = &build->columns[c];

		buckets += column->buckets;
		cuts += column->cut_count + column->steps;
		cells += (column->range >> column->shift) + 1;
	}
	if (!place(&header.columns, build->rules->column_count, sizeof(struct rg_rule_column),
		   &at) ||
	    !place(&header.regions, build->region_count, sizeof(struct rg_rule_region), &at) ||
	    !place(&header.keys, keys, sizeof(struct rg_rule_key), &at) ||
	    !place(&header.starts, starts, sizeof(uint32_t), &at) ||
	    !place(&header.cuts, cuts, sizeof(int64_t), &at) ||
	    !place(&header.cells, cells, 1, &at) ||
	    !place(&header.summaries, buckets * header.summary_words, sizeof(uint64_t), &at) ||
	    !place(&header.blocks, build->block_count, sizeof(struct rg_rule_block), &at) ||
	    !place(&header.entries, build->entry_count, sizeof(struct rg_rule_entry), &at) ||
	    !place(&header.rows, build->row_count, sizeof(struct rg_rule_row), &at) ||
	    !place(&header.checks, check_count, sizeof(uint32_t), &at) ||
	    !place(&header.lines, build->line_count, sizeof(struct rg_rule_line), &at))
		return rg_error_set(build->err, RG_ELIMIT, "rule table: more than 4 GiB");
	header.bytes = (uint32_t)((at + 63) & ~63ull);
	build->table = aligned_alloc(64, header.bytes);
	if (!build->table)
		return no_memory(build);
	memset(build->table, 0, header.bytes);
	*build->table = header;
	return RG_OK;
}

static void write_columns(struct build *build)
{
	struct rg_rule_column *columns = mutable_at(build, build->table->columns);
	int64_t *cuts = mutable_at(build, build->table->cuts);
	uint8_t *cells = mutable_at(build, build->table->cells);
	uint32_t cut = 0, cell = 0, summary = 0;

	for (uint32_t c = 0; c < build->rules->column_count; c++) {
		const struct column *from = &build->columns[c];

		columns[c] = (struct rg_rule_column){.input = build->rules->inputs[c],
						     .bucket_count = (uint16_t)from->buckets,
						     .shift = (uint8_t)from->shift,
						     .steps = (uint8_t)from->steps,
						     .cuts = cut,
						     .cells = cell,
						     .base = from->base,
						     .range = from->range,
						     .summary = summary};
		for (uint32_t i = 0; i < from->cut_count; i++)
			cuts[cut++] = from->cuts[i];
		for (uint32_t i = 0; i < from->steps; i++)
			cuts[cut++] = INT64_MAX;
		for (uint64_t i = 0; i <= from->range >> from->shift; i++)
			cells[cell++] = (uint8_t)bucket_of(
				from, (int64_t)((uint64_t)from->base + (i << from->shift)));
		summary += from->buckets * build->table->summary_words;
	}
}

static void write_key(struct rg_rule_key *keys, uint32_t count, struct rg_rule_key key)
{
	uint32_t at = rg_rule_key_hash(key.value) & (count - 1);

	while (keys[at].count)
		at = (at + 1) & (count - 1);
	keys[at] = key;
}

static void write_region(struct build *build, const struct rg_rule_region *region)
{
	struct rg_rule_key *keys = mutable_at(build, build->table->keys);
	uint32_t *starts = mutable_at(build, build->table->starts), end = 0;
	const struct row *rows = build->rows + region->first;

	for (uint32_t i = 0; i < region->start_count; i++) {
		while (end < region->count &&
		       (uint64_t)rows[end].key_value - (uint64_t)region->base < i)
			end++;
		starts[region->starts + i] = region->first + end;
	}
	for (uint32_t i = 0; i < region->count && region->key_count; i = end) {
		for (end = i + 1; end < region->count; end++) {
			if (rows[i].key_value != rows[end].key_value)
				break;
		}
		write_key(keys + region->keys, region->key_count,
			  (struct rg_rule_key){rows[i].key_value, region->first + i, end - i});
	}
}

/* Predicates are narrowest first. */
static void write_hints(const struct build *build, const struct row *row,
			struct rg_rule_hint *hints)
{
	hints[0] = hints[1] = (struct rg_rule_hint){.high = UINT8_MAX};
	for (uint32_t p = row->first, n = 0; p < row->first + row->count && n < 2; p++) {
		const struct predicate *predicate = predicate_at(build, p);
		const struct column *column = &build->columns[predicate->column];
		const struct rg_rule_interval *intervals = intervals_of(build, predicate);

		if (predicate->is_key || predicate->holds_absent)
			continue;
		hints[n++] = (struct rg_rule_hint){
			.column = (uint8_t)predicate->column,
			.low = (uint8_t)bucket_of(column, intervals[0].low),
			.high = (uint8_t)bucket_of(column, intervals[predicate->count - 1].high)};
	}
}

static void write_rows(struct build *build, const struct list *checks, const uint32_t *offsets)
{
	struct rg_rule_row *rows = mutable_at(build, build->table->rows);

	memcpy(mutable_at(build, build->table->regions), build->regions,
	       build->region_count * sizeof(*build->regions));
	for (uint32_t i = 0; i < build->region_count; i++)
		write_region(build, &build->regions[i]);
	for (uint32_t i = 0; i < build->row_count; i++) {
		rows[i] =
			(struct rg_rule_row){.result = build->rows[i].result, .check = offsets[i]};
		write_hints(build, &build->rows[i], rows[i].hints);
	}
	memcpy(mutable_at(build, build->table->checks), checks->items,
	       checks->count * sizeof(uint32_t));
}

/* The predicate that a row has in lines of a column, or NULL: all of them let it through. */
static const struct predicate *drawn(const struct build *build, const struct row *row,
				     uint32_t column)
{
	for (uint32_t i = row->first; i < row->first + row->count; i++) {
		const struct predicate *predicate = predicate_at(build, i);

		if (predicate->column == column)
			return predicate->is_key ? NULL : predicate;
	}
	return NULL;
}

static void draw_row(const struct build *build, const struct predicate *predicate,
		     struct rg_rule_line *lines, uint32_t bit)
{
	const struct column *column = &build->columns[predicate->column];
	const struct rg_rule_interval *intervals = intervals_of(build, predicate);

	if (predicate->holds_absent)
		lines[column->buckets - 1].words[bit / 64] |= 1ull << bit % 64;
	for (uint32_t i = 0; i < predicate->count; i++) {
		uint32_t last = bucket_of(column, intervals[i].high);

		for (uint32_t b = bucket_of(column, intervals[i].low); b <= last; b++)
			lines[b].words[bit / 64] |= 1ull << bit % 64;
	}
}

/* The lines of a column in a block. */
static void draw(const struct build *build, uint32_t block, uint32_t column,
		 struct rg_rule_line *lines)
{
	uint32_t first = block * RG_RULE_BLOCK_ROWS, count = build->row_count - first;
	struct rg_rule_line without = {0};

	count = count < RG_RULE_BLOCK_ROWS ? count : RG_RULE_BLOCK_ROWS;
	for (uint32_t i = 0; i < count; i++) {
		if (!drawn(build, &build->rows[first + i], column))
			without.words[i / 64] |= 1ull << i % 64;
	}
	for (uint32_t b = 0; b < build->columns[column].buckets; b++)
		lines[b] = without;
	for (uint32_t i = 0; i < count; i++) {
		const struct predicate *predicate = drawn(build, &build->rows[first + i], column);

		if (predicate)
			draw_row(build, predicate, lines, i);
	}
}

static bool is_empty(const struct rg_rule_line *line)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < RG_RULE_BLOCK_ROWS / 64; i++)
		any |= line->words[i];
	return !any;
}

/* A block's bit in the summaries of a column; lines: NULL if all of it pass. */
static void summarise(struct build *build, uint32_t block, uint32_t column,
		      const struct rg_rule_line *lines)
{
	const struct rg_rule_column *columns = mutable_at(build, build->table->columns);
	uint64_t *summary = mutable_at(build, build->table->summaries);

	if (!build->table->summary_words)
		return;
	summary += columns[column].summary + block / 64;
	for (uint32_t b = 0; b < build->columns[column].buckets; b++) {
		if (!lines || !is_empty(&lines[b]))
			summary[b * build->table->summary_words] |= 1ull << block % 64;
	}
}

static void write_blocks(struct build *build)
{
	struct rg_rule_block *blocks = mutable_at(build, build->table->blocks);
	struct rg_rule_entry *entries = mutable_at(build, build->table->entries);
	struct rg_rule_line *lines = mutable_at(build, build->table->lines);
	uint32_t entry = 0, line = 0;

	for (uint32_t i = 0; i < build->block_count; i++) {
		blocks[i].first = entry;
		for (uint32_t c = 0; c < build->rules->column_count; c++) {
			if (!(build->named[i] >> c & 1)) {
				summarise(build, i, c, NULL);
				continue;
			}
			entries[entry++] = (struct rg_rule_entry){c, line};
			draw(build, i, c, lines + line);
			summarise(build, i, c, lines + line);
			line += build->columns[c].buckets;
		}
		blocks[i].count = entry - blocks[i].first;
	}
}

static int lay_down(struct build *build)
{
	struct list checks = {0};
	uint32_t *offsets = calloc(build->row_count + 1, sizeof(*offsets));
	int status = offsets ? make_checks(build, &checks, offsets) : no_memory(build);

	if (!status)
		status = lay_out(build, checks.count);
	if (!status) {
		write_columns(build);
		write_rows(build, &checks, offsets);
		write_blocks(build);
	}
	free(checks.items);
	free(offsets);
	return status;
}

/* ---- all of it ---- */

int rg_rule_table_build(const struct rg_rules *rules, struct rg_rule_table **table,
			struct rg_error *err)
{
	struct build build = {.rules = rules, .err = err};
	const char *wrong;
	int status = add_rows(&build);

	if (!status)
		status = choose_regions(&build);
	if (!status)
		status = cut_columns(&build);
	if (!status)
		status = order_rows(&build);
	if (!status)
		status = lay_down(&build);
	if (!status) {
		wrong = rg_rule_table_verify(build.table, build.table->bytes);
		if (wrong) /* keys of which too many fall on one place */
			status = rg_error_set(err, RG_ELIMIT, "rule table: %s", wrong);
	}
	for (uint32_t c = 0; c < RG_RULE_COLUMNS_MAX; c++) {
		free(build.columns[c].bounds);
		free(build.columns[c].cuts);
	}
	free(build.rows);
	free(build.predicates.items);
	free(build.intervals.items);
	free(build.named);
	if (status)
		free(build.table);
	else
		*table = build.table;
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From marks to lines and rules. See coverage.h. */
#include "base/json_member.h"
#include "tools/riskctl/coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rule {
	uint64_t entered, defined;
};

struct rg_coverage {
	const struct rg_plan_view *view;
	bool *begun, *held; /* by statement */
	struct rule *rules; /* by function of the plan */
	uint32_t rows_max;  /* the highest row of any statement */
};

/* What is known of one source line. */
enum line_flags { LINE_COUNTS = 1, LINE_REACHED = 2, LINE_FAILED = 4 };

struct rg_coverage *rg_coverage_new(const struct rg_plan_view *view)
{
	struct rg_coverage *coverage = calloc(1, sizeof(*coverage));
	uint32_t statements = view->plan->statement_count;

	if (!coverage)
		return NULL;
	coverage->view = view;
	coverage->begun = calloc(statements + 1, sizeof(bool));
	coverage->held = calloc(statements + 1, sizeof(bool));
	coverage->rules = calloc(view->plan->function_count + 1, sizeof(*coverage->rules));
	if (!coverage->begun || !coverage->held || !coverage->rules) {
		rg_coverage_free(coverage);
		return NULL;
	}
	for (uint32_t i = 0; i < statements; i++)
		if (view->statements[i].statement->row > coverage->rows_max)
			coverage->rows_max = view->statements[i].statement->row;
	return coverage;
}

void rg_coverage_free(struct rg_coverage *coverage)
{
	if (!coverage)
		return;
	free(coverage->begun);
	free(coverage->held);
	free(coverage->rules);
	free(coverage);
}

void rg_coverage_mark(void *context, const struct rg_mark *mark)
{
	struct rg_coverage *coverage = context;

	switch (mark->phase) {
	case RG_MARK_ENTER: coverage->rules[mark->number].entered++; break;
	case RG_MARK_RETURN:
		coverage->rules[mark->number].defined += mark->value.type != RG_UNDEFINED;
		break;
	case RG_MARK_BEGIN: coverage->begun[mark->number] = true; break;
	case RG_MARK_DONE:
	case RG_MARK_ITEM: coverage->held[mark->number] = true; break;
	default: break;
	}
}

/* ---- lines ---- */

/* Is the statement one that need not hold for its line to hold? */
static bool is_excused(const struct rg_plan_view *view, uint32_t id)
{
	if (view->statements[id].statement->type == RG_STATEMENT_WITH)
		return true;
	while ((id = view->statements[id].parent) != RG_PLAN_VIEW_NONE)
		if (view->statements[id].statement->type == RG_STATEMENT_NOT)
			return true;
	return false;
}

/* flags[0..rows_max] of a file's lines. */
static void lines_of(const struct rg_coverage *coverage, uint32_t file, uint8_t *flags)
{
	const struct rg_plan_view *view = coverage->view;

	memset(flags, 0, coverage->rows_max + 1);
	for (uint32_t i = 0; i < view->plan->statement_count; i++) {
		const struct rg_plan_statement *statement = view->statements[i].statement;

		if (statement->file != file || view->statements[i].function == RG_PLAN_VIEW_NONE ||
		    !rg_statement_can_fail(statement))
			continue;
		flags[statement->row] |= LINE_COUNTS;
		if (!coverage->begun[i])
			continue;
		flags[statement->row] |= LINE_REACHED;
		if (!coverage->held[i] && !is_excused(view, i))
			flags[statement->row] |= LINE_FAILED;
	}
}

static bool never_held(uint8_t flags)
{
	return (flags & LINE_REACHED) && (flags & LINE_FAILED);
}

static bool not_reached(uint8_t flags)
{
	return (flags & LINE_COUNTS) && !(flags & LINE_REACHED);
}

struct counts {
	uint32_t lines, reached, held;
};

static struct counts count_lines(const uint8_t *flags, uint32_t rows_max)
{
	struct counts counts = {0};

	for (uint32_t row = 0; row <= rows_max; row++) {
		counts.lines += flags[row] & LINE_COUNTS;
		counts.reached += !!(flags[row] & LINE_REACHED);
		counts.held += (flags[row] & LINE_REACHED) && !(flags[row] & LINE_FAILED);
	}
	return counts;
}

static double percent(uint32_t part, uint32_t whole)
{
	return whole ? 100.0 * part / whole : 100.0;
}

/* Call `each` for every file that has lines that count; returns the sum. */
static struct counts each_file(const struct rg_coverage *coverage,
			       void (*each)(const struct rg_coverage *, uint32_t file,
					    const uint8_t *flags, struct counts, void *context),
			       void *context)
{
	struct counts sum = {0};
	uint8_t *flags = malloc(coverage->rows_max + 1);

	for (uint32_t file = 0; flags && file < coverage->view->plan->file_count; file++) {
		struct counts counts;

		lines_of(coverage, file, flags);
		counts = count_lines(flags, coverage->rows_max);
		if (!counts.lines)
			continue;
		if (each)
			each(coverage, file, flags, counts, context);
		sum.lines += counts.lines;
		sum.reached += counts.reached;
		sum.held += counts.held;
	}
	free(flags);
	return sum;
}

/* ---- printing ---- */

static void print_lines(const struct rg_coverage *coverage, uint32_t file, const uint8_t *flags,
			bool (*wanted)(uint8_t), const char *title)
{
	bool any = false;

	for (uint32_t row = 0; row <= coverage->rows_max; row++) {
		size_t bytes;
		const char *source;

		if (!wanted(flags[row]))
			continue;
		if (!any)
			printf("  %s\n", title);
		any = true;
		source = rg_plan_view_line(coverage->view, file, row, &bytes);
		printf("  %5u  %.*s\n", row, (int)bytes, source);
	}
}

static void print_file(const struct rg_coverage *coverage, uint32_t file, const uint8_t *flags,
		       struct counts counts, void *context)
{
	(void)context;
	printf("%s: %.1f %% reached, %u of %u lines; %u were true\n",
	       rg_plan_view_file(coverage->view, file), percent(counts.reached, counts.lines),
	       counts.reached, counts.lines, counts.held);
	print_lines(coverage, file, flags, not_reached, "not reached:");
	print_lines(coverage, file, flags, never_held, "reached, but never true:");
}

void rg_coverage_print(const struct rg_coverage *coverage)
{
	const struct rg_plan *plan = coverage->view->plan;
	char name[RG_RULE_NAME_BYTES];

	each_file(coverage, print_file, NULL);
	puts("rules:");
	for (uint32_t i = 0; i < plan->function_count; i++)
		printf("  %-50s evaluated %llu, defined %llu\n",
		       rg_plan_view_rule(coverage->view, i, name),
		       (unsigned long long)coverage->rules[i].entered,
		       (unsigned long long)coverage->rules[i].defined);
}

static void write_lines(const struct rg_coverage *coverage, uint32_t file, const uint8_t *flags,
			bool (*wanted)(uint8_t), const char *key, struct rg_json_writer *writer)
{
	rg_json_write_key(writer, key);
	rg_json_write_array_begin(writer);
	for (uint32_t row = 0; row <= coverage->rows_max; row++) {
		size_t bytes;
		const char *source;

		if (!wanted(flags[row]))
			continue;
		source = rg_plan_view_line(coverage->view, file, row, &bytes);
		rg_json_write_object_begin(writer);
		rg_json_member_uint(writer, "row", row);
		rg_json_write_key(writer, "source");
		rg_json_write_string_n(writer, source, bytes);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

static void write_percent(struct rg_json_writer *writer, struct counts counts)
{
	char text[16];

	snprintf(text, sizeof(text), "%.1f", percent(counts.reached, counts.lines));
	rg_json_write_key(writer, "percent");
	rg_json_write_raw(writer, text, strlen(text));
}

static void write_file(const struct rg_coverage *coverage, uint32_t file, const uint8_t *flags,
		       struct counts counts, void *context)
{
	struct rg_json_writer *writer = context;

	rg_json_write_object_begin(writer);
	rg_json_member_text(writer, "file", rg_plan_view_file(coverage->view, file));
	write_percent(writer, counts);
	rg_json_member_uint(writer, "lines", counts.lines);
	rg_json_member_uint(writer, "lines_reached", counts.reached);
	rg_json_member_uint(writer, "lines_true", counts.held);
	write_lines(coverage, file, flags, not_reached, "not_reached", writer);
	write_lines(coverage, file, flags, never_held, "never_true", writer);
	rg_json_write_object_end(writer);
}

void rg_coverage_write(const struct rg_coverage *coverage, struct rg_json_writer *writer)
{
	const struct rg_plan_view *view = coverage->view;
	char name[RG_RULE_NAME_BYTES];
	struct counts sum;

	rg_json_write_key(writer, "files");
	rg_json_write_array_begin(writer);
	sum = each_file(coverage, write_file, writer);
	rg_json_write_array_end(writer);
	write_percent(writer, sum);
	rg_json_write_key(writer, "rules");
	rg_json_write_array_begin(writer);
	for (uint32_t i = 0; i < view->plan->function_count; i++) {
		rg_json_write_object_begin(writer);
		rg_json_member_text(writer, "rule", rg_plan_view_rule(view, i, name));
		rg_json_member_text(writer, "file", rg_plan_view_file(view, view->head_files[i]));
		rg_json_member_uint(writer, "row", view->head_rows[i]);
		rg_json_member_uint(writer, "evaluated", coverage->rules[i].entered);
		rg_json_member_uint(writer, "defined", coverage->rules[i].defined);
		rg_json_write_object_end(writer);
	}
	rg_json_write_array_end(writer);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/text_diff.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_LINES 3

struct line {
	const char *text;
	size_t bytes; /* without the newline */
};

struct lines {
	struct line *at;
	uint32_t count;
};

/* What happens to a line; the script is the list of these from the first line to the last. */
enum edit { KEEP, REMOVE, ADD };

struct script {
	uint8_t *edits; /* enum edit */
	uint32_t count;
};

static int out_of_memory(struct rg_error *err)
{
	return rg_error_set(err, RG_ENOMEM, "out of memory for a diff");
}

static int split(const char *text, struct lines *lines, struct rg_error *err)
{
	uint32_t count = 0;

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
		count++;
	if (count > RG_TEXT_DIFF_LINES_MAX)
		return rg_error_set(err, RG_ELIMIT, "a text has more than %u lines",
				    RG_TEXT_DIFF_LINES_MAX);
	lines->at = calloc(count + 1, sizeof(*lines->at));
	if (!lines->at)
		return out_of_memory(err);
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
		lines->at[lines->count++] = (struct line){at, strcspn(at, "\n")};
	return RG_OK;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->bytes == b->bytes && !memcmp(a->text, b->text, a->bytes);
}

static void push(struct script *script, enum edit edit, uint32_t times)
{
	memset(script->edits + script->count, edit, times);
	script->count += times;
}

/* The furthest x on diagonal k after d edits, from what d - 1 edits reached. `v` is indexed from
 * its middle. */
static int64_t step(const int32_t *v, int64_t k, int64_t d)
{
	if (k == -d || (k != d && v[k - 1] < v[k + 1]))
		return v[k + 1];
	return (int64_t)v[k - 1] + 1;
}

/* Walk back through the rows of `trace` from (n, m); writes the edits from the end. */
static void backtrack(int32_t *const *trace, int64_t edits, int64_t n, int64_t m,
		      struct script *script)
{
	uint8_t *at = script->edits + script->count + n + m; /* room for the longest script */
	uint8_t *end = at;
	int64_t x = n, y = m;

	for (int64_t d = edits; d > 0; d--) {
		const int32_t *v = trace[d - 1] + d; /* row d - 1 has diagonals -d..d */
		int64_t k = x - y;
		bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
		int64_t before_x = v[down ? k + 1 : k - 1];
		int64_t before_y = before_x - (down ? k + 1 : k - 1);

		for (; x > before_x + !down && y > before_y + down; x--, y--)
			*--at = KEEP;
		*--at = down ? ADD : REMOVE;
		x = before_x;
		y = before_y;
	}
	for (; x > 0; x--)
		*--at = KEEP;
	memmove(script->edits + script->count, at, (size_t)(end - at));
	script->count += (uint32_t)(end - at);
}

/* The edits between a[0..n) and b[0..m). */
static int compare(const struct line *a, int64_t n, const struct line *b, int64_t m,
		   struct script *script, struct rg_error *err)
{
	int32_t *trace[RG_TEXT_DIFF_EDITS_MAX + 1] = {0};
	bool found = !n && !m, failed = false;

	/* Row d keeps the furthest x of each diagonal -d-1..d+1 after d edits. */
	for (int64_t d = 0; !found && !failed && d <= RG_TEXT_DIFF_EDITS_MAX; d++) {
		int32_t *row = calloc((size_t)(2 * d + 3), sizeof(*row)), *v = row + d + 1;
		const int32_t *before = d ? trace[d - 1] + d : NULL;

		trace[d] = row;
		failed = !row;
		for (int64_t k = -d; !failed && k <= d; k += 2) {
			int64_t x = d ? step(before, k, d) : 0, y = x - k;

			while (x < n && y < m && same(&a[x], &b[y]))
				x++, y++;
			v[k] = (int32_t)x;
			if (x >= n && y >= m) {
				backtrack(trace, d, n, m, script);
				found = true;
				break;
			}
		}
	}
	for (uint32_t d = 0; d <= RG_TEXT_DIFF_EDITS_MAX; d++)
		free(trace[d]);
	if (failed)
		return out_of_memory(err);
	if (!found) {
		push(script, REMOVE, (uint32_t)n);
		push(script, ADD, (uint32_t)m);
	}
	return RG_OK;
}

static int make_script(const struct lines *from, const struct lines *to, struct script *script,
		       struct rg_error *err)
{
	uint32_t least = from->count < to->count ? from->count : to->count, head = 0, tail = 0;
	int rc;

	script->edits = malloc(from->count + to->count + 1ul);
	if (!script->edits)
		return out_of_memory(err);
	while (head < least && same(&from->at[head], &to->at[head]))
		head++;
	while (tail < least - head &&
	       same(&from->at[from->count - 1 - tail], &to->at[to->count - 1 - tail]))
		tail++;
	push(script, KEEP, head);
	rc = compare(from->at + head, from->count - head - tail, to->at + head,
		     to->count - head - tail, script, err);
	push(script, KEEP, tail);
	return rc;
}

/* ---- hunks ---- */

struct hunk {
	uint32_t first, end;	     /* edits of the script */
	uint32_t from_line, to_line; /* 0-based, of its first edit */
	uint32_t from_count, to_count;
};

static void print_hunk(FILE *out, const struct hunk *hunk, const struct script *script,
		       const struct lines *from, const struct lines *to)
{
	uint32_t a = hunk->from_line, b = hunk->to_line;

	fprintf(out, "@@ -%u,%u +%u,%u @@\n", hunk->from_count ? a + 1 : a, hunk->from_count,
		hunk->to_count ? b + 1 : b, hunk->to_count);
	for (uint32_t i = hunk->first; i < hunk->end; i++) {
		enum edit edit = script->edits[i];
		const struct line *line = edit == ADD ? &to->at[b] : &from->at[a];

		fprintf(out, "%c%.*s\n", " -+"[edit], (int)line -> bytes, line -> text);
		a += edit != ADD;
		b += edit != REMOVE;
	}
}

/* The hunk that begins at edit `at`, where the texts are at lines *a and *b; moves them behind it.
 * Changes with no more than twice the context between them share a hunk. */
static struct hunk next_hunk(const struct script *script, uint32_t at, uint32_t *a, uint32_t *b)
{
	struct hunk hunk = {at, at, *a, *b, 0, 0};
	uint32_t kept = 0, end = at;

	for (uint32_t i = at; i < script->count && kept <= 2 * CONTEXT_LINES; i++) {
		kept = script->edits[i] == KEEP ? kept + 1 : 0;
		if (!kept)
			end = i + 1;
	}
	end = script->count - end < CONTEXT_LINES ? script->count : end + CONTEXT_LINES;
	hunk.end = end;
	for (uint32_t i = at; i < end; i++) {
		hunk.from_count += script->edits[i] != ADD;
		hunk.to_count += script->edits[i] != REMOVE;
	}
	*a += hunk.from_count;
	*b += hunk.to_count;
	return hunk;
}

static void print_hunks(FILE *out, const struct script *script, const struct lines *from,
			const struct lines *to)
{
	uint32_t at = 0, a = 0, b = 0;

	while (at < script->count) {
		uint32_t change = at, before;
		struct hunk hunk;

		while (change < script->count && script->edits[change] == KEEP)
			change++;
		if (change == script->count)
			return;
		before = change - at < CONTEXT_LINES ? change - at : CONTEXT_LINES;
		a += change - at - before;
		b += change - at - before;
		hunk = next_hunk(script, change - before, &a, &b);
		print_hunk(out, &hunk, script, from, to);
		at = hunk.end;
	}
}

int rg_text_diff(const char *from, const char *to, struct rg_text_diff *diff, struct rg_error *err)
{
	struct lines a = {0}, b = {0};
	struct script script = {0};
	FILE *out = NULL;
	int rc = split(from, &a, err);

	memset(diff, 0, sizeof(*diff));
	if (!rc)
		rc = split(to, &b, err);
	if (!rc)
		rc = make_script(&a, &b, &script, err);
	if (!rc) {
		out = open_memstream(&diff->text, &diff->bytes);
		rc = out ? RG_OK : out_of_memory(err);
	}
	if (!rc) {
		for (uint32_t i = 0; i < script.count; i++) {
			diff->added_lines += script.edits[i] == ADD;
			diff->removed_lines += script.edits[i] == REMOVE;
		}
		print_hunks(out, &script, &a, &b);
		if (fclose(out)) {
			free(diff->text);
			diff->text = NULL;
			rc = out_of_memory(err);
		}
	}
	free(script.edits);
	free(a.at);
	free(b.at);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unified diff of two texts, line by line, with three lines of context.
 *
 * The shortest edit script is found with Myers' greedy algorithm (E. W. Myers, "An O(ND) Difference
 * Algorithm and Its Variations", 1986) between the lines that both texts begin and end with. Its
 * memory grows with the square of the edits, so beyond RG_TEXT_DIFF_EDITS_MAX of them what lies in
 * between is shown as removed and added as a whole.
 *
 * Thread-safety: pure.
 */
#ifndef RG_BUNDLE_TEXT_DIFF_H
#define RG_BUNDLE_TEXT_DIFF_H

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

#define RG_TEXT_DIFF_EDITS_MAX 1000
#define RG_TEXT_DIFF_LINES_MAX (1u << 20)

struct rg_text_diff {
	uint32_t added_lines, removed_lines;
	char *text; /* hunks; NUL-terminated, the caller's to free; "" when the texts are equal */
	size_t bytes;
};

/* Compare two NUL-terminated texts. RG_ENOMEM; RG_ELIMIT: more than RG_TEXT_DIFF_LINES_MAX
 * lines. */
int rg_text_diff(const char *from, const char *to, struct rg_text_diff *diff, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean ...?": the closest of the words that are offered one by one.
 *
 *	struct rg_suggestion suggestion = {.wanted = "statsu"};
 *	rg_suggestion_offer(&suggestion, "status");
 *	suggestion.best is "status", or "" when nothing came close
 *
 * Close is what takes no more changes than a third of the word's length, and one, to become it
 * (Levenshtein); or what begins with the word. Of the same distance the first that was offered is
 * kept.
 *
 * Thread-safety: a suggestion belongs to one thread.
 */
#ifndef RG_BASE_SUGGEST_H
#define RG_BASE_SUGGEST_H

#include <stddef.h>

#define RG_SUGGESTION_BYTES_MAX 100 /* words of so many bytes and more are not compared */

struct rg_suggestion {
	const char *wanted;
	char best[RG_SUGGESTION_BYTES_MAX];
	unsigned best_distance;
};

void rg_suggestion_offer(struct rg_suggestion *suggestion, const char *candidate);
/* The same for the first `bytes` of a text. */
void rg_suggestion_offer_n(struct rg_suggestion *suggestion, const char *candidate, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean ...?": the closest of the words that are offered one by one.
 *
 *	struct rg_suggestion suggestion = {.wanted = "statsu"};
 *	rg_suggestion_offer(&suggestion, "status");
 *	suggestion.best is "status", or NULL when nothing came close
 *
 * Thread-safety: a suggestion belongs to one thread.
 */
#ifndef RG_TOOLS_RISKCTL_SUGGEST_H
#define RG_TOOLS_RISKCTL_SUGGEST_H

#define RG_SUGGESTION_BYTES_MAX 100 /* words of so many bytes and more are not compared */

struct rg_suggestion {
	const char *wanted, *best;
	unsigned best_distance;
};

/* `candidate` must live as long as the suggestion. */
void rg_suggestion_offer(struct rg_suggestion *suggestion, const char *candidate);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein distance of two words; UINT_MAX for long ones. */
static unsigned distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	unsigned row[RG_SUGGESTION_BYTES_MAX];

	if (a_bytes >= RG_SUGGESTION_BYTES_MAX || b_bytes >= RG_SUGGESTION_BYTES_MAX)
		return (unsigned)-1;
	for (size_t j = 0; j <= b_bytes; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_bytes; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_bytes; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_bytes];
}

void rg_suggestion_offer_n(struct rg_suggestion *suggestion, const char *candidate, size_t bytes)
{
	size_t wanted_bytes = strlen(suggestion->wanted);
	unsigned d = distance(suggestion->wanted, wanted_bytes, candidate, bytes);

	/* A beginning of the word ("dec" for "decisions") is as good as one slip. */
	if (wanted_bytes >= 2 && bytes > wanted_bytes && bytes < RG_SUGGESTION_BYTES_MAX && d > 1 &&
	    !memcmp(candidate, suggestion->wanted, wanted_bytes))
		d = 1;
	if (d > 1 + wanted_bytes / 3 || (suggestion->best[0] && d >= suggestion->best_distance))
		return;
	memcpy(suggestion->best, candidate, bytes);
	suggestion->best[bytes] = '\0';
	suggestion->best_distance = d;
}

void rg_suggestion_offer(struct rg_suggestion *suggestion, const char *candidate)
{
	rg_suggestion_offer_n(suggestion, candidate, strlen(candidate));
}

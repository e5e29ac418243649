/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/riskctl/suggest.h"

#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein distance of two words of less than RG_SUGGESTION_BYTES_MAX bytes; UINT_MAX for longer ones. */
static unsigned distance(const char *a, const char *b)
{
	size_t a_bytes = strlen(a), b_bytes = strlen(b);
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

void rg_suggestion_offer(struct rg_suggestion *suggestion, const char *candidate)
{
	size_t wanted_bytes = strlen(suggestion->wanted);
	unsigned d = distance(suggestion->wanted, candidate);

	/* A beginning of the word ("dec" for "decisions") is as good as one slip. */
	if (wanted_bytes >= 2 && strncmp(candidate, suggestion->wanted, wanted_bytes) == 0 && d > 1)
		d = 1;
	if (d <= 1 + wanted_bytes / 4 && (!suggestion->best || d < suggestion->best_distance)) {
		suggestion->best = candidate;
		suggestion->best_distance = d;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <assert.h>
#include <string.h>

static const char *closest(const char *wanted, const char *const *words)
{
	static struct rg_suggestion suggestion;

	suggestion = (struct rg_suggestion){.wanted = wanted};
	for (; *words; words++)
		rg_suggestion_offer(&suggestion, *words);
	return suggestion.best;
}

int main(void)
{
	static const char *const words[] = {"amount", "account", "currency", "user.risk_level",
					    NULL};
	char longer[RG_SUGGESTION_BYTES_MAX + 1];
	const char *const only_longer[] = {longer, NULL};
	struct rg_suggestion suggestion = {.wanted = "user"};

	assert(!strcmp(closest("amuont", words), "amount"));
	assert(!strcmp(closest("acconut", words), "account"));
	assert(!strcmp(closest("user.risk_levl", words), "user.risk_level"));
	assert(!strcmp(closest("curr", words), "currency")); /* its beginning */
	assert(!strcmp(closest("", words), ""));
	assert(!strcmp(closest("merchant", words), ""));
	assert(!strcmp(closest("amount", words), "amount"));
	/* Part of a text, and texts too long to compare. */
	rg_suggestion_offer_n(&suggestion, "users.name", 5);
	assert(!strcmp(suggestion.best, "users"));
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert(!strcmp(closest("aaaa", only_longer), ""));
	assert(!strcmp(closest(longer, words), ""));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/query.h"

#include <assert.h>

#define MEMBERS 8

bool rg_journal_query_parse(const char *json, size_t bytes, struct rg_journal_query *query)
{
	static const char *const keys[MEMBERS] = {"decision_id", "path",  "input",
						  "result",	 "error", "requested_by",
						  "headers",	 "erased"};
	struct rg_span found[MEMBERS];
	struct rg_error err;

	static_assert(sizeof(*query) == sizeof(found), "each member has a key");
	if (!rg_span_find(json, bytes, keys, found, MEMBERS, &err))
		return false;
	*query = (struct rg_journal_query){found[0], found[1], found[2], found[3],
					   found[4], found[5], found[6], found[7]};
	return true;
}

bool rg_journal_query_read(const struct rg_record *record, struct rg_journal_query *query)
{
	return record->kind == RG_RECORD_QUERY &&
	       rg_journal_query_parse((const char *)rg_record_request(record),
				      record->request_bytes, query);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A member of a JSON object whose value is printed as riskctl prints it. */
#ifndef RG_TOOLS_RISKCTL_JSON_MEMBER_H
#define RG_TOOLS_RISKCTL_JSON_MEMBER_H

#include <string.h>

#include "base/json_member.h"
#include "tools/riskctl/format.h"

/* Millionths as a decimal. */
static inline void rg_json_member_micro(struct rg_json_writer *writer, const char *key,
					int64_t micro)
{
	char text[RG_FORMAT_BYTES];

	rg_format_micro(text, micro);
	rg_json_write_key(writer, key);
	rg_json_write_raw(writer, text, strlen(text));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a JSON object that is being written: its key and its value. */
#ifndef RG_TOOLS_RISKCTL_JSON_MEMBER_H
#define RG_TOOLS_RISKCTL_JSON_MEMBER_H

#include <string.h>

#include "base/json.h"
#include "tools/riskctl/format.h"

static inline void rg_json_member_uint(struct rg_json_writer *writer, const char *key,
				       uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

static inline void rg_json_member_text(struct rg_json_writer *writer, const char *key,
				       const char *value)
{
	rg_json_write_key(writer, key);
	rg_json_write_string(writer, value);
}

static inline void rg_json_member_bool(struct rg_json_writer *writer, const char *key, bool value)
{
	rg_json_write_key(writer, key);
	rg_json_write_bool(writer, value);
}

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

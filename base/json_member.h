/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a JSON object that is being written: its key and its value, or where that
 * begins. */
#ifndef RG_BASE_JSON_MEMBER_H
#define RG_BASE_JSON_MEMBER_H

#include "base/json.h"

static inline void rg_json_member_uint(struct rg_json_writer *writer, const char *key,
				       uint64_t value)
{
	rg_json_write_key(writer, key);
	rg_json_write_uint(writer, value);
}

/* Millionths as a decimal. */
static inline void rg_json_member_micro(struct rg_json_writer *writer, const char *key,
					int64_t micro)
{
	rg_json_write_key(writer, key);
	rg_json_write_micro(writer, micro);
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

/* Not there when it is 0: never. */
static inline void rg_json_member_time(struct rg_json_writer *writer, const char *key,
				       uint64_t unix_ns)
{
	if (!unix_ns)
		return;
	rg_json_write_key(writer, key);
	rg_json_write_time(writer, unix_ns);
}

static inline void rg_json_member_object(struct rg_json_writer *writer, const char *key)
{
	rg_json_write_key(writer, key);
	rg_json_write_object_begin(writer);
}

static inline void rg_json_member_array(struct rg_json_writer *writer, const char *key)
{
	rg_json_write_key(writer, key);
	rg_json_write_array_begin(writer);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a JSON object where they stand, without copying or decoding them.
 *
 * Thread-safety: functions are independent.
 */
#ifndef RG_BASE_JSON_SPAN_H
#define RG_BASE_JSON_SPAN_H

#include "base/json.h"

/* A value inside a JSON text. bytes 0: it is not there. */
struct rg_span {
	const char *text;
	size_t bytes;
};

/* The last value of each of `keys` in the object that the whole text is, or null. False: it is
 * malformed, *err says why. */
bool rg_span_find(const char *json, size_t bytes, const char *const *keys, struct rg_span *found,
		  uint32_t count, struct rg_error *err);

/* The text of a span that is a string, NUL-terminated in out[0..room), cut between two characters
 * when it is longer. NULL: it is no string, or out of memory. */
const char *rg_span_text(struct rg_span span, char *out, size_t room);

/* Write it as a member, if it is there. */
void rg_span_write(struct rg_json_writer *writer, const char *key, struct rg_span span);

#endif

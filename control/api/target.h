/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request line asks for: path segments and query parameters, percent-decoded.
 *
 * The path is cut at '/' before it is decoded, so that "%2F" may stand inside a segment; empty
 * segments are left out, as OPA does. In the query "+" is a space. Whoever sends it is hostile:
 * everything is bounded, and a text may hold any byte, also NUL.
 *
 * Source: RFC 3986; OPA v1/server (stringPathToRef, getBoolParam). Thread-safety: functions are
 * independent.
 */
#ifndef RG_CONTROL_API_TARGET_H
#define RG_CONTROL_API_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_TARGET_BYTES_MAX	 (16u << 10)
#define RG_TARGET_SEGMENTS_MAX	 64
#define RG_TARGET_PARAMETERS_MAX 64

/* Bytes, NUL-terminated for messages. */
struct rg_target_text {
	const char *text;
	uint32_t bytes;
};

struct rg_target {
	struct rg_target_text segments[RG_TARGET_SEGMENTS_MAX];
	struct rg_target_text keys[RG_TARGET_PARAMETERS_MAX], values[RG_TARGET_PARAMETERS_MAX];
	uint32_t segment_count, parameter_count;
	char *decoded; /* what they point into */
};

/* Parse "/v1/data/a%2Fb?pretty=true". Errors: RG_EINVAL (a broken %-escape), RG_ELIMIT (too long,
 * too many), RG_ENOMEM. */
int rg_target_parse(const char *uri, struct rg_target *target, struct rg_error *err);
void rg_target_free(struct rg_target *target);

bool rg_target_text_is(struct rg_target_text text, const char *expected);
/* The first parameter of this name, or NULL. */
const struct rg_target_text *rg_target_parameter(const struct rg_target *target, const char *key);
/* Is a flag set? As OPA: "?pretty", "?pretty=true" and any value but "false" do. */
bool rg_target_flag(const struct rg_target *target, const char *key);

#endif

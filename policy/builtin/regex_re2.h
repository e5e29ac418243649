/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RE2, for C. Go's regular expressions are RE2's, but for the spelling (?<name>...) of a named
 * group, which is translated.
 *
 * RE2 allocates with malloc when a pattern is compiled, and now and then while its automaton grows:
 * the one exception, with yaml.*, to the rule that built-ins live in SCRATCH. To keep it from the
 * hot path each thread caches its last RG_REGEX_CACHE_MAX patterns, least recently used out first;
 * so a policy's constant patterns are compiled by their first use. Memory for each is bounded
 * (RG_REGEX_MEMORY_BYTES) and matching takes time linear in the text.
 *
 * Thread-safety: the cache is the thread's own; a regex is valid until the thread compiles others.
 */
#ifndef RG_POLICY_BUILTIN_REGEX_RE2_H
#define RG_POLICY_BUILTIN_REGEX_RE2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RG_REGEX_CACHE_MAX    64
#define RG_REGEX_MEMORY_BYTES (1 << 20)
#define RG_REGEX_GROUPS_MAX   64

struct rg_regex;

/* Byte offsets of a match; -1: the group took no part. */
struct rg_regex_span {
	int64_t start, end;
};

/* Compile, or find in the cache. NULL: malformed; `error` tells why. */
struct rg_regex *rg_regex_compile(const char *pattern, size_t bytes, char *error,
				  size_t error_bytes);
/* Capturing groups, not counting the whole match. */
int rg_regex_group_count(const struct rg_regex *regex);
/* Number of a named group, or -1. */
int rg_regex_group_by_name(const struct rg_regex *regex, const char *name, size_t bytes);
/* First match at or behind `from`, with the text before it as context. Fills spans[0..count),
 * the whole match first. */
bool rg_regex_match(const struct rg_regex *regex, const char *text, size_t bytes, size_t from,
		    struct rg_regex_span *spans, int count);

#ifdef __cplusplus
}
#endif

#endif

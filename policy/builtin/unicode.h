/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letter case, white space and printability of runes, as Go's package unicode has them.
 *
 * Thread-safety: pure functions over constant tables.
 */
#ifndef RG_POLICY_BUILTIN_UNICODE_H
#define RG_POLICY_BUILTIN_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

/* Simple case mappings. */
uint32_t rg_rune_lower(uint32_t rune);
uint32_t rg_rune_upper(uint32_t rune);
/* Letters, marks, numbers, punctuation, symbols, and the ASCII space. */
bool rg_rune_is_printable(uint32_t rune);
bool rg_rune_is_space(uint32_t rune);

#endif

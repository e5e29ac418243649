/* SPDX-License-Identifier: Apache-2.0 */
/* The list of reason names (struct rg_reason_list of compile.h), for the compiler. Private to
 * compile/. */
#ifndef RG_POLICY_COMPILE_REASONS_H
#define RG_POLICY_COMPILE_REASONS_H

#include <stdbool.h>

#include "policy/compile/compile.h"

/* Append a copy of a name that is known not to be in the list. False when memory is out. */
bool rg_reason_list_append(struct rg_reason_list *list, const char *name, size_t bytes);

#endif

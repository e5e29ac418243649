/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions make a template's verdict, and which strings can be reasons. Private to compile/.
 */
#ifndef RG_POLICY_COMPILE_VERDICT_H
#define RG_POLICY_COMPILE_VERDICT_H

#include "policy/compile/unit.h"

/* Enter the options' bindings: templates, verdict functions, reasons. RG_OK, or RG_EINVAL/RG_ENOENT naming the binding
 * and what to do about it. */
int rg_verdict_bind(struct rg_unit *unit);

#endif

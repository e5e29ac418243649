/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the columns of a policy's rule tables are, in words: "amount", "network of device.ip", "hour of
 * time_ns".
 *
 * Thread-safety: pure functions over an image.
 */
#ifndef RG_TOOLS_RISKCTL_POLICY_COLUMNS_H
#define RG_TOOLS_RISKCTL_POLICY_COLUMNS_H

#include "policy/image/typed.h"
#include "tools/riskctl/image_view.h"

#define RG_COLUMN_TEXT_BYTES 200

/* What the slot holds that instruction `at` of the program, a MATCH_INPUT, reads. Returns out. */
const char *rg_column_text(const struct rg_image_view *view, const struct rg_typed_program *program,
			   uint32_t at, char *out);

#endif

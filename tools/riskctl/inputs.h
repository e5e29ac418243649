/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON document or many, from a path: a file; standard input for "-"; a file of JSON lines
 * (*.jsonl); or a folder of such files (*.json, *.jsonl), in order of name.
 *
 * Thread-safety: riskctl has one thread.
 */
#ifndef RG_TOOLS_RISKCTL_INPUTS_H
#define RG_TOOLS_RISKCTL_INPUTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Takes one document; `name` says where it came from ("requests.jsonl:17"). Anything but RG_OK
 * ends the walk. */
typedef int rg_input_taker(void *context, const char *name, const char *text, size_t bytes);

/* Call `take` for each document; *count is how many there were. Errors: what reading gives,
 * RG_ENOENT for a folder without any, what `take` returned. */
int rg_inputs_each(const char *path, rg_input_taker *take, void *context, uint64_t *count,
		   struct rg_error *err);

#endif

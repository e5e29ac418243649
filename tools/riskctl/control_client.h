/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of riskgate-control's unix socket: one JSON object a line each way.
 *
 * Thread-safety: a call uses a connection of its own.
 */
#ifndef RG_TOOLS_RISKCTL_CONTROL_CLIENT_H
#define RG_TOOLS_RISKCTL_CONTROL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* No answer is longer: a list of decisions is bounded by its limit. */
#define RG_CONTROL_ANSWER_BYTES_MAX (256u << 20)

/*
 * Send `request`, one JSON object without a line end in it, and wait up to timeout_ms for the
 * answer, whose line *answer holds (malloc'ed, NUL-terminated, the caller's to free). Errors:
 * RG_ENOENT (nobody listens), RG_EIO (permission, broken connection), RG_EAGAIN (no answer in
 * time), RG_EINVAL (the answer is no JSON object with "ok"), and what control itself answered with
 * "ok": false, with its text and status.
 */
int rg_control_call(const char *socket_path, const char *request, uint64_t timeout_ms,
		    char **answer, size_t *answer_bytes, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket file of a memif server. A killed server leaves it behind, and the next one would then
 * start with no port and no error: so it is removed before DPDK starts, if nobody answers on it.
 */
#ifndef RG_DATAPLANE_MEMIF_SOCKET_H
#define RG_DATAPLANE_MEMIF_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The path of the socket file that this device would make, to path. False if it makes none: not a
 * memif server, or an abstract socket. */
bool rg_memif_socket_path(const char *device, char *path, size_t path_bytes);
/* Remove a stale socket file at path. Nothing there is fine. Errors: RG_ECONFLICT: it is no socket,
 * or a process answers on it; RG_EIO. */
int rg_memif_socket_clear(const char *path, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices when a folder of policies, or a single bundle file, changed.
 *
 *	             an event                quiet for 200 ms, or 2 s since the first event
 *	  QUIET ──────────────► SETTLING ───────────────────────────────────────────────────► changed
 *	    ▲                    │   ▲                                                          │
 *	    │                    └───┘ another event                                            │
 *	    └───────────────────────────────────────────────────────────────────────────────────┘
 *
 * inotify tells about writes, renames and removals in the folder and the folders below it; a file
 * is watched through its folder, so that a new one renamed over it counts. Kubernetes mounts a
 * ConfigMap as a folder of symbolic links to `..data`, which it swaps as a whole: that is a rename
 * in the folder. Where the folder is not there, or inotify has no more watches, it is looked for
 * once a second, by its modification time.
 *
 * Thread-safety: belongs to one thread; nothing waits.
 */
#ifndef RG_CONTROL_FOLDER_WATCH_H
#define RG_CONTROL_FOLDER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct rg_folder_watch;

/* Watch path. NULL: out of memory. */
struct rg_folder_watch *rg_folder_watch_new(const char *path);
void rg_folder_watch_free(struct rg_folder_watch *watch); /* NULL is allowed */

/* Has it changed since the last true? True at first, if it is there. now_ns: CLOCK_MONOTONIC. */
bool rg_folder_watch_changed(struct rg_folder_watch *watch, uint64_t now_ns);

#endif

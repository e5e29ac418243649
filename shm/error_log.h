/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distinct-error log: each different error text once, with when it was first and last seen and
 * how often.
 *
 * A fixed number of slots, filled in order and never reused, so that the first cause is still there
 * after a million followers. When all are taken, further new texts are counted in `overflow`. Keep
 * texts free of numbers that differ each time.
 *
 * Each slot is a snapshot (snapshot.h): a reader gets text, times and count that belong together or
 * none of them. The log survives a restart of its writer in the same file.
 *
 * Thread-safety: one writer a log, wait-free (a scan of the slots in use); any number of readers,
 * lock-free.
 */
#ifndef RG_SHM_ERROR_LOG_H
#define RG_SHM_ERROR_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/object.h"

#define RG_ERROR_LOG_VERSION	1
#define RG_ERROR_LOG_SLOTS	32
#define RG_ERROR_LOG_TEXT_BYTES 224 /* with the NUL; longer texts are cut */

struct rg_error_entry {
	uint64_t first_ns, last_ns; /* unix */
	char text[RG_ERROR_LOG_TEXT_BYTES];
	uint64_t count; /* 0: the slot is free. Last, because it is stored last: a text whose writer
			   died half-way still has count 0 */
};
static_assert(sizeof(struct rg_error_entry) == 248,
	      "layout of the error log: raise RG_ERROR_LOG_VERSION and RG_REGION_VERSION");

struct rg_error_slot {
	_Atomic uint64_t version; /* snapshot. its writer: each error; tools: when asked */
	_Atomic uint64_t words[sizeof(struct rg_error_entry) / 8];
};
struct rg_error_log {
	struct rg_object object; /* written once; read by every join */

	/* its writer: when it happens; tools: when asked */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t overflow;
	uint64_t reserved[15];
	struct rg_error_slot slots[RG_ERROR_LOG_SLOTS];
};
static_assert(sizeof(struct rg_error_log) == 256 + 256 * RG_ERROR_LOG_SLOTS,
	      "layout of the error log: raise RG_ERROR_LOG_VERSION and RG_REGION_VERSION");

uint64_t rg_error_log_align(void);
uint64_t rg_error_log_footprint(void);
struct rg_error_log *rg_error_log_new(void *sh_log);
int rg_error_log_join(const void *sh_log, uint64_t mapped_bytes, struct rg_error *err);
void *rg_error_log_leave(struct rg_error_log *log);
void rg_error_log_delete(struct rg_error_log *log);

/* Note that `text` happened at now_ns (unix). The writer only. */
void rg_error_log_add(struct rg_error_log *log, uint64_t now_ns, const char *text);
void rg_error_log_addf(struct rg_error_log *log, uint64_t now_ns, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Make a log whose writer died usable again: entries it had half written are dropped. The new
 * writer, before its first add. */
void rg_error_log_repair(struct rg_error_log *log);
/* Copy slot `index`. RG_OK; RG_ENOENT: free (and all after it); RG_EAGAIN: being written;
 * RG_EINVAL: no such slot. The text is terminated. */
int rg_error_log_read(const struct rg_error_log *log, uint32_t index, struct rg_error_entry *entry);
/* New texts that found no slot. */
uint64_t rg_error_log_overflow(const struct rg_error_log *log);

#endif

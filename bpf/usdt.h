/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe points in a program's file: the notes that <sys/sdt.h> leaves in .note.stapsdt.
 *
 * libbpf can attach to USDT by itself, but its link for that cannot be pinned, and here links
 * outlive the process that made them. So the place is read here, and attached to as a uprobe with a
 * semaphore, whose link can be.
 *
 * Format: https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation
 * Thread-safety: none needed; no state.
 */
#ifndef RG_BPF_USDT_H
#define RG_BPF_USDT_H

#include <stdint.h>

#include "base/error.h"

struct rg_usdt_site {
	uint64_t offset;	   /* of the nop in the file */
	uint64_t semaphore_offset; /* in the file; 0: it has none */
	char arguments[64];	   /* as the note has them: "8@%rdi" */
};

/* Find the first site of riskgate:<point> in the ELF file `program`. Errors: RG_EIO, RG_ECORRUPT (no
 * ELF file, or a note that makes no sense), RG_ENOENT (no such point). */
int rg_usdt_find(const char *program, const char *point, struct rg_usdt_site *site,
		 struct rg_error *err);

#endif

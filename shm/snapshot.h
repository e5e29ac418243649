/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sequence lock over 64-bit words: one writer publishes several words that belong together, any
 * number of readers take a consistent copy. The mailbox, the error log and the status blocks are
 * built on it.
 *
 * ALGORITHM. The version is odd while words are being written. The writer makes it odd, stores the
 * words, makes it even; a reader reads an even version, the words, and the version again: equal
 * versions mean a consistent copy.
 *
 * ORDERING, without stand-alone fences (TSan does not see them). (a) Every word is stored with
 * release, after the odd version: a reader that acquires a new word sees a version at least as new
 * as the odd one when it looks again. (b) Every word is loaded with acquire, so the second look at
 * the version cannot come before it. (c) The even version is stored with release after all words;
 * the first look acquires it.
 *
 * PROGRESS. The writer is wait-free. A reader tries RG_SNAPSHOT_TRIES times and then gives up: a
 * writer that died half-way leaves the version odd until it (or its successor) writes again.
 */
#ifndef RG_SHM_SNAPSHOT_H
#define RG_SHM_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RG_SNAPSHOT_TRIES 1000

/* Store words[0..count) from values. One writer. A version left odd by a dead predecessor is
 * repaired by this. */
void rg_snapshot_write(_Atomic uint64_t *version, _Atomic uint64_t *words, const uint64_t *values,
		       size_t count);
/* Copy words[0..count) to values. False: no consistent copy could be had (values are then
 * undefined). Any thread, any mapping. */
bool rg_snapshot_read(const _Atomic uint64_t *version, const _Atomic uint64_t *words,
		      uint64_t *values, size_t count);
/* Copy words[0..count) as they are, whatever the version says. For the writer's successor, which
 * must decide itself what half-written words are worth. */
void rg_snapshot_read_torn(const _Atomic uint64_t *words, uint64_t *values, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/snapshot.h"

void rg_snapshot_write(_Atomic uint64_t *version, _Atomic uint64_t *words, const uint64_t *values,
		       size_t count)
{
	/* relaxed: only this thread writes it */
	uint64_t odd = atomic_load_explicit(version, memory_order_relaxed) | 1;

	/* relaxed: ordered before the words by their release (a) */
	atomic_store_explicit(version, odd, memory_order_relaxed);
	for (size_t i = 0; i < count; i++)
		/* release: (a), pairs with the acquire of the words in rg_snapshot_read() */
		atomic_store_explicit(&words[i], values[i], memory_order_release);
	/* release: (c), pairs with the first acquire in rg_snapshot_read() */
	atomic_store_explicit(version, odd + 1, memory_order_release);
}

bool rg_snapshot_read(const _Atomic uint64_t *version, const _Atomic uint64_t *words,
		      uint64_t *values, size_t count)
{
	for (int tries = 0; tries < RG_SNAPSHOT_TRIES; tries++) {
		/* acquire: (c), pairs with the last release in rg_snapshot_write() */
		uint64_t before = atomic_load_explicit(version, memory_order_acquire);

		if (before & 1)
			continue;
		for (size_t i = 0; i < count; i++)
			/* acquire: (b), keeps the second look at the version behind it */
			values[i] = atomic_load_explicit(&words[i], memory_order_acquire);
		/* relaxed: (a) and (b) order it */
		if (atomic_load_explicit(version, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

void rg_snapshot_read_torn(const _Atomic uint64_t *words, uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		/* relaxed: the writer is dead or is the caller */
		values[i] = atomic_load_explicit(&words[i], memory_order_relaxed);
}

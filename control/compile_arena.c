/* SPDX-License-Identifier: Apache-2.0 */
#include "control/compile_arena.h"

#include <stddef.h>
#include <stdio.h>

/* jemalloc's control interface (jemalloc(3), MALLCTL NAMESPACE); absent when another allocator is
 * linked. */
int mallctl(const char *name, void *old_value, size_t *old_bytes, void *new_value, size_t new_bytes)
	__attribute__((weak));

static bool get(const char *name, void *value, size_t bytes)
{
	return !mallctl(name, value, &bytes, NULL, 0);
}

void rg_compile_arena_enter(struct rg_compile_arena *arena)
{
	arena->entered = false;
	if (!mallctl || !get("thread.arena", &arena->before, sizeof(arena->before)) ||
	    !get("arenas.create", &arena->arena, sizeof(arena->arena)))
		return;
	arena->entered = !mallctl("thread.arena", NULL, NULL, &arena->arena, sizeof(arena->arena));
}

/* Bytes alive in the arena, over small and large size classes. */
static uint64_t bytes_alive(unsigned arena)
{
	static const char *const kinds[] = {"small", "large"};
	uint64_t epoch = 1, total = 0;

	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	for (int i = 0; i < 2; i++) {
		size_t bytes = 0;
		char name[64];

		snprintf(name, sizeof(name), "stats.arenas.%u.%s.allocated", arena, kinds[i]);
		if (!get(name, &bytes, sizeof(bytes)))
			return UINT64_MAX; /* built without statistics: nothing is known, so nothing
					      is destroyed */
		total += bytes;
	}
	return total;
}

void rg_compile_arena_leave(struct rg_compile_arena *arena)
{
	if (!arena->entered)
		return;
	mallctl("thread.arena", NULL, NULL, &arena->before, sizeof(arena->before));
	/* What the compile has freed lies in the thread's cache: what is allocated from now on is
	 * to live longer than the arena, and must not be given it. */
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

uint64_t rg_compile_arena_destroy(struct rg_compile_arena *arena)
{
	uint64_t alive;
	char name[64];

	if (!arena->entered)
		return 0;
	arena->entered = false;
	/* The thread's cache may hold freed memory of the arena: give it back before counting. */
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	alive = bytes_alive(arena->arena);
	snprintf(name, sizeof(name), alive ? "arena.%u.purge" : "arena.%u.destroy", arena->arena);
	mallctl(name, NULL, NULL, NULL, 0);
	return alive;
}

bool rg_allocator_statistics(uint64_t *allocated_bytes, uint64_t *resident_bytes)
{
	uint64_t epoch = 1;
	size_t allocated = 0, resident = 0;

	if (!mallctl)
		return false;
	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	if (!get("stats.allocated", &allocated, sizeof(allocated)) ||
	    !get("stats.resident", &resident, sizeof(resident)))
		return false;
	*allocated_bytes = allocated;
	*resident_bytes = resident;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena of jemalloc's for one compile: everything the thread allocates between enter() and
 * leave() comes from it. Between leave() and destroy() results can be copied out.
 *
 * destroy() destroys the arena as a whole when nothing in it is alive. If something is (a leak, or
 * something that a library made once and keeps), destroying it would pull memory from under its
 * owner: then the arena is kept, its free pages are given back, and the bytes are reported, so that
 * a leak of the compiler is seen and harms nobody.
 *
 * Without jemalloc (a sanitizer's own allocator) all do nothing.
 *
 * Thread-safety: all three by the same thread, which must not hand memory from the arena to others
 * that outlives it.
 */
#ifndef RG_CONTROL_COMPILE_ARENA_H
#define RG_CONTROL_COMPILE_ARENA_H

#include <stdbool.h>
#include <stdint.h>

struct rg_compile_arena {
	bool entered;
	unsigned before, arena; /* of the thread before, and for the compile */
};

void rg_compile_arena_enter(struct rg_compile_arena *arena);
/* Allocate as before again; what is in the arena can still be read and freed. */
void rg_compile_arena_leave(struct rg_compile_arena *arena);
/* Returns the bytes that are still alive: 0, and the arena is gone. */
uint64_t rg_compile_arena_destroy(struct rg_compile_arena *arena);

/* Bytes that the process has allocated and resident, as jemalloc says. False without jemalloc. */
bool rg_allocator_statistics(uint64_t *allocated_bytes, uint64_t *resident_bytes);

#endif

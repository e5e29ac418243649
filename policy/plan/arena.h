/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing bump arena: many small allocations that live and die together (a plan, one compile).
 * Memory is zeroed. Nothing is freed before rg_arena_free().
 *
 * Thread-safety: an arena belongs to one thread.
 */
#ifndef RG_POLICY_PLAN_ARENA_H
#define RG_POLICY_PLAN_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct rg_arena_chunk;

/* Zero-initialise to start. */
struct rg_arena {
	struct rg_arena_chunk *chunks; /* newest first */
};

/* `bytes` zeroed bytes, 16-aligned; NULL when memory is out. Zero bytes give a valid address. */
void *rg_arena_alloc(struct rg_arena *arena, size_t bytes);
/* count * size bytes, or NULL on overflow or when memory is out. */
void *rg_arena_array(struct rg_arena *arena, size_t count, size_t size);
void rg_arena_free(struct rg_arena *arena);

#endif

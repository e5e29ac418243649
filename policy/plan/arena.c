/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/plan/arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES_MIN ((size_t)4 << 10)
#define CHUNK_BYTES_MAX ((size_t)8 << 20)

struct rg_arena_chunk {
	struct rg_arena_chunk *next;
	size_t used, capacity;
	size_t reserved; /* keeps bytes[] 16-aligned */
	unsigned char bytes[];
};

/* Chunks double up to a bound, so that a large plan costs few of them and a small one little
 * memory. */
static struct rg_arena_chunk *grow(struct rg_arena *arena, size_t bytes)
{
	size_t capacity = arena->chunks ? 2 * arena->chunks->capacity : CHUNK_BYTES_MIN;
	struct rg_arena_chunk *chunk;

	if (capacity > CHUNK_BYTES_MAX)
		capacity = CHUNK_BYTES_MAX;
	if (capacity < bytes)
		capacity = bytes;
	chunk = calloc(1, sizeof(*chunk) + capacity);
	if (!chunk)
		return NULL;
	chunk->capacity = capacity;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *rg_arena_alloc(struct rg_arena *arena, size_t bytes)
{
	struct rg_arena_chunk *chunk = arena->chunks;
	void *at;

	if (bytes > SIZE_MAX / 4)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	if (!chunk || chunk->capacity - chunk->used < bytes)
		chunk = grow(arena, bytes);
	if (!chunk)
		return NULL;
	at = chunk->bytes + chunk->used;
	chunk->used += bytes;
	return at;
}

void *rg_arena_array(struct rg_arena *arena, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / 4 / size)
		return NULL;
	return rg_arena_alloc(arena, count * size);
}

void rg_arena_free(struct rg_arena *arena)
{
	while (arena->chunks) {
		struct rg_arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
}

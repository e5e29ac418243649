/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer of a ring whose producer is hostile. The input is a script: write bytes into the
 * ring's memory, store a producer position or hint, forge a frame with a good check word, produce
 * honestly, read, restart. Whatever it says, the consumer must stay inside the ring and come to an
 * end, and a sound producer must never be led to overwrite what was not released.
 */
#include <stdlib.h>
#include <string.h>

#include "shm/ring.h"

#define CAPACITY   4096u
#define GENERATION 1u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const uint8_t *at, *end;
};

static uint64_t take(struct script *script, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- && script->at < script->end)
		value = value << 8 | *script->at++;
	return value;
}

struct state {
	struct rg_ring *ring;
	struct rg_ring_cursor *cursor;
	struct rg_ring_producer producer;
	struct rg_ring_consumer consumer;
};

static void read_all(struct state *state)
{
	const uint8_t *message;
	uint32_t bytes;
	uint64_t read = 0;

	while ((message = rg_ring_peek(&state->consumer, &bytes))) {
		uint8_t copy[CAPACITY];

		if (message < state->ring->data || bytes > CAPACITY ||
		    message + bytes > state->ring->data + CAPACITY)
			abort();
		memcpy(copy, message, bytes); /* a sanitizer sees it */
		read += bytes + RG_RING_FRAME_BYTES;
		if (read > CAPACITY) /* more than a ring can hold at once */
			abort();
		rg_ring_advance(&state->consumer);
	}
}

static void produce(struct state *state, uint64_t bytes)
{
	uint8_t *message = rg_ring_reserve(&state->producer, bytes);

	if (rg_ring_used_bytes(&state->producer) > CAPACITY)
		abort();
	if (!message)
		return;
	memset(message, 0x5a, bytes);
	rg_ring_commit(&state->producer);
}

static void step(struct state *state, struct script *script)
{
	uint64_t at;

	switch (take(script, 1) % 10) {
	case 0: state->ring->data[take(script, 2) % CAPACITY] = (uint8_t)take(script, 1); break;
	case 1: atomic_store(&state->ring->position, take(script, 8)); break;
	case 2:
		atomic_store(&state->ring->position, state->consumer.position + take(script, 2));
		break;
	case 3: atomic_store(&state->ring->consumed_hint, take(script, 8)); break;
	case 4: /* a frame of any length whose check word is right, as ring.c makes it */
		at = state->consumer.position;
		{
			uint32_t length = (uint32_t)take(script, 4);
			uint32_t kind = take(script, 1) & 1 ? 0x4d455353 : 0x50414444;
			uint32_t check = (uint32_t)(at >> 3) ^ kind ^ length * 0x9e3779b1u;
			uint64_t word = length | (uint64_t)check << 32;

			memcpy(state->ring->data + (at & (CAPACITY - 1) & ~7ull), &word,
			       sizeof(word));
		}
		break;
	case 5: produce(state, take(script, 2)); break;
	case 6: atomic_store(&state->cursor->position, take(script, 8)); break;
	case 7: rg_ring_release(&state->consumer); break;
	case 8:
		rg_ring_consumer_join(&state->consumer, state->ring, CAPACITY, GENERATION,
				      state->cursor, NULL);
		break;
	default: read_all(state); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = {data, data + size};
	struct state state = {0};

	if (posix_memalign((void **)&state.ring, 128, rg_ring_footprint(CAPACITY)) ||
	    posix_memalign((void **)&state.cursor, 128, rg_ring_cursor_footprint()))
		abort();
	memset(state.ring, 0, rg_ring_footprint(CAPACITY));
	rg_ring_new(state.ring, CAPACITY);
	rg_ring_cursor_new(state.cursor);
	if (rg_ring_producer_join(&state.producer, state.ring, GENERATION, state.cursor, NULL) ||
	    rg_ring_consumer_join(&state.consumer, state.ring, CAPACITY, GENERATION, state.cursor,
				  NULL))
		abort();
	while (script.at < script.end)
		step(&state, &script);
	read_all(&state);
	free(state.cursor);
	free(state.ring);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/shm_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "shm/counters.h"
#include "shm/error_log.h"
#include "shm/histogram.h"
#include "shm/ring.h"

#define RING_BYTES (1u << 22)
#define GENERATION 1u

struct shm_fixture {
	struct rg_ring *ring;
	struct rg_ring_cursor *cursor;
	struct rg_ring_producer producer;
	struct rg_ring_consumer consumer;
	struct rg_histogram *histogram;
	struct rg_counters *counters;
	struct rg_counters_writer writer;
	struct rg_error_log *errors;
	uint64_t state; /* of the latencies */
};

static void *room(uint64_t bytes)
{
	return aligned_alloc(4096, (bytes + 4095) & ~4095ull);
}

struct shm_fixture *shm_fixture_new(void)
{
	struct shm_fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return NULL;
	fixture->state = 1;
	fixture->ring = rg_ring_new(room(rg_ring_footprint(RING_BYTES)), RING_BYTES);
	fixture->cursor = rg_ring_cursor_new(room(rg_ring_cursor_footprint()));
	fixture->histogram = rg_histogram_new(room(rg_histogram_footprint()));
	fixture->counters =
		rg_counters_new(room(rg_counters_footprint(RG_METRIC_WORKER)), RG_METRIC_WORKER);
	fixture->errors = rg_error_log_new(room(rg_error_log_footprint()));
	if (fixture->ring && fixture->cursor && fixture->histogram && fixture->counters &&
	    fixture->errors &&
	    !rg_ring_producer_join(&fixture->producer, fixture->ring, GENERATION, fixture->cursor,
				   NULL) &&
	    !rg_ring_consumer_join(&fixture->consumer, fixture->ring, RING_BYTES, GENERATION,
				   fixture->cursor, NULL) &&
	    !rg_counters_writer_join(&fixture->writer, fixture->counters, RG_METRIC_WORKER, NULL))
		return fixture;
	shm_fixture_free(fixture);
	return NULL;
}

void shm_fixture_free(struct shm_fixture *fixture)
{
	if (!fixture)
		return;
	free(fixture->ring);
	free(fixture->cursor);
	free(fixture->histogram);
	free(fixture->counters);
	free(fixture->errors);
	free(fixture);
}

bool shm_fixture_produce(struct shm_fixture *fixture, uint32_t count, uint32_t bytes)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *message = rg_ring_reserve(&fixture->producer, bytes);

		if (!message)
			return false;
		memset(message, (int)i, bytes);
	}
	rg_ring_commit(&fixture->producer);
	return true;
}

uint32_t shm_fixture_consume(struct shm_fixture *fixture)
{
	uint32_t count = 0, bytes;

	for (; rg_ring_peek(&fixture->consumer, &bytes); count++)
		rg_ring_advance(&fixture->consumer);
	rg_ring_release(&fixture->consumer);
	return count;
}

void shm_fixture_histogram(struct shm_fixture *fixture, uint32_t count)
{
	while (count--) {
		fixture->state = fixture->state * 6364136223846793005ull + 1442695040888963407ull;
		rg_histogram_record(fixture->histogram, fixture->state >> 44); /* up to 1 ms */
	}
}

void shm_fixture_flush(struct shm_fixture *fixture)
{
	fixture->writer.values[RG_WORKER_REQUESTS]++;
	rg_counters_flush(&fixture->writer);
}

void shm_fixture_error(struct shm_fixture *fixture, uint32_t others)
{
	if (!atomic_load(&fixture->errors->slots[0].version)) {
		for (uint32_t i = 0; i < others; i++)
			rg_error_log_addf(fixture->errors, 1, "another error %u", i);
	}
	rg_error_log_add(fixture->errors, 2, "the error that happens");
}

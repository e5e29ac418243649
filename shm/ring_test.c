/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/ring.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/test_random.h"
#include "shm/test_ritual.h"

#define CAPACITY   4096u
#define GENERATION 77u

/* Both halves and both sides of one ring. */
struct pair {
	struct rg_ring *ring;
	struct rg_ring_cursor *cursor;
	struct rg_ring_producer producer;
	struct rg_ring_consumer consumer;
};

static void join_producer(struct pair *pair)
{
	assert(rg_ring_producer_join(&pair->producer, pair->ring, GENERATION, pair->cursor, NULL) ==
	       RG_OK);
}

static void join_consumer(struct pair *pair)
{
	assert(rg_ring_consumer_join(&pair->consumer, pair->ring, rg_ring_capacity(pair->ring),
				     GENERATION, pair->cursor, NULL) == RG_OK);
}

static void pair_init(struct pair *pair, uint64_t capacity)
{
	pair->ring = rg_ring_new(
		aligned_alloc(4096, rg_align_up(rg_ring_footprint(capacity), 4096)), capacity);
	pair->cursor = rg_ring_cursor_new(aligned_alloc(4096, 4096));
	assert(pair->ring && pair->cursor);
	join_producer(pair);
	join_consumer(pair);
}

static void pair_free(struct pair *pair)
{
	free(rg_ring_leave(pair->ring));
	free(rg_ring_cursor_leave(pair->cursor));
}

/* A message whose bytes follow from its number and length. */
static void fill(uint8_t *message, uint64_t bytes, uint64_t number)
{
	for (uint64_t i = 0; i < bytes; i++)
		message[i] = (uint8_t)(number * 31 + bytes + i);
}

static bool is_filled(const uint8_t *message, uint64_t bytes, uint64_t number)
{
	for (uint64_t i = 0; i < bytes; i++) {
		if (message[i] != (uint8_t)(number * 31 + bytes + i))
			return false;
	}
	return true;
}

static bool put(struct pair *pair, uint64_t bytes, uint64_t number)
{
	uint8_t *message = rg_ring_reserve(&pair->producer, bytes);

	if (!message)
		return false;
	assert(!((uintptr_t)message & 7));
	fill(message, bytes, number);
	return true;
}

/* ---- ritual ---- */

static void *make_ring(void *sh_ring)
{
	return rg_ring_new(sh_ring, CAPACITY);
}

static void remove_ring(void *ring)
{
	rg_ring_delete(ring);
}

static void *make_cursor(void *sh_cursor)
{
	return rg_ring_cursor_new(sh_cursor);
}

static void remove_cursor(void *cursor)
{
	rg_ring_cursor_delete(cursor);
}

static void test_rituals(void)
{
	const struct test_ritual ring = {rg_ring_align(), rg_ring_footprint(CAPACITY), make_ring,
					 rg_ring_join, remove_ring};
	const struct test_ritual cursor = {rg_ring_cursor_align(), rg_ring_cursor_footprint(),
					   make_cursor, rg_ring_cursor_join, remove_cursor};
	struct pair pair;
	struct rg_error err;

	test_ritual(&ring);
	test_ritual(&cursor);
	assert(!rg_ring_footprint(0) && !rg_ring_footprint(RG_RING_BYTES_MIN / 2) &&
	       !rg_ring_footprint(RG_RING_BYTES_MIN + 1) && !rg_ring_footprint(3 * 4096) &&
	       !rg_ring_footprint(RG_RING_BYTES_MAX * 2) && !rg_ring_footprint(UINT64_MAX));
	assert(rg_ring_footprint(RG_RING_BYTES_MAX) == RG_RING_BYTES_MAX + 256);
	pair_init(&pair, CAPACITY);
	pair.ring->object.parameter = 13; /* twice what is mapped */
	assert(rg_ring_join(pair.ring, rg_ring_footprint(CAPACITY), &err) == RG_ECORRUPT);
	pair.ring->object.parameter = 200;
	assert(rg_ring_join(pair.ring, rg_ring_footprint(CAPACITY), &err) == RG_ECORRUPT);
	pair_free(&pair);
}

/* ---- one side after the other ---- */

static void test_empty_and_full(void)
{
	struct pair pair;
	const uint8_t *message;
	uint32_t bytes;
	uint64_t count = 0;

	pair_init(&pair, CAPACITY);
	assert(!rg_ring_peek(&pair.consumer, &bytes));
	assert(put(&pair, 1, 0));
	assert(!rg_ring_peek(&pair.consumer, &bytes)); /* not committed */
	rg_ring_commit(&pair.producer);
	message = rg_ring_peek(&pair.consumer, &bytes);
	assert(message && bytes == 1 && is_filled(message, 1, 0));
	assert(rg_ring_peek(&pair.consumer, &bytes) == message); /* repeats itself */
	rg_ring_advance(&pair.consumer);
	assert(!rg_ring_peek(&pair.consumer, &bytes));
	rg_ring_advance(&pair.consumer); /* nothing was peeked at: harmless */
	rg_ring_release(&pair.consumer);
	assert(atomic_load(&pair.cursor->position) == 16 &&
	       atomic_load(&pair.cursor->messages) == 1);
	while (put(&pair, 8, count))
		count++;
	assert(count == CAPACITY / 16); /* to the last byte */
	assert(rg_ring_used_bytes(&pair.producer) == CAPACITY);
	assert(atomic_load(&pair.ring->lost) == 1);
	rg_ring_commit(&pair.producer);
	assert(rg_ring_backlog_bytes(&pair.consumer) == CAPACITY);
	for (uint64_t i = 0; i < count; i++) {
		message = rg_ring_peek(&pair.consumer, &bytes);
		assert(message && bytes == 8 && is_filled(message, 8, i));
		rg_ring_advance(&pair.consumer);
	}
	assert(!put(&pair, 8, 0)); /* advanced is not released */
	rg_ring_release(&pair.consumer);
	assert(put(&pair, 8, 0));
	assert(atomic_load(&pair.ring->messages) == 1 + count);
	pair_free(&pair);
}

static void test_sizes(void)
{
	struct pair pair;
	uint64_t max;

	pair_init(&pair, CAPACITY);
	max = rg_ring_message_max(&pair.producer);
	assert(max == CAPACITY / 2 - 8);
	assert(!rg_ring_reserve(&pair.producer, 0) && !rg_ring_reserve(&pair.producer, max + 1) &&
	       !rg_ring_reserve(&pair.producer, UINT64_MAX));
	assert(atomic_load(&pair.ring->lost) == 3);
	/* Each length, and with it each distance to the end of the array: the longest always fits
	 * into an empty ring. */
	for (uint64_t bytes = 1; bytes <= max; bytes++) {
		const uint8_t *message;
		uint32_t got;

		assert(put(&pair, bytes, bytes));
		rg_ring_commit(&pair.producer);
		message = rg_ring_peek(&pair.consumer, &got);
		assert(message && got == bytes && is_filled(message, bytes, bytes));
		rg_ring_advance(&pair.consumer);
		rg_ring_release(&pair.consumer);
		assert(put(&pair, max, bytes));
		rg_ring_abandon(&pair.producer);
	}
	assert(!pair.consumer.errors && !atomic_load(&pair.ring->cursor_errors));
	pair_free(&pair);
}

/* The place that a prefetch names is where the message comes to lie, unless padding does. */
static void test_prefetch(void)
{
	struct pair pair;

	pair_init(&pair, CAPACITY);
	for (uint32_t round = 0; round < 500; round++) {
		uint64_t bytes[4], ahead = 0, begin = pair.producer.reserved;
		uint32_t count = (uint32_t)rand() % 4 + 1;

		for (uint32_t i = 0; i < count; i++) {
			bytes[i] = (uint64_t)rand() % (CAPACITY / 8) + 1;
			ahead = rg_ring_prefetch(&pair.producer, ahead, bytes[i]);
		}
		assert(pair.producer.reserved == begin); /* nothing is taken */
		for (uint32_t i = 0; i < count; i++)
			assert(put(&pair, bytes[i], round));
		assert(pair.producer.reserved == begin + ahead ||
		       (pair.producer.reserved & pair.producer.mask) <
			       (begin & pair.producer.mask));
		rg_ring_commit(&pair.producer);
		pair.producer.consumed = pair.producer.published; /* nobody reads */
	}
	pair_free(&pair);
}

static void test_shorten_and_abandon(void)
{
	struct pair pair;
	const uint8_t *message;
	uint8_t *room;
	uint32_t bytes;

	pair_init(&pair, CAPACITY);
	room = rg_ring_reserve(&pair.producer, 1000);
	fill(room, 17, 5);
	rg_ring_shorten(&pair.producer, 17);
	assert(rg_ring_used_bytes(&pair.producer) == 8 + 24);
	assert(put(&pair, 3, 6));
	rg_ring_commit(&pair.producer);
	assert(put(&pair, 100, 7));
	rg_ring_abandon(&pair.producer);
	assert(put(&pair, 4, 8));
	rg_ring_commit(&pair.producer);
	message = rg_ring_peek(&pair.consumer, &bytes);
	assert(message && bytes == 17 && is_filled(message, 17, 5));
	rg_ring_advance(&pair.consumer);
	message = rg_ring_peek(&pair.consumer, &bytes);
	assert(message && bytes == 3 && is_filled(message, 3, 6));
	rg_ring_advance(&pair.consumer);
	message = rg_ring_peek(&pair.consumer, &bytes);
	assert(message && bytes == 4 && is_filled(message, 4, 8));
	rg_ring_advance(&pair.consumer);
	assert(!rg_ring_peek(&pair.consumer, &bytes));
	assert(atomic_load(&pair.ring->messages) == 3);
	pair_free(&pair);
}

/* A consumer of another generation, no cursor, a lost cursor. */
static void test_generations(void)
{
	struct pair pair;
	struct rg_ring_consumer other;
	uint32_t bytes;

	pair_init(&pair, CAPACITY);
	assert(rg_ring_producer_join(&pair.producer, pair.ring, 0, NULL, NULL) == RG_EINVAL);
	assert(rg_ring_consumer_join(&other, pair.ring, CAPACITY, 0, NULL, NULL) == RG_EINVAL);
	assert(rg_ring_consumer_join(&other, pair.ring, 100, 1, NULL, NULL) == RG_EINVAL);
	join_producer(&pair);
	for (uint64_t i = 0; i < 100; i++)
		assert(put(&pair, 8, i));
	rg_ring_commit(&pair.producer);
	for (uint64_t i = 0; i < 50; i++) {
		assert(rg_ring_peek(&pair.consumer, &bytes));
		rg_ring_advance(&pair.consumer);
	}
	rg_ring_release(&pair.consumer);
	while (put(&pair, 8, 0)) /* fills up, so that the producer looks at the cursor */
		;
	rg_ring_commit(&pair.producer);
	assert(atomic_load(&pair.ring->consumed_hint) == 50 * 16);
	/* A cursor of another generation says nothing. */
	atomic_store(&pair.cursor->generation, GENERATION + 1);
	atomic_store(&pair.cursor->position, 60 * 16);
	assert(!put(&pair, 8, 0) && pair.producer.consumed == 50 * 16);
	/* Control lost its file: the new cursor begins where the ring is known to be intact. */
	rg_ring_cursor_new(pair.cursor);
	join_consumer(&pair);
	assert(pair.consumer.position == 50 * 16 && !pair.consumer.errors);
	assert(rg_ring_backlog_bytes(&pair.consumer) == CAPACITY);
	/* A look without a cursor takes nothing away. */
	assert(rg_ring_consumer_join(&other, pair.ring, CAPACITY, GENERATION, NULL, NULL) == RG_OK);
	assert(rg_ring_peek(&other, &bytes));
	rg_ring_advance(&other);
	rg_ring_release(&other);
	assert(!put(&pair, 8, 0));
	/* No cursor at all: the producer goes on until the ring is full. */
	rg_ring_producer_attach(&pair.producer, NULL);
	assert(!put(&pair, 8, 0));
	pair_free(&pair);
}

/* ---- random operations against a plain model ---- */

struct model_message {
	uint64_t number, bytes;
};

/* The model: messages in order; [0, read) advanced past, [released, committed) what the ring must
 * hold. */
struct model {
	struct model_message *messages;
	uint64_t released, read, committed, reserved;
};

static void model_read(struct pair *pair, struct model *model)
{
	uint32_t bytes;
	const uint8_t *message = rg_ring_peek(&pair->consumer, &bytes);

	assert(!message == (model->read == model->committed));
	if (!message)
		return;
	assert(bytes == model->messages[model->read].bytes);
	assert(is_filled(message, bytes, model->messages[model->read].number));
	rg_ring_advance(&pair->consumer);
	model->read++;
}

static void model_reserve(struct pair *pair, struct model *model, struct test_random *random)
{
	uint64_t room = CAPACITY / (1u << test_random_below(random, 8));
	uint64_t bytes = 1 + test_random_below(random, room / 2 - 8);
	uint8_t *message = rg_ring_reserve(&pair->producer, bytes);

	if (!message)
		return;
	if (!test_random_below(random, 4)) {
		bytes = 1 + test_random_below(random, bytes);
		rg_ring_shorten(&pair->producer, bytes);
	}
	fill(message, bytes, model->reserved);
	model->messages[model->reserved] = (struct model_message){model->reserved, bytes};
	model->reserved++;
}

static void test_model(void)
{
	enum { OPERATIONS = 300000 };
	struct test_random random = test_random_start("ring model");
	struct model model = {.messages = calloc(OPERATIONS, sizeof(struct model_message))};
	struct pair pair;

	assert(model.messages);
	pair_init(&pair, CAPACITY);
	for (int i = 0; i < OPERATIONS; i++) {
		switch (test_random_below(&random, 100)) {
		case 0: /* the data plane dies and comes back */
			join_producer(&pair);
			model.reserved = model.committed;
			break;
		case 1: /* control dies and comes back */
			join_consumer(&pair);
			model.read = model.released;
			break;
		case 2:
			rg_ring_abandon(&pair.producer);
			model.reserved = model.committed;
			break;
		case 3 ... 10:
			rg_ring_release(&pair.consumer);
			model.released = model.read;
			break;
		case 11 ... 30:
			rg_ring_commit(&pair.producer);
			model.committed = model.reserved;
			break;
		case 31 ... 65: model_reserve(&pair, &model, &random); break;
		default: model_read(&pair, &model); break;
		}
	}
	assert(!pair.consumer.errors && !atomic_load(&pair.ring->cursor_errors));
	assert(model.committed > OPERATIONS / 50 &&
	       atomic_load(&pair.ring->messages) == model.committed);
	assert(atomic_load(&pair.cursor->messages) == model.released);
	free(model.messages);
	pair_free(&pair);
}

/* ---- all interleavings ---- */

/* One step of the producer's script (reserve, reserve, commit, ...) and of the consumer's (read,
 * read, release, ...); a step that cannot be taken now is taken again later. Long messages, so that
 * few steps fill and wrap the ring. */
static void run_schedule(struct pair *pair, uint32_t schedule, int steps)
{
	static const uint64_t lengths[] = {1500, 900, 2040, 400, 1800};
	uint64_t reserved = 0, committed = 0, read = 0, released = 0;
	int producer_step = 0, consumer_step = 0;

	for (int i = 0; i < steps; i++) {
		if (schedule >> i & 1) {
			if (producer_step % 3 == 2) {
				rg_ring_commit(&pair->producer);
				committed = reserved;
				producer_step++;
			} else if (put(pair, lengths[reserved % 5], reserved)) {
				reserved++;
				producer_step++;
			}
		} else if (consumer_step % 3 == 2) {
			rg_ring_release(&pair->consumer);
			released = read;
			consumer_step++;
		} else {
			uint32_t bytes;
			const uint8_t *message = rg_ring_peek(&pair->consumer, &bytes);

			assert(!message == (read == committed));
			if (!message)
				continue;
			assert(bytes == lengths[read % 5] && is_filled(message, bytes, read));
			rg_ring_advance(&pair->consumer);
			read++;
			consumer_step++;
		}
		assert(released <= read && read <= committed && committed <= reserved);
		assert(rg_ring_used_bytes(&pair->producer) <= CAPACITY);
	}
}

static void test_interleavings(void)
{
	enum { STEPS = 14 };

	for (uint32_t schedule = 0; schedule < 1u << STEPS; schedule++) {
		struct pair pair;

		pair_init(&pair, CAPACITY);
		run_schedule(&pair, schedule, STEPS);
		pair_free(&pair);
	}
}

/* ---- hostile peers ---- */

static void test_hostile_positions(void)
{
	static const struct {
		uint64_t position;
		enum rg_ring_error error;
	} lies[] = {{16 + CAPACITY + 8, RG_RING_POSITION_AHEAD},
		    {1ull << 62, RG_RING_POSITION_AHEAD},
		    {UINT64_MAX & ~7ull, RG_RING_POSITION_AHEAD},
		    {8, RG_RING_POSITION_BEHIND},
		    {0, RG_RING_POSITION_BEHIND},
		    {21, RG_RING_POSITION_MISALIGNED},
		    {UINT64_MAX, RG_RING_POSITION_MISALIGNED}};
	struct pair pair;
	uint32_t bytes;

	pair_init(&pair, CAPACITY);
	assert(put(&pair, 8, 1));
	rg_ring_commit(&pair.producer);
	assert(rg_ring_peek(&pair.consumer, &bytes));
	rg_ring_advance(&pair.consumer);
	rg_ring_release(&pair.consumer);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		atomic_store(&pair.ring->position, lies[i].position);
		for (int again = 0; again < 3; again++)
			assert(!rg_ring_peek(&pair.consumer, &bytes));
		assert(pair.consumer.last_error == lies[i].error);
		assert(pair.consumer.errors == i + 1); /* each lie once */
		assert(atomic_load(&pair.cursor->errors) == i + 1);
		assert(!rg_ring_backlog_bytes(&pair.consumer));
	}
	assert(!strcmp(rg_ring_error_name(RG_RING_POSITION_BEHIND), "position_behind"));
	assert(!strcmp(rg_ring_error_name(RG_RING_FRAME_LENGTH), "frame_length"));
	/* The producer was sound all the time: nothing is lost. */
	assert(put(&pair, 8, 2));
	rg_ring_commit(&pair.producer);
	assert(rg_ring_peek(&pair.consumer, &bytes) && bytes == 8);
	pair_free(&pair);
}

static void test_hostile_frames(void)
{
	struct pair pair;
	uint32_t bytes;

	for (int bit = 0; bit < 64; bit++) {
		pair_init(&pair, CAPACITY);
		assert(put(&pair, 8, 1) && put(&pair, 8, 2));
		rg_ring_commit(&pair.producer);
		pair.ring->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert(!rg_ring_peek(&pair.consumer, &bytes));
		assert(pair.consumer.last_error == RG_RING_FRAME_CHECK);
		assert(pair.consumer.skipped_bytes == 32);
		assert(put(&pair, 8, 3)); /* reading goes on behind it */
		rg_ring_commit(&pair.producer);
		assert(is_filled(rg_ring_peek(&pair.consumer, &bytes), 8, 3));
		pair_free(&pair);
	}
	/* A producer that makes a good check word for a length that cannot be. */
	pair_init(&pair, CAPACITY);
	assert(put(&pair, 1000, 1));
	rg_ring_commit(&pair.producer);
	atomic_store(&pair.ring->position, 16);
	assert(!rg_ring_peek(&pair.consumer, &bytes));
	assert(pair.consumer.last_error == RG_RING_FRAME_LENGTH);
	pair_free(&pair);
}

static void test_hostile_cursor(void)
{
	static const uint64_t lies[] = {0,	    8 * 16 - 8, 8 * 16 + 3,
					1ull << 60, UINT64_MAX, CAPACITY + 24};
	struct pair pair;
	uint32_t bytes;
	uint64_t errors = 0;

	pair_init(&pair, CAPACITY);
	for (uint64_t i = 0; i < CAPACITY / 16; i++)
		assert(put(&pair, 8, i));
	rg_ring_commit(&pair.producer);
	for (int i = 0; i < 8; i++) {
		assert(rg_ring_peek(&pair.consumer, &bytes));
		rg_ring_advance(&pair.consumer);
	}
	rg_ring_release(&pair.consumer);
	assert(put(&pair, 8, 0)); /* believes 8 * 16 */
	rg_ring_commit(&pair.producer);
	for (uint64_t i = 1; i < 8; i++)
		assert(put(&pair, 8, i));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		atomic_store(&pair.cursor->position, lies[i]);
		assert(!put(&pair, 8, 0)); /* full rather than overwritten */
		assert(pair.producer.consumed == 8 * 16);
		if (lies[i] != 8 * 16)
			errors++;
		assert(atomic_load(&pair.ring->cursor_errors) == errors);
	}
	/* Our own cursor, broken: named, and replaced by what the ring knows. */
	rg_ring_commit(&pair.producer);
	atomic_store(&pair.cursor->position, 1ull << 60);
	join_consumer(&pair);
	assert(pair.consumer.errors == 1 && pair.consumer.last_error == RG_RING_POSITION_BEHIND);
	assert(pair.consumer.position == 8 * 16);
	/* The ring's own words, broken: the producer does not go on. */
	atomic_store(&pair.ring->consumed_hint, 8);
	assert(rg_ring_producer_join(&pair.producer, pair.ring, GENERATION, NULL, NULL) ==
	       RG_ECORRUPT);
	pair_free(&pair);
}

/* Any bytes in the ring: the consumer stays inside, and always comes to an end. */
static void test_hostile_noise(void)
{
	struct test_random random = test_random_start("ring noise");
	struct pair pair;
	uint64_t errors = 0;

	pair_init(&pair, CAPACITY);
	for (int round = 0; round < 200000; round++) {
		const uint8_t *message;
		uint32_t bytes;

		if (put(&pair, 1 + test_random_below(&random, 300), 0))
			rg_ring_commit(&pair.producer);
		else
			join_producer(&pair);
		if (!test_random_below(&random, 8))
			atomic_store(&pair.ring->position,
				     test_random_below(&random, 4)
					     ? pair.consumer.position +
						       8 * test_random_below(&random, 600)
					     : test_random_next(&random));
		if (!test_random_below(&random, 3))
			pair.ring->data[test_random_below(&random, CAPACITY)] =
				(uint8_t)test_random_next(&random);
		for (int i = 0; (message = rg_ring_peek(&pair.consumer, &bytes)); i++) {
			assert(message >= pair.ring->data &&
			       message + bytes <= pair.ring->data + CAPACITY && i < 1000);
			rg_ring_advance(&pair.consumer);
		}
		rg_ring_release(&pair.consumer);
		if (!test_random_below(&random, 50)) { /* begin again with sound words */
			errors += pair.consumer.errors;
			rg_ring_new(pair.ring, CAPACITY);
			rg_ring_cursor_new(pair.cursor);
			join_producer(&pair);
			join_consumer(&pair);
		}
		if (atomic_load(&pair.ring->position) & 7 ||
		    atomic_load(&pair.ring->position) - atomic_load(&pair.ring->consumed_hint) >
			    CAPACITY)
			rg_ring_new(pair.ring, CAPACITY);
	}
	assert(errors > 100);
	pair_free(&pair);
}

/* ---- two threads ---- */

enum { STRESS_MESSAGES = 200000 };

static uint64_t stress_length(uint64_t number)
{
	return 8 + number * 2654435761u % 500;
}

static void *produce(void *argument)
{
	struct pair *pair = argument;

	for (uint64_t number = 0; number < STRESS_MESSAGES;) {
		if (put(pair, stress_length(number), number))
			number++;
		else
			sched_yield();
		if (number % 7 == 0 || rg_ring_used_bytes(&pair->producer) > CAPACITY / 2)
			rg_ring_commit(&pair->producer);
	}
	rg_ring_commit(&pair->producer);
	return NULL;
}

static _Atomic bool attaching;

/* Control's file is replaced again and again: a cursor that was taken away is freed at once. */
static void *attach(void *argument)
{
	struct pair *pair = argument;

	while (atomic_load(&attaching)) {
		struct rg_ring_cursor *other = rg_ring_cursor_new(aligned_alloc(4096, 4096));

		rg_ring_producer_attach(&pair->producer, other);
		rg_ring_producer_attach(&pair->producer, pair->cursor);
		memset((void *)other, 0xff, sizeof(*other));
		free(other);
		sched_yield();
	}
	return NULL;
}

static void test_threads(void)
{
	struct pair pair;
	pthread_t thread, attacher;
	uint64_t next = 0, released = 0, reads = 0;

	pair_init(&pair, CAPACITY);
	atomic_store(&attaching, true);
	assert(!pthread_create(&thread, NULL, produce, &pair));
	assert(!pthread_create(&attacher, NULL, attach, &pair));
	while (next < STRESS_MESSAGES) {
		uint32_t bytes;
		const uint8_t *message = rg_ring_peek(&pair.consumer, &bytes);

		if (!message) {
			sched_yield();
			continue;
		}
		assert(bytes == stress_length(next) && is_filled(message, bytes, next));
		rg_ring_advance(&pair.consumer);
		next++;
		if (next % 5 == 0 || rg_ring_backlog_bytes(&pair.consumer) == 0) {
			rg_ring_release(&pair.consumer);
			released = next;
		}
		if (++reads % 1001 == 0) { /* control dies: what was not released comes again */
			join_consumer(&pair);
			next = released;
		}
	}
	assert(!pthread_join(thread, NULL));
	atomic_store(&attaching, false);
	assert(!pthread_join(attacher, NULL));
	assert(!pair.consumer.errors && !atomic_load(&pair.ring->cursor_errors));
	pair_free(&pair);
}

int main(void)
{
	test_rituals();
	test_empty_and_full();
	test_sizes();
	test_prefetch();
	test_shorten_and_abandon();
	test_generations();
	test_model();
	test_interleavings();
	test_hostile_positions();
	test_hostile_frames();
	test_hostile_cursor();
	test_hostile_noise();
	test_threads();
	return 0;
}

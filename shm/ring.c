/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/ring.h"

#include <sched.h>
#include <string.h>

#define RING_MAGIC   0x474e495252474b53ull /* "SKGRRING" */
#define CURSOR_MAGIC 0x53525543524b4752ull /* "RGKRCURS" */
/* A frame's length is 32 bits, of which one is spare. */
#define MESSAGE_BYTES_MAX (1ull << 31)

/* What distinguishes the two kinds of frame in their check words. */
enum frame_kind { FRAME_MESSAGE = 0x4d455353, FRAME_PADDING = 0x50414444 };

static const struct rg_object_kind ring_kind = {"ring", RING_MAGIC, RG_RING_VERSION, RG_SHM_LINE};
static const struct rg_object_kind cursor_kind = {"ring cursor", CURSOR_MAGIC, RG_RING_VERSION,
						  RG_SHM_LINE};

/* ---- ritual: the producer's half ---- */

uint64_t rg_ring_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_ring_footprint(uint64_t capacity)
{
	if (capacity < RG_RING_BYTES_MIN || capacity > RG_RING_BYTES_MAX ||
	    (capacity & (capacity - 1)))
		return 0;
	return sizeof(struct rg_ring) + capacity;
}

struct rg_ring *rg_ring_new(void *sh_ring, uint64_t capacity)
{
	struct rg_ring *ring = sh_ring;
	uint64_t bytes = rg_ring_footprint(capacity);

	if (!ring || (uintptr_t)sh_ring & (RG_SHM_LINE - 1) || !bytes)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	rg_object_publish(&ring->object, &ring_kind, (uint32_t)__builtin_ctzll(capacity), bytes);
	return ring;
}

int rg_ring_join(const void *sh_ring, uint64_t mapped_bytes, struct rg_error *err)
{
	const struct rg_ring *ring = sh_ring;
	int status = rg_object_join(sh_ring, mapped_bytes, &ring_kind, err);
	uint32_t parameter;

	if (status)
		return status;
	parameter = ring->object.parameter;
	if (parameter > 63 || !rg_ring_footprint(1ull << parameter) ||
	    rg_ring_footprint(1ull << parameter) > mapped_bytes)
		return rg_error_set(err, RG_ECORRUPT,
				    "ring: 2^%u bytes do not fit into the %llu mapped", parameter,
				    (unsigned long long)mapped_bytes);
	return RG_OK;
}

void *rg_ring_leave(struct rg_ring *ring)
{
	return ring;
}

void rg_ring_delete(struct rg_ring *ring)
{
	rg_object_unpublish(&ring->object);
}

uint64_t rg_ring_capacity(const struct rg_ring *ring)
{
	return 1ull << (ring->object.parameter & 63);
}

/* ---- ritual: the consumer's half ---- */

uint64_t rg_ring_cursor_align(void)
{
	return RG_SHM_LINE;
}

uint64_t rg_ring_cursor_footprint(void)
{
	return sizeof(struct rg_ring_cursor);
}

struct rg_ring_cursor *rg_ring_cursor_new(void *sh_cursor)
{
	struct rg_ring_cursor *cursor = sh_cursor;

	if (!cursor || (uintptr_t)sh_cursor & (RG_SHM_LINE - 1))
		return NULL;
	memset(cursor, 0, sizeof(*cursor));
	rg_object_publish(&cursor->object, &cursor_kind, 0, sizeof(*cursor));
	return cursor;
}

int rg_ring_cursor_join(const void *sh_cursor, uint64_t mapped_bytes, struct rg_error *err)
{
	int status = rg_object_join(sh_cursor, mapped_bytes, &cursor_kind, err);

	if (!status && mapped_bytes < sizeof(struct rg_ring_cursor))
		status = rg_error_set(
			err, RG_ECORRUPT, "ring cursor: %llu bytes are mapped, it has %zu",
			(unsigned long long)mapped_bytes, sizeof(struct rg_ring_cursor));
	return status;
}

void *rg_ring_cursor_leave(struct rg_ring_cursor *cursor)
{
	return cursor;
}

void rg_ring_cursor_delete(struct rg_ring_cursor *cursor)
{
	rg_object_unpublish(&cursor->object);
}

/* ---- frames ---- */

/* The check word: the position makes it another one on each lap, the length detects a half-written
 * header. */
static uint32_t frame_check(uint64_t position, uint32_t length, enum frame_kind kind)
{
	return (uint32_t)(position >> 3) ^ (uint32_t)kind ^ length * 0x9e3779b1u;
}

static void put_frame(struct rg_ring_producer *producer, uint64_t position, uint64_t length,
		      enum frame_kind kind)
{
	uint64_t word = length | (uint64_t)frame_check(position, (uint32_t)length, kind) << 32;

	memcpy(producer->data + (position & producer->mask), &word, sizeof(word));
}

/* ---- producer ---- */

int rg_ring_producer_join(struct rg_ring_producer *producer, struct rg_ring *ring,
			  uint64_t generation, const struct rg_ring_cursor *cursor,
			  struct rg_error *err)
{
	/* relaxed: all of them were written by this process' predecessor, which is gone */
	uint64_t position = atomic_load_explicit(&ring->position, memory_order_relaxed);
	uint64_t consumed = atomic_load_explicit(&ring->consumed_hint, memory_order_relaxed);
	uint64_t capacity = rg_ring_capacity(ring);

	if (!generation)
		return rg_error_set(err, RG_EINVAL, "ring: generation 0 names no file");
	if ((position | consumed) & 7 || position - consumed > capacity)
		return rg_error_set(err, RG_ECORRUPT,
				    "ring: producer position %llu and consumed position %llu of a "
				    "ring of %llu bytes contradict each other",
				    (unsigned long long)position, (unsigned long long)consumed,
				    (unsigned long long)capacity);
	memset(producer, 0, sizeof(*producer));
	producer->ring = ring;
	producer->data = ring->data;
	producer->capacity = capacity;
	producer->mask = capacity - 1;
	producer->generation = generation;
	producer->reserved = producer->published = producer->last = position;
	producer->consumed = consumed;
	producer->messages = atomic_load_explicit(&ring->messages, memory_order_relaxed);
	producer->lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);
	producer->cursor_errors = atomic_load_explicit(&ring->cursor_errors, memory_order_relaxed);
	rg_ring_producer_attach(producer, cursor);
	return RG_OK;
}

void rg_ring_producer_attach(struct rg_ring_producer *producer, const struct rg_ring_cursor *cursor)
{
	/* seq_cst, both: this store and the load below against the worker's store of `looking` and
	 * load of `cursor` in learn_consumed(): one of the two sees the other's (Dekker) */
	atomic_store_explicit(&producer->cursor, cursor, memory_order_seq_cst);
	while (atomic_load_explicit(&producer->looking, memory_order_seq_cst))
		sched_yield();
}

uint64_t rg_ring_message_max(const struct rg_ring_producer *producer)
{
	/* Padding is shorter than the frame it makes room for: two of them must fit. */
	uint64_t bytes = producer->capacity / 2 - RG_RING_FRAME_BYTES;

	return bytes < MESSAGE_BYTES_MAX ? bytes : MESSAGE_BYTES_MAX;
}

/* How far has the peer's cursor come? (h) */
static void look_at(struct rg_ring_producer *producer, const struct rg_ring_cursor *cursor)
{
	uint64_t position;

	/* acquire: (c), pairs with adopt_cursor() */
	if (!cursor ||
	    atomic_load_explicit(&cursor->generation, memory_order_acquire) != producer->generation)
		return;
	/* acquire: (b), pairs with rg_ring_release() */
	position = atomic_load_explicit(&cursor->position, memory_order_acquire);
	if (position & 7 ||
	    position - producer->consumed > producer->published - producer->consumed) {
		producer->cursor_errors++;
		/* relaxed: a number for people */
		atomic_store_explicit(&producer->ring->cursor_errors, producer->cursor_errors,
				      memory_order_relaxed);
		return;
	}
	producer->consumed = position;
	/* relaxed: whoever joins without a cursor of his own begins here (f); before what is now
	 * free is overwritten */
	atomic_store_explicit(&producer->ring->consumed_hint, position, memory_order_relaxed);
}

static void learn_consumed(struct rg_ring_producer *producer)
{
	/* seq_cst, both: see rg_ring_producer_attach() */
	atomic_store_explicit(&producer->looking, 1, memory_order_seq_cst);
	look_at(producer, atomic_load_explicit(&producer->cursor, memory_order_seq_cst));
	/* release: the hint is stored before whoever waits in rg_ring_producer_attach() goes on */
	atomic_store_explicit(&producer->looking, 0, memory_order_release);
}

static bool has_room(const struct rg_ring_producer *producer, uint64_t bytes)
{
	return producer->capacity - (producer->reserved - producer->consumed) >= bytes;
}

static uint8_t *refuse(struct rg_ring_producer *producer)
{
	producer->lost++;
	/* relaxed: a number for people */
	atomic_store_explicit(&producer->ring->lost, producer->lost, memory_order_relaxed);
	return NULL;
}

uint8_t *rg_ring_reserve(struct rg_ring_producer *producer, uint64_t bytes)
{
	uint64_t frame, rest, padding;

	if (!bytes || bytes > rg_ring_message_max(producer))
		return refuse(producer);
	frame = rg_ring_frame_bytes(bytes);
	rest = producer->capacity - (producer->reserved & producer->mask);
	padding = frame > rest ? rest : 0;
	if (!has_room(producer, padding + frame)) {
		learn_consumed(producer);
		if (!has_room(producer, padding + frame))
			return refuse(producer);
	}
	if (padding) {
		put_frame(producer, producer->reserved, padding - RG_RING_FRAME_BYTES,
			  FRAME_PADDING);
		producer->reserved += padding;
	}
	put_frame(producer, producer->reserved, bytes, FRAME_MESSAGE);
	producer->last = producer->reserved;
	producer->reserved += frame;
	producer->messages_reserved++;
	return producer->data + (producer->last & producer->mask) + RG_RING_FRAME_BYTES;
}

void rg_ring_shorten(struct rg_ring_producer *producer, uint64_t bytes)
{
	assert(bytes && producer->last >= producer->published &&
	       producer->last + rg_ring_frame_bytes(bytes) <= producer->reserved);
	put_frame(producer, producer->last, bytes, FRAME_MESSAGE);
	producer->reserved = producer->last + rg_ring_frame_bytes(bytes);
}

void rg_ring_commit(struct rg_ring_producer *producer)
{
	struct rg_ring *ring = producer->ring;

	if (producer->reserved == producer->published)
		return;
	producer->messages += producer->messages_reserved;
	producer->messages_reserved = 0;
	producer->published = producer->reserved;
	/* relaxed: a number for people */
	atomic_store_explicit(&ring->messages, producer->messages, memory_order_relaxed);
	/* release: (a), pairs with learn_published() */
	atomic_store_explicit(&ring->position, producer->published, memory_order_release);
}

void rg_ring_abandon(struct rg_ring_producer *producer)
{
	producer->reserved = producer->last = producer->published;
	producer->messages_reserved = 0;
}

uint64_t rg_ring_used_bytes(const struct rg_ring_producer *producer)
{
	return producer->reserved - producer->consumed;
}

/* ---- consumer ---- */

const char *rg_ring_error_name(enum rg_ring_error error)
{
	static const char *const names[] = {
		"ok",	       "position_behind", "position_ahead", "position_misaligned",
		"frame_check", "frame_length"};

	return (size_t)error < sizeof(names) / sizeof(names[0]) ? names[error] : "unknown";
}

/* Store what the consumer counts; relaxed: numbers for people. */
static void show_counts(struct rg_ring_consumer *consumer)
{
	if (!consumer->cursor)
		return;
	atomic_store_explicit(&consumer->cursor->messages, consumer->messages,
			      memory_order_relaxed);
	atomic_store_explicit(&consumer->cursor->errors, consumer->errors, memory_order_relaxed);
	atomic_store_explicit(&consumer->cursor->skipped_bytes, consumer->skipped_bytes,
			      memory_order_relaxed);
}

static void note_error(struct rg_ring_consumer *consumer, enum rg_ring_error error)
{
	consumer->last_error = error;
	consumer->errors++;
	show_counts(consumer);
}

/* Can a consumer that is at `position` see the producer at `published`? */
static enum rg_ring_error position_error(uint64_t published, uint64_t position, uint64_t capacity)
{
	if (published & 7)
		return RG_RING_POSITION_MISALIGNED;
	if (published - position <= capacity)
		return RG_RING_OK;
	return published < position ? RG_RING_POSITION_BEHIND : RG_RING_POSITION_AHEAD;
}

/* Make the cursor belong to this generation, at this position (c). */
static void adopt_cursor(struct rg_ring_cursor *cursor, uint64_t generation, uint64_t position)
{
	/* relaxed: no producer of another generation is alive to see the two in between; the
	 * release below orders them for the one of this generation */
	atomic_store_explicit(&cursor->generation, 0, memory_order_relaxed);
	atomic_store_explicit(&cursor->position, position, memory_order_relaxed);
	/* release: (c), pairs with look_at() */
	atomic_store_explicit(&cursor->generation, generation, memory_order_release);
}

/* Go on where the cursor stands if it is this generation's and can be true, else make it so. */
static void resume_cursor(struct rg_ring_consumer *consumer, uint64_t generation,
			  uint64_t published)
{
	struct rg_ring_cursor *cursor = consumer->cursor;
	enum rg_ring_error error;
	uint64_t position;

	/* relaxed, here and below: we wrote it, or our predecessor did */
	if (atomic_load_explicit(&cursor->generation, memory_order_relaxed) != generation) {
		adopt_cursor(cursor, generation, consumer->position);
		show_counts(consumer);
		return;
	}
	consumer->messages = atomic_load_explicit(&cursor->messages, memory_order_relaxed);
	consumer->errors = atomic_load_explicit(&cursor->errors, memory_order_relaxed);
	consumer->skipped_bytes =
		atomic_load_explicit(&cursor->skipped_bytes, memory_order_relaxed);
	position = atomic_load_explicit(&cursor->position, memory_order_relaxed);
	error = position & 7 ? RG_RING_POSITION_MISALIGNED
			     : position_error(published, position, consumer->capacity);
	if (error) {
		note_error(consumer, error);
		adopt_cursor(cursor, generation, consumer->position);
		return;
	}
	consumer->position = consumer->released = consumer->limit = consumer->distrusted = position;
}

int rg_ring_consumer_join(struct rg_ring_consumer *consumer, const struct rg_ring *ring,
			  uint64_t capacity, uint64_t generation, struct rg_ring_cursor *cursor,
			  struct rg_error *err)
{
	uint64_t published, hint;

	if (!rg_ring_footprint(capacity) || !generation)
		return rg_error_set(err, RG_EINVAL,
				    "ring: capacity %llu or generation %llu is out of range",
				    (unsigned long long)capacity, (unsigned long long)generation);
	/* relaxed: the hint only has to be one that was true once */
	hint = atomic_load_explicit(&ring->consumed_hint, memory_order_relaxed);
	/* acquire: (a), pairs with rg_ring_commit() */
	published = atomic_load_explicit(&ring->position, memory_order_acquire);
	if (hint & 7 || position_error(published, hint, capacity))
		hint = published & ~7ull;
	memset(consumer, 0, sizeof(*consumer));
	consumer->ring = ring;
	consumer->data = ring->data;
	consumer->capacity = capacity;
	consumer->mask = capacity - 1;
	consumer->cursor = cursor;
	consumer->position = consumer->released = consumer->limit = consumer->distrusted = hint;
	if (cursor)
		resume_cursor(consumer, generation, published);
	return RG_OK;
}

/* Does the producer know that more is consumed than we do? Then an older cursor was ahead of the
 * one we began with (f): go on where that was. Nothing is skipped that was not read. */
static bool catch_up(struct rg_ring_consumer *consumer, uint64_t published)
{
	/* relaxed: checked against what was acquired */
	uint64_t hint = atomic_load_explicit(&consumer->ring->consumed_hint, memory_order_relaxed);

	if (hint & 7 || hint == consumer->position || published - hint > consumer->capacity ||
	    published - consumer->position < published - hint)
		return false;
	consumer->position = consumer->limit = hint;
	return true;
}

/* See how far the producer is (g). True: there is something to read. */
static bool learn_published(struct rg_ring_consumer *consumer)
{
	/* acquire: (a), pairs with rg_ring_commit() */
	uint64_t published = atomic_load_explicit(&consumer->ring->position, memory_order_acquire);
	enum rg_ring_error error =
		position_error(published, consumer->position, consumer->capacity);

	if (!error) {
		consumer->limit = published;
		return published != consumer->position;
	}
	if (published != consumer->distrusted) /* count each lie once, not each look at it */
		note_error(consumer, error);
	if (error == RG_RING_POSITION_AHEAD && catch_up(consumer, published))
		return false;
	consumer->distrusted = published;
	return false;
}

/* The frame at the consumer's position: RG_RING_OK with its kind and length, or what is wrong with
 * it (g). */
static enum rg_ring_error read_frame(const struct rg_ring_consumer *consumer, uint32_t *length,
				     enum frame_kind *kind)
{
	uint64_t at = consumer->position & consumer->mask;
	/* One load, so that what is checked is what is used. relaxed: ordered by learn_published()
	 */
	uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(consumer->data + at),
					__ATOMIC_RELAXED);
	uint32_t check = (uint32_t)(word >> 32);
	uint64_t frame;

	*length = (uint32_t)word;
	if (check == frame_check(consumer->position, *length, FRAME_MESSAGE))
		*kind = FRAME_MESSAGE;
	else if (check == frame_check(consumer->position, *length, FRAME_PADDING))
		*kind = FRAME_PADDING;
	else
		return RG_RING_FRAME_CHECK;
	frame = rg_ring_frame_bytes(*length);
	if (frame > consumer->limit - consumer->position || frame > consumer->capacity - at ||
	    (*kind == FRAME_MESSAGE && !*length))
		return RG_RING_FRAME_LENGTH;
	return RG_RING_OK;
}

const uint8_t *rg_ring_peek(struct rg_ring_consumer *consumer, uint32_t *bytes)
{
	if (consumer->position == consumer->limit && !learn_published(consumer))
		return NULL;
	while (consumer->position != consumer->limit) {
		enum frame_kind kind;
		uint32_t length;
		enum rg_ring_error error = read_frame(consumer, &length, &kind);

		if (error) {
			if (!catch_up(consumer, consumer->limit)) {
				consumer->skipped_bytes += consumer->limit - consumer->position;
				consumer->position = consumer->limit;
			}
			note_error(consumer, error);
			return NULL;
		}
		if (kind == FRAME_MESSAGE) {
			consumer->frame_bytes = rg_ring_frame_bytes(length);
			*bytes = length;
			return consumer->data + (consumer->position & consumer->mask) +
			       RG_RING_FRAME_BYTES;
		}
		consumer->position += rg_ring_frame_bytes(length);
	}
	return NULL;
}

void rg_ring_advance(struct rg_ring_consumer *consumer)
{
	if (!consumer->frame_bytes)
		return;
	consumer->position += consumer->frame_bytes;
	consumer->frame_bytes = 0;
	consumer->messages++;
}

void rg_ring_release(struct rg_ring_consumer *consumer)
{
	if (!consumer->cursor || consumer->position == consumer->released)
		return;
	show_counts(consumer);
	consumer->released = consumer->position;
	/* release: (b), pairs with look_at() */
	atomic_store_explicit(&consumer->cursor->position, consumer->released,
			      memory_order_release);
}

uint64_t rg_ring_backlog_bytes(const struct rg_ring_consumer *consumer)
{
	/* relaxed: a number for people */
	uint64_t published = atomic_load_explicit(&consumer->ring->position, memory_order_relaxed);

	if (position_error(published, consumer->position, consumer->capacity))
		return 0;
	return published - consumer->position;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record ring: one producer (a worker), one consumer (control), messages of any length, no copy
 * on either side, across two processes that may each die and come back at any time.
 *
 * Two halves in two files, because each file has one writer:
 *
 *	dataplane file   struct rg_ring         producer position, hints, bytes   by the worker
 *	control file     struct rg_ring_cursor  consumer position                 by control
 *
 * ALGORITHM. Positions count bytes since the ring was made; they only grow. The byte at position p
 * is data[p mod capacity]. A message is a frame: an 8-byte header {length, check}, then the bytes,
 * padded to 8. `check` is made from the position and the kind of the frame, so that bytes of an
 * earlier lap are never taken for a frame. A message is never split: when it does not fit before
 * the end of the array, a padding frame fills the rest and the message starts at data[0].
 *
 *	      cursor's position              producer position          reserved (local)
 *	             |                               |                        |
 *	 ... free ...|<---- committed, unread ------>|<--- being written ---->|... free ...
 *
 *	 released <= read <= published <= reserved <= released + capacity
 *
 * The producer reserves any number of messages, writes them in place, and commits them all with one
 * store. The consumer peeks at messages in place, advances locally, and releases them all with one
 * store.
 *
 * ORDERING.
 * (a) Frames and bytes are written before the producer position that covers them is stored with
 *     release (rg_ring_commit); the consumer acquires it (rg_ring_peek): it never sees an unwritten
 *     byte of what was committed.
 * (b) The consumer has finished reading before it stores its position with release
 *     (rg_ring_release); the producer acquires it (rg_ring_reserve, only when the ring seems full):
 *     it never overwrites a byte that may still be read.
 * (c) A cursor belongs to one generation of the data plane's file. Control clears the generation,
 *     sets the position, then stores the generation with release; the producer acquires the
 *     generation and takes the position only if the generation is its own. Otherwise it learns
 *     nothing and keeps what it knew.
 *
 * WHAT IS TRUE AFTER A DEATH. The producer position is the truth of what exists, the cursor's
 * position of what is done with; both are single 64-bit words.
 * (d) Producer dies: what was not committed is gone (nobody was answered for it: workers commit
 *     before they answer), everything committed stays. Its successor in the same file goes on at
 *     the producer position.
 * (e) Consumer dies: what was read but not released comes again, at most one batch; whoever keeps
 *     records tells them by their key.
 * (f) Either half may be absent: without a cursor the producer goes on until the ring is full. A
 *     cursor that is lost is begun again at consumed_hint, which the producer stores before it
 *     overwrites anything; what was read after it comes again. While the producer can still see the
 *     lost cursor (a file that was deleted under it) the new one must wait: rg_region_consumer()
 *     does.
 *
 * PROGRESS. Both sides are wait-free: no loop depends on the other side. A full ring is the
 * caller's to answer for (RECORDER_FULL); the ring counts it.
 *
 * TRUST. Every word of the other side is read once into a local variable, checked, then used.
 * (g) A producer position that cannot be (behind us, more than capacity ahead, misaligned) is named
 *     and counted by the consumer, once, and waited out: the next commit of a sound producer brings
 *     a good one. A frame that cannot be (a length beyond what is published or the end of the
 *     array, a wrong check) is named and counted, and everything up to the producer position is
 *     skipped: reading goes on with the next commit.
 * (h) A cursor that cannot be (ahead of the producer, behind what it was, misaligned) is counted
 *     and ignored by the producer: the ring fills rather than being overwritten.
 * (i) Message bytes can be changed by a hostile producer while they are looked at: copy, then
 *     check, then use.
 *
 * Thread-safety: a struct rg_ring_producer and a struct rg_ring_consumer belong to one thread each.
 * tests/models/ring.pml is this protocol in Promela.
 */
#ifndef RG_SHM_RING_H
#define RG_SHM_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/object.h"

#define RG_RING_VERSION	    1
#define RG_RING_BYTES_MIN   4096ull
#define RG_RING_BYTES_MAX   (1ull << 40)
#define RG_RING_FRAME_BYTES 8u

/* The producer's half. object.parameter: log2 of the capacity. */
struct rg_ring {
	struct rg_object object; /* written once; read by every join */

	/* One line of the worker's. Written once a burst; control reads position once a batch,
	 * tools read the rest rarely. */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t position; /* the producer position: published end */
	_Atomic uint64_t consumed_hint; /* the cursor's position as the worker last knew it: what a
					   restarted worker believes until it sees the cursor */
	_Atomic uint64_t messages;	/* committed since the ring was made */
	_Atomic uint64_t lost;		/* reservations refused because the ring was full */
	_Atomic uint64_t cursor_errors; /* nonsense met in the cursor */

	/* The worker writes each message once, control reads what is committed. */
	_Alignas(RG_SHM_LINE) uint8_t data[];
};
static_assert(offsetof(struct rg_ring, position) == 128 && offsetof(struct rg_ring, data) == 256,
	      "layout of the ring: raise RG_RING_VERSION and RG_REGION_VERSION");

/* The consumer's half. */
struct rg_ring_cursor {
	struct rg_object object; /* written once; read by every join */

	/* One line of control's. Written once a batch; the worker reads generation and position
	 * when the ring seems full, tools read the rest rarely. */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t generation; /* of the data plane file that position
							      is about; 0: of none */
	_Atomic uint64_t position;			   /* everything before it is done with */
	_Atomic uint64_t messages;			   /* released since generation began */
	_Atomic uint64_t errors;			   /* nonsense met in the ring, times */
	_Atomic uint64_t skipped_bytes;			   /* skipped because of it */
	uint64_t reserved[11];
};
static_assert(sizeof(struct rg_ring_cursor) == 256 &&
		      offsetof(struct rg_ring_cursor, generation) == 128,
	      "layout of the cursor: raise RG_RING_VERSION and RG_REGION_VERSION");

/* The ritual of the producer's half. capacity: bytes, a power of two,
 * RG_RING_BYTES_MIN..RG_RING_BYTES_MAX. */
uint64_t rg_ring_align(void);
uint64_t rg_ring_footprint(uint64_t capacity);
struct rg_ring *rg_ring_new(void *sh_ring, uint64_t capacity);
int rg_ring_join(const void *sh_ring, uint64_t mapped_bytes, struct rg_error *err);
void *rg_ring_leave(struct rg_ring *ring);
void rg_ring_delete(struct rg_ring *ring);
uint64_t rg_ring_capacity(const struct rg_ring *ring);

/* The ritual of the consumer's half. */
uint64_t rg_ring_cursor_align(void);
uint64_t rg_ring_cursor_footprint(void);
struct rg_ring_cursor *rg_ring_cursor_new(void *sh_cursor);
int rg_ring_cursor_join(const void *sh_cursor, uint64_t mapped_bytes, struct rg_error *err);
void *rg_ring_cursor_leave(struct rg_ring_cursor *cursor);
void rg_ring_cursor_delete(struct rg_ring_cursor *cursor);

/* ---- producer ---- */

struct rg_ring_producer {
	struct rg_ring *ring;
	uint8_t *data;
	uint64_t capacity, mask;
	uint64_t generation;
	uint64_t reserved;  /* end of what is reserved */
	uint64_t last;	    /* where the frame reserved last begins */
	uint64_t published; /* what ring->position holds */
	uint64_t consumed;  /* cursor's position, as last read and believed */
	uint64_t messages_reserved, messages, lost, cursor_errors;
	/* The cursor's address: NULL until control's file is there. Stored by the thread that joins
	 * control's file (rg_ring_producer_attach), loaded by the worker when the ring seems full;
	 * `looking` is set around that, so that the other thread can wait until nobody looks. */
	const struct rg_ring_cursor *_Atomic cursor;
	_Atomic uint32_t looking;
};

/* Start or resume producing into a joined ring: goes on at the producer position; what a
 * predecessor reserved and did not commit is dropped. generation (not 0) is the data plane file's.
 * cursor may be NULL. Returns RG_OK, or RG_ECORRUPT if the ring's own words contradict each other
 * (then nothing is changed). */
int rg_ring_producer_join(struct rg_ring_producer *producer, struct rg_ring *ring,
			  uint64_t generation, const struct rg_ring_cursor *cursor,
			  struct rg_error *err);
/* Give the producer another cursor, or none. Any one other thread at a time. When it returns the
 * worker does not look at the cursor before it any more, and never will: that may be unmapped.
 * Waits for the few instructions of a look that is under way. */
void rg_ring_producer_attach(struct rg_ring_producer *producer,
			     const struct rg_ring_cursor *cursor);
/* The longest message that always fits into an empty ring. */
uint64_t rg_ring_message_max(const struct rg_ring_producer *producer);
/* What a message takes of the ring. */
static inline uint64_t rg_ring_frame_bytes(uint64_t message_bytes)
{
	return RG_RING_FRAME_BYTES + rg_align_up(message_bytes, 8);
}
/* Bring near, to be written, the memory of a message of `bytes` that will be reserved after `ahead`
 * more bytes of others: a ring is as a rule larger than the caches, and a store that misses holds up
 * all stores after it. Returns `ahead` for the message after it. A hint: where the message will lie
 * elsewhere (no room, the end of the array) the wrong lines come. Wait-free. */
static inline uint64_t rg_ring_prefetch(const struct rg_ring_producer *producer, uint64_t ahead,
					uint64_t bytes)
{
	uint64_t at = producer->reserved + ahead, end = at + rg_ring_frame_bytes(bytes);

	/* The line that it begins in came with the message before. */
	for (at += RG_CACHE_LINE - 1 - (at - 1) % RG_CACHE_LINE; at < end; at += RG_CACHE_LINE)
		__builtin_prefetch(producer->data + (at & producer->mask), 1);
	return end - producer->reserved;
}
/* Reserve `bytes` (1..rg_ring_message_max) and return where to write them: 8-aligned, contiguous.
 * NULL: the ring is full (or bytes is out of range); `lost` is counted. Wait-free; reads the cursor
 * only when the ring seems full. */
uint8_t *rg_ring_reserve(struct rg_ring_producer *producer, uint64_t bytes);
/* Shorten the message reserved last to `bytes` (1..as reserved), before commit. */
void rg_ring_shorten(struct rg_ring_producer *producer, uint64_t bytes);
/* Publish everything reserved since the last commit: one store with release. Call once a burst,
 * before answers leave. */
void rg_ring_commit(struct rg_ring_producer *producer);
/* Forget everything reserved since the last commit. */
void rg_ring_abandon(struct rg_ring_producer *producer);
/* Bytes committed or reserved and, as far as this side knows, not released. */
uint64_t rg_ring_used_bytes(const struct rg_ring_producer *producer);

/* ---- consumer ---- */

enum rg_ring_error {
	RG_RING_OK = 0,
	RG_RING_POSITION_BEHIND, /* the producer position went back behind the consumer's */
	RG_RING_POSITION_AHEAD,	 /* more than capacity ahead */
	RG_RING_POSITION_MISALIGNED,
	RG_RING_FRAME_CHECK,  /* the frame's check word does not belong to this position */
	RG_RING_FRAME_LENGTH, /* the frame does not end within what is published, or not before the
				 end of the array */
};
/* "position_behind", ... */
const char *rg_ring_error_name(enum rg_ring_error error);

struct rg_ring_consumer {
	const struct rg_ring *ring;
	struct rg_ring_cursor *cursor; /* NULL: a look without consuming (tools, tests) */
	const uint8_t *data;
	uint64_t capacity, mask;
	uint64_t position;    /* next frame to look at */
	uint64_t released;    /* what cursor->position holds */
	uint64_t limit;	      /* producer position, as last read and believed */
	uint64_t distrusted;  /* producer position, as last read and not believed */
	uint64_t frame_bytes; /* of the frame peeked at; 0: none */
	uint64_t messages, errors, skipped_bytes;
	enum rg_ring_error last_error; /* the last nonsense met; RG_RING_OK: none since join */
};

/* Start or resume consuming a joined ring, of `capacity` bytes as checked against the mapping then,
 * of the file with this generation (not 0). The cursor's position is taken if it belongs to that
 * generation; otherwise the cursor is made to belong to it, at the ring's hint: nothing before that
 * can still be there, everything after it is. cursor NULL: look from the hint on, release nothing.
 * A cursor position that cannot be (as in g) is counted and named in last_error, and the hint taken
 * instead. Returns RG_OK; RG_EINVAL: capacity or generation. */
int rg_ring_consumer_join(struct rg_ring_consumer *consumer, const struct rg_ring *ring,
			  uint64_t capacity, uint64_t generation, struct rg_ring_cursor *cursor,
			  struct rg_error *err);
/* The next message, or NULL: none is there now. Valid until it is released. Repeats itself until
 * rg_ring_advance(). Padding is skipped; nonsense is counted, named in last_error and skipped with
 * everything up to the producer position. Wait-free. */
const uint8_t *rg_ring_peek(struct rg_ring_consumer *consumer, uint32_t *bytes);
/* Go past the message that rg_ring_peek() returned (local: nothing is released). */
void rg_ring_advance(struct rg_ring_consumer *consumer);
/* Give everything advanced past back to the producer: one store with release. Call once a batch,
 * after the batch is safe elsewhere. */
void rg_ring_release(struct rg_ring_consumer *consumer);
/* Bytes committed and not yet advanced past, as of now. */
uint64_t rg_ring_backlog_bytes(const struct rg_ring_consumer *consumer);

#endif

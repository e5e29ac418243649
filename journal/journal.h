/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: append-only files that records reach first.
 *
 * FORMAT. A folder of segments, `journal-<first index, 20 digits>.rgj`. Little-endian, every frame
 * 8-aligned:
 *
 *   segment  = struct rg_journal_segment_header (128 bytes; 64 in version 1), frames
 *   frame    = struct rg_journal_frame_header (16 bytes), payload, zeros up to a multiple of 8
 *
 * Frames are numbered from 0 over all segments without a gap; a frame's header holds the low 32
 * bits of its index, and its CRC32C covers the rest of the header, the payload and the padding. So
 * a frame that is torn, moved, repeated or left out is found. Kinds of frames:
 *
 *   RECORD     one decision, byte for byte as it was in a worker's ring (shm/record.h)
 *   POLICY     JSON that says what a policy sequence means to the records that name it:
 *              {"sequence":N,"bundle":"...","revision":"...","ns":N,"reasons":["of id 1",...]}
 *   POSITIONS  the newest (epoch, worker, sequence) of each worker: the first frame of every
 *              segment but an empty journal's
 *   SEAL       a link of the chain (chain.h): only with the option `chain`
 *
 * Behind POSITIONS a segment repeats the last POLICY frames, so that the records of the segments
 * that retention has left still find the revision they name.
 *
 * WRITING. One process writes (flock on the folder's `lock` file), one thread calls. Frames are
 * staged in memory by record() and add(), and written by flush() with one write a batch:
 *
 *   record ─► staged ──flush──► written (survives kill -9) ──sync──► durable (survives power loss)
 *                ▲                 │
 *                └── disk full ────┘  reported, kept, written again to the same place later
 *
 * A segment that would grow past segment_bytes is synced and closed, and the next one is created
 * (with an fsync of the folder). sync is group commit: a thread of the writer's own calls fdatasync
 * when sync_bytes are written or sync_interval_ns have passed, so that a slow disk stalls neither
 * the drain nor the rings. A failed sync is never repeated on the same file (the kernel forgets the
 * pages): it is counted and reported, and the writer goes on in a new segment; what was written
 * since the sync before it may then be lost with the power.
 *
 * Guarantees:
 *  (A) Order: frames are read in the order in which they were staged.
 *  (B) Once written, a frame is read by every later reader, whatever process was killed when.
 *  (C) Once durable, also after power loss.
 *  (D) After any crash, open() leaves exactly the longest valid prefix of the last segment; what
 *      it cut is reported. A damaged frame that is followed by a whole frame is damage, not a torn
 *      tail: open() does not cut it and continues in a new segment, and readers report the place.
 *  (F) Retention removes whole segments, oldest first, never the last, and never one that holds a
 *      frame somebody still needs (keep_index), unless the journal is larger than bytes_max: then
 *      the frames that nobody will get are counted.
 *  (E) Exactly once: the newest sequence of each (epoch, worker) is rebuilt at open from the last
 *      segment alone, because each segment begins with POSITIONS. record() takes a record only if
 *      it is new, and says whether it follows a gap.
 *
 * READING. Any number of readers, any process, while it is written. A reader never returns a frame
 * whose CRC32C is wrong. At the end of the last segment next() returns RG_EAGAIN and goes on later
 * (follow).
 *
 * Thread-safety: a reader belongs to one thread. A writer belongs to one thread, except durable(),
 * which any may call.
 */
#ifndef RG_JOURNAL_JOURNAL_H
#define RG_JOURNAL_JOURNAL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "shm/record.h"

#define RG_JOURNAL_MAGIC	     0x4c4e524a47534b52ull /* "RKSGJRNL" */
#define RG_JOURNAL_VERSION	     2
#define RG_JOURNAL_LINK_BYTES	     32 /* SHA-256 */
#define RG_JOURNAL_KEY_BYTES_MAX     4096
#define RG_JOURNAL_PAYLOAD_BYTES_MAX (1u << 20)
#define RG_JOURNAL_SEGMENT_BYTES_MIN 4096
#define RG_JOURNAL_SEGMENT_BYTES_MAX (1ull << 40)

enum rg_journal_kind {
	RG_JOURNAL_RECORD = 1,
	RG_JOURNAL_POLICY = 2,
	RG_JOURNAL_POSITIONS = 3,
	RG_JOURNAL_SEAL = 4
};
const char *rg_journal_kind_name(uint32_t kind); /* "record", ... or "unknown" */

enum rg_journal_chain_kind {
	RG_JOURNAL_UNCHAINED = 0,
	RG_JOURNAL_CHAIN_SHA256 = 1,
	RG_JOURNAL_CHAIN_HMAC = 2, /* the same, and seals carry an HMAC-SHA256 */
};

/* Version 1 ends behind crc32c, with header_bytes 64 and nothing chained. */
struct rg_journal_segment_header {
	uint64_t magic;		 /* RG_JOURNAL_MAGIC */
	uint32_t version;	 /* RG_JOURNAL_VERSION, or 1 */
	uint32_t node;		 /* number of the machine that wrote it */
	uint64_t first_index;	 /* index of its first frame */
	uint64_t created_ns;	 /* CLOCK_REALTIME */
	uint64_t records_before; /* records in all segments before it */
	uint32_t chain;		 /* enum rg_journal_chain_kind */
	uint8_t reserved[12];
	uint32_t header_bytes;		     /* 128 */
	uint32_t crc32c;		     /* of the 60 bytes before */
	uint8_t link[RG_JOURNAL_LINK_BYTES]; /* the chain's, at the end of the segment before; zeros
						where a chain begins */
	uint8_t reserved_2[28];
	uint32_t crc32c_2; /* of the 124 bytes before */
};

struct rg_journal_frame_header {
	uint32_t crc32c;	/* of everything after this field, padding included */
	uint32_t payload_bytes; /* 1..RG_JOURNAL_PAYLOAD_BYTES_MAX */
	uint32_t kind;		/* enum rg_journal_kind */
	uint32_t index_low;	/* low 32 bits of the frame's index */
};

static_assert(sizeof(struct rg_journal_segment_header) == 128 &&
		      offsetof(struct rg_journal_segment_header, crc32c) == 60,
	      "journal segments on disk have this layout: raise RG_JOURNAL_VERSION and read both");
static_assert(sizeof(struct rg_journal_frame_header) == 16,
	      "journal frames on disk have this layout: raise RG_JOURNAL_VERSION and read both");

/* Bytes of a frame with this payload in a segment. */
static inline uint64_t rg_journal_frame_bytes(uint32_t payload_bytes)
{
	return (sizeof(struct rg_journal_frame_header) + payload_bytes + 7ull) & ~7ull;
}

/* A place between two frames. All zero: the beginning of the oldest segment. */
struct rg_journal_position {
	uint64_t index;	  /* of the frame that comes next */
	uint64_t segment; /* first index of the segment it is in */
	uint64_t offset;  /* in that segment's file; 0: its first frame */
};
/* <0, 0, >0 as a lies before, at or after b in the journal. Ordered by index. */
int rg_journal_position_compare(const struct rg_journal_position *a,
				const struct rg_journal_position *b);

/* ---- writing ---- */

struct rg_histogram;
struct rg_journal_writer;

struct rg_journal_writer_options {
	const char *directory; /* made (0750) when it is not there; its parent must exist */
	uint32_t node;
	uint64_t segment_bytes;	   /* RG_JOURNAL_SEGMENT_BYTES_MIN.._MAX */
	uint64_t sync_interval_ns; /* longest time from written to the start of its sync; 0: every
				      flush syncs, in place */
	uint64_t sync_bytes;	   /* most bytes written before a sync starts; 0: no such bound */
	bool sync_by_hand;	   /* no thread: rg_journal_writer_sync_one() carries syncs out */
	bool chain;		   /* seal each batch: chain.h */
	const void *key;	   /* of the seals' HMAC; NULL: none */
	uint32_t key_bytes;	   /* 1..RG_JOURNAL_KEY_BYTES_MAX with a key, else 0; copied */
	struct rg_histogram *sync_times; /* of each fdatasync; NULL: nowhere. Nobody else may record
					    in it; it must outlive the writer */
};

/* What open() found. */
struct rg_journal_recovery {
	uint64_t segments;    /* there before */
	uint64_t next_index;  /* of the first frame that will be written */
	uint64_t records;     /* in the journal */
	uint64_t torn_bytes;  /* cut from the end of the last segment */
	uint64_t torn_offset; /* where */
	char torn_file[64];   /* "" when nothing was cut */
	char damage[256];     /* "" or the damage that made open() begin a new segment instead of
				 cutting */
};

struct rg_journal_statistics {
	uint64_t records; /* in the journal, also from before; the others count since open() */
	uint64_t frames_written, records_written, bytes_written, syncs, sync_failures,
		write_failures, segments_created;
	uint64_t duplicates;			  /* records that were journaled already */
	uint64_t gaps;				  /* sequences that were never seen */
	uint64_t staged_bytes;			  /* waiting for flush */
	uint64_t sync_ns_max;			  /* longest fdatasync */
	uint64_t segments, bytes;		  /* in the folder now; as of the last retain() */
	uint64_t segments_removed, bytes_removed; /* by retention */
	uint64_t frames_abandoned; /* removed for bytes_max although somebody needed them */
	uint64_t retention_failures;
};

/* How much of a journal to keep. 0: no such bound. */
struct rg_journal_retention {
	uint64_t age_ns;     /* since the last frame of a segment was written */
	uint64_t bytes;	     /* of all segments; removes only what nobody needs */
	uint64_t bytes_max;  /* of all segments; removes also what somebody needs */
	uint64_t keep_index; /* the first frame that somebody still needs */
};

/* Open or create. Errors: RG_EINVAL (options), RG_ECONFLICT (another process writes it), RG_EIO,
 * RG_EVERSION, RG_ENOMEM. */
int rg_journal_writer_open(const struct rg_journal_writer_options *options,
			   struct rg_journal_writer **writer, struct rg_journal_recovery *recovery,
			   struct rg_error *err);

/* Stage one record, unless it is journaled already. The caller has checked it (rg_record_check).
 * RG_OK: staged, and *gap (may be NULL) is how many sequences were left out between the newest one
 * of its (node, epoch, worker) and this. RG_ECONFLICT: a duplicate, nothing to do. RG_EAGAIN:
 * staging or the segment is full: flush and call again. */
int rg_journal_writer_record(struct rg_journal_writer *writer, const struct rg_record *record,
			     uint64_t *gap);

/* The same without a copy, for records that must be copied to be checked (shm/ring.h (i)): a place
 * of `bytes` (1..RG_RECORD_BYTES_MAX), 8-aligned, where a record may be put together and checked.
 * Then put() stages what is there, or nothing is done and the place is forgotten. reserve() again,
 * flush() and add() forget it too. NULL: staging or the segment is full: flush and call again. */
struct rg_record *rg_journal_writer_reserve(struct rg_journal_writer *writer, uint32_t bytes);
/* RG_OK and RG_ECONFLICT as record(). */
int rg_journal_writer_put(struct rg_journal_writer *writer, uint64_t *gap);

/* Stage one frame of another kind. RG_OK; RG_EAGAIN: flush and call again; RG_ELIMIT: payload_bytes
 * is 0 or too large. */
int rg_journal_writer_add(struct rg_journal_writer *writer, enum rg_journal_kind kind,
			  const void *payload, uint32_t payload_bytes);

/* Write everything staged. On RG_EIO it stays staged (nothing is lost, nothing is half-written):
 * call again later. now_ns is CLOCK_MONOTONIC. */
int rg_journal_writer_flush(struct rg_journal_writer *writer, uint64_t now_ns,
			    struct rg_error *err);

/* Start a sync when one is due, and collect a finished one. Returns the work done: 0 or 1; a failed
 * sync sets err (status RG_EIO) once, else err->status is RG_OK. Never waits. */
int rg_journal_writer_step(struct rg_journal_writer *writer, uint64_t now_ns, struct rg_error *err);

/* Make everything written durable, and wait for it. */
int rg_journal_writer_sync(struct rg_journal_writer *writer, struct rg_error *err);

/* Carry out the oldest sync that was ordered. False: there is none. Only with sync_by_hand. */
bool rg_journal_writer_sync_one(struct rg_journal_writer *writer);

/* Remove the segments that `retention` leaves nothing to keep for, oldest first. Ordered from the
 * sync thread, like a sync; done in place when there is none. Its outcome is in the statistics; a
 * failure to remove sets err (status RG_EIO) with the next call. The age is measured from open() by
 * the monotonic clock, so that a wall clock that jumps while this runs removes nothing. Never
 * waits. */
int rg_journal_writer_retain(struct rg_journal_writer *writer,
			     const struct rg_journal_retention *retention, struct rg_error *err);

/* The place after the last frame written, and after the last one that is durable (any thread may
 * ask for the latter). */
void rg_journal_writer_end(const struct rg_journal_writer *writer, struct rg_journal_position *end);
void rg_journal_writer_durable(struct rg_journal_writer *writer,
			       struct rg_journal_position *durable);
void rg_journal_writer_statistics(const struct rg_journal_writer *writer,
				  struct rg_journal_statistics *statistics);

/* Stop the sync thread, close the files. What is staged is dropped: flush and sync first. NULL is
 * allowed. */
void rg_journal_writer_close(struct rg_journal_writer *writer);

/* ---- reading ---- */

struct rg_journal_reader;

struct rg_journal_frame {
	uint64_t index;
	uint32_t kind; /* enum rg_journal_kind, or a later version's: pass over what you do not know
			*/
	uint32_t payload_bytes;
	const void *payload;	  /* 8-aligned; valid until the next call */
	uint64_t segment, offset; /* where the frame begins */
};

/* Open a journal's folder for reading from a position (NULL: from the beginning). Errors: RG_ENOENT
 * (no such folder), RG_EIO, RG_ENOMEM. A folder without segments is an empty journal. */
int rg_journal_reader_open(const char *directory, const struct rg_journal_position *from,
			   struct rg_journal_reader **reader, struct rg_error *err);

/* The next frame. RG_OK; RG_EAGAIN: there is no whole frame yet; RG_ECORRUPT: names file, offset
 * and what is wrong (and stays there: see skip_damage); RG_ENOENT: the segment of the position is
 * gone; RG_EIO. */
int rg_journal_reader_next(struct rg_journal_reader *reader, struct rg_journal_frame *frame,
			   struct rg_error *err);

/* The place after the last frame returned: what a checkpoint stores. */
void rg_journal_reader_position(const struct rg_journal_reader *reader,
				struct rg_journal_position *position);

/* Do not return frames at or after this place (a sink reads only what is durable). NULL: no bound.
 * The bound also says that everything before it is there: an unfinished frame before it is
 * RG_ECORRUPT. Without one, a length damaged in the last segment cannot be told from a frame that
 * is being written, and is RG_EAGAIN until the next segment begins. */
void rg_journal_reader_limit(struct rg_journal_reader *reader,
			     const struct rg_journal_position *limit);

/* After RG_ECORRUPT or RG_ENOENT: go to the next whole frame there is, in the same segment or a
 * later one. RG_OK: *lost frames were passed over; RG_EAGAIN: there is none (the position stays).
 */
int rg_journal_reader_skip_damage(struct rg_journal_reader *reader, uint64_t *lost,
				  struct rg_error *err);
void rg_journal_reader_close(struct rg_journal_reader *reader); /* NULL is allowed */

/* ---- checking ---- */

/* A place of the chain, to be kept where the journal's owner cannot change it. */
struct rg_journal_head {
	uint64_t index; /* of the frame behind the seal */
	uint8_t link[RG_JOURNAL_LINK_BYTES];
};

struct rg_journal_verify_options {
	const void *key; /* of the seals' HMAC; NULL: it is not checked */
	uint32_t key_bytes;
	const struct rg_journal_head *anchor; /* the chain must have this place; NULL: any chain */
};

struct rg_journal_report {
	uint64_t segments, frames, records, policies, bytes;
	uint64_t first_index, next_index;
	uint64_t bad_places;  /* damaged places; reading goes on at the next whole frame */
	uint64_t lost_frames; /* frames that are missing because of them */
	char bad_file[64];    /* the first bad place: file, offset and why */
	uint64_t bad_offset;
	char bad_reason[256];
	uint64_t torn_bytes; /* an unfinished frame at the very end: no damage while the journal is
				written or after a crash */
	/* the chain */
	uint64_t sealed_frames;	   /* covered by seals that are right */
	uint64_t unsealed_frames;  /* behind the last seal of a chain: a batch being written */
	uint64_t unchained_frames; /* in segments without a chain */
	uint64_t keyed_seals;	   /* whose HMAC is right */
	struct rg_journal_head chain_begin; /* where the kept chain begins; index UINT64_MAX: there
					       is none */
	struct rg_journal_head chain_end;
	bool anchor_found;
};

/* Read all of it and check every frame and the chain. options may be NULL. RG_OK: nothing bad
 * (report->torn_bytes may be set). RG_ECORRUPT: report says where, err too; also when the anchor is
 * not found. Other errors as reader_open. */
int rg_journal_verify(const char *directory, const struct rg_journal_verify_options *options,
		      struct rg_journal_report *report, struct rg_error *err);

/* The end of the chain, from the last segment alone. RG_EAGAIN: nothing is sealed there. Else as
 * verify. */
int rg_journal_head(const char *directory, const struct rg_journal_verify_options *options,
		    struct rg_journal_head *head, struct rg_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What writer and reader share about segment files: names, headers, frames. journal.h has the
 * format. Thread-safety: pure, but for the file operations.
 */
#ifndef RG_JOURNAL_SEGMENT_H
#define RG_JOURNAL_SEGMENT_H

#include "journal/journal.h"

#define RG_JOURNAL_NAME_BYTES	   48
#define RG_JOURNAL_HEADER_BYTES_V1 64
#define RG_JOURNAL_FRAME_BYTES_MAX                                                                 \
	(sizeof(struct rg_journal_frame_header) + RG_JOURNAL_PAYLOAD_BYTES_MAX + 8ull)

/* The newest sequence of one worker, as POSITIONS frames hold them. */
struct rg_journal_newest {
	uint32_t node;
	uint16_t worker;
	uint16_t reserved;
	uint64_t epoch;
	uint64_t sequence;
};
static_assert(sizeof(struct rg_journal_newest) == 24,
	      "journal frames on disk have this layout: raise RG_JOURNAL_VERSION and read both");

/* "journal-00000000000000000000.rgj" */
void rg_journal_segment_name(uint64_t first_index, char name[RG_JOURNAL_NAME_BYTES]);

/* First index of the first segment at or after `from`; RG_EAGAIN when there is none. */
int rg_journal_segment_find(int directory, uint64_t from, uint64_t *first_index,
			    struct rg_error *err);
/* First index of the last segment and how many there are; RG_EAGAIN when there is none. */
int rg_journal_segment_last(int directory, uint64_t *first_index, uint64_t *count,
			    struct rg_error *err);

/* Make every segment durable: what a process wrote that was killed may not be on the disk yet, and
 * not only in the last one. Costs little where it is. */
int rg_journal_segment_sync_all(int directory, struct rg_error *err);

/* Complete a header whose node, first_index, created_ns, records_before, chain and link are set. */
void rg_journal_segment_header_finish(struct rg_journal_segment_header *header);
/* A header of this or an earlier version, of which `bytes` are there. RG_OK; RG_EAGAIN: it is cut
 * off; RG_EVERSION or RG_ECORRUPT with the reason. */
int rg_journal_segment_header_check(const struct rg_journal_segment_header *header, uint64_t bytes,
				    uint64_t first_index, struct rg_error *err);

/* The header of the segment that the reader is in; zeros when it could not be read. */
const struct rg_journal_segment_header *rg_journal_reader_header(
	const struct rg_journal_reader *reader);

/* Make a whole frame at `out` (8-aligned, room for rg_journal_frame_bytes()). Returns its bytes. */
uint64_t rg_journal_frame_make(uint8_t *out, uint32_t kind, uint64_t index, const void *payload,
			       uint32_t payload_bytes);
/* The same around a payload that lies at frame + sizeof(struct rg_journal_frame_header) already. */
uint64_t rg_journal_frame_finish(uint8_t *frame, uint32_t kind, uint64_t index,
				 uint32_t payload_bytes);
/* Is the frame at `at`, of which `bytes` are there, whole and right? NULL: yes; else why not. */
const char *rg_journal_frame_check(const uint8_t *at, uint64_t bytes, uint64_t index);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader's inside, for the checker (verify.c), which tells places that next() does not return.
 */
#ifndef RG_JOURNAL_READER_H
#define RG_JOURNAL_READER_H

#include <time.h>

#include "journal/segment.h"

struct rg_journal_reader {
	int directory;
	int fd;		  /* of the segment at `segment`; -1: not open */
	uint64_t index;	  /* of the frame at `offset` */
	uint64_t segment; /* first index of the segment */
	uint64_t offset;  /* 0: that of its first frame, which the header tells */
	bool placed;	  /* the segment is known */
	struct rg_journal_segment_header header; /* of the segment; zeros: not read */
	bool limited;
	uint64_t limit_index;
	uint8_t *buffer; /* holds buffer_bytes of the segment from buffer_offset on */
	uint64_t buffer_offset, buffer_bytes;
	struct timespec listed; /* the folder's change time when it was listed last in vain */
	char name[RG_JOURNAL_NAME_BYTES];
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which segments of a journal's folder are no longer kept, and removing them. Used by the writer,
 * whose sync thread does it; journal.h says what it promises (F).
 */
#ifndef RG_JOURNAL_RETENTION_H
#define RG_JOURNAL_RETENTION_H

#include "journal/journal.h"

struct rg_journal_removal {
	uint64_t segments, bytes; /* that are left */
	uint64_t removed_segments, removed_bytes;
	uint64_t abandoned_frames; /* removed for bytes_max although somebody needed them */
};

/* Remove what `retention` does not keep of the segments in the open folder `directory`. now_ns is
 * the time (unix) that ages are counted to. A segment whose header cannot be read has no age.
 * RG_OK, or RG_EIO: `removal` says what was done before. Thread-safety: beside readers and the
 * writer of the
 * last segment; one call at a time. */
int rg_journal_retention_apply(int directory, const struct rg_journal_retention *retention,
			       uint64_t now_ns, struct rg_journal_removal *removal,
			       struct rg_error *err);

#endif

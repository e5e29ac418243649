/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain: what proves that nothing in a journal was altered, reordered, put in or taken out.
 *
 *	segment header (its link = link 0) | frames | SEAL 1 | frames | SEAL 2 | ...
 *	└────────── batch 1 ──────────────────────┘        └ batch 2 ┘
 *
 *	link n = SHA-256(link n-1, bytes of batch n)
 *
 * A batch is what one flush writes, and its SEAL frame holds link n and, with a key,
 * HMAC-SHA256(key, link n). The header of the next segment holds the last link of the one before,
 * so the chain runs over all segments, and what retention has left still begins with a link that an
 * older copy of the head can be compared with.
 *
 * What it proves. Whoever changes a byte must make every later link anew. Without a key anybody can
 * do that who can write the files: then the proof is a head (rg_journal_head) that was kept
 * elsewhere, and covers what lies before it. With a key it needs the key. Frames cut off at the
 * very end leave a shorter, whole chain: only a head that was kept elsewhere shows that. Frames
 * behind the last seal (a write that was torn) are sealed by the next batch.
 *
 * Thread-safety: a chain belongs to one thread.
 */
#ifndef RG_JOURNAL_CHAIN_H
#define RG_JOURNAL_CHAIN_H

#include "journal/journal.h"

/* The payload of a SEAL frame. */
struct rg_journal_seal {
	uint8_t link[RG_JOURNAL_LINK_BYTES];
	uint8_t mac[RG_JOURNAL_LINK_BYTES]; /* zeros: without a key */
};
static_assert(sizeof(struct rg_journal_seal) == 64,
	      "journal frames on disk have this layout: raise RG_JOURNAL_VERSION and read both");

struct rg_journal_chain;

/* key NULL: seals have no HMAC. Errors: RG_EINVAL (length of the key), RG_ENOMEM. */
int rg_journal_chain_new(const void *key, uint32_t key_bytes, struct rg_journal_chain **chain,
			 struct rg_error *err);
void rg_journal_chain_free(struct rg_journal_chain *chain); /* NULL is allowed */

/* The last link made or accepted; zeros in the beginning. */
const uint8_t *rg_journal_chain_link(const struct rg_journal_chain *chain);

/* A segment begins with this header: the batch is its bytes so far. The link becomes the header's.
 */
void rg_journal_chain_begin(struct rg_journal_chain *chain,
			    const struct rg_journal_segment_header *header);
/* More bytes of the batch: whole frames. */
void rg_journal_chain_add(struct rg_journal_chain *chain, const void *frames, uint64_t bytes);
/* End the batch: make its seal, and begin the next one. */
void rg_journal_chain_seal(struct rg_journal_chain *chain, struct rg_journal_seal *seal);
/* End the batch with a seal that was read, and begin the next one. NULL: it is right, and *keyed
 * (may be NULL) says whether its HMAC was checked; else what is wrong. The chain goes on from the
 * seal's link either way. */
const char *rg_journal_chain_check(struct rg_journal_chain *chain,
				   const struct rg_journal_seal *seal, bool *keyed);

#endif

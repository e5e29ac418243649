/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mailbox: control announces an image, the publisher makes it current and acknowledges.
 *
 * Two halves in two files, because each file has one writer:
 *
 *	control file     struct rg_mailbox_request  "make image S current"        by control
 *	dataplane file   struct rg_mailbox_reply    "this is how far I am with S" by the publisher
 *
 * The state of one announcement S. Who takes an arrow: [c] control, [p] the publisher, [r] the
 * publisher after a restart of the data plane.
 *
 *	          [c] announce S
 *	  IDLE ------------------> ANNOUNCED <-----------------------------------.
 *	 (new files)                   |  [p] poll                               |
 *	                               v                                         |
 *	        .----------------- COPYING     image-S to active-S.tmp --------> | [r] S is not
 *	        | [p] cannot           |  [p]                                    | what was
 *	        v                      v                                         | loaded at
 *	     REFUSED <------------ VERIFYING   every byte of the copy ---------> | start: again
 *	  (text says why;  [p] bad     |  [p] good: rename to active-S           |
 *	   the old stays)              v                                         |
 *	                           SWAPPING    RCU pointer := active-S --------> |
 *	                               |  [p]                                    |
 *	                               v                                         |
 *	        .----------------- GRACE       workers may still use the old --> |
 *	        | [p] all passed       |  [p] deadline                           |
 *	        v                      v                                         |
 *	     ACTIVE <------------- STUCK       worker W is named, still waiting->|
 *	        |          [p] W passed                                          |
 *	        '----------------------------------------------------------------'
 *
 *	COPYING..STUCK --[r] S is what was loaded at start--> ACTIVE
 *	The next announcement starts again at ANNOUNCED; nothing goes back to IDLE.
 *
 * RULES.
 * (a) Sequences only grow. Control takes rg_mailbox_next_sequence(), which is above everything
 *     either file has seen. A rollback is the old policy under a new sequence. A request that is
 *     not above what the publisher has finished is ignored: repeating an announcement is harmless
 *     and announcing an older one has no effect.
 * (b) Control may announce S+1 before S is finished: the publisher finishes S, then polls S+1.
 *     Announcements in between are never seen: the newest wins.
 * (c) The reply is truthful: ACTIVE is stored after the last worker has passed a quiescent state
 *     since the swap, REFUSED only if no worker ever saw S. `active_sequence` is what workers use
 *     from SWAPPING on (0: none).
 * (d) Control dies: between writing image-S and announcing it, the file is an orphan that it
 *     removes at its next start; after announcing, the publisher goes on alone and control finds
 *     the reply when it is back. Nothing waits for control. It keeps image-S until the reply about
 *     S or a later one is final.
 * (e) The data plane dies: before the rename S is polled again; after it active-S is the newest
 *     image and is loaded at start, before any worker runs. rg_mailbox_restart() tells the reply
 *     what was loaded. The mailbox survives in the file.
 * (f) Either file is new: the request says nothing, or the reply says IDLE and the publisher polls
 *     whatever was announced last. Whichever half is absent, the other side gets RG_EAGAIN.
 *
 * Each half is a snapshot (snapshot.h): several words that are read together or not at all.
 *
 * Thread-safety: one thread of control announces, one thread of the data plane (the publisher)
 * polls and acknowledges; anybody reads. tests/models/publish.pml is this protocol in Promela.
 */
#ifndef RG_SHM_MAILBOX_H
#define RG_SHM_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/object.h"

#define RG_MAILBOX_VERSION    1
#define RG_MAILBOX_TEXT_BYTES 512

enum rg_mailbox_state {
	RG_MAILBOX_IDLE = 0,
	RG_MAILBOX_ANNOUNCED,
	RG_MAILBOX_COPYING,
	RG_MAILBOX_VERIFYING,
	RG_MAILBOX_SWAPPING,
	RG_MAILBOX_GRACE,
	RG_MAILBOX_ACTIVE,
	RG_MAILBOX_REFUSED,
	RG_MAILBOX_STUCK,
	RG_MAILBOX_STATE_COUNT
};
/* "idle", "announced", ... */
const char *rg_mailbox_state_name(enum rg_mailbox_state state);
/* ACTIVE or REFUSED: nothing more will happen with this sequence. */
bool rg_mailbox_state_final(enum rg_mailbox_state state);

/* "Make image-<sequence> current." */
struct rg_mailbox_announcement {
	uint64_t sequence; /* 0: nothing was ever announced */
	uint64_t image_bytes;
	uint64_t crc32c;       /* of the image's bytes, in the low 32 bits */
	uint64_t announced_ns; /* unix */
};

/* How far the publisher is. */
struct rg_mailbox_progress {
	uint64_t sequence;	  /* the announcement this is about; 0: none yet */
	uint64_t state;		  /* enum rg_mailbox_state */
	uint64_t active_sequence; /* what workers use now; 0: no image */
	uint64_t active_bytes;	  /* its image's bytes */
	uint64_t active_since_ns; /* unix */
	uint64_t stuck_worker;	  /* state STUCK: the worker that has not passed yet; else 0 */
	uint64_t ignored;	  /* requests that were not newer, since the reply was made */
	/* unix: when each state was entered for this sequence; 0: it was not */
	uint64_t entered_ns[RG_MAILBOX_STATE_COUNT];
	char text[RG_MAILBOX_TEXT_BYTES]; /* REFUSED, STUCK: why; else empty. NUL-terminated */
};
static_assert(sizeof(struct rg_mailbox_announcement) == 4 * 8 &&
		      sizeof(struct rg_mailbox_progress) == (7 + 9 + 64) * 8,
	      "layout of the mailbox: raise RG_MAILBOX_VERSION and RG_REGION_VERSION");

/* Control's half, in the control file. */
struct rg_mailbox_request {
	struct rg_object object; /* written once; read by every join */

	/* snapshot. control: once a publish; publisher: each poll (ms) */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t version;
	_Atomic uint64_t words[sizeof(struct rg_mailbox_announcement) / 8];
	uint64_t reserved[11];
};
/* The publisher's half, in the dataplane file. */
struct rg_mailbox_reply {
	struct rg_object object; /* written once; read by every join */

	/* snapshot. publisher: each state; control: while it waits; tools: rarely */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t version;
	_Atomic uint64_t words[sizeof(struct rg_mailbox_progress) / 8];
	uint64_t reserved[15];
};
static_assert(sizeof(struct rg_mailbox_request) == 256 &&
		      sizeof(struct rg_mailbox_reply) == 128 + 768,
	      "layout of the mailbox: raise RG_MAILBOX_VERSION and RG_REGION_VERSION");

/* The ritual of control's half. */
uint64_t rg_mailbox_request_align(void);
uint64_t rg_mailbox_request_footprint(void);
struct rg_mailbox_request *rg_mailbox_request_new(void *sh_request);
int rg_mailbox_request_join(const void *sh_request, uint64_t mapped_bytes, struct rg_error *err);
void *rg_mailbox_request_leave(struct rg_mailbox_request *request);
void rg_mailbox_request_delete(struct rg_mailbox_request *request);

/* The ritual of the publisher's half. */
uint64_t rg_mailbox_reply_align(void);
uint64_t rg_mailbox_reply_footprint(void);
struct rg_mailbox_reply *rg_mailbox_reply_new(void *sh_reply);
int rg_mailbox_reply_join(const void *sh_reply, uint64_t mapped_bytes, struct rg_error *err);
void *rg_mailbox_reply_leave(struct rg_mailbox_reply *reply);
void rg_mailbox_reply_delete(struct rg_mailbox_reply *reply);

/* Read one half; request or reply may be NULL (its file is not joined). RG_OK, or RG_EAGAIN: not
 * joined, or the writer is (or died) in the middle of writing. Any thread, any mapping. */
int rg_mailbox_read_request(const struct rg_mailbox_request *request,
			    struct rg_mailbox_announcement *announcement);
int rg_mailbox_read_reply(const struct rg_mailbox_reply *reply,
			  struct rg_mailbox_progress *progress);

/* ---- control ---- */

/* The sequence for the next image: above what was announced and what the publisher has seen or
 * uses. reply may be NULL: then pass the highest sequence control knows of (stored policies, image
 * files) as floor. */
uint64_t rg_mailbox_next_sequence(const struct rg_mailbox_request *request,
				  const struct rg_mailbox_reply *reply, uint64_t floor);
/* Make a half usable again whose writer died while announcing: its sequence stays known, the rest
 * is as if nothing had been announced. Control, once, when it takes its file over. */
void rg_mailbox_request_repair(struct rg_mailbox_request *request);
/* Announce an image file that is complete under its final name. RG_EINVAL: sequence, bytes or crc
 * out of range; RG_ECONFLICT: sequence is below the one announced last (repeating the last is
 * allowed). */
int rg_mailbox_announce(struct rg_mailbox_request *request,
			const struct rg_mailbox_announcement *announcement, struct rg_error *err);
/* What became of `sequence`. RG_OK: *progress is about it (look at state). RG_EAGAIN: the publisher
 * has not got to it, or no reply is joined. RG_ECONFLICT: the publisher is past it (a newer one was
 * taken instead). */
int rg_mailbox_result(const struct rg_mailbox_reply *reply, uint64_t sequence,
		      struct rg_mailbox_progress *progress);

/* ---- publisher ---- */

/* The publisher's own memory of its half. */
struct rg_mailbox_publisher {
	struct rg_mailbox_reply *reply;
	struct rg_mailbox_progress progress; /* what the reply says */
	uint64_t ignored_sequence; /* of the last request that was ignored: each counts once */
	uint64_t announced_ns;	   /* of what was polled last */
	bool busy;		   /* between COPYING and a final state: nothing else is polled */
};
/* Resume with a joined reply, once, before any worker runs. loaded_sequence is the image found as
 * active-<sequence> and verified (0: none), of loaded_bytes. Arrows [r] of the drawing: an
 * announcement that had not reached its end is ACTIVE now if it is the loaded one, else it will be
 * polled again; and one that was ACTIVE but is not the loaded one (its file is gone or broken) will
 * be polled again too. */
void rg_mailbox_restart(struct rg_mailbox_publisher *publisher, struct rg_mailbox_reply *reply,
			uint64_t loaded_sequence, uint64_t loaded_bytes, uint64_t now_ns);
/* Is there something to do? RG_OK: *announcement is to be copied, verified and swapped in;
 * acknowledge each step. RG_EAGAIN: no. request may be NULL. */
int rg_mailbox_poll(struct rg_mailbox_publisher *publisher,
		    const struct rg_mailbox_request *request,
		    struct rg_mailbox_announcement *announcement);
/* Tell how far `sequence` is. The steps of one sequence must follow the drawing, the first is
 * COPYING: RG_EINVAL names a wrong one. text: why, for REFUSED and STUCK; may be NULL.
 * stuck_worker: STUCK only. image_bytes: SWAPPING only. */
struct rg_mailbox_step {
	uint64_t sequence;
	enum rg_mailbox_state state;
	uint64_t image_bytes;
	uint32_t stuck_worker;
	const char *text;
	uint64_t now_ns;
};
int rg_mailbox_acknowledge(struct rg_mailbox_publisher *publisher,
			   const struct rg_mailbox_step *step, struct rg_error *err);

#endif

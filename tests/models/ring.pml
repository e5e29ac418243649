/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record ring of shm/ring.h, as implemented, with both sides killed at each step.
 *
 * What is modelled: two files with one writer each (dataplane: position, hint, cells; control:
 * cursor generation and position), variable lengths (1 or 2 cells of 4) with padding at the end of
 * the array, bursts with one commit, batches with one release, frames bound to their position, a
 * cursor of another generation at the start, the loss of control's file while the data plane runs
 * and the wait until it sees the new one, the restart of each side from its file. What is not: weak
 * memory (Spin interleaves; the atomics of ring.c are checked by TSan and by their pairs), bytes.
 *
 * Checked: the consumer never reads a cell that was not written or was overwritten; records are
 * journaled in order and without a gap; all that was committed is journaled in the end; whatever
 * did not fit is counted; what comes again is at most a batch for each death of control; everything
 * is drained (liveness).
 *
 * Mutants (-D...), each of which must fail: BUG_COMMIT_FIRST, BUG_RELEASE_FIRST, BUG_NO_HINT,
 * BUG_NO_WAIT, BUG_NO_LOOKING, BUG_GENERATION, BUG_RESUME_RESERVED, BUG_ONE_TOO_MANY,
 * BUG_UNCOUNTED_LOSS, BUG_PADDING_UNPUBLISHED, BUG_NO_RESUME; BUG_NEVER_JOINED fails the liveness
 * property alone.
 */
#define CELLS	  4 /* capacity */
#define BATCH	  2
#ifndef DECISIONS
#define DECISIONS 4 /* the producer makes, over all its lives */
#endif
#ifndef PRODUCER_DEATHS
#define PRODUCER_DEATHS 1
#endif
#ifndef CONSUMER_DEATHS
#define CONSUMER_DEATHS 1
#endif
#define GENERATION 2 /* of the data plane's file */
#define PADDING	   99

/* the dataplane file: the producer writes */
byte position, hint;
byte cell[CELLS];  /* number of the message that a cell holds, or PADDING */
byte check[CELLS]; /* position for which a frame's header was written */
byte length[CELLS];

/* control's files: one that may be lost, and its successor. The consumer writes */
byte cursor_generation[2], cursor_position[2];
byte file;	/* control's present file */
byte attached;	/* the one that the worker looks at; the data plane's main thread writes */
byte seen;	/* no look at an older one can follow (control's epoch in the dataplane file) */
bool looking;	/* the worker is looking at a cursor */

/* ghosts: what clients and the journal know */
byte committed;		   /* messages 1..committed were committed */
byte journaled;		   /* 1..journaled are in the journal */
byte lost, refused;	   /* counted by the ring; seen by clients */
byte again, batch_deaths;  /* messages that came again; deaths of control, each allows a batch */
byte producer_deaths, consumer_deaths, files_lost;
bool produced, drained;

inline may_die_producer()
{
	if
	:: producer_deaths < PRODUCER_DEATHS -> producer_deaths++; looking = false; goto start
	:: skip
	fi
}

proctype producer()
{
	byte reserved, consumed, next, bytes, rest, pad, at, learned, look;
	byte decisions = 0; /* outlives the process: the clients' */

start:
	skip;
	d_step {
#ifdef BUG_RESUME_RESERVED
		position = reserved; /* as if what was reserved were committed */
#endif
		reserved = position; consumed = hint; next = committed + 1
	};
	do
	:: decisions < DECISIONS ->
		/* reserve */
		if :: bytes = 1 :: bytes = 2 fi;
		d_step {
			decisions++;
			rest = CELLS - reserved % CELLS;
			pad = (bytes > rest -> rest : 0);
		}
		if
		:: CELLS - (reserved - consumed) < pad + bytes ->
			/* seems full: look at the cursor */
			looking = true;
			look = attached;
			if
#ifdef BUG_GENERATION
			:: true ->
#else
			:: cursor_generation[look] == GENERATION ->
#endif
				learned = cursor_position[look];
				if
				:: learned >= consumed && learned <= position ->
					consumed = learned;
#ifndef BUG_NO_HINT
					hint = learned
#endif
				:: else -> skip /* nonsense: ignored */
				fi
#ifndef BUG_GENERATION
			:: else -> skip
#endif
			fi;
			looking = false
		:: else -> skip
		fi;
		if
#ifdef BUG_ONE_TOO_MANY
		:: CELLS + 1 - (reserved - consumed) < pad + bytes ->
#else
		:: CELLS - (reserved - consumed) < pad + bytes ->
#endif
			d_step {
				refused++;
#ifndef BUG_UNCOUNTED_LOSS
				lost++
#endif
			}
		:: else ->
			may_die_producer();
			if
			:: pad > 0 ->
				d_step {
					at = reserved % CELLS;
					cell[at] = PADDING; length[at] = pad;
					check[at] = reserved;
#ifdef BUG_PADDING_UNPUBLISHED
					check[at] = 255;
#endif
					reserved = reserved + pad
				}
			:: else -> skip
			fi;
#ifdef BUG_COMMIT_FIRST
			position = reserved + bytes;
#endif
			/* the header, then the second cell if there is one: two steps that a death
			 * may part */
			d_step {
				at = reserved % CELLS;
				cell[at] = next; length[at] = bytes; check[at] = reserved
			}
			may_die_producer();
			if
			:: bytes == 2 -> cell[(reserved + 1) % CELLS] = next
			:: else -> skip
			fi;
			d_step { reserved = reserved + bytes; next++ };
			/* commit now, or with the next one of the burst */
			if
			:: true ->
				may_die_producer();
				/* one store */
				d_step { position = reserved; committed = next - 1 };
				may_die_producer()
			:: decisions < DECISIONS -> skip
			fi
		fi
	:: else -> break
	od;
	skip;
	d_step {
		if
		:: position != reserved -> position = reserved; committed = next - 1
		:: else -> skip
		fi
	};
	produced = true
}

/* The data plane's main thread joins control's new file. */
proctype joiner()
{
	do
#ifndef BUG_NEVER_JOINED
	:: attached != file ->
		attached = file;
#ifndef BUG_NO_LOOKING
		!looking;
#endif
		seen = attached
#endif
	:: drained -> break
	od
}

inline may_die_consumer()
{
	if
	:: consumer_deaths < CONSUMER_DEATHS -> consumer_deaths++; goto start
	:: skip
	fi
}

proctype consumer()
{
	byte at, limit, batch, value, cells;

start:
	skip;
	/* Control's file may be lost while it is dead. */
	if
	:: consumer_deaths > 0 && files_lost == 0 ->
		d_step { files_lost++; file = 1; cursor_generation[1] = 0 }
	:: skip
	fi;
	if
#ifdef BUG_NO_RESUME
	:: cursor_generation[file] == GENERATION -> at = position
#else
	:: cursor_generation[file] == GENERATION -> at = cursor_position[file]
#endif
	:: else ->
#ifndef BUG_NO_WAIT
		seen == file; /* a new cursor waits until nobody looks at the one before it */
#endif
		at = hint;
		may_die_consumer();
		cursor_position[file] = at;
		may_die_consumer();
		cursor_generation[file] = GENERATION
	fi;
	d_step { limit = at; batch = 0; cells = 0 };
	do
	:: atomic { at == limit && position != at -> limit = position };
		assert(limit >= at && limit - at <= CELLS)
	:: at != limit && batch < BATCH ->
		/* peek */
		d_step {
			assert(check[at % CELLS] == at); /* written, not overwritten */
			value = cell[at % CELLS];
			cells = length[at % CELLS]
		};
		assert(cells > 0 && cells <= limit - at);
		if
		:: value == PADDING -> at = at + cells
		:: else ->
#ifdef BUG_RELEASE_FIRST
			cursor_position[file] = at + cells;
			may_die_consumer();
#endif
			assert(cells == 1 || cell[(at + 1) % CELLS] == value);
			/* into the journal, which knows records by their key */
			d_step {
				assert(value <= journaled + 1); /* no gap */
				if
				:: value == journaled + 1 -> journaled = value
				:: else -> again++
				fi;
				at = at + cells; batch++
			};
			may_die_consumer()
		fi
	:: batch > 0 && (batch == BATCH || at == limit) ->
		/* release the batch: one store */
		cursor_position[file] = at;
		batch = 0;
		may_die_consumer()
	:: produced && at == limit && at == position && batch == 0 -> break
	od;
	assert(journaled == committed);
	assert(lost == refused);
	assert(cursor_position[file] <= at);
	/* What came again: a batch for each death of control, and whatever followed the hint if its
	 * file was lost. */
	assert(again <= BATCH * consumer_deaths || files_lost > 0);
	drained = true
}

ltl progress { <> drained }

init {
	atomic {
		/* a cursor of a former file of the data plane, at a position that means nothing now
		 */
		cursor_generation[0] = GENERATION - 1;
		cursor_position[0] = 2;
		byte i = 0;
		do
		:: i < CELLS -> check[i] = 254; i++
		:: else -> break
		od;
		run producer(); run consumer(); run joiner()
	}
}

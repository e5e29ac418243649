/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing an image: shm/mailbox.h and shm/image_file.h as implemented, with control and the data
 * plane killed at each step.
 *
 * What is modelled: the request (control's file) and the reply (the data plane's), written word by
 * word under a version; image-S written under a temporary name and renamed; a control that changes
 * image-S after announcing it; the copy active-S.tmp, its check (the announced CRC and the
 * verifier), the rename to active-S; the swap, QSBR grace periods with a deadline (STUCK),
 * unmapping and removing the old image; the restart of either side from its file and from active-S;
 * workers that die with the data plane. What is not: weak memory, bytes, more than two workers (the
 * protocol treats each alike).
 *
 * Checked: no worker ever uses an image that was not verified or is unmapped; ACTIVE is said only
 * when every worker uses S or nothing; REFUSED only if S was bad, and no worker ever used it; the
 * image in use never goes back behind one that was said to be ACTIVE, also over restarts; every
 * announcement that is the newest comes to an end (liveness).
 *
 * Mutants (-D...), each of which must fail: BUG_NO_GRACE, BUG_ACK_EARLY, BUG_QUIESCENT_EARLY,
 * BUG_VERIFY_ORIGINAL, BUG_LOAD_UNVERIFIED, BUG_REMOVE_FIRST, BUG_TORN_REQUEST, BUG_TORN_REFUSED,
 * BUG_RESTART_TRUSTS_REPLY, BUG_SEQUENCE_AGAIN, BUG_STUCK_GIVES_UP; BUG_NOT_POLLED_AGAIN fails the
 * liveness property.
 */
#ifndef IMAGES
#define IMAGES 2 /* control announces */
#endif
#define SEQUENCES 5 /* 1..4: a death of control may use one up */
#define WORKERS	  2
#ifndef CONTROL_DEATHS
#define CONTROL_DEATHS 1
#endif
#ifndef DATAPLANE_DEATHS
#define DATAPLANE_DEATHS 1
#endif

mtype = { NONE, GOOD, BAD };
mtype = { IDLE, ANNOUNCED, COPYING, VERIFYING, SWAPPING, GRACE, ACTIVE, REFUSED, STUCK };

/* files */
mtype image[SEQUENCES] = NONE;	/* image-S, control writes */
mtype installed[SEQUENCES] = NONE; /* active-S, the publisher writes */

/* the mailbox; tag stands for the announced length and CRC, and is S when whole */
bool request_odd, reply_odd;
byte request_sequence, request_tag;	 /* control writes */
byte reply_sequence; mtype reply_state = IDLE; byte reply_active; /* the publisher writes */

/* the data plane's memory: gone when it dies */
bool alive;
byte current;		/* what a worker takes at the start of a burst; 0: no image */
byte generation = 1;	/* of grace periods */
byte quiescent[WORKERS]; /* the last generation each worker has passed */
byte holds[WORKERS];	/* what it uses now */
bool mapped[SEQUENCES];
bool verified[SEQUENCES];

/* ghosts */
byte acknowledged;		/* the newest image that was said to be ACTIVE */
bool was_bad[SEQUENCES];	/* control ever wrote a bad image-S */
bool used[SEQUENCES], announced[SEQUENCES];
byte control_deaths, dataplane_deaths, announced_last;
bool control_done, finished;

/* ---- control ---- */

inline may_die_control()
{
	if
	:: control_deaths < CONTROL_DEATHS -> control_deaths++; goto start
	:: skip
	fi
}

inline maximum(INTO, VALUE)
{
	if
	:: VALUE > INTO -> INTO = VALUE
	:: else -> skip
	fi
}

proctype control()
{
	byte sequence, pushed = 0; /* pushed outlives the process: the operator's */

start:
	skip;
	/* takes its file over: rg_mailbox_request_repair() */
	if
	:: request_odd -> request_tag = 0; request_odd = false
	:: else -> skip
	fi;
	do
	:: pushed < IMAGES ->
		/* rg_mailbox_next_sequence() */
		d_step {
			sequence = request_sequence;
#ifndef BUG_SEQUENCE_AGAIN
			maximum(sequence, reply_sequence);
			maximum(sequence, reply_active);
			sequence++
#else
			sequence = (sequence == 0 -> 1 : sequence)
#endif
		};
		may_die_control();
		assert(!announced[sequence]); /* what was announced is never written again */
		/* the file appears whole, good or bad */
		if
		:: image[sequence] = GOOD
		:: d_step { image[sequence] = BAD; was_bad[sequence] = true }
		fi;
		may_die_control();
		request_odd = true;
		d_step { request_sequence = sequence; announced[sequence] = true };
		may_die_control();
		request_tag = sequence;
		d_step { request_odd = false; pushed++; announced_last = sequence };
		may_die_control();
		/* waits for the end, or pushes the next one over it */
		if
		:: reply_sequence >= sequence && !reply_odd &&
		   (reply_state == ACTIVE || reply_state == REFUSED) -> skip
		:: skip
		fi
	:: pushed > 0 && image[sequence] == GOOD && pushed == 1 ->
		/* hostile: what was announced is changed under the publisher */
		d_step { image[sequence] = BAD; was_bad[sequence] = true }
	:: pushed == IMAGES -> break
	od;
	control_done = true
}

/* ---- workers ---- */

proctype worker(byte id)
{
	byte seen;

	do
	:: atomic { alive && current != 0 -> holds[id] = current };
#ifdef BUG_QUIESCENT_EARLY
		if
		:: alive -> quiescent[id] = generation
		:: else -> skip
		fi;
#endif
		d_step {
			if
			:: alive && holds[id] != 0 ->
				assert(verified[holds[id]] && mapped[holds[id]]);
				used[holds[id]] = true
			:: else -> skip
			fi
		};
		d_step {
			if
			:: alive && holds[id] != 0 -> assert(mapped[holds[id]]) /* the end of the burst */
			:: else -> skip
			fi;
			holds[id] = 0
		};
#ifndef BUG_QUIESCENT_EARLY
		d_step {
			if
			:: alive -> quiescent[id] = generation
			:: else -> skip
			fi
		}
#endif
	:: atomic { alive && current == 0 && quiescent[id] != generation -> quiescent[id] = generation }
	:: finished -> break
	od
}

/* ---- the publisher ---- */

inline may_die_dataplane()
{
	if
	:: dataplane_deaths < DATAPLANE_DEATHS ->
		d_step {
			dataplane_deaths++; alive = false; current = 0;
			holds[0] = 0; holds[1] = 0; quiescent[0] = 0; quiescent[1] = 0;
			i = 0;
			do
			:: i < SEQUENCES -> mapped[i] = false; verified[i] = false; i++
			:: else -> break
			od;
			i = 0
		};
		goto start
	:: skip
	fi
}

/* The reply word by word, as rg_snapshot_write() stores it. */
inline acknowledge(ABOUT, STATE, NOW)
{
	reply_odd = true;
	may_die_dataplane();
	reply_sequence = ABOUT;
	may_die_dataplane();
	reply_state = STATE;
	d_step { reply_active = NOW; reply_odd = false };
	may_die_dataplane()
}

proctype publisher()
{
	byte i, s, tag, old, loaded, retired;
	mtype copy;
	bool torn;

start:
	skip;
	/* the newest active-S that verifies */
	d_step {
		loaded = 0; i = 1; old = 0; s = 0; tag = 0; copy = NONE;
		do
		:: i < SEQUENCES ->
			if
#ifdef BUG_LOAD_UNVERIFIED
			:: installed[i] != NONE -> loaded = i
#else
			:: installed[i] == GOOD -> loaded = i
#endif
			:: else -> skip
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		if
		:: loaded != 0 -> mapped[loaded] = true; verified[loaded] = (installed[loaded] == GOOD)
		:: else -> skip
		fi;
		current = loaded;
		assert(current >= acknowledged) /* never back behind what was promised */
	};
	/* rg_mailbox_restart() */
	d_step {
		torn = reply_odd;
#ifndef BUG_TORN_REFUSED
		if
		:: torn && reply_state == REFUSED -> reply_state = ANNOUNCED
		:: else -> skip
		fi;
#endif
		reply_active = loaded;
#ifdef BUG_RESTART_TRUSTS_REPLY
		if
		:: reply_sequence > loaded && reply_state != IDLE && reply_state != REFUSED ->
			reply_state = ACTIVE
		:: else -> skip
		fi;
#else
		if
		:: loaded != 0 && reply_sequence <= loaded -> reply_sequence = loaded; reply_state = ACTIVE
		:: reply_sequence > loaded && reply_state != REFUSED && reply_state != IDLE ->
			reply_state = ANNOUNCED
		:: else -> skip
		fi;
#endif
		reply_odd = false;
		if
		:: reply_state == ACTIVE ->
			assert(reply_sequence == current);
			acknowledged = reply_sequence
		:: reply_state == REFUSED -> assert(was_bad[reply_sequence])
		:: else -> skip
		fi
	};
	alive = true; /* workers begin */
	may_die_dataplane();
	do
	:: atomic {
#ifndef BUG_TORN_REQUEST
		!request_odd &&
#endif
		request_sequence != 0 && request_tag != 0 && request_sequence >= reply_active &&
		(request_sequence > reply_sequence ||
#ifdef BUG_NOT_POLLED_AGAIN
		 false) ->
#else
		 (request_sequence == reply_sequence && reply_state != ACTIVE && reply_state != REFUSED)) ->
#endif
		s = request_sequence; tag = request_tag };
		acknowledge(s, COPYING, current);
#ifdef BUG_VERIFY_ORIGINAL
		/* of the file that control can still change */
		verified[s] = (image[s] == GOOD && tag == s);
		may_die_dataplane();
		copy = image[s];
		acknowledge(s, VERIFYING, current);
		if
		:: verified[s] -> skip
		:: else -> goto refuse
		fi;
		verified[s] = (copy == GOOD);
#else
		copy = image[s]; /* from here on nobody else can write it */
#ifdef BUG_LOAD_UNVERIFIED
		installed[s] = copy; /* renamed before it is verified, and believed at the next start */
#endif
		acknowledge(s, VERIFYING, current);
		if
		:: copy == GOOD && tag == s -> verified[s] = true
		:: else -> goto refuse
		fi;
#endif
#ifdef BUG_REMOVE_FIRST
		installed[current] = NONE;
#endif
		may_die_dataplane();
		installed[s] = GOOD; /* rename */
		mapped[s] = true;
		may_die_dataplane();
		old = current;
		acknowledge(s, SWAPPING, s);
		current = s;
		assert(current >= acknowledged);
		may_die_dataplane();
		acknowledge(s, GRACE, s);
#ifdef BUG_ACK_EARLY
		goto say_active;
wait:
#endif
#ifndef BUG_NO_GRACE
		generation++;
		i = 0;
		do
		:: i < WORKERS && quiescent[i] >= generation -> i++
		:: i < WORKERS && reply_state == GRACE ->
			/* the deadline: named, and waited for all the same */
			acknowledge(s, STUCK, s);
#ifdef BUG_STUCK_GIVES_UP
			break
#endif
		:: i == WORKERS -> break
		od;
#endif
#ifdef BUG_STUCK_GIVES_UP
		if
		:: reply_state == STUCK -> goto next
		:: else -> skip
		fi;
#endif
#ifndef BUG_ACK_EARLY
say_active:
#endif
		mapped[old] = false;
#ifdef BUG_ACK_EARLY
		goto next;
say_active:
#endif
		reply_odd = true;
		may_die_dataplane();
		d_step {
			reply_sequence = s; reply_state = ACTIVE; reply_active = s; reply_odd = false;
			assert(holds[0] == 0 || holds[0] == s);
			assert(holds[1] == 0 || holds[1] == s);
			assert(current == s);
			acknowledged = s
		};
		may_die_dataplane();
		/* older copies go only now */
		if
		:: old != 0 -> installed[old] = NONE
		:: else -> skip
		fi;
#ifdef BUG_ACK_EARLY
		goto wait;
#endif
		goto next;
refuse:
		reply_odd = true;
		may_die_dataplane();
		d_step {
			verified[s] = false;
			reply_sequence = s; reply_state = REFUSED; reply_active = current; reply_odd = false;
			assert(was_bad[s]);
			assert(!used[s])
		};
		may_die_dataplane();
next:
		skip
	:: control_done && !request_odd && reply_sequence >= announced_last &&
	   (reply_state == ACTIVE || reply_state == REFUSED) -> break
	od;
	finished = true
}

ltl progress { <> finished }

init { atomic { run control(); run publisher(); run worker(0); run worker(1) } }

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe points of riskgate's programs (USDT, provider "riskgate"), and what each of them hands
 * over. This is the one list: bpf/ attaches to what is here, docs/probes.md explains it to people.
 *
 *	bursts	 a worker	a batch of bursts: what each cost, stage by stage
 *	publish	 both		a step of a policy's publication has been reached
 *	io	 control	a write, a sync or a transaction has ended
 *
 * COST. A point is a 1-byte nop behind a semaphore: a 16-bit number that the kernel raises in the
 * program's memory while somebody is attached. Off, a point costs the load of that number and a
 * branch that is not taken, and nothing is computed for it. The points of a worker are passed once a
 * burst and once a millisecond, never once a request.
 *
 * On, a hit is a trap into the kernel, about 0.9 us, which no burst may be charged with. So a worker
 * collects bursts in memory and hits the point at its next housekeeping (1 ms), or when
 * RG_PROBE_BURSTS are together, or the policy is another one: every burst is seen, and each pays a
 * small part of a trap. What the processor does faster than a BPF program, the worker does while it
 * collects: it finds the bucket of each time in the probe's histograms, and sums and maxima.
 *
 * ONE ARGUMENT, ONE REGISTER. Each point hands over the address of one of the structs below, always
 * in the register of a function's first argument: an attached program needs nothing of the notes'
 * argument language (bpftrace: arg0). The structs are read by BPF programs with the very declarations
 * below; they hold fixed-width numbers only, and programs and probes of one build belong together.
 *
 * WHAT IS HANDED OVER IS COPIED at the hit; the memory may be used again at once.
 *
 * Thread-safety: any thread may pass any point.
 */
#ifndef RG_SHM_PROBES_H
#define RG_SHM_PROBES_H

#include <stdint.h>

/* ---- bursts ---- */

#define RG_PROBE_BURSTS 256 /* in a batch: more than most workers finish in 1 ms */

/* A worker's states (shm/worker.h) from RX on: a burst is not idle. Then the sum of them. */
enum rg_stage {
	RG_STAGE_RX = 0,
	RG_STAGE_DECODE,
	RG_STAGE_FEATURE,
	RG_STAGE_EVALUATE,
	RG_STAGE_RECORD,
	RG_STAGE_TX,
	RG_STAGE_TOTAL,
	RG_STAGE_COUNT
};

/* The request of a burst whose evaluation took longest. Those that are decided together, lane by
 * lane, have one time: then it is the first of them. */
struct rg_probe_slowest {
	uint64_t request_id;
	uint32_t evaluate_ns;
	uint32_t
		together; /* requests that share this time; 1: it is its own; 0: none was evaluated */
};

/* One burst that brought packets. */
struct rg_probe_burst {
	uint64_t receive_ns; /* unix, as in its records: finds them in the journal */
	uint64_t request_id; /* of its first request; 0: it had none */
	uint64_t ended_ns;   /* on the clock of rg_probe_batch.now_ns */
	struct rg_probe_slowest slowest;
	uint32_t stage_ns[RG_STAGE_TOTAL];
	uint32_t total_ns;
	uint16_t packets, requests;
};
_Static_assert(sizeof(struct rg_probe_burst) == 72, "all of it is written for each burst");

/* Each stage of all bursts of a batch. */
struct rg_probe_stage {
	uint64_t sum_ns, max_ns;
};

/* Bursts under one policy, together: all that the probe "stages" reads. */
struct rg_probe_batch {
	uint64_t now_ns;	  /* at the hit, since the first of them ended */
	uint64_t policy_sequence; /* 0: no policy */
	uint32_t worker;
	uint32_t count; /* of bursts, 1..RG_PROBE_BURSTS */
	uint32_t packets, requests;
	struct rg_probe_stage stages[RG_STAGE_COUNT];
	/* of each burst: rg_probe_histogram_bucket() of each stage */
	uint16_t buckets[RG_PROBE_BURSTS][RG_STAGE_COUNT + 1];
};

struct rg_probe_bursts {
	struct rg_probe_batch all;
	struct rg_probe_burst each[RG_PROBE_BURSTS];
};

/* ---- publish ---- */

/* In the order they are reached. One that took known time before it was reported says how long. */
enum rg_publish_step {
	RG_PUBLISH_TAKEN = 0, /* control: its turn has come, it is being built */
	RG_PUBLISH_LOADED,    /* control: bundle read and checked */
	RG_PUBLISH_COMPILED,  /* control */
	RG_PUBLISH_CHECKED,   /* control: its own image verified */
	RG_PUBLISH_WRITTEN,   /* control: the image is a file in the region */
	RG_PUBLISH_ANNOUNCED, /* control: journaled, and in the mailbox */
	RG_PUBLISH_COPYING,   /* data plane: the publisher has begun to copy it */
	RG_PUBLISH_VERIFYING, /* data plane */
	RG_PUBLISH_SWAPPING,  /* data plane: verified; the pointer is about to change */
	RG_PUBLISH_GRACE,     /* data plane: new bursts use it */
	RG_PUBLISH_STUCK,     /* data plane: a worker is late; may be skipped */
	RG_PUBLISH_ACTIVE,    /* data plane: no burst uses the one before */
	RG_PUBLISH_SETTLED,   /* control: noted in the store and answered */
	RG_PUBLISH_REFUSED,   /* either side: the end */
	RG_PUBLISH_STEP_COUNT
};

struct rg_probe_publish {
	uint64_t sequence;
	uint64_t duration_ns; /* 0: it is an instant */
	uint32_t step;	      /* enum rg_publish_step */
	uint32_t reserved;
};

/* ---- io ---- */

enum rg_io_op {
	RG_IO_WRITE = 0, /* of staged frames into the open segment */
	RG_IO_SYNC,	 /* fdatasync of a segment */
	RG_IO_BATCH,	 /* of a sink: from the first frame read to the commit's answer */
	RG_IO_COMMIT,	 /* of a sink: its round trip alone */
	RG_IO_OP_COUNT
};

#define RG_IO_NAME_BYTES 16

struct rg_probe_io {
	uint64_t duration_ns;
	uint64_t amount; /* bytes of a write, records of a batch or commit; 0 of a sync */
	uint32_t op;	 /* enum rg_io_op */
	uint32_t failed; /* 1: with an error */
	char name[RG_IO_NAME_BYTES]; /* "journal", or the sink's */
};

/* ---- the points: not for BPF programs ---- */

#ifndef __bpf__
#include <stdbool.h>

/* Raised by the kernel for each attached probe; the section is named by sdt.h's notes. */
extern unsigned short riskgate_bursts_semaphore __attribute__((visibility("hidden")));
extern unsigned short riskgate_publish_semaphore __attribute__((visibility("hidden")));
extern unsigned short riskgate_io_semaphore __attribute__((visibility("hidden")));

/* Is anybody attached? Relaxed: who attaches does not expect to see what is under way. */
#define RG_PROBE_WANTED(name)                                                                      \
	__builtin_expect(__atomic_load_n(&riskgate_##name##_semaphore, __ATOMIC_RELAXED) != 0, 0)

/* Hit the point. Each is one function, so that each is one place to attach to. */
void rg_probe_hit_bursts(const struct rg_probe_bursts *bursts);
void rg_probe_hit_publish(uint64_t sequence, enum rg_publish_step step, uint64_t duration_ns);
void rg_probe_hit_io(enum rg_io_op op, const char *name, uint64_t began_ns, uint64_t amount,
		     bool failed);
/* CLOCK_MONOTONIC */
uint64_t rg_probe_now_ns(void);

/* Policy `sequence` has reached `step`, which took duration_ns, or 0. */
static inline void rg_probe_publish(uint64_t sequence, enum rg_publish_step step,
				    uint64_t duration_ns)
{
	if (RG_PROBE_WANTED(publish))
		rg_probe_hit_publish(sequence, step, duration_ns);
}

/* An io begins. Returns what rg_probe_io_end() needs: 0 when nobody is attached. */
static inline uint64_t rg_probe_io_begin(void)
{
	return RG_PROBE_WANTED(io) ? rg_probe_now_ns() : 0;
}

/* It has ended; name: "journal", or the sink's, cut to RG_IO_NAME_BYTES - 1. errno is kept. */
static inline void rg_probe_io_end(uint64_t began_ns, enum rg_io_op op, const char *name,
				   uint64_t amount, bool failed)
{
	if (__builtin_expect(began_ns != 0, 0))
		rg_probe_hit_io(op, name, began_ns, amount, failed);
}
#endif
#endif

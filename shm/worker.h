/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker tells of itself, and what the publisher does.
 *
 *	           worker thread begins         first burst loop
 *	  STOPPED -----------------> STARTING -----------------> RUNNING
 *	     ^                           |                          |  stop asked for (SIGTERM)
 *	     |                           |  cannot start            v
 *	     '---------------------------+---------------------- STOPPING
 *
 * All arrows are taken by the worker itself. A worker that was killed stays in the state it had;
 * whoever reads it compares the region's process (rg_region_running) and the heartbeat.
 *
 * Each tick of the time stamp counter is charged to exactly one state of the complete set below,
 * always: the sum of ticks grows as fast as time.
 *
 * ORDERING. All relaxed, except `state`, stored with release so that whoever acquires RUNNING sees
 * the identity written before. The words of the identity change only in STARTING.
 *
 * Thread-safety: one writer (the worker, from its loop's housekeeping); any number of readers.
 */
#ifndef RG_SHM_WORKER_H
#define RG_SHM_WORKER_H

#include <stdint.h>

#include "shm/object.h"

#define RG_WORKER_VERSION    1
#define RG_PUBLISHER_VERSION 1
#define RG_WORKERS_MAX	     64 /* a uint16_t in records; as many cursors as the control file has */

enum rg_worker_state {
	RG_WORKER_STOPPED = 0,
	RG_WORKER_STARTING,
	RG_WORKER_RUNNING,
	RG_WORKER_STOPPING,
	RG_WORKER_STATE_COUNT
};
/* "stopped", ... */
const char *rg_worker_state_name(uint32_t state);

/* What a tick is spent on. */
enum rg_worker_tick {
	RG_TICK_IDLE = 0, /* polls that found nothing, sleeps, housekeeping */
	RG_TICK_RX,
	RG_TICK_DECODE,
	RG_TICK_FEATURE,
	RG_TICK_EVALUATE,
	RG_TICK_RECORD,
	RG_TICK_TX,
	RG_TICK_COUNT
};
/* "idle", ... */
const char *rg_worker_tick_name(uint32_t tick);

#define RG_WORKER_QUEUES_BYTES 128

/* Who the worker is. */
struct rg_worker_identity {
	uint64_t core;	    /* lcore id */
	uint64_t cpu;	    /* the CPU it is bound to; UINT64_MAX: none */
	uint64_t thread_id; /* gettid(2) in the data plane's pid namespace */
	uint64_t tsc_hz;
	uint64_t started_ns; /* unix */
	/* port and queue, for people: "net_memif0:0 net_memif1:0" */
	char queues[RG_WORKER_QUEUES_BYTES];
};

/* What changes. */
struct rg_worker_progress {
	uint64_t heartbeat_ns;	     /* unix, of the last housekeeping */
	uint64_t loops;		     /* burst loops */
	uint64_t loops_idle;	     /* of them without a packet */
	uint64_t longest_loop_ticks; /* since it started */
	uint64_t policy_sequence;    /* in use; 0: none */
	uint64_t ticks[RG_TICK_COUNT];
};

struct rg_worker {
	/* written once; read by every join. parameter: index of the worker */
	struct rg_object object;

	/* enum rg_worker_state. worker: rarely; control, tools: when asked */
	_Alignas(RG_SHM_LINE) _Atomic uint32_t state;
	uint32_t reserved0;
	_Atomic uint64_t identity_version; /* snapshot. worker: at start; tools: when asked */
	_Atomic uint64_t identity[sizeof(struct rg_worker_identity) / 8];
	uint64_t reserved1[9];

	/* snapshot. worker: each housekeeping (ms); publisher, tools: when asked */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t progress_version;
	_Atomic uint64_t progress[sizeof(struct rg_worker_progress) / 8];
	uint64_t reserved2[3];
};
static_assert(sizeof(struct rg_worker_identity) == 21 * 8 &&
		      sizeof(struct rg_worker_progress) == 12 * 8 &&
		      offsetof(struct rg_worker, progress_version) == 384 &&
		      sizeof(struct rg_worker) == 512,
	      "layout of the worker's status: raise RG_WORKER_VERSION and RG_REGION_VERSION");

uint64_t rg_worker_align(void);
/* 0: index is not below RG_WORKERS_MAX. */
uint64_t rg_worker_footprint(uint32_t index);
struct rg_worker *rg_worker_new(void *sh_worker, uint32_t index);
int rg_worker_join(const void *sh_worker, uint64_t mapped_bytes, struct rg_error *err);
void *rg_worker_leave(struct rg_worker *worker);
void rg_worker_delete(struct rg_worker *worker);

/* The worker only. */
void rg_worker_set_identity(struct rg_worker *worker, const struct rg_worker_identity *identity);
void rg_worker_set_state(struct rg_worker *worker, enum rg_worker_state state);
void rg_worker_set_progress(struct rg_worker *worker, const struct rg_worker_progress *progress);
/* Anybody. The reads return RG_OK, or RG_EAGAIN: being written just now (or its writer died in it).
 */
uint32_t rg_worker_state(const struct rg_worker *worker);
int rg_worker_read_identity(const struct rg_worker *worker, struct rg_worker_identity *identity);
int rg_worker_read_progress(const struct rg_worker *worker, struct rg_worker_progress *progress);

/* ---- publisher ---- */

#define RG_PUBLISHER_LABEL_BYTES 128

struct rg_publisher_status {
	uint64_t heartbeat_ns; /* unix, of the last poll of the mailbox */
	uint64_t thread_id;
	uint64_t active_sequence; /* 0: no image */
	uint64_t active_since_ns; /* unix */
	uint64_t active_bytes;
	uint64_t grace_longest_ns;
	uint64_t waiting_for;	 /* bit w: worker w has not passed the running grace period; workers
				    above 63 are not shown */
	uint64_t control_joined; /* 1: control's file is joined */
	char bundle[RG_PUBLISHER_LABEL_BYTES]; /* of the active image */
	char revision[RG_PUBLISHER_LABEL_BYTES];
};
struct rg_publisher {
	struct rg_object object; /* written once; read by every join */

	/* snapshot. publisher: each poll (ms); control, tools: when asked */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t version;
	_Atomic uint64_t words[sizeof(struct rg_publisher_status) / 8];
	uint64_t reserved[7];
};
static_assert(sizeof(struct rg_publisher_status) == 40 * 8 && sizeof(struct rg_publisher) == 512,
	      "layout of the publisher's status: raise RG_PUBLISHER_VERSION and RG_REGION_VERSION");

uint64_t rg_publisher_align(void);
uint64_t rg_publisher_footprint(void);
struct rg_publisher *rg_publisher_new(void *sh_publisher);
int rg_publisher_join(const void *sh_publisher, uint64_t mapped_bytes, struct rg_error *err);
void *rg_publisher_leave(struct rg_publisher *publisher);
void rg_publisher_delete(struct rg_publisher *publisher);

/* The publisher only. */
void rg_publisher_write(struct rg_publisher *publisher, const struct rg_publisher_status *status);
/* Anybody. RG_OK, or RG_EAGAIN as above. Labels are terminated. */
int rg_publisher_read(const struct rg_publisher *publisher, struct rg_publisher_status *status);

#endif

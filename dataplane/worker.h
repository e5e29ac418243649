/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: the thread that owns NIC queues and one core, and decides.
 *
 * One turn of its loop, for each of its queues:
 *
 *	rx burst ─► decode ───────► evaluate ───► record ─────────► encode ─────► tx burst
 *	            parse frames,   policy, all   into the ring,    answers over
 *	            walk messages   of a template one commit        the requests
 *	                            together
 *	            (answer ARP, ND, echo; count and drop the rest)
 *
 * The stages run one after another over the whole burst, so that each costs one reading of the time
 * stamp counter a burst and its code and data stay in cache. Requests stay where the NIC put them
 * until they are recorded; only then are the answers written over them. Several requests in a
 * datagram give one datagram with as many answers, in their order.
 *
 * RULES (docs/architecture.md, hot path). After start a worker allocates nothing, locks nothing,
 * and calls the kernel only to sleep (dataplane.idle_sleep_us) and, once a publish, to wake the
 * thread that waits for the grace period. It follows no pointer of a peer's: what it reads of
 * others is the policy (verified before it became current) and control's ring cursor (checked on
 * each read).
 *
 * ORDER. A decision is committed to the record ring before its answer is handed to the NIC: a
 * client is never answered for a decision that a crash could lose.
 *
 * WHAT IS ANSWERED. A message whose request id can be read gets exactly one Decision; all but
 * heartbeats are recorded.
 *
 *	unknown schema or template, cut off   BAD_MESSAGE     failure verdict
 *	the queue stays full (OVERLOAD)       OVERLOAD        failure verdict
 *	no image, or template not bound       NO_POLICY       failure verdict
 *	evaluation failed                     POLICY_ERROR    the image's failure verdict
 *	the ring is full                      RECORDER_FULL   as configured; NONE: as decided,
 *	                                                      flag DEGRADED, counted as lost
 *	template Heartbeat                    OK              NONE (0): not evaluated
 *
 * Dropped and counted: a message without request id, a Decision, and messages beyond those whose
 * answers fit into one datagram of the port's MTU.
 *
 * OVERLOAD (overload_after_us; 0: never). How long a packet has lain in a NIC's queue is not known, and
 * most drivers do not tell how many lie there. What every driver tells is whether there was a full
 * burst. A queue of which each poll brings one is never seen empty: requests have come at least as fast
 * as they were decided, and wait.
 *
 *	               full for overload_after_us
 *	  DECIDING -----------------------------------> SHEDDING
 *	     ^      a poll brings less than a burst, or     |
 *	     '----- full for as long again -----------------'
 *
 * Shedding costs no evaluation, so the queue empties, and who waits hears at once. A flood that comes
 * faster than even that is shed for half of the time: the other half is decided. Each queue has a state
 * of its own: who floods one is not shed from the others.
 *
 * SENDING (tx_wait_us). A transmit queue is full when its other side does not keep up: a virtual
 * device whose reader is off its core for some milliseconds, a link that carries more than riskgate's
 * answers. Answers that do not fit wait, and with them the queue's requests, which stay in its receive
 * queue: nothing is lost as long as there is room. The worker itself never waits: it goes on to its other
 * queues and looks again in the next turn. Where nothing of a queue was taken for tx_wait_us, nobody may
 * be there: its answers are dropped and counted, and its requests decided, for the records. So a client
 * that is gone costs those that share its queue that long a burst, and nobody else anything. Whoever
 * waits has the records' send time, not that of the hand-over.
 *
 * TIME. Receive time is that of the burst's arrival here, send time that of the end of its
 * recording, both from one reading of the counter each.
 *
 * Thread-safety: a loop belongs to its thread. Others may read `passes`, set `stop`, and attach a
 * cursor to `ring` (shm/ring.h).
 */
#ifndef RG_DATAPLANE_WORKER_H
#define RG_DATAPLANE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "dataplane/clock.h"
#include "dataplane/idle.h"
#include "dataplane/port.h"
#include "dataplane/publisher.h"
#include "dataplane/worker_probe.h"
#include "policy/eval/eval.h"
#include "shm/region.h"
#include "wire/frame.h"
#include "wire/sbe.h"
#include "wire/schema.h"

#define RG_BURST_MAX  256
#define RG_QUEUES_MAX 64 /* of one worker */
/* No datagram is answered with more decisions than this. */
#define RG_ANSWERS_MAX 128

struct rte_mbuf;
struct rg_request; /* worker.c: one message of the burst */
struct rg_packet;  /* worker.c: one datagram of the burst that gets answers */

struct rg_worker_config {
	uint16_t index;
	uint32_t node;
	uint64_t epoch;
	uint16_t burst;		       /* 1..RG_BURST_MAX */
	uint32_t idle_sleep_us;	       /* 0: never sleep; see idle.h */
	uint32_t overload_after_us;    /* 0: never shed; see OVERLOAD above */
	uint32_t tx_wait_us;	       /* 0: none; see SENDING above */
	uint8_t failure_verdict;       /* enum rg_verdict */
	uint8_t recorder_full_verdict; /* enum rg_verdict; NONE: answer as decided */
	uint64_t scratch_bytes;
	int socket; /* NUMA node of its memory */
	const struct rg_schema *schema;
	const struct rg_policy_publisher *publisher;
	struct rg_clock *clock;
	const struct rg_region_worker *shared; /* its objects in the region */
	struct rg_port_queue queues[RG_QUEUES_MAX];
	uint32_t queue_count;
};

/* Answers that a queue's device had no room for. */
struct rg_worker_unsent {
	uint64_t since; /* when it last took any */
	uint16_t first, count;
	struct rte_mbuf *answers[RG_BURST_MAX];
};

struct rg_worker_loop {
	/* worker: each loop; publisher: to name a stuck worker */
	_Alignas(RG_SHM_LINE) _Atomic uint64_t passes;
	/* main thread: once; worker: each loop */
	_Alignas(RG_SHM_LINE) _Atomic bool stop;

	/* the worker's own from here on; `ring.cursor` is stored by the main thread */
	_Alignas(RG_SHM_LINE) struct rg_worker_config config;
	struct rg_ring_producer ring;
	struct rg_eval *eval;
	uint64_t policy_generation; /* of the policy that eval is bound to; 0: none */
	uint64_t policy_sequence;   /* 0: none */
	struct rg_sbe_header decision_header;
	uint16_t heartbeat_template;
	const struct rg_field_table *fields;
	uint32_t answers_max; /* decisions in one datagram, any port */

	struct rg_clock_reader clock;
	uint64_t mark; /* counter at the last charge */
	uint64_t receive_ns, send_ns;
	uint64_t sequence; /* of the last record */
	uint64_t seed;
	struct rg_request *requests;
	uint32_t request_count;
	uint64_t records_ahead; /* ring bytes that the records of the requests will take */
	struct rg_packet *packets;
	uint32_t packet_count;
	struct rte_mbuf *received[RG_BURST_MAX], *answers[RG_BURST_MAX], *dropped[RG_BURST_MAX];
	uint32_t answer_count, dropped_count;
	struct rg_worker_unsent *unsent; /* of each queue */
	uint64_t housekeeping_tick, housekeeping_period;
	uint64_t slow_loop_ticks; /* from here on a loop is counted as slow */
	uint64_t overload_ticks;  /* overload_after_us; 0: never */
	uint64_t tx_wait_ticks;	  /* tx_wait_us */
	/* of each queue: when a poll first brought a full burst; 0: the last one did not */
	uint64_t full_since[RG_QUEUES_MAX];
	bool shedding; /* the burst is of a queue that is overloaded */
	struct rg_idle idle;
	struct rg_counters_writer counters;
	struct rg_worker_progress progress;
	struct rg_worker_probe probe;
	void *eval_memory;
};

/* Carve a loop and all its memory; it is in state STOPPED until it runs. The producer of its ring
 * is to be joined by the caller (rg_region_producer). Errors: RG_ENOMEM (names
 * dataplane.memory_mib), RG_EINVAL, RG_EVERSION. Main thread. */
int rg_worker_loop_new(const struct rg_worker_config *config, struct rg_worker_loop **loop,
		       struct rg_error *err);
/* Sleep on RX interrupts when idle, if the drivers of all its queues have them (see idle.h).
 * Returns whether. Main thread, before the worker's starts. */
bool rg_worker_loop_listen(struct rg_worker_loop *loop);
/* The thread has stopped. NULL is allowed. */
void rg_worker_loop_free(struct rg_worker_loop *loop);

/* Take up the current policy if it is another one than before. Valid until the next quiescent
 * state. */
void rg_worker_loop_use_policy(struct rg_worker_loop *loop);
/* Handle mbufs[0..count), count <= burst, that came from `port`. Those to be sent are
 * loop->answers[0..return value); all others are freed. Everything decided is committed to the
 * ring. */
uint32_t rg_worker_loop_burst(struct rg_worker_loop *loop, const struct rg_port *port,
			      struct rte_mbuf **mbufs, uint32_t count);
/* One turn over all queues, with quiescent state, housekeeping and idling. Returns the packets
 * received, with one for each queue whose answers wait. The thread is registered with liburcu-qsbr. */
uint32_t rg_worker_loop_step(struct rg_worker_loop *loop);
/* Store counters, status and progress in the region now. */
void rg_worker_loop_flush(struct rg_worker_loop *loop);
/* The thread: runs until `stop`. arg: struct rg_worker_loop. Returns 0. */
int rg_worker_loop_run(void *arg);

#endif

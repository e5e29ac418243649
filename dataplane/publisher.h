/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher makes a new policy image current while workers decide.
 *
 *	control                 publisher (main thread)                workers
 *	image-S, announce S ──► poll
 *	                        copy to active-S.tmp, verify, rename
 *	                        current := new ─────────────────────►  acquire `current`, each loop
 *	                        grace period  ◄──────────────────────  quiescent state, each loop
 *	                        unmap and remove the old one
 *	             ACTIVE ◄── acknowledge
 *
 * What workers may rely on: a struct rg_policy they loaded stays as it is, and its image mapped and
 * verified, until they next pass a quiescent state. Its image needs no further check.
 *
 * Waiting has a deadline: when it passes, the worker whose loop counter has not moved since the
 * swap is reported by number, the old image stays mapped, and the publisher goes on waiting (STUCK
 * → ACTIVE when the worker moves). The next announcement is taken when this one has ended.
 *
 * The step function does at most one announcement's work and never waits for workers, so a test or
 * a simulator can drive it by hand, with clocks of its own. Copying and verifying take time linear
 * in the image.
 *
 * Thread-safety: everything here belongs to one thread, the main thread; workers only load
 * `current`.
 */
#ifndef RG_DATAPLANE_PUBLISHER_H
#define RG_DATAPLANE_PUBLISHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/cores.h"
#include "dataplane/grace.h"
#include "policy/eval/eval.h"
#include "shm/image_file.h"
#include "shm/region.h"

/* A verified image in use. Immutable once current. */
struct rg_policy {
	const void *image;
	uint64_t image_bytes;
	uint64_t sequence;
	uint64_t generation; /* counts swaps in this process: tells a new policy from a freed one at
				the same address */
	struct rg_image_file file;
};

struct rg_policy_publisher_config {
	const char *directory; /* of the region */
	const struct rg_region_dataplane
		*shared; /* its mailbox reply, status, histograms and error log */
	struct rg_counters_writer
		*counters; /* of the publisher's group: the main thread's, flushed by it */
	uint64_t schema_fingerprint; /* of the loaded schema: images for another one are refused */
	uint64_t scratch_bytes;	     /* as the workers' evaluators have */
	uint64_t grace_deadline_ns;
	uint64_t (*unix_ns)(void);	/* time for the mailbox */
	uint64_t (*monotonic_ns)(void); /* time for the deadline: any clock that does not jump */
	uint32_t worker_count;
	/* Each worker's loop counter (it grows with every burst loop); only looked at to name a
	 * stuck one. */
	const _Atomic uint64_t *passes[RG_WORKERS_MAX];
};

struct rg_policy_publisher {
	/* The policy that workers use, or NULL. Publisher: exchange, once a publish. Workers: load
	 * with acquire, once a burst loop. */
	_Alignas(64) _Atomic(struct rg_policy *) current;
	/* publisher only */
	_Alignas(64) struct rg_policy_publisher_config config;
	struct rg_mailbox_publisher mailbox;
	struct rg_grace grace;
	struct rg_eval *trial; /* to see that an image can be bound before workers have to */
	void *trial_memory;
	uint64_t generation;
	/* while a grace period is open */
	bool waiting, stuck;
	struct rg_policy *old; /* NULL: there was none */
	uint64_t ticket, swapped_ns;
	uint64_t announced_unix_ns;
	uint64_t passes_at_swap[RG_WORKERS_MAX];
	struct rg_publisher_status status; /* as told in the region */
};

/* Adopt the newest good active-<sequence> in the directory, tell the mailbox, and start. Call
 * before any worker runs. Broken images are logged and left. Errors: RG_EINVAL (scratch_bytes),
 * RG_ENOMEM, RG_EIO. */
int rg_policy_publisher_start(struct rg_policy_publisher *publisher,
			      const struct rg_policy_publisher_config *config,
			      struct rg_error *err);
/* Do what there is to do: begin the newest announcement, or look after the open grace period.
 * request: control's half or NULL. Returns the work done: 0 if there was nothing to do. */
unsigned rg_policy_publisher_step(struct rg_policy_publisher *publisher,
				  const struct rg_mailbox_request *request);
/* Tell in the region how it stands. About once a poll. control_joined: control's file is mapped. */
void rg_policy_publisher_tell(struct rg_policy_publisher *publisher, bool control_joined);
/* End. All workers must have stopped: they are not waited for. The active image stays as a file. */
void rg_policy_publisher_stop(struct rg_policy_publisher *publisher);

/* Worker: the policy to use until the next quiescent state, or NULL. */
static inline const struct rg_policy *rg_policy_publisher_current(
	const struct rg_policy_publisher *publisher)
{
	/* Acquire: pairs with the exchange in swap(); the struct and the image were written before
	 * it. */
	return atomic_load_explicit(&publisher->current, memory_order_acquire);
}

#endif

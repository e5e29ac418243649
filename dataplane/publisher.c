/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/publisher.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "policy/image/image.h"
#include "shm/probes.h"

#define ACTIVE_FILES_MAX 64
#define EVAL_ALIGN	 64

/* ---- one image ---- */

/* Is the mapped file an image that workers may run? */
static int verify(struct rg_policy_publisher *publisher, const struct rg_image_file *file,
		  struct rg_error *err)
{
	struct rg_image_info info;
	int rc = rg_image_verify(file->map.at, file->image_bytes, err);

	if (rc != RG_OK)
		return rc;
	rg_image_info(file->map.at, &info);
	if (info.sequence != file->sequence)
		return rg_error_set(err, RG_ECORRUPT,
				    "the image says it is number %" PRIu64
				    ", its file says %" PRIu64,
				    info.sequence, file->sequence);
	if (info.schema_fingerprint != publisher->config.schema_fingerprint)
		return rg_error_set(
			err, RG_EVERSION,
			"the image was compiled for another request schema (fingerprint %016" PRIx64
			", this data plane has %016" PRIx64
			"): give riskgate-control and riskgate-dataplane the same schema file and "
			"restart the one with the old",
			info.schema_fingerprint, publisher->config.schema_fingerprint);
	return rg_eval_bind(publisher->trial, file->map.at, file->image_bytes, err);
}

static struct rg_policy *policy_new(struct rg_policy_publisher *publisher,
				    const struct rg_image_file *file)
{
	struct rg_policy *policy = malloc(sizeof(*policy));

	if (policy)
		*policy = (struct rg_policy){
			.image = file->map.at,
			.image_bytes = file->image_bytes,
			.sequence = file->sequence,
			.generation = ++publisher->generation,
			.file = *file,
		};
	return policy;
}

/* Policy `policy` (or none) is what workers use from now on: tell it. */
static void note_active(struct rg_policy_publisher *publisher, const struct rg_policy *policy)
{
	struct rg_publisher_status *status = &publisher->status;
	struct rg_image_info info = {0};

	static_assert(
		sizeof(status->bundle) == sizeof(info.bundle) &&
			sizeof(status->revision) == sizeof(info.revision),
		"labels are copied whole: RG_PUBLISHER_LABEL_BYTES must be RG_IMAGE_LABEL_BYTES");
	if (policy)
		rg_image_info(policy->image, &info);
	status->active_sequence = info.sequence;
	status->active_bytes = info.image_bytes;
	status->active_since_ns = policy ? publisher->config.unix_ns() : 0;
	memcpy(status->bundle, info.bundle, sizeof(status->bundle));
	memcpy(status->revision, info.revision, sizeof(status->revision));
	publisher->config.counters->values[RG_PUBLISHER_ACTIVE_SEQUENCE] = info.sequence;
	publisher->config.counters->values[RG_PUBLISHER_ACTIVE_BYTES] = info.image_bytes;
}

static void note_error(struct rg_policy_publisher *publisher, const char *event, const char *text)
{
	rg_error_log_addf(publisher->config.shared->errors, publisher->config.unix_ns(), "%s: %s",
			  event, text);
}

static void policy_free(struct rg_policy *policy)
{
	if (!policy)
		return;
	rg_image_file_close(&policy->file);
	free(policy);
}

/* ---- start ---- */

static struct rg_policy *load_active(struct rg_policy_publisher *publisher, uint64_t sequence)
{
	struct rg_image_file file;
	struct rg_policy *policy;
	struct rg_error err;
	int rc = rg_image_file_open(publisher->config.directory, RG_IMAGE_FILE_ACTIVE, sequence,
				    &file, &err);

	if (rc == RG_OK) {
		rc = rg_image_file_check(&file, &err);
		if (rc == RG_OK)
			rc = verify(publisher, &file, &err);
		policy = rc == RG_OK ? policy_new(publisher, &file) : NULL;
		if (policy)
			return policy;
		rg_image_file_close(&file);
	}
	if (rc == RG_OK)
		rg_error_set(&err, RG_ENOMEM, "no memory");
	rg_log(RG_LOG_ERROR, "active image refused sequence=%" PRIu64 " reason=\"%s\"", sequence,
	       err.text);
	note_error(publisher, "active image refused", err.text);
	return NULL;
}

static int load_newest(struct rg_policy_publisher *publisher, struct rg_error *err)
{
	uint64_t sequences[ACTIVE_FILES_MAX];
	uint32_t count;
	struct rg_policy *policy = NULL;
	int rc = rg_image_file_list(publisher->config.directory, RG_IMAGE_FILE_ACTIVE, sequences,
				    ACTIVE_FILES_MAX, &count, err);

	if (rc != RG_OK)
		return rc;
	for (uint32_t i = 0; i < count && !policy; i++)
		policy = load_active(publisher, sequences[i]);
	atomic_store_explicit(&publisher->current, policy,
			      memory_order_release); /* no worker runs yet */
	note_active(publisher, policy);
	return RG_OK;
}

static int make_trial(struct rg_policy_publisher *publisher, struct rg_error *err)
{
	uint64_t bytes = rg_eval_footprint(publisher->config.scratch_bytes);

	if (bytes == 0)
		return rg_error_set(err, RG_EINVAL,
				    "decision.scratch_bytes: %" PRIu64 " is out of range",
				    publisher->config.scratch_bytes);
	publisher->trial_memory = aligned_alloc(EVAL_ALIGN, bytes);
	publisher->trial = publisher->trial_memory ? rg_eval_new(publisher->trial_memory,
								 publisher->config.scratch_bytes)
						   : NULL;
	if (!publisher->trial)
		return rg_error_set(err, RG_ENOMEM,
				    "no memory for an evaluator of %" PRIu64
				    " bytes: lower decision.scratch_bytes",
				    bytes);
	return RG_OK;
}

int rg_policy_publisher_start(struct rg_policy_publisher *publisher,
			      const struct rg_policy_publisher_config *config, struct rg_error *err)
{
	struct rg_policy *policy;
	int rc;

	memset(publisher, 0, sizeof(*publisher));
	publisher->config = *config;
	atomic_init(&publisher->current, NULL);
	rc = make_trial(publisher, err);
	if (rc == RG_OK)
		rc = load_newest(publisher, err);
	if (rc == RG_OK)
		rc = rg_grace_start(&publisher->grace, err);
	policy =
		atomic_load_explicit(&publisher->current, memory_order_relaxed); /* our own store */
	if (rc != RG_OK) {
		policy_free(policy);
		free(publisher->trial_memory);
		return rc;
	}
	publisher->status.thread_id = (uint64_t)gettid();
	rg_mailbox_restart(&publisher->mailbox, config->shared->reply,
			   policy ? policy->sequence : 0, policy ? policy->image_bytes : 0,
			   config->unix_ns());
	return RG_OK;
}

void rg_policy_publisher_stop(struct rg_policy_publisher *publisher)
{
	rg_grace_stop(&publisher->grace);
	policy_free(publisher->waiting ? publisher->old : NULL);
	policy_free(atomic_load_explicit(&publisher->current,
					 memory_order_relaxed)); /* no worker runs any more */
	free(publisher->trial_memory);
}

/* ---- one announcement ---- */

static void acknowledge(struct rg_policy_publisher *publisher, struct rg_mailbox_step step)
{
	static const uint8_t steps[RG_MAILBOX_STATE_COUNT] = {
		[RG_MAILBOX_COPYING] = RG_PUBLISH_COPYING,
		[RG_MAILBOX_VERIFYING] = RG_PUBLISH_VERIFYING,
		[RG_MAILBOX_SWAPPING] = RG_PUBLISH_SWAPPING,
		[RG_MAILBOX_GRACE] = RG_PUBLISH_GRACE,
		[RG_MAILBOX_ACTIVE] = RG_PUBLISH_ACTIVE,
		[RG_MAILBOX_REFUSED] = RG_PUBLISH_REFUSED,
		[RG_MAILBOX_STUCK] = RG_PUBLISH_STUCK,
	};
	struct rg_error err;

	rg_probe_publish(step.sequence, (enum rg_publish_step)steps[step.state], 0);
	step.now_ns = publisher->config.unix_ns();
	if (rg_mailbox_acknowledge(&publisher->mailbox, &step, &err) != RG_OK)
		rg_log(RG_LOG_ERROR, "mailbox: %s",
		       err.text); /* a step out of order: our own mistake, never a peer's */
}

static void refuse(struct rg_policy_publisher *publisher, uint64_t sequence,
		   const struct rg_error *err)
{
	publisher->config.counters->values[RG_PUBLISHER_PUBLISHES_REFUSED]++;
	rg_log(RG_LOG_ERROR, "policy refused sequence=%" PRIu64 " reason=\"%s\"", sequence,
	       err->text);
	note_error(publisher, "policy refused", err->text);
	acknowledge(publisher, (struct rg_mailbox_step){.sequence = sequence,
							.state = RG_MAILBOX_REFUSED,
							.text = err->text});
}

static void remember_passes(struct rg_policy_publisher *publisher)
{
	for (uint32_t i = 0; i < publisher->config.worker_count; i++)
		publisher->passes_at_swap[i] = atomic_load_explicit(
			publisher->config.passes[i], memory_order_relaxed); /* only for a message */
}

static void swap(struct rg_policy_publisher *publisher, struct rg_policy *policy)
{
	/* Release: pairs with rg_policy_publisher_current(). Acquire is not needed: the old struct
	 * is our own. The grace period begins after this store: begin() takes a lock that the
	 * helper takes before it looks at the readers. */
	publisher->old =
		atomic_exchange_explicit(&publisher->current, policy, memory_order_acq_rel);
	remember_passes(publisher);
	publisher->ticket = rg_grace_begin(&publisher->grace);
	publisher->swapped_ns = publisher->config.monotonic_ns();
	publisher->waiting = true;
	publisher->stuck = false;
	note_active(publisher, policy);
}

/* Copy, verify, activate: *policy is ready to be swapped in, or the error says why not. */
static int prepare(struct rg_policy_publisher *publisher,
		   const struct rg_mailbox_announcement *announcement, struct rg_policy **policy,
		   struct rg_error *err)
{
	const char *directory = publisher->config.directory;
	uint64_t sequence = announcement->sequence;
	struct rg_image_file copy;
	int rc;

	acknowledge(publisher,
		    (struct rg_mailbox_step){.sequence = sequence, .state = RG_MAILBOX_COPYING});
	rc = rg_image_file_copy(directory, sequence, announcement->image_bytes,
				(uint32_t)announcement->crc32c, &copy, err);
	if (rc != RG_OK)
		return rc;
	publisher->config.counters->values[RG_PUBLISHER_IMAGE_BYTES_COPIED] += copy.image_bytes;
	acknowledge(publisher,
		    (struct rg_mailbox_step){.sequence = sequence, .state = RG_MAILBOX_VERIFYING});
	rc = verify(publisher, &copy, err);
	*policy = rc == RG_OK ? policy_new(publisher, &copy) : NULL;
	if (rc == RG_OK && !*policy)
		rc = rg_error_set(err, RG_ENOMEM, "no memory for a policy's header");
	if (rc == RG_OK)
		rc = rg_image_file_activate(directory, &copy, err);
	if (rc == RG_OK)
		return RG_OK;
	free(*policy);
	rg_image_file_discard(directory, &copy);
	return rc;
}

static unsigned begin(struct rg_policy_publisher *publisher,
		      const struct rg_mailbox_announcement *announcement)
{
	struct rg_policy *policy;
	struct rg_error err;

	RG_FAILPOINT("publisher.polled");
	publisher->announced_unix_ns = announcement->announced_ns;
	if (prepare(publisher, announcement, &policy, &err) != RG_OK) {
		refuse(publisher, announcement->sequence, &err);
		return 1;
	}
	acknowledge(publisher, (struct rg_mailbox_step){.sequence = policy->sequence,
							.state = RG_MAILBOX_SWAPPING,
							.image_bytes = policy->image_bytes});
	RG_FAILPOINT("publisher.before_swap");
	swap(publisher, policy);
	RG_FAILPOINT("publisher.swapped");
	acknowledge(publisher, (struct rg_mailbox_step){.sequence = policy->sequence,
							.state = RG_MAILBOX_GRACE});
	return 1;
}

/* ---- the open grace period ---- */

static void measure(struct rg_policy_publisher *publisher, uint64_t grace_ns)
{
	struct rg_histogram *const *histograms = publisher->config.shared->histograms;
	uint64_t now = publisher->config.unix_ns();

	rg_histogram_record(histograms[RG_PUBLISHER_HISTOGRAM_GRACE], grace_ns);
	if (now >= publisher->announced_unix_ns) /* control's clock: not to be relied on */
		rg_histogram_record(histograms[RG_PUBLISHER_HISTOGRAM_PUBLISH],
				    now - publisher->announced_unix_ns);
	if (grace_ns > publisher->status.grace_longest_ns)
		publisher->status.grace_longest_ns = grace_ns;
}

static void finish(struct rg_policy_publisher *publisher, uint64_t sequence)
{
	uint64_t grace_ns = publisher->config.monotonic_ns() - publisher->swapped_ns;
	struct rg_error err;

	policy_free(publisher->old);
	publisher->old = NULL;
	publisher->waiting = false;
	publisher->config.counters->values[RG_PUBLISHER_PUBLISHES_ACTIVE]++;
	measure(publisher, grace_ns);
	RG_FAILPOINT("publisher.grace_ended");
	if (rg_image_file_remove_older(publisher->config.directory, RG_IMAGE_FILE_ACTIVE, sequence,
				       NULL, &err) != RG_OK)
		rg_log(RG_LOG_WARNING, "old images stay: %s", err.text);
	acknowledge(publisher,
		    (struct rg_mailbox_step){.sequence = sequence, .state = RG_MAILBOX_ACTIVE});
	RG_FAILPOINT("publisher.acknowledged");
	rg_log(RG_LOG_INFO,
	       "policy active sequence=%" PRIu64 " bundle=\"%s\" revision=\"%s\" grace_us=%" PRIu64,
	       sequence, publisher->status.bundle, publisher->status.revision, grace_ns / 1000);
}

/* Bit w: worker w's loop has not turned since the swap. */
static uint64_t unmoved_workers(const struct rg_policy_publisher *publisher)
{
	uint64_t unmoved = 0;

	for (uint32_t i = 0; i < publisher->config.worker_count; i++)
		if (atomic_load_explicit(publisher->config.passes[i], memory_order_relaxed) ==
		    publisher->passes_at_swap[i])
			unmoved |= 1ull << i;
	return unmoved;
}

/* The worker to name: the first that has not moved; the last one if all have (they are slow, not
 * stuck). */
static uint32_t stuck_worker(const struct rg_policy_publisher *publisher)
{
	uint64_t unmoved = unmoved_workers(publisher);

	if (unmoved)
		return (uint32_t)__builtin_ctzll(unmoved);
	return publisher->config.worker_count ? publisher->config.worker_count - 1 : 0;
}

static void report_stuck(struct rg_policy_publisher *publisher, uint64_t sequence)
{
	uint32_t worker = stuck_worker(publisher);
	struct rg_error err;

	publisher->stuck = true;
	publisher->config.counters->values[RG_PUBLISHER_GRACE_STUCK]++;
	rg_error_set(&err, RG_EAGAIN,
		     "worker %u has not left the previous policy within "
		     "dataplane.grace_deadline_ms (%" PRIu64
		     "): its core may be taken by another process; the previous image is kept "
		     "until it moves",
		     worker, publisher->config.grace_deadline_ns / 1000000);
	rg_log(RG_LOG_ERROR, "grace period stuck sequence=%" PRIu64 " worker=%u reason=\"%s\"",
	       sequence, worker, err.text);
	note_error(publisher, "grace period stuck", err.text);
	acknowledge(publisher, (struct rg_mailbox_step){.sequence = sequence,
							.state = RG_MAILBOX_STUCK,
							.stuck_worker = worker,
							.text = err.text});
}

static unsigned look_after_grace(struct rg_policy_publisher *publisher)
{
	uint64_t sequence = atomic_load_explicit(&publisher->current, memory_order_relaxed)
				    ->sequence; /* our own store */

	if (rg_grace_done(&publisher->grace, publisher->ticket)) {
		finish(publisher, sequence);
		return 1;
	}
	if (publisher->stuck || publisher->config.monotonic_ns() - publisher->swapped_ns <
					publisher->config.grace_deadline_ns)
		return 0;
	report_stuck(publisher, sequence);
	return 1;
}

unsigned rg_policy_publisher_step(struct rg_policy_publisher *publisher,
				  const struct rg_mailbox_request *request)
{
	struct rg_mailbox_announcement announcement;

	if (publisher->waiting)
		return look_after_grace(publisher);
	if (rg_mailbox_poll(&publisher->mailbox, request, &announcement) != RG_OK)
		return 0;
	return begin(publisher, &announcement);
}

void rg_policy_publisher_tell(struct rg_policy_publisher *publisher, bool control_joined)
{
	struct rg_publisher_status *status = &publisher->status;

	static_assert(RG_WORKERS_MAX <= 64, "waiting_for has a bit for each worker");
	status->heartbeat_ns = publisher->config.unix_ns();
	status->waiting_for = publisher->waiting ? unmoved_workers(publisher) : 0;
	status->control_joined = control_joined;
	rg_publisher_write(publisher->config.shared->publisher, status);
}

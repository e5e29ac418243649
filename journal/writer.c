/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "journal/chain.h"
#include "journal/retention.h"
#include "journal/segment.h"
#include "shm/histogram.h"
#include "shm/probes.h"

#define STAGING_BYTES (4 * RG_JOURNAL_FRAME_BYTES_MAX)
#define NEWEST_MAX                                                                                 \
	1024 /* (node, epoch, worker) remembered: workers times the epochs whose records may still \
		lie in rings */
#define SYNCS_MAX	   16 /* syncs waiting for the thread */
#define SEAL_BYTES	   (sizeof(struct rg_journal_frame_header) + sizeof(struct rg_journal_seal))
#define POLICIES_MAX	   4		 /* POLICY frames that a new segment repeats */
#define POLICIES_BYTES_MAX (256u * 1024) /* all of them; a larger one is not repeated */
/* A segment that was being created has its header, its POSITIONS and the repeated policies at most.
 */
#define UNBORN_BYTES_MAX                                                                           \
	(sizeof(struct rg_journal_segment_header) + 16 +                                           \
	 NEWEST_MAX * sizeof(struct rg_journal_newest) + POLICIES_BYTES_MAX)

/* One order to the sync thread: make everything in fd durable, which is then durable up to
 * `position`. */
struct sync_order {
	int fd;
	bool close_after; /* the segment is full: nobody else uses fd any more */
	struct rg_journal_position position;
};

struct policy {
	void *payload;
	uint32_t payload_bytes;
};

struct rg_journal_writer {
	struct rg_journal_writer_options options;
	char *directory_name;
	int directory, lock, fd;
	uint64_t segment;	/* first index of the open segment */
	uint64_t offset;	/* end of what is written in it */
	uint64_t born_offset;	/* where it ended when it was created here; 0: it was found */
	uint64_t written_index; /* of the first frame not written */
	uint64_t next_index;	/* of the first frame not staged */
	uint64_t staged_records;
	bool rotate; /* the next flush begins a new segment */
	uint8_t *staging;
	uint64_t staged_bytes;
	struct rg_journal_newest newest[NEWEST_MAX];
	uint32_t newest_count, newest_last;
	struct policy policies[POLICIES_MAX]; /* the last ones, oldest first */
	uint32_t policies_count;
	struct rg_journal_chain *chain;
	bool chained;		 /* the open segment is */
	uint64_t sealed_bytes;	 /* of what is staged */
	uint64_t unsealed_bytes; /* written, and in no seal: found by recovery */
	uint64_t opened_unix_ns, opened_monotonic_ns;
	uint64_t unsynced_bytes; /* written since a sync was ordered */
	uint64_t unsynced_since_ns;
	struct rg_journal_statistics statistics;

	/* Shared with the sync thread. Orders are carried out first in, first out. */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	pthread_t thread;
	bool thread_runs, stop;
	struct sync_order orders[SYNCS_MAX];
	uint32_t orders_first, orders_count;
	struct rg_journal_position durable;
	uint64_t syncs, sync_failures, failures_reported, sync_ns_max;
	int sync_errno;
	uint64_t failed_segment; /* the segment whose sync failed last */
	bool retention_ordered;
	struct rg_journal_retention retention;
	struct rg_journal_removal removed; /* by all retention so far; segments, bytes: left */
	uint64_t retention_failures, retention_failures_reported;
	struct rg_error retention_error;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the newest sequence of each worker ---- */

/* The entry of this worker and epoch, or NULL. The last one used is tried first: records come in
 * runs. */
static struct rg_journal_newest *find_newest(struct rg_journal_writer *writer, uint32_t node,
					     uint64_t epoch, uint16_t worker)
{
	for (uint32_t i = 0, at = writer->newest_last; i < writer->newest_count; i++, at++) {
		struct rg_journal_newest *entry;

		if (at >= writer->newest_count)
			at = 0;
		entry = &writer->newest[at];
		if (entry->epoch == epoch && entry->worker == worker && entry->node == node) {
			writer->newest_last = at;
			return entry;
		}
	}
	return NULL;
}

/* A new entry; the one made first gives way when there are too many. Not the one of the least epoch:
 * that is the newest after a clock went back, and its workers would push each other out. */
static struct rg_journal_newest *add_newest(struct rg_journal_writer *writer, uint32_t node,
					    uint64_t epoch, uint16_t worker)
{
	struct rg_journal_newest *entry;

	if (writer->newest_count == NEWEST_MAX)
		memmove(&writer->newest[0], &writer->newest[1],
			(NEWEST_MAX - 1) * sizeof(writer->newest[0]));
	else
		writer->newest_count++;
	writer->newest_last = writer->newest_count - 1;
	entry = &writer->newest[writer->newest_last];
	*entry = (struct rg_journal_newest){.node = node, .worker = worker, .epoch = epoch};
	return entry;
}

static void learn(struct rg_journal_writer *writer, uint32_t node, uint64_t epoch, uint16_t worker,
		  uint64_t sequence)
{
	struct rg_journal_newest *entry = find_newest(writer, node, epoch, worker);

	if (!entry)
		entry = add_newest(writer, node, epoch, worker);
	if (sequence > entry->sequence)
		entry->sequence = sequence;
}

/* ---- the policies that a new segment repeats ---- */

static bool same_policy(const struct policy *policy, const void *payload, uint32_t payload_bytes)
{
	return policy->payload_bytes == payload_bytes &&
	       !memcmp(policy->payload, payload, payload_bytes);
}

static void forget_policy(struct rg_journal_writer *writer, uint32_t at)
{
	free(writer->policies[at].payload);
	writer->policies_count--;
	memmove(&writer->policies[at], &writer->policies[at + 1],
		(writer->policies_count - at) * sizeof(writer->policies[0]));
}

static uint64_t policies_bytes(const struct rg_journal_writer *writer)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < writer->policies_count; i++)
		bytes += rg_journal_frame_bytes(writer->policies[i].payload_bytes);
	return bytes;
}

/* The newest policy goes last; the oldest give way to it. One for which there is no memory, or that
 * is as large as a good part of a segment, is not repeated. */
static void remember_policy(struct rg_journal_writer *writer, const void *payload,
			    uint32_t payload_bytes)
{
	uint64_t most = writer->options.segment_bytes / 4;
	void *copy;

	if (most > POLICIES_BYTES_MAX)
		most = POLICIES_BYTES_MAX;
	for (uint32_t i = 0; i < writer->policies_count; i++)
		if (same_policy(&writer->policies[i], payload, payload_bytes))
			forget_policy(writer, i--);
	copy = malloc(payload_bytes);
	if (!copy)
		return;
	memcpy(copy, payload, payload_bytes);
	if (writer->policies_count == POLICIES_MAX)
		forget_policy(writer, 0);
	writer->policies[writer->policies_count++] = (struct policy){copy, payload_bytes};
	while (policies_bytes(writer) > most)
		forget_policy(writer, 0);
}

/* ---- syncing ---- */

static void finish_order(struct rg_journal_writer *writer, const struct sync_order *order)
{
	uint64_t probe = rg_probe_io_begin(), begin_ns = clock_ns(CLOCK_MONOTONIC), took_ns;
	int failed = RG_FAILPOINT_FAILS("journal.sync") || fdatasync(order->fd) ? errno : 0;

	rg_probe_io_end(probe, RG_IO_SYNC, "journal", 0, failed);
	RG_FAILPOINT("journal.synced");
	took_ns = clock_ns(CLOCK_MONOTONIC) - begin_ns;
	if (order->close_after)
		close(order->fd);
	pthread_mutex_lock(&writer->mutex);
	writer->syncs++;
	if (took_ns > writer->sync_ns_max)
		writer->sync_ns_max = took_ns;
	if (writer->options.sync_times)
		rg_histogram_record(writer->options.sync_times, took_ns);
	if (failed) {
		writer->sync_failures++;
		writer->sync_errno = failed;
		writer->failed_segment = order->position.segment;
	}
	writer->durable =
		order->position; /* after a failure too: it is reported, and readers must go on */
	pthread_mutex_unlock(&writer->mutex);
}

/* Carry out the retention that was ordered. */
static void finish_retention(struct rg_journal_writer *writer)
{
	uint64_t now_ns =
		writer->opened_unix_ns + clock_ns(CLOCK_MONOTONIC) - writer->opened_monotonic_ns;
	struct rg_journal_retention retention;
	struct rg_journal_removal removal;
	struct rg_error err;
	int rc;

	pthread_mutex_lock(&writer->mutex);
	retention = writer->retention;
	pthread_mutex_unlock(&writer->mutex);
	rc = rg_journal_retention_apply(writer->directory, &retention, now_ns, &removal, &err);
	pthread_mutex_lock(&writer->mutex);
	writer->retention_ordered = false;
	writer->removed.segments = removal.segments;
	writer->removed.bytes = removal.bytes;
	writer->removed.removed_segments += removal.removed_segments;
	writer->removed.removed_bytes += removal.removed_bytes;
	writer->removed.abandoned_frames += removal.abandoned_frames;
	if (rc) {
		writer->retention_failures++;
		writer->retention_error = err;
	}
	pthread_mutex_unlock(&writer->mutex);
}

static void *sync_thread(void *argument)
{
	struct rg_journal_writer *writer = argument;

	pthread_mutex_lock(&writer->mutex);
	while (writer->orders_count || !writer->stop) {
		struct sync_order order;

		if (!writer->orders_count && writer->retention_ordered) {
			pthread_mutex_unlock(&writer->mutex);
			finish_retention(writer);
			pthread_mutex_lock(&writer->mutex);
			continue;
		}
		if (!writer->orders_count) {
			pthread_cond_wait(&writer->changed, &writer->mutex);
			continue;
		}
		order = writer->orders[writer->orders_first];
		pthread_mutex_unlock(&writer->mutex);
		finish_order(writer, &order);
		pthread_mutex_lock(&writer->mutex);
		writer->orders_first = (writer->orders_first + 1) % SYNCS_MAX;
		writer->orders_count--;
		pthread_cond_broadcast(&writer->changed);
	}
	pthread_mutex_unlock(&writer->mutex);
	return NULL;
}

bool rg_journal_writer_sync_one(struct rg_journal_writer *writer)
{
	struct sync_order order;

	if (!writer->orders_count)
		return false;
	order = writer->orders[writer->orders_first];
	writer->orders_first = (writer->orders_first + 1) % SYNCS_MAX;
	writer->orders_count--;
	finish_order(writer, &order);
	return true;
}

/* Order a sync of the open segment. Waits only when SYNCS_MAX orders are waiting already. */
static void order_sync(struct rg_journal_writer *writer, bool close_after)
{
	struct sync_order order = {
		writer->fd, close_after, {writer->written_index, writer->segment, writer->offset}};

	writer->unsynced_bytes = 0;
	if (!writer->thread_runs && !writer->options.sync_by_hand) {
		finish_order(writer, &order);
		return;
	}
	if (writer->options.sync_by_hand && writer->orders_count == SYNCS_MAX)
		rg_journal_writer_sync_one(writer);
	pthread_mutex_lock(&writer->mutex);
	while (writer->orders_count == SYNCS_MAX)
		pthread_cond_wait(&writer->changed, &writer->mutex);
	writer->orders[(writer->orders_first + writer->orders_count++) % SYNCS_MAX] = order;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->mutex);
}

static void wait_for_syncs(struct rg_journal_writer *writer)
{
	while (writer->options.sync_by_hand && rg_journal_writer_sync_one(writer))
		;
	pthread_mutex_lock(&writer->mutex);
	while (writer->orders_count)
		pthread_cond_wait(&writer->changed, &writer->mutex);
	pthread_mutex_unlock(&writer->mutex);
}

/* A failure that nobody was told of: leave that file for a new one. */
static int report_failure(struct rg_journal_writer *writer, struct rg_error *err)
{
	uint64_t failures, segment;
	int errnum;

	pthread_mutex_lock(&writer->mutex);
	failures = writer->sync_failures;
	errnum = writer->sync_errno;
	segment = writer->failed_segment;
	pthread_mutex_unlock(&writer->mutex);
	if (failures == writer->failures_reported)
		return rg_error_set(err, RG_OK, "%s", "");
	writer->failures_reported = failures;
	if (segment == writer->segment && writer->written_index > segment)
		writer->rotate = true;
	return rg_error_set_errno(err, RG_EIO, errnum,
				  "syncing journal segment %llu in %s: what was written since the "
				  "last sync may be lost if the "
				  "power fails now; going on in a new segment",
				  (unsigned long long)segment, writer->directory_name);
}

/* ---- segments ---- */

static int write_at(int fd, const uint8_t *bytes, uint64_t count, uint64_t offset)
{
	uint64_t done = 0;

	while (done < count) {
		ssize_t n = pwrite(fd, bytes + done, count - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (!n)
				errno = ENOSPC;
			return -1;
		}
		done += (uint64_t)n;
	}
	return 0;
}

static enum rg_journal_chain_kind wanted_chain(const struct rg_journal_writer_options *options)
{
	if (!options->chain)
		return RG_JOURNAL_UNCHAINED;
	return options->key_bytes ? RG_JOURNAL_CHAIN_HMAC : RG_JOURNAL_CHAIN_SHA256;
}

/* The beginning of the segment at written_index: header, POSITIONS, policies. NULL: out of memory.
 */
static uint8_t *make_beginning(struct rg_journal_writer *writer, uint64_t *bytes, uint64_t *frames)
{
	uint32_t positions_bytes = writer->newest_count * (uint32_t)sizeof(writer->newest[0]);
	uint64_t index = writer->written_index;
	uint8_t *image = aligned_alloc(8, sizeof(struct rg_journal_segment_header) +
						  rg_journal_frame_bytes(sizeof(writer->newest)) +
						  policies_bytes(writer));
	struct rg_journal_segment_header *header = (struct rg_journal_segment_header *)image;

	if (!image)
		return NULL;
	*header = (struct rg_journal_segment_header){.node = writer->options.node,
						     .first_index = index,
						     .records_before = writer->statistics.records,
						     .created_ns = clock_ns(CLOCK_REALTIME),
						     .chain = wanted_chain(&writer->options)};
	if (writer->options.chain)
		memcpy(header->link, rg_journal_chain_link(writer->chain), sizeof(header->link));
	rg_journal_segment_header_finish(header);
	*bytes = sizeof(*header);
	if (positions_bytes)
		*bytes += rg_journal_frame_make(image + *bytes, RG_JOURNAL_POSITIONS, index++,
						writer->newest, positions_bytes);
	for (uint32_t i = 0; i < writer->policies_count; i++)
		*bytes += rg_journal_frame_make(image + *bytes, RG_JOURNAL_POLICY, index++,
						writer->policies[i].payload,
						writer->policies[i].payload_bytes);
	*frames = index - writer->written_index;
	return image;
}

/* Write a new segment's beginning and make it durable, with its name. Its descriptor; -1: errno says
 * why, and nothing is left of it. */
static int write_beginning(struct rg_journal_writer *writer, const char *name, const uint8_t *image,
			   uint64_t bytes)
{
	int fd = openat(writer->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int failed;

	RG_FAILPOINT("journal.segment_created");
	if (fd < 0)
		return -1;
	if (!RG_FAILPOINT_FAILS("journal.segment_write") && !write_at(fd, image, bytes, 0) &&
	    !fdatasync(fd) && !fsync(writer->directory))
		return fd;
	failed = errno;
	close(fd);
	unlinkat(writer->directory, name, 0);
	errno = failed;
	return -1;
}

/* Create the segment that begins at written_index and make it the open one. */
static int create_segment(struct rg_journal_writer *writer, struct rg_error *err)
{
	uint64_t bytes, frames, index = writer->written_index;
	uint8_t *image = make_beginning(writer, &bytes, &frames);
	char name[RG_JOURNAL_NAME_BYTES];
	int fd;

	if (!image)
		return rg_error_set(err, RG_ENOMEM, "out of memory for a journal segment");
	rg_journal_segment_name(index, name);
	fd = write_beginning(writer, name, image, bytes);
	if (fd < 0) {
		int failed = errno;

		free(image);
		return rg_error_set_errno(err, RG_EIO, failed, "creating journal segment %s/%s",
					  writer->directory_name, name);
	}
	RG_FAILPOINT("journal.segment_written");
	if (writer->options.chain) {
		const struct rg_journal_segment_header *header = (const void *)image;

		rg_journal_chain_begin(writer->chain, header);
		rg_journal_chain_add(writer->chain, header + 1, bytes - sizeof(*header));
	}
	free(image);
	writer->fd = fd;
	writer->chained = writer->options.chain;
	writer->unsealed_bytes = 0;
	writer->segment = index;
	writer->offset = writer->born_offset = bytes;
	writer->written_index = writer->next_index = index + frames;
	writer->statistics.segments_created++;
	writer->statistics.frames_written += frames;
	writer->rotate = false;
	return RG_OK;
}

/* Stage the seal of what is staged and in no seal yet; has_room() has left room for it. */
static void seal(struct rg_journal_writer *writer)
{
	struct rg_journal_seal payload;

	rg_journal_chain_add(writer->chain, writer->staging + writer->sealed_bytes,
			     writer->staged_bytes - writer->sealed_bytes);
	rg_journal_chain_seal(writer->chain, &payload);
	writer->staged_bytes +=
		rg_journal_frame_make(writer->staging + writer->staged_bytes, RG_JOURNAL_SEAL,
				      writer->next_index++, &payload, sizeof(payload));
	writer->sealed_bytes = writer->staged_bytes;
	writer->unsealed_bytes = 0;
}

/* Leave the open segment for a new one. Only with nothing staged. */
static int rotate(struct rg_journal_writer *writer, struct rg_error *err)
{
	if (writer->fd >= 0) {
		order_sync(writer, true);
		writer->fd = -1;
	}
	RG_FAILPOINT("journal.rotate");
	return create_segment(writer, err);
}

/* ---- recovery ---- */

static void learn_header(struct rg_journal_writer *writer,
			 const struct rg_journal_segment_header *header)
{
	writer->chained = header->chain != RG_JOURNAL_UNCHAINED;
	writer->unsealed_bytes = 0;
	if (writer->chained)
		rg_journal_chain_begin(writer->chain, header);
}

/* Follow the chain of the segment that is replayed. What is wrong, or NULL. */
static const char *learn_chain(struct rg_journal_writer *writer,
			       const struct rg_journal_segment_header *header,
			       const struct rg_journal_frame *frame)
{
	const uint8_t *bytes =
		(const uint8_t *)frame->payload - sizeof(struct rg_journal_frame_header);

	if (frame->index == frame->segment)
		learn_header(writer, header);
	if (!writer->chained)
		return NULL;
	if (frame->kind == RG_JOURNAL_SEAL &&
	    frame->payload_bytes == sizeof(struct rg_journal_seal)) {
		writer->unsealed_bytes = 0;
		return rg_journal_chain_check(writer->chain, frame->payload, NULL);
	}
	writer->unsealed_bytes += rg_journal_frame_bytes(frame->payload_bytes);
	rg_journal_chain_add(writer->chain, bytes, rg_journal_frame_bytes(frame->payload_bytes));
	return NULL;
}

static void learn_frame(struct rg_journal_writer *writer, const struct rg_journal_frame *frame)
{
	if (frame->kind == RG_JOURNAL_RECORD && frame->payload_bytes >= sizeof(struct rg_record)) {
		const struct rg_record *record = frame->payload;

		learn(writer, record->node, record->epoch, record->worker, record->sequence);
		writer->statistics.records++;
	} else if (frame->kind == RG_JOURNAL_POLICY) {
		remember_policy(writer, frame->payload, frame->payload_bytes);
	} else if (frame->kind == RG_JOURNAL_POSITIONS) {
		const struct rg_journal_newest *newest = frame->payload;

		for (uint32_t i = 0; i < frame->payload_bytes / sizeof(*newest); i++)
			learn(writer, newest[i].node, newest[i].epoch, newest[i].worker,
			      newest[i].sequence);
	}
}

/* Read the segment from its beginning to its last whole frame; *end is the place after that. Damage
 * between whole frames is described in recovery->damage. */
static int replay_segment(struct rg_journal_writer *writer, uint64_t segment,
			  struct rg_journal_position *end, struct rg_journal_recovery *recovery,
			  struct rg_error *err)
{
	const struct rg_journal_position from = {segment, segment, 0};
	struct rg_journal_reader *reader;
	struct rg_journal_frame frame;
	struct rg_error why = {0};
	uint64_t lost;
	int rc = rg_journal_reader_open(writer->directory_name, &from, &reader, err);

	if (rc)
		return rc;
	for (;;) {
		rc = rg_journal_reader_next(reader, &frame, &why);
		if (!rc) {
			const char *broken =
				learn_chain(writer, rg_journal_reader_header(reader), &frame);

			learn_frame(writer, &frame);
			if (broken && !recovery->damage[0])
				snprintf(recovery->damage, sizeof(recovery->damage),
					 "segment %llu, offset %llu: %s",
					 (unsigned long long)segment,
					 (unsigned long long)frame.offset, broken);
			continue;
		}
		rg_journal_reader_position(reader, end);
		if ((rc != RG_EAGAIN && rc != RG_ECORRUPT) ||
		    rg_journal_reader_skip_damage(reader, &lost, err))
			break;
		if (!recovery->damage[0])
			snprintf(recovery->damage, sizeof(recovery->damage),
				 "%.180s; %llu frames are missing",
				 rc == RG_EAGAIN
					 ? "a frame is cut off in the middle of the last segment"
					 : why.text,
				 (unsigned long long)lost);
	}
	rg_journal_reader_close(reader);
	if (rc == RG_EAGAIN || rc == RG_ECORRUPT)
		return RG_OK;
	return rg_error_set(err, rc, "%s", why.text);
}

/* A last segment without one whole frame whose header is not whole either: it was being created.
 * Take it away. */
static int remove_unborn(struct rg_journal_writer *writer, const char *name,
			 struct rg_journal_recovery *recovery, struct rg_error *err)
{
	if (unlinkat(writer->directory, name, 0) || fsync(writer->directory))
		return rg_error_set_errno(err, RG_EIO, errno,
					  "removing the unfinished journal segment %s/%s",
					  writer->directory_name, name);
	recovery->torn_offset = 0;
	return RG_OK;
}

/* Cut the open segment behind its last whole frame. */
static int cut_tail(struct rg_journal_writer *writer, const char *name, uint64_t size,
		    struct rg_journal_recovery *recovery, struct rg_error *err)
{
	if (size > writer->offset) {
		if (ftruncate(writer->fd, (off_t)writer->offset) || fdatasync(writer->fd))
			return rg_error_set_errno(err, RG_EIO, errno,
						  "cutting the torn end of %s/%s",
						  writer->directory_name, name);
		recovery->torn_bytes = size - writer->offset;
		recovery->torn_offset = writer->offset;
		snprintf(recovery->torn_file, sizeof(recovery->torn_file), "%s", name);
	}
	return RG_OK;
}

/* The option `chain` was changed: seal the segment as it is and go on in a new one. */
static int leave_segment(struct rg_journal_writer *writer, struct rg_error *err)
{
	writer->rotate = true;
	return rg_journal_writer_flush(writer, 0, err);
}

static int recover_segment(struct rg_journal_writer *writer, uint64_t segment,
			   struct rg_journal_recovery *recovery, struct rg_error *err)
{
	struct rg_journal_segment_header header = {0};
	struct rg_journal_position end;
	ssize_t header_bytes;
	char name[RG_JOURNAL_NAME_BYTES];
	struct stat status;
	bool header_good;
	int rc = replay_segment(writer, segment, &end, recovery, err);

	if (rc)
		return rc;
	rg_journal_segment_name(segment, name);
	writer->fd = openat(writer->directory, name, O_RDWR | O_CLOEXEC);
	if (writer->fd < 0 || fstat(writer->fd, &status))
		return rg_error_set_errno(err, RG_EIO, errno, "journal segment %s/%s",
					  writer->directory_name, name);
	header_bytes = pread(writer->fd, &header, sizeof(header), 0);
	header_good = header_bytes > 0 && !rg_journal_segment_header_check(
						  &header, (uint64_t)header_bytes, segment, NULL);
	if (header_good)
		writer->statistics.records += header.records_before;
	if (header_good && end.index == segment) /* not one frame */
		learn_header(writer, &header);
	writer->segment = segment;
	writer->offset = end.offset;
	writer->written_index = writer->next_index = end.index;
	if (!header_good && end.index == segment && (uint64_t)status.st_size <= UNBORN_BYTES_MAX) {
		close(writer->fd);
		writer->fd = -1;
		recovery->torn_bytes = (uint64_t)status.st_size;
		snprintf(recovery->torn_file, sizeof(recovery->torn_file), "%s", name);
		return remove_unborn(writer, name, recovery, err);
	}
	if (recovery->damage[0] || !header_good) {
		if (!recovery->damage[0])
			snprintf(recovery->damage, sizeof(recovery->damage),
				 "%s: its header is damaged", name);
		if (end.index ==
		    segment) /* nothing of it can be read: pass over every index it may have used */
			writer->written_index = writer->next_index =
				segment + (uint64_t)status.st_size / 8;
		close(writer->fd);
		writer->fd = -1;
		return RG_OK; /* it stays as it is; writing goes on in a new one */
	}
	rc = cut_tail(writer, name, (uint64_t)status.st_size, recovery, err);
	if (rc || header.chain == wanted_chain(&writer->options))
		return rc;
	if (end.index != segment)
		return leave_segment(writer, err);
	/* not one frame: the new segment has its name */
	close(writer->fd);
	writer->fd = -1;
	if (unlinkat(writer->directory, name, 0) || fsync(writer->directory))
		return rg_error_set_errno(err, RG_EIO, errno,
					  "removing the empty journal segment %s/%s",
					  writer->directory_name, name);
	return RG_OK;
}

/* Find the end of the journal; afterwards fd is the last segment, or -1: a new one begins at
 * written_index. */
static int recover(struct rg_journal_writer *writer, struct rg_journal_recovery *recovery,
		   struct rg_error *err)
{
	bool unfinished = false;

	for (;;) {
		uint64_t last, count;
		int rc = rg_journal_segment_last(writer->directory, &last, &count, err);

		if (rc == RG_EAGAIN)
			return RG_OK;
		if (rc)
			return rc;
		recovery->segments = count;
		rc = recover_segment(writer, last, recovery, err);
		if (rc || recovery->damage[0])
			return rc;
		if (writer->fd >= 0)
			break;
		/* an unfinished segment was taken away: the one before it is the last now */
		unfinished = true;
	}
	if (unfinished) { /* it is begun again, under its name: a reader may wait in it */
		close(writer->fd);
		writer->fd = -1;
	}
	return RG_OK;
}

/* ---- opening and closing ---- */

static int check_options(const struct rg_journal_writer_options *options, struct rg_error *err)
{
	if (!options->directory || !*options->directory)
		return rg_error_set(err, RG_EINVAL,
				    "the journal's folder is empty: set journal.directory");
	if (options->segment_bytes < RG_JOURNAL_SEGMENT_BYTES_MIN ||
	    options->segment_bytes > RG_JOURNAL_SEGMENT_BYTES_MAX)
		return rg_error_set(
			err, RG_EINVAL, "journal.segment_bytes is %llu: it must be %d to %llu",
			(unsigned long long)options->segment_bytes, RG_JOURNAL_SEGMENT_BYTES_MIN,
			(unsigned long long)RG_JOURNAL_SEGMENT_BYTES_MAX);
	if (options->key_bytes && !options->chain)
		return rg_error_set(err, RG_EINVAL,
				    "journal.chain_key is set, but journal.chain is not");
	return RG_OK;
}

static int open_folder(struct rg_journal_writer *writer, struct rg_error *err)
{
	const char *name = writer->directory_name;

	if (mkdir(name, 0750) && errno != EEXIST)
		return rg_error_set_errno(err, RG_EIO, errno, "making the journal's folder %s",
					  name);
	writer->directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (writer->directory < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "journal folder %s", name);
	writer->lock = openat(writer->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (writer->lock < 0)
		return rg_error_set_errno(err, RG_EIO, errno, "%s/lock", name);
	if (flock(writer->lock, LOCK_EX | LOCK_NB))
		return rg_error_set_errno(err, errno == EWOULDBLOCK ? RG_ECONFLICT : RG_EIO, errno,
					  "%s/lock: another process writes this journal", name);
	return RG_OK;
}

static int start_thread(struct rg_journal_writer *writer, struct rg_error *err)
{
	int failed;

	if (!writer->options.sync_interval_ns || writer->options.sync_by_hand)
		return RG_OK;
	failed = pthread_create(&writer->thread, NULL, sync_thread, writer);
	if (failed)
		return rg_error_set_errno(err, RG_ENOMEM, failed,
					  "starting the journal's sync thread");
	writer->thread_runs = true;
	return RG_OK;
}

int rg_journal_writer_open(const struct rg_journal_writer_options *options,
			   struct rg_journal_writer **out, struct rg_journal_recovery *recovery,
			   struct rg_error *err)
{
	struct rg_journal_writer *writer;
	int rc = check_options(options, err);

	if (rc)
		return rc;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return rg_error_set(err, RG_ENOMEM, "out of memory for a journal writer");
	memset(recovery, 0, sizeof(*recovery));
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_cond_init(&writer->changed, NULL);
	writer->options = *options;
	writer->options.key = NULL; /* the chain has a copy */
	writer->directory = writer->lock = writer->fd = -1;
	writer->opened_unix_ns = clock_ns(CLOCK_REALTIME);
	writer->opened_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
	writer->directory_name = strdup(options->directory);
	writer->staging = aligned_alloc(64, (STAGING_BYTES + 63) & ~63ull);
	if (!writer->directory_name || !writer->staging)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory for a journal writer");
	if (!rc)
		rc = rg_journal_chain_new(options->key, options->key_bytes, &writer->chain, err);
	if (!rc)
		rc = open_folder(writer, err);
	if (!rc)
		rc = recover(writer, recovery, err);
	RG_FAILPOINT("journal.recovered");
	if (!rc && writer->fd < 0)
		rc = create_segment(writer, err);
	if (!rc) /* what a killed predecessor wrote may not be on the disk yet */
		rc = rg_journal_segment_sync_all(writer->directory, err);
	if (!rc) {
		rg_journal_writer_end(writer, &writer->durable);
		rc = start_thread(writer, err);
	}
	recovery->next_index = writer->next_index;
	recovery->records = writer->statistics.records;
	if (rc)
		rg_journal_writer_close(writer);
	else
		*out = writer;
	return rc;
}

void rg_journal_writer_close(struct rg_journal_writer *writer)
{
	if (!writer)
		return;
	if (writer->thread_runs) {
		pthread_mutex_lock(&writer->mutex);
		writer->stop = true;
		pthread_cond_broadcast(&writer->changed);
		pthread_mutex_unlock(&writer->mutex);
		pthread_join(writer->thread, NULL);
	}
	pthread_cond_destroy(&writer->changed);
	pthread_mutex_destroy(&writer->mutex);
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->lock >= 0)
		close(writer->lock);
	if (writer->directory >= 0)
		close(writer->directory);
	while (writer->policies_count)
		forget_policy(writer, 0);
	rg_journal_chain_free(writer->chain);
	free(writer->directory_name);
	free(writer->staging);
	free(writer);
}

/* ---- staging and writing ---- */

/* Is there room for a frame in staging and in the segment? If not, the next flush makes it. */
static bool has_room(struct rg_journal_writer *writer, uint64_t bytes)
{
	uint64_t end = writer->offset + writer->staged_bytes;
	/* a segment takes at least one frame, whatever its size */
	bool empty = writer->next_index == writer->segment || end == writer->born_offset;

	if (writer->rotate || writer->fd < 0)
		return false;
	if (writer->chained)
		bytes += SEAL_BYTES;
	if (end + bytes > writer->options.segment_bytes && !empty) {
		writer->rotate = true;
		return false;
	}
	return writer->staged_bytes + bytes <= STAGING_BYTES;
}

/* Where the payload of the next frame goes; NULL: there is no room for it. */
static uint8_t *reserve(struct rg_journal_writer *writer, uint32_t payload_bytes)
{
	if (!has_room(writer, rg_journal_frame_bytes(payload_bytes)))
		return NULL;
	return writer->staging + writer->staged_bytes + sizeof(struct rg_journal_frame_header);
}

/* The payload is where reserve() said: a frame it is. */
static void stage(struct rg_journal_writer *writer, enum rg_journal_kind kind,
		  uint32_t payload_bytes)
{
	writer->staged_bytes += rg_journal_frame_finish(writer->staging + writer->staged_bytes,
							kind, writer->next_index++, payload_bytes);
}

int rg_journal_writer_add(struct rg_journal_writer *writer, enum rg_journal_kind kind,
			  const void *payload, uint32_t payload_bytes)
{
	uint8_t *at;

	if (!payload_bytes || payload_bytes > RG_JOURNAL_PAYLOAD_BYTES_MAX)
		return RG_ELIMIT;
	at = reserve(writer, payload_bytes);
	if (!at)
		return RG_EAGAIN;
	memcpy(at, payload, payload_bytes);
	stage(writer, kind, payload_bytes);
	if (kind == RG_JOURNAL_POLICY)
		remember_policy(writer, payload, payload_bytes);
	return RG_OK;
}

struct rg_record *rg_journal_writer_reserve(struct rg_journal_writer *writer, uint32_t bytes)
{
	return (struct rg_record *)(void *)reserve(writer, bytes);
}

/* Stage the record that lies where reserve() said; newest: its worker's entry, or NULL. */
static int stage_record(struct rg_journal_writer *writer, const struct rg_record *record,
			struct rg_journal_newest *newest, uint64_t *gap)
{
	uint64_t before = newest ? newest->sequence : 0;

	/* The table moves only with the record: a POSITIONS frame never speaks of what is not
	 * written before it. */
	if (!newest)
		newest = add_newest(writer, record->node, record->epoch, record->worker);
	newest->sequence = record->sequence;
	writer->staged_records++;
	writer->statistics.gaps += record->sequence - before - 1;
	if (gap)
		*gap = record->sequence - before - 1;
	stage(writer, RG_JOURNAL_RECORD, record->length);
	return RG_OK;
}

int rg_journal_writer_put(struct rg_journal_writer *writer, uint64_t *gap)
{
	const struct rg_record *record = (const void *)(writer->staging + writer->staged_bytes +
							sizeof(struct rg_journal_frame_header));
	struct rg_journal_newest *newest =
		find_newest(writer, record->node, record->epoch, record->worker);

	if (newest && record->sequence <= newest->sequence) {
		writer->statistics.duplicates++;
		return RG_ECONFLICT;
	}
	return stage_record(writer, record, newest, gap);
}

int rg_journal_writer_record(struct rg_journal_writer *writer, const struct rg_record *record,
			     uint64_t *gap)
{
	struct rg_journal_newest *newest =
		find_newest(writer, record->node, record->epoch, record->worker);
	struct rg_record *copy;

	if (newest && record->sequence <= newest->sequence) { /* whether there is room or not */
		writer->statistics.duplicates++;
		return RG_ECONFLICT;
	}
	copy = rg_journal_writer_reserve(writer, record->length);
	if (!copy)
		return RG_EAGAIN;
	memcpy(copy, record, record->length);
	return stage_record(writer, copy, newest, gap);
}

int rg_journal_writer_flush(struct rg_journal_writer *writer, uint64_t now_ns, struct rg_error *err)
{
	if (writer->chained && writer->fd >= 0 &&
	    (writer->sealed_bytes < writer->staged_bytes || writer->unsealed_bytes))
		seal(writer);
	if (writer->staged_bytes) {
		uint64_t probe = rg_probe_io_begin();
		bool failed;

		RG_FAILPOINT("journal.before_write");
		failed =
			RG_FAILPOINT_FAILS("journal.write") ||
			write_at(writer->fd, writer->staging, writer->staged_bytes, writer->offset);
		rg_probe_io_end(probe, RG_IO_WRITE, "journal", writer->staged_bytes, failed);
		if (failed) {
			writer->statistics.write_failures++;
			return rg_error_set_errno(err, RG_EIO, errno, "writing the journal in %s",
						  writer->directory_name);
		}
		RG_FAILPOINT("journal.written");
		if (!writer->unsynced_bytes)
			writer->unsynced_since_ns = now_ns;
		writer->unsynced_bytes += writer->staged_bytes;
		writer->offset += writer->staged_bytes;
		writer->statistics.bytes_written += writer->staged_bytes;
		writer->statistics.records_written += writer->staged_records;
		writer->statistics.records += writer->staged_records;
		writer->statistics.frames_written += writer->next_index - writer->written_index;
		writer->written_index = writer->next_index;
		writer->staged_bytes = writer->staged_records = writer->sealed_bytes = 0;
		if (!writer->options.sync_interval_ns)
			order_sync(writer, false);
	}
	if (writer->rotate || writer->fd < 0) {
		int rc = rotate(writer, err);

		if (rc)
			writer->statistics.write_failures++;
		return rc;
	}
	return RG_OK;
}

int rg_journal_writer_step(struct rg_journal_writer *writer, uint64_t now_ns, struct rg_error *err)
{
	bool due = writer->unsynced_bytes && writer->fd >= 0 &&
		   (now_ns - writer->unsynced_since_ns >= writer->options.sync_interval_ns ||
		    (writer->options.sync_bytes &&
		     writer->unsynced_bytes >= writer->options.sync_bytes));
	int work = 0;

	if (due) {
		bool busy;

		/* A slow disk is not hurried: the next sync covers what came meanwhile. */
		pthread_mutex_lock(&writer->mutex);
		busy = writer->orders_count > 0;
		pthread_mutex_unlock(&writer->mutex);
		if (!busy) {
			order_sync(writer, false);
			work = 1;
		}
	}
	report_failure(writer, err);
	return work;
}

int rg_journal_writer_sync(struct rg_journal_writer *writer, struct rg_error *err)
{
	if (writer->fd >= 0)
		order_sync(writer, false);
	wait_for_syncs(writer);
	return report_failure(writer, err);
}

int rg_journal_writer_retain(struct rg_journal_writer *writer,
			     const struct rg_journal_retention *retention, struct rg_error *err)
{
	struct rg_error failure = {RG_OK};

	pthread_mutex_lock(&writer->mutex);
	if (writer->retention_failures != writer->retention_failures_reported)
		failure = writer->retention_error;
	writer->retention_failures_reported = writer->retention_failures;
	writer->retention = *retention;
	writer->retention_ordered = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->mutex);
	if (!writer->thread_runs)
		finish_retention(writer);
	if (failure.status)
		*err = failure;
	return failure.status;
}

void rg_journal_writer_end(const struct rg_journal_writer *writer, struct rg_journal_position *end)
{
	*end = (struct rg_journal_position){writer->written_index, writer->segment, writer->offset};
}

void rg_journal_writer_durable(struct rg_journal_writer *writer,
			       struct rg_journal_position *durable)
{
	pthread_mutex_lock(&writer->mutex);
	*durable = writer->durable;
	pthread_mutex_unlock(&writer->mutex);
}

void rg_journal_writer_statistics(const struct rg_journal_writer *writer,
				  struct rg_journal_statistics *statistics)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)&writer->mutex;

	*statistics = writer->statistics;
	statistics->staged_bytes = writer->staged_bytes;
	pthread_mutex_lock(mutex);
	statistics->syncs = writer->syncs;
	statistics->sync_failures = writer->sync_failures;
	statistics->sync_ns_max = writer->sync_ns_max;
	statistics->segments = writer->removed.segments;
	statistics->bytes = writer->removed.bytes;
	statistics->segments_removed = writer->removed.removed_segments;
	statistics->bytes_removed = writer->removed.removed_bytes;
	statistics->frames_abandoned = writer->removed.abandoned_frames;
	statistics->retention_failures = writer->retention_failures;
	pthread_mutex_unlock(mutex);
}

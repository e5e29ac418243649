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
#include "journal/segment.h"

#define STAGING_BYTES (4 * RG_JOURNAL_FRAME_BYTES_MAX)
#define NEWEST_MAX                                                                                 \
	1024 /* (node, epoch, worker) remembered: workers times the epochs whose records may still \
		lie in rings */
#define SYNCS_MAX 16 /* syncs waiting for the thread */
/* A segment that was being created has its header and its POSITIONS at most. */
#define UNBORN_BYTES_MAX                                                                           \
	(sizeof(struct rg_journal_segment_header) + 16 +                                           \
	 NEWEST_MAX * sizeof(struct rg_journal_newest))

/* One order to the sync thread: make everything in fd durable, which is then durable up to
 * `position`. */
struct sync_order {
	int fd;
	bool close_after; /* the segment is full: nobody else uses fd any more */
	struct rg_journal_position position;
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

/* ---- syncing ---- */

static void finish_order(struct rg_journal_writer *writer, const struct sync_order *order)
{
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC), took_ns;
	int failed = RG_FAILPOINT_FAILS("journal.sync") || fdatasync(order->fd) ? errno : 0;

	RG_FAILPOINT("journal.synced");
	took_ns = clock_ns(CLOCK_MONOTONIC) - begin_ns;
	if (order->close_after)
		close(order->fd);
	pthread_mutex_lock(&writer->mutex);
	writer->syncs++;
	if (took_ns > writer->sync_ns_max)
		writer->sync_ns_max = took_ns;
	if (failed) {
		writer->sync_failures++;
		writer->sync_errno = failed;
		writer->failed_segment = order->position.segment;
	}
	writer->durable =
		order->position; /* after a failure too: it is reported, and readers must go on */
	pthread_mutex_unlock(&writer->mutex);
}

static void *sync_thread(void *argument)
{
	struct rg_journal_writer *writer = argument;

	pthread_mutex_lock(&writer->mutex);
	while (writer->orders_count || !writer->stop) {
		struct sync_order order;

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

/* Create the segment that begins at written_index, with POSITIONS as its first frame, and make it
 * the open one. */
static int create_segment(struct rg_journal_writer *writer, struct rg_error *err)
{
	uint32_t positions_bytes = writer->newest_count * (uint32_t)sizeof(writer->newest[0]);
	uint64_t bytes = sizeof(struct rg_journal_segment_header), index = writer->written_index;
	char name[RG_JOURNAL_NAME_BYTES];
	uint8_t *image = aligned_alloc(8, bytes + rg_journal_frame_bytes(sizeof(writer->newest)));
	int fd, failed = 0;

	if (!image)
		return rg_error_set(err, RG_ENOMEM, "out of memory for a journal segment");
	rg_journal_segment_name(index, name);
	rg_journal_segment_header_fill((struct rg_journal_segment_header *)image,
				       writer->options.node, index, writer->statistics.records,
				       clock_ns(CLOCK_REALTIME));
	if (positions_bytes)
		bytes += rg_journal_frame_make(image + bytes, RG_JOURNAL_POSITIONS, index,
					       writer->newest, positions_bytes);
	fd = openat(writer->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	RG_FAILPOINT("journal.segment_created");
	if (fd < 0) {
		failed = errno;
	} else if (RG_FAILPOINT_FAILS("journal.segment_write") || write_at(fd, image, bytes, 0) ||
		   fdatasync(fd) || fsync(writer->directory)) {
		failed = errno;
		close(fd);
		unlinkat(writer->directory, name, 0);
	}
	free(image);
	if (failed)
		return rg_error_set_errno(err, RG_EIO, failed, "creating journal segment %s/%s",
					  writer->directory_name, name);
	RG_FAILPOINT("journal.segment_written");
	writer->fd = fd;
	writer->segment = index;
	writer->offset = writer->born_offset = bytes;
	writer->written_index = writer->next_index = index + (positions_bytes != 0);
	writer->statistics.segments_created++;
	writer->statistics.frames_written += positions_bytes != 0;
	writer->rotate = false;
	return RG_OK;
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

static void learn_frame(struct rg_journal_writer *writer, const struct rg_journal_frame *frame)
{
	if (frame->kind == RG_JOURNAL_RECORD && frame->payload_bytes >= sizeof(struct rg_record)) {
		const struct rg_record *record = frame->payload;

		learn(writer, record->node, record->epoch, record->worker, record->sequence);
		writer->statistics.records++;
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
	const struct rg_journal_position from = {segment, segment,
						 sizeof(struct rg_journal_segment_header)};
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
			learn_frame(writer, &frame);
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

static int recover_segment(struct rg_journal_writer *writer, uint64_t segment,
			   struct rg_journal_recovery *recovery, struct rg_error *err)
{
	struct rg_journal_segment_header header = {0};
	struct rg_journal_position end;
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
	header_good = pread(writer->fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
		      !rg_journal_segment_header_check(&header, segment, NULL);
	if (header_good)
		writer->statistics.records += header.records_before;
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
	return cut_tail(writer, name, (uint64_t)status.st_size, recovery, err);
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
		order_sync(writer, true);
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
	writer->directory = writer->lock = writer->fd = -1;
	writer->directory_name = strdup(options->directory);
	writer->staging = aligned_alloc(64, (STAGING_BYTES + 63) & ~63ull);
	if (!writer->directory_name || !writer->staging)
		rc = rg_error_set(err, RG_ENOMEM, "out of memory for a journal writer");
	if (!rc)
		rc = open_folder(writer, err);
	if (!rc)
		rc = recover(writer, recovery, err);
	RG_FAILPOINT("journal.recovered");
	if (!rc && writer->fd < 0)
		rc = create_segment(writer, err);
	if (!rc) {
		/* what a killed predecessor wrote may not be on the disk yet */
		order_sync(writer, false);
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
	if (end + bytes > writer->options.segment_bytes && !empty) {
		writer->rotate = true;
		return false;
	}
	return writer->staged_bytes + bytes <= STAGING_BYTES;
}

static int stage(struct rg_journal_writer *writer, enum rg_journal_kind kind, const void *payload,
		 uint32_t payload_bytes)
{
	if (!payload_bytes || payload_bytes > RG_JOURNAL_PAYLOAD_BYTES_MAX)
		return RG_ELIMIT;
	if (!has_room(writer, rg_journal_frame_bytes(payload_bytes)))
		return RG_EAGAIN;
	writer->staged_bytes += rg_journal_frame_make(writer->staging + writer->staged_bytes, kind,
						      writer->next_index++, payload, payload_bytes);
	return RG_OK;
}

int rg_journal_writer_add(struct rg_journal_writer *writer, enum rg_journal_kind kind,
			  const void *payload, uint32_t payload_bytes)
{
	return stage(writer, kind, payload, payload_bytes);
}

int rg_journal_writer_record(struct rg_journal_writer *writer, const struct rg_record *record,
			     uint64_t *gap)
{
	struct rg_journal_newest *newest =
		find_newest(writer, record->node, record->epoch, record->worker);
	uint64_t before = newest ? newest->sequence : 0;
	int rc;

	if (record->sequence <= before) {
		writer->statistics.duplicates++;
		return RG_ECONFLICT;
	}
	/* The table moves only with the record: a POSITIONS frame never speaks of what is not
	 * written before it. */
	rc = stage(writer, RG_JOURNAL_RECORD, record, record->length);
	if (rc)
		return rc;
	if (!newest)
		newest = add_newest(writer, record->node, record->epoch, record->worker);
	newest->sequence = record->sequence;
	writer->staged_records++;
	writer->statistics.gaps += record->sequence - before - 1;
	if (gap)
		*gap = record->sequence - before - 1;
	return RG_OK;
}

int rg_journal_writer_flush(struct rg_journal_writer *writer, uint64_t now_ns, struct rg_error *err)
{
	if (writer->staged_bytes) {
		RG_FAILPOINT("journal.before_write");
		if (RG_FAILPOINT_FAILS("journal.write") ||
		    write_at(writer->fd, writer->staging, writer->staged_bytes, writer->offset)) {
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
		writer->staged_bytes = writer->staged_records = 0;
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
	pthread_mutex_unlock(mutex);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/segment.h"
#include "shm/histogram.h"

static char root[64], folder[96];
static bool chained; /* writers are opened with a chain */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

/* An empty journal folder for the next test. */
static void fresh(void)
{
	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct rg_journal_writer_options options_with(uint64_t segment_bytes,
						     uint64_t sync_interval_ns)
{
	return (struct rg_journal_writer_options){.directory = folder,
						  .node = 7,
						  .segment_bytes = segment_bytes,
						  .sync_interval_ns = sync_interval_ns,
						  .sync_bytes = 1 << 20,
						  .chain = chained};
}

static struct rg_journal_writer *open_writer(uint64_t segment_bytes,
					     struct rg_journal_recovery *recovery)
{
	struct rg_journal_writer_options options = options_with(segment_bytes, 1000000);
	struct rg_journal_writer *writer;
	struct rg_error err;

	if (rg_journal_writer_open(&options, &writer, recovery, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return writer;
}

/* A record whose bytes follow from its key. */
static const struct rg_record *make_record(uint64_t epoch, uint16_t worker, uint64_t sequence)
{
	static _Alignas(8) uint8_t bytes[sizeof(struct rg_record) + 256];
	struct rg_record *record = (struct rg_record *)bytes;
	uint16_t request_bytes = (uint16_t)((sequence * 7 + worker) % 200);

	memset(bytes, 0, sizeof(bytes));
	record->length = (uint32_t)(sizeof(*record) + request_bytes);
	record->kind = RG_RECORD_DECISION;
	record->version = RG_RECORD_VERSION;
	record->node = 7;
	record->epoch = epoch;
	record->worker = worker;
	record->sequence = sequence;
	record->verdict = 1;
	record->request_bytes = request_bytes;
	for (uint16_t i = 0; i < request_bytes; i++)
		bytes[sizeof(*record) + i] = (uint8_t)(sequence + i);
	return record;
}

/* Stage and, when there is no room, flush. */
static void put(struct rg_journal_writer *writer, uint64_t epoch, uint16_t worker,
		uint64_t sequence)
{
	struct rg_error err;
	uint64_t gap;
	int rc = rg_journal_writer_record(writer, make_record(epoch, worker, sequence), &gap);

	if (rc == RG_EAGAIN) {
		assert(!rg_journal_writer_flush(writer, 1, &err));
		rc = rg_journal_writer_record(writer, make_record(epoch, worker, sequence), &gap);
	}
	assert(!rc && gap == 0);
}

/* Read everything: each worker's records must come in order without a gap, from 1 to
 * counts[worker]. */
static uint64_t read_back(uint64_t *counts, uint32_t workers)
{
	struct rg_journal_reader *reader;
	struct rg_journal_frame frame;
	struct rg_error err;
	uint64_t total = 0, index = 0;
	int rc;

	memset(counts, 0, workers * sizeof(*counts));
	assert(!rg_journal_reader_open(folder, NULL, &reader, &err));
	while (!(rc = rg_journal_reader_next(reader, &frame, &err))) {
		const struct rg_record *record = frame.payload;

		assert(frame.index == index++);
		assert(((uintptr_t)frame.payload & 7) == 0);
		if (frame.kind != RG_JOURNAL_RECORD)
			continue;
		assert(!rg_record_check(frame.payload, frame.payload_bytes, NULL));
		assert(record->worker < workers && record->sequence == counts[record->worker] + 1);
		assert(!memcmp(frame.payload,
			       make_record(record->epoch, record->worker, record->sequence),
			       record->length));
		counts[record->worker]++;
		total++;
	}
	if (rc != RG_EAGAIN)
		fprintf(stderr, "%s\n", err.text);
	assert(rc == RG_EAGAIN);
	rg_journal_reader_close(reader);
	return total;
}

static void read_file(const char *path, uint8_t **bytes, size_t *size)
{
	FILE *file = fopen(path, "rb");
	struct stat status;

	assert(file && !fstat(fileno(file), &status));
	*size = (size_t)status.st_size;
	*bytes = malloc(*size + 1);
	assert(*bytes && fread(*bytes, 1, *size, file) == *size);
	fclose(file);
}

static void write_whole(const char *path, const uint8_t *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert(file && fwrite(bytes, 1, size, file) == size);
	assert(!fclose(file));
}

/* The open journal's first segment, as version 1 wrote it: a header of 64 bytes and the same frames.
 */
static void make_version_1(const char *path)
{
	struct rg_journal_segment_header header;
	uint8_t *bytes;
	size_t size;

	read_file(path, &bytes, &size);
	memcpy(&header, bytes, sizeof(header));
	header.version = 1;
	header.header_bytes = RG_JOURNAL_HEADER_BYTES_V1;
	header.crc32c = rg_crc32c(0, &header, offsetof(struct rg_journal_segment_header, crc32c));
	memcpy(bytes + sizeof(header) - RG_JOURNAL_HEADER_BYTES_V1, &header,
	       RG_JOURNAL_HEADER_BYTES_V1);
	write_whole(path, bytes + sizeof(header) - RG_JOURNAL_HEADER_BYTES_V1,
		    size - sizeof(header) + RG_JOURNAL_HEADER_BYTES_V1);
	free(bytes);
}

/* A journal of version 1 is read, and written on: in the same segment, or with a chain in a new one.
 */
static void test_version_1(void)
{
	for (int chain = 0; chain < 2; chain++) {
		struct rg_journal_recovery recovery;
		struct rg_journal_writer *writer;
		struct rg_journal_report report;
		struct rg_error err;
		uint64_t counts[1];
		char path[256];

		fresh();
		chained = false;
		writer = open_writer(1 << 20, &recovery);
		for (uint64_t i = 1; i <= 20; i++)
			put(writer, 5, 0, i);
		assert(!rg_journal_writer_flush(writer, 1, &err));
		rg_journal_writer_close(writer);
		snprintf(path, sizeof(path), "%s/journal-%020d.rgj", folder, 0);
		make_version_1(path);
		assert(!rg_journal_verify(folder, NULL, &report, &err) && report.records == 20);
		chained = chain;
		writer = open_writer(1 << 20, &recovery);
		assert(recovery.records == 20 && !recovery.damage[0] && !recovery.torn_bytes);
		put(writer, 5, 0, 21);
		assert(!rg_journal_writer_flush(writer, 1, &err));
		rg_journal_writer_close(writer);
		assert(read_back(counts, 1) == 21);
		assert(!rg_journal_verify(folder, NULL, &report, &err));
		assert(report.segments == (chain ? 2 : 1) &&
		       report.unchained_frames == (chain ? 20 : 21));
	}
	chained = false;
}

static void test_basic(void)
{
	struct rg_journal_position end, durable;
	struct rg_journal_statistics statistics;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer, *second;
	struct rg_journal_report report;
	struct rg_journal_writer_options options;
	struct rg_error err;
	uint64_t counts[2], gap;

	fresh();
	assert(rg_journal_verify(folder, NULL, &report, &err) == RG_ENOENT);
	options = options_with(100, 0);
	assert(rg_journal_writer_open(&options, &writer, &recovery, &err) == RG_EINVAL &&
	       strstr(err.text, "segment_bytes"));
	options = options_with(1 << 20, 0);
	options.directory = "";
	assert(rg_journal_writer_open(&options, &writer, &recovery, &err) == RG_EINVAL);
	writer = open_writer(1 << 20, &recovery);
	assert(!recovery.segments && !recovery.next_index && !recovery.torn_file[0] &&
	       !recovery.damage[0]);
	options.directory = folder;
	assert(rg_journal_writer_open(&options, &second, &recovery, &err) == RG_ECONFLICT &&
	       strstr(err.text, "another process"));
	assert(read_back(counts, 2) == 0);

	for (uint64_t i = 1; i <= 10; i++)
		put(writer, 5, 0, i);
	assert(read_back(counts, 2) == 0); /* staged only */
	assert(!rg_journal_writer_flush(writer, 1, &err) && read_back(counts, 2) == 10);
	assert(rg_journal_writer_record(writer, make_record(5, 0, 10), &gap) == RG_ECONFLICT);
	assert(rg_journal_writer_record(writer, make_record(5, 0, 3), NULL) == RG_ECONFLICT);
	assert(!rg_journal_writer_record(writer, make_record(5, 1, 3), &gap) && gap == 2);
	assert(!rg_journal_writer_record(writer, make_record(6, 0, 1), &gap) && gap == 0);
	assert(!rg_journal_writer_add(writer, RG_JOURNAL_POLICY, "{}", 2));
	assert(rg_journal_writer_add(writer, RG_JOURNAL_POLICY, "{}", 0) == RG_ELIMIT);
	assert(rg_journal_writer_add(writer, RG_JOURNAL_POLICY, "{}",
				     RG_JOURNAL_PAYLOAD_BYTES_MAX + 1) == RG_ELIMIT);
	assert(!rg_journal_writer_flush(writer, 2, &err) && !rg_journal_writer_sync(writer, &err));
	rg_journal_writer_end(writer, &end);
	rg_journal_writer_durable(writer, &durable);
	assert(!rg_journal_position_compare(&end, &durable) && end.index == 13 &&
	       end.offset == durable.offset);
	rg_journal_writer_statistics(writer, &statistics);
	assert(statistics.records_written == 12 && statistics.frames_written == 13 &&
	       statistics.duplicates == 2 && statistics.gaps == 2);
	assert(statistics.syncs >= 1 && !statistics.sync_failures && !statistics.staged_bytes);
	rg_journal_writer_close(writer);
	assert(!rg_journal_verify(folder, NULL, &report, &err));
	assert(report.segments == 1 && report.frames == 13 && report.records == 12 &&
	       report.policies == 1 && report.next_index == 13);
	assert(!report.bad_places && !report.torn_bytes && report.bytes == end.offset);
	writer = open_writer(1 << 20, &recovery);
	assert(recovery.segments == 1 && recovery.next_index == 13 && !recovery.torn_bytes);
	assert(rg_journal_writer_record(writer, make_record(5, 0, 10), NULL) == RG_ECONFLICT);
	assert(rg_journal_writer_record(writer, make_record(5, 1, 3), NULL) == RG_ECONFLICT);
	assert(!rg_journal_writer_record(writer, make_record(5, 1, 4), NULL));
	rg_journal_writer_close(writer);
	rg_journal_writer_close(NULL);
	rg_journal_reader_close(NULL);
}

/* Each sync, whoever carries it out, is in the histogram that was given. */
static void test_sync_times(void)
{
	for (uint64_t interval_ns = 0; interval_ns <= 1000000; interval_ns += 1000000) {
		struct rg_journal_writer_options options = options_with(1 << 20, interval_ns);
		struct rg_histogram_snapshot snapshot = {0};
		struct rg_journal_statistics statistics;
		struct rg_journal_recovery recovery;
		struct rg_journal_writer *writer;
		struct rg_error err;
		void *memory = aligned_alloc(rg_histogram_align(), rg_histogram_footprint());

		fresh();
		options.sync_times = rg_histogram_new(memory);
		assert(options.sync_times);
		assert(!rg_journal_writer_open(&options, &writer, &recovery, &err));
		for (uint64_t i = 1; i <= 5; i++) {
			put(writer, 5, 0, i);
			assert(!rg_journal_writer_flush(writer, i, &err) &&
			       !rg_journal_writer_sync(writer, &err));
		}
		rg_journal_writer_statistics(writer, &statistics);
		rg_histogram_merge(&snapshot, options.sync_times);
		assert(statistics.syncs >= 5 && snapshot.count == statistics.syncs &&
		       snapshot.max_ns == statistics.sync_ns_max);
		rg_journal_writer_close(writer);
		free(memory);
	}
}

/* Records that are put together in their place: what is given up leaves nothing, what is put is as if
 * it had been copied. */
static void test_in_place(void)
{
	struct rg_journal_statistics statistics;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	const struct rg_record *record;
	struct rg_record *place;
	uint64_t counts[2], gap = 0;
	struct rg_error err;

	fresh();
	writer = open_writer(1 << 20, &recovery);
	for (uint64_t i = 1; i <= 20; i++) {
		record = make_record(5, 1, i);
		place = rg_journal_writer_reserve(writer, record->length);
		assert(place && (uintptr_t)place % 8 == 0);
		memset(place, 0xff, record->length);
		if (i % 3 == 0) /* given up for a longer one, and for another frame */
			memset(rg_journal_writer_reserve(writer, 1000), 0xff, 1000);
		if (i % 3 == 1)
			assert(!rg_journal_writer_add(writer, RG_JOURNAL_POLICY, "{}", 2));
		place = rg_journal_writer_reserve(writer, record->length);
		memcpy(place, record, record->length);
		assert(!rg_journal_writer_put(writer, &gap) && gap == 0);
		place = rg_journal_writer_reserve(writer, record->length);
		memcpy(place, record, record->length);
		assert(rg_journal_writer_put(writer, &gap) == RG_ECONFLICT);
	}
	assert(!rg_journal_writer_flush(writer, 1, &err) && read_back(counts, 2) == 20);
	rg_journal_writer_statistics(writer, &statistics);
	assert(statistics.records_written == 20 && statistics.duplicates == 20 &&
	       statistics.frames_written == 27 && statistics.gaps == 0);
	rg_journal_writer_close(writer);
}

/* More epochs than are remembered, then the clock has gone back: the epoch of now is the least. */
static void test_many_epochs(void)
{
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;
	uint64_t gap = 0;

	fresh();
	writer = open_writer(16 << 20, &recovery);
	for (uint64_t epoch = 1000; epoch < 2100; epoch++)
		put(writer, epoch, 0, 1);
	for (uint64_t sequence = 1; sequence <= 3; sequence++) {
		put(writer, 5, 0, sequence);
		put(writer, 5, 1, sequence);
	}
	assert(!rg_journal_writer_flush(writer, 0, &err));
	for (int reopened = 0; reopened < 2; reopened++) {
		assert(rg_journal_writer_record(writer, make_record(5, 0, 3), &gap) ==
		       RG_ECONFLICT);
		assert(rg_journal_writer_record(writer, make_record(5, 1, 3), &gap) ==
		       RG_ECONFLICT);
		rg_journal_writer_close(writer);
		writer = open_writer(16 << 20, &recovery);
	}
	assert(!rg_journal_writer_record(writer, make_record(5, 0, 4), &gap) && gap == 0);
	rg_journal_writer_close(writer);
}

/* Many segments; a follower, a limited reader and one from each position see the same frames. */
static void test_rotation_and_following(void)
{
	struct rg_journal_position positions[2000], position;
	struct rg_journal_reader *follower, *other;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_journal_report report;
	struct rg_journal_frame frame;
	struct rg_error err;
	uint64_t counts[3], seen = 0, records = 0;

	fresh();
	writer = open_writer(RG_JOURNAL_SEGMENT_BYTES_MIN, &recovery);
	assert(!rg_journal_reader_open(folder, NULL, &follower, &err));
	for (uint64_t i = 0; i < 900; i++) {
		put(writer, 5, (uint16_t)(i % 3), i / 3 + 1);
		if (i % 17 == 0)
			assert(!rg_journal_writer_flush(writer, i, &err));
		if (i % 5)
			continue;
		for (;;) {
			rg_journal_reader_position(follower, &position);
			if (rg_journal_reader_next(follower, &frame, &err))
				break;
			assert(frame.index == seen);
			positions[seen++] = position;
			records += frame.kind == RG_JOURNAL_RECORD;
		}
	}
	assert(!rg_journal_writer_flush(writer, 1000, &err));
	while (!rg_journal_reader_next(follower, &frame, &err)) {
		assert(frame.index == seen++);
		records += frame.kind == RG_JOURNAL_RECORD;
	}
	assert(records == 900 && read_back(counts, 3) == 900 && counts[0] == 300);
	assert(!rg_journal_verify(folder, NULL, &report, &err) && report.segments > 30 &&
	       report.frames == seen);

	for (uint64_t i = 1; i < 700; i += 31) {
		assert(!rg_journal_reader_open(folder, &positions[i], &other, &err));
		rg_journal_reader_limit(other, &positions[i + 2]);
		assert(!rg_journal_reader_next(other, &frame, &err) && frame.index == i);
		assert(!rg_journal_reader_next(other, &frame, &err) && frame.index == i + 1);
		assert(rg_journal_reader_next(other, &frame, &err) == RG_EAGAIN);
		rg_journal_reader_limit(other, NULL);
		assert(!rg_journal_reader_next(other, &frame, &err) && frame.index == i + 2);
		rg_journal_reader_close(other);
	}
	rg_journal_writer_close(writer);

	/* all keys and the number of records are known again from the last segment alone */
	writer = open_writer(RG_JOURNAL_SEGMENT_BYTES_MIN, &recovery);
	assert(recovery.records == 900);
	for (uint16_t worker = 0; worker < 3; worker++) {
		assert(rg_journal_writer_record(writer, make_record(5, worker, 300), NULL) ==
		       RG_ECONFLICT);
		put(writer, 5, worker, 301);
	}
	rg_journal_writer_close(writer);
	rg_journal_reader_close(follower);
}

/* A position in a segment that is gone, and a segment missing in the middle. */
static void test_missing_segments(void)
{
	struct rg_journal_position from = {0};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_journal_reader *reader;
	struct rg_journal_report report;
	struct rg_journal_frame frame;
	struct rg_error err;
	uint64_t first, second, third, lost;
	char path[256], name[RG_JOURNAL_NAME_BYTES];
	int directory, rc;

	fresh();
	writer = open_writer(RG_JOURNAL_SEGMENT_BYTES_MIN, &recovery);
	for (uint64_t i = 1; i <= 200; i++)
		put(writer, 5, 0, i);
	assert(!rg_journal_writer_flush(writer, 1, &err));
	rg_journal_writer_close(writer);
	directory = open(folder, O_RDONLY);
	assert(!rg_journal_segment_find(directory, 0, &first, &err) && first == 0);
	assert(!rg_journal_segment_find(directory, 1, &second, &err) &&
	       !rg_journal_segment_find(directory, second + 1, &third, &err));
	close(directory);
	rg_journal_segment_name(second, name);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert(!unlink(path));
	assert(rg_journal_verify(folder, NULL, &report, &err) == RG_ECORRUPT);
	assert(report.bad_places == 1 && report.lost_frames == third - second &&
	       strstr(report.bad_reason, "are missing"));
	from = (struct rg_journal_position){second + 1, second, 200};
	assert(!rg_journal_reader_open(folder, &from, &reader, &err));
	assert(rg_journal_reader_next(reader, &frame, &err) == RG_ENOENT);
	assert(!rg_journal_reader_skip_damage(reader, &lost, &err) && lost == third - second - 1);
	assert(!rg_journal_reader_next(reader, &frame, &err) && frame.index == third &&
	       frame.kind == RG_JOURNAL_POSITIONS);
	while (!(rc = rg_journal_reader_next(reader, &frame, &err)))
		;
	assert(rc == RG_EAGAIN);
	rg_journal_reader_close(reader);
}

/* The last frame torn at every byte, with nothing, zeros or noise behind: recovery keeps exactly
 * the frames before it. */
static void test_torn_tail(void)
{
	struct rg_journal_position before, after;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_journal_report report;
	struct rg_error err;
	char path[256];
	uint64_t counts[1];
	uint8_t *bytes;
	size_t size;

	fresh();
	writer = open_writer(1 << 20, &recovery);
	for (uint64_t i = 1; i <= 20; i++)
		put(writer, 5, 0, i);
	assert(!rg_journal_writer_flush(writer, 1, &err));
	rg_journal_writer_end(writer, &before);
	put(writer, 5, 0, 21);
	assert(!rg_journal_writer_flush(writer, 1, &err));
	rg_journal_writer_end(writer, &after);
	rg_journal_writer_close(writer);
	snprintf(path, sizeof(path), "%s/journal-%020d.rgj", folder, 0);
	read_file(path, &bytes, &size);
	assert(size == after.offset);
	for (size_t cut = before.offset; cut < after.offset; cut++) {
		for (int tail = 0; tail < 3; tail++) {
			uint8_t *torn = malloc(size);

			memcpy(torn, bytes, size);
			for (size_t i = cut; i < size; i++)
				torn[i] = tail == 1 ? 0 : (uint8_t)(torn[i] ^ 0x5a);
			if (tail == 1 &&
			    !memcmp(torn, bytes,
				    size)) { /* only zero padding was torn: the frame is whole */
				free(torn);
				continue;
			}
			write_whole(path, torn, tail ? size : cut);
			free(torn);
			assert(!rg_journal_verify(folder, NULL, &report, &err));
			assert(report.records == 20 &&
			       report.torn_bytes == (tail ? size : cut) - before.offset);
			writer = open_writer(1 << 20, &recovery);
			assert(!recovery.damage[0] && recovery.next_index == before.index);
			assert(recovery.torn_bytes == (tail ? size : cut) - before.offset);
			assert(!recovery.torn_bytes ||
			       (recovery.torn_offset == before.offset && recovery.torn_file[0]));
			put(writer, 5, 0, 21);
			assert(!rg_journal_writer_flush(writer, 1, &err));
			rg_journal_writer_close(writer);
			assert(read_back(counts, 1) == 21);
		}
	}
	/* a segment whose creation was cut short is begun again: a reader may wait in it */
	for (size_t cut = 0; cut < 64; cut += 9) {
		char next[256];

		snprintf(next, sizeof(next), "%s/journal-%020llu.rgj", folder,
			 (unsigned long long)after.index);
		write_whole(path, bytes, size);
		write_whole(next, bytes, cut);
		writer = open_writer(1 << 20, &recovery);
		assert(recovery.next_index == after.index + 1 && !recovery.damage[0]);
		rg_journal_writer_close(writer);
		assert(!access(next, F_OK) && !rg_journal_verify(folder, NULL, &report, &err) &&
		       !report.torn_bytes);
		assert(!unlink(next));
	}
	free(bytes);
}

/* Any byte of the middle changed: never a wrong record, the place is named, later frames are still
 * read, nothing is cut. */
static void test_damage(void)
{
	struct rg_journal_position end;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_journal_report report;
	struct rg_journal_frame frame;
	struct rg_journal_reader *reader;
	struct rg_error err;
	char path[256];
	uint8_t *bytes;
	size_t size;

	fresh();
	writer = open_writer(1 << 20, &recovery);
	for (uint64_t i = 1; i <= 12; i++)
		put(writer, 5, 0, i);
	assert(!rg_journal_writer_flush(writer, 1, &err));
	rg_journal_writer_end(writer, &end);
	rg_journal_writer_close(writer);
	snprintf(path, sizeof(path), "%s/journal-%020d.rgj", folder, 0);
	read_file(path, &bytes, &size);
	for (size_t at = 0; at < size - 300; at += 3) {
		uint64_t lost, records = 0;
		int rc;

		bytes[at] ^= 0x10;
		write_whole(path, bytes, size);
		rc = rg_journal_verify(folder, NULL, &report, &err);
		assert(rc == RG_ECORRUPT && report.bad_places == 1);
		assert(report.records >= (at < 128 ? 12 : 11) &&
		       report.lost_frames == 12 - report.records);
		assert(report.bad_offset <= at &&
		       !strcmp(report.bad_file, "journal-00000000000000000000.rgj"));
		assert(!rg_journal_reader_open(folder, NULL, &reader, &err));
		rg_journal_reader_limit(reader, &end);
		while ((rc = rg_journal_reader_next(reader, &frame, &err)) != RG_EAGAIN) {
			if (rc) {
				assert(rc == RG_ECORRUPT && strstr(err.text, "offset "));
				assert(!rg_journal_reader_skip_damage(reader, &lost, &err));
				continue;
			}
			assert(!memcmp(frame.payload, make_record(5, 0, frame.index + 1),
				       frame.payload_bytes));
			records++;
		}
		rg_journal_reader_close(reader);
		assert(records == report.records);
		bytes[at] ^= 0x10;
		if (at % 30)
			continue;
		bytes[at] ^= 0x10;
		writer = open_writer(1 << 20, &recovery);
		assert(recovery.damage[0] && !recovery.torn_bytes && recovery.next_index >= 12);
		assert(rg_journal_writer_record(writer, make_record(5, 0, 12), NULL) ==
		       RG_ECONFLICT);
		put(writer, 5, 0, 13);
		assert(!rg_journal_writer_flush(writer, 1, &err));
		rg_journal_writer_close(writer);
		assert(rg_journal_verify(folder, NULL, &report, &err) == RG_ECORRUPT &&
		       report.segments == 2);
		bytes[at] ^= 0x10;
		fresh();
		mkdir(folder, 0700);
	}
	free(bytes);
}

/* No room: reported, nothing lost, goes on when there is room. */
static void test_disk_full(void)
{
	struct rlimit limit = {6000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	struct rg_journal_recovery recovery;
	struct rg_journal_statistics statistics;
	struct rg_journal_writer *writer;
	struct rg_error err;
	uint64_t counts[1], next = 1;

	fresh();
	signal(SIGXFSZ, SIG_IGN);
	writer = open_writer(1 << 20, &recovery);
	assert(!setrlimit(RLIMIT_FSIZE, &limit));
	for (; next <= 100; next++)
		assert(!rg_journal_writer_record(writer, make_record(5, 0, next), NULL));
	assert(rg_journal_writer_flush(writer, 1, &err) == RG_EIO &&
	       strstr(err.text, "File too large"));
	assert(rg_journal_writer_flush(writer, 2, &err) == RG_EIO);
	rg_journal_writer_statistics(writer, &statistics);
	assert(statistics.write_failures == 2 && statistics.staged_bytes &&
	       !statistics.records_written);
	assert(read_back(counts, 1) <
	       100); /* what was written before the failure is whole frames, in order */
	while (rg_journal_writer_record(writer, make_record(5, 0, next), NULL) != RG_EAGAIN)
		next++;
	assert(!setrlimit(RLIMIT_FSIZE, &none));
	assert(!rg_journal_writer_flush(writer, 3, &err) && read_back(counts, 1) == next - 1);
	rg_journal_writer_close(writer);

	/* the same when a segment cannot be created */
	fresh();
	writer = open_writer(RG_JOURNAL_SEGMENT_BYTES_MIN, &recovery);
	for (next = 1; rg_journal_writer_record(writer, make_record(5, 0, next), NULL) != RG_EAGAIN;
	     next++)
		;
	limit.rlim_cur = 0;
	assert(!rg_journal_writer_flush(writer, 1, &err));
	for (; rg_journal_writer_record(writer, make_record(5, 0, next), NULL) != RG_EAGAIN; next++)
		;
	assert(!rg_journal_writer_flush(writer, 1, &err));
	for (; rg_journal_writer_record(writer, make_record(5, 0, next), NULL) != RG_EAGAIN; next++)
		;
	limit.rlim_cur = 4096;
	assert(!setrlimit(RLIMIT_FSIZE, &limit));
	rg_journal_writer_flush(writer, 1, &err);
	limit.rlim_cur = 0;
	assert(!setrlimit(RLIMIT_FSIZE, &limit));
	for (; rg_journal_writer_record(writer, make_record(5, 0, next), NULL) != RG_EAGAIN; next++)
		;
	assert(rg_journal_writer_flush(writer, 1, &err) == RG_EIO);
	assert(rg_journal_writer_record(writer, make_record(5, 0, next), NULL) == RG_EAGAIN ||
	       next > 1);
	assert(!setrlimit(RLIMIT_FSIZE, &none));
	assert(!rg_journal_writer_flush(writer, 1, &err));
	put(writer, 5, 0, next);
	assert(!rg_journal_writer_flush(writer, 1, &err) && read_back(counts, 1) == next);
	rg_journal_writer_close(writer);
}

/* Random work against a plain model: what was flushed is there after every reopening, nothing
 * twice. */
static void test_random(void)
{
	const unsigned seed = 20261122;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_journal_report report;
	struct rg_error err;
	uint64_t staged[4] = {0}, flushed[4] = {0}, counts[4], gap;

	printf("random operations, seed %u\n", seed);
	srand(seed);
	fresh();
	writer = open_writer(20000, &recovery);
	for (uint64_t step = 0; step < 20000; step++) {
		uint16_t worker = (uint16_t)(rand() % 4);
		int rc;

		switch (rand() % 16) {
		case 0:
			assert(!rg_journal_writer_flush(writer, step, &err));
			memcpy(flushed, staged, sizeof(flushed));
			break;
		case 1:
			rg_journal_writer_step(writer, step * 1000000, &err);
			assert(!err.status);
			break;
		case 2:
			if (rand() % 40)
				break;
			rg_journal_writer_close(writer); /* what was not flushed is gone */
			writer = open_writer(20000, &recovery);
			assert(!recovery.torn_bytes && !recovery.damage[0]);
			memcpy(staged, flushed, sizeof(staged));
			break;
		default: /* a new record, or one that was there before */
			rc = rg_journal_writer_record(
				writer, make_record(9, worker, staged[worker] + 1), &gap);
			if (rc == RG_EAGAIN) {
				assert(!rg_journal_writer_flush(writer, step, &err));
				memcpy(flushed, staged, sizeof(flushed));
			} else {
				assert(!rc && !gap);
				staged[worker]++;
			}
			if (staged[worker] > 3)
				assert(rg_journal_writer_record(
					       writer, make_record(9, worker, staged[worker] - 2),
					       NULL) == RG_ECONFLICT);
		}
	}
	assert(!rg_journal_writer_flush(writer, 0, &err));
	assert(read_back(counts, 4) && !memcmp(counts, staged, sizeof(counts)));
	rg_journal_writer_close(writer);
	assert(!rg_journal_verify(folder, NULL, &report, &err) && report.segments > 20);
	assert(chained ? report.sealed_frames == report.frames
		       : report.unchained_frames == report.frames);
}

/* Killed at random moments: a reader never sees a broken frame, and after recovery every record up
 * to the last acknowledged flush is there exactly once. The child tells through a pipe what it has
 * flushed. */
static void test_kill(void)
{
	const unsigned seed = 4711;
	struct rg_journal_recovery recovery;
	struct rg_journal_report report;
	struct rg_error err;
	uint64_t acknowledged = 0, counts[1];

	printf("kill -9 while writing, seed %u\n", seed);
	srand(seed);
	fresh();
	/* On a busy machine a child may be killed before it has written anything: more rounds
	 * then. */
	for (int round = 0; round < 25 || acknowledged <= 100; round++) {
		int pipe_fds[2], status;
		uint64_t value;
		pid_t child;

		assert(round < 2000 && !pipe(pipe_fds));
		child = fork();
		assert(child >= 0);
		if (!child) {
			struct rg_journal_writer *writer = open_writer(64 << 10, &recovery);
			uint64_t next = 1;

			close(pipe_fds[0]);
			/* as the ring does after a restart: some records come again */
			while (rg_journal_writer_record(writer, make_record(5, 0, next), NULL) ==
			       RG_ECONFLICT)
				next++;
			if (rg_journal_writer_record(writer, make_record(5, 0, next), NULL) ==
			    RG_EAGAIN)
				next--; /* the segment is full: the loop takes it again */
			for (;;) {
				next++;
				if (rg_journal_writer_record(writer, make_record(5, 0, next),
							     NULL) == RG_EAGAIN ||
				    next % 13 == 0) {
					assert(!rg_journal_writer_flush(writer, next * 100000,
									&err));
					rg_journal_writer_step(writer, next * 100000, &err);
					while (rg_journal_writer_record(writer,
									make_record(5, 0, next),
									NULL) == RG_EAGAIN)
						assert(!rg_journal_writer_flush(writer, next,
										&err));
					value = next - 1;
					assert(write(pipe_fds[1], &value, sizeof(value)) ==
					       sizeof(value));
				}
			}
		}
		close(pipe_fds[1]);
		if (round % 2) /* not before it has written something */
			poll(&(struct pollfd){pipe_fds[0], POLLIN, 0}, 1, 10000);
		usleep((useconds_t)(rand() % 20000));
		assert(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child &&
		       WIFSIGNALED(status));
		while (read(pipe_fds[0], &value, sizeof(value)) == sizeof(value))
			acknowledged = value;
		close(pipe_fds[0]);
		if (access(folder, F_OK))
			continue; /* killed before it began */
		rg_journal_writer_close(open_writer(64 << 10, &recovery));
		assert(!recovery.damage[0]);
		if (rg_journal_verify(folder, NULL, &report, &err))
			fprintf(stderr, "%s\n", err.text);
		assert(!report.bad_places && !report.torn_bytes);
		assert(read_back(counts, 1) >= acknowledged);
	}
}

int main(void)
{
	snprintf(root, sizeof(root), "/tmp/riskgate-journal-test-XXXXXX");
	assert(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/journal", root);
	test_basic();
	test_sync_times();
	test_in_place();
	test_many_epochs();
	test_rotation_and_following();
	test_missing_segments();
	test_torn_tail();
	test_damage();
	test_disk_full();
	test_version_1();
	for (int chain = 0; chain < 2; chain++) {
		chained = chain;
		test_random();
		test_kill();
	}
	nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

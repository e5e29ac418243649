/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/reader.h"

#define BUFFER_BYTES (2 * RG_JOURNAL_FRAME_BYTES_MAX)

int rg_journal_reader_open(const char *directory, const struct rg_journal_position *from,
			   struct rg_journal_reader **out, struct rg_error *err)
{
	struct rg_journal_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return rg_error_set(err, RG_ENOMEM, "out of memory for a journal reader");
	reader->fd = -1;
	reader->buffer = aligned_alloc(64, (BUFFER_BYTES + 63) & ~63ull);
	reader->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!reader->buffer || reader->directory < 0) {
		int rc =
			!reader->buffer
				? rg_error_set(err, RG_ENOMEM, "out of memory for a journal reader")
				: rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO,
						     errno, "journal folder %s", directory);

		rg_journal_reader_close(reader);
		return rc;
	}
	if (from && (from->index || from->offset)) {
		reader->index = from->index;
		reader->segment = from->segment;
		reader->offset = from->offset;
		reader->placed = true;
	}
	*out = reader;
	return RG_OK;
}

void rg_journal_reader_close(struct rg_journal_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	if (reader->directory >= 0)
		close(reader->directory);
	free(reader->buffer);
	free(reader);
}

void rg_journal_reader_position(const struct rg_journal_reader *reader,
				struct rg_journal_position *position)
{
	*position = (struct rg_journal_position){reader->index, reader->segment, reader->offset};
}

void rg_journal_reader_limit(struct rg_journal_reader *reader,
			     const struct rg_journal_position *limit)
{
	reader->limited = limit != NULL;
	reader->limit_index = limit ? limit->index : 0;
}

static int corrupt(const struct rg_journal_reader *reader, const char *why, struct rg_error *err)
{
	return rg_error_set(err, RG_ECORRUPT, "%s: offset %llu: %s", reader->name,
			    (unsigned long long)reader->offset, why);
}

static int file_failed(const struct rg_journal_reader *reader, struct rg_error *err)
{
	return rg_error_set_errno(err, RG_EIO, errno, "%s", reader->name);
}

/* Go to the beginning of a segment; its file is opened by the next read. */
static void go_to(struct rg_journal_reader *reader, uint64_t segment)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
	reader->segment = segment;
	reader->index = segment;
	reader->offset = 0;
	reader->placed = true;
	memset(&reader->header, 0, sizeof(reader->header));
	reader->buffer_bytes = 0;
}

/* Read up to `bytes` at `offset` of the open segment; how many there were, or -1. */
static ssize_t read_at(const struct rg_journal_reader *reader, void *out, size_t bytes,
		       uint64_t offset)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(reader->fd, (uint8_t *)out + done, bytes - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Open the segment of the position. RG_EAGAIN: its header is not written yet. */
static int open_segment(struct rg_journal_reader *reader, struct rg_error *err)
{
	struct rg_error why;
	ssize_t n;
	int rc;

	rg_journal_segment_name(reader->segment, reader->name);
	reader->fd = openat(reader->directory, reader->name, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0)
		return rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno,
					  "journal segment %s", reader->name);
	reader->buffer_bytes = 0;
	n = read_at(reader, &reader->header, sizeof(reader->header), 0);
	if (n < 0)
		rc = file_failed(reader, err);
	else
		rc = rg_journal_segment_header_check(&reader->header, (uint64_t)n, reader->segment,
						     &why);
	if (!rc) {
		if (!reader->offset)
			reader->offset = reader->header.header_bytes;
		return RG_OK;
	}
	if (n >= 0 && rc != RG_EAGAIN)
		rg_error_set(err, rc, "%s: offset 0: %s", reader->name, why.text);
	memset(&reader->header, 0, sizeof(reader->header));
	close(reader->fd);
	reader->fd = -1;
	return rc;
}

const struct rg_journal_segment_header *rg_journal_reader_header(
	const struct rg_journal_reader *reader)
{
	return &reader->header;
}

/* Have at least `bytes` of the segment at `offset` in the buffer, if the file has them. Returns how
 * many are there, or -1. */
static int64_t fill(struct rg_journal_reader *reader, uint64_t offset, uint64_t bytes)
{
	uint64_t end = reader->buffer_offset + reader->buffer_bytes, kept = 0;
	ssize_t n;

	if (offset >= reader->buffer_offset && offset + bytes <= end)
		return (int64_t)(end - offset);
	if (offset >= reader->buffer_offset && offset < end) {
		kept = end - offset;
		memmove(reader->buffer, reader->buffer + (offset - reader->buffer_offset), kept);
	}
	reader->buffer_offset = offset;
	reader->buffer_bytes = kept;
	n = read_at(reader, reader->buffer + kept, BUFFER_BYTES - kept, offset + kept);
	if (n < 0)
		return -1;
	reader->buffer_bytes += (uint64_t)n;
	return (int64_t)reader->buffer_bytes;
}

/* Is there a later segment than the current one? RG_OK: *first_index. Lists the folder only when it
 * has changed. */
static int find_later(struct rg_journal_reader *reader, uint64_t *first_index, struct rg_error *err)
{
	char name[RG_JOURNAL_NAME_BYTES];
	struct stat status;
	int rc;

	*first_index = reader->index;
	rg_journal_segment_name(reader->index, name);
	if (reader->index > reader->segment && !faccessat(reader->directory, name, F_OK, 0))
		return RG_OK; /* the usual one: it begins with the next index */
	if (fstat(reader->directory, &status))
		return rg_error_set_errno(err, RG_EIO, errno, "the journal's folder");
	if (!memcmp(&status.st_mtim, &reader->listed, sizeof(reader->listed)))
		return RG_EAGAIN;
	rc = rg_journal_segment_find(reader->directory, reader->segment + 1, first_index, err);
	if (rc == RG_EAGAIN)
		reader->listed = status.st_mtim;
	return rc;
}

/* The frame at the position is not whole. What does that mean? */
static int at_end(struct rg_journal_reader *reader, struct rg_error *err)
{
	const char *why;
	uint64_t later;
	int rc = find_later(reader, &later, err);
	int64_t there;

	if (rc == RG_EAGAIN && reader->limited) /* the limit says that there is a frame */
		return corrupt(reader, "the frame is cut off", err);
	if (rc)
		return rc; /* RG_EAGAIN: the last segment; it may still grow */
	/* A later segment exists, so this one is complete: look again, it may have grown before
	 * that. */
	reader->buffer_bytes = 0;
	there = fill(reader, reader->offset, sizeof(struct rg_journal_frame_header));
	if (there < 0)
		return file_failed(reader, err);
	if (there > 0) {
		why = rg_journal_frame_check(reader->buffer, (uint64_t)there, reader->index);
		return why ? corrupt(reader, why, err) : RG_OK;
	}
	if (later != reader->index) {
		char reason[96];

		snprintf(reason, sizeof(reason),
			 "frames %llu to %llu are missing: the next segment begins after them",
			 (unsigned long long)reader->index, (unsigned long long)later - 1);
		return corrupt(reader, reason, err);
	}
	go_to(reader, later);
	return RG_OK;
}

static int find_first(struct rg_journal_reader *reader, struct rg_error *err)
{
	uint64_t first;
	int rc = rg_journal_segment_find(reader->directory, 0, &first, err);

	if (!rc)
		go_to(reader, first);
	return rc;
}

/* Have the whole frame at `offset` in the buffer, if the file has it. Its place and how many bytes
 * are there, or -1. */
static int64_t load_frame(struct rg_journal_reader *reader, uint64_t offset,
			  const struct rg_journal_frame_header **header)
{
	int64_t there = fill(reader, offset, sizeof(**header));

	*header = (const struct rg_journal_frame_header *)(reader->buffer +
							   (offset - reader->buffer_offset));
	if (there >= (int64_t)sizeof(**header) &&
	    (*header)->payload_bytes <= RG_JOURNAL_PAYLOAD_BYTES_MAX) {
		there = fill(reader, offset, rg_journal_frame_bytes((*header)->payload_bytes));
		*header =
			(const struct rg_journal_frame_header *)(reader->buffer +
								 (offset - reader->buffer_offset));
	}
	return there;
}

static bool may_still_grow(const struct rg_journal_frame_header *header, int64_t there)
{
	return there < (int64_t)sizeof(*header) ||
	       (header->payload_bytes && header->payload_bytes <= RG_JOURNAL_PAYLOAD_BYTES_MAX &&
		rg_journal_frame_bytes(header->payload_bytes) > (uint64_t)there);
}

int rg_journal_reader_next(struct rg_journal_reader *reader, struct rg_journal_frame *frame,
			   struct rg_error *err)
{
	bool fresh = false;

	for (;;) {
		const struct rg_journal_frame_header *header;
		const char *why;
		int64_t there;
		int rc = RG_OK;

		if (reader->limited && reader->index >= reader->limit_index)
			return RG_EAGAIN;
		if (!reader->placed)
			rc = find_first(reader, err);
		if (!rc && reader->fd < 0)
			rc = open_segment(reader, err);
		if (rc)
			return rc;
		there = load_frame(reader, reader->offset, &header);
		if (there < 0)
			return file_failed(reader, err);
		why = rg_journal_frame_check((const uint8_t *)header, (uint64_t)there,
					     reader->index);
		if (!why) {
			*frame = (struct rg_journal_frame){.index = reader->index,
							   .kind = header->kind,
							   .payload_bytes = header->payload_bytes,
							   .payload = header + 1,
							   .segment = reader->segment,
							   .offset = reader->offset};
			reader->offset += rg_journal_frame_bytes(header->payload_bytes);
			reader->index++;
			return RG_OK;
		}
		if (!fresh) { /* a writer that recovered may have replaced a torn tail that is still
				 in the buffer */
			fresh = true;
			reader->buffer_bytes = 0;
			continue;
		}
		fresh = false;
		rc = may_still_grow(header, there) ? at_end(reader, err)
						   : corrupt(reader, why, err);
		if (rc)
			return rc;
	}
}

/* The first whole frame of the open segment behind the position. False: there is none. */
static bool resynchronise(struct rg_journal_reader *reader, uint64_t from)
{
	for (uint64_t offset = from;; offset += 8) {
		const struct rg_journal_frame_header *header;
		int64_t there = fill(reader, offset, sizeof(*header));
		uint32_t ahead;

		if (there < (int64_t)sizeof(*header))
			return false;
		header = (const struct rg_journal_frame_header *)(reader->buffer +
								  (offset - reader->buffer_offset));
		ahead = header->index_low - (uint32_t)reader->index;
		if (!header->payload_bytes ||
		    header->payload_bytes > RG_JOURNAL_PAYLOAD_BYTES_MAX || ahead >= 1u << 28)
			continue;
		there = load_frame(reader, offset, &header);
		if (there < 0)
			return false;
		if (!rg_journal_frame_check((const uint8_t *)header, (uint64_t)there,
					    reader->index + ahead)) {
			reader->index += ahead;
			reader->offset = offset;
			return true;
		}
	}
}

int rg_journal_reader_skip_damage(struct rg_journal_reader *reader, uint64_t *lost,
				  struct rg_error *err)
{
	uint64_t index = reader->index, later;
	int rc;

	*lost = 0;
	if (!reader->placed)
		return RG_EAGAIN;
	if (reader->fd < 0) { /* gone, or its header is damaged: frames can still be read */
		rg_journal_segment_name(reader->segment, reader->name);
		reader->fd = openat(reader->directory, reader->name, O_RDONLY | O_CLOEXEC);
		reader->buffer_bytes = 0;
	}
	if (reader->fd >= 0 &&
	    resynchronise(reader, reader->offset ? reader->offset : RG_JOURNAL_HEADER_BYTES_V1)) {
		*lost = reader->index - index;
		return RG_OK;
	}
	rc = rg_journal_segment_find(reader->directory, reader->segment + 1, &later, err);
	if (rc)
		return rc;
	go_to(reader, later);
	*lost = later > index ? later - index : 0;
	return RG_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"

const char *rg_journal_kind_name(uint32_t kind)
{
	switch (kind) {
	case RG_JOURNAL_RECORD: return "record";
	case RG_JOURNAL_POLICY: return "policy";
	case RG_JOURNAL_POSITIONS: return "positions";
	case RG_JOURNAL_SEAL: return "seal";
	default: return "unknown";
	}
}

int rg_journal_position_compare(const struct rg_journal_position *a,
				const struct rg_journal_position *b)
{
	return a->index < b->index ? -1 : a->index > b->index;
}

void rg_journal_segment_name(uint64_t first_index, char name[RG_JOURNAL_NAME_BYTES])
{
	snprintf(name, RG_JOURNAL_NAME_BYTES, "journal-%020llu.rgj",
		 (unsigned long long)first_index);
}

/* The first index that a file's name gives; false: it is no segment. */
static bool parse_name(const char *name, uint64_t *first_index)
{
	char canonical[RG_JOURNAL_NAME_BYTES], *end;

	if (strncmp(name, "journal-", 8))
		return false;
	errno = 0;
	*first_index = strtoull(name + 8, &end, 10);
	if (errno || end != name + 28)
		return false;
	rg_journal_segment_name(*first_index, canonical);
	return !strcmp(name, canonical);
}

/* The smallest first index >= from, the largest of all, and the count, in one pass. */
static int scan(int directory, uint64_t from, uint64_t *smallest, uint64_t *largest,
		uint64_t *count, struct rg_error *err)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t index;

	if (!stream) {
		int rc = rg_error_set_errno(err, RG_EIO, errno, "listing the journal's folder");

		if (fd >= 0)
			close(fd);
		return rc;
	}
	*smallest = UINT64_MAX;
	*largest = 0;
	*count = 0;
	while ((entry = readdir(stream))) {
		if (!parse_name(entry->d_name, &index))
			continue;
		++*count;
		if (index > *largest)
			*largest = index;
		if (index >= from && index < *smallest)
			*smallest = index;
	}
	closedir(stream);
	return RG_OK;
}

static int sync_segment(int directory, const char *name, struct rg_error *err)
{
	int fd = openat(directory, name, O_RDWR | O_CLOEXEC), failed;

	failed = fd < 0 || fdatasync(fd) ? errno : 0;
	if (fd >= 0)
		close(fd);
	return failed ? rg_error_set_errno(err, RG_EIO, failed, "syncing journal segment %s", name)
		      : RG_OK;
}

int rg_journal_segment_sync_all(int directory, struct rg_error *err)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = RG_OK;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t index;

	if (!stream) {
		rc = rg_error_set_errno(err, RG_EIO, errno, "listing the journal's folder");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (!rc && (entry = readdir(stream)))
		if (parse_name(entry->d_name, &index))
			rc = sync_segment(directory, entry->d_name, err);
	closedir(stream);
	return rc;
}

int rg_journal_segment_find(int directory, uint64_t from, uint64_t *first_index,
			    struct rg_error *err)
{
	uint64_t largest, count;
	int rc = scan(directory, from, first_index, &largest, &count, err);

	if (rc)
		return rc;
	return *first_index == UINT64_MAX ? RG_EAGAIN : RG_OK;
}

int rg_journal_segment_last(int directory, uint64_t *first_index, uint64_t *count,
			    struct rg_error *err)
{
	uint64_t smallest;
	int rc = scan(directory, 0, &smallest, first_index, count, err);

	if (rc)
		return rc;
	return *count ? RG_OK : RG_EAGAIN;
}

void rg_journal_segment_header_finish(struct rg_journal_segment_header *header)
{
	header->magic = RG_JOURNAL_MAGIC;
	header->version = RG_JOURNAL_VERSION;
	header->header_bytes = sizeof(*header);
	header->crc32c = rg_crc32c(0, header, offsetof(struct rg_journal_segment_header, crc32c));
	header->crc32c_2 =
		rg_crc32c(0, header, offsetof(struct rg_journal_segment_header, crc32c_2));
}

int rg_journal_segment_header_check(const struct rg_journal_segment_header *header, uint64_t bytes,
				    uint64_t first_index, struct rg_error *err)
{
	uint32_t header_bytes;

	if (bytes < RG_JOURNAL_HEADER_BYTES_V1)
		return RG_EAGAIN;
	if (header->magic != RG_JOURNAL_MAGIC)
		return rg_error_set(err, RG_ECORRUPT, "the segment header has no journal magic");
	if (header->crc32c !=
	    rg_crc32c(0, header, offsetof(struct rg_journal_segment_header, crc32c)))
		return rg_error_set(err, RG_ECORRUPT, "the segment header's CRC32C is wrong");
	header_bytes = header->version == 1 ? RG_JOURNAL_HEADER_BYTES_V1 : sizeof(*header);
	if (!header->version || header->version > RG_JOURNAL_VERSION ||
	    header->header_bytes != header_bytes)
		return rg_error_set(err, RG_EVERSION,
				    "the segment has format version %u; this program reads 1 to %u",
				    header->version, RG_JOURNAL_VERSION);
	if (bytes < header_bytes)
		return RG_EAGAIN;
	if (header->version > 1 &&
	    header->crc32c_2 !=
		    rg_crc32c(0, header, offsetof(struct rg_journal_segment_header, crc32c_2)))
		return rg_error_set(err, RG_ECORRUPT, "the segment header's CRC32C is wrong");
	if (header->first_index != first_index)
		return rg_error_set(err, RG_ECORRUPT,
				    "the segment header says first index %llu, its name another",
				    (unsigned long long)header->first_index);
	return RG_OK;
}

uint64_t rg_journal_frame_finish(uint8_t *frame, uint32_t kind, uint64_t index,
				 uint32_t payload_bytes)
{
	struct rg_journal_frame_header *header = (struct rg_journal_frame_header *)frame;
	uint64_t bytes = rg_journal_frame_bytes(payload_bytes);
	uint64_t end = sizeof(*header) + payload_bytes;

	memset(frame + end, 0, bytes - end); /* the padding */
	header->payload_bytes = payload_bytes;
	header->kind = kind;
	header->index_low = (uint32_t)index;
	header->crc32c =
		rg_crc32c(0, frame + sizeof(header->crc32c), bytes - sizeof(header->crc32c));
	return bytes;
}

uint64_t rg_journal_frame_make(uint8_t *out, uint32_t kind, uint64_t index, const void *payload,
			       uint32_t payload_bytes)
{
	memcpy(out + sizeof(struct rg_journal_frame_header), payload, payload_bytes);
	return rg_journal_frame_finish(out, kind, index, payload_bytes);
}

const char *rg_journal_frame_check(const uint8_t *at, uint64_t bytes, uint64_t index)
{
	const struct rg_journal_frame_header *header = (const struct rg_journal_frame_header *)at;
	uint64_t frame_bytes;

	if (bytes < sizeof(*header))
		return "the frame's header is cut off";
	if (!header->payload_bytes || header->payload_bytes > RG_JOURNAL_PAYLOAD_BYTES_MAX)
		return "the frame's length is impossible";
	frame_bytes = rg_journal_frame_bytes(header->payload_bytes);
	if (frame_bytes > bytes)
		return "the frame is cut off";
	if (header->crc32c !=
	    rg_crc32c(0, at + sizeof(header->crc32c), frame_bytes - sizeof(header->crc32c)))
		return "the frame's CRC32C is wrong";
	if (header->index_low != (uint32_t)index)
		return "the frame's index is not the next one";
	return NULL;
}

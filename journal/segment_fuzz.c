/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a journal's only segment: readers return only whole frames and come to an end,
 * recovery leaves a journal that can be written and read. An input that begins with 'W' is made into a
 * segment of the newest version whose header and frames are whole, so that what the frames hold is
 * reached behind their CRC32C: records, policies, positions, seals of a chain, and unknown kinds. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

/* Whatever the writer has made of the input: segments, its lock, what it notes beside them. */
static void remove_all(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL)
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(folder);
}

static void write_segment(const uint8_t *data, size_t size)
{
	char path[128], name[RG_JOURNAL_NAME_BYTES];
	FILE *file;

	rg_journal_segment_name(0, name);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
}

/* Recipe: a byte for the chain, then for each frame its kind, two bytes of length, and its payload.
 * Returns the segment's bytes; the caller frees *segment. */
static size_t make_whole(const uint8_t *data, size_t size, uint8_t **segment)
{
	struct rg_journal_segment_header header = {.node = 1, .created_ns = 1};
	const uint8_t *end = data + size;
	/* a frame of one byte takes four of the recipe */
	uint8_t *out = aligned_alloc(8, sizeof(header) + (size * 8 + 64) / 8 * 8);
	size_t n = sizeof(header);
	uint64_t index = 0;

	if (!out)
		abort();
	if (data < end)
		header.chain = *data++ % 4;
	rg_journal_segment_header_finish(&header);
	memcpy(out, &header, sizeof(header));
	while (end - data >= 4) {
		uint32_t kind = data[0] % 8, bytes = data[1] | (uint32_t)data[2] << 8;

		data += 3;
		if (bytes > (size_t)(end - data))
			bytes = (uint32_t)(end - data);
		bytes += !bytes;
		n += rg_journal_frame_make(out + n, kind, index++, data, bytes);
		data += bytes;
	}
	*segment = out;
	return n;
}

static void write_input(const uint8_t *data, size_t size)
{
	uint8_t *segment;
	size_t bytes;

	if (!size || data[0] != 'W') {
		write_segment(data, size);
		return;
	}
	bytes = make_whole(data + 1, size - 1, &segment);
	write_segment(segment, bytes);
	free(segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* that a chain was switched off would be reported: go on with the one there is */
	const uint8_t chain = size > 1 && data[0] == 'W' ? data[1] % 4 : 0;
	const bool is_keyed = chain == RG_JOURNAL_CHAIN_HMAC;
	struct rg_journal_writer_options options = {.directory = folder,
						    .node = 1,
						    .segment_bytes = 1 << 20,
						    .chain = chain != RG_JOURNAL_UNCHAINED,
						    .key = is_keyed ? "key" : NULL,
						    .key_bytes = is_keyed ? 3 : 0};
	struct rg_journal_report before, after;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;
	uint64_t repeated_max;
	int rc;

	snprintf(folder, sizeof(folder), "/dev/shm/riskgate-segment-fuzz-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	write_input(data, size);
	rc = rg_journal_verify(folder, NULL, &before, &err);
	if (rc == RG_EVERSION) {
		remove_all();
		return 0;
	}
	if (rc && rc != RG_ECORRUPT)
		abort();
	if (rg_journal_writer_open(&options, &writer, &recovery, &err))
		abort();
	if (rg_journal_writer_add(writer, RG_JOURNAL_POLICY, "{}", 2) == RG_EAGAIN) {
		if (rg_journal_writer_flush(writer, 0, &err) ||
		    rg_journal_writer_add(writer, RG_JOURNAL_POLICY, "{}", 2))
			abort();
	}
	if (rg_journal_writer_flush(writer, 0, &err))
		abort();
	rg_journal_writer_close(writer);
	rc = rg_journal_verify(folder, NULL, &after, &err);
	/* a segment that was begun repeats the last policies */
	repeated_max = after.segments > before.segments ? 4 : 0;
	if ((rc && !before.bad_places && !recovery.damage[0]) ||
	    after.policies < before.policies + 1 ||
	    after.policies > before.policies + 1 + repeated_max || after.records != before.records)
		abort();
	remove_all();
	return 0;
}

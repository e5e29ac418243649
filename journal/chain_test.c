/* SPDX-License-Identifier: Apache-2.0 */
/* The chain finds what CRC32C cannot: changes made by somebody who makes the CRC32C right again. */
#include "journal/chain.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "journal/segment.h"

#define BATCHES	      12
#define BATCH_RECORDS 5
#define RECORDS	      (BATCHES * BATCH_RECORDS)

static char root[64], folder[96];
static const char key[] = "of the test";

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static struct rg_journal_writer *open_writer(bool keyed, uint64_t segment_bytes)
{
	struct rg_journal_writer_options options = {.directory = folder,
						    .segment_bytes = segment_bytes,
						    .chain = true,
						    .key = keyed ? key : NULL,
						    .key_bytes = keyed ? sizeof(key) : 0};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;

	assert(!rg_journal_writer_open(&options, &writer, &recovery, &err));
	assert(!recovery.damage[0]);
	return writer;
}

static void put(struct rg_journal_writer *writer, uint64_t sequence)
{
	struct rg_record record = {.length = sizeof(record),
				   .kind = RG_RECORD_DECISION,
				   .version = RG_RECORD_VERSION,
				   .epoch = 3,
				   .sequence = sequence,
				   .verdict = 1};
	struct rg_error err;

	while (rg_journal_writer_record(writer, &record, NULL) == RG_EAGAIN)
		assert(!rg_journal_writer_flush(writer, 0, &err));
}

/* A journal of RECORDS records; the writer is opened anew after half of them. */
static void make_journal(bool keyed, uint64_t segment_bytes)
{
	struct rg_journal_writer *writer;
	struct rg_error err;

	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	rg_journal_writer_close(open_writer(keyed, segment_bytes)); /* leaves a header alone */
	writer = open_writer(keyed, segment_bytes);
	for (uint64_t i = 1; i <= RECORDS; i++) {
		put(writer, i);
		if (i % BATCH_RECORDS == 0)
			assert(!rg_journal_writer_flush(writer, 0, &err));
		if (i == RECORDS / 2) {
			rg_journal_writer_close(writer);
			writer = open_writer(keyed, segment_bytes);
		}
	}
	rg_journal_writer_close(writer);
}

static int verify(bool keyed, const struct rg_journal_head *anchor,
		  struct rg_journal_report *report, struct rg_error *err)
{
	const struct rg_journal_verify_options options = {keyed ? key : NULL,
							  keyed ? sizeof(key) : 0, anchor};

	return rg_journal_verify(folder, &options, report, err);
}

struct file {
	char path[160];
	uint8_t bytes[1 << 16];
	size_t size;
};

static void load(struct file *file, uint64_t segment)
{
	char name[RG_JOURNAL_NAME_BYTES];
	FILE *stream;

	rg_journal_segment_name(segment, name);
	snprintf(file->path, sizeof(file->path), "%s/%s", folder, name);
	stream = fopen(file->path, "rb");
	assert(stream);
	file->size = fread(file->bytes, 1, sizeof(file->bytes), stream);
	fclose(stream);
}

static void store(const struct file *file)
{
	FILE *stream = fopen(file->path, "wb");

	assert(stream && fwrite(file->bytes, 1, file->size, stream) == file->size);
	assert(!fclose(stream));
}

/* Frame n of the segment. */
static struct rg_journal_frame_header *frame_at(struct file *file, uint32_t n)
{
	uint64_t offset = sizeof(struct rg_journal_segment_header);

	for (;;) {
		struct rg_journal_frame_header *header = (void *)(file->bytes + offset);

		assert(offset < file->size);
		if (!n--)
			return header;
		offset += rg_journal_frame_bytes(header->payload_bytes);
	}
}

static void make_crc_right(struct rg_journal_frame_header *header)
{
	header->crc32c = rg_crc32c(0, (uint8_t *)header + 4,
				   rg_journal_frame_bytes(header->payload_bytes) - 4);
}

static void test_whole(bool keyed, uint64_t segment_bytes)
{
	struct rg_journal_head head, before;
	struct rg_journal_writer *writer;
	struct rg_journal_report report;
	struct rg_error err;

	make_journal(keyed, segment_bytes);
	assert(!verify(keyed, NULL, &report, &err));
	assert(report.records == RECORDS && report.sealed_frames == report.frames);
	assert(!report.unsealed_frames && !report.unchained_frames);
	assert(report.chain_begin.index == 0 && report.chain_end.index == report.next_index);
	assert(report.keyed_seals ==
	       (keyed ? report.frames - report.records - (report.segments - 1) /* POSITIONS */
		      : 0));
	assert(!rg_journal_head(folder, NULL, &before, &err));
	assert(before.index == report.chain_end.index &&
	       !memcmp(before.link, report.chain_end.link, sizeof(before.link)));
	/* the head of an earlier day is found later, and not when it is another's */
	writer = open_writer(keyed, segment_bytes);
	put(writer, RECORDS + 1);
	assert(!rg_journal_writer_flush(writer, 0, &err));
	rg_journal_writer_close(writer);
	assert(!rg_journal_head(folder, NULL, &head, &err) && head.index > before.index);
	assert(!verify(keyed, &before, &report, &err) && report.anchor_found);
	before.link[7] ^= 1;
	assert(verify(keyed, &before, &report, &err) == RG_ECORRUPT &&
	       strstr(err.text, "no such link"));
}

/* A field of each record changed in turn. */
static void test_altered(void)
{
	struct rg_journal_report report;
	struct rg_error err;
	struct file file;

	make_journal(false, 1 << 20);
	load(&file, 0);
	for (uint32_t n = 0; n < RECORDS + BATCHES; n++) {
		struct rg_journal_frame_header *header = frame_at(&file, n);
		struct rg_record *record = (void *)(header + 1);

		if (header->kind != RG_JOURNAL_RECORD)
			continue;
		record->verdict ^= 3;
		make_crc_right(header);
		store(&file);
		assert(verify(false, NULL, &report, &err) == RG_ECORRUPT);
		assert(report.bad_places == 1 && strstr(report.bad_reason, "chain is broken"));
		assert(report.records == RECORDS);
		record->verdict ^= 3;
		make_crc_right(header);
	}
	store(&file);
	assert(!verify(false, NULL, &report, &err));
}

static void test_reordered(void)
{
	struct rg_journal_frame_header *first, *second;
	struct rg_journal_report report;
	uint8_t kept[sizeof(struct rg_record)];
	struct rg_error err;
	struct file file;

	make_journal(false, 1 << 20);
	load(&file, 0);
	first = frame_at(&file, 1);
	second = frame_at(&file, 2);
	memcpy(kept, first + 1, sizeof(kept));
	memcpy(first + 1, second + 1, sizeof(kept));
	memcpy(second + 1, kept, sizeof(kept));
	make_crc_right(first);
	make_crc_right(second);
	store(&file);
	assert(verify(false, NULL, &report, &err) == RG_ECORRUPT &&
	       strstr(report.bad_reason, "chain is broken"));
}

/* A whole batch with its seal is taken out, and all frames behind it are numbered anew. */
static void test_taken_out(void)
{
	struct rg_journal_frame_header *begin, *end;
	struct rg_journal_report report;
	struct rg_error err;
	struct file file;
	uint32_t n = BATCH_RECORDS + 1;

	make_journal(false, 1 << 20);
	load(&file, 0);
	begin = frame_at(&file, n);
	end = frame_at(&file, 2 * n);
	memmove(begin, end, (size_t)(file.bytes + file.size - (uint8_t *)end));
	file.size -= (size_t)((uint8_t *)end - (uint8_t *)begin);
	for (; n < (BATCHES - 1) * (BATCH_RECORDS + 1); n++) {
		struct rg_journal_frame_header *header = frame_at(&file, n);

		header->index_low = n;
		make_crc_right(header);
	}
	store(&file);
	assert(verify(false, NULL, &report, &err) == RG_ECORRUPT &&
	       strstr(report.bad_reason, "chain is broken"));
}

/* The end cut off behind a seal leaves a whole chain: the head that was kept shows it. */
static void test_cut_off(void)
{
	struct rg_journal_report report;
	struct rg_journal_head head;
	struct rg_error err;
	struct file file;

	make_journal(false, 1 << 20);
	assert(!rg_journal_head(folder, NULL, &head, &err));
	load(&file, 0);
	file.size = (size_t)((uint8_t *)frame_at(&file, 3 * (BATCH_RECORDS + 1)) - file.bytes);
	store(&file);
	assert(!verify(false, NULL, &report, &err));
	assert(verify(false, &head, &report, &err) == RG_ECORRUPT);
}

/* Someone without the key makes every link anew behind a change. */
static void test_made_anew(void)
{
	struct rg_journal_report report;
	struct rg_journal_chain *forger;
	struct rg_error err;
	struct file file;

	make_journal(true, 1 << 20);
	load(&file, 0);
	assert(!rg_journal_chain_new(NULL, 0, &forger, &err));
	rg_journal_chain_begin(forger, (void *)file.bytes);
	for (uint32_t n = 0; n < RECORDS + BATCHES; n++) {
		struct rg_journal_frame_header *header = frame_at(&file, n);
		struct rg_record *record = (void *)(header + 1);
		struct rg_journal_seal *seal = (void *)(header + 1), made;

		if (header->kind == RG_JOURNAL_SEAL) {
			rg_journal_chain_seal(forger, &made);
			memcpy(seal->link, made.link, sizeof(made.link));
		} else {
			record->verdict = 2;
		}
		make_crc_right(header);
		if (header->kind != RG_JOURNAL_SEAL)
			rg_journal_chain_add(forger, header,
					     rg_journal_frame_bytes(header->payload_bytes));
	}
	rg_journal_chain_free(forger);
	store(&file);
	assert(!verify(false, NULL, &report, &err)); /* a whole chain, but for the key */
	assert(verify(true, NULL, &report, &err) == RG_ECORRUPT && !report.keyed_seals &&
	       strstr(report.bad_reason, "HMAC"));
}

/* A segment is exchanged for one that is not chained, or for one of another journal. */
static void test_segments(void)
{
	struct rg_journal_report report;
	struct rg_error err;
	struct file file, other;
	uint64_t second;
	int directory;

	make_journal(false, RG_JOURNAL_SEGMENT_BYTES_MIN);
	directory = open(folder, O_RDONLY | O_DIRECTORY);
	assert(!rg_journal_segment_find(directory, 1, &second, &err));
	load(&file, second);
	((struct rg_journal_segment_header *)file.bytes)->chain = RG_JOURNAL_UNCHAINED;
	rg_journal_segment_header_finish((void *)file.bytes);
	store(&file);
	assert(verify(false, NULL, &report, &err) == RG_ECORRUPT &&
	       strstr(report.bad_reason, "not chained"));
	make_journal(false, RG_JOURNAL_SEGMENT_BYTES_MIN);
	load(&other, second);
	((struct rg_journal_segment_header *)other.bytes)->link[3] ^= 1;
	rg_journal_segment_header_finish((void *)other.bytes);
	store(&other);
	assert(verify(false, NULL, &report, &err) == RG_ECORRUPT &&
	       strstr(report.bad_reason, "does not continue"));
	assert(close(directory) == 0);
}

/* The chain is switched on, and off again, in a journal that has not one frame yet. */
static void test_switched_while_empty(void)
{
	struct rg_journal_writer_options options = {.directory = folder, .segment_bytes = 1 << 16};
	struct rg_journal_recovery recovery;
	struct rg_journal_report report;
	struct rg_journal_writer *writer;
	struct rg_error err;

	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	for (int turn = 0; turn < 5; turn++) {
		options.chain = turn % 2;
		assert(!rg_journal_writer_open(&options, &writer, &recovery, &err));
		assert(!recovery.damage[0] && !recovery.next_index);
		rg_journal_writer_close(writer);
	}
	writer = open_writer(true, 1 << 16);
	put(writer, 1);
	assert(!rg_journal_writer_flush(writer, 0, &err));
	rg_journal_writer_close(writer);
	assert(!rg_journal_verify(folder, NULL, &report, &err));
	assert(report.segments == 1 && report.records == 1 && report.sealed_frames);
}

int main(void)
{
	snprintf(root, sizeof(root), "/tmp/riskgate-chain-test-XXXXXX");
	assert(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/journal", root);
	for (int keyed = 0; keyed < 2; keyed++) {
		test_whole(keyed, 1 << 20);
		test_whole(keyed, RG_JOURNAL_SEGMENT_BYTES_MIN);
	}
	test_switched_while_empty();
	test_altered();
	test_reordered();
	test_taken_out();
	test_cut_off();
	test_made_anew();
	test_segments();
	nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

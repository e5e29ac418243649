/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/retention.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/segment.h"

#define SEGMENTS      8
#define SEGMENT_BYTES 5000
#define HOUR_NS	      3600000000000ull

static char root[64], folder[96];

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

/* Segments 0, 10, 20, ... of SEGMENT_BYTES, begun at hour 1, 2, 3, ... */
static int make_folder(void)
{
	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	assert(!mkdir(folder, 0700));
	for (uint64_t i = 0; i < SEGMENTS; i++) {
		struct rg_journal_segment_header header = {.first_index = i * 10,
							   .created_ns = (i + 1) * HOUR_NS};
		char name[RG_JOURNAL_NAME_BYTES], path[160];
		FILE *file;

		rg_journal_segment_header_finish(&header);
		rg_journal_segment_name(i * 10, name);
		snprintf(path, sizeof(path), "%s/%s", folder, name);
		file = fopen(path, "wb");
		assert(file && fwrite(&header, sizeof(header), 1, file) == 1);
		assert(!fclose(file) && !truncate(path, SEGMENT_BYTES));
	}
	return open(folder, O_RDONLY | O_DIRECTORY);
}

static void test_bounds(void)
{
	static const struct {
		const char *what;
		struct rg_journal_retention retention;
		uint64_t now_hours, removed, abandoned;
	} cases[] = {
		{"no bound", {0, 0, 0, UINT64_MAX}, 1000, 0, 0},
		/* the third segment ended when the fourth began, at hour 4 */
		{"by age", {10 * HOUR_NS, 0, 0, UINT64_MAX}, 15, 3, 0},
		{"never the last", {HOUR_NS, 0, 0, UINT64_MAX}, 1000, SEGMENTS - 1, 0},
		{"a clock that went back", {HOUR_NS, 0, 0, UINT64_MAX}, 0, 0, 0},
		{"by bytes", {0, 3 * SEGMENT_BYTES, 0, UINT64_MAX}, 1000, SEGMENTS - 3, 0},
		{"needed from the middle of the third", {HOUR_NS, 1, 0, 25}, 1000, 2, 0},
		{"needed from the beginning of the third", {HOUR_NS, 1, 0, 20}, 1000, 2, 0},
		{"needed from the beginning", {HOUR_NS, 1, 0, 0}, 1000, 0, 0},
		{"needed, but too large", {0, 0, 2 * SEGMENT_BYTES, 25}, 1000, 6, 35},
		{"too large, and not needed", {0, 0, 2 * SEGMENT_BYTES, 60}, 1000, 6, 0},
		{"too large, last segment only", {0, 0, 1, UINT64_MAX}, 1000, SEGMENTS - 1, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int directory = make_folder();
		struct rg_journal_removal removal;
		struct rg_error err;
		uint64_t first;

		printf("%s\n", cases[i].what);
		assert(!rg_journal_retention_apply(directory, &cases[i].retention,
						   cases[i].now_hours * HOUR_NS, &removal, &err));
		assert(removal.removed_segments == cases[i].removed);
		assert(removal.segments == SEGMENTS - cases[i].removed);
		assert(removal.bytes == removal.segments * SEGMENT_BYTES);
		assert(removal.removed_bytes == cases[i].removed * SEGMENT_BYTES);
		assert(removal.abandoned_frames == cases[i].abandoned);
		assert(!rg_journal_segment_find(directory, 0, &first, &err) &&
		       first == cases[i].removed * 10);
		assert(!close(directory));
	}
}

/* A writer that keeps two segments: readers behind are told, the records that are left find their
 * policy, and the chain of what is left is whole and has the head that was taken before. */
static void test_writer(void)
{
	static const char policy[] = "{\"sequence\":1,\"revision\":\"one\"}";
	struct rg_journal_writer_options options = {.directory = folder,
						    .segment_bytes = 4096,
						    .sync_interval_ns = 1000000,
						    .chain = true};
	struct rg_journal_retention retention = {.bytes = 3 * 4096};
	struct rg_journal_position end = {0};
	struct rg_journal_statistics statistics = {0};
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_journal_report report;
	struct rg_journal_reader *reader;
	struct rg_journal_frame frame;
	struct rg_journal_head head = {0};
	struct rg_error err;
	const struct rg_journal_verify_options anchored = {.anchor = &head};
	uint64_t lost, first;

	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	assert(!rg_journal_writer_open(&options, &writer, &recovery, &err));
	assert(!rg_journal_writer_add(writer, RG_JOURNAL_POLICY, policy, sizeof(policy) - 1));
	assert(!rg_journal_reader_open(folder, NULL, &reader, &err));
	for (uint64_t i = 1; i <= 500; i++) {
		struct rg_record record = {.length = sizeof(record), .epoch = 3, .sequence = i};

		while (rg_journal_writer_record(writer, &record, NULL) == RG_EAGAIN)
			assert(!rg_journal_writer_flush(writer, 0, &err));
		if (i == 480)
			assert(!rg_journal_writer_flush(writer, 0, &err) &&
			       !rg_journal_head(folder, NULL, &head, &err));
	}
	assert(!rg_journal_writer_flush(writer, 0, &err));
	assert(!rg_journal_reader_next(reader, &frame, &err));
	assert(!rg_journal_writer_sync(writer, &err));
	rg_journal_writer_end(writer, &end);
	retention.keep_index = 1; /* somebody still needs the first record */
	assert(!rg_journal_writer_retain(writer, &retention, &err));
	for (int i = 0; i < 5000 && !statistics.segments; i++) {
		usleep(1000);
		rg_journal_writer_statistics(writer, &statistics);
	}
	assert(statistics.segments > 10 && !statistics.segments_removed);
	retention.keep_index = end.index;
	assert(!rg_journal_writer_retain(writer, &retention, &err));
	for (int i = 0; i < 5000 && !statistics.segments_removed; i++) {
		usleep(1000);
		rg_journal_writer_statistics(writer, &statistics);
	}
	assert(statistics.segments <= 3 && statistics.segments_removed > 10 &&
	       !statistics.frames_abandoned);
	rg_journal_writer_close(writer);
	assert(!rg_journal_verify(folder, NULL, &report, &err));
	assert(report.first_index > 0 && report.chain_begin.index == report.first_index &&
	       report.policies == report.segments);
	first = report.first_index;
	assert(!rg_journal_verify(folder, &anchored, &report, &err) && report.anchor_found);
	/* a reader that holds a removed segment reads it to its end and is told what is missing */
	while (!rg_journal_reader_next(reader, &frame, &err))
		;
	assert(err.status == RG_ECORRUPT && strstr(err.text, "missing"));
	assert(!rg_journal_reader_skip_damage(reader, &lost, &err));
	assert(!rg_journal_reader_next(reader, &frame, &err) && frame.index == first);
	rg_journal_reader_close(reader);
	assert(!rg_journal_reader_open(folder, &(struct rg_journal_position){1, 0, 0}, &reader,
				       &err));
	assert(rg_journal_reader_next(reader, &frame, &err) == RG_ENOENT);
	assert(!rg_journal_reader_skip_damage(reader, &lost, &err) &&
	       lost == report.first_index - 1);
	rg_journal_reader_close(reader);
	/* and it is known again what was journaled */
	assert(!rg_journal_writer_open(&options, &writer, &recovery, &err));
	assert(recovery.records == 500 && !recovery.damage[0]);
	rg_journal_writer_close(writer);
}

int main(void)
{
	snprintf(root, sizeof(root), "/tmp/riskgate-retention-test-XXXXXX");
	assert(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/journal", root);
	test_bounds();
	test_writer();
	nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a journal's only segment: readers return only whole frames and come to an end,
 * recovery leaves a journal that can be written and read. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void remove_all(void)
{
	int directory = open(folder, O_RDONLY | O_DIRECTORY);
	uint64_t first;

	while (directory >= 0 && !rg_journal_segment_find(directory, 0, &first, NULL)) {
		char name[RG_JOURNAL_NAME_BYTES];

		rg_journal_segment_name(first, name);
		unlinkat(directory, name, 0);
	}
	if (directory >= 0) {
		unlinkat(directory, "lock", 0);
		close(directory);
	}
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rg_journal_writer_options options = {folder, 1, 1 << 20, 0, 0};
	struct rg_journal_report before, after;
	struct rg_journal_recovery recovery;
	struct rg_journal_writer *writer;
	struct rg_error err;
	int rc;

	snprintf(folder, sizeof(folder), "/dev/shm/riskgate-segment-fuzz-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	write_segment(data, size);
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
	if ((rc && !before.bad_places && !recovery.damage[0]) ||
	    after.policies != before.policies + 1 || after.records != before.records)
		abort();
	remove_all();
	return 0;
}

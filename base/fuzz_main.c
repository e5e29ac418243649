/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main() for fuzz targets that are built without a fuzzer: replays files, and all files below
 * folders, given as arguments, so that a corpus is a regression test with any compiler. Without
 * arguments it runs the empty input. Prints how many inputs it ran; exits 1 if one could not be
 * read.
 */
#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path, size_t bytes)
{
	/* Exactly as large as the input, so that a sanitizer sees the first byte read beyond it. */
	uint8_t *data = malloc(bytes ? bytes : 1);
	FILE *file = fopen(path, "rb");
	int result = 1;

	if (data && file && fread(data, 1, bytes, file) == bytes) {
		LLVMFuzzerTestOneInput(data, bytes);
		result = 0;
	} else {
		fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
	}
	if (file)
		fclose(file);
	free(data);
	return result;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int main(int argc, char **argv)
{
	unsigned long count = 0;
	int result = 0;
	FTSENT *entry;
	FTS *walk;

	if (argc < 2) {
		LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
		printf("1 input (the empty one)\n");
		return 0;
	}
	walk = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (!walk) {
		perror("fts_open");
		return 1;
	}
	while ((entry = fts_read(walk))) {
		switch (entry->fts_info) {
		case FTS_F:
			result |= replay(entry->fts_path, (size_t)entry->fts_statp->st_size);
			count++;
			break;
		case FTS_NS:
		case FTS_ERR:
		case FTS_DNR:
			fprintf(stderr, "cannot read %s: %s\n", entry->fts_path,
				strerror(entry->fts_errno));
			result = 1;
			break;
		}
	}
	fts_close(walk);
	printf("%lu inputs\n", count);
	return result;
}

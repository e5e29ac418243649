/* SPDX-License-Identifier: Apache-2.0 */
/* The CSV reader: quoting, places of values, and every way a file can be wrong; plain and gzip. */
#include "tools/loadgen/csv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char path[] = "/tmp/riskgate-csv-XXXXXX";

static void write_file(const char *text, size_t bytes, const char *mode)
{
	gzFile file = gzopen(path, mode); /* "wT": plain */

	assert(file && gzwrite(file, text, (unsigned)bytes) == (int)bytes && gzclose(file) == Z_OK);
}

static void check_good(const char *mode)
{
	static const char text[] = "a,b,c\r\n"
				   "1,\"x,\"\"y\"\"\nz\",\n"
				   "\n"
				   "22,,end";
	struct rg_csv *csv;
	const struct rg_csv_value *values;
	struct rg_error err;

	write_file(text, sizeof(text) - 1, mode);
	assert(rg_csv_open(path, &csv, &err) == RG_OK);
	assert(rg_csv_column_count(csv) == 3 && rg_csv_find_column(csv, "c") == 2 &&
	       rg_csv_find_column(csv, "d") == -1);
	assert(rg_csv_next(csv, &values, &err) == RG_OK);
	assert(strcmp(values[0].text, "1") == 0 && strcmp(values[1].text, "x,\"y\"\nz") == 0 &&
	       values[2].bytes == 0);
	assert(values[0].line == 2 && values[0].column == 1 && values[1].column == 3);
	assert(values[2].line == 3 && values[2].column == 4);
	assert(rg_csv_next(csv, &values, &err) == RG_OK);
	assert(strcmp(values[0].text, "22") == 0 && strcmp(values[2].text, "end") == 0);
	assert(values[2].line == 5 && values[2].column == 5);
	assert(rg_csv_next(csv, &values, &err) == RG_EAGAIN);
	rg_csv_close(csv);
}

/* Open and read all; the error must have this status and hold this text after the file's name. */
static void check_bad(const char *text, size_t bytes, int status, const char *words)
{
	struct rg_csv *csv = NULL;
	const struct rg_csv_value *values;
	struct rg_error err;
	int got;

	write_file(text, bytes, "wT");
	got = rg_csv_open(path, &csv, &err);
	while (got == RG_OK)
		got = rg_csv_next(csv, &values, &err);
	if (got != status || strncmp(err.text, path, strlen(path)) != 0 || !strstr(err.text, words))
		fprintf(stderr, "status %d, text '%s', wanted '%s'\n", got, err.text, words);
	assert(got == status && strncmp(err.text, path, strlen(path)) == 0 &&
	       strstr(err.text, words));
	rg_csv_close(csv);
}

static void test_bad(void)
{
	char *row = malloc(RG_CSV_ROW_BYTES_MAX + 10);

	check_bad("", 0, RG_EINVAL, ": empty");
	check_bad("a,a\n", 4, RG_EINVAL, ":1: column 'a' appears twice");
	check_bad("a,b\n1\n", 6, RG_EINVAL, ":2: 1 values, but the header names 2");
	check_bad("a,b\n1,2\n1,2,3\n", 14, RG_EINVAL, ":3: 3 values");
	check_bad("a,b\n1,\"2\n", 9, RG_EINVAL, ":2:3: the quote is never closed");
	check_bad("a,b\n\"1\"x,2\n", 11, RG_EINVAL, ":2:4: text after a closing quote");
	check_bad("a,b\n1\"1,2\n", 10, RG_EINVAL, ":2:2: quote inside");
	check_bad("a,b\n1\r1,2\n", 10, RG_EINVAL, ":2:3: carriage return");
	check_bad("a,b\n1,\0\n", 8, RG_EINVAL, ":2:3: NUL byte");
	memset(row, 'x', RG_CSV_ROW_BYTES_MAX + 10);
	memcpy(row, "a\n", 2);
	check_bad(row, RG_CSV_ROW_BYTES_MAX + 10, RG_ELIMIT, ":2:1048577: row is longer");
	memset(row, ',', RG_CSV_COLUMNS_MAX);
	check_bad(row, RG_CSV_COLUMNS_MAX, RG_ELIMIT, "more than 1024 columns");
	free(row);
}

static void test_missing_and_torn(void)
{
	struct rg_csv *csv = NULL;
	const struct rg_csv_value *values;
	struct rg_error err;
	struct stat file;
	char text[20001];
	int status;

	assert(rg_csv_open("/nonexistent/file.csv", &csv, &err) == RG_ENOENT);
	for (size_t i = 0; i + 4 < sizeof(text); i += 4)
		snprintf(text + i, 5, "%03d\n", (int)(i * 7919 % 1000));
	write_file(text, sizeof(text) - 1, "w9");
	assert(stat(path, &file) == 0 && truncate(path, file.st_size / 2) == 0);
	status = rg_csv_open(path, &csv, &err);
	while (status == RG_OK)
		status = rg_csv_next(csv, &values, &err);
	assert(status == RG_ECORRUPT && strstr(err.text, "cannot read"));
	rg_csv_close(csv);
}

int main(void)
{
	int fd = mkstemp(path);

	assert(fd >= 0);
	close(fd);
	check_good("wT");
	check_good("w");
	test_bad();
	test_missing_and_torn();
	unlink(path);
	return 0;
}

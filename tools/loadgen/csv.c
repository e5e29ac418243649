/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/csv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct rg_csv {
	gzFile file;
	char *path;
	uint32_t line, column;		 /* of the next byte */
	uint32_t last_line, last_column; /* of the byte read last */
	int pushed_back;		 /* a byte looked at and not taken; -1: none */
	char *row;			 /* the values of the row, each NUL-terminated */
	size_t row_bytes;
	char *header; /* the header row, kept for the names */
	const char **names;
	uint32_t column_count;
	uint32_t value_count;
	struct rg_csv_value values[RG_CSV_COLUMNS_MAX];
};

/* Next byte, or -1 at the end, or -2 when reading fails. */
static int next_byte(struct rg_csv *csv)
{
	int byte = csv->pushed_back;

	if (byte >= 0) {
		csv->pushed_back = -1;
	} else {
		byte = gzgetc(csv->file);
		if (byte < 0) {
			int code = Z_OK;

			gzerror(csv->file, &code);
			return code == Z_OK || code == Z_STREAM_END ? -1 : -2;
		}
	}
	csv->last_line = csv->line;
	csv->last_column = csv->column;
	if (byte == '\n') {
		csv->line++;
		csv->column = 1;
	} else {
		csv->column++;
	}
	return byte;
}

/* Give back the byte just read. */
static void push_back(struct rg_csv *csv, int byte)
{
	csv->pushed_back = byte;
	csv->line = csv->last_line;
	csv->column = csv->last_column;
}

/* At the byte read last. */
static int error_here(struct rg_csv *csv, int status, const char *what, struct rg_error *err)
{
	return rg_error_set(err, status, "%s:%u:%u: %s", csv->path, csv->last_line,
			    csv->last_column, what);
}

static int read_error(struct rg_csv *csv, struct rg_error *err)
{
	int code;
	const char *text = gzerror(csv->file, &code);

	return rg_error_set(err, code == Z_ERRNO ? RG_EIO : RG_ECORRUPT, "%s:%u: cannot read: %s",
			    csv->path, csv->line, code == Z_ERRNO ? strerror(errno) : text);
}

static int append(struct rg_csv *csv, size_t *used, int byte, struct rg_error *err)
{
	if (*used == csv->row_bytes)
		return error_here(csv, RG_ELIMIT, "row is longer than 1 MiB: is a quote missing?",
				  err);
	csv->row[(*used)++] = (char)byte;
	return RG_OK;
}

/* A quoted value after its first quote, up to and with the closing one. */
static int read_quoted(struct rg_csv *csv, size_t *used, struct rg_error *err)
{
	uint32_t line = csv->last_line, column = csv->last_column;

	for (;;) {
		int byte = next_byte(csv), status;

		if (byte == -2)
			return read_error(csv, err);
		if (byte == -1)
			return rg_error_set(err, RG_EINVAL, "%s:%u:%u: the quote is never closed",
					    csv->path, line, column);
		if (byte == '"') {
			byte = next_byte(csv);
			if (byte != '"') {
				if (byte == ',' || byte == '\r' || byte == '\n')
					push_back(csv, byte);
				else if (byte == -2)
					return read_error(csv, err);
				else if (byte >= 0)
					return error_here(csv, RG_EINVAL,
							  "text after a closing quote: double the "
							  "quote inside a value",
							  err);
				return RG_OK;
			}
		}
		status = append(csv, used, byte, err);
		if (status != RG_OK)
			return status;
	}
}

/* Read one value into the row. *end is the byte that ended it: ',', '\n' or -1. */
static int read_value(struct rg_csv *csv, size_t *used, int *end, struct rg_error *err)
{
	struct rg_csv_value *value = &csv->values[csv->value_count];
	size_t begin = *used;
	int byte, status;

	value->line = csv->line;
	value->column = csv->column;
	byte = next_byte(csv);
	if (byte == '"') {
		status = read_quoted(csv, used, err);
		if (status != RG_OK)
			return status;
		byte = next_byte(csv);
	}
	for (;; byte = next_byte(csv)) {
		if (byte == '\r') {
			byte = next_byte(csv);
			if (byte != '\n' && byte != -1)
				return byte == -2
					       ? read_error(csv, err)
					       : error_here(csv, RG_EINVAL,
							    "carriage return inside a value", err);
		}
		if (byte == ',' || byte == '\n' || byte == -1)
			break;
		if (byte == -2)
			return read_error(csv, err);
		if (byte == '"')
			return error_here(csv, RG_EINVAL, "quote inside an unquoted value", err);
		if (byte == 0)
			return error_here(csv, RG_EINVAL, "NUL byte: this is not a CSV file", err);
		status = append(csv, used, byte, err);
		if (status != RG_OK)
			return status;
	}
	value->bytes = *used - begin;
	*end = byte;
	return append(csv, used, 0, err);
}

/* Read a row into values. RG_EAGAIN at the end of the file. Empty lines are skipped. */
static int read_row(struct rg_csv *csv, struct rg_error *err)
{
	size_t used;
	uint32_t line;
	int end, status;

	do {
		csv->value_count = 0;
		used = 0;
		line = csv->line;
		do {
			if (csv->value_count == RG_CSV_COLUMNS_MAX)
				return error_here(csv, RG_ELIMIT, "more than 1024 columns", err);
			status = read_value(csv, &used, &end, err);
			if (status != RG_OK)
				return status;
			csv->value_count++;
		} while (end == ',');
	} while (csv->value_count == 1 && used == 1 && end == '\n');
	if (csv->value_count == 1 && used == 1)
		return RG_EAGAIN;
	/* The buffer does not move, but texts are only known to be complete now. */
	used = 0;
	for (uint32_t i = 0; i < csv->value_count; i++) {
		csv->values[i].text = csv->row + used;
		used += csv->values[i].bytes + 1;
	}
	if (csv->column_count && csv->value_count != csv->column_count)
		return rg_error_set(err, RG_EINVAL,
				    "%s:%u: %u values, but the header names %u columns", csv->path,
				    line, csv->value_count, csv->column_count);
	return RG_OK;
}

/* Keep the first row as the columns' names. */
static int read_header(struct rg_csv *csv, struct rg_error *err)
{
	int status = read_row(csv, err);
	size_t used = 0;

	if (status == RG_EAGAIN)
		return rg_error_set(err, RG_EINVAL,
				    "%s: empty: the first row must name the columns", csv->path);
	if (status != RG_OK)
		return status;
	for (uint32_t i = 0; i < csv->value_count; i++)
		used += csv->values[i].bytes + 1;
	csv->header = malloc(used);
	csv->names = calloc(csv->value_count, sizeof(*csv->names));
	if (!csv->header || !csv->names)
		return rg_error_set(err, RG_ENOMEM, "%s: no memory for the header", csv->path);
	memcpy(csv->header, csv->row, used);
	for (uint32_t i = 0; i < csv->value_count; i++) {
		const char *name = csv->header + (csv->values[i].text - csv->row);

		if (rg_csv_find_column(csv, name) >= 0)
			return rg_error_set(err, RG_EINVAL, "%s:1: column '%s' appears twice",
					    csv->path, name);
		csv->names[csv->column_count++] = name;
	}
	return RG_OK;
}

int rg_csv_open(const char *path, struct rg_csv **out, struct rg_error *err)
{
	struct rg_csv *csv = calloc(1, sizeof(*csv));
	int status;

	if (!csv)
		return rg_error_set(err, RG_ENOMEM, "%s: no memory", path);
	csv->path = strdup(path);
	csv->row = malloc(RG_CSV_ROW_BYTES_MAX);
	csv->row_bytes = RG_CSV_ROW_BYTES_MAX;
	csv->pushed_back = -1;
	csv->line = csv->column = 1;
	csv->file = strcmp(path, "-") == 0 ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rb");
	if (!csv->path || !csv->row) {
		status = rg_error_set(err, RG_ENOMEM, "%s: no memory", path);
	} else if (!csv->file) {
		status = rg_error_set_errno(err, errno == ENOENT ? RG_ENOENT : RG_EIO, errno,
					    "%s: cannot open", path);
	} else {
		gzbuffer(csv->file, 1 << 17);
		status = read_header(csv, err);
	}
	if (status != RG_OK) {
		rg_csv_close(csv);
		return status;
	}
	*out = csv;
	return RG_OK;
}

void rg_csv_close(struct rg_csv *csv)
{
	if (!csv)
		return;
	if (csv->file)
		gzclose_r(csv->file);
	free(csv->path);
	free(csv->row);
	free(csv->header);
	free(csv->names);
	free(csv);
}

uint32_t rg_csv_column_count(const struct rg_csv *csv)
{
	return csv->column_count;
}

int rg_csv_find_column(const struct rg_csv *csv, const char *name)
{
	for (uint32_t i = 0; i < csv->column_count; i++)
		if (strcmp(csv->names[i], name) == 0)
			return (int)i;
	return -1;
}

const char *rg_csv_column_name(const struct rg_csv *csv, uint32_t column)
{
	return csv->names[column];
}

const char *rg_csv_path(const struct rg_csv *csv)
{
	return csv->path;
}

int rg_csv_next(struct rg_csv *csv, const struct rg_csv_value **values, struct rg_error *err)
{
	int status = read_row(csv, err);

	if (status == RG_OK)
		*values = csv->values;
	return status;
}

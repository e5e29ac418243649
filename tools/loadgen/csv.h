/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CSV reader that knows where it is: RFC 4180 (quotes, doubled quotes, line breaks in quotes, LF
 * or CRLF), plain or gzip. The first row names the columns; every row must have as many values.
 *
 * Thread-safety: a reader belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_CSV_H
#define RG_TOOLS_LOADGEN_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RG_CSV_ROW_BYTES_MAX (1u << 20)
#define RG_CSV_COLUMNS_MAX   1024

struct rg_csv_value {
	const char *text; /* unquoted, NUL-terminated; valid until the next row is read */
	size_t bytes;
	uint32_t line;	 /* 1-based: a row may span lines */
	uint32_t column; /* 1-based, in bytes: where the value starts in its line */
};

struct rg_csv;

/* Open a file and read its header row. "-" is standard input. Errors: RG_ENOENT or RG_EIO,
 * RG_EINVAL (empty file, a column named twice, broken quoting), RG_ELIMIT. */
int rg_csv_open(const char *path, struct rg_csv **csv, struct rg_error *err);
void rg_csv_close(struct rg_csv *csv);
/* Number of columns, and the position of one by name: -1 if there is none. */
uint32_t rg_csv_column_count(const struct rg_csv *csv);
int rg_csv_find_column(const struct rg_csv *csv, const char *name);
const char *rg_csv_column_name(const struct rg_csv *csv, uint32_t column);
const char *rg_csv_path(const struct rg_csv *csv);
/* Read the next row. Returns RG_OK with *values (column count of them), RG_EAGAIN at the end of the
 * file, or an error that names file, line and column. */
int rg_csv_next(struct rg_csv *csv, const struct rg_csv_value **values, struct rg_error *err);

#endif

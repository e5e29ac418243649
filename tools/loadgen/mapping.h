/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From CSV rows to requests: which column becomes which field, and how. The format is described in
 * examples/data/README.md.
 *
 * Thread-safety: a mapping belongs to one thread.
 */
#ifndef RG_TOOLS_LOADGEN_MAPPING_H
#define RG_TOOLS_LOADGEN_MAPPING_H

#include "base/error.h"
#include "tools/loadgen/csv.h"
#include "wire/schema.h"

struct rg_mapping;

/* Read a mapping file and check it against the schema. Errors name file, line and column: RG_ENOENT
 * or RG_EIO, RG_EINVAL (malformed, unknown key, template or field, a required field without a
 * source, a constant that does not fit). */
int rg_mapping_load(const char *path, const struct rg_schema *schema, struct rg_mapping **mapping,
		    struct rg_error *err);
/* The same from memory; name stands for the file in errors. */
int rg_mapping_parse(const char *text, size_t bytes, const char *name,
		     const struct rg_schema *schema, struct rg_mapping **mapping,
		     struct rg_error *err);
void rg_mapping_free(struct rg_mapping *mapping);
const struct rg_template *rg_mapping_template(const struct rg_mapping *mapping);
/* Find the mapping's columns in a file. RG_EINVAL names a column that is not there and those that
 * are. */
int rg_mapping_bind(struct rg_mapping *mapping, const struct rg_csv *csv, struct rg_error *err);
/* Write one row into a root block that holds "no value" everywhere. Errors name file, line, column,
 * CSV column and field. */
int rg_mapping_encode(const struct rg_mapping *mapping, const struct rg_csv *csv,
		      const struct rg_csv_value *values, uint8_t *block, struct rg_error *err);

#endif

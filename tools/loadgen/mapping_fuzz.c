/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a mapping and a CSV file: the input is split at its first NUL byte. Each row that
 * encodes must leave the request id and everything behind the block alone; each refusal must say
 * something.
 */
#include "tools/loadgen/mapping.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/loadgen/test_schema.h"

#define GUARD 0xa5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void encode_rows(struct rg_mapping *mapping, struct rg_csv *csv, struct rg_error *err)
{
	uint32_t block_length = rg_mapping_template(mapping)->block_length;
	const struct rg_csv_value *values;
	uint8_t block[256];

	check(block_length < sizeof(block));
	while (rg_csv_next(csv, &values, err) == RG_OK) {
		memset(block, GUARD, sizeof(block));
		if (rg_mapping_encode(mapping, csv, values, block, err) != RG_OK)
			check(err->text[0] != 0);
		for (uint32_t i = 0; i < sizeof(block); i++)
			check((i >= 8 && i < block_length) || block[i] == GUARD);
	}
}

static void read_csv(struct rg_mapping *mapping, const uint8_t *text, size_t bytes)
{
	int fd = memfd_create("csv", MFD_CLOEXEC);
	struct rg_csv *csv = NULL;
	struct rg_error err = {0};
	char path[64];

	check(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (rg_csv_open(path, &csv, &err) != RG_OK)
		check(err.text[0] != 0);
	else if (rg_mapping_bind(mapping, csv, &err) == RG_OK)
		encode_rows(mapping, csv, &err);
	rg_csv_close(csv);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rg_schema *schema;
	const uint8_t *nul = memchr(data, 0, size);
	size_t map_bytes = nul ? (size_t)(nul - data) : size;
	struct rg_mapping *mapping = NULL;
	struct rg_error err = {0};

	if (!schema)
		check(rg_schema_load_memory(test_schema, sizeof(test_schema) - 1, "schema", &schema,
					    &err) == RG_OK);
	if (rg_mapping_parse((const char *)data, map_bytes, "fuzz", schema, &mapping, &err) !=
	    RG_OK) {
		check(err.text[0] != 0);
		return 0;
	}
	if (nul)
		read_csv(mapping, nul + 1, size - map_bytes - 1);
	rg_mapping_free(mapping);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an archive or plan.json: loaded or refused within small limits, never run. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "bundle/yaml_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rg_bundle_options options = {
		.opa = "/nonexistent/opa",
		.limits = {.members_max = 64,
			   .file_bytes_max = 1 << 20,
			   .total_bytes_max = 2 << 20},
	};
	struct rg_bundle *bundle = NULL;
	struct rg_json_writer writer;
	struct rg_error err;

	if (!rg_bundle_load_memory("fuzz", data, size, &options, &bundle, &err)) {
		if (!bundle->plan_json || !bundle->data_json || !bundle->revision[0] ||
		    bundle->data_json[bundle->data_bytes])
			abort();
		rg_bundle_free(bundle);
	} else if (bundle || !err.status || !err.text[0]) {
		abort();
	}
	rg_json_writer_init(&writer, false);
	if (!rg_yaml_to_json((const char *)data, size, 1 << 16, &writer, &err)) {
		struct rg_json_reader reader;
		enum rg_json_token token;

		rg_json_reader_init(&reader, writer.text, writer.bytes);
		while ((token = rg_json_next(&reader)) != RG_JSON_END) {
			if (token == RG_JSON_ERROR)
				abort(); /* what is written reads back */
		}
	}
	rg_json_writer_free(&writer);
	return 0;
}

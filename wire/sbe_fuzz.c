/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a datagram: walk it, print each message, and encode what was printed once more: the
 * same JSON. */
#include "wire/sbe.h"

#include "wire/fuzz_schema.h"
#include "wire/sbe_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

static char *print(const uint8_t *message, size_t bytes)
{
	struct rg_json_writer writer;

	rg_json_writer_init(&writer, false);
	if (rg_sbe_to_json(fuzz_schema(), message, bytes, &writer, NULL)) {
		rg_json_writer_free(&writer);
		return NULL;
	}
	return writer.text;
}

/* Printed JSON may hold null where a client left out a required field or sent an unknown enum
 * value; then it is refused. */
static void check_again(const struct rg_template *template, const char *json)
{
	uint8_t message[256];
	size_t written;
	char *twice;

	if (rg_sbe_from_json(fuzz_schema(), template->name, json, strlen(json), message,
			     sizeof(message), &written, NULL))
		return;
	twice = print(message, written);
	check(twice && !strcmp(twice, json));
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rg_sbe_message message = {0};
	enum rg_sbe_result result;
	uint32_t cursor = 0;

	if (size > 65507)
		return 0;
	while ((result = rg_sbe_next(data, (uint32_t)size, &cursor, &message)) != RG_SBE_END) {
		const struct rg_template *template;
		char *json;

		check(cursor <= size);
		if (result != RG_SBE_MESSAGE)
			continue;
		template = rg_schema_template_by_id(fuzz_schema(), message.header.schema_id,
						    message.header.template_id);
		json = print(message.block - RG_SBE_HEADER_BYTES,
			     RG_SBE_HEADER_BYTES + message.block_bytes);
		check((json != NULL) == (template != NULL));
		if (json)
			check_again(template, json);
		free(json);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the JSON of a message: what is accepted prints, and what is printed encodes to the
 * same bytes again. */
#include "wire/sbe_json.h"

#include "wire/fuzz_schema.h"
#include "wire/sbe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t message[256] = {0}, again[256] = {0};
	struct rg_json_writer writer;
	struct rg_error err = {0};
	size_t written, rewritten;
	int status;

	status = rg_sbe_from_json(fuzz_schema(), "K", (const char *)data, size, message,
				  sizeof(message), &written, &err);
	if (status) {
		check(err.status == status && err.text[0]);
		return 0;
	}
	rg_json_writer_init(&writer, false);
	check(!rg_sbe_to_json(fuzz_schema(), message, written, &writer, &err));
	check(!rg_sbe_from_json(fuzz_schema(), "K", writer.text, writer.bytes, again, sizeof(again),
				&rewritten, &err));
	check(written == rewritten && !memcmp(message, again, written));
	rg_json_writer_free(&writer);
	return 0;
}

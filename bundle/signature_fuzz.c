/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .signatures.json: refused, unless they were signed with the key, which they are
 * not. The structured text of what is JSON reads back as itself. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/signature.h"
#include "bundle/structured_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_structured(const char *text, size_t size)
{
	struct rg_json_writer once, twice;

	rg_json_writer_init(&once, false);
	rg_json_writer_init(&twice, false);
	if (!rg_structured_hash_text(text, size, &once, NULL) &&
	    (rg_structured_hash_text(once.text, once.bytes, &twice, NULL) ||
	     once.bytes != twice.bytes || memcmp(once.text, twice.text, once.bytes)))
		abort();
	rg_json_writer_free(&once);
	rg_json_writer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rg_signature_key key = {"k", "a secret that the fuzzer does not know", "HS256",
					     NULL};
	const struct rg_signature_policy policy = {.keys = &key, .key_count = 1, .keyid = "k"};
	const struct rg_bundle_limits limits = {.file_bytes_max = 1 << 20,
						.total_bytes_max = 2 << 20};
	struct rg_member_list list;
	char *copy = malloc(size + 1);
	struct rg_error err;

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	check_structured(copy, size);
	rg_member_list_init(&list, &limits);
	if (!rg_member_list_add(&list, ".signatures.json", copy, size, &err) &&
	    !rg_signature_verify(&list, &policy, NULL, &err))
		abort();
	rg_member_list_free(&list);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the answers of a running OPA: refused with a reason, or modules and a data document that
 * can be read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "bundle/opa_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct rg_member *member)
{
	struct rg_json_reader reader;
	enum rg_json_token token;

	rg_json_reader_init(&reader, member->bytes, member->size);
	while ((token = rg_json_next(&reader)) != RG_JSON_END)
		if (token == RG_JSON_ERROR)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rg_bundle_limits limits = {
		.members_max = 64, .file_bytes_max = 1 << 20, .total_bytes_max = 2 << 20};
	char path[64] = "/dev/shm/riskgate-opa-answer-fuzz-XXXXXX";
	struct rg_error err = {0};
	struct rg_member_list list;
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd))
		abort();
	rg_member_list_init(&list, &limits);
	if (rg_opa_answer_read(&list, path, &err)) {
		if (!err.status || !err.text[0])
			abort();
	} else {
		for (uint32_t i = 0; i < list.count; i++) {
			const struct rg_member *member = &list.members[i];

			if (member->bytes[member->size] ||
			    memchr(member->name, '/', strlen(member->name)))
				abort();
			if (member->kind == RG_MEMBER_DATA_JSON)
				check_json(member);
		}
	}
	rg_member_list_free(&list);
	unlink(path);
	return 0;
}

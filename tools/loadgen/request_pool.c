/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/request_pool.h"

#include <stdlib.h>
#include <string.h>

#include "tools/loadgen/encode.h"
#include "tools/loadgen/transport.h"
#include "wire/sbe.h"

int rg_request_pool_init(struct rg_request_pool *pool, const struct rg_template *template,
			 struct rg_error *err)
{
	uint32_t bytes = RG_SBE_HEADER_BYTES + template->block_length;

	memset(pool, 0, sizeof(*pool));
	if (bytes > RG_TRANSPORT_PAYLOAD_BYTES)
		return rg_error_set(err, RG_ELIMIT,
				    "template %s: a message has %u bytes, a datagram holds %u",
				    template->name, bytes, RG_TRANSPORT_PAYLOAD_BYTES);
	pool->template = template;
	pool->message_bytes = bytes;
	return RG_OK;
}

void rg_request_pool_free(struct rg_request_pool *pool)
{
	free(pool->messages);
	memset(pool, 0, sizeof(*pool));
}

static int grow(struct rg_request_pool *pool, struct rg_error *err)
{
	uint64_t capacity = pool->capacity ? pool->capacity * 2 : 1024;
	uint8_t *messages;

	if (capacity * pool->message_bytes > RG_REQUEST_POOL_BYTES_MAX)
		return rg_error_set(err, RG_ELIMIT, "more than 4 GiB of requests: use fewer rows");
	messages = realloc(pool->messages, capacity * pool->message_bytes);
	if (!messages)
		return rg_error_set(err, RG_ENOMEM, "no memory for %llu requests",
				    (unsigned long long)capacity);
	pool->messages = messages;
	pool->capacity = capacity;
	return RG_OK;
}

int rg_request_pool_add(struct rg_request_pool *pool, const struct rg_field_table *table,
			uint8_t **block, struct rg_error *err)
{
	const struct rg_template *template = pool->template;
	struct rg_sbe_header header = {
		.block_length = template->block_length,
		.template_id = template->template_id,
		.schema_id = template->schema_id,
		.version = template->schema_version,
	};
	uint8_t *message;

	if (pool->count == pool->capacity) {
		int status = grow(pool, err);

		if (status != RG_OK)
			return status;
	}
	message = pool->messages + pool->count * pool->message_bytes;
	memset(message, 0, pool->message_bytes);
	rg_sbe_header_write(message, header);
	*block = message + RG_SBE_HEADER_BYTES;
	for (uint32_t i = 0; i < template->fields_count; i++)
		rg_encode_null(&table->fields[template->fields_first + i], *block, NULL);
	pool->count++;
	return RG_OK;
}

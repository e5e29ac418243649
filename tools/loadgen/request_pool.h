/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests to send, encoded once before the load starts and cycled: one template, one size.
 * Only the request id is written when a message is sent.
 *
 * Thread-safety: a pool is filled by one thread; then it is immutable.
 */
#ifndef RG_TOOLS_LOADGEN_REQUEST_POOL_H
#define RG_TOOLS_LOADGEN_REQUEST_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/schema.h"

#define RG_REQUEST_POOL_BYTES_MAX (1ull << 32)

struct rg_request_pool {
	const struct rg_template *template;
	uint8_t *messages; /* count x message_bytes: header and block */
	uint32_t message_bytes;
	uint64_t count, capacity;
};

/* An empty pool for a template of the schema. RG_ELIMIT if one message is larger than a datagram
 * may be. */
int rg_request_pool_init(struct rg_request_pool *pool, const struct rg_template *template,
			 struct rg_error *err);
void rg_request_pool_free(struct rg_request_pool *pool);
/* Add a message with its header written, request id 0 and every field "no value" (required ones:
 * zero). *block gets its root block, valid until the next call. Errors: RG_ENOMEM, RG_ELIMIT. */
int rg_request_pool_add(struct rg_request_pool *pool, const struct rg_field_table *table,
			uint8_t **block, struct rg_error *err);

static inline const uint8_t *rg_request_pool_message(const struct rg_request_pool *pool,
						     uint64_t index)
{
	return pool->messages + index * pool->message_bytes;
}

#endif

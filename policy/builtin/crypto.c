/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and HMAC, over nettle, which computes in place. Source: OPA v1/topdown/crypto.go, RFC
 * 2104. */
#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>

#include "policy/builtin/family.h"

static enum rg_builtin_result give_hex(struct rg_builtin_call *call, struct rg_value *result,
				       const uint8_t *digest, size_t bytes)
{
	struct rg_builder builder;

	rg_builder_init(&builder, call->heap);
	for (size_t i = 0; i < bytes; i++) {
		rg_builder_put_char(&builder, "0123456789abcdef"[digest[i] >> 4]);
		rg_builder_put_char(&builder, "0123456789abcdef"[digest[i] & 15]);
	}
	return rg_builtin_give(call, result, rg_builder_finish(&builder));
}

static const uint8_t *bytes_of(const struct rg_heap *heap, struct rg_value v)
{
	return (const uint8_t *)rg_text(heap, v);
}

#define DIGEST(name, size)                                                                         \
	static enum rg_builtin_result digest_##name(struct rg_builtin_call *call,                  \
						    const struct rg_value *args,                   \
						    struct rg_value *result)                       \
	{                                                                                          \
		struct name##_ctx context;                                                         \
		uint8_t digest[size];                                                              \
                                                                                                   \
		RG_OPERAND(1, STRING, "string");                                                   \
		if (!rg_builtin_charge(call, args[0].length / 4))                                  \
			return RG_BUILTIN_ERROR;                                                   \
		name##_init(&context);                                                             \
		name##_update(&context, args[0].length, bytes_of(call->heap, args[0]));            \
		name##_digest(&context, size, digest);                                             \
		return give_hex(call, result, digest, size);                                       \
	}
DIGEST(md5, MD5_DIGEST_SIZE)
DIGEST(sha1, SHA1_DIGEST_SIZE)
DIGEST(sha256, SHA256_DIGEST_SIZE)

#define HMAC(name, size)                                                                           \
	static enum rg_builtin_result hmac_##name(struct rg_builtin_call *call,                    \
						  const struct rg_value *args,                     \
						  struct rg_value *result)                         \
	{                                                                                          \
		struct hmac_##name##_ctx context;                                                  \
		uint8_t digest[size];                                                              \
                                                                                                   \
		RG_OPERAND(1, STRING, "string");                                                   \
		RG_OPERAND(2, STRING, "string");                                                   \
		if (!rg_builtin_charge(call, args[0].length / 4 + args[1].length / 4))             \
			return RG_BUILTIN_ERROR;                                                   \
		hmac_##name##_set_key(&context, args[1].length, bytes_of(call->heap, args[1]));    \
		hmac_##name##_update(&context, args[0].length, bytes_of(call->heap, args[0]));     \
		hmac_##name##_digest(&context, size, digest);                                      \
		return give_hex(call, result, digest, size);                                       \
	}
HMAC(md5, MD5_DIGEST_SIZE)
HMAC(sha1, SHA1_DIGEST_SIZE)
HMAC(sha256, SHA256_DIGEST_SIZE)
HMAC(sha512, SHA512_DIGEST_SIZE)

/* In a time that depends on the length alone. */
static enum rg_builtin_result hmac_equal(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	bool equal;

	RG_OPERAND(1, STRING, "string");
	RG_OPERAND(2, STRING, "string");
	equal = args[0].length == args[1].length &&
		memeql_sec(rg_text(call->heap, args[0]), rg_text(call->heap, args[1]),
			   args[0].length);
	return rg_builtin_give(call, result, rg_boolean(equal));
}

static const struct rg_builtin table[] = {
	{"crypto.md5", digest_md5, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"crypto.sha1", digest_sha1, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"crypto.sha256", digest_sha256, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"crypto.hmac.md5", hmac_md5, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"crypto.hmac.sha1", hmac_sha1, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"crypto.hmac.sha256", hmac_sha256, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"crypto.hmac.sha512", hmac_sha512, 2, 0, NULL, FN2(T_STRING, T_STRING, T_STRING)},
	{"crypto.hmac.equal", hmac_equal, 2, 0, NULL, FN2(T_STRING, T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_crypto, table);

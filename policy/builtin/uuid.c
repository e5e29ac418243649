/* SPDX-License-Identifier: Apache-2.0 */
/* uuid.parse, uuid.rfc4122. Source: OPA v1/topdown/uuid.go, internal/uuid; RFC 4122;
 * github.com/google/uuid. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "policy/builtin/family.h"

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, the same after urn:uuid: or in braces, or 32 digits. */
static bool parse_text(const char *text, size_t bytes, uint8_t *uuid)
{
	bool dashed = bytes != 32;
	unsigned byte = 0;

	if (bytes == 36 + 9 && !strncasecmp(text, "urn:uuid:", 9))
		text += 9;
	else if (bytes == 36 + 2)
		text++;
	else if (bytes != 36 && bytes != 32)
		return false;
	for (unsigned i = 0; byte < 16; byte++) {
		if (dashed && (byte == 4 || byte == 6 || byte == 8 || byte == 10) &&
		    text[i++] != '-')
			return false;
		if (hex_digit(text[i]) < 0 || hex_digit(text[i + 1]) < 0)
			return false;
		uuid[byte] = (uint8_t)(hex_digit(text[i]) << 4 | hex_digit(text[i + 1]));
		i += 2;
	}
	return true;
}

static const char *variant_name(uint8_t byte)
{
	if ((byte & 0xc0) == 0x80)
		return "RFC4122";
	if ((byte & 0xe0) == 0xc0)
		return "Microsoft";
	return (byte & 0xe0) == 0xe0 ? "Future" : "Reserved";
}

static const char *node_kind(uint8_t byte)
{
	static const char *const kinds[] = {"global:unicast", "global:multicast", "local:unicast",
					    "local:multicast"};

	return kinds[byte & 3];
}

static uint32_t big_endian(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

/* Nanoseconds since 1970 of a time in 100 ns since 15 October 1582; wraps as Go's int64 does. */
static int64_t unix_ns(const uint8_t *uuid)
{
	uint64_t time = (uint64_t)(big_endian(uuid + 6, 2) & 0xfff) << 48 |
			(uint64_t)big_endian(uuid + 4, 2) << 32 | big_endian(uuid, 4);
	int64_t since_1970 = (int64_t)(time - 122192928000000000ull),
		seconds = since_1970 / 10000000;

	return (int64_t)((uint64_t)seconds * 1000000000ull +
			 (uint64_t)(since_1970 % 10000000 * 100));
}

static void insert(struct rg_heap *heap, struct rg_value object, const char *key,
		   struct rg_value value)
{
	if (!heap->exhausted)
		rg_object_insert(heap, object, rg_string_c(heap, key), value);
}

static void insert_time_based(struct rg_heap *heap, struct rg_value object, const uint8_t *uuid,
			      unsigned version)
{
	static const char *const domains[] = {"Person", "Group", "Org"};
	const uint8_t *node = uuid + 10;
	char text[32];

	insert(heap, object, "time", rg_int(unix_ns(uuid)));
	snprintf(text, sizeof(text), "%02x-%02x-%02x-%02x-%02x-%02x", node[0], node[1], node[2],
		 node[3], node[4], node[5]);
	insert(heap, object, "nodeid", rg_string_c(heap, text));
	insert(heap, object, "macvariables", rg_string_c(heap, node_kind(node[0])));
	insert(heap, object, "clocksequence", rg_int(big_endian(uuid + 8, 2) & 0x3fff));
	if (version == 2) {
		insert(heap, object, "id", rg_int(big_endian(uuid, 4)));
		if (uuid[9] > 2)
			snprintf(text, sizeof(text), "Domain%u", uuid[9]);
		insert(heap, object, "domain",
		       rg_string_c(heap, uuid[9] > 2 ? text : domains[uuid[9]]));
	}
}

static enum rg_builtin_result parse(struct rg_builtin_call *call, const struct rg_value *args,
				    struct rg_value *result)
{
	struct rg_value object;
	unsigned version;
	uint8_t uuid[16];

	RG_OPERAND(1, STRING, "string");
	if (!parse_text(rg_text(call->heap, args[0]), args[0].length, uuid))
		return rg_builtin_give(call, result, rg_undefined);
	object = rg_object(call->heap, 0);
	if (!rg_is_defined(object))
		return RG_BUILTIN_MEMORY;
	version = uuid[6] >> 4;
	insert(call->heap, object, "version", rg_int(version));
	insert(call->heap, object, "variant", rg_string_c(call->heap, variant_name(uuid[8])));
	if (version == 1 || version == 2)
		insert_time_based(call->heap, object, uuid, version);
	return rg_builtin_give(call, result, object);
}

static uint64_t scramble(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* A version 4 UUID that depends on the request's seed and the key alone: equal keys give the
 * same one. */
static enum rg_builtin_result rfc4122(struct rg_builtin_call *call, const struct rg_value *args,
				      struct rg_value *result)
{
	uint64_t high = scramble(rg_hash(call->heap, args[0]) ^ call->seed),
		 low = scramble(high ^ call->seed << 1);
	char text[40];

	high = (high & ~0xf000ull) | 0x4000;
	low = (low & ~(3ull << 62)) | 2ull << 62;
	snprintf(text, sizeof(text), "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
		 (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
		 (unsigned long long)(low & 0xffffffffffffull));
	return rg_builtin_give(call, result, rg_string_c(call->heap, text));
}

static const struct rg_builtin table[] = {
	{"uuid.parse", parse, 1, 0, NULL, FN1(T_STRING, T_OBJECT(T_STRING, T_ANY))},
	{"uuid.rfc4122", rfc4122, 1, RG_BUILTIN_NONDETERMINISTIC, NULL, FN1(T_STRING, T_STRING)},
};
RG_BUILTIN_FAMILY(rg_builtin_uuid, table);

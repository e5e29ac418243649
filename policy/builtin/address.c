/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/builtin/address.h"

#include <arpa/inet.h>
#include <string.h>

#define TEXT_BYTES 64

/* Four numbers up to 255 between dots, without leading zeros. */
static bool parse_v4(const char *text, size_t bytes, rg_address *out)
{
	const char *at = text, *end = text + bytes;
	uint32_t address = 0;

	for (int part = 0; part < 4; part++) {
		const char *first;
		uint32_t number = 0;

		if (part && (at == end || *at++ != '.'))
			return false;
		first = at;
		for (; at < end && at < first + 3 && *at >= '0' && *at <= '9'; at++)
			number = 10 * number + (uint32_t)(*at - '0');
		if (at == first || number > 255 || (*first == '0' && at != first + 1))
			return false;
		address = address << 8 | number;
	}
	*out = RG_ADDRESS_MAPPED | address;
	return at == end;
}

static bool parse_v6(const char *text, size_t bytes, rg_address *out)
{
	char copy[TEXT_BYTES];
	uint8_t raw[16];

	if (bytes >= sizeof(copy) || !memchr(text, ':', bytes) || memchr(text, '\0', bytes))
		return false;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	if (inet_pton(AF_INET6, copy, raw) != 1)
		return false;
	*out = 0;
	for (int i = 0; i < 16; i++)
		*out = *out << 8 | raw[i];
	return true;
}

bool rg_address_parse(const char *text, size_t bytes, rg_address *out, bool *v4)
{
	*v4 = parse_v4(text, bytes, out);
	return *v4 || parse_v6(text, bytes, out);
}

bool rg_network_parse(const char *text, size_t bytes, struct rg_network *out)
{
	const char *slash = memchr(text, '/', bytes), *end = text + bytes;
	unsigned prefix = 0;
	bool v4;

	if (!slash || slash + 1 == end ||
	    !rg_address_parse(text, (size_t)(slash - text), &out->at, &v4))
		return false;
	for (const char *at = slash + 1; at < end; at++) {
		if (*at < '0' || *at > '9' || prefix > 128)
			return false;
		prefix = prefix * 10 + (unsigned)(*at - '0');
	}
	if (prefix > (v4 ? 32 : 128))
		return false;
	out->prefix = prefix + (v4 ? 96 : 0);
	out->at = rg_network_first(*out);
	if (!v4 && rg_address_is_v4(out->at) && out->prefix < 96)
		out->prefix = 96;
	return true;
}

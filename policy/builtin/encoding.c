/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.*, base64url.*, hex.*, urlquery.*, uri.*. Source: OPA v1/topdown/encoding.go, uri.go; RFC
 * 4648; Go encoding/base64, net/url.
 */
#include <string.h>

#include "policy/builtin/family.h"

#define STANDARD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define URL_SAFE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static bool charge_text(struct rg_builtin_call *call, struct rg_value v)
{
	return rg_builtin_charge(call, v.length / 8);
}

/* Bytes as a string value: invalid UTF-8 becomes U+FFFD when it is printed, not before. */
static enum rg_builtin_result give_bytes(struct rg_builtin_call *call, struct rg_value *result,
					 struct rg_builder *builder)
{
	return rg_builtin_give(call, result, rg_builder_finish(builder));
}

/* ---- base64 ---- */

static enum rg_builtin_result encode64(struct rg_builtin_call *call, const char *alphabet,
				       bool padded, const struct rg_value *args,
				       struct rg_value *result)
{
	struct rg_builder builder;
	const unsigned char *at, *end;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	at = (const unsigned char *)rg_text(call->heap, args[0]);
	end = at + args[0].length;
	rg_builder_init(&builder, call->heap);
	while (at < end) {
		unsigned left = (unsigned)(end - at > 3 ? 3 : end - at);
		uint32_t bits = (uint32_t)at[0] << 16 | (left > 1 ? (uint32_t)at[1] << 8 : 0) |
				(left > 2 ? at[2] : 0);

		for (unsigned i = 0; i < left + 1; i++)
			rg_builder_put_char(&builder, alphabet[bits >> (18 - 6 * i) & 63]);
		if (padded)
			rg_builder_repeat(&builder, '=', 3 - left);
		at += left;
	}
	return give_bytes(call, result, &builder);
}

/* Decode; line breaks are skipped. Returns -1, or the offset of the byte that is wrong. */
static int64_t decode64(struct rg_builder *builder, const char *alphabet, const char *text,
			size_t bytes)
{
	size_t i = 0;

	while (i < bytes) {
		uint32_t bits = 0;
		unsigned count = 0, padding = 0;
		size_t start = i;

		while (i < bytes && count + padding < 4) {
			char c = text[i++];
			const char *digit = strchr(alphabet, c);

			if (c == '\n' || c == '\r') {
				continue;
			} else if (c == '=' && count >= 2) {
				padding++;
			} else if (padding) {
				return (int64_t)i - 2;
			} else if (!c || !digit) {
				return (int64_t)i - 1;
			} else {
				bits = bits << 6 | (uint32_t)(digit - alphabet);
				count++;
			}
		}
		if (!count && !padding)
			break;
		if (count + padding < 4)
			return padding ? (int64_t)bytes : (int64_t)start;
		bits <<= 6 * padding;
		for (unsigned k = 0; k < 3 - padding; k++)
			rg_builder_put_char(builder, (char)(bits >> (16 - 8 * k) & 255));
		if (padding) { /* nothing but line breaks may follow */
			while (i < bytes && (text[i] == '\n' || text[i] == '\r'))
				i++;
			return i < bytes ? (int64_t)i : -1;
		}
	}
	return -1;
}

static enum rg_builtin_result base64_encode(struct rg_builtin_call *call,
					    const struct rg_value *args, struct rg_value *result)
{
	return encode64(call, STANDARD, true, args, result);
}

static enum rg_builtin_result base64url_encode(struct rg_builtin_call *call,
					       const struct rg_value *args, struct rg_value *result)
{
	return encode64(call, URL_SAFE, true, args, result);
}

static enum rg_builtin_result base64url_encode_no_pad(struct rg_builtin_call *call,
						      const struct rg_value *args,
						      struct rg_value *result)
{
	return encode64(call, URL_SAFE, false, args, result);
}

static enum rg_builtin_result base64_decode(struct rg_builtin_call *call,
					    const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder builder;
	int64_t wrong;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&builder, call->heap);
	wrong = decode64(&builder, STANDARD, rg_text(call->heap, args[0]), args[0].length);
	if (wrong >= 0)
		return rg_builtin_fail(call, "illegal base64 data at input byte %lld",
				       (long long)wrong);
	return give_bytes(call, result, &builder);
}

static enum rg_builtin_result base64_is_valid(struct rg_builtin_call *call,
					      const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder builder;
	bool valid = false;

	if (args[0].type == RG_STRING) {
		if (!charge_text(call, args[0]))
			return RG_BUILTIN_ERROR;
		rg_builder_init(&builder, call->heap);
		valid = decode64(&builder, STANDARD, rg_text(call->heap, args[0]), args[0].length) <
			0;
	}
	return rg_builtin_give(call, result, rg_boolean(valid));
}

/* Padding may be missing: RFC 7515, appendix C. */
static enum rg_builtin_result base64url_decode(struct rg_builtin_call *call,
					       const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder padded, builder;
	struct rg_value text;
	int64_t wrong;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&padded, call->heap);
	rg_builder_put_value(&padded, args[0]);
	if (args[0].length && rg_text(call->heap, args[0])[args[0].length - 1] != '=') {
		if (args[0].length % 4 == 1)
			return rg_builtin_fail(call, "illegal base64url string: %.*s",
					       (int)args[0].length, rg_text(call->heap, args[0]));
		rg_builder_repeat(&padded, '=', (4 - args[0].length % 4) % 4);
	}
	text = rg_builder_finish(&padded);
	if (!rg_is_defined(text))
		return RG_BUILTIN_MEMORY;
	rg_builder_init(&builder, call->heap);
	wrong = decode64(&builder, URL_SAFE, rg_text(call->heap, text), text.length);
	if (wrong >= 0)
		return rg_builtin_fail(call, "illegal base64 data at input byte %lld",
				       (long long)wrong);
	return give_bytes(call, result, &builder);
}

/* ---- hex ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static enum rg_builtin_result hex_encode(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_builder builder;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&builder, call->heap);
	for (uint32_t i = 0; i < args[0].length; i++) {
		unsigned char c = (unsigned char)rg_text(call->heap, args[0])[i];

		rg_builder_put_char(&builder, "0123456789abcdef"[c >> 4]);
		rg_builder_put_char(&builder, "0123456789abcdef"[c & 15]);
	}
	return give_bytes(call, result, &builder);
}

static enum rg_builtin_result hex_decode(struct rg_builtin_call *call, const struct rg_value *args,
					 struct rg_value *result)
{
	struct rg_builder builder;
	const char *text;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	text = rg_text(call->heap, args[0]);
	rg_builder_init(&builder, call->heap);
	for (uint32_t i = 0; i < args[0].length; i++) {
		if (hex_digit(text[i]) < 0)
			return rg_builtin_fail(call, "encoding/hex: invalid byte: U+%04X '%c'",
					       (unsigned char)text[i], text[i]);
		if (i % 2)
			rg_builder_put_char(
				&builder, (char)(hex_digit(text[i - 1]) << 4 | hex_digit(text[i])));
	}
	if (args[0].length % 2)
		return rg_builtin_fail(call, "encoding/hex: odd length hex string");
	return give_bytes(call, result, &builder);
}

/* ---- URL query ---- */

static void put_query(struct rg_builder *builder, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || (c && strchr("-_.~", c));

		if (plain || c == ' ') {
			rg_builder_put_char(builder, plain ? (char)c : '+');
		} else {
			rg_builder_put_char(builder, '%');
			rg_builder_put_char(builder, "0123456789ABCDEF"[c >> 4]);
			rg_builder_put_char(builder, "0123456789ABCDEF"[c & 15]);
		}
	}
}

/* Undo percent escapes, and '+' in queries. NULL, or where an escape is malformed. */
static const char *put_unescaped(struct rg_builder *builder, const char *at, const char *end,
				 bool query)
{
	while (at < end) {
		if (*at == '%') {
			if (end - at < 3 || hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
				return at;
			rg_builder_put_char(builder,
					    (char)(hex_digit(at[1]) << 4 | hex_digit(at[2])));
			at += 3;
		} else {
			rg_builder_put_char(builder, query && *at == '+' ? ' ' : *at);
			at++;
		}
	}
	return NULL;
}

static enum rg_builtin_result bad_escape(struct rg_builtin_call *call, const char *at,
					 const char *end)
{
	return rg_builtin_fail(call, "invalid URL escape \"%.*s\"",
			       (int)(end - at > 3 ? 3 : end - at), at);
}

static enum rg_builtin_result urlquery_encode(struct rg_builtin_call *call,
					      const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder builder;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	rg_builder_init(&builder, call->heap);
	put_query(&builder, rg_text(call->heap, args[0]), args[0].length);
	return give_bytes(call, result, &builder);
}

static enum rg_builtin_result urlquery_decode(struct rg_builtin_call *call,
					      const struct rg_value *args, struct rg_value *result)
{
	struct rg_builder builder;
	const char *text, *wrong;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	text = rg_text(call->heap, args[0]);
	rg_builder_init(&builder, call->heap);
	wrong = put_unescaped(&builder, text, text + args[0].length, true);
	if (wrong)
		return bad_escape(call, wrong, text + args[0].length);
	return give_bytes(call, result, &builder);
}

static bool put_pair(struct rg_builder *builder, struct rg_value key, struct rg_value value)
{
	if (value.type != RG_STRING)
		return false;
	if (builder->bytes)
		rg_builder_put_char(builder, '&');
	put_query(builder, rg_text(builder->heap, key), key.length);
	rg_builder_put_char(builder, '=');
	put_query(builder, rg_text(builder->heap, value), value.length);
	return true;
}

static enum rg_builtin_result urlquery_encode_object(struct rg_builtin_call *call,
						     const struct rg_value *args,
						     struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_builder builder;

	RG_OPERAND(1, OBJECT, "object");
	rg_builder_init(&builder, heap);
	for (uint32_t i = 0; i < rg_count(heap, args[0]); i++) {
		struct rg_pair pair = rg_object_at(heap, args[0], i);
		bool is_list = pair.value.type == RG_ARRAY || pair.value.type == RG_SET,
		     good = true;

		if (pair.key.type != RG_STRING)
			pair.key = rg_value_json(heap, pair.key);
		if (!rg_is_defined(pair.key))
			return RG_BUILTIN_MEMORY;
		if (!rg_builtin_charge(call, is_list ? rg_count(heap, pair.value) + 1ull : 1))
			return RG_BUILTIN_ERROR;
		if (is_list) {
			for (uint32_t k = 0; k < rg_count(heap, pair.value) && good; k++)
				good = put_pair(&builder, pair.key,
						rg_list_at(heap, pair.value, k));
		} else {
			good = put_pair(&builder, pair.key, pair.value);
		}
		if (!good)
			return rg_builtin_operand_text(
				call, 1, "values must be string, array[string], or set[string]");
	}
	return give_bytes(call, result, &builder);
}

/* One part of a query, unescaped; undefined with *wrong set, or without memory. */
static struct rg_value query_part(struct rg_heap *heap, const char *at, const char *end,
				  const char **wrong)
{
	struct rg_builder builder;

	rg_builder_init(&builder, heap);
	*wrong = put_unescaped(&builder, at, end, true);
	return *wrong ? rg_undefined : rg_builder_finish(&builder);
}

static enum rg_builtin_result urlquery_decode_object(struct rg_builtin_call *call,
						     const struct rg_value *args,
						     struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value object, key, value, list;
	const char *at, *end, *wrong;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	object = rg_object(heap, 0);
	at = rg_text(heap, args[0]);
	for (end = at + args[0].length; at < end && rg_is_defined(object);) {
		const char *next = memchr(at, '&', (size_t)(end - at)), *until = next ? next : end;
		const char *equals = memchr(at, '=', (size_t)(until - at));

		if (memchr(at, ';', (size_t)(until - at)))
			return rg_builtin_fail(call, "invalid semicolon separator in query");
		if (until > at) {
			key = query_part(heap, at, equals ? equals : until, &wrong);
			value = wrong ? rg_undefined
				      : query_part(heap, equals ? equals + 1 : until, until,
						   &wrong);
			if (wrong)
				return bad_escape(call, wrong, until);
			if (!rg_is_defined(key) || !rg_is_defined(value))
				return RG_BUILTIN_MEMORY;
			list = rg_object_get(heap, object, key);
			if (!rg_is_defined(list)) {
				list = rg_array(heap, 1);
				if (!rg_is_defined(list) ||
				    !rg_object_insert(heap, object, key, list))
					return RG_BUILTIN_MEMORY;
			}
			if (!rg_array_append(heap, list, value))
				return RG_BUILTIN_MEMORY;
		}
		at = next ? next + 1 : end;
	}
	return rg_builtin_give(call, result, object);
}

/* ---- URIs ---- */

struct part {
	const char *at, *end;
};

struct uri {
	struct part scheme, hostname, port, path, query, fragment;
	bool opaque; /* scheme:something: Go keeps no path then */
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The scheme before ':'. False: an URI that begins with ':'. */
static bool split_scheme(const char **at, const char *end, struct part *scheme)
{
	const char *c = *at;

	for (; c < end; c++) {
		bool rest = (*c >= '0' && *c <= '9') || *c == '+' || *c == '-' || *c == '.';

		if (is_letter(*c) || (rest && c > *at))
			continue;
		if (*c == ':') {
			if (c == *at)
				return false;
			*scheme = (struct part){*at, c};
			*at = c + 1;
		}
		break;
	}
	return true;
}

/* Are all percent escapes whole, and is there no byte that must be escaped in a host? */
static bool is_valid_escape(struct part p)
{
	for (const char *c = p.at; c < p.end; c++) {
		if (*c == '%' && (p.end - c < 3 || hex_digit(c[1]) < 0 || hex_digit(c[2]) < 0))
			return false;
	}
	return true;
}

static bool is_port(struct part p)
{
	for (const char *c = p.at; c < p.end; c++) {
		if (*c < '0' || *c > '9')
			return false;
	}
	return true;
}

static bool is_host(struct part p)
{
	for (const char *c = p.at; c < p.end; c++) {
		bool plain = is_letter(*c) || (*c >= '0' && *c <= '9') ||
			     (unsigned char)*c >= 0x80 || strchr("-_.~!$&'()*+,;=:[]<>\"%", *c);

		/* Of the escapes, only those of bytes above ASCII may stand in a host (Go
		 * net/url). */
		if (!*c || !plain ||
		    (*c == '%' && (p.end - c < 3 || hex_digit(c[1]) < 8 || hex_digit(c[2]) < 0)))
			return false;
	}
	return true;
}

static bool is_user(struct part p)
{
	for (const char *c = p.at; c < p.end; c++) {
		if (!*c || !(is_letter(*c) || (*c >= '0' && *c <= '9') ||
			     strchr("-._:~!$&'()*+,;=%@", *c)))
			return false;
	}
	return is_valid_escape(p);
}

/* user@host:port, [v6]:port. Source: Go net/url parseAuthority, parseHost. */
static bool split_authority(const char *at, const char *end, struct uri *uri)
{
	const char *sign = memrchr(at, '@', (size_t)(end - at)), *host = sign ? sign + 1 : at,
		   *colon;

	if (sign && !is_user((struct part){at, sign}))
		return false;
	if (host < end && *host == '[') {
		const char *close = memrchr(host, ']', (size_t)(end - host));

		if (!close || (close + 1 < end &&
			       (close[1] != ':' || !is_port((struct part){close + 2, end}))))
			return false;
		uri->hostname = (struct part){host + 1, close};
		if (close + 1 < end)
			uri->port = (struct part){close + 2, end};
		return true;
	}
	colon = memrchr(host, ':', (size_t)(end - host));
	if (colon && !is_port((struct part){colon + 1, end}))
		return false;
	uri->hostname = (struct part){host, colon ? colon : end};
	if (colon)
		uri->port = (struct part){colon + 1, end};
	return is_host((struct part){host, end});
}

static bool split_uri(const char *at, const char *end, struct uri *uri)
{
	const char *hash = memchr(at, '#', (size_t)(end - at)), *mark, *slash;

	*uri = (struct uri){0};
	for (const char *c = at; c < end; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	if (hash) {
		uri->fragment = (struct part){hash + 1, end};
		end = hash;
	}
	if (!split_scheme(&at, end, &uri->scheme))
		return false;
	mark = memchr(at, '?', (size_t)(end - at));
	if (mark) {
		uri->query = (struct part){mark + 1, end};
		end = mark;
	}
	if (at == end || *at != '/') {
		const char *colon = memchr(at, ':', (size_t)(end - at));

		slash = memchr(at, '/', (size_t)(end - at));
		uri->opaque = uri->scheme.at != NULL;
		if (!uri->opaque && colon && (!slash || colon < slash))
			return false; /* the first segment of a relative path cannot hold a colon */
	} else if (end - at >= 2 && at[1] == '/' &&
		   (uri->scheme.at || end - at < 3 || at[2] != '/')) {
		slash = memchr(at + 2, '/', (size_t)(end - at - 2));
		if (!split_authority(at + 2, slash ? slash : end, uri))
			return false;
		at = slash ? slash : end;
	}
	uri->path = (struct part){at, end};
	return (uri->opaque || is_valid_escape(uri->path)) && is_valid_escape(uri->fragment);
}

/* Insert a part, unescaped if asked for; empty parts are left out. */
static void insert_part(struct rg_heap *heap, struct rg_value object, const char *name,
			struct part p, bool unescape, bool lower)
{
	struct rg_builder builder;
	struct rg_value key;

	if (p.at == p.end)
		return;
	key = rg_string_c(heap, name);
	rg_builder_init(&builder, heap);
	if (unescape) {
		put_unescaped(&builder, p.at, p.end, false);
	} else {
		for (; p.at < p.end; p.at++)
			rg_builder_put_char(&builder, lower && *p.at >= 'A' && *p.at <= 'Z'
							      ? (char)(*p.at + 32)
							      : *p.at);
	}
	rg_object_insert(heap, object, key, rg_builder_finish(&builder));
}

/* Would Go write the unescaped path back just as it was given? Then it keeps no raw path. */
static bool is_default_escape(struct part path)
{
	for (const char *c = path.at; c < path.end; c++) {
		unsigned char byte = (unsigned char)*c;
		bool escaped = byte == '%';

		if (escaped) {
			byte = (unsigned char)(hex_digit(c[1]) << 4 | hex_digit(c[2]));
			if ((c[1] >= 'a' && c[1] <= 'f') || (c[2] >= 'a' && c[2] <= 'f'))
				return false;
			c += 2;
		}
		bool plain = is_letter((char)byte) || (byte >= '0' && byte <= '9') ||
			     (byte && strchr("-_.~$&+,/:;=@", byte));

		if (plain == escaped)
			return false;
	}
	return true;
}

static enum rg_builtin_result uri_parse(struct rg_builtin_call *call, const struct rg_value *args,
					struct rg_value *result)
{
	struct rg_heap *heap = call->heap;
	struct rg_value object;
	const char *text;
	struct uri uri;

	RG_OPERAND(1, STRING, "string");
	if (!charge_text(call, args[0]))
		return RG_BUILTIN_ERROR;
	text = rg_text(heap, args[0]);
	if (!split_uri(text, text + args[0].length, &uri))
		return rg_builtin_fail(call, "parse \"%.*s\": not a valid URI", (int)args[0].length,
				       text);
	object = rg_object(heap, 0);
	if (!rg_is_defined(object))
		return RG_BUILTIN_MEMORY;
	insert_part(heap, object, "scheme", uri.scheme, false, true);
	insert_part(heap, object, "hostname", uri.hostname, true, false);
	insert_part(heap, object, "port", uri.port, false, false);
	if (!uri.opaque) {
		insert_part(heap, object, "path", uri.path, true, false);
		insert_part(heap, object, "raw_path", uri.path, is_default_escape(uri.path), false);
	}
	insert_part(heap, object, "raw_query", uri.query, false, false);
	insert_part(heap, object, "fragment", uri.fragment, true, false);
	return rg_builtin_give(call, result, object);
}

static enum rg_builtin_result uri_is_valid(struct rg_builtin_call *call,
					   const struct rg_value *args, struct rg_value *result)
{
	bool valid = false;
	struct uri uri;

	if (args[0].type == RG_STRING && args[0].length) {
		const char *text = rg_text(call->heap, args[0]);

		if (!charge_text(call, args[0]))
			return RG_BUILTIN_ERROR;
		valid = split_uri(text, text + args[0].length, &uri);
	}
	return rg_builtin_give(call, result, rg_boolean(valid));
}

#define QUERY_VALUE T_UNION(OF3(T_ARRAY(T_STRING), T_SET(T_STRING), T_STRING))

static const struct rg_builtin table[] = {
	{"base64.encode", base64_encode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"base64.decode", base64_decode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"base64.is_valid", base64_is_valid, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
	{"base64url.encode", base64url_encode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"base64url.encode_no_pad", base64url_encode_no_pad, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"base64url.decode", base64url_decode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"hex.encode", hex_encode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"hex.decode", hex_decode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"urlquery.encode", urlquery_encode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"urlquery.decode", urlquery_decode, 1, 0, NULL, FN1(T_STRING, T_STRING)},
	{"urlquery.encode_object", urlquery_encode_object, 1, 0, NULL,
	 FN1(T_OBJECT(T_STRING, QUERY_VALUE), T_STRING)},
	{"urlquery.decode_object", urlquery_decode_object, 1, 0, NULL,
	 FN1(T_STRING, T_OBJECT(T_STRING, T_ARRAY(T_STRING)))},
	{"uri.parse", uri_parse, 1, 0, NULL, FN1(T_STRING, T_OBJECT(T_STRING, T_STRING))},
	{"uri.is_valid", uri_is_valid, 1, 0, NULL, FN1(T_STRING, T_BOOLEAN)},
};
RG_BUILTIN_FAMILY(rg_builtin_encoding, table);

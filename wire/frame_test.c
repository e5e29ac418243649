/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: hand-made ones for each kind, replies checked by a plain reference, and random mutations
 * of good frames against a slow reference parser that shares no code with frame.c.
 */
#include "wire/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOM 2048

/* ---- the reference: RFC text turned into byte arithmetic ---- */

struct bytes {
	uint8_t at[ROOM];
	uint32_t count;
};

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* The checksum as RFC 1071 first states it: 16-bit words, carries added in at once. 0 for data with
 * a good checksum in it. */
static uint32_t reference_checksum(const uint8_t *head, uint32_t head_bytes, const uint8_t *data,
				   uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < head_bytes + bytes; i++) {
		uint32_t byte = i < head_bytes ? head[i] : data[i - head_bytes];

		sum += i % 2 ? byte : byte << 8;
		if (sum > 0xffff)
			sum = (sum & 0xffff) + 1;
	}
	return ~sum & 0xffff;
}

static uint32_t reference_l4(const uint8_t *addresses, uint32_t address_bytes, uint8_t protocol,
			     const uint8_t *data, uint32_t bytes)
{
	uint8_t head[40] = {0};

	memcpy(head, addresses, 2 * address_bytes);
	head[2 * address_bytes + 1] = protocol;
	head[2 * address_bytes + 2] = (uint8_t)(bytes >> 8);
	head[2 * address_bytes + 3] = (uint8_t)bytes;
	return reference_checksum(head, 2 * address_bytes + 4, data, bytes);
}

static const struct rg_frame_host host = {
	.mac = {2, 0, 0, 0, 0, 1},
	.udp_port = 9471,
	.udp_port_count = 2,
	.ipv4_count = 2,
	.ipv4 = {0x0100470a, 0x0200470a}, /* 10.71.0.1, 10.71.0.2 */
	.ipv6_count = 2,
	.ipv6 = {{0xfd, 0x71, [15] = 1}, {0xfe, 0x80, [13] = 0xaa, [14] = 0xbb, [15] = 0xcc}},
};

static uint32_t reply_udp(uint8_t *frame, const struct rg_frame *parsed, uint32_t payload_bytes,
			  unsigned offload)
{
	uint64_t sum = rg_frame_sum(0, frame + rg_frame_reply_payload(parsed), payload_bytes);

	return rg_frame_reply_udp(frame, parsed, &host, payload_bytes, sum, offload);
}
static const uint8_t client_mac[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};
static const uint8_t client4[4] = {10, 71, 0, 9}, ours4[4] = {10, 71, 0, 1},
		     second4[4] = {10, 71, 0, 2};
static const uint8_t client6[16] = {0xfd, 0x71, [15] = 9}, ours6[16] = {0xfd, 0x71, [15] = 1};

static bool reference_own4(const uint8_t *a)
{
	return !memcmp(a, ours4, 4) || !memcmp(a, second4, 4);
}

static bool reference_own6(const uint8_t *a)
{
	return !memcmp(a, host.ipv6[0], 16) || !memcmp(a, host.ipv6[1], 16);
}

static bool reference_bad4(const uint8_t *a)
{
	return a[0] == 0 || a[0] == 127 || a[0] >= 224 || reference_own4(a);
}

static bool reference_bad6(const uint8_t *a)
{
	static const uint8_t zero[10];

	return a[0] == 0xff || reference_own6(a) || !memcmp(a, zero, 10);
}

static bool reference_port(uint32_t port)
{
	return port == 9471 || port == 9472;
}

static enum rg_frame_kind reference_udp(const uint8_t *l4, uint32_t bytes, const uint8_t *addresses,
					uint32_t address_bytes)
{
	if (bytes < 8 || be16(l4 + 4) != bytes)
		return RG_FRAME_BAD_LENGTH;
	if (!reference_port(be16(l4 + 2)))
		return RG_FRAME_OTHER_PORT;
	if (be16(l4) == 0 || reference_port(be16(l4)))
		return RG_FRAME_BAD_SOURCE;
	if (be16(l4 + 6) == 0)
		return address_bytes == 4 ? RG_FRAME_UDP4 : RG_FRAME_BAD_L4_CHECKSUM;
	if (reference_l4(addresses, address_bytes, 17, l4, bytes))
		return RG_FRAME_BAD_L4_CHECKSUM;
	return address_bytes == 4 ? RG_FRAME_UDP4 : RG_FRAME_UDP6;
}

static enum rg_frame_kind reference_ipv4(const uint8_t *ip, uint32_t left, bool group)
{
	uint32_t header, total;

	if (group)
		return RG_FRAME_OTHER_MAC;
	if (left < 20)
		return RG_FRAME_BAD_LENGTH;
	header = ip[0] % 16 * 4;
	total = be16(ip + 2);
	if (ip[0] / 16 != 4 || header < 20)
		return RG_FRAME_BAD_HEADER;
	if (total < header || total > left)
		return RG_FRAME_BAD_LENGTH;
	if (reference_checksum(NULL, 0, ip, header))
		return RG_FRAME_BAD_IP_CHECKSUM;
	if (!reference_own4(ip + 16))
		return RG_FRAME_OTHER_ADDRESS;
	if (reference_bad4(ip + 12))
		return RG_FRAME_BAD_SOURCE;
	if (be16(ip + 6) % 0x4000)
		return RG_FRAME_FRAGMENT4;
	if (ip[9] == 17)
		return reference_udp(ip + header, total - header, ip + 12, 4);
	if (ip[9] != 1)
		return RG_FRAME_OTHER_PROTOCOL;
	if (total - header < 8)
		return RG_FRAME_BAD_LENGTH;
	if (be16(ip + header) != 0x0800)
		return RG_FRAME_OTHER_ICMP;
	return reference_checksum(NULL, 0, ip + header, total - header) ? RG_FRAME_BAD_L4_CHECKSUM
									: RG_FRAME_ICMP4_ECHO;
}

static bool reference_solicited(const uint8_t *a)
{
	static const uint8_t prefix[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

	return !memcmp(a, prefix, 13) &&
	       (!memcmp(a + 13, host.ipv6[0] + 13, 3) || !memcmp(a + 13, host.ipv6[1] + 13, 3));
}

static enum rg_frame_kind reference_icmp6(const uint8_t *ip, const uint8_t *l4, uint32_t bytes)
{
	static const uint8_t unspecified[16];
	bool probe = !memcmp(ip + 8, unspecified, 16), source_option = false;

	if (bytes < 8)
		return RG_FRAME_BAD_LENGTH;
	if (l4[0] != 135 && be16(l4) != 0x8000)
		return RG_FRAME_OTHER_ICMP;
	if (l4[0] == 128 && !reference_own6(ip + 24))
		return RG_FRAME_OTHER_ADDRESS;
	if (reference_l4(ip + 8, 16, 58, l4, bytes))
		return RG_FRAME_BAD_L4_CHECKSUM;
	if (l4[0] == 128)
		return reference_bad6(ip + 8) ? RG_FRAME_BAD_SOURCE : RG_FRAME_ICMP6_ECHO;
	if (ip[7] != 255 || l4[1] != 0)
		return RG_FRAME_BAD_HEADER;
	if (bytes < 24)
		return RG_FRAME_BAD_LENGTH;
	for (uint32_t at = 24; at != bytes; at += l4[at + 1] * 8u) {
		if (bytes - at < 2 || l4[at + 1] == 0 || at + l4[at + 1] * 8u > bytes)
			return RG_FRAME_BAD_LENGTH;
		if (l4[at] == 1)
			source_option = true;
	}
	if (probe && (source_option || !reference_solicited(ip + 24)))
		return RG_FRAME_BAD_HEADER;
	if (!probe && reference_bad6(ip + 8))
		return RG_FRAME_BAD_SOURCE;
	return reference_own6(l4 + 8) ? RG_FRAME_ND_SOLICIT : RG_FRAME_OTHER_ADDRESS;
}

static enum rg_frame_kind reference_ipv6(const uint8_t *ip, uint32_t left, bool group)
{
	uint32_t at = 40, end, followed = 0;
	uint8_t next;

	if (left < 40)
		return RG_FRAME_BAD_LENGTH;
	if (ip[0] / 16 != 6)
		return RG_FRAME_BAD_HEADER;
	end = 40 + be16(ip + 4);
	if (end > left)
		return RG_FRAME_BAD_LENGTH;
	if (!reference_own6(ip + 24) && !reference_solicited(ip + 24))
		return RG_FRAME_OTHER_ADDRESS;
	if (reference_own6(ip + 24) && group)
		return RG_FRAME_OTHER_MAC;
	if (ip[8] == 0xff || reference_own6(ip + 8))
		return RG_FRAME_BAD_SOURCE;
	for (next = ip[6]; next == 0 || next == 43 || next == 60; followed++) {
		if (next == 0 && followed > 0)
			return RG_FRAME_BAD_HEADER;
		if (followed == 4)
			return RG_FRAME_TOO_DEEP;
		if (at + 8 > end || at + 8 + ip[at + 1] * 8u > end)
			return RG_FRAME_BAD_LENGTH;
		if (next == 43 && ip[at + 3] > 0)
			return RG_FRAME_OTHER_ADDRESS;
		next = ip[at];
		at += 8 + ip[at + 1] * 8u;
	}
	if (next == 44)
		return RG_FRAME_FRAGMENT6;
	if (next == 58)
		return reference_icmp6(ip, ip + at, end - at);
	if (next != 17)
		return RG_FRAME_OTHER_PROTOCOL;
	if (!reference_own6(ip + 24))
		return RG_FRAME_OTHER_ADDRESS;
	if (reference_bad6(ip + 8))
		return RG_FRAME_BAD_SOURCE;
	return reference_udp(ip + at, end - at, ip + 8, 16);
}

static enum rg_frame_kind reference_arp(const uint8_t *arp, uint32_t left)
{
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1}, nobody[4];

	if (left < 28)
		return RG_FRAME_BAD_LENGTH;
	if (memcmp(arp, request, 8) || !reference_own4(arp + 24))
		return RG_FRAME_OTHER_ARP;
	if (arp[8] % 2 || !memcmp(arp + 8, host.mac, 6) ||
	    (memcmp(arp + 14, nobody, 4) && reference_bad4(arp + 14)))
		return RG_FRAME_BAD_SOURCE;
	return RG_FRAME_ARP_REQUEST;
}

static enum rg_frame_kind reference_parse(const uint8_t *frame, uint32_t bytes)
{
	uint32_t at = 12, type;

	if (bytes < 14)
		return RG_FRAME_BAD_LENGTH;
	if (frame[0] % 2 == 0 && memcmp(frame, host.mac, 6))
		return RG_FRAME_OTHER_MAC;
	if (frame[6] % 2 || !memcmp(frame + 6, host.mac, 6))
		return RG_FRAME_BAD_SOURCE;
	for (int tags = 0; (type = be16(frame + at)) == 0x8100 || type == 0x88a8; tags++) {
		if (tags == 2)
			return RG_FRAME_TOO_DEEP;
		at += 4;
		if (at + 2 > bytes)
			return RG_FRAME_BAD_LENGTH;
	}
	at += 2;
	if (type == 0x0800)
		return reference_ipv4(frame + at, bytes - at, frame[0] % 2);
	if (type == 0x86dd)
		return reference_ipv6(frame + at, bytes - at, frame[0] % 2);
	return type == 0x0806 ? reference_arp(frame + at, bytes - at) : RG_FRAME_OTHER_ETHERTYPE;
}

/* ---- making frames ---- */

static void put(struct bytes *frame, const void *data, uint32_t bytes)
{
	assert(frame->count + bytes <= ROOM);
	memcpy(frame->at + frame->count, data, bytes);
	frame->count += bytes;
}

static void put16(struct bytes *frame, uint32_t value)
{
	uint8_t two[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(frame, two, 2);
}

static void set16(struct bytes *frame, uint32_t at, uint32_t value)
{
	frame->at[at] = (uint8_t)(value >> 8);
	frame->at[at + 1] = (uint8_t)value;
}

static void begin(struct bytes *frame, const uint8_t *destination, uint32_t tags, uint32_t type)
{
	frame->count = 0;
	put(frame, destination, 6);
	put(frame, client_mac, 6);
	for (uint32_t i = 0; i < tags; i++) {
		put16(frame, tags == 2 && i == 0 ? 0x88a8 : 0x8100);
		put16(frame, 7 + i);
	}
	put16(frame, type);
}

/* IPv4 header with `options` bytes of no-ops in front of l4. */
static void put_ipv4(struct bytes *frame, const uint8_t *destination, uint8_t protocol,
		     uint32_t options, const void *l4, uint32_t bytes)
{
	uint32_t at = frame->count;
	uint8_t header[60] = {
		(uint8_t)(0x45 + options / 4), 0xb9, 0, 0, 0x12, 0x34, 0, 0, 17, protocol};

	memcpy(header + 12, client4, 4);
	memcpy(header + 16, destination, 4);
	memset(header + 20, 1, options);
	put(frame, header, 20 + options);
	set16(frame, at + 2, 20 + options + bytes);
	set16(frame, at + 10, reference_checksum(NULL, 0, frame->at + at, 20 + options));
	put(frame, l4, bytes);
}

static void put_ipv6(struct bytes *frame, const uint8_t *source, const uint8_t *destination,
		     uint8_t next, uint8_t hop_limit, const void *payload, uint32_t bytes)
{
	uint8_t header[40] = {0x6b,	      0x90, 1,	      2, (uint8_t)(bytes >> 8),
			      (uint8_t)bytes, next, hop_limit};

	memcpy(header + 8, source, 16);
	memcpy(header + 24, destination, 16);
	put(frame, header, 40);
	put(frame, payload, bytes);
}

static uint32_t make_udp(uint8_t *out, const void *addresses, uint32_t address_bytes,
			 uint32_t payload_bytes, bool checksum)
{
	struct bytes udp = {.count = 0};

	put16(&udp, 40000);
	put16(&udp, 9471);
	put16(&udp, 8 + payload_bytes);
	put16(&udp, 0);
	for (uint32_t i = 0; i < payload_bytes; i++)
		put(&udp, &(uint8_t){(uint8_t)(i * 7 + 3)}, 1);
	if (checksum)
		set16(&udp, 6, reference_l4(addresses, address_bytes, 17, udp.at, udp.count));
	memcpy(out, udp.at, udp.count);
	return udp.count;
}

static void udp4(struct bytes *frame, uint32_t tags, uint32_t options, uint32_t payload_bytes,
		 bool checksum)
{
	uint8_t addresses[8], l4[1600];

	memcpy(addresses, client4, 4);
	memcpy(addresses + 4, ours4, 4);
	begin(frame, host.mac, tags, 0x0800);
	put_ipv4(frame, ours4, 17, options, l4,
		 make_udp(l4, addresses, 4, payload_bytes, checksum));
}

static void udp6(struct bytes *frame, uint32_t tags, uint32_t extensions, uint32_t payload_bytes)
{
	static const uint8_t chain[5] = {0, 60, 43, 60, 60};
	uint8_t addresses[32], packet[1700];
	uint32_t at = 0;

	memcpy(addresses, client6, 16);
	memcpy(addresses + 16, ours6, 16);
	for (uint32_t i = 0; i < extensions; i++) {
		uint32_t bytes = i % 2 ? 16 : 8;

		memset(packet + at, 0, bytes);
		packet[at] = i + 1 < extensions ? chain[i + 1] : 17;
		packet[at + 1] = (uint8_t)(bytes / 8 - 1);
		at += bytes;
	}
	at += make_udp(packet + at, addresses, 16, payload_bytes, true);
	begin(frame, host.mac, tags, 0x86dd);
	put_ipv6(frame, client6, ours6, extensions ? chain[0] : 17, 64, packet, at);
}

static void arp(struct bytes *frame, const uint8_t *destination, uint32_t tags)
{
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1}, nobody[6];

	begin(frame, destination, tags, 0x0806);
	put(frame, request, 8);
	put(frame, client_mac, 6);
	put(frame, client4, 4);
	put(frame, nobody, 6);
	put(frame, second4, 4);
}

static void solicit(struct bytes *frame, bool probe, bool with_option)
{
	static const uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 1}, unspecified[16];
	static const uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff, [15] = 1};
	uint8_t icmp[32] = {135}, addresses[32];
	uint32_t bytes = with_option ? 32 : 24;
	uint32_t sum;

	memcpy(icmp + 8, ours6, 16);
	icmp[24] = 1;
	icmp[25] = 1;
	memcpy(icmp + 26, client_mac, 6);
	memcpy(addresses, probe ? unspecified : client6, 16);
	memcpy(addresses + 16, group, 16);
	sum = reference_l4(addresses, 16, 58, icmp, bytes);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	begin(frame, group_mac, 0, 0x86dd);
	put_ipv6(frame, addresses, group, 58, 255, icmp, bytes);
}

static void echo(struct bytes *frame, bool six, uint32_t options, uint32_t data_bytes)
{
	uint8_t icmp[1500] = {six ? 128 : 8, 0, 0, 0, 0x11, 0x22, 0, 1}, addresses[32];
	uint32_t bytes = 8 + data_bytes, sum;

	for (uint32_t i = 0; i < data_bytes; i++)
		icmp[8 + i] = (uint8_t)(i * 11);
	memcpy(addresses, client6, 16);
	memcpy(addresses + 16, ours6, 16);
	sum = six ? reference_l4(addresses, 16, 58, icmp, bytes)
		  : reference_checksum(NULL, 0, icmp, bytes);
	icmp[2] = (uint8_t)(sum >> 8);
	icmp[3] = (uint8_t)sum;
	begin(frame, host.mac, 0, six ? 0x86dd : 0x0800);
	if (six)
		put_ipv6(frame, client6, ours6, 58, 64, icmp, bytes);
	else
		put_ipv4(frame, ours4, 1, options, icmp, bytes);
}

/* ---- parsing ---- */

/* Parse a copy of exactly its size; fast and slow path and reference agree. */
static enum rg_frame_kind parse(const uint8_t *at, uint32_t bytes, struct rg_frame *parsed)
{
	uint8_t *exact = malloc(bytes ? bytes : 1);
	struct rg_frame slow;
	enum rg_frame_kind kind, want;

	memcpy(exact, at, bytes);
	kind = rg_frame_parse(exact, bytes, &host, 0, parsed);
	assert(rg_frame_parse_slow(exact, bytes, &host, 0, &slow) == kind && parsed->kind == kind &&
	       slow.kind == kind);
	if (kind <= RG_FRAME_ICMP6_ECHO)
		assert(!memcmp(&slow, parsed, sizeof(slow)));
	want = reference_parse(exact, bytes);
	if (kind != want) {
		fprintf(stderr, "%s, the reference says %s\n", rg_frame_kind_name(kind),
			rg_frame_kind_name(want));
		abort();
	}
	free(exact);
	return kind;
}

static enum rg_frame_kind kind_of(const struct bytes *frame)
{
	struct rg_frame parsed;

	return parse(frame->at, frame->count, &parsed);
}

static void test_udp(void)
{
	struct rg_frame parsed;
	struct bytes frame;

	for (uint32_t tags = 0; tags <= 2; tags++) {
		for (uint32_t options = 0; options <= 40; options += 4) {
			udp4(&frame, tags, options, 33, options % 8);
			assert(parse(frame.at, frame.count, &parsed) == RG_FRAME_UDP4);
			assert(parsed.l3 == 14 + 4 * tags &&
			       parsed.l4 == parsed.l3 + 20 + options &&
			       parsed.payload == parsed.l4 + 8);
			assert(parsed.payload_bytes == 33 && parsed.source_port == 40000 &&
			       parsed.destination_port == 9471 && parsed.ip_version == 4);
		}
		for (uint32_t extensions = 0; extensions <= 4; extensions++) {
			udp6(&frame, tags, extensions, 0);
			assert(parse(frame.at, frame.count, &parsed) == RG_FRAME_UDP6 &&
			       parsed.payload_bytes == 0 && parsed.ip_version == 6);
			assert(parsed.payload == frame.count);
		}
	}
	udp6(&frame, 0, 5, 10);
	assert(kind_of(&frame) == RG_FRAME_TOO_DEEP);
	udp4(&frame, 3, 0, 10, true);
	assert(kind_of(&frame) == RG_FRAME_TOO_DEEP);
	/* Ethernet padding behind the packet is not payload. */
	udp4(&frame, 0, 0, 4, true);
	put(&frame, "paddingpadding", 14);
	assert(parse(frame.at, frame.count, &parsed) == RG_FRAME_UDP4 && parsed.payload_bytes == 4);
	/* Cut everywhere: nothing is read beyond (the sanitizer sees) and every cut is a length
	 * error. */
	udp4(&frame, 1, 8, 20, true);
	for (uint32_t bytes = 0; bytes < frame.count; bytes++)
		assert(parse(frame.at, bytes, &parsed) == RG_FRAME_BAD_LENGTH);
	udp6(&frame, 1, 3, 20);
	for (uint32_t bytes = 0; bytes < frame.count; bytes++)
		assert(parse(frame.at, bytes, &parsed) == RG_FRAME_BAD_LENGTH);
}

/* Change one field of a good UDP frame, mend the IPv4 header's checksum, and expect a cause. */
static void changed4(uint32_t at, uint8_t value, enum rg_frame_kind want)
{
	struct bytes frame;

	udp4(&frame, 0, 0, 20, false);
	frame.at[at] = value;
	if (at >= 14 && at < 34) {
		set16(&frame, 24, 0);
		set16(&frame, 24, reference_checksum(NULL, 0, frame.at + 14, 20));
	}
	if (kind_of(&frame) != want) {
		fprintf(stderr, "byte %u = %u: %s, not %s\n", at, value,
			rg_frame_kind_name(kind_of(&frame)), rg_frame_kind_name(want));
		abort();
	}
}

static void changed6(uint32_t at, uint8_t value, enum rg_frame_kind want)
{
	struct bytes frame;

	udp6(&frame, 0, 0, 20);
	frame.at[at] = value;
	if (kind_of(&frame) != want) {
		fprintf(stderr, "byte %u = %u: %s, not %s\n", at, value,
			rg_frame_kind_name(kind_of(&frame)), rg_frame_kind_name(want));
		abort();
	}
}

static void test_causes(void)
{
	struct bytes frame;

	changed4(5, 2, RG_FRAME_OTHER_MAC);
	changed4(0, 3, RG_FRAME_OTHER_MAC);   /* IPv4 to a link group */
	changed4(6, 3, RG_FRAME_BAD_SOURCE);  /* a group as link source */
	changed4(11, 1, RG_FRAME_BAD_SOURCE); /* our own MAC */
	changed4(13, 1, RG_FRAME_OTHER_ETHERTYPE);
	changed4(14, 0x55, RG_FRAME_BAD_HEADER);
	changed4(14, 0x44, RG_FRAME_BAD_HEADER);
	changed4(14, 0x46, RG_FRAME_BAD_IP_CHECKSUM); /* header length over the payload */
	changed4(17, 47, RG_FRAME_BAD_LENGTH);	      /* total below header + UDP */
	changed4(17, 49, RG_FRAME_BAD_LENGTH);
	changed4(20, 0x20, RG_FRAME_FRAGMENT4);
	changed4(21, 1, RG_FRAME_FRAGMENT4);
	changed4(20, 0x40, RG_FRAME_UDP4);
	changed4(23, 6, RG_FRAME_OTHER_PROTOCOL);
	changed4(23, 1, RG_FRAME_OTHER_ICMP);
	changed4(26, 0, RG_FRAME_BAD_SOURCE);
	changed4(26, 127, RG_FRAME_BAD_SOURCE);
	changed4(26, 224, RG_FRAME_BAD_SOURCE);
	changed4(26, 255, RG_FRAME_BAD_SOURCE);
	changed4(29, 1, RG_FRAME_BAD_SOURCE); /* 10.71.0.1 and .2 are ours */
	changed4(29, 2, RG_FRAME_BAD_SOURCE);
	changed4(33, 2, RG_FRAME_UDP4); /* our second address */
	changed4(33, 3, RG_FRAME_OTHER_ADDRESS);
	changed4(30, 224, RG_FRAME_OTHER_ADDRESS);
	changed4(37, 0, RG_FRAME_OTHER_PORT);
	changed4(37, 0, RG_FRAME_OTHER_PORT);
	changed4(39, 27, RG_FRAME_BAD_LENGTH);
	changed4(39, 29, RG_FRAME_BAD_LENGTH);
	changed4(41, 1, RG_FRAME_BAD_L4_CHECKSUM);
	udp4(&frame, 0, 0, 20, false);
	frame.at[24] ^= 1;
	assert(kind_of(&frame) == RG_FRAME_BAD_IP_CHECKSUM);
	set16(&frame, 34, 0);
	udp4(&frame, 0, 0, 20, false);
	set16(&frame, 34, 0);
	assert(kind_of(&frame) == RG_FRAME_BAD_SOURCE);
	set16(&frame, 34, 9472);
	assert(kind_of(&frame) == RG_FRAME_BAD_SOURCE);
	set16(&frame, 34, 9473);
	set16(&frame, 36, 9472);
	assert(kind_of(&frame) == RG_FRAME_UDP4);
	set16(&frame, 36, 9473);
	assert(kind_of(&frame) == RG_FRAME_OTHER_PORT);
	udp4(&frame, 0, 0, 20, true);
	for (uint32_t i = 34; i < frame.count; i++) { /* every bit counts */
		frame.at[i] ^= 0x10;
		assert(kind_of(&frame) != RG_FRAME_UDP4);
		frame.at[i] ^= 0x10;
	}

	changed6(14, 0x40, RG_FRAME_BAD_HEADER);
	changed6(19, 29, RG_FRAME_BAD_LENGTH);
	changed6(20, 6, RG_FRAME_OTHER_PROTOCOL);
	changed6(20, 44, RG_FRAME_FRAGMENT6);
	changed6(20, 58, RG_FRAME_OTHER_ICMP);
	changed6(20, 59, RG_FRAME_OTHER_PROTOCOL);
	changed6(22, 0xff, RG_FRAME_BAD_SOURCE);
	changed6(37, 1, RG_FRAME_BAD_SOURCE);
	changed6(53, 2, RG_FRAME_OTHER_ADDRESS);
	changed6(38, 0xff, RG_FRAME_OTHER_ADDRESS);
	changed6(70, 0x55, RG_FRAME_BAD_L4_CHECKSUM);
	udp6(&frame, 0, 0, 20);
	set16(&frame, 60, 0);
	assert(kind_of(&frame) == RG_FRAME_BAD_L4_CHECKSUM); /* IPv6 has no "no checksum" */
	memset(frame.at + 22, 0, 15);
	frame.at[37] = 1;
	assert(kind_of(&frame) == RG_FRAME_BAD_SOURCE); /* ::1 */
	udp6(&frame, 0, 3, 20);
	frame.at[14 + 40 + 8 + 16 + 3] = 1; /* a routing header that is not used up */
	assert(kind_of(&frame) == RG_FRAME_OTHER_ADDRESS);

	arp(&frame, broadcast, 0);
	assert(kind_of(&frame) == RG_FRAME_ARP_REQUEST);
	frame.at[21] = 2;
	assert(kind_of(&frame) == RG_FRAME_OTHER_ARP);
	arp(&frame, host.mac, 1);
	assert(kind_of(&frame) == RG_FRAME_ARP_REQUEST);
	memset(frame.at + 18 + 14, 0, 4);
	assert(kind_of(&frame) == RG_FRAME_ARP_REQUEST); /* a probe */
	memcpy(frame.at + 18 + 14, ours4, 4);
	assert(kind_of(&frame) == RG_FRAME_BAD_SOURCE);
	arp(&frame, broadcast, 0);
	frame.at[14 + 27] = 77;
	assert(kind_of(&frame) == RG_FRAME_OTHER_ARP);

	solicit(&frame, false, true);
	assert(kind_of(&frame) == RG_FRAME_ND_SOLICIT);
	solicit(&frame, true, false);
	assert(kind_of(&frame) == RG_FRAME_ND_SOLICIT);
	solicit(&frame, true, true);
	assert(kind_of(&frame) == RG_FRAME_BAD_HEADER);
	solicit(&frame, false, true);
	frame.at[21] = 254; /* it crossed a router */
	assert(kind_of(&frame) == RG_FRAME_BAD_HEADER);

	echo(&frame, false, 0, 56);
	assert(kind_of(&frame) == RG_FRAME_ICMP4_ECHO);
	frame.at[50] ^= 1;
	assert(kind_of(&frame) == RG_FRAME_BAD_L4_CHECKSUM);
	echo(&frame, true, 0, 56);
	assert(kind_of(&frame) == RG_FRAME_ICMP6_ECHO);
	frame.at[54] = 129;
	assert(kind_of(&frame) == RG_FRAME_OTHER_ICMP);
}

/* A NIC that has verified checksums is believed. */
static void test_receive_offload(void)
{
	struct rg_frame parsed;
	struct bytes frame;

	udp4(&frame, 0, 0, 20, true);
	set16(&frame, 24, 0x1234);
	set16(&frame, 40, 0x1234);
	assert(rg_frame_parse(frame.at, frame.count, &host,
			      RG_FRAME_RX_IP_GOOD | RG_FRAME_RX_L4_GOOD, &parsed) == RG_FRAME_UDP4);
	assert(rg_frame_parse(frame.at, frame.count, &host, RG_FRAME_RX_L4_GOOD, &parsed) ==
	       RG_FRAME_BAD_IP_CHECKSUM);
	assert(rg_frame_parse(frame.at, frame.count, &host, RG_FRAME_RX_IP_GOOD, &parsed) ==
	       RG_FRAME_BAD_L4_CHECKSUM);
}

/* ---- replies ---- */

static void check_turned(const struct bytes *reply, uint32_t l3)
{
	assert(!memcmp(reply->at, client_mac, 6) && !memcmp(reply->at + 6, host.mac, 6));
	if (reply->at[l3] >> 4 == 4) {
		assert(reply->at[l3] == 0x45 && reply->at[l3 + 1] == 0xb8 &&
		       reply->at[l3 + 8] == 64 && be16(reply->at + l3 + 6) == 0x4000);
		assert(!memcmp(reply->at + l3 + 12, ours4, 4) &&
		       !memcmp(reply->at + l3 + 16, client4, 4));
		assert(be16(reply->at + l3 + 2) == reply->count - l3);
		assert(!reference_checksum(NULL, 0, reply->at + l3, 20));
	} else {
		assert(reply->at[l3] == 0x6b && reply->at[l3 + 1] == 0x80 &&
		       reply->at[l3 + 7] == 64);
		assert(!memcmp(reply->at + l3 + 8, ours6, 16) &&
		       !memcmp(reply->at + l3 + 24, client6, 16));
		assert(be16(reply->at + l3 + 4) == reply->count - l3 - 40);
	}
}

static void test_reply_udp(void)
{
	for (uint32_t round = 0; round < 600; round++) {
		bool six = round % 2;
		uint32_t tags = round / 2 % 3, extra = round / 6 % 5, payload_bytes = round % 301,
			 header;
		struct rg_frame parsed;
		struct bytes frame;
		uint8_t *payload;

		if (six)
			udp6(&frame, tags, extra, 100);
		else
			udp4(&frame, tags, 4 * extra, 100, true);
		assert(parse(frame.at, frame.count, &parsed) ==
		       (six ? RG_FRAME_UDP6 : RG_FRAME_UDP4));
		payload = frame.at + rg_frame_reply_payload(&parsed);
		assert(rg_frame_reply_payload(&parsed) <= parsed.payload);
		for (uint32_t i = 0; i < payload_bytes; i++)
			payload[i] = (uint8_t)(rand());
		frame.count = reply_udp(frame.at, &parsed, payload_bytes, 0);
		header = six ? 40 : 20;
		assert(frame.count == 14 + 4 * tags + header + 8 + payload_bytes);
		check_turned(&frame, parsed.l3);
		assert(frame.at[parsed.l3 + (six ? 6 : 9)] == 17);
		assert(be16(frame.at + parsed.l3 + header) == 9471 &&
		       be16(frame.at + parsed.l3 + header + 2) == 40000);
		assert(be16(frame.at + parsed.l3 + header + 4) == 8 + payload_bytes);
		assert(be16(frame.at + parsed.l3 + header + 6) != 0);
		assert(!reference_l4(frame.at + parsed.l3 + (six ? 8 : 12), six ? 16 : 4, 17,
				     frame.at + parsed.l3 + header, 8 + payload_bytes));
	}
}

/* A UDP checksum that comes out as 0 is sent as 0xffff: 0 would mean that there is none. RFC 768.
 */
static void test_reply_zero_checksum(void)
{
	for (int six = 0; six < 2; six++) {
		struct rg_frame parsed;
		struct bytes frame;
		uint32_t udp = six ? 54 : 34, sum = 0;

		for (int pass = 0; pass < 2; pass++) {
			/* The first pass shows what the two payload bytes must add to reach 0xffff.
			 */
			if (six)
				udp6(&frame, 0, 0, 2);
			else
				udp4(&frame, 0, 0, 2, true);
			assert(parse(frame.at, frame.count, &parsed) <= RG_FRAME_UDP6);
			set16(&frame, udp + 8, pass ? sum : 0);
			frame.count = reply_udp(frame.at, &parsed, 2, 0);
			sum = be16(frame.at + udp + 6);
		}
		assert(sum == 0xffff);
	}
}

/* With checksum offload the NIC finds what it expects: 0 in IPv4's field, the pseudo-header's sum
 * in UDP's. */
static void test_reply_offload(void)
{
	uint8_t head[12] = {0};
	struct rg_frame parsed;
	struct bytes frame;

	udp4(&frame, 0, 0, 100, true);
	assert(parse(frame.at, frame.count, &parsed) == RG_FRAME_UDP4);
	reply_udp(frame.at, &parsed, 72, RG_FRAME_TX_IP | RG_FRAME_TX_L4);
	assert(be16(frame.at + 24) == 0);
	memcpy(head, frame.at + 26, 8);
	head[9] = 17;
	head[11] = 80;
	assert(be16(frame.at + 40) == (~reference_checksum(NULL, 0, head, 12) & 0xffff));
}

static void test_reply_echo(void)
{
	for (uint32_t round = 0; round < 200; round++) {
		bool six = round % 2;
		uint32_t options = six ? 0 : round / 2 % 4 * 4, header = six ? 40 : 20,
			 data_bytes = round * 7;
		struct rg_frame parsed;
		struct bytes frame, before;

		echo(&frame, six, options, data_bytes);
		before = frame;
		assert(parse(frame.at, frame.count, &parsed) ==
		       (six ? RG_FRAME_ICMP6_ECHO : RG_FRAME_ICMP4_ECHO));
		frame.count = rg_frame_reply_echo(frame.at, &parsed, &host);
		assert(frame.count == before.count - options);
		check_turned(&frame, 14);
		assert(frame.at[14 + header] == (six ? 129 : 0) && frame.at[15 + header] == 0);
		assert(!memcmp(frame.at + 14 + header + 4, before.at + 14 + header + options + 4,
			       4 + data_bytes));
		assert(!(six ? reference_l4(frame.at + 22, 16, 58, frame.at + 54, 8 + data_bytes)
			     : reference_checksum(NULL, 0, frame.at + 34, 8 + data_bytes)));
	}
}

static void test_reply_arp(void)
{
	static const uint8_t reply_head[8] = {0, 1, 8, 0, 6, 4, 0, 2};
	struct rg_frame parsed;
	struct bytes frame;

	arp(&frame, broadcast, 1);
	assert(parse(frame.at, frame.count, &parsed) == RG_FRAME_ARP_REQUEST);
	assert(rg_frame_reply_arp(frame.at, &parsed, &host) == 18 + 28);
	assert(!memcmp(frame.at, client_mac, 6) && !memcmp(frame.at + 6, host.mac, 6));
	assert(!memcmp(frame.at + 18, reply_head, 8));
	assert(!memcmp(frame.at + 26, host.mac, 6) && !memcmp(frame.at + 32, second4, 4));
	assert(!memcmp(frame.at + 36, client_mac, 6) && !memcmp(frame.at + 42, client4, 4));
}

static void test_reply_nd(void)
{
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1},
			     all_nodes[16] = {0xff, 2, [15] = 1};

	for (int probe = 0; probe < 2; probe++) {
		struct rg_frame parsed;
		struct bytes frame;

		solicit(&frame, probe, !probe);
		assert(parse(frame.at, frame.count, &parsed) == RG_FRAME_ND_SOLICIT);
		assert(rg_frame_reply_nd(frame.at, &parsed, &host, 85) == 0);
		assert(rg_frame_reply_nd(frame.at, &parsed, &host, ROOM) == 86);
		assert(!memcmp(frame.at, probe ? all_nodes_mac : client_mac, 6) &&
		       !memcmp(frame.at + 6, host.mac, 6));
		assert(be16(frame.at + 18) == 32 && frame.at[20] == 58 && frame.at[21] == 255);
		assert(!memcmp(frame.at + 22, ours6, 16) &&
		       !memcmp(frame.at + 38, probe ? all_nodes : client6, 16));
		assert(frame.at[54] == 136 && frame.at[58] == (probe ? 0x20 : 0x60) &&
		       !memcmp(frame.at + 62, ours6, 16));
		assert(frame.at[78] == 2 && frame.at[79] == 1 &&
		       !memcmp(frame.at + 80, host.mac, 6));
		assert(!reference_l4(frame.at + 22, 16, 58, frame.at + 54, 32));
	}
}

static void test_build(void)
{
	for (uint32_t round = 0; round < 400; round++) {
		bool six = round % 2;
		struct rg_frame_flow flow = {.ip_version = six ? 6 : 4,
					     .vlan = round / 2 % 2 ? 12 : 0,
					     .source_port = 40000,
					     .destination_port = 9471};
		uint32_t payload_bytes = round, bytes;
		uint8_t frame[ROOM];
		struct rg_frame parsed;

		memcpy(flow.source_mac, client_mac, 6);
		memcpy(flow.destination_mac, host.mac, 6);
		memcpy(flow.source, six ? client6 : client4, six ? 16 : 4);
		memcpy(flow.destination, six ? ours6 : ours4, six ? 16 : 4);
		for (uint32_t i = 0; i < payload_bytes; i++)
			frame[rg_frame_udp_header_bytes(&flow) + i] = (uint8_t)rand();
		bytes = rg_frame_build_udp(frame, ROOM, &flow, payload_bytes, 0);
		assert(bytes == rg_frame_udp_header_bytes(&flow) + payload_bytes);
		assert(parse(frame, bytes, &parsed) == (six ? RG_FRAME_UDP6 : RG_FRAME_UDP4));
		assert(parsed.payload_bytes == payload_bytes &&
		       parsed.payload == rg_frame_udp_header_bytes(&flow));
		assert(rg_frame_build_udp(frame, bytes - 1, &flow, payload_bytes, 0) == 0);
		flow.ip_version = 5;
		assert(rg_frame_build_udp(frame, ROOM, &flow, payload_bytes, 0) == 0);
	}
}

static void test_checksums(void)
{
	for (int round = 0; round < 20000; round++) {
		uint8_t data[128];
		uint32_t bytes = (uint32_t)rand() % 120, at = (uint32_t)rand() % 8, word;
		uint16_t checksum, old_word, new_word;

		for (uint32_t i = 0; i < sizeof(data); i++)
			data[i] = rand() % 3 ? (uint8_t)rand() : rand() % 2 ? 0 : 0xff;
		checksum = (uint16_t)~rg_frame_fold(rg_frame_sum(0, data + at, bytes));
		assert(__builtin_bswap16(checksum) ==
		       reference_checksum(NULL, 0, data + at, bytes));
		if (bytes < 4)
			continue;
		/* The update gives what summing again gives, but for the two spellings of zero. */
		word = at + (uint32_t)rand() % (bytes / 2) * 2;
		old_word = rg_frame_load16(data + word);
		new_word = (uint16_t)rand();
		memcpy(data + word, &new_word, 2);
		checksum = rg_frame_checksum_update(checksum, old_word, new_word);
		assert((uint16_t)(checksum + rg_frame_fold(rg_frame_sum(0, data + at, bytes))) ==
			       0xffff ||
		       rg_frame_fold(rg_frame_sum(checksum, data + at, bytes)) == 0xffff);
	}
}

/* ---- mutations ---- */

static void any_frame(struct bytes *frame)
{
	switch (rand() % 7) {
	case 0:
		udp4(frame, (uint32_t)rand() % 4, (uint32_t)rand() % 11 * 4, (uint32_t)rand() % 64,
		     rand() % 2);
		break;
	case 1:
		udp6(frame, (uint32_t)rand() % 4, (uint32_t)rand() % 6, (uint32_t)rand() % 64);
		break;
	case 2: arp(frame, rand() % 2 ? broadcast : host.mac, (uint32_t)rand() % 3); break;
	case 3: solicit(frame, rand() % 2, rand() % 2); break;
	case 4: echo(frame, true, 0, (uint32_t)rand() % 64); break;
	case 5: echo(frame, false, (uint32_t)rand() % 11 * 4, (uint32_t)rand() % 64); break;
	default: udp4(frame, 0, 0, (uint32_t)rand() % 64, false); break;
	}
}

/* Random changes to good frames: three parsers agree, and whatever is answerable can be answered in
 * place. */
static void test_mutations(void)
{
	uint32_t seen[RG_FRAME_KIND_COUNT] = {0};
	unsigned seed = 99881;

	printf("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 400000; round++) {
		struct rg_frame parsed;
		struct bytes frame;
		enum rg_frame_kind kind;

		any_frame(&frame);
		for (int changes = rand() % 4; changes; changes--) {
			uint32_t at = (uint32_t)rand() % (rand() % 2	     ? frame.count
							  : frame.count < 62 ? frame.count
									     : 62);

			frame.at[at] = rand() % 2 ? (uint8_t)rand()
						  : (uint8_t)(frame.at[at] ^ 1u << rand() % 8);
		}
		if (rand() % 8 == 0)
			frame.count = (uint32_t)rand() % (frame.count + 1);
		if (frame.count >= 34 && frame.at[12] == 8 && frame.at[13] == 0 &&
		    frame.at[14] == 0x45 && rand() % 4) {
			set16(&frame, 24, 0); /* so that changes get past the first checksum */
			set16(&frame, 24, reference_checksum(NULL, 0, frame.at + 14, 20));
		}
		kind = parse(frame.at, frame.count, &parsed);
		seen[kind]++;
		if (kind == RG_FRAME_UDP4 || kind == RG_FRAME_UDP6)
			frame.count = reply_udp(frame.at, &parsed, 72, 0);
		else if (kind == RG_FRAME_ARP_REQUEST)
			frame.count = rg_frame_reply_arp(frame.at, &parsed, &host);
		else if (kind == RG_FRAME_ND_SOLICIT)
			frame.count = rg_frame_reply_nd(frame.at, &parsed, &host, ROOM);
		else if (kind == RG_FRAME_ICMP4_ECHO || kind == RG_FRAME_ICMP6_ECHO)
			frame.count = rg_frame_reply_echo(frame.at, &parsed, &host);
		else
			continue;
		/* An answer that comes back is not answered again. */
		assert(parse(frame.at, frame.count, &parsed) > RG_FRAME_ICMP6_ECHO);
	}
	for (int kind = 0; kind < RG_FRAME_KIND_COUNT; kind++) {
		if (!seen[kind]) {
			fprintf(stderr, "the mutations never gave %s\n",
				rg_frame_kind_name((enum rg_frame_kind)kind));
			abort();
		}
	}
}

int main(void)
{
	for (int kind = 0; kind < RG_FRAME_KIND_COUNT; kind++)
		assert(rg_frame_kind_name((enum rg_frame_kind)kind)[0] &&
		       rg_frame_kind_help((enum rg_frame_kind)kind)[0]);
	test_udp();
	test_causes();
	test_receive_offload();
	test_reply_udp();
	test_reply_zero_checksum();
	test_reply_offload();
	test_reply_echo();
	test_reply_arp();
	test_reply_nd();
	test_build();
	test_checksums();
	test_mutations();
	return 0;
}

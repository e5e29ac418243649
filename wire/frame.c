/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8
};

enum {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP4 = 1,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_ICMP6 = 58,
	PROTOCOL_DESTINATION = 60
};

enum {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_ECHO = 8,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ND_SOLICIT = 135,
	ND_ADVERTISE = 136
};

#define HOP_LIMIT 64
#define ARP_BYTES 28

static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

static const struct {
	const char *name, *help;
} kinds[RG_FRAME_KIND_COUNT] = {
#define KIND_ROW(upper, lower, text) {#lower, text},
	RG_FRAME_KINDS(KIND_ROW)
#undef KIND_ROW
};

const char *rg_frame_kind_name(enum rg_frame_kind kind)
{
	return (unsigned)kind < RG_FRAME_KIND_COUNT ? kinds[kind].name : "unknown";
}

const char *rg_frame_kind_help(enum rg_frame_kind kind)
{
	return (unsigned)kind < RG_FRAME_KIND_COUNT ? kinds[kind].help : "unknown";
}

static void store16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void store32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void store64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void store_be16(uint8_t *at, uint32_t value)
{
	store16(at, __builtin_bswap16((uint16_t)value));
}

/* One's complement addition: a carry out of the top comes in at the bottom. */
static inline uint64_t add_around(uint64_t sum, uint64_t word)
{
	uint64_t total;

	return __builtin_add_overflow(sum, word, &total) ? total + 1 : total;
}

uint64_t rg_frame_sum(uint64_t sum, const uint8_t *data, uint32_t bytes)
{
	uint64_t even = 0, odd = 0, rest = 0; /* two chains of additions run side by side */

	for (; bytes >= 32; data += 32, bytes -= 32) {
		even = add_around(even, rg_frame_load64(data));
		odd = add_around(odd, rg_frame_load64(data + 8));
		even = add_around(even, rg_frame_load64(data + 16));
		odd = add_around(odd, rg_frame_load64(data + 24));
	}
	for (; bytes >= 8; data += 8, bytes -= 8)
		even = add_around(even, rg_frame_load64(data));
	if (bytes & 4) {
		rest += rg_frame_load32(data);
		data += 4;
	}
	if (bytes & 2) {
		rest += rg_frame_load16(data);
		data += 2;
	}
	if (bytes & 1)
		rest += *data;
	return sum + rg_frame_halves(even) + rg_frame_halves(odd) + rest;
}

/* ---- parsing, the slow and complete way ---- */

/* What is known of a frame on the way down. */
struct walk {
	const uint8_t *frame;
	const struct rg_frame_host *host;
	unsigned offload;
	uint32_t end;  /* of the frame, then of the packet */
	bool to_group; /* the link destination is a group */
	struct rg_frame *parsed;
};

static enum rg_frame_kind parse_udp(struct walk *walk, uint32_t at, const uint8_t *addresses)
{
	const uint8_t *udp = walk->frame + at;
	struct rg_frame *parsed = walk->parsed;
	uint32_t bytes = walk->end - at;
	uint16_t checksum;

	if (bytes < 8 || rg_frame_load_be16(udp + 4) != bytes)
		return RG_FRAME_BAD_LENGTH;
	parsed->source_port = rg_frame_load_be16(udp);
	parsed->destination_port = rg_frame_load_be16(udp + 2);
	if (!rg_frame_own_port(walk->host, parsed->destination_port))
		return RG_FRAME_OTHER_PORT;
	if (!parsed->source_port || rg_frame_own_port(walk->host, parsed->source_port))
		return RG_FRAME_BAD_SOURCE;
	checksum = rg_frame_load16(udp + 6);
	if (!checksum && parsed->ip_version == 6)
		return RG_FRAME_BAD_L4_CHECKSUM;
	if (checksum && !(walk->offload & RG_FRAME_RX_L4_GOOD) &&
	    rg_frame_fold(
		    rg_frame_sum(rg_frame_pseudo_sum(addresses, parsed->ip_version == 4 ? 4 : 16,
						     PROTOCOL_UDP, bytes),
				 udp, bytes)) != 0xffff)
		return RG_FRAME_BAD_L4_CHECKSUM;
	parsed->l4 = (uint16_t)at;
	parsed->payload = (uint16_t)(at + 8);
	parsed->payload_bytes = (uint16_t)(bytes - 8);
	return parsed->ip_version == 4 ? RG_FRAME_UDP4 : RG_FRAME_UDP6;
}

static enum rg_frame_kind parse_icmp4(struct walk *walk, uint32_t at)
{
	const uint8_t *icmp = walk->frame + at;
	uint32_t bytes = walk->end - at;

	if (bytes < 8)
		return RG_FRAME_BAD_LENGTH;
	if (icmp[0] != ICMP4_ECHO || icmp[1])
		return RG_FRAME_OTHER_ICMP;
	if (rg_frame_fold(rg_frame_sum(0, icmp, bytes)) != 0xffff)
		return RG_FRAME_BAD_L4_CHECKSUM;
	walk->parsed->l4 = (uint16_t)at;
	walk->parsed->payload_bytes = (uint16_t)bytes;
	return RG_FRAME_ICMP4_ECHO;
}

static enum rg_frame_kind parse_ipv4(struct walk *walk)
{
	const uint8_t *ip = walk->frame + walk->parsed->l3;
	uint32_t left = walk->end - walk->parsed->l3, header, total;

	if (walk->to_group)
		return RG_FRAME_OTHER_MAC;
	if (left < 20)
		return RG_FRAME_BAD_LENGTH;
	header = 4u * (ip[0] & 15);
	total = rg_frame_load_be16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20)
		return RG_FRAME_BAD_HEADER;
	if (total < header || total > left)
		return RG_FRAME_BAD_LENGTH;
	if (!(walk->offload & RG_FRAME_RX_IP_GOOD) &&
	    rg_frame_fold(rg_frame_sum(0, ip, header)) != 0xffff)
		return RG_FRAME_BAD_IP_CHECKSUM;
	if (!rg_frame_own4(walk->host, rg_frame_load32(ip + 16)))
		return RG_FRAME_OTHER_ADDRESS;
	if (!rg_frame_answerable4(walk->host, ip + 12))
		return RG_FRAME_BAD_SOURCE;
	if (rg_frame_load_be16(ip + 6) & 0x3fff)
		return RG_FRAME_FRAGMENT4;
	walk->parsed->ip_version = 4;
	walk->end = walk->parsed->l3 + total;
	if (ip[9] == PROTOCOL_UDP)
		return parse_udp(walk, walk->parsed->l3 + header, ip + 12);
	if (ip[9] == PROTOCOL_ICMP4)
		return parse_icmp4(walk, walk->parsed->l3 + header);
	return RG_FRAME_OTHER_PROTOCOL;
}

/* ff02::1:ff00:0/104 with the low 24 bits of one of our addresses. RFC 4291 section 2.7.1. */
static bool is_solicited_node(const struct rg_frame_host *host, const uint8_t *address)
{
	static const uint8_t prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	if (memcmp(address, prefix, sizeof(prefix)))
		return false;
	for (uint32_t i = 0; i < host->ipv6_count; i++) {
		if (!memcmp(address + 13, host->ipv6[i] + 13, 3))
			return true;
	}
	return false;
}

static bool is_unspecified6(const uint8_t *address)
{
	return !(rg_frame_load64(address) | rg_frame_load64(address + 8));
}

/* RFC 4861 section 7.1.1, validation of neighbour solicitations. */
static enum rg_frame_kind parse_solicitation(struct walk *walk, const uint8_t *ip,
					     const uint8_t *icmp, uint32_t bytes)
{
	bool probe = is_unspecified6(ip + 8);
	bool has_source = false;

	if (ip[7] != 255 || icmp[1])
		return RG_FRAME_BAD_HEADER;
	if (bytes < 24)
		return RG_FRAME_BAD_LENGTH;
	for (uint32_t at = 24; at < bytes;) {
		uint32_t option = bytes - at >= 2 ? 8u * icmp[at + 1] : 0;

		if (!option || option > bytes - at)
			return RG_FRAME_BAD_LENGTH;
		has_source |= icmp[at] == 1;
		at += option;
	}
	if (probe && (has_source || !is_solicited_node(walk->host, ip + 24)))
		return RG_FRAME_BAD_HEADER;
	if (!probe && !rg_frame_answerable6(walk->host, ip + 8))
		return RG_FRAME_BAD_SOURCE;
	if (!rg_frame_own6(walk->host, icmp + 8))
		return RG_FRAME_OTHER_ADDRESS;
	return RG_FRAME_ND_SOLICIT;
}

static enum rg_frame_kind parse_icmp6(struct walk *walk, uint32_t at, bool to_us)
{
	const uint8_t *ip = walk->frame + walk->parsed->l3, *icmp = walk->frame + at;
	uint32_t bytes = walk->end - at;

	if (bytes < 8)
		return RG_FRAME_BAD_LENGTH;
	if (icmp[0] != ND_SOLICIT && (icmp[0] != ICMP6_ECHO || icmp[1]))
		return RG_FRAME_OTHER_ICMP;
	if (icmp[0] == ICMP6_ECHO && !to_us)
		return RG_FRAME_OTHER_ADDRESS;
	if (rg_frame_fold(rg_frame_sum(rg_frame_pseudo_sum(ip + 8, 16, PROTOCOL_ICMP6, bytes), icmp,
				       bytes)) != 0xffff)
		return RG_FRAME_BAD_L4_CHECKSUM;
	walk->parsed->l4 = (uint16_t)at;
	walk->parsed->payload_bytes = (uint16_t)bytes;
	if (icmp[0] == ND_SOLICIT)
		return parse_solicitation(walk, ip, icmp, bytes);
	if (!rg_frame_answerable6(walk->host, ip + 8))
		return RG_FRAME_BAD_SOURCE;
	return RG_FRAME_ICMP6_ECHO;
}

/* Follow extension headers to the upper layer. Returns RG_FRAME_KIND_COUNT when *at and *protocol
 * name it. */
static enum rg_frame_kind skip_extensions(const struct walk *walk, uint32_t *at, uint8_t *protocol)
{
	for (uint32_t count = 0;; count++) {
		const uint8_t *extension = walk->frame + *at;
		uint32_t bytes;

		if (*protocol == PROTOCOL_FRAGMENT)
			return RG_FRAME_FRAGMENT6;
		if (*protocol != PROTOCOL_HOP_BY_HOP && *protocol != PROTOCOL_ROUTING &&
		    *protocol != PROTOCOL_DESTINATION)
			return RG_FRAME_KIND_COUNT;
		if (*protocol == PROTOCOL_HOP_BY_HOP && count)
			return RG_FRAME_BAD_HEADER;
		if (count == RG_FRAME_EXTENSIONS_MAX)
			return RG_FRAME_TOO_DEEP;
		if (walk->end - *at < 8)
			return RG_FRAME_BAD_LENGTH;
		bytes = 8u * extension[1] + 8;
		if (bytes > walk->end - *at)
			return RG_FRAME_BAD_LENGTH;
		if (*protocol == PROTOCOL_ROUTING &&
		    extension[3]) /* segments left: meant for somebody further on */
			return RG_FRAME_OTHER_ADDRESS;
		*protocol = extension[0];
		*at += bytes;
	}
}

static enum rg_frame_kind parse_ipv6(struct walk *walk)
{
	const uint8_t *ip = walk->frame + walk->parsed->l3;
	uint32_t left = walk->end - walk->parsed->l3, at = walk->parsed->l3 + 40u, payload;
	enum rg_frame_kind kind;
	uint8_t protocol;
	bool to_us;

	if (left < 40)
		return RG_FRAME_BAD_LENGTH;
	payload = rg_frame_load_be16(ip + 4);
	if (ip[0] >> 4 != 6)
		return RG_FRAME_BAD_HEADER;
	if (payload > left - 40)
		return RG_FRAME_BAD_LENGTH;
	to_us = rg_frame_own6(walk->host, ip + 24);
	if (!to_us && !is_solicited_node(walk->host, ip + 24))
		return RG_FRAME_OTHER_ADDRESS;
	if (to_us && walk->to_group)
		return RG_FRAME_OTHER_MAC;
	if (ip[8] == 0xff || rg_frame_own6(walk->host, ip + 8))
		return RG_FRAME_BAD_SOURCE;
	walk->parsed->ip_version = 6;
	walk->end = at + payload;
	protocol = ip[6];
	kind = skip_extensions(walk, &at, &protocol);
	if (kind != RG_FRAME_KIND_COUNT)
		return kind;
	if (protocol == PROTOCOL_ICMP6)
		return parse_icmp6(walk, at, to_us);
	if (protocol != PROTOCOL_UDP)
		return RG_FRAME_OTHER_PROTOCOL;
	if (!to_us)
		return RG_FRAME_OTHER_ADDRESS;
	if (!rg_frame_answerable6(walk->host, ip + 8))
		return RG_FRAME_BAD_SOURCE;
	return parse_udp(walk, at, ip + 8);
}

/* RFC 826; a probe (sender address 0, RFC 5227) is answered too, so that nobody takes our address.
 */
static enum rg_frame_kind parse_arp(struct walk *walk)
{
	static const uint8_t ethernet_ipv4[6] = {0, 1, 8, 0, 6, 4};
	const uint8_t *arp = walk->frame + walk->parsed->l3;

	if (walk->end - walk->parsed->l3 < ARP_BYTES)
		return RG_FRAME_BAD_LENGTH;
	if (memcmp(arp, ethernet_ipv4, sizeof(ethernet_ipv4)) || rg_frame_load_be16(arp + 6) != 1 ||
	    !rg_frame_own4(walk->host, rg_frame_load32(arp + 24)))
		return RG_FRAME_OTHER_ARP;
	if (arp[8] & 1 || rg_frame_own_mac(walk->host, arp + 8) ||
	    (rg_frame_load32(arp + 14) && !rg_frame_answerable4(walk->host, arp + 14)))
		return RG_FRAME_BAD_SOURCE;
	return RG_FRAME_ARP_REQUEST;
}

static enum rg_frame_kind parse_ethernet(struct walk *walk)
{
	const uint8_t *frame = walk->frame;
	uint32_t at = 12, tags = 0;
	uint16_t type;

	if (walk->end < 14)
		return RG_FRAME_BAD_LENGTH;
	walk->to_group = frame[0] & 1;
	if (!walk->to_group && !rg_frame_own_mac(walk->host, frame))
		return RG_FRAME_OTHER_MAC;
	if (frame[6] & 1 || rg_frame_own_mac(walk->host, frame + 6))
		return RG_FRAME_BAD_SOURCE;
	for (;;) {
		type = rg_frame_load_be16(frame + at);
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ)
			break;
		if (tags++ == RG_FRAME_VLANS_MAX)
			return RG_FRAME_TOO_DEEP;
		at += 4;
		if (walk->end < at + 2)
			return RG_FRAME_BAD_LENGTH;
	}
	walk->parsed->l3 = (uint16_t)(at + 2);
	switch (type) {
	case ETHERTYPE_IPV4: return parse_ipv4(walk);
	case ETHERTYPE_IPV6: return parse_ipv6(walk);
	case ETHERTYPE_ARP: return parse_arp(walk);
	default: return RG_FRAME_OTHER_ETHERTYPE;
	}
}

enum rg_frame_kind rg_frame_parse_slow(const uint8_t *frame, uint32_t bytes,
				       const struct rg_frame_host *host, unsigned offload,
				       struct rg_frame *parsed)
{
	struct walk walk = {
		.frame = frame, .host = host, .offload = offload, .end = bytes, .parsed = parsed};
	enum rg_frame_kind kind;

	memset(parsed, 0, sizeof(*parsed));
	kind = bytes > UINT16_MAX ? RG_FRAME_BAD_LENGTH : parse_ethernet(&walk);
	parsed->kind = (uint8_t)kind;
	return kind;
}

/* ---- writing ---- */

static void turn_ethernet(uint8_t *frame, const struct rg_frame_host *host)
{
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, host->mac, 6);
}

/* The header without addresses, in words: what is stored piece by piece and then loaded whole for
 * the checksum has to wait until the stores have left the core. */
static void write_ipv4(uint8_t *ip, uint8_t tos, uint8_t protocol, uint32_t payload_bytes,
		       unsigned offload)
{
	/* Identification 0, which means nothing in an atomic datagram (RFC 6864); don't fragment. */
	uint32_t length = 0x45u | (uint32_t)tos << 8 |
			  (uint32_t)__builtin_bswap16((uint16_t)(20 + payload_bytes)) << 16,
		 fragment = 0x0040u << 16, protocol_word = HOP_LIMIT | (uint32_t)protocol << 8,
		 checksum = 0;

	if (!(offload & RG_FRAME_TX_IP))
		checksum = (uint16_t)~rg_frame_fold((uint64_t)length + fragment + protocol_word +
						    rg_frame_load32(ip + 12) +
						    rg_frame_load32(ip + 16));
	store64(ip, length | (uint64_t)fragment << 32);
	store32(ip + 8, protocol_word | checksum << 16);
}

static void write_ipv6(uint8_t *ip, uint8_t traffic_class, uint8_t protocol, uint32_t payload_bytes,
		       uint8_t hop_limit)
{
	ip[0] = (uint8_t)(0x60 | traffic_class >> 4);
	ip[1] = (uint8_t)(traffic_class << 4);
	ip[2] = ip[3] = 0;
	store_be16(ip + 4, payload_bytes);
	ip[6] = protocol;
	ip[7] = hop_limit;
}

/* DSCP of a request is kept in its answer, ECN is not. */
static uint8_t traffic_class(const uint8_t *ip)
{
	uint8_t class = (uint8_t)(ip[0] >> 4 == 4 ? ip[1] : ip[0] << 4 | ip[1] >> 4);

	return (uint8_t)(class & 0xfc);
}

static void swap_addresses4(uint8_t *addresses)
{
	uint64_t both = rg_frame_load64(addresses);

	store64(addresses, both << 32 | both >> 32);
}

static void swap_addresses6(uint8_t *addresses)
{
	uint8_t source[16];

	memcpy(source, addresses, 16);
	memcpy(addresses, addresses + 16, 16);
	memcpy(addresses + 16, source, 16);
}

/* UDP header at `udp`; payload_sum is its payload's, the addresses are at `addresses` already. */
static void write_udp(uint8_t *udp, uint16_t source_port, uint16_t destination_port,
		      uint32_t payload_bytes, uint64_t payload_sum, const uint8_t *addresses,
		      uint32_t address_bytes, unsigned offload)
{
	uint32_t length = 8 + payload_bytes;
	uint64_t sum = rg_frame_pseudo_sum(addresses, address_bytes, PROTOCOL_UDP, length);
	uint64_t header = __builtin_bswap16(source_port) |
			  (uint64_t)__builtin_bswap16(destination_port) << 16 |
			  (uint64_t)__builtin_bswap16((uint16_t)length) << 32;
	uint16_t checksum;

	if (offload & RG_FRAME_TX_L4) {
		checksum = rg_frame_fold(sum);
	} else {
		checksum = (uint16_t)~rg_frame_fold(sum + rg_frame_halves(header) + payload_sum);
		if (!checksum)
			checksum = 0xffff; /* 0 would say that there is none */
	}
	store64(udp, header | (uint64_t)checksum << 48);
}

uint32_t rg_frame_reply_udp(uint8_t *frame, const struct rg_frame *parsed,
			    const struct rg_frame_host *host, uint32_t payload_bytes,
			    uint64_t payload_sum, unsigned offload)
{
	uint8_t *ip = frame + parsed->l3;
	uint8_t class = traffic_class(ip);

	turn_ethernet(frame, host);
	if (parsed->ip_version == 4) {
		swap_addresses4(ip + 12);
		write_ipv4(ip, class, PROTOCOL_UDP, 8 + payload_bytes, offload);
		write_udp(ip + 20, parsed->destination_port, parsed->source_port, payload_bytes,
			  payload_sum, ip + 12, 4, offload);
	} else {
		swap_addresses6(ip + 8);
		write_ipv6(ip, class, PROTOCOL_UDP, 8 + payload_bytes, HOP_LIMIT);
		write_udp(ip + 40, parsed->destination_port, parsed->source_port, payload_bytes,
			  payload_sum, ip + 8, 16, offload);
	}
	return rg_frame_reply_payload(parsed) + payload_bytes;
}

uint32_t rg_frame_reply_arp(uint8_t *frame, const struct rg_frame *parsed,
			    const struct rg_frame_host *host)
{
	uint8_t *arp = frame + parsed->l3;
	uint8_t ours[4];

	memcpy(ours, arp + 24, 4);
	turn_ethernet(frame, host);
	store_be16(arp + 6, 2);
	memcpy(arp + 18, arp + 8, 10); /* target: who asked */
	memcpy(arp + 8, host->mac, 6);
	memcpy(arp + 14, ours, 4);
	return parsed->l3 + ARP_BYTES;
}

uint32_t rg_frame_reply_nd(uint8_t *frame, const struct rg_frame *parsed,
			   const struct rg_frame_host *host, uint32_t capacity)
{
	uint8_t *ip = frame + parsed->l3, *icmp = ip + 40;
	bool probe = is_unspecified6(ip + 8);
	uint8_t target[16];

	if (capacity < parsed->l3 + 40u + 32u)
		return 0;
	memcpy(target, frame + parsed->l4 + 8, sizeof(target));
	turn_ethernet(frame, host);
	if (probe)
		memcpy(frame, all_nodes_mac, sizeof(all_nodes_mac));
	memcpy(ip + 24, probe ? all_nodes : ip + 8, 16);
	memcpy(ip + 8, target, sizeof(target));
	write_ipv6(ip, 0, PROTOCOL_ICMP6, 32, 255);
	memset(icmp, 0, 8);
	icmp[0] = ND_ADVERTISE;
	icmp[4] = probe ? 0x20 : 0x60; /* override; solicited where somebody waits for it */
	memcpy(icmp + 8, target, sizeof(target));
	icmp[24] = 2; /* target link-layer address */
	icmp[25] = 1;
	memcpy(icmp + 26, host->mac, 6);
	store16(icmp + 2, (uint16_t)~rg_frame_fold(rg_frame_sum(
				  rg_frame_pseudo_sum(ip + 8, 16, PROTOCOL_ICMP6, 32), icmp, 32)));
	return parsed->l3 + 40u + 32u;
}

uint32_t rg_frame_reply_echo(uint8_t *frame, const struct rg_frame *parsed,
			     const struct rg_frame_host *host)
{
	bool four = parsed->ip_version == 4;
	uint32_t header = four ? 20 : 40;
	uint8_t *ip = frame + parsed->l3, *icmp = ip + header;
	uint8_t class = traffic_class(ip);
	uint16_t before;

	turn_ethernet(frame, host);
	memmove(icmp, frame + parsed->l4, parsed->payload_bytes);
	before = rg_frame_load16(icmp);
	icmp[0] = four ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
	/* The pseudo-header of ICMPv6 stays the same under the swap, so that only the type changes
	 * the sum. */
	store16(icmp + 2,
		rg_frame_checksum_update(rg_frame_load16(icmp + 2), before, rg_frame_load16(icmp)));
	if (four) {
		swap_addresses4(ip + 12);
		write_ipv4(ip, class, PROTOCOL_ICMP4, parsed->payload_bytes, 0);
	} else {
		swap_addresses6(ip + 8);
		write_ipv6(ip, class, PROTOCOL_ICMP6, parsed->payload_bytes, HOP_LIMIT);
	}
	return parsed->l3 + header + parsed->payload_bytes;
}

uint32_t rg_frame_udp_header_bytes(const struct rg_frame_flow *flow)
{
	return 14u + (flow->vlan ? 4u : 0u) + (flow->ip_version == 4 ? 20u : 40u) + 8u;
}

uint32_t rg_frame_build_udp(uint8_t *frame, uint32_t capacity, const struct rg_frame_flow *flow,
			    uint32_t payload_bytes, unsigned offload)
{
	uint32_t header = rg_frame_udp_header_bytes(flow);
	bool four = flow->ip_version == 4;
	uint8_t *at = frame + 12, *ip;
	uint64_t sum;

	if ((!four && flow->ip_version != 6) || header > capacity ||
	    payload_bytes > capacity - header || payload_bytes > UINT16_MAX - header)
		return 0;
	sum = offload & RG_FRAME_TX_L4 ? 0 : rg_frame_sum(0, frame + header, payload_bytes);
	memcpy(frame, flow->destination_mac, 6);
	memcpy(frame + 6, flow->source_mac, 6);
	if (flow->vlan) {
		store_be16(at, ETHERTYPE_VLAN);
		store_be16(at + 2, flow->vlan);
		at += 4;
	}
	store_be16(at, four ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	ip = at + 2;
	if (four) {
		memcpy(ip + 12, flow->source, 4);
		memcpy(ip + 16, flow->destination, 4);
		write_ipv4(ip, 0, PROTOCOL_UDP, 8 + payload_bytes, offload);
		write_udp(ip + 20, flow->source_port, flow->destination_port, payload_bytes, sum,
			  ip + 12, 4, offload);
	} else {
		memcpy(ip + 8, flow->source, 16);
		memcpy(ip + 24, flow->destination, 16);
		write_ipv6(ip, 0, PROTOCOL_UDP, 8 + payload_bytes, HOP_LIMIT);
		write_udp(ip + 40, flow->source_port, flow->destination_port, payload_bytes, sum,
			  ip + 8, 16, offload);
	}
	return header + payload_bytes;
}

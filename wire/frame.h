/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet, IPv4, IPv6 and UDP: telling what a frame is, and turning it round into its answer.
 *
 * riskgate owns its ports, so it speaks as much of a host's language as it takes to be reachable,
 * and no more: UDP to its address and port is handed up, ARP requests, neighbour solicitations and
 * echo requests are answered, everything else is counted by cause and dropped. Each frame gets
 * exactly one kind (RG_FRAME_KINDS below), so the kinds' counters always add up to the frames
 * received.
 *
 * Ways of a frame:
 *
 *	rg_frame_parse() ── UDP4/UDP6 ───────► payload to the decoder ──► rg_frame_reply_udp()
 *	                 ├─ ARP_REQUEST ─────► rg_frame_reply_arp()
 *	                 ├─ ND_SOLICIT ──────► rg_frame_reply_nd()
 *	                 ├─ ICMP4/6_ECHO ────► rg_frame_reply_echo()
 *	                 └─ any other kind ──► count, drop
 *
 * The common case (untagged IPv4 or IPv6 without options, ours, UDP) is decided inline by a handful
 * of loads; a frame that differs anywhere takes rg_frame_parse_slow(), which decides alone and does
 * not rely on what the fast path saw.
 *
 * Replies are written over the request in the same buffer. Their IP header is always plain: IPv4
 * options and IPv6 extension headers are not echoed, so the payload of a reply begins at
 * rg_frame_reply_payload(), which lies at or before the request's payload. VLAN tags stay.
 *
 * What is never answered: a frame whose link or network source is a group, broadcast, loopback,
 * unspecified or our own address, a UDP source port of 0 or of our own range (two servers would
 * answer each other for ever), a fragment, a frame sent to a group (but ARP and neighbour
 * solicitations, as they must be). Checksums are verified, IPv4's UDP checksum unless it is 0.
 *
 * Bounds: no byte outside frame[0..bytes) is ever read, no more than RG_FRAME_VLANS_MAX tags and
 * RG_FRAME_EXTENSIONS_MAX extension headers are followed. The frame must be contiguous: linearise
 * or drop a chained mbuf first.
 *
 * Thread-safety: everything here is pure but for the frame given; a struct rg_frame_host is
 * read-only and may be shared. Sources: RFC 791, 768, 826, 792, 1071, 1122 (3.2.1.3, 3.2.2.6),
 * 5227, 8200, 4443 (4.2), 4861 (7.1.1, 7.2.4), 6864; IEEE 802.1Q.
 */
#ifndef RG_WIRE_FRAME_H
#define RG_WIRE_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define RG_FRAME_VLANS_MAX	2
#define RG_FRAME_EXTENSIONS_MAX 4
#define RG_FRAME_ADDRESSES_MAX	8
/* Room a frame's buffer must have: a neighbour advertisement may be longer than its solicitation.
 */
#define RG_FRAME_REPLY_BYTES_MIN (14 + 4 * RG_FRAME_VLANS_MAX + 40 + 32)

/* X(enumerator, counter name, what it counts). The order is part of the counters' layout: append.
 */
#define RG_FRAME_KINDS(X)                                                                          \
	X(UDP4, udp4, "UDP over IPv4 to our address and port")                                     \
	X(UDP6, udp6, "UDP over IPv6 to our address and port")                                     \
	X(ARP_REQUEST, arp_request, "ARP requests for our address")                                \
	X(ND_SOLICIT, nd_solicit, "neighbour solicitations for our address")                       \
	X(ICMP4_ECHO, icmp4_echo, "ICMP echo requests to our address")                             \
	X(ICMP6_ECHO, icmp6_echo, "ICMPv6 echo requests to our address")                           \
	X(FRAGMENT4, fragment4,                                                                    \
	  "IPv4 fragments: riskgate does not reassemble, keep datagrams below the MTU")            \
	X(FRAGMENT6, fragment6,                                                                    \
	  "IPv6 fragments: riskgate does not reassemble, keep datagrams below the MTU")            \
	X(OTHER_MAC, other_mac,                                                                    \
	  "frames to another link address, or to a group that is none of ours")                    \
	X(OTHER_ADDRESS, other_address, "packets to another IP address, or to a group")            \
	X(OTHER_PORT, other_port, "UDP to another port")                                           \
	X(OTHER_ETHERTYPE, other_ethertype, "neither IPv4, IPv6 nor ARP")                          \
	X(OTHER_PROTOCOL, other_protocol, "IP protocols other than UDP and ICMP")                  \
	X(OTHER_ICMP, other_icmp, "ICMP other than echo requests and neighbour solicitations")     \
	X(OTHER_ARP, other_arp, "ARP other than requests for our address")                         \
	X(BAD_SOURCE, bad_source,                                                                  \
	  "sources that must not be answered: groups, broadcast, loopback, ourselves, our own "    \
	  "port")                                                                                  \
	X(BAD_LENGTH, bad_length,                                                                  \
	  "frames shorter than their headers say, or with lengths that contradict")                \
	X(BAD_HEADER, bad_header, "headers with impossible values")                                \
	X(BAD_IP_CHECKSUM, bad_ip_checksum, "wrong IPv4 header checksums")                         \
	X(BAD_L4_CHECKSUM, bad_l4_checksum, "wrong UDP or ICMP checksums")                         \
	X(TOO_DEEP, too_deep, "more VLAN tags or IPv6 extension headers than riskgate follows")

enum rg_frame_kind {
#define RG_FRAME_KIND_ENUM(upper, lower, help) RG_FRAME_##upper,
	RG_FRAME_KINDS(RG_FRAME_KIND_ENUM)
#undef RG_FRAME_KIND_ENUM
		RG_FRAME_KIND_COUNT
};
/* Counter name of a kind ("udp4", "fragment4", ...) and a line of help. */
const char *rg_frame_kind_name(enum rg_frame_kind kind);
const char *rg_frame_kind_help(enum rg_frame_kind kind);

/* What the NIC has done (receive) or will do (transmit). */
enum rg_frame_offload {
	RG_FRAME_RX_IP_GOOD = 1u << 0, /* IPv4 header checksum verified */
	RG_FRAME_RX_L4_GOOD = 1u << 1, /* UDP checksum verified */
	RG_FRAME_TX_IP = 1u << 2,      /* fills the IPv4 header checksum: leave 0 */
	RG_FRAME_TX_L4 = 1u << 3       /* fills the UDP checksum: leave the pseudo-header's sum */
};

/* What a port answers for. Addresses and MAC in network byte order as they lie in frames; ports in
 * host order. */
struct rg_frame_host {
	uint8_t mac[6];
	uint16_t udp_port;	 /* the first of our ports */
	uint16_t udp_port_count; /* 1 for a server; a load generator has a range */
	uint8_t ipv4_count, ipv6_count;
	uint32_t ipv4[RG_FRAME_ADDRESSES_MAX];
	uint8_t ipv6[RG_FRAME_ADDRESSES_MAX][16];
};

/* A parsed frame: offsets from its first byte. Valid as far as its kind needs it. */
struct rg_frame {
	uint8_t kind;		/* enum rg_frame_kind */
	uint8_t ip_version;	/* 4, 6, or 0 */
	uint16_t l3;		/* IP or ARP header */
	uint16_t l4;		/* UDP or ICMP header */
	uint16_t payload;	/* of UDP */
	uint16_t payload_bytes; /* of UDP; of ICMP: from l4 to the end of the packet */
	uint16_t source_port;	/* of UDP, host order */
	uint16_t destination_port;
};

enum rg_frame_kind rg_frame_parse_slow(const uint8_t *frame, uint32_t bytes,
				       const struct rg_frame_host *host, unsigned offload,
				       struct rg_frame *parsed);

/* The Internet checksum's sum of data[0..bytes) added to `sum`, not folded. bytes <= 65535; only
 * the last piece of a sum may have an odd length. RFC 1071. */
uint64_t rg_frame_sum(uint64_t sum, const uint8_t *data, uint32_t bytes);
/* Fold to 16 bits, not inverted: 0xffff for data that holds its own correct checksum. */
static inline uint16_t rg_frame_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}
/* The checksum field after a 16-bit word it covers changed (both as loaded from the frame). RFC
 * 1624, equation 3. */
static inline uint16_t rg_frame_checksum_update(uint16_t checksum, uint16_t old_word,
						uint16_t new_word)
{
	return (uint16_t)~rg_frame_fold((uint64_t)(uint16_t)~checksum + (uint16_t)~old_word +
					new_word);
}

/* Of a word that is a one's complement sum of eight bytes at a time. */
static inline uint64_t rg_frame_halves(uint64_t word)
{
	return (uint32_t)word + (word >> 32);
}

static inline uint16_t rg_frame_load16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint32_t rg_frame_load32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t rg_frame_load64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint16_t rg_frame_load_be16(const uint8_t *at)
{
	return __builtin_bswap16(rg_frame_load16(at));
}

/* The sum of an IPv4 header without options. */
static inline uint64_t rg_frame_sum_plain4(const uint8_t *ip)
{
	return (uint64_t)rg_frame_load32(ip) + rg_frame_load32(ip + 4) + rg_frame_load32(ip + 8) +
	       rg_frame_load32(ip + 12) + rg_frame_load32(ip + 16);
}

static inline bool rg_frame_own4(const struct rg_frame_host *host, uint32_t address)
{
	for (uint32_t i = 0; i < host->ipv4_count; i++) {
		if (host->ipv4[i] == address)
			return true;
	}
	return false;
}

static inline bool rg_frame_own6(const struct rg_frame_host *host, const uint8_t *address)
{
	for (uint32_t i = 0; i < host->ipv6_count; i++) {
		if (rg_frame_load64(host->ipv6[i]) == rg_frame_load64(address) &&
		    rg_frame_load64(host->ipv6[i] + 8) == rg_frame_load64(address + 8))
			return true;
	}
	return false;
}

static inline bool rg_frame_own_port(const struct rg_frame_host *host, uint16_t port)
{
	return (uint16_t)(port - host->udp_port) < host->udp_port_count;
}

static inline bool rg_frame_own_mac(const struct rg_frame_host *host, const uint8_t *mac)
{
	return rg_frame_load32(mac) == rg_frame_load32(host->mac) &&
	       rg_frame_load16(mac + 4) == rg_frame_load16(host->mac + 4);
}

/* No group, loopback, unspecified, reserved or broadcast address, and not ours. */
static inline bool rg_frame_answerable4(const struct rg_frame_host *host, const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224 &&
	       !rg_frame_own4(host, rg_frame_load32(address));
}

/* No group, nothing of ::/80 (unspecified, loopback, IPv4-mapped), and not ours. */
static inline bool rg_frame_answerable6(const struct rg_frame_host *host, const uint8_t *address)
{
	return address[0] != 0xff && (rg_frame_load64(address) | rg_frame_load16(address + 8)) &&
	       !rg_frame_own6(host, address);
}

/* Sum of the pseudo-header: two addresses of `address_bytes` each at `addresses`, protocol and
 * length. RFC 768, RFC 8200 section 8.1. */
static inline uint64_t rg_frame_pseudo_sum(const uint8_t *addresses, uint32_t address_bytes,
					   uint8_t protocol, uint32_t length)
{
	uint64_t sum = (uint64_t)__builtin_bswap16(protocol) + __builtin_bswap16((uint16_t)length);

	for (uint32_t i = 0; i < 2 * address_bytes; i += 4)
		sum += rg_frame_load32(addresses + i);
	return sum;
}

/* Ports, length and checksum of a UDP header at frame[l4], whose packet ends at `end` <= bytes of
 * the frame. */
static inline bool rg_frame_fast_udp(const uint8_t *frame, uint16_t l4, uint32_t end,
				     const struct rg_frame_host *host, unsigned offload,
				     uint8_t version, const uint8_t *addresses,
				     struct rg_frame *parsed)
{
	const uint8_t *udp = frame + l4;
	uint32_t length = rg_frame_load_be16(udp + 4);
	uint16_t source = rg_frame_load_be16(udp), destination = rg_frame_load_be16(udp + 2),
		 checksum = rg_frame_load16(udp + 6);

	if (length < 8 || l4 + length != end || source == 0 ||
	    !rg_frame_own_port(host, destination) || rg_frame_own_port(host, source) ||
	    (!checksum && version == 6))
		return false;
	if (checksum && !(offload & RG_FRAME_RX_L4_GOOD) &&
	    rg_frame_fold(
		    rg_frame_sum(rg_frame_pseudo_sum(addresses, version == 4 ? 4 : 16, 17, length),
				 udp, length)) != 0xffff)
		return false;
	*parsed = (struct rg_frame){
		.kind = version == 4 ? RG_FRAME_UDP4 : RG_FRAME_UDP6,
		.ip_version = version,
		.l3 = 14,
		.l4 = l4,
		.payload = (uint16_t)(l4 + 8),
		.payload_bytes = (uint16_t)(length - 8),
		.source_port = source,
		.destination_port = destination,
	};
	return true;
}

static inline bool rg_frame_fast4(const uint8_t *frame, uint32_t bytes,
				  const struct rg_frame_host *host, unsigned offload,
				  struct rg_frame *parsed)
{
	const uint8_t *ip = frame + 14;
	uint32_t total;

	if (bytes < 14 + 20 + 8 || ip[0] != 0x45 || ip[9] != 17 ||
	    rg_frame_load16(ip + 6) & __builtin_bswap16(0x3fff))
		return false;
	total = rg_frame_load_be16(ip + 2);
	if (total < 20 + 8 || total > bytes - 14 ||
	    !rg_frame_own4(host, rg_frame_load32(ip + 16)) || !rg_frame_answerable4(host, ip + 12))
		return false;
	if (!(offload & RG_FRAME_RX_IP_GOOD) && rg_frame_fold(rg_frame_sum_plain4(ip)) != 0xffff)
		return false;
	return rg_frame_fast_udp(frame, 34, 14 + total, host, offload, 4, ip + 12, parsed);
}

static inline bool rg_frame_fast6(const uint8_t *frame, uint32_t bytes,
				  const struct rg_frame_host *host, unsigned offload,
				  struct rg_frame *parsed)
{
	const uint8_t *ip = frame + 14;
	uint32_t payload;

	if (bytes < 14 + 40 + 8 || ip[0] >> 4 != 6 || ip[6] != 17)
		return false;
	payload = rg_frame_load_be16(ip + 4);
	if (payload < 8 || payload > bytes - 14 - 40 || !rg_frame_own6(host, ip + 24) ||
	    !rg_frame_answerable6(host, ip + 8))
		return false;
	return rg_frame_fast_udp(frame, 54, 54 + payload, host, offload, 6, ip + 8, parsed);
}

/*
 * Decide what frame[0..bytes) is. Returns its kind, also in parsed->kind. `offload`: RX flags of
 * this frame. bytes <= 65535. The inline part accepts only what it has checked completely; anything
 * else goes to the slow path.
 */
static inline enum rg_frame_kind rg_frame_parse(const uint8_t *frame, uint32_t bytes,
						const struct rg_frame_host *host, unsigned offload,
						struct rg_frame *parsed)
{
	if (__builtin_expect(bytes >= 14 && rg_frame_own_mac(host, frame) && !(frame[6] & 1) &&
				     !rg_frame_own_mac(host, frame + 6),
			     1)) {
		uint16_t type = rg_frame_load16(frame + 12);

		if (type == __builtin_bswap16(0x0800) &&
		    __builtin_expect(rg_frame_fast4(frame, bytes, host, offload, parsed), 1))
			return RG_FRAME_UDP4;
		if (type == __builtin_bswap16(0x86dd) &&
		    __builtin_expect(rg_frame_fast6(frame, bytes, host, offload, parsed), 1))
			return RG_FRAME_UDP6;
	}
	return rg_frame_parse_slow(frame, bytes, host, offload, parsed);
}

/* ---- replies: each returns the new frame's bytes ---- */

/* Where the payload of a UDP reply begins. */
static inline uint32_t rg_frame_reply_payload(const struct rg_frame *parsed)
{
	return parsed->l3 + (parsed->ip_version == 4 ? 20u : 40u) + 8u;
}

/*
 * Turn a UDP request (kind UDP4 or UDP6) into its answer. The payload of payload_bytes must lie at
 * rg_frame_reply_payload() already; it may overlap the request's payload, so have read that first.
 * payload_sum is its rg_frame_sum() from 0, which who writes it from registers has without reading
 * it again (not used with RG_FRAME_TX_L4). MACs, addresses and ports are swapped, lengths and checksums set, hop limit 64, "don't fragment".
 * `offload`: TX flags. The buffer must hold the result; payload_bytes <= 65507.
 */
uint32_t rg_frame_reply_udp(uint8_t *frame, const struct rg_frame *parsed,
			    const struct rg_frame_host *host, uint32_t payload_bytes,
			    uint64_t payload_sum, unsigned offload);
/* ARP_REQUEST -> ARP reply of at least 42 bytes. */
uint32_t rg_frame_reply_arp(uint8_t *frame, const struct rg_frame *parsed,
			    const struct rg_frame_host *host);
/* ND_SOLICIT -> neighbour advertisement; to all nodes where the solicitation came from an
 * unspecified address. `capacity` is the buffer's room from frame[0]; RG_FRAME_REPLY_BYTES_MIN
 * always suffices. 0 if it does not. */
uint32_t rg_frame_reply_nd(uint8_t *frame, const struct rg_frame *parsed,
			   const struct rg_frame_host *host, uint32_t capacity);
/* ICMP4_ECHO or ICMP6_ECHO -> echo reply with the same data. Checksums in software. */
uint32_t rg_frame_reply_echo(uint8_t *frame, const struct rg_frame *parsed,
			     const struct rg_frame_host *host);

/* ---- requests, for the load generator ---- */

/* One direction between two hosts. Addresses in network order, ports in host order. */
struct rg_frame_flow {
	uint8_t source_mac[6], destination_mac[6];
	uint8_t ip_version; /* 4 or 6 */
	uint16_t vlan;	    /* tag 1..4094, 0: untagged */
	uint16_t source_port, destination_port;
	uint8_t source[16], destination[16]; /* the first 4 bytes for IPv4 */
};

/* Bytes in front of the payload: 42 to 66. */
uint32_t rg_frame_udp_header_bytes(const struct rg_frame_flow *flow);
/* Write the headers for payload_bytes that lie at rg_frame_udp_header_bytes() already, with
 * checksums as `offload` (TX flags) says. Returns the frame's bytes, or 0 if they exceed capacity
 * or 65535 or ip_version is neither. */
uint32_t rg_frame_build_udp(uint8_t *frame, uint32_t capacity, const struct rg_frame_flow *flow,
			    uint32_t payload_bytes, unsigned offload);

#endif

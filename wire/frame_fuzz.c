/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a frame: fast and slow path agree, nothing is read outside, and what is answerable
 * is answered inside its buffer. The first byte gives the receive offload flags, so that a fuzzer
 * gets past checksums.
 */
#include "wire/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rg_frame_host host = {
	.mac = {2, 0, 0, 0, 0, 1},
	.udp_port = 9471,
	.udp_port_count = 1,
	.ipv4_count = 1,
	.ipv4 = {0x0100470a},
	.ipv6_count = 1,
	.ipv6 = {{0xfd, 0x71, [15] = 1}},
};

static void check(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rg_frame parsed, slow;
	uint32_t bytes, capacity, written = 0;
	enum rg_frame_kind kind;
	unsigned offload;
	uint8_t *frame;

	if (size < 1 || size > 9000)
		return 0;
	offload = data[0] & 3;
	bytes = (uint32_t)size - 1;
	kind = rg_frame_parse(data + 1, bytes, &host, offload, &parsed);
	check(rg_frame_parse_slow(data + 1, bytes, &host, offload, &slow) == kind &&
	      kind < RG_FRAME_KIND_COUNT);
	if (kind > RG_FRAME_ICMP6_ECHO)
		return 0;
	check(!memcmp(&parsed, &slow, sizeof(slow)));
	capacity = bytes < RG_FRAME_REPLY_BYTES_MIN ? RG_FRAME_REPLY_BYTES_MIN : bytes;
	frame = malloc(capacity);
	if (!frame)
		return 0;
	memcpy(frame, data + 1, bytes);
	switch (kind) {
	case RG_FRAME_UDP4:
	case RG_FRAME_UDP6:
		check(parsed.payload + parsed.payload_bytes <= bytes);
		written =
			rg_frame_reply_udp(frame, &parsed, &host, parsed.payload_bytes,
					   rg_frame_sum(0, frame + rg_frame_reply_payload(&parsed),
							parsed.payload_bytes),
					   offload << 2);
		break;
	case RG_FRAME_ARP_REQUEST: written = rg_frame_reply_arp(frame, &parsed, &host); break;
	case RG_FRAME_ND_SOLICIT:
		written = rg_frame_reply_nd(frame, &parsed, &host, capacity);
		break;
	default: written = rg_frame_reply_echo(frame, &parsed, &host); break;
	}
	check(written > 0 && written <= capacity);
	/* What we sent is not for us: no loop. */
	check(rg_frame_parse(frame, written, &host, offload, &parsed) > RG_FRAME_ICMP6_ECHO);
	free(frame);
	return 0;
}

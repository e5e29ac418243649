/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loadgen/neighbour.h"

#include <string.h>

#define ETHERNET_BYTES	 14
#define ARP_FRAME_BYTES	 60 /* padded to Ethernet's minimum */
#define ND_L4		 (ETHERNET_BYTES + 40)
#define ND_MESSAGE_BYTES 32 /* 24, and an option with a link address */

static void put_be16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t ask_arp(uint8_t *frame, const struct rg_frame_flow *flow)
{
	static const uint8_t fixed[] = {0, 1, 8, 0,
					6, 4, 0, 1}; /* Ethernet, IPv4, sizes, request */
	uint8_t *arp = frame + ETHERNET_BYTES;

	memset(frame, 0, ARP_FRAME_BYTES);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, flow->source_mac, 6);
	put_be16(frame + 12, 0x0806);
	memcpy(arp, fixed, sizeof(fixed));
	memcpy(arp + 8, flow->source_mac, 6);
	memcpy(arp + 14, flow->source, 4);
	memcpy(arp + 24, flow->destination, 4);
	return ARP_FRAME_BYTES;
}

static uint32_t ask_nd(uint8_t *frame, const struct rg_frame_flow *flow)
{
	static const uint8_t group[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
	uint8_t *ip = frame + ETHERNET_BYTES, *icmp = frame + ND_L4;
	uint64_t sum;

	memset(frame, 0, RG_NEIGHBOUR_FRAME_BYTES);
	frame[0] = frame[1] = 0x33;
	frame[2] = 0xff;
	memcpy(frame + 3, flow->destination + 13, 3);
	memcpy(frame + 6, flow->source_mac, 6);
	put_be16(frame + 12, 0x86dd);
	ip[0] = 0x60;
	put_be16(ip + 4, ND_MESSAGE_BYTES);
	ip[6] = 58;
	ip[7] = 255;
	memcpy(ip + 8, flow->source, 16);
	memcpy(ip + 24, group, 13);
	memcpy(ip + 37, flow->destination + 13, 3);
	icmp[0] = 135;
	memcpy(icmp + 8, flow->destination, 16);
	icmp[24] = 1; /* source link-layer address, one unit of 8 bytes */
	icmp[25] = 1;
	memcpy(icmp + 26, flow->source_mac, 6);
	/* The pseudo-header's length and next header are 16-bit words in network order like all the
	 * rest. */
	sum = rg_frame_sum((uint64_t)__builtin_bswap16(ND_MESSAGE_BYTES) + __builtin_bswap16(58),
			   ip + 8, 32 + ND_MESSAGE_BYTES);
	sum = (uint16_t)~rg_frame_fold(sum);
	memcpy(icmp + 2, &(uint16_t){(uint16_t)sum}, 2);
	return RG_NEIGHBOUR_FRAME_BYTES;
}

uint32_t rg_neighbour_ask(uint8_t *frame, const struct rg_frame_flow *flow)
{
	return flow->ip_version == 4 ? ask_arp(frame, flow) : ask_nd(frame, flow);
}

bool rg_neighbour_answer(const uint8_t *frame, uint32_t bytes, const struct rg_frame_flow *flow,
			 uint8_t mac[6])
{
	const uint8_t *arp = frame + ETHERNET_BYTES, *icmp = frame + ND_L4;

	if (flow->ip_version == 4) {
		if (bytes < ETHERNET_BYTES + 28 || rg_frame_load_be16(frame + 12) != 0x0806 ||
		    rg_frame_load_be16(arp + 6) != 2 || memcmp(arp + 14, flow->destination, 4) != 0)
			return false;
		memcpy(mac, arp + 8, 6);
		return true;
	}
	if (bytes < ND_L4 + 24 || rg_frame_load_be16(frame + 12) != 0x86dd ||
	    frame[ETHERNET_BYTES + 6] != 58 || icmp[0] != 136 ||
	    memcmp(icmp + 8, flow->destination, 16) != 0)
		return false;
	/* The target's link address option, or, where it is left out, the sender's address. */
	if (bytes >= ND_L4 + ND_MESSAGE_BYTES && icmp[24] == 2 && icmp[25] == 1)
		memcpy(mac, icmp + 26, 6);
	else
		memcpy(mac, frame + 6, 6);
	return true;
}
